"""The files of a derivation: their names, their texts, and the PDF that pdflatex makes of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from symbackprop.document import Document
from symbackprop.errors import MissingProgram, SymbackpropError
from symbackprop.pipeline import NetworkDerivation
from symbackprop.prose import tex
from symbackprop.render import fill

HOW_TO_GET_TEX = (
    "pdflatex is not installed, so there is no PDF; everything else is written. On Debian and Ubuntu: "
    "apt-get install -y --no-install-recommends texlive-latex-extra lmodern"
)


def derivation_files(derivation: NetworkDerivation, document: Document) -> dict[str, str]:
    """Each file's name and text, all of them made before the first is written."""
    name = derivation.network.name
    return {
        f"{name}.tex": document.to_latex(),
        "symbackprop.sty": document.style(),
        module_file(name): derivation.code,
        f"{name}.certificate.json": json.dumps(document.certificate.data(), indent=1, ensure_ascii=False)
        + "\n",
    }


def module_file(name: str) -> str:
    """The file name of the generated module, one that can be imported.

    >>> module_file("two-two-two")
    'two_two_two_gradients.py'
    """
    return f"{name.replace('-', '_')}_gradients.py"


WITHOUT_ENGINE = (
    "the formulas of the page are set by a script in it, since the package quickjs-ng is not installed; "
    "pip install 'symbackprop[html]', and the page needs no script to be read"
)


def page_files(derivation: NetworkDerivation, document: Document) -> dict[str, str]:
    """The web page, which is one file with everything in it: its name and its text."""
    from symbackprop.html import page

    return {f"{document.name}.html": page(document, derivation.code)}


def pdf_file(document: Document, folder: Path) -> Path:
    """The derivation as an article, compiled in a folder of its own.

    Raises:
        MissingProgram: if there is no pdflatex.
    """
    if shutil.which("pdflatex") is None:
        raise MissingProgram(HOW_TO_GET_TEX)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        (place / "symbackprop.sty").write_text(document.style(), "ascii")
        (place / "fragment.tex").write_text(document.to_latex(), "ascii")
        (place / "article.tex").write_text(fill("article.tex.jinja", {"title": tex(document.title)}), "ascii")
        for _ in range(2):
            _pdflatex(place)
        target = folder / f"{document.name}.pdf"
        shutil.copyfile(place / "article.pdf", target.with_suffix(".pdf.part"))
        target.with_suffix(".pdf.part").replace(target)
    return target


def _pdflatex(folder: Path) -> None:
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "article.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        tail = done.stdout.decode("latin-1", "replace").splitlines()
        first = next((line for line in tail if line.startswith("!")), "no reason given")
        raise SymbackpropError(f"pdflatex stopped: {first}")
