"""Clocks: medians of interleaved rounds, the peak of what a call allocates, and whole processes."""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = tuple[str, str]
Work = Callable[[], Any]


def seconds(work: Work) -> float:
    """How long a call takes."""
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def interleaved(works: Mapping[str, Work], rounds: int) -> dict[str, float]:
    """The median time of each call, one after another in every round, so that noise hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(seconds(work))
    return {name: statistics.median(found) for name, found in times.items()}


def peak_bytes(work: Work) -> int:
    """The most memory that a call holds at once; Python's own count, so the call is slower than usual."""
    gc.collect()
    tracemalloc.start()
    kept = work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del kept
    return peak


def process(*arguments: str) -> Callable[[], None]:
    """A run of this Python with these arguments, as a call; a run that fails is an error."""

    def run() -> None:
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)

    return run


def table(title: str, rows: Sequence[Row]) -> str:
    """A markdown table of two columns."""
    body = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"| {title} | |\n|---|---|\n{body}\n"
