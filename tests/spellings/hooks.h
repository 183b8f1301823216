/* SPDX-License-Identifier: MIT */
/* kernel-static-call.md section 10, shapes 3, 6, 7, 23 to 25, 28, 29: perf's and apic's hooks. */
#ifndef HOOKS_H
#define HOOKS_H

#include <static_call.h>

struct event {
	long count;
};
struct pmu {
	int (*set_period)(struct event *event);
	void (*add)(struct event *event);
	long (*limits)(struct event *event, int index, const long *list);
	void (*filter)(struct pmu *pmu, int cpu, int *ret);
};
struct guest_callbacks {
	unsigned int (*state)(void);
};
struct key_source {
	const char *name;
	struct key_ops {
		int (*seal)(int length);
	} *ops;
};
extern struct pmu pmu;
extern struct key_source key_sources[1];

DECLARE_STATIC_CALL(pmu_set_period, *pmu.set_period);
DECLARE_STATIC_CALL(pmu_limits, *pmu.limits);
DECLARE_STATIC_CALL(guest_state, *((struct guest_callbacks *)0)->state);
DECLARE_STATIC_CALL(keys_seal, *key_sources[0].ops->seal);
DECLARE_STATIC_CALL(last_line, *pmu.set_period);

static inline unsigned int guest_state(void)
{
	return static_call(guest_state)();
}

#endif
