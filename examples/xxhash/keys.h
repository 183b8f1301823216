/* SPDX-License-Identifier: MIT */
/*
 * Stands in xxh_x86dispatch.c where the two tables of chosen pointers were: one key for each of their members.
 *
 * A key's first target looks at the processor, by XXH_setDispatch(), and calls again. So a program that never
 * hashes pays nothing at its start, and one that does never tests for NULL.
 */
#include <static_call.h>
#include <stdlib.h>

#include "choose.h"

static void XXH_setDispatch(void);

#define KEY(result, key, params, args) \
	static result key##_first params; \
	DECLARE_STATIC_CALL(key, key##_first); \
	static result key##_first params \
	{ \
		XXH_setDispatch(); \
		return static_call(key) args; \
	} \
	DEFINE_STATIC_CALL(key, key##_first);

#define INPUT const void *input, size_t len
#define SECRET const void *secret, size_t secretLen

KEY(XXH64_hash_t, xxh_hashLong64_default, (INPUT), (input, len))
KEY(XXH64_hash_t, xxh_hashLong64_seed, (INPUT, XXH64_hash_t seed), (input, len, seed))
KEY(XXH64_hash_t, xxh_hashLong64_secret, (INPUT, SECRET), (input, len, secret, secretLen))
KEY(XXH_errorcode, xxh_update, (XXH3_state_t *state, INPUT), (state, input, len))
KEY(XXH128_hash_t, xxh128_hashLong128_default, (INPUT), (input, len))
KEY(XXH128_hash_t, xxh128_hashLong128_seed, (INPUT, XXH64_hash_t seed), (input, len, seed))
KEY(XXH128_hash_t, xxh128_hashLong128_secret, (INPUT, SECRET), (input, len, secret, secretLen))
KEY(XXH_errorcode, xxh128_update, (XXH3_state_t *state, INPUT), (state, input, len))

#undef KEY
#undef INPUT
#undef SECRET

int xxh_choose(int implementation)
{
	const XXH_dispatchFunctions_s *f = &XXH_kDispatch[implementation];
	const XXH_dispatch128Functions_s *f128 = &XXH_kDispatch128[implementation];
	int err = static_call_update(xxh_hashLong64_default, f->hashLong64_default);

	if (!err)
		err = static_call_update(xxh_hashLong64_seed, f->hashLong64_seed);
	if (!err)
		err = static_call_update(xxh_hashLong64_secret, f->hashLong64_secret);
	if (!err)
		err = static_call_update(xxh_update, f->update);
	if (!err)
		err = static_call_update(xxh128_hashLong128_default, f128->hashLong128_default);
	if (!err)
		err = static_call_update(xxh128_hashLong128_seed, f128->hashLong128_seed);
	if (!err)
		err = static_call_update(xxh128_hashLong128_secret, f128->hashLong128_secret);
	if (!err)
		err = static_call_update(xxh128_update, f128->update);
	return err;
}
