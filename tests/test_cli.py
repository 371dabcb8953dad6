"""The command line: what is printed where, exit statuses, and that no input gives a traceback."""

from __future__ import annotations

import ast
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sympy as sp
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symbackprop import pipeline
from symbackprop.cli import LISTS, cli, main
from symbackprop.rendering.storage import write

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
SPEC = (EXAMPLES / "two-two-two.toml").read_text("utf-8")
SOFTMAX = str(EXAMPLES / "mlp-784-128-64-10.toml")
FILES = ["two-two-two.tex", "symbackprop.sty", "two_two_two_gradients.py", "two-two-two.certificate.json"]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def process(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "symbackprop", *map(str, arguments)]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    env = os.environ | {"PYTHONPATH": paths} | environment
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def spec_with(old: str = "", new: str = "", path: str = "spec.toml") -> str:
    """The 2-2-2 spec with one piece of text replaced, as a file."""
    assert old in SPEC
    Path(path).write_text(SPEC.replace(old, new, 1) if old else SPEC, "utf-8")
    return path


def everything_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def assert_refused(result: Result, *words: str, lines: int = 1) -> None:
    """Exit status 2, one line for each mistake on stderr, nothing on stdout, and no traceback."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == lines, result.stderr
    assert all(word in result.stderr for word in words), result.stderr
    assert "Traceback" not in result.stderr


# --- what goes right ---------------------------------------------------------------------------


def test_derive_writes_four_files_and_prints_their_paths(tmp_path: Path) -> None:
    result = run("derive", EXAMPLES / "two-two-two.toml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [f"output/two-two-two/{file}" for file in FILES]
    assert everything_in(tmp_path) == {f"output/two-two-two/{file}" for file in FILES}
    assert json.loads(Path("output/two-two-two/two-two-two.certificate.json").read_text())["holds"] is True


def test_derive_goes_where_it_is_told_and_twice_gives_the_same() -> None:
    first = run("derive", "2-1", "-o", "here/deep")
    assert [str(Path(path).parent) for path in first.stdout.splitlines()] == ["here/deep/2-1"] * 4
    bytes_of = {path: Path(path).read_bytes() for path in first.stdout.splitlines()}
    assert run("derive", "2-1", "-o", "here/deep").exit_code == 0
    assert {path: Path(path).read_bytes() for path in bytes_of} == bytes_of


@pytest.mark.slow
@pytest.mark.parametrize("route", ["chain", "composite"])
def test_both_routes_end_in_the_same_code(route: str) -> None:
    run("export", spec_with(), "-o", "chain.py")
    assert run("derive", spec_with(), "--route", route).exit_code == 0
    written = Path("output/two-two-two/two_two_two_gradients.py").read_text()
    assert written == Path("chain.py").read_text()


@pytest.mark.parametrize(
    "form", ["index", *(pytest.param(f, marks=pytest.mark.slow) for f in ("matrix", "components", "general"))]
)
def test_every_form(form: str) -> None:
    result = run("derive", spec_with(), "--form", form)
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"forms: {form}." in Path("output/two-two-two/two-two-two.tex").read_text()


@pytest.mark.slow
def test_several_forms_and_the_input() -> None:
    assert run("derive", spec_with(), "--form", "index", "--form", "components", "--wrt", "x").exit_code == 0
    assert "forms: index, components." in Path("output/two-two-two/two-two-two.tex").read_text()
    assert '"x": ' in Path("output/two-two-two/two_two_two_gradients.py").read_text()


def test_widths_and_their_options() -> None:
    options = ("--hidden", "tanh", "--output-activation", "softmax", "--cost", "cross_entropy")
    result = run("export", "2-3-2", *options, "-o", "code.py")
    assert (result.exit_code, result.stderr) == (0, "")
    code = Path("code.py").read_text()
    assert "np.tanh" in code and "_softmax" in code


def test_export_to_stdout_and_to_a_file() -> None:
    result = run("export", "2-1")
    assert (result.exit_code, result.stderr) == (0, "")
    assert {"forward", "cost", "cost_and_gradients", "make_gradients"} <= functions_of(result.stdout)
    assert run("export", "2-1", "--target", "numpy", "-o", "made/code.py").stdout == "made/code.py\n"
    assert Path("made/code.py").read_text() == result.stdout


def functions_of(code: str) -> set[str]:
    return {node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)}


def test_compare_as_a_table_and_as_json() -> None:
    table = run("compare", spec_with())
    assert (table.exit_code, table.stderr) == (0, "")
    assert {"W1", "b1", "W2", "b2"} <= {line.split()[0] for line in table.stdout.splitlines()}
    report = json.loads(run("compare", spec_with(), "--json").stdout)
    assert report["agrees"] is True and set(report["gradients"]) == {"W1", "b1", "W2", "b2"}
    assert run("compare", "2-1", "--seed", "1", "--json").stdout != run("compare", "2-1", "--json").stdout


@pytest.mark.parametrize("what", LISTS)
def test_list(what: str) -> None:
    result = run("list", what)
    assert (result.exit_code, result.stderr) == (0, "")
    names = [line.split()[0] for line in result.stdout.splitlines()]
    expected = {"activations": "gelu_tanh", "costs": "huber", "layers": "dense", "notations": "nielsen"}
    expected |= {
        "forms": "matrix",
        "formats": "slides",
        "targets": "numpy",
        "languages": "de",
        "updates": "adam",
    }
    assert expected[what] in names
    assert all(len(line.split()) > 1 for line in result.stdout.splitlines())


@pytest.mark.parametrize(
    "arguments", [("--help",), ("derive", "--help"), ("--version",), *(("list", w) for w in LISTS)]
)
def test_help_and_lists_need_no_sympy(arguments: tuple[str, ...]) -> None:
    code = (
        "import sys\nfrom symbackprop.cli import cli\n"
        f"try:\n    cli({list(arguments)!r})\nexcept SystemExit as end:\n    assert not end.code\n"
        "print('sympy' in sys.modules, file=sys.stderr)"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stderr.strip() == "False" and done.stdout


def test_the_command_in_a_process_of_its_own() -> None:
    done = process("derive", "2-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(Path(line).is_file() for line in done.stdout.splitlines())
    refused = process("derive", "nowhere.toml")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_reader_that_leaves_early_gets_no_traceback() -> None:
    command = f"{sys.executable} -m symbackprop export 2-1 | head -n 1"
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, env=env)
    assert "Traceback" not in done.stderr and done.stdout.startswith('"""')


# --- what is wrong with a spec -----------------------------------------------------------------

SIZE = ("size = 2", "a size is")
BAD_TEXT = {
    "size 0": ("size = 2", "size = 0", "input.size: 0: a size is a whole number from 1"),
    "a negative size": ("size = 2", "size = -3", "input.size: -3: a size is"),
    "a float for a size": ("size = 2", "size = 2.5", "input.size: 2.5: a size is"),
    "a flag for a size": ("size = 2", "size = true", "input.size: True: a size is"),
    "a size as text": ("size = 2", 'size = "2"', "write a number without quotes"),
    "nan in values": (
        "[[0.05, 0.1]]",
        "[[nan, 0.1]]",
        "values.x[0][0]: nan: an entry of x is a finite number",
    ),
    "inf in values": ("[0.35, 0.35]", "[0.35, inf]", "values.b1[1]: inf"),
    "a wrong shape": ("[[0.05, 0.1]]", "[[0.05, 0.1, 3]]", "x has shape (N, 2), and this has shape (1, 3)"),
    "ragged rows": ("[[0.15, 0.2], [0.25, 0.3]]", "[[0.15], [0.25, 0.3]]", "different lengths: 1, 2"),
    "a wrong number of rows": ("[0.6, 0.6]", "[0.6]", "values.b2: [0.6]: b2 has shape (2,)"),
    "an unknown key": ("scale =", "scael =", "the key scael is not known here; did you mean scale?"),
    "an unknown table": ("[values]", "[valuse]", "did you mean values?"),
    "an unknown activation": ('"sigmoid"', '"sigmiod"', "layers[0].activation (layer 1): 'sigmiod'"),
    "an unknown cost": ('"squared_error"', '"squard_error"', "did you mean squared_error?"),
    "a cost that does not fit": ('"squared_error"', '"hinge_loss"', "no cost of this name is known"),
    "a bad factor": ('"1/2"', '"1/0"', "cost.scale: '1/0'"),
    "a name for a folder elsewhere": ('"two-two-two"', '"../up"', "name: '../up': a name has letters"),
    "a name with a quote": ('"two-two-two"', '\'a"""b\'', "a name has letters, digits"),
    "a title of two lines": ('"A 2-2-2 network"', '"one\\ntwo"', "a title is one line"),
    "a title with a control character": ('"A 2-2-2 network"', '"one\\u0007"', "a title is one line"),
    "an input that is no table": ("[input]\nsize = 2", "input = 2", "input: 2: a table [input]"),
    "TOML that does not parse": ("[input]", "[input", "this is not TOML"),
    "a learning rate of 0": (
        "learning_rate = 0.5",
        "learning_rate = 0",
        "the learning rate is a number above 0",
    ),
}


@pytest.mark.parametrize(("old", "new", "words"), BAD_TEXT.values(), ids=BAD_TEXT.keys())
@pytest.mark.parametrize("command", ["derive", "export", "compare"])
def test_refuses_a_wrong_spec(command: str, old: str, new: str, words: str, tmp_path: Path) -> None:
    assert_refused(run(command, spec_with(old, new)), "spec.toml: ", words)
    assert everything_in(tmp_path) == {"spec.toml"}


def test_refuses_a_cost_that_the_outputs_do_not_fit() -> None:
    Path("spec.toml").write_text(SPEC.replace("sigmoid", "tanh").replace("squared_error", "cross_entropy"))
    assert_refused(run("derive", "spec.toml"), "cost.kind: 'cross_entropy'", "use sigmoid or softmax")


def test_says_everything_that_is_wrong_at_once_in_the_order_of_the_file() -> None:
    text = SPEC.replace("size = 2", "size = 0", 1).replace("sigmoid", "sigmiod").replace("squared", "squard")
    Path("spec.toml").write_text(text)
    result = run("derive", "spec.toml")
    assert_refused(result, lines=4)
    places = [line.split(": ")[1] for line in result.stderr.splitlines()]
    assert places == [
        "input.size",
        "layers[0].activation (layer 1)",
        "layers[1].activation (layer 2)",
        "cost.kind",
    ]


FORMULAS = {
    "__import__('os').system('touch owned')": "a dot after a name can't stand here",
    "z.__class__.__mro__": "a dot after a name",
    "().__class__": "formula",
    "lambda z: z": "a lambda can't stand here",
    "exec('touch owned')": "formula",
    "eval(z)": "the function eval is not known here",
    "open(z)": "the function open is not known here",
    "exp": "formula",
    "q + z": "the name q is not known here",
    "z[0]": "formula",
    "[z for z in z]": "formula",
    "{z}": "formula",
    "'z'": "a string can't stand here",
    "f'{z}'": "a string can't stand here",
    "z := 1": "formula",
    "z; z": "formula",
    "z if z else 1": "formula",
    "z and z": "formula",
    "not z": "formula",
    "z @ z": "formula",
    "z // 2": "formula",
    "~z": "formula",
    "1j * z": "formula",
    "...": "formula",
    "": "the formula is empty",
    "z +": "formula",
    "1/0": "this divides by 0",
    "log(z)": "an activation has a value for every number",
    "9**9**9**9**9": "an exponent is a number",
    "z**z**z**z**z": "a power has a constant exponent",
    "10**100000000 * z": "an exponent is a number",
    "1e999 * z": "formula",
    "(" * 10_000 + "z" + ")" * 10_000: "a formula has at most 1000 characters",
    "(" * 400 + "z" + ")" * 400: "formula",
    "-" * 900 + "z": "formula",
    "exp(" * 100 + "z" + ")" * 100: "formula",
    "z\0": "formula",
    "ｚ.__ｃlass__": "formula",
    "\u202ez": "formula",
}


IN_COSTS = [formula for formula in FORMULAS if formula != "log(z)"]


@pytest.mark.parametrize(
    "place, formula", [*(("activation", f) for f in FORMULAS), *(("cost", f) for f in IN_COSTS)]
)
def test_a_formula_is_data_and_never_runs(place: str, formula: str, tmp_path: Path) -> None:
    text = json.dumps(formula, ensure_ascii=True)
    if place == "activation":
        spec = spec_with('activation = "sigmoid"', f"activation = {{ formula = {text} }}")
    else:
        spec = spec_with('kind = "squared_error"', f"formula = {text}")
    result = run("derive", spec)
    assert_refused(result, "formula", FORMULAS[formula] if place == "activation" else "cost.formula")
    assert everything_in(tmp_path) == {"spec.toml"}


@pytest.mark.parametrize(
    "factor", ["__import__('os').system('touch owned')", "9**9**9**9", "lambda: 1", "N.real", "[1]"]
)
def test_a_factor_is_data_too(factor: str, tmp_path: Path) -> None:
    assert_refused(run("derive", spec_with('scale = "1/2"', f"scale = {json.dumps(factor)}")), "cost.scale")
    assert everything_in(tmp_path) == {"spec.toml"}


def a_folder() -> str:
    Path("folder.toml").mkdir()
    return "folder.toml"


def a_file(content: bytes) -> Callable[[], str]:
    def made() -> str:
        Path("rubbish.toml").write_bytes(content)
        return "rubbish.toml"

    return made


PLACES = {
    "missing": (lambda: "missing.toml", "there is no such file"),
    "a folder": (a_folder, "this is a directory or a device"),
    "a device": (lambda: "/dev/null", "this is a directory or a device"),
    "binary rubbish": (a_file(bytes(range(256)) * 8), "this is not text in UTF-8"),
    "nothing but zeros": (a_file(b"\0" * 100), "this is not TOML"),
    "empty": (a_file(b""), "this file is empty"),
    "huge": (a_file(b"#" * 1_000_002), "this file is too large"),
    "deep": (a_file(b"a = " + b"[" * 20_000), "rubbish.toml: "),
    "a long number": (a_file(b"a = " + b"9" * 10_000), "rubbish.toml: "),
    "a name with a line break": (lambda: "a\nb.toml", "there is no such file"),
    "widths with a 0": (lambda: "2-0-1", "widths are whole numbers from 1 up"),
    "one width": (lambda: "2", "widths are whole numbers from 1 up"),
    "no widths": (lambda: "-".join("2" * 40), "widths are whole numbers"),
}


@pytest.mark.parametrize(("made", "words"), PLACES.values(), ids=PLACES.keys())
def test_refuses_what_is_no_spec(made: Callable[[], str], words: str, tmp_path: Path) -> None:
    spec = made()
    there = everything_in(tmp_path)
    assert_refused(run("derive", "--", spec), words)
    assert everything_in(tmp_path) == there


OPTIONS = {
    "notation": (("--notation", "nielson"), "did you mean nielsen?"),
    "a path for a notation": (("--notation", "../../etc/passwd"), "there is no notation"),
    "route": (("--route", "chian"), "route: 'chian': there are chain and composite"),
    "format": (("--to", "pfd"), "--to: 'pfd': there are tex, pdf"),
    "form": (("--form", "indx"), "form: 'indx': there are argument, index, matrix, components, general"),
    "wrt": (("--wrt", "q"), "wrt: 'q': there is no such quantity; the parameters are W1"),
    "widths' options": (("--hidden", "relu"), "--hidden: these go with widths such as 2-3-1"),
}


@pytest.mark.parametrize(("options", "words"), OPTIONS.values(), ids=OPTIONS.keys())
def test_refuses_an_option(options: tuple[str, ...], words: str, tmp_path: Path) -> None:
    assert_refused(run("derive", spec_with(), *options), words)
    assert everything_in(tmp_path) == {"spec.toml"}


def test_every_wrong_option_is_told_at_once_and_the_spec_s_mistakes_with_them(tmp_path: Path) -> None:
    wrong = ("--form", "indx", "--notation", "nielson", "--to", "pfd", "--language", "xx", "--digits", "0")
    result = run("derive", "2-3-0", *wrong, "--route", "chian", "--detail", "all", "--update", "sdg")
    assert_refused(result, "--to: 'pfd': there are tex, pdf", lines=9)
    for words in ("2-3-0", "'indx'", "nielsen?", "'xx'", "digits: 0", "'chian'", "'all'", "'sdg'"):
        assert words in result.stderr
    assert everything_in(tmp_path) == set()


def test_refuses_names_that_go_with_widths() -> None:
    result = run("derive", "2-3-1", "--hidden", "rellu", "--cost", "nothing")
    assert_refused(result, "--hidden: 'rellu': this name is not known; did you mean relu?", lines=2)
    assert_refused(run("export", "2-1", "--target", "fortran"), "--target: 'fortran': there are numpy")


WRONG_CALLS = {
    "derive": "derive: SPEC is missing: a TOML file, or widths such as 2-3-1; symbackprop derive --help",
    "derive 2-1 --rout chain": "derive: option: '--rout': there are --cost, --detail, ",
    "derive 2-1 --notaton nielsen": "--wrt, --help; did you mean --notation?",
    "derive 2-1 --colour": "--wrt, --help",
    "derive 2-1 3-1": "derive: Got unexpected extra argument (3-1); symbackprop derive --help says more",
    "derive 2-1 --to": "Option '--to' requires an argument",
    "list": "list: say which list: there are activations, costs, layers, ",
    "list activatons": "list: 'activatons': there are activations, costs, ",
    "list actvations": "updates; did you mean activations?",
    "list costs --all": "list: option: '--all': there is only --help",
    "compare 2-1 --seed x": "compare: Invalid value for '--seed': 'x' is not a valid integer; symbackprop",
    "deriv 2-1": "command: 'deriv': there are derive, export, compare, list; did you mean derive?",
    "help": "command: 'help': there are derive, export, compare, list",
    "2-2-1": "'2-2-1' is a spec, and no command: symbackprop derive 2-2-1",
    "net.toml --to html": "'net.toml' is a spec, and no command: symbackprop derive net.toml",
    "--verison": "option: '--verison': there are --version and --help; did you mean --version?",
}


@pytest.mark.parametrize("line", WRONG_CALLS)
def test_refuses_a_call_that_is_none(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["symbackprop", *line.split()])
    monkeypatch.setattr("symbackprop.cli.gc.set_threshold", lambda *_: None)
    monkeypatch.setattr("symbackprop.cli.atexit.register", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out) == (2, "")
    assert WRONG_CALLS[line] in printed.err and len(printed.err.splitlines()) == 1
    assert everything_in(tmp_path) == set()


def test_the_command_alone_says_how_to_begin() -> None:
    alone = process()
    assert (alone.returncode, alone.stdout) == (2, "")
    assert "symbackprop derive 2-3-1 " in alone.stderr and "Commands:" in alone.stderr


def test_a_full_disk_leaves_everything_as_it_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run("derive", spec_with(), "--form", "matrix")

    def written() -> dict[str, bytes]:
        paths = (Path(path) for path in everything_in(tmp_path) if path.startswith("output/"))
        return {str(path): path.read_bytes() for path in paths if path.is_file()}

    before, real, count = written(), os.replace, iter(range(100))

    def full(*paths: str) -> None:
        if next(count) == 2:
            raise OSError(28, "No space left on device")
        real(*paths)

    with monkeypatch.context() as patched:
        patched.setattr("symbackprop.rendering.storage.os.replace", full)
        result = run("derive", spec_with("0.15", "0.16"), "--form", "index")
    assert_refused(result, "No space left on device; no file was written or changed")
    assert len(before) == 4 and written() == before


@pytest.mark.parametrize(
    ("spec", "form", "reason"),
    [
        (SOFTMAX, "components", "109,386 gradient entries"),
        (str(EXAMPLES / "any-depth.toml"), "index", "the depth is the symbol L: use general or matrix"),
        (str(EXAMPLES / "any-depth.toml"), "components", "the depth is the symbol L"),
        (str(EXAMPLES / "punnen.toml"), "components", "a size is a symbol"),
        ("2-1", "general", "use index or matrix"),
    ],
)
def test_an_absurd_form_is_refused_with_the_reason(spec: str, form: str, reason: str, tmp_path: Path) -> None:
    assert_refused(run("derive", spec, "--form", form), f"form: {form}", reason, "use ")
    assert everything_in(tmp_path) == set()


# --- free text ---------------------------------------------------------------------------------

TITLES = [
    r'\input{/etc/passwd} \write18{touch owned} 100% & _ # $ ^ ~ {} """ + __import__("os") + """ ^^5cend',
    r"\input{/etc/passwd}",
    r"\write18{touch owned} \immediate\openout5=owned",
    "100% of & the _ # $ ^ ~ { }",
    '""" + __import__("os").system("touch owned") + """',
    r"back\slash \" ''' \N{BULLET} \u0041",
    "Schrödinger's ψ, 中文 and \u00a0",
    r"\end{document}",
    "]] \\begingroup ^^5cinput",
]


@pytest.mark.parametrize("title", [TITLES[0], *(pytest.param(t, marks=pytest.mark.slow) for t in TITLES[1:])])
def test_a_title_is_printed_and_never_carried_out(title: str) -> None:
    assert run("derive", spec_with(path="plain.toml"), "-o", "plain").exit_code == 0
    spec = spec_with('"A 2-2-2 network"', json.dumps(title, ensure_ascii=True))
    pdf = ("--to", "pdf") if shutil.which("pdflatex") else ()
    result = run("derive", spec, *pdf)
    assert (result.exit_code, result.stderr) == (0, "")
    assert not Path("owned").exists()
    text, plain = (
        Path(folder, "two-two-two/two-two-two.tex").read_text("ascii") for folder in ("output", "plain")
    )
    assert text.splitlines()[2:] == plain.splitlines()[2:]
    assert not any(command in text.splitlines()[0] for command in (r"\input", r"\write", r"\end", "^^"))
    assert code_of("output") == code_of("plain")


def code_of(folder: str) -> str:
    """The generated module without its docstring."""
    tree = ast.parse(Path(folder, "two-two-two", FILES[2]).read_text("utf-8"))
    return ast.dump(ast.Module(tree.body[1:], []))


# --- what goes wrong while it runs -------------------------------------------------------------


def test_a_check_that_fails_gives_status_1_and_everything_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = pipeline.reverse

    def corrupted(*args: object, **keys: object) -> object:
        """delta1 with its sign turned in the last step."""

        def wrong(adjoint: pipeline.Adjoint) -> pipeline.Adjoint:
            if adjoint.named is None or adjoint.named.name != "delta1" or adjoint.derivation is None:
                return adjoint
            *steps, last = adjoint.derivation.steps
            turned = replace(last, after=sp.Mul(-1, last.after, evaluate=False))
            return replace(adjoint, derivation=replace(adjoint.derivation, steps=(*steps, turned)))

        return tuple(wrong(adjoint) for adjoint in honest(*args, **keys))

    monkeypatch.setattr(pipeline, "reverse", corrupted)
    result = run("derive", spec_with())
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [f"output/two-two-two/{file}" for file in FILES]
    assert len(result.stderr.splitlines()) == 1 and "delta-1" in result.stderr
    certificate = json.loads(Path("output/two-two-two/two-two-two.certificate.json").read_text())
    assert certificate["holds"] is False and certificate["failed"] > 0
    assert r"\sbpfailed" in Path("output/two-two-two/two-two-two.tex").read_text()


def test_a_comparison_that_fails_gives_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = pipeline.fill

    def corrupted(template: str, keys: dict[str, object]) -> str:
        text = honest(template, keys)
        assert "(a2 - y) * a2" in text
        return text.replace("(a2 - y) * a2", "(y - a2) * a2")

    monkeypatch.setattr(pipeline, "fill", corrupted)
    result = run("compare", spec_with(), "--json")
    assert result.exit_code == 1 and json.loads(result.stdout)["agrees"] is False
    assert len(result.stderr.splitlines()) == 1


def test_without_tex_the_rest_is_written_and_the_line_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    result = run("derive", spec_with(), "--to", "pdf")
    assert result.exit_code == 3
    assert len(result.stderr.splitlines()) == 1 and "apt-get install" in result.stderr
    assert result.stdout.splitlines() == [f"output/two-two-two/{file}" for file in FILES]
    assert all(Path(path).is_file() for path in result.stdout.splitlines())


def test_an_interrupted_write_leaves_the_old_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write(Path("file.txt"), "old")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("symbackprop.rendering.storage.os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(Path("file.txt"), "new")
    assert Path("file.txt").read_text() == "old" and everything_in(tmp_path) == {"file.txt"}


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    Path("file").write_text("here already")
    assert_refused(run("derive", spec_with(), "-o", "file"), "file")
    assert_refused(run("export", "2-1", "-o", "file/code.py"), "file")
    Path("folder").mkdir()
    assert_refused(run("export", "2-1", "-o", "folder"), "folder")
    assert everything_in(tmp_path) == {"file", "spec.toml"}


def test_a_mistake_of_the_program_itself_is_a_line_and_a_status_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("no reason")

    monkeypatch.setattr(pipeline, "reverse", broken)
    result = run("derive", "2-1")
    assert result.exit_code not in (0, 1, 2, 3)
    assert "ZeroDivisionError" in result.stderr and "Traceback" not in result.stderr


# --- anything at all ---------------------------------------------------------------------------

PIECES = [
    "[",
    "]",
    "[[",
    '"',
    "'",
    "=",
    "\n",
    "0",
    "-1",
    "1e400",
    "nan",
    "true",
    "{",
    "}",
    "#",
    "\\",
    "\0",
    "é",
    "lambda",
    "n_1",
]


def mutated(seed: int, text: str = SPEC) -> str:
    """The spec with a few lines lost, doubled or swapped and a few characters changed."""
    rng = random.Random(seed)
    for _ in range(rng.randint(1, 3)):
        lines, at = text.split("\n"), rng.randrange(len(text))
        match rng.randrange(5):
            case 0:
                del lines[rng.randrange(len(lines))]
                text = "\n".join(lines)
            case 1:
                lines.insert(rng.randrange(len(lines)), rng.choice(lines))
                text = "\n".join(lines)
            case 2:
                text = text[:at] + rng.choice(PIECES) + text[at:]
            case 3:
                text = text[:at] + text[at + rng.randint(1, 4) :]
            case 4:
                rng.shuffle(lines)
                text = "\n".join(lines)
    return text


def assert_no_traceback(text: str) -> None:
    Path("spec.toml").write_bytes(text.encode("utf-8", "surrogatepass"))
    result = run("export", "spec.toml", "-o", "code.py")
    assert result.exit_code in (0, 2), result.output
    assert result.exit_code == 0 or (result.stderr.strip() and not Path("code.py").exists())
    assert all(line.startswith("spec.toml: ") for line in result.stderr.splitlines()), result.stderr
    Path("code.py").unlink(missing_ok=True)


@pytest.mark.parametrize("start", [0, pytest.param(1000, marks=pytest.mark.slow)])
def test_no_mutation_of_a_spec_gives_a_traceback(start: int) -> None:
    for seed in range(start, start + (40 if start == 0 else 300)):
        assert_no_traceback(mutated(seed))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(max_size=40))
def test_no_text_as_a_formula_gives_a_traceback(text: str) -> None:
    quoted = json.dumps(text, ensure_ascii=True)
    if "\\ud" in quoted:
        return
    assert_no_traceback(SPEC.replace('activation = "sigmoid"', f"activation = {{ formula = {quoted} }}", 1))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.sampled_from(
            [
                "z",
                "2",
                "+",
                "-",
                "*",
                "/",
                "**",
                "(",
                ")",
                "exp(",
                "log(",
                "max(",
                ",",
                "where(",
                ">",
                "0",
                "abs(",
            ]
        ),
        max_size=14,
    )
)
def test_no_near_formula_gives_a_traceback(words: list[str]) -> None:
    quoted = json.dumps("".join(words))
    assert_no_traceback(SPEC.replace('activation = "sigmoid"', f"activation = {{ formula = {quoted} }}", 1))


def test_a_device_is_written_to_and_a_link_stays(tmp_path):
    target, link = tmp_path / "target.py", tmp_path / "link.py"
    target.write_text("old")
    link.symlink_to(target)
    done = CliRunner().invoke(cli, ["export", "2-2", "-o", str(link)])
    assert done.exit_code == 0 and link.is_symlink() and target.read_text().startswith('"""Cost')
    done = CliRunner().invoke(cli, ["export", "2-2", "-o", "/dev/null"])
    assert done.exit_code == 0 and Path("/dev/null").is_char_device()


def test_the_input_is_differentiated_on_the_composite_route_too(tmp_path):
    done = CliRunner().invoke(
        cli, ["derive", "2-3-2", "--route", "composite", "--wrt", "x", "-o", str(tmp_path)]
    )
    assert done.exit_code == 0, done.stderr


def test_a_route_that_is_not_taken_is_named(tmp_path):
    example = str(EXAMPLES / "any-depth.toml")
    done = CliRunner().invoke(cli, ["derive", example, "--route", "composite", "-o", str(tmp_path)])
    assert done.exit_code == 0
    assert (
        "--route composite: the depth is the symbol L" in done.stderr and "by the chain rule" in done.stderr
    )
    told = CliRunner().invoke(cli, ["derive", example, "-o", str(tmp_path)])
    assert "--route" not in told.stderr
