"""Drawings as data: lines, circles, boxes, dots and labels at their places, each with the name of a style.

A drawing is laid out once and written as TikZ or as SVG. Coordinates are in points, x to the right and
y down. Styles are names, such as ``weight`` or ``backward``; what they look like is the writers' affair.
The ``key`` of an item says which entry it shows, ``W2[2,1]``, so that a page can light it up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from symbackprop.notation.notation import Notation
from symbackprop.pictures.label_text import Typeset, typeset
from symbackprop.printing.measure import expanded

TEXT_SIZES = {
    "symbol": 9.0,
    "weight": 8.5,
    "bias": 8.5,
    "heading": 8.5,
    "delta": 8.5,
    "operation": 9.0,
    "letter": 8.5,
    "value": 8.0,
    "derivative": 8.0,
}
"""The size of a label of each style."""

COMFORTABLE = 540.0
"""A wider picture would be scaled down on paper, so it is laid out in less room."""

MIDDLE_HEIGHT = 0.25
"""How high the middle of a line of text is above the line it stands on, in units of its size."""


class Point(NamedTuple):
    """A place, in points."""

    x: float
    y: float


def length_text(value: float) -> str:
    """A length with two digits, and no zeros at its end.

    >>> length_text(1.50), length_text(-0.001)
    ('1.5', '0')
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} is no place in a picture")
    return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")


class Frame(NamedTuple):
    """An upright rectangle."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def centre(self) -> Point:
        return Point((self.left + self.right) / 2, (self.top + self.bottom) / 2)

    def padded(self, x: float, y: float | None = None) -> Frame:
        """The frame with so much more on every side, or less."""
        y = x if y is None else y
        return Frame(self.left - x, self.top - y, self.right + x, self.bottom + y)

    def overlaps(self, other: Frame) -> bool:
        """Whether two frames have more than an edge in common."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def holds(self, other: Frame) -> bool:
        """Whether the other frame lies inside this one."""
        across = self.left <= other.left and other.right <= self.right
        return across and self.top <= other.top and other.bottom <= self.bottom


def frame_around(centre: Point, width: float, height: float) -> Frame:
    """The frame of this size around a point.

    >>> frame_around(Point(0, 0), 4, 2)
    Frame(left=-2.0, top=-1.0, right=2.0, bottom=1.0)
    """
    return Frame(centre.x - width / 2, centre.y - height / 2, centre.x + width / 2, centre.y + height / 2)


@dataclass(frozen=True)
class Circle:
    """A circle, with what stands in it as labels of their own."""

    centre: Point
    radius: float
    style: str
    key: str = ""

    @property
    def frame(self) -> Frame:
        return frame_around(self.centre, 2 * self.radius, 2 * self.radius)


@dataclass(frozen=True)
class Box:
    """A box with round corners."""

    frame: Frame
    style: str
    key: str = ""


@dataclass(frozen=True)
class Line:
    """Straight lines through points, with an arrowhead at the end if ``arrow`` is set.

    It isn't drawn where it would run through one of the frames ``around`` which it is led: those of
    the labels that sit on it. A ``smooth`` one leaves and reaches each of its points on the level.
    """

    points: tuple[Point, ...]
    style: str
    key: str = ""
    arrow: bool = False
    around: tuple[Frame, ...] = ()
    smooth: bool = False

    @property
    def frame(self) -> Frame:
        xs, ys = [point.x for point in self.points], [point.y for point in self.points]
        return Frame(min(xs), min(ys), max(xs), max(ys))

    @property
    def pieces(self) -> tuple[tuple[Point, ...], ...]:
        """The parts of it that are drawn; the arrowhead is at the end of the last."""
        found: list[list[Point]] = []
        for start, end in pairwise(self.points):
            for first, last in _outside(start, end, self.around):
                if found and found[-1][-1] == first:
                    found[-1].append(last)
                else:
                    found.append([first, last])
        return tuple(map(tuple, found))


@dataclass(frozen=True)
class Dots:
    """Three dots for what is left out, above each other or side by side."""

    centre: Point
    vertical: bool
    style: str = "dots"
    key: str = ""
    step: float = 5.0
    radius: float = 1.1

    @property
    def places(self) -> tuple[Point, ...]:
        across, down = (0.0, self.step) if self.vertical else (self.step, 0.0)
        return tuple(Point(self.centre.x + n * across, self.centre.y + n * down) for n in (-1, 0, 1))

    @property
    def frame(self) -> Frame:
        length, width = 2 * (self.step + self.radius), 2 * self.radius
        return frame_around(self.centre, *((width, length) if self.vertical else (length, width)))


@dataclass(frozen=True)
class Label:
    """Prose that stands on a line: ``at`` is the middle of its base line, or an end of it.

    ``text`` holds our macros; ``set`` is how it looks in one notation, and how much room it takes.
    """

    at: Point
    text: str
    style: str
    set: Typeset
    key: str = ""
    align: str = "middle"

    def moved(self, by: Point) -> Label:
        """The same label so far to the right and down."""
        return replace(self, at=Point(self.at.x + by.x, self.at.y + by.y))

    @property
    def left(self) -> float:
        return self.at.x - self.set.width * {"start": 0.0, "middle": 0.5, "end": 1.0}[self.align]

    @property
    def frame(self) -> Frame:
        top, bottom = self.at.y - self.set.ascent, self.at.y + self.set.descent
        return Frame(self.left, top, self.left + self.set.width, bottom)


Item = Circle | Box | Line | Dots | Label


@dataclass(frozen=True)
class Drawing:
    """A picture: its items, later ones over earlier ones, and what it is in words.

    ``description`` is for those who can't see it, ``caption`` for those who do.
    """

    name: str
    title: str
    description: str
    items: tuple[Item, ...]
    margin: float = 6.0
    caption: str = ""

    @property
    def frame(self) -> Frame:
        """The rectangle that all of it fits in, with a margin."""
        frames = [item.frame for item in self.items]
        edges = Frame(
            min(f.left for f in frames),
            min(f.top for f in frames),
            max(f.right for f in frames),
            max(f.bottom for f in frames),
        )
        return edges.padded(self.margin)

    def of_style(self, *styles: str) -> Iterator[Item]:
        """The items of some styles."""
        return (item for item in self.items if item.style in styles)

    @property
    def labels(self) -> Iterator[Label]:
        """Everything that is written."""
        return (item for item in self.items if isinstance(item, Label))


def label(
    at: Point, text: str, style: str, notation: Notation, key: str = "", align: str = "middle"
) -> Label:
    r"""A label, typeset in a notation.

    Raises:
        NoRule: for what a picture's label can't hold.

    >>> from symbackprop.notation.notation import load_notation
    >>> label(Point(0, 0), r"$\sbpact{1}{j}$", "symbol", load_notation()).set.width > 5
    True
    """
    return Label(at, text, style, typeset(expanded(text, notation), TEXT_SIZES[style]), key, align)


def centred(at: Point, text: str, style: str, notation: Notation, key: str = "") -> Label:
    """A label whose letters, not its scripts, are in the middle of ``at``."""
    base = Point(at.x, at.y + MIDDLE_HEIGHT * TEXT_SIZES[style])
    return label(base, text, style, notation, key)


def towards(start: Point, end: Point, distance: float, aside: float = 0.0) -> Point:
    """The point that is so far from ``start`` on the way to ``end``, and so far to the right of the way.

    >>> towards(Point(0, 0), Point(10, 0), 4, aside=1)
    Point(x=4.0, y=1.0)
    """
    length = math.dist(start, end) or 1.0
    x, y = (end.x - start.x) / length, (end.y - start.y) / length
    return Point(start.x + distance * x - aside * y, start.y + distance * y + aside * x)


def bend(start: Point, end: Point) -> tuple[Point, Point]:
    """The two points that pull a smooth line from one point to another: level with its ends, half-way."""
    middle = (start.x + end.x) / 2
    return Point(middle, start.y), Point(middle, end.y)


def crosses(start: Point, end: Point, frame: Frame) -> bool:
    """Whether the straight line between two points runs through a frame."""
    return _inside(start, end, frame) is not None


def _outside(start: Point, end: Point, frames: Iterable[Frame]) -> list[tuple[Point, Point]]:
    """The parts of a straight line that lie outside of every frame."""
    inside = sorted(found for frame in frames if (found := _inside(start, end, frame)) is not None)
    parts, begin = [], 0.0
    for enter, leave in inside:
        if enter > begin:
            parts.append((begin, enter))
        begin = max(begin, leave)
    if begin < 1.0:
        parts.append((begin, 1.0))
    return [(_between(start, end, first), _between(start, end, last)) for first, last in parts]


def _between(start: Point, end: Point, part: float) -> Point:
    if part in (0.0, 1.0):
        return end if part else start
    return Point(start.x + part * (end.x - start.x), start.y + part * (end.y - start.y))


def _inside(start: Point, end: Point, frame: Frame) -> tuple[float, float] | None:
    """From where to where, as parts of its length, a straight line is inside a frame."""
    enter, leave = 0.0, 1.0
    sides = ((start.x, end.x, frame.left, frame.right), (start.y, end.y, frame.top, frame.bottom))
    for here, there, low, high in sides:
        if here == there:
            if not low < here < high:
                return None
            continue
        first, last = sorted(((low - here) / (there - here), (high - here) / (there - here)))
        enter, leave = max(enter, first), min(leave, last)
    return (enter, leave) if enter < leave else None
