"""symbackprop derives backpropagation: a network in; a derivation, gradient code and a proof out.

>>> import symbackprop as sb
>>> derivation = sb.derive(sb.load("2-3-1"))
>>> print(derivation.equations[0])
delta2[j] = 2*(1 - a2[j])*(a2[j] - y[j])*a2[j]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from symbackprop.version import __version__

if TYPE_CHECKING:
    from symbackprop.checking.comparison import compare
    from symbackprop.derivation.chain import reverse
    from symbackprop.errors import FormRefused, MissingProgram, NoRule, SpecError, SymbackpropError
    from symbackprop.forward.model import forward_model
    from symbackprop.network import Network
    from symbackprop.pipeline import NetworkDerivation, derive
    from symbackprop.spec.loading import from_mapping, from_widths, load

_HOME = {
    "FormRefused": "errors",
    "MissingProgram": "errors",
    "Network": "network",
    "NetworkDerivation": "pipeline",
    "NoRule": "errors",
    "SpecError": "errors",
    "SymbackpropError": "errors",
    "compare": "checking.comparison",
    "derive": "pipeline",
    "forward_model": "forward.model",
    "from_mapping": "spec.loading",
    "from_widths": "spec.loading",
    "load": "spec.loading",
    "reverse": "derivation.chain",
}

__all__ = [
    "FormRefused",
    "MissingProgram",
    "Network",
    "NetworkDerivation",
    "NoRule",
    "SpecError",
    "SymbackpropError",
    "__version__",
    "compare",
    "derive",
    "forward_model",
    "from_mapping",
    "from_widths",
    "load",
    "reverse",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: ``--help`` needs no SymPy."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
