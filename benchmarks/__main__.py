"""Print every table: ``python -m benchmarks``, or only some: ``python -m benchmarks depth process``.

``python -m benchmarks gradients`` takes numbers of workloads and options as well: ``--help`` after it.
"""

from __future__ import annotations

import sys
from importlib import import_module

import click

NAMES = ("depth", "composite", "process", "memory", "gradients")


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
def main(names: tuple[str, ...]) -> None:
    """Run the named benchmarks, all of them if none is named."""
    for name in names or NAMES:
        import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    if sys.argv[1:2] == ["gradients"]:
        import_module("benchmarks.gradients").command(sys.argv[2:], prog_name="benchmarks gradients")
    main(prog_name="benchmarks")
