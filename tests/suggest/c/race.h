/* SPDX-License-Identifier: MIT */
/* Threads that call run() while another calls set(): run() answers `right` with the pointer on and off. */
#ifndef RACE_H
#define RACE_H
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>

enum { CALLERS = 2, TURNS = 1000 };
static int stop;

void set(int on);
int run(int x);

static void *caller(void *wrong)
{
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
		*(long *)wrong += run(1) != 0;
	return NULL;
}

int main(void)
{
	pthread_t threads[CALLERS];
	long wrong[CALLERS] = { 0 }, sum = 0;

	for (int i = 0; i < CALLERS; i++)
		pthread_create(&threads[i], NULL, caller, &wrong[i]);
	for (int i = 0; i < TURNS; i++)
		set(i & 1);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < CALLERS; i++) {
		pthread_join(threads[i], NULL);
		sum += wrong[i];
	}
	set(1);
	printf("%d %ld\n", run(0), sum);
	return 0;
}
#endif
