r"""Running text with mathematics in it: plain Unicode, formulas between ``$`` signs, ``\$`` for a dollar.

Headings, paragraphs, reasons and titles are in this form, so that each writer escapes the words for its
own medium and sets the formulas in its own way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from symbackprop.rendering.escape import escape_characters

_MATHEMATICS = re.compile(r"(?<!\\)\$((?:[^$\\]|\\.)*)\$", re.DOTALL)


class Part(NamedTuple):
    """A run of words, or the LaTeX of a formula."""

    text: str
    is_formula: bool


def parts(prose: str) -> Iterator[Part]:
    r"""Words and formulas in turn, a written-out dollar as itself.

    >>> [tuple(part) for part in parts(r"For $l < L$ it costs \$5.")]
    [('For ', False), ('l < L', True), (' it costs $5.', False)]
    """
    end = 0
    for found in _MATHEMATICS.finditer(prose):
        if found.start() > end:
            yield Part(prose[end : found.start()].replace(r"\$", "$"), False)
        yield Part(found[1], True)
        end = found.end()
    if end < len(prose):
        yield Part(prose[end:].replace(r"\$", "$"), False)


def literal(text: str) -> str:
    r"""Free text, such as a title that a user typed, as prose that holds no formula.

    >>> list(parts(literal("50$ and $x$")))
    [Part(text='50$ and $x$', is_formula=False)]
    """
    return " ".join(text.split()).replace("$", r"\$")


def tex(prose: str, display: bool = False) -> str:
    r"""Prose as LaTeX in ASCII: words escaped, formulas as they are, or as large as in a display.

    >>> print(tex(r"50% of $\sbpact{1}{j}$ & Schrödinger"))
    50\% of $\sbpact{1}{j}$ \& Schr\"{o}dinger
    """
    style = r"\displaystyle " if display else ""
    return "".join(
        f"${style}{text}$" if formula else escape_characters(text) for text, formula in parts(prose)
    )


def filled(prose: str, letters: Mapping[str, str]) -> str:
    r"""Prose whose formulas have letters put in for their names: ``$a^{@last}$``.

    >>> filled("For @all $l < @last$.", {"last": "L"})
    'For @all $l < L$.'
    """
    return "".join(
        f"${re.sub('@([a-z_]+)', lambda name: letters[name[1]], text)}$"
        if formula
        else text.replace("$", r"\$")
        for text, formula in parts(prose)
    )
