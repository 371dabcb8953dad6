"""The source lines of displays on paper: columns of a section, rows side by side, one numbering."""

from __future__ import annotations

import re
import subprocess
from functools import cache

import symbackprop as sb
from symbackprop.layout.across import across
from symbackprop.layout.document import Chain, Row
from symbackprop.layout.paper import Columns, Widths, aligned
from symbackprop.notation.notation import load_notation

NOTATION = load_notation()


@cache
def section(forms: tuple[str, ...], heading: str, spec: str = "2-3-2") -> str:
    text = sb.derive(sb.load(spec)).document(forms=forms).to_latex()
    return text.split(rf"\sbpheading{{{heading}}}")[1].split(r"\sbpheading")[0]


def chain(*rows: str, left: str = "z") -> Chain:
    return Chain(left, tuple(Row((row,)) for row in rows))


def plain(row: Row, line: str) -> str:
    return line


def test_rows_stand_in_columns_where_they_fit() -> None:
    found = across([chain("a + b", "1 + 2", "3"), chain("c", "4")], NOTATION, plain)
    assert found.columns == 3
    (first,), (second,) = found.chains
    assert first == (("=", "a + b"), ("=", "1 + 2"), ("=", "3"))
    assert second == (("=", "c"), ("", ""), ("=", "4"))


def test_rows_that_do_not_fit_follow_each_other_and_the_number_stands_apart() -> None:
    found = across([chain("a" * 30, "b" * 30, "3"), chain("c", "d", "4")], NOTATION, plain)
    assert found.columns == 2
    long, short = found.chains
    assert long == ((("=", "a" * 30), ("", "")), (("=", "b" * 30), ("=", "3")))
    assert short == ((("=", "c = d"), ("=", "4")),)


def test_a_result_that_is_long_follows_the_others() -> None:
    found = across([chain("a" * 30, "b" * 30, "c" * 20)], NOTATION, plain)
    assert found.columns == 1
    assert found.chains[0] == ((("=", "a" * 30),), (("=", f"{'b' * 30} = {'c' * 20}"),))


def test_a_line_without_a_reason_may_run_on_below_the_reasons_of_others() -> None:
    reasons = [Widths(2, 20, 20), Widths(2, 45, 0)]
    assert Columns.of(reasons) == Columns(2, 20, 20, 45) and Columns.of(reasons).fit
    assert not Columns.of([*reasons, Widths(2, 45, 5)]).fit
    assert not Columns.of([Widths(2, 60, 0)]).fit


def test_what_is_too_wide_stands_by_itself_and_the_others_share_their_columns() -> None:
    groups = [[[Chain("z", (Row(("a",), "why"),))]], [[chain("b" * 60)]], [[chain("c")]]]
    assert aligned(groups, NOTATION) == [True, False, True]


def test_the_columns_of_a_section_are_declared_once_and_held_by_every_display() -> None:
    text = section(("index", "matrix"), "Matrix form")
    displays = text.split(r"\begin{align}")[1:]
    assert len(displays) > 2 and text.count(r"\sbpcolumns") == 1
    for display in displays:
        assert display.count(r"\sbpleft") == 1 and display.count(r"\sbpbeside") == 1


def test_signs_stand_under_each_other_on_the_page(tex, tmp_path) -> None:
    """TeX is asked where the sign of each display stands."""
    document = sb.derive(sb.load("2-3-2")).document(forms=("index", "matrix"))
    text = document.to_latex().split(r"\sbpheading{Matrix form}")[1]
    marked = text.replace("&=", r"&\pdfsavepos\write\places{\the\pdflastxpos}=")
    (tmp_path / "symbackprop.sty").write_text(document.style(), "ascii")
    source = (
        r"\documentclass[11pt]{article}\usepackage[textwidth=14.5cm]{geometry}"
        r"\usepackage{symbackprop}\newwrite\places\begin{document}"
        r"\immediate\openout\places=places.txt \begingroup\allowdisplaybreaks[3] "
    )
    marked = re.sub(r"\\sbpsee\{[^}]*\}\{[^}]*\}", r"\\sbpreason{index form (0)}", marked)
    (tmp_path / "main.tex").write_text(source + marked + r"\end{document}", "ascii")
    command = [tex, "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    places = [int(line) for line in (tmp_path / "places.txt").read_text().split()]
    assert len(places) > 20
    assert max(places) - min(places) < 2 * 65536  # two points: widths are those of TeX, not estimates


def test_a_step_has_its_number_where_others_have_that_of_an_equation() -> None:
    text = section(("graph",), "Back through the graph", "1-1")
    assert [*map(int, re.findall(r"\\tag\{step (\d+)\} \\label", text))] == [*range(1, 10)]
    assert r"\sbpstep" not in text


def test_a_reference_stands_behind_the_reason_of_its_row() -> None:
    text = section(("index", "matrix"), "The output layer")
    (row,) = [line for line in text.splitlines() if r"\label{sbp:2-3-2:delta-2}" in line]
    assert r"\sbpsee{the activation's derivative, cf.}{sbp:2-3-2:delta-2-matrix}" in row and r"\boxed" in row
