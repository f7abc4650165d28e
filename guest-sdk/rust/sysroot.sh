#!/usr/bin/env bash
# Builds Rust's standard library for WebAssembly out of Debian's rust-web-src, which has it in source only, and lays a
# sysroot that rustc can use without nightly flags: sysroot.sh DIRECTORY TARGET... It takes about 40 s a target, once; what
# is there already and of the same compiler is kept.
set -euo pipefail
sysroot=${1:?usage: sysroot.sh DIRECTORY TARGET...}
shift
library=/usr/lib/rustlib/src/rust/library
native=$(/usr/bin/rustc -vV | sed -n "s/^host: //p")
mkdir -p "$sysroot/lib/rustlib"
sysroot=$(cd "$sysroot" && pwd)
ln -sfn "/usr/lib/rustlib/$native" "$sysroot/lib/rustlib/$native" # for procedural macros, which run here

exec 9>"$sysroot/lock" && flock 9 # tests may come at the same time

seed=$(mktemp -d)
trap 'rm -rf "$seed"' EXIT
mkdir -p "$seed/src" "$seed/.cargo"
echo >"$seed/src/lib.rs"
printf '[package]\nname = "seed"\nversion = "0.0.0"\nedition = "2021"\n' >"$seed/Cargo.toml"
printf '[source.crates-io]\nreplace-with = "vendor"\n[source.vendor]\ndirectory = "%s/vendor"\n' "$library" >"$seed/.cargo/config.toml"

for target in "$@"; do
	lib=$sysroot/lib/rustlib/$target/lib
	version=$(/usr/bin/rustc --version)
	[[ -f $lib/version && $(<"$lib/version") == "$version" ]] && continue
	echo "building Rust's standard library for $target" >&2
	# with bitcode, without which guests could not be optimised across crates
	(cd "$seed" && RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc RUSTFLAGS='-Cembed-bitcode=yes -Ctarget-feature=+simd128' \
		/usr/bin/cargo build -q --release --offline --target "$target" -Zbuild-std=std,panic_abort)
	rm -rf "$lib"
	mkdir -p "$lib"
	cp $(ls "$seed/target/$target"/release/deps/*.rlib | grep -v libseed-) "$lib/"
	if [[ $target == *wasi* ]]; then
		mkdir -p "$lib/self-contained"
		cp /usr/lib/wasm32-wasi/{libc.a,crt1-command.o,crt1-reactor.o} "$lib/self-contained/"
	fi
	echo "$version" >"$lib/version"
done
