"""Notations: the data is complete, what is wrong is refused in a sentence, and the package can be used."""

import os
import re
import shutil
import subprocess
import tomllib
from importlib.resources import files

import pytest
import sympy as sp

from symbackprop.equations import Quantity, Role
from symbackprop.errors import SymbackpropError
from symbackprop.latex import latex
from symbackprop.measure import expanded
from symbackprop.notation import load_notation, notation_from, notations
from symbackprop.render import fill
from symbackprop.symbols import Names, whole

NIELSEN = files("symbackprop").joinpath("notations", "nielsen.toml").read_text(encoding="utf-8")
J, K, N1 = sp.symbols("j k n_1", integer=True, positive=True)
W = Quantity("W2", "W", Role.WEIGHT, sp.Integer(2), (N1, N1))
A = Quantity("a1", "a", Role.ACTIVATION, sp.Integer(1), (N1,))


def data(**changes):
    """The tables of nielsen.toml with some keys changed: ``layer={"style": "brackets"}``."""
    tables = tomllib.loads(NIELSEN)
    for table, keys in changes.items():
        tables[table] = {**tables.get(table, {}), **keys}
    return tables


def printed(notation):
    """w_jk a_k in a notation, with the macros put in."""
    return expanded(latex(W[J, K] * A[K], Names.of([W, A], notation=notation)), notation)


def test_every_notation_loads_and_says_what_it_is():
    found = notations()
    assert "nielsen" in found
    for name, description in found.items():
        assert load_notation(name).name == name
        assert description


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "w^{2}_{jk} a^{1}_{k}"),
        ({"layer": {"style": "parentheses"}}, "w^{(2)}_{jk} a^{(1)}_{k}"),
        ({"layer": {"style": "brackets"}}, r"w^{\lbrack 2\rbrack}_{jk} a^{\lbrack 1\rbrack}_{k}"),
        ({"index": {"order": "from-to"}}, "w^{2}_{kj} a^{1}_{k}"),
        ({"index": {"separator": ","}}, "w^{2}_{j,k} a^{1}_{k}"),
        ({"entry": {"weight": r"\theta", "activation": "o"}}, r"\theta^{2}_{jk} o^{1}_{k}"),
        ({"macros": {"sbpact": "h_{#1,#2}"}}, "w^{2}_{jk} h_{1,k}"),
    ],
)
def test_a_notation_is_data(changes, expected):
    assert printed(notation_from("mine", data(**changes))) == expected


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"layer": {"style": "dots"}}, "the notation mine has layer.style = 'dots': it is one of bare"),
        ({"index": {"order": "both"}}, "index.order = 'both'"),
        ({"letter": {"cots": "J"}}, "keys missing or too many: letter.cots"),
        ({"colours": {"weight": "red"}}, "keys missing or too many: colours"),
        ({"macros": {"sbpakt": "a"}}, "defines macros that there are not: sbpakt"),
    ],
)
def test_a_wrong_notation_is_refused(changes, complaint):
    with pytest.raises(SymbackpropError, match=re.escape(complaint)):
        notation_from("mine", data(**changes))


def test_a_missing_key_is_refused():
    tables = data()
    del tables["entry"]["weight"], tables["sign"]
    with pytest.raises(SymbackpropError, match=r"entry\.weight.*sign\.bracket"):
        notation_from("mine", tables)


def test_an_unknown_notation_is_refused_with_a_hint():
    with pytest.raises(SymbackpropError, match="there is no notation 'Nielsen2'; did you mean nielsen\\?"):
        load_notation("Nielsen2")
    with pytest.raises(SymbackpropError, match=r"choose one of .*nielsen"):
        load_notation("qq")


def test_macros_are_namespaced_ascii_and_defined_once():
    for name in notations():
        macros = load_notation(name).macros
        assert len({macro.name for macro in macros}) == len(macros)
        for macro in macros:
            assert re.fullmatch("sbp[a-z]+", macro.name)
            assert macro.definition.isascii()
            used = {int(number) for number in re.findall(r"#(\d)", macro.definition)}
            assert used <= set(range(1, macro.arguments + 1)), macro


def test_macros_use_only_macros_that_there_are():
    for name in notations():
        notation = load_notation(name)
        for macro in notation.macros:
            for used in re.findall(r"\\(sbp[a-z]+)", macro.definition):
                assert used in notation, (macro.name, used)


def test_no_entry_has_two_superscripts():
    """An entry with a layer and an example has one superscript, in every layer style."""
    n = sp.Symbol("n", integer=True, positive=True)
    x = Quantity("x", "x", Role.INPUT, sp.Integer(0), (N1,))
    for style in ("bare", "parentheses", "brackets"):
        notation = notation_from("mine", data(layer={"style": style}))
        names = Names.of([A, x], notation=notation)
        for entry in (sp.Indexed(A.symbol, n, J), sp.Indexed(x.symbol, n, J)):
            assert expanded(latex(entry, names), notation).count("^") == 1


def test_wholes():
    names = Names()
    delta = Quantity(
        "delta1", "delta", Role.DELTA, sp.Integer(1), (N1,), A, Quantity("C", "C", Role.COST, None, ())
    )
    gradient = Quantity("dW2", "d", Role.GRADIENT, sp.Integer(2), (N1, N1), W, delta.cost)
    mu = Quantity("mu", "mu", Role.INTERMEDIATE, None, (N1,))
    shown = [whole(quantity, names) for quantity in (W, A, delta, gradient, mu)]
    assert shown == [
        r"\sbpweightmat{2}",
        r"\sbpactvec{1}",
        r"\sbpdeltavec{1}",
        r"\sbppartial{\sbpcost}{\sbpweightmat{2}}",
        r"\sbpvec{\mu}",
    ]
    assert whole(A, names, batch=True) == r"\sbpactmat{1}"
    assert whole(W, names, batch=True) == r"\sbpweightmat{2}"


def package():
    return fill("symbackprop.sty.jinja", {"version": "1.2.3", "notation": load_notation()})


def test_the_package_provides_every_macro_and_needs_amsmath_only():
    text = package()
    assert text.isascii()
    assert re.findall(r"\\RequirePackage\{(\w+)\}", text) == ["amsmath"]
    assert r"\ProvidesPackage{symbackprop}" in text
    for macro in load_notation().macros:
        arguments = f"[{macro.arguments}]" if macro.arguments else ""
        assert rf"\providecommand{{\{macro.name}}}{arguments}{{{macro.definition}}}" + "\n" in text
    assert r"\newcommand" not in text
    assert text.endswith("\\endinput\n")


def test_a_lecturers_definitions_win_before_and_after(tmp_path, needs_tex):
    (tmp_path / "symbackprop.sty").write_text(package())
    source = r"""\documentclass{article}
\newcommand{\sbpactletter}{h}
\usepackage{symbackprop}
\renewcommand{\sbpweight}[3]{\theta_{#2#3}}
\begin{document}
\typeout{A:\detokenize\expandafter\expandafter\expandafter{\sbpactletter}}
\typeout{W:\detokenize\expandafter{\sbpweight{1}{j}{k}}}
$\sbpact{1}{j} \sbpweight{1}{j}{k}$
\end{document}
"""
    (tmp_path / "t.tex").write_text(source)
    run = subprocess.run(
        [needs_tex, "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-2000:]
    assert "\nA:h\n" in run.stdout
    assert r"W:\theta _{jk}" in run.stdout


@pytest.fixture
def needs_tex():
    """The path of pdflatex; without it the test is skipped, but never in CI."""
    program = shutil.which("pdflatex")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("pdflatex is missing: apt-get install texlive-latex-extra lmodern")
        pytest.skip("pdflatex is missing: apt-get install texlive-latex-extra lmodern")
    return program
