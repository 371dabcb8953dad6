r"""Reads printed LaTeX back as a number, in the way that a mathematician reads it.

It knows nothing of the printer but the names of the macros. What a reader could take in two ways is an
:class:`Ambiguous`: ``a/b c``, a sum or a logarithm that runs on, two signs in a row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import mpmath

mp = mpmath.MPContext()
mp.dps = 40

_TOKEN = re.compile(r"\\[A-Za-z]+|\\\\|\\.|\d+\.\d+|\d+|\S")
_BREAKS = re.compile(r"\\\\(?: \\quad)+")
_SIZES = re.compile(r"\\[bB]igg?[lr]")
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    r"\ln": mp.log,
    r"\exp": mp.exp,
    r"\sin": mp.sin,
    r"\cos": mp.cos,
    r"\tan": mp.tan,
    r"\sinh": mp.sinh,
    r"\cosh": mp.cosh,
    r"\tanh": mp.tanh,
    r"\arctan": mp.atan,
    "erf": mp.erf,
    "sgn": mp.sign,
}
_RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    ">": lambda one, other: one > other,
    "<": lambda one, other: one < other,
    r"\geq": lambda one, other: one >= other,
    r"\leq": lambda one, other: one <= other,
    "=": lambda one, other: one == other,
    r"\neq": lambda one, other: one != other,
}
_ENDS = frozenset(
    [
        ")",
        "}",
        "+",
        "-",
        "&",
        r"\\",
        r"\rvert",
        r"\end",
        r"\land",
        r"\lor",
        r"\sbpif",
        r"\sbpotherwise",
        *_RELATIONS,
    ]
)


class Ambiguous(Exception):
    """LaTeX that can be read in two ways, or not at all."""


class NotReal(ArithmeticError):
    """A logarithm or a root of a negative number on the way."""


def _real(value: Any) -> Any:
    if isinstance(value, mp.mpc):
        raise NotReal(f"{value}")
    return value


def read(tex: str, symbols: Mapping[str, Any]) -> Any:
    r"""The value of some LaTeX, with values for its symbols.

    >>> float(read(r"\frac{1}{2} \sbppactletter^{2} - 3", {r"\sbppactletter": 4}))
    5.0
    """
    flat = _BREAKS.sub(" ", _SIZES.sub("", tex))
    reader = _Reader(_TOKEN.findall(flat), symbols)
    value = reader.sum()
    if reader.ahead is not None:
        raise Ambiguous(f"{reader.ahead} is left over in {tex}")
    return value


class _Reader:
    def __init__(self, tokens: list[str], symbols: Mapping[str, Any]) -> None:
        self.tokens, self.symbols, self.position = tokens, symbols, 0

    @property
    def ahead(self) -> str | None:
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def take(self, *wanted: str) -> str:
        token = self.ahead
        if token is None or (wanted and token not in wanted):
            raise Ambiguous(
                f"{token} where {wanted} should be, after {''.join(self.tokens[: self.position])}"
            )
        self.position += 1
        return token

    def skip(self) -> None:
        """Empty groups and spaces, which line breaks leave."""
        while self.tokens[self.position : self.position + 2] == ["{", "}"]:
            self.position += 2

    def sum(self) -> Any:
        self.skip()
        total = -self.product() if self._takes("-") else self.product()
        while True:
            self.skip()
            if self._takes("+"):
                total = total + self.product()
            elif self._takes("-"):
                total = total - self.product()
            else:
                return total

    def _takes(self, token: str) -> bool:
        if self.ahead == token:
            self.position += 1
            return True
        return False

    def product(self) -> Any:
        """Factors side by side; a slash divides by one factor, and nothing may follow it."""
        self.skip()
        value, slashed, open_end = self.factor(), False, self.open_end
        while True:
            self.skip()
            if self.ahead is None or self.ahead in _ENDS:
                return value
            if self._takes("/"):
                if slashed:
                    raise Ambiguous("two slashes in a row")
                value, slashed = value / self.factor(), True
                continue
            dot = self._takes(r"\cdot")
            self.skip()
            if slashed:
                raise Ambiguous("a factor after a slash")
            if open_end:
                raise Ambiguous("a factor after a logarithm without parentheses, or after cases")
            before = self.tokens[self.position - 1]
            if not dot and before[0].isdigit() and self.ahead[0].isdigit():
                raise Ambiguous("two numbers side by side")
            value, open_end = value * self.factor(), self.open_end

    def factor(self) -> Any:
        self.open_end = False
        self.skip()
        start = self.position
        value = self.atom()
        if self._takes("^"):
            if self.tokens[start] in _FUNCTIONS or self.open_end:
                raise Ambiguous("an exponent after a function without parentheses around it")
            self.take("{")
            value = self.power(value, self.sum())
            self.take("}")
            if self.ahead == "^":
                raise Ambiguous("a double superscript")
        return value

    def power(self, base: Any, exponent: Any) -> Any:
        return _real(mp.power(base, exponent))

    def group(self) -> Any:
        self.take("{")
        value = self.sum()
        self.take("}")
        self.open_end = False
        return value

    def atom(self) -> Any:
        token = self.take()
        if token[0].isdigit():
            return mp.mpf(token)
        if token in self.symbols:
            return mp.mpf(self.symbols[token])
        if token == "(":
            value = self.sum()
            self.take(")")
            self.open_end = False
            return value
        if token == "{":
            value = self.sum()
            self.take("}")
            self.open_end = False
            return value
        if token in _FUNCTIONS:
            return self.function(_FUNCTIONS[token])
        readers = {
            r"\frac": lambda: self.group() / self.group(),
            r"\sqrt": lambda: _real(mp.sqrt(self.group())),
            r"\pi": lambda: +mp.pi,
            r"\sbpexp": lambda: mp.exp(self.group()),
            r"\sbpbracket": self.bracket,
            r"\lvert": self.absolute,
            r"\operatorname": self.operator,
            r"\begin": self.cases,
        }
        if token not in readers:
            raise Ambiguous(f"{token} can't start a factor")
        return readers[token]()

    def function(self, function: Callable[[Any], Any]) -> Any:
        """Of what stands in parentheses, or of the one symbol that follows."""
        if self.ahead == "(":
            self.take("(")
            value = _real(function(self.sum()))
            self.take(")")
            self.open_end = False
            return value
        if self.ahead not in self.symbols and self.ahead != r"\pi":
            raise Ambiguous(f"a function of {self.ahead} without parentheses")
        value = _real(function(self.atom()))
        self.open_end = True
        return value

    def operator(self) -> Any:
        self.take("{")
        name = ""
        while self.ahead != "}":
            name += self.take()
        self.take("}")
        return self.function(_FUNCTIONS[name])

    def absolute(self) -> Any:
        value = abs(self.sum())
        self.take(r"\rvert")
        self.open_end = False
        return value

    def bracket(self) -> Any:
        self.take("{")
        holds = self.condition()
        self.take("}")
        self.open_end = False
        return mp.mpf(holds)

    def condition(self) -> bool:
        """Comparisons joined by "or", each of which may be several joined by "and"."""
        holds = self.all_of()
        while self._takes(r"\lor"):
            holds = self.all_of() or holds
        return holds

    def all_of(self) -> bool:
        holds = self.comparison()
        while self._takes(r"\land"):
            holds = self.comparison() and holds
        return holds

    def comparison(self) -> bool:
        """A relation between two sums, or a condition in parentheses."""
        start = self.position
        try:
            left = self.sum()
            return _RELATIONS[self.take(*_RELATIONS)](left, self.sum())
        except Ambiguous:
            self.position = start
            self.take("(")
            holds = self.condition()
            self.take(")")
            return holds

    def cases(self) -> Any:
        """The value of the first case that holds; the conditions stand after it or below."""
        for char in ("{", "c", "a", "s", "e", "s", "}"):
            self.take(char)
        found = None
        while True:
            value = self.sum()
            self._takes("&")
            if self._takes(r"\sbpotherwise"):
                holds = True
            else:
                self.take(r"\sbpif")
                holds = self.condition()
            found = value if found is None and holds else found
            if not self._takes(r"\\"):
                break
        self.take(r"\end")
        for char in ("{", "c", "a", "s", "e", "s", "}"):
            self.take(char)
        self.open_end = True
        return found
