"""Differentiation of one expression: the same as SymPy's, entry by entry, and once for each part."""

import random

import pytest
import sympy as sp
from sympy.core.parameters import distribute

from symbackprop.algebra import calculus
from symbackprop.algebra.calculus import derivative
from symbackprop.algebra.functions import scalar_function
from symbackprop.algebra.indices import index_symbol, size_symbol
from symbackprop.network import argument

j, k, p, q = map(index_symbol, "jkpq")
n = size_symbol("n")
W, x = sp.IndexedBase("W", real=True), sp.IndexedBase("x", real=True)
u, v = sp.symbols("u v", positive=True)
SIGMA = scalar_function("sigma", 1 / (1 + sp.exp(-argument("z"))))

SCALAR = [
    3 * u**2 - v,
    sp.sqrt(u) / v,
    u**v,
    2**u,
    sp.exp(-(u**2)) * sp.log(1 + u * v),
    sp.sin(u) * sp.cos(v) - sp.tan(u * v),
    sp.sinh(u) + sp.cosh(u) * sp.tanh(u),
    sp.atan(u) + sp.erf(u / v),
    sp.Abs(u - v),
    sp.Piecewise((u**2, u > v), (v * u, True)),
    sp.pi * u + sp.E,
]


@pytest.mark.parametrize("expr", SCALAR, ids=str)
@pytest.mark.parametrize("wrt", [u, v], ids=str)
def test_scalar_derivatives_agree_with_a_difference_quotient(expr, wrt):
    point = {u: sp.Rational(3, 7), v: sp.Rational(5, 4)}
    step = sp.Rational(1, 10**15)
    ends = (expr.xreplace({**point, wrt: point[wrt] + s * step}) for s in (1, -1))
    ahead, behind = (sp.N(end, 60) for end in ends)
    assert abs(sp.N(derivative(expr, wrt).xreplace(point), 60) - (ahead - behind) / (2 * step)) < 1e-20


@pytest.mark.parametrize(
    "expr",
    [
        sp.Sum(W[j, k] * x[k], (k, 1, n)),
        sp.exp(x[j]) / sp.Sum(sp.exp(x[k]), (k, 1, n)),
        sp.log(sp.Sum(sp.exp(x[k]), (k, 1, n))),
        sp.Sum(sp.Sum(W[j, k] ** 2 * x[j], (k, 1, n)), (j, 1, n)),
        sp.Sum(x[p] * W[p, j], (p, 1, n)),
    ],
    ids=str,
)
@pytest.mark.parametrize("wrt", [x[p], W[p, q]], ids=str)
def test_indexed_derivatives_agree_with_sympys_on_the_written_out_expression(expr, wrt):
    size = {n: sp.Integer(3)}
    place = {p: sp.Integer(2), q: sp.Integer(3), j: sp.Integer(3)}
    mine = derivative(expr, wrt).xreplace(size).doit().subs(place)
    scalar = expr.xreplace(size).doit().xreplace(place)
    theirs = sp.diff(scalar, wrt.xreplace(place))
    values = {
        entry: sp.Rational(place, 7)
        for place, entry in enumerate(sorted(scalar.atoms(sp.Indexed), key=str), 1)
    }
    assert sp.N((mine - theirs).xreplace(values).doit(), 30, chop=1e-25) == 0


def test_the_letter_of_a_sum_does_not_capture_the_letter_of_the_entry():
    total = sp.Sum(x[p] ** 2, (p, 1, n))
    slope = derivative(total, x[p])
    assert p in slope.free_symbols
    assert slope.xreplace({n: sp.Integer(3)}).doit().subs(p, 2).doit() == 2 * x[2]


def test_a_function_with_a_formula_gets_a_named_derivative():
    assert str(derivative(SIGMA(x[j]), x[j])) == "sigma'(x[j])"
    assert derivative(SIGMA(v), u) == 0


def test_each_distinct_part_is_differentiated_once(monkeypatch):
    """A graph of 40 squares on each other has a tree of 2**40 leaves."""
    visited = []
    rule = calculus._derivative

    def counting(node, wrt, visit):
        visited.append(node)
        return rule(node, wrt, visit)

    monkeypatch.setattr(calculus, "_derivative", counting)
    expr = u
    with distribute(False):
        for _ in range(40):
            expr = sp.sin(expr) * sp.cos(expr) + expr
        derivative(expr, u)
    assert len(visited) < 40 * 8


def test_a_fuzz_of_compositions(seed=None):
    seed = random.randrange(10**6) if seed is None else seed
    print(f"seed {seed}")
    draw = random.Random(seed)
    unary = (sp.sin, sp.atan, sp.tanh, lambda e: 1 / (1 + e**2), lambda e: sp.exp(-(e**2)))
    for _ in range(25):
        expr = u
        for _ in range(3):
            expr = draw.choice(unary)(draw.choice((expr * v, expr + u, expr - 2 * v, expr**2)))
        point = {u: sp.Float(draw.uniform(0.2, 1.5), 40), v: sp.Float(draw.uniform(0.2, 1.5), 40)}
        difference = derivative(expr, u) - sp.diff(expr, u)
        assert abs(difference.xreplace(point).evalf(30)) < 1e-20, f"seed {seed}: {expr}"
