"""Passes that go through rows a few at a time: the same gradients, whatever the rows."""

import types

import numpy as np
import pytest
from architectures import numbers, specs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import symbackprop as sb
from symbackprop.code import loops


def source(spec, fewest=loops.FEWEST, cache=None):
    """A module's source, with so many passes worth a loop, and a cache of so many bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loops, "FEWEST", fewest)
        made = sb.derive(sb.from_mapping(spec)).code
    if cache is None:
        return made
    few = made.replace("ENOUGH_ROWS, FEWEST_ROWS = 1024, 32", "ENOUGH_ROWS, FEWEST_ROWS = 1, 1")
    return few.replace("CACHE = 2**21", f"CACHE = {cache}")


def as_module(text):
    module = types.ModuleType("blocks")
    exec(compile(text, "<blocks>", "exec"), module.__dict__)
    return module


def spec(activation, size=8):
    layers = [{"size": size, "activation": activation}, {"size": 3, "activation": "sigmoid"}]
    return {"name": "t", "input": {"size": 5}, "layers": layers, "cost": {"kind": "squared_error"}}


def agree(module, batch, dtype=np.float64):
    """The buffered function gives what the plain one does, a second time too."""
    parameters, x, y = numbers(module, {}, batch, dtype)
    options = {"lambda_": 0.3} if "lambda_" in module.cost_and_gradients.__code__.co_varnames else {}
    wanted_cost, wanted = module.cost_and_gradients(parameters, x, y, **options)
    fast = module.make_gradients(batch, dtype)
    for _ in range(2):
        cost, gradients = fast(parameters, x, y, **options)
        assert cost == pytest.approx(wanted_cost, rel=1e-6 if dtype is np.float32 else 1e-12)
        for name, gradient in wanted.items():
            limit = (1e-5 if dtype is np.float32 else 1e-12) * max(1.0, np.max(np.abs(gradient)))
            np.testing.assert_allclose(gradients[name], gradient, rtol=0, atol=limit)


@pytest.mark.slow
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(specs(), st.sampled_from([1, 2, 7, 20]), st.sampled_from([1, 100, 1000]))
def test_any_program_in_rows_of_any_number(spec, batch, cache):
    agree(as_module(source(spec, fewest=2, cache=cache)), batch)


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "softsign", "selu", "silu", "mish"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_long_formula_goes_through_rows(activation, dtype):
    text = source(spec(activation))
    assert " in blocks_1:" in text
    agree(as_module(text), 300, dtype)
    agree(as_module(source(spec(activation), cache=500)), 300, dtype)


def test_what_has_room_in_an_array_that_nobody_reads_has_no_loop():
    deep = {**spec("tanh"), "layers": [{"size": 6, "activation": "tanh"}] * 5}
    text = source(deep)
    fast = text[text.index("def make_gradients") : text.index("# --- checks")]
    assert fast.count(" in blocks_") == 2, "one to the last delta, and one to the delta before it"
    assert "delta3.dot(W3, out=" in fast and "delta4_.dot(W4" not in fast.replace("delta5_", "")


def test_weights_that_are_turned_and_sums_of_all_entries_are_right_with_any_rows():
    layers = [{"size": 20, "activation": "relu"}, {"size": 4, "activation": "softmax"}]
    net = {"name": "t", "input": {"size": 5}, "layers": layers, "cost": {"kind": "cross_entropy"}}
    text = source({**net, "penalty": {"l2": "lambda/(2*N)"}}, cache=1)
    assert "turned(" in text and " += float(" in text
    for batch in (1, 16, 33):
        agree(as_module(text), batch)
