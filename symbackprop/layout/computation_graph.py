"""The computation graph of a tiny network: single additions, products, subtractions, squares, functions.

Every node that isn't a leaf is an equation of its own with a letter of its own, so the engine derives
the derivative of the cost with respect to each node as it derives anything else: nothing here knows
the derivative of a product.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property, reduce
from itertools import count
from typing import Any

import sympy as sp
from sympy.core.parameters import distribute

from symbackprop.algebra.calculus import derivative
from symbackprop.algebra.components import written_out
from symbackprop.algebra.equations import (
    PARAMETER_ROLES,
    Derivation,
    Equation,
    Partial,
    Program,
    Quantity,
    Role,
    Step,
)
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.algebra.indices import EXAMPLE
from symbackprop.checking.arithmetic import Digits, Key, NoValue, Number
from symbackprop.checking.evaluate import Instance
from symbackprop.derivation.chain import reverse
from symbackprop.errors import FormRefused, NoRule
from symbackprop.forward.model import EXAMPLES, Model, refuse_symbols
from symbackprop.network import Values
from symbackprop.notation.notation import Notation
from symbackprop.printing.paper_order import ordered_factors, ordered_terms
from symbackprop.printing.symbols import Names, base_name

MOST_NODES = 60
"""So many nodes can be read, each with its step."""

LEAF = "leaf"
"""The operation of a node that is given: an input, a target, a parameter."""

_ALPHABET = "abcdefghijklmpqrstuvwxyz"
_ALWAYS_TAKEN = frozenset("axyz")
"""Letters of arguments, which are printed in whatever letter the notation has for them."""

_WORDY = re.compile(r"\\(?:text|operatorname|mathrm|mathit|mathop)\*?\{[^{}]*\}|\\[A-Za-z]+")
_FIRST_LETTER = "@"


@dataclass(frozen=True)
class Node:
    """A leaf, or one operation on one or two other nodes.

    ``name`` is unique in the graph and the name of the node in equations: a letter, ``C_x`` for the
    cost, ``W1[1, 2]`` for a leaf. ``operation`` is ``leaf``, ``add``, ``subtract``, ``multiply``,
    ``divide``, ``negate``, ``square``, ``power``, ``copy``, ``cases`` or the name of a function.
    ``inputs`` are the names of the nodes that it is computed from, in the order of paper; numbers are
    no nodes and stand in ``expr`` only. ``symbol`` is what is printed for the node, ``entry`` the
    entry of the network that it is the value of, if it is one's.
    """

    name: str
    operation: str
    inputs: tuple[str, ...]
    expr: sp.Expr
    symbol: sp.Expr
    is_leaf: bool
    entry: sp.Expr | None = None

    @property
    def own(self) -> sp.Symbol:
        """What stands for the node in equations."""
        return sp.Symbol(self.name, real=True)


@dataclass(frozen=True)
class Graph:
    """Nodes in the order in which they are computed, the last of them the cost.

    ``values`` and ``slopes`` are numbers for the first example, where the spec has them: the value of
    every node, and the derivative of the cost with respect to it.

    >>> from symbackprop.forward.model import forward_model
    >>> from symbackprop.spec.loading import from_widths
    >>> graph = computation_graph(forward_model(from_widths("1-1", output_activation="linear")))
    >>> for node in graph.inner:
    ...     print(node.name, "=", node.expr)
    e = W1[1, 1]*x[1]
    d = b1[1] + e
    c = d - y[1]
    C_x = c**2
    >>> graph.derivatives["W1[1, 1]"]
    2*c*x[1]
    """

    nodes: tuple[Node, ...]
    roles: Mapping[str, Role]
    values: Mapping[str, float] = field(default_factory=dict)
    slopes: Mapping[str, float] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Node:
        return self._by_name[name]

    @property
    def root(self) -> Node:
        """The cost."""
        return self.nodes[-1]

    @property
    def inner(self) -> tuple[Node, ...]:
        """The nodes that aren't leaves."""
        return tuple(node for node in self.nodes if not node.is_leaf)

    @property
    def leaves(self) -> tuple[Node, ...]:
        """Inputs, targets and parameters."""
        return tuple(node for node in self.nodes if node.is_leaf)

    @property
    def parameters(self) -> tuple[Node, ...]:
        """The leaves that are weights or biases, in the order of the network."""
        found = (node for node in self.leaves if self.roles[node.name] in PARAMETER_ROLES)
        return tuple(sorted(found, key=_leaf_key))

    @cached_property
    def consumers(self) -> Mapping[str, tuple[str, ...]]:
        """For each node the nodes that are computed from it."""
        return {n.name: tuple(o.name for o in self.nodes if n.name in o.inputs) for n in self.nodes}

    @cached_property
    def distances(self) -> Mapping[str, int]:
        """For each node the longest way from it to the cost."""
        return _distances(self.nodes)

    @cached_property
    def backward(self) -> tuple[Node, ...]:
        """The nodes from the cost back: by their distance from it, leaves first."""
        order = {node.name: place for place, node in enumerate(self.nodes)}
        key = {n.name: (self.distances[n.name], not n.is_leaf, order[n.name]) for n in self.nodes}
        return tuple(sorted(self.nodes, key=lambda node: key[node.name]))

    @cached_property
    def quantities(self) -> Mapping[str, Quantity]:
        """The inner nodes as quantities, for the printers."""
        return {node.name: _quantity(node, self.roles) for node in self.inner}

    @cached_property
    def program(self) -> Program:
        """The graph as equations, one for each node that isn't a leaf."""
        given = [_quantity(node, self.roles) for node in self.leaves]
        equations = tuple(Equation(self.quantities[n.name], (), n.expr, n.name) for n in self.inner)
        return Program(
            tuple(q for q in given if q.role not in PARAMETER_ROLES),
            tuple(q for q in given if q.role in PARAMETER_ROLES),
            equations,
            (equations[-1].quantity,),
        )

    @cached_property
    def derivations(self) -> Mapping[str, Derivation]:
        """How the derivative of the cost with respect to each node is found, from the cost back."""
        leaves = (*self.program.inputs, *self.program.parameters)
        root = self.root.own
        first = Step("differentiate", Partial(root, root), derivative(root, root))
        found = {self.root.name: Derivation(first.before, (first,))}
        for adjoint in reverse(self.program, wrt=leaves):
            assert adjoint.derivation is not None
            found[adjoint.of.name] = adjoint.derivation
        return {node.name: found[node.name] for node in self.backward}

    @cached_property
    def derivatives(self) -> Mapping[str, sp.Expr]:
        """The derivative of the cost with respect to each node, in letters and leaves."""
        return {name: derivation.result for name, derivation in self.derivations.items()}

    def shown(self, expr: sp.Expr) -> sp.Expr:
        """An expression in what is printed for the nodes."""
        with distribute(False):
            return expr.xreplace({n.own: n.symbol for n in self.nodes if n.own != n.symbol})

    def read_back(self, expr: sp.Expr) -> sp.Expr:
        """An expression in the network's own quantities: letters give way to what they stand for.

        >>> from symbackprop.forward.model import forward_model
        >>> from symbackprop.spec.loading import from_widths
        >>> graph = computation_graph(forward_model(from_widths("1-1", output_activation="linear")))
        >>> graph.read_back(graph.derivatives["b1[1]"])
        2*(a1[1] - y[1])
        """
        with distribute(False):
            return expr.xreplace(self._meanings)

    @cached_property
    def _meanings(self) -> dict[sp.Expr, sp.Expr]:
        found: dict[sp.Expr, sp.Expr] = {}
        for node in self.nodes:
            found[node.own] = node.expr.xreplace(found) if node.entry is None else node.entry
        return found

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}


def computation_graph(model: Model, names: Names | None = None) -> Graph:
    """The graph of the cost of one example, with letters that the notation uses for nothing else.

    Where weights are penalised, it is that of the total cost of one example by itself, so that the penalty is
    a second path from each weight.

    Raises:
        FormRefused: where a size is a symbol, or more nodes than can be read.
    """
    names = names or Names.of((*model.program.quantities.values(), *model.total.quantities.values()))
    refuse_symbols(model, "graph", "there are no single nodes")
    operations = Operations(names)
    program = graphed_program(model)
    (root,) = program.outputs
    with distribute(False):
        for equation in program:
            for entry, value in written_out(equation, dict(model.sizes)):
                operations.define(entry, value, last=equation.quantity == root)
                _refuse_many(operations)
        roles = {q.name: q.role for q in program.quantities.values()}
        free = letters(_taken(model, names.notation), names.notation.node_letters)
        graph = operations.graph(root.symbol, roles, free, _costs(program))
        return _with_numbers(graph, model)


def graphed_program(model: Model) -> Program:
    """The program of one example; where weights are penalised, up to the total cost of it by itself.

    >>> from symbackprop.forward.model import forward_model
    >>> from symbackprop.spec.loading import from_mapping, from_widths
    >>> graphed_program(forward_model(from_widths("1-1"))).outputs[0].name
    'C_x'
    """
    if model.network.penalty is None:
        return model.program
    by_itself = {EXAMPLES: sp.S.One, model.total.inputs[0][sp.S.One]: model.cost.symbol}
    with distribute(False):
        added = tuple(replace(e, rhs=_only_term(e.rhs.xreplace(by_itself), by_itself)) for e in model.total)
    program = model.program
    return Program(program.inputs, program.parameters, (*program.equations, *added), model.total.outputs)


def _only_term(expr: sp.Expr, by_itself: Mapping[sp.Expr, sp.Expr]) -> sp.Expr:
    """An expression with the sum over a single example written as its term."""
    alone = {s: s.function.subs(s.variables[0], 1) for s in expr.atoms(sp.Sum) if s.variables == [EXAMPLE]}
    return expr.xreplace(alone).xreplace(by_itself)


def _costs(program: Program) -> frozenset[str]:
    """What is printed by its own letter besides the last: the cost of the example, and the penalty."""
    costs = (Role.EXAMPLE_COST, Role.PENALTY)
    return frozenset(e.quantity.name for e in program if e.quantity.role in costs)


def _with_numbers(graph: Graph, model: Model) -> Graph:
    """The graph with the numbers of the first example, where the spec has all of them."""
    given = _given(graph, model.network.values)
    functions = {f.func for node in graph.inner for f in node.expr.atoms(ScalarFunction)}
    if given is None or any(function.formula is None for function in functions):
        return graph
    instance = Instance(graph.program, {}, Digits(), 0, values=given)
    try:
        values = {node.name: float(instance.value(node.own)) for node in graph.nodes}
        slopes = {name: float(instance.value(slope)) for name, slope in graph.derivatives.items()}
    except (NoValue, ArithmeticError, TypeError):
        return graph
    return replace(graph, values=values, slopes=slopes)


def _given(graph: Graph, values: Values | None) -> dict[str, dict[Key, Number]] | None:
    """The numbers of the leaves and of open symbols, or nothing where one is missing."""
    if values is None or values.x is None or values.y is None:
        return None
    arrays: dict[str, Any] = {**dict(values.parameters), "x": values.x[0], "y": values.y[0]}
    symbols = {str(s) for node in graph.inner for s in node.expr.free_symbols} - {n.name for n in graph.nodes}
    entries = [node.symbol for node in graph.leaves]
    if not symbols <= dict(values.symbols).keys() or any(base_name(e) not in arrays for e in entries):
        return None
    found = {str(entry): _number_at(arrays[base_name(entry)], entry.indices) for entry in entries}
    numbers = {**found, **{name: number for name, number in values.symbols if name in symbols}}
    return {name: {(): Fraction(repr(number))} for name, number in numbers.items()}


def _number_at(array: Any, indices: tuple[sp.Expr, ...]) -> Any:
    return reduce(lambda part, index: part[int(index) - 1], indices, array)


def line_graph() -> Graph:
    """The graph of y = m x + c, whose nodes are called by what they are: mx and mx + c.

    >>> graph = line_graph()
    >>> for name, slope in graph.derivatives.items():
    ...     print(graph[name].symbol, slope, sep=": ")
    y: 1
    c + m*x: 1
    c: 1
    m*x: 1
    m: x
    x: m
    """
    roles = {"m": Role.WEIGHT, "x": Role.INTERMEDIATE, "c": Role.BIAS, "y": Role.INTERMEDIATE}
    given = {name: Quantity(name, name, role, None, ()) for name, role in roles.items()}
    m, x, c, y = (quantity.symbol for quantity in given.values())
    total = sp.Symbol("m x + c", real=True)
    operations = Operations(Names.of(given.values()))
    operations.define(total, m * x + c)
    operations.define(y, total, last=True)
    graph = operations.graph(y, roles, letters(roles))
    called = {n.own: _in_leaves(n, graph) for n in graph.inner if n is not graph.root}
    own = {old: sp.Symbol(str(what), real=True) for old, what in called.items()}
    nodes = (_renamed(node, {**own, y: y}) for node in graph.nodes)
    symbols = {symbol.name: called[old] for old, symbol in own.items()}
    return replace(graph, nodes=tuple(replace(n, symbol=symbols.get(n.name, n.symbol)) for n in nodes))


def _in_leaves(node: Node, graph: Graph) -> sp.Expr:
    """A node written out in inputs and parameters."""
    return node.expr.xreplace({graph[name].own: _in_leaves(graph[name], graph) for name in node.inputs})


def _refuse_many(operations: Operations) -> None:
    if len(operations.nodes) > MOST_NODES:
        raise FormRefused(
            f"form: graph: the graph would have more than {MOST_NODES} nodes, each with a step of its own, "
            "and nobody would read that: use index or matrix, or a smaller network"
        )


# --- from expressions to single operations ---------------------------------------------------------


class Operations:
    """Takes expressions apart into single operations; equal operations are one node."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.nodes: dict[str, Node] = {}
        self.entries: dict[sp.Expr, sp.Expr] = {}
        self.known: dict[sp.Expr, sp.Expr] = {}
        self.made: dict[tuple[str, sp.Expr], sp.Symbol] = {}

    def define(self, entry: sp.Expr, value: sp.Expr, last: bool = False) -> None:
        """Make the nodes of an entry; the last one, the cost, is a node of its own whatever it is."""
        symbol = self.symbol(value)
        if last and (symbol in self.entries.values() or symbol.is_number):
            symbol = self.node("copy", (symbol,), symbol)
        self.entries[entry] = symbol
        if symbol.name in self.nodes:
            self.nodes[symbol.name] = replace(self.nodes[symbol.name], entry=entry)

    def symbol(self, expr: sp.Expr) -> sp.Expr:
        """The node that has this value, or the number that it is."""
        if expr not in self.known:
            self.known[expr] = self._symbol(expr)
        return self.known[expr]

    def _symbol(self, expr: sp.Expr) -> sp.Expr:
        if expr in self.entries:
            return self.entries[expr]
        if self.is_constant(expr):
            return expr
        if isinstance(expr, sp.Indexed | sp.Symbol):
            return self.leaf(expr)
        for kind, make in _OPERATIONS.items():
            if isinstance(expr, kind):
                return make(self, expr)
        raise NoRule(f"no rule makes a node of {type(expr).__name__}, which occurs as {str(expr)[:60]}")

    def is_constant(self, expr: sp.Expr) -> bool:
        """Whether an expression is a number, or made of open symbols such as the factor of a cost."""
        quantities = self.names.quantities
        return not expr.atoms(sp.Indexed) and not any(str(s) in quantities for s in expr.free_symbols)

    def leaf(self, entry: sp.Expr) -> sp.Symbol:
        own = sp.Symbol(str(entry), real=True)
        self.nodes[own.name] = Node(own.name, LEAF, (), own, entry, True, entry)
        return own

    def node(self, operation: str, inputs: Sequence[sp.Expr], expr: sp.Expr) -> sp.Symbol:
        """The node for one operation; the same node where it has been made before."""
        key = (operation, expr)
        if key not in self.made:
            own = sp.Symbol(f"{_FIRST_LETTER}{len(self.made)}", real=True)
            names = tuple(dict.fromkeys(s.name for s in inputs if not self.is_number(s)))
            self.nodes[own.name] = Node(own.name, operation, names, expr, own, False)
            self.made[key] = own
        return self.made[key]

    def is_number(self, symbol: sp.Expr) -> bool:
        return not isinstance(symbol, sp.Symbol) or symbol.name not in self.nodes

    # the operations ---------------------------------------------------------------------------------

    def added(self, expr: sp.Add) -> sp.Expr:
        """One term after the other, in the order of paper."""
        terms = ordered_terms([(term, _is_negative(term)) for term in expr.args], self.names)
        first, *others = terms
        return reduce(self.with_term, others, self.symbol(first))

    def with_term(self, total: sp.Expr, term: sp.Expr) -> sp.Expr:
        if _is_negative(term):
            other = self.symbol(-term)
            return self.node("subtract", (total, other), total - other)
        other = self.symbol(term)
        return self.node("add", (total, other), total + other)

    def multiplied(self, expr: sp.Mul) -> sp.Expr:
        """One factor after the other; a number comes last, as it stands before all the others."""
        constants = sp.Mul(*(factor for factor in expr.args if self.is_constant(factor)))
        factors = [factor for factor in expr.args if not self.is_constant(factor)]
        over = [factor for factor in factors if not _is_under(factor)]
        under = [1 / factor for factor in factors if _is_under(factor)]
        shown = [self.symbol(factor) for factor in ordered_factors(over, self.names)]
        whole = reduce(self.times, shown) if shown else None
        if under:
            whole, constants = self.divided(whole or constants, under), constants if shown else sp.S.One
        return self.scaled(constants, whole)

    def times(self, left: sp.Expr, right: sp.Expr) -> sp.Expr:
        return self.node("multiply", (left, right), left * right)

    def divided(self, over: sp.Expr, under: list[sp.Expr]) -> sp.Expr:
        shown = [self.symbol(factor) for factor in ordered_factors(under, self.names)]
        below = reduce(self.times, shown)
        return self.node("divide", (over, below), over / below)

    def scaled(self, number: sp.Expr, symbol: sp.Expr) -> sp.Expr:
        if number == 1:
            return symbol
        return self.node("negate" if number == -1 else "multiply", (number, symbol), number * symbol)

    def raised(self, expr: sp.Pow) -> sp.Expr:
        base, exponent = expr.args
        if exponent.is_number and exponent.is_negative:
            return self.divided(sp.S.One, [1 / expr])
        inner, by = self.symbol(base), self.symbol(exponent)
        return self.node("square" if by == 2 else "power", (inner, by), inner**by)

    def applied(self, expr: sp.Function) -> sp.Expr:
        (argument,) = expr.args
        kind = type(expr)
        name = kind.letter if isinstance(expr, ScalarFunction) else kind.__name__.lower()
        inner = self.symbol(argument)
        return self.node(name, (inner,), kind(inner))

    def chosen(self, expr: sp.Piecewise) -> sp.Expr:
        """Cases: their values are nodes, and a condition is written in the nodes that there are."""
        values = [self.symbol(value) for value, _ in expr.args]
        conditions = [self.condition(condition) for _, condition in expr.args]
        cases = sp.Piecewise(*zip(values, conditions, strict=True))
        inputs = [s for s in sorted(cases.free_symbols, key=str) if s.name in self.nodes]
        return self.node("cases", inputs, cases)

    def condition(self, condition: sp.Basic) -> sp.Basic:
        if isinstance(condition, sp.core.relational.Relational):
            return condition.func(*(self.symbol(side) for side in condition.args))
        if isinstance(condition, sp.logic.boolalg.BooleanFunction):
            return condition.func(*(self.condition(arg) for arg in condition.args))
        return condition

    # letters ----------------------------------------------------------------------------------------

    def graph(
        self, root: sp.Symbol, roles: Mapping[str, Role], free: Iterator[str], own: Collection[str] = ()
    ) -> Graph:
        """The nodes that lead to the root, with letters from the root back; ``own`` have a letter already."""
        last = self.entries[root]
        nodes = _reached(self.nodes, last.name)
        distance = _distances(nodes)
        back = sorted((n for n in nodes if not n.is_leaf), key=lambda n: distance[n.name])
        named = {node: entry for entry, node in self.entries.items() if str(entry) in own}
        fixed = {**self.outputs(), **named, last: root}
        spare = (letter for letter in free if letter not in {symbol.name for symbol in fixed.values()})
        new = {n.own: fixed.get(n.own) or sp.Symbol(next(spare), real=True) for n in back}
        forward = sorted(nodes, key=lambda n: (-distance[n.name], not n.is_leaf))
        lettered = tuple(_renamed(node, new) for node in forward)
        own_roles = {n.name: roles[base_name(n.entry)] for n in lettered if n.is_leaf and n.entry is not None}
        return Graph(lettered, {**own_roles, root.name: roles[root.name]})

    def outputs(self) -> dict[sp.Expr, sp.Symbol]:
        """The node of a single output, by the letter that the notation has for it, if it has one."""
        letter = self.names.notation["sbpoutputletter"].definition
        if not self.names.notation.output_has_letter or not re.fullmatch("[a-zA-Z]", letter):
            return {}
        of_last = [e for e in self.entries if self._is_output(e)]
        return {self.entries[e]: sp.Symbol(letter, real=True) for e in of_last if len(of_last) == 1}

    def _is_output(self, entry: sp.Expr) -> bool:
        quantity = self.names.quantity(entry)
        return quantity is not None and quantity.role is Role.ACTIVATION and quantity.layer == self.names.last


_OPERATIONS = {
    sp.Add: Operations.added,
    sp.Mul: Operations.multiplied,
    sp.Pow: Operations.raised,
    sp.Piecewise: Operations.chosen,
    sp.Function: Operations.applied,
}


def _is_negative(term: sp.Expr) -> bool:
    return bool(term.as_coeff_Mul()[0] < 0)


def _is_under(factor: sp.Expr) -> bool:
    return isinstance(factor, sp.Pow) and bool(factor.exp.is_number and factor.exp.is_negative)


def _reached(nodes: Mapping[str, Node], last: str) -> list[Node]:
    """The nodes that one is computed from, in the order in which they were made."""
    found: set[str] = set()
    waiting = [last]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += nodes[name].inputs
    return [node for name, node in nodes.items() if name in found]


def _distances(nodes: Iterable[Node]) -> dict[str, int]:
    """The longest way from each node to the last; ``nodes`` are in the order of computation."""
    distance: dict[str, int] = {}
    for node in reversed(tuple(nodes)):
        distance.setdefault(node.name, 0)
        for name in node.inputs:
            distance[name] = max(distance.get(name, 0), distance[node.name] + 1)
    return distance


def _renamed(node: Node, new: Mapping[sp.Symbol, sp.Symbol]) -> Node:
    if node.is_leaf:
        return node
    names = {old.name: symbol.name for old, symbol in new.items()}
    own = new[node.own]
    inputs = tuple(names.get(name, name) for name in node.inputs)
    return replace(node, name=own.name, inputs=inputs, expr=node.expr.xreplace(new), symbol=own)


def _quantity(node: Node, roles: Mapping[str, Role]) -> Quantity:
    return Quantity(node.name, node.name, roles.get(node.name, Role.INTERMEDIATE), None, ())


def _leaf_key(node: Node) -> tuple[int, str, tuple[int, ...]]:
    """Layer by layer, weights before biases, row by row: W1[1, 2] before b1[1] before W2[1, 1]."""
    name, _, indices = node.name.partition("[")
    number = re.search(r"\d+", name)
    at = tuple(int(index) for index in re.findall(r"\d+", indices))
    return (int(number[0]) if number else 0, name, at)


def letters(taken: Collection[str], first: str = "") -> Iterator[str]:
    """Letters for nodes without end: those that a notation asks for, those that are free, then with numbers.

    >>> found = letters(set("abdefgijklmnopqrstuvwxyz"))
    >>> [next(found) for _ in range(4)]
    ['c', 'h', 'c_1', 'h_1']
    """
    others = [letter for letter in _ALPHABET if letter not in taken and letter not in first]
    free = [*first, *others] or ["v"]
    yield from free
    for number in count(1):
        yield from (f"{letter}_{number}" for letter in free)


def _taken(model: Model, notation: Notation) -> frozenset[str]:
    """The letters that something else has: in the notation, as an activation, as an open symbol."""
    programs = (*model.program, *model.total)
    functions = {f.func for equation in programs for f in equation.rhs.atoms(ScalarFunction)}
    symbols = {str(s) for equation in programs for s in equation.rhs.free_symbols if not s.is_integer}
    exponential = any(
        expr.has(sp.exp)
        for expr in (*(e.rhs for e in programs), *(f.formula for f in functions if f.formula is not None))
    )
    used = {*_ALWAYS_TAKEN, *symbols, *(f.letter for f in functions), *("e" if exponential else "")}
    return frozenset(used) | _letters_of(notation)


def _letters_of(notation: Notation) -> frozenset[str]:
    """The Latin letters that a notation prints, but for ``e``, layers, which are numbers, and words."""
    apart = ("sbpexp", "sbpanylayer", "sbplastlayer", "sbpfailed", "sbpif", "sbpotherwise")
    macros = (macro for macro in notation.macros if macro.name not in apart)
    return frozenset("".join(_WORDY.sub(" ", macro.definition) for macro in macros))


__all__ = ["LEAF", "Graph", "Node", "Operations", "computation_graph", "letters", "line_graph"]
