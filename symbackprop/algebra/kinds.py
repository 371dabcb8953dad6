"""Derive once for each kind: derivations that differ in names only are renamed, not repeated."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import sympy as sp
from sympy.core.parameters import distribute

from symbackprop.algebra.equations import Derivation, Step
from symbackprop.algebra.indices import replaced

Signature = Hashable


@dataclass(frozen=True)
class Kind:
    """Which kind a derivation is of, and the names that it has in the order of that kind."""

    number: int
    names: tuple[sp.Basic, ...]


class Renamed(Derivation):
    """A known derivation for other quantities and sizes; written out only if somebody reads it."""

    def __init__(self, like: Derivation, old: tuple[sp.Basic, ...], new: tuple[sp.Basic, ...]) -> None:
        object.__setattr__(self, "like", like)
        object.__setattr__(self, "old", old)
        object.__setattr__(self, "new", new)

    like: Derivation
    old: tuple[sp.Basic, ...]
    new: tuple[sp.Basic, ...]

    @property
    def names(self) -> Mapping[sp.Basic, sp.Basic]:
        """The names of the known derivation that change, each with the one that it takes."""
        return {old: new for old, new in zip(self.old, self.new, strict=True) if old != new}

    @cached_property
    def goal(self) -> sp.Expr:
        """The goal of the known derivation, renamed."""
        return self._renamed(self.like.goal)

    @cached_property
    def result(self) -> sp.Expr:
        """The result of the known derivation, renamed."""
        return self._renamed(self.like.result)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The steps of the known derivation, renamed."""
        with distribute(False):
            return tuple(
                Step(step.rule, self._renamed(step.before), self._renamed(step.after), step.facts)
                for step in self.like.steps
            )

    def _renamed(self, expr: sp.Expr) -> sp.Expr:
        with distribute(False):
            return replaced(expr, self.names)


def original(derivation: Derivation) -> Derivation:
    """The derivation that this one repeats with other names, or the derivation itself."""
    return derivation.like if isinstance(derivation, Renamed) else derivation


class Kinds:
    """Derivations already made, by the shape of what they started from."""

    def __init__(self) -> None:
        self.known: dict[Signature, tuple[Kind, Derivation]] = {}

    def derive(
        self, key: Sequence[sp.Basic | Kind], derive: Callable[[], Derivation]
    ) -> tuple[Derivation, Kind]:
        """The derivation for ``key``, a known one renamed or else what ``derive`` makes; its kind."""
        shape, names = signature(key)
        if shape in self.known:
            first, derivation = self.known[shape]
            return Renamed(derivation, first.names, names), Kind(first.number, names)
        kind = Kind(len(self.known), names)
        derivation = derive()
        self.known[shape] = (kind, derivation)
        return derivation, kind


def signature(parts: Sequence[sp.Basic | Kind]) -> tuple[Signature, tuple[sp.Basic, ...]]:
    """What expressions look like with their names numbered, and the names in the order of the numbers.

    A :class:`Kind` stands for the result of a derivation of that kind, without writing it out.

    >>> a, b, c, d = sp.symbols("a b c d")
    >>> signature([a + 2 * b])[0] == signature([c + 2 * d])[0]
    True
    >>> signature([a + 2 * b])[0] == signature([c + 2 * c**2])[0]
    False
    """
    numbers: dict[sp.Basic, int] = {}

    def visit(node: sp.Basic | Kind) -> Hashable:
        if isinstance(node, sp.IndexedBase | sp.Symbol):
            return numbers.setdefault(node, len(numbers))
        if isinstance(node, Kind):
            return ("kind", node.number, *map(visit, node.names))
        if not node.args:
            return (node,)
        return (node.func, *map(visit, node.args))

    shape = tuple(map(visit, parts))
    return shape, tuple(numbers)
