"""Differentiation of one expression in index notation, memoised over its distinct sub-expressions.

SymPy's ``diff`` walks an expression as a tree; a network's cost is a small graph with a huge tree.
The rules here are the same (sum, product, power, chain), one small function for each type of node,
and each distinct sub-expression is differentiated once. A type with no rule is refused by its name:
nothing is 0 because it isn't known.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch

import sympy as sp

from symbackprop.algebra.equations import Bracket
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.algebra.indices import cases, fresh_index, outermost, replaced, total
from symbackprop.algebra.layers import LayerSum, at_layers, layer_in
from symbackprop.errors import NoRule

Rule = Callable[[sp.Expr], sp.Expr]

SMOOTH = (sp.exp, sp.log, sp.sin, sp.cos, sp.tan, sp.sinh, sp.cosh, sp.tanh, sp.atan, sp.erf)
"""Elementary functions whose derivative SymPy's ``fdiff`` gives; ``Abs`` has a rule of its own."""


def derivative(expr: sp.Expr, wrt: sp.Expr) -> sp.Expr:
    """The derivative of ``expr`` with respect to one entry (an ``Indexed``) or one scalar symbol.

    Indices of ``wrt`` that differ from those in ``expr`` give Kronecker deltas, nothing collapsed:

    >>> W, a = sp.IndexedBase("W", real=True), sp.IndexedBase("a", real=True)
    >>> j, k, p, q, n = sp.symbols("j k p q n", integer=True, positive=True)
    >>> derivative(sp.Sum(W[j, k] * a[k], (k, 1, n)), W[p, q])
    Sum(KroneckerDelta(j, p)*KroneckerDelta(k, q)*a[k], (k, 1, n))

    Raises:
        NoRule: for an operation that no rule covers, naming it.
    """
    memo: dict[sp.Expr, sp.Expr] = {}

    def visit(node: sp.Expr) -> sp.Expr:
        found = memo.get(node)
        if found is None:
            found = memo[node] = _derivative(node, wrt, visit)
        return found

    return visit(expr)


@singledispatch
def _derivative(node: sp.Basic, wrt: sp.Expr, visit: Rule) -> sp.Expr:
    raise NoRule(
        f"no rule differentiates {type(node).__name__}, which occurs as {str(node)[:60]}; "
        "write the formula with + - * / ** and the listed functions"
    )


@_derivative.register
def _(node: sp.Number, wrt: sp.Expr, visit: Rule) -> sp.Expr:
    return sp.S.Zero


@_derivative.register
def _(node: sp.NumberSymbol, wrt: sp.Expr, visit: Rule) -> sp.Expr:
    return sp.S.Zero


@_derivative.register
def _(node: sp.Symbol, wrt: sp.Expr, visit: Rule) -> sp.Expr:
    return sp.S.One if node == wrt else sp.S.Zero


@_derivative.register
def _(node: sp.Indexed, wrt: sp.Expr, visit: Rule) -> sp.Expr:
    if not isinstance(wrt, sp.Indexed) or node.base != wrt.base:
        return sp.S.Zero
    if node.rank != wrt.rank:
        raise NoRule(f"{node} and {wrt} have different numbers of indices")
    pairs = zip(node.indices, wrt.indices, strict=True)
    return sp.Mul(*(sp.KroneckerDelta(mine, theirs) for mine, theirs in pairs))


@_derivative.register
def _(node: sp.Add, wrt: sp.Expr, visit: Rule) -> sp.Expr:
    return sp.Add(*(visit(term) for term in node.args))


@_derivative.register
def _(node: sp.Mul, wrt: sp.Expr, visit: Rule) -> sp.Expr:
    terms = []
    for position, factor in enumerate(node.args):
        inner = visit(factor)
        if inner != 0:
            terms.append(sp.Mul(inner, *node.args[:position], *node.args[position + 1 :]))
    return sp.Add(*terms)


@_derivative.register
def _(node: sp.Pow, wrt: sp.Expr, visit: Rule) -> sp.Expr:
    base, exponent = node.args
    inner = visit(base)
    if visit(exponent) == 0:
        return exponent * base ** (exponent - 1) * inner if inner != 0 else sp.S.Zero
    return node * (visit(exponent) * sp.log(base) + exponent * inner / base)


@_derivative.register
def _(node: sp.Sum, wrt: sp.Expr, visit: Rule) -> sp.Expr:
    body, bound, upper = outermost(node)
    if wrt.has(bound):
        other = fresh_index(wrt, body)
        body, bound = replaced(body, {bound: other}), other
    inner = visit(body)
    if inner == 0:
        return sp.S.Zero
    return total(inner, (bound, 1, upper))


@_derivative.register
def _(node: LayerSum, wrt: sp.Expr, visit: Rule) -> sp.Expr:
    """Of a sum over layers the one term counts that is about the layer of ``wrt``."""
    own = layer_in(str(wrt.base)) if isinstance(wrt, sp.Indexed) else None
    used = [layer_in(str(base)) for base in node.term.atoms(sp.IndexedBase)]
    if own is None or own[0] not in {found[0] for found in used if found is not None}:
        inner = visit(node.term)
        return LayerSum(inner, node.layer, node.last) if inner != 0 else sp.S.Zero
    if any(found is None or found[1] != node.layer for found in used):
        raise NoRule(f"no rule differentiates a sum over layers whose terms are about several: {node}")
    return visit(at_layers(node.term, {node.layer: own[1]}))


@_derivative.register
def _(node: sp.Piecewise, wrt: sp.Expr, visit: Rule) -> sp.Expr:
    """Branch by branch; at a kink the branch that holds there, which is the documented choice."""
    pieces = [(visit(value), condition) for value, condition in node.args]
    return cases(pieces) if any(value != 0 for value, _ in pieces) else sp.S.Zero


@_derivative.register
def _(node: sp.KroneckerDelta, wrt: sp.Expr, visit: Rule) -> sp.Expr:
    return sp.S.Zero


@_derivative.register
def _(node: Bracket, wrt: sp.Expr, visit: Rule) -> sp.Expr:
    if node.atoms(sp.Indexed):
        raise NoRule(f"no rule differentiates {node}: its condition depends on a quantity")
    return sp.S.Zero


@_derivative.register
def _(node: sp.Abs, wrt: sp.Expr, visit: Rule) -> sp.Expr:
    inner = visit(node.args[0])
    return sp.sign(node.args[0]) * inner if inner != 0 else sp.S.Zero


@_derivative.register
def _(node: ScalarFunction, wrt: sp.Expr, visit: Rule) -> sp.Expr:
    return _through(node, visit)


@_derivative.register
def _(node: sp.Function, wrt: sp.Expr, visit: Rule) -> sp.Expr:
    if not isinstance(node, SMOOTH):
        raise NoRule(
            f"no rule differentiates the function {type(node).__name__}, which occurs as {str(node)[:60]}"
        )
    return _through(node, visit)


def _through(node: sp.Function, visit: Rule) -> sp.Expr:
    """The chain rule through a function of one argument."""
    inner = visit(node.args[0])
    return _slope(node) * inner if inner != 0 else sp.S.Zero


def _slope(node: sp.Function) -> sp.Expr:
    """The derivative of a function, by its argument.

    SymPy goes round in circles over the sign of some sums; the argument is put in afterwards there.
    """
    try:
        return node.fdiff(1)
    except RecursionError:
        letter = sp.Dummy(real=True)
        return replaced(type(node)(letter).fdiff(1), {letter: node.args[0]})
