# SPDX-License-Identifier: MIT
"""`instrument suggest`: what it finds and refuses, whether what it edits still means the same, and real packages."""
