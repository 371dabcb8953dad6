"""Forms of an expression that a computer can evaluate: equal to the formula, and finite where it is.

1/(1+exp(-z)) overflows where the sigmoid is 0, and the logarithm of a saturated output is that of 0.
Each rule here is an algebraic identity, so what the code computes is still the formula of the text;
a few of the forms are functions with a name, which the code printer knows how to compute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sympy as sp

from symbackprop.equations import Equation
from symbackprop.functions import ScalarFunction
from symbackprop.indices import outermost
from symbackprop.network import argument
from symbackprop.rules import everywhere, powers


class Sigmoid(sp.Function):  # type: ignore[misc]
    """1 / (1 + exp(-u))."""

    is_real = True


class Softplus(sp.Function):  # type: ignore[misc]
    """log(1 + exp(u))."""

    is_real = True


class Expm1(sp.Function):  # type: ignore[misc]
    """exp(u) - 1."""

    is_real = True


MEANING: Mapping[type, Callable[..., sp.Expr]] = {
    Sigmoid: lambda u: 1 / (1 + sp.exp(-u)),
    Softplus: lambda u: sp.log(1 + sp.exp(u)),
    Expm1: lambda u: sp.exp(u) - 1,
    sp.Max: lambda u, v: sp.Piecewise((u, u > v), (v, True)),
    sp.Min: lambda u, v: sp.Piecewise((u, u < v), (v, True)),
}
"""What each named form stands for; a check puts these back."""


def stable(expr: sp.Expr, definitions: Mapping[str, Equation] | None = None) -> sp.Expr:
    """An equal expression that can be evaluated in floating point.

    ``definitions`` are the equations by name: logarithms of defined quantities are opened with them.

    >>> z = sp.Symbol("z", real=True)
    >>> stable(z / (1 + sp.exp(-z)))
    z*Sigmoid(z)
    >>> stable(sp.log(1 + sp.exp(z)))
    Softplus(z)
    >>> stable((sp.exp(z) - sp.exp(-z)) / (sp.exp(z) + sp.exp(-z)))
    tanh(z)
    """
    opened = everywhere(lambda node: _open_logarithm(node, definitions or {}), expr)
    return everywhere(_stable_node, opened)


def meaning(expr: sp.Expr) -> sp.Expr:
    """The expression with every named form written out again."""
    return everywhere(_written_form, expr)


def _written_form(node: sp.Expr) -> sp.Expr:
    form = MEANING.get(node.func)
    return node if form is None else form(*node.args)


def _stable_node(node: sp.Expr) -> sp.Expr:
    if isinstance(node, sp.Pow):
        return _sigmoid_power(node)
    if isinstance(node, sp.Mul):
        return _product(node)
    if isinstance(node, sp.log):
        return _softplus(node)
    if isinstance(node, sp.Add):
        return _difference(node)
    return _clamped(node) if isinstance(node, sp.Piecewise) else node


# --- exponentials ------------------------------------------------------------------------------


def _one_plus_exp(expr: sp.Expr) -> sp.Expr | None:
    """u if the expression is 1 + exp(u)."""
    if isinstance(expr, Expm1 | sp.Number) or not isinstance(expr, sp.Add) or len(expr.args) != 2:
        return None
    number, rest = expr.as_coeff_Add()
    return rest.args[0] if number == 1 and isinstance(rest, sp.exp) else None


def _sigmoid_power(node: sp.Pow) -> sp.Expr:
    """(1 + exp(u))^-n = sigmoid(-u)^n."""
    inner = _one_plus_exp(node.base)
    if inner is None or not (node.exp.is_Integer and node.exp.is_negative):
        return node
    return Sigmoid(-inner) ** (-node.exp)


def _softplus(node: sp.log) -> sp.Expr:
    """log(1 + exp(u)) = softplus(u)."""
    inner = _one_plus_exp(node.args[0])
    return node if inner is None else Softplus(inner)


def _product(node: sp.Mul) -> sp.Expr:
    """exp(u) sigmoid(-u) = sigmoid(u), and the quotient of differences and sums that is tanh."""
    factors = dict(powers(node))
    for base in [b for b in factors if isinstance(b, sp.exp)]:
        factors = _absorb(factors, base)
    tanh = _tanh(factors)
    return sp.Mul(*(base**exponent for base, exponent in (tanh or factors).items()))


def _absorb(factors: dict[sp.Expr, sp.Expr], exponential: sp.exp) -> dict[sp.Expr, sp.Expr]:
    for sign in (1, -1):
        u, times = sign * exponential.args[0], sign * factors.get(exponential, sp.S.Zero)
        here = Sigmoid(-u)
        count = min(times, factors.get(here, sp.S.Zero)) if times.is_Integer else 0
        if count > 0:
            changed = dict(factors)
            changed[exponential] = sign * (times - count)
            changed[here] = changed[here] - count
            changed[Sigmoid(u)] = changed.get(Sigmoid(u), sp.S.Zero) + count
            return changed
    return factors


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
    """exp(u) - 1 = expm1(u), and softplus(-u) + u = softplus(u)."""
    number, rest = node.as_coeff_Add()
    terms = sp.Add.make_args(rest)
    for term in terms:
        coefficient, factor = term.as_coeff_Mul()
        if isinstance(factor, sp.exp) and number != 0 and coefficient == -number:
            return sp.Add(coefficient * Expm1(factor.args[0]), *(t for t in terms if t != term))
    return _flip_softplus(node)


def _flip_softplus(node: sp.Add) -> sp.Expr:
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
    coefficient = term / softplus[0]
    return sp.expand_mul(-coefficient * inner), coefficient * Softplus(-inner)


# --- logarithms of what the program defines ----------------------------------------------------


def _open_logarithm(node: sp.Expr, definitions: Mapping[str, Equation]) -> sp.Expr:
    """log(a_j) and log(1 - a_j), with a_j as it is defined, as sums of logarithms."""
    if not isinstance(node, sp.log):
        return node
    arg = node.args[0]
    for entry in arg.atoms(sp.Indexed):
        equation = definitions.get(str(entry.base))
        if equation is None or arg not in (entry, 1 - entry):
            continue
        value = _written_out(equation.at(entry.indices))
        if value.has(sp.exp) and not value.has(sp.Piecewise):
            opened = _log_of(value if arg == entry else _one_minus(value))
            return node if opened is None else opened
    return node


def _written_out(expr: sp.Expr) -> sp.Expr:
    """The forward formula of a scalar function at its argument."""
    if isinstance(expr, ScalarFunction) and expr.formula is not None and expr.order == 0:
        return expr.formula.xreplace({argument("z"): expr.args[0]})
    return expr


def _one_minus(value: sp.Expr) -> sp.Expr:
    numerator, denominator = sp.fraction(sp.together(value))
    return sp.expand(denominator - numerator) / denominator


def _log_of(value: sp.Expr) -> sp.Expr | None:
    """The logarithm of a product, if no factor but exponentials can come near 0."""
    terms = []
    for base, exponent in powers(value):
        if isinstance(base, sp.exp):
            terms.append(exponent * base.args[0])
        elif base.is_positive or _sum_of_exponentials(base):
            terms.append(exponent * sp.log(base))
        else:
            return None
    return sp.Add(*terms)


def _sum_of_exponentials(base: sp.Expr) -> bool:
    if isinstance(base, sp.Sum):
        return isinstance(outermost(base)[0], sp.exp)
    terms = sp.Add.make_args(base)
    return all(isinstance(term, sp.exp) or term.is_positive for term in terms)


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
        return node.xreplace({variable: clamped}) if isinstance(node, sp.exp | Expm1 | sp.log) else node

    return everywhere(visit, branch)
