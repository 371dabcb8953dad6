"""Derive once for each kind: derivations that differ in names only are renamed, not repeated."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property

import sympy as sp

from symbackprop.equations import Derivation, Step

Signature = Hashable


class Renamed(Derivation):
    """A known derivation for other quantities and sizes; written out only if somebody reads it."""

    def __init__(self, like: Derivation, names: Mapping[sp.Basic, sp.Basic]) -> None:
        object.__setattr__(self, "like", like)
        object.__setattr__(self, "names", names)

    like: Derivation
    names: Mapping[sp.Basic, sp.Basic]

    @cached_property
    def goal(self) -> sp.Expr:  # type: ignore[override]
        """The goal of the known derivation, renamed."""
        return self.like.goal.xreplace(self.names)

    @cached_property
    def result(self) -> sp.Expr:  # type: ignore[override]
        """The result of the known derivation, renamed."""
        return self.like.result.xreplace(self.names)

    @cached_property
    def steps(self) -> tuple[Step, ...]:  # type: ignore[override]
        """The steps of the known derivation, renamed."""
        return tuple(
            Step(step.rule, step.before.xreplace(self.names), step.after.xreplace(self.names), step.facts)
            for step in self.like.steps
        )


class Kinds:
    """Derivations already made, by the shape of what they started from."""

    def __init__(self) -> None:
        self.known: dict[Signature, tuple[tuple[sp.Basic, ...], Derivation]] = {}

    def derive(self, key: Sequence[sp.Basic], derive: Callable[[], Derivation]) -> Derivation:
        """The derivation for ``key``: a known one with other names, or else what ``derive`` makes."""
        shape, names = signature(key)
        if shape in self.known:
            known, derivation = self.known[shape]
            changed = {old: new for old, new in zip(known, names, strict=True) if old != new}
            return Renamed(derivation, changed)
        derivation = derive()
        self.known[shape] = (names, derivation)
        return derivation


def signature(exprs: Sequence[sp.Basic]) -> tuple[Signature, tuple[sp.Basic, ...]]:
    """What expressions look like with their names numbered, and the names in the order of the numbers.

    >>> a, b, c, d = sp.symbols("a b c d")
    >>> signature([a + 2 * b])[0] == signature([c + 2 * d])[0]
    True
    >>> signature([a + 2 * b])[0] == signature([c + 2 * c**2])[0]
    False
    """
    numbers: dict[sp.Basic, int] = {}

    def visit(node: sp.Basic) -> Hashable:
        if isinstance(node, sp.IndexedBase | sp.Symbol):
            return numbers.setdefault(node, len(numbers))
        if not node.args:
            return (node,)
        return (node.func, *(visit(arg) for arg in node.args))

    shape = tuple(visit(expr) for expr in exprs)
    return shape, tuple(numbers)
