"""The point of a comparison: the spec's numbers, and drawn ones that are near no kink."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import sympy as sp

from symbackprop.algebra.equations import Program, Quantity, Role
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.checking.array_values import Numbers, Point, Values, run
from symbackprop.forward.model import EXAMPLES, Model
from symbackprop.numerics.stable import stable

if TYPE_CHECKING:
    from symbackprop.pipeline import NetworkDerivation

SATURATED = 8.0
"""Pre-activations beyond this make 1 - a lose digits: there the forms of ``stable`` are evaluated."""

ATTEMPTS = 20
_MARGIN = 0.02


LOST = 1e-11
"""A cost that is so far from the one in stable forms has lost digits."""


def choose_point(derivation: NetworkDerivation, seed: int = 0) -> Point:
    """A point with the spec's numbers, the others drawn: not near a kink, nor where anything overflows."""
    model, program = derivation.model, derivation.batch.forward
    forms = derivation.stable_forward
    best: tuple[float, Point] | None = None
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, attempt])
        point = _drawn_point(model, program, rng, 0.5 ** (attempt // 4))
        quality = _quality(program, forms, point)
        if quality > _MARGIN:
            return point
        if best is None or quality > best[0]:
            best = quality, point
    assert best is not None
    return best[1]


def _drawn_point(model: Model, program: Program, rng: np.random.Generator, spread: float) -> Point:
    given = _given(model)
    declared = _declared_sizes(model, given)
    sizes = {symbol: int(size) if size.is_Integer else declared[size] for symbol, size in model.sizes}
    examples = len(given["x"]) if "x" in given else 3
    sizes[EXAMPLES] = declared[EXAMPLES] = examples
    arrays = {}
    for quantity in (*program.inputs, *program.parameters):
        shape = tuple(sizes[size] for size in quantity.dims)
        drawn = _drawn(model, quantity, shape, rng, spread)
        arrays[quantity.name] = given.get(quantity.name, drawn)
    symbols = {symbol: float(rng.uniform(0.05, 0.2)) for symbol in _open_symbols(model, program)}
    values = model.network.values
    known = dict(values.symbols) if values is not None else {}
    return Point(sizes, declared, arrays, {s: known.get(s.name, drawn) for s, drawn in symbols.items()})


def _given(model: Model) -> dict[str, Values]:
    """The arrays that the spec gives."""
    values = model.network.values
    if values is None:
        return {}
    found = {"x": values.x, "y": values.y, **dict(values.parameters)}
    return {name: np.array(array, float) for name, array in found.items() if array is not None}


def _declared_sizes(model: Model, given: Mapping[str, Values]) -> dict[sp.Symbol, int]:
    """A number for each size that is a symbol: what the given arrays show, else a small one of its own."""
    declared = {size for _, size in model.sizes if not size.is_Integer}
    found: dict[sp.Symbol, int] = {}
    for quantity in (*model.program.inputs, *model.program.parameters):
        shape = given[quantity.name].shape[-len(quantity.dims) :] if quantity.name in given else ()
        for symbol, number in zip(quantity.dims, shape, strict=False):
            size = model.with_sizes(symbol)
            if size in declared:
                found[size] = number
    taken = {*found.values(), *(int(size) for _, size in model.sizes if size.is_Integer)}
    free = (number for number in count(2) if number not in taken)
    return {size: found[size] if size in found else next(free) for size in sorted(declared, key=str)}


def _drawn(
    model: Model, quantity: Quantity, shape: tuple[int, ...], rng: np.random.Generator, spread: float
) -> Values:
    if quantity.role is Role.TARGET:
        return _targets(model, shape, rng)
    fan_in = shape[-1] if quantity.role is Role.WEIGHT else 1
    scale = 1.0 if quantity.role is Role.INPUT else spread / math.sqrt(fan_in)
    return scale * rng.standard_normal(shape)


def _targets(model: Model, shape: tuple[int, ...], rng: np.random.Generator) -> Values:
    """Targets between 0 and 1, which add up to 1 where that is declared; -1 and 1 for hinge."""
    if model.network.cost.name == "hinge":
        return rng.choice([-1.0, 1.0], shape)
    targets = rng.uniform(0.1, 0.9, shape)
    return targets / targets.sum(axis=1, keepdims=True) if model.facts else targets


def _open_symbols(model: Model, program: Program) -> list[sp.Symbol]:
    """Symbols such as lambda that the spec leaves open."""
    known = {EXAMPLES, *(symbol for symbol, _ in model.sizes)}
    found = {symbol for equation in program for symbol in equation.rhs.free_symbols} - known
    plain = (s for s in found if isinstance(s, sp.Symbol) and s.name not in program.quantities)
    return sorted((s for s in plain if not s.is_integer), key=str)


def open_functions(program: Program) -> list[str]:
    """The letters of the activations that the spec leaves unspecified."""
    nodes = (node for equation in program for node in equation.rhs.atoms(ScalarFunction))
    return sorted({node.letter for node in nodes if node.formula is None})


def in_stable_forms(program: Program) -> Program:
    """The same equations in forms that can be evaluated where a unit is saturated."""
    definitions = program.definitions
    equations = tuple(replace(equation, rhs=stable(equation.rhs, definitions)) for equation in program)
    return replace(program, equations=equations)


def _quality(program: Program, forms: Program, point: Point) -> float:
    """How far a point is from the nearest kink; negative where it is of no use."""
    numbers = Numbers.at(point)
    evaluated = run(program, numbers)
    with np.errstate(all="ignore"):
        usable = np.all(np.isfinite(evaluated["C"])) and np.all(np.abs(evaluated["C"]) < 1e3)
    if not usable:
        return -2.0
    if is_saturated(program, forms, evaluated, point):
        return -1.0
    return min(numbers.margins, default=1.0)


def is_saturated(program: Program, forms: Program, evaluated: Mapping[str, Values], point: Point) -> bool:
    """Whether pre-activations are large, or the cost has lost digits that it keeps in stable forms."""
    (cost,) = evaluated["C"]
    (steady,) = run(forms, Numbers.at(point))["C"]
    if not abs(cost - steady) <= LOST * max(1.0, abs(steady)):
        return True
    layers = [e.quantity.name for e in program if e.quantity.role is Role.PRE_ACTIVATION]
    return any(not np.all(np.abs(evaluated[name]) <= SATURATED) for name in layers)
