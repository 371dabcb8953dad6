"""0/0 in a product: s (f + g/a) where s vanishes together with a, multiplied out so that both cancel."""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from symbackprop.algebra.calculus import derivative
from symbackprop.algebra.elimination import Z
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.algebra.indices import split_product
from symbackprop.algebra.rules import Context, factor_out, output_entry, powers
from symbackprop.numerics.forms import LogAbsExpm1, LogOneMinusExp, Softplus
from symbackprop.numerics.logarithms import (
    SATURATING,
    Definitions,
    exp_of_logarithms,
    logarithm,
    one_minus_erf,
    with_definitions,
)


def cancelled(node: sp.Expr, definitions: Definitions) -> sp.Expr:
    """A product multiplied out where that takes a small factor and its inverse together.

    >>> a, y = sp.symbols("a y", real=True)
    >>> a, y = (sp.IndexedBase(name, real=True)[sp.Symbol("j", integer=True)] for name in "ay")
    >>> cancelled(a * (y / a - 1), {})
    -a[j] + y[j]
    """
    factors = split_product(node)
    for base, small in _vanishing(factors, definitions):
        large = next((f for f in factors if f != small and isinstance(f, sp.Add) and divides(base, f)), None)
        if large is not None:
            rest = [factor for factor in factors if factor != large]
            return sp.Add(*(cancelled(sp.Mul(term, *rest), definitions) for term in large.args))
    return _with_slope(factors, definitions) if isinstance(node, sp.Mul) else node


def _vanishing(factors: tuple[sp.Expr, ...], definitions: Definitions) -> Iterator[tuple[sp.Expr, sp.Expr]]:
    """What may be 0 by rounding, a or 1 - a, with the factor that is small where it is."""
    for factor in factors:
        base, exponent = factor.as_base_exp()
        if _is_share(base) and exponent.is_positive:
            yield base, factor
        entry = _exponent_of_difference(factor)
        if entry is not None:
            yield entry, factor
        output = _output(factor, definitions)
        if output is not None:
            yield from ((output, factor), (1 - output, factor))


def _is_share(base: sp.Expr) -> bool:
    return isinstance(base, sp.Indexed) or isinstance(1 - base, sp.Indexed)


def _exponent_of_difference(factor: sp.Expr) -> sp.Indexed | None:
    """a for 1 - exp(c a)."""
    if not isinstance(factor, sp.Add) or len(factor.args) != 2:
        return None
    number, rest = factor.as_coeff_Add()
    exponential = -rest / number if number else rest
    inner = exponential.args[0].as_coeff_Mul()[1] if isinstance(exponential, sp.exp) else None
    return inner if isinstance(inner, sp.Indexed) else None


def _output(factor: sp.Expr, definitions: Definitions) -> sp.Expr | None:
    """a for f'(z), if a is defined as f(z) and f is a formula that saturates."""
    if not isinstance(factor, ScalarFunction) or factor.order != 1 or factor.formula is None:
        return None
    if factor.formula.has(sp.Piecewise) or not factor.formula.has(*SATURATING):
        return None
    return output_entry(factor, tuple(definitions.values()))


def divides(base: sp.Expr, expr: sp.Expr) -> bool:
    """Whether a sum, or a product with sums in it, has the base below the line."""
    for factor, exponent in powers(expr).items():
        if factor == base and exponent.is_negative:
            return True
        if isinstance(factor, sp.Add) and exponent == 1 and any(divides(base, term) for term in factor.args):
            return True
    return False


def _with_slope(factors: tuple[sp.Expr, ...], definitions: Definitions) -> sp.Expr:
    """f'(z)/a for a = f(z), both as the formula has them."""
    product = sp.Mul(*factors)
    for slope in factors:
        output = _output(slope, definitions)
        below = [f for f in factors if _is_below(f, output)] if output is not None else []
        if below:
            opened = _in_logarithms(slope, below, definitions) if _hard(slope, below) else None
            if opened is not None:
                return opened * sp.Mul(*(f for f in factors if f != slope and f not in below))
            written = {f: _written(f, definitions) for f in below}
            formula = as_product(derivative(slope.formula, Z)).xreplace({Z: slope.args[0]})
            written[slope] = formula
            parts = (power for f in factors for power in powers(written.get(f, f)).items())
            return sp.Mul(*(base**exponent for base, exponent in parts))
    return product


def _hard(slope: ScalarFunction, below: list[sp.Expr]) -> bool:
    """Whether both vanish in a way that no fraction shows: below a root, or as tanh(exp(z)) does."""
    formula = slope.formula
    nested = formula is not None and any(n.args[0].has(sp.exp) for n in formula.atoms(*SATURATING[1:]))
    return nested or not all(factor.as_base_exp()[1].is_Integer for factor in below)


def _in_logarithms(slope: ScalarFunction, below: list[sp.Expr], definitions: Definitions) -> sp.Expr | None:
    """f'(z)/a^p = exp(log f'(z) - p log a), where both logarithms are understood and f' has one sign."""
    formula = as_product(derivative(slope.formula, Z)).xreplace({Z: slope.args[0]})
    sign = -1 if formula.could_extract_minus_sign() else 1
    above = logarithm_of_one_sign(sign * formula)
    powers_below = [factor.as_base_exp() for factor in below]
    logs = [logarithm(as_product(with_definitions(base, definitions))) for base, _ in powers_below]
    if above is None or None in logs:
        return None
    total = above + sum(exponent * log for (_, exponent), log in zip(powers_below, logs, strict=True))
    return sign * exp_of_logarithms(total)


def logarithm_of_one_sign(value: sp.Expr) -> sp.Expr | None:
    """The logarithm of a product all of whose factors are positive; ``None`` where one may not be."""
    found = logarithm(value)
    if found is None or found.has(LogAbsExpm1, sp.I) or not all(map(_below_one, found.atoms(LogOneMinusExp))):
        return None
    return found if all(log.args[0].is_positive for log in found.atoms(sp.log)) else None


def _below_one(log: LogOneMinusExp) -> bool:
    """Whether 1 - exp(u) is positive for every u that there is: u is a negative number times a size."""
    number, factor = log.args[0].as_coeff_Mul()
    return bool(number.is_negative) and isinstance(factor, sp.exp | Softplus)


def _is_below(factor: sp.Expr, output: sp.Expr) -> bool:
    base, exponent = factor.as_base_exp()
    return base in (output, 1 - output) and bool(exponent.is_negative)


def _written(factor: sp.Expr, definitions: Definitions) -> sp.Expr:
    base, exponent = factor.as_base_exp()
    return _power(with_definitions(base, definitions), exponent)


def opened_complement(node: sp.Pow, definitions: Definitions) -> sp.Expr:
    """1/(1 - a) with a as it is defined: 1 - exp(u) and the like can be computed without cancellation."""
    base, exponent = node.args
    if not (exponent.is_Integer and exponent.is_negative and isinstance(1 - base, sp.Indexed)):
        return node
    value = with_definitions(base, definitions)
    return node if value == base or value.has(sp.Piecewise, sp.Sum) else _power(value, exponent)


def _power(value: sp.Expr, exponent: sp.Expr) -> sp.Expr:
    """A power of a formula, its number apart: 1/(1/2 + erf(u)/2) is 2/(1 + erf(u))."""
    number, rest = as_product(value).as_content_primitive()
    return number**exponent * rest**exponent


def as_product(value: sp.Expr) -> sp.Expr:
    """A sum of fractions as one fraction, its numerator in factors where it has any."""
    if not isinstance(value, sp.Add) or isinstance(1 - value, sp.exp) or one_minus_erf(value) is not None:
        return value
    above, below = sp.fraction(sp.together(value))
    return factor_out(sp.expand(above), Context()) / below
