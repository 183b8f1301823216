/* SPDX-License-Identifier: MIT */
/*
 * The tables that static_call_x86_64.h emits, as they lie in an object. Every field is relative to its own
 * address, so that the tables need no dynamic relocation. `key` and `door` lead to GOT slots: of the key, and of the
 * trampoline as all objects know it (in an executable that is not position-independent that may be a PLT entry). A site
 * names its key by the door, so that who may call need not be able to update.
 */
#ifndef STATIC_CALL_RECORDS_H
#define STATIC_CALL_RECORDS_H

#include <stdint.h>

struct site_record {
	int32_t site;
	int32_t stub; /* 0 but for a call */
	uint32_t layout; /* cs prefixes before the core: 0 bare, 1 compact, else aligned; from bit 8 on: its kind */
	int32_t door;
};

struct key_record {
	int32_t tramp;
	int32_t slot;
	int32_t name; /* a string */
	uint32_t by_slot; /* 1: with -DSTATIC_CALL_SLOTS, its calls go by the slot for good */
	int32_t key;
	uint32_t constant2;
	int32_t door;
};

#define RECORD_ADDRESS(field) ((uintptr_t)&(field) + (uintptr_t)(intptr_t)(field))
/* What the GOT slot has that a `key` or `door` leads to. */
#define RECORD_SLOT(field) (*(void *const *)RECORD_ADDRESS(field))

#endif
