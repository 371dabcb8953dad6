"""Programs that say the same as a model's with other quantities on the way, for texts that argue with these.

One text writes the cost of a single output, another leaves the activations out and has each pre-activation in
terms of those of the layer before. Equalities of such a text are checked in such a program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import sympy as sp
from sympy.core.parameters import distribute

from symbackprop.algebra.equations import Equation, Program, Quantity, Role
from symbackprop.algebra.indices import outermost, put_in, split_product
from symbackprop.checking.check import Laboratory
from symbackprop.errors import NoRule
from symbackprop.forward.model import EXAMPLES, Model

BY_OUTPUT = "cost by output"
WITHOUT_ACTIVATIONS, WITHOUT_PRE_ACTIVATIONS = "without activations", "without pre-activations"
CHOSEN, CHOSEN_BATCH = "chosen entry", "chosen entry of a batch"
SINGLE, SINGLE_WITHOUT = "one unit in each layer", "one unit in each layer, without pre-activations"
"""The kinds of equalities that are checked in a program, or at sizes, of their own."""

_SMALLEST = 5


def by_output(program: Program) -> Program:
    """The cost of one example as the sum of a cost of each output.

    >>> from symbackprop.forward.model import forward_model
    >>> from symbackprop.spec.loading import from_widths
    >>> for equation in by_output(forward_model(from_widths("2-1")).program).equations[-2:]:
    ...     print(equation)
    C_o[j] = (a1[j] - y[j])**2
    C_x = Sum(C_o[j], (j, 1, n_1))

    Raises:
        NoRule: where the cost is no sum over the outputs.
    """
    *layers, cost = program.equations
    sums = [factor for factor in split_product(cost.rhs) if isinstance(factor, sp.Sum)]
    if len(sums) != 1:
        raise NoRule("the cost is no sum over the outputs, so there is no cost of one output")
    body, index, size = outermost(sums[0])
    one = Quantity("C_o", "C", Role.OUTPUT_COST, None, (size,))
    each = Equation(
        one, (index,), body * sp.Mul(*(f for f in split_product(cost.rhs) if f != sums[0])), "output-cost"
    )
    total = replace(cost, rhs=sp.Sum(one[index], (index, 1, size)))
    return replace(program, equations=(*layers, each, total))


def without(program: Program, role: Role) -> Program:
    """The same program with every quantity of a role put into the equations that use it.

    >>> from symbackprop.forward.model import forward_model
    >>> from symbackprop.spec.loading import from_widths
    >>> print(without(forward_model(from_widths("2-1-1")).program, Role.ACTIVATION).equations[1])
    z2[j] = b2[j] + Sum(sigma(z1[k])*W2[j, k], (k, 1, n_1))
    """
    kept: list[Equation] = []
    left_out: dict[str, Equation] = {}
    for equation in program.equations:
        equation = replace(equation, rhs=_put_in(equation.rhs, left_out))
        if equation.quantity.role is role:
            left_out[equation.quantity.name] = equation
        else:
            kept.append(equation)
    return replace(program, equations=tuple(kept))


def _put_in(expr: sp.Expr, definitions: Mapping[str, Equation]) -> sp.Expr:
    used = [entry for entry in expr.atoms(sp.Indexed) if str(entry.base) in definitions]
    with distribute(False):
        return put_in(expr, {entry: definitions[str(entry.base)].at(entry.indices) for entry in used})


def with_sizes(model: Model, one: bool = False) -> dict[sp.Symbol, int]:
    """Numbers for the sizes: those of the spec, others large enough for a chosen entry, or all of them 1."""
    declared = dict(model.sizes)
    symbols = sorted({dim for q in model.program.quantities.values() for dim in q.dims}, key=str)
    found = {}
    for place, symbol in enumerate(symbols):
        size = declared.get(symbol, symbol)
        found[symbol] = int(size) if size.is_Integer else _SMALLEST + place % 3
    return dict.fromkeys(found, 1) if one else found


def laboratories(
    model: Model, named: tuple[Quantity, ...], batch: Program, lifted: tuple[Quantity, ...]
) -> Mapping[str, Callable[[], Laboratory]]:
    """How the laboratory of each kind is made; nothing is drawn before it is asked for."""
    program, facts = model.program, model.facts
    sizes, ones = {EXAMPLES: 2, **with_sizes(model)}, with_sizes(model, one=True)
    return {
        BY_OUTPUT: lambda: Laboratory(by_output(program), facts, named),
        WITHOUT_ACTIVATIONS: lambda: Laboratory(without(program, Role.ACTIVATION), facts, named),
        WITHOUT_PRE_ACTIVATIONS: lambda: Laboratory(without(program, Role.PRE_ACTIVATION), facts),
        CHOSEN: lambda: Laboratory(program, facts, named, sizes=with_sizes(model)),
        CHOSEN_BATCH: lambda: Laboratory(batch, facts, lifted, sizes=sizes),
        SINGLE: lambda: Laboratory(program, facts, named, sizes=ones),
        SINGLE_WITHOUT: lambda: Laboratory(without(program, Role.PRE_ACTIVATION), facts, sizes=ones),
    }
