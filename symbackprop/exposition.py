"""What a derivation says and in which order: the sections of the text, made from a derivation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING

import sympy as sp

from symbackprop.arrays import Array, Map, MatMul, Outer, Transpose, Vectoriser, entry_of
from symbackprop.calculus import derivative
from symbackprop.catalogue import FORMS
from symbackprop.chain import Adjoint
from symbackprop.check import (
    MANY_LAYERS,
    Equality,
    Finding,
    KnownKinds,
    Laboratory,
    instantiate,
    joined_finding,
    layer_values,
)
from symbackprop.components import written_out
from symbackprop.compose import compose
from symbackprop.document import Certificate, Chain, Display, Document, Paragraph, Row, Section, equalities
from symbackprop.elimination import OUTPUT, Z, derivative_from_output
from symbackprop.equations import Derivation, Equation, Partial, Program, Quantity, Role
from symbackprop.errors import FormRefused, NoRule
from symbackprop.escape import escape_text
from symbackprop.forward import Model
from symbackprop.functions import ScalarFunction, prime
from symbackprop.kinds import Renamed
from symbackprop.latex import latex
from symbackprop.linebreak import ARTICLE, latex_rows
from symbackprop.matrix_latex import matrix_latex
from symbackprop.measure import rendered_width
from symbackprop.notation import load_notation
from symbackprop.symbols import Names, function_name, whole
from symbackprop.words import Words, load_words

if TYPE_CHECKING:
    from symbackprop.pipeline import NetworkDerivation

MOST_ENTRIES = 60
DEEPEST_COMPOSITE = 4
Free = tuple[tuple[sp.Symbol, sp.Expr], ...]
Block = Paragraph | Display


def lay_out(derivation: NetworkDerivation, notation: str, forms: tuple[str, ...]) -> Document:
    """The document of a derivation, every equality in it checked.

    Raises:
        FormRefused: for a form that doesn't exist or makes no sense for this network.
    """
    forms = forms or (("general", "matrix") if derivation.model.symbolic_depth else ("index", "matrix"))
    network = derivation.network
    for form in forms:
        _refuse(form, derivation.model)
    text = Exposition(
        derivation, Names.of(_quantities(derivation), derivation.model.sizes, load_notation(notation))
    )
    sections = tuple(section for form in forms for section in text.form(form))
    findings = tuple(text.check(equality) for equality in dict.fromkeys(equalities(sections)))
    certificate = Certificate(
        findings, {"network": network.name, "fingerprint": network.fingerprint, "route": derivation.route}
    )
    title = escape_text(network.title or f"The network {network.name}")
    return Document(
        network.name, network.fingerprint, title, text.names.notation, forms, sections, certificate
    )


def _quantities(derivation: NetworkDerivation) -> Iterator[Quantity]:
    yield from derivation.model.program.quantities.values()
    yield from derivation.model.total.quantities.values()
    yield from (a.named for a in derivation.adjoints if a.named is not None)
    yield from (gradient.quantity for gradient in derivation.batch.gradients)


def _refuse(form: str, model: Model) -> None:
    """Refuse a form that would be absurd, with the reason and the form to use."""
    if form not in FORMS:
        raise FormRefused(f"form: {form!r}: there are {', '.join(FORMS)}")
    if model.symbolic_depth:
        if form in ("components", "index"):
            raise FormRefused(
                f"form: {form}: the depth is the symbol {model.network.depth}: use general or matrix"
            )
        return
    if form == "general" and len(_hidden_kinds(model)) != 1:
        raise FormRefused("form: general: the hidden layers must be of one kind: use index or matrix")
    if form == "components":
        _refuse_components(model)


def _refuse_components(model: Model) -> None:
    counts = [sp.Mul(*(model.with_sizes(size) for size in p.dims)) for p in model.program.parameters]
    if not all(count.is_Integer for count in counts):
        raise FormRefused(
            "form: components: a size is a symbol, so entries can't be counted: use index or matrix"
        )
    entries = sum(int(count) for count in counts)
    if entries > MOST_ENTRIES:
        raise FormRefused(
            f"form: components: written out there would be {entries:,} gradient entries, and more than "
            f"{MOST_ENTRIES} can't be read: use index or matrix"
        )


def _hidden_kinds(model: Model) -> set[tuple[str, bool]]:
    return {(layer.activation.name, layer.bias) for layer in model.network.layers[:-1]}


@dataclass(frozen=True)
class Exposition:
    """Writes the sections of one derivation in one notation."""

    derivation: NetworkDerivation
    names: Names
    budget: float = ARTICLE

    @property
    def model(self) -> Model:
        """The forward program and its sizes."""
        return self.derivation.model

    @cached_property
    def words(self) -> Words:
        """The words of the text."""
        return load_words()

    def form(self, form: str) -> Iterator[Section]:
        """The sections of one form."""
        if form == "matrix":
            yield self.matrix()
        elif form == "components":
            yield self.components()
        elif form == "general" and not self.model.symbolic_depth:
            yield from self.general()
        else:
            yield from self.index()

    # --- checks ----------------------------------------------------------------------------------

    def check(self, equality: Equality) -> Finding:
        """Check an equality in the program that it is about."""
        kind = equality.kind
        if kind.startswith(GENERAL):
            inner = replace(equality, kind=kind.removeprefix(GENERAL))
            return replace(self.any_depth.check(inner), equality=equality)
        if self.model.symbolic_depth and not kind.startswith("function"):
            return self.at_numbers(equality)
        return self.laboratories[kind].check(equality)

    def at_numbers(self, equality: Equality) -> Finding:
        """Check an equality about any layer in a network of a few layers, for each hidden one."""
        found = dict.fromkeys(
            _instantiated(equality, layers, self.model, self.at_few_layers.model)
            for layers in layer_values(self.model, FEWEST_LAYERS)
        )
        return joined_finding(equality, [self.at_few_layers.check(one) for one in found])

    @cached_property
    def at_few_layers(self) -> Exposition:
        """The same network with a number of layers."""
        return Exposition(self.derivation.at_depth(FEWEST_LAYERS), self.names)

    @cached_property
    def any_depth(self) -> Exposition:
        """The same kinds of layers with a symbol for their number."""
        derivation = self.derivation.any_depth()
        names = Names.of(_quantities(derivation), derivation.model.sizes, self.names.notation)
        return Exposition(derivation, names, self.budget)

    @cached_property
    def laboratories(self) -> dict[str, KnownKinds]:
        """A laboratory for every kind of equality: one example, a batch, actual sizes, a function."""
        derived, facts = self.derivation, self.model.facts
        named = tuple(a.named for a in derived.adjoints if a.named is not None)
        lifted = (*(e.quantity for e in derived.batch.deltas), *(g.quantity for g in derived.batch.gradients))
        found = {
            "example": Laboratory(self.model.program, facts, named),
            "batch": Laboratory(derived.batch.forward, (), lifted),
            "components": Laboratory(self.model.program, facts, named, sizes=_counts(self.model)),
        }
        for function in self.functions:
            found[f"function {function.letter}"] = Laboratory(_function_program(function))
        by_kind = len(self.model.network.layers) > MANY_LAYERS
        return {kind: KnownKinds(laboratory, by_kind) for kind, laboratory in found.items()}

    # --- pieces ----------------------------------------------------------------------------------

    def lines(self, expr: sp.Expr, left: str, reason: str = "") -> tuple[str, ...]:
        """An expression as lines that fit between a left side and a reason."""
        taken = rendered_width(left, self.names.notation) + 0.8 * len(reason) + 4
        return tuple(latex_rows(expr, self.names, max(self.budget - taken, 24)))

    def row(
        self,
        before: sp.Expr,
        after: sp.Expr,
        left: str,
        free: Free,
        reason: str,
        label: str,
        kind: str,
        facts: tuple[str, ...] = (),
    ) -> Row:
        """A row that claims ``before = after``."""
        equality = Equality(label, before, after, free, kind, facts)
        return Row(self.lines(after, left, reason), reason, equality)

    def definition(self, equation: Equation, kind: str = "example") -> Chain:
        """An equation of the forward program."""
        left = latex(equation.lhs, self.names)
        free = tuple(zip(equation.indices, equation.quantity.dims, strict=True))
        row = self.row(equation.lhs, equation.rhs, left, free, "", equation.label, kind)
        return Chain(left, (row,), equation.label)

    def derived(
        self, entry: sp.Expr, derivation: Derivation, free: Free, label: str, kind: str, brief: str = ""
    ) -> Chain:
        """A derivation from its goal to its result; with ``brief`` the result alone, for that reason."""
        left = latex(entry, self.names)
        cited = tuple(dict.fromkeys(fact for step in derivation.steps for fact in step.facts))
        if brief:
            row = self.row(entry, derivation.result, left, free, brief, label, kind, cited)
            return Chain(left, (row,), label)
        rows = []
        if entry != derivation.goal:
            rows.append(
                self.row(entry, derivation.goal, left, free, self.words.reason("definition"), label, kind)
            )
        before, used = derivation.goal, ()
        for number, step in enumerate(derivation.steps, 1):
            used = (*used, *step.facts)
            row = self.row(
                before,
                step.after,
                left,
                free,
                self.words.reason(step.rule),
                f"{label}, step {number}",
                kind,
                used,
            )
            if len(row.lines) > LONGEST and number < len(derivation.steps):
                continue
            if rows and rows[-1].lines == row.lines:
                continue
            rows.append(row)
            before, used = step.after, ()
        rows[-1] = replace(rows[-1], boxed=entry != derivation.goal)
        return Chain(left, tuple(rows), label)

    def adjoint(self, adjoint: Adjoint) -> Chain:
        """The derivation of one derivative; a renamed one is given by its result."""
        assert adjoint.derivation is not None
        derivation = adjoint.derivation
        entry = (
            derivation.goal
            if adjoint.named is None or adjoint.named.role is Role.GRADIENT
            else adjoint.named[adjoint.indices]
        )
        free = tuple(zip(adjoint.indices, adjoint.of.dims, strict=True))
        label = adjoint.equation.label if adjoint.named is not None else f"dC-d{adjoint.of.name}"
        brief = ""
        if isinstance(derivation, Renamed):
            brief = self.words.reason("renamed", layer=f"${self.layer_like(adjoint)}$")
        return self.derived(entry, derivation, free, label, "example", brief)

    def layer_like(self, adjoint: Adjoint) -> str:
        """The layer whose derivation a renamed one repeats."""
        like = next(
            a for a in self.derivation.adjoints if a.derivation is getattr(adjoint.derivation, "like", None)
        )
        return str(like.of.layer)

    # --- the index form ----------------------------------------------------------------------------

    def index(self) -> Iterator[Section]:
        """Equations with sums, every step with its reason."""
        yield self.network()
        if self.functions:
            yield Section(self.words.headings["activation"], tuple(self.activations()))
        yield self.cost()
        last = self.derivation.model.last_layer
        output = [a for a in self.on_the_way if a.of.layer == last]
        hidden = [a for a in self.on_the_way if a.of.layer != last]
        yield self.deltas("output_delta", output, str(last))
        if hidden:
            heading = "general_delta" if self.model.symbolic_depth else "hidden_delta"
            yield self.deltas(heading, hidden, "")
        yield self.gradients()
        yield self.batch()

    @cached_property
    def on_the_way(self) -> list[Adjoint]:
        """Derivatives with respect to pre-activations and activations."""
        return [
            a
            for a in self.derivation.adjoints
            if a.derivation is not None and (a.named is None or a.named.role is not Role.GRADIENT)
        ]

    def network(self) -> Section:
        """The forward equations."""
        key = "general_network" if self.model.symbolic_depth else "network"
        blocks: list[Block] = [Paragraph(self.words.text(key))]
        sizes = [(s, n) for s, n in self.model.sizes if n != s]
        if sizes:
            listed = ", ".join(rf"$\sbpsize{{{str(s)[2:]}}} = {latex(n, self.names)}$" for s, n in sizes)
            blocks.append(Paragraph(self.words.text("sizes", sizes=listed)))
        blocks.append(Display(tuple(self.definition(e) for e in self.shown_layers)))
        blocks += self.likewise()
        return Section(self.words.headings["network"], tuple(blocks))

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
            return [[self.model.general_layer], [self.model.last_layer]]
        layers = list(enumerate(self.model.network.layers, 1))
        if len(layers) <= FEW_LAYERS:
            return [[sp.Integer(number)] for number, _ in layers]
        runs = groupby(layers, key=lambda item: (item[1].activation.name, item[1].bias))
        return [[sp.Integer(number) for number, _ in run] for _, run in runs]

    def likewise(self) -> Iterator[Paragraph]:
        """A sentence for each run of layers of which one is shown."""
        for group in self.layer_groups:
            if len(group) > 1:
                layers = f"${group[1]}$" if len(group) == 2 else f"${group[1]}$ to ${group[-1]}$"
                yield Paragraph(self.words.text("like", layers=layers, layer=f"${group[0]}$"))

    @cached_property
    def functions(self) -> list[ScalarFunction]:
        """The activations that are functions of one number."""
        found = {f.func: None for e in self.model.program for f in e.rhs.atoms(ScalarFunction)}
        return sorted(found, key=lambda function: function.letter)

    def activations(self) -> Iterator[Block]:
        """Each activation's formula and its derivative."""
        for function in self.functions:
            name = function_name(function.letter, 0, self.names)
            if function.formula is None:
                slope = function_name(function.letter, 1, self.names)
                yield Paragraph(self.words.text("activation_open", name=name, prime=slope))
                continue
            yield Paragraph(self.words.text("activation", name=name))
            yield Display((self.function_formula(function), self.lemma(function)))
            if function.formula.has(sp.Piecewise, sp.Abs):
                yield Paragraph(self.words.text("kink"))

    def function_formula(self, function: ScalarFunction) -> Chain:
        """The forward formula."""
        left = latex(function(Z), self.names)
        label = f"f-{function.letter}"
        kind = f"function {function.letter}"
        return Chain(left, (self.row(function(Z), function.formula, left, (), "", label, kind),), label)

    def lemma(self, function: ScalarFunction) -> Chain:
        """The derivative of an activation, from its formula, and in terms of its value if there is a way."""
        slope, kind, label = prime(function)(Z), f"function {function.letter}", f"df-{function.letter}"
        left = latex(slope, self.names)
        raw = derivative(function.formula, Z)
        rows = [self.row(slope, raw, left, (), self.words.reason("differentiate"), label, kind)]
        form = derivative_from_output(function.formula)
        if form is not None and form.has(OUTPUT):
            value = form.xreplace({OUTPUT: function(Z)})
            reason = self.words.reason("elimination")
            rows.append(self.row(raw, value, left, (), reason, f"{label}, step 2", kind))
        return Chain(left, tuple(rows), label)

    def cost(self) -> Section:
        """The cost of one example, and written out as one expression."""
        equation = self.model.program.definitions[self.model.cost.name]
        blocks: list[Block] = [Paragraph(self.words.text("cost")), Display((self.definition(equation),))]
        depth = len(self.model.network.layers)
        if not self.model.symbolic_depth and depth <= DEEPEST_COMPOSITE:
            composite = compose(self.model.program)
            left = latex(equation.lhs, self.names)
            row = self.row(equation.lhs, composite, left, (), "", "composite", "example")
            blocks += [Paragraph(self.words.text("composite")), Display((Chain(left, (row,), "composite"),))]
        elif not self.model.symbolic_depth:
            blocks.append(Paragraph(self.words.text("composite_long", depth=str(depth))))
        for fact in self.model.facts:
            stated = f"{latex(fact.left, self.names)} = {latex(fact.right, self.names)}"
            blocks.append(Paragraph(self.words.text("fact", fact=stated)))
        return Section(self.words.headings["cost"], tuple(blocks))

    def deltas(self, heading: str, adjoints: Sequence[Adjoint], layer: str) -> Section:
        """The derivatives on the way back through some layers."""
        blocks: list[Block] = []
        if layer:
            blocks.append(Paragraph(self.words.text("delta", layer=layer)))
        blocks += [Display((self.adjoint(adjoint),)) for adjoint in self.worth_showing(adjoints)]
        return Section(self.words.headings[heading], tuple(blocks))

    def worth_showing(self, adjoints: Sequence[Adjoint]) -> Iterator[Adjoint]:
        """Renamed derivatives of activations that only served a delta are left out."""
        for adjoint in adjoints:
            if adjoint.named is not None or not isinstance(adjoint.derivation, Renamed):
                yield adjoint

    def gradients(self) -> Section:
        """The derivatives with respect to parameters, of the cost of one example."""
        found = [a for a in self.derivation.adjoints if a.named is not None and a.named.role is Role.GRADIENT]
        full = [a for a in found if not isinstance(a.derivation, Renamed)]
        renamed = [a for a in found if isinstance(a.derivation, Renamed)]
        blocks: list[Block] = [Paragraph(self.words.text("gradients"))]
        blocks += [Display((self.adjoint(adjoint),)) for adjoint in full]
        if renamed:
            blocks.append(Display(tuple(self.adjoint(adjoint) for adjoint in renamed)))
        return Section(self.words.headings["gradients"], tuple(blocks))

    def batch(self) -> Section:
        """The total cost and its gradients."""
        how = self.words.texts[f"batch_{self.model.network.cost.examples}"]
        penalty = self.words.texts["batch_penalty"] if self.model.network.penalty is not None else ""
        blocks: list[Block] = [Paragraph(self.words.text("batch", how=how, penalty=penalty))]
        blocks.append(Display(tuple(self.definition(e, "batch") for e in self.model.total)))
        shown: set[tuple[str, bool]] = set()
        for gradient in self.derivation.batch.gradients:
            of = gradient.quantity.of
            assert of is not None
            kind = (of.letter, len(of.dims) == 2)
            free = tuple(zip(gradient.indices, gradient.quantity.dims, strict=True))
            brief = (
                self.words.reason("renamed", layer="1")
                if kind in shown and not self.model.symbolic_depth
                else ""
            )
            shown.add(kind)
            goal = gradient.derivation.goal
            blocks.append(
                Display(
                    (self.derived(goal, gradient.derivation, free, gradient.equation.label, "batch", brief),)
                )
            )
        return Section(self.words.headings["batch"], tuple(_joined(blocks)))

    # --- the matrix form -----------------------------------------------------------------------------

    def matrix(self) -> Section:
        """Vectors and matrices, forward and backward, and where the transposes come from."""
        blocks: list[Block] = [Paragraph(self.words.text("matrix"))]
        layers = tuple(self.as_matrices(e) for e in self.shown_layers)
        blocks.append(Display(tuple(chain for chain in layers if chain is not None)))
        equations = [e for e in self.derivation.equations if self.is_shown(e)]
        entries = {kind: line for e in equations for kind, line in self.entry_lines(e)}
        backward = [chain for e in equations if (chain := self.as_matrices(e)) is not None]
        blocks.append(Display(tuple(backward)))
        for kind, line in entries.items():
            blocks += [Paragraph(self.words.text(kind)), Display((line,))]
        return Section(self.words.headings["matrix"], tuple(blocks))

    def is_shown(self, equation: Equation) -> bool:
        """Whether a layer is shown for itself."""
        return (
            any(equation.quantity.layer == group[0] for group in self.layer_groups)
            or equation.quantity.layer == 0
        )

    @cached_property
    def vectoriser(self) -> Vectoriser:
        """Knows the quantities of one example."""
        return Vectoriser(self.names.quantities)

    def as_matrices(self, equation: Equation) -> Chain | None:
        """An equation in matrix form; ``None`` where it has none."""
        try:
            array = self.vectoriser.equation(equation)
            right = matrix_latex(array, self.names)
        except NoRule:
            return None
        label = f"{equation.label}-matrix"
        free = tuple(zip(equation.indices, equation.quantity.dims, strict=True))
        equality = Equality(
            label, equation.lhs, entry_of(array, equation.indices), free, "example", self.cited(equation)
        )
        boxed = equation.quantity.role in (Role.DELTA, Role.GRADIENT)
        return Chain(whole(equation.quantity, self.names), (Row((right,), "", equality, boxed),), label)

    def cited(self, equation: Equation) -> tuple[str, ...]:
        """The facts that the derivation of an equation leans on."""
        for adjoint in self.derivation.adjoints:
            if adjoint.named == equation.quantity and adjoint.derivation is not None:
                return tuple(dict.fromkeys(fact for step in adjoint.derivation.steps for fact in step.facts))
        return ()

    def entry_lines(self, equation: Equation) -> Iterator[tuple[str, Chain]]:
        """What an entry of a product with a transpose, or of an outer product, is."""
        try:
            array = self.vectoriser.equation(equation)
        except NoRule:
            return
        for kind, product in _products(array):
            yield kind, self.entry_line(kind, product, equation)

    def entry_line(self, kind: str, product: MatMul | Outer, equation: Equation) -> Chain:
        """An entry with its sum, that sum over the transpose, and the matrix product."""
        indices = equation.indices[: len(product.dims)]
        free = tuple(zip(indices, product.dims, strict=True))
        expr = entry_of(product, indices)
        letters = "".join(map(str, indices))
        left = latex(expr, self.names)
        label = f"{equation.label}-{kind}"
        matrix = rf"\bigl({matrix_latex(product, self.names)}\bigr)_{{{letters}}}"
        rows = [Row((matrix,), self.words.reason("matrix"), Equality(label, expr, expr, free, "example"))]
        if isinstance(product, MatMul):
            ((bound, _, _),) = expr.limits
            inside = rf"\bigl({matrix_latex(product.left, self.names)}\bigr)_{{{letters}{bound}}}"
            vector = latex(entry_of(product.right, (bound,)), self.names)
            total = latex(sp.Sum(Z, *expr.limits), self.names).removesuffix(latex(Z, self.names))
            step = Row(
                (f"{total}{inside} {vector}",),
                self.words.reason("transpose"),
                Equality(label, expr, expr, free, "example"),
            )
            rows.insert(0, step)
        return Chain(left, tuple(rows), label)

    # --- every entry, and any layer --------------------------------------------------------------------

    def components(self) -> Section:
        """Every entry of every equation with its sums written as terms."""
        blocks: list[Block] = [Paragraph(self.words.text("components"))]
        for equation in (*self.model.program, *self.derivation.equations):
            chains = []
            facts = self.cited(equation)
            for entry, value in written_out(equation, dict(self.model.sizes)):
                shown = self.goal_of(equation, entry)
                left = latex(shown, self.names)
                numbers = "".join(f"-{i}" for i in entry.indices) if isinstance(entry, sp.Indexed) else ""
                label = f"{equation.label}-entry{numbers}"
                row = self.row(shown, value, left, (), "", label, "components", facts)
                chains.append(Chain(left, (row,), label))
            blocks.append(Display(tuple(chains)))
        return Section(self.words.headings["components"], tuple(blocks))

    def goal_of(self, equation: Equation, entry: sp.Expr) -> sp.Expr:
        """A gradient's entry as the partial derivative that it is."""
        of, cost = equation.quantity.of, equation.quantity.cost
        if equation.quantity.role is not Role.GRADIENT or of is None or cost is None:
            return entry
        return Partial(cost.symbol, of[entry.indices])

    def general(self) -> Iterator[Section]:
        """The derivation for any number of layers like these."""
        for section in self.any_depth.index():
            yield _with_kind(section, GENERAL)


GENERAL = "general "
"""What the kind of an equality starts with that is about any number of layers."""

FEWEST_LAYERS = 3
"""So many layers have hidden layers with and without another hidden layer after them."""

LONGEST = 8
"""A step whose formula takes more lines than this is passed over in the text."""

FEW_LAYERS = 6
"""Up to so many layers each is shown for itself."""


def _products(array: Array) -> Iterator[tuple[str, MatMul | Outer]]:
    """Products with a transposed matrix, and outer products, anywhere in an array expression."""
    if isinstance(array, MatMul) and isinstance(array.left, Transpose) and len(array.dims) == 1:
        yield "transpose", array
    if isinstance(array, Outer):
        yield "outer", array
    if isinstance(array, Map):
        for operand in array.operands:
            yield from _products(operand.array)


def _joined(blocks: Sequence[Block]) -> Iterator[Block]:
    """Displays of one brief line each, one after another, as one display."""
    brief: list[Chain] = []
    for block in blocks:
        if isinstance(block, Display) and len(block.chains) == 1 and len(block.chains[0].rows) == 1:
            brief += block.chains
            continue
        if brief:
            yield Display(tuple(brief))
            brief = []
        yield block
    if brief:
        yield Display(tuple(brief))


def _with_kind(section: Section, prefix: str) -> Section:
    """The section with its equalities and labels marked as another derivation's."""
    name = prefix.strip()

    def row(one: Row) -> Row:
        if one.equality is None:
            return one
        e = one.equality
        return replace(one, equality=replace(e, kind=f"{prefix}{e.kind}", label=f"{name}-{e.label}"))

    def block(one: Block) -> Block:
        if isinstance(one, Paragraph):
            return one
        chains = (
            replace(c, rows=tuple(map(row, c.rows)), label=c.label and f"{name}-{c.label}")
            for c in one.chains
        )
        return Display(tuple(chains))

    return Section(section.heading, tuple(map(block, section.blocks)))


def _function_program(function: ScalarFunction) -> Program:
    """a = f(z) for one number, so that an equality in z and a can be evaluated."""
    z = Quantity("z", "z", Role.INPUT, None, ())
    a = Quantity("a", "a", Role.ACTIVATION, None, ())
    return Program((z,), (), (Equation(a, (), function(z.symbol)),), (a,))


def _counts(model: Model) -> Mapping[sp.Symbol, int]:
    """The sizes of the network itself, where they are numbers."""
    return {symbol: int(size) for symbol, size in model.sizes if size.is_Integer}


def _instantiated(
    equality: Equality, layers: Mapping[sp.Symbol, int], symbolic: Model, concrete: Model
) -> Equality:
    """An equality about layers l and L as one about numbered layers."""

    def at(expr: sp.Expr) -> sp.Expr:
        return instantiate(expr, layers, symbolic, concrete)

    free = tuple((index, at(size)) for index, size in equality.free)
    return replace(equality, left=at(equality.left), right=at(equality.right), free=free)
