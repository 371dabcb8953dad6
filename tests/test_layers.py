"""The letters l and L of layers: put in, renamed, and the sum over all layers that no rule takes apart."""

import pytest
import sympy as sp

from symbackprop.algebra.calculus import derivative
from symbackprop.algebra.equations import Quantity, Role
from symbackprop.algebra.indices import index_symbol, size_symbol
from symbackprop.algebra.layers import LAST, LAYER, LayerSum, at_layers, layer_in, name_at
from symbackprop.algebra.rules import Context, collapse_kronecker, pull_out_factors
from symbackprop.errors import NoRule
from symbackprop.forward.model import quantity

J, K, P, Q = map(index_symbol, "jkpq")


def weight(layer):
    inner, outer = (size_symbol(f"n_{text}") for text in (layer - 1, layer))
    return quantity("W", Role.WEIGHT, layer, *(size_symbol(str(s).replace(" ", "")) for s in (outer, inner)))


def squares(layer=LAYER):
    rows, columns = weight(layer).dims
    return sp.Sum(sp.Sum(weight(layer)[J, K] ** 2, (K, 1, columns)), (J, 1, rows))


R = LayerSum(squares(), LAYER, LAST)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("W[l]", "W2"),
        ("z[l+1]", "z3"),
        ("a[l-1]", "a1"),
        ("a[L-1]", "a4"),
        ("n_l", "n_2"),
        ("n_L-1", "n_4"),
        ("delta[L]", "delta5"),
        ("grad_W[l]", "grad_W2"),
        ("W1", "W1"),
        ("n_0", "n_0"),
        ("lambda", "lambda"),
        ("n_l]", "n_l]"),
        ("l", "l"),
    ],
)
def test_names_take_the_numbers_of_layers(name, wanted):
    assert name_at(name, {LAYER: sp.Integer(2), LAST: sp.Integer(5)}) == wanted


def test_the_activation_of_layer_0_is_the_input():
    assert name_at("a[l-1]", {LAYER: sp.Integer(1)}) == "x"
    assert name_at("z[l-1]", {LAYER: sp.Integer(1)}) == "z0"


def test_what_is_no_layer_of_the_engine_is_left_alone():
    assert layer_in("a[k]") is None and layer_in("n_m") is None and layer_in("x") is None


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_a_sum_over_layers_written_out(depth):
    written_out = at_layers(R, {LAST: sp.Integer(depth)})
    assert written_out == sp.Add(*(squares(sp.Integer(layer)) for layer in range(1, depth + 1)))


def test_the_letter_of_the_sum_is_its_own():
    expr = weight(LAYER)[P, Q] + R
    there = at_layers(expr, {LAYER: sp.Integer(1), LAST: sp.Integer(2)})
    assert there == weight(sp.Integer(1))[P, Q] + squares(sp.Integer(1)) + squares(sp.Integer(2))
    assert at_layers(R, {LAYER: sp.Integer(1)}) == R


@pytest.mark.parametrize("layer", [LAYER, LAST, LAYER + 1, LAST - 1])
def test_only_the_term_of_its_own_layer_counts(layer):
    own = weight(layer)
    found = derivative(3 * R, own[P, Q])
    ranges = Context(dict(zip((P, Q), own.dims, strict=True)))
    assert collapse_kronecker(found, ranges) == 6 * own[P, Q]


def test_its_derivative_is_that_of_the_sum_written_out():
    general = derivative(R, weight(LAYER)[P, Q])
    for number in (1, 2, 3):
        numbers = {LAYER: sp.Integer(number), LAST: sp.Integer(3)}
        written_out = at_layers(R, {LAST: sp.Integer(3)})
        assert at_layers(general, numbers) == derivative(written_out, weight(sp.Integer(number))[P, Q])


def test_what_it_does_not_depend_on():
    bias = quantity("b", Role.BIAS, LAYER, size_symbol("n_l"))
    assert derivative(R, bias[J]) == 0
    assert derivative(R, sp.Symbol("C_x", real=True)) == 0


def test_a_number_that_every_term_has():
    c = sp.Symbol("c", real=True)
    assert derivative(LayerSum(c * squares(), LAYER, LAST), c) == R


def test_terms_about_several_layers_are_refused():
    both = LayerSum(weight(LAYER)[1, 1] * weight(LAYER + 1)[1, 1], LAYER, LAST)
    with pytest.raises(NoRule, match="sum over layers"):
        derivative(both, weight(LAYER)[J, K])
    unlayered = LayerSum(weight(LAYER)[1, 1] * sp.IndexedBase("W", real=True)[1, 1], LAYER, LAST)
    with pytest.raises(NoRule, match="sum over layers"):
        derivative(unlayered, weight(LAYER)[J, K])


def test_no_rule_takes_it_for_a_sum_over_an_index():
    assert pull_out_factors(R, Context()) == R
    constant = LayerSum(sp.Integer(2), LAYER, LAST)
    assert pull_out_factors(constant, Context()) == constant


def test_other_quantities_of_a_layer_keep_their_families():
    h = Quantity("h[l]", "h", Role.INTERMEDIATE, LAYER, (size_symbol("n_l"),))
    squared = LayerSum(sp.Sum(h[J] ** 2, (J, 1, h.dims[0])), LAYER, LAST)
    assert derivative(squared, weight(LAYER)[J, K]) == 0
    assert at_layers(squared, {LAST: sp.Integer(1)}) == sp.Sum(
        sp.IndexedBase("h1", real=True)[J] ** 2, (J, 1, size_symbol("n_1"))
    )
