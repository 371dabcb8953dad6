"""The chain route: the chain rule over the definitions, from the cost back, linear in depth.

For every quantity the derivative of the cost is a sum over the equations that use it. Each such
:class:`~symbackprop.algebra.equations.Derivation` starts from ``∂C/∂q`` and ends in delta form, one recorded
rewrite at a time. Equations that differ in names only are derived once and renamed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import sympy as sp
from sympy.core.parameters import distribute

from symbackprop.algebra import rules
from symbackprop.algebra.calculus import derivative
from symbackprop.algebra.equations import (
    PARAMETER_ROLES,
    Derivation,
    Equation,
    ExplicitPartial,
    Fact,
    Partial,
    Program,
    Quantity,
    Role,
    label_of,
)
from symbackprop.algebra.indices import at_indices, fresh_index, letters, put_in, total
from symbackprop.algebra.kinds import Kind, Kinds, original
from symbackprop.algebra.log import Log
from symbackprop.algebra.rules import Context, Rule
from symbackprop.errors import NoRule
from symbackprop.tables.mistakes import require

DELTA_FORM: tuple[Rule, ...] = (
    rules.fold_definition,
    rules.factor_out,
    rules.collapse_kronecker,
    rules.pull_out_factors,
)
"""Brings an application of the chain rule into delta form."""

SIMPLIFY: tuple[Rule, ...] = (
    rules.derivative_in_terms_of_output,
    rules.multiply_out,
    rules.pull_out_factors,
    rules.use_facts,
    rules.collect_terms,
    rules.factor_out,
    rules.take_in_sign,
)
"""Shortens what the substitution of a derivative leaves."""


@dataclass(frozen=True)
class Adjoint:
    """The derivative of the cost with respect to one quantity.

    ``named`` is the quantity that stands for it (a delta, say); where that is ``None`` its right
    side is put in wherever it is used. ``derivation`` is how it was found, ``None`` if it was given.
    """

    of: Quantity
    indices: tuple[sp.Symbol, ...]
    named: Quantity | None
    derivation: Derivation | None

    def at(self, indices: Sequence[sp.Expr]) -> sp.Expr:
        """What stands for the derivative at these indices."""
        if self.named is not None:
            return self.named[tuple(indices)]
        assert self.derivation is not None
        result = self.derivation.result
        return result if tuple(indices) == self.indices else at_indices(result, self.indices, indices)

    @property
    def equation(self) -> Equation:
        """The definition of the named derivative."""
        assert self.named is not None and self.derivation is not None
        return Equation(self.named, self.indices, self.derivation.result, label_of(self.named.name))


@dataclass
class Reverse:
    """The state of one sweep from the cost back."""

    program: Program
    facts: tuple[Fact, ...] = ()
    adjoints: dict[str, Adjoint] = field(default_factory=dict)
    kinds: Kinds = field(default_factory=Kinds)
    kind_of: dict[str, Kind] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.taken = set(self.program.quantities)

    @property
    def cost(self) -> Quantity:
        """The quantity that is differentiated."""
        return self.program.outputs[0]


def reverse(
    program: Program,
    facts: Iterable[Fact] = (),
    wrt: Sequence[Quantity] | None = None,
    given: Mapping[str, Quantity] | None = None,
) -> tuple[Adjoint, ...]:
    """The derivative of a program's one output, from the cost back to ``wrt``.

    Args:
        program: forward equations; the last of ``outputs`` is a single number.
        facts: declared equalities that a simplification may use.
        wrt: what to differentiate with respect to; the program's parameters by default.
        given: names of quantities whose derivative is known by another name already (the delta of
            the next layer in a general-layer derivation).

    Returns:
        One :class:`Adjoint` for each quantity between ``wrt`` and the cost, in backward order, then
        one for each of ``wrt``.

    Raises:
        NoRule: for an operation that no rule covers, and for a parameter that the cost doesn't use.
    """
    require(
        program, Program, "program", "this is a Program of equations, such as forward_model(network).program"
    )
    wrt = program.parameters if wrt is None else tuple(wrt)
    if len(program.outputs) != 1 or program.outputs[0].dims:
        raise NoRule("a derivative is taken of one number, and the program's output is not one number")
    sweep = Reverse(program, tuple(facts))
    for name, delta in (given or {}).items():
        indices = own_indices(delta)
        sweep.adjoints[name] = Adjoint(program.quantities[name], indices, delta, None)
    needed = _between(program, wrt, {sweep.cost.name, *sweep.adjoints})
    with distribute(False):
        for equation in reversed(program.equations):
            if equation.quantity.name in needed and equation.quantity.name not in sweep.adjoints:
                _differentiate(sweep, equation.quantity, equation.indices)
        for quantity in wrt:
            if quantity.name not in sweep.adjoints:
                _differentiate(sweep, quantity, own_indices(quantity))
    return tuple(sweep.adjoints.values())


def backward_equations(adjoints: Iterable[Adjoint]) -> tuple[Equation, ...]:
    """The delta form: the equations of the named derivatives, in the order they are computed."""
    with distribute(False):
        return tuple(a.equation for a in adjoints if a.named is not None and a.derivation is not None)


def _between(program: Program, wrt: Sequence[Quantity], ends: set[str]) -> set[str]:
    """The names of the quantities on a path from ``wrt`` to one of ``ends``, the ends themselves left out."""
    reached = {quantity.name for quantity in wrt}
    unused = [q.name for q in wrt if not program.consumers.get(q.name)]
    if unused:
        raise NoRule(f"{', '.join(unused)} is not used by the program: its gradient would be 0; leave it out")
    for equation in program.equations:
        if equation.names & reached:
            reached.add(equation.quantity.name)
    leading = set(ends)
    for equation in reversed(program.equations):
        if equation.quantity.name in leading:
            leading |= equation.names
    return (reached & leading) - ends


def own_indices(quantity: Quantity) -> tuple[sp.Symbol, ...]:
    """Letters for the axes of a quantity: j, k, i, …"""
    return tuple(letter for letter, _ in zip(letters(), quantity.dims, strict=False))


def _differentiate(sweep: Reverse, quantity: Quantity, indices: tuple[sp.Symbol, ...]) -> None:
    """Add the adjoint of one quantity to the sweep; by renaming, where its like has been derived."""
    consumers = [e for e in sweep.program.consumers[quantity.name] if _matters(sweep, e)]
    if not consumers:
        raise NoRule(f"the cost does not depend on {quantity.name}: its gradient would be 0")
    task = _Task(quantity, indices, consumers, sweep)
    derivation, sweep.kind_of[quantity.name] = sweep.kinds.derive(task.key(), task.derive)
    named = name_derivative(sweep.program, quantity, original(derivation).result, sweep.taken)
    sweep.adjoints[quantity.name] = Adjoint(quantity, indices, named, derivation)


def _matters(sweep: Reverse, equation: Equation) -> bool:
    return equation.quantity == sweep.cost or equation.quantity.name in sweep.adjoints


def name_derivative(program: Program, of: Quantity, result: sp.Expr, taken: set[str]) -> Quantity | None:
    """The quantity that stands for the derivative by ``of``, or nothing if its right side is put in.

    A pre-activation's is a delta and a parameter's a gradient; any other gets a name where its right
    side, put in, would have sums computed twice. A name that is taken already gets the quantity's own
    added, and is taken from there on.
    """
    role = _derivative_role(program, of, result)
    if role is None:
        return None
    name, letter = {
        Role.DELTA: (of.name.replace(of.letter, "delta", 1), "delta"),
        Role.GRADIENT: (f"d{of.name}", "d"),
        Role.ADJOINT: (f"adjoint_{of.name}", "adjoint"),
    }[role]
    while name in taken:
        name = f"{name}_{of.name}"
    taken.add(name)
    return Quantity(name, letter, role, of.layer, of.dims, of, program.outputs[0])


def _derivative_role(program: Program, of: Quantity, result: sp.Expr) -> Role | None:
    if of.role is Role.PRE_ACTIVATION:
        return Role.DELTA
    if of.role in PARAMETER_ROLES | {Role.INPUT, Role.TARGET}:
        return Role.GRADIENT
    return None if _worth_inlining(program, of, result) else Role.ADJOINT


def _worth_inlining(program: Program, quantity: Quantity, result: sp.Expr) -> bool:
    """Whether putting the right side in costs no sum twice: it has none, or it is used once."""
    if not result.has(sp.Sum):
        return True
    definition = program.definitions.get(quantity.name)
    if definition is None or definition.quantity.role is not Role.ACTIVATION:
        return False
    return not definition.rhs.has(sp.Sum) and len(program.consumers[quantity.name]) == 1


@dataclass(frozen=True)
class _Task:
    """What one derivation starts from: a quantity, letters for its axes, and the equations that use it."""

    quantity: Quantity
    indices: tuple[sp.Symbol, ...]
    consumers: list[Equation]
    sweep: Reverse

    @cached_property
    def entry(self) -> sp.Expr:
        return self.quantity[self.indices]

    @cached_property
    def ranges(self) -> dict[sp.Expr, sp.Expr]:
        return dict(zip(self.indices, self.quantity.dims, strict=True))

    @property
    def cost(self) -> sp.Expr:
        return self.sweep.cost.symbol

    def key(self) -> list[sp.Basic | Kind]:
        """Everything that the derivation depends on; what was derived before, by its kind."""
        parts: list[sp.Basic | Kind] = [self.cost, *_head(self.quantity, self.indices)]
        for equation in self.consumers:
            parts += [*_head(equation.quantity, equation.indices), equation.rhs]
            if equation.quantity != self.sweep.cost:
                parts.append(self.known(equation.quantity.name))
        return [*parts, *(fact.left for fact in self.sweep.facts)]

    def known(self, name: str) -> sp.Basic | Kind:
        """What stands for a derivative that was found before: its name, or else its kind."""
        named = self.sweep.adjoints[name].named
        return self.sweep.kind_of[name] if named is None else named.symbol

    def derive(self) -> Derivation:
        log = Log(Partial(self.cost, self.entry))
        terms = [self.term(equation) for equation in self.consumers]
        log.record("chain_rule", sp.Add(*(term.chain for term in terms)))
        log.record("name_delta", put_in(log.expr, self.named_partials(terms)))
        local = {p: v for term in terms for p, v in term.local.items()}
        log.record("differentiate", put_in(log.expr, local))
        context = Context(self.ranges, tuple(self.consumers), self.sweep.facts)
        log.apply(DELTA_FORM, context)
        log.record("put_in", self.with_adjoints(log.expr))
        log.apply((*DELTA_FORM, *SIMPLIFY), context)
        return Derivation(log.goal, tuple(log.steps))

    def term(self, equation: Equation) -> _Term:
        """One equation's share: sum_m ∂C/∂e_m ∂e_m/∂q."""
        if equation.quantity == self.sweep.cost:
            kind = Partial if len(self.consumers) == 1 else ExplicitPartial
            direct = kind(self.cost, self.entry)
            return _Term(equation, (), direct, {direct: derivative(equation.rhs, self.entry)})
        indices = self.fresh(equation)
        entry = equation.quantity[indices]
        partial = Partial(entry, self.entry)
        chain = Partial(self.cost, entry) * partial
        for letter, size in zip(reversed(indices), reversed(equation.quantity.dims), strict=True):
            chain = total(chain, (letter, 1, size))
        ranges = {**self.ranges, **dict(zip(indices, equation.quantity.dims, strict=True))}
        local = derivative(equation.at(indices), self.entry)
        local = rules.collapse_kronecker(local, Context(ranges))
        return _Term(equation, indices, chain, {partial: local})

    def fresh(self, equation: Equation) -> tuple[sp.Symbol, ...]:
        taken: list[sp.Expr] = list(self.ranges)
        for _ in equation.indices:
            taken.append(fresh_index(*taken))
        return tuple(taken[len(self.ranges) :])

    def named_partials(self, terms: list[_Term]) -> dict[sp.Expr, sp.Expr]:
        """Each ∂C/∂e_m whose quantity has a name, with that name."""
        found = {}
        for term in terms:
            adjoint = self.sweep.adjoints.get(term.equation.quantity.name)
            if adjoint is not None and adjoint.named is not None:
                entry = term.equation.quantity[term.indices]
                found[Partial(self.cost, entry)] = adjoint.at(term.indices)
        return found

    def with_adjoints(self, expr: sp.Expr) -> sp.Expr:
        """Each remaining ∂C/∂e_m, with what was derived for it."""
        found = {}
        for partial in expr.atoms(Partial):
            name = str(partial.wrt.base) if isinstance(partial.wrt, sp.Indexed) else str(partial.wrt)
            indices = partial.wrt.indices if isinstance(partial.wrt, sp.Indexed) else ()
            found[partial] = self.sweep.adjoints[name].at(indices)
        return put_in(expr, found)


def _head(quantity: Quantity, indices: tuple[sp.Symbol, ...]) -> tuple[sp.Basic, ...]:
    return (quantity.symbol, *indices, *quantity.dims)


@dataclass(frozen=True)
class _Term:
    equation: Equation
    indices: tuple[sp.Symbol, ...]
    chain: sp.Expr
    local: dict[sp.Expr, sp.Expr]


__all__ = ["Adjoint", "backward_equations", "reverse"]
