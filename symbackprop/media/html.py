r"""The web page of a derivation: one file, which needs no network, and no script to be read.

Every row becomes a step with its reason, its check and the code that computes it. A row in matrix form
stands beside the row in index form that says the same. Formulas are set by KaTeX while the page is made
(see :mod:`symbackprop.media.katex`); every occurrence of a quantity carries its name, for the page to
light up.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import sympy as sp

from symbackprop.checking.check import DEFINITION, Equality, Finding
from symbackprop.errors import NoRule
from symbackprop.layout.document import (
    Block,
    Chain,
    Display,
    Document,
    Paragraph,
    Row,
    Section,
    Table,
    chains,
)
from symbackprop.layout.links import TWINS, twins
from symbackprop.layout.writer import names_of
from symbackprop.media import katex
from symbackprop.media.listing import highlighted, lines_by_label
from symbackprop.notation.words import Words
from symbackprop.pictures.picture_files import Picture, pictures_of
from symbackprop.printing.measure import expanded, rendered_width
from symbackprop.printing.occurrences import Occurrences
from symbackprop.printing.symbols import Names, whole
from symbackprop.rendering.prose import parts
from symbackprop.rendering.render import fill
from symbackprop.version import GENERATOR

if TYPE_CHECKING:
    from symbackprop.pipeline import NetworkDerivation

_IN_MATRIX_FORM = (*TWINS, "-transpose", "-outer")

MARKS = {"holds": "✓", "fails": "✗", "none": "○"}
"""The mark of an equality that passed its check, of one that did not, and of one that has none."""

SHORT = 24.0
"""A formula in a sentence that is not wider than this many characters stays on one line, with its comma."""

Keys = dict[str, object]


Draw = Callable[[Collection[str]], Mapping[str, Picture]]
"""Gives the pictures that are wanted, by what they show."""


def page(
    document: Document,
    derivation: NetworkDerivation,
    shared_style: str = "",
    draw: Draw | None = None,
    code: str = "",
) -> str:
    """The page of a derivation as HTML.

    Args:
        document: the derivation laid out, in a notation.
        derivation: where the code and the picture come from.
        shared_style: the address of a style sheet of KaTeX that several pages share, and beside it lies KaTeX
            itself: formulas are MathML then, which KaTeX sets when the page is opened. Without one, the style
            sheet, its fonts and the formulas as KaTeX sets them are put into the page.
        draw: gives pictures that were drawn already for something else.
        code: the module that goes with the page, such as one with a training step; without it the plain one.
    """
    made = _Page(document, derivation, shared_style, draw, code or derivation.code)
    return fill("page.html.jinja", made.keys())


def shared_style() -> str:
    """The style sheet of KaTeX with all its fonts, for pages that share one."""
    return f"/*\n{katex.licence()}*/\n{katex.stylesheet()}"


def shared_script() -> str:
    """KaTeX, which lies beside that style sheet."""
    return f"/*\n{katex.licence()}*/\n{katex.script()}"


def shared_script_of(shared_style: str) -> str:
    """The address of the script that goes with a shared style sheet.

    >>> shared_script_of("../katex/katex.css")
    '../katex/katex.js'
    """
    return f"{shared_style.removesuffix('.css')}.js" if shared_style else ""


@dataclass(frozen=True)
class _Page:
    document: Document
    derivation: NetworkDerivation
    shared_style: str
    draw: Draw | None
    code: str
    set_already: dict[tuple[str, bool], str] = field(default_factory=dict)

    def keys(self) -> Keys:
        """Everything that the template is given; whatever is text in it is HTML already."""
        document = self.document
        sections = [self._section(number, section) for number, section in enumerate(document.sections)]
        page: Keys = {
            "words": {key: escape(text) for key, text in self.words.items()},
            "title": self.prose(document.title),
            "plain_title": escape(_plain(document.title)),
            "language": escape(document.words.language),
            "generator": escape(GENERATOR),
            "name": escape(document.name),
            "fingerprint": escape(document.fingerprint),
            "notation": escape(document.notation.name),
            "sections": [section for section in sections if section["blocks"]],
            "twins": bool(self.twins),
            "verdict": self._verdict(),
            "findings": [self._finding(finding) for finding in document.certificate.findings],
            "picture": self.pictures.get("network"),
            "code": highlighted(self.code, self.quantities),
        }
        page["symbols"] = [(escape(key), self.formula(symbol, False)) for key, symbol in self._symbols()]
        return page | self._styles_and_scripts("".join(self.set_already.values()))

    def _styles_and_scripts(self, formulas: str) -> Keys:
        """The page's own style and scripts, those of KaTeX, and what the page is allowed to load: no more."""
        early, late = fill("page-early.js", {}), fill("page.js", {})
        sets_itself = not (self.shared_style or katex.can_set())
        scripts = [early, katex.script(), late] if sets_itself else [early, late]
        own = "" if self.shared_style else katex.stylesheet(formulas if katex.can_set() else None)
        return {
            "style": fill("page.css", {}),
            "katex_style": own,
            "shared_style": escape(self.shared_style),
            "shared_script": escape(shared_script_of(self.shared_style)),
            "early_script": early,
            "scripts": scripts[1:],
            "policy": _policy(scripts, bool(self.shared_style)),
            "licence": "" if self.shared_style else katex.licence().replace("--", "- -"),
        }

    # --- what rows are looked up in --------------------------------------------------------------

    @cached_property
    def words(self) -> Mapping[str, str]:
        """The words of the page itself."""
        return self.document.words.page

    @cached_property
    def pictures(self) -> dict[str, Keys]:
        """The network, and what sections are about, as SVG with a caption; none that can't be drawn."""
        document = self.document
        notation, words = document.notation, document.words
        draw = self.draw or (lambda wanted: pictures_of(self.derivation, notation, words, wanted))
        shown = dict.fromkeys(("network", *(s.picture for s in document.sections if s.picture)))
        try:
            drawn = draw([*shown])
        except NoRule:
            return {}
        return {
            key: {"svg": picture.to_svg(), "caption": self.prose(picture.drawing.caption)}
            for key, picture in drawn.items()
        }

    @cached_property
    def names(self) -> Names:
        """How quantities are printed."""
        return names_of(self.derivation, self.document.notation)

    @cached_property
    def occurrences(self) -> Occurrences:
        """How quantities are found in formulas."""
        last = self.derivation.model.last_layer
        return Occurrences(self.document.notation, int(last) if last.is_Integer else None)

    @cached_property
    def lines(self) -> dict[str, str]:
        """The lines of code by label."""
        return lines_by_label(self.code)

    @cached_property
    def found(self) -> dict[Equality, Finding]:
        """What the check of each equality found."""
        return {finding.equality: finding for finding in self.document.certificate.findings}

    @cached_property
    def code_found(self) -> dict[str, Finding]:
        """What the check of each line of code found, by label."""
        return {
            label.removeprefix("code: "): finding
            for finding in self.document.certificate.findings
            if (label := finding.label).startswith("code: ")
        }

    @cached_property
    def twins(self) -> dict[str, Chain]:
        """The chain in matrix form that goes with a chain in another form, by the label of the latter."""
        return twins(self.document.sections)

    @cached_property
    def quantities(self) -> tuple[str, ...]:
        """The keys of all quantities that are printed: in the order of the network, then the others."""
        formulas = (tex for chain in chains(self.document.sections) for tex in _formulas(chain))
        marks = map(self.occurrences.marked, formulas)
        printed = dict.fromkeys(key for tex in marks for key in re.findall(r"\\htmlData\{sbp=([^,}]*)", tex))
        known = (name for name in self.names.quantities if name in printed)
        return tuple(dict.fromkeys((*known, *printed)))

    def _symbols(self) -> Iterator[tuple[str, str]]:
        """Each quantity's key and the symbol of the whole of it."""
        for key in self.quantities:
            quantity = self.names.quantity(sp.Symbol(key))
            if quantity is not None:
                yield key, whole(quantity, self.names)

    # --- words and formulas ----------------------------------------------------------------------

    def prose(self, text: str) -> str:
        """Words with formulas as HTML; a short formula is not parted from the comma after it."""
        out, rest = [], [*parts(text)]
        for place, (part, is_formula) in enumerate(rest):
            if not is_formula:
                out.append(escape(part[len(_comma(part)) if place else 0 :]))
                continue
            after = _comma(rest[place + 1].text) if place + 1 < len(rest) else ""
            formula = self.formula(part, False) + after
            short = rendered_width(part, self.document.notation) <= SHORT
            out.append(f'<span class="whole">{formula}</span>' if short else formula)
        return "".join(out)

    def formula(self, tex: str, display: bool = True) -> str:
        """A formula as HTML; its LaTeX where it can't be set here, for the page's script to set."""
        if (tex, display) not in self.set_already:
            self.set_already[tex, display] = self._set(tex, display)
        return self.set_already[tex, display]

    def _set(self, tex: str, display: bool) -> str:
        notation, style = self.document.notation, r"\displaystyle " if display else ""
        source = expanded(tex, notation)
        full = style + expanded(self.occurrences.marked(tex), notation)
        html = katex.set_formula(full)
        if html is None:
            return f'<code class="tex" data-tex="{escape(full)}">{escape(source)}</code>'
        if not self.shared_style:
            return katex.with_source(html, source)
        return f'<span class="math" data-tex="{escape(full)}">{katex.mathml(html)}</span>'

    # --- sections --------------------------------------------------------------------------------

    @cached_property
    def leads(self) -> list[Lead]:
        """The paragraphs that lead to displays with rows that stand elsewhere on the page."""
        return list(_leads(self.document.sections, self.twins))

    def _section(self, number: int, section: Section) -> Keys:
        """A section, with the paragraphs that lead to rows in matrix form that were moved here."""
        gone = {id(lead.paragraph) for lead in self.leads if lead.moves}
        told = [Paragraph(_ended(lead.paragraph.text)) for lead in self.leads if lead.to == number]
        here = [block for block in section.blocks if id(block) not in gone]
        first = next((at for at, block in enumerate(here) if not isinstance(block, Paragraph)), 0)
        here[first:first] = told
        blocks = [keys for block in here if (keys := self._block(block))]
        labels = [chain.label for chain in chains([section])]
        in_matrix_form = (
            bool(labels) and all(label.endswith(_IN_MATRIX_FORM) for label in labels) and bool(self.twins)
        )
        picture = self.pictures.get(section.picture)
        heading = self.prose(section.heading)
        return {"heading": heading, "blocks": blocks, "matrix": in_matrix_form, "picture": picture}

    def _block(self, block: Block) -> Keys | None:
        """A block; ``None`` for a display all of whose rows stand elsewhere, beside those in index form."""
        if isinstance(block, Paragraph):
            return {"kind": "text", "text": self.prose(block.text)}
        if isinstance(block, Table):
            header, *rows = (
                [*zip(block.sides, map(self.prose, row), strict=True)] for row in (block.header, *block.rows)
            )
            return {"kind": "table", "header": header, "rows": rows}
        moved = {id(twin) for twin in self.twins.values()}
        rows_kept = [row for chain in block.chains if id(chain) not in moved for row in self._chain(chain)]
        return {"kind": "display", "rows": rows_kept} if rows_kept else None

    def _chain(self, chain: Chain) -> Iterator[Keys]:
        """The rows of a chain, and after them those of its twin in matrix form."""
        twin = self.twins.get(chain.label)
        form = "index" if twin is not None else ""
        yield from self._rows(chain, form)
        if twin is not None:
            yield from self._rows(twin, "matrix")

    def _rows(self, chain: Chain, form: str) -> Iterator[Keys]:
        label = chain.label or f"chain-{self._number(chain)}"
        for place, row in enumerate(chain.rows, 1):
            last = place == len(chain.rows)
            keys = self._row(row, chain.left if place == 1 else "", chain.step if place == 1 else "")
            own = self._beside(chain.label if last else "")
            begins = place == 1 and len(chain.rows) > 1
            named = {"id": escape(label if last else f"{label}-step-{place}"), "form": form, "begins": begins}
            yield keys | own | named

    def _number(self, chain: Chain) -> int:
        return next(n for n, each in enumerate(chains(self.document.sections), 1) if each is chain)

    def _row(self, row: Row, left: str, step: str) -> Keys:
        return {
            "number": escape(f"{step}.") if step else "",
            "left": self.formula(left) if left else "",
            "sign": "=" if row.sign == "=" else self.formula(row.sign, False),
            "right": [self.formula(line) for line in row.lines],
            "reason": self.prose(row.reason),
            "boxed": row.boxed,
            "check": self._check(self.found.get(row.equality) if row.equality is not None else None),
        }

    def _beside(self, label: str) -> Keys:
        """What stands beside a labelled row: the label, and the line of code, with its own check.

        A row in matrix form has the line too, for when it stands in the place of the other.
        """
        base = re.sub("|".join(f"{ending}$" for ending in TWINS), "", label)
        line = self.lines.get(base, "")
        finding = self.code_found.get(base)
        return {
            "label": escape(label),
            "code": highlighted(line, self.quantities) if line else "",
            "code_check": self._check(finding) if line and finding is not None else None,
        }

    # --- checks ----------------------------------------------------------------------------------

    def _check(self, finding: Finding | None) -> Keys:
        """How a row was checked: a word for the class, a mark, and what is said about it, short and long."""
        if finding is None:
            return self._state("none", self.words["unchecked"])
        if finding.method == DEFINITION and finding.holds:
            return self._state("none", self.words["definition"])
        state = "holds" if finding.holds else "fails"
        return self._state(state, f"{self.words[state]}: {_how(finding, self.document.words)}")

    def _state(self, state: str, text: str) -> Keys:
        word = self.words["unchecked" if state == "none" else state]
        return {"state": state, "mark": MARKS[state], "word": escape(word), "text": escape(text)}

    def _verdict(self) -> Keys:
        """What the checks of the whole page came to."""
        failed = len(self.document.failed)
        every = sum(finding.checked for finding in self.document.certificate.findings)
        said = self.words["some_fail" if failed else "all_hold"]
        text = said.replace("{n}", str(failed)).replace("{all}", str(every))
        return self._state("fails" if failed else "holds", text)

    def _finding(self, finding: Finding) -> Keys:
        return {
            "label": escape(finding.label),
            "how": escape(_how(finding, self.document.words)),
            "check": self._check(finding),
        }


class Lead(NamedTuple):
    """A paragraph, the number of the section where its first row stands, and whether all its rows went."""

    paragraph: Paragraph
    to: int
    moves: bool


def _leads(sections: Sequence[Section], moved: Mapping[str, Chain]) -> Iterator[Lead]:
    places = {chain.label: number for number, section in enumerate(sections) for chain in chains([section])}
    new_places = {id(twin): places[label] for label, twin in moved.items()}
    for number, section in enumerate(sections):
        for paragraph, shown in _led_to(section):
            found = [new_places.get(id(chain), number) for chain in shown]
            if found and min(found) != number:
                yield Lead(paragraph, min(found), number not in found)


def _led_to(section: Section) -> Iterator[tuple[Paragraph, list[Chain]]]:
    """Each paragraph that ends in a colon, with the chains that follow it up to the next paragraph."""
    leading: Paragraph | None = None
    shown: list[Chain] = []
    for block in (*section.blocks, Paragraph("")):
        if isinstance(block, Display):
            shown += block.chains
        elif isinstance(block, Paragraph):
            if leading is not None and leading.text.endswith(":"):
                yield leading, shown
            leading, shown = block, []


def _ended(text: str) -> str:
    """A sentence that leads on to a formula, as one that ends."""
    return text.removesuffix(":") + "."


def _how(finding: Finding, words: Words) -> str:
    """The method and the residual, or why there is none, as words."""
    if finding.method == DEFINITION:
        return words.page["definition"]
    if finding.residual is None:
        return finding.reason or words.method(finding.method)
    numbers = {"residual": finding.residual, "entries": finding.entries}
    text = words.page["how"].format(method=words.method(finding.method), **numbers)
    return text + (words.page["same_as"].format(label=finding.same_as) if finding.same_as else "")


def _comma(words: str) -> str:
    """The punctuation that some words begin with."""
    found = re.match(r"[,.;:!?)]+", words)
    return found[0] if found else ""


def _plain(prose: str) -> str:
    """Prose without its mathematics, for a window's title."""
    return "".join(text for text, _ in parts(prose))


def _formulas(chain: Chain) -> Iterator[str]:
    yield chain.left
    for row in chain.rows:
        yield from row.lines


def _policy(scripts: Sequence[str], shares_style: bool) -> str:
    """What the browser lets the page do: run these scripts, show its own styles and fonts, and no request."""
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    beside = " 'self' file:" if shares_style else ""
    styles = f"'unsafe-inline'{beside}"
    allowed = {
        "default-src": "'none'",
        "script-src": hashes + beside,
        "style-src": styles,
        "font-src": "data:",
    }
    return "; ".join(
        f"{kind} {what}" for kind, what in {**allowed, "base-uri": "'none'", "form-action": "'none'"}.items()
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
