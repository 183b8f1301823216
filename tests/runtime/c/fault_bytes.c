/* SPDX-License-Identifier: MIT */
/*
 * Bytes at a site, or at a trampoline, that nobody of us wrote: -EINVAL that names the place and the key, and nothing
 * is changed anywhere, of no key of the transaction. Then, with the bytes put right, updates work.
 *
 * usage: fault_bytes early|late    whether there has been an update before
 */
#include <errno.h>

#include "host_sites.h"

#define MOST 64

DEFINE_STATIC_CALL(one, target_a);
DEFINE_STATIC_CALL(two, target_a);
DEFINE_CALLS(one, SITES3(one))
DEFINE_CALLS(two, SITES3(two))

static struct {
	unsigned char *address;
	unsigned char bytes[8];
	const struct static_call_key *key;
} places[MOST];
static int count, sites;

static void remember(const void *address, const struct static_call_key *key)
{
	void *place;

	if (count == MOST)
		exit(90);
	memcpy(&place, &address, sizeof(place));
	places[count].address = place;
	places[count].key = key;
	memcpy(places[count++].bytes, address, 8);
}

static int visit_site(const struct static_call_site_info *info, void *unused)
{
	(void)unused;
	remember(info->address, info->key);
	return 0;
}

static int visit_key(const struct static_call_key_info *info, void *unused)
{
	(void)unused;
	remember(info->trampoline, info->key);
	return 0;
}

/* Where sites and trampolines are can be asked without an update. */
static void find_places(void)
{
	count = 0;
	if (static_call_each_site(NULL, visit_site, NULL))
		exit(91);
	sites = count;
	if (static_call_each_key(visit_key, NULL))
		exit(92);
}

static void put(unsigned char *at, unsigned char byte)
{
	char *page = (char *)((unsigned long)at & ~4095ul);

	if (mprotect(page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC))
		exit(93);
	*(volatile unsigned char *)at = byte;
	if (mprotect(page, 8192, PROT_READ | PROT_EXEC))
		exit(94);
}

static int update_both(const struct state *state)
{
	struct static_call_transaction transaction;

	static_call_begin(&transaction);
	static_call_queue(one, target_of(state), &transaction);
	static_call_queue(two, target_of(state), &transaction);
	return static_call_commit(&transaction);
}

static void expect(int code, const struct state *state)
{
	if (calls_of_one(state, state) || calls_of_two(state, state))
		exit(code);
	if (static_call_query(one) != target_of(state) || static_call_query(two) != target_of(state))
		exit(code + 1);
}

static void all_bytes_as_they_were(int code, int but)
{
	for (int i = 0; i < count; i++)
		if (i != but && memcmp(places[i].address, places[i].bytes, 8))
			exit(code);
}

/* Byte `at` of one place is wrong. */
static void spoil(int which, int at, const struct state *now)
{
	struct static_call_failure failure;
	unsigned char *byte = places[which].address + at;
	unsigned char right = *byte;

	put(byte, 0x90);
	if (update_both(&states[B]) != -EINVAL)
		exit(10);
	static_call_last_failure(&failure);
	if (failure.error != -EINVAL || failure.address != places[which].address || failure.key != places[which].key ||
	    !strstr(failure.what, which < sites ? "call site" : "trampoline"))
		exit(11);
	all_bytes_as_they_were(12, which);
	put(byte, right);
	all_bytes_as_they_were(13, -1);
	expect(14, now);
}

int main(int argc, char **argv)
{
	const struct state *now = &states[A];

	find_places();
	if (argc == 2 && !strcmp(argv[1], "late")) {
		now = &states[FAR];
		if (update_both(now))
			return 2;
		find_places();
	}
	/* The first byte, which an int3 goes over; a trampoline's opcode is its fourth. */
	for (int i = 0; i < count; i++)
		spoil(i, i < sites ? 0 : 3, now);
	if (update_both(&states[B]))
		return 3;
	expect(4, &states[B]);
	printf("places %d\nsites %d\n", count, sites);
	return 0;
}
