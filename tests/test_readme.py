"""The README: its commands and its Python run in an empty folder, and what it quotes is in the gallery."""

from __future__ import annotations

import doctest
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
GALLERY = ROOT / "output" / "two-two-two"
DOCS = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str, text: str) -> list[str]:
    """The code blocks of a language."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text)


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, but for the spec that the README shows."""
    monkeypatch.chdir(tmp_path)
    (spec,) = blocks("toml", README.read_text("utf-8"))
    Path(f"{tomllib.loads(spec)['name']}.toml").write_text(spec, "utf-8")
    return tmp_path


def commands() -> list[list[str]]:
    lines = "".join(blocks("sh", README.read_text("utf-8"))).splitlines()
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.slow
def test_every_command_runs(empty: Path) -> None:
    python = {"python": [sys.executable], "symbackprop": [sys.executable, "-m", "symbackprop"]}
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    ran = 0
    for program, *arguments in commands():
        if program == "make":
            continue
        done = subprocess.run(
            [*python[program], *arguments], env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 and done.stdout, (program, arguments, done.stderr)
        ran += 1
    assert ran > 6
    assert sorted(path.name for path in Path("output/xor").iterdir() if path.is_file()) == sorted(
        ["xor.tex", "symbackprop.sty", "xor_gradients.py", "xor.certificate.json"]
    )


def test_the_two_commands_are_in_the_makefile() -> None:
    targets = re.findall(r"(?m)^(\w+):", (ROOT / "Makefile").read_text("utf-8"))
    made = [arguments for program, *arguments in commands() if program == "make"]
    assert made == [["demo"], ["test"]] and {"demo", "test"} <= set(targets)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_line_of_python_gives_what_is_shown(path: Path, empty: Path) -> None:
    source = "\n".join(blocks("python", path.read_text("utf-8")))
    test = doctest.DocTestParser().get_doctest(source, {}, path.name, str(path), 0)
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append)
    assert not report, "".join(report)
    assert path != README or len(test.examples) > 10


def excerpts() -> dict[str, str]:
    """What the README quotes, by language."""
    tex = (GALLERY / "two-two-two.tex").read_text("ascii")
    code = (GALLERY / "two_two_two_gradients.py").read_text("utf-8")
    displays = re.findall(r"(?ms)^\\begin\{align\}\n.*?^\\end\{align\}\n", tex)
    (display,) = (text for text in displays if r"\label{sbp:two-two-two:delta-1}" in text)
    (lines,) = re.findall(r"(?ms)^    # forward: .*?^    \}\n", code)
    certificate = json.loads((GALLERY / "two-two-two.certificate.json").read_text("utf-8"))
    *_, entry = (e for e in certificate["equalities"] if e["label"].startswith("delta-1, step"))
    written = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in entry.items())
    return {"latex": display, "py": re.sub("(?m)^    ", "", lines), "json": f"{{\n{written}\n}}\n"}


@pytest.mark.parametrize("language", ["latex", "py", "json"])
def test_what_is_quoted_is_in_the_gallery(language: str, update: bool) -> None:
    text, quoted = README.read_text("utf-8"), excerpts()[language]
    if update:
        text = re.sub(rf"(?ms)^```{language}\n.*?^```$", lambda _: f"```{language}\n{quoted}```", text)
        README.write_text(text, "utf-8")
    assert blocks(language, text) == [quoted], "run pytest tests/test_readme.py --update"


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", path.read_text("utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_pictures_are_small() -> None:
    pictures = list((ROOT / "docs" / "pictures").glob("*.png"))
    assert pictures and all(picture.stat().st_size < 150_000 for picture in pictures)


def test_the_numbers_of_activations_and_costs_are_right() -> None:
    from symbackprop.spec.catalogue import ACTIVATIONS, COSTS

    text = README.read_text("utf-8")
    assert f"the {len(ACTIVATIONS)} of `symbackprop list activations`" in text
    assert f"the {len(COSTS)} of `symbackprop list costs`" in text


# --- tables of the documentation that are made from the program ------------------------------------


def notation_keys() -> str:
    """Every table and key of a notation file with what is right there."""
    from symbackprop.notation.model import TABLES, NotationTable

    plain = [("", key, field) for key, field in NotationTable.entries.items() if key not in TABLES]
    tables = [(f"`[{name}]`", key, f) for name, model in TABLES.items() for key, f in model.entries.items()]
    rows = [f"| {table} | `{key}` | {field.description} |" for table, key, field in (*plain, *tables)]
    return "\n".join(["| table | key | what is right there |", "|---|---|---|", *rows])


def macros() -> str:
    """The macros of the package, with their arguments and what they print in nielsen."""
    from symbackprop.notation.notation import load_notation

    rows = [f"| `\\{m.name}` | {m.arguments or ''} | `{m.definition}` |" for m in load_notation().macros]
    return "\n".join(["| macro | arguments | in `nielsen` |", "|---|---|---|", *rows])


def samples() -> str:
    """z and delta of any hidden layer in every notation."""
    from symbackprop.notation.notation import load_notation, shipped
    from symbackprop.printing.measure import expanded

    derivation = _any_depth()
    rows = []
    for name in shipped():
        document = derivation.document(name, ("general",))
        blocks = [block for section in document.sections for block in section.blocks]
        chains = {chain.label: chain for block in blocks for chain in getattr(block, "chains", ())}
        shown = (f"{c.left} = {' '.join(c.rows[-1].lines)}" for c in (chains["z-l"], chains["delta-l"]))
        z, delta = (expanded(text, load_notation(name)) for text in shown)
        rows.append(f"| `{name}` | ${z}$ | ${delta}$ |")
    return "\n".join(["| notation | pre-activation | error of a hidden layer |", "|---|---|---|", *rows])


def _any_depth():
    import symbackprop as sb

    layers = [{"size": size, "activation": {"symbol": "g"}} for size in ("n_l", "n_L")]
    spec = {"name": "net", "depth": "L", "input": {"size": "n_0"}, "layers": layers}
    return sb.derive(sb.from_mapping({**spec, "cost": {"kind": "squared_error"}}))


def template_keys() -> str:
    """Every template with the keys that it is given."""
    from symbackprop.rendering.own_templates import environment, needed_keys, templates_in
    from symbackprop.rendering.render import template_folder

    folder = template_folder()
    env = environment(folder, None)
    rows = [
        f"| `{name}` | {' '.join(f'`{key}`' for key in sorted(needed_keys(env, name)))} |"
        for name in templates_in(folder)
    ]
    return "\n".join(["| template | keys |", "|---|---|", *rows])


TABLES_OF = {
    ("notations.md", "keys"): notation_keys,
    ("notations.md", "macros"): macros,
    ("notations.md", "samples"): samples,
    ("templates.md", "keys"): template_keys,
}


@pytest.mark.parametrize(("file", "name"), TABLES_OF)
def test_a_table_quoted_in_the_docs_is_what_the_program_says(file: str, name: str, update: bool) -> None:
    path, made = ROOT / "docs" / file, TABLES_OF[file, name]()
    text = path.read_text("utf-8")
    marked = rf"(?s)(<!-- made: {name} -->\n)(?:(?!<!-- ).)*?(\n<!-- end -->)"
    if update:
        text = re.sub(marked, lambda found: found[1] + made + found[2], text)
        path.write_text(text, "utf-8")
    found = re.search(marked, text)
    assert found and found[0].split("\n", 1)[1].removesuffix("\n<!-- end -->") == made, (
        "run pytest tests/test_readme.py --update"
    )


def test_the_example_of_a_template_of_one_s_own_works(empty: Path) -> None:
    """docs/templates.md: the files that it shows are written, and its command is run."""
    from click.testing import CliRunner

    from symbackprop.cli import cli

    text = (ROOT / "docs" / "templates.md").read_text("utf-8")
    for name, source in re.findall(r"(?ms)^`([\w./-]+)`:\n\n```\w*\n(.*?)^```$", text):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(source, "utf-8")
    (command,) = [line for line in "".join(blocks("sh", text)).splitlines() if "--templates" in line]
    result = CliRunner().invoke(cli, shlex.split(command, comments=True)[1:])
    assert (result.exit_code, result.stderr) == (0, "")
    made = Path("output/xor/xor.tex").read_text("ascii")
    assert made.startswith("% Machine Learning 1, winter term\n") and r"\sbpheading{The network}" in made
