"""Laws of the rewriting rules: a rewrite keeps the value, and the order of terms and letters is no matter.

Values are exact: sums are written out for sizes 2 and 3, entries are random fractions, and a Kronecker
delta of two numbers is 0 or 1.
"""

import random
from fractions import Fraction
from itertools import product

import pytest
import sympy as sp
from sympy.core.parameters import distribute

from symbackprop.algebra import rules
from symbackprop.algebra.calculus import derivative
from symbackprop.algebra.equations import Bracket, Equation, Fact, Quantity, Role
from symbackprop.algebra.functions import prime, scalar_function
from symbackprop.algebra.indices import alpha, index_symbol, rename_bound, size_symbol
from symbackprop.algebra.rules import Context
from symbackprop.derivation.chain import DELTA_FORM, SIMPLIFY
from symbackprop.errors import NoRule
from symbackprop.network import argument

i, j, k, p, q = map(index_symbol, "ijkpq")
n, m = size_symbol("n"), size_symbol("m")
SIZES = {n: 2, m: 3}
WHOLE = {size: sp.Integer(number) for size, number in SIZES.items()}
W, x, y = (sp.IndexedBase(name, real=True) for name in "Wxy")
D = sp.KroneckerDelta
CONTEXT = Context(ranges={p: n, q: m})
KEEPING = tuple(dict.fromkeys(rule for rule in (*DELTA_FORM, *SIMPLIFY) if rule is not rules.use_facts))


class Values:
    """A random fraction for each entry, the same one whenever it is asked for."""

    def __init__(self, seed):
        self.seed = seed

    def entry(self, node):
        draw = random.Random(f"{node} {self.seed}")
        return sp.Rational(draw.choice((-1, 1)) * draw.randint(1, 9), draw.randint(1, 7))

    def value(self, expr, places):
        """The number that an expression is at these places."""
        if isinstance(expr, sp.Sum):
            *inner, (bound, _, upper) = expr.limits
            body = sp.Sum(expr.function, *inner) if inner else expr.function
            last = int(upper.xreplace({**SIZES, **places}))
            return sp.Add(*(self.value(body, {**places, bound: sp.Integer(c)}) for c in range(1, last + 1)))
        if isinstance(expr, sp.Indexed):
            return self.entry(expr.xreplace(places))
        if isinstance(expr, sp.KroneckerDelta | Bracket):
            return expr.xreplace({**WHOLE, **places})
        if isinstance(expr, sp.Symbol):
            return sp.sympify({**SIZES, **places}.get(expr) or self.entry(expr))
        if not expr.args:
            return expr
        if isinstance(expr, sp.Piecewise):
            pairs = ((self.value(v, places), self.condition(c, places)) for v, c in expr.args)
            return next(v for v, holds in pairs if holds)
        return expr.func(*(self.value(arg, places) for arg in expr.args))

    def condition(self, node, places):
        if node in (True, sp.true):
            return True
        left, right = (self.value(side, places) for side in node.args)
        return bool(node.func(left, right))


def same_value(before, after, seed=0, free=(p, q)):
    """Both sides at every place, with three draws of values."""
    sizes = {p: n, q: m}
    for draw in range(3):
        values = Values(f"{seed} {draw}")
        for numbers in product(*(range(1, SIZES[sizes[letter]] + 1) for letter in free)):
            places = {letter: sp.Integer(number) for letter, number in zip(free, numbers, strict=True)}
            difference = values.value(before, places) - values.value(after, places)
            assert sp.expand(difference) == 0, f"{before} is not {after} at {places}"


def total(body, *limits):
    for letter, size in limits:
        body = sp.Sum(body, (letter, 1, size))
    return body


EXPRESSIONS = {
    "a delta in a sum": total(W[i, j] * D(i, p) * x[j], (i, n), (j, m)),
    "two deltas": total(D(i, p) * D(j, q) * x[j] * W[i, j], (i, n), (j, m)),
    "a delta within a power of a sum": total(D(i, p) * total(x[k], (k, m)) ** 2, (i, n)),
    "a delta below a sum": total(x[i] * total(D(i, p) * W[i, k], (k, m)), (i, n)),
    "a delta in a bracketed sum of terms": total(x[i] * (D(i, p) + 2 * y[i]), (i, n)),
    "a delta of a shifted index": total(x[i] * D(i + 1, q), (i, n)),
    "a delta of a difference": total(x[i] * W[i, q] * D(q - i, 1), (i, n)),
    "a delta with twice the index": total(x[i] * D(2 * i, q), (i, n)),
    "a delta out of range": total(x[i] * D(i, q), (i, n)),
    "a delta in branches": total(sp.Piecewise((D(i, p) * x[i], x[i] > 0), (0, True)), (i, n)),
    "a delta and a triangle": total(total(D(i, p) * W[i, k], (k, i)), (i, n)),
    "constant factors": total(3 * x[p] * W[p, j] * y[q], (j, m)),
    "a constant alone": total(x[p], (j, m)),
    "constant factors, nested": total(total(y[i] * x[p] * W[i, j], (j, m)), (i, n)),
    "a common factor": x[p] * y[q] ** 2 - 2 * x[p] * y[q] + x[p] * y[q] * W[p, q],
    "a common factor under a sum": total(x[p] * W[p, j] + x[p] * y[j], (j, m)),
    "a fraction to cancel": x[p] * (y[q] / x[p] - W[p, q]),
    "a nested fraction": (x[p] + 1) * x[p] ** 2 * (y[q] / (x[p] + 1) + 1 / x[p]),
    "like terms": x[p] * (1 - y[q]) + x[p] * y[q],
    "a product of two sums": total(x[i], (i, n)) * total(x[i] * D(i, p), (i, n)),
    "two sums within a sum": total(D(k, q) * total(W[i, k], (i, n)) * total(x[i] * W[i, k], (i, n)), (k, m)),
}


@pytest.mark.parametrize("rule", KEEPING, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_rule_keeps_the_value(name, rule):
    with distribute(False):
        expr = rename_bound(EXPRESSIONS[name])
        same_value(expr, rule(expr, CONTEXT))


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_rules_one_after_another_keep_the_value(name):
    with distribute(False):
        expr = rename_bound(EXPRESSIONS[name])
        result = expr
        for rule in (*DELTA_FORM, *SIMPLIFY, *DELTA_FORM, *SIMPLIFY):
            result = rename_bound(rule(result, CONTEXT))
        same_value(expr, result)


def test_values_that_differ_are_noticed():
    with pytest.raises(AssertionError, match="is not"):
        same_value(total(x[i] * D(i, q), (i, n)), x[q])
    with pytest.raises(AssertionError, match="is not"):
        same_value(total(W[p, j], (j, m)), total(W[p, j], (j, n)))


@pytest.mark.parametrize("name", [name for name in EXPRESSIONS if "delta" in name and "twice" not in name])
def test_deltas_are_gone_after_they_collapse(name):
    result = rules.collapse_kronecker(EXPRESSIONS[name], CONTEXT)
    assert not any(delta.free_symbols - {p, q, n, m} for delta in result.atoms(D))


def test_a_shift_becomes_a_condition():
    shifted = rules.collapse_kronecker(total(x[i] * D(i + 1, q), (i, n)), CONTEXT)
    assert shifted == x[q - 1] * Bracket(sp.And(q - 1 >= 1, q - 1 <= n))


def test_a_range_that_is_known_leaves_no_condition():
    picked = total(x[i] * D(i, p), (i, n))
    assert rules.collapse_kronecker(picked, CONTEXT) == x[p]
    assert rules.collapse_kronecker(picked, Context()).has(Bracket)


def test_sums_of_each_others_length_do_not_change_places():
    triangle = total(total(D(i + k, q) * W[i, k], (k, i)), (i, n))
    with pytest.raises(NoRule, match="its length depends on"):
        rules.collapse_kronecker(total(total(D(2 * k, i) * W[i, k], (k, i)), (i, n)), CONTEXT)
    with distribute(False):
        same_value(triangle, rules.collapse_kronecker(triangle, CONTEXT))


# --- definitions and facts ------------------------------------------------------------------------

Z = argument("z")
SIGMOID = scalar_function("sigma", 1 / (1 + sp.exp(-Z)))


def quantity(name, size=n):
    return Quantity(name, name, Role.INTERMEDIATE, None, (size,))


def softmax(size=n):
    a, z = quantity("a", size), quantity("z", size)
    return Equation(a, (j,), sp.exp(z[j]) / total(sp.exp(z[i]), (i, size))), a, z


def test_a_definition_is_read_from_right_to_left():
    equation, a, z = softmax()
    context = Context(definitions=(equation,))
    whole = total(sp.exp(z[k]), (k, n))
    assert rules.fold_definition(sp.exp(z[p]) / whole, context) == a[p]
    assert rules.fold_definition(5 * sp.exp(z[p]) * sp.exp(z[q]) / whole**2, context) == 5 * a[p] * a[q]
    assert rules.fold_definition(sp.exp(2 * z[p]) / whole**2, context) == a[p] ** 2
    other = sp.exp(z[p]) / total(sp.exp(z[k]), (k, m))
    assert alpha(rules.fold_definition(other, context)) == alpha(other)


def test_the_logarithm_of_softmax_is_folded_in_an_exponential():
    a, z = quantity("a"), quantity("z")
    equation = Equation(a, (j,), z[j] - sp.log(total(sp.exp(z[i]), (i, n))))
    folded = rules.fold_definition(
        sp.exp(z[p]) / total(sp.exp(z[k]), (k, n)), Context(definitions=(equation,))
    )
    assert folded == sp.exp(a[p])


def test_a_slope_stands_in_terms_of_the_output():
    a, z = quantity("a"), quantity("z")
    context = Context(definitions=(Equation(a, (j,), SIGMOID(z[j])),))
    slope = prime(SIGMOID)(z[p])
    assert rules.derivative_in_terms_of_output(2 * slope, context) == 2 * a[p] * (1 - a[p])
    assert rules.derivative_in_terms_of_output(slope, Context()) == slope
    other = scalar_function("sigma", sp.sin(Z))
    assert rules.derivative_in_terms_of_output(prime(other)(z[p]), context) == prime(other)(z[p])


def test_a_fact_is_used_whatever_the_letter_of_its_sum():
    fact = Fact("all", total(y[j], (j, n)), sp.S.One)
    expr = x[p] * total(y[k], (k, n)) - total(y[k], (k, m))
    assert alpha(rules.use_facts(expr, Context(facts=(fact,)))) == alpha(x[p] - total(y[k], (k, m)))


# --- fuzz -----------------------------------------------------------------------------------------


def random_expression(draw, depth=3):
    """A sum of products of entries, sums and Kronecker deltas with the free letters p and q."""
    size = {i: n, j: m, k: m}

    def entry(letters):
        pool = [x[letters[0]], y[letters[-1]], W[letters[0], letters[-1]], sp.Integer(draw.randint(2, 5))]
        return draw.choice(pool)

    def build(letters, unused, depth):
        terms = []
        for _ in range(draw.randint(1, 2)):
            factors = [entry(draw.sample(letters, len(letters))) for _ in range(draw.randint(1, 3))]
            if unused and depth:
                bound, *rest = unused
                inner = build([*letters, bound], rest, depth - 1)
                if draw.random() < 0.7:
                    inner = inner * D(bound, p if size[bound] == n else q)
                factors.append(total(inner, (bound, size[bound])))
            terms.append(sp.Mul(*factors))
        return sp.Add(*terms)

    unused = [i, j, k]
    draw.shuffle(unused)
    return build([p, q], unused, depth)


def shuffled(expr, draw):
    """The same expression with its terms, factors and letters in another order."""
    if isinstance(expr, sp.Sum):
        *inner, (bound, _, upper) = expr.limits
        body = sp.Sum(expr.function, *inner) if inner else expr.function
        letter = index_symbol(f"{draw.choice('abcdefgh')}_{draw.randint(10, 10**6)}")
        return sp.Sum(shuffled(body, draw).xreplace({bound: letter}), (letter, 1, upper))
    if isinstance(expr, sp.Add | sp.Mul):
        args = [shuffled(arg, draw) for arg in expr.args]
        draw.shuffle(args)
        return expr.func(*args)
    return expr


def delta_form(expr):
    for rule in (*DELTA_FORM, *DELTA_FORM):
        expr = rename_bound(rule(expr, CONTEXT))
    return expr


@pytest.mark.parametrize("turn", range(5))
def test_a_fuzz_of_the_delta_form(turn):
    """The value stays, and the order of terms, factors and letters makes no difference to the result."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw = random.Random(seed)
    with distribute(False):
        expr = rename_bound(random_expression(draw))
        result = delta_form(expr)
        same_value(expr, result, seed)
        for _ in range(3):
            again = delta_form(rename_bound(shuffled(expr, draw)))
            assert alpha(again) == alpha(result), f"seed {seed}: {expr}"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200))
def test_a_longer_fuzz_of_the_delta_form(seed):
    draw = random.Random(seed)
    with distribute(False):
        expr = rename_bound(random_expression(draw))
        result = delta_form(expr)
        same_value(expr, result, seed)
        again = delta_form(rename_bound(shuffled(expr, draw)))
        assert alpha(again) == alpha(result), f"seed {seed}: {expr}"


@pytest.mark.parametrize("turn", range(4))
def test_a_fuzz_of_derivatives(turn):
    """The derivative of a random sum, its deltas collapsed, against exact differences of its value."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw = random.Random(seed)
    with distribute(False):
        expr = rename_bound(total(random_expression(draw, depth=1), (p, n), (q, m)))
        wrt = W[p, q]
        slope = rules.collapse_kronecker(derivative(expr, wrt), CONTEXT)
        assert not any(delta.free_symbols - {p, q} for delta in slope.atoms(D))
        for row, column in product((1, 2), (1, 2, 3)):
            exact = exact_slope(expr, W[row, column], seed)
            mine = Values(seed).value(slope, {p: sp.Integer(row), q: sp.Integer(column)})
            assert sp.Rational(mine) == exact, f"seed {seed}: {expr}"


class Moved(Values):
    """Values with one entry moved by a symbol."""

    def __init__(self, seed, moved):
        super().__init__(seed)
        self.moved = moved

    def entry(self, node):
        value = super().entry(node)
        return value + sp.Symbol("h") if node == self.moved else value


def exact_slope(expr, entry, seed):
    polynomial = sp.Poly(sp.expand(Moved(seed, entry).value(expr, {})), sp.Symbol("h"))
    return polynomial.coeff_monomial(sp.Symbol("h"))


def test_fractions_are_exact():
    assert isinstance(Fraction(str(Values(0).entry(x[1]))), Fraction)
    assert Values(0).entry(x[1]) == Values(0).entry(x[1]) != Values(1).entry(x[1])


@pytest.mark.parametrize("number", [2 * sp.sqrt(2), 2 * sp.sqrt(2) * sp.pi, sp.sqrt(6) / 3, 2 * sp.exp(1)])
def test_numbers_keep_their_factors_when_a_product_is_divided(number):
    x = sp.Symbol("x", positive=True)
    assert sp.expand(rules.divide(number * x**3, {x: sp.Integer(1)}) - number * x**2) == 0
    factored = rules.factor_out(number * x + 3 * number * x**2, Context())
    assert sp.expand(factored - number * x - 3 * number * x**2) == 0
