"""Values and derivatives of an instance against code that shares nothing with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import mpmath
import pytest
import sympy as sp

from symbackprop.algebra.equations import (
    Bracket,
    Equation,
    ExplicitPartial,
    Fact,
    Partial,
    Program,
    Quantity,
    Role,
    TotalPartial,
)
from symbackprop.algebra.indices import index_symbol, size_symbol
from symbackprop.checking.arithmetic import Digits, Exact, Inexact, NoValue, OutOfRange
from symbackprop.checking.evaluate import Instance
from symbackprop.checking.sizes import small_sizes
from symbackprop.errors import NoRule
from symbackprop.forward.model import Model, forward_model
from symbackprop.spec.loading import from_mapping

J, K, N = index_symbol("j"), index_symbol("k"), size_symbol("n")


def model(hidden: str, output: str, cost: str = "squared_error", **more: Any) -> Model:
    layers = [{"size": 3, "activation": name} for name in (hidden, output)]
    return forward_model(
        from_mapping(
            {"name": "t", "input": {"size": 2}, "layers": layers, "cost": {"kind": cost}, **more}, "t"
        )
    )


def instance_of(program: Program, arithmetic: Any = None, seed: int = 0, **more: Any) -> Instance:
    return Instance(program, small_sizes(program), arithmetic or Digits(), seed, **more)


# --- a forward pass written by hand ------------------------------------------------------------

mp = mpmath.mp
ACTIVATIONS: dict[str, Callable[[list[Any]], list[Any]]] = {
    "sigmoid": lambda z: [1 / (1 + mp.exp(-u)) for u in z],
    "tanh": lambda z: [mp.tanh(u) for u in z],
    "relu": lambda z: [u if u > 0 else mp.mpf(0) for u in z],
    "gelu": lambda z: [u * mp.ncdf(u) for u in z],
    "softplus": lambda z: [mp.log(1 + mp.exp(u)) for u in z],
    "softmax": lambda z: [mp.exp(u) / mp.fsum(mp.exp(v) for v in z) for u in z],
    "log_softmax": lambda z: [u - mp.log(mp.fsum(mp.exp(v) for v in z)) for u in z],
}
COSTS: dict[str, Callable[[Any, Any], Any]] = {
    "squared_error": lambda a, y: (a - y) ** 2,
    "absolute_error": lambda a, y: mp.fabs(a - y),
    "cross_entropy": lambda a, y: -y * mp.log(a),
    "binary_cross_entropy": lambda a, y: -(y * mp.log(a) + (1 - y) * mp.log(1 - a)),
}
NETS = [
    ("sigmoid", "sigmoid", "squared_error"),
    ("tanh", "softmax", "cross_entropy"),
    ("relu", "sigmoid", "binary_cross_entropy"),
    ("softmax", "log_softmax", "squared_error"),
    ("gelu", "softplus", "absolute_error"),
]


def vector(instance: Instance, name: str) -> list[Any]:
    return [mp.mpf(value) for _, value in sorted(instance.table(name).items())]


def by_hand(
    instance: Instance, net: tuple[str, str, str], moved: tuple[str, int] = ("", 0), by: Any = 0
) -> Any:
    """The cost, with one number moved: in the order of its indices, that of parameter or quantity."""

    def take(name: str, values: list[Any] | None = None) -> list[Any]:
        values = vector(instance, name) if values is None else list(values)
        if moved[0] == name:
            values[moved[1]] += by
        return values

    before, y = take("x"), vector(instance, "y")
    for layer, activation in enumerate(net[:2], 1):
        weights, biases = take(f"W{layer}"), take(f"b{layer}")
        width = len(before)
        rows = [weights[start : start + width] for start in range(0, len(weights), width)]
        z = [
            b + mp.fsum(w * a for w, a in zip(row, before, strict=True))
            for row, b in zip(rows, biases, strict=True)
        ]
        before = take(f"a{layer}", ACTIVATIONS[activation](take(f"z{layer}", z)))
    return mp.fsum(COSTS[net[2]](a, target) for a, target in zip(before, y, strict=True))


@pytest.mark.parametrize("net", NETS)
def test_forward_values_agree_with_a_forward_pass_by_hand(net: tuple[str, str, str]) -> None:
    with mp.workdps(60):
        for seed in (0, 1):
            instance = instance_of(model(*net).program, seed=seed)
            assert abs(instance.value(sp.Symbol("C_x", real=True)) - by_hand(instance, net)) < 1e-50


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("name", ["x", "W1", "b1", "z1", "a1", "W2", "z2", "a2"])
def test_derivatives_agree_with_mpmath_on_the_pass_by_hand(net: tuple[str, str, str], name: str) -> None:
    instance = instance_of(model(*net).program)
    partial = instance.partial("C_x", name)
    with mp.workdps(60):
        for position, key in enumerate(sorted(instance.table(name))):
            slope = mp.diff(lambda by, at=position: by_hand(instance, net, (name, at), by), 0)
            assert abs(partial[key] - slope) < 1e-25 * max(1, abs(slope))


def test_a_named_derivative_is_that_of_the_cost() -> None:
    program = model("sigmoid", "sigmoid").program
    z = program.quantities["z1"]
    delta = Quantity("delta1", "delta", Role.DELTA, z.layer, z.dims, z, program.outputs[0])
    instance = instance_of(program, derivatives=(delta,))
    assert instance.table("delta1")[(2,)] == instance.partial("C_x", "z1")[(2,)]


def test_a_derivative_leaves_every_value_as_it_was() -> None:
    instance = instance_of(model("tanh", "softmax", "cross_entropy").program)
    before = {name: dict(table) for name, table in instance.tables.items()}
    instance.partial("C_x", "W1")[(1, 1)]
    assert all(instance.tables[name] == values for name, values in before.items())


def test_the_derivative_of_an_unspecified_function_is_that_of_its_polynomial() -> None:
    program = forward_model(
        from_mapping(
            {
                "name": "t",
                "input": {"size": 2},
                "layers": [{"size": 3, "activation": {"symbol": "g"}}],
                "cost": {"kind": "squared_error"},
            },
            "t",
        )
    ).program
    instance = instance_of(program, Exact())
    (g,) = program.equations[1].rhs.atoms(sp.Function)
    values = [instance.function(type(g))(Fraction(x)) for x in range(5)]
    u = sp.Symbol("u")
    polynomial = sp.interpolate(
        [(x, sp.Rational(v.numerator, v.denominator)) for x, v in enumerate(values)], u
    )
    assert 2 <= sp.degree(polynomial, u) <= 3
    slope = instance.function(type(g.fdiff()))(Fraction(7, 3))
    assert sp.Rational(slope.numerator, slope.denominator) == polynomial.diff(u).subs(u, sp.Rational(7, 3))


@pytest.mark.parametrize(
    ("order", "expected"), [(1, "sin(x)+x*cos(x)"), (2, "2*cos(x)-x*sin(x)"), (3, "-3*sin(x)-x*cos(x)")]
)
def test_difference_quotients_keep_forty_digits(order: int, expected: str) -> None:
    digits = Digits()
    slope = digits.slope(lambda x: x * digits.context.sin(x), digits.number(9, 7), order)
    exact = sp.sympify(expected, locals={"x": sp.Rational(9, 7)}).evalf(100)
    assert abs(slope - digits.context.mpf(str(exact))) < 1e-42


def test_dual_numbers_give_exact_derivatives_of_every_order() -> None:
    exact = Exact()

    def rational(x: Any) -> Any:
        return exact.inverse(x * x + 1) * x

    u = sp.Symbol("u")
    for order in (1, 2, 3):
        expected = (u / (u**2 + 1)).diff(u, order).subs(u, sp.Rational(2, 3))
        slope = exact.slope(rational, Fraction(2, 3), order)
        assert sp.Rational(slope.numerator, slope.denominator) == expected


# --- small programs ----------------------------------------------------------------------------


def small_program(rhs: Callable[[Quantity], sp.Expr]) -> tuple[Program, Quantity, Quantity]:
    """x, e_j = f(x, j), C = sum_j e_j^2 + x_1."""
    x = Quantity("x", "x", Role.INPUT, None, (N,))
    e = Quantity("e", "e", Role.INTERMEDIATE, None, (N,))
    c = Quantity("C", "C", Role.COST, None, ())
    equations = (
        Equation(e, (J,), rhs(x)),
        Equation(c, (), sp.Sum(e[K] ** 2, (K, 1, N)) + x[sp.Integer(1)]),
    )
    return Program((x,), (), equations, (c,)), x, e


def small_instance(rhs: Callable[[Quantity], sp.Expr] = lambda x: 3 * x[J]) -> Instance:
    program, _, _ = small_program(rhs)
    return Instance(program, {N: 3}, Exact(), 0)


def test_total_local_and_explicit_partials_differ_as_they_should() -> None:
    program, x, e = small_program(lambda x: 3 * x[J])
    instance = Instance(program, {N: 3}, Exact(), 0)
    c = program.outputs[0].symbol
    one = sp.Integer(1)
    assert instance.value(Partial(c, x[one])) == instance.value(18 * x[one] + 1)
    assert instance.value(ExplicitPartial(c, x[one])) == 1
    assert instance.value(Partial(c, e[one])) == instance.value(2 * e[one])
    assert instance.value(Partial(e[J], x[K]), {J: 2, K: 2}) == 3
    assert instance.value(Partial(e[J], x[K]), {J: 2, K: 1}) == 0


def test_a_bracket_that_is_0_keeps_the_other_factors_from_being_read() -> None:
    shifted = lambda x: Bracket(J + 1 <= N) * x[J + 1]  # noqa: E731
    instance = small_instance(shifted)
    assert instance.table("e")[(3,)] == 0
    assert instance.table("e")[(1,)] == instance.table("x")[(2,)]


@pytest.mark.parametrize("index", [0, 4, -1])
def test_an_index_out_of_range_has_no_value(index: int) -> None:
    instance = small_instance()
    x = instance.program.inputs[0]
    with pytest.raises(OutOfRange, match="no entry of x, whose shape is"):
        instance.value(x[sp.Integer(index)])
    with pytest.raises(OutOfRange):
        instance.value(Partial(sp.Symbol("C", real=True), x[sp.Integer(index)]))


def test_an_index_that_nothing_binds_has_no_value() -> None:
    instance = small_instance()
    x = instance.program.inputs[0]
    instance.value(sp.Sum(x[K], (K, 1, N)))
    with pytest.raises(NoValue, match="the index k has no value"):
        instance.value(sp.Sum(x[J], (J, 1, N)) + x[K])


def test_an_unknown_name_and_a_division_by_0_have_no_value() -> None:
    instance = small_instance()
    with pytest.raises(NoValue, match="delta7 is no quantity of this program"):
        instance.value(sp.IndexedBase("delta7", real=True)[1])
    with pytest.raises(NoValue, match="division by 0"):
        instance.value(1 / (instance.program.inputs[0][J] - instance.program.inputs[0][K]), {J: 1, K: 1})


def test_an_unknown_node_is_refused_by_name() -> None:
    x = small_instance().program.inputs[0]
    with pytest.raises(NoRule, match="Product"):
        small_instance().value(sp.Product(x[J], (J, 1, N)))
    with pytest.raises(NoRule, match="gamma"):
        Instance(small_program(lambda x: x[J])[0], {N: 3}, Digits(), 0).value(sp.gamma(x[J]), {J: 1})


def test_exact_arithmetic_refuses_what_leaves_the_rationals_or_gets_too_long() -> None:
    with pytest.raises(Inexact, match="exp"):
        small_instance(lambda x: sp.exp(x[J]))
    with pytest.raises(Inexact, match="bits"):
        small_instance(lambda x: (x[J] / 7) ** 900)


def test_values_keep_a_declared_fact_or_break_it() -> None:
    m = model("sigmoid", "softmax", "cross_entropy", facts={"targets_sum_to_one": True})
    program = m.program
    fact: Fact = m.facts[0]
    kept = instance_of(program, facts=(fact,))
    assert abs(kept.value(fact.left) - 1) < 1e-100
    for seed in range(30):
        broken = instance_of(program, seed=seed, broken=(fact,))
        assert abs(broken.value(fact.left) - 1) > 1e-4


def test_a_fact_about_one_example_holds_for_each_of_a_batch() -> None:
    examples = size_symbol("M")
    y = Quantity("y", "y", Role.TARGET, None, (examples, N))
    c = Quantity("C", "C", Role.COST, None, ())
    total = sp.Sum(sp.Sum(y[K, J] ** 2, (J, 1, N)), (K, 1, examples))
    program = Program((y,), (), (Equation(c, (), total),), (c,))
    fact = Fact("targets_sum_to_one", sp.Sum(sp.IndexedBase("y", real=True)[J], (J, 1, N)), sp.S.One)
    instance = Instance(program, {examples: 3, N: 2}, Exact(), 0, facts=(fact,))
    for example in (1, 2, 3):
        assert instance.value(sp.Sum(y[K, J], (J, 1, N)), {K: example}) == 1


def test_lifted_derivatives_take_the_example_from_their_first_index() -> None:
    """x[n, j], w[j]; C[n] = sum_j (w_j x_nj)^2, and delta[n, j] = dC[n]/dx[n, j]."""
    m = size_symbol("M")
    x = Quantity("x", "x", Role.INPUT, None, (m, N))
    w = Quantity("w", "w", Role.PARAMETER, None, (N,))
    c = Quantity("C_x", "C", Role.EXAMPLE_COST, None, (m,))
    program = Program((x,), (w,), (Equation(c, (K,), sp.Sum((w[J] * x[K, J]) ** 2, (J, 1, N))),), (c,))
    delta = Quantity("delta", "delta", Role.DELTA, None, (m, N), x, c)
    own = Quantity("d", "d", Role.GRADIENT, None, (m, N), w, c)
    instance = Instance(program, {m: 2, N: 3}, Exact(), 0, derivatives=(delta, own))
    at = {K: 2, J: 3}
    assert instance.value(delta[K, J], at) == instance.value(2 * w[J] ** 2 * x[K, J], at)
    assert instance.value(own[K, J], at) == instance.value(2 * w[J] * x[K, J] ** 2, at)
    assert instance.value(Partial(c[K], x[J, K]), {K: 1, J: 2}) == 0


# --- sizes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [2, 5, 12])
@pytest.mark.parametrize("turn", [0, 1])
def test_neighbouring_sizes_differ(layers: int, turn: int) -> None:
    network = from_mapping(
        {
            "name": "t",
            "input": {"size": 2},
            "layers": [{"size": 3, "activation": "tanh"}] * layers,
            "cost": {"kind": "squared_error"},
        },
        "t",
    )
    numbers = {
        symbol.name: size for symbol, size in small_sizes(forward_model(network).program, turn).items()
    }
    widths = [numbers[f"n_{layer}"] for layer in range(layers + 1)]
    assert all(len(set(widths[at : at + 3])) == 3 for at in range(layers - 1))
    assert min(widths) >= 2 and max(widths) <= 6


def test_equal_declared_sizes_do_not_make_equal_sizes_here() -> None:
    m = model("sigmoid", "sigmoid")
    same = replace(m.network, layers=tuple(replace(layer, size="m") for layer in m.network.layers))
    assert len(set(small_sizes(forward_model(same).program).values())) == 3


def test_a_total_partial_goes_through_everything_between() -> None:
    """How z2 moves with W1 is the sum over the paths through a1 of the derivatives of single equations."""
    program = model("tanh", "sigmoid").program
    instance = instance_of(program)
    z2, a1, z1, weights = (program.quantities[name] for name in ("z2", "a1", "z1", "W1"))
    for i, j, k in ((1, 2, 1), (2, 1, 2)):
        entry = weights[j, k]
        path = Partial(z2[i], a1[j]) * Partial(a1[j], z1[j]) * Partial(z1[j], entry)
        total = instance.value(TotalPartial(z2[i], entry))
        assert total != 0 and abs(total - instance.value(path)) < 1e-30
        assert instance.value(Partial(z2[i], entry)) == 0
