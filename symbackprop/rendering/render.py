"""Fills templates: the last stage but for the writing of files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from jinja2 import Environment

from symbackprop.rendering.own_templates import check_templates, environment, mistake


def template_folder() -> Path:
    """Where the templates are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "templates"
    return installed if installed.is_dir() else package.parent / "templates"


_OWN: ContextVar[Path | None] = ContextVar("own templates", default=None)
"""The folder of the user's own templates, which only filling, the last stage, has a use for."""


@contextmanager
def own_templates(folder: str | Path | None) -> Iterator[None]:
    """As long as this lasts, the templates of a folder stand in for ours of the same name.

    Raises:
        SpecError: with every mistake that can be seen before a template is filled in.

    >>> with own_templates(None):
    ...     fill("page-early.js", {}) == (template_folder() / "page-early.js").read_text("utf-8")
    True
    """
    own = None if folder is None else Path(folder).absolute()
    if own is not None:
        check_templates(template_folder(), own)
    token = _OWN.set(own)
    try:
        yield
    finally:
        _OWN.reset(token)


@cache
def _environment(ours: Path, own: Path | None) -> Environment:
    return environment(ours, own)


def fill(template: str, keys: Mapping[str, object]) -> str:
    """The text of a template with its keys put in; a key that is missing is an error.

    Raises:
        SpecError: for a mistake in a template of the user's own, with its place.
    """
    own = _OWN.get()
    try:
        return _environment(template_folder(), own).get_template(template).render(keys)
    except Exception as error:
        wrong = None if own is None else mistake(error, own, keys)
        if wrong is None:
            raise
        raise wrong from error
