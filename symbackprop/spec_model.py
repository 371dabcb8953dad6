"""The tables of a spec: which keys there are, and which kind of value each takes.

Structure only: pydantic looks at every key and reports everything that is wrong at once. What the
values mean, and whether they fit each other, is looked at in :mod:`symbackprop.spec_checks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError

from symbackprop.mistakes import ABSENT, Mistakes, Place
from symbackprop.names import did_you_mean, nearest


def _one_of(*kinds: type) -> PlainValidator:
    """A value of exactly one of these kinds: true is no number, and a number is no string."""

    def check(value: Any) -> Any:
        if type(value) not in kinds and not (Mapping in kinds and isinstance(value, Mapping)):
            raise ValueError
        return value

    return PlainValidator(check)


_Number = Annotated[Any, _one_of(int, float)]
_Size = Annotated[Any, _one_of(int, str)]
_Factor = Annotated[Any, _one_of(int, float, str)]
Table = Annotated[Any, _one_of(Mapping)]
List = Annotated[Any, _one_of(list, tuple)]
Text = Annotated[Any, _one_of(str)]
Flag = Annotated[Any, _one_of(bool)]

_SIZE = 'a size is a whole number from 1 up, or a symbol\'s name such as "n_1"'
_FACTOR = 'a factor is a number or a string such as "1/2" or "lambda/(2*N)"'


class Model(BaseModel):
    """A table of a spec: each field's description says what is right there."""

    model_config = ConfigDict(strict=True, extra="forbid")


class SpecTable(Model):
    """The whole spec."""

    name: Text = Field(description='a name for the output files, such as name = "two-two-two"')
    title: Text = Field(None, description='a title is text in quotes, such as "A 2-2-2 network"')
    depth: Text = Field(
        None, description='depth is a symbol such as "L"; for a number of layers write as many [[layers]]'
    )
    input: Table = Field(description="a table [input] with the size of the input, such as size = 2")
    layers: List = Field(description="a table [[layers]] for each layer, with size and activation")
    cost: Table = Field(description='a table [cost] with kind, such as kind = "squared_error"')
    penalty: Table = Field(None, description='a table [penalty] with l2, such as l2 = "lambda/(2*N)"')
    facts: Table = Field(None, description="a table [facts] with targets_sum_to_one = true")
    values: Table = Field(None, description="a table [values] with numbers for x, y, W1, b1 and so on")

    remarks: List = Field((), description="a table [[remarks]] for each remark, with at and text")


class RemarkTable(Model):
    """One of ``[[remarks]]``"""

    at: Text = Field(description='a label such as "delta-1", behind whose formula the remark stands')
    text: Text = Field(description="a remark is a sentence or two in quotes")


class InputTable(Model):
    """``[input]``"""

    size: _Size = Field(description=_SIZE)


class LayerTable(Model):
    """``[[layers]]``"""

    kind: Literal["dense"] = Field("dense", description="the kind of a layer is dense")
    size: _Size = Field(description=_SIZE)
    activation: Annotated[Any, _one_of(str, Mapping)] = Field(
        description='a name such as "sigmoid", a { formula = "z/(1+exp(-z))" }, or a { symbol = "g" }'
    )
    bias: Flag = Field(True, description="bias is true or false")


class ActivationTable(Model):
    """An activation that is not a name."""

    formula: Text = Field(None, description='a formula is text in quotes, such as "z/(1+exp(-z))"')
    symbol: Text = Field(None, description='a symbol is a name in quotes, such as "g"')
    name: Text = Field(None, description='the name of a formula is a name in quotes, such as "swish"')


class CostTable(Model):
    """``[cost]``"""

    kind: Text = Field(None, description='the kind of a cost is a name in quotes, such as "squared_error"')
    formula: Text = Field(None, description='a formula is text in quotes, such as "(a - y)**2"')
    scale: _Factor = Field(1, description=_FACTOR)
    outputs: Literal["sum", "mean"] = Field("sum", description="over the outputs a cost is a sum or a mean")
    examples: Literal["mean", "sum"] = Field(
        "mean", description="over the examples a cost is a mean or a sum"
    )


class PenaltyTable(Model):
    """``[penalty]``"""

    l2: _Factor = Field(description=_FACTOR)


class FactsTable(Model):
    """``[facts]``"""

    targets_sum_to_one: Flag = Field(False, description="a fact is true or false")


def good_fields(model: type[Model], data: object, place: Place, mistakes: Mistakes) -> dict[str, Any]:
    """The fields of a table that are structurally right, with defaults; mistakes go to ``mistakes``.

    >>> found = Mistakes()
    >>> good_fields(InputTable, {"size": 2, "sise": 3}, ("input",), found)
    {'size': 2}
    >>> print(*found.problems({}))
    input.sise: 3: the key sise is not known here; did you mean size?
    """
    if not isinstance(data, Mapping):
        mistakes.add(place, data, "this is a table with keys")
        return {}
    defaults = {name: field.default for name, field in model.model_fields.items() if not field.is_required()}
    details = _error_details(model, dict(data))
    misspelt = {meant(key, model) for key in data}
    for key, kind, given in details:
        if kind != "missing" or key not in misspelt:
            mistakes.add((*place, key), given, _wanted(model, key, kind, given))
    bad = {key for key, _, _ in details}
    given_fields = {key: value for key, value in data.items() if key in model.model_fields}
    return {key: value for key, value in {**defaults, **given_fields}.items() if key not in bad}


def meant(key: object, model: type[Model]) -> str | None:
    """The key of a table that an unknown key was probably meant to be."""
    return None if key in model.model_fields else nearest(str(key), model.model_fields)


def _error_details(model: type[Model], data: dict[str, Any]) -> list[tuple[str, str, object]]:
    """What pydantic finds: the key, the kind of error, and what was given."""
    try:
        model.model_validate(data)
    except ValidationError as error:
        return [
            (
                str(detail["loc"][0]),
                detail["type"],
                ABSENT if detail["type"] == "missing" else detail["input"],
            )
            for detail in error.errors(include_url=False, include_context=False)
        ]
    return []


def _wanted(model: type[Model], key: str, problem: str, given: object) -> str:
    if problem in ("extra_forbidden", "invalid_key"):
        hint = did_you_mean(key, model.model_fields) or f"; known are {', '.join(model.model_fields)}"
        return f"the key {key[:40]} is not known here{hint}" if key.isprintable() else f"an unknown key{hint}"
    description = model.model_fields[key].description or ""
    if problem == "missing":
        return f"missing: {description}"
    choices = get_args(model.model_fields[key].annotation)
    return description + (did_you_mean(given, choices) if isinstance(given, str) and choices else "")
