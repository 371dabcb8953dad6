"""Sentences beside the displays: what a derivative is at a kink, what a condition in brackets stands for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import sympy as sp

from symbackprop.algebra.elimination import Z
from symbackprop.algebra.equations import Equation, Partial, Role
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.algebra.indices import outermost
from symbackprop.algebra.kinks import Kink, kinks
from symbackprop.layout.document import Block, Display, Paragraph, Section
from symbackprop.layout.writer import Writer
from symbackprop.notation.words import Words
from symbackprop.printing.latex import latex
from symbackprop.printing.numbers_tex import decimal, is_decimal
from symbackprop.printing.symbols import function_name

_MOST_DIGITS = 18


def at_kinks(writer: Writer, function: ScalarFunction) -> Iterator[Paragraph]:
    """What the derivative of an activation is taken to be where its branches meet."""
    slope = function_name(function.letter, 1, writer.names)
    found = [kink for kink in kinks(function.formula, Z) if _has_value(kink.slope)]
    points = {_place(kink): kink for kink in found if _place(kink).is_number}
    for place in sorted(points):
        value = _equals(writer, points[place].slope.xreplace({Z: place}).doit())
        yield Paragraph(writer.say("kink", prime=slope, place=latex(place, writer.names), value=value))
    yield from _at_edges(
        writer, [kink for kink in found if not _place(kink).is_number], f"{slope}({latex(Z, writer.names)})"
    )


def at_kinks_of_cost(writer: Writer, equation: Equation) -> Iterator[Paragraph]:
    """What the derivative of the cost by an output is taken to be where cases of the cost meet."""
    quantities = writer.model.program.quantities
    for total in equation.rhs.atoms(sp.Sum):
        body, bound, _ = outermost(total)
        for entry in sorted(body.atoms(sp.Indexed), key=str):
            if quantities[str(entry.base)].role is Role.ACTIVATION and entry.indices == (bound,):
                found = [kink for kink in kinks(body, entry) if _has_value(kink.slope)]
                yield from _at_edges(writer, found, writer.tex(Partial(equation.lhs, entry)))


def _has_value(slope: sp.Expr) -> bool:
    """Whether the slope at an edge is a number: that of sqrt(abs(z)) at 0 is none."""
    return not slope.has(sp.nan, sp.zoo, sp.oo, -sp.oo)


def _place(kink: Kink) -> sp.Expr:
    """The number c of an edge z = c; for any other edge an expression that is none."""
    return sp.expand(Z - kink.left + kink.right)


def _equals(writer: Writer, value: sp.Expr) -> str:
    """An equals sign and a number; one of too many digits is rounded, and the sign says so."""
    if value.is_Rational and is_decimal(abs(value)) and len(decimal(abs(value))) > _MOST_DIGITS:
        return rf"\approx {latex(sp.Rational(f'{float(value):.6f}'), writer.names)}"
    return f"= {latex(value, writer.names)}"


def _at_edges(writer: Writer, found: Sequence[Kink], slope: str) -> Iterator[Paragraph]:
    """The same for edges that are no numbers: a = y."""
    edges = [f"${writer.tex(kink.left)} = {writer.tex(kink.right)}$" for kink in found]
    if len(found) == 1 and not found[0].slope.has(sp.Piecewise):
        value = writer.tex(found[0].slope)
        yield Paragraph(writer.say("edge", edge=edges[0], slope=slope, value=value))
    elif found:
        yield Paragraph(writer.say("edges", edges=", ".join(edges), slope=slope))


def with_brackets_explained(sections: Sequence[Section], words: Words) -> tuple[Section, ...]:
    """Sections with a sentence at the first display that has a condition in brackets."""
    for number, section in enumerate(sections):
        for place, block in enumerate(section.blocks):
            if isinstance(block, Display) and _has_bracket(block):
                blocks = _with_sentence(section.blocks, place, words.text("bracket"))
                return (*sections[:number], replace(section, blocks=blocks), *sections[number + 1 :])
    return tuple(sections)


def _with_sentence(blocks: tuple[Block, ...], place: int, sentence: str) -> tuple[Block, ...]:
    """A sentence about a display: in the paragraph before it, unless that leads on to the display."""
    before = blocks[place - 1] if place else None
    if not isinstance(before, Paragraph):
        return (*blocks[:place], Paragraph(sentence), *blocks[place:])
    if before.text.rstrip().endswith(":"):
        return (*blocks[: place + 1], Paragraph(sentence), *blocks[place + 1 :])
    return (*blocks[: place - 1], Paragraph(f"{before.text} {sentence}"), *blocks[place:])


def _has_bracket(display: Display) -> bool:
    lines = (line for chain in display.chains for row in chain.rows for line in row.lines)
    return any(r"\sbpbracket{" in line for line in lines)
