"""Training steps: the generated update is its formulas, and networks learn with it, on every target."""

import re
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from generated_module import compiled
from outside import library
from sklearn.datasets import load_digits, make_moons
from sklearn.model_selection import train_test_split

import symbackprop as sb
from symbackprop.layout.document import chains
from symbackprop.layout.manner import Manner
from symbackprop.media.files import Order
from symbackprop.notation.notation import notations
from symbackprop.spec.catalogue import UPDATES

RULES = sorted(UPDATES)


@cache
def module(widths, cost, output, target, rule):
    derived = sb.derive(sb.from_widths(widths, hidden="tanh", output_activation=output, cost=cost))
    return compiled(derived.module_source(target, update=rule))


@cache
def derivation(widths="2-3-2"):
    """One derivation for the texts in all notations."""
    return sb.derive(sb.load(widths))


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
    plain = derivation("2-1")
    with pytest.raises(sb.SymbackpropError, match="update: 'rmsprop': there are sgd, momentum, adam"):
        plain.module_source(update="rmsprop")
    assert "training_step" not in plain.code


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


# --- the rule as text --------------------------------------------------------------------------------


@pytest.mark.parametrize("notation", sorted(notations()))
@pytest.mark.parametrize("rule", UPDATES)
def test_the_text_and_the_code_have_the_same_formulas(rule, notation):
    order = Order(derivation(), Manner(notation, forms=("matrix",), update=rule))
    text, code = order.document.to_latex(), order.code
    in_code = re.findall(r"# \(update-(\w+)\)", code)
    in_text = re.findall(r"\\label\{sbp:.*?:update-(\w+)\}", text)
    assert sorted(in_text) == sorted([*in_code, "g"])
    assert len(in_text) == len(UPDATES[rule].equations) + 1


@pytest.mark.parametrize("notation", sorted(notations()))
def test_no_letter_of_a_rule_means_something_else(notation):
    order = Order(derivation(), Manner(notation, forms=("index",), update="adam"))
    *_, last = order.document.sections
    before = Order(order.derivation, Manner(notation, forms=("index",))).document.to_latex()
    lefts = [chain.left for chain in chains([last])]
    assert len(set(lefts)) == len(lefts) == len(UPDATES["adam"].equations) + 1
    assert not [left for left in lefts if left in before]


def test_an_open_symbol_of_the_spec_keeps_its_letter():
    spec = {
        "name": "open",
        "input": {"size": 2},
        "layers": [{"size": 2, "activation": {"symbol": "g"}}],
        "cost": {"kind": "squared_error", "scale": "theta*mu"},
    }
    document = Order(sb.derive(sb.from_mapping(spec)), Manner(update="momentum")).document
    lefts = [chain.left for chain in chains(document.sections[-1:])]
    assert lefts == [rf"\sbpsymbol{{{letter}}}" for letter in (r"\gamma", "v", r"\vartheta")]
    assert r"\alpha" in document.to_latex()


def test_a_derivation_without_a_rule_has_no_training_step():
    order = Order(sb.derive(sb.load("2-2")))
    assert "update" not in order.code and "update-" not in order.document.to_latex()


@pytest.mark.slow
def test_the_command_knows_the_rules(tmp_path):
    run = [sys.executable, "-m", "symbackprop", "derive", "2-2", "-o", str(tmp_path), "--update"]
    done = subprocess.run([*run, "momentum"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "training_step" in next(tmp_path.rglob("*_gradients.py")).read_text()
    wrong = subprocess.run([*run, "rmsprop"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and "there are sgd, momentum, adam" in wrong.stderr
