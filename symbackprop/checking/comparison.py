"""Symbolic beside numeric: what the generated code computes, beside the references, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from symbackprop.checking.array_values import Point, Values, stand_in, stand_in_slope
from symbackprop.checking.numeric_references import TOLERANCES, Errors, References, relative_error
from symbackprop.checking.points import ATTEMPTS, choose_point, open_functions
from symbackprop.code.codegen import python_name
from symbackprop.errors import SymbackpropError
from symbackprop.tables.mistakes import require
from symbackprop.tables.names import quoted

if TYPE_CHECKING:
    from symbackprop.pipeline import NetworkDerivation

DEPTH = 3
"""How many layers stand for any number of them."""


@dataclass(frozen=True)
class Report:
    """How far the generated code is from the references.

    ``cost`` has the relative error of the cost against the forward equations (``forward``) and
    against the written-out cost (``explicit``), ``gradients`` the errors of each gradient.
    """

    name: str
    cost: Mapping[str, float | None]
    gradients: Mapping[str, Errors]

    @property
    def agrees(self) -> bool:
        """Whether everything is within :data:`TOLERANCES`; those of a cost are 1e-9."""
        costs = all(error is None or error < 1e-9 for error in self.cost.values())
        return costs and all(errors.agrees for errors in self.gradients.values())

    def to_json(self) -> dict[str, Any]:
        """The report as ``symbackprop compare --json`` prints it; what is no number is a very large one."""
        gradients = {name: _finite(vars(errors)) for name, errors in self.gradients.items()}
        return {"agrees": self.agrees, "cost": _finite(self.cost), "gradients": gradients}

    def table(self) -> str:
        """The report as a table.

        >>> print(Report("net", {"forward": 1e-16}, {"W1": Errors(3e-10, 2e-16)}).table())
        net         finite_difference  complex_step  explicit  autograd
        cost                        -             -         -         -
        W1                    3.0e-10       2.0e-16         -         -
        cost against the forward equations: 1.0e-16
        the generated code and the references agree
        """
        references = tuple(TOLERANCES)
        width = max(10, len(self.name), *map(len, self.gradients))
        lines = [f"{self.name:<{width}}  " + "  ".join(references)]
        rows = {"cost": Errors(explicit=self.cost.get("explicit")), **self.gradients}
        for name, errors in rows.items():
            cells = [f"{_written(getattr(errors, one)):>{len(one)}}" for one in references]
            lines.append(f"{name:<{width}}  " + "  ".join(cells))
        lines.append(f"cost against the forward equations: {_written(self.cost['forward'])}")
        verdict = "agree" if self.agrees else "DON'T agree"
        return "\n".join([*lines, f"the generated code and the references {verdict}"])


def _finite(errors: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: None if e is None else min(float(e), 1e300) for name, e in errors.items()}


def _written(error: float | None) -> str:
    return "-" if error is None else f"{error:.1e}"


# --- the map of the whole ----------------------------------------------------------------------


def compare(derivation: NetworkDerivation, seed: int = 0) -> Report:
    """The generated code's cost and gradients at one point, beside every reference there is.

    Numbers come from the spec where it gives them, and are drawn from ``seed`` elsewhere, away from
    kinks. A network of at most 2000 entries is compared at every entry, a larger one at 25 entries
    of each parameter, drawn from ``seed`` too: a 784-128-64-10 network then takes a few seconds.
    An entry at a kink, where the slopes from the two sides differ, has no difference quotient and is
    left out of ``finite_difference``.

    With a symbol for the number of layers, the code is compared with a network of three.

    Raises:
        SymbackpropError: for a seed below 0.

    >>> from symbackprop.pipeline import derive
    >>> from symbackprop.spec.loading import from_widths
    >>> compare(derive(from_widths("2-2-1"))).agrees
    True
    """
    _check_arguments(derivation, seed)
    module = derivation.compile()
    derivation = derivation.at_depth(DEPTH) if derivation.model.symbolic_depth else derivation
    point = choose_point(derivation, seed)
    cost, gradients = generated(module, derivation, point)
    references = References(derivation, point, np.random.default_rng([seed, ATTEMPTS]))
    written_out = references.explicit_cost
    costs = {
        "forward": relative_error(cost, references.cost),
        "explicit": None if written_out is None else relative_error(cost, written_out),
    }
    errors = {name: references.errors(name, gradient) for name, gradient in gradients.items()}
    return Report(derivation.network.name, costs, errors)


def _check_arguments(derivation: NetworkDerivation, seed: int) -> None:
    """Refuse what is no derivation and what is no seed."""
    wanted = "a seed is a whole number from 0 up"
    require(seed, int, "seed", wanted)
    if seed < 0:
        raise SymbackpropError(f"seed: {seed}: {wanted}")
    if not hasattr(derivation, "adjoints"):
        raise SymbackpropError(
            f"derivation: {quoted(derivation)}: this is what derive gives, as in derive(network)"
        )


def generated(
    module: ModuleType, derivation: NetworkDerivation, point: Point
) -> tuple[float, Mapping[str, Values]]:
    """What the generated module makes of a point: the cost and the gradients."""
    parameters = {q.name: point.arrays[q.name] for q in derivation.model.program.parameters}
    options: dict[str, Any] = {python_name(s.name): v for s, v in point.symbols.items()}
    for letter in open_functions(derivation.batch.forward):
        options |= {letter: stand_in, f"{letter}_prime": stand_in_slope}
    with np.errstate(all="ignore"):
        cost, gradients = module.cost_and_gradients(
            parameters, point.arrays["x"], point.arrays["y"], **options
        )
    return cost, gradients
