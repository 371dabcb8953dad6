"""Records of the index algebra: quantities, equations, programs, and the steps of a derivation.

Everything the program derives is an equation in index notation. An entry of a quantity is a SymPy
``Indexed`` (or a ``Symbol`` for a quantity with no indices), a sum is a SymPy ``Sum`` over one
index from 1, and a partial derivative that has not been worked out yet is a :class:`Partial`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache

import sympy as sp

from symbackprop.algebra.indices import at_indices


def label_of(name: str) -> str:
    """The label of an equation, from the name of what it defines.

    >>> label_of("delta2"), label_of("W[l+1]"), label_of("grad_W1")
    ('delta-2', 'W-l+1', 'grad-W-1')
    """
    return re.sub(r"(?<=[A-Za-z])(?=\d)", "-", re.sub(r"\[(.*)\]$", r"-\1", name)).replace("_", "-")


class Role(Enum):
    """What a quantity is to the network; names and macros in the text are chosen by it."""

    INPUT = "input"
    TARGET = "target"
    WEIGHT = "weight"
    BIAS = "bias"
    PARAMETER = "parameter"
    PRE_ACTIVATION = "pre_activation"
    ACTIVATION = "activation"
    INTERMEDIATE = "intermediate"
    EXAMPLE_COST = "example_cost"
    OUTPUT_COST = "output_cost"
    PENALTY = "penalty"
    COST = "cost"
    DELTA = "delta"
    ADJOINT = "adjoint"
    GRADIENT = "gradient"


PARAMETER_ROLES = frozenset({Role.WEIGHT, Role.BIAS, Role.PARAMETER})
DERIVATIVE_ROLES = frozenset({Role.DELTA, Role.ADJOINT, Role.GRADIENT})


@dataclass(frozen=True)
class Quantity:
    """A named tensor.

    ``name`` is unique in a program (``W1``, ``z2``, ``delta2``); ``letter`` is the family it belongs
    to (``W``, ``z``); ``layer`` is a number, or an expression in a symbol such as ``l + 1``, or
    ``None``; ``dims`` are the sizes of its axes. Two fields are set on derivatives only: ``of`` is the
    quantity that the cost is differentiated with respect to, ``cost`` is that cost.

    >>> j, n = sp.symbols("j n_1", integer=True, positive=True)
    >>> z = Quantity("z1", "z", Role.PRE_ACTIVATION, sp.Integer(1), (n,))
    >>> z[j]
    z1[j]
    """

    name: str
    letter: str
    role: Role
    layer: sp.Expr | None
    dims: tuple[sp.Expr, ...]
    of: Quantity | None = None
    cost: Quantity | None = None

    @cached_property
    def symbol(self) -> sp.Symbol | sp.IndexedBase:
        """The SymPy object that stands for the whole quantity."""
        return _base(self.name) if self.dims else sp.Symbol(self.name, real=True)

    def __getitem__(self, indices: sp.Expr | tuple[sp.Expr, ...]) -> sp.Expr:
        indices = indices if isinstance(indices, tuple) else (indices,)
        if len(indices) != len(self.dims):
            raise IndexError(f"{self.name} has {len(self.dims)} indices, not {len(indices)}: {indices}")
        return sp.Indexed(self.symbol, *indices) if self.dims else self.symbol


@lru_cache(maxsize=10_000)
def _base(name: str) -> sp.IndexedBase:
    """One object for each name: SymPy works out what ``real`` implies whenever it makes another."""
    return sp.IndexedBase(name, real=True)


class Partial(sp.Expr):  # type: ignore[misc]
    """The derivative of one entry with respect to another, named and not yet worked out.

    ``Partial(C, z[j])``, of the cost, is the total derivative through everything that depends on
    ``z[j]``. ``Partial(a[i], z[j])``, of any other quantity, is the derivative of the right side of
    the equation that defines ``a``, all its other quantities held fixed.
    """

    is_commutative = True
    is_real = True

    def __new__(cls, of: sp.Expr, wrt: sp.Expr) -> Partial:
        return sp.Expr.__new__(cls, of, wrt)  # type: ignore[no-any-return]

    @property
    def of(self) -> sp.Expr:
        """The entry that is differentiated."""
        return self.args[0]

    @property
    def wrt(self) -> sp.Expr:
        """The entry that it is differentiated with respect to."""
        return self.args[1]


class ExplicitPartial(Partial):
    """A partial of the cost in which only the cost's own equation counts.

    Needed where the cost uses a quantity directly while other paths lead from that quantity to the
    cost as well: the chain rule adds this term to those of the other paths.
    """


class TotalPartial(Partial):
    """The derivative of an entry of any quantity through everything that lies between the two.

    ``TotalPartial(z2[i], W1[j, k])`` is how the second layer moves with a weight of the first.
    """


class Bracket(sp.Function):  # type: ignore[misc]
    """Iverson's bracket ``[condition]``: 1 where the condition holds, else 0."""

    nargs = 1
    is_real = True

    @classmethod
    def eval(cls, condition: sp.Basic) -> sp.Expr | None:
        if condition is sp.true:
            return sp.Integer(1)
        if condition is sp.false:
            return sp.Integer(0)
        return None


@dataclass(frozen=True)
class Equation:
    """One definition in index notation: ``lhs`` is an entry of ``quantity`` with plain indices.

    >>> j, n = sp.symbols("j n", integer=True, positive=True)
    >>> a = Quantity("a", "a", Role.ACTIVATION, None, (n,))
    >>> print(Equation(a, (j,), 2 * j))
    a[j] = 2*j
    """

    quantity: Quantity
    indices: tuple[sp.Symbol, ...]
    rhs: sp.Expr
    label: str = ""

    @cached_property
    def lhs(self) -> sp.Expr:
        """The entry that is defined."""
        return self.quantity[self.indices]

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of what the right side uses."""
        return frozenset(names_in(self.rhs))

    def at(self, indices: tuple[sp.Expr, ...]) -> sp.Expr:
        """The right side for other indices."""
        return at_indices(self.rhs, self.indices, indices)

    def __str__(self) -> str:
        return f"{self.lhs} = {self.rhs}"


def names_in(expr: sp.Expr) -> set[str]:
    """The names of the quantities that an expression uses (with those of its other symbols)."""
    return {symbol.name for symbol in expr.atoms(sp.Symbol)}


@dataclass(frozen=True)
class Program:
    """Equations in order, each in terms of inputs, parameters and earlier equations.

    ``given`` are quantities that stand for something defined outside (the delta of the next layer
    in a general-layer derivation).
    """

    inputs: tuple[Quantity, ...]
    parameters: tuple[Quantity, ...]
    equations: tuple[Equation, ...]
    outputs: tuple[Quantity, ...]
    given: tuple[Quantity, ...] = ()

    @cached_property
    def quantities(self) -> dict[str, Quantity]:
        """Every quantity by name."""
        everything = (*self.inputs, *self.parameters, *self.given, *(e.quantity for e in self.equations))
        return {quantity.name: quantity for quantity in everything}

    @cached_property
    def definitions(self) -> dict[str, Equation]:
        """Every equation by the name of what it defines."""
        return {equation.quantity.name: equation for equation in self.equations}

    @cached_property
    def consumers(self) -> dict[str, tuple[Equation, ...]]:
        """For each quantity, by name, the equations whose right side uses it."""
        found: dict[str, list[Equation]] = {name: [] for name in self.quantities}
        for equation in self.equations:
            for name in equation.names:
                if name in found:
                    found[name].append(equation)
        return {name: tuple(equations) for name, equations in found.items()}

    def __iter__(self) -> Iterator[Equation]:
        return iter(self.equations)


REASONS = {
    "chain_rule": "chain rule",
    "name_delta": "definition of delta",
    "differentiate": "differentiate the definitions",
    "fold_definition": "read the definition from right to left",
    "factor_out": "take out the common factor",
    "collapse_kronecker": "only the term with equal indices survives",
    "pull_out_factors": "take out of the sum what does not depend on its index",
    "put_in": "put in what was derived before",
    "derivative_in_terms_of_output": "the derivative in terms of the output",
    "multiply_out": "multiply out and cancel",
    "collect_terms": "add up like terms",
    "take_in_sign": "take the sign into the difference",
    "use_facts": "by the declared fact",
    "differentiate_composite": "differentiate the cost as written out",
    "interchange_sums": "interchange the sums and collect",
    "read_derivative": "write the derivatives of this layer by their names",
    "cofactor": "what multiplies the derivative of this entry in the derivative of the cost",
}
"""Why a step holds, in words, for every rule."""


@dataclass(frozen=True)
class Fact:
    """A declared equality that a step may use and must cite: ``left`` equals ``right``."""

    name: str
    left: sp.Expr
    right: sp.Expr


@dataclass(frozen=True)
class Step:
    """One rewrite, or one application of the chain rule: ``before`` equals ``after`` by ``rule``.

    ``facts`` names the declared facts that the step leans on; ``because`` says why in words.
    """

    rule: str
    before: sp.Expr
    after: sp.Expr
    facts: tuple[str, ...] = ()

    @property
    def because(self) -> str:
        """The reason in words."""
        reason = REASONS[self.rule]
        return f"{reason} ({', '.join(self.facts)})" if self.facts else reason

    def __str__(self) -> str:
        return f"{self.before} = {self.after}  ({self.because})"


@dataclass(frozen=True)
class Derivation:
    """Steps that lead from a goal to its result; each step starts where the one before ended."""

    goal: sp.Expr
    steps: tuple[Step, ...]

    @property
    def result(self) -> sp.Expr:
        """What the last step arrives at."""
        return self.steps[-1].after if self.steps else self.goal

    @property
    def facts(self) -> tuple[str, ...]:
        """The declared facts that the steps cite."""
        return tuple(dict.fromkeys(fact for step in self.steps for fact in step.facts))
