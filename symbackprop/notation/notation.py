r"""Notations as data: which letters and signs the text uses, as the macros of ``symbackprop.sty``.

The text never holds a letter of its own. It holds macros such as ``\sbpact{2}{j}``, whose
definitions come from a notation, a TOML file in ``data/notations/`` or one of a user's own. Arguments
always come in the same order (the layer, the unit led to, the unit led from), whatever the notation
prints, so a text can change its notation by changing the definitions alone.

* ``\sbpact{l}{j}`` is an entry, ``\sbpactvec{l}`` the whole vector, ``\sbpactmat{l}`` a batch of
  them, ``\sbpactletter`` the letter; ``\sbpweight{l}{j}{k}`` has its second index from the layer below.
* ``\sbplayer{l}`` dresses a layer: ``l``, ``(l)`` or ``[l]``.
* An entry of example ``n`` is ``\sbpact{\sbpinexample{n}{l}}{j}`` where it has a layer, and
  ``\sbpofexample{\sbpinput{k}}{n}`` where it has none: neither gives a second superscript.

What can't be said by a definition is a choice that the printers follow: the letters of indices, where
counting starts, whether biases are folded into the weights, what is a row and what is a column.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from symbackprop.errors import SpecError, SymbackpropError
from symbackprop.notation.clashes import clashes
from symbackprop.notation.macros import Macro, function_macro, macros_of, word_macros
from symbackprop.notation.model import TABLES, NotationTable
from symbackprop.notation.words import Words, load_words
from symbackprop.tables.fields import good_fields
from symbackprop.tables.mistakes import ABSENT, Mistakes, require
from symbackprop.tables.names import did_you_mean, one_line, quoted
from symbackprop.tables.table_files import Tables, own_tables, shipped_names, shipped_tables

DEFAULT = "nielsen"
"""The notation that is used where none is asked for."""


@dataclass(frozen=True)
class IndexLetters:
    """Which letters indices have.

    ``here``, ``before`` and ``after`` are for units of the layer that a formula is about and of its
    neighbours, ``by_layer`` (where there is any) for those of the last layer, the one before it, and so
    on; ``others`` are taken where a letter is wanted twice. ``start`` is the first unit's number.
    """

    here: str
    before: str
    after: str
    others: tuple[str, ...]
    by_layer: tuple[str, ...]
    example: str
    start: int

    @property
    def all(self) -> tuple[str, ...]:
        """Every letter once."""
        near = (self.here, self.before, self.after, *self.by_layer, *self.others, self.example)
        return tuple(dict.fromkeys(near))


@dataclass(frozen=True)
class Layout:
    """What is a row and what is a column: ``rows`` or ``columns`` for vectors and for the examples of a
    batch, and whether a derivative is transposed (``numerator``) or has the shape of its denominator."""

    vectors: str
    examples: str
    derivatives: str


@dataclass(frozen=True)
class Notation:
    """How quantities are written: every macro with its definition, and the choices of the printers.

    >>> notation = load_notation("nielsen")
    >>> notation["sbpweight"].definition
    '\\\\sbpweightletter^{\\\\sbplayer{#1}}_{#2#3}'
    """

    name: str
    description: str
    outline: str
    macros: tuple[Macro, ...]
    functions: tuple[tuple[str, str], ...]
    """The name of each activation function, as the engine knows it, and that of its macro."""
    index: IndexLetters
    layout: Layout
    bias_folded: bool
    counts_from_output: bool
    input_is_activation: bool
    output_has_letter: bool
    functions_layered: bool
    node_letters: str = ""
    """Letters for the nodes of a computation graph that come before those that are free."""
    words: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    """For each language the words that it has in the place of ours."""

    def __getitem__(self, name: str) -> Macro:
        return self._by_name[name]

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def in_words(self, words: Words) -> Notation:
        """The notation with its words in another language, those that its file defines as they are.

        >>> from symbackprop.notation.words import load_words
        >>> load_notation().in_words(load_words("de"))["sbpotherwise"].definition
        '\\\\text{sonst}'
        """
        english = dict(zip(word_macros(load_words()), word_macros(words), strict=True))
        return replace(self, macros=tuple(english.get(macro, macro) for macro in self.macros))

    def own_words(self, language: str) -> dict[str, str]:
        """The words of this notation in a language, by ours.

        >>> load_notation("brilliant").own_words("en")["unit"]
        'node'
        """
        return dict(dict(self.words).get(language, ()))

    @cached_property
    def _by_name(self) -> dict[str, Macro]:
        return {macro.name: macro for macro in self.macros}

    def function(self, name: str) -> str | None:
        """The macro of an activation function, without the backslash; ``None`` if it has none."""
        return dict(self.functions).get(name)


def notations() -> dict[str, str]:
    """The name of every notation and what it is.

    >>> "nielsen" in notations()
    True
    """
    return {name: load_notation(name).description for name in shipped()}


@cache
def load_notation(name: str = DEFAULT) -> Notation:
    """The notation with this name, or of this file: a name that ends in ``.toml`` is a file's.

    Raises:
        SymbackpropError: if there is none, with the one that may have been meant.
        SpecError: for a file with mistakes in it, all of them.

    >>> load_notation("nielson")
    Traceback (most recent call last):
    ...
    symbackprop.errors.SymbackpropError: there is no notation 'nielson'; did you mean nielsen?
    """
    require(name, str, "notation", f"a notation is the name of one, such as {DEFAULT}, or of a .toml file")
    if name.endswith(".toml"):
        return notation_from(Path(name).stem, own_tables(name, "a notation", shipped()), one_line(name))
    return notation_from(name, _tables(name), f"notation {name}")


def notation_from(name: str, data: Mapping[str, Any], source: str = "") -> Notation:
    """A notation from its tables, as a notation file holds them.

    A table ``macros`` may replace the definition of any macro: ``sbpsize = "d_{#1}"``.

    Raises:
        SpecError: with every key that is missing or unknown, every value that is wrong, and every clash.
    """
    source = source or f"notation {name}"
    mistakes = Mistakes()
    tables = _checked(data, mistakes)
    if not mistakes.found:
        for place, given, sentence in clashes(tables):
            mistakes.add(place, given, sentence)
    macros = macros_of(tables) if not mistakes.found else ()
    if not mistakes.found:
        _check_macros(tables["macros"], macros, mistakes)
    if mistakes.found:
        raise SpecError(source, mistakes.problems(data))
    own = tables["macros"]
    return _notation(
        name, tables, tuple(m._replace(definition=own.get(m.name, m.definition)) for m in macros)
    )


def shipped() -> list[str]:
    """The names of the notations that come with the package."""
    return shipped_names("notations")


def _notation(name: str, tables: Tables, macros: tuple[Macro, ...]) -> Notation:
    index, layer, matrix = tables["index"], tables["layer"], tables["matrix"]
    near = (index["here"], index["before"], index["after"])
    letters = IndexLetters(
        *near, tuple(index["others"]), tuple(index["by_layer"]), index["example"], index["start"]
    )
    return Notation(
        name=name,
        description=tables["description"],
        outline=tables["outline"],
        macros=macros,
        functions=tuple((function, function_macro(function)) for function in tables["functions"]),
        index=letters,
        layout=Layout(matrix["vectors"], matrix["examples"], matrix["derivatives"]),
        bias_folded=tables["bias"]["style"] == "folded",
        counts_from_output=layer["count"] == "from-output",
        input_is_activation=layer["input"] == "activation",
        output_has_letter=bool(tables["entry"]["output"]),
        functions_layered=layer["functions"] == "layered",
        node_letters=tables["letter"]["nodes"],
        words=tuple((language, tuple(own.items())) for language, own in tables["words"].items()),
    )


# --- reading -----------------------------------------------------------------------------------


def _tables(name: str) -> Tables:
    if name not in shipped():
        hint = did_you_mean(name, shipped()) or f": choose one of {', '.join(shipped())}, or a .toml file"
        raise SymbackpropError(f"there is no notation {quoted(name)}{hint}")
    return shipped_tables("notations", name)


def _checked(data: Mapping[str, Any], mistakes: Mistakes) -> Tables:
    """Every table with every key, those of the notation that this is like put in where it has none."""
    like = data.get("like")
    if like:
        if like not in shipped():
            mistakes.add(("like",), like, f"this is the name of a notation, one of {', '.join(shipped())}")
        else:
            data = _merged(_tables(like), data)
    tables = good_fields(NotationTable, data, (), mistakes)
    for name, model in TABLES.items():
        if isinstance(tables.get(name), Mapping):
            tables[name] = good_fields(model, tables[name], (name,), mistakes)
    for name in ("functions", "macros"):
        for key, value in dict(tables.get(name, {})).items():
            if not isinstance(value, str) or not value.isascii():
                mistakes.add((name, key), value, "this is LaTeX source in quotes, in ASCII")
    _check_words(tables.get("words", {}), mistakes)
    return tables


def _check_words(words: Mapping[str, Any], mistakes: Mistakes) -> None:
    """Words are plain: in small letters what stands in our sentences, and what stands there instead."""
    for language, own in words.items():
        if not isinstance(own, Mapping):
            mistakes.add(("words", language), own, "this is a table of a language, such as [words.en]")
            continue
        for word, instead in own.items():
            if not (isinstance(instead, str) and _is_plain(instead) and _is_plain(word) and word.islower()):
                wanted = 'this is a word in quotes for one of ours in small letters, such as unit = "neuron"'
                mistakes.add(("words", language, word), instead, wanted)


def _is_plain(text: str) -> bool:
    return bool(re.fullmatch(r"[^\W\d_]+(?:[ '-][^\W\d_]+)*", text))


def _merged(base: Tables, data: Mapping[str, Any]) -> Tables:
    """The keys of ``data`` over those of the notation it is like, itself perhaps like another."""
    if base.get("like"):
        base = _merged(_tables(base["like"]), base)
    tables = {name: value for name, value in data.items() if isinstance(value, Mapping)}
    merged = {name: {**base.get(name, {}), **table} for name, table in tables.items()}
    plain = {name: value for name, value in data.items() if name not in tables}
    return {**{k: v for k, v in base.items() if k != "outline"}, **plain, **merged}


def _check_macros(own: Mapping[str, str], macros: tuple[Macro, ...], mistakes: Mistakes) -> None:
    known = {macro.name: macro for macro in macros}
    for name, definition in own.items():
        if name not in known:
            hint = did_you_mean(name, known) or "; the macros are listed in symbackprop.sty"
            mistakes.add(("macros", name), ABSENT, f"there is no macro of this name{hint}")
        elif not known[name].fits(definition):
            wanted = f"\\{name} takes {known[name].arguments} arguments: this uses more, or a # alone"
            mistakes.add(("macros", name), definition, wanted)
