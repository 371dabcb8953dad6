r"""Free text as LaTeX: whatever a title holds, it is printed, and nothing of it is carried out.

The result is ASCII. Letters with accents and Greek letters become the TeX that prints them; any
other character becomes its code point in brackets, ``[U+4E2D]``.
"""

from __future__ import annotations

import re
import unicodedata

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "[": "{[}",
    "]": "{]}",
    "`": r"\textasciigrave{}",
}
_LETTERS = {
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "å": r"\aa{}",
    "Å": r"\AA{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
    "–": "--",
    "—": "---",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "…": r"\dots{}",
    "§": r"\S{}",
    "©": r"\copyright{}",
    "×": r"\ensuremath{\times}",
    "·": r"\ensuremath{\cdot}",
    "→": r"\ensuremath{\rightarrow}",
    "∂": r"\ensuremath{\partial}",
    "¹": r"\ensuremath{^{1}}",
    "²": r"\ensuremath{^{2}}",
    "³": r"\ensuremath{^{3}}",
    "ϕ": r"\ensuremath{\phi}",
    "ε": r"\ensuremath{\varepsilon}",
    "ο": "o",
    "ς": r"\ensuremath{\varsigma}",
}
_ACCENTS = {
    "\u0300": r"\`",
    "\u0301": r"\'",
    "\u0302": r"\^",
    "\u0303": r"\~",
    "\u0304": r"\=",
    "\u0306": r"\u",
    "\u0307": r"\.",
    "\u0308": r"\"",
    "\u030a": r"\r",
    "\u030b": r"\H",
    "\u030c": r"\v",
    "\u0327": r"\c",
}
_LATIN_CAPITALS = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧ", "ABEZHIKMNOPTX", strict=True))


def escape_text(text: str) -> str:
    r"""Free text as LaTeX that prints it, on one line, in ASCII.

    >>> print(escape_text("50% of \\input{x} & y_1"))
    50\% of \textbackslash{}input\{x\} \& y\_1
    >>> print(escape_text("Schrödinger's ψ\nand 中"))
    Schr\"{o}dinger's \ensuremath{\psi} and {[}U+4E2D{]}
    """
    return escape_characters(re.sub(r"\s+", " ", text).strip())


def escape_characters(text: str) -> str:
    """Free text as LaTeX, its spaces as they are."""
    return "".join(map(_escaped, unicodedata.normalize("NFC", text)))


def _escaped(char: str) -> str:
    if char in _SPECIAL or char in _LETTERS:
        return _SPECIAL.get(char) or _LETTERS[char]
    if char.isascii():
        return char if char.isprintable() else _code_point(char)
    return _accented(char) or _greek(char) or _code_point(char)


def _accented(char: str) -> str | None:
    """A Latin letter with one accent; without it where plain LaTeX has none of the kind."""
    parts = unicodedata.normalize("NFD", char)
    if len(parts) == 1 or not (parts[0].isascii() and parts[0].isalpha()):
        return None
    if len(parts) > 2 or parts[1] not in _ACCENTS:
        return parts[0]
    letter = {"i": r"\i", "j": r"\j"}.get(parts[0], parts[0])
    return f"{_ACCENTS[parts[1]]}{{{letter}}}"


def _greek(char: str) -> str | None:
    """A Greek letter, by the name that Unicode has for it."""
    if char in _LATIN_CAPITALS:
        return _LATIN_CAPITALS[char]
    found = re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER (\w+)", unicodedata.name(char, ""))
    if not found:
        return None
    name = {"LAMDA": "lambda"}.get(found[2], found[2].lower())
    known = (
        "alpha beta gamma delta zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi"
    )
    if name not in [*known.split(), "psi", "omega"]:
        return None
    return rf"\ensuremath{{\{name if found[1] == 'SMALL' else name.capitalize()}}}"


def _code_point(char: str) -> str:
    return f"{{[}}U+{ord(char):04X}{{]}}"
