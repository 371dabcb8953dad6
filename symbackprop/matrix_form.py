"""The matrix form: vectors and matrices, and where a transpose or an outer product comes from."""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from symbackprop.arrays import Array, Map, MatMul, Outer, Transpose, Vectoriser, entry_of
from symbackprop.check import Equality
from symbackprop.document import Block, Chain, Display, Paragraph, Row, Section
from symbackprop.elimination import Z
from symbackprop.equations import Equation, Role
from symbackprop.errors import NoRule
from symbackprop.indices import alpha
from symbackprop.latex import latex
from symbackprop.matrix_latex import matrix_latex
from symbackprop.symbols import whole
from symbackprop.writer import Writer, free_of

Product = MatMul | Outer


def matrix_section(writer: Writer) -> Section:
    """Forward and backward equations as matrices, then the entries of their products."""
    vectoriser = Vectoriser(writer.names.quantities)
    blocks: list[Block] = [Paragraph(writer.words.text("matrix"))]
    equations = [e for e in writer.derivation.equations if writer.shows(e.quantity.layer)]
    for group in (writer.shown_layers, equations):
        chains = [_matrix_chain(writer, equation, vectoriser) for equation in group]
        blocks.append(Display(tuple(chain for chain in chains if chain is not None)))
    explained = {}
    for equation in equations:
        for kind, product in _products(_array(equation, vectoriser)):
            explained[kind] = _entry_chain(writer, kind, product, equation)
    for kind, chain in explained.items():
        if chain is not None:
            blocks += [Paragraph(writer.words.text(kind)), Display((chain,))]
    return Section(writer.words.headings["matrix"], tuple(blocks))


def _array(equation: Equation, vectoriser: Vectoriser) -> Array | None:
    """The right side as an array; ``None`` where it has no such form."""
    try:
        return vectoriser.equation(equation)
    except NoRule:
        return None


def _matrix_chain(writer: Writer, equation: Equation, vectoriser: Vectoriser) -> Chain | None:
    """An equation in matrix form; ``None`` where it has none."""
    array = _array(equation, vectoriser)
    try:
        right = None if array is None else matrix_latex(array, writer.names)
    except NoRule:
        right = None
    if array is None or right is None:
        return None
    label = f"{equation.label}-matrix"
    entry = entry_of(array, equation.indices)
    facts = writer.cited(equation)
    equality = Equality(label, equation.lhs, entry, free_of(equation), "example", facts)
    boxed = equation.quantity.role in (Role.DELTA, Role.GRADIENT)
    return Chain(whole(equation.quantity, writer.names), (Row((right,), "", equality, boxed),), label)


def _products(array: Array | None) -> Iterator[tuple[str, Product]]:
    """Products with a transposed matrix, and outer products, anywhere in an array expression."""
    if isinstance(array, MatMul) and isinstance(array.left, Transpose) and len(array.dims) == 1:
        yield "transpose", array
    if isinstance(array, Outer):
        yield "outer", array
    if isinstance(array, Map):
        for operand in array.operands:
            yield from _products(operand.array)


def _entry_chain(writer: Writer, kind: str, product: Product, equation: Equation) -> Chain | None:
    """A part of an index equation, as a sum over the transpose, and as an entry of the matrix product."""
    indices = equation.indices[: len(product.dims)]
    entry = entry_of(product, indices)
    part = _part_of(equation.rhs, entry)
    if part is None:
        return None
    label, free = f"{equation.label}-{kind}", tuple(zip(indices, product.dims, strict=True))
    equality = Equality(label, part, entry, free, "example")
    letters = "".join(map(str, indices))
    matrix = rf"\bigl({matrix_latex(product, writer.names)}\bigr)_{{{letters}}}"
    rows = [Row((matrix,), writer.words.reason("matrix"), equality)]
    if isinstance(product, MatMul):
        over = _over_transpose(writer, product, entry, letters)
        rows.insert(0, Row((over,), writer.words.reason("transpose"), equality))
    return Chain(latex(part, writer.names), tuple(rows), label)


def _part_of(rhs: sp.Expr, entry: sp.Expr) -> sp.Expr | None:
    """The part of an index expression that a product's entry should be: a sum, or all of it."""
    parts = [rhs, *sorted(rhs.atoms(sp.Sum), key=sp.default_sort_key)]
    names = entry.atoms(sp.IndexedBase)
    alike = [p for p in parts if p.atoms(sp.IndexedBase) == names and p.func is entry.func]
    return next((p for p in alike if alpha(p) == alpha(entry)), alike[0] if alike else None)


def _over_transpose(writer: Writer, product: MatMul, entry: sp.Sum, letters: str) -> str:
    """sum_k (W^T)_jk v_k."""
    bound = entry.limits[0][0]
    inside = rf"\bigl({matrix_latex(product.left, writer.names)}\bigr)_{{{letters}{bound}}}"
    vector = latex(entry_of(product.right, (bound,)), writer.names)
    total = latex(sp.Sum(Z, *entry.limits), writer.names).removesuffix(latex(Z, writer.names))
    return f"{total}{inside} {vector}"
