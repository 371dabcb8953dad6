"""Coupled activations with cases: deltas come out of the branches, and sums keep their cases."""

from functools import cache

import numpy as np
import pytest
import sympy as sp

import symbackprop as sb
from symbackprop.algebra.calculus import derivative
from symbackprop.algebra.indices import index_symbol, replaced, size_symbol, total
from symbackprop.algebra.rules import Context, collapse_kronecker, everywhere

J, K, I, P = map(index_symbol, "jkip")
N = size_symbol("n_1")
A, F, Z = (sp.IndexedBase(name, real=True) for name in "afz")

FORMULAS = {
    "above the mean": "max(z[j] - sum(z[i], i)/n, 0)",
    "two slopes": "where(z[j] > sum(z[i], i)/n, z[j], 2*z[j])",
    "cases in the sum": "max(z[j], 0)/(1 + sum(max(z[i], 0), i))",
    "pairs": "sum(max(z[j] - z[i], 0), i)",
    "a softmax in a case": "where(z[j] > 0, exp(z[j])/sum(exp(z[i]), i), 0)",
    "clipped": "min(max(z[j] - sum(z[i], i)/n, 0), 1)",
}
EVERYDAY = ("above the mean", "pairs")


def network(formula):
    layers = [{"size": 4, "activation": {"formula": formula}}, {"size": 2, "activation": "tanh"}]
    cost = {"kind": "squared_error"}
    return sb.from_mapping({"name": "cases", "input": {"size": 3}, "layers": layers, "cost": cost})


@cache
def derivation(name, route="chain"):
    return sb.derive(network(FORMULAS[name]), route)


NAMES = [name if name in EVERYDAY else pytest.param(name, marks=pytest.mark.slow) for name in FORMULAS]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("route", ["chain", pytest.param("composite", marks=pytest.mark.slow)])
def test_derived_checked_and_generated(name, route):
    derived = derivation(name, route)
    certificate = derived.certificate()
    assert certificate.holds, [finding for finding in certificate.findings if not finding.holds]
    assert not any(equation.rhs.has(sp.KroneckerDelta) for equation in derived.equations)
    report = sb.compare(derived)
    assert report.agrees, report.table()


@pytest.mark.parametrize("name", FORMULAS)
def test_the_buffered_code_is_the_plain_code(name):
    module = derivation(name).compile()
    rng = np.random.default_rng(1)
    parameters = {key: rng.standard_normal(shape) for key, shape in module.PARAMETERS.items()}
    x, y = rng.standard_normal((5, 3)), rng.standard_normal((5, 2))
    cost, gradients = module.cost_and_gradients(parameters, x, y)
    again, buffers = module.make_gradients(5)(parameters, x, y)
    assert again == pytest.approx(cost, rel=1e-12)
    for key, gradient in gradients.items():
        np.testing.assert_allclose(buffers[key], gradient, rtol=1e-10, atol=1e-13)


# --- the rule ----------------------------------------------------------------------------------------


def collapsed(expr):
    return collapse_kronecker(expr, Context({P: N}))


def test_a_delta_comes_out_of_the_branches():
    """sum_j f_j ([j = p] - 1/n if z_j > 0, else 0) = (f_p if z_p > 0, else 0) + sum_j f_j (-1/n if …)."""
    branches = sp.Piecewise((sp.KroneckerDelta(J, P) - 1 / N, Z[J] > 0), (0, True))
    found = collapsed(total(F[J] * branches, (J, 1, N)))
    picked = F[P] * sp.Piecewise((1, Z[P] > 0), (0, True))
    rest = total(F[J] * sp.Piecewise((-1 / N, Z[J] > 0), (0, True)), (J, 1, N))
    assert sp.expand(found - picked - rest) == 0


def test_branches_with_different_deltas():
    branches = sp.Piecewise((sp.KroneckerDelta(J, P), Z[J] > 0), (3 * sp.KroneckerDelta(P, J) * A[J], True))
    found = collapsed(total(branches, (J, 1, N)))
    assert found == sp.Piecewise((1, Z[P] > 0), (3 * A[P], True))


def test_a_delta_in_a_sum_inside_a_branch():
    inner = total(sp.KroneckerDelta(J, P) * F[I], (I, 1, N))
    branches = sp.Piecewise((inner, Z[J] > 0), (0, True))
    found = collapsed(total(A[J] * branches, (J, 1, N)))
    assert not found.has(sp.KroneckerDelta)
    assert found == A[P] * sp.Piecewise((total(F[I], (I, 1, N)), Z[P] > 0), (0, True))


def test_values_stay_the_same():
    """The rule against the sum written out, for every p."""
    branches = sp.Piecewise(
        (sp.KroneckerDelta(J, P) * A[J] - A[P] / 3, Z[J] > Z[P]), (2 * sp.KroneckerDelta(J, P) + 1, True)
    )
    before = total(F[J] * branches, (J, 1, N))
    after = collapsed(before)
    values = {A: (2, -3, 5), F: (1, 4, -2), Z: (3, 1, 2)}
    entries = {base[i + 1]: sp.Integer(v) for base, vs in values.items() for i, v in enumerate(vs)}
    for p in (1, 2, 3):
        sides = [replaced(side, {P: sp.Integer(p), N: sp.Integer(3)}) for side in (before, after)]
        left, right = (_written_out(side).xreplace(entries) for side in sides)
        assert left == right


def _written_out(expr):
    def sums(node):
        if not isinstance(node, sp.Sum):
            return node
        bound, low, high = node.limits[0]
        return sp.Add(
            *(node.function.xreplace({bound: sp.Integer(i)}) for i in range(int(low), int(high) + 1))
        )

    return everywhere(sums, expr)


# --- sums keep their cases -----------------------------------------------------------------------------


def test_rules_leave_a_sum_of_cases_as_it_is():
    inner = total(sp.Piecewise((F[I], Z[I] > Z[J]), (0, True)), (I, 1, N)) / N
    outer = total(inner**2, (J, 1, N))
    free = {N} | outer.atoms(sp.IndexedBase)
    for same in (
        everywhere(lambda node: node, outer),
        replaced(outer, {F: A}),
        derivative(outer * A[K], A[K]),
    ):
        assert {s for s in same.free_symbols if s.is_Symbol and s.is_integer} <= free


@pytest.mark.slow
def test_two_coupled_layers_with_cases_in_each_other():
    """A condition on a sum of cases: SymPy takes it apart and leaves the sum's letter behind."""
    formula = {"formula": FORMULAS["above the mean"]}
    layers = [{"size": 3, "activation": formula}, {"size": 4, "activation": formula}, {"size": 2}]
    layers[-1]["activation"] = "linear"
    spec = {"name": "two", "input": {"size": 2}, "layers": layers, "cost": {"kind": "squared_error"}}
    for route in ("chain", "composite"):
        derived = sb.derive(sb.from_mapping(spec), route)
        assert derived.certificate(("index",)).holds
        assert not derived.example_cost.has(sp.ITE)
        report = sb.compare(derived)
        assert report.agrees and report.cost["explicit"] is not None, report.table()
