"""Where a formula has two slopes, and what its derivative is taken to be there.

At an edge, where two cases meet or an absolute value turns, the derivative is that of the case that the
formula gives there, and 0 for an absolute value. Text and code have the same formula, so both do that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, product

import sympy as sp

from symbackprop.algebra.calculus import derivative

_STRICT = (sp.StrictGreaterThan, sp.StrictLessThan, sp.Unequality)
_GRID = [sp.Rational(number, 8) for number in range(-81, 82, 2)]
_OTHERS = (sp.Rational(7, 10), sp.Rational(-6, 5), sp.Rational(19, 10))
_STEP, _JUMP, _ZERO = sp.Rational(1, 10**7), 1e-4, 1e-9


@dataclass(frozen=True)
class Kink:
    """``left = right`` is where the slope jumps, and ``slope`` what it is taken to be there."""

    left: sp.Expr
    right: sp.Expr
    slope: sp.Expr


def kinks(formula: sp.Expr, wrt: sp.Expr) -> list[Kink]:
    """The edges of a formula at which its derivative by one variable jumps.

    >>> a, y = sp.symbols("a y", real=True)
    >>> kinks(sp.Abs(a - y), a)
    [Kink(left=a, right=y, slope=0)]
    >>> kinks(sp.Piecewise((a**2, a > 0), (0, True)), a)
    []
    """
    slope = derivative(formula, wrt)
    found = [Kink(left, right, _at_edge(slope, left - right)) for left, right in _edges(formula, wrt)]
    return [kink for kink in found if _jumps(slope, kink, wrt)]


def _edges(formula: sp.Expr, wrt: sp.Expr) -> Iterator[tuple[sp.Expr, sp.Expr]]:
    """Both sides of each edge, in the order of the formula, each edge once."""
    seen: set[sp.Expr] = set()
    for node in sp.preorder_traversal(formula):
        sides = None
        if isinstance(node, sp.core.relational.Relational):
            sides = (node.lhs, node.rhs)
        elif isinstance(node, sp.Abs):
            sides = _apart(node.args[0])
        if sides is not None and (sides[0] - sides[1]).has(wrt):
            difference = sp.expand(sides[0] - sides[1])
            if difference not in seen and -difference not in seen:
                seen.add(difference)
                yield sides


def _apart(difference: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """a - y = 0 as a = y."""
    terms = sp.Add.make_args(difference)
    negative = [term for term in terms if term.could_extract_minus_sign()]
    if not negative or len(negative) == len(terms):
        return difference, sp.S.Zero
    return sp.Add(*(t for t in terms if t not in negative)), -sp.Add(*negative)


def _at_edge(slope: sp.Expr, difference: sp.Expr) -> sp.Expr:
    """The derivative where the difference of two sides is 0."""
    difference = sp.expand(difference)

    def decided(node: sp.Basic) -> sp.Basic | None:
        if isinstance(node, sp.core.relational.Relational):
            if sp.expand(node.lhs - node.rhs) in (difference, -difference):
                return sp.false if isinstance(node, _STRICT) else sp.true
        elif isinstance(node, sp.sign | sp.Abs) and sp.expand(node.args[0]) in (difference, -difference):
            return sp.S.Zero
        return None

    settled = {node: value for node in sp.preorder_traversal(slope) if (value := decided(node)) is not None}
    return slope.xreplace(settled)


def _jumps(slope: sp.Expr, kink: Kink, wrt: sp.Expr) -> bool:
    """Whether the slope differs on both sides of the edge, at one of some places on it."""
    difference = sp.expand(kink.left - kink.right)
    others = sorted({*_variables(slope), *_variables(difference)} - {wrt}, key=str)
    for turn in range(len(_OTHERS)):
        values = {other: _OTHERS[(turn + place) % len(_OTHERS)] for place, other in enumerate(others)}
        across = slope.xreplace(values)
        if any(_differs(across, wrt, root) for root in _roots(difference.xreplace(values), wrt)):
            return True
    return False


def _variables(expr: sp.Expr) -> set[sp.Expr]:
    """The entries of an expression, and those of its symbols that are no part of an entry."""
    entries = expr.atoms(sp.Indexed)
    parts = set().union(*(entry.free_symbols for entry in entries))
    return {*entries, *(expr.free_symbols - parts - entries)}


def _roots(difference: sp.Expr, wrt: sp.Expr) -> list[sp.Expr]:
    """Where a difference of one variable is 0: exactly if it is linear, else between points of a grid."""
    if difference.has(sp.Abs):
        return _roots_of_absolute(difference, wrt)
    slope = sp.diff(difference, wrt)
    if slope.is_number:
        return [sp.expand(wrt - difference / slope)] if slope != 0 else []
    value = sp.lambdify(wrt, difference, "math")
    signs = [(at, _sign_of(value, at)) for at in _GRID]
    pairs = [(low, high) for (low, one), (high, other) in pairwise(signs) if one * other < 0]
    return [_bisected(value, low, high) for low, high in pairs]


def _roots_of_absolute(difference: sp.Expr, wrt: sp.Expr) -> list[sp.Expr]:
    """The roots with every |u| as u or as -u, of those that are roots."""
    sizes = sorted(difference.atoms(sp.Abs), key=str)
    found = []
    for signs in product((1, -1), repeat=len(sizes)):
        turned = {size: sign * size.args[0] for size, sign in zip(sizes, signs, strict=True)}
        roots = _roots(sp.expand(difference.xreplace(turned)), wrt)
        found += [root for root in roots if abs(difference.xreplace({wrt: root}).evalf()) < _ZERO]
    return found


def _sign_of(value: Callable[[float], float], at: sp.Expr) -> float:
    try:
        return math.copysign(1.0, value(float(at)))
    except (ArithmeticError, ValueError):
        return 0.0


def _bisected(value: Callable[[float], float], low: sp.Expr, high: sp.Expr) -> sp.Expr:
    below = _sign_of(value, low)
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _sign_of(value, middle) == below else (low, middle)
    return low


def _differs(slope: sp.Expr, wrt: sp.Expr, root: sp.Expr) -> bool:
    left, right = (slope.xreplace({wrt: root + by}).doit().evalf() for by in (-_STEP, _STEP))
    finite = bool(left.is_finite) and bool(right.is_finite)
    return finite and bool(abs(left - right) > _JUMP * max(1, abs(left)))
