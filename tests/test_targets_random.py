"""Every target on random architectures and on every example: gradients are those of the NumPy module."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from architectures import numbers, specs
from array_libraries import LIBRARIES, functions_of, keyword_options, with_jax, with_numpy, with_torch
from generated_module import compiled
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from outside import library

import symbackprop as sb

EXAMPLES = [
    path
    for path in sorted((Path(__file__).parent.parent / "examples").glob("*.toml"))
    if "\ndepth" not in path.read_text()
]
LIMITS = {np.float64: 1e-12, np.float32: 1e-5}
DTYPES = st.sampled_from(sorted(LIMITS, key=str))


def random(count):
    """Settings for so many architectures, and the same ones every time."""
    return settings(
        max_examples=count, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )


# --- libraries ---------------------------------------------------------------------------------------


TARGETS = {
    **{f"array-api on {name}": ("array-api", convert) for name, convert in LIBRARIES.items()},
    "torch": ("torch", with_torch),
    "jax": ("jax", with_jax),
    "numba": ("numba", with_numpy),
}
COUNTS = {"numba": 3, "array-api on jax": 4, "array-api on dask": 6}
USUAL = 8
"""How many architectures the others get; the seconds go into compiling and into Dask's graphs."""


# --- comparing ---------------------------------------------------------------------------------------


def in_full(arrays):
    parameters, x, y = arrays
    return (
        {k: v.astype(np.float64) for k, v in parameters.items()},
        x.astype(np.float64),
        y.astype(np.float64),
    )


def reference(derivation, arrays, options):
    """Cost and gradients in float64."""
    with np.errstate(over="ignore", invalid="ignore"):
        return derivation.compile().cost_and_gradients(*in_full(arrays), **options)


def below(gradients, limit):
    """Whether numbers are small enough to be compared: exp of exp loses digits to its inputs' rounding."""
    return all(np.max(np.abs(value), initial=0.0) < limit for value in gradients.values())


def agrees(found, wanted, limit):
    """Relative to the largest entry of each array, or to 1."""
    cost, gradients = found
    assert abs(float(cost) - wanted[0]) <= 10 * limit * max(1.0, abs(wanted[0]))
    assert list(gradients) == list(wanted[1])
    for name, value in wanted[1].items():
        error = np.max(np.abs(np.asarray(gradients[name], np.float64) - value), initial=0.0)
        assert error <= limit * max(1.0, np.max(np.abs(value), initial=0.0)), name


def check(derivation, module, name, arrays, dtype, options, same=None):
    """``same`` are the options as the target takes them, if that is otherwise."""
    wanted = reference(derivation, arrays, options)
    if not below(wanted[1], 1e3):
        return
    _, convert = TARGETS[name]
    found = module.cost_and_gradients(*convert(arrays), **(options if same is None else same))
    agrees(found, wanted, LIMITS[dtype])


def options_of(spec):
    return {"lambda_": 0.3} if "penalty" in spec else {}


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_random_architectures(name):
    library("array_api_compat" if "array-api" in name else "numpy")
    library({"numba": "numba"}.get(name, "numpy"))

    @random(COUNTS.get(name, USUAL))
    @given(specs(), st.sampled_from([1, 2, 5]), DTYPES, st.integers(0, 99))
    def runs(spec, batch, dtype, seed):
        derivation = sb.derive(sb.from_mapping(spec))
        module = compiled(derivation.module_source(TARGETS[name][0]))
        arrays = numbers(derivation.compile(), {}, batch, dtype, seed)
        check(derivation, module, name, arrays, dtype, options_of(spec))

    runs()


@pytest.mark.slow
@random(10)
@given(specs(), st.integers(1, 3), st.integers(0, 99))
def test_random_architectures_pass_the_gradient_check_of_torch(spec, batch, seed):
    torch = library("torch")
    derivation = sb.derive(sb.from_mapping(spec))
    arrays = numbers(derivation.compile(), {}, batch, np.float64, seed)
    _, gradients = reference(derivation, arrays, options_of(spec))
    assume(below(gradients, 50.0))
    target = compiled(derivation.module_source("torch"))
    parameters, x, y = with_torch(arrays)
    names = list(parameters)

    def cost(x, *values):
        return target.cost(dict(zip(names, values, strict=True)), x, y, **options_of(spec))

    inputs = [value.clone().requires_grad_() for value in (x, *parameters.values())]
    assert torch.autograd.gradcheck(cost, inputs, atol=1e-5, rtol=1e-3)


# --- every example -----------------------------------------------------------------------------------


@cache
def example(path):
    return sb.derive(sb.load(path))


@cache
def module_of(path, target):
    """The module of an example, the same one for every library and dtype."""
    return compiled(example(path).module_source(target))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example(path, name, dtype):
    derivation = example(path)
    module = derivation.compile()
    sizes = {s for shape in module.PARAMETERS.values() for s in shape if isinstance(s, str)}
    if name == "numba" and dtype is np.float32 and path.stem != "two-two-two":
        pytest.skip("compiling takes its seconds for each dtype: random architectures have both")
    arrays = numbers(module, {size: 3 + n for n, size in enumerate(sorted(sizes))}, 4, dtype)
    made = module_of(path, TARGETS[name][0])
    options, same = (keyword_options(module, source) for source in (np, functions_of(name)))
    check(derivation, made, name, arrays, dtype, options, same)
