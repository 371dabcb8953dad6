"""Labels where a capital letter is read as a small one: in MyST, and as file names on macOS and Windows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import count

_LAST = re.compile(r"(?<![A-Za-z0-9])L(?![A-Za-z0-9])")


def in_any_case(labels: Iterable[str]) -> dict[str, str]:
    """Each label, and the same so that it is unlike every other in small letters too: layer l is not layer L.

    >>> in_any_case(["a-l-batch", "a-L-batch", "dC-dA", "dC-da"])
    {'a-l-batch': 'a-l-batch', 'a-L-batch': 'a-last-batch', 'dC-dA': 'dC-dA', 'dC-da': 'dC-da-2'}
    """
    taken: set[str] = set()
    found: dict[str, str] = {}
    for label in dict.fromkeys(labels):
        plain = _LAST.sub("last", label)
        tries = (plain if number == 1 else f"{plain}-{number}" for number in count(1))
        found[label] = next(each for each in tries if each.lower() not in taken)
        taken.add(found[label].lower())
    return found
