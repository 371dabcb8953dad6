"""Places for the nodes of a directed graph: in layers from left to right, with few lines that cross.

The steps are Sugiyama's: a layer for each node, stand-ins where a line passes a layer, an order within
each layer by barycentres, then heights at which neighbours are as level as the room between them allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from symbackprop.pictures.drawing import Point

Edge = tuple[str, str]
"""The names of the nodes that a line leads from and to."""

_SWEEPS, _LEVELLINGS = 16, 60
_PORT = 7.0
"""How far apart lines arrive at a node."""

_STEEP, _WIDEST_GAP = 0.14, 44.0
GAP = 16.0
"""The room between two layers, and more where lines between them are steep."""


@dataclass(frozen=True)
class Cell:
    """A node and the room that it takes: to the right of its left end, above and below its middle.

    A heavy one is kept level with its neighbours, a light one makes way.
    """

    name: str
    width: float
    up: float
    down: float
    weight: float = 1.0


@dataclass(frozen=True)
class Layered:
    """Where nodes and lines are: the left end of each node's middle line, and the points of each line.

    A line starts where the node's room ends and stops in front of the node that it leads to.
    """

    places: Mapping[str, Point]
    ways: Mapping[Edge, tuple[Point, ...]]


def layered(cells: Sequence[Cell], edges: Sequence[Edge], gap: float = GAP) -> Layered:
    """Places for cells, which are given in an order in which every edge leads forward.

    ``gap`` is the room between layers that are joined by level lines; steep ones take more.

    >>> cells = [Cell(name, 10, 5, 5) for name in "abc"]
    >>> places = layered(cells, [("a", "c"), ("b", "c")]).places
    >>> places["a"].x == places["b"].x < places["c"].x, places["a"].y < places["c"].y < places["b"].y
    (True, True)
    """
    ranks = _ranks([cell.name for cell in cells], edges)
    chains = {edge: _chain(edge, ranks) for edge in edges}
    steps = [step for chain in chains.values() for step in pairwise(chain)]
    rows = _ordered(_first_rows(cells, chains, ranks), steps)
    room = {cell.name: cell for cell in cells}
    heights = _levelled([[room.get(name) or _stand_in(name) for name in row] for row in rows], steps)
    return _placed(rows, room, heights, chains, gap)


def _ranks(names: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """A layer for each node: as far left as its inputs allow; a node without any is next to its first use."""
    before = {name: [start for start, end in edges if end == name] for name in names}
    ranks: dict[str, int] = {}
    for name in names:
        inner = [ranks[other] for other in before[name] if before[other]]
        ranks[name] = 1 + max(inner, default=0) if before[name] else 0
    for name in names:
        used = [ranks[end] for start, end in edges if start == name]
        if not before[name] and used:
            ranks[name] = min(used) - 1
    return ranks


def _chain(edge: Edge, ranks: Mapping[str, int]) -> list[str]:
    """The nodes of a line: its ends, and a stand-in in every layer that it passes."""
    start, end = edge
    return [start, *(f"{start}>{end}@{rank}" for rank in range(ranks[start] + 1, ranks[end])), end]


def _stand_in(name: str) -> Cell:
    return Cell(name, 0.0, 4.0, 4.0)


# --- the order within a layer -------------------------------------------------------------------


def _first_rows(
    cells: Sequence[Cell], chains: Mapping[Edge, Sequence[str]], ranks: Mapping[str, int]
) -> list[list[str]]:
    """Layers in the order in which a walk from the last node back meets their nodes."""
    rows: list[list[str]] = [[] for _ in range(1 + max(ranks.values()))]
    waiting, seen = [cells[-1].name], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        rows[ranks[name]].append(name)
        ways = [chain for (_, end), chain in chains.items() if end == name]
        for way in ways:
            for place, passed in enumerate(way[1:-1], ranks[way[0]] + 1):
                rows[place].append(passed)
        waiting += [way[0] for way in reversed(ways)]
    return rows


def _ordered(rows: list[list[str]], steps: Sequence[Edge]) -> list[list[str]]:
    """The order with the fewest crossings that sweeps to the right and back find."""
    before, after = _neighbours(steps)
    best, fewest = rows, _crossings(rows, after)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        rows = _swept(rows, before if forward else after, forward)
        count = _crossings(rows, after)
        if count < fewest:
            best, fewest = rows, count
    return best


def _neighbours(steps: Iterable[Edge]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    for start, end in steps:
        before.setdefault(end, []).append(start)
        after.setdefault(start, []).append(end)
    return before, after


def _swept(rows: list[list[str]], beside: Mapping[str, Sequence[str]], forward: bool) -> list[list[str]]:
    """Each layer sorted by where its nodes' neighbours in the layer before stand."""
    found: list[list[str]] = []
    place: dict[str, float] = {}
    for row in rows if forward else reversed(rows):
        own = {name: (number + 0.5) / len(row) for number, name in enumerate(row)}
        wanted = {
            name: _mean([(place[other], 1.0) for other in beside.get(name, ())], own[name]) for name in row
        }
        found.append(sorted(row, key=lambda name, wanted=wanted: wanted[name]))  # type: ignore[misc]
        place.update({name: (number + 0.5) / len(row) for number, name in enumerate(found[-1])})
    return found if forward else found[::-1]


def _mean(weighed: Sequence[tuple[float, float]], otherwise: float) -> float:
    """The mean of values with weights."""
    total = sum(weight for _, weight in weighed)
    return sum(value * weight for value, weight in weighed) / total if weighed else otherwise


def _crossings(rows: Sequence[Sequence[str]], after: Mapping[str, Sequence[str]]) -> int:
    """How many pairs of lines between neighbouring layers cross."""
    total = 0
    for row, following in pairwise(rows):
        place = {name: number for number, name in enumerate(following)}
        ends = [(number, place[end]) for number, name in enumerate(row) for end in after.get(name, ())]
        total += sum((one[0] - two[0]) * (one[1] - two[1]) < 0 for one, two in combinations(ends, 2))
    return total


# --- heights --------------------------------------------------------------------------------------


def _levelled(rows: Sequence[Sequence[Cell]], steps: Sequence[Edge]) -> dict[str, float]:
    """Heights at which each node is as level with its neighbours as the others in its layer allow."""
    before, after = _neighbours(steps)
    weights = {cell.name: cell.weight for row in rows for cell in row}
    heights = {name: y for row in rows for name, y in _apart(row, [0.0] * len(row)).items()}
    for turn in range(_LEVELLINGS):
        for row in rows if turn % 2 == 0 else reversed(rows):
            beside = [[*before.get(cell.name, ()), *after.get(cell.name, ())] for cell in row]
            wanted = [_mean([(heights[name], weights[name]) for name in names], 0.0) for names in beside]
            heights.update(_apart(row, wanted))
    return heights


def _apart(row: Sequence[Cell], wanted: Sequence[float]) -> dict[str, float]:
    """The heights nearest to those wanted at which cells keep their order and don't overlap.

    With the room above each cell taken off, that is a regression on rising values, which pooling
    neighbours that are out of order solves.
    """
    taken, below = [], 0.0
    for above, cell in zip((None, *row), row, strict=False):
        below += 0.0 if above is None else above.down + cell.up
        taken.append(below)
    pools: list[list[tuple[float, float]]] = []
    for cell, want, offset in zip(row, wanted, taken, strict=True):
        pools.append([(want - offset, cell.weight)])
        while len(pools) > 1 and _mean(pools[-2], 0.0) > _mean(pools[-1], 0.0):
            pools[-2:] = [pools[-2] + pools[-1]]
    free = [_mean(pool, 0.0) for pool in pools for _ in pool]
    return {cell.name: y + offset for cell, y, offset in zip(row, free, taken, strict=True)}


# --- places ---------------------------------------------------------------------------------------


def _placed(
    rows: Sequence[Sequence[str]],
    room: Mapping[str, Cell],
    heights: Mapping[str, float],
    chains: Mapping[Edge, Sequence[str]],
    gap: float,
) -> Layered:
    widths = [max((room[name].width for name in row if name in room), default=0.0) for row in rows]
    steps = [step for chain in chains.values() for step in pairwise(chain)]
    lefts = [0.0]
    for row, width in zip(rows[:-1], widths, strict=False):
        steepest = max((abs(heights[a] - heights[b]) for a, b in steps if a in row), default=0.0)
        lefts.append(lefts[-1] + width + min(gap * (1.0 + _STEEP * steepest / GAP), _WIDEST_GAP))
    layer = {name: number for number, row in enumerate(rows) for name in row}
    sources = {start for start, _ in chains} - {end for _, end in chains}
    places = {}
    for name, cell in room.items():
        spare = widths[layer[name]] - cell.width if name in sources else 0.0
        places[name] = Point(lefts[layer[name]] + spare, heights[name])
    ends = [(left, left + width) for left, width in zip(lefts, widths, strict=True)]
    return Layered(places, _ways(chains, layer, ends, places, room, heights))


def _ways(
    chains: Mapping[Edge, Sequence[str]],
    layer: Mapping[str, int],
    ends: Sequence[tuple[float, float]],
    places: Mapping[str, Point],
    room: Mapping[str, Cell],
    heights: Mapping[str, float],
) -> dict[Edge, tuple[Point, ...]]:
    """Level through every layer, and up or down between them only."""
    ports = _ports(chains, heights)
    found = {}
    for edge, (first, *passed, last) in chains.items():
        start = places[first]
        points = [Point(start.x + room[first].width, start.y), Point(ends[layer[first]][1], start.y)]
        for name in passed:
            points += [Point(x, heights[name]) for x in ends[layer[name]]]
        points.append(Point(ends[layer[last]][0], heights[last] + ports[edge]))
        found[edge] = tuple(dict.fromkeys(points))
    return found


def _ports(chains: Mapping[Edge, Sequence[str]], heights: Mapping[str, float]) -> dict[Edge, float]:
    """How far above or below the middle of a node each line arrives, in the order in which they come."""
    found: dict[Edge, float] = {}
    for target in dict.fromkeys(end for _, end in chains):
        arriving = [edge for edge in chains if edge[1] == target]
        arriving.sort(key=lambda edge: heights[chains[edge][-2]])
        for number, edge in enumerate(arriving):
            found[edge] = (number - (len(arriving) - 1) / 2) * _PORT
    return found
