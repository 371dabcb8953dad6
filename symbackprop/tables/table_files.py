"""TOML files that are data of the package, and files of a user's own that stand in for them."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from symbackprop.errors import Problem, SpecError
from symbackprop.tables.names import one_line

Tables = dict[str, Any]

_LARGEST_FILE = 1_000_000


def shipped_names(folder: str) -> list[str]:
    """The names of the files of a folder of the package.

    >>> shipped_names("words")
    ['de', 'en']
    """
    entries = files("symbackprop").joinpath("data", folder).iterdir()
    return sorted(entry.name[:-5] for entry in entries if entry.name.endswith(".toml"))


def shipped_tables(folder: str, name: str) -> Tables:
    """The tables of a file of the package."""
    return tomllib.loads(files("symbackprop").joinpath("data", folder, f"{name}.toml").read_text("utf-8"))


def own_tables(path: str, what: str, known: Sequence[str]) -> Tables:
    """The tables of a user's file, which is for what the package has under the known names.

    Raises:
        SpecError: where the file can't be read or isn't TOML.
    """
    try:
        with open(os.fspath(path), "rb") as file:
            return tomllib.loads(file.read(_LARGEST_FILE).decode("utf-8-sig"))
    except FileNotFoundError:
        reason = f"there is no such file; {what} is a TOML file or one of {', '.join(known)}"
    except OSError as error:
        reason = f"this file can't be read ({error.strerror})"
    except (ValueError, RecursionError) as error:
        reason = f"this is not TOML: {one_line(str(error))}"
    raise SpecError(one_line(path), [Problem("", None, reason)])
