/* SPDX-License-Identifier: MIT */
/* What only a lexer sees: splices, comments, literals, digraphs, raw strings, bytes that are no ASCII. */
%:include <static_call.h>
#include "check.h"

static int one(int x) <% return x + 1; %>
static int two(int x) <% return x + 2; %>
static long add_one(long a, long b) { return a + b + 1; }
static long add_two(long a, long b) { return a + b + 2; }
DEFINE_STATIC_CALL(k, one);
DEFINE_\
STATIC_CALL(add, \
	    add_one);

%: define SPLICED(x) stat\
ic_call(k)\
(x)
# /* a
comment in a directive */ define COMMENTED(x) static_call /* one */ (/* two
*/ k) /* three
*/ (x)
%:define PASTED(a) static_call(k)(a %:%: 1)

static void checks(void)
<%
	int array<:2:> = { static_call(k)(1), 0 };
	const char *text = "static_call(k)(1) \" static_call(k)(2)" /* static_call(k)(3) */ u8"static_call(k)";
#ifndef __clang__
	const char *raw = R"(static_call(k)(1) " \)" R"x(
static_call(k)(2) )" // )x";
#else
	const char *raw = "static_call";
#endif
	int character = 'k)()' != 0 || '\'' == L'"'; // static_call(k)(1) \
	static_call(k)(2);

	check(__LINE__, array[0], 1 + step);
	check(__LINE__, static_call(k)(array<:1:>), step);
	check(__LINE__, sta\
tic_c\
all(k)(1), 1 + step);
	check(__LINE__, static_call\
(k)(1), 1 + step);
	check(__LINE__, static_call(\
k\
)\
(\
1\
), 1 + step);
	check(__LINE__, static_call(ad\   
d)(1, 2), 3 + step);
	check(__LINE__, static_call // one (
		( // two )
			k // three )
		) // four (
		(1), 1 + step);
	check(__LINE__, static_call/**/(/**/k/**/)/**/(1), 1 + step);
	check(__LINE__, static_call/* ( */(k/* ) */)/* ( " */(1), 1 + step);
	check(__LINE__, static_call	(	k	)	(1), 1 + step);
	check(__LINE__, static_call(add)('(', ')' /* "( */), '(' + ')' + step);
#ifndef __clang__
	check(__LINE__, static_call(add)("("[0], R"())"[0] == ')'), '(' + 1 + step);
#endif
	check(__LINE__, static_call(add, '"', "'\\"[1]), '"' + '\\' + step);
	check(__LINE__, 1?static_call(k)(1):0, 1 + step);
	check(__LINE__, 1-static_call(k)(1)+-static_call(k)(1), -1 - 2 * step);
	check(__LINE__, (1)/static_call(k)(0)*/**/static_call(k)(0), step == 1 ? 1 : 0);
	check(__LINE__, SPLICED(1) + COMMENTED(1) + PASTED(1), 13 + 3 * step);
	check(__LINE__, character && text[0] == 's' && raw[0] == 's', 1);
%>

static int update(int to)
{
	return static_call_update(k, to == 2 ? two : one) | static_call_update(add, to == 2 ? add_two : add_one);
}

int main(void)
{
	return run(checks, update);
}
