"""Kernels of generated modules against mpmath: NumPy's, and the same text compiled by Numba.

A kernel is as exact as it can be if its error is a few roundings of its result, or what a rounding of its
argument changes in it.
"""

from functools import cache

import mpmath
import numpy as np
import pytest
import sympy as sp
from outside import library

from symbackprop.code.numba_kernels import compiled_kernels
from symbackprop.code.numpy_code import UFUNCS
from symbackprop.numerics.forms import MEANING
from symbackprop.rendering.render import fill

mp = mpmath.MPContext()
mp.dps = 400  # 1 - exp(-exp(-690)) has 299 digits before its first that isn't 9
IN_FULL = {name: getattr(mp, name) for name in ("exp", "log", "erf", "sqrt", "pi", "sign", "cosh", "tanh")}
Z = sp.Symbol("z", real=True)
IN_VECTORS = {"_exp": sp.exp, "_tanh": sp.tanh}
KERNELS = {name: func for func, name in UFUNCS.items() if name.startswith("_")}
BELOW_ZERO = {"_log_one_minus_exp"}
NOT_AT_ZERO = {"_log_abs_expm1", "_exprel"}
ROUNDINGS = 6.0


def points(name):
    """Arguments of every size, of both signs where the kernel takes them."""
    sizes = [m * 10.0**k for k in range(-12, 3) for m in (1.0, 2.3, 4.7, 6.9)]
    around = np.linspace(0.4, 2.0, 17)
    above = np.array([*sizes, *around])
    return np.concatenate([-above, [] if name in BELOW_ZERO else above])


@cache
def exact(name, dtype):
    """Arguments, the values there, and how far a rounding of result and argument moves these."""
    func = {**KERNELS, **IN_VECTORS}[name]
    meaning = MEANING[func](Z) if func in MEANING else func(Z)
    value, slope = (sp.lambdify(Z, expr, modules=[IN_FULL]) for expr in (meaning, sp.diff(meaning, Z)))
    arguments, values, scales = [], [], []
    for z in points(name).astype(dtype):
        f = value(mp.mpf(float(z)))
        if np.finfo(dtype).tiny < abs(f) < np.finfo(dtype).max:
            arguments.append(z)
            values.append(f)
            scales.append(abs(f) + abs(mp.mpf(float(z)) * slope(mp.mpf(float(z)))))
    return np.array(arguments), values, scales


def worst(found, name, dtype):
    """The largest error, in such roundings."""
    _, values, scales = exact(name, dtype)
    eps = float(np.finfo(dtype).eps)
    assert len(values) > 60
    errors = [
        abs(mp.mpf(float(z)) - f) / (scale * eps) for z, f, scale in zip(found, values, scales, strict=True)
    ]
    return float(max(errors))


def module(text, **names):
    found = {"np": np, **names}
    exec(text, found)
    return found


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_of_numpy_is_as_exact_as_it_can_be(name, dtype):
    kernel = module(fill("kernels.py.jinja", {"kernels": [name], "functions": []}))[name]
    arguments, *_ = exact(name, dtype)
    with np.errstate(all="ignore"):
        found = kernel(arguments)
    assert found.dtype == dtype
    assert worst(found, name, dtype) < ROUNDINGS


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", [*KERNELS, *IN_VECTORS])
def test_a_compiled_kernel_is_as_exact(name, dtype):
    kernel = module(compiled_kernels([name]), njit=library("numba").njit)[name]
    arguments, *_ = exact(name, dtype)
    found = np.array([kernel(z) for z in arguments]).astype(dtype)
    assert worst(found, name, dtype) < ROUNDINGS


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_VECTORS)
def test_functions_in_vectors_have_errors_of_a_unit_or_two_in_the_last_place(name):
    kernel = module(compiled_kernels([name]), njit=library("numba").njit)[name]
    rng = np.random.default_rng(0)
    arguments = np.concatenate([rng.uniform(-3, 3, 4000), rng.uniform(-40, 40, 4000), points(name)])
    value = IN_FULL[name.removeprefix("_")]
    with mp.workdps(40):
        wanted = [value(mp.mpf(z)) for z in arguments]
        found = [kernel(z) for z in arguments]
        errors = [
            abs(mp.mpf(f) - w) / float(np.spacing(abs(float(w))))
            for f, w in zip(found, wanted, strict=True)
            if abs(w) < 1e300 and abs(w) > 1e-300
        ]
    assert max(errors) < 1.5


@pytest.mark.slow
def test_functions_in_vectors_know_infinity_and_nan():
    functions = module(compiled_kernels(["_exp", "_tanh"]), njit=library("numba").njit)
    for name, plain in (("_exp", np.exp), ("_tanh", np.tanh)):
        for z in (0.0, np.inf, -np.inf, np.nan, 709.7, 710.0, 1e300, -745.0, -740.0, -746.0, -1e300):
            with np.errstate(over="ignore"):
                np.testing.assert_allclose(functions[name](z), plain(z), rtol=1e-15)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_kernels_along_an_axis_are_the_same_for_a_row(dtype):
    names = ["_log_complement", "_others"]
    plain = module(fill("kernels.py.jinja", {"kernels": names, "functions": []}))
    compiled = module(compiled_kernels(names), njit=library("numba").njit)
    rng = np.random.default_rng(0)
    for size in (0.1, 3.0, 30.0):
        z, weight = (size * rng.standard_normal((6, 4)).astype(dtype) for _ in range(2))
        for name, more in (("_log_complement", ()), ("_others", (weight,))):
            wanted = plain[name](z.astype(np.float64), *(m.astype(np.float64) for m in more), axis=1)
            found = np.array([compiled[name](*rows) for rows in zip(z, *more, strict=True)])
            np.testing.assert_allclose(found, wanted, rtol=50 * np.finfo(dtype).eps)
