"""What a document is made of: blocks, and how a fragment lays them out."""

from __future__ import annotations

import symbackprop as sb
from symbackprop.layout.document import Certificate, Chain, Display, Document, Paragraph, Row, Section, Table
from symbackprop.notation.notation import load_notation


def fragment(*blocks: Paragraph | Display | Table) -> str:
    section = Section("A heading", blocks)
    return Document("t", "", "T", load_notation(), ("index",), (section,), Certificate(())).to_latex()


def test_a_table_has_a_line_for_each_row_and_lines_around_its_header() -> None:
    text = fragment(Table(("Name", "written out", "$C$"), (("$b$", "1", "20"), ("$w$", "300", "4"))))
    assert (
        "\\begin{tabular}{lrr}\n\\hline\nName & written out & $C$ \\\\\n\\hline\n"
        "$\\displaystyle b$ & 1 & 20 \\\\\n$\\displaystyle w$ & 300 & 4 \\\\\n\\hline\n\\end{tabular}"
    ) in text


def test_a_row_says_whether_its_number_was_rounded() -> None:
    rows = (Row((r"\frac{1}{3}",)), Row(("0.333",), sign=r"\approx", reason="rounded"))
    text = fragment(Paragraph("So:"), Display((Chain("z", rows, "z"),)))
    assert "z &= \\frac{1}{3} \\notag \\\\*\n  &\\approx 0.333 && \\sbpreason{rounded}" in text


def test_a_factor_that_names_the_number_of_examples_is_checked_in_every_form():
    cost = {"kind": "squared_error", "scale": "1/(2*N)", "examples": "sum"}
    layers = [{"size": 2, "activation": "tanh"}, {"size": 1, "activation": "linear"}]
    derivation = sb.derive(
        sb.from_mapping({"name": "n", "input": {"size": 2}, "layers": layers, "cost": cost})
    )
    for form in ("components", "graph", "index", "matrix"):
        certificate = derivation.certificate((form,))
        assert certificate.holds, (form, [f for f in certificate.findings if not f.holds])
    assert derivation.document("punnen").certificate.holds


def test_instances_that_leave_the_rational_numbers_leave_them_together():
    layers = [
        {"size": 2, "activation": {"formula": "z**3"}},
        {"size": 1, "activation": {"formula": "z**2/(1+z**2)"}},
    ]
    spec = {"name": "p", "input": {"size": 2}, "layers": layers, "cost": {"kind": "squared_error"}}
    assert sb.derive(sb.from_mapping(spec)).certificate().holds
