/* SPDX-License-Identifier: MIT */
/*
 * What a thread does that runs into an int3 of ours: it goes on as if the new instruction stood there.
 *
 * The handler is async-signal-safe: no lock, no allocation, one published descriptor that it holds a reference to
 * while it reads. Other signals are blocked in it, so a reference is held for a few hundred instructions.
 */
#include "runtime.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#ifndef STATIC_CALL_SHADOW_STACK
#define STATIC_CALL_SHADOW_STACK 0
#endif

/* Of the flags register. */
#define FLAG_CARRY 0x001u
#define FLAG_PARITY 0x004u
#define FLAG_ZERO 0x040u
#define FLAG_SIGN 0x080u
#define FLAG_OVERFLOW 0x800u

/*
 * The descriptor. `references` has PUBLISHED while the updater lets handlers in, and a HANDLER for each that is.
 * trap_publish's release of it pairs with the acquire in enter(): who gets a reference sees the pokes.
 * leave()'s release pairs with trap_retire's acquire: no handler reads the pokes after trap_retire returned.
 */
#define PUBLISHED 1u
#define HANDLER 2u
static struct {
	const struct poke *pokes;
	size_t count;
	unsigned references;
	unsigned long published; /* how often; see handled() */
} descriptor;

/*
 * Who had the signal before us, each time that we took it. Written before it is published and then left alone, so
 * that a handler may read it at any time; sixteen takers later its place is used again.
 */
#define OWNERS 16
static struct sigaction owners[OWNERS];
static unsigned taken;

/* Publishing what is published already (an update that is put back, a killed thread's) changes nothing. */
static void trap_publish(const struct poke *pokes, size_t count)
{
	if (!(__atomic_load_n(&descriptor.references, __ATOMIC_RELAXED) & PUBLISHED)) {
		descriptor.pokes = pokes;
		descriptor.count = count;
	}
	/* In this order: who counts this one has been able to find it (docs/model: "counted before it can be found"). */
	__atomic_fetch_or(&descriptor.references, PUBLISHED, __ATOMIC_RELEASE);
	__atomic_fetch_add(&descriptor.published, 1, __ATOMIC_RELEASE);
}

static void leave(void)
{
	__atomic_fetch_sub(&descriptor.references, HANDLER, __ATOMIC_RELEASE);
}

static void trap_retire(void)
{
	__atomic_fetch_and(&descriptor.references, ~PUBLISHED, __ATOMIC_RELEASE);
	while (__atomic_load_n(&descriptor.references, __ATOMIC_ACQUIRE))
		sched_yield();
}

static bool enter(void)
{
	/* Acquire also where it is 0: the bytes read then are those that the last update left. */
	unsigned references = __atomic_load_n(&descriptor.references, __ATOMIC_ACQUIRE);

	while (references & PUBLISHED)
		if (__atomic_compare_exchange_n(&descriptor.references, &references, references + HANDLER, false,
						__ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

/* Of those that go by int3. */
static const struct poke *find(uintptr_t address)
{
	const struct poke *pokes = descriptor.pokes;
	size_t at = array_lower_bound(pokes, descriptor.count, sizeof(*pokes), &address, array_by_address);
	bool found = at < descriptor.count && pokes[at].address == address && pokes[at].how != HOW_STORE;

	return found ? &pokes[at] : NULL;
}

/* Whether this thread has a shadow stack: rdsspq is a nop where it has none. Tests pretend by -D. */
static bool has_shadow_stack(void)
{
	uint64_t pointer = STATIC_CALL_SHADOW_STACK;

	__asm__ volatile(".byte 0xf3, 0x48, 0x0f, 0x1e, 0xc8" : "+a"(pointer));
	return pointer;
}

/*
 * A call goes by the trampoline and not straight to the new target: this thread may sleep before it goes on, and later
 * updates return meanwhile; what the trampoline does is right whenever it gets there (docs/model: "push straight to the target").
 *
 * A call pushes its return address: below the interrupted stack pointer, which is free, since a call there would use
 * it too (wrappers have no red zone). A shadow stack would not know of it, and the return would be a fault, so there
 * the site's stub makes the call, to the trampoline, which is right at all times.
 */
static void emulate_call(const struct poke *poke, greg_t *registers)
{
	uintptr_t *stack = (uintptr_t *)registers[REG_RSP];

	if (poke->how == HOW_STUB || has_shadow_stack()) {
		registers[REG_RIP] = (greg_t)poke->site->stub;
		return;
	}
	*--stack = poke->address + poke->length;
	registers[REG_RSP] = (greg_t)(uintptr_t)stack;
	registers[REG_RIP] = (greg_t)poke->site->home;
}

/* Whether the conditional jump would be taken: its opcode's low four bits, SDM volume 1, appendix B. */
static bool is_taken(const struct poke *poke, greg_t flags)
{
	static const unsigned any_of[] = { FLAG_OVERFLOW, FLAG_CARRY,  FLAG_ZERO, FLAG_CARRY | FLAG_ZERO,
					   FLAG_SIGN,     FLAG_PARITY, 0,         FLAG_ZERO };
	unsigned condition = (unsigned)insn_immediate(poke->to, poke->length - 1u) & 0xf;
	bool less = !(flags & FLAG_SIGN) != !(flags & FLAG_OVERFLOW);
	bool holds = (flags & any_of[condition / 2]) || (condition >= 0xc && less);

	return holds != (condition & 1);
}

/* Where to go on, having done what the new instruction does. */
static void emulate(const struct poke *poke, greg_t *registers)
{
	uintptr_t next = poke->address + poke->length;

	/*
	 * The rest of the instruction, without its first prefix: a call of the old target or of the new one, whichever
	 * stands there when it is run. (Torvalds's handler stores the new displacement itself. That gains nothing, since the
	 * update is not over before the updater has; and while an update is put back it would store the wrong one.)
	 */
	if (poke->how == HOW_RESUME) {
		registers[REG_RIP] = (greg_t)(poke->address + 1);
		return;
	}
	if (poke->form == FORM_CALL) {
		emulate_call(poke, registers);
		return;
	}
	if (poke->form == FORM_CONSTANT)
		registers[REG_RAX] = (greg_t)insn_immediate(poke->to, poke->length);
	/* For the same reason as a call by the trampoline; a trampoline by its slot, which has been stored already. */
	if (poke->form == FORM_JUMP || poke->form == FORM_RETURN ||
	    (poke->form == FORM_BRANCH && is_taken(poke, registers[REG_EFL])))
		next = poke->site ? poke->site->home : poke->address + TRAMP_FAR;
	registers[REG_RIP] = (greg_t)next;
}

/* Go on by the published poke of this address, if there is one. */
static bool follow(uintptr_t address, greg_t *registers)
{
	const struct poke *poke;

	if (!enter())
		return false;
	poke = find(address);
	if (poke)
		emulate(poke, registers);
	leave();
	return poke;
}

/*
 * Whether the trap was one of our int3s; if so the registers say where to go on.
 *
 * The update that this thread trapped in may be over, and the next one of the same site begun, by the time that we
 * look: no poke was found, and still an int3 stands there that is ours. Our int3s stand only while they are
 * published, so an int3 is somebody else's only if nothing was published between the search and the look.
 */
static bool handled(greg_t *registers)
{
	uintptr_t address = (uintptr_t)registers[REG_RIP] - 1;
	unsigned long published;
	uint8_t byte;

	do {
		published = __atomic_load_n(&descriptor.published, __ATOMIC_ACQUIRE);
		if (follow(address, registers)) {
			__atomic_fetch_add(&statistics.traps, 1, __ATOMIC_RELAXED);
			return true;
		}
		byte = *(const volatile uint8_t *)address;
		if (byte == PREFIX) {
			/* What stands there now is to be run. */
			registers[REG_RIP] = (greg_t)address;
			__atomic_fetch_add(&statistics.stale_traps, 1, __ATOMIC_RELAXED);
			return true;
		}
		/* Somebody else's instruction: icebp is reported like int3, and `int $3` has two bytes. */
		if (byte != INT3)
			return false;
	} while (published != __atomic_load_n(&descriptor.published, __ATOMIC_ACQUIRE));
	return false;
}

/* x86 reports int3 as SI_KERNEL, an emulator (qemu-user) as TRAP_BRKPT; kill() and single steps are others'. */
static bool is_int3(const siginfo_t *info)
{
	return info->si_code == SI_KERNEL || info->si_code == TRAP_BRKPT;
}

/* What the signal does without a handler. */
static void default_action(const siginfo_t *info, ucontext_t *context)
{
	const struct sigaction standard = { .sa_handler = SIG_DFL };

	sigaction(SIGTRAP, &standard, NULL);
	/* Run into it again, for a core dump that shows where. */
	if (is_int3(info))
		context->uc_mcontext.gregs[REG_RIP] -= 1;
	else
		(void)raise(SIGTRAP);
}

/*
 * The signals that the owner wanted blocked, and none of those that we do: it may leave by longjmp. SIGTRAP stays open,
 * since it may call; the return from the signal restores the rest.
 */
static void take_mask(const struct sigaction *owner, const ucontext_t *context)
{
	sigset_t mask;

	sigorset(&mask, &context->uc_sigmask, &owner->sa_mask);
	sigdelset(&mask, SIGTRAP);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

/*
 * A trap that is not ours goes to whoever had the signal; without a handler it does what it does by default. A
 * handler that came after us may hand the trap back to us, as the one it had found: then it goes to the owner before,
 * and after the first to the last again (two copies of the runtime chain to each other), until nobody has wanted it.
 */
static void chain(int signal, siginfo_t *info, ucontext_t *context, bool from_kernel)
{
	/* How often this trap has been handed back. An owner may leave by siglongjmp, so a new trap begins anew. */
	static __thread unsigned depth __attribute__((tls_model("initial-exec")));
	const struct sigaction standard = { .sa_handler = SIG_DFL };
	unsigned count = __atomic_load_n(&taken, __ATOMIC_ACQUIRE);
	unsigned known = count < OWNERS ? count : OWNERS;
	const struct sigaction *owner;

	if (from_kernel)
		depth = 0;
	owner = known && depth < OWNERS ? &owners[(count - 1 - depth % known) % OWNERS] : &standard;
	depth++;
	take_mask(owner, context);
	if (owner->sa_flags & SA_SIGINFO)
		owner->sa_sigaction(signal, info, context);
	else if (owner->sa_handler != SIG_DFL && owner->sa_handler != SIG_IGN)
		owner->sa_handler(signal);
	else if (owner->sa_handler == SIG_DFL || info->si_code > 0) /* the kernel ignores SIG_IGN for its own traps */
		default_action(info, context);
	depth--;
}

static void on_trap(int signal, siginfo_t *info, void *opaque)
{
	ucontext_t *context = opaque;
	/* The kernel puts the context right behind the handler's return address; an owner that hands back does not. */
	bool from_kernel = (uintptr_t)__builtin_frame_address(0) + 2 * sizeof(void *) == (uintptr_t)context;
	int saved = errno;

	if (threads_answer(info))
		(void)follow((uintptr_t)context->uc_mcontext.gregs[REG_RIP] - 1, context->uc_mcontext.gregs);
	else if (!is_int3(info) || !handled(context->uc_mcontext.gregs))
		chain(signal, info, context, from_kernel);
	errno = saved;
}

/*
 * Whoever had the signal is chained to, the last one first. Two copies of the runtime take it from each other all the
 * time; for each the other one is the last owner that it knows, so that they do not fill the list.
 */
static void remember(const struct sigaction *action)
{
	const struct sigaction *last = &owners[(taken - 1) % OWNERS];
	bool known = taken && action->sa_sigaction == last->sa_sigaction && action->sa_flags == last->sa_flags;

	if (known || action->sa_sigaction == on_trap)
		return;
	owners[taken % OWNERS] = *action;
	__atomic_store_n(&taken, taken + 1, __ATOMIC_RELEASE);
}

static int trap_install(void)
{
	/* SIGTRAP itself stays open in the handler: a thread in it does not count as one that blocks it (threads.c). */
	struct sigaction ours = { .sa_sigaction = on_trap,
				  .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER }, now;

	/*
	 * All, glibc's own as well, which sigfillset() leaves out: its handler of pthread_cancel()'s would unwind a thread out
	 * of here with its reference. But SIGSYS, which seccomp's RET_TRAP raises: the kernel kills where it is blocked.
	 */
	memset(&ours.sa_mask, 0xff, sizeof(ours.sa_mask));
	sigdelset(&ours.sa_mask, SIGTRAP);
	sigdelset(&ours.sa_mask, SIGSYS);
	if (sigaction(SIGTRAP, NULL, &now))
		return -errno;
	if (now.sa_sigaction == on_trap)
		return 0;
	/* Before it is ours, since a trap may come at once; and again, if somebody has just been faster. */
	remember(&now);
	if (sigaction(SIGTRAP, &ours, &now))
		return -errno;
	remember(&now);
	return 0;
}
