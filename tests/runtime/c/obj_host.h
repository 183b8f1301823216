/* SPDX-License-Identifier: MIT */
/* What the programs that open plugins have in common. */
#include <dlfcn.h>

#include "obj_plugin.h"

static inline void *find(void *library, const char *name)
{
	void *symbol = dlsym(library, name);

	CHECK(symbol);
	return symbol;
}

/* dlsym() gives functions as objects; POSIX says that this works. */
static inline static_call_fn find_function(void *library, const char *name)
{
	return __extension__(static_call_fn) find(library, name);
}

static inline void *open_library(const char *path, int flags)
{
	void *library = dlopen(path, RTLD_NOW | flags);

	if (!library)
		fprintf(stderr, "%s\n", dlerror());
	CHECK(library);
	return library;
}
