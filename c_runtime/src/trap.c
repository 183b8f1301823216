/* SPDX-License-Identifier: MIT */
/*
 * What a thread does that runs into an int3 of ours: it goes on as if the new instruction stood there.
 *
 * The handler is async-signal-safe: no lock, no allocation, one published descriptor that it holds a reference to
 * while it reads. All signals are blocked in it, so a reference is held for a few hundred instructions.
 */
#include "runtime.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

/*
 * The descriptor. `references` is 0 while none is published; the updater holds one, each handler one more.
 * trap_publish's release of it pairs with the acquire in enter(): who gets a reference sees the pokes.
 * leave()'s release pairs with trap_retire's acquire: no handler reads the pokes after trap_retire returned.
 */
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

static void trap_publish(const struct poke *pokes, size_t count)
{
	descriptor.pokes = pokes;
	descriptor.count = count;
	__atomic_fetch_add(&descriptor.published, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&descriptor.references, 1, __ATOMIC_RELEASE);
}

static void leave(void)
{
	__atomic_fetch_sub(&descriptor.references, 1, __ATOMIC_RELEASE);
}

static void trap_retire(void)
{
	leave();
	while (__atomic_load_n(&descriptor.references, __ATOMIC_ACQUIRE))
		sched_yield();
}

static bool enter(void)
{
	/* Acquire also where it is 0: the bytes read then are those that the last update left. */
	unsigned references = __atomic_load_n(&descriptor.references, __ATOMIC_ACQUIRE);

	while (references)
		if (__atomic_compare_exchange_n(&descriptor.references, &references, references + 1, false,
						__ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

static const struct poke *find(uintptr_t address)
{
	size_t low = 0, high = descriptor.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (descriptor.pokes[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < descriptor.count && descriptor.pokes[low].address == address ? &descriptor.pokes[low] : NULL;
}

/*
 * Torvalds's continuation: write what is to be written, leave the int3, return to the byte behind it, which is the
 * rest of the instruction without its first prefix. The store is the updater's own, of the same value: whoever
 * comes first. Returning from a signal serialises, so this thread runs what it wrote.
 */
static void resume(const struct poke *poke, greg_t *registers)
{
	poke_displacement(poke, poke->to.word);
	registers[REG_RIP] = (greg_t)(poke->address + 1);
}

/* Do what the new instruction does. The interrupted stack is free below its pointer: a call would use it too. */
static void emulate(const struct poke *poke, greg_t *registers)
{
	uintptr_t next = poke->address + poke->length;
	uintptr_t *stack = (uintptr_t *)registers[REG_RSP];

	switch (poke->to.form) {
	case FORM_CALL:
		*--stack = next;
		registers[REG_RSP] = (greg_t)(uintptr_t)stack;
		registers[REG_RIP] = (greg_t)poke->target;
		break;
	case FORM_CONSTANT:
		registers[REG_RAX] = (greg_t)(uint32_t)poke->to.operand;
		registers[REG_RIP] = (greg_t)next;
		break;
	case FORM_JUMP:
	case FORM_JUMP_SLOT:
		registers[REG_RIP] = (greg_t)poke->target;
		break;
	case FORM_RETURN:
		registers[REG_RIP] = (greg_t)*stack++;
		registers[REG_RSP] = (greg_t)(uintptr_t)stack;
		break;
	default:
		registers[REG_RIP] = (greg_t)next;
		break;
	}
}

/* Go on by the published poke of this address, if there is one. */
static bool follow(uintptr_t address, greg_t *registers)
{
	const struct poke *poke;

	if (!enter())
		return false;
	poke = find(address);
	if (poke && poke->how == HOW_RESUME)
		resume(poke, registers);
	else if (poke)
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

	do {
		published = __atomic_load_n(&descriptor.published, __ATOMIC_ACQUIRE);
		if (follow(address, registers)) {
			__atomic_fetch_add(&statistics.traps, 1, __ATOMIC_RELAXED);
			return true;
		}
		if (*(const volatile uint8_t *)address != INT3) {
			/* What stands there now is to be run. */
			registers[REG_RIP] = (greg_t)address;
			__atomic_fetch_add(&statistics.stale_traps, 1, __ATOMIC_RELAXED);
			return true;
		}
	} while (published != __atomic_load_n(&descriptor.published, __ATOMIC_ACQUIRE));
	return false;
}

/*
 * A trap that is not ours goes to whoever had the signal; without a handler it does what it does by default. A
 * handler that came after us may hand the trap back to us, as the one it had found: then it goes to the owner before.
 */
static void chain(int signal, siginfo_t *info, ucontext_t *context)
{
	static __thread unsigned depth __attribute__((tls_model("initial-exec")));
	const struct sigaction standard = { .sa_handler = SIG_DFL };
	unsigned count = __atomic_load_n(&taken, __ATOMIC_ACQUIRE);
	const struct sigaction *owner = depth < count ? &owners[(count - 1 - depth) % OWNERS] : &standard;

	depth++;
	if (owner->sa_flags & SA_SIGINFO) {
		owner->sa_sigaction(signal, info, context);
	} else if (owner->sa_handler != SIG_DFL && owner->sa_handler != SIG_IGN) {
		owner->sa_handler(signal);
	} else if (info->si_code > 0) {
		/* Raised by the processor: run into it again, now without a handler. The kernel ignores SIG_IGN there. */
		context->uc_mcontext.gregs[REG_RIP] -= 1;
		sigaction(SIGTRAP, &standard, NULL);
	} else if (owner->sa_handler == SIG_DFL) {
		sigaction(SIGTRAP, &standard, NULL);
		raise(SIGTRAP);
	}
	depth--;
}

static void on_trap(int signal, siginfo_t *info, void *opaque)
{
	ucontext_t *context = opaque;
	int saved = errno;

	/* x86 reports int3 as SI_KERNEL, an emulator (qemu-user) as TRAP_BRKPT; kill() and single steps are others'. */
	if (!((info->si_code == SI_KERNEL || info->si_code == TRAP_BRKPT) && handled(context->uc_mcontext.gregs)))
		chain(signal, info, context);
	errno = saved;
}

static int trap_install(void)
{
	struct sigaction ours = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART }, now;

	sigfillset(&ours.sa_mask);
	if (sigaction(SIGTRAP, NULL, &now))
		return -errno;
	if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_trap)
		return 0;
	/* Whoever took the signal after us is chained to, as whoever had it before. */
	owners[taken % OWNERS] = now;
	__atomic_store_n(&taken, taken + 1, __ATOMIC_RELEASE);
	return sigaction(SIGTRAP, &ours, NULL) ? -errno : 0;
}
