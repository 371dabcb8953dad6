"""The explicit composite: the cost written out in inputs, targets and parameters alone.

Every definition of a program is put into those that use it. The result is one expression of nested
sums, shared as a graph: each equation keeps its own letters for its sums, so that a layer at a given
index is one and the same object wherever it stands, and no letter can capture another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice

import sympy as sp
from sympy.core.parameters import distribute

from symbackprop.algebra.calculus import derivative
from symbackprop.algebra.equations import Program, Quantity, Role
from symbackprop.algebra.indices import EXAMPLE, letters, replaced, total, with_args
from symbackprop.errors import NoRule
from symbackprop.forward.model import Model

_COMPUTED = frozenset({Role.PRE_ACTIVATION, Role.ACTIVATION, Role.INTERMEDIATE})


class Composition:
    """The entries of a program that its composites use, each with its definition and its composite.

    The first letters (``j``, ``k``) are left to the entry that one differentiates with respect to. What is
    ``kept`` stays a name wherever it is used.
    """

    def __init__(self, program: Program, kept: Collection[str] = ()) -> None:
        self.program, self.kept = program, kept
        self.definitions: dict[sp.Expr, sp.Expr] = {}
        self.composites: dict[sp.Expr, sp.Expr] = {}
        self._equations: dict[str, sp.Expr] = {}
        used = set().union(*(e.rhs.free_symbols - set(e.indices) for e in program))
        free = (letter for letter in letters() if letter not in used)
        self._letters = islice(free, _most_indices(program), None)

    def written_out(self, entry: sp.Expr) -> sp.Expr:
        """An entry in terms of inputs, targets and parameters."""
        name = quantity_name(entry)
        if name not in self.program.definitions:
            return self._undefined(entry)
        if entry not in self.composites:
            definition = self.definition(entry)
            used = (one for one in entries(definition) if quantity_name(one) not in self.kept)
            below = {one: self.written_out(one) for one in used}
            self.composites[entry] = replaced(definition, below)
        return self.composites[entry]

    def definition(self, entry: sp.Expr) -> sp.Expr:
        """The right side of an entry's equation, in the letters of the composite."""
        if entry not in self.definitions:
            name = quantity_name(entry)
            equation = self.program.definitions[name]
            if name not in self._equations:
                self._equations[name] = own_letters(equation.rhs, self._letters)
            indices = entry.indices if isinstance(entry, sp.Indexed) else ()
            renaming = dict(zip(equation.indices, indices, strict=True))
            self.definitions[entry] = replaced(self._equations[name], renaming)
        return self.definitions[entry]

    def folding(self) -> dict[sp.Expr, sp.Expr]:
        """The definitions to read from right to left; a coupled one also at the letter of its own sum."""
        found = {entry: rhs for entry, rhs in self.definitions.items() if isinstance(entry, sp.Indexed)}
        for entry, definition in tuple(found.items()):
            inner = [node for node in distinct(definition) if isinstance(node, sp.Sum)]
            if not any(node.has(*entry.indices) for node in inner):
                for node in inner:
                    letter = node.limits[0][0]
                    found[sp.Indexed(entry.base, letter)] = replaced(definition, {entry.indices[0]: letter})
        return found

    def _undefined(self, entry: sp.Expr) -> sp.Expr:
        """What no equation defines: an input, a parameter, a constant; or else a gap in the program."""
        quantity = self.program.quantities.get(quantity_name(entry))
        if not isinstance(entry, sp.Indexed) or (quantity and quantity.role not in _COMPUTED):
            return entry
        raise NoRule(
            f"{entry} has no definition in the program, so the cost can't be written out; "
            "with a symbol for the depth, use the chain route"
        )


def compose(program: Program, name: str | None = None, kept: Collection[str] = ()) -> sp.Expr:
    """A quantity of a program written out; the program's output if no name is given.

    What is ``kept`` stays a name in it.

    >>> from symbackprop.network import Activation, Cost, Formula, Layer, Network, argument
    >>> from symbackprop.forward.model import forward_model
    >>> a, y = argument("a"), argument("y")
    >>> cost = Cost("squared_error", Formula("(a - y)^2", (a - y) ** 2, ("a", "y")))
    >>> layer = Layer(1, Activation("g", None), bias=False)
    >>> compose(forward_model(Network("net", 2, (layer,), cost)).program)
    Sum((g(Sum(W1[i, m]*x[m], (m, 1, n_0))) - y[i])**2, (i, 1, n_1))

    Raises:
        NoRule: for a quantity that the program uses and doesn't define.
    """
    name = program.outputs[0].name if name is None else name
    if name not in program.definitions:
        raise NoRule(f"{name} has no equation in the program: there is nothing to write out")
    with distribute(False):
        return Composition(program, kept).written_out(program.definitions[name].lhs)


def compose_total(model: Model) -> sp.Expr:
    """The cost of a batch written out: inputs and targets have the example's index first.

    >>> from symbackprop.network import Activation, Cost, Formula, Layer, Network, argument
    >>> from symbackprop.forward.model import forward_model
    >>> a, y = argument("a"), argument("y")
    >>> cost = Cost("error", Formula("a - y", a - y, ("a", "y")))
    >>> layer = Layer(1, Activation("g", None), bias=False)
    >>> compose_total(forward_model(Network("net", 2, (layer,), cost)))
    Sum(g(Sum(W1[i, m]*x[n, m], (m, 1, n_0))) - y[n, i], (i, 1, n_1), (n, 1, N))/N
    """
    with distribute(False):
        one = Composition(model.program).written_out(model.cost.symbol)
        each = with_example_index(one, model.program.inputs)
        total = Composition(model.total).written_out(model.total.outputs[0].symbol)
        return replaced(total, {entry: each for entry in entries(total) if _is_of(entry, model.cost)})


def raw_gradient(cost: sp.Expr, entry: sp.Expr) -> sp.Expr:
    """The derivative of a written-out cost by one entry, as the rules of calculus leave it."""
    with distribute(False):
        return derivative(cost, entry)


def with_example_index(expr: sp.Expr, quantities: tuple[Quantity, ...]) -> sp.Expr:
    """The same expression for example n: entries ``x[k]`` of the quantities become ``x[n, k]``."""
    names = {quantity.name for quantity in quantities}
    found = [entry for entry in entries(expr) if quantity_name(entry) in names]
    return replaced(expr, {entry: sp.Indexed(entry.base, EXAMPLE, *entry.indices) for entry in found})


def quantity_name(entry: sp.Expr) -> str:
    """The name of the quantity that an entry belongs to."""
    return str(entry.base.label) if isinstance(entry, sp.Indexed) else str(entry)


def entries(expr: sp.Expr) -> list[sp.Expr]:
    """Every entry in an expression once, in the order of their names; indices and sizes are none.

    >>> W, x = sp.IndexedBase("W"), sp.IndexedBase("x")
    >>> j, k, n = sp.symbols("j k n", integer=True, positive=True)
    >>> entries(n * sp.Sum(W[j, k] * x[k], (k, 1, n)))
    [W[j, k], x[k]]
    """
    found = {node for node in distinct(expr) if isinstance(node, sp.Indexed) or _is_scalar_entry(node)}
    return sorted(found, key=str)


def distinct(expr: sp.Basic) -> Iterator[sp.Basic]:
    """Every distinct sub-expression once; entries and the limits of sums are not looked into."""
    seen: set[sp.Basic] = set()
    stack = [expr]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            yield node
            if not is_leaf(node):
                stack.extend(node.args)


def is_leaf(node: sp.Basic) -> bool:
    """Whether a walk over an expression ends here: at entries, symbols, numbers and the limits of sums."""
    return not node.args or type(node) is sp.Tuple or isinstance(node, sp.Indexed | sp.KroneckerDelta)


def own_letters(expr: sp.Expr, fresh: Iterator[sp.Symbol]) -> sp.Expr:
    """Give every distinct sum letters of its own; the index that counts examples keeps its name."""
    memo: dict[sp.Basic, sp.Basic] = {}

    def visit(node: sp.Basic) -> sp.Basic:
        if is_leaf(node):
            return node
        if node not in memo:
            memo[node] = (
                renamed(node) if isinstance(node, sp.Sum) else with_args(node, tuple(map(visit, node.args)))
            )
        return memo[node]

    def renamed(node: sp.Sum) -> sp.Expr:
        bound = [limits[0] for limits in node.limits]
        new = {old: next(fresh) for old in bound if old != EXAMPLE}
        limits = (sp.Tuple(new.get(limit[0], limit[0]), *limit[1:]) for limit in node.limits)
        return total(visit(replaced(node.function, new)), *limits)

    return visit(expr)


def _is_scalar_entry(node: sp.Basic) -> bool:
    return isinstance(node, sp.Symbol) and not node.is_integer


def _is_of(entry: sp.Expr, quantity: Quantity) -> bool:
    return isinstance(entry, sp.Indexed) and quantity_name(entry) == quantity.name


def _most_indices(program: Program) -> int:
    ranks = (len(quantity.dims) for quantity in program.quantities.values())
    return max(ranks, default=0)
