"""How displays are set on paper: what shares one, where a page may end, what is told twice."""

from __future__ import annotations

import symbackprop as sb
from symbackprop.layout.document import Chain, Display, Paragraph, Row
from symbackprop.layout.manner import Manner
from symbackprop.layout.paper import fits_in_one, line_ends, side_by_side
from symbackprop.media.files import Order, article_sources
from symbackprop.notation.notation import load_notation
from symbackprop.spec.loading import from_widths


def chain(*rows: str, boxed: bool = False, reason: str = "") -> Chain:
    return Chain("z", tuple(Row((row,), reason=reason, boxed=boxed) for row in rows))


def ends(*groups: tuple[Chain, ...]) -> list[str]:
    return [*line_ends([[(each, len(each.rows)) for each in chains] for chains in groups])]


def test_a_short_derivation_is_not_cut():
    assert ends((chain(*"abcd"),)) == [r"\\*"] * 3


def test_a_long_derivation_is_cut_inside_only():
    found = ends((chain(*"abcdefg"),))
    assert found[0] == found[-1] == r"\\*" and set(found[1:-1]) == {r"\\"}


def test_a_page_may_end_between_two_derivations_and_they_stand_apart():
    after_a, between, after_c = ends((chain("a", "b"), chain("c", "d")))
    assert after_a == after_c == r"\\*"
    assert between == r"\displaybreak[0] \\[8pt]"


def test_single_lines_stand_close_and_boxes_a_little_apart():
    assert ends((chain("a"), chain("b"))) == [r"\displaybreak[0] \\"]
    assert ends((chain("a", boxed=True), chain("b", boxed=True))) == [r"\displaybreak[0] \\[2pt]"]
    assert ends((chain("a"),), (chain("b"),)) == [r"\displaybreak[0] \\[8pt]"]


def test_displays_share_one_only_where_their_columns_fit_side_by_side():
    notation = load_notation()
    wide, explained = chain("x" * 50, reason="so"), chain("x", reason="a reason that takes most of a line")
    assert fits_in_one([wide], notation) and fits_in_one([explained], notation)
    assert not fits_in_one([wide, explained], notation)
    assert side_by_side([[wide], [explained], [explained]], notation) == [
        [[wide]],
        [[explained], [explained]],
    ]


def document(spec="2-2-2-2", **keys):
    return sb.derive(sb.load(spec)).document(**keys)


def test_displays_without_words_between_them_are_one_on_paper_and_several_in_the_document():
    made = document(forms=["index"])
    (hidden,) = (s for s in made.sections if s.heading == "The hidden layers")
    assert sum(isinstance(block, Display) for block in hidden.blocks) > 1
    text = made.to_latex().split("The hidden layers")[1].split(r"\sbpheading")[0]
    assert text.count(r"\begin{align}") == 1


def test_a_derivation_that_only_repeats_another_is_given_by_its_result():
    spec = {
        "name": "digits",
        "input": {"size": 4},
        "layers": [{"size": 3, "activation": "relu"}] * 2 + [{"size": 2, "activation": "softmax"}],
        "cost": {"kind": "cross_entropy"},
    }
    chains = {
        each.label: each
        for section in sb.derive(sb.from_mapping(spec)).document(forms=["index"]).sections
        for block in section.blocks
        if isinstance(block, Display)
        for each in block.chains
    }
    assert len(chains["delta-2"].rows) > 4
    (row,) = chains["delta-1"].rows
    assert row.reason == "as for layer $2$" and row.boxed
    assert "dC-da2" in chains and "dC-da1" not in chains


def test_what_is_averaged_over_a_batch_is_not_boxed_again():
    made = document("2-2", forms=["index", "matrix"])
    rows = [
        row
        for s in made.sections
        for b in s.blocks
        if isinstance(b, Display)
        for c in b.chains
        for row in c.rows
    ]
    of_batch = [row for row in rows if row.equality is not None and row.equality.kind == "batch"]
    assert of_batch and not any(row.boxed for row in of_batch) and any(row.result for row in of_batch)
    assert any(row.boxed for row in rows)


def test_the_sentence_about_brackets_stands_where_there_are_some():
    sentence = "A condition in brackets"
    full = [b.text for s in document("2-2").sections for b in s.blocks if isinstance(b, Paragraph)]
    assert sum(sentence in text for text in full) == 1
    brief = document("2-2", detail="brief", forms=["index"]).to_latex()
    assert r"\sbpbracket" not in brief and sentence not in brief


def test_the_matrices_of_a_batch_are_introduced():
    text = document("2-2", forms=["matrix"]).to_latex()
    for matrix in (
        r"$\sbpinputmat$",
        r"$\sbptargetmat$",
        r"$\sbpactmat{\sbpanylayer}$",
        r"$\sbpdeltamat{\sbpanylayer}$",
        r"$\sbpones$",
    ):
        assert text.index(matrix) < text.index("z-1-batch")
    bare = {
        "name": "bare",
        "input": {"size": 2},
        "layers": [{"size": 1, "activation": "tanh", "bias": False}],
    }
    spec = {**bare, "cost": {"kind": "squared_error"}}
    without = sb.derive(sb.from_mapping(spec)).document(forms=["matrix"]).to_latex()
    assert r"\sbpones" not in without


def test_the_transpose_of_a_letter_alone_has_no_parentheses():
    text = document("2-2", forms=["matrix"]).to_latex()
    assert r"\sbpdeltavec{1} \sbptransposeplain{\sbpinputvec}" in text
    assert r"\sbptranspose{\sbpweightmat{2}}" in document("2-2-2", forms=["matrix"]).to_latex()


def test_a_picture_stands_in_the_section_that_is_about_it_and_says_what_it_shows():
    order = Order(sb.derive(sb.load("1-1")), Manner(forms=("graph",)))
    sources = article_sources(order)
    article, fragment = sources["article.tex"], sources["fragment.tex"]
    assert article.count(r"\begin{tikzpicture}") == fragment.count(r"\begin{tikzpicture}") == 1
    assert "below a unit stands its error, $\\sbpdeltaletter$" in article
    before, after = fragment.split(r"\begin{tikzpicture}")
    assert before.rindex("The computation graph") > before.rindex("A small computation graph")
    assert "Above the line" in after and "Back through the graph" in after
    assert "tikz" not in order.document.to_latex()


def test_an_exponential_is_put_in_before_it_is_cancelled():
    text = document("2-2", forms=["index"]).to_latex()
    solved = r"\frac{1 - \sbpfnsigma(\sbppactletter)}{"
    assert solved in text and text.index("solved for the exponential") < text.index("multiply out, cancel")
    derivation = sb.derive(from_widths("2-2-2", hidden="tanh"))
    assert "exponential eliminated" in derivation.document(forms=["index"]).to_latex()


def test_a_step_that_changes_nothing_in_print_lends_no_other_its_reason():
    """The targets' fact is what ends the softmax, whatever was rearranged without a trace before."""
    spec = {
        "name": "soft",
        "input": {"size": 2},
        "layers": [{"size": 2, "activation": "softmax"}],
        "cost": {"kind": "cross_entropy"},
        "facts": {"targets_sum_to_one": True},
    }
    derivation = sb.derive(sb.from_mapping(spec))
    for notation in ("nielsen", "goodfellow", "bishop"):
        made = derivation.document(notation, forms=["index"])
        found = [c for s in made.sections for b in s.blocks if isinstance(b, Display) for c in b.chains]
        (delta,) = (each for each in found if each.label == "delta-1")
        assert delta.rows[-1].reason == "targets sum to one" and delta.rows[-1].boxed
