"""Prints array expressions as NumPy, the way somebody would write them by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, singledispatch

import sympy as sp
from sympy.logic.boolalg import Boolean

from symbackprop.algebra.calculus import derivative
from symbackprop.algebra.equations import Role
from symbackprop.algebra.functions import ScalarFunction
from symbackprop.code.arrays import (
    Array,
    Einsum,
    Entry,
    LayerTotal,
    LogComplement,
    Map,
    MatMul,
    Operand,
    Others,
    Outer,
    Softmax,
    Total,
    Transpose,
)
from symbackprop.errors import NoRule
from symbackprop.network import argument
from symbackprop.numerics.forms import (
    Erfc,
    Erfcx,
    Expm1,
    Exprel,
    LogAbsExpm1,
    LogErfc,
    LogOneMinusExp,
    LogOneMinusExpExp,
    LogSoftplus,
    Sigmoid,
    Softplus,
    meaning,
)
from symbackprop.numerics.stable import stable

ATOM, POWER, UNARY, PRODUCT, SUM, COMPARISON = 5, 4, 3, 2, 1, 0
"""How tightly a piece of code binds; the higher, the fewer parentheses."""

UFUNCS: Mapping[type, str] = {
    sp.exp: "np.exp",
    sp.log: "np.log",
    sp.sin: "np.sin",
    sp.cos: "np.cos",
    sp.tan: "np.tan",
    sp.sinh: "np.sinh",
    sp.cosh: "np.cosh",
    sp.tanh: "np.tanh",
    sp.atan: "np.arctan",
    sp.Abs: "np.abs",
    sp.sign: "np.sign",
    sp.Max: "np.maximum",
    sp.Min: "np.minimum",
    Expm1: "np.expm1",
    Sigmoid: "_sigmoid",
    Softplus: "_softplus",
    LogSoftplus: "_log_softplus",
    LogOneMinusExp: "_log_one_minus_exp",
    LogOneMinusExpExp: "_log_one_minus_exp_exp",
    LogAbsExpm1: "_log_abs_expm1",
    Exprel: "_exprel",
    Erfc: "_erfc",
    LogErfc: "_log_erfc",
    Erfcx: "_erfcx",
    sp.erf: "_erf",
}
"""What computes each function; a name with an underscore is a kernel that the module brings along."""

Z = argument("z")


@dataclass(frozen=True)
class Code:
    """A piece of Python and how tightly it binds."""

    text: str
    binds: int = ATOM

    def inside(self, binds: int) -> str:
        """The text, in parentheses where a tighter binding is needed around it."""
        return self.text if self.binds >= binds else f"({self.text})"


@dataclass
class Helpers:
    """What printed code relies on: kernels of the template, functions made from formulas, open ones."""

    kernels: set[str] = field(default_factory=set)
    functions: dict[str, str] = field(default_factory=dict)
    open_functions: set[str] = field(default_factory=set)


@dataclass
class Names:
    """How quantities, sizes and open symbols are called in the code, and what the code relies on."""

    sizes: Mapping[sp.Symbol, str]
    quantities: Mapping[str, str] = field(default_factory=dict)
    symbols: Mapping[str, str] = field(default_factory=dict)
    helpers: Helpers = field(default_factory=Helpers)
    dtype: str = ""

    def quantity(self, name: str) -> str:
        """The variable that holds a quantity; an entry of a dictionary for one of a general layer."""
        return self.quantities.get(name) or re.sub(r"(?<=\w)([+-])(?=\d)", r" \1 ", name)

    def symbol(self, symbol: sp.Symbol) -> str:
        """The variable, or the number, that stands for a size or an open symbol."""
        name = symbol.name
        return self.sizes.get(symbol) or self.symbols.get(name) or self.quantities.get(name) or name


def array_code(array: Array, names: Names) -> Code:
    """An array expression as NumPy.

    Raises:
        NoRule: for what has no NumPy form, by its name.
    """
    return _array(array, names)


@singledispatch
def _array(array: Array, names: Names) -> Code:
    raise NoRule(f"no NumPy form is known for {type(array).__name__}")


@_array.register
def _(array: Entry, names: Names) -> Code:
    return Code(names.quantity(array.quantity.name))


@_array.register
def _(array: Transpose, names: Names) -> Code:
    return Code(f"{_array(array.arg, names).inside(ATOM)}.T")


@_array.register
def _(array: MatMul, names: Names) -> Code:
    left, right = _array(array.left, names), _array(array.right, names)
    return Code(f"{left.inside(POWER)} @ {right.inside(POWER)}", PRODUCT)


@_array.register
def _(array: Outer, names: Names) -> Code:
    return Code(f"np.outer({_array(array.left, names).text}, {_array(array.right, names).text})")


@_array.register
def _(array: Total, names: Names) -> Code:
    return Code(total_call(array, names, keepdims=False))


def total_call(array: Total, names: Names, keepdims: bool) -> str:
    """A sum along an axis; sums over every axis become one call."""
    inner, axes = array.arg, 1
    while not array.log_exp and isinstance(inner, Total) and not inner.log_exp:
        inner, axes = inner.arg, axes + 1
    if axes > 1 and axes == len(inner.dims):
        return f"np.sum({_array(inner, names).text})"
    name = "_log_sum_exp" if array.log_exp else "np.sum"
    names.helpers.kernels.update({name} & {"_log_sum_exp"})
    axis = f", axis={array.axis}" if len(array.arg.dims) > 1 or array.log_exp else ""
    return f"{name}({_array(array.arg, names).text}{axis}{', keepdims=True' if keepdims else ''})"


@_array.register
def _(array: LayerTotal, names: Names) -> Code:
    layer, last = names.symbol(array.layer), names.symbol(array.last)
    return Code(f"sum({_array(array.arg, names).text} for {layer} in range(1, {last} + 1))")


@_array.register
def _(array: Softmax, names: Names) -> Code:
    kernel = softmax_kernel(array)
    names.helpers.kernels.add(kernel)
    return Code(f"{kernel}({_array(array.arg, names).text}, axis={array.axis})")


def softmax_kernel(array: Softmax) -> str:
    """The kernel that computes a softmax, or its logarithm."""
    return "_log_softmax" if array.log else "_softmax"


@_array.register
def _(array: LogComplement, names: Names) -> Code:
    names.helpers.kernels.add("_log_complement")
    return Code(f"_log_complement({_array(array.arg, names).text}, axis={array.axis})")


@_array.register
def _(array: Others, names: Names) -> Code:
    names.helpers.kernels.add("_others")
    operands = (_array(operand, names).text for operand in (array.arg, array.weight))
    return Code(f"_others({', '.join(operands)}, axis={array.axis})")


@_array.register
def _(array: Einsum, names: Names) -> Code:
    operands = ", ".join(_array(operand, names).text for operand in array.operands)
    return Code(f"np.einsum({einsum_pattern(array)}, {operands})")


@_array.register
def _(array: Map, names: Names) -> Code:
    operands = {o.symbol: operand_code(o, len(array.shape), names) for o in array.operands}
    ranks = {o.symbol: _rank(o.array) for o in array.operands}
    code = scalar_code(array.expr, operands, names, ranks)
    return code if len(array.axes) == len(array.shape) else _repeated(code, array, names)


def _repeated(code: Code, array: Map, names: Names) -> Code:
    """With every axis of the whole, where the operands have fewer: a linear cost's delta has none."""
    shape = tuple_code([names.symbol(size) for size in array.shape])
    if array.axes:
        return Code(f"np.broadcast_to({code.text}, {shape})")
    return Code(f"np.full({shape}, {code.text}{names.dtype and ', dtype='}{names.dtype})")


def operand_code(operand: Operand, rank: int, names: Names) -> Code:
    """An operand, with an axis of length one wherever the result has an axis that it lacks."""
    missing = [axis for axis in range(rank) if axis not in operand.places]
    lined_up = operand.places == tuple(range(rank - len(operand.places), rank))
    if lined_up:
        return _array(operand.array, names)
    if isinstance(operand.array, Total) and missing == [rank - 1] and operand.array.axis == rank - 1:
        return Code(total_call(operand.array, names, keepdims=True))
    index = ", ".join("None" if axis in missing else ":" for axis in range(rank))
    return Code(f"{_array(operand.array, names).inside(ATOM)}[{index}]")


_RANKS = {
    Role.WEIGHT: 2,
    Role.ACTIVATION: 5,
    Role.TARGET: 9,
    Role.BIAS: 8,
    Role.DELTA: 3,
    Role.ADJOINT: 3,
}


def _rank(array: Array) -> int:
    """Where an operand stands among others: products first, targets and biases last."""
    if isinstance(array, MatMul | Einsum | Total):
        return 1
    return _RANKS.get(array.quantity.role, 6) if isinstance(array, Entry) else 4


# --- scalar expressions --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scalar:
    operands: Mapping[sp.Symbol, Code]
    names: Names
    ranks: Mapping[sp.Symbol, int]


def scalar_code(
    expr: sp.Expr,
    operands: Mapping[sp.Symbol, Code],
    names: Names,
    ranks: Mapping[sp.Symbol, int] | None = None,
) -> Code:
    """A scalar expression, applied entry by entry, in the code of its operands.

    >>> z = sp.Symbol("z", real=True)
    >>> scalar_code(z * (1 - z) / 3, {z: Code("a1")}, Names({})).text
    'a1 * (1.0 - a1) / 3.0'
    """
    return _scalar(expr, _Scalar(operands, names, ranks or {}))


def number_code(value: sp.Expr) -> Code:
    """A number as a Python float."""
    text = repr(float(sp.N(meaning(value), 20)))
    return Code(text, UNARY if text.startswith("-") else ATOM)


def _scalar(expr: sp.Expr, scope: _Scalar) -> Code:
    if expr.is_number and not expr.free_symbols:
        return number_code(expr)
    return _node(expr, scope)


@singledispatch
def _node(expr: sp.Basic, scope: _Scalar) -> Code:
    raise NoRule(f"no NumPy form is known for {type(expr).__name__}, which occurs as {str(expr)[:60]}")


@_node.register
def _(expr: sp.Symbol, scope: _Scalar) -> Code:
    return scope.operands.get(expr) or Code(scope.names.symbol(expr))


@_node.register
def _(expr: sp.Add, scope: _Scalar) -> Code:
    terms = sorted(expr.args, key=lambda term: _term_key(term, scope))
    text = ""
    for position, term in enumerate(terms):
        negative = position > 0 and term.could_extract_minus_sign() and not isinstance(term, sp.Add)
        code = _scalar(-term if negative else term, scope)
        joint = "" if not position else " - " if negative else " + "
        text += joint + code.inside(PRODUCT if negative or position else SUM)
    return Code(text, SUM)


@_node.register
def _(expr: sp.Mul, scope: _Scalar) -> Code:
    number, above, below = _fraction(expr, scope)
    if number.is_Rational and abs(number.p) == 1 and number.q != 1 and not _is_binary(number) and above:
        below = [sp.Integer(number.q), *below]
        number = sp.Integer(number.p)
    if number == -1 and above:
        inner = _product(sorted(above, key=_is_switch), below, scope)
        return Code(f"-{inner.inside(PRODUCT)}", UNARY)
    above = [number, *above] if number != 1 or not above else above
    return _product(above, below, scope)


def _is_binary(number: sp.Rational) -> bool:
    """Whether a fraction is a short decimal, such as 0.5."""
    return len(repr(float(number))) <= 6


def _product(above: list[sp.Expr], below: list[sp.Expr], scope: _Scalar) -> Code:
    # A comparison multiplies as a number, but has no sign and no dtype: a factor beside it gives it both.
    beside = any(not factor.is_number and not _is_switch(factor) for factor in above)
    written = _factor if beside else _scalar
    text = " * ".join(written(factor, scope).inside(UNARY) for factor in above)
    for divisor in (_factor(factor, scope).inside(UNARY) for factor in below):
        text += f" / {divisor}" if divisor != "1" else ""
    return Code(text, PRODUCT)


def _factor(expr: sp.Expr, scope: _Scalar) -> Code:
    """A factor; one that is 0 or 1 is a comparison, which multiplies as a number."""
    if _is_switch(expr):
        return Code(_condition(expr.args[0].cond, scope).text, COMPARISON)
    return _scalar(expr, scope)


def _is_switch(expr: sp.Expr) -> bool:
    return isinstance(expr, sp.Piecewise) and [v for v, _ in expr.args] == [sp.S.One, sp.S.Zero]


def _fraction(expr: sp.Mul, scope: _Scalar) -> tuple[sp.Expr, list[sp.Expr], list[sp.Expr]]:
    """The number before a product, its other factors in order, and the factors below the line."""
    number = sp.Mul(*(factor for factor in expr.args if factor.is_number))
    above: list[sp.Expr] = []
    below: list[sp.Expr] = []
    for factor in expr.args:
        if factor.is_number:
            continue
        base, exponent = factor.as_base_exp()
        negative = exponent.is_number and exponent.is_negative and not isinstance(factor, sp.exp)
        (below if negative else above).append(base ** (-exponent) if negative else factor)
    return number, *(sorted(part, key=lambda factor: _factor_key(factor, scope)) for part in (above, below))


@_node.register
def _(expr: sp.Pow, scope: _Scalar) -> Code:
    base, exponent = expr.args
    if exponent == sp.Rational(1, 2):
        return Code(f"np.sqrt({_scalar(base, scope).text})")
    if exponent.is_number and exponent.is_negative:
        return _product([sp.S.One], [base ** (-exponent)], scope)
    power = str(exponent) if exponent.is_Integer else _scalar(exponent, scope).inside(ATOM)
    inner = _scalar(base, scope).inside(ATOM)
    sign = "**" if inner.isidentifier() else " ** "
    return Code(f"{inner}{sign}{power}", POWER)


@_node.register
def _(expr: sp.Function, scope: _Scalar) -> Code:
    name = UFUNCS.get(expr.func)
    if name is None:
        raise NoRule(f"no NumPy form is known for the function {type(expr).__name__}")
    if name.startswith("_"):
        scope.names.helpers.kernels.add(name)
    return Code(f"{name}({', '.join(_scalar(arg, scope).text for arg in expr.args)})")


@_node.register
def _(expr: sp.Abs, scope: _Scalar) -> Code:
    arg = expr.args[0]
    first = min(sp.Add.make_args(arg), key=lambda term: _lowest_rank(term, scope))
    arg = -arg if first.could_extract_minus_sign() else arg
    return Code(f"np.abs({_scalar(arg, scope).text})")


@_node.register(sp.Max)
@_node.register(sp.Min)
def _(expr: sp.Expr, scope: _Scalar) -> Code:
    args = sorted(expr.args, key=lambda arg: (bool(arg.is_number), sp.default_sort_key(arg)))
    return Code(f"{UFUNCS[expr.func]}({', '.join(_scalar(arg, scope).text for arg in args)})")


@_node.register
def _(expr: ScalarFunction, scope: _Scalar) -> Code:
    arg = _scalar(expr.args[0], scope)
    if expr.formula is None:
        name = expr.letter + "_prime" * expr.order
        scope.names.helpers.open_functions.add(expr.letter)
        return Code(f"{name}({arg.text})")
    body = function_body(expr)
    inline = scalar_code(body, {Z: arg}, scope.names)
    if len(body.args) <= 1 or is_rectifier(body):
        return inline
    return Code(f"{_define(expr, body, scope.names)}({arg.text})")


def tuple_code(parts: Sequence[str]) -> str:
    """A tuple as Python writes it.

    >>> tuple_code(["2"])
    '(2,)'
    """
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def einsum_pattern(array: Einsum) -> str:
    """The string that tells ``einsum`` which axes are which, in its quotes."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    *inputs, output = ("".join(letters[n] for n in places) for places in (*array.inputs, array.output))
    return f'"{",".join(inputs)}->{output}"'


def function_body(function: ScalarFunction) -> sp.Expr:
    """The formula of a scalar function, or of its derivative, in a form that can be evaluated."""
    return _body(function.formula, function.order)


@cache
def _body(formula: sp.Expr, order: int) -> sp.Expr:
    for _ in range(order):
        formula = derivative(formula, Z)
    return stable(formula)


def _define(function: ScalarFunction, body: sp.Expr, names: Names) -> str:
    """The name of the module's function for this body."""
    name = f"_{function.letter}" + "_derivative" * function.order
    code = scalar_code(body, {Z: Code("z")}, names).text
    names.helpers.functions[name] = code
    return name


@_node.register
def _(expr: sp.Piecewise, scope: _Scalar) -> Code:
    if is_rectifier(expr):
        return Code(f"np.maximum({_scalar(expr.args[0].expr, scope).text}, 0.0)")
    *branches, (otherwise, _) = expr.args
    text = _scalar(otherwise, scope).text
    number = otherwise.is_number
    for value, condition in reversed(branches):
        yes = _scalar(value, scope).text
        if number and value.is_number:
            # a choice between two numbers would have the dtype of Python's own
            operand = min(condition.free_symbols, key=lambda s: scope.ranks.get(s, 9))
            yes = f"np.full_like({_scalar(operand, scope).text}, {yes})"
        number = False
        text = f"np.where({_condition(condition, scope).text}, {yes}, {text})"
    return Code(text)


def is_rectifier(expr: sp.Expr) -> bool:
    """max(u, 0), as a branch."""
    if not isinstance(expr, sp.Piecewise) or len(expr.args) != 2:
        return False
    (value, condition), (otherwise, _) = expr.args
    return otherwise == 0 and condition in (value > 0, value >= 0)


def _condition(condition: Boolean, scope: _Scalar) -> Code:
    signs = {
        sp.StrictGreaterThan: ">",
        sp.GreaterThan: ">=",
        sp.StrictLessThan: "<",
        sp.LessThan: "<=",
        sp.Equality: "==",
        sp.Unequality: "!=",
    }
    if isinstance(condition, sp.And | sp.Or):
        joint = " & " if isinstance(condition, sp.And) else " | "
        return Code(joint.join(f"({_condition(arg, scope).text})" for arg in condition.args), COMPARISON)
    if type(condition) not in signs:
        raise NoRule(f"no NumPy form is known for the condition {condition}")
    left, right = (_scalar(side, scope).inside(SUM) for side in condition.args)
    return Code(f"{left} {signs[type(condition)]} {right}", COMPARISON)


# --- the order of terms and factors, as on paper -------------------------------------------------


def _term_key(term: sp.Expr, scope: _Scalar) -> tuple[bool, int, str]:
    negative = term.could_extract_minus_sign()
    return (negative, _lowest_rank(term, scope), sp.default_sort_key(term).__repr__())


def _factor_key(factor: sp.Expr, scope: _Scalar) -> tuple[int, int, str]:
    return (_kind(factor, scope), _lowest_rank(factor, scope), sp.default_sort_key(factor).__repr__())


def _kind(factor: sp.Expr, scope: _Scalar) -> int:
    if isinstance(factor, sp.Symbol) and factor not in scope.operands:
        return 0
    if isinstance(factor, sp.Add):
        return 3 if factor.as_coeff_Add()[0] != 0 else 1
    return 2


def _lowest_rank(expr: sp.Expr, scope: _Scalar) -> int:
    return min((scope.ranks.get(symbol, 4) for symbol in expr.free_symbols), default=0)
