"""What a document consists of: rows in chains in displays, paragraphs and tables, in sections."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from symbackprop.checking.check import Equality


@dataclass(frozen=True)
class Row:
    r"""One ``= right`` of a display: lines of LaTeX, the reason in the margin, the equality it claims.

    ``sign`` is ``=``, or ``\approx`` before a number that was rounded. ``result`` says that this is what
    its chain comes to, and ``boxed`` that it is one to remember, too.
    """

    lines: tuple[str, ...]
    reason: str = ""
    equality: Equality | None = None
    boxed: bool = False
    sign: str = "="
    result: bool = False


@dataclass(frozen=True)
class Link:
    """Where the same line stands in another form; ``form`` is ``matrix_form`` or ``index_form``."""

    form: str
    label: str


@dataclass(frozen=True)
class Chain:
    """A left side and the rows that follow it; ``label`` goes to the last row.

    ``step`` is the number of a step that others refer to, if it has one.
    """

    left: str
    rows: tuple[Row, ...]
    label: str = ""
    link: Link | None = None
    step: str = ""

    @property
    def start(self) -> str:
        """The left side with the number of the step before it, for readers that have no place for numbers."""
        return rf"\sbpstep{{{self.step}}} {self.left}" if self.step else self.left


@dataclass(frozen=True)
class Paragraph:
    """A sentence or two of prose."""

    text: str


@dataclass(frozen=True)
class Display:
    """Chains of equalities, aligned under each other.

    ``across`` says that the rows of a chain may stand side by side on one line, without their reasons.
    """

    chains: tuple[Chain, ...]
    across: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells under a header, each cell written as a paragraph is.

    The first column stands on the left, and the others, which are numbers, on the right, unless
    ``columns`` says otherwise, with an ``l`` or an ``r`` for each.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    columns: str = ""

    @property
    def sides(self) -> str:
        """On which side each column stands, ``l`` or ``r``."""
        return self.columns or "l" + "r" * (len(self.header) - 1)


Block = Paragraph | Display | Table


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it; ``picture`` names what a picture at its end would show."""

    heading: str
    blocks: tuple[Block, ...]
    picture: str = ""


def chains(sections: Sequence[Section]) -> Iterator[Chain]:
    """Every chain that sections display, in order."""
    for section in sections:
        for block in section.blocks:
            if isinstance(block, Display):
                yield from block.chains


def equalities(sections: Sequence[Section]) -> Iterator[Equality]:
    """Every equality that sections print, in order."""
    for chain in chains(sections):
        yield from (row.equality for row in chain.rows if row.equality is not None)
