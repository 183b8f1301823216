# SPDX-License-Identifier: MIT
"""Plans to text: the generated headers, by the templates. Knows no files but the templates'."""

from __future__ import annotations

from collections.abc import Iterable

from instrument import __version__, declare, templates, wrapper
from instrument.model import Form, KeyPlan, Layout, Mode, Target
from instrument.plan import Plan
from instrument.value import dataclass

_ALWAYS = ("static_call.h", "static_call_keys.h")
SITE_MACROS = {Layout.ALIGNED: "__SC_SITE_ALIGNED_ASM", Layout.COMPACT: "__SC_SITE_COMPACT_ASM"}


@dataclass(frozen=True, slots=True)
class KeyView:
    """One key as the templates see it. `reason` is the code of what keeps it on its trampoline."""

    name: str
    comment: str
    reason: str | None
    symbol: Target | None
    wrapper: wrapper.Wrapper | None


def comment(plan: KeyPlan) -> str:
    """What a reader of the header wants to know: the type, the form, and why not a higher one."""
    kind = declare.prototype("", plan.key.type, ()) if plan.key.type and not declare.unnameable(plan.key.type) else ""
    text = f"{plan.form.value}, {kind}" if kind else plan.form.value
    if plan.refusal:
        text += f"; {plan.refusal.reason} [{plan.refusal.code}]"
    return text.replace("*/", "* /").replace("/*", "/ *").replace("\n", " ")


def view(plan: KeyPlan) -> KeyView:
    built = wrapper.build(plan.key.name, plan.signature) if plan.form is Form.INLINE and plan.signature else None
    reason = plan.refusal.code if plan.refusal and not built else None
    return KeyView(plan.key.name, comment(plan), reason, plan.key.symbol, built)


def headers(plan: Plan, mode: Mode, layout: Layout, included: Iterable[str]) -> dict[str, bytes]:
    """The generated headers by name, to lie side by side in OUT/static_call, for a tree with `included` of ours."""
    return {name: header(name, plan, mode, layout) for name in sorted({*_ALWAYS, *included})}


def header(name: str, plan: Plan, mode: Mode, layout: Layout) -> bytes:
    """One of the generated headers."""
    values = {
        "version": __version__,
        "mode": mode.value,
        "layout": layout.value,
        "site": SITE_MACROS.get(layout),
        "keys": [view(key) for key in plan.keys],
    }
    return templates.render(f"{name}.j2", **values)
