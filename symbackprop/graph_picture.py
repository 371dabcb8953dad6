"""The picture of a computation graph: operations from left to right, letters above, derivatives below.

Every node has a short line to its right: above it stands the node's letter, with its value where there
are numbers, and below it the derivative of the cost with respect to the node, in the second colour. From
its end curves lead to the nodes that are computed from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sympy as sp

from symbackprop.computation_graph import Graph, Node
from symbackprop.drawing import (
    Box,
    Circle,
    Drawing,
    Item,
    Label,
    Line,
    Point,
    centred,
    frame_around,
    label,
)
from symbackprop.equations import Partial, Role
from symbackprop.functions import ScalarFunction
from symbackprop.latex import latex
from symbackprop.layering import Cell, Layered, layered
from symbackprop.symbols import Names, function_name
from symbackprop.words import Words, load_words

_SIGNS = {"add": "+", "subtract": "-", "multiply": r"\times", "divide": "/"}
_FUNCTIONS = {"log": r"\ln", "exp": r"\exp"}
_RADIUS, _PADDING, _STEM = 9.0, 4.0, 14.0
_WIDEST = 50.0
"""A derivative that is wider than this is written as a derivative and not worked out."""

_DIGITS = 3
_LIGHT = 0.15


def graph_drawing(graph: Graph, names: Names, name: str = "graph", words: Words | None = None) -> Drawing:
    """The picture of a computation graph in a notation.

    >>> from symbackprop.computation_graph import computation_graph
    >>> from symbackprop.forward import forward_model
    >>> from symbackprop.spec import from_widths
    >>> model = forward_model(from_widths("1-1", output_activation="linear"))
    >>> names = Names.of(model.program.quantities.values(), model.sizes)
    >>> drawing = graph_drawing(computation_graph(model, names), names)
    >>> [item.text for item in drawing.labels if item.style == "operation"]
    ['$\\\\times$', '$+$', '$-$', '$\\\\sbpsymbol{c}^{2}$']
    """
    return _Picture(graph, names, name, words or load_words()).drawing()


@dataclass(frozen=True)
class _Shown:
    """How a node is drawn: what stands in it, above the line to its right, and below that."""

    inside: Label
    above: Label | None
    below: Label | None

    @property
    def half(self) -> float:
        """Half the width of the shape."""
        return max(_RADIUS, self.inside.set.width / 2 + _PADDING)

    @property
    def stem(self) -> float:
        above = self.above.set.width + 5.0 if self.above else 0.0
        below = self.below.set.width + 5.0 if self.below else 0.0
        return max(_STEM, above, below)

    def cell(self, node: Node) -> Cell:
        up = max(_RADIUS, self.above.set.ascent + self.above.set.descent + 4.0 if self.above else 0.0)
        down = max(_RADIUS, self.below.set.ascent + self.below.set.descent + 6.0 if self.below else 0.0)
        weight = _LIGHT if node.is_leaf else 1.0
        return Cell(node.name, 2 * self.half + self.stem, up + 3.0, down + 3.0, weight)


@dataclass(frozen=True)
class _Picture:
    """Measures every node, has them placed, and draws them."""

    graph: Graph
    names: Names
    name: str
    words: Words

    def drawing(self) -> Drawing:
        shown = {node.name: self.shown(node) for node in self.graph.nodes}
        cells = [shown[node.name].cell(node) for node in self.graph.nodes]
        edges = [(name, node.name) for node in self.graph.nodes for name in node.inputs]
        layout = layered(cells, edges)
        items: list[Item] = [*self.ways(layout, shown)]
        for node in self.graph.nodes:
            items += self.drawn(node, shown[node.name], layout.places[node.name])
        title = self.words.picture("graph", name=self.name)
        described = self.words.picture("graph_described", nodes=str(len(self.graph.nodes)))
        return Drawing(f"{self.name}-graph", title, described, tuple(items))

    # --- what is written ------------------------------------------------------------------------

    def shown(self, node: Node) -> _Shown:
        inside, above = self.inside(node), self.above(node)
        below = self.below(node) if self.has_derivative(node) else None
        key = node.name.replace(" ", "")
        style = "symbol" if node.is_leaf else "operation"
        notation, origin = self.names.notation, Point(0, 0)
        return _Shown(
            centred(origin, inside, style, notation, key if node.is_leaf else ""),
            label(origin, above, "letter", notation, key, "start") if above else None,
            label(origin, below, "derivative", notation, key, "start") if below else None,
        )

    def tex(self, expr: sp.Expr) -> str:
        return latex(self.graph.shown(expr), self.names)

    def inside(self, node: Node) -> str:
        """The symbol of a leaf, the sign of an operation on two nodes, and else what is done with the one."""
        if node.is_leaf:
            return f"${self.tex(node.own)}$"
        if isinstance(node.expr, ScalarFunction):
            return f"${function_name(node.expr.func.letter, 0, self.names)}$"
        if node.operation in _FUNCTIONS:
            return f"${_FUNCTIONS[node.operation]}$"
        if len(node.inputs) > 1 and node.operation in _SIGNS:
            return f"${_SIGNS[node.operation]}$"
        if node.operation == "multiply":
            return rf"$\times {self.tex(node.expr / self.graph[node.inputs[0]].own)}$"
        if isinstance(node.expr, sp.Piecewise):
            return self.words.picture("cases")
        return f"${self.tex(node.expr)}$"

    def above(self, node: Node) -> str:
        """The letter of a node, and its value where there are numbers."""
        value = self.graph.values.get(node.name)
        if value is None:
            return "" if node.is_leaf else f"${self.tex(node.own)}$"
        return f"${_number(value)}$" if node.is_leaf else f"${self.tex(node.own)} = {_number(value)}$"

    def below(self, node: Node) -> str:
        """The derivative by a node: its number, or what it comes to, or what it is where that is long."""
        slope = self.graph.slopes.get(node.name)
        if slope is not None:
            return f"${_number(slope)}$"
        worked_out = f"${self.tex(self.graph.derivatives[node.name])}$"
        if self.fits(worked_out):
            return worked_out
        return f"${self.tex(Partial(self.graph.root.own, node.own))}$"

    def fits(self, text: str) -> bool:
        if r"\begin" in text:
            return False
        return label(Point(0, 0), text, "derivative", self.names.notation).set.width <= _WIDEST

    def has_derivative(self, node: Node) -> bool:
        """Whether the derivative by a node is shown: that by an input or a target isn't."""
        return self.graph.roles.get(node.name) not in (Role.INPUT, Role.TARGET)

    # --- what is drawn --------------------------------------------------------------------------

    def ways(self, layout: Layered, shown: Mapping[str, _Shown]) -> Iterator[Line]:
        """The curves from node to node."""
        for (_, end), points in layout.ways.items():
            place, half = layout.places[end], shown[end].half
            aside = points[-1].y - place.y
            into = half - (half**2 - aside**2) ** 0.5 if half == _RADIUS else 0.0
            tip = Point(place.x + into - 1.2, points[-1].y)
            yield Line((*points[:-1], tip), "wire", arrow=True, smooth=True)

    def drawn(self, node: Node, shown: _Shown, place: Point) -> Iterator[Item]:
        """A node, the line to its right and what stands at it."""
        key, half = node.name.replace(" ", ""), shown.half
        centre, start, end = (
            Point(place.x + half, place.y),
            place.x + 2 * half,
            place.x + 2 * half + shown.stem,
        )
        yield Line((Point(start, place.y), Point(end, place.y)), "wire", key)
        if node.is_leaf:
            yield Box(frame_around(centre, 2 * half, 2 * _RADIUS), "leaf", key)
        elif half == _RADIUS:
            yield Circle(centre, half, "operation", key)
        else:
            yield Box(frame_around(centre, 2 * half, 2 * _RADIUS), "operation", key)
        yield shown.inside.moved(centre)
        if shown.above is not None:
            yield shown.above.moved(Point(start + 3.0, place.y - 3.0 - shown.above.set.descent))
        if shown.below is not None:
            yield Line(
                (Point(end, place.y + 2.4), Point(start + 1.0, place.y + 2.4)), "backward", key, arrow=True
            )
            yield shown.below.moved(Point(start + 3.0, place.y + 6.0 + shown.below.set.ascent))


def _number(value: float) -> str:
    """A number with three digits that count.

    >>> _number(0.0412345), _number(-1.0), _number(0.00001234), _number(123456.0)
    ('0.0412', '-1', '1.23 \\\\cdot 10^{-5}', '1.23 \\\\cdot 10^{5}')
    """
    digits, _, power = f"{value:.{_DIGITS}g}".partition("e")
    return rf"{digits} \cdot 10^{{{int(power)}}}" if power else digits
