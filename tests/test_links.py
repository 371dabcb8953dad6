"""A line and the same line in matrix form refer to each other, on paper, in Markdown and in a notebook."""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache

import pytest

import symbackprop as sb
from symbackprop.layout.document import Chain, Display, Document, Section, chains
from symbackprop.layout.links import with_links
from symbackprop.media.markdown import markdown
from symbackprop.media.notebook import notebook

DOCUMENT = r"""\documentclass{article}
\pdfobjcompresslevel=0
\usepackage{symbackprop}
%s
\begin{document}
\input{fragment}
\end{document}
"""


@cache
def derivation() -> sb.NetworkDerivation:
    return sb.derive(sb.load("2-3-2"))


@cache
def document() -> Document:
    return derivation().document(forms=("index", "matrix"))


def pairs() -> list[tuple[str, str]]:
    """Each label with the one that its line refers to."""
    return [(c.label, c.link.label) for c in chains(document().sections) if c.link is not None]


def test_links_lead_both_ways():
    found = set(pairs())
    assert {("delta-1", "delta-1-matrix"), ("grad-W-2", "grad-W-2-batch")} <= found
    assert found == {(there, here) for here, there in found}


def test_every_boxed_line_in_index_form_has_its_matrix_line():
    boxed = {c.label for c in chains(document().sections[:-1]) if c.rows[-1].boxed}
    assert boxed and boxed <= {here for here, _ in pairs()}


def test_one_form_alone_has_no_links_and_lines_as_long_as_ever():
    alone = derivation().document(forms=("index",))
    assert all(chain.link is None for chain in chains(alone.sections))
    assert r"\sbpsee" not in alone.to_latex()


def test_brief_is_linked_too():
    brief = derivation().document(forms=("index", "matrix"), detail="brief")
    assert {c.link.label for c in chains(brief.sections) if c.link} >= {"delta-1", "delta-1-matrix"}


def test_the_fragment_refers_by_number_to_labels_that_it_has():
    text = document().to_latex("notes")
    references = re.findall(r"\\sbpsee\{(?:(?:matrix|index) form|[^}]*, cf\.)\}\{([^}]*)\}", text)
    assert len(references) == len(pairs())
    assert set(references) <= set(re.findall(r"\\label\{([^}]*)\}", text))


@pytest.mark.parametrize(("package", "links"), [("", False), (r"\usepackage{hyperref}", True)])
def test_links_in_a_pdf_come_from_hyperref_and_numbers_need_nothing(package, links, tex, tmp_path):
    (tmp_path / "fragment.tex").write_text(document().to_latex(), "ascii")
    (tmp_path / "symbackprop.sty").write_text(document().style(), "ascii")
    (tmp_path / "main.tex").write_text(DOCUMENT % package, "ascii")
    command = [tex, "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    for _ in range(2):
        subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    log = (tmp_path / "main.log").read_text("latin-1")
    assert "undefined" not in log and not re.search(r"(?m)^(?:!|LaTeX Warning)", log)
    annotations = len(re.findall(rb"/Subtype\s*/Link", (tmp_path / "main.pdf").read_bytes()))
    assert annotations == (len(pairs()) if links else 0)


@pytest.mark.parametrize(
    ("flavour", "target", "reference"),
    [
        ("md", "{#eq:2-3-2-delta-1-matrix}", "[Matrix form](#eq:2-3-2-delta-1-matrix)"),
        ("md-quarto", "{#eq-2-3-2-delta-1-matrix}", "Matrix form: @eq-2-3-2-delta-1-matrix"),
        ("md-myst", "(2-3-2-delta-1-matrix)", "Matrix form: {eq}`2-3-2-delta-1-matrix`"),
    ],
)
def test_markdown_refers_as_its_flavour_does(flavour, target, reference):
    text = markdown(document(), flavour)
    assert f"$$ {target}" in text or f"$$]{target}" in text
    assert f"\n\n{reference}\n\n" in text


def test_a_notebook_links_to_the_headings_over_the_other_form():
    pytest.importorskip("nbformat")
    cells = json.loads(notebook(document(), derivation()))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    hidden = "[The hidden layers](#The-hidden-layers)"
    assert "\n\n[Matrix form](#Matrix-form)\n" in text and f", {hidden}," in text
    targets, anchors = set(re.findall(r"\]\(#([^)]*)\)", text)), re.findall(r'<a id="([^"]*)"></a>', text)
    headings = {heading.replace(" ", "-") for heading in re.findall(r"(?m)^## (.*)$", text)}
    assert targets == set(anchors) <= headings and len(anchors) == len(set(anchors))


def test_a_line_that_leaves_no_room_for_its_link_has_none() -> None:
    one, other = Display((Chain("a", (), "a-1"),)), Display((Chain("a", (), "a-1-matrix"),))
    sections = [Section("Indices", (one,)), Section("Matrices", (other,))]
    fits = lambda display: display.chains[0].label == "a-1" or display.chains[0].link is None  # noqa: E731
    told = with_links(sections, fits)
    assert [chain.link is not None for chain in chains(told)] == [True, False]
