"""Arrays mean what the index equation says: by position alone, entry by entry, at sizes that all differ."""

import random
from dataclasses import replace

import pytest
import sympy as sp

from symbackprop.algebra.calculus import derivative
from symbackprop.algebra.equations import Equation, Program, Quantity, Role
from symbackprop.algebra.indices import at_indices, index_symbol, size_symbol
from symbackprop.checking.check import Equality, Laboratory
from symbackprop.code.arrays import (
    Einsum,
    Entry,
    Map,
    MatMul,
    Operand,
    Outer,
    Softmax,
    Total,
    Transpose,
    Vectoriser,
    entry_of,
    transpose,
)
from symbackprop.derivation.batch import batch
from symbackprop.derivation.chain import backward_equations, reverse
from symbackprop.errors import NoRule
from symbackprop.forward.model import forward_model
from symbackprop.network import argument
from symbackprop.spec.loading import from_widths

i, j, k, s = map(index_symbol, "ijks")
n, m, r = map(size_symbol, "nmr")


def quantity(name, *dims):
    return Quantity(name, name, Role.PARAMETER, None, dims)


A, B, G = quantity("A", n, m), quantity("B", m, r), quantity("G", n, r)
u, v, w = quantity("u", n), quantity("v", m), quantity("w", n)
KNOWN = (A, B, G, u, v, w)
OUT = {(): quantity("out"), (n,): quantity("out", n), (m,): quantity("out", m), (n, m): quantity("out", n, m)}
OUT[(m, n)], OUT[(n, r)], OUT[(r, n)] = quantity("out", m, n), quantity("out", n, r), quantity("out", r, n)
OUT[(r,)] = quantity("out", r)


def total(body, *limits):
    for letter, size in limits:
        body = sp.Sum(body, (letter, 1, size))
    return body


def equation(dims, indices, rhs):
    return Equation(OUT[dims], indices, rhs, "out")


EQUATIONS = {
    "a matrix and a vector": equation((n,), (j,), total(A[j, k] * v[k], (k, m))),
    "a transposed matrix and a vector": equation((m,), (j,), total(A[k, j] * u[k], (k, n))),
    "two matrices": equation((n, r), (j, k), total(A[j, i] * B[i, k], (i, m))),
    "two matrices, the result transposed": equation((r, n), (j, k), total(A[k, i] * B[i, j], (i, m))),
    "three factors": equation((n, r), (j, k), total(A[j, i] * v[i] * B[i, k], (i, m))),
    "an outer product": equation((n, m), (j, k), u[j] * v[k]),
    "an outer product the other way": equation((m, n), (j, k), v[j] * u[k]),
    "an outer product with a number": equation((n, m), (j, k), 3 * u[j] * v[k] / n),
    "entry by entry": equation((n,), (j,), u[j] * (1 - w[j]) + w[j] ** 2),
    "a vector beside a matrix": equation((n, m), (j, k), A[j, k] + u[j]),
    "a row beside a matrix": equation((n, m), (j, k), A[j, k] * v[k] - v[k]),
    "a transposed matrix": equation((m, n), (j, k), A[k, j] + 1),
    "a vector that does not depend on one axis": equation((n, m), (j, k), u[j] + 0),
    "a sum of products": equation((n,), (j,), total(A[j, k] * v[k] + v[k], (k, m))),
    "a sum over everything": equation((), (), total(total(A[j, k] ** 2, (k, m)), (j, n))),
    "an inner product": equation((), (), total(u[j] * w[j], (j, n))),
    "a quadratic form": equation((), (), total(total(u[j] * A[j, k] * v[k], (k, m)), (j, n))),
    "softmax": equation((n,), (j,), sp.exp(u[j]) / total(sp.exp(u[k]), (k, n))),
    "softmax of rows": equation((n, m), (j, k), sp.exp(A[j, k]) / total(sp.exp(A[j, i]), (i, m))),
    "softmax of columns": equation((n, m), (j, k), sp.exp(A[j, k]) / total(sp.exp(A[i, k]), (i, n))),
    "the logarithm of softmax": equation((n,), (j,), u[j] - sp.log(total(sp.exp(u[k]), (k, n)))),
    "a sum over rows and columns": equation((r,), (j,), total(total(A[i, k] * B[k, j], (k, m)), (i, n))),
    "shared letters": equation((n,), (j,), total(total(A[j, k] * B[k, i] * G[j, i], (k, m)), (i, r))),
    "an index shared by both factors": equation((n, m), (j, k), total(B[k, i] * G[j, i] * A[j, k], (i, r))),
}


def vectorised(name):
    return Vectoriser({q.name: q for q in KNOWN}).equation(EQUATIONS[name])


@pytest.fixture(scope="module")
def laboratory():
    """Draws values for the quantities of this file; the cost is only there to make it a program."""
    cost = Quantity("C", "C", Role.COST, None, ())
    program = Program((), KNOWN, (Equation(cost, (), total(u[j], (j, n)), "C"),), (cost,))
    return Laboratory(program)


def agree(laboratory, array, of):
    """Whether an array has the entries that the right side of an equation has."""
    free = tuple(zip(of.indices, of.quantity.dims, strict=True))
    return laboratory.check(Equality("out", of.rhs, entry_of(array, of.indices), free)).holds


@pytest.mark.parametrize("name", EQUATIONS)
def test_entries_are_those_of_the_index_equation(name, laboratory):
    array = vectorised(name)
    assert array.dims == EQUATIONS[name].quantity.dims
    assert agree(laboratory, array, EQUATIONS[name])


def children(array):
    """The nodes below one, each with what puts another in its place."""
    if isinstance(array, MatMul | Outer):
        yield array.left, lambda new: replace(array, left=new)
        yield array.right, lambda new: replace(array, right=new)
    elif isinstance(array, Transpose | Total | Softmax):
        yield array.arg, lambda new: replace(array, arg=new)
    elif isinstance(array, Einsum | Map):
        for place, operand in enumerate(array.operands):
            inner = operand.array if isinstance(operand, Operand) else operand

            def put(new, place=place, operand=operand):
                changed = replace(operand, array=new) if isinstance(operand, Operand) else new
                return replace(
                    array, operands=(*array.operands[:place], changed, *array.operands[place + 1 :])
                )

            yield inner, put


def corruptions(array, above=None):
    """The same array with one thing wrong; the order of two sums is no mistake."""
    if isinstance(array, MatMul | Outer):
        yield type(array)(array.right, array.left)
        yield array.left
        yield array.right
    if isinstance(array, MatMul) and len(array.left.dims) == 2:
        yield replace(array, left=transpose(array.left))
    if isinstance(array, Total):
        yield array.arg
        if len(array.arg.dims) == 2 and not isinstance(above, Total):
            yield replace(array, axis=1 - array.axis)
        yield replace(array, log_exp=not array.log_exp)
    if isinstance(array, Softmax):
        yield array.arg
        if len(array.dims) == 2:
            yield replace(array, axis=1 - array.axis)
    if isinstance(array, Transpose):
        yield array.arg
    if isinstance(array, Map):
        yield replace(array, expr=array.expr * 2)
        yield replace(array, expr=-array.expr)
    for inner, put in children(array):
        for wrong in corruptions(inner, array):
            yield put(wrong)


@pytest.mark.parametrize("name", EQUATIONS)
def test_what_is_transposed_or_dropped_is_refused_or_differs(name, laboratory):
    """At sizes that all differ, no corruption of an array passes for the equation it came from."""
    right, of = vectorised(name), EQUATIONS[name]
    wrong = [array for array in corruptions(right) if array != right]
    assert wrong or isinstance(right, Entry | Map | Einsum | Transpose)
    for array in wrong:
        try:
            passes = array.dims == right.dims and agree(laboratory, array, of)
        except (NoRule, IndexError, ValueError):
            passes = False
        assert not passes, array


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(NoRule, match="doesn't fit"):
        entry_of(MatMul(Entry(A), Entry(u)), (j,))
    with pytest.raises(NoRule, match="doesn't fit the axes"):
        entry_of(Map(sp.Symbol("a"), (Operand(sp.Symbol("a"), Entry(v), (0,)),), (n,)), (j,))
    with pytest.raises(NoRule, match="2 axes has no entry with 1"):
        entry_of(Entry(A), (j,))


@pytest.mark.parametrize("rhs", [u[j + 1], A[j, j], total(A[j, k] * u[j + k], (k, m))], ids=str)
def test_shifted_and_repeated_indices_are_refused(rhs):
    with pytest.raises(NoRule, match="without shifts"):
        Vectoriser({q.name: q for q in KNOWN}).equation(equation((n,), (j,), rhs))


def test_a_delta_that_did_not_collapse_is_refused():
    with pytest.raises(NoRule, match="did not collapse"):
        Vectoriser({q.name: q for q in KNOWN}).equation(
            equation((n, m), (j, k), A[j, k] * sp.KroneckerDelta(j, k))
        )


def test_transposing_twice_is_no_change():
    assert transpose(transpose(Entry(A))) == Entry(A)


@pytest.mark.parametrize(
    ("hidden", "output", "cost"),
    [
        ("sigmoid", "sigmoid", "squared_error"),
        ("relu", "softmax", "cross_entropy"),
        ("softmax", "tanh", "huber"),
    ],
)
def test_whole_programs_keep_their_entries_in_a_batch_and_for_one_example(hidden, output, cost):
    model = forward_model(from_widths("2-3-4", hidden=hidden, output_activation=output, cost=cost))
    adjoints = reverse(model.program, model.facts)
    one = (*model.program, *backward_equations(adjoints))
    lifted = batch(model, adjoints)
    several = (*lifted.forward, *lifted.deltas, *(gradient.equation for gradient in lifted.gradients))
    for equations in (one, several):
        known = {q.name: q for q in (*model.program.inputs, *model.program.parameters)}
        known |= lifted.forward.quantities if equations is several else {}
        known |= {e.quantity.name: e.quantity for e in equations}
        for each in equations:
            array = Vectoriser(known).equation(each)
            assert array.dims == each.quantity.dims
            entries_agree(each, array, known)


def entries_agree(each, array, known):
    """Both sides as digits at random places, every entry a number drawn from its name."""
    sizes = {size: 2 + place for place, size in enumerate(sorted(sizes_of(known), key=str))}
    for turn in range(2):
        draw = random.Random(f"{each.quantity.name} {turn}")
        places = [draw.randint(1, sizes[dim]) for dim in each.quantity.dims]
        sides = (each.rhs, entry_of(array, each.indices))
        left, right = (
            digits(at_indices(side, each.indices, [*map(sp.Integer, places)]), sizes) for side in sides
        )
        assert abs(left - right) < 1e-12 * max(1, abs(left)), each


def sizes_of(known):
    return {dim for q in known.values() for dim in q.dims}


def digits(expr, sizes):
    """The value of an expression with numbers for its indices: sums added up, entries drawn by name."""
    if isinstance(expr, sp.Sum):
        *inner, (bound, _, upper) = expr.limits
        body = sp.Sum(expr.function, *inner) if inner else expr.function
        return sum(digits(body.xreplace({bound: sp.Integer(c)}), sizes) for c in range(1, sizes[upper] + 1))
    if isinstance(expr, sp.Indexed) or (isinstance(expr, sp.Symbol) and expr not in sizes):
        return sp.Float(random.Random(str(expr)).uniform(0.2, 0.8), 25)
    if isinstance(expr, sp.Symbol):
        return sp.Integer(sizes[expr])
    if isinstance(expr, sp.Piecewise):
        return next(digits(value, sizes) for value, c in expr.args if c == True or holds(c, sizes))  # noqa: E712
    if getattr(expr, "formula", None) is not None:
        return written_out(expr, digits(expr.args[0], sizes))
    return expr.func(*(digits(arg, sizes) for arg in expr.args)) if expr.args else expr


def written_out(function, value):
    formula = function.formula
    for _ in range(function.order):
        formula = derivative(formula, argument("z"))
    return formula.xreplace({argument("z"): value})


def holds(condition, sizes):
    if isinstance(condition, sp.And | sp.Or):
        found = [holds(part, sizes) for part in condition.args]
        return all(found) if isinstance(condition, sp.And) else any(found)
    return bool(condition.func(*(digits(side, sizes) for side in condition.args)))
