"""Networks of any depth for every library: gradients are those of the NumPy module, for several depths."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from array_libraries import LIBRARIES, functions_of, keyword_options, with_jax, with_torch
from generated_module import compiled
from outside import library
from test_any_depth import PENALTY, SPECS, spec

import symbackprop as sb

TARGETS = {
    **{f"array-api on {name}": ("array-api", convert) for name, convert in LIBRARIES.items()},
    "torch": ("torch", with_torch),
    "jax": ("jax", with_jax),
    "numba": ("numba", lambda arrays: arrays),
}
SIZES = {"brilliant": (3, 4, 1), "numbers": (5, 4, 3), "names": (3, 4, 2), "one name": (3, 3, 3)}
LAST_SIZE = {"brilliant": 1, "number and family": 2}
NETWORKS = {
    **{name: (name, PENALTY, ()) for name in SPECS},
    "brilliant, by x": ("brilliant", {}, ("x",)),
    "number and family, by x": ("number and family", PENALTY, ("x",)),
}
EXAMPLES = {
    path.stem: path
    for path in sorted((Path(__file__).parent.parent / "examples").glob("*.toml"))
    if "\ndepth" in path.read_text()
}


def sizes_of(name, depth):
    """Sizes of so many layers that the spec allows."""
    first, hidden, last = SIZES.get(name, (3, 0, LAST_SIZE.get(name, 2)))
    return (first, *(hidden or 2 + layer for layer in range(1, depth)), last)


def arrays_of(module, sizes):
    rng = np.random.default_rng(len(sizes))
    parameters = {name: rng.standard_normal(shape) for name, shape in module._shapes(sizes).items()}
    return parameters, rng.standard_normal((4, sizes[0])), rng.dirichlet(np.ones(sizes[-1]), 4)


@cache
def derived(network):
    if network in EXAMPLES:
        return sb.derive(sb.load(EXAMPLES[network]))
    name, tables, wrt = NETWORKS[network]
    return sb.derive(sb.from_mapping(spec(*SPECS[name], **tables)), wrt=wrt)


@cache
def module_of(network, language):
    return compiled(derived(network).module_source(language))


def close(found, wanted, digits=1e-12):
    assert list(found) == list(wanted)
    for key, value in wanted.items():
        limit = digits * max(1.0, np.max(np.abs(value)))
        np.testing.assert_allclose(np.asarray(found[key]), value, rtol=0, atol=limit)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "network", [pytest.param(n, marks=pytest.mark.slow if n != "brilliant, by x" else ()) for n in NETWORKS]
)
def test_gradients_are_those_of_numpy_for_any_number_of_layers(network, target):
    language, convert = TARGETS[target]
    reference, module = module_of(network, "numpy"), module_of(network, language)
    options, same = (keyword_options(reference, source) for source in (np, functions_of(target)))
    for depth in (2, 4):
        arrays = arrays_of(reference, sizes_of(NETWORKS[network][0], depth))
        wanted = reference.cost_and_gradients(*arrays, **options)
        cost, gradients = module.cost_and_gradients(*convert(arrays), **same)
        assert float(cost) == pytest.approx(wanted[0], rel=1e-12)
        close(gradients, wanted[1])


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example(example, dtype, target):
    assert len(EXAMPLES) == 3
    language, convert = TARGETS[target]
    reference, module = module_of(example, "numpy"), module_of(example, language)
    options, same = (keyword_options(reference, source) for source in (np, functions_of(target)))
    narrow, wide = (in_dtype(arrays_of(reference, sizes_of(example, 5)), kind) for kind in (dtype, float))
    _, wanted = reference.cost_and_gradients(*wide, **options)
    _, gradients = module.cost_and_gradients(*convert(narrow), **same)
    assert {np.asarray(value).dtype for value in gradients.values()} == {np.dtype(dtype)}
    close(gradients, wanted, 1e-12 if dtype is np.float64 else 1e-5)


def in_dtype(arrays, dtype):
    """Numbers of float32, in this dtype."""
    parameters, x, y = arrays
    parameters = {name: value.astype(np.float32).astype(dtype) for name, value in parameters.items()}
    return parameters, *(array.astype(np.float32).astype(dtype) for array in (x, y))


@pytest.mark.parametrize("network", ["brilliant, by x", "numbers"])
def test_torch_finds_nothing_wrong(network):
    torch = library("torch")
    module = module_of(network, "torch")
    parameters, x, y = with_torch(arrays_of(module, sizes_of(NETWORKS[network][0], 3)))
    names, options = [*parameters], keyword_options(module, torch)
    values = [value.requires_grad_() for value in (x.detach(), *parameters.values())]

    def cost(x, *values):
        return module.cost(dict(zip(names, values, strict=True)), x, y, **options)

    assert torch.autograd.gradcheck(cost, values)


def test_jax_differentiates_what_the_cost_goes_into():
    jax = library("jax")
    module = module_of("one name", "jax")
    parameters, x, y = with_jax(arrays_of(module, sizes_of("one name", 3)))
    _, gradients = module.cost_and_gradients(parameters, x, y, lambda_=0.3)
    slopes = jax.grad(lambda p: 2.0 * module.cost(p, x, y, lambda_=0.3))(parameters)
    close({name: value / 2.0 for name, value in slopes.items()}, {n: gradients[n] for n in sorted(gradients)})


@pytest.mark.parametrize("target", ["array-api on numpy", "torch", "jax"])
def test_what_is_wrong_with_arrays_is_told_at_once(target):
    language, convert = TARGETS[target]
    module = module_of("names", language)
    parameters, x, y = arrays_of(module, (3, 4, 4, 2))
    broken = {**parameters, "W2": parameters["W2"][:, :3], "c": x}
    with pytest.raises(ValueError) as wrong:
        module.cost_and_gradients(*convert((broken, x, y)), lambda_=0.3)
    assert str(wrong.value) == "unknown parameters of 3 layers: c"
    del broken["c"]
    with pytest.raises(ValueError) as wrong:
        module.cost_and_gradients(*convert((broken, x, y[:, :1])), lambda_=0.3)
    sentences = str(wrong.value).splitlines()
    assert sentences == ["y must have shape (4, 2), not (4, 1)", "W2 must have shape (4, 4), not (4, 3)"]


@pytest.mark.parametrize("target", ["array-api on numpy", "torch", "jax"])
def test_a_training_step_lowers_the_cost(target):
    language, convert = TARGETS[target]
    module = compiled(derived("one name").module_source(language, update="adam"))
    parameters, x, y = convert(arrays_of(module, (3, 3, 3, 3)))
    state, costs = module.initial_state(parameters), []
    for _ in range(30):
        cost, parameters, state = module.training_step(
            parameters, state, x, y, lambda_=0.01, learning_rate=0.05
        )
        costs.append(float(cost))
    assert costs[-1] < 0.7 * costs[0]
