/* SPDX-License-Identifier: MIT */
/* kernel-static-call.md section 10, shapes 8 to 14. */
#include "vcpu.h"

#include "check.h"

#define EBUSY 16

struct vm_ops vm_ops;

#define VM_OP(func) DEFINE_STATIC_CALL_NULL(vm_##func, *(((struct vm_ops *)0)->func));
#define VM_OP_OPTIONAL_RET0(func) DEFINE_STATIC_CALL_RET0(vm_##func, *(((struct vm_ops *)0)->func));
#include "vcpu_ops.h"
EXPORT_STATIC_CALL_GPL(vm_get_cpl);

static void lopwr_func(bool in) { (void)in; }
static long lopwr;
static void lopwr_one(bool in) { lopwr = 1 + in; }
static void lopwr_two(bool in) { lopwr = 2 + in; }
DEFINE_STATIC_CALL(perf_lopwr_cb, lopwr_func);

static inline __attribute__((__always_inline__)) void perf_lopwr_cb(bool lopwr_in)
{
	static_call_mod(perf_lopwr_cb)(lopwr_in);
}

static int cpl_one(struct vcpu *vcpu) { return vcpu->cpl + 1; }
static int cpl_two(struct vcpu *vcpu) { return vcpu->cpl + 2; }
static int smi_one(struct vcpu *vcpu, bool inject) { return vcpu->cpl + inject + 1; }
static int smi_two(struct vcpu *vcpu, bool inject) { return vcpu->cpl + inject + 2; }
static unsigned long rflags_one(struct vcpu *vcpu) { return vcpu->on + 1UL; }
static unsigned long rflags_two(struct vcpu *vcpu) { return vcpu->on + 2UL; }
static unsigned long mask_one(struct vcpu *vcpu, unsigned long gfn, bool io) { return 1 + gfn + io + vcpu->on; }
static unsigned long mask_two(struct vcpu *vcpu, unsigned long gfn, bool io) { return 2 + gfn + io + vcpu->on; }
static int events_two(struct vcpu *vcpu) { return vcpu->on; }

/* Shape 14: the call stands in an argument of a macro of macros, which makes a function of it. */
struct entry {
	int reason;
	unsigned long flags;
};
#define TP_STRUCT_ASSIGN(args...) args
#define TRACE_EVENT(name, assign) \
	static void trace_##name(struct entry *__entry, struct vcpu *vcpu) \
	{ \
		assign; \
	}
TRACE_EVENT(exit,
	TP_STRUCT_ASSIGN(
		__entry->reason = vm_call(get_cpl)(vcpu);
		__entry->flags = static_call(vm_get_mask)(vcpu, 4,
							  vcpu->on);
	))

static bool is_io(unsigned long gfn)
{
	return gfn & 1;
}

static int two_in_one_expression(struct vcpu *vcpu)
{
	return vm_call(get_cpl)(vcpu) == 1 ||
	       vm_call(smi_allowed)(vcpu, true) == 5;
}

static int injected(struct vcpu *vcpu, bool can_inject)
{
	int r = can_inject ? vm_call(smi_allowed)(vcpu, true) :
			     -EBUSY;

	return r;
}

static void checks(void)
{
	struct vcpu off = { 2, false }, on = { 3, true }, *vcpu = &on;
	unsigned long spte = 0, gfn = 8;
	struct entry entry;

	if (!static_call_query(vm_get_cpl))
		return;
	unsigned long rflags = vm_call(get_rflags)(vcpu);
	unsigned long access = (vm_call(get_cpl)(&off) == 3) ? 100 : 0;

	check(__LINE__, (long)rflags, 1 + step);
	check(__LINE__, (long)access, step == 1 ? 100 : 0);
	spte |= vm_call(get_mask)(vcpu, gfn,
				  is_io(gfn));
	check(__LINE__, (long)spte, 9 + step);
	check(__LINE__, two_in_one_expression(vcpu), step == 1);
	check(__LINE__, injected(vcpu, true), 4 + step);
	check(__LINE__, injected(vcpu, false), -EBUSY);
	check(__LINE__, has_events(vcpu), step == 1);
	trace_exit(&entry, vcpu);
	check(__LINE__, entry.reason, 3 + step);
	check(__LINE__, (long)entry.flags, 6 + step);
	perf_lopwr_cb(true);
	check(__LINE__, lopwr, 1 + step);
}

static int update_all(void)
{
	int error = 0;

#define VM_OP(func) error |= static_call_update(vm_##func, vm_ops.func);
#define VM_OP_OPTIONAL_RET0(func) \
	error |= static_call_update(vm_##func, (void *)vm_ops.func ? : (void *)__static_call_return0);
#include "vcpu_ops.h"
	return error;
}

static int update(int to)
{
	vm_ops = to == 2 ? (struct vm_ops){ cpl_two, smi_two, rflags_two, mask_two, events_two } :
			   (struct vm_ops){ cpl_one, smi_one, rflags_one, mask_one, NULL };
	return update_all() | static_call_update(perf_lopwr_cb, to == 2 ? lopwr_two : lopwr_one);
}

int main(void)
{
	return run(checks, update);
}
