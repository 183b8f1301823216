/* SPDX-License-Identifier: MIT */
VM_OP(get_cpl)
VM_OP(smi_allowed)
VM_OP(get_rflags)
VM_OP(get_mask)
VM_OP_OPTIONAL_RET0(has_events)

#undef VM_OP
#undef VM_OP_OPTIONAL_RET0
