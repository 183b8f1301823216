/* SPDX-License-Identifier: MIT */
/* CRC-32C (the checksum of iSCSI, SCTP and ext4) by the best code that the processor can run. */
#ifndef CHECKSUM_H
#define CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#include <static_call.h>

/* A checksum continues: pass 0 first, then what the last call returned. */
typedef uint32_t crc32c_fn(uint32_t crc, const void *data, size_t len);

/* The implementations. All give the same value; the first runs anywhere. */
enum { CRC32C_IMPLS = 3 };
crc32c_fn crc32c_bitwise;

/* Fills the list with what this processor can run, slowest first, and returns how many that is. */
size_t crc32c_available(crc32c_fn *list[static CRC32C_IMPLS]);

/* Which implementation is in use: a pointer that changes rarely and is called all the time. */
DECLARE_STATIC_CALL(crc32c, crc32c_fn);

/* The way most programs come to static calls: callers keep writing checksum(), one macro changes. */
#define checksum(data, len) static_call(crc32c)(0, (data), (len))

#endif
