r"""Array expressions as LaTeX: column vectors, matrices, transposes and the Hadamard product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, singledispatch

import sympy as sp

from symbackprop.algebra.equations import DERIVATIVE_ROLES, Quantity
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.code.arrays import (
    Array,
    Entry,
    Map,
    MatMul,
    Operand,
    Outer,
    Softmax,
    Total,
    Transpose,
)
from symbackprop.errors import NoRule
from symbackprop.notation.macros import function_macro
from symbackprop.printing.latex import OPERATORS, RELATIONS, Printer, Style, indicated, ordered_conditions
from symbackprop.printing.measure import expanded
from symbackprop.printing.pieces import (
    Binding,
    Piece,
    Token,
    at_least,
    atom,
    joined_product,
    joined_sum,
    parenthesised,
    prefixed,
    signed,
    tex,
)
from symbackprop.printing.rows import broken
from symbackprop.printing.symbols import Names, function_name, whole

HADAMARD = Token(r"\sbphadamard", 1, "{}")
DIVISION = Token(r"\sbphadamarddivision", 1, "{}")
ONES, ROW_OF_ONES = atom(r"\sbpones"), atom(r"\sbptransposeplain{\sbpones}")


def matrix_latex(array: Array, names: Names, batch: bool = False, transposed: bool = False) -> str:
    """An array expression as LaTeX on one line, as the notation lays matrices out.

    The engine's vectors are columns, its weights lead from their second axis to their first, and a
    batch holds one row an example. Where a notation has a row for a vector, say, its symbol is printed
    where the engine's column is transposed, and its transpose where the engine's isn't.

    Args:
        array: what is printed.
        names: how quantities are called.
        batch: whether vectors have one entry an example, and are matrices.
        transposed: whether the transpose of the array is printed.

    Raises:
        NoRule: for what has no matrix form, by its name.
    """
    return tex(_Matrix(Printer(names), batch).piece(array, transposed))


def matrix_rows(array: Array, names: Names, batch: bool, transposed: bool, budget: float) -> list[str]:
    """An array expression as rows of LaTeX, each at most ``budget`` characters wide where that can be."""
    return broken(signed(_Matrix(Printer(names), batch).piece(array, transposed)), names.notation, budget)


def formula_of_whole(array: Array, names: Names, batch: bool, transposed: bool) -> str | None:
    """The formula of an activation of a whole vector, which is printed by its name; ``None`` for another."""
    inner = _softmax_in(array)
    if inner is None:
        return None
    matrix = _Matrix(Printer(names), batch)
    value, total = sp.symbols("u t", real=True)
    places = tuple(range(len(inner.dims)))
    argument = Operand(value, inner.arg, places)
    exponentials = Map(sp.exp(value), (argument,), inner.dims)
    over = Total(exponentials, inner.axis)
    if not inner.log and not over.dims:
        above, below = matrix.piece(exponentials, transposed), matrix.piece(over, False)
        return rf"\frac{{{tex(above)}}}{{{tex(below)}}}"
    operands = (argument, Operand(total, over, tuple(place for place in places if place != inner.axis)))
    formula = value - sp.log(total) if inner.log else sp.exp(value) / total
    return tex(matrix.piece(Map(formula, operands, inner.dims), transposed))


def _softmax_in(array: Array) -> Softmax | None:
    """What an array consists of, if that is all of it."""
    if isinstance(array, Map) and len(array.operands) == 1 and array.expr == array.operands[0].symbol:
        array = array.operands[0].array
    return array if isinstance(array, Softmax) else None


def is_transposed(quantity: Quantity, names: Names, batch: bool = False) -> bool:
    """Whether the symbol of a quantity stands for the transpose of what the engine has.

    >>> from symbackprop.algebra.equations import Role
    >>> from symbackprop.notation.notation import load_notation
    >>> n = sp.Symbol("n", integer=True, positive=True)
    >>> weight = Quantity("W1", "W", Role.WEIGHT, sp.Integer(1), (n, n))
    >>> is_transposed(weight, Names()), is_transposed(weight, Names(load_notation("cs231n")))
    (False, True)
    """
    layout = names.notation.layout
    of = quantity.of if quantity.of is not None and quantity.role in DERIVATIVE_ROLES else quantity
    rows = layout.vectors == "rows"
    if batch and quantity.dims and str(quantity.dims[0]) == "N":
        rows = layout.examples == "columns"
    derivative = of is not quantity and layout.derivatives == "numerator"
    return bool(of.dims) and rows != derivative


@dataclass(frozen=True)
class _Matrix:
    printer: Printer
    batch: bool

    @property
    def names(self) -> Names:
        return self.printer.names

    def piece(self, array: Array, transposed: bool) -> Piece:
        """An array, or its transpose."""
        return _piece(array, self, transposed)

    def factor(self, array: Array, transposed: bool) -> Piece:
        """A factor of a matrix product, in parentheses where it is a sum or a product entry by entry."""
        piece = self.piece(array, transposed)
        if HADAMARD in piece.tokens or DIVISION in piece.tokens:
            return parenthesised(piece)
        return at_least(piece, Binding.PRODUCT)


@singledispatch
def _piece(array: Array, matrix: _Matrix, transposed: bool) -> Piece:
    raise NoRule(f"no matrix form is known for {type(array).__name__}: use the index form")


@_piece.register
def _(array: Entry, matrix: _Matrix, transposed: bool) -> Piece:
    symbol = whole(array.quantity, matrix.names, matrix.batch)
    if not array.dims or is_transposed(array.quantity, matrix.names, matrix.batch) == transposed:
        return atom(symbol)
    return atom(_transposed(symbol, matrix.names))


def _transposed(symbol: str, names: Names) -> str:
    """The transpose of a symbol; one that has no superscript needs no parentheses."""
    plain = "^" not in expanded(symbol, names.notation)
    return rf"\sbptransposeplain{{{symbol}}}" if plain else rf"\sbptranspose{{{symbol}}}"


@_piece.register
def _(array: Transpose, matrix: _Matrix, transposed: bool) -> Piece:
    return matrix.piece(array.arg, not transposed)


@_piece.register
def _(array: MatMul, matrix: _Matrix, transposed: bool) -> Piece:
    """A product; a vector on the left of a matrix is a row, so their column is that of the transposes."""
    left, right, flipped = array.left, array.right, transposed
    if len(left.dims) == 1 and len(right.dims) > 1:
        left, right = Transpose(right), left
    elif len(left.dims) == 1:
        left, flipped = Transpose(left), False
    first, second = (right, left) if flipped else (left, right)
    return joined_product([matrix.factor(first, flipped), matrix.factor(second, flipped)])


@_piece.register
def _(array: Outer, matrix: _Matrix, transposed: bool) -> Piece:
    column, row = (array.right, array.left) if transposed else (array.left, array.right)
    return joined_product([matrix.factor(column, False), matrix.factor(row, True)])


@_piece.register
def _(array: Total, matrix: _Matrix, transposed: bool) -> Piece:
    """A sum along an axis is a product with a vector of ones."""
    if array.log_exp:
        raise NoRule("no matrix form is known for the logarithm of a sum: use the index form")
    if len(array.arg.dims) > 1:
        inner = matrix.factor(array.arg, (array.axis == 0) != transposed)
        return joined_product([ROW_OF_ONES, inner] if transposed else [inner, ONES])
    if isinstance(array.arg, Map) and isinstance(array.arg.expr, sp.Mul) and len(array.arg.operands) == 2:
        first, second = (operand.symbol for operand in array.arg.operands)
        if array.arg.expr == first * second:
            left, right = (operand.array for operand in array.arg.operands)
            return joined_product([matrix.piece(left, True), matrix.piece(right, False)])
    rows = matrix.names.notation.layout.vectors == "rows"
    inner = at_least(matrix.piece(array.arg, rows), Binding.ATOM)
    return joined_product([inner, ONES] if rows else [ROW_OF_ONES, inner])


@_piece.register
def _(array: Softmax, matrix: _Matrix, transposed: bool) -> Piece:
    """The function by its name: what it does to a whole vector, :func:`formula_of_whole` says."""
    name = function_macro("log_softmax" if array.log else "softmax")
    return prefixed(rf"\{name}", parenthesised(matrix.piece(array.arg, transposed)))


@_piece.register
def _(array: Map, matrix: _Matrix, transposed: bool) -> Piece:
    parts = {o.symbol: _Part(_operand(o, array, matrix, transposed), o.array) for o in array.operands}
    return _Scope(matrix, parts).piece(array.expr)


def _operand(operand: Operand, array: Map, matrix: _Matrix, transposed: bool) -> Piece:
    """An operand; a vector beside matrices is repeated by a product with a vector of ones."""
    if len(operand.places) == len(array.shape) or not operand.array.dims:
        return matrix.piece(operand.array, transposed)
    row_wise = (operand.places == (0,)) == transposed
    vector = matrix.factor(operand.array, row_wise)
    return joined_product([ONES, vector] if row_wise else [vector, ROW_OF_ONES])


@dataclass(frozen=True)
class _Part:
    piece: Piece
    array: Array

    @property
    def scalar(self) -> bool:
        return not self.array.dims


@dataclass(frozen=True)
class _Scope:
    """Prints an elementwise expression whose symbols stand for arrays."""

    matrix: _Matrix
    parts: Mapping[sp.Symbol, _Part]

    @cached_property
    def printer(self) -> Printer:
        """Prints what has no arrays in it; a number made of arrays as what it stands for."""
        numbers = {s: at_least(part.piece, Binding.ATOM) for s, part in self.parts.items() if part.scalar}
        known = {(style, symbol): piece for style in Style for symbol, piece in numbers.items()}
        return replace(self.matrix.printer, known=known)

    def piece(self, expr: sp.Expr) -> Piece:
        if expr in self.parts:
            return self.parts[expr].piece
        if self.is_scalar(expr):
            return self.printer.piece(expr)
        if isinstance(expr, sp.Add):
            return self.sum(expr)
        if isinstance(expr, sp.Mul):
            return self.product(expr)
        if isinstance(expr, sp.Pow):
            return self.power(expr)
        if isinstance(expr, ScalarFunction):
            name = function_name(expr.letter, expr.order, self.matrix.names, self.entry(expr.args[0]))
            return prefixed(name, parenthesised(self.piece(expr.args[0])))
        return self.other(expr)

    def entry(self, expr: sp.Expr) -> sp.Basic | None:
        """The base of the quantity that a symbol stands for, if it stands for a whole one."""
        part = self.parts.get(expr)
        return part.array.quantity.symbol if part is not None and isinstance(part.array, Entry) else None

    def is_scalar(self, expr: sp.Expr) -> bool:
        return all(self.parts[s].scalar for s in expr.free_symbols if s in self.parts)

    def sum(self, expr: sp.Add) -> Piece:
        terms = [(self.piece(term), self.key(term)) for term in expr.args]
        ordered = sorted(terms, key=lambda item: (item[0].negative, item[1]))
        return joined_sum([piece for piece, _ in ordered])

    def key(self, term: sp.Expr) -> tuple[int, str]:
        """Numbers first, then products with a matrix, then entries by what they are."""
        arrays = [self.parts[s].array for s in term.free_symbols if s in self.parts]
        rank = 0 if not arrays else 1 if any(isinstance(a, MatMul) for a in arrays) else 2
        roles = [a.quantity.role.value for a in arrays if isinstance(a, Entry)]
        return rank, min(roles, default="")

    def product(self, expr: sp.Mul) -> Piece:
        """Scalars in front, the arrays joined by the Hadamard sign, divisors by its inverse."""
        scalar = sp.Mul(*(factor for factor in expr.args if self.is_scalar(factor)))
        arrays = [factor for factor in expr.args if not self.is_scalar(factor)]
        above = sorted((f for f in arrays if not _inverse(f)), key=self.factor_key)
        below = sorted((1 / f for f in arrays if _inverse(f)), key=self.factor_key)
        tokens: list[Token] = []
        height = 0
        for place, factor in enumerate([*above, *below]):
            piece = at_least(self.factor(factor, len(arrays) > 1), Binding.PRODUCT)
            if place:
                tokens.append(DIVISION if factor in below else HADAMARD)
            tokens += [replace(piece.tokens[0], cost=None), *piece.tokens[1:]]
            height = max(height, piece.height)
        joined = Piece(tuple(tokens), Binding.PRODUCT, height)
        if scalar == 1:
            return joined
        if scalar == -1:
            return replace(joined, negative=True)
        return joined_product([self.printer.piece(scalar), joined])

    def factor(self, expr: sp.Expr, several: bool) -> Piece:
        """One factor; a product with a matrix stands in parentheses beside other factors."""
        piece = self.piece(expr)
        matrix = expr in self.parts and piece.binding is Binding.PRODUCT and len(piece.tokens) > 1
        return parenthesised(piece) if matrix and several else piece

    def factor_key(self, expr: sp.Expr) -> tuple[int, int, str]:
        rank, role = self.key(expr)
        constant = isinstance(expr, sp.Add) and expr.as_coeff_Add()[0] != 0
        return (3 if constant else 1 if isinstance(expr, sp.Add) else rank, rank, role)

    def power(self, expr: sp.Pow) -> Piece:
        if expr.exp == 2:
            inner = at_least(self.piece(expr.base), Binding.ATOM)
            return Piece((*inner.tokens, HADAMARD, *inner.tokens), Binding.PRODUCT)
        if expr.exp == -1:
            inner = at_least(self.piece(expr.base), Binding.ATOM)
            return Piece((Token(r"\sbpones"), DIVISION, *inner.tokens), Binding.PRODUCT)
        raise NoRule(f"no matrix form is known for the power {expr.exp} of a vector: use the index form")

    def other(self, expr: sp.Expr) -> Piece:
        """A function, or cases, entry by entry."""
        if isinstance(expr, sp.Piecewise):
            return self.cases(expr)
        if isinstance(expr, sp.Abs):
            inner = replace(self.piece(expr.args[0]), negative=False)
            return parenthesised(inner, r"\lvert", r"\rvert")
        name = OPERATORS.get(type(expr))
        if name is None or len(expr.args) != 1:
            raise NoRule(f"no matrix form is known for {type(expr).__name__}: use the index form")
        return prefixed(name, parenthesised(self.piece(expr.args[0])))

    def cases(self, expr: sp.Piecewise) -> Piece:
        """A bracket, or each value with its condition."""
        condition = indicated(expr)
        if condition is not None:
            return atom(rf"\sbpbracket{{{self.condition(condition)}}}")
        rows = []
        for value, when in expr.args:
            shown = r"\sbpotherwise" if when == sp.true else rf"\sbpif {self.condition(when)}"
            rows.append(rf"{tex(self.piece(value))} & {shown}")
        text = r"\begin{cases} " + r" \\ ".join(rows) + r" \end{cases}"
        return Piece((Token(text),), Binding.PRODUCT, 4, open_end=True)

    def condition(self, condition: sp.Basic) -> str:
        """A comparison, or several of them joined."""
        if isinstance(condition, sp.And | sp.Or):
            joint = r" \land " if isinstance(condition, sp.And) else r" \lor "
            nested = isinstance(condition, sp.And) and condition.has(sp.Or)
            shown = (self.condition(part) for part in ordered_conditions(condition))
            return joint.join(f"({text})" if nested else text for text in shown)
        sign = RELATIONS.get(type(condition))
        if sign is None:
            raise NoRule(f"no matrix form is known for the condition {condition}: use the index form")
        left, right = (tex(self.piece(side)) for side in condition.args)
        return f"{left} {sign} {right}"


def _inverse(factor: sp.Expr) -> bool:
    _, exponent = factor.as_base_exp()
    return bool(exponent.is_number and exponent.is_negative) and not isinstance(factor, sp.exp)
