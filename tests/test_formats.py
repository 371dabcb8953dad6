"""The formats of a derivation: slides, brief detail, progress, and what is said about what is missing."""

from __future__ import annotations

import ast
import base64
import html
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from outside import program

import symbackprop as sb
from symbackprop.cli import cli
from symbackprop.layout.detail import brief
from symbackprop.layout.document import Chain, Display, Document, Paragraph, Row, Section
from symbackprop.layout.manner import Manner
from symbackprop.media import katex
from symbackprop.media.files import SHEETS, TEXTS, WIDEST, Order, article_sources, texts
from symbackprop.media.markdown import FLAVOURS, escaped, markdown
from symbackprop.media.notebook import notebook
from symbackprop.media.slides import slides
from symbackprop.pipeline import NetworkDerivation
from symbackprop.printing.linebreak import SCREEN, SLIDE
from symbackprop.printing.measure import rendered_width
from symbackprop.progress import PATIENCE, progress
from symbackprop.rendering.prose import literal
from symbackprop.spec.catalogue import FORMATS

ROOT = Path(__file__).parent.parent
EXAMPLES = {path.stem: path for path in sorted((ROOT / "examples").glob("*.toml"))}
TINY = "two-two-two"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@cache
def derivation(name: str = TINY) -> NetworkDerivation:
    return sb.derive(sb.load(EXAMPLES[name]))


@cache
def document(name: str = TINY, *forms: str, detail: str = "full", budget: float = 70.0) -> Document:
    return derivation(name).document(forms=forms, detail=detail, budget=budget)


def examples(*everyday: str) -> list[object]:
    """Every example as a parameter: those named are for the everyday run, the others are slow."""
    return [n if n in everyday else pytest.param(n, marks=pytest.mark.slow) for n in EXAMPLES]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def chains(made: Document) -> list[Chain]:
    blocks = (block for section in made.sections for block in section.blocks)
    return [chain for block in blocks if isinstance(block, Display) for chain in block.chains]


def log_of(tex: str, file: Path, passes: int = 2) -> str:
    """The log of the last pass of pdflatex."""
    command = [tex, "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", file.name]
    for _ in range(passes):
        subprocess.run(command, cwd=file.parent, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    return file.with_suffix(".log").read_text("latin-1")


def complaints(log: str) -> list[str]:
    """Errors, warnings, and boxes that stick out by more than 10 pt, to the side or at the bottom."""
    boxes = re.findall(r"(?m)^Overfull \\[hv]box \(([\d.]+)pt.*$", log)
    wide = [f"overfull by {box} pt" for box in boxes if float(box) > 10]
    return [*re.findall(r"(?m)^(?:!|LaTeX Warning|Package (?!shellesc)\w+ Warning).*$", log), *wide]


# --- the tables ----------------------------------------------------------------------------------


def test_every_format_is_in_a_table() -> None:
    assert TEXTS.keys() | SHEETS.keys() == FORMATS.keys()


def test_without_tex_all_text_is_written_and_what_is_missing_is_said_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    result = run("derive", EXAMPLES[TINY], "--to", "pdf", "--to", "slides", "--to", "html")
    assert result.exit_code == 3
    written = [Path(path).name for path in result.stdout.splitlines()]
    assert {f"{TINY}.tex", f"{TINY}-slides.tex", f"{TINY}.html"} <= {*written}
    assert not [name for name in written if name.endswith(".pdf")]
    assert result.stderr.count("apt-get install") == 1 and "everything else is written" in result.stderr


def test_a_package_that_tex_lacks_is_a_missing_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = tmp_path / "pdflatex"
    fake.write_text('#!/bin/sh\necho "! LaTeX Error: File \\`beamer.cls\' not found."\nexit 1\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    result = run("derive", "1-1", "--form", "matrix", "--to", "slides")
    assert result.exit_code == 3, result.output
    assert "beamer.cls" in result.stderr and "apt-get install" in result.stderr


# --- progress ------------------------------------------------------------------------------------


def test_what_takes_long_is_said_and_what_does_not_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(PATIENCE, "0.01")
    with progress("counting sheep"):
        time.sleep(0.2)
    assert capsys.readouterr() == ("", "symbackprop: counting sheep ...\n")
    monkeypatch.setenv(PATIENCE, "60")
    with progress("counting sheep"):
        pass
    assert capsys.readouterr() == ("", "")


def test_progress_goes_to_stderr_and_names_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATIENCE, "0")
    result = run("derive", "1-1", "--form", "matrix", "--to", "html")
    lines = result.stderr.splitlines()
    assert any("checking every equality" in line for line in lines)
    assert all(line.startswith("symbackprop: ") for line in lines)
    assert all(Path(path).is_file() for path in result.stdout.splitlines())


# --- detail --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["index", "matrix", "worked", "graph", "components"])
def test_brief_has_a_row_for_each_equality_and_every_one_holds(form: str) -> None:
    short = document(TINY, form, detail="brief")
    assert chains(short) and all(len(chain.rows) == 1 for chain in chains(short))
    assert all(not row.reason for chain in chains(short) for row in chain.rows)
    assert short.certificate.holds


def test_brief_keeps_definitions_and_results_and_leaves_out_what_is_between() -> None:
    labels = [chain.label for chain in chains(document(TINY, "index", detail="brief"))]
    assert {"z-1", "a-2", "cost", "f-sigma", "df-sigma"} <= {*labels}
    assert {"delta-2", "delta-1", "dW-1", "db-1", "dW-2", "db-2", "grad-W-1", "grad-b-2"} <= {*labels}
    assert "dC-da1" not in labels
    matrix = [chain.label for chain in chains(document(TINY, "matrix", detail="brief"))]
    assert "delta-1-matrix" in matrix and "delta-1-transpose" not in matrix


def test_a_result_claims_its_own_left_side_and_is_checked_as_such() -> None:
    (delta,) = [c for c in chains(document(TINY, "index", detail="brief")) if c.label == "delta-1"]
    (row,) = delta.rows
    assert row.boxed and str(row.equality) == (
        "delta1[j] = (1 - a1[j])*a1[j]*Sum(W2[k, j]*delta2[k], (k, 1, n_2))"
    )
    assert row.equality in {f.equality for f in document(TINY, "index", detail="brief").certificate.findings}


def test_a_sentence_goes_with_the_steps_that_it_leads_to() -> None:
    step = Display((Chain("a", (Row(("b",), "why"), Row(("c",), "why")), "x"),))
    defined = Display((Chain("d", (Row(("e",)),), "y"),))
    told = (Paragraph("Meet $d$."), Paragraph("It is worked out so:"), step, Paragraph("By name:"), defined)
    (section,) = brief([Section("One", told), Section("Two", (Paragraph("See:"), step))])
    assert section.blocks == (Paragraph("Meet $d$."), Paragraph("By name:"), defined)


def test_an_unknown_detail_is_a_line(tmp_path: Path) -> None:
    result = run("derive", EXAMPLES[TINY], "--detail", "short")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "symbackprop: detail: 'short': there are brief and full\n"
    assert not (tmp_path / "output").exists()


# --- notations -----------------------------------------------------------------------------------


def test_a_notation_may_be_a_file_of_ones_own(tmp_path: Path) -> None:
    shipped = ROOT / "symbackprop" / "data" / "notations" / "nielsen.toml"
    own = tmp_path / "mine.toml"
    text = shipped.read_text("utf-8")
    own.write_text(re.sub(r"(?m)^activation = .*$", "activation = 'h'", text, count=1), "utf-8")
    assert own.read_text("utf-8") != text
    result = run("derive", "1-1", "--notation", own, "--form", "matrix")
    assert result.exit_code == 0, result.output
    style = Path("output/1-1/symbackprop.sty").read_text("ascii")
    assert r"\providecommand{\sbpactletter}{h}" in style


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "mine.toml"),
        ("layer = [", "mine.toml"),
        ("colour = 'red'", "colour"),
    ],
)
def test_a_wrong_notation_file_is_refused_in_lines(text: str | None, words: str, tmp_path: Path) -> None:
    own = tmp_path / "mine.toml"
    if text is not None:
        own.write_text(text, "utf-8")
    result = run("derive", "1-1", "--notation", own)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert words in result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "output").exists()


# --- slides --------------------------------------------------------------------------------------


def frames(source: str) -> list[str]:
    return re.findall(r"\\begin\{frame\}\n(.*?)\\end\{frame\}", source, re.S)


def test_each_step_of_a_derivation_is_an_overlay() -> None:
    (chain,) = [c for c in chains(document(TINY, "index", budget=SLIDE)) if c.label == "delta-2"]
    source = slides(document(TINY, "index", budget=SLIDE))
    (frame,) = [f for f in frames(source) if "delta-2}" in f]
    overlays = re.findall(r"&\\uncover<(\d+)->", frame)
    assert [int(o) for o in dict.fromkeys(overlays)] == [*range(2, len(chain.rows) + 1)]
    assert rf"\sbpfrom{{{len(chain.rows)}}}\label{{sbp:{TINY}:delta-2}}" in frame


def test_every_label_and_every_row_is_on_a_slide() -> None:
    made = document(TINY, budget=SLIDE)
    source = slides(made)
    assert re.findall(rf"\\label\{{sbp:{TINY}:([^}}]*)\}}", source) == [c.label for c in chains(made)]
    rows = [line for chain in chains(made) for row in chain.rows for line in row.lines]
    assert all(line in source for line in rows)
    assert max(rendered_width(line, made.notation) for line in rows) < SLIDE * 1.1


@pytest.mark.slow
def test_a_derivation_that_is_cut_starts_again_from_where_it_was() -> None:
    made = document("mlp-784-128-64-10", "index", budget=SLIDE)
    (chain,) = [c for c in chains(made) if c.label == "delta-3"]
    cut = [frame for frame in frames(slides(made)) if rf"  {chain.left} &" in frame]
    assert len(cut) > 1
    for before, after in pairwise(cut):
        repeated = re.search(r"&(?:\{\})?= (.*?) \\notag", after.split(chain.left, 1)[1])[1]
        assert repeated in before


def test_frames_are_counted_and_a_picture_has_a_title() -> None:
    made = document(TINY, "index", budget=SLIDE)
    shown = slides(made, {"network": derivation().pictures()["network"].drawing})
    titles = re.findall(r"\\frametitle\{(.*?)\}\n", shown)
    assert titles[:2] == ["The network", "The network"] and r"\begin{tikzpicture}" in frames(shown)[0]
    numbered = [title for title in titles if title.startswith("The hidden layers")]
    assert numbered == [f"The hidden layers ({n}/{len(numbered)})" for n in range(1, len(numbered) + 1)]


@pytest.mark.slow
def test_no_frame_ends_with_a_sentence_that_leads_on() -> None:
    for name in ("layers", "computation-graph", "brilliant", "jagtap", "punnen"):
        shown = slides(derivation(name).document(name, ("argument",), budget=SLIDE))
        for frame in frames(shown):
            *_, last = [line for line in frame.splitlines() if line.strip()]
            assert not re.search(r"[:,]\\par$", last), frame


def test_a_frame_begins_with_a_capital_and_the_lines_of_a_step_are_one_overlay() -> None:
    shown = slides(derivation("layers").document("layers", ("argument",), budget=SLIDE))
    firsts = [re.search(r"\\frametitle\{.*\}\n(.*)", frame)[1] for frame in frames(shown)]
    assert all(not first[:1].islower() for first in firsts)
    steps = slides(document(TINY, "graph", budget=SLIDE))
    assert r"\tag{step 1}\label" in steps and steps.count(r"\uncover") < 200


@pytest.mark.slow
def test_free_text_on_a_slide_is_inert() -> None:
    spec = EXAMPLES[TINY].read_text("utf-8").replace("A 2-2-2 network", r"\\input{x} 50% & <2-> [a]")
    Path("spec.toml").write_text(spec, "utf-8")
    assert run("derive", "spec.toml", "--form", "matrix", "--to", "slides").exit_code in (0, 3)
    source = Path(f"output/{TINY}/{TINY}-slides.tex").read_text("ascii")
    assert r"\textbackslash{}input\{x\} 50\% \& \textless{}2-\textgreater{}" in source


@pytest.mark.slow
@pytest.mark.parametrize("name", examples("jagtap"))
def test_slides_of_an_example_compile_and_nothing_sticks_out(name: str, tex: str, tmp_path: Path) -> None:
    made = document(name, budget=SLIDE)
    (tmp_path / "symbackprop.sty").write_text(made.style(), "ascii")
    (tmp_path / "s.tex").write_text(slides(made), "ascii")
    assert complaints(log_of(tex, tmp_path / "s.tex")) == []


@pytest.mark.slow
@pytest.mark.parametrize("form", ["worked", "graph", "components", "swell", "general"])
def test_slides_of_every_form_compile(form: str, tex: str, tmp_path: Path) -> None:
    made = document(TINY, form, budget=SLIDE)
    (tmp_path / "symbackprop.sty").write_text(made.style(), "ascii")
    (tmp_path / "s.tex").write_text(slides(made), "ascii")
    assert complaints(log_of(tex, tmp_path / "s.tex")) == []


@pytest.mark.slow
def test_the_slides_are_a_pdf_with_a_page_for_each_step(tex: str) -> None:
    result = run("derive", EXAMPLES[TINY], "--form", "index", "--to", "slides")
    assert result.exit_code == 0, result.output
    pdf = result.stdout.splitlines()[-1]
    assert pdf == f"output/{TINY}/{TINY}-slides.pdf"
    told = subprocess.run(
        [program("pdfinfo", "poppler-utils"), pdf], capture_output=True, text=True, check=True
    )
    steps = sum(len(chain.rows) - 1 for chain in chains(document(TINY, "index", budget=SLIDE)))
    assert int(re.search(r"Pages: +(\d+)", told.stdout)[1]) > steps > 10


# --- pictures, and one equation alone ------------------------------------------------------------


def test_the_pictures_are_files_and_stand_in_the_slides() -> None:
    result = run("derive", "2-2", "--form", "matrix", "--to", "svg", "--to", "tikz")
    assert result.exit_code == 0, result.output
    files = {Path(path).name: Path(path).read_text("utf-8") for path in result.stdout.splitlines()}
    assert files["2-2-network.svg"].startswith("<svg") and r"\begin{tikzpicture}" in files["2-2-network.tex"]
    assert "tikz" not in files["2-2.tex"]
    pictures = {"network": derivation().pictures()["network"].drawing}
    assert slides(document(TINY, "matrix"), pictures).count(r"\begin{tikzpicture}") == 1


def test_a_picture_that_no_page_could_hold_is_a_file_only() -> None:
    order = Order(derivation(), Manner(forms=("graph",)))
    wide = [each.drawing for each in order.pictures.values() if each.drawing.frame.width > WIDEST]
    assert [drawing.name for drawing in wide] == [f"{TINY}-graph"]
    assert [drawing.name for drawing in order.drawings.values()] == [f"{TINY}-network"]
    small = Order(sb.derive(sb.load("1-1")), Manner(forms=("graph",)))
    assert len(small.drawings) == 2 and len(Order(small.derivation).drawings) == 1


@pytest.mark.slow
def test_standalone_says_which_labels_there_are(tmp_path: Path) -> None:
    for arguments in ((), ("--only", "delta-9")):
        result = run("derive", EXAMPLES[TINY], "--to", "standalone", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        (line,) = result.stderr.splitlines()
        assert "there are network" in line and "delta-1" in line and "delta-1-matrix" in line
    assert run("derive", EXAMPLES[TINY], "--only", "delta-1").stderr == (
        "symbackprop: --only: this goes with --to standalone\n"
    )
    assert not (tmp_path / "output").exists()


def test_an_equation_alone_is_its_left_side_and_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    result = run("derive", EXAMPLES[TINY], "--form", "index", "--to", "standalone", "--only", "delta-1")
    assert result.exit_code == 3
    source = Path(f"output/{TINY}/{TINY}-delta-1-standalone.tex").read_text("ascii")
    (chain,) = [c for c in chains(document(TINY, "index")) if c.label == "delta-1"]
    assert rf"{chain.left} &= {chain.rows[-1].lines[0]}" in source
    assert r"\boxed" not in source and r"\label" not in source and source.count("&=") == 1


@pytest.mark.slow
def test_equations_and_pictures_alone_compile(tex: str) -> None:
    labels = ("delta-1", "composite", "delta-1-matrix", "network")
    only = [argument for label in labels for argument in ("--only", label)]
    result = run("derive", EXAMPLES[TINY], "--to", "standalone", *only)
    assert result.exit_code == 0, result.output
    for label in labels:
        file = Path(f"output/{TINY}/{TINY}-{label}-standalone.tex")
        assert file.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
        assert complaints(log_of(tex, file, 1)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", list(EXAMPLES))
def test_the_article_of_an_example_compiles_with_its_picture(name: str, tex: str, tmp_path: Path) -> None:
    order = Order(derivation(name))
    assert order.drawings
    sources = article_sources(order)
    for file, text in sources.items():
        (tmp_path / file).write_text(text, "ascii")
    assert "".join(sources.values()).count(r"\begin{tikzpicture}") == len(order.drawings)
    assert complaints(log_of(tex, tmp_path / "article.tex")) == []


# --- Markdown ------------------------------------------------------------------------------------

UGLY = r"*a* _b_ `c` <script>alert(1)</script> [d](e) $x$ # {{< f >}} {g} | ~h~ ^i^ @j &amp; -- http://k \l"


def titled(made: Document, title: str) -> Document:
    return replace(made, title=literal(title))


@pytest.mark.parametrize("flavour", list(FLAVOURS))
def test_no_macro_of_ours_is_left_in_markdown(flavour: str) -> None:
    for forms in ((), ("graph", "worked", "swell", "components")):
        text = markdown(document(TINY, *forms, budget=SCREEN), flavour)
        assert r"\sbp" not in text and r"\label" not in text and r"\tag" not in text
        assert text.count(r"\begin{aligned}") == text.count(r"\end{aligned}") > 5


LABELS = {"md": r"^\$\$\]\{#eq:(.*)\}$", "md-quarto": r"^\$\$ \{#eq-(.*)\}$", "md-myst": r"^\$\$ \((.*)\)$"}


@pytest.mark.parametrize("flavour", list(FLAVOURS))
def test_every_label_is_that_of_one_block(flavour: str) -> None:
    made = document(TINY, budget=SCREEN)
    found = re.findall(f"(?m){LABELS[flavour]}", markdown(made, flavour))
    assert found == [f"{TINY}-{chain.label}" for chain in chains(made) if chain.label]


def test_words_are_escaped_for_markdown() -> None:
    assert escaped("a_b*c`<d>") == r"a\_b\*c\`\<d\>"
    started = replace(
        document(TINY, "matrix"), sections=(Section("s", (Paragraph("1. a"), Paragraph("- b"))),)
    )
    assert markdown(started).splitlines()[-3:] == [r"1\. a", "", r"\- b"]


def test_a_failed_check_is_marked_in_markdown() -> None:
    made = document(TINY, "matrix", budget=SCREEN)
    findings = tuple(replace(finding, holds=False) for finding in made.certificate.findings)
    failed = replace(made, certificate=replace(made.certificate, findings=findings))
    assert "not confirmed" in markdown(failed) and "not confirmed" not in markdown(made)


def test_words_in_formulas_are_letters_in_every_language() -> None:
    made = derivation().document(forms=["matrix"], language="de", budget=SCREEN)
    findings = tuple(replace(finding, holds=False) for finding in made.certificate.findings)
    text = markdown(replace(made, certificate=replace(made.certificate, findings=findings)))
    (marked,) = {*re.findall(r"\\quad\\text\{(\[.*?\])\}", text)}
    assert marked.isprintable() and "\\" not in marked and any(ord(char) > 127 for char in marked)


def converted(pandoc: str, text: str, to: str) -> str:
    """What pandoc makes of Markdown; a warning of its is a failure."""
    command = [pandoc, "-f", "markdown", "-s", "--fail-if-warnings", "--mathjax", "-t", to]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("flavour", list(FLAVOURS))
@pytest.mark.parametrize("name", list(EXAMPLES))
def test_pandoc_makes_latex_and_html_without_a_warning(
    name: str, flavour: str, pandoc: str, tex: str, tmp_path: Path
) -> None:
    text = markdown(document(name, budget=SCREEN), flavour)
    page = converted(pandoc, text, "html")
    assert page.count('class="math display"') == len(chains(document(name, budget=SCREEN)))
    assert "$" not in re.sub(r"(?s)<style.*?</style>|<script.*?</script>", "", page)
    if flavour == "md":
        assert f'id="eq:{name}-cost"' in page
    (tmp_path / "p.tex").write_text(converted(pandoc, text, "latex"), "utf-8")
    assert [line for line in complaints(log_of(tex, tmp_path / "p.tex")) if "overfull" not in line] == []


@pytest.mark.slow
@pytest.mark.parametrize("flavour", list(FLAVOURS))
def test_a_title_is_inert_for_pandoc(flavour: str, pandoc: str) -> None:
    page = converted(pandoc, markdown(titled(document(TINY, "matrix"), UGLY), flavour), "html")
    shown = " ".join(html.unescape(re.sub(r"<[^>]*>", "", page)).split())
    assert UGLY in shown
    assert "<script>alert" not in page


@pytest.mark.slow
def test_myst_finds_every_label_and_a_title_that_is_words() -> None:
    parser = pytest.importorskip("myst_parser.parsers.mdit")
    from myst_parser.config.main import MdParserConfig
    from myst_parser.mdit_to_docutils.base import DocutilsRenderer

    config = MdParserConfig(enable_extensions={"dollarmath"})
    made = document(TINY, budget=SCREEN)
    tokens = parser.create_md_parser(config, DocutilsRenderer).parse(markdown(titled(made, UGLY), "md-myst"))
    labels = [token.info for token in tokens if token.type == "math_block_label"]
    assert labels == [f"{TINY}-{chain.label}" for chain in chains(made) if chain.label]
    (heading,) = [tokens[at + 1] for at, t in enumerate(tokens) if t.type == "heading_open" and t.tag == "h1"]
    assert {child.type for child in heading.children} == {"text"}
    assert "".join(child.content for child in heading.children) == UGLY


@pytest.mark.skipif(not katex.can_set(), reason="quickjs-ng is not installed")
@pytest.mark.parametrize("name", examples(TINY))
def test_katex_sets_every_formula_of_markdown(name: str) -> None:
    text = markdown(document(name, budget=SCREEN))
    formulas = re.findall(r"(?s)\$\$\n(.*?)\n\$\$", text)
    assert len(formulas) > 10
    for formula in formulas:
        assert "katex-error" not in (katex.set_formula(formula) or "katex-error"), formula


# --- notebooks -----------------------------------------------------------------------------------


def cells(name: str = TINY) -> list[dict[str, str]]:
    pytest.importorskip("nbformat")
    made = json.loads(notebook(document(name, budget=SCREEN), derivation(name)))
    return [{"kind": c["cell_type"], "text": "".join(c["source"]), "id": c["id"]} for c in made["cells"]]


def test_a_notebook_has_the_derivation_and_the_code_and_no_macro() -> None:
    text = "\n".join(cell["text"] for cell in cells() if cell["kind"] == "markdown")
    assert all(word not in text for word in (r"\sbp", r"\label", r"\tag", r"\bm{"))
    code = "\n".join(cell["text"] for cell in cells() if cell["kind"] == "code")
    assert "def cost_and_gradients(parameters, x, y):" in code and "__main__" not in code
    assert (
        "x = np.array([[0.05, 0.1]])" in code
        and 'parameters["W1"] = np.array([[0.15, 0.2], [0.25, 0.3]])' in code
    )
    ast.parse(code)


@pytest.mark.parametrize("name", examples(TINY))
def test_lines_with_no_words_between_them_are_one_display_in_a_notebook(name: str) -> None:
    made = document(name, budget=SCREEN)
    text = "\n".join(cell["text"] for cell in cells(name) if cell["kind"] == "markdown")
    displays = re.findall(r"(?s)\$\$\n\\begin{aligned}\n(.*?)\n\\end{aligned}\n\$\$", text)
    assert len(chains(made)) > 2 * len(displays)
    rows = [row for display in displays for row in re.split(r" \\\\(?:\[8pt\])?\n", display)]
    assert sum("&" in row for row in rows) >= sum(len(chain.rows) for chain in chains(made))
    assert max(rendered_width(row.replace("&", ""), made.notation) for row in rows) < 110


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text about the computation graph, in every kind of Markdown and as a notebook."""
    target = tmp_path_factory.mktemp("graph")
    formats = [argument for name in (*FLAVOURS, "ipynb") for argument in ("--to", name)]
    result = run("derive", EXAMPLES[TINY], "--form", "index", "--form", "graph", *formats, "-o", target)
    assert result.exit_code in (0, 3), result.output
    return target / TINY


@pytest.mark.slow
@pytest.mark.parametrize("flavour", list(FLAVOURS))
def test_markdown_has_pictures_that_lie_beside_it(flavour: str, folder: Path) -> None:
    text = (folder / f"{TINY}{FLAVOURS[flavour].ending}").read_text("utf-8")
    places = [(found.start(), found[1]) for found in re.finditer(r"(?:src=\"|\]\()([\w-]+\.svg)", text)]
    assert [name for _, name in places] == [f"{TINY}-network.svg", f"{TINY}-graph.svg"]
    assert all((folder / name).read_text("utf-8").startswith("<svg") for _, name in places)
    assert (
        places[0][0]
        < text.index("# The network\n\nEvery")
        < text.index("# The computation graph")
        < places[1][0]
    )


def test_a_notebook_holds_its_pictures(folder: Path) -> None:
    pytest.importorskip("nbformat")
    book = json.loads((folder / f"{TINY}.ipynb").read_text("utf-8"))
    text = "".join("".join(cell["source"]) for cell in book["cells"])
    found = re.findall(r"\(data:image/svg\+xml;base64,([^)]*)\)", text)
    assert [base64.b64decode(each).startswith(b"<svg") for each in found] == [True, True]


def test_a_training_rule_reaches_the_notebook_and_the_page(tmp_path: Path) -> None:
    result = run("derive", EXAMPLES[TINY], "--update", "adam", "--to", "ipynb", "--to", "html")
    assert result.exit_code == 0, result.output
    paths = {Path(path).suffix: Path(path) for path in result.stdout.splitlines()}
    book = ["".join(cell["source"]) for cell in json.loads(paths[".ipynb"].read_text("utf-8"))["cells"]]
    assert any("def training_step(" in cell for cell in book)
    assert any("= training_step(" in cell and "learning_rate=0.5" in cell for cell in book)
    page = html.unescape(re.sub("<[^>]*>", "", paths[".html"].read_text("utf-8")))
    assert paths[".py"].read_text("utf-8") in page
    row = paths[".html"].read_text("utf-8").split('id="update-mhat"')[1].split("</li>")[0]
    assert "mhat = m / (1.0 - c)" in html.unescape(re.sub("<[^>]*>", "", row))


def test_a_notebook_has_the_same_bytes_each_time_and_is_valid() -> None:
    nbformat = pytest.importorskip("nbformat")
    once, again = (notebook(document(TINY, budget=SCREEN), derivation()) for _ in range(2))
    assert once == again and len({cell["id"] for cell in cells()}) == len(cells())
    nbformat.validate(nbformat.reads(once, as_version=4))


def test_without_nbformat_the_rest_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nbformat", None)
    result = run("derive", "1-1", "--form", "matrix", "--to", "ipynb", "--to", "md")
    assert result.exit_code == 3 and "pip install 'symbackprop[notebook]'" in result.stderr
    assert [Path(path).name for path in result.stdout.splitlines()][-1] == "1-1.md"


def executed(text: str) -> list[str]:
    """What the cells of a notebook print when they are run from top to bottom."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    book = nbformat.reads(text, as_version=4)
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3").execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    return [output.get("text") or " ".join(output["data"]) for output in outputs]


@pytest.mark.slow
@pytest.mark.parametrize("name", list(EXAMPLES))
def test_a_notebook_executes_from_top_to_bottom(name: str) -> None:
    _, checked, trained, plotted = executed(notebook(document(name, budget=SCREEN), derivation(name)))
    assert checked.count("largest relative difference") == len(checked.splitlines()) >= 2
    before, after = map(float, re.findall(r"([\d.e+-]+) (?:before|after)", trained))
    assert after < before
    assert "image/png" in plotted


@pytest.mark.slow
def test_a_notebook_with_a_wrong_gradient_stops_at_its_check() -> None:
    text = notebook(document(TINY, "matrix", budget=SCREEN), derivation())
    wrong = text.replace("(a2 - y) * a2", "(y - a2) * a2")
    assert wrong != text
    with pytest.raises(Exception, match="AssertionError"):
        executed(wrong)


# --- what a notebook shows of a derivation -------------------------------------------------------


def test_a_derivation_shows_its_results_without_a_macro() -> None:
    bundle = derivation()._repr_mimebundle_()
    assert bundle.keys() == {"text/latex", "text/plain"}
    latex = bundle["text/latex"]
    assert latex.startswith(r"$\displaystyle\begin{aligned} \delta^{2} &=") and latex.endswith(
        r"\end{aligned}$"
    )
    assert latex.count("&=") == 6 and all(
        word not in latex for word in (r"\sbp", r"\label", r"\boxed", r"\bm{")
    )
    assert bundle["text/plain"] == "\n".join(map(str, derivation().equations))
    assert not hasattr(derivation(), "_repr_html_") and len(repr(derivation())) < 80


def test_where_there_is_no_matrix_form_the_entries_are_shown() -> None:
    made = sb.derive(sb.from_widths("2-3-2", output_activation="softmax"))
    latex = made._repr_mimebundle_()["text/latex"]
    assert latex.count("&=") == 6
    assert r"\delta^{2}_{j} &=" in latex or r"\delta^{2} &=" in latex


@pytest.mark.slow
@pytest.mark.parametrize("notation", ["nielsen", "goodfellow", "bishop"])
def test_steps_are_shown_one_by_one(notation: str) -> None:
    for step in derivation().steps:
        shown = derivation().show(step, notation)
        assert str(shown) == str(step) == f"{step.before} = {step.after}  ({step.because})"
        latex = shown._repr_mimebundle_()["text/latex"]
        assert r"\text{" in latex and r"\sbp" not in latex and latex.count("&=") == 1
        assert not katex.can_set() or "katex-error" not in (
            katex.set_formula(latex.strip("$")) or "katex-error"
        )


@pytest.mark.parametrize("label", ["delta-1", "grad-W-2", "delta-1-matrix"])
def test_an_equation_is_shown_with_all_its_steps_by_its_label(label: str) -> None:
    (chain,) = [chain for chain in chains(document(TINY, "index", "matrix")) if chain.label == label]
    shown = derivation().show(label)
    assert shown.latex.count("&=") == len(chain.rows) and shown.latex.count(r"\begin{aligned}") == 1
    assert all(row.reason in shown.text for row in chain.rows if "$" not in row.reason)
    assert not katex.can_set() or katex.set_formula(shown.latex.strip("$")) is not None


def test_pictures_show_themselves() -> None:
    assert derivation().pictures()["network"]._repr_svg_().startswith("<svg")


def test_several_formats_share_their_checks_and_their_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    from symbackprop.layout.claims import Checker
    from symbackprop.pictures import picture_files

    drawn, checked = [], []
    draw, check = picture_files.network_drawing, Checker.checked
    monkeypatch.setattr(picture_files, "network_drawing", lambda *given: drawn.append(1) or draw(*given))
    monkeypatch.setattr(Checker, "checked", lambda self, e: checked.append(e) or check(self, e))
    order = Order(sb.derive(sb.load("2-2-1")))
    texts(order, ("html", "md", "slides", "svg"))
    assert len(drawn) == 1
    assert len(checked) == len(set(checked)) > 20
