"""The picture of a computation graph: operations from left to right, letters above, derivatives below.

Every node has a short line to its right: above it stands the node's letter, with its value where there
are numbers, and below it the derivative of the cost with respect to the node, in the second colour. From
its end curves lead to the nodes that are computed from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import sympy as sp

from symbackprop.algebra.equations import Partial, Role
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.errors import NoRule
from symbackprop.layout.computation_graph import Graph, Node
from symbackprop.notation.words import Words, load_words
from symbackprop.pictures.drawing import (
    COMFORTABLE,
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
from symbackprop.pictures.label_text import plain
from symbackprop.pictures.layering import GAP, Cell, Layered, layered
from symbackprop.printing.latex import latex
from symbackprop.printing.measure import expanded
from symbackprop.printing.symbols import Names, function_name

_SIGNS = {"add": "+", "subtract": "-", "multiply": r"\times", "divide": "/"}
_FUNCTIONS = {"log": r"\ln", "exp": r"\exp"}
_RADIUS, _PADDING, _STEM = 9.0, 4.0, 14.0
_WIDEST = 50.0
"""A derivative that is wider than this is written as a derivative and not worked out."""

_TIGHT = 0.55
"""How much of the usual room is between the layers of a picture that would be wide."""

_DIGITS = 3
_LIGHT = 0.15
_ORIGIN = Point(0.0, 0.0)


def graph_drawing(graph: Graph, names: Names, name: str = "graph", words: Words | None = None) -> Drawing:
    """The picture of a computation graph in a notation.

    >>> from symbackprop.layout.computation_graph import computation_graph
    >>> from symbackprop.forward.model import forward_model
    >>> from symbackprop.spec.loading import from_widths
    >>> model = forward_model(from_widths("1-1", output_activation="linear"))
    >>> names = Names.of(model.program.quantities.values(), model.sizes)
    >>> drawing = graph_drawing(computation_graph(model, names), names)
    >>> [item.text for item in drawing.labels if item.style == "operation"]
    ['$\\\\times$', '$+$', '$-$', '$\\\\sbpsymbol{c}^{2}$']
    """
    picture = _Picture(graph, names, name, words or load_words())
    drawing = picture.drawing()
    return drawing if drawing.frame.width <= COMFORTABLE else replace(picture, tightness=_TIGHT).drawing()


@dataclass(frozen=True)
class _Shown:
    """How a node is drawn: what stands in it, its letter and its value above the line, and below it."""

    inside: Label
    letter: Label | None
    value: Label | None
    below: Label | None

    @property
    def half(self) -> float:
        """Half the width of the shape."""
        return max(_RADIUS, self.inside.set.width / 2 + _PADDING)

    @property
    def stem(self) -> float:
        above = sum(shown.set.width + 5.0 for shown in self.above)
        return max(_STEM, above, self.below.set.width + 5.0 if self.below else 0.0)

    @property
    def above(self) -> list[Label]:
        return [shown for shown in (self.letter, self.value) if shown is not None]

    def cell(self, node: Node) -> Cell:
        up = max(_RADIUS, *(shown.set.ascent + shown.set.descent + 4.0 for shown in self.above), 0.0)
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
    tightness: float = 1.0

    def drawing(self) -> Drawing:
        shown = {node.name: self.shown(node) for node in self.graph.nodes}
        cells = [shown[node.name].cell(node) for node in self.graph.nodes]
        edges = [(name, node.name) for node in self.graph.nodes for name in node.inputs]
        layout = layered(cells, edges, GAP * self.tightness)
        items: list[Item] = [*self.ways(layout, shown)]
        for node in self.graph.nodes:
            items += self.drawn(node, shown[node.name], layout.places[node.name])
        title = self.words.picture("graph", name=self.name)
        described = self.words.picture("graph_described", nodes=str(len(self.graph.nodes)))
        computed = "; ".join(map(self.spoken, self.graph.inner))
        return Drawing(
            f"{self.name}-graph",
            title,
            f"{described} {computed}.",
            tuple(items),
            caption=self.words.picture("graph_caption"),
        )

    # --- what is written ------------------------------------------------------------------------

    def shown(self, node: Node) -> _Shown:
        key, style = node.name.replace(" ", ""), "symbol" if node.is_leaf else "operation"
        inside = centred(_ORIGIN, self.inside(node), style, self.names.notation, key if node.is_leaf else "")
        value = self.graph.values.get(node.name)
        return _Shown(
            inside,
            None if node.is_leaf else self.label(self.tex(node.own), "letter", key),
            None if value is None else self.label(_number(value), "value", key),
            self.label(self.below(node), "derivative", key) if self.has_derivative(node) else None,
        )

    def label(self, formula: str, style: str, key: str) -> Label:
        return label(_ORIGIN, f"${formula}$", style, self.names.notation, key, "start")

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

    def below(self, node: Node) -> str:
        """The derivative by a node: its number, or what it comes to, or what it is where that is long."""
        slope = self.graph.slopes.get(node.name)
        if slope is not None:
            return _number(slope)
        worked_out = self.tex(self.graph.derivatives[node.name])
        return worked_out if self.is_short(worked_out) else self.tex(Partial(self.graph.root.own, node.own))

    def is_short(self, formula: str) -> bool:
        """Whether there is room for a formula; for one that a label can't hold there is none."""
        try:
            return self.label(formula, "derivative", "").set.width <= _WIDEST
        except NoRule:
            return False

    def has_derivative(self, node: Node) -> bool:
        """Whether the derivative by a node is shown: that by an input or a target isn't."""
        return self.graph.roles.get(node.name) not in (Role.INPUT, Role.TARGET)

    def spoken(self, node: Node) -> str:
        """What a node is computed from, as plain text for a reader that sees no picture."""
        if node.expr.has(sp.Piecewise):
            return f"{self.plain(node.own)}: {self.words.picture('cases')}"
        return f"{self.plain(node.own)} = {self.plain(node.expr)}"

    def plain(self, expr: sp.Expr) -> str:
        return plain(f"${expanded(self.tex(expr), self.names.notation)}$")

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
        centre, start = Point(place.x + half, place.y), place.x + 2 * half
        end = start + shown.stem
        yield Line((Point(start, place.y), Point(end, place.y)), "wire", key)
        if node.is_leaf:
            yield Box(frame_around(centre, 2 * half, 2 * _RADIUS), "leaf", key)
        elif half == _RADIUS:
            yield Circle(centre, half, "operation", key)
        else:
            yield Box(frame_around(centre, 2 * half, 2 * _RADIUS), "operation", key)
        yield shown.inside.moved(centre)
        yield from _written(shown, start, end, place.y)


def _written(shown: _Shown, start: float, end: float, y: float) -> Iterator[Item]:
    """What stands above the line of a node and below it, with the way back."""
    x, base = start + 3.0, y - 3.0 - max((text.set.descent for text in shown.above), default=0.0)
    for text in shown.above:
        yield text.moved(Point(x, base))
        x += text.set.width + 5.0
    if shown.below is not None:
        back = Point(end, y + 2.4), Point(start + 1.0, y + 2.4)
        yield Line(back, "backward", shown.below.key, arrow=True)
        yield shown.below.moved(Point(start + 3.0, y + 6.0 + shown.below.set.ascent))


def _number(value: float) -> str:
    """A number with three digits that count.

    >>> _number(0.0412345), _number(-1.0), _number(0.00001234), _number(123456.0)
    ('0.0412', '-1', '1.23 \\\\cdot 10^{-5}', '1.23 \\\\cdot 10^{5}')
    """
    digits, _, power = f"{value:.{_DIGITS}g}".partition("e")
    return rf"{digits} \cdot 10^{{{int(power)}}}" if power else digits
