"""The network as plain records: what a spec says, after validation, and nothing derived yet."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import sympy as sp

Size = int | str
Numbers = float | tuple["Numbers", ...]


def size_family(size: Size) -> str | None:
    """The letter of sizes of which every hidden layer l has its own: r for ``r_l``.

    >>> size_family("r_l"), size_family("width"), size_family(30)
    ('r', None, None)
    """
    found = re.fullmatch(r"(\w+)_l", size) if isinstance(size, str) else None
    return found[1] if found else None


@dataclass(frozen=True)
class Formula:
    """A forward formula: its text as typed and the SymPy expression that the grammar read from it.

    A scalar formula is an expression in the real symbols named in ``arguments``. A coupled formula
    (softmax: each output depends on every input) is an expression in ``IndexedBase("z")[j]`` with
    the free index ``j`` and sums over other indices from 1 to ``n``; all of them are the symbols
    that :func:`argument`, :func:`index` and :data:`WIDTH` give.
    """

    text: str
    expr: sp.Expr
    arguments: tuple[str, ...]
    coupled: bool = False


def argument(name: str) -> sp.Symbol:
    """The real symbol that stands for a formula's argument, ``z`` or ``a`` or ``y``."""
    return sp.Symbol(name, real=True)


def vector_argument(name: str) -> sp.IndexedBase:
    """The vector that stands for the argument of a coupled formula."""
    return sp.IndexedBase(name, real=True)


def index(name: str) -> sp.Symbol:
    """An index that counts from 1."""
    return sp.Symbol(name, integer=True, positive=True)


WIDTH = sp.Symbol("n", integer=True, positive=True)
"""The number of units of the layer that a coupled formula stands for."""


@dataclass(frozen=True)
class Activation:
    """An activation: a name and its forward formula, or no formula for one left unspecified."""

    name: str
    formula: Formula | None

    @property
    def coupled(self) -> bool:
        """Whether each output depends on every pre-activation of the layer."""
        return self.formula is not None and self.formula.coupled


@dataclass(frozen=True)
class Layer:
    """One layer; ``size`` is a number or the name of a symbol."""

    size: Size
    activation: Activation
    bias: bool = True
    kind: str = "dense"


@dataclass(frozen=True)
class Cost:
    """The cost of one output as a formula in ``a`` and ``y``, and how the outputs and examples add up.

    ``outputs`` and ``examples`` are each ``"sum"`` or ``"mean"``; ``scale`` is a factor before it all.
    """

    name: str
    formula: Formula
    scale: sp.Expr = field(default_factory=lambda: sp.Integer(1))
    outputs: str = "sum"
    examples: str = "mean"


@dataclass(frozen=True)
class Values:
    """Numbers for the worked example: rows of ``x`` and ``y``, parameters, and open symbols.

    ``unchanged`` names parameters that a second step of gradient descent leaves as they are.
    """

    x: tuple[tuple[float, ...], ...] | None = None
    y: tuple[tuple[float, ...], ...] | None = None
    parameters: tuple[tuple[str, Numbers], ...] = ()
    symbols: tuple[tuple[str, float], ...] = ()
    learning_rate: float | None = None
    unchanged: tuple[str, ...] = ()


@dataclass(frozen=True)
class Remark:
    """A paragraph that the spec puts behind the formula with a label, in whatever form has that label."""

    at: str
    text: str


@dataclass(frozen=True)
class Network:
    """A whole network: an input, layers, a cost, and what else the spec declares.

    With ``depth`` (a symbol's name) the two layers stand for any number of hidden layers and one
    output layer. ``penalty`` is the factor before the sum of all squared weights, in ``lambda``,
    ``N`` or whatever symbols the spec uses. ``fingerprint`` is a hash of the spec.
    """

    name: str
    input_size: Size
    layers: tuple[Layer, ...]
    cost: Cost
    title: str | None = None
    depth: str | None = None
    penalty: sp.Expr | None = None
    facts: frozenset[str] = frozenset()
    values: Values | None = None
    remarks: tuple[Remark, ...] = ()
    fingerprint: str = ""
