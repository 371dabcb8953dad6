"""The components form: every entry of every equation, for networks small enough to read."""

from __future__ import annotations

from collections.abc import Iterator

from symbackprop.algebra.components import as_partial, entry_suffix, written_out
from symbackprop.algebra.equations import Equation
from symbackprop.layout.document import Block, Chain, Display, Paragraph, Section
from symbackprop.layout.writer import Claim, Writer


def component_section(writer: Writer) -> Section:
    """Every equation, forward and backward, entry by entry with its sums written as terms."""
    blocks: list[Block] = [Paragraph(writer.say("components"))]
    for equation in (*writer.model.program, *writer.derivation.equations):
        blocks.append(Display(tuple(_entries(writer, equation))))
    return Section(writer.words.headings["components"], tuple(blocks))


def _entries(writer: Writer, equation: Equation) -> Iterator[Chain]:
    facts = writer.cited(equation)
    for entry, value in written_out(equation, dict(writer.model.sizes)):
        claim = Claim(f"{equation.label}-entry{entry_suffix(entry)}", kind="components")
        yield writer.chain(as_partial(equation.quantity, entry), value, claim, facts=facts)
