# SPDX-License-Identifier: MIT
"""The whole command over bytes that nobody would call C: a clear answer, never a traceback, nothing half done."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from instrument import cli, plan
from instrument.model import Resolution
from tests.unit.test_roundtrip import ANYTHING, SOUP

HEAD = b"#include <static_call.h>\nstatic int f(int x) { return x; }\nDEFINE_STATIC_CALL(k, f);\n"
# What is wrapped like this is mostly text that a compiler takes.
FRAMES = [
    (b"", b""),
    (HEAD, b""),
    (HEAD + b"#if 0\n", b"\n#endif\n"),
    (HEAD + b"/* ", b" */ int g(void) { return static_call(k)(1); }"),
]
FRAMES += [
    (HEAD + b"int g(void) { return static_call(k)(1", b"); }\n"),
    (HEAD + b"#define M(x) ", b"\nint g(void) { return static_call(k)(1); }"),
]


def state(tree: Path) -> dict[str, str]:
    """Every file but the depfile and the stamp, which are of the output's place and time."""
    files = (path for path in tree.rglob("*") if path.is_file() and path.name not in ("static_call.d", "stamp"))
    return {path.relative_to(tree).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def said(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str]:
    """Exit status and stderr. In this process, for speed."""
    code = cli.main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.err


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(SOUP, ANYTHING), st.sampled_from(FRAMES), st.sampled_from(["inline-asm", "trampoline"]))
@example([], FRAMES[0], "inline-asm")
@example([b"\xff\xfe"], FRAMES[3], "inline-asm")
@example([b"/* \n */ + static_call(k, 1)"], FRAMES[4], "inline-asm")
def test_any_bytes(
    capsys: pytest.CaptureFixture[str], pieces: list[bytes], frame: tuple[bytes, bytes], mode: str
) -> None:
    with TemporaryDirectory() as place:
        tree, out, again = (Path(place) / name for name in ("src", "out", "again"))
        tree.mkdir()
        (tree / "a.c").write_bytes(frame[0] + b"".join(pieces) + frame[1])
        before = state(tree)
        code, err = said(capsys, tree, "-o", out, "--mode", mode)
        assert code in (0, 1) and "Traceback" not in err and "internal error" not in err, err
        assert state(tree) == before
        assert out.exists() == (code == 0), err
        if code == 0:
            written = state(out)
            assert said(capsys, tree, "-o", out, "--mode", mode)[0] == 0 and state(out) == written
            assert said(capsys, out, "-o", again, "--mode", mode)[0] == 0
            assert (again / "a.c").read_bytes() == (out / "a.c").read_bytes()


def test_a_plan_with_a_hole_is_caught_before_anything_is_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every run holds its plan against what the lexer found, so every test does."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.c").write_bytes(HEAD + b"int g(void) { return static_call(k)(1) + static_call(k)(2); }\n")
    assert said(capsys, tmp_path / "src", "-o", tmp_path / "good")[0] == 0
    whole = plan.plan

    def torn(scanned: object, contents: object, resolution: Resolution, *more: object) -> plan.Plan:
        made = whole(scanned, contents, resolution, *more)  # type: ignore[arg-type]
        return plan.Plan(made.keys, {path: sites[:-1] for path, sites in made.sites.items()})

    monkeypatch.setattr(plan, "plan", torn)
    code, err = said(capsys, tmp_path / "src", "-o", tmp_path / "bad")
    assert code == 2 and "a.c:4:42: static_call(k) is not accounted for" in err
    assert not (tmp_path / "bad").exists()
