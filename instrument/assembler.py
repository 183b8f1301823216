# SPDX-License-Identifier: MIT
"""What comes between the compiler and its assembler, and how the compiler is told.

Knows -B, by which gcc and clang look for `as` in a directory of ours. gcc's -wrapper was rejected: it starts us for
each of cc1, as and collect2, and there is one place for it, which others use.
"""

from __future__ import annotations

import os
import sys

from instrument import __version__
from instrument.ccwords import Call
from instrument.kept import keep
from instrument.process import output_of

# GNU as writes its output in place: whoever is killed meanwhile leaves half an object, newer than its source.
_WHOLE = """\
#!/bin/sh
# instrument {version}: the assembler, whose output is there whole or not at all
n=$# out=
while [ $n -gt 0 ]; do
	word=$1 n=$((n - 1))
	shift
	if [ "$word" = -o ] && [ $n -gt 0 ] && {{ [ -f "$1" ] || [ ! -e "$1" ]; }} && [ ! -L "$1" ]; then
		out=$1 n=$((n - 1))
		shift
		set -- "$@" -o "$out.$$.part"
	else
		set -- "$@" "$word"
	fi
done
[ -n "$out" ] || exec {real} "$@"
trap 'rm -f "$out.$$.part"' EXIT
{real} "$@" && mv -f "$out.$$.part" "$out" && trap - EXIT
"""

_PREPARING = """\
#!/bin/sh
# instrument {version} ({state}): prepares the calls in what it is given, then runs the assembler
exec {python} -I -S {standin} {kind} {real} {layout} {strict} {verbose} "$@"
"""


def is_clang(call: Call) -> bool:
    """By its name, or by what the name is a link to."""
    if "clang" in call.name():
        return True
    folders = [""] if "/" in call.compiler else os.environ.get("PATH", os.defpath).split(os.pathsep)
    paths = (os.path.join(folder, call.compiler) for folder in folders)
    return "clang" in os.path.realpath(next((path for path in paths if os.access(path, os.X_OK)), ""))


def precompiled(call: Call) -> bool:
    """Whether the sources begin with a precompiled header, which has its static calls already.

    gcc takes one only for the very first file, and our header comes before it; clang looks for it first.
    """
    if call.has("-include-pch"):
        return True
    names = (value for flag, value in call.search if flag == "-include")
    return is_clang(call) and any(os.path.exists(f"{name}{end}") for name in names for end in (".pch", ".gch"))


def whole(call: Call) -> list[str]:
    """The flags with which the compiler's objects are there whole or not at all; clang sees to that itself."""
    if is_clang(call):
        return []
    script = _WHOLE.format(version=__version__, real=_quoted(_real(call)))
    return [f"-B{_folder(script)}"]


def preparing(call: Call, layout: str, strict: bool, verbose: bool) -> list[str]:
    """The flags with which the calls are prepared on their way to the assembler."""
    clang = is_clang(call)
    here = os.path.dirname(os.path.abspath(__file__))
    standin = f"{here}/standin.py"
    script = _PREPARING.format(
        version=__version__,
        # An object that was compiled with another version of the tool is not this one's: ccache must see that.
        state=_state(here),
        kind="clang" if clang else "as",
        python=_quoted(sys.executable),
        standin=_quoted(standin),
        # clang is its own assembler, and has sections that GNU as does not know.
        real=_quoted(call.compiler if clang else _real(call)),
        layout=layout,
        strict="strict" if strict else "-",
        verbose="verbose" if verbose else "-",
    )
    return [f"-B{_folder(script)}", *(["-fno-integrated-as"] if clang else [])]


def stopping(call: Call, text: str) -> list[str]:
    """The words of `call`, which makes an object of one source, for the assembly `text` in place of it."""
    words = ["-S" if word in ("-c", "--compile") else word for word in call.without_output()]
    return [*words, "-o", text]


def assembling(call: Call, text: str) -> list[str]:
    """The words that make the object of `call` from its assembly."""
    words = (word for word in call.expanded if word.startswith(("-B", "-m", "-Wa,", "--target", "--sysroot")))
    return [*words, "-c", "-x", "assembler", text, "-o", call.output or _beside(_source(call), ".o")]


def scratch() -> str:
    """The path of a new, empty file for assembly."""
    import tempfile

    descriptor, path = tempfile.mkstemp(".s", "instrument-")
    os.close(descriptor)
    return path


def outputs(call: Call) -> list[str]:
    """The assembly that a call with -S writes, the objects that one with -c writes, or the program."""
    suffix = {"-S": ".s", "-c": ".o"}.get(call.stage)
    if call.output is not None or suffix is None:
        return [call.output or "a.out"]
    return [_beside(source, suffix) for source in (*call.sources, *call.preprocessed)]


def _source(call: Call) -> str:
    return (*call.sources, *call.preprocessed)[0]


def _beside(source: str, suffix: str) -> str:
    """The default name of an output: in the working directory, with another suffix."""
    base = source.rpartition("/")[2]
    return (base.rpartition(".")[0] or base) + suffix


def _quoted(word: str) -> str:
    """As shlex.quote has it, whose import takes 5 ms."""
    return "'" + word.replace("'", "'\"'\"'") + "'"


def _folder(script: str) -> str:
    return keep("as", script.encode(), 0o700).rpartition("/")[0]


def _state(here: str) -> str:
    """Two installations of one version are one tool: their files' times would tell them apart, to a shared cache."""
    from hashlib import sha256

    state = sha256()
    for name in ("assembly", "hoisted", "standin"):
        with open(f"{here}/{name}.py", "rb") as file:
            state.update(file.read())
    return state.hexdigest()[:16]


def _real(call: Call) -> str:
    """The assembler that gcc would run."""
    flags = [word for word in call.expanded if word.startswith(("-B", "-m", "--target", "--sysroot"))]
    return os.fsdecode(output_of([call.compiler, *flags, "-print-prog-name=as"]) or b"as").strip()
