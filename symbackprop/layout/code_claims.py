"""What the generated code claims: every line of it, as an equality that a check can evaluate.

The code is printed from array expressions in forms that neither overflow nor lose digits. Each array
expression says by position which entry it has (:func:`~symbackprop.code.arrays.entry_of`), and that entry
must be what the index equation, or the derivative of the cost, says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from symbackprop.algebra.elimination import Z
from symbackprop.algebra.equations import Equation
from symbackprop.algebra.functions import ScalarFunction, prime
from symbackprop.checking.check import Equality
from symbackprop.code.arrays import entry_of
from symbackprop.code.codegen import Generator
from symbackprop.code.numpy_code import function_body
from symbackprop.layout.claims import scalar_functions
from symbackprop.layout.writer import free_of
from symbackprop.numerics.forms import meaning

if TYPE_CHECKING:
    from symbackprop.pipeline import NetworkDerivation


def code_equalities(derivation: NetworkDerivation) -> Iterator[Equality]:
    """An equality for every line of the generated module, and for the functions that it brings along."""
    generator = Generator(derivation.model, derivation.batch)
    cited = {
        adjoint.named.name: adjoint.derivation.facts
        for adjoint in derivation.adjoints
        if adjoint.named is not None and adjoint.derivation is not None
    }
    gradients = tuple(gradient.equation for gradient in derivation.batch.gradients)
    for equation in (*generator.printed, *gradients):
        yield _line(generator, equation, cited.get(equation.quantity.name, ()))
    for function in scalar_functions(derivation.model):
        if function.formula is not None:
            yield from _functions(function)


def _line(generator: Generator, equation: Equation, facts: tuple[str, ...]) -> Equality:
    array = generator.statement(equation).array
    entry = meaning(entry_of(array, equation.indices))
    return Equality(f"code: {equation.label}", equation.lhs, entry, free_of(equation), "batch", facts)


def _functions(function: ScalarFunction) -> Iterator[Equality]:
    """An activation and its derivative, in the forms that the code has."""
    for order, each in enumerate((function, prime(function))):
        applied = each(Z)
        label = f"code: {'d' * order}f-{function.letter}"
        body = meaning(function_body(applied))
        yield Equality(label, applied, body, (), f"function {function.letter}")
