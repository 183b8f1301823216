/* SPDX-License-Identifier: MIT */
#include "checksum.h"

#include <string.h>

/* The polynomial, lowest bit first. */
#define POLY 0x82f63b78u

uint32_t crc32c_bitwise(uint32_t crc, const void *data, size_t len)
{
	const unsigned char *p = data;

	crc = ~crc;
	while (len--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLY : 0);
	}
	return ~crc;
}

/* Four bits at a time: the remainder of every nibble, small enough to write down. */
static uint32_t crc32c_nibble(uint32_t crc, const void *data, size_t len)
{
	static const uint32_t rest[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	const unsigned char *p = data;

	crc = ~crc;
	while (len--) {
		crc ^= *p++;
		crc = crc >> 4 ^ rest[crc & 15];
		crc = crc >> 4 ^ rest[crc & 15];
	}
	return ~crc;
}

#ifdef __x86_64__
#include <nmmintrin.h>

/* SSE4.2 has an instruction for exactly this polynomial. */
__attribute__((target("sse4.2")))
static uint32_t crc32c_sse42(uint32_t crc, const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t wide = ~crc;

	for (; len >= 8; p += 8, len -= 8) {
		uint64_t word;

		memcpy(&word, p, sizeof(word));
		wide = _mm_crc32_u64(wide, word);
	}
	crc = (uint32_t)wide;
	while (len--)
		crc = _mm_crc32_u8(crc, *p++);
	return ~crc;
}
#endif

size_t crc32c_available(crc32c_fn *list[static CRC32C_IMPLS])
{
	size_t n = 0;

	list[n++] = crc32c_bitwise;
	list[n++] = crc32c_nibble;
#ifdef __x86_64__
	if (__builtin_cpu_supports("sse4.2"))
		list[n++] = crc32c_sse42;
#endif
	return n;
}

/*
 * The first target. It looks at the processor, puts the best implementation in its own place and calls
 * again, so nobody has to remember to initialise anything. Several threads may be in here at once: each
 * arrives at the same answer, and the update is safe to make twice.
 */
static uint32_t crc32c_detect(uint32_t crc, const void *data, size_t len)
{
	crc32c_fn *list[CRC32C_IMPLS];
	crc32c_fn *best = list[crc32c_available(list) - 1];

	/* An update may be refused; then this stays the target, and calling it again would never end. */
	if (static_call_update(crc32c, best))
		return best(crc, data, len);
	return static_call(crc32c)(crc, data, len);
}
DEFINE_STATIC_CALL(crc32c, crc32c_detect);
