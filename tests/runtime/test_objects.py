# SPDX-License-Identifier: MIT
"""Every way to make a program of objects: how they are linked, opened and closed, and which runtime they share."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.runtime.linking import ALIGNED, COMPACT, HERE, TRAMPOLINE, Runtime, compiled, ran, rewritten, runtime
from tests.toolchain import INCLUDE, RUNTIME, attempt, run


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("objects")


@pytest.fixture(scope="module")
def rt(scratch: Path) -> Runtime:
    return runtime(scratch)


def sources(scratch: Path, group: str, form: tuple[str, str] = ALIGNED, cc: str = "gcc-12") -> Path:
    """The instrumented files of one group of programs, made once a module."""
    out = scratch / "-".join((group, *form, cc))
    return out if out.exists() else rewritten(out, *GROUPS[group], form=form, cc=cc)


GROUPS = {
    "share": ("obj_share.c", "obj_share_lib.c", "obj_share.h", "obj_check.h"),
    "plugins": (
        *("obj_host.c", "obj_two.c", "obj_loop.c", "obj_lost.c", "obj_plugin.c", "obj_user.c", "obj_bare.c"),
        *("obj_host.h", "obj_plugin.h", "obj_check.h"),
    ),
    "start": ("obj_start.c", "obj_start_lib.c", "obj_start.h", "obj_check.h"),
    "collect": ("obj_gc.c", "obj_check.h"),
}


# ---- how a program is linked ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Model:
    """How the program and its library are compiled and linked; without a shared runtime it is in the program."""

    link: str
    compile: str = "-fPIE"
    shared_runtime: bool = False
    library: bool = True
    cc: str = "gcc-12"
    form: tuple[str, str] = ALIGNED


MODELS = {
    "pie, shared runtime, bound at once": Model("-pie -Wl,-z,now,-z,relro", shared_runtime=True),
    "pie, compiled in, bound lazily, no relro": Model("-pie -Wl,-z,lazy,-z,norelro -rdynamic", form=COMPACT),
    "non-pie, compiled in, hidden": Model("-no-pie -rdynamic", "-fno-pic -fvisibility=hidden"),
    "non-pie, shared runtime": Model("-no-pie -Wl,-z,lazy,-z,relro", "-fno-pic", True),
    "pie, shared runtime, trampolines": Model("-pie", shared_runtime=True, form=TRAMPOLINE),
    "pie, clang, hidden, lld": Model("-pie -fuse-ld=lld-14", "-fPIE -fvisibility=hidden", True, cc="clang-14"),
    "pie, control flow protection": Model("-pie", "-fPIE -fcf-protection=full", True),
    "medium": Model("-no-pie -rdynamic", "-fno-pic -mcmodel=medium"),
    "static": Model("-static -Wl,--fatal-warnings", "-fno-pic", library=False),
    "static-pie": Model("-static-pie -Wl,--fatal-warnings", library=False),
}


def linked(model: Model, out: Path, folder: Path, rt: Runtime) -> Path:
    library: list[Path | str] = [out / "obj_share_lib.c"]
    flags = model.compile.split()
    rest = (f"-Wl,-rpath,{folder}", f"-Wl,-rpath,{rt.shared.parent}", "-pthread") if model.library else ("-pthread",)
    if model.library:
        visibility = [flag for flag in flags if flag[:4] in ("-fvi", "-fcf")]
        linker = [flag for flag in model.link.split() if flag[:4] in ("-Wl,", "-fus")]
        needs = [rt.shared] if model.shared_runtime else []
        command = (*visibility, *linker, "-fPIC", "-shared", *library, *needs, "-o", folder / "libshare.so")
        library = [compiled(model.cc, *command)]
    needs = [rt.shared if model.shared_runtime else rt.object]
    command = (*flags, *model.link.split(), out / "obj_share.c", *library, *needs, *rest, "-o", folder / "share")
    return compiled(model.cc, *command)


@pytest.mark.parametrize("name", MODELS)
def test_two_objects_share_keys(name: str, scratch: Path, rt: Runtime, tmp_path: Path) -> None:
    """Keys of a program and of its library, called and updated by both; and the same again once stripped."""
    model = MODELS[name]
    program = linked(model, sources(scratch, "share", model.form, model.cc), tmp_path, rt)
    said, _ = ran(program)
    # The library is further than 2 GiB from a program; in a static one all are near.
    expected = {True: "4 sites, 2 direct\n", False: "4 sites, 4 direct\n"}[model.library]
    assert said == ("0 sites, 0 direct\n" if model.form == TRAMPOLINE else expected)
    run(["strip", "-s", program, *([tmp_path / "libshare.so"] if model.library else [])])
    assert ran(program)[0] == said


def test_a_namespace_of_its_own(rt: Runtime, tmp_path: Path) -> None:
    """dlmopen(): a library is the first of the loader's list there, and stays for SIGTRAP all the same."""
    source = rewritten(tmp_path / "c", "obj_space_lib.c") / "obj_space_lib.c"
    library = compiled("gcc-12", "-fPIC", "-shared", source, rt.object, "-o", tmp_path / "library.so")
    program = compiled("gcc-12", HERE / "obj_space.c", "-o", tmp_path / "space")
    assert ran(program, library, STATIC_CALL_PROTOCOL="int3-push")[0] == "seen 1\n"


@pytest.mark.parametrize("cc", ["gcc-12", "clang-14"])
def test_the_large_model_is_refused_by_name(cc: str, scratch: Path, tmp_path: Path) -> None:
    out = sources(scratch, "share")
    done = attempt([cc, "-mcmodel=large", "-c", INCLUDE, out / "obj_share_lib.c", "-o", tmp_path / "lib.o"])
    assert done.returncode and "-mcmodel=large" in done.stderr


OPTIMISERS = {
    "gcc": ("gcc-12", "-flto"),
    "gcc, fat objects": ("gcc-12", "-flto -ffat-lto-objects"),
    "clang, lld": ("clang-14", "-flto -fuse-ld=lld-14"),
    "clang, thin, lld": ("clang-14", "-flto=thin -fuse-ld=lld-14"),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_link_time_optimisation(name: str, scratch: Path, tmp_path: Path) -> None:
    """The runtime too is optimised with the program."""
    cc, flags = OPTIMISERS[name]
    out = sources(scratch, "share", cc=cc)
    files = (out / "obj_share.c", out / "obj_share_lib.c", *RUNTIME)
    said, _ = ran(compiled(cc, *flags.split(), *files, "-o", tmp_path / "share"))
    assert re.fullmatch(r"([4-9]) sites, \1 direct\n", said), said  # what is inlined has sites of its own


LINKERS: dict[str, tuple[str, str, str, int]] = {
    "GNU ld": ("gcc-12", "bfd", "-Wl,-z,start-stop-gc", 2),
    "GNU ld, by default": ("gcc-12", "bfd", "", 4),
    "gold": ("gcc-12", "gold", "", 4),
    "lld": ("clang-14", "lld-14", "", 2),
}
"""And how many sites are left: without -z start-stop-gc, which gold does not have, what __start_ names is kept."""


@pytest.mark.parametrize("name", LINKERS)
def test_sections_are_collected(name: str, scratch: Path, rt: Runtime, tmp_path: Path) -> None:
    """A function that is dropped takes its sites along, one that is kept keeps them; the program still updates."""
    cc, linker, how, left = LINKERS[name]
    made = tmp_path / "gc.o"
    compiled(cc, "-ffunction-sections", "-fdata-sections", "-c", sources(scratch, "collect") / "obj_gc.c", "-o", made)
    for flags, sites in (("-Wl,--no-gc-sections", 4), (f"-Wl,--gc-sections {how}", left)):
        link = ("-pthread", f"-fuse-ld={linker}", *flags.split())
        program = compiled(cc, made, rt.object, *link, "-o", tmp_path / f"gc{sites}")
        assert ran(program)[0] == f"{sites} sites\n"
        assert ("obj_dropped" in run(["nm", program])) == (sites == 4)


# ---- plugins ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plugins:
    folder: Path
    out: Path
    rt: Runtime

    def host(self, name: str) -> Path:
        """A program that exports its keys to what it opens, and has the runtime in it."""
        link = ("-rdynamic", self.out / f"{name}.c", self.rt.object, "-ldl", "-pthread")
        return compiled("gcc-12", *link, "-o", self.folder / name)

    def plugin(self, name: str, *rest: str | Path, source: str = "obj_plugin") -> Path:
        made = self.folder / f"{name}.so"
        return compiled("gcc-12", "-fPIC", "-shared", self.out / f"{source}.c", *rest, "-o", made)


@pytest.fixture
def plugins(request: pytest.FixtureRequest, scratch: Path, rt: Runtime, tmp_path: Path) -> Plugins:
    return Plugins(tmp_path, sources(scratch, "plugins", getattr(request, "param", ALIGNED)), rt)


@pytest.mark.parametrize("plugins", [ALIGNED, TRAMPOLINE], indirect=True, ids="-".join)
def test_keys_of_a_program_and_of_plugins(plugins: Plugins) -> None:
    """RTLD_GLOBAL: the second plugin finds the first one's key there; RTLD_LOCAL: it is linked with the first."""
    host, plugin = plugins.host("obj_host"), plugins.plugin("plugin")
    ran(host, "global", plugin, plugins.plugin("user", source="obj_user"))
    ran(host, "local", plugin, plugins.plugin("bound", plugin, source="obj_user"))
    _, why = ran(host, "local", plugin, plugins.folder / "user.so", status=27)
    assert "undefined symbol: __SCK__obj_plugin_key" in why or "undefined symbol: __SCT__obj_plugin_key" in why


@pytest.mark.parametrize("protocol", ["auto", "int3-push", "int3-resume"])
def test_two_copies_of_the_runtime(protocol: str, plugins: Plugins) -> None:
    host = plugins.host("obj_two")
    script = plugins.folder / "only.map"
    script.write_text("{ global: obj_plugin; local: *; };\n")
    for name, how in (("symbolic", "-Wl,-Bsymbolic"), ("script", f"-Wl,--version-script={script}")):
        said, _ = ran(host, plugins.plugin(name, plugins.rt.object, how), STATIC_CALL_PROTOCOL=protocol)
        assert said == "4 and 4 sites, 0 foreign\n"


@pytest.mark.parametrize("protocol", ["auto", "int3-push"])
def test_a_plugin_brings_the_runtime(protocol: str, plugins: Plugins, scratch: Path, tmp_path: Path) -> None:
    """The program knows nothing of static calls; the plugin has the runtime in it, or as a shared object."""
    host = compiled("gcc-12", HERE / "obj_plain.c", "-ldl", "-o", tmp_path / "obj_plain")
    rt = plugins.rt
    for name, how in (("own", [rt.object]), ("shared", [rt.shared, f"-Wl,-rpath,{rt.shared.parent}"])):
        ran(host, plugins.plugin(name, "-DALONE", *how), STATIC_CALL_PROTOCOL=protocol)


@pytest.mark.parametrize("plugins", [ALIGNED, COMPACT], indirect=True, ids="-".join)
def test_plugins_come_and_go_while_threads_call_and_update(plugins: Plugins) -> None:
    host, one = plugins.host("obj_loop"), plugins.plugin("one", "-Wl,-Bsymbolic")
    other = plugins.plugin("other", "-Wl,-Bsymbolic", "-DVALUE=20", "-DPADDED")
    for protocol in ("auto", "int3-push", "int3-stub"):
        ran(host, one, other, STATIC_CALL_PROTOCOL=protocol)


def test_a_target_that_goes_away_with_its_library(plugins: Plugins) -> None:
    host, plugin = plugins.host("obj_lost"), plugins.plugin("plugin")
    bare = plugins.plugin("bare", source="obj_bare")
    report = "static_call: the target of obj_host_key lies in a library that is being closed\n"
    assert ran(host, "repair", plugin, bare) == ("", 2 * report)
    _, said = ran(host, "call", plugin, bare, status=-signal.SIGABRT)
    assert said == report + "static_call: a key was called whose target's library has been closed\n"
    assert ran(host, "exit", plugin, bare) == ("", "")
    assert ran(host, "bare", plugin, bare) == ("", "")
    assert ran(host, "unseen", plugin, bare) == ("", "")
    assert ran(host, "late", plugin, bare)[0] == "updated\n"
    for other in (bare, plugins.plugin("other", "-DALONE", "-Wl,-Bsymbolic")):
        assert ran(host, "sealed", plugin, other) == ("", "")


# ---- before and after main --------------------------------------------------------------------------------------


STARTS = [
    (ALIGNED, "-fPIE -pie"),
    (ALIGNED, "-fno-pic -no-pie"),
    (COMPACT, "-fPIE -pie -Wl,-z,now"),
    (TRAMPOLINE, "-fPIE -pie -Wl,-z,norelro"),
]


@pytest.mark.parametrize(("form", "flags"), STARTS)
def test_constructors_and_destructors(
    form: tuple[str, str], flags: str, scratch: Path, rt: Runtime, tmp_path: Path
) -> None:
    out = sources(scratch, "start", form)
    library = compiled(
        "gcc-12", "-fPIC", "-shared", out / "obj_start_lib.c", rt.shared, "-o", tmp_path / "libstart.so"
    )
    rest = (library, rt.shared, f"-Wl,-rpath,{tmp_path}", f"-Wl,-rpath,{rt.shared.parent}", "-pthread")
    program = compiled("gcc-12", *flags.split(), out / "obj_start.c", *rest, "-o", tmp_path / "start")
    assert ran(program) == ("destructor\nlast destructor\ndestructor of the library\n", "")
