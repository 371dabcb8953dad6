"""What every test file shares: the option that rewrites the generated gallery."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite the generated files in output/")


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    """Whether generated files are to be rewritten and not compared."""
    return bool(request.config.getoption("--update"))
