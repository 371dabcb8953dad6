"""Counts of operations: those of SymPy where everything is written out, and no more work than the graph."""

from __future__ import annotations

import pytest
import sympy as sp
from sympy.core.parameters import distribute

import symbackprop as sb
from symbackprop.algebra.components import expanded, written_out
from symbackprop.errors import FormRefused
from symbackprop.forward.compose import raw_gradient
from symbackprop.layout.document import Table
from symbackprop.layout.swell import Counter, SwellRow, swell
from symbackprop.spec.loading import from_widths

NETWORKS = ("1-1", "2-1", "2-2-1", "3-2-2", "3-3-3-3")


def rows_of(network: sb.Network) -> dict[str, SwellRow]:
    return {row.quantity.name: row for row in swell(sb.derive(network))}


def half_squared(widths: list[int]) -> sb.Network:
    first, *others = widths
    layers = [{"size": size, "activation": "sigmoid"} for size in others]
    cost = {"kind": "squared_error", "scale": "1/2"}
    return sb.from_mapping({"name": "t", "input": {"size": first}, "layers": layers, "cost": cost})


@pytest.mark.parametrize("widths", NETWORKS)
def test_what_is_written_out_is_counted_as_sympy_counts_it(widths: str) -> None:
    derivation = sb.derive(from_widths(widths, "tanh", "tanh"))
    rows = rows_of(derivation.network)
    for parameter in derivation.model.program.parameters:
        with distribute(False):
            raw = raw_gradient(derivation.example_cost, parameter[(sp.S.One,) * len(parameter.dims)])
            on_paper = expanded(raw, {})
        row = rows[f"d{parameter.name}"]
        assert row.written_out == row.entries * on_paper.count_ops()


@pytest.mark.parametrize("widths", NETWORKS)
def test_the_delta_form_is_counted_as_sympy_counts_it(widths: str) -> None:
    derivation = sb.derive(from_widths(widths, "tanh", "sigmoid"))
    rows = rows_of(derivation.network)
    for equation in derivation.equations:
        entries = list(written_out(equation, dict(derivation.model.sizes)))
        row = rows[equation.quantity.name]
        assert (row.entries, row.delta_form) == (len(entries), sum(v.count_ops() for _, v in entries))


def test_all_entries_of_a_weight_take_the_same_operations() -> None:
    derivation = sb.derive(from_widths("3-2-2", "tanh"))
    row = rows_of(derivation.network)["dW1"]
    weight = derivation.model.program.parameters[0]
    with distribute(False):
        counts = [
            expanded(
                raw_gradient(derivation.example_cost, weight[sp.Integer(j), sp.Integer(k)]), {}
            ).count_ops()
            for j in (1, 2)
            for k in (1, 2, 3)
        ]
    assert len(set(counts)) == 1 and sum(counts) == row.written_out


def test_a_3_3_3_3_network_swells() -> None:
    rows = swell(sb.derive(half_squared([3, 3, 3, 3])))
    assert sum(row.delta_form for row in rows) == 87
    assert sum(row.written_out or 0 for row in rows) == 21_474


def test_nothing_is_written_out_for_it() -> None:
    """A network whose gradients have more operations than anything could write."""
    rows = rows_of(from_widths("784-128-64-10"))
    assert rows["dW1"].written_out > 10**13
    deep = rows_of(from_widths("-".join(["4"] * 16)))
    assert deep["dW1"].written_out > 10**12 and deep["dW1"].delta_form == 16


@pytest.mark.parametrize(
    ("cost", "output"),
    [("cross_entropy", "softmax"), ("huber", "linear"), ("binary_cross_entropy", "sigmoid")],
)
def test_any_cost_can_be_counted(cost: str, output: str) -> None:
    rows = rows_of(from_widths("2-3-2", "relu", output, cost))
    assert all(row.written_out > 10 * row.delta_form for name, row in rows.items() if name.startswith("dW"))


def test_a_kronecker_delta_of_two_letters_is_refused() -> None:
    j, k, n = sp.symbols("j k n", integer=True, positive=True)
    with pytest.raises(sb.NoRule, match="its indices are not numbers"):
        Counter({n: 3})(sp.Sum(sp.KroneckerDelta(j, k), (k, 1, n)))


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (lambda: sb.load("-".join(["2"] * 30)), "29 layers are written into each other"),
        (
            lambda: sb.from_mapping(
                {
                    "name": "t",
                    "input": {"size": "n_0"},
                    "layers": [{"size": 2, "activation": "tanh"}],
                    "cost": {"kind": "squared_error"},
                }
            ),
            "the size n_0 is a symbol",
        ),
    ],
)
def test_what_cannot_be_counted_is_refused(network, reason: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(FormRefused, match=f"form: swell: .*{reason}.*: use index or matrix"):
        swell(sb.derive(network()))


def test_the_table() -> None:
    document = sb.derive(half_squared([2, 2, 2])).document(forms=("swell",))
    (section,) = document.sections
    table = section.blocks[-1]
    assert isinstance(table, Table)
    assert table.header == ("derivative", "entries", "written out", "delta form")
    assert table.rows[0] == (r"with respect to $\sbppactvec{2}$, $\sbpdeltavec{2}$", "2", "", "8")
    assert table.rows[-1] == ("together", "12", "728", "28")
    assert "together & 12 & 728 & 28" in document.to_latex()
