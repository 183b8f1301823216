/* SPDX-License-Identifier: MIT */
/*
 * Runs every signature of a generated program in each form with the same values and compares what the callee saw,
 * what came back, and what became of memory and registers. Padding is never looked at.
 */
#include <stdio.h>
#include <stdlib.h>

#include "harness.h"

#define MAX_SIZE 4096

struct x87 {
	unsigned short control, r0, status, r1, tag, r2;
	unsigned int rest[4];
	unsigned char stack[8][10];
} __attribute__((__packed__));

/* Written by record.S: at the last entry, after the callee's return, after the caller's return. */
struct seen {
	unsigned long rdi, rsi, rdx, rcx, r8, r9, rax, flags;
	unsigned char xmm[8][16];
	struct x87 x87;
	unsigned int mxcsr;
	unsigned long rsp;
};
struct returned {
	unsigned long rax, rdx;
	unsigned char xmm[2][16];
	struct x87 x87;
};
struct after {
	unsigned long rbx, rbp, r12, r13, r14, r15, moved, flags;
	unsigned int mxcsr;
	struct x87 x87;
};
_Static_assert(offsetof(struct seen, xmm) == 64 && offsetof(struct seen, x87) == 192 &&
	       offsetof(struct seen, mxcsr) == 300 && offsetof(struct seen, rsp) == 304, "record.S knows these");
_Static_assert(offsetof(struct returned, x87) == 48 && offsetof(struct after, mxcsr) == 64 &&
	       offsetof(struct after, x87) == 68, "record.S knows these");
struct seen sc_seen;
struct returned sc_returned;
struct after sc_after;
unsigned long sc_calls, sc_misaligned;
void sc_harness(void (*caller)(void));

volatile unsigned long sc_in[8];
volatile double sc_real[8];
volatile long double sc_wide;
unsigned long sc_locals, sc_sum, sc_shared;
volatile int sc_skip;
unsigned char sc_memory[64];

static const char *const forms[] = {"ordinary", "static_call", "trampoline"};
static int failures;

static unsigned long next(unsigned long *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1d;
}

unsigned long sc_fold_word(unsigned long sum, unsigned long word)
{
	sum = (sum ^ word) * 0x9e3779b97f4a7c15;
	return sum ^ sum >> 29;
}

unsigned long sc_fold(unsigned long sum, const void *object, const struct sc_type *type)
{
	const unsigned char *bytes = object;

	for (size_t i = 0; i < type->size; i++)
		sum = sc_fold_word(sum, (unsigned long)(bytes[i] & type->mask[i]) + i);
	return sum;
}

/* Any bytes, padding as well, but for a _Bool, which may only be 0 or 1. */
void sc_make(void *object, const struct sc_type *type, unsigned long seed)
{
	unsigned char *bytes = object;
	unsigned long state = seed * 2 + 1;

	for (size_t i = 0; i < type->size; i++)
		bytes[i] = (unsigned char)(next(&state) >> 32) & type->keep[i];
}

unsigned long sc_scribble(unsigned char *memory, unsigned long sum)
{
	for (int i = 0; i < 16; i++) {
		sum = sc_fold_word(sum, memory[i]);
		memory[i] = (unsigned char)(memory[i] * 5 + (sum >> 40));
	}
	return sum;
}

static void complain(int number, const char *form, const char *what, int where)
{
	failures++;
	printf("signature %d: %s: %s", number, form, what);
	printf(where >= 0 ? " %d\n" : "\n", where);
}

static void set_up(struct sc_type *type)
{
	if (type->mask)
		return;
	type->mask = aligned_alloc(64, (type->size + 64) / 64 * 64);
	type->keep = malloc(type->size + 1);
	if (!type->mask || !type->keep || type->size > MAX_SIZE)
		exit(3);
	memset(type->mask, 0, type->size);
	memset(type->keep, 0xff, type->size);
	if (type->bits)
		type->bits(type->mask);
	for (int i = 0; i < type->count; i++) {
		const struct sc_leaf *leaf = &type->leaves[i];

		for (size_t j = 0; j < leaf->size; j++) {
			if (leaf->bytes != SC_X87 || j % 16 < 10)
				type->mask[leaf->offset + j] = 0xff;
			if (leaf->bytes == SC_BOOL)
				type->keep[leaf->offset + j] = 1;
		}
	}
}

/* What one form did. */
struct outcome {
	unsigned long calls, misaligned, sum, locals, rsp;
	unsigned char al, result[MAX_SIZE], memory[sizeof(sc_memory)];
	int x87_at_entry, x87_after, moved, callee_saved, direction, control, changed;
};

static void put_values(const struct sc_signature *s, unsigned long seed)
{
	for (int i = 0; i < s->count; i++) {
		sc_make(s->params[i].at, s->params[i].type, seed + (unsigned long)i);
		if (s->params[i].live)
			*(unsigned char **)s->params[i].at = sc_memory + 16 * (i % 3);
	}
	for (unsigned int i = 0; i < 8; i++) {
		sc_in[i] = sc_fold_word(seed, i);
		sc_real[i] = (double)(sc_in[i] >> 48);
	}
	sc_wide = (long double)(sc_in[3] >> 40);
	for (size_t i = 0; i < sizeof(sc_memory); i++)
		sc_memory[i] = (unsigned char)sc_fold_word(seed, i + 99);
	if (s->result.type)
		memset(s->result.at, 0x5a, s->result.type->size);
	sc_sum = sc_locals = sc_shared = 0;
	sc_calls = sc_misaligned = 0;
}

/* The arguments are the caller's globals: no callee may change them. */
static int values_changed(const struct sc_signature *s, unsigned long seed)
{
	unsigned char fresh[MAX_SIZE];

	for (int i = 0; i < s->count; i++) {
		sc_make(fresh, s->params[i].type, seed + (unsigned long)i);
		if (!s->params[i].live && memcmp(fresh, s->params[i].at, s->params[i].type->size))
			return i + 1;
	}
	return 0;
}

static struct outcome observe(const struct sc_signature *s, int form, unsigned long seed)
{
	struct outcome o;

	memset(&o, 0, sizeof(o));
	put_values(s, seed);
	sc_harness(s->caller[form]);
	o.calls = sc_calls;
	o.misaligned = sc_misaligned;
	o.sum = sc_sum;
	o.locals = sc_locals;
	o.al = (unsigned char)sc_seen.rax;
	if (s->result.type)
		for (size_t i = 0; i < s->result.type->size; i++)
			o.result[i] = ((unsigned char *)s->result.at)[i] & s->result.type->mask[i];
	memcpy(o.memory, sc_memory, sizeof(sc_memory));
	o.x87_at_entry = sc_seen.x87.tag != 0xffff;
	o.x87_after = sc_after.x87.tag != 0xffff;
	o.moved = sc_after.moved != 0;
	o.callee_saved = (sc_after.rbx ^ 0x1111) | (sc_after.rbp ^ 0x2222) | (sc_after.r12 ^ 0x3333) |
			 (sc_after.r13 ^ 0x4444) | (sc_after.r14 ^ 0x5555) | (sc_after.r15 ^ 0x6666) ? 1 : 0;
	o.direction = ((sc_after.flags | sc_seen.flags) >> 10) & 1;
	o.control = (sc_after.mxcsr & 0xffc0) != 0x1f80 || sc_after.x87.control != 0x37f ||
		    (sc_seen.mxcsr & 0xffc0) != 0x1f80 || sc_seen.x87.control != 0x37f;
	o.changed = values_changed(s, seed);
	return o;
}

static void compare(int number, const struct sc_signature *s, int form, const struct outcome *o,
		    const struct outcome *plain)
{
	const char *name = forms[form];

	if (!o->calls || o->calls != plain->calls)
		complain(number, name, "calls", (int)o->calls);
	if (o->misaligned)
		complain(number, name, "stack misaligned at entry", -1);
	if (o->sum != plain->sum)
		complain(number, name, "the callee got other arguments", -1);
	if (o->locals != plain->locals)
		complain(number, name, "the caller's locals changed", -1);
	if (memcmp(o->result, plain->result, sizeof(o->result)))
		complain(number, name, "another result", -1);
	if (memcmp(o->memory, plain->memory, sizeof(o->memory)))
		complain(number, name, "memory", -1);
	if (o->x87_at_entry && !s->mmx)
		complain(number, name, "x87 stack in use at entry", -1);
	if (o->x87_after && !s->mmx)
		complain(number, name, "x87 stack in use after the return", -1);
	if (o->moved)
		complain(number, name, "stack pointer", -1);
	if (o->callee_saved)
		complain(number, name, "callee-saved registers", -1);
	if (o->direction)
		complain(number, name, "direction flag", -1);
	if (o->control && !s->mmx)
		complain(number, name, "control words", -1);
	if (o->changed)
		complain(number, name, "changed argument", o->changed);
}

/* A claim of the tool: bytes of parameter `param` (-1: the result) are in `where`. Where "memory": rdi has its address. */
struct claim {
	int number, param;
	char where[8];
	size_t offset, size;
};
static struct claim *claims;
static int claim_count;

static const unsigned char *place(const struct claim *c)
{
	static const char *const names[] = {"rdi", "rsi", "rdx", "rcx", "r8", "r9"};

	if (!strcmp(c->where, "rax"))
		return (unsigned char *)&sc_returned.rax;
	if (!strncmp(c->where, "st", 2))
		return sc_returned.x87.stack[c->where[2] - '0'];
	if (c->param < 0 && !strcmp(c->where, "rdx"))
		return (unsigned char *)&sc_returned.rdx;
	if (!strncmp(c->where, "xmm", 3))
		return (c->param < 0 ? sc_returned.xmm : sc_seen.xmm)[c->where[3] - '0'];
	for (int i = 0; i < 6; i++)
		if (!strcmp(c->where, names[i]))
			return (unsigned char *)(&sc_seen.rdi + i);
	return NULL;
}

static void check_claim(const struct claim *c, const struct sc_slot *slot, unsigned char *covered)
{
	const unsigned char *seen, *object = slot->at;

	if (!strcmp(c->where, "memory")) {
		/* For a record of nothing but an unnamed bit-field gcc 12 passes no pointer, however large it is aligned. */
		if (sc_seen.rdi != sc_returned.rax && (slot->type->count || slot->type->bits))
			complain(c->number, "claim", "the result is not where rdi points", c->param);
		return;
	}
	seen = place(c);
	for (size_t i = 0; i < c->size && c->offset + i < slot->type->size; i++) {
		covered[c->offset + i] = 1;
		if (!seen || (i >= 10 && c->where[0] == 's'))
			continue;
		if ((seen[i] ^ object[c->offset + i]) & slot->type->mask[c->offset + i]) {
			complain(c->number, c->where, "does not hold parameter", c->param);
			return;
		}
	}
}

/* The registers of an ordinary call, against what the tool says of them. */
static void check_claims(int number, const struct sc_signature *s)
{
	for (int param = -1; param < s->count; param++) {
		const struct sc_slot *slot = param < 0 ? &s->result : &s->params[param];
		unsigned char covered[MAX_SIZE] = {0};
		int any = 0, in_memory = 0;

		for (int i = 0; i < claim_count; i++)
			if (claims[i].number == number && claims[i].param == param) {
				check_claim(&claims[i], slot, covered);
				in_memory |= !strcmp(claims[i].where, "memory");
				any = 1;
			}
		for (size_t i = 0; any && !in_memory && i < slot->type->size; i++)
			if (slot->type->mask[i] && !covered[i]) {
				complain(number, "claim", "leaves out bytes of parameter", param);
				break;
			}
	}
}

static void read_claims(const char *path)
{
	FILE *file = fopen(path, "r");

	if (!file)
		exit(3);
	for (int room = 0;;) {
		struct claim c;

		if (fscanf(file, "%d %d %7s %zu %zu", &c.number, &c.param, c.where, &c.offset, &c.size) != 5)
			break;
		if (claim_count == room && !(claims = realloc(claims, (size_t)(room = room * 2 + 64) * sizeof(c))))
			exit(3);
		claims[claim_count++] = c;
	}
	fclose(file);
}

static void run_signature(int number, const struct sc_signature *s, unsigned long seed)
{
	struct outcome plain = observe(s, SC_PLAIN, seed);

	check_claims(number, s);
	compare(number, s, SC_PLAIN, &plain, &plain);
	for (int form = SC_WRAPPED; form < SC_FORMS; form++) {
		struct outcome o = observe(s, form, seed);

		compare(number, s, form, &o, &plain);
		if (o.al != plain.al && s->al)
			complain(number, forms[form], "al", o.al);
	}
}

int sc_main(const struct sc_signature *signatures, int count, int (*patch)(void), int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1)
		read_claims(argv[1]);
	for (int i = 0; i < count; i++) {
		for (int j = 0; j < signatures[i].count; j++)
			set_up(signatures[i].params[j].type);
		if (signatures[i].result.type)
			set_up(signatures[i].result.type);
	}
	for (int round = 0; round < 4; round++) {
		if (round == 2 && patch()) {
			puts("cannot patch");
			return 2;
		}
		for (int i = 0; i < count; i++)
			run_signature(i, &signatures[i], (unsigned long)(round * 1000 + i) * 77777 + 12345);
	}
	printf("%d signatures, %d failures\n", count, failures);
	return failures != 0;
}
