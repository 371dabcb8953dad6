"""The worked example: published numbers, an independent route for each number, and wrong ones found out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symbackprop as sb
from symbackprop.algebra.equations import Partial
from symbackprop.errors import FormRefused, SpecError, SymbackpropError
from symbackprop.layout.document import Chain, Display, Document
from symbackprop.layout.worked import worked_example
from symbackprop.layout.worked_form import worked_laboratories
from symbackprop.layout.writer import Writer
from symbackprop.printing.rounding import Rounded, rounded

EXAMPLES = Path(__file__).parent.parent / "examples"

PUBLISHED = {
    "worked-a-1-1": "0.593269992",
    "worked-a-1-2": "0.596884378",
    "worked-z-2-1": "1.105905967",
    "worked-z-2-2": "1.224921404",
    "worked-a-2-1": "0.75136507",
    "worked-a-2-2": "0.772928465",
    "worked-cost": "0.298371109",
    "worked-dW-2-1-1": "0.082167041",
    "worked-dW-1-1-1": "0.000438568",
    "worked-new-W-2-1-1": "0.35891648",
    "worked-new-W-2-1-2": "0.408666186",
    "worked-new-W-2-2-1": "0.51130127",
    "worked-new-W-2-2-2": "0.561370121",
    "worked-new-W-1-1-1": "0.149780716",
    "worked-new-W-1-1-2": "0.19956143",
    "worked-new-W-1-2-1": "0.24975114",
    "worked-new-W-1-2-2": "0.29950229",
}
"""What Matt Mazur's "A Step by Step Backpropagation Example" prints, but for one that is wrong."""


@cache
def document(name: str = "two-two-two", digits: int = 9) -> Document:
    return sb.derive(sb.load(EXAMPLES / f"{name}.toml")).document(forms=("worked",), digits=digits)


def chains(document: Document) -> dict[str, Chain]:
    blocks = [block for section in document.sections for block in section.blocks]
    return {chain.label: chain for block in blocks if isinstance(block, Display) for chain in block.chains}


def results(document: Document) -> dict[str, str]:
    """The number at the end of each line, by its label."""
    return {label: chain.rows[-1].lines[-1] for label, chain in chains(document).items()}


def network(
    *layers: tuple[int, Any], values: dict[str, Any], cost: Any = "squared_error", **rest: Any
) -> sb.Network:
    inputs = len(values["x"][0]) if "x" in values else 1
    return sb.from_mapping(
        {
            "name": "t",
            "input": {"size": inputs},
            "layers": [{"size": size, "activation": activation} for size, activation in layers],
            "cost": {"kind": cost} if isinstance(cost, str) else cost,
            "values": values,
            **rest,
        }
    )


# --- the 2-2-2 example ---------------------------------------------------------------------------


def test_the_numbers_are_those_that_were_published() -> None:
    found = results(document())
    for label, printed in PUBLISHED.items():
        half = Fraction(1, 2 * 10 ** len(printed.partition(".")[2]))
        assert abs(Fraction(found[label]) - Fraction(printed)) <= half + Fraction(1, 2 * 10**9), label


def test_the_costs_after_the_step_are_right_and_the_published_one_is_remarked_on() -> None:
    found, text = results(document()), document().to_latex()
    assert found["worked-new-cost"] == "0.280471447"
    assert found["worked-new-cost-unchanged"] == "0.291027774"
    assert "0.291027924" not in found.values()
    after = text[text.index("worked-new-cost-unchanged") :]
    assert re.search(r"The article prints 0\.291027924 here, .* before it worked out the deltas", after)


def test_every_line_is_there_in_symbols_in_numbers_and_evaluated() -> None:
    delta = chains(document())["worked-delta-1-1"]
    assert [" ".join(row.lines).replace("{} ", "") for row in delta.rows] == [
        r"(\sbpweight{2}{1}{1} \sbpdelta{2}{1} + \sbpweight{2}{2}{1} \sbpdelta{2}{2}) "
        r"\sbpact{1}{1} (1 - \sbpact{1}{1})",
        r"(0.4 \cdot 0.138498562 + 0.5 \cdot (-0.038098237)) \cdot 0.593269992 (1 - 0.593269992)",
        "0.008771355",
    ]
    assert [row.sign for row in delta.rows] == ["=", r"\approx", r"\approx"]


def test_only_what_was_rounded_says_so() -> None:
    z = chains(document())["worked-z-1-1"]
    assert [(row.sign, row.lines) for row in z.rows[1:]] == [
        ("=", (r"0.15 \cdot 0.05 + 0.2 \cdot 0.1 + 0.35",)),
        ("=", ("0.3775",)),
    ]
    for chain in chains(document()).values():
        for row in chain.rows:
            numbers = row.equality.right.atoms(Rounded) if row.equality is not None else set()
            assert (row.sign == r"\approx") == any(not number.exact for number in numbers)


def test_the_update_takes_the_place_of_the_old_value() -> None:
    rows = chains(document())["worked-new-W-1-1-1"].rows
    assert [row.sign for row in rows] == [r"\leftarrow", r"\approx", r"\approx"]
    assert rows[1].lines == (r"0.15 - 0.5 \cdot 0.000438568",) and rows[2].lines == ("0.149780716",)


@pytest.mark.parametrize("digits", [2, 4, 12, 30])
def test_digits_can_be_chosen(digits: int) -> None:
    shown = document(digits=digits)
    assert shown.certificate.holds
    number = results(shown)["worked-a-1-1"]
    assert len(number.partition(".")[2]) == digits
    assert abs(Fraction(number) - Fraction("0.593269992107187")) <= Fraction(1, 10 ** min(digits, 14))


@pytest.mark.parametrize("digits", [0, 31, -1])
def test_digits_that_cannot_be_kept_are_refused(digits: int) -> None:
    with pytest.raises(SymbackpropError, match="1 to 30 decimals"):
        document(digits=digits)


# --- other networks ------------------------------------------------------------------------------

TWO = {"x": [[0.5, -1.5], [2.0, 0.25]], "learning_rate": 0.1}
HIDDEN = {"W1": [[0.2, -0.4], [0.75, 0.1], [-0.3, 0.6]], "b1": [0.1, -0.2, 0.3]}
TWO_OUT = {"W2": [[0.3, -0.1, 0.8], [0.5, 0.4, -0.6]], "b2": [0.05, -0.15]}
ONE_OUT = {"W2": [[0.3, -0.1, 0.8]], "b2": [0.05]}

NETWORKS: dict[str, Callable[[], sb.Network]] = {
    "relu": lambda: network(
        (3, "relu"), (2, "linear"), values={**TWO, **HIDDEN, **TWO_OUT, "y": [[1.0, 0.0], [0.3, -2.0]]}
    ),
    "softmax": lambda: network(
        (3, "tanh"),
        (2, "softmax"),
        values={**TWO, **HIDDEN, **TWO_OUT, "y": [[1.0, 0.0], [0.25, 0.75]]},
        cost="cross_entropy",
        facts={"targets_sum_to_one": True},
    ),
    "bce with a penalty": lambda: network(
        (3, "sigmoid"),
        (1, "sigmoid"),
        values={**TWO, **HIDDEN, **ONE_OUT, "y": [[1.0], [0.0]], "lambda": 0.01},
        cost={"kind": "binary_cross_entropy", "examples": "sum"},
        penalty={"l2": "lambda/(2*N)"},
    ),
    "one example with a penalty": lambda: network(
        (3, "leaky_relu"),
        (1, "linear"),
        values={"x": [[0.5, -1.5]], "y": [[1.0]], **HIDDEN, **ONE_OUT, "learning_rate": 0.01},
        cost={"kind": "huber", "scale": "1/3"},
        penalty={"l2": "1/200"},
    ),
}


@cache
def derived(name: str) -> Any:
    return sb.derive(NETWORKS[name]())


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_number_of_any_tiny_network_is_right(name: str) -> None:
    """The numbers that are printed, against the generated code in double precision."""
    derivation = derived(name)
    shown = derivation.document(forms=("worked",), digits=8)
    assert shown.certificate.holds, [f.label for f in shown.certificate.findings if not f.holds]
    values, module = derivation.network.values, derivation.compile()
    parameters = {key: np.array(numbers) for key, numbers in values.parameters}
    x, y = np.array(values.x), np.array(values.y)
    symbols = {f"{name}_": number for name, number in values.symbols}
    cost, gradients = module.cost_and_gradients(parameters, x, y, **symbols)
    moved = {key: parameters[key] - values.learning_rate * gradients[key] for key in parameters}
    found = results(shown)
    assert float(found["worked-total-cost"]) == pytest.approx(cost, abs=1e-8)
    assert float(found["worked-new-cost"]) == pytest.approx(module.cost(moved, x, y, **symbols), abs=1e-8)
    for key in parameters:
        for at, slope in np.ndenumerate(gradients[key]):
            place = f"{key[0]}-{key[1:]}-" + "-".join(str(i + 1) for i in at)
            assert float(found[f"worked-grad-{place}"]) == pytest.approx(slope, abs=1e-8)
            assert float(found[f"worked-new-{place}"]) == pytest.approx(moved[key][at], abs=1e-8)


def test_examples_come_one_by_one_and_then_together() -> None:
    shown = derived("relu").document(forms=("worked",))
    headings = [section.heading for section in shown.sections]
    assert headings == [
        "A worked example",
        "Example 1: Forward pass",
        "Example 1: Backward pass",
        "Example 2: Forward pass",
        "Example 2: Backward pass",
        "All examples together",
        "One step of gradient descent",
        "The cost after the step",
    ]
    (symbols, numbers, _) = chains(shown)["worked-grad-b-2-1"].rows
    assert symbols.lines[0].startswith(r"\frac{1}{2} \biggl(\sbppartial{\sbpcostof{1}}{\sbpbias{2}{1}} + ")
    assert re.fullmatch(r"\\frac\{1\}\{2\} \(.*\)", numbers.lines[0])


def test_without_a_learning_rate_there_is_no_step() -> None:
    values = {"x": [[0.5]], "y": [[1.0]], "W1": [[0.3]], "b1": [0.1]}
    shown = sb.derive(network((1, "tanh"), values=values)).document(forms=("worked",))
    assert shown.certificate.holds
    assert [section.heading for section in shown.sections][-1] == "Backward pass"


# --- what can't be worked through ----------------------------------------------------------------

FULL = {"x": [[0.5]], "y": [[1.0]], "W1": [[0.3]], "b1": [0.1], "learning_rate": 0.1}


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        (lambda: sb.load("2-1"), "these have no numbers: x, y, W1, b1: give them in"),
        (lambda: sb.load(EXAMPLES / "any-depth.toml"), "the depth is a symbol"),
        (
            lambda: network((1, {"symbol": "g"}), values=FULL),
            "the activation g is left open, so it has no values",
        ),
        (
            lambda: network((1, "tanh"), values=FULL, cost={"kind": "squared_error", "scale": "mu"}),
            "these have no numbers: mu: give",
        ),
        (
            lambda: network(
                (3, "softmax"),
                values={
                    "x": [[1.0]],
                    "y": [[0.3333333, 0.3333333, 0.3333333]],
                    "W1": [[0.1], [0.2], [0.3]],
                    "b1": [0.0, 0.0, 0.0],
                },
                cost="cross_entropy",
                facts={"targets_sum_to_one": True},
            ),
            "targets sum to one, and those of example 1 sum to 0.9999999",
        ),
        (
            lambda: network((1, "linear"), values={**FULL, "x": [[0.5]] * 11, "y": [[1.0]] * 11}),
            "11 examples would be worked through one by one",
        ),
        (
            lambda: network(
                (1, "linear"),
                values={**FULL, "x": [[1.0] * 70], "W1": [[0.1] * 70]},
            ),
            "each of 71 entries of parameters would have lines",
        ),
    ],
)
def test_what_has_no_numbers_is_refused_by_name(net: Callable[[], sb.Network], reason: str) -> None:
    with pytest.raises(FormRefused, match=f"form: worked: .*{reason}"):
        sb.derive(net()).document(forms=("worked",))


def test_mistakes_in_what_is_said_about_the_example_are_reported() -> None:
    with pytest.raises(SpecError) as caught:
        network(
            (1, "tanh"),
            values={**FULL, "unchanged": ["b2"]},
            remarks=[{"at": 3, "text": "t"}, {"text": "\x07", "at": "cost"}],
        )
    message = str(caught.value)
    assert "values.unchanged" in message and "'b2': this is no parameter: there are W1, b1" in message
    assert "remarks" in message and "a remark has no control characters" in message


def test_a_remark_is_free_text() -> None:
    remark = {"at": "cost", "text": r"50% of \input{/etc/passwd} & $x$"}
    text = sb.derive(network((1, "tanh"), values=FULL, remarks=[remark])).to_latex(form="index")
    assert r"50\% of \textbackslash{}input" in text and r"\$x\$" in text


# --- wrong numbers -------------------------------------------------------------------------------


def wrong(number: Rounded) -> list[Rounded]:
    """The number with another last digit, with the wrong sign, and one that claims not to be rounded."""
    entry, value, places, exact, exponent = number.args
    step = sp.Rational(1, 10 ** int(places))
    found = [Rounded(entry, value + step, places, exact, exponent)]
    found += [Rounded(entry, -value, places, exact, exponent)] if value else []
    return found if number.exact else [*found, Rounded(entry, value, places, True, exponent)]


def test_every_wrong_number_is_caught() -> None:
    derivation = sb.derive(sb.load(EXAMPLES / "two-two-two.toml"))
    shown = document()
    writer = Writer(derivation, None)  # type: ignore[arg-type]
    laboratories = worked_laboratories(writer.worked)
    tried = 0
    for finding in shown.certificate.findings:
        equality = finding.equality
        for number in sorted(equality.right.atoms(Rounded), key=str):
            for other in wrong(number):
                changed = replace(equality, right=equality.right.xreplace({number: other}))
                assert not laboratories[equality.kind].check(changed).holds, changed
                tried += 1
    assert tried > 300


def test_a_wrong_formula_is_caught_though_its_number_is_that_of_the_formula() -> None:
    """Derivatives are checked against small moves in the forward equations, not against formulas."""
    derivation = sb.derive(sb.load(EXAMPLES / "two-two-two.toml"))
    adjoints = []
    for adjoint in derivation.adjoints:
        if adjoint.named is not None and adjoint.named.name == "delta1":
            steps = adjoint.derivation.steps
            bad = replace(steps[-1], after=2 * steps[-1].after)
            adjoint = replace(adjoint, derivation=replace(adjoint.derivation, steps=(*steps[:-1], bad)))
        adjoints.append(adjoint)
    shown = replace(derivation, adjoints=tuple(adjoints)).document(forms=("worked",))
    failed = {f.label for f in shown.certificate.findings if not f.holds}
    assert {"worked-delta-1-1, step 1", "worked-delta-1-1, step 2", "worked-delta-1-1"} <= failed
    assert "worked-delta-2-1" not in failed
    assert r"\sbpfailed" in shown.to_latex()


@pytest.mark.parametrize(
    ("value", "digits", "printed", "exact"),
    [
        (Fraction(1, 3), 4, "0.3333", False),
        (Fraction(2, 3), 4, "0.6667", False),
        (Fraction(3, 8), 4, "0.375", True),
        (Fraction(0), 4, "0", True),
        (Fraction(-7), 4, "-7", True),
        (Fraction(99999, 100000), 3, "1.000", False),
        (Fraction(1, 3) / 10**7, 9, r"3.3333 \cdot 10^{-8}", False),
        (Fraction(-1, 10**7), 9, r"-1 \cdot 10^{-7}", True),
        (Fraction(12345678, 10), 2, "1234567.8", True),
        (Fraction(999999, 10**12), 9, r"1.0000 \cdot 10^{-6}", False),
    ],
)
def test_numbers_are_rounded_as_on_paper(value: Fraction, digits: int, printed: str, exact: bool) -> None:
    number = rounded(value, digits)
    assert (number.latex, number.exact) == (printed, exact)
    assert abs(number.number - value) <= number.tolerance


@pytest.mark.parametrize(
    ("net", "entry", "slopes"),
    [
        (lambda: network((1, "relu"), values={**FULL, "W1": [[-0.2]]}), r"\sbpact{1}{1}", (0, 0)),
        (lambda: network((1, "linear"), values={**FULL, "W1": [[1.8]]}, cost="absolute_error"), None, (0, 0)),
        (
            lambda: network((1, "leaky_relu"), values={**FULL, "W1": [[-0.2]]}),
            r"\sbpact{1}{1}",
            None,
        ),
    ],
)
def test_at_a_kink_the_slope_is_that_of_the_formula_there_and_a_line_says_so(net, entry, slopes):
    """The code agrees, and so does the check, which knows no rule of differentiation."""
    derivation = sb.derive(net())
    document = derivation.document(forms=("worked",))
    assert document.certificate.holds
    said = [b.text for s in document.sections for b in s.blocks if "branches meet" in getattr(b, "text", "")]
    assert len(said) == 1 and (entry is None or entry in said[0])
    worked = worked_example(derivation)
    values = derivation.network.values
    arrays = {name: np.array(numbers) for name, numbers in values.parameters}
    _, gradients = derivation.compile().cost_and_gradients(arrays, np.array(values.x), np.array(values.y))
    for parameter, symbol in worked.entries():
        key = tuple(int(index) - 1 for index in symbol.indices)
        slope = float(worked.whole.value(Partial(worked.cost.symbol, symbol)))
        assert slope == pytest.approx(gradients[parameter.name][key], abs=1e-12)
        assert slopes is None or slope == 0
