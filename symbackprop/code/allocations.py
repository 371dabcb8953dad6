"""What the fast path makes once: constants, the gradients in one piece of memory, buffers, rows of loops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from symbackprop.code.fast_code import FastCode, shape_code
from symbackprop.code.loops import Loop
from symbackprop.code.memory import Buffer, Room
from symbackprop.code.nodes import Dims
from symbackprop.code.numpy_code import Names, tuple_code
from symbackprop.code.plan import Plan
from symbackprop.code.vector_forms import MANY
from symbackprop.forward.model import EXAMPLES

MOST_ONES = 1024
"""Columns of more entries are summed up in pieces, so that ones need little memory."""

EVEN = 16
"""Gradients begin at multiples of so many entries, where caches have their lines."""

WORTH = 32
"""Gradients take in an array that is kept if they have place for so many of its rows."""

SHARE = 50
"""What fits into no memory that is free gets one part of so many of what is kept."""

Span = tuple[sp.Expr, sp.Expr]
"""From which entry to which."""


@dataclass(frozen=True)
class Allocations:
    """The lines that make what the lines of ``code`` need; these must have been written before."""

    code: FastCode

    @property
    def plan(self) -> Plan:
        """The plan whose memory it is."""
        return self.code.plan

    @property
    def names(self) -> Names:
        """The variables of sizes."""
        return self.code.names

    def lines(self) -> list[str]:
        """Every line, constants first."""
        return [*self.constants(), *self.gradients(), *self.arrays(), *self.flat_arrays(), *self.rooms()]

    def constants(self) -> Iterator[str]:
        """Functions under names of their own, numbers, and ones."""
        code = self.code
        yield from (f"{name} = np.{name}" for name in code.functions)
        yield from (f"{name} = np.asarray({text}, dtype)" for name, text in code.constants.items())
        yield from (f"{name} = np.ones({size}, dtype)" for size, name in code.ones.items())
        nodes = [self.plan.graph[step.node] for step in self.plan.instructions]
        n = self.names.symbol(EXAMPLES)
        if any(node.operation == "turned" for node in nodes):
            yield f"turned = _written_out if {n} >= {MANY} else _as_it_is"
        if any(code.sums_columns(node) for node in nodes):
            short, long = f"np.ones({n}, dtype).dot", f"_column_sums(np.ones({MOST_ONES}, dtype))"
            yield f"column_sums = {short} if {n} <= {MOST_ONES} else {long}"

    @cached_property
    def layout(self) -> Mapping[str, tuple[sp.Expr, sp.Expr]]:
        """Where each gradient begins among all of them, and where it ends; large ones at even places."""
        found: dict[str, tuple[sp.Expr, sp.Expr]] = {}
        start = sp.S.Zero
        for buffer in self.code.handed_out:
            end = start + self.size(buffer.dims)
            found[buffer.names[0]] = start, end
            even = self.code.scalars is None and end.is_Integer
            start = sp.Integer(-(-int(end) // EVEN) * EVEN) if even else end
        return found

    def size(self, dims: Dims) -> sp.Expr:
        """How many entries an array has, as far as that is known."""
        return self.known(sp.Mul(*dims))

    def gradients(self) -> Iterator[str]:
        """The gradients one behind the other."""
        total = [*self.layout.values()][-1][1]
        yield f"flat = _aligned(({_count(total)},), dtype)"
        for buffer in self.code.handed_out:
            start, _ = self.layout[buffer.names[0]]
            yield f"{self.targets(buffer)} = {self.piece('flat', buffer, start)}"

    def targets(self, buffer: Buffer) -> str:
        """The names of a buffer that the code uses."""
        return " = ".join(name for name in buffer.names if name in self.code.used)

    def piece(self, memory: str, buffer: Buffer, start: sp.Expr) -> str:
        """A buffer as a piece of other memory."""
        words = [memory, shape_code(buffer.dims, self.names)]
        words += [_count(start)] * (start != 0 or buffer.truth) + ["bool"] * buffer.truth
        return f"_piece({', '.join(words)})"

    def arrays(self) -> Iterator[str]:
        """The buffers that aren't handed out, where they don't belong to a loop."""
        if self.movable:
            yield self.kept()
        for buffer in self.plan.buffers:
            if buffer.names[0] in self.layout or (self.code.loops_over(buffer) and EXAMPLES in buffer.dims):
                continue
            shape, kind = shape_code(buffer.dims, self.names), "bool" if buffer.truth else "dtype"
            if buffer in self.movable:
                yield f"{self.targets(buffer)} = kept[{[*self.movable].index(buffer)}]"
                continue
            if buffer.room is None:
                yield f"{self.targets(buffer)} = _aligned({shape}, {kind})"
                continue
            room, start = self.plan.parts[buffer.room].room, buffer.start
            memory = f"{room.host}.reshape(-1)"
            if EXAMPLES in buffer.dims:
                start = start * sp.Symbol(self.names.symbol(EXAMPLES))
            else:
                memory, start = "flat", start + self.shared(room)
            yield f"{self.targets(buffer)} = {self.piece(memory, buffer, start)}"

    @cached_property
    def movable(self) -> Mapping[Buffer, Span]:
        """Arrays that are kept, and which gradients' memory is free as long as they are; long spans first."""
        found = {b: self.span(b.later) for b in self.plan.buffers if b.later}
        wide = {b: span for b, span in found.items() if self.is_wide(span, b.dims)}
        known = all(_is_known(self.span(part.room.gradients)) for part in self.plan.parts)
        return dict(sorted(wide.items(), key=lambda item: -item[1][1])) if known else {}

    def is_wide(self, span: Span, dims: Dims) -> bool:
        """Whether there is place for enough examples that it can matter."""
        units = self.size(tuple(dim for dim in dims if dim != EXAMPLES))
        return _is_known((units, *span)) and bool(span[1] - span[0] >= WORTH * units)

    def span(self, gradients: Sequence[str]) -> Span:
        """From where to where gradients lie that are side by side."""
        if not gradients:
            return sp.S.Zero, sp.S.Zero
        return self.layout[gradients[0]][0], self.layout[gradients[-1]][1]

    def kept(self) -> str:
        """The call that finds a place for arrays that may be moved, beside what rooms need."""
        shared = [self.shared(part.room) for part in self.plan.parts if self.is_shared(part.room)]
        until = _count(min(shared, default=[*self.layout.values()][-1][1]))
        arrays = [f"({shape_code(b.dims, self.names)}, {x}, {y})" for b, (x, y) in self.movable.items()]
        needs = [f"({units}, {first}, {last})" for units, first, last in dict.fromkeys(self.needs())]
        words = ("flat", until, f"[{', '.join(arrays)}]", f"[{', '.join(needs)}]")
        return f"kept, end = _kept({self.names.symbol(EXAMPLES)}, {', '.join(words)})"

    def is_shared(self, room: Room) -> bool:
        """Whether something that all examples share lies in gradients."""
        return room.fixed != 0 and bool(self.shared(room) >= self.span(room.gradients)[0])

    def needs(self) -> Iterator[tuple[sp.Expr, sp.Expr, sp.Expr]]:
        """What rooms need of the gradients' memory: units for an example, and where they may be."""
        for part, loop in zip(self.plan.parts, self.code.loops, strict=True):
            if loop.is_one and not part.room.is_enough:
                yield self.known(part.room.units), *self.free(part.room)

    def flat_arrays(self) -> Iterator[str]:
        """Buffers as one long vector each, where they are read so."""
        return (f"{flat} = {name}.reshape(-1)" for name, flat in self.code.flat.items())

    def rooms(self) -> Iterator[str]:
        """The rows of every loop, and the memory that is only there for them."""
        loops = [loop for loop in self.code.loops if loop.is_one]
        needs = []
        for loop in loops:
            if not loop.part.room.is_enough:
                first, last = self.free(loop.part.room)
                needs.append(f"({_count(self.known(loop.part.room.units))}, {_count(last - first)})")
        n = self.names.symbol(EXAMPLES)
        if needs:
            share = self.share()
            yield f"spare = _spare({', '.join((n, share, 'dtype', *dict.fromkeys(needs)))})"
        for loop in loops:
            yield f"{self.code.blocks_of(loop)} = {self.blocks(loop)}"

    def share(self, size: sp.Expr = sp.S.One) -> str:
        """A small part of what is kept, in arrays of a size for each example."""
        n, kept = self.names.symbol(EXAMPLES), self.known(self.plan.kept)
        return f"{n} * {_count(kept, 1)} // {_count(size * SHARE, 1)}"

    def known(self, size: sp.Expr) -> sp.Expr:
        """A size with the numbers that are known."""
        words = {symbol: self.names.symbol(symbol) for symbol in size.free_symbols}
        return size.xreplace({s: sp.Integer(w) if w.isdigit() else sp.Symbol(w) for s, w in words.items()})

    def free(self, room: Room) -> Span:
        """From where to where gradients are free, before what all examples share."""
        first, last = self.span(room.gradients)
        stop = self.shared(room)
        fits = first.is_Integer and stop.is_Integer and first <= stop
        return (first, stop) if fits or not room.fixed else (last, last)

    def shared(self, room: Room) -> sp.Expr:
        """Where that lies which all examples share: at the back of the gradients, out of the way."""
        stop = self.span(room.gradients)[1] - self.known(room.fixed)
        even = room.fixed and stop.is_Integer and self.code.scalars is None
        return sp.Integer(int(stop) // EVEN * EVEN) if even else stop

    def blocks(self, loop: Loop) -> str:
        """The call that cuts a loop's arrays into rows."""
        room = loop.part.room
        first, last = self.free(room)
        until = f" min({_count(last)}, end)" if self.movable else _count(last)
        begin = f"{_count(first)} " if first and self.movable else _count(first) if first else ""
        rooms = [f"flat[{begin}:{until}]"] * (last != first)
        rooms += [f"{room.host}.reshape(-1)"] * (room.host is not None)
        rooms += ["spare"] * (not room.is_enough)
        parts = [self.part(buffer) for buffer in loop.own.values()]
        units = _count(self.known(room.units))
        words = [self.names.symbol(EXAMPLES), units, f"[{', '.join(rooms)}]" if room.units else "[]"]
        words += [f"[{', '.join(loop.kept)}]", f"[{', '.join(parts)}]"]
        arrays = (*loop.kept, *loop.own)
        if flat := self.code.flattened(loop):
            words.append(f"flat={tuple_code([str(arrays.index(name)) for name in flat])}")
        if loop.temporaries != 0:
            words.append(f"most={self.share(self.known(loop.temporaries))}")
        return f"_blocks({', '.join(words)})"

    def part(self, buffer: Buffer) -> str:
        """Where an array lies in a loop's room, and its shape with -1 for the rows."""
        sizes = ["-1" if dim == EXAMPLES else self.names.symbol(dim) for dim in buffer.dims]
        kind = ["bool"] * buffer.truth
        return f"({', '.join((_count(self.known(buffer.start)), tuple_code(sizes), *kind))})"


def _is_known(sizes: Sequence[sp.Expr]) -> bool:
    return all(size.is_Integer for size in sizes)


def _count(size: sp.Expr, binds: int = 0) -> str:
    """A number of entries as code; in parentheses where it stands beside a product's sign.

    >>> _count(sp.Integer(3)), _count(2 * sp.Symbol("n_1") + 1, 1)
    ('3', '(2 * n_1 + 1)')
    >>> _count(sp.Max(*sp.symbols("m n")))
    'max(m, n)'
    """
    text = str(size).replace("*", " * ").replace(" *  * ", "**").replace("Max(", "max(")
    return f"({text})" if binds and not size.is_Integer and not size.is_Symbol else text
