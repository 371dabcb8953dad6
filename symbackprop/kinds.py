"""Derive once for each kind: derivations that differ in names only are renamed, not repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import sympy as sp

from symbackprop.equations import Derivation, Step

Key = tuple[sp.Basic, ...]


class Kinds:
    """Derivations already made, by the shape of what they started from."""

    def __init__(self) -> None:
        self.known: dict[Key, tuple[tuple[sp.Basic, ...], Derivation]] = {}

    def derive(self, key: Key, derive: Callable[[], Derivation]) -> Derivation:
        """The derivation for ``key``: a known one with other names, or else what ``derive`` makes."""
        names = tuple(dict.fromkeys(name for part in key for name in _names(part)))
        shape = tuple(part.xreplace(_placeholders(names)) for part in key)
        if shape in self.known:
            old, derivation = self.known[shape]
            return rename(derivation, dict(zip(old, names, strict=True)))
        derivation = derive()
        self.known[shape] = (names, derivation)
        return derivation


def rename(derivation: Derivation, names: dict[sp.Basic, sp.Basic]) -> Derivation:
    """The same derivation for other quantities and sizes."""
    steps = tuple(
        Step(step.rule, step.before.xreplace(names), step.after.xreplace(names), step.facts)
        for step in derivation.steps
    )
    return Derivation(derivation.goal.xreplace(names), steps)


def _names(expr: sp.Basic) -> Iterator[sp.Basic]:
    """Quantities and other symbols, in the order in which they stand in the expression."""
    if isinstance(expr, sp.IndexedBase | sp.Symbol):
        yield expr
        return
    for arg in expr.args:
        yield from _names(arg)


def _placeholders(names: tuple[sp.Basic, ...]) -> dict[sp.Basic, sp.Basic]:
    return {name: _placeholder(name, position) for position, name in enumerate(names)}


def _placeholder(name: sp.Basic, position: int) -> sp.Basic:
    if isinstance(name, sp.IndexedBase):
        return sp.IndexedBase(f"_{position}", real=True)
    return sp.Symbol(f"_{position}", **name.assumptions0)
