"""Which operations go through rows a few at a time, and the next ones find them in the cache.

A formula such as GELU's is a dozen passes over arrays. Where these are larger than the cache, every pass
waits for memory. So passes that follow each other and need nothing but the same rows of their operands are
made on some rows, then on the next ones. Only arrays by example and unit take part: matrix products, sums
along an axis and the arrays that are handed in stay whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from symbackprop.code.nodes import Dims, Graph
from symbackprop.code.plan import Instruction, Plan
from symbackprop.forward.model import EXAMPLES

FEWEST = 7
"""So many passes in a row are worth a loop: with fewer, nothing was gained (``docs/fast_code.md``)."""

PASSES = ("apply", "compared", "scaled", "filled", "copied", "spread", "where")


@dataclass(frozen=True)
class Run:
    """Instructions that follow each other, and the arrays that they go through by rows, if they do."""

    instructions: tuple[Instruction, ...]
    arrays: tuple[str, ...] = ()


def runs(plan: Plan) -> Iterator[Run]:
    """The instructions of a plan in order, those together that go through rows together."""
    rows = _Rows(plan)
    for (_, shape), found in groupby(plan.instructions, key=lambda step: (step.section, rows.shape(step))):
        steps = tuple(found)
        arrays = tuple(rows.arrays(steps)) if shape is not None and len(steps) >= FEWEST else ()
        if arrays and rows.apart(arrays):
            yield Run(steps, arrays)
        else:
            yield from (Run((step,)) for step in steps)


@dataclass(frozen=True)
class _Rows:
    """Tells which operations can be made on some rows alone."""

    plan: Plan

    @property
    def graph(self) -> Graph:
        return self.plan.graph

    def shape(self, step: Instruction) -> Dims | None:
        """The shape of what the instruction writes, if it can be written row by row."""
        node = self.graph[step.node]
        by_rows = len(node.dims) == 2 and node.dims[0] == EXAMPLES and node.operation in PASSES
        if step.copies or not by_rows:
            return None
        if node.operation == "spread":
            return node.dims if node.detail == (1,) else None
        return node.dims if all(self.reads_rows(arg, node.dims) for arg in node.args) else None

    def reads_rows(self, number: int, dims: Dims) -> bool:
        """Whether an operand is a number, or has the same rows in memory of the callable's own."""
        node = self.graph[number]
        if node.operation == "number":
            return True
        if node.operation in ("given", "transpose", "ones", "turned"):
            return False
        if number in self.plan.names:
            return node.dims == dims
        if node.operation == "spread":
            return node.detail == (1,)
        return bool(node.args) and all(self.reads_rows(arg, dims) for arg in node.args)

    def apart(self, arrays: Sequence[str]) -> bool:
        """Whether no two arrays lie across each other in the memory of one gradient.

        Those that take turns in one buffer have the same rows in the same places; others would be
        overwritten before all of their rows have been read.
        """
        hosts = [buffer.host for buffer in self.plan.buffers if buffer.host and {*arrays} & {*buffer.names}]
        return len(hosts) == len(set(hosts))

    def arrays(self, steps: Sequence[Instruction]) -> Iterator[str]:
        """The names of all arrays that are read or written by rows, each once."""
        found: dict[str, None] = {}
        for step in steps:
            read = [name for arg in self.graph[step.node].args for name in self.named(arg)]
            found |= dict.fromkeys([*read, step.target])
        yield from found

    def named(self, number: int) -> Iterator[str]:
        """The arrays with rows in an operand, through what is written where it is read."""
        node = self.graph[number]
        if number in self.plan.names:
            yield from [self.plan.names[number]] * (len(node.dims) == 2)
        else:
            for arg in node.args:
                yield from self.named(arg)
