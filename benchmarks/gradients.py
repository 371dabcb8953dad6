"""Time per gradient as a multiple of the floor, with one thread; memory; how long the code takes to make.

``python -m benchmarks gradients`` measures everything, ``python -m benchmarks gradients 2 5`` two of the
workloads; ``--quick`` leaves out other people's libraries. ``--plot FILE`` draws what was measured, and
``--table FILE`` writes the tables into a text between the lines ``<!-- gradients -->`` and
``<!-- end of gradients -->``. At the end stands, for each workload, what ``make_gradients`` is slower than.

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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
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


SMALL = 100_000
"""Bytes of activations below which Python's own objects are most of what memory there is."""


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


@click.command()
@click.argument("numbers", nargs=-1, type=click.IntRange(1, len(WORKLOADS)))
@click.option("--quick", is_flag=True, help="Leave out other people's libraries.")
@click.option("--plot", "plotted", type=click.Path(path_type=Path), help="Draw into this file.")
@click.option("--table", "text", type=click.Path(exists=True, path_type=Path), help="Write tables here.")
def command(numbers: tuple[int, ...], quick: bool, plotted: Path | None, text: Path | None) -> None:
    """Time and memory of gradient code on the workloads with these NUMBERS, on all if none is given."""
    main(numbers, quick, plotted, text)


def main(
    numbers: tuple[int, ...] = (), quick: bool = False, plotted: Path | None = None, text: Path | None = None
) -> None:
    """Print a table for each dtype, the figures of memory and generation, and what is quicker."""
    numbers = numbers or tuple(range(1, len(WORKLOADS) + 1))
    groups = [NUMPY] if quick else [NUMPY, *CONTENDERS]
    print(f"OpenBLAS kernel: {kernel()}, NumPy {np.__version__}\n")
    tables = {dtype: columns(numbers, dtype, groups) for dtype in DTYPES}
    for number in numbers:
        workload = WORKLOADS[number - 1]
        used, seconds = memory(workload), seconds_to_generate(workload)
        said = f"memory {used:.2f} of the activations; " if kept(workload) > SMALL else ""
        print(f"workload {number}: {said}code made in {seconds:.2f} s")
    print(f"time to make the code grows as depth^{growth():.2f} from 10 to 160 layers")
    print(*verdicts(tables), sep="\n")
    if plotted is not None:
        plot(tables, plotted)
    if text is not None:
        write_between(text, tables)


def columns(numbers: Sequence[int], dtype: str, groups: Sequence[str]) -> dict[str, Measured]:
    """What was measured of each workload, printed as a table."""
    found = {}
    for number in numbers:
        parts = {group: measured(number, dtype, group) for group in groups}
        merged = {k: v for part in reversed(parts.values()) for k, v in part.items()}
        beside = {BESIDE + group: part[OURS] for group, part in parts.items() if part and group != NUMPY}
        found[WORKLOADS[number - 1].name] = merged | beside
    print(table(dtype, found), flush=True)
    return found


BESIDE = f"{OURS} beside "
"""What stands before a library's name for the figure of ``make_gradients`` in that library's process."""

NOT_SLOWER_THAN = ("NumPy, textbook", "PyTorch eager", "HIPS autograd", "JAX jit")
"""What ``make_gradients`` is never to be slower than."""


def verdicts(tables: Mapping[str, Mapping[str, Measured]]) -> Iterator[str]:
    """A line for each workload and dtype: what of those is quicker, and what wasn't measured."""
    for dtype, columns in tables.items():
        for workload, found in columns.items():
            missing = [name for name in NOT_SLOWER_THAN if name not in found]
            slower = [_slower(found, name) for name in NOT_SLOWER_THAN if name in found]
            verdict = ", ".join(text for text in slower if text) or "none of them"
            line = f"{workload}, {dtype}: {OURS} is slower than {verdict}"
            yield f"{line}; not measured: {', '.join(missing)}" if missing else line


def _slower(found: Measured, name: str) -> str:
    """What is quicker than ``make_gradients`` in the same process, with both ratios; nothing if it isn't."""
    own, other = found.get(BESIDE + name, found[OURS])[1], found[name][1]
    return f"{name} ({own:.3g} beside {other:.3g})" if other < own else ""


BEGIN, END = "<!-- gradients -->", "<!-- end of gradients -->"


def write_between(path: Path, tables: Mapping[str, Mapping[str, Measured]]) -> None:
    """Put the tables into a text, between its two marks."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    if lines.count(BEGIN) != 1 or lines.count(END) != 1:
        sys.exit(f"{path}: there must be one line {BEGIN} and one line {END}, with the tables between them")
    found = "\n".join(table(dtype, columns) for dtype, columns in tables.items()).rstrip("\n").splitlines()
    lines[lines.index(BEGIN) + 1 : lines.index(END)] = found
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


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
    found = {name for column in columns.values() for name in column if not name.startswith(BESIDE)}
    names = [*(n for n in ORDER if n in found), *sorted(found - set(ORDER))]
    lines = [f"| {title} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in names:
        cells = []
        for column in columns.values():
            seconds, ratio = column.get(name, (float("nan"), float("nan")))
            cells.append(f"{1e6 * seconds:.4g} us" if name == FLOOR else f"{ratio:.3g}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _shown(column: Measured) -> list[str]:
    """What is drawn of a column."""
    return [name for name in column if name != FLOOR and not name.startswith(BESIDE)]


def plot(tables: Mapping[str, Mapping[str, Measured]], path: Path) -> None:
    """Every contender's ratio on every workload, on a logarithmic axis, a panel for each dtype."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(tables), figsize=(11, 4.2), sharey=True, layout="constrained")
    for panel, (dtype, columns) in zip(np.atleast_1d(panels), tables.items(), strict=True):
        names = dict.fromkeys(name for column in columns.values() for name in _shown(column))
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
    handles, labels = np.atleast_1d(panels)[-1].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, loc="outside right center")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--here"]:
        number, dtype, *group = sys.argv[2:]
        print(json.dumps(measure_here(int(number), dtype, " ".join(group))))
    else:
        command()
