"""Prints the plan of the fast path as loops for Numba: one loop for operations entry by entry that meet.

Matrix products that are more than tiny stay with BLAS. Between two of them, operations on arrays of one
shape become one loop over its entries: what is read inside the loop only is a variable there and never
an array.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

import sympy as sp

from symbackprop.code.fast_code import shape_code
from symbackprop.code.nodes import Call, Dims, Graph, Node
from symbackprop.code.numba_kernels import ALONG_AN_AXIS, IN_VECTORS
from symbackprop.code.numpy_code import Code, Names, scalar_code
from symbackprop.code.plan import Instruction, Plan
from symbackprop.code.scalars import BINDS
from symbackprop.code.vector_forms import FEW_WEIGHTS, MANY
from symbackprop.errors import NoRule
from symbackprop.forward.model import EXAMPLES

INDICES = ("n", "j", "k")
_VARIABLE = re.compile(r"(?<![\w.])[A-Za-z]\w*\b(?![(.])")
"""A name in a line that isn't called."""

_OWN = re.compile(r"n|j|k|v\d+|for|in|if|else|and|or|not")
"""Names that mean the same in every loop."""

TINY = 16
"""A product is a loop up to this product of its axes without the examples: BLAS's call takes longer."""

FUNCTIONS: Mapping[str, str] = {
    "exp": "math.exp",
    "log": "math.log",
    "sin": "math.sin",
    "cos": "math.cos",
    "tan": "math.tan",
    "sinh": "math.sinh",
    "cosh": "math.cosh",
    "arctan": "math.atan",
    "expm1": "math.expm1",
    "sqrt": "math.sqrt",
    "abs": "abs",
    "sign": "np.sign",
    "maximum": "max",
    "minimum": "min",
}
KERNELS: Mapping[str, str] = {"_erf": "math.erf"}
"""Kernels that Python's own library has."""


WIDE = 64
"""Rows of so many entries are worth an exponential in vectors: what is left of shorter ones has none."""


@dataclass(frozen=True)
class Loop:
    """A loop as a function: its name, what it is given, and its lines."""

    name: str
    arguments: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass
class NumbaCode:
    """The lines of one plan."""

    plan: Plan
    names: Names
    sizes: Mapping[sp.Symbol, sp.Expr]
    functions: Sequence[str] = ()
    """The names of functions that the spec leaves open, and of their derivatives."""
    constants: dict[str, str] = field(default_factory=dict)
    kernels: set[str] = field(default_factory=set)
    loops: dict[tuple[str, ...], Loop] = field(default_factory=dict)
    turned: int = 0
    is_wide: bool = False
    """Whether the loop that is being written has long rows."""

    @property
    def graph(self) -> Graph:
        """The operations."""
        return self.plan.graph

    def lines(self) -> list[str]:
        """The body of the function, with each line's label."""
        found: list[str] = []
        for _, steps in groupby(enumerate(self.plan.instructions), key=lambda item: self.group[item[0]]):
            places = [place for place, _ in steps]
            instructions = [self.plan.instructions[place] for place in places]
            if self.fuses(instructions[0]):
                found += self.loop(instructions, places[-1])
            else:
                found += self.single(instructions[0])
        return found

    def fuses(self, step: Instruction) -> bool:
        node = self.graph[step.node]
        entrywise = ("apply", "scaled", "where", "spread")
        kernel = _kernel(node) != "" and _kernel(node) not in ALONG_AN_AXIS
        one = node.operation in entrywise or kernel or self.open_function(node) != ""
        return bool(node.dims) and not step.copies and one

    def open_function(self, node: Node) -> str:
        """The name of the open function that a node calls; nothing if it calls none."""
        name = node.detail.function if isinstance(node.detail, Call) else ""
        return name if name in self.functions else ""

    @cached_property
    def group(self) -> list[int]:
        """A number for each instruction; those with the same number stand in one loop."""
        found: list[int] = []
        for place, step in enumerate(self.plan.instructions):
            before = self.plan.instructions[place - 1] if place else None
            same = before is not None and self.fuses(step) and self.fuses(before)
            joined = same and self.graph[step.node].dims == self.graph[before.node].dims  # type: ignore[union-attr]
            found.append(found[-1] if joined else len(found))
        return found

    # reads and memory

    @cached_property
    def memory_of(self) -> Mapping[str, int]:
        """Which buffer a name stands for."""
        return {name: place for place, buffer in enumerate(self.plan.buffers) for name in buffer.names}

    def kept(self, step: Instruction, end: int) -> bool:
        """Whether a result of a loop is read after it."""
        return self.plan.last_read[step.node] > end

    # loops

    def loop(self, steps: Sequence[Instruction], end: int) -> list[str]:
        """Operations entry by entry as one loop."""
        dims = self.graph[steps[0].node].dims
        width = self.sizes.get(dims[-1], dims[-1])
        self.is_wide = bool(not width.is_Integer or width >= WIDE)
        local: dict[int, str] = {}
        body: list[str] = []
        for step in steps:
            node = self.graph[step.node]
            name = f"v{len(local) + 1}"
            body.append(f"{name} = {self.entry(node, local).text}{_label(step)}")
            local[step.node] = name
        last = {self.memory_of[step.target]: step for step in steps}
        for step in last.values():
            if self.kept(step, end):
                body.append(f"{step.target}[{_indices(dims)}] = {local[step.node]}")
        written = {place: step.target for place, step in last.items()}
        return [self.called([self.one_name(line, written) for line in self.over(dims, body)])]

    def one_name(self, line: str, written: Mapping[int, str]) -> str:
        """A line in which memory that is written has one name, so that the compiler sees it's the same."""

        def named(match: re.Match[str]) -> str:
            return written.get(self.memory_of.get(match[0], -1), match[0])

        return re.sub(r"\b\w+(?=\[)", named, line)

    def called(self, lines: Sequence[str]) -> str:
        """A call of a function with this loop; loops that differ in names alone are one function."""
        code = [re.sub(r"  # .*", "", line) for line in lines]
        names = [*dict.fromkeys(w for line in code for w in _VARIABLE.findall(line) if not _OWN.fullmatch(w))]
        names += [name for name in self.functions if any(f"{name}(" in line for line in code)]
        pattern = "|".join(map(re.escape, names))
        key = tuple(
            re.sub(rf"\b({pattern})\b", lambda match: f"${names.index(match[0])}", line) for line in code
        )
        found = self.loops.setdefault(key, Loop(f"_loop_{len(self.loops) + 1}", tuple(names), tuple(lines)))
        labels = dict.fromkeys(re.findall(r"  # (\(.*\))", "\n".join(lines)))
        return f"{found.name}({', '.join(names)})  # {', '.join(labels)}"

    def over(self, dims: Dims, body: Sequence[str]) -> list[str]:
        """A loop for each axis around some lines."""
        lines = []
        for depth, dim in enumerate(dims):
            lines.append("    " * depth + f"for {INDICES[depth]} in range({self.size(dim)}):")
        return [*lines, *("    " * len(dims) + line for line in body)]

    def size(self, dim: sp.Expr) -> str:
        return self.names.symbol(dim)

    def entry(self, node: Node, local: Mapping[int, str]) -> Code:
        """One entry of a node inside a loop over its axes."""
        indices = INDICES[: len(node.dims)]
        if node.operation == "spread":
            return self.at(node.args[0], self._places(node, indices), local)
        args = [self.at(arg, indices, local) for arg in node.args]
        if node.operation == "scaled":
            if node.detail == -1:
                return Code(f"-{args[0].inside(3)}", 3)
            return Code(f"{self.constant(sp.S(node.detail)).inside(2)} * {args[0].inside(3)}", 2)
        if node.operation == "where":
            condition, yes, no = args
            return Code(f"({yes.text} if {condition.text} else {no.text})")
        if node.operation == "call":
            return self.kernel(node, args)
        return self.applied(str(node.detail), args)

    def _places(self, node: Node, indices: Sequence[str]) -> tuple[str, ...]:
        assert isinstance(node.detail, tuple)
        return tuple(indices[place] for place in node.detail)

    def at(self, number: int, indices: Sequence[str], local: Mapping[int, str]) -> Code:
        """The entry of an operand at these indices."""
        node = self.graph[number]
        if number in local:
            return Code(local[number])
        if node.operation == "ones":
            return self.constant(sp.Integer(1))
        if node.operation == "number":
            return self.constant(sp.S(node.detail))
        if node.operation == "transpose":
            return self.at(node.args[0], tuple(reversed(indices)), local)
        if number not in self.plan.names and node.operation == "spread":
            return self.at(node.args[0], self._places(node, indices), local)
        if number not in self.plan.names and node.operation != "given":
            return self.entry(node, local)
        name = self.plan.names.get(number) or str(node.detail)
        return Code(f"{name}[{', '.join(indices)}]" if node.dims else name)

    def applied(self, name: str, args: Sequence[Code]) -> Code:
        if name in BINDS:
            sign, binds = BINDS[name]
            text = f"{args[0].inside(max(binds, 1))} {sign} {args[1].inside(binds + 1)}"
            return Code(f"({text})" if binds <= 0 else text, 5 if binds <= 0 else binds)
        if name == "reciprocal":
            return Code(f"{self.constant(sp.Integer(1)).text} / {args[0].inside(3)}", 2)
        if name in IN_VECTORS and (self.is_wide or name not in FUNCTIONS):
            self.kernels.add(IN_VECTORS[name])
            return Code(f"{IN_VECTORS[name]}({args[0].text})")
        if name not in FUNCTIONS:
            raise _no_loop(f"the function {name}")
        return Code(f"{FUNCTIONS[name]}({', '.join(arg.text for arg in args)})")

    def kernel(self, node: Node, args: Sequence[Code]) -> Code:
        name = _kernel(node) or self.open_function(node)
        if name not in KERNELS and name not in self.functions:
            self.kernels.add(name)
        return Code(f"{KERNELS.get(name, name)}({', '.join(arg.text for arg in args)})")

    def constant(self, expr: sp.Expr) -> Code:
        """A number of the arrays' own kind."""
        code = scalar_code(expr, {}, self.names)
        name = self.constants.setdefault(code.text, f"c{len(self.constants) + 1}")
        return Code(name)

    # everything else

    def single(self, step: Instruction) -> list[str]:
        """An operation that isn't entry by entry."""
        node, label = self.graph[step.node], _label(step)
        if step.copies:
            entry = self.at(step.node, INDICES[: len(node.dims)], {})
            return self.over(node.dims, [f"{step.target}[{_indices(node.dims)}] = {entry.text}{label}"])
        if not node.dims:
            return self.scalar(node, step.target, label)
        if node.operation == "product":
            return self.product(node, step.target, label)
        if node.operation == "largest":
            return self.largest(node, step.target, label)
        if _kernel(node) in ALONG_AN_AXIS and len(node.dims) == 2:
            return self.rows(node, step.target, label)
        raise _no_loop(f"what equation ({step.label}) asks for")

    def rows(self, node: Node, target: str, label: str) -> list[str]:
        """A kernel that gets a row, or a column, at a time."""
        call, index = node.detail, INDICES[0]
        assert isinstance(call, Call)
        self.kernels.add(call.function)
        place = f"{index}, :" if call.after == ("axis=1",) else f":, {index}"
        dim = node.dims[0 if call.after == ("axis=1",) else 1]
        args = ", ".join(f"{self.array(arg)}[{place}]" for arg in node.args)
        line = f"    {target}[{place}] = {call.function}({args}){label}"
        return [f"for {index} in range({self.size(dim)}):", line]

    def product(self, node: Node, target: str, label: str) -> list[str]:
        left, right = node.args
        ones = [self.graph[arg].operation == "ones" for arg in node.args]
        if any(ones) or self.is_tiny(node):
            return self.product_in_loops(node, target, label)
        plain = f"np.dot({self.array(left)}, {self.array(right)}, {target}){label}"
        weights = self.small_weights(right)
        if not weights:
            return [plain]
        turned = f"np.dot({self.array(left)}, _turned({weights}, room), {target}){label}"
        many = f"{self.size(EXAMPLES)} >= {MANY}"
        return [f"if {many}:", f"    {turned}", "else:", f"    {plain}"]

    def small_weights(self, number: int) -> str:
        """The matrix that was handed in of which this is the transpose, if it is small: turned over first."""
        node = self.graph[number]
        if node.operation != "transpose" or self.graph[node.args[0]].operation != "given":
            return ""
        sizes = [self.sizes.get(dim, dim) for dim in node.dims]
        entries = sp.Mul(*sizes)
        if not all(size.is_Integer for size in sizes) or entries > FEW_WEIGHTS:
            return ""
        self.turned = max(self.turned, int(entries))
        return str(self.graph[node.args[0]].detail)

    def is_tiny(self, node: Node) -> bool:
        """Whether the axes of the product without the examples have few entries in all."""
        dims = {*self.graph.dims(node.args[0]), *self.graph.dims(node.args[1])} - {EXAMPLES}
        numbers = [self.sizes.get(dim, dim) for dim in dims]
        return all(n.is_Integer for n in numbers) and bool(sp.Mul(*numbers) <= TINY)

    def product_in_loops(self, node: Node, target: str, label: str) -> list[str]:
        """Row by row; the inner loop goes along the rows of the result."""
        left, right = node.args
        rank = len(self.graph.dims(left)) - 1
        own = INDICES[: len(node.dims)]
        size = self.size(self.graph.dims(right)[0])
        entry = f"{target}[{', '.join(own)}]"
        factors = [self.factor(left, (*own[:rank], "k")), self.factor(right, ("k", *own[rank:]))]
        term = " * ".join(factor for factor in factors if factor) or self.constant(sp.Integer(1)).text
        reset = self.over(node.dims, [f"{entry} = c0{label}"])
        loops = [
            f"for k in range({size}):",
            *("    " + line for line in self.over(node.dims, [f"{entry} += {term}"])),
        ]
        return [*reset, *loops]

    def factor(self, number: int, indices: Sequence[str]) -> str:
        return "" if self.graph[number].operation == "ones" else self.at(number, indices, {}).text

    def array(self, number: int) -> str:
        node = self.graph[number]
        if number in self.plan.names:
            return self.plan.names[number]
        if node.operation == "given":
            return str(node.detail)
        if node.operation == "transpose":
            return f"{self.array(node.args[0])}.T"
        raise _no_loop("a product with an array that is no parameter and no result")

    def largest(self, node: Node, target: str, label: str) -> list[str]:
        (arg,), axis = node.args, int(str(node.detail))
        dims = self.graph.dims(arg)
        entry = f"{target}[{_indices(node.dims)}]"

        def at(index: str) -> str:
            own = list(INDICES[: len(node.dims)])
            own.insert(axis, index)
            return self.at(arg, own, {}).text

        first = f"{entry} = {at('0')}{label}"
        loop = [f"for k in range(1, {self.size(dims[axis])}):", f"    {entry} = max({entry}, {at('k')})"]
        return self.over(node.dims, [first, *loop])

    def scalar(self, node: Node, target: str, label: str) -> list[str]:
        """A number: sums over all entries first, then the expression that they stand in."""
        lines: list[str] = []
        text = self._scalar(node, lines).text
        return [*lines, f"{target} = {text}{label}"]

    def _scalar(self, node: Node, lines: list[str]) -> Code:
        if node.operation in ("dot", "full"):
            dims = self.graph.dims(node.args[0])
            name = f"s{sum(line.endswith(' = 0.0') for line in lines) + 1}"
            factors = [self.at(arg, INDICES[: len(dims)], {}).inside(3) for arg in node.args]
            lines.append(f"{name} = 0.0")
            lines += self.over(dims, [f"{name} += {' * '.join(factors)}"])
            return Code(name)
        args = [self._operand(arg, lines) for arg in node.args]
        if node.operation == "scaled":
            factor = scalar_code(sp.S(node.detail), {}, self.names)
            return Code(f"{factor.inside(2)} * {args[0].inside(3)}", 2)
        if node.operation == "apply":
            return self.applied(str(node.detail), args)
        if _kernel(node):
            return self.kernel(node, args)
        raise _no_loop("a number that is worked out by a call")

    def _operand(self, number: int, lines: list[str]) -> Code:
        node = self.graph[number]
        if number in self.plan.names:
            return Code(self.plan.names[number])
        if node.operation == "number":
            return scalar_code(sp.S(node.detail), {}, self.names)
        return self._scalar(node, lines)

    def views(self, body: Sequence[str]) -> list[tuple[str, str, str]]:
        """Every buffer that the body names: its names, its shape, and how many entries it has."""
        code = "\n".join(re.sub(r"#.*", "", line) for line in body)
        found = []
        for buffer in self.plan.buffers:
            used = [name for name in buffer.names if re.search(rf"\b{name}\b", code)]
            if used:
                size = " * ".join(self.size(dim) for dim in buffer.dims)
                found.append((" = ".join(used), shape_code(buffer.dims, self.names), size))
        room = [("room", f"({self.turned},)", str(self.turned))] if self.turned else []
        return [*found, *room]


def _kernel(node: Node) -> str:
    """The name of the kernel that a node calls; nothing if it calls none."""
    call = node.detail
    named = node.operation == "call" and isinstance(call, Call) and call.function.startswith("_")
    return call.function if named and isinstance(call, Call) else ""


def _no_loop(what: str) -> NoRule:
    others = "the targets numpy, array-api, torch and jax have one"
    return NoRule(f"target: numba has no loop for {what}; {others}")


def _indices(dims: Dims) -> str:
    return ", ".join(INDICES[: len(dims)])


def _label(step: Instruction) -> str:
    return f"  # ({step.label})"
