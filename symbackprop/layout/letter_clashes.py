"""Symbols of a spec that a notation has for something else: both are named, and nothing is printed.

A spec may leave an activation open as g, call a size h or a factor alpha, and every notation has letters of
its own. Where one letter would mean two things in a text, the text is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import sympy as sp

from symbackprop.errors import Problem, SpecError
from symbackprop.forward.model import Model
from symbackprop.layout.claims import scalar_functions
from symbackprop.notation.clashes import MEANINGS
from symbackprop.notation.macros import STEMS
from symbackprop.notation.notation import Notation
from symbackprop.printing.symbols import letter_of

_MEANINGS = {f"sbp{STEMS[role]}letter": meaning for role, meaning in MEANINGS.items()} | {
    "sbpcost": "the cost",
    "sbpexamplecost": "the cost of one example",
    "sbppenalty": "the penalty",
    "sbpexamples": "the number of examples",
    "sbplearningrate": "the learning rate",
}
_FORMS = ("wholeletter", "batchletter")
_PRINTED_AS = {"N": "sbpexamples", "learning_rate": "sbplearningrate", "eta": "sbplearningrate"}
"""Symbols of a spec that are printed as what they mean."""


def check_letters(model: Model, notation: Notation) -> None:
    """Refuse a text in which one letter would mean two things.

    Raises:
        SpecError: with every symbol of the spec that the notation has for something else.
    """
    problems = [
        Problem(
            what, None, f"the notation {notation.name} writes {meaning} as {letter}: choose another letter"
        )
        for what, letter, meaning in letter_clashes(model, notation)
    ]
    if problems:
        raise SpecError(model.network.name, problems)


def letter_clashes(model: Model, notation: Notation) -> Iterator[tuple[str, str, str]]:
    """A symbol of the spec, its letter, and what the notation has the same letter for.

    >>> from symbackprop.forward.model import forward_model
    >>> from symbackprop.notation.notation import load_notation
    >>> from symbackprop.spec.loading import from_mapping
    >>> layers = [{"size": 2, "activation": {"symbol": "h"}}]
    >>> spec = {"name": "net", "input": {"size": 2}, "layers": layers, "cost": {"kind": "squared_error"}}
    >>> list(letter_clashes(forward_model(from_mapping(spec)), load_notation("cs231n")))
    [('the activation h', 'h', 'the activation')]
    """
    letters, layers = _quantities(notation), _layers(notation)
    indices = {letter: f"the index {letter}" for letter in notation.index.all}
    size = {notation["sbpsizeletter"].definition: "the size of a layer"}
    yield from _same("the activation", _functions(model, notation), {**letters, **layers, **indices, **size})
    yield from _same("the symbol", _open_symbols(model), {**letters, **layers, **indices, **size})
    yield from _same("the size", _sizes(model), {**letters, **layers})
    general = {notation["sbpanylayer"].definition: "any hidden layer"}
    yield from _same("the depth", _depth(model), {**letters, **general})


def _same(what: str, names: list[str], taken: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Names whose letter, an index below it left out, is taken."""
    for name in names:
        letter = letter_of(name)
        meaning = taken.get(letter) or taken.get(re.sub(r"_\{[^{}]*\}$", "", letter))
        if meaning is not None:
            yield f"{what} {name}", letter, meaning


def taken_letters(model: Model, notation: Notation) -> set[str]:
    """Every letter that means something in a text about this network."""
    own = [*_functions(model, notation), *_open_symbols(model), *_depth(model), *_sizes(model)]
    index = notation.index
    written = {
        *_quantities(notation),
        *_layers(notation),
        index.here,
        index.before,
        index.after,
        index.example,
    }
    written = {*map(_without_words, written), notation["sbpsizeletter"].definition}
    # a letter inside a longer sign, as in E(X, \theta), is taken as well
    parts = {part for sign in written for part in re.findall(r"\\[A-Za-z]+|[A-Za-z]", sign)}
    return written | parts | {letter_of(name) for name in own}


def _without_words(sign: str) -> str:
    return re.sub(r"\\(operatorname|mathit|mathrm|text)\{[^{}]*\}", "", sign)


# --- what a notation has -------------------------------------------------------------------------


def _quantities(notation: Notation) -> dict[str, str]:
    """The letters of quantities, each with what it means."""
    found: dict[str, str] = {}
    for macro, meaning in _MEANINGS.items():
        found.setdefault(notation[macro].definition, meaning)
    for macro, meaning in _MEANINGS.items():
        for form in _FORMS:
            other = macro.removesuffix("letter") + form
            if other in notation:
                found.setdefault(notation[other].definition, meaning)
    functions = {notation[macro].definition: f"the function {name}" for name, macro in notation.functions}
    return functions | found


def _layers(notation: Notation) -> dict[str, str]:
    letters = {"sbpanylayer": "any hidden layer", "sbplastlayer": "the output layer"}
    return {notation[macro].definition: meaning for macro, meaning in letters.items()}


# --- what a spec has -----------------------------------------------------------------------------


def _functions(model: Model, notation: Notation) -> list[str]:
    """Activations by a name that the notation has no letter for."""
    names = [layer.activation.name for layer in model.network.layers]
    names += [function.letter for function in scalar_functions(model)]
    return [name for name in dict.fromkeys(names) if notation.function(name) is None]


def _open_symbols(model: Model) -> list[str]:
    """Symbols of factors that stand for numbers which the spec leaves open."""
    found = set().union(*(equation.rhs.free_symbols for equation in (*model.program, *model.total)))
    named = {*model.program.quantities, *model.total.quantities}
    names = {str(s) for s in found if isinstance(s, sp.Symbol) and not s.is_integer}
    return sorted(names - named - {*_PRINTED_AS})


def _depth(model: Model) -> list[str]:
    """The symbol for the number of layers; L is printed as the notation has it."""
    return [depth for depth in [model.network.depth] if depth is not None and depth != "L"]


def _sizes(model: Model) -> list[str]:
    """Sizes by names of their own."""
    shown = {str(symbol) for _, size in model.sizes for symbol in sp.sympify(size).free_symbols}
    return sorted(name for name in shown if not name.startswith("n_") and name != model.network.depth)
