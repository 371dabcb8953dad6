"""Symbolic beside numeric: what the generated code computes against references that share no code with it.

| reference | what it is |
|---|---|
| finite_difference | central differences of the forward equations, evaluated as they stand |
| complex_step | the imaginary part of the cost at a point moved by 1e-30 i, for the same equations |
| explicit | the cost written out as one expression, and its raw derivative, with numbers put in |
| autograd | the gradient of another program; none is asked at present |

The evaluator here reads the index equations directly: every index letter is an axis of its own, and
nothing is turned into matrix products. It knows no backward formula, and complex numbers are no
different from real ones to it: a condition looks at real parts only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, singledispatch
from itertools import count
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from symbackprop.algebra.equations import Program, Quantity, Role
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.algebra.indices import fresh_index, index_symbol, outermost
from symbackprop.code.codegen import python_name
from symbackprop.errors import NoRule, SymbackpropError
from symbackprop.forward.compose import raw_gradient
from symbackprop.forward.model import EXAMPLES, Model
from symbackprop.network import argument
from symbackprop.numerics.forms import Expm1, LogOneMinusExp, LogSoftplus, Sigmoid, Softplus
from symbackprop.numerics.stable import stable

if TYPE_CHECKING:
    from symbackprop.pipeline import NetworkDerivation

Values = NDArray[Any]
Axes = tuple[tuple[sp.Symbol, int], ...]

TOLERANCES = {"finite_difference": 1e-6, "complex_step": 1e-9, "explicit": 1e-9, "autograd": 1e-9}
"""How large an error may be, relative to the larger of 1 and the reference."""

MOST_ENTRIES = 2000
"""Networks with more entries than this are compared at :data:`SAMPLE` entries of each parameter."""

SAMPLE = 25
"""How many entries of each parameter of a large network are looked at."""

DEPTH = 3
"""How many layers stand for any number of them."""

STEPS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
"""What an entry is moved by in difference quotients."""

KINK = 1e-6
"""How far the slopes from the two sides may be apart, relative to the slope, where there is no kink."""

SATURATED = 8.0
"""Pre-activations beyond this make 1 - a lose digits: there the forms of ``stable`` are evaluated."""

_ATTEMPTS = 20
_MARGIN = 0.02
_LARGEST_WORK = 2_000_000
_EXPLICIT_LAYERS = 4
_EXPLICIT_WORK = 200_000


# --- the report --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Errors:
    """The largest relative error of one gradient against each reference; ``None`` where there is none."""

    finite_difference: float | None = None
    complex_step: float | None = None
    explicit: float | None = None
    autograd: float | None = None

    @property
    def agrees(self) -> bool:
        """Whether every reference there is confirms the gradient, and there is one at least."""
        found = {name: error for name, error in vars(self).items() if error is not None}
        return bool(found) and all(error < TOLERANCES[name] for name, error in found.items())


@dataclass(frozen=True)
class Report:
    """How far the generated code is from the references.

    ``cost`` has the relative error of the cost against the forward equations (``forward``) and
    against the written-out cost (``explicit``), ``gradients`` the errors of each gradient.
    """

    name: str
    cost: Mapping[str, float | None]
    gradients: Mapping[str, Errors]

    @property
    def agrees(self) -> bool:
        """Whether everything is within :data:`TOLERANCES`; those of a cost are 1e-9."""
        costs = all(error is None or error < 1e-9 for error in self.cost.values())
        return costs and all(errors.agrees for errors in self.gradients.values())

    def to_json(self) -> dict[str, Any]:
        """The report as ``symbackprop compare --json`` prints it; what is no number is a very large one."""
        gradients = {name: _finite(vars(errors)) for name, errors in self.gradients.items()}
        return {"agrees": self.agrees, "cost": _finite(self.cost), "gradients": gradients}

    def table(self) -> str:
        """The report as a table.

        >>> print(Report("net", {"forward": 1e-16}, {"W1": Errors(3e-10, 2e-16)}).table())
        net         finite_difference  complex_step  explicit  autograd
        cost                        -             -         -         -
        W1                    3.0e-10       2.0e-16         -         -
        cost against the forward equations: 1.0e-16
        the generated code and the references agree
        """
        references = tuple(TOLERANCES)
        width = max(10, len(self.name), *map(len, self.gradients))
        lines = [f"{self.name:<{width}}  " + "  ".join(references)]
        rows = {"cost": Errors(explicit=self.cost.get("explicit")), **self.gradients}
        for name, errors in rows.items():
            cells = [f"{_written(getattr(errors, one)):>{len(one)}}" for one in references]
            lines.append(f"{name:<{width}}  " + "  ".join(cells))
        lines.append(f"cost against the forward equations: {_written(self.cost['forward'])}")
        verdict = "agree" if self.agrees else "DON'T agree"
        return "\n".join([*lines, f"the generated code and the references {verdict}"])


def _finite(errors: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: None if e is None else min(float(e), 1e300) for name, e in errors.items()}


def _written(error: float | None) -> str:
    return "-" if error is None else f"{error:.1e}"


# --- the map of the whole ----------------------------------------------------------------------


def compare(derivation: NetworkDerivation, seed: int = 0) -> Report:
    """The generated code's cost and gradients at one point, beside every reference there is.

    Numbers come from the spec where it gives them, and are drawn from ``seed`` elsewhere, away from
    kinks. A network of at most 2000 entries is compared at every entry, a larger one at 25 entries
    of each parameter, drawn from ``seed`` too: a 784-128-64-10 network then takes a few seconds.
    An entry at a kink, where the slopes from the two sides differ, has no difference quotient and is
    left out of ``finite_difference``.

    With a symbol for the number of layers, the code is compared with a network of three.

    Raises:
        SymbackpropError: for a seed below 0.

    >>> from symbackprop.pipeline import derive
    >>> from symbackprop.spec.loading import from_widths
    >>> compare(derive(from_widths("2-2-1"))).agrees
    True
    """
    if seed < 0:
        raise SymbackpropError(f"seed: {seed}: a seed is a whole number from 0 up")
    module = derivation.compile()
    derivation = derivation.at_depth(DEPTH) if derivation.model.symbolic_depth else derivation
    point = choose_point(derivation, seed)
    cost, gradients = generated(module, derivation, point)
    references = References(derivation, point, np.random.default_rng([seed, _ATTEMPTS]))
    written_out = references.explicit_cost
    costs = {
        "forward": relative_error(cost, references.cost),
        "explicit": None if written_out is None else relative_error(cost, written_out),
    }
    errors = {name: references.errors(name, gradient) for name, gradient in gradients.items()}
    return Report(derivation.network.name, costs, errors)


def generated(
    module: ModuleType, derivation: NetworkDerivation, point: Point
) -> tuple[float, Mapping[str, Values]]:
    """What the generated module makes of a point: the cost and the gradients."""
    parameters = {q.name: point.arrays[q.name] for q in derivation.model.program.parameters}
    options: dict[str, Any] = {python_name(s.name): v for s, v in point.symbols.items()}
    for letter in _open_functions(derivation.batch.forward):
        options |= {letter: _stand_in, f"{letter}_prime": _stand_in_slope}
    with np.errstate(all="ignore"):
        cost, gradients = module.cost_and_gradients(
            parameters, point.arrays["x"], point.arrays["y"], **options
        )
    return cost, gradients


def relative_error(found: Any, reference: Any) -> float:
    """The largest of |g - r| / max(1, |r|); infinite where one of the two is no number.

    >>> relative_error([1.0, 20.0], [1.0, 10.0])
    1.0
    """
    g, r = np.asarray(found, float), np.asarray(reference, float)
    with np.errstate(all="ignore"):
        errors = np.abs(g - r) / np.maximum(1.0, np.abs(r))
    return float(np.max(np.where(np.isfinite(errors), errors, np.inf), initial=0.0))


# --- the point ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """Numbers for all that a network leaves open.

    ``sizes`` are those of the program's symbols, ``declared`` those of the spec's own; ``arrays`` are
    the inputs, the targets and the parameters by name; ``symbols`` are the open symbols.
    """

    sizes: Mapping[sp.Symbol, int]
    declared: Mapping[sp.Symbol, int]
    arrays: Mapping[str, Values]
    symbols: Mapping[sp.Symbol, float]


def choose_point(derivation: NetworkDerivation, seed: int = 0) -> Point:
    """A point with the spec's numbers, the others drawn: not near a kink, nor where anything overflows."""
    model, program = derivation.model, derivation.batch.forward
    best: tuple[float, Point] | None = None
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng([seed, attempt])
        point = _drawn_point(model, program, rng, 0.5 ** (attempt // 4))
        quality = _quality(program, point)
        if quality > _MARGIN:
            return point
        if best is None or quality > best[0]:
            best = quality, point
    assert best is not None
    return best[1]


def _drawn_point(model: Model, program: Program, rng: np.random.Generator, spread: float) -> Point:
    given = _given(model)
    declared = _declared_sizes(model, given)
    sizes = {symbol: int(size) if size.is_Integer else declared[size] for symbol, size in model.sizes}
    examples = len(given["x"]) if "x" in given else 3
    sizes[EXAMPLES] = declared[EXAMPLES] = examples
    arrays = {}
    for quantity in (*program.inputs, *program.parameters):
        shape = tuple(sizes[size] for size in quantity.dims)
        drawn = _drawn(model, quantity, shape, rng, spread)
        arrays[quantity.name] = given.get(quantity.name, drawn)
    symbols = {symbol: float(rng.uniform(0.05, 0.2)) for symbol in _open_symbols(model, program)}
    values = model.network.values
    known = dict(values.symbols) if values is not None else {}
    return Point(sizes, declared, arrays, {s: known.get(s.name, drawn) for s, drawn in symbols.items()})


def _given(model: Model) -> dict[str, Values]:
    """The arrays that the spec gives."""
    values = model.network.values
    if values is None:
        return {}
    found = {"x": values.x, "y": values.y, **dict(values.parameters)}
    return {name: np.array(array, float) for name, array in found.items() if array is not None}


def _declared_sizes(model: Model, given: Mapping[str, Values]) -> dict[sp.Symbol, int]:
    """A number for each size that is a symbol: what the given arrays show, else a small one of its own."""
    declared = {size for _, size in model.sizes if not size.is_Integer}
    found: dict[sp.Symbol, int] = {}
    for quantity in (*model.program.inputs, *model.program.parameters):
        shape = given[quantity.name].shape[-len(quantity.dims) :] if quantity.name in given else ()
        for symbol, number in zip(quantity.dims, shape, strict=False):
            size = model.with_sizes(symbol)
            if size in declared:
                found[size] = number
    taken = {*found.values(), *(int(size) for _, size in model.sizes if size.is_Integer)}
    free = (number for number in count(2) if number not in taken)
    return {size: found[size] if size in found else next(free) for size in sorted(declared, key=str)}


def _drawn(
    model: Model, quantity: Quantity, shape: tuple[int, ...], rng: np.random.Generator, spread: float
) -> Values:
    if quantity.role is Role.TARGET:
        return _targets(model, shape, rng)
    fan_in = shape[-1] if quantity.role is Role.WEIGHT else 1
    scale = 1.0 if quantity.role is Role.INPUT else spread / math.sqrt(fan_in)
    return scale * rng.standard_normal(shape)


def _targets(model: Model, shape: tuple[int, ...], rng: np.random.Generator) -> Values:
    """Targets between 0 and 1, which add up to 1 where that is declared; -1 and 1 for hinge."""
    if model.network.cost.name == "hinge":
        return rng.choice([-1.0, 1.0], shape)
    targets = rng.uniform(0.1, 0.9, shape)
    return targets / targets.sum(axis=1, keepdims=True) if model.facts else targets


def _open_symbols(model: Model, program: Program) -> list[sp.Symbol]:
    """Symbols such as lambda that the spec leaves open."""
    known = {EXAMPLES, *(symbol for symbol, _ in model.sizes)}
    found = {symbol for equation in program for symbol in equation.rhs.free_symbols} - known
    plain = (s for s in found if isinstance(s, sp.Symbol) and s.name not in program.quantities)
    return sorted((s for s in plain if not s.is_integer), key=str)


def _open_functions(program: Program) -> list[str]:
    """The letters of the activations that the spec leaves unspecified."""
    nodes = (node for equation in program for node in equation.rhs.atoms(ScalarFunction))
    return sorted({node.letter for node in nodes if node.formula is None})


def _quality(program: Program, point: Point) -> float:
    """How far a point is from the nearest kink; negative where it is of no use."""
    numbers = Numbers.at(point)
    evaluated = run(program, numbers)
    with np.errstate(all="ignore"):
        usable = np.all(np.isfinite(evaluated["C"])) and np.all(np.abs(evaluated["C"]) < 1e3)
    if not usable:
        return -2.0
    return -1.0 if _saturated(program, evaluated) else min(numbers.margins, default=1.0)


def _saturated(program: Program, evaluated: Mapping[str, Values]) -> bool:
    layers = [e.quantity.name for e in program if e.quantity.role is Role.PRE_ACTIVATION]
    return any(not np.all(np.abs(evaluated[name]) <= SATURATED) for name in layers)


# --- the references ----------------------------------------------------------------------------


@dataclass(frozen=True)
class References:
    """What a cost and its gradients should be at a point."""

    derivation: NetworkDerivation
    point: Point
    rng: np.random.Generator

    @cached_property
    def saturated(self) -> bool:
        """Whether the formulas as written lose digits at this point."""
        program = self.derivation.batch.forward
        return _saturated(program, run(program, Numbers.at(self.point)))

    @cached_property
    def program(self) -> Program:
        """The forward equations, in forms that can be evaluated at this point."""
        program = self.derivation.batch.forward
        if not self.saturated:
            return program
        forms = (replace(e, rhs=stable(e.rhs, program.definitions)) for e in program)
        return replace(program, equations=tuple(forms))

    @cached_property
    def cost(self) -> float:
        """The cost by the forward equations."""
        return float(run(self.program, Numbers.at(self.point))["C"][0])

    @cached_property
    def sampled(self) -> bool:
        """Whether there are too many entries to look at each."""
        return sum(self.point.arrays[q.name].size for q in self.program.parameters) > MOST_ENTRIES

    @cached_property
    def analytic(self) -> bool:
        """Whether every function in the equations takes complex numbers; erf doesn't in NumPy alone."""
        functions = (node for e in self.program for node in e.rhs.atoms(ScalarFunction))
        written = [e.rhs for e in self.program] + [f.formula for f in functions if f.formula is not None]
        return not any(expr.has(sp.erf) for expr in written)

    def errors(self, name: str, gradient: Values) -> Errors:
        """The errors of one gradient against every reference."""
        places = self.places(name)
        at_places = np.asarray(gradient).reshape(-1)[places]
        quotients, smooth = self.finite_differences(name, places)
        steps = self.complex_steps(name, places) if self.analytic else None
        explicit = self.explicit(name)
        return Errors(
            relative_error(at_places[smooth], quotients[smooth]) if smooth.any() else None,
            None if steps is None else relative_error(at_places, steps),
            None if explicit is None else relative_error(gradient, explicit),
        )

    def places(self, name: str) -> NDArray[np.intp]:
        """The entries of an array to look at, counted in the order of its memory."""
        size = self.point.arrays[name].size
        if not self.sampled or size <= SAMPLE:
            return np.arange(size)
        return np.sort(self.rng.choice(size, SAMPLE, replace=False))

    def moved_costs(self, name: str, places: NDArray[np.intp], steps: Values) -> Values:
        """The cost with each of these entries moved in turn, by each of the steps; a row a step."""
        base = self.point.arrays[name]
        entries, by = (grid.ravel() for grid in np.meshgrid(places, steps))
        at_once = max(1, _LARGEST_WORK // self.work(base.size))
        found = []
        for start in range(0, len(entries), at_once):
            part = slice(start, start + at_once)
            moved = np.repeat(base[None].astype(steps.dtype), len(entries[part]), axis=0)
            moved.reshape(len(moved), -1)[np.arange(len(moved)), entries[part]] += by[part]
            numbers = Numbers.at(self.point)
            found.append(run(self.program, replace(numbers, arrays={**numbers.arrays, name: moved}))["C"])
        return np.concatenate(found).reshape(len(steps), len(places))

    def work(self, size: int) -> int:
        """How many numbers one evaluation holds at once, roughly."""
        widths = [n for symbol, n in self.point.sizes.items() if symbol != EXAMPLES]
        return int(max(size, self.point.sizes[EXAMPLES] * max(widths)))

    def finite_differences(self, name: str, places: NDArray[np.intp]) -> tuple[Values, NDArray[np.bool_]]:
        """Central differences, and where the slopes from the two sides are the same.

        Of several steps the one counts whose quotient differs least from that of the step before, its
        rounding added. How much the slopes differ shrinks with the step where there is a second
        derivative; at a kink it stays.
        """
        steps = np.array(STEPS)
        above, below = np.split(self.moved_costs(name, places, np.concatenate([steps, -steps])), 2)
        steps = steps[:, None]
        quotients = (above - below) / (2 * steps)
        rounding = np.finfo(float).eps * abs(self.cost) / steps
        differences = np.abs(np.diff(quotients, axis=0)) + rounding[1:]
        steady = np.argmin(np.where(np.isfinite(differences), differences, np.inf), axis=0)
        chosen = quotients[steady + 1, np.arange(len(places))]
        *_, before, last = np.abs(above + below - 2 * self.cost) / steps
        scale = np.maximum(np.maximum(1.0, np.abs(chosen)), 10 * abs(self.cost))
        return chosen, ~((last > KINK * scale) & (last > 0.3 * before))

    def complex_steps(self, name: str, places: NDArray[np.intp]) -> Values:
        """Im C(p + ih) / h, exact to rounding."""
        (moved,) = self.moved_costs(name, places, np.array([1e-30j]))
        return np.asarray(moved.imag / 1e-30)

    # the written-out cost

    @cached_property
    def written_out(self) -> bool:
        """Whether the written-out cost is small enough to be looked at, and keeps its digits here."""
        sizes = self.point.sizes.values()
        largest = max(array.size for array in self.point.arrays.values())
        layers = len(self.derivation.network.layers)
        affordable = layers <= _EXPLICIT_LAYERS and math.prod(sizes) * largest <= _EXPLICIT_WORK
        return affordable and not self.saturated

    @cached_property
    def explicit_cost(self) -> float | None:
        """The value of the cost as one expression."""
        if not self.written_out:
            return None
        with np.errstate(all="ignore"):
            found = value(self.derivation.cost, Scope(Numbers.at(self.point, self.point.declared), ()))
        return float(found.reshape(-1)[0])

    def explicit(self, name: str) -> Values | None:
        """The value of the raw derivative of the cost as one expression."""
        if not self.written_out:
            return None
        quantity = self.derivation.batch.forward.quantities[name]
        array = self.point.arrays[name]
        letters = tuple(index_symbol(letter) for letter in "jk"[: array.ndim])
        slope = raw_gradient(self.derivation.cost, quantity[letters])
        axes = tuple(zip(letters, array.shape, strict=True))
        with np.errstate(all="ignore"):
            found = value(slope, Scope(Numbers.at(self.point, self.point.declared), axes))
        return np.broadcast_to(found, (1, *array.shape)).reshape(array.shape)


# --- the evaluator -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Numbers:
    """What entries, sizes and symbols stand for.

    ``arrays`` have one axis before their own: the point moved in several ways is evaluated at once.
    ``margins`` collects how near each condition came to a tie.
    """

    arrays: Mapping[str, Values]
    scalars: Mapping[sp.Symbol, Any]
    margins: list[float] = field(default_factory=list)
    memo: dict[Any, Values] = field(default_factory=dict)

    @staticmethod
    def at(point: Point, sizes: Mapping[sp.Symbol, int] | None = None) -> Numbers:
        """The numbers of a point that isn't moved."""
        arrays = {name: array[None] for name, array in point.arrays.items()}
        return Numbers(arrays, {**(point.sizes if sizes is None else sizes), **point.symbols})

    def size(self, size: sp.Expr) -> int:
        """A size as a number."""
        return int(size) if size.is_Integer else int(self.scalars[size])


@dataclass(frozen=True)
class Scope:
    """Numbers, and the index letters that are axes, in order, with their lengths."""

    numbers: Numbers
    axes: Axes

    def place(self, letter: sp.Expr) -> int:
        """Which axis a letter is; the axis of the moves comes before them all."""
        letters = [axis for axis, _ in self.axes]
        if letter not in letters:
            raise NoRule(f"no number is known for {letter}, which is no index here")
        return letters.index(letter)

    def along(self, array: Values, letters: Sequence[sp.Expr]) -> Values:
        """An array with these letters as its axes, laid along the axes of the scope."""
        places = [self.place(letter) for letter in letters]
        if len(set(places)) != len(places):
            raise NoRule(f"an entry has one index twice: {', '.join(map(str, letters))}")
        order = sorted(range(len(places)), key=places.__getitem__)
        array = array.transpose(0, *(place + 1 for place in order))
        shape = [1] * len(self.axes)
        for position, length in zip(sorted(places), array.shape[1:], strict=True):
            shape[position] = length
        return array.reshape(array.shape[0], *shape)


def run(program: Program, numbers: Numbers) -> dict[str, Values]:
    """Every quantity of a program, each with the axis of the moves first.

    >>> from symbackprop.pipeline import derive
    >>> from symbackprop.spec.loading import from_widths
    >>> derivation = derive(from_widths("2-1", output_activation="linear"))
    >>> numbers = Numbers.at(choose_point(derivation))
    >>> x, W, b = (numbers.arrays[name][0] for name in ("x", "W1", "b1"))
    >>> found = run(derivation.batch.forward, numbers)
    >>> bool(np.allclose(found["z1"][0], x @ W.T + b))
    True
    """
    arrays = dict(numbers.arrays)
    with np.errstate(all="ignore"):
        for equation in program:
            shape = tuple(numbers.size(size) for size in equation.quantity.dims)
            scope = Scope(
                replace(numbers, arrays=arrays, memo={}), tuple(zip(equation.indices, shape, strict=True))
            )
            found = value(equation.rhs, scope)
            arrays[equation.quantity.name] = np.broadcast_to(found, (len(found), *shape))
    return arrays


def value(expr: sp.Expr, scope: Scope) -> Values:
    """An index expression as an array over the axes of the scope, of length 1 where it doesn't vary."""
    key = expr, scope.axes
    memo = scope.numbers.memo
    if key not in memo:
        memo[key] = _value(expr, scope)
    return memo[key]


@singledispatch
def _value(expr: sp.Basic, scope: Scope) -> Values:
    raise NoRule(f"no number is known for {type(expr).__name__}, which occurs as {str(expr)[:60]}")


def _constant(number: float, scope: Scope) -> Values:
    return np.full((1,) * (len(scope.axes) + 1), number)


@_value.register(sp.Number)
@_value.register(sp.NumberSymbol)
def _(expr: sp.Expr, scope: Scope) -> Values:
    return _constant(float(expr), scope)


@_value.register
def _(expr: sp.Symbol, scope: Scope) -> Values:
    if expr.name in scope.numbers.arrays:
        return scope.along(scope.numbers.arrays[expr.name], ())
    if expr not in scope.numbers.scalars:
        raise NoRule(f"no number is known for the symbol {expr}")
    found = scope.numbers.scalars[expr]
    return found if isinstance(found, np.ndarray) else _constant(float(found), scope)


@_value.register
def _(expr: sp.Indexed, scope: Scope) -> Values:
    return scope.along(scope.numbers.arrays[str(expr.base.label)], expr.indices)


@_value.register
def _(expr: sp.KroneckerDelta, scope: Scope) -> Values:
    left, right = (_counted(index, scope) for index in expr.args)
    return np.where(left == right, 1.0, 0.0)


def _counted(index: sp.Expr, scope: Scope) -> Values:
    """The values of an index along its axis, counted from 1."""
    if index.is_Integer:
        return _constant(int(index), scope)
    length = scope.axes[scope.place(index)][1]
    return scope.along(np.arange(1, length + 1)[None], (index,))


@_value.register
def _(expr: sp.Add, scope: Scope) -> Values:
    return _folded(np.add, expr.args, scope)


@_value.register
def _(expr: sp.Mul, scope: Scope) -> Values:
    """A product; exponentials over a sum of exponentials are taken together, so that neither overflows."""
    sums = [f for f in expr.args if isinstance(f, sp.Pow) and f.exp == -1 and _is_sum_of_exp(f.base)]
    powers = [f for f in expr.args if isinstance(f, sp.exp)]
    if not sums or not powers:
        return _folded(np.multiply, expr.args, scope)
    logarithm = sum(value(f.args[0], scope) for f in powers) - sum(_log_sum_exp(f.base, scope) for f in sums)
    rest = [f for f in expr.args if f not in sums and f not in powers]
    return np.exp(logarithm) * _folded(np.multiply, rest, scope) if rest else np.exp(logarithm)


def _folded(operation: Callable[..., Values], args: Sequence[sp.Expr], scope: Scope) -> Values:
    found = value(args[0], scope)
    for arg in args[1:]:
        found = operation(found, value(arg, scope))
    return found


@_value.register
def _(expr: sp.Pow, scope: Scope) -> Values:
    base, exponent = value(expr.base, scope), expr.exp
    if exponent.is_Integer:
        power = base ** abs(int(exponent))
        return 1.0 / power if exponent.is_negative else power
    return np.sqrt(base) if exponent == sp.S.Half else base ** value(exponent, scope)


@_value.register
def _(expr: sp.Sum, scope: Scope) -> Values:
    """The factors with the index are multiplied and added up along its axis, the others after that."""
    body, axes, length = _opened(expr, scope)
    inner = Scope(scope.numbers, axes)
    factors = sp.Mul.make_args(body)
    inside = [f for f in factors if axes[-1][0] in f.free_symbols]
    outside = [f for f in factors if f not in inside]
    if any(_is_sum_of_exp(f.base) for f in factors if isinstance(f, sp.Pow)):
        inside, outside = [body], []
    total = _constant(length, scope)
    if inside:
        arrays = [_to_length(value(factor, inner), length) for factor in inside]
        total = np.einsum(",".join(["...s"] * len(arrays)) + "->...", *arrays)
    return total * _folded(np.multiply, outside, scope) if outside else total


def _to_length(array: Values, length: int) -> Values:
    return np.broadcast_to(array, (*array.shape[:-1], length))


def _opened(expr: sp.Sum, scope: Scope) -> tuple[sp.Expr, Axes, int]:
    """The body of a sum, the axes with that of its index at the end, and the length of that axis."""
    body, bound, upper = outermost(expr)
    letters = [letter for letter, _ in scope.axes]
    if bound in letters:
        other = fresh_index(body, *letters)
        body, bound = body.xreplace({bound: other}), other
    length = scope.numbers.size(upper)
    return body, (*scope.axes, (bound, length)), length


def _is_sum_of_exp(expr: sp.Expr) -> bool:
    """A sum of exponentials, maybe with one term left out."""
    return isinstance(expr, sp.Sum) and _exponential(outermost(expr)[0]) is not None


def _exponential(body: sp.Expr) -> tuple[sp.Expr, sp.Expr] | None:
    """The exponent of a term, and the 1 - [i = j] that it may have for a factor."""
    factors = sp.Mul.make_args(body)
    exponents = [factor.args[0] for factor in factors if isinstance(factor, sp.exp)]
    kept = [factor for factor in factors if isinstance(1 - factor, sp.KroneckerDelta)]
    found = len(exponents) == 1 and len(kept) <= 1 and len(factors) == 1 + len(kept)
    return (exponents[0], sp.Mul(*kept)) if found else None


def _log_sum_exp(expr: sp.Sum, scope: Scope) -> Values:
    """The logarithm of a sum of exponentials."""
    body, axes, length = _opened(expr, scope)
    inner, kept = _exponential(body) or (body, sp.S.One)
    exponent = _to_length(value(inner, Scope(scope.numbers, axes)), length)
    exponent = np.where(value(kept, Scope(scope.numbers, axes)) == 0, -np.inf, exponent)
    top = np.max(exponent.real, axis=-1)
    logarithm: Values = top + np.log(np.sum(np.exp(exponent - top[..., None]), axis=-1))
    return logarithm


@_value.register
def _(expr: sp.Piecewise, scope: Scope) -> Values:
    *branches, (last, _) = expr.args
    found = value(last, scope)
    for branch, condition in reversed(branches):
        found = np.where(_holds(condition, scope), value(branch, scope), found)
    return found


def _holds(condition: sp.Basic, scope: Scope) -> NDArray[np.bool_]:
    """Where a condition holds, by real parts; how near it is to a tie is noted."""
    if isinstance(condition, sp.And | sp.Or):
        combine = np.logical_and if isinstance(condition, sp.And) else np.logical_or
        first, *others = (_holds(arg, scope) for arg in condition.args)
        for other in others:
            first = combine(first, other)
        return first
    if type(condition) not in _COMPARISONS:
        raise NoRule(f"no number is known for the condition {condition}")
    left, right = (np.real(value(side, scope)) for side in condition.args)
    _note(scope, left - right)
    return _COMPARISONS[type(condition)](left, right)


_COMPARISONS: dict[type[Any], Callable[[Values, Values], NDArray[np.bool_]]] = {
    sp.StrictGreaterThan: np.greater,
    sp.GreaterThan: np.greater_equal,
    sp.StrictLessThan: np.less,
    sp.LessThan: np.less_equal,
}


def _note(scope: Scope, difference: Values) -> None:
    scope.numbers.margins.append(float(np.min(np.abs(difference), initial=np.inf)))


@_value.register
def _(expr: sp.Abs, scope: Scope) -> Values:
    found = value(expr.args[0], scope)
    _note(scope, np.real(found))
    return np.where(np.real(found) < 0, -found, found)


@_value.register
def _(expr: sp.sign, scope: Scope) -> Values:
    found: Values = np.sign(np.real(value(expr.args[0], scope)))
    return found


@_value.register(sp.Max)
@_value.register(sp.Min)
def _(expr: sp.Expr, scope: Scope) -> Values:
    first, *others = (value(arg, scope) for arg in expr.args)
    for other in others:
        larger = np.real(first) >= np.real(other)
        first = np.where(larger == isinstance(expr, sp.Max), first, other)
    return first


@_value.register
def _(expr: sp.log, scope: Scope) -> Values:
    arg = expr.args[0]
    return _log_sum_exp(arg, scope) if _is_sum_of_exp(arg) else np.log(value(arg, scope))


@_value.register
def _(expr: sp.Function, scope: Scope) -> Values:
    if expr.func not in _FUNCTIONS:
        raise NoRule(f"no number is known for the function {type(expr).__name__}")
    return _FUNCTIONS[expr.func](value(expr.args[0], scope))


@_value.register
def _(expr: ScalarFunction, scope: Scope) -> Values:
    """An activation by its formula; its derivative by SymPy's own of the formula."""
    arg = value(expr.args[0], scope)
    if expr.formula is None:
        return (_stand_in if not expr.order else _stand_in_slope)(arg)
    z = argument("z")
    formula = _differentiated(expr.formula, expr.order)
    numbers = replace(scope.numbers, scalars={**scope.numbers.scalars, z: arg}, memo={})
    return value(formula, Scope(numbers, scope.axes))


@cache
def _differentiated(formula: sp.Expr, order: int) -> sp.Expr:
    return sp.diff(formula, argument("z"), order) if order else formula


def _stand_in(z: Values) -> Values:
    """What takes the place of an unspecified activation: any smooth function with values from 0.2 to 0.8."""
    return 0.5 + 0.3 * np.sin(z + 0.2)


def _stand_in_slope(z: Values) -> Values:
    return 0.3 * np.cos(z + 0.2)


def _sigmoid(u: Values) -> Values:
    small = np.exp(np.where(u.real > 0, -u, u))
    return np.where(u.real > 0, 1.0, small) / (1.0 + small)


def _softplus(u: Values) -> Values:
    positive = np.where(u.real > 0, u, 0.0)
    return positive + np.log1p(np.exp(np.where(u.real > 0, -u, u)))


def _log_softplus(u: Values) -> Values:
    small = np.exp(np.where(u.real > -20.0, -20.0, u))
    return np.where(u.real > -20.0, np.log(_softplus(np.where(u.real > -20.0, u, -20.0))), u - small / 2)


def _log_one_minus_exp(u: Values) -> Values:
    near, far = np.where(u.real > -0.7, u, -0.7), np.where(u.real > -0.7, -0.7, u)
    return np.where(u.real > -0.7, np.log(-np.expm1(near)), np.log1p(-np.exp(far)))


_FUNCTIONS: dict[Any, Callable[[Values], Values]] = {
    sp.exp: np.exp,
    sp.sin: np.sin,
    sp.cos: np.cos,
    sp.tan: np.tan,
    sp.sinh: np.sinh,
    sp.cosh: np.cosh,
    sp.tanh: np.tanh,
    sp.atan: np.arctan,
    sp.erf: np.vectorize(math.erf, otypes=[float]),
    Sigmoid: _sigmoid,
    Softplus: _softplus,
    LogSoftplus: _log_softplus,
    LogOneMinusExp: _log_one_minus_exp,
    Expm1: np.expm1,
}
