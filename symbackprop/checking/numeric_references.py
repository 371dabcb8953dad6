"""What a cost and its gradients should be at a point, by references that share no code with what is tested.

| reference | what it is |
|---|---|
| finite_difference | central differences of the forward equations, evaluated as they stand |
| complex_step | the imaginary part of the cost at a point moved by 1e-30 i, for the same equations |
| explicit | the cost written out as one expression, and its raw derivative, with numbers put in |
| autograd | the gradient of another program; none is asked at present |
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from symbackprop.algebra.equations import Program
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.algebra.indices import index_symbol
from symbackprop.checking.array_values import Numbers, Point, Scope, Values, run, value
from symbackprop.checking.points import is_saturated
from symbackprop.forward.compose import raw_gradient
from symbackprop.forward.model import EXAMPLES

if TYPE_CHECKING:
    from symbackprop.pipeline import NetworkDerivation

TOLERANCES = {"finite_difference": 1e-6, "complex_step": 1e-9, "explicit": 1e-9, "autograd": 1e-9}
"""How large an error may be, relative to the larger of 1 and the reference."""

MOST_ENTRIES = 2000
"""Networks with more entries than this are compared at :data:`SAMPLE` entries of each parameter."""

SAMPLE = 25
"""How many entries of each parameter of a large network are looked at."""

STEPS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
"""What an entry is moved by in difference quotients."""

UNCERTAIN = 3e-7
"""How far a quotient may be from that of the step before, relative to the larger of 1 and itself."""

KINK = 1e-6
"""How far the slopes from the two sides may be apart, relative to the slope, where there is no kink."""

_LARGEST_WORK = 2_000_000
_EXPLICIT_LAYERS = 4
_EXPLICIT_WORK = 200_000


@dataclass(frozen=True)
class Errors:
    """The largest relative error of one gradient against each reference; ``None`` where there is none."""

    finite_difference: float | None = None
    complex_step: float | None = None
    explicit: float | None = None
    autograd: float | None = None

    @property
    def agrees(self) -> bool:
        """Whether every reference there is confirms the gradient, and there is one at least."""
        found = {name: error for name, error in vars(self).items() if error is not None}
        return bool(found) and all(error < TOLERANCES[name] for name, error in found.items())


def relative_error(found: Any, reference: Any) -> float:
    """The largest of |g - r| / max(1, |r|); infinite where one of the two is no number.

    >>> relative_error([1.0, 20.0], [1.0, 10.0])
    1.0
    """
    g, r = np.asarray(found, float), np.asarray(reference, float)
    with np.errstate(all="ignore"):
        errors = np.abs(g - r) / np.maximum(1.0, np.abs(r))
    return float(np.max(np.where(np.isfinite(errors), errors, np.inf), initial=0.0))


def _extrapolated(quotients: Values) -> Values:
    """Quotients of steps that become ten times smaller, without what they have of the step's square.

    >>> _extrapolated(np.array([[5 + 0.1**2], [5 + 0.01**2]])).round(12)
    array([[5.]])
    """
    with np.errstate(all="ignore"):
        return np.asarray(quotients[1:] + np.diff(quotients, axis=0) / 99)


@dataclass(frozen=True)
class References:
    """What a cost and its gradients should be at a point."""

    derivation: NetworkDerivation
    point: Point
    rng: np.random.Generator

    @cached_property
    def saturated(self) -> bool:
        """Whether the formulas as written lose digits at this point."""
        program = self.derivation.batch.forward
        forms = self.derivation.stable_forward
        return is_saturated(program, forms, run(program, Numbers.at(self.point)), self.point)

    @cached_property
    def program(self) -> Program:
        """The forward equations, in forms that can be evaluated at this point."""
        return self.derivation.stable_forward if self.saturated else self.derivation.batch.forward

    @cached_property
    def cost(self) -> float:
        """The cost by the forward equations."""
        return float(run(self.program, Numbers.at(self.point))["C"][0])

    @cached_property
    def sampled(self) -> bool:
        """Whether there are too many entries to look at each."""
        return sum(self.point.arrays[q.name].size for q in self.program.parameters) > MOST_ENTRIES

    @cached_property
    def analytic(self) -> bool:
        """Whether every function in the equations takes complex numbers; erf doesn't in NumPy alone."""
        functions = (node for e in self.program for node in e.rhs.atoms(ScalarFunction))
        written = [e.rhs for e in self.program] + [f.formula for f in functions if f.formula is not None]
        return not any(expr.has(sp.erf) for expr in written)

    def errors(self, name: str, gradient: Values) -> Errors:
        """The errors of one gradient against every reference."""
        places = self.places(name)
        at_places = np.asarray(gradient).reshape(-1)[places]
        quotients, smooth = self.finite_differences(name, places)
        steps = self.complex_steps(name, places) if self.analytic else None
        explicit = self.explicit(name)
        return Errors(
            relative_error(at_places[smooth], quotients[smooth]) if smooth.any() else None,
            None if steps is None else relative_error(at_places, steps),
            None if explicit is None else relative_error(gradient, explicit),
        )

    def places(self, name: str) -> NDArray[np.intp]:
        """The entries of an array to look at, counted in the order of its memory."""
        size = self.point.arrays[name].size
        if not self.sampled or size <= SAMPLE:
            return np.arange(size)
        return np.sort(self.rng.choice(size, SAMPLE, replace=False))

    def moved_costs(self, name: str, places: NDArray[np.intp], steps: Values) -> Values:
        """The cost with each of these entries moved in turn, by each of the steps; a row a step."""
        base = self.point.arrays[name]
        entries, by = (grid.ravel() for grid in np.meshgrid(places, steps))
        at_once = max(1, _LARGEST_WORK // self.work(base.size))
        found = []
        for start in range(0, len(entries), at_once):
            part = slice(start, start + at_once)
            moved = np.repeat(base[None].astype(steps.dtype), len(entries[part]), axis=0)
            moved.reshape(len(moved), -1)[np.arange(len(moved)), entries[part]] += by[part]
            numbers = Numbers.at(self.point)
            found.append(run(self.program, replace(numbers, arrays={**numbers.arrays, name: moved}))["C"])
        return np.concatenate(found).reshape(len(steps), len(places))

    def work(self, size: int) -> int:
        """How many numbers one evaluation holds at once, roughly."""
        widths = [n for symbol, n in self.point.sizes.items() if symbol != EXAMPLES]
        return int(max(size, self.point.sizes[EXAMPLES] * max(widths)))

    def finite_differences(self, name: str, places: NDArray[np.intp]) -> tuple[Values, NDArray[np.bool_]]:
        """Central differences, and which of them can be relied on.

        Two steps together give a quotient without the error that grows with the square of the step. Of
        several the one counts that differs least from that of the step before, its rounding added; where
        that is more than :data:`UNCERTAIN`, as for a small slope of a cost of 1e40, it says nothing. How
        much the slopes from the two sides differ shrinks with the step where there is a second
        derivative; at a kink it stays.
        """
        steps = np.array(STEPS)
        above, below = np.split(self.moved_costs(name, places, np.concatenate([steps, -steps])), 2)
        steps = steps[:, None]
        quotients = _extrapolated((above - below) / (2 * steps))
        rounding = np.finfo(float).eps * abs(self.cost) / steps[1:]
        differences = np.abs(np.diff(quotients, axis=0)) + rounding[1:]
        differences = np.where(np.isfinite(differences), differences, np.inf)
        steady, each = np.argmin(differences, axis=0), np.arange(len(places))
        chosen = quotients[steady + 1, each]
        certain = differences[steady, each] < UNCERTAIN * np.maximum(1.0, np.abs(chosen))
        *_, before, last = np.abs(above + below - 2 * self.cost) / steps
        scale = np.maximum(np.maximum(1.0, np.abs(chosen)), 10 * abs(self.cost))
        return chosen, certain & ~((last > KINK * scale) & (last > 0.3 * before))

    def complex_steps(self, name: str, places: NDArray[np.intp]) -> Values:
        """Im C(p + ih) / h, exact to rounding."""
        (moved,) = self.moved_costs(name, places, np.array([1e-30j]))
        return np.asarray(moved.imag / 1e-30)

    # the written-out cost

    @cached_property
    def written_out(self) -> bool:
        """Whether the written-out cost is small enough to be looked at, and keeps its digits here."""
        sizes = self.point.sizes.values()
        largest = max(array.size for array in self.point.arrays.values())
        layers = len(self.derivation.network.layers)
        affordable = layers <= _EXPLICIT_LAYERS and math.prod(sizes) * largest <= _EXPLICIT_WORK
        return affordable and not self.saturated

    @cached_property
    def explicit_cost(self) -> float | None:
        """The value of the cost as one expression."""
        if not self.written_out:
            return None
        with np.errstate(all="ignore"):
            found = value(self.derivation.cost, Scope(Numbers.at(self.point, self.point.declared), ()))
        return float(found.reshape(-1)[0])

    def explicit(self, name: str) -> Values | None:
        """The value of the raw derivative of the cost as one expression."""
        if not self.written_out:
            return None
        quantity = self.derivation.batch.forward.quantities[name]
        array = self.point.arrays[name]
        letters = tuple(index_symbol(letter) for letter in "jk"[: array.ndim])
        slope = raw_gradient(self.derivation.cost, quantity[letters])
        axes = tuple(zip(letters, array.shape, strict=True))
        with np.errstate(all="ignore"):
            found = value(slope, Scope(Numbers.at(self.point, self.point.declared), axes))
        return np.broadcast_to(found, (1, *array.shape)).reshape(array.shape)
