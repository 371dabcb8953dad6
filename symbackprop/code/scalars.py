"""Straight-line scalar code for tiny networks, where calling NumPy costs more than the arithmetic.

The same operations as the array path, entry by entry: every entry that has a name in the program, or
that is read twice, is a variable; the rest stands inside the expressions. One example at a time; what
is summed over the examples is added up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from math import prod

import sympy as sp

from symbackprop.code.nodes import Dims, Graph, Node, arguments_first
from symbackprop.code.numpy_code import Code, Names, scalar_code
from symbackprop.code.schedule import Goal
from symbackprop.forward.model import EXAMPLES

Entry = tuple[int, tuple[int, ...]]

BINDS: Mapping[str, tuple[str, int]] = {
    "add": ("+", 1),
    "subtract": ("-", 1),
    "multiply": ("*", 2),
    "divide": ("/", 2),
    "greater": (">", 0),
    "greater_equal": (">=", 0),
    "less": ("<", 0),
    "less_equal": ("<=", 0),
    "equal": ("==", 0),
    "not_equal": ("!=", 0),
    "logical_and": ("and", -1),
    "logical_or": ("or", -1),
    "power": ("**", 4),
}

BUILT_IN: Mapping[str, str] = {"maximum": "max", "minimum": "min", "abs": "abs"}

_MOST_AXES = 2
"""Arrays of more axes, as differences of all pairs of units have, get no scalar code."""

MOST_ENTRIES = 400
"""A network with more entries than this, parameters included, gets no scalar code."""

OPERATION, FUNCTION, START, CALL = 0.03, 0.6, 1.5, 0.45
"""The model, in microseconds: a scalar operation, a NumPy function of one number, what every call has to
do, and a line of the array path. They are of one machine; what they are compared for, a few times as much
for calls as for arithmetic, is of Python."""


@dataclass(frozen=True)
class ScalarProgram:
    """Lines before the examples, for each of them and after them, with what they use and give."""

    before: tuple[str, ...]
    each: tuple[str, ...]
    after: tuple[str, ...]
    sums: tuple[str, ...]
    constants: Mapping[str, str]
    gradients: tuple[tuple[str, tuple[str, ...]], ...]
    cost: str
    most: int
    """The batch size up to which it is expected to be faster than arrays."""


class NotScalar(Exception):
    """The program has an operation, or a size, that scalar code has no form for."""


@dataclass
class Scalars:
    """Writes the entries of the nodes that the goals need, each entry once."""

    graph: Graph
    goals: Sequence[Goal]
    names: Names
    sizes: Mapping[sp.Symbol, sp.Expr]
    fixed: frozenset[sp.Symbol]
    lines: dict[str, list[str]] = field(default_factory=lambda: {"before": [], "each": [], "after": []})
    known: dict[Entry, Code] = field(default_factory=dict)
    readers: dict[Entry, int] = field(default_factory=dict)
    sums: list[str] = field(default_factory=list)
    constants: dict[str, str] = field(default_factory=dict)
    operations: int = 0
    functions: int = 0

    def program(self, array_lines: int) -> ScalarProgram:
        """The scalar program; ``array_lines`` are the calls that the array path takes.

        Raises:
            NotScalar: where there is none.
        """
        gradients = [goal for goal in self.goals if goal.gradient]
        if any(EXAMPLES in self.graph.dims(goal.node) for goal in gradients):
            raise NotScalar
        outputs = {goal.name: list(self.entries(goal.node)) for goal in gradients}
        cost = ([goal.node for goal in self.goals if goal.section == "cost"][-1], ())
        for entry in (cost, *(entry for entries in outputs.values() for entry in entries)):
            self.count(entry)
        for goal in self.goals:
            for entry in self.entries(goal.node):
                if entry in self.readers:
                    self.code(entry)
        found = tuple((name, tuple(map(self.output, entries))) for name, entries in outputs.items())
        total = self.code(cost).text
        each = OPERATION * self.operations + FUNCTION * self.functions
        before, examples, after = (tuple(self.lines[part]) for part in ("before", "each", "after"))
        most = int((CALL * array_lines - START) / each)
        return ScalarProgram(before, examples, after, tuple(self.sums), self.constants, found, total, most)

    def output(self, entry: Entry) -> str:
        if self.stage(entry[0]) == "each":
            raise NotScalar
        return self.code(entry).text

    # entries and what they read

    def size(self, dim: sp.Expr) -> int:
        """How many entries an axis has; the axis of the examples has the one that is looked at."""
        size = sp.Integer(1) if dim == EXAMPLES else self.sizes.get(dim, dim)
        if not size.is_Integer:
            raise NotScalar
        return int(size)

    def entries(self, number: int) -> Iterator[Entry]:
        """Every entry of a node."""
        if prod(map(self.size, self.graph.dims(number))) > MOST_ENTRIES:
            raise NotScalar
        return map(self.seen_through, self.places(number))

    def seen_through(self, entry: Entry) -> Entry:
        """The entry itself, where this one is a view of it."""
        number, indices = entry
        node = self.graph[number]
        if node.operation == "transpose":
            return self.seen_through((node.args[0], tuple(reversed(indices))))
        if node.operation == "spread":
            assert isinstance(node.detail, tuple)
            return self.seen_through((node.args[0], tuple(indices[place] for place in node.detail)))
        return entry

    def operands(self, entry: Entry) -> list[Entry]:
        """The entries that an entry is worked out from; those of a sum of products in pairs."""
        number, indices = entry
        node = self.graph[number]
        if len(self.graph.dims(number)) > _MOST_AXES:
            raise NotScalar
        pairs: list[tuple[Entry, ...]]
        if node.operation == "product":
            left, right = node.args
            rank = len(self.graph.dims(left)) - 1
            ends = [((*indices[:rank], m), (m, *indices[rank:])) for m in range(self.contracted(node))]
            pairs = [((left, i), (right, j)) for i, j in ends]
        elif node.operation == "dot":
            pairs = [tuple((arg, e[1]) for arg in node.args) for e in self.places(node.args[0])]
        elif node.operation == "full":
            pairs = [((node.args[0], e[1]),) for e in self.places(node.args[0])]
        elif node.operation == "largest":
            axis, dims = int(str(node.detail)), self.graph.dims(node.args[0])
            pairs = [
                ((node.args[0], (*indices[:axis], m, *indices[axis:])),) for m in range(self.size(dims[axis]))
            ]
        else:
            pairs = [((arg, indices if self.graph.dims(arg) else ()),) for arg in node.args]
        return [self.seen_through(each) for pair in pairs for each in pair]

    def places(self, number: int) -> Iterator[Entry]:
        ranges = [range(self.size(dim)) for dim in self.graph.dims(number)]
        return ((number, indices) for indices in product(*ranges))

    def contracted(self, node: Node) -> int:
        return self.size(self.graph.dims(node.args[1])[0])

    def count(self, entry: Entry) -> None:
        """Count the readers of an entry and of everything that it needs."""
        stack = [entry]
        while stack:
            entry = stack.pop()
            self.readers[entry] = self.readers.get(entry, 0) + 1
            if len(self.readers) > 4 * MOST_ENTRIES:
                raise NotScalar
            if self.readers[entry] == 1:
                stack += self.operands(entry)

    # when an entry is worked out

    def sums_examples(self, node: Node) -> bool:
        """Whether a node adds up over the examples."""
        if node.operation == "product":
            return bool(self.graph.dims(node.args[1])[0] == EXAMPLES)
        return node.operation in ("dot", "full") and EXAMPLES in self.graph.dims(node.args[0])

    def stage(self, number: int) -> str:
        """Before the examples, for each of them, or after them."""
        if number not in self._stages:
            self._stages[number] = self._stage(self.graph[number])
        return self._stages[number]

    @cached_property
    def _stages(self) -> dict[int, str]:
        return {}

    def _stage(self, node: Node) -> str:
        stages = {self.stage(arg) for arg in node.args}
        if self.sums_examples(node):
            if "after" in stages:
                raise NotScalar
            return "after"
        if node.operation == "given":
            return "each" if EXAMPLES in node.dims else "before"
        if {"each", "after"} <= stages:
            raise NotScalar
        return "each" if "each" in stages else "after" if "after" in stages else "before"

    # code

    def code(self, entry: Entry) -> Code:
        """What stands for an entry where it is read: its variable, or its expression."""
        for each in list(arguments_first([entry], self.operands, self.known)):
            self.known[each] = self.written(each)
        return self.known[entry]

    def written(self, entry: Entry) -> Code:
        number, _ = entry
        node = self.graph[number]
        if node.operation in ("given", "ones", "number"):
            return self.leaf(entry)
        code = self.expression(node, [self.known[operand] for operand in self.operands(entry)])
        if self.sums_examples(node):
            return self.added_up(entry, code)
        if self.name(number) is None and self.readers.get(entry, 0) < 2:
            return code
        variable = Code(self.variable(entry))
        self.lines[self.stage(number)].append(f"{variable.text} = {code.text}{self.label(number)}")
        return variable

    def leaf(self, entry: Entry) -> Code:
        node = self.graph[entry[0]]
        if node.operation == "ones":
            return Code("1.0")
        if node.operation == "number":
            return self.number(node.detail)
        return Code(entry_name(str(node.detail), entry[1], node.dims))

    def number(self, expr: sp.Expr) -> Code:
        """A number; one that has to be worked out is, once."""
        code = scalar_code(expr, {}, self.names)
        if expr.is_number and code.binds >= 3:
            return code
        if not expr.free_symbols <= self.fixed:
            return code
        name = self.constants.setdefault(code.text, f"scale{len(self.constants) + 1}")
        return Code(name)

    def added_up(self, entry: Entry, code: Code) -> Code:
        """A sum over the examples, to which each adds its part."""
        variable = self.variable(entry)
        self.sums.append(variable)
        self.lines["each"].append(f"{variable} += {code.text}{self.label(entry[0])}")
        return Code(variable)

    @cached_property
    def _goal_of(self) -> dict[int, Goal]:
        return {goal.node: goal for goal in reversed(self.goals)}

    def name(self, number: int) -> str | None:
        goal = self._goal_of.get(number)
        return None if goal is None else goal.name

    def label(self, number: int) -> str:
        goal = self._goal_of.get(number)
        return f"  # ({goal.label})" if goal is not None else ""

    def variable(self, entry: Entry) -> str:
        name = self.name(entry[0]) or f"u{entry[0]}"
        return entry_name(name, entry[1], self.graph.dims(entry[0]))

    def expression(self, node: Node, args: Sequence[Code]) -> Code:
        if node.operation in ("product", "dot"):
            self.operations += len(args)
            pairs = zip(args[::2], args[1::2], strict=True)
            return _added([_times(left, right) for left, right in pairs])
        if node.operation == "full":
            self.operations += len(args)
            return _added(args)
        if node.operation == "largest":
            self.operations += 4
            return Code(f"max({', '.join(arg.text for arg in args)})")
        if node.operation == "where":
            self.operations += 1
            condition, yes, no = args
            return Code(f"({yes.text} if {condition.text} else {no.text})")
        if node.operation == "scaled":
            self.operations += 1
            if node.detail == -1:
                return Code(f"-{args[0].inside(3)}", 3)
            return _times(self.number(sp.S(node.detail)), args[0])
        if node.operation == "apply":
            return self.applied(str(node.detail), args)
        raise NotScalar

    def applied(self, name: str, args: Sequence[Code]) -> Code:
        self.operations += 1
        if name in BINDS:
            sign, binds = BINDS[name]
            left, right = args[0].inside(max(binds, 1)), args[1].inside(binds + 1)
            return Code(f"{left} {sign} {right}", binds)
        if name == "reciprocal":
            return Code(f"1.0 / {args[0].inside(3)}", 2)
        if name == "exp":
            return Code(f"E ** {args[0].inside(3)}", 4)
        if name == "sqrt":
            return Code(f"{args[0].inside(5)} ** 0.5", 4)
        inner = ", ".join(arg.text for arg in args)
        if name in BUILT_IN:
            return Code(f"{BUILT_IN[name]}({inner})")
        self.functions += 1
        return Code(f"float(np.{name}({inner}))")


def entry_name(name: str, indices: tuple[int, ...], dims: Dims) -> str:
    """The variable of an entry, counted from 1; the axis of the examples has no number.

    >>> entry_name("W1", (0, 2), (sp.Symbol("n_1"), sp.Symbol("n_0")))
    'W1_1_3'
    """
    own = [str(index + 1) for index, dim in zip(indices, dims, strict=True) if dim != EXAMPLES]
    return "_".join((name, *own))


def _times(left: Code, right: Code) -> Code:
    if left.text == "1.0":
        return right
    if right.text == "1.0":
        return left
    return Code(f"{left.inside(2)} * {right.inside(3)}", 2)


def _added(terms: Sequence[Code]) -> Code:
    return terms[0] if len(terms) == 1 else Code(" + ".join(term.inside(1) for term in terms), 1)


def nested(name: str, sizes: Sequence[int], before: tuple[int, ...] = ()) -> str:
    """The variables of an array's entries, nested as ``tolist`` nests them.

    >>> nested("W1", (1, 2))
    '((W1_1_1, W1_1_2),)'
    """
    if not sizes:
        return "_".join((name, *(str(index + 1) for index in before)))
    inner = [nested(name, sizes[1:], (*before, index)) for index in range(sizes[0])]
    return f"({', '.join(inner)}{',' if len(inner) == 1 else ''})"
