# SPDX-License-Identifier: MIT
"""`instrument report`: what a run has made of each call, for readers and for other programs."""
