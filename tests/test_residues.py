"""Rational functions modulo a prime: what follows from what is found by a division."""

import pytest
import sympy as sp

import symbackprop as sb
from symbackprop.algebra import elimination
from symbackprop.algebra.residues import divides, residues, same_value

t = sp.Symbol("t", positive=True)
z = elimination.Z

ONE_FOLLOWS = [
    (3 * t**4 + t**2, t**2),
    (t / (1 + t) ** 2, 1 / (1 + t)),
    (t**2 / 3 - 1, (t**2 - 5) / (t**2 + 7)),
    (t / (t**2 + 1) ** 2 + t, t + 0 * t),
    ((t + 1) ** 60, (t + 1) ** 20),
    (1 / (t**3 + 2), t**3),
]
NONE_FOLLOWS = [
    (2 * t * (t + 1), (t + 1) ** 2),
    (64 * t * (t + 1) ** 63, (t + 1) ** 64),
    (t, t**2),
    (t / 3 + t**2, t**2),
    (z * t, t**2 + t),
]


@pytest.mark.parametrize(("slope", "output"), ONE_FOLLOWS + NONE_FOLLOWS)
def test_a_function_of_another_is_told_by_a_division(slope, output):
    found = divides(*(same_value(residues(expr, t, z)) for expr in (output, slope)))
    assert found == ((slope, output) in ONE_FOLLOWS)


@pytest.mark.parametrize("expr", [sp.sqrt(2) * t, sp.sqrt(t), sp.exp(t), 1 / (t - t + 0 * z + sp.pi)])
def test_what_has_no_residues(expr):
    assert residues(expr, t, z) is None


def test_a_power_that_leads_nowhere_takes_no_resultant(monkeypatch):
    """(exp(z) + 1)**64 took ten seconds."""

    def resultant(*_):
        raise AssertionError("a resultant of degree 64")

    monkeypatch.setattr(sp, "resultant", resultant)
    for formula in ((sp.exp(z) + 1) ** 64, (sp.tanh(z) + 2) ** 31, ((sp.exp(z) + 1) ** 8 + 1) ** 8):
        assert elimination.derivative_from_output.__wrapped__(formula) is None


@pytest.mark.parametrize("formula", ["(exp(z)+1)**64", "(exp(z)+exp(-z))**40", "((exp(z)+1)**8+1)**8"])
def test_what_grows_fast_is_compared_all_the_same(formula):
    """A difference quotient of a cost of 1e40 keeps few digits where the slope is small."""
    layer = {"size": 2, "activation": {"formula": formula}}
    spec = {"name": "fast", "input": {"size": 2}, "layers": [layer], "cost": {"kind": "squared_error"}}
    derivation = sb.derive(sb.from_mapping(spec))
    assert all(sb.compare(derivation, seed).agrees for seed in range(4))
