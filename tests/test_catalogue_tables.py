"""Forward formulas only: a derivative is worked out, never looked up.

The tables of the catalogue are read here, so that an activation or a cost that is added later is
tested without another line.
"""

import ast
import random
import re
from pathlib import Path

import pytest
import sympy as sp

import symbackprop
from symbackprop.algebra.elimination import OUTPUT, Z, derivative_from_output
from symbackprop.algebra.functions import ScalarFunction, scalar_function
from symbackprop.derivation.chain import backward_equations, reverse
from symbackprop.forward.model import forward_model
from symbackprop.spec.catalogue import ACTIVATIONS, COSTS
from symbackprop.spec.formula import activation_named, is_coupled, parse_formula
from symbackprop.spec.loading import from_mapping

PACKAGE = Path(symbackprop.__file__).parent
TEMPLATES = PACKAGE.parent / "templates"
NAMES = [name for name, entry in ACTIVATIONS.items() if not is_coupled(entry.formula)]
COUPLED = [name for name in ACTIVATIONS if name not in NAMES]


def delta_form(activation, cost):
    """The backward equations of a small network with this hidden activation and cost, as in a spec."""
    layers = [{"size": 3, "activation": activation}, {"size": 2, "activation": "sigmoid"}]
    network = from_mapping({"name": "net", "input": {"size": 2}, "layers": layers, "cost": cost})
    return backward_equations(reverse(forward_model(network).program))


def renamed(equations, old, new):
    """The equations with a function's letter changed, as text-free expressions."""

    def rename(node):
        return scalar_function(new, node.formula, node.order)(*node.args)

    def other(expr):
        return expr.replace(lambda node: isinstance(node, ScalarFunction) and node.letter == old, rename)

    return [(e.quantity.name, other(e.rhs)) for e in equations]


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_a_users_activation_gets_the_delta_form_of_the_built_in(name):
    mine = {"name": "mine", "formula": ACTIVATIONS[name].formula}
    squared = {"kind": "squared_error"}
    built_in = renamed(delta_form(name, squared), "sigma" if name == "sigmoid" else name, "mine")
    assert renamed(delta_form(mine, squared), "mine", "mine") == built_in


@pytest.mark.parametrize("name", list(COSTS))
def test_a_users_cost_gets_the_delta_form_of_the_built_in(name):
    mine = {"formula": COSTS[name].formula}
    assert renamed(delta_form("tanh", mine), "", "") == renamed(delta_form("tanh", {"kind": name}), "", "")


def test_a_different_formula_gets_a_different_delta_form():
    squared = {"kind": "squared_error"}
    mine = {"name": "mine", "formula": "1/(1+exp(-2*z))"}
    assert renamed(delta_form(mine, squared), "mine", "mine") != renamed(
        delta_form("sigmoid", squared), "sigma", "mine"
    )


# --- no file holds a derivative -------------------------------------------------------------------

HAND_WRITTEN = [
    re.compile(pattern)
    for pattern in (
        r"(\b\w+\b)\s*\*\s*\(\s*1(?:\.0)?\s*-\s*\1\s*\)",
        r"\(\s*1(?:\.0)?\s*-\s*(\b\w+\b)\s*\)\s*\*\s*\1\b",
        r"\b1(?:\.0)?\s*-\s*(?:np\.|sp\.|math\.)?tanh\b",
        r"\b1(?:\.0)?\s*-\s*\w+\s*\*\*\s*2\b",
        r"\b1(?:\.0)?\s*-\s*(\w+)\s*\*\s*\1\b",
        r"\b1(?:\.0)?\s*-\s*(?:np\.|sp\.)?(?:square\(|power\()",
    )
]
"""What the derivatives of the sigmoid and of tanh look like where somebody writes them by hand."""


def without_docstrings(path):
    """The code of a module, with comments and docstrings gone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
            node.body = kept or [ast.Pass()]
    return ast.unparse(tree)


def hand_written(code):
    return [match.group() for pattern in HAND_WRITTEN for match in pattern.finditer(code)]


@pytest.mark.parametrize(
    "code",
    [
        "a * (1 - a)",
        "(1.0 - s) * s",
        "delta *= 1 - a**2",
        "1 - tanh(z)**2",
        "1 - np.tanh(z) ** 2",
        "1.0 - a * a",
    ],
)
def test_a_hand_written_derivative_would_be_found(code):
    assert hand_written(code)


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix()
)
def test_no_module_holds_a_derivative(path):
    assert hand_written(without_docstrings(path)) == []


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.jinja")), ids=lambda path: path.name)
def test_no_template_holds_a_derivative(path):
    text = path.read_text(encoding="utf-8")
    assert hand_written(text) == []


def test_no_function_brings_its_own_derivative():
    """An ``fdiff`` names the derivative of a function; none of them has a formula in it."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name in ("fdiff", "_eval_derivative", "diff"):
                assert (path.name, node.name) == ("functions.py", "fdiff")
                arithmetic = [n for n in ast.walk(node) if isinstance(n, ast.BinOp) and not is_count(n)]
                assert arithmetic == [], ast.unparse(node)


def is_count(node):
    """Whether an operation counts something up, as in ``order + 1``."""
    return isinstance(node.op, ast.Add) and isinstance(node.right, ast.Constant)


def test_the_catalogue_has_text_alone():
    tree = ast.parse((PACKAGE / "spec" / "catalogue.py").read_text(encoding="utf-8"))
    assert not any(isinstance(node, ast.BinOp | ast.Lambda | ast.FunctionDef) for node in ast.walk(tree))


# --- the derivative in terms of the output --------------------------------------------------------

a, z = OUTPUT, Z
SIGMOID = 1 / (1 + sp.exp(-z))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("formula", "wanted"),
    [
        (SIGMOID, a * (1 - a)),
        (sp.exp(z) / (1 + sp.exp(z)), a * (1 - a)),
        ((sp.exp(z) - sp.exp(-z)) / (sp.exp(z) + sp.exp(-z)), 1 - a**2),
        (sp.tanh(z), 1 - a**2),
        (2 / (1 + sp.exp(-2 * z)) - 1, 1 - a**2),
        (sp.log(1 + sp.exp(z)), 1 - sp.exp(-a)),
        (sp.exp(z), a),
        (sp.exp(-3 * z) + 5, -3 * (a - 5)),
        (2 / (1 + sp.exp(-3 * z)) - 1, sp.Rational(3, 2) * (1 - a**2)),
        (1 / (1 + sp.exp(-z / 2)), a * (1 - a) / 2),
        (sp.exp(-(z**2)), -2 * a * z),
        (3 * z + 7, sp.Integer(3)),
        (sp.Piecewise((z, z > 0), (sp.exp(z) - 1, True)), sp.Piecewise((1, z > 0), (a + 1, True))),
    ],
    ids=str,
)
def test_the_exponential_is_eliminated(formula, wanted):
    difference = derivative_from_output(formula) - wanted
    assert sp.simplify(sp.piecewise_fold(difference)) == 0


@pytest.mark.parametrize(
    "formula",
    [sp.sin(z), z / (1 + sp.exp(-z)), sp.atan(z), sp.cosh(z), SIGMOID**2, sp.exp(z) + sp.exp(2 * z)],
    ids=str,
)
def test_where_there_is_no_such_form_there_is_none(formula):
    """Of the last three the derivative is a root of a square, and the output doesn't say which."""
    assert derivative_from_output(formula) is None


def random_points(seed, number=8):
    draw = random.Random(seed)
    return [sp.Float(draw.uniform(-3, 3), 40) for _ in range(number)]


@pytest.mark.parametrize("name", NAMES)
def test_the_form_has_the_value_of_the_derivative(name):
    formula = activation_named(name).formula.expr
    form = derivative_from_output(formula)
    for point in random_points(name):
        step = sp.Float("1e-15", 40)
        ahead, output, behind = (formula.xreplace({z: point + s * step}).evalf(40) for s in (1, 0, -1))
        quotient = (ahead - behind) / (2 * step)
        if form is not None:
            found = sp.sympify(form).xreplace({a: output, z: point})
            assert abs(found - quotient) < 1e-18, f"{name} at {point}"


def test_the_form_is_found_where_there_is_one():
    found = {
        name for name in NAMES if derivative_from_output(activation_named(name).formula.expr) is not None
    }
    assert {"linear", "sigmoid", "tanh", "relu", "elu", "softplus", "exp", "gaussian"} <= found
    assert not {"gelu", "silu", "softsign", "arctan"} & found


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1/(1+exp(-2*z))", 2 * a * (1 - a)),
        ("log(1+exp(2*z))/2", None),
        ("(1-exp(-z))/(1+exp(-z))", (1 - a**2) / 2),
    ],
)
def test_a_users_formula_is_read_and_eliminated_the_same_way(text, wanted):
    form = derivative_from_output(parse_formula(text, ["z"]).expr)
    assert (form is None) if wanted is None else sp.expand(form - wanted) == 0
