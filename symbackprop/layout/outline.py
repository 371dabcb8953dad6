"""The order of an argument, as data: which formulas a text shows, in which order, with which words between.

An outline is a TOML file in ``data/outlines/``. It has no formula of its own: an item names a kind of
formula (``show``) and quantities (``of``, ``through``), and :mod:`symbackprop.layout.outline_items` derives
what it shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from symbackprop.tables.table_files import shipped_names, shipped_tables


@dataclass(frozen=True)
class Item:
    """A sentence, by language, or a formula of a kind with its id and whatever else the kind asks for."""

    show: str = ""
    id: str = ""
    text: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A section: its heading, by language, and its items."""

    heading: Mapping[str, str]
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Outline:
    """The whole argument; ``weights`` are the entries that a reader may choose instead, in order.

    ``outputs`` is how many units the last layer has in it, if its words say so.
    """

    name: str
    description: str
    parts: tuple[Part, ...]
    weights: tuple[str, ...] = ()
    outputs: int | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the formulas, in order."""
        items = [item for part in self.parts for item in part.items]
        return tuple(one for item in items for one in (item.id, *item.options.get("ids", ())) if one)


@cache
def load_outline(name: str) -> Outline:
    """The outline with this name.

    >>> load_outline("jagtap").ids[:3]
    ('J1', 'J2', 'J3')
    """
    data = shipped_tables("outlines", name)
    parts = tuple(Part(part["heading"], tuple(map(_item, part["items"]))) for part in data["parts"])
    return Outline(name, data["description"], parts, tuple(data.get("weights", ())), data.get("outputs"))


def outlines() -> list[str]:
    """The names of the outlines that there are.

    >>> "jagtap" in outlines()
    True
    """
    return shipped_names("outlines")


def _item(table: Mapping[str, Any]) -> Item:
    known = {"show", "id", "text"}
    options = {key: value for key, value in table.items() if key not in known}
    return Item(table.get("show", ""), table.get("id", ""), table.get("text", {}), options)
