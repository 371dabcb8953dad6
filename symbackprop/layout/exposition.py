"""Lays a derivation out in the forms that are asked for, and has every equality in it checked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sympy.core.parameters import distribute

from symbackprop.errors import FormRefused, SymbackpropError
from symbackprop.forward.model import Model
from symbackprop.layout.argument_form import argument_sections, shows_graph, why_not
from symbackprop.layout.asides import with_brackets_explained
from symbackprop.layout.claims import Check, Checker
from symbackprop.layout.component_form import component_section
from symbackprop.layout.detail import BRIEF, brief
from symbackprop.layout.document import (
    Certificate,
    Document,
    Section,
    chains,
    equalities,
)
from symbackprop.layout.general import general_section
from symbackprop.layout.graph_form import graph_laboratories, graph_sections
from symbackprop.layout.index_form import index_sections
from symbackprop.layout.letter_clashes import check_letters
from symbackprop.layout.links import FORMS as LINKED
from symbackprop.layout.links import with_links
from symbackprop.layout.manner import Manner
from symbackprop.layout.matrix_form import matrix_section
from symbackprop.layout.remarks import unprinted, with_remarks
from symbackprop.layout.swell_form import swell_section
from symbackprop.layout.update_form import update_section
from symbackprop.layout.worked_form import worked_laboratories, worked_sections
from symbackprop.layout.writer import Writer, names_of
from symbackprop.notation.notation import load_notation
from symbackprop.notation.words import load_words
from symbackprop.printing.rounding import check_digits
from symbackprop.rendering.prose import literal
from symbackprop.spec.catalogue import DETAILS, FORMS

if TYPE_CHECKING:
    from symbackprop.pipeline import NetworkDerivation

MOST_ENTRIES = 60
"""So many gradient entries can be read when each is written out."""


def lay_out(derivation: NetworkDerivation, manner: Manner) -> Document:
    """The document of a derivation, every equality in it checked.

    Raises:
        FormRefused: for a form that doesn't exist or makes no sense for this network.
        SymbackpropError: for a detail that doesn't exist.
    """
    if manner.detail not in DETAILS:
        raise SymbackpropError(f"detail: {manner.detail!r}: there are {' and '.join(DETAILS)}")
    with distribute(False):
        return _lay_out(derivation, manner)


def _lay_out(derivation: NetworkDerivation, manner: Manner) -> Document:
    network, words = derivation.network, load_words(manner.language)
    notation = load_notation(manner.notation).in_words(words)
    words = words.with_own(notation.own_words(words.language))
    check_letters(derivation.model, notation)
    names = names_of(derivation, notation)
    writer = Writer(derivation, names, manner.budget, manner.digits, words)
    check_digits(manner.digits)
    for form in manner.forms:
        _refuse(form, writer)
    forms = _once(manner.forms or _usual_forms(writer), writer)
    linked = manner.links and len({*forms} & {*LINKED}) > 1
    writer = writer.with_room_for_links() if linked else writer
    checker = Checker(derivation, _own_laboratories(forms, writer))
    laid_out = [section for form in forms for section in _form(form, writer)]
    told = tuple(with_remarks(section, network.remarks) for section in laid_out)
    notes = tuple(unprinted(network.remarks, told, lambda: _labels_elsewhere(forms, writer)))
    told = with_links(brief(told) if manner.detail == BRIEF else told, writer.fits)
    sections = with_brackets_explained(told, writer.words)
    if manner.update:
        sections = (*sections, update_section(writer, manner.update, sections))
    claimed = dict.fromkeys((*equalities(sections), *derivation.code_equalities))
    findings = tuple(checker.check(equality) for equality in claimed)
    about = {"network": network.name, "fingerprint": network.fingerprint, "route": derivation.route}
    title = literal(network.title or words.picture("network", name=network.name))
    weak = [line.data() for line in derivation.weak_lines]
    saturation = {"saturation": weak} if weak else {}
    certificate = Certificate(findings, {**about, "forms": list(forms), **saturation})
    about_it = (network.name, network.fingerprint, title, names.notation)
    return Document(*about_it, forms, sections, certificate, words, notes)


def _labels_elsewhere(forms: tuple[str, ...], writer: Writer) -> dict[str, str]:
    """The labels of forms that aren't shown, each with its form."""
    found: dict[str, str] = {}
    for form in (form for form in ("general", "matrix", "components", "index") if form not in forms):
        try:
            _refuse(form, writer)
            found |= {chain.label: form for chain in chains(tuple(_form(form, writer)))}
        except FormRefused:
            continue
    return found


def _usual_forms(writer: Writer) -> tuple[str, ...]:
    """What is shown where no form is asked for: the notation's own argument where it fits the network."""
    if writer.names.notation.outline and why_not(writer) is None:
        return ("argument",)
    return ("general", "matrix") if writer.model.symbolic_depth else ("index", "matrix")


def _once(forms: tuple[str, ...], writer: Writer) -> tuple[str, ...]:
    """Each form once; the graph is not shown a second time after an argument that has it."""
    shown = {"graph"} if "argument" in forms and shows_graph(writer) else set()
    return tuple(form for form in dict.fromkeys(forms) if form not in shown)


def _own_laboratories(forms: tuple[str, ...], writer: Writer) -> dict[str, Check]:
    """Where the equalities are checked that one form alone makes."""
    drawn = "graph" in forms or ("argument" in forms and shows_graph(writer))
    graph = graph_laboratories(writer.graph, writer.model) if drawn else {}
    worked = worked_laboratories(writer.worked) if "worked" in forms else {}
    return {**graph, **worked}


def _form(form: str, writer: Writer) -> Iterator[Section]:
    """The sections of one form."""
    if form == "argument":
        yield from argument_sections(writer)
    elif form == "matrix":
        yield matrix_section(writer)
    elif form == "components":
        yield component_section(writer)
    elif form == "graph":
        yield from graph_sections(writer, writer.graph)
    elif form == "worked":
        yield from worked_sections(writer, writer.worked)
    elif form == "swell":
        yield swell_section(writer)
    elif form == "general" and not writer.model.symbolic_depth:
        yield from map(general_section, index_sections(writer.any_depth()))
    else:
        yield from index_sections(writer)


# --- forms that would be absurd ------------------------------------------------------------------


def _refuse(form: str, writer: Writer) -> None:
    """Refuse a form that would be absurd, with the reason and the form to use."""
    model = writer.model
    if form not in FORMS:
        raise FormRefused(f"form: {form!r}: there are {', '.join(FORMS)}")
    if form == "argument" and (reason := why_not(writer)):
        raise FormRefused(f"form: argument: {reason}")
    if model.symbolic_depth and form in ("components", "index"):
        depth = model.network.depth
        raise FormRefused(f"form: {form}: the depth is the symbol {depth}: use general or matrix")
    if form == "general" and not model.symbolic_depth:
        _refuse_general(model)
    if form == "components":
        _refuse_components(model)


def _refuse_general(model: Model) -> None:
    hidden = {(layer.activation.name, layer.bias) for layer in model.network.layers[:-1]}
    if not hidden:
        raise FormRefused("form: general: there is no hidden layer: use index or matrix")
    if len(hidden) > 1:
        raise FormRefused("form: general: the hidden layers are of several kinds: use index or matrix")


def _refuse_components(model: Model) -> None:
    counts = model.parameter_counts
    if not all(count.is_Integer for count in counts):
        raise FormRefused("form: components: a size is a symbol, so nobody can count: use index or matrix")
    entries = sum(int(count) for count in counts)
    if entries > MOST_ENTRIES:
        raise FormRefused(
            f"form: components: written out there would be {entries:,} gradient entries, and more than "
            f"{MOST_ENTRIES} can't be read: use index or matrix"
        )
