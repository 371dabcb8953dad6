"""The computation graph: single operations, letters, and a derivative for every node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sympy as sp

from symbackprop.checking.check import Laboratory, check_derivation
from symbackprop.errors import FormRefused
from symbackprop.forward.model import forward_model
from symbackprop.layout.computation_graph import Graph, computation_graph
from symbackprop.notation.notation import load_notation
from symbackprop.printing.symbols import Names
from symbackprop.spec.loading import from_mapping, from_widths, load

EXAMPLES = Path(__file__).parent.parent / "examples"


def graph_of(*layers: tuple[int, Any], cost: Any = "squared_error", inputs: int = 1, **rest: Any) -> Graph:
    spec = {
        "name": "t",
        "input": {"size": inputs},
        "layers": [{"size": size, "activation": activation} for size, activation in layers],
        "cost": {"kind": cost} if isinstance(cost, str) else cost,
        **rest,
    }
    return computation_graph(forward_model(from_mapping(spec, "t")))


def text_graph() -> Graph:
    return computation_graph(forward_model(load(EXAMPLES / "computation-graph.toml")))


def test_the_network_of_the_text_has_its_letters_and_its_nineteenth_step() -> None:
    """The text says: in the 19th step, that of the letter l, two paths are added."""
    graph = text_graph()
    assert [f"{node.name} = {node.expr}" for node in graph.inner] == [
        "m = W1[1, 1]*x[1]",
        "l = b1[1] + m",
        "j = W2[1, 1]*l",
        "k = W2[2, 1]*l",
        "h = b2[1] + j",
        "i = b2[2] + k",
        "f = W3[1, 1]*h",
        "g = W3[1, 2]*i",
        "e = f + g",
        "d = b3[1] + e",
        "c = -d + y[1]",
        "C_x = c**2",
    ]
    twice = [number for number, node in enumerate(graph.backward, 1) if len(graph.consumers[node.name]) == 2]
    assert twice == [19] and graph.backward[18].name == "l" and len(graph.backward) == 23


def test_in_its_own_notation_the_text_has_its_letter_l() -> None:
    model = forward_model(load(EXAMPLES / "computation-graph.toml"))
    names = Names.of(model.program.quantities.values(), model.sizes, load_notation("computation-graph"))
    graph = computation_graph(model, names)
    assert graph.backward[18].name == "l" and len(graph.consumers["l"]) == 2
    assert str(graph["l"].entry) == "a1[1]"


def test_every_node_is_a_single_operation_on_the_nodes_before_it() -> None:
    graph = graph_of((2, "tanh"), (2, "softmax"), cost="cross_entropy", inputs=2)
    seen: set[str] = set()
    for node in graph.nodes:
        assert set(node.inputs) <= seen and len(node.inputs) <= 2
        assert node.is_leaf == (not node.inputs)
        assert {str(s) for s in node.expr.free_symbols} == set(node.inputs or [node.name])
        seen.add(node.name)
    operations = {node.operation for node in graph.inner}
    assert operations == {"add", "multiply", "tanh", "exp", "divide", "log", "negate", "subtract"}


def test_equal_operations_are_one_node() -> None:
    graph = graph_of((2, "linear"), (2, "softmax"), cost="cross_entropy")
    exponentials = [node for node in graph.inner if node.operation == "exp"]
    assert len(exponentials) == 2 and all(len(graph.consumers[node.name]) == 2 for node in exponentials)
    assert [
        len(graph.consumers[n.name]) for n in graph.inner if n.entry is not None and "a1" in str(n.entry)
    ] == [
        2,
        2,
    ]


@pytest.mark.parametrize(
    ("layers", "cost"),
    [
        (((2, "sigmoid"), (1, "linear")), "squared_error"),
        (((1, "relu"), (2, "softmax")), "cross_entropy"),
        (((1, {"symbol": "g"}), (2, "sigmoid")), "binary_cross_entropy"),
        (((1, "tanh"), (1, "linear")), "huber"),
        (((1, "softplus"), (1, "linear")), "absolute_error"),
        (((2, "log_softmax"), (1, "linear")), "hinge"),
        (((1, "tanh"), (1, "linear")), {"formula": "(a - y)**4/(1 + (a - y)**2)", "scale": "mu/2"}),
    ],
)
def test_every_step_of_every_derivative_holds(layers: tuple[tuple[int, Any], ...], cost: Any) -> None:
    graph = graph_of(*layers, cost=cost)
    laboratory = Laboratory(graph.program)
    findings = [f for d in graph.derivations.values() for f in check_derivation(d, laboratory)]
    assert len(findings) > 15
    assert not [f"{f.equality} ({f.residual}, {f.reason})" for f in findings if not f.holds]


def test_no_letter_is_one_of_the_notation_or_of_the_spec() -> None:
    graph = graph_of((2, "sigmoid"), (1, {"symbol": "g"}), cost={"kind": "squared_error", "scale": "h/2"})
    letters = {node.name for node in graph.inner[:-1]}
    assert not letters & set("abwxyzNLCRneghgo")
    assert {"c", "d", "f", "i"} <= letters
    assert graph.root.name == "C_x"


def test_letters_get_numbers_when_they_run_out() -> None:
    graph = computation_graph(forward_model(load(EXAMPLES / "two-two-two.toml")))
    names = [node.name for node in graph.inner]
    assert len(set(names)) == len(names) == 26
    assert "c_1" in names and str(graph["u"].expr) == "sigma(c_1)"


def test_the_derivative_of_a_sigmoid_is_written_in_its_value() -> None:
    graph = graph_of((1, "sigmoid"))
    d, f = (sp.Symbol(name, real=True) for name in "df")
    assert graph["d"].expr.args == (f,)
    assert sp.simplify(graph.derivatives["f"] - graph.derivatives["d"] * d * (1 - d)) == 0


def test_letters_are_read_back_as_what_they_stand_for() -> None:
    graph = text_graph()
    assert str(graph.read_back(graph.derivatives["W3[1, 2]"])) == "-2*(-a3[1] + y[1])*a2[2]"


def test_the_numbers_of_the_first_example_stand_at_the_nodes() -> None:
    graph = computation_graph(forward_model(load(EXAMPLES / "two-two-two.toml")))
    assert set(graph.values) == set(graph.slopes) == {node.name for node in graph.nodes}
    by_entry = {str(node.entry): node.name for node in graph.nodes if node.entry is not None}
    assert graph.values[by_entry["a2[1]"]] == pytest.approx(0.75136507, abs=5e-9)
    assert graph.values["C_x"] == pytest.approx(0.298371109, abs=5e-10)
    assert graph.slopes["W2[1, 1]"] == pytest.approx(0.082167041, abs=5e-10)
    assert graph.slopes["W1[1, 1]"] == pytest.approx(0.000438568, abs=5e-10)
    assert graph.slopes["C_x"] == 1


def test_where_a_number_is_missing_there_are_none() -> None:
    values = {"x": [[0.5]], "y": [[1.0]], "W1": [[0.3]], "b1": [0.1]}
    assert graph_of((1, "tanh"), values=values).slopes["b1[1]"] < 0
    assert not graph_of((1, "tanh")).values
    assert not graph_of((1, {"symbol": "g"}), values=values).values
    scaled = {"kind": "squared_error", "scale": "mu"}
    assert not graph_of((1, "tanh"), values=values, cost=scaled).values
    assert graph_of((1, "tanh"), values={**values, "mu": 2.0}, cost=scaled).values


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (from_widths("9-9-1"), "more than 60 nodes"),
        (load(EXAMPLES / "any-depth.toml"), "the depth is a symbol"),
        (load(EXAMPLES / "brilliant.toml"), "is a symbol, so there are no single nodes"),
    ],
)
def test_what_nobody_would_read_is_refused(network: Any, reason: str) -> None:
    with pytest.raises(FormRefused, match=reason):
        computation_graph(forward_model(network))
