"""What a form comes to in floating point, beside what it stands for with a thousand digits.

Every operation is rounded, overflows to infinity and underflows to 0, as a computer does it; the named
forms are functions that are right to the last digit. So 0/0, infinity times 0 and lost digits show where a
form is to be chosen, before there is any code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import mpmath
import sympy as sp

from symbackprop.algebra.calculus import derivative
from symbackprop.algebra.elimination import Z, nesting
from symbackprop.algebra.equations import Equation
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.numerics.forms import (
    Erfc,
    Erfcx,
    Expm1,
    ExpOfSum,
    Exprel,
    LogAbsExpm1,
    LogErfc,
    LogOneMinusExp,
    LogOneMinusExpExp,
    LogSoftplus,
    Sigmoid,
    Softplus,
)

Definitions = Mapping[str, Equation]

PLACES = (-1000, -750, -300, -100, -40, -20, -1, 0.5, 2, 20, 40, 100, 300, 750, 1000)
"""Pre-activations that are looked at; with error functions up to 20 only: erf(1000) has 434,000 nines."""

_DIGITS, _MORE_DIGITS, _FEW_DIGITS = 1000, 1400, 40
"""What is right counts as known where both of the first two give it; a single operation takes the last."""


class Format(NamedTuple):
    """A kind of floating-point numbers: its digits and its range, both binary, and what may be lost."""

    name: str
    bits: int
    range: int
    tolerance: float


FORMATS = (Format("float64", 53, 1024, 1e-12), Format("float32", 24, 128, 1e-5))


class NotFollowed(Exception):
    """An operation that is not evaluated here."""


def _sigmoid(mp: Any, u: Any) -> Any:
    return 1 / (1 + mp.exp(-u))


def _log_softplus(mp: Any, u: Any) -> Any:
    return mp.log(mp.log1p(mp.exp(u)))


FUNCTIONS: Mapping[type, Callable[[Any, Any], Any]] = {
    sp.exp: lambda mp, u: mp.exp(u),
    ExpOfSum: lambda mp, u: mp.exp(u),
    sp.log: lambda mp, u: mp.log(u),
    sp.sin: lambda mp, u: mp.sin(u),
    sp.cos: lambda mp, u: mp.cos(u),
    sp.sinh: lambda mp, u: mp.sinh(u),
    sp.cosh: lambda mp, u: mp.cosh(u),
    sp.tanh: lambda mp, u: mp.tanh(u),
    sp.atan: lambda mp, u: mp.atan(u),
    sp.erf: lambda mp, u: mp.erf(u),
    sp.Abs: lambda mp, u: abs(u),
    sp.sign: lambda mp, u: mp.sign(u),
    Sigmoid: _sigmoid,
    Softplus: lambda mp, u: mp.log1p(mp.exp(u)),
    LogSoftplus: _log_softplus,
    Expm1: lambda mp, u: mp.expm1(u),
    Exprel: lambda mp, u: mp.expm1(u) / u if u else mp.mpf(1),
    LogOneMinusExp: lambda mp, u: mp.log(-mp.expm1(u)),
    LogOneMinusExpExp: lambda mp, u: mp.log(-mp.expm1(-mp.exp(u))),
    LogAbsExpm1: lambda mp, u: mp.log(abs(mp.expm1(u))),
    Erfc: lambda mp, u: mp.erfc(u),
    LogErfc: lambda mp, u: mp.log(mp.erfc(u)),
    Erfcx: lambda mp, u: mp.exp(u * u) * mp.erfc(u),
}


@dataclass
class Evaluation:
    """The value of an expression at one place: exact, or rounded in a format."""

    numbers: Mapping[sp.Expr, float]
    definitions: Definitions
    format: Format | None
    written: Callable[[sp.Expr], sp.Expr]
    digits: int = _FEW_DIGITS
    known: dict[sp.Basic, Any] = field(default_factory=dict)
    overflowed: bool = False

    @property
    def mp(self) -> Any:
        """The arithmetic in which a single operation is right."""
        return _arithmetic(self.digits)

    def value(self, expr: sp.Basic) -> Any:
        """The value, rounded after each operation."""
        if expr not in self.known:
            self.known[expr] = self.rounded(self.operation(expr))
        return self.known[expr]

    def rounded(self, value: Any) -> Any:
        """The number next to it that the format has."""
        if isinstance(value, mpmath.mpc) or (hasattr(value, "imag") and value.imag != 0):
            return self.mp.nan
        if self.format is None or not self.mp.isfinite(value) or value == 0:
            return value
        if self.mp.mag(value) > self.format.range:
            self.overflowed = True
            return self.mp.inf if value > 0 else -self.mp.inf
        if self.mp.mag(value) < 3 - self.format.range - self.format.bits:
            return self.mp.zero
        with self.mp.workprec(self.format.bits):
            return +value

    def operation(self, expr: sp.Basic) -> Any:
        """One operation on the values of what it is made of."""
        mp = self.mp
        if expr in self.numbers:
            return mp.mpf(self.numbers[expr])
        if isinstance(expr, sp.Rational):
            return mp.mpf(expr.p) / expr.q
        if isinstance(expr, sp.Expr) and expr.is_number and not expr.args:
            return expr._to_mpmath(mp.prec)
        if isinstance(expr, sp.Indexed):
            return self.value(self.definition(expr))
        if isinstance(expr, sp.Piecewise):
            return next(self.value(value) for value, condition in expr.args if self.holds(condition))
        if isinstance(expr, ScalarFunction):
            return self.activation(expr)
        return self.of_values(expr, [self.value(arg) for arg in expr.args])

    def of_values(self, expr: sp.Basic, values: list[Any]) -> Any:
        """A sum, a product, a power or a function of numbers."""
        mp = self.mp
        if isinstance(expr, sp.Add):
            return mp.fsum(values) if all(map(mp.isfinite, values)) else sum(values, mp.zero)
        if isinstance(expr, sp.Mul):
            return self.product(values)
        if isinstance(expr, sp.Pow):
            return self.power(*values)
        if isinstance(expr, sp.Max | sp.Min):
            return (max if isinstance(expr, sp.Max) else min)(values)
        if expr.func not in FUNCTIONS:
            raise NotFollowed(type(expr).__name__)
        return self.function(expr.func, values[0])

    def function(self, kind: Any, value: Any) -> Any:
        """A function of a number or of infinity; no number where it has no value."""
        try:
            return FUNCTIONS[kind](self.mp, value)
        except (ValueError, ZeroDivisionError, OverflowError):
            return self.mp.nan

    def product(self, values: list[Any]) -> Any:
        """Factor by factor: infinity times 0 is no number."""
        total = self.mp.one
        for value in values:
            total = self.rounded(total * value)
        return total

    def power(self, base: Any, exponent: Any) -> Any:
        """A power; that of 0 with a negative exponent is infinite."""
        if base == 0 and exponent < 0:
            return self.mp.inf
        return base**exponent

    def definition(self, entry: sp.Indexed) -> sp.Expr:
        if str(entry.base) not in self.definitions:
            raise NotFollowed(str(entry))
        rhs = self.definitions[str(entry.base)].at(entry.indices)
        if rhs.has(sp.Sum):
            raise NotFollowed(str(entry))
        return rhs

    def activation(self, function: ScalarFunction) -> Any:
        """A function by its formula, in the form that the code has."""
        if function.formula is None or function.order > 1:
            raise NotFollowed(function.letter)
        formula = derivative(function.formula, Z) if function.order else function.formula
        form = formula if self.format is None else self.written(formula)
        return self.value(form.xreplace({Z: function.args[0]}))

    def holds(self, condition: Any) -> bool:
        """Whether a condition holds for the numbers."""
        if isinstance(condition, sp.logic.boolalg.BooleanAtom):
            return bool(condition)
        if isinstance(condition, sp.And | sp.Or):
            return (all if isinstance(condition, sp.And) else any)(map(self.holds, condition.args))
        if not isinstance(condition, sp.core.relational.Relational):
            raise NotFollowed(str(condition))
        left, right = self.value(condition.lhs), self.value(condition.rhs)
        compared = {">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right}
        return bool(compared[condition.rel_op]) if condition.rel_op in compared else bool(left == right)


@cache
def _arithmetic(digits: int) -> Any:
    mp = mpmath.MPContext()
    mp.dps = digits
    return mp


class Failure(NamedTuple):
    """A place where a form is not what it stands for: the pre-activation, what comes out, what is right."""

    format: str
    place: float
    given: float
    right: float


def failures(
    expr: sp.Expr, form: sp.Expr, definitions: Definitions, written: Callable[[sp.Expr], sp.Expr]
) -> Iterator[Failure]:
    """Every place and format in which a form is wrong, though what is right can be written there.

    ``written`` gives the form in which the code has an activation's formula.

    Raises:
        NotFollowed: for an operation that is not evaluated here.

    >>> z = sp.Symbol("z", real=True)
    >>> found = failures(1 / (1 + sp.exp(-z)), sp.exp(z) / (1 + sp.exp(z)), {}, lambda e: e)
    >>> [failure.place for failure in found if failure.format == "float64"]
    [750, 1000]
    """
    for place in _places(expr):
        numbers = _numbers(expr, definitions, place)
        right = _right(expr, numbers, definitions)
        if right is None:
            continue
        for kind in FORMATS:
            evaluation = Evaluation(numbers, definitions, kind, written)
            if in_range(right, kind):
                found = evaluation.value(form)
                if evaluation.overflowed or not _near(found, right, kind, evaluation.mp):
                    yield Failure(kind.name, place, float(found), float(right))


def _near(found: Any, right: Any, kind: Format, mp: Any) -> bool:
    return bool(mp.isfinite(found)) and abs(found - right) <= kind.tolerance * max(1, abs(right))


def _right(expr: sp.Expr, numbers: Mapping[sp.Expr, float], definitions: Definitions) -> Any:
    return exact_values([expr], numbers, definitions)[0]


def exact_values(
    exprs: Iterable[sp.Expr],
    numbers: Mapping[sp.Expr, float],
    definitions: Definitions = MappingProxyType({}),
) -> list[Any]:
    """The value of each expression, if it is a number that more digits confirm; ``None`` if it is none.

    >>> z = sp.Symbol("z", real=True)
    >>> found, missing = exact_values([1 - 1 / (1 + sp.exp(-z)), sp.log(z + 1)], {z: -1})
    >>> float(found), missing
    (0.7310585786300049, None)
    """
    exprs = list(exprs)
    first, second = (_with_digits(exprs, numbers, definitions, digits) for digits in (_DIGITS, _MORE_DIGITS))
    return [a if _confirmed(a, b) else None for a, b in zip(first, second, strict=True)]


def _with_digits(
    exprs: list[sp.Expr], numbers: Mapping[sp.Expr, float], definitions: Definitions, digits: int
) -> list[Any]:
    evaluation = Evaluation(numbers, definitions, None, lambda formula: formula, digits)
    return [_arithmetic(_FEW_DIGITS).mpf(evaluation.value(expr)) for expr in exprs]


def _confirmed(first: Any, second: Any) -> bool:
    return bool(_arithmetic(_FEW_DIGITS).isfinite(first)) and abs(first - second) <= 1e-30 * max(
        1, abs(first)
    )


def in_range(value: Any, kind: Format) -> bool:
    """Whether a format has numbers as large as a value."""
    return bool(_arithmetic(_FEW_DIGITS).mag(value) <= kind.range)


def _places(expr: sp.Expr) -> tuple[float, ...]:
    formulas = [expr, *(f.formula for f in expr.atoms(ScalarFunction) if f.formula is not None)]
    small = any(formula.has(sp.erf, Erfc) or nesting(formula) > 2 for formula in formulas)
    return tuple(place for place in PLACES if not small or abs(place) <= 20)


def _numbers(expr: sp.Expr, definitions: Definitions, place: float) -> dict[sp.Expr, float]:
    """Numbers for what nothing defines: pre-activations get the place, anything else some number."""
    entries = _undefined(expr, definitions, set())
    return {entry: place if str(entry).startswith("z") else 0.25 for entry in entries}


def _undefined(expr: sp.Expr, definitions: Definitions, seen: set[sp.Expr]) -> set[sp.Expr]:
    """The entries and symbols at the bottom of an expression."""
    found: set[sp.Expr] = set()
    for entry in expr.atoms(sp.Indexed) - seen:
        seen.add(entry)
        equation = definitions.get(str(entry.base))
        rhs = None if equation is None else equation.at(entry.indices)
        inside = rhs is not None and not rhs.has(sp.Sum)
        found |= _undefined(rhs, definitions, seen) if inside and rhs is not None else {entry}
    symbols = {s for s in expr.free_symbols if isinstance(s, sp.Symbol) and not s.is_integer}
    return found | {s for s in symbols if not isinstance(s, sp.Indexed) and not _is_base(s, expr)}


def _is_base(symbol: sp.Symbol, expr: sp.Expr) -> bool:
    return any(symbol == entry.base.label for entry in expr.atoms(sp.Indexed))
