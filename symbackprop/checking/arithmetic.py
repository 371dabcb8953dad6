"""The two arithmetics of the checks: exact rational numbers with dual numbers, and many digits.

Neither knows a rule of differentiation: a slope is the dual part of an exact value, or a central
difference quotient with so many digits that its error can't be seen.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any, Protocol

import mpmath
import sympy as sp

from symbackprop.errors import NoRule, SymbackpropError

Number = Any
Key = tuple[int, ...]
Scalar = Callable[[Number], Number]

LARGEST_EXPONENT = 10**5
"""The largest size of a number whose exponential is taken."""

LARGEST_BITS = 1500
"""How long the parts of an exact fraction may get; 50 digits do where they would be longer."""


class NoValue(SymbackpropError):
    """An expression that has no value in an instance, and why."""


class OutOfRange(NoValue):
    """An index that is larger than its axis, or below 1."""


class TooLarge(NoValue):
    """A number that no number of digits would help to compare, such as exp(exp(30))."""


class Inexact(NoRule):
    """An operation that leaves the rational numbers, or rational numbers that get too long."""


# --- two arithmetics ---------------------------------------------------------------------------


class Dual:
    """``value + slope * e`` with ``e * e = 0``: a number that carries how fast it changes.

    >>> x = Dual(Fraction(3), Fraction(1))
    >>> (x * x).slope
    Fraction(6, 1)
    """

    __slots__ = ("slope", "value")

    def __init__(self, value: Number, slope: Number) -> None:
        self.value, self.slope = value, slope

    def __add__(self, other: Number) -> Dual:
        if isinstance(other, Dual):
            return Dual(self.value + other.value, self.slope + other.slope)
        return Dual(self.value + other, self.slope)

    __radd__ = __add__

    def __mul__(self, other: Number) -> Dual:
        if isinstance(other, Dual):
            return Dual(self.value * other.value, self.slope * other.value + self.value * other.slope)
        return Dual(self.value * other, self.slope * other)

    __rmul__ = __mul__

    def inverse(self) -> Dual:
        """1 over this number."""
        inverse = self.value.inverse() if isinstance(self.value, Dual) else 1 / self.value
        return Dual(inverse, -self.slope * inverse * inverse)

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.slope)

    def __lt__(self, other: Number) -> bool:
        return bool(self.value < _real_part(other))

    def __le__(self, other: Number) -> bool:
        return bool(self.value <= _real_part(other))

    def __gt__(self, other: Number) -> bool:
        return bool(self.value > _real_part(other))

    def __ge__(self, other: Number) -> bool:
        return bool(self.value >= _real_part(other))


def _real_part(number: Number) -> Number:
    return number.value if isinstance(number, Dual) else number


class Arithmetic(Protocol):
    """What an instance computes with; ``tolerance`` is how far two equal numbers may be apart."""

    name: str
    tolerance: float

    def number(self, numerator: int, denominator: int = 1) -> Number:
        """A rational number."""

    def constant(self, node: sp.Expr) -> Number:
        """A number such as pi."""

    def inverse(self, x: Number) -> Number:
        """1 over a number."""

    def power(self, x: Number, exponent: Number) -> Number:
        """A power that is no whole one."""

    def function(self, kind: Any) -> Scalar:
        """A function by its SymPy class."""

    def real(self, x: Number) -> Number:
        """A number that can be compared with others."""

    def kept(self, x: Number) -> Number:
        """The number, if it is not too long to go on with."""

    def slope(self, function: Scalar, x: Number, order: int = 1) -> Number:
        """How fast ``function`` changes at ``x``, from values of the function alone."""

    def unspecified(self, draw: random.Random) -> Scalar:
        """A random smooth function, to stand for one that was left unspecified."""


class Exact:
    """Rational numbers; slopes by dual numbers, so they are exact as well.

    >>> Exact().slope(lambda x: x * x * x, Fraction(2))
    Fraction(12, 1)
    """

    name = "exact rational arithmetic"
    tolerance = 0.0

    def number(self, numerator: int, denominator: int = 1) -> Number:
        return Fraction(numerator, denominator)

    def constant(self, node: sp.Expr) -> Number:
        raise Inexact(f"{node} is not a rational number")

    def inverse(self, x: Number) -> Number:
        return x.inverse() if isinstance(x, Dual) else 1 / x

    def power(self, x: Number, exponent: Number) -> Number:
        raise Inexact(f"a power with the exponent {exponent} leaves the rational numbers")

    def function(self, kind: Any) -> Scalar:
        raise Inexact(f"the function {kind.__name__} leaves the rational numbers")

    def real(self, x: Number) -> Number:
        return x

    def kept(self, x: Number) -> Number:
        if max(x.numerator.bit_length(), x.denominator.bit_length()) > LARGEST_BITS:
            raise Inexact(f"a fraction of more than {LARGEST_BITS} bits")
        return x

    def slope(self, function: Scalar, x: Number, order: int = 1) -> Number:
        if order > 1:
            return self.slope(lambda inner: self.slope(function, inner, order - 1), x)
        moved = function(Dual(x, Fraction(1)))
        return moved.slope if isinstance(moved, Dual) else Fraction(0)

    def unspecified(self, draw: random.Random) -> Scalar:
        """A polynomial of degree 2 or 3."""
        degree = draw.choice((2, 3))
        coefficients = [nonzero(draw, 15, 16) for _ in range(degree + 1)]

        def polynomial(x: Number) -> Number:
            total: Number = coefficients[0]
            for coefficient in coefficients[1:]:
                total = total * x + coefficient
            return total

        return polynomial


class Digits:
    """Numbers with 120 digits, of which 50 are claimed; slopes by central difference quotients.

    The step is 1e-40, so the quotient is wrong by some 1e-80, and no rule of differentiation is used.
    Where values differ by many orders of magnitude that can be too few: more digits take a smaller step.

    >>> digits = Digits()
    >>> abs(digits.slope(digits.function(sp.exp), digits.number(0)) - 1) < 1e-60
    True
    >>> more = Digits(360)
    >>> abs(more.slope(more.function(sp.exp), more.number(0)) - 1) < 1e-200
    True
    """

    name = "50-digit arithmetic"
    tolerance = 1e-40

    def __init__(self, digits: int = 120) -> None:
        self.context = _context(digits)
        self.steps = _steps(digits)
        names = ("log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "atan", "erf")
        self.functions = {getattr(sp, name): getattr(self.context, name) for name in names}
        self.functions[sp.exp] = self.exponential

    def exponential(self, x: Number) -> Number:
        """exp, refused where the result would be larger or smaller than any number that means something."""
        if abs(x) > LARGEST_EXPONENT:
            raise TooLarge(f"the exponential of {self.context.nstr(x, 3)}")
        return self.context.exp(x)

    def number(self, numerator: int, denominator: int = 1) -> Number:
        return self.context.mpf(numerator) / denominator

    def constant(self, node: sp.Expr) -> Number:
        known = {sp.pi: self.context.pi, sp.E: self.context.e}
        if node not in known:
            raise NoRule(f"no rule evaluates the constant {node}")
        return +known[node]

    def inverse(self, x: Number) -> Number:
        return 1 / x

    def power(self, x: Number, exponent: Number) -> Number:
        return self.context.power(x, exponent)

    def function(self, kind: Any) -> Scalar:
        if kind not in self.functions:
            raise NoRule(f"no rule evaluates the function {kind.__name__}")
        return remembered(self.functions[kind])

    def real(self, x: Number) -> Number:
        if hasattr(x, "_mpc_") or self.context.isnan(x):
            raise NoValue(f"a comparison with {self.context.nstr(x, 5)}, which has no place on the line")
        return x

    def kept(self, x: Number) -> Number:
        return x

    def slope(self, function: Scalar, x: Number, order: int = 1) -> Number:
        """The central difference quotient of this order; 3 is the last that keeps 40 digits."""
        if order > 3:
            raise NoRule(f"no rule evaluates a derivative of order {order}")
        step, width = self.steps[order - 1]
        ahead = self.slope_sum(function, x, step, order)
        return ahead / width

    def slope_sum(self, function: Scalar, x: Number, step: Number, order: int) -> Number:
        """The numerator of a central difference quotient."""
        if order == 1:
            return function(x + step) - function(x - step)
        if order == 2:
            return function(x + step) - 2 * function(x) + function(x - step)
        outer, inner = (function(x + m * step) - function(x - m * step) for m in (2, 1))
        return outer - 2 * inner

    def unspecified(self, draw: random.Random) -> Scalar:
        """A sum of two waves: smooth, and it stays small in a deep network."""
        high, low, fast, slow = (self.number(draw.randint(20, 60), 32) for _ in range(4))
        shift, sine = self.number(draw.randint(1, 31), 32), self.context.sin
        return remembered(lambda x: high * sine(fast * x + shift) - low * sine(slow * x - 2 * shift))


class Edges(Digits):
    """The same, and a number that is at an edge stays there while it is moved for a slope.

    So the slope at an edge, where branches meet, is that of the branch that the formula takes there, and 0
    for an absolute value of 0.

    >>> digits, edges = Digits(), Edges()
    >>> positive = lambda arithmetic: lambda x: x if arithmetic.real(x) > 0 else arithmetic.number(0)
    >>> [float(a.slope(positive(a), a.number(0))) for a in (digits, edges)]
    [0.5, 0.0]
    """

    def real(self, x: Number) -> Number:
        """The number in units of what is far larger than any move, and far smaller than what was typed."""
        return self.context.nint(super().real(x) * 10**_EDGE)


_EDGE = 30
"""Numbers are at an edge if they are so many decimals close to it; the step of a first slope is at 40."""


@cache
def _context(digits: int) -> Any:
    context = mpmath.MPContext()
    context.dps = digits
    return context


@cache
def _steps(digits: int) -> tuple[tuple[Number, Number], ...]:
    """The step of the quotient of each order, and what the differences are divided by."""
    first, second, third = (_context(digits).mpf(10) ** -(digits // share) for share in (3, 4, 5))
    return (first, 2 * first), (second, second**2), (third, 2 * third**3)


def remembered(function: Scalar) -> Scalar:
    """The same function, computed once for each argument."""
    memo: dict[Any, Number] = {}

    def remembered(x: Number) -> Number:
        key = getattr(x, "_mpf_", None)
        if key is None:
            return function(x)
        if key not in memo:
            memo[key] = function(x)
        return memo[key]

    return remembered


def nonzero(draw: random.Random, most: int, denominator: int) -> Fraction:
    """A random fraction with this denominator that isn't 0."""
    return Fraction(draw.choice((-1, 1)) * draw.randint(1, most), denominator)
