# SPDX-License-Identifier: MIT
"""Userspace static calls: rewrite `static_call(key)(args)` into patched direct calls."""

__version__ = "0.1.0"

SPDX = f"SPDX-License-Identifier{':'} MIT"
"""The line of what we generate. In pieces, or `reuse` takes what stands behind it here for a part of it."""
