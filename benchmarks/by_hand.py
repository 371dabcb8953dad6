"""What gradient code is measured against and that needs NumPy alone.

``floor`` is only the matrix products that cannot be avoided. ``textbook`` is the code of courses,
``optimised`` what somebody writes who knows where the time goes. Both are written by hand for these
workloads and have nothing of the package in them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.measure import Work
from benchmarks.workloads import Array, Arrays, Workload


def floor(workload: Workload, dtype: type) -> Work:
    """Bare products: forward, and for each layer the gradient and the delta before it."""
    parameters, x, _ = workload.numbers(dtype)
    weights = [parameters[f"W{layer}"] for layer in range(1, workload.depth + 1)]
    outputs = [np.empty((workload.batch, size), dtype) for size in workload.widths[1:]]
    deltas = [np.empty((workload.batch, size), dtype) for size in workload.widths[1:]]
    gradients = [np.empty_like(weight) for weight in weights]
    for array in outputs + deltas:
        array[...] = 0.5

    def work() -> None:
        before = x
        for weight, output in zip(weights, outputs, strict=True):
            np.matmul(before, weight.T, out=output)
            before = output
        for layer in range(len(weights) - 1, -1, -1):
            before = outputs[layer - 1] if layer else x
            np.matmul(deltas[layer].T, before, out=gradients[layer])
            if layer:
                np.matmul(deltas[layer], weights[layer], out=deltas[layer - 1])

    return work


def textbook(workload: Workload, dtype: type) -> Work:
    """As in courses: an expression a line, a new array for each."""
    parameters, x, y = workload.numbers(dtype)
    activation, slope = TEXTBOOK[workload.hidden]
    output, _ = TEXTBOOK[workload.output]
    depth, batch = workload.depth, workload.batch

    def work() -> tuple[float, Arrays]:
        z, a = {}, {0: x}
        for layer in range(1, depth + 1):
            z[layer] = a[layer - 1] @ parameters[f"W{layer}"].T + parameters[f"b{layer}"]
            a[layer] = output(z[layer]) if layer == depth else activation(z[layer])
        if workload.cost == "cross_entropy":
            cost = -np.sum(y * np.log(a[depth])) / batch
            delta = a[depth] - y
        else:
            cost = 0.5 * np.sum((a[depth] - y) ** 2) / batch
            delta = (a[depth] - y) * slope(z[depth])
        gradients = {}
        for layer in range(depth, 0, -1):
            gradients[f"W{layer}"] = delta.T @ a[layer - 1] / batch
            gradients[f"b{layer}"] = delta.sum(axis=0) / batch
            if layer > 1:
                delta = delta @ parameters[f"W{layer}"] * slope(z[layer - 1])
        return float(cost), gradients

    return work


def _sigmoid(z: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-z)))


def _softmax(z: Array) -> Array:
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


TEXTBOOK: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "sigmoid": (_sigmoid, lambda z: _sigmoid(z) * (1 - _sigmoid(z))),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: z > 0),
    "softmax": (_softmax, _softmax),
}


def optimised(workload: Workload, dtype: type) -> Work:
    """Buffers once, ``out`` everywhere, slopes from outputs, 1/N in the last delta, sums as products."""
    parameters, x, y = workload.numbers(dtype)
    depth, batch, sizes = workload.depth, workload.batch, workload.widths
    a = [x, *(np.empty((batch, size), dtype) for size in sizes[1:])]
    scratch = [np.empty((batch, size), dtype) for size in sizes]
    gradients = {name: np.empty_like(value) for name, value in parameters.items()}
    ones, row = np.ones(batch, dtype), np.empty((batch, 1), dtype)

    def backward(layer: int, delta: Array) -> None:
        np.dot(delta.T, a[layer - 1], out=gradients[f"W{layer}"])
        np.dot(ones, delta, out=gradients[f"b{layer}"])
        if layer > 1:
            before = scratch[layer - 1]
            np.dot(delta, parameters[f"W{layer}"], out=before)
            _times_slope(workload.hidden, before, a[layer - 1])
            backward(layer - 1, before)

    def work() -> tuple[float, Arrays]:
        for layer in range(1, depth + 1):
            np.dot(a[layer - 1], parameters[f"W{layer}"].T, out=a[layer])
            a[layer] += parameters[f"b{layer}"]
            _activate(workload.output if layer == depth else workload.hidden, a[layer], row)
        out, delta = a[depth], scratch[depth]
        np.subtract(out, y, out=delta)
        if workload.cost == "cross_entropy":
            cost = -np.sum(y * np.log(out)) / batch
        else:
            cost = 0.5 * np.vdot(delta, delta) / batch
            _times_slope(workload.output, delta, out)
        delta *= 1 / batch
        backward(depth, delta)
        return float(cost), gradients

    return work


def _activate(name: str, z: Array, row: Array) -> None:
    if name == "sigmoid":
        np.negative(z, out=z)
        np.exp(z, out=z)
        z += 1
        np.reciprocal(z, out=z)
    elif name == "tanh":
        np.tanh(z, out=z)
    elif name == "relu":
        np.maximum(z, 0, out=z)
    else:
        np.max(z, axis=1, keepdims=True, out=row)
        z -= row
        np.exp(z, out=z)
        np.sum(z, axis=1, keepdims=True, out=row)
        z /= row


def _times_slope(name: str, delta: Array, a: Array) -> None:
    if name == "relu":
        delta *= a > 0
    elif name == "sigmoid":
        delta *= a
        delta *= 1 - a
    else:
        delta *= 1 - a * a
