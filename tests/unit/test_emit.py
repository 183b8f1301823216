# SPDX-License-Identifier: MIT
"""Output trees: what is written, when, and what is left when a run dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instrument import depfile, emit, inputs, manifest
from instrument.diagnostics import InstrumentError
from instrument.emit import Copied, Output
from instrument.files import digest
from instrument.manifest import MANIFEST, Manifest

ABOUT = Manifest({}, "1", "inline-asm", "aligned")
PAST = 1_000_000_000_000_000_000


def put(out: Path, prerequisites: dict[str, int] | None = None, /, **contents: Output | bytes) -> emit.Changes:
    files = {name.replace("__", "/"): Output(c) if isinstance(c, bytes) else c for name, c in contents.items()}
    outputs = emit.complete(files, ABOUT, out, prerequisites or {})
    changes = emit.compare(out, outputs)
    emit.apply(out, outputs)
    return changes


def copied(path: Path) -> Copied:
    data, state = inputs.read(path)
    return Copied(str(path), state, digest(data))


def snapshot(root: Path) -> dict[str, tuple[int, int, bytes | str]]:
    files = [path for path in sorted(root.rglob("*")) if path.is_symlink() or path.is_file()]
    return {
        str(path.relative_to(root)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            str(path.readlink()) if path.is_symlink() else path.read_bytes(),
        )
        for path in files
    }


def refused(out: Path) -> InstrumentError:
    with pytest.raises(InstrumentError) as caught:
        put(out, x=b"x")
    assert (caught.value.status, caught.value.findings[0].code) == (2, "IN008")
    return caught.value


# ---- what is written ------------------------------------------------------------------------------


def test_content_mode_and_links_arrive(tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(b"b" * 3_000_000)
    out = tmp_path / "o ut"
    put(
        out,
        a__b=Output(b"x\0\xff\r\n", mode=0o750),
        l=Output(link="a/b"),
        big=Output(copy_of=copied(big), mode=0o444),
    )
    assert (out / "a/b").read_bytes() == b"x\0\xff\r\n"
    assert (out / "a/b").stat().st_mode & 0o777 == 0o750
    assert str((out / "l").readlink()) == "a/b"
    assert (out / "big").read_bytes() == big.read_bytes()
    assert (out / "big").stat().st_mode & 0o777 == 0o444


def test_a_second_run_writes_nothing(tmp_path: Path) -> None:
    prerequisites = {"a.c": PAST}
    files: dict[str, Output | bytes] = {
        "a__b": Output(b"x", mode=0o644, newer_than=PAST),
        "l": Output(link="a/b"),
        "g": b"generated",
    }
    put(tmp_path / "out", prerequisites, **files)
    before = snapshot(tmp_path / "out")
    assert put(tmp_path / "out", prerequisites, **files) == emit.Changes()
    assert snapshot(tmp_path / "out") == before


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    put(tmp_path, a=b"a", b=b"b", c=Output(b"c", mode=0o644))
    changes = put(tmp_path, a=b"a", b=b"B", c=Output(b"c", mode=0o755))
    assert changes.write == (MANIFEST, "b", "c")
    assert changes.stale == ("b", "c", MANIFEST)


def test_touching_a_source_reaches_its_copy(tmp_path: Path) -> None:
    put(tmp_path, a=Output(b"a", newer_than=PAST))
    os.utime(tmp_path / "a", ns=(PAST, PAST))
    later = PAST + 7_000_000_001
    changes = put(tmp_path, {"x": later}, a=Output(b"a", newer_than=later))
    assert "a" in changes.touch
    assert changes.stale == ()
    assert (tmp_path / "a").stat().st_mtime_ns == later


def test_the_stamp_is_as_new_as_the_newest_prerequisite(tmp_path: Path) -> None:
    future = 4_000_000_000_000_000_000
    put(tmp_path, {"a": PAST, "b": future}, a=b"a")
    put(tmp_path, {"a": PAST, "b": future}, a=b"a")
    assert (tmp_path / emit.STAMP).stat().st_mtime_ns == future


def test_kinds_may_change_between_runs(tmp_path: Path) -> None:
    put(tmp_path, a=b"file", b__c=b"below", d=Output(link="a"))
    put(tmp_path, a__x=b"below", b=b"file", d__y=b"below")
    assert {name for name in snapshot(tmp_path) if not name.startswith("static_call")} == {"a/x", "b", "d/y"}
    assert not (tmp_path / "d").is_symlink()


def test_a_link_to_a_directory_may_become_that_directory(tmp_path: Path) -> None:
    put(tmp_path, a__x=b"x", d=Output(link="a"))
    put(tmp_path, a__x=b"x", d__x=b"x")
    assert (tmp_path / "d/x").read_bytes() == b"x"
    assert not (tmp_path / "d").is_symlink()


# ---- what is removed ------------------------------------------------------------------------------


def test_stale_files_go_and_so_do_their_directories(tmp_path: Path) -> None:
    put(tmp_path, a=b"a", d__e__f=b"f", l=Output(link="a"))
    changes = put(tmp_path, a=b"a")
    assert changes.remove == ("d/e/f", "l")
    assert not (tmp_path / "d").exists()
    assert not (tmp_path / "l").is_symlink()


def test_a_stale_file_that_somebody_changed_stays(tmp_path: Path) -> None:
    put(tmp_path, a=b"a", b=b"b", c=b"c")
    (tmp_path / "b").write_bytes(b"mine")
    (tmp_path / "c").unlink()
    (tmp_path / "other.o").write_bytes(b"object")
    changes = put(tmp_path, a=b"a")
    assert (changes.remove, changes.kept) == ((), ("b",))
    assert (tmp_path / "b").read_bytes() == b"mine"
    assert (tmp_path / "other.o").exists()


def test_what_has_failed_is_gone_whoever_wrote_it(tmp_path: Path) -> None:
    put(tmp_path, a=b"a", b=b"b", d__c=b"c", d__e=b"e")
    (tmp_path / "b").write_bytes(b"mine")
    (tmp_path / "later").write_bytes(b"never an output before")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "directory").mkdir()
    gone = dict.fromkeys(("b", "d__c", "later", "link", "directory", "absent"), emit.GONE)
    changes = put(tmp_path, a=b"a", d__e=b"e", **gone)
    assert (changes.remove, changes.kept) == (("b", "d/c", "later", "link"), ())
    assert {path.name for path in tmp_path.iterdir()} == {"a", "d", "directory", "static_call"}
    assert (listed := manifest.load(tmp_path)) is not None
    assert set(listed.files) == {"a", "d/e"}
    assert put(tmp_path, a=b"a", d__e=b"e").stale == ()


def test_a_failed_tree_has_no_stamp(tmp_path: Path) -> None:
    put(tmp_path, a=b"a", b=b"b")
    failed = emit.complete({"a": Output(b"A"), "b": emit.GONE}, ABOUT, tmp_path, {"a": PAST}, failed=True)
    changes = emit.compare(tmp_path, failed)
    # Whatever may come between, make must run us again.
    assert changes.remove == (emit.STAMP, "b")
    assert emit.STAMP not in changes.stale
    emit.apply(tmp_path, failed)
    assert not (tmp_path / emit.STAMP).exists() and (tmp_path / emit.DEPFILE).is_file()
    assert emit.compare(tmp_path, failed) == emit.Changes()
    put(tmp_path, a=b"A", b=b"b")
    assert (tmp_path / emit.STAMP).is_file()


# ---- what is refused ------------------------------------------------------------------------------


def test_somebody_elses_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    assert str(tmp_path) in refused(tmp_path).findings[0].message
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"tool": "other"}', '{"tool": "instrument", "schema_version": 2}'])
def test_a_manifest_that_is_not_ours_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).parent.mkdir()
    (tmp_path / MANIFEST).write_text(text)
    refused(tmp_path)


def test_an_empty_directory_is_taken(tmp_path: Path) -> None:
    put(tmp_path, x=b"x")
    assert manifest.load(tmp_path) is not None


@pytest.mark.parametrize("out", ["file", "file/out", "file/deep/out", "dangling"])
def test_an_output_below_a_file_cannot_be_written(tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to("/proc/none")
    assert str(tmp_path / out) in refused(tmp_path / out).findings[0].message
    assert (tmp_path / "file").read_text() == ""


def test_a_read_only_file_system_is_named() -> None:
    assert "/proc/out" in refused(Path("/proc/out")).findings[0].message


def test_a_directory_in_a_files_place_is_named(tmp_path: Path) -> None:
    put(tmp_path, a=b"a")
    (tmp_path / "x/inner").mkdir(parents=True)
    (tmp_path / "x/inner/mine").write_text("")
    assert str(tmp_path / "x") in refused(tmp_path).findings[0].message
    assert not list(tmp_path.rglob("*instrument-tmp"))


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, x=b"old")

    def full(descriptor: int, output: Output) -> None:
        os.write(descriptor, b"ha")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(emit, "_fill", full)
    error = refused(tmp_path)
    assert "No space left" in error.findings[0].message
    assert (tmp_path / "x").read_bytes() == b"old"
    assert not list(tmp_path.rglob("*instrument-tmp"))


def test_nothing_is_written_or_removed_through_somebodys_link(tmp_path: Path) -> None:
    out, source = tmp_path / "out", tmp_path / "src/sub"
    source.mkdir(parents=True)
    put(out, sub__x=b"x", sub__y=b"y")
    for name in ("x", "y"):
        (out / "sub" / name).rename(source / name)
    (out / "sub").rmdir()
    (out / "sub").symlink_to("../src/sub")
    before = snapshot(tmp_path)
    for files in ({"sub__x": b"new"}, {"sub__deeper__x": b"new"}, {"z": b"z"}):
        with pytest.raises(InstrumentError) as caught:
            put(out, **files)
        assert (caught.value.status, caught.value.findings[0].code) == (2, "IN008")
        assert snapshot(tmp_path) == before


def test_another_run_in_between_leaves_no_mix(tmp_path: Path) -> None:
    mine = emit.complete({"a": Output(b"mine")}, ABOUT, tmp_path, {})
    emit.apply(tmp_path, mine)
    assert emit.compare(tmp_path, mine).write == ()
    put(tmp_path, a=b"theirs", b=b"theirs")
    emit.apply(tmp_path, mine)
    assert emit.compare(tmp_path, mine) == emit.Changes()
    assert not (tmp_path / "b").exists()


# ---- a run that dies ------------------------------------------------------------------------------


def run_victim(out: Path, files: dict[str, bytes], deadline: int) -> int:
    """Emit `files` in a child that dies at its step `deadline`; a step is any call that touches a file."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        steps = 0
        fill = emit._fill

        def step() -> None:
            nonlocal steps
            steps += 1
            if steps == deadline:
                os.kill(os.getpid(), signal.SIGKILL)

        def torn(descriptor: int, output: Output) -> None:
            os.write(descriptor, output.content[: len(output.content) // 2])
            step()
            os.lseek(descriptor, 0, os.SEEK_SET)
            fill(descriptor, output)

        emit._fill = torn
        outputs = {name: Output(content, mode=0o640) for name, content in files.items()}
        outputs = emit.complete(outputs, ABOUT, out, {})
        sys.addaudithook(lambda event, _: step() if event.partition(".")[0] in ("os", "open", "fcntl") else None)
        emit.apply(out, outputs)
        os._exit(0)
    finally:
        os._exit(1)


@pytest.mark.parametrize("fresh", [True, False])
def test_a_killed_run_leaves_whole_files_and_the_next_one_finishes(tmp_path: Path, fresh: bool) -> None:
    files = {name: name.encode() * 1000 for name in ("a.c", "d/b.c", "e")}
    allowed = {b"old", *files.values()}
    deadline, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        deadline += 1
        out = tmp_path / f"out{deadline}"
        if not fresh:
            put(out, **{"a.c": b"old", "gone__x": b"old", "e": b"old"})
        code = run_victim(out, files, deadline)
        for name, (_, _, content) in (snapshot(out) if out.exists() else {}).items():
            if not name.startswith("static_call/") and not name.endswith("instrument-tmp"):
                assert content in allowed, f"{name} is torn at step {deadline}"
        assert run_victim(out, files, 0) == 0
        after = {name for name in snapshot(out) if not name.startswith("static_call/")}
        assert after == set(files)
        assert not list(out.rglob("*instrument-tmp"))
    assert code == 0
    assert deadline > 20


# ---- depfiles -------------------------------------------------------------------------------------

NAMES = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(depfile.speakable)


@given(st.lists(NAMES, min_size=1, max_size=5))
def test_a_compilers_reader_gets_the_names_back(names: list[str]) -> None:
    plain = [name for name in names if "\\" not in name and not any(c.isspace() and c != " " for c in name)]
    first, _, _ = depfile.render("out", plain).decode().partition("\n\n")
    assert inputs.prerequisites(first) == sorted(set(plain))


AWKWARD = st.text("ab #$:\\.'\"()&,!@é", min_size=1, max_size=8).filter(depfile.speakable)


@settings(deadline=None, max_examples=60)
@given(AWKWARD.filter(lambda name: "(" not in name and not name.startswith("@")))
def test_make_finds_each_file(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    directory = tmp_path_factory.mktemp("make")
    if name in (".", "..", "stamp", "Makefile", "d"):
        return
    (directory / name).write_text("")
    os.utime(directory / name, ns=(PAST, PAST))
    (directory / "d").write_bytes(depfile.render("stamp", [name]))
    (directory / "Makefile").write_text("stamp: ; @echo made\ninclude d\nd Makefile: ;\n")
    (directory / "stamp").write_text("")

    def make(*words: str) -> str:
        command = ["make", "-rR", *words]
        return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False).stdout

    assert "up to date" in make("stamp")
    (directory / name).touch()
    os.utime(directory / "stamp", ns=(PAST, PAST))
    assert "made" in make("stamp")
    (directory / name).unlink()
    assert "made" in make("stamp")


def test_what_make_cannot_name_is_left_out() -> None:
    assert depfile.render("out/stamp", ["a=b", "a\nb", "a", "100%"]) == b"out/stamp: \\\n a\n\na:\n"
    assert depfile.render("o=ut", ["a"]) == b""


# ---- determinism ----------------------------------------------------------------------------------


def test_the_manifest_tells_nothing_of_where_or_when(tmp_path: Path) -> None:
    for name, order in (("one", ("a", "b")), ("two", ("b", "a"))):
        put(tmp_path / name, {"/abs": PAST}, **{each: each.encode() for each in order})
    one, two = ((tmp_path / name / MANIFEST).read_bytes() for name in ("one", "two"))
    assert one == two
    assert str(tmp_path).encode() not in one
