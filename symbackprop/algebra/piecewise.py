"""Formulas by cases: choices between expressions as SymPy ``Piecewise``, each condition a plain comparison.

SymPy would write max, sign and their like with functions whose derivatives hold Heaviside's step or
Dirac's delta. Cases have the derivative that everybody uses instead: that of the case which holds.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import prod

import sympy as sp

from symbackprop.algebra.indices import cases

_MOST_CASES = 16

Relation = Callable[[sp.Expr, sp.Expr], sp.Basic]


def choose(relation: Relation, left: sp.Expr, right: sp.Expr, yes: sp.Expr, no: sp.Expr) -> sp.Expr:
    """``yes`` where ``relation`` holds between ``left`` and ``right``, else ``no``.

    Cases inside the things compared move outside, so that every condition stays a plain comparison.

    >>> z = sp.Symbol("z", real=True)
    >>> choose(sp.Gt, z, sp.Integer(0), z, sp.Integer(0))
    Piecewise((z, z > 0), (0, True))
    """
    inner = (left.atoms(sp.Piecewise) | right.atoms(sp.Piecewise)) if _has_cases(left, right) else set()
    if prod(len(cases.args) for cases in inner) > _MOST_CASES:
        raise ValueError("what is compared here has too many cases of its own: split the formula up")
    if any(total.has(sp.Piecewise) for side in (left, right) for total in side.atoms(sp.Sum)):
        raise ValueError("a comparison with a sum whose terms have cases is not covered")
    return _choose(relation, left, right, yes, no)


def _has_cases(*sides: sp.Expr) -> bool:
    return any(side.has(sp.Piecewise) for side in sides)


def _choose(relation: Relation, left: sp.Expr, right: sp.Expr, yes: sp.Expr, no: sp.Expr) -> sp.Expr:
    outer = _outermost(left) or _outermost(right)
    if outer is None and not left.free_symbols and not right.free_symbols:
        return yes if _constants_compare(relation, left, right) else no
    if outer is None:
        return _flat([(yes, relation(*_without_fractions(left, right))), (no, sp.true)])
    branches = []
    for case, condition in outer.args:
        sides = [part.xreplace({outer: case}) for part in (left, right, yes, no)]
        branches.append((_choose(relation, *sides), condition))
    return _flat(branches)


def _without_fractions(left: sp.Expr, right: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """Both sides times a whole number: SymPy recurses without end on ``9/10*(y - a) > (a - y)/10``."""
    if not (left.free_symbols and right.free_symbols):
        return left, right
    terms = (*sp.Add.make_args(sp.expand_mul(left)), *sp.Add.make_args(sp.expand_mul(right)))
    factor = sp.ilcm(1, *(term.as_coeff_Mul()[0].q for term in terms if term.as_coeff_Mul()[0].is_Rational))
    return (left, right) if factor == 1 else (sp.expand_mul(factor * left), sp.expand_mul(factor * right))


def _constants_compare(relation: Relation, left: sp.Expr, right: sp.Expr) -> bool:
    """Compare in numbers: SymPy would go on for any number of digits until it sees a difference."""
    difference = sp.N(left - right, 30)
    if left != right and abs(difference) < 1e-12:
        raise ValueError("two constants are compared here that are too close to each other")
    return bool(relation(difference, 0))


def _outermost(expr: sp.Expr) -> sp.Piecewise | None:
    if isinstance(expr, sp.Piecewise):
        return expr
    return next((found for arg in expr.args if (found := _outermost(arg)) is not None), None)


def _flat(branches: list[tuple[sp.Expr, sp.Basic]]) -> sp.Expr:
    """Cases in order; the cases of the last branch follow the others instead of standing inside it.

    Not so where two neighbours would differ by a constant: SymPy joins cases with equal values, or
    equal derivatives, under one condition with "or" in it.
    """
    last, condition = branches[-1]
    if condition is sp.true and isinstance(last, sp.Piecewise):
        joined = [*branches[:-1], *((case, when) for case, when in last.args)]
        if all((one - other).free_symbols for (one, _), (other, _) in pairwise(joined)):
            branches = joined
    return cases(branches)


def larger(left: sp.Expr, right: sp.Expr) -> sp.Expr:
    """The larger of two; a constant is the case that stays when both are equal.

    >>> larger(sp.Integer(0), sp.Symbol("z", real=True))
    Piecewise((z, z > 0), (0, True))
    """
    left, right = (right, left) if not left.free_symbols else (left, right)
    return choose(sp.Gt, left, right, left, right)


def smaller(left: sp.Expr, right: sp.Expr) -> sp.Expr:
    """The smaller of two; a constant is the case that stays when both are equal."""
    left, right = (right, left) if not left.free_symbols else (left, right)
    return choose(sp.Lt, left, right, left, right)


def absolute(value: sp.Expr) -> sp.Expr:
    """The absolute value, by SymPy's own ``Abs`` wherever its derivative is a plain ``sign``."""
    if value.is_extended_real and not value.has(sp.Piecewise):
        return sp.Abs(value)
    return choose(sp.Lt, value, sp.Integer(0), -value, value)


def sign(value: sp.Expr) -> sp.Expr:
    """-1, 0 or 1 by cases."""
    negative = choose(sp.Lt, value, sp.Integer(0), sp.Integer(-1), sp.Integer(0))
    return choose(sp.Gt, value, sp.Integer(0), sp.Integer(1), negative)
