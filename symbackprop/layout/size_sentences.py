"""Sentences about how many units the layers of a network have, as far as the spec says it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import sympy as sp

from symbackprop.algebra.indices import size_symbol
from symbackprop.algebra.layers import LAST, LAYER
from symbackprop.forward.model import Model
from symbackprop.layout.writer import Writer
from symbackprop.network import size_family
from symbackprop.printing.symbols import layer_argument, size

OF_LAYER = size_symbol(f"n_{LAYER}")
"""The size of any layer."""


def size_sentences(writer: Writer) -> Iterator[str]:
    """What the spec says of sizes, if anything: numbers, and names of its own."""
    if misleading(writer.model):
        yield " ".join(_units(writer))
    elif given := list(_given(writer)):
        yield writer.say("sizes", sizes=", ".join(given))


def misleading(model: Model) -> bool:
    """Whether the spec calls a size what the text would call that of another layer: ``n_1`` in layer 0."""
    declared = dict(model.sizes)
    named = ((symbol, shown) for symbol, shown in model.sizes if shown != symbol)
    return not model.symbolic_depth and any(declared.get(shown, shown) != shown for _, shown in named)


def size_by_layer(writer: Writer, symbol: sp.Symbol) -> str:
    """A size by its layer: n_l, or r_l where the spec calls those of the hidden layers so."""
    names, hidden = writer.names, writer.model.network.layers[0].size
    family = size_family(hidden) if writer.model.symbolic_depth else None
    by_layer = size_symbol(symbol.name.replace("n_", f"{family or 'n'}_", 1))
    depth = {name: shown for name, shown in names.sizes.items() if name == str(LAST)}
    return size(by_layer, replace(names, sizes=depth))


def _units(writer: Writer) -> Iterator[str]:
    """Layer 0 has n_1 units."""
    for number, (symbol, _) in enumerate(writer.model.sizes):
        layer = layer_argument(sp.Integer(number), writer.names)
        yield writer.say("units", layer=layer, size=size(symbol, writer.names))


def _given(writer: Writer) -> Iterator[str]:
    """n_0 = 784: each size for which the spec has a number or another name."""
    for symbol, _ in writer.model.sizes:
        left, right = size_by_layer(writer, symbol), size(symbol, writer.names)
        if left != right and symbol not in (LAST, size_symbol(f"n_{LAST}-1")):
            equality = f"${left} = {right}$"
            yield writer.say("hidden_size", size=equality) if symbol == OF_LAYER else equality
