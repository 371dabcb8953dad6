r"""How wide a formula comes out, estimated from its LaTeX with the macros put in.

The unit is a character of 5 pt in a text of 10 pt, so a line of an article holds about 70. The
widths are those of Computer Modern, rounded.
"""

from __future__ import annotations

import re
from functools import lru_cache, reduce

from symbackprop.notation.notation import Notation

Nodes = list[str]

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|#\d|\S")
_SCRIPT = 0.7
_THIN = 0.33
_BINARY = frozenset(["+", "-", r"\odot", r"\oslash", r"\times"])
_RELATION = frozenset(["=", "<", ">", r"\leq", r"\geq", r"\neq", r"\leftarrow"])
_NARROW = {**dict.fromkeys("ijlt", 0.7), **dict.fromkeys("mw", 1.5), ",": 0.9, ".": 0.56, "'": 0.5}
_OPERATORS = ("ln", "exp", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arctan")
_WORDS = {
    **{f"\\{word}": 0.95 * len(word) + 0.2 for word in _OPERATORS},
    r"\sum": 3.2,
    r"\land": 2.4,
    r"\lor": 2.4,
    r"\cdot": 1.45,
    r"\quad": 2.0,
    r"\,": _THIN,
    r"\partial": 1.1,
}
_DELIMITERS = {"": 0.8, r"\big": 0.92, r"\Big": 1.2, r"\bigg": 1.5, r"\Bigg": 1.75}
_SIZED = re.compile(r"(\\(?:[bB]igg?))[lr]")
_STRETCHY = frozenset([r"\lbrack", r"\rbrack", r"\lvert", r"\rvert", "(", ")", "/", "|"])
_FONTS = frozenset([r"\text", r"\operatorname", r"\mathit", r"\mathbf", r"\boldsymbol", r"\bm"])


@lru_cache(maxsize=4096)
def rendered_width(tex: str, notation: Notation) -> float:
    r"""The width of a formula in characters.

    >>> from symbackprop.notation.notation import load_notation
    >>> round(rendered_width(r"\sbpact{2}{j} - \sbptarget{j}", load_notation()), 1)
    5.8
    """
    return _Ruler(_TOKEN.findall(expanded(tex, notation))).row(1.0)


def expanded(tex: str, notation: Notation) -> str:
    r"""The LaTeX with every macro of the notation put in, for readers that have no ``symbackprop.sty``.

    >>> from symbackprop.notation.notation import load_notation
    >>> print(expanded(r"\sbpweight{2}{j}{k}", load_notation()))
    w^{2}_{jk}
    """
    pieces: list[str] = []
    while (position := tex.find(r"\sbp")) >= 0:
        name = re.match(r"sbp[A-Za-z]*", tex[position + 1 :])
        assert name is not None
        macro = notation[name[0]]
        arguments, rest = macro_arguments(tex[position + 1 + len(name[0]) :], macro.arguments)
        pieces.append(tex[:position])
        tex = _apart(_with_arguments(macro.definition, arguments), rest)
    return reduce(lambda after, piece: _apart(piece, after), reversed(pieces), tex)


def _with_arguments(definition: str, arguments: list[str]) -> str:
    return re.sub(r"#(\d)", lambda found: arguments[int(found[1]) - 1], definition)


def _apart(inside: str, rest: str) -> str:
    """Two pieces of LaTeX side by side, with a space where a control word needs one."""
    runs_on = re.search(r"\\[A-Za-z]+$", inside) and rest[:1].isalpha()
    return f"{inside} {rest}" if runs_on else inside + rest


def macro_arguments(tex: str, count: int) -> tuple[list[str], str]:
    r"""The arguments that a macro is called with, and what stands after them.

    >>> macro_arguments(r"{2}{\frac{1}{k}} + 1", 2)
    (['2', '\\frac{1}{k}'], ' + 1')
    """
    found: list[str] = []
    for _ in range(count):
        end = _closing(tex)
        found.append(tex[1:end])
        tex = tex[end + 1 :]
    return found, tex


def _closing(tex: str) -> int:
    """Where the group that the text starts with ends."""
    depth = 0
    for position, char in enumerate(tex):
        escaped = position > 0 and tex[position - 1] == "\\"
        depth += (char == "{") - (char == "}") if not escaped else 0
        if depth == 0:
            return position
    raise ValueError(f"a brace is not closed in {tex[:60]}")


class _Ruler:
    """Reads tokens from left to right and adds up their widths."""

    def __init__(self, tokens: Nodes) -> None:
        self.tokens = tokens
        self.position = 0
        self.display = True

    def row(self, scale: float) -> float:
        """The width up to the end of the group."""
        total = 0.0
        while self.position < len(self.tokens) and self.tokens[self.position] != "}":
            total += self.item(scale)
        self.position += 1
        return total

    def item(self, scale: float) -> float:
        """One symbol with its scripts."""
        token = self.tokens[self.position]
        self.position += 1
        if token in ("^", "_"):
            self.position -= 1
            return self.scripts(0.0, scale, limits=False)
        width = self.nucleus(token, scale)
        return self.scripts(width, scale, limits=token == r"\sum" and self.display and scale == 1.0)

    def nucleus(self, token: str, scale: float) -> float:
        if token == "{":
            return self.row(scale)
        if token == r"\frac":
            return self.fraction(scale)
        if token == r"\begin":
            return self.cases(scale)
        if token in _FONTS:
            return self.group(scale)
        if token == r"\sqrt":
            return 1.7 * scale + self.group(scale)
        sized = _SIZED.fullmatch(token)
        if sized:
            self.position += 1
            return _DELIMITERS[sized[1]]
        if token == "-" and self.tokens[max(self.position - 2, 0)] in ("-", "{", "("):
            return 1.56 * scale
        if token == r"\sum" and not self.display:
            return 2.45 * scale
        return _symbol_width(token, scale)

    def fraction(self, scale: float) -> float:
        """The wider of two sides; one fraction in another is set smaller."""
        outer, self.display = self.display, False
        inner = scale if outer or scale < 1.0 else _SCRIPT
        width = max(self.group(inner), self.group(inner)) + 0.48
        self.display = outer
        return width

    def group(self, scale: float) -> float:
        self.position += 1
        return self.row(scale)

    def scripts(self, width: float, scale: float, limits: bool) -> float:
        widest = 0.0
        while self.position < len(self.tokens) and self.tokens[self.position] in ("^", "_"):
            self.position += 1
            token = self.tokens[self.position]
            self.position += 1
            widest = max(widest, self.nucleus(token, scale * _SCRIPT if scale == 1.0 else scale))
        return max(width, widest + _THIN) if limits else width + widest + (0.1 if widest else 0.0)

    def cases(self, scale: float) -> float:
        """The widest value and the widest condition, which stand in columns."""
        self.position += 3 + len("cases") - 1
        outer, self.display = self.display, False
        columns, column, width = [0.0, 0.0], 0, 0.0
        while self.tokens[self.position] != r"\end":
            token = self.tokens[self.position]
            if token in (r"\\", "&"):
                self.position += 1
            else:
                width += self.item(scale)
            if token in (r"\\", "&") or self.tokens[self.position] == r"\end":
                columns[column], width = max(columns[column], width), 0.0
                column = 1 if token == "&" else 0 if token == r"\\" else column
        self.position += 3 + len("cases")
        self.display = outer
        return sum(columns) + 3.0 + 2.0 * bool(columns[1])


def _symbol_width(token: str, scale: float) -> float:
    if token in _BINARY:
        return 2.44 if scale == 1.0 else 1.56 * scale
    if token in _RELATION:
        return 2.67 if scale == 1.0 else 1.56 * scale
    if token in _STRETCHY:
        return 0.8 * scale
    return scale * _letter_width(token)


def _letter_width(token: str) -> float:
    if token in _WORDS:
        return _WORDS[token]
    if token in _NARROW:
        return _NARROW[token]
    if token.startswith("\\"):
        return 1.1 if len(token) > 4 or not token[1:].isalpha() else 1.2
    return 1.5 if token.isupper() else 1.0
