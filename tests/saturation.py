"""A reference for saturated networks: the forward formulas' texts in mpmath, differences for slopes.

Nothing here reads a derivation. A slope is taken from both sides, so that at a kink both are known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import mpmath

from symbackprop.spec.catalogue import ACTIVATIONS, COSTS

DIGITS, MORE_DIGITS, STEP = 620, 1200, "1e-100"
"""exp(-1000) is 1e-435, and 1 + exp(-1000) has to differ from 1 by more than the step moves it; units that
are coupled have exp(-2000), which takes more digits."""

Z = (-1000.0, -750.0, -40.0, -1.0, 0.0, 1.0, 40.0, 750.0, 1000.0)

mp = mpmath.MPContext()
mp.dps = DIGITS


def remembered(function: Any) -> Any:
    """A slow function, computed once for each argument and precision."""
    known = cache(lambda x, precision: function(x))
    return lambda x: known(x, mp.prec)


_NAMES: dict[str, Any] = {
    name: remembered(getattr(mp, name))
    for name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "sqrt", "erf")
} | {
    "arctan": mp.atan,
    "abs": abs,
    "max": max,
    "min": min,
    "pi": mp.pi,
    "where": lambda condition, yes, no: yes if condition else no,
    "fsum": mp.fsum,
}


@cache
def compiled(text: str) -> Any:
    """A formula's text as Python code, its numbers exact."""
    text = re.sub(r"sum\((.*), (\w)\)", r"fsum(\1 for \2 in units)", text)
    text = re.sub(r"(?<![\w.])(\d+\.?\d*)", r"number('\1')", text)
    return compile(text, text, "eval")


def formula(text: str, **values: Any) -> Any:
    """The value of a formula; ``None`` where it has none that is finite."""
    try:
        found = eval(compiled(text), {**_NAMES, "number": mp.mpf, **values})
    except (ArithmeticError, ValueError, TypeError):
        return None
    return found if mp.isfinite(found) and not isinstance(found, mp.mpc) else None


def outputs(activation: str, z: Sequence[Any]) -> list[Any]:
    """What a layer gives for its pre-activations."""
    text = ACTIVATIONS[activation].formula if activation in ACTIVATIONS else activation
    if "[" not in text:
        return [formula(text, z=one) for one in z]
    numbered = dict(enumerate(z, 1))
    return [formula(text, z=numbered, j=j, units=list(numbered)) for j in numbered]


def total_cost(activation: str, cost: str, z: Sequence[Any], y: Sequence[Any]) -> Any:
    """The sum of the costs of all units; ``None`` where that is not finite."""
    text = COSTS[cost].formula if cost in COSTS else cost
    found = [
        None if a is None else formula(text, a=a, y=target)
        for a, target in zip(outputs(activation, z), y, strict=True)
    ]
    return None if None in found else mp.fsum(found)


@dataclass(frozen=True)
class Reference:
    """Outputs, cost, and by each pre-activation the smaller and the larger of its one-sided slopes."""

    outputs: tuple[Any, ...]
    cost: Any
    slopes: tuple[tuple[Any, Any] | None, ...]


def reference(activation: str, cost: str, z: Sequence[float], y: Sequence[float]) -> Reference:
    """What the mathematics says about one example; ``None`` where that is not finite."""
    text = ACTIVATIONS[activation].formula if activation in ACTIVATIONS else activation
    if "[" in text:
        with mp.workdps(MORE_DIGITS):
            return _reference(activation, cost, tuple(z), tuple(y))
    units = [_reference(activation, cost, (one,), (target,)) for one, target in zip(z, y, strict=True)]
    costs = [unit.cost for unit in units]
    total = None if None in costs else mp.fsum(costs)
    return Reference(tuple(u.outputs[0] for u in units), total, tuple(u.slopes[0] for u in units))


@cache
def _reference(activation: str, cost: str, z: tuple[float, ...], y: tuple[float, ...]) -> Reference:
    exact, targets = [mp.mpf(one) for one in z], [mp.mpf(one) for one in y]
    here = total_cost(activation, cost, exact, targets)
    slopes = tuple(
        _slopes(lambda moved: total_cost(activation, cost, moved, targets), exact, at, here)
        for at in range(len(z))
    )
    return Reference(tuple(outputs(activation, exact)), here, slopes)


def _slopes(f: Callable[[list[Any]], Any], z: list[Any], at: int, here: Any) -> tuple[Any, Any] | None:
    step = mp.mpf(STEP)
    ahead, behind = (f([*z[:at], z[at] + by, *z[at + 1 :]]) for by in (step, -step))
    if None in (here, ahead, behind):
        return None
    left, right = (here - behind) / step, (ahead - here) / step
    return min(left, right), max(left, right)
