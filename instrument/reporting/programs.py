# SPDX-License-Identifier: MIT
"""The report for other programs: JSON (templates/report.schema.json), SARIF 2.1.0, GitHub's annotations."""

from __future__ import annotations

import hashlib
import json
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
    text = explain.title(code) or code
    return {"id": code, "shortDescription": {"text": text}, "help": {"text": f"instrument explain {code}"}}


def _result(problem: Problem, rule: int, twins: Counter[str]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": problem.code,
        "ruleIndex": rule,
        "level": problem.level,
        "message": {"text": problem.message},
        "partialFingerprints": {"instrument/v1": _fingerprint(problem, twins)},
    }
    if (place := problem.place) is not None:
        region: dict[str, Any] = {"startLine": place.line}
        if problem.excerpt:
            region |= {"startColumn": place.column, "snippet": {"text": problem.excerpt.text}}
        where = {"artifactLocation": {"uri": _uri(place.path)}, "region": region}
        result["locations"] = [{"physicalLocation": where}]
    return result


def _uri(path: str) -> str:
    return f"file://{quote(path)}" if path.startswith("/") else quote(path)


def _fingerprint(problem: Problem, twins: Counter[str]) -> str:
    """What stays the same when lines are added above: the text, and how many of the same were before it."""
    text = problem.excerpt.text.strip() if problem.excerpt else ""
    same = "\0".join((problem.code, problem.place.path if problem.place else "", problem.message, text))
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
        facts = {"file": place.path, "line": str(place.line), "col": str(place.column)}
    facts["title"] = f"instrument {problem.code}"
    words = ",".join(f"{name}={_property(value)}" for name, value in facts.items())
    return f"::{_COMMANDS[problem.level]} {words}::{_data(problem.message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
