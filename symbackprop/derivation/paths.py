"""The chain rule along one path of definitions, written out from the cost to an entry.

The chain route of :mod:`symbackprop.derivation.chain` gives a name to every derivative on the way. A text
that follows one weight to the cost writes the whole product instead: the derivative of the cost by an
activation, of that by its pre-activation, of that by the weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import sympy as sp
from sympy.core.parameters import distribute

from symbackprop.algebra.calculus import derivative
from symbackprop.algebra.equations import Equation, Partial, Program, Quantity, Role
from symbackprop.algebra.indices import fresh_index, split_product
from symbackprop.algebra.rules import Context, collapse_kronecker, pull_out_factors, take_in_sign
from symbackprop.errors import NoRule

Index = tuple[sp.Symbol, sp.Expr]


@dataclass(frozen=True)
class Link:
    """One factor: a derivative by its name, and what it comes to."""

    partial: sp.Expr
    value: sp.Expr


@dataclass(frozen=True)
class Path:
    """The factors from the cost to an entry, and the indices that are summed over on the way."""

    goal: sp.Expr
    links: tuple[Link, ...]
    sums: tuple[Index, ...]
    free: tuple[Index, ...]

    @property
    def product(self) -> sp.Expr:
        """The factors by their names."""
        return self._summed(sp.Mul(*(link.partial for link in self.links)))

    @property
    def value(self) -> sp.Expr:
        """The factors with what they come to."""
        with distribute(False):
            value = self._summed(sp.Mul(*(link.value for link in self.links)))
            return pull_out_factors(value, Context())

    def _summed(self, body: sp.Expr) -> sp.Expr:
        for index, size in reversed(self.sums):
            body = sp.Sum(body, (index, 1, size))
        return body

    def at(self, numbers: Sequence[int]) -> Path:
        """The same path for one entry."""
        if not numbers:
            return self
        new = {i: sp.Integer(n) for (i, _), n in zip(self.free, numbers, strict=True)}
        with distribute(False):
            links = tuple(Link(link.partial.xreplace(new), link.value.xreplace(new)) for link in self.links)
        return replace(self, goal=self.goal.xreplace(new), links=links, free=())


def path(
    program: Program,
    of: Quantity,
    through: Sequence[Quantity],
    named: Mapping[str, Quantity] | None = None,
    cost: sp.Expr | None = None,
) -> Path:
    """The path from the cost through some quantities, the nearest to the cost first, to any entry of another.

    ``named`` has the derivatives with a name, by the name of what they are derivatives of.

    Raises:
        NoRule: where a quantity isn't used by the one before it.

    >>> from symbackprop.forward.model import forward_model
    >>> from symbackprop.spec.loading import from_widths
    >>> program = forward_model(from_widths("2-1")).program
    >>> q = program.quantities
    >>> found = path(program, q["W1"], [q["a1"], q["z1"]])
    >>> print(found.product)
    Partial(C_x, a1[j])*Partial(a1[j], z1[j])*Partial(z1[j], W1[j, k])
    >>> [str(link.value) for link in found.links]
    ['2*(a1[j] - y[j])', "sigma'(z1[j])", 'x[k]']
    """
    with distribute(False):
        return _path(program, of, through, named or {}, cost)


def _path(
    program: Program,
    of: Quantity,
    through: Sequence[Quantity],
    named: Mapping[str, Quantity],
    cost: sp.Expr | None,
) -> Path:
    letters = tuple(sp.symbols("j k", integer=True, positive=True))[: len(of.dims)]
    free = tuple(zip(letters, of.dims, strict=True))
    entry, links, sums = of[letters], list[Link](), list[Index]()
    for quantity in reversed(through):
        link, entry, summed = _link(program.definitions[quantity.name], entry, (*free, *sums))
        links.insert(0, link)
        sums += summed
    cost = program.outputs[0].symbol if cost is None else cost
    first = through[0] if through else of
    links.insert(0, _from_cost(program, first, entry, (*free, *sums), named, cost))
    return Path(Partial(cost, of[letters]), tuple(links), tuple(sums), free)


def _link(
    equation: Equation, entry: sp.Expr, known: Sequence[Index]
) -> tuple[Link, sp.Expr, tuple[Index, ...]]:
    """The derivative of one quantity by an entry of another; indices that must be equal are made so."""
    taken: list[sp.Expr] = [index for index, _ in known]
    for _ in equation.indices:
        taken.append(fresh_index(*taken))
    indices = tuple(taken[len(known) :])
    ranges = {**dict(known), **dict(zip(indices, equation.quantity.dims, strict=True))}
    local = collapse_kronecker(derivative(equation.at(indices), entry), Context(ranges))
    if local == 0:
        raise NoRule(f"{equation.quantity.name} isn't computed from {entry}: there is no such path")
    equal = _equal_indices(local, indices)
    upper = equation.quantity[indices].xreplace(equal)
    sums = tuple((i, d) for i, d in zip(indices, equation.quantity.dims, strict=True) if i not in equal)
    return Link(Partial(upper, entry), local.xreplace(equal)), upper, sums


def _equal_indices(local: sp.Expr, indices: Sequence[sp.Expr]) -> dict[sp.Basic, sp.Expr]:
    """The indices that a Kronecker delta before everything else ties to others."""
    found: dict[sp.Basic, sp.Expr] = {}
    for factor in split_product(local):
        if isinstance(factor, sp.KroneckerDelta):
            own = [index for index in factor.args if index in indices]
            other = [index for index in factor.args if index not in indices]
            if len(own) == len(other) == 1:
                found[own[0]] = other[0]
    return found


def _from_cost(
    program: Program,
    quantity: Quantity,
    entry: sp.Expr,
    known: Sequence[Index],
    named: Mapping[str, Quantity],
    cost: sp.Expr,
) -> Link:
    """The derivative of the cost by an entry: worked out where the cost uses it, or else by its name."""
    partial = Partial(cost, entry)
    equation = next(e for e in program if e.quantity.role is Role.EXAMPLE_COST)
    if quantity.name in equation.names and program.consumers[quantity.name] == (equation,):
        found = collapse_kronecker(derivative(equation.rhs, entry), Context(dict(known)))
        return Link(partial, take_in_sign(pull_out_factors(found, Context()), Context()))
    if quantity.name in named:
        return Link(partial, named[quantity.name][entry.indices])
    return Link(partial, partial)
