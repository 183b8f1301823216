/* SPDX-License-Identifier: MIT */
/* A target in a library. */
int target_far(int x);
int target_far(int x) { return 3 * x + 1; }
