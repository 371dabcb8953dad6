"""Kinks: where they are, what the text says of them, and that text and code make the same choice."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import sympy as sp

import symbackprop as sb
from symbackprop.algebra.kinks import kinks
from symbackprop.layout.document import Paragraph

a, y, z = sp.symbols("a y z", real=True)
JUMPS = [(sp.Abs(a - y), 1, 2 * a - 2 * y)]


def network(cost, activation="linear"):
    """Two units whose pre-activations are the inputs."""
    spec = {"kind": cost} if cost.isidentifier() else {"formula": cost}
    activation = activation if activation.isidentifier() else {"formula": activation}
    layers = [{"size": 2, "activation": activation}]
    return sb.from_mapping({"name": "kinks", "input": {"size": 2}, "layers": layers, "cost": spec})


@cache
def derived(cost, activation="linear"):
    """One derivation for all that is looked at: the text, and the code in both of its forms."""
    return sb.derive(network(cost, activation))


@cache
def sentences(*net):
    sections = derived(*net).document().sections
    texts = (block.text for s in sections for block in s.blocks if isinstance(block, Paragraph))
    return [text for text in texts if "branches meet" in text]


@pytest.mark.parametrize(
    ("formula", "wrt", "edges"),
    [
        (sp.Abs(a - y), a, [(a, y, 0)]),
        (sp.Abs(y - a), a, [(a, y, 0)]),
        (sp.Piecewise((1 - a * y, a * y < 1), (0, True)), a, [(a * y, 1, 0)]),
        (sp.Piecewise((a, a >= y**2), (2 * a, True)), a, [(a, y**2, 1)]),
        (sp.Piecewise((a, a > y**2), (2 * a, True)), a, [(a, y**2, 2)]),
        (sp.Piecewise(((a - y) ** 2 / 2, sp.Abs(a - y) <= 1), (sp.Abs(a - y) - sp.S.Half, True)), a, []),
        (sp.Piecewise(((a - y) ** 2, sp.Abs(a - y) <= 1), (sp.Abs(a - y), True)), a, JUMPS),
        (sp.Abs(z**2 - 1), z, [(z**2, 1, 0)]),
        (z * sp.Abs(z), z, []),
        (sp.Piecewise((z, z > 0), (sp.exp(z) - 1, True)), z, []),
        (sp.Piecewise((sp.exp(z), sp.exp(z) > 2), (0, True)), z, [(sp.exp(z), 2, 0)]),
    ],
)
def test_an_edge_is_a_kink_where_the_slope_jumps(formula, wrt, edges):
    found = [(kink.left, kink.right, sp.expand(kink.slope)) for kink in kinks(formula, wrt)]
    assert found == edges


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cost", "words", "at", "slope"),
    [
        ("absolute_error", r"\sbpact{1}{j} = \sbptarget{j}$,", lambda y: y, 0.0),
        ("abs(y - a)", r"\sbpact{1}{j} = \sbptarget{j}$,", lambda y: y, 0.0),
        ("hinge", r"\sbptarget{j} \sbpact{1}{j} = 1$,", lambda y: 1 / y, 0.0),
        ("where(a > y, 3*a, 5*a)", r"\sbpact{1}{j} = \sbptarget{j}$,", lambda y: y, 5.0),
        ("where(a >= y, 3*a, 5*a)", r"\sbpact{1}{j} = \sbptarget{j}$,", lambda y: y, 3.0),
        ("where(y < a, 3*a, abs(2*a - 4*y))", r"2 \sbpact{1}{j} = 4 \sbptarget{j}$,", lambda y: 2 * y, 3.0),
    ],
)
@pytest.mark.parametrize("buffered", [False, True])
def test_text_and_code_take_the_same_slope_at_a_kink(cost, words, at, slope, buffered):
    """The targets are powers of 2, so that the outputs meet the edge exactly."""
    told = sentences(cost)
    assert any(words.removesuffix(",") in text for text in told), told
    if "as the formula" in told[0]:
        assert f"= {slope:.0f}$, as the formula" in told[0]
    module = derived(cost).compile()
    targets = np.array([[0.5, 2.0]])
    compute = module.make_gradients(1) if buffered else module.cost_and_gradients
    parameters = {"W1": np.eye(2), "b1": np.zeros(2)}
    _, gradients = compute(parameters, at(targets), targets)
    assert gradients["b1"].tolist() == [slope, slope]


def test_the_pinball_cost_has_a_kink_where_the_error_is_0():
    """Both sides of its comparison have fractions."""
    cost = "max(0.9*(y-a), 0.1*(a-y))"
    assert len(sentences(cost)) == 1
    assert derived(cost).document().certificate.holds


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activation", "place", "slope", "words"),
    [
        ("relu", 0.0, 0.0, "(0) = 0$"),
        ("leaky_relu", 0.0, 0.01, "(0) = 0.01$"),
        ("hard_sigmoid", 2.5, 0.0, r"(\frac{5}{2}) = 0$"),
        ("hard_sigmoid", -2.5, 0.0, r"(-\frac{5}{2}) = 0$"),
        ("max(min(z, 1), -1)", 1.0, 0.0, "(1) = 0$"),
        ("abs(z)", 0.0, 0.0, "(0) = 0$"),
        ("where(z >= 0, z, 0)", 0.0, 1.0, "(0) = 1$"),
        ("selu", 0.0, 1.0507009873554805 * 1.6732632423543772, r"(0) \approx 1.758099$"),
        ("where(z**2 >= 4, z**2, 3*z)", 2.0, 4.0, r"= 2 \sbppactletter$"),
    ],
)
def test_an_activation_at_a_kink(activation, place, slope, words):
    net = "(a - y)**2", activation
    assert any(words in text for text in sentences(*net)), sentences(*net)
    module = derived(*net).compile()
    parameters, x = {"W1": np.eye(2), "b1": np.zeros(2)}, np.full((1, 2), place)
    target = module.forward(parameters, x) - 0.5
    _, gradients = module.cost_and_gradients(parameters, x, target)
    assert gradients["b1"] == pytest.approx([slope, slope], abs=1e-12)


def test_brackets_are_explained_once_and_before_the_first():
    derivation = sb.derive(sb.load("2-3-2"))
    text = derivation.document().to_latex()
    sentence = "A condition in brackets is"
    assert text.count(sentence) == 1
    assert text.index(sentence) < text.index(r"\sbpbracket{") or r"\sbpbracket" not in text
    assert sentence not in sb.derive(sb.load("1-1")).document(forms=("components",)).to_latex()


def test_a_slope_without_a_value_is_not_told():
    layer = {"size": 2, "activation": {"formula": "sqrt(abs(z))"}}
    spec = {"name": "root", "input": {"size": 2}, "layers": [layer], "cost": {"kind": "squared_error"}}
    document = sb.derive(sb.from_mapping(spec)).document()
    assert document.certificate.holds and "nan" not in document.to_latex().lower()
