"""Time per gradient as a multiple of the floor, in interleaved rounds of one process with one thread.

``python -m benchmarks gradients`` measures all workloads; ``python -m benchmarks gradients 2 5`` two of
them, and ``--quick`` leaves out what is slow to start. Each round runs every contender once, in turns,
and a ratio is formed inside its round, so what else the machine does hits all alike.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import symbackprop as sb
from benchmarks.by_hand import floor, optimised, textbook
from benchmarks.contenders import CONTENDERS, worst
from benchmarks.workloads import WORKLOADS, Workload

Work = Callable[[], Any]

FLOOR, OURS = "floor", "make_gradients"


def ours(workload: Workload, dtype: type) -> dict[str, Work]:
    """The generated module: the plain functions, and the fast path."""
    module = sb.derive(sb.from_mapping(workload.spec)).compile()
    parameters, x, y = workload.numbers(dtype)
    fast = module.make_gradients(workload.batch, dtype)
    return {
        "cost_and_gradients": lambda: module.cost_and_gradients(parameters, x, y),
        OURS: lambda: fast(parameters, x, y),
    }


def works(workload: Workload, dtype: type, quick: bool) -> dict[str, Work]:
    """Everything that is measured on a workload; each has run, and agrees with the textbook's gradients."""
    found: dict[str, Work] = {
        FLOOR: floor(workload, dtype),
        "NumPy, textbook": textbook(workload, dtype),
        "NumPy, by hand": optimised(workload, dtype),
        **ours(workload, dtype),
    }
    if not quick:
        for name, make in CONTENDERS.items():
            try:
                found[name] = make(workload, dtype)
            except ImportError as error:
                print(f"{name} is left out: {error}", file=sys.stderr)
    reference = textbook(workload, np.float64)()[1]
    for name, work in found.items():
        if name != FLOOR:
            error = worst(work()[1], reference)
            if error > (1e-9 if dtype is np.float64 else 1e-3):
                raise ValueError(f"{name} is wrong on workload {workload.name} by {error:.1e}")
    return found


def ratios(tasks: Mapping[str, Work], rounds: int) -> dict[str, tuple[float, float]]:
    """The median time of each, and the median of its ratios to the floor in the same round."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, work in tasks.items():
            start = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - start)
    return {
        name: (
            statistics.median(found),
            statistics.median(t / f for t, f in zip(found, times[FLOOR], strict=True)),
        )
        for name, found in times.items()
    }


def measured(workload: Workload, dtype: type, quick: bool) -> dict[str, tuple[float, float]]:
    """A workload in one dtype."""
    tasks = works(workload, dtype, quick)
    for work in tasks.values():
        work()
    return ratios(tasks, workload.rounds)


def main(arguments: list[str] | None = None) -> None:
    """Print a table for each dtype."""
    given = arguments or []
    quick = "--quick" in given
    numbers = [int(word) for word in given if word.isdigit()] or range(1, len(WORKLOADS) + 1)
    chosen = [WORKLOADS[number - 1] for number in numbers]
    print(f"OpenBLAS kernel: {kernel()}, NumPy {np.__version__}")
    for dtype in (np.float64, np.float32):
        columns = {workload.name: measured(workload, dtype, quick) for workload in chosen}
        print(table(np.dtype(dtype).name, columns))


def kernel() -> str:
    """The kernel that OpenBLAS picked for this machine."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return "unknown (threadpoolctl is not installed)"
    return ", ".join(sorted({str(i.get("architecture")) for i in threadpool_info() if "architecture" in i}))


def table(title: str, columns: Mapping[str, Mapping[str, tuple[float, float]]]) -> str:
    """Ratios as markdown, a column a workload; the floor in microseconds."""
    names = dict.fromkeys(name for column in columns.values() for name in column)
    lines = [f"| {title} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in names:
        cells = []
        for column in columns.values():
            seconds, ratio = column.get(name, (float("nan"), float("nan")))
            cells.append(f"{1e6 * seconds:.4g} us" if name == FLOOR else f"{ratio:.3g}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
