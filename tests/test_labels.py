"""Labels where a capital letter is read as a small one: no file and no anchor takes another's place."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from symbackprop.cli import cli
from symbackprop.layout.document import Document, chains
from symbackprop.media.labels import in_any_case
from symbackprop.media.markdown import markdown
from symbackprop.pipeline import derive
from symbackprop.spec.loading import load

ANY_DEPTH = Path(__file__).parents[1] / "examples" / "any-depth.toml"


@cache
def document() -> Document:
    """The example with both of its forms."""
    return derive(load(ANY_DEPTH)).document(forms=["general", "matrix"])


@given(st.lists(st.text("aAlL2-", min_size=1)))
def test_every_label_has_a_name_unlike_the_others_in_small_letters(labels: list[str]) -> None:
    names = in_any_case(labels)
    assert names.keys() == set(labels)
    assert len({name.lower() for name in names.values()}) == len(names)


def test_labels_that_nobody_confuses_keep_their_names() -> None:
    labels = ["z-1", "dC-da2", "delta-1", "grad-W-1-batch"]
    assert in_any_case(labels) == {label: label for label in labels}


def test_myst_gets_an_anchor_for_layer_l_and_one_for_layer_L() -> None:
    text = markdown(document(), "md-myst")
    anchors = re.findall(r"^\$\$ \((.+)\)$", text, re.MULTILINE)
    assert len(anchors) > 20 and len({anchor.lower() for anchor in anchors}) == len(anchors)
    asked = re.findall(r"\{eq\}`(.+?)`", text)
    assert asked and set(asked) <= set(anchors)
    assert {"{#eq:any-depth-a-l}", "{#eq:any-depth-a-L}"} <= {*re.findall(r"{#eq:.*?}", markdown(document()))}


@pytest.mark.parametrize(
    ("flavour", "pattern"),
    [("md", r"\{#(.*?)\}"), ("md-quarto", r"\{#(.*?)\}"), ("md-myst", r"\$\$ \((.+)\)")],
)
def test_labels_in_markdown_are_identifiers(flavour: str, pattern: str) -> None:
    names = re.findall(pattern, markdown(document(), flavour))
    assert len(names) == len(set(names)) == len([c for c in chains(document().sections) if c.label])
    assert [name for name in names if re.fullmatch(r"[\w:-]+", name) is None] == []


def test_files_for_layer_l_and_layer_L_stand_side_by_side_on_every_file_system(tmp_path: Path) -> None:
    wanted = [part for label in ("delta-l", "delta-L") for part in ("--only", label)]
    options = ["--form", "general", "--to", "standalone", *wanted, "-o", str(tmp_path)]
    CliRunner().invoke(cli, ["derive", str(ANY_DEPTH), *options])
    names = [file.name for file in (tmp_path / "any-depth").glob("*-standalone.tex")]
    assert sorted(names) == ["any-depth-delta-l-standalone.tex", "any-depth-delta-last-standalone.tex"]
