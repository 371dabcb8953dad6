r"""Drawings as TikZ: a ``tikzpicture`` whose styles and symbols are those of ``symbackprop.sty``.

Labels stay macros and styles stay names, so that ``\renewcommand`` and ``\tikzset`` change a picture as
they change a formula.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch
from itertools import pairwise

from symbackprop.pictures.drawing import (
    Box,
    Circle,
    Dots,
    Drawing,
    Frame,
    Item,
    Label,
    Line,
    Point,
    bend,
    length_text,
)
from symbackprop.rendering.prose import tex
from symbackprop.rendering.render import fill
from symbackprop.tables.names import one_line
from symbackprop.version import GENERATOR

_ANCHORS = {"start": "base west", "middle": "base", "end": "base east"}


def tikz_picture(drawing: Drawing) -> str:
    """The picture, to be read in with LaTeX's input command after TikZ and ``symbackprop.sty``."""
    keys = {
        "generator": GENERATOR,
        "name": drawing.name,
        "title": one_line(drawing.title).encode("ascii", "replace").decode("ascii"),
        "frame": _corners(drawing.frame),
        "lines": [line for item in drawing.items for line in _drawn(item)],
    }
    return fill("picture.tex.jinja", keys)


def standalone_tex(drawing: Drawing) -> str:
    """A document of its own that holds nothing but the picture, for the ``standalone`` class."""
    return fill("standalone.tex.jinja", {"picture": tikz_picture(drawing)})


@singledispatch
def _drawn(item: Item) -> Iterator[str]:
    """The lines of TikZ for one item."""
    raise TypeError(f"TikZ can't draw {type(item).__name__}")


@_drawn.register
def _(item: Circle) -> Iterator[str]:
    yield rf"\path[{_style(item)}] {_at(item.centre)} circle[radius={length_text(item.radius)}pt];"


@_drawn.register
def _(item: Box) -> Iterator[str]:
    yield rf"\path[{_style(item)}] {_corners(item.frame)};"


@_drawn.register
def _(item: Line) -> Iterator[str]:
    *others, last = item.pieces
    for piece in others:
        yield rf"\path[{_style(item)}] {_through(piece)};"
    style = _style(item) + (", sbp arrow" if item.arrow else "")
    yield rf"\path[{style}] {_curve(last) if item.smooth else _through(last)};"


@_drawn.register
def _(item: Dots) -> Iterator[str]:
    for place in item.places:
        yield rf"\path[{_style(item)}] {_at(place)} circle[radius={length_text(item.radius)}pt];"


@_drawn.register
def _(item: Label) -> Iterator[str]:
    style = f"sbp text, {_style(item)} text, anchor={_ANCHORS[item.align]}"
    text = tex(item.text) if item.set.bar is None else tex(item.text).replace("$", r"$\displaystyle ", 1)
    yield rf"\node[{style}] at {_at(item.at)} {{{text}}};"


def _style(item: Item) -> str:
    return f"sbp {item.style}"


def _through(points: tuple[Point, ...]) -> str:
    return " -- ".join(map(_at, points))


def _curve(points: tuple[Point, ...]) -> str:
    """A path that is level at each of its points."""
    path = _at(points[0])
    for start, end in pairwise(points):
        first, second = map(_at, bend(start, end))
        path += f" -- {_at(end)}" if start.y == end.y else f" .. controls {first} and {second} .. {_at(end)}"
    return path


def _corners(frame: Frame) -> str:
    return f"{_at(Point(frame.left, frame.top))} rectangle {_at(Point(frame.right, frame.bottom))}"


def _at(point: Point) -> str:
    return f"({length_text(point.x)}, {length_text(point.y)})"
