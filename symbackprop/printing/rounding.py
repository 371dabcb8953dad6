r"""Numbers as they are printed in a worked example: so many decimals, and whether that is exact.

A :class:`Rounded` stands in a formula for the entry whose number is printed there, so whoever checks
the formula knows both.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import sympy as sp

from symbackprop.algebra.equations import Partial
from symbackprop.errors import SymbackpropError
from symbackprop.spec.catalogue import DIGITS
from symbackprop.tables.mistakes import require

MOST_DIGITS = 30
"""More decimals than this would not be right: numbers are worked out to 50 digits."""

_SMALL = Fraction(1, 10**5)
_FIGURES = 5
_EXACT = Fraction(1, 10**40)


class Rounded(sp.Expr):  # type: ignore[misc]
    """The number printed for an entry, its last digit at ``10**-places``.

    With ``exponent`` below 0 it is printed as a number between 1 and 10 times that power of ten.
    """

    is_commutative = True
    is_real = True

    def __new__(cls, entry: sp.Expr, number: sp.Rational, places: int, exact: bool, exponent: int) -> Rounded:
        return sp.Expr.__new__(  # type: ignore[no-any-return]
            cls, entry, number, sp.Integer(places), sp.true if exact else sp.false, sp.Integer(exponent)
        )

    @property
    def entry(self) -> sp.Expr:
        """What the number is the value of."""
        return self.args[0]

    @property
    def number(self) -> Fraction:
        """The number as it is printed."""
        return Fraction(int(self.args[1].p), int(self.args[1].q))

    @property
    def exact(self) -> bool:
        """Whether nothing was rounded off."""
        return bool(self.args[3])

    @property
    def tolerance(self) -> Fraction:
        """How far the value may be from the number: half a unit of the last digit, or nothing."""
        return Fraction(0) if self.exact else Fraction(1, 2 * 10 ** int(self.args[2]))

    @property
    def latex(self) -> str:
        r"""The number as LaTeX.

        >>> print(rounded(Fraction(1, 3), 4).latex, rounded(Fraction(-3, 8), 4).latex)
        0.3333 -0.375
        >>> print(rounded(Fraction(1, 3 * 10**9), 9).latex)
        3.3333 \cdot 10^{-10}
        """
        exponent = int(self.args[4])
        shown = _decimal(self.number / Fraction(10) ** exponent, int(self.args[2]) + exponent, self.exact)
        return rf"{shown} \cdot 10^{{{exponent}}}" if exponent else shown

    def _sympystr(self, printer: Any) -> str:
        shown = self.latex.replace(r" \cdot 10^{", "e").replace("}", "")
        return shown if self.exact else f"{shown}…"


def rounded(value: Any, digits: int, entry: sp.Expr = sp.S.Zero) -> Rounded:
    """A value to so many decimals; one that would lose its figures has a power of ten instead.

    ``value`` is a fraction, or a number with more digits than are claimed.
    """
    value = _fraction(value)
    places, exponent = digits, 0
    if value and abs(value) < max(_SMALL, Fraction(10, 10**digits)):
        figures = min(digits, _FIGURES)
        exponent = _exponent(abs(value), figures)
        places = figures - 1 - exponent
    number = Fraction(round(value * 10**places), 10**places)
    exact = abs(number - value) <= _EXACT
    return Rounded(entry, sp.Rational(number.numerator, number.denominator), places, exact, exponent)


def check_digits(digits: int) -> None:
    """Refuse a number of decimals that can't be kept.

    >>> check_digits(0)
    Traceback (most recent call last):
    ...
    symbackprop.errors.SymbackpropError: digits: 0: numbers are printed with 1 to 30 decimals
    """
    wanted = f"numbers are printed with 1 to {MOST_DIGITS} decimals"
    require(digits, int, "digits", wanted)
    if not 1 <= digits <= MOST_DIGITS:
        raise SymbackpropError(f"digits: {digits}: {wanted}")


def printed_numbers(expr: sp.Expr) -> list[Rounded]:
    """The numbers that are printed in a formula."""
    return sorted(expr.atoms(Rounded), key=str)


def quantities_in(expr: sp.Basic) -> Iterator[sp.Expr]:
    """Whatever a number can be put in for: entries, symbols and derivatives, each once."""
    seen: set[sp.Basic] = set()
    waiting = [expr]
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        if isinstance(node, Partial | sp.Indexed | sp.Symbol):
            yield node
        else:
            waiting.extend(node.args)


def _fraction(value: Any) -> Fraction:
    """A number as a fraction, exactly."""
    if isinstance(value, int | Fraction):
        return Fraction(value)
    sign, mantissa, exponent, _ = value._mpf_
    return Fraction(int(mantissa) * (-1 if sign else 1)) * Fraction(2) ** int(exponent)


def _exponent(value: Fraction, figures: int) -> int:
    """The power of ten that a number below 1 starts at, once it is rounded to so many figures."""
    exponent = -1
    while round(value * Fraction(10) ** (figures - 1 - exponent)) < 10 ** (figures - 1):
        exponent -= 1
    return exponent


def _decimal(number: Fraction, places: int, exact: bool) -> str:
    """The digits of a number; zeros at the end only where they say how far it was rounded."""
    digits = str(abs(round(number * 10**places))).rjust(places + 1, "0")
    whole, after = digits[: len(digits) - places], digits[len(digits) - places :]
    after = after.rstrip("0") if exact else after
    return ("-" if number < 0 else "") + (f"{whole}.{after}" if after else whole)


__all__ = ["DIGITS", "Rounded", "check_digits", "printed_numbers", "quantities_in", "rounded"]
