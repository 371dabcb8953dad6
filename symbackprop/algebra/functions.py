"""Activations as SymPy functions that know their forward formula, and nothing of a derivative.

``sigma(z)`` stays ``sigma(z)`` in an expression; its derivative is the function ``sigma'``, whose
formula is worked out from the formula of ``sigma`` when somebody asks for it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp
from sympy.core.function import FunctionClass


class ScalarFunction(sp.Function):  # type: ignore[misc]
    """Base of every activation that acts on one number; made by :func:`scalar_function` only.

    ``formula`` is the forward formula in ``z``, or ``None`` for a function left unspecified, and
    ``order`` how often it has been differentiated.
    """

    nargs = 1
    is_real = True
    letter: str
    formula: sp.Expr | None
    order: int

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """The next derivative at the same argument, as a function with a name."""
        return prime(type(self))(self.args[0])


@cache
def scalar_function(letter: str, formula: sp.Expr | None, order: int = 0) -> Any:
    """The function called ``letter`` with this forward formula, differentiated ``order`` times.

    >>> from symbackprop.network import argument
    >>> z = argument("z")
    >>> square = scalar_function("s", z**2)
    >>> square(z).diff(z)
    s'(z)
    """
    attributes = {"letter": letter, "formula": formula, "order": order}
    return FunctionClass(letter + "'" * order, (ScalarFunction,), attributes)


def prime(function: Any) -> Any:
    """The derivative of a scalar function, as a function."""
    return scalar_function(function.letter, function.formula, function.order + 1)
