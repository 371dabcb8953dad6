"""What can go wrong, as sentences: every exception that a user may meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class SymbackpropError(Exception):
    """Base of every error that this package raises on purpose."""


@dataclass(frozen=True)
class Problem:
    """One mistake in a spec.

    ``where`` is the place inside the spec (``layers[1].size``, or ``""`` for the whole file),
    ``given`` what stood there (already shortened for printing, or ``None``), and ``wanted`` a
    sentence that says what would be right.

    >>> print(Problem("layers[1].size", "0", "a size is a whole number from 1 up"))
    layers[1].size: 0: a size is a whole number from 1 up
    """

    where: str
    given: str | None
    wanted: str

    def __str__(self) -> str:
        return in_one_line(": ".join(part for part in (self.where, self.given, self.wanted) if part))


def in_one_line(text: str) -> str:
    r"""Text with an escape for whatever can't be printed, such as a line's end in a name.

    >>> print(in_one_line("the symbol \x85 for the depth"))
    the symbol \x85 for the depth
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class SpecError(SymbackpropError):
    """A spec with mistakes in it; ``problems`` has every one of them, in the order of the file."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{source}: {problem}" for problem in self.problems))


class NoRule(SymbackpropError):
    """An operation that no rule covers. It is refused by its name; nothing is guessed."""


class FormRefused(SymbackpropError):
    """A form that makes no sense for this network, with the reason and the form to use."""


class MissingProgram(SymbackpropError):
    """An outside program such as TeX is not there; the message says how to get it."""
