"""Notations: the data is complete, what is wrong is refused in a sentence, and the package can be used."""

import re
import subprocess
import tomllib
from importlib.resources import files

import pytest
import sympy as sp

from symbackprop.algebra.equations import Quantity, Role
from symbackprop.errors import SpecError, SymbackpropError
from symbackprop.notation.notation import load_notation, notation_from, notations
from symbackprop.notation.style_package import style_package
from symbackprop.printing.latex import latex
from symbackprop.printing.measure import expanded
from symbackprop.printing.symbols import Names, whole

NIELSEN = files("symbackprop").joinpath("data", "notations", "nielsen.toml").read_text(encoding="utf-8")
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
        ({"layer": {"style": "dots"}}, "layer.style: 'dots': the style of a layer is bare, parentheses"),
        ({"index": {"order": "both"}}, "index.order: 'both': the order is to-from"),
        ({"index": {"start": 2}}, "index.start: 2: units are counted from 0 or from 1"),
        ({"index": {"start": 1.0}}, "index.start: 1.0: units are counted from 0 or from 1"),
        ({"index": {"here": "ij"}}, "index.here: 'ij': an index is a single letter"),
        ({"letter": {"cots": "J"}}, "letter.cots: 'J': the key cots is not known here; did you mean cost?"),
        ({"colours": {"weight": "red"}}, "colours: {'weight': 'red'}: the key colours is not known here"),
        ({"macros": {"sbpakt": "a"}}, "macros.sbpakt: there is no macro of this name"),
        ({"macros": {"sbpact": "a_{#3}"}}, r"macros.sbpact: 'a_{#3}': \sbpact takes 2 arguments"),
        (
            {"entry": {"delta": r"\delta_{0}"}},
            "entry.delta: '\\\\delta_{0}': a letter takes a layer and indices",
        ),
        ({"entry": {"weight": "{w"}}, "entry.weight: '{w': LaTeX that takes indices"),
    ],
)
def test_a_wrong_notation_is_refused(changes, complaint):
    with pytest.raises(SpecError, match=re.escape(f"notation mine: {complaint}")):
        notation_from("mine", data(**changes))


@pytest.mark.parametrize(
    ("changes", "both"),
    [
        ({"entry": {"bias": "w"}}, ("a bias is written as a weight is", "entry.weight")),
        ({"whole": {"activation": "z"}}, ("the activation is written as the pre-activation is",)),
        ({"letter": {"cost": "a"}}, ("the cost is written as the activation is", "entry.activation")),
        ({"functions": {"tanh": "w"}}, ("the function tanh is written as a weight is",)),
        ({"index": {"here": "b"}}, ("the index b is written as a bias is",)),
        ({"index": {"others": ["l"]}}, ("the index l is written as any hidden layer is",)),
        ({"layer": {"last": "x"}}, ("the output layer is written as the input is", "layer.last")),
        (
            {"layer": {"general": "Z"}},
            ("any hidden layer is written as the pre-activation is", "layer.general"),
        ),
        ({"layer": {"last": "l"}}, ("the output layer has another letter than any hidden layer",)),
        ({"index": {"example": "m"}}, ("examples are counted by another letter than units", "index.example")),
        ({"index": {"before": "j"}}, ("have another letter",)),
        ({"sign": {"bracket": r"\delta_{#1}"}}, ("Kronecker's delta", "delta, the error")),
        ({"bias": {"style": "folded"}, "index": {"start": 0}}, ("units are counted from 1",)),
    ],
)
def test_a_clash_is_refused_with_both_named(changes, both):
    with pytest.raises(SpecError) as refused:
        notation_from("mine", data(**changes))
    assert all(part in str(refused.value) for part in both)


def test_every_mistake_is_reported_at_once():
    tables = data(entry={"bias": 7}, layer={"style": "dots"})
    del tables["entry"]["weight"], tables["sign"]
    with pytest.raises(SpecError) as refused:
        notation_from("mine", tables)
    places = [problem.where for problem in refused.value.problems]
    assert places == ["layer.style", "entry.bias", "entry.weight", "sign"]


def test_a_notation_is_like_another_but_for_its_own_keys(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('description = "mine"\nlike = "cs231n"\n[entry]\nweight = "U"\n')
    mine, like = load_notation(str(file)), load_notation("cs231n")
    assert mine.name == "mine" and mine["sbpweightletter"].definition == "U"
    assert mine.layout == like.layout and mine["sbpactletter"] == like["sbpactletter"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("description = ", "this is not TOML"),
        ('like = "nelson"', "this is the name of a notation, one of bishop"),
    ],
)
def test_a_wrong_file_is_refused(text, complaint, tmp_path):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(SpecError, match=complaint):
        load_notation(str(tmp_path / "mine.toml"))
    with pytest.raises(SpecError, match="there is no such file"):
        load_notation(str(tmp_path / "yours.toml"))


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
        r"\sbpgradient{\sbpcost}{\sbpweightmat{2}}",
        r"\sbpvec{\mu}",
    ]
    assert whole(A, names, batch=True) == r"\sbpactmat{1}"
    assert whole(W, names, batch=True) == r"\sbpweightmat{2}"


def package():
    return style_package(load_notation())


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


def test_a_lecturers_definitions_win_before_and_after(tmp_path, tex):
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
        [tex, "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-2000:]
    assert "\nA:h\n" in run.stdout
    assert r"W:\theta _{jk}" in run.stdout
