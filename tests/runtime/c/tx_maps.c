/* SPDX-License-Identifier: MIT */
/*
 * W^X: a thread reads /proc/self/maps all the time while another updates. Between updates no page is writable and
 * executable, and no key is writable; during one text is, for a moment. With "mem" (a seccomp filter refuses to make
 * text writable, so that it is written by /proc/self/mem) none is ever.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <static_call.h>
#include <static_call_runtime.h>

#define UPDATES 90

static int one(void) { return 1; }
static int two(void) { return 2; }
static void nothing(void) { }
DEFINE_STATIC_CALL(key, one);
DEFINE_STATIC_CALL_NULL(hook, nothing);

/* Odd during an update; how many readings found what, and how many there were between updates. */
static unsigned sequence;
static unsigned long during, between, calm, readings, writable_keys;
static int stop;

static int is_of_key(uintptr_t start, uintptr_t end)
{
	return (uintptr_t)&STATIC_CALL_KEY(key) >= start && (uintptr_t)&STATIC_CALL_KEY(key) < end;
}

/* How many mappings are writable and executable now; counts those of the key that are writable in `keys`. */
static unsigned long read_maps(unsigned long *keys)
{
	static char text[1 << 17];
	unsigned long found = 0;
	size_t length = 0;
	ssize_t got;
	int fd = open("/proc/self/maps", O_RDONLY);

	while ((got = read(fd, text + length, sizeof(text) - 1 - length)) > 0)
		length += (size_t)got;
	close(fd);
	text[length] = 0;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		unsigned long start, end;
		char flags[5];

		if (sscanf(line, "%lx-%lx %4s", &start, &end, flags) != 3)
			return 1;
		found += flags[1] == 'w' && flags[2] == 'x';
		*keys += flags[1] == 'w' && is_of_key(start, end);
	}
	return found;
}

static void *reader(void *unused)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		unsigned before = __atomic_load_n(&sequence, __ATOMIC_SEQ_CST);
		unsigned long keys = 0, found = read_maps(&keys);

		if (before % 2 == 0 && before == __atomic_load_n(&sequence, __ATOMIC_SEQ_CST)) {
			between += found != 0;
			writable_keys += keys;
			calm++;
		} else {
			during += found != 0;
		}
		__atomic_fetch_add(&readings, 1, __ATOMIC_SEQ_CST);
	}
	return unused;
}

/* Until the reader has read once from beginning to end. */
static void let_read(void)
{
	unsigned long now = __atomic_load_n(&readings, __ATOMIC_SEQ_CST);

	while (__atomic_load_n(&readings, __ATOMIC_SEQ_CST) < now + 2)
		sched_yield();
}

static int update(int i)
{
	int error;

	__atomic_fetch_add(&sequence, 1, __ATOMIC_SEQ_CST);
	error = static_call_update(key, i & 1 ? one : two);
	if (!error)
		error = static_call_update(hook, i & 1 ? NULL : nothing);
	/* And one that is refused for its target. */
	if (!error && static_call_update(key, (int (*)(void))(void *)&sequence) != -EFAULT)
		error = 1;
	__atomic_fetch_add(&sequence, 1, __ATOMIC_SEQ_CST);
	return error;
}

/* mprotect that makes text writable (and what else may be executed) fails with EACCES. */
static int refuse_mprotect(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, PROT_WRITE | PROT_EXEC),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROT_WRITE | PROT_EXEC, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(*filter), filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int updates(int by_memory)
{
	struct static_call_statistics statistics;

	for (int i = 0; i < UPDATES; i++) {
		if (update(i))
			return 3;
		static_call_cond(hook)();
		if (static_call(key)() != (i & 1 ? 1 : 2))
			return 4;
		if (i % 3 == 0)
			let_read();
	}
	static_call_statistics(&statistics);
	return statistics.write != (by_memory ? STATIC_CALL_WRITE_PROC_MEM : STATIC_CALL_WRITE_MPROTECT) ? 5 : 0;
}

int main(int argc, char **argv)
{
	int by_memory = argc > 1 && !strcmp(argv[1], "mem"), failed;
	unsigned long keys = 0;
	pthread_t thread;

	if (by_memory && refuse_mprotect())
		return 1;
	if (read_maps(&keys) || keys)
		return 2;
	if (pthread_create(&thread, NULL, reader, NULL))
		return 1;
	failed = updates(by_memory);
	/* During a write, one more look is sure to fall into many updates. */
	for (int i = 0; !failed && !by_memory && !__atomic_load_n(&during, __ATOMIC_RELAXED) && i < 1000000; i++)
		failed = update(i);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	if (failed)
		return failed;
	printf("readings %lu calm %lu during %lu between %lu keys %lu\n", readings, calm, during, between, writable_keys);
	if (between || writable_keys || calm < UPDATES / 3)
		return 6;
	if (by_memory ? during != 0 : !during)
		return 7;
	return read_maps(&keys) || keys ? 8 : 0;
}
