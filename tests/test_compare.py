"""The comparison of generated code with references: that it is right, and that it sees what is wrong."""

import json
import types
from dataclasses import replace
from functools import cache

import mpmath
import numpy as np
import pytest
import sympy as sp

import symbackprop as sb
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.checking.array_values import _FUNCTIONS, Numbers, Scope, run, value
from symbackprop.checking.comparison import Report, compare
from symbackprop.checking.numeric_references import Errors, References, relative_error
from symbackprop.checking.points import choose_point
from symbackprop.numerics.forms import (
    Erfc,
    Erfcx,
    Exprel,
    LogAbsExpm1,
    LogErfc,
    LogOneMinusExpExp,
    meaning,
)

REFERENCES = ["finite_difference", "complex_step", "explicit", "autograd"]


def spec(*activations, sizes=(2, 3, 2), cost="squared_error", cost_options=(), **tables):
    """A spec of dense layers."""
    layers = [{"size": n, "activation": a} for n, a in zip(sizes[1:], activations, strict=True)]
    cost = {"kind": cost, **dict(cost_options)}
    return {"name": "net", "input": {"size": sizes[0]}, "layers": layers, "cost": cost, **tables}


def derived(*activations, wrt=(), **more):
    return derivation_of(json.dumps(spec(*activations, **more)), wrt)


@cache
def derivation_of(text, wrt=()):
    return sb.derive(sb.from_mapping(json.loads(text)), wrt=wrt)


def named(name):
    """The derivation of one of the networks below, with the gradient for x."""
    return derivation_of(json.dumps(NETWORKS[name]), ("x",))


PARTLY = {"x": [[0.3, -1.2], [0.7, 0.1]], "y": [[0.0, 1.0], [0.5, 0.5]], "lambda": 0.3}
NETWORKS = {
    "two layers": spec("tanh", "sigmoid"),
    "kinks": spec("relu", "leaky_relu", cost="huber"),
    "absolute error": spec("softsign", "linear", cost="absolute_error"),
    "hinge": spec("hard_sigmoid", "linear", cost="hinge"),
    "softmax": spec("elu", "softmax", cost="cross_entropy", facts={"targets_sum_to_one": True}),
    "coupled inside": spec("softmax", "log_softmax"),
    "open function": spec("tanh", {"symbol": "g"}, cost="binary_cross_entropy"),
    "own formula": spec({"formula": "z/(1+z**2)"}, {"formula": "exp(-z)*cos(z)"}),
    "open sizes": spec("tanh", "tanh", sizes=("n", "m", "m")),
    "factors": spec(
        "tanh",
        "sigmoid",
        cost_options={"scale": "c/2", "outputs": "mean", "examples": "sum"},
        penalty={"l2": "lambda/(2*N)"},
    ),
    "numbers of the spec": spec("tanh", "sigmoid", penalty={"l2": "lambda"}, values=PARTLY),
    "absolute error of log-softmax": {
        **spec("softsign", "log_softmax", cost="absolute_error"),
        "layers": [
            {"size": n, "activation": a, "bias": False} for n, a in ((3, "softsign"), (2, "log_softmax"))
        ],
    },
    "irrational factor": spec("tanh", "tanh", cost_options={"scale": "sqrt(2)*pi"}),
    "one of each": spec("sigmoid", sizes=(1, 1)),
    "without bias": {
        **spec("mish", sizes=(2, 3)),
        "layers": [{"size": 3, "activation": "mish", "bias": False}],
    },
}


# --- what is right ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_generated_code_agrees(name):
    report = compare(named(name), seed=3)
    assert report.agrees, report.table()
    assert report.cost["forward"] < 1e-14 and report.cost["explicit"] < 1e-14
    assert list(report.gradients)[-1] == "x"
    for errors in report.gradients.values():
        assert errors.finite_difference < 1e-8
        assert errors.complex_step < 1e-13
        assert errors.explicit < 1e-13
        assert errors.autograd is None


def test_what_the_reference_cannot_do_is_none():
    report = compare(derived("gelu", "linear"))
    assert report.agrees
    assert {errors.complex_step for errors in report.gradients.values()} == {None}
    deep = compare(derived(*["tanh"] * 6, sizes=(2,) * 7))
    assert deep.agrees and deep.cost["explicit"] is None
    assert {errors.explicit for errors in deep.gradients.values()} == {None}


def test_any_number_of_layers():
    layers = [{"size": "n_l", "activation": "tanh"}, {"size": "n_L", "activation": "softmax"}]
    network = {**spec("tanh", "tanh"), "depth": "L", "input": {"size": "n_0"}, "layers": layers}
    report = compare(sb.derive(sb.from_mapping({**network, "cost": {"kind": "cross_entropy"}})))
    assert report.agrees, report.table()
    assert list(report.gradients) == ["W1", "b1", "W2", "b2", "W3", "b3"]


def test_both_routes():
    network = sb.from_mapping(NETWORKS["softmax"])
    assert compare(sb.derive(network, route="composite")).agrees


@pytest.mark.parametrize(
    ("activation", "cost", "inputs"),
    [
        ("sigmoid", "binary_cross_entropy", [[1000.0, 3.0], [-500.0, 2.0]]),
        ("sigmoid", "binary_cross_entropy", [[30.0, 3.0], [-20.0, 2.0]]),
        ("softmax", "cross_entropy", [[1000.0, 3.0], [-500.0, 2.0]]),
        ("selu", "squared_error", [[800.0, 3.0], [-500.0, 2.0]]),
        ("log_softmax", "squared_error", [[90.0, 3.0], [-50.0, 2.0]]),
    ],
)
def test_saturated_outputs(activation, cost, inputs):
    values = {"x": inputs, "y": [[0.0, 1.0], [1.0, 0.5]], "W1": [[1.0, 2.0], [3.0, 4.0]], "b1": [1.0, -2.0]}
    report = compare(derived(activation, sizes=(2, 2), cost=cost, values=values, wrt=("x",)))
    assert report.agrees, report.table()
    assert report.cost["explicit"] is None


def test_a_point_on_a_kink():
    """z = 0 in the first unit: there is no difference quotient there, and the complex step takes one case."""
    values = {"x": [[1.0, 2.0]], "y": [[-1.0, 1.0]], "W1": [[-2.0, 1.0], [3.0, 4.0]], "b1": [0.0, -2.0]}
    report = compare(derived("relu", sizes=(2, 2), values=values))
    assert report.agrees, report.table()
    alone = {"x": [[0.0]], "y": [[-1.0]], "W1": [[1.0]], "b1": [0.0]}
    report = compare(derived("relu", sizes=(1, 1), values=alone))
    assert report.gradients["b1"].finite_difference is None
    assert report.gradients["b1"].complex_step == 0.0


def test_a_large_network_is_sampled():
    network = sb.from_widths(
        "784-128-64-10", hidden="relu", output_activation="softmax", cost="cross_entropy"
    )
    derivation = sb.derive(network)
    report = compare(derivation)
    assert report.agrees, report.table()
    references = References(derivation, choose_point(derivation), np.random.default_rng(0))
    assert {name: len(references.places(name)) for name in ("W1", "b3")} == {"W1": 25, "b3": 10}


# --- what is wrong ---------------------------------------------------------------------------------


class Wrong:
    """A derivation whose generated code has one piece replaced."""

    def __init__(self, derivation, right, wrong):
        assert right in derivation.code
        self.derivation, self.changed = derivation, derivation.code.replace(right, wrong)

    def __getattr__(self, name):
        return getattr(self.derivation, name)

    def compile(self):
        module = types.ModuleType("wrong")
        exec(self.changed, module.__dict__)
        return module


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("delta2.T @ a1", "delta2.T @ z1"),
        ("delta2 @ W2", "delta2 @ -W2"),
        (" * (1.0 - a1**2)", ""),
        ("2.0 * ", ""),
        ("np.sum(delta1, axis=0) / N", "np.sum(delta1, axis=0)"),
        ("np.sum(example_costs) / N", "1.000001 * np.sum(example_costs) / N"),
        ("delta1.T @ x", "delta1.T @ x + 1e-8"),
        ("delta1 @ W1", "np.nan * delta1 @ W1"),
    ],
)
def test_wrong_code_is_seen(right, wrong):
    report = compare(Wrong(derived("tanh", "sigmoid", wrt=("x",)), right, wrong))
    assert not report.agrees
    assert "DON'T agree" in report.table()
    json.dumps(report.to_json(), allow_nan=False)


def test_wrong_equations_are_seen_by_the_written_out_cost():
    """The two kinds of reference are independent: the composite doesn't look at the program of a batch."""
    derivation = derived("tanh", "sigmoid")
    references = References(derivation, choose_point(derivation), np.random.default_rng(0))
    right = references.explicit("W1")
    broken = derivation.batch.forward.equations
    broken = (replace(broken[0], rhs=2 * broken[0].rhs), *broken[1:])
    program = replace(derivation.batch.forward, equations=broken)
    references.__dict__["program"] = program
    assert relative_error(references.complex_steps("W1", np.arange(6)).reshape(3, 2), right) > 1e-3


def test_each_tolerance_counts():
    fine = {"finite_difference": 9e-7, "complex_step": 9e-10, "explicit": 9e-10}
    assert Errors(**fine).agrees
    for name, error in fine.items():
        assert not Errors(**{**fine, name: 2 * error}).agrees
        assert not Errors(**{**fine, name: np.inf}).agrees
        assert not Errors(**{**fine, name: np.nan}).agrees
    assert not Errors().agrees, "no reference confirms nothing"
    assert not Report("net", {"forward": 2e-9}, {"W1": Errors(**fine)}).agrees
    assert Report("net", {"forward": 2e-10}, {"W1": Errors(**fine)}).agrees


def test_relative_error_is_relative_to_the_larger_of_one_and_the_reference():
    assert relative_error([0.0, 1.0], [1e-9, 1.0]) == pytest.approx(1e-9)
    assert relative_error(101.0, 100.0) == pytest.approx(0.01)
    assert relative_error([np.nan, 1.0], [1.0, 1.0]) == np.inf
    assert relative_error([1.0], [np.inf]) == np.inf


# --- the report ------------------------------------------------------------------------------------


def test_json_has_the_keys_of_the_contract():
    report = compare(derived("gelu", "sigmoid", wrt=("x",)))
    found = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert list(found) == ["agrees", "cost", "gradients"]
    assert found["agrees"] is True
    assert list(found["gradients"]) == ["W1", "b1", "W2", "b2", "x"]
    for errors in found["gradients"].values():
        assert list(errors) == REFERENCES
        assert errors["complex_step"] is None and errors["autograd"] is None
        assert 0 <= errors["finite_difference"] < 1e-6
    assert set(found["cost"]) == {"forward", "explicit"}


def test_the_table_has_a_line_for_each_gradient():
    lines = compare(derived("tanh", "sigmoid")).table().splitlines()
    assert lines[0].split() == ["net", *REFERENCES]
    assert [line.split()[0] for line in lines[1:6]] == ["cost", "W1", "b1", "W2", "b2"]
    assert lines[-1] == "the generated code and the references agree"
    assert len({len(line) for line in lines[:6]}) == 1


def test_a_seed_decides():
    derivation = derived("tanh", "sigmoid")
    assert compare(derivation, seed=1) == compare(derivation, seed=1)
    assert compare(derivation, seed=1) != compare(derivation, seed=2)
    with pytest.raises(sb.SymbackpropError, match="seed: -1: a seed is a whole number from 0 up"):
        compare(derivation, seed=-1)


def test_the_function_keeps_its_name():
    """No module is called like a function of the package, which importing it would hide."""
    import symbackprop.checking.comparison  # noqa: F401

    assert callable(sb.compare) and callable(sb.compare)


# --- the point -------------------------------------------------------------------------------------


def test_numbers_of_the_spec_are_used():
    point = choose_point(named("numbers of the spec"))
    assert point.arrays["x"].tolist() == PARTLY["x"] and point.arrays["y"].tolist() == PARTLY["y"]
    assert [(str(symbol), number) for symbol, number in point.symbols.items()] == [("lambda", 0.3)]
    assert point.arrays["W1"].shape == (3, 2)


def test_open_sizes_are_small_and_different_and_follow_given_arrays():
    open_sizes = spec("tanh", "tanh", sizes=("n", "m", "k_2"))
    point = choose_point(sb.derive(sb.from_mapping(open_sizes)))
    assert sorted(map(len, (point.arrays["b1"], point.arrays["b2"], point.arrays["x"].T))) == [2, 3, 4]
    values = {"x": [[0.1] * 5], "y": [[0.5, 0.5]]}
    point = choose_point(sb.derive(sb.from_mapping({**open_sizes, "values": values})))
    assert point.arrays["W1"].shape[1] == 5 and point.arrays["b2"].shape == (2,)


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("softmax", lambda y: np.allclose(y.sum(axis=1), 1) and (y > 0).all()),
        ("hinge", lambda y: set(y.ravel()) <= {-1.0, 1.0}),
        ("open function", lambda y: ((y > 0) & (y < 1)).all()),
    ],
)
def test_targets_fit_the_cost(name, fits):
    derivation = named(name)
    for seed in range(5):
        assert fits(choose_point(derivation, seed).arrays["y"])


@pytest.mark.parametrize("seed", range(3))
def test_points_are_away_from_kinks(seed):
    derivation = derived("relu", "relu", sizes=(3, 5, 4))
    evaluated = run(derivation.batch.forward, Numbers.at(choose_point(derivation, seed)))
    assert min(np.abs(evaluated[name]).min() for name in ("z1", "z2")) > 0.01


def test_points_are_where_nothing_overflows():
    derivation = derived(*["exp"] * 6, sizes=(2, 3, 3, 3, 3, 3, 2))
    evaluated = run(derivation.batch.forward, Numbers.at(choose_point(derivation)))
    assert np.isfinite(evaluated["C"]).all() and np.abs(evaluated["z6"]).max() < 8


# --- the evaluator ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["two layers", "kinks", "softmax", "factors"])
def test_expressions_have_the_values_that_sympy_gives_them(name):
    """The written-out cost and its raw derivative, evaluated by SymPy one number at a time."""
    derivation = named(name)
    point = choose_point(derivation)
    references = References(derivation, point, np.random.default_rng(0))
    assert by_sympy(derivation.cost, point) == pytest.approx(references.explicit_cost, rel=1e-13)
    found = references.explicit("W1")
    slope = by_sympy(derivation.raw_gradient("W1", 3, 1), point)
    assert slope == pytest.approx(found[2, 0], rel=1e-12, abs=1e-15)


def by_sympy(expr, point):
    """Sums written out by SymPy, entries and functions put in, and the rest left to SymPy too."""
    z = sp.Symbol("z", real=True)
    entries = {
        array[place]: sp.Float(number, 30)
        for name, numbers in point.arrays.items()
        for array in [sp.IndexedBase(name, real=True)]
        for place, number in ((tuple(i + 1 for i in at), numbers[at]) for at in np.ndindex(*numbers.shape))
    }
    symbols = {symbol: sp.Float(number, 30) for symbol, number in point.symbols.items()}

    def visit(node, places):
        """The value of a node where the letters of the sums around it are these places."""
        if isinstance(node, sp.Sum):
            (letter, first, last), *_ = node.limits[::-1]
            body = sp.Sum(node.function, *node.limits[:-1]) if len(node.limits) > 1 else node.function
            numbers = range(int(first), int(last) + 1)
            return sp.Add(*(visit(body, {**places, letter: sp.Integer(number)}) for number in numbers))
        if isinstance(node, sp.Indexed):
            return entries[node.xreplace(places)]
        if isinstance(node, ScalarFunction):
            formula = sp.diff(node.formula, z, node.order)
            return sp.N(formula.xreplace({z: visit(node.args[0], places)}), 30)
        if not node.args:
            return symbols.get(node, node)
        if isinstance(node, sp.KroneckerDelta):
            return node.xreplace(places)
        found = node.func(*(visit(arg, places) for arg in node.args))
        return sp.N(found, 30) if isinstance(found, sp.Expr) else found

    return float(visit(expr.xreplace(dict(point.declared)), {}))


def test_products_of_sums_and_repeated_letters():
    """A sum inside a sum over the same letter, and one whose terms don't have the letter."""
    j, k, n = sp.symbols("j k n", integer=True, positive=True)
    v = sp.IndexedBase("v", real=True)
    numbers = Numbers({"v": np.array([[1.0, 2.0, 4.0]])}, {n: 3})
    inner = sp.Sum(v[k], (k, 1, n))
    for expr, wanted in (
        (sp.Sum(v[j] * inner, (j, 1, n)), [49.0]),
        (sp.Sum(v[k] * inner.xreplace({k: j}), (k, 1, n)), [49.0]),
        (sp.Sum(sp.Integer(2), (j, 1, n)), [6.0]),
        (sp.Sum(v[j] ** 2 * v[j], (j, 1, n)), [73.0]),
        (sp.Sum(sp.KroneckerDelta(j, 2) * v[j], (j, 1, n)), [2.0]),
        (sp.log(sp.Sum(sp.exp(v[j] * 500), (j, 1, n))), [2000.0]),
        (sp.exp(v[1] * 0) * sp.Integer(3), [3.0]),
    ):
        assert value(expr, Scope(numbers, ())).tolist() == wanted, expr
    shifted = value(inner.xreplace({k: j}) * v[j], Scope(numbers, ((j, 3),)))
    assert shifted.tolist() == [[7.0, 14.0, 28.0]]


def test_what_has_no_number_is_refused_by_name():
    j, n = sp.symbols("j n", integer=True, positive=True)
    v = sp.IndexedBase("v", real=True)
    scope = Scope(Numbers({"v": np.ones((1, 3))}, {n: 3}), ())
    with pytest.raises(sb.NoRule, match="no number is known for the function gamma"):
        value(sp.gamma(sp.Symbol("u") + 1).xreplace({sp.Symbol("u"): n}), scope)
    with pytest.raises(sb.NoRule, match="no number is known for j, which is no index here"):
        value(v[j], scope)
    with pytest.raises(sb.NoRule, match="no number is known for the symbol u"):
        value(sp.Symbol("u", real=True), scope)


def test_moves_are_evaluated_at_once():
    derivation = derived("tanh", "softmax", cost="cross_entropy")
    point = choose_point(derivation)
    numbers = Numbers.at(point)
    one, two = point.arrays["W1"], point.arrays["W1"] + 0.25

    def with_weights(*weights):
        arrays = {**numbers.arrays, "W1": np.array(weights)}
        return run(derivation.batch.forward, replace(numbers, arrays=arrays))

    both = with_weights(one, two)
    for place, weight in enumerate((one, two)):
        alone = with_weights(weight)
        np.testing.assert_allclose(both["C"][place], alone["C"][0], rtol=1e-15)
        np.testing.assert_allclose(both["a2"][place], alone["a2"][0], rtol=1e-15)
    assert all(len(array) in (1, 2) for array in both.values())


def own(layers, cost, **more):
    """A network with formulas of one's own."""
    described = [{"size": 2, "activation": a if a.isidentifier() else {"formula": a}} for a in layers]
    cost = {"kind": cost} if cost.isidentifier() else {"formula": cost}
    return sb.derive(
        sb.from_mapping({"name": "own", "input": {"size": 2}, "layers": described, "cost": cost, **more})
    )


@pytest.mark.parametrize("seed", range(4))
def test_an_output_that_is_nearly_1_is_no_difference_of_the_code(seed):
    """1 - exp(-exp(3.4)) differs from 1 by 1e-13: the references lose the digits that the code keeps."""
    assert compare(own(["gelu", "linear", "1-exp(-exp(z))"], "binary_cross_entropy"), seed).agrees


def test_functions_of_a_sum_are_written_out():
    """SymPy goes round in circles over the sign of sums in a sine that aren't multiplied out."""
    assert compare(own(["z[j]-sum(z[i], i)"], "sin(a-y)**2", penalty={"l2": "0.1"})).agrees


@pytest.mark.parametrize("form", [Erfc, LogErfc, Erfcx, Exprel, LogOneMinusExpExp, LogAbsExpm1])
def test_numbers_of_the_named_forms(form):
    for number in (-3.0, -0.5, -1e-9, 0.25, 4.0, 24.0, 26.0):
        if form in (LogErfc, Erfcx) and number == 26.0:
            exact = mpmath.log(mpmath.erfc(26)) if form is LogErfc else mpmath.exp(676) * mpmath.erfc(26)
        else:
            with mpmath.workdps(400):
                exact = sp.lambdify((), meaning(form(sp.Float(number, 400))), "mpmath")()
        found = _FUNCTIONS[form](np.array([number]))[0]
        assert abs(found - float(exact)) <= 1e-13 * max(1.0, abs(float(exact))), (form, number)
