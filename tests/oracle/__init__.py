# SPDX-License-Identifier: MIT
"""The object oracle: what has no static call comes out of the launcher as it comes out of the compiler."""
