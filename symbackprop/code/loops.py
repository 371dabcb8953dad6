"""Which parts of the fast path go through the examples some at a time, and with which arrays.

A part has a loop where its room may be too small for all examples, where a kernel makes arrays of its own,
or where it makes so many passes over the same rows that it pays to have them in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from symbackprop.code.memory import Buffer
from symbackprop.code.nodes import Graph, Node
from symbackprop.code.plan import Part, Plan
from symbackprop.code.rows import ENTRYWISE, temporaries
from symbackprop.forward.model import EXAMPLES

FEWEST = 7
"""So many passes in a row are worth a loop: with fewer, nothing was gained (``docs/fast_code.md``)."""


@dataclass(frozen=True)
class Loop:
    """A part of a plan, as one that can be made for some examples at a time."""

    plan: Plan
    number: int

    @property
    def part(self) -> Part:
        """The part itself."""
        return self.plan.parts[self.number]

    @property
    def graph(self) -> Graph:
        """The operations."""
        return self.plan.graph

    @cached_property
    def is_one(self) -> bool:
        """Whether the part has a loop."""
        return self.part.by_rows and (
            not self.part.room.is_enough or self.temporaries != 0 or self.passes >= FEWEST
        )

    @property
    def passes(self) -> int:
        """The most operations entry by entry that follow each other."""
        longest = found = 0
        for step in self.part.instructions:
            found = found + 1 if self.graph[step.node].operation in (*ENTRYWISE, "spread", "call") else 0
            longest = max(longest, found)
        return longest

    @property
    def temporaries(self) -> sp.Expr:
        """The most entries, for each example, that one operation has for itself while it runs."""
        found = sp.S.Zero
        for step in self.part.instructions:
            node = self.graph[step.node]
            count = temporaries(node)
            size = sp.Mul(count, *(dim for dim in node.dims if dim != EXAMPLES)) if count else sp.S.Zero
            found = size if found == 0 else sp.Max(found, size)
        return found

    @cached_property
    def given(self) -> tuple[str, ...]:
        """The arrays of examples that are handed in and that the part reads."""
        names = {str(n.detail) for n in self._below() if n.operation == "given" and EXAMPLES in n.dims}
        return tuple(sorted(names))

    def _below(self) -> Iterator[Node]:
        """Every node that a step of the part reads, through what is written where it is read."""
        waiting = [arg for step in self.part.instructions for arg in self.graph[step.node].args]
        while waiting:
            number = waiting.pop()
            yield self.graph[number]
            if number not in self.plan.names:
                waiting += self.graph[number].args

    @cached_property
    def read_or_written(self) -> tuple[str, ...]:
        """The arrays about examples that the part reads or writes, in order, each once."""
        found: dict[str, None] = {}
        for step in self.part.instructions:
            found |= dict.fromkeys(self._named(step.node))
        return tuple(found)

    def _named(self, number: int) -> Iterator[str]:
        node = self.graph[number]
        for arg in node.args:
            if arg in self.plan.names:
                yield from [self.plan.names[arg]] * (EXAMPLES in self.graph.dims(arg))
            else:
                yield from self._named(arg)
        if number in self.plan.names and EXAMPLES in node.dims:
            yield self.plan.names[number]

    @cached_property
    def kept(self) -> tuple[str, ...]:
        """Those of the arrays that have all examples."""
        return tuple(name for name in self.read_or_written if name not in self.own)

    @cached_property
    def own(self) -> dict[str, Buffer]:
        """The buffers in the part's room that have as many examples as a turn of the loop, by name."""
        mine = [b for b in self.plan.buffers if b.room == self.number and EXAMPLES in b.dims]
        return {name: b for b in mine for name in b.names if name in self.read_or_written}
