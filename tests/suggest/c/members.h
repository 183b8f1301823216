/* SPDX-License-Identifier: MIT */
#ifndef MEMBERS_H
#define MEMBERS_H

struct ops {
	int level;
	int (*read)(int value);
	void (*done)(const char *);
	const char *(*name)(void);
};

extern struct ops ops;
extern const struct ops quiet_ops;
int level(int value);

#endif
