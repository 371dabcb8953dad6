"""The composite route: differentiate the cost as written out, then rewrite until the deltas appear.

For each parameter the derivation starts from the raw derivative of the explicit composite. Its
definitions are folded back, the sums are interchanged layer by layer, and what then multiplies the
derivative of a pre-activation is that layer's delta. The equations that this gives are those of the
chain route, found another way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import sympy as sp
from sympy.core.parameters import distribute

from symbackprop.algebra.equations import Derivation, Equation, Fact, Partial, Program, Quantity, Role, Step
from symbackprop.algebra.indices import index_symbol, put_in
from symbackprop.algebra.log import Log
from symbackprop.algebra.rules import Context, collapse_kronecker, factor_out, pull_out_factors
from symbackprop.derivation.chain import DELTA_FORM, SIMPLIFY, Adjoint, name_derivative, own_indices
from symbackprop.derivation.delta_naming import (
    Part,
    cofactor,
    fold_composite,
    interchange_sums,
    mark,
    named_derivatives,
    sum_over,
    unmark,
)
from symbackprop.errors import NoRule
from symbackprop.forward.compose import Composition, distinct, quantity_name, raw_gradient

INDEX = index_symbol("j")
"""The letter at which a delta is defined."""


def composite_route(program: Program, facts: Iterable[Fact] = ()) -> tuple[Adjoint, ...]:
    """The derivative of a program's cost by its parameters, from the explicit composite.

    Args:
        program: the forward equations of a layered network, each quantity used by one equation.
        facts: declared equalities that a simplification may use.

    Returns:
        An :class:`~symbackprop.derivation.chain.Adjoint` for each delta from the cost back, then one for each
        parameter, the last layer's first.

    Raises:
        NoRule: for a program that isn't layered; the chain route takes any.
    """
    _refuse_unless_layered(program)
    with distribute(False):
        route = _Route(program, tuple(facts))
        for parameter in _last_layer_first(program):
            route.differentiate(parameter)
    gradients = {parameter.name for parameter in program.parameters}
    return tuple(sorted(route.adjoints.values(), key=lambda adjoint: adjoint.of.name in gradients))


class _Route:
    """The deltas and gradients found so far, in the order in which they were named."""

    def __init__(self, program: Program, facts: tuple[Fact, ...]) -> None:
        self.program, self.facts = program, facts
        self.cost = program.outputs[0]
        self.composition = Composition(program)
        self.composite = self.composition.written_out(self.cost.symbol)
        self.definitions = self.composition.folding()
        self.adjoints: dict[str, Adjoint] = {}
        self.taken = set(program.quantities)
        self.cofactors: dict[str, tuple[sp.Expr, sp.Expr]] = {}

    def differentiate(self, parameter: Quantity) -> None:
        """Add the gradient of one parameter, and the deltas that are named on the way."""
        indices = own_indices(parameter)
        entry = parameter[indices]
        log = Log(Partial(self.cost.symbol, entry))
        _record(log, "differentiate_composite", raw_gradient(self.composite, entry))
        _record(log, "fold_definition", fold_composite(log.expr, self.definitions))
        _record(log, "factor_out", factor_out(log.expr, Context()))
        written_out = log.expr
        for number, quantity in enumerate(self.path(parameter)):
            rule = "differentiate" if number else "read_derivative"
            written_out = self.collect(log, self.part(quantity, entry), written_out, rule)
        _record(log, "differentiate", written_out)
        context = Context(dict(zip(indices, parameter.dims, strict=True)))
        log.apply((collapse_kronecker, pull_out_factors), context)
        named = name_derivative(self.program, parameter, log.expr, self.taken)
        self.adjoints[parameter.name] = Adjoint(
            parameter, indices, named, Derivation(log.goal, tuple(log.steps))
        )

    def path(self, parameter: Quantity) -> Iterator[Quantity]:
        """From the cost back to the parameter's own layer: every z, and each a that needs a look."""
        (own,) = self.program.consumers[parameter.name]
        for equation in reversed(self.program.equations[:-1]):
            if equation.quantity.role is Role.PRE_ACTIVATION or self.is_part(equation):
                yield equation.quantity
            if equation == own:
                return

    def is_part(self, equation: Equation) -> bool:
        """Whether an activation is a part of its own: a coupled one, or one that the cost has cases in."""
        (user,) = self.program.consumers[equation.quantity.name]
        return bool(equation.rhs.has(sp.Sum) or user.rhs.has(sp.Piecewise))

    def part(self, quantity: Quantity, entry: sp.Expr) -> Part:
        """The quantity with its folded derivatives by an entry, where the composite uses it."""
        composites = self.composition.composites
        used = (e for e in composites if isinstance(e, sp.Indexed) and e.base == quantity.symbol)
        return Part(quantity, entry, {e: self.folded_gradient(composites[e], entry) for e in used})

    def folded_gradient(self, composite: sp.Expr, entry: sp.Expr) -> sp.Expr:
        """A derivative of a composite as it stands in that of the cost, once folded."""
        folded = fold_composite(raw_gradient(composite, entry), self.definitions)
        return factor_out(folded, Context())

    def collect(self, log: Log, part: Part, written_out: sp.Expr, rule: str) -> sp.Expr:
        """Bring the sum over a part outside and name what multiplies it; what that is, written out.

        The log has the derivatives of the part by their names: each is as long as the layers below it.
        """
        marked = mark(written_out, part)
        _record(log, rule, named_derivatives(marked, part))
        factor = self.cofactor(marked, part)
        if part.quantity.name not in self.adjoints:
            self.adjoints[part.quantity.name] = self.adjoint(part.quantity, factor)
        named = self.adjoints[part.quantity.name].named
        entry = part.quantity[part.index]
        standing = Partial(self.cost.symbol, entry) if named is None else named[part.index]
        collected = interchange_sums(part, factor, INDEX)
        pulled_out = pull_out_factors(marked, Context()) == collected
        gathered = "pull_out_factors" if pulled_out else "interchange_sums"
        _record(log, gathered, named_derivatives(collected, part))
        result = sum_over(part, standing)
        _record(log, "cofactor" if named is None else "name_delta", named_derivatives(result, part))
        return unmark(result, part)

    def cofactor(self, marked: sp.Expr, part: Part) -> sp.Expr:
        """What multiplies a part, at index j; the same for every parameter below it."""
        known = self.cofactors.get(part.quantity.name)
        if known is None or known[0] != marked:
            known = self.cofactors[part.quantity.name] = marked, cofactor(marked, part, INDEX)
        return known[1]

    def adjoint(self, quantity: Quantity, factor: sp.Expr) -> Adjoint:
        """The derivative by one quantity, its cofactor brought into delta form."""
        users = self.program.consumers[quantity.name]
        context = Context({INDEX: quantity.dims[0]}, users, self.facts)
        log = Log(Partial(self.cost.symbol, quantity[INDEX]))
        log.record("cofactor", factor)
        log.apply(DELTA_FORM, context)
        log.record("put_in", self.with_adjoints(log.expr))
        log.apply((*DELTA_FORM, *SIMPLIFY), context)
        named = name_derivative(self.program, quantity, log.expr, self.taken)
        return Adjoint(quantity, (INDEX,), named, Derivation(log.goal, tuple(log.steps)))

    def with_adjoints(self, expr: sp.Expr) -> sp.Expr:
        """Each derivative by an activation that has no name, with what was derived for it."""
        partials = [node for node in distinct(expr) if isinstance(node, Partial)]
        return put_in(expr, {p: self.adjoints[quantity_name(p.wrt)].at(p.wrt.indices) for p in partials})


def _record(log: Log, rule: str, after: sp.Expr) -> None:
    """Add a step whose letters are kept as they are: those of the composite, one for each layer."""
    if after != log.expr:
        log.steps.append(Step(rule, log.expr, after))
        log.expr = after


def _last_layer_first(program: Program) -> Iterator[Quantity]:
    """The parameters in the order in which a backward pass meets them."""
    for equation in reversed(program.equations):
        for parameter in program.parameters:
            if equation in program.consumers[parameter.name]:
                yield parameter


def _refuse_unless_layered(program: Program) -> None:
    """Layered: each quantity has one user, and every equation but the cost is z or a of a layer."""
    *layers, _ = program.equations
    for equation in layers:
        quantity = equation.quantity
        if quantity.role not in (Role.PRE_ACTIVATION, Role.ACTIVATION) or len(quantity.dims) != 1:
            raise NoRule(f"{quantity.name} is no layer's z or a: use the chain route for this program")
        if not equation.rhs.has(*equation.indices):
            raise NoRule(f"the entries of {quantity.name} are all the same: use the chain route")
    for quantity in (*program.parameters, *(equation.quantity for equation in layers)):
        users = len(program.consumers[quantity.name])
        if users != 1:
            raise NoRule(
                f"{quantity.name} is used by {users} equations, and in a layered program by just one: "
                "use the chain route"
            )
