"""Lines of code that couple the units of a layer, run at saturated layers beside a thousand digits.

A share of a sum is computed by functions that no single operation shows, so here the line itself is run as
NumPy, in each of the formats, and what is right comes from the equation with its sums written out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle, islice, product
from typing import Any

import numpy as np
import sympy as sp

from symbackprop.algebra.equations import Equation, Quantity, Role
from symbackprop.algebra.indices import EXAMPLE, outermost
from symbackprop.algebra.rules import everywhere
from symbackprop.code.codegen import Generator, helper_keys
from symbackprop.code.numpy_code import Names, array_code
from symbackprop.forward.model import EXAMPLES, Model
from symbackprop.numerics.floats import FORMATS, Failure, Format, exact_values, in_range
from symbackprop.numerics.stable import stable
from symbackprop.rendering.render import fill

MOST_UNITS = 3
"""How many units a layer has here, unless the spec gives it fewer."""

SIZES = (1, 20, 40, 100, 750)
SHAPES = ((1, 1, 1), (-1, -1, -1), (1, 0, 0), (1, -1, 0), (1, -1, -1), (-1, 1, 1))
"""All alike, one that dominates, spread evenly, one against the others: each shape at each size."""

PLACES = tuple(tuple(size * unit for unit in shape) for size, shape in product(SIZES, SHAPES))
"""The pre-activations of a layer that are looked at."""

_LAYERS = (Role.ACTIVATION, Role.INTERMEDIATE)
_LOOKED_AT = (*_LAYERS, Role.OUTPUT_COST, Role.EXAMPLE_COST, Role.DELTA, Role.ADJOINT)
_OTHERS = (0.25, -0.5, 0.75)
"""What comes from outside a line: derivatives by outputs and the like."""


def is_coupled(equation: Equation, definitions: Mapping[str, Equation]) -> bool:
    """Whether a line, or an output that it reads, adds up over the units of a layer."""
    if equation.quantity.role not in _LOOKED_AT:
        return False
    read = [e for e in _read(equation, definitions) if e is not equation]
    inner = equation.rhs
    if equation.quantity.role is Role.EXAMPLE_COST:
        inner = inner.replace(lambda e: isinstance(e, sp.Sum), lambda e: outermost(e)[0])
    return any(map(_adds_up, (inner, *(e.rhs for e in read))))


def _read(equation: Equation, definitions: Mapping[str, Equation]) -> list[Equation]:
    """An equation after the outputs that it reads, each after those that it reads itself."""
    found: list[Equation] = []
    for name in sorted(equation.names & definitions.keys()):
        if definitions[name].quantity.role in _LAYERS and name != equation.quantity.name:
            found += [e for e in _read(definitions[name], definitions) if e not in found]
    return [*found, equation]


def _adds_up(expr: sp.Expr) -> bool:
    """Whether there is a sum over units that weighs nothing: one with a weight leads to another layer."""
    weighed = re.compile(r"W[\d\[]")
    return any(not any(weighed.match(str(e)) for e in s.atoms(sp.Indexed)) for s in expr.atoms(sp.Sum))


def kind_of(equation: Equation, definitions: Mapping[str, Equation]) -> str:
    """The same text for lines that differ in the number of their layer alone."""
    text = "; ".join(str(e) for e in _read(equation, definitions))
    numbers: dict[str, int] = {}
    return re.sub(r"(?<=[A-Za-z_])\d+", lambda m: str(numbers.setdefault(m.group(), len(numbers))), text)


def coupled_failures(
    equation: Equation, generator: Generator, wrong: float
) -> Iterator[tuple[Failure, tuple[float, ...]]]:
    """Every failure of a line: the entry that is wrong by more than ``wrong``, and the whole layer there.

    Raises:
        NotFollowed: for an operation that is not evaluated here.
    """
    line = _Line(equation, generator)
    right = [line.right(place) for place in line.places]
    for kind in FORMATS:
        for place, given, known in zip(line.places, line.given(kind), right, strict=True):
            for found, exact in zip(given, known, strict=True):
                if exact is not None and in_range(exact, kind):
                    number, value = float(found), float(exact)
                    if not abs(number - value) <= wrong * max(1, abs(value)):
                        yield Failure(kind.name, max(map(abs, place)), number, value), place


@dataclass
class _Line:
    """One equation with what it reads, at a few units."""

    equation: Equation
    generator: Generator

    @property
    def model(self) -> Model:
        return self.generator.model

    @cached_property
    def equations(self) -> list[Equation]:
        return _read(self.equation, self.generator.batch.forward.definitions)

    @cached_property
    def outside(self) -> dict[str, Quantity]:
        """What is read and not defined here, by name: pre-activations, targets, derivatives."""
        known = self.generator.vectoriser.quantities
        own = {e.quantity.name for e in self.equations}
        names = set().union(*(e.names for e in self.equations)) - own
        return {name: known[name] for name in sorted(names) if name in known}

    @cached_property
    def sizes(self) -> dict[sp.Symbol, int]:
        """A number of units for each size."""
        dims = {d for q in self.generator.vectoriser.quantities.values() for d in q.dims} - {EXAMPLES}
        declared = {size: self.model.with_sizes(size) for size in dims if not size.is_Integer}
        return {s: min(MOST_UNITS, int(d)) if d.is_Integer else MOST_UNITS for s, d in declared.items()}

    @cached_property
    def places(self) -> list[tuple[float, ...]]:
        """The layers that are looked at, as long as the layer is."""
        layers = [q.dims[-1] for q in self.outside.values() if q.role is Role.PRE_ACTIVATION]
        units = max((self.sizes.get(size, MOST_UNITS) for size in layers), default=MOST_UNITS)
        return list(dict.fromkeys(place[:units] for place in PLACES))

    # --- as the code has it -----------------------------------------------------------------------

    @cached_property
    def names(self) -> Names:
        """Names that are variables, for a general layer too."""
        sizes = {symbol: str(size) for symbol, size in self.sizes.items()}
        every = [*self.generator.vectoriser.quantities, *(e.quantity.name for e in self.equations)]
        quantities = {name: _variable(name) for name in every}
        return Names({**sizes, EXAMPLES: "N"}, quantities, dtype="x.dtype")

    @cached_property
    def code(self) -> Any:
        """The lines, and the functions that they call."""
        lines = [f"{self.names.quantity(e.quantity.name)} = {self._text(e)}" for e in self.equations]
        keys = helper_keys(Generator(self.model, self.generator.batch, self.names.helpers))
        head = "import numpy as np\n" + fill("kernels.py.jinja", keys)
        return compile("\n".join([head, *lines]), "<a coupled line>", "exec")

    def _text(self, equation: Equation) -> str:
        rhs = stable(equation.rhs, self.generator.batch.forward.definitions)
        same = Equation(equation.quantity, equation.indices, rhs, equation.label)
        return array_code(self.generator.vectoriser.equation(same), self.names).text

    def given(self, kind: Format) -> Any:
        """What the code gives in a format: a row for each place."""
        variables: dict[str, Any] = {"N": len(self.places), "x": np.zeros((1, 1), kind.name)}
        for name, quantity in self.outside.items():
            variables[_variable(name)] = np.array(self._values(quantity), kind.name)
        with np.errstate(all="ignore"):
            exec(self.code, variables)
        found = variables[_variable(self.equation.quantity.name)]
        return found.reshape(len(self.places), -1)

    def _values(self, quantity: Quantity) -> Any:
        """Numbers for what comes from outside, in the shape that it has."""
        shape = [self.sizes.get(size, MOST_UNITS) for size in quantity.dims if size != EXAMPLES]
        if quantity.role is Role.PRE_ACTIVATION:
            return [list(islice(cycle(place), shape[-1])) for place in self.places]
        one = _targets(shape[-1]) if quantity.role is Role.TARGET else np.resize(_OTHERS, shape)
        return np.broadcast_to(one, (len(self.places), *shape)) if EXAMPLES in quantity.dims else one

    # --- as it is right ---------------------------------------------------------------------------

    @cached_property
    def exact(self) -> list[sp.Expr]:
        """The entries with every sum written out, in what comes from outside."""
        known: dict[sp.Expr, sp.Expr] = {}
        for equation in self.equations:
            places = product(*(self._range(size) for size in equation.quantity.dims))
            moves = [dict(zip(equation.indices, at, strict=True)) for at in places]
            values = [self._written(equation.rhs.xreplace(move), known) for move in moves]
            known |= zip((equation.lhs.xreplace(move) for move in moves), values, strict=True)
        return values

    def _range(self, size: sp.Expr) -> list[sp.Expr]:
        number = self.sizes.get(size, size)
        return [EXAMPLE] if size == EXAMPLES else [sp.Integer(i + 1) for i in range(int(number))]

    def _written(self, expr: sp.Expr, known: Mapping[sp.Expr, sp.Expr]) -> sp.Expr:
        """An expression without sums, sizes and names."""

        def visit(node: sp.Expr) -> sp.Expr:
            if not isinstance(node, sp.Sum):
                return node
            body, bound, size = outermost(node)
            return sp.Add(*(body.xreplace({bound: at}) for at in self._range(size)))

        return everywhere(visit, expr).xreplace({**self.sizes, **known})

    def right(self, place: tuple[float, ...]) -> list[Any]:
        """The right values at a layer; ``None`` for what is no number."""
        row = self.places.index(place)
        numbers: dict[sp.Expr, float] = {}
        for quantity in self.outside.values():
            values = np.asarray(self._values(quantity), float)
            values = values[row] if EXAMPLES in quantity.dims else values
            ranges = [self._range(size) for size in quantity.dims if size != EXAMPLES]
            for at, value in zip(product(*ranges), values.ravel(), strict=True):
                first = (EXAMPLE,) if EXAMPLES in quantity.dims else ()
                numbers[quantity[(*first, *at)]] = float(value)
        return exact_values(self.exact, numbers)


def _targets(units: int) -> list[float]:
    """Targets that add up to 1, as a declared fact may ask."""
    first = [0.25, 0.5][: units - 1]
    return [*first, 1 - sum(first)]


def _variable(name: str) -> str:
    """A variable for a quantity; none of them is x or N.

    >>> _variable("W[l+1]"), _variable("x")
    ('W_l_1__', 'x_')
    """
    return re.sub(r"\W", "_", name) + "_"
