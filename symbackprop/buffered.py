"""Array expressions as NumPy calls that write into buffers allocated once.

The plain code says ``delta1 = (delta2 @ W2) * a1 * (1.0 - a1)``; this says the same in steps that
each have an ``out``. A buffer goes back to the pool when its last reader has run, so a long
expression needs few of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import sympy as sp

from symbackprop.arrays import Array, Entry, Map, MatMul, Softmax, Total, Transpose
from symbackprop.functions import ScalarFunction
from symbackprop.network import argument
from symbackprop.numpy_code import (
    UFUNCS,
    Code,
    Names,
    array_code,
    function_body,
    is_rectifier,
    operand_code,
    scalar_code,
    softmax_kernel,
)

Dims = tuple[sp.Expr, ...]


@dataclass
class Buffers:
    """The statements of the fast path, and the buffers that they write into."""

    names: Names
    lines: list[str] = field(default_factory=list)
    shapes: dict[str, Dims] = field(default_factory=dict)
    free: dict[Dims, list[str]] = field(default_factory=dict)

    def assign(self, target: str, array: Array) -> None:
        """Compute an array into the buffer called ``target``."""
        self.shapes[target] = array.dims
        if not array.dims:
            self.lines.append(f"{target} = {array_code(array, self.names).text}")
        elif isinstance(array, Entry | Transpose):
            self.lines.append(f"np.copyto({target}, {array_code(array, self.names).text})")
        else:
            self.into(target, array)

    def scratch(self, dims: Dims) -> str:
        """A buffer of this shape that nobody is using."""
        if self.free.get(dims):
            return self.free[dims].pop()
        name = f"t{sum(n.startswith('t') and n[1:].isdigit() for n in self.shapes) + 1}"
        self.shapes[name] = dims
        return name

    def release(self, *names: str) -> None:
        """Give scratch buffers back; names that aren't scratch are left alone."""
        for name in names:
            if name in self.shapes and name.startswith("t") and name[1:].isdigit():
                self.free.setdefault(self.shapes[name], []).append(name)

    def value(self, array: Array) -> str:
        """Code for an array, computed into scratch where it isn't a name or a view."""
        if isinstance(array, Entry | Transpose) or not array.dims:
            return array_code(array, self.names).text
        target = self.scratch(array.dims)
        self.into(target, array)
        return target

    def into(self, target: str, array: Array) -> None:
        """Statements that leave an array in ``target``."""
        if isinstance(array, MatMul):
            left, right = self.value(array.left), self.value(array.right)
            self.lines.append(f"np.matmul({left}, {right}, out={target})")
            self.release(left, right)
        elif isinstance(array, Total) and not array.log_exp:
            inner = self.value(array.arg)
            self.lines.append(f"np.sum({inner}, axis={array.axis}, out={target})")
            self.release(inner)
        elif isinstance(array, Softmax):
            kernel = softmax_kernel(array)
            self.names.helpers.kernels.add(kernel)
            inner = self.value(array.arg)
            self.lines.append(f"{kernel}({inner}, axis={array.axis}, out={target})")
            self.release(inner)
        elif isinstance(array, Map):
            self.map(target, array)
        else:
            self.lines.append(f"{target}[...] = {array_code(array, self.names).text}")

    def map(self, target: str, array: Map) -> None:
        operands, used = {}, []
        for operand in array.operands:
            if isinstance(operand.array, Entry | Transpose | Total) or not operand.array.dims:
                operands[operand.symbol] = operand_code(operand, len(array.shape), self.names)
            else:
                name = self.value(operand.array)
                used.append(name)
                index = _broadcast(operand.places, len(array.shape))
                operands[operand.symbol] = Code(name + index)
        _Elementwise(self, array.shape, operands).into(target, array.expr)
        self.release(*used)


def _broadcast(places: tuple[int, ...], rank: int) -> str:
    if places == tuple(range(rank - len(places), rank)):
        return ""
    return "[" + ", ".join(":" if axis in places else "None" for axis in range(rank)) + "]"


@dataclass
class _Elementwise:
    """One elementwise expression as a row of ufunc calls over buffers of one shape."""

    buffers: Buffers
    shape: Dims
    operands: Mapping[sp.Symbol, Code]

    def into(self, target: str, expr: sp.Expr) -> None:
        expr = _opened(expr)
        if isinstance(expr, sp.Add):
            self.chain(target, expr.args, "np.add", "np.subtract")
        elif isinstance(expr, sp.Mul):
            self.product(target, expr)
        elif isinstance(expr, sp.Pow) and expr.exp == 2:
            inner = self.value(expr.base)
            self.emit(target, f"np.multiply({inner}, {inner}, out={target})", inner)
        elif expr.func in UFUNCS and len(expr.args) == 1:
            self.call(target, UFUNCS[expr.func], expr.args[0])
        elif is_rectifier(expr):
            inner = self.value(expr.args[0].expr)
            self.emit(target, f"np.maximum({inner}, 0.0, out={target})", inner)
        elif isinstance(expr, sp.Symbol):
            self.buffers.lines.append(f"np.copyto({target}, {self.value(expr)})")
        else:
            self.buffers.lines.append(f"{target}[...] = {self.code(expr)}")

    def code(self, expr: sp.Expr) -> str:
        return scalar_code(expr, self.operands, self.buffers.names).text

    def emit(self, target: str, line: str, *done: str) -> None:
        """A statement that writes into ``target``; what it was the last to read is free again."""
        self.buffers.lines.append(line)
        kept = {target, *(code.text for code in self.operands.values())}
        self.buffers.release(*(name for name in dict.fromkeys(done) if name not in kept))

    def value(self, expr: sp.Expr) -> str:
        """Code for a part: a name, a number, a comparison that is 0 or 1, or scratch."""
        expr = _opened(expr)
        if isinstance(expr, sp.Symbol) or not expr.free_symbols & set(self.operands):
            return self.code(expr)
        if isinstance(expr, sp.Piecewise) and [v for v, _ in expr.args] == [1, 0]:
            return self.code(sp.Mul(sp.Integer(1), expr, evaluate=False))
        target = self.buffers.scratch(self.shape)
        self.into(target, expr)
        return target

    def call(self, target: str, name: str, arg: sp.Expr) -> None:
        if name.startswith("_"):
            self.buffers.names.helpers.kernels.add(name)
        inner = self.value(arg)
        self.emit(target, f"{name}({inner}, out={target})", inner)

    def chain(self, target: str, terms: tuple[sp.Expr, ...], add: str, subtract: str) -> None:
        """Terms added up one after another; negative ones are subtracted."""
        ordered = sorted(terms, key=lambda t: (t.could_extract_minus_sign(), sp.default_sort_key(t)))
        left = self.value(ordered[0])
        for term in ordered[1:]:
            negative = term.could_extract_minus_sign()
            right = self.value(-term if negative else term)
            operation = subtract if negative else add
            self.emit(target, f"{operation}({left}, {right}, out={target})", left, right)
            left = target

    def product(self, target: str, expr: sp.Mul) -> None:
        """Factors multiplied up one after another, scalars first among themselves."""
        scalars = [f for f in expr.args if not f.free_symbols & set(self.operands)]
        arrays = [f for f in expr.args if f not in scalars]
        left = self.value(arrays[0]) if not _inverse(arrays[0]) else "1.0"
        started = _inverse(arrays[0])
        for factor in arrays if started else arrays[1:]:
            operation = "np.divide" if _inverse(factor) else "np.multiply"
            right = self.value(1 / factor if _inverse(factor) else factor)
            self.emit(target, f"{operation}({left}, {right}, out={target})", left, right)
            left = target
        if scalars:
            factor = self.code(sp.Mul(*scalars))
            self.emit(target, f"np.multiply({left}, {factor}, out={target})", left)


def _inverse(factor: sp.Expr) -> bool:
    _, exponent = factor.as_base_exp()
    return bool(exponent.is_number and exponent.is_negative) and not isinstance(factor, sp.exp)


def _opened(expr: sp.Expr) -> sp.Expr:
    """A scalar function with a formula, written out in a form that can be evaluated."""
    if not isinstance(expr, ScalarFunction) or expr.formula is None:
        return expr
    body = function_body(expr)
    return body.xreplace({argument("z"): expr.args[0]})
