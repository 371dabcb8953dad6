"""The structure of the package: a folder is a stage, so is the pipeline, and imports go one way."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "symbackprop"
ANYWHERE = {"errors", "network", "progress", "version"}
"""Modules that every stage may use, and that use none."""


def stages() -> list[str]:
    """The stages in the order in which the documentation lists them."""
    table = (ROOT / "docs" / "pipeline.md").read_text(encoding="utf-8").split("| stage |")[1]
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


def modules() -> list[Path]:
    """Every module of a stage, and those that every stage may use."""
    inside = [path for path in PACKAGE.rglob("*.py") if path.parent.name in stages()]
    return sorted((*inside, *(PACKAGE / f"{name}.py" for name in ("pipeline", *ANYWHERE))))


def imported(path: Path) -> Iterator[str]:
    """The modules of ours that a module imports when it is imported itself, without the package's name."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "symbackprop":
            rest = (node.module or "").partition(".")[2]
            yield from ([rest] if rest else [alias.name for alias in node.names])


def place(module: str) -> int:
    """Where a module stands: 0 for what every stage may use, else the number of its stage."""
    first = module.partition(".")[0]
    return 0 if first in ANYWHERE else stages().index(first) + 1


def test_every_folder_of_code_is_a_stage():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert sorted((*folders, "pipeline")) == sorted(stages())


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_imports_from_stages_before_its_own(path):
    own = place(".".join(path.relative_to(PACKAGE).with_suffix("").parts))
    later = [name for name in imported(path) if place(name) > own]
    assert not later


def test_no_module_imports_in_a_circle():
    arrows = {name(path): set(imported(path)) for path in modules()}
    while free := {module for module, before in arrows.items() if not before & arrows.keys()}:
        arrows = {module: before for module, before in arrows.items() if module not in free}
    assert not arrows, f"in a circle: {', '.join(sorted(arrows))}"


def name(path: Path) -> str:
    """The dotted name of a module, without the package's."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
