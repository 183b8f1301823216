# SPDX-License-Identifier: MIT
"""Userspace static calls: rewrite `static_call(key)(args)` into patched direct calls."""

__version__ = "0.1.0"
