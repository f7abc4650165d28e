#!/usr/bin/env bash
# Builds the guests of the end-to-end tests, and the C word count, into this folder. What it builds is committed, so
# that the tests need nothing but Go; run it after a change to a guest or to guest-sdk/c/wasmill.h.
set -euo pipefail
cd "$(dirname "$0")"
clang=${CLANG:-clang-19}

compile() { # source, target, flags
	"$clang" --target=wasm32-unknown-unknown -std=c11 -Wall -Wextra -O2 -ffreestanding -nostdlib \
		-Wl,--no-entry,--strip-debug -I../../guest-sdk/c "${@:3}" -o "$2" "$1"
	chmod a-x "$2"
}

# replace writes a module again with one text for another of the same length.
replace() { # source, target, text, other text
	test ${#3} = ${#4}
	LC_ALL=C sed "s/$3/$4/g" "$1" >"$2"
}

describing() { # target, manifest
	compile manifest.c "$1" "-DMANIFEST=\"${2//\"/\\\"}\""
}

for source in *.c; do
	if [ "$source" != manifest.c ]; then compile "$source" "${source%.c}.wasm"; fi
done
compile windows.c windows-2.wasm -DVERSION=2
for version in 2 3; do compile moved.c "moved-$version.wasm" "-DVERSION=$version"; done
compile ../../examples/wordcount/c/wordcount.c wordcount-c.wasm
compile passthrough.c huge-table.wasm -Wl,--table-base=200000000
compile passthrough.c huge-memory.wasm -Wl,--initial-memory=2147483648
replace passthrough.wasm no-marker.wasm wasmill_abi_1 wasmill_xyz_1
replace passthrough.wasm newer-abi.wasm wasmill_abi_1 wasmill_abi_9
replace passthrough.wasm no-describe.wasm wasmill_describe wasmill_xescribe

describing not-json.wasm 'this is no manifest'
describing unknown-feature.wasm '{"abi":1,"name":"unknown-feature","features":[1,99],"params":[],"functions":[],"operators":[]}'
describing no-operators.wasm '{"abi":1,"name":"no-operators","features":[1],"params":[],"functions":[],"operators":[]}'
