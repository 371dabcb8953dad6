r"""The typesetter of labels: what it sets, what it refuses, and that its widths are those of TeX."""

from __future__ import annotations

import re
import subprocess

import pytest

from symbackprop.errors import NoRule
from symbackprop.notation.notation import load_notation, notations
from symbackprop.pictures.glyphs import SYMBOLS, advance, is_upright
from symbackprop.pictures.label_text import Font, plain, typeset
from symbackprop.printing.measure import expanded
from symbackprop.spec.catalogue import ACTIVATIONS

DIACRITICS = {"ŷ": r"\hat{y}", "x̄": r"\bar{x}"}


def runs(label: str) -> list[tuple[str, str]]:
    return [(run.text, run.font.value) for row in typeset(label).rows for run in row.runs]


def heights(label: str) -> list[float]:
    """How high each run stands above the line, upward."""
    found, y = [], 0.0
    for run in typeset(label).rows[0].runs:
        y -= run.dy
        found.append(round(y, 2))
    return found


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (r"$w^{2}_{jk}$", "w^2_jk"),
        (r"$\hat{y}_1$", "ŷ_1"),
        (r"$\bar x$", "x̄"),
        (r"$g'^{(L)}$", "g′^(L)"),
        (r"$\frac{\partial C}{\partial b}$", "∂C/∂b"),
        (r"$\frac{a + b}{c}$", "(a+b)/c"),
        (r"$w_{1}x_{2}\tanh z$", "w_1 x_2 tanh z"),
        (r"$\Biggl(\bigl[a\bigr]\Biggr)$", "([a])"),
        (r"$\sqrt{n + 1}$", "√(n+1)"),
        (r"$\sum_{j=1}^{n} x_j$", "∑^n_j=1 x_j"),
        (r"layer $l-1$", "layer l−1"),
        (r"$\text{if so, }x$", "if so, x"),
        (r"$\operatorname{relu}(z)$", "relu(z)"),
        (r"$\boldsymbol{\delta}^{\lbrack l\rbrack}$", "δ^[l]"),
        (r"$\mathcal{L}$", "L"),
        ("50% & more", "50% & more"),
    ],
)
def test_a_label_as_plain_text(label, text):
    assert plain(label) == text


def test_letters_lean_and_digits_and_words_stand():
    assert runs(r"for $w = 2\tanh \Delta$") == [
        ("for ", "roman"),
        ("w", "italic"),
        ("=", "roman"),
        ("2", "roman"),
        ("tanh", "roman"),
        ("Δ", "roman"),
    ]
    assert runs(r"$\mathbf{W}\boldsymbol{z}\mathsf{T}$")[1:] == [("z", "bold-italic"), ("T", "sans")]
    assert runs(r"$\mathcal{L}$") == [("L", Font.SCRIPT.value)]


def test_scripts_stand_above_and_below_and_start_at_one_place():
    assert heights("$a^{2}_{j}$") == [0.0, 4.1, -2.6]
    sizes = [run.size for run in typeset("$a^{2}_{n_1}$").rows[0].runs]
    assert sizes == [10.0, 7.2, 7.2, 5.8]
    above, below = typeset("$a^{22}$").rows[0], typeset("$a^{22}_{33}$").rows[0]
    assert above.width == pytest.approx(below.width)


def test_room_around_signs_but_not_around_a_leading_minus():
    spaced, tight = typeset("$a - b$").width, typeset("$-ab$").width
    assert spaced - tight == pytest.approx(2 * 2.22, abs=0.01)
    assert typeset("$(-a)$").width == pytest.approx(typeset("$(a)$").width + 7.78, abs=0.01)
    assert typeset("$x^{a-b}$").width < typeset("$x^{ab}$").width + 7.2 * 0.78 + 0.01


def test_a_fraction_alone_stands_upright_and_another_lies_down():
    alone = typeset(r"$\frac{\partial C}{\partial w_{jk}}$")
    assert len(alone.rows) == 2 and alone.bar == alone.width
    assert alone.drops[0] < 0 < alone.drops[1]
    assert alone.drops[1] - alone.rows[1].ascent > alone.drops[0] + alone.rows[0].descent
    assert len(typeset(r"$2\frac{a}{b}$").rows) == 1


@pytest.mark.parametrize(
    "command",
    [r"\begin{cases} 1 \end{cases}", r"\underbrace{x}", r"\sbpact{1}{j}", r"\input{x}", r"\hat{ab}", r"x^"],
)
def test_what_it_cannot_set_is_refused_by_name(command):
    with pytest.raises(NoRule, match="a picture's label"):
        typeset(f"${command}$")


@pytest.mark.parametrize("notation", notations())
def test_the_letters_and_functions_of_every_notation_can_be_set(notation):
    known = load_notation(notation)
    macros = [macro for macro in known.macros if not macro.arguments and macro.name != "sbpfailed"]
    for macro in macros:
        assert typeset(f"${expanded(macro.call(), known)}$").rows
    for name in ACTIVATIONS:
        macro_name = known.function(name)
        assert macro_name is None or plain(f"${expanded(known[macro_name].call(), known)}$")
    for call in (r"\sbpweight{l}{j}{k}", r"\sbpbias{1}{2}", r"\sbppartial{C}{w}", r"\sbpprime{\sbpfnsigma}"):
        assert typeset(f"${expanded(call, known)}$").width > 0


# --- widths -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_characters_are_as_wide_as_tex_sets_them(tmp_path, tex):
    """Every letter, digit and sign against the box that TeX makes of it."""
    letters = [chr(code) for code in (*range(65, 91), *range(97, 123))]
    italic = {rf"\usefont{{OML}}{{cmm}}{{m}}{{it}}{letter}": (letter, True) for letter in letters}
    roman = {
        rf"\usefont{{OT1}}{{cmr}}{{m}}{{n}}{char}": (char, False) for char in [*letters, *"0123456789+=/(,"]
    }
    signs = {
        rf"$\mathord{{{sign}}}$": (char, not is_upright(char))
        for sign, char in SYMBOLS.items()
        if sign[1:].isalpha()
    }
    boxes = {**italic, **roman, **signs}
    lines = [rf"\setbox0=\hbox{{{box}}}\typeout{{W:{n}:\the\wd0}}" for n, box in enumerate(boxes)]
    source = [
        r"\documentclass{article}\usepackage{amsmath,amssymb}\begin{document}",
        *lines,
        r"\end{document}",
    ]
    (tmp_path / "t.tex").write_text("\n".join(source))
    command = [tex, "-interaction=nonstopmode", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    widths = {int(n): float(width) for n, width in re.findall(r"W:(\d+):([\d.]+)pt", done.stdout)}
    assert len(widths) == len(boxes)
    for number, (box, (char, leans)) in enumerate(boxes.items()):
        ours = 10 * advance(char, leans)
        room = 0.02 if box not in signs else 1.4
        assert ours == pytest.approx(widths[number], abs=room), box
