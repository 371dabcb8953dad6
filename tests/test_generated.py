"""The generated NumPy module: right for any architecture, stable, and careful about what it is given.

The oracle is written here in plain NumPy and SciPy, for complex numbers, and knows the package's
activations and costs by name only. Gradients come from its complex step.
"""

import math
import re
import subprocess
import sys
import warnings
from functools import cache

import mpmath
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy.special import erf, expit

import symbackprop as sb

# --- an oracle that shares nothing with the package ----------------------------------------------


def positive(z):
    return np.real(z) > 0


def sigmoid(z):
    small = np.exp(np.where(positive(z), -z, z))
    return np.where(positive(z), 1, small) / (1 + small)


def softplus(z):
    return np.where(positive(z), z, 0) + np.log1p(np.exp(np.where(positive(z), -z, z)))


def absolute(z):
    return np.where(np.real(z) < 0, -z, z)


def expm1_below(z, alpha=1.0):
    return np.where(positive(z), z, alpha * np.expm1(np.where(positive(z), 0, z)))


def log_softmax(z):
    z = z - np.max(np.real(z), axis=-1, keepdims=True)
    return z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True))


def hard_sigmoid(z):
    middle = 0.2 * z + 0.5
    return np.where(np.real(middle) <= 0, 0, np.where(np.real(middle) >= 1, 1, middle))


def stand_in(z):
    return 0.5 + 0.3 * np.sin(z)


def stand_in_slope(z):
    return 0.3 * np.cos(z)


ACTIVATIONS = {
    "linear": lambda z: z,
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "relu": lambda z: np.where(positive(z), z, 0),
    "leaky_relu": lambda z: np.where(positive(z), z, 0.01 * z),
    "elu": expm1_below,
    "selu": lambda z: 1.0507009873554805 * expm1_below(z, 1.6732632423543772),
    "softplus": softplus,
    "softsign": lambda z: z / (1 + absolute(z)),
    "arctan": np.arctan,
    "gelu": lambda z: z * (1 + erf(z / math.sqrt(2))) / 2,
    "gelu_tanh": lambda z: z * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))) / 2,
    "silu": lambda z: z * sigmoid(z),
    "mish": lambda z: z * np.tanh(softplus(z)),
    "hard_sigmoid": hard_sigmoid,
    "exp": np.exp,
    "gaussian": lambda z: np.exp(-(z**2)),
    "softmax": lambda z: np.exp(log_softmax(z)),
    "log_softmax": log_softmax,
    "own": lambda z: 1 / (1 + z**2) + np.sin(z) / 4,
    "g": stand_in,
}
SPECS = {"own": {"formula": "1/(1+z**2) + sin(z)/4"}, "g": {"symbol": "g"}}
COUPLED = {"softmax", "log_softmax"}
IN_0_1 = {"sigmoid", "softmax", "g"}
POSITIVE = {*IN_0_1, "softplus", "exp", "gaussian"}

COSTS = {
    "squared_error": lambda a, y: (a - y) ** 2,
    "absolute_error": lambda a, y: absolute(a - y),
    "huber": lambda a, y: np.where(np.abs(np.real(a - y)) <= 1, (a - y) ** 2 / 2, absolute(a - y) - 0.5),
    "binary_cross_entropy": lambda a, y: -(y * np.log(a) + (1 - y) * np.log(1 - a)),
    "cross_entropy": lambda a, y: -y * np.log(a),
    "hinge": lambda a, y: np.where(np.real(1 - y * a) > 0, 1 - y * a, 0),
    "own": lambda a, y: np.log(1 + (a - y) ** 2),
}
COST_SPECS = {"own": {"formula": "log(1 + (a-y)**2)"}}
RANGES = {"binary_cross_entropy": IN_0_1, "cross_entropy": POSITIVE}


def oracle_cost(net, parameters, x, y):
    """The cost of a batch for complex parameters."""
    a = x
    for number, (_, activation, bias) in enumerate(net["layers"], 1):
        z = a @ parameters[f"W{number}"].T
        a = ACTIVATIONS[activation](z + parameters[f"b{number}"] if bias else z)
    each = COSTS[net["cost"]](a, y)
    total = net["scale"] * np.sum(each)
    total = total / each.shape[1] if net["outputs"] == "mean" else total
    total = total / len(x) if net["examples"] == "mean" else total
    squares = sum(np.sum(value**2) for name, value in parameters.items() if name[0] == "W")
    return total + net["l2"] / len(x) * squares


def oracle_gradients(net, parameters, x, y):
    """The complex step for every entry of every parameter, and of x."""
    everything = {**parameters, "x": x}
    found = {}
    for name, value in everything.items():
        slopes = np.zeros(value.shape)
        for place in np.ndindex(*value.shape):
            moved = value.astype(complex)
            moved[place] += 1e-30j
            others = {**everything, name: moved}
            inputs = others.pop("x")
            slopes[place] = np.imag(oracle_cost(net, others, inputs, y)) / 1e-30
        found[name] = slopes
    return found


# --- random architectures --------------------------------------------------------------------------


@st.composite
def networks(draw):
    """An architecture, as plain data."""
    depth = draw(st.integers(1, 6))
    cost = draw(st.sampled_from(sorted(COSTS)))
    layers = []
    for number in range(1, depth + 1):
        width = draw(st.integers(1, 5))
        names = set(ACTIVATIONS) - (COUPLED if width == 1 else set())
        if number == depth:
            names &= RANGES.get(cost, names)
        layers.append((width, draw(st.sampled_from(sorted(names))), draw(st.booleans())))
    return {
        "input": draw(st.integers(1, 5)),
        "layers": tuple(layers),
        "cost": cost,
        "outputs": draw(st.sampled_from(["sum", "mean"])),
        "examples": draw(st.sampled_from(["sum", "mean"])),
        "scale": draw(st.sampled_from([1.0, 0.5, 3.0])),
        "l2": draw(st.sampled_from([0.0, 0.25])),
    }


def spec_of(net):
    """The same architecture as a spec."""
    layers = [
        {"size": width, "activation": SPECS.get(name, name), "bias": bias}
        for width, name, bias in net["layers"]
    ]
    cost = COST_SPECS.get(net["cost"], {"kind": net["cost"]})
    cost = {**cost, "scale": net["scale"], "outputs": net["outputs"], "examples": net["examples"]}
    spec = {"name": "random", "input": {"size": net["input"]}, "layers": layers, "cost": cost}
    return spec | ({"penalty": {"l2": f"{net['l2']}/N"}} if net["l2"] else {})


@cache
def module_of(key):
    return sb.derive(sb.from_mapping(spec_of(dict(key))), wrt=("x",)).compile()


def compiled(net):
    return module_of(tuple(net.items()))


def numbers(net, batch, seed):
    """Parameters, inputs and targets; small weights, so that nothing saturates or overflows."""
    rng = np.random.default_rng(seed)
    parameters, before = {}, net["input"]
    for number, (width, _, bias) in enumerate(net["layers"], 1):
        parameters[f"W{number}"] = 0.7 * rng.standard_normal((width, before)) / math.sqrt(before)
        if bias:
            parameters[f"b{number}"] = 0.3 * rng.standard_normal(width)
        before = width
    x = rng.standard_normal((batch, net["input"]))
    if net["cost"] == "hinge":
        return parameters, x, rng.choice([-1.0, 1.0], (batch, before))
    return parameters, x, rng.uniform(0.1, 0.9, (batch, before))


def open_functions(net):
    letters = {name for _, name, _ in net["layers"]}
    return {"g": stand_in, "g_prime": stand_in_slope} if "g" in letters else {}


def worst(found, wanted):
    """The largest error, relative to the larger of 1 and what it should be."""
    return max(np.max(np.abs(found[k] - wanted[k]) / np.maximum(1, np.abs(wanted[k]))) for k in wanted)


def is_moderate(net, batch, seed):
    """Whether numbers stay small enough for single precision, as they don't through exp many times over."""
    parameters, x, y = numbers(net, batch, seed)
    with np.errstate(all="ignore"):
        cost = oracle_cost(net, parameters, x, y)
        steepest = max(np.max(np.abs(g)) for g in oracle_gradients(net, parameters, x, y).values())
    return np.isfinite(cost) and steepest < 1e3


def check_random_network(net, batch, seed):
    parameters, x, y = numbers(net, batch, seed)
    wanted_cost = oracle_cost(net, parameters, x, y)
    wanted = oracle_gradients(net, parameters, x, y)

    module, options = compiled(net), open_functions(net)
    cost, gradients = module.cost_and_gradients(parameters, x, y, **options)
    assert cost == pytest.approx(wanted_cost, rel=1e-11, abs=1e-12)
    assert module.cost(parameters, x, y, **options) == cost
    assert list(gradients) == [*module.PARAMETERS, "x"]
    assert worst(gradients, wanted) < 1e-10

    again, buffered = module.make_gradients(batch)(parameters, x, y, **options)
    assert again == pytest.approx(cost, rel=1e-12, abs=1e-15)
    assert worst(buffered, gradients) < 1e-12
    check_single_precision(module, parameters, x, y, options)


def check_single_precision(module, parameters, x, y, options):
    """The gradients of rounded numbers, in single precision, are near those in double precision."""
    parameters = {name: value.astype(np.float32) for name, value in parameters.items()}
    x, y = x.astype(np.float32), y.astype(np.float32)
    cost, gradients = module.cost_and_gradients(parameters, x, y, **options)
    buffered_cost, buffered = module.make_gradients(len(x), np.float32)(parameters, x, y, **options)
    double = {name: value.astype(np.float64) for name, value in parameters.items()}
    exact_cost, exact = module.cost_and_gradients(double, x.astype(float), y.astype(float), **options)
    assert {value.dtype for value in (*gradients.values(), *buffered.values())} == {np.dtype(np.float32)}
    assert [cost, buffered_cost] == pytest.approx([exact_cost] * 2, rel=1e-3, abs=1e-3)
    assert worst(gradients, exact) < 2e-3
    assert worst(buffered, exact) < 2e-3


EVERYDAY = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
LONG = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.slow
@EVERYDAY
@given(networks(), st.integers(1, 4), st.integers(0, 10**6))
def test_gradients_of_random_networks(net, batch, seed):
    assume(is_moderate(net, batch, seed))
    check_random_network(net, batch, seed)


@pytest.mark.slow
@LONG
@given(networks(), st.integers(1, 4), st.integers(0, 10**6))
def test_gradients_of_many_random_networks(net, batch, seed):
    assume(is_moderate(net, batch, seed))
    check_random_network(net, batch, seed)


def simple(*layers, cost="squared_error", **more):
    """A network of (width, activation) pairs, as the strategy draws them."""
    defaults = {"outputs": "sum", "examples": "mean", "scale": 1.0, "l2": 0.0}
    layers = tuple((width, name, True) for width, name in layers)
    return {"input": 3, "layers": layers, "cost": cost, **defaults, **more}


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_every_activation_hidden_and_at_the_output(name):
    assert is_moderate(simple((4, name), (3, name), l2=0.25), 2, 5)
    check_random_network(simple((4, name), (3, name), l2=0.25), 2, 5)


@pytest.mark.parametrize("cost", sorted(COSTS))
def test_every_cost_with_every_way_to_add_up(cost):
    output = "sigmoid" if cost in RANGES else "linear"
    check_random_network(simple((4, "tanh"), (3, output), cost=cost, outputs="mean", scale=3.0), 4, 2)
    check_random_network(simple((3, output), cost=cost, examples="sum"), 1, 3)


def test_a_wrong_gradient_is_seen(monkeypatch):
    """The comparison can fail: a network is not taken for the one with another activation."""
    other = compiled(simple((4, "tanh"), (2, "sigmoid")))
    monkeypatch.setattr(sys.modules[__name__], "compiled", lambda net: other)
    with pytest.raises(AssertionError):
        check_random_network(simple((4, "arctan"), (2, "sigmoid")), 2, 1)


# --- stability -------------------------------------------------------------------------------------


@pytest.fixture
def no_warnings():
    with warnings.catch_warnings(), np.errstate(over="raise", invalid="raise", divide="raise"):
        warnings.simplefilter("error")
        yield


def identity(width, activation, cost, dtype=np.float64, **options):
    """A layer with W = 1: its pre-activations are its inputs; both ways to get gradients, and forward."""
    net = {**simple((width, activation), cost=cost, examples="sum"), "input": width, **options}
    net["layers"] = ((width, activation, False),)
    module, parameters = compiled(net), {"W1": np.eye(width, dtype=dtype)}

    def run(z, y):
        z, y = np.atleast_2d(np.asarray(z, dtype)), np.atleast_2d(np.asarray(y, dtype))
        cost, gradients = module.cost_and_gradients(parameters, z, y)
        again, buffered = module.make_gradients(len(z), dtype)(parameters, z, y)
        assert again == pytest.approx(cost, rel=1e-6)
        np.testing.assert_allclose(buffered["x"], gradients["x"], rtol=1e-5, atol=1e-6)
        return module.forward(parameters, z), cost, gradients["x"]

    return run


FAR = (-1000.0, -100.0, 100.0, 1000.0)
BOUNDED = sorted(set(ACTIVATIONS) - {"exp", "g", "own"} - COUPLED)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", BOUNDED)
def test_far_from_zero_nothing_overflows(no_warnings, name, dtype):
    outputs, cost, slopes = identity(4, name, "squared_error", dtype)(FAR, np.zeros(4))
    wanted = np.array([float(EXACT[name](mpmath.mpf(z))) for z in FAR])
    np.testing.assert_allclose(outputs[0], wanted, rtol=1e-5, atol=1e-30)
    with mpmath.workdps(30):
        derivative = np.array([float(mpmath.diff(EXACT[name], mpmath.mpf(z))) for z in FAR])
    digits = {"rtol": 1e-4, "atol": 2e-6} if dtype == np.float32 else {"rtol": 1e-11, "atol": 2e-15}
    np.testing.assert_allclose(slopes[0], 2 * wanted * derivative, **digits)
    assert cost == pytest.approx(np.sum(wanted**2), rel=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_logistic_functions_at_a_thousand(no_warnings, dtype):
    outputs, _, _ = identity(2, "sigmoid", "squared_error", dtype)([-1000, 1000], [0, 1])
    assert outputs.tolist() == [[0.0, 1.0]]
    outputs, _, _ = identity(2, "softplus", "squared_error", dtype)([-1000, 1000], [0, 1000])
    assert outputs.tolist() == [[0.0, 1000.0]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_of_large_logits(no_warnings, dtype):
    z = np.array([[1000.0, 1001.0, 998.0], [-1000.0, -1000.0, -1003.0]])
    wanted = np.exp(z - z.max(axis=1, keepdims=True))
    wanted /= wanted.sum(axis=1, keepdims=True)
    y = np.array([[0.0, 1.0, 0.0], [0.25, 0.5, 0.25]])
    outputs, cost, slopes = identity(3, "softmax", "cross_entropy", dtype)(z, y)
    np.testing.assert_allclose(outputs, wanted, rtol=1e-5)
    np.testing.assert_allclose(slopes, wanted - y, rtol=1e-5, atol=1e-7)
    digits = 1e-4 if dtype == np.float32 else 1e-12  # of logits near 1000
    assert cost == pytest.approx(-np.sum(y * np.log(wanted)), rel=digits)
    outputs, _, _ = identity(3, "log_softmax", "squared_error", dtype)(z, y)
    np.testing.assert_allclose(outputs, np.log(wanted), rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_of_a_certain_and_wrong_output(no_warnings, dtype):
    z, y = [[1000.0, -1000.0, 0.0]], [[0.0, 1.0, 0.0]]
    _, cost, slopes = identity(3, "softmax", "cross_entropy", dtype)(z, y)
    assert cost == pytest.approx(2000.0)
    assert slopes.tolist() == [[1.0, -1.0, 0.0]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_cross_entropy_of_saturated_outputs(no_warnings, dtype):
    z = np.array([1000.0, -1000.0, 1000.0, -1000.0, 40.0, -40.0])
    y = np.array([0.0, 1.0, 1.0, 0.0, 0.25, 0.25])
    _, cost, slopes = identity(6, "sigmoid", "binary_cross_entropy", dtype)(z, y)
    assert cost == pytest.approx(1000 + 1000 + 0 + 0 + 30 + 10, rel=1e-6)
    np.testing.assert_allclose(slopes[0], expit(z) - y, rtol=1e-6, atol=1e-6)


def test_at_the_kink_the_slope_is_that_of_the_other_case(no_warnings):
    """max(z, 0) takes the case z > 0, so its slope at 0 is 0; the same holds for what is like it."""
    y = np.full((1, 1), -0.5)  # so that dC/da is 1 where a is 0
    for name, slope in (("relu", 0.0), ("leaky_relu", 0.01), ("elu", 1.0), ("softsign", 1.0)):
        for zero in (0.0, -0.0):
            _, _, slopes = identity(1, name, "squared_error")([zero], y)
            assert slopes[0, 0] == slope, name
    _, _, slopes = identity(1, "linear", "absolute_error")([0.25], [0.25])
    assert slopes[0, 0] == 0.0
    _, _, slopes = identity(1, "linear", "hinge")([1.0], [1.0])
    assert slopes[0, 0] == 0.0


# --- how many digits -------------------------------------------------------------------------------


def mp_sigmoid(z):
    return 1 / (1 + mpmath.exp(-z))


def mp_softplus(z):
    return mpmath.log1p(mpmath.exp(z))


EXACT = {
    "linear": lambda z: z,
    "sigmoid": mp_sigmoid,
    "tanh": mpmath.tanh,
    "relu": lambda z: max(z, mpmath.mpf(0)),
    "leaky_relu": lambda z: z if z > 0 else z / 100,
    "elu": lambda z: z if z > 0 else mpmath.expm1(z),
    "selu": lambda z: (
        mpmath.mpf(1.0507009873554805) * (z if z > 0 else mpmath.mpf(1.6732632423543772) * mpmath.expm1(z))
    ),
    "softplus": mp_softplus,
    "softsign": lambda z: z / (1 + abs(z)),
    "arctan": mpmath.atan,
    "gelu": lambda z: z * mpmath.erfc(-z / mpmath.sqrt(2)) / 2,
    "gelu_tanh": lambda z: z * mp_sigmoid(2 * mpmath.sqrt(2 / mpmath.pi) * (z + z**3 * 44715 / 1000000)),
    "silu": lambda z: z * mp_sigmoid(z),
    "mish": lambda z: z * mpmath.tanh(mp_softplus(z)),
    "hard_sigmoid": lambda z: min(max(z / 5 + mpmath.mpf(1) / 2, mpmath.mpf(0)), mpmath.mpf(1)),
    "exp": mpmath.exp,
    "gaussian": lambda z: mpmath.exp(-(z**2)),
}

TAILS = (38.5, 60.25, 100.0, 300.0, 700.0)
POINTS = sorted({*np.linspace(-30.1, 30.1, 430), *TAILS, *(-z for z in TAILS), 1e-3, -1e-8, 1e-20})
RELATIVE = {"sigmoid", "tanh", "elu", "selu", "softplus", "softsign", "arctan", "silu", "mish"}
"""Activations whose values keep their digits even where they are tiny."""


@cache
def exact_values(name):
    """Values and slopes, the slope by differences, to more than twenty digits."""
    with mpmath.workdps(80):
        at = [mpmath.mpf(float(z)) for z in POINTS]
        step = mpmath.mpf(10) ** -25
        values = [EXACT[name](z) for z in at]
        slopes = [(EXACT[name](z + step) - EXACT[name](z - step)) / (2 * step) for z in at]
    return values, slopes


@pytest.mark.parametrize("name", sorted(EXACT))
def test_values_and_slopes_keep_their_digits(name):
    values, slopes = exact_values(name)
    spec = {
        "name": "digits",
        "input": {"size": 1},
        "layers": [{"size": 1, "activation": name, "bias": False}],
        "cost": {"formula": "a*y", "examples": "sum"},
    }
    module = sb.derive(sb.from_mapping(spec), wrt=("x",)).compile()
    z, one = np.array(POINTS)[:, None], {"W1": np.ones((1, 1))}
    outputs = module.forward(one, z)[:, 0]
    _, plain = module.cost_and_gradients(one, z, np.ones_like(z))
    _, buffered = module.make_gradients(len(z))(one, z, np.ones_like(z))
    for place, (value, slope) in enumerate(zip(values, slopes, strict=True)):
        scale = abs(value) if name in RELATIVE else max(1, abs(value))
        assert abs(outputs[place] - value) <= 5e-16 * scale + 1e-300, (name, POINTS[place])
        for found in (plain["x"][place, 0], buffered["x"][place, 0]):
            assert abs(found - slope) <= 5e-15 * max(1, abs(slope)), (name, POINTS[place])


def test_the_error_function_keeps_sixteen_digits():
    module = compiled(simple((2, "gelu")))
    z = np.concatenate([np.linspace(-7, 7, 200_001), [0.46875, -0.46875, 4.0, 1e-300, 0.0, 50.0, -1e30]])
    np.testing.assert_allclose(module._erf(z), erf(z), rtol=1e-15, atol=0)
    single = z.astype(np.float32)
    assert module._erf(single).dtype == np.float32
    np.testing.assert_allclose(module._erf(single), erf(single), rtol=5e-7, atol=0)


# --- what is handed in -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    """A 3-4-2 network and numbers for it."""
    net = simple((4, "tanh"), (2, "sigmoid"))
    return compiled(net), *numbers(net, 5, 0)


def changed(parameters, **more):
    return {**parameters, **more}


MISTAKES = {
    "wrong shape": (
        lambda p, x, y: (changed(p, W1=np.ones((3, 4))), x, y),
        "W1 must have shape (4, 3), not (3, 4)",
    ),
    "wrong rank": (
        lambda p, x, y: (changed(p, b2=np.ones((2, 1))), x, y),
        "b2 must have shape (2,), not (2, 1)",
    ),
    "transposed x": (lambda p, x, y: (p, x.T, y), "x must have shape (3, 3), not (3, 5)"),
    "vector x": (lambda p, x, y: (p, x[0], y), "x must have shape (N, 3), not (3,)"),
    "fewer targets": (lambda p, x, y: (p, x, y[:4]), "y must have shape (5, 2), not (4, 2)"),
    "narrow targets": (lambda p, x, y: (p, x, y[:, :1]), "y must have shape (5, 2), not (5, 1)"),
    "no examples": (
        lambda p, x, y: (p, x[:0], y[:0]),
        "x must have shape (N, 3) and no size of 0, not (0, 3)",
    ),
    "list": (lambda p, x, y: (p, x.tolist(), y), "x must be a plain NumPy array, not list"),
    "integers": (
        lambda p, x, y: (changed(p, b1=np.ones(4, int)), x, y),
        "b1 must be float32 or float64, not int64",
    ),
    "complex": (lambda p, x, y: (p, x.astype(complex), y), "x must be float32 or float64, not complex128"),
    "half": (lambda p, x, y: (p, x, y.astype(np.float16)), "y must be float32 or float64, not float16"),
    "mixed": (
        lambda p, x, y: (changed(p, W2=p["W2"].astype(np.float32)), x, y),
        "W2 must be float64, as the others are, not float32",
    ),
    "mixed inputs": (
        lambda p, x, y: (p, x.astype(np.float32), y.astype(np.float32)),
        "x, y must be float64, as the others are, not float32",
    ),
    "missing": (
        lambda p, x, y: ({name: p[name] for name in ("W1", "W2", "b1")}, x, y),
        "missing parameters: b2; there must be W1, b1, W2, b2",
    ),
    "unknown": (
        lambda p, x, y: (changed(p, W3=np.ones((2, 2))), x, y),
        "unknown parameters: W3; there are W1, b1, W2, b2",
    ),
    "parameters in a list": (
        lambda p, x, y: ([*p.values()], x, y),
        "parameters must be a dictionary of the arrays W1, b1, W2, b2, not list",
    ),
    "no parameters": (
        lambda p, x, y: (None, x, y),
        "parameters must be a dictionary of the arrays W1, b1, W2, b2, not NoneType",
    ),
    "generator": (
        lambda p, x, y: ((name for name in p), x, y),
        "parameters must be a dictionary of the arrays W1, b1, W2, b2, not generator",
    ),
    "rows from a generator": (
        lambda p, x, y: (p, (row for row in x), y),
        "x must be a plain NumPy array, not generator",
    ),
    "no targets": (lambda p, x, y: (p, x, None), "y must be a plain NumPy array, not NoneType"),
    "matrix": (lambda p, x, y: (p, np.asmatrix(x), y), "x must be a plain NumPy array, not matrix"),
    "masked": (
        lambda p, x, y: (p, x, np.ma.masked_array(y, y > 0.5)),
        "y must be a plain NumPy array, not MaskedArray",
    ),
    "objects": (lambda p, x, y: (p, x.astype(object), y), "x must be float32 or float64, not object"),
    "texts": (lambda p, x, y: (p, x.astype(str), y), "x must be float32 or float64, not <U32"),
    "several": (
        lambda p, x, y: ({"W1": np.ones((3, 4)), "b1": [0.0] * 4, "W2": p["W2"], "b3": 1}, x.T, y[0]),
        "missing parameters: b2; there must be W1, b1, W2, b2\n"
        "unknown parameters: b3; there are W1, b1, W2, b2\n"
        "W1 must have shape (4, 3), not (3, 4)\n"
        "b1 must be a plain NumPy array, not list\n"
        "x must have shape (3, 3), not (3, 5)\n"
        "y must have shape (N, 2), not (2,)",
    ),
}


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_does_not_fit_is_refused_by_name(small, mistake):
    module, parameters, x, y = small
    change, sentence = MISTAKES[mistake]
    given_wrong = change(parameters, x, y)
    for function in (module.cost, module.cost_and_gradients, module.make_gradients(5)):
        with pytest.raises(ValueError, match=re.escape(sentence)):
            function(*given_wrong)


def test_forward_refuses_the_same(small):
    module, parameters, x, _ = small
    with pytest.raises(ValueError, match=re.escape("W1 must have shape (4, 3), not (3, 4)")):
        module.forward(changed(parameters, W1=np.ones((3, 4))), x)


def test_a_file_in_memory_is_an_array_like_any_other(small, tmp_path):
    module, parameters, x, y = small
    stored = np.memmap(tmp_path / "x", dtype=x.dtype, mode="w+", shape=x.shape)
    stored[...] = x
    for function in (module.cost_and_gradients, module.make_gradients(5)):
        assert function(parameters, stored, y)[0] == function(parameters, x, y)[0]


def test_open_symbols_are_numbers_of_any_kind_and_never_change_the_dtype():
    parameters, x, y = open_numbers(4, 3, 2)
    single = {name: value.astype(np.float32) for name, value in parameters.items()}
    given = single, x.astype(np.float32), y.astype(np.float32)
    for function in (
        open_module().cost_and_gradients,
        open_module().make_gradients(2, np.float32, n_1=4, m=3),
    ):
        wanted, _ = function(*given, c=1.0, lambda_=0.5)
        for number in (np.float64(0.5), np.float32(0.5), np.array(0.5)):
            cost, gradients = function(*given, c=1, lambda_=number)
            assert cost == pytest.approx(wanted, rel=1e-6)
            assert {value.dtype for value in gradients.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("number", [None, "0.5", [0.5], np.ones(1)])
def test_open_symbols_that_are_no_numbers_are_refused(number):
    parameters, x, y = open_numbers(4, 3, 2)
    sentences = f"y must have shape (2, 3), not (2, 2)\nlambda_ must be a number, not {number!r}"
    fast = open_module().make_gradients(2, n_1=4, m=3)
    for function in (open_module().cost, open_module().cost_and_gradients, fast):
        with pytest.raises(ValueError, match=re.escape(sentences)):
            function(parameters, x, y[:, :2], c=1.0, lambda_=number)


def test_open_functions_that_are_none_are_refused():
    net = simple((3, "g"), (2, "linear"))
    module, numbers_of_net = compiled(net), numbers(net, 2, 0)
    with pytest.raises(ValueError, match="g must be a function, not 2"):
        module.forward(*numbers_of_net[:2], g=2)
    for function in (module.cost_and_gradients, module.make_gradients(2)):
        with pytest.raises(ValueError, match="g_prime must be a function, not None"):
            function(*numbers_of_net, g=stand_in, g_prime=None)


@pytest.mark.parametrize("size", [0, -1, 2.0, True, "5"])
def test_make_gradients_refuses_a_batch_size(small, size):
    with pytest.raises(ValueError, match=f"batch_size must be a whole number from 1 up, not {size!r}"):
        small[0].make_gradients(size)


def test_make_gradients_refuses_other_dtypes_and_batches(small):
    module, parameters, x, y = small
    with pytest.raises(ValueError, match="dtype must be float32 or float64, not int64"):
        module.make_gradients(5, np.int64)
    with pytest.raises(ValueError, match="dtype must be float32 or float64, not 'single precision'"):
        module.make_gradients(5, "single precision")
    with pytest.raises(ValueError, match="x must have 4 rows, as make_gradients was told, not 5"):
        module.make_gradients(4)(parameters, x, y)
    with pytest.raises(ValueError, match="x must be float32, as make_gradients was told, not float64"):
        module.make_gradients(5, np.float32)(parameters, x, y)


def test_the_order_of_memory_does_not_matter(small):
    module, parameters, x, y = small
    _, wanted = module.cost_and_gradients(parameters, x, y)
    fortran = {name: np.asfortranarray(value) for name, value in parameters.items()}
    wide = {name: np.repeat(value, 2, axis=-1)[..., ::2] for name, value in parameters.items()}
    spread = np.zeros((10, 6))
    spread[::2, ::2] = x
    for given_parameters, inputs, targets in (
        (fortran, np.asfortranarray(x), np.asfortranarray(y)),
        (wide, spread[::2, ::2], y[::-1][::-1]),
    ):
        assert not inputs.flags["C_CONTIGUOUS"]
        for function in (module.cost_and_gradients, module.make_gradients(5)):
            _, gradients = function(given_parameters, inputs, targets)
            for name, value in wanted.items():
                np.testing.assert_allclose(gradients[name], value, rtol=1e-13, atol=1e-15)


def test_nothing_that_was_handed_in_is_changed(small):
    module, parameters, x, y = small
    before = {name: value.copy() for name, value in parameters.items()}, x.copy(), y.copy()
    module.cost_and_gradients(parameters, x, y)
    module.make_gradients(5)(parameters, x, y)
    for name, value in parameters.items():
        assert np.array_equal(value, before[0][name])
    assert np.array_equal(x, before[1]) and np.array_equal(y, before[2])


def test_buffers_are_used_again_and_are_each_callables_own(small):
    module, parameters, x, y = small
    first, second = module.make_gradients(5), module.make_gradients(5)
    _, kept = first(parameters, x, y)
    copies = {name: value.copy() for name, value in kept.items()}
    _, others = second(parameters, -x, y)
    for name, value in kept.items():
        assert np.array_equal(value, copies[name]) and not np.shares_memory(value, others[name])
    _, again = first(parameters, -x, y)
    for name, value in kept.items():
        assert np.shares_memory(value, again[name])
        assert np.array_equal(value, others[name])
    assert not np.array_equal(again["W1"], copies["W1"])
    _, plain = module.cost_and_gradients(parameters, x, y)
    _, fresh = module.cost_and_gradients(parameters, x, y)
    assert not any(np.shares_memory(plain[name], fresh[name]) for name in plain)


# --- sizes and symbols that the spec leaves open ---------------------------------------------------


OPEN = {
    "name": "open-sizes",
    "input": {"size": "n_1"},
    "layers": [{"size": "m", "activation": "tanh"}, {"size": "m", "activation": "softmax"}],
    "cost": {"kind": "cross_entropy", "outputs": "mean", "scale": "c/2"},
    "penalty": {"l2": "lambda/(2*N)"},
    "facts": {"targets_sum_to_one": True},
}


@cache
def open_module():
    return sb.derive(sb.from_mapping(OPEN), wrt=("x",)).compile()


def open_numbers(inputs, width, batch, seed=0):
    rng = np.random.default_rng(seed)
    shapes = {"W1": (width, inputs), "b1": (width,), "W2": (width, width), "b2": (width,)}
    parameters = {name: 0.5 * rng.standard_normal(shape) for name, shape in shapes.items()}
    y = rng.uniform(0.1, 0.9, (batch, width))
    return parameters, rng.standard_normal((batch, inputs)), y / y.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("inputs", "width", "batch"), [(1, 2, 1), (5, 3, 4), (2, 6, 2)])
def test_open_sizes_take_any_numbers_that_fit(inputs, width, batch):
    module = open_module()
    assert module.PARAMETERS["W1"] == ("m", "n_1")
    parameters, x, y = open_numbers(inputs, width, batch)
    net = {"cost": "cross_entropy", "outputs": "mean", "examples": "mean", "scale": 0.35, "l2": 0.15}
    net["layers"] = ((width, "tanh", True), (width, "softmax", True))
    options = {"c": 0.7, "lambda_": 0.3}
    cost, gradients = module.cost_and_gradients(parameters, x, y, **options)
    assert cost == pytest.approx(oracle_cost(net, parameters, x, y), rel=1e-12)
    assert worst(gradients, oracle_gradients(net, parameters, x, y)) < 1e-12
    fast = module.make_gradients(batch, n_1=inputs, m=width)
    again, buffered = fast(parameters, x, y, **options)
    assert again == pytest.approx(cost, rel=1e-13)
    assert worst(buffered, gradients) < 1e-13


def test_open_sizes_refuse_what_does_not_fit_together():
    module = open_module()
    parameters, x, y = open_numbers(4, 3, 2)
    with pytest.raises(ValueError, match=re.escape("W2 must have shape (3, 3), not (2, 3)")):
        module.forward({**parameters, "W2": np.ones((2, 3))}, x)
    with pytest.raises(ValueError, match=re.escape("x must have shape (2, 4), not (2, 5)")):
        module.cost(parameters, np.ones((2, 5)), y, c=1.0, lambda_=0.0)


@pytest.mark.parametrize("sizes", [{"n_1": 5, "m": 3}, {"n_1": 4, "m": 2}])
def test_buffers_of_other_sizes_are_refused(sizes):
    parameters, x, y = open_numbers(4, 3, 2)
    with pytest.raises(ValueError):
        open_module().make_gradients(2, **sizes)(parameters, x, y, c=1.0, lambda_=0.0)


def test_functions_ask_for_what_they_use_and_take_the_rest_too():
    parameters, x, _ = open_numbers(4, 3, 2)
    outputs = open_module().forward(parameters, x)
    assert np.array_equal(outputs, open_module().forward(parameters, x, c=1.0, lambda_=0.0))
    net = simple((3, "g"), (2, "linear"))
    module, numbers_of_net = compiled(net), numbers(net, 2, 0)
    with_slope = {"g": stand_in, "g_prime": stand_in_slope}
    assert module.cost(*numbers_of_net, g=stand_in) == module.cost(*numbers_of_net, **with_slope)
    assert module.forward(*numbers_of_net[:2], g=stand_in).shape == (2, 2)
    with pytest.raises(TypeError, match="g_prime"):
        module.cost_and_gradients(*numbers_of_net, g=stand_in)


def test_open_symbols_must_be_given_unless_the_spec_has_them():
    parameters, x, y = open_numbers(2, 2, 1)
    with pytest.raises(TypeError, match="lambda_"):
        open_module().cost(parameters, x, y, c=1.0)
    known = {**OPEN, "values": {"lambda": 0.3, "c": 0.7}}
    module = sb.derive(sb.from_mapping(known)).compile()
    assert module.cost(parameters, x, y) == open_module().cost(parameters, x, y, c=0.7, lambda_=0.3)


# --- the file on its own ---------------------------------------------------------------------------


def run_file(tmp_path, code):
    path = tmp_path / "net_gradients.py"
    path.write_text(code)
    return subprocess.run(
        [sys.executable, "-I", "-W", "error", str(path)], capture_output=True, text=True, check=False
    )


@cache
def file_of(name):
    specs = {
        "plain": spec_of(simple((4, "relu"), (2, "softmax"), cost="cross_entropy", l2=0.25)),
        "open": OPEN,
        "symbol": {**spec_of(simple((3, "g"), (2, "gelu"))), "name": "with-g"},
    }
    return sb.derive(sb.from_mapping(specs[name])).code


@pytest.mark.parametrize("name", ["plain", "open", "symbol"])
def test_the_file_prints_its_shapes_and_checks_itself(tmp_path, name):
    done = run_file(tmp_path, file_of(name))
    assert (done.returncode, done.stderr) == (0, "")
    shape = "W1: (m, n_1)" if name == "open" else "W1: ("
    assert done.stdout.startswith(shape)
    assert "largest relative difference from central differences" in done.stdout


@pytest.mark.parametrize(
    ("right", "wrong"), [("delta2.T @ a1", "delta2.T @ -a1"), ("delta2 @ W2", "delta2 @ (2 * W2)")]
)
def test_the_file_says_when_a_gradient_is_wrong(tmp_path, right, wrong):
    code = file_of("plain")
    assert right in code
    done = run_file(tmp_path, code.replace(right, wrong))
    assert done.returncode == 1


def test_the_file_imports_numpy_alone_and_says_where_it_is_from():
    code = file_of("plain")
    assert re.findall(r"^ *(?:import|from) .*$", code, re.MULTILINE) == ["import numpy as np"]
    assert "Generated by symbackprop" in code
    assert {"(z-1)", "(a-2)", "(cost)", "(total-cost)"} <= set(
        re.findall(r"  # (\(.*\))$", code, re.MULTILINE)
    )
