/* SPDX-License-Identifier: MIT */
/*
 * Worker threads checksum messages while the main thread keeps changing the implementation under them and
 * switching a trace hook on and off. Every result is compared with the one that was worked out beforehand.
 */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "checksum.h"

enum { WORKERS = 3, MESSAGES = 64, MAX_LEN = 96 };

static struct message {
	size_t len;
	uint32_t crc;
	unsigned char data[MAX_LEN];
} messages[MESSAGES];

struct worker {
	pthread_t thread;
	unsigned long calls, wrong;
};

static pthread_barrier_t start;
static atomic_bool stop;
static atomic_ulong traced, traced_wrong;

/* The hook: NULL, a nop, in production; a function while somebody is looking. */
static void trace_message(const struct message *m, uint32_t crc)
{
	atomic_fetch_add_explicit(&traced, 1, memory_order_relaxed);
	if (crc != m->crc)
		atomic_fetch_add_explicit(&traced_wrong, 1, memory_order_relaxed);
}
DEFINE_STATIC_CALL_NULL(trace, trace_message);

static void *work(void *arg)
{
	struct worker *w = arg;

	/* All at once, so that their first calls meet in the target that replaces itself. */
	pthread_barrier_wait(&start);
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		const struct message *m = &messages[w->calls++ % MESSAGES];
		uint32_t crc = checksum(m->data, m->len);

		w->wrong += crc != m->crc;
		static_call_cond(trace)(m, crc);
	}
	return NULL;
}

static void make_messages(void)
{
	uint32_t random = 1;

	for (int i = 0; i < MESSAGES; i++) {
		struct message *m = &messages[i];

		m->len = (size_t)i * MAX_LEN / (MESSAGES - 1);
		for (size_t j = 0; j < m->len; j++) {
			random = random * 1664525 + 1013904223;
			m->data[j] = (unsigned char)(random >> 24);
		}
		m->crc = crc32c_bitwise(0, m->data, m->len);
	}
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Changes the implementation, and the hook every eighth time, about ten thousand times a second. */
static void control(double seconds, unsigned long *updates, unsigned long *refused)
{
	const struct timespec pause = { .tv_nsec = 30000 };
	const double end = now() + seconds;
	crc32c_fn *list[CRC32C_IMPLS];
	const size_t n = crc32c_available(list);

	for (unsigned long i = 0; now() < end; i++) {
		int err = static_call_update(crc32c, list[i % n]);

		if (!err && i % 8 == 0) {
			err = static_call_update(trace, static_call_query(trace) ? NULL : trace_message);
			*updates += !err;
		}
		*updates += !err;
		*refused += !!err;
		nanosleep(&pause, NULL);
	}
}

int main(int argc, char **argv)
{
	const double seconds = argc > 1 ? atof(argv[1]) : 1.0;
	struct worker workers[WORKERS] = { 0 };
	unsigned long calls = 0, wrong = 0, updates = 0, refused = 0;

	/* Otherwise a key's calls are directed by its first update, and a hook that never has one is no nop. */
	if (static_call_init()) {
		fputs("static_call_init failed\n", stderr);
		return 1;
	}
	make_messages();
	pthread_barrier_init(&start, NULL, WORKERS + 1);
	for (int i = 0; i < WORKERS; i++) {
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i])) {
			perror("pthread_create");
			return 1;
		}
	}
	pthread_barrier_wait(&start);
	control(seconds, &updates, &refused);
	atomic_store(&stop, true);
	for (int i = 0; i < WORKERS; i++) {
		pthread_join(workers[i].thread, NULL);
		calls += workers[i].calls;
		wrong += workers[i].wrong;
	}
	wrong += traced_wrong;

	printf("calls %lu updates %lu refused %lu hook-runs %lu wrong %lu\n", calls, updates, refused, traced, wrong);
	return wrong || refused;
}
