"""Every example in every notation and form that applies, in two languages, compiles and fits the page.

An example is derived once and laid out in all notations; a document for each notation and language holds all
of it, since the macros of a notation are the same for every network.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

import symbackprop as sb
from symbackprop.errors import FormRefused
from symbackprop.layout.document import Document
from symbackprop.notation.notation import shipped
from symbackprop.spec.catalogue import FORMS

EXAMPLES = {path.stem: path for path in sorted((Path(__file__).parent.parent / "examples").glob("*.toml"))}

PLAIN = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{lmodern}
\usepackage{symbackprop}
\begin{document}
%s
\end{document}
"""


@cache
def derivation(example: str) -> sb.NetworkDerivation:
    return sb.derive(sb.load(str(EXAMPLES[example])))


def complete(example: str, notation: str, language: str) -> Document:
    """An example in all the forms that it has; what is refused says so by name, and is left out."""
    forms = tuple(FORMS)
    while True:
        try:
            return unchecked(example, notation, forms, language)
        except FormRefused as refusal:
            (named,) = re.findall(r"^form: (\w+): ", str(refusal))
            assert named in forms
            forms = tuple(form for form in forms if form != named)


def unchecked(example: str, notation: str, wanted: tuple[str, ...], language: str) -> Document:
    """A document whose equalities aren't checked again: other tests do that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("symbackprop.layout.exposition.Checker", lambda *_: Silent())
        return derivation(example).document(notation, wanted, language=language)


class Silent:
    def check(self, equality: object) -> object:
        from symbackprop.checking.check import Finding

        return Finding(equality, "none", None, True)  # type: ignore[arg-type]


def written(folder: Path, notation: str, language: str) -> list[str]:
    """The fragments of all examples and the package, as files; the names of the fragments."""
    names, styles = [], set()
    for example in EXAMPLES:
        document = complete(example, notation, language)
        (folder / f"{example}.tex").write_text(document.to_latex(), "ascii")
        styles.add(document.style())
        names.append(example)
    (style,) = styles
    (folder / "symbackprop.sty").write_text(style, "ascii")
    return names


def compiled(tex: str, folder: Path, source: str) -> str:
    """The log of the second pass."""
    (folder / "main.tex").write_text(source, "ascii")
    command = [tex, "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    for _ in range(2):
        subprocess.run(command, cwd=folder, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    return (folder / "main.log").read_text("latin-1")


def complaints(log: str) -> list[str]:
    """Errors, warnings such as labels that are there twice, and boxes that stick out by more than 10 pt."""
    boxes = re.findall(r"(?m)^Overfull \\hbox.*$", log)
    wide = [box for box in boxes if float(re.search(r"\(([\d.]+)pt", box)[1]) > 10]  # type: ignore[index]
    return [*re.findall(r"(?m)^(?:!|LaTeX Warning|Package \w+ Warning).*$", log), *wide]


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("notation", shipped())
def test_every_example_compiles(notation: str, language: str, tex: str, tmp_path: Path) -> None:
    names = written(tmp_path, notation, language)
    text = "".join((tmp_path / f"{name}.tex").read_text("ascii") for name in names)
    references = "".join(rf"\eqref{{{label}}} " for label in re.findall(r"\\label\{([^}]*)\}", text))
    inputs = "\n".join(rf"\section*{{{name}}}\input{{{name}}}" for name in names)
    log = compiled(tex, tmp_path, PLAIN % f"{inputs}\n\\raggedright {references}")
    assert complaints(log) == []
    assert "Output written on main.pdf" in log
    if shutil.which("pdffonts"):
        fonts = subprocess.run(
            ["pdffonts", "main.pdf"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert "Type 1" in fonts.stdout and "Type 3" not in fonts.stdout


def test_a_form_that_is_asked_for_twice_is_shown_once() -> None:
    """Labels would be there twice."""
    asked = ("argument", "graph", "index", "index")
    document = unchecked("computation-graph", "computation-graph", asked, "en")
    assert document.forms == ("argument", "index")
    labels = re.findall(r"\\label\{([^}]*)\}", document.to_latex())
    assert len(labels) == len(set(labels)) > 50
