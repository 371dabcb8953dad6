"""The words of a derivation: a file per language, so that nobody has to touch Python to change one."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Words:
    """Reasons, headings and sentences of one language, by key."""

    reasons: dict[str, str]
    headings: dict[str, str]
    texts: dict[str, str]
    page: dict[str, str]
    pictures: dict[str, str]

    def reason(self, key: str, **filled: str) -> str:
        """Why a step holds, for the margin."""
        return self.reasons[key].format(**filled) if filled else self.reasons[key]

    def text(self, key: str, **filled: str) -> str:
        """A sentence with its gaps filled in."""
        return self.texts[key].format(**filled)

    def picture(self, key: str, **filled: str) -> str:
        """A word in a picture, or a sentence about it."""
        return self.pictures[key].format(**filled)


@cache
def load_words(language: str = "en") -> Words:
    """The words of a language.

    >>> load_words().reason("chain_rule")
    'chain rule'
    """
    data = tomllib.loads(files("symbackprop").joinpath("words", f"{language}.toml").read_text("utf-8"))
    texts = (data[key] for key in ("reason", "heading", "text", "page", "picture"))
    return Words(*texts)
