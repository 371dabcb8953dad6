"""The printer: the LaTeX in full for many expressions, and laws that hold for any.

The strongest law is that what is printed can be read back: a small reader of the printer's LaTeX
evaluates it with numbers and must find the value of the expression.
"""

import math
import os
import random
import re
import subprocess
import sys

import pytest
import sympy as sp
from sympy.core.parameters import distribute

from symbackprop.algebra.equations import Bracket, ExplicitPartial, Partial, Quantity, Role
from symbackprop.algebra.functions import scalar_function
from symbackprop.derivation.chain import reverse
from symbackprop.errors import NoRule
from symbackprop.forward.compose import Composition
from symbackprop.forward.model import forward_model
from symbackprop.network import argument
from symbackprop.notation.notation import load_notation
from symbackprop.notation.style_package import style_package
from symbackprop.printing.latex import latex
from symbackprop.printing.linebreak import INDENT, latex_rows
from symbackprop.printing.measure import expanded, rendered_width
from symbackprop.printing.paper_order import spelled
from symbackprop.printing.symbols import Names, index, letter_of
from symbackprop.rendering.escape import escape_text
from symbackprop.spec.catalogue import ACTIVATIONS, COSTS
from symbackprop.spec.formula import activation_named, cost_formula
from symbackprop.spec.loading import from_mapping

i, j, k, n, n1, n2, N = sp.symbols("i j k n n_1 n_2 N", integer=True, positive=True)
lam = sp.Symbol("lambda", real=True)


def quantity(name, role, layer, *dims):
    letter = name.rstrip("0123456789")
    return Quantity(name, letter, role, None if layer is None else sp.Integer(layer), dims)


C = quantity("C_x", Role.EXAMPLE_COST, None)
x = quantity("x", Role.INPUT, 0, n1)
y = quantity("y", Role.TARGET, None, n2)
W1 = quantity("W1", Role.WEIGHT, 1, n1, n1)
W2 = quantity("W2", Role.WEIGHT, 2, n2, n1)
b1 = quantity("b1", Role.BIAS, 1, n1)
b2 = quantity("b2", Role.BIAS, 2, n2)
z1 = quantity("z1", Role.PRE_ACTIVATION, 1, n1)
z2 = quantity("z2", Role.PRE_ACTIVATION, 2, n2)
a1 = quantity("a1", Role.ACTIVATION, 1, n1)
a2 = quantity("a2", Role.ACTIVATION, 2, n2)
d2 = Quantity("delta2", "delta", Role.DELTA, sp.Integer(2), (n2,), z2, C)
d1 = Quantity("delta1", "delta", Role.DELTA, sp.Integer(1), (n1,), z1, C)
adjoint = Quantity("adjoint_a1", "adjoint", Role.ADJOINT, sp.Integer(1), (n1,), a1, C)
mu = quantity("mu", Role.INTERMEDIATE, None)
xhat = quantity("xhat", Role.INTERMEDIATE, None, n1)
gamma = quantity("gamma", Role.PARAMETER, 3, n1)
R = quantity("R", Role.PENALTY, None)
KNOWN = (C, x, y, W1, W2, b1, b2, z1, z2, a1, a2, d1, d2, adjoint, mu, xhat, gamma, R)
NAMES = Names.of(KNOWN)

sigma = scalar_function("sigma", None)
slope = scalar_function("sigma", None, 1)
relu = scalar_function("relu", None)


def apart(*factors):
    """A product that stays as it is written."""
    return sp.Mul(*factors, evaluate=False)


def total(body, letter=k, upper=n1):
    return sp.Sum(body, (letter, 1, upper))


with distribute(False):
    SAMPLES = [
        # differences and products of entries, in the order of roles
        (a2[j] - y[j], r"\sbpact{2}{j} - \sbptarget{j}"),
        (y[j] - a2[j], r"\sbptarget{j} - \sbpact{2}{j}"),
        (1 - a2[j], r"1 - \sbpact{2}{j}"),
        (a2[j] - 1, r"\sbpact{2}{j} - 1"),
        (a1[j] * (1 - a1[j]), r"\sbpact{1}{j} (1 - \sbpact{1}{j})"),
        (a1[k] * d2[j], r"\sbpdelta{2}{j} \sbpact{1}{k}"),
        (x[k] * d1[j], r"\sbpdelta{1}{j} \sbpinput{k}"),
        (a1[k] * W2[j, k], r"\sbpweight{2}{j}{k} \sbpact{1}{k}"),
        (
            (1 - a2[j]) * (a2[j] - y[j]) * a2[j] * a1[k],
            r"(\sbpact{2}{j} - \sbptarget{j}) \sbpact{2}{j} (1 - \sbpact{2}{j}) \sbpact{1}{k}",
        ),
        (
            (a2[j] - y[j]) * slope(z2[j]),
            r"(\sbpact{2}{j} - \sbptarget{j}) \sbpprime{\sbpfnsigma}(\sbppact{2}{j})",
        ),
        (apart(2, a2[j] - y[j]), r"2 (\sbpact{2}{j} - \sbptarget{j})"),
        (apart(-1, a2[j] - y[j]), r"-(\sbpact{2}{j} - \sbptarget{j})"),
        (apart(-1, a2[j] - y[j]) + y[j], r"\sbptarget{j} - (\sbpact{2}{j} - \sbptarget{j})"),
        (
            (1 - y[j]) * a2[j] - (1 - a2[j]) * y[j],
            r"\sbpact{2}{j} (1 - \sbptarget{j}) - \sbptarget{j} (1 - \sbpact{2}{j})",
        ),
        (-a2[j] - y[j], r"-\sbpact{2}{j} - \sbptarget{j}"),
        (1 - 2 * a1[j] + a1[j] ** 2, r"1 - 2 \sbpact{1}{j} + \bigl(\sbpact{1}{j}\bigr)^{2}"),
        (1 - y[j] * a2[j], r"1 - \sbptarget{j} \sbpact{2}{j}"),
        # powers: a symbol that has a superscript is put in parentheses
        (a1[j] ** 2, r"\bigl(\sbpact{1}{j}\bigr)^{2}"),
        (W1[j, k] ** 2, r"\bigl(\sbpweight{1}{j}{k}\bigr)^{2}"),
        (x[k] ** 2, r"{\sbpinput{k}}^{2}"),
        (lam**2, r"\sbpsymbol{\lambda}^{2}"),
        ((a2[j] - y[j]) ** 2, r"(\sbpact{2}{j} - \sbptarget{j})^{2}"),
        (sigma(z1[j]) ** 2, r"\sbpfnsigma(\sbppact{1}{j})^{2}"),
        (Partial(C.symbol, z1[j]) ** 2, r"\biggl(\sbppartial{\sbpexamplecost}{\sbppact{1}{j}}\biggr)^{2}"),
        (2 ** z1[j], r"2^{\sbppact{1}{j}}"),
        (sp.sqrt(mu.symbol + 1), r"\sqrt{1 + \sbpsymbol{\mu}}"),
        # sums
        (
            total(W1[j, k] * x[k]) + b1[j],
            r"\sum_{k=1}^{\sbpsize{1}} \sbpweight{1}{j}{k} \sbpinput{k} + \sbpbias{1}{j}",
        ),
        (total(W2[k, j] * d2[k]), r"\sum_{k=1}^{\sbpsize{1}} \sbpweight{2}{k}{j} \sbpdelta{2}{k}"),
        (
            slope(z1[j]) * total(W2[k, j] * d2[k]),
            r"\sbpprime{\sbpfnsigma}(\sbppact{1}{j})"
            r" \sum_{k=1}^{\sbpsize{1}} \sbpweight{2}{k}{j} \sbpdelta{2}{k}",
        ),
        (a2[j] * total(y[k]) - y[j], r"\sbpact{2}{j} \sum_{k=1}^{\sbpsize{1}} \sbptarget{k} - \sbptarget{j}"),
        (
            total((a2[k] - y[k]) ** 2) / 2,
            r"\frac{1}{2} \sum_{k=1}^{\sbpsize{1}} (\sbpact{2}{k} - \sbptarget{k})^{2}",
        ),
        (total(a1[k] - y[k]), r"\sum_{k=1}^{\sbpsize{1}} (\sbpact{1}{k} - \sbptarget{k})"),
        (total(-sp.log(a2[k]) * y[k]), r"-\sum_{k=1}^{\sbpsize{1}} \sbptarget{k} \ln \sbpact{2}{k}"),
        (
            total(-y[k] * sp.log(a2[k]) - (1 - y[k]) * sp.log(1 - a2[k])),
            r"-\sum_{k=1}^{\sbpsize{1}} \bigl(\sbptarget{k} \ln \sbpact{2}{k}"
            r" + (1 - \sbptarget{k}) \ln(1 - \sbpact{2}{k})\bigr)",
        ),
        (
            total(total(W1[j, k] ** 2), j, n2),
            r"\sum_{j=1}^{\sbpsize{2}} \sum_{k=1}^{\sbpsize{1}} \bigl(\sbpweight{1}{j}{k}\bigr)^{2}",
        ),
        (
            total(a1[k]) * total(y[k]),
            r"\Bigl(\sum_{k=1}^{\sbpsize{1}} \sbpact{1}{k}\Bigr) \sum_{k=1}^{\sbpsize{1}} \sbptarget{k}",
        ),
        (
            a1[j] * (adjoint[j] - total(a1[k] * adjoint[k])),
            r"\sbpact{1}{j} \biggl(\sbppartial{\sbpexamplecost}{\sbpact{1}{j}}"
            r" - \sum_{k=1}^{\sbpsize{1}} \sbppartial{\sbpexamplecost}{\sbpact{1}{k}} \sbpact{1}{k}\biggr)",
        ),
        (
            sigma(total(W1[j, k] * x[k]) + b1[j]),
            r"\sbpfnsigma\Bigl(\sum_{k=1}^{\sbpsize{1}} \sbpweight{1}{j}{k} \sbpinput{k}"
            r" + \sbpbias{1}{j}\Bigr)",
        ),
        # sums written out
        (
            W1[1, 1] * x[1] + W1[1, 2] * x[2] + b1[1],
            r"\sbpweight{1}{1}{1} \sbpinput{1} + \sbpweight{1}{1}{2} \sbpinput{2} + \sbpbias{1}{1}",
        ),
        (
            (a2[1] - y[1]) ** 2 + (a2[2] - y[2]) ** 2,
            r"(\sbpact{2}{1} - \sbptarget{1})^{2} + (\sbpact{2}{2} - \sbptarget{2})^{2}",
        ),
        (W1[11, 2], r"\sbpweightwide{1}{11}{2}"),
        # fractions and numbers
        (
            -y[j] / a2[j] + (1 - y[j]) / (1 - a2[j]),
            r"-\frac{\sbptarget{j}}{\sbpact{2}{j}} + \frac{1 - \sbptarget{j}}{1 - \sbpact{2}{j}}",
        ),
        (lam / N * W1[j, k], r"\frac{\sbpsymbol{\lambda}}{\sbpexamples} \sbpweight{1}{j}{k}"),
        (
            lam / (2 * N) * total(x[k]),
            r"\frac{\sbpsymbol{\lambda}}{2 \sbpexamples} \sum_{k=1}^{\sbpsize{1}} \sbpinput{k}",
        ),
        ((a2[j] - y[j]) / n2, r"\frac{1}{\sbpsize{2}} (\sbpact{2}{j} - \sbptarget{j})"),
        (
            sp.exp(z2[j]) / total(sp.exp(z2[k])),
            r"\frac{\sbpexp{\sbppact{2}{j}}}{\sum_{k=1}^{\sbpsize{1}} \sbpexp{\sbppact{2}{k}}}",
        ),
        (1 / (1 + sp.exp(-z1[j])), r"\frac{1}{1 + \sbpexp{-\sbppact{1}{j}}}"),
        (sp.Rational(1, 2), r"\frac{1}{2}"),
        (sp.Rational(-2, 3), r"-\frac{2}{3}"),
        (sp.Rational(1, 100) * x[k], r"0.01 \sbpinput{k}"),
        (sp.Rational(44715, 10**6), "0.044715"),
        (sp.Integer(10) ** 30, "10^{30}"),
        (sp.Float("0.15"), "0.15"),
        (sp.Float("-2.5e-20"), r"-2.5 \cdot 10^{-20}"),
        (apart(sp.Float("0.15"), sp.Float("0.05")), r"0.15 \cdot 0.05"),
        (apart(2, apart(-3, x[k])), r"-2 \cdot 3 \sbpinput{k}"),
        (x[k] / sp.sqrt(2), r"\frac{\sbpinput{k}}{\sqrt{2}}"),
        (sp.sqrt(2 / sp.pi) * x[k], r"\sqrt{\frac{2}{\pi}} \sbpinput{k}"),
        # functions
        (sp.exp(-z1[j]), r"\sbpexp{-\sbppact{1}{j}}"),
        (sp.exp(-(z1[j] ** 2) / 2), r"\exp\biggl(-\frac{\bigl(\sbppact{1}{j}\bigr)^{2}}{2}\biggr)"),
        (sp.exp(total(x[k])), r"\exp\Bigl(\sum_{k=1}^{\sbpsize{1}} \sbpinput{k}\Bigr)"),
        (sp.log(1 + sp.exp(z1[j])), r"\ln(1 + \sbpexp{\sbppact{1}{j}})"),
        (sp.log(a1[j]) * total(y[k]), r"(\ln \sbpact{1}{j}) \sum_{k=1}^{\sbpsize{1}} \sbptarget{k}"),
        (sp.tanh(z1[j]), r"\tanh(\sbppact{1}{j})"),
        (sp.Abs(a2[j] - y[j]), r"\lvert\sbpact{2}{j} - \sbptarget{j}\rvert"),
        (sp.sign(a2[j] - y[j]), r"\operatorname{sgn}(\sbpact{2}{j} - \sbptarget{j})"),
        (scalar_function("g", None, 2)(z1[j]), r"\sbpprime{\sbpprime{\sbpfn{g}}}(\sbppact{1}{j})"),
        (scalar_function("my_act", None)(z1[j]), r"\sbpfn{\operatorname{my-act}}(\sbppact{1}{j})"),
        (scalar_function("leaky_relu", None, 1)(z1[j]), r"\sbpprime{\sbpfnleakyrelu}(\sbppact{1}{j})"),
        # cases and brackets
        (sp.Piecewise((1, z1[j] > 0), (0, True)), r"\sbpbracket{\sbppact{1}{j} > 0}"),
        (sp.Piecewise((0, z1[j] > 0), (1, True)), r"\sbpbracket{\sbppact{1}{j} \leq 0}"),
        (
            sp.Piecewise((z1[j], z1[j] > 0), (0, True)),
            r"\begin{cases} \sbppact{1}{j} & \sbpif \sbppact{1}{j} > 0 \\ 0 & \sbpotherwise \end{cases}",
        ),
        (
            sp.Piecewise((x[k], z1[j] > 0), (0, True)) + y[j],
            r"\sbptarget{j} + \begin{cases} \sbpinput{k} & \sbpif \sbppact{1}{j} > 0"
            r" \\ 0 & \sbpotherwise \end{cases}",
        ),
        (
            sp.Piecewise((1, z1[j] > 0), (0, True)) * total(W2[k, j] * d2[k]),
            r"\sbpbracket{\sbppact{1}{j} > 0} \sum_{k=1}^{\sbpsize{1}} \sbpweight{2}{k}{j} \sbpdelta{2}{k}",
        ),
        (sp.KroneckerDelta(j, k), r"\sbpbracket{j = k}"),
        (a1[k] * (sp.KroneckerDelta(j, k) - a1[j]), r"\sbpact{1}{k} (\sbpbracket{j = k} - \sbpact{1}{j})"),
        (Bracket(sp.Le(j - 1, n2)) * a1[j], r"\sbpact{1}{j} \sbpbracket{j - 1 \leq \sbpsize{2}}"),
        # derivatives that are not worked out
        (Partial(C.symbol, W1[j, k]), r"\sbppartial{\sbpexamplecost}{\sbpweight{1}{j}{k}}"),
        (
            total(Partial(C.symbol, z2[k]) * Partial(z2[k], a1[j])),
            r"\sum_{k=1}^{\sbpsize{1}} \sbppartial{\sbpexamplecost}{\sbppact{2}{k}}"
            r" \sbppartial{\sbppact{2}{k}}{\sbpact{1}{j}}",
        ),
        (ExplicitPartial(C.symbol, a1[j]), r"\sbpexplicitpartial{\sbpexamplecost}{\sbpact{1}{j}}"),
        (adjoint[j], r"\sbppartial{\sbpexamplecost}{\sbpact{1}{j}}"),
        # everything else that has a name
        (xhat[k] * mu.symbol, r"\sbpsymbol{\mu} \sbpentry{\hat{x}}{k}"),
        (gamma[j], r"\sbplayerentry{\gamma}{3}{j}"),
        (sp.IndexedBase("h1")[j, k], r"\sbpentry{h_{1}}{j k}"),
        (sp.Symbol("learning_rate"), r"\sbplearningrate"),
        (
            sp.Sum(sp.Indexed("C_x", n), (n, 1, N)) / N + R.symbol,
            r"\frac{1}{\sbpexamples} \sum_{n=1}^{\sbpexamples} \sbpcostof{n} + \sbppenalty",
        ),
        (sp.Indexed("adjoint_a1", n, j), r"\sbppartial{\sbpcostof{n}}{\sbpact{\sbpinexample{n}{1}}{j}}"),
        (sp.Indexed("a1", n, j), r"\sbpact{\sbpinexample{n}{1}}{j}"),
        (sp.Indexed("x", n, k) ** 2, r"\bigl(\sbpofexample{\sbpinput{k}}{n}\bigr)^{2}"),
    ]


@pytest.mark.parametrize(("expr", "expected"), SAMPLES, ids=[expected[:60] for _, expected in SAMPLES])
def test_expected(expr, expected):
    assert latex(expr, NAMES) == expected


def test_sizes_are_printed_as_the_spec_has_them():
    summed = total(total(W1[j, k]), j, n2)
    names = Names.of(KNOWN, [(n1, sp.Integer(3)), (n2, sp.Symbol("m_2", integer=True, positive=True))])
    assert latex(summed, names) == r"\sum_{j=1}^{\sbpsymbol{m_{2}}} \sum_{k=1}^{3} \sbpweight{1}{j}{k}"


def test_an_index_never_has_the_letter_of_a_size():
    m = sp.Symbol("m", integer=True, positive=True)
    names = Names.of(KNOWN, [(n1, m)])
    expected = r"\sum_{j=1}^{\sbpsymbol{m}} \sbpweight{1}{i}{j} \sbpinput{j}"
    assert latex(total(W1[i, m] * x[m], m), names) == expected


def test_a_general_layer():
    network = {
        "name": "general",
        "depth": "L",
        "input": {"size": "n_0"},
        "layers": [{"size": "n_l", "activation": "tanh"}, {"size": "n_L", "activation": {"symbol": "g"}}],
        "cost": {"kind": "squared_error"},
    }
    model = forward_model(from_mapping(network))
    names = Names.of(model.program.quantities.values(), model.sizes)
    shown = [latex(equation.rhs, names) for equation in model.program]
    assert shown[0] == (
        r"\sum_{k=1}^{\sbpsize{\sbpanylayer-1}} \sbpweight{\sbpanylayer}{j}{k} "
        r"\sbpact{\sbpanylayer-1}{k} + \sbpbias{\sbpanylayer}{j}"
    )
    assert shown[4] == r"\sbpfn{g}(\sbppact{\sbplastlayer}{j})"
    assert shown[5] == (
        r"\sum_{j=1}^{\sbpsize{\sbplastlayer}} (\sbpact{\sbplastlayer}{j} - \sbptarget{j})^{2}"
    )


@pytest.mark.parametrize(
    ("node", "named"),
    [
        (sp.gamma(z1[j]), "gamma"),
        (1 + sp.Heaviside(z1[j]), "Heaviside"),
        (sp.Derivative(sp.Function("f")(argument("z")), argument("z")), "Derivative"),
        (sp.Product(a1[k], (k, 1, n1)), "Product"),
        (sp.zoo, "ComplexInfinity"),
        (sp.I * a1[j], "ImaginaryUnit"),
        (sp.Max(a1[j], 0), "Max"),
    ],
)
def test_an_unknown_node_is_refused_by_name(node, named):
    with pytest.raises(NoRule, match=f"no rule prints .*{named}"):
        latex(node, NAMES)


def test_a_wrong_number_of_indices_is_refused():
    with pytest.raises(NoRule, match="W1 has 2 indices, not 1"):
        latex(sp.Indexed("W1", j), NAMES)


# --- laws -------------------------------------------------------------------------------------


def specs():
    """Networks that between them use every kind of node."""
    two = {"size": 2, "activation": "sigmoid"}
    yield "plain", [two, {"size": "m", "activation": "sigmoid"}], {"kind": "squared_error", "scale": "1/2"}
    yield (
        "softmax",
        [{"size": 3, "activation": "relu"}, {"size": 2, "activation": "softmax"}],
        {"kind": "cross_entropy"},
    )
    yield (
        "coupled",
        [{"size": 3, "activation": "softmax"}, {"size": 2, "activation": "log_softmax"}],
        {"kind": "absolute_error"},
    )
    yield "binary", [{"size": 3, "activation": "gelu_tanh"}, two], {"kind": "binary_cross_entropy"}
    yield (
        "open",
        [{"size": 3, "activation": {"symbol": "g"}}, {"size": 2, "activation": "linear"}],
        {"kind": "huber"},
    )


def derived():
    """Every expression that derivations of the networks print, with the names to print it by."""
    for name, layers, cost in specs():
        spec = {
            "name": name,
            "input": {"size": 2},
            "layers": layers,
            "cost": cost,
            "penalty": {"l2": "lambda/(2*N)"},
        }
        model = forward_model(from_mapping(spec))
        adjoints = reverse(model.program, model.facts)
        known = [*model.program.quantities.values(), *model.total.quantities.values()]
        names = Names.of(known + [a.named for a in adjoints if a.named], model.sizes)
        shown = [side for e in (*model.program, *model.total) for side in (e.lhs, e.rhs)]
        shown += [side for a in adjoints for step in a.derivation.steps for side in (step.before, step.after)]
        shown.append(Composition(model.program).written_out(model.cost.symbol))
        yield from ((expr, names) for expr in dict.fromkeys(shown))


def everything():
    """The samples, the derivations and the catalogue."""
    yield from ((expr, NAMES) for expr, _ in SAMPLES)
    yield from derived()
    for name in ACTIVATIONS:
        yield activation_named(name).formula.expr, Names()
    for name in COSTS:
        yield cost_formula(name).expr, Names()


@pytest.fixture(scope="module")
def printed():
    return [(expr, names, latex(expr, names)) for expr, names in everything()]


SIZES_OF_DELIMITERS = {f"{size}{side}" for size in ("big", "Big", "bigg", "Bigg") for side in ("l", "r", "")}
SIGNS = {"frac", "sqrt", "sum", "cdot", "land", "leq", "geq", "neq", "lvert", "rvert", "begin", "end", "pi"}
WORDS = {"exp", "ln", "tanh", "arctan", "operatorname"}
PLAIN_COMMANDS = SIZES_OF_DELIMITERS | SIGNS | WORDS


def test_every_symbol_is_a_macro(printed):
    """Outside of the macros there are signs, numbers, index letters of sums and brackets, nothing else."""
    for _, _, shown in printed:
        bare = re.sub(r"\\sum_\{[a-z]=1\}", "", shown)
        bare = re.sub(r"\\operatorname\{[a-z]+\}|\\(begin|end)\{cases\}", "", bare)
        while "\\sbp" in bare:
            bare = without_macro(bare)
        commands = re.findall(r"\\([A-Za-z]+)", bare)
        assert set(commands) <= PLAIN_COMMANDS, shown
        letters = re.sub(r"\\[A-Za-z]+", "", bare)
        assert not re.search("[A-Za-z]", letters), (shown, letters)


def without_macro(text):
    """The text with its last macro call, arguments and all, taken out."""
    at = text.rindex("\\sbp")
    rest = re.sub(r"^\\sbp[a-z]+", "", text[at:])
    while rest.startswith("{"):
        depth = end = 0
        while not end or depth:
            depth += {"{": 1, "}": -1}.get(rest[end], 0)
            end += 1
        rest = rest[end:]
    return text[:at] + rest


def test_macros_are_defined_and_called_with_their_arguments(printed):
    notation = load_notation()
    for _, _, shown in printed:
        for name in re.findall(r"\\(sbp[a-z]+)", shown):
            assert name in notation, name
        rendered_width(shown, notation)


def test_ascii_one_line_and_balanced(printed):
    for _, _, shown in printed:
        assert shown.isascii() and "\n" not in shown and "  " not in shown
        assert shown.count("{") == shown.count("}")
        assert shown.count("(") == shown.count(")")
        for size in ("big", "Big", "bigg", "Bigg"):
            assert len(re.findall(rf"\\{size}l\b", shown)) == len(re.findall(rf"\\{size}r\b", shown))
        assert r"\left" not in shown


def test_no_superscript_is_put_on_a_superscript(printed):
    """An exponent stands on a parenthesis, a brace, a number or e, and never on a macro's arguments."""
    carries = {
        "sbpact",
        "sbppact",
        "sbpweight",
        "sbpweightwide",
        "sbpbias",
        "sbpdelta",
        "sbplayerentry",
        "sbpexp",
    }
    for _, _, shown in printed:
        for found in re.finditer(r"\}\^\{", shown):
            opened = shown[: found.start() + 1]
            call = re.search(r"\\(sbp[a-z]+)(\{[^{}]*(\{[^{}]*\})*[^{}]*\})+$", opened)
            assert not call or call[1] not in carries, shown


@pytest.mark.slow
def test_the_same_bytes_whatever_the_hash_seed():
    code = (
        "import sys; sys.path.insert(0, 'tests'); import test_latex as t; import hashlib;"
        "text = '|'.join(t.latex(e, n) for e, n in t.everything());"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found = set()
    for seed in ("0", "1", "77"):
        run = subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root},
            capture_output=True,
            text=True,
            check=True,
        )
        found.add(run.stdout)
    assert len(found) == 1


# --- what is printed is read back ---------------------------------------------------------------

SIZE = 2
FUNCTIONS = {
    r"\exp": math.exp,
    r"\ln": math.log,
    r"\tanh": math.tanh,
    r"\arctan": math.atan,
    "erf": math.erf,
    "sgn": lambda v: (v > 0) - (v < 0),
}
LEXEME = re.compile(r"\\[A-Za-z]+|\\\\|\d+(?:\.\d+)?|\S")
COMPARISONS = {
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    r"\leq": lambda a, b: a <= b,
    r"\geq": lambda a, b: a >= b,
    "=": lambda a, b: a == b,
    r"\neq": lambda a, b: a != b,
}


def value_of(symbol):
    """A number between 0 and 1 for a printed symbol, the same every time."""
    return random.Random(symbol).uniform(0.1, 0.9)


def applied(function, argument_value):
    """A smooth function for every name of an activation, told apart by its name."""
    return 0.5 + 0.45 * math.sin(argument_value * (1 + value_of(function)))


class Reader:
    """Evaluates the printer's LaTeX: sums greedy, products by juxtaposition, sizes all 2."""

    def __init__(self, text, letters=None):
        text = re.sub(r"\\\\ (?:\\quad )+(?=\{\})", " ", text)
        text = re.sub(r"\\[bB]igg?[lr]", "", text).replace(r"{} \cdot", r"\cdot").replace("{}", "")
        self.tokens = LEXEME.findall(text)
        self.at = 0
        self.letters = dict(letters or {})

    def read(self):
        found = self.sum()
        assert self.at == len(self.tokens), self.tokens[self.at :]
        return found

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, expected=None):
        token = self.peek()
        assert expected in (None, token), (expected, self.tokens[self.at : self.at + 8])
        self.at += 1
        return token

    def sum(self):
        value = 0.0
        sign = -1 if self.peek() == "-" else 1
        if sign < 0:
            self.take()
        while True:
            value += sign * self.product()
            if self.peek() not in ("+", "-"):
                return value
            sign = 1 if self.take() == "+" else -1

    def product(self):
        value = self.power()
        while self.peek() not in ("", "+", "-", ")", "}", r"\rvert", "&", r"\\", r"\end", *COMPARISONS):
            if self.peek() == "/":
                self.take()
                value /= self.power()
                continue
            if self.peek() == r"\cdot":
                self.take()
            value *= self.power()
        return value

    def power(self):
        value = self.factor()
        if self.peek() == "^":
            self.take()
            value **= self.braced(self.sum)
        return value

    def braced(self, read):
        self.take("{")
        value = read()
        self.take("}")
        return value

    def factor(self):
        token = self.take()
        if token == "(":
            value = self.sum()
            self.take(")")
            return value
        if token == "{":
            value = self.sum()
            self.take("}")
            return value
        if token[0].isdigit():
            return float(token)
        if token in self.letters:
            return float(self.letters[token])
        reader = {
            r"\frac": lambda: self.braced(self.sum) / self.braced(self.sum),
            r"\sqrt": lambda: math.sqrt(self.braced(self.sum)),
            r"\sum": self.summation,
            r"\pi": lambda: math.pi,
            r"\lvert": self.absolute,
            r"\begin": self.cases,
            r"\sbpbracket": lambda: float(self.braced(self.condition)),
            r"\sbpexp": lambda: math.exp(self.braced(self.sum)),
        }.get(token)
        if reader is not None:
            return reader()
        return self.function_or_symbol(token)

    def function_or_symbol(self, token):
        if token == r"\operatorname":
            self.take("{")
            token = ""
            while self.peek() != "}":
                token += self.take()
            self.take("}")
        if token in FUNCTIONS:
            return FUNCTIONS[token](self.power())
        assert token.startswith(r"\sbp"), token
        symbol = token + self.arguments(token)
        if token.startswith(r"\sbpfn") or token == r"\sbpprime":
            return applied(symbol, self.factor())
        return SIZE if token in (r"\sbpsize",) else value_of(symbol)

    def arguments(self, token):
        """The arguments of a macro as text, with numbers for the letters of the sums around it."""
        text = ""
        for _ in range(load_notation()[token[1:]].arguments):
            depth = 0
            while True:
                token = self.take()
                depth += (token == "{") - (token == "}")
                text += str(self.letters.get(token, token))
                if depth == 0:
                    break
        return text

    def summation(self):
        self.take("_"), self.take("{")
        letter = self.take()
        for expected in ("=", "1", "}", "^", "{"):
            self.take(expected)
        depth = 1
        while depth:
            depth += {"{": 1, "}": -1}.get(self.take(), 0)
        start, value, outer = self.at, 0.0, self.letters
        for number in range(1, SIZE + 1):
            self.at = start
            self.letters = {**outer, letter: number}
            value += self.product()
        self.letters = outer
        return value

    def absolute(self):
        value = abs(self.sum())
        self.take(r"\rvert")
        return value

    def condition(self):
        left = self.sum()
        compare = COMPARISONS[self.take()]
        return compare(left, self.sum())

    def cases(self):
        for expected in "{cases}":
            self.take(expected)
        found = None
        while True:
            value = self.sum()
            if self.take() == "\\\\":
                self.take("\\quad")
            holds = self.take() == r"\sbpotherwise" or self.condition()
            found = value if found is None and holds else found
            if self.take() == r"\end":
                break
        self.at += len("{cases}")
        return found


def truth(expr, names):
    """The value of an expression, sums written out, by SymPy and Python's own functions."""
    sizes = {
        s: sp.Integer(SIZE) for s in expr.free_symbols if str(s).startswith("n_") or str(s) in ("N", "n", "m")
    }
    return evaluate(expr, {**sizes, j: sp.Integer(1)}, names)


def evaluate(node, letters, names):
    def again(inner):
        return evaluate(inner, letters, names)

    if isinstance(node, sp.Sum):
        bound = node.limits[0][0]
        inner = node.function if len(node.limits) == 1 else sp.Sum(node.function, *node.limits[1:])
        if len(node.limits) > 1:
            bound, inner = node.limits[-1][0], sp.Sum(node.function, *node.limits[:-1])
        return sum(evaluate(inner, {**letters, bound: sp.Integer(v)}, names) for v in range(1, SIZE + 1))
    if isinstance(node, sp.Add):
        return sum(map(again, node.args))
    if isinstance(node, sp.Mul):
        return math.prod(map(again, node.args))
    if isinstance(node, sp.Pow):
        return again(node.base) ** again(node.exp)
    if isinstance(node, sp.Piecewise):
        return next(again(value) for value, condition in node.args if again(condition))
    if isinstance(node, sp.core.relational.Relational):
        sign = {sp.Gt: ">", sp.Lt: "<", sp.Ge: r"\geq", sp.Le: r"\leq"}[type(node)]
        return COMPARISONS[sign](*map(again, node.args))
    if isinstance(node, sp.KroneckerDelta):
        return float(len({letters.get(arg, arg) for arg in node.args}) == 1)
    if isinstance(node, Bracket):
        return float(bool(node.args[0].xreplace(letters)))
    if node in (sp.true, sp.false):
        return bool(node)
    if node.is_Number or node.is_NumberSymbol:
        return float(node)
    if isinstance(node, Partial | sp.Indexed | sp.Symbol):
        return leaf(node, letters, names)
    name = latex(node.func(argument("z")), names) if type(node).__name__ != "exp" else ""
    value = again(node.args[0])
    if hasattr(node, "formula"):
        return applied(name.removesuffix(r"(\sbppactletter)"), value)
    known = {
        "exp": math.exp,
        "log": math.log,
        "tanh": math.tanh,
        "atan": math.atan,
        "erf": math.erf,
        "Abs": abs,
    }
    return FUNCTIONS["sgn"](value) if type(node).__name__ == "sign" else known[type(node).__name__](value)


def leaf(node, letters, names):
    """A symbol's value: that of its LaTeX with numbers for the letters."""
    if node in letters:
        return float(letters[node])
    bound = {letter: v for letter, v in letters.items() if not str(letter).startswith("n_")}
    shown = latex(node.xreplace(bound) if isinstance(node, Partial | sp.Indexed) else node, names)
    return Reader(shown).read()


def test_the_reader_can_tell_a_difference():
    right = latex(a1[j] * (1 - a1[j]), NAMES)
    assert Reader(right, {"j": 1}).read() == pytest.approx(truth(a1[j] * (1 - a1[j]), NAMES))
    wrong = right.replace("(1 -", "(1 +")
    assert Reader(wrong, {"j": 1}).read() != pytest.approx(truth(a1[j] * (1 - a1[j]), NAMES))
    lost = latex(total(a1[k] - y[k]), NAMES).replace("(", "", 1).replace(")", "", 1)
    with pytest.raises((AssertionError, KeyError)):
        assert Reader(lost, {"j": 1}).read() == pytest.approx(truth(total(a1[k] - y[k]), NAMES))


SKIPPED_LETTERS = {"N", "n", "m"}


def readable(expr):
    """Whether the reader knows every symbol: sizes are all 2 in it, so none may stand as a symbol."""
    return not any(str(s) in SKIPPED_LETTERS for s in expr.free_symbols) and not expr.has(sp.Float)


def letters_of(expr):
    return {str(s): 1 if s == j else 2 for s in expr.free_symbols if str(s) in "jki"}


def check_reading(expr, names, shown):
    free = {s: sp.Integer(1 if s == j else 2) for s in expr.free_symbols if str(s) in ("j", "k", "i")}
    expected = evaluate(
        expr, {**{s: sp.Integer(SIZE) for s in expr.free_symbols if str(s).startswith("n_")}, **free}, names
    )
    assert Reader(shown, letters_of(expr)).read() == pytest.approx(expected, rel=1e-9), shown


def test_what_is_printed_has_the_value_of_the_expression(printed):
    checked = 0
    for expr, names, shown in printed:
        numeric = Names(names.notation, names.quantities, {})
        if readable(expr) and expr.free_symbols and "cdot 10" not in shown:
            check_reading(expr, numeric, latex(expr, numeric))
            checked += 1
    assert checked > 200


def random_expression(rng, depth):
    """Some expression of the kinds that derivations have, products and sums left as they come."""
    leaves = [
        a1[j],
        a2[j],
        y[j],
        W1[j, 1],
        x[1],
        z1[j],
        d2[j],
        Partial(C.symbol, z1[j]),
        lam,
        sp.Integer(rng.randint(1, 9)),
    ]
    if depth == 0:
        return rng.choice(leaves)
    inner = [random_expression(rng, depth - 1) for _ in range(rng.randint(2, 3))]
    return rng.choice(
        [
            lambda: sp.Add(*inner),
            lambda: sp.Add(inner[0], -inner[1]),
            lambda: sp.Mul(*inner),
            lambda: apart(*inner),
            lambda: sp.Mul(-1, *inner),
            lambda: sp.Mul(sp.Rational(rng.randint(-9, 9) or 1, rng.choice([2, 3, 100])), inner[0]),
            lambda: inner[0] / (1 + sp.exp(inner[1] / 50)),
            lambda: sp.Sum(inner[0].xreplace({j: k}) if inner[0].has(j) else inner[0], (k, 1, n1)),
            lambda: sp.exp(inner[0] / 50),
            lambda: sp.log(1 + sp.exp(inner[0] / 50)),
            lambda: sp.Pow(sp.Abs(inner[0]), rng.choice([2, sp.Rational(1, 2), 3])),
            lambda: sigma(inner[0]),
            lambda: slope(inner[0]) * inner[1],
            lambda: sp.Piecewise((inner[0], a1[j] > lam), (inner[-1], True)) * rng.choice([1, x[1]]),
            lambda: sp.KroneckerDelta(j, 2) * inner[0] + inner[1],
            lambda: 1 / (1 + inner[0] ** 2),
        ]
    )()


@pytest.mark.parametrize("seed", range(150))
def test_random_expressions_are_read_back(seed):
    rng = random.Random(seed)
    with distribute(False):
        expr = random_expression(rng, rng.randint(1, 4))
    if not expr.free_symbols or expr.has(sp.nan, sp.zoo, sp.oo):
        return
    try:
        shown = latex(expr, NAMES)
        check_reading(expr, NAMES, shown)
        rows = latex_rows(expr, NAMES, rng.choice([20, 40, 70]))
        check_reading(expr, NAMES, " ".join(re.sub(r"^(?:\\quad )+", "", row) for row in rows))
    except OverflowError:
        return


# --- lines --------------------------------------------------------------------------------------


def composite(activation, cost, layers=3):
    kinds = [{"size": "h", "activation": activation}] * layers
    spec = {"name": "deep", "input": {"size": "d"}, "layers": kinds, "cost": {"kind": cost}}
    model = forward_model(from_mapping(spec))
    names = Names.of(model.program.quantities.values(), model.sizes)
    return Composition(model.program).written_out(model.cost.symbol), names


@pytest.mark.parametrize("budget", [35, 50, 70])
@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_a_long_row_is_broken_to_fit(activation, budget):
    expr, names = composite(activation, "binary_cross_entropy", 2)
    rows = latex_rows(expr, names, budget)
    assert len(rows) > 1
    for at, row in enumerate(rows):
        assert rendered_width(row, names.notation) <= (budget if at == 0 else budget - INDENT + 2.5), row
        assert at == 0 or row.replace(r"\quad ", "").startswith("{}")


def test_rows_break_as_far_outside_as_they_can():
    inner = total(W1[j, k] * (x[k] - y[k])) + b1[j]
    expr = inner + total(W2[j, k] * (a1[k] - y[k])) - b2[j]
    rows = latex_rows(expr, NAMES, 30)
    assert rows == [
        r"\sum_{k=1}^{\sbpsize{1}} \sbpweight{1}{j}{k} (\sbpinput{k} - \sbptarget{k})"
        r" + \sum_{k=1}^{\sbpsize{1}} \sbpweight{2}{j}{k} (\sbpact{1}{k} - \sbptarget{k})",
        r"{} + \sbpbias{1}{j} - \sbpbias{2}{j}",
    ]
    assert latex_rows(expr, NAMES) == [latex(expr, NAMES)]


def test_a_row_that_starts_inside_delimiters_is_indented_for_each_of_them():
    expr = sp.cos(x[j] + sp.sin(a1[j] + a1[k] + b1[j] + b1[k] + x[k]))
    rows = latex_rows(expr, NAMES, 20)
    assert rows[1].startswith(r"\quad \quad {} + ")


def test_a_sum_breaks_between_its_terms_before_a_factor_of_one():
    expr = sp.Mul(*(a1[number] for number in range(1, 6))) - y[1] * y[2] * y[3]
    assert latex_rows(expr, NAMES, 18)[1].startswith("{} - ")


def test_a_product_breaks_before_a_factor():
    expr = sp.Mul(*(a1[number] for number in range(1, 9)))
    rows = latex_rows(expr, NAMES, 14)
    assert rows[1].startswith(r"{} \cdot \sbpact")


def test_a_network_of_fifty_layers_is_printed():
    expr, names = composite("sigmoid", "squared_error", 50)
    rows = latex_rows(expr, names)
    assert len(rows) > 10
    assert " ".join(rows).count(r"\sbpfnsigma") == 50


# --- TeX ----------------------------------------------------------------------------------------


def typeset(program, folder, body, preamble=""):
    (folder / "symbackprop.sty").write_text(style_package(load_notation()))
    source = (
        r"\documentclass{article}\usepackage{symbackprop}\hfuzz=10pt"
        f"\n{preamble}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"
    )
    assert source.isascii()
    (folder / "t.tex").write_text(source)
    run = subprocess.run(
        [program, "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:]
    return run.stdout


def test_everything_compiles_and_nothing_is_overfull(tex, tmp_path, printed):
    blocks = []
    for expr, names, _ in printed:
        rows = [
            rf"&{row}" if at == 0 else rf"&\quad {row}" for at, row in enumerate(latex_rows(expr, names, 66))
        ]
        blocks.append("\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}")
    log = typeset(tex, tmp_path, "\n".join(blocks))
    assert "Overfull" not in log
    assert "undefined" not in log


def test_estimated_widths_are_those_of_tex(tex, tmp_path, printed):
    """Within an eighth, or two characters for short formulas, of what TeX measures."""
    shown = sorted({row for _, _, row in printed if r"\begin" not in row})
    lines = [rf"\setbox0=\hbox{{$\displaystyle {row}$}}\typeout{{WIDTH \the\wd0}}" for row in shown]
    log = typeset(tex, tmp_path, "\n".join(lines))
    measured = [float(width) / 5.0 for width in re.findall(r"WIDTH ([\d.]+)pt", log)]
    assert len(measured) == len(shown)
    for row, width in zip(shown, measured, strict=True):
        estimate = rendered_width(row, load_notation())
        assert abs(estimate - width) <= max(2.0, 0.12 * width), (row, estimate, width)


# --- text and letters ---------------------------------------------------------------------------

TITLES = [
    (r"\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
    (r"\write18{rm}", r"\textbackslash{}write18\{rm\}"),
    ("100% & #1 _x_ $5 ~ ^", r"100\% \& \#1 \_x\_ \$5 \textasciitilde{} \textasciicircum{}"),
    ("two\nlines\t and\r\nmore ", "two lines and more"),
    ("Müller, café, Đ, Ångström", r"M\"{u}ller, caf\'{e}, {[}U+0110{]}, \AA{}ngstr\"{o}m"),
    ("σ and Δ, Ω", r"\ensuremath{\sigma} and \ensuremath{\Delta}, \ensuremath{\Omega}"),
    ("[1] 神経\x07", r"{[}1{]} {[}U+795E{]}{[}U+7D4C{]}{[}U+0007{]}"),
    (
        'a < b > c | "q" `x`',
        r"a \textless{} b \textgreater{} c \textbar{} ''q'' \textasciigrave{}x\textasciigrave{}",
    ),
    ("Dąbrowski ñ î", r"Dabrowski \~{n} \^{\i}"),
]


@pytest.mark.parametrize(("text", "expected"), TITLES)
def test_free_text_is_escaped(text, expected):
    assert escape_text(text) == expected


def test_any_text_compiles(tex, tmp_path):
    rng = random.Random(5)
    odd = ["".join(rng.choice(r"\{}$&%#_^~<>|\"`'[]()-=*abcz0?!,") for _ in range(40)) for _ in range(20)]
    wide = [
        "".join(chr(c) for c in range(first, first + 64))
        for first in (32, 160, 224, 256, 320, 880, 944, 8208)
    ]
    typeset(tex, tmp_path, "\n\n".join(escape_text(text) for text in [*odd, *wide, *(t for t, _ in TITLES)]))


def test_letters_of_names():
    shown = {
        name: letter_of(name) for name in ("alpha", "x", "m_2", "W12", "sigmahat", "rate_max", "hat", "α")
    }
    assert shown == {
        "alpha": r"\alpha",
        "x": "x",
        "m_2": "m_{2}",
        "W12": "W_{12}",
        "sigmahat": r"\hat{\sigma}",
        "rate_max": r"\mathit{rate}_{\mathit{max}}",
        "hat": r"\mathit{hat}",
        "α": "U03B1",
    }


def test_indices():
    assert [index(expr, NAMES) for expr in (k - 1, j + k, 2 * k + 1, sp.Integer(3), n2 - k)] == [
        "k-1",
        "j+k",
        "2k+1",
        "3",
        r"\sbpsize{2}-k",
    ]
    with pytest.raises(NoRule, match="no rule prints the index"):
        index(k**2, NAMES)


# --- what is long ----------------------------------------------------------------------------------


def test_a_formula_of_thousands_of_symbols_is_measured():
    symbols = " + ".join([r"\sbpact{2}{j}"] * 3000)
    assert expanded(symbols, load_notation()).count("a^{2}_{j}") == 3000
    assert rendered_width(symbols, load_notation()) > 3000


def test_macros_side_by_side_are_kept_apart():
    notation = load_notation()
    assert expanded(r"\cdot\sbpact{2}{j}\sbpact{1}{k}", notation) == r"\cdot a^{2}_{j}a^{1}_{k}"


def test_what_is_longer_than_asked_for_is_not_broken_into_rows():
    entries = sp.Add(*(a2[j] * x[number] for number in range(1, 200)))
    rows = latex_rows(entries, budget=40)
    assert len(rows) > 20 and latex_rows(entries, budget=40, most=20) == []
    few = sp.Add(*(a2[j] * x[number] for number in range(1, 12)))
    assert latex_rows(few, budget=40, most=8) == latex_rows(few, budget=40)


def test_no_row_that_fits_is_taken_for_a_long_one():
    """The width that an expression can't be below is below that of every formula printed here."""
    for expr, _ in SAMPLES:
        assert latex_rows(expr, NAMES, most=1) == latex_rows(expr, NAMES) or len(latex_rows(expr, NAMES)) > 1


def test_spelling_is_that_of_sympy():
    for expr, _ in SAMPLES:
        assert spelled(expr) == str(expr)
