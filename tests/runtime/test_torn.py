# SPDX-License-Identifier: MIT
"""Torn updates: threads call while one updates as fast as it can. Broken runtimes must be found out by it."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path

import pytest

from tests.runtime.linking import direct
from tests.runtime.torn import (
    COMPILERS,
    FORMS,
    LAYOUTS,
    OTHERS,
    PROTOCOLS,
    SITES,
    THREADS,
    TRANSITIONS,
    Form,
    build_torn,
    counted,
    run_torn,
)
from tests.toolchain import INCLUDE, ROOT, instrumented, run

MILLISECONDS = 60
Torn = Callable[[Form], Path]


@pytest.fixture(scope="session")
def torn(tmp_path_factory: pytest.TempPathFactory) -> Torn:
    """torn.c in a form, built once."""

    @cache
    def built(form: Form) -> Path:
        return build_torn(tmp_path_factory.mktemp("torn"), *form)

    return built


def alternate(protocol: str, transition: str) -> int:
    """2 or 8 threads: half of the cases each. `make stress` has them all."""
    return THREADS[(PROTOCOLS.index(protocol) + list(TRANSITIONS).index(transition)) % 2]


def is_chosen(form: Form, transition: str) -> bool:
    """To a trampoline a folded target is like any other. In direct mode each compiler gets half of the cases."""
    mode, layout, compiler = form
    if mode == "direct":
        return (list(TRANSITIONS).index(transition) // 2 + LAYOUTS.index(layout)) % 2 == COMPILERS.index(compiler)
    return not (mode == "trampoline" and "folded" in transition)


CASES = [
    pytest.param(form, protocol, transition, id="-".join((*form, protocol, transition)))
    for form, protocol, transition in product(FORMS, PROTOCOLS, TRANSITIONS)
    if is_chosen(form, transition)
]


@pytest.mark.parametrize(("form", "protocol", "transition"), CASES)
def test_every_call_is_whole(torn: Torn, form: Form, protocol: str, transition: str) -> None:
    done = run_torn(torn(form), protocol, transition, MILLISECONDS, alternate(protocol, transition))
    assert done.returncode == 0, done.stdout + done.stderr
    count = counted(done.stdout)
    assert count["wrong"] == 0 and count["updates"] >= 10 and count["calls"] > 0
    # Three synchronisations an update at the most, however many sites it changes.
    assert count["syncs"] <= 3 * count["updates"]
    if protocol == "atomic":
        assert count["int3"] == 0 and count["atomic"] > 0
    if protocol.startswith("int3"):
        assert count["atomic"] == 0 or form[1] == "bare"
        # The first update may have nothing to change; between far targets it is a slot alone that changes.
        if transition != "far-far":
            assert count["syncs"] >= 3 * (count["updates"] - 1)


@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_where_the_sites_are(torn: Torn, form: Form) -> None:
    """Compact and bare ones straddle cache lines and pages at each place that they can; aligned ones never do."""
    mode, layout, compiler = form
    count = counted(run_torn(torn(form), "auto", "call-call", 0, 2).stdout)
    assert count["sites"] == {"trampoline": 0, "inline-asm": SITES + 1, "direct": SITES + OTHERS}[mode]
    if layout == "aligned":
        assert count["lines"] == count["pages"] == 0
    else:
        places = 5 if layout == "compact" else 4
        assert count["lines"] >= 2 * places and count["pages"] >= places
    # gcc jumps around a tail call, clang to it.
    branches = int(compiler.startswith("clang"))
    assert (count["jumps"], count["branches"]) == ((2 - branches, branches) if mode == "direct" else (0, 0))
    assert (count["crossing"] > 0) is (layout == "bare")


# ---- broken runtimes: what they do wrong must show --------------------------------------------------------------

Replacement = tuple[str, str, str]  # a file under c_runtime/src, a text that is there once, what takes its place


@pytest.fixture(scope="session")
def torn_objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """torn.c compiled in each layout, and in direct mode, to be linked with this or that runtime."""
    folder = tmp_path_factory.mktemp("objects")
    for layout in ("aligned", "compact"):
        (source,) = instrumented("torn", folder / layout, "inline-asm", layout)
        run(["gcc-12", "-std=gnu11", "-O2", INCLUDE, "-c", source, "-o", folder / f"{layout}.o"])
    objects = {layout: folder / f"{layout}.o" for layout in ("aligned", "compact")}
    return {**objects, "direct": direct(folder, "torn", "compact", "clang-19", "-O2")}


def with_runtime(folder: Path, torn_object: Path, *replacements: Replacement) -> Path:
    """Link with a copy of the runtime in which texts are replaced."""
    shutil.copytree(ROOT / "c_runtime", folder / "c_runtime")
    for name, old, new in replacements:
        path = folder / "c_runtime" / "src" / name
        text = path.read_text()
        assert text.count(old) == 1, f"{name}: {old!r} is there {text.count(old)} times"
        path.write_text(text.replace(old, new))
    runtime = folder / "c_runtime" / "static_call_runtime.c"
    run(["gcc-12", "-std=gnu11", "-O0", "-w", torn_object, runtime, "-pthread", "-o", folder / "torn"])
    return folder / "torn"


FIRST = "error = each(true, back, store_int3);"
REST = "error = each(true, back, store_rest);"
LAST = "error = each(true, back, store_first);"
BYTE = "error = store_text(poke->address + i, bytes[i], 1);"
PUBLISHED = "before = __atomic_load_n(&published, __ATOMIC_ACQUIRE);\n"
LOOK = "\t\tbyte = *(const volatile uint8_t *)address;\n"
ALL = "\t\terror = change(false);\n"
PUBLISH = "\ttrap_publish();\n"
GO = ".next = poke->site->home, .pushes"
RESUMES = "target_only && by_store ? HOW_RESUME : HOW_PUSH"

# Races that are rare by themselves become certain: an update sleeps before and between its steps, a thread before its
# trap is answered.
DECLARE = ("runtime.h", "#include <signal.h>\n", "#include <signal.h>\nextern int usleep(unsigned);\n")
SLOW_STEPS = ("poke.c", f"\t{FIRST}\n", f"\t{FIRST}\n\tusleep(500);\n")
SLOW_BYTES = ("poke.c", BYTE, f"{{ {BYTE} usleep(100); }}")
SLOW_TRAPS = ("trap.c", PUBLISHED, f"{PUBLISHED}\t\tusleep(300);\n")
SLOW_LOOKS = ("trap.c", LOOK, f"\t\tusleep(300);\n{LOOK}")
PAUSES = ("poke.c", ALL, f"\t\tusleep(500), {ALL.strip()}\n")
SLOW = (SLOW_STEPS, SLOW_BYTES, SLOW_TRAPS, SLOW_LOOKS, PAUSES)

# What is broken: the layout, the protocol and the transition by which it shows, and how to break it.
BROKEN: dict[str, tuple[str, str, str, list[Replacement]]] = {
    "the core is written without int3": (
        "compact", "int3-push", "call-nop", [("poke.c", FIRST, "error = 0;"), SLOW_BYTES]
    ),
    "a target is written without int3": (
        "compact", "int3-push", "near-far", [("poke.c", FIRST, "error = 0;"), SLOW_BYTES]
    ),
    "the first byte comes back before the rest": (
        "compact", "int3-push", "call-constant",
        [("poke.c", REST, f"{LAST}\n\tif (!error)\n\t\t{REST}"), SLOW_BYTES],
    ),
    "a thread resumes though the core changes": (
        "compact", "int3-resume", "call-nop",
        [
            ("policy.c", "site->rested || state.policy.protocol == STATIC_CALL_INT3_RESUME", "false"),
            ("policy.c", RESUMES, "HOW_RESUME"),
            SLOW_BYTES,
        ],
    ),
    "an int3 that is gone is not run again": (
        "aligned", "int3-push", "call-nop",
        [("trap.c", "if (byte == PREFIX)", "if (false)"), SLOW_STEPS, SLOW_TRAPS, PAUSES],
    ),
    "nothing is published while int3s stand": (
        "aligned", "int3-stub", "call-call",
        [("update.c", PUBLISH, ""), SLOW_STEPS],
    ),
    "a thread that traps skips the call": (
        "aligned", "int3-push", "call-call",
        [("emulate.c", GO, GO.replace("poke->site->home", "(poke->address + poke->length)")), SLOW_STEPS],
    ),
    "a tail call becomes a return without int3": (
        "direct", "int3-push", "call-nop", [("poke.c", FIRST, "error = 0;"), SLOW_BYTES]
    ),
    "a thread that traps takes every branch": (
        "direct", "int3-push", "call-call",
        [("emulate.c", "is_taken(poke, registers[REG_EFL])", "true"), SLOW_STEPS],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_protocol_is_found(name: str, torn_objects: dict[str, Path], tmp_path: Path) -> None:
    """The program counts wrong values, or dies of what it ran into."""
    layout, protocol, transition, replacements = BROKEN[name]
    binary = with_runtime(tmp_path, torn_objects[layout], DECLARE, *replacements)
    done = run_torn(binary, protocol, transition, 10000, 2)
    if done.returncode == 1:
        assert counted(done.stdout)["wrong"] > 0 or "torn: result" in done.stderr
    else:
        assert -done.returncode in {signal.SIGTRAP, signal.SIGSEGV, signal.SIGILL, signal.SIGBUS}, done.stdout


@pytest.mark.parametrize("layout", ["aligned", "compact"])
def test_sleeping_between_the_steps_breaks_nothing(
    layout: str, torn_objects: dict[str, Path], tmp_path: Path
) -> None:
    """So it is what the runtimes above break that shows; and a thread may be late in its trap.

    It may look only when the next update has put its int3 at the same place: still ours.
    """
    binary = with_runtime(tmp_path, torn_objects[layout], DECLARE, *SLOW)
    stale = 0
    for protocol, transition in (("int3-push", "call-nop"), ("int3-resume", "call-call"), ("int3-stub", "near-far")):
        done = run_torn(binary, protocol, transition, 250, 4)
        count = counted(done.stdout)
        assert done.returncode == 0 and count["wrong"] == 0 and count["traps"] > 0, done.stdout + done.stderr
        stale += count["stale"]
    assert stale > 0
