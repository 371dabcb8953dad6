"""Memory of the fast path: as much as must be kept, whatever the batch; nothing lies in another's way."""

import gc
import tracemalloc
import types
from functools import cache
from unittest.mock import patch

import numpy as np
import pytest
from architectures import numbers, specs
from array_libraries import A_CALL, peak_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import symbackprop as sb
from symbackprop.code.codegen import Generator
from symbackprop.code.memory import FIXED, GRADIENT, KEPT, LOCAL, Memory
from symbackprop.code.schedule import Schedule
from symbackprop.code.vector_forms import in_vectors
from symbackprop.forward.model import EXAMPLES

WIDTHS = {
    "even": (64, 64, 64, 64, 10),
    "wide to narrow": (400, 128, 60, 10),
    "narrow to wide": (10, 60, 128, 400),
    "narrow in the middle": (256, 128, 8, 128, 256),
    "deep": (32,) * 12,
}
KINDS = {
    "sigmoid": ("sigmoid", "softmax", "cross_entropy"),
    "relu": ("relu", "softmax", "cross_entropy"),
    "tanh": ("tanh", "tanh", "squared_error"),
}


@cache
def module_of(shape, kind):
    return compiled(WIDTHS[shape], kind)


def compiled(widths, kind):
    hidden, output, cost = KINDS[kind]
    layers = [{"size": size, "activation": hidden} for size in widths[1:-1]]
    spec = {
        "name": "net",
        "input": {"size": widths[0]},
        "layers": [*layers, {"size": widths[-1], "activation": output}],
        "cost": {"kind": cost},
        "facts": {"targets_sum_to_one": True} if output == "softmax" else {},
    }
    return sb.derive(sb.from_mapping(spec)).compile()


def array_bytes():
    """The bytes of all of NumPy's arrays; Python's own objects are not among them."""
    gc.collect()
    only = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([only]).traces)


def beyond_gradients(module, arrays, batch, dtype):
    """The bytes of arrays after a first call, and what a later call needs at its peak besides."""
    tracemalloc.start()
    fast = module.make_gradients(batch, dtype)
    _, gradients = fast(*arrays)
    made = array_bytes() - sum(gradient.nbytes for gradient in gradients.values())
    during = min(peak_of(fast, arrays) for _ in range(3))
    tracemalloc.stop()
    return made, during


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", WIDTHS)
@pytest.mark.parametrize(
    ("batch", "dtype"),
    [
        pytest.param(40, np.float64, marks=pytest.mark.slow),
        (1000, np.float64),
        pytest.param(5000, np.float32, marks=pytest.mark.slow),
    ],
)
def test_no_memory_but_the_activations_that_must_be_kept(shape, kind, batch, dtype):
    module = module_of(shape, kind)
    arrays = numbers(module, {}, batch, dtype)
    kept = np.dtype(dtype).itemsize * batch * sum(WIDTHS[shape][1:])
    made, during = beyond_gradients(module, arrays, batch, dtype)
    assert made <= 1.05 * kept
    assert during < A_CALL, "nothing that grows with the batch, and no buffer of NumPy's own"


@pytest.mark.parametrize(
    ("widths", "kind", "batch"),
    [((784, 128, 64, 10), "relu", 128), ((64,) * 21, "tanh", 32)],
    ids=["784-128-64-10", "20 layers of 64"],
)
def test_nor_do_views_and_tuples_take_more(widths, kind, batch):
    """All that Python counts, from before the buffers are made to the end of a call, gradients apart."""
    module = compiled(widths, kind)
    arrays = numbers(module, {}, batch)
    gc.collect()
    tracemalloc.start()
    _, gradients = module.make_gradients(batch)(*arrays)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    beyond = peak - sum(gradient.nbytes for gradient in gradients.values())
    assert beyond - (A_CALL - 6_000) <= 1.05 * 8 * batch * sum(widths[1:])


def test_a_few_rows_are_all_that_no_memory_can_be_found_for():
    """Scratch for 256 units fits into no gradient of these, and so few examples keep little else."""
    layers = [{"size": 256, "activation": "tanh"}, {"size": 8, "activation": "tanh"}]
    spec = {"name": "net", "input": {"size": 8}, "layers": layers, "cost": {"kind": "squared_error"}}
    module = sb.derive(sb.from_mapping(spec)).compile()
    for batch in (100, 300):
        made, _ = beyond_gradients(module, numbers(module, {}, batch), batch, np.float64)
        assert made <= 8 * (batch * 264 + 32 * 256 + batch + 100)


# --- the plan --------------------------------------------------------------------------------------


@cache
def memory_of(widths, activation, penalty=False):
    layers = [{"size": size, "activation": activation} for size in widths[1:]]
    spec = {"name": "n", "input": {"size": widths[0]}, "layers": layers, "cost": {"kind": "squared_error"}}
    return planned({**spec, "penalty": {"l2": "1/2"}} if penalty else spec)


def planned(spec):
    derivation = sb.derive(sb.from_mapping(spec), wrt=("x",))
    generator = Generator(derivation.model, derivation.batch)
    goals, sizes = generator.operations.goals, dict(derivation.model.sizes)
    graph, made = in_vectors(generator.operations.graph, [goal.node for goal in goals], sizes)
    moved = [type(goal)(goal.name, made[goal.node], *_rest(goal)) for goal in goals]
    return Memory(Schedule(graph, tuple(moved), by_rows=True), sizes)


def _rest(goal):
    return goal.label, goal.section, goal.gradient


def overlaps(memory):
    """Pairs of places of one room that share entries while both are in use."""
    _ = memory.rooms
    inside = [place for place in memory.places if place.kind in (LOCAL, FIXED)]
    for one in inside:
        for other in inside:
            same = one.stretch == other.stretch and one.kind == other.kind and one is not other
            at_once = one.first <= other.last and other.first <= one.last
            clear = (
                one.start + memory._units(one) <= other.start
                or other.start + memory._units(other) <= one.start
            )
            if same and at_once and not clear:
                yield one, other


def misplaced(memory):
    """Places in a stretch's room that outlive it, and chains of one place that are in use at once."""
    schedule = memory.schedule
    for place in memory.places:
        if place.kind in (LOCAL, FIXED):
            start = schedule.ends[place.stretch - 1] if place.stretch else 0
            if place.first < start or place.last >= schedule.ends[place.stretch]:
                yield place
        for one, other in zip(place.chains, place.chains[1:], strict=False):
            if other.start <= one.end:
                yield place


def overtaken(memory):
    """Arrays that may lie in gradients which are written while somebody still needs the array's memory."""
    schedule = memory.schedule
    for buffer in memory.buffers:
        users = [place.last for place in memory.places if buffer.names[0] in place.names]
        users += [schedule.ends[n] - 1 for n, room in enumerate(memory.rooms) if room.host == buffer.names[0]]
        for name in buffer.later:
            if memory._written[name] <= max(users):
                yield buffer, name


def intruders(memory):
    """Rooms in gradients that have been written, or in arrays that are in use."""
    schedule = memory.schedule
    for number, room in enumerate(memory.rooms):
        start, end = schedule.ends[number - 1] if number else 0, schedule.ends[number]
        for place in memory.places:
            if place.kind == GRADIENT and place.first < end and set(place.names) & set(room.gradients):
                yield number, place
            busy = any(chain.start < end and start <= chain.end for chain in place.chains)
            if place.kind == KEPT and busy and room.host in place.names:
                yield number, place


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(specs())
def test_nothing_lies_where_something_else_is_in_use(spec):
    memory = planned(spec)
    assert not [*overlaps(memory), *misplaced(memory), *intruders(memory), *overtaken(memory)]


def test_one_array_for_each_layer_is_kept():
    memory = memory_of((9, 7, 5, 3), "tanh")
    kept = [place for place in memory.places if place.kind == KEPT and EXAMPLES in place.dims]
    assert [memory._units(place) for place in kept] == [7, 5, 3]
    assert memory.kept == 15


# --- aliasing --------------------------------------------------------------------------------------


def moved(module, batch):
    """How many of the arrays that are kept lie where gradients will be."""
    if not hasattr(module, "_kept"):
        return 0
    with patch.object(module, "_kept", wraps=module._kept) as kept:
        module.make_gradients(batch)
    arrays, _ = module._kept(*kept.call_args.args)
    flat = kept.call_args.args[1]
    return sum(np.may_share_memory(array, flat) for array in arrays)


def test_arrays_lie_where_gradients_are_written_later():
    module = module_of("even", "tanh")
    assert [moved(module, batch) for batch in (1, 20, 5000)] == [3, 3, 0]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(specs(), st.sampled_from([1, 5, 40]))
def test_no_call_reads_what_another_has_left(spec, batch):
    has_nothing_left(spec, batch)


@pytest.mark.parametrize("count", [10, pytest.param(60, marks=pytest.mark.slow)])
def test_nor_where_arrays_that_are_kept_lie_in_gradients(count):
    found = []

    @settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(specs(widest=24), st.sampled_from([1, 5, 12]))
    def each(spec, batch):
        found.append(moved(has_nothing_left(spec, batch), batch))

    with patch("symbackprop.code.allocations.WORTH", 1):
        each()
    assert any(found)


def has_nothing_left(spec, batch):
    module = types.ModuleType("arrays")
    text = sb.derive(sb.from_mapping(spec), wrt=("x",)).module_source(code="arrays")
    exec(compile(text, "<arrays>", "exec"), module.__dict__)
    parameters, x, y = numbers(module, {}, batch)
    options = {"lambda_": 0.3} if "penalty" in spec else {}
    fast, other = module.make_gradients(batch), module.make_gradients(batch)
    _, wanted = module.cost_and_gradients(parameters, x, y, **options)
    for _ in range(2):
        _, gradients = fast(parameters, x, y, **options)
        for name, value in wanted.items():
            limit = 1e-12 * max(1.0, np.max(np.abs(value)))
            np.testing.assert_allclose(gradients[name], value, rtol=0, atol=limit)
        other(parameters, -x, y, **options)
        everything = gradients["W1"]
        while everything.base is not None:
            everything = everything.base
        assert everything.dtype == np.uint8
        everything[...] = 255  # these bytes are a NaN
    return module
