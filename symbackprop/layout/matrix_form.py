"""The matrix form: vectors and matrices, and where a transpose or an outer product comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import sympy as sp

from symbackprop.algebra.equations import Equation, Role
from symbackprop.algebra.indices import alpha
from symbackprop.checking.check import Equality
from symbackprop.code.arrays import Array, Map, MatMul, Outer, Transpose, Vectoriser, entry_of
from symbackprop.errors import NoRule
from symbackprop.layout.document import Block, Chain, Display, Paragraph, Row, Section
from symbackprop.layout.writer import LONGEST, Free, Writer, free_of
from symbackprop.printing.latex import latex, sum_sign
from symbackprop.printing.lettering import lettered
from symbackprop.printing.matrix_latex import formula_of_whole, is_transposed, matrix_latex, matrix_rows
from symbackprop.printing.symbols import Names, layer_argument, whole

Product = MatMul | Outer


def matrix_section(writer: Writer) -> Section:
    """Forward and backward equations as matrices, the entries of their products, and those of a batch."""
    vectoriser = Vectoriser(writer.names.quantities)
    equations = [e for e in writer.derivation.equations if writer.shows(e.quantity.layer)]
    displays = _displays(writer, (writer.shown_layers, equations), vectoriser)
    ones = "".join(_signs_explained(writer, displays, "matrix"))
    words = writer.say(f"matrix_{writer.names.notation.layout.vectors}", ones=ones)
    blocks: list[Block] = [Paragraph(words), *displays]
    explained = {}
    for equation in equations:
        for kind, product in _products(_array(equation, vectoriser)):
            explained[kind] = _entry_chain(writer, kind, product, equation)
    for kind, chain in explained.items():
        if chain is not None:
            blocks += [Paragraph(writer.say(kind)), Display((chain,))]
    if writer.names.notation.layout.derivatives == "numerator":
        blocks.append(Paragraph(writer.say("numerator")))
    return Section(writer.words.headings["matrix"], (*blocks, *_batch(writer)))


def _batch(writer: Writer) -> Iterator[Block]:
    """The equations of a whole batch, as the code has them."""
    batch = writer.derivation.batch
    deltas = {equation.quantity.name: equation.quantity for equation in batch.deltas}
    given = {quantity.name: quantity for quantity in batch.given}
    vectoriser = Vectoriser({**batch.forward.quantities, **given, **deltas})
    shown = {equation.quantity.name for equation in writer.shown_layers}
    forward = [equation for equation in batch.forward if equation.quantity.name in shown]
    backward = [*batch.deltas, *(gradient.equation for gradient in batch.gradients)]
    seen = [equation for equation in backward if writer.shows(equation.quantity.layer)]
    displays = _displays(writer, (forward, seen), vectoriser, "batch")
    yield Paragraph(_about_batches(writer, displays))
    yield from displays


def _about_batches(writer: Writer, displays: Iterable[Display]) -> str:
    """What the matrices of a batch are, and the ones that sum over its examples."""
    model, names = writer.model, writer.names
    any_layer = layer_argument(model.general_layer, names)
    given = (whole(quantity, names, True) for quantity in model.program.inputs)
    layered = (rf"\sbp{stem}mat{{{any_layer}}}" for stem in ("pact", "act", "delta"))
    ones = "".join(_signs_explained(writer, displays, "batch"))
    matrices = ", ".join(f"${matrix}$" for matrix in dict.fromkeys((*given, *layered)))
    return writer.say(f"batch_{names.notation.layout.examples}", matrices=matrices, ones=ones)


def _signs_explained(writer: Writer, displays: Iterable[Display], kind: str) -> Iterator[str]:
    """What the ones in some displays are, and the sign of a division, where these occur."""
    rows = [row for display in displays for chain in display.chains for row in chain.rows]
    for key, sign in (("ones", r"\sbpones"), ("division", r"\sbphadamarddivision")):
        if any(sign in line for row in rows for line in row.lines):
            yield writer.say(f"{kind}_{key}")


def _displays(
    writer: Writer, groups: Iterable[Iterable[Equation]], vectoriser: Vectoriser, kind: str = "example"
) -> list[Display]:
    """A display for each group of equations that have a matrix form."""
    found = []
    for group in map(list, groups):
        lefts = [whole(equation.quantity, writer.names, kind == "batch") for equation in group]
        room = min(map(writer.room, lefts), default=writer.budget)
        chains = [matrix_chain(writer, equation, vectoriser, kind, room) for equation in group]
        found.append(Display(tuple(chain for chain in chains if chain is not None)))
    return [display for display in found if display.chains]


def _array(equation: Equation, vectoriser: Vectoriser) -> Array | None:
    """The right side as an array; ``None`` where it has no such form."""
    try:
        return vectoriser.equation(equation)
    except NoRule:
        return None


def matrix_chain(
    writer: Writer, equation: Equation, vectoriser: Vectoriser, kind: str, room: float | None = None
) -> Chain | None:
    """An equation in matrix form, in lines as wide as there is room; ``None`` where it has none."""
    room = writer.room(whole(equation.quantity, writer.names, kind == "batch")) if room is None else room
    array, batch, names = _array(equation, vectoriser), kind == "batch", writer.names
    transposed = is_transposed(equation.quantity, names, batch)
    try:
        lines = _lines(array, names, batch, transposed, room) if array is not None else []
    except NoRule:
        return None
    if array is None or len(lines) > LONGEST:
        return None
    label = f"{equation.label}-{'batch' if batch else 'matrix'}"
    entry = entry_of(array, equation.indices)
    equality = Equality(label, equation.lhs, entry, free_of(equation), kind, writer.cited(equation))
    result = equation.quantity.role in (Role.DELTA, Role.GRADIENT)
    row = Row(tuple(lines), "", equality, boxed=result and not batch, result=result)
    return Chain(whole(equation.quantity, names, batch), (row,), label)


def _lines(array: Array, names: Names, batch: bool, transposed: bool, room: float) -> list[str]:
    """The lines of an array; an activation of a whole vector stands there by its name and as its formula."""
    formula = formula_of_whole(array, names, batch, transposed)
    if formula is None:
        return matrix_rows(array, names, batch, transposed, room)
    return [f"{matrix_latex(array, names, batch, transposed)} = {formula}"]


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
    transposed = is_transposed(equation.quantity, writer.names)
    letters = _letters(writer, indices, free, transposed)
    matrix = rf"\bigl({matrix_latex(product, writer.names, transposed=transposed)}\bigr)_{{{letters}}}"
    rows = [Row((matrix,), writer.words.reason("matrix"), equality)]
    over = _over_transpose(writer, product, entry, free, transposed) if isinstance(product, MatMul) else None
    if over is not None:
        rows.insert(0, Row((over,), writer.words.reason("transpose"), equality))
    elif isinstance(product, MatMul):
        return None
    return Chain(writer.tex(part, free), tuple(rows), label)


def _letters(writer: Writer, indices: Sequence[sp.Symbol], free: Free, transposed: bool) -> str:
    """The indices of an entry, in the order in which the printed matrix has its axes."""
    ordered = reversed(indices) if transposed else indices
    return "".join(writer.tex(letter, free) for letter in ordered)


def _part_of(rhs: sp.Expr, entry: sp.Expr) -> sp.Expr | None:
    """The part of an index expression that a product's entry should be: a sum, or all of it."""
    parts = [rhs, *sorted(rhs.atoms(sp.Sum), key=sp.default_sort_key)]
    names = entry.atoms(sp.IndexedBase)
    alike = [p for p in parts if p.atoms(sp.IndexedBase) == names and p.func is entry.func]
    return next((p for p in alike if alpha(p) == alpha(entry)), alike[0] if alike else None)


def _over_transpose(
    writer: Writer, product: MatMul, entry: sp.Sum, free: Free, transposed: bool
) -> str | None:
    """sum_k (W^T)_jk v_k, or sum_k v_k (W^T)_kj where vectors are rows; ``None`` if nothing is transposed."""
    bound = entry.limits[0][0]
    total = lettered(sp.Sum(entry_of(product.right, (bound,)), *entry.limits), writer.names, free)
    matrix = matrix_latex(product.left, writer.names, transposed=transposed)
    if not isinstance(total, sp.Sum) or not matrix.startswith(r"\sbptranspose"):
        return None
    own, inner = "".join(writer.tex(letter, free) for letter, _ in free), str(total.limits[0][0])
    sign = sum_sign(total.limits[0], writer.names)
    inside = rf"\bigl({matrix}\bigr)_{{{inner + own if transposed else own + inner}}}"
    vector = latex(total.function, writer.names)
    return f"{sign}{vector} {inside}" if transposed else f"{sign}{inside} {vector}"
