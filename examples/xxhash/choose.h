/* SPDX-License-Identifier: MIT */
/* What the driver needs from inside xxHash's dispatcher. */
#ifndef CHOOSE_H
#define CHOOSE_H

/* How many pointers or keys one choice changes. */
enum { XXH_CHOICES = 8 };

/* Makes every dispatched function the given implementation (XXH_VECTOR_TYPE). 0, or a negative errno. */
int xxh_choose(int implementation);

#endif
