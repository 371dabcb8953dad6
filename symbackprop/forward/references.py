"""Names of quantities and of their entries as people type them: ``a[L-1]``, ``W[L][1,2]``, ``y``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

from symbackprop.algebra.equations import Quantity, Role
from symbackprop.errors import SymbackpropError
from symbackprop.forward.model import Model
from symbackprop.tables.names import quoted

_REFERENCE = re.compile(
    r"(?P<letter>[A-Za-z]+?)(?:(?P<number>\d+)|\[(?P<layer>[A-Za-z]?(?:[+-]?\d+)?)\])?"
    r"(?:\[(?P<indices>\d+(?:,\d+)*)\])?"
)
_FORM = "an entry is written as W[L][1,2], W2[1,2] or b[L-1][2]"


@dataclass(frozen=True)
class Reference:
    """A quantity of a model, and the numbers of one of its entries if there are any, counted from 1."""

    quantity: Quantity
    numbers: tuple[int, ...] = ()


def find(text: str, model: Model, start: int = 1) -> Reference:
    """The quantity that a reference means, ``L`` for the last layer and ``l`` for any hidden one.

    Args:
        text: the reference.
        model: the network.
        start: the number of the first unit, in the numbers of the reference.

    Raises:
        SymbackpropError: for what is no reference, and for a quantity or an entry that there isn't.

    >>> from symbackprop.forward.model import forward_model
    >>> from symbackprop.spec.loading import from_widths
    >>> found = find("W[L][1,2]", forward_model(from_widths("2-3-1")))
    >>> found.quantity.name, found.numbers
    ('W2', (1, 2))
    """
    read = _REFERENCE.fullmatch(text.replace(" ", ""))
    if read is None:
        raise SymbackpropError(f"wrt: {quoted(text)}: {_FORM}")
    layer = _layer(read["number"] or read["layer"], model)
    quantity = _by_layer(model).get((read["letter"], layer))
    if quantity is None:
        known = ", ".join(sorted({p.name for p in model.program.parameters}))
        raise SymbackpropError(f"wrt: {quoted(text)}: there is no such quantity; the parameters are {known}")
    numbers = tuple(int(n) - start + 1 for n in read["indices"].split(",")) if read["indices"] else ()
    if numbers:
        _check_numbers(text, quantity, numbers, model, start)
    return Reference(quantity, numbers)


def _layer(text: str | None, model: Model) -> sp.Expr | None:
    """A layer as an expression; its letters are those of the model, whatever these are called."""
    if text is None:
        return None
    if text.isdigit():
        return sp.Integer(int(text))
    letters = {"L": model.last_layer, "l": model.general_layer, str(model.last_layer): model.last_layer}
    shift = sp.Integer(int(text[1:] or 0))
    base = letters.get(text[:1])
    return None if base is None else base + shift


def _by_layer(model: Model) -> Mapping[tuple[str, sp.Expr | None], Quantity]:
    """The quantities of a model by letter and layer; the input is also the activation of layer 0."""
    found = {}
    for quantity in model.program.quantities.values():
        found[quantity.letter, quantity.layer] = quantity
        if quantity.role in (Role.INPUT, Role.TARGET):
            found[quantity.letter, None] = quantity
        if quantity.role is Role.INPUT:
            found["a", sp.S.Zero] = quantity
    return found


def _check_numbers(text: str, quantity: Quantity, numbers: tuple[int, ...], model: Model, start: int) -> None:
    if len(numbers) != len(quantity.dims):
        wanted = f"{quantity.name} has {len(quantity.dims)} indices, not {len(numbers)}"
        raise SymbackpropError(f"wrt: {quoted(text)}: {wanted}")
    for number, dim in zip(numbers, quantity.dims, strict=True):
        size = model.with_sizes(dim)
        if number < 1 or (size.is_Integer and number > size):
            last = int(size) - 1 + start if size.is_Integer else f"{size}"
            wanted = f"this index of {quantity.name} runs from {start} to {last}"
            raise SymbackpropError(f"wrt: {quoted(text)}: {number - 1 + start}: {wanted}")
