/* SPDX-License-Identifier: MIT */
/*
 * The kinds of call site that direct mode has (direct_sites.S): calls, tail calls and conditional tail calls, with three
 * prefixes or two, one, none. Each change from each state to each other one, and between the steps of each this thread
 * goes through every site itself, branches with all flags: so it traps wherever an int3 stands.
 *
 * usage: direct_kinds changes|faults|bytes|unwritable WORD    WORD 1: one store may change a whole instruction here
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>

#include "fault_shim.h"
#include "host_sites.h"

#define LINE 64
#define NOT_TAKEN 99
#define SOME_FLAGS 32

DEFINE_STATIC_CALL(key, target_a);
EXPORT_STATIC_CALL(key);

typedef int branch_fn(long *seen, double x, unsigned long flags);
struct row {
	target_fn *function;
	unsigned char *site;
	int prefixes, kind, condition, pad;
};
enum { CALL, JUMP, BRANCH };
extern const struct row *rows_begin(void), *rows_end(void);
extern int is_taken(unsigned long condition, unsigned long flags);

static enum static_call_protocol protocol;
static bool word;
static const struct state *before = &states[A], *after = &states[A];
static unsigned long calls;

/* Bit by bit: carry, parity, zero, sign, overflow; and what is always set. */
static unsigned long flags_of(int n)
{
	return 0x202ul | (n & 1) | (n & 2) << 1 | (n & 4) << 4 | (n & 8) << 4 | (n & 16) << 7;
}

static void go(const struct row *row, unsigned long flags)
{
	branch_fn *branch = (branch_fn *)(static_call_fn)row->function;
	long seen = 0;
	int result = row->kind == BRANCH ? branch(&seen, 1.5, flags) : row->function(&seen, 1.5);
	bool right = does(before, seen, result) || does(after, seen, result);

	if (row->kind == BRANCH && !is_taken((unsigned long)row->condition, flags))
		right = result == NOT_TAKEN && !seen;
	else if (row->kind == BRANCH && result == NOT_TAKEN)
		right = false;
	calls++;
	if (!right) {
		fprintf(stderr, "%s to %s: kind %d, %d prefixes, at %d, condition %x, flags %lx: result %d, seen %ld\n",
			before->name, after->name, row->kind, row->prefixes, (int)((uintptr_t)row->site % LINE),
			row->condition, flags, result, seen);
		exit(10);
	}
}

static void call_all(void)
{
	for (const struct row *row = rows_begin(); row < rows_end(); row++)
		for (int n = 0; n < (row->kind == BRANCH ? SOME_FLAGS : 1); n++)
			go(row, flags_of(n));
}

/* Each time with other flags. */
static void call_some(void)
{
	static int n;

	n++;
	for (const struct row *row = rows_begin(); row < rows_end(); row++)
		go(row, flags_of(n + row->condition));
}

/* Between thousands of writes through the kernel. */
static void call_rarely(void)
{
	static int n;

	if (n++ % 32 == 0)
		call_some();
}

/* ---- what stands at each site after an update ---- */

static uintptr_t displacement(const struct row *row)
{
	return (uintptr_t)row->site + (uintptr_t)row->prefixes + (row->kind == BRANCH ? 2 : 1);
}

static bool crosses(const struct row *row)
{
	return !row->prefixes && displacement(row) % LINE > LINE - 4;
}

/* Valgrind puts a mapping nearer than the kernel does. */
static bool is_near(const struct row *row, const void *target)
{
	intptr_t distance = (intptr_t)target - (intptr_t)row->site;

	return distance == (int32_t)distance;
}

/* Whether the site goes straight to a target in reach. */
static bool is_led(const struct row *row)
{
	if (!row->prefixes)
		return !crosses(row);
	return protocol != STATIC_CALL_ATOMIC || displacement(row) % 4 == 0;
}

/* Whether the site takes another form than its own. */
static bool is_reformed(const struct row *row)
{
	if (!row->prefixes || row->kind == BRANCH || protocol == STATIC_CALL_INT3_RESUME)
		return false;
	return protocol != STATIC_CALL_ATOMIC || (word && row->prefixes == 3);
}

static bool is_as_wanted(const struct row *row, const struct static_call_site_info *info)
{
	static const enum static_call_form kinds[] = { STATIC_CALL_CALL, STATIC_CALL_JUMP, STATIC_CALL_BRANCH };
	enum static_call_form form = kinds[row->kind];
	const void *target = (const void *)(uintptr_t)target_of(after);
	bool led = is_led(row) && is_near(row, target);

	if (info->kind != form || info->layout != (row->prefixes == 0 ? STATIC_CALL_BARE : row->prefixes == 1 ?
						   STATIC_CALL_COMPACT : STATIC_CALL_ALIGNED))
		return false;
	if (after->number == NOTHING || (after->number == RET0 && row->kind == CALL)) {
		led = false;
		if (is_reformed(row))
			form = row->kind == JUMP ? STATIC_CALL_RETURN :
			       after->number == RET0 ? STATIC_CALL_CONSTANT : STATIC_CALL_NOP;
	}
	if (form != kinds[row->kind])
		return info->form == form && !info->target && !info->by_trampoline;
	return info->form == form && (led ? info->target == target && !info->by_trampoline : info->by_trampoline);
}

static int look(const struct static_call_site_info *info, void *seen)
{
	for (const struct row *row = rows_begin(); row < rows_end(); row++)
		if (row->site == info->address) {
			++*(long *)seen;
			if (is_as_wanted(row, info))
				return 0;
			fprintf(stderr, "%s: kind %d, %d prefixes, at %d: form %d, by trampoline %d\n", after->name, row->kind,
				row->prefixes, (int)((uintptr_t)row->site % LINE), (int)info->form, info->by_trampoline);
			return 1;
		}
	return 2;
}

static void check_forms(void)
{
	long seen = 0;

	if (static_call_each_site(&STATIC_CALL_KEY(key), look, &seen) || seen != rows_end() - rows_begin())
		exit(11);
}

static unsigned long crossing_sites(void)
{
	struct static_call_statistics statistics;

	static_call_statistics(&statistics);
	return statistics.crossing_sites;
}

/* Bare sites that no store can change are counted each time that they could do other than go by their trampoline. */
static unsigned long crossing_wanted(void)
{
	const void *target = (const void *)(uintptr_t)target_of(after);
	unsigned long count = 0;

	for (const struct row *row = rows_begin(); row < rows_end(); row++) {
		bool goes = row->kind == BRANCH || (target && !(after->number == RET0 && row->kind == CALL));

		count += crosses(row) && (!goes || (target && is_near(row, target)));
	}
	return count;
}

/* ---- changes ---- */

static int change(int to, struct fault fault)
{
	int error;
	target_fn *target;

	before = after;
	after = &states[to];
	target = target_of(after);
	fault_arm(fault);
	error = static_call_update(key, target);
	fault_disarm();
	*(error ? &after : &before) = error ? before : after;
	call_all();
	return error;
}

static void changes(void)
{
	for (int from = 0; from < STATES; from++)
		for (int to = 0; to < STATES; to++) {
			unsigned long crossing;

			if (change(from, (struct fault){ .between = call_some }))
				exit(20);
			check_forms();
			crossing = crossing_sites();
			if (change(to, (struct fault){ .between = call_some }))
				exit(21);
			check_forms();
			if (crossing_sites() - crossing != crossing_wanted())
				exit(22);
		}
}

/* Each system call of an update fails once. Either the update goes around it, or everything is as it was. */
static void faults(void)
{
	static const int pairs[][2] = { { A, B }, { A, NOTHING }, { NOTHING, A }, { RET0, B }, { NOTHING, FAR } };

	for (unsigned i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
		for (long number = 1; number == 1 || fault_name; number++) {
			if (change(pairs[i][0], (struct fault){ 0 }))
				exit(30);
			fault_name = NULL;
			change(pairs[i][1], (struct fault){ .number = number, .error = EACCES, .between = call_rarely });
		}
}

/* These bytes there for a moment: an update is -EINVAL, and names the place. */
static void spoil(unsigned char *at, const unsigned char *wrong, size_t size, const void *place)
{
	struct static_call_failure failure;
	unsigned char right[8];
	void *page = (void *)((uintptr_t)at & ~4095ul);

	memcpy(right, at, size);
	if (mprotect(page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC))
		exit(40);
	memcpy(at, wrong, size);
	if (static_call_update(key, target_b) != -EINVAL)
		exit(41);
	static_call_last_failure(&failure);
	if (failure.address != place)
		exit(42);
	memcpy(at, right, size);
	if (mprotect(page, 8192, PROT_READ | PROT_EXEC))
		exit(43);
}

/* A form of another kind is bytes that nobody of us wrote: an opcode; at a trampoline a tail call's return. */
static void bytes(void)
{
	static const unsigned char others[] = { [CALL] = 0xe9, [JUMP] = 0xe8, [BRANCH] = 0x1f };
	static const unsigned char returns[] = { 0xc3, 0xcc, 0xcc, 0xcc, 0xcc };
	unsigned char *tramp = STATIC_CALL_TRAMP_ADDR(key);

	for (const struct row *row = rows_begin(); row < rows_end(); row++)
		spoil(row->site + row->prefixes + (row->kind == BRANCH), &others[row->kind], 1, row->site);
	spoil(tramp + 3, returns, sizeof(returns), tramp);
	if (change(B, (struct fault){ 0 }))
		exit(44);
}

/* By /proc/self/mem no store is sure: bare sites stay on their trampoline; those that were led away cannot be had back. */
static void unwritable(void)
{
	fault_refuse_text = true;
	if (change(B, (struct fault){ .between = call_rarely }) || change(NOTHING, (struct fault){ .between = call_rarely }))
		exit(50);
	fault_refuse_text = false;
	if (change(B, (struct fault){ 0 }))
		exit(51);
	check_forms();
	fault_refuse_text = true;
	if (change(A, (struct fault){ .between = call_rarely }) != -EACCES)
		exit(52);
	check_forms();
}

int main(int argc, char **argv)
{
	struct static_call_statistics statistics;
	const char *asked = getenv("STATIC_CALL_PROTOCOL");

	if (argc != 3)
		return 2;
	word = atoi(argv[2]);
	protocol = !asked || !strcmp(asked, "auto") ? STATIC_CALL_AUTO : !strcmp(asked, "atomic") ? STATIC_CALL_ATOMIC :
		   !strcmp(asked, "int3-resume") ? STATIC_CALL_INT3_RESUME : STATIC_CALL_INT3_PUSH;
	if (!strcmp(argv[1], "changes"))
		changes();
	else if (!strcmp(argv[1], "faults"))
		faults();
	else if (!strcmp(argv[1], "bytes"))
		bytes();
	else
		unwritable();
	static_call_statistics(&statistics);
	printf("calls %lu\nsites %lu\ntraps %lu\natomic_pokes %lu\nint3_pokes %lu\n", calls, statistics.sites, statistics.traps,
	       statistics.atomic_pokes, statistics.int3_pokes);
	return 0;
}
