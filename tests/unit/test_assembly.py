# SPDX-License-Identifier: MIT
"""What becomes of a compiler's assembly text, as text and as the objects that are made of it."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
from elftools.elf.elffile import ELFFile

from instrument.assembly import KINDS, PREFIXES, WORDS, Left, Prepared, Site, Why, prepare
from instrument.hoisted import lowered
from tests.toolchain import INCLUDE, run, runtime_object

# A mention: the name of a trampoline, and no other name that has it in it.
TOKEN = re.compile(rb"(?<![\w.\x80-\xff])(?<![\w.$\x80-\xff]\$)__SCT__[\w$\x80-\xff]++(?!\.)")


def prepared(text: str, layout: str = "aligned") -> Prepared:
    """`text` in a section, prepared; whatever it is, each mention must have been counted."""
    data = b"\t.text\n" + text.encode()
    done = prepare(data, layout)
    assert len(TOKEN.findall(data)) == len(done.sites) + len(done.left) + done.rest
    assert prepare(done.text, layout)[:2] == (done.text, ())
    return done


def kinds(text: str) -> list[tuple[str, str]]:
    return [(site.key, site.kind) for site in prepared(text).sites]


def reasons(text: str) -> list[str]:
    done = prepared(text)
    assert not done.sites
    assert done.text == b"\t.text\n" + text.encode() or done.rest
    return [left.why for left in done.left]


# ---- instructions ---------------------------------------------------------------------------------


def test_a_text_without_mentions_is_the_same_object() -> None:
    text = b"\tcall f\n"
    assert prepare(text, "aligned").text is text


@pytest.mark.parametrize(
    "line",
    [
        "\tcall\t__SCT__k",
        "\tcall __SCT__k@PLT",
        "\tcallq\t__SCT__k@PLT",
        "\tcall\t*__SCT__k@GOTPCREL(%rip)",
        "\tcallq\t*__SCT__k@GOTPCREL(%rip)",
        "\tcall\t[QWORD PTR __SCT__k@GOTPCREL[rip]]",
        "\tcall\tqword ptr [rip + __SCT__k@GOTPCREL]",
        "\tbnd call\t__SCT__k@PLT",
        "\tnotrack call\t*__SCT__k@GOTPCREL(%rip)",
        '\tcallq\t*"__SCT__k"@GOTPCREL(%rip)',
        "\tcall\t__SCT__k@PLT\t# __SCT__k",
        '\tcall /* a; " # */ __SCT__k@PLT /* __SCT__k */',
        "1: f: call\t__SCT__k@PLT",
        '\tmovl $1, %eax; call __SCT__k@PLT; .ascii ";#"',
    ],
)
def test_calls(line: str) -> None:
    assert kinds(line + "\n") == [("k", "call")]


@pytest.mark.parametrize(
    "line",
    [
        "\tjmp\t__SCT__k@PLT                  # TAILCALL",
        "\tjmp\t*__SCT__k@GOTPCREL(%rip)",
        "\tjmpq\t*__SCT__k@GOTPCREL(%rip)      # TAILCALL",
        "\tjmp\tqword ptr [rip + __SCT__k@GOTPCREL] # TAILCALL",
        "\tjmp\t[QWORD PTR __SCT__k@GOTPCREL[rip]]",
        "\tnotrack jmp\t*__SCT__k@GOTPCREL(%rip)",
    ],
)
def test_jumps(line: str) -> None:
    assert kinds(line + "\n") == [("k", "jump")]


CONDITIONS = re.findall(r"\S+", "o no b c nae nb nc ae e z ne nz be na a nbe s ns p pe np po l nge ge nl le ng g nle")


@pytest.mark.parametrize("condition", CONDITIONS)
def test_branches(condition: str) -> None:
    done = prepared(f"\tj{condition}\t__SCT__k@PLT # TAILCALL\n")
    assert [site.kind for site in done.sites] == ["branch"]
    assert f"\n\tcs\n\tcs\n\tj{condition} __SCT__k@PLT\n".encode() in done.text


@pytest.mark.parametrize("name", ["a$b", "ké", "k1", "static_call"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_names(name: str, quote: str) -> None:
    done = prepared(f"\tcall\t{quote}__SCT__{name}{quote}@PLT\n")
    assert [site.key for site in done.sites] == [name]
    assert f"\tcall {quote}__SCT__{name}{quote}@PLT\n".encode() in done.text
    assert f'.asciz "{name}"'.encode() in done.text


@pytest.mark.parametrize(
    "text",
    [
        "\tcall\tmy__SCT__k\n",
        "\tcall\t.L__SCT__k\n",
        "\tcall\t__SCT__k.cold\n",
        "\tcall\t__SCT__\n",
        '\t.section .text.__SCT__k,"ax"\n',
    ],
)
def test_names_that_only_look_alike(text: str) -> None:
    done = prepared(text)
    assert (done.sites, done.left, done.rest) == ((), (), 0)


# ---- what is left ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "\tmovq\t__SCT__k@GOTPCREL(%rip), %rbx",
        "\tleaq\t__SCT__k(%rip), %rdi",
        "\tmovl\t$__SCT__k, %edi",
        "\tmovabsq\t$__SCT__k, %rax\n\tcall\t*%rax",
        "\tmov\trax, QWORD PTR __SCT__k@GOTPCREL[rip]",
        "\tpushq\t__SCT__k@GOTPCREL(%rip)",
        "\t.quad\t__SCT__k",
        "\t.long\t__SCT__k-.",
    ],
)
def test_an_address_is_left(line: str) -> None:
    assert reasons(line + "\n") == [Why.ADDRESS]


@pytest.mark.parametrize(
    "line", ["\tcall\t__SCT__k+4", "\tjmp\t*__SCT__k(%rip)", "\tjne,pt\t__SCT__k", "\tdata16 call\t__SCT__k"]
)
def test_other_calls_are_left(line: str) -> None:
    assert reasons(line + "\n") == [Why.FORM]


@pytest.mark.parametrize(
    "text",
    [
        '#APP\n# 7 "b.c" 1\n\tcall __SCT__k@PLT; nop\n# 0 "" 2\n#NO_APP\n',
        "\t#APP\n\tjmp __SCT__k@PLT\n\t#NO_APP\n",
        "\t# Start of file scope inline assembly\n\tcallq\t__SCT__k\n\t# End of file scope inline assembly\n",
        "#APP\n\t.quad __SCT__k\n#NO_APP\n",
    ],
)
def test_what_is_written_by_hand_is_left(text: str) -> None:
    assert reasons(text) == [Why.HAND]
    assert kinds(text + "\tcall\t__SCT__other\n") == [("other", "call")]


def test_only_real_marks_tell_of_an_asm() -> None:
    assert kinds('\t.string "#APP"\n\t# see #APP\n\tcall\t__SCT__k\n') == [("k", "call")]


@pytest.mark.parametrize(
    "text",
    [
        "# call __SCT__k\n",
        "\tnop # __SCT__k\n",
        "\tnop /* __SCT__k */\n",
        "\tcall f /* __SCT__k */\n",
        "\t.globl\t__SCT__k\n\t.addrsig_sym __SCT__k\n\t.hidden __SCT__k\n",
        '\t.string\t"__SCT__k"\n',
        "\t.long __SCT__k@GOTPCREL\n",
        "\t.size\t__SCT__k, .-__SCT__k\n",
        '\t.section\t.debug_info,"",@progbits\n\t.quad\t__SCT__k\n',
    ],
)
def test_bookkeeping_is_neither(text: str) -> None:
    done = prepared(text)
    assert (done.sites, done.left) == ((), ())
    assert done.rest


def test_a_call_whose_return_address_is_checked() -> None:
    assert reasons("\tcallq\t__SCT__k@PLT # x\n.Lslh_ret_addr0:\n") == [Why.CHECKED]
    assert kinds("\tjmp\t__SCT__k@PLT # TAILCALL\n.Lslh_ret_addr0:\n") == [("k", "jump")]


def test_every_reason_has_words() -> None:
    assert set(WORDS) == set(Why)


# ---- calls through a register ---------------------------------------------------------------------

LOADED = "\tmovq\t__SCT__k@GOTPCREL(%rip), %rax\n"


@pytest.mark.parametrize(
    "text",
    [
        LOADED + "\tcall\t*%rax\n",
        LOADED + "\tcall\t__x86_indirect_thunk_rax\n",
        "\tmovq\t__SCT__k@GOTPCREL(%rip), %r11\n\tmovl\t%ebx, %edi\n\tcallq\t__llvm_retpoline_r11\n",
        "\tmovq\t__SCT__k@GOTPCREL(%rip), %r8 # x\n\t.loc 1 2 3\n.LVL3:\n\tmovl\t$0, %eax\n\tcs call\t*%r8 # y\n",
        "\tmov\trax, QWORD PTR __SCT__k@GOTPCREL[rip]\n\tcall\trax\n",
        "\tmov\teax, OFFSET FLAT:__SCT__k\n\tcall\trax\n",
        "\tmov\trax, qword ptr [rip + __SCT__k@GOTPCREL]\n\tcall\trax\n",
        "\tmovl\t$__SCT__k, %r8d\n\tcall\t*%r8\n",
        "\tleaq\t__SCT__k(%rip), %rax\n\tcall\t*%rax\n",
    ],
)
def test_a_call_through_a_register_that_was_just_loaded(text: str) -> None:
    done = prepared(text)
    assert [(site.key, site.kind, site.line) for site in done.sites] == [("k", "call", 2)]
    load = text.splitlines()[0].encode()
    assert load in done.text
    assert b"\tcall __SCT__k@PLT\n" in done.text


def test_a_tail_call_through_a_register() -> None:
    assert kinds(LOADED + "\tjmp\t__x86_indirect_thunk_rax # TAILCALL\n") == [("k", "jump")]


@pytest.mark.parametrize(
    "text",
    [
        LOADED + ".L3:\n\tcall\t*%rax\n",
        LOADED + ".Ltmp3:\n\tcall\t*%rax\n",
        LOADED + "\tcall\tg\n\tcall\t*%rax\n",
        LOADED + "\tmovl\t$1, %eax\n\tcall\t*%rax\n",
        LOADED + "\tmovb\t$1, %al\n\tcall\t*%rax\n",
        LOADED + "\tcpuid\n\tcall\t*%rax\n",
        LOADED + "\tcall\t*%rbx\n",
        LOADED + "\tcall\t*(%rax)\n",
        LOADED + "\tcall\t*8(%rax)\n",
        LOADED + "#APP\n\tcall\t*%rax\n#NO_APP\n",
        "\tmovq\t__SCT__k(%rip), %rax\n\tcall\t*%rax\n",
        "\tmovq\t8+__SCT__k@GOTPCREL(%rip), %rax\n\tcall\t*%rax\n",
    ],
)
def test_a_call_through_what_may_be_another_value(text: str) -> None:
    assert reasons(text) == [Why.ADDRESS]


# ---- the text of a site ---------------------------------------------------------------------------


def test_the_text_of_a_call() -> None:
    assert prepare(b"\t.text\n\tcall\t__SCT__k@PLT # c\n", "aligned").text.decode() == (
        "\t.text\n\t.p2align 3\n\tcs\n\tcs\n\tcs\n\tcall __SCT__k@PLT\n.Lse_d0:\n"
        "\t.subsection 1\n.Lsb_d0:\n\tcall __SCT__k@PLT\n\t.byte 0xe9\n\t.long .Lse_d0 - . - 4\n\t.previous\n"
        '\t.pushsection __static_call_sites, "ao", @progbits, .Lse_d0\n\t.p2align 2\n'
        "\t.long .Lse_d0 - 8 - .\n\t.long .Lsb_d0 - .\n\t.long 3\n\t.long __SCT__k@GOTPCREL\n\t.popsection\n"
        '\t.pushsection .static_call_notes, "", @progbits\n'
        '\t.quad .Lse_d0 - 8\n\t.asciz "k"\n\t.popsection # c\n'
    )


@pytest.mark.parametrize(
    ("line", "layout", "text"),
    [
        ("call", "aligned", ".p2align 3\n\tcs\n\tcs\n\tcs\n\tcall"),
        ("jmp", "aligned", ".p2align 3\n\tcs\n\tcs\n\tcs\n\tjmp"),
        ("jne", "aligned", ".p2align 3\n\tcs\n\tcs\n\tjne"),
        ("call", "compact", "\tcs\n\tcall"),
        ("jmp", "compact", "\tcs\n\tjmp"),
        ("jne", "compact", "\tcs\n\tjne"),
        ("call", "bare", "\tcall"),
        ("jmp", "bare", "\tjmp"),
        ("jne", "bare", "\tjne"),
    ],
)
def test_layouts(line: str, layout: str, text: str) -> None:
    done = prepare(f"\t.text\n\t{line}\t__SCT__k\n".encode(), layout).text.decode()
    assert done.startswith(f"\t.text\n\t{text.lstrip()} __SCT__k@PLT\n")
    assert (".subsection" in done) == (line == "call")


def test_a_record_is_bound_to_the_first_site_of_its_section() -> None:
    text = (
        '\tcall\t__SCT__a\n\t.section\t.rodata\n\t.text\n\tcall\t__SCT__b\n\t.section\t.text.cold,"ax"\n'
        "\tcall\t__SCT__c\n\t.text\n\tcall\t__SCT__d\n#APP\n\t.pushsection .x; .popsection\n#NO_APP\n"
        "\tcall\t__SCT__e\n\tcall\t__SCT__f\n\t.text\n\tcall\t__SCT__g\n\t.previous\n\tcall\t__SCT__h\n"
    )
    bound = re.findall(rb"@progbits, \.Lse_d(\d+)", prepared(text).text)
    assert [int(number) for number in bound] == [0, 0, 2, 0, 4, 5, 0, 7]


def test_lines_and_sources() -> None:
    text = (
        '\t.file 0 "/w/src" "a.c"\n\t.file 1 "a.c"\n\t.file 2 "/w/inc" "x y.h"\n\t.file 3 "/w/src" "b.h" md5 0x1\n'
        "\tcall\t__SCT__a\n\t.loc 1 10 3 view .LVU7\n\t.local f\n\tcall\t__SCT__b\n\tcall\t__SCT__c\n"
        "\t.loc\t2 5 1 # b\n\tcall\t__SCT__d\n\t.loc 3 6\n\tcall\t__SCT__e\n\t.loc 3 0\n\tcall\t__SCT__f\n"
    )
    sites = prepared(text).sites
    assert [site.line for site in sites] == [6, 9, 10, 12, 14, 16]
    found = [site.source for site in sites]
    assert found == [None, ("a.c", 10), ("a.c", 10), ("/w/inc/x y.h", 5), ("b.h", 6), None]


def test_names_of_files_may_be_escaped() -> None:
    text = '\t.file 1 "\\303\\251\\"\\\\.c"\n\t.loc 1 7 0\n\tcall\t__SCT__a\n'
    assert prepared(text).sites == (Site("a", 4, "call", ('é"\\.c', 7)),)


def test_what_is_left_has_a_line() -> None:
    assert prepared("\n\tnop\n\tpushq $__SCT__k\n").left == (Left("k", 4, Why.ADDRESS),)


def test_the_sites_of_wrappers_are_no_new_ones() -> None:
    text = (
        "#APP\n\t.p2align 3\n.Lsc7:\n\tcs\n\tcs\n\tcs\n\tcall __SCT__k@PLT\n.Lse7:\n\t.subsection 1\n.Lsb7:\n"
        "\tcall __SCT__k@PLT\n\t.byte 0xe9\n\t.long .Lse7 - . - 4\n\t.previous\n\t.long __SCT__k@GOTPCREL\n#NO_APP\n"
        "\tcall\t__SCT__other\n"
    )
    done = prepared(text)
    assert ([site.key for site in done.sites], done.left, done.rest) == (["other"], (), 3)


# ---- trampolines ----------------------------------------------------------------------------------

TRAMPOLINE = """#APP
	.globl __SCT__k
__SCT__k:
.L__SCT__k:
	.cfi_startproc
	.byte 0x2e, 0x2e, 0x2e, 0xe9
	.long 0
	.byte 0xff, 0x25
#NO_APP
"""
KEY = '\t.section\t.data.rel.ro.__SCK__k,"aw"\n\t.globl\t__SCK__k\n__SCK__k:\n\t.quad\tfunc\n\t.quad\t0\n'
DIRECT = b"0xe9\n\t.reloc ., R_X86_64_PLT32, func - 4\n\t.long 0\n"


def test_a_trampoline_jumps_to_the_initial_target_at_once() -> None:
    for text in (TRAMPOLINE + KEY, KEY + TRAMPOLINE, TRAMPOLINE + KEY.replace("\t.quad\tf", "# f:\n\t.quad\tf")):
        assert DIRECT in prepared(text).text
    clang = TRAMPOLINE.replace(".byte 0x2e, 0x2e, 0x2e, 0xe9", ".byte\t46\n\t.byte\t46\n\t.byte\t46\n\t.byte\t233")
    assert b"233\n\t.reloc ., R_X86_64_PLT32, func - 4\n\t.long 0\n" in prepared(clang + KEY).text


@pytest.mark.parametrize(
    "text",
    [
        TRAMPOLINE,
        TRAMPOLINE + KEY.replace("__SCK__k:", "__SCK__kk:"),
        TRAMPOLINE + KEY.replace("func", "func+4"),
        TRAMPOLINE + KEY.replace("func", "0"),
        TRAMPOLINE + KEY.replace("func", ".Lfunc"),
        TRAMPOLINE + KEY.replace(".data.rel.ro.__SCK__k", ".data"),
        TRAMPOLINE + KEY + "\t.weak\tfunc\n",
        TRAMPOLINE + KEY + "\t.section\t.gnu.lto_.opts\n",
        TRAMPOLINE.replace(".long 0", ".long 6") + KEY,
        TRAMPOLINE.replace("\t.long 0", "\t.reloc ., R_X86_64_PLT32, f - 4\n\t.long 0") + KEY,
    ],
)
def test_a_trampoline_stays_where_there_is_doubt(text: str) -> None:
    assert b"func - 4" not in prepared(text).text


def test_a_weak_function_that_is_defined_is_a_target() -> None:
    assert DIRECT in prepared(TRAMPOLINE + KEY + "\t.weak\tfunc\nfunc:\n").text


# ---- what compilers write -------------------------------------------------------------------------

SOURCE = """
#include "static_call.h"
static int f0(int x) { return x + 1; }
int g0(int x) { return x + 2; }
int ext(int);
DEFINE_STATIC_CALL(one, f0);
DEFINE_STATIC_CALL(two, g0);
DEFINE_STATIC_CALL(three, ext);
DEFINE_STATIC_CALL_NULL(nul, ext);
DEFINE_STATIC_CALL_RET0(zero, ext);
DECLARE_STATIC_CALL(f$r, ext);
int plain(int x) { return static_call(one)(x) + static_call(f$r)(x); }
int tail(int x) { return static_call(two)(x); }
int cond(int x) { if (x) return static_call(f$r)(x); return 3; }
void none(int x) { if (x > 3) static_call_cond(nul)(x); }
int loop(int n)
{
	int s = 0;
	for (int i = 0; i < n; i++)
		s += static_call(three)(i) + static_call(zero)(i);
	return s;
}
__attribute__((cold, noinline)) int seldom(int x) { return static_call(one)(x) * 2; }
__attribute__((section("mine"))) int own(int x) { return static_call(one)(x) * 2; }
int partly(int x) { if (__builtin_expect(x, 0)) return static_call(f$r)(static_call(f$r)(x) + 1) * 2; return 0; }
void *address(void) { return (void *)static_call(one); }
void hand(void) { __asm__ volatile("call __SCT__one@PLT; nop" ::: "memory"); }
int which(int x)
{
	switch (x) {
	case 1: return static_call(one)(2);
	case 2: return static_call(two)(3) + 5;
	case 5: return static_call(three)(3);
	case 9: return static_call(f$r)(8);
	}
	return 0;
}
"""
CALLS = 15

MATRIX = [
    *((cc, level) for cc in ("gcc-11", "gcc-12", "clang-14", "clang-16", "clang-19") for level in ("-O0", "-O2")),
    *(
        ("gcc-12", flags)
        for flags in (
            "-Os -g -fno-pie",
            "-O3 -g -fPIC -ffunction-sections -freorder-blocks-and-partition",
            "-O2 -g -gdwarf-4 -fverbose-asm",
            "-O2 -fno-plt",
            "-O2 -fno-plt -masm=intel",
            "-O0 -masm=intel",
            "-O2 -mindirect-branch=thunk -fno-plt",
            "-O2 -mcmodel=medium -fcf-protection=full",
            "-O2 -fno-asynchronous-unwind-tables -fsanitize=address",
            "-O2 --coverage -pg",
        )
    ),
    *(
        ("clang-16", flags)
        for flags in (
            "-Oz -g",
            "-O2 -g -ffunction-sections -fcf-protection=full",
            "-O2 -fno-plt -fPIC",
            "-O2 -fno-plt -masm=intel",
            "-O1 -masm=intel -g",
            "-O1 -fno-plt -mretpoline",
            "-O2 -fno-integrated-as -g",
            "-O2 -mcmodel=medium -fsanitize=address",
        )
    ),
]


# Of a relocation: its type, its symbol, the symbol's section, and the place there, or what a trampoline's has added.
Relocation = tuple[int, str, int, int]
PC32, PLT32, GOTPCREL = 2, 4, 9


def relocations(elf: ELFFile) -> dict[int, dict[int, Relocation]]:
    """The relocations of what is loaded, by section and offset."""
    found: dict[int, dict[int, Relocation]] = {}
    for table in elf.iter_sections("SHT_RELA"):
        if elf.get_section(table["sh_info"])["sh_flags"] & 2:
            symbols = elf.get_section(table["sh_link"])
            here = found.setdefault(table["sh_info"], {})
            for entry in table.iter_relocations():
                symbol, value = symbols.get_symbol(entry["r_info_sym"]), entry["r_addend"]
                if isinstance(symbol["st_shndx"], int) and not symbol.name.startswith("__SCT__"):
                    value += symbol["st_value"]
                here[entry["r_offset"]] = (entry["r_info_type"], symbol.name, symbol["st_shndx"], value)
    return found


class Record(NamedTuple):
    key: str
    kind: str


class Table(NamedTuple):
    """The records that are bound to one section of code, and that section."""

    words: bytes
    found: dict[int, Relocation]
    number: int
    alignment: int
    code: bytes
    inside: dict[int, Relocation]


def check_object(path: Path, layout: str) -> tuple[list[Record], int]:
    """Each record of an object and the bytes that it leads to; also, how many calls lead to trampolines."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        found = relocations(elf)
        tables = []
        for index, section in enumerate(elf.iter_sections()):
            if section.name == "__static_call_sites":
                number = section["sh_link"]
                code = elf.get_section(number)
                tables.append(
                    Table(section.data(), found[index], number, code["sh_addralign"], code.data(), found[number])
                )
        records = [check_record(t, at, layout) for t in tables for at in range(0, len(t.words), 16)]
        calls = sum(
            entry[0] == PLT32 and entry[1].startswith("__SCT__")
            for index, entries in found.items()
            if elf.get_section(index)["sh_flags"] & 4
            for entry in entries.values()
        )
    return records, calls


def check_record(table: Table, at: int, layout: str) -> Record:
    code, inside = table.code, table.inside
    _, stub, word, _ = struct.unpack_from("<4I", table.words, at)
    prefixes, kind = word & 255, KINDS[word >> 8]
    assert prefixes == (2 if kind == "branch" and layout == "aligned" else PREFIXES[layout])
    site_type, _, where, site = table.found[at]
    assert (site_type, where) == (PC32, table.number), "the record is bound to the section of its site"
    door_type, door, _, added = table.found[at + 12]
    assert (door_type, added) == (GOTPCREL, 0)
    core = site + prefixes
    assert code[site:core] == b"\x2e" * prefixes
    assert code[core] == {"call": 0xE8, "jump": 0xE9, "branch": 0x0F}[kind]
    assert kind != "branch" or code[core + 1] & 0xF0 == 0x80
    displacement = core + (2 if kind == "branch" else 1)
    assert inside[displacement] == (PLT32, door, inside[displacement][2], -4)
    if layout == "aligned":
        assert site % 8 == 0 and table.alignment % 8 == 0 and displacement + 4 == site + 8
    if kind == "call":
        stub_type, _, where, stub = table.found[at + 4]
        assert (stub_type, where) == (PC32, table.number)
        assert code[stub] == 0xE8 and inside[stub + 1][:2] == (PLT32, door)
        assert code[stub + 5] == 0xE9
        assert stub + 10 + struct.unpack_from("<i", code, stub + 6)[0] == displacement + 4
    else:
        assert at + 4 not in table.found and stub == 0
    return Record(door.removeprefix("__SCT__"), kind)


def assembly(compiler: str, flags: str, source: str, folder: Path, *more: str) -> bytes:
    (folder / "a.c").write_text(source)
    run([compiler, INCLUDE, "-DSTATIC_CALL_DIRECT", *flags.split(), *more, "-S", "a.c", "-o", "a.s"], folder)
    return (folder / "a.s").read_bytes()


def assembled(compiler: str, flags: str, text: bytes, folder: Path) -> Path:
    (folder / "b.s").write_bytes(text)
    flags = " ".join(f for f in flags.split() if f.startswith("-fno-integrated"))
    run([compiler, *flags.split(), "-c", "b.s", "-o", "b.o"], folder)
    return folder / "b.o"


@pytest.mark.parametrize(("compiler", "flags"), MATRIX)
def test_compilers(compiler: str, flags: str, tmp_path: Path) -> None:
    text = assembly(compiler, flags, SOURCE, tmp_path)
    for layout in PREFIXES:
        done = prepare(text, layout)
        assert len(TOKEN.findall(lowered(text))) == len(done.sites) + len(done.left) + done.rest
        assert prepare(done.text, layout)[:2] == (done.text, ())
        records, calls = check_object(assembled(compiler, flags, done.text, tmp_path), layout)
        sites = Counter(Record(site.key, site.kind) for site in done.sites)
        assert Counter(records) == sites
        # The sites, their stubs, and the call in an asm: no call is unknown to us.
        assert calls == len(records) + sum(record.kind == "call" for record in records) + 1
        why = Counter(left.why for left in done.left)
        assert why[Why.HAND] == 1 and why[Why.FORM] == 0
        if "-fno-plt" not in flags and "-fno-pie" not in flags:
            assert (len(done.sites), why[Why.ADDRESS]) == (CALLS, 1)
        assert done.text.count(b"R_X86_64_PLT32, ") == text.count(b"R_X86_64_PLT32, ") + 3
        sources = {site.source and site.source[0].rpartition("/")[2] for site in done.sites}
        assert sources == ({"a.c"} if "-g" in flags.split() else {None})
        lines = {site.source[1] for site in done.sites if site.source}
        assert all("static_call" in SOURCE.splitlines()[line - 1] for line in lines)


def test_conditional_tail_calls_are_found(tmp_path: Path) -> None:
    text = assembly("clang-19", "-O2", SOURCE, tmp_path)
    assert {site.kind for site in prepare(text, "aligned").sites} == set(KINDS)


def test_initial_targets(tmp_path: Path) -> None:
    """The trampolines of an object jump to the functions that their keys start with."""
    for compiler in ("gcc-12", "clang-14"):
        text = assembly(compiler, "-O2 -fPIC", SOURCE, tmp_path)
        with assembled(compiler, "", prepare(text, "aligned").text, tmp_path).open("rb") as file:
            elf = ELFFile(file)
            loaded, found = relocations(elf), {}
            for i, section in enumerate(elf.iter_sections()):
                if section.name.startswith(".text.__SCT__"):
                    found[section.name.removeprefix(".text.__SCT__")] = loaded.get(i, {}).get(4)
            assert found["one"] and found["one"][0] == PLT32
            assert {key: entry and entry[1] for key, entry in found.items() if key != "one"} == {
                "two": "g0",
                "three": "ext",
                "nul": None,
                "zero": "__static_call_return0",
            }


def test_slots_stay_slots(tmp_path: Path) -> None:
    text = assembly("gcc-12", "-O2", SOURCE, tmp_path, "-DSTATIC_CALL_SLOTS")
    assert b"R_X86_64_PLT32" not in prepare(text, "aligned").text


def test_a_name_of_universal_characters(tmp_path: Path) -> None:
    source = SOURCE.replace("f$r", "f\\u00e9")
    text = assembly("gcc-12", "-O2", source, tmp_path)
    records, _ = check_object(assembled("gcc-12", "", prepare(text, "aligned").text, tmp_path), "aligned")
    assert "fé" in {record.key for record in records}


def test_lto(tmp_path: Path) -> None:
    slim = prepare(assembly("gcc-12", "-O2 -flto", SOURCE, tmp_path), "aligned")
    assert (slim.lto, slim.sites, slim.left) == (True, (), ())
    fat = prepare(assembly("gcc-12", "-O2 -flto -ffat-lto-objects", SOURCE, tmp_path), "aligned")
    assert (fat.lto, len(fat.sites)) == (False, CALLS)
    check_object(assembled("gcc-12", "", fat.text, tmp_path), "aligned")


@pytest.mark.parametrize("layout", PREFIXES)
def test_groups_and_padding(layout: str, tmp_path: Path) -> None:
    """A site in a COMDAT group; and an assembler that pads jumps away from the ends of cache lines."""
    code = "\tje\t__SCT__k@PLT\n\tcall\t__SCT__k@PLT\n" + "\tnop\n" * 27 + "\tjmp\t__SCT__k@PLT\n" * 9
    text = f'\t.section\t.text.f,"axG",@progbits,f,comdat\nf:\n{code}\t.text\n{code}\t.section\t.text.f\n'
    (tmp_path / "a.s").write_bytes(prepare(text.encode(), layout).text)
    run(["as", "-mbranches-within-32B-boundaries", "a.s", "-o", "a.o"], tmp_path)
    assert len(check_object(tmp_path / "a.o", layout)[0]) == 22
    run(["clang-14", "-mbranches-within-32B-boundaries", "-c", "a.s", "-o", "a.o"], tmp_path)
    assert len(check_object(tmp_path / "a.o", layout)[0]) == 22


@pytest.mark.parametrize(
    ("compiler", "flags"),
    [("gcc-12", ""), ("gcc-12", "-gno-variable-location-views -gno-statement-frontiers"), ("clang-14", "")],
)
@pytest.mark.parametrize("layout", PREFIXES)
def test_a_tail_call_keeps_its_line(compiler: str, flags: str, layout: str, tmp_path: Path) -> None:
    body = "int count;\nint tail(int x)\n{\n\tcount++;\n\treturn static_call(two)(x);\n}"
    source = SOURCE.replace("int tail(int x) { return static_call(two)(x); }", body)
    text = assembly(compiler, f"-O2 -g {flags}", source, tmp_path)
    path = assembled(compiler, "", prepare(text, layout).text, tmp_path)
    with path.open("rb") as file:
        elf = ELFFile(file)
        tail = next(s for s in elf.get_section_by_name(".symtab").iter_symbols() if s.name == "tail")
        first, end = tail["st_value"], tail["st_value"] + tail["st_size"]
        calls = relocations(elf)[tail["st_shndx"]].items()
        (jump,) = (at - 1 for at, entry in calls if first <= at < end and entry[1] == "__SCT__two")
        info = elf.get_dwarf_info()
        program = info.line_program_for_CU(next(info.iter_CUs()))
        rows = [entry.state for entry in program.get_entries() if entry.state]
        # Those of .text, which is the first section to have any.
        rows = rows[: next(i for i, row in enumerate(rows) if row.end_sequence)]
        assert [row.line for row in rows if row.address <= jump][-1] == 1 + source.splitlines().index(
            "\treturn static_call(two)(x);"
        )


# ---- programs -------------------------------------------------------------------------------------

PROGRAM = """
#include "static_call.h"
static int f(int x) { return x + 1; }
static int g(int x) { return x + 2; }
static int h(int x) { return x + 3; }
DEFINE_STATIC_CALL(one, f);
DEFINE_STATIC_CALL_NULL(nul, f);
DEFINE_STATIC_CALL_RET0(zero, f);
__attribute__((noinline)) static int all(int x)
{
	return static_call(one)(x) * 100 + static_call(zero)(x) * 10 + static_call(one)(x + 1);
}
__attribute__((noinline, cold)) static int other(int x) { return static_call(one)(x) + 1; }
int unused(int x) { return static_call(one)(x) + static_call(zero)(x); }
int main(void)
{
	int errors = all(1) != 203 || other(1) != 3;

	errors |= static_call_update(one, g) << 1;
	errors |= (all(1) != 304 || other(1) != 4) << 2;
	errors |= static_call_update(one, h) << 3;
	errors |= static_call_update(zero, g) << 4;
	errors |= (all(1) != 435 || other(1) != 5) << 5;
	return errors;
}
"""


@pytest.mark.parametrize("layout", PREFIXES)
@pytest.mark.parametrize(
    ("compiler", "flags"),
    [("gcc-12", "-O2"), ("clang-14", "-O1"), ("gcc-12", "-O1 -fno-pie -no-pie -ffunction-sections -masm=intel")],
)
def test_programs(compiler: str, flags: str, layout: str, tmp_path: Path) -> None:
    """A program whose sites are all calls, updated twice; what the linker drops takes its records along."""
    text = assembly(
        compiler, flags, PROGRAM, tmp_path, "-fno-optimize-sibling-calls", "-Wno-unused-command-line-argument"
    )
    done = prepare(text, layout)
    assert {site.kind for site in done.sites} == {"call"}
    made = assembled(compiler, flags, done.text, tmp_path)
    link = [f for f in flags.split() if f == "-no-pie"]
    run(
        [
            compiler,
            *link,
            made,
            runtime_object(compiler),
            "-pthread",
            "-Wl,--gc-sections,-z,start-stop-gc",
            "-o",
            "p",
        ],
        tmp_path,
    )
    run([tmp_path / "p"])
    with (tmp_path / "p").open("rb") as file:
        size = ELFFile(file).get_section_by_name("__static_call_sites")["sh_size"]
    assert size == 16 * (len(done.sites) - (2 if "-ffunction-sections" in flags else 0))


# ---- cost -----------------------------------------------------------------------------------------


def test_the_import_is_cheap() -> None:
    """Nothing but `re` and what that imports: it is paid once a compilation."""
    code = "import re, sys; a = set(sys.modules); import instrument.assembly; print(*set(sys.modules) - a)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"instrument", "instrument.assembly", "instrument.hoisted"} | (
        {"__future__"} & set(done.stdout.split())
    )


def test_the_time_is_linear() -> None:
    """Of 4 MB with 5,000 sites: what is quadratic would take minutes."""
    body = "\t.loc 1 2 3\n\tmovl %eax, %ebx\n" + "\tnop\n" * 150 + "\tcall\t__SCT__k@PLT\n"
    text = ('\t.file 1 "a.c"\n\t.text\n' + body * 5000).encode()
    assert len(prepare(text, "aligned").sites) == 5000
