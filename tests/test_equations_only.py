"""The engine knows indexed equations, not layers: programs that no layer of the package covers.

Each program is written down as equations, and beside it stands its forward pass as anybody would write
it in NumPy. The derivatives that the engine finds are compared with the complex step of that.
"""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from symbackprop.algebra.calculus import derivative
from symbackprop.algebra.equations import Bracket, Equation, Program, Quantity, Role
from symbackprop.algebra.indices import index_symbol, size_symbol
from symbackprop.checking.check import check_program
from symbackprop.code.program_code import compile_program, program_source
from symbackprop.derivation.chain import backward_equations, reverse
from symbackprop.errors import NoRule

j, k, i, s, t = map(index_symbol, "jkist")
n, h, d, f, T = map(size_symbol, "nhdfT")
EPS, PENALTY = sp.Symbol("eps", positive=True), sp.Symbol("lambda", positive=True)
SIZES = {n: 3, h: 4, d: 2, f: 2, T: 5}
SUM = sp.Sum


def quantity(name, role, *dims):
    return Quantity(name, name.rstrip("0123456789"), role, None, dims)


def given(*dims, name="x"):
    return quantity(name, Role.INPUT, *dims)


def parameter(name, *dims):
    return quantity(name, Role.PARAMETER, *dims)


def between(name, *dims):
    return quantity(name, Role.INTERMEDIATE, *dims)


def program(inputs, parameters, *definitions):
    """A program of definitions ``(quantity, indices, right side)``; the last one defines the cost."""
    equations = tuple(Equation(q, indices, rhs, q.name) for q, indices, rhs in definitions)
    return Program(tuple(inputs), tuple(parameters), equations, (equations[-1].quantity,))


C = quantity("C", Role.COST)
x, y, W = given(n), quantity("y", Role.TARGET, h), parameter("W", h, n)
z = quantity("z", Role.PRE_ACTIVATION, h)
DENSE = (z, (j,), SUM(W[j, k] * x[k], (k, 1, n)))


def half_square(a, size):
    return SUM((a[j] - y[j]) ** 2, (j, 1, size)) / 2


def layer_normalisation():
    gamma, beta = parameter("gamma", h), parameter("beta", h)
    mean, variance, a = between("mean"), between("variance"), between("a", h)
    normal = (z[j] - mean.symbol) / sp.sqrt(variance.symbol + EPS)
    return program(
        (x, y),
        (W, gamma, beta),
        DENSE,
        (mean, (), SUM(z[j], (j, 1, h)) / h),
        (variance, (), SUM((z[j] - mean.symbol) ** 2, (j, 1, h)) / h),
        (a, (j,), gamma[j] * normal + beta[j]),
        (C, (), half_square(a, h)),
    )


def layer_normalisation_in_numpy(v):
    u = v["W"] @ v["x"]
    normal = (u - u.mean()) / np.sqrt(((u - u.mean()) ** 2).mean() + v["eps"])
    return ((v["gamma"] * normal + v["beta"] - v["y"]) ** 2).sum() / 2


def residual_connection():
    V, a, u, r = parameter("V", h, h), between("a", h), between("u", h), between("r", h)
    return program(
        (x, y),
        (W, V),
        DENSE,
        (a, (j,), sp.tanh(z[j])),
        (u, (j,), SUM(V[j, k] * a[k], (k, 1, h))),
        (r, (j,), a[j] + sp.tanh(u[j])),
        (C, (), half_square(r, h)),
    )


def residual_connection_in_numpy(v):
    a = np.tanh(v["W"] @ v["x"])
    return ((a + np.tanh(v["V"] @ a) - v["y"]) ** 2).sum() / 2


def softmax_apart_from_a_cost():
    p, w = between("p", h), given(h, name="w")
    return program(
        (x, w),
        (W,),
        DENSE,
        (p, (j,), sp.exp(z[j]) / SUM(sp.exp(z[i]), (i, 1, h))),
        (C, (), SUM(w[j] * p[j] ** 2, (j, 1, h))),
    )


def softmax_apart_from_a_cost_in_numpy(v):
    e = np.exp(v["W"] @ v["x"])
    return (v["w"] * (e / e.sum()) ** 2).sum()


def log_sum_exp():
    return program((x,), (W,), DENSE, (C, (), sp.log(SUM(sp.exp(z[j]), (j, 1, h)))))


def log_sum_exp_in_numpy(v):
    return np.log(np.exp(v["W"] @ v["x"]).sum())


def softmax_cross_entropy():
    p = between("p", h)
    return program(
        (x, y),
        (W,),
        DENSE,
        (p, (j,), sp.exp(z[j]) / SUM(sp.exp(z[i]), (i, 1, h))),
        (C, (), -SUM(y[j] * sp.log(p[j]), (j, 1, h))),
    )


def softmax_cross_entropy_in_numpy(v):
    e = np.exp(v["W"] @ v["x"])
    return -(v["y"] * np.log(e / e.sum())).sum()


def mean_squared_error_and_penalty():
    squares = SUM(SUM(W[j, k] ** 2, (k, 1, n)), (j, 1, h))
    return program(
        (x, y), (W,), DENSE, (C, (), SUM((z[j] - y[j]) ** 2, (j, 1, h)) / h + PENALTY / 2 * squares)
    )


def mean_squared_error_and_penalty_in_numpy(v):
    return ((v["W"] @ v["x"] - v["y"]) ** 2).mean() + v["lambda"] / 2 * (v["W"] ** 2).sum()


def attention(upper):
    """Scaled dot products of rows; row t looks at the rows up to ``upper``: T, or t where it is causal."""
    words, G = given(T, n), given(T, d, name="G")
    q, key, value, u = (between(name, T, d) for name in ("q", "key", "value", "u"))
    score, p = between("score", T, T), between("p", T, T)
    A, B, D = (parameter(name, d, n) for name in "ABD")
    rows = ((which, M) for which, M in ((q, A), (key, B), (value, D)))
    return program(
        (words, G),
        (A, B, D),
        *((which, (t, j), SUM(M[j, k] * words[t, k], (k, 1, n))) for which, M in rows),
        (score, (t, s), SUM(q[t, j] * key[s, j], (j, 1, d)) / sp.sqrt(d)),
        (p, (t, s), sp.exp(score[t, s]) / SUM(sp.exp(score[t, i]), (i, 1, upper))),
        (u, (t, j), SUM(p[t, s] * value[s, j], (s, 1, upper))),
        (C, (), SUM(SUM(G[t, j] * u[t, j], (j, 1, d)), (t, 1, T))),
    )


def scaled_dot_product_attention():
    return attention(T)


def scaled_dot_product_attention_in_numpy(v):
    q, key, value = (v["x"] @ v[name].T for name in "ABD")
    e = np.exp(q @ key.T / np.sqrt(2))
    return (v["G"] * (e / e.sum(axis=1)[:, None] @ value)).sum()


def two_steps_of_a_recurrent_network():
    first, second, start = given(n, name="x1"), given(n, name="x2"), given(h, name="h0")
    V, b = parameter("V", h, h), parameter("b", h)
    h1, h2 = between("h1", h), between("h2", h)
    z1, z2 = (quantity(name, Role.PRE_ACTIVATION, h) for name in ("z1", "z2"))

    def step(before, now):
        return SUM(V[j, k] * before[k], (k, 1, h)) + SUM(W[j, k] * now[k], (k, 1, n)) + b[j]

    return program(
        (first, second, start, y),
        (V, W, b),
        (z1, (j,), step(start, first)),
        (h1, (j,), sp.tanh(z1[j])),
        (z2, (j,), step(h1, second)),
        (h2, (j,), sp.tanh(z2[j])),
        (C, (), half_square(h2, h)),
    )


def two_steps_of_a_recurrent_network_in_numpy(v):
    state = v["h0"]
    for now in (v["x1"], v["x2"]):
        state = np.tanh(v["V"] @ state + v["W"] @ now + v["b"])
    return ((state - v["y"]) ** 2).sum() / 2


CASES = {
    case: (case, forward)
    for case, forward in (
        (layer_normalisation, layer_normalisation_in_numpy),
        (residual_connection, residual_connection_in_numpy),
        (softmax_apart_from_a_cost, softmax_apart_from_a_cost_in_numpy),
        (log_sum_exp, log_sum_exp_in_numpy),
        (softmax_cross_entropy, softmax_cross_entropy_in_numpy),
        (mean_squared_error_and_penalty, mean_squared_error_and_penalty_in_numpy),
        (scaled_dot_product_attention, scaled_dot_product_attention_in_numpy),
        (two_steps_of_a_recurrent_network, two_steps_of_a_recurrent_network_in_numpy),
    )
}
each_case = pytest.mark.parametrize(
    ("build", "forward"), CASES.values(), ids=[build.__name__ for build, _ in CASES.values()]
)


def values_for(forward_program, seed=0):
    """Random arrays, by name, for what a program is given."""
    rng = np.random.default_rng(seed)
    quantities = (*forward_program.inputs, *forward_program.parameters)
    arrays = {q.name: rng.normal(size=[SIZES[dim] for dim in q.dims]) for q in quantities}
    return {**arrays, "eps": 0.01, "lambda": 0.3}


def complex_step(forward, values, name):
    """The gradient of a NumPy function by one of its arrays, to machine precision."""
    gradient = np.zeros_like(values[name])
    for place in np.ndindex(gradient.shape):
        moved = values[name].astype(complex)
        moved[place] += 1e-30j
        gradient[place] = forward({**values, name: moved}).imag / 1e-30
    return gradient


@each_case
def test_every_step_is_accepted(build, forward):
    forward_program = build()
    findings = check_program(forward_program, reverse(forward_program))
    assert len(findings) > len(forward_program.parameters)
    assert [str(finding.equality) for finding in findings if not finding.holds] == []


@each_case
def test_code_agrees_with_the_complex_step(build, forward):
    forward_program = build()
    values = values_for(forward_program)
    found = compile_program(forward_program, reverse(forward_program))(values)
    assert found["C"] == pytest.approx(forward(values), rel=1e-12)
    for wanted in forward_program.parameters:
        gradient = complex_step(forward, values, wanted.name)
        assert np.abs(gradient).max() > 1e-4
        np.testing.assert_allclose(found[f"d{wanted.name}"], gradient, rtol=1e-9, atol=1e-12)


@each_case
def test_code_of_a_wrong_derivative_would_be_noticed(build, forward):
    """The comparison above has teeth: a source with one line changed fails it."""
    forward_program = build()
    source = program_source(forward_program, reverse(forward_program))
    name = f"d{forward_program.parameters[-1].name}"
    wrong = source.replace(f'"{name}": {name},', f'"{name}": -{name},')
    assert wrong != source
    module = {}
    exec(wrong, module)
    values = values_for(forward_program)
    found = module["outputs_and_derivatives"](values)[name]
    assert not np.allclose(found, complex_step(forward, values, name[1:]), rtol=1e-3)


def equations(forward_program):
    return {e.quantity.name: e for e in backward_equations(reverse(forward_program))}


def test_layer_normalisation_sends_three_paths_back():
    delta = equations(layer_normalisation())["delta"].rhs
    assert len(sp.Add.make_args(delta)) == 3
    assert {"adjoint_mean", "adjoint_variance"} <= {symbol.name for symbol in delta.free_symbols}


def test_two_paths_of_a_residual_connection_add_up():
    adjoint = equations(residual_connection())["adjoint_a"].rhs
    direct = [term for term in sp.Add.make_args(adjoint) if not term.has(sp.Sum)]
    assert len(sp.Add.make_args(adjoint)) > len(direct) > 0


def test_shared_weights_collect_a_term_for_each_use():
    found = equations(two_steps_of_a_recurrent_network())
    assert len(found["dV"].rhs.args) == len(found["dW"].rhs.args) == len(found["db"].rhs.args) == 2


# --- index shifts: convolutions, and rows that look back only -------------------------------------


def convolution():
    kernel, signal, target = parameter("w", f), given(T + f - 1), quantity("y", Role.TARGET, T)
    out = quantity("z", Role.PRE_ACTIVATION, T)
    return program(
        (signal, target),
        (kernel,),
        (out, (t,), SUM(kernel[s] * signal[t + s - 1], (s, 1, f))),
        (C, (), SUM((out[t] - target[t]) ** 2, (t, 1, T)) / 2),
    )


def two_convolutions():
    v, w = parameter("v", f), parameter("w", f)
    signal, target = given(T + 2 * f - 2), quantity("y", Role.TARGET, T)
    inner, outer = quantity("z1", Role.PRE_ACTIVATION, T + f - 1), quantity("z2", Role.PRE_ACTIVATION, T)
    a = quantity("a", Role.ACTIVATION, T + f - 1)
    return program(
        (signal, target),
        (v, w),
        (inner, (t,), SUM(v[s] * signal[t + s - 1], (s, 1, f))),
        (a, (t,), sp.tanh(inner[t])),
        (outer, (t,), SUM(w[s] * a[t + s - 1], (s, 1, f))),
        (C, (), SUM((outer[t] - target[t]) ** 2, (t, 1, T)) / 2),
    )


def causal_attention():
    return attention(t)


@pytest.mark.parametrize("build", [convolution, two_convolutions, causal_attention])
def test_shifted_indices_are_derived_and_accepted(build):
    forward_program = build()
    findings = check_program(forward_program, reverse(forward_program))
    assert findings
    assert [str(finding.equality) for finding in findings if not finding.holds] == []


def test_a_shift_leaves_a_condition_on_the_range():
    """The gradient of an inner signal is a sum over those outputs alone that the entry takes part in."""
    delta = equations(two_convolutions())["delta1"].rhs
    (bracket,) = delta.atoms(Bracket)
    assert bracket.args[0].free_symbols >= {t, f}


def test_without_the_condition_the_checker_objects():
    forward_program = two_convolutions()
    adjoints = reverse(forward_program)
    (bad,) = (a for a in adjoints if a.named is not None and a.named.name == "delta1")
    last = bad.derivation.steps[-1]
    without = last.after.replace(lambda node: isinstance(node, Bracket), lambda node: sp.S.One)
    steps = (*bad.derivation.steps[:-1], replace(last, after=without))
    wrong = replace(bad, derivation=replace(bad.derivation, steps=steps))
    changed = tuple(wrong if adjoint is bad else adjoint for adjoint in adjoints)
    assert not all(finding.holds for finding in check_program(forward_program, changed))


def test_code_with_shifted_indices_is_refused_by_what_is_shifted():
    forward_program = convolution()
    with pytest.raises(NoRule, match=r"x\[s \+ t - 1\]"):
        program_source(forward_program, reverse(forward_program))


# --- what no rule covers is refused by its name ---------------------------------------------------

UNKNOWN = sp.Function("mystery", real=True)
MATRIX = sp.MatrixSymbol("M", 2, 2)
SCALAR = quantity("u", Role.PARAMETER).symbol


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        (sp.floor(SCALAR), "floor"),
        (sp.ceiling(SCALAR), "ceiling"),
        (sp.Mod(SCALAR, 3), "Mod"),
        (sp.Heaviside(SCALAR), "Heaviside"),
        (sp.gamma(SCALAR), "gamma"),
        (sp.Max(SCALAR, 1), "Max"),
        (UNKNOWN(SCALAR), "mystery"),
        (MATRIX[0, 1] * SCALAR, "MatrixElement"),
        (sp.Trace(MATRIX) * SCALAR, "Trace"),
        (sp.Derivative(UNKNOWN(SCALAR), SCALAR), "Derivative"),
        (sp.Integral(UNKNOWN(SCALAR), (SCALAR, 0, 1)), "Integral"),
        (sp.Product(SCALAR * z[j], (j, 1, h)), "Product"),
        (sp.Sum(SCALAR * z[j], (j, 2, h)), r"Sum\(u\*z\[j\], \(j, 2, h\)\)"),
        (sp.Subs(SCALAR**2, SCALAR, 1), "Subs"),
        (sp.Limit(SCALAR, SCALAR, 0), "Limit"),
        (sp.conjugate(sp.Symbol("c")) * SCALAR, "conjugate"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_an_operation_that_no_rule_covers_is_refused_by_its_name(operation, name):
    with pytest.raises(NoRule, match=name):
        derivative(operation, SCALAR)
    u = quantity("u", Role.PARAMETER)
    with pytest.raises(NoRule, match=name):
        reverse(program((z,), (u,), (C, (), operation)))


def test_a_condition_that_depends_on_a_quantity_is_refused():
    with pytest.raises(NoRule, match="Bracket"):
        derivative(Bracket(z[j] > 0) * z[j], z[k])


def test_different_numbers_of_indices_are_refused():
    with pytest.raises(NoRule, match="different numbers of indices"):
        derivative(sp.IndexedBase("z", real=True)[j, k], z[j])


def test_a_parameter_that_nothing_uses_is_refused():
    with pytest.raises(NoRule, match="unused is not used"):
        reverse(program((x,), (W, parameter("unused", n)), *log_sum_exp_definitions()))


def test_a_parameter_that_the_cost_does_not_depend_on_is_refused():
    dead, V = between("dead", h), parameter("V", h, n)
    definitions = (DENSE, (dead, (j,), SUM(V[j, k] * x[k], (k, 1, n))), *log_sum_exp_definitions()[1:])
    with pytest.raises(NoRule, match="does not depend on V"):
        reverse(program((x,), (W, V), *definitions))


def test_a_path_that_leads_nowhere_is_left_out():
    dead = between("dead", h)
    dense, cost = log_sum_exp_definitions()
    with_it = program((x,), (W,), dense, (dead, (j,), sp.sin(z[j])), cost)
    assert backward_equations(reverse(with_it)) == backward_equations(reverse(log_sum_exp()))


def test_a_cost_that_is_no_single_number_is_refused():
    with pytest.raises(NoRule, match="one number"):
        reverse(program((x,), (W,), DENSE))


def log_sum_exp_definitions():
    return DENSE, (C, (), sp.log(SUM(sp.exp(z[j]), (j, 1, h))))


def test_derivatives_of_quantities_of_one_letter_keep_apart():
    """Two pre-activations that would both have a delta: the second one's name says whose it is."""
    u = quantity("u", Role.PRE_ACTIVATION, h)
    two = program(
        (x, y), (W,), DENSE, (u, (j,), sp.sin(z[j])), (C, (), SUM(u[j] ** 2 * z[j] * y[j], (j, 1, h)))
    )
    assert [e.quantity.name for e in backward_equations(reverse(two))] == ["delta", "delta_z", "dW"]
    assert all(finding.holds for finding in check_program(two, reverse(two)))


def test_a_derivative_takes_no_name_that_a_quantity_has():
    dW = given(h, n, name="dW")
    taken = program((x, dW), (W,), (C, (), SUM(SUM(W[j, k] * dW[j, k] * x[k], (k, 1, n)), (j, 1, h))))
    assert [e.quantity.name for e in backward_equations(reverse(taken))] == ["dW_W"]


def test_source_is_the_same_whenever_it_is_made():
    assert len({program_source(layer_normalisation(), reverse(layer_normalisation())) for _ in range(3)}) == 1


def test_a_size_that_no_array_tells_is_refused():
    free = program((x,), (parameter("u"),), (C, (), parameter("u").symbol * SUM(x[k], (k, 1, n)) / h))
    with pytest.raises(NoRule, match="size h"):
        program_source(free, reverse(free))
