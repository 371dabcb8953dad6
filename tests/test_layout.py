"""Rows, columns and transposes: the printed matrix form, read back and evaluated, in every notation.

A small reader of the printed LaTeX, which knows nothing of how it was made, evaluates each line with NumPy
arrays laid out as the notation says. Sizes are all different, so a transpose that is missing doesn't fit.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.layout.document import Display
from symbackprop.notation.notation import load_notation, shipped

SIZES = (4, 3, 2)
EXAMPLES = 5
LAYOUTS = {
    "bishop": ("columns", "rows", "denominator"),
    "brilliant": ("columns", "rows", "denominator"),
    "computation-graph": ("columns", "rows", "denominator"),
    "cs231n": ("rows", "rows", "denominator"),
    "deeplearning-ai": ("columns", "columns", "denominator"),
    "goodfellow": ("columns", "rows", "denominator"),
    "jagtap": ("columns", "rows", "denominator"),
    "layers": ("columns", "rows", "denominator"),
    "nielsen": ("columns", "rows", "denominator"),
    "punnen": ("columns", "rows", "denominator"),
}
"""What each notation is for, by its own literature: vectors, examples of a batch, derivatives."""


def sigma(z):
    return 1 / (1 + np.exp(-z))


class Values:
    """Every quantity of a 4-3-2 sigmoid network with half the squared error, by central differences."""

    def __init__(self):
        rng = np.random.default_rng(7)
        shapes = {"W1": (3, 4), "b1": (3,), "W2": (2, 3), "b2": (2,)}
        self.parameters = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
        self.x, self.y = rng.standard_normal((EXAMPLES, 4)), rng.uniform(size=(EXAMPLES, 2))

    def forward(self, parameters, x, shift=None):
        """Pre-activations and activations; ``shift`` is added to the pre-activation of a layer."""
        z1 = x @ parameters["W1"].T + parameters["b1"]
        z1 = z1 + shift[1] if shift and shift[0] == 1 else z1
        a1 = sigma(z1)
        z2 = a1 @ parameters["W2"].T + parameters["b2"]
        z2 = z2 + shift[1] if shift and shift[0] == 2 else z2
        return {"z1": z1, "a1": a1, "z2": z2, "a2": sigma(z2)}

    def costs(self, parameters, x, y, shift=None):
        return 0.5 * np.sum((self.forward(parameters, x, shift)["a2"] - y) ** 2, axis=1)

    def delta(self, layer, x, y, width):
        found = np.zeros((len(x), width))
        for unit in range(width):
            step = np.zeros(width)
            step[unit] = 1e-6
            up, down = (self.costs(self.parameters, x, y, (layer, sign * step)) for sign in (1, -1))
            found[:, unit] = (up - down) / 2e-6
        return found

    def gradient(self, name, x, y):
        array = self.parameters[name]
        found = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            step = np.zeros_like(array)
            step[place] = 1e-6
            up, down = (
                np.mean(self.costs({**self.parameters, name: array + sign * step}, x, y)) for sign in (1, -1)
            )
            found[place] = (up - down) / 2e-6
        return found


STOPS = ("+", "-", ")", "}", r"\sbphadamard", r"\sbphadamarddivision")


class Reader:
    """Evaluates printed LaTeX; ``values`` maps calls of macros to arrays."""

    TOKEN = re.compile(r"\\[A-Za-z]+|\d+|\S")

    def __init__(self, text, values):
        self.tokens, self.values = self.TOKEN.findall(text), values

    def value(self):
        found = self.sum()
        assert not self.tokens, self.tokens
        return found

    def sum(self):
        total = -self.hadamard() if self.take("-") else self.hadamard()
        while self.tokens and self.tokens[0] in "+-":
            sign = 1 if self.tokens.pop(0) == "+" else -1
            term = self.hadamard()
            assert not np.ndim(total) or not np.ndim(term) or total.shape == term.shape
            total = total + sign * term
        return total

    def hadamard(self):
        found = self.product()
        while self.tokens and self.tokens[0] in (r"\sbphadamard", r"\sbphadamarddivision"):
            divides = self.tokens.pop(0) == r"\sbphadamarddivision"
            other = self.product()
            assert found.shape == other.shape
            found = found / other if divides else found * other
        return found

    def product(self):
        found = self.atom()
        while self.tokens and self.tokens[0] not in STOPS:
            found = self.times(found, self.atom())
        return found

    def times(self, left, right):
        if left is ONES or right is ONES:
            left = np.ones((EXAMPLES, 1)) if left is ONES else left
            right = np.ones((EXAMPLES, 1)) if right is ONES else right
        if isinstance(left, float) or isinstance(right, float):
            return left * right
        return left @ right

    def take(self, token):
        if self.tokens and self.tokens[0] == token:
            self.tokens.pop(0)
            return True
        return False

    def group(self):
        assert self.take("{")
        found = self.sum()
        assert self.take("}")
        return found

    def atom(self):
        token = self.tokens.pop(0)
        if token == "(":
            found = self.sum()
            assert self.take(")")
            return found
        if token.isdigit():
            return float(token)
        if token == r"\frac":
            return self.group() / self.group()
        if token in (r"\sbptranspose", r"\sbptransposeplain"):
            found = self.group()
            return np.ones((1, EXAMPLES)) if found is ONES else found.T
        if token == r"\sbpones":
            return ONES
        if token == r"\exp":
            return np.exp(self.atom())
        if token in (r"\sbpfnsigma", r"\sbpfnat"):
            while self.tokens[0] != "(":
                self.tokens.pop(0)
            return sigma(self.atom())
        return self.values[token + self.layer()]

    def layer(self):
        if not self.tokens or self.tokens[0] != "{":
            return ""
        end = self.tokens.index("}")
        inside = "".join(self.tokens[1:end])
        del self.tokens[: end + 1]
        return {r"\sbplastlayer": "2", r"\sbplastlayer-1": "1", r"\sbplastlayer-2": "0"}.get(inside, inside)


ONES = object()


def arrays(batch, layout):
    """What each macro stands for, laid out as a notation says."""
    vectors, examples, derivatives = layout
    world = Values()
    x, y = (world.x, world.y) if batch else (world.x[:1], world.y[:1])
    forward = world.forward(world.parameters, x)
    widths = {"delta1": 3, "delta2": 2}
    deltas = {name: world.delta(int(name[-1]), x, y, width) for name, width in widths.items()}
    rows = examples == "rows" if batch else vectors == "rows"
    kind, numerator = ("mat" if batch else "vec"), derivatives == "numerator"

    def laid(array, derivative=False):
        return array if rows != (derivative and numerator) else array.T

    def one(array, derivative=False):
        matrix = np.atleast_2d(array) if array.ndim == 1 else array.T
        return matrix if (vectors == "rows") != (derivative and numerator) else matrix.T

    stems = {"z": "pact", "a": "act"}
    found = {rf"\sbp{stems[n[0]]}{kind}{n[1]}": laid(value) for n, value in forward.items()}
    found |= {rf"\sbpdelta{kind}{n[-1]}": laid(value, True) for n, value in deltas.items()}
    found |= {rf"\sbpact{kind}0": laid(x), rf"\sbpinput{kind}": laid(x), rf"\sbptarget{kind}": laid(y)}
    found[rf"\sbpoutput{kind}"] = laid(forward["a2"])
    found[r"\sbpexamples"] = float(EXAMPLES)
    for name, value in world.parameters.items():
        macro = rf"\sbpweightmat{name[1]}" if name[0] == "W" else rf"\sbpbiasvec{name[1]}"
        found[macro] = one(value)
        found["d" + macro] = one(world.gradient(name, x, y), True)
    return found


def left_side(text, values):
    partial = re.fullmatch(r"\\sbpgradient\{[^}]*\}\{(\\[a-z]+)\{(.*)\}\}", text)
    if not partial:
        return Reader(text, values).value()
    layer = Reader("{" + partial[2] + "}", values).layer()
    return values["d" + partial[1] + layer]


def rows_of(notation, end):
    network = sb.from_mapping(
        {
            "name": "small",
            "input": {"size": SIZES[0]},
            "layers": [{"size": size, "activation": "sigmoid"} for size in SIZES[1:]],
            "cost": {"kind": "squared_error", "scale": "1/2"},
        }
    )
    (section,) = sb.derive(network).document(notation, ("matrix",)).sections
    chains = [c for block in section.blocks if isinstance(block, Display) for c in block.chains]
    return [(chain.left, *chain.rows[0].lines) for chain in chains if chain.label.endswith(end)]


@pytest.mark.parametrize("name", shipped())
@pytest.mark.parametrize("kind", ["matrix", "batch"])
def test_the_matrix_form_as_it_is_printed_holds_and_fits(name, kind):
    values = arrays(kind == "batch", LAYOUTS[name])
    rows = rows_of(name, f"-{kind}")
    assert len(rows) == 10
    for left, right in rows:
        ours, theirs = left_side(left, values), Reader(right, values).value()
        assert ours.shape == theirs.shape, (left, right)
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9, err_msg=f"{left} = {right}")


@pytest.mark.parametrize("name", shipped())
@pytest.mark.parametrize("kind", ["matrix", "batch"])
def test_softmax_of_a_whole_layer_is_the_formula_that_is_printed(name, kind):
    """The exponentials over their sum: of a vector, and of each example of a batch."""
    text, values = softmax_line(name, kind)
    named, formula = text.split(" = ")
    assert named.startswith(r"\sbpfnsoftmax(")
    logits = values.pop("logits")
    shares = np.exp(logits) / np.exp(logits).sum(axis=values.pop("along"), keepdims=True)
    found = Reader(formula, values).value()
    assert found.shape == shares.shape
    np.testing.assert_allclose(found, shares)


def softmax_line(name, kind):
    """The printed line, and numbers for what is in it: logits, and vectors of ones as long as they are."""
    spec = {
        "name": "soft",
        "input": {"size": 4},
        "layers": [{"size": 3, "activation": "softmax"}],
        "cost": {"kind": "cross_entropy"},
    }
    document = sb.derive(sb.from_mapping(spec)).document(name, ("matrix",))
    blocks = [block for section in document.sections for block in section.blocks]
    found = [c for block in blocks if isinstance(block, Display) for c in block.chains]
    (line,) = (chain.rows[0].lines[0] for chain in found if chain.label == f"a-1-{kind}")
    vectors, examples, _ = LAYOUTS[name]
    rows = (examples if kind == "batch" else vectors) == "rows"
    count = EXAMPLES if kind == "batch" else 1
    logits = np.random.default_rng(3).standard_normal((count, 3) if rows else (3, count))
    ones = {r"\ones": np.ones((3, 1)), r"\row": np.ones((1, 3)), r"\square": np.ones((3, 3))}
    for tex, value in ((r"\sbpones \sbptransposeplain{\sbpones}", r"\square"), (r"\sbpones", r"\ones")):
        line = line.replace(r"\sbptransposeplain{\sbpones} \exp", r"\row \exp").replace(tex, value)
    line = (
        re.sub(r"\\sbppact(vec|mat)\{[^}]*\}", r"\\logits", line).replace(r"\bigl", "").replace(r"\bigr", "")
    )
    return line, {**ones, r"\logits": logits, "logits": logits, "along": 1 if rows else 0}


@pytest.mark.parametrize("vectors", ["rows", "columns"])
@pytest.mark.parametrize("examples", ["rows", "columns"])
@pytest.mark.parametrize("derivatives", ["denominator", "numerator"])
def test_every_layout_holds_and_fits(vectors, examples, derivatives, tmp_path):
    layout = (vectors, examples, derivatives)
    file = tmp_path / "mine.toml"
    table = f'vectors = "{vectors}"\nexamples = "{examples}"\nderivatives = "{derivatives}"\n'
    file.write_text(f'description = "mine"\nlike = "nielsen"\n[matrix]\n{table}')
    for kind in ("matrix", "batch"):
        values = arrays(kind == "batch", layout)
        for left, right in rows_of(str(file), f"-{kind}"):
            ours, theirs = left_side(left, values), Reader(right, values).value()
            assert ours.shape == theirs.shape, (left, right)
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9, err_msg=f"{left} = {right}")


def test_a_wrong_layout_is_noticed():
    values = arrays(False, replace_layout("cs231n"))
    with pytest.raises((AssertionError, ValueError)):
        for left, right in rows_of("cs231n", "-matrix"):
            ours, theirs = left_side(left, values), Reader(right, values).value()
            assert ours.shape == theirs.shape


def replace_layout(name):
    layout = replace(load_notation(name).layout, vectors="columns")
    return layout.vectors, layout.examples, layout.derivatives


@pytest.mark.parametrize("name", shipped())
def test_a_number_made_of_arrays_is_printed_as_what_it_stands_for(name):
    layers = [{"size": 3, "activation": "tanh"}, {"size": 2, "activation": "softmax"}]
    spec = {"name": "soft", "input": {"size": 4}, "layers": layers, "cost": {"kind": "cross_entropy"}}
    text = sb.derive(sb.from_mapping(spec)).to_latex(name, "matrix")
    line = next(row for row in text.splitlines() if "delta-2-matrix" in row)
    rows = LAYOUTS[name][0] == "rows"
    number = r"\sbptargetvec \sbpones)" if rows else r"(\sbptransposeplain{\sbpones} "
    assert number in line and "mathit{u" not in text
