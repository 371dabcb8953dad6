r"""What a notebook shows of a derivation: its results as LaTeX that needs no macro, and single steps.

In a terminal the same is plain text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sympy.core.parameters import distribute

from symbackprop.algebra.equations import Equation, Step
from symbackprop.errors import SymbackpropError
from symbackprop.layout.detail import brief
from symbackprop.layout.document import Chain, Row, Section
from symbackprop.layout.index_form import index_sections
from symbackprop.layout.matrix_form import matrix_section
from symbackprop.layout.writer import Free, Writer, free_of, names_of
from symbackprop.media.aligned import aligned
from symbackprop.media.standalone import labelled
from symbackprop.notation.notation import DEFAULT, Notation, load_notation
from symbackprop.printing.measure import expanded
from symbackprop.rendering.prose import parts

if TYPE_CHECKING:
    from symbackprop.pipeline import NetworkDerivation

MATRIX = "-matrix"
"""What the label of an equation in matrix form ends with."""


@dataclass(frozen=True, repr=False)
class Shown:
    """A piece of mathematics for a notebook, and for a terminal."""

    latex: str
    text: str

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/latex": self.latex, "text/plain": self.text}

    def __repr__(self) -> str:
        return self.text


def results(derivation: NetworkDerivation, notation: str = DEFAULT) -> Shown:
    r"""The deltas and the gradients: as matrices, and as entries where there is no matrix form.

    >>> from symbackprop.pipeline import derive
    >>> from symbackprop.spec.loading import from_widths
    >>> results(derive(from_widths("2-2"))).latex.startswith(r"$\displaystyle\begin{aligned} \delta^{1} &=")
    True
    """
    writer = _writer(derivation, notation)
    with distribute(False):
        entries = _results(tuple(index_sections(writer)))
        matrices = _results((matrix_section(writer),))
    chains = [matrices.get(label + MATRIX, chain) for label, chain in entries.items()]
    text = "\n".join(map(str, derivation.equations))
    return Shown(_inline(aligned(chains, writer.names.notation)), text)


def step(derivation: NetworkDerivation, shown: Step | Equation, notation: str = DEFAULT) -> Shown:
    """A step of a derivation with its reason, or an equation."""
    writer = _writer(derivation, notation)
    with distribute(False):
        if isinstance(shown, Equation):
            before, after, reason, free = shown.lhs, shown.rhs, "", free_of(shown)
        else:
            before, after, free = shown.before, shown.after, _free(derivation, shown)
            reason = writer.words.reason(shown.rule)
        chain = Chain(writer.tex(before, free), (Row((writer.tex(after, free),), reason),))
    return Shown(_inline(aligned((chain,), writer.names.notation)), str(shown))


def equation(derivation: NetworkDerivation, label: str, notation: str = DEFAULT) -> Shown:
    """All steps to an equation, each with its reason, by the equation's label in index or in matrix form.

    Raises:
        SymbackpropError: where there is no such label, with those that there are.
    """
    writer = _writer(derivation, notation)
    with distribute(False):
        known = labelled((*index_sections(writer), matrix_section(writer)))
    if label not in known:
        raise SymbackpropError(f"label: {label!r}: there are {', '.join(known)}")
    chosen, written_in = known[label], writer.names.notation
    text = "\n".join(_told(row, written_in) for row in chosen.rows if row.equality is not None)
    return Shown(_inline(aligned((chosen,), written_in)), text)


def _told(row: Row, notation: Notation) -> str:
    """A row in plain text, its reason with names of letters for their signs."""
    each = (expanded(part, notation).replace("\\", "") if math else part for part, math in parts(row.reason))
    return f"{row.equality}  ({''.join(each)})" if row.reason else str(row.equality)


def _writer(derivation: NetworkDerivation, notation: str) -> Writer:
    return Writer(derivation, names_of(derivation, load_notation(notation)))


def _results(sections: tuple[Section, ...]) -> dict[str, Chain]:
    """What is boxed about one example, by label, without its box."""
    found = {}
    for label, chain in labelled(brief(sections)).items():
        (row,) = chain.rows
        if row.boxed and row.equality is not None and row.equality.kind == "example":
            found[label] = replace(chain, rows=(replace(row, boxed=False),))
    return found


def _free(derivation: NetworkDerivation, shown: Step) -> Free:
    """The free indices of a step with their sizes."""
    for free, steps in _steps(derivation):
        if shown in steps:
            return free
    return ()


def _steps(derivation: NetworkDerivation) -> Iterator[tuple[Free, tuple[Step, ...]]]:
    """The free indices and the steps of every derivation."""
    for adjoint in derivation.adjoints:
        if adjoint.derivation is not None:
            yield tuple(zip(adjoint.indices, adjoint.of.dims, strict=True)), adjoint.derivation.steps
    for gradient in derivation.batch.gradients:
        free = tuple(zip(gradient.indices, gradient.quantity.dims, strict=True))
        yield free, gradient.derivation.steps


def _inline(display: str) -> str:
    return f"$\\displaystyle{' '.join(display.split())}$"
