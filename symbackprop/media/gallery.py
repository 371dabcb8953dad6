"""The index page of a folder of derivations: what there is, and links to every file of it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import NamedTuple

from symbackprop.notation.words import load_words
from symbackprop.rendering.render import fill

KINDS = {
    ".html": "page",
    ".tex": "latex",
    ".sty": "macros",
    ".py": "code",
    ".certificate.json": "certificate",
    ".svg": "picture",
    ".toml": "spec",
}
"""The key of the word for a link, by how a file's name ends."""


class Entry(NamedTuple):
    """A derivation: its name, what it is, and the addresses of its files, seen from the index."""

    name: str
    title: str
    about: str
    files: tuple[str, ...]


def entry(spec: Path, files: Iterable[str]) -> Entry:
    """The entry of a spec: its title, and what its first lines, which are comments, say about it."""
    text = spec.read_text("utf-8")
    data = tomllib.loads(text)
    comments = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        comments.append(line.lstrip("# ").strip())
    return Entry(data["name"], data.get("title", data["name"]), " ".join(comments), tuple(files))


def index_page(entries: Iterable[Entry]) -> str:
    """The index as HTML.

    >>> "<title>" in index_page([Entry("a", "A & B", "Small.", ("a/a.html", "a/a.tex"))])
    True
    """
    return fill(
        "index.html.jinja", {"entries": [_keys(each) for each in entries], "style": fill("page.css", {})}
    )


def _keys(each: Entry) -> dict[str, object]:
    words = load_words().page
    linked = [
        (address, KINDS[ending]) for ending in KINDS for address in each.files if address.endswith(ending)
    ]
    links = [(escape(address), escape(words[f"file_{kind}"]), kind) for address, kind in linked]
    return {
        "name": escape(each.name),
        "title": escape(each.title),
        "about": escape(each.about),
        "page": next((address for address, _, kind in links if kind == "page"), ""),
        "picture": next((address for address, _, kind in links if kind == "picture"), ""),
        "links": [(address, word) for address, word, _ in links],
    }
