#!/usr/bin/env bash
# Builds the C guest, into testdata where it is committed so that the tests need no C compiler; run it after a change to
# guest-sdk/c. Tests that find a C compiler build it themselves: build.sh FILE.
cd "$(dirname "$0")" && exec "${CLANG:-clang-19}" --target=wasm32-unknown-unknown -std=c11 -Wall -Wextra -O2 -ffreestanding -nostdlib -Wl,--no-entry,--strip-debug -I../../guest-sdk/c -o "${1:-testdata/c.wasm}" ../../guest-sdk/c/conformance/conformance.c
