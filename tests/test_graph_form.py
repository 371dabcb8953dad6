"""The graph form: letters, numbered steps, every equality checked, and a wrong one found out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sympy as sp

import symbackprop as sb
from symbackprop.algebra.equations import Derivation, Partial, Step
from symbackprop.checking.check import Laboratory, check_derivation
from symbackprop.errors import FormRefused
from symbackprop.layout.computation_graph import Graph, computation_graph
from symbackprop.layout.document import Display, Document
from symbackprop.spec.loading import from_widths

EXAMPLES = Path(__file__).parent.parent / "examples"


def network(name: str) -> sb.Network:
    """The network of an example, or of widths with tanh in its hidden layers."""
    return from_widths(name, "tanh") if name[0].isdigit() else sb.load(EXAMPLES / f"{name}.toml")


@cache
def derivation(name: str) -> sb.NetworkDerivation:
    return sb.derive(network(name))


@cache
def document(name: str) -> Document:
    return fresh(name)


def fresh(name: str) -> Document:
    """The document as it comes out now, for a test that changes what makes it."""
    return derivation(name).document(forms=("graph",))


def test_the_small_example_has_its_five_steps() -> None:
    text = document("1-1").to_latex()
    section = text[: text.index(r"\sbpheading{The computation graph}")]
    found = re.findall(r"(?m)^  (\S.*?) &.*\\tag\{step (\d)\} \\label\{sbp:1-1:line-d(.*?)\} ?(.*)$", section)
    steps = [(number, left) for left, number, *_ in found]
    x = r"\sbpsymbol{m} \sbpsymbol{x}"
    assert steps == [
        ("1", rf"\sbppartial{{\sbpsymbol{{y}}}}{{({x} + \sbpsymbol{{c}})}}"),
        ("2", r"\sbppartial{\sbpsymbol{y}}{\sbpsymbol{c}}"),
        ("3", rf"\sbppartial{{\sbpsymbol{{y}}}}{{({x})}}"),
        ("4", r"\sbppartial{\sbpsymbol{y}}{\sbpsymbol{m}}"),
        ("5", r"\sbppartial{\sbpsymbol{y}}{\sbpsymbol{x}}"),
    ]
    results = re.findall(r"&= (\S+) (?:&\\quad & )*\\tag", section)
    assert results == ["1", "1", "1", r"\sbpsymbol{x}", r"\sbpsymbol{m}"]


def test_steps_stand_on_a_line_each_and_say_their_reasons_where_they_do_not() -> None:
    shown = document("1-1")
    (steps,) = (b for b in shown.sections[0].blocks if isinstance(b, Display))
    assert steps.across
    reasons = [row.reason for chain in steps.chains for row in chain.rows]
    assert reasons.count("chain rule") == 4
    assert [chain.start for chain in steps.chains][1].startswith(r"\sbpstep{2} \sbppartial")


def test_every_node_has_a_numbered_step_and_every_parameter_a_result() -> None:
    text = document("computation-graph").to_latex()
    back = text[text.index("Back through the graph") :]
    numbers = [int(n) for n in re.findall(r"\\tag\{step (\d+)\}", back)]
    assert numbers == list(range(1, 24))
    (step,) = re.findall(r".*\n.*\\tag\{step 19\}", back)
    assert r"\sbppartial{\sbpexamplecost}{\sbpsymbol{l}} &=" in step and step.count(r"\sbppartial") == 7
    assert r"-2 (\sbpweight{3}{1}{1} \sbpweight{2}{1}{1} + \sbpweight{3}{1}{2} \sbpweight{2}{2}{1})" in step
    parameters = text[text.index("The derivatives of the parameters") :]
    assert parameters.count(r"\boxed") == 9
    assert r"\boxed{-2 (\sbptargetletter - \sbpact{3}{1}) \sbpact{2}{2}}" in parameters


@pytest.mark.parametrize("name", ["computation-graph", "two-two-two", "1-2-1"])
def test_every_equality_of_the_form_holds(name: str) -> None:
    certificate = document(name).certificate
    assert certificate.holds and len(certificate.findings) > 60
    kinds = {finding.equality.kind for finding in certificate.findings}
    assert {"graph", "line", "network of the graph"} <= kinds
    assert all(f.residual is not None for f in certificate.findings if f.checked)


def test_labels_are_those_of_the_certificate_and_occur_once() -> None:
    shown = document("two-two-two")
    labels = re.findall(r"\\label\{sbp:two-two-two:(.*?)\}", shown.to_latex())
    checked = {re.split(", step ", finding.label)[0] for finding in shown.certificate.findings}
    assert len(labels) == len(set(labels)) > 70 and set(labels) <= checked


def test_the_form_stands_beside_others() -> None:
    both = derivation("two-two-two").document(forms=("index", "graph"))
    assert both.certificate.holds
    assert both.to_latex().count(r"\label") == len(set(re.findall(r"\\label\{.*?\}", both.to_latex())))


@pytest.mark.parametrize("name", ["any-depth", "mlp-784-128-64-10", "brilliant", "9-9-9"])
def test_a_graph_that_nobody_would_read_is_refused(name: str) -> None:
    with pytest.raises(FormRefused, match=r"form: graph: .*: use "):
        document(name)


# --- corruptions -------------------------------------------------------------------------------


def corrupted(expr: sp.Expr, graph: Graph) -> Iterator[sp.Expr]:
    """Wrong signs, dropped paths, missing and doubled factors, wrong letters and wrong local slopes."""
    yield -expr
    yield 2 * expr
    for node in sorted(expr.atoms(sp.Add), key=str):
        for term in node.args:
            yield expr.xreplace({node: node - term})
    if isinstance(expr, sp.Mul):
        for factor in expr.args:
            if not is_one(factor, graph):
                yield expr / factor
    letters = sorted((s for s in expr.free_symbols if s.name in graph.quantities), key=str)
    others = [node.own for node in graph.inner if node.own not in letters]
    for letter in letters if not expr.has(Partial) else ():
        yield expr.xreplace({letter: others[0]})


def is_one(factor: sp.Expr, graph: Graph) -> bool:
    """Whether a factor is the slope of a sum, which may go without being missed."""
    return isinstance(factor, Partial) and graph[str(factor.of)].operation in ("add", "subtract")


@pytest.mark.parametrize("name", ["computation-graph", "two-two-two", "1-2-1"])
def test_every_corrupted_step_is_caught(name: str) -> None:
    graph = computation_graph(derivation(name).model)
    laboratory = Laboratory(graph.program)
    tried = 0
    for derived in graph.derivations.values():
        for at, step in enumerate(derived.steps):
            for wrong in corrupted(step.after, graph):
                bad = (*derived.steps[:at], replace(step, after=wrong))
                finding = check_derivation(Derivation(derived.goal, bad), laboratory)[at]
                assert not finding.holds, f"{step.before} = {wrong}"
                tried += 1
    assert tried > 200


def test_a_wrong_step_is_marked_in_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong_graph(*arguments: Any) -> Graph:
        graph = computation_graph(*arguments)
        name = next(node.name for node in graph.inner if len(graph.consumers[node.name]) > 1)
        steps = graph.derivations[name].steps
        dropped = Step(steps[-1].rule, steps[-1].before, steps[-1].after / 2)
        wrong = {**graph.derivations, name: Derivation(graph.derivations[name].goal, (*steps[:-1], dropped))}
        graph.__dict__["derivations"] = wrong
        return graph

    monkeypatch.setattr("symbackprop.layout.writer.computation_graph", wrong_graph)
    shown = fresh("computation-graph")
    (failed,) = [finding for finding in shown.certificate.findings if not finding.holds]
    assert failed.equality.label.startswith("graph-dl, step ")
    assert not shown.certificate.holds and shown.to_latex().count(r"\sbpfailed") == 1


def test_a_wrong_letter_for_an_entry_is_found_in_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nodes are checked against the network's own equations, not against themselves."""

    def wrong_graph(*arguments: Any) -> Graph:
        graph = computation_graph(*arguments)
        nodes = tuple(
            replace(node, expr=node.expr + 1) if str(node.entry) == "a2[1]" else node for node in graph.nodes
        )
        return replace(graph, nodes=nodes)

    monkeypatch.setattr("symbackprop.layout.writer.computation_graph", wrong_graph)
    failed = [f for f in fresh("computation-graph").certificate.findings if not f.holds]
    assert [finding.equality.label for finding in failed] == ["graph-h"]


def test_displays_of_steps_hold_one_level_each() -> None:
    sections = document("computation-graph").sections
    displays = [block for block in sections[2].blocks if isinstance(block, Display)]
    assert [len(display.chains) for display in displays] == [1, 1, 2, 2, 2, 4, 4, 3, 2, 2]
