/* SPDX-License-Identifier: MIT */
/*
 * Threads call while the main one updates; what each update said, and what the runtime counted.
 *
 * usage: host_update [-t CALLERS] [-r ROUNDS] [-m] [-s] STATE...
 * -m: PR_SET_MDWE, -s: mseal all of the program's text, both once the threads run. So is confine(), with what the
 * environment variable CONFINE says.
 */
#define _GNU_SOURCE
#include <link.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host_sites.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif
#define REFUSE_EXEC_GAIN 1ul
#define SYSCALL_MSEAL 462
#define MOST 8

DEFINE_STATIC_CALL(key, target_a);
#ifdef FEW_SITES
DEFINE_CALLS(key, SITES3(key))
#else
DEFINE_CALLS(key, SITES16(key))
#endif

int confine(const char *rules);

static unsigned long wrong, calls;
static bool stop;
static pthread_barrier_t started;

static void *caller(void *unused)
{
	unsigned long mine = 0, bad = calls_of_key(NULL, NULL);

	pthread_barrier_wait(&started);
	for (; !__atomic_load_n(&stop, __ATOMIC_RELAXED); mine++)
		bad += calls_of_key(NULL, NULL);
	__atomic_fetch_add(&calls, mine, __ATOMIC_RELAXED);
	__atomic_fetch_add(&wrong, bad, __ATOMIC_RELAXED);
	return unused;
}

/* Seal the program's executable segments; no new system call is an old kernel. */
static int seal_text(struct dl_phdr_info *info, size_t size, void *sealed)
{
	(void)size;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		unsigned long start = (info->dlpi_addr + header->p_vaddr) & ~4095ul;
		unsigned long end = (info->dlpi_addr + header->p_vaddr + header->p_memsz + 4095) & ~4095ul;

		if (header->p_type == PT_LOAD && header->p_flags & PF_X)
			*(bool *)sealed = !syscall(SYSCALL_MSEAL, start, end - start, 0);
	}
	return 1; /* the first object is the program */
}

static void restrict_it(bool mdwe, bool seal)
{
	const char *rules = getenv("CONFINE");
	bool sealed = false;

	far_target(); /* while it can still be made */
	if (seal) {
		dl_iterate_phdr(seal_text, &sealed);
		printf("sealed %d\n", sealed);
	}
	if (mdwe && prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0))
		exit(3);
	if (rules && confine(rules))
		exit(4);
}

static const struct state *update(const struct state *now, const struct state *next)
{
	int error = static_call_update(key, target_of(next));

	printf("to %s %d\n", next->name, error);
	now = error ? now : next;
	__atomic_fetch_add(&wrong, calls_of_key(now, now) + (static_call_query(key) != target_of(now)), __ATOMIC_RELAXED);
	return now;
}

static void report(void)
{
	struct static_call_statistics s;
	struct static_call_failure failure;

	static_call_statistics(&s);
	static_call_last_failure(&failure);
	printf("wrong %lu\ncalls %lu\nsites %lu\nwrite %lu\nwithout_mprotect %lu\nsignalled %lu\nwithout_int3 %lu\n"
	       "kept_calls %lu\natomic_pokes %lu\nint3_pokes %lu\nsynchronisations %lu\ntraps %lu\nfailure %s\n",
	       wrong, calls, s.sites, s.write, s.without_mprotect, s.signalled, s.without_int3, s.kept_calls, s.atomic_pokes,
	       s.int3_pokes, s.synchronisations, s.traps, failure.what);
}

int main(int argc, char **argv)
{
	const struct state *now = &states[A];
	int option, callers = 2, rounds = 1;
	bool mdwe = false, seal = false;
	pthread_t threads[MOST];

	while ((option = getopt(argc, argv, "t:r:ms")) > 0) {
		callers = option == 't' ? atoi(optarg) : callers;
		rounds = option == 'r' ? atoi(optarg) : rounds;
		mdwe |= option == 'm';
		seal |= option == 's';
	}
	if (callers > MOST || pthread_barrier_init(&started, NULL, (unsigned)callers + 1))
		return 2;
	for (int i = 0; i < callers; i++)
		if (pthread_create(&threads[i], NULL, caller, NULL))
			return 2;
	pthread_barrier_wait(&started);
	restrict_it(mdwe, seal);
	for (int round = 0; round < rounds; round++)
		for (int i = optind; i < argc; i++)
			now = update(now, state_named(argv[i]));
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < callers; i++)
		pthread_join(threads[i], NULL);
	report();
	return wrong != 0;
}
