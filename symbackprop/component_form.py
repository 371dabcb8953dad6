"""The components form: every entry of every equation, for networks small enough to read."""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from symbackprop.components import written_out
from symbackprop.document import Block, Chain, Display, Paragraph, Section
from symbackprop.equations import Equation, Partial, Role
from symbackprop.writer import Claim, Writer


def component_section(writer: Writer) -> Section:
    """Every equation, forward and backward, entry by entry with its sums written as terms."""
    blocks: list[Block] = [Paragraph(writer.say("components"))]
    for equation in (*writer.model.program, *writer.derivation.equations):
        blocks.append(Display(tuple(_entries(writer, equation))))
    return Section(writer.words.headings["components"], tuple(blocks))


def _entries(writer: Writer, equation: Equation) -> Iterator[Chain]:
    facts = writer.cited(equation)
    for entry, value in written_out(equation, dict(writer.model.sizes)):
        numbers = "".join(f"-{i}" for i in entry.indices) if isinstance(entry, sp.Indexed) else ""
        claim = Claim(f"{equation.label}-entry{numbers}", kind="components")
        yield writer.chain(_shown(equation, entry), value, claim, facts=facts)


def _shown(equation: Equation, entry: sp.Expr) -> sp.Expr:
    """A gradient's entry as the partial derivative that it is."""
    of, cost = equation.quantity.of, equation.quantity.cost
    if equation.quantity.role is not Role.GRADIENT or of is None or cost is None:
        return entry
    return Partial(cost.symbol, of[entry.indices])
