"""A remark of a spec stands behind its line, and one that has no place is not dropped in silence."""

from __future__ import annotations

import pytest

import symbackprop as sb
from symbackprop.errors import SymbackpropError


def remarked(at: str) -> sb.Network:
    return sb.from_mapping(
        {
            "name": "remarked",
            "input": {"size": 2},
            "layers": [{"size": 2, "activation": "tanh"}, {"size": 1, "activation": "sigmoid"}],
            "cost": {"kind": "squared_error"},
            "remarks": [{"at": at, "text": "Look at this."}],
        }
    )


@pytest.mark.parametrize(
    ("at", "forms", "where"),
    [
        ("delta-1", ("matrix",), "the form index"),
        ("delta-1-matrix", ("index",), "the form matrix"),
        ("worked-cost", ("index",), "the form worked"),
        ("J8", ("index",), "the argument of the notation jagtap"),
    ],
)
def test_a_remark_that_has_no_place_is_said_to_have_none(at, forms, where):
    document = sb.derive(remarked(at)).document(forms=forms)
    (note,) = document.notes
    assert f"remark at {at} " in note and note.endswith(f"is in {where}")
    latex = document.to_latex()
    assert "Look at this" not in latex and f"% Note: {note}." in latex.split(r"\begingroup")[0]


def test_a_label_from_outside_stays_in_its_comment():
    """It is free text: a line of its own would be LaTeX."""
    latex = sb.derive(remarked("worked-\n\\input{/etc/passwd} \u00fc")).document(forms=("matrix",)).to_latex()
    assert all(line.startswith("%") for line in latex.splitlines() if "passwd" in line)
    assert latex.isascii() and "passwd" in latex


def test_a_remark_that_is_printed_leaves_nothing_to_say():
    document = sb.derive(remarked("delta-1")).document(forms=("index",))
    assert document.notes == () and "Look at this." in document.to_latex()


def test_a_remark_at_a_label_that_no_form_has_is_refused_with_the_one_that_was_meant():
    with pytest.raises(SymbackpropError, match="at = 'delta-9': no line has this label; did you mean"):
        sb.derive(remarked("delta-9")).document()
