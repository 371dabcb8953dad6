r"""A small typesetter for the labels of pictures: prose with short formulas becomes runs of text.

A label is prose (see :mod:`symbackprop.rendering.prose`) whose formulas have our macros put in already.
What it can set is what labels need: letters, accents, scripts, primes, fractions, roots, operators, brackets.
A fraction that is a whole label stands upright, any other lies on its side. What it can't set is refused
by its name: LaTeX source never reaches a picture.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise

from symbackprop.errors import NoRule
from symbackprop.pictures.glyphs import (
    ACCENTS,
    BINARY,
    CLOSING,
    OPENING,
    OPERATORS,
    RELATIONS,
    SYMBOLS,
    advance,
    ascent,
    descent,
    is_upright,
)
from symbackprop.rendering.prose import parts

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\S")
_SCALES = (1.0, 0.72, 0.58)
_RAISED, _LOWERED, _LOWERED_BELOW_RAISED = 0.41, 0.16, 0.26
_SLANT, _AFTER_SCRIPT = 0.08, 0.04
_BAR_HEIGHT, _BAR_ROOM = 0.25, 0.12
_NUMERATOR, _DENOMINATOR = 0.677, 0.686
_KINDS = {"binary": BINARY, "relation": RELATIONS, "opening": OPENING, "closing": CLOSING, "comma": ","}
_SPACES = {r"\,": 0.167, r"\:": 0.222, r"\;": 0.278, r"\ ": 0.333, "~": 0.333, r"\quad": 1.0, r"\!": -0.167}
_IGNORED = re.compile(r"\\(left|right|[bB]igg?[lr]?)")


class Font(Enum):
    """How a run is set; the writers know what to do for each."""

    ROMAN = "roman"
    ITALIC = "italic"
    BOLD = "bold"
    BOLD_ITALIC = "bold-italic"
    SANS = "sans"
    SCRIPT = "script"


_FONTS = {
    r"\mathrm": Font.ROMAN,
    r"\text": Font.ROMAN,
    r"\mathit": Font.ITALIC,
    r"\mathbf": Font.BOLD,
    r"\boldsymbol": Font.BOLD_ITALIC,
    r"\bm": Font.BOLD_ITALIC,
    r"\mathsf": Font.SANS,
    r"\mathcal": Font.SCRIPT,
    r"\mathscr": Font.SCRIPT,
}


@dataclass(frozen=True)
class Run:
    """Characters in one font and size; the pen first moves right by ``dx`` and down by ``dy``."""

    text: str
    font: Font
    size: float
    dx: float = 0.0
    dy: float = 0.0


@dataclass(frozen=True)
class Row:
    """Runs from left to right, and how far they reach from where the pen starts."""

    runs: tuple[Run, ...]
    width: float
    ascent: float
    descent: float


@dataclass(frozen=True)
class Typeset:
    """A label as it is set: one row, or two for a fraction, above and below its bar.

    ``drops`` says how far each row stands below the label's own base line.
    """

    rows: tuple[Row, ...]
    drops: tuple[float, ...] = (0.0,)
    bar: float | None = None

    @property
    def width(self) -> float:
        return max(row.width for row in self.rows)

    @property
    def ascent(self) -> float:
        return max(row.ascent - drop for row, drop in zip(self.rows, self.drops, strict=True))

    @property
    def descent(self) -> float:
        return max(row.descent + drop for row, drop in zip(self.rows, self.drops, strict=True))


def typeset(label: str, size: float = 10.0) -> Typeset:
    r"""The runs of a label of this size.

    Raises:
        NoRule: for a command that can't be set, by its name.

    >>> [(run.text, run.font.value) for run in typeset(r"for $w^{2}_{jk}$").rows[0].runs]
    [('for ', 'roman'), ('w', 'italic'), ('2', 'roman'), ('jk', 'italic')]
    >>> typeset(r"$\begin{cases}$")
    Traceback (most recent call last):
    ...
    symbackprop.errors.NoRule: a picture's label can't hold \begin, which occurs in \begin{cases}
    """
    nodes = [node for part in parts(label) for node in _nodes(part.text, part.is_formula)]
    if len(nodes) == 1 and isinstance(nodes[0], _Fraction):
        return _upright_fraction(nodes[0], size)
    return Typeset((_row(nodes, size),))


def plain(label: str) -> str:
    r"""A label as plain text on one line, for a reader that sees no picture.

    >>> plain(r"$\frac{\partial C}{\partial w^{2}_{jk}}$")
    '∂C/∂w^2_jk'
    """
    return "".join(_spoken(_Group(_nodes(part.text, part.is_formula))) for part in parts(label))


# --- reading ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Char:
    text: str
    font: Font


@dataclass(frozen=True)
class _Word:
    """The name of a function: it keeps a distance."""

    text: str
    font: Font = Font.ROMAN


@dataclass(frozen=True)
class _Gap:
    width: float


@dataclass(frozen=True)
class _Scripts:
    nucleus: _Node
    above: tuple[_Node, ...] = ()
    below: tuple[_Node, ...] = ()


@dataclass(frozen=True)
class _Fraction:
    top: tuple[_Node, ...]
    bottom: tuple[_Node, ...]


@dataclass(frozen=True)
class _Group:
    nodes: tuple[_Node, ...]


_Node = _Char | _Word | _Gap | _Scripts | _Fraction | _Group


def _nodes(text: str, is_formula: bool) -> tuple[_Node, ...]:
    if not is_formula:
        return tuple(_Char(char, Font.ROMAN) for char in text)
    return _Reader(text).row()


class _Reader:
    """Reads the tokens of a formula from left to right."""

    def __init__(self, formula: str) -> None:
        self.formula = formula
        self.tokens = _TOKEN.findall(formula)
        self.position = 0
        self.font: Font | None = None

    def row(self) -> tuple[_Node, ...]:
        """Nodes up to the end of the group."""
        found: list[_Node] = []
        while (token := self.next()) not in ("}", None):
            assert token is not None
            if token in ("^", "_", "'"):
                found.append(self.scripts(found.pop() if found else _Group(()), token))
            elif not _IGNORED.fullmatch(token):
                found.append(self.nucleus(token))
        return tuple(found)

    def next(self) -> str | None:
        self.position += 1
        return self.tokens[self.position - 1] if self.position <= len(self.tokens) else None

    def nucleus(self, token: str) -> _Node:
        if token == "{":
            return _Group(self.row())
        if token in _SPACES:
            return _Gap(_SPACES[token])
        if token == r"\frac":
            return _Fraction(self.argument(), self.argument())
        if token == r"\sqrt":
            return _Group((_Char("√", Font.ROMAN), *_in_parentheses(self.argument())))
        if token in ACCENTS:
            return _accented(self.argument(), ACCENTS[token], token)
        return self.symbol(token)

    def symbol(self, token: str) -> _Node:
        if token == r"\operatorname":
            return _Word(_spoken(_Group(self.argument())))
        if token[1:] in OPERATORS:
            return _Word(token[1:])
        if token in _FONTS:
            return self.words() if token == r"\text" else _Group(self.in_font(_FONTS[token]))
        char = SYMBOLS.get(token, token)
        if len(char) > 1 or not char.isprintable():
            raise NoRule(f"a picture's label can't hold {token}, which occurs in {self.formula}")
        return _Char(char, self.font or (Font.ROMAN if is_upright(char) else Font.ITALIC))

    def words(self) -> _Node:
        """The words of a text command, with their spaces, which the tokens have lost."""
        start = [*re.finditer(_TOKEN, self.formula)][self.position].end()
        end = self.formula.index("}", start)
        while self.next() != "}":
            pass
        return _Group(tuple(_Char(char, Font.ROMAN) for char in self.formula[start:end]))

    def in_font(self, font: Font) -> tuple[_Node, ...]:
        outer, self.font = self.font, font
        inside = self.argument()
        self.font = outer
        return inside

    def argument(self) -> tuple[_Node, ...]:
        token = self.next()
        if token is None:
            raise NoRule(f"a picture's label ends too early: {self.formula}")
        return self.row() if token == "{" else (self.nucleus(token),)

    def scripts(self, nucleus: _Node, token: str) -> _Scripts:
        """The nucleus with one more script."""
        known = nucleus if isinstance(nucleus, _Scripts) else _Scripts(nucleus)
        if token == "'":
            return replace(known, above=(*known.above, _PRIME))
        if token == "^":
            return replace(known, above=(*known.above, *self.argument()))
        return replace(known, below=(*known.below, *self.argument()))


def _in_parentheses(nodes: tuple[_Node, ...]) -> tuple[_Node, ...]:
    single = len(nodes) == 1 and not isinstance(nodes[0], _Fraction)
    return nodes if single else (_Char("(", Font.ROMAN), *nodes, _Char(")", Font.ROMAN))


def _accented(nodes: tuple[_Node, ...], accent: str, token: str) -> _Node:
    """A letter with an accent on it, as one character where Unicode has it."""
    if len(nodes) == 1 and isinstance(nodes[0], _Group):
        return _accented(nodes[0].nodes, accent, token)
    if len(nodes) != 1 or not isinstance(nodes[0], _Char):
        raise NoRule(f"a picture's label can't put {token} on more than one letter")
    return replace(nodes[0], text=unicodedata.normalize("NFC", nodes[0].text + accent))


def _spoken(node: _Node) -> str:
    """A node as plain text, scripts behind ^ and _."""
    match node:
        case _Char(text) | _Word(text):
            return text
        case _Gap():
            return " "
        case _Group(nodes):
            gaps = (" " if _runs_together(*two) else "" for two in pairwise(nodes))
            return "".join(_spoken(node) + gap for node, gap in zip(nodes, (*gaps, ""), strict=False))
        case _Fraction(top, bottom):
            return "/".join(_spoken(_Group(_bracketed(side))) for side in (top, bottom))
        case _Scripts(nucleus, above, below):
            primes, raised = _apart(above)
            shown = (f"{sign}{_spoken(_Group(s))}" for sign, s in (("^", raised), ("_", below)) if s)
            return _spoken(_Group((nucleus, *primes))) + "".join(shown)


def _runs_together(left: _Node, right: _Node) -> bool:
    """Whether one would read the start of the right node as the end of the left one."""
    return isinstance(left, _Scripts | _Word) and _kind(right, "letter") in ("letter", "word")


def _apart(above: tuple[_Node, ...]) -> tuple[tuple[_Node, ...], tuple[_Node, ...]]:
    """Primes, whose character is raised already, and what is to be raised."""
    primes = tuple(node for node in above if node == _PRIME)
    return primes, tuple(node for node in above if node != _PRIME)


def _bracketed(side: tuple[_Node, ...]) -> tuple[_Node, ...]:
    """One side of a fraction that lies down, in parentheses where it is a sum."""
    is_sum = any(isinstance(node, _Char) and node.text in "+−" for node in side[1:])
    return _in_parentheses(side) if is_sum else side


_PRIME = _Char("′", Font.ROMAN)


# --- setting ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Placed:
    """A word or a character at its place, with y downward from the base line."""

    text: str
    font: Font
    size: float
    x: float
    y: float

    @property
    def width(self) -> float:
        italic = self.font in (Font.ITALIC, Font.BOLD_ITALIC)
        bold = 1.1 if self.font in (Font.BOLD, Font.BOLD_ITALIC) else 1.0
        letters = unicodedata.normalize("NFD", self.text)
        return bold * self.size * sum(advance(char, italic) for char in letters)


def _row(nodes: Iterable[_Node], size: float) -> Row:
    setter = _Setter(size)
    end = setter.row(tuple(nodes), 0.0, 0.0, 0)
    placed = setter.placed
    up = (ascent(char) * glyph.size - glyph.y for glyph in placed for char in glyph.text)
    down = (descent(char) * glyph.size + glyph.y for glyph in placed for char in glyph.text)
    return Row(tuple(_runs(placed)), end, max(up, default=0.0), max(0.0, *down, 0.0))


def _upright_fraction(fraction: _Fraction, size: float) -> Typeset:
    """The two sides above each other, with a bar between them as high as a minus sign."""
    top, bottom = _row(fraction.top, size), _row(fraction.bottom, size)
    room, axis = _BAR_ROOM * size, _BAR_HEIGHT * size
    up = max(_NUMERATOR * size, axis + room + top.descent)
    down = max(_DENOMINATOR * size, bottom.ascent + room - axis)
    return Typeset((top, bottom), (-up, down), max(top.width, bottom.width))


class _Setter:
    """Puts nodes at their places; a level is how deep in scripts they stand."""

    def __init__(self, size: float) -> None:
        self.size = size
        self.placed: list[_Placed] = []

    def scale(self, level: int) -> float:
        return self.size * _SCALES[min(level, len(_SCALES) - 1)]

    def row(self, nodes: tuple[_Node, ...], x: float, y: float, level: int) -> float:
        """Set nodes from ``x`` on, and say where they end."""
        before = ""
        for node in nodes:
            kind = _kind(node, before)
            x += _distance(before, kind) * self.scale(level) if level == 0 else 0.0
            x = self.node(node, x, y, level)
            before = kind
        return x

    def node(self, node: _Node, x: float, y: float, level: int) -> float:
        match node:
            case _Gap(width):
                return x + width * self.scale(level)
            case _Group(nodes):
                return self.row(nodes, x, y, level)
            case _Fraction(top, bottom):
                bar = _Char("/", Font.ROMAN)
                return self.row((*_bracketed(top), bar, *_bracketed(bottom)), x, y, level)
            case _Scripts():
                return self.scripts(node, x, y, level)
            case _Char(text, font) | _Word(text, font):
                self.placed.append(_Placed(text, font, self.scale(level), x, y))
                return x + self.placed[-1].width

    def scripts(self, node: _Scripts, x: float, y: float, level: int) -> float:
        """The nucleus, what stands above it and what stands below it, both from the nucleus's end on."""
        x = self.node(node.nucleus, x, y, level)
        em, lean = self.scale(level), _SLANT if _leans(node.nucleus) else 0.0
        primes, raised = _apart(node.above)
        ends = [x, self.row(primes, x + lean * em, y, level)]
        if raised:
            ends.append(self.row(raised, max(ends[-1], x + lean * em), y - _RAISED * em, level + 1))
        if node.below:
            drop = _LOWERED_BELOW_RAISED if node.above else _LOWERED
            ends.append(self.row(node.below, x, y + drop * em, level + 1))
        return max(ends) + _AFTER_SCRIPT * em


def _leans(node: _Node) -> bool:
    """Whether a letter leans over its superscript."""
    return isinstance(node, _Char) and node.font is Font.ITALIC and (node.text.isupper() or node.text == "f")


def _kind(node: _Node, before: str) -> str:
    """What a node is to its neighbours; a sign that follows none of them belongs to what comes after it."""
    if isinstance(node, _Scripts):
        return _kind(node.nucleus, before)
    if isinstance(node, _Word):
        return "word"
    text = node.text if isinstance(node, _Char) else ""
    kind = next((kind for kind, chars in _KINDS.items() if text and text in chars), "letter")
    return "sign" if kind == "binary" and before in ("", "opening", "binary", "relation", "comma") else kind


def _distance(left: str, right: str) -> float:
    """The room between two neighbours, after TeX's table."""
    if "" in (left, right) or left in ("sign", "opening") or right in ("closing", "comma"):
        return 0.0
    if "relation" in (left, right):
        return 0.278
    if "binary" in (left, right):
        return 0.222
    if left == "comma" or right == "word" or (left == "word" and right == "letter"):
        return 0.167
    return 0.0


def _runs(placed: list[_Placed]) -> list[Run]:
    """Neighbours in one font, size and height as one run; the pen's moves between runs."""
    x = y = 0.0
    runs: list[Run] = []
    for glyph in placed:
        dx, dy, size = round(glyph.x - x, 2) + 0.0, round(glyph.y - y, 2) + 0.0, round(glyph.size, 2)
        x, y = glyph.x + glyph.width, glyph.y
        if runs and (glyph.font, size, 0.0, 0.0) == (runs[-1].font, runs[-1].size, dx, dy):
            runs[-1] = replace(runs[-1], text=runs[-1].text + glyph.text)
        else:
            runs.append(Run(glyph.text, glyph.font, size, dx, dy))
    return runs
