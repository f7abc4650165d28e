#!/usr/bin/env bash
# Builds the guests of the end-to-end tests, and the C word count, into this folder, or into another one. What it builds
# is committed, so that the tests need nothing but Go; run it after a change to a guest, or to what guest-sdk/c/wasmill.h declares for
# one. Tests of guest-sdk/c hold what is committed against SOURCES, and against what COMPILER makes of them where it is installed.
set -euo pipefail
to=$(realpath "${1:-$(dirname "$0")}")
cd "$(dirname "$0")"
clang=${CLANG:-clang-19}
"$clang" --version | head -n 1 >"$to/COMPILER"
sha256sum *.c *.h ../../examples/wordcount/c/wordcount.c >"$to/SOURCES"

begun=()
compile() { # source, target, flags; beside others, a few at a time
	if [ "${#begun[@]}" -ge "$(nproc)" ]; then
		wait "${begun[0]}"
		begun=("${begun[@]:1}")
	fi
	build "$@" &
	begun+=("$!")
}

compiled() { # waits until all are
	for one in "${begun[@]}"; do wait "$one"; done
	begun=()
}

build() { # source, target, flags
	"$clang" --target=wasm32-unknown-unknown -std=c11 -Wall -Wextra -O2 -ffreestanding -nostdlib \
		-Wl,--no-entry,--strip-debug -I../../guest-sdk/c "${@:3}" -o "$to/$2" "$1"
	chmod a-x "$to/$2"
}

# replace writes a module again with one text for another of the same length.
replace() { # source, target, text, other text
	test ${#3} = ${#4}
	LC_ALL=C sed "s/$3/$4/g" "$to/$1" >"$to/$2"
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
compiled
replace passthrough.wasm no-marker.wasm wasmill_abi_1 wasmill_xyz_1
replace passthrough.wasm newer-abi.wasm wasmill_abi_1 wasmill_abi_9
replace passthrough.wasm no-describe.wasm wasmill_describe wasmill_xescribe

describing not-json.wasm 'this is no manifest'
describing unknown-feature.wasm '{"abi":1,"name":"unknown-feature","features":[1,99],"params":[],"functions":[],"operators":[]}'
describing no-operators.wasm '{"abi":1,"name":"no-operators","features":[1],"params":[],"functions":[],"operators":[]}'
compiled
