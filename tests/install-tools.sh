#!/bin/sh
# SPDX-License-Identifier: MIT
# The compilers, emulators and build systems that `make test` uses, from Debian's packages, as far as they are missing.
set -eu

missing=
need() {
	command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need gcc-12 gcc-12
need gcc-11 gcc-11
need patch patch
need clang-14 clang-14
need clang-16 clang-16
need clang-19 clang-19
need csmith csmith
need spin spin
need ld.lld-14 lld-14
need aarch64-linux-gnu-gcc 'gcc-aarch64-linux-gnu libc6-dev-arm64-cross'
need qemu-aarch64 qemu-user
need qemu-x86_64 qemu-user
need gdb gdb
need perf linux-perf
need valgrind valgrind
need cppcheck cppcheck
need clang-tidy-19 clang-tidy-19
need unshare util-linux
need make make
need cmake cmake
need ninja ninja-build
need meson meson
need pkg-config pkg-config
need autoreconf autoconf
need automake automake
need bazel bazel-bootstrap
need ccache ccache
need sccache sccache
need distccd distcc
need icecc icecc
need clangd clangd
# What a compiler's package only recommends: sanitizers, the plugin by which GNU ld takes -flto; csmith's headers.
need_file() { # package, what a pattern has found
	[ -e "$2" ] || missing="$missing $1"
}
for version in 14 16 19; do
	need_file llvm-$version-linker-tools /usr/lib/llvm-$version/lib/LLVMgold.so
	need_file libclang-rt-$version-dev /usr/lib/llvm-$version/lib/clang/*/lib/linux/libclang_rt.asan-x86_64.a
done
need_file libcsmith-dev /usr/include/csmith/csmith.h
need_file libunwind-dev /usr/include/x86_64-linux-gnu/libunwind.h

[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "error: the tests need these packages:$missing (as root: apt-get install$missing)" >&2
	exit 1
fi
apt-get update -qq
# shellcheck disable=SC2086 # one word a package
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
