"""How the chain route grows with depth: seconds and peak memory at 10, 100 and 1,000 layers.

Every width is a symbol (n_0, n_1, …), every activation the sigmoid, the cost half the squared error.
What is timed goes from the network's record to the backward equations, all of them written out: the
forward program, the chain rule, and every equation in delta form. The exponent is that of the power
law through the smallest and the largest depth; 1 is linear growth.
"""

from __future__ import annotations

import math
from functools import partial

from benchmarks.measure import Row, interleaved, peak_bytes, table
from symbackprop.algebra.equations import Equation
from symbackprop.derivation.chain import backward_equations, reverse
from symbackprop.forward.model import Model, forward_model
from symbackprop.network import Network
from symbackprop.spec.loading import from_mapping

DEPTHS = (10, 100, 1000)
ROUNDS = 3


def network(depth: int) -> Network:
    """A network of this many layers with a symbol for each width."""
    layers = [{"size": f"n{layer}", "activation": "sigmoid"} for layer in range(1, depth + 1)]
    cost = {"kind": "squared_error", "scale": "1/2"}
    return from_mapping({"name": f"deep-{depth}", "input": {"size": "n0"}, "layers": layers, "cost": cost})


def equations(net: Network) -> tuple[Model, tuple[Equation, ...]]:
    """The delta form of a network, every equation written out."""
    model = forward_model(net)
    return model, backward_equations(reverse(model.program, model.facts))


def exponent(small: float, large: float) -> float:
    """The power of the depth by which a figure grows."""
    return math.log(large / small) / math.log(DEPTHS[-1] / DEPTHS[0])


def rows() -> list[Row]:
    """Seconds and megabytes at each depth, and the exponents."""
    networks = {depth: network(depth) for depth in DEPTHS}
    equations(networks[DEPTHS[0]])
    times = interleaved({str(d): partial(equations, net) for d, net in networks.items()}, ROUNDS)
    peaks = {str(d): peak_bytes(partial(equations, net)) for d, net in networks.items()}
    found = [(f"{d} layers", f"{times[str(d)]:.3f} s, {peaks[str(d)] / 1e6:.1f} MB") for d in DEPTHS]
    first, last = str(DEPTHS[0]), str(DEPTHS[-1])
    return [
        *found,
        ("exponent of time", f"{exponent(times[first], times[last]):.2f}"),
        ("exponent of peak memory", f"{exponent(peaks[first], peaks[last]):.2f}"),
    ]


def main() -> None:
    """Print the table."""
    print(table("Chain route, symbolic widths", rows()))


if __name__ == "__main__":
    main()
