"""The web page: what it says, and that nothing in a spec gets out of its place. The browser is next door."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

import symbackprop as sb
from symbackprop.cli import cli
from symbackprop.layout.document import Document
from symbackprop.media import katex
from symbackprop.media.html import page as page_of_derivation
from symbackprop.media.listing import lines_by_label
from symbackprop.notation.notation import notations
from symbackprop.spec.catalogue import FORMS

ROOT = Path(__file__).parent.parent
OTHERS = sorted({path.stem for path in (ROOT / "examples").glob("*.toml")} - {"two-two-two"})
VOID = {"meta", "link", "input", "br", "img", "hr"}


class Page(HTMLParser):
    """A page read tag by tag: its start tags, what was left open, the text outside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> inside {self.open}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.text.append(data)

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        """The attributes of every tag of a kind, those that have these attributes."""
        return [a for t, a in self.tags if t == tag and attributes.items() <= a.items()]

    def classes(self, name: str) -> list[dict[str, str | None]]:
        return [a for _, a in self.tags if name in (a.get("class") or "").split()]


@cache
def derivation_of(name: str) -> sb.NetworkDerivation:
    """An example, or widths."""
    example = ROOT / "examples" / f"{name}.toml"
    return sb.derive(sb.load(example if example.is_file() else name))


@cache
def page_of(name: str) -> str:
    return derivation_of(name).to_html()


def page(document: Document, derivation: sb.NetworkDerivation | None = None) -> str:
    """The page of a document; it is that of the network 1-1 unless another is named."""
    return page_of_derivation(document, derivation or derivation_of("1-1"))


@cache
def titled(title: str) -> str:
    spec = {"name": "t", "title": title, "input": {"size": 1}, "layers": [{"size": 1, "activation": "tanh"}]}
    return sb.derive(sb.from_mapping({**spec, "cost": {"kind": "squared_error"}})).to_html()


def test_every_tag_is_closed_where_it_belongs_and_every_id_is_there_once() -> None:
    read = Page(page_of("two-two-two"))
    assert read.open == []
    ids = [a["id"] for _, a in read.tags if "id" in a]
    assert len(ids) == len(set(ids)) > 60
    targets = {a["href"][1:] for a in read.all("a") if (a["href"] or "").startswith("#")}
    assert targets <= set(ids)
    assert read.all("html")[0]["lang"] == "en" and read.all("meta", charset="utf-8")


def test_every_row_of_the_document_is_a_step_with_its_check() -> None:
    derivation = derivation_of("two-two-two")
    document = derivation.document(forms=("index", "matrix"))
    displays = (
        block for section in document.sections for block in section.blocks if hasattr(block, "chains")
    )
    rows = [row for display in displays for chain in display.chains for row in chain.rows]
    read = Page(derivation.to_html())
    assert len(read.classes("row")) == len(rows) > 50
    assert len([a for a in read.classes("check") if "holds" in (a["class"] or "")]) >= len(rows)
    said = ("largest difference", "a definition")
    assert all(any(words in (a["title"] or "") for words in said) for a in read.classes("check"))
    for reason in {row.reason for row in rows if "$" not in row.reason}:
        assert html.escape(reason) in page_of("two-two-two")


def test_a_row_in_matrix_form_stands_after_its_row_in_index_form() -> None:
    rows = [a["id"] for a in Page(page_of("two-two-two")).classes("row")]
    for label in ("z-1", "delta-1", "delta-2", "dW-1"):
        assert rows[rows.index(label) + 1] == f"{label}-matrix"
    assert rows[rows.index("grad-W-1") + 1] == "grad-W-1-batch" and "z-1-batch" in rows


def test_what_rows_in_matrix_form_need_to_be_told_is_told_before_the_first_of_them() -> None:
    text = html.unescape(page_of("two-two-two"))
    column, batch = text.index("In matrix form the entries"), text.index("For all examples at once")
    assert text.index("Every quantity is for one") < column < text.index('id="z-1-matrix"')
    assert text.count("In matrix form the entries") == 1
    assert batch < text.index('id="grad-W-1-batch"') < text.rindex("For all examples at once")


def test_a_line_of_code_stands_beside_the_equation_that_it_computes() -> None:
    text = page_of("two-two-two")
    row = text[text.index('id="delta-1"') : text.index('id="delta-1-matrix"')]
    code = re.search(r'<code class="line-of-code">(.*?)</code>', row)
    assert code is not None
    plain = html.unescape(re.sub("<[^>]*>", "", code[1]))
    assert plain == "delta1 = (delta2 @ W2) * a1 * (1.0 - a1)"
    assert 'data-sbp="delta2"' in code[1] and 'data-sbp="W2"' in code[1]
    module = derivation_of("two-two-two").code
    whole = re.search(r"<pre[^>]*><code>(.*?)</code></pre>", text, re.S)
    assert whole is not None and html.unescape(re.sub("<[^>]*>", "", whole[1])) == module


@pytest.mark.parametrize("name", ["two-two-two", *(pytest.param(n, marks=pytest.mark.slow) for n in OTHERS)])
def test_every_row_has_its_mark_and_every_line_of_code_its_equation(name: str) -> None:
    rows = re.findall(r'(?s)<li class="row[^>]* id="([^"]*)">(.*?)</li>', page_of(name))
    assert len(rows) > 50 and all('class="check ' in row for _, row in rows)
    with_code = {label for label, row in rows if 'class="line-of-code"' in row}
    module = derivation_of(name).code
    assert lines_by_label(module).keys() <= with_code


@pytest.mark.slow
@pytest.mark.parametrize("notation", list(notations()))
def test_in_every_notation_quantities_are_called_as_in_the_code_and_the_picture(notation: str) -> None:
    derivation = derivation_of("two-two-two")
    document = derivation.document(notation)
    text = page(document, derivation)
    assert 'class="tex"' not in text and "katex-error" not in text
    keys = {a["data-sbp"] or "" for a in Page(text).classes("enclosing")}
    keys -= {key for key in keys if "l" in key.partition("[")[2]}  # of any layer l
    if document.forms == ("argument",):
        return  # a text of its own, which needn't name everything
    named = {"x", "y", "W1", "W2", "z1", "z2", "a1", "a2", "delta1", "delta2", "C_x", "C"}
    assert named <= keys <= named | {"b1", "b2"}


@pytest.mark.slow
@pytest.mark.parametrize("form", sorted(FORMS.keys() - {"index", "matrix", "argument"}))
def test_every_form_can_stand_on_the_page(form: str) -> None:
    derivation = derivation_of("two-two-two")
    read = Page(derivation.to_html(form=form))
    assert read.open == [] and not read.all("code", **{"class": "tex"})
    ids = [a["id"] for _, a in read.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert len(read.classes("row")) > len(Page(page_of("two-two-two")).classes("row")) or form == "swell"


def test_nothing_is_loaded_and_only_the_page_s_own_scripts_may_run() -> None:
    text = page_of("two-two-two")
    read = Page(text)
    assert not read.all("link") and not read.all("img") and not read.all("iframe")
    assert not [a for _, a in read.tags if "src" in a]
    outside = {url for url in re.findall(r"https?://[^\s\"'<)]+", text) if "w3.org" not in url}
    assert not outside
    (policy,) = read.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert (
        "default-src 'none'" in policy["content"]
        and "unsafe-inline" not in policy["content"].split("style-src")[0]
    )


def test_formulas_are_set_with_mathml_and_their_latex_source() -> None:
    if not katex.can_set():
        pytest.skip("quickjs-ng is not installed")
    text = page_of("two-two-two")
    assert "katex-error" not in text and 'class="tex"' not in text
    assert len(re.findall("<math", text)) > 100
    sources = re.findall(r"<annotation[^>]*>(.*?)</annotation>", text)
    assert "a^{1}_{j}" in sources and not [s for s in sources if r"\sbp" in s or r"\html" in s]


def test_without_the_engine_the_page_holds_the_source_and_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(katex, "_engine", lambda: None)
    text = derivation_of("1-1").to_html()
    read = Page(text)
    codes = read.all("code", **{"class": "tex"})
    assert len(codes) > 20 and all(r"\sbp" not in (a["data-tex"] or "") for a in codes)
    assert "a^{1}_{j}" in "".join(read.text)
    assert any("function sbpSet" in part for part in re.findall(r"<script>(.*?)</script>", text, re.S))


def test_the_command_says_which_extra_gives_the_better_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = ["derive", "1-1", "--to", "html", "-o", str(tmp_path)]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 0 and result.stdout.splitlines()[-1].endswith(".html")
    assert not katex.can_set() or result.stderr == ""
    monkeypatch.setattr(katex, "_engine", lambda: None)
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 0 and result.stderr.count("symbackprop[html]") == 1


def palettes() -> dict[str, dict[str, str]]:
    """The colours of the page by name, for each colour scheme."""
    style = (ROOT / "templates" / "page.css").read_text("utf-8")
    blocks = re.findall(r"(:root[^{]*)\{([^}]*--paper:[^}]*)\}", style)
    found = {
        head.split("{")[-1].strip(): dict(re.findall(r"--([\w-]+): (#\w+)", body)) for head, body in blocks
    }
    light = found[":root"]
    return {head: {**light, **colours} for head, colours in found.items()}


def contrast(one: str, other: str) -> float:
    """How much one colour stands out from another, as WCAG has it."""
    lights = []
    for colour in (one, other):
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
        lights.append(0.2126 * red + 0.7152 * green + 0.0722 * blue)
    return (max(lights) + 0.05) / (min(lights) + 0.05)


TEXTS = (
    "ink",
    "soft",
    "accent",
    "good",
    "bad",
    "second",
    "lit-ink",
    "code-key",
    "code-num",
    "code-str",
    "code-com",
)
GROUNDS = ("paper", "shade", "matrix", "bad-shade")


@pytest.mark.parametrize("scheme", palettes())
def test_every_colour_of_text_can_be_read_on_every_ground(scheme: str) -> None:
    colours = palettes()[scheme]
    pairs = [(text, ground) for text in TEXTS for ground in GROUNDS]
    pairs += [("ink", "lit"), ("lit-ink", "lit"), ("on-accent", "accent")]
    if scheme.count("data-theme") > 1:  # on paper nothing is lit
        pairs = [pair for pair in pairs if "lit-ink" not in pair and "on-accent" not in pair]
    poor = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in pairs}
    assert {pair: value for pair, value in poor.items() if value < 4.5} == {}
    lines = [(line, ground) for line in ("faint", "box", "second") for ground in ("paper", "shade")]
    assert all(contrast(colours[line], colours[ground]) >= 3 for line, ground in lines)


@pytest.mark.slow
@pytest.mark.parametrize(
    "title",
    [
        "</title><script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        '"><svg onload=alert(1)>',
        "$</code><script>alert(1)</script>$ and \\$",
        "&lt;b&gt; & {{ 7*7 }} {% raw %} <!-- -->",
    ],
)
def test_a_title_is_text_and_nothing_else(title: str) -> None:
    text = titled(title)
    read = Page(text)
    assert read.open == []
    risky = ("script", "img", "svg", "iframe", "object", "a")
    assert [t for t, _ in read.tags if t in risky] == [t for t, _ in Page(titled("-")).tags if t in risky]
    assert not [name for _, attributes in read.tags for name in attributes if name.startswith("on")]
    assert title in "".join(read.text)


def test_a_failed_check_is_marked_in_its_row_and_at_the_top() -> None:
    derivation = derivation_of("1-1")
    document = derivation.document()
    findings = document.certificate.findings
    compared = sum(finding.method != "definition" for finding in findings)
    wrong = tuple(replace(f, holds=False) if f.label == "delta-1" else f for f in findings)
    shown = Page(
        page(replace(document, certificate=replace(document.certificate, findings=wrong)), derivation)
    )
    assert [a for a in shown.classes("wrong") if (a["id"] or "").startswith("delta-1")]
    assert "not confirmed by its check" in "".join(shown.text)
    assert f" of {compared} equalities" in "".join(shown.text)
