"""The LaTeX package of a notation: ``symbackprop.sty``, with a definition for every macro."""

from __future__ import annotations

from symbackprop.notation.notation import Notation
from symbackprop.rendering.render import fill
from symbackprop.version import RELEASED, __version__

FILE = "symbackprop.sty"
"""What the package is called, beside a fragment that needs it."""


def style_package(notation: Notation) -> str:
    r"""The source of the package, the same bytes each time.

    >>> from symbackprop.notation.notation import load_notation
    >>> r"\ProvidesPackage{symbackprop}" in style_package(load_notation())
    True
    """
    keys = {"version": __version__, "released": RELEASED, "notation": notation}
    return fill("symbackprop.sty.jinja", keys)
