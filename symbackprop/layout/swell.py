"""How large gradients get when they are written out, beside their delta form: counts of operations.

An operation is an addition, a subtraction, a multiplication, a division, a power or the value of a
function, an activation's derivative included; a sign is none. What is written out is counted as it
would stand on paper, with every sum as its terms and every layer down to the inputs; but nothing is
written out for that. Each distinct sub-expression is counted once, and a sum once for the one index
that differs and once for all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import singledispatchmethod
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import sympy as sp
from sympy.core.parameters import distribute

from symbackprop.algebra.equations import Equation, Quantity, Role
from symbackprop.algebra.indices import outermost
from symbackprop.errors import FormRefused, NoRule
from symbackprop.forward.compose import raw_gradient
from symbackprop.forward.model import refuse_symbols

if TYPE_CHECKING:
    from symbackprop.pipeline import NetworkDerivation

MOST_LAYERS = 20
"""For more layers the composite is nested too deep to be counted."""

Env = Mapping[sp.Symbol, int]


class Count(NamedTuple):
    """Operations of an expression; ``constant`` is 0 or 1 for one that is no more than that."""

    operations: int
    constant: int | None = None


ZERO, ONE, PLAIN = Count(0, 0), Count(0, 1), Count(0)


@dataclass(frozen=True)
class SwellRow:
    """One derivative: how many entries it has, and the operations they take.

    ``written_out`` is for all entries, each from inputs and parameters alone, and ``None`` for a delta,
    which nobody has to write out; ``delta_form`` is for all entries from what was named before.
    """

    quantity: Quantity
    entries: int
    written_out: int | None
    delta_form: int


def swell(derivation: NetworkDerivation) -> tuple[SwellRow, ...]:
    """The operations of every named derivative of a network, in backward order.

    >>> import symbackprop as sb
    >>> for row in swell(sb.derive(sb.load("2-1"))):
    ...     print(row.quantity.name, row.entries, row.written_out, row.delta_form)
    delta1 1 None 5
    dW1 2 28 2
    db1 1 13 0

    Raises:
        FormRefused: where a size is a symbol, or the network too deep.
    """
    _refuse(derivation)
    with distribute(False):
        cost = derivation.example_cost
        sizes = {symbol: int(size) for symbol, size in derivation.model.sizes}
        return tuple(_row(equation, cost, sizes) for equation in derivation.equations)


def _refuse(derivation: NetworkDerivation) -> None:
    model = derivation.model
    refuse_symbols(model, "swell", "there is nothing to count")
    if len(model.network.layers) > MOST_LAYERS:
        raise FormRefused(
            f"form: swell: {len(model.network.layers)} layers are written into each other, and more than "
            f"{MOST_LAYERS} can't be counted: use index or matrix"
        )


def _row(equation: Equation, cost: sp.Expr, sizes: Mapping[sp.Symbol, int]) -> SwellRow:
    quantity = equation.quantity
    entries = prod(sizes[dim] for dim in quantity.dims)
    counter = Counter(sizes)
    one = counter(equation.at((sp.S.One,) * len(quantity.dims))).operations
    written_out = None
    if quantity.role is Role.GRADIENT and quantity.of is not None:
        raw = raw_gradient(cost, quantity.of[(sp.S.One,) * len(quantity.dims)])
        written_out = entries * counter(raw).operations
    return SwellRow(quantity, entries, written_out, entries * one)


class Counter:
    """Counts the operations of expressions, each distinct one once for the indices that matter to it.

    All entries of a weight are alike, so the one at 1, 1 stands for them: an index is 1 or it isn't.

    >>> x = sp.IndexedBase("x")
    >>> k, n = sp.symbols("k n", integer=True, positive=True)
    >>> Counter({n: 5})(sp.Sum(x[k] ** 2, (k, 1, n)))
    Count(operations=9, constant=None)
    >>> Counter({n: 5})(sp.Sum(x[k] * sp.KroneckerDelta(1, k), (k, 1, n)))
    Count(operations=0, constant=None)
    """

    def __init__(self, sizes: Mapping[sp.Symbol, int]) -> None:
        self.sizes = sizes
        self.memo: dict[tuple[sp.Basic, tuple[tuple[str, int], ...]], Count] = {}
        self.free: dict[sp.Basic, frozenset[sp.Symbol]] = {}

    def __call__(self, node: sp.Basic, env: Env | None = None) -> Count:
        env = env or {}
        key = (node, tuple(sorted((s.name, env[s]) for s in self.letters(node) if s in env)))
        if key not in self.memo:
            self.memo[key] = self._count(node, env)
        return self.memo[key]

    def letters(self, node: sp.Basic) -> frozenset[sp.Symbol]:
        """The indices on which the count depends: those of Kronecker deltas."""
        if node not in self.free:
            inside = node.atoms(sp.Symbol) if isinstance(node, sp.KroneckerDelta) else ()
            parts = () if isinstance(node, sp.Indexed) else map(self.letters, node.args)
            self.free[node] = frozenset(inside).union(*parts)
        return self.free[node]

    @singledispatchmethod
    def _count(self, node: sp.Basic, env: Env) -> Count:
        raise NoRule(f"no rule counts {type(node).__name__}, which occurs as {str(node)[:60]}")

    @_count.register
    def _(self, node: sp.Number, env: Env) -> Count:
        return Count(0, int(node)) if node in (0, 1) else PLAIN

    @_count.register
    def _(self, node: sp.NumberSymbol, env: Env) -> Count:
        return PLAIN

    @_count.register
    def _(self, node: sp.Symbol, env: Env) -> Count:
        return PLAIN

    @_count.register
    def _(self, node: sp.Indexed, env: Env) -> Count:
        return PLAIN

    @_count.register
    def _(self, node: sp.KroneckerDelta, env: Env) -> Count:
        left, right = (env.get(arg, arg) for arg in node.args)
        if not all(isinstance(side, int | sp.Integer) for side in (left, right)):
            raise NoRule(f"no rule counts {node}: its indices are not numbers")
        return ONE if left == right else ZERO

    @_count.register
    def _(self, node: sp.Add, env: Env) -> Count:
        return _added([(self(term, env), 1) for term in node.args])

    @_count.register
    def _(self, node: sp.Sum, env: Env) -> Count:
        body, bound, upper = outermost(node)
        size = int(upper.xreplace({s: sp.Integer(n) for s, n in self.sizes.items()}))
        first, other = (self(body, {**env, bound: number}) for number in (1, 2))
        return _added([(first, 1), (other, size - 1)])

    @_count.register
    def _(self, node: sp.Mul, env: Env) -> Count:
        factors = [self(factor, env) for factor in node.args if factor != -1]
        if any(factor.constant == 0 for factor in factors):
            return ZERO
        counted = [factor for factor in factors if factor.constant != 1]
        if not counted:
            return PLAIN if -1 in node.args else ONE
        return Count(sum(factor.operations for factor in counted) + len(counted) - 1)

    @_count.register
    def _(self, node: sp.Pow, env: Env) -> Count:
        base, exponent = (self(arg, env) for arg in node.args)
        reciprocal = node.exp == -1
        return Count(base.operations + exponent.operations + (0 if reciprocal else 1))

    @_count.register
    def _(self, node: sp.Function, env: Env) -> Count:
        return Count(1 + sum(self(arg, env).operations for arg in node.args))

    @_count.register
    def _(self, node: sp.Piecewise, env: Env) -> Count:
        values = [self(value, env) for value, _ in node.args]
        if all(value.constant == 0 for value in values):
            return ZERO
        return Count(sum(value.operations for value in values) + self._conditions(node, env))

    def _conditions(self, node: sp.Piecewise, env: Env) -> int:
        relations = (when for _, when in node.args if isinstance(when, sp.core.relational.Relational))
        return sum(1 + sum(self(side, env).operations for side in when.args) for when in relations)


def _added(terms: list[tuple[Count, int]]) -> Count:
    """Terms, each with how often it occurs: those that are 0 are left out."""
    kept = [(count, times) for count, times in terms if count.constant != 0 and times > 0]
    number = sum(times for _, times in kept)
    if number == 0:
        return ZERO
    if number == 1:
        return kept[0][0]
    return Count(sum(count.operations * times for count, times in kept) + number - 1)
