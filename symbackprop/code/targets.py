"""The same lines for other libraries: what NumPy's functions are called there, and which template is used."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from symbackprop.errors import NoRule

Keys = Mapping[str, object]


@dataclass(frozen=True)
class Target:
    """A library: its template, what stands for ``np``, and the functions that have another name there."""

    template: str
    prefix: str
    renamed: Mapping[str, str] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    like_x: str = "dtype=x.dtype"
    """The options with which an array that is made anew is like x."""

    array_refused: str = 'not hasattr(value, "shape")'
    """What holds for a ``value`` that is no array of the library."""

    array_words: str = "an array"
    """What such a value is called."""

    wants_input: bool = False
    """Whether the derivative with respect to the input is needed, since somebody may ask for it."""

    def line(self, text: str) -> str:
        """A line of NumPy as one of this library.

        Raises:
            NoRule: for a function that the library doesn't have, by its name.

        >>> TARGETS["torch"].line("m = np.max(z, axis=1)")
        'm = torch.amax(z, axis=1)'
        """

        def named(match: re.Match[str]) -> str:
            name = match[1]
            if name in self.missing:
                raise NoRule(f"target: {self.template.removesuffix('.py.jinja')} has no form of np.{name}")
            return self.renamed.get(name, f"{self.prefix}.{name}")

        plain = (
            text.replace(", out=out)", ")").replace(", out=None", "").replace("dtype=x.dtype", self.like_x)
        )
        return re.sub(r"\bnp\.(\w+)", named, plain)

    def lines(self, lines: Sequence[str]) -> list[str]:
        """Several lines."""
        return [self.line(line) for line in lines]


TARGETS: Mapping[str, Target] = {
    "array-api": Target(
        "array_api.py.jinja",
        "xp",
        {"arctan": "xp.atan"},
        frozenset({"einsum", "outer"}),
        like_x="dtype=x.dtype, device=device_of(x)",
        array_refused='not is_array_api_obj(value) or type(value).__name__ in ("matrix", "MaskedArray")',
        array_words="an array of a library with the array API",
    ),
    "torch": Target(
        "torch.py.jinja",
        "torch",
        {
            "max": "torch.amax",
            "maximum": "_maximum",
            "minimum": "_minimum",
            "logaddexp": "_logaddexp",
        },
        like_x="dtype=x.dtype, device=x.device",
        array_refused="not isinstance(value, torch.Tensor)",
        array_words="a tensor of PyTorch",
        wants_input=True,
    ),
    "jax": Target("jax.py.jinja", "jnp", wants_input=True),
}
"""Libraries by name, besides NumPy, which the lines are printed for, and Numba, which has loops."""


def in_every_function(text: str, line: str, used: str) -> str:
    """Put a line at the start of every function of a text that uses something.

    ``{}`` in the line stands for the function's first argument.

    >>> text = 'def f(z):\\n    \"\"\"f.\"\"\"\\n    return xp.exp(z)\\n'
    >>> print(in_every_function(text, "xp = g({})", "xp."))
    def f(z):
        \"\"\"f.\"\"\"
        xp = g(z)
        return xp.exp(z)
    <BLANKLINE>
    """
    parts = re.split(r"(?m)^(?=def )", text)
    return "".join(
        _with_line(part, line) if used in part and part.startswith("def ") else part for part in parts
    )


def _with_line(function: str, line: str) -> str:
    first = re.match(r"def \w+\((\w*)", function)
    line = line.replace("{}", first[1] if first else "")
    return re.sub(r'(?s)\A(def .*?:\n    """.*?"""\n)', lambda match: f"{match[1]}    {line}\n", function)
