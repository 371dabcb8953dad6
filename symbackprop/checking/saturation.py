"""Lines of code that are wrong at saturation, as far as looking at some places shows it.

Formulas from the tables are tested at saturation once and for all; a formula of one's own is looked at when
it comes. What no form of the line can compute is named, and not left to be found in a training run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import sympy as sp

from symbackprop.algebra.equations import Equation
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.algebra.indices import outermost
from symbackprop.code.codegen import Generator
from symbackprop.network import Network
from symbackprop.numerics.floats import Failure, NotFollowed, failures
from symbackprop.numerics.stable import stable, stable_formula
from symbackprop.spec.catalogue import ACTIVATIONS, COSTS

if TYPE_CHECKING:
    from symbackprop.pipeline import NetworkDerivation

_WRONG = 1e-3
"""A relative error from which on a number counts as wrong, and no longer as rounded."""


class WeakLine(NamedTuple):
    """A line that is wrong somewhere: its label, and the place that is nearest to 0.

    ``layer`` are the pre-activations of a whole layer, where the line couples its units.
    """

    label: str
    failure: Failure
    layer: tuple[float, ...] = ()

    def sentence(self) -> str:
        """What is wrong, where, and what would be right.

        >>> WeakLine("delta-1", Failure("float64", 750, math.nan, 0.5)).sentence()
        'delta-1: in float64 the code gives nan at a pre-activation of 750, where 0.5 is right'
        """
        kind, place, given, right = self.failure
        where = f"at a pre-activation of {place:g}"
        if self.layer:
            where = f"at the pre-activations ({', '.join(f'{z:g}' for z in self.layer)})"
        return f"{self.label}: in {kind} the code gives {given:g} {where}, where {right:.6g} is right"

    def data(self) -> dict[str, object]:
        """The same, ready for JSON."""
        kind, place, given, right = self.failure
        shown = given if math.isfinite(given) else str(given)
        where = {"pre_activations": list(self.layer)} if self.layer else {"pre_activation": place}
        return {"label": self.label, "dtype": kind, **where, "given": shown, "right": right}


def weak_lines(derivation: NetworkDerivation) -> tuple[WeakLine, ...]:
    """The lines of a network with formulas of one's own that are wrong at a place that was looked at."""
    if not _has_own_formulas(derivation.network):
        return ()
    generator = Generator(derivation.model, derivation.batch)
    nearest: dict[tuple[str, str], WeakLine] = {}
    for line in _found(generator):
        key = line.label, line.failure.format
        if key not in nearest or abs(line.failure.place) < abs(nearest[key].failure.place):
            nearest[key] = line
    return tuple(nearest.values())


def _found(generator: Generator) -> Iterator[WeakLine]:
    """Every failure of every line; of coupled lines that differ in their layer alone, of the first."""
    # It needs NumPy, which takes its time to import; most networks have no formulas of their own.
    from symbackprop.checking.coupled_saturation import coupled_failures, is_coupled, kind_of

    definitions = generator.batch.forward.definitions
    seen: set[str] = set()
    for equation in generator.printed:
        if not is_coupled(equation, definitions):
            yield from (WeakLine(equation.label, failure) for failure in _failures(equation, definitions))
        elif (kind := kind_of(equation, definitions)) not in seen:
            seen.add(kind)
            with suppress(NotFollowed):
                found = coupled_failures(equation, generator, _WRONG)
                yield from (WeakLine(equation.label, failure, layer) for failure, layer in found)


def _has_own_formulas(network: Network) -> bool:
    names = {layer.activation.name for layer in network.layers if layer.activation.formula is not None}
    return bool(names - set(ACTIVATIONS)) or network.cost.name not in COSTS


def _failures(equation: Equation, definitions: dict[str, Equation]) -> Iterator[Failure]:
    for expr in _looked_at(equation.rhs):
        try:
            for failure in failures(expr, stable(expr, definitions), definitions, stable_formula):
                given, right = failure.given, failure.right
                if not math.isfinite(given) or abs(given - right) > _WRONG * max(1, abs(right)):
                    yield failure
        except NotFollowed:
            continue


def _looked_at(rhs: sp.Expr) -> list[sp.Expr]:
    """What stands for one unit: the whole, what is added up over units, or the slopes before a sum."""
    rest = rhs.as_coeff_Mul()[1]
    inner = outermost(rest)[0] if isinstance(rest, sp.Sum) else rest
    if not inner.has(sp.Sum):
        return [inner]
    return sorted(rhs.atoms(ScalarFunction), key=sp.default_sort_key)
