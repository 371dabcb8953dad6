"""Names that users choose: which ones are legal, which one they may have meant, and how to quote them."""

from __future__ import annotations

import difflib
import keyword
import re
import reprlib
from collections.abc import Iterable

from symbackprop.errors import in_one_line

_SYMBOL = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")
_NUMBERED = re.compile(
    r"(W|w|b|z|a|x|y|t|C|C_x|delta|adjoint_a)_?\d*|(grad|d|adjoint)_?[A-Za-z]_?\d*|(factor|scale|ones_|u)\d+"
)
_SIZE_OF_LAYER = re.compile(r"n_(\d+|[A-Za-z])")
_LENGTH = 30

_INDICES_AND_QUANTITIES = "i j k l p q r s t N R pi e"
_IN_FORMULAS = "exp log sqrt abs tanh sinh cosh sin cos arctan atan erf max min sign where sum"
_IN_CODE = (
    "np numpy forward cost cost_and_gradients make_gradients parameters PARAMETERS gradients outputs "
    "batch_size dtype learning_rate self float int len range zip total penalty example_costs sizes buffers "
    "add subtract multiply divide negative reciprocal maximum minimum power expm1 logaddexp arctan2 greater "
    "greater_equal less less_equal equal not_equal one two half zero ones flat names shapes own arrays E "
    "scalar_cost_and_gradients"
)

RESERVED = frozenset(f"{_INDICES_AND_QUANTITIES} {_IN_FORMULAS} {_IN_CODE}".split())
"""Names with a meaning of their own, which no symbol may take."""


OF_ANY_DEPTH = frozenset({"L", "n_before", "n_after", "n_hidden"})
"""What the code for any number of layers calls the last layer and the sizes that it uses."""


def why_illegal(name: str) -> str | None:
    """Say why ``name`` can't be a symbol's name, or nothing if it can.

    >>> why_illegal("n_0")
    >>> why_illegal("2n")
    "a symbol's name starts with a letter and has letters, digits and single _ between them"
    """
    if not _SYMBOL.fullmatch(name):
        return "a symbol's name starts with a letter and has letters, digits and single _ between them"
    if len(name) > _LENGTH:
        return f"a symbol's name has at most {_LENGTH} characters"
    if name in RESERVED or _NUMBERED.fullmatch(name) or keyword.iskeyword(name):
        return f"the name {name} is already taken: choose another, such as n_0, width or alpha"
    return None


def why_no_other(name: str) -> str | None:
    """Say why ``name``, a legal one, can't be that of anything but a size, or nothing if it can.

    >>> why_no_other("n_1")
    'n_1 is what the size of a layer is called: choose another name'
    """
    if _SIZE_OF_LAYER.fullmatch(name):
        return f"{name} is what the size of a layer is called: choose another name"
    return None


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """End a sentence with the choice nearest to ``name``, or with nothing if none is near.

    >>> did_you_mean("sigmiod", ["sigmoid", "tanh"])
    '; did you mean sigmoid?'
    >>> did_you_mean("ReLU", ["relu"])
    '; did you mean relu?'
    >>> did_you_mean("qqq", ["relu"])
    ''
    """
    near = nearest(name, choices)
    return f"; did you mean {near}?" if near else ""


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice that ``name`` is nearly, if there is one; case and dashes don't count."""
    by_folded = {_folded(choice): choice for choice in choices}
    near = difflib.get_close_matches(_folded(name[:80]), by_folded, n=1, cutoff=0.6)
    return by_folded[near[0]] if near else None


def _folded(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_")


class _Shortened(reprlib.Repr):
    def repr_int(self, x: int, level: int) -> str:
        return f"a number of {x.bit_length()} bits" if x.bit_length() > 120 else repr(x)


_SHORT = _Shortened()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60
_SHORT.maxlevel = 3


def quoted(value: object) -> str:
    """What a user typed, on one line of some 60 characters, with control characters escaped.

    >>> quoted("a" * 100)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaa...aaaaaaaaaaaaaaaaaaaaaaaaaaaa'"
    >>> quoted([1, 2.5])
    '[1, 2.5]'
    """
    shown = _SHORT.repr(value)
    shown = shown if len(shown) <= 64 else f"{shown[:50]}...{shown[-10:]}"
    return one_line(shown)


def one_line(text: str, length: int = 200) -> str:
    r"""Text from outside on one line: control characters escaped, and cut in the middle if it is long.

    >>> one_line("a\nb")
    'a\\nb'
    """
    shown = in_one_line(text[: 2 * length])
    return shown if len(shown) <= length else f"{shown[: length - 23]}...{shown[-20:]}"


def module_name(name: str) -> str:
    """What the generated module of a network is called, so that it can be imported.

    >>> module_name("two-two-two")
    'two_two_two_gradients'
    """
    return f"{name.replace('-', '_')}_gradients"
