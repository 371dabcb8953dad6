"""From array expressions to single operations: the first stage of the fast path.

Every equation's array expression is taken apart into nodes of a :class:`~symbackprop.code.nodes.Graph`;
equations read each other's nodes, so nothing is computed twice and an equation that one other reads
is simply a part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import singledispatchmethod

import sympy as sp
from sympy.logic.boolalg import Boolean

from symbackprop.algebra.functions import ScalarFunction
from symbackprop.code.arrays import (
    Array,
    Einsum,
    Entry,
    LogComplement,
    Map,
    MatMul,
    Others,
    Outer,
    Softmax,
    Total,
    Transpose,
)
from symbackprop.code.kernel_calls import as_printed
from symbackprop.code.nodes import Call, Dims, Graph
from symbackprop.code.numpy_code import UFUNCS, Names, einsum_pattern, function_body, is_rectifier
from symbackprop.errors import NoRule
from symbackprop.network import argument
from symbackprop.numerics.forms import Sigmoid

Places = tuple[int, ...]

COMPARISONS: Mapping[type, str] = {
    sp.StrictGreaterThan: "greater",
    sp.GreaterThan: "greater_equal",
    sp.StrictLessThan: "less",
    sp.LessThan: "less_equal",
    sp.Equality: "equal",
    sp.Unequality: "not_equal",
    sp.And: "logical_and",
    sp.Or: "logical_or",
}


@dataclass
class Lowering:
    """Takes equations one after another; ``values`` are the nodes of those that it has seen."""

    names: Names
    graph: Graph = field(default_factory=Graph)
    values: dict[str, int] = field(default_factory=dict)
    twins: dict[str, str] = field(default_factory=dict)
    ignores_overflow: bool = False

    def define(self, name: str, array: Array) -> int:
        """The node of an equation's right side, known by the equation's name from here on."""
        self.values[name] = self.value(array)
        twin = _same_sign(array)
        if twin is not None:
            self.twins[twin] = name
        return self.values[name]

    @singledispatchmethod
    def value(self, array: Array) -> int:
        """The node of an array expression; what has no operations of its own is a call, as it is printed."""
        call, operands = as_printed(array, self.names)
        return self.graph.node("pattern", [self.value(part) for part in operands], call, array.dims)

    @value.register
    def _(self, array: Entry) -> int:
        name = array.quantity.name
        if name not in self.values:
            self.values[name] = self.graph.given(self.names.quantity(name), array.dims)
        return self.values[name]

    @value.register
    def _(self, array: Transpose) -> int:
        return self.graph.transpose(self.value(array.arg))

    @value.register
    def _(self, array: MatMul) -> int:
        return self.graph.product(self.value(array.left), self.value(array.right))

    @value.register
    def _(self, array: Outer) -> int:
        args = (self.value(array.left), self.value(array.right))
        return self.graph.node("call", args, Call("np.outer", takes_out=True), array.dims)

    @value.register
    def _(self, array: Einsum) -> int:
        args = [self.value(operand) for operand in array.operands]
        return self.graph.node(
            "call", args, Call("np.einsum", (einsum_pattern(array),), takes_out=True), array.dims
        )

    @value.register
    def _(self, array: Total) -> int:
        inner = self.value(array.arg)
        if not array.log_exp:
            return self.graph.total(inner, array.axis)
        top, _, total = self.exponentials(inner, array.axis)
        return self.graph.apply("add", top, self.graph.apply("log", total))

    @value.register
    def _(self, array: Softmax) -> int:
        graph, inner = self.graph, self.value(array.arg)
        _, below, total = self.exponentials(inner, array.axis)
        total = graph.apply("log", total) if array.log else total
        spread = graph.spread(total, _others(array.axis, len(array.dims)), array.dims)
        return graph.apply("subtract" if array.log else "divide", below[array.log], spread)

    @value.register
    def _(self, array: LogComplement) -> int:
        return self.kernel("_log_complement", array.axis, self.value(array.arg))

    @value.register
    def _(self, array: Others) -> int:
        return self.kernel("_others", array.axis, self.value(array.arg), self.value(array.weight))

    def kernel(self, name: str, axis: int, *operands: int) -> int:
        """A kernel of the template that works along an axis."""
        self.names.helpers.kernels.add(name)
        call = Call(name, after=(f"axis={axis}",), takes_out=True)
        return self.graph.node("call", operands, call, self.graph.dims(operands[0]))

    def exponentials(self, inner: int, axis: int) -> tuple[int, tuple[int, int], int]:
        """The largest entry along an axis, exp of what is below it and that itself, the sum of exp."""
        graph, dims = self.graph, self.graph.dims(inner)
        rest = dims[:axis] + dims[axis + 1 :]
        top = graph.node("largest", (inner,), axis, rest)
        below = graph.apply("subtract", inner, graph.spread(top, _others(axis, len(dims)), dims))
        powers = graph.apply("exp", below)
        return top, (powers, below), graph.total(powers, axis)

    @value.register
    def _(self, array: Map) -> int:
        parts = {o.symbol: _Part(self.value(o.array), o.places) for o in array.operands}
        origins = {o.symbol: o.array.quantity.name for o in array.operands if isinstance(o.array, Entry)}
        elementwise = _Elementwise(self, array.shape, parts, origins)
        return elementwise.whole(elementwise.part(array.expr))


def _others(axis: int, rank: int) -> Places:
    return tuple(place for place in range(rank) if place != axis)


@dataclass(frozen=True)
class _Part:
    """A node, and which axes of the whole it has."""

    node: int
    places: Places = ()


@dataclass
class _Elementwise:
    """One scalar expression as operations on whole arrays, each as small as what it depends on."""

    lowering: Lowering
    shape: Dims
    parts: dict[sp.Expr, _Part]
    origins: Mapping[sp.Symbol, str]

    @property
    def graph(self) -> Graph:
        return self.lowering.graph

    def whole(self, part: _Part) -> int:
        """The part with every axis; a number is so many times an array of ones."""
        if self.shape and not part.places:
            return self.graph.apply("multiply", part.node, self.graph.ones(*self.shape))
        return self.graph.spread(part.node, part.places, self.shape)

    def part(self, expr: sp.Expr) -> _Part:
        if expr not in self.parts:
            self.parts[expr] = self.lowered(expr)
        return self.parts[expr]

    def apply(self, name: str, *parts: _Part) -> _Part:
        """A function of parts, over the axes that any of them has."""
        places = tuple(sorted({place for part in parts for place in part.places}))
        nodes = [self.over(part, places) for part in parts]
        return _Part(self.graph.apply(name, *nodes), places)

    def over(self, part: _Part, places: Places) -> int:
        shape = tuple(self.shape[place] for place in places)
        return self.graph.spread(part.node, tuple(places.index(place) for place in part.places), shape)

    def number(self, expr: sp.Expr) -> _Part:
        return _Part(self.graph.number(expr))

    def lowered(self, expr: sp.Expr) -> _Part:
        if isinstance(expr, sp.Symbol):
            return self.symbol(expr)
        if self.constant(expr):
            return self.number(expr)
        if isinstance(expr, sp.Add):
            return self.sum(expr)
        if isinstance(expr, sp.Mul):
            return self.product(expr)
        if isinstance(expr, sp.Pow):
            return self.power(expr)
        if isinstance(expr, sp.Piecewise):
            return self.cases(expr)
        return self.function(expr)

    def constant(self, expr: sp.Expr) -> bool:
        """Whether an expression is the same for every entry and every call of one size."""
        names = {symbol.name for symbol in expr.free_symbols if isinstance(symbol, sp.Symbol)}
        applied = expr.atoms(ScalarFunction)
        return not (expr.free_symbols & set(self.parts) or names & set(self.lowering.values) or applied)

    def symbol(self, symbol: sp.Symbol) -> _Part:
        known = self.lowering.values.get(symbol.name)
        return self.number(symbol) if known is None else _Part(known)

    def sum(self, expr: sp.Add) -> _Part:
        """Terms added up, positive ones and those with every axis first."""

        def place(term: sp.Expr) -> tuple[bool, bool, int]:
            part = self.part(term)
            negative = self.graph.split(part.node)[0].could_extract_minus_sign()
            return negative, not self.is_product(term), -len(part.places)

        first, *rest = sorted(expr.args, key=place)
        total = self.part(first)
        for term in rest:
            total = self.apply("add", total, self.part(term))
        return total

    def is_product(self, factor: sp.Expr) -> bool:
        part = self.parts.get(factor)
        return part is not None and self.graph[self.graph.split(part.node)[1]].operation == "product"

    def product(self, expr: sp.Mul) -> _Part:
        """Factors multiplied up: matrix products, what is at hand, the rest; then what is below the line."""
        factor = sp.Mul(*(f for f in expr.args if self.constant(f)))
        others = [f for f in expr.args if not self.constant(f)]
        below = [1 / f for f in others if _inverse(f)]
        above = sorted((f for f in others if not _inverse(f)), key=self.place)
        found = self.part(above[0]) if above else self.apply("reciprocal", self.part(below.pop(0)))
        for other in above[1:]:
            found = self.apply("multiply", found, self.part(other))
        for other in below:
            found = self.apply("divide", found, self.part(other))
        return _Part(self.graph.scaled(factor, found.node), found.places)

    def place(self, factor: sp.Expr) -> tuple[int, int]:
        switch = isinstance(factor, sp.Piecewise)
        at_hand = isinstance(factor, sp.Symbol)
        return (0 if self.is_product(factor) else 3 if switch else 1 if at_hand else 2, factor.count_ops())

    def power(self, expr: sp.Pow) -> _Part:
        base, exponent = expr.args
        if exponent == sp.Rational(1, 2):
            return self.apply("sqrt", self.part(base))
        if _inverse(expr):
            return self.apply("reciprocal", self.part(1 / expr))
        inner = self.part(base)
        if exponent not in (2, 3, 4):
            return self.apply("power", inner, self.part(exponent))
        square = self.apply("multiply", inner, inner)
        if exponent == 2:
            return square
        return self.apply("multiply", square, inner if exponent == 3 else square)

    def function(self, expr: sp.Expr) -> _Part:
        if isinstance(expr, ScalarFunction):
            return self.activation(expr)
        if isinstance(expr, sp.Max | sp.Min):
            return self.extreme(expr)
        name = UFUNCS.get(expr.func)
        if name is None or len(expr.args) != 1:
            raise NoRule(f"no NumPy form is known for the function {type(expr).__name__}")
        inner = self.part(expr.args[0])
        if isinstance(expr, Sigmoid):
            return self.sigmoid(inner)
        if name.startswith("_"):
            self.lowering.names.helpers.kernels.add(name)
            return self.call(Call(name, takes_out=True), inner)
        return self.apply(name.removeprefix("np."), inner)

    def call(self, call: Call, inner: _Part) -> _Part:
        node = self.graph.node("call", (inner.node,), call, self.graph.dims(inner.node))
        return _Part(node, inner.places)

    def activation(self, expr: ScalarFunction) -> _Part:
        if expr.formula is not None:
            return self.part(function_body(expr).xreplace({argument("z"): expr.args[0]}))
        self.lowering.names.helpers.open_functions.add(expr.letter)
        return self.call(Call(expr.letter + "_prime" * expr.order), self.part(expr.args[0]))

    def sigmoid(self, inner: _Part) -> _Part:
        """1 / (1 + exp(-u)): where exp overflows to infinity, the quotient is the 0 that it should be."""
        self.lowering.ignores_overflow = True
        powers = self.apply("exp", _Part(self.graph.scaled(sp.Integer(-1), inner.node), inner.places))
        return self.apply("reciprocal", self.apply("add", powers, self.number(sp.Integer(1))))

    def extreme(self, expr: sp.Expr) -> _Part:
        name = "maximum" if isinstance(expr, sp.Max) else "minimum"
        first, *rest = sorted(expr.args, key=lambda arg: (self.constant(arg), sp.default_sort_key(arg)))
        found = self.part(first)
        for arg in rest:
            found = self.apply(name, found, self.part(arg))
        return found

    def cases(self, expr: sp.Piecewise) -> _Part:
        if is_rectifier(expr):
            return self.apply("maximum", self.part(expr.args[0].expr), self.number(sp.Integer(0)))
        *branches, (otherwise, _) = expr.args
        if [value for value, _ in branches] == [1] and otherwise == 0:
            return self.condition(branches[0].cond)
        found = self.part(otherwise)
        for value, condition in reversed(branches):
            parts = (self.condition(condition), self.part(value), found)
            places = tuple(sorted({place for part in parts for place in part.places}))
            nodes = [self.over(part, places) for part in parts]
            shape = tuple(self.shape[place] for place in places)
            found = _Part(self.graph.node("where", nodes, None, shape), places)
        return found

    def condition(self, condition: Boolean) -> _Part:
        """A comparison; one with 0 reads an array of the same sign if there is one with more readers."""
        name = COMPARISONS.get(type(condition))
        if name is None:
            raise NoRule(f"no NumPy form is known for the condition {condition}")
        if name.startswith("logical"):
            first, *rest = (self.condition(arg) for arg in condition.args)
            for other in rest:
                first = self.apply(name, first, other)
            return first
        return self.apply(name, *(self.side(side, condition) for side in condition.args))

    def side(self, side: sp.Expr, condition: Boolean) -> _Part:
        part = self.part(side)
        twin = self.lowering.twins.get(self.origins.get(side, ""))
        if twin is None or 0 not in condition.args or type(condition) not in SIGNED:
            return part
        return _Part(self.lowering.values[twin], part.places)


SIGNED = (sp.StrictGreaterThan, sp.LessThan)
"""Comparisons with 0 that an array and one which is positive in the same places answer alike."""


def _inverse(factor: sp.Expr) -> bool:
    _, exponent = factor.as_base_exp()
    return bool(exponent.is_number and exponent.is_negative) and not isinstance(factor, sp.exp)


def _same_sign(array: Array) -> str | None:
    """The name of z if the array is f(z) with f(z) > 0 just where z > 0, as for rectifiers."""
    if not isinstance(array, Map) or len(array.operands) != 1:
        return None
    (operand,) = array.operands
    if not isinstance(operand.array, Entry) or not isinstance(array.expr, ScalarFunction):
        return None
    function = array.expr
    if function.formula is None or function.order or function.args != (operand.symbol,):
        return None
    return operand.array.quantity.name if _keeps_sign(function.formula) else None


def _keeps_sign(formula: sp.Expr) -> bool:
    z = argument("z")
    if not isinstance(formula, sp.Piecewise) or len(formula.args) != 2:
        return False
    (above, condition), (below, _) = formula.args
    positive = sp.Symbol("p", positive=True)
    nonpositive = sp.Symbol("q", nonpositive=True)
    if condition not in (z > 0, z >= 0):
        return False
    return bool(above.xreplace({z: positive}).is_positive and below.xreplace({z: nonpositive}).is_nonpositive)
