/* SPDX-License-Identifier: MIT */
/*
 *     driver best                        the implementation that suits this processor
 *     driver time                        ns per 256-byte hash, ns per 16-byte streaming update; one thread
 *     driver stress SECONDS [fixed]      threads hash and compare while the implementation is switched under
 *                                        them, or is not (fixed); exits 1 if any result is wrong
 */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define XXH_DISPATCH_DISABLE_REPLACE /* we want both: XXH3_64bits() gives the values to compare with */
#include "xxh_x86dispatch.h"

#include "choose.h"

enum { THREADS = 3, SAMPLES = 16, MAX_LEN = 1200, CHUNK = 16, SEED = 42 };

/* Aligned, or where the linker happens to put it decides whether each vector load straddles two cache lines. */
static _Alignas(64) unsigned char input[MAX_LEN];

static struct sample {
	size_t len;
	XXH64_hash_t plain, seeded;
	XXH128_hash_t wide;
} samples[SAMPLES];

struct worker {
	pthread_t thread;
	unsigned long calls, wrong;
};

static pthread_barrier_t start;
static atomic_bool stop;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static XXH3_state_t *new_state(void)
{
	XXH3_state_t *state = XXH3_createState();

	if (!state)
		abort();
	XXH3_64bits_reset(state);
	return state;
}

/* Lengths above 240, where xxHash dispatches at all; expected values from code that does not dispatch. */
static void make_samples(void)
{
	for (size_t i = 0; i < MAX_LEN; i++)
		input[i] = (unsigned char)(i * i + i / 7);
	for (size_t i = 0; i < SAMPLES; i++) {
		struct sample *s = &samples[i];

		s->len = 241 + i * (MAX_LEN - 241) / (SAMPLES - 1);
		s->plain = XXH3_64bits(input, s->len);
		s->seeded = XXH3_64bits_withSeed(input, s->len, SEED);
		s->wide = XXH3_128bits(input, s->len);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	XXH3_state_t *state = new_state();

	/* All at once: their first calls meet in the targets that replace themselves. */
	pthread_barrier_wait(&start);
	for (unsigned long i = 0; !atomic_load_explicit(&stop, memory_order_relaxed); i++) {
		const struct sample *s = &samples[i % SAMPLES];

		w->wrong += XXH3_64bits_dispatch(input, s->len) != s->plain;
		w->wrong += XXH3_64bits_withSeed_dispatch(input, s->len, SEED) != s->seeded;
		w->wrong += !XXH128_isEqual(XXH3_128bits_dispatch(input, s->len), s->wide);
		w->calls += 3;

		XXH3_64bits_reset(state);
		for (size_t done = 0; done < s->len; done += CHUNK) {
			XXH3_64bits_update_dispatch(state, input + done, s->len - done < CHUNK ? s->len - done : CHUNK);
			w->calls++;
		}
		w->wrong += XXH3_64bits_digest(state) != s->plain;
	}
	XXH3_freeState(state);
	return NULL;
}

static int stress(double seconds, bool fixed)
{
	const struct timespec pause = { .tv_nsec = 30000 };
	const int implementations = XXH_featureTest() + 1;
	struct worker workers[THREADS] = { 0 };
	unsigned long calls = 0, wrong = 0, updates = 0, refused = 0;

	make_samples();
	pthread_barrier_init(&start, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++) {
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i])) {
			perror("pthread_create");
			return 1;
		}
	}
	pthread_barrier_wait(&start);
	const double end = now() + seconds;
	for (int i = 0; now() < end; i++) {
		if (!fixed) {
			int err = xxh_choose(i % implementations);

			updates += err ? 0 : XXH_CHOICES;
			refused += !!err;
		}
		nanosleep(&pause, NULL);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		calls += workers[i].calls;
		wrong += workers[i].wrong;
	}
	printf("calls %lu updates %lu refused %lu wrong %lu\n", calls, updates, refused, wrong);
	return wrong || refused;
}

static void hash_256(XXH3_state_t *state, unsigned long calls)
{
	volatile XXH64_hash_t result;
	XXH64_hash_t sum = 0;

	(void)state;
	while (calls--)
		sum += XXH3_64bits_dispatch(input, 256);
	result = sum;
	(void)result;
}

static void update_16(XXH3_state_t *state, unsigned long calls)
{
	while (calls--)
		XXH3_64bits_update_dispatch(state, input, CHUNK);
}

/* ns per call: the best of several short runs, since whatever else the machine does only adds. */
static double time_calls(void run(XXH3_state_t *, unsigned long))
{
	const unsigned long calls = 50000;
	XXH3_state_t *state = new_state();
	double best = 1e9;

	for (int i = 0; i < 16; i++) {
		const double begin = now();

		run(state, calls);

		const double ns = (now() - begin) * 1e9 / (double)calls;

		best = ns < best ? ns : best;
	}
	XXH3_freeState(state);
	return best;
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "scalar", "sse2", "avx2", "avx512" };
	const char *command = argc > 1 ? argv[1] : "";

	if (!strcmp(command, "best")) {
		puts(names[XXH_featureTest()]);
		return 0;
	}
	if (!strcmp(command, "time")) {
		const double hash = time_calls(hash_256);

		printf("%.3f %.3f\n", hash, time_calls(update_16));
		return 0;
	}
	if (!strcmp(command, "stress") && argc > 2)
		return stress(atof(argv[2]), argc > 3);
	fputs("usage: driver best | time | stress SECONDS [fixed]\n", stderr);
	return 2;
}
