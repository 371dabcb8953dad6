"""Layers without a number: the letters l and L in the names of quantities and sizes, and what they stand for.

A network with a symbol for its depth is described by its hidden layer l and its last layer L. These two
letters are the engine's own, whatever a spec calls its depth; they stand in the names of quantities
(``W[l]``, ``a[L-1]``) and of sizes (``n_l``), and here numbers or each other are put in for them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import sympy as sp

from symbackprop.algebra.indices import index_symbol, replaced

LAYER = index_symbol("l")
"""Any hidden layer; what is derived for it holds for every one."""

LAST = index_symbol("L")
"""The last layer of a network with a symbol for its depth."""

_NAME = re.compile(r"(?P<head>[A-Za-z_]+\[|n_)(?P<letter>[lL])(?P<step>[+-]\d+)?\]?")

Layers = Mapping[sp.Symbol, sp.Expr]


class LayerSum(sp.Expr):  # type: ignore[misc]
    """The sum over all layers of an expression about one of them: ``term`` for l = 1, 2, …, ``last``.

    The term depends on the layer by its names (``W[l]``, ``n_l``), so no rule may take it apart as it
    would the body of a sum over an index.
    """

    is_commutative = True
    is_real = True

    def __new__(cls, term: sp.Expr, layer: sp.Symbol, last: sp.Expr) -> LayerSum:
        return sp.Expr.__new__(cls, term, layer, last)  # type: ignore[no-any-return]

    @property
    def term(self) -> sp.Expr:
        """What is added up, for any layer."""
        return self.args[0]

    @property
    def layer(self) -> sp.Symbol:
        """The letter of that layer."""
        return self.args[1]

    @property
    def last(self) -> sp.Expr:
        """The layer up to which the sum goes."""
        return self.args[2]


def written(layer: sp.Expr) -> str:
    """A layer as part of a name; SymPy's printer is slow for plain numbers.

    >>> written(LAYER + 1), written(sp.Integer(2))
    ('l+1', '2')
    """
    return str(int(layer)) if layer.is_Integer else str(layer).replace(" ", "")


def layered_name(letter: str, layer: sp.Expr) -> str:
    """The name of a quantity of a layer.

    >>> layered_name("W", sp.Integer(1)), layered_name("z", LAYER + 1)
    ('W1', 'z[l+1]')
    """
    return f"{letter}{written(layer)}" if layer.is_Integer else f"{letter}[{written(layer)}]"


def layer_in(name: str) -> tuple[str, sp.Expr] | None:
    """The letter of a quantity (or ``n_`` for a size) and its layer, if that is l, L or near to them.

    >>> layer_in("a[L-1]")
    ('a', L - 1)
    >>> layer_in("W1")
    """
    found = _NAME.fullmatch(name)
    if found is None or (found["head"] == "n_") == name.endswith("]"):
        return None
    return found["head"].rstrip("["), index_symbol(found["letter"]) + int(found["step"] or 0)


def name_at(name: str, layers: Layers) -> str:
    """The name of the same thing in other layers: activation 0 is the input.

    >>> name_at("W[l+1]", {LAYER: sp.Integer(2)}), name_at("n_l", {LAYER: LAST})
    ('W3', 'n_L')
    """
    found = layer_in(name)
    if found is None:
        return name
    letter, layer = found[0], found[1].xreplace(dict(layers))
    if letter == "n_":
        return f"n_{written(layer)}"
    return "x" if (letter, layer) == ("a", sp.S.Zero) else layered_name(letter, layer)


def at_layers(expr: sp.Expr, layers: Layers) -> sp.Expr:
    """An expression about the layers l and L as one about others, numbers say.

    >>> W = sp.IndexedBase("W[l]", real=True)
    >>> j, n = index_symbol("j"), index_symbol("n_l")
    >>> at_layers(sp.Sum(W[j, j], (j, 1, n)), {LAYER: sp.Integer(2)})
    Sum(W2[j, j], (j, 1, n_2))
    >>> at_layers(LayerSum(W[1, 1], LAYER, LAST), {LAST: sp.Integer(2)})
    W1[1, 1] + W2[1, 1]
    """
    new: dict[sp.Basic, sp.Basic] = {node: _sum_at(node, layers) for node in expr.atoms(LayerSum)}
    new.update(layers)
    for symbol in expr.atoms(sp.Symbol, sp.IndexedBase):
        name = name_at(symbol.name, layers)
        if symbol not in new and name != symbol.name:
            new[symbol] = _renamed(symbol, name)
    return replaced(expr, new)


def _renamed(symbol: sp.Symbol | sp.IndexedBase, name: str) -> sp.Symbol | sp.IndexedBase:
    if isinstance(symbol, sp.IndexedBase):
        return sp.IndexedBase(name, real=True)
    return sp.Symbol(name, **symbol.assumptions0)


def _sum_at(node: LayerSum, layers: Layers) -> sp.Expr:
    """The sum written out where its last layer is a number; else the same sum, its own letter left alone."""
    last = node.last.xreplace(dict(layers))
    others = {symbol: value for symbol, value in layers.items() if symbol != node.layer}
    if not last.is_Integer:
        return LayerSum(at_layers(node.term, others), node.layer, last)
    numbers = range(1, int(last) + 1)
    return sp.Add(*(at_layers(node.term, {**others, node.layer: sp.Integer(n)}) for n in numbers))
