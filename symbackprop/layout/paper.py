r"""How displays are set on paper: which of them make one, and where a page may end.

A page ends between two derivations, or else well inside a long one, where much of it would stay empty
otherwise: neither the first lines of a derivation nor its last ones stand on a page by themselves, and a
short one is not cut at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from symbackprop.layout.blocks import Chain, Link, Row
from symbackprop.notation.notation import Notation
from symbackprop.notation.words import Words
from symbackprop.printing.linebreak import ARTICLE
from symbackprop.printing.measure import rendered_width
from symbackprop.rendering.prose import parts

Counted = tuple[Chain, int]
"""A chain and how many lines it takes."""

Groups = Sequence[Sequence[Chain]]
"""Displays that are one on paper, as the chains of each."""

LINKS = ("matrix_form", "index_form")
"""The forms that a line may refer to."""

UNCUT = 4
"""A derivation of up to so many lines stays on one page."""

_TOGETHER = 2
_SIGN, _APART = 3.0, 6.0
_REASON = 0.8
_NUMBER = 4.0
_STAYS, _MAY_END = r"\\*", r"\\"
_WIDE, _NARROW = "[8pt]", "[2pt]"
_BETWEEN = r"\displaybreak[0] \\"


class Room(NamedTuple):
    """How wide a reference to the same line in another form is: by itself, and behind a reason."""

    alone: float = 0.0
    behind: float = 0.0

    def beside(self, reason: str, notation: Notation) -> float:
        """How wide a reason comes out with a reference behind it."""
        return reason_width(reason, notation) + self.behind if reason else self.alone


NO_ROOM = Room()


def reason_width(reason: str, notation: Notation) -> float:
    """How wide a reason comes out, which is set in a small size."""
    widths = (rendered_width(text, notation) if formula else len(text) for text, formula in parts(reason))
    return _REASON * sum(widths)


def link_room(words: Words, notation: Notation) -> Room:
    """How wide references to the same line in another form come out, with numbers in parentheses."""
    alone = max(reason_width(words.reason(form), notation) for form in LINKS) + _NUMBER
    return Room(alone, reason_width(words.reason("see", reason=""), notation) + _NUMBER)


def referring(link: Link, reason: str, words: Words) -> str:
    """The words before the number of the same line in another form: its form, or the row's own reason.

    >>> from symbackprop.notation.words import load_words
    >>> referring(Link("index_form", "delta-1"), "chain rule", load_words())
    'chain rule, cf.'
    """
    return words.reason("see", reason=reason) if reason else words.reason(link.form)


# --- how wide columns are ----------------------------------------------------------------------------


class Widths(NamedTuple):
    """How wide a line is on the left and on the right of its sign, and what stands beside it."""

    left: float
    right: float
    beside: float


def widths(chains: Iterable[Chain], notation: Notation, room: Room, every: bool = False) -> Iterator[Widths]:
    """The widths of every line; ``every`` is set where any chain may refer to another line."""
    for chain in chains:
        left = rendered_width(chain.left, notation)
        for row in chain.rows:
            refers = row is chain.rows[-1] and (every or chain.link is not None)
            yield from _widths(
                row, left, (room if refers else NO_ROOM).beside(row.reason, notation), notation
            )


def _widths(row: Row, left: float, beside: float, notation: Notation) -> Iterator[Widths]:
    """The lines of a row: what explains it stands beside the last one."""
    rights = [rendered_width(line, notation) for line in row.lines]
    yield from (Widths(left, right, 0.0) for right in rights[:-1])
    yield Widths(left, rights[-1], beside)


@dataclass(frozen=True)
class Columns:
    """Columns that hold some lines: ``right`` those with something beside them, ``longest`` any line."""

    left: float
    right: float
    beside: float
    longest: float

    @classmethod
    def of(cls, lines: Iterable[Widths]) -> Columns:
        """The columns of lines: a line with nothing beside it may run on where others have reasons."""
        found = list(lines)
        beside = max(line.beside for line in found)
        explained = [line.right for line in found if line.beside or not beside]
        return cls(max(w.left for w in found), max(explained), beside, max(w.right for w in found))

    @property
    def fit(self) -> bool:
        """Whether they fit side by side on a line of an article."""
        across = max(self.right + self.beside, self.longest)
        return self.left + across + _SIGN + _APART <= ARTICLE


def fits_in_one(chains: Iterable[Chain], notation: Notation, room: Room = NO_ROOM) -> bool:
    """Whether the columns of some chains fit side by side on a line of an article."""
    return Columns.of(widths(chains, notation, room)).fit


def side_by_side(displays: Groups, notation: Notation, room: Room = NO_ROOM) -> list[list[Sequence[Chain]]]:
    """Displays with no words between them, in groups that are one display on paper.

    Their signs stand under each other then, and their reasons too. ``room`` is how wide a link is.
    """
    groups: list[list[Sequence[Chain]]] = []
    for chains in displays:
        together = [chain for one in (groups[-1] if groups else []) for chain in one]
        if together and fits_in_one([*together, *chains], notation, room):
            groups[-1].append(chains)
        else:
            groups.append([chains])
    return groups


def aligned(groups: Sequence[Groups], notation: Notation, room: Room = NO_ROOM) -> list[bool]:
    """Which displays of a section share their columns: all of them, but for some that are too wide for it."""
    lines = [[*widths((c for chains in group for c in chains), notation, room)] for group in groups]
    shared = [*range(len(groups))]
    while shared and not Columns.of(line for at in shared for line in lines[at]).fit:
        shared.remove(max(shared, key=lambda at: (Columns.of(lines[at]).longest, -at)))
    return [at in shared for at in range(len(groups))]


# --- how lines end -----------------------------------------------------------------------------------


def line_ends(groups: Sequence[Sequence[Counted]]) -> Iterator[str]:
    """How each line but the last of a display ends: whether a page may end there, and the space after it."""
    numbered = [(number, *counted) for number, chains in enumerate(groups) for counted in chains]
    for at, (group, chain, count) in enumerate(numbered):
        yield from (_within(line, count) for line in range(1, count))
        if at + 1 < len(numbered):
            next_group, after, lines = numbered[at + 1]
            several = count > 1 or lines > 1
            yield _BETWEEN + (_WIDE if several or group != next_group else _space(chain, after))


def _within(line: int, count: int) -> str:
    """The end of a line inside a derivation of some lines."""
    inside = _TOGETHER <= line <= count - _TOGETHER
    return _MAY_END if count > UNCUT and inside else _STAYS


def _space(chain: Chain, after: Chain) -> str:
    """The space between two single lines: a little more where both have a box."""
    return _NARROW if chain.rows[-1].boxed and after.rows[-1].boxed else ""
