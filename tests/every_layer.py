"""Checks what was derived for any layer l, step by step, in networks with numbers of layers."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from symbackprop.checking.check import Equality, Finding, equation_equality, step_equalities
from symbackprop.derivation.chain import Adjoint
from symbackprop.forward.model import Model
from symbackprop.layout.claims import Checker
from symbackprop.pipeline import NetworkDerivation


def at_every_layer(model: Model, adjoints: Sequence[Adjoint]) -> list[Finding]:
    """A finding for each step and each equation, checked at each hidden layer."""
    checker = Checker(NetworkDerivation(model, tuple(adjoints)))
    return [checker.check(replace(equality, kind="example")) for equality in _claims(model, adjoints)]


def _claims(model: Model, adjoints: Sequence[Adjoint]) -> Iterator[Equality]:
    for adjoint in adjoints:
        if adjoint.derivation is not None:
            yield from step_equalities(adjoint.derivation, model.program, adjoint.of.name)
            if adjoint.named is not None:
                yield equation_equality(adjoint)
