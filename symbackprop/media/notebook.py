"""A derivation as a notebook: the mathematics, the code, a check of it, a training run and a plot.

It executes from top to bottom and has the same bytes each time. The numbers that it starts from are those
of the spec, or those that the generated module checks itself with.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from textwrap import dedent
from typing import Any

from symbackprop.errors import MissingProgram
from symbackprop.layout.document import Document
from symbackprop.media.markdown import Flavour, escaped, title_of, written
from symbackprop.network import Network, Values
from symbackprop.pipeline import NetworkDerivation
from symbackprop.rendering.render import fill
from symbackprop.version import made_from

CELLS = Flavour(
    ".ipynb",
    lambda title, made: f"# {title}\n\n{made}",
    "##",
    lambda text, label: f'<a id="{label}"></a>\n\n{text}',
    lambda words, label: f"[{words}](#{label})",
)
"""Markdown as cells have it: MathJax knows no label of ours, so an equation has an anchor before it."""

HOW_TO_GET_IT = (
    "nbformat is not installed, so there is no notebook; everything else is written: "
    "pip install 'symbackprop[notebook]'"
)

STEPS, RATE = 200, 0.5
"""How many steps of gradient descent there are, and their learning rate where the spec has none."""

_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def notebook(document: Document, derivation: NetworkDerivation) -> str:
    """The notebook as JSON.

    Raises:
        MissingProgram: if there is no nbformat.
    """
    try:
        from nbformat import v4, writes
    except ImportError:
        raise MissingProgram(HOW_TO_GET_IT) from None
    make: dict[str, Any] = {"markdown": v4.new_markdown_cell, "code": v4.new_code_cell}
    cells = [
        make[kind](text.strip("\n"), id=f"cell-{number:02}")
        for number, (kind, text) in enumerate(_cells(document, derivation), 1)
    ]
    metadata = {"kernelspec": _KERNEL, "language_info": {"name": "python"}}
    text: str = writes(v4.new_notebook(cells=cells, metadata=metadata))
    return text.rstrip("\n") + "\n"


def _cells(document: Document, derivation: NetworkDerivation) -> Iterator[tuple[str, str]]:
    """The kind and the text of each cell."""
    words, code = document.words, derivation.code
    made = made_from(document.name, document.fingerprint) + "."
    yield "markdown", CELLS.top(title_of(document), escaped(made))
    for text in written(document, CELLS):
        yield "markdown", text
    yield "markdown", _told(words.headings["notebook_code"], words.texts["notebook_code"])
    yield from (("code", cell) for cell in code_cells(code))
    yield "markdown", _told(words.headings["notebook_check"], words.texts["notebook_check"])
    yield "code", sample(code, derivation.network)
    yield "code", fill("notebook_check.py.jinja", {})
    yield "markdown", _told(words.headings["notebook_training"], words.texts["notebook_training"])
    values = derivation.network.values
    given = values.learning_rate if values is not None else None
    yield "code", fill("notebook_training.py.jinja", {"steps": STEPS, "rate": given or RATE})
    yield "code", fill("notebook_plot.py.jinja", {})


def _told(heading: str, text: str) -> str:
    return f"## {escaped(heading)}\n\n{escaped(text)}"


# --- the module in cells ---------------------------------------------------------------------------


def code_cells(source: str) -> Iterator[str]:
    """A generated module cut where a comment heads a part of it, without what it does as a program.

    >>> list(code_cells("import math\\n# --- one ---\\nx = 1\\nif __name__ == '__main__':\\n    print(x)"))
    ['import math\\nPARAMETERS', '# --- one ---\\nx = 1']
    """
    lines = source.splitlines()
    for node in ast.parse(source).body:
        if isinstance(node, ast.If) and "__name__" in ast.dump(node.test):
            lines[node.lineno - 1 : node.end_lineno] = []
    first, *others = re.split(r"(?m)^(?=# --- )", "\n".join(lines))
    yield f"{first.rstrip()}\nPARAMETERS"
    yield from (other.rstrip() for other in others)


# --- numbers to start from -------------------------------------------------------------------------


def sample(source: str, network: Network) -> str:
    """The numbers that the module checks itself with; those that the spec gives take their place."""
    lines = ["seed = 0", *_own_sample(source)]
    return "\n".join([*lines, *(_given(network.values) if network.values is not None else ())])


def _own_sample(source: str) -> Iterator[str]:
    """The statements of the module's own check up to its first call of the gradients."""
    functions = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
    (check,) = (function for function in functions if function.name == "_self_check")
    for statement in check.body[1:]:
        text = ast.get_source_segment(source, statement, padded=True)
        if text is None or "cost_and_gradients" in text:
            return
        yield dedent(text)


def _given(values: Values) -> Iterator[str]:
    arrays: Mapping[str, Any] = {"x": values.x, "y": values.y}
    yield from (f"{name} = np.array({_listed(rows)})" for name, rows in arrays.items() if rows is not None)
    for name, rows in values.parameters:
        yield f'parameters["{name}"] = np.array({_listed(rows)})'
    if values.symbols:
        yield f"options |= {dict(values.symbols)}"


def _listed(numbers: Any) -> str:
    """Nested tuples of numbers as nested lists of floats."""
    if isinstance(numbers, tuple):
        return f"[{', '.join(map(_listed, numbers))}]"
    return repr(float(numbers))
