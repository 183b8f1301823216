/* SPDX-License-Identifier: MIT */
/* The linked objects of the process: each hands over its tables before main or in dlopen, and takes them back. */
#include "runtime.h"

#include <pthread.h>

/*
 * The update lock: objects, index and pokes change under it alone. It checks for errors, so that an update from a
 * signal handler that interrupted an update is told -EDEADLK instead of waiting for itself.
 */
static pthread_mutex_t update_lock = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;

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
	pthread_mutex_lock(&update_lock);
	if (!object->registered) {
		object->registered = 1;
		object->next = registry.first;
		registry.first = object;
		registry.generation++;
		sync_register();
	}
	pthread_mutex_unlock(&update_lock);
}

void __static_call_rt_unregister(struct __static_call_object *object)
{
	pthread_mutex_lock(&update_lock);
	for (struct __static_call_object **link = &registry.first; *link; link = &(*link)->next)
		if (*link == object) {
			*link = object->next;
			object->registered = 0;
			registry.generation++;
			index_forget(object);
			break;
		}
	pthread_mutex_unlock(&update_lock);
}
