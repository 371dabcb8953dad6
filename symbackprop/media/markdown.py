r"""A derivation as Markdown, in three flavours that differ in how an equation gets its label.

A label belongs to a block of mathematics, so each equation is a block of its own. Notebooks have no labels
(see :mod:`symbackprop.media.notebook`).

Words are escaped, so that nothing in a title is markup; formulas are LaTeX that needs no macro.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from symbackprop.layout.document import Chain, Display, Document, Paragraph, Section, Table, chains
from symbackprop.media.aligned import aligned, plain
from symbackprop.media.labels import in_any_case
from symbackprop.pictures.drawing import Drawing
from symbackprop.rendering.prose import parts
from symbackprop.rendering.render import fill
from symbackprop.version import made_from

BAR = r"\vert "
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~^$@&]|-(?=-)|:(?=//))")
_AT_THE_START = re.compile(r"^(\d*)([-+=%:(.)])")


@dataclass(frozen=True)
class Flavour:
    """A kind of Markdown: the end and the top of a file, headings, displays in a row, pictures."""

    ending: str
    top: Callable[[str, str], str]
    heading: Callable[[Section, Document], str]
    displays: Callable[[Sequence[Display], Document], Iterator[str]]
    image: Callable[[Drawing, str, Document], str]


Images = Mapping[str, str]
"""Pictures as a flavour writes them, by what they show."""


def _with_metadata(title: str, made: str) -> str:
    return f"---\n# {made}\ntitle: {json.dumps(title, ensure_ascii=False)}\n---"


def _with_heading(title: str, made: str) -> str:
    return f"% {made}\n\n# {title}"


def _heading(marks: str, section: Section, document: Document) -> str:
    return f"{marks} {prose(section.heading, document)}"


def identifiers(labels: Iterable[str]) -> dict[str, str]:
    """Each label, and the same without brackets, which pandoc takes for text.

    >>> identifiers(["net-dC-da[l]"])
    {'net-dC-da[l]': 'net-dC-da-l'}
    """
    return {label: re.sub(r"\[([^]]*)\]", r"-\1", label) for label in labels}


def _identifiers_in_any_case(labels: Iterable[str]) -> dict[str, str]:
    names = identifiers(labels)
    apart = in_any_case(names.values())
    return {label: apart[name] for label, name in names.items()}


@dataclass(frozen=True)
class _Labels:
    """How a block gets its label, how a reference is written, and names that the kind can tell apart."""

    labelled: Callable[[str, str], str]
    reference: Callable[[str, str], str]
    names: Callable[[Iterable[str]], Mapping[str, str]] = identifiers

    def displays(self, found: Sequence[Display], document: Document) -> Iterator[str]:
        """A block for each equation, and after it the reference to the same equation in another form."""
        labels = [chain.label for chain in chains(document.sections) if chain.label]
        names = self.names(f"{document.name}-{label}" for label in labels)
        for chain in (chain for display in found for chain in display.chains):
            text = block([chain], document)
            yield self.labelled(text, names[f"{document.name}-{chain.label}"]) if chain.label else text
            if chain.link is not None:
                words = form_named(chain.link.form, document)
                yield self.reference(words, names[f"{document.name}-{chain.link.label}"])


_PANDOC = _Labels(
    lambda text, label: f"[{text}]{{#eq:{label}}}", lambda words, label: f"[{words}](#eq:{label})"
)
_QUARTO = _Labels(lambda text, label: f"{text} {{#eq-{label}}}", lambda words, label: f"{words}: @eq-{label}")
_MYST = _Labels(
    lambda text, label: f"{text} ({label})",
    lambda words, label: f"{words}: {{eq}}`{label}`",
    _identifiers_in_any_case,
)


def image(drawing: Drawing, address: str, document: Document) -> str:
    """A picture, and under it the sentences that say how to read it."""
    return f"![{prose(drawing.title, document)}]({address})\n\n{prose(drawing.caption, document)}"


def _image_on_the_web(drawing: Drawing, address: str, _: Document) -> str:
    """A picture for web pages alone: on the way to a PDF pandoc stops at SVG where librsvg is missing."""
    figure = f'<figure><img src="{address}" alt="{html.escape(drawing.description)}"></figure>'
    return f"```{{=html}}\n{figure}\n```"


FLAVOURS: dict[str, Flavour] = {
    "md": Flavour(".md", _with_metadata, partial(_heading, "#"), _PANDOC.displays, _image_on_the_web),
    "md-quarto": Flavour(".qmd", _with_metadata, partial(_heading, "#"), _QUARTO.displays, _image_on_the_web),
    "md-myst": Flavour("-myst.md", _with_heading, partial(_heading, "##"), _MYST.displays, image),
}
"""The flavours by the name of their format: for pandoc, for Quarto, for MyST."""


def markdown(
    document: Document, flavour: str = "md", images: Mapping[str, str] = MappingProxyType({})
) -> str:
    """The document in a flavour of Markdown.

    Args:
        document: the derivation laid out, in a notation.
        flavour: the name of its format.
        images: pictures in Markdown by what they show: the network, and what sections are about.

    >>> from symbackprop.pipeline import derive
    >>> from symbackprop.spec.loading import from_widths
    >>> text = markdown(derive(from_widths("1-1")).document(forms=["matrix"]), "md-myst")
    >>> print(text[text.index("# The") :].splitlines()[0])
    # The network 1-1
    """
    kind = FLAVOURS[flavour]
    made = made_from(document.name, document.fingerprint) + "."
    network = [images["network"]] if "network" in images else []
    sections = [*network, *written(document, kind, images)]
    keys = {"top": kind.top(title_of(document), made), "sections": sections}
    return fill("document.md.jinja", keys)


def title_of(document: Document) -> str:
    """The title with its words escaped."""
    return prose(document.title, document)


def written(document: Document, kind: Flavour, images: Images) -> Iterator[str]:
    """Each section with its heading, and at its end the picture of what it is about."""
    for section in document.sections:
        about = [images[section.picture]] if section.picture in images else []
        yield "\n\n".join((kind.heading(section, document), *_blocks(section, document, kind), *about))


def escaped(text: str) -> str:
    r"""Words as Markdown that prints them, whatever they are.

    >>> print(escaped("*a* <script> `b` $c$ [d](e)"))
    \*a\* \<script\> \`b\` \$c\$ \[d\](e)
    """
    return _MARKUP.sub(r"\\\1", text)


def _blocks(section: Section, document: Document, kind: Flavour) -> Iterator[str]:
    """Paragraphs, tables, and between them displays, those with no words between them together."""
    together: list[Display] = []
    for each in section.blocks:
        if isinstance(each, Display):
            together.append(each)
            continue
        yield from kind.displays(together, document)
        together = []
        yield _told(each, document)
    yield from kind.displays(together, document)


def _told(told: Paragraph | Table, document: Document) -> str:
    if isinstance(told, Table):
        return "\n".join(_table(told, document))
    return _AT_THE_START.sub(r"\1\\\2", prose(told.text, document))


def block(chains: Sequence[Chain], document: Document) -> str:
    """Chains as a block of mathematics."""
    return f"$$\n{aligned(chains, document.notation, document.failed)}\n$$"


def form_named(form: str, document: Document) -> str:
    """The form that a link leads to, as its first words."""
    words = escaped(document.words.reason(form))
    return words[:1].upper() + words[1:]


def _table(table: Table, document: Document) -> Iterator[str]:
    """The lines of a table, numbers on the right."""
    yield _cells(table.header, document)
    sides = {"l": ":--", "r": "--:"}
    yield f"|{'|'.join(sides[side] for side in table.sides)}|"
    yield from (_cells(row, document) for row in table.rows)


def _cells(cells: tuple[str, ...], document: Document) -> str:
    return f"| {' | '.join(prose(cell, document) for cell in cells)} |"


def prose(text: str, document: Document) -> str:
    """Words escaped, formulas between dollar signs; a bar in a formula would end the cell of a table."""
    each = (_formula(part, document) if formula else escaped(part) for part, formula in parts(text))
    return "".join(each)


def _formula(formula: str, document: Document) -> str:
    return f"${plain(formula, document.notation).strip().replace('|', BAR)}$"
