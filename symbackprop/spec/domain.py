"""Where a formula has a value: evaluation at sample points, with the first operation that fails by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import mpmath
import sympy as sp

from symbackprop.algebra.indices import outermost
from symbackprop.network import WIDTH, Formula

Point = Mapping[str, Any]
"""Numbers by name; a vector is a tuple, its entries counted from 1."""

_PRE_ACTIVATIONS = ("-2.9", "-1.7", "-0.6", "0.4", "1.3", "2.6")
_TARGETS = ("0.25", "0.75")
_UNITS = 3
_DIGITS = 300
_LARGEST = 10**6


class Undefined(ArithmeticError):
    """An operation without a value: ``operation`` in words, on ``operand``, which is ``value``."""

    def __init__(self, operation: str, operand: sp.Expr, value: Any) -> None:
        super().__init__(f"{operation} {operand}, which is {float(value):.3g}")


@dataclass(frozen=True)
class Failure:
    """A formula has no value for the number ``at``, and why."""

    at: float
    why: str


def activation_failure(activation: Formula) -> Failure | None:
    """A pre-activation at which an activation has no value, if the samples hit one.

    >>> z = sp.Symbol("z", real=True)
    >>> activation_failure(Formula("log(z)", sp.log(z), ("z",)))
    Failure(at=-2.9, why='takes the logarithm of z, which is -2.9')
    """
    with mpmath.workdps(_DIGITS):
        for point in _layer_points(activation.coupled):
            if why := _why_undefined(activation, point):
                return Failure(float(point["z"][0] if activation.coupled else point["z"]), why)
    return None


def cost_failure(activation: Formula, cost: Formula) -> Failure | None:
    """An output of ``activation`` at which ``cost`` has no value, if the samples hit one.

    Single points, such as an output of exactly 1, don't count: the samples avoid the usual ones.
    """
    with mpmath.workdps(_DIGITS):
        for output in _outputs(activation):
            for target in map(mpmath.mpf, _TARGETS):
                if why := _why_undefined(cost, {"a": output, "y": target}):
                    return Failure(float(output), why)
    return None


def _outputs(activation: Formula) -> Iterator[Any]:
    for point in _layer_points(activation.coupled):
        try:
            yield _value(activation.expr, point)
        except (ArithmeticError, ValueError):
            continue


def _layer_points(coupled: bool) -> Iterator[dict[str, Any]]:
    numbers = [mpmath.mpf(text) for text in _PRE_ACTIVATIONS]
    for start in range(len(numbers)):
        rotated = tuple(numbers[start:] + numbers[:start])
        yield {"z": rotated[:_UNITS], "j": 1, str(WIDTH): _UNITS} if coupled else {"z": rotated[0]}


def _why_undefined(formula: Formula, point: Point) -> str | None:
    try:
        _value(formula.expr, point)
    except Undefined as undefined:
        return str(undefined)
    except (ArithmeticError, ValueError):
        pass
    return None


def _value(expr: Any, point: Point) -> Any:
    """The value of an expression at a point; another ``ArithmeticError`` where a sample can't tell."""
    evaluate = _EVALUATORS.get(type(expr))
    if evaluate is not None:
        return evaluate(expr, point)
    if isinstance(expr, sp.Symbol):
        return point[expr.name]
    if isinstance(expr, sp.Rational):
        return mpmath.mpf(expr.p) / expr.q
    if not expr.args:
        return mpmath.mpf(sp.N(expr, _DIGITS))
    function = _FUNCTIONS.get(type(expr))
    if function is None:
        raise ArithmeticError(f"no values for {type(expr).__name__}")
    return function(_bounded(_value(expr.args[0], point)))


def _bounded(value: Any) -> Any:
    if abs(value) > _LARGEST:
        raise OverflowError
    return value


def _sum(expr: sp.Add, point: Point) -> Any:
    return mpmath.fsum(_value(term, point) for term in expr.args)


def _product(expr: sp.Mul, point: Point) -> Any:
    return mpmath.fprod(_value(factor, point) for factor in expr.args)


def _power(expr: sp.Pow, point: Point) -> Any:
    base, exponent = (_value(arg, point) for arg in expr.args)
    if base == 0 and exponent < 0:
        raise Undefined("divides by", expr.base, base)
    if base < 0 and exponent != int(exponent):
        raise Undefined("takes a root of", expr.base, base)
    return base ** _bounded(exponent)


def _logarithm(expr: sp.log, point: Point) -> Any:
    argument = _value(expr.args[0], point)
    if argument <= 0:
        raise Undefined("takes the logarithm of", expr.args[0], argument)
    return mpmath.log(argument)


def _case(expr: sp.Piecewise, point: Point) -> Any:
    return next(_value(case, point) for case, when in expr.args if when == sp.true or _holds(when, point))


def _holds(condition: Any, point: Point) -> bool:
    if isinstance(condition, (sp.And, sp.Or)):
        every = (_holds(part, point) for part in condition.args)
        return all(every) if isinstance(condition, sp.And) else any(every)
    left, right = (_value(side, point) for side in condition.args)
    return bool(_COMPARISONS[condition.rel_op](left, right))


def _total(expr: sp.Sum, point: Point) -> Any:
    body, index, last = outermost(expr)
    numbers = range(1, int(_value(last, point)) + 1)
    return mpmath.fsum(_value(body, {**point, index.name: number}) for number in numbers)


def _entry(expr: sp.Indexed, point: Point) -> Any:
    return point[str(expr.base.label)][point[expr.indices[0].name] - 1]


_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
}

_EVALUATORS: dict[type[Any], Callable[[Any, Point], Any]] = {
    sp.Add: _sum,
    sp.Mul: _product,
    sp.Pow: _power,
    sp.log: _logarithm,
    sp.Piecewise: _case,
    sp.Sum: _total,
    sp.Indexed: _entry,
}

_FUNCTIONS: dict[type[Any], Callable[[Any], Any]] = {
    sp.exp: mpmath.exp,
    sp.tanh: mpmath.tanh,
    sp.sinh: mpmath.sinh,
    sp.cosh: mpmath.cosh,
    sp.sin: mpmath.sin,
    sp.cos: mpmath.cos,
    sp.atan: mpmath.atan,
    sp.erf: mpmath.erf,
    sp.Abs: abs,
}
