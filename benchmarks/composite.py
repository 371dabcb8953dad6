"""The raw derivative of the written-out cost: memoised, against SymPy's ``diff``, at 20 layers.

Every width is a symbol; the cost is one expression of nested sums, its parts shared. Both
differentiate it with respect to one weight of the first layer. SymPy caches derivatives, so its cache
is emptied before each of its runs, and before each of ours.
"""

from __future__ import annotations

import sys
from typing import Any

from sympy.core.cache import clear_cache
from sympy.core.parameters import distribute

from benchmarks.depth import network
from benchmarks.measure import Row, interleaved, table
from symbackprop.algebra.indices import index_symbol
from symbackprop.forward.compose import compose, raw_gradient
from symbackprop.forward.model import forward_model

LAYERS = 20
ROUNDS = 3


def works() -> dict[str, Any]:
    """The two ways to differentiate."""
    program = forward_model(network(LAYERS)).program
    cost = compose(program)
    entry = program.quantities["W1"][index_symbol("j"), index_symbol("k")]

    def memoised() -> Any:
        clear_cache()
        return raw_gradient(cost, entry)

    def sympys() -> Any:
        clear_cache()
        with distribute(False):
            return cost.diff(entry)

    return {"memoised": memoised, "SymPy diff": sympys}


def rows() -> list[Row]:
    """The two medians and their ratio."""
    sys.setrecursionlimit(20_000)
    times = interleaved(works(), ROUNDS)
    ratio = times["SymPy diff"] / times["memoised"]
    return [*((name, f"{time:.3f} s") for name, time in times.items()), ("ratio", f"{ratio:.0f}")]


def main() -> None:
    """Print the table."""
    print(table(f"One entry of the raw derivative, {LAYERS} layers", rows()))


if __name__ == "__main__":
    main()
