"""Memory of ``make_gradients`` over a grid of widths, depths and batches: ``python -m benchmarks memory``.

Counted are the bytes of all of NumPy's arrays after a first call, and the peak of a second one, beyond
parameters, data and the gradients themselves; a figure is a multiple of the activations that
backpropagation has to keep. Nothing depends on a clock or on the system's pages, so the figures are the
same every time.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

import symbackprop as sb
from benchmarks.workloads import Workload

SHAPES: dict[str, tuple[int, ...]] = {
    "even": (64, 64, 64, 64, 10),
    "wide to narrow": (400, 128, 60, 10),
    "narrow to wide": (10, 60, 128, 400),
    "narrow in the middle": (256, 128, 8, 128, 256),
    "wide in the middle": (8, 256, 8),
    "narrow": (2, 16, 16, 2),
    "one layer": (784, 10),
    "deep": (32,) * 24,
}
KINDS: dict[str, tuple[str, str, str]] = {
    "sigmoid, softmax": ("sigmoid", "softmax", "cross_entropy"),
    "relu, softmax": ("relu", "softmax", "cross_entropy"),
    "tanh, squared error": ("tanh", "tanh", "squared_error"),
}
BATCHES = (1, 32, 256, 1000, 4096, 20000)


@cache
def module_of(widths: tuple[int, ...], kind: str) -> ModuleType:
    """The module of a network of these widths."""
    return sb.derive(sb.from_mapping(Workload("m", widths, *KINDS[kind], 1, 1).spec)).compile()


def array_bytes() -> int:
    """The bytes of all arrays that there are."""
    gc.collect()
    only = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([only]).traces)


def beyond(module: Any, arrays: tuple[Any, ...], batch: int, dtype: type) -> int:
    """The bytes of arrays at their peak, without the gradients."""
    tracemalloc.start()
    fast = module.make_gradients(batch, dtype)
    _, gradients = fast(*arrays)
    between = array_bytes()
    del gradients["W1"]
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    gradients = fast(*arrays)[1]
    during = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return between + during - sum(gradient.nbytes for gradient in gradients.values())


def rows() -> Iterator[tuple[str, str, int, float, int]]:
    """Shape, kind, batch, the multiple of the activations, and the bytes that are beyond these."""
    for shape, widths in SHAPES.items():
        for kind, names in KINDS.items():
            for batch in BATCHES:
                workload = Workload("m", widths, *names, batch, 1)
                kept = 8 * batch * sum(widths[1:])
                used = beyond(module_of(widths, kind), workload.numbers(np.float64), batch, np.float64)
                yield shape, kind, batch, used / kept, used - kept


def main() -> None:
    """Print a table: the multiple of the activations; bytes instead where the excess is small change."""
    found = {(shape, kind, batch): (ratio, more) for shape, kind, batch, ratio, more in rows()}
    print("| shape | kind | " + " | ".join(f"batch {batch}" for batch in BATCHES) + " |")
    print("|---|---" + "|---" * len(BATCHES) + "|")
    for shape, widths in SHAPES.items():
        for kind in KINDS:
            cells = []
            for batch in BATCHES:
                ratio, more = found[shape, kind, batch]
                cells.append(f"{ratio:.3f}" if ratio <= 1.05 else f"{ratio:.2f} (+{more / 1024:.0f} KiB)")
            name = "-".join(map(str, widths))
            if len(widths) > 8:
                name = f"{len(widths) - 1} layers of {widths[1]}"
            print(f"| {shape}: {name} | {kind} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
