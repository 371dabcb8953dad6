r"""A derivation as Markdown, in three flavours that differ in how an equation gets its label.

Words are escaped, so that nothing in a title is markup; formulas are LaTeX that needs no macro.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from symbackprop.layout.document import Block, Chain, Document, Paragraph, Table, chains
from symbackprop.media.aligned import aligned, plain
from symbackprop.media.labels import in_any_case
from symbackprop.rendering.prose import parts
from symbackprop.rendering.render import fill
from symbackprop.version import made_from

BAR = r"\vert "
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~^$@&]|-(?=-)|:(?=//))")
_AT_THE_START = re.compile(r"^(\d*)([-+=%:(.)])")


def as_they_are(labels: Iterable[str]) -> dict[str, str]:
    """Labels that need no other name."""
    return {label: label for label in labels}


@dataclass(frozen=True)
class Flavour:
    """A kind of Markdown: the end and the top of a file, headings, labelled equations, references to them.

    ``names`` gives the labels the names that the kind can tell apart.
    """

    ending: str
    top: Callable[[str, str], str]
    heading: str
    labelled: Callable[[str, str], str]
    reference: Callable[[str, str], str]
    names: Callable[[Iterable[str]], Mapping[str, str]] = as_they_are


def _with_metadata(title: str, made: str) -> str:
    return f"---\n# {made}\ntitle: {json.dumps(title, ensure_ascii=False)}\n---"


def _with_heading(title: str, made: str) -> str:
    return f"% {made}\n\n# {title}"


FLAVOURS: dict[str, Flavour] = {
    "md": Flavour(
        ".md",
        _with_metadata,
        "#",
        lambda text, label: f"[{text}]{{#eq:{label}}}",
        lambda words, label: f"[{words}](#eq:{label})",
    ),
    "md-quarto": Flavour(
        ".qmd",
        _with_metadata,
        "#",
        lambda text, label: f"{text} {{#eq-{label}}}",
        lambda words, label: f"{words}: @eq-{label}",
    ),
    "md-myst": Flavour(
        "-myst.md",
        _with_heading,
        "##",
        lambda text, label: f"{text} ({label})",
        lambda words, label: f"{words}: {{eq}}`{label}`",
        in_any_case,
    ),
}
"""The flavours by the name of their format: for pandoc, for Quarto, for MyST."""


def markdown(document: Document, flavour: str = "md") -> str:
    """The document in a flavour of Markdown.

    >>> from symbackprop.pipeline import derive
    >>> from symbackprop.spec.loading import from_widths
    >>> text = markdown(derive(from_widths("1-1")).document(forms=["matrix"]), "md-myst")
    >>> print(text[text.index("# The") :].splitlines()[0])
    # The network 1-1
    """
    kind = _with_names(FLAVOURS[flavour], document)
    made = made_from(document.name, document.fingerprint) + "."
    keys = {"top": kind.top(title_of(document), made), "sections": [*written(document, kind)]}
    return fill("document.md.jinja", keys)


def _with_names(kind: Flavour, document: Document) -> Flavour:
    """The kind with its labels under their names, each after the name of the document."""
    labels = [chain.label for chain in chains(document.sections) if chain.label]
    names = kind.names(f"{document.name}-{label}" for label in labels)
    return replace(
        kind,
        labelled=lambda text, label: kind.labelled(text, names[label]),
        reference=lambda words, label: kind.reference(words, names[label]),
    )


def title_of(document: Document) -> str:
    """The title with its words escaped."""
    return _prose(document.title, document)


def written(document: Document, kind: Flavour) -> Iterator[str]:
    """Each section with its heading."""
    for section in document.sections:
        heading = f"{kind.heading} {_prose(section.heading, document)}"
        blocks = (text for block in section.blocks for text in _block(block, document, kind))
        yield "\n\n".join((heading, *blocks))


def escaped(text: str) -> str:
    r"""Words as Markdown that prints them, whatever they are.

    >>> print(escaped("*a* <script> `b` $c$ [d](e)"))
    \*a\* \<script\> \`b\` \$c\$ \[d\](e)
    """
    return _MARKUP.sub(r"\\\1", text)


def _block(block: Block, document: Document, kind: Flavour) -> Iterator[str]:
    """A paragraph, a table, or a labelled block of mathematics for each chain of a display."""
    if isinstance(block, Paragraph):
        yield _AT_THE_START.sub(r"\1\\\2", _prose(block.text, document))
    elif isinstance(block, Table):
        yield "\n".join(_table(block, document))
    else:
        yield from (text for chain in block.chains for text in _equation(chain, document, kind))


def _equation(chain: Chain, document: Document, kind: Flavour) -> Iterator[str]:
    text = f"$$\n{aligned((chain,), document.notation, document.failed)}\n$$"
    yield kind.labelled(text, f"{document.name}-{chain.label}") if chain.label else text
    if chain.link is not None:
        words = escaped(document.words.reason(chain.link.form))
        yield kind.reference(words[:1].upper() + words[1:], f"{document.name}-{chain.link.label}")


def _table(table: Table, document: Document) -> Iterator[str]:
    """The lines of a table, numbers on the right."""
    yield _cells(table.header, document)
    sides = {"l": ":--", "r": "--:"}
    yield f"|{'|'.join(sides[side] for side in table.sides)}|"
    yield from (_cells(row, document) for row in table.rows)


def _cells(cells: tuple[str, ...], document: Document) -> str:
    return f"| {' | '.join(_prose(cell, document) for cell in cells)} |"


def _prose(text: str, document: Document) -> str:
    """Words escaped, formulas between dollar signs; a bar in a formula would end the cell of a table."""
    each = (_formula(part, document) if formula else escaped(part) for part, formula in parts(text))
    return "".join(each)


def _formula(formula: str, document: Document) -> str:
    return f"${plain(formula, document.notation).strip().replace('|', BAR)}$"
