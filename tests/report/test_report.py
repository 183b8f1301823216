# SPDX-License-Identifier: MIT
"""What `instrument report` says of a run, in each of its formats."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest

from instrument import depfile
from tests.report import project as of
from tests.toolchain import ROOT

SCHEMA = json.loads((ROOT / "templates/report.schema.json").read_text())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = of.lay(tmp_path_factory.mktemp("report"))
    assert of.run(folder) == 0
    return folder


def at(place: Mapping[str, Any]) -> str:
    return of.LINES[place["path"]][place["line"] - 1][place["column"] - 1 :]


def test_json_tells_every_call_and_key(project: Path) -> None:
    value = of.as_json(project)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(value)
    sites = value["sites"]
    assert [(s["function"], s["form"], s["fate"], s["level"], s["code"], s["left_code"]) for s in sites] == [
        (None, "inline-asm", "left to the header's macro", None, None, "IN030"),
        ("inlined", "inline-asm", "rewritten", None, None, None),
        ("inlined", "inline-asm", "rewritten", None, None, None),
        ("variadic", "trampoline", "rewritten", "warning", "IN022", None),
        ("dead", "", "inactive", "note", None, "IN033"),
    ]
    for site in sites:
        assert at(site["place"]).startswith("static_call("), site
        assert site["excerpt"]["text"][site["excerpt"]["caret"] :] == at(site["place"])
    narrow, say = value["keys"]
    assert (narrow["name"], narrow["form"], narrow["type"], narrow["why"]) == (
        "narrow",
        "inline-asm",
        "int (int)",
        None,
    )
    assert (narrow["calls"], narrow["updates"], [place["line"] for place in narrow["defined"]]) == (3, 1, [6])
    assert (say["name"], say["form"], say["code"], say["calls"], say["updates"]) == (
        "say",
        "trampoline",
        "IN022",
        1,
        0,
    )
    assert (value["problems"], value["failed"], value["unseen"]) == ([], [], [])


def test_the_schema_refuses_what_is_no_report(project: Path) -> None:
    value = of.as_json(project)
    for wrong in ({**value, "mode": "other"}, {**value, "sites": [{"place": 1}]}, {**value, "more": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(SCHEMA).validate(wrong)


def test_text_points_at_the_calls(project: Path) -> None:
    lines = of.report(project).splitlines()
    places = [i for i, line in enumerate(lines) if re.match(r"src/\S+:\d+:\d+: ", line)]
    assert len(places) == 5
    for i in places:
        assert lines[i + 1][lines[i + 2].index("^") :].startswith("static_call("), lines[i : i + 3]
    assert f"src/main.c:16:9: warning: static_call(say) in variadic is trampoline: {why(project)} [IN022]" in lines
    assert "  calls: 3 inline-asm, 1 trampoline, 1 inactive" in lines


def test_what_turns_a_terminal_round_is_spelled_out(tmp_path: Path) -> None:
    call = "int odd(void) { return /* \x1b[31m\u202e */ static_call(narrow)(1); }\n"
    text = '#include <static_call.h>\n#include "hooks.h"\n' + call
    of.lay(tmp_path, **{"a\u202e\x1b.c": text})
    assert of.run(tmp_path) == 0
    found = of.report(tmp_path)
    assert "\x1b" not in found and "\u202e" not in found
    lines = found.splitlines()
    (at,) = (i for i, line in enumerate(lines) if line.startswith("src/a<U+202E><U+001B>.c:3:"))
    assert "/* <U+001B>[31m<U+202E> */" in lines[at + 1]
    assert lines[at + 1][lines[at + 2].index("^") :].startswith("static_call(narrow)")
    assert of.report(tmp_path, "-o", "report.html") == ""
    page = (tmp_path / "report.html").read_text()
    assert "\x1b" not in page and "\u202e" not in page and "src/a&lt;U+202E&gt;" in page
    paths = {site["place"]["path"] for site in of.as_json(tmp_path)["sites"]}
    assert "src/a\u202e\x1b.c" in paths


def why(project: Path) -> str:
    return next(str(key["why"]) for key in of.as_json(project)["keys"] if key["why"])


def sarif(folder: Path) -> dict[str, Any]:
    value = json.loads(of.report(folder, "--format", "sarif"))
    assert value["version"] == "2.1.0"
    (found,) = value["runs"]
    assert isinstance(found, dict)
    return found


def test_sarif_has_what_somebody_should_look_at(project: Path) -> None:
    found = sarif(project)
    rules = [rule["id"] for rule in found["tool"]["driver"]["rules"]]
    assert found["columnKind"] == "unicodeCodePoints" and rules == ["IN022", "IN033"]
    assert [(r["ruleId"], r["level"]) for r in found["results"]] == [("IN022", "warning"), ("IN033", "note")]
    for result in found["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"] and result["message"]["text"]
        where = result["locations"][0]["physicalLocation"]
        path, region = unquote(where["artifactLocation"]["uri"]), where["region"]
        text = at({"path": path, "line": region["startLine"], "column": region["startColumn"]})
        assert text.startswith("static_") and region["snippet"]["text"] == text


def test_github_is_told_all_that_it_asks_of_a_rule(project: Path) -> None:
    for rule in sarif(project)["tool"]["driver"]["rules"]:
        assert rule["shortDescription"]["text"] and "\n" not in rule["shortDescription"]["text"]
        assert rule["shortDescription"]["text"] != rule["fullDescription"]["text"] and rule["help"]["text"]
        assert rule["fullDescription"]["text"] in rule["help"]["markdown"] and "## Fix\n" in rule["help"]["markdown"]


def test_a_part_of_a_line_is_no_snippet(tmp_path: Path) -> None:
    long = "#include <static_call.h>\nint say(const char *, ...);\nDECLARE_STATIC_CALL(say, say);\n"
    of.lay(tmp_path, **{"long.c": f'{long}int f(void) {{ return static_call(say)("{"x" * 200}"); }}\n'})
    assert of.run(tmp_path) == 0
    (region,) = (
        result["locations"][0]["physicalLocation"]["region"]
        for result in sarif(tmp_path)["results"]
        if "long.c" in result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    )
    assert region == {"startLine": 4, "startColumn": 22}


def test_github_s_paths_are_those_of_the_checkout(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(folder: Path) -> tuple[str, str, str]:
        _, annotations, _ = of.said(folder, str(project / "out"), "--format", "github")
        _, text, _ = of.said(folder, str(project / "out"), "--format", "sarif")
        result = json.loads(text)["runs"][0]["results"][0]
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        return annotations.partition(",")[0], uri, result["partialFingerprints"]["instrument/v1"]

    top = told(project)
    assert top[:2] == ("::warning file=src/main.c", "src/main.c")
    assert told(project / "out")[:2] == ("::warning file=../src/main.c", "../src/main.c")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project))
    assert told(project / "out") == top
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project / "out"))
    assert told(project)[1] == "src/main.c"


def test_a_fingerprint_stays_when_lines_are_added_above(project: Path, tmp_path: Path) -> None:
    def prints(folder: Path) -> list[str]:
        return [result["partialFingerprints"]["instrument/v1"] for result in sarif(folder)["results"]]

    twice = of.MAIN.replace(
        "\treturn static_call(say)",
        '\tif (0)\n\t\treturn static_call(say)("", 1);\n' * 2 + "\treturn static_call(say)",
    )
    moved = of.lay(tmp_path, **{"main.c": "\n\n" + twice})
    assert of.run(moved) == 0
    before, after = prints(project), prints(moved)
    assert set(before) < set(after) and len(set(after)) == 4


def test_annotations(project: Path) -> None:
    assert of.report(project, "--format", "github").splitlines() == [
        "::warning file=src/main.c,line=16,col=9,title=instrument IN022::static_call(say) in variadic is "
        f"trampoline: {why(project)}",
        "::notice file=src/main.c,line=22,col=25,title=instrument IN033::static_call(narrow) in dead is inactive: "
        "no translation unit compiles this call",
    ]


def test_what_annotations_must_not_hold_as_it_is(tmp_path: Path) -> None:
    of.lay(tmp_path, **{"a,b:50%.c": '#include "hooks.h"\nint broken(void) { return static_call(narrow)(1) }\n'})
    assert of.run(tmp_path) == 1
    first = of.report(tmp_path, "--format", "github").splitlines()[0]
    assert first.startswith("::error file=src/a%2Cb%3A50%25.c,line="), first
    result = sarif(tmp_path)["results"][0]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "src/a%2Cb%3A50%25.c"


def test_a_file_with_an_error_is_told(tmp_path: Path) -> None:
    of.lay(tmp_path, **{"bad.c": "#include <static_call.h>\nint f(void) { return static_call(nowhere)(1); }\n"})
    assert of.run(tmp_path) == 1
    value = of.as_json(tmp_path)
    jsonschema.Draft202012Validator(SCHEMA).validate(value)
    assert value["failed"] == ["src/bad.c"] and len(value["sites"]) == 5
    (problem,) = value["problems"]
    assert (problem["level"], problem["place"]["path"], problem["place"]["line"]) == ("error", "src/bad.c", 2)
    assert problem["excerpt"]["text"][problem["excerpt"]["caret"] :].startswith("static_call(nowhere)")
    assert problem["notes"] == [] and problem["fix"].startswith("include the header that has")
    assert "  fix: include the header that has DECLARE_STATIC_CALL(nowhere, ...)\nleft out: src/bad.c" in of.report(
        tmp_path
    )
    assert "%0Afix: include the header" in of.report(tmp_path, "--format", "github").splitlines()[0]
    assert "\nfix: include the header" in sarif(tmp_path)["results"][0]["message"]["text"]


def test_notes_of_an_error_are_told(tmp_path: Path) -> None:
    wide = "#include <static_call.h>\nlong wide(long x) { return x; }\nDECLARE_STATIC_CALL(narrow, wide);\n"
    wide += "long f(void) { return static_call(narrow)(1); }\n"
    # Without a file that is well nothing is written, so that there is nothing to report of.
    of.lay(tmp_path, **{"wide.c": wide, "well.c": "int well;\n"})
    assert of.run(tmp_path) == 1
    (problem,) = of.as_json(tmp_path)["problems"]
    assert problem["code"] == "IN013" and problem["notes"] == ["hooks.h:4: defined as 'int (int)' here"]


# ---- where a report comes from --------------------------------------------------------------------


def test_the_census_is_a_file_of_the_output(project: Path) -> None:
    listed = json.loads((project / "out/static_call/manifest.json").read_text())["files"]
    assert "static_call/census.json" in listed
    assert str(project) not in (project / "out/static_call/census.json").read_text()


def test_paths_are_as_seen_from_here(project: Path) -> None:
    for words in ([], ["--root", "."]):
        _, out, err = of.said(project / "src", "../out", "--format", "github", *words)
        assert out.startswith("::warning file=main.c,line=16,") and not err
    _, out, err = of.said(project.parent, f"{project.name}/out", "--format", "github")
    assert out.startswith(f"::warning file={project.name}/src/main.c,line=16,") and not err
    _, out, _ = of.said(project, "out", "--root", str(project / "src"), "--format", "json")
    assert json.loads(out) == of.as_json(project)


def test_another_text_is_not_shown(tmp_path: Path) -> None:
    of.lay(tmp_path)
    assert of.run(tmp_path) == 0
    (tmp_path / "src/main.c").write_text("/* gone */\n" + of.MAIN)
    status, out, err = of.said(tmp_path, "out", "--format", "json")
    what = "src/main.c: not the source that was instrumented, so its lines are not shown"
    assert (status, err) == (0, f"instrument: warning: {what}\n")
    value = json.loads(out)
    jsonschema.Draft202012Validator(SCHEMA).validate(value)
    assert value["unseen"] == ["src/main.c"]
    assert [s["excerpt"] is None for s in value["sites"]] == [False, True, True, True, True]


def test_sources_that_are_not_found_are_said_to_be_so(tmp_path: Path) -> None:
    of.lay(tmp_path)
    assert of.run(tmp_path) == 0
    (tmp_path / "src").rename(tmp_path / "moved")
    what = "src/hooks.h and 1 more: not found, so no lines are shown; --root DIR says where the sources are"
    assert of.said(tmp_path, "out", "--format", "json")[2] == f"instrument: warning: {what}\n"
    assert of.said(tmp_path, "out", "--format", "json", "--root", "moved")[2] == ""


@pytest.mark.parametrize("hurt", ["{", "{}", "[]", '{"tokens": [{}]}'])
def test_a_damaged_census_is_said_to_be_so(hurt: str, project: Path, tmp_path: Path) -> None:
    (tmp_path / "out/static_call").mkdir(parents=True)
    manifest = (project / "out/static_call/manifest.json").read_bytes()
    (tmp_path / "out/static_call/manifest.json").write_bytes(manifest)
    (tmp_path / "out/static_call/census.json").write_text(hurt)
    status, out, err = of.said(tmp_path, "out")
    assert (status, out) == (2, "") and "error: out/static_call/census.json" in err
    assert "fix: run instrument again" in err


def test_what_is_no_output(project: Path) -> None:
    for words, why in (
        (["src"], "src was not written by instrument"),
        (["nowhere"], "there is no directory nowhere"),
        (["out", "-o", "nowhere/report.html"], "cannot write nowhere/report.html"),
        (["out", "--format", "pdf"], "takes one of text, html, json, sarif, github, not 'pdf'"),
        (["out", "more"], "one argument too many: more"),
        ([], "required: OUT"),
    ):
        status, out, err = of.said(project, *words)
        assert (status, out) == (2, "") and "error: " in err and why in err, words


def test_a_dash_is_standard_output(project: Path) -> None:
    assert of.report(project, "-o", "-") == of.report(project) and not (project / "-").exists()


def test_a_file_is_replaced_whole_and_its_name_tells_the_format(project: Path, tmp_path: Path) -> None:
    for name, begin in (("r.html", "<!DOCTYPE html>"), ("r.json", "{"), ("r.sarif", "{"), ("r.txt", "instrument ")):
        (tmp_path / name).write_text("an older one\n" * 10_000)
        assert of.report(project, "-o", str(tmp_path / name)) == ""
        assert (tmp_path / name).read_text().startswith(begin)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.html", "r.json", "r.sarif", "r.txt"]


@pytest.mark.parametrize("name", ["a.c", "a b.c", "a\\ b.c", "a#b:c$d.c", "\\\\#.c", "x\\y.c", "ü\udcff.c"])
def test_names_come_back_from_a_depfile(name: str) -> None:
    assert depfile.first(depfile.render(f"to/{name}/stamp", [name, "z.c"])) == (
        f"to/{name}/stamp",
        sorted([name, "z.c"]),
    )
    assert depfile.first(b"") == ("", [])


def test_the_example_of_the_document(tmp_path: Path) -> None:
    text = (ROOT / "docs/report.md").read_text()
    (source,) = re.findall(r"^```c\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (shown,) = re.findall(r"^```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.c").write_text(source)
    assert of.run(tmp_path) == 0
    assert of.report(tmp_path) == shown
