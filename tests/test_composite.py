"""The explicit composite, its raw derivative, and the route from there to the deltas."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, product
from pathlib import Path

import pytest
import sympy as sp

from symbackprop.algebra.equations import Equation, Program, Quantity, TotalPartial
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.algebra.indices import EXAMPLE
from symbackprop.checking.arithmetic import Exact
from symbackprop.checking.check import check_program
from symbackprop.checking.evaluate import Instance
from symbackprop.checking.sizes import small_sizes
from symbackprop.derivation.chain import backward_equations, own_indices, reverse
from symbackprop.derivation.composite import composite_route
from symbackprop.errors import NoRule
from symbackprop.forward.compose import compose, compose_total, distinct, raw_gradient
from symbackprop.forward.model import Model, forward_model
from symbackprop.network import Activation, Cost, Formula, Layer, Network, argument
from symbackprop.pipeline import derive
from symbackprop.spec.loading import from_mapping, from_widths, load

Z, A, Y = argument("z"), argument("a"), argument("y")
SQUARED = Cost("squared_error", Formula("(a - y)^2", (A - Y) ** 2, ("a", "y")))

EXAMPLES = Path(__file__).parent.parent / "examples"


def model(activations: list[str], cost: str = "squared_error", bias: bool = True, **more: object) -> Model:
    """The model of a dense network; the activation ``g`` is left unspecified."""
    facts = {"facts": {"targets_sum_to_one": True}} if more.pop("fact", False) else {}
    names = ["linear" if name == "g" else name for name in activations]
    layers = [{"size": 3, "activation": name, "bias": bias} for name in names]
    cost_table = {"kind": cost, **more}
    spec = {"name": "net", "input": {"size": 2}, "layers": layers, "cost": cost_table, **facts}
    return forward_model(_unspecified(from_mapping(spec, "net"), activations))


def _unspecified(network: Network, activations: list[str]) -> Network:
    pairs = zip(network.layers, activations, strict=True)
    layers = tuple(
        replace(layer, activation=Activation("g", None)) if g == "g" else layer for layer, g in pairs
    )
    return replace(network, layers=layers)


def first_entry(program: Program) -> sp.Expr:
    """The entry w_jk of the first layer's weights."""
    return program.parameters[0][own_indices(program.parameters[0])]


def named(adjoints) -> dict[str, Equation]:
    return {equation.quantity.name: equation for equation in backward_equations(adjoints)}


def assert_routes_meet(of: Model) -> None:
    composite = named(composite_route(of.program, of.facts))
    assert composite == named(reverse(of.program, of.facts))


# --- the composite -----------------------------------------------------------------------------

NETS = [["g"], ["g", "g"], ["relu", "linear", "g"], ["g", "linear"], ["g", "g", "g", "linear"]]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activations", NETS, ids="-".join)
def test_composite_has_the_value_of_the_forward_pass(activations, bias):
    program = model(activations, bias=bias).program
    instance = Instance(program, small_sizes(program), Exact(), seed=3)
    assert instance.value(compose(program)) == instance.value(program.outputs[0].symbol)


def test_composite_of_softmaxes_has_no_captured_letter():
    program = model(["softmax", "softmax"], "cross_entropy").program
    cost = compose(program)
    assert {str(base) for base in cost.atoms(sp.IndexedBase)} == {"W1", "W2", "b1", "b2", "x", "y"}
    assert not {s for s in cost.free_symbols if s.is_integer and not str(s).startswith("n_")}
    sums = [limits[0] for node in distinct(cost) if isinstance(node, sp.Sum) for limits in node.limits]
    assert len(sums) == len(set(sums)) + 2  # two entries of z2, and two of z1, each a sum in one letter


def test_a_named_quantity_is_written_out_at_its_own_index():
    program = model(["g", "g"], bias=False).program
    assert str(compose(program, "z2")) == "Sum(g(Sum(W1[i, m]*x[m], (m, 1, n_0)))*W2[j, i], (i, 1, n_1))"


def test_composite_is_a_graph_linear_in_depth():
    counts = [len(set(distinct(compose(model(["sigmoid"] * depth).program)))) for depth in (4, 8, 12, 16)]
    steps = {after - before for before, after in pairwise(counts)}
    assert len(steps) == 1


def test_a_symbol_for_the_depth_is_refused_by_name():
    network = Network("deep", "d", tuple(Layer("h", Activation("g", None)) for _ in "12"), SQUARED, depth="L")
    with pytest.raises(NoRule, match="use the chain route"):
        compose(forward_model(network).program)
    with pytest.raises(NoRule, match="nothing to write out"):
        compose(model(["g"]).program, "z7")


def test_total_cost_is_the_mean_over_examples_and_the_penalty():
    weight_decay = sp.Symbol("lambda", positive=True) / 2
    square = Activation("square", Formula("z^2", Z**2, ("z",)))
    layers = (Layer(2, square), Layer(1, square))
    total_of = forward_model(Network("net", 2, layers, SQUARED, penalty=weight_decay))
    values = _values(total_of, compose_total(total_of))
    each = [_values(total_of, compose(total_of.program), example) for example in (1, 2, 3)]
    weights = [q for q in total_of.program.parameters if q.letter == "W"]
    squares = sum(_number(q[i, k]) ** 2 for q in weights for i, k in _keys(total_of, q))
    assert values == Fraction(1, 3) * sum(each) + Fraction(7, 2) * squares


def _keys(of: Model, quantity: Quantity):
    return product(*(range(1, int(of.with_sizes(dim)) + 1) for dim in quantity.dims))


def _number(entry: sp.Expr) -> sp.Expr:
    """Some rational number for each entry."""
    return sp.Rational(1 + sum(map(ord, str(entry))) % 17, 5)


def _values(of: Model, expr: sp.Expr, example: int | None = None) -> sp.Expr:
    """The value of an expression with numbers put in, for three examples."""
    sizes = {**dict(of.sizes), sp.Symbol("N", integer=True, positive=True): sp.Integer(3)}
    if example is not None:
        data = [e for e in expr.atoms(sp.Indexed) if str(e.base) in "xy"]
        expr = expr.xreplace({e: sp.Indexed(e.base, example, *e.indices) for e in data})
    expr = expr.xreplace(sizes).doit()
    expr = expr.xreplace({entry: _number(entry) for entry in expr.atoms(sp.Indexed)})
    expr = expr.xreplace({sp.Symbol("lambda", positive=True): sp.Integer(7)})
    return expr.replace(lambda e: isinstance(e, ScalarFunction), lambda e: e.formula.xreplace({Z: e.args[0]}))


def test_examples_are_counted_by_their_own_index():
    entries = {str(e) for e in compose_total(model(["g"])).atoms(sp.Indexed) if str(e.base) in "xy"}
    assert entries == {f"x[{EXAMPLE}, m]", f"y[{EXAMPLE}, i]"}


# --- the raw derivative ------------------------------------------------------------------------


@pytest.mark.parametrize("activations", [["g"] * 2, ["g"] * 3, ["g", "linear", "g", "g"]], ids="-".join)
def test_raw_gradient_equals_sympys_own(activations):
    program = model(activations).program
    cost, entry = compose(program), first_entry(program)
    mine, theirs = raw_gradient(cost, entry), cost.diff(entry)
    instance = Instance(program, small_sizes(program), Exact(), seed=5)
    for j, k in product((1, 2), (1, 2)):
        at = dict(zip(entry.indices, (j, k), strict=True))
        assert instance.value(mine, at) == instance.value(theirs, at) != 0


def test_raw_gradient_equals_that_of_the_cost_written_term_by_term():
    of = model(["g", "g"])
    cost, entry = compose(of.program), first_entry(of.program)
    chosen = dict(zip(entry.indices, (sp.Integer(3), sp.Integer(2)), strict=True))
    written_out = of.with_sizes(cost).doit().diff(entry.xreplace(chosen))
    mine = of.with_sizes(raw_gradient(cost, entry)).xreplace(chosen).doit()
    assert sp.expand(mine - written_out) == 0


def test_raw_gradient_of_twenty_layers_is_hardly_larger_than_the_cost():
    program = model(["sigmoid"] * 20).program
    cost = compose(program)
    gradient = raw_gradient(cost, first_entry(program))
    assert len(set(distinct(gradient))) < 2 * len(set(distinct(cost)))


# --- the route ---------------------------------------------------------------------------------


def steps_of(of: Model, name: str) -> list[str]:
    found = {adjoint.of.name: adjoint for adjoint in composite_route(of.program, of.facts)}
    return [step.rule for step in found[name].derivation.steps]


def test_the_last_layer_names_its_delta():
    of = model(["sigmoid", "sigmoid"], scale="1/2")
    expected = [
        "differentiate_composite",
        "fold_definition",
        "read_derivative",
        "pull_out_factors",
        "name_delta",
        "differentiate",
        "collapse_kronecker",
    ]
    assert steps_of(of, "W2") == expected


def test_lower_layers_interchange_the_sums_first():
    of = model(["sigmoid", "sigmoid"])
    first = ["differentiate_composite", "fold_definition", "read_derivative", "name_delta"]
    below = ["differentiate", "interchange_sums", "name_delta"]
    assert steps_of(of, "W1") == [*first, *below, "differentiate", "collapse_kronecker"]
    assert steps_of(of, "z1") == ["cofactor", "derivative_in_terms_of_output"]


def test_what_lies_below_a_layer_is_a_derivative_with_a_name():
    """After the first rows no row is longer for the layers below it: they are in a derivative by its name."""
    of = model(["sigmoid", "sigmoid", "sigmoid"])
    (found,) = (a for a in composite_route(of.program) if a.of.name == "W1")
    weight = of.program.quantities["W1"][found.indices]
    for step in found.derivation.steps[3:-2]:
        named = step.after.atoms(TotalPartial)
        assert named and all(each.wrt == weight for each in named)
        assert not step.after.has(sp.KroneckerDelta)


def test_the_last_layer_comes_first():
    names = [adjoint.named.name for adjoint in composite_route(model(["g", "g"]).program)]
    assert names == ["delta2", "delta1", "dW2", "db2", "dW1", "db1"]


@pytest.mark.parametrize("activations", [["tanh", "softmax", "sigmoid"], ["softmax", "softmax"], ["relu"]])
@pytest.mark.parametrize("wrt", [(), ("x",)])
def test_equations_are_in_the_order_in_which_they_are_computed(activations, wrt):
    network = model(activations).network
    chain, composite = (derive(network, route, wrt).equations for route in ("chain", "composite"))
    assert [e.quantity.name for e in chain] == [e.quantity.name for e in composite]
    backward = {e.quantity.name for e in chain}
    known: set[str] = set()
    for equation in composite:
        assert equation.names & backward <= known, f"{equation} comes too early"
        known.add(equation.quantity.name)


def test_a_hidden_softmax_names_the_adjoint_of_its_activation():
    of = model(["softmax", "softmax"], "cross_entropy", fact=True)
    equations = named(composite_route(of.program, of.facts))
    assert str(equations["delta2"].rhs) == "a2[j] - y[j]"
    assert str(equations["adjoint_a1"].rhs) == "Sum(W2[k, j]*delta2[k], (k, 1, n_2))"
    assert str(equations["delta1"].rhs) == "(adjoint_a1[j] - Sum(a1[k]*adjoint_a1[k], (k, 1, n_1)))*a1[j]"


CHECKED = [
    (["sigmoid", "tanh", "sigmoid"], "squared_error", {}),
    (["g", "relu"], "huber", {"outputs": "mean"}),
    (["g", "softmax"], "binary_cross_entropy", {"bias": False}),
    (["softmax", "softmax"], "cross_entropy", {"fact": True}),
    (["linear", "log_softmax", "linear"], "squared_error", {"scale": "1/2"}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("activations", "cost", "more"), CHECKED, ids=lambda value: str(value))
def test_every_step_holds(activations, cost, more):
    of = model(activations, cost, **more)
    findings = check_program(of.program, composite_route(of.program, of.facts), of.facts)
    assert [str(finding.equality) for finding in findings if not finding.holds] == []


def test_a_program_that_is_not_layered_is_refused_by_name():
    program = model(["g", "g"]).program
    cost = program.equations[-1]
    x, b = program.quantities["x"], program.quantities["b1"]
    twice = Equation(cost.quantity, (), cost.rhs + sp.Sum(b[own_indices(b)], (*own_indices(b), 1, x.dims[0])))
    with pytest.raises(NoRule, match="b1 is used by 2 equations"):
        composite_route(replace(program, equations=(*program.equations[:-1], twice)))


def test_what_is_not_a_factor_is_refused_rather_than_dropped():
    quartic = Cost("quartic", Formula("a (a - y)^4", A * (A - Y) ** 4, ("a", "y")))
    softmax = model(["softmax"]).network
    with pytest.raises(NoRule, match="doesn't stand as a factor"):
        composite_route(forward_model(replace(softmax, cost=quartic)).program)


# --- both routes meet --------------------------------------------------------------------------

HIDDEN = ["sigmoid", "tanh", "relu", "g", "linear", "gelu"]
SQUARES = [("squared_error", {}), ("squared_error", {"scale": "1/2"}), ("squared_error", {"outputs": "mean"})]
OUTPUTS = [
    *((name, "squared_error", {}) for name in (*HIDDEN, "softmax", "log_softmax")),
    ("sigmoid", "binary_cross_entropy", {}),
    ("sigmoid", "cross_entropy", {}),
    ("linear", "huber", {}),
    ("tanh", "hinge", {}),
    ("relu", "absolute_error", {}),
    ("softmax", "cross_entropy", {"fact": True}),
    ("softmax", "cross_entropy", {}),
    ("softmax", "binary_cross_entropy", {}),
]


@pytest.mark.parametrize(("output", "cost", "more"), OUTPUTS, ids=str)
def test_routes_meet_for_every_output_layer(output, cost, more):
    assert_routes_meet(model(["sigmoid", output], cost, **more))


@pytest.mark.slow
@pytest.mark.parametrize(("hidden", "bias"), [("g", False), ("linear", True)])
@pytest.mark.parametrize(("output", "cost", "more"), OUTPUTS, ids=str)
def test_routes_meet_without_bias_and_for_other_hidden_layers(output, cost, more, hidden, bias):
    assert_routes_meet(model([hidden, output], cost, bias, **more))


@pytest.mark.slow
@pytest.mark.parametrize(("cost", "more"), SQUARES, ids=str)
@pytest.mark.parametrize("output", [*HIDDEN, "softmax", "log_softmax"])
def test_routes_meet_for_every_scale_of_the_cost(output, cost, more):
    assert_routes_meet(model(["relu", output], cost, **more))


@pytest.mark.parametrize("depth", [1, 3])
def test_routes_meet_at_depth(depth):
    assert_routes_meet(model(["sigmoid"] * depth))


DEPTHS = [*product(["sigmoid"], range(1, 9)), *product(HIDDEN[1:], (2, 5, 8))]


@pytest.mark.slow
@pytest.mark.parametrize(("activation", "depth"), DEPTHS)
def test_routes_meet_at_every_depth(activation, depth):
    assert_routes_meet(model([activation] * depth, outputs="mean"))


@pytest.mark.slow
def test_routes_meet_for_softmax_on_seven_layers():
    assert_routes_meet(model(["tanh"] * 7 + ["softmax"], "cross_entropy", fact=True))


@pytest.mark.parametrize("hidden", ["softmax", "log_softmax"])
def test_routes_meet_for_a_hidden_coupled_layer(hidden):
    assert_routes_meet(model(["g", hidden, "sigmoid"]))


@pytest.mark.slow
@pytest.mark.parametrize("output", ["linear", "sigmoid", "softmax", "log_softmax"])
@pytest.mark.parametrize(
    "hidden", [["softmax"], ["g", "log_softmax"], ["softmax", "g", "softmax"]], ids="-".join
)
def test_routes_meet_for_hidden_coupled_layers(hidden, output):
    for bias in (True, False):
        assert_routes_meet(model([*hidden, output], "squared_error", bias))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "hidden", ["z[j]-sum(z[i], i)", "z[j]/(1+sum(z[i]**2, i))", "z[j]*sum(tanh(z[i]), i)"]
)
def test_routes_meet_for_coupled_formulas_of_ones_own(hidden, bias):
    """Without a bias SymPy makes one sum of a sum over the units and that of each unit's z."""
    first = {"size": 2, "activation": {"formula": hidden}, "bias": bias}
    layers = [first, {"size": 3, "activation": "sigmoid"}]
    spec = {"name": "t", "input": {"size": 2}, "layers": layers, "cost": {"kind": "squared_error"}}
    assert_routes_meet(forward_model(from_mapping(spec)))


@pytest.mark.parametrize("cost", ["exp((a-y)/4)", "sin(a-y)**2", "tanh(a-y)**2"])
def test_routes_meet_for_functions_of_a_difference(cost):
    """An exponential stays in one piece, and a sine of sums without bias is differentiated."""
    layers = [
        {"size": 2, "activation": {"formula": text}, "bias": False}
        for text in ("z[j]-sum(z[i], i)", "exp(z[j])/(1+sum(exp(z[i]), i))")
    ]
    spec = {"name": "t", "input": {"size": 2}, "layers": layers, "cost": {"formula": cost}}
    assert_routes_meet(forward_model(from_mapping(spec)))
    assert_routes_meet(forward_model(from_mapping({**spec, "layers": layers[:1]})))


def test_steps_grow_no_faster_than_the_square_of_the_depth():
    """Each gradient is derived from the whole cost, so a layer more is a step more for all below it."""

    def count(depth: int) -> int:
        adjoints = composite_route(model(["sigmoid"] * depth).program)
        return sum(len(adjoint.derivation.steps) for adjoint in adjoints)

    assert count(8) <= 4 * count(4)


@pytest.mark.parametrize("cost", [{"kind": "huber", "scale": "1/3"}, {"kind": "hinge", "outputs": "mean"}])
def test_a_cost_in_cases_keeps_its_indices_in_their_sums(cost):
    layers = [{"size": 3, "activation": "tanh"}, {"size": "m", "activation": "linear"}]
    spec = {"name": "cases", "input": {"size": "n"}, "layers": layers, "cost": cost}
    derivation = derive(from_mapping(spec))
    for expr in (derivation.cost, derivation.raw_gradient("b2", 1)):
        assert {s.name for s in expr.free_symbols if s.is_integer} <= {"N", "m", "n"}
        bound = {limits[0].name for total in expr.atoms(sp.Sum) for limits in total.limits}
        assert not bound & {"m", "n"}


def test_the_symbol_for_the_depth_may_have_any_name():
    layers = [{"size": "n_l", "activation": "tanh"}, {"size": "n_M", "activation": "linear"}]
    spec = {"name": "deep", "depth": "M", "input": {"size": "n_0"}, "layers": layers}
    module = derive(from_mapping(spec | {"cost": {"kind": "squared_error"}})).compile()
    assert module._self_check() < 1e-6


def test_a_part_that_is_kept_stays_a_name_in_the_composite():
    program = forward_model(from_widths("2-3-2")).program
    whole, kept = compose(program), compose(program, kept=("z1",))
    assert "z1" not in str(whole) and "z1[" in str(kept) and "W1" not in str(kept)
    below = compose(program, "z1")
    assert "W1" in str(below) and "a1" not in str(below)


@pytest.mark.slow
def test_a_cost_too_long_for_a_line_is_written_out_in_parts_that_are_checked():
    derivation = derive(load(str(EXAMPLES / "mlp-784-128-64-10.toml")))
    document = derivation.document(forms=("index",))
    labels = [c.label for s in document.sections for b in s.blocks for c in getattr(b, "chains", ())]
    assert [label for label in labels if label.startswith("composite")] == ["composite", "composite-z-1"]
    found = {f.label: f for f in document.certificate.findings}
    assert found["composite"].checked and found["composite"].holds and found["composite-z-1"].holds
