"""The pictures of a derivation in a notation, as files: TikZ, SVG, and a document that holds one alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from symbackprop.errors import FormRefused, NoRule
from symbackprop.layout.computation_graph import computation_graph
from symbackprop.notation.notation import DEFAULT, Notation, load_notation
from symbackprop.notation.style_package import FILE, style_package
from symbackprop.notation.words import Words, load_words
from symbackprop.pictures.drawing import Drawing
from symbackprop.pictures.graph_picture import graph_drawing
from symbackprop.pictures.network_picture import network_drawing
from symbackprop.pictures.svg import svg_picture
from symbackprop.pictures.tikz import standalone_tex, tikz_picture
from symbackprop.pipeline import NetworkDerivation
from symbackprop.printing.symbols import Names
from symbackprop.rendering.latex_compiler import compiled


@dataclass(frozen=True)
class Picture:
    """A drawing with the notation that its labels are in; a notebook shows it by itself."""

    drawing: Drawing
    notation: Notation

    def to_svg(self) -> str:
        """An SVG file that needs nothing else."""
        return svg_picture(self.drawing)

    def to_tikz(self) -> str:
        """A ``tikzpicture`` to be read in after TikZ and ``symbackprop.sty``."""
        return tikz_picture(self.drawing)

    def to_standalone(self) -> str:
        """A LaTeX document that holds nothing but the picture; it reads ``symbackprop.sty``."""
        return standalone_tex(self.drawing)

    def to_pdf(self) -> bytes:
        """The picture on a page of its size.

        Raises:
            MissingProgram: if there is no pdflatex.
        """
        sources = {FILE: style_package(self.notation), "picture.tex": self.to_standalone()}
        return compiled(sources, "picture.tex", 1)

    def _repr_svg_(self) -> str:
        return self.to_svg()


def pictures_of(
    derivation: NetworkDerivation,
    notation: str | Notation = DEFAULT,
    words: Words | None = None,
    wanted: Collection[str] = ("network", "graph"),
) -> dict[str, Picture]:
    """The pictures that a derivation has, by what they show: ``network``, and ``graph`` where it can be read.

    A picture is drawn where it is wanted, and the graph only if it can be read.

    Raises:
        NoRule: for a notation with a sign that a picture's label can't hold.

    >>> from symbackprop.pipeline import derive
    >>> from symbackprop.spec.loading import from_widths
    >>> pictures = pictures_of(derive(from_widths("2-1")))
    >>> [picture.drawing.title for picture in pictures.values()]
    ['The network 2-1', 'The computation graph of 2-1']
    """
    model, words = derivation.model, words or load_words()
    shown = load_notation(notation) if isinstance(notation, str) else notation
    words = words.with_own(shown.own_words(words.language))
    quantities = (*model.program.quantities.values(), *model.total.quantities.values())
    names = Names.of(quantities, model.sizes, shown, model.last_layer)
    drawings = {"network": network_drawing(model, names, words)} if "network" in wanted else {}
    if "graph" in wanted:
        try:
            graph = computation_graph(model, names)
        except (FormRefused, NoRule):
            pass
        else:
            drawings["graph"] = graph_drawing(graph, names, model.network.name, words)
    return {key: Picture(drawing, names.notation) for key, drawing in drawings.items()}


def picture_files(
    derivation: NetworkDerivation, notation: str = DEFAULT, words: Words | None = None
) -> dict[str, str]:
    """Each picture as SVG and as TikZ, by the name of its file.

    >>> from symbackprop.pipeline import derive
    >>> from symbackprop.spec.loading import from_widths
    >>> sorted(picture_files(derive(from_widths("2-1"))))
    ['2-1-graph.svg', '2-1-graph.tex', '2-1-network.svg', '2-1-network.tex']
    """
    found = pictures_of(derivation, notation, words).values()
    svg = {f"{picture.drawing.name}.svg": picture.to_svg() for picture in found}
    return svg | {f"{picture.drawing.name}.tex": picture.to_tikz() for picture in found}


def network_svg(
    derivation: NetworkDerivation, notation: str | Notation = DEFAULT, words: Words | None = None
) -> str:
    """The picture of a derivation's network as SVG, ready for a notebook."""
    return pictures_of(derivation, notation, words, ["network"])["network"].to_svg()
