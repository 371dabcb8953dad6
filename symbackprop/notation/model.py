"""The tables of a notation file: which keys there are, what each may hold, and what it is."""

# Annotations are looked at here, so they are no strings: no import of them from the future.

from typing import Annotated, Any, Literal

from symbackprop.tables.fields import Field, List, Model, Table, Text, one_of

_LETTER = "LaTeX that takes indices, such as \"z\" or '\\delta'"


def _latex(value: str) -> str:
    """LaTeX source that can stand inside a macro: ASCII, with its braces closed."""
    depth = 0
    for before, char in zip(" " + value, value, strict=False):
        depth += ((char == "{") - (char == "}")) if before != "\\" else 0
        if depth < 0:
            raise ValueError
    if depth or not value.isascii() or "%" in value:
        raise ValueError
    return value


def _letters(value: str) -> str:
    """Latin letters, each once."""
    if not value.isascii() or not (value.isalpha() or value == "") or len(set(value)) < len(value):
        raise ValueError
    return value


Latex = Annotated[Text, _latex]


class NotationTable(Model):
    """A whole notation file."""

    description: Text = Field(description="a line that says what the notation is")
    like: Text = Field("", description="the name of a notation whose keys hold where this file has none")
    outline: Text = Field("", description="the name of the order of argument that goes with the notation")
    layer: Table = Field(description="a table [layer] that says how a layer is written")
    index: Table = Field(description="a table [index] with the letters and the order of indices")
    bias: Table = Field(description='a table [bias] with style = "apart" or "folded"')
    matrix: Table = Field(description="a table [matrix] that says what is a row and what is a column")
    entry: Table = Field(description="a table [entry] with the letters of single entries")
    whole: Table = Field(description="a table [whole] with the letters of vectors and weight matrices")
    batch: Table = Field(description="a table [batch] with the letters of whole batches")
    letter: Table = Field(description="a table [letter] with the letters of everything else")
    sign: Table = Field(description="a table [sign] that says how operations are written")
    example: Table = Field(description="a table [example] that says how an example is marked")
    functions: Table = Field(description="a table [functions] with the letters of activation functions")
    macros: Table = Field({}, description="a table [macros] with definitions that replace ours")
    words: Table = Field({}, description='a table [words.en] with words for ours, such as unit = "neuron"')


class LayerTable(Model):
    """``[layer]``"""

    style: Literal["bare", "parentheses", "brackets"] = Field(
        description="the style of a layer is bare, parentheses or brackets"
    )
    last: Latex = Field(description='the letter of the output layer, such as "L"')
    general: Latex = Field(description='the letter of any hidden layer, such as "l"')
    count: Literal["from-input", "from-output"] = Field(
        description="layers are counted from-input (1, 2, 3) or from-output (L-2, L-1, L)"
    )
    input: Literal["own", "activation"] = Field(
        description="the input has a letter of its own (own), or is the activation of layer 0 (activation)"
    )
    functions: Literal["plain", "layered"] = Field(
        description="activation functions are written plain, or layered, with their layer"
    )


def _zero_or_one(value: int) -> int:
    if value not in (0, 1):
        raise ValueError
    return value


class IndexTable(Model):
    """``[index]``"""

    order: Literal["to-from", "from-to"] = Field(
        description="the order is to-from (w_jk leads to unit j from unit k) or from-to (w_kj does)"
    )
    separator: Literal["", ",", " "] = Field(description='the separator is nothing, "" or a comma ","')
    start: Annotated[Any, one_of(int), _zero_or_one] = Field(description="units are counted from 0 or from 1")
    here: Latex = Field(description="the letter for units of the layer that a formula is about")
    before: Latex = Field(description="the letter for units of the layer before it")
    after: Latex = Field(description="the letter for units of the layer after it")
    others: List = Field(description='a list of letters to go on with, such as ["i", "m", "p", "q"]')
    by_layer: List = Field([], description="letters for the last layer, the one before it, and so on")
    example: Latex = Field(description="the letter that counts examples")


class BiasTable(Model):
    """``[bias]``"""

    style: Literal["apart", "folded"] = Field(
        description="biases stand apart, or are folded into the weights as those of a unit 0 that gives 1"
    )


class MatrixTable(Model):
    """``[matrix]``"""

    vectors: Literal["columns", "rows"] = Field(description="vectors are columns (W a) or rows (a W)")
    examples: Literal["rows", "columns"] = Field(description="the examples of a batch are rows or columns")
    derivatives: Literal["denominator", "numerator"] = Field(
        description="derivatives have the shape of their denominator, or of its transpose (numerator)"
    )


class EntryTable(Model):
    """``[entry]`` and ``[whole]``"""

    input: Latex = Field(description=_LETTER)
    target: Latex = Field(description=_LETTER)
    weight: Latex = Field(description=_LETTER)
    bias: Latex = Field(description=_LETTER)
    pre_activation: Latex = Field(description=_LETTER)
    activation: Latex = Field(description=_LETTER)
    output: Latex = Field("", description="the letter of the output layer's activations, if it has its own")
    delta: Latex = Field(description=_LETTER)


class BatchTable(Model):
    """``[batch]``"""

    input: Latex = Field(description=_LETTER)
    target: Latex = Field(description=_LETTER)
    pre_activation: Latex = Field(description=_LETTER)
    activation: Latex = Field(description=_LETTER)
    output: Latex = Field("", description="the letter of the output layer's activations, if it has its own")
    delta: Latex = Field(description=_LETTER)


class LetterTable(Model):
    """``[letter]``"""

    cost: Latex = Field(description="the letter of the cost of all examples")
    example_cost: Latex = Field(description="the letter of the cost of one example")
    output_cost: Latex = Field(description="the cost of one example at output #1")
    penalty: Latex = Field(description="the letter of the penalty on the weights")
    examples: Latex = Field(description="the letter of the number of examples")
    size: Latex = Field(description="the letter of the size of a layer")
    learning_rate: Latex = Field(description="the letter of the learning rate")
    nodes: Annotated[Text, _letters] = Field(
        "", description='letters for the nodes of a computation graph, from the cost back, such as "cdefg"'
    )


class SignTable(Model):
    """``[sign]``: ``#1`` and ``#2`` are what a sign is put on."""

    vector: Latex = Field(description="how a vector is set, such as '\\mathbf{#1}'")
    matrix: Latex = Field(description="how a matrix is set, such as '\\mathbf{#1}'")
    transpose: Latex = Field(description="how a transpose is written, such as '(#1)^{T}'")
    hadamard: Latex = Field(description="the sign of the product entry by entry, such as '\\odot'")
    prime: Latex = Field(description='how the derivative of a function is written, such as "#1\'"')
    partial: Latex = Field(
        description="how a derivative is written, such as '\\frac{\\partial #1}{\\partial #2}'"
    )
    gradient: Latex = Field(description="how the derivative of #1 by a vector or a matrix #2 is written")
    bracket: Latex = Field(
        description="how a condition in brackets is written, such as '\\lbrack #1\\rbrack'"
    )


class ExampleTable(Model):
    """``[example]``"""

    in_layer: Latex = Field(description="how an example #1 stands beside a layer #2")
    alone: Latex = Field(description="how an entry #1 without a layer is marked with its example #2")
    cost: Latex = Field(description="the cost of example #1")


TABLES: dict[str, type[Model]] = {
    "layer": LayerTable,
    "index": IndexTable,
    "bias": BiasTable,
    "matrix": MatrixTable,
    "entry": EntryTable,
    "whole": EntryTable,
    "batch": BatchTable,
    "letter": LetterTable,
    "sign": SignTable,
    "example": ExampleTable,
}
"""The tables whose keys are known; ``functions`` and ``macros`` have names of their own."""
