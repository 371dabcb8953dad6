"""The table of how large gradients get when they are written out, beside their delta form."""

from __future__ import annotations

from symbackprop.algebra.equations import Quantity, Role
from symbackprop.layout.document import Paragraph, Section, Table
from symbackprop.layout.swell import SwellRow, swell
from symbackprop.layout.writer import Writer
from symbackprop.printing.symbols import whole

_LONGEST = 10**12


def swell_section(writer: Writer) -> Section:
    """A row for each derivative, and what they come to together."""
    words, counted = writer.words, swell(writer.derivation)
    header = tuple(
        words.text(f"swell_{key}") for key in ("derivative", "entries", "written_out", "delta_form")
    )
    rows = (*(_row(writer, row) for row in counted), _together(writer, counted))
    return Section(words.headings["swell"], (Paragraph(words.text("swell")), Table(header, rows)))


def _row(writer: Writer, row: SwellRow) -> tuple[str, ...]:
    written_out = "" if row.written_out is None else _number(row.written_out)
    return (_name(writer, row.quantity), _number(row.entries), written_out, _number(row.delta_form))


def _name(writer: Writer, quantity: Quantity) -> str:
    """What the cost is differentiated by, and the name that the derivative has if it has one."""
    assert quantity.of is not None
    by = f"${whole(quantity.of, writer.names)}$"
    own = "" if quantity.role is Role.GRADIENT else f", ${whole(quantity, writer.names)}$"
    return writer.words.text("swell_by", by=by) + own


def _together(writer: Writer, rows: tuple[SwellRow, ...]) -> tuple[str, ...]:
    entries = sum(row.entries for row in rows if row.written_out is not None)
    written_out = sum(row.written_out or 0 for row in rows)
    delta_form = sum(row.delta_form for row in rows)
    return (writer.words.text("swell_together"), *map(_number, (entries, written_out, delta_form)))


def _number(number: int) -> str:
    """A number with its thousands set apart; a very long one by its size."""
    if number < _LONGEST:
        return f"{number:,}"
    mantissa, _, exponent = f"{number:.2e}".partition("e+")
    return rf"${mantissa} \cdot 10^{{{int(exponent)}}}$"
