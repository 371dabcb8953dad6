"""Index letters: nothing is captured, and the names of bound letters don't matter."""

import pytest
import sympy as sp

from symbackprop.algebra.indices import (
    LETTERS,
    alpha,
    at_indices,
    fresh_index,
    index_symbol,
    letters,
    outermost,
    put_in,
    rename_bound,
    replaced,
    size_symbol,
    total,
)
from symbackprop.errors import NoRule

i, j, k, m = map(index_symbol, "ijkm")
n, h = map(size_symbol, "nh")
W, x = sp.IndexedBase("W", real=True), sp.IndexedBase("x", real=True)


def test_letters_do_not_run_out():
    found = [letter for letter, _ in zip(letters(), range(3 * len(LETTERS)), strict=False)]
    assert len(set(found)) == 3 * len(LETTERS)
    assert [letter.name for letter in found[: len(LETTERS)]] == list(LETTERS)
    assert fresh_index(*found).name not in {letter.name for letter in found}


def test_a_row_at_the_letter_that_its_sum_uses():
    row = sp.Sum(W[j, k] * x[k], (k, 1, n))
    moved = at_indices(row, (j,), (k,))
    bound = outermost(moved)[1]
    assert moved == sp.Sum(W[k, bound] * x[bound], (bound, 1, n)) and bound != k


def test_what_is_put_in_keeps_its_letters_apart():
    outer = sp.Sum(x[k] * W[j, k], (k, 1, n))
    put = put_in(outer, {x[k]: sp.Sum(W[k, j], (j, 1, h))})
    assert put.free_symbols & {j, k} == {j}
    concrete = put.xreplace({n: sp.Integer(2), h: sp.Integer(3)}).doit()
    assert sp.expand(concrete) == sp.expand(sum(W[j, p] * sum(W[p, q] for q in (1, 2, 3)) for p in (1, 2)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (sp.Sum(x[j], (j, 1, n)), sp.Sum(x[k], (k, 1, n))),
        (
            sp.Sum(sp.Sum(W[j, k], (k, 1, n)), (j, 1, h)),
            sp.Sum(sp.Sum(W[m, i], (i, 1, n)), (m, 1, h)),
        ),
        (
            sp.Sum(x[j], (j, 1, n)) * sp.Sum(x[k] ** 2, (k, 1, n)),
            sp.Sum(x[m], (m, 1, n)) * sp.Sum(x[m] ** 2, (m, 1, n)),
        ),
    ],
)
def test_sums_that_differ_in_letters_only_have_one_alpha_form(one, other):
    assert one != other
    assert alpha(one) == alpha(other)
    assert rename_bound(one) == rename_bound(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (sp.Sum(W[j, k], (k, 1, n)), sp.Sum(W[k, j], (k, 1, n))),
        (sp.Sum(W[j, k], (k, 1, n)), sp.Sum(W[i, k], (k, 1, n))),
        (sp.Sum(x[k], (k, 1, n)), sp.Sum(x[k], (k, 1, h))),
        (
            sp.Sum(sp.Sum(W[j, k], (k, 1, n)), (j, 1, n)),
            sp.Sum(sp.Sum(W[k, j], (k, 1, n)), (j, 1, n)),
        ),
    ],
)
def test_sums_that_mean_something_else_have_another_alpha_form(one, other):
    assert alpha(one) != alpha(other)


def test_renaming_leaves_free_letters_alone():
    expr = W[j, k] * sp.Sum(x[j], (j, 1, n))
    assert rename_bound(expr) == W[j, k] * sp.Sum(x[i], (i, 1, n))


@pytest.mark.parametrize("total", [sp.Sum(x[j], (j, 2, n)), sp.Sum(x[j], (j, 0, n))])
def test_a_sum_that_does_not_start_at_1_is_refused(total):
    with pytest.raises(NoRule, match="runs from 1"):
        outermost(total)


def test_a_power_of_a_sum_is_what_sympy_makes_of_it():
    """Without SymPy's questions about each term, which have no answer that matters here."""
    x, y, (i, n) = (
        sp.IndexedBase("x", real=True),
        sp.IndexedBase("y", real=True),
        sp.symbols("i n", integer=True),
    )
    base = 1 + sp.Sum(x[i] ** 2, (i, 1, n))
    for power in (sp.sqrt(base), 1 / base, base**-3, base ** sp.Rational(2, 3)):
        assert replaced(power, {x: y}) == power.subs(x, y) == power.xreplace({x: y})
    assert replaced(sp.sqrt(4 + y[i]), {y[i]: sp.Integer(5)}) == 3
    assert replaced((1 + y[i]) ** -1, {y[i]: sp.Integer(-1)}) == sp.zoo


def test_a_sum_is_put_together_as_sympy_does_it():
    x, (i, k, n, m) = sp.IndexedBase("x", real=True), sp.symbols("i k n m", integer=True, positive=True)
    inner = total(x[i, k], (i, 1, n))
    assert inner == sp.Sum(x[i, k], (i, 1, n)) and inner.is_commutative
    assert total(inner, (k, 1, m)) == sp.Sum(inner, (k, 1, m)) == sp.Sum(x[i, k], (i, 1, n), (k, 1, m))
    assert total(2 * inner, (k, 1, m)) == sp.Sum(2 * inner, (k, 1, m))
