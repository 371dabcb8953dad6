"""One equation of a derivation as a document of its own, by its label."""

from __future__ import annotations

from collections.abc import Sequence

from symbackprop.layout.document import Chain, Section, chains
from symbackprop.rendering.render import fill


def labelled(sections: Sequence[Section]) -> dict[str, Chain]:
    """The equations that have a label, in order."""
    return {chain.label: chain for chain in chains(sections) if chain.label}


def equation(chain: Chain) -> str:
    """A LaTeX document that holds what a chain says: its left side and its result.

    >>> from symbackprop.layout.document import Row
    >>> "a &= c" in equation(Chain("a", (Row(("b",)), Row(("c",)))))
    True
    """
    last = chain.rows[-1]
    first, *others = last.lines
    lines = [f"{chain.left} &{last.sign} {first}", *(rf"&\quad {line}" for line in others)]
    return fill("equation.tex.jinja", {"lines": lines})
