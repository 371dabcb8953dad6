"""The files of a derivation: what is written for each format, as two tables.

Files of text come first and need nothing but this package, or an extra of it. PDFs come after them, and
need pdflatex: what is missing then is said when everything else is written.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from symbackprop.errors import MissingProgram, NoRule, SymbackpropError
from symbackprop.layout.document import Document
from symbackprop.layout.exposition import lay_out
from symbackprop.layout.manner import Manner
from symbackprop.media.labels import in_any_case
from symbackprop.media.standalone import equation, labelled
from symbackprop.notation.style_package import FILE
from symbackprop.notation.words import load_words
from symbackprop.pictures.drawing import Drawing
from symbackprop.pictures.tikz import tikz_picture
from symbackprop.pipeline import NetworkDerivation
from symbackprop.printing.linebreak import SCREEN, SLIDE
from symbackprop.progress import progress
from symbackprop.rendering.latex_compiler import compiled
from symbackprop.rendering.prose import tex
from symbackprop.rendering.render import fill
from symbackprop.rendering.storage import Content
from symbackprop.spec.catalogue import FORMATS
from symbackprop.tables.names import module_name

if TYPE_CHECKING:
    from symbackprop.pictures.picture_files import Picture

WIDEST = 680.0
"""A picture wider than this, in points, is a file of its own only: on a page nobody could read it."""


@dataclass(frozen=True)
class Order:
    """A derivation, and how it is to be told: what every format is made from."""

    derivation: NetworkDerivation
    manner: Manner = field(default_factory=Manner)
    only: tuple[str, ...] = ()
    shared_style: str = ""
    known_pictures: dict[str, Picture | None] = field(default_factory=dict, repr=False, compare=False)
    """Pictures that were drawn already, ``None`` for one that there isn't."""

    @property
    def name(self) -> str:
        """What the names of all files start with."""
        return self.derivation.network.name

    @property
    def code(self) -> str:
        """The generated module, with a training step if one is asked for."""
        rule = self.manner.update
        return self.derivation.module_source(update=rule) if rule else self.derivation.code

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
    def screen(self) -> Document:
        """The same in lines for a narrow column, as Markdown and notebooks are read in."""
        return self._laid_out(replace(self.manner, budget=SCREEN, links=False))

    @cached_property
    def slides(self) -> Document:
        """The same in lines short enough for a slide."""
        return self._laid_out(replace(self.manner, budget=SLIDE, links=False))

    @cached_property
    def pictures(self) -> dict[str, Picture]:
        """The pictures that there are, by what they show."""
        return self.drawn(("network", "graph"))

    def drawn(self, wanted: Collection[str]) -> dict[str, Picture]:
        """Some of the pictures; each is drawn once, whatever it is for.

        Raises:
            NoRule: in a notation with a sign that a picture can't hold.
        """
        from symbackprop.pictures.picture_files import pictures_of

        missing = [key for key in wanted if key not in self.known_pictures]
        if missing:
            words = load_words(self.manner.language)
            found = pictures_of(self.derivation, self.manner.notation, words, missing)
            self.known_pictures.update({key: found.get(key) for key in missing})
        known = ((key, self.known_pictures[key]) for key in wanted)
        return {key: picture for key, picture in known if picture is not None}

    @cached_property
    def pictures_if_any(self) -> dict[str, Picture]:
        """The pictures, none of them in a notation with a sign that a picture can't hold."""
        try:
            return self.pictures
        except NoRule:
            return {}

    @cached_property
    def drawings(self) -> dict[str, Drawing]:
        """The pictures for a text by what they show: the network, and the graph if the text is about it."""
        drawings = {key: picture.drawing for key, picture in self.shown.items()}
        return {key: drawing for key, drawing in drawings.items() if drawing.frame.width <= WIDEST}

    @cached_property
    def shown(self) -> dict[str, Picture]:
        """The network, and what a section is about, where a picture may be of any width."""
        wanted = dict.fromkeys(("network", *(s.picture for s in self.document.sections if s.picture)))
        try:
            return self.drawn([*wanted])
        except NoRule:
            return {}

    def failed(self) -> list[str]:
        """The labels of the equalities that did not pass their check, in whatever was laid out so far."""
        made = [vars(self)[key] for key in ("document", "page", "screen", "slides") if key in vars(self)]
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
        module_file(order.name): order.code,
        f"{order.name}.certificate.json": certificate + "\n",
    }


def module_file(name: str) -> str:
    """The file name of the generated module, one that can be imported.

    >>> module_file("two-two-two")
    'two_two_two_gradients.py'
    """
    return f"{module_name(name)}.py"


# --- a web page ------------------------------------------------------------------------------------

WITHOUT_ENGINE = (
    "the formulas of the page are set by a script in it, since the package quickjs-ng is not installed; "
    "pip install 'symbackprop[html]', and the page needs no script to be read"
)


def page_files(order: Order) -> dict[str, Content]:
    """The web page: its name and its text. It is one file with everything in it.

    With a shared style sheet, whose path from the page is given, there are three: that, and KaTeX beside it.
    """
    from symbackprop.media.html import page, shared_script, shared_script_of, shared_style

    shared = order.shared_style
    address = Path(shared).as_posix() if shared else ""
    text = page(order.page, order.derivation, address, order.drawn, order.code)
    made: dict[str, Content] = {f"{order.name}.html": text}
    return made | ({shared: shared_style(), shared_script_of(shared): shared_script()} if shared else {})


# --- Markdown and notebooks ------------------------------------------------------------------------


def markdown_file(flavour: str, order: Order) -> dict[str, Content]:
    """The derivation in a flavour of Markdown, and the pictures in it."""
    from symbackprop.media.markdown import FLAVOURS, markdown

    kind = FLAVOURS[flavour]
    images = {
        key: kind.image(each.drawing, f"{each.drawing.name}.svg", order.screen)
        for key, each in order.shown.items()
    }
    text = markdown(order.screen, flavour, images)
    return _as_svg(order.shown) | {f"{order.name}{kind.ending}": text}


def notebook_file(order: Order) -> dict[str, Content]:
    """The derivation with its code as a notebook, which holds its pictures.

    Raises:
        MissingProgram: if there is no nbformat.
    """
    from symbackprop.media.notebook import CELLS, notebook

    images = {
        key: CELLS.image(each.drawing, _as_address(each.to_svg()), order.screen)
        for key, each in order.shown.items()
    }
    return {f"{order.name}.ipynb": notebook(order.screen, order.derivation, order.manner.update, images)}


def _as_address(svg: str) -> str:
    """A picture as an address that holds all of it."""
    return f"data:image/svg+xml;base64,{b64encode(svg.encode('utf-8')).decode('ascii')}"


# --- on paper and on the wall ----------------------------------------------------------------------


def article(order: Order) -> dict[str, Content]:
    """The derivation as an article with its pictures, compiled.

    Raises:
        MissingProgram: if there is no pdflatex.
    """
    return {f"{order.name}.pdf": compiled(article_sources(order), "article.tex")}


def article_sources(order: Order) -> dict[str, str]:
    """The LaTeX of the article: pictures at its beginning, but for those that a section is about."""
    document, figures = order.document, {key: _figure(drawing) for key, drawing in order.drawings.items()}
    inside = {section.picture for section in document.sections}
    first = [figure for key, figure in figures.items() if key not in inside]
    words = document.words
    keys = {"title": tex(document.title), "pictures": first, "hyphenation": words.hyphenation}
    return {
        FILE: document.style(),
        "fragment.tex": document.to_latex(pictures=figures),
        "article.tex": fill("article.tex.jinja", keys),
    }


def _figure(drawing: Drawing) -> dict[str, str]:
    return {"tikz": tikz_picture(drawing), "caption": tex(drawing.caption)}


def slide_files(order: Order) -> dict[str, Content]:
    """The source of the slides."""
    from symbackprop.media.slides import slides

    return {f"{order.name}-slides.tex": slides(order.slides, order.drawings)}


def slide_sheets(order: Order) -> dict[str, Content]:
    """The slides, compiled.

    Raises:
        MissingProgram: if there is no pdflatex.
    """
    return _compiled_each(slide_files(order), order.slides.style(), passes=2)


# --- one picture, one equation ---------------------------------------------------------------------


def svg_files(order: Order) -> dict[str, Content]:
    """Each picture as SVG."""
    return _as_svg(order.pictures)


def _as_svg(pictures: Mapping[str, Picture]) -> dict[str, Content]:
    return {f"{picture.drawing.name}.svg": picture.to_svg() for picture in pictures.values()}


def tikz_files(order: Order) -> dict[str, Content]:
    """Each picture as a ``tikzpicture``, to be read in."""
    return {f"{each.drawing.name}.tex": each.to_tikz() for each in order.pictures.values()}


def standalone_files(order: Order) -> dict[str, Content]:
    """A document of its own for each equation or picture that was asked for.

    Raises:
        SymbackpropError: where there is no such label, or none was given, with those that there are.
    """
    chains, pictures = labelled(order.document.sections), order.pictures_if_any
    known = [*pictures, *chains]
    if not order.only:
        raise SymbackpropError(f"standalone: say which with --only LABEL: there are {', '.join(known)}")
    made: dict[str, Content] = {}
    names = in_any_case(known)
    for label in order.only:
        if label not in known:
            raise SymbackpropError(f"--only: {label!r}: there are {', '.join(known)}")
        alone = pictures[label].to_standalone() if label in pictures else equation(chains[label])
        made[f"{order.name}-{names[label]}-standalone.tex"] = alone
    return made


def standalone_sheets(order: Order) -> dict[str, Content]:
    """The same, compiled.

    Raises:
        MissingProgram: if there is no pdflatex.
    """
    return _compiled_each(standalone_files(order), order.document.style())


def _compiled_each(sources: Mapping[str, Content], style: str, passes: int = 1) -> dict[str, Content]:
    """The PDF of each source."""
    return {
        name.removesuffix("tex") + "pdf": compiled({FILE: style, name: str(text)}, name, passes)
        for name, text in sources.items()
    }


# --- the tables ------------------------------------------------------------------------------------

Maker = Callable[[Order], dict[str, Content]]

TEXTS: dict[str, Maker] = {
    "tex": derivation_files,
    "html": page_files,
    "slides": slide_files,
    **{flavour: partial(markdown_file, flavour) for flavour in ("md", "md-quarto", "md-myst")},
    "ipynb": notebook_file,
    "standalone": standalone_files,
    "svg": svg_files,
    "tikz": tikz_files,
}
"""What is written for a format; what there is for ``tex`` is always written."""

SHEETS: dict[str, Maker] = {
    "pdf": article,
    "slides": slide_sheets,
    "standalone": standalone_sheets,
}
"""The PDFs of a format."""


class Made(NamedTuple):
    """Files by name, and what is missing for others, as sentences."""

    files: dict[str, Content]
    missing: tuple[str, ...]


def texts(order: Order, formats: tuple[str, ...]) -> Made:
    """The files of text of some formats, the fragment with what goes with it first."""
    return _made(TEXTS, order, ("tex", *formats))


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
