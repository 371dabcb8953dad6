"""Random formulas of the grammar, printed, read back by a reader that knows no printer, and checked.

A formula's value comes from its text, by mpmath; a derivative's from differences of that.
"""

from __future__ import annotations

import re

import pytest
import sympy as sp
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from latex_reader import Ambiguous, NotReal, mp, read
from saturation import formula as value_of
from saturation import mp as reference

import symbackprop as sb
from symbackprop.algebra.calculus import derivative
from symbackprop.errors import NoRule, SymbackpropError
from symbackprop.printing.latex import latex
from symbackprop.printing.linebreak import latex_rows
from symbackprop.spec.formula import parse_formula

_INDENT = re.compile(r"^(?:\\quad )+")
"""What a row inside brackets starts with: it means nothing."""

SYMBOLS = {"z": r"\sbppactletter", "a": r"\sbpactletter", "y": r"\sbptargetletter"}
POINTS = {"z": ("0.37", "-1.3", "2.2"), "a": ("0.37", "-1.3", "2.2"), "y": ("0.9", "-0.45", "1.6")}
"""No two alike, so that no edge such as a = y is hit: there a difference is no derivative."""

NUMBERS = ("2", "3", "0.5", "0.044715", "1", "10", "pi", "1/3", "100", "1.702", "2000000000000")
POWERS = ("2", "3", "4", "(-1)", "(-2)", "(1/2)", "1.5", "(-1/2)")
FUNCTIONS = ("exp", "log", "sin", "cos", "tan", "tanh", "sinh", "cosh", "sqrt", "abs", "arctan", "erf")


def examples(count):
    """So many, the same in each run: what the slow tests find has more of them."""
    quiet = list(HealthCheck)
    return settings(max_examples=count, derandomize=True, deadline=None, suppress_health_check=quiet)


def formulas(variables: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Texts in the grammar of formulas, with every parenthesis written."""
    leaves = st.sampled_from([*variables * 3, *NUMBERS])

    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        pairs = st.tuples(inner, inner)
        cases = st.tuples(inner, st.sampled_from((">", "<", ">=", "<=")), inner, inner, inner)
        return st.one_of(
            st.tuples(pairs, st.sampled_from("+-*/*-")).map(lambda t: f"({t[0][0]}) {t[1]} ({t[0][1]})"),
            inner.map(lambda text: f"-({text})"),
            st.tuples(inner, st.sampled_from(POWERS)).map(lambda t: f"({t[0]})**{t[1]}"),
            st.tuples(st.sampled_from(FUNCTIONS), inner).map(lambda t: f"{t[0]}({t[1]})"),
            cases.map(lambda t: f"where({t[0]} {t[1]} {t[2]}, {t[3]}, {t[4]})"),
            st.tuples(st.sampled_from(("max", "min")), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
        )

    return st.recursive(leaves, larger, max_leaves=9)


TEXTS = st.one_of(
    st.tuples(st.just(("z",)), formulas(("z",))), st.tuples(st.just(("a", "y")), formulas(("a", "y")))
)


def parsed(variables, text):
    try:
        return parse_formula(text, variables).expr
    except SymbackpropError:
        assume(False)


def printings(expr):
    """On one line, in rows of an article, and in rows so short that fractions and cases turn."""
    yield latex(expr)
    for budget in (40, 18):
        yield " ".join(_INDENT.sub("", row) for row in latex_rows(expr, budget=budget))


@reference.workdps(160)  # the reader has 40 digits; a step of 1e-40 takes twice its own away
def value_at(text, point, wrt=None):
    """The value of a text, or its slope; ``None`` where it has none."""
    if wrt is None:
        return value_of(text, **point)
    step = reference.mpf("1e-40")
    around = [value_of(text, **{**point, wrt: point[wrt] + by}) for by in (step, -step)]
    return None if None in around else (around[0] - around[1]) / (2 * step)


def check(text, variables, expr, wrt=None):
    texs = list(printings(expr))
    for place in range(3):
        numbers = {name: POINTS[name][place] for name in variables}
        expected = value_at(text, {name: reference.mpf(n) for name, n in numbers.items()}, wrt)
        for tex in texs if expected is not None else ():
            try:
                found = read(tex, {SYMBOLS[name]: number for name, number in numbers.items()})
            except NotReal:
                continue
            error = abs(mp.mpc(found) - mp.mpf(expected))
            assert error <= 1e-20 * max(1, abs(mp.mpf(expected))), f"{text} printed as {tex}, at {numbers}"


def test_the_reader_refuses_what_can_be_read_in_two_ways():
    symbols = {r"\sbppactletter": 3}
    for tex in (
        r"1/2 \sbppactletter",
        r"\ln \sbppactletter \sbppactletter",
        r"\sbppactletter - - 1",
        r"2 3",
        r"\sin(\sbppactletter)^{2}",
        r"(\sbppactletter",
        r"\sbppactletter^{2}^{2}",
    ):
        with pytest.raises(Ambiguous):
            read(tex, symbols)
    assert (
        read(r"-\sbppactletter^{2} + 2 \cdot 5 (1 - \ln 2)".replace("ln 2", "sbppactletter"), symbols) == -29
    )


@given(TEXTS)
@examples(60)
def test_a_printed_formula_reads_back_as_what_was_typed(given_):
    variables, text = given_
    check(text, variables, parsed(variables, text))


@given(TEXTS)
@examples(40)
def test_a_printed_derivative_reads_back_as_the_slope_of_what_was_typed(given_):
    variables, text = given_
    expr = parsed(variables, text)
    wrt = variables[0]
    symbol = next(s for s in expr.free_symbols if s.name == wrt)
    check(text, variables, derivative(expr, symbol), wrt)


@pytest.mark.slow
@given(TEXTS)
@examples(800)
def test_many_printed_formulas_read_back(given_):
    variables, text = given_
    expr = parsed(variables, text)
    check(text, variables, expr)
    symbol = next(s for s in expr.free_symbols if s.name == variables[0])
    check(text, variables, derivative(expr, symbol), variables[0])


def certificate_of(activation, cost):
    """The certificate of a small network with formulas of one's own; nothing where a spec refuses it."""
    data = {
        "name": "random",
        "input": {"size": 2},
        "layers": [
            {"size": 3, "activation": {"formula": activation}},
            {"size": 2, "activation": {"formula": activation}},
        ],
        "cost": {"formula": cost},
    }
    try:
        return sb.derive(sb.from_mapping(data)).certificate()
    except NoRule:
        raise
    except SymbackpropError:
        assume(False)


def failures(certificate):
    return [f"{f.label}: {f.equality} {f.residual} {f.reason}" for f in certificate.findings if not f.holds]


@given(formulas(("z",)), formulas(("a", "y")))
@examples(4)
def test_what_is_derived_from_random_formulas_holds(activation, cost):
    assert not failures(certificate_of(activation, cost))


@pytest.mark.slow
@given(formulas(("z",)), formulas(("a", "y")))
@examples(24)
def test_what_is_derived_from_many_random_formulas_holds(activation, cost):
    assert not failures(certificate_of(activation, cost))


def test_a_number_goes_before_what_it_is_multiplied_with():
    """A decimal that all terms of a sum have in common is a factor, and not one in the middle."""
    a, y = sp.symbols("a y", real=True)
    tenths = sp.Rational(7, 10) - sp.Rational(7, 10) * a
    product = r"\sbptargetletter (1 - \sbpactletter)"
    assert latex(y * tenths) == rf"0.7 {product}"
    assert latex(3 * y * tenths) == rf"2.1 {product}"
    assert latex(-y * tenths / 3) == rf"-\frac{{7}}{{30}} {product}"
