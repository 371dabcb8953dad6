"""The checker lets what was derived pass, and nothing that is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import pytest
import sympy as sp

from symbackprop.chain import Adjoint, reverse
from symbackprop.check import (
    Equality,
    Finding,
    Laboratory,
    certificate,
    check_derivation,
    check_equality,
    check_model,
    check_program,
    equation_equality,
    instantiate,
    picked_entries,
    step_equalities,
)
from symbackprop.equations import Derivation, ExplicitPartial, Partial, Quantity, Role, Step
from symbackprop.evaluate import Digits, Instance, small_sizes
from symbackprop.forward import Model, forward_model
from symbackprop.functions import ScalarFunction, scalar_function
from symbackprop.indices import index_symbol
from symbackprop.spec import from_mapping

FACT = {"targets_sum_to_one": True}


@lru_cache(maxsize=None)
def model_of(activations: tuple[str, ...], cost: str, fact: bool = False, depth: str | None = None) -> Model:
    layers = [
        {"size": 3, "activation": {"symbol": name} if name == "g" else name} for name in activations
    ]
    spec: dict[str, Any] = {"name": "t", "input": {"size": 2}, "layers": layers, "cost": {"kind": cost}}
    if fact:
        spec["facts"] = FACT
    if depth:
        spec["depth"] = depth
    return forward_model(from_mapping(spec, "t"))


@lru_cache(maxsize=None)
def derived(activations: tuple[str, ...], cost: str, fact: bool = False) -> tuple[Adjoint, ...]:
    model = model_of(activations, cost, fact)
    return reverse(model.program, model.facts)


def failures(findings: Sequence[Finding]) -> list[str]:
    return [f"{f.label}: {f.equality} ({f.residual}, {f.reason})" for f in findings if not f.holds]


# --- what was derived passes -------------------------------------------------------------------

HIDDEN = ("sigmoid", "tanh", "relu", "softmax", "log_softmax", "gelu", "g")
ENDS = (
    ("sigmoid", "squared_error", False),
    ("relu", "squared_error", False),
    ("log_softmax", "squared_error", False),
    ("softmax", "cross_entropy", False),
    ("softmax", "cross_entropy", True),
    ("sigmoid", "binary_cross_entropy", False),
    ("tanh", "absolute_error", False),
    ("g", "squared_error", False),
)


@pytest.mark.parametrize("hidden", HIDDEN)
def test_every_step_of_the_chain_route_holds(hidden: str) -> None:
    for output, cost, fact in ENDS:
        net = (hidden, output), cost, fact
        model = model_of(*net)
        findings = check_program(model.program, derived(*net), model.facts)
        assert len(findings) > 25
        assert not failures(findings)
        assert all(finding.telling for finding in findings), net


def test_rational_networks_are_checked_exactly_and_others_with_digits() -> None:
    for activations, method in ((("relu", "relu"), "exact rational"), (("g", "g", "g"), "exact rational"), (("tanh", "relu"), "50-digit")):
        findings = check_program(model_of(activations, "squared_error").program, derived(activations, "squared_error"))
        assert {finding.method for finding in findings} == {f"{method} arithmetic"}
        assert all(len(finding.sizes) >= 2 and finding.sizes[0] != finding.sizes[1] for finding in findings)
        if method == "exact rational":
            assert {finding.residual for finding in findings} == {"0"}


# --- corruptions -------------------------------------------------------------------------------

Corrupt = Callable[[sp.Expr, Model], Iterator[sp.Expr]]


def entries(expr: sp.Expr, role: Role | None = None, rank: int | None = None, model: Model | None = None) -> list[Any]:
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
    for claim in claims(net):
        for wrong in corrupt(claim.right, model):
            if wrong != claim.right and wrong != claim.left:
                yield replace(claim, right=wrong)
