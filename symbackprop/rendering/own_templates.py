"""Templates of a user's own: which of ours they stand in for, and every mistake in them as a sentence.

A folder of them is looked through before anything is filled in: files that replace nothing, what is no
template, and keys that a template isn't given. What only shows while a template is filled in, such as
a part that a key doesn't have, is said with its place as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
    TemplateSyntaxError,
    UndefinedError,
    meta,
    nodes,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from symbackprop.errors import Problem, SpecError
from symbackprop.tables.names import did_you_mean, one_line, quoted

OURS = "symbackprop"
"""``{% include "symbackprop/page.html.jinja" %}`` reads our template, in a template that replaces it too."""

_REFERENCES = (nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport)


class MissingKey(UndefinedError):
    """What a template asks for and isn't given: ``of`` is what should have it, or nothing."""

    def __init__(self, of: object, name: object, message: str | None = None) -> None:
        super().__init__(message)
        self.of, self.name = of, name


class _Missing(StrictUndefined):
    """A missing key is an error, which knows the key."""

    __slots__ = ()

    def __init__(
        self,
        hint: str | None = None,
        obj: object = missing,
        name: str | None = None,
        exc: type[Exception] = UndefinedError,
    ) -> None:
        telling = partial(MissingKey, obj, name) if exc is UndefinedError else exc
        super().__init__(hint, obj, name, telling)  # type: ignore[arg-type]


def environment(ours: Path, own: Path | None) -> Environment:
    """What fills templates: those of a user's folder first, then ours; it lets none of them do any harm."""
    folders = [FileSystemLoader(folder) for folder in (own, ours) if folder is not None]
    return ImmutableSandboxedEnvironment(
        loader=ChoiceLoader([*folders, PrefixLoader({OURS: FileSystemLoader(ours)})]),
        undefined=_Missing,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


# --- before anything is filled in ----------------------------------------------------------------


def needed_keys(env: Environment, template: str) -> frozenset[str]:
    """The keys that a template uses, itself or by what it includes."""
    assert env.loader is not None
    tree = env.parse(env.loader.get_source(env, template)[0])
    included = (name for name, _ in _references(tree))
    own = meta.find_undeclared_variables(tree)
    return frozenset(own).union(*(needed_keys(env, name) for name in included))


def templates_in(folder: Path) -> list[str]:
    """The names of the files of a folder, hidden ones left out."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if not any(part.startswith(".") for part in path.parts))


def check_templates(ours: Path, own: Path) -> None:
    """Look through a user's folder of templates.

    Raises:
        SpecError: with every mistake that can be seen before a template is filled in.
    """
    source = shown(own)
    if not own.is_dir():
        reason = "this is no folder" if own.exists() else "there is no such folder"
        raise SpecError(source, [Problem("", None, f"{reason}: --templates takes one with templates in it")])
    found = _Folder(environment(ours, own), ours, own)
    problems = [*found.problems()]
    if problems:
        raise SpecError(source, problems)


@dataclass
class _Folder:
    """A user's folder of templates beside ours."""

    env: Environment
    ours: Path
    own: Path

    def problems(self) -> Iterator[Problem]:
        """What is wrong, file by file."""
        known, files = templates_in(self.ours), templates_in(self.own)
        if not files:
            yield Problem("", None, f"nothing in it replaces a template: there are {', '.join(known)}")
        trees = {file: self.tree(file) for file in files}
        used = {
            name
            for tree in trees.values()
            if isinstance(tree, nodes.Template)
            for name, _ in _references(tree)
        }
        for file, tree in trees.items():
            if file not in {*known, *used}:
                hint = did_you_mean(file, known) or f": there are {', '.join(known)}"
                yield Problem(file, None, f"there is no template of this name to replace{hint}")
            elif isinstance(tree, Problem):
                yield tree
            else:
                yield from self.unknown(file, tree)

    def tree(self, file: str) -> nodes.Template | Problem:
        """A template read in, or why it can't be."""
        try:
            text = (self.own / file).read_text("utf-8")
            self.env.compile(text)
            return self.env.parse(text)
        except TemplateSyntaxError as error:
            return Problem(_place(file, error.lineno), None, one_line(error.message or "this is no template"))
        except (OSError, ValueError) as error:
            return Problem(file, None, f"this can't be read as text in UTF-8: {one_line(str(error))}")

    def unknown(self, file: str, tree: nodes.Template) -> Iterator[Problem]:
        """Keys that a template isn't given, and templates that it includes and that aren't there."""
        there = {*templates_in(self.ours), *templates_in(self.own)}
        there |= {f"{OURS}/{name}" for name in templates_in(self.ours)}
        for name, line in _references(tree):
            if name not in there:
                wanted = f"there is no such template{did_you_mean(name, there)}"
                yield Problem(_place(file, line), quoted(name), wanted)
        if file not in templates_in(self.ours):
            return
        given = given_keys(environment(self.ours, None), templates_in(self.ours), file)
        for name in sorted(meta.find_undeclared_variables(tree) - given):
            line = next(node.lineno for node in tree.find_all(nodes.Name) if node.name == name)
            yield Problem(_place(file, line), name, _no_key(name, given))


def given_keys(env: Environment, templates: Iterable[str], template: str) -> frozenset[str]:
    """The keys that one of our templates is given: those of what includes it are its own as well."""
    keys = needed_keys(env, template)
    return keys.union(
        *(needed_keys(env, other) for other in templates if template in _all_included(env, other))
    )


def _all_included(env: Environment, template: str) -> set[str]:
    assert env.loader is not None
    names = [name for name, _ in _references(env.parse(env.loader.get_source(env, template)[0]))]
    return {*names}.union(*(_all_included(env, name) for name in names))


def _references(tree: nodes.Template) -> Iterator[tuple[str, int]]:
    """The templates that one reads in by name, and on which line."""
    for node in tree.find_all(_REFERENCES):
        template = node.template  # type: ignore[attr-defined]
        if isinstance(template, nodes.Const) and isinstance(template.value, str):
            yield template.value, node.lineno


# --- while a template is filled in ---------------------------------------------------------------


def mistake(error: Exception, own: Path, keys: Mapping[str, object]) -> SpecError | None:
    """What went wrong in a user's template as a sentence; ``None`` if it was in none of them."""
    place = _where(error.__traceback__, own)
    if place is None:
        return None
    if not isinstance(error, MissingKey):
        reason = one_line(str(error)) or type(error).__name__
        return SpecError(shown(own), [Problem(place, None, reason)])
    there = keys if error.of is missing else error.of
    return SpecError(shown(own), [Problem(place, one_line(str(error.name)), _no_key(error.name, there))])


def _no_key(name: object, there: object) -> str:
    """A key that isn't there, the one that may have been meant, and those that are there."""
    known = sorted(map(str, there)) if isinstance(there, Mapping | frozenset) else _attributes(there)
    hint = did_you_mean(str(name), known) or ":"
    return f"there is no such key{hint} there {'are ' + ', '.join(known) if known else 'is none'}"


def _attributes(thing: object) -> list[str]:
    """What a template may ask of a record."""
    names = getattr(thing, "_fields", None) or dir(thing)
    return sorted(name for name in names if not name.startswith("_"))


def _where(traceback: TracebackType | None, own: Path) -> str | None:
    """The file and the line of the innermost template of the user's."""
    place = None
    while traceback is not None:
        file = Path(traceback.tb_frame.f_code.co_filename)
        if file.is_relative_to(own):
            place = _place(file.relative_to(own).as_posix(), traceback.tb_lineno)
        traceback = traceback.tb_next
    return place


def shown(folder: Path) -> str:
    """A folder as an error names it."""
    here = Path.cwd()
    return one_line(str(folder.relative_to(here) if folder.is_relative_to(here) else folder))


def _place(file: str, line: int) -> str:
    return f"{file}: line {line}"
