"""The gallery: ``output/`` holds what every example gives, to the byte.

``pytest tests/test_gallery.py --update`` rewrites it. The fragments are compiled where there is a
pdflatex.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

from symbackprop.cli import cli
from symbackprop.media.gallery import entry, index_page
from symbackprop.media.html import shared_script, shared_script_of, shared_style
from symbackprop.notation.notation import shipped
from symbackprop.rendering.storage import write

ROOT = Path(__file__).parent.parent
GALLERY = ROOT / "output"
EXAMPLES = {path.stem: path for path in sorted((ROOT / "examples").glob("*.toml"))}
SHARED = "katex/katex.css"
"""The style sheet that the pages of the gallery share."""
EVERYDAY = {"two-two-two", "jagtap", "any-depth"}
"""What the everyday run derives; the others are slow."""

STRUCTURE = r"""
begin end label tag notag boxed quad text begingroup endgroup allowdisplaybreaks displaybreak displaystyle jot
addtolength setlength emergencystretch frac sum sqrt
big bigl bigr Big Bigl Bigr biggl biggr Biggl Biggr lvert rvert lVert rVert ln exp cdot times dots
cdots le ge neq pi hline approx renewcommand arraystretch leftarrow
"""
"""Commands of LaTeX and amsmath that lay out or mean the same in every book; symbols are macros of ours."""


def examples(*everyday: str) -> list[object]:
    """Every example as a parameter: those named are for the everyday run, the others are slow."""
    slow = pytest.mark.slow
    return [name if name in everyday else pytest.param(name, marks=slow) for name in EXAMPLES]


def in_its_notation(name: str) -> list[str]:
    """The five texts stand in the gallery in their own notation, and so in their own order of argument."""
    return ["--notation", name] if name in shipped() else []


@cache
def derived(name: str) -> dict[str, bytes]:
    """The files that ``derive`` writes for an example, once a test process."""
    with tempfile.TemporaryDirectory() as folder:
        shared = ["--to", "html", "--katex", str(Path(folder) / SHARED)]
        result = CliRunner().invoke(
            cli, ["derive", str(EXAMPLES[name]), *in_its_notation(name), "-o", folder, *shared]
        )
        assert result.exit_code == 0, result.output
        written = {path: Path(path).read_bytes() for path in result.stdout.splitlines()}
    return {Path(path).name: text for path, text in written.items() if Path(path).parent.name == name}


def fragment(name: str) -> str:
    return derived(name)[f"{name}.tex"].decode("ascii")


# --- the files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", examples(*EVERYDAY))
def test_the_gallery_is_what_the_example_gives(name: str, update: bool) -> None:
    folder, made = GALLERY / name, derived(name)
    if update:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file, text in made.items():
            (folder / file).write_bytes(text)
    kept = {path.name: path.read_bytes() for path in folder.glob("*") if path.suffix != ".pdf"}
    assert kept.keys() == made.keys(), "run pytest tests/test_gallery.py --update"
    changed = [file for file in made if made[file] != kept[file]]
    assert not changed, f"{changed}: if the change is meant, run pytest tests/test_gallery.py --update"


def test_the_index_of_the_gallery_is_what_the_specs_say(update: bool) -> None:
    made = {
        "index.html": index_page(map(entry, EXAMPLES.values(), map(addresses, EXAMPLES))),
        SHARED: shared_style(),
        shared_script_of(SHARED): shared_script(),
    }
    for file, text in made.items():
        if update:
            write(GALLERY / file, text)
        assert (GALLERY / file).read_text("utf-8") == text, "run pytest tests/test_gallery.py --update"


def addresses(name: str) -> list[str]:
    """The files of an example, as seen from the index."""
    module = f"{name.replace('-', '_')}_gradients.py"
    files = (f"{name}.html", f"{name}.tex", "symbackprop.sty", module, f"{name}.certificate.json")
    return [*(f"{name}/{file}" for file in files), f"../examples/{name}.toml"]


def test_every_link_of_the_gallery_leads_to_a_file() -> None:
    pages = [GALLERY / "index.html", *(GALLERY / name / f"{name}.html" for name in EXAMPLES)]
    for page in pages:
        links = re.findall(r'(?:href|src)="([^"#][^"]*)"', page.read_text("utf-8"))
        assert links and [link for link in links if not (page.parent / link).is_file()] == []


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_a_page_of_the_gallery_is_read_without_a_script(name: str) -> None:
    text = (GALLERY / name / f"{name}.html").read_text("utf-8")
    assert 'class="tex"' not in text and text.count("<math") > 50
    assert "@font-face" not in text and f'href="../{SHARED}"' in text
    assert f'<script src="../{shared_script_of(SHARED)}"' in text
    assert len(text.encode("utf-8")) < 400_000


def test_nothing_stands_in_the_gallery_that_no_example_gives(update: bool) -> None:
    own = {"index.html", Path(SHARED).parent.name}
    strays = [path for path in GALLERY.iterdir() if path.name not in EXAMPLES.keys() | own]
    if update:
        for path in strays:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    else:
        assert not strays


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_an_example_is_called_as_its_file_is_and_says_where_it_comes_from(name: str) -> None:
    text = EXAMPLES[name].read_text("utf-8")
    assert tomllib.loads(text)["name"] == name and tomllib.loads(text)["title"]
    assert text.startswith("# ")


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_every_certificate_in_the_gallery_holds(name: str) -> None:
    certificate = json.loads((GALLERY / name / f"{name}.certificate.json").read_text("utf-8"))
    assert certificate["holds"] is True and certificate["failed"] == 0
    checks = [entry for entry in certificate["equalities"] if entry["method"] != "definition"]
    assert certificate["checked"] == len(checks) > 20
    assert certificate["definitions"] == len(certificate["equalities"]) - len(checks)
    assert all(entry["holds"] and entry["residual"] is not None for entry in checks)


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_every_label_of_a_fragment_is_an_equality_of_its_certificate(name: str) -> None:
    text = (GALLERY / name / f"{name}.tex").read_text("ascii")
    certificate = json.loads((GALLERY / name / f"{name}.certificate.json").read_text("utf-8"))
    checked = {re.split(r", step | at l = ", entry["label"])[0] for entry in certificate["equalities"]}
    rules = set(re.findall(rf"\\leftarrow.*\\label\{{sbp:{name}:([^}}]*)\}}", text))  # assignments
    labels = re.findall(rf"\\label\{{sbp:{name}:([^}}]*)\}}", text)
    assert len(labels) == len(set(labels)) == text.count(r"\label") > 10
    assert set(labels) - rules <= checked


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_the_code_in_the_gallery_agrees_with_central_differences(name: str) -> None:
    (module,) = (GALLERY / name).glob("*_gradients.py")
    done = subprocess.run([sys.executable, module], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "largest relative difference" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["brilliant", "regularised"])
def test_the_same_bytes_whatever_the_hash_seed(name: str, tmp_path: Path) -> None:
    digests = []
    for seed in ("1", "2"):
        command = [sys.executable, "-m", "symbackprop", "derive", str(EXAMPLES[name])]
        command += ["--to", "html", "-o", tmp_path / seed]
        subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": seed}, check=True, capture_output=True)
        files = sorted((tmp_path / seed / name).iterdir())
        digests.append({file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files})
    assert len(digests[0]) == 5 and digests[0] == digests[1]


# --- what a fragment is made of ----------------------------------------------------------------


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_a_fragment_can_be_read_in_anywhere(name: str) -> None:
    text = (GALLERY / name / f"{name}.tex").read_bytes().decode("ascii")
    code = re.sub(r"(?m)^%.*\n", "", text)
    assert not re.search(
        r"\\(documentclass|usepackage|RequirePackage|begin\{document\}|cref|intertext)", code
    )
    assert not re.search(r"\\left(?![a-z])", code) and "%" not in code
    assert text.startswith("% ") and "Generated by symbackprop" in text.splitlines()[1]
    assert code.count(r"\begin{align}") == code.count(r"\end{align}") > 5


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_every_symbol_of_a_fragment_is_a_macro_of_the_package(name: str) -> None:
    code = re.sub(r"(?m)^%.*\n", "", (GALLERY / name / f"{name}.tex").read_text("ascii"))
    style = (GALLERY / name / "symbackprop.sty").read_text("ascii")
    defined = set(re.findall(r"\\providecommand\{(\\sbp[a-zA-Z]*)\}", style))
    used = set(re.findall(r"\\[a-zA-Z]+", re.sub(r"\\sbpsymbol\{\\[a-zA-Z]+\}", "", code)))
    assert {command for command in used if command.startswith(r"\sbp")} <= defined
    assert {command for command in used if not command.startswith(r"\sbp")} <= {
        f"\\{word}" for word in STRUCTURE.split()
    }


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_a_row_of_an_equation_is_a_line_of_the_source(name: str) -> None:
    text = (GALLERY / name / f"{name}.tex").read_text("ascii")
    for _, block in re.findall(r"\\begin\{(align|alignat)\}(?:\{\d\})?\n(.*?)\n\\end\{\1\}", text, re.S):
        rows = block.split("\n")
        ends = [bool(re.search(r" \\\\\*?(?:\[[-\w.]+\])?$", row)) for row in rows]
        assert all(ends[:-1]) and not ends[-1]
        assert all(re.search(r"&(?:=|\\approx|\\leftarrow|\\quad)", row) for row in rows)


# --- TeX ---------------------------------------------------------------------------------------

PLAIN = r"""\documentclass{article}
%s\usepackage{symbackprop}
%s\begin{document}
\input{%s}
\end{document}
"""


def compiled(tex: str, folder: Path, source: str, passes: int = 2) -> str:
    """The log of the last pass."""
    (folder / "main.tex").write_text(source)
    command = [tex, "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    for _ in range(passes):
        subprocess.run(command, cwd=folder, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    return (folder / "main.log").read_text("latin-1")


def complaints(log: str) -> list[str]:
    """Errors, warnings, and boxes that stick out by more than 10 pt."""
    wide = [
        line
        for line in re.findall(r"(?m)^Overfull \\hbox.*$", log)
        if float(re.search(r"\(([\d.]+)pt", line)[1]) > 10
    ]
    return [*re.findall(r"(?m)^(?:!|LaTeX Warning|Package \w+ Warning).*$", log), *wide]


def pages(folder: Path) -> str:
    """The text of the pages."""
    return subprocess.run(
        ["pdftotext", "main.pdf", "-"], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def put(name: str, folder: Path) -> None:
    for file in (GALLERY / name / f"{name}.tex", GALLERY / name / "symbackprop.sty"):
        shutil.copy(file, folder)


@pytest.mark.parametrize("name", examples("two-two-two"))
def test_every_fragment_compiles_in_a_plain_article(name: str, tex: str, tmp_path: Path) -> None:
    put(name, tmp_path)
    references = "".join(rf"\eqref{{{label}}} " for label in labels_of(name))
    source = (PLAIN % ("", "", name)).replace(r"\end{document}", references + "\n" + r"\end{document}")
    log = compiled(tex, tmp_path, source)
    assert complaints(log) == []
    assert "Output written on main.pdf" in log


def labels_of(name: str) -> list[str]:
    return re.findall(r"\\label\{([^}]*)\}", (GALLERY / name / f"{name}.tex").read_text("ascii"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", r"\renewcommand{\sbpcost}{\mathrm{QQZ}}"),
        (r"\newcommand{\sbpcost}{\mathrm{QQZ}}", ""),
        ("", r"\renewcommand{\sbpactletter}{\mathbf{u}}\renewcommand{\sbpcost}{\mathrm{QQZ}^{\ast}}"),
        ("", r"\renewcommand{\sbplayer}[1]{(#1)}\renewcommand{\sbpcost}{\mathrm{QQZ}}"),
    ],
)
def test_a_lecturer_s_own_macros_win(before: str, after: str, tex: str, tmp_path: Path) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("there is no pdftotext: apt-get install poppler-utils")
    put("two-two-two", tmp_path)
    log = compiled(
        tex, tmp_path, PLAIN % (before + "\n" if before else "", after + "\n" if after else "", "two-two-two")
    )
    assert complaints(log) == []
    assert "QQZ" in pages(tmp_path)


@pytest.mark.slow
def test_what_is_wrong_with_a_page_is_noticed(tex: str, tmp_path: Path) -> None:
    wide = r"\documentclass{article}\begin{document}$$x$$\noindent\hbox to 500pt{wide\hfil}\end{document}"
    assert any("Overfull" in line for line in complaints(compiled(tex, tmp_path, wide)))
    unknown = r"\documentclass{article}\begin{document}\ref{nothing}\end{document}"
    assert any("undefined" in line for line in complaints(compiled(tex, tmp_path, unknown)))
    broken = r"\documentclass{article}\begin{document}$a^1^2$\end{document}"
    assert any("Double superscript" in line for line in complaints(compiled(tex, tmp_path, broken)))
