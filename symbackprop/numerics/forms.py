"""Functions that a computer can evaluate where their formula overflows or cancels, each with its meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sympy as sp

from symbackprop.algebra.rules import everywhere


class Sigmoid(sp.Function):  # type: ignore[misc]
    """1 / (1 + exp(-u))."""

    is_real = True


class Softplus(sp.Function):  # type: ignore[misc]
    """log(1 + exp(u))."""

    is_real = True


class LogSoftplus(sp.Function):  # type: ignore[misc]
    """log(log(1 + exp(u)))."""

    is_real = True


class Expm1(sp.Function):  # type: ignore[misc]
    """exp(u) - 1."""

    is_real = True


class ExpOfSum(sp.Function):  # type: ignore[misc]
    """exp(u), which isn't taken apart: its terms may be large where their sum isn't. Printed as exp(u)."""

    is_real = True


class Exprel(sp.Function):  # type: ignore[misc]
    """(exp(u) - 1) / u, which goes on through u = 0 as 1."""

    is_real = True


class LogOneMinusExp(sp.Function):  # type: ignore[misc]
    """log(1 - exp(u)), for a u below 0."""

    is_real = True


class LogOneMinusExpExp(sp.Function):  # type: ignore[misc]
    """log(1 - exp(-exp(u)))."""

    is_real = True


class LogAbsExpm1(sp.Function):  # type: ignore[misc]
    """log(|exp(u) - 1|)."""

    is_real = True


class Erfc(sp.Function):  # type: ignore[misc]
    """1 - erf(u)."""

    is_real = True


class LogErfc(sp.Function):  # type: ignore[misc]
    """log(1 - erf(u))."""

    is_real = True


class Erfcx(sp.Function):  # type: ignore[misc]
    """exp(u**2) (1 - erf(u))."""

    is_real = True


MEANING: Mapping[type, Callable[..., sp.Expr]] = {
    Sigmoid: lambda u: 1 / (1 + sp.exp(-u)),
    Softplus: lambda u: sp.log(1 + sp.exp(u)),
    LogSoftplus: lambda u: sp.log(sp.log(1 + sp.exp(u))),
    Expm1: lambda u: sp.exp(u) - 1,
    ExpOfSum: lambda u: sp.exp(u),
    Exprel: lambda u: (sp.exp(u) - 1) / u,
    LogOneMinusExp: lambda u: sp.log(1 - sp.exp(u)),
    LogOneMinusExpExp: lambda u: sp.log(1 - sp.exp(-sp.exp(u))),
    LogAbsExpm1: lambda u: sp.log(sp.Abs(sp.exp(u) - 1)),
    Erfc: lambda u: 1 - sp.erf(u),
    LogErfc: lambda u: sp.log(1 - sp.erf(u)),
    Erfcx: lambda u: sp.exp(u**2) * (1 - sp.erf(u)),
    sp.Max: lambda u, v: sp.Piecewise((u, u > v), (v, True)),
    sp.Min: lambda u, v: sp.Piecewise((u, u < v), (v, True)),
}
"""What each named form stands for; a check puts these back."""


def meaning(expr: sp.Expr) -> sp.Expr:
    """The expression with every named form written out again.

    >>> meaning(Softplus(sp.Symbol("z", real=True)))
    log(exp(z) + 1)
    """
    return everywhere(_written_form, expr)


def _written_form(node: sp.Expr) -> sp.Expr:
    form = MEANING.get(node.func)
    return node if form is None else form(*node.args)
