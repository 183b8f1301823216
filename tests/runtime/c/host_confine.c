/* SPDX-License-Identifier: MIT */
/*
 * Refuse system calls by a seccomp filter. Rules, apart by spaces: NUMBER=ERRNO, or NUMBER:ARGUMENT:MASK=ERRNO for
 * calls whose argument has a bit of the mask. confine() does it to every thread of the caller; the launcher
 * (-DLAUNCHER: host_confine RULES PROGRAM [ARGUMENT...]) before it becomes the program.
 */
#define _GNU_SOURCE
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIELD(name) ((unsigned)offsetof(struct seccomp_data, name))
#define MOST 16

int confine(const char *rules);

/* Compare the number; if it is the one, test the argument; refuse. Five instructions a rule. */
static size_t add_rule(struct sock_filter *at, unsigned number, unsigned argument, unsigned mask, unsigned error)
{
	const struct sock_filter rule[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIELD(nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIELD(args) + argument * 8),
		BPF_JUMP(BPF_JMP | (mask ? BPF_JSET : BPF_JGE) | BPF_K, mask, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
	};

	memcpy(at, rule, sizeof(rule));
	return sizeof(rule) / sizeof(*rule);
}

int confine(const char *rules)
{
	struct sock_filter filter[5 * MOST + 4] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIELD(arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { 3, filter };
	size_t count = 3;

	for (int used; *rules && count < 5 * MOST; rules += used) {
		unsigned number, argument = 0, mask = 0, error;

		used = 0;
		if (sscanf(rules, "%u:%u:%u=%u %n", &number, &argument, &mask, &error, &used) < 4 &&
		    (argument = 0, mask = 0, sscanf(rules, "%u=%u %n", &number, &error, &used) < 2))
			return -1;
		count += add_rule(filter + count, number, argument, mask, error);
	}
	filter[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = (unsigned short)count;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
}

#ifdef LAUNCHER
int main(int argc, char **argv)
{
	if (argc < 3 || confine(argv[1]))
		return 126;
	execvp(argv[2], argv + 2);
	return 127;
}
#endif
