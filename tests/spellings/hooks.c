/* SPDX-License-Identifier: MIT */
/* kernel-static-call.md section 10, shapes 1 to 7 and 23 to 30. */
#include "hooks.h"

#include "check.h"

#define WARN_ON(condition) ({ int warn_ = !!(condition); warn_; })

struct pmu pmu;
static struct key_ops seal_ops;
struct key_source key_sources[1] = { { "first", &seal_ops } };

static int period_one(struct event *event) { return (int)event->count + 1; }
static int period_two(struct event *event) { return (int)event->count + 2; }
static long limits_one(struct event *event, int index, const long *list) { return event->count + index + list[index] + 1; }
static long limits_two(struct event *event, int index, const long *list) { return event->count + index + list[index] + 2; }
static void add_one(struct event *event) { event->count += 1; }
static void add_two(struct event *event) { event->count += 2; }
static void filter_one(struct pmu *which, int cpu, int *ret) { *ret = which == &pmu ? cpu + 1 : -1; }
static void filter_two(struct pmu *which, int cpu, int *ret) { *ret = which == &pmu ? cpu + 2 : -1; }
static unsigned int guest_two(void) { return 2; }
static int seal_one(int length) { return length + 1; }
static int seal_two(int length) { return length + 2; }
static unsigned long long sched_clock_one(void) { return 1; }
static unsigned long long sched_clock_two(void) { return 2; }
static void idle_two(void) {}

typedef void(branch_reset_t)(struct event *event);

DEFINE_STATIC_CALL(pmu_set_period, period_one);
DEFINE_STATIC_CALL(pmu_limits, limits_one);
DEFINE_STATIC_CALL_NULL(pmu_add,  *pmu.add);
DEFINE_STATIC_CALL_NULL(pmu_filter, *pmu.filter);
DEFINE_STATIC_CALL_NULL(branch_reset, branch_reset_t);
EXPORT_STATIC_CALL_TRAMP_GPL(branch_reset);
DEFINE_STATIC_CALL_RET0(guest_state, *((struct guest_callbacks *)0)->state);
EXPORT_STATIC_CALL_GPL(guest_state);
DEFINE_STATIC_CALL_NULL(keys_seal,
			*key_sources[0].ops->seal);
DEFINE_STATIC_CALL(sched_clock, sched_clock_one);
DEFINE_STATIC_CALL_NULL(idle, idle_two);
#define DEFINE_APIC_CALL(cb) DEFINE_STATIC_CALL_NULL(apic_call_##cb, *pmu.cb)
DEFINE_APIC_CALL(add);

static inline void apic_add(struct event *event)
{
	static_call_cond(apic_call_add)(event);
}

static inline unsigned long long clock(void)
{
	return static_call(sched_clock)();
}

static struct selftest {
	struct event event;
	int expect;
} selftests[] = { { { 3 }, 4 }, { { 4 }, 5 } };

static int tail(struct event *event)
{
	return static_call(pmu_set_period)(event);
}

static void tail_in_a_branch(int on, struct event *event)
{
	if (on)
		static_call_cond(branch_reset)(event);
}

static int amd_pstate_update(int a, int b, long c, int d, struct event *e)
{
	(void)a;
	return (int)static_call(pmu_limits)(e, b,
					    (long[]){ c, c, d });
}

static int idle_is_set(void)
{
	return !!static_call_query(idle);
}

static void checks(void)
{
	struct event event = { 10 }, *p = &event;
	long list[] = { 5, 6, 7 };
	int ret = 0;

	for (unsigned i = 0; i < sizeof(selftests) / sizeof(*selftests); i++) {
		struct selftest *scd = &selftests[i];

		check(__LINE__, WARN_ON(static_call(pmu_set_period)(&scd->event) != scd->expect), step != 1);
	}
	check(__LINE__, static_call(pmu_limits)(p, 2, list), 19 + step);
	if (!static_call(pmu_set_period)(p))
		check(__LINE__, 0, 1);
	static_call_cond(pmu_filter)(&pmu, 7, &ret);
	check(__LINE__, ret, static_call_query(pmu_filter) ? 7 + step : 0);
	static_call_cond(pmu_add)(p);
	check(__LINE__, p->count, static_call_query(pmu_add) ? 10 + step : 10);
	p->count = 10;
	check(__LINE__, tail(p), 10 + step);
	tail_in_a_branch(1, p);
	tail_in_a_branch(0, p);
	check(__LINE__, p->count, static_call_query(branch_reset) ? 10 + step : 10);
	p->count = 10;
	apic_add(p);
	check(__LINE__, p->count, static_call_query(apic_call_add) ? 10 + step : 10);
	check(__LINE__, (long)guest_state(), step == 1 ? 0 : 2);
	check(__LINE__, static_call_query(keys_seal) ? static_call(keys_seal)(4) : 4 + step,
	      4 + step);
	check(__LINE__, (long)clock(), step);
	check(__LINE__, static_call_query(sched_clock) == sched_clock_one, step == 1);
	check(__LINE__, idle_is_set(), step == 2);
	p->count = 1;
	check(__LINE__, amd_pstate_update(1, 2, 3, 4, p), 1 + 2 + 4 + step);
	check(__LINE__, static_call(last_line)(p), 1 + step);
}

static int update(int to)
{
	int error = static_call_update(pmu_set_period,
				       to == 2 ? &period_two : &period_one);

	error |= static_call_update(pmu_limits, to == 2 ? limits_two : limits_one);
	error |= static_call_update(pmu_add, to == 2 ? add_two : add_one);
	error |= static_call_update(pmu_filter, to == 2 ? filter_two : filter_one);
	error |= static_call_update(branch_reset, to == 2 ? add_two : NULL);
	error |= static_call_update(apic_call_add, to == 2 ? add_two : add_one);
	error |= static_call_update(guest_state, to == 2 ? (void *)guest_two : (void *)__static_call_return0);
	error |= static_call_update(keys_seal, to == 2 ? seal_two : seal_one);
	error |= static_call_update(sched_clock, to == 2 ? sched_clock_two : sched_clock_one);
	error |= static_call_update(idle, to == 2 ? idle_two : NULL);
	error |= static_call_update(last_line, to == 2 ? period_two : period_one);
	return error;
}

int main(void)
{
	return run(checks, update);
}
