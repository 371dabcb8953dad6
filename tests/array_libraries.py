"""The same numbers as arrays of each library that a target is for."""

import tracemalloc

import numpy as np
from outside import library

A_CALL = 6_000 if np.lib.NumpyVersion(np.__version__) >= "2.3.0" else 200_000
"""How many bytes a call may take for itself: NumPy before 2.3 reads arrays through a buffer of its own."""


def peak_of(fast, arrays):
    """What a call takes; other threads of the process may add to it, so the least of some calls counts."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    fast(*arrays)
    return tracemalloc.get_traced_memory()[1] - before


def with_numpy(arrays):
    return arrays


def with_torch(arrays):
    torch = library("torch")
    parameters, x, y = arrays
    return {k: torch.from_numpy(v) for k, v in parameters.items()}, torch.from_numpy(x), torch.from_numpy(y)


def with_jax(arrays):
    jax = library("jax")
    jax.config.update("jax_enable_x64", True)
    return jax.tree_util.tree_map(jax.numpy.asarray, arrays)


def with_dask(arrays):
    """Examples in chunks of half of them: there are several, and the last may be shorter."""
    da = library("dask.array")
    parameters, x, y = arrays
    chunks = (max(1, len(x) // 2), -1)
    return parameters, da.from_array(x, chunks=chunks), da.from_array(y, chunks=chunks)


LIBRARIES = {"numpy": with_numpy, "torch": with_torch, "jax": with_jax, "dask": with_dask}


def functions_of(target):
    """The library that open functions of a target, or of a library of the array API, are from."""
    where = {"torch": "torch", "jax": "jax.numpy", "dask": "dask.array"}
    return library(where.get(target.removeprefix("array-api on "), "numpy"))


def keyword_options(module, source):
    """Something for every keyword argument of a module: a number, or a function of a library."""
    code = module.cost_and_gradients.__code__
    words = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    values = {word: source.cos if word.endswith("_prime") else source.sin for word in words}
    return {word: 0.3 if word.endswith("_") else value for word, value in values.items()}
