/* SPDX-License-Identifier: MIT */
/* kernel-static-call.md section 10, shapes 15, 16, 26, 27: functions that macros make, and what is in them. */
#include <static_call.h>

#include "check.h"

struct tracepoint {
	const char *name;
	struct static_call_key *static_call_key;
	void *static_call_tramp;
	void *iterator;
	int enabled;
};

#ifdef STATIC_CALL_INSTRUMENTED
#define TRAMP_OF(name) ((void *)&STATIC_CALL_TRAMP(name))
#else
#define TRAMP_OF(name) NULL
#endif

static long heard;

/* Shape 15: the arguments are a macro's parameter, which holds a list; the definition ends a macro. */
#define DECLARE_TRACE(name, proto, args) \
	int __traceiter_##name(void *__data, proto); \
	DECLARE_STATIC_CALL(tp_func_##name, __traceiter_##name); \
	extern struct tracepoint __tracepoint_##name; \
	static inline void __do_trace_##name(proto) \
	{ \
		void *__data = &heard; \
		if (__tracepoint_##name.enabled) \
			static_call(tp_func_##name)(__data, args); \
	} \
	static inline void trace_##name(proto) \
	{ \
		__do_trace_##name(args); \
	}
#define DEFINE_TRACE_FN(_name, _value) \
	struct tracepoint __tracepoint_##_name = { \
		.name = #_name, \
		.static_call_key = &STATIC_CALL_KEY(tp_func_##_name), \
		.static_call_tramp = TRAMP_OF(tp_func_##_name), \
		.iterator = &__traceiter_##_name, \
		.enabled = 1, \
	}; \
	int __traceiter_##_name(void *__data, long a, long b) \
	{ \
		*(long *)__data = a * 10 + b + (_value); \
		return 0; \
	} \
	DEFINE_STATIC_CALL(tp_func_##_name, __traceiter_##_name);
#define TP_PROTO(args...) args
#define TP_ARGS(args...) args

DECLARE_TRACE(moved, TP_PROTO(long from, long to), TP_ARGS(from, to))
DEFINE_TRACE_FN(moved, 1)

static int probe_two(void *data, long a, long b)
{
	*(long *)data = a * 10 + b + 2;
	return 0;
}

/* Shape 16: a dispatcher, called by a macro that names its function's own parameters; updated by pointers alone. */
typedef unsigned int (*bpf_func_t)(const void *ctx, const int *insnsi);
#define BPF_DISPATCHER_CALL(name) static_call(bpf_dispatcher_##name##_call)(ctx, insnsi, bpf_func)
#define DEFINE_BPF_DISPATCHER(name) \
	static unsigned int bpf_dispatcher_##name##_nop(const void *ctx, const int *insnsi, bpf_func_t bpf_func) \
	{ \
		return bpf_func(ctx, insnsi); \
	} \
	DEFINE_STATIC_CALL(bpf_dispatcher_##name##_call, bpf_dispatcher_##name##_nop); \
	static unsigned int bpf_dispatcher_##name##_func(const void *ctx, const int *insnsi, bpf_func_t bpf_func) \
	{ \
		return BPF_DISPATCHER_CALL(name); \
	}
#define bpf_dispatcher_update(name, addr) \
	__static_call_update(&STATIC_CALL_KEY(bpf_dispatcher_##name##_call), TRAMP_OF(bpf_dispatcher_##name##_call), \
			     (void *)(addr))
DEFINE_BPF_DISPATCHER(xdp)

static unsigned int bpf_one(const void *ctx, const int *insnsi)
{
	return (unsigned int)(*(const int *)ctx + *insnsi + 1);
}

static unsigned int dispatch_two(const void *ctx, const int *insnsi, bpf_func_t bpf_func)
{
	return bpf_func(ctx, insnsi) + 1;
}

/* Shape 27: inside of a function that a macro with types and names makes; the target's address as data. */
struct insn {
	unsigned char code;
	void *imm;
};
#define BPF_EMIT_CALL(func) ((struct insn){ .code = 0x85, .imm = (void *)(func) })
#define BPF_CALL_3(name, t1, a1, t2, a2, t3, a3) static long name(t1 a1, t2 a2, t3 a3)

static int snapshot_one(long *entries, unsigned int count)
{
	entries[0] = count + 1L;
	return (int)count;
}
static int snapshot_two(long *entries, unsigned int count)
{
	entries[0] = count + 2L;
	return (int)count;
}
DEFINE_STATIC_CALL(perf_snapshot, snapshot_one);

BPF_CALL_3(bpf_get_branch_snapshot, long *, buf, unsigned int, size, unsigned long, flags)
{
	if (flags)
		return -22;
	return static_call(perf_snapshot)(buf, size);
}

/* Shape 26. */
#define CONFIG_DYNAMIC_FTRACE
#ifdef CONFIG_DYNAMIC_FTRACE
static int graph_one(long *trace, long ops) { return *trace + ops + 1 == 4; }
static int graph_two(long *trace, long ops) { return *trace + ops + 2 == 4; }
DEFINE_STATIC_CALL(fgraph_func, graph_one);
#endif

static int graph(long at)
{
	long trace = at;

#ifdef CONFIG_DYNAMIC_FTRACE
	if (static_call(fgraph_func)(&trace, 1))
#else
	if (static_call(fgraph_loop)(&trace))
#endif
		return 1;
	return 0;
}

static void checks(void)
{
	int ctx = 40, insn = 5;
	long entries[1];
	struct insn emitted = BPF_EMIT_CALL(static_call_query(perf_snapshot));

	heard = 0;
	trace_moved(4, 7);
	check(__LINE__, heard, 47 + step);
	check(__LINE__, (long)bpf_dispatcher_xdp_func(&ctx, &insn, bpf_one), 45 + step);
	check(__LINE__, emitted.imm == (step == 2 ? (void *)snapshot_two : (void *)snapshot_one), 1);
	check(__LINE__, bpf_get_branch_snapshot(entries, 9, 0), 9);
	check(__LINE__, entries[0], 9 + step);
	check(__LINE__, bpf_get_branch_snapshot(entries, 9, 1), -22);
	check(__LINE__, graph(2), step == 1);
	check(__LINE__, graph(1), step == 2);
}

static int update(int to)
{
	int error = static_call_update(tp_func_moved, to == 2 ? probe_two : __traceiter_moved);

	error |= bpf_dispatcher_update(xdp, to == 2 ? dispatch_two : bpf_dispatcher_xdp_nop);
	error |= static_call_update(perf_snapshot, to == 2 ? snapshot_two : snapshot_one);
	error |= static_call_update(fgraph_func, to == 2 ? graph_two : graph_one);
	return error;
}

int main(void)
{
	return run(checks, update);
}
