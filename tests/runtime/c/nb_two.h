/* SPDX-License-Identifier: MIT */
#include <static_call.h>

int nb_plain(int x), nb_first_plain(int x), nb_second_plain(int x);
DECLARE_STATIC_CALL(nb_first, nb_first_plain);
DECLARE_STATIC_CALL(nb_second, nb_second_plain);
DECLARE_STATIC_CALL(nb_both, nb_plain);
int nb_first_call(int x), nb_first_set(int on), nb_first_both_call(int x), nb_first_both_set(void);
int nb_second_call(int x), nb_second_set(int on), nb_second_both_call(int x), nb_second_both_set(void);
const void *nb_first_both_key(void), *nb_second_both_key(void);
