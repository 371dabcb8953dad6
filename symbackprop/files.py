"""The files of a derivation: what is written for each format, as two tables.

Files of text come first and need nothing but this package, or an extra of it. PDFs come after them, and
need pdflatex: what is missing then is said when everything else is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from symbackprop.catalogue import FORMATS
from symbackprop.document import Document
from symbackprop.errors import MissingProgram
from symbackprop.exposition import lay_out
from symbackprop.latex_compiler import HOW_TO_GET_TEX, compiled
from symbackprop.linebreak import SLIDE
from symbackprop.manner import Manner
from symbackprop.pipeline import NetworkDerivation
from symbackprop.progress import progress
from symbackprop.prose import tex
from symbackprop.render import fill
from symbackprop.style_package import FILE

Content = str | bytes


@dataclass(frozen=True)
class Order:
    """A derivation, and how it is to be told: what every format is made from."""

    derivation: NetworkDerivation
    manner: Manner = field(default_factory=Manner)
    shared_style: str = ""

    @property
    def name(self) -> str:
        """What the names of all files start with."""
        return self.derivation.network.name

    @cached_property
    def document(self) -> Document:
        """The derivation laid out for a page of paper."""
        return self._laid_out(self.manner)

    @cached_property
    def page(self) -> Document:
        """The same for the web, where readers switch between two forms."""
        forms = self.derivation.page_forms(self.document.forms)
        same = forms == self.document.forms
        return self.document if same else self._laid_out(replace(self.manner, forms=forms))

    @cached_property
    def slides(self) -> Document:
        """The same in lines short enough for a slide."""
        return self._laid_out(replace(self.manner, budget=SLIDE))

    def failed(self) -> list[str]:
        """The labels of the equalities that did not pass their check, in whatever was laid out so far."""
        made = [vars(self)[key] for key in ("document", "page", "slides") if key in vars(self)]
        findings = (finding for document in made for finding in document.certificate.findings)
        return [*dict.fromkeys(finding.label for finding in findings if not finding.holds)]

    def _laid_out(self, manner: Manner) -> Document:
        with progress(f"laying out {self.name} and checking every equality"):
            return lay_out(self.derivation, manner)


# --- what is always written ------------------------------------------------------------------------


def derivation_files(order: Order) -> dict[str, Content]:
    """Each file's name and text: the fragment, its macros, the code and the certificate."""
    certificate = json.dumps(order.document.certificate.data(), indent=1, ensure_ascii=False)
    return {
        f"{order.name}.tex": order.document.to_latex(),
        FILE: order.document.style(),
        module_file(order.name): order.derivation.code,
        f"{order.name}.certificate.json": certificate + "\n",
    }


def module_file(name: str) -> str:
    """The file name of the generated module, one that can be imported.

    >>> module_file("two-two-two")
    'two_two_two_gradients.py'
    """
    return f"{name.replace('-', '_')}_gradients.py"


# --- a web page ------------------------------------------------------------------------------------

WITHOUT_ENGINE = (
    "the formulas of the page are set by a script in it, since the package quickjs-ng is not installed; "
    "pip install 'symbackprop[html]', and the page needs no script to be read"
)


def page_files(order: Order) -> dict[str, Content]:
    """The web page: its name and its text. It is one file with everything in it.

    With a shared style sheet, whose path from the page is given, there are two.
    """
    from symbackprop.html import page, shared_style

    shared = order.shared_style
    address = Path(shared).as_posix() if shared else ""
    made: dict[str, Content] = {f"{order.name}.html": page(order.page, order.derivation, address)}
    return made | ({shared: shared_style()} if shared else {})


# --- on paper and on the wall ----------------------------------------------------------------------


def article(order: Order) -> dict[str, Content]:
    """The derivation as an article, compiled.

    Raises:
        MissingProgram: if there is no pdflatex.
    """
    document = order.document
    sources = {
        FILE: document.style(),
        "fragment.tex": document.to_latex(),
        "article.tex": fill("article.tex.jinja", {"title": tex(document.title)}),
    }
    return {f"{order.name}.pdf": compiled(sources, "article.tex")}


def slide_files(order: Order) -> dict[str, Content]:
    """The source of the slides."""
    from symbackprop.slides import slides

    return {f"{order.name}-slides.tex": slides(order.slides)}


def slide_sheets(order: Order) -> dict[str, Content]:
    """The slides, compiled.

    Raises:
        MissingProgram: if there is no pdflatex.
    """
    from symbackprop.slides import slides

    sources = {FILE: order.slides.style(), "slides.tex": slides(order.slides)}
    return {f"{order.name}-slides.pdf": compiled(sources, "slides.tex")}


# --- the tables ------------------------------------------------------------------------------------

Maker = Callable[[Order], dict[str, Content]]

TEXTS: dict[str, Maker] = {
    "html": page_files,
    "slides": slide_files,
}
"""What is written for a format, besides what is always written."""

SHEETS: dict[str, Maker] = {
    "pdf": article,
    "slides": slide_sheets,
}
"""The PDFs of a format."""


class Made(NamedTuple):
    """Files by name, and what is missing for others, as sentences."""

    files: dict[str, Content]
    missing: tuple[str, ...]


def texts(order: Order, formats: tuple[str, ...]) -> Made:
    """The files of text of some formats, and those that are always written, before any is written."""
    always = derivation_files(order)
    made = _made(TEXTS, order, formats)
    return Made(always | made.files, made.missing)


def sheets(order: Order, formats: tuple[str, ...]) -> Made:
    """The PDFs of some formats."""
    return _made(SHEETS, order, formats)


def _made(table: Mapping[str, Maker], order: Order, formats: tuple[str, ...]) -> Made:
    files: dict[str, Content] = {}
    missing: list[str] = []
    for name in (name for name in dict.fromkeys(formats) if name in table):
        try:
            with progress(f"making {name}: {FORMATS[name]}"):
                files |= table[name](order)
        except MissingProgram as error:
            missing.append(str(error))
    return Made(files, tuple(dict.fromkeys(missing)))


__all__ = ["HOW_TO_GET_TEX", "Order", "module_file", "sheets", "texts"]
