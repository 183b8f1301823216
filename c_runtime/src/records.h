/* SPDX-License-Identifier: MIT */
/*
 * The tables that static_call_x86_64.h emits, as they lie in an object. Every field is relative to its own
 * address, so that the tables need no dynamic relocation; `key` leads to the GOT slot that holds the key's address.
 */
#ifndef STATIC_CALL_RECORDS_H
#define STATIC_CALL_RECORDS_H

#include <stdint.h>

struct site_record {
	int32_t site;
	uint32_t prefixes; /* cs prefixes before the five-byte core: 1 compact, 3 aligned */
	int32_t key;
};

struct key_record {
	int32_t tramp;
	int32_t slot;
	uint32_t reserved;
	int32_t key;
};

#define RECORD_ADDRESS(field) ((uintptr_t)&(field) + (uintptr_t)(intptr_t)(field))

#endif
