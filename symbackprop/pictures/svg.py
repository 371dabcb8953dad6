"""Drawings as SVG: one file with all that it needs, for light and dark pages, screen readers and print.

Every shape has the class of its style, ``sbp-weight``; one that shows an entry says so in ``data-sbp``
(the quantity, ``W2``) and ``data-sbp-entry`` (its indices, ``2,1``). A page that holds the picture can
set ``--sbp-ink``, ``--sbp-paper``, ``--sbp-faint``, ``--sbp-fill`` and ``--sbp-second``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import singledispatch
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

from symbackprop.pictures.drawing import (
    TEXT_SIZES,
    Box,
    Circle,
    Dots,
    Drawing,
    Item,
    Label,
    Line,
    Point,
    bend,
    length_text,
    towards,
)
from symbackprop.pictures.label_text import Font, Row, Run
from symbackprop.rendering.render import fill

PIXELS = 4 / 3
"""How many pixels of a screen a point is."""

_HEAD_LENGTH, _HEAD_WIDTH = 4.5, 3.2
_CLASSES = {
    Font.ROMAN: "",
    Font.ITALIC: "sbp-i",
    Font.BOLD: "sbp-b",
    Font.BOLD_ITALIC: "sbp-i sbp-b",
    Font.SANS: "sbp-sans",
    Font.SCRIPT: "",
}
_SCRIPTS = dict(zip("BEFHILMRego", "ℬℰℱℋℐℒℳℛℯℊℴ", strict=True))


def svg_picture(drawing: Drawing) -> str:
    """The picture as the text of an SVG file, which can stand in an HTML page as it is."""
    frame = drawing.frame
    keys = {
        "name": re.sub(r"[^A-Za-z0-9-]", "-", drawing.name),
        "title": escape(drawing.title),
        "description": escape(drawing.description),
        "view": " ".join(map(length_text, (frame.left, frame.top, frame.width, frame.height))),
        "x": length_text(frame.left),
        "y": length_text(frame.top),
        "width": length_text(frame.width),
        "height": length_text(frame.height),
        "pixels_wide": length_text(PIXELS * frame.width),
        "pixels_high": length_text(PIXELS * frame.height),
        "sizes": TEXT_SIZES,
        "lines": [_drawn(item) for item in drawing.items],
    }
    return fill("picture.svg.jinja", keys)


@singledispatch
def _drawn(item: Item) -> str:
    """The SVG of one item."""
    raise TypeError(f"SVG can't draw {type(item).__name__}")


@_drawn.register
def _(item: Circle) -> str:
    return f"<circle{_named(item)} {_centre(item.centre)} r={_quoted(item.radius)}/>"


@_drawn.register
def _(item: Box) -> str:
    frame = item.frame
    corner = f"x={_quoted(frame.left)} y={_quoted(frame.top)}"
    size = f"width={_quoted(frame.width)} height={_quoted(frame.height)}"
    radius = min(5.0, frame.width / 4, frame.height / 4)
    return f"<rect{_named(item)} {corner} {size} rx={_quoted(radius)}/>"


@_drawn.register
def _(item: Line) -> str:
    *others, last = item.pieces
    if not item.arrow:
        return f'<path{_named(item)} d="{" ".join(map(_path, item.pieces))}"/>'
    last = (*last[:-1], towards(last[-1], last[-2], _HEAD_LENGTH - 0.5))
    way = f'<path d="{" ".join(map(_path, (*others, last)))}"/>'
    if item.smooth:
        way = f'<path class="sbp-curve" d="{_curve(last)}"/>'
    head = f'<path class="sbp-head" d="{_head(item.points[-2], item.points[-1])}"/>'
    return f"<g{_named(item)}>{way}{head}</g>"


@_drawn.register
def _(item: Dots) -> str:
    radius = _quoted(item.radius)
    places = "".join(f"<circle {_centre(place)} r={radius}/>" for place in item.places)
    return f"<g{_named(item)}>{places}</g>"


@_drawn.register
def _(item: Label) -> str:
    if item.set.bar is None:
        return _text(item, item.set.rows[0], item.at)
    return _fraction(item)


def _fraction(item: Label) -> str:
    """A fraction that stands upright: two texts and the bar between them."""
    centre, half = item.left + item.set.width / 2, item.set.width / 2
    middle = item.at.y - 0.25 * TEXT_SIZES[item.style]
    bar = _path((Point(centre - half, middle), Point(centre + half, middle)))
    rows = zip(item.set.rows, item.set.drops, strict=True)
    texts = "".join(_text(item, row, Point(centre, item.at.y + drop), "middle") for row, drop in rows)
    return f'<g{_named(item, "text")}>{texts}<path class="sbp-bar" d="{bar}"/></g>'


def _text(item: Label, row: Row, at: Point, align: str = "") -> str:
    place = f"x={_quoted(at.x)} y={_quoted(at.y)} text-anchor={_quoted(align or item.align)}"
    runs = "".join(_run(run, TEXT_SIZES[item.style]) for run in row.runs)
    return f"<text{_named(item, 'text')} {place}>{runs}</text>"


def _run(run: Run, size: float) -> str:
    """One run; what is as the text is has no element of its own."""
    text = escape("".join(_SCRIPTS.get(c, c) for c in run.text) if run.font is Font.SCRIPT else run.text)
    given = {"class": "sbp-prime" if run.text == "′" else _CLASSES[run.font]}
    given |= {"dx": length_text(run.dx) if run.dx else "", "dy": length_text(run.dy) if run.dy else ""}
    given["font-size"] = length_text(run.size) if run.size != size else ""
    attributes = "".join(f' {name}="{value}"' for name, value in given.items() if value)
    return f"<tspan{attributes}>{text}</tspan>" if attributes else text


def _named(item: Item, suffix: str = "") -> str:
    """The class of an item, and the entry that it shows."""
    shown = f' class="sbp-{item.style}{"-" + suffix if suffix else ""}"'
    if not item.key:
        return shown
    name, indices = key_parts(item.key)
    entry = f" data-sbp-entry={quoteattr(indices)}" if indices else ""
    return f"{shown} data-sbp={quoteattr(name)}{entry}"


def key_parts(key: str) -> tuple[str, str]:
    """The quantity and the indices of a key; a layer in brackets belongs to the quantity.

    >>> key_parts("W2[2,1]"), key_parts("z[l+1][n_1]"), key_parts("C_x")
    (('W2', '2,1'), ('z[l+1]', 'n_1'), ('C_x', ''))
    """
    found = re.fullmatch(r"([A-Za-z_]+(?:\d+|\[[^\]]*\])?)\[([^\]]*)\]", key)
    return (found[1], found[2]) if found else (key, "")


def _path(points: Iterable[Point]) -> str:
    """A path of straight lines, each apart, so that filling it fills nothing."""
    return " ".join(f"M{_place(start)} L{_place(end)}" for start, end in pairwise(points))


def _curve(points: tuple[Point, ...]) -> str:
    """A path that is level at each of its points."""
    path = f"M{_place(points[0])}"
    for start, end in pairwise(points):
        pulls = " ".join(map(_place, bend(start, end)))
        path += f" L{_place(end)}" if start.y == end.y else f" C{pulls} {_place(end)}"
    return path


def _place(point: Point) -> str:
    return f"{length_text(point.x)} {length_text(point.y)}"


def _head(before: Point, tip: Point) -> str:
    corners = (towards(tip, before, _HEAD_LENGTH, side * _HEAD_WIDTH / 2) for side in (1, -1))
    return "M" + " L".join(map(_place, (tip, *corners))) + " Z"


def _centre(point: Point) -> str:
    return f"cx={_quoted(point.x)} cy={_quoted(point.y)}"


def _quoted(value: float | str) -> str:
    return f'"{value if isinstance(value, str) else length_text(value)}"'
