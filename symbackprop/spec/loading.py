"""Specs: from a TOML file, a mapping or widths such as ``2-3-1`` to a :class:`Network`.

A spec is data: nothing in it is executed. Whatever is wrong with one is reported as a
:class:`SpecError` that holds every mistake, in the order of the file.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from typing import Any

from symbackprop.errors import Problem, SpecError
from symbackprop.network import Network
from symbackprop.spec.catalogue import ACTIVATIONS, COSTS
from symbackprop.spec.sections import read_network
from symbackprop.tables.mistakes import Mistakes, require
from symbackprop.tables.names import did_you_mean, one_line, quoted

_LARGEST_FILE = 1_000_000
_LONG_KEY = re.compile(r"""(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){20}""")


def load(path_or_widths: str | os.PathLike[str]) -> Network:
    """The network of a spec file, or of widths such as ``2-3-1``.

    >>> load("2-3-1").layers[1].size
    1
    >>> load("2-0-1")
    Traceback (most recent call last):
    ...
    symbackprop.errors.SpecError: 2-0-1: widths are whole numbers from 1 up, at least two, as in 2-3-1
    """
    wanted = "a spec is the path of a TOML file, or widths such as 2-3-1; from_mapping takes a dictionary"
    require(path_or_widths, (str, bytes, os.PathLike), "path_or_widths", wanted)
    path = os.fsdecode(path_or_widths)
    if re.fullmatch(r"[\d-]+", path) and not os.path.isfile(path):
        return from_widths(path)
    source = one_line(path)
    return from_mapping(_parse(_read(path, source), source), source)


def from_widths(
    text: str, hidden: str = "sigmoid", output_activation: str = "sigmoid", cost: str = "squared_error"
) -> Network:
    """A network of dense layers: widths from the input to the output, joined by ``-``.

    >>> network = from_widths("2-3-1", hidden="tanh")
    >>> network.input_size, [layer.size for layer in network.layers]
    (2, [3, 1])
    """
    options = (
        ("--hidden", hidden, ACTIVATIONS),
        ("--output-activation", output_activation, ACTIVATIONS),
        ("--cost", cost, COSTS),
    )
    require(text, str, "text", "widths are a text such as '2-3-1'")
    problems = [_unknown(*option) for option in options if option[1] not in (*option[2],)]
    if not re.fullmatch(r"[1-9]\d{0,8}(-[1-9]\d{0,8})+", text) or len(text) > 64:
        wanted = "widths are whole numbers from 1 up, at least two, as in 2-3-1"
        problems.insert(0, Problem("", None, wanted))
    if problems:
        raise SpecError(one_line(text, 60), problems)
    first, *others = map(int, text.split("-"))
    activations = [hidden] * (len(others) - 1) + [output_activation]
    layers = [{"size": size, "activation": name} for size, name in zip(others, activations, strict=True)]
    return from_mapping(
        {"name": text, "input": {"size": first}, "layers": layers, "cost": {"kind": cost}}, text
    )


def _unknown(option: str, name: str, known: Mapping[str, object]) -> Problem:
    hint = did_you_mean(str(name), known) or f"; known are {', '.join(known)}"
    return Problem(option, quoted(name), f"this name is not known{hint}")


def _read(path: str, source: str) -> str:
    """The text of a regular file of bounded size."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise SpecError(
                source, [Problem("", None, "this is a directory or a device, and not a TOML file")]
            )
        with open(path, "rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except FileNotFoundError:
        wanted = "there is no such file; a spec is a TOML file or widths such as 2-3-1"
        raise SpecError(source, [Problem("", None, wanted)]) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the name of a file can't be like this"
        raise SpecError(source, [Problem("", None, f"this file can't be read ({reason})")]) from None
    return _decoded(data, source)


def _decoded(data: bytes, source: str) -> str:
    wanted = ""
    if len(data) > _LARGEST_FILE:
        wanted = f"this file is too large: a spec has at most {_LARGEST_FILE} bytes"
    elif not data.strip():
        wanted = "this file is empty: a spec has a name, [input], [[layers]] and [cost]"
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        wanted = wanted or f"this is not text in UTF-8, as TOML is (byte {error.start + 1})"
    if wanted:
        raise SpecError(source, [Problem("", None, wanted)])
    return text


def _parse(text: str, source: str) -> dict[str, Any]:
    if found := _LONG_KEY.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise SpecError(source, [Problem(f"line {line}", None, "a key has at most a few dots in it")])
    try:
        return tomllib.loads(text)
    except RecursionError:
        reason = "lists and tables are nested too deeply"
    except ValueError as error:
        reason = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "a number has too many digits"
    raise SpecError(source, [Problem("", None, f"this is not TOML: {one_line(reason)}")])


def from_mapping(data: Mapping[str, Any], source: str = "spec") -> Network:
    """The network of a spec that is a mapping already, with the keys of the TOML file.

    >>> layer = {"size": 2, "activation": "sigmoid"}
    >>> cost = {"kind": "squared_error"}
    >>> from_mapping({"name": "tiny", "input": {"size": 0}, "layers": [layer], "cost": cost})
    Traceback (most recent call last):
    ...
    symbackprop.errors.SpecError: spec: input.size: 0: a size is a whole number from 1 to 1000000000
    """
    mistakes, data = Mistakes(), _plain(data)
    network = read_network(data, mistakes)
    if network is None:
        raise SpecError(source, mistakes.problems(data))
    return network


_DEEPEST = 8
"""A spec is tables and lists a few levels deep; what is nested deeper is refused as it is."""


def _plain(value: Any, levels: int = _DEEPEST) -> Any:
    """A value with the arrays and the numbers of NumPy in it as lists and numbers of Python."""
    if levels and isinstance(value, Mapping):
        return {key: _plain(inner, levels - 1) for key, inner in value.items()}
    if levels and isinstance(value, list | tuple):
        return [_plain(inner, levels - 1) for inner in value]
    return value.tolist() if hasattr(value, "tolist") else value
