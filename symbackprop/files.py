"""The files of a derivation: their names, their texts, and the PDF that pdflatex makes of them."""

from __future__ import annotations

import json
from pathlib import Path

from symbackprop.document import Document
from symbackprop.latex_compiler import HOW_TO_GET_TEX, compiled
from symbackprop.pipeline import NetworkDerivation
from symbackprop.prose import tex
from symbackprop.render import fill, write


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


def page_files(derivation: NetworkDerivation, document: Document, shared: str = "") -> dict[str, str]:
    """The web page: its name and its text. It is one file with everything in it.

    With ``shared``, the path of a style sheet from the page, there are two: what pages share stands there.
    """
    from symbackprop.html import page, shared_style

    name, address = f"{document.name}.html", Path(shared).as_posix() if shared else ""
    made = {name: page(document, derivation.code, shared_style=address)}
    return made | {shared: shared_style()} if shared else made


def pdf_file(document: Document, folder: Path) -> Path:
    """The derivation as an article, compiled in a folder of its own.

    Raises:
        MissingProgram: if there is no pdflatex.
    """
    sources = {
        "symbackprop.sty": document.style(),
        "fragment.tex": document.to_latex(),
        "article.tex": fill("article.tex.jinja", {"title": tex(document.title)}),
    }
    pdf = compiled(sources, "article.tex")
    target = folder / f"{document.name}.pdf"
    write(target, pdf)
    return target


__all__ = ["HOW_TO_GET_TEX", "derivation_files", "module_file", "pdf_file"]
