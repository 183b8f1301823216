# SPDX-License-Identifier: MIT
"""The report for other programs: JSON (templates/report.schema.json), SARIF 2.1.0, GitHub's annotations."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from instrument import explain
from instrument.reporting.model import Problem, Report, advice

SCHEMA_VERSION = 1


def as_json(report: Report) -> str:
    """The whole report."""
    value = {"tool": "instrument", "schema_version": SCHEMA_VERSION, **asdict(report)}
    return json.dumps(value, indent=1) + "\n"


# ---- SARIF ----------------------------------------------------------------------------------------


def as_sarif(report: Report) -> str:
    """What somebody should look at, as one run. Columns count characters."""
    found = advice(report)
    codes = sorted({problem.code for problem in found})
    twins: Counter[str] = Counter()
    run = {
        "tool": {
            "driver": {
                "name": "instrument",
                "version": report.version,
                "rules": [_rule(code) for code in codes],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [_result(problem, codes.index(problem.code), twins) for problem in found],
    }
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _rule(code: str) -> dict[str, Any]:
    """GitHub shows all of it beside a finding, to who has no `instrument explain` at hand."""
    title, cause, whole = explain.title(code) or code, explain.cause(code), explain.body(code)
    return {
        "id": code,
        "shortDescription": {"text": title},
        "fullDescription": {"text": cause or title},
        "help": {"text": whole or title, "markdown": whole or title},
    }


def _result(problem: Problem, rule: int, twins: Counter[str]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": problem.code,
        "ruleIndex": rule,
        "level": problem.level,
        "message": {"text": _message(problem)},
        "partialFingerprints": {"instrument/v1": _fingerprint(problem, twins)},
    }
    if (place := problem.place) is not None:
        where: dict[str, Any] = {"artifactLocation": {"uri": _uri(place.path)}, "region": {"startLine": place.line}}
        if problem.excerpt:
            # Without an end it goes to that of the line; the snippet has to be exactly that part.
            where["region"]["startColumn"] = place.column
            if problem.excerpt.whole:
                where["region"]["snippet"] = {"text": problem.excerpt.text[problem.excerpt.caret :]}
        result["locations"] = [{"physicalLocation": where}]
    return result


def _message(problem: Problem) -> str:
    return "\n".join((problem.message, *problem.advice))


def _uri(path: str) -> str:
    path = _in_checkout(path)
    return f"file://{quote(path)}" if path.startswith("/") else quote(path)


def _in_checkout(path: str) -> str:
    """GitHub takes paths as from the checkout's top, wherever in it a step works."""
    top = os.environ.get("GITHUB_WORKSPACE")
    found = os.path.relpath(path, top) if top else path
    return path if found.startswith("../") else found


def _fingerprint(problem: Problem, twins: Counter[str]) -> str:
    """What stays the same when lines are added above: the text, and how many of the same were before it."""
    text = problem.excerpt.text.strip() if problem.excerpt else ""
    path = _in_checkout(problem.place.path) if problem.place else ""
    same = "\0".join((problem.code, path, problem.message, text))
    twins[same] += 1
    return hashlib.sha256(f"{same}\0{twins[same]}".encode()).hexdigest()[:32]


# ---- GitHub ---------------------------------------------------------------------------------------

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def as_github(report: Report) -> str:
    """A line for each annotation. GitHub shows ten of a kind for each step, so the errors are first."""
    order = list(_COMMANDS)
    found = sorted(advice(report), key=lambda problem: order.index(problem.level))
    return "".join(f"{_annotation(problem)}\n" for problem in found)


def _annotation(problem: Problem) -> str:
    place, facts = problem.place, {}
    if place is not None:
        facts = {"file": _in_checkout(place.path), "line": str(place.line), "col": str(place.column)}
    facts["title"] = f"instrument {problem.code}"
    words = ",".join(f"{name}={_property(value)}" for name, value in facts.items())
    return f"::{_COMMANDS[problem.level]} {words}::{_data(_message(problem))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
