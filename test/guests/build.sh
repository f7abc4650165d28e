#!/usr/bin/env bash
# Builds the guests of the end-to-end tests, and the C word count, into this folder. What it builds is committed, so
# that the tests need nothing but Go; run it after a change to a guest or to guest-sdk/c/wasmill.h.
set -euo pipefail
cd "$(dirname "$0")"
clang=${CLANG:-clang-19}

compile() { # source, target, flags
	"$clang" --target=wasm32-unknown-unknown -std=c11 -Wall -Wextra -O2 -ffreestanding -nostdlib \
		-Wl,--no-entry,--strip-debug -I../../guest-sdk/c "${@:3}" -o "$2" "$1"
}

# replace writes a module again with one text for another of the same length.
replace() { # source, target, text, other text
	test ${#3} = ${#4} && LC_ALL=C sed "s/$3/$4/g" "$1" >"$2"
}

for source in *.c; do
	compile "$source" "${source%.c}.wasm"
done
compile ../../examples/wordcount/c/wordcount.c wordcount-c.wasm
replace passthrough.wasm no-marker.wasm wasmill_abi_1 wasmill_xyz_1
replace passthrough.wasm newer-abi.wasm wasmill_abi_1 wasmill_abi_9
