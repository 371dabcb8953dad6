"""Numbers for index expressions: an instance of a program at small sizes, with drawn values.

This is the ground that every check stands on, so it knows no rule of differentiation. A derivative
is found from the forward equations alone: one entry is moved a little, what follows from it is
computed again, and the change of the cost is its slope. With rational numbers the little move is a
dual number and the slope is exact; with digits it is a central difference quotient.
"""

from __future__ import annotations

import operator
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import singledispatchmethod
from itertools import product
from typing import Any

import sympy as sp

from symbackprop.algebra.equations import (
    Bracket,
    Equation,
    ExplicitPartial,
    Fact,
    Partial,
    Program,
    Quantity,
    Role,
)
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.checking.arithmetic import (
    Arithmetic,
    Key,
    NoValue,
    Number,
    OutOfRange,
    Scalar,
    nonzero,
    remembered,
)
from symbackprop.errors import NoRule
from symbackprop.network import argument

Env = dict[Any, Any]
Code = Callable[[Env], Number]
Count = Callable[[Env], int]

_COSTS = frozenset({Role.COST, Role.EXAMPLE_COST})


# --- tables of values --------------------------------------------------------------------------


class Table(dict[Key, Number]):
    """The entries of one quantity; reading one that doesn't exist is an :class:`OutOfRange`."""

    def __init__(self, name: str, shape: Key) -> None:
        super().__init__()
        self.name, self.shape = name, shape

    def __missing__(self, key: Key) -> Number:
        raise OutOfRange(f"{self.name}{list(key)} is no entry of {self.name}, whose shape is {self.shape}")

    def keys_in_range(self) -> Iterator[Key]:
        """Every index there is."""
        return product(*(range(1, size + 1) for size in self.shape))


class DerivativeTable(Table):
    """Derivatives, each worked out when it is read for the first time."""

    def __init__(self, name: str, shape: Key, compute: Callable[[Key], Number]) -> None:
        super().__init__(name, shape)
        self.compute = compute

    def __missing__(self, key: Key) -> Number:
        if len(key) != len(self.shape) or not all(1 <= k <= n for k, n in zip(key, self.shape, strict=True)):
            return super().__missing__(key)
        value = self[key] = self.compute(key)
        return value


# --- an instance -------------------------------------------------------------------------------

_ARGUMENT = sp.Symbol("@z", real=True)
"""The argument of a formula, under a name that no quantity has."""


def _in_argument(formula: sp.Expr) -> sp.Expr:
    return formula.xreplace({argument("z"): _ARGUMENT})


Entry = tuple[str, Key]
Plan = tuple[tuple[Table, Key, Code, Env], ...]


class Instance:
    """A program at small concrete sizes, with concrete values, and the value of any expression in it.

    Args:
        program: forward equations.
        sizes: a number for each size symbol; :func:`small_sizes` chooses them.
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
    >>> from symbackprop.checking.arithmetic import Exact
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
        self.build = _Builder(self)
        self.settled = _Settled(self)
        self.branches: set[tuple[Any, ...]] = set()
        self.tied = False
        self._readers: dict[Entry, list[int]] = {}
        self._targets: list[tuple[Table, Key, Code, Env]] = []
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
        code = self.build(_in_argument(formula))
        name = _ARGUMENT.name
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
            watched = _Watching(self, equation.quantity.name)
            watching, code = watched(equation.rhs), self.build(equation.rhs)
            names = [index.name for index in equation.indices]
            for key in table.keys_in_range():
                watched.start(key)
                env = dict(zip(names, key, strict=True))
                table[key] = self.arithmetic.kept(self.run(watching, env))
                for entry in watched.read:
                    self._readers.setdefault(entry, []).append(len(self._targets))
                self._targets.append((table, key, code, env))

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
        return tuple(self._targets[number] for number in sorted(found))

    @property
    def largest(self) -> Number:
        """The size of the largest number that the equations give."""
        tables = (self.tables[equation.quantity.name] for equation in self.program.equations)
        return max((abs(value) for table in tables for value in table.values()), default=0)

    # derivatives -------------------------------------------------------------------------------

    def partial(self, of: str, wrt: str, explicit: bool = False) -> Table:
        """The derivatives of the entries of one quantity with respect to those of another."""
        key = (of, wrt, explicit)
        if key not in self.tables:
            above, below = self._known(of), self._known(wrt)
            total = not explicit and (above.role in _COSTS or above in self.program.outputs)
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
        """How fast a cost changes when an entry moves and everything that follows from it is recomputed."""
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


# --- from expressions to closures --------------------------------------------------------------

_RELATIONS: dict[Any, Callable[[Any, Any], bool]] = {
    sp.Gt: operator.gt,
    sp.Ge: operator.ge,
    sp.Lt: operator.lt,
    sp.Le: operator.le,
    sp.Eq: operator.eq,
    sp.Ne: operator.ne,
}


class _Builder:
    """Turns expressions into closures over an instance, each distinct sub-expression once."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.arithmetic = instance.arithmetic
        self.memo: dict[sp.Basic, Any] = {}
        self.zero, self.one = self.arithmetic.number(0), self.arithmetic.number(1)

    def __call__(self, expr: sp.Expr) -> Code:
        code: Code | None = self.memo.get(expr)
        if code is None:
            code = self.memo[expr] = self._code(expr)
        return code

    @singledispatchmethod
    def _code(self, node: sp.Basic) -> Code:
        raise NoRule(f"no rule evaluates {type(node).__name__}, which occurs as {str(node)[:60]}")

    # numbers and symbols -----------------------------------------------------------------------

    @_code.register
    def _(self, node: sp.Rational) -> Code:
        return _constant(self.arithmetic.number(int(node.p), int(node.q)))

    @_code.register
    def _(self, node: sp.Float) -> Code:
        exact = sp.Rational(node)
        return _constant(self.arithmetic.number(int(exact.p), int(exact.q)))

    @_code.register
    def _(self, node: sp.NumberSymbol) -> Code:
        return _constant(self.arithmetic.constant(node))

    @_code.register
    def _(self, node: sp.Symbol) -> Code:
        name, number = node.name, self.arithmetic.number
        if node.is_integer:
            count = self.count(node)
            return lambda env: number(count(env))
        if node == _ARGUMENT:
            return lambda env: env[name]
        return self._entry(name, ())

    @_code.register
    def _(self, node: sp.Indexed) -> Code:
        return self._entry(str(node.base.label), node.indices)

    def _entry(self, name: str, indices: tuple[sp.Expr, ...]) -> Code:
        table = self.instance.table(name)
        if len(indices) != len(table.shape):
            raise NoValue(f"{name} has {len(table.shape)} indices, not {len(indices)}: {indices}")
        return self.lookup(table, tuple(self.count(index) for index in indices))

    def lookup(self, table: Table, counts: tuple[Count, ...]) -> Code:
        """Reading an entry."""
        if len(counts) == 1:
            (only,) = counts
            return lambda env: table[(only(env),)]
        if len(counts) == 2:
            first, second = counts
            return lambda env: table[(first(env), second(env))]
        return lambda env: table[tuple(count(env) for count in counts)]

    def count(self, expr: sp.Expr) -> Count:
        """An index or a size: whole numbers, by the same closures."""
        if isinstance(expr, sp.Symbol):
            name = expr.name
            if name in self.instance.sizes:
                return _constant(self.instance.sizes[name])
            return lambda env: _index(env, name)
        if expr.is_Integer:
            return _constant(int(expr))
        if isinstance(expr, sp.Add | sp.Mul):
            combine = sum if isinstance(expr, sp.Add) else _int_product
            parts = [self.count(arg) for arg in expr.args]
            return lambda env: combine(part(env) for part in parts)
        raise NoRule(f"no rule evaluates the index {str(expr)[:60]}")

    # sums, products, powers --------------------------------------------------------------------

    @_code.register
    def _(self, node: sp.Add) -> Code:
        first, *rest = (self(term) for term in node.args)

        def add(env: Env) -> Number:
            total = first(env)
            for term in rest:
                total = total + term(env)
            return total

        return add

    @_code.register
    def _(self, node: sp.Mul) -> Code:
        brackets = [self.condition(f.args[0]) for f in node.args if isinstance(f, Bracket)]
        factors = [f for f in node.args if not isinstance(f, Bracket)]
        negative = sp.S.NegativeOne in factors
        codes = [self(f) for f in factors if f is not sp.S.NegativeOne] or [_constant(self.one)]
        return _guarded(brackets, _product(codes, negative), self.zero)

    @_code.register
    def _(self, node: sp.Pow) -> Code:
        base, exponent = self(node.args[0]), node.args[1]
        if exponent.is_Integer:
            return self._whole_power(base, int(exponent))
        if exponent.is_integer and not exponent.atoms(sp.Indexed):
            count = self.count(exponent)
            return lambda env: self._whole_power(base, count(env))(env)
        power, by = self.arithmetic.power, self(exponent)
        return lambda env: power(base(env), by(env))

    def _whole_power(self, base: Code, exponent: int) -> Code:
        inverse, one = self.arithmetic.inverse, self.one

        def power(env: Env) -> Number:
            x = base(env)
            result = one
            for _ in range(abs(exponent)):
                result = x if result is one else result * x
            return inverse(result) if exponent < 0 else result

        return power

    @_code.register
    def _(self, node: sp.Sum) -> Code:
        body = self(node.function)
        for bound, low, high in node.limits:
            body = self._sum(bound.name, self.count(low), self.count(high), body)
        return body

    def _sum(self, name: str, first: Count, last: Count, body: Code) -> Code:
        zero = self.zero

        def add_up(env: Env) -> Number:
            total, outer = zero, env.get(name)
            for number in range(first(env), last(env) + 1):
                env[name] = number
                total = total + body(env)
            _restore(env, name, outer)
            return total

        return add_up

    # functions ---------------------------------------------------------------------------------

    @_code.register
    def _(self, node: ScalarFunction) -> Code:
        return _applied(self.instance.function(type(node)), self(node.args[0]))

    @_code.register
    def _(self, node: sp.Function) -> Code:
        return _applied(self.arithmetic.function(type(node)), self(node.args[0]))

    @_code.register
    def _(self, node: sp.Abs) -> Code:
        sign = self._sign()
        return _applied(lambda x: sign(x) * x, self(node.args[0]))

    @_code.register
    def _(self, node: sp.sign) -> Code:
        return _applied(self._sign(), self(node.args[0]))

    def _sign(self) -> Scalar:
        minus, zero, one, real = -self.one, self.zero, self.one, self.arithmetic.real

        def sign(x: Number) -> Number:
            case = one if real(x) > 0 else minus if real(x) < 0 else zero
            self.note(0 if case is one else 1)
            return case

        return sign

    @_code.register
    def _(self, node: sp.Piecewise) -> Code:
        pieces = [(self.condition(when), self(case)) for case, when in node.args]

        def choose(env: Env) -> Number:
            for number, (holds, case) in enumerate(pieces):
                if holds(env):
                    self.note(number)
                    return case(env)
            raise NoValue(f"no case of {node} holds")

        return choose

    def note(self, branch: int) -> None:
        """Which case was taken, for whoever wants to know."""

    # brackets ----------------------------------------------------------------------------------

    @_code.register
    def _(self, node: sp.KroneckerDelta) -> Code:
        left, right = (self.count(arg) for arg in node.args)
        zero, one = self.zero, self.one
        return lambda env: one if left(env) == right(env) else zero

    @_code.register
    def _(self, node: Bracket) -> Code:
        holds, zero, one = self.condition(node.args[0]), self.zero, self.one
        return lambda env: one if holds(env) else zero

    def condition(self, node: sp.Basic) -> Callable[[Env], bool]:
        """A comparison, or several of them joined."""
        if node in (sp.true, sp.false):
            return _constant(node is sp.true)
        if isinstance(node, sp.And | sp.Or):
            parts, joined = [self.condition(arg) for arg in node.args], all if node.func is sp.And else any
            return lambda env: joined(part(env) for part in parts)
        if isinstance(node, sp.Not):
            inner = self.condition(node.args[0])
            return lambda env: not inner(env)
        if type(node) not in _RELATIONS:
            raise NoRule(f"no rule evaluates the condition {str(node)[:60]}")
        compare, real = _RELATIONS[type(node)], self.arithmetic.real
        left, right = (self(side) for side in node.args)
        return lambda env: compare(real(left(env)), real(right(env)))

    # derivatives -------------------------------------------------------------------------------

    @_code.register
    def _(self, node: Partial) -> Code:
        (of, above), (wrt, below) = (_name_and_indices(part) for part in node.args)
        table = self.instance.partial(of, wrt, isinstance(node, ExplicitPartial))
        if len(above) + len(below) != len(table.shape):
            raise NoValue(f"{node} has the wrong number of indices")
        return self.lookup(table, tuple(self.count(index) for index in (*above, *below)))


class _Watching(_Builder):
    """The same closures, and they note what they read and which cases they take."""

    def __init__(self, instance: Instance, name: str) -> None:
        super().__init__(instance)
        self.read: set[Entry] = set()
        self.name, self.decisions = name, 0
        self.key: Key = ()

    def start(self, key: Key) -> None:
        """Forget what was read: another entry is next."""
        self.read.clear()
        self.key, self.decisions = key, 0

    def lookup(self, table: Table, counts: tuple[Count, ...]) -> Code:
        def read(env: Env) -> Number:
            key = tuple(count(env) for count in counts)
            self.read.add((table.name, key))
            return table[key]

        return read

    @singledispatchmethod
    def _code(self, node: sp.Basic) -> Code:
        return super()._code(node)

    @_code.register
    def _(self, node: ScalarFunction) -> Code:
        if node.formula is None:
            return super()._code(node)
        inner, code = self(node.args[0]), self(_in_argument(node.formula))
        name = _ARGUMENT.name
        return lambda env: code({name: inner(env)})

    def condition(self, node: sp.Basic) -> Callable[[Env], bool]:
        holds = super().condition(node)
        if type(node) not in _RELATIONS:
            return holds
        left, right = (self(side) for side in node.args)
        real = self.arithmetic.real

        def watched(env: Env) -> bool:
            self.instance.tied |= real(left(env)) == real(right(env))
            return holds(env)

        return watched

    def _sign(self) -> Scalar:
        sign, real = super()._sign(), self.arithmetic.real

        def watched(x: Number) -> Number:
            self.instance.tied |= real(x) == 0
            return sign(x)

        return watched

    def note(self, branch: int) -> None:
        self.instance.branches.add((self.name, self.key, self.decisions, branch))
        self.decisions += 1


class _Settled(_Builder):
    """The same closures for when no entry moves: what was computed once for some indices is kept.

    A cost written out in full is a small graph with a huge tree; this walks the graph.
    """

    def __init__(self, instance: Instance) -> None:
        super().__init__(instance)
        self.free: dict[sp.Basic, frozenset[str]] = {}

    def __call__(self, expr: sp.Expr) -> Code:
        code: Code | None = self.memo.get(expr)
        if code is None:
            code = self._code(expr)
            if isinstance(expr, sp.Sum | sp.Function | sp.Pow):
                code = _kept(code, tuple(sorted(self.indices(expr))))
            self.memo[expr] = code
        return code

    def indices(self, node: sp.Basic) -> frozenset[str]:
        """The names of the indices that the value of an expression depends on."""
        found = self.free.get(node)
        if found is None:
            found = self.free[node] = self._indices(node)
        return found

    def _indices(self, node: sp.Basic) -> frozenset[str]:
        if isinstance(node, sp.Symbol):
            return frozenset() if node.name in self.instance.sizes else frozenset({node.name})
        inside: Iterable[sp.Basic] = node.indices if isinstance(node, sp.Indexed) else node.args
        names = frozenset().union(*(self.indices(part) for part in inside))
        if isinstance(node, sp.Sum):
            return names - {bound.name for bound, *_ in node.limits}
        return names


def _kept(code: Code, names: tuple[str, ...]) -> Code:
    """The same values, each computed once for the indices of these names."""
    memo: dict[Any, Number] = {}

    def kept(env: Env) -> Number:
        key = tuple([env.get(name) for name in names])
        if key not in memo:
            memo[key] = code(env)
        return memo[key]

    return kept


def _constant(value: Any) -> Callable[[Env], Any]:
    return lambda env: value


def _applied(function: Scalar, inner: Code) -> Code:
    return lambda env: function(inner(env))


def _index(env: Env, name: str) -> int:
    if name not in env:
        raise NoValue(f"the index {name} has no value: it is neither free nor bound here")
    number: int = env[name]
    return number


def _restore(env: Env, name: str, outer: Any) -> None:
    """Give a bound index back the value that it had outside its sum."""
    if outer is None:
        env.pop(name, None)
    else:
        env[name] = outer


def _int_product(numbers: Iterable[int]) -> int:
    result = 1
    for number in numbers:
        result *= number
    return result


def _product(codes: list[Code], negative: bool) -> Code:
    first, *rest = codes

    def multiply(env: Env) -> Number:
        result = first(env)
        for factor in rest:
            result = result * factor(env)
        return -result if negative else result

    return multiply


def _guarded(brackets: list[Callable[[Env], bool]], code: Code, zero: Number) -> Code:
    """A product that is 0, its other factors not even looked at, where one of the brackets is."""
    if not brackets:
        return code
    return lambda env: code(env) if all(holds(env) for holds in brackets) else zero


def _name_and_indices(entry: sp.Expr) -> tuple[str, tuple[sp.Expr, ...]]:
    if isinstance(entry, sp.Indexed):
        return str(entry.base.label), entry.indices
    if isinstance(entry, sp.Symbol):
        return entry.name, ()
    raise NoRule(f"no rule evaluates a partial derivative of or by {str(entry)[:60]}: it is no entry")


# --- sizes -------------------------------------------------------------------------------------


_MOST_LINKS = 5


def small_sizes(program: Program, turn: int = 0, few: Collection[sp.Symbol] = ()) -> dict[sp.Symbol, int]:
    """A small number for each size: all distinct where they are few, else distinct from the near ones.

    Two sizes are near each other if one equation uses both or a third links them, so for a layer and
    its two neighbours a transposed weight or a sum with another's bound gives another number, or an
    index out of range. A size that links most others, or is in ``few``, is 2 in one turn and 3 in the
    next. ``turn`` 1 hands the small numbers out from the other end.

    >>> from symbackprop.forward.model import forward_model
    >>> from symbackprop.spec.loading import from_widths
    >>> small_sizes(forward_model(from_widths("8-8-8")).program)
    {n_2: 2, n_1: 3, n_0: 4}
    """
    groups = [symbols for symbols in _sizes_by_equation(program) if symbols]
    order = list(dict.fromkeys(symbol for symbols in groups for symbol in symbols))
    order = order if turn % 2 else order[::-1]
    linked: dict[sp.Symbol, set[sp.Symbol]] = {symbol: set() for symbol in order}
    for symbols in groups:
        for symbol in symbols:
            linked[symbol].update(symbols)
    hubs = [symbol for symbol in order if symbol in few or len(linked[symbol]) > _MOST_LINKS]
    sizes: dict[sp.Symbol, int] = {hub: 2 + (turn + place) % 2 for place, hub in enumerate(hubs)}
    linked = {symbol: others - set(hubs) for symbol, others in linked.items() if symbol not in hubs}
    for symbol in linked:
        near = set().union(*(linked[other] for other in linked[symbol])) if len(linked) > 4 else set(linked)
        used = {sizes[other] for other in near if other in sizes}
        sizes[symbol] = next(size for size in range(2, len(order) + 2) if size not in used)
    return sizes


def _sizes_by_equation(program: Program) -> Iterator[tuple[sp.Symbol, ...]]:
    """The size symbols of each equation, then those of quantities that no equation defines."""
    for equation in program.equations:
        sums = equation.rhs.atoms(sp.Sum)
        letters = {*equation.indices, *(limits[0] for total in sums for limits in total.limits)}
        bounds = [total.limits[0][2] for total in sums if total.limits[0][2] not in letters]
        used = [program.quantities[n] for n in sorted(equation.names) if n in program.quantities]
        yield _symbols(
            (*bounds, *(d for q in used for d in q.dims), *equation.quantity.dims, *_open(equation))
        )
    for quantity in (*program.inputs, *program.parameters, *program.given):
        yield _symbols(quantity.dims)


def _open(equation: Equation) -> Collection[sp.Expr]:
    """Whole numbers that stand free in an equation: the number of examples in a mean."""
    bound = {limits[0] for total in equation.rhs.atoms(sp.Sum) for limits in total.limits}
    free = equation.rhs.atoms(sp.Symbol) - bound - set(equation.indices)
    return sorted((symbol for symbol in free if symbol.is_integer), key=str)


def _symbols(dims: Iterable[sp.Expr]) -> tuple[sp.Symbol, ...]:
    found = (s for dim in dims for s in sorted(sp.sympify(dim).free_symbols, key=str))
    return tuple(dict.fromkeys(found))
