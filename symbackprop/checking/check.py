"""Every equality on its own: both sides as numbers, in drawn instances, against nothing derived.

What a derivation says is a list of equalities: each step's ``before = after``, and each named
derivative with what it came to. Each of them is evaluated here for itself. A side that speaks of a
derivative gets its number from :mod:`symbackprop.checking.evaluate`, that is from the forward equations.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import product
from math import inf, prod
from typing import Any

import sympy as sp

from symbackprop.algebra.equations import (
    Derivation,
    Equation,
    Fact,
    Partial,
    Program,
    Quantity,
    Role,
    names_in,
)
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.algebra.indices import alpha
from symbackprop.algebra.kinds import signature
from symbackprop.algebra.layers import LAST, LAYER, at_layers
from symbackprop.checking.arithmetic import Arithmetic, Digits, Exact, Inexact, NoValue, TooLarge
from symbackprop.checking.evaluate import Instance
from symbackprop.checking.sizes import small_sizes
from symbackprop.derivation.chain import Adjoint
from symbackprop.errors import NoRule
from symbackprop.network import argument

INSTANCES = 2
"""In how many instances an equality is checked, at the least."""

INSTANCES_FOR_CASES = 16
"""In how many an equality is checked that distinguishes cases: each case has to occur at each entry."""

MORE_INSTANCES = 2
"""How many more are drawn while all numbers are 0, as behind units that are switched off."""

ALL_ENTRIES = 6
"""Up to how many entries are all checked; of more, as many are picked."""

MANY_LAYERS = 8
"""A program with more layers than this has its steps checked once for each kind."""

ARITHMETICS: tuple[Callable[[], Arithmetic], ...] = (Exact, Digits, partial(Digits, 360))
"""Exact where that can be; with digits otherwise, and with more of them where an equality fails."""

MOST = 50
"""Values are drawn smaller where an equation would give more than this: digits drown in such numbers."""

SCALES = tuple(Fraction(1, 2**power) for power in range(8))
"""How much smaller inputs and parameters are drawn, the first that does."""

DEFINITION = "definition"
"""The method of what says how a name is defined: nothing is evaluated, since it can't be wrong."""

_DRAWS = 5
_DRAWS_FOR_TIES = 30
"""How often values are drawn until no comparison is a tie: there a difference quotient takes both sides."""

_TELLING = 1e-25


@dataclass(frozen=True)
class Equality:
    """``left = right`` for all values of the free indices, each from 1 to its size.

    ``facts`` names the declared facts that it leans on; ``kind`` says what it is to the derivation.
    ``definition`` is set where the text says what a name stands for, and claims no more.
    """

    label: str
    left: sp.Expr
    right: sp.Expr
    free: tuple[tuple[sp.Symbol, sp.Expr], ...]
    kind: str = "step"
    facts: tuple[str, ...] = ()
    definition: bool = False

    def __str__(self) -> str:
        return f"{self.left} = {self.right}"


@dataclass(frozen=True)
class Finding:
    """What a check of one equality found.

    ``residual`` is the largest difference of the two sides over the entries that were checked,
    relative to the larger side where that is above 1; ``None`` if there was no number to compare, and
    then ``reason`` says why. ``same_as`` is the label of the equality of the same kind that stands
    for this one, if it wasn't evaluated itself.
    """

    equality: Equality
    method: str
    residual: str | None
    holds: bool
    entries: int = 0
    sizes: tuple[dict[str, int], ...] = ()
    reason: str = ""
    same_as: str | None = None
    telling: bool = True

    @property
    def checked(self) -> bool:
        """Whether this was a check, which can fail, and no definition."""
        return self.method != DEFINITION

    @property
    def label(self) -> str:
        """The label of the equality."""
        return self.equality.label

    @property
    def left(self) -> sp.Expr:
        """The left side that was checked."""
        return self.equality.left

    @property
    def right(self) -> sp.Expr:
        """The right side that was checked."""
        return self.equality.right


# --- one equality ------------------------------------------------------------------------------


def check_equality(equality: Equality, *instances: Instance) -> Finding:
    """Evaluate both sides in each instance, for all values of the free indices or a sample of them.

    >>> from symbackprop.checking.arithmetic import Exact
    >>> from symbackprop.forward.model import forward_model
    >>> from symbackprop.spec.loading import from_widths
    >>> program = forward_model(from_widths("2-1", output_activation="linear")).program
    >>> instance = Instance(program, small_sizes(program), Exact(), seed=1)
    >>> a, z, j = program.quantities["a1"], program.quantities["z1"], sp.Symbol("j", integer=True)
    >>> check_equality(Equality("a", a[j], z[j], ((j, z.dims[0]),)), instance).holds
    True
    >>> check_equality(Equality("a", a[j], 2 * z[j], ((j, z.dims[0]),)), instance).holds
    False
    """
    checked, largest, magnitude = 0, 0, 0
    try:
        for instance in instances:
            for difference, size in _differences(equality, instance):
                largest, magnitude = max(largest, difference), max(magnitude, size)
                checked += 1
    except Inexact:
        raise
    except (NoValue, NoRule) as error:
        return _finding(equality, instances, checked, None, str(error))
    finding = _finding(equality, instances, checked, largest)
    return replace(finding, telling=bool(magnitude > _TELLING))


def _finding(
    equality: Equality, instances: Sequence[Instance], entries: int, residual: Any, reason: str = ""
) -> Finding:
    arithmetic = instances[0].arithmetic
    sizes = tuple(instance.sizes for instance in instances)
    holds = residual is not None and bool(residual <= arithmetic.tolerance) and entries > 0
    text = None if residual is None else _short_number(residual)
    return Finding(equality, arithmetic.name, text, holds, entries, sizes, reason)


def _differences(equality: Equality, instance: Instance) -> Iterator[tuple[Any, Any]]:
    """At each entry the relative difference of the two sides, and the size of the larger."""
    left, right = instance.settled(equality.left), instance.settled(equality.right)
    names = [index.name for index, _ in equality.free]
    for entry in picked_entries([instance.size(dim) for _, dim in equality.free], instance.seed):
        env = dict(zip(names, entry, strict=True))
        ours, theirs = instance.run(left, env), instance.run(right, env)
        size = max(abs(ours), abs(theirs))
        if not size < inf:
            raise NoValue(f"a side is not finite at {env}")
        yield abs(ours - theirs) / max(1, size), size


def picked_entries(shape: Sequence[int], seed: int) -> list[tuple[int, ...]]:
    """All entries of a small tensor; of a larger one the corners and a sample, off the diagonal too.

    >>> picked_entries([2, 2], seed=0)
    [(1, 1), (1, 2), (2, 1), (2, 2)]
    >>> len(picked_entries([4, 5], seed=0))
    6
    """
    everything = product(*(range(1, size + 1) for size in shape))
    if prod(shape) <= ALL_ENTRIES:
        return list(everything)
    corners = list(product(*((1, size) for size in shape)))[: ALL_ENTRIES - 2]
    corners[-1] = tuple(shape)
    others = [entry for entry in everything if entry not in corners]
    return corners + random.Random(f"entries {seed}").sample(
        others, min(len(others), ALL_ENTRIES - len(corners))
    )


def _short_number(residual: Any) -> str:
    if residual == 0:
        return "0"
    if isinstance(residual, Fraction):
        return f"{float(residual):.1e}"
    mantissa, exponent = _decimal(residual)
    return f"{mantissa:.1f}e{exponent:+03d}"


def _decimal(residual: Any) -> tuple[float, int]:
    """A number as mantissa and power of ten, without the limits of a float."""
    text = residual.context.nstr(residual, 3, min_fixed=0, max_fixed=0)
    mantissa, _, exponent = text.partition("e")
    return float(mantissa), int(exponent or 0)


# --- instances for a program -------------------------------------------------------------------


@dataclass
class Laboratory:
    """Instances of one program, drawn when they are asked for and kept.

    An equality that cites facts is tried where these facts hold; every fact that it doesn't cite is
    broken there, so that a fact used without saying so is found out.
    """

    program: Program
    facts: tuple[Fact, ...] = ()
    derivatives: tuple[Quantity, ...] = ()
    seed: int = 0
    sizes: Mapping[sp.Symbol, int] | None = None
    few: tuple[sp.Symbol, ...] = ()
    _drawn: dict[Any, Instance] = field(default_factory=dict)
    _known_sizes: dict[int, dict[sp.Symbol, int]] = field(default_factory=dict)
    _level: int = 0

    def check(self, equality: Equality) -> Finding:
        """Check one equality; where digits say that it fails, once more with three times as many.

        A difference that comes from rounding, or from the step of a quotient, is gone then. One that
        comes from the equality stays. A definition is not evaluated, if it is the one of the program.
        """
        if self.defines(equality):
            return Finding(equality, DEFINITION, None, True)
        try:
            finding = self._checked(equality, self._level)
            if finding.residual is not None and not finding.holds and self._level:
                finding = self._checked(equality, len(ARITHMETICS) - 1)
        except Inexact:
            self._level = 1
            return self.check(equality)
        except (NoRule, NoValue) as error:
            return Finding(equality, "none", None, False, reason=str(error))
        return finding

    def defines(self, equality: Equality) -> bool:
        """Whether this is a definition, its right side to the letter what the left side is a name for."""
        left = equality.left
        if not equality.definition:
            return False
        if isinstance(left, ScalarFunction):
            if left.formula is None or left.order:
                return False
            return bool(equality.right == left.formula.xreplace({argument("z"): left.args[0]}))
        name, indices = _entry_of(left)
        if name in self.program.definitions:
            return bool(alpha(self.program.definitions[name].at(indices)) == alpha(equality.right))
        named = next((q for q in self.derivatives if q.name == name), None)
        return named is not None and equality.right == _stands_for(named, indices)

    def _checked(self, equality: Equality, level: int) -> Finding:
        """The finding in as many instances as it takes, in more as long as every number is 0 there."""
        least = self._least(equality)
        for count in range(least, least + MORE_INSTANCES + 1):
            instances = [self.instance(n, equality.facts, level) for n in range(count)]
            if len({instance.arithmetic.name for instance in instances}) > 1:
                raise Inexact("one of the instances leaves the rational numbers, so all of them do")
            finding = check_equality(equality, *instances)
            if finding.telling or not finding.holds:
                break
        return finding

    def _least(self, equality: Equality) -> int:
        """How many instances an equality takes: a smooth one few, one that distinguishes cases many."""
        if not self.instance(0, equality.facts).branches:
            return INSTANCES
        cases = _has_cases(equality.left) or _has_cases(equality.right)
        return INSTANCES_FOR_CASES if cases else 2 * INSTANCES

    def instance(self, turn: int, cited: Iterable[str], level: int | None = None) -> Instance:
        """The instance of this number in which the cited facts hold, and no other."""
        key = (turn, frozenset(cited), max(level or 0, self._level))
        if key not in self._drawn:
            instance = self._draw(*key)
            self._drawn[(*key[:2], max(key[2], self._level))] = instance
            return instance
        return self._drawn[key]

    def _draw(self, turn: int, cited: Collection[str], level: int) -> Instance:
        """An instance; of a few, the one that shows most cases which its forerunners didn't."""
        best = self._draw_once(turn, cited, self.seed + turn, level)
        for attempt in range(1, _DRAWS_FOR_TIES):
            if not best.tied:
                break
            best = self._draw_once(turn, cited, self.seed + turn + 10_000 * attempt, level)
        if not best.branches or turn >= 2 * INSTANCES:
            return best
        before = (self._drawn.get((earlier, cited, level)) for earlier in range(turn % 2, turn, 2))
        seen = set().union(*(instance.branches for instance in before if instance is not None))
        for attempt in range(1, _DRAWS):
            other = self._draw_once(turn, cited, self.seed + turn + 100 * attempt, level)
            better = len(other.branches | seen) > len(best.branches | seen) and not other.tied
            best = other if better else best
        return best

    def _sizes(self, turn: int) -> dict[sp.Symbol, int]:
        if turn not in self._known_sizes:
            self._known_sizes[turn] = small_sizes(self.program, turn, self.few)
        return self._known_sizes[turn]

    def _draw_once(self, turn: int, cited: Collection[str], seed: int, level: int) -> Instance:
        if level == 0:
            try:
                return self._drawn_small(turn, cited, seed, 0)
            except Inexact:
                self._level = 1
        return self._drawn_small(turn, cited, seed, max(level, 1))

    def _drawn_small(self, turn: int, cited: Collection[str], seed: int, level: int) -> Instance:
        """An instance whose numbers are not too large, and nowhere the inverse of what is 0 by rounding.

        Inputs and parameters are drawn as small as that takes.
        """
        kept = [fact for fact in self.facts if fact.name in cited]
        broken = [fact for fact in self.facts if fact.name not in cited]
        sizes, arithmetic = {**self._sizes(turn), **(self.sizes or {})}, ARITHMETICS[level]()
        draw = partial(Instance, self.program, sizes, arithmetic, seed, kept, broken, self.derivatives)
        for scale in SCALES:
            with suppress(TooLarge, NoValue):
                found = draw(scale=scale)
                if level == 0 or found.largest < MOST:
                    return found
        return draw(scale=SCALES[-1])


def _entry_of(expr: sp.Expr) -> tuple[str, tuple[sp.Expr, ...]]:
    """The name of an entry and its indices; no name for any other expression."""
    if isinstance(expr, sp.Indexed):
        return str(expr.base.label), tuple(expr.indices)
    return (expr.name, ()) if isinstance(expr, sp.Symbol) else ("", ())


def _stands_for(named: Quantity, indices: tuple[sp.Expr, ...]) -> sp.Expr | None:
    """The derivative that a name stands for at these indices."""
    if named.of is None or named.cost is None:
        return None
    examples, own = len(named.cost.dims), len(named.of.dims)
    return Partial(named.cost[indices[:examples]], named.of[indices[len(indices) - own :]])


def _has_cases(expr: sp.Expr) -> bool:
    """Whether an expression, or the formula of a function in it, distinguishes cases."""
    if expr.has(sp.Piecewise, sp.Abs, sp.sign):
        return True
    formulas = {node.formula for node in expr.atoms(ScalarFunction)} - {None}
    return any(formula.has(sp.Piecewise, sp.Abs, sp.sign) for formula in formulas)


def joined_finding(equality: Equality, findings: Sequence[Finding]) -> Finding:
    """One finding for an equality that was checked in several places: it holds if it holds in all."""
    worst = next((f for f in findings if not f.holds), None) or max(
        findings, key=lambda f: float(f.residual or 0)
    )
    sizes = tuple(size for finding in findings for size in finding.sizes)
    return replace(worst, equality=equality, entries=sum(f.entries for f in findings), sizes=sizes)


# --- derivations -------------------------------------------------------------------------------


def check_derivation(
    derivation: Derivation, laboratory: Laboratory, label: str = "", key: KnownKinds | None = None
) -> list[Finding]:
    """Check each step for itself, and that each starts where the one before it ended."""
    known = KnownKinds(laboratory) if key is None else key
    findings = [known.check(equality) for equality in step_equalities(derivation, laboratory.program, label)]
    return [*findings, *_breaks(derivation, label)]


def step_equalities(derivation: Derivation, program: Program, label: str = "") -> Iterator[Equality]:
    """What each step claims."""
    free = _free(derivation.goal, program)
    for number, step in enumerate(derivation.steps, 1):
        name = f"{label}, step {number}: {step.rule}"
        yield Equality(name, step.before, step.after, free, "step", tuple(step.facts))


def _free(goal: sp.Expr, program: Program) -> tuple[tuple[sp.Symbol, sp.Expr], ...]:
    """The free indices of a goal with their ranges, read off the entries that stand in it."""
    found: dict[sp.Symbol, sp.Expr] = {}
    for entry in goal.args if isinstance(goal, Partial) else (goal,):
        if isinstance(entry, sp.Indexed):
            dims = program.quantities[str(entry.base.label)].dims
            pairs = zip(entry.indices, dims, strict=True)
            found.update({index: dim for index, dim in pairs if index.is_Symbol})
    return tuple(found.items())


def _breaks(derivation: Derivation, label: str) -> Iterator[Finding]:
    """A finding for each step that doesn't start where the one before it ended."""
    before = derivation.goal
    for number, step in enumerate(derivation.steps, 1):
        if step.before != before:
            equality = Equality(f"{label}, before step {number}", before, step.before, (), "link")
            yield Finding(equality, "comparison", None, False, reason="the steps do not join up")
        before = step.after


def equation_equality(adjoint: Adjoint) -> Equality:
    """What a named derivative's equation claims, under every fact that its derivation cites."""
    assert adjoint.derivation is not None
    equation = adjoint.equation
    free = tuple(zip(equation.indices, equation.quantity.dims, strict=True))
    return Equality(equation.label, equation.lhs, equation.rhs, free, "equation", adjoint.derivation.facts)


def check_program(
    program: Program,
    adjoints: Sequence[Adjoint],
    facts: Iterable[Fact] = (),
    seed: int = 0,
    by_kind: bool | None = None,
) -> tuple[Finding, ...]:
    """Check every step of every derivation, and the equation of every derivative that has a name.

    Args:
        program: the forward equations.
        adjoints: what was derived from them.
        facts: the declared facts.
        seed: where the values are drawn from.
        by_kind: evaluate one equality of each kind, and give the others of that kind as the same with
            other names. By default where there are more than eight layers.

    >>> from symbackprop.derivation.chain import reverse
    >>> from symbackprop.forward.model import forward_model
    >>> from symbackprop.spec.loading import from_widths
    >>> program = forward_model(from_widths("2-1", output_activation="relu")).program
    >>> findings = check_program(program, reverse(program))
    >>> {finding.method for finding in findings}, all(finding.holds for finding in findings)
    ({'exact rational arithmetic'}, True)
    """
    derivatives = tuple(adjoint.named for adjoint in adjoints if adjoint.named is not None)
    laboratory = Laboratory(program, tuple(facts), derivatives, seed)
    if by_kind is None:
        by_kind = _layers(program) > MANY_LAYERS
    known = KnownKinds(laboratory, by_kind)
    derived = [adjoint for adjoint in adjoints if adjoint.derivation is not None]
    found = {adjoint.of.name: _check_adjoint(adjoint, known) for adjoint in _last_layer_first(derived)}
    return tuple(finding for adjoint in derived for finding in found[adjoint.of.name])


def _check_adjoint(adjoint: Adjoint, known: KnownKinds) -> list[Finding]:
    assert adjoint.derivation is not None
    findings = check_derivation(adjoint.derivation, known.laboratory, _label(adjoint), known)
    if adjoint.named is not None:
        findings.append(known.check(equation_equality(adjoint)))
    return findings


def _label(adjoint: Adjoint) -> str:
    assert adjoint.derivation is not None
    return adjoint.named.name if adjoint.named is not None else str(adjoint.derivation.goal)


def _layers(program: Program) -> int:
    return len({e.quantity.layer for e in program.equations if e.quantity.layer is not None})


def _last_layer_first(adjoints: Iterable[Adjoint]) -> list[Adjoint]:
    """The order in which derivatives cost least: those near the cost stand for those of their kind."""

    def depth(adjoint: Adjoint) -> int:
        layer = adjoint.of.layer
        return int(layer) if layer is not None and layer.is_Integer else 0

    return sorted(adjoints, key=depth, reverse=True)


class KnownKinds:
    """Checks equalities; of those that differ in names only, the first stands for the others.

    Two equalities are of a kind if they look the same with their names numbered, and so do the
    definitions of every quantity in them and the equations that lead from there to the next
    derivative with a name. What lies beyond enters both only as the value of that derivative.
    """

    def __init__(self, laboratory: Laboratory, by_kind: bool = False) -> None:
        self.laboratory, self.by_kind = laboratory, by_kind
        self.found: dict[Any, Finding] = {}
        self.named = {q.of.name: q for q in laboratory.derivatives if q.of is not None}

    def check(self, equality: Equality) -> Finding:
        """The finding for one equality: its own, or that of the first of its kind."""
        if not self.by_kind:
            return self.laboratory.check(equality)
        key = (equality.kind, equality.facts, self._kind(equality))
        if key not in self.found:
            self.found[key] = self.laboratory.check(equality)
            return self.found[key]
        first = self.found[key]
        return replace(first, equality=equality, entries=0, same_as=first.label)

    def _kind(self, equality: Equality) -> Any:
        """Everything that the truth of an equality hangs on, with its names numbered."""
        parts: list[sp.Basic] = [equality.left, equality.right]
        parts += [part for pair in equality.free for part in pair]
        parts += [fact.left for fact in self.laboratory.facts]
        _, names = signature(parts)
        derivatives = {q.name: q for q in self.laboratory.derivatives}
        for name in (str(symbol) for symbol in names):
            of = derivatives[name].of if name in derivatives else None
            parts += self._definition(name) if of is None else [of.symbol, *self._use(of.name)]
        for slope in sorted(equality.left.atoms(Partial) | equality.right.atoms(Partial), key=str):
            parts += self._use(next(iter(sorted(names_in(slope.wrt) & self._all()))))
        return signature(parts)[0]

    def _all(self) -> set[str]:
        return set(self.laboratory.program.quantities)

    def _definition(self, name: str) -> list[sp.Basic]:
        """Where the value of a quantity comes from: its equation, or what it is by its role."""
        program = self.laboratory.program
        if name in program.definitions:
            return list(_parts(program.definitions[name]))
        if name in program.quantities:
            quantity = program.quantities[name]
            return [sp.Integer(list(Role).index(quantity.role)), *quantity.dims]
        return []

    def _use(self, name: str) -> list[sp.Basic]:
        """The equations that lead from a quantity to derivatives with a name, or to the cost."""
        parts: list[sp.Basic] = []
        for equation in self.laboratory.program.consumers.get(name, ()):
            parts += _parts(equation)
            if equation.quantity.name not in self.named:
                parts += self._use(equation.quantity.name)
        return parts


def _parts(equation: Equation) -> tuple[sp.Basic, ...]:
    return (equation.lhs, *equation.quantity.dims, equation.rhs)


# --- a symbol for the depth --------------------------------------------------------------------


def layer_values(depth: int) -> list[dict[sp.Symbol, int]]:
    """Numbers for the symbols l and L: the last layer is ``depth``, and l is each layer before it."""
    return [{LAST: depth, LAYER: number} for number in range(1, depth)]


def instantiate(expr: sp.Expr, layers: Mapping[sp.Symbol, int]) -> sp.Expr:
    """An expression about layers l and L as one about numbered layers: ``W[l+1]`` becomes ``W3``.

    The activation of layer 0 is the input, and the size ``n_l`` becomes ``n_2``.
    """
    return at_layers(expr, {symbol: sp.Integer(number) for symbol, number in layers.items()})
