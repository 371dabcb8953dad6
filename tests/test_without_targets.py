"""With the test tools alone, as ``make test`` installs them, tests of the targets are skipped: none fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
OF_TARGETS = (
    "targets",
    "targets_random",
    "kernels",
    "updates",
    "any_depth_targets",
    "own_formulas",
    "generated_style",
)
ABOUT_TARGETS = (
    *("target", "library", "numba", "compiled", "jax", "torch", "there_too", "asked_for"),
    *("every_example", "random", "moons"),
)
"""What stands in the names of their tests; the others in these files are about NumPy's module alone."""


@pytest.mark.slow
def test_a_machine_without_the_libraries_of_the_targets_passes_their_tests_over() -> None:
    paths = map(str, (TESTS.parent, TESTS))
    env = {name: value for name, value in os.environ.items() if name != "CI"}
    env["PYTHONPATH"] = os.pathsep.join((*paths, env.get("PYTHONPATH", "")))
    files = (str(TESTS / f"test_{name}.py") for name in OF_TARGETS)
    options = ("-p", "without_targets", "-p", "no:cacheprovider", "-rs", "-k", " or ".join(ABOUT_TARGETS))
    command = (sys.executable, "-m", "pytest", *options, *files)
    done = subprocess.run(command, env=env, cwd=TESTS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "torch is not installed: pip install 'symbackprop[targets]'" in done.stdout
