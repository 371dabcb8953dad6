"""Array expressions that have no operations of their own: calls, printed as the plain code prints them."""

from __future__ import annotations

from dataclasses import fields, replace

from symbackprop.algebra.equations import Quantity, Role
from symbackprop.code.arrays import Array, Entry
from symbackprop.code.nodes import Call, Dims
from symbackprop.code.numpy_code import Names, array_code


def as_printed(array: Array, names: Names) -> tuple[Call, tuple[Array, ...]]:
    """A piece of code with a name for each operand, and the operands.

    Raises:
        NoRule: for what has no NumPy form, by its name.
    """
    parts = ((field.name, getattr(array, field.name)) for field in fields(array))
    operands = {name: part for name, part in parts if isinstance(part, Array)}
    stand_ins = {name: Entry(_stand_in(name, part.dims)) for name, part in operands.items()}
    code = array_code(replace(array, **stand_ins), names).text
    return Call(code, tuple(entry.quantity.name for entry in stand_ins.values())), tuple(operands.values())


def _stand_in(name: str, dims: Dims) -> Quantity:
    return Quantity(f"stands_for_{name}", "u", Role.INTERMEDIATE, None, dims)
