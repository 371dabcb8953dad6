"""Rules that lead from the raw derivative of a composite to deltas: fold, interchange, name.

Each is a function from an expression to an equal one, with its law. A *part* is a quantity together
with its derivative by the entry in question, as that derivative stands in the raw one; while rules
rearrange what is around a part, it is marked: an entry of a quantity of its own stands for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import sympy as sp

from symbackprop.algebra import rules
from symbackprop.algebra.equations import Quantity, TotalPartial
from symbackprop.algebra.indices import (
    cases,
    letters,
    outermost,
    rename_bound,
    replaced,
    split_product,
    total,
    with_args,
)
from symbackprop.algebra.rules import Context
from symbackprop.errors import NoRule
from symbackprop.forward.compose import is_leaf

Table = Mapping[sp.Expr, sp.Expr]


@dataclass(frozen=True)
class Part:
    """A quantity and its derivatives by ``wrt``: ``derivatives`` maps its entries to them."""

    quantity: Quantity
    wrt: sp.Expr
    derivatives: Table

    @property
    def index(self) -> sp.Symbol:
        """The letter over which the part is summed: that of its first use."""
        return next(iter(self.derivatives)).indices[0]

    @property
    def letter(self) -> sp.IndexedBase:
        """What stands for the derivative of the quantity while it is marked."""
        return sp.IndexedBase(f"d{self.quantity.name}", real=True)

    def marks(self) -> dict[sp.Expr, sp.Expr]:
        """Each marked entry with the derivative that it stands for."""
        return {self.letter[entry.indices]: found for entry, found in self.derivatives.items()}


def fold_composite(expr: sp.Expr, definitions: Table) -> sp.Expr:
    """Read definitions from right to left, innermost first: g(b_j + sum_k w_jk x_k) is g(z_j).

    ``definitions`` maps entries to their right sides; only what matches to the letter is folded.

    >>> z, a, x, b = (sp.IndexedBase(name, real=True) for name in "zaxb")
    >>> j = sp.symbols("j", integer=True, positive=True)
    >>> fold_composite(sp.tanh(x[j] + b[j] + 1), {z[j]: x[j] + b[j], a[j]: sp.tanh(z[j] + 1)})
    a[j]
    """
    table = {pattern: entry for entry, pattern in definitions.items()}
    sums = [pattern for pattern in table if isinstance(pattern, sp.Add)]
    products = [pattern for pattern in table if isinstance(pattern, sp.Mul)]

    def fold(node: sp.Expr) -> sp.Expr:
        if isinstance(node, sp.Add):
            node = _fold_terms(node, sums, table)
        elif isinstance(node, sp.Mul | sp.Pow):
            node = _fold_factors(node, products, table)
        elif isinstance(node, sp.Sum) and len(node.limits) > 1:
            body, bound, size = outermost(node)
            node = sp.Sum(fold(body), (bound, 1, size))
        return _latest(node, table)

    return rules.everywhere(fold, expr)


def _fold_terms(node: sp.Expr, patterns: list[sp.Add], table: Table) -> sp.Expr:
    """Terms of a sum that together are the right side of a definition, as the entry defined."""
    for pattern in reversed(patterns):
        terms = set(sp.Add.make_args(node))
        if terms.issuperset(pattern.args):
            node = sp.Add(_latest(table[pattern], table), *(terms - set(pattern.args)))
    return node


def _fold_factors(node: sp.Expr, patterns: list[sp.Mul], table: Table) -> sp.Expr:
    """Factors that together are a power of the right side of a definition, as that power of the entry."""
    for pattern in patterns:
        wanted, entry = rules.powers(pattern), _latest(table[pattern], table)
        times = rules.multiplicity(wanted, rules.powers(node))
        if times:
            rest = rules.divide(node, {base: exponent * times for base, exponent in wanted.items()})
            node = entry**times * rest
        else:
            node = _fold_into_sum(node, wanted, entry)
    return node


def _fold_into_sum(node: sp.Expr, wanted: Table, entry: sp.Expr) -> sp.Expr:
    """1/s sum_m u_m f_m = sum_m a_m f_m for a_m = u_m/s: the factor goes into the sum to be folded there."""
    for factor in split_product(node):
        if not isinstance(factor, sp.Sum) or entry.indices != (factor.limits[0][0],):
            continue
        inside = rules.powers(factor.function)
        missing = {base: exponent for base, exponent in wanted.items() if base not in inside}
        outside = rules.powers(node / factor)
        if len(missing) == len(wanted) or rules.multiplicity(missing, outside) < 1:
            continue
        present = {base: exponent for base, exponent in wanted.items() if base in inside}
        if rules.multiplicity(present, inside) < 1:
            continue
        body = entry * rules.divide(factor.function, present)
        return rules.divide(node / factor, missing) * total(body, *factor.limits)
    return node


def _latest(node: sp.Expr, table: Table) -> sp.Expr:
    """What an expression is defined as, and the last of these where entries are equal: a_j = z_j."""
    while node in table:
        node = table[node]
    return node


def mark(expr: sp.Expr, part: Part) -> sp.Expr:
    """Put marked entries for the derivatives of a part, wherever they stand.

    A derivative that is a product u v, with the entry's own derivatives in v alone, is found by its v,
    which is t/u: so it is found where u has been cancelled or multiplied with something else.

    Raises:
        NoRule: where a derivative by the entry is left over.
    """
    cores = {}
    for entry, found in part.marks().items():
        core, rest = _core(found)
        cores[core] = entry / rest
    memo: dict[sp.Basic, sp.Basic] = {}

    def visit(node: sp.Basic) -> sp.Basic:
        if node in cores:
            return cores[node]
        if is_leaf(node):
            return node
        if node not in memo:
            memo[node] = (
                _inner_sum(node, cores)
                or _multiple(node, cores)
                or with_args(node, tuple(map(visit, node.args)))
            )
        return memo[node]

    marked = visit(expr)
    if marked.has(sp.KroneckerDelta):
        raise NoRule(f"the derivative of {part.quantity.name} doesn't stand as a factor: use the chain route")
    return marked


def _inner_sum(node: sp.Basic, cores: Table) -> sp.Expr | None:
    """A sum over a marked entry, where SymPy has written the two sums as one over two indices."""
    if not isinstance(node, sp.Sum) or len(node.limits) == 1:
        return None
    inner = cores.get(total(node.function, node.limits[0]))
    return total(inner, *node.limits[1:]) if inner is not None else None


def _multiple(node: sp.Basic, cores: Table) -> sp.Expr | None:
    """What stands for a sum whose terms are all the same number of times those of a known one."""
    if not isinstance(node, sp.Add):
        return None
    mine = _numbers(node)
    for core, entry in cores.items():
        theirs = _numbers(core)
        if mine.keys() == theirs.keys():
            ratios = {mine[rest] / theirs[rest] for rest in mine}
            return ratios.pop() * entry if len(ratios) == 1 else None
    return None


def _numbers(expr: sp.Expr) -> dict[sp.Expr, sp.Expr]:
    """The terms of a sum, each without its number, with that number."""
    pairs = (term.as_coeff_Mul(rational=True) for term in sp.Add.make_args(expr))
    return {rest: number for number, rest in pairs}


def _core(found: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """The one factor of a derivative that has Kronecker deltas in it, and the product of the others."""
    inner = [factor for factor in split_product(found) if factor.has(sp.KroneckerDelta)]
    if len(inner) != 1:
        return found, sp.S.One
    return inner[0], sp.Mul(*(factor for factor in split_product(found) if factor != inner[0]))


def unmark(expr: sp.Expr, part: Part) -> sp.Expr:
    """The derivatives of a part for its marked entries; the reverse of :func:`mark`."""
    return replaced(expr, part.marks())


def named_derivatives(expr: sp.Expr, part: Part) -> sp.Expr:
    """The derivatives of a part by their names, for its marked entries."""
    names = {part.letter[entry.indices]: TotalPartial(entry, part.wrt) for entry in part.derivatives}
    return replaced(expr, names)


def cofactor(marked: sp.Expr, part: Part, index: sp.Symbol) -> sp.Expr:
    """What multiplies the marked entry at ``index`` when terms are collected: c_m in sum_m c_m t_m.

    An expression that is linear in t is that sum, and c_m has a term for each place where t stands.

    >>> from symbackprop.algebra.equations import Role
    >>> i, j, m, n = sp.symbols("i j m n", integer=True, positive=True)
    >>> f, g = sp.IndexedBase("f"), sp.IndexedBase("g")
    >>> z = Quantity("z", "z", Role.PRE_ACTIVATION, None, (n,))
    >>> part = Part(z, sp.IndexedBase("w")[j], {z[m]: sp.KroneckerDelta(j, m)})
    >>> nested = sp.Sum(f[i] * sp.Sum(g[i, m] * part.letter[m], (m, 1, n)), (i, 1, n))
    >>> cofactor(nested, part, j)
    Sum(f[i]*g[i, j], (i, 1, n))
    >>> interchange_sums(part, cofactor(nested, part, j), j)
    Sum(dz[m]*Sum(f[i]*g[i, m], (i, 1, n)), (m, 1, n))

    Raises:
        NoRule: where the expression isn't linear in the marked entries.
    """
    context = Context(ranges={index: part.quantity.dims[0]})
    found = _coefficient(marked, part, index)
    return rules.pull_out_factors(rules.collapse_kronecker(found, context), context)


def _coefficient(expr: sp.Expr, part: Part, index: sp.Symbol) -> sp.Expr:
    """The coefficient of t_m in a linear form, with [i = m] wherever t_i stands."""
    memo: dict[sp.Basic, sp.Expr] = {}

    def visit(node: sp.Basic) -> sp.Expr:
        if isinstance(node, sp.Indexed):
            return sp.KroneckerDelta(node.indices[0], index) if node.base == part.letter else sp.S.Zero
        if node not in memo:
            memo[node] = sp.S.Zero if is_leaf(node) else inner(node)
        return memo[node]

    def inner(node: sp.Basic) -> sp.Expr:
        found = [visit(arg) for arg in node.args]
        if not any(found):
            return sp.S.Zero
        if isinstance(node, sp.Add):
            return sp.Add(*found)
        if isinstance(node, sp.Sum):
            return total(found[0], *node.limits)
        if isinstance(node, sp.Piecewise):
            pieces = zip(found, node.args, strict=True)
            return cases((value, condition) for value, (_, condition) in pieces)
        if isinstance(node, sp.functions.elementary.piecewise.ExprCondPair):
            return found[0]
        if isinstance(node, sp.Mul) and sum(map(bool, found)) == 1:
            return sp.Mul(*(one or factor for one, factor in zip(found, node.args, strict=True)))
        raise NoRule(
            f"the derivative is not a sum of products with that of {part.quantity.name}: "
            f"it stands in {type(node).__name__}; use the chain route"
        )

    return visit(expr)


def interchange_sums(part: Part, factor: sp.Expr, index: sp.Symbol) -> sp.Expr:
    """sum_i f_i sum_m g_im t_m = sum_m (sum_i f_i g_im) t_m: the sum over the part's index goes outside.

    ``factor`` is the :func:`cofactor` at ``index``; where t stands in several terms, or several times
    in one sum, its cofactor has them all.
    """
    return sum_over(part, at_index(factor, index, part))


def sum_over(part: Part, factor: sp.Expr) -> sp.Expr:
    """sum_m c_m t_m, for a factor at the part's own index m."""
    return total(factor * part.letter[part.index], (part.index, 1, part.quantity.dims[0]))


def at_index(expr: sp.Expr, index: sp.Symbol, part: Part) -> sp.Expr:
    """The same expression at the part's own index, its bound letters apart from those of the part."""
    taken = frozenset({*islice(letters(), 2), *part.wrt.indices, index, part.index})
    return replaced(rename_bound(expr, taken), {index: part.index})
