"""The form of a text that argues in its own order: the outline of the notation, item by item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from symbackprop.checking.check import Equality
from symbackprop.errors import SymbackpropError
from symbackprop.forward.model import Model
from symbackprop.layout.document import Block, Display, Paragraph, Section
from symbackprop.layout.general import general_block
from symbackprop.layout.graph_form import graph_sections
from symbackprop.layout.index_form import input_section
from symbackprop.layout.outline import Item, Outline, load_outline
from symbackprop.layout.outline_items import SHOWS, Desk
from symbackprop.layout.writer import Writer
from symbackprop.printing.symbols import layer_argument
from symbackprop.rendering.prose import filled

MOST_WRITTEN_OUT = 60
"""So many entries of parameters can be read when an outline has every sum written out."""


def argument_sections(writer: Writer) -> Iterator[Section]:
    """The sections of the notation's outline for this network.

    Raises:
        FormRefused: where the notation has no outline, or its argument doesn't fit the network.
    """
    outline = load_outline(writer.names.notation.outline)
    desk = Desk(writer, _chosen(writer, outline))
    for part in outline.parts:
        blocks: list[Block] = []
        sections: list[Section] = []
        for item in part.items:
            if item.show == "graph":
                shown = graph_sections(writer, writer.graph)
                sections += map(_with_id, shown, item.options["ids"])
            else:
                blocks += _blocks(desk, item)
        yield Section(_in(part.heading, writer), tuple(blocks))
        yield from sections
    yield from input_section(writer)


def why_not(writer: Writer) -> str | None:
    """Why the argument of the notation can't be made for this network; nothing if it can."""
    if not writer.names.notation.outline:
        return "the notation has no argument of its own: use index, general or matrix"
    if writer.model.network.penalty is not None:
        return "it knows no penalty, and this network has one: use index, general or matrix"
    outputs = load_outline(writer.names.notation.outline).outputs
    if outputs is not None and writer.model.network.layers[-1].size != outputs:
        return f"it is told for an output layer of {outputs}: use index, general or matrix"
    if _writes_out(load_outline(writer.names.notation.outline)) and not _can_be_written_out(writer.model):
        return "it writes every sum out, and this network is too large for that: use index, general or matrix"
    try:
        tuple(argument_sections(writer))
    except (SymbackpropError, KeyError) as error:
        return f"it doesn't fit this network ({error}): use index, general or matrix"
    except (TypeError, ValueError):
        return "it asks for an entry or a layer that this network hasn't: use index, general or matrix"
    return None


def _writes_out(outline: Outline) -> bool:
    """Whether the outline has sums written out, or every entry."""
    items = (item for part in outline.parts for item in part.items)
    return any(item.options.get("components") or item.options.get("entries") for item in items)


def _can_be_written_out(model: Model) -> bool:
    """Whether sizes are numbers, and small ones."""
    counts = model.parameter_counts
    return all(count.is_Integer for count in counts) and sum(counts) <= MOST_WRITTEN_OUT


def shows_graph(writer: Writer) -> bool:
    """Whether the outline has the computation graph in it."""
    outline = load_outline(writer.names.notation.outline)
    return any(item.show == "graph" for part in outline.parts for item in part.items)


def _chosen(writer: Writer, outline: Outline) -> tuple[str, ...]:
    """The entries that the argument follows: those that the reader chose, then those of the outline."""
    own = writer.derivation.chosen
    return (*own, *outline.weights[len(own) :])


def _blocks(desk: Desk, item: Item) -> Iterator[Block]:
    if item.text:
        yield Paragraph(filled(_in(item.text, desk.writer), _letters(desk.writer)))
    if not item.show:
        return
    if item.options.get("any_layer") and not desk.writer.model.symbolic_depth:
        yield from map(general_block, SHOWS[item.show](desk.any_depth(), item))
    else:
        yield from SHOWS[item.show](desk, item)


def _with_id(section: Section, id_: str) -> Section:
    """A section of another form, with an id for the last formula in it."""
    place = max(n for n, block in enumerate(section.blocks) if isinstance(block, Display))
    display = section.blocks[place]
    assert isinstance(display, Display)
    *others, last = display.chains
    rows = tuple(replace(row, equality=_labelled(row.equality, last.label, id_)) for row in last.rows)
    blocks = list(section.blocks)
    blocks[place] = replace(display, chains=(*others, replace(last, rows=rows, label=id_)))
    return replace(section, blocks=tuple(blocks))


def _labelled(equality: Equality | None, old: str, new: str) -> Equality | None:
    return equality and replace(equality, label=equality.label.replace(old, new, 1))


def _letters(writer: Writer) -> dict[str, str]:
    """What ``@last`` and the like stand for in the formulas of a sentence."""
    index, model, names = writer.names.notation.index, writer.model, writer.names
    layers = {"last": model.last_layer, "before_last": model.last_layer - 1, "any": model.general_layer}
    letters = {name: layer_argument(layer, names) for name, layer in layers.items()}
    sizes = {"last": model.last_layer, "any": model.general_layer, "before": model.general_layer - 1}
    letters |= {f"size_{name}": writer.size(layer) for name, layer in sizes.items()}
    return letters | {"here": index.here, "before": index.before, "after": index.after}


def _in(text: Mapping[str, str], writer: Writer) -> str:
    """A text in the language of the document, or else in English."""
    return text.get(writer.words.language, text["en"])
