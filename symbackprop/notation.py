r"""Notations as data: which letters and signs the text uses, as the macros of ``symbackprop.sty``.

The text never holds a letter of its own. It holds macros such as ``\sbpact{2}{j}``, whose
definitions come from a notation, a TOML file in ``notations/``. Arguments always come in the same
order (the layer, the unit led to, the unit led from), whatever the notation prints, so a text
can change its notation by changing the definitions alone.

* ``\sbpact{l}{j}`` is an entry, ``\sbpactvec{l}`` the whole vector, ``\sbpactmat{l}`` a batch of
  them, ``\sbpactletter`` the letter; ``\sbpweight{l}{j}{k}`` has its second index from the layer below.
* ``\sbplayer{l}`` dresses a layer: ``l``, ``(l)`` or ``[l]``.
* An entry of example ``n`` is ``\sbpact{\sbpinexample{n}{l}}{j}`` where it has a layer, and
  ``\sbpofexample{\sbpinput{k}}{n}`` where it has none: neither gives a second superscript.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

from symbackprop.errors import SymbackpropError
from symbackprop.names import did_you_mean, quoted

DEFAULT = "nielsen"
"""The notation that is used where none is asked for."""

LAYER_STYLES = {"bare": "#1", "parentheses": "(#1)", "brackets": r"\lbrack #1\rbrack"}
INDEX_ORDERS = {"to-from": ("#2", "#3"), "from-to": ("#3", "#2")}

_STEMS = {
    "input": "input",
    "target": "target",
    "weight": "weight",
    "bias": "bias",
    "pre_activation": "pact",
    "activation": "act",
    "delta": "delta",
}
_KEYS = {
    "layer": ("style", "last"),
    "index": ("order", "separator"),
    "entry": tuple(_STEMS),
    "whole": tuple(_STEMS),
    "batch": ("input", "target", "pre_activation", "activation", "delta"),
    "letter": ("cost", "example_cost", "penalty", "examples", "size", "learning_rate"),
    "sign": ("vector", "matrix", "transpose", "hadamard", "prime", "partial", "bracket"),
    "example": ("in_layer", "alone", "cost"),
}


@dataclass(frozen=True)
class Macro:
    r"""One LaTeX macro: its name without the backslash, how many arguments it takes, what it prints.

    >>> Macro("sbpexamples", 0, "N").call()
    '\\sbpexamples'
    >>> Macro("sbpbias", 2, "b^{#1}_{#2}").call("1", "j")
    '\\sbpbias{1}{j}'
    """

    name: str
    arguments: int
    definition: str

    def call(self, *arguments: str) -> str:
        """The macro applied to arguments, as LaTeX source."""
        if len(arguments) != self.arguments:
            raise ValueError(f"\\{self.name} takes {self.arguments} arguments, not {len(arguments)}")
        return f"\\{self.name}" + "".join(f"{{{argument}}}" for argument in arguments)


@dataclass(frozen=True)
class Notation:
    """How quantities are written: every macro with its definition, and what it was made from.

    >>> notation = load_notation("nielsen")
    >>> notation["sbpweight"].definition
    '\\\\sbpweightletter^{\\\\sbplayer{#1}}_{#2#3}'
    """

    name: str
    description: str
    layer_style: str
    index_order: str
    index_separator: str
    macros: tuple[Macro, ...]
    functions: tuple[tuple[str, str], ...]
    """The name of each activation function, as the engine knows it, and that of its macro."""

    def __getitem__(self, name: str) -> Macro:
        return self._by_name[name]

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    @cached_property
    def _by_name(self) -> dict[str, Macro]:
        return {macro.name: macro for macro in self.macros}

    def function(self, name: str) -> str | None:
        """The macro of an activation function, without the backslash; ``None`` if it has none."""
        return dict(self.functions).get(name)


def notations() -> dict[str, str]:
    """The name of every notation and what it is.

    >>> list(notations())
    ['nielsen']
    """
    return {name: load_notation(name).description for name in _names()}


@cache
def load_notation(name: str = DEFAULT) -> Notation:
    """The notation with this name.

    Raises:
        SymbackpropError: if there is none, with the one that may have been meant.

    >>> load_notation("nielson")
    Traceback (most recent call last):
    ...
    symbackprop.errors.SymbackpropError: there is no notation 'nielson'; did you mean nielsen?
    """
    if name not in _names():
        hint = did_you_mean(name, _names()) or f": choose one of {', '.join(_names())}"
        raise SymbackpropError(f"there is no notation {quoted(name)}{hint}")
    text = files("symbackprop").joinpath("notations", f"{name}.toml").read_text(encoding="utf-8")
    return notation_from(name, tomllib.loads(text))


def notation_from(name: str, data: Mapping[str, Any]) -> Notation:
    """A notation from its tables, as a notation file holds them.

    A table ``macros`` may replace the definition of any macro: ``sbpsize = "d_{#1}"``.

    Raises:
        SymbackpropError: for a key that is missing or unknown, or a choice that there isn't.
    """
    _check_keys(name, data)
    layer, index = data["layer"], data["index"]
    _check_choice(name, "layer.style", layer["style"], LAYER_STYLES)
    _check_choice(name, "index.order", index["order"], INDEX_ORDERS)
    functions = tuple((function, _function_macro(function)) for function in data["functions"])
    macros = (*_letters(data), *_entries(data), *_wholes(), *_signs(data), *_functions(data))
    return Notation(
        name,
        data["description"],
        layer["style"],
        index["order"],
        index["separator"],
        _replaced(name, macros, data.get("macros", {})),
        functions,
    )


def _names() -> list[str]:
    folder = files("symbackprop").joinpath("notations")
    return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml"))


def _check_keys(name: str, data: Mapping[str, Any]) -> None:
    tables = {*_KEYS, "functions"}
    wanted = {(table, key) for table, keys in _KEYS.items() for key in keys}
    found = {(table, key) for table in _KEYS for key in data.get(table, {})}
    top = set(data) ^ {*tables, "description"} - {"macros"}
    wrong = sorted(top - {"macros"}) + [f"{table}.{key}" for table, key in sorted(wanted ^ found)]
    if wrong:
        raise SymbackpropError(f"the notation {name} has these keys missing or too many: {', '.join(wrong)}")


def _check_choice(name: str, key: str, value: object, choices: Mapping[str, object]) -> None:
    if value not in choices:
        raise SymbackpropError(
            f"the notation {name} has {key} = {quoted(value)}: it is one of {', '.join(choices)}"
        )


def _letters(data: Mapping[str, Any]) -> list[Macro]:
    """One macro for each letter, so that a letter is changed everywhere at once."""
    letters = [Macro(f"sbp{stem}letter", 0, data["entry"][key]) for key, stem in _STEMS.items()]
    letters += [Macro(f"sbp{stem}wholeletter", 0, data["whole"][key]) for key, stem in _STEMS.items()]
    letters += [Macro(f"sbp{_STEMS[key]}batchletter", 0, letter) for key, letter in data["batch"].items()]
    named = data["letter"]
    return [
        *letters,
        Macro("sbpcost", 0, named["cost"]),
        Macro("sbpexamplecost", 0, named["example_cost"]),
        Macro("sbppenalty", 0, named["penalty"]),
        Macro("sbpexamples", 0, named["examples"]),
        Macro("sbpsizeletter", 0, named["size"]),
        Macro("sbplearningrate", 0, named["learning_rate"]),
        Macro("sbplastlayer", 0, data["layer"]["last"]),
    ]


def _entries(data: Mapping[str, Any]) -> list[Macro]:
    """Single entries, with their indices as arguments."""
    to, from_ = INDEX_ORDERS[data["index"]["order"]]
    layer, separator = r"\sbplayer{#1}", data["index"]["separator"]
    layered = [
        Macro(f"sbp{stem}", 2, rf"\sbp{stem}letter^{{{layer}}}_{{#2}}")
        for stem in ("bias", "pact", "act", "delta")
    ]
    return [
        Macro("sbplayer", 1, LAYER_STYLES[data["layer"]["style"]]),
        Macro("sbpinput", 1, r"\sbpinputletter_{#1}"),
        Macro("sbptarget", 1, r"\sbptargetletter_{#1}"),
        Macro("sbpweight", 3, rf"\sbpweightletter^{{{layer}}}_{{{to}{separator}{from_}}}"),
        Macro("sbpweightwide", 3, rf"\sbpweightletter^{{{layer}}}_{{{to},{from_}}}"),
        *layered,
        Macro("sbpsize", 1, r"\sbpsizeletter_{#1}"),
        Macro("sbpsymbol", 1, "#1"),
        Macro("sbpentry", 2, "{#1}_{#2}"),
        Macro("sbplayered", 2, rf"#1^{{{layer.replace('#1', '#2')}}}"),
        Macro("sbplayerentry", 3, rf"#1^{{{layer.replace('#1', '#2')}}}_{{#3}}"),
        Macro("sbpcostof", 1, data["example"]["cost"]),
        Macro("sbpinexample", 2, data["example"]["in_layer"]),
        Macro("sbpofexample", 2, data["example"]["alone"]),
    ]


def _wholes() -> list[Macro]:
    """Whole vectors, weight matrices, and batches."""
    layer = r"^{\sbplayer{#1}}"
    return [
        Macro("sbpinputvec", 0, r"\sbpvec{\sbpinputwholeletter}"),
        Macro("sbptargetvec", 0, r"\sbpvec{\sbptargetwholeletter}"),
        Macro("sbpweightmat", 1, rf"\sbpmat{{\sbpweightwholeletter}}{layer}"),
        *(
            Macro(f"sbp{stem}vec", 1, rf"\sbpvec{{\sbp{stem}wholeletter}}{layer}")
            for stem in ("bias", "pact", "act", "delta")
        ),
        Macro("sbpinputmat", 0, r"\sbpmat{\sbpinputbatchletter}"),
        Macro("sbptargetmat", 0, r"\sbpmat{\sbptargetbatchletter}"),
        *(
            Macro(f"sbp{stem}mat", 1, rf"\sbpmat{{\sbp{stem}batchletter}}{layer}")
            for stem in ("pact", "act", "delta")
        ),
    ]


def _signs(data: Mapping[str, Any]) -> list[Macro]:
    sign = data["sign"]
    return [
        Macro("sbpvec", 1, sign["vector"]),
        Macro("sbpmat", 1, sign["matrix"]),
        Macro("sbptranspose", 1, sign["transpose"]),
        Macro("sbphadamard", 0, sign["hadamard"]),
        Macro("sbppartial", 2, sign["partial"]),
        Macro("sbpexplicitpartial", 2, sign["partial"].replace(r"\partial #1", r"\partial^{+} #1")),
        Macro("sbpbracket", 1, sign["bracket"]),
        Macro("sbpprime", 1, sign["prime"]),
        Macro("sbpnthderivative", 2, "#1^{(#2)}"),
        Macro("sbpexp", 1, "e^{#1}"),
        Macro("sbpheading", 1, r"\subsection*{#1}"),
        Macro("sbpstep", 1, r"\text{#1.}\quad"),
        Macro("sbpreason", 1, r"\text{\footnotesize #1}"),
        Macro("sbpfailed", 0, r"\quad\text{\footnotesize [not confirmed by its check]}"),
        Macro("sbpif", 0, r"\text{if }"),
        Macro("sbpotherwise", 0, r"\text{otherwise}"),
        Macro("sbpfn", 1, "#1"),
    ]


def _functions(data: Mapping[str, Any]) -> list[Macro]:
    return [Macro(_function_macro(name), 0, sign) for name, sign in data["functions"].items()]


def _function_macro(name: str) -> str:
    return "sbpfn" + "".join(char for char in name if char.isascii() and char.isalpha())


def _replaced(name: str, macros: tuple[Macro, ...], own: Mapping[str, str]) -> tuple[Macro, ...]:
    unknown = sorted(set(own) - {macro.name for macro in macros})
    if unknown:
        raise SymbackpropError(f"the notation {name} defines macros that there are not: {', '.join(unknown)}")
    return tuple(Macro(m.name, m.arguments, own.get(m.name, m.definition)) for m in macros)
