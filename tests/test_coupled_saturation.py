"""What is said of coupled lines that are wrong at a saturated layer: true of the module, and nothing else."""

import math

import numpy as np
import pytest
from click.testing import CliRunner

import symbackprop as sb
from symbackprop.checking.coupled_saturation import coupled_failures, is_coupled, kind_of
from symbackprop.cli import cli
from symbackprop.code.codegen import Generator
from symbackprop.numerics.stable import stable

SHARE = "exp(z[j])/(1+sum(exp(z[i]), i))"
UNIT = "z[j]/sqrt(1+sum(z[i]**2, i))"
MEANS = "log(1+exp(z[j]))/sum(log(1+exp(z[i])), i)"
POLES = "(a-y)**2/(a*(1-a))"
ENTROPY = "-y*log(a)-(1-y)*log(1-a)"


def derived(activations, cost, sizes=(3, 3, 3, 3), **more):
    layers = [
        {"size": size, "activation": a if a.isidentifier() else {"formula": a}}
        for a, size in zip(activations, sizes, strict=False)
    ]
    cost = {"kind": cost} if cost.isidentifier() else {"formula": cost}
    return sb.derive(
        sb.from_mapping({"name": "own", "input": {"size": 2}, "layers": layers, "cost": cost, **more})
    )


def named(derivation):
    return {(line.label, line.failure.format) for line in derivation.weak_lines}


@pytest.mark.slow
@pytest.mark.parametrize("cost", [POLES, "(log(a/(1-a))-y)**2"])
def test_the_module_is_wrong_where_it_is_said_to_be(cost):
    derivation = derived(["softmax"], cost)
    delta = next(line for line in derivation.weak_lines if line.label == "delta-1")
    assert delta.failure.format == "float64" and f"{delta.failure.right:.6g} is right" in delta.sentence()
    parameters = {"W1": np.zeros((3, 2)), "b1": np.array(delta.layer, float)}
    with np.errstate(all="ignore"):
        _, gradients = derivation.compile().cost_and_gradients(
            parameters, np.zeros((1, 2)), np.array([[0.25, 0.5, 0.25]])
        )
    assert not np.all(np.isfinite(gradients["b1"]))
    assert any(math.isnan(g) or abs(g) == math.inf for g in [delta.failure.given])


def test_what_is_right_is_what_mpmath_finds_by_moving_the_logits():
    """The difference quotient of the cost, in 200 digits, at the place that is named."""
    from mpmath import mp

    delta = next(line for line in derived(["softmax"], POLES).weak_lines if line.label == "delta-1")

    def cost(logits):
        total = sum(map(mp.exp, logits))
        shares = [mp.exp(z) / total for z in logits]
        return sum((a - y) ** 2 / (a * (1 - a)) for a, y in zip(shares, (0.25, 0.5, 0.25), strict=True))

    with mp.workdps(200):
        step, slopes = mp.mpf(10) ** -80, []
        for unit in range(3):
            up, down = ([mp.mpf(z) for z in delta.layer] for _ in range(2))
            up[unit] += step
            down[unit] -= step
            slopes.append(float((cost(up) - cost(down)) / (2 * step)))
    assert any(math.isclose(delta.failure.right, slope, rel_tol=1e-12) for slope in slopes)


@pytest.mark.slow
def test_hidden_and_output_layers_with_formulas_of_ones_own_are_looked_at():
    assert named(derived([MEANS, "sigmoid"], "squared_error")) >= {("a-1", "float64"), ("delta-1", "float64")}
    assert named(derived([UNIT, SHARE], ENTROPY)) >= {("cost", "float64"), ("delta-2", "float64")}
    assert {label for label, _ in named(derived([UNIT, SHARE], ENTROPY))} == {"cost", "delta-2"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activations", "cost"),
    [
        ([SHARE, "sigmoid"], "squared_error"),
        (["softmax"], ENTROPY),
        (["softmax"], "-y*log(a)*(1-a)**2"),
        ([UNIT, UNIT], "squared_error"),
        (["exp(2*z[j])/sum(exp(2*z[i]), i)"], "cross_entropy"),
    ],
)
def test_nothing_is_said_of_what_is_right(activations, cost):
    derivation = derived(activations, cost)
    looked_at = [e for e in Generator(derivation.model, derivation.batch).printed if _coupled(e, derivation)]
    assert looked_at and not derivation.weak_lines


def _coupled(equation, derivation):
    return is_coupled(equation, derivation.batch.forward.definitions)


@pytest.mark.slow
def test_the_certificate_and_the_command_line_name_the_layer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = derived(["softmax"], POLES).document().certificate.data()["saturation"]
    assert {
        "label": "cost",
        "dtype": "float64",
        "pre_activations": [20, -20, -20],
        "given": "inf",
    }.items() <= (data[0].items())
    (tmp_path / "own.toml").write_text(
        'name = "own"\n[input]\nsize = 2\n[[layers]]\nsize = 3\nactivation = "softmax"\n'
        f'[cost]\nformula = "{POLES}"\n'
    )
    result = CliRunner().invoke(cli, ["export", "own.toml"])
    assert result.exit_code == 0
    assert "cost: in float64 the code gives inf at the pre-activations (20, -20, -20)" in result.stderr


def test_layers_of_one_and_two_units_are_looked_at_as_they_are():
    assert {len(line.layer) for line in derived(["softmax"], POLES, sizes=(2,)).weak_lines} == {2}
    single = derived(["exp(z[j])/(exp(-z[j])+sum(exp(z[i]), i))"], "squared_error", sizes=(1,))
    assert {len(line.layer) for line in single.weak_lines} == {1}


@pytest.mark.slow
def test_a_general_layer_and_open_sizes():
    layer = {"size": "m", "activation": {"formula": MEANS}}
    spec = {
        "name": "own",
        "depth": "L",
        "input": {"size": "d"},
        "layers": [layer, {**layer, "size": "c"}],
        "cost": {"formula": "(a-y)**2"},
        "penalty": {"l2": "lambda/2"},
    }
    labels = {line.label for line in sb.derive(sb.from_mapping(spec)).weak_lines}
    assert any(label.startswith("a-") for label in labels) and any(
        label.startswith("delta-") for label in labels
    )


def test_lines_that_differ_in_their_layer_alone_are_looked_at_once(monkeypatch):
    derivation = derived([SHARE] * 4, "squared_error")
    definitions = derivation.batch.forward.definitions
    kinds = [kind_of(definitions[name], definitions) for name in ("a1", "a2", "a3", "a4")]
    assert len(set(kinds)) == 1
    mixed = derived([SHARE, UNIT], "squared_error").batch.forward.definitions
    assert kind_of(mixed["a1"], mixed) != kind_of(mixed["a2"], mixed)
    seen = []
    monkeypatch.setattr(
        "symbackprop.checking.coupled_saturation.coupled_failures", lambda e, *_: seen.append(e.label) or ()
    )
    assert not derivation.weak_lines and seen.count("a-1") == 1 and "a-2" not in seen


def test_a_line_that_is_not_its_equation_is_found(monkeypatch):
    """The comparison itself: where the code has another form than the equation, it fails."""
    derivation = derived([SHARE, "sigmoid"], "squared_error")
    generator = Generator(derivation.model, derivation.batch)
    delta = next(e for e in generator.printed if e.label == "delta-1")
    assert not list(coupled_failures(delta, generator, 1e-3))
    monkeypatch.setattr(
        "symbackprop.checking.coupled_saturation.stable", lambda rhs, known: 2 * stable(rhs, known)
    )
    assert {place for _, place in coupled_failures(delta, generator, 1e-3)} > {(20, 0, 0)}
