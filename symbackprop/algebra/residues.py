"""Rational functions of one variable with residues of a large prime for numbers: quick, and of fixed size.

What holds there for a number that was chosen once holds for rational numbers but for one case in 10^17,
and what doesn't hold there doesn't hold for them. Numbers that are no fractions have no residue.
"""

from __future__ import annotations

from functools import reduce

import sympy as sp
from sympy.polys.domains import ZZ
from sympy.polys.galoistools import (
    gf_add,
    gf_eval,
    gf_gcd,
    gf_mul,
    gf_mul_ground,
    gf_pow,
    gf_quo,
    gf_rem,
    gf_sub,
)

Polynomial = list[int]
"""Coefficients, that of the highest power first."""

Fraction = tuple[Polynomial, Polynomial]

PRIME = 2**61 - 1
_PLACE = 1_234_567_891_011_121
_OTHER = 987_654_321_012_345
"""Any numbers: a value of the variable, and one of what else stands in the function."""


def residues(expr: sp.Expr, t: sp.Symbol, other: sp.Symbol) -> Fraction | None:
    """A rational function of ``t`` as its numerator and denominator; ``None`` where it has no residues.

    >>> t, z = sp.symbols("t z")
    >>> residues((t + 1) ** 2 / t, t, z)
    ([1, 2, 1], [1, 0])
    >>> residues(sp.sqrt(2) * t, t, z) is None
    True
    """
    if expr == t:
        return [1, 0], [1]
    if expr == other:
        return [_OTHER], [1]
    if isinstance(expr, sp.Rational) and expr.q % PRIME:
        return _polynomial(expr.p), _polynomial(expr.q)
    if isinstance(expr, sp.Pow) and expr.exp.is_Integer:
        base = residues(expr.base, t, other)
        return None if base is None else _power(base, int(expr.exp))
    if isinstance(expr, sp.Add | sp.Mul):
        parts = [residues(arg, t, other) for arg in expr.args]
        together = _sum if isinstance(expr, sp.Add) else _product
        return None if None in parts else reduce(together, [part for part in parts if part is not None])
    return None


def same_value(fraction: Fraction) -> Polynomial:
    """The polynomial whose roots are all places at which a function has the value that it has at one.

    >>> t, z = sp.symbols("t z")
    >>> len(same_value(([1, 0, 0], [1])))
    3
    """
    above, below = _reduced(fraction)
    here = [gf_eval(polynomial, _PLACE, PRIME, ZZ) for polynomial in (above, below)]
    left, right = (gf_mul_ground(p, c, PRIME, ZZ) for p, c in ((above, here[1]), (below, here[0])))
    found: Polynomial = gf_sub(left, right, PRIME, ZZ)
    return found


def divides(divisor: Polynomial, polynomial: Polynomial) -> bool:
    """Whether a polynomial is a multiple of another, which isn't 0."""
    return bool(divisor) and not gf_rem(polynomial, divisor, PRIME, ZZ)


def _polynomial(number: int) -> Polynomial:
    return [number % PRIME] if number % PRIME else []


def _power(base: Fraction, exponent: int) -> Fraction | None:
    above, below = base if exponent >= 0 else (base[1], base[0])
    if not below:
        return None
    return tuple(gf_pow(side, abs(exponent), PRIME, ZZ) for side in (above, below))


def _product(left: Fraction, right: Fraction) -> Fraction:
    return gf_mul(left[0], right[0], PRIME, ZZ), gf_mul(left[1], right[1], PRIME, ZZ)


def _sum(left: Fraction, right: Fraction) -> Fraction:
    if left[1] == right[1]:
        return gf_add(left[0], right[0], PRIME, ZZ), left[1]
    first, second = gf_mul(left[0], right[1], PRIME, ZZ), gf_mul(right[0], left[1], PRIME, ZZ)
    return gf_add(first, second, PRIME, ZZ), gf_mul(left[1], right[1], PRIME, ZZ)


def _reduced(fraction: Fraction) -> Fraction:
    common = gf_gcd(*fraction, PRIME, ZZ)
    return gf_quo(fraction[0], common, PRIME, ZZ), gf_quo(fraction[1], common, PRIME, ZZ)
