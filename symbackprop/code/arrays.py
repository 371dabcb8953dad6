"""The vectorised program: index equations as array expressions, for people and for code.

An array expression is positional: its axes have an order and sizes, but no letters. A matrix product
appears where an index is summed over, a transpose where that index stands in the other place. The
matrix form of the text and the batch code are both printed from these nodes, and :func:`entry_of`
says what entry an array expression has, so each is checked against the index equation it came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch

import sympy as sp

from symbackprop.algebra.equations import Equation, Quantity
from symbackprop.algebra.indices import (
    at_indices,
    free_indices,
    fresh_index,
    outermost,
    put_in,
    split_product,
    total,
)
from symbackprop.algebra.layers import LayerSum
from symbackprop.errors import NoRule

Dims = tuple[sp.Expr, ...]
Letters = tuple[sp.Symbol, ...]


@dataclass(frozen=True)
class Array:
    """Base of the nodes; ``dims`` are the sizes of the axes."""

    @property
    def dims(self) -> Dims:
        raise NotImplementedError


@dataclass(frozen=True)
class Entry(Array):
    """A whole named quantity."""

    quantity: Quantity

    @property
    def dims(self) -> Dims:
        return self.quantity.dims


@dataclass(frozen=True)
class Transpose(Array):
    """A matrix with its two axes swapped."""

    arg: Array

    @property
    def dims(self) -> Dims:
        return tuple(reversed(self.arg.dims))


@dataclass(frozen=True)
class MatMul(Array):
    """The sum over the last axis of ``left`` and the first of ``right``."""

    left: Array
    right: Array

    @property
    def dims(self) -> Dims:
        return self.left.dims[:-1] + self.right.dims[1:]


@dataclass(frozen=True)
class Outer(Array):
    """The product of every entry of one vector with every entry of another."""

    left: Array
    right: Array

    @property
    def dims(self) -> Dims:
        return self.left.dims + self.right.dims


@dataclass(frozen=True)
class Total(Array):
    """The sum over one axis, or the logarithm of the sum of the exponentials over it."""

    arg: Array
    axis: int
    log_exp: bool = False

    @property
    def dims(self) -> Dims:
        return self.arg.dims[: self.axis] + self.arg.dims[self.axis + 1 :]


@dataclass(frozen=True)
class LayerTotal(Array):
    """The sum over all layers of a number that belongs to a layer."""

    arg: Array
    layer: sp.Symbol
    last: sp.Expr

    @property
    def dims(self) -> Dims:
        return self.arg.dims


@dataclass(frozen=True)
class Softmax(Array):
    """exp(u) over the sum of exp(u) along one axis, or the logarithm of that.

    It is one node, since code computes it in a stable way.
    """

    arg: Array
    axis: int
    log: bool = False

    @property
    def dims(self) -> Dims:
        return self.arg.dims


@dataclass(frozen=True)
class LogComplement(Array):
    """log(1 - p) for the softmax p along one axis: the logarithm of what the others share."""

    arg: Array
    axis: int

    @property
    def dims(self) -> Dims:
        return self.arg.dims


@dataclass(frozen=True)
class Others(Array):
    """The sum over i but j of a weight w_i times the share of j among all but i.

    The share is exp(u_j) over the sum of exp(u_k) for k but i, along one axis of both operands.
    """

    arg: Array
    weight: Array
    axis: int

    @property
    def dims(self) -> Dims:
        return self.arg.dims


@dataclass(frozen=True)
class Einsum(Array):
    """A sum of products with axes shared in a way that no matrix product covers."""

    operands: tuple[Array, ...]
    inputs: tuple[tuple[int, ...], ...]
    output: tuple[int, ...]

    @property
    def dims(self) -> Dims:
        sizes = {
            n: d
            for places, arg in zip(self.inputs, self.operands, strict=True)
            for n, d in zip(places, arg.dims, strict=True)
        }
        return tuple(sizes[number] for number in self.output)


@dataclass(frozen=True)
class Operand:
    """An operand of an elementwise expression: its symbol there, and which axes of the result it has."""

    symbol: sp.Symbol
    array: Array
    places: tuple[int, ...]


@dataclass(frozen=True)
class Map(Array):
    """A scalar expression, entry by entry, in the symbols of its operands."""

    expr: sp.Expr
    operands: tuple[Operand, ...]
    shape: Dims

    @property
    def dims(self) -> Dims:
        return self.shape

    @property
    def axes(self) -> frozenset[int]:
        """The axes that an operand has; along the others every entry is the same."""
        return frozenset(place for operand in self.operands for place in operand.places)


# --- from index expressions to arrays ----------------------------------------------------------


@dataclass(frozen=True)
class Labelled:
    """An array expression with the index letter of each axis, while it is being built."""

    array: Array
    letters: Letters


class Vectoriser:
    """Turns index expressions over known quantities into array expressions."""

    def __init__(self, quantities: Mapping[str, Quantity]) -> None:
        self.quantities = quantities
        self.count = 0

    def equation(self, equation: Equation) -> Array:
        """The right side of an equation as an array with the axes of its left side."""
        return self.array(
            equation.rhs, equation.indices, dict(zip(equation.indices, equation.quantity.dims, strict=True))
        )

    def array(self, expr: sp.Expr, letters: Letters, sizes: Mapping[sp.Symbol, sp.Expr]) -> Array:
        """``expr`` as an array whose axes are these letters, in this order."""
        labelled = self.labelled(expr, letters, dict(sizes))
        if labelled.letters == letters:
            return labelled.array
        aligned = self.align(labelled, letters)
        places = tuple(letters.index(letter) for letter in aligned.letters)
        symbol = self.symbol()
        return Map(symbol, (Operand(symbol, aligned.array, places),), tuple(sizes[i] for i in letters))

    def symbol(self) -> sp.Symbol:
        self.count += 1
        return sp.Symbol(f"_u{self.count}", real=True)

    def labelled(self, expr: sp.Expr, order: Letters, sizes: dict[sp.Symbol, sp.Expr]) -> Labelled:
        """``expr`` with whichever of the letters it depends on, in the given order where it can be chosen."""
        if isinstance(expr, sp.Indexed):
            return self.entry(expr)
        if isinstance(expr, sp.Sum):
            return self.others(expr, order, sizes) or self.contraction(expr, order, sizes)
        outer = self.outer(expr, order, sizes)
        return outer if outer is not None else self.elementwise(expr, order, sizes)

    def entry(self, expr: sp.Indexed) -> Labelled:
        if not all(isinstance(i, sp.Symbol) for i in expr.indices) or len(set(expr.indices)) != expr.rank:
            raise NoRule(f"no array form for {expr}: its indices must be different letters, without shifts")
        return Labelled(Entry(self.quantities[str(expr.base)]), tuple(expr.indices))

    def align(self, labelled: Labelled, order: Letters) -> Labelled:
        """Transpose a matrix whose letters stand in the other order."""
        wanted = tuple(letter for letter in order if letter in labelled.letters)
        if wanted == labelled.letters:
            return labelled
        if wanted == tuple(reversed(labelled.letters)) and len(wanted) == 2:
            return Labelled(transpose(labelled.array), wanted)
        places = tuple(range(len(labelled.letters)))
        output = tuple(labelled.letters.index(letter) for letter in wanted)
        return Labelled(Einsum((labelled.array,), (places,), output), wanted)

    # elementwise

    def elementwise(self, expr: sp.Expr, order: Letters, sizes: dict[sp.Symbol, sp.Expr]) -> Labelled:
        found: dict[sp.Expr, tuple[sp.Symbol, Labelled]] = {}
        body = self.body(expr, order, sizes, found)
        used = {letter for _, labelled in found.values() for letter in labelled.letters}
        letters = tuple(letter for letter in order if letter in used)
        operands = []
        for symbol, labelled in found.values():
            aligned = self.align(labelled, order)
            places = tuple(letters.index(letter) for letter in aligned.letters)
            operands.append(Operand(symbol, aligned.array, places))
        shape = tuple(sizes[letter] for letter in letters)
        return Labelled(Map(body, tuple(operands), shape), letters)

    def body(
        self,
        expr: sp.Expr,
        order: Letters,
        sizes: dict[sp.Symbol, sp.Expr],
        found: dict[sp.Expr, tuple[sp.Symbol, Labelled]],
    ) -> sp.Expr:
        """``expr`` with a symbol for every part that is an array of its own."""
        if expr in found:
            return found[expr][0]
        if isinstance(expr, sp.KroneckerDelta):
            raise NoRule(f"no array form for a Kronecker delta that did not collapse: {expr}")
        special = self.special(expr, order, sizes)
        if special is not None:
            found[expr] = (self.symbol(), special)
            return found[expr][0]
        if not expr.args or isinstance(expr, sp.Symbol):
            return expr
        softmax, rest = self.complement(expr, order, sizes)
        if softmax is None:
            softmax, rest = self.softmax(expr, order, sizes)
        if softmax is not None:
            symbol = found.setdefault(sp.Tuple(expr, "softmax"), (self.symbol(), softmax))[0]
            joined = sp.Mul if isinstance(expr, sp.Mul) else sp.Add
            return joined(symbol, self.body(rest, order, sizes, found))
        return expr.func(*(self.body(arg, order, sizes, found) for arg in expr.args))

    def special(self, expr: sp.Expr, order: Letters, sizes: dict[sp.Symbol, sp.Expr]) -> Labelled | None:
        """Entries, sums, and the logarithm of a sum of exponentials."""
        if isinstance(expr, sp.Indexed):
            return self.entry(expr)
        if isinstance(expr, sp.Sum):
            return self.others(expr, order, sizes) or self.contraction(expr, order, sizes)
        if isinstance(expr, LayerSum):
            return Labelled(LayerTotal(self.labelled(expr.term, (), {}).array, expr.layer, expr.last), ())
        if isinstance(expr, sp.log) and isinstance(expr.args[0], sp.Sum):
            body, bound, upper = outermost(expr.args[0])
            if isinstance(body, sp.exp):
                return self.reduction(body.args[0], bound, order, {**sizes, bound: upper}, log_exp=True)
        return None

    def softmax(
        self, expr: sp.Expr, order: Letters, sizes: dict[sp.Symbol, sp.Expr]
    ) -> tuple[Labelled | None, sp.Expr]:
        """A factor exp(u_j) / sum_i exp(u_i) of a product, or its logarithm in a sum, and the rest."""
        for part, exponential, summed in _softmax_pairs(expr):
            letter = _normaliser(exponential, summed)
            if letter is not None:
                arg = self.labelled(exponential.args[0], order, sizes)
                node = Softmax(arg.array, arg.letters.index(letter), isinstance(expr, sp.Add))
                rest = [f for f in expr.args if f not in part]
                return Labelled(node, arg.letters), expr.func(*rest)
        return None, expr

    def complement(
        self, expr: sp.Expr, order: Letters, sizes: dict[sp.Symbol, sp.Expr]
    ) -> tuple[Labelled | None, sp.Expr]:
        """Terms log(sum_(i but j) exp(u_i)) - log(sum_i exp(u_i)) of a sum, and the rest."""
        terms = sp.Add.make_args(expr) if isinstance(expr, sp.Add | sp.log) else ()
        for log in (term for term in terms if isinstance(term, sp.log)):
            left_out = _left_out(log.args[0])
            if left_out is not None:
                body, bound, _ = outermost(left_out[1])
                own = body.args[0].xreplace({bound: left_out[0]})
                arg = self.labelled(own, order, sizes)
                node = LogComplement(arg.array, arg.letters.index(left_out[0]))
                rest = sp.Add(sp.log(left_out[1]), *(term for term in terms if term != log))
                return Labelled(node, arg.letters), rest
        return None, expr

    def others(self, expr: sp.Sum, order: Letters, sizes: dict[sp.Symbol, sp.Expr]) -> Labelled | None:
        """sum_i w_i (1 - [i = j]) exp(u_j) / sum_k (1 - [k = i]) exp(u_k)."""
        body, bound, _ = outermost(expr)
        factors = split_product(body)
        inverse = [f for f in factors if isinstance(f, sp.Pow) and f.exp == -1 and _left_out(f.base)]
        left_out = _left_out(inverse[0].base) if inverse else None
        if left_out is None or left_out[0] != bound:
            return None
        shared, letter, _ = outermost(left_out[1])
        for index in order:
            own, apart = shared.xreplace({letter: index}), 1 - sp.KroneckerDelta(bound, index)
            if own in factors and apart in factors:
                arg = self.labelled(own.args[0], order, sizes)
                weight = sp.Mul(*(f for f in factors if f not in (own, apart, inverse[0])))
                array = self.array(weight.xreplace({bound: index}), arg.letters, sizes)
                return Labelled(Others(arg.array, array, arg.letters.index(index)), arg.letters)
        return None

    # products and sums

    def outer(self, expr: sp.Expr, order: Letters, sizes: dict[sp.Symbol, sp.Expr]) -> Labelled | None:
        """f_j g_k without a sum: the outer product of two vectors."""
        groups = self.groups(split_product(expr), order)
        if len([letters for letters in groups if letters]) != 2 or any(len(g) > 1 for g in groups):
            return None
        scalar = groups.pop((), sp.S.One)
        (left, f), (right, g) = sorted(groups.items(), key=lambda item: order.index(item[0][0]))
        node = Outer(self.array(scalar * f, left, sizes), self.array(g, right, sizes))
        return Labelled(node, left + right)

    def groups(self, factors: Sequence[sp.Expr], order: Letters) -> dict[Letters, sp.Expr]:
        """The factors of a product, multiplied up by the letters that they depend on."""
        found: dict[Letters, list[sp.Expr]] = {}
        for factor in factors:
            free = free_indices(factor)
            found.setdefault(tuple(letter for letter in order if letter in free), []).append(factor)
        return {letters: sp.Mul(*group) for letters, group in found.items()}

    def contraction(self, expr: sp.Sum, order: Letters, sizes: dict[sp.Symbol, sp.Expr]) -> Labelled:
        """A sum over one index: a matrix product, a sum along an axis, or in general an einsum."""
        body, bound, upper = outermost(expr)
        if bound in order:
            bound = fresh_index(expr, *order)
            body = at_indices(body, (outermost(expr)[1],), (bound,))
        sizes = {**sizes, bound: upper}
        if isinstance(body, sp.Add):
            return self.reduction(body, bound, order, sizes)
        factors = split_product(body)
        outside = [factor for factor in factors if not factor.has(bound)]
        if outside:
            inside = total(sp.Mul(*(f for f in factors if f.has(bound))), (bound, 1, upper))
            return self.labelled(sp.Mul(*outside, inside), order, sizes)
        groups = _merged(self.groups(factors, (*order, bound)))
        if len(groups) == 2:
            return self.product(groups, bound, order, sizes)
        return self.reduction(sp.Mul(*groups.values()), bound, order, sizes)

    def reduction(
        self,
        body: sp.Expr,
        bound: sp.Symbol,
        order: Letters,
        sizes: dict[sp.Symbol, sp.Expr],
        log_exp: bool = False,
    ) -> Labelled:
        inner = self.labelled(body, (*order, bound), sizes)
        rest = tuple(letter for letter in inner.letters if letter != bound)
        in_order = tuple(letter for letter in order if letter in rest) == rest
        aligned = inner if in_order else self.align(inner, (*order, bound))
        axis = aligned.letters.index(bound)
        rest = tuple(letter for letter in aligned.letters if letter != bound)
        return Labelled(Total(aligned.array, axis, log_exp), rest)

    def product(
        self,
        groups: dict[Letters, sp.Expr],
        bound: sp.Symbol,
        order: Letters,
        sizes: dict[sp.Symbol, sp.Expr],
    ) -> Labelled:
        first, second = sorted(groups, key=lambda letters: _place(letters, bound, order))
        shared = set(first) & set(second) - {bound}
        if shared and (set(first) <= set(second) or set(second) <= set(first)):
            return self.reduction(sp.Mul(*groups.values()), bound, order, sizes)
        left = self.labelled(groups[first], (*order, bound), sizes)
        right = self.labelled(groups[second], (bound, *order), sizes)
        if shared or len(left.letters) > 2 or len(right.letters) > 2:
            return _einsum(left, right, bound, order)
        outer_left = tuple(letter for letter in left.letters if letter != bound)
        outer_right = tuple(letter for letter in right.letters if letter != bound)
        left = self.align(left, (*outer_left, bound))
        right = self.align(right, (bound, *outer_right))
        return Labelled(MatMul(left.array, right.array), outer_left + outer_right)


def _softmax_pairs(expr: sp.Expr) -> Iterator[tuple[tuple[sp.Expr, sp.Expr], sp.exp, sp.Expr]]:
    """Pairs of arguments that may be a softmax or its logarithm, with the exponential and the sum in them."""
    if isinstance(expr, sp.Mul):
        for exponential in (f for f in expr.args if isinstance(f, sp.exp)):
            for inverse in (f for f in expr.args if isinstance(f, sp.Pow) and f.exp == -1):
                yield (exponential, inverse), exponential, inverse.base
    if isinstance(expr, sp.Add):
        for log in (t for t in expr.args if isinstance(-t, sp.log)):
            for term in (t for t in expr.args if t != log and isinstance(t, sp.Indexed)):
                yield (term, log), sp.exp(term), (-log).args[0]


def _left_out(total: sp.Expr) -> tuple[sp.Symbol, sp.Sum] | None:
    """For a sum of exponentials over every i but j: the j, and the sum over every i."""
    if not isinstance(total, sp.Sum):
        return None
    body, bound, size = outermost(total)
    apart = [f for f in split_product(body) if isinstance(1 - f, sp.KroneckerDelta) and f.has(bound)]
    if len(apart) != 1 or not isinstance(body / apart[0], sp.exp):
        return None
    (index,) = set((1 - apart[0]).args) - {bound}
    return index, sp.Sum(body / apart[0], (bound, 1, size))


def _normaliser(exponential: sp.exp, total: sp.Expr) -> sp.Symbol | None:
    """The letter j for which ``total`` is the sum of the exponential over all j."""
    if not isinstance(total, sp.Sum) or not isinstance(total.function, sp.exp):
        return None
    bound = outermost(total)[1]
    for letter in sorted(exponential.free_symbols - total.free_symbols, key=str):
        if isinstance(letter, sp.Symbol) and total.function.xreplace({bound: letter}) == exponential:
            return letter
    return None


def _merged(groups: dict[Letters, sp.Expr]) -> dict[Letters, sp.Expr]:
    """At most two groups, by joining those that add the fewest letters."""
    while len(groups) > 2:
        pairs = [(len(set(f) | set(g)), f, g) for f in groups for g in groups if f != g]
        _, f, g = min(pairs, key=lambda pair: (pair[0], str(pair[1:])))
        letters = f if len(f) >= len(g) else g
        rest = tuple(letter for letter in (*f, *g) if letter not in letters)
        joined = tuple(dict.fromkeys((*rest, *letters)))
        product = groups.pop(f) * groups.pop(g)
        groups[joined] = product * groups.pop(joined, sp.S.One)
    return groups


def _place(letters: Letters, bound: sp.Symbol, order: Letters) -> tuple[bool, int]:
    """Where a factor stands in a matrix product: the one whose letter comes first stands left."""
    own = [order.index(letter) for letter in letters if letter != bound]
    return (not own, min(own, default=len(order)))


def _einsum(left: Labelled, right: Labelled, bound: sp.Symbol, order: Letters) -> Labelled:
    numbers = {
        letter: n for n, letter in enumerate(dict.fromkeys((*order, bound, *left.letters, *right.letters)))
    }
    letters = tuple(letter for letter in order if letter in left.letters or letter in right.letters)
    inputs = tuple(tuple(numbers[letter] for letter in side.letters) for side in (left, right))
    node = Einsum((left.array, right.array), inputs, tuple(numbers[letter] for letter in letters))
    return Labelled(node, letters)


def transpose(array: Array) -> Array:
    """The transpose, with a double one taken away."""
    return array.arg if isinstance(array, Transpose) else Transpose(array)


# --- what an array expression means ------------------------------------------------------------


def entry_of(array: Array, indices: Sequence[sp.Expr]) -> sp.Expr:
    """The entry of an array expression at these indices, as an index expression, by position alone.

    Raises:
        NoRule: where the sizes of a product or of an elementwise operand don't fit.
    """
    if len(indices) != len(array.dims):
        raise NoRule(f"an array with {len(array.dims)} axes has no entry with {len(indices)} indices")
    return _entry_of(array, tuple(indices))


@singledispatch
def _entry_of(array: Array, indices: tuple[sp.Expr, ...]) -> sp.Expr:
    raise NoRule(f"no meaning is known for {type(array).__name__}")


@_entry_of.register
def _(array: Entry, indices: tuple[sp.Expr, ...]) -> sp.Expr:
    return array.quantity[indices] if indices else array.quantity.symbol


@_entry_of.register
def _(array: Transpose, indices: tuple[sp.Expr, ...]) -> sp.Expr:
    return entry_of(array.arg, tuple(reversed(indices)))


@_entry_of.register
def _(array: MatMul, indices: tuple[sp.Expr, ...]) -> sp.Expr:
    size = array.left.dims[-1]
    if size != array.right.dims[0]:
        raise NoRule(f"a matrix product of {array.left.dims} and {array.right.dims} doesn't fit")
    rank = len(array.left.dims) - 1
    bound = fresh_index(*indices, sp.Integer(0))
    left = entry_of(array.left, (*indices[:rank], bound))
    right = entry_of(array.right, (bound, *indices[rank:]))
    return total(left * right, (bound, 1, size))


@_entry_of.register
def _(array: Outer, indices: tuple[sp.Expr, ...]) -> sp.Expr:
    rank = len(array.left.dims)
    return entry_of(array.left, indices[:rank]) * entry_of(array.right, indices[rank:])


@_entry_of.register
def _(array: Total, indices: tuple[sp.Expr, ...]) -> sp.Expr:
    bound = fresh_index(*indices, sp.Integer(0))
    inner = entry_of(array.arg, (*indices[: array.axis], bound, *indices[array.axis :]))
    limits = (bound, 1, array.arg.dims[array.axis])
    return sp.log(total(sp.exp(inner), limits)) if array.log_exp else total(inner, limits)


@_entry_of.register
def _(array: LayerTotal, indices: tuple[sp.Expr, ...]) -> sp.Expr:
    return LayerSum(entry_of(array.arg, indices), array.layer, array.last)


@_entry_of.register
def _(array: Softmax, indices: tuple[sp.Expr, ...]) -> sp.Expr:
    bound = fresh_index(*indices, sp.Integer(0))
    others = (*indices[: array.axis], bound, *indices[array.axis + 1 :])
    total = sp.Sum(sp.exp(entry_of(array.arg, others)), (bound, 1, array.arg.dims[array.axis]))
    entry = entry_of(array.arg, indices)
    return entry - sp.log(total) if array.log else sp.exp(entry) / total


@_entry_of.register
def _(array: LogComplement, indices: tuple[sp.Expr, ...]) -> sp.Expr:
    bound = fresh_index(*indices, sp.Integer(0))
    others = (*indices[: array.axis], bound, *indices[array.axis + 1 :])
    limits = (bound, 1, array.arg.dims[array.axis])
    share, apart = sp.exp(entry_of(array.arg, others)), 1 - sp.KroneckerDelta(bound, indices[array.axis])
    return sp.log(sp.Sum(apart * share, limits)) - sp.log(sp.Sum(share, limits))


@_entry_of.register
def _(array: Others, indices: tuple[sp.Expr, ...]) -> sp.Expr:
    axis, size = array.axis, array.arg.dims[array.axis]
    bound = fresh_index(*indices, sp.Integer(0))
    inner = fresh_index(*indices, bound)

    def at(part: Array, index: sp.Expr) -> sp.Expr:
        return entry_of(part, (*indices[:axis], index, *indices[axis + 1 :]))

    def apart(first: sp.Expr, second: sp.Expr) -> sp.Expr:
        return 1 - sp.KroneckerDelta(first, second)

    among = sp.Sum(apart(inner, bound) * sp.exp(at(array.arg, inner)), (inner, 1, size))
    own = indices[axis]
    body = apart(bound, own) * at(array.weight, bound) * sp.exp(at(array.arg, own)) / among
    return sp.Sum(body, (bound, 1, size))


@_entry_of.register
def _(array: Einsum, indices: tuple[sp.Expr, ...]) -> sp.Expr:
    letters = dict(zip(array.output, indices, strict=True))
    summed: list[tuple[sp.Symbol, sp.Expr]] = []
    for places, operand in zip(array.inputs, array.operands, strict=True):
        for number, size in zip(places, operand.dims, strict=True):
            if number not in letters:
                letters[number] = fresh_index(*letters.values())
                summed.append((letters[number], size))
    factors = (
        entry_of(o, [letters[n] for n in p]) for p, o in zip(array.inputs, array.operands, strict=True)
    )
    body = sp.Mul(*factors)
    for letter, size in summed:
        body = total(body, (letter, 1, size))
    return body


@_entry_of.register
def _(array: Map, indices: tuple[sp.Expr, ...]) -> sp.Expr:
    entries = {}
    for operand in array.operands:
        wanted = tuple(array.shape[place] for place in operand.places)
        if wanted != operand.array.dims:
            raise NoRule(f"an operand of sizes {operand.array.dims} doesn't fit the axes {wanted}")
        entries[operand.symbol] = entry_of(operand.array, [indices[place] for place in operand.places])
    return put_in(array.expr, entries)
