"""The kinds of formulas that an outline can ask for, each derived from the program and checked.

A function here turns one item of an outline into displays. What it prints comes from the equations of the
network and from their derivatives; the outline only says which, and in which order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import sympy as sp
from sympy.core.parameters import distribute

from symbackprop.algebra.components import expanded
from symbackprop.algebra.elimination import OUTPUT, derivative_from_output
from symbackprop.algebra.equations import Derivation, Equation, Partial, Program, Quantity, Role
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.algebra.indices import EXAMPLE, at_indices, put_in, replaced
from symbackprop.algebra.rules import Context, pull_out_factors
from symbackprop.checking.check import Equality
from symbackprop.code.arrays import Vectoriser
from symbackprop.derivation.paths import Link, Path, path
from symbackprop.errors import FormRefused
from symbackprop.forward.compose import compose
from symbackprop.forward.model import EXAMPLES
from symbackprop.forward.references import Reference, find
from symbackprop.layout.document import Block, Chain, Display, Row, Table
from symbackprop.layout.matrix_form import matrix_chain
from symbackprop.layout.outline import Item
from symbackprop.layout.outline_programs import (
    BY_OUTPUT,
    CHOSEN,
    CHOSEN_BATCH,
    SINGLE,
    SINGLE_WITHOUT,
    WITHOUT_ACTIVATIONS,
    WITHOUT_PRE_ACTIVATIONS,
    by_output,
    without,
)
from symbackprop.layout.writer import Claim, Writer, free_of
from symbackprop.network import argument
from symbackprop.printing.latex import Printer, sum_sign
from symbackprop.printing.lettering import lettered_by, letters_of
from symbackprop.printing.matrix_latex import is_transposed, matrix_latex
from symbackprop.printing.measure import rendered_width
from symbackprop.printing.pieces import Binding, at_least, tex
from symbackprop.printing.symbols import layer_argument, size_layer, whole

Letters = dict[sp.Basic, sp.Expr]

Show = Callable[["Desk", Item], Iterator[Block]]


@dataclass(frozen=True)
class Desk:
    """What the functions of this module work with: a writer, and the entries that the reader chose."""

    writer: Writer
    chosen: tuple[str, ...] = ()

    @property
    def program(self) -> Program:
        """The forward program of one example."""
        return self.writer.model.program

    @cached_property
    def named(self) -> dict[str, Quantity]:
        """The derivatives with a name, by what they are derivatives of."""
        named = (adjoint.named for adjoint in self.writer.derivation.adjoints)
        given = self.writer.model.given.values()
        found = (quantity for quantity in (*named, *given) if quantity is not None)
        return {q.of.name: q for q in found if q.of is not None and q.role is Role.DELTA}

    def reference(self, text: str) -> Reference:
        """A quantity that an outline names.

        ``$1`` is the first entry that the reader chose, ``$1a`` the activation of the unit that it leads to.
        """
        if not text.startswith("$"):
            return find(text, self.writer.model, self.writer.names.notation.index.start)
        chosen = self.chosen[int(text[1:2]) - 1]
        weight = find(chosen, self.writer.model, self.writer.names.notation.index.start)
        if not text.endswith("a"):
            return weight
        layer = weight.quantity.layer
        unit = next(q for q in self.program.quantities.values() if q.letter == "a" and q.layer == layer)
        return Reference(unit, weight.numbers[:1])

    def quantity(self, text: str) -> Quantity:
        """The quantity that a reference means."""
        return self.reference(text).quantity

    def equation(self, text: str) -> Equation:
        """The equation that defines a quantity."""
        return self.program.definitions[self.quantity(text).name]

    def adjoint_equation(self, text: str, slopes: bool = False) -> Equation:
        """What the derivative of the cost with respect to a quantity comes to.

        With ``slopes`` derivatives of activations stay what they are, and aren't written in their outputs.
        """
        of = self.quantity(text)
        for adjoint in self.writer.derivation.adjoints:
            if adjoint.of == of and adjoint.derivation is not None:
                named = adjoint.named or _unnamed(of, self.cost)
                value = _with_slopes(adjoint.derivation) if slopes else adjoint.derivation.result
                return Equation(named, adjoint.indices, value)
        raise FormRefused(f"outline: no derivative with respect to {of.name} was derived")

    @property
    def cost(self) -> Quantity:
        """The cost of one example."""
        return self.writer.model.cost

    def any_depth(self) -> Desk:
        """The same for any number of layers."""
        return Desk(self.writer.any_depth())

    def single(self) -> Desk:
        """The same for a network with one unit in each layer, whose entries are written without indices."""
        names = self.writer.names
        sizes = {str(dim): sp.S.One for q in self.program.quantities.values() for dim in q.dims}
        alone = replace(names, sizes={**names.sizes, **sizes}, single=True)
        return Desk(replace(self.writer, names=alone), self.chosen)

    def tex(self, expr: sp.Basic, letters: Letters, factor: bool = False) -> str:
        """An expression with these letters; a factor stands in parentheses if it needs them."""
        printer = Printer(self.writer.names)
        with distribute(False):
            piece = printer.whole(lettered_by(expr, self.writer.names, letters))
        return tex(at_least(piece, Binding.PRODUCT) if factor else piece)


def _unnamed(of: Quantity, cost: Quantity) -> Quantity:
    return Quantity(f"d{of.name}", "d", Role.ADJOINT, of.layer, of.dims, of, cost)


def _with_slopes(derivation: Derivation) -> sp.Expr:
    """What a derivation came to before the derivative of an activation was written in its output."""
    in_outputs = (step.before for step in derivation.steps if step.rule == "derivative_in_terms_of_output")
    return next(in_outputs, derivation.result)


# --- definitions ---------------------------------------------------------------------------------


def definition(desk: Desk, item: Item) -> Iterator[Block]:
    """A forward equation."""
    equations = [desk.equation(of) for of in _listed(item.options["of"])]
    yield Display(
        tuple(
            desk.writer.chain(e.lhs, e.rhs, Claim(_label(item, n), free_of(e)))
            for n, e in enumerate(equations, 1)
        )
    )


def folded(desk: Desk, item: Item) -> Iterator[Block]:
    """A pre-activation with its bias apart, and with the bias as a weight from unit 0."""
    writer, names = desk.writer, desk.writer.names
    apart = replace(writer, names=replace(names, notation=replace(names.notation, bias_folded=False)))
    equation = desk.equation(item.options["of"])
    claim = Claim(item.id, free_of(equation))
    left = writer.tex(equation.lhs, claim.free)
    reason = writer.words.reason("folded")
    rows = (
        apart.row(left, (equation.lhs, equation.rhs), claim),
        writer.row(left, (equation.rhs, equation.rhs), claim, reason),
    )
    yield Display((Chain(left, rows, item.id),))


def total(desk: Desk, item: Item) -> Iterator[Block]:
    """The cost of all examples; with the cost of one written out where the item asks for it."""
    (equation,) = (e for e in desk.writer.model.total if e.quantity.role is Role.COST)
    rhs = equation.rhs
    if item.options.get("written_out"):
        one = desk.writer.derivation.batch.forward.definitions[desk.cost.name]
        entry = one.quantity[EXAMPLE]
        with distribute(False):
            rhs = pull_out_factors(replaced(rhs, {entry: one.rhs}), Context())
    yield Display((desk.writer.chain(equation.lhs, rhs, Claim(item.id, (), "batch")),))


def output_cost(desk: Desk, item: Item) -> Iterator[Block]:
    """The cost of one output."""
    _, equation = _by_output(desk)
    writer = _with(desk.writer, equation.quantity)
    claim = Claim(item.id, free_of(equation), BY_OUTPUT)
    yield Display((writer.chain(equation.lhs, equation.rhs, claim),))


def composition(desk: Desk, item: Item) -> Iterator[Block]:
    """The cost of one output as functions put into each other, written out, and the cost as their sum."""
    program, one = _by_output(desk)
    writer, last = _with(desk.writer, one.quantity), desk.writer.model.last_layer
    free, names = free_of(one), writer.names
    letters = letters_of(names, free)
    j = desk.tex(one.indices[0], letters)
    layer = layer_argument(last, names)
    unit = rf"{{{layer}}}{{{j}}}"
    inner = rf"\sbpact{unit}(\sbppact{unit}(\sbpweightrow{unit}))"
    composed = rf"\sbpoutputcost{{{j}}}\bigl({inner}\bigr)"
    written = _one_layer_down(program, one.rhs)
    claimed = Equality(item.id, one.lhs, written, free, BY_OUTPUT)
    left = writer.tex(one.lhs, free)
    first = Chain(
        left,
        (
            Row((composed,), "", claimed),
            writer.row(left, (one.lhs, written), Claim(item.id, free, BY_OUTPUT)),
        ),
    )
    cost = program.definitions[desk.cost.name]
    sign = _sum_sign(desk, letters[one.indices[0]], one.quantity.dims[0])
    summed = Equality(f"{item.id}, sum", cost.lhs, cost.rhs, (), BY_OUTPUT)
    second = Chain(writer.tex(cost.lhs), (Row((f"{sign}{composed}",), "", summed),), item.id)
    yield Display((first, second))


def composite(desk: Desk, item: Item) -> Iterator[Block]:
    """The cost, or an output, in terms of the layer before; or written out entry by entry."""
    of = item.options["of"]
    if item.options.get("components"):
        yield from _written_out(desk, item)
        return
    equation = desk.equation(of)
    value = _one_layer_down(desk.program, equation.rhs)
    yield Display((desk.writer.chain(equation.lhs, value, Claim(item.id, free_of(equation))),))


def _written_out(desk: Desk, item: Item) -> Iterator[Block]:
    """An output in inputs and parameters alone, every sum written as its terms."""
    quantity = desk.quantity(item.options["of"])
    sizes = dict(desk.writer.model.sizes)
    with distribute(False):
        value = expanded(compose(desk.program, quantity.name).xreplace({}), sizes)
        first = at_indices(value, desk.program.definitions[quantity.name].indices, (sp.S.One,))
    claim = Claim(item.id, (), "components")
    yield Display((desk.writer.chain(quantity[sp.S.One], first, claim),))


def _one_layer_down(program: Program, expr: sp.Expr) -> sp.Expr:
    """An expression with the last activations and pre-activations put in as they are defined."""
    with distribute(False):
        for role in (Role.ACTIVATION, Role.PRE_ACTIVATION):
            used = [e for e in expr.atoms(sp.Indexed) if _role(program, e) is role]
            used = [e for e in used if str(e.base) in program.definitions]
            expr = put_in(expr, {e: program.definitions[str(e.base)].at(e.indices) for e in used})
    return expr


def _role(program: Program, entry: sp.Indexed) -> Role | None:
    quantity = program.quantities.get(str(entry.base))
    return None if quantity is None else quantity.role


def _by_output(desk: Desk) -> tuple[Program, Equation]:
    program = by_output(desk.program)
    return program, next(e for e in program if e.quantity.role is Role.OUTPUT_COST)


def _with(writer: Writer, quantity: Quantity) -> Writer:
    """A writer that knows one quantity more."""
    names = writer.names
    return replace(writer, names=replace(names, quantities={**names.quantities, quantity.name: quantity}))


# --- the chain rule along a path -------------------------------------------------------------------


def chain(desk: Desk, item: Item) -> Iterator[Block]:
    """A derivative of the cost as the product of the derivatives on the way, and what that comes to."""
    desk = desk.single() if item.options.get("single") else desk
    found, kind = _path(desk, item)
    rows, before = list[Row](), found.goal
    wanted, left = item.options.get("rows", ["names"]), desk.tex(found.goal, _letters(desk, found))
    reasons = [desk.writer.words.reason(key) for key in ("chain_rule", "derivative_in_terms_of_output")]
    widest = max(reasons, key=len) if item.options.get("in_outputs") else reasons[0]
    for name in wanted:
        shown = _unfolded(desk, found) if name == "unfolded" else found
        after = found.product if name == "names" else shown.value
        reason = desk.writer.words.reason(_REASONS[name]) if len(wanted) > 1 else ""
        boxed = name == wanted[-1] and name != "names" and not item.options.get("in_outputs")
        claimed = Equality(item.id, before, after, found.free, kind)
        product = _product(desk, shown, name == "names", item)
        lines = _lines(desk, product, left, widest if len(wanted) > 1 else "")
        rows.append(Row(lines, reason, claimed, boxed))
        before = after
    if item.options.get("in_outputs"):
        rows = _with_outputs(rows, _in_outputs(desk, found, item, kind, left))
    yield Display((Chain(left, tuple(rows), item.id),))


def _with_outputs(rows: list[Row], last: Row) -> list[Row]:
    """Rows with one more; an activation that isn't a function of one number changes nothing in it."""
    if rows[-1].lines == last.lines:
        return [*rows[:-1], replace(rows[-1], boxed=True)]
    return [*rows, last]


def _lines(desk: Desk, product: str, left: str, reason: str) -> tuple[str, ...]:
    """A product on as many lines as it takes, broken before the dot of a factor."""
    room, notation = desk.writer.room(left, reason), desk.writer.names.notation
    first, *others = _factors(product)
    lines = [first]
    for factor in others:
        longer = rf"{lines[-1]} \cdot {factor}"
        if rendered_width(longer, notation) <= room:
            lines[-1] = longer
        else:
            lines.append(rf"{{}} \cdot {factor}")
    return tuple(lines)


def _factors(product: str) -> list[str]:
    """What stands between the dots of a product that aren't inside anything."""
    found: list[str] = []
    for part in product.split(r" \cdot "):
        if found and found[-1].count("{") != found[-1].count("}"):
            found[-1] += rf" \cdot {part}"
        else:
            found.append(part)
    return found


_REASONS = {"names": "chain_rule", "values": "put_in", "unfolded": "differentiate"}


def _unfolded(desk: Desk, found: Path) -> Path:
    """The same path with the last activations written as functions of their pre-activations."""

    def unfold(expr: sp.Expr) -> sp.Expr:
        used = [e for e in expr.atoms(sp.Indexed) if _role(desk.program, e) is Role.ACTIVATION]
        known = [e for e in used if str(e.base) in desk.program.definitions]
        with distribute(False):
            return expr.xreplace({e: desk.program.definitions[str(e.base)].at(e.indices) for e in known})

    return replace(found, links=tuple(Link(link.partial, unfold(link.value)) for link in found.links))


def terms(desk: Desk, item: Item) -> Iterator[Block]:
    """Each factor of such a product, with what it comes to."""
    desk = desk.single() if item.options.get("single") else desk
    found, kind = _path(desk, item)
    links = [found.links[n - 1] for n in item.options["only"]] if "only" in item.options else found.links
    letters = _letters(desk, found)
    free = (*found.free, *found.sums)
    links = links[::-1] if item.options.get("order") == "from-parameter" else links
    chains = []
    for number, link in enumerate(links, 1):
        label = _label(item, number)
        equality = Equality(label, link.partial, link.value, free, kind)
        rows = [Row((desk.tex(link.value, letters),), "", equality)]
        if item.options.get("in_outputs"):
            rows += _value_rows(desk, link, letters, label, free)
        chains.append(Chain(desk.tex(link.partial, letters), tuple(rows), label))
    yield Display(tuple(chains))


def _value_rows(
    desk: Desk,
    link: Link,
    letters: Letters,
    label: str,
    free: Sequence[tuple[sp.Symbol, sp.Expr]],
) -> Iterator[Row]:
    """The derivative of an activation in terms of the function, and in terms of the output."""
    function = link.value
    if not isinstance(function, ScalarFunction) or function.formula is None:
        return
    form = derivative_from_output(function.formula)
    if form is None or not form.has(OUTPUT):
        return
    undifferentiated = _undifferentiated(desk.program, function)
    before = function
    for output, reason in ((undifferentiated, "elimination"), (link.partial.args[0], "definition")):
        with distribute(False):
            value = form.xreplace({OUTPUT: output, argument("z"): function.args[0]})
        equality = Equality(f"{label}, {reason}", before, value, tuple(free), "example")
        yield Row((desk.tex(value, letters),), desk.writer.words.reason(reason), equality)
        before = value


def _undifferentiated(program: Program, slope: ScalarFunction) -> sp.Expr:
    """f(z) for f'(z), as the program has it."""
    functions = (f for e in program for f in e.rhs.atoms(ScalarFunction))
    function = next(f.func for f in functions if f.letter == slope.letter and f.order == 0)
    return function(slope.args[0])


def _path(desk: Desk, item: Item) -> tuple[Path, str]:
    """The path that an item asks for, and the kind of program that it is checked in."""
    reference = desk.reference(item.options["of"])
    through = [desk.quantity(name) for name in item.options.get("through", [])]
    kind = item.options.get("program", "example")
    program = _PROGRAMS[kind](desk.program)
    found = path(program, reference.quantity, through, desk.named)
    if item.options.get("single"):
        kind = SINGLE
    elif reference.numbers:
        kind = CHOSEN
    return found.at(reference.numbers), kind


_PROGRAMS: dict[str, Callable[[Program], Program]] = {
    "example": lambda program: program,
    WITHOUT_ACTIVATIONS: lambda program: without(program, Role.ACTIVATION),
    WITHOUT_PRE_ACTIVATIONS: lambda program: without(program, Role.PRE_ACTIVATION),
}


def _letters(desk: Desk, found: Path) -> Letters:
    of = desk.writer.names.quantity(found.goal.args[1])
    subject = size_layer(of.dims[0]) if of is not None and of.dims else None
    return letters_of(desk.writer.names, found.free, found.sums, subject)


def _product(desk: Desk, found: Path, by_name: bool, item: Item) -> str:
    """The factors in the order of the text, with a dot between them, and the sums before them."""
    letters = _letters(desk, found)
    parts = [link.partial if by_name else link.value for link in found.links]
    parts = [part for part in parts if part != 1] or [sp.S.One]
    if item.options.get("order") == "from-parameter":
        parts = parts[::-1]
    factors = [desk.tex(part, letters, factor=len(parts) > 1) for part in parts]
    signs = [_sum_sign(desk, letters[index], size) for index, size in found.sums]
    return "".join(signs) + r" \cdot ".join(factors)


def _sum_sign(desk: Desk, letter: sp.Expr, size: sp.Expr) -> str:
    """The sign of a sum over all units; nothing where there is only one."""
    if isinstance(letter, sp.Integer):
        return ""
    return sum_sign((letter, 1, size), desk.writer.names)


def _in_outputs(desk: Desk, found: Path, item: Item, kind: str, left: str) -> Row:
    """The product with the derivative of the activation in terms of its value."""
    letters, values = _letters(desk, found), []
    for link in found.links:
        rows = list(_value_rows(desk, link, letters, item.id, (*found.free, *found.sums)))
        equality = rows[-1].equality if rows else None
        values.append(equality.right if equality is not None else link.value)
    changed = replace(
        found, links=tuple(Link(link.partial, v) for link, v in zip(found.links, values, strict=True))
    )
    text = _product(desk, changed, False, item)
    reason = desk.writer.words.reason("derivative_in_terms_of_output")
    equality = Equality(item.id, found.value, changed.value, found.free, kind)
    return Row(_lines(desk, text, left, reason), reason, equality, True)


def step(desk: Desk, item: Item) -> Iterator[Block]:
    """The derivative of one activation by that of the layer before, by way of the pre-activation."""
    alone = desk.single()
    found, _ = _path(alone, replace(item, options={**item.options, "single": True}))
    inner = replace(found, links=found.links[1:])
    upper, lower = found.links[1].partial.args[0], found.goal.args[1]
    letters = _letters(alone, found)
    partial = Partial(upper, lower)
    with distribute(False):
        value = sp.Mul(*(link.value for link in inner.links))
        checked = _in_activations(desk.program, value)
    # the sums on the way have one term each
    one = {index: sp.S.One for index, _ in found.sums}
    equality = Equality(item.id, partial.xreplace(one), checked.xreplace(one), found.free, SINGLE_WITHOUT)
    rows = (Row((_product(alone, inner, False, item),), "", equality, True),)
    yield Display((Chain(alone.tex(partial, letters), rows, item.id),))


def _in_activations(program: Program, expr: sp.Expr) -> sp.Expr:
    """An expression with every pre-activation put in as it is defined."""
    used = [e for e in expr.atoms(sp.Indexed) if _role(program, e) is Role.PRE_ACTIVATION]
    return put_in(expr, {e: program.definitions[str(e.base)].at(e.indices) for e in used})


def example_mean(desk: Desk, item: Item) -> Iterator[Block]:
    """The derivative of the cost of all examples, by those of the costs of the examples."""
    reference = desk.reference(item.options["of"])
    of = reference.quantity
    indices = tuple(sp.symbols("j k", integer=True, positive=True))[: len(of.dims)]
    at: tuple[sp.Expr, ...] = tuple(map(sp.Integer, reference.numbers)) or indices
    free = () if reference.numbers else tuple(zip(indices, of.dims, strict=True))
    (total_,) = (e for e in desk.writer.model.total if e.quantity.role is Role.COST)
    each = desk.writer.model.total.inputs[0][EXAMPLE]
    mean = desk.writer.model.network.cost.examples == "mean"
    with distribute(False):
        summed = sp.Sum(Partial(each, of[at]), (EXAMPLE, 1, EXAMPLES))
        value = summed / EXAMPLES if mean else summed
    kind = CHOSEN_BATCH if reference.numbers else "batch"
    yield Display((desk.writer.chain(Partial(total_.lhs, of[at]), value, Claim(item.id, free, kind)),))


# --- deltas and gradients --------------------------------------------------------------------------


def delta(desk: Desk, item: Item) -> Iterator[Block]:
    """A delta as the derivative that it stands for."""
    of = desk.quantity(item.options["of"])
    named = desk.named[of.name]
    index = (sp.Symbol("j", integer=True, positive=True),)
    claim = Claim(item.id, tuple(zip(index, of.dims, strict=True)))
    yield Display((desk.writer.chain(named[index], Partial(desk.cost.symbol, of[index]), claim),))


def result(desk: Desk, item: Item) -> Iterator[Block]:
    """What the derivative of the cost comes to, as it was derived; in full where the item asks for steps."""
    chains = []
    for number, of in enumerate(_listed(item.options["of"]), 1):
        equation = desk.adjoint_equation(of)
        quantity = desk.quantity(of)
        entry = (
            equation.lhs
            if equation.quantity.role is Role.DELTA
            else Partial(desk.cost.symbol, quantity[equation.indices])
        )
        written = item.options.get("written_out")
        claim = Claim(_label(item, number), free_of(equation))
        if item.options.get("steps"):
            made = _stepwise(desk, quantity, entry, claim)
        else:
            value = pull_out_factors(_with_deltas(desk, equation.rhs), Context()) if written else equation.rhs
            made = desk.writer.chain(entry, value, claim, facts=_facts(desk, quantity))
        chains.append(replace(made, rows=(*made.rows[:-1], replace(made.rows[-1], boxed=True))))
    yield Display(tuple(chains))


def _stepwise(desk: Desk, of: Quantity, entry: sp.Expr, claim: Claim) -> Chain:
    adjoint = next(a for a in desk.writer.derivation.adjoints if a.of == of)
    assert adjoint.derivation is not None
    return desk.writer.derived(entry, adjoint.derivation, claim)


def _facts(desk: Desk, of: Quantity) -> tuple[str, ...]:
    adjoint = next(a for a in desk.writer.derivation.adjoints if a.of == of)
    return adjoint.derivation.facts if adjoint.derivation is not None else ()


def _with_deltas(desk: Desk, expr: sp.Expr, slopes: bool = False) -> sp.Expr:
    """An expression with every delta in it put in as it was derived."""
    found = {a.named.name: a for a in desk.writer.derivation.adjoints if a.named and a.derivation}
    with distribute(False):
        while used := [e for e in expr.atoms(sp.Indexed) if str(e.base) in found]:
            values = {}
            for entry in used:
                adjoint = found[str(entry.base)]
                assert adjoint.derivation is not None
                value = _with_slopes(adjoint.derivation) if slopes else adjoint.derivation.result
                values[entry] = at_indices(value, adjoint.indices, entry.indices)
            expr = put_in(expr, values)
    return expr


# --- matrices ------------------------------------------------------------------------------------


def matrix(desk: Desk, item: Item) -> Iterator[Block]:
    """Forward equations, deltas or gradients in matrix form."""
    vectoriser = Vectoriser(desk.writer.names.quantities)
    kind, chains = item.options.get("program", "example"), []
    for number, of in enumerate(_listed(item.options["of"]), 1):
        slopes = bool(item.options.get("slopes"))
        program = _PROGRAMS[kind](desk.program)
        if item.options.get("derivative"):
            equation = desk.adjoint_equation(of, slopes)
        else:
            equation = program.definitions[desk.quantity(of).name]
        if item.options.get("written_out"):
            equation = replace(equation, rhs=_with_deltas(desk, equation.rhs, slopes))
        made = matrix_chain(desk.writer, replace(equation, label=""), vectoriser, kind)
        if made is not None:
            label = _label(item, number)
            rows = tuple(
                replace(r, equality=r.equality and replace(r.equality, label=label)) for r in made.rows
            )
            chains.append(replace(made, rows=rows, label=label))
    yield Display(tuple(chains))


def entry_of_gradient(desk: Desk, item: Item) -> Iterator[Block]:
    """An entry of a gradient as a matrix, which is the derivative by that entry of the weights."""
    equation = desk.adjoint_equation(item.options["of"])
    of, names = desk.quantity(item.options["of"]), desk.writer.names
    letters = letters_of(names, free_of(equation))
    ordered = reversed(equation.indices) if is_transposed(equation.quantity, names) else equation.indices
    inside = "".join(desk.tex(index, letters) for index in ordered)
    left = rf"\bigl({whole(equation.quantity, names)}\bigr)_{{{inside}}}"
    partial = Partial(desk.cost.symbol, of[equation.indices])
    rows = (
        Row(
            (desk.tex(equation.rhs, letters),),
            "",
            Equality(item.id, partial, equation.rhs, free_of(equation), "example"),
        ),
        Row(
            (desk.tex(partial, letters),),
            "",
            Equality(item.id, equation.rhs, partial, free_of(equation), "example"),
        ),
    )
    yield Display((Chain(left, rows, item.id),))


def update(desk: Desk, item: Item) -> Iterator[Block]:
    """The rule of gradient descent: a parameter moves against its derivative."""
    names, chains = desk.writer.names, []
    for number, of in enumerate(_listed(item.options["of"]), 1):
        quantity = desk.quantity(of)
        if item.options.get("entries"):
            indices = tuple(sp.symbols("j k", integer=True, positive=True))[: len(quantity.dims)]
            free = tuple(zip(indices, quantity.dims, strict=True))
            cost = desk.writer.model.total.outputs[0]
            left = desk.writer.tex(quantity[indices], free)
            slope = desk.writer.tex(Partial(cost.symbol, quantity[indices]), free)
        else:
            left = whole(quantity, names)
            gradient = desk.adjoint_equation(of).quantity
            slope = whole(gradient, names)
        row = Row((rf"{left} - \sbplearningrate \, {slope}",), "", None, sign=r"\leftarrow")
        chains.append(Chain(left, (row,), _label(item, number)))
    yield Display(tuple(chains))


def norm(desk: Desk, item: Item) -> Iterator[Block]:
    """A cost that is a sum of squares as the square of the length of a vector, and as the sum."""
    equation = desk.equation("C")
    sums = [t for t in sp.Mul.make_args(equation.rhs) if isinstance(t, sp.Sum)]
    body = sums[0].function if len(sums) == 1 else sp.S.Zero
    if not (isinstance(body, sp.Pow) and body.exp == 2):
        raise FormRefused("outline: the cost is no sum of squares, so it is no length of a vector")
    (index, _, size) = sums[0].limits[0]
    array = Vectoriser(desk.writer.names.quantities).array(body.base, (index,), {index: size})
    factor = sp.Mul(*(t for t in sp.Mul.make_args(equation.rhs) if t != sums[0]))
    length = rf"\lVert {matrix_latex(array, desk.writer.names)} \rVert^{{2}}"
    number = "" if factor == 1 else desk.tex(factor, {}) + " "
    left = desk.writer.tex(equation.lhs)
    claim = Claim(item.id)
    rows = (
        Row((number + length,), "", Equality(item.id, equation.lhs, equation.rhs, (), "example")),
        desk.writer.row(left, (equation.lhs, equation.rhs), claim),
    )
    yield Display((Chain(left, rows, item.id),))


# --- side by side ----------------------------------------------------------------------------------


def side_by_side(desk: Desk, item: Item) -> Iterator[Block]:
    """The forward phase and the backward phase in two columns."""
    writer = desk.writer
    columns: list[list[str]] = []
    for key in ("forward", "backward"):
        cells = []
        for of in item.options[key]:
            equation = desk.equation(of) if key == "forward" else desk.adjoint_equation(of)
            quantity = desk.quantity(of)
            gradient = key == "backward" and equation.quantity.role is not Role.DELTA
            left = Partial(desk.cost.symbol, quantity[equation.indices]) if gradient else equation.lhs
            free = free_of(equation)
            cells.append(f"${writer.tex(left, free)} = {writer.tex(equation.rhs, free)}$")
        columns.append(cells)
    longest = max(map(len, columns))
    padded = [column + [""] * (longest - len(column)) for column in columns]
    header = (writer.words.headings["forward_phase"], writer.words.headings["backward_phase"])
    yield Table(header, tuple(zip(*padded, strict=True)), "ll")


# --- helpers -----------------------------------------------------------------------------------------


def _listed(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value


def _label(item: Item, number: int) -> str:
    """The id for the first formula of an item, the id with a number for the others."""
    return item.id if number == 1 else f"{item.id}-{number}"


SHOWS: dict[str, Show] = {
    "definition": definition,
    "folded": folded,
    "total": total,
    "output-cost": output_cost,
    "composition": composition,
    "composite": composite,
    "chain": chain,
    "terms": terms,
    "step": step,
    "example-mean": example_mean,
    "delta": delta,
    "result": result,
    "matrix": matrix,
    "entry": entry_of_gradient,
    "update": update,
    "norm": norm,
    "side-by-side": side_by_side,
}
"""Every kind of formula by the name that outlines have for it."""
