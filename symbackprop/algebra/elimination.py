"""The derivative of an activation in terms of its output, found by eliminating the exponential.

With ``t`` for the exponential, ``a = f(z)`` and ``d = f'(z)`` are two polynomial equations in
``t``; their resultant is free of ``t`` and often linear in ``d``. That gives ``a (1 - a)`` for the
sigmoid and ``1 - a**2`` for tanh, and the like for any formula of that kind.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from symbackprop.algebra.calculus import derivative
from symbackprop.algebra.residues import divides, residues, same_value
from symbackprop.network import argument

Z = argument("z")
OUTPUT = argument("a")

_HYPERBOLIC = (sp.tanh, sp.sinh, sp.cosh)
_DEEPEST = 2
"""How deep exponentials may stand in each other: ``tanh(log(1 + exp(z)))`` has one left in the end."""


@cache
def derivative_from_output(formula: sp.Expr) -> sp.Expr | None:
    """The derivative of ``formula`` in ``OUTPUT`` (and ``Z`` where it can't be avoided), or ``None``.

    >>> derivative_from_output(1 / (1 + sp.exp(-Z)))
    a*(1 - a)
    >>> derivative_from_output(sp.log(1 + sp.exp(Z)))
    1 - exp(-a)
    >>> derivative_from_output(sp.sin(Z)) is None
    True
    """
    formula = sp.piecewise_fold(formula) if formula.has(sp.Piecewise) else formula
    if isinstance(formula, sp.Piecewise):
        return _branch_by_branch(formula)
    if nesting(formula) > _DEEPEST:
        return None
    formula = formula.rewrite(_HYPERBOLIC, sp.exp)
    slope = derivative(formula, Z)
    if slope.is_number:
        return slope
    return _eliminate(formula, slope)


def exponential_from_output(formula: sp.Expr) -> tuple[sp.Expr, sp.Expr] | None:
    """The exponential in ``formula``, and what it is in ``OUTPUT``; ``None`` unless there is one answer.

    >>> exponential_from_output(1 / (1 + sp.exp(-Z)))
    (exp(-z), (1 - a)/a)
    >>> exponential_from_output(sp.tanh(Z)) is None
    True
    """
    exponent = common_exponent(formula)
    if exponent is None:
        return None
    t = sp.Symbol("t", positive=True)
    output, inner = (sp.exp(OUTPUT), formula.args[0]) if isinstance(formula, sp.log) else (OUTPUT, formula)
    in_t = _in_terms_of(inner, exponent, t)
    if in_t is None or in_t.has(Z) or sp.degree(_numerator(output - in_t), t) != 1:
        return None
    slope, rest = sp.Poly(_numerator(output - in_t), t).all_coeffs()
    return sp.exp(exponent), sp.cancel(-rest / slope)


def nesting(expr: sp.Expr, known: dict[sp.Basic, int] | None = None) -> int:
    """How many exponentials stand in each other at most, counted over the distinct parts.

    >>> nesting(sp.exp(sp.tanh(Z)) + sp.exp(Z))
    2
    """
    known = {} if known is None else known
    if expr not in known:
        inside = max((nesting(arg, known) for arg in expr.args), default=0)
        known[expr] = inside + isinstance(expr, (sp.exp, *_HYPERBOLIC))
    return known[expr]


def _branch_by_branch(formula: sp.Piecewise) -> sp.Expr | None:
    slopes = [derivative_from_output(value) for value, _ in formula.args]
    if any(slope is None for slope in slopes):
        return None
    conditions = [condition for _, condition in formula.args]
    return sp.Piecewise(*zip(slopes, conditions, strict=True))


def _eliminate(formula: sp.Expr, slope: sp.Expr) -> sp.Expr | None:
    """``slope`` with the exponential taken out by way of ``formula``; ``None`` where that fails."""
    t, d = sp.Symbol("t", positive=True), sp.Symbol("d", real=True)
    exponent = common_exponent(formula, slope)
    if exponent is None:
        return None
    output, inner = (sp.exp(OUTPUT), formula.args[0]) if isinstance(formula, sp.log) else (OUTPUT, formula)
    in_t, slope_in_t = (_in_terms_of(expr, exponent, t) for expr in (inner, slope))
    if in_t is None or slope_in_t is None or in_t.has(Z) or not in_t.has(t):
        return None
    if not _follows(slope_in_t, in_t, t):
        return None
    b = sp.Symbol("b", real=True)
    resultant = sp.resultant(_numerator(b - in_t), _numerator(d - slope_in_t), t)
    for factor, _ in sp.factor_list(resultant)[1]:
        if sp.degree(factor, d) == 1:
            slope_of, rest = sp.Poly(factor, d).all_coeffs()
            return _tidy((-rest / slope_of).xreplace({b: output}))
    return None


def _follows(slope: sp.Expr, output: sp.Expr, t: sp.Symbol) -> bool:
    """Whether the slope is the same wherever the output is: only then is it a function of the output.

    The values of ``t`` with one output are the roots of a polynomial, and each of them has to be a root of
    what says that the slope is the same. That is a division, where a resultant of high powers takes seconds.

    >>> t = sp.Symbol("t", positive=True)
    >>> _follows(t**4 + 3 * t**2, t**2, t), _follows(2 * t * (t + 1), (t + 1) ** 2, t)
    (True, False)
    """
    fractions = residues(output, t, Z), residues(slope, t, Z)
    if None in fractions:
        return True
    same_output, same_slope = (same_value(fraction) for fraction in fractions if fraction is not None)
    return divides(same_output, same_slope)


def common_exponent(*exprs: sp.Expr) -> sp.Expr | None:
    """The ``u`` for which every exponential in the expressions is a power of ``exp(u)``."""
    exponents = sorted(set().union(*(expr.atoms(sp.exp) for expr in exprs)), key=sp.default_sort_key)
    # An exponent that holds an exponential is no multiple of that one's own: nothing has to be cancelled.
    if not exponents or any(exponential.args[0].has(sp.exp) for exponential in exponents):
        return None
    first = exponents[0].args[0]
    ratios = [sp.cancel(exponential.args[0] / first) for exponential in exponents]
    if not all(ratio.is_Rational for ratio in ratios):
        return None
    return first * sp.gcd_list(ratios) if len(ratios) > 1 else first


def in_powers(expr: sp.Expr, exponent: sp.Expr, t: sp.Symbol) -> sp.Expr:
    """An expression with every exponential as a power of ``t``, which stands for ``exp(exponent)``."""
    return expr.xreplace({e: t ** sp.cancel(e.args[0] / exponent) for e in expr.atoms(sp.exp)})


def _in_terms_of(expr: sp.Expr, exponent: sp.Expr, t: sp.Symbol) -> sp.Expr | None:
    replaced = in_powers(expr, exponent, t)
    return replaced if replaced.is_rational_function(t, Z) else None


def _numerator(expr: sp.Expr) -> sp.Expr:
    return sp.fraction(sp.together(expr))[0]


def _tidy(expr: sp.Expr) -> sp.Expr:
    """Expanded, with the common monomial in front: ``a (1 - a)``, and ``1 - a**2`` as it is."""
    number, rest = sp.factor_terms(sp.expand(sp.cancel(expr))).as_coeff_Mul()
    return number * rest if number.is_Integer else sp.expand_mul(number * rest, deep=False)
