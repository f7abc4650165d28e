#!/usr/bin/env bash
# Compiles a Rust guest with Debian's compiler: build.sh SYSROOT PACKAGE OUT [cargo argument]...
# PACKAGE is a directory with a Cargo.toml, the target is wasm32-wasip1 or TARGET. The sysroot is made when it is not there; what
# cargo builds lies beside it. With rustup none of this is needed: rustup target add wasm32-wasip1, and cargo build.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=${TARGET:-wasm32-wasip1}
sysroot=$1 package=$2 out=$3
shift 3
"$here/sysroot.sh" "$sysroot" "$target"
sysroot=$(cd "$sysroot" && pwd)
linker=$(for v in -19 -22 -16 ''; do command -v "wasm-ld$v" && break; done)
flags="--sysroot=$sysroot -Ctarget-feature=+simd128 -Clinker=$linker -Clink-arg=-zstack-size=131072"
built=$(RUSTC=/usr/bin/rustc CARGO_TARGET_DIR=$sysroot/../target CARGO_ENCODED_RUSTFLAGS=${flags// /$'\x1f'} \
	/usr/bin/cargo rustc -q --offline --release --target "$target" --manifest-path "$package/Cargo.toml" \
	--message-format=json-render-diagnostics "$@" | sed -n 's/.*"filenames":\["\([^"]*\.wasm\)".*/\1/p' | tail -1)
cp "$built" "$out"
