r"""Breaks a long formula into rows: at a plus or minus that is as far outside as possible.

Rows after the first start with ``{}``, so that the sign they begin with keeps its spaces; delimiters
have fixed sizes and may open in one row and close in another.
"""

from __future__ import annotations

import math

import sympy as sp

from symbackprop.algebra.equations import Partial
from symbackprop.printing.latex import Printer
from symbackprop.printing.measure import rendered_width
from symbackprop.printing.pieces import signed
from symbackprop.printing.rows import INDENT, broken
from symbackprop.printing.symbols import Names

ARTICLE, SCREEN, SLIDE = 68.0, 60.0, 50.0
"""How many characters a line of an article holds, one in a narrow column on a screen, and one of a slide."""

_SHARES = (1.0, 0.6, 0.3)
"""How wide an upright fraction may be, in shares of a row, where the formula doesn't fit otherwise."""


def latex_rows(
    expr: sp.Basic, names: Names | None = None, budget: float = ARTICLE, most: float = math.inf
) -> list[str]:
    r"""An expression as rows of LaTeX, each at most ``budget`` characters wide where that can be.

    The caller counts what stands before the first row (a left side and ``=``) against the budget, and
    indents the others by up to ``INDENT`` characters. What takes more rows than ``most`` in any case need not
    be looked at from every side: there are no rows then.

    >>> w = sp.symbols("alpha beta gamma", real=True)
    >>> for row in latex_rows(sum(w), budget=9):
    ...     print(row)
    \sbpsymbol{\alpha} + \sbpsymbol{\beta}
    {} + \sbpsymbol{\gamma}
    """
    names = names or Names()
    if surely_takes_more(most, expr, budget):
        return []
    first = _attempt(expr, Printer(names), budget)
    if len(first) == 1 and _excess(first, names, budget) == 0:
        return first
    if sum(rendered_width(row, names.notation) for row in first) > most * budget:
        return []
    attempts = [first, *(_attempt(expr, Printer(names, widest=share * budget), budget) for share in _SHARES)]
    return min(attempts, key=lambda rows: (_excess(rows, names, budget), len(rows)))


def surely_takes_more(rows: float, expr: sp.Basic, budget: float) -> bool:
    """Whether an expression takes more than so many rows, told by what it is made of and not by its LaTeX."""
    return _least_width(expr, {}) > rows * budget


_ENTRY, _SIGN, _SUM, _BRACKET = 1.2, 1.2, 2.0, 2.5
"""What is never narrower, in a small size either: an entry, a plus or minus, a sum's sign, ``[j = k]``."""


def _least_width(node: sp.Basic, known: dict[sp.Basic, float]) -> float:
    """A width that an expression can't be below; a fraction is as wide as the longer one of its sides."""
    if node not in known:
        known[node] = _width_of_parts(node, known)
    return known[node]


def _width_of_parts(node: sp.Basic, known: dict[sp.Basic, float]) -> float:
    if isinstance(node, sp.KroneckerDelta):
        return _BRACKET
    if not node.args or isinstance(node, sp.Indexed | Partial):
        return 0.0 if node.is_Number else _ENTRY
    if isinstance(node, sp.Mul):
        below = [factor for factor in node.args if _is_inverse(factor)]
        above = [factor for factor in node.args if factor not in below]
        return max(sum(_least_width(factor, known) for factor in side) for side in (above, below))
    if isinstance(node, sp.Pow):
        return _least_width(node.base, known)
    if isinstance(node, sp.Sum):
        return _SUM + _least_width(node.function, known)
    signs = _SIGN * (len(node.args) - 1) if isinstance(node, sp.Add) else 0.0
    return signs + sum(_least_width(arg, known) for arg in node.args if isinstance(arg, sp.Expr))


def _is_inverse(factor: sp.Basic) -> bool:
    return isinstance(factor, sp.Pow) and bool(factor.exp.is_negative)


def _attempt(expr: sp.Basic, printer: Printer, budget: float) -> list[str]:
    return broken(signed(printer.whole(expr)), printer.names.notation, budget)


def _excess(rows: list[str], names: Names, budget: float) -> float:
    """By how much the widest row is too wide."""
    widths = [rendered_width(row, names.notation) for row in rows]
    return max(0.0, widths[0] - budget, *(width - budget + INDENT for width in widths[1:]))


__all__ = ["ARTICLE", "INDENT", "SCREEN", "SLIDE", "latex_rows", "surely_takes_more"]
