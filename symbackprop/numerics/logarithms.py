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
from symbackprop.algebra.rules import everywhere, powers
from symbackprop.network import argument
from symbackprop.numerics.forms import (
    ExpOfSum,
    LogAbsExpm1,
    LogErfc,
    LogOneMinusExp,
    LogOneMinusExpExp,
    LogSoftplus,
    Softplus,
)

_MOST_TERMS = 6
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
    above = sp.Mul(*(_expanded(base) ** exponent for base, exponent in powers(above).items()))
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


def _expanded(value: sp.Expr) -> sp.Expr:
    """A sum multiplied out, unless what it was is understood and what it becomes isn't: (1+e^u)^(3/2) - 1."""
    if not isinstance(value, sp.Add):
        return value
    found = sp.expand(value)
    lost = isinstance(found, sp.Add) and _of_sum(found) is None and _of_sum(value) is not None
    return value if lost else found


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
        inner = _one_and(base.args[0])
        return None if inner is None else LogSoftplus(inner)
    if isinstance(base, sp.Sum):
        return sp.log(base) if isinstance(outermost(base)[0], sp.exp) else None
    return sp.log(base) if base.is_positive else None


def _one_and(value: sp.Expr) -> sp.Expr | None:
    """u if a value is 1 + exp(u), where exp(u) may be a sum of exponentials."""
    inner = one_plus_exp(value)
    if inner is not None or not isinstance(value, sp.Add):
        return inner
    number, rest = value.as_coeff_Add()
    signs = [_signed_log(term)[0] for term in sp.Add.make_args(rest)]
    return _of_sum(rest) if number == 1 and isinstance(rest, sp.Add) and min(signs) > 0 else None


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
    exponent = flip_softplus(exponent) if isinstance(exponent, sp.Add) else exponent
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


def number_and_sum(value: sp.Expr) -> sp.Expr | None:
    """The logarithm of c + sum_i exp(u_i) for a positive number c, by that of the sum.

    >>> z, (i, n) = sp.IndexedBase("z", real=True), sp.symbols("i n", integer=True, positive=True)
    >>> print(number_and_sum(1 + sp.Sum(sp.exp(z[i]), (i, 1, n))))
    Softplus(log(Sum(exp(z[i]), (i, 1, n))))
    """
    number, rest = value.as_coeff_Add()
    if not number.is_positive or not isinstance(rest, sp.Sum) or not isinstance(outermost(rest)[0], sp.exp):
        return None
    return sp.log(number) + Softplus(sp.log(rest) - sp.log(number))


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


def flip_softplus(node: sp.Add) -> sp.Expr:
    """softplus(-u) + u = softplus(u), which is not the difference of two large numbers."""
    for term in node.args:
        flipped = _flipped(term)
        if flipped is not None and flipped[0] in node.args:
            others = [t for t in node.args if t not in (term, flipped[0])]
            return sp.Add(flipped[1], *others)
    return node


def _flipped(term: sp.Expr) -> tuple[sp.Expr, sp.Expr] | None:
    """For c softplus(u): the companion -c u of which it takes to make c softplus(-u), and that."""
    softplus = [f for f in sp.Mul.make_args(term) if isinstance(f, Softplus)]
    if len(softplus) != 1:
        return None
    inner = softplus[0].args[0]
    if inner.has(sp.exp) and inner.could_extract_minus_sign():
        return None
    coefficient = term / softplus[0]
    return sp.expand_mul(-coefficient * inner), coefficient * Softplus(-inner)


def exp_of_logarithms(total: sp.Expr) -> sp.Expr:
    """The exponential of a sum of logarithms, in which no two large numbers are subtracted."""
    return ExpOfSum(_shared(sp.expand(_flipped_open(total))))


def _shared(total: sp.Expr) -> sp.Expr:
    """c softplus(u) + d u with c and d of two signs as multiples of softplus(u) and softplus(-u) of one.

    >>> z = sp.Symbol("z", real=True)
    >>> _shared(z - 3 * Softplus(z))
    -Softplus(-z) - 2*Softplus(z)
    """
    for softplus in sorted(total.atoms(Softplus), key=sp.default_sort_key):
        (u,) = softplus.args
        slope, variable = (u - u.as_coeff_Add()[0]).as_coeff_Mul()
        c, d = total.coeff(softplus), total.coeff(variable) / slope
        if c.is_number and d.is_number and c * d < 0 and not u.has(sp.exp):
            d = sp.sign(d) * min(abs(c), abs(d))
            total = sp.expand(total - d * u + d * (softplus - Softplus(sp.expand(-u))))
    return total


def _flipped_open(log: sp.Expr) -> sp.Expr:
    """softplus(c exp(u)) = c exp(u) + softplus(-c exp(u)): what is large in it stands in the open."""
    return everywhere(_opened_softplus, log)


def _opened_softplus(node: sp.Expr) -> sp.Expr:
    if (
        isinstance(node, Softplus)
        and node.args[0].has(sp.exp)
        and not node.args[0].could_extract_minus_sign()
    ):
        return node.args[0] + Softplus(-node.args[0])
    return node
