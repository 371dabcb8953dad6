"""The grammar of formulas: what it reads, what it refuses and in which words."""

import string

import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from symbackprop.network import WIDTH, argument, index, vector_argument
from symbackprop.spec.catalogue import ACTIVATIONS
from symbackprop.spec.formula import FormulaError, parse_factor, parse_formula

z, a, y = argument("z"), argument("a"), argument("y")
Z, i, j = vector_argument("z"), index("i"), index("j")

READ = [
    ("1/(1+exp(-z))", 1 / (1 + sp.exp(-z))),
    ("0.044715*z**3", sp.Rational("0.044715") * z**3),
    ("1e-3*z", z / 1000),
    (".5*z + 2.", z / 2 + 2),
    ("+z - -z", 2 * z),
    ("z**-2", z**-2),
    ("2**z", 2**z),
    ("pi*z", sp.pi * z),
    ("sqrt(1 + z**2)", sp.sqrt(1 + z**2)),
    ("z/(1+abs(z))", z / (1 + sp.Abs(z))),
    ("erf(z) + arctan(z) + atan(z)", sp.erf(z) + 2 * sp.atan(z)),
    ("max(z, 0)", sp.Piecewise((z, z > 0), (0, True))),
    ("max(0, z)", sp.Piecewise((z, z > 0), (0, True))),
    ("min(1, z)", sp.Piecewise((z, z < 1), (1, True))),
    ("where(z > 0, z, exp(z) - 1)", sp.Piecewise((z, z > 0), (sp.exp(z) - 1, True))),
    ("z if z >= 0 else z/2", sp.Piecewise((z, z >= 0), (z / 2, True))),
    ("z*sigmoid(2*z)", z / (1 + sp.exp(-2 * z))),
    ("relu(z - 1)", sp.Piecewise((z - 1, z > 1), (0, True))),
    ("z\n + 1", z + 1),
    ("where(pi > 3, z, 1)", z),
]

REFUSED = [
    ("", 0, "empty"),
    ("   ", 0, "empty"),
    ("z" * 2000, 0, "at most 1000 characters"),
    ("(" * 60 + "z" + ")" * 60, 41, "nest at most"),
    ("-" * 900 + "z", 0, "deeply nested"),
    ("+".join("z" * 500), 0, "too long"),
    ("2(z)", 1, "* is missing"),
    ("z(2)", 1, "* is missing after z"),
    ("(1+z)(2)", 1, "* is missing"),
    ("2z", 2, "* is missing between 2 and z"),
    ("z^2", 2, "**"),
    ("f = z", 3, "no ="),
    ("z == 1", 1, "a comparison"),
    ("exq(z)", 1, "did you mean exp?"),
    ("ln(z)", 1, "write log"),
    ("Sigmiod(z)", 1, "did you mean sigmoid?"),
    ("e**z", 1, "exp(1)"),
    ("exp(q)", 5, "the name q"),
    ("lambda*z", 1, "the name lambda"),
    ("exp", 1, "is a function"),
    ("exp()", 1, "takes 1 argument"),
    ("exp(z, 2)", 1, "takes 1 argument"),
    ("max(z)", 1, "takes 2 arguments"),
    ("where(z, 1, 2)", 7, "one comparison"),
    ("where(0 < z < 1, z, 2)", 7, "one comparison"),
    ("where(z == 1, z, 2)", 7, "<, <=, > or >="),
    ("where(z > 1, z)", 1, "where takes 3 arguments"),
    ("z.real", 2, "a dot"),
    ("z.__class__.__mro__", 12, "a dot"),
    ("().__class__", 3, "a dot"),
    ("lambda x: x", 1, "a lambda"),
    ("lambda: 1", 1, "a lambda"),
    ("[z for z in z]", 1, "a list comprehension"),
    ("(z for z in z)", 1, "a generator"),
    ("'z'", 1, "a string"),
    ("b'z'", 1, "a string"),
    ("f'{z}'", 1, "a string"),
    ("(z := 1)", 2, ":="),
    ("exp(z=1)", 1, "z="),
    ("exp(*z)", 5, "a starred argument"),
    ("True*z", 1, "True"),
    ("None", 1, "None"),
    ("...", 1, "Ellipsis"),
    ("2j*z", 1, "a complex number"),
    ("z, z", 1, "a comma"),
    ("z and z", 1, "and/or"),
    ("not z", 1, "not"),
    ("z // 2", 1, "FloorDiv"),
    ("z @ z", 1, "MatMult"),
    ("z # hm", 3, "comment"),
    ("\\exp z", 1, "LaTeX"),
    ("\u03c3(z)", 1, "u03c3"),
    ("z \u2212 1", 3, "write the minus sign as -"),
    ("z\x00", 2, "x00"),
    ("(z", 1, "never closed"),
    ("__import__('os')", 1, "the function __import__"),
    ("eval('z')", 1, "the function eval"),
    ("9**9**9**9*z", 7, "an exponent"),
    ("exp(exp(exp(exp(9))))*z", 9, "exp of a constant"),
    ("z + erf(1e9)", 5, "goes up to erf(8)"),
    ("max(z, gelu(1e9))", 8, "goes up to erf(8)"),
    ("where(sin(1)**2 + cos(1)**2 > 1, z, 2*z)", 1, "too close to each other"),
    ("1e-99*1e-99*z", 1, "too small"),
    ("((2**64)**64)**64*z", 2, "too many digits"),
    ("((z**64)**64)**64", 2, "multiply to more than 64"),
    ("z**z", 1, "a power has"),
    ("(-2)**z", 1, "a power has"),
    ("z**65", 4, "an exponent"),
    ("z**sqrt(2)", 4, "an exponent"),
    ("1e999*z", 1, "a number has"),
    ("0x10*z", 1, "a number has"),
    ("1_000*z", 1, "a number has"),
    ("1" * 41 + "*z", 1, "a number has"),
    ("1e99*1e99*z", 1, "too large"),
    ("z/0", 3, "divides by 0"),
    ("z/(1-1)", 4, "divides by 0"),
    ("z*0**-1", 3, "divides by 0"),
    ("log(0)*z", 1, "real numbers"),
    ("log(-1)*z", 1, "real numbers"),
    ("sqrt(-2)+z", 1, "real numbers"),
    ("(-8)**(1/3)*z", 1, "not a real number"),
    ("sqrt(-1-z**2-1)*0 + sqrt(-exp(z))", 21, "real numbers"),
    ("1 + 2", 0, "derivative is 0 everywhere"),
    ("z - z", 0, "derivative is 0 everywhere"),
    ("where(z > 0, 1, 0)", 0, "derivative is 0 everywhere"),
    ("sign(z)", 0, "derivative is 0 everywhere"),
    ("z[j]", 1, "subscripts"),
    ("z[0]", 1, "subscripts"),
    ("sum(z, i)", 1, "sum goes over the units"),
    ("softmax(z)", 1, "couples the units"),
    ("silu(" * 35 + "z" + ")" * 35, None, "too long"),
    ("max(" + "+".join(f"relu(z-{n})" for n in range(9)) + ", 0)", 1, "too many cases"),
]

COUPLED_REFUSED = [
    ("z[k]", 3, "z[j]"),
    ("z[j+1]", 3, "z[j]"),
    ("z[j, i]", 3, "z[j]"),
    ("z[1:2]", 3, "z[j]"),
    ("z[j] + z", 8, "write z[j]"),
    ("z[j]*j", 6, "in brackets only"),
    ("sum(z[i])", 1, "with its index"),
    ("sum(z[i], 1)", 1, "with its index"),
    ("sum(z[j], j)", 11, "one of i, k"),
    ("sum(sum(z[i], i), i)", 15, "one of k, p"),
    ("sum(z[j], i)", 1, "doesn't depend on i"),
    ("exp(w[j])", 5, "only z has subscripts"),
    ("n", 0, "vary with z"),
    ("max(0, sum(max(0, z[i]), i))", 1, "a sum whose terms have cases"),
]


@pytest.mark.parametrize(("text", "wanted"), READ)
def test_reads(text, wanted):
    assert parse_formula(text).expr == wanted


@pytest.mark.parametrize(("text", "column", "words"), REFUSED)
def test_refuses(text, column, words):
    with pytest.raises(FormulaError) as caught:
        parse_formula(text)
    assert words in caught.value.reason
    assert column in (None, caught.value.column)


@pytest.mark.parametrize(("text", "column", "words"), COUPLED_REFUSED)
def test_refuses_in_a_coupled_formula(text, column, words):
    with pytest.raises(FormulaError) as caught:
        parse_formula(text, coupled_argument="z")
    assert words in caught.value.reason
    assert caught.value.column == column


def test_a_coupled_formula_uses_the_networks_symbols():
    formula = parse_formula("z[j] - sum(z[i], i)/n", coupled_argument="z")
    assert formula.coupled and formula.arguments == ("z",)
    assert formula.expr == Z[j] - sp.Sum(Z[i], (i, 1, WIDTH)) / WIDTH


def test_a_cost_may_lack_its_target_but_not_its_output():
    assert parse_formula("a**2", ("a", "y")).expr == a**2
    assert parse_formula("(a - y)**2", ("a", "y")).expr == (a - y) ** 2
    with pytest.raises(FormulaError, match="vary with a"):
        parse_formula("y**2", ("a", "y"))


def test_an_error_is_one_line_with_the_text_and_the_place():
    with pytest.raises(FormulaError) as caught:
        parse_formula("exp(z)\n + q\x1b")
    assert str(caught.value).startswith(r"'exp(z)  + q\x1b': at column 12: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("max(0, min(1, 0.2*z + 0.5))", lambda z: max(0, min(1, 0.2 * z + 0.5))),
        ("max(z, 0, 1 - z)", lambda z: max(z, 0, 1 - z)),
        ("abs(relu(z) - 1)", lambda z: abs(max(z, 0) - 1)),
        ("sign(z)*z**2", lambda z: z * abs(z)),
        ("where(relu(z) > 1, z, 2*z)", lambda z: z if z > 1 else 2 * z),
    ],
)
def test_nested_cases_have_the_right_values(text, wanted):
    expr = parse_formula(text).expr
    for number in (-3.0, -0.5, 0.25, 0.75, 2.0, 4.0):
        assert float(expr.xreplace({z: sp.Float(number, 30)})) == pytest.approx(wanted(number))


TEXTS = [entry.formula for entry in ACTIVATIONS.values() if "[" not in entry.formula]


@pytest.mark.parametrize(
    "text",
    [
        *TEXTS,
        "abs(log(1+z**2)-1)",
        "abs(sqrt(z))",
        "sign(z)*z",
        "max(z, min(z**2, 1))",
        "where(z < -1, 0, where(z > 1, 0, z))",
        "max(0, min(1, z))",
        "min(max(z, -1), 1)",
        "where(z < -1, -1, where(z > 1, 1, z))",
    ],
)
def test_derivatives_are_free_of_steps_and_impulses(text):
    derivative = sp.diff(parse_formula(text).expr, z)
    assert not derivative.has(sp.Heaviside, sp.DiracDelta, sp.Derivative, sp.re, sp.im)
    for condition in (when for cases in derivative.atoms(sp.Piecewise) for _, when in cases.args):
        assert condition is sp.true or condition.is_Relational


@pytest.mark.parametrize(
    ("given_factor", "wanted"),
    [
        ("1/2", sp.Rational(1, 2)),
        (0.1, sp.Rational(1, 10)),
        (3, sp.Integer(3)),
        (1e-05, sp.Rational(1, 100000)),
        ("lambda/(2*N)", sp.Symbol("lambda", real=True) / (2 * index("N"))),
        ("lambda * alpha_1", sp.Symbol("lambda", real=True) * sp.Symbol("alpha_1", real=True)),
        ("1/sqrt(n_2)", 1 / sp.sqrt(index("n_2"))),
    ],
)
def test_factors(given_factor, wanted):
    assert parse_factor(given_factor, sizes=("n_2",)) == wanted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("z", "the name z"),
        ("W1", "already taken"),
        ("alpha_", "a symbol's name"),
        ("lambd_", "the name lambd_"),
        ("np", "already taken"),
        ("relu(lambda)", "the function relu"),
        ("where(N > 1, 1, 2)", "the function where"),
        ("1/0", "divides by 0"),
        ("lambda x: x", "a lambda"),
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        ("lambda^2", "**"),
    ],
)
def test_factors_refused(text, words):
    with pytest.raises(FormulaError) as caught:
        parse_factor(text)
    assert words in str(caught.value)


PIECES = st.sampled_from(
    [
        *"zji20()()[]+-*/,<>=:.'^%\"",
        "1.5",
        "1e9",
        "**",
        "64",
        "-1",
        "N",
        "alpha",
        "lambda",
        "if",
        "else",
        "not",
    ]
    + [f"{name}(" for name in ("exp", "log", "max", "min", "abs", "sqrt", "where", "sum", "silu")]
)
LIKE_FORMULAS = st.lists(PIECES, max_size=25).map(" ".join) | st.lists(PIECES, max_size=25).map("".join)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(LIKE_FORMULAS | st.text(string.printable, max_size=60) | st.text(max_size=40))
@example("0" * 999)
@example("(" * 999)
@example("exp(-exp(6))*z")
@example("1/(sin(1)**2 + cos(1)**2 - 1)*z")
def test_any_text_is_read_or_refused(text):
    for read in (parse_formula, parse_factor, lambda text: parse_formula(text, coupled_argument="z")):
        try:
            read(text)
        except FormulaError as error:
            assert error.reason and "\n" not in str(error)
