r"""What a label's characters look like: the Unicode of LaTeX's symbols, and how wide each comes out.

Widths are in thousandths of the text's size, those of Computer Modern; other serif fonts come near.
"""

from __future__ import annotations

import string
from collections.abc import Mapping

_ITALIC_SMALL = (
    *(529, 429, 433, 520, 466, 490, 477, 576, 345, 412, 521, 298, 878),
    *(600, 485, 503, 446, 451, 469, 361, 572, 485, 716, 572, 490, 465),
)
_ITALIC_CAPITAL = (
    *(750, 759, 715, 828, 738, 643, 786, 831, 440, 555, 849, 681, 970),
    *(804, 763, 642, 791, 759, 613, 584, 683, 583, 944, 829, 581, 683),
)
_ROMAN_SMALL = (
    *(500, 556, 444, 556, 444, 306, 500, 556, 278, 306, 528, 278, 833),
    *(556, 500, 556, 528, 392, 394, 389, 556, 528, 722, 528, 528, 444),
)
_ROMAN_CAPITAL = (
    *(750, 708, 722, 764, 681, 653, 785, 750, 361, 514, 778, 625, 917),
    *(750, 778, 681, 778, 736, 556, 722, 750, 750, 1028, 750, 750, 611),
)

SYMBOLS: Mapping[str, str] = {
    **{r"\alpha": "α", r"\beta": "β", r"\gamma": "γ", r"\delta": "δ", r"\epsilon": "ϵ", r"\varepsilon": "ε"},
    **{r"\zeta": "ζ", r"\eta": "η", r"\theta": "θ", r"\vartheta": "ϑ", r"\iota": "ι", r"\kappa": "κ"},
    **{r"\lambda": "λ", r"\mu": "μ", r"\nu": "ν", r"\xi": "ξ", r"\pi": "π", r"\rho": "ρ", r"\sigma": "σ"},
    **{r"\tau": "τ", r"\upsilon": "υ", r"\phi": "ϕ", r"\varphi": "φ", r"\chi": "χ", r"\psi": "ψ"},
    **{r"\omega": "ω", r"\Gamma": "Γ", r"\Delta": "Δ", r"\Theta": "Θ", r"\Lambda": "Λ", r"\Xi": "Ξ"},
    **{r"\Pi": "Π", r"\Sigma": "Σ", r"\Upsilon": "Υ", r"\Phi": "Φ", r"\Psi": "Ψ", r"\Omega": "Ω"},
    **{r"\partial": "∂", r"\nabla": "∇", r"\ell": "ℓ", r"\infty": "∞", r"\top": "⊤", r"\prime": "′"},
    **{r"\sum": "∑", r"\prod": "∏", r"\dots": "…", r"\ldots": "…", r"\cdots": "⋯", r"\lbrack": "["},
    **{r"\rbrack": "]", r"\lvert": "|", r"\rvert": "|", r"\vert": "|", r"\{": "{", r"\}": "}", r"\%": "%"},
    **{r"\lbrace": "{", r"\rbrace": "}", r"\&": "&", r"\#": "#", r"\_": "_", r"\$": "$"},
    **{r"\cdot": "·", r"\odot": "⊙", r"\circ": "∘", r"\times": "×", r"\ast": "∗", r"\star": "⋆"},
    **{r"\otimes": "⊗", r"\pm": "±", r"\land": "∧", r"\leq": "≤", r"\le": "≤", r"\geq": "≥", r"\ge": "≥"},
    **{r"\neq": "≠", r"\ne": "≠", r"\approx": "≈", r"\leftarrow": "←", r"\to": "→", r"\rightarrow": "→"},
    **{"-": "−", "*": "∗"},
}
r"""What is set for a command, and for signs that print as another character."""

ACCENTS: Mapping[str, str] = {
    r"\hat": "\u0302",
    r"\widehat": "\u0302",
    r"\bar": "\u0304",
    r"\overline": "\u0304",
    r"\tilde": "\u0303",
    r"\dot": "\u0307",
    r"\vec": "\u20d7",
}
"""The combining character that puts an accent on the letter before it."""

OPERATORS = frozenset({"arctan", "cos", "cosh", "det", "exp", "ln", "log", "max", "min", "sin", "sinh", "tan"})
OPERATORS |= {"tanh"}
"""Functions whose command is their name."""

BINARY, RELATIONS, OPENING, CLOSING = frozenset("+−·⊙∘×∗⋆⊗±∧"), frozenset("=<>≤≥≠≈←→"), "([{", ")]}"

_GREEK = dict(
    zip(
        "αβγδϵεζηθϑικλμνξπρστυϕφχψω",
        (640, 566, 518, 444, 406, 466, 438, 497, 469, 591, 354, 576, 583, 603, 494, 438, 570, 517, 571, 437, 540)
        + (596, 654, 626, 651, 623),
        strict=True,
    )
)
_OTHERS = {
    **dict.fromkeys("()", 389),
    **dict.fromkeys("[].,:;|·!'", 278),
    **dict.fromkeys("+−=<>≤≥≠≈×⊙⊗±∓", 778),
    **{"′": 275, "∂": 531, "∑": 1056, "∏": 944, "√": 833, "/": 500, "…": 1172, "⋯": 1172, "ℓ": 417, " ": 333},
    **{"Γ": 625, "Ξ": 667, "Λ": 694, "Θ": 778, "Υ": 778, "Ψ": 778, "∇": 833, "Δ": 833, "−": 778},
}
_WIDTHS = {
    **dict(zip(string.ascii_lowercase, _ROMAN_SMALL, strict=True)),
    **dict(zip(string.ascii_uppercase, _ROMAN_CAPITAL, strict=True)),
    **dict.fromkeys(string.digits, 500),
    **_GREEK,
    **_OTHERS,
}
_ITALICS = {
    **dict(zip(string.ascii_lowercase, _ITALIC_SMALL, strict=True)),
    **dict(zip(string.ascii_uppercase, _ITALIC_CAPITAL, strict=True)),
}
_TALL = frozenset("bdfhkltβδζθλξϕψ∂")
_DEEP = frozenset("gjpqyβγζημξρφϕχψ()[]{}|")
_LOW = frozenset("acegmnopqrsuvwxyzαγεϵηικμνπρστυφχω")


def advance(char: str, italic: bool = False) -> float:
    """How far a character moves the pen, in units of the text's size; an accent moves it by nothing.

    >>> advance("a", italic=True), advance("0"), advance("\u0302")
    (0.529, 0.5, 0.0)
    """
    if char in ACCENTS.values():
        return 0.0
    known = _ITALICS.get(char) if italic else None
    return (known or _WIDTHS.get(char, 722)) / 1000


def ascent(char: str) -> float:
    """How far a character reaches above the line it stands on."""
    if char in ACCENTS.values():
        return 0.7
    return 0.45 if char in _LOW else 0.75 if char in _DEEP else 0.7


def descent(char: str) -> float:
    """How far a character reaches below the line it stands on."""
    return 0.22 if char in _DEEP else 0.0


def is_upright(char: str) -> bool:
    """Whether a character stands upright in a formula: all but Latin and small Greek letters do.

    >>> [is_upright(char) for char in "aδΔ1("]
    [False, False, True, True, True]
    """
    return char not in _ITALICS and char not in _GREEK and char not in "∂ℓ"
