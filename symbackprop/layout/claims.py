"""Checks what a document claims: every equality in the program that it is about.

An equality of one example is checked in the forward program of one example, one of a batch in the
program of a batch, and one about any layer l in networks with a number of layers, for each l.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import sympy as sp

from symbackprop.algebra.equations import Equation, Program, Quantity, Role
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.checking.check import (
    MANY_LAYERS,
    Equality,
    Finding,
    KnownKinds,
    Laboratory,
    instantiate,
    joined_finding,
    layer_values,
)
from symbackprop.forward.model import EXAMPLES, Model
from symbackprop.layout.outline_programs import laboratories

if TYPE_CHECKING:
    from symbackprop.pipeline import NetworkDerivation

GENERAL = "general "
"""What the kind of an equality starts with that is about any number of layers."""

FEWEST_LAYERS = 3
"""So many layers have hidden layers with and without another hidden layer after them."""


class Check(Protocol):
    """Something that checks equalities of a kind."""

    def check(self, equality: Equality) -> Finding:
        """What was found for one equality."""


@dataclass(frozen=True)
class Checker:
    """Checks equalities about one derivation.

    ``own`` has laboratories for kinds of equalities that one form alone makes.
    """

    derivation: NetworkDerivation
    own: Mapping[str, Check] = field(default_factory=dict)

    def check(self, equality: Equality) -> Finding:
        """Check an equality in the program that it is about, once for all documents of a derivation."""
        if equality.kind in self.own:
            return self.own[equality.kind].check(equality)
        known = self.derivation.findings
        if equality not in known:
            known[equality] = self.checked(equality)
        return known[equality]

    def checked(self, equality: Equality) -> Finding:
        """What comes out of a check."""
        kind, known = equality.kind, self.derivation.laboratories
        if kind.startswith(GENERAL):
            inner = replace(equality, kind=kind.removeprefix(GENERAL))
            return replace(known.any_depth.check(inner), equality=equality)
        if self.derivation.model.symbolic_depth and not kind.startswith("function"):
            return self.at_numbers(equality)
        return (known.usual.get(kind) or known.others[kind]).check(equality)

    def at_numbers(self, equality: Equality) -> Finding:
        """Check an equality about any layer in a network of a few layers, for each hidden one."""
        found = dict.fromkeys(_instantiated(equality, layers) for layers in layer_values(FEWEST_LAYERS))
        few = self.derivation.laboratories.at_few_layers
        return joined_finding(equality, [few.check(one) for one in found])


@dataclass(frozen=True)
class Laboratories:
    """Where the equalities about one derivation are checked, for all its documents."""

    derivation: NetworkDerivation

    @cached_property
    def at_few_layers(self) -> Checker:
        """The same network with a number of layers."""
        return Checker(self.derivation.at_depth(FEWEST_LAYERS))

    @cached_property
    def any_depth(self) -> Checker:
        """The same kinds of layers with a symbol for their number."""
        return Checker(self.derivation.any_depth)

    @cached_property
    def others(self) -> _Others:
        """Laboratories of the kinds of equalities that only some texts have."""
        derived = self.derivation
        return _Others(laboratories(derived.model, derived.named, derived.batch.forward, derived.batch.named))

    @cached_property
    def usual(self) -> dict[str, KnownKinds]:
        """A laboratory for every kind of equality: one example, a batch, actual sizes, a function."""
        derived, model = self.derivation, self.derivation.model
        named = derived.named
        found = {
            "example": Laboratory(model.program, model.facts, named),
            "batch": Laboratory(derived.batch.forward, model.facts, derived.batch.named, few=(EXAMPLES,)),
            "components": Laboratory(model.program, model.facts, named, sizes=_counts(model)),
        }
        for function in scalar_functions(model):
            found[f"function {function.letter}"] = Laboratory(_function_program(function))
        by_kind = len(model.network.layers) > MANY_LAYERS
        return {kind: KnownKinds(laboratory, by_kind) for kind, laboratory in found.items()}


class _Others(dict[str, Laboratory]):
    """Laboratories that are made when they are asked for, and kept."""

    def __init__(self, made: Mapping[str, Callable[[], Laboratory]]) -> None:
        super().__init__()
        self.made = made

    def __missing__(self, kind: str) -> Laboratory:
        self[kind] = self.made[kind]()
        return self[kind]


def scalar_functions(model: Model) -> list[ScalarFunction]:
    """The activations of a model that are functions of one number, by their letters."""
    found = {f.func: None for e in model.program for f in e.rhs.atoms(ScalarFunction)}
    return sorted(found, key=lambda function: function.letter)


def _function_program(function: ScalarFunction) -> Program:
    """a = f(z) for one number, so that an equality in z and a can be evaluated."""
    z = Quantity("z", "z", Role.INPUT, None, ())
    a = Quantity("a", "a", Role.ACTIVATION, None, ())
    return Program((z,), (), (Equation(a, (), function(z.symbol)),), (a,))


def _counts(model: Model) -> Mapping[sp.Symbol, int]:
    """The sizes of the network itself, where they are numbers."""
    return {symbol: int(size) for symbol, size in model.sizes if size.is_Integer}


def _instantiated(equality: Equality, layers: Mapping[sp.Symbol, int]) -> Equality:
    """An equality about layers l and L as one about numbered layers."""

    def at(expr: sp.Expr) -> sp.Expr:
        return instantiate(expr, layers)

    free = tuple((index, at(size)) for index, size in equality.free)
    return replace(equality, left=at(equality.left), right=at(equality.right), free=free)
