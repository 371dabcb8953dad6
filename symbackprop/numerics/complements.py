"""1 - a_j below the line, where a_j may be 1: the pole goes by algebra, and what is left can be evaluated."""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from symbackprop.algebra.indices import fresh_index, outermost, split_product
from symbackprop.numerics.logarithms import Definitions, all_but_one, with_definitions, without


def cancelled_poles(expr: sp.Expr, definitions: Definitions) -> sp.Expr:
    """The same derivative without 1/(1 - a), where a_j = exp(z_j)/S is the share of j in a sum S.

    With b_i = a_i g_i / (1 - a_i) it holds that

        b_j - a_j sum_i b_i  =  a_j g_j - sum_{i != j} a_i g_i exp(z_j) / (S - exp(z_i)),

    since a_j / (1 - a_i) = exp(z_j) / (S - exp(z_i)). On the left two terms without bound cancel.
    """
    if not _has_pole(expr):
        return expr
    terms = list(_terms(expr))
    for total in [term for term in terms if _pole_in_sum(term)]:
        found = _cancelled(total, terms, definitions)
        if found is None:
            return expr
        partner, replacement = found
        terms = [*(term for term in terms if term not in (total, partner)), replacement]
    return sp.Add(*terms)


def _is_pole(factor: sp.Expr) -> bool:
    """Whether a factor is 1/(1 - a) for an entry a."""
    if not isinstance(factor, sp.Pow) or factor.exp != -1 or not isinstance(factor.base, sp.Add):
        return False
    return isinstance(1 - factor.base, sp.Indexed)


def _has_pole(expr: sp.Expr) -> bool:
    return any(_is_pole(power) for power in expr.atoms(sp.Pow))


def _pole_in_sum(term: sp.Expr) -> bool:
    return any(isinstance(factor, sp.Sum) and _has_pole(factor) for factor in split_product(term))


def _terms(expr: sp.Expr) -> Iterator[sp.Expr]:
    """The terms of a sum, with those products multiplied out that hide a pole."""
    for term in sp.Add.make_args(expr):
        factors = split_product(term)
        at = next((n for n, factor in enumerate(factors) if _hides_pole(factor)), None)
        if at is None:
            yield term
        else:
            rest = factors[:at] + factors[at + 1 :]
            for inner in _opened(factors[at]):
                yield from _terms(sp.Mul(*rest, inner))


def _hides_pole(factor: sp.Expr) -> bool:
    inside = outermost(factor)[0] if isinstance(factor, sp.Sum) else factor
    if not _has_pole(inside):
        return False
    return isinstance(inside, sp.Add) or (isinstance(factor, sp.Sum) and len(list(_terms(inside))) > 1)


def _opened(factor: sp.Expr) -> list[sp.Expr]:
    """The terms of a factor that is a sum: those of a sum over an index as sums of their own."""
    if not isinstance(factor, sp.Sum):
        return list(factor.args)
    body, bound, size = outermost(factor)
    parts = (term.as_coeff_Mul() for term in _terms(body))
    return [number * sp.Sum(term, (bound, 1, size)) for number, term in parts]


def _cancelled(
    total: sp.Expr, terms: list[sp.Expr], definitions: Definitions
) -> tuple[sp.Expr, sp.Expr] | None:
    """For -c a_j sum_i b_i: the term c b_j that belongs to it, and what both come to."""
    factors = split_product(total)
    summed = next(factor for factor in factors if isinstance(factor, sp.Sum) and _has_pole(factor))
    body, bound, size = outermost(summed)
    pole = next((factor for factor in split_product(body) if _is_pole(factor)), None)
    if pole is None or not pole.has(bound):
        return None
    share = 1 - pole.base
    for index in sorted(sp.Mul(*factors).free_symbols, key=str):
        own = share.xreplace({bound: index})
        if index.is_integer and own in factors:
            outer = -total / summed / own
            partner = outer * body.xreplace({bound: index})
            if partner in terms:
                left = body / pole
                spread = _spread(left, share, own, (bound, index, size), definitions)
                return None if spread is None else (partner, outer * (left.xreplace({bound: index}) - spread))
    return None


def _spread(
    weight: sp.Expr,
    share: sp.Expr,
    own: sp.Expr,
    letters: tuple[sp.Symbol, sp.Symbol, sp.Expr],
    definitions: Definitions,
) -> sp.Expr | None:
    """sum_{i != j} w_i exp(z_j) / sum_{k != i} exp(z_k), for an a that is defined as a share."""
    bound, index, size = letters
    value, mine = (with_definitions(entry, definitions) for entry in (share, own))
    numerator, denominator = sp.fraction(mine)
    rest = sp.fraction(sp.together(1 - value))[0]
    others = all_but_one(rest) if isinstance(rest, sp.Add) else None
    if others is None or not isinstance(numerator, sp.exp) or not isinstance(denominator, sp.Sum):
        return None
    inner, letter, _ = outermost(others)
    fresh = fresh_index(weight, value, mine, index)
    others = sp.Sum(inner.xreplace({letter: fresh}), (fresh, 1, size))
    return sp.Sum(without(bound, index) * weight * numerator / others, (bound, 1, size))
