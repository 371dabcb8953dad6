"""The wheel: everything it needs is in it, and it derives in a clean environment, away from the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


def done(*command: object, folder: Path) -> str:
    """What a command printed; it must succeed. Nothing of the checkout is on its path."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    result = subprocess.run(
        list(map(str, command)), cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the checkout with the tools of the test extra."""
    target = tmp_path_factory.mktemp("wheel")
    done(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", target, ROOT, folder=target)
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a clean environment that has the wheel and what it depends on."""
    home = tmp_path_factory.mktemp("clean")
    venv.create(home)
    found = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = (sys.executable, "-m", "pip", "--python", found, "--quiet", "--disable-pip-version-check")
    done(*pip, "install", wheel, folder=home)
    return found


def test_everything_that_the_checkout_reads_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "symbackprop").rglob("*.py")}
    data = {path.relative_to(ROOT).as_posix() for path in (ROOT / "symbackprop").rglob("*.toml")}
    templates = {
        f"symbackprop/templates/{path.name}" for path in (ROOT / "templates").iterdir() if path.is_file()
    }
    vendored = {path.relative_to(ROOT).as_posix() for path in (ROOT / "symbackprop/vendor").rglob("*.*")}
    assert modules | data | templates | vendored | {"symbackprop/py.typed"} <= names
    assert "symbackprop/vendor/katex/LICENSE" in names and len(vendored) > 20
    assert {"symbackprop/data/notations/nielsen.toml", "symbackprop/data/words/en.toml"} <= data and len(
        templates
    ) > 5
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"symbackprop"}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_it_derives_in_an_empty_folder_and_what_it_made_runs(python: Path, tmp_path: Path) -> None:
    where = done(python, "-c", "import symbackprop; print(symbackprop.__file__)", folder=tmp_path).strip()
    assert Path(where).is_relative_to(python.parent.parent)
    command = python.parent / "symbackprop"
    printed = done(command, "derive", ROOT / "examples" / "two-two-two.toml", folder=tmp_path).splitlines()
    assert len(printed) == 4
    for path in printed:
        assert (tmp_path / path).read_bytes() == (ROOT / path).read_bytes()
    certificate = json.loads(
        (tmp_path / "output/two-two-two/two-two-two.certificate.json").read_text("utf-8")
    )
    assert certificate["holds"] is True
    done(command, "derive", "2-3-1", "--to", "html", folder=tmp_path)
    assert "sbpSet" in (tmp_path / "output/2-3-1/2-3-1.html").read_text("utf-8")
    done(python, "-m", "symbackprop", "export", "2-3-1", "-o", "code.py", folder=tmp_path)
    assert "largest relative difference" in done(python, "code.py", folder=tmp_path)
    assert "agree" in done(python, "-m", "symbackprop", "compare", "2-3-1", folder=tmp_path)
    assert "nielsen" in done(python, "-m", "symbackprop", "list", "notations", folder=tmp_path)
