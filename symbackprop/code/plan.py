"""The plan of the fast path: which operation comes when, and which memory its result is written into.

Everything here is decided from the operations and from how long each result is needed, for any program:

* a gradient is worked out as soon as what it needs is there, so that its operands are free early;
* an operation entry by entry writes over an operand that nobody reads any more;
* what is needed for a short time is kept where a gradient will be written later, if it fits there;
* what lives at different times shares memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod

import sympy as sp

from symbackprop.code.nodes import COMPARING, Dims, Graph, arguments_first
from symbackprop.forward.model import EXAMPLES

VIEWS = frozenset({"transpose", "spread"})
ALWAYS_THERE = frozenset({"given", "number", "ones"})


@dataclass(frozen=True)
class Goal:
    """A node that the program has a name for."""

    name: str
    node: int
    label: str
    section: str
    gradient: bool = False


@dataclass(frozen=True)
class Instruction:
    """Work out one node and write it to ``target``; or copy it there, if it is known already."""

    node: int
    target: str
    label: str
    section: str
    copies: bool = False


Length = tuple[int, int]
"""A number of entries: so many, and so many more for each example."""

BESIDES = 128
"""The number of examples for which memory is compared where nothing else decides."""


@dataclass(frozen=True)
class Buffer:
    """Memory for one array after another: its names in that order, and the gradient it lies in, if any.

    ``start`` is where in that gradient it begins; ``truth`` says that its entries are true or false.
    """

    names: tuple[str, ...]
    dims: Dims
    host: str | None = None
    start: Length = (0, 0)
    truth: bool = False


@dataclass(frozen=True)
class Plan:
    """Instructions in order, the buffers that they write into, and the names of all results."""

    graph: Graph
    instructions: tuple[Instruction, ...]
    buffers: tuple[Buffer, ...]
    names: Mapping[int, str]
    last_read: Mapping[int, int]


def plan(graph: Graph, goals: Sequence[Goal], sizes: Mapping[sp.Symbol, sp.Expr]) -> Plan:
    """The plan that reaches every goal; ``sizes`` are the numbers that are known."""
    schedule = Schedule(graph, tuple(goals))
    memory = Memory(schedule, sizes)
    names = memory.names
    instructions = tuple(
        Instruction(step.node, step.copy_to or names[step.node], step.label, step.section, bool(step.copy_to))
        for step in schedule.steps
    )
    return Plan(graph, instructions, memory.buffers, names, schedule.last_read)


# --- the order -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """A node in its place in the order; ``copy_to`` names a gradient that is a copy of it."""

    node: int
    label: str
    section: str
    copy_to: str = ""


@dataclass(frozen=True)
class Schedule:
    """The order of the operations, and when each result is read for the last time."""

    graph: Graph
    goals: tuple[Goal, ...]

    @cached_property
    def needed(self) -> frozenset[int]:
        """The nodes that the cost and the gradients need."""
        costs = [goal for goal in self.goals if goal.section == "cost"][-1:]
        gradients = [goal for goal in self.goals if goal.gradient]
        return frozenset(self.graph.below([goal.node for goal in (*costs, *gradients)]))

    @cached_property
    def readers(self) -> Mapping[int, list[int]]:
        """The nodes that read each node."""
        found: dict[int, list[int]] = {number: [] for number in self.needed}
        for number in sorted(self.needed):
            for arg in set(self.graph[number].args):
                found[arg].append(number)
        return found

    @cached_property
    def inline(self) -> frozenset[int]:
        """Nodes that are written where they are read: views, conditions, scalars that one other reads."""
        return frozenset(number for number in self.needed if self._is_inline(number))

    def _is_inline(self, number: int) -> bool:
        node = self.graph[number]
        if node.operation == "spread":
            return all(self.graph[reader].operation == "where" for reader in self.readers[number])
        if node.operation in VIEWS | ALWAYS_THERE:
            return True
        if not node.dims:
            readers = self.readers[number]
            alone = len(readers) == 1 and not self.graph[readers[0]].dims
            return alone and not any(goal.node == number for goal in self.goals)
        return node.detail in COMPARING and bool(self.readers[number]) and self._only_chooses(number)

    def _only_chooses(self, number: int) -> bool:
        """Whether a condition is read by choices alone, and never as a number."""
        for reader in self.readers[number]:
            node = self.graph[reader]
            choice = node.operation == "where" and number not in node.args[1:]
            joined = node.detail in ("logical_and", "logical_or") and self._only_chooses(reader)
            if not choice and not joined:
                return False
        return True

    def reads(self, number: int) -> Iterator[int]:
        """The results that a node reads, through what is written inline."""
        for arg in self.graph[number].args:
            if arg in self.inline:
                yield from self.reads(arg)
            else:
                yield arg

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Goals in their order, each gradient as soon as nothing else is missing for it."""
        order = _Order(self)
        for goal in self.reached:
            order.reach(goal)
            if goal.section == "backward":
                order.reach_ready_gradients()
        for goal in order.waiting[:]:
            order.reach(goal)
        return tuple(order.steps)

    @cached_property
    def reached(self) -> tuple[Goal, ...]:
        """The goals on the way; one that is a mere part of the next leaves its label to it."""
        found: list[Goal] = []
        labels: list[str] = []
        for goal in self.goals:
            if goal.gradient:
                continue
            labels.append(goal.label)
            if goal.node in self.needed:
                found.append(replace(goal, label="), (".join(labels)))
                labels = []
        return tuple(found)

    @cached_property
    def reached_nodes(self) -> frozenset[int]:
        """The nodes of the goals on the way."""
        return frozenset(goal.node for goal in self.reached)

    @cached_property
    def place(self) -> Mapping[int, int]:
        """Where in the order each result is made."""
        return {step.node: place for place, step in enumerate(self.steps) if not step.copy_to}

    @cached_property
    def last_read(self) -> Mapping[int, int]:
        """Where in the order each result is read for the last time; gradients are kept for ever."""
        found = dict(self.place)
        for place, step in enumerate(self.steps):
            reads = self.reads(step.node) if not step.copy_to else self._copied(step.node)
            for arg in reads:
                found[arg] = place
        for goal in self.gradients:
            if goal.node in found:
                found[goal.node] = len(self.steps)
        return found

    def _copied(self, number: int) -> Iterator[int]:
        return self.reads(number) if number in self.inline else iter((number,))

    @cached_property
    def gradients(self) -> tuple[Goal, ...]:
        """The gradients that are worked out into memory of their own, and not copied."""
        copied = {step.copy_to for step in self.steps}
        return tuple(goal for goal in self.goals if goal.gradient and goal.name not in copied)


@dataclass
class _Order:
    """Puts one goal after another into the order."""

    schedule: Schedule
    steps: list[Step] = field(default_factory=list)
    done: set[int] = field(default_factory=set)
    owned: set[int] = field(default_factory=set)

    @cached_property
    def waiting(self) -> list[Goal]:
        """The gradients that are still to come."""
        return [goal for goal in self.schedule.goals if goal.gradient]

    def reach(self, goal: Goal) -> None:
        for number in self.missing(goal.node):
            self.done.add(number)
            self.steps.append(Step(number, goal.label, goal.section))
        if goal.gradient:
            self.waiting.remove(goal)
            self.hand_over(goal)

    def missing(self, root: int) -> list[int]:
        """What has to be worked out for a node, in order."""
        graph, inline = self.schedule.graph, self.schedule.inline
        order = arguments_first([root], lambda number: graph[number].args, self.done)
        return [number for number in order if number not in inline]

    def hand_over(self, goal: Goal) -> None:
        """A gradient that is somebody else's array already, or none at all, is copied."""
        shared = goal.node in self.owned or goal.node in self.schedule.inline
        named = any(g.node == goal.node and not g.gradient for g in self.schedule.goals)
        if shared or named:
            self.steps.append(Step(goal.node, goal.label, goal.section, goal.name))
        self.owned.add(goal.node)

    def reach_ready_gradients(self) -> None:
        """Gradients for which nothing but themselves, and views, is missing."""
        for goal in self.waiting[:]:
            operands = self.schedule.reads(goal.node)
            if all(arg in self.done or self.close(arg) for arg in operands):
                self.reach(goal)

    def close(self, number: int) -> bool:
        """Whether a node without a name is one operation away: the product before a factor, say."""
        return number not in self.schedule.reached_nodes and all(
            arg in self.done for arg in self.schedule.reads(number)
        )


# --- the memory ----------------------------------------------------------------------------------


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
class _Memory:
    """A buffer while it is handed out: until when it is in use."""

    dims: Dims
    names: list[str]
    host: str | None = None
    start: Length = (0, 0)
    truth: bool = False
    shape: str = ""
    busy: int = -1


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

    @cached_property
    def chains(self) -> tuple[Chain, ...]:
        """Each array result is put at the end of the chain of an operand that it may write over."""
        graph, schedule = self.schedule.graph, self.schedule
        of: dict[int, Chain] = {}
        for step in schedule.steps:
            if step.copy_to or not graph.dims(step.node):
                continue
            chain = self._heir(step.node, of) or Chain([], schedule.place[step.node], 0)
            chain.nodes.append(step.node)
            chain.end = schedule.last_read[step.node]
            of[step.node] = chain
        unique = {id(chain): chain for chain in of.values()}
        return tuple(sorted(unique.values(), key=lambda chain: chain.start))

    def _heir(self, number: int, of: Mapping[int, Chain]) -> Chain | None:
        """The chain that this result goes on, one with a name before others."""
        graph, schedule = self.schedule.graph, self.schedule
        node = graph[number]
        if node.operation == "copied":
            return self._heir_of_truth(number, of)
        if node.operation not in ("apply", "scaled", "where"):
            return None
        through_views = [a for arg in node.args if arg in schedule.inline for a in schedule.reads(arg)]
        free = [
            arg
            for arg in node.args
            if arg in of
            and self._same(graph.dims(arg), node.dims)
            and schedule.last_read[arg] == schedule.place[number]
            and arg not in through_views
        ]
        free.sort(key=lambda arg: not of[arg].names(self.named))
        return of[free[0]] if free else None

    def _heir_of_truth(self, number: int, of: Mapping[int, Chain]) -> Chain | None:
        """The chain of an array that was compared and is read no more: where it was comes what it was."""
        graph, schedule = self.schedule.graph, self.schedule
        for arg in graph[graph[number].args[0]].args:
            same = arg in of and self._same(graph.dims(arg), graph.dims(number))
            if same and of[arg].nodes[-1] == arg and schedule.last_read[arg] < schedule.place[number]:
                return of[arg]
        return None

    @cached_property
    def turn(self) -> int:
        """Where in the order the backward pass starts."""
        sections = [step.section for step in self.schedule.steps]
        return sections.index("backward") if "backward" in sections else len(sections)

    @cached_property
    def _given_out(self) -> tuple[list[_Memory], Mapping[int, _Memory]]:
        """Memory for every chain, in the order in which they start."""
        hosts = self._hosts()
        memories: list[_Memory] = list(hosts.values())
        where: dict[int, _Memory] = {}
        for chain in self.chains:
            owner = next((self.owners[node] for node in chain.nodes if node in self.owners), None)
            memory = hosts[owner] if owner else self._find(chain, memories, hosts)
            if memory not in memories:
                memories.append(memory)
            memory.busy = chain.end
            memory.names += [name for name in chain.names(self.named) if name not in memory.names]
            where.update(dict.fromkeys(chain.nodes, memory))
        return memories, where

    def _hosts(self) -> dict[str, _Memory]:
        dims = self.schedule.graph.dims
        return {goal.name: _Memory(dims(goal.node), [goal.name]) for goal in self.schedule.gradients}

    @cached_property
    def _written(self) -> Mapping[str, int]:
        """When the memory of each gradient is first written for the gradient itself."""
        return {
            self.owners[node]: chain.start
            for chain in self.chains
            for node in chain.nodes
            if node in self.owners
        }

    def _find(self, chain: Chain, memories: list[_Memory], hosts: Mapping[str, _Memory]) -> _Memory:
        """Memory that is free as long as the chain lasts: used before, a gradient's, or new."""
        dims, truth = self.schedule.graph.dims(chain.nodes[0]), self._is_truth(chain)
        shape = self._shape(dims)
        live: dict[str, list[_Memory]] = {}
        for memory in memories:
            if memory.host is not None and memory.busy >= chain.start:
                live.setdefault(memory.host, []).append(memory)
        for memory in memories:
            fits = memory.shape == shape and memory.truth == truth and memory.busy < chain.start
            if fits and self._is_free(memory, chain, hosts, live):
                return memory
        host = None if len(dims) < 2 or self._blocks(chain) else self._host(chain, hosts, live)
        if host is not None:
            return _Memory(dims, [self._scratch_name(memories)], *host, truth, shape)
        names = [] if chain.names(self.named) else [self._scratch_name(memories)]
        return _Memory(dims, names, truth=truth, shape=shape)

    def _is_truth(self, chain: Chain) -> bool:
        return self.schedule.graph[chain.nodes[0]].operation == "compared"

    def _blocks(self, chain: Chain) -> bool:
        """Whether a chain is small and stays from one pass to the other: it would keep others out."""
        length = self._length(self.schedule.graph.dims(chain.nodes[0]))
        lasts = chain.start < self.turn <= chain.end
        return lasts and (length is None or 4 * _entries(length) < self._widest)

    @cached_property
    def _widest(self) -> int:
        """The entries of the largest result."""
        found = [self._length(self.schedule.graph.dims(chain.nodes[0])) for chain in self.chains]
        return max((_entries(length) for length in found if length and length[1]), default=0)

    def _is_free(
        self, memory: _Memory, chain: Chain, hosts: Mapping[str, _Memory], live: Mapping[str, list[_Memory]]
    ) -> bool:
        if memory.host is None:
            return memory.names[0] not in hosts
        until, neighbours = self._written[memory.host], live.get(memory.host, [])
        if self._blocks(chain):
            return False
        return chain.end < until and self._is_clear(memory.start, self._length(memory.dims), neighbours)

    def _host(
        self, chain: Chain, hosts: Mapping[str, _Memory], live: Mapping[str, list[_Memory]]
    ) -> tuple[str, Length] | None:
        """The gradient in which the chain lies best, and where in it.

        That is the smallest which nobody is in and where there is enough room; else the one with the most
        room beside the others; else the largest, where it will fit if examples are few.
        """
        length = self._length(self.schedule.graph.dims(chain.nodes[0]))
        needs = None if length is None else _entries(length)
        free = []
        for name in hosts:
            (rank, size), written = self._extent[name], self._written[name]
            if chain.end >= written:
                continue
            for start in self._gaps(length, live.get(name, [])):
                left = size - _entries(start)
                enough = needs is not None and needs <= left
                order = 2 if enough and start == (0, 0) else 1 if enough else 0
                if order or start == (0, 0):
                    free.append((order, rank, -size if order == 2 else left, written, name, start))
        return max(free)[-2:] if free else None

    def _gaps(self, length: Length | None, neighbours: Sequence[_Memory]) -> Iterator[Length]:
        """The first place in a gradient that none of those takes who live there at the time."""
        lengths = [(m.start, self._length(m.dims)) for m in neighbours]
        ends = [(start[0] + n[0], start[1] + n[1]) for start, n in lengths if n is not None]
        for start in ((0, 0), *sorted(ends, key=_entries)):
            if self._is_clear(start, length, neighbours):
                yield start
                return

    def _is_clear(self, start: Length, length: Length | None, neighbours: Sequence[_Memory]) -> bool:
        """Whether what is put here overlaps with nothing, however many examples there are."""
        for other in neighbours:
            size = self._length(other.dims)
            after = size is not None and _is_before(other.start, size, start)
            before = length is not None and _is_before(start, length, other.start)
            if not after and not before:
                return False
        return True

    def _length(self, dims: Dims) -> Length | None:
        """How many entries an array has; ``None`` if its sizes are no numbers."""
        if dims not in self._lengths:
            self._lengths[dims] = self._counted([self.sizes.get(dim, dim) for dim in dims])
        return self._lengths[dims]

    @staticmethod
    def _counted(sizes: Sequence[sp.Expr]) -> Length | None:
        numbers = prod(int(size) for size in sizes if size.is_Integer)
        others = [size for size in sizes if not size.is_Integer]
        if not others:
            return (numbers, 0)
        return (0, numbers) if others == [EXAMPLES] else None

    @cached_property
    def _lengths(self) -> dict[Dims, Length | None]:
        return {}

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
    def _extent(self) -> Mapping[str, tuple[int, int]]:
        """How many axes and, if that is known, entries each gradient has."""
        dims = {goal.name: self.schedule.graph.dims(goal.node) for goal in self.schedule.gradients}
        return {name: (len(found), self._size(found)) for name, found in dims.items()}

    def _size(self, dims: Dims) -> int:
        length = self._length(dims)
        return 0 if length is None else length[0]

    @staticmethod
    def _scratch_name(memories: list[_Memory]) -> str:
        used = {name for memory in memories for name in memory.names}
        return next(name for n in range(1, len(memories) + 2) if (name := f"t{n}") not in used)

    @cached_property
    def buffers(self) -> tuple[Buffer, ...]:
        """The memory that has to be there, gradients first."""
        memories = self._given_out[0]
        return tuple(Buffer(tuple(m.names), m.dims, m.host, m.start, m.truth) for m in memories)

    @cached_property
    def names(self) -> Mapping[int, str]:
        """The variable that each result is in; one without a name has that of the next in its chain."""
        where = self._given_out[1]
        found: dict[int, str] = {}
        for chain in self.chains:
            name = where[chain.nodes[0]].names[0]
            following = [names[0] for node in chain.nodes if (names := self.named.get(node))]
            name = following[-1] if following else name
            for node in reversed(chain.nodes):
                name = self.named.get(node, [name])[0]
                found[node] = name
        return found | self._scalars()

    def _scalars(self) -> dict[int, str]:
        found: dict[int, str] = {}
        for step in self.schedule.steps:
            if not self.schedule.graph.dims(step.node) and not step.copy_to:
                found[step.node] = self.named.get(step.node, [f"s{len(found) + 1}"])[0]
        return found


def _entries(length: Length) -> int:
    return length[0] + BESIDES * length[1]


def _is_before(start: Length, length: Length, other: Length) -> bool:
    """Whether what starts here ends before the other starts, however many examples there are."""
    end = (start[0] + length[0], start[1] + length[1])
    return end[1] <= other[1] and sum(end) <= sum(other)
