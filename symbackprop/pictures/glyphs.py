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

_TABLE = (
    "alpha α beta β gamma γ delta δ epsilon ϵ varepsilon ε zeta ζ eta η theta θ vartheta ϑ iota ι kappa κ "
    "lambda λ mu μ nu ν xi ξ pi π rho ρ sigma σ tau τ upsilon υ phi ϕ varphi φ chi χ psi ψ omega ω "
    "Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Upsilon Υ Phi Φ Psi Ψ Omega Ω "
    "partial ∂ nabla ∇ ell ℓ infty ∞ top ⊤ prime ′ sum ∑ prod ∏ dots … ldots … cdots ⋯ "
    "lbrack [ rbrack ] lvert | rvert | vert | lbrace { rbrace } { { } } % % & & # # _ _ $ $ "
    "cdot · odot ⊙ oslash ⊘ circ ∘ times × ast ∗ star ⋆ otimes ⊗ pm ± land ∧ leq ≤ le ≤ geq ≥ ge ≥ "
    "neq ≠ ne ≠ approx ≈ leftarrow ← to → rightarrow →"
)
_COMMANDS = _TABLE.split()

SYMBOLS: Mapping[str, str] = {
    **{f"\\{name}": char for name, char in zip(_COMMANDS[::2], _COMMANDS[1::2], strict=True)},
    "-": "−",
    "*": "∗",
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

OPERATORS = frozenset(
    {"arctan", "cos", "cosh", "det", "exp", "ln", "log", "max", "min", "sin", "sinh", "tan"}
)
OPERATORS |= {"tanh"}
"""Functions whose command is their name."""

BINARY, RELATIONS, OPENING, CLOSING = frozenset("+−·⊙∘×∗⋆⊗±∧"), frozenset("=<>≤≥≠≈←→"), "([{", ")]}"

_GREEK_WIDTHS = (
    *(640, 566, 518, 444, 406, 466, 438, 497, 469, 591, 354, 576, 583),
    *(603, 494, 438, 570, 517, 571, 437, 540, 596, 654, 626, 651, 623),
)
_GREEK = dict(zip("αβγδϵεζηθϑικλμνξπρστυϕφχψω", _GREEK_WIDTHS, strict=True))
_OTHERS = {
    278: "[].,:;|·!'",
    389: "()",
    417: "ℓ",
    500: "/{}∗∘⋆" + string.digits,
    531: "∂",
    625: "Γ",
    667: "Ξ∧",
    694: "Λ",
    778: "+−=<>≤≥≠≈×⊙⊗±⊤&ΘΥΨ",
    833: "∇Δ√",
    944: "∏",
    1000: "∞←→",
    1056: "∑",
    1172: "…⋯",
    275: "′",
    333: " ",
}
_WIDTHS = {
    **dict(zip(string.ascii_lowercase, _ROMAN_SMALL, strict=True)),
    **dict(zip(string.ascii_uppercase, _ROMAN_CAPITAL, strict=True)),
    **{char: width for width, chars in _OTHERS.items() for char in chars},
    **_GREEK,
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
