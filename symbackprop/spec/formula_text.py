"""From the text of a formula to Python's syntax tree, within bounds; nothing is evaluated.

Whatever the text is, the answer is a tree of limited size or a :class:`FormulaError` that says in a
sentence what is wrong, and at which column.
"""

from __future__ import annotations

import ast
import re
import warnings

from symbackprop.errors import SymbackpropError
from symbackprop.tables.names import quoted

LENGTH = 1000
NESTING = 40
NODES = 400
_TREE_DEPTH = 100

_LAMBDA = re.compile(r"\blambda\b(?!\s*[A-Za-z_:])")
LAMBDA = "lambd_"
"""What the keyword ``lambda`` is called in a tree, where it stands for a symbol of that name."""

_INSTEAD = {
    "^": "a power is written with ** and not with ^",
    "\u2212": "write the minus sign as -",
    "\u2013": "write the minus sign as -",
    "\u00b7": "write a product with *",
    "\u00d7": "write a product with *",
    "\u22c5": "write a product with *",
    "\u00b2": "write the square as **2",
    "#": "a formula holds no comment",
    "\\": "a formula is written in plain words, such as exp(z), and not in LaTeX",
}


class FormulaError(SymbackpropError):
    """A formula that is refused: ``reason`` is a sentence, ``column`` counts from 1 (0: all of it)."""

    def __init__(self, text: str, column: int, reason: str) -> None:
        self.text = text
        self.column = column
        self.reason = reason
        super().__init__(f"{quoted(text)}: {self.sentence}")

    @property
    def sentence(self) -> str:
        """The reason with its place, without the text of the formula."""
        return f"at column {self.column}: {self.reason}" if self.column else self.reason


def tree(text: str) -> tuple[str, ast.expr]:
    """The formula on one line, and its syntax tree.

    >>> line, root = tree("z + 1")
    >>> type(root).__name__
    'BinOp'
    >>> tree("z^2")
    Traceback (most recent call last):
    ...
    symbackprop.spec.formula_text.FormulaError: 'z^2': at column 2: a power is written with ** and not with ^
    """
    if len(text) > LENGTH:
        raise FormulaError(
            text, 0, f"a formula has at most {LENGTH} characters, and this one has {len(text)}"
        )
    line = " ".join(text.split(" ")).strip().replace("\n", " ").replace("\t", " ")
    if not line:
        raise FormulaError(text, 0, "the formula is empty")
    _check_characters(line)
    _check_nesting(line)
    root = _parse(line)
    _check_size(line, root)
    return line, root


def _check_characters(line: str) -> None:
    for column, char in enumerate(line, 1):
        if char in _INSTEAD:
            raise FormulaError(line, column, _INSTEAD[char])
        if not (char.isascii() and char.isprintable()):
            raise FormulaError(line, column, f"the character {char!a} can't stand in a formula")


def _check_nesting(line: str) -> None:
    depth = 0
    for column, char in enumerate(line, 1):
        depth += (char in "([{") - (char in ")]}")
        if depth > NESTING:
            raise FormulaError(line, column, f"parentheses nest at most {NESTING} deep")


def _parse(line: str) -> ast.expr:
    if found := re.search(rf"\b{LAMBDA}\b", line):
        raise FormulaError(line, found.start() + 1, f"the name {LAMBDA} can't stand in a formula")
    renamed = _LAMBDA.sub(LAMBDA, line)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(renamed, mode="eval").body
    except SyntaxError as error:
        raise _diagnosis(line, error) from None
    except (ValueError, RecursionError, MemoryError, OverflowError):
        raise FormulaError(line, 0, "this can't be read as a formula") from None


def _diagnosis(line: str, error: SyntaxError) -> FormulaError:
    if found := re.search(r"(?<![<>=!:])=(?!=)", line):
        return FormulaError(line, found.start() + 1, "a formula has no = in it: write its right side only")
    if found := re.search(r"(?<![A-Za-z_0-9.])(\d+\.?\d*)\s*([A-Za-z_]\w*)", line):
        return FormulaError(line, found.start(2) + 1, f"a * is missing between {found[1]} and {found[2]}")
    if found := re.search(r"[;?$!@%&|~`{}]", line):
        return FormulaError(line, found.start() + 1, f"{found[0]} can't stand in a formula")
    reason = (error.msg or "").split(". Perhaps")[0].replace("f-string: ", "")
    return FormulaError(line, min(error.offset or 0, len(line)), f"this is not a formula ({reason})")


def _check_size(line: str, root: ast.expr) -> None:
    level: list[ast.AST] = [root]
    nodes = depth = 0
    while level:
        nodes, depth = nodes + len(level), depth + 1
        if nodes > 2 * NODES or depth > _TREE_DEPTH:
            raise FormulaError(line, 0, "the formula is too long or too deeply nested: split it up")
        level = [child for node in level for child in ast.iter_child_nodes(node)]
