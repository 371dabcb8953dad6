"""Prints the plan of the fast path as NumPy: one call a line, each with its ``out``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import sympy as sp

from symbackprop.code.blocks import runs
from symbackprop.code.nodes import Call, Dims, Graph, Node
from symbackprop.code.numpy_code import Code, Names, scalar_code, tuple_code
from symbackprop.code.plan import Buffer, Instruction, Plan
from symbackprop.code.scalars import ScalarProgram
from symbackprop.code.vector_forms import MANY
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
    blocks: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def graph(self) -> Graph:
        """The operations."""
        return self.plan.graph

    def lines(self) -> Iterator[tuple[str, str, str, bool]]:
        """The section, the line and the label of every instruction, and whether it stands in a loop."""
        for run in runs(self.plan):
            if not run.arrays:
                (step,) = run.instructions
                yield step.section, self.instruction(step), step.label, False
                continue
            self.blocks.append(run.arrays)
            names = ", ".join(f"{name}_" for name in run.arrays)
            target = names if len(run.arrays) > 1 else f"({names},)"
            yield run.instructions[0].section, f"for {target} in blocks_{len(self.blocks)}:", "", False
            for step in run.instructions:
                yield step.section, _by_rows(self.instruction(step), run.arrays), step.label, True

    def instruction(self, step: Instruction) -> str:
        """An instruction as a line."""
        node = self.graph[step.node]
        if step.copies:
            return f"np.copyto({step.target}, {self.text(step.node)})"
        if not node.dims:
            return f"{step.target} = {self.scalar(node).text}"
        return self.line(node, step.target)

    def line(self, node: Node, target: str) -> str:
        """One operation, written into ``target``."""
        args = [self.text(arg) for arg in node.args]
        if node.operation == "spread":
            return f"{target}[...] = {self.spread(node)}"
        if node.operation in ("filled", "copied"):
            return f"{target}[...] = {args[0]}"
        if node.operation == "turned":
            return f"{self.turned(node)} = turned({args[0]}, {target})"
        if node.operation == "product":
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
                return Code(f"float({self.entries(mine[0])}.dot({given}.reshape(-1)))")
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

    def allocations(self) -> list[str]:
        """The lines that make constants and buffers; to be asked for after :meth:`lines`."""
        lines = [f"{name} = np.{name}" for name in self.functions]
        lines += [f"{name} = np.asarray({text}, dtype)" for name, text in self.constants.items()]
        lines += [f"{name} = np.ones({size}, dtype)" for size, name in self.ones.items()]
        if any(self.graph[step.node].operation == "turned" for step in self.plan.instructions):
            lines.append(f"turned = _written_out if {self.names.symbol(EXAMPLES)} >= {MANY} else _as_it_is")
        lines += self.in_one_piece()
        used = {*self.plan.names.values(), *(step.target for step in self.plan.instructions)}
        for buffer in self.plan.buffers:
            targets = " = ".join(name for name in buffer.names if name in used)
            if buffer.host is not None:
                lines.append(f"{targets} = _room({self.place(buffer)})")
            elif self.scalars is None or buffer.names[0] not in dict(self.scalars.gradients):
                shape, kind = shape_code(buffer.dims, self.names), "bool" if buffer.truth else "dtype"
                lines.append(f"{targets} = np.empty({shape}, {kind})")
        lines += [f"{flat} = {name}.reshape(-1)" for name, flat in self.flat.items()]
        blocks = enumerate(self.blocks, 1)
        return [*lines, *(f"blocks_{number} = _blocks({', '.join(names)})" for number, names in blocks)]

    def place(self, buffer: Buffer) -> str:
        """In which gradient a buffer lies, where in it, and of which kind it is."""
        fixed, each = buffer.start
        words = [str(buffer.host), shape_code(buffer.dims, self.names), "bool" if buffer.truth else "dtype"]
        terms = [f"{each} * {self.names.symbol(EXAMPLES)}"] * bool(each) + [str(fixed)] * bool(fixed)
        if terms:
            words.append(" + ".join(terms))
        return ", ".join(words)

    def in_one_piece(self) -> Iterator[str]:
        """The gradients one behind the other, so that scalar code writes them all at once."""
        if self.scalars is None:
            return
        start = 0
        yield f"flat = np.empty({sum(len(entries) for _, entries in self.scalars.gradients)}, dtype)"
        shapes = {buffer.names[0]: buffer.dims for buffer in self.plan.buffers}
        for name, entries in self.scalars.gradients:
            part = f"flat[{start}:{start + len(entries)}]"
            yield f"{name} = {part}.reshape({shape_code(shapes[name], self.names)})"
            start += len(entries)


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
