# SPDX-License-Identifier: MIT
"""The compilers and the ways to use them."""

from __future__ import annotations

COMPILERS = ("gcc-11", "gcc-12", "clang-14", "clang-16", "clang-19")

SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")

FLAGS: tuple[tuple[str, ...], ...] = (
    ("-O0",),
    ("-O1", "-fno-omit-frame-pointer"),
    ("-O2", "-fPIC", "-fomit-frame-pointer"),
    ("-O3", "-mavx2"),
    ("-Os", "-mno-red-zone"),
    ("-O2", "-flto"),
    ("-O1", *SANITIZERS),
)
"""Each at least once for each compiler, in `make test`."""

MORE: tuple[tuple[str, ...], ...] = (
    ("-O0", "-fPIC"),
    ("-O0", "-fomit-frame-pointer"),
    ("-O0", "-mavx2"),
    ("-O0", *SANITIZERS),
    ("-O1", "-fomit-frame-pointer"),
    ("-O1", "-mavx2", "-flto"),
    ("-O2", "-fno-omit-frame-pointer"),
    ("-O2", "-mno-red-zone", "-fPIC"),
    ("-O2", *SANITIZERS),
    ("-O2", "-mavx512f"),
    ("-O2", "-fno-pie", "-no-pie"),
    ("-O2", "-fcf-protection=full", "-fstack-protector-all"),
    ("-O2", "-ffunction-sections", "-Wl,--gc-sections"),
    ("-O3",),
    ("-O3", "-fPIC", "-fno-omit-frame-pointer"),
    ("-O3", "-flto"),
    ("-O3", "-fstack-clash-protection"),
    ("-Os",),
    ("-Os", "-flto", "-fomit-frame-pointer"),
    ("-Os", "-mavx2"),
    ("-Os", *SANITIZERS),
)
"""Further ones for long runs."""
