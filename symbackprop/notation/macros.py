"""From the tables of a notation to the macros of ``symbackprop.sty``, one definition for each symbol."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from symbackprop.notation.words import Words, load_words
from symbackprop.rendering.prose import tex

LAYER_STYLES = {"bare": "#1", "parentheses": "(#1)", "brackets": r"\lbrack #1\rbrack"}
INDEX_ORDERS = {"to-from": ("#2", "#3"), "from-to": ("#3", "#2")}

STEMS = {
    "input": "input",
    "target": "target",
    "weight": "weight",
    "bias": "bias",
    "pre_activation": "pact",
    "activation": "act",
    "output": "output",
    "delta": "delta",
}
"""What the macros of a quantity are called, by its role."""

Tables = Mapping[str, Any]


class Macro(NamedTuple):
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

    def fits(self, definition: str) -> bool:
        """Whether another definition uses no argument that the macro hasn't."""
        used = re.findall(r"(?<!\\)#(.?)", definition)
        return all(mark.isdigit() and 1 <= int(mark) <= self.arguments for mark in used)


def macros_of(tables: Tables) -> tuple[Macro, ...]:
    """Every macro of a notation."""
    functions = (Macro(function_macro(name), 0, sign) for name, sign in tables["functions"].items())
    signs = (*_signs(tables), *word_macros(load_words()))
    return (*_letters(tables), *_entries(tables), *_wholes(tables), *signs, *functions)


def word_macros(words: Words) -> tuple[Macro, ...]:
    r"""The macros that print words.

    >>> from symbackprop.notation.words import load_words
    >>> print(word_macros(load_words())[-1].definition)
    \text{otherwise}
    """
    failed, if_, otherwise = (tex(words.macros[key]) for key in ("failed", "if", "otherwise"))
    return (
        Macro("sbpfailed", 0, rf"\quad\text{{\footnotesize {failed}}}"),
        Macro("sbpif", 0, rf"\text{{{if_} }}"),
        Macro("sbpotherwise", 0, rf"\text{{{otherwise}}}"),
    )


def function_macro(name: str) -> str:
    """The macro of an activation function.

    >>> function_macro("leaky_relu")
    'sbpfnleakyrelu'
    """
    return "sbpfn" + "".join(char for char in name if char.isascii() and char.isalpha())


def _letters(tables: Tables) -> list[Macro]:
    """One macro for each letter, so that a letter is changed everywhere at once."""
    named, layer = tables["letter"], tables["layer"]
    kinds = (("entry", "letter"), ("whole", "wholeletter"), ("batch", "batchletter"))
    letters = [
        Macro(f"sbp{STEMS[key]}{ending}", 0, letter or tables[kind]["activation"])
        for kind, ending in kinds
        for key, letter in tables[kind].items()
    ]
    return [
        *letters,
        Macro("sbpcost", 0, named["cost"]),
        Macro("sbpexamplecost", 0, named["example_cost"]),
        Macro("sbppenalty", 0, named["penalty"]),
        Macro("sbpexamples", 0, named["examples"]),
        Macro("sbpsizeletter", 0, named["size"]),
        Macro("sbplearningrate", 0, named["learning_rate"]),
        Macro("sbplastlayer", 0, layer["last"]),
        Macro("sbpanylayer", 0, layer["general"]),
    ]


def _entries(tables: Tables) -> list[Macro]:
    """Single entries, with their indices as arguments."""
    to, from_ = INDEX_ORDERS[tables["index"]["order"]]
    layer, separator = r"\sbplayer{#1}", tables["index"]["separator"]
    layered = [
        Macro(f"sbp{stem}", 2, rf"\sbp{stem}letter^{{{layer}}}_{{#2}}")
        for stem in ("bias", "pact", "act", "delta")
    ]
    return [
        Macro("sbplayer", 1, LAYER_STYLES[tables["layer"]["style"]]),
        Macro("sbpinput", 1, r"\sbpinputletter_{#1}"),
        Macro("sbptarget", 1, r"\sbptargetletter_{#1}"),
        Macro("sbpoutput", 1, r"\sbpoutputletter_{#1}"),
        Macro("sbpweight", 3, rf"\sbpweightletter^{{{layer}}}_{{{to}{separator}{from_}}}"),
        Macro("sbpweightwide", 3, rf"\sbpweightletter^{{{layer}}}_{{{to},{from_}}}"),
        *layered,
        Macro("sbpsize", 1, r"\sbpsizeletter_{#1}"),
        Macro("sbpsymbol", 1, "#1"),
        Macro("sbpentry", 2, "{#1}_{#2}"),
        Macro("sbplayered", 2, rf"#1^{{{layer.replace('#1', '#2')}}}"),
        Macro("sbplayerentry", 3, rf"#1^{{{layer.replace('#1', '#2')}}}_{{#3}}"),
        Macro("sbpfnat", 2, rf"#1^{{{layer.replace('#1', '#2')}}}"),
        Macro("sbpoutputcost", 1, tables["letter"]["output_cost"]),
        Macro("sbpoutputcostletter", 0, tables["letter"]["example_cost"]),
        Macro("sbpweightrow", 2, rf"\sbpweightletter^{{{layer}}}_{{#2}}"),
        Macro("sbpcostof", 1, tables["example"]["cost"]),
        Macro("sbpinexample", 2, tables["example"]["in_layer"]),
        Macro("sbpofexample", 2, tables["example"]["alone"]),
    ]


def _wholes(tables: Tables) -> list[Macro]:
    """Whole vectors, weight matrices, and batches; those without a layer take no argument."""
    layer = r"^{\sbplayer{#1}}"
    alone, layered = ("input", "target", "output"), ("pact", "act", "delta")
    return [
        Macro("sbpweightmat", 1, rf"\sbpmat{{\sbpweightwholeletter}}{layer}"),
        Macro("sbpbiasvec", 1, rf"\sbpvec{{\sbpbiaswholeletter}}{layer}"),
        *(Macro(f"sbp{stem}vec", 0, rf"\sbpvec{{\sbp{stem}wholeletter}}") for stem in alone),
        *(Macro(f"sbp{stem}mat", 0, rf"\sbpmat{{\sbp{stem}batchletter}}") for stem in alone),
        *(Macro(f"sbp{stem}vec", 1, rf"\sbpvec{{\sbp{stem}wholeletter}}{layer}") for stem in layered),
        *(Macro(f"sbp{stem}mat", 1, rf"\sbpmat{{\sbp{stem}batchletter}}{layer}") for stem in layered),
    ]


def _signs(tables: Tables) -> list[Macro]:
    sign = tables["sign"]
    explicit = sign["partial"].replace(r"\partial #1", r"\partial^{+} #1")
    return [
        Macro("sbpvec", 1, sign["vector"]),
        Macro("sbpmat", 1, sign["matrix"]),
        Macro("sbptranspose", 1, sign["transpose"]),
        Macro("sbptransposeplain", 1, sign["transpose"].replace("(#1)", "#1")),
        Macro("sbphadamard", 0, sign["hadamard"]),
        Macro("sbphadamarddivision", 0, r"\oslash"),
        Macro("sbpones", 0, r"\mathbf{1}"),
        Macro("sbppartial", 2, sign["partial"]),
        Macro("sbpgradient", 2, sign["gradient"]),
        Macro("sbpexplicitpartial", 2, explicit),
        Macro("sbpbracket", 1, sign["bracket"]),
        Macro("sbpprime", 1, sign["prime"]),
        Macro("sbpnthderivative", 2, "#1^{(#2)}"),
        Macro("sbpexp", 1, "e^{#1}"),
        Macro("sbpheading", 1, r"\subsection*{#1}"),
        Macro("sbpstep", 1, r"\text{#1.}\quad"),
        Macro("sbpreason", 1, r"\text{\footnotesize #1}"),
        Macro("sbpsee", 2, r"\sbpreason{#1 \eqref{#2}}"),
        Macro("sbpfn", 1, "#1"),
    ]
