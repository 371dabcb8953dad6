r"""Numbers as LaTeX: fractions where they are small, decimals where somebody has typed a decimal."""

from __future__ import annotations

import sympy as sp

_LARGEST = 99


def is_decimal(number: sp.Rational) -> bool:
    """Whether a fraction is printed as a decimal: it has one that ends, and it isn't a small fraction.

    >>> [is_decimal(sp.Rational(p, q)) for p, q in ((1, 2), (1, 5), (1, 100), (44715, 10**6), (1, 3))]
    [False, False, True, True, False]
    """
    if number.q == 1 or not _terminates(number.q):
        return False
    return abs(number.p) > _LARGEST or not (number.q < 10 or _is_power_of_two(number.q))


def decimal(number: sp.Rational) -> str:
    """The exact decimal of a fraction that has one.

    >>> decimal(sp.Rational(44715, 10**6))
    '0.044715'
    """
    places = next(n for n in range(number.q.bit_length() + 1) if 10**n % number.q == 0)
    digits = str(abs(number.p) * 10**places // number.q).rjust(places + 1, "0")
    sign = "-" if number.p < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}"


def whole_number(number: int) -> str:
    """A whole number; one with many zeros at the end as a power of ten.

    >>> whole_number(25), whole_number(3 * 10**20)
    ('25', '3 \\\\cdot 10^{20}')
    """
    digits = str(number)
    stem = digits.rstrip("0")
    zeros = len(digits) - len(stem)
    if zeros < 7:
        return digits
    return f"10^{{{zeros}}}" if stem == "1" else rf"{stem} \cdot 10^{{{zeros}}}"


def _terminates(denominator: int) -> bool:
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    return denominator == 1


def _is_power_of_two(number: int) -> bool:
    return number & (number - 1) == 0 and number <= 64
