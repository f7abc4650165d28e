#!/usr/bin/env bash
# Builds the guests of C and Rust, into testdata where they are committed so that the tests need neither compiler; run it after
# a change to guest-sdk/c or guest-sdk/rust. Tests that find a compiler build them themselves: build.sh DIRECTORY GUEST...
set -euo pipefail
cd "$(dirname "$0")"
directory=${1:-testdata}
shift || true
[[ $# -gt 0 ]] || set -- c c-process c-operators rust rust-process rust-operators

c() { # source
	"${CLANG:-clang-19}" --target=wasm32-unknown-unknown -std=c11 -Wall -Wextra -O2 -ffreestanding -nostdlib \
		-Wl,--no-entry,--strip-debug -I../../guest-sdk/c -o "$directory/$guest.wasm" "../../guest-sdk/c/conformance/$1"
}

rust() { # target, cargo argument...: each is built for one of the two
	TARGET=$1 ../../guest-sdk/rust/build.sh ../../bin/rust/sysroot ../../guest-sdk/rust/wasmill "$directory/$guest.wasm" "${@:2}"
}

for guest in "$@"; do
	case $guest in
	c) c conformance.c ;;
	c-process) c process.c ;;
	c-operators) c operators.c ;;
	rust) rust wasm32-wasip1 --example conformance ;;
	rust-operators) rust wasm32-wasip1 --example conformance-operators ;;
	rust-process) rust wasm32-unknown-unknown --example conformance-process --no-default-features ;;
	esac
done
