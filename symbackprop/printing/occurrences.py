r"""Where a quantity stands in a formula: each occurrence is marked with the name of its quantity.

A page can then light up every ``a^2_j`` and ``a^2`` at once, in formulas, pictures and code: all of
them carry the key ``a2``, and an entry with numbers for indices carries these too. The macros of the
notation say what an occurrence is, so no letter is guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from symbackprop.notation.notation import Notation
from symbackprop.printing.measure import macro_arguments

_LAYERED = {"weight": "W", "bias": "b", "pact": "z", "act": "a", "delta": "delta"}
_UNLAYERED = {
    **{
        f"sbp{stem}{ending}": key
        for stem, key in (("input", "x"), ("target", "y"))
        for ending in ("", "vec", "mat")
    },
    "sbpexamplecost": "C_x",
    "sbpcostof": "C_x",
    "sbpcost": "C",
    "sbppenalty": "R",
}
_OUTPUTS = frozenset({"sbpoutput", "sbpoutputvec", "sbpoutputmat"})
_OF_LAYER = {
    f"sbp{stem}{ending}": letter for stem, letter in _LAYERED.items() for ending in ("", "wide", "vec", "mat")
}
_ENTRIES = frozenset(
    {"sbpinput", "sbptarget", "sbpoutput", *(f"sbp{stem}" for stem in _LAYERED), "sbpweightwide"}
)
_MACRO = re.compile(r"\\(sbp[A-Za-z]*)")
_FROM_LAST = re.compile(r"L(?:-(\d+))?")


@dataclass(frozen=True)
class Occurrences:
    """How the quantities of a network are found in formulas of a notation.

    ``last`` is the number of the last layer, ``None`` where it is the symbol L.
    """

    notation: Notation
    last: int | None = None

    def marked(self, tex: str) -> str:
        r"""LaTeX with every occurrence of a quantity inside ``\htmlData{sbp=KEY}{…}``, for KaTeX.

        >>> from symbackprop.notation.notation import load_notation
        >>> occurrences = Occurrences(load_notation(), 2)
        >>> print(occurrences.marked(r"2\sbpact{\sbpinexample{n}{1}}{j} + \frac{\sbpcost}{y}"))
        2\htmlData{sbp=a1}{\sbpact{\sbpinexample{n}{1}}{j}} + \frac{\htmlData{sbp=C}{\sbpcost}}{y}
        >>> print(occurrences.marked(r"\sbpweight{\sbplastlayer}{2}{1}"))
        \htmlData{sbp=W2, sbp-entry=2.1}{\sbpweight{\sbplastlayer}{2}{1}}
        """
        found = _MACRO.search(tex)
        if found is None:
            return tex
        name, after = found[1], tex[found.end() :]
        arguments, rest = macro_arguments(after, self.notation[name].arguments)
        key = self.key(name, arguments)
        if key is None:
            shown = f"\\{name}" + "".join(f"{{{self.marked(argument)}}}" for argument in arguments)
        else:
            call = tex[found.start() : len(tex) - len(rest)]
            shown = rf"\htmlData{{sbp={key}{_entry(name, arguments)}}}{{{call}}}"
        return tex[: found.start()] + shown + self.marked(rest)

    def key(self, macro: str, arguments: list[str]) -> str | None:
        r"""The name of the quantity that a macro prints, as the derivation calls it.

        >>> from symbackprop.notation.notation import load_notation
        >>> Occurrences(load_notation()).key("sbpact", [r"\sbplastlayer-1", "k"])
        'a[L-1]'
        >>> Occurrences(load_notation(), 3).key("sbpact", [r"\sbplastlayer-1", "k"])
        'a2'
        """
        if macro == "sbpofexample":
            inside = _MACRO.match(arguments[0])
            return None if inside is None else self.key(inside[1], [""])
        if macro in _OUTPUTS:
            return self._in_layer("a", "L")
        if macro in _OF_LAYER and arguments and arguments[0]:
            return self._in_layer(_OF_LAYER[macro], arguments[0])
        return _UNLAYERED.get(macro)

    def _in_layer(self, letter: str, layer: str) -> str:
        """``a2`` for a layer with a number, ``a[l-1]`` for one with a letter; the example doesn't count."""
        if layer.startswith(r"\sbpinexample"):
            layer = macro_arguments(layer.removeprefix(r"\sbpinexample"), 2)[0][1]
        name = layer.replace(r"\sbplastlayer", "L").replace(r"\sbpanylayer", "l").replace(" ", "")
        from_last = _FROM_LAST.fullmatch(name)
        if from_last is not None and self.last is not None:
            name = str(self.last - int(from_last[1] or 0))
        key = f"{letter}{name}" if name.isdigit() else f"{letter}[{name}]"
        return "x" if key == "a0" else key


def _entry(macro: str, arguments: list[str]) -> str:
    """The indices of an entry, where all of them are numbers."""
    indices = arguments[-2:] if macro.startswith("sbpweight") else arguments[-1:]
    if macro not in _ENTRIES or not indices or not all(index.isdigit() for index in indices):
        return ""
    return f", sbp-entry={'.'.join(indices)}"
