/* SPDX-License-Identifier: MIT */
/* One of two libraries, each with a runtime and a key of its own (NAME), and with a key that both define (nb_both). */
#include "nb_two.h"

#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)

static int other(int x) { return x + ADD; }

int CAT(NAME, _plain)(int x) { return x; }
int nb_plain(int x) { return x; }
#ifdef FIRST
DEFINE_STATIC_CALL(nb_first, nb_first_plain);
int nb_first_call(int x) { return static_call(nb_first)(x); }
int nb_first_set(int on) { return static_call_update(nb_first, on ? other : nb_first_plain); }
#else
DEFINE_STATIC_CALL(nb_second, nb_second_plain);
int nb_second_call(int x) { return static_call(nb_second)(x); }
int nb_second_set(int on) { return static_call_update(nb_second, on ? other : nb_second_plain); }
#endif
DEFINE_STATIC_CALL(nb_both, nb_plain);
int CAT(NAME, _both_call)(int x) { return static_call(nb_both)(x); }
int CAT(NAME, _both_set)(void) { return static_call_update(nb_both, other); }
const void *CAT(NAME, _both_key)(void) { return &STATIC_CALL_KEY(nb_both); }
