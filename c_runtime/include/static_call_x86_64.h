/* SPDX-License-Identifier: MIT */
/*
 * The instrumented flavour, x86-64 ELF: trampolines, call sites and the tables that lead to them. Included by
 * static_call.h, after the header that `instrument` generated for the keys of the tree.
 *
 * For each key KEY that header may define
 *     __SC_DECL_KEY    ~, MACRO    MACRO() is the key's wrapper __SCW__KEY, put where the key is first declared
 *     __SC_CALL_KEY    ~, __SCW__KEY
 *     __SC_INIT_KEY    ~, __SC_JUMP("symbol")    the initial target's assembler name
 *     __SC_ALIAS_KEY   ~, MACRO    MACRO() gives a static initial target a name of its own, __SCI__KEY: link-time
 *                      optimisation renames static functions, and merges files that have two of one name
 * A key without them is called through its trampoline, which the compiler itself calls: right for any signature.
 */
#ifndef STATIC_CALL_H
#error "include static_call.h instead"
#endif
#if !defined __x86_64__ || defined __ILP32__ || !defined __ELF__
#error "these sources were instrumented for x86-64; for another target build the original ones"
#endif
#ifdef __code_model_large__
#error "-mcmodel=large: a call there does not reach its trampoline by 32 bits; build the original sources, or by another model"
#endif

/* The prefixes of each layout, as a record in __static_call_sites has them (records.h beside the runtime's C files). */
#define __SC_SITE_ALIGNED 3
#define __SC_SITE_COMPACT 1

#define STATIC_CALL_TRAMP_ADDR(name) (__extension__(void *)&STATIC_CALL_TRAMP(name))

/* ---- registration: each linked object hands its tables to the runtime before main and takes them back --------- */

/*
 * Hidden: the linker gives each object its own. Weak: absent where nothing is recorded, and one per object
 * however many translation units say so. The runtime ignores every registration of an object but the first.
 */
#define __SC_OWN __attribute__((__weak__, __visibility__("hidden")))
extern const char __start___static_call_sites[] __SC_OWN, __stop___static_call_sites[] __SC_OWN;
extern const char __start___static_call_keys[] __SC_OWN, __stop___static_call_keys[] __SC_OWN;
/*
 * Whole before any constructor runs: an update of a key finds it, however early. In RELRO, since it leads to code: no
 * write to data turns an update.
 */
__SC_OWN __attribute__((__section__(".data.rel.ro.__static_call_object")))
struct __static_call_object __static_call_object = {
	__SC_ABI,
	sizeof(struct __static_call_object),
	__static_call_rt_commit,
	__start___static_call_sites,
	__stop___static_call_sites,
	__start___static_call_keys,
	__stop___static_call_keys,
	(static_call_fn)__static_call_return0,
};

/* 101, the first priority that is the program's: other constructors may already call and update. */
static __attribute__((__constructor__(101), __used__)) void __static_call_enter(void)
{
	__static_call_rt_register(&__static_call_object);
}

static __attribute__((__destructor__(101), __used__)) void __static_call_leave(void)
{
	__static_call_rt_unregister(&__static_call_object);
}

/* ---- trampolines ---------------------------------------------------------------------------------------------- */

/*
 * Sixteen bytes: an aligned word with a jump, and what it may jump to if not to the target itself: a jump through the
 * key's slot, where the target is further than 2 GiB or not known to the assembler, and a return, for NULL. So a
 * trampoline changes by its displacement alone, one aligned store on every processor, and needs no int3. (The
 * kernel's own are rewritten whole; design.md had `jmp *slot` and `ret` in the word itself, which a processor other
 * than AMD's promises nothing about.)
 *
 * Explicit bytes: GNU as drops a prefix that it thinks useless and shortens jumps (binutils 2.40). .reloc, since
 * `.long f@PLT - .` is no expression and a plain PC-relative .long to a preemptible function does not link into a
 * shared object.
 */
#define __SC_JUMP_BYTES ".byte 0x2e, 0x2e, 0x2e, 0xe9\n\t"
#ifdef STATIC_CALL_SLOTS
/* Every call through a pointer in data: for programs that may write no text when they update. */
#define __SC_JUMP(symbol) __SC_JUMP_BYTES ".long 0\n\t"
#define __SC_RETURN __SC_JUMP_BYTES ".long 0\n\t"
#define __SC_BY_SLOT "1"
#define __SC_SLOT_NULL(name) __extension__(static_call_fn)((char *)&STATIC_CALL_TRAMP(name) + __SC_RETURN_AT)
#else
#define __SC_RETURN __SC_JUMP_BYTES ".long 6\n\t"
#define __SC_BY_SLOT "0"
#define __SC_SLOT_NULL(name) (static_call_fn)0
#define __SC_JUMP(symbol) __SC_JUMP_BYTES ".reloc ., R_X86_64_PLT32, " symbol " - 4\n\t.long 0\n\t"
#endif
#define __SC_JUMP_SLOT __SC_JUMP_BYTES ".long 0\n\t"

/*
 * The jump through the slot makes a trampoline unlike every other one: identical code folding (lld --icf=safe too)
 * would make one trampoline of two keys. int3 behind the return stops straight-line speculation.
 *
 * The trampoline's own section, and the record bound to it (SHF_LINK_ORDER), so that section garbage collection
 * keeps both or neither. The key's address comes from the GOT since the key may be another object's, and so does the
 * trampoline's by which sites of all objects know it; the constant
 * word before each GOTPCREL keeps linkers from taking the table for a `mov` that they could relax (they look at
 * the byte two before it for 0x8b: binutils elf_x86_64_convert_load_reloc, gold).
 *
 * Under -fcf-protection an endbr64 stands before the word: a PLT entry or a pointer may lead here, by an indirect
 * branch. The word keeps its alignment, and the record names it; the symbol is the endbr64.
 */
#if defined __CET__ && (__CET__ & 1)
#define __SC_LANDING(name) ".fill 12, 1, 0xcc\n__SCT__" #name ":\n\t.byte 0xf3, 0x0f, 0x1e, 0xfa\n"
#define __SC_TRAMPOLINE_SIZE "20"
#define __SC_RETURN_AT 18
#else
#define __SC_LANDING(name) "__SCT__" #name ":\n"
#define __SC_TRAMPOLINE_SIZE "16"
#define __SC_RETURN_AT 14
#endif
#define __SC_TRAMPOLINE(name, jump) \
	__asm__(".pushsection .text.__SCT__" #name ", \"ax\", @progbits\n\t" \
		".p2align 4\n\t" \
		".globl __SCT__" #name "\n\t" \
		".type __SCT__" #name ", @function\n" \
		__SC_LANDING(name) \
		".L__SCT__" #name ":\n\t" \
		".cfi_startproc\n\t" jump \
		".byte 0xff, 0x25\n\t.long __SCS__" #name " - . - 4\n\t" \
		".byte 0xc3, 0xcc\n\t" \
		".cfi_endproc\n\t" \
		".size __SCT__" #name ", " __SC_TRAMPOLINE_SIZE "\n\t" \
		".popsection\n\t" \
		".pushsection .rodata.__SCT__" #name ", \"a\", @progbits\n" \
		".L__SCN__" #name ":\n\t.asciz \"" #name "\"\n\t" \
		".popsection\n\t" \
		".pushsection __static_call_keys, \"ao\", @progbits, .L__SCT__" #name "\n\t" \
		".p2align 2\n\t" \
		".long .L__SCT__" #name " - .\n\t" \
		".long __SCS__" #name " - .\n\t" \
		".long .L__SCN__" #name " - .\n\t" \
		".long " __SC_BY_SLOT "\n\t" \
		".long __SCK__" #name "@GOTPCREL\n\t" \
		".long 0\n\t" \
		".long __SCT__" #name "@GOTPCREL\n\t" \
		".popsection")
#define __SC_HIDE_KEY(name) __asm__(".hidden " __SC_STR(STATIC_CALL_KEY(name)));

/* ---- call sites ----------------------------------------------------------------------------------------------- */

/*
 * n cs prefixes and a five-byte call: with n = 3 one aligned word, with n = 1 Torvalds's six bytes anywhere.
 * `call` keeps its five bytes in every assembler. Each prefix is a statement: `cs cs call` is refused (GNU as: "same
 * type of prefix used twice"), and before bytes of data GNU as puts no row of the line table: the call's line began
 * behind them, in the middle of the site, and a breakpoint on that line too.
 * %= is a new number in every copy that the compiler makes of the asm.
 *
 * The stub, in cold text at the section's end, is where a thread goes on that ran into an int3 and cannot have its
 * return address pushed (a shadow stack): a real call, of what is right at all times. A subsection is part of the
 * function's own section, so that it is collected and folded with it. It has no unwind information: a backtrace
 * through it ends there.
 */
#ifdef STATIC_CALL_RETAIN
/*
 * One table an object, kept whole by every linker (SHF_GNU_RETAIN), and with it every function that has a site.
 * For very large files: assemblers make one section of each record that is bound to its own place, and GNU as 2.40
 * needs quadratic time for that (20,000 sites in one file: 45 s instead of 20 s, one run each on a busy Xeon at 2.5 GHz).
 */
#define __SC_BOUND "\"aR\", @progbits"
#else
#define __SC_BOUND "\"ao\", @progbits, .Lsc%="
#endif
#define __SC_SITE(name, n, align, prefixes) \
	align ".Lsc%=:\n\t" prefixes "call __SCT__" #name "@PLT\n.Lse%=:\n\t" \
	".subsection 1\n" \
	".Lsb%=:\n\tcall __SCT__" #name "@PLT\n\t.byte 0xe9\n\t.long .Lse%= - . - 4\n\t" \
	".previous\n\t" \
	".pushsection __static_call_sites, " __SC_BOUND "\n\t" \
	".p2align 2\n\t" \
	".long .Lsc%= - .\n\t" \
	".long .Lsb%= - .\n\t" \
	".long " __SC_STR(n) "\n\t" \
	".long __SCT__" #name "@GOTPCREL\n\t" \
	".popsection\n\t" \
	".pushsection .static_call_notes, \"\", @progbits\n\t" \
	".quad .Lsc%=\n\t" \
	".asciz \"" #name "\"\n\t" \
	".popsection"
#define __SC_SITE_ALIGNED_ASM(name) __SC_SITE(name, __SC_SITE_ALIGNED, ".p2align 3\n", "cs\n\tcs\n\tcs\n\t")
#define __SC_SITE_COMPACT_ASM(name) __SC_SITE(name, __SC_SITE_COMPACT, "", "cs\n\t")

/*
 * What any callee may change (psABI 3.2.1, figure 3.4) beyond the registers of arguments and results, which a wrapper
 * names as operands or through __SC_SSE and __SC_X87: those are empty in a file that is compiled without such
 * registers. xmm16-31 and the mask registers can be named only where the file is compiled for them; `instrument`
 * leaves calls in functions with a target attribute to the compiler for that reason.
 */
#define __SC_CLOBBER_BASE "memory", "cc", "r10", "r11"
#ifdef __SSE__
#define __SC_SSE(name) name,
#define __SC_CLOBBER_SSE , "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
#else
#define __SC_SSE(name)
#define __SC_CLOBBER_SSE
#endif
#ifdef _SOFT_FLOAT
#define __SC_X87(name)
#define __SC_CLOBBER_X87
#else
#define __SC_X87(name) name,
#define __SC_CLOBBER_X87 , "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)"
#endif
#ifdef __MMX__
#define __SC_CLOBBER_MMX , "mm0", "mm1", "mm2", "mm3", "mm4", "mm5", "mm6", "mm7"
#else
#define __SC_CLOBBER_MMX
#endif
#ifdef __AVX512F__
#define __SC_CLOBBER_AVX512 \
	, "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", \
		"xmm28", "xmm29", "xmm30", "xmm31", "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#else
#define __SC_CLOBBER_AVX512
#endif
#ifdef __APX_F__
#define __SC_CLOBBER_APX \
	, "r16", "r17", "r18", "r19", "r20", "r21", "r22", "r23", "r24", "r25", "r26", "r27", "r28", "r29", "r30", "r31"
#else
#define __SC_CLOBBER_APX
#endif
#define __SC_CLOBBERS \
	__SC_CLOBBER_BASE __SC_CLOBBER_SSE __SC_CLOBBER_X87 __SC_CLOBBER_MMX __SC_CLOBBER_AVX512 __SC_CLOBBER_APX

/* A macro of that name would leave a wrapper's variables without their registers. */
#ifdef register
#undef register
#endif
/* The bits of a register, in words that no macro of the user's can change: `#define long int` has been seen. */
typedef __typeof__(sizeof 0) __static_call_word;
typedef __typeof__(0u) __static_call_half;
typedef __typeof__(0.0) __static_call_double;

/*
 * The stack pointer as an in/out operand of a wrapper's call keeps shrink-wrapping from moving the frame behind
 * it. A global register variable, since clang reads an uninitialised local one as undefined.
 */
__extension__ register __static_call_word __static_call_sp __asm__("rsp");

#ifdef __SSE2__
/* All 16 bytes of an xmm register, for values of class SSE and SSEUP. */
typedef __static_call_double __static_call_xmm __attribute__((__vector_size__(16)));
#endif

/* ---- the API --------------------------------------------------------------------------------------------------- */

/* gcc warns of an alias without its target's attributes (-Wmissing-attributes). */
#if !defined __clang__ && defined __GNUC__ && __GNUC__ >= 9
#define __SC_LIKE(func) __attribute__((__copy__(func)))
#else
#define __SC_LIKE(func)
#endif
#ifdef __clang__
/* clang decorates the names of functions that are regcall or vectorcall, which the trampoline's type may be. */
#define __SC_UNDECORATED(symbol) __asm__(symbol)
#else
#define __SC_UNDECORATED(symbol)
#endif

/* A declaration that says nothing new: it takes the semicolon that the user writes. */
#define __SC_NO_WRAPPER() struct static_call_key

/* Unused where a block declares a key and calls it through its trampoline: gcc has -Wunused-variable for that. */
#define DECLARE_STATIC_CALL(name, func) \
	extern struct static_call_key STATIC_CALL_KEY(name) __SC_VISIBLE __attribute__((__unused__)); \
	extern __typeof__(func) STATIC_CALL_TRAMP(name) __SC_UNDECORATED(STATIC_CALL_TRAMP_STR(name)) __SC_VISIBLE; \
	__SC_PICK(__SC_CAT(__SC_DECL_, name), __SC_NO_WRAPPER, ~)()

/*
 * Keys and slots are read-only after relocation (the linker's RELRO), as the kernel's are after init: the runtime
 * opens them for the length of an update. Not with -DSTATIC_CALL_SLOTS, whose updates are stores to them.
 */
#ifdef STATIC_CALL_SLOTS
#define __SC_KEPT(name) __attribute__((__used__))
#else
#define __SC_KEPT(name) __attribute__((__used__, __section__(".data.rel.ro.__SCK__" #name)))
#endif

#define __SC_DEFINE(name, func, init, slot, jump) \
	DECLARE_STATIC_CALL(name, func); \
	__SC_KEPT(name) struct static_call_key STATIC_CALL_KEY(name) = { init, &__static_call_object }; \
	__SC_KEPT(name) __attribute__((__visibility__("hidden"))) static_call_fn __SC_CAT(__SCS__, name) = slot; \
	__SC_TRAMPOLINE_(name, jump)
#define __SC_TRAMPOLINE_(name, jump) __SC_TRAMPOLINE(name, jump)

#define DEFINE_STATIC_CALL(name, func) \
	__SC_DEFINE(name, func, (static_call_fn)(func), (static_call_fn)(func), \
		    __SC_PICK(__SC_CAT(__SC_INIT_, name), __SC_JUMP_SLOT, ~)); \
	__SC_PICK(__SC_CAT(__SC_ALIAS_, name), __SC_NO_WRAPPER, ~)()
#define DEFINE_STATIC_CALL_NULL(name, func) \
	__SC_DEFINE(name, func, (static_call_fn)0, __SC_SLOT_NULL(name), __SC_RETURN)
#define DEFINE_STATIC_CALL_RET0(name, func) \
	__SC_DEFINE(name, func, (static_call_fn)__static_call_return0, (static_call_fn)__static_call_return0, \
		    __SC_JUMP("__static_call_return0"))

#define __SC_CALLEE(name) __SC_CALLEE_(name)
/* A pointer, as without the tool: __typeof__ and sizeof of a bare static_call(name) see no difference. */
#define __SC_CALLEE_(name) (&__SC_PICK(__SC_CALL_##name, __SCT__##name, ~))
#define __SC_CALLEE_COND(name) __SC_CALLEE(name)
