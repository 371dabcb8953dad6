"""Remarks that a spec makes about its own network, put behind the formulas that they are about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from symbackprop.layout.document import Block, Display, Paragraph, Section
from symbackprop.network import Remark
from symbackprop.rendering.prose import literal


def with_remarks(section: Section, remarks: Iterable[Remark]) -> Section:
    """A section with each remark behind the display that holds the label that it names.

    >>> from symbackprop.layout.document import Chain
    >>> section = Section("Costs", (Display((Chain("C", (), "cost"),)), Paragraph("And so on.")))
    >>> with_remarks(section, [Remark("cost", "It is small."), Remark("delta-1", "Elsewhere.")]).blocks[1:]
    (Paragraph(text='It is small.'), Paragraph(text='And so on.'))
    """
    blocks = tuple(b for block in section.blocks for b in (block, *_about(block, remarks)))
    return replace(section, blocks=blocks)


def _about(block: Block, remarks: Iterable[Remark]) -> Iterator[Paragraph]:
    labels = {chain.label for chain in block.chains} if isinstance(block, Display) else set()
    yield from (Paragraph(literal(remark.text)) for remark in remarks if remark.at in labels)
