r"""Breaks a long formula into rows: at a plus or minus that is as far outside as possible.

Rows after the first start with ``{}``, so that the sign they begin with keeps its spaces; delimiters
have fixed sizes and may open in one row and close in another.
"""

from __future__ import annotations

import sympy as sp

from symbackprop.printing.latex import Printer
from symbackprop.printing.measure import rendered_width
from symbackprop.printing.pieces import signed
from symbackprop.printing.rows import INDENT, broken
from symbackprop.printing.symbols import Names

ARTICLE, SCREEN, SLIDE = 68.0, 60.0, 50.0
"""How many characters a line of an article holds, one in a narrow column on a screen, and one of a slide."""

_SHARES = (1.0, 0.6, 0.3)
"""How wide an upright fraction may be, in shares of a row, where the formula doesn't fit otherwise."""


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
    first = _attempt(expr, Printer(names), budget)
    if len(first) == 1 and _excess(first, names, budget) == 0:
        return first
    attempts = [first, *(_attempt(expr, Printer(names, widest=share * budget), budget) for share in _SHARES)]
    return min(attempts, key=lambda rows: (_excess(rows, names, budget), len(rows)))


def _attempt(expr: sp.Basic, printer: Printer, budget: float) -> list[str]:
    return broken(signed(printer.whole(expr)), printer.names.notation, budget)


def _excess(rows: list[str], names: Names, budget: float) -> float:
    """By how much the widest row is too wide."""
    widths = [rendered_width(row, names.notation) for row in rows]
    return max(0.0, widths[0] - budget, *(width - budget + INDENT for width in widths[1:]))


__all__ = ["ARTICLE", "INDENT", "SCREEN", "SLIDE", "latex_rows"]
