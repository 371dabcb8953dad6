"""The letters that a notation gives to indices: by the layer whose units an index counts.

The engine takes letters as they come; on paper a letter says whose units it counts. An index that runs
over layer l - 1 of a formula about layer l has the notation's letter for the layer before, and so on. The
index of a layer with a single unit is its number, and a sum over it is its one term.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import sympy as sp

from symbackprop.algebra.indices import EXAMPLE, index_symbol, is_number, letters, outermost, total, with_args
from symbackprop.printing.symbols import Names, size_layer

Free = Iterable[tuple[sp.Symbol, sp.Expr]]
Mapped = Mapping[sp.Basic, sp.Expr]


def lettered(expr: sp.Basic, names: Names, free: Free = ()) -> sp.Basic:
    """An expression with the indices that the notation has; ``free`` are its free ones with their sizes.

    >>> x, w = sp.IndexedBase("x", real=True), sp.IndexedBase("w", real=True)
    >>> j, k, n_1, n_2 = sp.symbols("j k n_1 n_2", integer=True, positive=True)
    >>> lettered(sp.Sum(w[k, j] * x[j], (j, 1, n_1)), Names(), [(k, n_2)])
    Sum(w[j, k]*x[k], (k, 1, n_1))
    """
    mapped = letters_of(names, free)
    return _Lettering(names).visit(expr, mapped, _subject(free))


def lettered_by(expr: sp.Basic, names: Names, letters: Mapped) -> sp.Basic:
    """An expression with these letters; a sum inside it runs over a letter that is none of them.

    >>> x = sp.IndexedBase("x", real=True)
    >>> j, k, n_1 = sp.symbols("j k n_1", integer=True, positive=True)
    >>> lettered_by(x[j] / sp.Sum(x[k], (k, 1, n_1)), Names(), {j: k})
    x[k]/Sum(x[j], (j, 1, n_1))
    """
    return _Lettering(names).visit(expr, letters, None)


def letters_of(
    names: Names, free: Free, inner: Free = (), subject: sp.Expr | None = None
) -> dict[sp.Basic, sp.Expr]:
    """The letter of each index: of the free ones, and of those that a sum around them runs over.

    ``subject`` is the layer that the formula is about, where no free index says it.
    """
    free, inner = tuple(free), tuple(inner)
    about = _subject(free)
    about = about if about is not None else subject
    lettering, mapped = _Lettering(names), dict[sp.Basic, sp.Expr]()
    for index, size in (*free, *inner):
        if isinstance(index, sp.Symbol):
            about = about if about is not None else size_layer(size)
            mapped[index] = lettering.index(index, size, about, frozenset(mapped.values()))
    return mapped


def _subject(free: Free) -> sp.Expr | None:
    """The layer that a formula with these free indices is about."""
    return _highest([size_layer(size) for index, size in free if isinstance(index, sp.Symbol)])


def _highest(layers: list[sp.Expr | None]) -> sp.Expr | None:
    """The layer that no other is above: a formula with several indices is about this one."""
    found: sp.Expr | None = None
    for layer in layers:
        if layer is not None and (found is None or bool((layer - found).is_positive)):
            found = layer
    return found


@dataclass
class _Lettering:
    """One pass over an expression; what was visited in the same scope is not visited again."""

    names: Names
    known: dict[tuple[sp.Basic, frozenset[tuple[sp.Basic, sp.Expr]], sp.Expr | None], sp.Basic] = field(
        default_factory=dict
    )

    def visit(self, node: sp.Basic, mapped: Mapped, subject: sp.Expr | None) -> sp.Basic:
        if isinstance(node, sp.Symbol):
            return mapped.get(node, node)
        if not node.args or isinstance(node, sp.IndexedBase):
            return node
        key = (node, frozenset(mapped.items()), subject)
        if key not in self.known:
            inside = self.total if isinstance(node, sp.Sum) else self.plain
            self.known[key] = inside(node, mapped, subject)
        return self.known[key]

    def plain(self, node: sp.Basic, mapped: Mapped, subject: sp.Expr | None) -> sp.Basic:
        """With other letters inside; they give SymPy no new answer to what the sign of an exponent is."""
        args = tuple(self.visit(arg, mapped, subject) for arg in node.args)
        same = all(mine is theirs for mine, theirs in zip(args, node.args, strict=True))
        if same or not isinstance(node, sp.exp | sp.log) or is_number(args[0]):
            return node if same else with_args(node, args)
        return node.func(*args, evaluate=False)

    def total(self, node: sp.Sum, mapped: Mapped, subject: sp.Expr | None) -> sp.Basic:
        body, bound, upper = outermost(node)
        subject = subject if subject is not None else size_layer(upper)
        letter = self.index(bound, upper, subject, frozenset(mapped.values()))
        inner = self.visit(body, {**mapped, bound: letter}, subject)
        if isinstance(letter, sp.Integer):
            return inner
        return total(inner, sp.Tuple(letter, 1, upper))

    def index(
        self, index: sp.Symbol, size: sp.Expr, subject: sp.Expr | None, taken: frozenset[sp.Expr]
    ) -> sp.Expr:
        """The letter of an index over this size, or 1 where there is a single unit."""
        if self.names.sizes.get(str(size)) == 1:
            return sp.S.One
        notation = self.names.notation.index
        wanted = notation.example if index == EXAMPLE else self.preferred(size_layer(size), subject)
        free = (letter for letter in (wanted, *notation.others) if letter not in self.names.own_sizes)
        candidates = (index_symbol(letter) for letter in free)
        spare = (letter for letter in letters() if str(letter) not in self.names.own_sizes)
        return next(letter for each in (candidates, spare) for letter in each if letter not in taken)

    def preferred(self, layer: sp.Expr | None, subject: sp.Expr | None) -> str:
        """The letter that the notation has for the units of a layer."""
        notation, last = self.names.notation.index, self.names.last
        if layer is None:
            return notation.here
        below = None if last is None else last - layer
        if isinstance(below, sp.Integer) and 0 <= below < len(notation.by_layer):
            return notation.by_layer[int(below)]
        offset = layer - subject if subject is not None else sp.S.Zero
        near = {sp.S.Zero: notation.here, sp.S.NegativeOne: notation.before, sp.S.One: notation.after}
        return near.get(offset, notation.others[0])
