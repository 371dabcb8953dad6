"""Programs and libraries: without one a test is skipped, and fails where CI is meant to have it."""

from __future__ import annotations

import importlib
import os
import shutil
from types import ModuleType

import pytest


def program(name: str, package: str) -> str:
    """The path of a program."""
    found = shutil.which(name)
    if found is None and os.environ.get("CI"):
        pytest.fail(f"CI is set, and there is no {name}: apt-get install {package}")
    if found is None:
        pytest.skip(f"there is no {name}: apt-get install {package}")
    return found


def library(name: str) -> ModuleType:
    """A library of the extra that the targets need."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        if os.environ.get("CI"):
            raise
    pytest.skip(f"{name} is not installed: pip install 'symbackprop[targets]'")
