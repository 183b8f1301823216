/* SPDX-License-Identifier: MIT */
/* Each kind of value that registers carry, as argument and as result, before and after an update. */
#include <complex.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <static_call.h>

__extension__ typedef __int128 huge_t;
__extension__ typedef __float128 quad_t;
typedef float vec4f __attribute__((vector_size(16)));
typedef short vec4s __attribute__((vector_size(8)));

struct point { double x, y; };
struct mixed { int a; double b; };
struct swapped { double a; int b; };
struct triple { float x, y, z; };
struct bytes { char c[3]; };
struct nested { short a; struct { char b; struct { int c; } d; } e[1]; };
struct bits { unsigned a : 3, b : 20; unsigned c : 30; };
struct big { long a[5]; };
struct x87 { long double v; };
struct vector { vec4f v; };
struct aligned { int a; } __attribute__((__aligned__(16)));
union number { double d; long l; };
typedef struct { short a, b, c; } unnamed;
typedef const struct point fixed;
enum packed { NO, YES } __attribute__((__packed__));

/* name, result, parameters, what the first target returns, arguments, what must hold of the result r */
#define VALUES(X) \
	X(point, struct point, (struct point a, int b), ((struct point){ a.x + b, a.y }), \
	  ((struct point){ 1, 2 }, 3), r.x == 4 && r.y == 2) \
	X(mixed, struct mixed, (int b, struct mixed a), ((struct mixed){ a.a + b, a.b }), \
	  (3, (struct mixed){ 1, 2 }), r.a == 4 && r.b == 2) \
	X(swapped, struct swapped, (struct swapped a, double b), ((struct swapped){ a.a + b, a.b }), \
	  ((struct swapped){ 1, 2 }, 3), r.a == 4 && r.b == 2) \
	X(triple, struct triple, (struct triple a), ((struct triple){ a.z, a.y, a.x }), \
	  ((struct triple){ 1, 2, 3 }), r.x == 3 && r.y == 2 && r.z == 1) \
	X(bytes, struct bytes, (struct bytes a), ((struct bytes){ { a.c[2], a.c[1], a.c[0] } }), \
	  ((struct bytes){ { 1, 2, 3 } }), r.c[0] == 3 && r.c[2] == 1) \
	X(nested, struct nested, (struct nested a), a, \
	  ((struct nested){ 1, { { 2, { 3 } } } }), r.a == 1 && r.e[0].b == 2 && r.e[0].d.c == 3) \
	X(bits, struct bits, (struct bits a), a, ((struct bits){ 1, 2, 3 }), r.a == 1 && r.b == 2 && r.c == 3) \
	X(big, struct big, (int b, struct point a), ((struct big){ { b, 2, 3, 4, (long)a.y } }), \
	  (1, (struct point){ 0, 5 }), r.a[0] == 1 && r.a[3] == 4 && r.a[4] == 5) \
	X(real, long double, (int a), (a + 0.5L), (4), r == 4.5L) \
	X(x87, struct x87, (int a), ((struct x87){ a + 0.5L }), (4), r.v == 4.5L) \
	X(complexl, long double _Complex, (int a), (a + 0.5L * I), (4), creall(r) == 4 && cimagl(r) == 0.5) \
	X(complexf, float _Complex, (float _Complex a), (a + 0.5f * I), (4), crealf(r) == 4 && cimagf(r) == 0.5) \
	X(complexd, double _Complex, (double _Complex a), (a + 0.5 * I), (4), creal(r) == 4 && cimag(r) == 0.5) \
	X(huge, huge_t, (huge_t a), (a + 1), ((huge_t)5 << 64), r == ((huge_t)5 << 64) + 1) \
	X(quad, quad_t, (quad_t a), (a + 1), (4), r == 5) \
	X(number, union number, (union number a), a, ((union number){ .l = 5 }), r.l == 5) \
	X(vector, struct vector, (struct vector a, vec4f b), ((struct vector){ a.v + b }), \
	  ((struct vector){ { 1, 2, 3, 4 } }, (vec4f){ 5, 5, 5, 5 }), r.v[0] == 6 && r.v[3] == 9) \
	X(small, vec4s, (vec4s a), (a + a), ((vec4s){ 1, 2, 3, 4 }), r[0] == 2 && r[3] == 8) \
	X(aligned, struct aligned, (int b, struct aligned a), ((struct aligned){ a.a + b }), \
	  (3, (struct aligned){ 4 }), r.a == 7) \
	X(unnamed, unnamed, (unnamed a), a, ((unnamed){ 1, 2, 3 }), r.a == 1 && r.c == 3) \
	X(packed, enum packed, (enum packed a), (a == YES ? NO : YES), (NO), r == YES) \
	X(full, int, (signed char a, short b, unsigned char c, int d, long e, _Bool f, double g, float h, double i, \
		      double j, double k, double l, double m, float n), \
	  ((int)(a + b + c + d + (int)e + f + g + h + i + j + k + l + m + n)), \
	  (-1, -2, 3, 4, 5, 1, 7, 8, 9, 10, 11, 12, 13, 14), r == 94)

#define DEFINE(name, R, params, value, args, holds) \
	static __attribute__((__noinline__)) R name##_0 params { return value; } \
	static __attribute__((__noinline__)) R name##_1 params { return value; } \
	DEFINE_STATIC_CALL(v_##name, name##_0);
VALUES(DEFINE)

static struct point constant_0(fixed a) { return a; }
DEFINE_STATIC_CALL(constant, constant_0);

static char text[64];
static int log_0(const char *format, va_list list) { return vsnprintf(text, sizeof(text), format, list); }
DEFINE_STATIC_CALL(log, log_0);
static __attribute__((__format__(__printf__, 1, 2))) int logged(const char *format, ...)
{
	va_list list;
	int length;

	va_start(list, format);
	length = static_call(log)(format, list);
	va_end(list);
	return length;
}

/* A leaf but for the call: what it keeps under the stack pointer and in registers must be there afterwards. */
#define CHECK(name, R, params, value, args, holds) \
	{ \
		R r = static_call(v_##name)args; \
		if (!(holds)) { \
			printf("values: %s\n", #name); \
			failed++; \
		} \
	}
#define UPDATE(name, R, params, value, args, holds) failed += static_call_update(v_##name, name##_1) != 0;

static int run(void)
{
	int failed = 0;

	VALUES(CHECK)
	failed += static_call(constant)((fixed){ 1, 2 }).y != 2.0;
	failed += logged("%d %s %.1f", 5, "x", 1.5) != 7 || strcmp(text, "5 x 1.5");
	return failed;
}

int main(void)
{
	int failed = run();

	VALUES(UPDATE)
	failed += run();
	printf("values: %s %d\n", failed ? "failed" : "ok", failed);
	return failed;
}
