/* SPDX-License-Identifier: MIT */
/* kernel-static-call.md section 10, shapes 31 and 32, and what else newer kernels write. */
#include <stdarg.h>
#include <static_call.h>

#include "check.h"

#define XMTRDY 1
#define LSR 2

static unsigned char serial_one(unsigned long base, int offset) { return (unsigned char)((base + (unsigned)offset) & 1); }
static unsigned char serial_two(unsigned long base, int offset) { return (unsigned char)((base + (unsigned)offset + 1) & 1); }
DEFINE_STATIC_CALL(serial_in, serial_one);

static int waited(unsigned long base)
{
	int timeout = 10;

	while ((static_call(serial_in)(base, LSR) & XMTRDY) == 0 && --timeout)
		;
	return timeout;
}

/* A variadic function, called with a statement expression that holds an asm, and arguments that may be missing. */
struct bug {
	const char *format;
	int flags;
};
static int trap_sum(int extra, const struct bug *bug, va_list arguments)
{
	int sum = bug->flags + extra;

	for (const char *at = bug->format; *at; at++)
		sum += va_arg(arguments, int);
	return sum;
}
static int trap_one(const struct bug *bug, ...)
{
	va_list arguments;

	va_start(arguments, bug);
	int sum = trap_sum(1, bug, arguments);
	va_end(arguments);
	return sum;
}
static int trap_two(const struct bug *bug, ...)
{
	va_list arguments;

	va_start(arguments, bug);
	int sum = trap_sum(2, bug, arguments);
	va_end(arguments);
	return sum;
}
DEFINE_STATIC_CALL(WARN_trap, trap_one);

#define bug_entry(flag, text) \
	({ \
		static struct bug bug_ = { text, flag }; \
		struct bug *entry_; \
		__asm__ volatile("mov %1, %0" : "=r"(entry_) : "r"(&bug_)); \
		entry_; \
	})
#define WARN_print_arg(flags, format, arg...) \
	do { \
		int flags_ = (flags); \
		warned = static_call_mod(WARN_trap)(bug_entry(100, format), ## arg) + flags_; \
	} while (0)
#define WARN(format, ...) WARN_print_arg(5, format __VA_OPT__(,) __VA_ARGS__)

static int warned;

static unsigned long hypercall_one(unsigned long control, void *input, void *output)
{
	return control + (input != output) + 1;
}
static unsigned long hypercall_two(unsigned long control, void *input, void *output)
{
	return control + (input != output) + 2;
}
DEFINE_STATIC_CALL(hv_hypercall, hypercall_one);
static inline unsigned long hv_do_hypercall(unsigned long control, void *input_address, void *output_address)
{
	return static_call_mod(hv_hypercall)(control, input_address, output_address);
}

/* The definition ends a macro without its semicolon. */
#define DEFINE_CRC_PCLMUL_FUNCS(prefix, bits) \
	static unsigned int prefix##_pclmul_sse(unsigned int crc, const unsigned char *p, unsigned int len) \
	{ \
		return crc + p[0] + len + bits; \
	} \
	static unsigned int prefix##_pclmul_avx(unsigned int crc, const unsigned char *p, unsigned int len) \
	{ \
		return crc + p[0] + len + bits + 1; \
	} \
	DEFINE_STATIC_CALL(prefix##_pclmul, prefix##_pclmul_sse)
#define CRC_PCLMUL(crc, p, len, prefix) \
	do { \
		if ((len) >= 16) \
			return static_call(prefix##_pclmul)((crc), (p), (len)); \
	} while (0)

DEFINE_CRC_PCLMUL_FUNCS(crc32_lsb, 1);

static unsigned int crc32_le(unsigned int crc, const unsigned char *p, unsigned int len)
{
	CRC_PCLMUL(crc, p, len, crc32_lsb);
	return 0;
}

/* 31: five arguments, an unbraced body. */
static long gcm_one(void *ctx, unsigned char *out, const unsigned char *in, unsigned long len, int final)
{
	return (ctx != NULL) + (out != NULL) + (in != NULL) + (long)len + final + 1;
}
static long gcm_two(void *ctx, unsigned char *out, const unsigned char *in, unsigned long len, int final)
{
	return (ctx != NULL) + (out != NULL) + (in != NULL) + (long)len + final + 2;
}
DEFINE_STATIC_CALL(aesni_gcm_enc_update, gcm_one);
DEFINE_STATIC_CALL(aesni_gcm_dec_update, gcm_one);

static long crypt(int enc)
{
	unsigned char out[1] = { 0 }, in[1] = { 0 };
	long done = 0;

	if (enc)
		done = static_call(aesni_gcm_enc_update)(&done, out,
							 in, 16, 1);
	else
		done = static_call(aesni_gcm_dec_update)(NULL, out,
							 in, 16, 1);
	return done;
}

static void checks(void)
{
	unsigned char data[1] = { 3 };

	check(__LINE__, waited(1), step == 1 ? 10 : 0);
	check(__LINE__, waited(2), step == 1 ? 0 : 10);
	WARN("");
	check(__LINE__, warned, 105 + step);
	WARN("dd", 20, 30);
	check(__LINE__, warned, 155 + step);
	check(__LINE__, (long)hv_do_hypercall(7, data, NULL), 8 + step);
	check(__LINE__, crc32_le(10, data, 16), 29 + step);
	check(__LINE__, crc32_le(10, data, 8), 0);
	check(__LINE__, crypt(1), 20 + step);
	check(__LINE__, crypt(0), 19 + step);
}

static int update(int to)
{
	int error = static_call_update(serial_in, to == 2 ? serial_two : serial_one);

	error |= static_call_update(WARN_trap, to == 2 ? trap_two : trap_one);
	error |= static_call_update(hv_hypercall, to == 2 ? hypercall_two : hypercall_one);
	error |= static_call_update(crc32_lsb_pclmul, to == 2 ? crc32_lsb_pclmul_avx : crc32_lsb_pclmul_sse);
	error |= static_call_update(aesni_gcm_enc_update, to == 2 ? gcm_two : gcm_one);
	error |= static_call_update(aesni_gcm_dec_update, to == 2 ? gcm_two : gcm_one);
	return error;
}

int main(void)
{
	return run(checks, update);
}
