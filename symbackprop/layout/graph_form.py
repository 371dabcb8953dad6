"""The graph form: nodes with their letters, then a numbered step for each, from the cost back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby

import sympy as sp

from symbackprop.checking.check import Equality, Laboratory
from symbackprop.forward.model import Model
from symbackprop.layout.computation_graph import Graph, Node, graphed_program, line_graph
from symbackprop.layout.document import Block, Chain, Display, Paragraph, Row, Section
from symbackprop.layout.writer import Writer
from symbackprop.printing.latex import latex
from symbackprop.printing.symbols import Names

NETWORK, LINE = "graph", "line"
"""The kinds of equalities about the graph of the network, and about that of y = mx + c: also their labels."""

_APART = 11
"""The room between the columns of a display in which every step has its number."""

READ_BACK = "network of the graph"
"""The kind of an equality whose letters have been read back: it is about the network itself."""


def graph_sections(writer: Writer, graph: Graph) -> Iterator[Section]:
    """A line as a small example, the nodes of the network, its steps, and the gradients."""
    headings, line = writer.words.headings, line_graph()
    yield Section(headings["graph_line"], tuple(_line(_Steps(writer, line, LINE))))
    lettered = _Steps(writer, graph, NETWORK)
    yield Section(headings["graph"], tuple(_nodes(lettered)), picture="graph")
    yield Section(headings["graph_steps"], tuple(_backward(lettered)))
    yield Section(headings["graph_gradients"], tuple(_gradients(lettered)))


def graph_laboratories(graph: Graph, model: Model) -> dict[str, Laboratory]:
    """Where the equalities of the graph form are checked: the graphs as programs, and what one is of."""
    found = {NETWORK: Laboratory(graph.program), LINE: Laboratory(line_graph().program)}
    sizes = {symbol: int(size) for symbol, size in model.sizes}
    return {**found, READ_BACK: Laboratory(graphed_program(model), sizes=sizes)}


class _Steps:
    """Writes equalities in the letters of one graph."""

    def __init__(self, writer: Writer, graph: Graph, kind: str) -> None:
        names = replace(writer.names, quantities={**writer.names.quantities, **graph.program.quantities})
        self.writer, self.graph, self.kind = replace(writer, names=names), graph, kind
        self.words = writer.words
        self.numbers = {node.name: number for number, node in enumerate(graph.backward, 1)}

    @property
    def names(self) -> Names:
        return self.writer.names

    def display(self, make: Callable[[_Steps], Iterable[Chain]]) -> Display:
        """Chains whose columns stand side by side."""
        graph, kind = self.graph, self.kind
        return self.writer.fitting(lambda writer: Display(tuple(make(_Steps(writer, graph, kind)))), _APART)

    def across(self, make: Callable[[_Steps], Iterable[Chain]]) -> Display:
        """The same for chains whose rows may stand side by side."""
        return replace(self.display(make), across=True)

    def tex(self, expr: sp.Expr) -> str:
        return latex(self.graph.shown(expr), self.names)

    def row(self, left: str, claimed: Equality, reason: str = "") -> Row:
        """A row for the right side of an equality in the letters of the graph."""
        lines = self.writer.lines(self.graph.shown(claimed.right), left, reason)
        return Row(lines, reason, claimed)

    def definition(self, node: Node) -> Chain:
        """A node as an operation; one that has a name in the network is checked as what has that name."""
        left, label = self.tex(node.own), f"{self.kind}-{_label(node)}"
        if node.entry is None or node.entry == node.symbol:
            claimed = Equality(label, node.own, node.expr, (), self.kind, definition=True)
            return Chain(left, (self.row(left, claimed),), label)
        claimed = Equality(label, node.entry, self.graph.read_back(node.expr), (), READ_BACK)
        entry = latex(node.entry, self.names)
        reason = self.words.reason("graph_entry", entry=f"${entry}$") if entry != left else ""
        row = self.row(left, replace(claimed, right=node.expr), reason)
        return Chain(left, (replace(row, equality=claimed),), label)

    def step(self, node: Node, number: int) -> Chain:
        """The derivative of the cost with respect to one node, from the chain rule to the result."""
        derivation, label = self.graph.derivations[node.name], f"{self.kind}-d{_label(node)}"
        left = self.tex(derivation.goal)
        rows: list[Row] = []
        before = derivation.goal
        for at, step in enumerate(derivation.steps, 1):
            claimed = Equality(f"{label}, step {at}", before, step.after, (), self.kind)
            row = self.row(left, claimed, self.reason(node, step.rule))
            if not (rows and rows[-1].lines == row.lines):
                rows.append(row)
                before = step.after
        return Chain(left, tuple(rows), label, step=str(number))

    def reason(self, node: Node, rule: str) -> str:
        paths = len(self.graph.consumers[node.name])
        if rule == "chain_rule" and paths > 1:
            return self.words.reason("graph_paths", paths=str(paths))
        return self.words.reason(rule)

    def gradient(self, node: Node) -> Chain:
        """The derivative with respect to a parameter, in letters and with the letters read back."""
        derivation, label = self.graph.derivations[node.name], f"{self.kind}-grad-{_label(node)}"
        left, result = self.tex(derivation.goal), derivation.result
        reason = self.words.reason("graph_step", step=str(self.numbers[node.name]))
        lettered = self.row(
            left, Equality(f"{label}, step 1", derivation.goal, result, (), self.kind), reason
        )
        goal, value = (self.graph.read_back(side) for side in (derivation.goal, result))
        claimed = Equality(label, goal, value, (), READ_BACK)
        lines = self.writer.lines(value, left, self.words.reason("graph_read_back"))
        read = Row(lines, self.words.reason("graph_read_back"), claimed, boxed=True)
        return Chain(left, (lettered, read) if lettered.lines != read.lines else (read,), label)


def _line(steps: _Steps) -> Iterator[Block]:
    """y = mx + c as a graph, its steps numbered from the last operation back."""
    yield Paragraph(steps.words.text("graph_line"))
    _, *others = steps.graph.backward
    yield steps.across(lambda s: (s.step(node, number) for number, node in enumerate(others, 1)))


def _nodes(steps: _Steps) -> Iterator[Block]:
    yield Paragraph(steps.words.text("graph", cost=f"${steps.tex(steps.graph.root.own)}$"))
    yield from _penalty(steps)
    yield steps.display(lambda s: map(s.definition, s.graph.inner))


def _penalty(steps: _Steps) -> Iterator[Paragraph]:
    """What the last node is where weights are penalised."""
    model = steps.writer.model
    if model.network.penalty is not None:
        symbols = {"cost": model.cost.symbol, "penalty": model.total.equations[0].quantity.symbol}
        yield Paragraph(
            steps.words.text("graph_penalty", **{k: f"${steps.tex(s)}$" for k, s in symbols.items()})
        )


def _backward(steps: _Steps) -> Iterator[Block]:
    cost = f"${steps.tex(steps.graph.root.own)}$"
    sentences = [steps.words.text("graph_steps", cost=cost)]
    shared = [n for n in steps.graph.backward if len(steps.graph.consumers[n.name]) > 1]
    if shared:
        listed = (f"${steps.tex(n.own)}$ ({steps.numbers[n.name]})" for n in shared)
        sentences.append(steps.words.text("graph_shared", nodes=", ".join(listed)))
    yield Paragraph(" ".join(sentences))
    for _, level in groupby(steps.graph.backward, key=lambda node: steps.graph.distances[node.name]):
        yield steps.across(partial(_level, nodes=tuple(level)))


def _level(steps: _Steps, nodes: Sequence[Node]) -> Iterator[Chain]:
    """The steps of nodes that are as far from the cost as each other."""
    return (steps.step(node, steps.numbers[node.name]) for node in nodes)


def _gradients(steps: _Steps) -> Iterator[Block]:
    yield Paragraph(steps.words.text("graph_gradients"))
    yield steps.display(lambda s: map(s.gradient, s.graph.parameters))


def _label(node: Node) -> str:
    """A node's name as part of a label: W1-1-2 for W1[1, 2]."""
    return re.sub(r"[^A-Za-z0-9]+", "-", node.name).strip("-")
