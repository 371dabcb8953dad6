"""Lays a derivation out in the forms that are asked for, and has every equality in it checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import sympy as sp
from sympy.core.parameters import distribute

from symbackprop.catalogue import FORMS
from symbackprop.claims import GENERAL, Check, Checker
from symbackprop.code_claims import code_equalities
from symbackprop.component_form import component_section
from symbackprop.document import (
    Block,
    Certificate,
    Chain,
    Display,
    Document,
    Row,
    Section,
    equalities,
)
from symbackprop.equations import Quantity
from symbackprop.errors import FormRefused
from symbackprop.forward import Model
from symbackprop.graph_form import graph_laboratories, graph_sections
from symbackprop.index_form import index_sections
from symbackprop.matrix_form import matrix_section
from symbackprop.notation import Notation, load_notation
from symbackprop.prose import literal
from symbackprop.remarks import with_remarks
from symbackprop.rounding import DIGITS, check_digits
from symbackprop.swell_form import swell_section
from symbackprop.symbols import Names
from symbackprop.words import DEFAULT_LANGUAGE, Words, load_words
from symbackprop.worked_form import worked_laboratories, worked_sections
from symbackprop.writer import Writer

if TYPE_CHECKING:
    from symbackprop.pipeline import NetworkDerivation

MOST_ENTRIES = 60
"""So many gradient entries can be read when each is written out."""


def lay_out(
    derivation: NetworkDerivation,
    notation: str,
    forms: tuple[str, ...],
    digits: int = DIGITS,
    language: str = DEFAULT_LANGUAGE,
) -> Document:
    """The document of a derivation, every equality in it checked.

    Raises:
        FormRefused: for a form that doesn't exist or makes no sense for this network.
    """
    with distribute(False):
        return _lay_out(derivation, notation, forms, digits, load_words(language))


def _lay_out(
    derivation: NetworkDerivation, notation: str, forms: tuple[str, ...], digits: int, words: Words
) -> Document:
    network, model = derivation.network, derivation.model
    forms = forms or (("general", "matrix") if model.symbolic_depth else ("index", "matrix"))
    check_digits(digits)
    for form in forms:
        _refuse(form, model)
    names = names_of(derivation, load_notation(notation).in_words(words))
    writer = Writer(derivation, names, digits=digits, words=words)
    checker = Checker(derivation, _own_laboratories(forms, writer))
    laid_out = [section for form in forms for section in _form(form, writer)]
    sections = tuple(with_remarks(section, network.remarks) for section in laid_out)
    claimed = dict.fromkeys((*equalities(sections), *code_equalities(derivation)))
    findings = tuple(checker.check(equality) for equality in claimed)
    about = {"network": network.name, "fingerprint": network.fingerprint, "route": derivation.route}
    title = literal(network.title or words.picture("network", name=network.name))
    certificate = Certificate(findings, {**about, "forms": list(forms)})
    about_it = (network.name, network.fingerprint, title, names.notation)
    return Document(*about_it, forms, sections, certificate, words)


def names_of(derivation: NetworkDerivation, notation: Notation) -> Names:
    """How everything in the text of a derivation is printed."""
    model = derivation.model
    return Names.of(quantities(derivation), model.sizes, notation, model.last_layer)


def quantities(derivation: NetworkDerivation) -> Iterator[Quantity]:
    """Everything that the text of a derivation may name."""
    yield from derivation.model.program.quantities.values()
    yield from derivation.model.total.quantities.values()
    yield from (adjoint.named for adjoint in derivation.adjoints if adjoint.named is not None)
    yield from (gradient.quantity for gradient in derivation.batch.gradients)


def _own_laboratories(forms: tuple[str, ...], writer: Writer) -> dict[str, Check]:
    """Where the equalities are checked that one form alone makes."""
    graph = graph_laboratories(writer.graph) if "graph" in forms else {}
    worked = worked_laboratories(writer.worked) if "worked" in forms else {}
    return {**graph, **worked}


def _form(form: str, writer: Writer) -> Iterator[Section]:
    """The sections of one form."""
    if form == "matrix":
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
        derivation = writer.derivation.any_depth
        names = names_of(derivation, writer.names.notation)
        yield from map(_general, index_sections(Writer(derivation, names, writer.budget, words=writer.words)))
    else:
        yield from index_sections(writer)


# --- forms that would be absurd ------------------------------------------------------------------


def _refuse(form: str, model: Model) -> None:
    """Refuse a form that would be absurd, with the reason and the form to use."""
    if form not in FORMS:
        raise FormRefused(f"form: {form!r}: there are {', '.join(FORMS)}")
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
    counts = [sp.Mul(*(model.with_sizes(size) for size in p.dims)) for p in model.program.parameters]
    if not all(count.is_Integer for count in counts):
        raise FormRefused("form: components: a size is a symbol, so nobody can count: use index or matrix")
    entries = sum(int(count) for count in counts)
    if entries > MOST_ENTRIES:
        raise FormRefused(
            f"form: components: written out there would be {entries:,} gradient entries, and more than "
            f"{MOST_ENTRIES} can't be read: use index or matrix"
        )


# --- another derivation's sections -----------------------------------------------------------------


def _general(section: Section) -> Section:
    """A section about any number of layers, with its equalities and labels marked as such."""
    return Section(section.heading, tuple(map(_general_block, section.blocks)))


def _general_block(block: Block) -> Block:
    if not isinstance(block, Display):
        return block
    return Display(tuple(map(_general_chain, block.chains)))


def _general_chain(chain: Chain) -> Chain:
    label = chain.label and f"general-{chain.label}"
    return replace(chain, rows=tuple(map(_general_row, chain.rows)), label=label)


def _general_row(row: Row) -> Row:
    equality = row.equality
    if equality is None:
        return row
    marked = replace(equality, kind=GENERAL + equality.kind, label=f"general-{equality.label}")
    return replace(row, equality=marked)
