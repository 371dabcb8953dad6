"""Forms of an expression that a computer can evaluate: equal to the formula, and finite where it is.

1/(1+exp(-z)) overflows where the sigmoid is 0, and the logarithm of a saturated output is that of 0.
Each rule here is an algebraic identity, so what the code computes is still the formula of the text;
a few of the forms are functions with a name, which the code printer knows how to compute.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

import sympy as sp

from symbackprop.algebra.equations import Equation
from symbackprop.algebra.indices import cases
from symbackprop.algebra.rules import everywhere, powers
from symbackprop.numerics.cancellation import cancelled, opened_complement
from symbackprop.numerics.complements import cancelled_poles
from symbackprop.numerics.floats import FORMATS, PLACES, NotFollowed, failures
from symbackprop.numerics.forms import Erfc, Erfcx, Expm1, ExpOfSum, Exprel, LogOneMinusExp, Sigmoid, Softplus
from symbackprop.numerics.logarithms import (
    flip_softplus,
    log_one_minus_exp,
    number_and_sum,
    one_minus_erf,
    one_plus_exp,
    opened_logarithm,
    with_definitions,
)
from symbackprop.numerics.rescues import in_danger, rescued


def stable(expr: sp.Expr, definitions: Mapping[str, Equation] | None = None) -> sp.Expr:
    """An equal expression that can be evaluated in floating point.

    ``definitions`` are the equations by name: logarithms of defined quantities, and denominators that
    may be 0 by rounding, are opened with them.

    >>> z = sp.Symbol("z", real=True)
    >>> stable(z / (1 + sp.exp(-z)))
    z*Sigmoid(z)
    >>> stable(sp.log(1 + sp.exp(z)))
    Softplus(z)
    >>> stable((sp.exp(z) - sp.exp(-z)) / (sp.exp(z) + sp.exp(-z)))
    tanh(z)
    """
    known = definitions or {}
    if isinstance(expr, sp.Sum) and not expr.function.has(sp.Sum):
        return expr.func(stable(expr.function, known), *expr.limits)
    number, rest = expr.as_coeff_Mul()
    if isinstance(rest, sp.Sum) and number != 1:
        return sp.Mul(number, stable(rest, known))
    form = _formed(expr, known)
    if not expr.has(sp.Sum) and in_danger(form, known):
        others = (everywhere(_bounded, everywhere(_stable_node, o)) for o in rescued(expr, known))
        form = _best([form, *others], expr, known)
    return everywhere(lambda node: sp.exp(*node.args) if isinstance(node, ExpOfSum) else node, form)


def _best(forms: list[sp.Expr], expr: sp.Expr, known: Mapping[str, Equation]) -> sp.Expr:
    """The form that is wrong at the fewest places, the first of several."""
    fewest, best = len(PLACES) * len(FORMATS) + 1, forms[0]
    for form in forms:
        try:
            count = sum(1 for _ in failures(expr, form, known, stable_formula))
        except NotFollowed:
            return next((form for form in forms if not in_danger(form, known)), forms[0])
        if count < fewest:
            fewest, best = count, form
        if not fewest:
            break
    return best


@cache
def stable_formula(formula: sp.Expr) -> sp.Expr:
    """The form that the code has of an activation's formula, or of its slope's."""
    return stable(formula)


def _formed(expr: sp.Expr, known: Mapping[str, Equation]) -> sp.Expr:
    """The form that the rules lead to, one after the other."""
    opened = cancelled_poles(expr, known)
    opened = everywhere(lambda node: opened_logarithm(node, known), opened)
    opened = everywhere(_tanh_quotient, everywhere(lambda node: cancelled(node, known), opened))
    opened = everywhere(lambda node: _opened_product(node, known), opened)
    formed = everywhere(_stable_node, opened)
    if formed.has(sp.exp):
        formed = everywhere(_stable_node, everywhere(_of_two_exponentials, formed))
    return everywhere(_bounded, formed)


def _stable_node(node: sp.Expr) -> sp.Expr:
    if isinstance(node, sp.Pow):
        return _product(node) if number_and_sum(node.base) is not None else _sigmoid_power(node)
    if isinstance(node, sp.Mul):
        return _product(node)
    if isinstance(node, sp.log):
        return _softplus(node)
    if isinstance(node, sp.Add):
        return _difference(node)
    if isinstance(node, LogOneMinusExp):
        return log_one_minus_exp(*node.args)
    return _clamped(node) if isinstance(node, sp.Piecewise) else node


# --- exponentials ------------------------------------------------------------------------------


def _sigmoid_power(node: sp.Pow) -> sp.Expr:
    """Inverses: (1 + exp(u))^-n = sigmoid(-u)^n, cosh(u)^-2 = 4 sigmoid(2u) sigmoid(-2u), erfc."""
    if not (node.exp.is_number and node.exp.is_negative):
        return node
    inner = one_plus_exp(node.base)
    if inner is not None:
        return Sigmoid(-inner) ** (-node.exp)
    if not node.exp.is_Integer:
        return node
    if isinstance(node.base, sp.cosh):
        twice = 2 * node.base.args[0]
        return (4 * Sigmoid(twice) * Sigmoid(-twice)) ** (-node.exp / 2)
    tail = one_minus_erf(node.base)
    return node if tail is None else Erfc(tail) ** node.exp


def _softplus(node: sp.log) -> sp.Expr:
    """log(1 + exp(u)) = softplus(u), log(cosh(u)) = softplus(2u) - u - log(2), and log(1 - exp(u))."""
    if isinstance(node.args[0], sp.cosh):
        inner = node.args[0].args[0]
        return Softplus(2 * inner) - inner - sp.log(2)
    number, difference = node.args[0].as_coeff_Mul()
    if number == -1 and isinstance(difference, Expm1):
        return log_one_minus_exp(difference.args[0])
    inner = one_plus_exp(node.args[0])
    return node if inner is None else Softplus(inner)


def _product(node: sp.Mul) -> sp.Expr:
    """exp(u) sigmoid(-u) = sigmoid(u), and the quotients of differences and sums that are tanh."""
    factors = _share(_absorbed(powers(node)))
    for base in [b for b in factors if isinstance(b, Erfc)]:
        factors = _scaled_tail(factors, base)
    for base in [b for b in factors if isinstance(b, Softplus)]:
        factors = _slope_of_softplus(factors, base)
    for base in [b for b in factors if isinstance(b, Expm1)]:
        factors = _quotient(factors, base)
    factors = _absorbed(_joined(_tanh(factors) or factors))
    return sp.Mul(*(base**exponent for base, exponent in factors.items()))


def _share(factors: dict[sp.Expr, sp.Expr]) -> dict[sp.Expr, sp.Expr]:
    """exp(u) (c + S)^-n = exp(u - n log(c + S)) for a sum S of exponentials over an index."""
    logs = {base: _log_of_share(base, exponent) for base, exponent in factors.items()}
    if not any(log is not None for log in logs.values()):
        return factors
    rest = {b: e for b, e in factors.items() if logs[b] is None and not isinstance(b, sp.exp)}
    inside = [e * b.args[0] for b, e in factors.items() if isinstance(b, sp.exp)]
    return {**rest, ExpOfSum(sp.expand(sp.Add(*inside, *filter(None, logs.values())))): sp.S.One}


def _log_of_share(base: sp.Expr, exponent: sp.Expr) -> sp.Expr | None:
    """The logarithm of (c + S)^-n, or of what it has become."""
    if isinstance(base, ExpOfSum):
        return exponent * base.args[0]
    log = number_and_sum(base) if exponent.is_negative else None
    return None if log is None else exponent * log


def _absorbed(factors: dict[sp.Expr, sp.Expr]) -> dict[sp.Expr, sp.Expr]:
    """The factors with every exponential taken into a sigmoid that can take it."""
    for base in [b for b in factors if isinstance(b, sp.exp)]:
        factors = _absorb(factors, base)
    return factors


def _joined(factors: dict[sp.Expr, sp.Expr]) -> dict[sp.Expr, sp.Expr]:
    """One exponential for several: exp(u) exp(-v) is infinite times 0 where exp(u - v) is 1."""
    exponents = [exponent * base.args[0] for base, exponent in factors.items() if isinstance(base, sp.exp)]
    if len(exponents) < 2:
        return factors
    others = {base: exponent for base, exponent in factors.items() if not isinstance(base, sp.exp)}
    return {**others, sp.exp(sp.Add(*exponents)): sp.S.One}


def _absorb(factors: dict[sp.Expr, sp.Expr], exponential: sp.exp) -> dict[sp.Expr, sp.Expr]:
    u = exponential.args[0]
    for here in [base for base in factors if isinstance(base, Sigmoid)]:
        ratio = sp.cancel(-here.args[0] / u)
        power = factors[exponential]
        if not (ratio.is_Integer and power.is_Integer and ratio != 0 and power / ratio >= 1):
            continue
        count = min(sp.floor(power / ratio), factors[here])
        if count > 0:
            changed = {**factors, exponential: power - ratio * count, here: factors[here] - count}
            there = Sigmoid(-here.args[0])
            changed[there] = changed.get(there, sp.S.Zero) + count
            return changed
    return factors


def _scaled_tail(factors: dict[sp.Expr, sp.Expr], tail: Erfc) -> dict[sp.Expr, sp.Expr]:
    """exp(-u**2)/erfc(u) = 1/erfcx(u)."""
    square = tail.args[0] ** 2
    for bell, sign in ((sp.exp(-square), 1), (sp.exp(square), -1)):
        count = sign * factors.get(bell, sp.S.Zero)
        if count > 0 and factors[tail] == -count:
            rest = {base: exponent for base, exponent in factors.items() if base not in (tail, bell)}
            return {**rest, Erfcx(tail.args[0]): -count}
    return factors


def _slope_of_softplus(factors: dict[sp.Expr, sp.Expr], output: Softplus) -> dict[sp.Expr, sp.Expr]:
    """sigmoid(u)/softplus(u) = exprel(-softplus(u)), since sigmoid(u) = 1 - exp(-softplus(u))."""
    slope = Sigmoid(output.args[0])
    if factors[output] != -1 or not factors.get(slope, sp.S.Zero).is_positive:
        return factors
    rest = {base: exponent for base, exponent in factors.items() if base != output}
    return {**rest, slope: factors[slope] - 1, Exprel(-output): sp.S.One}


def _quotient(factors: dict[sp.Expr, sp.Expr], difference: Expm1) -> dict[sp.Expr, sp.Expr]:
    """(exp(c u) - 1)/u = c exprel(c u), which is no 0/0 where u is 0; and its inverse."""
    number, inner = difference.args[0].as_coeff_Mul()
    up, down = factors[difference], factors.get(inner, sp.S.Zero)
    if isinstance(inner, sp.exp) and not down:
        factors = _taken_out(factors, inner)
        down = factors.get(inner, sp.S.Zero)
    if not (up.is_Integer and down.is_Rational and up * down < 0):
        return factors
    count = min(abs(up), sp.ceiling(abs(down))) * sp.sign(up)
    changed = {**factors, difference: up - count, inner: down + count}
    changed[Exprel(difference.args[0])] = count
    changed[number] = changed.get(number, sp.S.Zero) + count
    return changed


def _taken_out(factors: dict[sp.Expr, sp.Expr], wanted: sp.exp) -> dict[sp.Expr, sp.Expr]:
    """The factors with exp(u) for 1/exp(-u), where they have that."""
    if 1 / wanted not in factors:
        return factors
    others = {base: exponent for base, exponent in factors.items() if base != 1 / wanted}
    return {**others, wanted: -factors[1 / wanted]}


def _tanh_quotient(node: sp.Expr) -> sp.Expr:
    """sinh(u)/cosh(u) = tanh(u)."""
    if not isinstance(node, sp.Mul) or not node.has(sp.sinh):
        return node
    factors = powers(node)
    for base in [b for b in factors if isinstance(b, sp.sinh)]:
        below = sp.cosh(base.args[0])
        if 0 < factors[base] <= -factors.get(below, sp.S.Zero):
            times = factors.pop(base)
            factors[sp.tanh(base.args[0])] = times
            factors[below] += times
    return sp.Mul(*(base**exponent for base, exponent in factors.items()))


def _tanh(factors: dict[sp.Expr, sp.Expr]) -> dict[sp.Expr, sp.Expr] | None:
    """(exp(u) - exp(-u)) / (exp(u) + exp(-u)) = tanh(u)."""
    for base, exponent in factors.items():
        if exponent != -1 or not isinstance(base, sp.Add):
            continue
        for term in base.args:
            if isinstance(term, sp.exp) and base == term + 1 / term:
                difference = term - 1 / term
                if factors.get(difference) == 1:
                    rest = {b: e for b, e in factors.items() if b not in (base, difference)}
                    return {**rest, sp.tanh(term.args[0]): sp.S.One}
    return None


def _difference(node: sp.Add) -> sp.Expr:
    """exp(u) - 1 = expm1(u), 1 + tanh(u) = 2 sigmoid(2u), and softplus(-u) + u = softplus(u)."""
    number, rest = node.as_coeff_Add()
    terms = sp.Add.make_args(rest)
    for term in terms:
        coefficient, factor = term.as_coeff_Mul()
        if isinstance(factor, sp.exp) and number != 0 and coefficient == -number:
            return sp.Add(coefficient * Expm1(factor.args[0]), *(t for t in terms if t != term))
        if isinstance(factor, sp.tanh) and number != 0 and abs(coefficient) == abs(number):
            turned = 2 * number * Sigmoid(2 * coefficient / number * factor.args[0])
            return sp.Add(turned, *(t for t in terms if t != term))
    return flip_softplus(node)


def _of_two_exponentials(node: sp.Expr) -> sp.Expr:
    """(b e^p + c e^q)^-n = b^-n e^(-n p) sigmoid(p - q - log(c/b))^n for positive numbers b and c."""
    if not isinstance(node, sp.Pow) or not (node.exp.is_number and node.exp.is_negative):
        return node
    parts = [_exponential(term) for term in sp.Add.make_args(node.base)]
    if len(parts) != 2 or None in parts:
        return node
    known = (part for part in parts if part is not None)
    (b, p), (c, q) = sorted(known, key=lambda part: (part[1] != 0, sp.default_sort_key(part[1])))
    return b**node.exp * sp.exp(node.exp * p) * Sigmoid(sp.expand(p - q) - sp.log(c / b)) ** (-node.exp)


def _exponential(term: sp.Expr) -> tuple[sp.Expr, sp.Expr] | None:
    """c and u for c exp(u) with a positive number c; u is 0 for a number alone."""
    number, factor = term.as_coeff_Mul()
    if not number.is_positive or not (factor == 1 or isinstance(factor, sp.exp)):
        return None
    return number, factor.args[0] if factor != 1 else sp.S.Zero


BOUND = 80
"""exp(-exp(80)) is 0 in any precision, and exp(80) times a factor of some thousands is a number in any."""

_LARGEST_FACTOR = 1000


def _bounded(node: sp.Expr) -> sp.Expr:
    """exp(-exp(u)) = exp(-exp(min(u, 80))) to the last digit: what overflows makes it 0 all the same."""
    if isinstance(node, sp.Mul):
        return _bounded_product(node)
    if isinstance(node, sp.exp | Expm1 | Exprel | Softplus | ExpOfSum):
        signs: tuple[int, ...] = (-1,)
    elif isinstance(node, sp.tanh | sp.erf | sp.atan | Erfc | Sigmoid):
        signs = (-1, 1)
    else:
        return node
    terms = [_held(term, signs) for term in sp.Add.make_args(node.args[0])]
    return node.func(sp.Add(*terms))


def _bounded_product(node: sp.Mul) -> sp.Expr:
    """Beside exp(-exp(min(u, 80))) every other exponential of u is one of min(u, 80) as well."""
    bounds = {bound for factor in node.args if isinstance(factor, sp.exp) for bound in _bounds(factor)}
    changed = list(node.args)
    for bound in bounds:
        (inner,) = (arg for arg in bound.args if arg != BOUND)
        number, variable = inner.as_coeff_Mul()
        changed = [_clamp(factor, variable, bound / number) for factor in changed]
    return sp.Mul(*changed) if changed != list(node.args) else node


def _bounds(vanishing: sp.exp) -> Iterator[sp.Expr]:
    for term in sp.Add.make_args(vanishing.args[0]):
        number, factor = term.as_coeff_Mul()
        if number.is_negative and isinstance(factor, sp.exp) and isinstance(factor.args[0], sp.Min):
            yield factor.args[0]


def _held(term: sp.Expr, signs: tuple[int, ...]) -> sp.Expr:
    number, factor = term.as_coeff_Mul()
    small = 1 <= _LARGEST_FACTOR * abs(number) <= _LARGEST_FACTOR**2
    if not isinstance(factor, sp.exp) or factor.has(sp.Min) or not small or sp.sign(number) not in signs:
        return term
    return number * sp.exp(sp.Min(factor.args[0], BOUND, evaluate=False))


# --- what may be 0, or too large, by rounding ----------------------------------------------------


def _opened_product(node: sp.Expr, definitions: Mapping[str, Equation]) -> sp.Expr:
    """A product whose denominators and branches are safe to compute."""
    if isinstance(node, sp.Pow):
        return opened_complement(node, definitions)
    return _into_branches(node, definitions) if isinstance(node, sp.Mul) else node


def _into_branches(node: sp.Expr, definitions: Mapping[str, Equation]) -> sp.Expr:
    """a {g if c, else 0} = {a g if c, else 0} for an a that can overflow: infinity times 0 is no number."""
    factors = list(sp.Mul.make_args(node))
    switches = [f for f in factors if isinstance(f, sp.Piecewise) and _switches_off(f)]
    if len(switches) != 1 or not any(_can_overflow(factor, definitions) for factor in factors):
        return node
    inside = [f for f in factors if f != switches[0] and f.atoms(sp.Indexed) and not f.has(sp.Sum)]
    outside = [f for f in factors if f != switches[0] and f not in inside]
    pieces = [(sp.Mul(value, *inside), condition) for value, condition in switches[0].args]
    return sp.Mul(*outside, cases(pieces))


def _switches_off(node: sp.Piecewise) -> bool:
    values = [value for value, _ in node.args]
    return sp.S.Zero in values and not all(value.is_number for value in values)


def _can_overflow(factor: sp.Expr, definitions: Mapping[str, Equation]) -> bool:
    base = factor.as_base_exp()[0]
    return isinstance(base, sp.Indexed) and with_definitions(base, definitions) != base


# --- branches ----------------------------------------------------------------------------------


GREATER = (sp.StrictGreaterThan, sp.GreaterThan)
LESS = (sp.StrictLessThan, sp.LessThan)


def _clamped(node: sp.Piecewise) -> sp.Expr:
    """Keep each branch's argument where the branch holds: both are computed, and one must not overflow."""
    if len(node.args) != 2 or not isinstance(node.args[0].cond, (*GREATER, *LESS)):
        return node
    (first, condition), (second, _) = node.args
    left, right = condition.lhs, condition.rhs
    if not isinstance(left, sp.Symbol | sp.Indexed) or not right.is_number:
        return node
    greater = isinstance(condition, GREATER)
    above, below = sp.Max(left, right, evaluate=False), sp.Min(left, right, evaluate=False)
    first = _clamp(first, left, above if greater else below)
    second = _clamp(second, left, below if greater else above)
    return sp.Piecewise((first, condition), (second, True))


def _clamp(branch: sp.Expr, variable: sp.Expr, clamped: sp.Expr) -> sp.Expr:
    """The clamped argument inside functions that can overflow; elsewhere the branch stays as it is."""

    def visit(node: sp.Expr) -> sp.Expr:
        grows = isinstance(node, sp.exp | Expm1 | sp.log) and not node.has(clamped)
        return node.xreplace({variable: clamped}) if grows else node

    return everywhere(visit, branch)
