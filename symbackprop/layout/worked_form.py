"""The worked example: every line in symbols, with the numbers put in, and evaluated.

Forward pass, cost, backward pass, gradients, one step of gradient descent and the new cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from symbackprop.algebra.components import as_partial, entry_suffix, expanded, written_out
from symbackprop.algebra.equations import DERIVATIVE_ROLES, Equation, Partial, Quantity, Role
from symbackprop.algebra.indices import at_indices
from symbackprop.algebra.rules import Context, pull_out_factors
from symbackprop.checking.check import Equality, Laboratory
from symbackprop.checking.evaluate import Instance
from symbackprop.layout.document import Block, Chain, Display, Paragraph, Row, Section
from symbackprop.layout.worked import RATE, NumberLaboratory, Worked, ties
from symbackprop.layout.writer import Writer
from symbackprop.printing.latex import latex
from symbackprop.printing.measure import rendered_width
from symbackprop.printing.rounding import Rounded, quantities_in, rounded
from symbackprop.printing.symbols import Names, whole

SYMBOLS, BATCH_SYMBOLS = "worked", "worked batch"
"""The kinds of equalities in symbols, of one example and of all: they are checked with drawn numbers."""

_ALL = "all examples with their numbers"


def worked_sections(writer: Writer, worked: Worked) -> Iterator[Section]:
    """Each example, what they add up to, one step of gradient descent, and the cost after it."""
    heading = writer.words.headings
    yield Section(heading["worked"], tuple(_introduction(writer, worked)))
    for number in range(worked.count):
        lines = _Lines(writer, worked, example_kind(number), worked.examples[number])
        yield Section(_title(writer, worked, "worked_forward", number), tuple(_forward(lines, number)))
        yield Section(_title(writer, worked, "worked_backward", number), tuple(_backward(lines, number)))
    if not worked.single:
        total = _Lines(writer, worked, _ALL, worked.batch, BATCH_SYMBOLS)
        yield Section(heading["worked_total"], tuple(_total(total)))
    if worked.values.learning_rate is not None:
        whole = example_kind(0) if worked.single else _ALL
        step = _Lines(writer, worked, whole, worked.whole)
        yield Section(heading["worked_step"], tuple(_step(step)))
        yield Section(heading["worked_new_cost"], tuple(_after(writer, worked)))


def worked_laboratories(worked: Worked) -> dict[str, Any]:
    """Where the equalities of a worked example are checked: in drawn numbers, and in the given ones."""
    derived, model = worked.derivation, worked.model
    lifted = tuple(equation.quantity for equation in derived.batch.deltas)
    found: dict[str, Any] = {
        SYMBOLS: Laboratory(model.program, model.facts, derived.named, sizes=worked.sizes),
        BATCH_SYMBOLS: Laboratory(derived.batch.forward, model.facts, lifted, sizes=worked.batch_sizes),
        _ALL: NumberLaboratory(worked.batch),
    }
    for number, instance in enumerate(worked.examples):
        found[example_kind(number)] = NumberLaboratory(instance)
    if worked.values.learning_rate is not None:
        for unchanged in _steps(worked):
            found[_after_kind(unchanged)] = NumberLaboratory(worked.after(unchanged))
    return found


def example_kind(number: int) -> str:
    """The kind of an equality about one example, counted from 0, with its numbers."""
    return f"example {number + 1} with its numbers"


def _steps(worked: Worked) -> list[tuple[str, ...]]:
    """The steps to take: one of all parameters, and one that leaves some as they are if the spec says so."""
    return list(dict.fromkeys(((), worked.values.unchanged)))


def _after_kind(unchanged: Sequence[str]) -> str:
    return f"after a step of all but {', '.join(unchanged)}" if unchanged else "after a step"


@dataclass(frozen=True)
class _Lines:
    """Writes lines about one instance; ``kind`` and ``symbols`` are the kinds of what they claim."""

    writer: Writer
    worked: Worked
    kind: str
    instance: Instance
    symbols: str = SYMBOLS
    widest: str = ""
    """The widest left side of the lines that these are among, if it is known."""

    @property
    def names(self) -> Names:
        return self.writer.names

    def chain(self, entry: sp.Expr, expr: sp.Expr, label: str, facts: tuple[str, ...] = ()) -> Chain:
        """One line in symbols, in numbers, and evaluated; what would be printed twice is printed once."""
        left = latex(entry, self.names)
        symbols = Equality(f"{label}, step 1", entry, expr, (), self.symbols, facts)
        rows = [Row(self.writer.lines(expr, left), equality=symbols), *self.numbers(left, entry, expr, label)]
        return Chain(left, tuple(rows), label)

    def numbers(self, left: str, entry: sp.Expr, expr: sp.Expr, label: str) -> Iterator[Row]:
        """The rows below a line in symbols."""
        put_in = {node: self.rounded(node) for node in quantities_in(expr)}
        result = _for_entry(self.rounded(expr), entry)
        lines = self.put_in(put_in).lines(expr, self.widest or left, after=result.latex)
        if lines not in ((result.latex,), (f"({result.latex})",)):
            claimed = Equality(f"{label}, step 2", entry, expr.xreplace(put_in), (), self.kind)
            yield Row(lines, equality=claimed, sign=_sign(all(n.exact for n in put_in.values())))
        yield self.evaluated(entry, result, label)

    def evaluated(self, entry: sp.Expr, result: Rounded, label: str) -> Row:
        """The row with the number that comes out."""
        claimed = Equality(label, entry, result, (), self.kind)
        return Row((result.latex,), equality=claimed, sign=_sign(result.exact))

    def rounded(self, expr: sp.Expr) -> Rounded:
        """The number of an expression in this instance."""
        return rounded(self.instance.value(expr), self.writer.digits, expr)

    def put_in(self, numbers: Mapping[sp.Expr, Rounded]) -> Writer:
        """A writer that prints numbers for what they are the values of."""
        shown = {node: number.latex for node, number in numbers.items()}
        return replace(self.writer, names=replace(self.names, numbers=shown))

    def value(self, entry: sp.Expr, label: str) -> Chain:
        """A line that only says what comes out."""
        return Chain(latex(entry, self.names), (self.evaluated(entry, self.rounded(entry), label),), label)

    def update(self, entry: sp.Expr, label: str) -> Chain:
        """The step of one parameter: the new value takes the place of the old one."""
        left, new = latex(entry, self.names), self.worked.update(entry)
        first = Row(self.writer.lines(new, left), sign=r"\leftarrow")
        return Chain(left, (first, *self.numbers(left, new, new, label)), label)


def _for_entry(number: Rounded, entry: sp.Expr) -> Rounded:
    """The same number, printed for another entry: for what the line defines and not for its right side."""
    return Rounded(entry, *number.args[1:])


def _sign(exact: bool) -> str:
    return "=" if exact else r"\approx"


def _title(writer: Writer, worked: Worked, key: str, number: int) -> str:
    heading = writer.words.headings[key]
    if worked.count == 1:
        return heading
    return writer.words.headings["worked_example"].format(number=number + 1, heading=heading)


# --- the parts ---------------------------------------------------------------------------------------


def _introduction(writer: Writer, worked: Worked) -> Iterator[Block]:
    yield Paragraph(writer.words.text("worked", digits=str(writer.digits)))
    given = ", ".join(f"${left} = {right}$" for left, right in _given(writer, worked))
    yield Paragraph(writer.words.text("worked_given", given=given))


def _given(writer: Writer, worked: Worked) -> Iterator[tuple[str, str]]:
    """The numbers of the spec that all examples share."""
    for _, entry in worked.entries():
        yield latex(entry, writer.names), rounded(worked.whole.value(entry), writer.digits).latex
    for name in worked.symbols:
        symbol = sp.Symbol(name, real=True)
        yield latex(symbol, writer.names), rounded(worked.symbols[name][()], writer.digits).latex


def _forward(lines: _Lines, number: int) -> Iterator[Block]:
    inputs = ", ".join(_of_example(lines))
    yield Paragraph(lines.writer.words.text("worked_example", given=inputs))
    for equation in lines.worked.model.program:
        yield Display(tuple(_entries(lines, equation, number)), across=True)
    at_edge = [f"${latex(entry, lines.names)}$" for entry in ties(lines.instance)]
    if at_edge:
        yield Paragraph(lines.writer.words.text("worked_edge", entries=", ".join(at_edge)))


def _of_example(lines: _Lines) -> Iterator[str]:
    for quantity in lines.worked.model.program.inputs:
        for key in lines.instance.table(quantity.name).keys_in_range():
            entry = quantity[tuple(map(sp.Integer, key))]
            yield f"${latex(entry, lines.names)} = {lines.rounded(entry).latex}$"


def _backward(lines: _Lines, number: int) -> Iterator[Block]:
    yield Paragraph(lines.writer.words.text("worked_backward"))
    equations = lines.worked.derivation.equations
    deltas = [e for e in equations if e.quantity.role is not Role.GRADIENT]
    gradients = [e for e in equations if e.quantity.role is Role.GRADIENT]
    sizes = {symbol: sp.Integer(size) for symbol, size in lines.worked.sizes.items()}
    lefts = (
        latex(as_partial(e.quantity, entry), lines.names)
        for e in (*deltas, *gradients)
        for entry, _ in written_out(e, sizes)
    )
    lines = replace(lines, widest=max(lefts, key=lambda left: rendered_width(left, lines.names.notation)))
    for equation in (*deltas, *gradients):
        yield Display(tuple(_entries(lines, equation, number)), across=True)


def _entries(lines: _Lines, equation: Equation, number: int) -> Iterator[Chain]:
    facts = lines.writer.cited(equation) if equation.quantity.role in DERIVATIVE_ROLES else ()
    sizes = {symbol: sp.Integer(size) for symbol, size in lines.worked.sizes.items()}
    for entry, value in written_out(equation, sizes):
        yield lines.chain(
            as_partial(equation.quantity, entry), value, _label(lines, entry, equation, number), facts
        )


def _label(lines: _Lines, entry: sp.Expr, equation: Equation, number: int) -> str:
    example = f"{number + 1}-" if lines.worked.count > 1 else ""
    return f"worked-{example}{equation.label}{entry_suffix(entry)}"


def _total(lines: _Lines) -> Iterator[Block]:
    """What the examples add up to: the cost, and its derivatives."""
    worked = lines.worked
    yield Paragraph(lines.writer.words.text("worked_total"))
    sizes = {symbol: sp.Integer(size) for symbol, size in worked.batch_sizes.items()}
    for equation in worked.model.total:
        yield Display(
            tuple(lines.chain(e, v, f"worked-{equation.label}") for e, v in written_out(equation, sizes)),
            across=True,
        )
    for gradient in worked.derivation.batch.gradients:
        if gradient.quantity.of in worked.model.program.parameters:
            rule = _over_examples(gradient.derivation.steps)
            entries = (e for p, e in worked.entries() if p == gradient.quantity.of)
            shown = (_total_gradient(lines, gradient, rule, entry, sizes) for entry in entries)
            yield Display(tuple(shown), across=True)


def _over_examples(steps: Sequence[Any]) -> sp.Expr:
    """The derivative of the total cost in those of the examples: what stands before these are put in."""
    return pull_out_factors(next(step.before for step in steps if step.rule == "put_in"), Context())


def _total_gradient(
    lines: _Lines, gradient: Any, rule: sp.Expr, entry: sp.Expr, sizes: Mapping[sp.Symbol, sp.Expr]
) -> Chain:
    here = at_indices(rule, gradient.indices, entry.indices)
    goal = Partial(lines.worked.cost.symbol, entry)
    return lines.chain(goal, expanded(here, sizes), f"worked-{gradient.equation.label}{entry_suffix(entry)}")


def _step(lines: _Lines) -> Iterator[Block]:
    rate = lines.rounded(RATE).latex
    yield Paragraph(lines.writer.words.text("worked_step", rate=f"${latex(RATE, lines.names)} = {rate}$"))
    for parameter in lines.worked.model.program.parameters:
        entries = [entry for p, entry in lines.worked.entries() if p == parameter]
        yield Display(
            tuple(lines.update(e, f"worked-new-{_name(parameter)}{entry_suffix(e)}") for e in entries),
            across=True,
        )


def _name(quantity: Quantity) -> str:
    return f"{quantity.letter}-{quantity.layer}"


def _after(writer: Writer, worked: Worked) -> Iterator[Block]:
    """The forward pass again; what is left unchanged on request, once more without the details."""
    words = writer.words
    for unchanged in _steps(worked):
        lines = _Lines(writer, worked, _after_kind(unchanged), worked.after(unchanged))
        if unchanged:
            listed = ", ".join(f"${_whole(writer, worked, name)}$" for name in unchanged)
            yield Paragraph(words.text("worked_unchanged", unchanged=listed))
        else:
            yield Paragraph(words.text("worked_after"))
            yield Display(tuple(_again(lines)))
        suffix = "-unchanged" if unchanged else ""
        cost = lines.value(worked.cost.symbol, f"worked-new-cost{suffix}")
        yield Display((replace(cost, rows=tuple(replace(row, boxed=True) for row in cost.rows)),))


def _whole(writer: Writer, worked: Worked, name: str) -> str:
    return whole(worked.model.program.quantities[name], writer.names)


def _again(lines: _Lines) -> Iterator[Chain]:
    """The quantities of the forward pass after the step: of one example each, of several their costs."""
    worked = lines.worked
    if not worked.single:
        example_cost = worked.model.total.inputs[0]
        for number in range(1, worked.count + 1):
            yield lines.value(example_cost[sp.Integer(number)], f"worked-new-cost-{number}")
        for equation in worked.model.total.equations[:-1]:
            yield lines.value(equation.lhs, f"worked-new-{equation.label}")
        return
    sizes = {symbol: sp.Integer(size) for symbol, size in worked.sizes.items()}
    for equation in worked.model.program.equations[:-1]:
        for entry, _ in written_out(equation, sizes):
            yield lines.value(entry, f"worked-new-{equation.label}{entry_suffix(entry)}")
