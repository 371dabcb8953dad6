r"""The project's own LaTeX printer: expressions in the order of paper, every symbol by a macro.

One small function for each type of node turns it into a :class:`~symbackprop.printing.pieces.Piece`; a type
with no function is refused by its name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import singledispatch

import sympy as sp
from sympy.logic.boolalg import BooleanTrue

from symbackprop.algebra.equations import Bracket, ExplicitPartial, Partial, Role
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.algebra.layers import LayerSum
from symbackprop.errors import NoRule
from symbackprop.printing.measure import expanded, rendered_width
from symbackprop.printing.numbers_tex import decimal, is_decimal, whole_number
from symbackprop.printing.paper_order import (
    is_kronecker,
    is_plain_number,
    leads_with_minus,
    ordered_factors,
    ordered_terms,
)
from symbackprop.printing.pieces import (
    Binding,
    Piece,
    Token,
    at_least,
    atom,
    deeper,
    joined_product,
    joined_sum,
    number_put_in,
    parenthesised,
    prefixed,
    signed,
    source,
    tex,
    with_superscript,
)
from symbackprop.printing.rows import broken
from symbackprop.printing.symbols import (
    Names,
    apart_from_sizes,
    carries_superscript,
    function_name,
    index,
    indexed,
    layer_argument,
    size,
    symbol,
)

_FRACTION, _SUM = 3, 2
_DEEP = 12
_BRACE = 9.0
_TALLEST_EXPONENT, _WIDEST_EXPONENT = 1, 12.0
OPERATORS = {
    sp.exp: r"\exp",
    sp.log: r"\ln",
    sp.sin: r"\sin",
    sp.cos: r"\cos",
    sp.tan: r"\tan",
    sp.sinh: r"\sinh",
    sp.cosh: r"\cosh",
    sp.tanh: r"\tanh",
    sp.atan: r"\arctan",
    sp.erf: r"\operatorname{erf}",
    sp.sign: r"\operatorname{sgn}",
}
RELATIONS = {
    sp.StrictGreaterThan: ">",
    sp.StrictLessThan: "<",
    sp.GreaterThan: r"\geq",
    sp.LessThan: r"\leq",
    sp.Equality: "=",
    sp.Unequality: r"\neq",
}


class Style(Enum):
    """Where a piece stands, which is what decides how tall it may be."""

    DISPLAY = "display"
    FRACTION = "fraction"
    SCRIPT = "script"


@dataclass(frozen=True)
class Printer:
    """What a printing function must know besides the node.

    Fractions wider than ``widest`` are laid on their side, so that a line may break inside them.
    """

    names: Names
    style: Style = Style.DISPLAY
    widest: float = math.inf
    known: dict[tuple[Style, sp.Basic], Piece] = field(default_factory=dict, compare=False, repr=False)

    def piece(self, node: sp.Basic) -> Piece:
        """The printed node; what it was printed as before, if it was."""
        if node in self.names.numbers:
            return number_put_in(self.names.numbers[node])
        found = self.known.get((self.style, node))
        if found is None:
            found = self.known[self.style, node] = _piece(node, self)
        return found

    def whole(self, expr: sp.Basic) -> Piece:
        """A whole expression, from the inside out where it is nested so deep that Python would give up."""
        expr = apart_from_sizes(expr, self.names)
        nested = [node for node in _inside_out(expr) if isinstance(node, sp.Sum)]
        for node in nested if len(nested) > _DEEP else ():
            for style in (Style.DISPLAY, Style.FRACTION):
                replace(self, style=style).piece(node)
        return self.piece(expr)

    def within(self, style: Style) -> Printer:
        """The printer for something inside a fraction or a script."""
        return self if self.style is Style.SCRIPT else replace(self, style=style)

    def width(self, piece: Piece) -> float:
        """How wide a piece comes out, in characters."""
        return rendered_width(tex(piece), self.names.notation)


def latex(expr: sp.Basic, names: Names | None = None) -> str:
    r"""An expression, or a condition, as LaTeX in the order of paper, on one line.

    Raises:
        NoRule: for a type of node that no rule prints, naming it.

    >>> a, y = sp.Symbol("a", real=True), sp.Symbol("y", real=True)
    >>> print(latex((a - y) * (1 - a) * a))
    (\sbpactletter - \sbptargetletter) \sbpactletter (1 - \sbpactletter)
    >>> print(latex(sp.Rational(1, 2) * (a - y) ** 2))
    \frac{1}{2} (\sbpactletter - \sbptargetletter)^{2}
    """
    return tex(Printer(names or Names()).whole(expr))


def sum_sign(limits: tuple[sp.Expr, ...], names: Names) -> str:
    r"""The sign of a sum with its bounds, without what it adds up.

    >>> k = sp.Symbol("k", integer=True, positive=True)
    >>> print(sum_sign((k, sp.Integer(1), sp.Integer(3)), Names()) + "x")
    \sum_{k=1}^{3} x
    """
    term = sp.Symbol("z", real=True)
    return latex(sp.Sum(term, limits), names).removesuffix(latex(term, names))


def _inside_out(expr: sp.Basic) -> Iterator[sp.Basic]:
    """Every distinct sub-expression once, each after those inside it."""
    seen: set[sp.Basic] = set()
    stack = [(expr, False)]
    while stack:
        node, ready = stack.pop()
        if ready:
            yield node
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack += [(arg, False) for arg in node.args]


@singledispatch
def _piece(node: sp.Basic, printer: Printer) -> Piece:
    raise NoRule(f"no rule prints {type(node).__name__}, which occurs as {str(node)[:60]}")


# --- numbers and symbols ----------------------------------------------------------------------


@_piece.register
def _(node: sp.Rational, printer: Printer) -> Piece:
    size_of = abs(node)
    if is_decimal(size_of):
        return Piece((Token(decimal(size_of)),), negative=node.p < 0)
    if size_of.q == 1:
        return replace(_whole(int(size_of)), negative=node.p < 0)
    top, bottom = _whole(int(size_of.p)), _whole(int(size_of.q))
    return replace(_fraction(lambda _: (top, bottom), printer), negative=node.p < 0)


def _whole(number: int) -> Piece:
    """A whole number; one with a power of ten is a product."""
    text = whole_number(number)
    return atom(text, binding=Binding.PRODUCT if r"\cdot" in text else Binding.ATOM)


@_piece.register
def _(node: sp.Float, printer: Printer) -> Piece:
    digits, _, power = str(abs(node)).partition("e")
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    shown = rf"{digits} \cdot 10^{{{int(power)}}}" if power else digits
    return Piece((Token(shown),), Binding.PRODUCT if power else Binding.ATOM, negative=bool(node < 0))


@_piece.register
def _(node: sp.NumberSymbol, printer: Printer) -> Piece:
    known = {sp.pi: r"\pi", sp.E: r"\sbpexp{1}"}
    if node not in known:
        raise NoRule(f"no rule prints the number {node}")
    return atom(known[node])


@_piece.register
def _(node: sp.Symbol, printer: Printer) -> Piece:
    shown = symbol(node, printer.names)
    if not shown.startswith(r"\sbpsize"):
        return atom(shown)
    first = expanded(shown, printer.names.notation).lstrip("{")[:1]
    return Piece((Token(shown, digit=first.isdigit()),))


@_piece.register
def _(node: sp.Indexed, printer: Printer) -> Piece:
    shown = indexed(node, printer.names)
    return _derivative_sign(shown, printer) if shown.startswith(r"\sbppartial") else atom(shown)


# --- sums and products ------------------------------------------------------------------------


@_piece.register
def _(node: sp.Add, printer: Printer) -> Piece:
    if printer.names.notation.bias_folded:
        folded = _folded_bias(node, printer)
        if folded is not node:
            return printer.piece(folded)
    common = _common_decimal(node)
    if common is not None:
        return joined_product([printer.piece(_without(common, node))], printer.piece(common))
    pieces = {term: printer.piece(term) for term in node.args}
    order = ordered_terms([(term, pieces[term].negative) for term in node.args], printer.names)
    shown = [pieces[term] for term in order]
    dangling = [_closed(piece, term) for piece, term in zip(shown[:-1], order[:-1], strict=True)]
    return joined_sum([*dangling, shown[-1]])


class FoldedSum(sp.Expr):  # type: ignore[misc]
    """sum_k w_jk a_k + b_j, where the bias is the weight from a unit 0 that gives 1: a sum from 0."""


def _folded_bias(node: sp.Add, printer: Printer) -> sp.Expr:
    """A sum with the biases of its terms taken into their sums over weights."""
    terms = {term: term for term in node.args}
    for total in (term for term in node.args if isinstance(term, sp.Sum) and len(term.limits) == 1):
        bias = next((term for term in node.args if _is_bias_of(term, total, printer.names)), None)
        if bias is not None:
            terms[total] = FoldedSum(total)
            terms.pop(bias, None)
    same = len(terms) == len(node.args)
    return node if same else sp.Add(*terms.values())


def _is_bias_of(term: sp.Expr, total: sp.Sum, names: Names) -> bool:
    """Whether a term is the bias of the unit that the weights of a sum lead to."""
    bias = names.quantity(term) if isinstance(term, sp.Indexed) else None
    if bias is None or bias.role is not Role.BIAS:
        return False
    weights = [e for e in total.function.atoms(sp.Indexed) if names.role(e) is Role.WEIGHT]
    of_layer = [w for w in weights if w.indices[0] == term.indices[0] and w.indices[1] == total.limits[0][0]]
    return any(names.quantity(weight).layer == bias.layer for weight in of_layer)  # type: ignore[union-attr]


@_piece.register
def _(node: FoldedSum, printer: Printer) -> Piece:
    inner = printer.piece(node.args[0])
    bound, _, upper = node.args[0].limits[0]
    sign = _limits(tex(printer.piece(bound)), 0, _last_unit(upper, 0, printer))
    return replace(inner, tokens=(Token(sign), *inner.tokens[1:]))


def _common_decimal(node: sp.Add) -> sp.Rational | None:
    """The long decimal that every term has for a coefficient: it is printed once, in front."""
    sizes = {abs(term.as_coeff_Mul()[0]) for term in node.args}
    common = sizes.pop()
    is_common = not sizes and isinstance(common, sp.Rational) and is_decimal(common)
    return common if is_common else None


def _without(common: sp.Rational, node: sp.Add) -> sp.Expr:
    """A sum over the coefficient that its terms have in common."""
    return sp.Add(*(sp.Mul(*term.as_coeff_Mul()) / common for term in node.args), evaluate=False)


def _decimals_first(number: sp.Expr, factors: list[sp.Expr]) -> tuple[sp.Expr, list[sp.Expr]]:
    """The decimals that sums among the factors have in common, taken into the number before them all.

    >>> a, y = sp.symbols("a y", real=True)
    >>> _decimals_first(sp.S.One, [y, sp.Rational(7, 10) - sp.Rational(7, 10) * a])
    (7/10, [y, 1 - a])
    """
    found = list(factors)
    for place, factor in enumerate(factors):
        common = _common_decimal(factor) if isinstance(factor, sp.Add) else None
        if common is not None:
            number, found[place] = number * common, _without(common, factor)
    return number, found


def _closed(piece: Piece, term: sp.Expr) -> Piece:
    """A term with cases at its end, in parentheses: only the last term may end in an open brace."""
    if not piece.tokens[-1].tex.endswith(r"\end{cases}"):
        return piece
    return replace(parenthesised(replace(piece, negative=False)), negative=piece.negative)


@_piece.register
def _(node: sp.Mul, printer: Printer) -> Piece:
    numbers = [factor for factor in node.args if isinstance(factor, sp.Rational | sp.Float)]
    if len(numbers) > 1:
        return _as_written(node, printer)
    over, under = _sides(node)
    number = numbers[0] if numbers else sp.S.One
    number, over = _decimals_first(number, over)
    number, over, under = _with_radicals(number, over, under)
    if any(_is_quantity(factor) for factor in under):
        return _quotient(number, over, under, printer)
    return _scaled(number, over, under, printer)


def _as_written(node: sp.Mul, printer: Printer) -> Piece:
    """A product of several numbers, which somebody has kept apart: in its own order."""
    return joined_product([printer.piece(factor) for factor in node.args])


def _sides(node: sp.Mul) -> tuple[list[sp.Expr], list[sp.Expr]]:
    """The factors above and below the line of a fraction, the number left out."""
    over, under = [], []
    for factor in node.args:
        if isinstance(factor, sp.Rational | sp.Float):
            continue
        base, exponent = factor.as_base_exp() if isinstance(factor, sp.Pow) else (factor, sp.S.One)
        if exponent.is_number and exponent.is_negative:
            under.append(sp.Pow(base, -exponent))
        else:
            over.append(factor)
    return over, under


def _with_radicals(
    number: sp.Expr, over: list[sp.Expr], under: list[sp.Expr]
) -> tuple[sp.Expr, list[sp.Expr], list[sp.Expr]]:
    """``sqrt(2)/2`` is ``1/sqrt(2)`` on paper, and ``sqrt(2)/sqrt(pi)`` one root of a fraction."""
    for root in [factor for factor in over if _is_root(factor)]:
        partners = [factor for factor in under if _is_root(factor)]
        if partners:
            over = [f for f in over if f != root] + [sp.sqrt(root.base / partners[0].base, evaluate=False)]
            under = [factor for factor in under if factor != partners[0]]
        elif isinstance(number, sp.Rational) and number.q % root.base == 0:
            number, over, under = number * root.base, [f for f in over if f != root], [*under, root]
    return number, over, under


def _is_root(factor: sp.Expr) -> bool:
    is_root = isinstance(factor, sp.Pow) and factor.exp == sp.S.Half
    return is_root and (factor.base.is_Integer or factor.base is sp.pi)


def _is_quantity(factor: sp.Expr) -> bool:
    """Whether a denominator is more than numbers and open symbols, so that it needs a fraction of its own."""
    return bool(factor.atoms(sp.Indexed, sp.Sum, sp.Function)) or any(
        str(name) in ("a", "z", "y") for name in factor.free_symbols
    )


def _scaled(number: sp.Expr, over: list[sp.Expr], under: list[sp.Expr], printer: Printer) -> Piece:
    r"""A coefficient of numbers and open symbols, then the factors: ``\frac{\lambda}{2N} \sum_j …``."""
    coefficient, rest = _coefficient(abs(number), over, under, printer)
    factors = [printer.piece(factor) for factor in ordered_factors(rest, printer.names)]
    whole = coefficient if coefficient and not factors else joined_product(factors, coefficient)
    return replace(whole, negative=whole.negative != bool(number < 0))


def _coefficient(
    number: sp.Expr, over: list[sp.Expr], under: list[sp.Expr], printer: Printer
) -> tuple[Piece | None, list[sp.Expr]]:
    """The printed coefficient, ``None`` for 1, and the factors that are left."""
    top, bottom = _number_sides(number)
    if not under and bottom == 1:
        return (None if top == 1 and over else printer.piece(top)), over
    short = len(over) == 1 and _is_short(over[0]) and all(is_plain_number(factor) for factor in under)
    above = over if short else [factor for factor in over if _is_open(factor)]
    fraction = _fraction(lambda p: (_side(top, above, p), _side(bottom, under, p)), printer)
    return fraction, [factor for factor in over if factor not in above]


def _number_sides(number: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """What a number puts above and below the line."""
    if not isinstance(number, sp.Rational) or is_decimal(number):
        return number, sp.S.One
    return sp.Integer(number.p), sp.Integer(number.q)


def _is_short(factor: sp.Expr) -> bool:
    base = factor.base if isinstance(factor, sp.Pow) else factor
    return isinstance(base, sp.Symbol | sp.Indexed | sp.NumberSymbol)


def _is_open(factor: sp.Expr) -> bool:
    """Whether a factor is a number or a symbol that stands for one: it goes above the line."""
    return not factor.atoms(sp.Indexed, sp.Function, Partial, sp.Sum, sp.Add) and not any(
        str(name) in ("a", "z", "y") for name in factor.free_symbols
    )


def _side(number: sp.Expr, factors: list[sp.Expr], printer: Printer) -> Piece:
    """What stands above or below the line of a fraction."""
    shown = [printer.piece(factor) for factor in ordered_factors(factors, printer.names)]
    if not shown:
        return printer.piece(number)
    if number == 1 and len(shown) == 1:
        return shown[0]
    return joined_product(shown, None if number == 1 else printer.piece(number))


def _quotient(number: sp.Expr, over: list[sp.Expr], under: list[sp.Expr], printer: Printer) -> Piece:
    """A fraction with quantities below the line, then what is too tall to stand above it."""
    top, bottom = _number_sides(abs(number))
    after = [factor for factor in over if _stays_outside(factor)]
    above = [factor for factor in over if factor not in after]
    fraction = _fraction(lambda p: (_side(top, above, p), _side(bottom, under, p)), printer)
    negative = bool(number < 0) != fraction.negative
    fraction = replace(fraction, negative=False)
    if not after:
        return replace(fraction, negative=negative)
    rest = [printer.piece(factor) for factor in ordered_factors(after, printer.names)]
    whole = joined_product([fraction, *rest])
    return replace(whole, negative=whole.negative != negative)


def _stays_outside(factor: sp.Expr) -> bool:
    return isinstance(factor, sp.Sum | LayerSum | Partial) or is_kronecker(factor) or factor.has(sp.Piecewise)


def _fraction(sides: Callable[[Printer], tuple[Piece, Piece]], printer: Printer) -> Piece:
    """One fraction: upright, with a slash in a script, on its side where it is too wide for a line."""
    if printer.style is Style.SCRIPT:
        return _slashed(*sides(printer))
    top, bottom = sides(printer.within(Style.FRACTION))
    shown = rf"\frac{{{tex(replace(top, negative=False))}}}{{{tex(bottom)}}}"
    if rendered_width(shown, printer.names.notation) > printer.widest:
        return _slashed(*sides(printer))
    height = _FRACTION if printer.style is Style.DISPLAY else 1
    return Piece((Token(shown),), Binding.PRODUCT, height, top.negative)


def _slashed(top: Piece, bottom: Piece) -> Piece:
    left = parenthesised(top) if top.binding < Binding.PRODUCT or top.open_end else top
    right = parenthesised(bottom) if bottom.binding < Binding.POWER or bottom.open_end else bottom
    slash = Token("/", 1, "{}", tight=True)
    tokens = (*left.tokens, slash, replace(right.tokens[0], tight=True, cost=None), *right.tokens[1:])
    return Piece(tokens, Binding.PRODUCT, max(left.height, right.height), top.negative, open_end=True)


@_piece.register
def _(node: sp.Pow, printer: Printer) -> Piece:
    base, exponent = node.args
    if exponent.is_number and exponent.is_negative:
        return _reciprocal(node, printer)
    if exponent == sp.S.Half:
        inner = printer.piece(base)
        return atom(rf"\sqrt{{{tex(inner)}}}", inner.height)
    return with_superscript(_base(base, printer), tex(printer.within(Style.SCRIPT).piece(exponent)))


def _reciprocal(node: sp.Pow, printer: Printer) -> Piece:
    below = sp.Pow(node.base, -node.exp)
    if _is_quantity(below):
        return _quotient(sp.S.One, [], [below], printer)
    return _scaled(sp.S.One, [], [below], printer)


def _base(base: sp.Expr, printer: Printer) -> Piece:
    """What an exponent is put on; a symbol with a superscript of its own is put in parentheses."""
    piece = printer.piece(base)
    if isinstance(base, sp.Indexed | sp.Symbol):
        if carries_superscript(tex(piece), printer.names):
            return parenthesised(replace(piece, height=max(piece.height, 1)))
        return replace(piece, tokens=(Token(f"{{{tex(piece)}}}"),)) if isinstance(base, sp.Indexed) else piece
    is_word = isinstance(base, sp.Function) and not isinstance(base, ScalarFunction | sp.Abs)
    if piece.binding < Binding.ATOM or piece.negative or piece.open_end or is_word:
        return parenthesised(piece)
    return piece


@_piece.register
def _(node: sp.Sum, printer: Printer) -> Piece:
    signs = [_sum_sign(limits, printer) for limits in reversed(node.limits)]
    return _summation(node.function, signs, printer)


@_piece.register
def _(node: LayerSum, printer: Printer) -> Piece:
    layer, last = (layer_argument(part, printer.names) for part in (node.layer, node.last))
    return _summation(node.term, [rf"\sum_{{{layer}=1}}^{{{last}}}"], printer)


def _summation(summed: sp.Expr, signs: Sequence[str], printer: Printer) -> Piece:
    """What is summed with the signs of its sums, the outer one first."""
    body, negative = _sum_body(summed, printer)
    first = replace(body.tokens[0], cost=None)
    tokens = (*(Token(sign) for sign in signs), first, *(deeper(t, 1) for t in body.tokens[1:]))
    height = max(body.height, _SUM if printer.style is Style.DISPLAY else 1)
    return Piece(tokens, Binding.PRODUCT, height, negative, open_end=True)


def _sum_body(body: sp.Expr, printer: Printer) -> tuple[Piece, bool]:
    """What is summed, and whether a minus sign is better put before the sum."""
    negative = False
    if isinstance(body, sp.Add) and all(printer.piece(term).negative for term in body.args):
        body, negative = sp.Add(*(-term for term in body.args), evaluate=False), True
    piece = printer.piece(body)
    negative = negative or piece.negative
    piece = replace(piece, negative=False)
    return (parenthesised(piece) if piece.binding < Binding.PRODUCT else piece), negative


def _sum_sign(limits: sp.Tuple, printer: Printer) -> str:
    bound, lower, upper = limits
    if lower != 1:
        raise NoRule(f"no rule prints the sum over {bound} from {lower}: a sum runs from 1 to a size")
    first = printer.names.notation.index.start
    return _limits(tex(printer.piece(bound)), first, _last_unit(upper, first - 1, printer))


def _limits(bound: str, first: int, last: str) -> str:
    return rf"\sum_{{{bound}={first}}}^{{{last}}}"


def _last_unit(upper: sp.Expr, shift: int, printer: Printer) -> str:
    """The number of the last unit: the size, or one less where the first is 0."""
    shown = printer.names.sizes.get(str(upper), upper)
    if isinstance(shown, sp.Integer):
        return str(shown + shift)
    top = size(upper, printer.names) if isinstance(upper, sp.Symbol) else tex(printer.piece(upper))
    return top if not shift else f"{top}-{-shift}"


# --- functions --------------------------------------------------------------------------------


@_piece.register
def _(node: ScalarFunction, printer: Printer) -> Piece:
    name = function_name(type(node).letter, type(node).order, printer.names, node.args[0])
    return prefixed(name, parenthesised(printer.piece(node.args[0])))


@_piece.register
def _(node: sp.exp, printer: Printer) -> Piece:
    inner = printer.within(Style.SCRIPT).piece(node.args[0])
    small = inner.height <= _TALLEST_EXPONENT and printer.width(inner) <= _WIDEST_EXPONENT
    if small and not node.has(sp.Sum):
        return Piece((Token(rf"\sbpexp{{{tex(inner)}}}"),), Binding.POWER, inner.height)
    return prefixed(r"\exp", parenthesised(printer.piece(node.args[0])))


@_piece.register
def _(node: sp.Abs, printer: Printer) -> Piece:
    """Of ``|a - y|`` and ``|y - a|``, which are equal, the one in the order of paper."""
    inner = node.args[0]
    if isinstance(inner, sp.Add):
        signs = {term: printer.piece(term).negative for term in inner.args}
        if leads_with_minus(inner, signs, printer.names):
            inner = sp.Add(*(-term for term in inner.args), evaluate=False)
    return parenthesised(replace(printer.piece(inner), negative=False), r"\lvert", r"\rvert")


@_piece.register
def _(node: sp.Function, printer: Printer) -> Piece:
    name = OPERATORS.get(type(node))
    if name is None or len(node.args) != 1:
        raise NoRule(f"no rule prints the function {type(node).__name__}, which occurs as {str(node)[:60]}")
    inner = printer.piece(node.args[0])
    if isinstance(node, sp.log) and _is_short(node.args[0]) and not isinstance(node.args[0], sp.Pow):
        return Piece((Token(f"{name} {tex(inner)}"),), Binding.PRODUCT, inner.height, open_end=True)
    return prefixed(name, parenthesised(inner))


# --- derivatives, brackets and cases ----------------------------------------------------------


@_piece.register
def _(node: Partial, printer: Printer) -> Piece:
    macro = r"\sbpexplicitpartial" if isinstance(node, ExplicitPartial) else r"\sbppartial"
    inner = printer.within(Style.FRACTION)
    above, below = (tex(at_least(inner.piece(part), Binding.POWER)) for part in (node.of, node.wrt))
    shown = f"{macro}{{{above}}}{{{below}}}"
    return _derivative_sign(shown, printer)


def _derivative_sign(shown: str, printer: Printer) -> Piece:
    return atom(shown, _FRACTION if printer.style is Style.DISPLAY else 1, Binding.PRODUCT)


@_piece.register
def _(node: sp.KroneckerDelta, printer: Printer) -> Piece:
    left, right = (index(arg, printer.names) for arg in node.args)
    return atom(rf"\sbpbracket{{{left} = {right}}}")


@_piece.register
def _(node: Bracket, printer: Printer) -> Piece:
    return atom(rf"\sbpbracket{{{tex(printer.piece(node.args[0]))}}}")


@_piece.register
def _(node: sp.core.relational.Relational, printer: Printer) -> Piece:
    sign = RELATIONS.get(type(node))
    if sign is None:
        raise NoRule(f"no rule prints the condition {node}")
    left, right = (printer.piece(arg) for arg in node.args)
    return Piece(
        (*signed(left), Token(sign, 0, "{}"), *signed(right)), Binding.SUM, max(left.height, right.height)
    )


@_piece.register
def _(node: sp.And, printer: Printer) -> Piece:
    pieces = ((arg, printer.piece(arg)) for arg in ordered_conditions(node))
    parts = [parenthesised(piece) if isinstance(arg, sp.Or) else piece for arg, piece in pieces]
    return _joined_conditions(parts, r"\land")


@_piece.register
def _(node: sp.Or, printer: Printer) -> Piece:
    return _joined_conditions([printer.piece(arg) for arg in ordered_conditions(node)], r"\lor")


def _joined_conditions(parts: list[Piece], sign: str) -> Piece:
    tokens = list(signed(parts[0]))
    for piece in parts[1:]:
        opening, *rest = signed(piece)
        tokens += [Token(sign, 0, "{}"), replace(opening, cost=None), *rest]
    return Piece(tuple(tokens), Binding.SUM, max(piece.height for piece in parts))


def ordered_conditions(node: sp.And | sp.Or) -> list[sp.Basic]:
    """The conditions that are joined, in the order of print."""
    return sorted(node.args, key=sp.default_sort_key)


def negated(condition: sp.Basic) -> sp.Basic:
    """The condition that holds where this one doesn't, without a "not"."""
    if isinstance(condition, sp.And | sp.Or):
        other = sp.Or if isinstance(condition, sp.And) else sp.And
        return other(*map(negated, condition.args))
    return sp.Not(condition)


@_piece.register
def _(node: sp.Piecewise, printer: Printer) -> Piece:
    condition = indicated(node)
    if condition is not None:
        return atom(rf"\sbpbracket{{{tex(printer.piece(condition))}}}")
    shown = _cases(node, printer)
    if rendered_width(shown, printer.names.notation) > printer.widest:
        shown = _stacked_cases(node, printer)
    return Piece((Token(shown),), Binding.PRODUCT, 4, open_end=True)


def _cases(node: sp.Piecewise, printer: Printer) -> str:
    """The cases, each condition beside its value."""
    inner = printer.within(Style.FRACTION)
    rows = [f"{tex(inner.piece(value))} & {source(_when(case, inner))}" for value, case in node.args]
    return r"\begin{cases} " + r" \\ ".join(rows) + r" \end{cases}"


def _stacked_cases(node: sp.Piecewise, printer: Printer) -> str:
    """The cases where a line is too short for them: each condition below its value, both broken into rows."""
    inner, room = printer.within(Style.FRACTION), printer.widest - _BRACE
    rows: list[str] = []
    for value, case in node.args:
        first, *others = broken(signed(inner.piece(value)), printer.names.notation, room)
        others += broken(_when(case, inner), printer.names.notation, room)
        rows += [first, *(rf"\quad {row}" for row in others)]
    return r"\begin{cases} " + r" \\ ".join(rows) + r" \end{cases}"


def indicated(node: sp.Piecewise) -> sp.Basic | None:
    """The condition under which cases are 1, if they are 0 otherwise."""
    if len(node.args) != 2 or not isinstance(node.args[1].args[1], BooleanTrue):
        return None
    (first, condition), (second, _) = node.args
    if (first, second) == (1, 0):
        return condition
    return negated(condition) if (first, second) == (0, 1) else None


def _when(condition: sp.Basic, printer: Printer) -> tuple[Token, ...]:
    if isinstance(condition, BooleanTrue):
        return (Token(r"\sbpotherwise"),)
    return (Token(r"\sbpif"), *signed(printer.piece(condition)))
