"""What is said of lines that are wrong at saturation, and the arithmetic that finds them."""

import math

import numpy as np
import pytest
import sympy as sp
from click.testing import CliRunner

import symbackprop as sb
from symbackprop.cli import cli
from symbackprop.numerics.floats import FORMATS, Evaluation, NotFollowed, failures
from symbackprop.numerics.rescues import in_danger, in_logarithms, in_one_exponential
from symbackprop.numerics.stable import stable

z = sp.Symbol("z", real=True)

LAPLACE = "where(z>0,1-exp(-z)/2,exp(z)/2)"
ENTROPY = "-y*log(a)-(1-y)*log(1-a)"


def network(activation, cost):
    layer = {"size": 2, "activation": {"formula": activation}}
    cost = {"kind": cost} if cost.isidentifier() else {"formula": cost}
    return sb.from_mapping({"name": "own", "input": {"size": 2}, "layers": [layer], "cost": cost})


# --- what is found, and where it is said -----------------------------------------------------------


def test_what_is_wrong_is_named_with_its_place():
    lines = sb.derive(network(LAPLACE, ENTROPY)).weak_lines
    assert [line.sentence() for line in lines if line.failure.format == "float64"] == [
        "cost: in float64 the code gives inf at a pre-activation of 40, where 30.5199 is right",
        "delta-1: in float64 the code gives nan at a pre-activation of 40, where 0.75 is right",
    ]


@pytest.mark.slow
def test_the_code_is_wrong_where_it_is_said_to_be():
    derivation = sb.derive(network(LAPLACE, ENTROPY))
    cost, delta = (line for line in derivation.weak_lines if line.failure.format == "float64")
    parameters = {"W1": np.eye(2), "b1": np.zeros(2)}
    x = np.array([[cost.failure.place, 1.0]])
    with np.errstate(all="ignore"):
        total, gradients = derivation.compile().cost_and_gradients(parameters, x, np.array([[0.25, 0.5]]))
    assert total == math.inf and math.isnan(gradients["b1"][0]) and math.isnan(delta.failure.given)


@pytest.mark.slow
def test_the_certificate_and_the_command_line_say_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = sb.derive(network(LAPLACE, ENTROPY)).document().certificate.data()
    assert {"label": "delta-1", "dtype": "float64", "pre_activation": 40, "given": "nan"}.items() <= next(
        entry for entry in data["saturation"] if entry["label"] == "delta-1"
    ).items()
    (tmp_path / "own.toml").write_text(
        f'name = "own"\n[input]\nsize = 2\n[[layers]]\nsize = 2\n'
        f'activation = {{ formula = "{LAPLACE}" }}\n[cost]\nformula = "{ENTROPY}"\n'
    )
    for command in ("derive", "export", "compare"):
        result = CliRunner().invoke(cli, [command, "own.toml"])
        assert result.exit_code == 0
        assert (
            "symbackprop: delta-1: in float64 the code gives nan at a pre-activation of 40" in result.stderr
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activation", "cost"),
    [
        ("1/(1+exp(-z))", ENTROPY),
        ("1-exp(-exp(z))", "(log(a/(1-a))-y)**2"),
        ("(1+erf(z))/2", "(log(a/(1-a))-y)**2"),
        ("z**3", "squared_error"),
        ("exp(z)", "squared_error"),
    ],
)
def test_nothing_is_said_of_what_is_right(activation, cost):
    """Nor of what is infinite, nor where the thousand digits of the comparison are too few."""
    derivation = sb.derive(network(activation, cost))
    assert not derivation.weak_lines and "saturation" not in derivation.document().certificate.data()


def test_formulas_of_the_tables_are_not_looked_at(monkeypatch):
    monkeypatch.setattr("symbackprop.checking.saturation.failures", lambda *_: 1 / 0)
    assert sb.derive(sb.load("2-2-1")).weak_lines == ()


# --- the arithmetic --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expr", "place", "value"),
    [
        (sp.exp(z), 750, math.inf),
        (sp.exp(-z), 750, 0.0),
        (sp.exp(z) * sp.exp(-z, evaluate=False), 1, 1.0),
        (sp.Mul(sp.exp(z), sp.exp(-z), evaluate=False), 750, math.nan),
        (1 / (1 + sp.exp(-z)), 40, 1.0),
        (1 - 1 / (1 + sp.exp(-z)), 40, 0.0),
        (sp.log(1 - 1 / (1 + sp.exp(-z))), 40, -math.inf),
        (1 / (sp.tanh(z) - 1), 20, math.inf),
        (sp.sqrt(z), 2, math.sqrt(2.0)),
        (sp.sqrt(z), -2, math.nan),
        (z + 1 - z.func("w", real=True), 2**53, 2.0**53),
        (sp.Piecewise((sp.exp(z), z < 0), (sp.cos(z), True)), 3, math.cos(3)),
        (sp.Max(z, 1) + sp.Abs(z) + sp.sign(z), -3, 3.0),
    ],
)
def test_an_expression_comes_to_what_numpy_gives(expr, place, value):
    numbers = {z: place, sp.Symbol("w", real=True): 1.0}
    found = float(Evaluation(numbers, {}, FORMATS[0], stable).value(expr))
    assert found == value or (math.isnan(found) and math.isnan(value))


def test_what_is_not_followed_is_no_failure():
    with pytest.raises(NotFollowed, match="gamma"):
        list(failures(sp.gamma(z), sp.gamma(z), {}, stable))


# --- the forms -------------------------------------------------------------------------------------

FORMS = [
    sp.exp(z) / (1 + sp.exp(z) + sp.exp(2 * z)),
    (sp.exp(2 * z) + 3) / (2 + 5 * sp.exp(z)) ** 3,
    4 / (sp.exp(z) + sp.exp(-z)) ** 2 * (1 + sp.exp(-z)),
    sp.exp(-(z**2)) / sp.sqrt((1 + sp.erf(z)) / 2),
    sp.exp(z) / (1 + sp.exp(2 * z)),
]


@pytest.mark.parametrize("expr", FORMS)
def test_a_form_that_saves_is_equal_and_right_everywhere(expr):
    forms = [form for form in (in_one_exponential(expr, {}), in_logarithms(expr, {})) if form is not None]
    assert in_danger(expr, {}) and forms
    assert not [f for f in failures(expr, stable(expr), {}, stable) if f.format == "float64"]
    for form in forms:
        assert not [f for f in failures(expr, form, {}, stable) if abs(f.place) <= 2]
