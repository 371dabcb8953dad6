"""Logarithms of what the program defines, opened by its definition: log(exp(u)/S) is u - log(S).

The logarithm of a saturated output is that of 0, or of 1 less what was rounded away. Opened, it is a sum
of logarithms that can be evaluated. A factor that is not understood keeps its logarithm.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from symbackprop.algebra.equations import Equation
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.algebra.indices import outermost
from symbackprop.algebra.rules import powers
from symbackprop.network import argument
from symbackprop.numerics.forms import (
    LogAbsExpm1,
    LogErfc,
    LogOneMinusExp,
    LogOneMinusExpExp,
    LogSoftplus,
    Softplus,
)

_MOST_TERMS = 3
_HYPERBOLIC = (sp.tanh, sp.sinh, sp.cosh)
SATURATING = (sp.exp, sp.erf, *_HYPERBOLIC)
"""Functions that make an output come so near to a bound that rounding makes it equal."""

Definitions = Mapping[str, Equation]


def opened_logarithm(node: sp.Expr, definitions: Definitions) -> sp.Expr:
    """The logarithm of an expression in defined quantities, opened where exponentials define them.

    >>> z = sp.Symbol("z", real=True)
    >>> logarithm(1 - 1 / (1 + sp.exp(-z)))
    -Softplus(z)
    """
    if not isinstance(node, sp.log):
        return node
    value = with_definitions(node.args[0], definitions)
    if value == node.args[0] or value.has(sp.Piecewise) or node.args[0].has(sp.Function):
        return node
    found = logarithm(value)
    return node if found is None else found


def with_definitions(expr: sp.Expr, definitions: Definitions) -> sp.Expr:
    """An expression, sums left alone, with every entry written out that exponentials define."""
    entries = (e for e in expr.atoms(sp.Indexed) if str(e.base) in definitions and not expr.has(sp.Sum))
    values = {entry: written_out(definitions[str(entry.base)].at(entry.indices)) for entry in entries}
    return expr.xreplace({e: value for e, value in values.items() if value.has(*SATURATING)})


def written_out(expr: sp.Expr) -> sp.Expr:
    """The forward formula of a scalar function at its argument."""
    if isinstance(expr, ScalarFunction) and expr.formula is not None and expr.order == 0:
        return expr.formula.xreplace({argument("z"): expr.args[0]})
    return expr


def logarithm(value: sp.Expr) -> sp.Expr | None:
    """The logarithm of a positive value as a sum; ``None`` where none of its factors is understood.

    Of a positive product single factors may be negative: e^u - 1 and u, or a square's base. Unless there is
    just one that may be, it is the logarithm of their sizes.

    >>> z = sp.Symbol("z", real=True)
    >>> logarithm((1 - sp.exp(z)) ** 2)
    2*LogAbsExpm1(z)
    """
    value = value.rewrite(_HYPERBOLIC, sp.exp) if value.has(*_HYPERBOLIC) else value
    above, below = sp.fraction(sp.together(value))
    above = sp.expand(above) if isinstance(above, sp.Add) else above
    factors = [
        (base, sign * e) for sign, side in ((1, above), (-1, below)) for base, e in powers(side).items()
    ]
    found = [(base, exponent, _of_factor(base)) for base, exponent in factors]
    terms = [exponent * log for _, exponent, log in found if log is not None]
    rest = sp.Mul(*(base**exponent for base, exponent, log in found if log is None))
    if not terms or rest.has(sp.exp):
        return None
    either = [exponent for _, exponent, log in found if log is not None and log.has(*_ONE_SIGN)]
    if either and not (len(either) == 1 and either[0].is_odd and rest.is_positive):
        terms, rest = [_of_size(term) for term in terms], sp.Abs(rest)
    return sp.Add(*terms, sp.S.Zero if rest == 1 else sp.log(rest))


_ONE_SIGN = (LogOneMinusExp, LogOneMinusExpExp)


def _of_size(log: sp.Expr) -> sp.Expr:
    """The logarithm of the size of a difference, where that of the difference stood."""
    return log.replace(LogOneMinusExp, LogAbsExpm1)


def _of_factor(base: sp.Expr) -> sp.Expr | None:
    if isinstance(base, sp.exp):
        return base.args[0]
    if isinstance(base, sp.Add):
        return _of_sum(base)
    if isinstance(base, sp.log):
        inner = one_plus_exp(base.args[0])
        return None if inner is None else LogSoftplus(inner)
    if isinstance(base, sp.Sum):
        return sp.log(base) if isinstance(outermost(base)[0], sp.exp) else None
    return sp.log(base) if base.is_positive else None


def _of_sum(base: sp.Add) -> sp.Expr | None:
    """log(e^p + e^q) = p + log(1 + e^(q-p)), and with a minus sign likewise."""
    others, tail = all_but_one(base), one_minus_erf(base)
    if others is not None or tail is not None:
        return LogErfc(tail) if tail is not None else sp.log(others)
    if len(base.args) > _MOST_TERMS:
        return sp.log(base) if base.is_positive and not base.has(sp.exp) else None
    signs, logs = zip(*map(_signed_log, base.args), strict=True)
    if None in logs:
        return sp.log(base) if base.is_positive and not base.has(sp.exp) else None
    if all(sign > 0 for sign in signs):
        return _folded(sorted(logs, key=lambda log: (bool(log.free_symbols), sp.default_sort_key(log))))
    if len(logs) == 2 and sum(signs) == 0:
        plus, minus = logs if signs[0] > 0 else reversed(logs)
        return plus + log_one_minus_exp(sp.expand(minus - plus))
    return None


def log_one_minus_exp(exponent: sp.Expr) -> sp.Expr:
    """log(1 - e^u), by the logarithm of -u where u comes nearer to 0 than a number can.

    >>> z = sp.Symbol("z", real=True)
    >>> log_one_minus_exp(-2 * sp.exp(z)), log_one_minus_exp(-(z**2))
    (LogOneMinusExpExp(z + log(2)), LogOneMinusExp(-z**2))
    """
    number, factor = exponent.as_coeff_Mul()
    inner = {sp.exp: lambda u: u, Softplus: LogSoftplus}.get(factor.func)
    if inner is None or not number.is_negative:
        return LogOneMinusExp(exponent)
    return LogOneMinusExpExp(inner(*factor.args) + sp.log(-number))


def _folded(logs: list[sp.Expr]) -> sp.Expr:
    total = logs[0]
    for log in logs[1:]:
        total += Softplus(sp.expand(log - total))
    return total


def _signed_log(term: sp.Expr) -> tuple[int, sp.Expr | None]:
    """The sign of a term and the logarithm of its size, if it is a number times exponentials."""
    number, rest = term.as_coeff_Mul()
    parts = [_of_factor(base) for base, _ in powers(rest).items()] if rest != 1 else []
    exponents = [exponent for _, exponent in powers(rest).items()] if rest != 1 else []
    sign = -1 if number.is_negative else 1
    if None in parts:
        return sign, None
    return sign, sp.log(abs(number)) + sp.Add(*(e * p for e, p in zip(exponents, parts, strict=True)))


def one_plus_exp(expr: sp.Expr) -> sp.Expr | None:
    """u if the expression is 1 + exp(u)."""
    if not isinstance(expr, sp.Add) or len(expr.args) != 2:
        return None
    number, rest = expr.as_coeff_Add()
    return rest.args[0] if number == 1 and isinstance(rest, sp.exp) else None


def one_minus_erf(expr: sp.Expr) -> sp.Expr | None:
    """u if the expression is 1 - erf(u)."""
    number, rest = expr.as_coeff_Add()
    sign, function = rest.as_coeff_Mul()
    is_tail = number == 1 and abs(sign) == 1 and isinstance(function, sp.erf)
    return -sign * function.args[0] if is_tail else None


def all_but_one(expr: sp.Add) -> sp.Sum | None:
    """sum_i f(i) - f(j) as the sum over every i but j.

    >>> z = sp.IndexedBase("z", real=True)
    >>> i, j, n = sp.symbols("i j n", integer=True, positive=True)
    >>> print(all_but_one(sp.Sum(sp.exp(z[i]), (i, 1, n)) - sp.exp(z[j])))
    Sum((1 - KroneckerDelta(i, j))*exp(z[i]), (i, 1, n))
    """
    sums = [term for term in expr.args if isinstance(term, sp.Sum)]
    if len(expr.args) != 2 or len(sums) != 1:
        return None
    body, bound, size = outermost(sums[0])
    taken = sums[0] - expr
    for index in sorted(taken.free_symbols - sums[0].free_symbols, key=str):
        if index.is_integer and body.xreplace({bound: index}) == taken:
            return sp.Sum(without(bound, index) * body, (bound, 1, size))
    return None


def without(bound: sp.Symbol, index: sp.Expr) -> sp.Expr:
    """1 - [i = j]: the factor that leaves one term out of a sum."""
    return 1 - sp.KroneckerDelta(bound, index)
