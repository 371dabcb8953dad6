"""The formats of a derivation: slides, brief detail, progress, and what is said about what is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import symbackprop as sb
from symbackprop.catalogue import FORMATS
from symbackprop.cli import cli
from symbackprop.detail import brief
from symbackprop.document import Chain, Display, Document, Paragraph, Row, Section
from symbackprop.files import SHEETS, TEXTS
from symbackprop.linebreak import SLIDE
from symbackprop.measure import rendered_width
from symbackprop.pipeline import NetworkDerivation
from symbackprop.progress import PATIENCE, progress
from symbackprop.slides import slides

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


def needed(program: str, package: str) -> str:
    """An outside program; without it a test is skipped, and fails where a machine is meant to have it."""
    found = shutil.which(program)
    if found is None and os.environ.get("CI"):
        pytest.fail(f"CI is set, and there is no {program}: apt-get install {package}")
    if found is None:
        pytest.skip(f"there is no {program}: apt-get install {package}")
    return found


@pytest.fixture
def tex() -> str:
    return needed("pdflatex", "texlive-latex-extra lmodern")


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
    return [*re.findall(r"(?m)^(?:!|LaTeX Warning|Package \w+ Warning).*$", log), *wide]


# --- the tables ----------------------------------------------------------------------------------


def test_every_format_is_in_a_table_or_always_written() -> None:
    assert (TEXTS.keys() | SHEETS.keys()) == FORMATS.keys() - {"tex"}


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
    assert result.stderr == "symbackprop: detail: 'short': there are brief, full\n"
    assert not (tmp_path / "output").exists()


# --- notations -----------------------------------------------------------------------------------


def test_a_notation_may_be_a_file_of_ones_own(tmp_path: Path) -> None:
    shipped = ROOT / "symbackprop" / "notations" / "nielsen.toml"
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


def test_a_derivation_that_is_cut_starts_again_from_where_it_was() -> None:
    made = document("mlp-784-128-64-10", "index", budget=SLIDE)
    (chain,) = [c for c in chains(made) if c.label == "delta-3"]
    cut = [frame for frame in frames(slides(made)) if rf"  {chain.left} &" in frame]
    assert len(cut) > 1
    for before, after in pairwise(cut):
        repeated = re.search(r"&(?:\{\})?= (.*?) \\notag", after.split(chain.left, 1)[1])[1]
        assert repeated in before


def test_free_text_on_a_slide_is_inert() -> None:
    spec = EXAMPLES[TINY].read_text("utf-8").replace("A 2-2-2 network", r"\\input{x} 50% & <2-> [a]")
    Path("spec.toml").write_text(spec, "utf-8")
    assert run("derive", "spec.toml", "--form", "matrix", "--to", "slides").exit_code in (0, 3)
    source = Path(f"output/{TINY}/{TINY}-slides.tex").read_text("ascii")
    assert r"\textbackslash{}input\{x\} 50\% \& \textless{}2-\textgreater{}" in source


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
    pdf = Path(f"output/{TINY}/{TINY}-slides.pdf")
    assert str(pdf) == result.stdout.splitlines()[-1]
    steps = sum(len(chain.rows) - 1 for chain in chains(document(TINY, "index", budget=SLIDE)))
    assert pdf.read_bytes().count(b"/Type /Page\n") > steps or pdf.stat().st_size > 20_000
