"""Symbols of a spec beside the letters of a notation: a letter that would mean two things is refused."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

import symbackprop as sb
from symbackprop.errors import SpecError
from symbackprop.forward.model import Model
from symbackprop.layout.letter_clashes import check_letters, letter_clashes
from symbackprop.notation.notation import load_notation, notation_from, shipped

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.toml"))


@cache
def model(example: Path) -> Model:
    return sb.forward_model(sb.load(str(example)))


def spec(activation: object = "sigmoid", size: object = 2, **more: object) -> Model:
    layers = [{"size": size, "activation": activation}, {"size": 1, "activation": "sigmoid"}]
    tables = {"name": "net", "input": {"size": 2}, "layers": layers, "cost": {"kind": "squared_error"}}
    return sb.forward_model(sb.from_mapping({**tables, **more}))


def scaled(factor: str) -> dict[str, str]:
    return {"kind": "squared_error", "scale": factor}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("notation", shipped())
def test_no_example_clashes_with_a_notation(example: Path, notation: str) -> None:
    assert list(letter_clashes(model(example), load_notation(notation))) == []


@pytest.mark.parametrize(
    ("made", "notation", "what", "meaning"),
    [
        (spec({"symbol": "h"}), "cs231n", "the activation h", "writes the activation as h"),
        (spec({"symbol": "h"}), "goodfellow", "the activation h", "writes the activation as h"),
        (spec({"symbol": "f"}), "computation-graph", "the activation f", "writes the output as f"),
        (spec({"symbol": "eta"}), "nielsen", "the activation eta", r"writes the learning rate as \eta"),
        (spec({"symbol": "n"}), "nielsen", "the activation n", "writes the size of a layer as n"),
        (spec({"symbol": "m"}), "nielsen", "the activation m", "writes the index m as m"),
        (spec(cost=scaled("alpha")), "deeplearning-ai", "the symbol alpha", r"the learning rate as \alpha"),
        (spec(cost=scaled("epsilon")), "goodfellow", "the symbol epsilon", r"learning rate as \epsilon"),
        (spec(size="h"), "cs231n", "the size h", "writes the activation as h"),
        (spec(size="m"), "brilliant", "the size m", "writes the output layer as m"),
        (spec(size="h_1"), "cs231n", "the size h_1", "writes the activation as h_{1}"),
        (spec("tanh", "n_1", depth="m", input={"size": "n_0"}), "goodfellow", "", ""),
        (spec(depth="h"), "cs231n", "the depth h", "writes the activation as h"),
        (spec(penalty={"l2": "alpha/2"}), "computation-graph", "the symbol alpha", r"rate as \alpha"),
    ],
)  # fmt: skip
def test_a_letter_that_would_mean_two_things_is_refused(
    made: Model, notation: str, what: str, meaning: str
) -> None:
    if not what:
        check_letters(made, load_notation(notation))
        return
    with pytest.raises(SpecError) as refused:
        check_letters(made, load_notation(notation))
    assert f"net: {what}: the notation {notation}" in str(refused.value) and meaning in str(refused.value)


def test_a_notation_of_one_s_own_is_looked_at_too() -> None:
    mine = notation_from("mine", {"description": "mine", "like": "nielsen", "entry": {"delta": "g"}})
    with pytest.raises(SpecError, match="the activation g: the notation mine writes delta, the error as g"):
        check_letters(spec({"symbol": "g"}), mine)
    check_letters(spec({"symbol": "g"}), load_notation("nielsen"))


def test_every_clash_is_reported_at_once() -> None:
    made = spec(size="m", cost=scaled("alpha"), penalty={"l2": "epsilon"})
    mine = {"description": "mine", "like": "deeplearning-ai", "letter": {"penalty": r"\epsilon"}}
    found = [what for what, _, _ in letter_clashes(made, notation_from("mine", mine))]
    assert found == ["the symbol alpha", "the symbol epsilon", "the size m"]
