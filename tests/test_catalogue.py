"""The catalogue against values from elsewhere: Python's math at points on both sides of every bend."""

import math
import subprocess
import sys

import pytest
import sympy as sp

from symbackprop.network import WIDTH, argument, index, vector_argument
from symbackprop.spec.catalogue import ACTIVATIONS, COSTS
from symbackprop.spec.formula import activation_named, cost_formula, is_coupled

POINTS = (-3.5, -1.25, -0.3, 0.0, 0.4, 1.5, 3.25)


def phi(z):
    return 0.5 * math.erfc(-z / math.sqrt(2))


def logistic(z):
    return 0.5 + 0.5 * math.tanh(z / 2)


SCALAR = {
    "linear": lambda z: z,
    "sigmoid": logistic,
    "tanh": math.tanh,
    "relu": lambda z: max(z, 0.0),
    "leaky_relu": lambda z: z if z > 0 else z / 100,
    "elu": lambda z: z if z > 0 else math.expm1(z),
    "selu": lambda z: 1.0507009873554805 * (z if z > 0 else 1.6732632423543772 * math.expm1(z)),
    "softplus": lambda z: math.log1p(math.exp(z)),
    "softsign": lambda z: z / (1 + math.fabs(z)),
    "arctan": math.atan,
    "gelu": lambda z: z * phi(z),
    "gelu_tanh": lambda z: z * logistic(2 * math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)),
    "silu": lambda z: z * logistic(z),
    "mish": lambda z: z * math.tanh(math.log1p(math.exp(z))),
    "hard_sigmoid": lambda z: min(1.0, max(0.0, 0.2 * z + 0.5)),
    "exp": math.exp,
    "gaussian": lambda z: math.exp(-z * z),
}

COST_VALUES = {
    "squared_error": lambda a, y: (a - y) ** 2,
    "absolute_error": lambda a, y: math.fabs(a - y),
    "huber": lambda a, y: (a - y) ** 2 / 2 if math.fabs(a - y) <= 1 else math.fabs(a - y) - 0.5,
    "binary_cross_entropy": lambda a, y: -math.log(a**y * (1 - a) ** (1 - y)),
    "cross_entropy": lambda a, y: -math.log(a**y),
    "hinge": lambda a, y: max(0.0, 1 - y * a),
}

COST_POINTS = {
    "binary_cross_entropy": [(0.2, 0.0), (0.2, 1.0), (0.7, 0.4)],
    "cross_entropy": [(0.2, 0.0), (0.2, 1.0), (1.4, 0.4)],
    "hinge": [(0.5, 1.0), (-0.5, 1.0), (1.5, 1.0), (1.5, -1.0)],
}
NUMBERS = [(0.5, 0.2), (-2.0, 0.5), (3.0, 0.25), (1.0, 2.0)]


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if not activation_named(name).coupled])
def test_activation_has_the_values_of_its_name(name):
    formula = activation_named(name).formula
    for point in POINTS:
        value = formula.expr.xreplace({argument("z"): sp.Float(point, 30)})
        assert float(value) == pytest.approx(SCALAR[name](point), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("name", list(COSTS))
def test_cost_has_the_values_of_its_name(name):
    for a, y in COST_POINTS.get(name, NUMBERS):
        expr = cost_formula(name).expr
        value = expr.xreplace({argument("a"): sp.Float(a, 30), argument("y"): sp.Float(y, 30)})
        assert float(value) == pytest.approx(COST_VALUES[name](a, y), rel=1e-12, abs=1e-14)


def written_out(name, numbers):
    """A coupled activation's outputs for three numbers."""
    expr = activation_named(name).formula.expr.subs(WIDTH, 3).doit()
    z, j = vector_argument("z"), index("j")
    entries = {z[k + 1]: number for k, number in enumerate(numbers)}
    return [float(expr.subs(j, k + 1).xreplace(entries)) for k in range(3)]


def test_softmax_and_its_logarithm():
    numbers = (0.5, -1.0, 2.0)
    total = sum(map(math.exp, numbers))
    wanted = [math.exp(number) / total for number in numbers]
    assert written_out("softmax", numbers) == pytest.approx(wanted, rel=1e-12)
    assert written_out("log_softmax", numbers) == pytest.approx([math.log(w) for w in wanted], rel=1e-12)


def test_the_contracts_names_are_there():
    activations = (
        "linear sigmoid tanh relu leaky_relu elu selu softplus softsign arctan gelu gelu_tanh silu mish "
        "hard_sigmoid exp gaussian softmax log_softmax"
    )
    costs = "squared_error absolute_error huber binary_cross_entropy cross_entropy hinge"
    assert set(activations.split()) <= set(ACTIVATIONS)
    assert set(costs.split()) <= set(COSTS)


def test_every_entry_is_one_line_each():
    for entry in (*ACTIVATIONS.values(), *COSTS.values()):
        assert entry.description and "\n" not in entry.description + entry.formula


def test_only_softmax_and_its_logarithm_couple():
    assert [name for name, entry in ACTIVATIONS.items() if is_coupled(entry.formula)] == [
        "softmax",
        "log_softmax",
    ]


def test_listing_needs_no_sympy():
    code = "import sys, symbackprop.spec.catalogue; sys.exit('sympy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
