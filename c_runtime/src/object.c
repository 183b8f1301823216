/* SPDX-License-Identifier: MIT */
/* The linked objects of the process: each hands over its tables before main or in dlopen, and takes them back. */
#include "runtime.h"

#include <pthread.h>

static pthread_mutex_t update_lock = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;

static int update_begin(sigset_t *blocked)
{
	static const int own[] = { SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
	sigset_t all;
	int error;

	sigfillset(&all);
	for (unsigned i = 0; i < sizeof(own) / sizeof(*own); i++)
		sigdelset(&all, own[i]);
	pthread_sigmask(SIG_BLOCK, &all, blocked);
	error = -pthread_mutex_lock(&update_lock);
	if (error)
		pthread_sigmask(SIG_SETMASK, blocked, NULL);
	return error;
}

static void update_end(const sigset_t *blocked)
{
	pthread_mutex_unlock(&update_lock);
	pthread_sigmask(SIG_SETMASK, blocked, NULL);
}

/* A fork waits for the update that is under way; the child's one thread is not the one that the lock remembers. */
static sigset_t fork_blocked;

static void fork_prepare(void)
{
	sigset_t blocked;

	if (!update_begin(&blocked))
		fork_blocked = blocked;
}

static void fork_parent(void)
{
	sigset_t blocked = fork_blocked;

	update_end(&blocked);
}

static void fork_child(void)
{
	static const pthread_mutex_t fresh = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;

	update_lock = fresh;
	pthread_sigmask(SIG_SETMASK, &fork_blocked, NULL);
}

static struct {
	struct __static_call_object *first;
	unsigned long generation;
} registry;

static struct __static_call_object *objects(void)
{
	return registry.first;
}

static unsigned long objects_generation(void)
{
	return registry.generation;
}

static bool objects_return0(static_call_fn func)
{
	if (func == (static_call_fn)__static_call_return0)
		return true;
	for (const struct __static_call_object *object = registry.first; object; object = object->next)
		if (object->return0 == func)
			return true;
	return false;
}

void __static_call_rt_register(struct __static_call_object *object)
{
	static bool first = true;
	sigset_t blocked;

	if (update_begin(&blocked))
		return;
	if (first) {
		first = false;
		pthread_atfork(fork_prepare, fork_parent, fork_child);
	}
	if (!object->registered) {
		object->registered = 1;
		object->next = registry.first;
		registry.first = object;
		registry.generation++;
		sync_register();
		update_arrivals(object);
	}
	update_end(&blocked);
}

void __static_call_rt_unregister(struct __static_call_object *object)
{
	sigset_t blocked;

	if (update_begin(&blocked))
		return;
	for (struct __static_call_object **link = &registry.first; *link; link = &(*link)->next)
		if (*link == object) {
			*link = object->next;
			object->registered = 0;
			registry.generation++;
			index_forget(object);
			break;
		}
	update_end(&blocked);
}
