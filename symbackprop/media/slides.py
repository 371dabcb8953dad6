r"""Slides for beamer: a frame for each display, a step of a derivation on each overlay.

Heights and widths are estimated, so that frames are filled and never too full. Where a derivation goes on
on the next frame, it starts again from the row that it had come to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain as chained
from itertools import groupby
from types import MappingProxyType

from symbackprop.layout.across import packed_lines
from symbackprop.layout.document import Block, Chain, Display, Document, Paragraph, Section, Table
from symbackprop.layout.fragment import marked
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

_WORDS_ALONE, _REPEATED = 0.6, 0.25
"""Words that take a larger share of a frame have one for themselves; a sentence of less is repeated."""


def slides(
    document: Document,
    pictures: Mapping[str, Drawing] = MappingProxyType({}),
    prefix: str = "sbp",
) -> str:
    r"""The source of the slides; pictures by what they show, first those that no section is about.

    >>> from symbackprop.pipeline import derive
    >>> from symbackprop.spec.loading import from_widths
    >>> r"\begin{frame}" in slides(derive(from_widths("1-1")).document(forms=["matrix"]))
    True
    """
    writer = _Slides(document, f"{prefix}:{document.name}", pictures)
    keys = {
        "title": tex(document.title),
        "name": document.name,
        "hyphenation": document.words.hyphenation,
        "frames": [*writer.first_pictures(), *chained.from_iterable(map(writer.frames, document.sections))],
    }
    return fill("slides.tex.jinja", keys)


def _scale(drawing: Drawing) -> str:
    """How much larger a picture is drawn so that it fills a frame."""
    return f"{min(LARGER, ROOM[0] / drawing.frame.width, ROOM[1] / drawing.frame.height):.3f}"


@dataclass(frozen=True)
class Line:
    """A line of a display; ``begins`` says of what it is the first, ``alone`` that it is a step itself."""

    chain: Chain
    sign: str
    right: str
    begins: str = ""
    reason: str = ""
    label: str = ""
    height: float = 0.0
    alone: bool = False
    step: str = ""

    @property
    def left(self) -> str:
        """The left side of the chain, at its first line."""
        return self.chain.left if self.begins == "chain" else ""


Lines = tuple[Line, ...]


@dataclass(frozen=True)
class Part:
    """Something on a frame: its keys for the template, its height, and whether it has steps."""

    keys: Keys
    height: float
    steps: bool = False


@dataclass(frozen=True)
class _Slides:
    document: Document
    prefix: str
    pictures: Mapping[str, Drawing]

    @property
    def notation(self) -> Notation:
        return self.document.notation

    def first_pictures(self) -> Iterator[Keys]:
        """A frame for each picture that no section is about."""
        inside = {section.picture for section in self.document.sections}
        for key, drawing in self.pictures.items():
            if key not in inside:
                yield _frame(tex(self.document.words.headings[key]), [_picture(drawing)])

    def frames(self, section: Section) -> Iterator[Keys]:
        """The frames of a section, with their numbers where there are several."""
        title = tex(section.heading)
        found = [*_filled(chained.from_iterable(map(self.parts, _groups(_merged(section.blocks)))))]
        for number, parts_of_one in enumerate(found, 1):
            which = f" ({number}/{len(found)})" if len(found) > 1 else ""
            yield _frame(title + which, [_begun(part.keys, not at) for at, part in enumerate(parts_of_one)])
        if section.picture in self.pictures:
            yield _frame(title, [_picture(self.pictures[section.picture])])

    def parts(self, group: Sequence[Block]) -> Iterator[tuple[Part, ...]]:
        """A display or a table with the paragraphs before it, in parts that each fit on a frame.

        A sentence that leads to a display stands on each of its frames; before it there is a frame of words
        alone only where these leave no room for a line.
        """
        words = tuple(self._paragraph(block) for block in group if isinstance(block, Paragraph))
        last = group[-1]
        if isinstance(last, Paragraph):
            yield words
            return
        lead = words[-1:] if leads_on(group[-2:-1]) else ()
        if words and _high(words) > HIGH * _WORDS_ALONE:
            yield words[: len(words) - len(lead)] if len(lead) < len(words) else words
            words = lead if len(lead) < len(words) else ()
        lead = lead if lead and _high(lead) < HIGH * _REPEATED else ()
        used = max(_high(words), _high(lead))
        first, *others = self._table(last, used) if isinstance(last, Table) else self._display(last, used)
        yield (*words, first)
        yield from ((*lead, part) for part in others)

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
        written = self._lines_across if display.across else self._lines
        lines = tuple(line for chain in display.chains for line in written(chain))
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
                shown = marked(row, text, self.document.failed)
                ends = last and place == len(chain.rows) - 1 and chain.label
                yield Line(
                    chain,
                    "\\quad" if number else row.sign,
                    shown,
                    ("" if number else "row") if place or number else "chain",
                    tex(row.reason) if last else "",
                    f"{self.prefix}:{chain.label}" if ends else "",
                    max(self._high(chain.left) if not place and not number else 0.0, self._high(shown)),
                )

    def _lines_across(self, chain: Chain) -> Iterator[Line]:
        """The lines of a chain, as many rows on each as there is room for."""
        room = WIDE - _NUMBER - rendered_width(chain.left, self.notation)
        packed = packed_lines(chain, self.notation, partial(marked, failed=self.document.failed), room)
        for at, (sign, text) in enumerate(packed):
            begins = "chain" if not at else "row" if sign != r"\quad" else ""
            ends = at == len(packed) - 1 and chain.label
            label = f"{self.prefix}:{chain.label}" if ends else ""
            height = max(self._high(text), self._high(chain.left) if not at else 0.0)
            step = self.document.words.reason("step", step=chain.step) if label and chain.step else ""
            yield Line(chain, sign, text, begins, "", label, height, alone=True, step=tex(step))

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


def _merged(blocks: Iterable[Block]) -> Iterator[Block]:
    """Blocks with displays of lines that stand for themselves made one, where no words are between them."""
    for kind, group in groupby(blocks, key=_kind):
        if kind:
            chains = (chain for block in group if isinstance(block, Display) for chain in block.chains)
            yield Display(tuple(chains), across=kind == "across")
        else:
            yield from group


def _kind(block: Block) -> str:
    """What displays have in common that are made one; nothing for a block that is left as it is."""
    if not isinstance(block, Display):
        return ""
    single = all(len(chain.rows) == 1 and not chain.rows[0].reason for chain in block.chains)
    return "across" if block.across else "single" if single else ""


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
        alone = any(part.steps for part in together) or _high(together) > HIGH
        if frame and alone:
            yield frame
            frame = []
        frame += piece
    if frame:
        yield frame


def leads_on(blocks: Sequence[Block]) -> bool:
    """Whether the last of some blocks is a sentence that goes on in what follows it."""
    return bool(blocks) and isinstance(blocks[-1], Paragraph) and blocks[-1].text.rstrip()[-1:] in ":,"


def _high(parts_of_one: Iterable[Part]) -> float:
    return sum(part.height for part in parts_of_one)


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
    return any(line.begins == "row" or line.alone for line in lines)


def _size(width: float) -> str:
    """The largest type in which something of this width fits on a frame."""
    return next((size for size, scale in SIZES.items() if width * scale <= WIDE), "tiny")


# --- keys of the template --------------------------------------------------------------------------


def _display_keys(lines: Lines, size: str) -> Keys:
    """A display: each line with the overlay from which it is seen."""
    overlay, shown = 1, []
    for at, line in enumerate(lines):
        is_step = line.begins == "row" or (line.begins == "chain" and (overlay > 1 or line.alone))
        overlay += bool(at) and is_step
        keys = {key: getattr(line, key) for key in ("left", "sign", "right", "reason", "label", "step")}
        shown.append({**keys, "overlay": overlay})
    return {"kind": "display", "size": size, "lines": shown}


def _frame(title: str, parts_of_one: Sequence[Keys]) -> Keys:
    return {"title": title, "parts": parts_of_one}


def _begun(keys: Keys, first: bool) -> Keys:
    """A part of a frame; a sentence that goes on from the frame before begins with a capital here."""
    text = keys.get("text")
    return {**keys, "text": text[:1].upper() + text[1:]} if first and isinstance(text, str) else keys


def _picture(drawing: Drawing) -> Keys:
    """A picture, as large as the frame allows."""
    return {"kind": "picture", "tikz": tikz_picture(drawing), "scale": _scale(drawing)}


def _table_keys(table: Table, rows: Sequence[Sequence[str]], size: str) -> Keys:
    cells = [[*map(tex, row)] for row in rows]
    return {
        "kind": "table",
        "size": size,
        "columns": table.sides,
        "header": [*map(tex, table.header)],
        "rows": cells,
    }
