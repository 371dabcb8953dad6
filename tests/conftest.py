"""What every test file shares: the option that rewrites the generated gallery, and patience."""

from __future__ import annotations

import os

import pytest
from outside import program

from symbackprop.progress import PATIENCE

os.environ.setdefault(PATIENCE, "3600")  # what a command says doesn't depend on how busy the machine is


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite the generated files in output/")


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    """Whether generated files are to be rewritten and not compared."""
    return bool(request.config.getoption("--update"))


@pytest.fixture(scope="session")
def tex() -> str:
    return program("pdflatex", "texlive-latex-extra lmodern")


@pytest.fixture(scope="session")
def pandoc() -> str:
    return program("pandoc", "pandoc")
