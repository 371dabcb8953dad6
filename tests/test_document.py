"""What a document is made of: blocks, and how a fragment lays them out."""

from __future__ import annotations

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
