"""Links between a line in index form and the line that says the same in matrix form, in both directions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from symbackprop.layout.document import Block, Chain, Display, Link, Section, chains

TWINS = ("-matrix", "-batch")
"""What the label of a line in matrix form ends with, after that of the same line in index form."""

FORMS = ("index", "general", "matrix")
"""The forms whose lines are linked, where there are several of them."""


def twins(sections: Sequence[Section]) -> dict[str, Chain]:
    """The chain in matrix form that goes with a chain in another form, by the label of the latter.

    That of one example goes before that of all examples.

    >>> both = Display((Chain("a", (), "a-1"), Chain("a", (), "a-1-batch")))
    >>> twins([Section("Both", (both,))])["a-1"].label
    'a-1-batch'
    """
    by_label = {chain.label: chain for chain in chains(sections)}
    found = (
        (label, by_label.get(label + ending)) for ending in reversed(TWINS) for label in by_label if label
    )
    return {label: twin for label, twin in found if twin is not None}


def with_links(
    sections: Sequence[Section], fits: Callable[[Display], bool] = lambda display: True
) -> tuple[Section, ...]:
    """Sections whose chains know their twin; those in one section stand beside it anyway.

    A line that leaves no room for its link is left without it.

    >>> one, other = Display((Chain("a", (), "a-1"),)), Display((Chain("a", (), "a-1-matrix"),))
    >>> _, matrix = with_links([Section("Indices", (one,)), Section("Matrices", (other,))])
    >>> matrix.blocks[0].chains[0].link
    Link(form='index_form', label='a-1')
    """
    links = dict(_links(sections))
    return tuple(
        replace(section, blocks=tuple(_linked(block, links, fits) for block in section.blocks))
        for section in sections
    )


def _links(sections: Sequence[Section]) -> Iterator[tuple[str, Link]]:
    place = {chain.label: number for number, section in enumerate(sections) for chain in chains([section])}
    for label, twin in twins(sections).items():
        if place[label] != place[twin.label]:
            yield label, Link("matrix_form", twin.label)
            yield twin.label, Link("index_form", label)


def _linked(block: Block, links: dict[str, Link], fits: Callable[[Display], bool]) -> Block:
    """A display with its links, but for the longest lines if there is no room beside them."""
    if not isinstance(block, Display):
        return block
    linked = replace(block, chains=tuple(replace(c, link=links.get(c.label)) for c in block.chains))
    while not fits(linked) and any(chain.link for chain in linked.chains):
        longest = max((c for c in linked.chains if c.link), key=_length)
        chains = (replace(c, link=None) if c is longest else c for c in linked.chains)
        linked = replace(linked, chains=tuple(chains))
    return linked


def _length(chain: Chain) -> int:
    return max((len(line) for row in chain.rows for line in row.lines), default=0)
