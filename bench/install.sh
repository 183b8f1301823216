#!/bin/sh
# SPDX-License-Identifier: MIT
# What `make bench` uses from Debian's packages, as far as it is missing: the compilers, the peers, callgrind.
set -eu

. "$(dirname "$0")/../tests/need.sh"
need gcc-12 gcc-12
need clang-19 clang-19
need_file libclang-rt-19-dev /usr/lib/llvm-19/lib/clang/19/lib/linux/libclang_rt.xray-x86_64.a
need valgrind valgrind
need_file valgrind /usr/include/valgrind/callgrind.h
need ccache ccache
need rg ripgrep
need spatch coccinelle
need_file zlib1g-dev /usr/include/zlib.h
need_file python3-dev "$(python3 -c 'import sysconfig; print(sysconfig.get_paths()["include"])')/Python.h"

install_needed "the benches"
