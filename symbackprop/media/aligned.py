r"""Displays for readers that know amsmath and none of our macros: Markdown, notebooks, a Python prompt.

Every macro of the notation is put in, and rows stand in an ``aligned``, with their reasons beside them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise, zip_longest

from symbackprop.checking.check import Equality
from symbackprop.layout.document import Chain, Row
from symbackprop.notation.notation import Notation
from symbackprop.printing.measure import expanded
from symbackprop.rendering.prose import parts

_SPECIAL = {
    "\\": r"\textbackslash ",
    "^": r"\textasciicircum ",
    "~": r"\textasciitilde ",
    **{char: f"\\{char}" for char in "{}$&%#_"},
}

_BREAK, _APART = " \\\\\n", " \\\\[8pt]\n"

_ACCENTS = {'"': "\u0308", "'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303"}
_ACCENTED = re.compile(r"\\([\"'`^~])\{([A-Za-z])\}")


def plain(formula: str, notation: Notation) -> str:
    r"""A formula without macros of ours, and without what MathJax or KaTeX lacks.

    >>> from symbackprop.notation.notation import load_notation
    >>> print(plain(r"\sbpdelta{1}{j} \sbpfailed", load_notation()))
    \delta^{1}_{j} \quad\text{[not confirmed by its check]}
    """
    full = expanded(formula, notation).replace(r"\footnotesize ", "").replace("{[}", "[").replace("{]}", "]")
    return _ACCENTED.sub(_letter, re.sub(r"\\bm\b", r"\\boldsymbol", full))


def _letter(found: re.Match[str]) -> str:
    """A letter with its accent, which MathJax has no command for."""
    return unicodedata.normalize("NFC", found[2] + _ACCENTS[found[1]])


def in_words(prose: str, notation: Notation) -> str:
    r"""Prose as a part of a formula: words as text, formulas as they are.

    >>> from symbackprop.notation.notation import load_notation
    >>> print(in_words(r"definition of $\sbpdeltaletter$", load_notation()))
    \text{definition of }\delta
    """
    return "".join(plain(text, notation) if formula else _text(text) for text, formula in parts(prose))


def _text(words: str) -> str:
    return rf"\text{{{''.join(_SPECIAL.get(char, char) for char in words)}}}"


def aligned(chains: Iterable[Chain], notation: Notation, failed: Collection[Equality] = ()) -> str:
    r"""Chains as one ``aligned``, a row on each line, with room around a chain of several rows.

    >>> from symbackprop.notation.notation import load_notation
    >>> print(aligned([Chain(r"\sbpcost", (Row(("1 + 2",)), Row(("3",), "add")))], load_notation()))
    \begin{aligned}
    C &= 1 + 2 \\
    &= 3 && \text{add}
    \end{aligned}
    """
    each = [*chains]
    texts = (_BREAK.join(_rows(chain, notation, failed)) for chain in each)
    ends = (_APART if len(a.rows) + len(b.rows) > 2 else _BREAK for a, b in pairwise(each))
    rows = "".join(text + end for text, end in zip_longest(texts, ends, fillvalue=""))
    return f"\\begin{{aligned}}\n{rows}\n\\end{{aligned}}"


def _rows(chain: Chain, notation: Notation, failed: Collection[Equality]) -> Iterator[str]:
    left = f"{plain(chain.start, notation)} "
    for row in chain.rows:
        for number, right in enumerate(_right(row, notation)):
            last = number == len(row.lines) - 1
            mark = plain(r" \sbpfailed", notation) if last and row.equality in failed else ""
            reason = f" && {in_words(row.reason, notation)}" if last and row.reason else ""
            sign = r"\quad" if number else row.sign
            yield f"{left}&{sign} {right}{mark}{reason}"
            left = ""


def _right(row: Row, notation: Notation) -> tuple[str, ...]:
    lines = tuple(plain(line, notation) for line in row.lines)
    return (rf"\boxed{{{lines[0]}}}",) if row.boxed and len(lines) == 1 else lines
