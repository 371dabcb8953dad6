"""The five workloads on which gradient code is measured, with their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Arrays = dict[str, Array]


@dataclass(frozen=True)
class Workload:
    """A network, a batch, and what its gradient is measured with."""

    name: str
    widths: tuple[int, ...]
    hidden: str
    output: str
    cost: str
    batch: int
    rounds: int

    @property
    def depth(self) -> int:
        """The number of layers."""
        return len(self.widths) - 1

    @property
    def spec(self) -> Mapping[str, Any]:
        """The network as a spec."""
        *hidden, last = self.widths[1:]
        layers = [{"size": size, "activation": self.hidden} for size in hidden]
        cost = {"kind": self.cost} | ({"scale": "1/2"} if self.cost == "squared_error" else {})
        spec = {
            "name": f"workload-{self.name[0]}",
            "input": {"size": self.widths[0]},
            "layers": [*layers, {"size": last, "activation": self.output}],
            "cost": cost,
        }
        return spec | ({"facts": {"targets_sum_to_one": True}} if self.output == "softmax" else {})

    def numbers(self, dtype: type) -> tuple[Arrays, Array, Array]:
        """Parameters, inputs and targets, the same every time."""
        rng = np.random.default_rng(7)
        parameters: Arrays = {}
        for layer, (before, size) in enumerate(zip(self.widths, self.widths[1:], strict=False), 1):
            weights = rng.standard_normal((size, before)) / np.sqrt(before)
            parameters[f"W{layer}"] = weights.astype(dtype)
            parameters[f"b{layer}"] = np.full(size, 0.1, dtype)
        x = rng.standard_normal((self.batch, self.widths[0])).astype(dtype)
        classes = rng.integers(0, self.widths[-1], self.batch)
        return parameters, x, np.eye(self.widths[-1], dtype=dtype)[classes]


WORKLOADS = (
    Workload("1: 2-2-2, batch 1", (2, 2, 2), "sigmoid", "sigmoid", "squared_error", 1, 2000),
    Workload("2: 784-30-10, batch 10", (784, 30, 10), "sigmoid", "sigmoid", "squared_error", 10, 1000),
    Workload("3: 784-128-64-10, batch 128", (784, 128, 64, 10), "relu", "softmax", "cross_entropy", 128, 200),
    Workload(
        "4: 1024-1024-1024-1024-10, batch 1024",
        (1024, 1024, 1024, 1024, 10),
        "tanh",
        "softmax",
        "cross_entropy",
        1024,
        9,
    ),
    Workload("5: 20 layers of 64, batch 32", (64,) * 21, "tanh", "tanh", "squared_error", 32, 300),
)
"""What performance is measured on."""
