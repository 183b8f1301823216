/* SPDX-License-Identifier: MIT */
/* What the generated programs and harness.c share. tests/abi/program.py writes the programs. */
#ifndef SC_HARNESS_H
#define SC_HARNESS_H
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#define SC_NOINLINE __attribute__((__noinline__, __used__))

/* Which bytes of a member are its value: all, all but never other than 0 or 1, ten of every sixteen. */
enum sc_bytes { SC_ALL, SC_BOOL, SC_X87 };

struct sc_leaf {
	size_t offset, size;
	enum sc_bytes bytes;
};

/* `mask` comes with the bits of bit-fields set by `bits`; harness.c adds the leaves. `size` bytes each. */
struct sc_type {
	size_t size;
	const struct sc_leaf *leaves;
	int count;
	void (*bits)(void *);
	unsigned char *mask, *keep;
};

/* `live`: a pointer, to be set to sc_memory. */
struct sc_slot {
	void *at;
	struct sc_type *type;
	int live;
};

enum { SC_PLAIN, SC_WRAPPED, SC_TRAMP, SC_FORMS };

/* `mmx`: values that may leave the x87 unit in MMX state even in an ordinary call; `al`: %al counts vector registers. */
struct sc_signature {
	void (*caller[SC_FORMS])(void);
	const struct sc_slot *params;
	int count;
	struct sc_slot result;
	int mmx, al;
};

extern volatile unsigned long sc_in[8];
extern volatile double sc_real[8];
extern volatile long double sc_wide;
extern unsigned long sc_locals, sc_sum, sc_shared;
extern volatile int sc_skip;
extern unsigned char sc_memory[64];

unsigned long sc_fold(unsigned long sum, const void *object, const struct sc_type *type);
unsigned long sc_fold_word(unsigned long sum, unsigned long word);
void sc_make(void *object, const struct sc_type *type, unsigned long seed);
unsigned long sc_scribble(unsigned char *memory, unsigned long sum);
int sc_main(const struct sc_signature *signatures, int count, int (*patch)(void), int argc, char **argv);

#ifdef __AVX__
typedef double sc_vector __attribute__((__vector_size__(32)));
#else
typedef double sc_vector __attribute__((__vector_size__(16)));
#endif

/*
 * Locals that live across a call, in memory that a leaf function would keep in its red zone and in registers, and
 * memory that both sides of the call read and write.
 */
#define SC_LIVE() \
	volatile unsigned long zone_[7]; \
	unsigned long l0_ = sc_in[0] * 3, l1_ = sc_in[1] ^ 5, l2_ = sc_in[2] + 7, l3_ = sc_in[3] * 9, \
		l4_ = sc_in[4] - 11, l5_ = sc_in[5] ^ 13, l6_ = sc_in[6] + sc_in[7]; \
	double f0_ = sc_real[0] * 2, f1_ = sc_real[1] + 3, f2_ = sc_real[2] - 4, f3_ = sc_real[3] * 5, \
		f4_ = sc_real[4] + 6, f5_ = sc_real[5] - 7, f6_ = sc_real[6] * 8, f7_ = sc_real[7] + 9; \
	sc_vector v_ = {sc_real[0], sc_real[1]}; \
	for (int j_ = 0; j_ < 7; j_++) \
		zone_[j_] = sc_in[j_]; \
	sc_shared = sc_in[7]
#define SC_LIVE_OUT() \
	do { \
		sc_locals = sc_locals * 31 + sc_shared; \
		for (int j_ = 0; j_ < 7; j_++) \
			sc_locals = sc_locals * 31 + zone_[j_]; \
		sc_locals = sc_locals * 31 + l0_ + 3 * l1_ + 5 * l2_ + 7 * l3_ + 9 * l4_ + 11 * l5_ + 13 * l6_; \
		/* Small whole numbers: exact, however a compiler contracts them. */ \
		sc_locals = sc_locals * 31 + (unsigned long)(f0_ + 3 * f1_ + 5 * f2_ + 7 * f3_ + 9 * f4_ + 11 * f5_ + \
							     13 * f6_ + 15 * f7_ + 17 * v_[0] + 19 * v_[1]); \
	} while (0)
#endif
