"""Which memory each result of the fast path is written into.

Everything here is decided from the operations and from how long each result is needed, for any program:

* an operation entry by entry writes over an operand that nobody reads any more, so that a layer's
  pre-activation, activation and delta are one array;
* what is needed within one stretch of the order lies in the stretch's *room*: results that are needed at
  different times share it, whatever their shapes;
* a room is memory that is free at the time: that of gradients which are written later, or an array whose
  last reader is done. Where that may be too little, the stretch goes through the examples some at a time;
* an array that is kept lies where gradients will be that are written when it is needed no more, if for this
  number of examples there is place for it beside the rooms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count, groupby

import sympy as sp

from symbackprop.code.nodes import Dims
from symbackprop.code.rows import is_about_examples
from symbackprop.code.schedule import Goal, Schedule
from symbackprop.forward.model import EXAMPLES

GRADIENT, KEPT, LOCAL, FIXED = "gradient", "kept", "local", "fixed"
"""What a place is for: a result that is handed out; one that more than one stretch reads; examples within
a stretch; and what all examples share, within a stretch."""

TRUTHS_IN_AN_ENTRY = 4
"""So many true or false fit where the smallest number is."""


@dataclass(frozen=True)
class Buffer:
    """Memory for one array after another: its names in that order, and where it is.

    ``room`` is the number of the stretch in whose room it lies, ``start`` where it begins there: so many
    entries for each example that the room is for, if it is about examples. ``truth`` says that its entries
    are true or false. ``later`` are names of gradients that lie side by side and are first written when
    nobody needs the buffer any more.
    """

    names: tuple[str, ...]
    dims: Dims
    truth: bool = False
    room: int | None = None
    start: sp.Expr = sp.S.Zero
    later: tuple[str, ...] = ()


@dataclass(frozen=True)
class Room:
    """What a stretch needs besides the arrays that are kept, and which memory is free meanwhile.

    ``fixed`` are entries that all examples share, ``units`` entries for each example. ``gradients`` are
    names of gradients that lie side by side, ``host`` names an array which nobody reads; ``is_enough``
    says that the host is as large as it must be for any number of examples.
    """

    fixed: sp.Expr = sp.S.Zero
    units: sp.Expr = sp.S.Zero
    gradients: tuple[str, ...] = ()
    host: str | None = None
    is_enough: bool = True


@dataclass
class Chain:
    """Results that are written over each other, one after another, in one place."""

    nodes: list[int]
    start: int
    end: int

    def names(self, named: Mapping[int, list[str]]) -> list[str]:
        """The names of the results that have one."""
        return [name for node in self.nodes for name in named.get(node, [])]


@dataclass(eq=False)
class Place:
    """Memory of one shape and the chains that follow each other there."""

    dims: Dims
    truth: bool
    kind: str
    stretch: int
    chains: list[Chain] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    start: sp.Expr = sp.S.Zero

    @property
    def first(self) -> int:
        """When something is written here for the first time."""
        return self.chains[0].start

    @property
    def last(self) -> int:
        """When something that was written here is read for the last time: chains follow each other."""
        return self.chains[-1].end


@dataclass(frozen=True)
class Memory:
    """Which results share memory, and under which names."""

    schedule: Schedule
    sizes: Mapping[sp.Symbol, sp.Expr]

    @cached_property
    def named(self) -> Mapping[int, list[str]]:
        """The names that the program has for a node."""
        found: dict[int, list[str]] = {}
        copied = {step.copy_to for step in self.schedule.steps}
        for goal in self.schedule.goals:
            if goal.name not in copied:
                found.setdefault(goal.node, []).append(goal.name)
        return found

    @cached_property
    def owners(self) -> Mapping[int, str]:
        """The gradients by node."""
        return {goal.node: goal.name for goal in self.schedule.gradients}

    # places

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Every result in its place, in the order in which places are first written."""
        found = self._found
        for place in found:
            names = [name for chain in place.chains for name in chain.names(self.named)]
            place.names += dict.fromkeys(names)
        used = {name for place in found for name in place.names}
        scratch = (name for number in count(1) if (name := f"t{number}") not in used)
        for place in found:
            if any(not chain.names(self.named) for chain in place.chains):
                place.names.append(next(scratch))
        return tuple(found)

    @cached_property
    def _found(self) -> list[Place]:
        """The places, each with the chains of its results."""
        schedule = self.schedule
        found: list[Place] = []
        of: dict[int, tuple[Chain, Place]] = {}
        for step in schedule.steps:
            if step.copy_to or not schedule.graph.dims(step.node):
                continue
            chain, place = self._assigned(step.node, found, of)
            chain.nodes.append(step.node)
            chain.end = schedule.last_read[step.node]
            of[step.node] = chain, place
        return found

    def _assigned(
        self, number: int, found: list[Place], of: Mapping[int, tuple[Chain, Place]]
    ) -> tuple[Chain, Place]:
        """The chain that the result goes on, or a new one where there is room, or in a new place."""
        kind, heir = self._kind(number), self._heir(number, of)
        if heir is not None:
            chain, place = heir
            other = self._free(number, KEPT) if kind == KEPT and place.kind == LOCAL else None
            if other is None:
                place.kind = kind if kind in (KEPT, GRADIENT) else place.kind
                return chain, place
            return self._new_chain(number, other)
        free = self._free(number, kind) if kind != GRADIENT else None
        if free is None:
            free = self._new_place(number, kind)
            found.append(free)
            self._alike.setdefault(self._key(number), []).append(free)
        return self._new_chain(number, free)

    @cached_property
    def _alike(self) -> dict[tuple[str, bool], list[Place]]:
        """The places of each shape, in the order in which they were found."""
        return {}

    def _key(self, number: int) -> tuple[str, bool]:
        return self._shape(self.schedule.graph.dims(number)), self._is_truth(number)

    def _new_chain(self, number: int, place: Place) -> tuple[Chain, Place]:
        start = self.schedule.place[number]
        place.chains.append(Chain([], start, start))
        return place.chains[-1], place

    def _new_place(self, number: int, kind: str) -> Place:
        stretch = self.schedule.stretch_of(self.schedule.place[number])
        return Place(self.schedule.graph.dims(number), self._is_truth(number), kind, stretch)

    def _kind(self, number: int) -> str:
        """What a place for this result is for."""
        schedule = self.schedule
        if number in self.owners:
            return GRADIENT
        made, read = (schedule.stretch_of(at[number]) for at in (schedule.place, schedule.last_read))
        if not schedule.by_rows or made != read:
            return KEPT
        if not is_about_examples(schedule.graph, number):
            return FIXED
        return LOCAL if schedule.stretches[made].by_rows else KEPT

    def _free(self, number: int, kind: str) -> Place | None:
        """A place of the same shape that is in use no more, one that is kept before others."""
        now = self.schedule.place[number]
        free = [place for place in self._alike.get(self._key(number), ()) if place.last < now]
        stretch = self.schedule.stretch_of(now)
        mine = [place for place in free if place.kind == kind and place.stretch == stretch]
        return next(iter([place for place in free if place.kind == KEPT] + mine), None)

    def _heir(self, number: int, of: Mapping[int, tuple[Chain, Place]]) -> tuple[Chain, Place] | None:
        """The chain that this result goes on: best one whose memory is kept, then one with a name."""
        graph, schedule = self.schedule.graph, self.schedule
        node = graph[number]
        if node.operation == "copied":
            return self._heir_of_truth(number, of)
        if node.operation not in ("apply", "scaled", "where"):
            return None
        through_views = [a for arg in node.args if arg in schedule.inline for a in schedule.reads(arg)]
        free = [
            of[arg]
            for arg in node.args
            if arg in of
            and self._same(graph.dims(arg), node.dims)
            and schedule.last_read[arg] == schedule.place[number]
            and arg not in through_views
            and of[arg][1].truth == self._is_truth(number)
        ]
        free.sort(key=lambda pair: (pair[1].kind != KEPT, not pair[0].names(self.named)))
        return free[0] if free else None

    def _heir_of_truth(
        self, number: int, of: Mapping[int, tuple[Chain, Place]]
    ) -> tuple[Chain, Place] | None:
        """The chain of an array that was compared and is read no more: where it was comes what it was."""
        graph, schedule = self.schedule.graph, self.schedule
        for arg in graph[graph[number].args[0]].args:
            if arg not in of or not self._same(graph.dims(arg), graph.dims(number)):
                continue
            chain, place = of[arg]
            if place.truth or not self._outlives(place, number):
                continue
            latest = chain.nodes[-1] == arg and place.chains[-1] is chain
            if latest and schedule.last_read[arg] < schedule.place[number]:
                return chain, place
        return None

    def _outlives(self, place: Place, number: int) -> bool:
        """Whether a place is still there when a result is made: what is local goes with its stretch."""
        stretch = self.schedule.stretch_of(self.schedule.place[number])
        return place.kind not in (LOCAL, FIXED) or place.stretch == stretch

    def _is_truth(self, number: int) -> bool:
        return self.schedule.graph[number].operation == "compared"

    # rooms

    @cached_property
    def rooms(self) -> tuple[Room, ...]:
        """The room of every stretch; where each place is in it."""
        return tuple(self._room(number) for number in range(len(self.schedule.stretches)))

    def _room(self, stretch: int) -> Room:
        here = self._places_of.get(stretch, [])
        fixed = self._packed([place for place in here if place.kind == FIXED])
        units = self._packed([place for place in here if place.kind == LOCAL])
        if fixed == units == 0:
            return Room()
        host = self._host(stretch, units)
        enough = units == 0 or (host is not None and self._covers(self._units(host.dims), units))
        return Room(fixed, units, self._later(stretch), None if host is None else host.names[0], enough)

    @cached_property
    def _places_of(self) -> Mapping[int, list[Place]]:
        """The places by the stretch that they belong to."""
        found: dict[int, list[Place]] = {}
        for place in self.places:
            found.setdefault(place.stretch, []).append(place)
        return found

    def _packed(self, places: Sequence[Place]) -> sp.Expr:
        """Give each of these places a start, so that none is where another is in use; the length of all."""
        end = sp.S.Zero
        done: list[Place] = []
        for place in sorted(places, key=lambda place: -self._number(self._units(place))):
            place.start = self._first_gap(place, done)
            done.append(place)
            end = _larger(end, place.start + self._units(place))
        return end

    def _first_gap(self, place: Place, others: Sequence[Place]) -> sp.Expr:
        """The first start at which a place is clear of those others that are in use at some time with it."""
        busy = [o for o in others if o.first <= place.last and place.first <= o.last]
        if not all(self._units(o).is_Integer for o in (place, *others)):
            return sp.Add(*(self._units(o) for o in others))
        starts = [sp.S.Zero, *sorted(o.start + self._units(o) for o in busy)]
        return next(start for start in starts if self._is_clear(start, place, busy))

    def _is_clear(self, start: sp.Expr, place: Place, busy: Sequence[Place]) -> bool:
        end = start + self._units(place)
        return all(bool(end <= o.start) or bool(o.start + self._units(o) <= start) for o in busy)

    def _units(self, what: Place | Dims) -> sp.Expr:
        """The entries of an array, for each example if it has any; true and false take less."""
        dims, truth = (what.dims, what.truth) if isinstance(what, Place) else (what, False)
        size = sp.Mul(*(self.sizes.get(dim, dim) for dim in dims if dim != EXAMPLES))
        return sp.ceiling(size / TRUTHS_IN_AN_ENTRY) if truth and size.is_Integer else size

    @staticmethod
    def _number(size: sp.Expr) -> int:
        """A size that can be compared; open ones count as nothing."""
        return int(size) if size.is_Integer else 0

    @staticmethod
    def _covers(size: sp.Expr, other: sp.Expr) -> bool:
        """Whether one size is as large as the other whatever open sizes are."""
        return bool(size == other or (size.is_Integer and other.is_Integer and size >= other))

    def _host(self, stretch: int, units: sp.Expr) -> Place | None:
        """The largest array about examples that nobody needs during a stretch."""
        if units == 0:
            return None
        start = self.schedule.ends[stretch - 1] if stretch else 0
        end = self.schedule.ends[stretch]
        idle = [
            place
            for place in self.places
            if place.kind == KEPT and not place.truth and place.dims[0] == EXAMPLES
            if place.first < start and all(c.end < start or c.start >= end for c in place.chains)
        ]
        return max(idle, key=lambda place: self._number(self._units(place)), default=None)

    def _later(self, stretch: int) -> tuple[str, ...]:
        """The names of gradients that lie side by side and are first written after a stretch."""
        if stretch not in self._runs:
            end = self.schedule.ends[stretch]
            groups = groupby(self._names_and_times, lambda item: item[1] >= end)
            runs = [tuple(name for name, _ in run) for is_later, run in groups if is_later]
            self._runs[stretch] = max(runs, key=self._length, default=())
        return self._runs[stretch]

    @cached_property
    def _runs(self) -> dict[int, tuple[str, ...]]:
        """What :meth:`_later` has found, by stretch."""
        return {}

    @cached_property
    def _names_and_times(self) -> list[tuple[str, int]]:
        """The gradients as they lie in memory, and when each is first written; at once if it has examples."""
        graph = self.schedule.graph
        about = {goal.name for goal in self.gradients if is_about_examples(graph, goal.node)}
        return [(g.name, -1 if g.name in about else self._written[g.name]) for g in self.gradients]

    def _length(self, names: Sequence[str]) -> tuple[int, int]:
        return sum(self._entries[name] for name in names), len(names)

    @cached_property
    def _entries(self) -> Mapping[str, int]:
        """How many entries each gradient has; open sizes count as nothing."""
        dims = self.schedule.graph.dims
        return {goal.name: self._number(self._units(dims(goal.node))) for goal in self.gradients}

    @cached_property
    def gradients(self) -> tuple[Goal, ...]:
        """Every gradient, in the order in which they lie in memory."""
        return tuple(goal for goal in self.schedule.goals if goal.gradient)

    @cached_property
    def _written(self) -> Mapping[str, int]:
        """When the memory of each gradient is first written."""
        found = {step.copy_to: at for at, step in enumerate(self.schedule.steps) if step.copy_to}
        owned = {
            self.owners[node]: place.first
            for place in self.places
            for chain in place.chains
            for node in chain.nodes
            if node in self.owners
        }
        return found | owned

    @cached_property
    def kept(self) -> sp.Expr:
        """The entries for each example of all arrays that are kept."""
        about = [place for place in self.places if place.kind == KEPT and EXAMPLES in place.dims]
        return sp.Add(*(self._units(place) for place in about))

    # names

    def _same(self, one: Dims, other: Dims) -> bool:
        return one == other or self._shape(one) == self._shape(other)

    def _shape(self, dims: Dims) -> str:
        """Sizes as text, which is compared quickly; as numbers where they are known."""
        if dims not in self._shapes:
            self._shapes[dims] = ", ".join(str(self.sizes.get(dim, dim)) for dim in dims)
        return self._shapes[dims]

    @cached_property
    def _shapes(self) -> dict[Dims, str]:
        return {}

    @cached_property
    def buffers(self) -> tuple[Buffer, ...]:
        """The memory that has to be there, gradients first and in their order."""
        dims = self.schedule.graph.dims
        places = [place for place in self.places if place.kind == GRADIENT]
        of = {name: place for place in places for name in place.names}
        handed_out = [
            Buffer(self._names_of(goal, of.get(goal.name)), dims(goal.node)) for goal in self.gradients
        ]
        mine = {id(of[goal.name]) for goal in self.gradients if goal.name in of}
        return (*handed_out, *(self._buffer(place) for place in self.places if id(place) not in mine))

    @staticmethod
    def _names_of(gradient: Goal, place: Place | None) -> tuple[str, ...]:
        """The names of a gradient's memory, its own first; a copy has no other."""
        others = [] if place is None else [name for name in place.names if name != gradient.name]
        return (gradient.name, *others)

    def _buffer(self, place: Place) -> Buffer:
        room = self.rooms[place.stretch]
        inside = place.kind == LOCAL or (place.kind == FIXED and self._has_place_for(room))
        if inside:
            return Buffer(tuple(place.names), place.dims, place.truth, place.stretch, place.start)
        return Buffer(tuple(place.names), place.dims, place.truth, later=self._later_than(place))

    def _later_than(self, place: Place) -> tuple[str, ...]:
        """Gradients side by side that are written when a kept array of all examples is needed no more."""
        if place.kind != KEPT or place.truth or place.dims[0] != EXAMPLES:
            return ()
        host = self._hosts.get(place.names[0], 0)
        return self._later(max(self.schedule.stretch_of(place.last), host))

    @cached_property
    def _hosts(self) -> Mapping[str, int]:
        """The last stretch whose room each array is, by the array's first name."""
        return {room.host: stretch for stretch, room in enumerate(self.rooms) if room.host is not None}

    def _has_place_for(self, room: Room) -> bool:
        """Whether what all examples share lies in gradients that are written later."""
        return bool(room.fixed.is_Integer and self._length(room.gradients)[0] >= room.fixed)

    @cached_property
    def names(self) -> Mapping[int, str]:
        """The variable that each result is in; one without a name has that of the next in its chain."""
        found: dict[int, str] = {}
        for place in self.places:
            for chain in place.chains:
                following = [names[0] for node in chain.nodes if (names := self.named.get(node))]
                name = following[-1] if following else self._unnamed(place)
                for node in reversed(chain.nodes):
                    name = self.named.get(node, [name])[0]
                    found[node] = name
        return found | self._scalars()

    def _unnamed(self, place: Place) -> str:
        """The name of a place that no equation gave it."""
        given = {name for chain in place.chains for name in chain.names(self.named)}
        return next(name for name in place.names if name not in given)

    def _scalars(self) -> dict[int, str]:
        found: dict[int, str] = {}
        for step in self.schedule.steps:
            if not self.schedule.graph.dims(step.node) and not step.copy_to:
                found[step.node] = self.named.get(step.node, [f"s{len(found) + 1}"])[0]
        return found


def _larger(one: sp.Expr, other: sp.Expr) -> sp.Expr:
    """The larger of two sizes; of open ones the later, which begins where the others end."""
    known = one.is_Integer and other.is_Integer
    return one if known and one > other else other
