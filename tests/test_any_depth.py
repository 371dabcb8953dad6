"""A symbol for the depth: sizes as numbers or symbols, a penalty over all layers, code for any depth."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import sympy as sp
from every_layer import at_every_layer

import symbackprop as sb
from symbackprop.algebra.layers import LAST, LAYER, LayerSum
from symbackprop.checking.check import Equality
from symbackprop.forward.model import any_number, forward_model, numbered
from symbackprop.layout.claims import Checker
from symbackprop.notation.notation import shipped
from symbackprop.spec.loading import from_mapping

CENTRED = {"formula": "z[j] - sum(z[i], i)/n"}
OPEN = {"symbol": "g"}


def spec(sizes=("n_0", "n_l", "n_L"), activations=("tanh", "sigmoid"), depth="L", **tables):
    """A spec with a symbol for its depth."""
    layers = [{"size": n, "activation": a} for n, a in zip(sizes[1:], activations, strict=True)]
    cost = {"kind": "squared_error", **tables.pop("cost", {})}
    return {
        "name": "any",
        "depth": depth,
        "input": {"size": sizes[0]},
        "layers": layers,
        "cost": cost,
        **tables,
    }


@cache
def _derived(text):
    return sb.derive(from_mapping(json.loads(text)))


def derived(*args, **more):
    return _derived(json.dumps(spec(*args, **more)))


SPECS = {
    "brilliant": (("r_0", "r_l", 1), (OPEN, {"symbol": "g_o"}), "m"),
    "numbers": ((5, 4, 3), ("relu", "softmax"), "L"),
    "names": (("d", "h", "c"), ("softplus", "linear"), "K"),
    "one name": (("d", "d", "d"), ("tanh", "tanh"), "m"),
    "number and family": ((3, "n_l", 2), (CENTRED, CENTRED), "n"),
}
PENALTY = {"penalty": {"l2": "lambda/(2*N)"}}


@pytest.mark.parametrize("name", SPECS)
def test_text_checks_and_code(name):
    derivation = derived(*SPECS[name], **PENALTY)
    certificate = derivation.certificate()
    assert certificate.holds, [f for f in certificate.findings if not f.holds]
    report = sb.compare(derivation)
    assert report.agrees, report.table()
    assert derivation.compile()._self_check() < 1e-5


# --- the penalty -----------------------------------------------------------------------------------


def test_the_penalty_is_a_sum_over_all_layers():
    equation = derived(**PENALTY).model.total.definitions["R"]
    (total,) = equation.rhs.atoms(LayerSum)
    assert (total.layer, total.last) == (LAYER, LAST)
    assert str(equation.rhs / total) == "lambda/(2*N)"
    assert str(total.term) == "Sum(W[l][j, k]**2, (k, 1, n_l-1), (j, 1, n_l))"


def test_its_gradient_is_derived_for_weights_and_not_for_biases():
    found = {g.quantity.of.name: g for g in derived(**PENALTY).batch.gradients}
    for layer in ("l", "L"):
        weights, biases = found[f"W[{layer}]"], found[f"b[{layer}]"]
        assert f"lambda*W[{layer}][j, k]/N" in str(weights.equation.rhs)
        assert "lambda" not in str(biases.equation.rhs)
        assert [s.rule for s in weights.derivation.steps][:2] == ["chain_rule", "differentiate"]
        assert "Partial(C, R)*Partial(R, W[" in str(weights.derivation.steps[0].after)


@pytest.mark.slow
def test_the_text_prints_the_sum_over_the_layers():
    text = derived(depth="m", **PENALTY).to_latex()
    assert r"\sum_{\sbpanylayer=1}^{m} \sum_{j=1}^{\sbpsize{\sbpanylayer}}" in text
    assert r"\sum_{\sbpanylayer=1}^{\sbplastlayer}" in derived(**PENALTY).to_latex()


WRONG = {
    "without the last layer": lambda node: LayerSum(node.term, node.layer, node.last - 1),
    "the last layer alone": lambda node: node.term.xreplace({LAYER: LAST}),
    "twice": lambda node: 2 * node,
    "one layer": lambda node: node.term,
    "no squares": lambda node: LayerSum(sp.sqrt(node.term), node.layer, node.last),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_penalty_is_found_out(wrong):
    derivation = derived(**PENALTY)
    equation = derivation.model.total.definitions["R"]
    checker = Checker(derivation)
    right = Equality("penalty", equation.lhs, equation.rhs, (), "batch")
    assert checker.check(right).holds
    (total,) = equation.rhs.atoms(LayerSum)
    changed = equation.rhs.xreplace({total: WRONG[wrong](total)})
    assert not checker.check(replace(right, right=changed)).holds


@pytest.mark.parametrize("factor", [0, 2, -1])
def test_a_wrong_gradient_of_the_penalty_is_found_out(factor):
    derivation = derived(**PENALTY)
    checker = Checker(derivation)
    for gradient in derivation.batch.gradients:
        entry, rhs = gradient.equation.lhs, gradient.equation.rhs
        free = tuple(zip(gradient.indices, gradient.quantity.dims, strict=True))
        (name,) = {gradient.quantity.of.letter}
        right = Equality("gradient", entry, rhs, free, "batch")
        assert checker.check(right).holds
        if name == "W":
            decay = sp.Symbol("lambda", real=True)
            assert not checker.check(replace(right, right=rhs.xreplace({decay: factor * decay}))).holds


# --- the code, beside a network that is written here by hand ------------------------------------------


def oracle(sizes, activation, output, scale, decay, parameters, x, y):
    """The cost, for complex parameters too."""
    a = x
    for layer in range(1, len(sizes)):
        z = a @ parameters[f"W{layer}"].T + parameters[f"b{layer}"]
        a = (output if layer == len(sizes) - 1 else activation)(z)
    squares = sum(np.sum(parameters[f"W{layer}"] ** 2) for layer in range(1, len(sizes)))
    return scale * np.sum((a - y) ** 2) / len(x) + decay * squares


def gradients_of(cost, parameters):
    """By complex step: exact to rounding."""
    found = {}
    for name, value in parameters.items():
        found[name] = np.empty_like(value)
        for place in np.ndindex(*value.shape):
            moved = value.astype(complex)
            moved[place] += 1e-30j
            found[name][place] = cost({**parameters, name: moved}).imag / 1e-30
    return found


def centred(z):
    return z - z.mean(axis=1, keepdims=True)


@pytest.mark.parametrize("depth", [2, 3, 5])
@pytest.mark.parametrize("activation", ["tanh", "centred"])
def test_cost_and_gradients_at_several_depths(depth, activation):
    activations = (CENTRED if activation == "centred" else "tanh", "tanh")
    derivation = derived(
        (3, "h", "c"),
        activations,
        "K",
        cost={"scale": "1/h", "outputs": "mean"},
        penalty={"l2": "lambda/(2*K*N)"},
    )
    module = derivation.compile()
    sizes = (3, *[4] * (depth - 1), 2)
    rng = np.random.default_rng(depth)
    shapes = module._shapes(sizes)
    parameters = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    x, y = rng.standard_normal((5, 3)), rng.standard_normal((5, 2))
    hidden = centred if activation == "centred" else np.tanh
    decay = 0.3 / (2 * depth * 5)

    def cost(p):
        return oracle(sizes, hidden, np.tanh, 1 / 4 / 2, decay, p, x, y)

    found, gradients = module.cost_and_gradients(parameters, x, y, lambda_=0.3)
    assert found == pytest.approx(cost(parameters), rel=1e-12)
    assert module.cost(parameters, x, y, lambda_=0.3) == found
    for name, wanted in gradients_of(cost, parameters).items():
        np.testing.assert_allclose(gradients[name], wanted, rtol=1e-9, atol=1e-12)
    fast = module.make_gradients(5, sizes=sizes)
    total, buffers = fast(parameters, x, y, lambda_=0.3)
    assert total == found and all(np.array_equal(buffers[n], gradients[n]) for n in gradients)


@pytest.mark.parametrize(
    ("sizes", "wrong", "message"),
    [
        ((3, "h", 1), (4, 5, 5, 1), r"x must have shape \(2, 3\), not \(2, 4\)"),
        ((3, "h", 1), (3, 5, 4, 1), r"W2 must have shape \(5, 5\), not \(4, 5\)"),
        ((3, "h", 1), (3, 5, 5, 2), r"y must have shape \(2, 1\), not \(2, 2\)"),
        (("n", 4, "n"), (3, 4, 4, 2), r"y must have shape \(2, 3\), not \(2, 2\)"),
    ],
)
def test_sizes_that_the_network_does_not_have_are_refused(sizes, wrong, message):
    module = derived(sizes).compile()
    parameters = {name: np.ones(shape) for name, shape in module._shapes(wrong).items()}
    x, y = np.ones((2, wrong[0])), np.ones((2, wrong[-1]))
    with pytest.raises(ValueError, match=message):
        module.cost_and_gradients(parameters, x, y)
    with pytest.raises(ValueError, match="sizes must be"):
        module.make_gradients(2, sizes=wrong)


def test_all_that_does_not_fit_is_told_at_once():
    module = derived().compile()
    parameters = {name: np.ones(shape) for name, shape in module._shapes((3, 4, 4, 2)).items()}
    x, y = np.ones((2, 3)), np.ones((2, 2))

    def refused(*given):
        with pytest.raises(ValueError) as error:
            module.cost_and_gradients(*given)
        return str(error.value).splitlines()

    assert refused([*parameters.values()], x.tolist(), y) == [
        "parameters must be a dictionary of the arrays W1, W2, ..., not list",
        "x must be a plain NumPy array, not list",
    ]
    assert refused({**parameters, "W2": np.ones((4, 3)), "b3": np.ones(3)}, x, y) == [
        "W2 must have shape (4, 4), not (4, 3)",
        "b3 must have shape (2,), not (3,)",
    ]
    without = {name: value for name, value in parameters.items() if name != "b1"}
    assert refused({**without, "c": 1}, x[0], np.ones((2, 2), int)) == [
        "missing parameters of 3 layers: b1",
        "unknown parameters of 3 layers: c",
        "x must have two axes, not 1",
        "y must be float32 or float64, not int64",
    ]
    assert refused({}, x, y) == ["parameters must have W1, W2, ... for two layers or more"]


def test_no_declared_sizes_no_check_of_them():
    assert "_declared" not in derived().code
    assert derived(("d", "n_l", "c")).code.count("_declared") == 0
    assert "first, hidden, last = (784, None, 10)" in derived((784, "n_l", 10)).code


# --- sizes in the text ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sizes", "depth", "wanted"),
    [
        (
            (784, 30, 10),
            "L",
            [
                r"\sbpsize{0} = 784",
                r"\sbpsize{\sbpanylayer} = 30$ for every",
                r"\sbpsize{\sbplastlayer} = 10",
            ],
        ),
        (
            ("r_0", "r_l", 1),
            "m",
            [r"has $\sbpsymbol{r_{\sbpanylayer}}$ units", r"Here $\sbpsymbol{r_{m}} = 1$."],
        ),
        (("d", "h", "c"), "m", [r"\sbpsize{0} = \sbpsymbol{d}", r"\sbpsize{m} = \sbpsymbol{c}"]),
    ],
)
def test_sizes_are_said(sizes, depth, wanted):
    text = derived(sizes, depth=depth).to_latex()
    assert all(piece in text for piece in wanted), text[:1500]


def test_sizes_with_their_usual_names_need_no_sentence():
    assert "Here" not in derived().to_latex()
    assert "Here" not in derived(("n_0", "n_l", "n_m"), depth="m").to_latex()


# --- what is refused, with its place -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "place", "wanted"),
    [
        ({"sizes": ("n_l", "n_l", 1)}, "input.size", "n_l is the size of layer l"),
        ({"sizes": ("n_2", "n_l", 1)}, "input.size", "use n_0 or another name"),
        ({"sizes": (2, "n_l", "n_l")}, "layers[1].size (layer 2)", "n_l is the size of layer l"),
        ({"sizes": (2, "r_l", "r_3"), "depth": "m"}, "layers[1].size (layer 2)", "use r_m or another name"),
        ({"cost": {"scale": "1/n_l"}}, "cost.scale", "another number for every hidden layer"),
        ({"penalty": {"l2": "n_l"}}, "penalty.l2", "another number for every hidden layer"),
        (
            {"sizes": (2, "n_l", 1), "cost": {"scale": "n_0"}},
            "cost.scale",
            "what the size of a layer is called",
        ),
        ({"depth": "n_0", "sizes": (2, 2, 2)}, "depth", "what the size of a layer is called"),
        ({"sizes": ("L", "n_l", 1)}, "input.size", "L is the depth already"),
    ],
)
def test_contradictions_are_refused_with_their_place(given, place, wanted):
    with pytest.raises(sb.SpecError) as caught:
        from_mapping(spec(**given), "net.toml")
    assert caught.value.source == "net.toml"
    assert [problem.where for problem in caught.value.problems] == [place]
    assert wanted in str(caught.value)


# --- from a symbol to a number and back -----------------------------------------------------------------


def test_a_number_of_layers_has_the_same_factors():
    network = from_mapping(spec(("d", "n_l", "c"), cost={"scale": "1/(L*c)"}, penalty={"l2": "mu/L"}))
    four = numbered(network, 4)
    assert [layer.size for layer in four.layers] == ["n_1", "n_2", "n_3", "c"]
    assert str(four.cost.scale) == "1/(4*c)" and str(four.penalty) == "mu/4"


def test_the_general_form_of_a_numbered_network_keeps_its_penalty():
    layers = [{"size": n, "activation": "tanh"} for n in ("n_1", "n_2", 2)]
    one = {
        "name": "three",
        "input": {"size": 3},
        "layers": layers,
        "cost": {"kind": "squared_error"},
        **PENALTY,
    }
    derivation = sb.derive(from_mapping(one))
    document = derivation.document(forms=("general",))
    assert document.certificate.holds
    assert r"\sum_{\sbpanylayer=1}^{\sbplastlayer}" in document.to_latex()


def test_the_general_form_is_refused_where_a_factor_names_a_hidden_size():
    layers = [{"size": n, "activation": "tanh"} for n in ("n_1", "n_2", 2)]
    one = {"name": "three", "input": {"size": "d"}, "layers": layers}
    named = from_mapping({**one, "cost": {"kind": "squared_error", "scale": "1/n_2"}})
    with pytest.raises(sb.FormRefused, match="names n_2"):
        any_number(named)
    of_input = from_mapping({**one, "cost": {"kind": "squared_error", "scale": "1/d"}})
    assert str(any_number(of_input).cost.scale) == "1/n_0"
    own = from_mapping({**one, "cost": {"kind": "squared_error", "scale": "L*M"}})
    assert any_number(own).depth == "K"


def test_the_composite_route_is_the_chain_rule_where_nothing_can_be_written_out():
    assert sb.derive(from_mapping(spec()), route="composite").route == "chain"


def test_every_step_holds_at_every_layer():
    model = forward_model(from_mapping(spec((2, "h", 1), (CENTRED, "tanh"), **PENALTY)))
    derivation = derived((2, "h", 1), (CENTRED, "tanh"), **PENALTY)
    findings = at_every_layer(model, derivation.adjoints)
    assert findings and all(finding.holds for finding in findings)


@pytest.mark.slow
@pytest.mark.parametrize("biases", [(True, False), (False, True), (False, False)])
def test_layers_with_and_without_bias(biases):
    given = spec((2, "n_l", 2), ("softplus", "tanh"), **PENALTY)
    for layer, bias in zip(given["layers"], biases, strict=True):
        layer["bias"] = bias
    derivation = sb.derive(from_mapping(given))
    certificate = derivation.certificate()
    assert certificate.holds, [finding for finding in certificate.findings if not finding.holds]
    report = sb.compare(derivation)
    assert report.agrees, report.table()
    assert [name for name in report.gradients if name[0] == "b"] == [
        f"b{layer}" for layer, bias in ((1, biases[0]), (2, biases[0]), (3, biases[1])) if bias
    ]


# --- the gradient with respect to the input ---------------------------------------------------------------


@cache
def _by_input(text, route="chain"):
    return sb.derive(from_mapping(json.loads(text)), route, ("x",))


def by_input(*args, **more):
    return _by_input(json.dumps(spec(*args, **more)))


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECS)
def test_the_gradient_by_the_input_is_derived_checked_and_computed(name):
    derivation = by_input(*SPECS[name], **PENALTY)
    (gradient,) = (equation for equation in derivation.equations if equation.quantity.of.name == "x")
    assert str(gradient.rhs) == "Sum(W1[k, j]*delta1[k], (k, 1, n_1))"
    certificate = derivation.certificate()
    assert certificate.holds, [f for f in certificate.findings if not f.holds]
    labels = {finding.equality.label for finding in certificate.findings}
    assert {"z-1", "dx, step 3", "dx-matrix", "grad-x, step 3", "grad-x-batch", "code: grad-x"} <= labels
    report = sb.compare(derivation)
    assert report.agrees and "x" in report.gradients, report.table()


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_the_code_has_the_gradient_by_the_input_at_several_depths(depth):
    module = by_input((3, "n_l", 2), ("tanh", "tanh"), cost={"outputs": "mean"}).compile()
    sizes = (3, *range(4, 3 + depth), 2)
    rng = np.random.default_rng(depth)
    parameters = {name: rng.standard_normal(shape) for name, shape in module._shapes(sizes).items()}
    x, y = rng.standard_normal((5, 3)), rng.standard_normal((5, 2))
    total, gradients = module.cost_and_gradients(parameters, x, y)
    wanted = gradients_of(
        lambda p: oracle(sizes, np.tanh, np.tanh, 1 / 2, 0, parameters, p["x"], y), {"x": x}
    )["x"]
    np.testing.assert_allclose(gradients["x"], wanted, rtol=1e-9, atol=1e-12)
    assert list(gradients) == [*module._names(depth), "x"]
    again, buffers = module.make_gradients(5, sizes=sizes)(parameters, x, y)
    assert again == total and np.array_equal(buffers["x"], gradients["x"])
    single = module.cost_and_gradients(
        {n: v.astype(np.float32) for n, v in parameters.items()}, x.astype(np.float32), y.astype(np.float32)
    )[1]
    assert single["x"].dtype == np.float32


def test_a_module_checks_its_gradient_by_the_input_too():
    for derivation in (by_input(), sb.derive(sb.load("2-3-1"), wrt=("x",))):
        module = derivation.compile()
        assert module._self_check() < 1e-5
        right = module.cost_and_gradients

        def wrong(parameters, x, y, right=right):
            total, gradients = right(parameters, x, y)
            return total, gradients | {"x": -gradients["x"]}

        module.cost_and_gradients = wrong
        assert module._self_check() > 1e-3


WRONG_INPUT = {
    "transposed": lambda e, j, k: e.xreplace({sp.IndexedBase("W1", real=True)[k, j]: _w1()[j, k]}),
    "sign": lambda e, j, k: -e,
    "last delta": lambda e, j, k: e.xreplace(
        {sp.IndexedBase("delta1", real=True): sp.IndexedBase("delta[L]", real=True)}
    ),
    "bound": lambda e, j, k: sp.Sum(e.function, (k, 1, sp.Symbol("n_1", integer=True, positive=True) - 1)),
}


def _w1():
    return sp.IndexedBase("W1", real=True)


@pytest.mark.parametrize("wrong", WRONG_INPUT)
def test_a_wrong_gradient_by_the_input_is_found_out(wrong):
    derivation = by_input((3, "n_l", 3), ("tanh", "sigmoid"))
    adjoint = derivation.adjoints[-1]
    assert adjoint.of.name == "x"
    goal, rhs = adjoint.derivation.goal, adjoint.derivation.result
    free = tuple(zip(adjoint.indices, adjoint.of.dims, strict=True))
    right = Equality("dx", goal, rhs, free, "example")
    checker = Checker(derivation)
    assert checker.check(right).holds
    changed = WRONG_INPUT[wrong](rhs, adjoint.indices[0], rhs.limits[0][0])
    assert changed != rhs and not checker.check(replace(right, right=changed)).holds


@pytest.mark.slow
@pytest.mark.parametrize("notation", shipped())
def test_every_notation_tells_the_gradient_by_the_input(notation):
    for derivation in (by_input((3, "n_l", 1), (OPEN, OPEN)), by_input((5, 4, 3), **PENALTY)):
        document = derivation.document(notation)
        assert document.certificate.holds
        text = document.to_latex()
        assert r":dx}" in text and r":grad-x}" in text
        assert "as for layer $l$" not in text


@pytest.mark.slow
def test_the_general_form_of_a_numbered_network_has_the_gradient_by_the_input():
    layers = [{"size": n, "activation": "tanh"} for n in (4, 3, 2)]
    one = {"name": "three", "input": {"size": 3}, "layers": layers, "cost": {"kind": "squared_error"}}
    document = sb.derive(from_mapping(one), wrt=("x",)).document(forms=("general", "index"))
    assert document.certificate.holds
    assert r":general-dx}" in document.to_latex()
    assert r":general-dx}" not in sb.derive(from_mapping(one)).document(forms=("general",)).to_latex()


@pytest.mark.slow
def test_an_argument_without_a_penalty_is_not_made_for_a_network_with_one():
    plain, penalised = derived((2, "n_l", 1), (OPEN, OPEN)), derived((2, "n_l", 1), (OPEN, OPEN), **PENALTY)
    assert plain.document("brilliant").forms == ("argument",)
    assert penalised.document("brilliant").forms == ("general", "matrix")
    with pytest.raises(sb.FormRefused, match="knows no penalty"):
        penalised.document("brilliant", ("argument",))


@pytest.mark.slow
def test_an_argument_for_one_output_is_not_made_for_several():
    several = derived((2, "n_l", 3), (OPEN, OPEN))
    assert several.document("brilliant").forms == ("general", "matrix")
    with pytest.raises(sb.FormRefused, match="an output layer of 1"):
        several.document("brilliant", ("argument",))


def test_a_cost_with_cases_is_written_out_in_the_total_cost():
    found = derived((3, "n_l", 1), (OPEN, OPEN), cost={"kind": "huber", "outputs": "mean"})
    certificate = found.document("brilliant").certificate
    assert certificate.holds, [f for f in certificate.findings if not f.holds]
