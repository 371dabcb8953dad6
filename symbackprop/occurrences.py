r"""Where a quantity stands in a formula: each occurrence is marked with the name of its quantity.

A page can then light up every ``a^2_j`` and ``a^2`` at once, in formulas, pictures and code: all of
them carry the key ``a2``. The macros of the notation say what an occurrence is, so no letter is guessed.
"""

from __future__ import annotations

import re

from symbackprop.measure import macro_arguments
from symbackprop.notation import Notation

_LAYERED = {"weight": "W", "bias": "b", "pact": "z", "act": "a", "delta": "delta"}
_UNLAYERED = {
    "sbpinput": "x",
    "sbpinputvec": "x",
    "sbpinputmat": "x",
    "sbptarget": "y",
    "sbptargetvec": "y",
    "sbptargetmat": "y",
    "sbpexamplecost": "C_x",
    "sbpcostof": "C_x",
    "sbpcost": "C",
    "sbppenalty": "R",
}
_OF_LAYER = {
    f"sbp{stem}{ending}": letter for stem, letter in _LAYERED.items() for ending in ("", "wide", "vec", "mat")
}
_WHOLE = {"x": "sbpinputvec", "y": "sbptargetvec", "C_x": "sbpexamplecost", "C": "sbpcost", "R": "sbppenalty"}
_LAST = r"\sbplastlayer"
_MACRO = re.compile(r"\\(sbp[A-Za-z]*)")


def marked(tex: str, notation: Notation) -> str:
    r"""LaTeX with every occurrence of a quantity inside ``\htmlData{sbp=KEY}{…}``, for KaTeX.

    >>> from symbackprop.notation import load_notation
    >>> print(marked(r"2\sbpact{\sbpinexample{n}{1}}{j} + \frac{\sbpcost}{y}", load_notation()))
    2\htmlData{sbp=a1}{\sbpact{\sbpinexample{n}{1}}{j}} + \frac{\htmlData{sbp=C}{\sbpcost}}{y}
    """
    found = _MACRO.search(tex)
    if found is None:
        return tex
    name, after = found[1], tex[found.end() :]
    arguments, rest = macro_arguments(after, notation[name].arguments)
    call = tex[found.start() : len(tex) - len(rest)]
    key = key_of(name, arguments)
    if key is None:
        shown = f"\\{name}" + "".join(f"{{{marked(argument, notation)}}}" for argument in arguments)
    else:
        shown = rf"\htmlData{{sbp={key}}}{{{call}}}"
    return tex[: found.start()] + shown + marked(rest, notation)


def key_of(macro: str, arguments: list[str]) -> str | None:
    r"""The name of the quantity that a macro prints, as the derivation calls it; ``None`` if it prints none.

    >>> key_of("sbpweight", ["2", "j", "k"]), key_of("sbpact", [r"\sbplastlayer-1", "k"])
    ('W2', 'a[L-1]')
    """
    if macro == "sbpofexample":
        inside = _MACRO.match(arguments[0])
        return None if inside is None else _UNLAYERED.get(inside[1])
    if macro in _UNLAYERED:
        return _UNLAYERED[macro]
    if macro in _OF_LAYER and arguments:
        return _in_layer(_OF_LAYER[macro], arguments[0])
    return None


def _in_layer(letter: str, layer: str) -> str:
    """``a2`` for a layer with a number, ``a[l-1]`` for one with a letter; the example doesn't count."""
    if layer.startswith(r"\sbpinexample"):
        layer = macro_arguments(layer.removeprefix(r"\sbpinexample"), 2)[0][1]
    name = layer.replace(_LAST, "L").replace(" ", "")
    return f"{letter}{name}" if name.isdigit() else f"{letter}[{name}]"


def symbol_of(key: str) -> str:
    r"""The symbol of a whole quantity, as a macro call; the opposite of :func:`key_of`.

    >>> print(symbol_of("W2"), symbol_of("a[L-1]"), symbol_of("C_x"))
    \sbpweightmat{2} \sbpactvec{\sbplastlayer-1} \sbpexamplecost
    """
    if key in _WHOLE:
        return f"\\{_WHOLE[key]}"
    letter, _, layer = key.rstrip("]").partition("[") if "[" in key else _numbered(key)
    stem = next(stem for stem, each in _LAYERED.items() if each == letter)
    return rf"\sbp{stem}{'mat' if letter == 'W' else 'vec'}{{{layer.replace('L', _LAST)}}}"


def _numbered(key: str) -> tuple[str, str, str]:
    letter = key.rstrip("0123456789")
    return letter, "", key.removeprefix(letter)
