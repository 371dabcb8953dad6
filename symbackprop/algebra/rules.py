"""Directed rewriting rules on index expressions: each a function, its law, and when it applies.

A rule takes an expression and a :class:`Context` and returns an equal expression, the same object
if it doesn't apply. Where and how often is for the strategies of the routes to say. Nothing here
knows a layer, an activation or a cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

import sympy as sp

from symbackprop.algebra.elimination import OUTPUT, Z, derivative_from_output
from symbackprop.algebra.equations import Bracket, Equation, Fact
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.algebra.indices import (
    alpha,
    cases,
    is_number,
    outermost,
    replaced,
    split_product,
    total,
    with_args,
)
from symbackprop.errors import NoRule


@dataclass(frozen=True)
class Context:
    """What a rule may know: ranges of the free indices, definitions to fold, and declared facts."""

    ranges: Mapping[sp.Expr, sp.Expr] = field(default_factory=dict)
    definitions: tuple[Equation, ...] = ()
    facts: tuple[Fact, ...] = ()


Rule = Callable[[sp.Expr, Context], sp.Expr]


def everywhere(rewrite: Callable[[sp.Expr], sp.Expr], expr: sp.Expr) -> sp.Expr:
    """Apply a rewrite to every distinct sub-expression, the innermost first."""
    memo: dict[sp.Basic, sp.Basic] = {}

    def visit(node: sp.Basic) -> sp.Basic:
        if not node.args or type(node) is sp.Tuple or isinstance(node, sp.Indexed | sp.KroneckerDelta):
            return node
        if node not in memo:
            args = tuple(visit(arg) for arg in node.args)
            rebuilt = node if args == node.args else with_args(node, args)
            memo[node] = rewrite(rebuilt) if isinstance(rebuilt, sp.Expr) else rebuilt
        return memo[node]

    return visit(expr) if expr.args else rewrite(expr)


# --- Kronecker deltas and sums ---------------------------------------------------------------


def collapse_kronecker(expr: sp.Expr, context: Context) -> sp.Expr:
    """sum_i f(i) [i = q] = f(q), if q lies in the range of i; an unsure range stays as a bracket.

    >>> x = sp.IndexedBase("x", real=True)
    >>> i, q, n = sp.symbols("i q n", integer=True, positive=True)
    >>> picked = sp.Sum(x[i] * sp.KroneckerDelta(i, q), (i, 1, n))
    >>> collapse_kronecker(picked, Context(ranges={q: n}))
    x[q]
    """
    return _collapse(expr, dict(context.ranges))


def _collapse(expr: sp.Expr, ranges: dict[sp.Expr, sp.Expr]) -> sp.Expr:
    if not expr.has(sp.KroneckerDelta) or not expr.has(sp.Sum):
        return expr
    if isinstance(expr, sp.Sum):
        body, bound, upper = outermost(expr)
        body = _collapse(body, {**ranges, bound: upper})
        return _collapse_sum(body, sp.Tuple(bound, 1, upper), ranges)
    return expr.func(*(_collapse(arg, ranges) for arg in expr.args))


def _collapse_sum(body: sp.Expr, limits: sp.Tuple, ranges: dict[sp.Expr, sp.Expr]) -> sp.Expr:
    bound = limits[0]
    if not any(delta.has(bound) for delta in body.atoms(sp.KroneckerDelta)):
        return _sum(body, limits)
    body = _out_of_branches(body) if isinstance(body, sp.Piecewise) else body
    if isinstance(body, sp.Add):
        return sp.Add(*(_collapse_sum(term, limits, ranges) for term in body.args))
    if isinstance(body, sp.Sum):
        inside, index, size = outermost(body)
        if size.has(bound):
            return _collapse_sum(_opened(body), limits, ranges)
        return _sum(_collapse_sum(inside, limits, {**ranges, index: size}), sp.Tuple(index, 1, size))
    factors = split_product(body)
    for position, factor in enumerate(factors):
        rest = factors[:position] + factors[position + 1 :]
        if isinstance(factor, sp.KroneckerDelta) and factor.has(bound):
            return _pick(factor, rest, limits, ranges)
    return _open_factor(factors, limits, ranges)


def _pick(
    delta: sp.KroneckerDelta, rest: tuple[sp.Expr, ...], limits: sp.Tuple, ranges: dict[sp.Expr, sp.Expr]
) -> sp.Expr:
    """The one term that the delta leaves, under the condition that it is among the terms."""
    bound, _, upper = limits
    value = _solve(delta, bound)
    if value is None:
        return total(sp.Mul(delta, *rest), limits)
    left = replaced(sp.Mul(*rest), {bound: value})
    return left * _within(value, upper, ranges)


def _solve(delta: sp.KroneckerDelta, bound: sp.Symbol) -> sp.Expr | None:
    """The value of ``bound`` at which the delta is 1; ``None`` unless there is just one for sure."""
    left, right = delta.args
    if left == bound and not right.has(bound):
        return right
    if right == bound and not left.has(bound):
        return left
    difference = sp.expand(left - right)
    slope = difference.coeff(bound)
    offset = difference - slope * bound
    return sp.expand(-slope * offset) if slope in (1, -1) and not offset.has(bound) else None


def _within(value: sp.Expr, upper: sp.Expr, ranges: dict[sp.Expr, sp.Expr]) -> sp.Expr:
    """1 if an index of known range lies in 1..upper, else the condition as a bracket."""
    if ranges.get(value) == upper:
        return sp.S.One
    return Bracket(sp.And(sp.Ge(value, 1), sp.Le(value, upper)))


def _open_factor(factors: tuple[sp.Expr, ...], limits: sp.Tuple, ranges: dict[sp.Expr, sp.Expr]) -> sp.Expr:
    """Multiply out, or take inside an inner sum, the factor that hides a delta in the bound index."""
    bound = limits[0]
    for position, factor in enumerate(factors):
        if not any(delta.has(bound) for delta in factor.atoms(sp.KroneckerDelta)):
            continue
        rest = factors[:position] + factors[position + 1 :]
        if isinstance(factor, sp.Piecewise) and (apart := _out_of_branches(factor)) != factor:
            return _collapse_sum(sp.Mul(apart, *rest), limits, ranges)
        if isinstance(factor, sp.Add):
            terms = (sp.Mul(term, *rest) for term in factor.args)
            return sp.Add(*(_collapse_sum(term, limits, ranges) for term in terms))
        if isinstance(factor, sp.Sum):
            return _collapse_sum(_taken_inside(rest, factor, bound), limits, ranges)
    return total(sp.Mul(*factors), limits)


def _taken_inside(factors: tuple[sp.Expr, ...], inner: sp.Sum, outer: sp.Symbol) -> sp.Expr:
    """A product with an inner sum as one sum, or with that sum's own factors before it."""
    inside, index, size = outermost(inner)
    if size.has(outer):
        return sp.Mul(_opened(inner), *factors)
    return total(sp.Mul(inside, *factors), (index, 1, size))


def _opened(inner: sp.Sum) -> sp.Expr:
    """A sum that can't change places, since its length depends on the outer index, with its factors out."""
    opened = pull_out_factors(inner, Context())
    if isinstance(opened, sp.Sum):
        raise NoRule(f"no rule interchanges the sum {inner} with one that its length depends on")
    return opened


def _sum(body: sp.Expr, limits: sp.Tuple) -> sp.Expr:
    return sp.S.Zero if body == 0 else total(body, limits)


def pull_out_factors(expr: sp.Expr, context: Context) -> sp.Expr:
    """sum_i c f(i) = c sum_i f(i), and sum_i c = n c, for a c free of i."""

    def pull(node: sp.Expr) -> sp.Expr:
        if not isinstance(node, sp.Sum):
            return node
        body, bound, upper = outermost(node)
        body = everywhere(pull, body) if isinstance(body, sp.Sum) else body
        inside = [factor for factor in split_product(body) if factor.has(bound)]
        outside = [factor for factor in split_product(body) if not factor.has(bound)]
        if not inside:
            return sp.Mul(upper, *outside)
        return sp.Mul(*outside, total(sp.Mul(*inside), (bound, 1, upper))) if outside else node

    return everywhere(pull, expr) if expr.has(sp.Sum) else expr


def factor_out(expr: sp.Expr, context: Context) -> sp.Expr:
    """c f + c g = c (f + g), for products c that every term shares."""

    def factor(node: sp.Expr) -> sp.Expr:
        if not isinstance(node, sp.Add):
            return node
        shared = _shared_powers([powers(term) for term in node.args])
        number = _shared_number(node.args)
        if not shared and number == 1:
            return node
        common = sp.Mul(*(base**exponent for base, exponent in shared.items()))
        rest = (divide(term, shared) if shared else term for term in node.args)
        return number * common * sp.Add(*(term / number for term in rest))

    return everywhere(factor, expr)


def _shared_number(terms: tuple[sp.Expr, ...]) -> sp.Expr:
    """The whole number that every term has for a coefficient, negative where all of them are."""
    numbers = {term.as_coeff_Mul()[0] for term in terms}
    (size, *others) = {abs(number) for number in numbers}
    if others or not size.is_Integer or size == 1:
        return sp.S.One
    return -size if all(number < 0 for number in numbers) else size


def _out_of_branches(node: sp.Piecewise) -> sp.Expr:
    """[i = q] f_i + g_i if c_i, else h_i: [i = q] (f_i if c_i, else 0) + (g_i if c_i, else h_i)."""
    branches = [_by_deltas(value) for value, _ in node.args]
    found = dict.fromkeys(deltas for branch in branches for deltas in branch)
    if set(found) <= {sp.S.One}:
        return node
    conditions = [condition for _, condition in node.args]
    parts = {deltas: [branch.get(deltas, sp.S.Zero) for branch in branches] for deltas in found}
    return sp.Add(*(deltas * cases(zip(values, conditions, strict=True)) for deltas, values in parts.items()))


def _by_deltas(expr: sp.Expr) -> dict[sp.Expr, sp.Expr]:
    """The products of Kronecker deltas in a sum of products, each with what multiplies it."""
    found: dict[sp.Expr, sp.Expr] = {}
    for term in sp.Add.make_args(expr):
        for deltas, rest in _term_by_deltas(term):
            found[deltas] = found.get(deltas, sp.S.Zero) + rest
    return {deltas: rest for deltas, rest in found.items() if rest != 0}


def _term_by_deltas(term: sp.Expr) -> Iterator[tuple[sp.Expr, sp.Expr]]:
    factors = split_product(term)
    hidden = [f for f in factors if f.has(sp.KroneckerDelta) and not isinstance(f, sp.KroneckerDelta)]
    if not hidden:
        deltas = [factor for factor in factors if isinstance(factor, sp.KroneckerDelta)]
        yield sp.Mul(*deltas), sp.Mul(*(factor for factor in factors if factor not in deltas))
        return
    others = sp.Mul(*(factor for factor in factors if factor is not hidden[0]))
    for deltas, rest in _factor_by_deltas(hidden[0]):
        for more, coefficient in _by_deltas(others).items():
            yield deltas * more, rest * coefficient


def _factor_by_deltas(factor: sp.Expr) -> Iterator[tuple[sp.Expr, sp.Expr]]:
    """Terms of a sum, branches, or terms of a sum over an index that the deltas don't have."""
    if isinstance(factor, sp.Add):
        yield from _by_deltas(factor).items()
    elif isinstance(factor, sp.Piecewise) and (apart := _out_of_branches(factor)) != factor:
        yield from _by_deltas(apart).items()
    elif isinstance(factor, sp.Sum):
        body, bound, upper = outermost(factor)
        for deltas, rest in _by_deltas(body).items():
            if deltas.has(bound):
                raise NoRule(f"no rule takes the Kronecker delta out of {str(factor)[:60]}")
            yield deltas, total(rest, (bound, 1, upper))
    else:
        raise NoRule(f"no rule takes the Kronecker delta out of {str(factor)[:60]}")


def _shared_powers(terms: list[dict[sp.Expr, sp.Expr]]) -> dict[sp.Expr, sp.Expr]:
    shared = {}
    for base in terms[0]:
        exponents = [term.get(base) for term in terms]
        if is_number(base) or not all(e is not None and e.is_positive for e in exponents):
            continue
        shared[base] = min(e for e in exponents if e is not None)
    return shared


def powers(expr: sp.Expr) -> dict[sp.Expr, sp.Expr]:
    """The factors of a product, each base with its exponent; ``exp`` of a sum falls into its factors.

    A number is a base of its own: 2 and the square root of 2 are no powers of one base here.

    >>> x = sp.Symbol("x", positive=True)
    >>> powers(2 * sp.sqrt(2) * x**3)
    {2: 1, sqrt(2): 1, x: 3}
    >>> powers(sp.Mul(sp.exp(x - 1), sp.exp(-x), evaluate=False))
    {E: -1}
    """
    found: dict[sp.Expr, sp.Expr] = {}
    for base, exponent in _powers(expr):
        found[base] = found.get(base, sp.S.Zero) + exponent
    return {base: exponent for base, exponent in found.items() if exponent != 0}


def _powers(expr: sp.Expr) -> Iterator[tuple[sp.Expr, sp.Expr]]:
    """The same, factor by factor: a base may come several times."""
    for factor in split_product(expr):
        if isinstance(factor, sp.exp):
            for term in sp.Add.make_args(factor.args[0]):
                coefficient, rest = term.as_coeff_Mul()
                integral = coefficient.is_Integer
                yield (sp.exp(rest), coefficient) if integral else (sp.exp(term), sp.S.One)
        else:
            yield (factor, sp.S.One) if is_number(factor) else factor.as_base_exp()


def multiplicity(wanted: Mapping[sp.Expr, sp.Expr], there: Mapping[sp.Expr, sp.Expr]) -> int:
    """How often the powers ``wanted`` go into those that are there; below 0 for their inverse.

    >>> x, y = sp.symbols("x y")
    >>> multiplicity({x: sp.Integer(1), y: sp.Integer(2)}, {x: sp.Integer(3), y: sp.Integer(5)})
    2
    """
    ratios = [there.get(base, sp.S.Zero) / exponent for base, exponent in wanted.items()]
    if not ratios or not all(ratio.is_Rational for ratio in ratios):
        return 0
    whole = [int(ratio) for ratio in ratios]
    if all(times > 0 for times in whole):
        return min(whole)
    return max(whole) if all(times < 0 for times in whole) else 0


def divide(expr: sp.Expr, divisor: Mapping[sp.Expr, sp.Expr]) -> sp.Expr:
    """``expr`` without the powers in ``divisor``; an exponential that has none of them stays in one piece.

    >>> x, y = sp.symbols("x y")
    >>> divide(x * sp.exp(x / 4 - y / 4), {x: sp.S.One})
    exp(x/4 - y/4)
    """
    whole = [f for f in split_product(expr) if isinstance(f, sp.exp) and divisor.keys().isdisjoint(powers(f))]
    left = powers(sp.Mul(*(factor for factor in split_product(expr) if factor not in whole)))
    for base, exponent in divisor.items():
        left[base] = left.get(base, sp.S.Zero) - exponent
    return sp.Mul(*whole, *(base**exponent for base, exponent in left.items()))


# --- definitions and facts -------------------------------------------------------------------


def fold_definition(expr: sp.Expr, context: Context) -> sp.Expr:
    """Read a definition from right to left: exp(z_j) / sum_i exp(z_i) is a_j."""
    for equation in context.definitions:
        for definition in (equation, _exponentiated(equation)):
            if definition is not None and _may_occur(definition.rhs, expr):
                expr = _fold(alpha(expr), definition)
    return expr


def _may_occur(pattern: sp.Expr, expr: sp.Expr) -> bool:
    return not isinstance(pattern, sp.Indexed | sp.Symbol) and pattern.atoms(sp.IndexedBase) <= expr.atoms(
        sp.IndexedBase
    )


def _exponentiated(equation: Equation) -> Equation | None:
    """For a_j = u - log D also exp(a_j) = exp(u) / D, as an equation for a marked quantity."""
    logs = [term for term in sp.Add.make_args(equation.rhs) if (-term).func is sp.log]
    if len(logs) != 1:
        return None
    rest = equation.rhs - logs[0]
    return _Exponential(
        equation.quantity, equation.indices, sp.exp(rest) / (-logs[0]).args[0], equation.label
    )


class _Exponential(Equation):
    """An equation whose left side is the exponential of an entry."""

    @property
    def lhs(self) -> sp.Expr:
        return sp.exp(self.quantity[self.indices])


def _fold(expr: sp.Expr, definition: Equation) -> sp.Expr:
    pattern, lhs = alpha(definition.rhs), definition.lhs

    def fold(node: sp.Expr) -> sp.Expr:
        if not isinstance(node, sp.Mul | sp.Pow | pattern.func):
            return node
        for indices in _candidates(node, len(definition.indices)):
            renaming = dict(zip(definition.indices, indices, strict=True))
            node = _replace(node, replaced(pattern, renaming), lhs.xreplace(renaming))
        return node

    return everywhere(fold, expr)


def _candidates(node: sp.Expr, rank: int) -> Iterator[tuple[sp.Expr, ...]]:
    found = {index for entry in node.atoms(sp.Indexed) for index in entry.indices}
    return product(sorted(found, key=sp.default_sort_key), repeat=rank)


def _replace(node: sp.Expr, pattern: sp.Expr, entry: sp.Expr) -> sp.Expr:
    """``entry`` for ``pattern``: the whole node, or as often as it divides a product."""
    if node == pattern:
        return entry
    if not isinstance(node, sp.Mul | sp.Pow) or isinstance(pattern, sp.Add):
        return node
    wanted, there = powers(pattern), powers(node)
    times = multiplicity(wanted, there)
    if not times:
        return node
    return entry**times * divide(node, {base: exponent * times for base, exponent in wanted.items()})


def derivative_in_terms_of_output(expr: sp.Expr, context: Context) -> sp.Expr:
    """f'(z_j) written in a_j = f(z_j), where eliminating the exponential finds such a form."""

    def rewrite(node: sp.Expr) -> sp.Expr:
        if not isinstance(node, ScalarFunction) or node.order != 1 or node.formula is None:
            return node
        form = derivative_from_output(node.formula)
        output = output_entry(node, context.definitions)
        if form is None or (output is None and form.has(OUTPUT)):
            return node
        return form.xreplace({OUTPUT: output, Z: node.args[0]})

    return everywhere(rewrite, expr)


def output_entry(node: ScalarFunction, definitions: tuple[Equation, ...]) -> sp.Expr | None:
    """The entry that is defined as the undifferentiated function at the same argument."""
    for equation in definitions:
        rhs = equation.rhs
        if not isinstance(rhs, ScalarFunction) or rhs.letter != node.letter or rhs.order:
            continue
        mine, theirs = rhs.args[0], node.args[0]
        if mine == theirs:
            return equation.lhs
        if isinstance(mine, sp.Indexed) and isinstance(theirs, sp.Indexed) and mine.base == theirs.base:
            renaming = dict(zip(mine.indices, theirs.indices, strict=True))
            return equation.lhs.xreplace(renaming)
    return None


def use_facts(expr: sp.Expr, context: Context) -> sp.Expr:
    """Replace what a declared fact speaks of, such as sum_j y_j by 1."""
    if not context.facts:
        return expr
    replacements = {alpha(fact.left): fact.right for fact in context.facts}
    return everywhere(lambda node: replacements.get(node, node), alpha(expr))


# --- rational simplification, a little at a time ---------------------------------------------


def multiply_out(expr: sp.Expr, context: Context) -> sp.Expr:
    """c (f/c + g/d) = f + g c/d: multiply out a sum where that cancels a denominator."""

    def multiply(node: sp.Expr) -> sp.Expr:
        if not isinstance(node, sp.Mul):
            return node
        for position, factor in enumerate(node.args):
            rest = node.args[:position] + node.args[position + 1 :]
            if isinstance(factor, sp.Add) and _cancels(factor, rest):
                return sp.Add(*(sp.Mul(term, *rest) for term in factor.args))
        return node

    return everywhere(multiply, expr)


def _cancels(factor: sp.Add, rest: tuple[sp.Expr, ...]) -> bool:
    """Whether a term has below the line what the other factors have above; an exponential as a whole."""
    plain = (other for other in rest if not isinstance(other, sp.exp))
    above = {base for other in plain for base in powers(other) if not is_number(base)}
    exponents = {exponential.args[0] for exponential in _exponentials(rest)}
    return any(
        exponent.is_negative and base in above
        for term in factor.args
        for base, exponent in powers(term).items()
    ) or any(
        exponential.args[0].could_extract_minus_sign() and -exponential.args[0] in exponents
        for exponential in _exponentials(part for term in factor.args for part in split_product(term))
    )


def _exponentials(factors: Iterable[sp.Expr]) -> set[sp.Expr]:
    return {factor for factor in factors if isinstance(factor, sp.exp)}


def collect_terms(expr: sp.Expr, context: Context) -> sp.Expr:
    """Multiply out and add up like terms of a polynomial, where that makes it shorter."""
    if not isinstance(expr, sp.Add) or expr.has(sp.Piecewise):
        return expr
    expanded = sp.expand_mul(expr)
    return expanded if sp.count_ops(expanded) < sp.count_ops(expr) else expr


def take_in_sign(expr: sp.Expr, context: Context) -> sp.Expr:
    """-c (u - v) = c (v - u): a minus sign goes into a difference of two quantities.

    >>> from sympy.core.parameters import distribute
    >>> a, y = sp.symbols("a y", real=True)
    >>> with distribute(False):
    ...     take_in_sign(-a * (y - a), Context())
    a*(a - y)
    """

    def take(node: sp.Expr) -> sp.Expr:
        if not isinstance(node, sp.Mul) or not node.args[0].is_number or not node.args[0].is_negative:
            return node
        difference = next((factor for factor in node.args if _is_difference(factor)), None)
        if difference is None:
            return node
        rest = (factor for factor in node.args[1:] if factor is not difference)
        return sp.Mul(-node.args[0], *rest, sp.Add(*(-term for term in difference.args)))

    return everywhere(take, expr)


def _is_difference(factor: sp.Expr) -> bool:
    """u - v for two terms that are no numbers."""
    if not isinstance(factor, sp.Add) or len(factor.args) != 2:
        return False
    signs = {bool(term.as_coeff_Mul()[0].is_negative) for term in factor.args}
    return len(signs) == 2 and not any(term.is_number for term in factor.args)
