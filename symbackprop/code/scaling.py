"""Moves a factor that all gradients have in common, 1/N say, to where the least has to be multiplied by it.

A gradient is linear in the deltas. So a factor before every gradient may stand before the delta of the
output layer instead, once, and every node between them then holds that factor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sympy as sp

from symbackprop.code.nodes import LINEAR, ONE, Graph

Factors = frozenset[sp.Expr]

FIXED: Factors = frozenset({sp.S.NaN})
"""Marks a node that is needed as it is."""


@dataclass
class Scaling:
    """Which factor each node is needed with, and the graph in which it has it."""

    old: Graph
    outputs: Mapping[str, int]
    carriers: frozenset[int]
    new: Graph = field(default_factory=lambda: Graph(pulls=False))
    factors: dict[int, Factors] = field(default_factory=dict)
    made: dict[int, int] = field(default_factory=dict)

    def run(self, roots: Sequence[int]) -> None:
        """Make every root, and everything that it needs, in the new graph."""
        order = list(self.old.below(roots))
        stopped: set[int] = set()
        while True:
            self.hand_down(order, roots, stopped)
            found = {number for number in order if self.stops(number)}
            if found <= stopped:
                break
            stopped |= found
        for number in order:
            self.made[number] = self.make(number, number in stopped)

    def factor(self, number: int) -> sp.Expr | None:
        """The factor that a node carries in the new graph; ``None`` if it stays as it is."""
        found = self.factors.get(number, FIXED)
        return next(iter(found)) if len(found) == 1 and found != FIXED else None

    def hand_down(self, order: Sequence[int], roots: Sequence[int], stopped: set[int]) -> None:
        """Tell every node with which factors it is needed."""
        gradients = set(self.outputs.values())
        self.factors = {root: frozenset({ONE}) if root in gradients else FIXED for root in roots}
        for number in reversed(order):
            factor = None if number in stopped else self.factor(number)
            through = () if factor is None else self.carried(number)
            for arg in self.old[number].args:
                wanted = frozenset({self.inner(number)}) if arg in through else FIXED
                self.factors[arg] = self.factors.get(arg, frozenset()) | wanted

    def inner(self, number: int) -> sp.Expr:
        """The factor that the arguments carry if a node's factor goes through it."""
        node, factor = self.old[number], self.factor(number)
        assert factor is not None
        return factor * node.detail if node.operation == "scaled" else factor

    def stops(self, number: int) -> bool:
        """Whether a node's factor can't go on to its arguments, so that it stays here."""
        if self.factor(number) is None:
            return False
        through = self.carried(number)
        return not through or any(self.factor(arg) != self.inner(number) for arg in through)

    def carried(self, number: int) -> tuple[int, ...]:
        """The arguments through which a factor of the node would go."""
        node = self.old[number]
        name = node.detail if node.operation == "apply" else node.operation
        if name in ("scaled", "transpose", "spread", "full"):
            return node.args
        if name not in LINEAR or len(set(node.args)) < 2:
            return ()
        if name in ("add", "subtract"):
            return () if any(self.old[arg].operation == "number" for arg in node.args) else node.args
        left, right = node.args
        if name == "divide":
            return (left,)
        return (right,) if right in self.carriers and left not in self.carriers else (left,)

    def make(self, number: int, stops: bool) -> int:
        """The node in the new graph, with the factor that it carries."""
        node, factor = self.old[number], self.factor(number)
        if node.operation == "scaled" and factor is not None and not stops:
            return self.made[node.args[0]]
        same = self.rebuild(number, tuple(self.made[arg] for arg in node.args))
        return self.new.scaled(factor, same) if stops and factor is not None else same

    def rebuild(self, number: int, args: tuple[int, ...]) -> int:
        node, graph = self.old[number], self.new
        if node.operation == "apply":
            return graph.apply(str(node.detail), *args)
        if node.operation == "scaled":
            return graph.scaled(node.detail, args[0])
        if node.operation == "transpose":
            return graph.transpose(args[0])
        if node.operation == "spread":
            places = node.detail
            assert isinstance(places, tuple)
            return graph.spread(args[0], places, node.dims)
        if node.operation == "product":
            return graph.product(*args)
        return graph.node(node.operation, args, node.detail, node.dims)


def above(graph: Graph, roots: Sequence[int], leaves: frozenset[int]) -> frozenset[int]:
    """The nodes below the roots that depend on any of the leaves, these included."""
    found = set(leaves)
    for number in graph.below(roots):
        if found.intersection(graph[number].args):
            found.add(number)
    return frozenset(found)
