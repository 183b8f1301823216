/* SPDX-License-Identifier: MIT */
/* A library without static calls. */
extern int obj_bare(int x);
int obj_bare(int x) { return x + 30; }
