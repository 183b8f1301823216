/* SPDX-License-Identifier: MIT */
/* Updates and transactions, the same whether the keys are patched or plain. Included by static_call.h. */
#ifndef STATIC_CALL_H
#error "include static_call.h instead"
#endif

#include "static_call_object.h"

/* Where nothing is patched this is all there is to a seal; the runtime, if the program has one, has its own. */
__attribute__((__weak__)) int __static_call_sealed __SC_VISIBLE = 0;

static __inline__ __attribute__((__unused__)) int
__static_call_commit(const struct static_call_change *changes, static_call_size count)
{
	static_call_size i;

	for (i = 0; i < count; i++)
		if (changes[i].key->object)
			return changes[i].key->object->commit(changes, count);
	if (__atomic_load_n(&__static_call_sealed, __ATOMIC_ACQUIRE))
		return -1; /* -EPERM */
	for (i = 0; i < count; i++)
		__atomic_store_n(&changes[i].key->func, changes[i].func, __ATOMIC_RELEASE);
	return 0;
}

static __inline__ __attribute__((__unused__)) int __static_call_update(struct static_call_key *key, void *tramp,
								      void *func)
{
	struct static_call_change change;

	(void)tramp;
	change.key = key;
	change.func = __extension__(static_call_fn) func;
	return __static_call_commit(&change, 1);
}

static __inline__ __attribute__((__unused__)) int static_call_init(void)
{
	return __static_call_rt_init ? __static_call_rt_init() : 0;
}

static __inline__ __attribute__((__unused__)) int static_call_seal(void)
{
	int error = __static_call_rt_seal ? __static_call_rt_seal() : 0;

	if (!error)
		__atomic_store_n(&__static_call_sealed, 1, __ATOMIC_RELEASE);
	return error;
}

static __inline__ __attribute__((__unused__)) void static_call_begin(struct static_call_transaction *transaction)
{
	transaction->changes = 0;
	transaction->count = transaction->room = 0;
	transaction->error = 0;
}

static __inline__ __attribute__((__unused__)) void static_call_abort(struct static_call_transaction *transaction)
{
	__builtin_free(transaction->changes);
	static_call_begin(transaction);
}

static __inline__ __attribute__((__unused__)) int static_call_commit(struct static_call_transaction *transaction)
{
	int error = transaction->error;

	if (!error)
		error = __static_call_commit(transaction->changes, transaction->count);
	static_call_abort(transaction);
	return error;
}

static __inline__ __attribute__((__unused__)) int __static_call_queue(struct static_call_transaction *transaction,
								     struct static_call_key *key, static_call_fn func)
{
	static_call_size room = transaction->room;

	if (transaction->count == room) {
		struct static_call_change *changes;

		room = room ? 2 * room : 16;
		changes = (struct static_call_change *)__builtin_realloc(transaction->changes, room * sizeof(*changes));
		if (!changes)
			return transaction->error = -12; /* -ENOMEM */
		transaction->changes = changes;
		transaction->room = room;
	}
	transaction->changes[transaction->count].key = key;
	transaction->changes[transaction->count].func = func;
	transaction->count++;
	return 0;
}
