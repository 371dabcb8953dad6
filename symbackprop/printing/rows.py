"""Which tokens of a formula share a row: the cheapest way to break it, found by looking at all of them."""

from __future__ import annotations

import math
from itertools import pairwise

from symbackprop.notation.notation import Notation
from symbackprop.printing.measure import rendered_width
from symbackprop.printing.pieces import Token, source

INDENT = 4.0
"""How far rows after the first may be indented, in characters."""

_TOO_WIDE = 100.0
_ROW = 3.0
_QUAD, _DEEPEST = 2.0, 3


def broken(tokens: tuple[Token, ...], notation: Notation, budget: float) -> list[str]:
    r"""The cheapest rows: few, broken far outside, none too wide.

    >>> from symbackprop.notation.notation import load_notation
    >>> tokens = (Token("a"), Token("+", 0, "{}"), Token("b"), Token("-", 0, "{}"), Token("c"))
    >>> broken(tokens, load_notation(), 9)
    ['a + b', '{} - c']
    """
    starts = [0, *(at for at, token in enumerate(tokens) if at and token.cost is not None), len(tokens)]
    widths = [_width(tokens[a:b], notation) for a, b in pairwise(starts)]
    best: list[tuple[float, int]] = [(0.0, 0)]
    for end in range(1, len(starts)):
        candidates = _candidates(tokens, starts, widths, best, end, budget)
        best.append(min(candidates, key=lambda found: (found[0], -found[1])))
    cuts, at = [], len(starts) - 1
    while at:
        cuts.append(at)
        at = best[at][1]
    rows = [0, *reversed(cuts)]
    return [_row(tokens[starts[a] : starts[b]], first=a == 0) for a, b in pairwise(rows)]


def _candidates(
    tokens: tuple[Token, ...],
    starts: list[int],
    widths: list[float],
    best: list[tuple[float, int]],
    end: int,
    budget: float,
) -> list[tuple[float, int]]:
    """What it costs to end a row at ``end``, for each place where that row may start."""
    found, width = [], 0.0
    for begin in range(end - 1, -1, -1):
        width += widths[begin]
        room = budget if begin == 0 else budget - INDENT - _QUAD * _inside(tokens[starts[begin]])
        excess = max(0.0, width - room)
        break_cost = _ROW + 2.0 * (tokens[starts[begin]].cost or 0) if begin else 0.0
        found.append((best[begin][0] + break_cost + _TOO_WIDE * excess, begin))
        if excess > 0 and begin < end - 1:
            break
    return found


def _width(tokens: tuple[Token, ...], notation: Notation) -> float:
    """The width of some tokens side by side."""
    return math.fsum(rendered_width(token.tex, notation) for token in tokens)


def _inside(token: Token) -> int:
    """How many pairs of delimiters a row that starts here is inside of: it is indented further for each."""
    return min(token.inside, _DEEPEST)


def _row(tokens: tuple[Token, ...], first: bool) -> str:
    text = source(tokens)
    if first:
        return text
    return " ".join((*[r"\quad"] * _inside(tokens[0]), *([tokens[0].lead] if tokens[0].lead else []), text))
