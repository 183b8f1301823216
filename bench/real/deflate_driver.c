/* SPDX-License-Identifier: MIT */
/* ns per adler32 and per crc32 of 64 bytes, and per decompression of 24 bytes: calls so short that dispatch shows. */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libdeflate.h"

enum { CALLS = 50000, RUNS = 16, SUMMED = 64, TEXT = 24 };

/* Aligned, or where the linker happens to put it decides whether each vector load straddles two cache lines. */
static _Alignas(64) unsigned char input[SUMMED];
static char packed[64];
static size_t packed_size;
static struct libdeflate_decompressor *decompressor;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static unsigned adler(unsigned sum)
{
	return libdeflate_adler32(sum, input, SUMMED);
}

static unsigned crc(unsigned sum)
{
	return libdeflate_crc32(sum, input, SUMMED);
}

static unsigned decompress(unsigned sum)
{
	char out[TEXT];

	if (libdeflate_deflate_decompress(decompressor, packed, packed_size, out, TEXT, NULL))
		abort();
	return sum + (unsigned char)out[TEXT - 1];
}

/* The best of several short runs, since whatever else the machine does only adds. */
static inline __attribute__((always_inline)) double best(unsigned one(unsigned))
{
	double least = 1e18;
	volatile unsigned result = 1;

	for (int run = 0; run < RUNS; run++) {
		unsigned sum = result;
		const double begin = now();

		for (int i = 0; i < CALLS; i++)
			sum = one(sum);
		result = sum;

		const double ns = (now() - begin) / CALLS;

		least = ns < least ? ns : least;
	}
	return least;
}

int main(void)
{
	struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(6);

	decompressor = libdeflate_alloc_decompressor();
	if (!compressor || !decompressor)
		abort();
	for (int i = 0; i < SUMMED; i++)
		input[i] = (unsigned char)(i * i);
	packed_size = libdeflate_deflate_compress(compressor, "abcabcabcabcabcabcabcabc", TEXT, packed, sizeof packed);
	if (!packed_size)
		abort();
	printf("%.3f %.3f %.3f\n", best(adler), best(crc), best(decompress));
	return 0;
}
