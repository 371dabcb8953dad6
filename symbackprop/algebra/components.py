"""Written-out entries: an index equation at concrete indices, its sums as terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

import sympy as sp
from sympy.core.parameters import distribute

from symbackprop.algebra.equations import Equation, Partial, Quantity, Role
from symbackprop.algebra.indices import outermost


def written_out(equation: Equation, sizes: Mapping[sp.Symbol, sp.Expr]) -> Iterator[tuple[sp.Expr, sp.Expr]]:
    """Each entry of an equation's left side with its right side, for sizes that are numbers.

    >>> from symbackprop.spec.loading import from_widths
    >>> from symbackprop.forward.model import forward_model
    >>> model = forward_model(from_widths("2-1"))
    >>> for entry, value in written_out(model.program.equations[0], dict(model.sizes)):
    ...     print(entry, "=", value)
    z1[1] = W1[1, 1]*x[1] + W1[1, 2]*x[2] + b1[1]
    """
    counts = [range(1, int(size.xreplace(dict(sizes))) + 1) for size in equation.quantity.dims]
    with distribute(False):
        for numbers in product(*counts):
            indices = tuple(sp.Integer(number) for number in numbers)
            entry = equation.quantity[indices] if indices else equation.quantity.symbol
            yield entry, expanded(equation.at(indices), sizes)


def expanded(expr: sp.Expr, sizes: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    """An expression with every sum written as its terms.

    >>> x = sp.IndexedBase("x", real=True)
    >>> k, n = sp.symbols("k n", integer=True, positive=True)
    >>> expanded(sp.Sum(x[k] ** 2, (k, 1, n)), {n: sp.Integer(2)})
    x[1]**2 + x[2]**2
    """
    if isinstance(expr, sp.Sum):
        body, bound, upper = outermost(expr)
        count = int(upper.xreplace(dict(sizes)))
        terms = (expanded(body.xreplace({bound: sp.Integer(i)}), sizes) for i in range(1, count + 1))
        return sp.Add(*terms)
    if not expr.has(sp.Sum):
        return expr.xreplace(dict(sizes))
    return expr.func(*(expanded(arg, sizes) for arg in expr.args))


def as_partial(quantity: Quantity, entry: sp.Expr) -> sp.Expr:
    """A gradient's entry as the partial derivative that it is; any other entry as it stands.

    >>> from symbackprop.spec.loading import from_widths
    >>> from symbackprop.pipeline import derive
    >>> gradient = derive(from_widths("2-1")).equations[1].quantity
    >>> as_partial(gradient, gradient[1, 2])
    Partial(C_x, W1[1, 2])
    """
    if quantity.role is not Role.GRADIENT or quantity.of is None or quantity.cost is None:
        return entry
    return Partial(quantity.cost.symbol, quantity.of[entry.indices])


def entry_suffix(entry: sp.Expr) -> str:
    """The indices of an entry as they end a label.

    >>> entry_suffix(sp.IndexedBase("W1")[2, 1]), entry_suffix(sp.Symbol("C"))
    ('-2-1', '')
    """
    return "".join(f"-{index}" for index in entry.indices) if isinstance(entry, sp.Indexed) else ""
