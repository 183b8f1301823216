/* SPDX-License-Identifier: MIT */
/* An update, what it says, and calls that do what it says. -DWITH_IBT: trampolines begin with endbr64. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <static_call.h>
#include <static_call_runtime.h>

static __attribute__((__noinline__)) int add(int a, int b) { return a + b; }
static __attribute__((__noinline__)) int multiply(int a, int b) { return a * b; }
DEFINE_STATIC_CALL(operation, add);

static __attribute__((__noinline__)) int work(int n)
{
	int sum = 0;

	for (int i = 0; i < n; i++)
		sum += static_call(operation)(i, 3);
	return sum;
}

int main(void)
{
	static const unsigned char endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	void *pointer = STATIC_CALL_TRAMP_ADDR(operation);
	int (*volatile through)(int, int) = (int (*)(int, int))(uintptr_t)pointer;
	struct static_call_failure failure;
	int before = work(10), error = static_call_update(operation, multiply);

	static_call_last_failure(&failure);
	printf("static_call_update: %d, %s\n", error, failure.what);
	(void)endbr64;
#ifdef WITH_IBT
	if (memcmp(pointer, endbr64, sizeof(endbr64)) != 0)
		return 1;
#endif
	return before != 75 || work(10) != (error ? 75 : 135) || through(4, 5) != (error ? 9 : 20);
}
