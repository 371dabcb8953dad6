"""Operations in the forms that NumPy goes through in vectors, with the same results to the last digit.

* ``maximum`` and ``minimum`` of an array and a number are worked out entry by entry in NumPy, those of
  two arrays in vectors: five times faster, writing the number into memory that is free included.
* The largest entry of each of many short rows takes a loop for each row; of the transpose, a few
  operations on long rows.
* A matrix product whose right side is a transpose runs through a small matrix at half the speed. Small
  weights are written out transposed first, where the examples are many enough to be worth it.
* A comparison that is read as a number is written as true and false first and copied then: NumPy's own
  way from one to the other goes through a buffer of its own.

What this costs or saves was measured with NumPy 2.4 (``docs/fast_code.md``). Compiled loops need none of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sympy as sp

from symbackprop.code.nodes import COMPARING, Graph, Node

NARROW = 32
"""Rows up to this length are short: the transpose of longer ones takes longer to write than it saves."""

FEW_WEIGHTS = 4096
"""Matrices up to this many entries are small in that sense."""

MANY = 16
"""So many examples are worth a transpose that is written out."""

EXTREMES = ("maximum", "minimum")


def in_vectors(
    graph: Graph, roots: Sequence[int], sizes: Mapping[sp.Symbol, sp.Expr]
) -> tuple[Graph, Mapping[int, int]]:
    """The same operations in these forms, and the new number of each node.

    >>> graph = Graph()
    >>> rows = (sp.Symbol("N"), sp.Integer(3))
    >>> largest = graph.apply("maximum", graph.given("z", rows), graph.number(sp.Integer(0)))
    >>> new, made = in_vectors(graph, [largest], {})
    >>> [new[arg].operation for arg in new[made[largest]].args]
    ['given', 'filled']
    """
    forms = _Forms(graph, sizes)
    for number in graph.below(roots):
        forms.made[number] = forms.form(number)
    return forms.new, forms.made


@dataclass
class _Forms:
    """Makes one node after another in the new graph; ``truths`` are comparisons as true and false."""

    old: Graph
    sizes: Mapping[sp.Symbol, sp.Expr]
    new: Graph = field(default_factory=lambda: Graph(pulls=False))
    made: dict[int, int] = field(default_factory=dict)
    truths: dict[int, int] = field(default_factory=dict)

    def form(self, number: int) -> int:
        """The node in the form that is quickest."""
        node = self.old[number]
        if node.detail in COMPARING and node.dims:
            return self.compared(number, node)
        args = [self.read(arg, node) for arg in node.args]
        if node.operation == "apply" and node.detail in EXTREMES and node.dims:
            args = [self.filled(arg, number, node) for arg in args]
        if node.operation == "largest" and self.is_narrow(args[0], node):
            return self.largest_of_columns(args[0], node)
        if node.operation == "product" and len(node.dims) == 2:
            args[1] = self.turned(args[1])
        return self.new.node(node.operation, args, node.detail, node.dims)

    def turned(self, right: int) -> int:
        """The right side of a product; a small transpose of a matrix that is handed in as a copy."""
        node = self.new[right]
        sizes = [self.sizes.get(dim, dim) for dim in node.dims]
        given = node.operation == "transpose" and self.new[node.args[0]].operation == "given"
        if not given or not all(size.is_Integer for size in sizes) or sp.Mul(*sizes) > FEW_WEIGHTS:
            return right
        return self.new.node("turned", (right,), None, node.dims)

    def read(self, arg: int, node: Node) -> int:
        """An argument as the node reads it: comparisons and choices take true and false."""
        chooses = node.detail in COMPARING or (node.operation == "where" and arg == node.args[0])
        return self.truths.get(arg, self.made[arg]) if chooses else self.made[arg]

    def compared(self, number: int, node: Node) -> int:
        args = [self.read(arg, node) for arg in node.args]
        self.truths[number] = self.new.node("compared", args, node.detail, node.dims)
        return self.new.node("copied", (self.truths[number],), None, node.dims)

    def filled(self, arg: int, reader: int, node: Node) -> int:
        """A number as an array for this reader alone, so that it needs memory only for a moment."""
        if self.new[arg].operation != "number":
            return arg
        return self.new.node("filled", (arg,), reader, node.dims)

    def is_narrow(self, rows: int, node: Node) -> bool:
        dims = self.new.dims(rows)
        if len(dims) != 2 or node.detail != 1:
            return False
        width = self.sizes.get(dims[1], dims[1])
        return bool(width.is_Integer and width <= NARROW)

    def largest_of_columns(self, rows: int, node: Node) -> int:
        """The largest entries of the rows, as those of the columns of a transpose that is written out."""
        columns = self.new.transpose(rows)
        copied = self.new.node("copied", (columns,), None, self.new.dims(columns))
        return self.new.node("largest", (copied,), 0, node.dims)
