/* SPDX-License-Identifier: MIT */
/*
 * The SIGTRAP handler: a thread that runs into an int3 of ours goes on as if the new instruction stood there
 * (emulate.c); what is not ours goes to whoever had the signal.
 *
 * It is async-signal-safe: no lock, no allocation, one published plan that it holds a reference to while it reads.
 * Other signals are blocked in it, so a reference is held for a few hundred instructions.
 */
#include "runtime.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/*
 * `references` has PUBLISHED while the updater lets handlers in, and a HANDLER for each that is.
 * trap_publish's release of it pairs with the acquire in enter(): who gets a reference sees the plan.
 * leave()'s release pairs with trap_retire's acquire: no handler reads the plan after trap_retire returned.
 */
#define PUBLISHED 1u
#define HANDLER 2u
static unsigned references;
static unsigned long published; /* how often; see handled() */

static void trap_publish(void)
{
	/* In this order: who counts this one has been able to find it (docs/model: "counted before it can be found"). */
	__atomic_fetch_or(&references, PUBLISHED, __ATOMIC_RELEASE);
	__atomic_fetch_add(&published, 1, __ATOMIC_RELEASE);
}

static void leave(void)
{
	__atomic_fetch_sub(&references, HANDLER, __ATOMIC_RELEASE);
}

static void trap_retire(void)
{
	__atomic_fetch_and(&references, ~PUBLISHED, __ATOMIC_RELEASE);
	/* Sleeping lets a handler of lower priority on (SCHED_FIFO), which yielding does not. */
	for (unsigned i = 0; __atomic_load_n(&references, __ATOMIC_ACQUIRE); i++)
		if (i < 64)
			sched_yield();
		else
			thread_pause(50000);
}

static void trap_forked(void)
{
	__atomic_fetch_and(&references, PUBLISHED, __ATOMIC_RELEASE);
}

static bool enter(void)
{
	/* Acquire also where it is 0: the bytes read then are those that the last update left. */
	unsigned seen = __atomic_load_n(&references, __ATOMIC_ACQUIRE);

	while (seen & PUBLISHED)
		if (__atomic_compare_exchange_n(&references, &seen, seen + HANDLER, false, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

/* Of those that go by int3. */
static const struct poke *published_at(uintptr_t address)
{
	const struct poke *pokes = state.plan.items;
	size_t at = array_lower_bound(pokes, state.plan.count, sizeof(*pokes), &address, array_by_address);
	bool found = at < state.plan.count && pokes[at].address == address && pokes[at].how != HOW_STORE;

	return found ? &pokes[at] : NULL;
}

/*
 * A push may fault, at the end of a stack, and the program have a handler for that, which may never come back: so without
 * the reference, and with those signals as open as they were where the call is. By the system call and a plain mask: the
 * loader would resolve here what is called nowhere else (trap_install()).
 */
static void push(uintptr_t value, ucontext_t *context)
{
	uintptr_t *stack = (uintptr_t *)context->uc_mcontext.gregs[REG_RSP];
	unsigned long faults = 1ul << (SIGSEGV - 1) | 1ul << (SIGBUS - 1);

	faults &= ~*(const unsigned long *)&context->uc_sigmask;
	(void)syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &faults, NULL, sizeof(faults));
	*(volatile uintptr_t *)--stack = value;
	context->uc_mcontext.gregs[REG_RSP] = (greg_t)(uintptr_t)stack;
}

/* Go on by the published poke of this address, if there is one. */
static bool follow(uintptr_t address, ucontext_t *context)
{
	greg_t *registers = context->uc_mcontext.gregs;
	const struct poke *poke;
	struct step step;

	if (!enter())
		return false;
	poke = published_at(address);
	if (poke)
		step = emulate(poke, registers);
	leave();
	if (!poke)
		return false;
	if (step.pushes)
		push(step.pushes, context);
	if (step.has_result)
		registers[REG_RAX] = (greg_t)step.result;
	registers[REG_RIP] = (greg_t)step.next;
	return true;
}

/*
 * Whether the trap was one of our int3s; if so the registers say where to go on.
 *
 * The update that this thread trapped in may be over, and the next one of the same site begun, by the time that we
 * look: no poke was found, and still an int3 stands there that is ours. Our int3s stand only while they are
 * published, so an int3 is somebody else's only if nothing was published between the search and the look.
 */
static bool handled(ucontext_t *context)
{
	greg_t *next = &context->uc_mcontext.gregs[REG_RIP];
	uintptr_t address = (uintptr_t)*next - 1;
	unsigned long before;
	uint8_t byte;

	do {
		before = __atomic_load_n(&published, __ATOMIC_ACQUIRE);
		if (follow(address, context)) {
			__atomic_fetch_add(&statistics.traps, 1, __ATOMIC_RELAXED);
			return true;
		}
		/* Elsewhere it is nobody's of ours, and may not even be there to be read. */
		if (!objects_have_text(address))
			return false;
		byte = *(const volatile uint8_t *)address;
		if (byte == PREFIX) {
			/* What stands there now is to be run. */
			*next = (greg_t)address;
			__atomic_fetch_add(&statistics.stale_traps, 1, __ATOMIC_RELAXED);
			return true;
		}
		/* Somebody else's instruction: icebp is reported like int3, and `int $3` has two bytes. */
		if (byte != INT3)
			return false;
	} while (before != __atomic_load_n(&published, __ATOMIC_ACQUIRE));
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

/* The place of the last owner but the first: a handler may still read the one before it. */
static unsigned place_of(unsigned count)
{
	return count < 2 ? 0 : 1 + count % (OWNERS - 1);
}

/*
 * A trap that is not ours goes to whoever had the signal; without a handler it does what it does by default. A
 * handler that came after us may hand the trap back to us, as the one it had found: then it goes to the first owner,
 * who was there before us.
 */
static void chain(int signal, siginfo_t *info, ucontext_t *context, bool from_kernel)
{
	const struct sigaction standard = { .sa_handler = SIG_DFL };
	unsigned count = __atomic_load_n(&state.owner_count, __ATOMIC_ACQUIRE);
	const struct sigaction *owner = &standard;

	if (from_kernel && count)
		owner = &state.owners[place_of(count)];
	else if (count > 1)
		owner = &state.owners[0];
	take_mask(owner, context);
	if (owner->sa_flags & SA_SIGINFO)
		owner->sa_sigaction(signal, info, context);
	else if (owner->sa_handler != SIG_DFL && owner->sa_handler != SIG_IGN)
		owner->sa_handler(signal);
	else if (owner->sa_handler == SIG_DFL || info->si_code > 0) /* the kernel ignores SIG_IGN for its own traps */
		default_action(info, context);
}

static void on_trap(int signal, siginfo_t *info, void *opaque)
{
	ucontext_t *context = opaque;
	/* The kernel puts the context right behind the handler's return address; an owner that hands back does not. */
	bool from_kernel = (uintptr_t)__builtin_frame_address(0) + 2 * sizeof(void *) == (uintptr_t)context;
	int saved = errno;

	if (interrupt_answer(info))
		(void)follow((uintptr_t)context->uc_mcontext.gregs[REG_RIP] - 1, context);
	else if (!is_int3(info) || !handled(context))
		chain(signal, info, context, from_kernel);
	errno = saved;
}

/*
 * Who had the signal first, before us, and who took it last, each time that we take it. A place is written before it is
 * published and then left alone, so that a handler may read it at any time; three takers later it is used again.
 */
static void remember(const struct sigaction *action)
{
	unsigned count = state.owner_count;
	const struct sigaction *last = &state.owners[place_of(count)];
	bool known = count && action->sa_sigaction == last->sa_sigaction && action->sa_flags == last->sa_flags;

	if (known || action->sa_sigaction == on_trap)
		return;
	state.owners[place_of(count + 1)] = *action;
	__atomic_store_n(&state.owner_count, count + 1, __ATOMIC_RELEASE);
}

static int trap_install(void)
{
	/* SIGTRAP itself stays open in the handler: a thread in it does not count as one that blocks it (threads.c). */
	struct sigaction ours = { .sa_sigaction = on_trap,
				  .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER }, now;
	int kept = errno;

	/*
	 * All, glibc's own as well, which sigfillset() leaves out: its handler of pthread_cancel()'s would unwind a thread out
	 * of here with its reference. But SIGSYS, which seccomp's RET_TRAP raises: the kernel kills where it is blocked.
	 */
	memset(&ours.sa_mask, 0xff, sizeof(ours.sa_mask));
	sigdelset(&ours.sa_mask, SIGTRAP);
	sigdelset(&ours.sa_mask, SIGSYS);
	/*
	 * Kept, and so the loader has resolved what the handler itself calls: to do it there takes 1.2 KB of the thread's
	 * stack, or 3 with AVX-512, which a coroutine may not have.
	 */
	if (sigaction(SIGTRAP, NULL, &now))
		return -errno;
	errno = kept;
	if (now.sa_sigaction == on_trap)
		return 0;
	/* Before it is ours, since a trap may come at once; and again, if somebody has just been faster. */
	remember(&now);
	if (sigaction(SIGTRAP, &ours, &now))
		return -errno;
	remember(&now);
	return 0;
}
