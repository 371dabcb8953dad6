"""The plan of the fast path: which operation comes when, and which memory its result is written into.

The order is decided in :mod:`~symbackprop.code.schedule`, the memory in :mod:`~symbackprop.code.memory`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy as sp

from symbackprop.code.memory import Buffer, Memory, Room
from symbackprop.code.nodes import Graph
from symbackprop.code.schedule import Goal, Schedule


@dataclass(frozen=True)
class Instruction:
    """Work out one node and write it to ``target``; or copy it there, if it is known already."""

    node: int
    target: str
    label: str
    section: str
    copies: bool = False


@dataclass(frozen=True)
class Part:
    """Instructions that follow each other, and their room; ``by_rows`` if some examples at a time will do."""

    instructions: tuple[Instruction, ...]
    room: Room
    by_rows: bool


@dataclass(frozen=True)
class Plan:
    """Instructions in order, the buffers that they write into, and the names of all results.

    ``kept`` is how many entries the arrays have for each example that more than one part reads.
    """

    graph: Graph
    parts: tuple[Part, ...]
    buffers: tuple[Buffer, ...]
    names: Mapping[int, str]
    last_read: Mapping[int, int]
    kept: sp.Expr

    @property
    def instructions(self) -> tuple[Instruction, ...]:
        """Those of all parts."""
        return tuple(step for part in self.parts for step in part.instructions)


def plan(
    graph: Graph, goals: Sequence[Goal], sizes: Mapping[sp.Symbol, sp.Expr], by_rows: bool = False
) -> Plan:
    """The plan that reaches every goal; ``sizes`` are the numbers that are known.

    ``by_rows`` says whether what needs the same rows is put together, with a room for all that it needs
    for itself.
    """
    schedule = Schedule(graph, tuple(goals), by_rows)
    memory = Memory(schedule, sizes)
    names = memory.names
    parts = []
    for stretch, room in zip(schedule.stretches, memory.rooms, strict=True):
        instructions = tuple(
            Instruction(s.node, s.copy_to or names[s.node], s.label, s.section, bool(s.copy_to))
            for s in stretch.steps
        )
        parts.append(Part(instructions, room, stretch.by_rows))
    return Plan(graph, tuple(parts), memory.buffers, names, schedule.last_read, memory.kept)
