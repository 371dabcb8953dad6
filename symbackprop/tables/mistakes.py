"""Mistakes in a spec, collected while it is checked, and put into the order of the file at the end."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

from symbackprop.errors import Problem, SymbackpropError
from symbackprop.tables.names import quoted

Place = tuple[str | int, ...]
"""Keys and positions in lists, from the top of a spec down to a value."""

ABSENT: Any = object()
"""Stands for what a user didn't write."""

_MOST_PROBLEMS = 100


@dataclass
class Mistakes:
    """What is wrong so far: the place, what stood there (or nothing), and what would be right."""

    found: list[tuple[Place, str | None, str]] = field(default_factory=list)

    def add(self, place: Place, given: object, wanted: str) -> None:
        """One more mistake; ``given`` is the value as it was given, or :data:`ABSENT`."""
        self.found.append((place, None if given is ABSENT else quoted(given), wanted))

    def problems(self, data: Any) -> tuple[Problem, ...]:
        """Every mistake, in the order of the file."""
        ordered = sorted(self.found, key=lambda found: _position(found[0], data))
        problems = [Problem(spelled(place), given, wanted) for place, given, wanted in ordered]
        if len(problems) > _MOST_PROBLEMS:
            more = f"and {len(problems) - _MOST_PROBLEMS} more mistakes"
            problems = [*problems[:_MOST_PROBLEMS], Problem("", None, more)]
        return tuple(problems)


def spelled(place: Place) -> str:
    """A place as an error shows it.

    >>> spelled(("layers", 1, "size"))
    'layers[1].size (layer 2)'
    """
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_key(part)}" for part in place)
    layer = f" (layer {int(place[1]) + 1})" if place[:1] == ("layers",) and len(place) > 1 else ""
    return text.removeprefix(".") + layer


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", name) else quoted(name)


def _position(place: Place, data: Any) -> tuple[int, ...]:
    """Where a place stands in the file: what is missing comes at the end of its table."""
    position: list[int] = []
    for part in place:
        if isinstance(data, Mapping):
            keys = list(data)
            position.append(keys.index(part) if part in keys else len(keys))
            data = data.get(part)
        elif isinstance(data, Sequence) and isinstance(part, int) and part < len(data):
            position.append(part)
            data = data[part]
        else:
            break
    return tuple(position)


def require(value: object, kinds: type | tuple[type, ...], where: str, wanted: str) -> None:
    """Refuse an argument of another kind than it has to be.

    Raises:
        SymbackpropError: with the argument's name, what was given and what would be right.

    >>> require("a", int, "seed", "a seed is a whole number from 0 up")
    Traceback (most recent call last):
    ...
    symbackprop.errors.SymbackpropError: seed: 'a': a seed is a whole number from 0 up
    """
    whole = kinds is int
    if not isinstance(value, Integral if whole else kinds) or (whole and isinstance(value, bool)):
        raise SymbackpropError(f"{where}: {quoted(value)}: {wanted}")
