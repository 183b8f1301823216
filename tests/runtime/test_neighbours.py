# SPDX-License-Identifier: MIT
"""What else is in the process: other runtimes, libraries that fork, hooks, little room, older headers."""

from __future__ import annotations

import errno
import re
import shutil
from pathlib import Path

import pytest

from tests.runtime.hosts import facts
from tests.runtime.linking import ALIGNED, COMPACT, HERE, TRAMPOLINE, Runtime, compiled, ran, rewritten, runtime
from tests.toolchain import INCLUDE, ROOT, instrument, run, runtime_object

FULL_RELRO = "-Wl,-z,relro,-z,now"


@pytest.fixture(scope="module")
def rt(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return runtime(tmp_path_factory.mktemp("neighbours"))


# ---- fork -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["auto", "int3-push", "int3-resume"])
@pytest.mark.parametrize("form", [ALIGNED, COMPACT], ids="-".join)
def test_fork_holds_nothing(form: tuple[str, str], protocol: str, rt: Runtime, tmp_path: Path) -> None:
    """No lock, so no order of locks; threads that a fork handler starts block no signal; the child is whole."""
    library = compiled(
        "gcc-12", "-fPIC", "-shared", HERE / "nb_fork_lib.c", "-pthread", "-o", tmp_path / "libpool.so"
    )
    out = rewritten(tmp_path / "out", "nb_fork.c", "thr_run.h", "obj_check.h", form=form)
    link = (rt.object, library, f"-Wl,-rpath,{tmp_path}", "-pthread")
    program = compiled("gcc-12", out / "nb_fork.c", *link, "-o", tmp_path / "nb_fork")
    for how in ("fork", "_Fork"):
        ran(program, "60", how, STATIC_CALL_PROTOCOL=protocol)


# ---- two runtimes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "said"),
    [("-Wl,-Bsymbolic-functions", "one key\n"), ("-Wl,-Bsymbolic", "two keys\n"), ("script", "one key\n")],
)
@pytest.mark.parametrize("form", [ALIGNED, TRAMPOLINE], ids="-".join)
def test_two_runtimes_have_one_leader(
    form: tuple[str, str], how: str, said: str, rt: Runtime, tmp_path: Path
) -> None:
    """Keys of both on one page, updated at once; and a key of both, by whose trampolines either calls."""
    out = rewritten(
        tmp_path / "out", "nb_two_lib.c", "nb_two.h", form=form, flags="-fPIC -DNAME=nb_first -DFIRST -DADD=1"
    )
    libraries = []
    for name, flags in (("nb_first", ("-DFIRST", "-DADD=100")), ("nb_second", ("-DADD=200",))):
        script = tmp_path / f"{name}.map"
        script.write_text("{ global: nb_*; __SCK__*; __SCT__*; local: *; };\n")
        link = (f"-Wl,--version-script={script}" if how == "script" else how, FULL_RELRO, "-pthread")
        made = tmp_path / f"lib{name}.so"
        source = out / "nb_two_lib.c" if name == "nb_first" else second(tmp_path, form)
        own = ("-fPIC", "-shared", f"-DNAME={name}", *flags)
        libraries.append(compiled("gcc-12", *own, source, rt.object, *link, "-o", made))
    plain = ("-fno-pie", "-no-pie", HERE / "nb_two.c", *libraries, FULL_RELRO, f"-Wl,-rpath,{tmp_path}", "-pthread")
    program = compiled("gcc-12", *plain, "-o", tmp_path / "nb_two")
    assert "R_X86_64_COPY" in run(["readelf", "-rW", program])
    assert ran(program)[0] == said


def second(folder: Path, form: tuple[str, str]) -> Path:
    """The same source as the other library's: its text depends on what is defined."""
    flags = "-fPIC -DNAME=nb_second -DADD=1"
    return rewritten(folder / "second", "nb_two_lib.c", "nb_two.h", form=form, flags=flags) / "nb_two_lib.c"


# ---- pages ------------------------------------------------------------------------------------------------------


def pages(folder: Path, rt: Runtime, sites: int, apart: int) -> Path:
    out = rewritten(folder / "out", "nb_pages.c", "obj_check.h")
    link = (f"-DSITES={sites}", f"-DPAGES={apart}", HERE / "nb_sites.S", rt.object, FULL_RELRO, "-pthread")
    return compiled("gcc-12", out / "nb_pages.c", *link, "-o", folder / f"nb_pages-{sites}-{apart}")


@pytest.mark.parametrize(("sites", "apart"), [(1, 1), (3, 1), (12, 2), (3, 40)])
def test_what_others_opened_stays_open(sites: int, apart: int, rt: Runtime, tmp_path: Path) -> None:
    ran(pages(tmp_path, rt, sites, apart), "opened")


@pytest.mark.parametrize(("sites", "apart", "most"), [(100, 2, 6), (12, 17, 6), (12, 18, 28), (60, 18, 6)])
def test_gaps_are_opened_with_the_rest(sites: int, apart: int, most: int, rt: Runtime, tmp_path: Path) -> None:
    """A pair of calls for keys and state, one for text; more where gaps are wide, but not where there are many."""
    assert int(facts(pages(tmp_path, rt, sites, apart), "few")["calls"]) <= most


@pytest.mark.parametrize(("sites", "apart"), [(100, 2), (12, 18), (60, 18)])
def test_mappings_grow_by_a_constant(sites: int, apart: int, rt: Runtime, tmp_path: Path) -> None:
    """docs/runtime.md: two for keys and state, two an island of text, of which there are 16 at most."""
    assert int(facts(pages(tmp_path, rt, sites, apart), "mappings")["grown"]) <= 2 + 2 * 16 + 4


@pytest.mark.parametrize(("sites", "apart"), [(1, 1), (100, 2), (12, 18)])
def test_hardly_a_mapping_is_left(sites: int, apart: int, rt: Runtime, tmp_path: Path) -> None:
    """Near vm.max_map_count: done, or -ENOMEM and as before, read-only keys included."""
    assert facts(pages(tmp_path, rt, sites, apart), "full")["error"] in ("0", str(-errno.ENOMEM))


# ---- traps, checkpoints, rewritten programs ----------------------------------------------------------------------


@pytest.mark.parametrize("what", ["foreign", "guard", "restored"])
@pytest.mark.parametrize("form", [ALIGNED, COMPACT], ids="-".join)
def test_traps_and_checkpoints(form: tuple[str, str], what: str, rt: Runtime, tmp_path: Path) -> None:
    """The handler reads no foreign page, and holds nothing where a push may fault; membarrier is registered again."""
    out = rewritten(tmp_path / "out", "nb_traps.c", "obj_check.h", form=form)
    link = (rt.object, "-Wl,--wrap=syscall", "-pthread")
    ran(compiled("gcc-12", out / "nb_traps.c", *link, "-o", tmp_path / "nb_traps"), what)


@pytest.mark.parametrize("protocol", ["int3-push", "int3-stub"])
@pytest.mark.parametrize("optimised", ["-O0", "-O2"])
def test_the_stack_of_a_trap(optimised: str, protocol: str, tmp_path: Path) -> None:
    """Hardly more than the kernel's own frame: the loader, which takes 1 to 3 KB, has found all functions."""
    out = rewritten(tmp_path / "out", "nb_stack.c", "thr_run.h", "obj_check.h", form=COMPACT)
    link = (runtime_object("gcc-12", optimised), "-Wl,-z,lazy", "-pthread")
    program = compiled("gcc-12", optimised, out / "nb_stack.c", *link, "-o", tmp_path / "nb_stack")
    assert int(ran(program, STATIC_CALL_PROTOCOL=protocol)[0]) < 512


REWRITTEN = "static_call_update: -95, the program was rewritten after it was linked (BOLT): "


@pytest.mark.parametrize("slots", ["", "-DSTATIC_CALL_SLOTS"])
@pytest.mark.parametrize("form", [ALIGNED, TRAMPOLINE], ids="-".join)
def test_a_program_that_bolt_has_rewritten(form: tuple[str, str], slots: str, rt: Runtime, tmp_path: Path) -> None:
    """Its tables name text that does not run: refused. By slots nothing has to be written there, and updates work."""
    out = rewritten(tmp_path / "out", "nb_bolt.c", form=form, flags=slots)
    link = (out / "nb_bolt.c", rt.object, "-Wl,--emit-relocs", "-Wl,-z,now", "-pthread")
    program = compiled("gcc-12", *slots.split(), *link, "-o", tmp_path / "linked")
    assert ran(program)[0] == "static_call_update: 0, \n"
    bolted = tmp_path / "bolted"
    run(["llvm-bolt-19", program, "-o", bolted, "--reorder-functions=hfsort", "--reorder-blocks=ext-tsp"])
    said = ran(bolted)[0]
    assert said == "static_call_update: 0, \n" if slots else said.startswith(REWRITTEN), said
    for binary, moved in ((program, False), (bolted, not slots)):
        inspected = instrument("inspect", binary).stderr
        assert ("trampoline of operation runs at 0x" in inspected) is moved, inspected


@pytest.mark.parametrize("form", [ALIGNED, COMPACT, TRAMPOLINE], ids="-".join)
@pytest.mark.parametrize("cc", ["gcc-12", "clang-19"])
def test_indirect_branch_tracking(cc: str, form: tuple[str, str], rt: Runtime, tmp_path: Path) -> None:
    """A pointer to a trampoline leads to an endbr64, and calls by it follow the key."""
    out = rewritten(tmp_path / "out", "nb_bolt.c", form=form, cc=cc, flags="-fcf-protection")
    own = ("-fcf-protection", "-DWITH_IBT", out / "nb_bolt.c", rt.object, "-pthread")
    assert ran(compiled(cc, *own, "-o", tmp_path / "tracked"))[0] == "static_call_update: 0, \n"


# ---- the ABI ----------------------------------------------------------------------------------------------------


def test_a_caller_of_an_older_header(tmp_path: Path) -> None:
    """Structures have grown since it was compiled: nothing is written behind its own. And a newer one sees zeros."""
    shutil.copytree(ROOT / "c_runtime", tmp_path / "next")
    header = tmp_path / "next" / "include" / "static_call_runtime.h"
    text = header.read_text()
    for last in (
        "unsigned long crossing_sites;",
        "const struct static_call_key *key; /* the key that it is about, or NULL */",
        "int by_trampoline;          /* whether it goes by the trampoline */",
        "int lost;",
    ):
        assert text.count(last) == 1, last
        text = text.replace(last, f"{last}\n\tunsigned long added[4];")
    header.write_text(text)
    libraries = {}
    for name, folder in (("now", ROOT / "c_runtime"), ("next", tmp_path / "next")):
        made = tmp_path / name
        made.mkdir(exist_ok=True)
        source, script = folder / "static_call_runtime.c", folder / "staticcall.map"
        link = (f"-Wl,--version-script={script}", "-Wl,-soname,libstaticcall.so")
        run(
            [
                "gcc-12",
                "-O1",
                "-std=gnu11",
                "-w",
                "-fPIC",
                "-shared",
                source,
                *link,
                "-pthread",
                "-o",
                made / "libstaticcall.so",
            ]
        )
        libraries[name] = made
    for compiled_for, runs_with in (("now", "next"), ("next", "now")):
        include = INCLUDE if compiled_for == "now" else f"-I{tmp_path / 'next' / 'include'}"
        program = tmp_path / f"{compiled_for}-{runs_with}"
        library = libraries[compiled_for] / "libstaticcall.so"
        source = HERE / "nb_abi.c"
        run(
            [
                "gcc-12",
                "-O1",
                "-std=gnu11",
                "-DSTATIC_CALL_INSTRUMENTED",
                include,
                source,
                library,
                "-pthread",
                "-o",
                program,
            ]
        )
        ran(program, LD_LIBRARY_PATH=str(libraries[runs_with]))


# ---- system calls -----------------------------------------------------------------------------------------------

UPDATE = {
    # State and keys, text, each opened and closed; whether the text was writable (futex); one synchronisation.
    "auto": "rt_sigprocmask gettid mprotect futex mprotect membarrier mprotect mprotect rt_sigprocmask",
    # No list of threads, since libc knows that there is one.
    "int3-push": "rt_sigprocmask gettid mprotect rt_sigaction futex "
    "mprotect membarrier membarrier membarrier mprotect mprotect rt_sigprocmask",
}


@pytest.mark.parametrize("protocol", UPDATE)
def test_the_system_calls_of_an_update(protocol: str, rt: Runtime, tmp_path: Path) -> None:
    """They do not grow unseen: one key, one site, nothing in the way."""
    out = rewritten(tmp_path / "out", "nb_calls.c")
    program = compiled("gcc-12", out / "nb_calls.c", rt.object, FULL_RELRO, "-pthread", "-o", tmp_path / "nb_calls")
    trace = tmp_path / "trace"
    run(["strace", "-o", trace, program], STATIC_CALL_PROTOCOL=protocol)
    between = re.findall(r"^(\w+)\(", trace.read_text(), re.M)
    marks = [place for place, name in enumerate(between) if name == "getppid"]
    assert len(marks) == 2, between
    assert " ".join(between[marks[0] + 1 : marks[1]]) == UPDATE[protocol]
