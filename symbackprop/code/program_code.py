"""NumPy code for any program: its outputs and derivatives, of one example, from a dictionary of arrays.

The module of a network has batches, buffers and checks of its own. This is the plain case: equations
that somebody wrote down, with no network around them, and the derivatives that were found for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sympy as sp
from sympy.core.parameters import distribute

from symbackprop.algebra.equations import Equation, Program, Quantity
from symbackprop.algebra.indices import free_indices
from symbackprop.code.arrays import Vectoriser
from symbackprop.code.codegen import labelled, python_name
from symbackprop.code.numpy_code import Names, array_code
from symbackprop.derivation.chain import Adjoint, backward_equations
from symbackprop.errors import NoRule
from symbackprop.numerics.stable import stable
from symbackprop.rendering.render import fill

Values = Mapping[str, Any]


def program_source(program: Program, adjoints: Sequence[Adjoint] = ()) -> str:
    """The source of a module with one function, which takes arrays by name and returns arrays by name.

    Raises:
        NoRule: for an equation that has no array form, and for a size that no array tells.

    >>> from symbackprop.derivation.chain import reverse
    >>> from symbackprop.forward.model import forward_model
    >>> from symbackprop.spec.loading import from_widths
    >>> program = forward_model(from_widths("2-1", output_activation="linear")).program
    >>> source = program_source(program, reverse(program))
    >>> print(source[source.index("    # backward") : source.index("    return")].rstrip())
        # backward
        delta1 = 2.0 * (a1 - y)  # (delta-1)
        dW1 = np.outer(delta1, x)  # (dW-1)
        db1 = delta1  # (db-1)
    """
    backward = backward_equations(adjoints)
    quantities = {**program.quantities, **{e.quantity.name: e.quantity for e in backward}}
    names = Names({}, {name: python_name(name) for name in quantities}, _Renaming())
    with distribute(False):
        forward_lines = list(_lines(program.equations, program, quantities, names))
        backward_lines = list(_lines(backward, program, quantities, names))
    helpers = names.helpers
    open_functions = [f"{f}{mark}" for f in sorted(helpers.open_functions) for mark in ("", "_prime")]
    wanted = (*program.outputs, *(e.quantity for e in backward))
    return fill(
        "program.py.jinja",
        {
            "kernels": sorted(helpers.kernels),
            "functions": [
                {"name": name, "docstring": "A function of the equations.", "code": code}
                for name, code in helpers.functions.items()
            ],
            "given": [(python_name(name), name) for name in (*_given(program), *open_functions)],
            "sizes": list(_sizes(program, quantities, (*program, *backward))),
            "forward_lines": forward_lines,
            "backward_lines": backward_lines,
            "results": [(q.name, python_name(q.name)) for q in wanted],
        },
    )


def compile_program(program: Program, adjoints: Sequence[Adjoint] = ()) -> Callable[[Values], dict[str, Any]]:
    """The function of :func:`program_source`, ready to call.

    >>> import numpy as np
    >>> from symbackprop.derivation.chain import reverse
    >>> from symbackprop.forward.model import forward_model
    >>> from symbackprop.spec.loading import from_widths
    >>> program = forward_model(from_widths("1-1", output_activation="linear")).program
    >>> function = compile_program(program, reverse(program))
    >>> one = {name: np.ones(len(q.dims) * (1,)) for name, q in program.quantities.items()}
    >>> float(function(one)["db1"][0])
    2.0
    """
    module: dict[str, Any] = {}
    exec(compile(program_source(program, adjoints), "<generated from a program>", "exec"), module)
    function: Callable[[Values], dict[str, Any]] = module["outputs_and_derivatives"]
    return function


class _Renaming(dict[str, str]):
    """Python's name for a symbol, for whichever is asked for."""

    def get(self, name: str, default: Any = None) -> Any:
        return python_name(name)


def _lines(
    equations: Sequence[Equation], program: Program, quantities: Mapping[str, Quantity], names: Names
) -> Iterator[str]:
    """One statement for each equation, with its label beside it."""
    vectoriser = Vectoriser(quantities)
    for equation in equations:
        same = replace(equation, rhs=stable(equation.rhs, program.definitions))
        code = array_code(vectoriser.equation(same), names).text
        yield from labelled(f"{names.quantity(equation.quantity.name)} = {code}", equation.label)


def _given(program: Program) -> list[str]:
    """What the caller must give: inputs, parameters, and the symbols that nothing defines."""
    arrays = [q.name for q in (*program.inputs, *program.parameters, *program.given)]
    found = {
        s.name for e in program for s in e.rhs.free_symbols if isinstance(s, sp.Symbol) and not s.is_integer
    }
    return [*arrays, *sorted(found - set(program.quantities))]


def _sizes(
    program: Program, quantities: Mapping[str, Quantity], equations: Sequence[Equation]
) -> Iterator[tuple[str, str]]:
    """Every size with the code that reads it off an array."""
    given = (*program.inputs, *program.parameters, *program.given)
    found = {
        dim: f"{python_name(q.name)}.shape[{axis}]"
        for q in reversed(given)
        for axis, dim in enumerate(q.dims)
        if dim.is_Symbol
    }
    used = {s for q in quantities.values() for dim in q.dims for s in dim.free_symbols}
    used |= {s for e in equations for s in free_indices(e.rhs) - set(e.indices)}
    for size in sorted(used, key=str):
        if size not in found:
            raise NoRule(f"no input and no parameter has the size {size} as an axis, so it stays unknown")
        yield python_name(size.name), found[size]


__all__ = ["compile_program", "program_source"]
