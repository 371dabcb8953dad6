"""Templates: each is given the keys that it needs, a user's own stand in for ours, mistakes are sentences."""

from __future__ import annotations

import importlib
import pkgutil
import re
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import symbackprop as sb
from symbackprop.cli import cli
from symbackprop.code.program_code import program_source
from symbackprop.errors import SpecError
from symbackprop.media.gallery import Entry, index_page
from symbackprop.pictures.picture_files import pictures_of
from symbackprop.rendering import own_templates as looked_through
from symbackprop.rendering import render
from symbackprop.rendering.latex_compiler import compiled
from symbackprop.rendering.own_templates import environment, given_keys, needed_keys, templates_in
from symbackprop.rendering.render import fill, own_templates, template_folder
from symbackprop.spec.catalogue import FORMATS, TARGETS

ROOT = Path(__file__).parent.parent
OURS = template_folder()
ENVIRONMENT = environment(OURS, None)
ALL = templates_in(OURS)


FROM_A_POOL = {"array_api.py.jinja", "jax.py.jinja", "numba.py.jinja", "torch.py.jinja"}
"""The templates of targets are all given the same keys, and each takes what it needs."""


@cache
def derivation(spec: str = "2-1") -> sb.NetworkDerivation:
    return sb.derive(sb.load(spec))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Writes a folder of templates, and gives its name."""
    monkeypatch.chdir(tmp_path)

    def written(**texts: str) -> str:
        for name, text in texts.items():
            file = Path("mine", name.replace("__", ".").replace("_DASH_", "-"))
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, "utf-8")
        return "mine"

    return written


def command(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


# --- the keys ----------------------------------------------------------------------------------


@cache
def filled() -> dict[str, list[frozenset[str]]]:
    """The keys that each template was given, each time, while everything was made that there is."""
    given: dict[str, list[frozenset[str]]] = {}
    real = render.fill

    def noting(template: str, keys: dict[str, object]) -> str:
        given.setdefault(template, []).append(frozenset(keys))
        return real(template, keys)

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.chdir(folder)
        replace_everywhere(patch, "fill", render.fill, noting)
        replace_everywhere(patch, "compiled", compiled, lambda *_: b"%PDF")
        make_everything()
    return given


def replace_everywhere(patch: pytest.MonkeyPatch, name: str, old: object, new: object) -> None:
    """Replace a function in every module that has it under its own name."""
    for found in pkgutil.walk_packages(sb.__path__, "symbackprop."):
        if not found.name.endswith("__main__"):
            module = importlib.import_module(found.name)
            if getattr(module, name, None) is old:
                patch.setattr(module, name, new)


def make_everything() -> None:
    """Every format and every target, any depth, the code of a program, and the index of the gallery."""
    formats = [part for name in FORMATS for part in ("--to", name)]
    forms = [part for name in ("index", "matrix", "swell") for part in ("--form", name)]
    general = str(ROOT / "examples" / "any-depth.toml")
    made = [
        command("derive", "2-1", *formats, *forms, "--only", "delta-1"),
        command("derive", general),
        command("derive", "2-1", "--update", "adam", "--to", "ipynb"),
        *(command("export", "2-1", "--target", target) for target in TARGETS),
        *(command("export", general, "--target", target) for target in TARGETS),
        command("export", "2-1", "--update", "adam"),
        *(command("export", "2-1", "--code", code) for code in ("scalar", "arrays")),
    ]
    assert [result.exit_code for result in made] == [0] * len(made), [result.stderr for result in made]
    program = sb.forward_model(sb.load("2-1")).program
    assert program_source(program, sb.reverse(program))
    assert index_page([Entry("a", "A", "Small.", ("a/a.html",))])
    for picture in pictures_of(derivation()).values():
        assert picture.to_svg() and picture.to_standalone()


def test_everything_that_is_there_is_filled() -> None:
    included = {name for t in ALL for name in looked_through._all_included(ENVIRONMENT, t)}
    assert set(ALL) == {*filled(), *included}


@pytest.mark.parametrize("template", ALL)
def test_a_template_needs_the_keys_that_it_is_given(template: str) -> None:
    for given in filled().get(template, []):
        needed = needed_keys(ENVIRONMENT, template)
        assert needed <= given if template in FROM_A_POOL else needed == given


def test_a_part_of_a_template_is_given_the_keys_of_the_whole() -> None:
    assert given_keys(ENVIRONMENT, ALL, "picture.css.jinja") == needed_keys(ENVIRONMENT, "picture.svg.jinja")


# --- what a user's own templates do ------------------------------------------------------------


def test_a_template_stands_in_for_ours(own: Callable[..., str]) -> None:
    folder = own(fragment__tex__jinja="% mine\n{{ title }}: {{ sections | length }}\n")
    result = command("derive", "2-1", "--templates", folder, "-o", "out", "--form", "index")
    assert (result.exit_code, result.stderr) == (0, "")
    assert re.fullmatch(r"% mine\nThe network 2-1: \d\n", Path("out/2-1/2-1.tex").read_text())
    assert "providecommand" in Path("out/2-1/symbackprop.sty").read_text()


def test_a_template_may_read_ours_and_have_parts_of_its_own(own: Callable[..., str]) -> None:
    text = 'before\n{% include "symbackprop/fragment.tex.jinja" %}\n{% include "signature.tex" %}\n'
    with own_templates(own(fragment__tex__jinja=text, signature__tex="{{ name }} and {{ generator }}\n")):
        made = derivation().to_latex()
    plain = derivation().to_latex()
    assert made.startswith("before\n" + plain) and made.endswith("\n2-1 and symbackprop 0.1.0\n")
    assert derivation().to_latex() == plain


def test_code_and_parts_of_it_can_be_changed(own: Callable[..., str]) -> None:
    folder = own(tail__py__jinja='{% include "symbackprop/tail.py.jinja" %}\n\n\nCOURSE = "ML 1"\n')
    result = command("export", "2-1", "--templates", folder)
    assert result.exit_code == 0 and '\nCOURSE = "ML 1"\n' in result.stdout
    compile(result.stdout, "module", "exec")


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ sections.append(1) }}",
        "{% for n in range(10 ** 9) %}{% endfor %}",
        "{{ fragment.__init__.__globals__ }}",
        '{% include "../../../../etc/passwd" %}',
    ],
)
def test_a_template_does_no_harm(text: str, own: Callable[..., str]) -> None:
    result = command("derive", "2-1", "--templates", own(fragment__tex__jinja=text), "--form", "index")
    assert result.exit_code == 2 and result.stdout == "" and not Path("output").exists()
    assert result.stderr.startswith("mine: fragment.tex.jinja: line 1: ")
    assert len(result.stderr.splitlines()) == 1


# --- mistakes ----------------------------------------------------------------------------------

SECTIONS = "{% for section in sections %}\n{{ section.headin }}\n{% endfor %}\n"


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        (
            "fragment__tex__jinja",
            "\n{{ titel }}",
            "line 2: titel: there is no such key; did you mean title? there are fingerprint, forms,",
        ),
        (
            "fragment__tex__jinja",
            SECTIONS,
            "line 2: headin: there is no such key; did you mean heading? there are blocks, heading",
        ),
        (
            "symbackprop__sty__jinja",
            "{% for macro in notation.macros %}\n{{ macro.nam }}\n{% endfor %}",
            "line 2: nam: there is no such key; did you mean name? there are arguments, definition, name",
        ),
        (
            "fragment__tex__jinja",
            "a\n{% if title %}",
            "fragment.tex.jinja: line 2: Unexpected end of template",
        ),
        ("fragment__tex__jinja", "{{ title | upcase }}", "line 1: No filter named 'upcase'"),
        ("fragment__tex__jinja", "{{ 1 / 0 }}", "fragment.tex.jinja: line 1: division by zero"),
        ("fragment__tex__jinja", '{% include "frag.tex" %}', "line 1: 'frag.tex': there is no such template"),
        (
            "fragmnt__tex__jinja",
            "",
            "fragmnt.tex.jinja: there is no template of this name to replace; did you mean fragment",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(
    file: str, text: str, complaint: str, own: Callable[..., str]
) -> None:
    folder = own(**{file: text})
    result = command("derive", "2-1", "--templates", folder, "-o", "out", "--form", "index")
    assert result.exit_code == 2 and result.stdout == "" and not Path("out").exists()
    assert len(result.stderr.splitlines()) == 1 and "Traceback" not in result.stderr
    assert result.stderr.startswith("mine: ") and complaint in result.stderr


def test_every_mistake_that_can_be_seen_is_reported_at_once(own: Callable[..., str]) -> None:
    folder = own(fragment__tex__jinja="{{ a }}\n{{ b }}", page__css="{% x %}", artikel__tex__jinja="")
    with pytest.raises(SpecError) as refused, own_templates(folder):
        pass
    places = [problem.where for problem in refused.value.problems]
    assert places == [
        "artikel.tex.jinja",
        "fragment.tex.jinja: line 1",
        "fragment.tex.jinja: line 2",
        "page.css: line 1",
    ]


def test_a_folder_with_nothing_in_it_or_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    for name, complaint in (
        ("file", "this is no folder"),
        ("none", "there is no such folder"),
        ("empty", "nothing in it replaces a template: there are any_depth.py.jinja, "),
    ):
        with pytest.raises(SpecError, match=complaint), own_templates(tmp_path / name):
            pass


def test_what_is_not_text_is_refused(own: Callable[..., str]) -> None:
    folder = own(page__css="")
    Path(folder, "page.css").write_bytes(b"\xff\xfe\x00")
    with (
        pytest.raises(SpecError, match=r"page\.css: this can't be read as text in UTF-8"),
        own_templates(folder),
    ):
        pass


def test_a_mistake_of_our_own_is_not_called_the_user_s(own: Callable[..., str]) -> None:
    with own_templates(own(page__css="{# mine #}")), pytest.raises(looked_through.MissingKey):
        fill("fragment.tex.jinja", {})
