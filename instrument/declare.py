# SPDX-License-Identifier: MIT
"""C type -> C text.

Knows C's declarators, by way of pycparser's tree and generator: a declarator is written inside-out, and text
glued together by hand gets pointers to arrays and functions wrong. Must not know what the text is for.
"""

from __future__ import annotations

from collections.abc import Sequence

from pycparser import c_ast
from pycparser.c_generator import CGenerator

from instrument.model import Array, Base, CType, Enum, Function, Pointer, Qualified, Record, Typedef, Unknown, Void


def prototype(name: str, fn: Function, params: Sequence[str]) -> str:
    """`fn` declared as `name` with the given parameter names: "int f(const struct pet *a, int b)"."""
    return _text(_declaration(name, fn, params))


def spell(t: CType) -> str:
    """`t` as a type name, for a cast or sizeof."""
    return _text(c_ast.Typename(None, [], None, _declarator(t, None)))


def unnameable(fn: Function) -> str | None:
    """Why no other declaration could spell this type, or None where one can."""
    types = (fn.result, *(_as_parameter(t) for t in fn.params))
    return next((reason for t in types if (reason := obstacle(t))), None)


def obstacle(t: CType) -> str | None:
    """Why a declaration cannot spell `t`, or None where one can."""
    match t:
        case Record(kind=kind, tag=None):
            return f"an unnamed {kind}"
        case Record(tag="__va_list_tag"):
            # The compilers' own; a declaration that names it makes another type.
            return "va_list"
        case Enum(tag=None):
            return "an unnamed enum"
        case Unknown(what=what):
            return what
        case Array(vector=True):
            return "a vector type without a name"
        case Array(of=Array(length=None)):
            return "an array of arrays of variable length"
        case Function(convention=convention) if convention != "sysv":
            return f"a function of the calling convention {convention}"
        case Function():
            return unnameable(t)
        case Typedef():
            return None
        case Pointer(to=inner) | Qualified(target=inner) | Array(of=inner):
            return obstacle(inner)
    return None


def _as_parameter(t: CType) -> CType:
    """`t` as a parameter is declared: va_list has become a pointer to a type that only the compiler can name."""
    match t:
        case Pointer(to=Record(tag="__va_list_tag")):
            return Typedef("__builtin_va_list", t)
    return t


def _text(node: c_ast.Node) -> str:
    return str(CGenerator().visit(node))


def _declaration(name: str, t: CType, params: Sequence[str] = ()) -> c_ast.Decl:
    return c_ast.Decl(name, [], [], [], [], _declarator(t, name, params=params), None, None)


def _declarator(t: CType, name: str | None, quals: tuple[str, ...] = (), params: Sequence[str] = ()) -> c_ast.Node:
    """The tree for `name` of type `t`; `params` names the parameters of an outermost function."""
    match t:
        case Qualified(qualifier=qualifier, target=target):
            return _declarator(target, name, (*quals, qualifier))
        case Pointer(to=to):
            return c_ast.PtrDecl(list(quals), _declarator(to, name))
        case Array(of=of, length=length):
            # A qualified array is an array of qualified elements (C11 6.7.3 p9).
            dim = None if length is None else c_ast.Constant("int", str(length))
            return c_ast.ArrayDecl(_declarator(of, name, quals), dim, [])
        case Function(result=result):
            return c_ast.FuncDecl(_parameters(t, params), _declarator(result, name))
    return c_ast.TypeDecl(name, list(quals), None, _specifier(t))


def _parameters(fn: Function, names: Sequence[str]) -> c_ast.ParamList | None:
    if not fn.prototyped:
        return None
    if not fn.params and not fn.variadic:
        return c_ast.ParamList([c_ast.Typename(None, [], None, _declarator(Void(), None))])
    types = [_as_parameter(t) for t in fn.params]
    params: list[c_ast.Node] = [
        _declaration(names[i], t) if i < len(names) else c_ast.Typename(None, [], None, _declarator(t, None))
        for i, t in enumerate(types)
    ]
    return c_ast.ParamList([*params, c_ast.EllipsisParam()] if fn.variadic else params)


def _specifier(t: CType) -> c_ast.Node:
    match t:
        case Void():
            return c_ast.IdentifierType(["void"])
        case Base(name=name) | Typedef(name=name):
            return c_ast.IdentifierType(name.split())
        case Record(kind=kind, tag=tag) if tag:
            return (c_ast.Struct if kind == "struct" else c_ast.Union)(tag, None)
        case Enum(tag=tag) if tag:
            # Not c_ast.Enum, whose arguments differ between the releases of pycparser 3.
            return c_ast.IdentifierType(["enum", tag])
    raise ValueError(f"{t} has no name; ask unnameable() first")
