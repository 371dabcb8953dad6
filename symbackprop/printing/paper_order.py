"""The order of terms and factors on paper: by what the symbols are, not by their spelling.

``a_j - y_j``, ``w_{jk} a_k``, ``1 - a_j``; a sum before the bias that is added to it; a difference
before the slope it is multiplied with; sums last in a product.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sympy as sp
from sympy.printing.str import StrPrinter

from symbackprop.algebra.equations import Bracket, ExplicitPartial, Partial, Role
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.algebra.indices import split_product
from symbackprop.printing.symbols import Names, base_name

Key = tuple[Any, ...]

_FACTOR_RANKS = {
    Role.WEIGHT: 2,
    Role.ADJOINT: 3,
    Role.GRADIENT: 3,
    Role.DELTA: 7,
    Role.TARGET: 9,
    Role.ACTIVATION: 10,
    Role.PRE_ACTIVATION: 10,
    Role.INPUT: 11,
    Role.PARAMETER: 2,
    Role.INTERMEDIATE: 10,
    Role.BIAS: 12,
}
_TERM_RANKS = {
    Role.EXAMPLE_COST: 0,
    Role.PENALTY: 1,
    Role.WEIGHT: 2,
    Role.ADJOINT: 3,
    Role.GRADIENT: 3,
    Role.DELTA: 4,
    Role.PARAMETER: 5,
    Role.INTERMEDIATE: 5,
    Role.ACTIVATION: 6,
    Role.PRE_ACTIVATION: 6,
    Role.INPUT: 6,
    Role.BIAS: 8,
    Role.TARGET: 9,
}
_OPEN, _EARLY, _SLOPE, _PARTIAL, _LATE, _FUNCTION, _KRONECKER, _TALL, _SUM = 1, 4, 5, 8, 13, 14, 15, 16, 17


class _Spelled:
    """Orders what nothing else has ordered by its spelling, which is worked out only then."""

    def __init__(self, node: sp.Expr) -> None:
        self.node = node

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Spelled) and self.node == other.node

    def __lt__(self, other: _Spelled) -> bool:
        return spelled(self.node) < spelled(other.node)


@lru_cache(maxsize=20_000)
def spelled(node: sp.Basic) -> str:
    """What ``str`` gives, each distinct part of it worked out once."""
    return str(StrPrinter._print(_Speller(), node))


class _Speller(StrPrinter):  # type: ignore[misc]
    """SymPy's printer of text, which asks for parts that have been spelled before."""

    def _print(self, expr: object, **settings: object) -> str:
        if isinstance(expr, sp.Expr) and expr.args and not settings:
            return spelled(expr)
        return str(super()._print(expr, **settings))


def is_plain_number(node: sp.Basic) -> bool:
    """Whether an expression is made of numbers alone, told without a look at all of a long one."""
    if isinstance(node, sp.Number | sp.NumberSymbol):
        return True
    return isinstance(node, sp.Pow | sp.Mul | sp.Add) and all(is_plain_number(arg) for arg in node.args)


def is_kronecker(node: sp.Basic) -> bool:
    """Whether this is one where indices are equal and zero elsewhere."""
    return isinstance(node, sp.KroneckerDelta | Bracket)


def ordered_factors(factors: list[sp.Expr], names: Names) -> list[sp.Expr]:
    """Factors in the order of paper.

    >>> a, y = sp.Symbol("a", real=True), sp.Symbol("y", real=True)
    >>> ordered_factors([a, 1 - a, a - y], Names())
    [a - y, a, 1 - a]
    """
    around = frozenset(factors)
    return sorted(factors, key=lambda factor: _factor_key(factor, names, around))


def _factor_key(node: sp.Expr, names: Names, around: frozenset[sp.Expr] = frozenset()) -> Key:
    if is_plain_number(node):
        return (0, (), 0, _Spelled(node))
    base = node.base if isinstance(node, sp.Pow) else node
    return (*_factor_place(base, names, around), _Spelled(node))


def _factor_place(base: sp.Expr, names: Names, around: frozenset[sp.Expr]) -> Key:
    """Rank, then place among its like; a ``1 - a`` goes right behind an ``a`` that it is multiplied with."""
    role = names.role(base) if isinstance(base, sp.Indexed | sp.Symbol) else None
    if isinstance(base, sp.Add):
        return _difference_place(base, names, around)
    if role is not None:
        return (_FACTOR_RANKS.get(role, _OPEN), _position(base, names, down=True), 0)
    rank = _PARTIAL if _follows_another(base, around) else _rank_by_type(base)
    return (rank, _position(base, names, down=True), 0)


def _follows_another(base: sp.Expr, around: frozenset[sp.Expr]) -> bool:
    """Whether a partial derivative goes on where another ends, as the second of the chain rule does."""
    others = (other for other in around if isinstance(other, Partial))
    return isinstance(base, Partial) and any(other.wrt == base.of for other in others)


def _rank_by_type(base: sp.Expr) -> int:
    if isinstance(base, Partial):
        return 3 if not base.of.has(sp.Indexed) else _PARTIAL
    if isinstance(base, ScalarFunction):
        return _SLOPE if base.order else 10
    if isinstance(base, sp.Piecewise):
        return _SLOPE
    if isinstance(base, sp.sign):
        return _EARLY
    if is_kronecker(base):
        return _KRONECKER
    if isinstance(base, sp.Sum):
        return _SUM
    if isinstance(base, sp.Indexed):
        return 10
    return _OPEN if isinstance(base, sp.Symbol | sp.NumberSymbol | sp.Pow) else _FUNCTION


def _difference_place(base: sp.Add, names: Names, around: frozenset[sp.Expr]) -> Key:
    if any(holds_sum(term) for term in base.args):
        return (_TALL, (), 0)
    if any(has_kronecker(term) for term in base.args):
        return (_LATE, (), 0)
    rest = [term for term in base.args if not is_plain_number(term)]
    if len(rest) == len(base.args):
        return (_EARLY, (), 0)
    partners = sorted(around & {f for term in rest for f in split_product(term)}, key=str)
    if not partners:
        return (_LATE, (), 0)
    rank, position, _ = _factor_place(partners[0], names, frozenset())
    return (rank, position, 1)


def holds_sum(term: sp.Expr) -> bool:
    """Whether a sum is one of the factors of a term."""
    return any(isinstance(factor, sp.Sum) for factor in split_product(term))


def has_kronecker(term: sp.Expr) -> bool:
    """Whether a Kronecker delta is one of the factors of a term."""
    return any(is_kronecker(factor) for factor in split_product(term))


def term_key(term: sp.Expr, names: Names) -> Key:
    """Where a term stands in a sum, as long as its sign doesn't matter.

    >>> a, y = sp.Symbol("a", real=True), sp.Symbol("y", real=True)
    >>> sorted([-y, a, sp.Integer(1)], key=lambda term: term_key(term, Names()))
    [1, a, -y]
    """
    factors = [factor for factor in split_product(term) if not is_plain_number(factor)]
    bases = [factor.base if isinstance(factor, sp.Pow) else factor for factor in factors]
    degree = sum(abs(float(f.exp)) if isinstance(f, sp.Pow) and f.exp.is_Number else 1.0 for f in factors)
    ranks = tuple(sorted(_term_rank(base, names) for base in bases))
    spots = tuple(_position(base, names) for base in sorted(bases, key=lambda b: _factor_key(b, names)))
    complexity = sum(isinstance(base, sp.Add) for base in bases)
    return (_category(factors), complexity, ranks, degree, spots, _Spelled(term))


def _category(factors: list[sp.Expr]) -> int:
    if not factors:
        return 0
    if any(is_kronecker(f) or isinstance(f, ExplicitPartial) for f in factors):
        return 1
    if any(isinstance(f, sp.Piecewise) for f in factors):
        return 4
    return 2 if any(isinstance(f, sp.Sum) for f in factors) else 3


def _term_rank(base: sp.Expr, names: Names) -> int:
    if isinstance(base, sp.Sum):
        return _term_rank(_leading(base, names), names)
    if isinstance(base, sp.Add):
        ranks = [
            _term_rank(f, names) for term in base.args for f in split_product(term) if not is_plain_number(f)
        ]
        return min(ranks, default=0)
    if isinstance(base, sp.Indexed | sp.Symbol):
        role = names.role(base)
        return _TERM_RANKS.get(role, 5) if role is not None else 5
    if isinstance(base, Partial):
        return 3
    return 6


def _leading(total: sp.Sum, names: Names) -> sp.Expr:
    """What is printed first of the product that a sum adds up."""
    first = ordered_factors([f for f in split_product(total.function) if not is_plain_number(f)], names)
    leading = first[0] if first else total.function
    return leading.base if isinstance(leading, sp.Pow) else leading


def _position(base: sp.Expr, names: Names, down: bool = False) -> Key:
    """Layer and indices of an entry; factors go from the last layer down, terms go up."""
    if isinstance(base, sp.Sum):
        return _position(_leading(base, names), names, down)
    if isinstance(base, sp.exp):
        return (float(base.args[0].as_coeff_Mul()[0].is_negative),)
    if not isinstance(base, sp.Indexed | sp.Symbol):
        return ()
    quantity = names.quantity(base)
    layer = _layer_height(quantity.layer) if quantity is not None and quantity.layer is not None else 0.0
    indices = base.indices if isinstance(base, sp.Indexed) else ()
    return (-layer if down else layer, tuple(_index_key(i) for i in indices), base_name(base))


def _layer_height(layer: sp.Expr) -> float:
    """A number by which layers compare: the last layer is above any other, ``l + 1`` above ``l``."""
    return float(layer.xreplace({s: 10**6 if str(s) == "L" else 10**3 for s in layer.free_symbols}))


def _index_key(index: sp.Expr) -> Key:
    return (0, int(index), "") if isinstance(index, sp.Integer) else (1, 0, base_name(index))


def ordered_terms(terms: list[tuple[sp.Expr, bool]], names: Names) -> list[sp.Expr]:
    """Terms, each with whether it is negative, in the order of paper: a positive one leads.

    Fractions keep the simplest one in front whatever its sign: ``-y/a + (1 - y)/(1 - a)``.
    """
    ranked = sorted(terms, key=lambda term: term_key(term[0], names))
    if all(_is_fraction(term) for term, _ in ranked):
        return [term for term, _ in ranked]
    lead = next((item for item in ranked if not item[1]), ranked[0])
    return [lead[0], *(term for term, negative in ranked if (term, negative) != lead)]


def leads_with_minus(node: sp.Add, negative: dict[sp.Expr, bool], names: Names) -> bool:
    """Whether the term that would come first if signs didn't matter is a negative one."""
    return negative[min(node.args, key=lambda term: term_key(term, names))]


def _is_fraction(term: sp.Expr) -> bool:
    return any(
        isinstance(factor, sp.Pow) and factor.exp.is_negative and not is_plain_number(factor.base)
        for factor in split_product(term)
    )
