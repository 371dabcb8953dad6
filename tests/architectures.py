"""Random architectures: any network that a spec can describe, with numbers for it."""

import numpy as np
from hypothesis import strategies as st

ACTIVATIONS = [
    "linear", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "softplus", "softsign", "arctan",
    "gelu", "gelu_tanh", "silu", "mish", "hard_sigmoid", "exp", "gaussian", "softmax", "log_softmax",
]  # fmt: skip
COSTS = {
    "squared_error": ACTIVATIONS,
    "absolute_error": ACTIVATIONS,
    "huber": ACTIVATIONS,
    "hinge": ACTIVATIONS,
    "binary_cross_entropy": ["sigmoid"],
    "cross_entropy": ["softmax", "sigmoid"],
}


@st.composite
def specs(draw, widest=5):
    """Any architecture that a spec can describe."""
    cost = draw(st.sampled_from(sorted(COSTS)))
    layers = []
    for _ in range(draw(st.integers(0, 5))):
        size = draw(st.integers(1, widest))
        names = ACTIVATIONS if size > 1 else ACTIVATIONS[:-2]
        layers.append({"size": size, "activation": draw(st.sampled_from(names)), "bias": draw(st.booleans())})
    last = {"size": draw(st.integers(2, widest)), "activation": draw(st.sampled_from(COSTS[cost]))}
    spec = {"name": "random", "input": {"size": draw(st.integers(1, widest))}, "layers": [*layers, last]}
    spec["cost"] = {
        "kind": cost,
        "scale": draw(st.sampled_from(["1", "1/2", "3"])),
        "outputs": draw(st.sampled_from(["sum", "mean"])),
        "examples": draw(st.sampled_from(["sum", "mean"])),
    }
    if draw(st.booleans()):
        spec["penalty"] = {"l2": "lambda/(2*N)"}
    return spec


def numbers(module, sizes, batch, dtype=np.float64, seed=0):
    """Parameters, inputs and targets, none of them special."""
    rng = np.random.default_rng(seed)
    shapes = {name: tuple(sizes.get(s, s) for s in shape) for name, shape in module.PARAMETERS.items()}
    parameters = {
        name: (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(dtype)
        for name, shape in shapes.items()
    }
    x = rng.standard_normal((batch, shapes["W1"][1])).astype(dtype)
    last = shapes[f"W{sum(name[0] == 'W' for name in shapes)}"][0]
    y = rng.dirichlet(np.ones(last), batch) if last > 1 else rng.uniform(0.1, 0.9, (batch, 1))
    return parameters, x, y.astype(dtype)
