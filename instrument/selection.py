# SPDX-License-Identifier: MIT
"""What `--key NAME` chooses of a binary, and the names that choose nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from instrument.binary import Binary
from instrument.diagnostics import Finding
from instrument.meant import meant
from instrument.value import replace


def chosen(found: Binary, patterns: Sequence[str] | None) -> Binary:
    """Only the keys that match one of the patterns; all of them without any."""
    if not patterns:
        return found

    def wanted(name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in patterns)

    return replace(
        found,
        keys=tuple(key for key in found.keys if wanted(key.name)),
        sites=tuple(site for site in found.sites if wanted(site.key)),
        left=tuple(call for call in found.left if wanted(call.key)),
        reasons={key: codes for key, codes in found.reasons.items() if wanted(key)},
    )


def idle(patterns: Sequence[str] | None, found: Iterable[Binary], severity: str = "error") -> list[Finding]:
    """The patterns that match no key of any binary: of a misspelt key everything would be well."""
    names = sorted({name for one in found for name in _names(one)})
    return [
        Finding("IN011", f"--key {pattern}: there is no such key{meant(pattern, names)}", severity=severity)
        for pattern in patterns or ()
        if not any(fnmatchcase(name, pattern) for name in names)
    ]


def _names(found: Binary) -> Iterator[str]:
    yield from (key.name for key in found.keys)
    yield from (site.key for site in found.sites)
    yield from (call.key for call in found.left)
    yield from found.reasons
