/* SPDX-License-Identifier: MIT */
/*
 * One call site that is patched while threads run through it. README.md says what is modelled and what is not;
 * tests/model/cases.py lists what is run. A case is a choice of these switches:
 *
 * PROTOCOL     int3, and a thread that trapped goes on by RESUME or PUSH; or STORES alone and one sync
 * STORE        what one store of the updater writes: a BYTE, the whole DISPLACEMENT, the WORD of the whole site
 * FETCH        what a processor never tears when it fetches: the same
 * CORE         1: NULL, a nop, is among the targets: an update may change the opcode
 * MIXED        1: RESUME where only the target changes, PUSH where the opcode does
 * MISSING      synchronisations left out, added up: 1 the first, 2 the second, 4 the third
 * ORDERED      1: what a core fetches later is never older than what it fetched before
 * FINISH       1: RESUME's handler stores the new displacement itself
 * STRAIGHT     1: PUSH goes to the target that the handler found, not to the trampoline
 * SLOT         1: the site is a trampoline itself, PUSH goes to its jump through the slot
 * TAIL         1: the site is a tail call, NULL a return: PUSH goes to the trampoline for that as well
 * RETRY        0: the handler does not look whether the byte that it trapped at is still int3
 * AGAIN        0: the handler does not look again if something was published meanwhile
 * REFERENCES   0: handlers hold no reference, the updater does not wait for them
 * COUNT_FIRST  1: an update is counted as published before it can be found
 */
#define RESUME 1
#define PUSH 2
#define STORES 3

#define BYTE 1
#define DISPLACEMENT 2
#define WORD 3

/*
 * The text in eight bits. The site is four bytes: the prefix or int3; the opcode, call or nop; two halves of the
 * displacement, which is 0 in a nop. The trampoline is one aligned jump, of which only the displacement changes;
 * with SLOT these bits are its slot, which is read as data.
 */
#define FIRST 1
#define OPCODE 2
#define LOW 12
#define HIGH 48
#define TRAMPOLINE 192

#define NULL 0
#define A 1
#define B 2
#define CORE_OF(target) ((target -> OPCODE : 0) | target * 4 | target * 16)
#define TRAMPOLINE_TO(target) (target * 64)

/*
 * Stores reach memory in order, each makes a new image of the text. A core fetches every piece from any image since
 * it last serialised. `fetching`: it is inside an instruction, so no interrupt comes.
 */
#define STORES_IN_UPDATE 6
byte text[UPDATES * STORES_IN_UPDATE + 1] = CORE_OF(A) | TRAMPOLINE_TO(A);
byte now;
byte since[THREADS];
bool fetching[THREADS];

/* The descriptor: of an update of this site (`named`), or of another one. `alive`: its memory is not used anew. */
byte references, published, target;
bool named, redirects, alive;

byte allowed = 1 << A; /* the targets that a thread may enter now, a bit each */
bool whole = true, timely = true, ours = true; /* the properties beside `alive`; asserted, so always true */

inline store(part, value)
{
	d_step {
		if
		:: (text[now] & (part)) == (value)
		:: else ->
			assert(now < UPDATES * STORES_IN_UPDATE);
			text[now + 1] = (text[now] & ~(part)) | (value);
			now++;
			printf("stores: int3 %d, call %d, displacement %d %d, trampoline to %d\n", text[now] & FIRST,
				(text[now] & OPCODE) / OPCODE, (text[now] & LOW) / 4, (text[now] & HIGH) / 16,
				text[now] / TRAMPOLINE_TO(1))
		fi
	}
}

/* Everything behind the first byte, with as few stores as there can be. */
inline store_core(to)
{
#if STORE == WORD
	store(OPCODE | LOW | HIGH, CORE_OF(to));
#else
#if STORE == DISPLACEMENT
	store(LOW | HIGH, CORE_OF(to) & (LOW | HIGH));
#else
	store(LOW, CORE_OF(to) & LOW);
	store(HIGH, CORE_OF(to) & HIGH);
#endif
#if CORE
	store(OPCODE, CORE_OF(to) & OPCODE);
#endif
#endif
}

/* One core after the other. The threads are alike, so one order stands for all. */
inline sync()
{
	do
	:: core < THREADS ->
		atomic {
			!fetching[core] -> since[core] = now;
			core++
		}
	:: else ->
		core = 0;
		printf("has synchronised\n");
		break
	od
}

inline fetch(part)
{
	atomic {
		fetching[_pid] = true;
		version = since[_pid];
		do
		:: version < now -> version++
		:: break
		od;
		got = (got & ~(part)) | (text[version] & (part));
#if ORDERED
		since[_pid] = version;
#endif
		version = 0
	}
}

inline fetch_core()
{
#if FETCH == WORD
	skip;
#elif FETCH == DISPLACEMENT
	fetch(OPCODE);
	fetch(LOW | HIGH);
#else
	fetch(OPCODE);
	fetch(LOW);
	fetch(HIGH);
#endif
}

inline enter(to)
{
	atomic {
		timely = (allowed >> (to)) & 1;
		printf("enters target %d\n", to);
		assert(timely)
	}
}

inline execute()
{
	atomic {
		fetching[_pid] = false;
		printf("runs: call %d, displacement %d %d\n", (got & OPCODE) / OPCODE, (got & LOW) / 4,
			(got & HIGH) / 16);
		whole = (got & (OPCODE | LOW | HIGH)) == CORE_OF((got & LOW) / 4);
		assert(whole);
		enter((got & LOW) / 4);
		got = 0
	}
}

/* The handler releases the descriptor and returns, which serialises; then the thread goes on. */
inline leave()
{
#if REFERENCES
	references--;
#endif
	atomic {
		since[_pid] = now;
		printf("has left the handler\n")
	}
}

active [THREADS] proctype caller()
{
	byte got, version, seen, to;

at_first_byte:
#if FETCH == WORD
	fetch(FIRST | OPCODE | LOW | HIGH);
#else
	fetch(FIRST);
#endif
#if PROTOCOL != STORES
	if
	:: atomic {
		got & FIRST ->
		fetching[_pid] = false;
		got = 0;
		goto trapped
	   }
	:: else
	fi;
#endif
at_second_byte:
	fetch_core();
	execute();
	goto at_first_byte;

#if PROTOCOL != STORES
trapped:
	atomic {
		seen = published;
		printf("is in the handler\n")
	}
	if
	:: atomic {
		references ->
#if REFERENCES
		references++
#endif
	   };
		assert(alive);
		if
		:: named ->
			atomic {
				assert(alive);
				to = target;
				seen = 0;
				printf("finds target %d\n", to)
			};
#if MIXED
			if
			:: redirects -> goto push
			:: else
			fi;
#endif
			goto found
		:: else
		fi;
#if REFERENCES
		references--
#endif
	:: else
	fi;
#if RETRY
	if
	:: atomic {
		!(text[now] & FIRST) ->
		since[_pid] = now;
		seen = 0;
		printf("goes back to the first byte\n");
		goto at_first_byte
	   }
	:: else
	fi;
#endif
	atomic {
#if AGAIN
		ours = published != seen;
#else
		ours = false;
#endif
		printf("finds nothing, int3 stands, looks again %d\n", ours);
		assert(ours);
		goto trapped
	}

found:
#if PROTOCOL == RESUME
#if FINISH
	store_core(to);
#endif
	to = 0;
	leave();
	goto at_second_byte;
#endif
#if PROTOCOL == PUSH || MIXED
push:
#if !SLOT && !TAIL
	if
	:: to
	:: else ->
		enter(NULL);
		leave();
		goto at_first_byte
	fi;
#endif
	leave();
#if STRAIGHT
	enter(to);
#elif SLOT
	enter(text[now] / TRAMPOLINE_TO(1));
#else
	fetch(TRAMPOLINE);
	atomic {
		fetching[_pid] = false;
		enter(got / TRAMPOLINE_TO(1));
		got = 0
	};
#endif
	to = 0;
	goto at_first_byte
#endif
#endif
}

active proctype updater()
{
	byte from = A, to, core, updates;

update:
	/* Any target; the present one stands for an update of another site. */
	if
	:: to = A
	:: to = B
#if CORE
	:: to = NULL
#endif
	fi;
	atomic {
		allowed = allowed | 1 << to;
		printf("update from %d to %d\n", from, to)
	}
#if PROTOCOL == STORES
	store_core(to);
#if !MISSING
	sync();
#endif
#else
	atomic {
		named = to != from;
		target = to;
#if MIXED
		redirects = !to || !from;
#endif
		alive = true
	}
#if COUNT_FIRST
	published++;
	references = 1;
#else
	references = 1;
	published++;
#endif
	if
	:: to == from
	:: else ->
#if PROTOCOL == PUSH || MIXED
		store(TRAMPOLINE, TRAMPOLINE_TO(to));
#endif
		store(FIRST, FIRST);
#if !(MISSING & 1)
		sync();
#endif
		store_core(to);
#if !(MISSING & 2)
		sync();
#endif
		store(FIRST, 0);
#if !(MISSING & 4)
		sync()
#endif
	fi;
	references--;
#if REFERENCES
	references == 0;
#endif
	alive = false;
#endif
	atomic {
		allowed = 1 << to;
		from = to;
		updates++;
		printf("update has returned\n");
		if
		:: updates < UPDATES -> goto update
		:: else
		fi
	}
}
