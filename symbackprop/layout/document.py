r"""A derivation laid out for reading: sections of paragraphs and displayed equalities.

A document is data; its words are prose (see :mod:`symbackprop.rendering.prose`). Each displayed row knows the
equality that it prints, so that a check can find it and a failed one is marked in the text; a template
turns the document into LaTeX.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from symbackprop.checking.certificate import all_hold
from symbackprop.checking.certificate import certificate as certificate_data
from symbackprop.checking.check import Equality, Finding
from symbackprop.layout.blocks import (
    Block,
    Chain,
    Display,
    Link,
    Paragraph,
    Row,
    Section,
    Table,
    chains,
    equalities,
)
from symbackprop.layout.fragment import Paper, section_keys
from symbackprop.notation.notation import Notation
from symbackprop.notation.style_package import style_package
from symbackprop.notation.words import Words, load_words
from symbackprop.rendering.prose import tex
from symbackprop.rendering.render import fill
from symbackprop.version import GENERATOR, __version__


@dataclass(frozen=True)
class Certificate:
    """Every printed equality with how it was checked and what came out."""

    findings: tuple[Finding, ...]
    about: Mapping[str, object] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether every equality passed its check."""
        return all_hold(self.findings)

    def data(self) -> dict[str, object]:
        """The certificate as JSON data."""
        return certificate_data(self.findings, "symbackprop", __version__, **self.about)


@dataclass(frozen=True)
class Document:
    """A derivation in one notation, with the findings of its check."""

    name: str
    fingerprint: str
    title: str
    notation: Notation
    forms: tuple[str, ...]
    sections: tuple[Section, ...]
    certificate: Certificate
    words: Words = field(default_factory=load_words)
    notes: tuple[str, ...] = ()
    """What whoever made it should know, such as a remark that has no place in it."""

    def to_latex(
        self, prefix: str = "sbp", pictures: Mapping[str, Mapping[str, str]] = MappingProxyType({})
    ) -> str:
        """The fragment, to be read in with LaTeX's input command.

        Args:
            prefix: what every label starts with.
            pictures: pictures for the sections that are about one, by what they show: its ``tikz`` and its
                ``caption``. With one of them the fragment needs TikZ.
        """
        paper = Paper(f"{prefix}:{self.name}", self.failed, self.words, self.notation)
        keys = {
            "generator": GENERATOR,
            "name": self.name,
            "title": tex(self.title),
            "fingerprint": self.fingerprint,
            "notation": self.notation.name,
            "forms": ", ".join(self.forms),
            "notes": self.notes,
            "sections": [
                section_keys(section, paper) | {"picture": pictures.get(section.picture, "")}
                for section in self.sections
            ],
        }
        return fill("fragment.tex.jinja", keys)

    def style(self) -> str:
        """The package that defines the macros of the fragment."""
        return style_package(self.notation)

    @cached_property
    def failed(self) -> frozenset[Equality]:
        """The equalities that did not pass their check."""
        return frozenset(f.equality for f in self.certificate.findings if not f.holds)


__all__ = [
    "Block",
    "Certificate",
    "Chain",
    "Display",
    "Document",
    "Link",
    "Paragraph",
    "Row",
    "Section",
    "Table",
    "chains",
    "equalities",
]
