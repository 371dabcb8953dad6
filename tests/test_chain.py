"""Delta forms as textbooks have them, in full, and the steps that lead there."""

import pytest
import sympy as sp

from symbackprop.algebra.equations import Fact, Partial
from symbackprop.algebra.indices import alpha, index_symbol
from symbackprop.checking.check import check_program
from symbackprop.derivation.chain import backward_equations, reverse
from symbackprop.forward.model import forward_model
from symbackprop.spec.loading import from_mapping, from_widths

i, j, k = map(index_symbol, "ijk")


def network(text="3-4-2", scale=None, facts=(), **options):
    """A network of dense layers, with a factor before the cost and declared facts."""
    first, *others = map(int, text.split("-"))
    names = [options.get("hidden", "sigmoid")] * (len(others) - 1) + [options.get("last", "sigmoid")]
    layers = [{"size": size, "activation": name} for size, name in zip(others, names, strict=True)]
    cost = {"kind": options.get("cost", "squared_error")}
    if scale is not None:
        cost["scale"] = scale
    spec = {"name": "net", "input": {"size": first}, "layers": layers, "cost": cost}
    return from_mapping({**spec, "facts": dict.fromkeys(facts, True)} if facts else spec)


def derived(*args, **options):
    """The adjoints of a network by the name of what was derived, and their equations by their own name."""
    model = forward_model(network(*args, **options))
    adjoints = reverse(model.program, model.facts)
    return model.program, adjoints, {e.quantity.name: e for e in backward_equations(adjoints)}


def entries(program, equations, *names):
    known = {**program.quantities, **{name: e.quantity for name, e in equations.items()}}
    return [known[name] for name in names]


def test_the_four_equations():
    """BP1 to BP4: the output's delta, a delta from the next one, the bias and the weight."""
    program, _, found = derived(scale="1/2")
    a1, a2, y, W2, delta1, delta2 = entries(program, found, "a1", "a2", "y", "W2", "delta1", "delta2")
    slope1, slope2 = (a[j] * (1 - a[j]) for a in (a1, a2))
    assert sp.expand(found["delta2"].rhs - (a2[j] - y[j]) * slope2) == 0
    back = sp.Sum(W2[k, j] * delta2[k], (k, 1, W2.dims[0]))
    assert sp.expand(alpha(found["delta1"].rhs) - alpha(back * slope1)) == 0
    assert found["db1"].rhs == delta1[j] and found["db2"].rhs == delta2[j]
    assert found["dW2"].rhs == delta2[j] * a1[k]
    assert found["dW1"].rhs == delta1[j] * program.quantities["x"][k]


@pytest.mark.parametrize(
    ("hidden", "slope"),
    [("tanh", lambda a: 1 - a**2), ("softplus", lambda a: 1 - sp.exp(-a)), ("exp", lambda a: a)],
)
def test_the_slope_stands_in_terms_of_the_output(hidden, slope):
    program, _, found = derived(hidden=hidden)
    a1, W2, delta2 = entries(program, found, "a1", "W2", "delta2")
    back = sp.Sum(W2[k, j] * delta2[k], (k, 1, W2.dims[0]))
    assert sp.expand(alpha(found["delta1"].rhs) - alpha(back * slope(a1[j]))) == 0


def test_sigmoid_with_binary_cross_entropy_leaves_the_error():
    program, _, found = derived(cost="binary_cross_entropy")
    a2, y = entries(program, found, "a2", "y")
    assert found["delta2"].rhs == a2[j] - y[j]


def test_softmax_with_cross_entropy_under_the_fact_leaves_the_error_and_cites_it():
    program, adjoints, found = derived(last="softmax", cost="cross_entropy", facts=["targets_sum_to_one"])
    a2, y = entries(program, found, "a2", "y")
    assert found["delta2"].rhs == a2[j] - y[j]
    (delta,) = (x for x in adjoints if x.named is not None and x.named.name == "delta2")
    cited = [step for step in delta.derivation.steps if step.facts]
    assert [(step.rule, step.facts) for step in cited] == [("use_facts", ("targets_sum_to_one",))]
    assert "targets_sum_to_one" in cited[0].because


def test_softmax_with_cross_entropy_without_the_fact_keeps_the_sum_of_the_targets():
    program, adjoints, found = derived(last="softmax", cost="cross_entropy")
    a2, y = entries(program, found, "a2", "y")
    total = sp.Sum(y[k], (k, 1, y.dims[0]))
    assert sp.expand(alpha(found["delta2"].rhs) - alpha(a2[j] * total - y[j])) == 0
    assert not any(step.facts for adjoint in adjoints for step in adjoint.derivation.steps)


def test_a_fact_that_does_not_hold_is_noticed_by_the_checker():
    program, _, _ = derived(last="softmax", cost="cross_entropy", facts=["targets_sum_to_one"])
    y = program.quantities["y"]
    wrong = Fact("targets_sum_to_two", sp.Sum(y[j], (j, 1, y.dims[0])), sp.Integer(2))
    true = Fact("targets_sum_to_one", wrong.left, sp.Integer(1))
    assert not all(f.holds for f in check_program(program, reverse(program, [wrong]), [true]))
    assert all(f.holds for f in check_program(program, reverse(program, [true]), [true]))


def test_steps_join_up_and_each_has_a_reason():
    _, adjoints, _ = derived(last="softmax", cost="cross_entropy")
    for adjoint in adjoints:
        expr = adjoint.derivation.goal
        assert isinstance(expr, Partial)
        for step in adjoint.derivation.steps:
            assert step.before == expr and step.after != expr and step.because
            expr = step.after
        assert not expr.atoms(Partial, sp.KroneckerDelta)


def test_the_inputs_are_differentiated_on_request():
    model = forward_model(from_widths("2-3-1"))
    x = model.program.quantities["x"]
    adjoint = reverse(model.program, wrt=[x])[-1]
    W1, delta1 = model.program.quantities["W1"], sp.IndexedBase("delta1", real=True)
    assert adjoint.derivation.result == sp.Sum(W1[k, j] * delta1[k], (k, 1, W1.dims[0]))


def test_nothing_that_is_not_asked_for_is_derived():
    model = forward_model(from_widths("2-3-1"))
    last = model.program.quantities["W2"]
    assert {x.of.name for x in reverse(model.program, wrt=[last])} == {"z2", "a2", "W2"}
