"""What can't stand in one notation: two quantities under one symbol, an index called like a quantity."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Place = tuple[str | int, ...]
Clash = tuple[Place, object, str]

MEANINGS = {
    "input": "the input",
    "target": "the target",
    "weight": "a weight",
    "bias": "a bias",
    "pre_activation": "the pre-activation",
    "activation": "the activation",
    "output": "the output",
    "delta": "delta, the error",
}
_WHERE = re.compile(r" \([a-z_]+\.\w+\)")
"""Where the first of two stands: letters of entries and of whole vectors clash alike."""

_TAKES_INDICES = re.compile(r"(?<!\\)[\^_](?![^{]*\})")


def clashes(tables: Mapping[str, Any]) -> Iterator[Clash]:
    """Every clash, once: the place of the second of the two, its value, and a sentence that names both."""
    told: set[tuple[Place, str]] = set()
    for place, value, sentence in _clashes(tables):
        what = _WHERE.sub("", sentence)
        if (place, what) not in told:
            told.add((place, what))
            yield place, value, sentence


def _clashes(tables: Mapping[str, Any]) -> Iterator[Clash]:
    for kind in ("entry", "whole", "batch"):
        yield from _same_letters(_named(tables, kind))
    yield from _scripts(tables)
    yield from _layers(tables)
    yield from _indices(tables)
    yield from _bracket(tables)
    if tables["bias"]["style"] == "folded" and tables["index"]["start"] == 0:
        wanted = "biases that are folded into the weights are those of unit 0: units are counted from 1"
        yield ("index", "start"), 0, wanted


def _named(tables: Mapping[str, Any], kind: str) -> list[tuple[Place, str, str]]:
    """Letters with their places and what they stand for, where two that are the same can't be told apart."""
    shared = {"input"} if tables["layer"]["input"] == "activation" else set()
    folded = {"bias"} if tables["bias"]["style"] == "folded" else set()
    letters: list[tuple[Place, str, str]] = [
        ((kind, key), letter, MEANINGS[key])
        for key, letter in tables[kind].items()
        if letter and key not in shared | folded
    ]
    letter = tables["letter"]
    letters += [
        (("letter", "cost"), letter["cost"], "the cost"),
        (("letter", "penalty"), letter["penalty"], "the penalty"),
        (("letter", "examples"), letter["examples"], "the number of examples"),
        (("letter", "learning_rate"), letter["learning_rate"], "the learning rate"),
    ]
    if tables["letter"]["example_cost"] != letter["cost"]:
        letters.append((("letter", "example_cost"), letter["example_cost"], "the cost of one example"))
    letters += [
        (("functions", name), sign, f"the function {name}") for name, sign in tables["functions"].items()
    ]
    return letters


def _same_letters(named: list[tuple[Place, str, str]]) -> Iterator[Clash]:
    first: dict[str, tuple[Place, str]] = {}
    for place, letter, meaning in named:
        before, stands_for = first.setdefault(letter, (place, meaning))
        if before != place:
            where = ".".join(map(str, before))
            yield place, letter, f"{meaning} is written as {stands_for} is ({where}): choose another letter"


def _scripts(tables: Mapping[str, Any]) -> Iterator[Clash]:
    """A letter that carries an index or an exponent already can't take another."""
    for kind in ("entry", "whole", "batch"):
        for key, letter in tables[kind].items():
            if _TAKES_INDICES.search(letter):
                wanted = (
                    "a letter takes a layer and indices, so it has no ^ and no _ of its own: leave it out"
                )
                yield (kind, key), letter, wanted


def _layers(tables: Mapping[str, Any]) -> Iterator[Clash]:
    """A layer that has the letter of a quantity, or of another layer."""
    layer = tables["layer"]
    taken = {
        letter: meaning for kind in ("batch", "whole", "entry") for _, letter, meaning in _named(tables, kind)
    }
    for key, meaning in (("general", "any hidden layer"), ("last", "the output layer")):
        if layer[key] in taken:
            wanted = f"{meaning} is written as {taken[layer[key]]} is: choose another letter"
            yield ("layer", key), layer[key], wanted
    if layer["last"] == layer["general"]:
        yield ("layer", "last"), layer["last"], "the output layer has another letter than any hidden layer"


def _indices(tables: Mapping[str, Any]) -> Iterator[Clash]:
    """An index, or a layer, that has the letter of a quantity or of another index."""
    index, layer = tables["index"], tables["layer"]
    taken = {letter: meaning for _, letter, meaning in _named(tables, "entry")}
    taken |= {layer["general"]: "any hidden layer", layer["last"]: "the output layer"}
    wanted = "the index {0} is written as {1} is: choose another letter"
    for key in ("here", "before", "after", "example"):
        if index[key] in taken:
            yield ("index", key), index[key], wanted.format(index[key], taken[index[key]])
    for key in ("others", "by_layer"):
        for number, letter in enumerate(index[key]):
            if not isinstance(letter, str) or not re.fullmatch(r"[A-Za-z]", letter):
                yield ("index", key, number), letter, "an index is a single letter"
            elif letter in taken:
                yield ("index", key, number), letter, wanted.format(letter, taken[letter])
    for key in ("here", "before", "after", "example"):
        if not re.fullmatch(r"[A-Za-z]", index[key]):
            yield ("index", key), index[key], "an index is a single letter"
    if index["here"] in (index["before"], index["after"]):
        yield ("index", "here"), index["here"], "the layer before and the layer after have another letter"
    units = [index["here"], index["before"], index["after"], *index["others"], *index["by_layer"]]
    if index["example"] in units:
        yield ("index", "example"), index["example"], "examples are counted by another letter than units"


def _bracket(tables: Mapping[str, Any]) -> Iterator[Clash]:
    """Kronecker's delta beside the delta of backpropagation."""
    delta = tables["entry"]["delta"]
    rest = tables["sign"]["bracket"].replace("#1", "")
    if re.search(re.escape(delta) + r"(?![A-Za-z])", rest):
        wanted = f"Kronecker's delta is written as delta, the error, is ({delta}): write it as a bracket"
        yield ("sign", "bracket"), tables["sign"]["bracket"], wanted
