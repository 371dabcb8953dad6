"""Prints the plan of the fast path as NumPy: one call a line, each with its ``out``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import sympy as sp

from symbackprop.code.loops import Loop
from symbackprop.code.memory import Buffer
from symbackprop.code.nodes import Call, Dims, Graph, Node
from symbackprop.code.numpy_code import Code, Names, scalar_code, tuple_code
from symbackprop.code.plan import Instruction, Plan
from symbackprop.code.rows import adds_up
from symbackprop.code.scalars import ScalarProgram
from symbackprop.forward.model import EXAMPLES

SIGNS: Mapping[str, str] = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "greater": ">",
    "greater_equal": ">=",
    "less": "<",
    "less_equal": "<=",
    "equal": "==",
    "not_equal": "!=",
    "logical_and": "&",
    "logical_or": "|",
}

SPELLED: Mapping[sp.Expr, str] = {
    sp.Integer(0): "zero",
    sp.Integer(1): "one",
    sp.Integer(2): "two",
    sp.Rational(1, 2): "half",
}


@dataclass
class FastCode:
    """The lines of one plan. ``fixed`` are the symbols that are known when buffers are allocated."""

    plan: Plan
    names: Names
    fixed: frozenset[sp.Symbol]
    scalars: ScalarProgram | None = None
    flat: dict[str, str] = field(default_factory=dict)
    functions: dict[str, None] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    ones: dict[str, str] = field(default_factory=dict)
    flat_in_loops: dict[str, None] = field(default_factory=dict)
    in_loop: bool = False

    @property
    def graph(self) -> Graph:
        """The operations."""
        return self.plan.graph

    @cached_property
    def loops(self) -> tuple[Loop, ...]:
        """Every part of the plan, with a loop or without."""
        return tuple(Loop(self.plan, number) for number in range(len(self.plan.parts)))

    def blocks_of(self, loop: Loop) -> str:
        """The name of a loop's rows."""
        return f"blocks_{sum(other.is_one for other in self.loops[: loop.number]) + 1}"

    def lines(self) -> Iterator[tuple[str, str, str, bool]]:
        """The section, the line and the label of every instruction, and whether it stands in a loop."""
        for loop in self.loops:
            if not loop.is_one:
                for step in loop.part.instructions:
                    yield step.section, self.instruction(step), step.label, False
            else:
                yield from self.by_rows(loop)

    def by_rows(self, loop: Loop) -> Iterator[tuple[str, str, str, bool]]:
        """A loop: what is added up begins with 0, and arrays stand there with some of their rows."""
        steps = loop.part.instructions
        section = steps[0].section
        for step in steps:
            if adds_up(self.graph, step.node):
                yield section, f"{step.target} = 0.0", "", False
        arrays = (*loop.kept, *loop.own)
        self.in_loop = True
        lines = [_by_rows(self.instruction(step), (*arrays, *loop.given)) for step in steps]
        self.in_loop = False
        flat = [f"{name}_entries_" for name in self.flattened(loop)]
        rows = "rows" if loop.given else "_"
        names = ", ".join((rows, *(f"{name}_" for name in arrays), *flat))
        yield section, f"for {names} in {self.blocks_of(loop)}:", "", False
        if loop.given:
            yield section, _cut(loop.given), "", True
        for step, line in zip(steps, lines, strict=True):
            yield step.section, line, step.label, True

    def flattened(self, loop: Loop) -> list[str]:
        """The arrays of a loop that it also needs as one long vector."""
        arrays = (*loop.kept, *loop.own)
        return [name for name in self.flat_in_loops if name in arrays]

    def instruction(self, step: Instruction) -> str:
        """An instruction as a line."""
        node = self.graph[step.node]
        if step.copies:
            return f"np.copyto({step.target}, {self.text(step.node)})"
        if not node.dims:
            sign = "+=" if self.in_loop else "="
            return f"{step.target} {sign} {self.scalar(node).text}"
        return self.line(node, step.target)

    def line(self, node: Node, target: str) -> str:
        """One operation, written into ``target``."""
        sums = self.sums_columns(node)
        args = ["" if sums and not place else self.text(arg) for place, arg in enumerate(node.args)]
        if node.operation == "spread":
            return f"{target}[...] = {self.spread(node)}"
        if node.operation in ("filled", "copied"):
            return f"{target}[...] = {args[0]}"
        if node.operation == "turned":
            return f"{self.turned(node)} = turned({args[0]}, {target})"
        if node.operation == "product":
            if sums:
                return f"column_sums({args[1]}, out={target})"
            return f"{args[0]}.dot({args[1]}, out={target})"
        if node.operation in ("apply", "compared"):
            return f"{self.function(str(node.detail))}({', '.join(args)}, out={target})"
        if node.operation == "scaled":
            if node.detail == -1:
                return f"{self.function('negative')}({args[0]}, out={target})"
            return f"{self.function('multiply')}({args[0]}, {self.factor(node.detail)}, out={target})"
        if node.operation == "largest":
            return f"np.maximum.reduce({args[0]}, axis={node.detail}, out={target})"
        if node.operation == "where":
            return f"{target}[...] = np.where({', '.join(args)})"
        return self.call(node, args, target)

    def sums_columns(self, node: Node) -> bool:
        """Whether a product is one of ones with the rows of all examples."""
        left = self.graph[node.args[0]] if node.operation == "product" else None
        return left is not None and left.operation == "ones" and left.dims == (EXAMPLES,)

    def turned(self, node: Node) -> str:
        """The name of a transpose, wherever it is."""
        return f"{self.text(self.graph[node.args[0]].args[0])}_T"

    def function(self, name: str) -> str:
        """A function of NumPy by a name of its own, which is looked up faster than an attribute."""
        self.functions[name] = None
        return name

    def call(self, node: Node, args: Sequence[str], target: str) -> str:
        call = node.detail
        assert isinstance(call, Call), node.operation
        if node.operation == "pattern":
            return f"{target}[...] = {_filled(call, args)}"
        given = ", ".join((*call.before, *args, *call.after))
        if call.takes_out:
            return f"{call.function}({given}, out={target})"
        return f"{target}[...] = {call.function}({given})"

    def text(self, number: int) -> str:
        """What stands for a node where it is read."""
        node = self.graph[number]
        if node.operation == "turned":
            return self.turned(node)
        if number in self.plan.names:
            return self.plan.names[number]
        if node.operation == "given":
            return str(node.detail)
        if node.operation == "number":
            return self.factor(node.detail)
        if node.operation == "ones":
            return self.ones_of(node.dims)
        if node.operation == "transpose":
            return f"{self.text(node.args[0])}.T"
        if node.operation == "spread":
            return self.spread(node)
        return self.scalar(node).inside(4)

    def spread(self, node: Node) -> str:
        """A view with an axis of length one wherever the array has none."""
        places, rank = node.detail, len(node.dims)
        assert isinstance(places, tuple)
        inner = self.text(node.args[0])
        if places == tuple(range(rank - len(places), rank)):
            return inner
        return f"{inner}[{', '.join(':' if axis in places else 'None' for axis in range(rank))}]"

    def scalar(self, node: Node) -> Code:
        """A number worked out in one expression; also a condition, entry by entry."""
        if node.operation == "scaled":
            inner = self._inner(node.args[0])
            symbol = sp.Symbol("_inner", real=True)
            return scalar_code(sp.Mul(node.detail, symbol, evaluate=False), {symbol: inner}, self.names)
        if node.operation == "dot":
            left, right = node.args
            if all(arg in self.plan.names and self.graph.dims(arg) for arg in node.args):
                return Code(f"float({self.entries(left)}.dot({self.entries(right)}))")
            mine = [arg for arg in node.args if arg in self.plan.names and self.graph.dims(arg)]
            if mine and self.graph[left + right - mine[0]].operation == "given":
                given = self.text(left + right - mine[0])
                return Code(f"float({self.entries(mine[0])}.dot({given}.ravel()))")
            return Code(f"float(np.vdot({self.text(left)}, {self.text(right)}))")
        if node.operation == "full":
            return Code(f"float(np.sum({self.text(node.args[0])}))")
        if node.operation in ("apply", "compared"):
            return self._applied(node)
        call = node.detail
        assert isinstance(call, Call), node.operation
        args = [self._inner(arg).text for arg in node.args]
        if node.operation == "pattern":
            return Code(f"({_filled(call, args)})")
        return Code(f"{call.function}({', '.join((*call.before, *args, *call.after))})")

    def _applied(self, node: Node) -> Code:
        sign = SIGNS.get(str(node.detail))
        args = [self._inner(arg) for arg in node.args]
        if sign is None:
            return Code(f"np.{node.detail}({', '.join(arg.text for arg in args)})")
        binds = {"*": 2, "/": 2, "+": 1, "-": 1}.get(sign, 0)
        left, right = args
        return Code(f"{left.inside(max(binds, 1))} {sign} {right.inside(binds + 1)}", binds)

    def _inner(self, number: int) -> Code:
        node = self.graph[number]
        if node.operation == "number":
            return scalar_code(node.detail, {}, self.names)
        if number in self.plan.names or node.operation in ("given", "ones", "transpose", "spread"):
            return Code(self.text(number))
        return self.scalar(node)

    def entries(self, number: int) -> str:
        """A buffer as one long vector."""
        name = self.text(number)
        if len(self.graph.dims(number)) == 1:
            return name
        if self.in_loop:
            self.flat_in_loops[name] = None
            return f"{name}_entries_"
        return self.flat.setdefault(name, f"{name}_entries")

    # what is made once

    def factor(self, expr: sp.Expr) -> str:
        """A number beside an array: an array of no axes where it is known before, which is quickest."""
        code = scalar_code(expr, {}, self.names)
        if not expr.free_symbols <= self.fixed:
            return code.inside(2)
        known = {text: name for name, text in self.constants.items()}
        if code.text not in known:
            name = SPELLED.get(expr) or f"factor{sum(n.startswith('factor') for n in self.constants) + 1}"
            self.constants[name] = code.text
            return name
        return known[code.text]

    def ones_of(self, dims: Dims) -> str:
        """An array of ones."""
        text = self.names.symbol(dims[0]) if len(dims) == 1 else shape_code(dims, self.names)
        return self.ones.setdefault(text, f"ones_{len(self.ones) + 1}" if self.ones else "ones")

    @cached_property
    def handed_out(self) -> tuple[Buffer, ...]:
        """The buffers of the gradients."""
        return tuple(buffer for buffer in self.plan.buffers if buffer.names[0].startswith("grad_"))

    @cached_property
    def used(self) -> frozenset[str]:
        """Every name that an instruction writes or reads, and the gradients'."""
        handed_out = (buffer.names[0] for buffer in self.handed_out)
        targets = (step.target for step in self.plan.instructions)
        return frozenset({*self.plan.names.values(), *targets, *handed_out})

    def loops_over(self, buffer: Buffer) -> bool:
        return buffer.room is not None and self.loops[buffer.room].is_one


def _cut(names: Sequence[str]) -> str:
    """The line that cuts arrays which are handed in; a view of all would take longer than the array itself.

    >>> _cut(["x"])
    'x_ = x if rows is None else x[rows]'
    """
    whole, rows = ", ".join(names), ", ".join(f"{name}[rows]" for name in names)
    whole, rows = (f"({whole})", f"({rows})") if len(names) > 1 else (whole, rows)
    return f"{', '.join(f'{name}_' for name in names)} = {whole} if rows is None else {rows}"


def _by_rows(line: str, arrays: Sequence[str]) -> str:
    """A line with the rows of arrays in their place.

    >>> _by_rows("multiply(z1, t1, out=a1)", ("z1", "a1"))
    'multiply(z1_, t1, out=a1_)'
    """
    return re.sub(rf"\b({'|'.join(arrays)})\b", r"\1_", line)


def _filled(pattern: Call, args: Sequence[str]) -> str:
    """A piece of code with its operands put in."""
    text = pattern.function
    for name, arg in zip(pattern.before, args, strict=True):
        text = re.sub(rf"\b{name}\b", arg, text)
    return text


def shape_code(dims: Dims, names: Names) -> str:
    """A shape as a tuple.

    >>> n = sp.Symbol("n_1")
    >>> shape_code((n,), Names({n: "2"}))
    '(2,)'
    """
    return tuple_code([names.symbol(size) for size in dims])
