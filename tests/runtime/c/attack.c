/* SPDX-License-Identifier: MIT */
/*
 * Somebody who can write to all writable memory, and calls nothing, tries to make the runtime write text, change a
 * protection or call a function. One word of the runtime's own data after the other gets each of some hostile values, in
 * a child; then the program does what programs do. The child may hang or die, but nothing else may come of it.
 *
 * usage: attack open|sealed ADDRESS:SIZE...    the runtime's variables, from the program's start
 * Prints how many words were writable, and how many attempts ended in what way.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <static_call.h>
#include <static_call_runtime.h>

static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }
static int far_from_it(int x) { return x + 3; }
DEFINE_STATIC_CALL(key, one);
#define CALL(n) __attribute__((__noinline__)) static int call##n(int x) { return static_call(key)(x) + n; }
CALL(1) CALL(2) CALL(3) CALL(4) CALL(5) CALL(6) CALL(7) CALL(8) CALL(9) CALL(10) CALL(11) CALL(12) CALL(13) CALL(14)
static int (*const calls[])(int) = { call1, call2, call3, call4, call5, call6, call7, call8, call9, call10, call11, call12,
				     call13, call14 };

/* What nobody may change: never updated, so every byte of it is the linker's. */
__attribute__((__noinline__, __aligned__(4096))) int victim(int x);
__attribute__((__noinline__, __aligned__(4096))) int victim(int x) { return 3 * x; }

enum { FINE, TURNED = 40, OPENED, WRITTEN, WRONG };

static void attacker(void) { _exit(TURNED); }

static void on_trap(int signal) { (void)signal; }

/* ---- what is to stay as it is ---- */

static struct { char text[1 << 16]; size_t length; } before, after;

/* Executable mappings, and whether any is writable. */
static void read_maps(char *text, size_t *length)
{
	char line[512];
	int file = open("/proc/self/maps", O_RDONLY);
	FILE *maps = fdopen(file, "r");

	*length = 0;
	while (maps && fgets(line, sizeof(line), maps)) {
		unsigned long start, end;
		char rights[5];

		if (sscanf(line, "%lx-%lx %4s", &start, &end, rights) == 3 && rights[2] == 'x')
			*length += (size_t)snprintf(text + *length, sizeof(before.text) - *length, "%lx-%lx %s\n", start, end, rights);
	}
	if (maps)
		fclose(maps);
}

static unsigned sum_of(const void *start, size_t size)
{
	const unsigned char *bytes = start;
	unsigned sum = 0;

	for (size_t i = 0; i < size; i++)
		sum = sum * 31 + bytes[i];
	return sum;
}

/* ---- hostile values ---- */

/* Looks like a poke of the victim, a range of its page, an object, a list of them: whatever it is taken for. */
static uint64_t forged[512] __attribute__((__aligned__(4096)));

static void forge(void)
{
	const uint64_t words[] = { (uintptr_t)victim, 0x1234567890abcdef, 0xcccccccccccccccc, (uintptr_t)attacker, 8, 4096,
				   (uintptr_t)victim + 4096, 5, (uintptr_t)forged };

	for (size_t i = 0; i < sizeof(forged) / sizeof(*forged); i++)
		forged[i] = words[i % (sizeof(words) / sizeof(*words))];
}

static uint64_t value(unsigned number)
{
	const uint64_t values[] = { ~0ull, 1, (uintptr_t)forged, (uintptr_t)attacker };

	return values[number];
}
#define VALUES 4

/* ---- what the program goes on to do ---- */

static void go_on(bool sealed)
{
	struct static_call_statistics statistics;
	pid_t child = fork();

	if (!child)
		_exit(0);
	waitpid(child, NULL, 0);
	__asm__ volatile("int3");
	raise(SIGTRAP);
	static_call_statistics(&statistics);
	(void)static_call_protocol_reason();
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		(void)calls[i](1);
	if (!sealed && !static_call_update(key, far_from_it))
		for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
			if (calls[i](1) != 4 + (int)i + 1)
				_exit(WRONG);
}

static int attempt(bool sealed, volatile uint64_t *word, uint64_t hostile)
{
	unsigned sum = sum_of((const void *)(uintptr_t)victim, 64);
	pid_t child = fork(), ended = 0;
	int status;

	if (!child) {
		setpgid(0, 0);
		read_maps(before.text, &before.length);
		*word = hostile;
		go_on(sealed);
		if (sum_of((const void *)(uintptr_t)victim, 64) != sum)
			_exit(WRITTEN);
		read_maps(after.text, &after.length);
		/* The update itself may keep text apart that it has written: what rights there are does not change. */
		if (strstr(after.text, "rwx") || (sealed && strcmp(before.text, after.text) != 0))
			_exit(OPENED);
		_exit(FINE);
	}
	/* It may hang with its signals blocked; and so may a child of its own. */
	for (int i = 0; i < 300 && !(ended = waitpid(child, &status, WNOHANG)); i++)
		usleep(500);
	kill(-child, SIGKILL);
	kill(child, SIGKILL);
	if (ended != child)
		waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The kernel's word for it: a child that stores there what stands there lives on. */
static bool is_writable(volatile uint64_t *word)
{
	int pipes[2];
	bool writable;

	if (pipe(pipes) || write(pipes[1], (const void *)word, sizeof(*word)) != sizeof(*word))
		exit(2);
	writable = read(pipes[0], (void *)word, sizeof(*word)) == sizeof(*word);
	close(pipes[0]);
	close(pipes[1]);
	return writable;
}

int main(int argc, char **argv)
{
	extern char __executable_start[];
	bool sealed = argc > 1 && !strcmp(argv[1], "sealed");
	struct sigaction own = { .sa_handler = on_trap };
	unsigned long words = 0, closed = 0, fine = 0, died = 0;

	forge();
	sigaction(SIGTRAP, &own, NULL);
	static_call_set_protocol(STATIC_CALL_INT3_PUSH);
	if (static_call_update(key, two) || static_call_update(key, one) || (sealed && static_call_seal()))
		return 2;
	for (int i = 2; i < argc; i++) {
		unsigned long at, size;

		if (sscanf(argv[i], "%lx:%lx", &at, &size) != 2)
			return 2;
		/* The beginning of a long buffer is as good as all of it; all of the state is looked at. */
		for (unsigned long byte = 0; byte < size && (byte < 64 || size == 4096); byte += 8) {
			volatile uint64_t *word = (volatile uint64_t *)(((uintptr_t)__executable_start + at + byte) & ~7ul);

			if (!is_writable(word)) {
				closed++;
				continue;
			}
			words++;
			for (unsigned number = 0; number < VALUES; number++) {
				int came = attempt(sealed, word, value(number));

				if (came >= TURNED) {
					fprintf(stderr, "%s + %lu, value %u: %d\n", argv[i], byte, number, came);
					return 1;
				}
				fine += came == FINE;
				died += came < 0;
			}
		}
	}
	printf("writable %lu\nclosed %lu\nfine %lu\ndied %lu\n", words, closed, fine, died);
	return 0;
}
