"""The code at saturation: finite and right wherever the mathematics is, for all that a spec accepts.

The reference is :mod:`saturation`: the forward formulas in mpmath, and one-sided differences of them.
"""

from __future__ import annotations

import math
import random
import warnings
from functools import cache

import numpy as np
import pytest
import sympy as sp
from saturation import Z, mp, reference

import symbackprop as sb
from symbackprop.errors import SymbackpropError
from symbackprop.numerics.cancellation import cancelled
from symbackprop.numerics.forms import MEANING, meaning
from symbackprop.numerics.logarithms import logarithm
from symbackprop.numerics.stable import stable
from symbackprop.spec.catalogue import ACTIVATIONS, COSTS

TARGETS = {
    "hinge": ((-1.0, 1.0, 0.25),),
    "cross_entropy": ((0.25, 0.5, 0.25), (0.0, 1.0, 0.0)),
    "binary_cross_entropy": ((0.25, 0.75, 0.5), (0.0, 1.0, 0.0)),
}
ANYWHERE = ((0.25, 0.75, 0.5), (0.0, 1.0, -1.0))
TOLERANCE = {np.float64: 1e-12, np.float32: 1e-5}

FOCAL = "-(y*(1-a)**2*log(a) + (1-y)*a**2*log(1-a))"
OWN_ACTIVATIONS = {
    "probit": "(1+erf(z/sqrt(2)))/2",
    "half a tanh": "(1+tanh(z))/2",
    "sigmoid the other way": "exp(z)/(1+exp(z))",
    "steep sigmoid": "1/(1+exp(-2*z))",
    "steep softplus": "log(1+exp(2*z))/2",
    "softplus squeezed": "log(1+exp(z))/(1+log(1+exp(z)))",
    "sech": "1/cosh(z)",
    "steep softmax": "exp(2*z[j])/sum(exp(2*z[i]), i)",
    "cloglog": "1-exp(-exp(z))",
    "gompertz": "exp(-exp(-z))",
    "survival": "exp(-exp(z))",
    "density of gompertz": "exp(-z-exp(-z))",
    "hazard": "-log(1-exp(-exp(z)))",
    "two exponentials": "exp(z)/(exp(z)+exp(-z))",
    "root of a sigmoid": "(1+exp(-z))**(-1/2)",
    "square of tanh": "tanh(z)**2",
    "mean of an exponential": "(exp(z)-1)/z",
    "square of a sigmoid": "(1+exp(-z))**(-2)",
    "cube of a sigmoid": "(1+exp(-z))**(-3)",
    "power of a sigmoid": "(1+exp(-z))**(-3/2)",
    "one less a root": "1-(1+exp(-z))**(-1/2)",
    "tanh of exp": "tanh(exp(z))",
    "fermi of exp": "exp(z)/(1+exp(exp(z)))",
    "root of a probit": "sqrt((1+erf(z))/2)",
    "arctan of exp": "arctan(exp(z))",
    "three exponentials": "log(1+exp(z)+exp(2*z))",
    "ordered": "exp(2*z)/(1+exp(z)+exp(2*z))",
    "sinh over cosh": "sinh(z)/(1+cosh(z))",
    "logistic density": "exp(z)/(1+exp(z))**2",
    "root of softplus": "sqrt(1+exp(z))",
    "a softmax with rest": "exp(z[j])/(1+sum(exp(z[i]), i))",
}
DOUBLE = ("cloglog", "gompertz", "survival", "density of gompertz", "hazard")
"""Exponentials of exponentials."""
OWN_COSTS = {
    "focal": FOCAL,
    "half of focal": "-y*(1-a)**2*log(a)",
    "log cosh": "log(cosh(a-y))",
    "Poisson": "a-y*log(a)",
    "Hellinger": "(sqrt(a)-sqrt(y))**2",
    "log ratio": "(log(a)-log(y))**2",
    "logit": "(log(a/(1-a))-y)**2",
    "chi square": "(a-y)**2/(a*(1-a))",
    "power": "-2*y*a**(-1/2)",
    "chi square of tanh": "(a-y)**2/(1-a**2)",
    "logit of tanh": "log((1+a)/(1-a))*y",
    "entropy of tanh": "-(1+y)*log(1+a)-(1-y)*log(1-a)",
    "Hellinger of tanh": "(sqrt(1+a)-sqrt(1+y))**2",
}


def network(activation, cost):
    """A layer of three units whose pre-activations are the inputs."""
    return sb.from_mapping(
        {
            "name": "saturated",
            "input": {"size": 3},
            "layers": [{"size": 3, "activation": _spec(activation, ACTIVATIONS)}],
            "cost": {"kind": cost} if cost in COSTS else {"formula": cost},
        }
    )


def _spec(formula, known):
    return formula if formula in known else {"formula": formula}


def fits(activation, cost):
    try:
        network(activation, cost)
    except SymbackpropError:
        return False
    return True


@cache
def module(activation, cost):
    return sb.derive(network(activation, cost)).compile()


def mixtures(activation, count):
    """Every z in all units, and units with different ones."""
    draw = random.Random(activation)
    return [(z,) * 3 for z in Z] + [tuple(draw.choices(Z, k=3)) for _ in range(count)]


def check(activation, cost, z, y, dtype, buffered):
    """One example: cost and gradients right where they can be, and no warning without a reason."""
    expected = reference(activation, cost, z, y)
    largest = float(np.finfo(dtype).max)

    def representable(value):
        return value is not None and abs(value) <= largest

    slopes = [slope for slope in expected.slopes if slope is not None]
    finite = len(slopes) == len(z) and all(representable(v) for v in (expected.cost, *sum(slopes, ())))
    parameters = {"W1": np.eye(3, dtype=dtype), "b1": np.zeros(3, dtype=dtype)}
    of = module(activation, cost)
    compute = of.make_gradients(1, dtype) if buffered else of.cost_and_gradients
    with warnings.catch_warnings():
        warnings.simplefilter("error" if finite else "ignore")
        if not all(map(representable, expected.outputs)):
            warnings.filterwarnings("ignore", "overflow encountered in exp")
        found, gradients = compute(parameters, np.array([z], dtype), np.array([y], dtype))
    where = f"{activation} with {cost} at z = {z}, y = {y}, {dtype.__name__}"
    if representable(expected.cost):
        _near(found, (expected.cost, expected.cost), dtype, f"the cost of {where}")
    for unit, slope in enumerate(expected.slopes):
        if slope is not None and all(map(representable, slope)):
            _near(gradients["b1"][unit], slope, dtype, f"slope {unit + 1} of {where}")


def _near(found, bounds, dtype, what):
    """Between the slopes of both sides, which differ at a kink only."""
    assert math.isfinite(found), f"{what}: {found}, and not {float(bounds[0])}"
    beyond = max(bounds[0] - float(found), float(found) - bounds[1], mp.mpf(0))
    assert beyond <= TOLERANCE[dtype] * max(1, *map(abs, bounds)), f"{what}: {found}, not {float(bounds[0])}"


def test_most_pairs_fit():
    fitting = [(a, c) for a in ACTIVATIONS for c in COSTS if fits(a, c)]
    assert (
        len(fitting) > 75
        and {a for a, _ in fitting} == set(ACTIVATIONS)
        and {c for _, c in fitting} == set(COSTS)
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_saturated_code_is_finite_and_right(activation):
    some = mixtures(activation, 3)[-4:] if "[" in ACTIVATIONS[activation].formula else mixtures(activation, 4)
    for cost in (cost for cost in COSTS if fits(activation, cost)):
        for z in some:
            for y in TARGETS.get(cost, ANYWHERE):
                for dtype in TOLERANCE:
                    for buffered in (False, True):
                        check(activation, cost, z, y, dtype, buffered)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_saturated_code_in_many_mixtures(activation):
    for cost in (cost for cost in COSTS if fits(activation, cost)):
        for z in mixtures(activation, 40):
            for y in TARGETS.get(cost, ANYWHERE):
                check(activation, cost, z, y, np.float64, buffered=True)


OWN_PAIRS = (
    ("probit", "focal"),
    ("probit", "binary_cross_entropy"),
    ("half a tanh", "focal"),
    ("sigmoid the other way", "focal"),
    ("steep softplus", "half of focal"),
    ("steep softplus", "log cosh"),
    ("softplus squeezed", "focal"),
    ("sech", "log cosh"),
    ("steep softmax", "Poisson"),
    ("sigmoid", "focal"),
    ("softplus", "Poisson"),
    ("softplus", "Hellinger"),
    ("softmax", "focal"),
    ("softmax", "half of focal"),
    *((a, c) for a in DOUBLE for c in ("squared_error", "cross_entropy", "Poisson", "log ratio")),
    *((a, c) for a in DOUBLE[:4] for c in ("binary_cross_entropy", "focal", "Hellinger")),
    *(("two exponentials", c) for c in ("squared_error", "binary_cross_entropy", "focal", "Hellinger")),
    *(("root of a sigmoid", c) for c in ("squared_error", "cross_entropy", "Hellinger")),
    ("probit", "Hellinger"),
    ("square of tanh", "squared_error"),
)
"""What docs/numerics.md says of formulas of one's own; it also says what isn't covered."""

RESCUED = (
    ("softplus", "power"),
    ("sigmoid", "power"),
    ("exp", "power"),
    *(("tanh", f"{cost} of tanh") for cost in ("chi square", "logit", "entropy", "Hellinger")),
    *(("half a tanh", cost) for cost in ("logit", "chi square", "Hellinger")),
    *(("square of a sigmoid", cost) for cost in ("binary_cross_entropy", "chi square", "Hellinger")),
    ("cube of a sigmoid", "binary_cross_entropy"),
    ("power of a sigmoid", "binary_cross_entropy"),
    ("root of a sigmoid", "chi square"),
    ("one less a root", "squared_error"),
    *((a, "squared_error") for a in ("tanh of exp", "fermi of exp", "root of a probit", "arctan of exp")),
    *((a, "squared_error") for a in ("three exponentials", "ordered", "sinh over cosh", "root of softplus")),
    ("three exponentials", "cross_entropy"),
    ("ordered", "binary_cross_entropy"),
    ("logistic density", "cross_entropy"),
    ("root of a probit", "cross_entropy"),
    ("a softmax with rest", "squared_error"),
    ("a softmax with rest", "cross_entropy"),
)
"""What takes a quotient of polynomials in one exponential, or a sum of logarithms: both precisions."""

IN_FLOAT64 = (
    ("tanh of exp", "cross_entropy"),
    ("one less a root", "cross_entropy"),
    ("root of a sigmoid", "binary_cross_entropy"),
    ("square of a sigmoid", "logit"),
)
"""The same, but that a logarithm of 1000 in float32 has an error of 3e-5 of its own."""


@pytest.mark.slow
@pytest.mark.parametrize(("activation", "cost"), OWN_PAIRS)
def test_formulas_of_ones_own_saturate_as_well(activation, cost):
    activation = OWN_ACTIVATIONS.get(activation, activation)
    cost = OWN_COSTS.get(cost, cost)
    for z in mixtures(activation, 4):
        check(activation, cost, z, (0.25, 0.75, 0.5), np.float64, buffered=False)


PLACES = (
    (-1000.0, 40.0, 0.0),
    (-40.0, -1.0, 750.0),
    (1000.0, 1.0, -750.0),
    (-100.0, 100.0, 20.0),
    (300.0, -300.0, -20.0),
)
QUICK_RESCUES = (
    ("softplus", "power"),
    ("tanh", "Hellinger of tanh"),
    ("a softmax with rest", "cross_entropy"),
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activation", "cost"),
    [p if p in QUICK_RESCUES else pytest.param(*p, marks=pytest.mark.slow) for p in RESCUED + IN_FLOAT64],
)
def test_what_no_rule_by_itself_can_save(activation, cost):
    dtypes = (np.float64,) if (activation, cost) in IN_FLOAT64 else tuple(TOLERANCE)
    own = OWN_ACTIVATIONS.get(activation, activation), OWN_COSTS.get(cost, cost)
    for z in PLACES:
        for dtype in dtypes:
            for buffered in (False, True):
                check(*own, z, (0.25, 0.75, 0.5), dtype, buffered)
    assert not sb.derive(network(*own)).weak_lines


@pytest.mark.parametrize(
    ("activation", "cost"), [(a, c) for a in DOUBLE for c in ("squared_error", "Poisson")]
)
def test_exponentials_of_exponentials_in_both_precisions(activation, cost):
    for z in ((-1000.0, 40.0, 0.0), (-40.0, -1.0, 750.0), (1000.0, 1.0, -750.0)):
        for dtype in TOLERANCE:
            for buffered in (False, True):
                own = OWN_ACTIVATIONS[activation], OWN_COSTS.get(cost, cost)
                check(*own, z, (0.25, 0.75, 0.5), dtype, buffered)


@pytest.mark.parametrize("name", ["square of tanh", "mean of an exponential"])
def test_a_positive_output_of_factors_that_change_their_sign(name):
    """The logarithm is that of their sizes: -1 is as good a place as 1."""
    for z in ((-1.0, 1.0, 0.5), (-3.0, -0.25, 2.0)):
        check(OWN_ACTIVATIONS[name], "-y*log(a)", z, (0.25, 0.75, 0.5), np.float64, buffered=False)


@pytest.mark.parametrize(
    ("activation", "cost"),
    [(OWN_ACTIVATIONS["probit"], "binary_cross_entropy"), ("sigmoid", FOCAL), ("softmax", FOCAL)],
)
def test_three_formulas_of_ones_own(activation, cost):
    for z in ((-1000.0, 40.0, 0.0), (-40.0, -40.0, 750.0)):
        check(activation, cost, z, (0.25, 0.75, 0.5), np.float64, buffered=False)


def test_infinite_where_the_mathematics_is():
    """exp(-z^2) is 1 at z = 0, and the cost holds log(1 - a): what the code gives is infinite too."""
    assert reference("gaussian", "binary_cross_entropy", (0.0,), (0.5,)).cost is None
    parameters = {"W1": np.eye(3), "b1": np.zeros(3)}
    with np.errstate(all="ignore"):
        cost, gradients = module("gaussian", "binary_cross_entropy").cost_and_gradients(
            parameters, np.array([[0.0, 1.0, 2.0]]), np.full((1, 3), 0.5)
        )
    assert cost == math.inf and np.isfinite(gradients["b1"][1:]).all()


@pytest.mark.parametrize("activation", [name for name, entry in ACTIVATIONS.items() if name != "exp"])
def test_saturated_hidden_units(activation):
    """The derivative of a hidden activation, behind weights that pass the delta on."""
    hidden = sb.from_mapping(
        {
            "name": "hidden",
            "input": {"size": 3},
            "layers": [{"size": 3, "activation": activation}, {"size": 3, "activation": "linear"}],
            "cost": {"kind": "squared_error"},
        }
    )
    compute = sb.derive(hidden).compile().cost_and_gradients
    one, zero = np.eye(3), np.zeros(3)
    parameters = {"W1": one, "b1": zero, "W2": one, "b2": zero}
    for z in mixtures(activation, 3)[-5:]:
        expected = reference(activation, "squared_error", z, (0.25, 0.75, 0.5))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _, gradients = compute(parameters, np.array([z]), np.array([(0.25, 0.75, 0.5)]))
        for unit, slope in enumerate(expected.slopes):
            _near(gradients["b1"][unit], slope, np.float64, f"{activation} at {z}")


# --- the identities -------------------------------------------------------------------------------

z = sp.Symbol("z", real=True)


@pytest.mark.parametrize("form", MEANING)
def test_named_forms_mean_what_they_say(form):
    """Their kernels are tested by the sweep; this is the formula that a check puts back."""
    count = 2 if form in (sp.Max, sp.Min) else 1
    applied = form(*sp.symbols("u v", real=True)[:count])
    assert not meaning(applied).has(form)


@pytest.mark.parametrize(
    "expr",
    [
        1 / (1 + sp.exp(-z)),
        sp.exp(z) / (1 + sp.exp(z)) ** 2,
        1 / sp.cosh(z),
        sp.sinh(z) / sp.cosh(z) ** 2,
        sp.log(sp.cosh(z)),
        1 + sp.tanh(z),
        3 - 3 * sp.tanh(z / 2),
        (sp.exp(-2 * z) - 1) / z,
        z / (sp.exp(z) - 1),
        sp.exp(-(z**2)) / (1 - sp.erf(z)),
        sp.exp(2 * z) / ((1 + sp.exp(2 * z)) * sp.log(1 + sp.exp(2 * z))),
        (1 - sp.exp(-z)) * (2 - 3 / z),
        sp.log(1 - sp.exp(-sp.exp(z))),
        sp.exp(z) * sp.exp(-sp.exp(z)) / (1 - sp.exp(-sp.exp(z))),
        sp.exp(-z) * sp.exp(-sp.exp(-z)) / (1 - sp.exp(-sp.exp(-z))),
        (sp.exp(-z) - 1) * sp.exp(-z - sp.exp(-z)),
        sp.exp(z) / (2 * sp.exp(z) + 3 * sp.exp(-z)) ** 2,
        (1 + sp.exp(-z)) ** sp.Rational(-3, 2),
    ],
)
def test_stable_forms_are_equal(expr):
    assert stable(expr) != expr
    for number in ("-1.3", "0.7", "2.9"):
        both = [e.xreplace({z: sp.Rational(number)}).doit().evalf(40) for e in (expr, meaning(stable(expr)))]
        assert abs(both[0] - both[1]) < 1e-30 * max(1, abs(both[0]))


@pytest.mark.parametrize(
    "value",
    [
        1 / (1 + sp.exp(-z)),
        1 - 1 / (1 + sp.exp(-z)),
        (1 + sp.tanh(z)) / 2,
        1 - (1 + sp.erf(z)) / 2,
        1 - sp.exp(-(z**2)),
        sp.log(1 + sp.exp(z)) / (1 + sp.log(1 + sp.exp(z))),
        2 * sp.exp(z) + 3 * sp.exp(-z) + 5,
        1 - sp.exp(-sp.exp(z)),
        1 - sp.exp(-3 * sp.log(1 + sp.exp(z))),
        sp.tanh(z) ** 2,
        (sp.exp(z) - 1) / z,
        sp.cosh(z),
    ],
)
def test_opened_logarithms_are_equal(value):
    opened = logarithm(value)
    assert opened is not None and opened != sp.log(value)
    for number in ("-1.3", "0.7", "2.9"):
        both = [e.xreplace({z: sp.Rational(number)}).evalf(40) for e in (sp.log(value), meaning(opened))]
        assert abs(both[0] - both[1]) < 1e-30


def test_only_what_cancels_is_multiplied_out():
    a, y = (sp.IndexedBase(name, real=True)[sp.Symbol("j", integer=True)] for name in "ay")
    assert cancelled(a * (y - a), {}) == a * (y - a)
    assert cancelled((1 - a) * (y / (1 - a) - 1), {}) == y - 1 + a


def test_an_output_that_nobody_reads_is_not_computed():
    code = sb.derive(network("exp", "cross_entropy")).code
    assert code.count("a1 = np.exp(z1)") == 1, "forward has it; the cost and the gradients read z1 alone"
