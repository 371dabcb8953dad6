"""The five texts: every formula of theirs comes out of the program, in their order, labelled and checked."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

import symbackprop as sb
from symbackprop.checking.check import Equality
from symbackprop.errors import SymbackpropError
from symbackprop.layout.claims import Checker
from symbackprop.layout.document import Display, Document, chains
from symbackprop.layout.outline import load_outline, outlines
from symbackprop.printing.measure import expanded

EXAMPLES = Path(__file__).parent.parent / "examples"
IDS = {
    "jagtap": [f"J{n}" for n in range(1, 14)],
    "layers": [f"L{n}" for n in range(1, 14)],
    "computation-graph": [f"G{n}" for n in range(1, 9)],
    "brilliant": [f"B{n}" for n in range(1, 12)],
    "punnen": [f"P{n}" for n in range(1, 10)],
}
"""The formulas of each text, by the ids that they have in the project's list of them."""

RULES = {"L13", "G3", "P9", "B11"}
"""Rules of gradient descent, which are assignments, and a table of formulas that stand elsewhere too."""


@cache
def text(name: str, *chosen: str) -> Document:
    return sb.derive(sb.load(EXAMPLES / f"{name}.toml"), wrt=chosen).document(name)


def printed(name: str, label: str, *chosen: str) -> list[str]:
    """The rows of a formula as they are printed, with the macros put in."""
    document = text(name, *chosen)
    chains = [c for s in document.sections for b in s.blocks if isinstance(b, Display) for c in b.chains]
    (chain,) = (c for c in chains if c.label == label)
    lines = [f"{chain.left} = {line}" for row in chain.rows for line in row.lines]
    return [plain(expanded(line, document.notation)) for line in lines]


def plain(tex: str) -> str:
    """LaTeX with single spaces, and without the sizes of parentheses."""
    tex = re.sub(r"\\[bB]ig+[lr]?", "", tex)
    return re.sub(r"\s+", "", tex)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(IDS))
def test_a_text_in_its_notation_is_its_own_argument(name: str) -> None:
    document = text(name)
    assert document.forms == ("argument",) and document.certificate.holds
    assert not document.failed


@pytest.mark.parametrize("name", sorted(IDS))
def test_every_formula_has_its_label_in_the_order_of_the_text(name: str) -> None:
    ids = [one for one in load_outline(name).ids if "-" not in one]
    order = [one for one in ids if one != "P8"]
    assert sorted(ids) == sorted(IDS[name]) and order == [one for one in IDS[name] if one != "P8"]
    labels = re.findall(rf"\\label\{{sbp:{name}:([^}}]*)\}}", text(name).to_latex())
    assert set(IDS[name]) - {"B11"} <= set(labels)


@pytest.mark.parametrize("name", sorted(IDS))
def test_every_formula_is_in_the_certificate(name: str) -> None:
    findings = [
        f for f in text(name).certificate.findings if f.residual is not None or f.method == "definition"
    ]
    checked = {re.split("[,:]", finding.label)[0] for finding in findings}
    assert set(IDS[name]) - RULES <= checked


@pytest.mark.parametrize(
    ("name", "label", "row", "expected"),
    [
        # typed from the list of the texts' formulas, not from the program's output
        ("jagtap", "J1", 0, r"C_{0j} = (a_j^{(L)} - y_j)^2"),
        ("jagtap", "J2", 0, r"C_{0} = \sum_{j=0}^{n_L-1} (a_j^{(L)} - y_j)^2"),
        ("jagtap", "J3", 0, r"z_j^{(L)} = \sum_{k=0}^{n_{L-1}-1} w_{jk}^{(L)} a_k^{(L-1)}"),
        ("jagtap", "J4", 0, r"a_j^{(L)} = g^{(L)}(z_j^{(L)})"),
        (
            "jagtap",
            "J6",
            0,
            r"\frac{\partial C_0}{\partial w_{12}^{(L)}} = \frac{\partial C_0}{\partial a_1^{(L)}} \cdot "
            r"\frac{\partial a_1^{(L)}}{\partial z_1^{(L)}} \cdot "
            r"\frac{\partial z_1^{(L)}}{\partial w_{12}^{(L)}}",
        ),
        ("jagtap", "J7", 0, r"\frac{\partial C_0}{\partial a_1^{(L)}} = 2 (a_1^{(L)} - y_1)"),
        ("jagtap", "J7-2", 0, r"\frac{\partial a_1^{(L)}}{\partial z_1^{(L)}} = g'^{(L)}(z_1^{(L)})"),
        ("jagtap", "J7-3", 0, r"\frac{\partial z_1^{(L)}}{\partial w_{12}^{(L)}} = a_2^{(L-1)}"),
        (
            "jagtap",
            "J9",
            0,
            r"\frac{\partial C}{\partial w_{12}^{(L)}} = \frac{1}{n} \sum_{i=0}^{n-1} "
            r"\frac{\partial C_i}{\partial w_{12}^{(L)}}",
        ),
        (
            "jagtap",
            "J11",
            0,
            r"\frac{\partial C_0}{\partial a_2^{(L-1)}} = \sum_{j=0}^{n_L-1} "
            r"\frac{\partial C_0}{\partial a_j^{(L)}} \cdot \frac{\partial a_j^{(L)}}{\partial z_j^{(L)}} "
            r"\cdot \frac{\partial z_j^{(L)}}{\partial a_2^{(L-1)}}",
        ),
        ("jagtap", "J12", 0, r"\frac{\partial z_j^{(L)}}{\partial a_2^{(L-1)}} = w_{j2}^{(L)}"),
        (
            "jagtap",
            "J12-sum",
            0,
            r"\frac{\partial C_0}{\partial a_2^{(L-1)}} = \sum_{j=0}^{n_L-1} 2 (a_j^{(L)} - y_j) \cdot "
            r"g'^{(L)}(z_j^{(L)}) \cdot w_{j2}^{(L)}",
        ),
        ("layers", "L1", 0, r"C_x = \frac{1}{2 L_n} \sum_{j=1}^{L_n} (a_j^L - y_j)^2"),
        ("layers", "L1-derivative", 0, r"\frac{\partial C_x}{\partial a_j^L} = \frac{1}{L_n} (a_j^L - y_j)"),
        ("layers", "L2-derivative", 2, r"\frac{\partial a_j^L}{\partial z_j^L} = a_j^L (1 - a_j^L)"),
        (
            "layers",
            "L5",
            2,
            r"\frac{\partial C_x}{\partial w_{jk}^L} = \frac{1}{L_n} (a_j^L - y_j) \cdot a_j^L (1 - a_j^L) "
            r"\cdot a_k^{L-1}",
        ),
        (
            "layers",
            "L7",
            0,
            r"\frac{\partial C_x}{\partial a_j^l} = \sum_{q=1}^{(l+1)_n} w_{qj}^{l+1} \delta_q^{l+1}",
        ),
        ("layers", "L8", 0, r"\frac{\partial C_x}{\partial w_{jk}^l} = \delta_j^l a_k^{l-1}"),
        ("layers", "L9", 0, r"\delta^L = \frac{1}{L_n} (a^L - y) \odot \sigma'(z^L)"),
        ("layers", "L10", 0, r"\delta^l = ((W^{l+1})^T \delta^{l+1}) \odot \sigma'(z^l)"),
        ("layers", "L11", 0, r"\nabla W^l = \delta^l (a^{l-1})^T"),
        ("layers", "L12", 0, r"\nabla b^l = \delta^l"),
        ("layers", "L13", 0, r"W^l = W^l - \eta \, \nabla W^l"),
        ("computation-graph", "G2", 0, r"L = (y - f)^2"),
        ("computation-graph", "G2-cost", 0, r"J = \frac{1}{m} \sum_{d=1}^m L_d"),
        ("brilliant", "B1", 0, r"a_j^k = \sum_{i=1}^{r_{k-1}} w_{ij}^k o_i^{k-1} + b_j^k"),
        ("brilliant", "B1", 1, r"a_j^k = \sum_{i=0}^{r_{k-1}} w_{ij}^k o_i^{k-1}"),
        ("brilliant", "B2", 0, r"E(X,\theta) = \frac{1}{2N} \sum_{d=1}^N (\hat{y}_d - y_d)^2"),
        (
            "brilliant",
            "B3",
            0,
            r"\frac{\partial E}{\partial w_{ij}^k} = \frac{\partial E}{\partial a_j^k} \cdot "
            r"\frac{\partial a_j^k}{\partial w_{ij}^k}",
        ),
        ("brilliant", "B4", 0, r"\delta_j^k = \frac{\partial E}{\partial a_j^k}"),
        ("brilliant", "B4-factor", 0, r"\frac{\partial a_j^k}{\partial w_{ij}^k} = o_i^{k-1}"),
        ("brilliant", "B5", 1, r"\frac{\partial E}{\partial a_1^m} = (g_o(a_1^m) - y) \cdot g_o'(a_1^m)"),
        ("brilliant", "B5", 2, r"\frac{\partial E}{\partial a_1^m} = (\hat{y} - y) \cdot g_o'(a_1^m)"),
        (
            "brilliant",
            "B6",
            0,
            r"\frac{\partial E}{\partial w_{i1}^m} = (\hat{y} - y) \cdot g_o'(a_1^m) \cdot o_i^{m-1}",
        ),
        ("brilliant", "B8", 0, r"\frac{\partial a_l^{k+1}}{\partial a_j^k} = w_{jl}^{k+1} g'(a_j^k)"),
        ("brilliant", "B9", 0, r"\delta_j^k = g'(a_j^k) \sum_{l=1}^{r_{k+1}} w_{jl}^{k+1} \delta_l^{k+1}"),
        ("punnen", "P1", 0, r"a^l = \sigma(w^l a^{l-1} + b^l)"),
        ("punnen", "P2", 0, r"C_x = \frac{1}{2} \lVert y - a^2 \rVert^2"),
        ("punnen", "P2", 1, r"C_x = \frac{1}{2} \sum_{j=1}^{n_2} (y_j - a_j^2)^2"),
        (
            "punnen",
            "P3",
            0,
            r"\frac{\partial C_x}{\partial w^l} = \frac{\partial z^l}{\partial w^l} \cdot "
            r"\frac{\partial a^l}{\partial z^l} \cdot \frac{\partial C_x}{\partial a^l}",
        ),
        ("punnen", "P4", 0, r"\frac{\partial z^2}{\partial w^2} = a^1"),
        ("punnen", "P4-2", 0, r"\frac{\partial a^2}{\partial z^2} = \sigma'(z^2)"),
        ("punnen", "P4-3", 0, r"\frac{\partial C_x}{\partial a^2} = a^2 - y"),
        ("punnen", "P5", 0, r"\frac{\partial C_x}{\partial w^2} = a^1 \cdot \sigma'(z^2) \cdot (a^2 - y)"),
        (
            "punnen",
            "P5-matrix",
            0,
            r"\frac{\partial C_x}{\partial w^2} = ((a^2 - y) \odot \sigma'(z^2)) (a^1)^T",
        ),
        ("punnen", "P6", 0, r"\frac{\partial a^2}{\partial a^1} = \sigma'(z^2) \cdot w^2"),
        (
            "punnen",
            "P7-matrix",
            0,
            r"\frac{\partial C_x}{\partial w^1} = "
            r"(((w^2)^T ((a^2 - y) \odot \sigma'(z^2))) \odot \sigma'(z^1)) (a^0)^T",
        ),
        ("punnen", "P8", 0, r"\frac{\partial a^l}{\partial z^l} = \sigma'(z^l)"),
    ],
)
def test_a_formula_is_that_of_the_text(name: str, label: str, row: int, expected: str) -> None:
    assert same(printed(name, label)[row], plain(expected))


def same(ours: str, theirs: str) -> bool:
    """Whether two formulas are the same but for the order of scripts, and for braces."""
    return scripts(ours) == scripts(theirs)


def scripts(tex: str) -> str:
    inner = r"(?:[^{}]|\{[^{}]*\})*"
    script = rf"(?:\{{{inner}\}}|\w|\\[a-z]+)"
    return re.sub("[{}]", "", re.sub(rf"_({script})\^({script})", r"^\2_\1", tex))


def test_the_reader_chooses_a_weight() -> None:
    (line,) = printed("jagtap", "J8", "W[L][0,3]")
    assert "w^{(L)}_{03}" in line and "a^{(L-1)}_{3}" in line and "y_{0}" in line
    line = "".join(printed("jagtap", "J13", "W[L][0,3]", "W[L-1][4,1]"))
    assert "w^{(L)}_{j4}" in line and "a^{(L-2)}_{1}" in line
    assert text("jagtap", "W[L][0,3]", "W[L-1][4,1]").certificate.holds


@pytest.mark.parametrize(
    ("chosen", "complaint"),
    [
        ("W[L][1]", "W2 has 2 indices, not 1"),
        ("W[7][1,2]", "there is no such quantity; the parameters are W1, W2"),
        ("a[L][1]", "it is an entry such as W[L][1,2]"),
        ("__import__('os')", "an entry is written as W[L][1,2]"),
        ("W2[9,9]", "this index of W2 runs from 0 to"),
    ],
)
def test_a_wrong_choice_is_refused(chosen: str, complaint: str) -> None:
    name = "two-two-two" if "9" in chosen else "jagtap"
    with pytest.raises(SymbackpropError, match=re.escape(complaint)):
        sb.derive(sb.load(EXAMPLES / f"{name}.toml"), wrt=[chosen]).document("jagtap")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(IDS))
def test_a_corrupted_formula_is_noticed(name: str) -> None:
    """Each equality with its right side doubled fails its check, unless both sides are 0 there."""
    document = text(name)
    checker = Checker(sb.derive(sb.load(EXAMPLES / f"{name}.toml")))
    seen = 0
    for finding in document.certificate.findings:
        equality = finding.equality
        if not re.match("[JLBP][0-9]|G[1-4]", finding.label):
            continue
        wrong = Equality(
            equality.label, equality.left, 2 * equality.right, equality.free, equality.kind, equality.facts
        )
        assert not checker.check(wrong).holds, str(equality)
        seen += 1
    assert seen >= 3


def test_a_notation_without_an_outline_has_no_argument() -> None:
    derivation = sb.derive(sb.load("2-2-1"))
    with pytest.raises(SymbackpropError, match="has no argument of its own: use index"):
        derivation.document("nielsen", ("argument",))


def test_an_argument_that_does_not_fit_is_refused_and_not_the_usual_form() -> None:
    wide = sb.derive(sb.load("2-1"))
    assert wide.document("jagtap").forms == ("index", "matrix")
    with pytest.raises(SymbackpropError, match="it doesn't fit this network"):
        wide.document("jagtap", ("argument",))


def test_every_outline_goes_with_a_notation() -> None:
    assert set(outlines()) == set(IDS)


def table() -> str:
    """Every formula of the texts: its id, its label, and how it was checked."""
    lines = ["| id | label | checked |", "|---|---|---|"]
    for name in sorted(IDS):
        findings = {re.split("[,:]", f.label)[0]: f for f in reversed(text(name).certificate.findings)}
        for one in IDS[name]:
            finding = findings.get(one)
            how = (
                finding.method
                if finding is not None and finding.holds
                else "a rule"
                if one in RULES
                else "no"
            )
            label = f"`sbp:{name}:{one}`" if one != "B11" else "a table"
            lines.append(f"| {one} | {label} | {how} |")
    return "\n".join(lines)


def test_the_table_of_the_docs_is_true(update: bool) -> None:
    page = Path(__file__).parent.parent / "docs" / "texts.md"
    before, _, rest = page.read_text("utf-8").partition("<!-- table -->\n")
    shown, _, after = rest.partition("<!-- end -->")
    if update:
        page.write_text(f"{before}<!-- table -->\n{table()}\n<!-- end -->{after}", "utf-8")
        shown = table() + "\n"
    assert shown == table() + "\n", "run pytest tests/test_argument.py --update"
    assert "| no |" not in shown and shown.count("\n") == 2 + 54


@pytest.mark.slow
@pytest.mark.parametrize(("label", "outer"), [("L2-derivative", "ij"), ("L5", "ijk"), ("L5-bias", "ij")])
def test_no_letter_counts_two_things_in_one_line(label: str, outer: str) -> None:
    """The sum in softmax's denominator has a letter that no index around it has."""
    document = sb.derive(sb.load(EXAMPLES / "mlp-784-128-64-10.toml")).document("layers", ("argument",))
    chain = next(c for c in chains(document.sections) if c.label == label)
    (line,) = (" ".join(row.lines) for row in chain.rows if "sbpexp" in " ".join(row.lines))
    denominators = set(re.findall(r"\\sum_\{([a-z])=1\}\^\{10\} \\sbpexp", line))
    assert denominators and not denominators & set(outer)
