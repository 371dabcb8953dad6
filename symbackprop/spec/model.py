"""The tables of a spec: which keys there are, and which kind of value each takes.

Structure only. What the values mean, and whether they fit each other, is looked at in
:mod:`symbackprop.spec.checks`.
"""

# Annotations are looked at here, so they are no strings: no import of them from the future.

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from symbackprop.tables.fields import Field, Flag, List, Model, Table, Text, one_of

_Size = Annotated[Any, one_of(int, str)]
_Factor = Annotated[Any, one_of(int, float, str)]

_SIZE = 'a size is a whole number from 1 up, or a symbol\'s name such as "n_1"'
_FACTOR = 'a factor is a number or a string such as "1/2" or "lambda/(2*N)"'


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
    activation: Annotated[Any, one_of(str, Mapping)] = Field(
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
