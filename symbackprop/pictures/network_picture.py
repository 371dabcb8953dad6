"""The picture of a network: units in columns, weights on the lines, the cost, and the way back.

A unit shows its pre-activation and its activation; the derivative by its pre-activation stands below it,
and an arrow in the second colour runs back along every line that the derivative takes. Of a wide layer
the first two units and the last are drawn, of many layers the first ones and the last ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise, product

import sympy as sp

from symbackprop.algebra.equations import Quantity, Role
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.algebra.indices import size_symbol
from symbackprop.forward.model import Model, quantity
from symbackprop.network import Layer
from symbackprop.notation.words import Words, load_words
from symbackprop.pictures.drawing import (
    COMFORTABLE,
    Box,
    Circle,
    Dots,
    Drawing,
    Frame,
    Item,
    Label,
    Line,
    Point,
    centred,
    crosses,
    frame_around,
    label,
    towards,
)
from symbackprop.printing.symbols import Names, entry, function_name, layer_argument, whole

MOST_UNITS, MOST_LAYERS = 5, 4
"""A layer of up to so many units, and a network of up to so many layers, is drawn with all of them."""

MOST_LINES = 12
"""Between layers with more lines than this some units are left out."""

_ASIDE = 1.9
"""How far the two ways along a line are from its middle."""

_ROOM_ABOVE, _ROOM_BELOW = 25.0, 18.5
_BIAS_DISTANCE = 9.5
_DOTS_ROOM = 0.7
_TALL = 16.0
_LEGIBLE = 9
"""So many weights between two layers can all be written on their lines."""


def network_drawing(model: Model, names: Names, words: Words | None = None) -> Drawing:
    """The picture of a network in a notation; a wide one shows fewer units, which need less room.

    >>> from symbackprop.forward.model import forward_model
    >>> from symbackprop.spec.loading import from_widths
    >>> model = forward_model(from_widths("2-1"))
    >>> drawing = network_drawing(model, Names.of(model.program.quantities.values(), model.sizes))
    >>> sorted(item.key for item in drawing.of_style("weight") if isinstance(item, Label))
    ['W1[1,1]', 'W1[1,2]']
    """
    drawing = _Layout(model, names, words or load_words()).drawing()
    if drawing.frame.width <= COMFORTABLE:
        return drawing
    return _Layout(model, names, words or load_words(), fewer=True).drawing()


@dataclass(frozen=True)
class _Unit:
    """A unit in its place: where lines lead to, and where they leave."""

    index: sp.Expr
    entry: Circle
    exit: Circle


@dataclass(frozen=True)
class _Column:
    """A layer in its place. A column without units stands for the layers that are left out."""

    layer: sp.Expr | None
    left: float
    right: float
    units: tuple[_Unit, ...] = ()
    items: tuple[Item, ...] = ()


@dataclass
class _Layout:
    """Places columns from left to right, then the lines between them."""

    model: Model
    names: Names
    words: Words
    fewer: bool = False
    taken: list[Frame] = field(default_factory=list)

    def drawing(self) -> Drawing:
        columns = self.columns()
        cost = self.cost(columns[-1])
        targets = list(self.targets(columns[-1], cost))
        ends = cost, next(item for item in targets if isinstance(item, Circle))
        lines = [line for two in pairwise(columns) for line in self.between(*two)]
        shapes = [item for column in columns for item in column.items]
        items = [*lines, *shapes, *self.to_cost(columns[-1], cost), *targets, *self.headings(columns, ends)]
        if self.model.network.penalty is not None:
            items += self.penalty(columns, cost, max(item.frame.bottom for item in items))
        name = self.model.network.name
        title = self.words.picture("network", name=self.model.network.title or name)
        return Drawing(
            f"{name}-network",
            title,
            self.described(),
            tuple(_in_order(items)),
            caption=self.words.picture("network_caption"),
        )

    # --- what is shown --------------------------------------------------------------------------

    def layers(self) -> list[sp.Expr | None]:
        """The layers that are drawn, and ``None`` for those that are not."""
        model, zero = self.model, sp.Integer(0)
        if model.symbolic_depth:
            l = model.general_layer
            return [zero, None, l - 1, l, l + 1, None, model.last_layer]
        last = int(model.last_layer)
        if last <= MOST_LAYERS:
            return list(map(sp.Integer, range(last + 1)))
        return [zero, sp.Integer(1), None, sp.Integer(last - 1), sp.Integer(last)]

    def indices(self, layer: sp.Expr) -> tuple[sp.Expr | None, ...]:
        """The units of a layer that are drawn, and ``None`` for those that are not."""
        size = self.size(layer)
        if self.is_whole(layer):
            return tuple(map(sp.Integer, range(1, int(size) + 1)))
        first = (sp.Integer(1),) if self.fewer else (sp.Integer(1), sp.Integer(2))
        return (*first, None, size if size.is_Integer else self.own_size(layer))

    def is_whole(self, layer: sp.Expr) -> bool:
        """Whether all units of a layer are drawn: a few, with not too many lines to them."""
        size = self.size(layer)
        if not size.is_Integer or size > MOST_UNITS:
            return False
        beside = [other for other in (layer - 1, layer + 1) if other in self.layers()]
        sizes = [self.size(other) for other in beside]
        others = [n if n.is_Integer and n <= MOST_UNITS else 3 for n in sizes]
        return bool(size <= 3) or all(size * other <= MOST_LINES for other in others)

    def own_size(self, layer: sp.Expr) -> sp.Symbol:
        return size_symbol(f"n_{str(layer).replace(' ', '')}")

    def size(self, layer: sp.Expr) -> sp.Expr:
        return self.model.with_sizes(self.own_size(layer))

    def spec(self, layer: sp.Expr) -> Layer:
        """What the spec says of a layer."""
        layers = self.model.network.layers
        if self.model.symbolic_depth:
            return layers[-1] if layer == self.model.last_layer else layers[0]
        return layers[int(layer) - 1]

    def of(self, letter: str, layer: sp.Expr) -> Quantity:
        """The quantity of this letter; the activations of layer 0 are the inputs."""
        if letter == "a" and layer == 0:
            return self.model.program.inputs[0]
        dims = (self.own_size(layer), self.own_size(layer - 1))
        return quantity(letter, _ROLES[letter], layer, *dims[: 2 if letter == "W" else 1])

    def entry(self, of: Quantity, *indices: sp.Expr) -> tuple[str, str]:
        """An entry as a formula of a label, and its key."""
        key = ",".join(str(self.model.with_sizes(index)) for index in indices)
        return f"${entry(of, indices, self.names)}$", f"{of.name}[{key}]" if indices else of.name

    # --- columns --------------------------------------------------------------------------------

    def columns(self) -> list[_Column]:
        found: list[_Column] = []
        for layer in self.layers():
            left = found[-1].right + self.gap(found[-1].layer, layer) if found else 0.0
            found.append(self.column(layer, left))
        return found

    def gap(self, before: sp.Expr | None, after: sp.Expr | None) -> float:
        """The room between two columns, more where steep lines need it."""
        if before is None or after is None:
            return 15.0 if self.fewer else 22.0
        whole = self.is_whole(before) and self.is_whole(after)
        most = max(len(self.indices(before)), len(self.indices(after)))
        least = 56.0 + 18.0 * most if whole else 54.0 if self.fewer else 76.0
        written = 0.0 if whole else self.written_width(before, after)
        return max(least, written, self.clearance(before, after))

    def written_width(self, before: sp.Expr, after: sp.Expr) -> float:
        """Room for the widest weight on a level line, with a piece of the line on either side."""
        last = [self.indices(layer)[-1] for layer in (after, before)]
        text, _ = self.entry(self.of("W", after), *(index for index in last if index is not None))
        return self.measured(text, "weight") + 22.0

    def clearance(self, before: sp.Expr, after: sp.Expr) -> float:
        """So far apart, the steepest line passes what stands above and below the units at its ends."""
        ys = [[y for index, y in self.rows(layer) if index is not None] for layer in (before, after)]
        steepest = max(abs(one - two) for one in ys[0] for two in ys[1])
        narrowest = min(map(self.steepness, (before, after)))
        radii = (self.single_radius if layer == 0 else self.neuron_radius for layer in (before, after))
        return steepest / narrowest - sum(radii)

    def steepness(self, layer: sp.Expr) -> float:
        """How steep a line may be that leads to the middle of a unit past its bias and its derivative."""
        if layer == 0:
            return math.inf
        radius, bias = self.neuron_radius, self.spec(layer).bias
        above = (radius + _BIAS_DISTANCE) / (self.widest("bias", "b", layer) / 2 + 7.0) if bias else math.inf
        return min(above, (radius + 3.5) / (self.widest("delta", "delta", layer) / 2 + 4.0))

    def column(self, layer: sp.Expr | None, left: float) -> _Column:
        if layer is None:
            return _Column(None, left, left + 14.0)
        if layer == 0:
            return self.inputs(left)
        if self.spec(layer).activation.coupled:
            return self.coupled(layer, left)
        return self.neurons(layer, left)

    def rows(self, layer: sp.Expr) -> Iterator[tuple[sp.Expr | None, float]]:
        """The units of a layer, or ``None`` for dots, and how far down each stands."""
        indices = self.indices(layer)
        heights = [self.spacing * (_DOTS_ROOM if index is None else 1.0) for index in indices]
        middles = [sum(heights[:row]) + heights[row] / 2 for row in range(len(indices))]
        yield from zip(indices, (middle - sum(heights) / 2 for middle in middles), strict=True)

    @cached_property
    def spacing(self) -> float:
        bias = any(layer.bias for layer in self.model.network.layers)
        return 2 * self.neuron_radius + _ROOM_BELOW + (_ROOM_ABOVE if bias else 8.0)

    @cached_property
    def neuron_radius(self) -> float:
        """Wide enough for a pre-activation and an activation side by side, or one above the other."""
        beside, above = 1.15 * self.widest_symbol + 3.5, math.hypot(self.widest_symbol / 2 + 1.0, _TALL)
        return max(17.0, above if self.fewer else beside)

    @cached_property
    def single_radius(self) -> float:
        """Wide enough for one symbol."""
        return max(12.0, self.widest_symbol / 2 + 4.5)

    @cached_property
    def widest_symbol(self) -> float:
        """The width of the widest symbol in a unit."""
        shown = [layer for layer in self.layers() if layer is not None]
        inside = [self.widest("symbol", letter, layer) for layer in shown[1:] for letter in "za"]
        return max(self.widest("symbol", "a", shown[0]), *inside)

    def widest(self, style: str, letter: str, layer: sp.Expr) -> float:
        """The width of the widest entry of a quantity that is shown."""
        indices = [index for index in self.indices(layer) if index is not None]
        texts = [self.entry(self.of(letter, layer), index)[0] for index in indices]
        return max(self.measured(text, style) for text in texts)

    def measured(self, text: str, style: str) -> float:
        return label(Point(0, 0), text, style, self.names.notation).set.width

    def inputs(self, left: float) -> _Column:
        radius, units, items = self.single_radius, [], list[Item]()
        for index, y in self.rows(sp.Integer(0)):
            centre = Point(left + radius, y)
            if index is None:
                items.append(Dots(centre, vertical=True))
                continue
            circle, text = self.single(centre, "a", sp.Integer(0), index, "input")
            units.append(_Unit(index, circle, circle))
            items += [circle, text]
        return self.finished(sp.Integer(0), left, left + 2 * radius, units, items)

    def single(
        self, centre: Point, letter: str, layer: sp.Expr, index: sp.Expr, style: str, radius: float = 0.0
    ) -> tuple[Circle, Label]:
        """A circle with one symbol in it."""
        text, key = self.entry(self.of(letter, layer), index)
        circle = Circle(centre, radius or self.single_radius, style, key)
        return circle, centred(centre, text, "symbol", self.names.notation, key)

    def neurons(self, layer: sp.Expr, left: float) -> _Column:
        radius, units, items = self.neuron_radius, [], list[Item]()
        for index, y in self.rows(layer):
            centre = Point(left + radius, y)
            if index is None:
                items.append(Dots(centre, vertical=True))
                continue
            circle = Circle(centre, radius, "neuron", self.entry(self.of("a", layer), index)[1])
            units.append(_Unit(index, circle, circle))
            items += [circle, *self.halves(centre, layer, index), *self.beside(circle, layer, index)]
        return self.finished(layer, left, left + 2 * radius, units, items)

    def halves(self, centre: Point, layer: sp.Expr, index: sp.Expr) -> Iterator[Item]:
        """The pre-activation of a unit and its activation, side by side or one above the other."""
        across, down = (0.0, 1.0) if self.fewer else (1.0, 0.0)
        radius, notation = self.neuron_radius, self.names.notation
        ends = (Point(centre.x + side * down * radius, centre.y + side * across * radius) for side in (-1, 1))
        yield Line(tuple(ends), "divider")
        for letter, side in (("z", -1), ("a", 1)):
            text, key = self.entry(self.of(letter, layer), index)
            at = Point(centre.x + side * across * 0.47 * radius, centre.y + side * down * 0.42 * radius)
            yield centred(at, text, "symbol", notation, key)

    def beside(self, circle: Circle, layer: sp.Expr, index: sp.Expr) -> Iterator[Item]:
        """The derivative below a unit, and the bias above it."""
        text, key = self.entry(self.of("delta", layer), index)
        below = Point(circle.centre.x, circle.centre.y + circle.radius + 12.5)
        yield label(below, text, "delta", self.names.notation, key)
        if self.spec(layer).bias:
            yield from self.bias(circle, layer, index)

    def bias(self, circle: Circle, layer: sp.Expr, index: sp.Expr) -> Iterator[Item]:
        text, key = self.entry(self.of("b", layer), index)
        centre = Point(circle.centre.x, circle.centre.y - circle.radius - _BIAS_DISTANCE - 7.0)
        shown = centred(centre, text, "bias", self.names.notation, key)
        box = shown.frame.padded(2.8, 2.0)
        tip = Point(centre.x, circle.centre.y - circle.radius - 0.8)
        yield Line((Point(centre.x, box.bottom), tip), "wire", key, arrow=True)
        yield Box(box, "bias", key)
        yield shown

    def coupled(self, layer: sp.Expr, left: float) -> _Column:
        """Pre-activations, the function that takes them all, and the activations that it gives."""
        radius, wide, name = self.single_radius, self.neuron_radius, self.function(layer)
        width = self.measured(name, "heading") + 10.0
        first, box = left + wide, left + 2 * wide + 22.0 + width / 2
        second = box + width / 2 + 22.0 + radius
        units, items = [], list[Item]()
        for index, y in self.rows(layer):
            if index is None:
                items += [Dots(Point(x, y), vertical=True) for x in (first, second)]
                continue
            z, z_text = self.single(Point(first, y), "z", layer, index, "neuron", wide)
            a, a_text = self.single(Point(second, y), "a", layer, index, "neuron")
            units.append(_Unit(index, z, a))
            items += [*_through(z, a, box, width), z, a, z_text, a_text, *self.beside(z, layer, index)]
        frame = frame_around(Point(box, 0.0), width, 2 * (units[-1].exit.centre.y + radius))
        items.append(Box(frame, "coupled"))
        items.append(centred(Point(box, 0.0), name, "heading", self.names.notation))
        return self.finished(layer, left, second + radius, units, items)

    def finished(
        self, layer: sp.Expr, left: float, right: float, units: Sequence[_Unit], items: Sequence[Item]
    ) -> _Column:
        self.taken += [item.frame for item in items if isinstance(item, Label | Circle | Box)]
        return _Column(layer, left, right, tuple(units), tuple(items))

    def function(self, layer: sp.Expr) -> str:
        """The name of a layer's activation function, or nothing for the identity."""
        activation = self.spec(layer).activation
        if activation.coupled:
            return f"${function_name(activation.name, 0, self.names)}$"
        output = layer == self.model.last_layer
        known = [e for e in self.model.program if e.quantity.role is Role.ACTIVATION]
        own = [e for e in known if e.quantity.layer == layer] or ([known[-1]] if output else [known[0]])
        functions = [node.func.letter for node in own[0].rhs.atoms(ScalarFunction)]
        return f"${function_name(functions[0], 0, self.names)}$" if functions else ""

    # --- lines ----------------------------------------------------------------------------------

    def between(self, before: _Column, after: _Column) -> Iterator[Item]:
        """The lines between two columns, there and back, with weights on them."""
        if before.layer is None or after.layer is None:
            yield from _stubs(before, after, 11.0 if self.fewer else 17.0)
            return
        lines = [self.line(one, two, after.layer) for one, two in _pairs(before, after)]
        back = [_back(line, two, one) for line, (one, two) in zip(lines, _pairs(before, after), strict=True)]
        back = [] if before.layer == 0 else back
        written = self.written(before, after, lines)
        frames = tuple(text.frame.padded(2.2, 0.8) for text in written)
        self.taken += frames
        keys = {text.key for text in written}
        for line in lines:
            yield replace(line, around=frames, style="weight" if line.key in keys else "edge")
        yield from (replace(line, around=frames) for line in back)
        yield from written

    def line(self, one: _Unit, two: _Unit, layer: sp.Expr) -> Line:
        aside = 0.0 if one.entry.style == "input" else _ASIDE
        key = self.entry(self.of("W", layer), two.index, one.index)[1]
        return Line(_way(one.exit, two.entry, aside), "edge", key, arrow=True)

    def written(self, before: _Column, after: _Column, lines: list[Line]) -> list[Label]:
        """The weights on the lines: all of them where they can be read, else the first and the last."""
        pairs, layer = list(_pairs(before, after)), after.layer
        assert before.layer is not None and layer is not None
        if self.is_whole(before.layer) and self.is_whole(layer) and len(pairs) <= _LEGIBLE:
            every = self.placed(pairs, lines, layer, strict=True)
            if len(every) == len(pairs):
                return every
        return self.placed([pairs[0], pairs[-1]], lines, layer, strict=False)

    def placed(
        self, pairs: list[tuple[_Unit, _Unit]], lines: list[Line], layer: sp.Expr, strict: bool
    ) -> list[Label]:
        """Weights at places where they meet nothing else; with ``strict`` no other line either."""
        found: list[Label] = []
        by_key = {line.key: line for line in lines}
        for one, two in pairs:
            text, key = self.entry(self.of("W", layer), two.index, one.index)
            own = by_key[key]
            taken = [*self.taken, *(other.frame.padded(2.2, 0.8) for other in found)]
            others = [line for line in lines if line is not own]
            shown = centred(Point(0, 0), text, "weight", self.names.notation, key)
            places = [shown.moved(_at(own, part)) for part in _parts(pairs if strict else pairs[:1])]
            free = [place for place in places if not any(place.frame.overlaps(frame) for frame in taken)]
            counted = sorted(free, key=lambda place: _crossings(place, others))
            if counted and not (strict and _crossings(counted[0], others)):
                found.append(counted[0])
        return found

    # --- the cost -------------------------------------------------------------------------------

    def cost(self, outputs: _Column) -> Circle:
        """The cost, to the right of the outputs."""
        assert outputs.layer is not None
        text, key = self.entry(self.model.cost)
        radius = max(13.0, self.measured(text, "symbol") / 2 + 5.0)
        distance = (20.0 if self.fewer else 32.0) + 7.0 * len(self.indices(outputs.layer)) + radius
        return Circle(Point(outputs.right + distance, 0.0), radius, "cost", key)

    def to_cost(self, outputs: _Column, cost: Circle) -> Iterator[Item]:
        """The cost with the lines to it and back from it."""
        yield cost
        yield centred(cost.centre, self.entry(self.model.cost)[0], "symbol", self.names.notation, cost.key)
        for unit in outputs.units:
            yield Line(_way(unit.exit, cost, _ASIDE), "wire", arrow=True)
            yield Line(_way(cost, unit.exit, _ASIDE), "backward", arrow=True)

    def targets(self, outputs: _Column, cost: Circle) -> Iterator[Item]:
        """The targets, which lead to the cost from the other side."""
        assert outputs.layer is not None
        x = cost.centre.x + cost.radius + 20.0 + 6.0 * len(outputs.units) + self.single_radius
        for index, y in self.rows(outputs.layer):
            if index is None:
                yield Dots(Point(x, y), vertical=True)
                continue
            text, key = self.entry(self.model.program.inputs[1], index)
            circle = Circle(Point(x, y), self.single_radius, "target", key)
            yield circle
            yield centred(circle.centre, text, "symbol", self.names.notation, key)
            yield Line(_way(circle, cost, 0.0), "wire", key, arrow=True)

    # --- the penalty ----------------------------------------------------------------------------

    def penalty(self, columns: Sequence[_Column], cost: Circle, bottom: float) -> Iterator[Item]:
        """Below everything the weights, which lead to the penalty, and the total cost that it joins."""
        weights = list(self.weights(columns, bottom))
        low = max(box.frame.bottom for box in weights if isinstance(box, Box)) + 32.0
        total, penalty = self.model.total.outputs[0], self.model.total.equations[0].quantity
        whole_cost = self.scalar(total, Point(cost.centre.x, low))
        words = [self.words.picture(key) for key in ("penalty", "total")]
        widths = [self.measured(word, "heading") for word in words]
        apart = max(cost.radius * 2 + 26.0, sum(widths) / 2 + 8.0)
        joining = self.scalar(penalty, Point(cost.centre.x - apart, low))
        yield from weights
        for box in (box for box in weights if isinstance(box, Box)):
            below = Circle(Point(box.frame.centre.x, box.frame.bottom + 2 * _ASIDE), _ASIDE, "penalty")
            yield from _both_ways(below, joining, box.key)
        yield from (*_both_ways(joining, whole_cost), *_both_ways(cost, whole_cost))
        for circle, of, word in zip((joining, whole_cost), (penalty, total), words, strict=True):
            yield circle
            yield centred(circle.centre, self.entry(of)[0], "symbol", self.names.notation, circle.key)
            yield self.head(circle.centre.x, circle.frame.bottom + 11.0, word)

    def weights(self, columns: Sequence[_Column], bottom: float) -> Iterator[Item]:
        """The weight matrices side by side, each below the lines with its weights."""
        for before, after in pairwise(columns):
            middle = Point((before.right + after.left) / 2, bottom + 22.0)
            if before.layer is None or after.layer is None:
                continue
            of = self.of("W", after.layer)
            shown = centred(middle, f"${whole(of, self.names)}$", "symbol", self.names.notation, of.name)
            yield Box(shown.frame.padded(4.0, 3.0), "penalty", of.name)
            yield shown
        yield from (
            Dots(Point((c.left + c.right) / 2, bottom + 22.0), False) for c in columns if c.layer is None
        )

    def scalar(self, of: Quantity, centre: Point) -> Circle:
        """A circle for a quantity that is one number."""
        text, key = self.entry(of)
        return Circle(centre, max(13.0, self.measured(text, "symbol") / 2 + 5.0), "penalty", key)

    # --- words ----------------------------------------------------------------------------------

    def headings(self, columns: Sequence[_Column], ends: Sequence[Circle]) -> Iterator[Label]:
        """What each column is, and its activation function, above all columns."""
        top = min(item.frame.top for column in columns for item in column.items) - 8.0
        shown = [(column, self.shown_function(column)) for column in columns if column.layer is not None]
        for column, function in shown:
            if function:
                yield self.head((column.left + column.right) / 2, top, function)
        top -= 14.0 if any(function for _, function in shown) else 0.0
        for column, _ in shown:
            yield self.head((column.left + column.right) / 2, top, self.heading(column.layer))
        for circle, key in zip(ends, ("cost", "targets"), strict=True):
            yield self.head(circle.centre.x, top, self.words.picture(key))

    def head(self, x: float, y: float, text: str) -> Label:
        return label(Point(x, y), text, "heading", self.names.notation)

    def shown_function(self, column: _Column) -> str:
        """The activation function, where no box names it."""
        if column.layer is None or column.layer == 0 or self.spec(column.layer).activation.coupled:
            return ""
        return self.function(column.layer)

    def heading(self, layer: sp.Expr | None) -> str:
        if layer is None or layer == 0:
            return self.words.picture("input")
        return self.words.picture("layer", layer=layer_argument(layer, self.names))

    def described(self) -> str:
        first, *others = [layer for layer in self.layers() if layer is not None]
        shown = [self.words.picture("inputs", size=str(self.size(first)))]
        shown += [self.words.picture("units", size=str(self.size(l)), layer=str(l)) for l in others]
        described = self.words.picture("network_described", layers=", ".join(shown))
        penalised = self.model.network.penalty is not None
        return f"{described} {self.words.picture('penalty_described')}" if penalised else described


_ROLES = {
    "W": Role.WEIGHT,
    "b": Role.BIAS,
    "z": Role.PRE_ACTIVATION,
    "a": Role.ACTIVATION,
    "delta": Role.DELTA,
}


def _pairs(before: _Column, after: _Column) -> Iterator[tuple[_Unit, _Unit]]:
    return product(before.units, after.units)


def _way(start: Circle, end: Circle, aside: float) -> tuple[Point, Point]:
    """From the edge of one circle to the edge of another, a little to the left of the straight way."""
    first = towards(start.centre, end.centre, _reach(start.radius + 1.0, aside), -aside)
    last = towards(end.centre, start.centre, _reach(end.radius + 1.5, aside), aside)
    return first, last


def _reach(radius: float, aside: float) -> float:
    return math.sqrt(radius**2 - aside**2)


def _back(line: Line, start: _Unit, end: _Unit) -> Line:
    """The way back along a line, from the unit that it leads to."""
    return Line(_way(start.entry, end.exit, _ASIDE), "backward", line.key, arrow=True)


def _both_ways(start: Circle, end: Circle, key: str = "") -> Iterator[Line]:
    """A line from one circle to another, and the way back beside it."""
    yield Line(_way(start, end, _ASIDE), "wire", key, arrow=True)
    yield Line(_way(end, start, _ASIDE), "backward", key, arrow=True)


def _through(z: Circle, a: Circle, box: float, width: float) -> Iterator[Line]:
    """From a pre-activation through the box to an activation, and back."""
    left, right = (Circle(Point(x, z.centre.y), 0.5, "coupled") for x in (box - width / 2, box + width / 2))
    for one, two in ((z, left), (right, a)):
        yield Line(_level(one, two, -_ASIDE), "wire", arrow=True)
        yield Line(_level(two, one, _ASIDE), "backward", arrow=True)


def _level(start: Circle, end: Circle, down: float) -> tuple[Point, Point]:
    """A level line between two circles, a little above or below their middles."""
    side = 1 if end.centre.x > start.centre.x else -1
    first = start.centre.x + side * _reach(max(start.radius, 2.0) + 1.0, down)
    last = end.centre.x - side * _reach(max(end.radius, 2.0) + 1.5, down)
    return Point(first, start.centre.y + down), Point(last, end.centre.y + down)


def _stubs(before: _Column, after: _Column, length: float) -> Iterator[Item]:
    """Short lines into the layers that are left out, and out of them, with dots between."""
    for unit in before.units:
        x, y = unit.exit.centre.x + unit.exit.radius, unit.exit.centre.y
        yield Dots(Point((after.left + after.right) / 2, y), vertical=False)
        yield Line((Point(x + 1.0, y - _ASIDE), Point(x + length, y - _ASIDE)), "edge")
        if before.layer != 0:
            yield Line((Point(x + length, y + _ASIDE), Point(x + 1.5, y + _ASIDE)), "backward", arrow=True)
    for unit in after.units:
        x, y = unit.entry.centre.x - unit.entry.radius, unit.entry.centre.y
        yield Line((Point(x - length, y - _ASIDE), Point(x - 1.5, y - _ASIDE)), "edge", arrow=True)
        yield Line((Point(x - 1.0, y + _ASIDE), Point(x - length, y + _ASIDE)), "backward")


def _parts(pairs: Sequence[tuple[_Unit, _Unit]]) -> list[float]:
    """Where on a line its weight may stand, as parts of its length, the best place first."""
    starts, ends = ({unit.index for unit in units} for units in zip(*pairs, strict=True))
    best = 1 / (len(ends) + 1) if len(starts) > 1 else 0.5
    return sorted((part / 40 for part in range(6, 35)), key=lambda part: abs(part - best))


def _at(line: Line, part: float) -> Point:
    start, end = line.points
    return Point(start.x + part * (end.x - start.x), start.y + part * (end.y - start.y))


def _crossings(place: Label, lines: Sequence[Line]) -> int:
    frame = place.frame.padded(1.0, 0.0)
    return sum(crosses(line.points[0], line.points[-1], frame) for line in lines)


def _in_order(items: Sequence[Item]) -> list[Item]:
    """Lines first, then shapes, and what is written on top."""
    ranks = {Line: 0, Circle: 1, Box: 1, Dots: 1, Label: 3}
    return sorted(items, key=lambda item: 2 if item.style == "divider" else ranks[type(item)])
