/* SPDX-License-Identifier: MIT */
/* Faults in the system calls that the runtime makes (fault_shim.c stands between, by ld's --wrap). */
#ifndef FAULT_SHIM_H
#define FAULT_SHIM_H

#include <stdbool.h>

struct fault {
	long number;           /* which call, from 1; 0 for none */
	int error;             /* what it fails with; 0: the thread ends there */
	bool persistent;       /* from that one on all calls of its kind fail */
	void (*between)(void); /* called before that one and between later ones; without a number before each */
};

/* Of this thread, until fault_disarm(), which returns how many calls there were. */
void fault_arm(struct fault fault);
long fault_disarm(void);
/* What failed, or where the thread ended. */
extern const char *fault_name;
/* Of all threads and at all times: mprotect never makes text writable; no PROCMAP_QUERY; no /proc. */
extern bool fault_refuse_text, fault_refuse_query, fault_refuse_proc;

#endif
