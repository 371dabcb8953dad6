"""The forms that NumPy is quick at: what is rewritten, what is not, and that results are the same."""

import tracemalloc

import numpy as np
import pytest
import sympy as sp
from array_libraries import A_CALL, peak_of

import symbackprop as sb
from symbackprop.code.nodes import Graph
from symbackprop.code.vector_forms import in_vectors

N, n = sp.Symbol("N"), sp.Symbol("n")


def forms(make, *dims):
    """The operations of what ``make`` builds from an array of these sizes, in their new forms."""
    graph = Graph()
    root = make(graph, graph.given("z", dims))
    new, made = in_vectors(graph, [root], {n: sp.Integer(7)})
    return [new[number].operation for number in new.below([made[root]])]


def test_an_extreme_beside_a_number_is_one_of_two_arrays():
    def maximum(graph, z):
        return graph.apply("maximum", z, graph.number(sp.Integer(0)))

    assert forms(maximum, N, n) == ["given", "number", "filled", "apply"]
    assert "filled" not in forms(maximum)


def test_each_reader_fills_an_array_of_its_own():
    def two(graph, z):
        zero = graph.number(sp.Integer(0))
        first = graph.apply("maximum", z, zero)
        return graph.apply("minimum", first, zero)

    assert forms(two, N, n).count("filled") == 2


@pytest.mark.parametrize(("width", "columns"), [(n, True), (sp.Integer(32), True), (sp.Integer(33), False)])
def test_the_largest_of_short_rows_is_that_of_columns(width, columns):
    def largest(graph, z):
        return graph.node("largest", (z,), 1, (N,))

    assert ("copied" in forms(largest, N, width)) == columns


def test_a_comparison_is_true_and_false_before_it_is_a_number():
    def masked(graph, z):
        mask = graph.apply("greater", z, graph.number(sp.Integer(0)))
        return graph.apply("multiply", z, mask)

    assert forms(masked, N, n) == ["given", "number", "compared", "copied", "apply"]


def test_a_choice_takes_true_and_false():
    def choice(graph, z):
        mask = graph.apply("greater", z, graph.number(sp.Integer(0)))
        return graph.node("where", (mask, z, z), None, (N, n))

    assert "copied" not in forms(choice, N, n)


@pytest.mark.parametrize(("size", "turned"), [(64, True), (65, False)])
def test_small_weights_are_turned_and_large_ones_are_not(size, turned):
    def product(graph, z):
        weights = graph.given("W", (sp.Integer(size), sp.Integer(64)))
        return graph.product(z, graph.transpose(weights))

    assert ("turned" in forms(product, N, sp.Integer(64))) == turned


RECTIFIED = {
    "name": "rectified",
    "input": {"size": 400},
    "layers": [
        {"size": 128, "activation": "relu"},
        {"size": 60, "activation": "relu"},
        {"size": 10, "activation": "softmax"},
    ],
    "cost": {"kind": "cross_entropy"},
    "facts": {"targets_sum_to_one": True},
}


def arrays(module, batch, dtype=np.float64):
    rng = np.random.default_rng(3)
    parameters = {
        name: (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(dtype)
        for name, shape in module.PARAMETERS.items()
    }
    x = rng.standard_normal((batch, 400)).astype(dtype)
    return parameters, x, rng.dirichlet(np.ones(10), batch).astype(dtype)


@pytest.fixture(scope="module")
def module():
    return sb.derive(sb.from_mapping(RECTIFIED)).compile()


@pytest.mark.parametrize("batch", [1, 15, 16, 128, 900])
@pytest.mark.parametrize(("dtype", "limit"), [(np.float64, 1e-12), (np.float32, 2e-5)])
def test_results_are_those_of_the_plain_code(module, batch, dtype, limit):
    given = arrays(module, batch, dtype)
    cost, gradients = module.make_gradients(batch, dtype)(*given)
    wanted_cost, wanted = module.cost_and_gradients(*(_double(value) for value in given))
    assert cost == pytest.approx(wanted_cost, rel=limit)
    for name, value in wanted.items():
        assert np.max(np.abs(gradients[name] - value)) <= limit * max(1.0, np.max(np.abs(value)))


def _double(value):
    if isinstance(value, dict):
        return {name: _double(array) for name, array in value.items()}
    return value.astype(np.float64)


def test_a_call_makes_no_arrays(module):
    batch = 128
    given = arrays(module, batch)
    fast = module.make_gradients(batch)
    fast(*given)
    tracemalloc.start()
    during = min(peak_of(fast, given) for _ in range(3))
    tracemalloc.stop()
    assert during < A_CALL, "no array, and not even NumPy's own buffers"
