"""A derivation as a notebook: the mathematics, the code, a check of it, a training run and a plot.

It executes from top to bottom and has the same bytes each time. The numbers that it starts from are those
of the spec, or those that the generated module checks itself with.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from textwrap import dedent
from types import MappingProxyType
from typing import Any

from symbackprop.errors import MissingProgram
from symbackprop.layout.document import Chain, Display, Document, Section, chains
from symbackprop.layout.paper import side_by_side
from symbackprop.media.markdown import (
    Flavour,
    Images,
    block,
    escaped,
    form_named,
    image,
    prose,
    title_of,
    written,
)
from symbackprop.network import Network, Values
from symbackprop.pipeline import NetworkDerivation
from symbackprop.rendering.render import fill
from symbackprop.version import made_from

HOW_TO_GET_IT = (
    "nbformat is not installed, so there is no notebook; everything else is written: "
    "pip install 'symbackprop[notebook]'"
)

STEPS, RATE = 200, 0.5
"""How many steps of gradient descent there are, and their learning rate where the spec has none."""

_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


# --- displays and headings -------------------------------------------------------------------------


def _displays(found: Sequence[Display], document: Document) -> Iterator[str]:
    """Displays with no words between them as one block where they fit, and links to their other form."""
    for group in side_by_side([display.chains for display in found], document.notation):
        together = [chain for display in group for chain in display]
        yield block(together, document)
        yield from _links(together, document)


def _links(shown: Sequence[Chain], document: Document) -> Iterator[str]:
    """Where the other forms of some chains stand: a line for each form, with the headings of sections."""
    places: dict[str, dict[str, None]] = {}
    for chain in shown:
        if chain.link is not None:
            section = _section_of(chain.link.label, document)
            places.setdefault(form_named(chain.link.form, document), {})[section.heading] = None
    for words, headings in places.items():
        links = ", ".join(f"[{prose(each, document)}](#{anchor(each)})" for each in headings)
        yield links if [*headings] == [words] else f"{words}: {links}"


def _section_of(label: str, document: Document) -> Section:
    return next(each for each in document.sections if label in (chain.label for chain in chains([each])))


def _heading(section: Section, document: Document) -> str:
    """A heading; one that is linked to has an anchor besides, for readers that give headings none of ours."""
    heading = f"## {prose(section.heading, document)}"
    linked = (chain.link for chain in chains(document.sections) if chain.link is not None)
    to_here = {link.label for link in linked} & {chain.label for chain in chains([section])}
    return f'<a id="{anchor(section.heading)}"></a>\n\n{heading}' if to_here else heading


def anchor(heading: str) -> str:
    """What JupyterLab and nbconvert call a heading in an address.

    >>> anchor("The output layer")
    'The-output-layer'
    """
    return heading.replace(" ", "-")


CELLS = Flavour(".ipynb", lambda title, made: f"# {title}\n\n{made}", _heading, _displays, image)
"""Markdown as cells have it: no reader knows labels there, so derivations aren't cut up for them."""


# --- cells -----------------------------------------------------------------------------------------


def notebook(
    document: Document,
    derivation: NetworkDerivation,
    update: str = "",
    images: Images = MappingProxyType({}),
) -> str:
    """The notebook as JSON.

    Args:
        document: the derivation laid out, in a notation.
        derivation: where the code and the numbers come from.
        update: the rule of the training run; without one it is plain gradient descent.
        images: pictures in Markdown by what they show: the network, and what sections are about.

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
        for number, (kind, text) in enumerate(_cells(document, derivation, update, images), 1)
    ]
    metadata = {"kernelspec": _KERNEL, "language_info": {"name": "python"}}
    text: str = writes(v4.new_notebook(cells=cells, metadata=metadata))
    return text.rstrip("\n") + "\n"


def _cells(
    document: Document, derivation: NetworkDerivation, update: str, images: Images
) -> Iterator[tuple[str, str]]:
    """The kind and the text of each cell."""
    words, code = document.words, derivation.module_source(update=update) if update else derivation.code
    made = made_from(document.name, document.fingerprint) + "."
    yield "markdown", CELLS.top(title_of(document), escaped(made))
    if "network" in images:
        yield "markdown", images["network"]
    for text in written(document, CELLS, images):
        yield "markdown", text
    yield "markdown", _told(words.headings["notebook_code"], words.texts["notebook_code"])
    yield from (("code", cell) for cell in code_cells(code))
    yield "markdown", _told(words.headings["notebook_check"], words.texts["notebook_check"])
    yield "code", sample(code, derivation.network)
    yield "code", fill("notebook_check.py.jinja", {})
    told = words.text("notebook_update", rule=update) if update else words.text("notebook_training")
    yield "markdown", _told(words.headings["notebook_training"], told)
    values = derivation.network.values
    rate = values.learning_rate if values is not None else None
    if update:
        yield "code", fill("notebook_update.py.jinja", {"steps": STEPS, "rate": rate})
    else:
        yield "code", fill("notebook_training.py.jinja", {"steps": STEPS, "rate": rate or RATE})
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
