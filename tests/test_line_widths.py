"""No printed formula is too wide for a page: a systematic collection, compiled in two classes of articles."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import symbackprop as sb
from symbackprop.errors import SymbackpropError
from symbackprop.notation.notation import load_notation
from symbackprop.printing.measure import rendered_width
from symbackprop.spec.catalogue import ACTIVATIONS, COSTS

WIDEST = 10.0
"""How many points a line may be too wide."""

PREAMBLES = {
    "11pt": r"\documentclass[11pt]{article}\usepackage[margin=2.5cm]{geometry}",
    "plain": r"\documentclass{article}",
}
OWN_ACTIVATIONS = {
    "nested": "where(z > 2, z**2, where(z > 1, 2*z - 1, where(z > 0, z, 0.5*z*exp(z))))",
    "polynomial": "z + 0.5*z**2 - 0.25*z**3 + 0.125*z**4 - 0.0625*z**5 + 0.03125*z**6 - 3*z**7 + z**8/7",
    "rational": "(z**3+2*z**2+3*z+4)/(z**4+5*z**2+6)",
    "normalised": "z[j]/sqrt(1+sum(z[i]**2, i))",
    "bent softmax": "exp(z[j]-z[j]**2)/(1+sum(exp(z[i]-z[i]**2), i))",
}
OWN_COSTS = {
    "focal": "-(y*(1-a)**2*log(a) + (1-y)*a**2*log(1-a))",
    "log cosh": "log(cosh(a-y))",
    "logit": "(log(a/(1-a))-y)**2",
    "polynomial": "(a-y)**2 + 0.5*(a-y)**3 - 0.25*(a-y)**4 + 0.125*(a-y)**5 + (a*y)**2 - 3*a*y + 7",
    "nested": "where(a > y, where(a > 2*y, (a-y)**2, 2*(a-y)), where(a < -y, exp(a), (a-y)**4/4 + abs(a)/3))",
    "overlap": "1-a*y/(a*y+0.3*a*(1-y)+0.7*(1-a)*y)",
    "smooth Huber": "where(abs(a-y) <= 1, (a-y)**2/2 - (a-y)**4/24, abs(a-y) - 1/2)",
}


def collection(activation):
    """Every cost of the catalogue with an activation, and one's own with those that are telling."""
    costs = [*COSTS]
    if activation in ("sigmoid", "softmax", "gelu_tanh", "mish"):
        costs += OWN_COSTS.values()
    if activation in OWN_ACTIVATIONS:
        costs = ["squared_error", OWN_COSTS["focal"]]
    formula = {"formula": OWN_ACTIVATIONS[activation]} if activation in OWN_ACTIVATIONS else activation
    for number, cost in enumerate(costs):
        data = {
            "name": f"n{number}",
            "input": {"size": 3},
            "layers": [{"size": 3, "activation": formula}, {"size": 2, "activation": formula}],
            "cost": {"kind": cost} if cost in COSTS else {"formula": cost},
        }
        try:
            yield sb.from_mapping(data)
        except SymbackpropError:
            continue


def compiled(program: str, folder: Path, preamble: str, names: list[str]) -> str:
    """The log of an article that holds these fragments."""
    body = "".join(rf"\typeout{{FRAGMENT {name}}}\input{{{name}}}\clearpage" + "\n" for name in names)
    head = preamble + r"\usepackage{amsmath}\usepackage{symbackprop}\begin{document}" + "\n"
    (folder / "all.tex").write_text(head + body + r"\end{document}")
    arguments = [program, "-interaction=nonstopmode", "-no-shell-escape", "all.tex"]
    subprocess.run(arguments, cwd=folder, capture_output=True, check=False)
    return (folder / "all.log").read_text("latin-1")


def complaints(log: str) -> list[str]:
    """Errors, and lines that are too wide, each with the fragment that it is in."""
    found, fragment = [], ""
    for line in log.splitlines():
        fragment = line.removeprefix("FRAGMENT ") if line.startswith("FRAGMENT ") else fragment
        wide = re.match(r"Overfull \\hbox \(([\d.]+)pt too wide\)", line)
        if line.startswith("! ") or (wide and float(wide[1]) > WIDEST):
            found.append(f"{fragment}: {line}")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("activation", [*ACTIVATIONS, *OWN_ACTIVATIONS])
def test_no_formula_is_wider_than_the_page(activation, tex, tmp_path):
    names = []
    for network in collection(activation):
        document = sb.derive(network).document(forms=("index", "matrix"))
        assert document.certificate.holds
        (tmp_path / f"{network.name}.tex").write_text(document.to_latex())
        (tmp_path / "symbackprop.sty").write_text(document.style())
        names.append(network.name)
    assert names
    for preamble in PREAMBLES.values():
        assert not complaints(compiled(tex, tmp_path, preamble, names))


def test_what_is_too_wide_is_found(tex, tmp_path):
    """The test above can fail: a long line, and an error."""
    (tmp_path / "symbackprop.sty").write_text("")
    (tmp_path / "wide.tex").write_text(
        r"\begin{align} " + " + ".join("abcdefghij" for _ in range(12)) + r"\end{align}"
    )
    (tmp_path / "wrong.tex").write_text(r"$a^{2}^{3}$")
    found = complaints(compiled(tex, tmp_path, PREAMBLES["plain"], ["wide", "wrong"]))
    assert [line.split(":")[0] for line in found] == ["wide", "wrong"]


def test_cases_are_as_wide_as_their_columns():
    """A value of one case and the condition of another are side by side."""
    notation = load_notation()
    short = rendered_width(r"\begin{cases} aaaaaaaa & \sbpif b \\ a & \sbpotherwise \end{cases}", notation)
    long = rendered_width(r"\begin{cases} aaaaaaaa & \sbpif b \\ a & \sbpif bbbbbbbb \end{cases}", notation)
    alone = rendered_width(r"\begin{cases} a & \sbpif b \\ a & \sbpif bbbbbbbb \end{cases}", notation)
    assert short < long and long - alone == pytest.approx(rendered_width("aaaaaaa", notation))
