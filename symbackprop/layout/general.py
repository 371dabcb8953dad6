"""Sections about any number of layers inside the text of a network with a number of them."""

from __future__ import annotations

from dataclasses import replace

from symbackprop.layout.claims import GENERAL
from symbackprop.layout.document import Block, Chain, Display, Row, Section


def general_section(section: Section) -> Section:
    """A section about any number of layers, with its equalities and labels marked as such."""
    return replace(section, blocks=tuple(general_block(block, "general-") for block in section.blocks))


def general_block(block: Block, prefix: str = "") -> Block:
    """A block about any number of layers; its labels start with a prefix where others may be the same."""
    if not isinstance(block, Display):
        return block
    return Display(tuple(_chain(chain, prefix) for chain in block.chains))


def _chain(chain: Chain, prefix: str) -> Chain:
    label = chain.label and f"{prefix}{chain.label}"
    return replace(chain, rows=tuple(_row(row, prefix) for row in chain.rows), label=label)


def _row(row: Row, prefix: str) -> Row:
    equality = row.equality
    if equality is None:
        return row
    marked = replace(equality, kind=GENERAL + equality.kind, label=f"{prefix}{equality.label}")
    return replace(row, equality=marked)
