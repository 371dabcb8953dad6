"""The numbers of a spec: rows of inputs and targets, parameters and open symbols, and their shapes."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from symbackprop.network import Numbers, Size, Values
from symbackprop.tables.mistakes import ABSENT, Mistakes
from symbackprop.tables.names import did_you_mean, why_illegal

_SUM_TOLERANCE = 1e-6
_MOST_BAD_ENTRIES = 3


@dataclass(frozen=True)
class Shapes:
    """What the numbers have to fit: sizes from the input on (``None`` for a wrong one), and biases.

    ``symbols`` are the open symbols of the factors, or ``None`` where a factor is wrong.
    """

    sizes: tuple[Size | None, ...]
    biases: tuple[bool, ...]
    symbols: Collection[str] | None = ()
    depth: str | None = None
    facts: Collection[str] = ()

    @property
    def axes(self) -> dict[str, tuple[Size | None, ...]]:
        """The axes of every array that may be given; the axis of the examples is the symbol ``N``."""
        axes: dict[str, tuple[Size | None, ...]] = {"x": ("N", self.sizes[0]), "y": ("N", self.sizes[-1])}
        for layer, (inner, outer) in enumerate(zip(self.sizes, self.sizes[1:], strict=False), 1):
            axes[f"W{layer}"] = (outer, inner)
            if self.biases[layer - 1]:
                axes[f"b{layer}"] = (outer,)
        return axes


@dataclass
class _Reading:
    """One pass over ``[values]``: ``known`` says what each symbolic size turned out to be, and where."""

    shapes: Shapes
    mistakes: Mistakes
    known: dict[str, tuple[int, str]] = field(default_factory=dict)

    def array(self, name: str, given: Any, axes: Sequence[Size | None]) -> Numbers | None:
        shape = self.rectangle(name, given, len(axes))
        if shape is None or not self.fits(name, given, shape, axes):
            return None
        if len(axes) == 1:
            return tuple(map(float, given))
        return tuple(tuple(map(float, row)) for row in given)

    def rectangle(self, name: str, given: Any, dimensions: int) -> tuple[int, ...] | None:
        """The shape of lists of finite numbers, or nothing if they aren't that."""
        kind = "a list of numbers" if dimensions == 1 else "a list of rows, each a list of numbers"
        rows = [given] if dimensions == 1 else given
        if not isinstance(given, (list, tuple)) or not all(isinstance(row, (list, tuple)) for row in rows):
            self.mistakes.add(("values", name), given, f"{name} is {kind}")
            return None
        bad = [(at, i) for at, row in enumerate(rows) for i, entry in enumerate(row) if not is_number(entry)]
        for at, i in bad[:_MOST_BAD_ENTRIES]:
            place = ("values", name, i) if dimensions == 1 else ("values", name, at, i)
            self.mistakes.add(place, rows[at][i], f"an entry of {name} is a finite number")
        if bad:
            return None
        if len({len(row) for row in rows}) > 1:
            lengths = ", ".join(map(str, sorted({len(row) for row in rows})))
            self.mistakes.add(
                ("values", name), given, f"the rows of {name} have different lengths: {lengths}"
            )
            return None
        return (len(given),) if dimensions == 1 else (len(given), len(given[0]) if given else 0)

    def fits(self, name: str, given: Any, shape: tuple[int, ...], axes: Sequence[Size | None]) -> bool:
        """Whether a shape agrees with the sizes declared, and with those that other arrays showed."""
        for found, size in zip(shape, axes, strict=True):
            expected, why = self.expected(size)
            if found == 0 or (expected is not None and found != expected):
                wanted = f"{name} has shape {self.written(axes)}, and this has shape {_shape(shape)}"
                self.mistakes.add(("values", name), given, wanted + why)
                return False
        for found, size in zip(shape, axes, strict=True):
            if isinstance(size, str):
                self.known.setdefault(size, (found, name))
        return True

    def expected(self, size: Size | None) -> tuple[int | None, str]:
        """The number that a size stands for, if that is known, and how it is known."""
        if not isinstance(size, str):
            return size, ""
        if size not in self.known:
            return None, ""
        number, name = self.known[size]
        return number, f" (by {name}, {size} is {number})"

    def written(self, axes: Sequence[Size | None]) -> str:
        return _shape(tuple("?" if size is None else size for size in axes))

    def number(self, name: str, given: Any) -> float | None:
        positive = name == "learning_rate"
        if is_number(given) and (given > 0 or not positive):
            return float(given)
        wanted = "the learning rate is a number above 0" if positive else f"{name} is a finite number"
        self.mistakes.add(("values", name), given, wanted)
        return None


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, and not true or false."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) < 1e300 and math.isfinite(value)


def read_values(table: Mapping[str, Any], shapes: Shapes, mistakes: Mistakes) -> Values:
    """The numbers of ``[values]``, each checked; what is wrong is left out and goes to ``mistakes``."""
    reading = _Reading(shapes, mistakes)
    axes = {} if shapes.depth else shapes.axes
    arrays: dict[str, Numbers] = {}
    numbers: dict[str, float] = {}
    unchanged: tuple[str, ...] = ()
    for name, given in table.items():
        if name in axes:
            if (array := reading.array(name, given, axes[name])) is not None:
                arrays[name] = array
        elif name == "unchanged":
            unchanged = _unchanged(given, axes, mistakes)
        elif name == "learning_rate" or name in (shapes.symbols or ()):
            if (number := reading.number(name, given)) is not None:
                numbers[name] = number
        elif shapes.symbols is not None or (name != "lambda" and why_illegal(str(name))):
            mistakes.add(("values", str(name)), given, _unknown(str(name), shapes, axes))
    _check_complete(table, axes, mistakes)
    _check_targets(arrays.get("y"), shapes.facts, mistakes)
    rate = numbers.pop("learning_rate", None)
    parameters = tuple((name, arrays[name]) for name in axes if name in arrays and name not in ("x", "y"))
    x, y = arrays.get("x"), arrays.get("y")
    return Values(x, y, parameters, tuple(numbers.items()), rate, unchanged)  # type: ignore[arg-type]


def _unchanged(given: Any, axes: Mapping[str, Any], mistakes: Mistakes) -> tuple[str, ...]:
    """The names of parameters in a list; what is no parameter goes to ``mistakes``."""
    names = [name for name in axes if name not in ("x", "y")]
    if not isinstance(given, (list, tuple)):
        mistakes.add(("values", "unchanged"), given, 'unchanged is a list of parameters, such as ["b1"]')
        return ()
    for number, name in enumerate(given):
        if name not in names:
            wanted = f"this is no parameter: there are {_listed(names)}"
            mistakes.add(("values", "unchanged", number), name, wanted)
    return tuple(name for name in given if name in names)


def _unknown(name: str, shapes: Shapes, axes: Mapping[str, Any]) -> str:
    layer = int(name[1:]) if name[:1] in "Wb" and name[1:].isdecimal() and len(name) < 6 else 0
    if shapes.depth:
        return f"with the symbol {shapes.depth} for the depth, layers have no numbers: leave this out"
    if name.startswith("b") and 1 <= layer <= len(shapes.biases):
        return f"layer {layer} has bias = false: leave this out"
    if layer > len(shapes.biases):
        return f"there is no layer {layer}: the network has {len(shapes.biases)}"
    if name in (*shapes.sizes, "N"):
        return f"the size {name} follows from the arrays: leave this out"
    known = [*axes, *sorted(shapes.symbols or ()), "learning_rate", "unchanged"]
    hint = did_you_mean(name, known) if len(name) > 2 else ""
    return f"the key {name[:40]!r} is not known here{hint or f'; known are {_listed(known)}'}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names if len(names) <= 12 else [*names[:10], "...", names[-1]])


def _check_complete(table: Mapping[str, Any], axes: Mapping[str, Any], mistakes: Mistakes) -> None:
    """Inputs and targets come together, and so do all the parameters."""
    for group in (("x", "y"), tuple(name for name in axes if name not in ("x", "y"))):
        missing = [name for name in group if name not in table]
        if axes and missing and len(missing) < len(group):
            given = next(name for name in group if name in table)
            sentence = f"missing: {_listed(missing)} (with {given} the others are needed too)"
            mistakes.add(("values", missing[0]), ABSENT, sentence)


def _check_targets(targets: Any, facts: Collection[str], mistakes: Mistakes) -> None:
    if targets is None or "targets_sum_to_one" not in facts:
        return
    for number, row in enumerate(targets):
        if abs(math.fsum(row) - 1) > _SUM_TOLERANCE:
            wanted = f"[facts] says that targets sum to one, and these sum to {math.fsum(row):.6g}"
            mistakes.add(("values", "y", number), list(row), wanted)


def _shape(shape: Sequence[object]) -> str:
    return f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"
