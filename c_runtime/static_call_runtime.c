/* SPDX-License-Identifier: MIT */
/*
 * The runtime in one file, for `cc ... $(instrument --libs)`: one compiler run, and nothing but the API leaves it.
 * Where calls cannot be patched (anything but x86-64) an update is the store that the plain header makes.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#if defined __x86_64__ && !defined __ILP32__ && defined __linux__
#include "src/runtime.h"

#include "src/memory.c"
#include "src/insn.c"
#include "src/proc.c"
#include "src/maps.c"
#include "src/threads.c"
#include "src/look.c"
#include "src/interrupt.c"
#include "src/sync.c"
#include "src/state.c"
#include "src/lock.c"
#include "src/object.c"
#include "src/index.c"
#include "src/policy.c"
#include "src/poke.c"
#include "src/emulate.c"
#include "src/trap.c"
#include "src/target.c"
#include "src/fold.c"
#include "src/journal.c"
#include "src/ranges.c"
#include "src/stores.c"
#include "src/plan.c"
#include "src/library.c"
#include "src/update.c"
#include "src/inspect.c"
#include "src/process.c"
#include "src/describe.c"
#include "src/return0.c"
#else
#include "src/pointer.c"
#endif
