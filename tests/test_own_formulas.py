"""Formulas of one's own, as activations and costs: the generated code against the text of the formula.

The oracle reads the text as Python, with functions of its own for complex numbers, and knows nothing of
the package. Gradients come from its complex step.
"""

import random

import numpy as np
import pytest
from generated_module import compiled
from outside import library
from scipy.special import erf

import symbackprop as sb


def real(numbers):
    """The real parts, by which conditions are decided; NumPy compares complex numbers by them first, too."""
    return np.real(numbers)


FUNCTIONS = {
    **{name: getattr(np, name) for name in ("exp", "log", "sqrt", "tanh", "sinh", "cosh", "sin", "cos")},
    "arctan": np.arctan,
    "erf": erf,
    "where": np.where,
    "max": lambda u, v: np.where(real(u) > real(v), u, v),
    "min": lambda u, v: np.where(real(u) < real(v), u, v),
    "abs": lambda u: np.where(real(u) < 0, -u, u),
    "silu": lambda u: u / (1 + np.exp(-u)),
    "pi": np.pi,
}


def total(values):
    """``sum(…, i)`` of a coupled formula, once for every unit."""
    return np.sum(values, axis=1, keepdims=True)


def value(text, shape, **given):
    """A formula at arrays; in a coupled one ``z[j]`` and ``z[i]`` are both the array."""
    text = text.replace("z[j]", "z").replace("z[i]", "z").replace(", i)", ")")
    found = eval(text, {"__builtins__": {}, "sum": total, **FUNCTIONS}, given)
    return np.broadcast_to(found, shape)


def oracle(texts, parameters, x, y):
    """The mean over the examples of the sum over the outputs, for complex numbers."""
    hidden, output, cost = texts
    z1 = x @ parameters["W1"].T + parameters["b1"]
    z2 = value(hidden, z1.shape, z=z1) @ parameters["W2"].T + parameters["b2"]
    a2 = value(output, z2.shape, z=z2)
    return np.sum(value(cost, a2.shape, a=a2, y=y)) / len(x)


def slopes(texts, parameters, x, y):
    """The gradient of each parameter and of x, by complex step."""
    given = {name: array.astype(complex) for name, array in {**parameters, "x": x}.items()}
    found = {}
    for name, array in given.items():
        found[name] = np.empty(array.shape)
        for place in np.ndindex(*array.shape):
            array[place] += 1e-30j
            found[name][place] = np.imag(oracle(texts, given, given["x"], y)) / 1e-30
            array[place] = array[place].real
    return found


def network(texts):
    hidden, output, cost = texts
    layers = [
        {"size": 3, "activation": {"formula": hidden}},
        {"size": 2, "activation": {"formula": output}},
    ]
    spec = {"name": "own", "input": {"size": 2}, "layers": layers, "cost": {"formula": cost}}
    return sb.from_mapping(spec)


def derived(texts, route="chain", wrt=("x",)):
    return sb.derive(network(texts), route, wrt)


def numbers(module, batch, seed=1):
    rng = np.random.default_rng(seed)
    parameters = {name: rng.standard_normal(shape) for name, shape in module.PARAMETERS.items()}
    return parameters, rng.standard_normal((batch, 2)), rng.uniform(0.1, 0.9, (batch, 2))


def assert_right(found, wanted):
    """Equal, of the same shape, and of the parameters' dtype."""
    for name, array in found.items():
        assert array.shape == wanted[name].shape, name
        np.testing.assert_allclose(array, wanted[name], rtol=1e-9, atol=1e-9, err_msg=name)


def check(texts, batch=3, route="chain"):
    derivation = derived(texts, route)
    module = derivation.compile()
    parameters, x, y = numbers(module, batch)
    wanted = slopes(texts, parameters, x, y)
    cost, gradients = module.cost_and_gradients(parameters, x, y)
    assert cost == pytest.approx(float(np.real(oracle(texts, parameters, x, y))), rel=1e-12)
    assert_right(gradients, wanted)
    assert_right(module.make_gradients(batch)(parameters, x, y)[1], wanted)
    without_x = derived(texts, route, ()).compile()
    assert_right(without_x.make_gradients(batch)(parameters, x, y)[1], wanted)
    single = {name: array.astype(np.float32) for name, array in parameters.items()}
    for function in (module.cost_and_gradients, module.make_gradients(batch, np.float32)):
        _, found = function(single, x.astype(np.float32), y.astype(np.float32))
        assert {array.dtype for array in found.values()} == {np.dtype(np.float32)}
    return derivation, (parameters, x, y), wanted


FRACTIONS = ("exp(-z/3)", "-z**3/3", "exp(-z**2/3)", "-z*tanh(z)/3", "(z - z**3/3)*exp(-z**2/7)")
SWITCHES = (
    "-log(1+exp(max(2, z)))/3",
    "1/(1+max(z, 0))",
    "sqrt(1+max(z, 0))",
    "-max(2, z)/3",
    "where(z > 0, where(z < 1, z, 1), 0)",
    "where(abs(z) >= 2, z**3, min(z, 1))",
)
QUOTIENTS = ("log(1+exp(a-y))", "exp(a-y)", "(a-y)/(1+exp(y-a))")
"""Costs whose exponential has a factor in common with the derivative of a softplus output."""

CONSTANTS = ("z + silu(1/3)", "z + 1/(1+exp(2))", "z*log(1+exp(2))")
NESTED = ("tanh(" * 12 + "z" + ")" * 12, "silu(silu(silu(silu(z))))")


@pytest.mark.slow
@pytest.mark.parametrize("text", (*FRACTIONS, *SWITCHES, *CONSTANTS, *NESTED), ids=lambda text: text[:30])
def test_an_activation_of_ones_own(text):
    check((text, "z", "(a-y)**2"))
    check(("tanh(z)", text, "(a-y)**2"))


@pytest.mark.parametrize(
    "text",
    (
        "exp(-(a-y)/3)",
        "-max(0, a - y)",
        "log(1+exp(-max(a, y)))",
        "max(a-y, 0) - max(y-a, 0)",
        "where(a > y, 2*(a-y), 3*(y-a))",
    ),
)
def test_a_cost_of_ones_own(text):
    check(("tanh(z)", "z", text))


@pytest.mark.slow
@pytest.mark.parametrize("text", QUOTIENTS)
def test_a_cost_with_an_exponential_after_softplus(text):
    derivation, *_ = check(("tanh(z)", "log(1+exp(z))", text))
    assert derivation.certificate().holds


LINEAR = (
    ("tanh(z)", "z", "a"),
    ("z", "z", "a+a"),
    ("tanh(z)", "z", "y - a"),
    ("tanh(z)", "z[j] + sum(z[i], i)", "a"),
)
"""Costs and outputs so plain that a delta is one number for every entry."""

ALIKE = (
    ("sum(exp(z[i]), i)", "z", "a**2"),
    ("tanh(z)", "sum(exp(z[i]), i)", "a**2"),
    ("tanh(z)", "sum(z[i], i)", "a*y"),
    ("sum(z[i], i)", "sum(z[i], i)", "a*y"),
)
"""Activations that are the same number for every unit."""


@pytest.mark.parametrize("texts", (*LINEAR, *ALIKE), ids=" ; ".join)
@pytest.mark.parametrize("batch", [1, 3])
def test_what_is_the_same_for_every_unit_has_its_full_shape(texts, batch):
    check(texts, batch)


@pytest.mark.slow
@pytest.mark.parametrize(
    "texts", (LINEAR[0], ALIKE[0], ALIKE[2], (SWITCHES[0], "z", "(a-y)**2")), ids=" ; ".join
)
def test_other_targets_have_it_too(texts):
    derivation, (parameters, x, y), wanted = check(texts)
    _, found = compiled(derivation.module_source("array-api")).cost_and_gradients(parameters, x, y)
    assert_right(found, wanted)
    library("numba")
    module = compiled(derivation.module_source("numba"))
    assert_right(module.cost_and_gradients(parameters, x, y)[1], wanted)
    torch = library("torch")
    module = compiled(derivation.module_source("torch"))
    tensors = {name: torch.tensor(array) for name, array in parameters.items()}
    _, found = module.cost_and_gradients(tensors, torch.tensor(x), torch.tensor(y))
    assert_right({name: array.detach().numpy() for name, array in found.items()}, wanted)


# --- formulas that nobody chose ------------------------------------------------------------------

LEAVES = ("2", "0.5", "1/3", "2/7", "1/32", "pi", "sqrt(2)", "1/1000")


def some_formula(rng, depth, names):
    """A formula of this depth that is defined for all real numbers."""
    if depth == 0:
        return rng.choice(names) if rng.random() < 0.75 else rng.choice(LEAVES)

    def part():
        return some_formula(rng, depth - 1, names)

    return rng.choice(
        [
            lambda: f"({part()} {rng.choice('+-')} {part()})",
            lambda: f"{part()}*{part()}",
            lambda: f"-({part()})/{rng.choice(['3', '7', '32'])}",
            lambda: f"({part()})**{rng.choice('23')}",
            lambda: f"{rng.choice(['tanh', 'sin', 'arctan', 'silu'])}({part()})",
            lambda: f"exp(-({part()})**2/3)",
            lambda: f"log(1+exp({part()}))",
            lambda: f"{rng.choice(['max', 'min'])}({part()}, {rng.choice([part(), '0', '1'])})",
            lambda: f"where({part()} {rng.choice(['<', '>='])} {rng.choice(LEAVES)}, {part()}, {part()})",
            lambda: f"abs({part()})",
            lambda: f"sqrt(1+({part()})**2)",
            lambda: f"1/(2+cos({part()}))",
        ]
    )()


def check_some_formulas(seed):
    rng = random.Random(seed)
    texts = (
        some_formula(rng, rng.choice((1, 2)), ["z"]),
        some_formula(rng, 1, ["z"]),
        some_formula(rng, rng.choice((1, 2)), ["a", "y", "(a-y)"]),
    )
    try:
        network(texts)
    except sb.SpecError:
        return False
    with np.errstate(all="ignore"):
        check(texts, batch=rng.choice((1, 3)), route=rng.choice(("chain", "composite")))
    return True


@pytest.mark.parametrize("start", range(3))
def test_formulas_that_nobody_chose(start):
    assert sum(check_some_formulas(seed) for seed in range(start * 12, start * 12 + 12)) > 2


@pytest.mark.slow
@pytest.mark.parametrize("start", range(20))
def test_many_formulas_that_nobody_chose(start):
    # some of twenty vary with what they should vary with; three at the fewest
    assert sum(check_some_formulas(1000 + seed) for seed in range(start * 20, start * 20 + 20)) > 2
