"""The order of the operations of the fast path, and when each result is read for the last time.

A gradient is worked out as soon as what it needs is there, so that its operands are free early.
Operations that go through the same rows stand together as far as they can, so that they may be made on
some examples at a time: a number that is summed up over all of them is used when the rows are done.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate

from symbackprop.code.nodes import COMPARING, Graph, arguments_first
from symbackprop.code.rows import adds_up, goes_by_rows, is_about_examples

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
class Step:
    """A node in its place in the order; ``copy_to`` names a gradient that is a copy of it."""

    node: int
    label: str
    section: str
    copy_to: str = ""


@dataclass(frozen=True)
class Stretch:
    """Steps that follow each other; ``by_rows`` says that all can be made for some examples at a time."""

    steps: tuple[Step, ...]
    by_rows: bool = False


@dataclass(frozen=True)
class Schedule:
    """The order of the operations, and when each result is read for the last time.

    ``by_rows`` says whether what goes by rows is put together.
    """

    graph: Graph
    goals: tuple[Goal, ...]
    by_rows: bool = False

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
            if self.by_rows and adds_up(self.graph, number):
                return False
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
        """Every step, those of a stretch together."""
        return tuple(step for stretch in self.stretches for step in stretch.steps)

    @cached_property
    def stretches(self) -> tuple[Stretch, ...]:
        """The steps with those together that go by rows together."""
        if not self.by_rows:
            return (Stretch(self.ordered),)
        return tuple(_Stretches(self).run())

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """Where in the order each stretch ends: the place after its last step."""
        return tuple(accumulate(len(stretch.steps) for stretch in self.stretches))

    def stretch_of(self, place: int) -> int:
        """The number of the stretch that a place in the order belongs to."""
        return bisect_right(self.ends, place)

    @cached_property
    def ordered(self) -> tuple[Step, ...]:
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
    def named_nodes(self) -> frozenset[int]:
        """The nodes that something else than a gradient is named after."""
        return frozenset(goal.node for goal in self.goals if not goal.gradient)

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
                found[arg] = max(found[arg], self._until(arg, place))
        for goal in self.gradients:
            if goal.node in found:
                found[goal.node] = len(self.steps)
        return found

    def _until(self, number: int, place: int) -> int:
        """How long a node that is read here has to be kept: what all rows need, until the last are done."""
        stretch = self.stretch_of(place)
        shared = not is_about_examples(self.graph, number) and self.stretch_of(self.place[number]) < stretch
        return self.ends[stretch] - 1 if shared and self.stretches[stretch].by_rows else place

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
    awaited: dict[str, int] = field(default_factory=dict)
    """By the name of a gradient, a node that it waited for when it was last looked at."""

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
        if shared or goal.node in self.schedule.named_nodes:
            self.steps.append(Step(goal.node, goal.label, goal.section, goal.name))
        self.owned.add(goal.node)

    def reach_ready_gradients(self) -> None:
        """Gradients for which nothing but themselves, and views, is missing."""
        for goal in self.waiting[:]:
            awaited = self.awaited.get(goal.name)
            if awaited is not None and awaited not in self.done:
                continue
            missing = next(self.lacking(goal), None)
            if missing is None:
                self.reach(goal)
            else:
                self.awaited[goal.name] = missing

    def lacking(self, goal: Goal) -> Iterator[int]:
        """The nodes that a gradient waits for, itself and an operation before it apart: before a factor, say.

        Each has a name, or is what one without a name reads.
        """
        for arg in self.schedule.reads(goal.node):
            if arg in self.done:
                continue
            if arg in self.schedule.reached_nodes:
                yield arg
            else:
                yield from (inner for inner in self.schedule.reads(arg) if inner not in self.done)


@dataclass
class _Stretches:
    """Puts steps that go by rows together: ``plain`` ones come before the ``rows``, others ``after`` them.

    ``in_rows`` are the nodes of the rows, ``awaited`` those that are there when the rows are done.
    """

    schedule: Schedule
    plain: list[Step] = field(default_factory=list)
    rows: list[Step] = field(default_factory=list)
    after: list[Step] = field(default_factory=list)
    in_rows: set[int] = field(default_factory=set)
    awaited: set[int] = field(default_factory=set)

    def run(self) -> Iterator[Stretch]:
        for step in self.schedule.ordered:
            if not self.takes(step):
                yield from self.closed()
                self.takes(step)
        yield from self.closed()
        yield from self.closed()

    def closed(self) -> Iterator[Stretch]:
        """What has been collected; the steps that waited for the rows begin the next stretch."""
        if self.plain:
            yield Stretch(tuple(self.plain))
        if self.rows:
            yield Stretch(tuple(self.rows), by_rows=True)
        self.plain, self.rows, self.after = self.after, [], []
        self.in_rows, self.awaited = set(), set()

    def takes(self, step: Step) -> bool:
        """Whether the step has found a place without an end of the rows."""
        graph = self.schedule.graph
        waits = self.waits(step)
        if not waits and not step.copy_to and self.is_in_rows(step.node):
            self.rows.append(step)
            self.in_rows.add(step.node)
            self.awaited |= {step.node} if adds_up(graph, step.node) else set()
        elif not graph.dims(step.node) and (waits or (self.rows and not self.reads_rows(step))):
            self.after.append(step)
            self.awaited.add(step.node)
        elif not self.reads_rows(step) and not waits:
            self.plain.append(step)
        else:
            return False
        return True

    def is_in_rows(self, number: int) -> bool:
        """Whether the node is made row by row; weights are turned over where they are needed."""
        graph = self.schedule.graph
        return goes_by_rows(graph, number) or graph[number].operation == "turned"

    def read_by(self, step: Step) -> set[int]:
        return {step.node} if step.copy_to else set(self.schedule.reads(step.node))

    def waits(self, step: Step) -> bool:
        """Whether the step needs a number that is being added up, or a step that waits for one."""
        return not self.awaited.isdisjoint(self.read_by(step))

    def reads_rows(self, step: Step) -> bool:
        return not self.in_rows.isdisjoint(self.read_by(step))
