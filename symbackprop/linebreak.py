r"""Breaks a long formula into rows: at a plus or minus that is as far outside as possible.

Rows after the first start with ``{}``, so that the sign they begin with keeps its spaces; delimiters
have fixed sizes and may open in one row and close in another.
"""

from __future__ import annotations

import math
from itertools import pairwise

import sympy as sp

from symbackprop.latex import Printer
from symbackprop.measure import rendered_width
from symbackprop.pieces import Token, signed, source
from symbackprop.symbols import Names

ARTICLE = 70.0
"""How many characters a line of an article holds; a slide holds about 50."""

INDENT = 4.0
"""How far rows after the first may be indented, in characters."""

_SHARES = (1.0, 0.6, 0.3)
"""How wide an upright fraction may be, in shares of a row, where the formula doesn't fit otherwise."""

_TOO_WIDE = 100.0
_ROW = 3.0


def latex_rows(expr: sp.Basic, names: Names | None = None, budget: float = ARTICLE) -> list[str]:
    r"""An expression as rows of LaTeX, each at most ``budget`` characters wide where that can be.

    The caller counts what stands before the first row (a left side and ``=``) against the budget, and
    indents the others by up to ``INDENT`` characters.

    >>> w = sp.symbols("alpha beta gamma", real=True)
    >>> for row in latex_rows(sum(w), budget=9):
    ...     print(row)
    \sbpsymbol{\alpha} + \sbpsymbol{\beta}
    {} + \sbpsymbol{\gamma}
    """
    names = names or Names()
    attempts = [_attempt(expr, Printer(names), budget)]
    for share in _SHARES:
        if _excess(attempts[-1], names, budget) == 0:
            return attempts[-1]
        attempts.append(_attempt(expr, Printer(names, widest=share * budget), budget))
    return min(attempts, key=lambda rows: _excess(rows, names, budget))


def _attempt(expr: sp.Basic, printer: Printer, budget: float) -> list[str]:
    return _broken(signed(printer.whole(expr)), printer, budget)


def _excess(rows: list[str], names: Names, budget: float) -> float:
    """By how much the widest row is too wide."""
    widths = [rendered_width(row, names.notation) for row in rows]
    return max(0.0, widths[0] - budget, *(width - budget + INDENT for width in widths[1:]))


def _broken(tokens: tuple[Token, ...], printer: Printer, budget: float) -> list[str]:
    """The cheapest rows: few, broken far outside, none too wide."""
    starts = [0, *(at for at, token in enumerate(tokens) if at and token.cost is not None), len(tokens)]
    widths = [printer_width(tokens[a:b], printer) for a, b in pairwise(starts)]
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
        room = budget if begin == 0 else budget - INDENT
        excess = max(0.0, width - room)
        break_cost = _ROW + 2.0 * (tokens[starts[begin]].cost or 0) if begin else 0.0
        found.append((best[begin][0] + break_cost + _TOO_WIDE * excess, begin))
        if excess > 0 and begin < end - 1:
            break
    return found


def printer_width(tokens: tuple[Token, ...], printer: Printer) -> float:
    """The width of some tokens side by side."""
    return math.fsum(rendered_width(token.tex, printer.names.notation) for token in tokens)


def _row(tokens: tuple[Token, ...], first: bool) -> str:
    text = source(tokens)
    return text if first or not tokens[0].lead else f"{tokens[0].lead} {text}"
