"""From the tables of a spec to a :class:`Network`, part by part, with every mistake on the way."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import sympy as sp

from symbackprop.network import Cost, Layer, Network, Remark, Size, Values
from symbackprop.spec.checks import (
    Activations,
    check_cost_formula,
    check_distinct,
    check_factor,
    check_fit,
    check_general_sizes,
    check_no_family,
    check_one_unit,
    check_size,
)
from symbackprop.spec.model import (
    CostTable,
    FactsTable,
    InputTable,
    LayerTable,
    PenaltyTable,
    RemarkTable,
    SpecTable,
)
from symbackprop.spec.values import Shapes, read_values
from symbackprop.tables.fields import good_fields
from symbackprop.tables.mistakes import Mistakes, Place
from symbackprop.tables.names import OF_ANY_DEPTH, why_illegal, why_no_other

_MOST_LAYERS = 1000
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_TITLE_LENGTH = 200
_REMARK_LENGTH = 2000


def read_network(data: Mapping[str, Any], mistakes: Mistakes) -> Network | None:
    """The network that a spec describes, or nothing if there are mistakes in it.

    A part that is wrong is left out, and the others are checked all the same.
    """
    reading = _Reading(data, mistakes)
    reading.check_labels()
    input_size, layers = reading.input_size(), reading.layers()
    cost, penalty, facts = reading.cost(layers), reading.penalty(), reading.facts()
    check_distinct(reading.symbols, mistakes)
    reading.check_sizes((input_size, *(size for size, _ in layers)))
    values = reading.values((input_size, *(size for size, _ in layers)), facts)
    remarks = reading.remarks()
    if mistakes.found or input_size is None or cost is None:
        return None
    return Network(
        name=reading.spec["name"],
        input_size=input_size,
        layers=reading.finished(layers),
        cost=cost,
        title=reading.spec["title"],
        depth=reading.spec["depth"],
        penalty=penalty,
        facts=facts,
        values=values,
        remarks=remarks,
        fingerprint=_fingerprint(data),
    )


def _fingerprint(data: Mapping[str, Any]) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), default=dict)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class _Reading:
    """One pass over a spec; ``symbols`` holds each name that a symbol got, what it is, and its place."""

    def __init__(self, data: Mapping[str, Any], mistakes: Mistakes) -> None:
        self.mistakes = mistakes
        self.spec = good_fields(SpecTable, data, (), mistakes)
        self.activations = Activations(mistakes)
        self.symbols: list[tuple[str, str, Place]] = []
        self.factors_wrong = not {"cost", "penalty"} <= self.spec.keys()

    def check_labels(self) -> None:
        """Name, title and depth."""
        name, title, depth = (self.spec.get(key) for key in ("name", "title", "depth"))
        if name is not None and not (_NAME.fullmatch(name) and name.strip("-_")):
            wanted = "a name has letters, digits, - and _, at most 64 of them, and doesn't start with -"
            self.mistakes.add(("name",), name, wanted)
        if title is not None and (reason := _why_no_title(title)):
            self.mistakes.add(("title",), title, reason)
        if depth is not None and (reason := why_illegal(depth) or why_no_other(depth)):
            self.mistakes.add(("depth",), depth, reason)
        elif depth is not None:
            self.symbols.append((depth, "the depth", ("depth",)))

    def input_size(self) -> Size | None:
        if "input" not in self.spec:
            return None
        table = good_fields(InputTable, self.spec["input"], ("input",), self.mistakes)
        return self.size(table, ("input", "size"))

    def size(self, table: Mapping[str, Any], place: Place) -> Size | None:
        size = check_size(table["size"], place, self.mistakes) if "size" in table else None
        if isinstance(size, str):
            self.symbols.append((size, "a size", place))
        return size

    def check_sizes(self, sizes: tuple[Size | None, ...]) -> None:
        """With a symbol for the depth, whether the sizes of its layers can be what they are called."""
        depth = self.spec.get("depth")
        if depth is not None and len(sizes) == 3:
            places: tuple[Place, ...] = (("input", "size"), ("layers", 0, "size"), ("layers", 1, "size"))
            check_general_sizes(list(zip(sizes, places, strict=True)), depth, self.mistakes)

    def layers(self) -> list[tuple[Size | None, Layer | None]]:
        """The size and the layer of each table in ``layers``, or nothing in place of what is wrong."""
        given = self.spec.get("layers", [])
        if "layers" in self.spec and not 1 <= len(given) <= _MOST_LAYERS:
            self.mistakes.add(("layers",), len(given), f"a network has 1 to {_MOST_LAYERS} layers")
        if self.spec.get("depth") is not None and len(given) != 2 and "layers" in self.spec:
            wanted = "with a depth there are two [[layers]], one for any hidden layer and the output layer"
            self.mistakes.add(("layers",), f"{len(given)} layers", wanted)
        return [self.layer(table, ("layers", number)) for number, table in enumerate(given[:_MOST_LAYERS])]

    def layer(self, given: object, place: Place) -> tuple[Size | None, Layer | None]:
        table = good_fields(LayerTable, given, place, self.mistakes)
        size, activation = self.size(table, (*place, "size")), None
        if "activation" in table:
            activation = self.activations.read(table["activation"], (*place, "activation"))
        if activation is None:
            return size, None
        check_one_unit(activation, size, (*place, "activation"), self.mistakes)
        depth = self.spec.get("depth")
        if depth not in (None, activation.name) and activation.name in OF_ANY_DEPTH:
            wanted = (
                f"the code for any depth has a number of this name: call {activation.name} something else"
            )
            self.mistakes.add((*place, "activation"), activation.name, wanted)
        if activation.name in self.activations.named:
            self.symbols.append((activation.name, "an activation", (*place, "activation")))
        return size, Layer(size or 1, activation, table.get("bias", True), table.get("kind", "dense"))

    def cost(self, layers: list[tuple[Size | None, Layer | None]]) -> Cost | None:
        if "cost" not in self.spec:
            return None
        given = self.spec["cost"]
        table = good_fields(CostTable, given, ("cost",), self.mistakes)
        scale = self.factor(table, ("cost", "scale"))
        if scale is not None and scale.is_zero:
            self.mistakes.add(("cost", "scale"), table["scale"], "a scale of 0 leaves no cost: give another")
        named = check_cost_formula(table, given, self.mistakes)
        if named is None:
            return None
        if layers and (output := layers[-1][1]) is not None:
            place = ("cost", "kind" if "kind" in given else "formula")
            check_fit(output.activation, *named, place, self.mistakes)
        return Cost(*named, scale, table.get("outputs", "sum"), table.get("examples", "mean"))

    def factor(self, table: Mapping[str, Any], place: Place) -> sp.Expr | None:
        key = str(place[-1])
        if key not in table:
            self.factors_wrong = True
            return None
        sizes = {name for name, meaning, _ in self.symbols if meaning in ("a size", "the depth")}
        factor = check_factor(table[key], sizes, place, self.mistakes)
        if factor is not None and self.spec.get("depth") is not None:
            factor = check_no_family(factor, table[key], place, self.mistakes)
        if factor is None:
            self.factors_wrong = True
        else:
            names = sorted(symbol.name for symbol in factor.free_symbols if not symbol.is_integer)
            self.symbols += [(name, "a factor", place) for name in names]
        return factor

    def penalty(self) -> sp.Expr | None:
        if self.spec.get("penalty") is None:
            return None
        table = good_fields(PenaltyTable, self.spec["penalty"], ("penalty",), self.mistakes)
        factor = self.factor(table, ("penalty", "l2"))
        if factor is not None and factor.is_negative:
            self.mistakes.add(("penalty", "l2"), table["l2"], "the factor of a penalty is not negative")
            self.factors_wrong = True
        return None if factor is None or factor.is_zero else factor

    def facts(self) -> frozenset[str]:
        if self.spec.get("facts") is None:
            return frozenset()
        table = good_fields(FactsTable, self.spec["facts"], ("facts",), self.mistakes)
        return frozenset(name for name, holds in table.items() if holds)

    def values(self, sizes: tuple[Size | None, ...], facts: frozenset[str]) -> Values | None:
        given = self.spec.get("values")
        if given is None or len(sizes) == 1:
            return None
        biases = tuple(_has_bias(table) for table in self.spec["layers"])
        open_symbols = {name for name, meaning, _ in self.symbols if meaning == "a factor"}
        symbols = None if self.factors_wrong else open_symbols
        shapes = Shapes(sizes, biases, symbols, self.spec.get("depth"), facts)
        return read_values(given, shapes, self.mistakes)

    def remarks(self) -> tuple[Remark, ...]:
        found = []
        for number, given in enumerate(self.spec.get("remarks", ())):
            table = good_fields(RemarkTable, given, ("remarks", number), self.mistakes)
            if "text" in table and (reason := _why_no_remark(table["text"])):
                self.mistakes.add(("remarks", number, "text"), table["text"], reason)
            if {"at", "text"} <= table.keys():
                found.append(Remark(table["at"], table["text"]))
        return tuple(found)

    def finished(self, layers: list[tuple[Size | None, Layer | None]]) -> tuple[Layer, ...]:
        """The layers with names for the activations that got none."""
        taken = {name for name, _, _ in self.symbols}
        read = [layer for _, layer in layers if layer is not None]
        named = [self.activations.name(layer.activation, taken) for layer in read]
        return tuple(
            Layer(layer.size, activation, layer.bias, layer.kind)
            for layer, activation in zip(read, named, strict=True)
        )


def _has_bias(table: object) -> bool:
    return not isinstance(table, Mapping) or table.get("bias") is not False


def _why_no_remark(text: str) -> str | None:
    if len(text) > _REMARK_LENGTH:
        return f"a remark has at most {_REMARK_LENGTH} characters, and this one has {len(text)}"
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") and char != "\n" for char in text):
        return "a remark has no control characters"
    return None


def _why_no_title(title: str) -> str | None:
    if len(title) > _TITLE_LENGTH:
        return f"a title has at most {_TITLE_LENGTH} characters, and this one has {len(title)}"
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in title):
        return "a title is one line without control characters"
    return None
