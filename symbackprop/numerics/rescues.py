"""What is left with 0/0, infinity/infinity or infinity times 0 at saturation, in two forms without.

A formula that is rational in one exponential is a sum of powers of it over a polynomial with positive
coefficients, and each of these quotients is the exponential of a difference. A product of positive factors
is the exponential of the sum of their logarithms, where these are understood.
"""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from symbackprop.algebra.calculus import derivative
from symbackprop.algebra.elimination import Z, common_exponent, in_powers
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.algebra.indices import split_product
from symbackprop.algebra.rules import everywhere, powers
from symbackprop.numerics.cancellation import as_product, logarithm_of_one_sign
from symbackprop.numerics.forms import (
    Erfc,
    Expm1,
    ExpOfSum,
    Sigmoid,
    Softplus,
)
from symbackprop.numerics.logarithms import Definitions, exp_of_logarithms, logarithm, with_definitions

_GROWING = (sp.exp, sp.sinh, sp.cosh, Expm1)
_SATURATED = (Sigmoid, Erfc, Softplus, sp.tanh, sp.erf, sp.exp)
_HYPERBOLIC = (sp.tanh, sp.sinh, sp.cosh)
_HIGHEST = 12
"""Of polynomials with more terms nobody would read the code."""


def in_danger(expr: sp.Expr, definitions: Definitions) -> bool:
    """Whether a form may come to 0/0, infinity/infinity, infinity times 0 or the logarithm of 0 by rounding.

    >>> z = sp.Symbol("z", real=True)
    >>> in_danger(sp.exp(z) / (1 + sp.exp(z)), {}), in_danger(Sigmoid(z) * z, {})
    (True, False)
    """
    return any(_dangerous(node, definitions) for node in sp.preorder_traversal(expr))


def _dangerous(node: sp.Basic, definitions: Definitions) -> bool:
    if isinstance(node, sp.Pow) and node.exp.is_negative:
        return _may_vanish(node.base, definitions)
    if isinstance(node, sp.log):
        return _may_vanish(node.args[0], definitions)
    if isinstance(node, sp.Pow) and _is_delicate(node, definitions):
        return True
    return isinstance(node, sp.Mul) and _grows_beside_what_vanishes(node, definitions)


def _is_delicate(node: sp.Pow, definitions: Definitions) -> bool:
    """Whether something is a root of what may be 0, or infinite, by rounding."""
    root = node.exp.is_number and not node.exp.is_Integer
    return bool(root) and (_saturates(node.base, definitions) or _overflows(node.base))


def _overflows(expr: sp.Expr) -> bool:
    return any(not _bounded(e.args[0]) for e in expr.atoms(*_GROWING))


def _may_vanish(base: sp.Expr, definitions: Definitions) -> bool:
    """Whether something below the line, or in a logarithm, may be 0 or infinite by rounding."""
    bounded = base.replace(
        lambda e: isinstance(e, (sp.exp, Expm1)) and _bounded(e.args[0]), lambda e: sp.S.One
    )
    return bounded.has(*_SATURATED, *_GROWING) or _saturates(base, definitions)


def _saturates(expr: sp.Expr, definitions: Definitions) -> bool:
    return not expr.has(sp.Sum) and with_definitions(expr, definitions) != expr


def _bounded(exponent: sp.Expr) -> bool:
    """Whether an exponential can't overflow: its exponent is held, or has no positive values."""
    return exponent.has(sp.Min) or bool(exponent.is_nonpositive)


def _grows_beside_what_vanishes(node: sp.Mul, definitions: Definitions) -> bool:
    growing = [factor for factor in node.args if _overflows(factor)]
    if not growing:
        return False
    return any(
        other.has(*_SATURATED, ScalarFunction) or _saturates(other, definitions)
        for other in node.args
        if other not in growing or len(growing) > 1
    )


def rescued(expr: sp.Expr, definitions: Definitions) -> Iterator[sp.Expr]:
    """The same in forms that may do better, the first to be preferred."""
    for form in (in_one_exponential, in_logarithms, with_open_logarithms):
        found = form(expr, definitions)
        if found is not None:
            yield with_open_logarithms(found, definitions)


def written(expr: sp.Expr, definitions: Definitions) -> sp.Expr:
    """Outputs and slopes of activations by their formulas."""
    return everywhere(_slope, with_definitions(expr, definitions))


def _slope(node: sp.Expr) -> sp.Expr:
    if isinstance(node, ScalarFunction) and node.order == 1 and node.formula is not None:
        return derivative(node.formula, Z).xreplace({Z: node.args[0]})
    return node


# --- a quotient of polynomials in one exponential --------------------------------------------------


def in_one_exponential(expr: sp.Expr, definitions: Definitions) -> sp.Expr | None:
    """sum_m c_m t^m / Q(t) with t = exp(u) as sum_m c_m exp(m u - log Q(exp(u))), if Q is positive.

    >>> z = sp.Symbol("z", real=True)
    >>> in_one_exponential(sp.exp(2 * z) / (1 + sp.exp(z)) ** 3, {})
    Sigmoid(-z)*Sigmoid(z)**2
    >>> in_one_exponential(1 / (1 + sp.exp(z) + sp.exp(2 * z)), {})
    ExpOfSum(-Softplus(z + Softplus(z)))
    """
    inner = written(expr, definitions)
    if inner.has(sp.Piecewise, sp.Sum, sp.Abs):
        return None
    inner = inner.rewrite(_HYPERBOLIC, sp.exp)
    exponent = common_exponent(inner)
    if exponent is None:
        return None
    if exponent.could_extract_minus_sign():
        exponent = -exponent
    t = sp.Symbol("t", positive=True)
    in_t = in_powers(inner, exponent, t)
    entries = _others(in_t, t)
    if any(entry.has(t) for entry in entries):
        return None
    others = {entry: sp.Dummy(positive=entry.is_positive) for entry in entries}
    fraction = in_t.xreplace(others)
    if not fraction.is_rational_function(t, *others.values()):
        return None
    above, below = sp.fraction(sp.cancel(fraction))
    if below.free_symbols - {t}:
        return None
    found = _quotients(sp.Poly(above, t), below, t, exponent)
    return None if found is None else found.xreplace({dummy: entry for entry, dummy in others.items()})


def _others(expr: sp.Expr, t: sp.Symbol) -> set[sp.Expr]:
    """What else stands in an expression besides the exponential: entries, symbols and functions of them."""
    if expr.is_number or expr == t:
        return set()
    if isinstance(expr, sp.Add | sp.Mul) or (isinstance(expr, sp.Pow) and expr.exp.is_Integer):
        return set().union(*(_others(arg, t) for arg in expr.args))
    return {expr}


def _quotients(above: sp.Poly, below: sp.Expr, t: sp.Symbol, u: sp.Expr) -> sp.Expr | None:
    """Each term of the numerator over the denominator; ``None`` unless that has positive coefficients."""
    number, found = sp.factor_list(below, t)
    number = sp.Mul(number, *(factor**count for factor, count in found if not factor.has(t)))
    factors = [(factor, count) for factor, count in found if factor.has(t)]
    if not all(_is_positive(sp.Poly(factor, t)) for factor, _ in factors) or not number.is_positive:
        return None
    if len(above.terms()) > _HIGHEST:
        return None
    terms = [
        coefficient / number * _quotient(power, dict(factors), t, u)
        for (power,), coefficient in above.terms()
    ]
    return sp.Add(*terms)


def _is_positive(polynomial: sp.Poly) -> bool:
    return len(polynomial.terms()) <= _HIGHEST and all(c.is_positive for c in polynomial.coeffs())


def _quotient(power: int, factors: dict[sp.Expr, int], t: sp.Symbol, u: sp.Expr) -> sp.Expr:
    """t^m / Q(t), where no two large numbers are subtracted.

    With n for the degree of Q it is (t^n/Q)^(m/n) (1/Q)^(1-m/n), and both quotients have logarithms that
    grow to one side only: log Q, and the logarithm of the same polynomial backwards in 1/t.
    """
    power, rest = power - factors.get(t, 0), {sp.Poly(f, t): n for f, n in factors.items() if f != t}
    degree = sum(f.degree() * n for f, n in rest.items())
    inside = min(max(power, 0), degree)
    beyond = sp.exp((power - inside) * u)
    if not rest:
        return beyond
    (factor, count), *more = rest.items()
    if not more and len(factor.terms()) == 2 and inside % factor.degree() == 0:
        return beyond * _sigmoids(factor, count, inside // factor.degree(), u)
    ups = [n * _log(sorted(((k, c) for (k,), c in f.terms())), u) for f, n in rest.items()]
    downs = [n * _log(sorted((f.degree() - k, c) for (k,), c in f.terms()), -u) for f, n in rest.items()]
    share = sp.Rational(inside, degree)
    return beyond * ExpOfSum(sp.expand(-share * sum(downs) - (1 - share) * sum(ups)))


def _sigmoids(factor: sp.Poly, count: int, power: int, u: sp.Expr) -> sp.Expr:
    """t^(d k) / (b + c t^d)^n as a product of sigmoids."""
    c, b = factor.LC(), factor.eval(0)
    share = factor.degree() * u + sp.log(c / b)
    return Sigmoid(share) ** power * Sigmoid(-share) ** (count - power) / c**power / b ** (count - power)


def _log(terms: list[tuple[int, sp.Expr]], u: sp.Expr) -> sp.Expr:
    """The logarithm of sum_k c_k exp(k u), its powers rising from 0."""
    logs = [sp.log(c) + power * u for power, c in terms]
    total = logs[-1]
    for log in reversed(logs[:-1]):
        total = log + Softplus(sp.expand(total - log))
    return total


# --- a product as the exponential of a sum of logarithms -------------------------------------------


def in_logarithms(expr: sp.Expr, definitions: Definitions) -> sp.Expr | None:
    """A product with its positive factors as exp(sum of their logarithms); a sum of them term by term.

    >>> z = sp.Symbol("z", real=True)
    >>> in_logarithms(sp.exp(-(z**2)) / sp.sqrt(1 - sp.erf(z)), {})
    ExpOfSum(-z**2 - LogErfc(z)/2)
    """
    if expr.has(sp.Piecewise, sp.Sum):
        return None
    terms = [_product(split_product(term), definitions) for term in _terms(expr)]
    return None if None in terms else sp.Add(*terms)


def _terms(expr: sp.Expr) -> tuple[sp.Expr, ...]:
    """The terms of a product, those of its factors multiplied out that have something below the line."""
    factors = split_product(expr)
    sums = [f for f in factors if isinstance(f, sp.Add) and any(_has_quotient(term) for term in f.args)]
    if not sums:
        return tuple(sp.Add.make_args(expr))
    rest = [factor for factor in factors if factor != sums[0]]
    return tuple(inner for term in sums[0].args for inner in _terms(sp.Mul(term, *rest)))


def _has_quotient(term: sp.Expr) -> bool:
    return any(e.is_negative and not isinstance(base, sp.exp) for base, e in powers(term).items())


def _product(factors: tuple[sp.Expr, ...], definitions: Definitions) -> sp.Expr | None:
    logs: list[sp.Expr] = []
    kept: list[sp.Expr] = []
    for factor in factors:
        log = _log_of_factor(factor, definitions)
        (kept if log is None else logs).append(factor if log is None else log)
    if not logs:
        return None if in_danger(sp.Mul(*factors), definitions) else sp.Mul(*factors)
    signs = [sign for sign, _ in logs]
    return sp.Mul(*kept, *signs) * exp_of_logarithms(sum(log for _, log in logs))


def _log_of_factor(factor: sp.Expr, definitions: Definitions) -> tuple[sp.Expr, sp.Expr] | None:
    """The sign of a factor that may vanish or overflow, and the logarithm of its size."""
    base, exponent = factor.as_base_exp() if not isinstance(factor, sp.exp) else (factor, sp.S.One)
    value = written(base, definitions)
    if factor.is_number or not value.has(sp.exp, sp.erf, *_HYPERBOLIC) or not exponent.is_number:
        return None
    for sign in (1, -1) if exponent.is_Integer else (1,):
        log = logarithm_of_one_sign(sign * value) or logarithm_of_one_sign(sign * as_product(value))
        if log is not None:
            return sign**exponent, exponent * log
    return None


def with_open_logarithms(expr: sp.Expr, definitions: Definitions) -> sp.Expr:
    """Logarithms of sums of exponentials as sums that don't overflow.

    >>> z = sp.Symbol("z", real=True)
    >>> with_open_logarithms(sp.log(1 + sp.exp(z) + sp.exp(2 * z)), {})
    Softplus(z) + Softplus(2*z - Softplus(z))
    """
    return everywhere(lambda node: _opened(node, definitions), expr)


def _opened(node: sp.Expr, definitions: Definitions) -> sp.Expr:
    if isinstance(node, sp.Pow) and _is_delicate(node, definitions):
        found = _log_of_factor(node, definitions)
        return node if found is None else found[0] * exp_of_logarithms(found[1])
    if not isinstance(node, sp.log):
        return node
    value = written(node.args[0], definitions)
    found = None if value.has(sp.Piecewise, sp.Sum) else logarithm(value)
    return node if found is None else found
