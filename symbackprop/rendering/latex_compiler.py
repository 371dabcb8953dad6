"""Runs pdflatex in a folder of its own, and says in a sentence what went wrong."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from symbackprop.errors import MissingProgram, SymbackpropError

_INSTALL = (
    "so there is no PDF; everything else is written. On Debian and Ubuntu: "
    "apt-get install -y --no-install-recommends texlive-latex-extra lmodern; "
    "on macOS: brew install --cask mactex-no-gui"
)

HOW_TO_GET_TEX = f"pdflatex is not installed, {_INSTALL}"


def compiled(sources: Mapping[str, str], main: str, passes: int = 2) -> bytes:
    """The PDF of the file ``main`` among some files of LaTeX, by their names.

    Raises:
        MissingProgram: if there is no pdflatex, or it lacks a package.
        SymbackpropError: if it stops at an error, with the line that it prints.
    """
    if shutil.which("pdflatex") is None:
        raise MissingProgram(HOW_TO_GET_TEX)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, text in sources.items():
            (folder / name).write_text(text, "ascii")
        for _ in range(passes):
            _run(folder, main)
        return (folder / main).with_suffix(".pdf").read_bytes()


def _run(folder: Path, main: str) -> None:
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", main]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        lines = done.stdout.decode("latin-1", "replace").splitlines()
        first = next((line for line in lines if line.startswith("!")), "no reason given")
        lacks = re.search(r"File `([^']+)' not found", first)
        if lacks:
            raise MissingProgram(f"TeX has no {lacks[1]}, {_INSTALL}")
        raise SymbackpropError(f"pdflatex stopped: {first}")
