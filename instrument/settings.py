# SPDX-License-Identifier: MIT
"""Settings: which there are, where they may be written, and whose value wins.

A value comes from the command line, else from the environment (INSTRUMENT_MODE), else from the nearest file, else it
is the default. The file is `.instrument.toml`, or `pyproject.toml` with a table `[tool.instrument]`. The launcher
reads this once it knows that there are static calls, so nothing is imported that a compile can do without.
"""

from __future__ import annotations

import os
from collections import namedtuple

from instrument.ccwords import LAYOUTS, MODES
from instrument.meant import meant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any
CHOICE, SWITCH, COUNT, PATH, WORDS = "choice", "switch", "count", "path", "words"


class Setting(namedtuple("Setting", "kind default choices help")):
    """`kind: str`, one of the above; `default`: a str, bool, None or tuple; `choices: tuple[str, ...]`;
    `help: str`."""

    __slots__ = ()


SETTINGS = {
    "mode": Setting(CHOICE, MODES[0], MODES, "how calls are made"),
    "layout": Setting(CHOICE, LAYOUTS[0], LAYOUTS, "the bytes of a call site"),
    "strict": Setting(SWITCH, False, (), "a call on a lower form than asked is an error"),
    "jobs": Setting(COUNT, None, (), "compilers at a time (default: one for each processor)"),
    "output-dir": Setting(PATH, None, (), "where the instrumented copy goes"),
    "build-dir": Setting(PATH, None, (), "where compile_commands.json is"),
    "root": Setting(PATH, None, (), "what paths in the output are relative to"),
    "exclude": Setting(WORDS, (), (), "what is no input"),
    "flags": Setting(WORDS, (), (), "flags for the compiler"),
    "quiet": Setting(SWITCH, False, (), "errors only"),
    "fallback": Setting(SWITCH, False, (), "if instrument itself fails, the calls go by their trampolines"),
    "log": Setting(PATH, None, (), "a file that gets a line for each compile with static calls"),
}
RUN = ("mode", "layout", "strict", "jobs", "output-dir", "build-dir", "root", "exclude", "flags", "quiet")
LAUNCHER = ("mode", "layout", "strict", "fallback", "log")


class SettingError(Exception):
    """A setting that cannot be used: code IN016. `path` is empty if no file is to blame.

    No Finding: what that imports takes longer than all that is done here.
    """

    def __init__(self, message: str, path: str = "", line: int = 0, column: int = 1) -> None:
        super().__init__(message)
        self.path, self.line, self.column = path, line, column


FILE, SHARED_FILE = ".instrument.toml", "pyproject.toml"
COMMAND_LINE, DEFAULT = "command line", "default"


class Value(namedtuple("Value", "value origin folder")):
    """`value` as its kind has it, lists as tuples; `origin: str`, in words; `folder: str`, what it is relative to."""

    __slots__ = ()


class File(namedtuple("File", "path values lines")):
    """`path: str`; `values: dict[str, Any]`, checked; `lines: dict[str, int]`."""

    __slots__ = ()


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"INSTRUMENT_{name.upper().replace('-', '_')}"


OWN_VARIABLES = ("INSTRUMENT_CC", "INSTRUMENT_CC_ACTIVE")
"""The launcher's, which are no settings."""


def strangers() -> list[tuple[str, str]]:
    """The variables that look like ours, but that nobody knows, each with what it was to be."""
    known, prefix = variables(), variable("")
    unknown = sorted(name for name in os.environ if name.startswith(prefix) and name not in known)
    return [(name, meant(name, known, prefix)) for name in unknown]


def variables() -> list[str]:
    """All that are ours."""
    return [*map(variable, SETTINGS), *OWN_VARIABLES]


def warnings() -> list[str]:
    """A line for each variable that looks like ours."""
    return [f"instrument: warning: nobody knows the variable {name}{hint} [IN016]" for name, hint in strangers()]


def settle(names: Iterable[str], given: Mapping[str, Any], file: File | None) -> dict[str, Value]:
    """Each setting's value. `given` are those of the command line, None for what it does not say.

    Raises SettingError for a variable that has no such value.
    """
    here = os.getcwd()
    found = {}
    for name in names:
        text = os.environ.get(variable(name))
        if given.get(name) is not None:
            found[name] = Value(given[name], COMMAND_LINE, here)
        elif text is not None:
            found[name] = Value(_from_text(name, text), variable(name), here)
        elif file is not None and name in file.values:
            origin = f"{os.path.relpath(file.path)}:{file.lines[name]}"
            found[name] = Value(file.values[name], origin, os.path.dirname(file.path))
        else:
            found[name] = Value(SETTINGS[name].default, DEFAULT, here)
        if SETTINGS[name].kind == PATH and found[name].value is not None:
            found[name] = _placed(found[name])
    return found


def clash(layout: Value, mode: str) -> str:
    """What cannot be done together, and who says so; empty if it can."""
    if layout.value != "bare" or mode == "direct":
        return ""
    where = "" if layout.origin == COMMAND_LINE else f" ({layout.origin})"
    return f"layout bare{where} is for --mode direct: what instrument writes itself has prefixes"


def _placed(value: Value) -> Value:
    """A path as it holds from the working directory."""
    here = value.folder == os.getcwd() or os.path.isabs(value.value)
    return value if here else value._replace(value=os.path.relpath(os.path.join(value.folder, value.value)))


def _from_text(name: str, text: str) -> Any:
    setting = SETTINGS[name]
    value: Any = text
    if setting.kind == SWITCH:
        value = {"1": True, "true": True, "0": False, "false": False}.get(text.lower(), text)
    elif setting.kind == COUNT and text.isdecimal():
        value = int(text)
    elif setting.kind == WORDS:
        import shlex

        try:
            value = shlex.split(text)
        except ValueError as error:
            raise _unusable(f"{variable(name)}: {error}") from None
    if why := _wrong(setting, value):
        raise _unusable(f"{variable(name)}={text}: {why}")
    return tuple(value) if setting.kind == WORDS else value


# ---- the file -------------------------------------------------------------------------------------


def find(folder: str) -> File | None:
    """The settings of the nearest file in `folder` or above it; None if there is none.

    Files further up are not read. A pyproject.toml without our table does not count. Raises SettingError.
    """
    for place in _upwards(folder):
        for name in (FILE, SHARED_FILE):
            path = os.path.join(place, name)
            data = _read(path)
            # Parsed only if it can be ours: tomllib takes 5 ms to import.
            if data is None or (name == SHARED_FILE and b"instrument" not in data):
                continue
            table: Any = _parsed(path, data)
            if name == SHARED_FILE:
                tools = table.get("tool")
                table = tools.get("instrument") if isinstance(tools, dict) else None
            if table is not None:
                return _checked(path, data, table, name == SHARED_FILE)
    return None


def misspelt(folder: str) -> str:
    """Where a pyproject.toml, which find() passed over, has a table that was to be ours; empty if none has."""
    import re

    for place in _upwards(folder):
        path = os.path.join(place, SHARED_FILE)
        for name in re.findall(rb"^\[tool\.(\w+)\]", _read(path) or b"", re.MULTILINE):
            if hint := meant(name.decode(), ["instrument"]).replace("instrument", "[tool.instrument]"):
                return f"{os.path.relpath(path)}: [tool.{name.decode()}] is not read{hint}"
    return ""


def _upwards(folder: str) -> Iterator[str]:
    folder, below = os.path.abspath(folder), ""
    while folder != below:
        yield folder
        folder, below = os.path.dirname(folder), folder


def _read(path: str) -> bytes | None:
    import stat

    try:
        # A FIFO would keep us waiting, and a device may have no end.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(0, "it is no regular file")
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        # What others keep in a pyproject.toml is not ours to complain about, nor a directory that we may not enter.
        if path.endswith(SHARED_FILE) or not os.access(os.path.dirname(path), os.X_OK):
            return None
        raise _unusable(f"cannot read {os.path.relpath(path)}: {error.strerror}") from None


def _parsed(path: str, data: bytes) -> dict[str, Any]:
    import tomllib

    try:
        # Editors that put a byte order mark there mean none.
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        raise _unusable("the file is not UTF-8", path, line, column) from None
    except ValueError as error:
        import re

        at = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        line, column = (int(at[1]), int(at[2])) if at else (1, 1)
        what = re.sub(r" \(at .*\)$", "", str(error))
        raise _unusable(what[:1].lower() + what[1:], path, line, column) from None


def _checked(path: str, data: bytes, table: object, shared: bool) -> File:
    if not isinstance(table, dict):
        raise _unusable("[tool.instrument] is no table", path, _line(data, "tool.instrument"))
    lines = {key: _line(data, f"tool.instrument.{key}" if shared else key) for key in table}
    for key, value in table.items():
        if key not in SETTINGS:
            hint = meant(key, SETTINGS)
            if key == "tool" and not shared:
                hint = f"; in {FILE} settings stand without a table"
            raise _unusable(f"unknown setting {_toml(key)}{hint}", path, lines[key])
        if why := _wrong(SETTINGS[key], value):
            raise _unusable(f"{key}: {why}", path, lines[key])
    return File(path, {key: _meant_by(SETTINGS[key], value) for key, value in table.items()}, lines)


def _meant_by(setting: Setting, value: Any) -> Any:
    """A value of a file as we have it. On a command line the shell knows what ~ is."""
    if setting.kind == PATH:
        return os.path.expanduser(value) if value.startswith("~") else value
    return tuple(value) if setting.kind == WORDS else value


def _line(data: bytes, name: str) -> int:
    """Where `name` is set: tomllib does not tell, so this looks for what most people write."""
    table, near = "", 1
    for number, line in enumerate(data.decode("utf-8-sig").splitlines(), 1):
        head = line.strip().startswith("[")
        words = line.strip().strip("[]") if head else f"{table}.{line.partition('=')[0]}"
        here = "".join(words.split()).replace('"', "").replace("'", "").removeprefix(".")
        table = here if head else table
        if f"{here}.".startswith(f"{name}."):
            return number
        # As in tool.instrument = {mode = "direct"}.
        near = number if name.startswith(f"{here}.") else near
    return near


def _wrong(setting: Setting, value: object) -> str:
    """Why `value` is none of the setting; empty if it is one."""
    if setting.kind == CHOICE:
        fine, wanted = value in setting.choices, f"one of {', '.join(setting.choices)}"
    elif setting.kind == SWITCH:
        fine, wanted = isinstance(value, bool), "true or false"
    elif setting.kind == COUNT:
        fine, wanted = type(value) is int and value >= 1, "a number that is at least 1"
    elif setting.kind == PATH:
        fine, wanted = value != "" and _is_word(value), "a path"
    else:
        fine, wanted = isinstance(value, list) and all(map(_is_word, value)), "a list of strings"
    if fine:
        return ""
    hint = meant(value, setting.choices) if isinstance(value, str) else ""
    return f"takes {wanted}, not {_toml(value)}{hint}"


def _is_word(value: object) -> bool:
    """What a path or a command can hold."""
    return isinstance(value, str) and "\0" not in value


def _toml(value: object) -> str:
    """Nothing of it moves the cursor."""
    if isinstance(value, str):
        return f"'{value}'" if value.isprintable() else repr(value)
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def _unusable(what: str, path: str = "", line: int = 0, column: int = 1) -> SettingError:
    return SettingError(what, os.path.relpath(path) if path else "", line, column)
