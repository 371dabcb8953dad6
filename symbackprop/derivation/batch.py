"""From one example to a batch: every quantity of an example gets an index that counts examples.

The derivation in the text is for one example, as on paper. The total cost is a sum or a mean over
examples, perhaps with a penalty, so its gradients follow from those of one example by one more
application of the chain rule, which is derived and recorded here like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import sympy as sp
from sympy.core.parameters import distribute

from symbackprop.algebra.calculus import derivative
from symbackprop.algebra.equations import Derivation, Equation, Partial, Program, Quantity, Role, label_of
from symbackprop.algebra.indices import EXAMPLE, put_in, replaced, total
from symbackprop.algebra.log import Log
from symbackprop.algebra.rules import Context, collapse_kronecker, collect_terms, factor_out, pull_out_factors
from symbackprop.derivation.chain import Adjoint, backward_equations
from symbackprop.forward.model import EXAMPLES, Model

SHORTEN = (pull_out_factors, collect_terms, factor_out)


@dataclass(frozen=True)
class TotalGradient:
    """The gradient of the total cost with respect to one parameter (or to the inputs)."""

    quantity: Quantity
    indices: tuple[sp.Symbol, ...]
    derivation: Derivation

    @property
    def equation(self) -> Equation:
        """The gradient as an equation over the quantities of a batch."""
        return Equation(self.quantity, self.indices, self.derivation.result, label_of(self.quantity.name))


@dataclass(frozen=True)
class Batch:
    """The programs of a batch: ``forward`` ends in the total cost; ``deltas`` and ``gradients`` go back."""

    forward: Program
    deltas: tuple[Equation, ...]
    gradients: tuple[TotalGradient, ...]
    given: tuple[Quantity, ...] = ()

    @property
    def named(self) -> tuple[Quantity, ...]:
        """The derivatives that have a name: deltas of each example, and the gradients of the total cost."""
        deltas = (equation.quantity for equation in self.deltas)
        return (*deltas, *(gradient.quantity for gradient in self.gradients))


class Lift:
    """Adds the example index to everything that differs from example to example."""

    def __init__(self, program: Program, adjoints: Iterable[Adjoint] = ()) -> None:
        outside = (*program.inputs, *program.given)
        names = {quantity.name for quantity in outside}
        for equation in program:
            if equation.names & names:
                names.add(equation.quantity.name)
        self.quantities = {name: program.quantities[name] for name in names}
        for adjoint in adjoints:
            if adjoint.named is not None and adjoint.named.role is not Role.GRADIENT:
                self.quantities[adjoint.named.name] = adjoint.named

    def quantity(self, quantity: Quantity) -> Quantity:
        """The quantity with the examples as its first axis."""
        if quantity.name not in self.quantities:
            return quantity
        of = None if quantity.of is None else self.quantity(quantity.of)
        cost = None if quantity.cost is None else self.quantity(quantity.cost)
        return replace(quantity, dims=(EXAMPLES, *quantity.dims), of=of, cost=cost)

    def expr(self, expr: sp.Expr) -> sp.Expr:
        """The expression for example n."""
        replacements: dict[sp.Expr, sp.Expr] = {}
        for entry in expr.atoms(sp.Indexed):
            if str(entry.base) in self.quantities:
                replacements[entry] = sp.Indexed(entry.base, EXAMPLE, *entry.indices)
        for symbol in expr.atoms(sp.Symbol):
            found = self.quantities.get(symbol.name)
            if found is not None and not found.dims:
                replacements[symbol] = self.quantity(found)[EXAMPLE]
        return replaced(expr, replacements)

    def equation(self, equation: Equation) -> Equation:
        """The equation for example n."""
        if equation.quantity.name not in self.quantities:
            return equation
        return replace(
            equation,
            quantity=self.quantity(equation.quantity),
            indices=(EXAMPLE, *equation.indices),
            rhs=self.expr(equation.rhs),
        )


def batch(model: Model, adjoints: Sequence[Adjoint]) -> Batch:
    """The programs of a batch for a model and the derivatives of the cost of one example."""
    lift = Lift(model.program, adjoints)
    forward = Program(
        tuple(lift.quantity(quantity) for quantity in model.program.inputs),
        model.program.parameters,
        (*(lift.equation(equation) for equation in model.program), *model.total),
        model.total.outputs,
        tuple(lift.quantity(quantity) for quantity in model.program.given),
    )
    deltas = tuple(
        lift.equation(equation)
        for equation in backward_equations(adjoints)
        if equation.quantity.role is not Role.GRADIENT
    )
    order = {parameter.name: place for place, parameter in enumerate(model.program.parameters)}
    wanted = [a for a in adjoints if a.named is not None and a.named.role is Role.GRADIENT]
    wanted.sort(key=lambda adjoint: order.get(adjoint.of.name, len(order)))
    with distribute(False):
        gradients = tuple(_total_gradient(model, lift, adjoint) for adjoint in wanted)
    return Batch(forward, deltas, gradients, tuple(lift.quantity(q) for q in model.given.values()))


def _total_gradient(model: Model, lift: Lift, adjoint: Adjoint) -> TotalGradient:
    """C = 1/N sum_n C_n + R, differentiated with respect to one parameter."""
    of = lift.quantity(adjoint.of)
    cost = model.total.outputs[0]
    indices = (EXAMPLE, *adjoint.indices) if of.dims != adjoint.of.dims else adjoint.indices
    quantity = Quantity(f"grad_{of.name}", "grad", Role.GRADIENT, of.layer, of.dims, of, cost)
    return TotalGradient(quantity, indices, _derive_total(model, lift, adjoint, of[indices]))


def _derive_total(model: Model, lift: Lift, adjoint: Adjoint, entry: sp.Expr) -> Derivation:
    total = model.total.definitions["C"]
    cost, example_cost = total.quantity.symbol, model.total.inputs[0][EXAMPLE]
    of_one = Partial(example_cost, entry)
    log = Log(Partial(cost, entry))
    penalties = [e for e in model.total if e.quantity.role is Role.PENALTY and derivative(e.rhs, entry) != 0]
    terms = [_over_examples(Partial(cost, example_cost) * of_one, EXAMPLE not in entry.free_symbols)]
    terms += [Partial(cost, e.lhs) * Partial(e.lhs, entry) for e in penalties]
    log.record("chain_rule", sp.Add(*terms))
    dims = lift.quantity(adjoint.of).dims
    ranges = Context({EXAMPLE: EXAMPLES, **dict(zip(entry.indices, dims, strict=True))})
    local = _local_derivatives(total, example_cost, penalties, entry, ranges)
    log.record("differentiate", log.expr.xreplace(local))
    log.record("put_in", put_in(log.expr, {of_one: lift.expr(_result(adjoint))}))
    log.apply(SHORTEN, Context())
    return Derivation(log.goal, tuple(log.steps))


def _over_examples(term: sp.Expr, summed: bool) -> sp.Expr:
    return total(term, (EXAMPLE, 1, EXAMPLES)) if summed else term


def _result(adjoint: Adjoint) -> sp.Expr:
    assert adjoint.derivation is not None
    return adjoint.derivation.result


def _local_derivatives(
    total: Equation, example_cost: sp.Expr, penalties: list[Equation], entry: sp.Expr, ranges: Context
) -> dict[sp.Expr, sp.Expr]:
    cost = total.quantity.symbol
    one = collapse_kronecker(derivative(total.rhs, example_cost), ranges)
    found = {Partial(cost, example_cost): one}
    for equation in penalties:
        found[Partial(cost, equation.lhs)] = derivative(total.rhs, equation.lhs)
        slope = collapse_kronecker(derivative(equation.rhs, entry), ranges)
        found[Partial(equation.lhs, entry)] = slope
    return found
