"""Training steps: the generated update is its formulas, and networks learn with it, on every target."""

from functools import cache

import numpy as np
import pytest
from outside import library
from sklearn.datasets import load_digits, make_moons
from sklearn.model_selection import train_test_split

import symbackprop as sb
from symbackprop.spec.catalogue import UPDATES

RULES = sorted(UPDATES)


def compiled(source):
    namespace = {"__name__": "generated"}
    exec(compile(source, "<generated>", "exec"), namespace)
    return type("Module", (), {key: staticmethod(v) if callable(v) else v for key, v in namespace.items()})


@cache
def module(widths, cost, output, target, rule):
    derivation = sb.derive(sb.from_widths(widths, hidden="tanh", output_activation=output, cost=cost))
    return compiled(derivation.module_source(target, update=rule))


def started(shapes, seed=0):
    rng = np.random.default_rng(seed)
    return {
        name: rng.standard_normal(shape) / np.sqrt(shape[-1]) if len(shape) == 2 else np.zeros(shape)
        for name, shape in shapes.items()
    }


# --- against the rules as they are published, written here by hand ---------------------------------


def by_hand(rule, parameter, gradients):
    """Where a parameter is after some gradients."""
    v = m = np.zeros_like(parameter)
    for t, g in enumerate(gradients, 1):
        if rule == "sgd":
            parameter = parameter - 0.1 * g
        elif rule == "momentum":
            v = 0.9 * v + g
            parameter = parameter - 0.1 * v
        else:
            m = 0.9 * m + 0.1 * g
            v = 0.999 * v + 0.001 * g**2
            parameter = parameter - 0.001 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return parameter


@pytest.mark.parametrize("rule", RULES)
def test_an_update_is_what_was_published(rule):
    found = module("2-3-1", "binary_cross_entropy", "sigmoid", "numpy", rule)
    parameters = before = started(found.PARAMETERS)
    rng = np.random.default_rng(1)
    gradients = [{name: rng.standard_normal(v.shape) for name, v in before.items()} for _ in range(5)]
    state = found.initial_state(parameters)
    for each in gradients:
        parameters, state = found.update(parameters, each, state)
    for name, value in parameters.items():
        wanted = by_hand(rule, before[name], [each[name] for each in gradients])
        np.testing.assert_allclose(value, wanted, rtol=1e-12)


def test_an_update_changes_nothing_that_it_was_given():
    found = module("2-3-1", "binary_cross_entropy", "sigmoid", "numpy", "adam")
    parameters = started(found.PARAMETERS)
    state = found.initial_state(parameters)
    kept = {name: value.copy() for name, value in parameters.items()}
    found.update(parameters, parameters, state)
    assert all(np.array_equal(parameters[name], value) for name, value in kept.items())
    assert state["c"] == 1.0 and not any(value.any() for value in state["m"].values())


def test_rules_are_refused_by_name():
    derivation = sb.derive(sb.load("2-1"))
    with pytest.raises(sb.SymbackpropError, match="update: 'rmsprop': there are sgd, momentum, adam"):
        derivation.module_source(update="rmsprop")
    assert "training_step" not in derivation.code


# --- networks that learn ---------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_handwritten_digits(rule):
    """A 64-30-10 network on scikit-learn's digits: better than 95% on what it has not seen."""
    found = module("64-30-10", "cross_entropy", "softmax", "numpy", rule)
    digits = load_digits()
    x, held_out, labels, truth = train_test_split(digits.data / 16.0, digits.target, random_state=0)
    y = np.eye(10)[labels]
    parameters = started(found.PARAMETERS)
    state, fast = found.initial_state(parameters), found.make_gradients(32)
    rng = np.random.default_rng(0)
    settings = {"learning_rate": 0.005 if rule == "adam" else 0.3 if rule == "sgd" else 0.05}
    for _ in range(30):
        order = rng.permutation(len(x))
        for start in range(0, len(x) - 31, 32):
            batch = order[start : start + 32]
            _, gradients = fast(parameters, x[batch], y[batch])
            parameters, state = found.update(parameters, gradients, state, **settings)
    guesses = found.forward(parameters, held_out).argmax(axis=1)
    assert np.mean(guesses == truth) > 0.95


def arrays_for(target):
    if target == "torch":
        return library("torch").from_numpy
    if target == "jax":
        jax = library("jax")
        jax.config.update("jax_enable_x64", True)
        return jax.numpy.asarray
    library({"numba": "numba", "array-api": "array_api_compat"}.get(target, "numpy"))
    return np.asarray


@pytest.mark.parametrize("target", [
    "numpy", "array-api", "torch", *(pytest.param(name, marks=pytest.mark.slow) for name in ("jax", "numba")),
])  # fmt: skip
def test_two_moons(target):
    convert = arrays_for(target)
    found = module("2-16-1", "binary_cross_entropy", "sigmoid", target, "adam")
    x, labels = make_moons(200, noise=0.1, random_state=0)
    parameters = {name: convert(value) for name, value in started(found.PARAMETERS).items()}
    data = convert(x), convert(labels[:, None].astype(float))
    state = found.initial_state(parameters)
    costs = []
    for _ in range(250):
        total, parameters, state = found.training_step(parameters, state, *data, learning_rate=0.05)
        costs.append(float(total))
    fresh, truth = make_moons(500, noise=0.1, random_state=1)
    plain = module("2-16-1", "binary_cross_entropy", "sigmoid", "numpy", "adam")
    outputs = plain.forward({name: np.asarray(value) for name, value in parameters.items()}, fresh)
    assert costs[-1] < 0.1 * costs[0]
    assert np.mean((outputs[:, 0] > 0.5) == truth) > 0.97
