"""Specs: what is read, and every kind of mistake with its place and words."""

import copy
import os
import tomllib

import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from symbackprop.errors import SpecError
from symbackprop.network import index
from symbackprop.spec.catalogue import ACTIVATIONS, COSTS
from symbackprop.spec.loading import from_mapping, from_widths, load

SPEC = """
name  = "two-two-two"
title = "A 2-2-2 network"

[input]
size = 2

[[layers]]
size = 2
activation = "sigmoid"

[[layers]]
kind = "dense"
size = 2
activation = "sigmoid"
bias = true

[cost]
kind = "squared_error"
scale = "1/2"
outputs = "sum"
examples = "mean"

[penalty]
l2 = "lambda/(2*N)"

[facts]
targets_sum_to_one = true

[values]
x = [[0.05, 0.1]]
y = [[0.01, 0.99]]
W1 = [[0.15, 0.2], [0.25, 0.3]]
b1 = [0.35, 0.35]
W2 = [[0.4, 0.45], [0.5, 0.55]]
b2 = [0.6, 0.6]
lambda = 0.0
learning_rate = 0.5
"""


def changed(*changes):
    """The spec above as a mapping, with values set at places such as ``layers.0.size`` (``...`` deletes)."""
    data = tomllib.loads(SPEC)
    for place, value in changes:
        *parents, last = [int(part) if part.isdecimal() else part for part in place.split(".")]
        table = data
        for part in parents:
            table = table[part]
        if value is ...:
            del table[last]
        else:
            table[last] = value
    return data


def problems_of(data):
    with pytest.raises(SpecError) as caught:
        from_mapping(data, "spec.toml")
    assert all("\n" not in str(problem) for problem in caught.value.problems)
    return caught.value.problems


def failed_load(path):
    with pytest.raises(SpecError) as caught:
        load(path)
    return str(caught.value)


def test_reads_a_whole_spec(tmp_path):
    path = tmp_path / "two-two-two.toml"
    path.write_text(SPEC)
    network = load(path)
    assert (network.name, network.title, network.depth) == ("two-two-two", "A 2-2-2 network", None)
    assert [(layer.size, layer.activation.name, layer.bias) for layer in network.layers] == [
        (2, "sigmoid", True),
        (2, "sigmoid", True),
    ]
    assert (network.cost.name, network.cost.scale) == ("squared_error", sp.Rational(1, 2))
    assert network.penalty == sp.Symbol("lambda", real=True) / (2 * index("N"))
    assert network.facts == frozenset({"targets_sum_to_one"})
    assert network.values.x == ((0.05, 0.1),)
    assert dict(network.values.parameters)["W2"] == ((0.4, 0.45), (0.5, 0.55))
    assert network.values.symbols == (("lambda", 0.0),)
    assert network.values.learning_rate == 0.5


def test_the_fingerprint_is_of_the_content():
    spec = changed()
    assert from_mapping(spec).fingerprint == from_mapping(dict(reversed(spec.items()))).fingerprint
    assert from_mapping(spec).fingerprint != from_mapping(changed(("input.size", "n_0"))).fingerprint
    assert len(from_mapping(spec).fingerprint) == 16


def test_whole_numbers_are_numbers():
    values = from_mapping(changed(("values.b1", [1, 0]), ("values.learning_rate", 1))).values
    assert dict(values.parameters)["b1"] == (1.0, 0.0)
    assert isinstance(dict(values.parameters)["b1"][0], float)


def test_symbolic_depth():
    spec = changed(
        ("depth", "L"), ("values", {"lambda": 0.1}), ("layers.0.size", "n_l"), ("input.size", "n_0")
    )
    network = from_mapping(spec)
    assert network.depth == "L" and network.layers[0].size == "n_l"


def test_activations_of_every_kind():
    layers = [
        {"size": 3, "activation": {"formula": "z/(1+exp(-z))"}},
        {"size": 3, "activation": {"formula": "z**3"}},
        {"size": 3, "activation": {"formula": "z/(1+exp(-z))"}},
        {"size": 3, "activation": {"formula": "z**2", "name": "square"}},
        {"size": 3, "activation": {"symbol": "g"}},
        {"size": 3, "activation": {"symbol": "g"}},
        {"size": 3, "activation": {"formula": "z[j] - sum(z[i], i)/n"}},
    ]
    network = from_mapping(changed(("layers", layers), ("values", ...)))
    names = [layer.activation.name for layer in network.layers]
    assert names == ["f", "f_2", "f", "square", "g", "g", "f_3"]
    assert [layer.activation.coupled for layer in network.layers] == [False] * 6 + [True]
    assert network.layers[4].activation.formula is None


def test_default_names_leave_out_what_is_taken():
    layers = [
        {"size": "f_2", "activation": {"formula": "z**2"}},
        {"size": 2, "activation": {"symbol": "f"}},
    ]
    network = from_mapping(changed(("layers", layers), ("values", ...)))
    assert network.layers[0].activation.name == "f_3"


def test_sizes_in_a_factor_are_the_sizes():
    network = from_mapping(
        changed(("layers.1.size", "n_2"), ("cost.scale", "1/n_2"), ("values", ...), ("penalty.l2", 0))
    )
    assert network.cost.scale == 1 / index("n_2")
    assert network.penalty is None


def test_symbolic_sizes_follow_from_the_values():
    sizes = [("input.size", "n_0"), ("layers.0.size", "n_1")]
    assert from_mapping(changed(*sizes)).values.x == ((0.05, 0.1),)
    (problem,) = problems_of(changed(*sizes, ("values.b1", [1, 2, 3])))
    assert problem.where == "values.b1" and "n_1 is 2" in problem.wanted


MISTAKES = [
    ("name", "--", "name", "letters, digits"),
    ("name", "a/b", "name", "letters, digits"),
    ("name", "-o", "name", "doesn't start with -"),
    ("name", "a" * 65, "name", "at most 64"),
    ("name", 3, "name", "a name"),
    ("name", ..., "name", "missing"),
    ("title", "a\x1bb", "title", "control characters"),
    ("title", "a" * 201, "title", "at most 200"),
    ("title", 7, "title", "text in quotes"),
    ("nmae", 3, "nmae", "did you mean name?"),
    ("input", ..., "input", "missing"),
    ("input", 2, "input", "[input]"),
    ("input.size", ..., "input.size", "missing"),
    ("input.size", 0, "input.size", "whole number from 1"),
    ("input.size", -3, "input.size", "whole number from 1"),
    ("input.size", 10**30, "input.size", "whole number from 1"),
    ("input.size", 2.0, "input.size", "whole number from 1"),
    ("input.size", True, "input.size", "whole number from 1"),
    ("input.size", "2", "input.size", "without quotes"),
    ("input.size", "2n", "input.size", "starts with a letter"),
    ("input.size", "n__0", "input.size", "single _"),
    ("input.size", "n" * 31, "input.size", "at most 30"),
    ("input.size", "N", "input.size", "already taken"),
    ("input.size", "a1", "input.size", "already taken"),
    ("input.size", "lambda", "input.size", "already taken"),
    ("layers", ..., "layers", "missing"),
    ("layers", [], "layers", "1 to 1000 layers"),
    ("layers", {"size": 2}, "layers", "[[layers]]"),
    ("layers.1", 3, "layers[1] (layer 2)", "a table"),
    ("layers.1.kind", "convolution", "layers[1].kind (layer 2)", "is dense"),
    ("layers.1.size", 0, "layers[1].size (layer 2)", "whole number from 1"),
    ("layers.1.bias", 1, "layers[1].bias (layer 2)", "true or false"),
    ("layers.1.activation", ..., "layers[1].activation (layer 2)", "missing"),
    ("layers.1.activation", 3, "layers[1].activation (layer 2)", "a name such as"),
    ("layers.1.activation", "sigmiod", "layers[1].activation (layer 2)", "did you mean sigmoid?"),
    ("layers.1.activation", "qq", "layers[1].activation (layer 2)", "known are linear"),
    ("layers.1.activation", {}, "layers[1].activation (layer 2)", "either a formula or a symbol"),
    ("layers.1.activation", {"formula": "z", "symbol": "g"}, "layers[1].activation (layer 2)", "either"),
    ("layers.1.activation", {"formula": "z^2"}, "layers[1].activation.formula (layer 2)", "**"),
    ("layers.1.activation", {"formula": 3}, "layers[1].activation.formula (layer 2)", "in quotes"),
    (
        "layers.1.activation",
        {"formula": "log(z)"},
        "layers[1].activation.formula (layer 2)",
        "logarithm of z",
    ),
    ("layers.1.activation", {"formula": "sqrt(z)"}, "layers[1].activation.formula (layer 2)", "a root of z"),
    ("layers.1.activation", {"symbol": "W"}, "layers[1].activation.symbol (layer 2)", "already taken"),
    ("layers.1.activation", {"symbol": "tanh"}, "layers[1].activation.symbol (layer 2)", "known already"),
    ("layers.1.activation", {"symbol": "relu"}, "layers[1].activation.symbol (layer 2)", "known already"),
    (
        "layers.1.activation",
        {"symbol": "g", "name": "h"},
        "layers[1].activation.name (layer 2)",
        "leave this",
    ),
    ("layers.1.activation", {"formula": "z", "name": "f g"}, "layers[1].activation.name (layer 2)", "letter"),
    ("layers.1.activation", {"fromula": "z"}, "layers[1].activation.fromula (layer 2)", "formula?"),
    ("cost", ..., "cost", "missing"),
    ("cost", {}, "cost.kind", "missing"),
    ("cost", {"knd": "hinge"}, "cost.knd", "did you mean kind?"),
    ("input", {"sise": 2}, "input.sise", "did you mean size?"),
    ("cost.kind", "squared_eror", "cost.kind", "did you mean squared_error?"),
    ("cost.formula", "a", "cost", "either a kind or a formula"),
    ("cost.scale", "1/0", "cost.scale", "divides by 0"),
    ("cost.scale", 0, "cost.scale", "no cost"),
    ("cost.scale", float("nan"), "cost.scale", "finite"),
    ("cost.scale", [1], "cost.scale", "a factor is"),
    ("cost.outputs", "avg", "cost.outputs", "a sum or a mean"),
    ("cost.examples", "maen", "cost.examples", "did you mean mean?"),
    ("cost.weight", 3, "cost.weight", "not known here"),
    ("penalty", {}, "penalty.l2", "missing"),
    ("penalty.l1", 1, "penalty.l1", "known are l2"),
    ("penalty", {"L2": "alpha"}, "penalty.L2", "did you mean l2?"),
    ("penalty.l2", "x", "penalty.l2", "the name x"),
    ("penalty.l2", -1, "penalty.l2", "not negative"),
    ("penalty", "lambda", "penalty", "a table [penalty]"),
    ("facts.targets_sum_to_1", True, "facts.targets_sum_to_1", "did you mean targets_sum_to_one?"),
    ("facts.targets_sum_to_one", "yes", "facts.targets_sum_to_one", "true or false"),
    ("values.x", [[1, 2, 3]], "values.x", "x has shape (N, 2), and this has shape (1, 3)"),
    ("values.x", [[1, 2], [3]], "values.x", "different lengths: 1, 2"),
    ("values.x", [[1, 2], [3, 4]], "values.y", "(by x, N is 2)"),
    ("values.x", [], "values.x", "shape (0, 0)"),
    ("values.x", 3, "values.x", "a list of rows"),
    ("values.x", [1, 2], "values.x", "a list of rows"),
    ("values.x", [[1, "2"]], "values.x[0][1]", "finite number"),
    ("values.x", [[1, True]], "values.x[0][1]", "finite number"),
    ("values.x", [[1, float("nan")]], "values.x[0][1]", "finite number"),
    ("values.W1", [[1, 2], [3, float("inf")]], "values.W1[1][1]", "finite number"),
    ("values.b1", [1, float("-inf")], "values.b1[1]", "finite number"),
    ("values.b1", [[1, 2]], "values.b1[0]", "finite number"),
    ("values.b1", [1, 2, 3], "values.b1", "b1 has shape (2,), and this has shape (3,)"),
    ("values.y", [[0.5, 0.9]], "values.y[0]", "sum to 1.4"),
    ("values.y", ..., "values.y", "missing: y"),
    ("values.W1", ..., "values.W1", "missing: W1"),
    ("values.W3", [[1]], "values.W3", "no layer 3"),
    ("values.W11", [[1]], "values.W11", "no layer 11"),
    ("values.N", 3, "values.N", "leave this out"),
    ("values.lambda", float("nan"), "values.lambda", "finite number"),
    ("values.lambda", "0", "values.lambda", "finite number"),
    ("values.lamda", 1, "values.lamda", "did you mean lambda?"),
    ("values.learning_rate", 0, "values.learning_rate", "above 0"),
    ("values", [1], "values", "[values]"),
]


@pytest.mark.parametrize(("place", "value", "where", "words"), MISTAKES)
def test_a_mistake_is_named_with_its_place(place, value, where, words):
    problems = problems_of(changed((place, value)))
    assert [problem.where for problem in problems] == [where]
    assert words in problems[0].wanted


def test_every_mistake_at_once_in_the_order_of_the_file():
    data = changed(
        ("values.learning_rate", -1),
        ("values.x", [[1, 2, 3]]),
        ("facts.targets", True),
        ("penalty.l2", "1/0"),
        ("cost.outputs", "avg"),
        ("cost.kind", "binary_cross_entropy"),
        ("layers.1.activation", "relu"),
        ("layers.1.sise", 3),
        ("layers.0.activation", {"formula": "exp(q)"}),
        ("layers.0.size", ...),
        ("input.size", 0),
        ("title", "\n"),
        ("name", "?"),
        ("depth", 2),
    )
    assert [problem.where for problem in problems_of(data)] == [
        "name",
        "title",
        "input.size",
        "layers[0].activation.formula (layer 1)",
        "layers[0].size (layer 1)",
        "layers[1].sise (layer 2)",
        "cost.kind",
        "cost.outputs",
        "penalty.l2",
        "facts.targets",
        "values.learning_rate",
        "depth",
    ]


def test_a_thousand_mistakes_are_cut_short():
    problems = problems_of(changed(*((f"key{number}", 1) for number in range(1000))))
    assert len(problems) == 101 and problems[-1].wanted == "and 900 more mistakes"


def test_what_was_given_is_shortened_and_on_one_line():
    (problem,) = problems_of(changed(("name", "?\n\x1b[31m" + "a" * 5000)))
    assert len(problem.given) < 70 and problem.given.startswith(r"'?\n\x1b[31m")


@pytest.mark.parametrize(
    ("changes", "where", "words"),
    [
        ([("depth", "L")], "values.x", "layers have no numbers"),
        ([("depth", "N"), ("values", {})], "depth", "already taken"),
        (
            [("depth", "L"), ("values", {}), ("layers.0.size", "L")],
            "layers[0].size (layer 1)",
            "L is the depth",
        ),
        ([("layers.0.bias", False)], "values.b1", "layer 1 has bias = false"),
        ([("layers.0.size", "g"), ("layers.1.activation", {"symbol": "g"})], None, "g is a size already"),
        (
            [("layers.0.activation", {"symbol": "alpha"}), ("cost.scale", "alpha")],
            "cost.scale",
            "an activation",
        ),
        (
            [
                ("layers.0.activation", {"formula": "z", "name": "h"}),
                ("layers.1.activation", {"symbol": "h"}),
            ],
            "layers[1].activation.symbol (layer 2)",
            "something else in another layer",
        ),
        ([("layers.1.size", 1), ("layers.1.activation", "softmax"), ("values", {})], None, "always 1"),
    ],
)
def test_parts_that_do_not_go_together(changes, where, words):
    problem = problems_of(changed(*changes))[0]
    assert words in problem.wanted and where in (None, problem.where)


@pytest.mark.parametrize("count", [1, 3])
def test_a_symbolic_depth_needs_two_layers(count):
    layer = {"size": 2, "activation": "tanh"}
    (problem,) = problems_of(changed(("depth", "L"), ("layers", [layer] * count), ("values", {})))
    assert problem.where == "layers" and "two [[layers]]" in problem.wanted


PROBABILITIES = {"sigmoid", "softmax", "gaussian"}
ACCEPTED = {
    **{cost: set(ACTIVATIONS) for cost in COSTS},
    "binary_cross_entropy": PROBABILITIES,
    "cross_entropy": PROBABILITIES | {"exp", "softplus"},
}


@pytest.mark.parametrize("cost", list(COSTS))
def test_costs_are_accepted_with_the_outputs_they_fit(cost):
    accepted = set()
    for activation in ACTIVATIONS:
        try:
            from_widths("2-3-2", output_activation=activation, cost=cost)
        except SpecError as error:
            assert "use sigmoid" in str(error) and "takes the logarithm of" in str(error)
        else:
            accepted.add(activation)
    assert accepted == ACCEPTED[cost]


@pytest.mark.parametrize(
    ("activation", "formula", "words"),
    [
        ("tanh", "-log(1 - a)", None),
        ("tanh", "-log(a)", "takes the logarithm of a"),
        ("relu", "y/a", "divides by a, which is 0"),
        ("linear", "sqrt(a)", "takes a root of a"),
        ("softplus", "sqrt(a)", None),
        ({"formula": "1/(1+exp(-90*z))"}, "-y*log(a) - (1-y)*log(1-a)", None),
        ({"formula": "z/(1+abs(z))"}, "-y*log(a)", "takes the logarithm of a"),
        ({"symbol": "g"}, "-y*log(a)", None),
    ],
)
def test_users_own_formulas_are_held_against_each_other(activation, formula, words):
    data = changed(("layers.1.activation", activation), ("cost", {"formula": formula}))
    if words is None:
        assert from_mapping(data).cost.formula.text == formula
    else:
        (problem,) = problems_of(data)
        assert problem.where == "cost.formula" and words in problem.wanted


def test_a_cost_keeps_its_check_when_a_neighbour_is_wrong():
    data = changed(("cost.kind", "cross_entropy"), ("cost.outputs", "avg"), ("layers.1.activation", "linear"))
    assert [problem.where for problem in problems_of(data)] == ["cost.kind", "cost.outputs"]


def test_widths():
    network = load("2-3-1")
    assert (network.name, network.input_size) == ("2-3-1", 2)
    assert [(layer.size, layer.activation.name) for layer in network.layers] == [
        (3, "sigmoid"),
        (1, "sigmoid"),
    ]
    network = from_widths("4-5-6-2", "relu", "softmax", "cross_entropy")
    assert [layer.activation.name for layer in network.layers] == ["relu", "relu", "softmax"]


@pytest.mark.parametrize(
    "text", ["2", "2-", "-2", "2--3", "2-0-1", "02-3", "1-" * 40 + "1", "", "2-x", "9" * 5000]
)
def test_widths_that_are_none(text):
    with pytest.raises(SpecError, match="whole numbers from 1 up"):
        from_widths(text)


def test_every_wrong_option_with_widths():
    with pytest.raises(SpecError) as caught:
        from_widths("2-0", "rely", "sofmax", "hing")
    wanted = ["", "--hidden", "--output-activation", "--cost"]
    assert [problem.where for problem in caught.value.problems] == wanted
    for name in ("relu", "softmax", "hinge"):
        assert f"did you mean {name}?" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b" \n\t", "empty"),
        (b"name = \n", "line 1, column 8"),
        (b"[input\n", "not TOML"),
        (b"\xff\xfe\x00n", "UTF-8"),
        (b"\x00\x01\x02", "not TOML"),
        (b"x" * 1_000_001, "too large"),
        (b"x = " + b"[" * 5000, "nested too deeply"),
        (b"x = " + b"9" * 5000, "too many digits"),
        (b".".join([b"a"] * 20_000) + b" = 1", "dots"),
        (b"a = 1\na = 2\n", "not TOML"),
    ],
)
def test_files_that_are_no_spec(tmp_path, content, words):
    path = tmp_path / "spec.toml"
    path.write_bytes(content)
    message = failed_load(path)
    assert words in message and message.startswith(str(path)) and "\n" not in message


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    path = tmp_path / "spec.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SPEC.replace("\n", "\r\n").encode())
    assert load(path).name == "two-two-two"


def test_paths_that_lead_nowhere(tmp_path):
    assert "no such file" in failed_load(tmp_path / "none.toml")
    assert "directory" in failed_load(tmp_path)
    assert "directory or a device" in failed_load("/dev/zero")
    assert "can't be read" in failed_load("a" * 5000)
    assert "can't be read" in failed_load("a\x00b")
    assert "whole numbers from 1 up" in failed_load("2-0-1")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "device" in failed_load(tmp_path / "pipe")


def test_a_file_called_like_widths_is_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "2-3-1").write_text(SPEC)
    assert load("2-3-1").name == "two-two-two"


PATHS = [
    ("name",), ("title",), ("depth",), ("input",), ("input", "size"), ("layers",), ("layers", 0), ("cost",),
    ("layers", 1, "activation"), ("layers", 0, "size"), ("layers", 1, "bias"), ("cost", "kind"), ("facts",),
    ("cost", "scale"), ("cost", "formula"), ("penalty", "l2"), ("values",), ("values", "x"), ("values", "W1"),
    ("values", "b1"), ("values", "y", 0), ("values", "lambda"), ("values", "new"),
]  # fmt: skip
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=3)
    | st.sampled_from(["sigmoid", "softmax", "hinge", "n_0", "L", "z**2", "z[j]", "lambda", "(a-y)**2"])
)  # fmt: skip
KEYS = st.sampled_from(["size", "activation", "formula", "symbol", "name", "kind", "x", "W1"]) | st.text(
    max_size=3
)
DATA = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PATHS), DATA), min_size=1, max_size=4))
@example([(("title",), "\ud800")])
@example([(("values", "x"), [[10**400, 1]])])
@example([(("layers", 0), {1: 2})])
@example([(("depth",), "\x85")])
def test_any_data_is_read_or_refused(replacements):
    data = tomllib.loads(SPEC)
    for (*parents, last), value in replacements:
        table = data
        for part in parents:
            try:
                table = table[part]
            except (KeyError, IndexError, TypeError):
                break
        if isinstance(table, dict) or (
            isinstance(table, list) and isinstance(last, int) and last < len(table)
        ):
            table[last] = copy.deepcopy(value)
    try:
        from_mapping(data)
    except SpecError as error:
        assert error.problems and len(str(error).splitlines()) == len(error.problems)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80) | st.text(alphabet='[]{}="., \n#aN1-_', max_size=80).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(content)
    with pytest.raises(SpecError):
        load(path)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30))
def test_any_path_is_read_or_refused(path):
    try:
        assert load(path).name == path
    except SpecError as error:
        assert len(str(error).splitlines()) == 1
