"""The index form: sums over indices, every step with its reason, from the network to the batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import sympy as sp

from symbackprop.algebra.calculus import derivative
from symbackprop.algebra.elimination import (
    OUTPUT,
    Z,
    derivative_from_output,
    exponential_from_output,
)
from symbackprop.algebra.equations import Equation, Role
from symbackprop.algebra.functions import ScalarFunction, prime
from symbackprop.derivation.batch import TotalGradient
from symbackprop.derivation.chain import Adjoint
from symbackprop.forward.compose import compose
from symbackprop.forward.model import FIRST
from symbackprop.layout.asides import at_kinks, at_kinks_of_cost
from symbackprop.layout.claims import scalar_functions
from symbackprop.layout.document import Block, Chain, Display, Paragraph, Section
from symbackprop.layout.size_sentences import OF_LAYER, misleading, size_by_layer, size_sentences
from symbackprop.layout.writer import Claim, Writer, free_of
from symbackprop.printing.latex import latex
from symbackprop.printing.symbols import function_name, layer_argument

DEEPEST_COMPOSITE = 4
"""Up to so many layers the cost is printed as one expression."""


def index_sections(writer: Writer) -> Iterator[Section]:
    """The sections of the index form, or of the general one where the depth is a symbol."""
    headings = writer.words.headings
    last = writer.model.last_layer
    on_the_way = [a for a in writer.derived_adjoints if not _is_gradient(a)]
    output = [a for a in on_the_way if a.of.layer == last]
    hidden = [a for a in on_the_way if a.of.layer != last]
    yield Section(headings["network"], tuple(_network(writer)))
    if scalar_functions(writer.model):
        yield Section(headings["activation"], tuple(_activations(writer.unlinked)))
    yield Section(headings["cost"], tuple(_cost(writer)))
    sentence = Paragraph(writer.say("delta", layer=layer_argument(last, writer.names)))
    backward = [Section(headings["output_delta"], (sentence, *_deltas(writer, output)))]
    if hidden:
        heading = "general_delta" if writer.model.symbolic_depth else "hidden_delta"
        why = Paragraph(writer.say("hidden"))
        backward.append(Section(headings[heading], (why, *_deltas(writer, hidden))))
    backward.append(Section(headings["gradients"], tuple(_gradients(writer))))
    composite = writer.derivation.route == "composite" and not writer.model.symbolic_depth
    yield from [backward[-1], *backward[:-1]] if composite else backward
    yield Section(headings["batch"], tuple(_batch(writer)))


def _is_gradient(adjoint: Adjoint) -> bool:
    return adjoint.named is not None and adjoint.named.role is Role.GRADIENT


# --- forward ---------------------------------------------------------------------------------------


def _network(writer: Writer) -> Iterator[Block]:
    """The forward equations, with a sentence for layers that are like one that is shown."""
    yield Paragraph(" ".join([*_conventions(writer), *size_sentences(writer)]))
    yield Display(tuple(writer.definition(equation) for equation in writer.shown_layers))
    for group in writer.layer_groups:
        first, *others = (f"${layer_argument(layer, writer.names)}$" for layer in group)
        if others:
            key = "like_one" if len(others) == 1 else "like"
            yield Paragraph(writer.say(key, first=others[0], last_like=others[-1], layer=first))


def _conventions(writer: Writer) -> Iterator[str]:
    """What the symbols are, and what is special about the notation."""
    notation = writer.names.notation
    if writer.model.symbolic_depth:
        starts = "" if notation.input_is_activation else writer.say("starts")
        yield writer.say("general_network", starts=starts, size=size_by_layer(writer, OF_LAYER))
    elif misleading(writer.model):
        yield writer.say("network_named")
    else:
        yield writer.say("network")
    if notation.index.start == 0:
        yield writer.say("counted_from_zero")
    if notation.bias_folded and any(layer.bias for layer in writer.model.network.layers):
        yield writer.say("folded")


def _activations(writer: Writer) -> Iterator[Block]:
    """Each activation's formula and its derivative."""
    for function in scalar_functions(writer.model):
        name = function_name(function.letter, 0, writer.names)
        if function.formula is None:
            slope = function_name(function.letter, 1, writer.names)
            yield Paragraph(writer.say("activation_open", name=name, prime=slope))
            continue
        yield Paragraph(writer.say("activation", name=name))
        claim = Claim(f"f-{function.letter}", kind=f"function {function.letter}", definition=True)
        below = _slope(writer, function)
        widest = max((row.reason for row in below.rows), key=len)
        yield Display((writer.chain(function(Z), function.formula, claim, beside=widest), below))
        yield from at_kinks(writer, function)


def _slope(writer: Writer, function: ScalarFunction) -> Chain:
    """The derivative of an activation, from its formula, and in terms of its value if there is a way."""
    slope, raw = prime(function)(Z), derivative(function.formula, Z)
    claim = Claim(f"df-{function.letter}", kind=f"function {function.letter}")
    left = latex(slope, writer.names)
    form = derivative_from_output(function.formula)
    again = form is not None and form.has(OUTPUT)
    sides = [(raw, "differentiate")]
    if form is not None and again:
        put_in = _with_exponential_put_in(function, raw)
        sides += [(put_in, "exponential"), (form, "multiply_out")] if put_in else [(form, "elimination")]
    widest = max((writer.words.reason(rule) for _, rule in sides), key=len)
    rows, before = [], slope
    for number, (side, rule) in enumerate(sides, 1):
        after = side.xreplace({OUTPUT: function(Z)})
        here = replace(claim, label=f"{claim.label}, step {number}") if number > 1 else claim
        reason = writer.words.reason(rule)
        rows.append(writer.row(left, (before, after), here, reason, beside=widest if again else ""))
        before = after
    return Chain(left, tuple(rows), claim.label)


def _with_exponential_put_in(function: ScalarFunction, slope: sp.Expr) -> sp.Expr | None:
    """A derivative with the exponential in it put in from the value of the activation, if that can be."""
    found = exponential_from_output(function.formula)
    if found is None or slope.atoms(sp.exp) != {found[0]}:
        return None
    exponential, value = found
    return slope.xreplace({exponential: value})


def _cost(writer: Writer) -> Iterator[Block]:
    """The cost of one example, and written out as one expression."""
    model = writer.model
    equation = model.program.definitions[model.cost.name]
    yield Paragraph(writer.say("cost"))
    yield Display((writer.definition(equation),))
    yield from at_kinks_of_cost(writer, equation)
    depth = len(model.network.layers)
    if not model.symbolic_depth and depth <= DEEPEST_COMPOSITE:
        parts = tuple(composite_in_parts(writer.unlinked))
        yield Paragraph(writer.say("composite" if len(parts) == 1 else "composite_parts"))
        yield Display(parts)
    elif not model.symbolic_depth:
        yield Paragraph(writer.say("composite_long", depth=str(depth)))
    for fact in model.facts:
        stated = f"{writer.tex(fact.left)} = {writer.tex(fact.right)}"
        yield Paragraph(writer.say("fact", fact=stated))


def composite_in_parts(writer: Writer) -> Iterator[Chain]:
    """The cost written out on one line; where it is too long, with names for its parts, each written out."""
    program = writer.model.program
    inner = [e for e in program if e.quantity.role is Role.PRE_ACTIVATION]
    goal, label = program.definitions[writer.model.cost.name], "composite"
    while True:
        claim = Claim(label, free_of(goal))
        found: list[tuple[Chain, Equation]] = []
        for part in (goal, *inner):
            kept = (part.quantity.name,) if part is not goal else ()
            written_out = compose(program, goal.quantity.name, kept)
            found.append((writer.chain(goal.lhs, written_out, claim), part))
            if _lines_of(found[-1]) == 1:
                break
        chain, part = min(found, key=_lines_of)
        yield chain
        if part is goal:
            return
        inner, goal, label = inner[: inner.index(part)], part, f"composite-{part.label}"


def _lines_of(written: tuple[Chain, Equation]) -> int:
    """How many lines a quantity takes that is written out."""
    return len(written[0].rows[0].lines)


# --- backward --------------------------------------------------------------------------------------


def _adjoint(writer: Writer, adjoint: Adjoint) -> Chain:
    """The derivation of one derivative; given by its result where it repeats another, but for the input's."""
    derivation = adjoint.derivation
    assert derivation is not None
    label = adjoint.equation.label if adjoint.named is not None else f"dC-d{adjoint.of.name}"
    claim = Claim(label, tuple(zip(adjoint.indices, adjoint.of.dims, strict=True)))
    unnamed = adjoint.named is None or _is_gradient(adjoint)
    entry = derivation.goal if unnamed or adjoint.named is None else adjoint.named[adjoint.indices]
    before = writer.told_before.get(adjoint.of)
    if before is None or adjoint.of.role is Role.INPUT:
        return writer.derived(entry, derivation, claim, adjoint.named is not None)
    reason = writer.words.reason("renamed", layer=f"${layer_argument(before.of.layer, writer.names)}$")
    return writer.chain(entry, derivation.result, claim, reason, derivation.facts, adjoint.named is not None)


def _deltas(writer: Writer, adjoints: Sequence[Adjoint]) -> Iterator[Display]:
    """Derivatives on the way back; of activations that only served a delta, each kind is shown once."""
    for adjoint in adjoints:
        if adjoint.named is not None or adjoint.of not in writer.told_before:
            yield Display((_adjoint(writer, adjoint),))


def _gradients(writer: Writer) -> Iterator[Block]:
    """The derivatives with respect to parameters, of the cost of one example."""
    gradients = [adjoint for adjoint in writer.derived_adjoints if _is_gradient(adjoint)]
    found = [adjoint for adjoint in gradients if adjoint.of.role is not Role.INPUT]
    repeated = [adjoint for adjoint in found if adjoint.of in writer.told_before]
    composite = writer.derivation.route == "composite" and not writer.model.symbolic_depth
    yield Paragraph(writer.say("gradients_composite" if composite else "gradients"))
    yield from (Display((_adjoint(writer, adjoint),)) for adjoint in found if adjoint not in repeated)
    if repeated:
        yield Display(tuple(_adjoint(writer, adjoint) for adjoint in repeated))
    yield from _by_input(writer)


def _by_input(writer: Writer) -> Iterator[Block]:
    """The derivative of the cost of one example with respect to the input, where it was asked for."""
    for adjoint in writer.derived_adjoints:
        if adjoint.of.role is Role.INPUT:
            yield Paragraph(writer.say("by_input", first=layer_argument(FIRST, writer.names)))
            yield Display((_adjoint(writer, adjoint),))


def input_section(writer: Writer) -> Iterator[Section]:
    """The derivatives with respect to the input alone, for a text that has no place for them."""
    blocks = list(_by_input(writer))
    if blocks and writer.model.symbolic_depth:
        first = next(e for e in writer.model.program if e.quantity.layer == FIRST)
        blocks.insert(1, Display((writer.definition(first),)))
    for gradient in writer.derivation.batch.gradients:
        if blocks and gradient.quantity.of is not None and gradient.quantity.of.role is Role.INPUT:
            blocks += [Paragraph(writer.say("by_input_total")), Display((_total_gradient(writer, gradient),))]
    if blocks:
        yield Section(writer.words.headings["by_input"], tuple(blocks))


def _batch(writer: Writer) -> Iterator[Block]:
    """The total cost and its gradients: in full for the first layer, the results for the others."""
    model, words = writer.model, writer.words
    how = words.texts[f"batch_{model.network.cost.examples}"]
    penalty = words.texts["batch_penalty"] if model.network.penalty is not None else ""
    yield Paragraph(writer.say("batch", how=how, penalty=penalty))
    yield Display(tuple(writer.definition(equation, "batch") for equation in model.total))
    shown: set[str] = set()
    results = []
    for gradient in writer.derivation.batch.gradients:
        letter = "" if gradient.quantity.of is None else gradient.quantity.of.letter
        if letter not in shown:
            yield Display((_total_gradient(writer, gradient),))
        else:
            goal, value, claim = gradient.derivation.goal, gradient.derivation.result, _of_total(gradient)
            results.append(writer.chain(goal, value, claim, words.reason("likewise"), result=True))
        shown.add(letter)
    if results:
        yield Display(tuple(results))


def _total_gradient(writer: Writer, gradient: TotalGradient) -> Chain:
    """A gradient of the cost of all examples, step by step."""
    derivation = gradient.derivation
    return writer.derived(derivation.goal, derivation, _of_total(gradient), result=True)


def _of_total(gradient: TotalGradient) -> Claim:
    free = tuple(zip(gradient.indices, gradient.quantity.dims, strict=True))
    return Claim(gradient.equation.label, free, "batch")
