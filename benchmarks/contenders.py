"""Other people's gradients, for the same workloads; what isn't installed is left out, with a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import symbackprop as sb
from benchmarks.measure import Work
from benchmarks.workloads import Workload


def autograd_(workload: Workload, dtype: type) -> Work:
    """HIPS autograd: NumPy code as one writes it, differentiated while it runs."""
    import autograd.numpy as anp
    from autograd import value_and_grad

    parameters, x, y = workload.numbers(dtype)

    def cost(values: Any) -> Any:
        a = x
        for layer in range(1, workload.depth + 1):
            z = anp.dot(a, values[f"W{layer}"].T) + values[f"b{layer}"]
            a = _activate(anp, workload, layer, z)
        return _cost(anp, workload, a, y)

    both = value_and_grad(cost)
    return lambda: both(parameters)


def _activate(np_: Any, workload: Workload, layer: int, z: Any) -> Any:
    name = workload.output if layer == workload.depth else workload.hidden
    if name == "sigmoid":
        return 1 / (1 + np_.exp(-z))
    if name == "tanh":
        return np_.tanh(z)
    if name == "relu":
        return np_.maximum(z, 0)
    top = np_.max(z, axis=1, keepdims=True)
    return z - top - np_.log(np_.sum(np_.exp(z - top), axis=1, keepdims=True))


def _cost(np_: Any, workload: Workload, a: Any, y: Any) -> Any:
    if workload.cost == "cross_entropy":
        return -np_.sum(y * a) / workload.batch
    return 0.5 * np_.sum((a - y) ** 2) / workload.batch


def jax_(workload: Workload, dtype: type) -> Work:
    """JAX's jit of value_and_grad, waited for."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    parameters, x, y = jax.tree_util.tree_map(jnp.asarray, workload.numbers(dtype))

    def cost(values: Any, x: Any, y: Any) -> Any:
        a = x
        for layer in range(1, workload.depth + 1):
            a = _activate(jnp, workload, layer, a @ values[f"W{layer}"].T + values[f"b{layer}"])
        return _cost(jnp, workload, a, y)

    both = jax.jit(jax.value_and_grad(cost))
    return lambda: jax.block_until_ready(both(parameters, x, y))


def _torch_cost(workload: Workload, dtype: type) -> tuple[Callable[..., Any], Any]:
    import torch

    torch.set_num_threads(1)
    numbers = workload.numbers(dtype)
    parameters = {name: torch.tensor(value, requires_grad=True) for name, value in numbers[0].items()}
    x, y = (torch.from_numpy(value) for value in numbers[1:])
    functions = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu, "softmax": lambda z: z}

    def cost(values: Any, x: Any, y: Any) -> Any:
        a = x
        for layer in range(1, workload.depth + 1):
            z = torch.nn.functional.linear(a, values[f"W{layer}"], values[f"b{layer}"])
            a = functions[workload.output if layer == workload.depth else workload.hidden](z)
        if workload.cost == "cross_entropy":
            return torch.nn.functional.cross_entropy(a, y)
        return 0.5 * torch.sum((a - y) ** 2) / workload.batch

    return cost, (parameters, x, y)


def torch_eager(workload: Workload, dtype: type) -> Work:
    """PyTorch as it comes: forward, then ``torch.autograd.grad``."""
    return _torch(workload, dtype, lambda cost: cost)


def torch_compile(workload: Workload, dtype: type) -> Work:
    """PyTorch with the forward pass compiled, and the backward pass with it."""
    import torch

    return _torch(workload, dtype, torch.compile)


def _torch(workload: Workload, dtype: type, prepared: Callable[[Any], Any]) -> Work:
    import torch

    cost, (parameters, x, y) = _torch_cost(workload, dtype)
    values, cost = list(parameters.values()), prepared(cost)

    def work() -> Any:
        total = cost(parameters, x, y)
        return float(total.detach()), dict(zip(parameters, torch.autograd.grad(total, values), strict=True))

    return work


def numba_target(workload: Workload, dtype: type) -> Work:
    """The package's own target for Numba."""
    source = sb.derive(sb.from_mapping(workload.spec)).module_source("numba")
    module: dict[str, Any] = {"__name__": "generated"}
    exec(compile(source, "<generated>", "exec"), module)
    parameters, x, y = workload.numbers(dtype)
    fast = module["make_gradients"](workload.batch, dtype)
    return lambda: fast(parameters, x, y)


CONTENDERS: dict[str, Callable[[Workload, type], Work]] = {
    "numba target": numba_target,
    "HIPS autograd": autograd_,
    "PyTorch eager": torch_eager,
    "torch.compile": torch_compile,
    "JAX jit": jax_,
}
"""What else computes gradients, by name."""


def worst(found: Any, reference: Any) -> float:
    """The largest error of gradients beside a reference, relative to the largest entry of each."""
    errors = [
        np.max(np.abs(_array(found[name]) - value)) / max(np.max(np.abs(value)), 1e-30)
        for name, value in reference.items()
    ]
    return float(max(errors))


def _array(value: Any) -> Any:
    return np.asarray(value.detach() if hasattr(value, "detach") else value, np.float64)
