"""Where a formula has a value: evaluation at sample points, with the first operation that fails by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import mpmath
import sympy as sp

from symbackprop.network import WIDTH, Formula

Point = Mapping[str, Any]
"""Numbers by name; a vector is a tuple, its entries counted from 1."""

_PRE_ACTIVATIONS = ("-2.9", "-1.7", "-0.6", "0.4", "1.3", "2.6")
_TARGETS = ("0.25", "0.75")
_UNITS = 3
_DIGITS = 300
_LARGEST = 10**6

_FUNCTIONS: dict[type[sp.Basic], Any] = {
    sp.tanh: mpmath.tanh,
    sp.sinh: mpmath.sinh,
    sp.cosh: mpmath.cosh,
    sp.sin: mpmath.sin,
    sp.cos: mpmath.cos,
    sp.atan: mpmath.atan,
    sp.erf: mpmath.erf,
    sp.Abs: abs,
}


class Undefined(Exception):
    """An operation without a value: ``operation`` in words, on ``operand``, which is ``value``."""

    def __init__(self, operation: str, operand: sp.Expr, value: Any) -> None:
        super().__init__(operation)
        self.operation = operation
        self.operand = operand
        self.value = value

    def __str__(self) -> str:
        return f"{self.operation} {self.operand}, which is {short(self.value)}"


class _TooLarge(Exception):
    """A number so large that a sample point says nothing."""


def short(value: Any) -> str:
    """A number in a few digits."""
    return f"{float(value):.3g}"


def misfit(activation: Formula, cost: Formula) -> tuple[Undefined, Any] | None:
    """The first operation of ``cost`` that has no value at outputs of ``activation``, and that output.

    Single points, such as an output of exactly 1, are not counted against a pair: no sample hits them.
    """
    for point in _layer_points():
        try:
            output = evaluate(activation.expr, point)
        except (Undefined, _TooLarge):
            continue
        for target in _TARGETS:
            failed = failure(cost, {"a": output, "y": mpmath.mpf(target)})
            if failed is not None:
                return failed, output
    return None


def undefined_somewhere(activation: Formula) -> tuple[Undefined, Any] | None:
    """The first operation of an activation without a value at a sampled pre-activation, and that one."""
    for point in _layer_points():
        if (failed := failure(activation, point)) is not None:
            return failed, point["z"][0] if activation.coupled else point["z"]
    return None


def failure(formula: Formula, point: Point) -> Undefined | None:
    """The operation that has no value at a point, if there is one."""
    with mpmath.workdps(_DIGITS):
        try:
            evaluate(formula.expr, point)
        except Undefined as undefined:
            return undefined
        except _TooLarge:
            return None
    return None
