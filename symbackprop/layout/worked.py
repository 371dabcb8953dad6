"""The numbers of a worked example: the spec's values in the network, as instances that know every number.

Each number is known by two routes. What is printed is the value of the formula that stands before it;
what it is checked against comes from the forward equations alone, a derivative by a small move.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sympy as sp

from symbackprop.algebra.components import written_out
from symbackprop.algebra.equations import Partial, Program, Quantity
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.checking.arithmetic import Edges, Key, Number
from symbackprop.checking.check import Equality, Finding, check_equality
from symbackprop.checking.evaluate import Instance
from symbackprop.errors import FormRefused, SymbackpropError
from symbackprop.forward.model import EXAMPLES, Model
from symbackprop.network import Values, argument
from symbackprop.printing.rounding import printed_numbers

if TYPE_CHECKING:
    from symbackprop.pipeline import NetworkDerivation

MOST_EXAMPLES, MOST_ENTRIES = 10, 60
"""So many examples, and so many entries of parameters, can be worked through before nobody reads on."""

RATE = sp.Symbol("learning_rate", real=True)
"""The learning rate."""

Given = Mapping[str, Mapping[Key, Number]]

_TIE = 1e-30


@dataclass(frozen=True)
class NumberLaboratory:
    """Checks equalities with printed numbers in one instance, that of the spec's own numbers.

    With every printed number taken for the entry that it stands for, the equality has to hold; and
    each number has to be that entry's value, to half a unit of its last digit.
    """

    instance: Instance

    def check(self, equality: Equality) -> Finding:
        """Check the formula, and each number in it."""
        numbers = printed_numbers(equality.right)
        formula = equality.right.xreplace({number: number.entry for number in numbers})
        finding = check_equality(replace(equality, right=formula), self.instance)
        if finding.residual is None or not numbers:
            return replace(finding, equality=equality)
        errors = [(self._error(number), number.tolerance) for number in numbers]
        right = all(error <= tolerance + Fraction(1, 10**40) for error, tolerance in errors)
        worst = max(error for error, _ in errors)
        shown = "0" if worst <= Fraction(1, 10**40) else f"{float(worst):.1e}"
        method = f"{finding.method}, numbers to half a unit of their last digit"
        return replace(
            finding, equality=equality, method=method, residual=shown, holds=finding.holds and right
        )

    def _error(self, number: Any) -> Fraction:
        value = self.instance.value(number.entry)
        printed = self.instance.arithmetic.number(number.number.numerator, number.number.denominator)
        error = abs(value - printed)
        return Fraction(str(error.context.nstr(error, 20)))


@dataclass(frozen=True)
class Worked:
    """A derivation with the numbers of its spec."""

    derivation: NetworkDerivation

    @property
    def model(self) -> Model:
        """The forward program."""
        return self.derivation.model

    @property
    def values(self) -> Values:
        """The numbers of the spec."""
        values = self.derivation.network.values
        assert values is not None
        return values

    @property
    def count(self) -> int:
        """How many examples there are."""
        return len(self.values.x or ())

    @cached_property
    def sizes(self) -> dict[sp.Symbol, int]:
        """The number for each size, as the given arrays have it."""
        found: dict[sp.Symbol, int] = {}
        for quantity, numbers in self._arrays():
            for dim, size in zip(quantity.dims, _shape(numbers), strict=True):
                found[dim] = size
        return found

    @property
    def batch_sizes(self) -> dict[sp.Symbol, int]:
        """The sizes, and the number of examples."""
        return {**self.sizes, EXAMPLES: self.count}

    def _arrays(self) -> Iterator[tuple[Quantity, Any]]:
        known = self.model.program.quantities
        for name, numbers in self.values.parameters:
            yield known[name], numbers
        assert self.values.x is not None and self.values.y is not None
        yield known["x"], self.values.x[0]
        yield known["y"], self.values.y[0]

    # instances --------------------------------------------------------------------------------------

    @cached_property
    def parameters(self) -> Given:
        """The given parameters."""
        return {name: _table(numbers) for name, numbers in self.values.parameters}

    @cached_property
    def symbols(self) -> Given:
        """The given values of open symbols, and the learning rate."""
        rate = {} if self.values.learning_rate is None else {RATE.name: self.values.learning_rate}
        return {name: {(): _exact(number)} for name, number in {**dict(self.values.symbols), **rate}.items()}

    @cached_property
    def examples(self) -> tuple[Instance, ...]:
        """The program of one example with the numbers of each."""
        return tuple(self.example(number, self.parameters) for number in range(self.count))

    def example(self, number: int, parameters: Given) -> Instance:
        """The program of one example with the numbers of one, counted from 0."""
        assert self.values.x is not None and self.values.y is not None
        given = {"x": _table(self.values.x[number]), "y": _table(self.values.y[number])}
        return self._instance(self.model.program, self.sizes, {**given, **parameters})

    @cached_property
    def batch(self) -> Instance:
        """The program of all examples."""
        return self.all_examples(self.parameters)

    def all_examples(self, parameters: Given) -> Instance:
        """The program of all examples with these parameters."""
        given = {"x": _table(self.values.x), "y": _table(self.values.y)}
        return self._instance(self.derivation.batch.forward, self.batch_sizes, {**given, **parameters})

    def _instance(self, program: Program, sizes: dict[sp.Symbol, int], given: Given) -> Instance:
        derivatives = self.derivation.named if program is self.model.program else ()
        return Instance(program, sizes, Edges(), 0, derivatives=derivatives, values={**self.symbols, **given})

    # one step of gradient descent -------------------------------------------------------------------

    @property
    def single(self) -> bool:
        """Whether the cost is that of the one example, so that there is nothing to add up."""
        return self.count == 1 and self.derivation.network.penalty is None

    @property
    def whole(self) -> Instance:
        """The instance that the total cost is taken from."""
        return self.examples[0] if self.single else self.batch

    @property
    def cost(self) -> Quantity:
        """What gradient descent makes smaller."""
        return self.model.cost if self.single else self.model.total.outputs[0]

    def update(self, entry: sp.Expr) -> sp.Expr:
        """The new value of a parameter's entry, as a formula."""
        return entry - RATE * Partial(self.cost.symbol, entry)

    def entries(self) -> Iterator[tuple[Quantity, sp.Expr]]:
        """Every entry of every parameter."""
        for parameter in self.model.program.parameters:
            for key in self.parameters[parameter.name]:
                yield parameter, parameter[tuple(map(sp.Integer, key))]

    def moved(self, unchanged: Sequence[str] = ()) -> Given:
        """The parameters after one step, those named in ``unchanged`` as they were."""
        found: dict[str, dict[Key, Number]] = {name: {} for name in self.parameters}
        for parameter, entry in self.entries():
            new = entry if parameter.name in unchanged else self.update(entry)
            key = tuple(int(index) for index in entry.indices)
            found[parameter.name][key] = self.whole.value(new)
        return found

    def after(self, unchanged: Sequence[str] = ()) -> Instance:
        """The program after one step."""
        parameters = self.moved(unchanged)
        return self.example(0, parameters) if self.single else self.all_examples(parameters)


def _table(numbers: Any) -> dict[Key, Fraction]:
    """An array as its entries, counted from 1."""
    if not isinstance(numbers[0], tuple):
        return {(j,): _exact(number) for j, number in enumerate(numbers, 1)}
    return {(j, k): _exact(n) for j, row in enumerate(numbers, 1) for k, n in enumerate(row, 1)}


def _shape(numbers: Any) -> tuple[int, ...]:
    return (len(numbers),) if not isinstance(numbers[0], tuple) else (len(numbers), len(numbers[0]))


def _exact(number: float) -> Fraction:
    """The decimal that was typed."""
    return Fraction(repr(number))


# --- what can't be worked through --------------------------------------------------------------------


def worked_example(derivation: NetworkDerivation) -> Worked:
    """The numbers of a derivation.

    Raises:
        FormRefused: where a number is missing, or where there is no number for what is asked.
    """
    _refuse_open(derivation)
    worked = Worked(derivation)
    try:
        _ = worked.examples, worked.batch
    except (SymbackpropError, ArithmeticError, ValueError) as error:
        raise FormRefused(f"form: worked: with the numbers of [values] there is no value: {error}") from None
    return worked


def _refuse_open(derivation: NetworkDerivation) -> None:
    """Refuse what has no numbers, naming what is missing."""
    model, values = derivation.model, derivation.network.values
    if model.symbolic_depth:
        raise FormRefused("form: worked: the depth is a symbol, so there are no numbers: use general")
    functions = {f.func for e in model.program for f in e.rhs.atoms(ScalarFunction) if f.formula is None}
    for function in sorted(functions, key=lambda function: str(function.letter)):
        raise FormRefused(
            f"form: worked: the activation {function.letter} is left open, so it has no values: "
            "give it a formula, or use index or matrix"
        )
    missing = [*_missing(model, values or Values())]
    if missing:
        raise FormRefused(f"form: worked: these have no numbers: {', '.join(missing)}: give them in [values]")
    _refuse_long(values or Values())
    _refuse_facts(model, values or Values())


def _missing(model: Model, values: Values) -> Iterator[str]:
    yield from (name for name in ("x", "y") if getattr(values, name) is None)
    given = dict(values.parameters)
    yield from (p.name for p in model.program.parameters if p.name not in given)
    used = {s for e in (*model.program, *model.total) for s in e.rhs.free_symbols if not s.is_integer}
    quantities = {*model.program.quantities, *model.total.quantities}
    names = sorted(str(s) for s in used if isinstance(s, sp.Symbol) and str(s) not in quantities)
    bases = {str(base) for e in (*model.program, *model.total) for base in e.rhs.atoms(sp.IndexedBase)}
    yield from (name for name in names if name not in dict(values.symbols) and name not in bases)


def _refuse_long(values: Values) -> None:
    entries = sum(len(_table(numbers)) for _, numbers in values.parameters)
    if entries > MOST_ENTRIES:
        raise FormRefused(
            f"form: worked: each of {entries:,} entries of parameters would have lines of its own, and more "
            f"than {MOST_ENTRIES} can't be read: use index or matrix"
        )
    examples = len(values.x or ())
    if examples > MOST_EXAMPLES:
        raise FormRefused(
            f"form: worked: {examples} examples would be worked through one by one: "
            f"give at most {MOST_EXAMPLES} rows of x and y, or use index or matrix"
        )


def _refuse_facts(model: Model, values: Values) -> None:
    for number, row in enumerate(values.y or (), 1):
        total = sum(map(_exact, row))
        if model.facts and total != 1:
            raise FormRefused(
                f"form: worked: [facts] says that targets sum to one, and those of example {number} sum to "
                f"{float(total):.9g}: give targets that do, or use index or matrix"
            )


def ties(instance: Instance) -> Iterator[sp.Expr]:
    """The entries whose formula is at an edge, where branches meet, with the numbers of an instance."""
    sizes = {sp.Symbol(name, integer=True, positive=True): n for name, n in instance.sizes.items()}
    for equation in instance.program:
        for entry, value in written_out(equation, {s: sp.Integer(n) for s, n in sizes.items()}):
            if any(abs(instance.value(edge)) < _TIE for edge in _edges(value)):
                yield entry


def _edges(expr: sp.Expr) -> Iterator[sp.Expr]:
    """What is 0 where branches meet: the difference of two sides of a condition, what abs is taken of."""
    for relation in expr.atoms(sp.core.relational.Relational):
        yield relation.lhs - relation.rhs
    for node in expr.atoms(sp.Abs, sp.sign):
        yield node.args[0]
    for node in expr.atoms(ScalarFunction):
        if node.formula is not None:
            yield from _edges(node.formula.xreplace({argument("z"): node.args[0]}))


__all__ = ["NumberLaboratory", "Worked", "ties", "worked_example"]
