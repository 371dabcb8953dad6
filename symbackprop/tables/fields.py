"""Tables of TOML files: which keys a table has, what each may hold, and what to say where it doesn't.

A table is a class with an annotation and a :func:`Field` for each key. A table that is right is found
so by the checks of its fields; pydantic, which takes a third as long to import as SymPy, is asked for
a report only where something is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast, get_args, get_origin

from symbackprop.tables.mistakes import ABSENT, Mistakes, Place
from symbackprop.tables.names import did_you_mean, nearest

if TYPE_CHECKING:
    from pydantic import BaseModel

Check = Callable[[Any], Any]
"""Gives the value back, or raises a ValueError."""


def one_of(*kinds: type) -> Check:
    """A value of exactly one of these kinds: true is no number, and a number is no string."""

    def check(value: Any) -> Any:
        if type(value) not in kinds and not (Mapping in kinds and isinstance(value, Mapping)):
            raise ValueError
        return value

    return check


Table = Annotated[Any, one_of(Mapping)]
List = Annotated[Any, one_of(list, tuple)]
Text = Annotated[Any, one_of(str)]
Flag = Annotated[Any, one_of(bool)]

_REQUIRED: Any = object()


@dataclass(frozen=True)
class Entry:
    """One key of a table: its default, what is right there in words, and the annotation with its checks."""

    default: Any
    description: str
    annotation: Any = Any

    @property
    def required(self) -> bool:
        """Whether the key must be there."""
        return self.default is _REQUIRED

    @property
    def choices(self) -> tuple[str, ...]:
        """The strings that may stand there, if there are just a few."""
        return get_args(self.annotation) if get_origin(self.annotation) is Literal else ()

    def check(self, value: Any) -> Any:
        """The value, if it is right.

        Raises:
            ValueError: if it isn't.
        """
        if self.choices and not (isinstance(value, str) and value in self.choices):
            raise ValueError
        for check in getattr(self.annotation, "__metadata__", ()):
            value = check(value)
        return value

    def fits(self, value: Any) -> bool:
        """Whether the value is right."""
        try:
            self.check(value)
        except ValueError:
            return False
        return True


def Field(default: Any = _REQUIRED, *, description: str) -> Any:
    """What a class says of one key of its table."""
    return Entry(default, description)


class Model:
    """A table; each class below this one has its keys in ``entries``."""

    entries: ClassVar[dict[str, Entry]] = {}

    def __init_subclass__(cls) -> None:
        annotations = cls.__annotations__
        cls.entries = {key: replace(vars(cls)[key], annotation=kind) for key, kind in annotations.items()}


def good_fields(model: type[Model], data: object, place: Place, mistakes: Mistakes) -> dict[str, Any]:
    """The fields of a table that are structurally right, with defaults; mistakes go to ``mistakes``.

    >>> class InputTable(Model):
    ...     size: Annotated[Any, one_of(int, str)] = Field(description="a number or a name")
    >>> found = Mistakes()
    >>> good_fields(InputTable, {"size": 2, "sise": 3}, ("input",), found)
    {'size': 2}
    >>> print(*found.problems({}))
    input.sise: 3: the key sise is not known here; did you mean size?
    """
    if not isinstance(data, Mapping):
        mistakes.add(place, data, "this is a table with keys")
        return {}
    defaults = {key: entry.default for key, entry in model.entries.items() if not entry.required}
    details = [] if _is_right(model, data) else _error_details(model, dict(data))
    misspelt = {meant(key, model) for key in data}
    for key, kind, given in details:
        if kind != "missing" or key not in misspelt:
            mistakes.add((*place, key), given, _wanted(model, key, kind, given))
    bad = {key for key, _, _ in details}
    given_fields = {key: value for key, value in data.items() if key in model.entries}
    return {key: value for key, value in {**defaults, **given_fields}.items() if key not in bad}


def meant(key: object, model: type[Model]) -> str | None:
    """The key of a table that an unknown key was probably meant to be."""
    return None if key in model.entries else nearest(str(key), model.entries)


def _is_right(model: type[Model], data: Mapping[Any, Any]) -> bool:
    missing = any(entry.required and key not in data for key, entry in model.entries.items())
    known = model.entries.keys() >= data.keys()
    return known and not missing and all(model.entries[key].fits(value) for key, value in data.items())


@cache
def _reporter(model: Any) -> type[BaseModel]:
    """The table as pydantic knows tables."""
    from pydantic import ConfigDict, PlainValidator, create_model

    fields: Any = {
        key: (Annotated[Any, PlainValidator(entry.check)], ... if entry.required else entry.default)
        for key, entry in model.entries.items()
    }
    return create_model(model.__name__, __config__=ConfigDict(strict=True, extra="forbid"), **fields)


def _error_details(model: type[Model], data: dict[str, Any]) -> list[tuple[str, str, object]]:
    """What pydantic finds: the key, the kind of error, and what was given."""
    from pydantic import ValidationError

    try:
        _reporter(cast(Hashable, model)).model_validate(data)
    except ValidationError as error:
        return [
            (
                str(detail["loc"][0]),
                detail["type"],
                ABSENT if detail["type"] == "missing" else detail["input"],
            )
            for detail in error.errors(include_url=False, include_context=False)
        ]
    return []


def _wanted(model: type[Model], key: str, problem: str, given: object) -> str:
    if problem in ("extra_forbidden", "invalid_key"):
        hint = did_you_mean(key, model.entries) or f"; known are {', '.join(model.entries)}"
        return f"the key {key[:40]} is not known here{hint}" if key.isprintable() else f"an unknown key{hint}"
    entry = model.entries[key]
    if problem == "missing":
        return f"missing: {entry.description}"
    hint = did_you_mean(given, entry.choices) if isinstance(given, str) and entry.choices else ""
    return entry.description + hint
