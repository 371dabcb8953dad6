"""Numbers for index expressions: an instance of a program at small sizes, with drawn values.

This is the ground that every check stands on, so it knows no rule of differentiation. A derivative
is found from the forward equations alone: one entry is moved a little, what follows from it is
computed again, and the change of the cost is its slope. With rational numbers the little move is a
dual number and the slope is exact; with digits it is a central difference quotient.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import sympy as sp

from symbackprop.algebra.equations import (
    ExplicitPartial,
    Fact,
    Partial,
    Program,
    Quantity,
    Role,
    TotalPartial,
)
from symbackprop.checking.arithmetic import (
    Arithmetic,
    Key,
    NoValue,
    Number,
    Scalar,
    nonzero,
    remembered,
)
from symbackprop.checking.closures import (
    ARGUMENT,
    Builder,
    Code,
    DerivativeTable,
    Entry,
    Env,
    Settled,
    Table,
    Watching,
    in_argument,
)
from symbackprop.errors import NoRule

Plan = tuple[tuple[Table, Key, Code, Env], ...]

_COSTS = frozenset({Role.COST, Role.EXAMPLE_COST})


class Instance:
    """A program at small concrete sizes, with concrete values, and the value of any expression in it.

    Args:
        program: forward equations.
        sizes: a number for each size symbol; ``small_sizes`` chooses them.
        arithmetic: :class:`Exact` or :class:`Digits`.
        seed: what the values are drawn from.
        facts: declared equalities that the values keep.
        broken: declared equalities that the values must not keep.
        derivatives: the named derivatives (deltas, say) that occur in expressions.
        values: numbers by the name of a quantity or an open symbol, which take the place of drawn ones.
        scale: what drawn inputs and parameters are multiplied with.

    >>> from symbackprop.forward.model import forward_model
    >>> from symbackprop.spec.loading import from_widths
    >>> program = forward_model(from_widths("2-1", output_activation="linear")).program
    >>> from symbackprop.algebra.equations import Partial
    >>> from symbackprop.checking.arithmetic import Exact
    >>> from symbackprop.checking.sizes import small_sizes
    >>> instance = Instance(program, small_sizes(program), Exact(), seed=1)
    >>> a, y, C = (program.quantities[name] for name in ("a1", "y", "C_x"))
    >>> instance.value(Partial(C.symbol, a[1])) == instance.value(2 * (a[1] - y[1]))
    True
    """

    def __init__(
        self,
        program: Program,
        sizes: Mapping[sp.Symbol, int],
        arithmetic: Arithmetic,
        seed: int,
        facts: Iterable[Fact] = (),
        broken: Iterable[Fact] = (),
        derivatives: Iterable[Quantity] = (),
        values: Mapping[str, Mapping[Key, Number]] | None = None,
        scale: Fraction = Fraction(1),
    ) -> None:
        self.program, self.arithmetic, self.seed, self.scale = program, arithmetic, seed, scale
        self.sizes = {symbol.name: size for symbol, size in sizes.items()}
        self.derivatives = {q.name: q for q in (*derivatives, *_derivatives_in(program))}
        self.tables: dict[Any, Table] = {}
        self.functions: dict[Any, Scalar] = {}
        self.build = Builder(self)
        self.settled = Settled(self)
        self.branches: set[tuple[Any, ...]] = set()
        self.tied = False
        self._readers: dict[Entry, list[int]] = {}
        self._targets: list[tuple[Table, Key, sp.Expr, Env]] = []
        self._draw_values(random.Random(f"values {seed}"), tuple(facts), tuple(broken))
        self._take_values(values or {})
        self._run_forward()

    # values ------------------------------------------------------------------------------------

    def value(self, expr: sp.Expr, indices: Mapping[sp.Symbol, int] | None = None) -> Number:
        """The value of an expression, its free indices put in.

        Raises:
            NoValue: if it has none here, as for an index out of range.
            NoRule: for an operation that no rule evaluates, by its name.
        """
        return self.run(self.settled(expr), {symbol.name: i for symbol, i in (indices or {}).items()})

    def run(self, code: Code, env: Env) -> Number:
        """The value of a compiled expression; a division by 0 has none."""
        try:
            return code(env)
        except ZeroDivisionError:
            raise NoValue("a division by 0") from None

    def size(self, dim: sp.Expr) -> int:
        """A size, or an expression in sizes, as a number."""
        return self.build.count(sp.sympify(dim))({})

    def shape(self, quantity: Quantity) -> Key:
        """The sizes of a quantity's axes."""
        return tuple(self.size(dim) for dim in quantity.dims)

    def table(self, name: str) -> Table:
        """The entries of a quantity, or of a named derivative."""
        if name not in self.tables:
            if name not in self.derivatives:
                raise NoValue(f"{name} is no quantity of this program")
            self.tables[name] = self._derivative_table(self.derivatives[name])
        return self.tables[name]

    def function(self, kind: Any) -> Scalar:
        """A scalar function, or its derivative, as a function of numbers."""
        key = (kind.letter, kind.formula, kind.order)
        if key not in self.functions:
            self.functions[key] = self._function(kind.letter, kind.formula, kind.order)
        return self.functions[key]

    def _function(self, letter: str, formula: sp.Expr | None, order: int) -> Scalar:
        if formula is None:
            forward = self.arithmetic.unspecified(random.Random(f"function {letter} {self.seed}"))
        else:
            forward = self._from_formula(formula)
        if not order:
            return forward
        return remembered(lambda x: self.arithmetic.slope(forward, x, order))

    def _from_formula(self, formula: sp.Expr) -> Scalar:
        code = self.build(in_argument(formula))
        name = ARGUMENT.name
        return remembered(lambda x: code({name: x}))

    # drawing -----------------------------------------------------------------------------------

    def _draw_values(self, draw: random.Random, facts: tuple[Fact, ...], broken: tuple[Fact, ...]) -> None:
        given = (q for q in self.program.given if q.name not in self.derivatives)
        for quantity in (*self.program.inputs, *self.program.parameters, *given):
            table = self.tables[quantity.name] = Table(quantity.name, self.shape(quantity))
            for key in table.keys_in_range():
                factor = 1 if quantity.role is Role.TARGET else self.scale
                table[key] = self._rational(_drawn(draw, quantity.role) * factor)
        for name in sorted(_open_symbols(self.program)):
            table = self.tables[name] = Table(name, ())
            table[()] = self._rational(Fraction(draw.randint(33, 63), 32))
        for fact in facts:
            self._make_hold(fact)
        for fact in broken:
            self._make_fail(fact)

    def _take_values(self, values: Mapping[str, Mapping[Key, Number]]) -> None:
        for name, entries in values.items():
            table = self.tables.setdefault(name, Table(name, ()))
            for key, number in entries.items():
                table[key] = self._rational(number) if isinstance(number, Fraction) else number

    def _rational(self, number: Fraction) -> Number:
        return self.arithmetic.number(number.numerator, number.denominator)

    def _make_hold(self, fact: Fact) -> None:
        """Scale the entries that a fact adds up, so that their sum is what the fact says."""
        for keys, table in self._added_up(fact):
            factor = self.value(fact.right) * self.arithmetic.inverse(sum(table[key] for key in keys))
            for key in keys:
                table[key] = table[key] * factor

    def _make_fail(self, fact: Fact) -> None:
        for keys, table in self._added_up(fact):
            if abs(sum(table[key] for key in keys) - self.value(fact.right)) < 1e-3:
                table[keys[0]] = table[keys[0]] * self.arithmetic.number(7, 5)

    def _added_up(self, fact: Fact) -> list[tuple[list[Key], Table]]:
        """The groups of entries whose sums a fact is about."""
        left = fact.left
        if not isinstance(left, sp.Sum) or not isinstance(left.function, sp.Indexed):
            raise NoRule(f"no rule draws values for the fact {fact.name}: {fact.left} is no sum of entries")
        bound, entry = left.limits[0][0], left.function
        table = self.table(str(entry.base.label))
        axis = len(table.shape) - entry.rank + entry.indices.index(bound)
        groups: dict[Key, list[Key]] = {}
        for key in table.keys_in_range():
            groups.setdefault(key[:axis] + key[axis + 1 :], []).append(key)
        return [(keys, table) for keys in groups.values()]

    # the forward pass --------------------------------------------------------------------------

    def _run_forward(self) -> None:
        """Evaluate every equation, and note which entries each entry was computed from."""
        for equation in self.program.equations:
            quantity = equation.quantity
            table = self.tables[quantity.name] = Table(quantity.name, self.shape(quantity))
            watched = Watching(self, equation.quantity.name)
            watching = watched(equation.rhs)
            names = [index.name for index in equation.indices]
            for key in table.keys_in_range():
                watched.start(key)
                env = dict(zip(names, key, strict=True))
                table[key] = self.arithmetic.kept(self.run(watching, env))
                for entry in watched.read:
                    self._readers.setdefault(entry, []).append(len(self._targets))
                self._targets.append((table, key, equation.rhs, env))

    def _plan(self, entry: Entry) -> Plan:
        """What has to be computed again when one entry moves, in order."""
        found: set[int] = set()
        waiting = list(self._readers.get(entry, ()))
        while waiting:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                table, key, _, _ = self._targets[number]
                waiting.extend(self._readers.get((table.name, key), ()))
        targets = (self._targets[number] for number in sorted(found))
        return tuple((table, key, self.build(rhs), env) for table, key, rhs, env in targets)

    @property
    def largest(self) -> Number:
        """The size of the largest number that the equations give."""
        tables = (self.tables[equation.quantity.name] for equation in self.program.equations)
        return max((abs(value) for table in tables for value in table.values()), default=0)

    # derivatives -------------------------------------------------------------------------------

    def partial(self, of: str, wrt: str, kind: type[Partial] = Partial) -> Table:
        """The derivatives of the entries of one quantity with respect to those of another."""
        key = (of, wrt, kind)
        if key not in self.tables:
            above, below = self._known(of), self._known(wrt)
            of_cost = above.role in _COSTS or above in self.program.outputs
            total = kind is TotalPartial or (of_cost and kind is not ExplicitPartial)
            compute = self._total_slope if total else self._local_slope
            shape = (*self.shape(above), *self.shape(below))
            rank = len(above.dims)
            self.tables[key] = DerivativeTable(
                f"Partial({of}, {wrt})", shape, lambda at: compute((of, at[:rank]), (wrt, at[rank:]))
            )
        return self.tables[key]

    def _known(self, name: str) -> Quantity:
        if name not in self.program.quantities:
            raise NoValue(f"{name} is no quantity of this program")
        return self.program.quantities[name]

    def _derivative_table(self, quantity: Quantity) -> Table:
        """The entries of a named derivative: those of a cost with respect to what it is a derivative of."""
        if quantity.of is None or quantity.cost is None:
            raise NoValue(f"{quantity.name} doesn't say what it is a derivative of")
        partial = self.partial(quantity.cost.name, quantity.of.name)
        examples, own = len(quantity.cost.dims), len(quantity.of.dims)
        return DerivativeTable(
            quantity.name,
            self.shape(quantity),
            lambda key: partial[(*key[:examples], *key[len(key) - own :])],
        )

    def _total_slope(self, of: Entry, wrt: Entry) -> Number:
        """How fast something changes when an entry moves and all that follows from it is recomputed."""
        result, plan = self.table(of[0]), self._plan(wrt)
        return self._slope(wrt, plan, lambda: result[of[1]])

    def _local_slope(self, of: Entry, wrt: Entry) -> Number:
        """How fast the right side of one equation changes when only an entry that it uses moves."""
        if of[0] not in self.program.definitions:
            raise NoValue(f"{of[0]} is given, so it has no right side to differentiate")
        equation = self.program.definitions[of[0]]
        code = self.build(equation.rhs)
        env = {index.name: number for index, number in zip(equation.indices, of[1], strict=True)}
        return self._slope(wrt, (), lambda: code(env))

    def _slope(self, wrt: Entry, plan: Plan, result: Callable[[], Number]) -> Number:
        table, key = self.table(wrt[0]), wrt[1]
        before = [(table, key, table[key]), *((t, k, t[k]) for t, k, _, _ in plan)]

        def moved(x: Number) -> Number:
            table[key] = x
            for target, at, code, env in plan:
                target[at] = code(env)
            return result()

        try:
            return self.arithmetic.slope(moved, table[key])
        finally:
            for target, at, old in before:
                target[at] = old


def _derivatives_in(program: Program) -> Iterator[Quantity]:
    return (q for q in program.given if q.of is not None)


def _drawn(draw: random.Random, role: Role) -> Fraction:
    if role is Role.TARGET:
        return Fraction(draw.randint(1, 31), 32)
    if role is Role.BIAS:
        return Fraction(draw.randint(-20, 47) * 2 + 1, 32)
    return nonzero(draw, 63, 32)


def _open_symbols(program: Program) -> set[str]:
    """Names of numbers that the program leaves open, such as the factor of a penalty."""
    symbols = set().union(*(equation.rhs.atoms(sp.Symbol) for equation in program.equations))
    names = {symbol.name for symbol in symbols if not symbol.is_integer}
    bases = {base.name for e in program.equations for base in e.rhs.atoms(sp.IndexedBase)}
    return names - program.quantities.keys() - bases
