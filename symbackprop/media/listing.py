r"""The generated module as HTML: highlighted, and cut into the lines that belong to an equation.

A line of the module names its equation in a comment, ``# (delta-1)``. The module's function
``cost_and_gradients`` holds each of them once, and ``update`` those of a training step, so that is where the
lines are taken from.
"""

from __future__ import annotations

import ast
import io
import keyword
import re
import textwrap
import tokenize
from collections.abc import Collection, Iterable, Iterator, Sequence
from html import escape

_LABEL = re.compile(r"\s*#\s*\(([^()\s]+)\)\s*$")
_IN_LAYER = re.compile(r"\b([A-Za-z]+)\[([^\[\]]+)\]")
_FUNCTIONS = ("cost_and_gradients", "update")
_NAMES = {"example_costs": "C_x", "total": "C"}
"""What the code calls differently from the derivation."""


def lines_by_label(source: str) -> dict[str, str]:
    """Each label's statement in the plain functions, without the comment that names it.

    >>> code = "def cost_and_gradients(x):\\n    a1 = (x  # first\\n        + 1)  # (a-1)\\n    return a1\\n"
    >>> lines_by_label(code)
    {'a-1': 'a1 = (x  # first\\n    + 1)'}
    """
    lines, found = source.splitlines(), dict[str, str]()
    for function in ast.parse(source).body:
        if isinstance(function, ast.FunctionDef) and function.name in _FUNCTIONS:
            found |= _labelled_lines(function, lines)
    return found


def _labelled_lines(function: ast.FunctionDef, lines: Sequence[str]) -> dict[str, str]:
    """The statement of each label in a function, the first where there are two."""
    spans = sorted(set(_spans(function)), key=lambda span: span[1] - span[0])
    found: dict[str, str] = {}
    for number in range(function.lineno, (function.end_lineno or 0) + 1):
        label = _LABEL.search(lines[number - 1])
        if label is not None:
            first, last = next(span for span in spans if span[0] <= number <= span[1])
            found.setdefault(label[1], _without_label(lines[first - 1 : last]))
    return found


def _spans(function: ast.FunctionDef) -> Iterator[tuple[int, int]]:
    """The first and the last line of every statement, and of every entry of a dictionary."""
    for node in ast.walk(function):
        if isinstance(node, ast.stmt):
            yield node.lineno, node.end_lineno or node.lineno
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                yield (key or value).lineno, value.end_lineno or value.lineno


def _without_label(lines: Sequence[str]) -> str:
    text = textwrap.dedent("\n".join(_LABEL.sub("", line) for line in lines))
    return text.removesuffix(",")


def highlighted(source: str, keys: Collection[str]) -> str:
    """Python as HTML, with a class for each kind of token and ``data-sbp`` on the names of quantities.

    >>> print(highlighted("a1 = x < 2  # (a-1)", {"a1"}))
    <span data-sbp="a1">a1</span> = x &lt; <span class="num">2</span>  <span class="com"># (a-1)</span>
    """
    lines = source.splitlines(keepends=True)
    out, row, column = [], 1, 0
    for token in _tokens(source, lines):
        out.append(escape(_between(lines, (row, column), token.start)))
        out.append(_token_html(token, keys))
        row, column = token.end
    return _layers_marked("".join(out), keys)


def _tokens(source: str, lines: list[str]) -> Iterator[tokenize.TokenInfo]:
    """The tokens that have a text; of what stops in the middle, those up to there."""
    layout = (tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    try:
        for token in _with_whole_strings(tokenize.generate_tokens(io.StringIO(source).readline), lines):
            if token.type not in layout and token.string:
                yield token
    except (tokenize.TokenError, IndentationError):
        return


def _with_whole_strings(
    tokens: Iterable[tokenize.TokenInfo], lines: list[str]
) -> Iterator[tokenize.TokenInfo]:
    """An f-string as one token, as before Python 3.12, which has one for each of its parts."""
    opened: list[tokenize.TokenInfo] = []
    for token in tokens:
        kind = tokenize.tok_name[token.type]
        if kind == "FSTRING_START":
            opened.append(token)
        elif kind == "FSTRING_END":
            start = opened.pop().start
            token = token._replace(
                type=tokenize.STRING, string=_between(lines, start, token.end), start=start
            )
        if not opened:
            yield token


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """The text between two places."""
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]]
    whole = lines[start[0] : end[0] - 1]
    head = lines[start[0] - 1][start[1] :] if start[0] <= len(lines) else ""
    tail = lines[end[0] - 1][: end[1]] if end[0] <= len(lines) else ""
    return "".join((head, *whole, tail))


def _token_html(token: tokenize.TokenInfo, keys: Collection[str]) -> str:
    text, name = escape(token.string, quote=False), token.string.strip("\"'")
    key = _NAMES.get(name, name)
    if key in keys and token.type in (tokenize.NAME, tokenize.STRING):
        return f'<span data-sbp="{escape(key)}">{text}</span>'
    kind = _kind(token)
    return f'<span class="{kind}">{text}</span>' if kind else text


def _kind(token: tokenize.TokenInfo) -> str:
    if token.type == tokenize.NAME and keyword.iskeyword(token.string):
        return "key"
    return {tokenize.NUMBER: "num", tokenize.STRING: "str", tokenize.COMMENT: "com"}.get(token.type, "")


def _layers_marked(html: str, keys: Collection[str]) -> str:
    """``a[l - 1]`` as one name, where the layers are counted by a variable."""
    letters = {key.partition("[")[0] for key in keys if "[" in key}

    def marked(found: re.Match[str]) -> str:
        inside = re.sub(r"<[^>]*>|\s", "", found[2])
        key = f"{found[1]}[{inside}]"
        return (
            f'<span data-sbp="{key}">{found[0]}</span>' if found[1] in letters and key in keys else found[0]
        )

    return _IN_LAYER.sub(marked, html) if letters else html
