# SPDX-License-Identifier: MIT
"""`instrument suggest`: function pointers that could be static calls, and the edits that make them such."""
