r"""How displays are set on paper: which of them make one, and where a page may end.

A page ends between two derivations, or else well inside a long one, where much of it would stay empty
otherwise: neither the first lines of a derivation nor its last ones stand on a page by themselves, and a
short one is not cut at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from symbackprop.notation.notation import Notation
from symbackprop.notation.words import Words
from symbackprop.printing.linebreak import ARTICLE
from symbackprop.printing.measure import rendered_width
from symbackprop.rendering.prose import parts

if TYPE_CHECKING:
    from symbackprop.layout.document import Chain

Counted = tuple["Chain", int]
"""A chain and how many lines it takes."""

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
_LINK_BELOW = r"\\*[-4pt]"
_BETWEEN = r"\displaybreak[0] \\"


def reason_width(reason: str, notation: Notation) -> float:
    """How wide a reason comes out, which is set in a small size."""
    widths = (rendered_width(text, notation) if formula else len(text) for text, formula in parts(reason))
    return _REASON * sum(widths)


def link_width(words: Words, notation: Notation) -> float:
    """How wide a reference to the same line in another form comes out, with its number in parentheses."""
    return max(reason_width(words.reason(form), notation) for form in LINKS) + _NUMBER


def columns(chains: Sequence[Chain], notation: Notation, link: float) -> Iterator[tuple[float, float, float]]:
    """How wide the left side, the right side and the reason of each row are; a link is one at the least."""
    for chain in chains:
        left = rendered_width(chain.left, notation)
        for row in chain.rows:
            right = max(rendered_width(line, notation) for line in row.lines)
            yield left, right, max(reason_width(row.reason, notation), link)


def side_by_side(
    displays: Sequence[Sequence[Chain]], notation: Notation, link: float = 0.0
) -> list[list[Sequence[Chain]]]:
    """Displays with no words between them, in groups that are one display on paper.

    Their signs stand under each other then, and their reasons too. ``link`` is how wide a link is.
    """
    groups: list[list[Sequence[Chain]]] = []
    for chains in displays:
        together = [chain for one in (groups[-1] if groups else []) for chain in one]
        if together and fits_in_one([*together, *chains], notation, link):
            groups[-1].append(chains)
        else:
            groups.append([chains])
    return groups


def fits_in_one(chains: Sequence[Chain], notation: Notation, link: float = 0.0) -> bool:
    """Whether the columns of some chains fit side by side on a line of an article."""
    linked = any(chain.link is not None for chain in chains)
    lefts, rights, reasons = zip(*columns(chains, notation, link if linked else 0.0), strict=True)
    widest: float = max(lefts) + max(rights) + max(reasons)
    return widest + _SIGN + _APART <= ARTICLE


def line_ends(groups: Sequence[Sequence[Counted]]) -> Iterator[str]:
    """How each line but the last of a display ends: whether a page may end there, and the space after it."""
    numbered = [(number, *counted) for number, chains in enumerate(groups) for counted in chains]
    for at, (group, chain, count) in enumerate(numbered):
        apart = chain.link is not None and count > sum(len(row.lines) for row in chain.rows)
        yield from (_within(line, count) for line in range(1, count - apart))
        if apart:
            yield _LINK_BELOW
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
