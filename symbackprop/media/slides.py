r"""Slides for beamer: a frame for each display, a step of a derivation on each overlay.

Heights and widths are estimated, so that frames are filled and never too full. Where a derivation goes on
on the next frame, it starts again from the row that it had come to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain as chained
from itertools import groupby

from symbackprop.checking.check import Equality
from symbackprop.layout.document import Block, Chain, Display, Document, Paragraph, Section, Table
from symbackprop.notation.notation import Notation
from symbackprop.pictures.drawing import Drawing
from symbackprop.pictures.tikz import tikz_picture
from symbackprop.printing.measure import expanded, rendered_width
from symbackprop.rendering.prose import parts, tex
from symbackprop.rendering.render import fill

Keys = dict[str, object]

HIGH, WIDE = 17.0, 64.0
"""What a frame holds under its title: so many times the size of its type, and so many characters across."""

ROOM, LARGER = (398.0, 208.0), 1.6
"""Room for a picture, across and from top to bottom in points, and how much larger it may become."""

SIZES = {"normalsize": 1.0, "small": 0.913, "footnotesize": 0.822, "scriptsize": 0.731, "tiny": 0.548}
"""Sizes of type, and how large each is beside the first."""

_LINE, _FRACTION, _CASE, _BOX, _GAP, _SKIP, _ROW = 1.25, 2.3, 1.5, 0.6, 0.5, 1.5, 1.8
_HEIGHTS = {r"\frac": _FRACTION, r"\sum": 2.95, r"\bigg": 2.2, r"\Bigg": 2.6}
_WORDS, _REASON, _NUMBER = 0.88, 0.8, 6.0
_STARTS_AGAIN = 0.5
"""What is repeated on the next frame may take this share of it."""


def slides(document: Document, pictures: Sequence[Drawing] = (), prefix: str = "sbp") -> str:
    r"""The source of the slides, the pictures first.

    >>> from symbackprop.pipeline import derive
    >>> from symbackprop.spec.loading import from_widths
    >>> r"\begin{frame}" in slides(derive(from_widths("1-1")).document(forms=["matrix"]))
    True
    """
    writer = _Slides(document.notation, f"{prefix}:{document.name}", document.failed)
    frames = [frame for section in document.sections for frame in writer.frames(section)]
    keys = {
        "title": tex(document.title),
        "name": document.name,
        "hyphenation": document.words.hyphenation,
        "pictures": [{"tikz": tikz_picture(drawing), "scale": _scale(drawing)} for drawing in pictures],
        "frames": frames,
    }
    return fill("slides.tex.jinja", keys)


def _scale(drawing: Drawing) -> str:
    """How much larger a picture is drawn so that it fills a frame."""
    return f"{min(LARGER, ROOM[0] / drawing.frame.width, ROOM[1] / drawing.frame.height):.3f}"


@dataclass(frozen=True)
class Line:
    """A line of a display; ``begins`` says of what it is the first line."""

    chain: Chain
    sign: str
    right: str
    begins: str = ""
    reason: str = ""
    label: str = ""
    height: float = 0.0

    @property
    def left(self) -> str:
        """The left side of the chain, at its first line."""
        return self.chain.start if self.begins == "chain" else ""


Lines = tuple[Line, ...]


@dataclass(frozen=True)
class Part:
    """Something on a frame: its keys for the template, its height, and whether it has steps."""

    keys: Keys
    height: float
    steps: bool = False


@dataclass(frozen=True)
class _Slides:
    notation: Notation
    prefix: str
    failed: frozenset[Equality]

    def frames(self, section: Section) -> Iterator[Keys]:
        """The frames of a section."""
        title = tex(section.heading)
        for parts_of_one in _filled(chained.from_iterable(map(self.parts, _groups(section.blocks)))):
            yield {"title": title, "parts": [part.keys for part in parts_of_one]}

    def parts(self, group: Sequence[Block]) -> Iterator[tuple[Part, ...]]:
        """A display or a table with the paragraphs before it, in parts that each fit on a frame."""
        words = tuple(self._paragraph(block) for block in group if isinstance(block, Paragraph))
        used = sum(part.height for part in words)
        last = group[-1]
        if isinstance(last, Paragraph):
            yield words
            return
        shown = self._table(last, used) if isinstance(last, Table) else self._display(last, used)
        first, *others = shown
        if words and used + first.height > HIGH:
            yield words
            words = ()
        yield (*words, first)
        yield from ((part,) for part in others)

    # --- words and tables ------------------------------------------------------------------------

    def _paragraph(self, paragraph: Paragraph) -> Part:
        lines = -(-self._width(paragraph.text) // WIDE)
        return Part({"kind": "text", "text": tex(paragraph.text)}, _LINE * lines + _GAP)

    def _width(self, prose: str) -> float:
        """The width of words and formulas on one line."""
        each = (rendered_width(t, self.notation) if f else _WORDS * len(t) for t, f in parts(prose))
        return sum(each)

    def _table(self, table: Table, used: float) -> Iterator[Part]:
        """A table, in pieces that each have the header."""
        columns = zip(table.header, *table.rows, strict=True)
        size = _size(sum(max(map(self._width, column)) + 2.5 for column in columns))
        row = _ROW * SIZES[size]
        room = max(1, int((HIGH - used - _SKIP - 2 * row) / row))
        for start in range(0, len(table.rows), room):
            piece = table.rows[start : start + room]
            yield Part(_table_keys(table, piece, size), _SKIP + row * (len(piece) + 1.5))

    # --- displays --------------------------------------------------------------------------------

    def _display(self, display: Display, used: float) -> Iterator[Part]:
        """A display, in pieces that each fit on a frame; in smaller type if that saves a frame."""
        lines = tuple(line for chain in display.chains for line in self._lines(chain))
        widest = _size(self._across(lines))
        smaller = [*SIZES][min([*SIZES].index(widest) + 1, 2)]
        found = {size: _pieces(lines, SIZES[size], used) for size in dict.fromkeys((widest, smaller))}
        size = min(found, key=lambda each: (len(found[each]), -SIZES[each]))
        size = size if SIZES[size] <= SIZES[widest] else widest
        for piece in found[size]:
            yield Part(_display_keys(piece, size), _height(piece, SIZES[size]), _has_steps(piece))

    def _lines(self, chain: Chain) -> Iterator[Line]:
        """The lines of a chain, each with its height in a type of size 1."""
        for place, row in enumerate(chain.rows):
            for number, text in enumerate(row.lines):
                last = number == len(row.lines) - 1
                boxed = rf"\boxed{{{text}}}" if row.boxed and len(row.lines) == 1 else text
                mark = r" \sbpfailed" if last and row.equality in self.failed else ""
                ends = last and place == len(chain.rows) - 1 and chain.label
                yield Line(
                    chain,
                    "\\quad" if number else row.sign,
                    boxed + mark,
                    ("" if number else "row") if place or number else "chain",
                    tex(row.reason) if last else "",
                    f"{self.prefix}:{chain.label}" if ends else "",
                    max(self._high(chain.start) if not place and not number else 0.0, self._high(boxed)),
                )

    def _high(self, formula: str) -> float:
        """The height of a formula with the space after it."""
        full = expanded(formula, self.notation)
        parts_of_it = (height for part, height in _HEIGHTS.items() if part in full)
        cases = (_CASE * (each.count(r"\\") + 1) for each in re.findall(r"\\begin\{cases\}.*?\\end", full))
        highest: float = max((_LINE, *parts_of_it, *cases))
        return highest + _GAP + (_BOX if r"\boxed" in full else 0.0)

    def _across(self, lines: Lines) -> float:
        """The width of a display: its columns side by side, and the number of its equation."""
        lefts, rights, reasons = [0.0], [0.0], [0.0]
        for line in lines:
            lefts.append(rendered_width(line.left, self.notation))
            rights.append(rendered_width(line.right, self.notation) + 3.0)
            reasons.append(_REASON * len(line.reason) + 2.0 if line.reason else 0.0)
        return max(lefts) + max(rights) + max(reasons) + _NUMBER


def _groups(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """Each display or table with the paragraphs before it; what is left at the end by itself."""
    group: list[Block] = []
    for block in blocks:
        group.append(block)
        if not isinstance(block, Paragraph):
            yield group
            group = []
    if group:
        yield group


def _filled(pieces: Iterable[tuple[Part, ...]]) -> Iterator[list[Part]]:
    """Frames: pieces without steps share one while they fit."""
    frame: list[Part] = []
    for piece in pieces:
        together = [*frame, *piece]
        alone = any(part.steps for part in together) or sum(part.height for part in together) > HIGH
        if frame and alone:
            yield frame
            frame = []
        frame += piece
    if frame:
        yield frame


# --- where a display is cut ------------------------------------------------------------------------


def _pieces(lines: Lines, scale: float, used: float) -> list[Lines]:
    """Lines cut into pieces of about one height, as few as there can be."""
    fewest = len(_cut(lines, scale, HIGH, used))
    shares = (share / 20 for share in range(8, 20))
    found = (_cut(lines, scale, HIGH * share, used) for share in shares)
    return next((cut for cut in found if len(cut) <= fewest), _cut(lines, scale, HIGH, used))


def _cut(lines: Lines, scale: float, room: float, used: float) -> list[Lines]:
    """Lines cut between rows, so that each piece fits into the room; the first has less of it."""
    pieces: list[Lines] = []
    piece: Lines = ()
    for row in _rows(lines, scale, room):
        free = room if pieces or used + _height(row, scale) > room else room - used
        if piece and _height((*piece, *row), scale) > free:
            pieces.append(piece)
            piece = _again(piece, row, scale)
        piece += row
    return [*pieces, piece]


def _rows(lines: Lines, scale: float, room: float) -> Iterator[Lines]:
    """The lines of each row; each line by itself in a row that is too high for a frame."""
    starts = 0
    numbered = []
    for line in lines:
        starts += bool(line.begins)
        numbered.append((starts, line))
    for _, group in groupby(numbered, key=lambda item: item[0]):
        row = tuple(line for _, line in group)
        yield from ((line,) for line in row) if _height(row, scale) > room else (row,)


def _again(piece: Lines, row: Lines, scale: float) -> Lines:
    """What a derivation had come to, as the beginning of the next frame; dots where that would be long."""
    if row[0].begins != "row":
        return ()
    starts = [at for at, line in enumerate(piece) if line.begins]
    shown = tuple(replace(line, reason="", label="") for line in piece[starts[-1] :]) if starts else ()
    if shown and _height(shown, scale) <= HIGH * _STARTS_AGAIN:
        return (replace(shown[0], begins="chain"), *shown[1:])
    return (Line(row[0].chain, "=", r"\cdots", "chain", height=_FRACTION + _GAP),)


def _height(lines: Lines, scale: float) -> float:
    return sum(line.height for line in lines) * scale + _SKIP


def _has_steps(lines: Lines) -> bool:
    return any(line.begins == "row" for line in lines)


def _size(width: float) -> str:
    """The largest type in which something of this width fits on a frame."""
    return next((size for size, scale in SIZES.items() if width * scale <= WIDE), "tiny")


# --- keys of the template --------------------------------------------------------------------------


def _display_keys(lines: Lines, size: str) -> Keys:
    """A display: each line with the overlay from which it is seen."""
    overlay, shown = 1, []
    for at, line in enumerate(lines):
        is_step = line.begins == "row" or (line.begins == "chain" and overlay > 1)
        overlay += bool(at) and is_step
        keys = {key: getattr(line, key) for key in ("left", "sign", "right", "reason", "label")}
        shown.append({**keys, "overlay": overlay})
    return {"kind": "display", "size": size, "lines": shown}


def _table_keys(table: Table, rows: Sequence[Sequence[str]], size: str) -> Keys:
    cells = [[*map(tex, row)] for row in rows]
    return {
        "kind": "table",
        "size": size,
        "columns": table.sides,
        "header": [*map(tex, table.header)],
        "rows": cells,
    }
