"""Words are data: every language says everything, mistakes are all named, and no word is anywhere else."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner

import symbackprop as sb
from symbackprop.cli import cli
from symbackprop.errors import SpecError, SymbackpropError
from symbackprop.layout.document import Paragraph
from symbackprop.layout.manner import Manner
from symbackprop.media.files import Order, article_sources, slide_files
from symbackprop.notation.notation import load_notation
from symbackprop.notation.style_package import style_package
from symbackprop.notation.words import (
    TABLES,
    languages,
    load_words,
    placeholders,
    shipped_languages,
    words_from,
)
from symbackprop.pictures.picture_files import pictures_of

ENGLISH = tomllib.loads(files("symbackprop").joinpath("data", "words", "en.toml").read_text("utf-8"))
ROOT = Path(__file__).parent.parent


def with_changes(**changes: object) -> dict[str, object]:
    """The English tables with some keys changed: ``reason={"chain_rule": "Kette"}``."""
    found = {name: dict(table) if isinstance(table, dict) else table for name, table in ENGLISH.items()}
    for name, value in changes.items():
        found[name] = {**found[name], **value} if isinstance(value, dict) else value
    return found


def problems(data: dict[str, object]) -> list[str]:
    with pytest.raises(SpecError) as refused:
        words_from(data, "mine.toml")
    return [str(problem) for problem in refused.value.problems]


# --- the files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("language", shipped_languages())
def test_every_language_says_all_that_english_says(language: str) -> None:
    words = load_words(language)
    assert words.language and languages()[language] == words.description
    for table in (words.reasons, words.headings, words.texts, words.page, words.pictures):
        assert all(table.values())


@pytest.mark.parametrize("language", [name for name in shipped_languages() if name != "en"])
def test_a_language_is_another_one_and_leaves_no_gap_out(language: str) -> None:
    """Most sentences differ from the English ones, and those with gaps fill the same gaps."""
    own = tomllib.loads(files("symbackprop").joinpath("data", "words", f"{language}.toml").read_text("utf-8"))
    pairs = [(ENGLISH[t][key], own[t][key]) for t in TABLES for key in ENGLISH[t]]
    assert sum(english == text for english, text in pairs) < len(pairs) / 10
    assert [text for english, text in pairs if placeholders(text) != placeholders(english)] == []


def test_formulas_of_a_sentence_use_macros_and_letters_that_are_filled_in() -> None:
    """y = mx + c, the small example of a graph, is the only formula with letters of its own."""
    for language in shipped_languages():
        for key, sentence in load_words(language).texts.items():
            formulas = re.findall(r"\$(.*?)\$", re.sub(r"\{\w+\}", "", sentence))
            own = [f for f in formulas if re.search("[A-Za-z]", re.sub(r"\\[A-Za-z]+", "", f))]
            assert not own or key == "graph_line", (language, key, own)


# --- mistakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"reason": {"chain_rul": "x"}}, "reason.chain_rul: 'x': the key chain_rul is not known here;"),
        ({"reason": {"chain_rule": 7}}, "this is text in quotes; in English it is 'chain rule'"),
        ({"text": {"sizes": "Es ist {size}."}}, "{size} in this sentence; did you mean sizes?: there"),
        ({"text": {"cost": "Kosten {C}"}}, "text.cost: 'Kosten {C}': there is no {C} in this sentence:"),
        ({"text": {"sizes": "{sizes.__class__}"}}, "there is no {sizes.__class__} in this sentence"),
        ({"text": {"sizes": "{sizes:>99999999}"}}, "there is no {sizes:>99999999} in this sentence"),
        ({"text": {"sizes": "Es ist {sizes"}}, "a brace is open"),
        ({"texts": {}}, "the key texts is not known here; did you mean text?"),
        ({"page": "all"}, "page: 'all': a table [page] with the keys of en.toml"),
        ({"language": 4}, 'language: 4: the language as a tag for web pages, such as language = "fr"'),
        ({"like": "fr"}, "like: 'fr': this is the name of a language, one of de, en"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused(changes: dict[str, object], complaint: str) -> None:
    if "texts" in changes or "page" in changes:
        data = {**ENGLISH, **changes}
    else:
        data = with_changes(**changes)
    (found,) = problems(data)
    assert complaint in found


def test_every_mistake_is_reported_at_once_and_says_what_english_has() -> None:
    data = with_changes(heading={"headin": "x"}, text={"cost": "{x}"})
    del data["reason"]["definition"], data["picture"], data["language"]
    found = problems(data)
    assert [line.split(":")[0] for line in found] == [
        "reason.definition",
        "heading.headin",
        "text.cost",
        "language",
        "picture",
    ]
    assert "reason.definition: this is missing; in English it is 'by definition'" in found


def test_a_file_may_be_like_a_language_but_for_its_own_words(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('like = "de"\nlanguage = "de-AT"\n[reason]\nchain_rule = "Kette"\n')
    words = load_words(str(file))
    assert (words.language, words.reason("chain_rule")) == ("de-AT", "Kette")
    assert words.reason("put_in") == load_words("de").reason("put_in")


def test_a_language_that_is_not_there_is_named() -> None:
    with pytest.raises(
        SymbackpropError, match=r"there is no language 'fr': choose one of de, en, or a .toml"
    ):
        load_words("fr")
    with pytest.raises(SpecError, match="there is no such file; a language is a TOML file or one of de, en"):
        load_words("fr.toml")


# --- a derivation in another language ----------------------------------------------------------


@cache
def derivation(name: str) -> sb.NetworkDerivation:
    """An example without what its spec says in words."""
    return sb.derive(replace(sb.load(str(ROOT / "examples" / f"{name}.toml")), remarks=(), title=None))


def test_a_derivation_in_german() -> None:
    document = derivation("two-two-two").document(forms=("index",), language="de")
    text = document.to_latex()
    assert r"\sbpheading{Die verdeckten Schichten}" in text and r"\sbpreason{Kettenregel}" in text
    assert r"\providecommand{\sbpotherwise}{\text{sonst}}" in document.style()
    assert document.style().isascii() and text.isascii()
    html = derivation("two-two-two").to_html(form="index", language="de")
    assert '<html lang="de">' in html and "Die verdeckten Schichten" in html


def test_the_words_of_a_notation_s_own_file_stay(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    text = 'description = "mine"\nlike = "nielsen"\n[macros]\nsbpif = "\\\\text{wenn }"\n'
    file.write_text(text)
    style = derivation("two-two-two").document(str(file), ("index",), language="de").style()
    assert r"\providecommand{\sbpif}{\text{wenn }}" in style and r"\sbpotherwise}{\text{sonst}}" in style


def test_the_words_of_a_language_change_nothing_else() -> None:
    documents = [derivation("two-two-two").document(language=language) for language in ("en", "de")]
    english, german = ({f.equality for f in document.certificate.findings} for document in documents)
    assert english == german
    assert documents[0].to_latex().count("&=") == documents[1].to_latex().count("&=")


# --- no word is anywhere but in the file -------------------------------------------------------


def shouted(sentence: str) -> str:
    """The sentence with its words, and not its formulas and gaps, replaced."""
    parts = re.split(r"(\$.*?\$|\{\{|\}\}|\{\w+\})", sentence)
    return "".join(part if n % 2 else re.sub(r"[A-Za-z]+", "QQ", part) for n, part in enumerate(parts))


@cache
def shouting() -> str:
    """A language in which every word is QQ, as a file."""
    import json
    import tempfile

    lines = ['language = "x-shouting"', 'description = "every word is QQ"']
    for name in TABLES:
        lines.append(f"[{name}]")
        lines += [f"{key} = {json.dumps(shouted(text))}" for key, text in ENGLISH[name].items()]
    with tempfile.NamedTemporaryFile("w", suffix=".toml", delete=False) as file:
        file.write("\n".join(lines))
    return file.name


FORMS = [
    ("two-two-two", ("index", "matrix", "general", "components", "worked", "swell")),
    ("computation-graph", ("graph",)),
    ("any-depth", ("general", "matrix")),
    ("mlp-784-128-64-10", ("index", "matrix")),
]


def words_of_tex(text: str) -> set[str]:
    """Words outside mathematics, but for the commands of LaTeX and their settings."""
    text = re.sub(r"(?m)^%.*\n", "", text)
    text = re.sub(r"\\(?:begin|end|label)\{[^}]*\}(?:\{[lr]+\})?", "", text)
    text = re.sub(r"\\(?:addto|set)length\{[^}]*\}\{[^}]*\}|\\allowdisplaybreaks\[3\]", "", text)
    reasons = re.findall(r"\\sbp(?:reason|heading|step)\{(.*)\}", text)
    prose = [line for line in text.splitlines() if not line.startswith("  ")]
    outside = re.sub(r"\$.*?\$", " ", "\n".join([*reasons, *prose]))
    return set(re.findall(r"[A-Za-z]{2,}", re.sub(r"\\[A-Za-z]+", " ", outside)))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "forms"), FORMS)
def test_every_word_of_a_fragment_is_one_of_the_file(name: str, forms: tuple[str, ...]) -> None:
    document = derivation(name).document(forms=forms, language=shouting())
    assert words_of_tex(document.to_latex()) == {"QQ"}


def test_a_word_that_is_not_in_the_file_would_be_noticed() -> None:
    text = "\\sbpheading{The QQ}\n\nQQ $x_{mm}$.\n  a &= b && \\sbpreason{why} \\\\\n"
    assert words_of_tex(text) == {"The", "QQ", "why"}


def test_every_word_of_the_package_is_one_of_the_file() -> None:
    style = style_package(derivation("two-two-two").document(language=shouting()).notation)
    texts = re.findall(r"\\text\{([^#]*?)\}", style)
    words = re.findall("[A-Za-z]{2,}", re.sub(r"\\[a-z]+", "", " ".join(texts)))
    assert len(texts) >= 3 and set(words) == {"QQ"}


SPOKEN = ("title", "aria-label", "alt", "data-words", "data-text")


class Visible(HTMLParser):
    """What a reader of a page is told: text, and attributes that are spoken or shown."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, bool]] = []
        self.said: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        hidden = tag in ("style", "script", "code", "math", "svg") or given.get("class") in ("katex", "label")
        hidden = hidden or any(was for _, was in self.open)
        if not hidden:
            self.said += [given.get(key) or "" for key in SPOKEN]
        if tag not in ("meta", "link", "input", "br", "img"):
            self.open.append((tag, hidden))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element of a picture that holds nothing."""

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not any(hidden for _, hidden in self.open):
            self.said.append(data)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "forms"), FORMS)
def test_every_word_of_a_page_is_one_of_the_file(name: str, forms: tuple[str, ...]) -> None:
    derived = derivation(name)
    document = derived.document(forms=derived.page_forms(forms), language=shouting())
    reader = Visible()
    reader.feed(derived.to_html(form=forms, language=shouting()))
    labels = {finding.label for finding in document.certificate.findings}
    about = [document.title, name, document.fingerprint, document.notation.name, "symbackprop"]
    own = set(re.findall("[A-Za-z]{2,}", " ".join([*labels, *about])))
    said = set(re.findall("[A-Za-z]{2,}", re.sub(r"\{\w+\}", "", " ".join(reader.said))))
    assert "QQ" in said and said - own - {"QQ"} == set()


def test_every_word_of_a_picture_is_one_of_the_file() -> None:
    told = " ".join(ENGLISH["picture"].values()).lower()
    for picture in pictures_of(derivation("two-two-two"), words=load_words(shouting())).values():
        shown = re.sub(r"(?s)<style>.*?</style>|<[^>]*>", " ", picture.to_svg())
        assert "QQ" in shown
        assert not set(re.findall("[a-z]{4,}", shown.lower())) & set(re.findall("[a-z]{4,}", told))


# --- the command -------------------------------------------------------------------------------


def test_the_command_writes_another_language(tmp_path: Path) -> None:
    options = ["-o", str(tmp_path), "--language", "de", "--form", "index"]
    result = CliRunner().invoke(cli, ["derive", "2-1", *options])
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Die Ausgabeschicht" in (tmp_path / "2-1" / "2-1.tex").read_text()


def test_the_command_refuses_a_wrong_language_and_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('like = "en"\n[reason]\nchain = "x"\n[text]\nsizes = "{y}"\n')
    for language, lines in (("german", 1), (str(file), 2)):
        result = CliRunner().invoke(
            cli, ["derive", "2-1", "-o", str(tmp_path / "out"), "--language", language]
        )
        assert result.exit_code == 2 and result.stdout == "" and len(result.stderr.splitlines()) == lines
        assert "Traceback" not in result.stderr and not (tmp_path / "out").exists()


def test_languages_are_listed() -> None:
    result = CliRunner().invoke(cli, ["list", "languages"])
    assert result.stdout == "de  German\nen  English\n"


@pytest.mark.parametrize(("language", "name"), [("en", "english"), ("de", "ngerman")])
def test_article_and_slides_are_hyphenated_in_the_language(language: str, name: str) -> None:
    """Where TeX has its patterns; where it hasn't, the line does nothing."""
    order = Order(sb.derive(sb.load("1-1")), Manner(language=language))
    line = rf"\@ifundefined{{l@{name}}}{{}}{{\language\csname l@{name}\endcsname}}"
    assert line in article_sources(order)["article.tex"]
    assert line in str(slide_files(order)["1-1-slides.tex"])


def test_a_language_of_tex_has_a_plain_name(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        'like = "en"\nlanguage = "x"\ndescription = "x"\nhyphenation = "a}\\\\input{b"\n', "utf-8"
    )
    with pytest.raises(SpecError, match=r"hyphenation.*the name that TeX has"):
        load_words(str(tmp_path / "own.toml"))


# --- words of a notation ---------------------------------------------------------------------------


def test_a_notation_has_its_own_words_outside_formulas_and_gaps() -> None:
    words = load_words().with_own({"unit": "neuron", "units": "neurons", "cost": "loss"})
    assert words.texts["counted_from_zero"] == "The neurons of a layer are counted from $0$."
    assert words.headings["cost"] == "The loss"
    for key, sentence in load_words().texts.items():
        assert placeholders(words.texts[key]) == placeholders(sentence)
        assert re.findall(r"\$[^$]*\$", words.texts[key]) == re.findall(r"\$[^$]*\$", sentence)
    assert load_words().with_own({}) is load_words()


def test_captions_and_sentences_speak_as_the_notation_does() -> None:
    derivation = sb.derive(sb.load("2-2-1"))
    brilliant = derivation.document("brilliant", ("index",))
    told = " ".join(b.text for s in brilliant.sections for b in s.blocks if isinstance(b, Paragraph))
    assert "A node of a hidden layer acts on the error function" in told and " unit" not in told
    caption = derivation.pictures("layers")["network"].drawing.caption
    assert "In a neuron stand" in caption and "unit" not in caption
    assert "unit" in derivation.pictures()["network"].drawing.caption


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ('[words]\nen = "neuron"', "words.en"),
        ('[words.en]\nunit = "$x$"', "words.en.unit"),
        ("[words.en]\nunit = 3", "words.en.unit"),
        ('[words.en]\nUnit = "node"', "words.en.Unit"),
    ],
)
def test_words_of_a_notation_that_are_none_are_refused(table: str, place: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f'description = "mine"\nlike = "nielsen"\n{table}\n', "utf-8")
    with pytest.raises(SpecError, match=r"unit = .neuron.|table of a language") as refused:
        load_notation(str(file))
    assert place in str(refused.value)
