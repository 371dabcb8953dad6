"""Turns equations and derivations into displayed rows, each with the equality that it claims."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING

import sympy as sp

from symbackprop.algebra.equations import Derivation, Equation, Quantity, Role
from symbackprop.algebra.kinds import original, signature
from symbackprop.checking.check import Equality
from symbackprop.derivation.chain import Adjoint
from symbackprop.forward.model import FIRST, Model
from symbackprop.layout.computation_graph import Graph, computation_graph
from symbackprop.layout.document import Chain, Display, Row
from symbackprop.layout.paper import NO_ROOM, Room, fits_in_one, link_room, reason_width, widths
from symbackprop.layout.worked import Worked, worked_example
from symbackprop.notation.notation import Notation
from symbackprop.notation.words import Words, load_words
from symbackprop.printing.latex import latex
from symbackprop.printing.lettering import lettered
from symbackprop.printing.linebreak import ARTICLE, latex_rows, surely_takes_more
from symbackprop.printing.measure import rendered_width
from symbackprop.printing.rounding import DIGITS
from symbackprop.printing.symbols import Names, layer_argument, size_of_layer

if TYPE_CHECKING:
    from symbackprop.pipeline import NetworkDerivation

Free = tuple[tuple[sp.Symbol, sp.Expr], ...]

Facts = tuple[str, ...]

LONGEST = 8
"""A step whose formula takes more lines than this is passed over in the text."""

FEW_LAYERS = 6
"""Up to so many layers each is shown for itself."""

_SPACE, _COLUMN, _APART, _NARROWEST, _FOLLOWS, _LEAST_BESIDE = 5, 2, 6, 24, 8, 36


@dataclass(frozen=True)
class Claim:
    """What the rows of one display are about: a label, the free indices, and the kind of program.

    ``definition`` is set where a row says what a name stands for.
    """

    label: str
    free: Free = ()
    kind: str = "example"
    definition: bool = False


@dataclass(frozen=True)
class Writer:
    """Writes rows of one derivation in one notation."""

    derivation: NetworkDerivation
    names: Names
    budget: float = ARTICLE
    digits: int = DIGITS
    words: Words = field(default_factory=load_words)
    beside: float = 0.0
    """What at least stands beside a formula: the widest left side and reason of its display."""
    link: Room = NO_ROOM
    """Room for a link to the same line in another form, which stands where reasons do."""

    @property
    def model(self) -> Model:
        """The forward program and its sizes."""
        return self.derivation.model

    @cached_property
    def graph(self) -> Graph:
        """The computation graph, with letters that are free in this notation.

        Raises:
            FormRefused: for a network whose graph nobody would read.
        """
        return computation_graph(self.model, self.names)

    @cached_property
    def worked(self) -> Worked:
        """The derivation with the numbers of the spec.

        Raises:
            FormRefused: where a number is missing, or where there is no number for what is asked.
        """
        return worked_example(self.derivation)

    def any_depth(self) -> Writer:
        """The same for any number of layers of the kind of the hidden ones."""
        derivation = self.derivation.any_depth
        return replace(self, derivation=derivation, names=names_of(derivation, self.names.notation))

    def say(self, key: str, **filled: str) -> str:
        """A sentence with its gaps filled in; letters of layers and units are known to every sentence."""
        index, model = self.names.notation.index, self.model
        layers = {"last": model.last_layer, "input": sp.Integer(0)}
        known = {key: layer_argument(layer, self.names) for key, layer in layers.items()}
        any_layer = layer_argument(model.general_layer, self.names)
        letters = {"any": any_layer, "here": index.here, "before": index.before, "after": index.after}
        return self.words.text(key, **{**known, **letters, **filled})

    def size(self, layer: sp.Expr) -> str:
        """The letter of the size of a layer, whatever the spec says that it is."""
        return size_of_layer(layer, self.names)

    def tex(self, expr: sp.Basic, free: Free = ()) -> str:
        """An expression on one line, its indices in the letters of the notation."""
        return latex(lettered(expr, self.names, free), self.names)

    def lines(
        self, expr: sp.Expr, left: str, reason: str = "", after: str = "", most: float = math.inf
    ) -> tuple[str, ...]:
        """An expression as lines that fit between a left side and a reason, or what follows on the line.

        There may be none where it would take more than ``most``.
        """
        room = self.room(left, reason)
        rest = room - rendered_width(after, self.names.notation) - _FOLLOWS if after else room
        return tuple(latex_rows(expr, self.names, rest if rest > _LEAST_BESIDE else room, most))

    def room(self, left: str, reason: str = "") -> float:
        """How wide a line may be between a left side and a reason."""
        own = rendered_width(left, self.names.notation) + _SPACE
        reasons = self.link.beside(reason, self.names.notation)
        own += reasons + _COLUMN if reasons else 0.0
        return max(self.budget - max(own, self.beside), _NARROWEST)

    def with_room_for_links(self) -> Writer:
        """The same with lines that leave room for a link each."""
        return replace(self, link=link_room(self.words, self.names.notation))

    @property
    def unlinked(self) -> Writer:
        """The same for lines that are in one form only."""
        return replace(self, link=NO_ROOM)

    def reason_width(self, reason: str) -> float:
        """How wide a reason comes out, which is set in a small size."""
        return reason_width(reason, self.names.notation)

    def fitting(self, make: Callable[[Writer], Display], apart: float = _APART) -> Display:
        """A display whose columns stand side by side: where they are too wide, its lines are broken earlier.

        Every row fits by itself, but a long formula in one and a long reason in another may not.
        """
        display = make(self)
        found = widths(display.chains, self.names.notation, self.link, every=True)
        lefts, rights, reasons = zip(*found, strict=True)
        taken = max(lefts) + max(reasons) + apart
        return display if taken + max(rights) <= self.budget else make(replace(self, beside=taken))

    def fits(self, display: Display) -> bool:
        """Whether the columns of a display fit side by side on a line, its links among them."""
        return fits_in_one(display.chains, self.names.notation, self.link)

    def row(
        self,
        left: str,
        equality: tuple[sp.Expr, sp.Expr],
        claim: Claim,
        reason: str = "",
        facts: tuple[str, ...] = (),
        beside: str = "",
        most: float = math.inf,
    ) -> Row:
        """A row for the right side of an equality, which claims the equality.

        ``beside`` is the widest reason of the rows that it is aligned with: theirs is one column. It may have
        no lines where it would take more than ``most``.
        """
        before, after = equality
        claimed = Equality(claim.label, before, after, claim.free, claim.kind, facts, claim.definition)
        if surely_takes_more(most, after, self.budget):
            return Row((), reason, claimed)
        shown = lettered(after, self.names, claim.free)
        return Row(self.lines(shown, left, max(reason, beside, key=len), most=most), reason, claimed)

    def chain(
        self,
        entry: sp.Expr,
        value: sp.Expr,
        claim: Claim,
        reason: str = "",
        facts: tuple[str, ...] = (),
        boxed: bool = False,
        beside: str = "",
        result: bool = False,
    ) -> Chain:
        """One equality with a label."""
        left = self.tex(entry, claim.free)
        row = self.row(left, (entry, value), claim, reason, facts, beside)
        return Chain(left, (replace(row, boxed=boxed, result=result or boxed),), claim.label)

    def definition(self, equation: Equation, kind: str = "example") -> Chain:
        """An equation of the forward program."""
        return self.chain(
            equation.lhs, equation.rhs, Claim(equation.label, free_of(equation), kind, definition=True)
        )

    def derived(
        self,
        entry: sp.Expr,
        derivation: Derivation,
        claim: Claim,
        boxed: bool = False,
        result: bool = False,
    ) -> Chain:
        """A derivation from its goal to its result, a row for every step that can be read."""
        made = self.fitting(lambda writer: Display((writer._derived(entry, derivation, claim),)))
        (chain,) = made.chains
        last = replace(chain.rows[-1], boxed=boxed, result=result or boxed)
        return replace(chain, rows=(*chain.rows[:-1], last))

    def _derived(self, entry: sp.Expr, derivation: Derivation, claim: Claim) -> Chain:
        left = self.tex(entry, claim.free)
        rows: list[Row] = []
        widest = max((self.words.reason(step.rule) for step in derivation.steps), key=len, default="")
        if entry != derivation.goal:
            named = replace(claim, definition=True)
            reason = self.words.reason("definition")
            rows.append(self.row(left, (entry, derivation.goal), named, reason, beside=widest))
        before: sp.Expr = derivation.goal
        used: Facts = ()
        rules: list[str] = []
        for number, step in enumerate(derivation.steps, 1):
            used = (*used, *step.facts)
            here = replace(claim, label=f"{claim.label}, step {number}")
            rules.append(step.rule)
            most = LONGEST if number < len(derivation.steps) else math.inf
            row = self.row(left, (before, step.after), here, self.words.reason(rules[0]), used, widest, most)
            if rows and rows[-1].lines == row.lines:
                rules.pop()
            elif row.lines and len(row.lines) <= most:
                rows.append(row)
                before, used, rules = step.after, (), []
        return Chain(left, tuple(rows), claim.label)

    def cited(self, equation: Equation) -> tuple[str, ...]:
        """The facts that the derivation of an equation leans on."""
        for adjoint in self.derivation.adjoints:
            named = adjoint.named
            if named is not None and named.name == equation.quantity.name and adjoint.derivation is not None:
                return adjoint.derivation.facts
        return ()

    @cached_property
    def derived_adjoints(self) -> list[Adjoint]:
        """The derivatives that have a derivation."""
        return [adjoint for adjoint in self.derivation.adjoints if adjoint.derivation is not None]

    @cached_property
    def told_before(self) -> dict[Quantity, Adjoint]:
        """For each derivative whose derivation only repeats another with other names, the one it repeats."""
        originals = [original(a.derivation) for a in self.derived_adjoints if a.derivation is not None]
        shapes = {id(derivation): _shape(derivation) for derivation in _distinct(originals)}
        first: dict[Hashable, Adjoint] = {}
        for adjoint, derivation in zip(self.derived_adjoints, originals, strict=True):
            first.setdefault(shapes[id(derivation)], adjoint)
        pairs = zip(self.derived_adjoints, originals, strict=True)
        told = {adjoint.of: first[shapes[id(derivation)]] for adjoint, derivation in pairs}
        return {of: adjoint for of, adjoint in told.items() if adjoint.of != of}

    @cached_property
    def shown_layers(self) -> list[Equation]:
        """The equations of the layers, without those of a layer like one that is shown."""
        shown = {group[0] for group in self.layer_groups}
        layers = (Role.PRE_ACTIVATION, Role.ACTIVATION)
        return [e for e in self.model.program if e.quantity.role in layers and e.quantity.layer in shown]

    @cached_property
    def layer_groups(self) -> list[list[sp.Expr]]:
        """Runs of layers of one kind; every layer by itself in a network of a few layers."""
        if self.model.symbolic_depth:
            first = [[q.layer] for q in self.model.given.values() if q.layer == FIRST]
            return [*first, [self.model.general_layer], [self.model.last_layer]]
        layers = list(enumerate(self.model.network.layers, 1))
        if len(layers) <= FEW_LAYERS:
            return [[sp.Integer(number)] for number, _ in layers]
        runs = groupby(layers, key=lambda item: (item[1].activation.name, item[1].bias))
        return [[sp.Integer(number) for number, _ in run] for _, run in runs]

    def shows(self, layer: sp.Expr | None) -> bool:
        """Whether a layer is shown for itself."""
        return layer == 0 or any(layer == group[0] for group in self.layer_groups)


def _distinct(derivations: Iterable[Derivation]) -> Iterable[Derivation]:
    return {id(derivation): derivation for derivation in derivations}.values()


def _shape(derivation: Derivation) -> Hashable:
    """What a derivation looks like with its names numbered, step by step."""
    shape, _ = signature([derivation.goal, *(step.after for step in derivation.steps)])
    return shape, tuple(step.rule for step in derivation.steps)


def free_of(equation: Equation) -> Free:
    """The indices of an equation's left side with their sizes."""
    return tuple(zip(equation.indices, equation.quantity.dims, strict=True))


def names_of(derivation: NetworkDerivation, notation: Notation) -> Names:
    """How everything in the text of a derivation is printed."""
    model = derivation.model
    return Names.of(quantities(derivation), model.sizes, notation, model.last_layer)


def quantities(derivation: NetworkDerivation) -> Iterator[Quantity]:
    """Everything that the text of a derivation may name."""
    yield from derivation.model.program.quantities.values()
    yield from derivation.model.total.quantities.values()
    yield from derivation.named
    yield from (gradient.quantity for gradient in derivation.batch.gradients)
