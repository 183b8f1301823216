#!/bin/sh
# SPDX-License-Identifier: MIT
# The compilers, emulators and build systems that `make test` uses, from Debian's packages, as far as they are missing.
set -eu

. "$(dirname "$0")/need.sh"
need gcc-12 gcc-12
need gcc-11 gcc-11
need patch patch
need git git
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
need strace strace
need llvm-bolt-19 bolt-19
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
need chromium chromium
need zsh zsh
need fish fish
need mandoc mandoc
# What a compiler's package only recommends: sanitizers, the plugin by which GNU ld takes -flto; csmith's headers.
for version in 14 16 19; do
	need_file llvm-$version-linker-tools /usr/lib/llvm-$version/lib/LLVMgold.so
	need_file libclang-rt-$version-dev /usr/lib/llvm-$version/lib/clang/*/lib/linux/libclang_rt.asan-x86_64.a
done
need_file libcsmith-dev /usr/include/csmith/csmith.h
need_file libunwind-dev /usr/include/x86_64-linux-gnu/libunwind.h

install_needed "the tests"
