r"""A derivation laid out for reading: sections of paragraphs and displayed equalities.

A document is data; its words are prose (see :mod:`symbackprop.rendering.prose`). Each displayed row knows the
equality that it prints, so that a check can find it and a failed one is marked in the text; a template
turns the document into LaTeX.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from types import MappingProxyType

from symbackprop.checking.certificate import all_hold
from symbackprop.checking.certificate import certificate as certificate_data
from symbackprop.checking.check import Equality, Finding
from symbackprop.layout.paper import line_ends, link_width, side_by_side
from symbackprop.notation.notation import Notation
from symbackprop.notation.style_package import style_package
from symbackprop.notation.words import Words, load_words
from symbackprop.rendering.prose import tex
from symbackprop.rendering.render import fill
from symbackprop.version import GENERATOR, __version__


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
    """A left side and the rows that follow it; ``label`` goes to the last row."""

    left: str
    rows: tuple[Row, ...]
    label: str = ""
    link: Link | None = None


@dataclass(frozen=True)
class Paragraph:
    """A sentence or two of prose."""

    text: str


@dataclass(frozen=True)
class Display:
    """Chains of equalities, aligned under each other."""

    chains: tuple[Chain, ...]


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


@dataclass(frozen=True)
class Certificate:
    """Every printed equality with how it was checked and what came out."""

    findings: tuple[Finding, ...]
    about: Mapping[str, object] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether every equality passed its check."""
        return all_hold(self.findings)

    def data(self) -> dict[str, object]:
        """The certificate as JSON data."""
        return certificate_data(self.findings, "symbackprop", __version__, **self.about)


@dataclass(frozen=True)
class Document:
    """A derivation in one notation, with the findings of its check."""

    name: str
    fingerprint: str
    title: str
    notation: Notation
    forms: tuple[str, ...]
    sections: tuple[Section, ...]
    certificate: Certificate
    words: Words = field(default_factory=load_words)
    notes: tuple[str, ...] = ()
    """What whoever made it should know, such as a remark that has no place in it."""

    def to_latex(
        self, prefix: str = "sbp", pictures: Mapping[str, Mapping[str, str]] = MappingProxyType({})
    ) -> str:
        """The fragment, to be read in with LaTeX's input command.

        Args:
            prefix: what every label starts with.
            pictures: pictures for the sections that are about one, by what they show: its ``tikz`` and its
                ``caption``. With one of them the fragment needs TikZ.
        """
        manner = _Manner(f"{prefix}:{self.name}", self.failed, self.words, self.notation)
        keys = {
            "generator": GENERATOR,
            "name": self.name,
            "title": tex(self.title),
            "fingerprint": self.fingerprint,
            "notation": self.notation.name,
            "forms": ", ".join(self.forms),
            "notes": self.notes,
            "sections": [
                _section_keys(section, manner) | {"picture": pictures.get(section.picture, "")}
                for section in self.sections
            ],
        }
        return fill("fragment.tex.jinja", keys)

    def style(self) -> str:
        """The package that defines the macros of the fragment."""
        return style_package(self.notation)

    @cached_property
    def failed(self) -> frozenset[Equality]:
        """The equalities that did not pass their check."""
        return frozenset(f.equality for f in self.certificate.findings if not f.holds)


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


@dataclass(frozen=True)
class _Manner:
    """What the lines of a fragment are written with."""

    prefix: str
    failed: frozenset[Equality]
    words: Words
    notation: Notation


def _section_keys(section: Section, manner: _Manner) -> dict[str, object]:
    blocks: list[dict[str, object]] = []
    for is_display, group in groupby(section.blocks, key=lambda block: isinstance(block, Display)):
        if is_display:
            displays = [block.chains for block in group if isinstance(block, Display)]
            sides = side_by_side(displays, manner.notation, link_width(manner.words, manner.notation))
            blocks += (_display_keys(groups, manner) for groups in sides)
        else:
            blocks += map(_block_keys, group)
    return {"heading": tex(section.heading), "blocks": blocks}


def _block_keys(block: Block) -> dict[str, object]:
    if isinstance(block, Paragraph):
        return {"kind": "text", "text": tex(block.text)}
    assert isinstance(block, Table)
    rows = [[tex(cell, display=True) for cell in row] for row in block.rows]
    return {"kind": "table", "columns": block.sides, "header": [*map(tex, block.header)], "rows": rows}


def _display_keys(groups: Sequence[Sequence[Chain]], manner: _Manner) -> dict[str, object]:
    """One display on paper, of the chains of one or more."""
    lines = [[_chain_lines(chain, manner) for chain in chains] for chains in groups]
    counted = [
        [(chain, len(written)) for chain, written in zip(chains, texts, strict=True)]
        for chains, texts in zip(groups, lines, strict=True)
    ]
    flat = [line for texts in lines for written in texts for line in written]
    ends = (*line_ends(counted), "")
    return {"kind": "display", "lines": [{**line, "end": end} for line, end in zip(flat, ends, strict=True)]}


def _chain_lines(chain: Chain, manner: _Manner) -> list[dict[str, object]]:
    """Source lines of an align environment: a left side, a right side, a reason, a label each."""
    lines: list[dict[str, object]] = []
    for place, row in enumerate(chain.rows):
        for number, line in enumerate(row.lines):
            lines.append(_line(chain if not place and not number else None, row, line, number))
        if row.equality is not None and row.equality in manner.failed:
            lines[-1]["failed"] = True
    if chain.label:
        lines[-1]["label"] = f"{manner.prefix}:{chain.label}"
    if chain.link is not None:
        if lines[-1]["reason"]:
            lines.append(_line(None, Row(("",), sign=""), "", 0))
        lines[-1]["see"] = see(chain.link, manner.prefix, manner.words)
    return lines


def see(link: Link, prefix: str, words: Words) -> str:
    r"""A reference to the same line in another form: its number, and a link where there is hyperref.

    >>> print(see(Link("index_form", "delta-1"), "sbp:net", load_words()))
    \sbpsee{index form}{sbp:net:delta-1}
    """
    return rf"\sbpsee{{{tex(words.reason(link.form))}}}{{{prefix}:{link.label}}}"


def _line(chain: Chain | None, row: Row, line: str, number: int) -> dict[str, object]:
    first = number == 0
    return {
        "left": chain.left if chain is not None else "",
        "sign": row.sign if first else r"\quad",
        "right": rf"\boxed{{{line}}}" if row.boxed and len(row.lines) == 1 else line,
        "reason": tex(row.reason) if number == len(row.lines) - 1 else "",
        "see": "",
        "label": "",
        "failed": False,
    }
