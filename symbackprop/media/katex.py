r"""Formulas as HTML: KaTeX, whose files lie in ``vendor/katex``, run while a page is being made.

KaTeX is a script. With the package ``quickjs-ng`` (the extra ``html``) it runs here, and the page needs no
script to be read; without it the page carries KaTeX along.
"""

from __future__ import annotations

import base64
import importlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from typing import cast

SET = r"""
function sbpSet(tex) {
  var trusted = function (context) { return context.command === "\\htmlData"; };
  var options = {throwOnError: true, strict: "ignore", trust: trusted, maxExpand: 10000};
  try { return katex.renderToString(tex, options); } catch (error) { return null; }
}
"""
"""How one formula is set; the same function runs here and, where it has to, in the page."""

_LOCAL = threading.local()
_FACE = re.compile(r"@font-face\{[^}]*?url\(fonts/(KaTeX_(\w+)-(\w+))\.woff2\)[^}]*\}")
_SOURCES = re.compile(r"src:[^}]*")
_QUOTED = re.compile(r' ([\w-]+)="([^\s"\'=<>`/]+)"(?=[\s>])')
_ALWAYS = frozenset({"Main-Regular", "Main-Italic", "Math-Italic", "Size1-Regular", "Size2-Regular"})
_SELECTED_BY = {
    "AMS": ("amsrm", "mathbb", "textbb"),
    "Caligraphic": ("mathcal",),
    "Fraktur": ("mathfrak", "textfrak"),
    "Main-Bold": ("mathbf", "textbf"),
    "Main-BoldItalic": ("textbf textit", "mathbfit"),
    "Math-BoldItalic": ("boldsymbol",),
    "SansSerif": ("mathsf", "textsf", "mathitsf", "mathsfit", "mathboldsf", "textboldsf"),
    "Script": ("mathscr", "textscr"),
    "Size3": ("size3",),
    "Size4": ("size4", "delim-size4"),
    "Typewriter": ("mathtt", "texttt"),
}
"""The classes of KaTeX's output that a font is used for, by its family or its full name."""


def can_set() -> bool:
    """Whether formulas can be set here, without a browser."""
    return _engine() is not None


def set_formula(tex: str) -> str | None:
    r"""A formula as HTML with MathML in it; ``None`` where KaTeX can't read it, or can't run.

    >>> set_formula(r"\nothing") is None, not can_set() or "<math" in set_formula("x^2")
    (True, True)
    """
    engine = _engine()
    html = None if engine is None else cast("str | None", json.loads(engine(tex)))
    return None if html is None else _smaller(html)


def _smaller(html: str) -> str:
    """The same HTML without what HTML can do without: a page holds thousands of these tags.

    >>> _smaller('<i class="mord" style="top:-1em;"></i><mspace width="1em"/>')
    '<i class=mord style=top:-1em></i><mspace width="1em"/>'
    """
    html = html.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "")
    html = re.sub(r'(style="[^"]*);"', r'\1"', html)
    return re.sub(r"<[a-z][^<>]*>", lambda tag: _QUOTED.sub(r" \1=\2", tag[0]), html)


def _engine() -> Callable[[str], str] | None:
    """KaTeX in a JavaScript engine, made once for each thread; ``None`` without the engine."""
    if not hasattr(_LOCAL, "engine"):
        _LOCAL.engine = _new_engine()
    return cast("Callable[[str], str] | None", _LOCAL.engine)


def _new_engine() -> Callable[[str], str] | None:
    try:
        quickjs = importlib.import_module("quickjs")
    except ImportError:
        return None
    context = quickjs.Context()
    context.eval(script())
    # A string that was put together piece by piece can't be handed over as it is; JSON's text can.
    context.eval("function sbpJson(tex) { return JSON.stringify(sbpSet(tex)); }")
    return cast("Callable[[str], str]", context.get("sbpJson"))


@cache
def script() -> str:
    """KaTeX and the function ``sbpSet(tex)``, for a page whose formulas are yet to be set."""
    text = _file("katex.min.js").decode("utf-8")
    return text.replace("</script", r"<\/script") + SET


def stylesheet(html: str | None = None) -> str:
    """KaTeX's style sheet with its fonts inside: those that ``html`` uses, or all of them.

    >>> len(stylesheet("")) < len(stylesheet())
    True
    """
    text = _file("katex.min.css").decode("utf-8")
    classes = None if html is None else set(re.findall(r"[\w-]+", html))
    return _FACE.sub(lambda face: _with_font(face, classes), text)


def _with_font(face: re.Match[str], classes: set[str] | None) -> str:
    """A font's rule with the font in it, or nothing where no formula uses it."""
    name = face[1].removeprefix("KaTeX_")
    if classes is not None and name not in _ALWAYS and not classes.intersection(_selectors(name)):
        return ""
    data = base64.b64encode(_file("fonts", f"{face[1]}.woff2")).decode("ascii")
    return _SOURCES.sub(f'src:url(data:font/woff2;base64,{data}) format("woff2")', face[0])


def _selectors(name: str) -> Iterator[str]:
    for each in (name, name.partition("-")[0]):
        yield from _SELECTED_BY.get(each, ())


def licence() -> str:
    """The licence of KaTeX, which goes along with every copy of it."""
    return _file("LICENSE").decode("utf-8")


def with_source(html: str, source: str) -> str:
    """A formula's HTML with another LaTeX source as its annotation, which is what gets copied."""
    shown = source.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"(<annotation[^>]*>).*?(?=</annotation>)", lambda m: m[1] + shown, html, flags=re.DOTALL)


def mathml(html: str) -> str:
    """The MathML in a formula's HTML, without its LaTeX source.

    >>> mathml("<span><math><semantics><mi>x</mi><annotation>x</annotation></semantics></math></span>")
    '<math><mi>x</mi></math>'
    """
    found = re.search(r"<semantics>(.*)<annotation", html, re.DOTALL)
    return f"<math>{found[1]}</math>" if found else ""


def _file(*path: str) -> bytes:
    return files("symbackprop").joinpath("vendor", "katex", *path).read_bytes()
