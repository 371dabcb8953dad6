"""The checker lets what was derived pass, and nothing that is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import sympy as sp
from every_layer import at_every_layer

from symbackprop.algebra.equations import Derivation, ExplicitPartial, Partial, Quantity, Role, Step
from symbackprop.algebra.functions import ScalarFunction, scalar_function
from symbackprop.algebra.indices import index_symbol
from symbackprop.checking.arithmetic import Digits
from symbackprop.checking.certificate import certificate
from symbackprop.checking.check import (
    Equality,
    Finding,
    Laboratory,
    check_derivation,
    check_equality,
    check_program,
    equation_equality,
    instantiate,
    picked_entries,
    step_equalities,
)
from symbackprop.checking.evaluate import Instance
from symbackprop.checking.sizes import small_sizes
from symbackprop.derivation.chain import Adjoint, reverse
from symbackprop.forward.model import Model, forward_model
from symbackprop.network import argument
from symbackprop.spec.loading import from_mapping

FACT = {"targets_sum_to_one": True}


@cache
def model_of(activations: tuple[str, ...], cost: str, fact: bool = False, depth: str | None = None) -> Model:
    layers = [{"size": 3, "activation": _activation(name)} for name in activations]
    spec: dict[str, Any] = {"name": "t", "input": {"size": 2}, "layers": layers, "cost": {"kind": cost}}
    if fact:
        spec["facts"] = FACT
    if depth:
        spec["depth"] = depth
    return forward_model(from_mapping(spec, "t"))


def _activation(name: str) -> Any:
    """The activation of a spec: an open one, a formula, or a name."""
    if name == "g":
        return {"symbol": name}
    return {"formula": name} if "z" in name else name


@cache
def derived(activations: tuple[str, ...], cost: str, fact: bool = False) -> tuple[Adjoint, ...]:
    model = model_of(activations, cost, fact)
    return reverse(model.program, model.facts)


def failures(findings: Sequence[Finding]) -> list[str]:
    return [f"{f.label}: {f.equality} ({f.residual}, {f.reason})" for f in findings if not f.holds]


# --- what was derived passes -------------------------------------------------------------------

HIDDEN = ("sigmoid", "tanh", "relu", "softmax", "log_softmax", "gelu", "g")
ENDS = (
    ("relu", "squared_error", False),
    ("log_softmax", "squared_error", False),
    ("softmax", "cross_entropy", False),
    ("softmax", "cross_entropy", True),
    ("sigmoid", "binary_cross_entropy", False),
    ("tanh", "absolute_error", False),
    ("g", "squared_error", False),
)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(len(HIDDEN)), ids=HIDDEN)
def test_every_step_of_the_chain_route_holds(start: int) -> None:
    """Each hidden activation with two of the ends, so that each end has two of the activations."""
    for output, cost, fact in (ENDS * 2)[start : start + 2]:
        net = (HIDDEN[start], output), cost, fact
        model = model_of(*net)
        findings = check_program(model.program, derived(*net), model.facts)
        assert len(findings) > 25
        assert not failures(findings)
        assert all(finding.telling for finding in findings), net


def test_rational_networks_are_checked_exactly_and_others_with_digits() -> None:
    for activations, method in (
        (("relu", "relu"), "exact rational"),
        (("g", "g"), "exact rational"),
        (("tanh", "relu"), "50-digit"),
    ):
        findings = check_program(
            model_of(activations, "squared_error").program, derived(activations, "squared_error")
        )
        assert {finding.method for finding in findings} == {f"{method} arithmetic"}
        assert all(len(finding.sizes) >= 2 and finding.sizes[0] != finding.sizes[1] for finding in findings)
        if method == "exact rational":
            assert {finding.residual for finding in findings} == {"0"}


# --- corruptions -------------------------------------------------------------------------------

Corrupt = Callable[[sp.Expr, Model], Iterator[sp.Expr]]


def entries(
    expr: sp.Expr, role: Role | None = None, rank: int | None = None, model: Model | None = None
) -> list[Any]:
    """The entries in an expression, outside of partial derivatives."""
    partials = expr.atoms(Partial)
    bare = expr.xreplace({partial: sp.Dummy() for partial in partials})
    found = sorted(bare.atoms(sp.Indexed), key=sp.default_sort_key)
    if role is not None and model is not None:
        known = model.program.quantities
        found = [e for e in found if str(e.base) in known and known[str(e.base)].role is role]
    return [e for e in found if rank is None or e.rank == rank]


def renamed(entry: Any, name: str) -> sp.Expr:
    return sp.Indexed(sp.IndexedBase(name, real=True), *entry.indices)


def wrong_index(expr: sp.Expr, model: Model) -> Iterator[sp.Expr]:
    if expr.has(sp.KroneckerDelta) or any(isinstance(p.of, sp.Indexed) for p in expr.atoms(Partial)):
        return  # [j = k] x_j = [j = k] x_k is no mistake
    indices = sorted({i for e in expr.atoms(sp.Indexed) for i in e.indices}, key=str)
    for entry in entries(expr, rank=1):
        for other in indices:
            if other != entry.indices[0]:
                yield expr.xreplace({entry: sp.Indexed(entry.base, other)})


def shifted_index(expr: sp.Expr, model: Model) -> Iterator[sp.Expr]:
    for entry in entries(expr):
        yield expr.xreplace({entry: sp.Indexed(entry.base, *entry.indices[:-1], entry.indices[-1] + 1)})


def transposed_weight(expr: sp.Expr, model: Model) -> Iterator[sp.Expr]:
    for entry in entries(expr, rank=2):
        yield expr.xreplace({entry: sp.Indexed(entry.base, *reversed(entry.indices))})


def wrong_sign(expr: sp.Expr, model: Model) -> Iterator[sp.Expr]:
    yield -expr
    if isinstance(expr, sp.Add):
        yield expr - 2 * expr.args[0]


def missing_factor(expr: sp.Expr, model: Model) -> Iterator[sp.Expr]:
    for node in products(expr):
        for factor in node.args:
            yield expr.xreplace({node: node / factor})


def doubled_factor(expr: sp.Expr, model: Model) -> Iterator[sp.Expr]:
    for entry in entries(expr):
        for node in products(expr):
            if entry in node.args:
                yield expr.xreplace({node: node * entry})


def wrong_number(expr: sp.Expr, model: Model) -> Iterator[sp.Expr]:
    yield 2 * expr


def missing_slope(expr: sp.Expr, model: Model) -> Iterator[sp.Expr]:
    for slope in slopes(expr):
        yield expr.xreplace({slope: sp.S.One})
    for entry in entries(expr, Role.ACTIVATION, 1, model):
        if expr.has(1 - entry):
            yield expr.xreplace({1 - entry: sp.S.One})


def undifferentiated(expr: sp.Expr, model: Model) -> Iterator[sp.Expr]:
    for slope in slopes(expr):
        kind = type(slope)
        yield expr.xreplace({slope: scalar_function(kind.letter, kind.formula)(slope.args[0])})


def slope_of_wrong_argument(expr: sp.Expr, model: Model) -> Iterator[sp.Expr]:
    for slope in slopes(expr):
        kind, argument = type(slope), slope.args[0]
        yield expr.xreplace({slope: kind(renamed(argument, str(argument.base).replace("z", "b")))})


def wrong_bound(expr: sp.Expr, model: Model) -> Iterator[sp.Expr]:
    sizes = sorted({d for q in model.program.parameters for d in q.dims}, key=str)
    for total in sums(expr):
        bound, low, high = total.limits[0]
        for size in (*sizes, high - 1, high + 1):
            if size != high:
                yield expr.xreplace({total: sp.Sum(total.function, (bound, low, size))})
        yield expr.xreplace({total: sp.Sum(total.function, (bound, 2, high))})


def missing_sum(expr: sp.Expr, model: Model) -> Iterator[sp.Expr]:
    for total in sums(expr):
        yield expr.xreplace({total: total.function.xreplace({total.limits[0][0]: sp.S.One})})


def wrong_layer(expr: sp.Expr, model: Model) -> Iterator[sp.Expr]:
    for entry in entries(expr):
        name = str(entry.base)
        if name[-1:] in "12" and not name.startswith("delta"):
            yield expr.xreplace({entry: renamed(entry, name[:-1] + ("2" if name[-1] == "1" else "1"))})


def delta_of_wrong_layer(expr: sp.Expr, model: Model) -> Iterator[sp.Expr]:
    for entry in entries(expr):
        if str(entry.base).startswith("delta"):
            layer = int(str(entry.base)[5:])
            for other in (layer - 1, layer + 1):
                yield expr.xreplace({entry: renamed(entry, f"delta{other}")})


def dropped_term(expr: sp.Expr, model: Model) -> Iterator[sp.Expr]:
    for total in sorted(expr.atoms(sp.Add), key=sp.default_sort_key):
        for term in total.args:
            yield expr.xreplace({total: total - term})


def swapped_difference(expr: sp.Expr, model: Model) -> Iterator[sp.Expr]:
    for total in sorted(expr.atoms(sp.Add), key=sp.default_sort_key):
        if len(total.args) == 2 and any(term.could_extract_minus_sign() for term in total.args):
            yield expr.xreplace({total: -total})


def activation_for_pre_activation(expr: sp.Expr, model: Model) -> Iterator[sp.Expr]:
    for entry in entries(expr, Role.ACTIVATION, 1, model):
        yield expr.xreplace({entry: renamed(entry, str(entry.base).replace("a", "z"))})
    for entry in entries(expr, Role.PRE_ACTIVATION, 1, model):
        if not expr.has(entry > 0):  # [relu(z) > 0] = [z > 0] is no mistake
            yield expr.xreplace({entry: renamed(entry, str(entry.base).replace("z", "a"))})


def missing_kronecker(expr: sp.Expr, model: Model) -> Iterator[sp.Expr]:
    for delta in sorted(expr.atoms(sp.KroneckerDelta), key=sp.default_sort_key):
        yield expr.xreplace({delta: sp.S.One})


def wrong_partial(expr: sp.Expr, model: Model) -> Iterator[sp.Expr]:
    for partial in sorted(expr.atoms(Partial) - expr.atoms(ExplicitPartial), key=sp.default_sort_key):
        if partial.of == model.cost.symbol:
            yield expr.xreplace({partial: partial.wrt})
        elif partial.of.base != partial.wrt.base:
            yield expr.xreplace({partial: partial * partial.wrt})


CORRUPTIONS: tuple[Corrupt, ...] = (
    wrong_index,
    shifted_index,
    transposed_weight,
    wrong_sign,
    missing_factor,
    doubled_factor,
    wrong_number,
    missing_slope,
    undifferentiated,
    slope_of_wrong_argument,
    wrong_bound,
    missing_sum,
    wrong_layer,
    delta_of_wrong_layer,
    dropped_term,
    swapped_difference,
    activation_for_pre_activation,
    missing_kronecker,
    wrong_partial,
)


def products(expr: sp.Expr) -> list[Any]:
    return sorted(expr.atoms(sp.Mul), key=sp.default_sort_key)


def sums(expr: sp.Expr) -> list[Any]:
    return sorted(expr.atoms(sp.Sum), key=sp.default_sort_key)


def slopes(expr: sp.Expr) -> list[Any]:
    found = [node for node in expr.atoms(ScalarFunction) if node.order == 1]
    return sorted(found, key=sp.default_sort_key)


NETS = (
    (("sigmoid", "sigmoid"), "squared_error", False),
    (("tanh", "tanh"), "squared_error", False),
    (("relu", "sigmoid"), "binary_cross_entropy", False),
    (("g", "g"), "squared_error", False),
    (("gelu", "gelu"), "squared_error", False),
    (("softmax", "softmax"), "cross_entropy", True),
    (("tanh", "log_softmax"), "squared_error", False),
    (("sigmoid", "tanh"), "absolute_error", False),
)


GROWING = (
    (("exp(2*z)", "exp(2*z)", "tanh"), "squared_error", False),
    (("exp(2*z)", "exp(2*z)", "exp(2*z)"), "squared_error", False),
    (("z**3", "z**3", "z**3"), "squared_error", False),
    (("100*z**5", "100*z**5", "sigmoid"), "squared_error", False),
    (("exp(2*z)", "z**3", "softmax"), "cross_entropy", False),
)
"""Networks whose values grow so fast that 120 digits drown in them."""


def claims(net: tuple[tuple[str, ...], str, bool]) -> Iterator[Equality]:
    """Every equality that a derivation claims: its steps, and the equations that it ends in."""
    model = model_of(*net)
    for adjoint in derived(*net):
        assert adjoint.derivation is not None
        yield from step_equalities(adjoint.derivation, model.program, str(adjoint.of.name))
        if adjoint.named is not None:
            yield equation_equality(adjoint)


def laboratory(net: tuple[tuple[str, ...], str, bool]) -> Laboratory:
    model = model_of(*net)
    named = tuple(a.named for a in derived(*net) if a.named is not None)
    return Laboratory(model.program, model.facts, named)


def corrupted(net: tuple[tuple[str, ...], str, bool], corrupt: Corrupt) -> Iterator[Equality]:
    model = model_of(*net)
    everything = list(claims(net))
    thinned = everything if net in (NETS[0], NETS[5]) else everything[::3]
    for claim in thinned:
        for wrong in corrupt(claim.right, model):
            if wrong != claim.right and wrong != claim.left:
                yield replace(claim, right=wrong)


@pytest.mark.parametrize("net", NETS, ids=str)
def test_every_corruption_is_caught(net: tuple[tuple[str, ...], str, bool]) -> None:
    laboratory_ = laboratory(net)
    caught = {}
    for corrupt in CORRUPTIONS:
        wrong = list(corrupted(net, corrupt))
        missed = [str(equality) for equality in wrong if laboratory_.check(equality).holds]
        assert not missed, corrupt.__name__
        caught[corrupt.__name__] = len(wrong)
    print(f"{net}: {sum(caught.values())} corruptions caught: {caught}")
    assert sum(number > 0 for number in caught.values()) >= 12
    assert sum(caught.values()) > 100


@pytest.mark.parametrize("net", GROWING, ids=str)
def test_values_that_grow_fast_are_no_failure_and_hide_none(net: tuple[tuple[str, ...], str, bool]) -> None:
    laboratory_ = laboratory(net)
    findings = [laboratory_.check(claim) for claim in claims(net)]
    assert not failures(findings) and all(finding.telling for finding in findings)
    caught = 0
    for corrupt in CORRUPTIONS:
        wrong = list(corrupted(net, corrupt))[::5]
        assert not [str(equality) for equality in wrong if laboratory_.check(equality).holds], (
            corrupt.__name__
        )
        caught += len(wrong)
    assert caught > 30


def test_digits_that_are_too_few_are_found_out() -> None:
    """A difference by rounding is gone with more digits, and one by a mistake is not."""
    program = model_of(("sigmoid",), "squared_error").program
    c, huge = program.outputs[0].symbol, sp.Integer(10) ** 90
    instance = Instance(program, small_sizes(program), Digits(), 0)
    for off, holds in ((0, True), (10**52, False)):
        equality = Equality("e", (c + huge) ** 2 - huge**2, c**2 + 2 * huge * c + off, ())
        assert not check_equality(equality, instance).holds
        assert Laboratory(program).check(equality).holds is holds


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_corruptions_are_caught_whatever_the_seed(seed: int) -> None:
    net = NETS[2]
    other = replace(laboratory(net), seed=1000 * seed, _drawn={})
    for corrupt in (transposed_weight, missing_slope, wrong_bound, activation_for_pre_activation):
        assert not [str(e) for e in corrupted(net, corrupt) if other.check(e).holds]


def fact_steps() -> list[Equality]:
    return [claim for claim in claims(NETS[5]) if claim.facts]


def test_a_step_under_a_fact_holds_where_the_fact_does_and_fails_uncited() -> None:
    lab = laboratory(NETS[5])
    assert fact_steps()
    for claim in fact_steps():
        assert lab.check(claim).holds
        assert not lab.check(replace(claim, facts=())).holds


def test_a_wrong_fact_is_caught() -> None:
    lab = laboratory(NETS[5])
    (step,) = (claim for claim in fact_steps() if claim.kind == "step")
    (total,) = step.left.atoms(sp.Sum)
    for wrong in (sp.Integer(2), sp.S.Zero, sp.Symbol("n_2", integer=True, positive=True)):
        assert not lab.check(replace(step, right=step.left.xreplace({total: wrong}))).holds


def test_a_derivative_that_is_named_after_the_wrong_quantity_is_caught() -> None:
    net = NETS[0]
    model, adjoints = model_of(*net), derived(*net)
    z1 = model.program.quantities["z1"]
    wrong = [
        replace(a, named=replace(a.named, of=z1, dims=z1.dims)) if a.named and a.named.name == "delta2" else a
        for a in adjoints
    ]
    assert failures(check_program(model.program, wrong))


def test_steps_that_do_not_join_up_are_caught() -> None:
    net = NETS[0]
    derivation = next(a.derivation for a in derived(*net) if a.of.name == "z2")
    assert derivation is not None
    shorter = Derivation(derivation.goal, derivation.steps[:1] + derivation.steps[2:])
    findings = check_derivation(shorter, laboratory(net), "delta2")
    assert [f.reason for f in findings if not f.holds] == ["the steps do not join up"]
    assert all(f.holds for f in check_derivation(derivation, laboratory(net), "delta2"))


def test_a_corrupted_step_fails_alone() -> None:
    net = NETS[0]
    derivation = next(a.derivation for a in derived(*net) if a.of.name == "z1")
    assert derivation is not None
    number = len(derivation.steps) - 1
    last = derivation.steps[number]
    wrong = Derivation(derivation.goal, (*derivation.steps[:-1], Step(last.rule, last.before, -last.after)))
    findings = check_derivation(wrong, laboratory(net), "delta1")
    assert [finding.holds for finding in findings] == [True] * number + [False]


# --- definitions -------------------------------------------------------------------------------


def definitions() -> list[Equality]:
    """An equation of the network, a delta by what it is named after, and an activation's formula."""
    net = NETS[0]
    program, adjoints = model_of(*net).program, derived(*net)
    j, z1 = index_symbol("j"), program.quantities["z1"]
    (delta,) = (a.named for a in adjoints if a.named is not None and a.named.name == "delta1")
    found = [Equality("z-1", z1[j], program.definitions["z1"].at((j,)), ((j, z1.dims[0]),))]
    found.append(Equality("delta-1", delta[j], Partial(program.outputs[0].symbol, z1[j]), ((j, z1.dims[0]),)))
    sigma = program.definitions["a1"].at((j,))
    found.append(Equality("f", sigma, sigma.formula.xreplace({argument("z"): z1[j]}), ((j, z1.dims[0]),)))
    return [replace(equality, definition=True) for equality in found]


@pytest.mark.parametrize("equality", definitions(), ids=lambda equality: equality.label)
def test_a_definition_is_no_check_and_a_wrong_one_fails(equality: Equality) -> None:
    lab = laboratory(NETS[0])
    finding = lab.check(equality)
    assert (finding.method, finding.holds, finding.residual, finding.checked) == (
        "definition",
        True,
        None,
        False,
    )
    wrong = lab.check(replace(equality, right=equality.right * 2))
    assert wrong.checked and not wrong.holds
    other = lab.check(replace(equality, definition=False))
    assert other.checked and other.holds, "the same equality, where it is a step, is evaluated"


def test_definitions_are_counted_apart_and_are_not_enough() -> None:
    lab = laboratory(NETS[0])
    named = [lab.check(equality) for equality in definitions()]
    data = certificate(named)
    assert (data["checked"], data["definitions"], data["failed"], data["holds"]) == (0, 3, 0, False)
    data = certificate([*named, lab.check(next(claims(NETS[0])))])
    assert (data["checked"], data["definitions"], data["holds"]) == (1, 3, True)
    assert "definition" not in data["methods"]


# --- what cannot be evaluated ------------------------------------------------------------------


def test_what_has_no_value_or_no_rule_fails_with_the_reason() -> None:
    lab = laboratory(NETS[0])
    z, j = lab.program.quantities["z1"], index_symbol("j")
    free = ((j, z.dims[0]),)
    for wrong, reason in (
        (z[j + 1], "no entry of z1"),
        (z[j - 1], "no entry of z1"),
        (sp.IndexedBase("delta9", real=True)[j], "delta9 is no quantity"),
        (sp.gamma(z[j]), "gamma"),
        (z[index_symbol("q")], "the index q has no value"),
    ):
        finding = lab.check(Equality("e", z[j], wrong, free))
        assert not finding.holds and finding.residual is None
        assert reason in finding.reason


def test_a_difference_in_the_forty_first_digit_is_let_pass_and_one_in_the_thirty_ninth_is_not() -> None:
    program = model_of(("sigmoid", "sigmoid"), "squared_error").program
    instance = Instance(program, small_sizes(program), Digits(), 0)
    c = program.outputs[0].symbol
    for digits, holds in ((41, True), (39, False)):
        off = c + sp.Rational(1, 10**digits)
        finding = check_equality(Equality("e", c, off, ()), instance)
        assert finding.holds is holds
        assert finding.residual == f"1.0e-{digits}"


def test_picked_entries_include_the_corners_and_entries_off_the_diagonal() -> None:
    picked = picked_entries([4, 5], seed=3)
    assert {(1, 1), (4, 5)} < set(picked) and any(i != j for i, j in picked)
    assert len(set(picked)) == 6
    assert picked_entries([], seed=0) == [()]
    assert len(set(picked_entries([3, 4, 5], seed=1))) == 6


# --- many layers -------------------------------------------------------------------------------


@pytest.mark.slow
def test_twenty_layers_are_checked_by_kind_and_a_wrong_one_is_still_caught() -> None:
    activations = ("sigmoid",) * 20
    model, adjoints = model_of(activations, "squared_error"), derived(activations, "squared_error")
    findings = check_program(model.program, adjoints)
    assert len(findings) > 300 and not failures(findings)
    evaluated = [finding for finding in findings if finding.same_as is None]
    assert len(evaluated) < 80
    entries_ = certificate(findings)["equalities"]
    assert sum("as" in entry for entry in entries_) == len(findings) - len(evaluated)
    assert not failures(check_program(model.program, alone(adjoints, "z9")))
    for corrupt in (wrong_sign, transposed_weight, wrong_layer, delta_of_wrong_layer, missing_factor):
        for wrong in list(with_last_step_corrupted(adjoints, "z9", corrupt, model))[:3]:
            assert failures(check_program(model.program, wrong)), corrupt.__name__


def alone(adjoints: Sequence[Adjoint], name: str) -> list[Adjoint]:
    """The derivatives, with the derivation of one of them only: what there is to check."""
    return [a if a.of.name == name else replace(a, derivation=None) for a in adjoints]


def with_last_step_corrupted(
    adjoints: Sequence[Adjoint], name: str, corrupt: Corrupt, model: Model
) -> Iterator[list[Adjoint]]:
    (derivation,) = (a.derivation for a in adjoints if a.of.name == name)
    assert derivation is not None
    last = derivation.steps[-1]
    for after in corrupt(last.after, model):
        assert after != last.after
        wrong = Derivation(derivation.goal, (*derivation.steps[:-1], Step(last.rule, last.before, after)))
        yield [a if a.derivation is None else replace(a, derivation=wrong) for a in alone(adjoints, name)]


def symbolic(hidden: str, output: str, cost: str) -> tuple[Model, tuple[Adjoint, ...]]:
    model = model_of((hidden, output), cost, depth="L")
    z = model.program.quantities["z[l+1]"]
    delta = Quantity("delta[l+1]", "delta", Role.DELTA, z.layer, z.dims, z, model.cost)
    return model, reverse(model.program, model.facts, given={z.name: delta})


@pytest.mark.parametrize(
    "net",
    [
        ("sigmoid", "sigmoid", "squared_error"),
        ("softmax", "softmax", "cross_entropy"),
        ("g", "relu", "squared_error"),
    ],
)
def test_a_symbol_for_the_depth_is_checked_layer_by_layer(net: tuple[str, str, str]) -> None:
    model, adjoints = symbolic(*net)
    findings = at_every_layer(model, adjoints)
    assert not failures(findings)
    places = {finding.label: len(finding.sizes) for finding in findings}
    assert places["z[l], step 1: chain_rule"] == 2 * places["z[L], step 1: chain_rule"]


@pytest.mark.parametrize("corrupt", [wrong_sign, transposed_weight, wrong_bound])
def test_corruptions_for_any_layer_are_caught(corrupt: Corrupt) -> None:
    model, adjoints = symbolic("tanh", "sigmoid", "squared_error")
    assert not failures(at_every_layer(model, alone(adjoints, "z[l]")))
    for wrong in list(with_last_step_corrupted(adjoints, "z[l]", corrupt, model))[:3]:
        assert failures(at_every_layer(model, wrong))


def test_instantiate_puts_numbers_in_for_layers() -> None:
    model, _ = symbolic("tanh", "sigmoid", "squared_error")
    concrete = model_of(("tanh",) * 3 + ("sigmoid",), "squared_error")
    l, L = index_symbol("l"), index_symbol("L")
    z = model.program.definitions["z[l]"]
    assert instantiate(z.rhs, {l: 2, L: 4}) == concrete.program.definitions["z2"].rhs
    assert instantiate(z.rhs, {l: 1, L: 4}) == concrete.program.definitions["z1"].rhs
    last = model.program.definitions["z[L]"]
    assert instantiate(last.rhs, {l: 1, L: 4}) == concrete.program.definitions["z4"].rhs


# --- the certificate ---------------------------------------------------------------------------


def test_a_certificate_is_json_and_holds_only_if_everything_does() -> None:
    net = NETS[0]
    findings = check_program(model_of(*net).program, derived(*net))
    document = certificate(findings, generator="symbackprop", version="1", network="two-two-two")
    assert json.loads(json.dumps(document)) == document
    assert document["holds"] and document["checked"] == len(findings) and document["failed"] == 0
    entry = document["equalities"][0]
    assert entry["method"] == "50-digit arithmetic" and entry["holds"]
    assert {frozenset(sizes) for sizes in entry["sizes"]} == {frozenset({"n_0", "n_1", "n_2"})}
    assert float(entry["residual"]) < 1e-40
    broken = certificate([*findings, replace(findings[0], holds=False, residual="1.0e+00")])
    assert not broken["holds"] and broken["failed"] == 1


DEAD = (("relu", "relu", "sigmoid"), ("relu", "selu"), ("relu", "leaky_relu", "tanh"))


@pytest.mark.parametrize("activations", DEAD)
def test_units_that_are_all_switched_off_make_no_false_alarm(activations):
    """Without biases everything after them is exactly 0, where a kink has two slopes."""
    layers = [{"size": 3, "activation": name, "bias": False} for name in activations]
    spec = {"name": "t", "input": {"size": 2}, "layers": layers, "cost": {"kind": "squared_error"}}
    m = forward_model(from_mapping(spec))
    findings = check_program(m.program, reverse(m.program))
    assert all(finding.holds for finding in findings), [f.label for f in findings if not f.holds]


def test_numbers_are_drawn_smaller_where_an_output_is_1_by_rounding() -> None:
    """1 - exp(-exp(z)) is 1 to any number of digits where z is 8, and the cost has 1 - a below the line."""
    layers = [{"size": 2, "activation": {"formula": text}} for text in ("4*z", "1-exp(-exp(z))")]
    spec = {"name": "t", "input": {"size": 2}, "layers": layers, "cost": {"formula": "(log(a/(1-a))-y)**2"}}
    model = forward_model(from_mapping(spec, "t"))
    findings = check_program(model.program, reverse(model.program))
    assert findings and all(finding.holds for finding in findings)
