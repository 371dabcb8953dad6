"""From expressions to closures over an instance: the code that gives an expression's value.

Every distinct sub-expression becomes one closure. Of the builders, one only evaluates, one notes what was
read and which cases were taken, and one keeps what it has computed.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from functools import singledispatchmethod
from itertools import product
from typing import TYPE_CHECKING, Any

import sympy as sp

from symbackprop.algebra.equations import (
    Bracket,
    Partial,
)
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.checking.arithmetic import (
    Key,
    NoValue,
    Number,
    OutOfRange,
    Scalar,
)
from symbackprop.errors import NoRule
from symbackprop.network import argument

if TYPE_CHECKING:
    from symbackprop.checking.evaluate import Instance

Env = dict[Any, Any]
Code = Callable[[Env], Number]
Count = Callable[[Env], int]
Entry = tuple[str, Key]


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


# --- the argument of a formula -----------------------------------------------------------------

ARGUMENT = sp.Symbol("@z", real=True)
"""The argument of a formula, under a name that no quantity has."""


def in_argument(formula: sp.Expr) -> sp.Expr:
    return formula.xreplace({argument("z"): ARGUMENT})


# --- builders ----------------------------------------------------------------------------------

_RELATIONS: dict[Any, Callable[[Any, Any], bool]] = {
    sp.Gt: operator.gt,
    sp.Ge: operator.ge,
    sp.Lt: operator.lt,
    sp.Le: operator.le,
    sp.Eq: operator.eq,
    sp.Ne: operator.ne,
}


class Builder:
    """Turns expressions into closures over an instance, each distinct sub-expression once."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.arithmetic = instance.arithmetic
        self.memo: dict[sp.Basic, Any] = {}
        self.zero, self.one = self.arithmetic.number(0), self.arithmetic.number(1)
        self._made: Callable[[sp.Basic], Code] = self._code

    def __call__(self, expr: sp.Expr) -> Code:
        code: Code | None = self.memo.get(expr)
        if code is None:
            code = self.memo[expr] = self._made(expr)
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
        if node == ARGUMENT:
            return lambda env: env[name]
        return self._entry(name, ())

    @_code.register
    def _(self, node: sp.Indexed) -> Code:
        return self._entry(node.base.name, node.indices)

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
        if isinstance(node, sp.ITE):
            where, yes, no = map(self.condition, node.args)
            return lambda env: yes(env) if where(env) else no(env)
        if type(node) not in _RELATIONS:
            raise NoRule(f"no rule evaluates the condition {str(node)[:60]}")
        compare, real = _RELATIONS[type(node)], self.arithmetic.real
        left, right = (self(side) for side in node.args)
        return lambda env: compare(real(left(env)), real(right(env)))

    # derivatives -------------------------------------------------------------------------------

    @_code.register
    def _(self, node: Partial) -> Code:
        (of, above), (wrt, below) = (_name_and_indices(part) for part in node.args)
        table = self.instance.partial(of, wrt, type(node))
        if len(above) + len(below) != len(table.shape):
            raise NoValue(f"{node} has the wrong number of indices")
        return self.lookup(table, tuple(self.count(index) for index in (*above, *below)))


class Watching(Builder):
    """The same closures, and they note what they read and which cases they take."""

    def __init__(self, instance: Instance, name: str) -> None:
        super().__init__(instance)
        self.read: set[Entry] = set()
        self._usual: Callable[[sp.Basic], Code] = super()._code
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
        return self._usual(node)

    @_code.register
    def _(self, node: ScalarFunction) -> Code:
        if node.formula is None:
            return self._usual(node)
        inner, code = self(node.args[0]), self(in_argument(node.formula))
        name = ARGUMENT.name
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


class Settled(Builder):
    """The same closures for when no entry moves: what was computed once for some indices is kept.

    A cost written out in full is a small graph with a huge tree; this walks the graph.
    """

    def __init__(self, instance: Instance) -> None:
        super().__init__(instance)
        self.free: dict[sp.Basic, frozenset[str]] = {}

    def __call__(self, expr: sp.Expr) -> Code:
        code: Code | None = self.memo.get(expr)
        if code is None:
            code = self._made(expr)
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
        return entry.base.name, entry.indices
    if isinstance(entry, sp.Symbol):
        return entry.name, ()
    raise NoRule(f"no rule evaluates a partial derivative of or by {str(entry)[:60]}: it is no entry")
