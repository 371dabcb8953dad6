"""Time per gradient as a multiple of the floor, with one thread; memory; how long the code takes to make.

``python -m benchmarks gradients`` measures everything, ``python -m benchmarks gradients 2 5`` two of the
workloads; ``--quick`` leaves out other people's libraries, ``--plot FILE`` draws what was measured.

Every library runs in a process of its own, beside the floor and ``make_gradients``, so that one's threads
and caches don't disturb another. They take turns; in a turn each runs a few times in a row, as in
training, and a ratio is formed inside its turn, so what else the machine does hits all alike.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import symbackprop as sb
from benchmarks.by_hand import floor, optimised, textbook
from benchmarks.contenders import CONTENDERS, worst
from benchmarks.measure import Work, peak_bytes
from benchmarks.workloads import WORKLOADS, Workload

Measured = dict[str, tuple[float, float]]

FLOOR, OURS, NUMPY = "floor", "make_gradients", "NumPy"
DTYPES = {"float64": np.float64, "float32": np.float32}
REPEATS = {1: 40, 2: 40, 3: 10, 4: 1, 5: 10}


def numpy_works(workload: Workload, dtype: type) -> dict[str, Work]:
    """What needs NumPy alone: by hand, and the generated module, plain and fast."""
    return {
        "NumPy, textbook": textbook(workload, dtype),
        "NumPy, by hand": optimised(workload, dtype),
        **ours(workload, dtype),
    }


def ours(workload: Workload, dtype: type) -> dict[str, Work]:
    """The generated module: the plain functions, and the fast path."""
    module = sb.derive(sb.from_mapping(workload.spec)).compile()
    parameters, x, y = workload.numbers(dtype)
    fast = module.make_gradients(workload.batch, dtype)
    return {
        "cost_and_gradients": lambda: module.cost_and_gradients(parameters, x, y),
        OURS: lambda: fast(parameters, x, y),
    }


def works(workload: Workload, dtype: type, group: str) -> dict[str, Work]:
    """What one process measures; each has run, and agrees with the textbook's gradients."""
    found: dict[str, Work] = {FLOOR: floor(workload, dtype)}
    if group == NUMPY:
        found |= numpy_works(workload, dtype)
    else:
        found |= {OURS: ours(workload, dtype)[OURS], group: CONTENDERS[group](workload, dtype)}
    reference = textbook(workload, np.float64)()[1]
    for name, work in found.items():
        if name != FLOOR:
            error = worst(work()[1], reference)
            if error > (1e-9 if dtype is np.float64 else 1e-3):
                raise ValueError(f"{name} is wrong on workload {workload.name} by {error:.1e}")
    return found


def ratios(tasks: Mapping[str, Work], rounds: int, repeats: int) -> Measured:
    """The median time of each, and the median of its ratios to the floor in the same turn."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, work in tasks.items():
            times[name].append(_seconds(work, repeats))
    pairs = {name: zip(found, times[FLOOR], strict=True) for name, found in times.items()}
    return {
        name: (statistics.median(found), statistics.median(t / f for t, f in pairs[name]))
        for name, found in times.items()
    }


def _seconds(work: Work, repeats: int) -> float:
    """The median of a few calls in a row."""
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def measure_here(number: int, dtype: str, group: str) -> Measured:
    """A workload in one dtype, with one group of contenders."""
    workload = WORKLOADS[number - 1]
    repeats = REPEATS[number]
    return ratios(works(workload, DTYPES[dtype], group), max(workload.rounds // repeats, 9), repeats)


def measured(number: int, dtype: str, group: str) -> Measured:
    """The same in a process of its own; nothing if the library isn't there or fails."""
    command = [sys.executable, "-m", "benchmarks.gradients", "--here", str(number), dtype, group]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:]
        print(f"{group} is left out of workload {number} in {dtype}: {reason}", file=sys.stderr)
        return {}
    found: Measured = {name: (pair[0], pair[1]) for name, pair in json.loads(done.stdout).items()}
    return found


def kept(workload: Workload) -> int:
    """The bytes of the activations that the backward pass reads, in float64."""
    return 8 * workload.batch * sum(workload.widths[1:])


def memory(workload: Workload) -> float:
    """Peak memory of make_gradients beyond parameters, data and gradients, over :func:`kept`."""
    module = sb.derive(sb.from_mapping(workload.spec)).compile()
    arrays = workload.numbers(np.float64)
    module.cost_and_gradients(*arrays)
    peak = peak_bytes(lambda: module.make_gradients(workload.batch)(*arrays))
    gradients = sum(value.nbytes for value in arrays[0].values())
    return (peak - gradients) / kept(workload)


def seconds_to_generate(workload: Workload) -> float:
    """How long it takes from a derivation to the module's source."""
    derivation = sb.derive(sb.from_mapping(workload.spec))
    _ = derivation.batch
    return min(_seconds(derivation.module_source, 1) for _ in range(3))


def growth() -> float:
    """The exponent with which that time grows from 10 to 160 layers."""
    times = {}
    for depth in (10, 160):
        deep = Workload("deep", (8,) * (depth + 1), "tanh", "tanh", "squared_error", 4, 1)
        times[depth] = seconds_to_generate(deep)
    return float(np.log(times[160] / times[10]) / np.log(16))


def main(arguments: list[str] | None = None) -> None:
    """Print a table for each dtype, and the figures of memory and generation."""
    given = arguments or []
    if given[:1] == ["--here"]:
        print(json.dumps(measure_here(int(given[1]), given[2], " ".join(given[3:]))))
        return
    numbers = [int(word) for word in given if word in "12345"] or [*range(1, len(WORKLOADS) + 1)]
    groups = [NUMPY] if "--quick" in given else [NUMPY, *CONTENDERS]
    print(f"OpenBLAS kernel: {kernel()}, NumPy {np.__version__}\n")
    tables = {}
    for dtype in DTYPES:
        columns: dict[str, Measured] = {}
        for number in numbers:
            found = [measured(number, dtype, group) for group in groups]
            columns[WORKLOADS[number - 1].name] = {k: v for part in reversed(found) for k, v in part.items()}
        tables[dtype] = columns
        print(table(dtype, columns), flush=True)
    for number in numbers:
        workload = WORKLOADS[number - 1]
        used, seconds = memory(workload), seconds_to_generate(workload)
        print(f"workload {number}: memory {used:.3f} of the activations; code made in {seconds:.2f} s")
    print(f"time to make the code grows as depth^{growth():.2f} from 10 to 160 layers")
    if "--plot" in given:
        plot(tables, Path(given[given.index("--plot") + 1]))


def kernel() -> str:
    """The kernel that OpenBLAS picked for this machine."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return "unknown (threadpoolctl is not installed)"
    return ", ".join(sorted({str(i.get("architecture")) for i in threadpool_info() if "architecture" in i}))


ORDER = (FLOOR, "NumPy, textbook", "NumPy, by hand", "cost_and_gradients", OURS, "numba target")


def table(title: str, columns: Mapping[str, Measured]) -> str:
    """Ratios as markdown, a column a workload; the floor in microseconds."""
    found = {name for column in columns.values() for name in column}
    names = [*(n for n in ORDER if n in found), *sorted(found - set(ORDER))]
    lines = [f"| {title} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in names:
        cells = []
        for column in columns.values():
            seconds, ratio = column.get(name, (float("nan"), float("nan")))
            cells.append(f"{1e6 * seconds:.4g} us" if name == FLOOR else f"{ratio:.3g}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def plot(tables: Mapping[str, Mapping[str, Measured]], path: Path) -> None:
    """Every contender's ratio on every workload, on a logarithmic axis, a panel for each dtype."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(tables), figsize=(11, 4.2), sharey=True)
    for panel, (dtype, columns) in zip(np.atleast_1d(panels), tables.items(), strict=True):
        names = dict.fromkeys(name for column in columns.values() for name in column if name != FLOOR)
        for place, name in enumerate(names):
            heights = [column.get(name, (0, float("nan")))[1] for column in columns.values()]
            own = name in (OURS, "numba target")
            style = {"marker": "o", "linewidth": 2.2} if own else {"marker": ".", "linewidth": 0.8}
            panel.plot(range(len(columns)), heights, label=name, color=f"C{place}", **style)
        panel.axhline(1.0, color="black", linewidth=0.8)
        panel.set(title=dtype, yscale="log", xlabel="workload")
        panel.set_xticks(range(len(columns)), [name.split(":")[0] for name in columns])
        panel.set_yticks([0.5, 1, 2, 5, 10, 20, 50, 100], ["0.5", "1", "2", "5", "10", "20", "50", "100"])
    np.atleast_1d(panels)[0].set_ylabel("time per gradient / matrix products alone")
    np.atleast_1d(panels)[-1].legend(fontsize=7, loc="upper right")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main(sys.argv[1:])
