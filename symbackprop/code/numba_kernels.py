"""The kernels of the NumPy module for Numba: the same text, compiled for one number, or for one row.

What NumPy does with whole arrays Numba does with a number, under the same names, so nothing has to be
written twice. A kernel that works along an axis gets a row at a time, which has no other axis.

Two functions are written for Numba alone: ``exp`` and ``tanh`` of the C library take one number at a time,
and so does a loop in which they are called. These here are arithmetic, which the compiler makes vectors of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from symbackprop.rendering.render import fill

IN_VECTORS: Mapping[str, str] = {"exp": "_exp", "tanh": "_tanh"}
"""Functions of NumPy and what stands for them in a loop."""

ALONG_AN_AXIS = frozenset({"_log_complement", "_others"})
"""Kernels that need a whole row."""

_NUMBERS = (
    (", out=None", ""),
    (", out=out", ""),
    ("np.finfo(z.dtype)", "np.finfo(np.asarray(z).dtype)"),
)
_ROWS = (
    (", axis=axis, keepdims=True", ""),
    (", axis)", ")"),
)


def compiled_kernels(names: Iterable[str]) -> str:
    """The text of these kernels, each compiled.

    >>> print(compiled_kernels(["_softplus"]))
    @njit(error_model="numpy")
    def _softplus(z):
        \"\"\"log(1 + exp(z)).\"\"\"
        return np.logaddexp(z, 0.0)
    """
    kernels = sorted(names)
    text = fill("numba_kernels.py.jinja", {"kernels": kernels})
    text += fill("kernels.py.jinja", {"kernels": kernels, "functions": []})
    text = text.strip("\n")
    for old, new in (*_NUMBERS, *_ROWS):
        text = text.replace(old, new)
    return re.sub(r"(?m)^def ", '@njit(error_model="numpy")\ndef ', text)
