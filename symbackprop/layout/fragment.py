r"""A section as the keys of its template: paragraphs, tables, and the source lines of displays.

The displays of a section have their signs and their reasons under each other as far as they fit: TeX is told
the widest left side, right side and reason of them, and each display makes its columns as wide.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

from symbackprop.checking.check import Equality
from symbackprop.layout.across import Cell, across
from symbackprop.layout.blocks import Block, Chain, Display, Paragraph, Row, Section, Table
from symbackprop.layout.paper import (
    Groups,
    Room,
    aligned,
    line_ends,
    link_room,
    reason_width,
    referring,
    side_by_side,
)
from symbackprop.notation.notation import Notation
from symbackprop.notation.words import Words
from symbackprop.printing.measure import rendered_width
from symbackprop.rendering.prose import tex

Keys = dict[str, object]

_NEARLY, _CANDIDATES = 0.85, 4
"""What is estimated at this share of the widest piece may be wider, and so many pieces are measured."""


@dataclass(frozen=True)
class Paper:
    """What the lines of a fragment are written with."""

    prefix: str
    failed: frozenset[Equality]
    words: Words
    notation: Notation

    @cached_property
    def room(self) -> Room:
        """How wide references to other lines are."""
        return link_room(self.words, self.notation)

    def shown(self, row: Row, line: str) -> str:
        """A line of a row, in a box or with a mark if that is what it has."""
        return marked(row, line, self.failed)

    def width(self, formula: str) -> float:
        """How wide a formula comes out."""
        return rendered_width(formula, self.notation)


def marked(row: Row, line: str, failed: Collection[Equality]) -> str:
    """A line of a row: a result in its box, and a mark behind one that did not pass its check."""
    boxed = rf"\boxed{{{line}}}" if row.boxed and len(row.lines) == 1 else line
    is_wrong = row.equality is not None and row.equality in failed and line is row.lines[-1]
    return rf"{boxed} \sbpfailed" if is_wrong else boxed


@dataclass(frozen=True)
class Line:
    """A source line of a display: a left side, a cell for each column, what stands beside it, a label.

    ``taken`` is the width of what stands beside it.
    """

    left: str
    cells: tuple[Cell, ...]
    beside: str = ""
    taken: float = 0.0
    label: str = ""
    step: str = ""
    end: str = ""

    def keys(self) -> Keys:
        """The line for its template."""
        cells = [{"sign": sign, "right": right} for sign, right in self.cells]
        beside, label = {"beside": self.beside, "label": self.label}, {"step": self.step, "end": self.end}
        return {"left": self.left, "cells": cells, **beside, **label}


def section_keys(section: Section, paper: Paper) -> Keys:
    """The heading and the blocks of a section."""
    runs = [*_runs(section.blocks, paper)]
    plain = [run for run in runs if isinstance(run, _Run) and not run.across]
    columns = {id(run): own for run, own in zip(plain, _columns(plain, paper), strict=True)}
    blocks: list[Keys] = []
    declared: _Columns | None = None
    for run in runs:
        if not isinstance(run, _Run):
            blocks.append(_block_keys(run))
            continue
        own = columns.get(id(run))
        blocks.append(run.keys(own, own is not None and own != declared))
        declared = own or declared
    return {"heading": tex(section.heading), "blocks": blocks}


def _block_keys(block: Block) -> Keys:
    if isinstance(block, Paragraph):
        return {"kind": "text", "text": tex(block.text)}
    assert isinstance(block, Table)
    rows = [[tex(cell, display=True) for cell in row] for row in block.rows]
    return {"kind": "table", "columns": block.sides, "header": [*map(tex, block.header)], "rows": rows}


# --- displays ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    """Displays that are one on paper, and its lines."""

    groups: Groups
    lines: tuple[Line, ...]
    across: bool

    def keys(self, columns: _Columns | None, declares: bool) -> Keys:
        """The display for its template, which is told the columns where they are others than before."""
        count = max(len(line.cells) for line in self.lines) if self.across else 0
        shown = columns.held_by(self.lines) if columns else self.lines
        told = {"columns": columns.keys() if columns is not None and declares else None}
        environment = {"environment": "alignat" if self.across else "align", "across": count}
        return {"kind": "display", **environment, **told, "lines": [line.keys() for line in shown]}


def _runs(blocks: Iterable[Block], paper: Paper) -> Iterator[_Run | Block]:
    """Blocks, with displays in groups that are one on paper."""
    for (kind, is_across), group in groupby(blocks, key=lambda b: (type(b), getattr(b, "across", False))):
        found = list(group)
        displays = [block.chains for block in found if isinstance(block, Display)]
        if kind is not Display:
            yield from found
        elif is_across:
            yield _run(displays, [*_lines_across(displays, paper)], True)
        else:
            for groups in side_by_side(displays, paper.notation, paper.room):
                lines = [[*_lines(chain, paper)] for chains in groups for chain in chains]
                yield _run(groups, lines, False)


def _run(groups: Groups, lines: Sequence[Sequence[Line]], is_across: bool) -> _Run:
    """A display whose lines end as paper has it."""
    counts = iter(map(len, lines))
    ends = (*line_ends([[(chain, next(counts)) for chain in chains] for chains in groups]), "")
    flat = (line for of_chain in lines for line in of_chain)
    return _Run(
        groups, tuple(replace(line, end=end) for line, end in zip(flat, ends, strict=True)), is_across
    )


def _lines(chain: Chain, paper: Paper) -> Iterator[Line]:
    """The lines of a chain, one for each line of a row."""
    for place, row in enumerate(chain.rows):
        for number, line in enumerate(row.lines):
            first, last = not place and not number, number == len(row.lines) - 1
            cell = (r"\quad" if number else row.sign, paper.shown(row, line))
            written = Line(chain.left if first else "", (cell,))
            ends = last and place == len(chain.rows) - 1
            yield _explained(written, chain, row, ends, paper) if last else written


def _explained(line: Line, chain: Chain, row: Row, ends: bool, paper: Paper) -> Line:
    """The last line of a row with its reason; that of a chain with a reference and its label, too."""
    link, reason = chain.link if ends else None, tex(row.reason)
    if link is not None:
        words = tex(referring(link, row.reason, paper.words))
        beside = rf"\sbpsee{{{words}}}{{{paper.prefix}:{link.label}}}"
        taken = paper.room.beside(row.reason, paper.notation)
    else:
        beside = rf"\sbpreason{{{reason}}}" if reason else ""
        taken = reason_width(row.reason, paper.notation)
    line = replace(line, beside=beside, taken=taken)
    return _labelled(line, chain, paper) if ends else line


def _labelled(line: Line, chain: Chain, paper: Paper) -> Line:
    """The last line of a chain: its label, and the number of its step if it has one."""
    step = tex(paper.words.reason("step", step=chain.step)) if chain.step else ""
    return replace(line, label=f"{paper.prefix}:{chain.label}" if chain.label else "", step=step)


def _lines_across(displays: Groups, paper: Paper) -> Iterator[list[Line]]:
    """The lines of each chain, its rows side by side."""
    chains = [chain for display in displays for chain in display]
    for chain, cells in zip(chains, across(chains, paper.notation, paper.shown).chains, strict=True):
        lines = [Line("" if at else chain.left, each) for at, each in enumerate(cells)]
        yield [*lines[:-1], _labelled(lines[-1], chain, paper)]


# --- columns that displays share ---------------------------------------------------------------------


@dataclass(frozen=True)
class _Columns:
    """What may be widest of the left sides, right sides and remarks that a display has room for."""

    left: tuple[str, ...]
    right: tuple[str, ...]
    beside: tuple[str, ...]
    paper: Paper

    @classmethod
    def of(cls, lines: Sequence[Line], paper: Paper) -> _Columns:
        """The columns of lines: one with nothing beside it may run on where others have remarks."""
        remarks = {line.beside: line.taken for line in lines if line.beside}
        explained = [line for line in lines if line.beside or not remarks]
        left = {line.left: paper.width(line.left) for line in lines}
        right = {line.cells[0][1]: paper.width(line.cells[0][1]) for line in explained}
        return cls(_widest(left), _widest(right), _widest(remarks), paper)

    def keys(self) -> Keys:
        """What TeX is told; it measures."""
        columns = {"left": self.left, "right": self.right, "beside": self.beside}
        return {name: r" \sbpor ".join(column) for name, column in columns.items()}

    def held_by(self, lines: Sequence[Line]) -> Iterator[Line]:
        """Lines of which the first with a number makes room for the columns, and longer ones run on.

        It is one with a number, since amsmath moves a display where a number would be too close to a line.
        """
        holder = next((at for at, line in enumerate(lines) if line.label), 0)
        for at, line in enumerate(lines):
            held = self._running_on(line) if at == holder or self.runs_on(line) else line
            yield self._holding(held) if at == holder else held

    def _holding(self, line: Line) -> Line:
        beside = rf"\sbpbeside{{{line.beside}}}" if self.beside else ""
        return replace(line, left=rf"\sbpleft{{{line.left}}}", beside=beside)

    def runs_on(self, line: Line) -> bool:
        """Whether a line is longer than those that have something beside them."""
        longer = self.paper.width(line.cells[0][1]) > self.paper.width(self.right[0])
        return bool(self.beside) and not line.beside and longer

    @staticmethod
    def _running_on(line: Line) -> Line:
        ((sign, right),) = line.cells
        return replace(line, cells=((sign, rf"\sbpright{{{right}}}"),))


def _widest(found: Mapping[str, float]) -> tuple[str, ...]:
    """The widest of some pieces by estimate, and others that may come out as wide."""
    ordered = sorted(found, key=lambda piece: -found[piece])
    return tuple(piece for piece in ordered if found[piece] > _NEARLY * found[ordered[0]])[:_CANDIDATES]


def _columns(runs: Sequence[_Run], paper: Paper) -> Iterator[_Columns | None]:
    """The columns of each display: those of the section, or its own if it is too wide and needs some."""
    shares = aligned([run.groups for run in runs], paper.notation, paper.room)
    together = [line for run, shared in zip(runs, shares, strict=True) for line in run.lines if shared]
    common = _Columns.of(together, paper) if sum(shares) > 1 else None
    for run, shared in zip(runs, shares, strict=True):
        if shared and common is not None:
            yield common
        else:
            own = _Columns.of(run.lines, paper)
            yield own if any(map(own.runs_on, run.lines)) else None
