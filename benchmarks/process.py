"""Whole processes: ``derive`` of the 2-2-2 example against a bare ``import sympy``, and ``--help``.

Runs take turns, each round in the same order, and medians are compared. ``--help`` must answer
without SymPy, which is asked of the interpreter itself.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Row, interleaved, process, table

ROUNDS = 7
EXAMPLE = Path(__file__).parent.parent / "examples" / "two-two-two.toml"


def help_imports_sympy() -> bool:
    """Whether ``--help`` loads SymPy, from the interpreter's own list of imports."""
    command = [sys.executable, "-X", "importtime", "-m", "symbackprop", "--help"]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return any(line.split("|")[-1].strip() == "sympy" for line in run.stderr.splitlines())


def rows() -> list[Row]:
    """Medians, the ratio, and whether help stays clear of SymPy."""
    with tempfile.TemporaryDirectory() as folder:
        derive = ("-m", "symbackprop", "derive", str(EXAMPLE), "--output", folder)
        works = {
            "python -c pass": process("-c", "pass"),
            "import sympy": process("-c", "import sympy"),
            "symbackprop --help": process("-m", "symbackprop", "--help"),
            "symbackprop derive two-two-two.toml": process(*derive),
        }
        for work in works.values():
            work()
        times = interleaved(works, ROUNDS)
    ratio = times["symbackprop derive two-two-two.toml"] / times["import sympy"]
    return [
        *((f"`{name}`", f"{1000 * time:.0f} ms") for name, time in times.items()),
        ("derive / import sympy", f"{ratio:.2f}"),
        ("--help imports SymPy", "yes" if help_imports_sympy() else "no"),
    ]


def main() -> None:
    """Print the table."""
    print(table("Whole processes", rows()))


if __name__ == "__main__":
    main()
