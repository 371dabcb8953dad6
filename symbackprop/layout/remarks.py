"""Remarks that a spec makes about its own network, put behind the formulas that they are about."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from symbackprop.errors import SymbackpropError
from symbackprop.layout.document import Block, Display, Paragraph, Section, chains
from symbackprop.layout.outline import load_outline, outlines
from symbackprop.network import Remark
from symbackprop.rendering.prose import literal
from symbackprop.tables.names import did_you_mean, one_line, quoted

_BEGINNINGS = {"worked-": "worked", "graph-": "graph", "line-": "graph"}
"""How the labels of a form begin that no other form has."""

Elsewhere = Callable[[], dict[str, str]]
"""The labels that other forms would have, each with its form."""


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


def unprinted(remarks: Iterable[Remark], sections: Sequence[Section], elsewhere: Elsewhere) -> Iterator[str]:
    """A sentence for each remark whose line isn't printed, with the form that has it.

    ``elsewhere`` is asked only where it matters.

    Raises:
        SymbackpropError: for a label that no form has.
    """
    printed = {chain.label for chain in chains(sections)}
    for remark in remarks:
        if remark.at not in printed:
            where = _form_by_name(remark.at) or _form_found(remark.at, printed, elsewhere())
            shown = one_line(remark.at).encode("ascii", "backslashreplace").decode("ascii")
            yield f"the remark at {shown} is not printed, since that line is in {where}"


def _form_by_name(label: str) -> str | None:
    """The form that a label says itself to be of, or the argument of a text that has it."""
    own = next((form for beginning, form in _BEGINNINGS.items() if label.startswith(beginning)), None)
    if own is not None:
        return f"the form {own}"
    text = next((name for name in outlines() if label in load_outline(name).ids), None)
    return f"the argument of the notation {text}" if text else None


def _form_found(label: str, printed: Collection[str], others: dict[str, str]) -> str:
    if label in others:
        return f"the form {others[label]}"
    known = sorted({*printed, *others} - {""})
    hint = did_you_mean(label, known) or f": there are {', '.join(known)}"
    raise SymbackpropError(f"remarks: at = {quoted(label)}: no line has this label{hint}")
