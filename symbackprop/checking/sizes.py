"""Small sizes for the symbols of a program: as few as tell a wrong index or bound from the right one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import sympy as sp

from symbackprop.algebra.equations import (
    Equation,
    Program,
)

_MOST_LINKS = 5


def small_sizes(program: Program, turn: int = 0, few: Collection[sp.Symbol] = ()) -> dict[sp.Symbol, int]:
    """A small number for each size: all distinct where they are few, else distinct from the near ones.

    Two sizes are near each other if one equation uses both or a third links them, so for a layer and
    its two neighbours a transposed weight or a sum with another's bound gives another number, or an
    index out of range. A size that links most others, or is in ``few``, is 2 in one turn and 3 in the
    next. ``turn`` 1 hands the small numbers out from the other end.

    >>> from symbackprop.forward.model import forward_model
    >>> from symbackprop.spec.loading import from_widths
    >>> small_sizes(forward_model(from_widths("8-8-8")).program)
    {n_2: 2, n_1: 3, n_0: 4}
    """
    groups = [symbols for symbols in _sizes_by_equation(program) if symbols]
    order = list(dict.fromkeys(symbol for symbols in groups for symbol in symbols))
    order = order if turn % 2 else order[::-1]
    linked: dict[sp.Symbol, set[sp.Symbol]] = {symbol: set() for symbol in order}
    for symbols in groups:
        for symbol in symbols:
            linked[symbol].update(symbols)
    hubs = [symbol for symbol in order if symbol in few or len(linked[symbol]) > _MOST_LINKS]
    sizes: dict[sp.Symbol, int] = {hub: 2 + (turn + place) % 2 for place, hub in enumerate(hubs)}
    linked = {symbol: others - set(hubs) for symbol, others in linked.items() if symbol not in hubs}
    for symbol in linked:
        near = set().union(*(linked[other] for other in linked[symbol])) if len(linked) > 4 else set(linked)
        used = {sizes[other] for other in near if other in sizes}
        sizes[symbol] = next(size for size in range(2, len(order) + 2) if size not in used)
    return sizes


def _sizes_by_equation(program: Program) -> Iterator[tuple[sp.Symbol, ...]]:
    """The size symbols of each equation, then those of quantities that no equation defines."""
    for equation in program.equations:
        sums = equation.rhs.atoms(sp.Sum)
        letters = {*equation.indices, *(limits[0] for total in sums for limits in total.limits)}
        bounds = [total.limits[0][2] for total in sums if total.limits[0][2] not in letters]
        used = [program.quantities[n] for n in sorted(equation.names) if n in program.quantities]
        yield _symbols(
            (*bounds, *(d for q in used for d in q.dims), *equation.quantity.dims, *_open(equation))
        )
    for quantity in (*program.inputs, *program.parameters, *program.given):
        yield _symbols(quantity.dims)


def _open(equation: Equation) -> Collection[sp.Expr]:
    """Whole numbers that stand free in an equation: the number of examples in a mean."""
    bound = {limits[0] for total in equation.rhs.atoms(sp.Sum) for limits in total.limits}
    free = equation.rhs.atoms(sp.Symbol) - bound - set(equation.indices)
    return sorted((symbol for symbol in free if symbol.is_integer), key=str)


def _symbols(dims: Iterable[sp.Expr]) -> tuple[sp.Symbol, ...]:
    found = (s for dim in dims for s in sorted(sp.sympify(dim).free_symbols, key=str))
    return tuple(dict.fromkeys(found))
