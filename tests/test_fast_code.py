"""The fast path of generated code: equal to the plain one, whatever it is given and however often."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from architectures import numbers, specs
from generated_module import compiled
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import symbackprop as sb

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.toml"))
LIMITS = {np.float64: 1e-12, np.float32: 1e-5}


@cache
def derived(path):
    return sb.derive(sb.load(path), wrt=("x",) if "depth" not in path.read_text() else ())


def options_of(module):
    """What a module asks for besides arrays."""
    wanted = module.cost_and_gradients.__kwdefaults__ or {}
    names = module.cost_and_gradients.__code__
    keywords = names.co_varnames[names.co_argcount : names.co_argcount + names.co_kwonlyargcount]
    functions = {"_prime": np.cos}
    return {
        name: functions["_prime"] if name.endswith("_prime") else np.sin if name.startswith("g") else 0.3
        for name in keywords
        if name not in wanted
    }


def exactly(values):
    return {name: np.asarray(value, np.float64) for name, value in values.items()}


def worst(found, wanted):
    """The largest error of each array, relative to its largest entry or 1."""
    errors = [
        np.max(np.abs(exactly(found)[name] - value)) / max(1.0, np.max(np.abs(value)))
        for name, value in exactly(wanted).items()
    ]
    return max(errors)


def agree(module, fast, arrays, dtype, options):
    cost, gradients = fast(*arrays, **options)
    in_full = (exactly(arrays[0]), arrays[1].astype(np.float64), arrays[2].astype(np.float64))
    wanted_cost, wanted = module.cost_and_gradients(*in_full, **options)
    assert isinstance(cost, float)
    assert cost == pytest.approx(wanted_cost, rel=10 * LIMITS[dtype], abs=LIMITS[dtype])
    assert list(gradients) == list(wanted)
    assert {value.dtype for value in gradients.values()} == {np.dtype(dtype)}
    assert worst(gradients, wanted) < LIMITS[dtype]


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_equal_to_the_plain_code(path, dtype):
    if "\ndepth" in path.read_text():
        pytest.skip("a symbolic depth has no sizes to plan for")
    module = derived(path).compile()
    names = {s for shape in module.PARAMETERS.values() for s in shape if isinstance(s, str)}
    sizes = {name: 3 + place for place, name in enumerate(sorted(names))}
    options = options_of(module)
    for batch in (1, 4, 9):
        fast = module.make_gradients(batch, dtype, **sizes)
        for seed in range(3):
            agree(module, fast, numbers(module, sizes, batch, dtype, seed), dtype, options)


@pytest.mark.slow
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    specs(), st.sampled_from([1, 2, 3, 4, 17]), st.sampled_from(sorted(LIMITS, key=str)), st.integers(0, 99)
)
def test_random_architectures_are_equal_to_the_plain_code(spec, batch, dtype, seed):
    module = sb.derive(sb.from_mapping(spec), wrt=("x",)).compile()
    arrays = numbers(module, {}, batch, dtype, seed)
    fast, options = module.make_gradients(batch, dtype), options_of(module)
    with np.errstate(over="ignore", invalid="ignore"):
        _, wanted = module.cost_and_gradients(*arrays, **options)
    # exp of exp: beyond this, rounding an input moves the gradients by more than the limit
    assume(all(np.max(np.abs(value), initial=0.0) < 1e6 for value in wanted.values()))
    agree(module, fast, arrays, dtype, options)


# --- buffers that nobody trips over ----------------------------------------------------------------


@pytest.fixture(scope="module")
def classifier():
    spec = {
        "name": "classifier",
        "input": {"size": 7},
        "layers": [{"size": 6, "activation": "relu"}, {"size": 4, "activation": "softmax"}],
        "cost": {"kind": "cross_entropy"},
        "penalty": {"l2": "1/50"},
    }
    return sb.derive(sb.from_mapping(spec), wrt=("x",)).compile()


def test_changing_what_was_returned_changes_no_later_result(classifier):
    fast, arrays = classifier.make_gradients(5), numbers(classifier, {}, 5)
    wanted = classifier.cost_and_gradients(*arrays)
    for _ in range(3):
        cost, gradients = fast(*arrays)
        assert cost == pytest.approx(wanted[0], rel=1e-14)
        assert worst(gradients, wanted[1]) < 1e-14
        for name in list(gradients):
            gradients[name][...] = np.nan
            del gradients[name]


def test_callables_take_turns_on_changing_inputs(classifier):
    batches = [(1, np.float64), (5, np.float64), (5, np.float64), (5, np.float32)]
    callables = [classifier.make_gradients(batch, dtype) for batch, dtype in batches]
    for seed in range(4):
        for fast, (batch, dtype) in zip(callables, batches, strict=True):
            agree(classifier, fast, numbers(classifier, {}, batch, dtype, seed), dtype, {})


def test_inputs_may_lie_in_memory_as_they_like(classifier):
    parameters, x, y = numbers(classifier, {}, 5)
    _, wanted = classifier.cost_and_gradients(parameters, x, y)
    spread = np.zeros((10, 21))
    spread[::2, ::3] = x
    fast = classifier.make_gradients(5)
    layouts = [
        ({name: np.asfortranarray(value) for name, value in parameters.items()}, np.asfortranarray(x)),
        (
            {name: np.repeat(value, 2, axis=-1)[..., ::2] for name, value in parameters.items()},
            spread[::2, ::3],
        ),
        ({name: value[::-1].copy()[::-1] for name, value in parameters.items()}, x[:, ::-1].copy()[:, ::-1]),
        (dict(reversed(parameters.items())), x),
    ]
    for given_parameters, inputs in layouts:
        for targets in (y, np.asfortranarray(y), np.repeat(y, 2, axis=0)[::2]):
            assert worst(fast(given_parameters, inputs, targets)[1], wanted) < 1e-13


def test_subclasses_of_arrays_are_taken(classifier, tmp_path):
    parameters, x, y = numbers(classifier, {}, 5)
    mapped = np.memmap(tmp_path / "x", np.float64, "w+", shape=x.shape)
    mapped[...] = x
    _, wanted = classifier.cost_and_gradients(parameters, x, y)
    assert worst(classifier.make_gradients(5)(parameters, mapped, y)[1], wanted) < 1e-13


def test_another_batch_or_a_buffer_of_its_own_is_refused(classifier):
    fast, (parameters, x, y) = classifier.make_gradients(5), numbers(classifier, {}, 5)
    with pytest.raises(ValueError, match="x must have 5 rows, as make_gradients was told, not 4"):
        fast(parameters, x[:4], y[:4])
    _, gradients = fast(parameters, x, y)
    with pytest.raises(ValueError, match="W2 is a gradient that this call would write over"):
        fast({**parameters, "W2": gradients["W2"]}, x, y)
    other = classifier.make_gradients(5)
    assert np.isfinite(other({**parameters, "W2": gradients["W2"]}, x, y)[0])


def test_callables_in_threads_of_their_own(classifier):
    from concurrent.futures import ThreadPoolExecutor

    def task(seed):
        fast, arrays = classifier.make_gradients(5), numbers(classifier, {}, 5, seed=seed)
        _, wanted = classifier.cost_and_gradients(*arrays)
        return max(worst(fast(*arrays)[1], wanted) for _ in range(50))

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(task, range(8))) < 1e-13


# --- memory ----------------------------------------------------------------------------------------


DEEP = {
    "name": "deep",
    "input": {"size": 400},
    "layers": [
        *({"size": 400, "activation": "tanh"} for _ in range(6)),
        {"size": 10, "activation": "softmax"},
    ],
    "cost": {"kind": "cross_entropy"},
    "facts": {"targets_sum_to_one": True},
}


def test_a_delta_is_written_over_the_activation_that_it_needs_last():
    code = sb.derive(sb.from_mapping(DEEP)).code
    assert "    z1 = a1 = delta1 = _aligned((N, 400), dtype)\n" in code
    fast = code[code.index("def make_gradients") : code.index("# --- checks")]
    assert "@" not in fast and fast.count("out=") > 50


def test_the_mean_over_examples_is_multiplied_in_once():
    code = sb.derive(sb.from_mapping(DEEP)).code
    fast = code[code.index("def make_gradients") : code.index("# --- checks")]
    assert fast.count("factor1") == 2 and "1.0 / N" in fast


# --- scalar code -----------------------------------------------------------------------------------


def tiny(**changed):
    spec = {
        "name": "tiny",
        "input": {"size": 2},
        "layers": [{"size": 3, "activation": "tanh"}, {"size": 2, "activation": "sigmoid"}],
        "cost": {"kind": "squared_error", "scale": "1/2"},
    }
    return sb.derive(sb.from_mapping({**spec, **changed}))


def source(derivation, code):
    return derivation.module_source(code=code)


TINY = {
    "tanh and sigmoid": {},
    "softmax": {
        "layers": [{"size": 3, "activation": "softmax"}],
        "cost": {"kind": "cross_entropy"},
        "facts": {"targets_sum_to_one": True},
    },
    "softmax twice": {"layers": [{"size": 3, "activation": "softmax"}, {"size": 2, "activation": "softmax"}]},
    "a penalty": {"penalty": {"l2": "lambda/(2*N)"}},
    "choices": {"layers": [{"size": 3, "activation": "relu"}, {"size": 2, "activation": "leaky_relu"}]},
    "a sum over examples": {"cost": {"kind": "huber", "examples": "sum", "outputs": "mean"}},
    "its own formula": {
        "layers": [{"size": 2, "activation": {"formula": "z/(1 + abs(z)) + sqrt(1 + z**2)"}}]
    },
}


@pytest.mark.parametrize("case", TINY)
def test_scalar_code_is_equal_to_the_plain_code(case):
    text = source(tiny(**TINY[case]), "scalar")
    assert "return scalar_cost_and_gradients\n" in text
    module = compiled(text)
    for batch in (1, 3):
        for dtype in LIMITS:
            fast, options = module.make_gradients(batch, dtype), options_of(module)
            for seed in range(3):
                agree(module, fast, numbers(module, {}, batch, dtype, seed), dtype, options)


def test_scalar_code_leaves_what_overflows_to_the_arrays():
    module = compiled(source(tiny(), "scalar"))
    parameters, x, y = numbers(module, {}, 1)
    parameters = {name: 2000.0 * value for name, value in parameters.items()}
    for sign in (1.0, -1.0):
        agree(
            module,
            module.make_gradients(1),
            ({**parameters, "b2": np.full(2, 800.0 * sign)}, x, y),
            np.float64,
            {},
        )


def test_what_scalar_code_returned_may_be_changed():
    module = compiled(source(tiny(), "scalar"))
    fast, arrays = module.make_gradients(2), numbers(module, {}, 2)
    _, wanted = module.cost_and_gradients(*arrays)
    for _ in range(3):
        _, gradients = fast(*arrays)
        assert worst(gradients, wanted) < 1e-13
        gradients.pop("W1")[...] = np.nan
    with pytest.raises(ValueError, match="x must have 2 rows"):
        fast(arrays[0], arrays[1][:1], arrays[2][:1])


def test_code_is_chosen_by_the_model_and_can_be_forced():
    assert "scalar_cost_and_gradients if N <= " in source(tiny(), "auto")
    assert "scalar" not in source(tiny(), "arrays")
    wide = sb.derive(sb.load("30-20-10"))
    assert "scalar" not in source(wide, "auto")
    with pytest.raises(sb.SymbackpropError, match="'scalar' is for tiny networks"):
        source(wide, "scalar")
    with pytest.raises(sb.SymbackpropError, match="code: 'fast': there are auto, arrays and scalar"):
        source(tiny(), "fast")


def test_open_sizes_of_which_the_larger_counts():
    """Temporaries of two layers of open sizes: which of them takes more is known when it runs."""
    layers = [
        {"size": "m", "activation": {"formula": "where(z>0,z**2,-z)"}},
        {"size": "width", "activation": "elu"},
        {"size": "classes", "activation": "exp"},
    ]
    spec = {"name": "open", "input": {"size": 1}, "layers": layers, "cost": {"kind": "squared_error"}}
    module = sb.derive(sb.from_mapping(spec)).compile()
    sizes, rng = {"m": 2, "width": 3, "classes": 4}, np.random.default_rng(0)
    shapes = {"W1": (2, 1), "b1": (2,), "W2": (3, 2), "b2": (3,), "W3": (4, 3), "b3": (4,)}
    parameters = {name: 0.5 * rng.standard_normal(shape) for name, shape in shapes.items()}
    x, y = rng.standard_normal((5, 1)), rng.standard_normal((5, 4))
    _, wanted = module.cost_and_gradients(parameters, x, y)
    _, found = module.make_gradients(5, **sizes)(parameters, x, y)
    for name, gradient in wanted.items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-12, atol=1e-14)


def test_truths_joined_by_and_are_no_place_for_numbers():
    """The slope of max(0, min(1, z)) holds where two comparisons do: what is made of it is a number."""
    layers = [
        {"size": 2, "activation": "softsign"},
        {"size": 1, "activation": {"formula": "max(0,min(1,z))"}},
    ]
    spec = {"name": "clipped", "input": {"size": 2}, "layers": layers, "cost": {"formula": "a*y"}}
    module = sb.derive(sb.from_mapping(spec)).compile()
    rng = np.random.default_rng(0)
    parameters = {name: rng.standard_normal(shape) for name, shape in module.PARAMETERS.items()}
    for batch in (1, 40):
        x, y = rng.standard_normal((batch, 2)), rng.standard_normal((batch, 1))
        _, wanted = module.cost_and_gradients(parameters, x, y)
        _, found = module.make_gradients(batch)(parameters, x, y)
        for name, gradient in wanted.items():
            np.testing.assert_allclose(found[name], gradient, rtol=1e-12, atol=1e-14)
