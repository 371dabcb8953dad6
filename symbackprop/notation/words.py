"""The words of a derivation: a file per language, so that nobody has to touch Python to change one.

``data/words/en.toml`` says which keys there are. Every other file, one of a user's own included, has the same
keys, and in a sentence no placeholder ``{name}`` that the English sentence hasn't.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

from symbackprop.errors import SpecError, SymbackpropError
from symbackprop.tables.mistakes import ABSENT, Mistakes, require
from symbackprop.tables.names import did_you_mean, one_line, quoted
from symbackprop.tables.table_files import Tables, own_tables, shipped_names, shipped_tables

DEFAULT_LANGUAGE = "en"
"""The language that is used where none is asked for."""

TABLES = ("reason", "heading", "text", "page", "picture", "method", "macro")
"""The tables of a language file."""

_ABOUT = {
    "language": 'the language as a tag for web pages, such as language = "fr"',
    "description": 'a line that says what the file is, such as description = "French"',
    "hyphenation": 'the name that TeX has for the language\'s hyphenation, such as "french"',
    "like": "the name of a language whose words hold where this file has none",
}


@dataclass(frozen=True)
class Words:
    """Reasons, headings and sentences of one language, by key."""

    language: str
    description: str
    hyphenation: str
    reasons: dict[str, str]
    headings: dict[str, str]
    texts: dict[str, str]
    page: dict[str, str]
    pictures: dict[str, str]
    methods: dict[str, str]
    macros: dict[str, str]

    def reason(self, key: str, **filled: str) -> str:
        """Why a step holds, for the margin."""
        return self.reasons[key].format(**filled) if filled else self.reasons[key]

    def text(self, key: str, **filled: str) -> str:
        """A sentence with its gaps filled in."""
        return self.texts[key].format(**filled)

    def picture(self, key: str, **filled: str) -> str:
        """A word in a picture, or a sentence about it."""
        return self.pictures[key].format(**filled)

    def with_own(self, own: Mapping[str, str]) -> Words:
        """The same with words of a notation in the place of ours, in all that is said of a derivation.

        >>> load_words().with_own({"unit": "node"}).reasons["folded"]
        'the bias as the weight from node $0$'
        """
        if not own:
            return self
        spoken = (self.reasons, self.headings, self.texts, self.pictures)
        changed = ({key: _in_own(value, own) for key, value in table.items()} for table in spoken)
        reasons, headings, texts, pictures = changed
        return replace(self, reasons=reasons, headings=headings, texts=texts, pictures=pictures)

    def method(self, english: str) -> str:
        """How something was checked, by what the certificate, which is in English, calls it."""
        known = {text: self.methods[key] for key, text in _english()["method"].items()}
        return ", ".join(known.get(part, part) for part in english.split(", "))


def _in_own(sentence: str, own: Mapping[str, str]) -> str:
    """A sentence with some words exchanged, those in its formulas and its gaps left alone."""
    pattern = re.compile(rf"(?i)\b({'|'.join(map(re.escape, own))})\b")
    parts = re.split(r"(\$[^$]*\$|\{[^{}]*\})", sentence)
    return "".join(
        part if at % 2 else pattern.sub(partial(_exchanged, own), part) for at, part in enumerate(parts)
    )


def _exchanged(own: Mapping[str, str], found: re.Match[str]) -> str:
    word = own[found[0].lower()]
    return word[:1].upper() + word[1:] if found[0][:1].isupper() else word


def languages() -> dict[str, str]:
    """The name of every language and what it is.

    >>> sorted(languages())
    ['de', 'en']
    """
    return {name: load_words(name).description for name in shipped_languages()}


def shipped_languages() -> list[str]:
    """The names of the languages that come with the package."""
    return shipped_names("words")


@cache
def load_words(language: str = DEFAULT_LANGUAGE) -> Words:
    """The words of a language, or of this file: a name that ends in ``.toml`` is a file's.

    Raises:
        SymbackpropError: if there is none, with the one that may have been meant.
        SpecError: for a file with mistakes in it, all of them.

    >>> load_words().reason("chain_rule")
    'chain rule'
    >>> load_words("fr")
    Traceback (most recent call last):
    ...
    symbackprop.errors.SymbackpropError: there is no language 'fr': choose one of de, en, or a .toml file
    """
    require(language, str, "language", "a language is the name of one, such as en, or of a .toml file")
    if language.endswith(".toml"):
        return words_from(own_tables(language, "a language", shipped_languages()), one_line(language))
    if language not in shipped_languages():
        known = shipped_languages()
        hint = did_you_mean(language, known) or f": choose one of {', '.join(known)}, or a .toml file"
        raise SymbackpropError(f"there is no language {quoted(language)}{hint}")
    return words_from(_read(language), f"{language}.toml")


def words_from(data: Mapping[str, Any], source: str = "words") -> Words:
    """Words from their tables, as a language file holds them.

    Raises:
        SpecError: with every key that is missing or unknown, and every sentence that can't be filled in.
    """
    mistakes = Mistakes()
    tables = _completed(data, mistakes)
    for place, given, sentence in (*_about(tables), *_wrong_tables(tables)):
        mistakes.add(place, given, sentence)
    if mistakes.found:
        raise SpecError(source, mistakes.problems(data))
    about = (tables["language"], tables["description"], tables.get("hyphenation", ""))
    return Words(*about, *(dict(tables[name]) for name in TABLES))


def _completed(data: Mapping[str, Any], mistakes: Mistakes) -> Tables:
    """The tables, with the words of the language that this one is like where it has none."""
    like = data.get("like")
    if like is None:
        return dict(data)
    if like not in shipped_languages():
        known = ", ".join(shipped_languages())
        mistakes.add(("like",), like, f"this is the name of a language, one of {known}")
        like = DEFAULT_LANGUAGE
    base = _read(like)
    return {**base, **{k: {**base[k], **v} if _is_table(base.get(k), v) else v for k, v in data.items()}}


def _is_table(*values: object) -> bool:
    return all(isinstance(value, Mapping) for value in values)


# --- what can be wrong ---------------------------------------------------------------------------

_Wrong = Iterator[tuple[tuple[str, ...], object, str]]


def _about(data: Tables) -> _Wrong:
    """What a file says about itself, and tables that it shouldn't have."""
    for key in ("language", "description"):
        if key not in data:
            yield (key,), ABSENT, f"this is missing: {_ABOUT[key]}"
    known = (*_ABOUT, *_english())
    for key, value in data.items():
        if key not in known:
            yield (key,), value, f"the key {one_line(key)} is not known here{did_you_mean(key, known)}"
        elif key in _ABOUT and not (isinstance(value, str) and _is_name(key, value)):
            yield (key,), value, _ABOUT[key]


def _is_name(key: str, value: str) -> bool:
    """Whether TeX can have a language of this name; any other text may be whatever it is."""
    return key != "hyphenation" or re.fullmatch("[A-Za-z-]*", value) is not None


def _wrong_tables(data: Tables) -> _Wrong:
    """What is wrong with the tables of words."""
    for name, english in _english().items():
        table = data.get(name)
        if not isinstance(table, Mapping):
            yield (name,), ABSENT if table is None else table, f"a table [{name}] with the keys of en.toml"
            continue
        for key in (key for key in english if key not in table):
            yield (name, key), ABSENT, f"this is missing; in English it is {quoted(english[key])}"
        for key, value in table.items():
            wrong = _wrong_word(key, value, english)
            if wrong is not None:
                yield (name, key), value, wrong


def _wrong_word(key: str, value: object, english: Mapping[str, str]) -> str | None:
    """What is wrong with a word or a sentence, if anything is."""
    if key not in english:
        return f"the key {one_line(key)} is not known here{did_you_mean(key, english)}"
    if not isinstance(value, str):
        return f"this is text in quotes; in English it is {quoted(english[key])}"
    try:
        unknown = sorted(placeholders(value) - placeholders(english[key]))
    except ValueError:
        return "a brace is open: a placeholder is {name}, and a brace in a formula is written twice"
    return _no_placeholder(unknown, placeholders(english[key])) if unknown else None


def _no_placeholder(unknown: list[str], known: frozenset[str]) -> str:
    listed = ", ".join(f"{{{name}}}" for name in sorted(known))
    hint = did_you_mean(unknown[0], known) + (f": there are {listed}" if known else ": there is none")
    return f"there is no {{{one_line(unknown[0])}}} in this sentence{hint}"


def placeholders(sentence: str) -> frozenset[str]:
    """The names between braces; a brace written twice is one of a formula.

    Raises:
        ValueError: for a brace that isn't closed.

    >>> sorted(placeholders("Layer ${any}$ has $n_{{{any}}}$ units, {how}."))
    ['any', 'how']
    """
    parsed = string.Formatter().parse(sentence)
    found = ((name, spec, conversion) for _, name, spec, conversion in parsed if name is not None)
    return frozenset(
        name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
        for name, spec, conversion in found
    )


# --- reading -------------------------------------------------------------------------------------


def _english() -> dict[str, dict[str, str]]:
    """The tables of the English words, which say which keys there are."""
    return {name: _read(DEFAULT_LANGUAGE)[name] for name in TABLES}


@cache
def _read(language: str) -> Tables:
    return shipped_tables("words", language)
