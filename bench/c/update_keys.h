/* SPDX-License-Identifier: MIT */
/* The keys of update_sites.S, how many sites each has, and the many keys of a transaction. */
#ifndef BENCH_UPDATE_KEYS_H
#define BENCH_UPDATE_KEYS_H

#include <static_call.h>
#include <static_call_runtime.h>

void first(void);
void second(void);
DECLARE_STATIC_CALL(one, first);
DECLARE_STATIC_CALL(hundred, first);
DECLARE_STATIC_CALL(ten_thousand, first);
DECLARE_STATIC_CALL(million, first);

/* All sites of the key, one call behind the other. */
void run_one(void);
void run_hundred(void);
void run_ten_thousand(void);

extern void (*const __start_bench_chunks[])(void), (*const __stop_bench_chunks[])(void);
static inline void run_million(void)
{
	for (void (*const *chunk)(void) = __start_bench_chunks; chunk < __stop_bench_chunks; chunk++)
		(*chunk)();
}

extern struct static_call_key *const many_keys[];
extern const unsigned long many_count;

#endif
