"""Index letters: fresh ones, bound ones, and a normal form in which their names don't matter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

import sympy as sp
from sympy.functions.elementary.piecewise import ExprCondPair

from symbackprop.errors import NoRule

LETTERS = ("j", "k", "i", "m", "p", "q", "r", "s", "t", "u", "v")
"""The letters that indices take, in the order of preference."""


def index_symbol(name: str) -> sp.Symbol:
    """An index that counts from 1: a positive whole number."""
    return sp.Symbol(name, integer=True, positive=True)


def size_symbol(name: str) -> sp.Symbol:
    """A size: a positive whole number."""
    return sp.Symbol(name, integer=True, positive=True)


EXAMPLE = index_symbol("n")
"""The index that counts examples: it is no letter for anything else, and keeps its name."""


def letters() -> Iterator[sp.Symbol]:
    """Index symbols without end: the letters, then the letters with a number."""
    round_ = 0
    while True:
        for letter in LETTERS:
            yield index_symbol(letter if not round_ else f"{letter}_{round_}")
        round_ += 1


def fresh_index(*avoid: sp.Basic) -> sp.Symbol:
    """The first letter that occurs in none of the expressions.

    >>> j, k = index_symbol("j"), index_symbol("k")
    >>> fresh_index(j * k)
    i
    """
    used = set().union(*(expr.atoms(sp.Symbol) for expr in avoid)) if avoid else set()
    return next(letter for letter in letters() if letter not in used)


def split_product(expr: sp.Expr) -> tuple[sp.Expr, ...]:
    """The factors of a product, or the expression alone."""
    return tuple(sp.Mul.make_args(expr))


def outermost(total: sp.Sum) -> tuple[sp.Expr, sp.Symbol, sp.Expr]:
    """The body, the index and the upper bound of the outer sum; SymPy writes nested sums as one node.

    >>> x = sp.IndexedBase("x", real=True)
    >>> j, k, n, m = sp.symbols("j k n m", integer=True, positive=True)
    >>> outermost(sp.Sum(sp.Sum(x[j, k], (k, 1, n)), (j, 1, m)))
    (Sum(x[j, k], (k, 1, n)), j, m)

    Raises:
        NoRule: for a sum that doesn't start at 1.
    """
    *inner, (bound, lower, upper) = total.limits
    if lower != 1:
        raise NoRule(f"no rule covers the sum {total}: a sum runs from 1 to a size")
    return (sp.Sum(total.function, *inner) if inner else total.function), bound, upper


def rename_bound(expr: sp.Expr, taken: frozenset[sp.Symbol] = frozenset()) -> sp.Expr:
    """Give every sum the first letter that is free around it: equal sums become equal expressions.

    >>> x = sp.IndexedBase("x", real=True)
    >>> j, k, m, n = sp.symbols("j k m n", integer=True, positive=True)
    >>> rename_bound(x[j] * sp.Sum(x[m], (m, 1, n)))
    x[j]*Sum(x[k], (k, 1, n))
    """
    return _rename(expr, taken | free_indices(expr))


def free_indices(expr: sp.Basic) -> frozenset[sp.Symbol]:
    """The whole-number symbols that are free in an expression: its indices (and its sizes).

    SymPy finds free symbols by building the body of every sum anew; this only looks.

    >>> x = sp.IndexedBase("x", real=True)
    >>> j, k, n = sp.symbols("j k n", integer=True, positive=True)
    >>> sorted(free_indices(x[j] * sp.Sum(x[k], (k, 1, n))), key=str)
    [j, n]
    """
    memo: dict[sp.Basic, frozenset[sp.Symbol]] = {}

    def visit(node: sp.Basic) -> frozenset[sp.Symbol]:
        if isinstance(node, sp.Symbol):
            return frozenset((node,)) if node.is_integer else frozenset()
        if node not in memo:
            memo[node] = inside(node)
        return memo[node]

    def inside(node: sp.Basic) -> frozenset[sp.Symbol]:
        if not isinstance(node, sp.Sum):
            parts = node.indices if isinstance(node, sp.Indexed) else node.args
            return frozenset().union(*map(visit, parts))
        found = visit(node.function)
        for bound, *range_ in node.limits:
            found = (found - {bound}).union(*map(visit, range_))
        return found

    return visit(expr)


def _rename(expr: sp.Expr, taken: frozenset[sp.Symbol]) -> sp.Expr:
    if not expr.has(sp.Sum):
        return expr
    if isinstance(expr, sp.Sum):
        body, bound, upper = outermost(expr)
        kept = bound == EXAMPLE and EXAMPLE not in taken
        letter = bound if kept else next(x for x in letters() if x not in taken)
        body = body if letter == bound else _swap(body, bound, letter)
        return total(_rename(body, taken | {letter}), (letter, 1, upper))
    return with_args(expr, tuple(_rename(arg, taken) for arg in expr.args))


def _swap(body: sp.Expr, bound: sp.Symbol, letter: sp.Symbol) -> sp.Expr:
    """Rename ``bound``; an inner sum that uses the new letter takes the old one instead."""
    return replaced(body, {bound: letter, letter: bound})


def total(body: sp.Expr, *limits: Sequence[sp.Expr]) -> sp.Sum:
    """A sum of the body as it is.

    SymPy's own constructor pulls cases out of the sums inside the body, although the condition may
    hold for some terms and not for others. To find them it walks over the body as over a tree.

    >>> x = sp.IndexedBase("x", real=True)
    >>> i, k, n = sp.symbols("i k n", integer=True, positive=True)
    >>> inner = total(sp.Piecewise((x[i, k], x[i, k] > 0), (0, True)), (i, 1, n)) / 3
    >>> total(inner, (k, 1, n)).free_symbols >= {i}, sp.Sum(inner, (k, 1, n)).free_symbols >= {i}
    (False, True)
    """
    if not _has_cases(body) and isinstance(body, sp.Sum):
        body, limits = body.function, (*body.limits, *limits)
    made = sp.Expr.__new__(sp.Sum, body, *(sp.Tuple(*limit) for limit in limits))
    made.is_commutative = body.is_commutative
    return made


@lru_cache(maxsize=50_000)
def _has_cases(node: sp.Basic) -> bool:
    """Whether there are cases in an expression; each distinct part is looked at once."""
    return isinstance(node, sp.Piecewise) or any(map(_has_cases, node.args))


def with_args(node: sp.Expr, args: Sequence[sp.Basic]) -> sp.Expr:
    """The same kind of expression with other arguments; a sum is a :func:`total`.

    SymPy goes round in circles over the sign of some sums in even and odd functions; they stay as they are.
    Of a power of a sum it asks whether one of the terms is infinite, which takes long and changes nothing.
    """
    if isinstance(node, sp.Pow) and args[1] == node.exp and _is_open_sum(args[0]):
        return sp.Pow(*args, evaluate=not node.exp.is_Number)
    if isinstance(node, sp.Sum):
        return total(*args)
    if isinstance(node, sp.Piecewise):
        return cases(args)
    if isinstance(node, ExprCondPair):
        return _case(*args)
    try:
        return node.func(*args)
    except RecursionError:
        return node.func(*args, evaluate=False)


def is_number(expr: sp.Expr) -> bool:
    """Whether there is no symbol in an expression; a look at it ends at the first that there is.

    SymPy's own ``is_number`` collects all free symbols of a sum, each time that it is asked.

    >>> is_number(sp.sqrt(2) * sp.pi), is_number(1 + sp.Symbol("x"))
    (True, False)
    """
    return not any(isinstance(node, sp.Symbol) for node in sp.preorder_traversal(expr))


def _is_open_sum(base: sp.Basic) -> bool:
    return isinstance(base, sp.Add) and not is_number(base)


def cases(pieces: Iterable[Sequence[sp.Basic]]) -> sp.Expr:
    """Values, each with its condition.

    A condition that has cases itself stays as it is: SymPy would take it apart, cases inside of a sum
    too, and leave the letter of the sum behind.

    >>> x, k, n = sp.IndexedBase("x", real=True), index_symbol("k"), size_symbol("n")
    >>> inner = total(sp.Piecewise((x[k], x[k] > 0), (0, True)), (k, 1, n))
    >>> cases([(inner, inner > 1), (sp.S.Zero, sp.true)]).free_symbols >= {k}
    False
    """
    made = [_case(*piece) for piece in pieces]
    if any(piece.cond.has(sp.Piecewise) for piece in made):
        return sp.Basic.__new__(sp.Piecewise, *made)
    return sp.Piecewise(*made)


def _case(value: sp.Basic, condition: sp.Basic) -> ExprCondPair:
    if sp.sympify(condition).has(sp.Piecewise):
        return sp.Tuple.__new__(ExprCondPair, value, condition)
    return ExprCondPair(value, condition)


def replaced(expr: sp.Expr, replacements: Mapping[sp.Expr, sp.Expr]) -> sp.Expr:
    """Every part for which there is a replacement replaced, from the outside in, each distinct part once.

    Unlike ``xreplace`` it leaves sums with cases in them, and functions of a sum's sign, as they are.

    >>> from sympy.core.parameters import distribute
    >>> a, y, z, w = sp.symbols("a y z w", real=True)
    >>> with distribute(False):
    ...     replaced(sp.sin(a - y), {a: z - w})
    sin(-w - y + z)
    >>> x = sp.IndexedBase("x", real=True)
    >>> i, k, n, m = sp.symbols("i k n m", integer=True, positive=True)
    >>> inner = sp.Sum(sp.Piecewise((x[k, i], x[k, i] > 0), (0, True)), (i, 1, n))
    >>> replaced(total(inner / 3, (k, 1, m)), {n: sp.Integer(2)}).free_symbols >= {i}
    False
    """
    memo: dict[sp.Basic, sp.Basic] = dict(replacements)

    def visit(node: sp.Basic) -> sp.Basic:
        if node not in memo:
            args = tuple(visit(arg) for arg in node.args)
            same = all(mine is theirs for mine, theirs in zip(args, node.args, strict=True))
            memo[node] = node if same else with_args(node, args)
        return memo[node]

    return visit(expr)


def put_in(expr: sp.Expr, replacements: Mapping[sp.Expr, sp.Expr]) -> sp.Expr:
    """Replace, with the bound letters of what is put in kept apart from those around it."""
    taken = frozenset(s for s in expr.atoms(sp.Symbol) if s.is_integer)
    return replaced(expr, {old: rename_bound(new, taken) for old, new in replacements.items()})


def at_indices(expr: sp.Expr, old: Sequence[sp.Symbol], new: Sequence[sp.Expr]) -> sp.Expr:
    """The same expression at other indices; sums inside keep their letters apart from the new ones.

    >>> j, k, n = index_symbol("j"), index_symbol("k"), size_symbol("n")
    >>> W = sp.IndexedBase("W", real=True)
    >>> at_indices(sp.Sum(W[j, k], (k, 1, n)), (j,), (k,))
    Sum(W[k, i], (i, 1, n))
    """
    taken = frozenset(symbol for index in new for symbol in index.free_symbols)
    clear = rename_bound(expr, taken) if expr.has(sp.Sum) else expr
    return replaced(clear, dict(zip(old, new, strict=True)))


def alpha(expr: sp.Expr) -> sp.Expr:
    """Name every bound index by how deep sums are nested below it, whatever letter it had.

    Two expressions that differ only in the letters of their sums have one alpha form, in any
    context, so sub-expressions can be compared with ``==``. For comparing only, not for printing.
    """
    return _alpha(expr)[0]


def _alpha(expr: sp.Expr) -> tuple[sp.Expr, int]:
    if not expr.has(sp.Sum):
        return expr, 0
    if isinstance(expr, sp.Sum):
        body, bound, upper = outermost(expr)
        body, height = _alpha(body)
        letter = index_symbol(f"@{height + 1}")
        return total(replaced(body, {bound: letter}), (letter, 1, upper)), height + 1
    parts = [_alpha(arg) for arg in expr.args]
    return with_args(expr, tuple(part for part, _ in parts)), max(height for _, height in parts)
