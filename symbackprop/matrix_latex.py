r"""Array expressions as LaTeX: column vectors, matrices, transposes and the Hadamard product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import singledispatch

import sympy as sp

from symbackprop.arrays import Array, Entry, Map, MatMul, Outer, Total, Transpose
from symbackprop.errors import NoRule
from symbackprop.functions import ScalarFunction
from symbackprop.latex import Printer
from symbackprop.pieces import (
    Binding,
    Piece,
    Token,
    at_least,
    atom,
    joined_product,
    joined_sum,
    parenthesised,
    prefixed,
    tex,
)
from symbackprop.symbols import Names, function_name, whole

HADAMARD = Token(r"\sbphadamard", 1, "{}")
DIVISION = Token(r"\oslash", 1, "{}")


def matrix_latex(array: Array, names: Names, batch: bool = False) -> str:
    """An array expression as LaTeX on one line; with ``batch`` the matrices hold one row an example.

    Raises:
        NoRule: for what has no matrix form, by its name.
    """
    return tex(_piece(array, _Matrix(Printer(names), batch)))


@dataclass(frozen=True)
class _Matrix:
    printer: Printer
    batch: bool

    @property
    def names(self) -> Names:
        return self.printer.names


@singledispatch
def _piece(array: Array, matrix: _Matrix) -> Piece:
    raise NoRule(f"no matrix form is known for {type(array).__name__}: use the index form")


@_piece.register
def _(array: Entry, matrix: _Matrix) -> Piece:
    return atom(whole(array.quantity, matrix.names, matrix.batch))


@_piece.register
def _(array: Transpose, matrix: _Matrix) -> Piece:
    return atom(rf"\sbptranspose{{{tex(_piece(array.arg, matrix))}}}")


@_piece.register
def _(array: MatMul, matrix: _Matrix) -> Piece:
    left = array.left if len(array.left.dims) > 1 else Transpose(array.left)
    factors = [at_least(_piece(side, matrix), Binding.PRODUCT) for side in (left, array.right)]
    return joined_product(factors)


@_piece.register
def _(array: Outer, matrix: _Matrix) -> Piece:
    row = Transpose(array.right)
    return joined_product([at_least(_piece(array.left, matrix), Binding.PRODUCT), _piece(row, matrix)])


@_piece.register
def _(array: Total, matrix: _Matrix) -> Piece:
    """A sum over all entries is a product with a vector of ones."""
    if array.log_exp or len(array.arg.dims) > 1:
        raise NoRule("no matrix form is known for a sum along one axis of a matrix: use the index form")
    if isinstance(array.arg, Map) and isinstance(array.arg.expr, sp.Mul) and len(array.arg.operands) == 2:
        first, second = (operand.symbol for operand in array.arg.operands)
        if array.arg.expr == first * second:
            left, right = (operand.array for operand in array.arg.operands)
            return joined_product([_piece(Transpose(left), matrix), _piece(right, matrix)])
    inner = at_least(_piece(array.arg, matrix), Binding.ATOM)
    return joined_product([atom(r"\sbptranspose{\mathbf{1}}"), inner])


@_piece.register
def _(array: Map, matrix: _Matrix) -> Piece:
    scope = _Scope(matrix, {o.symbol: _Part(_piece(o.array, matrix), o.array) for o in array.operands})
    return scope.piece(array.expr)


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

    def piece(self, expr: sp.Expr) -> Piece:
        if expr in self.parts:
            return self.parts[expr].piece
        if self.is_scalar(expr):
            return self.matrix.printer.piece(expr)
        if isinstance(expr, sp.Add):
            return self.sum(expr)
        if isinstance(expr, sp.Mul):
            return self.product(expr)
        if isinstance(expr, sp.Pow):
            return self.power(expr)
        if isinstance(expr, ScalarFunction):
            name = function_name(expr.letter, expr.order, self.matrix.names)
            return prefixed(name, parenthesised(self.piece(expr.args[0])))
        return self.other(expr)

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
        for place, factor in enumerate([*above, *below]):
            piece = at_least(self.factor(factor, len(arrays) > 1), Binding.PRODUCT)
            if place:
                tokens.append(DIVISION if factor in below else HADAMARD)
            tokens += [replace(piece.tokens[0], cost=None), *piece.tokens[1:]]
        joined = Piece(tuple(tokens), Binding.PRODUCT)
        if scalar == 1:
            return joined
        if scalar == -1:
            return replace(joined, negative=True)
        return joined_product([self.matrix.printer.piece(scalar), joined])

    def factor(self, expr: sp.Expr, several: bool) -> Piece:
        """One factor; a product with a matrix stands in parentheses beside other factors."""
        piece = self.piece(expr)
        matrix = expr in self.parts and isinstance(self.parts[expr].array, MatMul)
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
            return Piece((Token(r"\mathbf{1}"), DIVISION, *inner.tokens), Binding.PRODUCT)
        raise NoRule(f"no matrix form is known for the power {expr.exp} of a vector: use the index form")

    def other(self, expr: sp.Expr) -> Piece:
        """A function or a bracket entry by entry: the scalar printer, with arrays for its symbols."""
        stand_ins = {s: sp.Symbol(f"sbp{n}", real=True) for n, s in enumerate(self.parts)}
        text = tex(self.matrix.printer.piece(expr.xreplace(stand_ins)))
        for symbol, stand_in in stand_ins.items():
            printed = tex(self.matrix.printer.piece(stand_in))
            text = text.replace(printed, tex(self.parts[symbol].piece))
        return atom(text, binding=Binding.PRODUCT)


def _inverse(factor: sp.Expr) -> bool:
    _, exponent = factor.as_base_exp()
    return bool(exponent.is_number and exponent.is_negative) and not isinstance(factor, sp.exp)
