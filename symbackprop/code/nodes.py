"""The fast path's view of a program: single operations on arrays, each distinct one once.

A node is one operation on earlier nodes, and a number names it, so that what is needed twice is one
node with two readers. Factors that are the same for every entry travel on a node of their own,
``scaled``, as far as they can: products, sums and differences let them through.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import sympy as sp

Dims = tuple[sp.Expr, ...]

Item = TypeVar("Item", bound=Hashable)

ONE = sp.Integer(1)

LINEAR = frozenset({"transpose", "spread", "full", "product", "dot", "add", "subtract", "multiply", "divide"})
"""Operations that a factor of an argument passes through."""

COMPARING = frozenset(
    {"greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "logical_and", "logical_or"}
)
"""Functions whose results are true or false."""


@dataclass(frozen=True)
class Node:
    """One operation: what it does, on which nodes, with which detail, and the sizes of its result.

    ============ ============================================ =============================
    operation    what it is                                   detail
    ============ ============================================ =============================
    given        an array that is handed in                   its name
    number       a number, or a symbol such as N              the expression
    ones         a vector of ones
    transpose    a matrix with its axes swapped
    spread       an array repeated along axes that it lacks   which axes it has
    compared     a function whose results are true or false   its name
    filled       an array of one number                       the node that reads it
    copied       a view written out as an array of its own
    turned       a transpose, written out if there are many examples
    product      a matrix product
    dot          the sum of the products of all entries
    full         the sum of all entries
    largest      the largest entry along an axis              the axis
    scaled       a factor times an array                      the factor
    apply        a function of NumPy, entry by entry          its name
    where        the second where the first holds, the third elsewhere
    call         any other function of NumPy or the module    :class:`Call`
    pattern      a piece of code with names for its operands  :class:`Call`
    ============ ============================================ =============================
    """

    operation: str
    args: tuple[int, ...]
    detail: Hashable
    dims: Dims


@dataclass(frozen=True)
class Call:
    """A function that is called by name, with what stands before the arrays, and whether it takes ``out``."""

    function: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    takes_out: bool = False


@dataclass
class Graph:
    """Nodes by number; an operation that is asked for twice gets one number."""

    nodes: list[Node] = field(default_factory=list)
    known: dict[Node, int] = field(default_factory=dict)
    pulls: bool = True
    """Whether factors are taken out of arguments; once they are where they should be, they aren't."""

    def __getitem__(self, number: int) -> Node:
        return self.nodes[number]

    def node(self, operation: str, args: Sequence[int] = (), detail: Hashable = None, dims: Dims = ()) -> int:
        """The number of this operation."""
        node = Node(operation, tuple(args), detail, dims)
        if node not in self.known:
            self.known[node] = len(self.nodes)
            self.nodes.append(node)
        return self.known[node]

    def dims(self, number: int) -> Dims:
        """The sizes of a node's axes."""
        return self.nodes[number].dims

    def split(self, number: int) -> tuple[sp.Expr, int]:
        """A node as a factor that may be taken out and what the factor stands before."""
        return self._factored(number) if self.pulls else (ONE, number)

    def _factored(self, number: int) -> tuple[sp.Expr, int]:
        node = self.nodes[number]
        return (node.detail, node.args[0]) if node.operation == "scaled" else (ONE, number)

    # leaves

    def given(self, name: str, dims: Dims) -> int:
        """An array that is handed in."""
        return self.node("given", (), name, dims)

    def number(self, expr: sp.Expr) -> int:
        """A number, or an expression in symbols that stand for numbers."""
        return self.node("number", (), sp.sympify(expr))

    def ones(self, *dims: sp.Expr) -> int:
        """An array of ones."""
        return self.node("ones", (), None, dims)

    # operations that a factor passes through

    def scaled(self, factor: sp.Expr, number: int) -> int:
        """A factor times an array."""
        inner, base = self._factored(number)
        factor = factor * inner
        if factor == 1:
            return base
        node = self.nodes[base]
        if node.operation == "number":
            return self.number(factor * node.detail)
        if factor == -1 and node.operation == "apply" and node.detail == "subtract":
            return self.apply("subtract", node.args[1], node.args[0])
        return self.node("scaled", (base,), factor, node.dims)

    def transpose(self, number: int) -> int:
        """The transpose of a matrix."""
        factor, base = self.split(number)
        node = self.nodes[base]
        if node.operation == "transpose":
            return self.scaled(factor, node.args[0])
        dims = tuple(reversed(node.dims))
        return self.scaled(factor, self.node("transpose", (base,), None, dims))

    def spread(self, number: int, places: tuple[int, ...], shape: Dims) -> int:
        """An array repeated along the axes of ``shape`` that are not in ``places``."""
        factor, base = self.split(number)
        if len(places) == len(shape) or not places:
            return number
        return self.scaled(factor, self.node("spread", (base,), places, shape))

    def product(self, left: int, right: int) -> int:
        """The matrix product of two matrices or vectors."""
        (f, u), (g, v) = self.split(left), self.split(right)
        dims = self.dims(u)[:-1] + self.dims(v)[1:]
        operation = "product" if dims else "dot"
        return self.scaled(f * g, self.node(operation, (u, v), None, dims))

    def total(self, number: int, axis: int) -> int:
        """The sum along an axis: a product with ones, which is the quickest way there is."""
        factor, base = self.split(number)
        dims = self.dims(base)
        if len(dims) == 1:
            return self.scaled(factor, self.full(self._summed(base)))
        if len(dims) == 2:
            ones = self.ones(dims[axis])
            pair = (ones, base) if axis == 0 else (base, ones)
            return self.scaled(factor, self.product(*pair))
        rest = dims[:axis] + dims[axis + 1 :]
        call = Call("np.sum", (), (f"axis={axis}",), True)
        return self.scaled(factor, self.node("call", (base,), call, rest))

    def _summed(self, number: int) -> int:
        """What was summed along one axis to give this vector, if that is what it is."""
        node = self.nodes[number]
        if node.operation != "product":
            return number
        matrices = [arg for arg in node.args if self.nodes[arg].operation != "ones"]
        return matrices[0] if len(matrices) == 1 else number

    def full(self, number: int) -> int:
        """The sum of all entries; of a product entry by entry, the dot of its factors."""
        factor, base = self.split(number)
        node = self.nodes[base]
        if node.operation == "apply" and node.detail == "multiply":
            plain = [arg for arg in node.args if self._whole(arg, node.dims)]
            if len(plain) == 2:
                return self.scaled(factor, self.node("dot", node.args))
        return self.scaled(factor, self.node("full", (base,)))

    def _whole(self, number: int, dims: Dims) -> bool:
        node = self.nodes[number]
        return node.dims == dims and node.operation != "spread"

    # entry by entry

    def apply(self, name: str, *args: int) -> int:
        """A function of NumPy, entry by entry; every argument has the result's axes, or none."""
        dims = max((self.dims(arg) for arg in args), key=len)
        if name in ("multiply", "divide"):
            (f, u), (g, v) = (self.split(arg) for arg in args)
            factor = f * g if name == "multiply" else f / g
            return self.scaled(factor, self._folded(name, u, v, dims))
        if name in ("add", "subtract"):
            left, right = args
            return self._sum(name, left, right, dims)
        return self.node("apply", args, name, dims)

    def _folded(self, name: str, left: int, right: int, dims: Dims) -> int:
        """A product or quotient, worked out where one side is a number and the other is, too."""
        f, g = self.nodes[left], self.nodes[right]
        if g.operation == "number" and dims:
            return self.scaled(sp.S(g.detail) ** (1 if name == "multiply" else -1), left)
        if f.operation == "number" and name == "multiply" and dims:
            return self.scaled(f.detail, right)
        return self.node("apply", (left, right), name, dims)

    def _sum(self, name: str, left: int, right: int, dims: Dims) -> int:
        """A sum or difference, with a factor that both sides have before it, and signs as few as can be."""
        (f, u), (g, v) = self.split(left), self.split(right)
        numbers = "number" in (self.nodes[u].operation, self.nodes[v].operation)
        g = -g if name == "subtract" else g
        if f == g and f != 1 and not numbers:
            return self.scaled(f, self.node("apply", (u, v), "add", dims))
        if f == -g and not numbers:
            return self.scaled(f, self.node("apply", (u, v), "subtract", dims))
        if g.could_extract_minus_sign() and self.nodes[v].operation != "number":
            return self.node("apply", (left, self.scaled(-g, v)), "subtract", dims)
        return self.node("apply", (left, right), name, dims)

    # walks

    def below(self, roots: Sequence[int]) -> Iterator[int]:
        """Every node that the roots need, arguments first."""
        return arguments_first(roots, lambda number: self.nodes[number].args)


def arguments_first(
    roots: Sequence[Item], arguments: Callable[[Item], Sequence[Item]], known: Container[Item] = ()
) -> Iterator[Item]:
    """Everything that the roots need and that isn't known, arguments first."""
    seen: set[Item] = set()
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        item, ready = stack.pop()
        if ready:
            yield item
        elif item not in seen and item not in known:
            seen.add(item)
            stack.append((item, True))
            stack += [(arg, False) for arg in reversed(arguments(item))]
