r"""Chains whose rows stand side by side on paper: in columns, or else as many as fit on a line.

Where rows don't fit in columns, they follow each other on lines, and a number that a chain ends in stands in
a column of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from symbackprop.layout.blocks import Chain, Row
from symbackprop.notation.notation import Notation
from symbackprop.printing.linebreak import ARTICLE
from symbackprop.printing.measure import rendered_width

Cell = tuple[str, str]
"""A sign and what stands on its right; empty where a line has nothing in a column."""

Cells = tuple[Cell, ...]
Shown = Callable[[Row, str], str]
"""How a line of a row is printed."""

_EMPTY: Cell = ("", "")
_SIGN, _BETWEEN, _NUMBER = 2.7, 2.0, 5.5
_OVER = 1.0
_SHORT = 17.0
"""A result of up to so many characters has a column of its own."""


@dataclass(frozen=True)
class Across:
    """The lines of each chain, every line with a cell for each column."""

    columns: int
    chains: tuple[tuple[Cells, ...], ...]


def across(chains: Sequence[Chain], notation: Notation, shown: Shown) -> Across:
    """The rows of some chains side by side.

    >>> from symbackprop.notation.notation import load_notation
    >>> chain = Chain("a", (Row(("1 + 2",)), Row(("3",))))
    >>> across([chain], load_notation(), lambda row, line: line).chains[0]
    ((('=', '1 + 2'), ('=', '3')),)
    """
    room = ARTICLE - _NUMBER - max(rendered_width(chain.left, notation) for chain in chains)
    maker = _Maker(notation, shown, room)
    return maker.table(chains) or maker.packed(chains)


def packed_lines(chain: Chain, notation: Notation, shown: Shown, room: float) -> list[Cell]:
    """The rows of a chain one behind the other, on lines that are as wide as there is room."""
    return [*_Maker(notation, shown, room).pack(chain.rows, room)]


@dataclass(frozen=True)
class _Maker:
    notation: Notation
    shown: Shown
    room: float

    def width(self, tex: str) -> float:
        return rendered_width(tex, self.notation)

    def cell(self, row: Row) -> Cell:
        return row.sign, self.shown(row, row.lines[0])

    def table(self, chains: Sequence[Chain]) -> Across | None:
        """A column for the first rows, one for the second ones, and so on; ``None`` if that is too wide."""
        count = max(len(chain.rows) for chain in chains)
        lines = [_spread(tuple(map(self.cell, chain.rows)), count) for chain in chains]
        widths = [max(self.width(line[at][1]) + _SIGN for line in lines) for at in range(count)]
        whole = all(len(row.lines) == 1 for chain in chains for row in chain.rows)
        fits = sum(widths) + _BETWEEN * (count - 1) <= self.room
        return Across(count, tuple((line,) for line in lines)) if whole and fits else None

    def packed(self, chains: Sequence[Chain]) -> Across:
        """As many rows on a line as fit; short results in a column of their own."""
        several = [chain for chain in chains if len(chain.rows) > 1]
        ends = [self.width(line) for chain in several for line in chain.rows[-1].lines]
        short = bool(ends) and max(ends) <= _SHORT
        room = self.room - (max(ends) + _SIGN + _BETWEEN if short else 0.0)
        firsts = (self.width(line) for c in several for row in c.rows[:-1] for line in row.lines)
        apart = short and max(firsts) + _SIGN <= room + _OVER
        room = room if apart else self.room
        found = (self.lines(chain, room, apart and len(chain.rows) > 1) for chain in chains)
        return Across(1 + apart, tuple(tuple(lines) for lines in found))

    def lines(self, chain: Chain, room: float, apart: bool) -> Iterator[Cells]:
        """The lines of a chain, its last row beside the last of them if it stands apart."""
        *firsts, last = chain.rows
        packed = [*self.pack(firsts if apart else chain.rows, room)]
        if not apart:
            yield from ((cell, _EMPTY)[: 1 + (room < self.room)] for cell in packed)
            return
        yield from ((cell, _EMPTY) for cell in packed[:-1])
        yield packed[-1], self.cell(last)

    def pack(self, rows: Sequence[Row], room: float) -> Iterator[Cell]:
        """Rows one behind the other, a new line where there is no more room or a row has several lines."""
        waiting: Cell | None = None
        for row in rows:
            for number, line in enumerate(row.lines):
                sign, text = (r"\quad" if number else row.sign), self.shown(row, line)
                joined = f"{waiting[1]} {sign} {text}" if waiting else ""
                whole = len(row.lines) == 1
                if waiting and whole and _SIGN + self.width(joined) <= room:
                    waiting = (waiting[0], joined)
                    continue
                if waiting:
                    yield waiting
                waiting = (sign, text)
        if waiting:
            yield waiting


def _spread(cells: Cells, count: int) -> Cells:
    """A line with so many cells: what it ends in stands in the last of them."""
    if len(cells) < 2:
        return (*cells, *(_EMPTY,) * (count - len(cells)))
    return (*cells[:-1], *(_EMPTY,) * (count - len(cells)), cells[-1])
