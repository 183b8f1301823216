/* SPDX-License-Identifier: MIT */
/* kernel-static-call.md section 10, shapes 8 to 14: KVM's operations, declared by an X-macro header. */
#ifndef VCPU_H
#define VCPU_H

#include <static_call.h>
#include <stdbool.h>

struct vcpu {
	int cpl;
	bool on;
};
struct vm_ops {
	int (*get_cpl)(struct vcpu *vcpu);
	int (*smi_allowed)(struct vcpu *vcpu, bool for_injection);
	unsigned long (*get_rflags)(struct vcpu *vcpu);
	unsigned long (*get_mask)(struct vcpu *vcpu, unsigned long gfn, bool is_io);
	int (*has_events)(struct vcpu *vcpu);
};
extern struct vm_ops vm_ops;

#define VM_OP(func) DECLARE_STATIC_CALL(vm_##func, *(((struct vm_ops *)0)->func));
#define VM_OP_OPTIONAL_RET0 VM_OP
#include "vcpu_ops.h"

#define vm_call(func) static_call(vm_##func)

static inline int has_events(struct vcpu *vcpu)
{
	return vcpu->on && !vm_call(has_events)(vcpu);
}

#endif
