"""Index equations as arrays of doubles or of complex numbers: every index letter is an axis of its own.

Nothing is turned into matrix products, and no backward formula is known here. Complex numbers are no
different from real ones: a condition looks at real parts only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, singledispatch
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from symbackprop.algebra.equations import Program
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.algebra.indices import free_indices, fresh_index, outermost
from symbackprop.errors import NoRule
from symbackprop.network import argument
from symbackprop.numerics.forms import (
    Erfc,
    Erfcx,
    Expm1,
    Exprel,
    LogAbsExpm1,
    LogErfc,
    LogOneMinusExp,
    LogOneMinusExpExp,
    LogSoftplus,
    Sigmoid,
    Softplus,
)

Values = NDArray[Any]
Axes = tuple[tuple[sp.Symbol, int], ...]


@dataclass(frozen=True)
class Point:
    """Numbers for all that a network leaves open.

    ``sizes`` are those of the program's symbols, ``declared`` those of the spec's own; ``arrays`` are
    the inputs, the targets and the parameters by name; ``symbols`` are the open symbols.
    """

    sizes: Mapping[sp.Symbol, int]
    declared: Mapping[sp.Symbol, int]
    arrays: Mapping[str, Values]
    symbols: Mapping[sp.Symbol, float]


@dataclass(frozen=True)
class Numbers:
    """What entries, sizes and symbols stand for.

    ``arrays`` have one axis before their own: the point moved in several ways is evaluated at once.
    ``margins`` collects how near each condition came to a tie.
    """

    arrays: Mapping[str, Values]
    scalars: Mapping[sp.Symbol, Any]
    margins: list[float] = field(default_factory=list)
    memo: dict[Any, Values] = field(default_factory=dict)

    @staticmethod
    def at(point: Point, sizes: Mapping[sp.Symbol, int] | None = None) -> Numbers:
        """The numbers of a point that isn't moved."""
        arrays = {name: array[None] for name, array in point.arrays.items()}
        return Numbers(arrays, {**(point.sizes if sizes is None else sizes), **point.symbols})

    def size(self, size: sp.Expr) -> int:
        """A size as a number."""
        return int(size) if size.is_Integer else int(self.scalars[size])


@dataclass(frozen=True)
class Scope:
    """Numbers, and the index letters that are axes, in order, with their lengths."""

    numbers: Numbers
    axes: Axes

    def place(self, letter: sp.Expr) -> int:
        """Which axis a letter is; the axis of the moves comes before them all."""
        letters = [axis for axis, _ in self.axes]
        if letter not in letters:
            raise NoRule(f"no number is known for {letter}, which is no index here")
        return letters.index(letter)

    def along(self, array: Values, letters: Sequence[sp.Expr]) -> Values:
        """An array with these letters as its axes, laid along the axes of the scope."""
        places = [self.place(letter) for letter in letters]
        if len(set(places)) != len(places):
            raise NoRule(f"an entry has one index twice: {', '.join(map(str, letters))}")
        order = sorted(range(len(places)), key=places.__getitem__)
        array = array.transpose(0, *(place + 1 for place in order))
        shape = [1] * len(self.axes)
        for position, length in zip(sorted(places), array.shape[1:], strict=True):
            shape[position] = length
        return array.reshape(array.shape[0], *shape)


def run(program: Program, numbers: Numbers) -> dict[str, Values]:
    """Every quantity of a program, each with the axis of the moves first.

    >>> from symbackprop.pipeline import derive
    >>> from symbackprop.spec.loading import from_widths
    >>> from symbackprop.checking.points import choose_point
    >>> derivation = derive(from_widths("2-1", output_activation="linear"))
    >>> numbers = Numbers.at(choose_point(derivation))
    >>> x, W, b = (numbers.arrays[name][0] for name in ("x", "W1", "b1"))
    >>> found = run(derivation.batch.forward, numbers)
    >>> bool(np.allclose(found["z1"][0], x @ W.T + b))
    True
    """
    arrays = dict(numbers.arrays)
    with np.errstate(all="ignore"):
        for equation in program:
            shape = tuple(numbers.size(size) for size in equation.quantity.dims)
            scope = Scope(
                replace(numbers, arrays=arrays, memo={}), tuple(zip(equation.indices, shape, strict=True))
            )
            found = value(equation.rhs, scope)
            arrays[equation.quantity.name] = np.broadcast_to(found, (len(found), *shape))
    return arrays


def value(expr: sp.Expr, scope: Scope) -> Values:
    """An index expression as an array over the axes of the scope, of length 1 where it doesn't vary."""
    key = expr, scope.axes
    memo = scope.numbers.memo
    if key not in memo:
        memo[key] = _value(expr, scope)
    return memo[key]


@singledispatch
def _value(expr: sp.Basic, scope: Scope) -> Values:
    raise NoRule(f"no number is known for {type(expr).__name__}, which occurs as {str(expr)[:60]}")


def _constant(number: float, scope: Scope) -> Values:
    return np.full((1,) * (len(scope.axes) + 1), number)


@_value.register(sp.Number)
@_value.register(sp.NumberSymbol)
def _(expr: sp.Expr, scope: Scope) -> Values:
    return _constant(float(expr), scope)


@_value.register
def _(expr: sp.Symbol, scope: Scope) -> Values:
    if expr.name in scope.numbers.arrays:
        return scope.along(scope.numbers.arrays[expr.name], ())
    if expr not in scope.numbers.scalars:
        raise NoRule(f"no number is known for the symbol {expr}")
    found = scope.numbers.scalars[expr]
    return found if isinstance(found, np.ndarray) else _constant(float(found), scope)


@_value.register
def _(expr: sp.Indexed, scope: Scope) -> Values:
    return scope.along(scope.numbers.arrays[str(expr.base.label)], expr.indices)


@_value.register
def _(expr: sp.KroneckerDelta, scope: Scope) -> Values:
    left, right = (_counted(index, scope) for index in expr.args)
    return np.where(left == right, 1.0, 0.0)


def _counted(index: sp.Expr, scope: Scope) -> Values:
    """The values of an index along its axis, counted from 1."""
    if index.is_Integer:
        return _constant(int(index), scope)
    length = scope.axes[scope.place(index)][1]
    return scope.along(np.arange(1, length + 1)[None], (index,))


@_value.register
def _(expr: sp.Add, scope: Scope) -> Values:
    return _folded(np.add, expr.args, scope)


@_value.register
def _(expr: sp.Mul, scope: Scope) -> Values:
    """A product; exponentials over a sum of exponentials are taken together, so that neither overflows."""
    sums = [f for f in expr.args if isinstance(f, sp.Pow) and f.exp == -1 and _is_sum_of_exp(f.base)]
    powers = [f for f in expr.args if isinstance(f, sp.exp)]
    if not sums or not powers:
        return _folded(np.multiply, expr.args, scope)
    logarithm = sum(value(f.args[0], scope) for f in powers) - sum(_log_sum_exp(f.base, scope) for f in sums)
    rest = [f for f in expr.args if f not in sums and f not in powers]
    return np.exp(logarithm) * _folded(np.multiply, rest, scope) if rest else np.exp(logarithm)


def _folded(operation: Callable[..., Values], args: Sequence[sp.Expr], scope: Scope) -> Values:
    found = value(args[0], scope)
    for arg in args[1:]:
        found = operation(found, value(arg, scope))
    return found


@_value.register
def _(expr: sp.Pow, scope: Scope) -> Values:
    base, exponent = value(expr.base, scope), expr.exp
    if exponent.is_Integer:
        power = base ** abs(int(exponent))
        return 1.0 / power if exponent.is_negative else power
    return np.sqrt(base) if exponent == sp.S.Half else base ** value(exponent, scope)


@_value.register
def _(expr: sp.Sum, scope: Scope) -> Values:
    """The factors with the index are multiplied and added up along its axis, the others after that."""
    body, axes, length = _opened(expr, scope)
    inner = Scope(scope.numbers, axes)
    factors = sp.Mul.make_args(body)
    inside = [f for f in factors if axes[-1][0] in free_indices(f)]
    outside = [f for f in factors if f not in inside]
    if any(_is_sum_of_exp(f.base) for f in factors if isinstance(f, sp.Pow)):
        inside, outside = [body], []
    total = _constant(length, scope)
    if inside:
        arrays = [_to_length(value(factor, inner), length) for factor in inside]
        total = np.einsum(",".join(["...s"] * len(arrays)) + "->...", *arrays)
    return total * _folded(np.multiply, outside, scope) if outside else total


def _to_length(array: Values, length: int) -> Values:
    return np.broadcast_to(array, (*array.shape[:-1], length))


def _opened(expr: sp.Sum, scope: Scope) -> tuple[sp.Expr, Axes, int]:
    """The body of a sum, the axes with that of its index at the end, and the length of that axis."""
    body, bound, upper = outermost(expr)
    letters = [letter for letter, _ in scope.axes]
    if bound in letters:
        other = fresh_index(body, *letters)
        body, bound = body.xreplace({bound: other}), other
    length = scope.numbers.size(upper)
    return body, (*scope.axes, (bound, length)), length


def _is_sum_of_exp(expr: sp.Expr) -> bool:
    """A sum of exponentials, maybe with one term left out."""
    return isinstance(expr, sp.Sum) and _exponential(outermost(expr)[0]) is not None


def _exponential(body: sp.Expr) -> tuple[sp.Expr, sp.Expr] | None:
    """The exponent of a term, and the 1 - [i = j] that it may have for a factor."""
    factors = sp.Mul.make_args(body)
    exponents = [factor.args[0] for factor in factors if isinstance(factor, sp.exp)]
    kept = [factor for factor in factors if isinstance(1 - factor, sp.KroneckerDelta)]
    found = len(exponents) == 1 and len(kept) <= 1 and len(factors) == 1 + len(kept)
    return (exponents[0], sp.Mul(*kept)) if found else None


def _log_sum_exp(expr: sp.Sum, scope: Scope) -> Values:
    """The logarithm of a sum of exponentials."""
    body, axes, length = _opened(expr, scope)
    inner, kept = _exponential(body) or (body, sp.S.One)
    exponent = _to_length(value(inner, Scope(scope.numbers, axes)), length)
    exponent = np.where(value(kept, Scope(scope.numbers, axes)) == 0, -np.inf, exponent)
    top = np.max(exponent.real, axis=-1)
    logarithm: Values = top + np.log(np.sum(np.exp(exponent - top[..., None]), axis=-1))
    return logarithm


@_value.register
def _(expr: sp.Piecewise, scope: Scope) -> Values:
    *branches, (last, _) = expr.args
    found = value(last, scope)
    for branch, condition in reversed(branches):
        found = np.where(_holds(condition, scope), value(branch, scope), found)
    return found


def _holds(condition: sp.Basic, scope: Scope) -> NDArray[np.bool_]:
    """Where a condition holds, by real parts; how near it is to a tie is noted."""
    if isinstance(condition, sp.And | sp.Or):
        combine = np.logical_and if isinstance(condition, sp.And) else np.logical_or
        first, *others = (_holds(arg, scope) for arg in condition.args)
        for other in others:
            first = combine(first, other)
        return first
    if isinstance(condition, sp.ITE):
        where, yes, no = (_holds(arg, scope) for arg in condition.args)
        return np.where(where, yes, no)
    if isinstance(condition, sp.Not):
        return np.logical_not(_holds(condition.args[0], scope))
    if condition in (sp.true, sp.false):
        return np.array(condition == sp.true)
    if type(condition) not in _COMPARISONS:
        raise NoRule(f"no number is known for the condition {condition}")
    left, right = (np.real(value(side, scope)) for side in condition.args)
    _note(scope, left - right)
    return _COMPARISONS[type(condition)](left, right)


_COMPARISONS: dict[type[Any], Callable[[Values, Values], NDArray[np.bool_]]] = {
    sp.StrictGreaterThan: np.greater,
    sp.GreaterThan: np.greater_equal,
    sp.StrictLessThan: np.less,
    sp.LessThan: np.less_equal,
}


def _note(scope: Scope, difference: Values) -> None:
    scope.numbers.margins.append(float(np.min(np.abs(difference), initial=np.inf)))


@_value.register
def _(expr: sp.Abs, scope: Scope) -> Values:
    found = value(expr.args[0], scope)
    _note(scope, np.real(found))
    return np.where(np.real(found) < 0, -found, found)


@_value.register
def _(expr: sp.sign, scope: Scope) -> Values:
    found: Values = np.sign(np.real(value(expr.args[0], scope)))
    return found


@_value.register(sp.Max)
@_value.register(sp.Min)
def _(expr: sp.Expr, scope: Scope) -> Values:
    first, *others = (value(arg, scope) for arg in expr.args)
    for other in others:
        larger = np.real(first) >= np.real(other)
        first = np.where(larger == isinstance(expr, sp.Max), first, other)
    return first


@_value.register
def _(expr: sp.log, scope: Scope) -> Values:
    arg = expr.args[0]
    return _log_sum_exp(arg, scope) if _is_sum_of_exp(arg) else np.log(value(arg, scope))


@_value.register
def _(expr: sp.Function, scope: Scope) -> Values:
    if expr.func not in _FUNCTIONS:
        raise NoRule(f"no number is known for the function {type(expr).__name__}")
    return _FUNCTIONS[expr.func](value(expr.args[0], scope))


@_value.register
def _(expr: ScalarFunction, scope: Scope) -> Values:
    """An activation by its formula; its derivative by SymPy's own of the formula."""
    arg = value(expr.args[0], scope)
    if expr.formula is None:
        return (stand_in if not expr.order else stand_in_slope)(arg)
    z = argument("z")
    formula = _differentiated(expr.formula, expr.order)
    numbers = replace(scope.numbers, scalars={**scope.numbers.scalars, z: arg}, memo={})
    return value(formula, Scope(numbers, scope.axes))


@cache
def _differentiated(formula: sp.Expr, order: int) -> sp.Expr:
    return sp.diff(formula, argument("z"), order) if order else formula


def stand_in(z: Values) -> Values:
    """What takes the place of an unspecified activation: any smooth function with values from 0.2 to 0.8."""
    return 0.5 + 0.3 * np.sin(z + 0.2)


def stand_in_slope(z: Values) -> Values:
    return 0.3 * np.cos(z + 0.2)


def _sigmoid(u: Values) -> Values:
    small = np.exp(np.where(u.real > 0, -u, u))
    return np.where(u.real > 0, 1.0, small) / (1.0 + small)


def _softplus(u: Values) -> Values:
    positive = np.where(u.real > 0, u, 0.0)
    return positive + np.log1p(np.exp(np.where(u.real > 0, -u, u)))


def _log_softplus(u: Values) -> Values:
    small = np.exp(np.where(u.real > -20.0, -20.0, u))
    return np.where(u.real > -20.0, np.log(_softplus(np.where(u.real > -20.0, u, -20.0))), u - small / 2)


def _log_one_minus_exp(u: Values) -> Values:
    near, far = np.where(u.real > -0.7, u, -0.7), np.where(u.real > -0.7, -0.7, u)
    return np.where(u.real > -0.7, np.log(-np.expm1(near)), np.log1p(-np.exp(far)))


def _log_one_minus_exp_exp(u: Values) -> Values:
    small = np.exp(np.where(u.real > -20.0, -20.0, u))
    held = np.where(u.real > 80.0, 80.0, np.where(u.real > -20.0, u, -20.0))
    return np.where(u.real > -20.0, _log_one_minus_exp(-np.exp(held)), u - small / 2)


def _log_abs_expm1(u: Values) -> Values:
    size: Values = np.where(u.real > 0, np.expm1(u), -np.expm1(u))
    return np.asarray(np.log(size))


def _exprel(u: Values) -> Values:
    away = np.where(abs(u) < 1e-5, 1.0, u)
    return np.where(abs(u) < 1e-5, 1.0 + u / 2 + u * u / 6, np.expm1(away) / away)


_erf = np.vectorize(math.erf, otypes=[float])
_erfc = np.vectorize(math.erfc, otypes=[float])
_FAR = 25.0


def _erfcx(u: Values) -> Values:
    """exp(u^2) erfc(u), from 25 on by its series in 1/u^2."""
    near, far = np.minimum(u, _FAR), np.maximum(u, _FAR)
    t = 1.0 / (2.0 * far * far)
    series = 1.0 - t * (1.0 - 3.0 * t * (1.0 - 5.0 * t * (1.0 - 7.0 * t * (1.0 - 9.0 * t))))
    close, away = np.exp(near * near) * _erfc(near), series / (far * math.sqrt(math.pi))
    return np.asarray(np.where(u < _FAR, close, away))


def _log_erfc(u: Values) -> Values:
    near, far = np.minimum(u, _FAR), np.maximum(u, _FAR)
    return np.asarray(np.where(u < _FAR, np.log(_erfc(near)), np.log(_erfcx(far)) - far * far))


_FUNCTIONS: dict[Any, Callable[[Values], Values]] = {
    sp.exp: np.exp,
    sp.sin: np.sin,
    sp.cos: np.cos,
    sp.tan: np.tan,
    sp.sinh: np.sinh,
    sp.cosh: np.cosh,
    sp.tanh: np.tanh,
    sp.atan: np.arctan,
    sp.erf: _erf,
    Sigmoid: _sigmoid,
    Softplus: _softplus,
    LogSoftplus: _log_softplus,
    LogOneMinusExp: _log_one_minus_exp,
    LogOneMinusExpExp: _log_one_minus_exp_exp,
    LogAbsExpm1: _log_abs_expm1,
    Expm1: np.expm1,
    Exprel: _exprel,
    Erfc: _erfc,
    LogErfc: _log_erfc,
    Erfcx: _erfcx,
}
