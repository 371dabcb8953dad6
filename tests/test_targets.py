"""Every target computes what the NumPy module computes, and its library's own tools agree with it."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from array_libraries import LIBRARIES, with_jax, with_torch
from generated_module import compiled
from outside import library

import symbackprop as sb

EXAMPLES = Path(__file__).parent.parent / "examples"


def network(*layers, cost="squared_error", **more):
    spec = {
        "name": "net",
        "input": {"size": 3},
        "layers": [{"size": size, "activation": activation} for size, activation in layers],
        "cost": {"kind": cost, "scale": "1/2"},
    }
    return {**spec, **more}


SPECS = {
    "sigmoid": network((4, "sigmoid"), (2, "sigmoid")),
    "rectifiers": network((4, "relu"), (4, "leaky_relu"), (2, "elu")),
    "classifier": network(
        (4, "tanh"), (3, "softmax"), cost="cross_entropy", facts={"targets_sum_to_one": True}
    ),
    "probabilities": network((4, "silu"), (2, "sigmoid"), cost="binary_cross_entropy"),
    "error functions": network((4, "gelu"), (4, "mish"), (2, "softplus"), cost="huber"),
    "a penalty": network((4, "gelu_tanh"), (2, "linear"), penalty={"l2": "lambda/(2*N)"}),
    "left open": network((4, {"symbol": "g"}), (2, "arctan"), cost="absolute_error"),
    "coupled": network((4, "softmax"), (3, "log_softmax")),
    "pieces": network((4, "hard_sigmoid"), (2, "selu")),
    "probit": network((4, "tanh"), (2, {"formula": "(1+erf(z))/2"}), cost="binary_cross_entropy"),
}


QUICK = ("classifier", "rectifiers", "a penalty")
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in SPECS]


@cache
def derived(name):
    return sb.derive(sb.from_mapping(SPECS[name]))


@cache
def module(name, target):
    return compiled(derived(name).module_source(target))


def numbers(name, batch=5, seed=0):
    rng = np.random.default_rng(seed)
    shapes = derived(name).compile().PARAMETERS
    parameters = {key: rng.standard_normal(shape) / np.sqrt(shape[-1]) for key, shape in shapes.items()}
    outputs = shapes["b" + str(len(shapes) // 2)][0]
    return parameters, rng.standard_normal((batch, 3)), rng.dirichlet(np.ones(outputs), batch)


def options(name, sine=np.sin, cosine=np.cos):
    given = {"a penalty": {"lambda_": 0.3}, "left open": {"g": sine, "g_prime": cosine}}
    return given.get(name, {})


def reference(name, batch=5):
    return derived(name).compile().cost_and_gradients(*numbers(name, batch), **options(name))


def agrees(found, wanted, limit=1e-12):
    cost, gradients = found
    assert float(cost) == pytest.approx(wanted[0], rel=limit)
    assert list(gradients) == list(wanted[1])
    for name, value in wanted[1].items():
        np.testing.assert_allclose(np.asarray(gradients[name]), value, rtol=limit, atol=limit)


# --- the array API ---------------------------------------------------------------------------------


def functions_of(kind):
    if kind == "numpy":
        return {}
    found = library("jax.numpy" if kind == "jax" else "dask.array" if kind == "dask" else kind)
    return {"sine": found.sin, "cosine": found.cos}


@pytest.mark.parametrize("kind", LIBRARIES)
@pytest.mark.parametrize("name", NAMES)
def test_array_api_on_every_library(name, kind):
    library("array_api_compat")
    arrays = LIBRARIES[kind](numbers(name))
    given = options(name, **functions_of(kind)) if name == "left open" else options(name)
    both = module(name, "array-api").cost_and_gradients(*arrays, **given)
    assert type(both[1]["W1"]).__module__.split(".")[0] == type(arrays[1]).__module__.split(".")[0]
    agrees(both, reference(name))
    plain = derived(name).compile()
    cost = module(name, "array-api").cost(*arrays, **given)
    assert float(cost) == pytest.approx(plain.cost(*numbers(name), **options(name)), rel=1e-12)
    outputs = module(name, "array-api").forward(*arrays[:2], **given)
    np.testing.assert_allclose(
        np.asarray(outputs), plain.forward(*numbers(name)[:2], **options(name)), rtol=1e-12
    )


@pytest.mark.slow
def test_array_api_keeps_float32():
    library("array_api_compat")
    for kind, convert in LIBRARIES.items():
        parameters, x, y = numbers("rectifiers")
        small = (
            {k: v.astype(np.float32) for k, v in parameters.items()},
            x.astype(np.float32),
            y.astype(np.float32),
        )
        _, gradients = module("rectifiers", "array-api").cost_and_gradients(*convert(small))
        assert {str(v.dtype).removeprefix("torch.") for v in gradients.values()} == {"float32"}, kind


def test_array_api_says_what_does_not_fit():
    library("array_api_compat")
    parameters, x, y = numbers("sigmoid")
    with pytest.raises(ValueError, match=r"x must have shape \(5, 3\), not \(5, 2\)"):
        module("sigmoid", "array-api").cost(parameters, x[:, :2], y)
    with pytest.raises(ValueError, match="missing parameters: b2"):
        module("sigmoid", "array-api").cost({k: v for k, v in parameters.items() if k != "b2"}, x, y)


WRONG_ARRAYS = {
    "array-api": (np.asmatrix, "x must be an array of a library with the array API, not matrix"),
    "torch": (np.asarray, "x must be a tensor of PyTorch, not ndarray"),
    "jax": (np.ndarray.tolist, "x must be an array, not list"),
}


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("target", WRONG_ARRAYS)
def test_targets_tell_all_that_is_wrong_at_once(target):
    library({"array-api": "array_api_compat"}.get(target, target))
    change, sentence = WRONG_ARRAYS[target]
    parameters, x, y = numbers("sigmoid")
    with pytest.raises(ValueError) as refused:
        module("sigmoid", target).cost_and_gradients([*parameters.values()], change(x), y)
    first, second, *_ = str(refused.value).splitlines()
    assert first == "parameters must be a dictionary of the arrays W1, b1, W2, b2, not list"
    assert second == sentence


def test_targets_ask_for_numbers_that_are_left_open():
    library("array_api_compat")
    parameters, x, y = numbers("a penalty")
    with pytest.raises(ValueError, match="lambda_ must be a number, not None"):
        module("a penalty", "array-api").cost_and_gradients(parameters, x, y, lambda_=None)


def test_dask_is_lazy_and_works_chunk_by_chunk():
    library("array_api_compat")
    da = library("dask.array")
    seen = []

    def chunk(block, block_info=None):
        seen.append(block.shape)
        return block

    parameters, x, y = numbers("classifier", 64)
    lazy = da.from_array(x, chunks=(8, -1)).map_blocks(chunk, dtype=float, meta=np.empty((0, 0)))
    both = module("classifier", "array-api").cost_and_gradients(
        parameters, lazy, da.from_array(y, chunks=(8, -1))
    )
    assert seen == []
    dask = library("dask")
    agrees(dask.compute(*both), reference("classifier", 64))
    assert seen == [(8, 3)] * 8


WIDTH, CHUNK, CHUNKS, LIMIT = 250, 8_000, 80, 500_000_000


def block_of_data(number, columns):
    """One chunk of a data set that nobody ever holds whole."""
    rng = np.random.default_rng(number)
    return (
        rng.standard_normal((CHUNK, WIDTH)) if columns == WIDTH else rng.uniform(0.1, 0.9, (CHUNK, columns))
    )


@pytest.mark.slow
def test_data_larger_than_memory_on_a_cluster_of_two_workers():
    """1.28 GB of inputs for two workers that have 0.5 GB each, their own code included."""
    library("array_api_compat")
    dask, da, distributed = (library(name) for name in ("dask", "dask.array", "distributed"))
    spec = network((16, "tanh"), (2, "sigmoid"), input={"size": WIDTH})
    derivation = sb.derive(sb.from_mapping(spec))
    plain, target = derivation.compile(), compiled(derivation.module_source("array-api"))
    rng = np.random.default_rng(0)
    parameters = {k: rng.standard_normal(s) / np.sqrt(s[-1]) for k, s in plain.PARAMETERS.items()}

    def data(columns):
        chunks = ((CHUNK,) * CHUNKS, (columns,))
        empty = np.empty((0, 0))
        return da.map_blocks(
            lambda block_id=None: block_of_data(block_id[0], columns), chunks=chunks, dtype=float, meta=empty
        )

    x, y = data(WIDTH), data(2)
    assert x.nbytes > 2 * LIMIT
    quiet = {"distributed.worker.memory.terminate": 0.99, "logging.distributed": "error"}
    with (
        dask.config.set(quiet),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit=LIMIT, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        cost, gradients = dask.compute(*target.cost_and_gradients(parameters, x, y))
        assert len(client.scheduler_info()["workers"]) == 2
    wanted_cost, wanted = 0.0, dict.fromkeys(plain.PARAMETERS, 0.0)
    for number in range(CHUNKS):
        part = plain.cost_and_gradients(parameters, block_of_data(number, WIDTH), block_of_data(number, 2))
        wanted_cost += part[0] / CHUNKS
        wanted = {name: wanted[name] + part[1][name] / CHUNKS for name in wanted}
    agrees((cost, gradients), (wanted_cost, wanted), 1e-11)


# --- PyTorch ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_torch_agrees_and_passes_its_own_gradient_check(name):
    torch = library("torch")
    target = module(name, "torch")
    given = options(name, torch.sin, torch.cos)
    parameters, x, y = with_torch(numbers(name, 3))
    agrees(target.cost_and_gradients(parameters, x, y, **given), reference(name, 3))
    names = list(parameters)

    def cost(x, *values):
        return target.cost(dict(zip(names, values, strict=True)), x, y, **given)

    inputs = [value.clone().requires_grad_() for value in (x, *parameters.values())]
    assert torch.autograd.gradcheck(cost, inputs)


def test_torch_is_a_part_of_whatever_it_stands_in():
    torch = library("torch")
    target = module("sigmoid", "torch")
    parameters, x, y = with_torch(numbers("sigmoid", 3))
    scale = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    weight = parameters["W1"].requires_grad_()
    (target.cost({**parameters, "W1": weight * scale}, x, y) ** 2).backward()
    plain = derived("sigmoid").compile()
    before, x, y = numbers("sigmoid", 3)
    cost, gradients = plain.cost_and_gradients({**before, "W1": 3.0 * before["W1"]}, x, y)
    np.testing.assert_allclose(weight.grad, 2 * cost * 3.0 * gradients["W1"], rtol=1e-12)


def test_torch_refuses_the_derivative_that_it_does_not_have():
    library("torch")
    parameters, x, y = with_torch(numbers("sigmoid", 3))
    cost = module("sigmoid", "torch").cost(
        {k: v.requires_grad_() for k, v in parameters.items()}, x, y.requires_grad_()
    )
    with pytest.raises(NotImplementedError, match="no derivative with respect to the targets y"):
        cost.backward()


# --- arrays that a module makes itself -------------------------------------------------------------


CONSTANT = {**network((3, "tanh"), (2, "linear")), "cost": {"formula": "a"}}
"""A cost whose delta is the same number everywhere, which is an array that the module makes."""


@pytest.mark.parametrize("library_", LIBRARIES)
def test_a_delta_that_is_one_number_is_an_array_of_the_same_library(library_):
    library("array_api_compat")
    derivation = sb.derive(sb.from_mapping(CONSTANT))
    rng = np.random.default_rng(2)
    parameters = {key: rng.standard_normal(shape) for key, shape in derivation.compile().PARAMETERS.items()}
    arrays = parameters, rng.standard_normal((4, 3)), rng.standard_normal((4, 2))
    found = compiled(derivation.module_source("array-api")).cost_and_gradients(*LIBRARIES[library_](arrays))
    agrees(found, derivation.compile().cost_and_gradients(*arrays))


def test_arrays_are_made_where_the_input_is():
    torch = library("torch")
    library("array_api_compat")
    derivation = sb.derive(sb.from_mapping(CONSTANT))
    elsewhere = {"dtype": torch.float64, "device": "meta"}
    shapes = derivation.compile().PARAMETERS
    parameters = {key: torch.empty(shape, **elsewhere) for key, shape in shapes.items()}
    arrays = parameters, torch.empty((4, 3), **elsewhere), torch.empty((4, 2), **elsewhere)
    _, gradients = compiled(derivation.module_source("array-api")).cost_and_gradients(*arrays)
    assert {str(value.device) for value in gradients.values()} == {"meta"}


# --- JAX -------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_jax_agrees_and_is_differentiated_by_the_derived_pass(name):
    jax = library("jax")
    target, arrays = module(name, "jax"), with_jax(numbers(name, 3))
    given = options(name, jax.numpy.sin, jax.numpy.cos)
    agrees(target.cost_and_gradients(*arrays, **given), reference(name, 3))
    slopes = jax.grad(lambda p, x, y: 3.0 * target.cost(p, x, y, **given), argnums=(0, 1))(*arrays)
    plain = sb.derive(sb.from_mapping(SPECS[name]), wrt=("x",)).compile()
    _, wanted = plain.cost_and_gradients(*numbers(name, 3), **options(name))
    for key, value in {**slopes[0], "x": slopes[1]}.items():
        np.testing.assert_allclose(value, 3.0 * wanted[key], rtol=1e-12, atol=1e-12)


def test_jax_gives_no_zero_for_the_derivative_that_it_does_not_have():
    jax = library("jax")
    arrays = with_jax(numbers("sigmoid", 3))
    assert bool(jax.numpy.all(jax.numpy.isnan(jax.grad(module("sigmoid", "jax").cost, argnums=2)(*arrays))))


# --- Numba -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECS)
def test_numba_agrees_call_after_call(name):
    library("numba")
    plain = derived(name).compile()
    fast = module(name, "numba").make_gradients(4)
    for seed in range(3):
        arrays = numbers(name, 4, seed)
        agrees(fast(*arrays, **options(name)), plain.cost_and_gradients(*arrays, **options(name)))
    parameters, x, y = arrays
    spread = np.repeat(x, 2, axis=1)[:, ::2], np.asfortranarray(y)
    turned = {key: np.asfortranarray(value) for key, value in parameters.items()}
    wanted = plain.cost_and_gradients(*arrays, **options(name))
    agrees(fast(dict(reversed(turned.items())), *spread, **options(name)), wanted)
    small = {key: value.astype(np.float32) for key, value in parameters.items()}
    found = module(name, "numba").cost_and_gradients(
        small, x.astype(np.float32), y.astype(np.float32), **options(name)
    )
    assert {value.dtype for value in found[1].values()} == {np.dtype(np.float32)}
    agrees(found, wanted, 1e-4)


@pytest.mark.slow
def test_numba_refuses_what_does_not_fit():
    library("numba")
    parameters, x, y = numbers("sigmoid", 4)
    fast = module("sigmoid", "numba").make_gradients(4)
    with pytest.raises(
        ValueError, match=r"x must have shape \(4, 3\), as make_gradients was told, not \(3, 3\)"
    ):
        fast(parameters, x[:3], y[:3])
    with pytest.raises(ValueError, match="x must be float64, as the others are, not float32"):
        fast(parameters, x.astype(np.float32), y)
    for function in (fast, module("sigmoid", "numba").cost_and_gradients):
        with pytest.raises(ValueError, match=r"parameters must be a dictionary .*\nx must be .* not list"):
            function([*parameters.values()], x.tolist(), y)
    with pytest.raises(ValueError, match="missing parameters: b2; there must be W1, b1, W2, b2"):
        fast({key: value for key, value in parameters.items() if key != "b2"}, x, y)
    with pytest.raises(ValueError, match="batch_size must be a whole number from 1 up, not 0"):
        module("sigmoid", "numba").make_gradients(0)


@pytest.mark.slow
def test_numba_takes_open_functions_that_it_can_compile():
    njit = library("numba").njit
    target, arrays = module("left open", "numba"), numbers("left open")
    for sine in (np.sin, lambda z: np.sin(z), njit(lambda z: np.sin(z))):
        agrees(target.cost_and_gradients(*arrays, g=sine, g_prime=np.cos), reference("left open"))
    with pytest.raises(ValueError, match="g_prime must be a function of one number that Numba can compile: "):
        target.cost_and_gradients(*arrays, g=np.sin, g_prime=lambda z: z.upper())
    with pytest.raises(ValueError, match="g must be a function, not 3"):
        target.cost_and_gradients(*arrays, g=3, g_prime=np.cos)


KERNELS = {
    "_exprel": ("squared_error", {"formula": "(exp(z)-1)/z"}),
    "_log_one_minus_exp": ("binary_cross_entropy", "gaussian"),
    "_log_complement": ("binary_cross_entropy", "softmax"),
    "_log_one_minus_exp_exp": ("binary_cross_entropy", {"formula": "exp(-exp(-z))"}),
    "_log_erfc": ("binary_cross_entropy", {"formula": "(1+erf(z))/2"}),
    "_log_softplus": ("cross_entropy", "softplus"),
    "_log_abs_expm1": ("cross_entropy", {"formula": "(exp(z)-1)/z"}),
}


@cache
def with_kernel(name):
    cost, activation = KERNELS[name]
    return sb.derive(sb.from_mapping(network((4, "tanh"), (3, activation), cost=cost)))


@pytest.mark.parametrize("name", KERNELS)
def test_numba_has_the_kernels_that_numpy_has(name):
    code = with_kernel(name).module_source("numba")
    assert f"\ndef {name}(z" in code and f"{name}(" in code[code.index("# --- the network and its") :]


@pytest.mark.slow
@pytest.mark.parametrize("name", KERNELS)
def test_numba_computes_with_these_kernels(name):
    library("numba")
    plain, compiled_ = with_kernel(name).compile(), compiled(with_kernel(name).module_source("numba"))
    rng = np.random.default_rng(1)
    parameters = {key: rng.standard_normal(shape) for key, shape in plain.PARAMETERS.items()}
    x, y = rng.standard_normal((5, 3)), rng.dirichlet(np.ones(3), 5)
    agrees(compiled_.make_gradients(5)(parameters, x, y), plain.cost_and_gradients(parameters, x, y))


def test_numba_puts_what_stands_between_two_products_into_one_loop():
    code = sb.derive(sb.from_widths("64-30-10", hidden="tanh")).module_source("numba")
    assert (
        """
def _loop_1(N, b1, a1):
    for n in range(N):
        for j in range(30):
            v1 = b1[j]  # (z-1)
            v2 = a1[n, j] + v1  # (z-1)
            v3 = _tanh(v2)  # (a-1)
            a1[n, j] = v3
"""
        in code
    )
    assert (
        """
        np.dot(x, _turned(W1, room), z1)  # (z-1)
    else:
        np.dot(x, W1.T, z1)  # (z-1)
    _loop_1(N, b1, a1)  # (z-1), (a-1)
    if N >= 16:
        np.dot(a1, _turned(W2, room), z2)  # (z-2)
"""
        in code
    )


def test_a_gradient_that_shares_its_memory_is_known_by_its_own_name():
    layers = [(5, "selu"), (3, "arctan"), (1, "silu"), (3, "sigmoid"), (1, "arctan"), (5, "sigmoid")]
    spec = network(*layers, cost="cross_entropy", penalty={"l2": "lambda/(2*N)"})
    code = sb.derive(sb.from_mapping({**spec, "input": {"size": 1}})).module_source("numba")
    keys = re.findall(r'    gradients\["(.*?)"\] = ', code)
    assert keys == [f"{letter}{layer}" for layer in range(1, 7) for letter in "Wb"]


def test_loops_that_differ_in_names_alone_are_compiled_once():
    code = sb.derive(sb.from_widths("9-9-9-9-9", hidden="tanh")).module_source("numba")
    assert code.count("\ndef _loop_") < 6 and code.count("    _loop_1(N, b") == 3


# --- which there are -------------------------------------------------------------------------------


def test_targets_are_refused_by_name():
    with pytest.raises(sb.SymbackpropError, match="target: 'cuda': there are numpy, numba, array-api"):
        derived("sigmoid").module_source("cuda")


def test_the_gradient_by_the_input_is_there_when_asked_for():
    derivation = sb.derive(sb.from_mapping(SPECS["sigmoid"]), wrt=("x",))
    arrays = numbers("sigmoid", 3)
    wanted = derivation.compile().cost_and_gradients(*arrays)
    assert "x" in wanted[1]
    for target, convert in (("torch", with_torch), ("jax", with_jax)):
        agrees(compiled(derivation.module_source(target)).cost_and_gradients(*convert(arrays)), wanted)
