#!/usr/bin/env bash
# Builds the C guests, into testdata where they are committed so that the tests need no C compiler; run it after a change
# to guest-sdk/c. Tests that find a C compiler build them themselves: build.sh DIRECTORY.
set -euo pipefail
cd "$(dirname "$0")"
compile() { # source, target
	"${CLANG:-clang-19}" --target=wasm32-unknown-unknown -std=c11 -Wall -Wextra -O2 -ffreestanding -nostdlib \
		-Wl,--no-entry,--strip-debug -I../../guest-sdk/c -o "$2" "$1"
}
compile ../../guest-sdk/c/conformance/conformance.c "${1:-testdata}/c.wasm"
compile ../../guest-sdk/c/conformance/process.c "${1:-testdata}/c-process.wasm"
