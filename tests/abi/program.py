# SPDX-License-Identifier: MIT
"""A list of function types -> one C program, and the assembly of its targets.

Every function type has a callee that folds its arguments into a checksum, an entry in assembly that is the key's
target and records the registers, and three callers that differ only in how they call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.abi.function import Function, Shape
from tests.abi.types import VOID, Atom, Class, Names, Type, any_atom, bitfields, leaves

HEAD = """\
/* SPDX-License-Identifier: MIT */
#include "harness.h"
#include <static_call.h>

/* The sources as they are have no trampolines. */
#ifdef STATIC_CALL_INSTRUMENTED
#define TRAMPOLINE(key) (STATIC_CALL_TRAMP(key))
#else
#define TRAMPOLINE(key) static_call_query(key)
#endif

struct opaque;
"""

MAIN = """\
static int patch(void)
{
	return static_call_init();
}

int main(int argc, char **argv)
{
	return sc_main(signatures, (int)(sizeof(signatures) / sizeof(signatures[0])), patch, argc, argv);
}
"""


@dataclass(slots=True)
class _Text:
    """The parts of the program as they are found."""

    names: Names = field(default_factory=Names)
    tables: dict[Type, str] = field(default_factory=dict)
    layouts: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)

    def table(self, t: Type) -> str:
        """The name of a type's sc_type."""
        if t not in self.tables:
            self.tables[t] = f"Y{len(self.tables)}"
            self.layouts.append(self._layout(t, self.tables[t]))
        return self.tables[t]

    def _layout(self, t: Type, name: str) -> str:
        spelled = self.names.declare(t, "")
        # Members that are arrays of length zero, or flexible, are found by `leaves` not to hold anything.
        found = [_leaf(spelled, path, kind.value) for path, kind in leaves(t)]
        rows = ", ".join(found) or "{0, 0, SC_ALL}"
        text = f"static const struct sc_leaf L{name}[] = {{{rows}}};\n"
        fields = bitfields(t)
        if fields:
            sets = " ".join(f"v->{path} = -1;" for path in fields)
            text += f"static void B{name}(void *at) {{ {spelled} *v = at; {sets} }}\n"
        bits = f"B{name}" if fields else "0"
        return text + f"static struct sc_type {name} = {{sizeof({spelled}), L{name}, {len(found)}, {bits}, 0, 0}};\n"


def _leaf(spelled: str, path: str, kind: str) -> str:
    if not path:
        return f"{{0, sizeof({spelled}), {kind}}}"
    return f"{{offsetof({spelled}, {path}), sizeof((({spelled} *)0)->{path}), {kind}}}"


def source(functions: Sequence[Function]) -> str:
    """The program's C text."""
    text = _Text()
    for number, fn in enumerate(functions):
        text.parts.append(_signature(text, number, fn))
    rows = "".join(f"\t{_row(text, number, fn)},\n" for number, fn in enumerate(functions))
    table = f"static const struct sc_signature signatures[] = {{\n{rows}}};\n"
    definitions = "\n".join(text.names.definitions)
    return "\n".join((HEAD, definitions, "".join(text.layouts), *text.parts, table, MAIN))


def _signature(text: _Text, number: int, fn: Function) -> str:
    slots = "".join(
        f"static {text.names.declare(t, f'd{n}_{number}')};\nstatic {text.names.declare(t, f'e{n}_{number}')};\n"
        for n, t in enumerate(fn.values)
    )  # fmt: skip
    if fn.result != VOID:
        slots += f"static {text.names.declare(fn.result, f'r_{number}')};\n"
    rows = ", ".join(
        f"{{&d{n}_{number}, &{text.table(t)}, {int(any_atom(t, 'live'))}}}" for n, t in enumerate(fn.values)
    )
    slots += f"static const struct sc_slot p_{number}[] = {{{rows or '{0, 0, 0}'}}};\n"
    return "\n".join(
        (
            f"/* signature {number} */",
            slots + _declarations(text, number, fn),
            _callee(text, number, fn),
            f"DEFINE_STATIC_CALL(k_{number}, entry_{number});",
            f"#define hidden_{number}(...) static_call(k_{number})(__VA_ARGS__)",
            *(_caller(text, number, fn, form) for form in range(3)),
        )
    )


def _declarations(text: _Text, number: int, fn: Function) -> str:
    """The names in assembly are said where a calling convention would decorate them."""
    found = []
    for name in (f"entry_{number}", f"callee_{number}"):
        label = "" if fn.sysv else f' __asm__("{name}")'
        found.append(f"extern {_prototype(text, number, fn, name)}{label};\n")
    return "".join(found if not fn.sysv else found[:1])


def _prototype(text: _Text, number: int, fn: Function, name: str, *, definition: bool = False) -> str:
    params = [text.names.declare(p.type, f"a{n}", p.text) for n, p in enumerate(fn.params)]
    if fn.variadic:
        params.append("...")
    inside = ", ".join(params) or "void"
    if not fn.prototyped and not definition:
        inside = ""
    attribute = f"__attribute__(({fn.attribute})) " if fn.attribute else ""
    result = fn.result.declared
    if fn.result_qualifier:
        result = result.replace("#", f"{fn.result_qualifier} #")
    return attribute + text.names.declare(fn.result, f"{name}({inside})", result)


def _callee(text: _Text, number: int, fn: Function) -> str:
    lines = [f"unsigned long s = {number};"]
    if fn.variadic:
        lines += ["va_list ap;", f"va_start(ap, a{len(fn.params) - 1});"]
        for n, t in enumerate(fn.extra, len(fn.params)):
            lines.append(f"{text.names.declare(t, f'a{n}')} = va_arg(ap, {text.names.declare(t, '')});")
    for n, t in enumerate(fn.values):
        if isinstance(t, Atom) and t.cls is Class.INTEGER and t.size <= 4:
            # Clang's callees rely on what its callers do: narrow integers come extended to 32 bits. They show it as
            # long as the parameter's address is not known elsewhere.
            lines.append(f"s = sc_fold_word(s, (unsigned long)a{n});")
    for n, t in enumerate(fn.values):
        if any_atom(t, "live"):
            lines.append(f"s = sc_scribble(a{n}, s);")
        else:
            lines.append(f"s = sc_fold(s, (const void *)&a{n}, &{text.table(t)});")
    if fn.variadic:
        lines.append("va_end(ap);")
    lines.append("sc_sum = sc_fold_word(sc_sum, s + sc_shared);")
    lines.append("sc_shared = sc_sum;")
    if fn.result != VOID:
        lines += [f"{text.names.declare(fn.result, 'r')};", f"sc_make(&r, &{text.table(fn.result)}, s);", "return r;"]
    return f"SC_NOINLINE {_prototype(text, number, fn, f'callee_{number}', definition=True)}\n{_block(lines)}"


def _block(lines: Sequence[str]) -> str:
    return "{\n" + "".join(f"\t{line}\n" for line in lines) + "}"


def _call(number: int, fn: Function, form: int, arguments: Sequence[str]) -> str:
    """The call itself; the tool's form in each of its spellings."""
    inside = ", ".join(arguments)
    if form == 0:
        return f"entry_{number}({inside})"
    if form == 2:
        return f"TRAMPOLINE(k_{number})({inside})"
    if fn.result == VOID and number % 3 == 0:
        return f"static_call_cond(k_{number})({inside})"
    if number % 5 == 4 and inside:
        return f"static_call(k_{number}, {inside})"
    return f"hidden_{number}({inside})" if number % 7 == 6 else f"static_call(k_{number})({inside})"


def _caller(text: _Text, number: int, fn: Function, form: int) -> str:
    values = [f"d{n}_{number}" for n in range(len(fn.values))]
    store = "" if fn.result == VOID else f"r_{number} = "
    call = _call(number, fn, form, values)
    before = ""
    match fn.shape:
        case Shape.TAIL:
            before = _tail(text, number, fn, form)
            body = [f"{store}tail{form}_{number}({', '.join(values)});"]
        case Shape.LOOP:
            call = store + _call(number, fn, form, [f"b{n}" for n in range(len(fn.values))])
            loop = f"for (int n = 0; n < 3; n++) {_loop(text, number, fn, call)}"
            body = _kept(text, number, fn, ["SC_LIVE();", loop, "SC_LIVE_OUT();"])
        case Shape.TWICE:
            body = ["SC_LIVE();", f"{store}((void){call}, {call});", "SC_LIVE_OUT();"]
        case Shape.EARLY_OUT:
            body = ["if (sc_skip)", "\treturn;", f"{store}{call};", "if (sc_in[1] & 1)", f"\t{store}{call};"]
        case Shape.GROWN:
            own = [f"own{n}" if any_atom(t, "live") else f"d{n}_{number}" for n, t in enumerate(fn.values)]
            body = _grown(store + _call(number, fn, form, own), [name for name in own if name.startswith("own")])
        case Shape.NESTED:
            arguments = [call if n == fn.nested else value for n, value in enumerate(values)]
            body = ["SC_LIVE();", f"{store}{_call(number, fn, form, arguments)};", "SC_LIVE_OUT();"]
        case Shape.WIDE if not fn.mmx:
            body = ["long double x = sc_wide * 3;", f"{store}{call};", "sc_locals += (unsigned long)x;"]
        case _:
            call = store + _call(number, fn, form, [f"b{n}" for n in range(len(fn.values))])
            body = _kept(text, number, fn, ["SC_LIVE();", f"{call};", "SC_LIVE_OUT();"])
    return f"{before}static SC_NOINLINE void c{form}_{number}(void)\n{_block(body)}"


def _loop(text: _Text, number: int, fn: Function, call: str) -> str:
    fold = f" sc_locals = sc_fold(sc_locals, &r_{number}, &{text.table(fn.result)});" if fn.result != VOID else ""
    return f"{{ {call};{fold} }}"


def _tail(text: _Text, number: int, fn: Function, form: int) -> str:
    """A function that passes its own parameters on, and whose last act is the call."""
    params = ", ".join(text.names.declare(t, f"a{n}") for n, t in enumerate(fn.values)) or "void"
    head = text.names.declare(fn.result, f"tail{form}_{number}({params})")
    call = _call(number, fn, form, [f"a{n}" for n in range(len(fn.values))])
    back = "" if fn.result == VOID else "return "
    return f"static SC_NOINLINE {head}\n{_block([f'{back}{call};'])}\n"


def _kept(text: _Text, number: int, fn: Function, body: list[str]) -> list[str]:
    """`body` with its arguments in locals that are used again after the call."""
    copies, after = [], []
    for n, t in enumerate(fn.values):
        copies.append(f"{text.names.declare(t, f'b{n}')} = d{n}_{number};")
        after.append(f"e{n}_{number} = b{n};")
        after.append(f"sc_locals = sc_fold(sc_locals, &e{n}_{number}, &{text.table(t)});")
    return [*copies, *body, *after]


def _grown(call: str, own: Sequence[str]) -> list[str]:
    """A frame whose size is not known before it runs, with a local that needs more alignment than a frame has.

    `own` are the names of its own memory that the callee gets the addresses of.
    """
    return [
        *(f"unsigned char {name}[16] = {{1, 2, 3}};" for name in own),
        *(f"sc_scribble({name}, sc_in[{n} % 8]);" for n, name in enumerate(own)),
        "_Alignas(64) volatile unsigned char fixed[64];",
        "unsigned long size = sc_in[0] % 64 + 1;",
        "volatile unsigned char *grown = __builtin_alloca(size);",
        "for (unsigned long n = 0; n < size; n++)",
        "\tgrown[n] = fixed[n % 64] = (unsigned char)sc_in[n % 8];",
        f"{call};",
        *(f"sc_locals = sc_scribble({name}, sc_locals);" for name in own),
        "for (unsigned long n = 0; n < size; n++)",
        "\tsc_locals = sc_locals * 31 + grown[n] + fixed[n % 64] + ((unsigned long)fixed % 64);",
    ]


def _row(text: _Text, number: int, fn: Function) -> str:
    callers = ", ".join(f"c{form}_{number}" for form in range(3))
    result = "{0, 0, 0}" if fn.result == VOID else f"{{&r_{number}, &{text.table(fn.result)}, 0}}"
    al = int(fn.variadic or not fn.prototyped)
    return f"{{{{{callers}}}, p_{number}, {len(fn.values)}, {result}, {int(fn.mmx)}, {al}}}"
