#!/bin/sh
# SPDX-License-Identifier: MIT
# What `make bench` uses from Debian's packages, as far as it is missing: the compilers, the peers, callgrind.
set -eu

missing=
need() {
	command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need_file() { # package, what a pattern has found
	[ -e "$2" ] || missing="$missing $1"
}
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

[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "error: the benches need these packages:$missing (as root: apt-get install$missing)" >&2
	exit 1
fi
apt-get update -qq
# shellcheck disable=SC2086 # one word a package
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
