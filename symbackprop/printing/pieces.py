r"""Printed pieces of a formula: tokens, how tightly they bind, how tall they are, where a line may break.

A piece knows everything about itself that what stands around it must know, so no printer has to
guess about parentheses. Delimiters have fixed sizes, ``\bigl(`` and the like, since a line may
break between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

SIZES = ("", r"\big", r"\Big", r"\bigg", r"\Bigg")
NESTED = 2
"""What a break costs more for each pair of delimiters around it."""


class Binding(IntEnum):
    """What a piece is on the outside: a sum needs parentheses inside a product, and so on."""

    SUM = 0
    PRODUCT = 1
    POWER = 2
    ATOM = 3


@dataclass(frozen=True)
class Token:
    """Some LaTeX that stays on one line.

    ``cost`` is what it costs to start a line with this token, ``None`` if no line may; ``lead`` then
    stands before it. ``tight`` says that no space stands before it in the source, ``digit`` that what it
    prints starts with one, and ``inside`` how many pairs of delimiters are around it.
    """

    tex: str
    cost: int | None = None
    lead: str = ""
    tight: bool = False
    digit: bool = False
    inside: int = 0


@dataclass(frozen=True)
class Piece:
    """Tokens, without the minus sign that stands before them if ``negative`` is set.

    ``height`` is the size of the delimiters that go round it. ``open_end`` marks a piece that would
    swallow what follows it: a sum, a logarithm without parentheses, what stands behind a slash.
    """

    tokens: tuple[Token, ...]
    binding: Binding = Binding.ATOM
    height: int = 0
    negative: bool = False
    open_end: bool = False


def atom(tex: str, height: int = 0, binding: Binding = Binding.ATOM) -> Piece:
    """A piece that never breaks."""
    return Piece((Token(tex),), binding, height)


def signed(piece: Piece) -> tuple[Token, ...]:
    """The tokens with their minus sign."""
    if not piece.negative:
        return piece.tokens
    return (Token("-"), replace(piece.tokens[0], cost=None, tight=True), *piece.tokens[1:])


def source(tokens: Iterable[Token]) -> str:
    r"""The LaTeX of tokens on one line.

    >>> source([Token("a"), Token("+"), Token("b")])
    'a + b'
    >>> source([Token(r"\odot"), Token("b", tight=True)])
    '\\odot b'
    """
    text = ""
    for token in tokens:
        space = bool(text) and (not token.tight or _runs_together(text, token.tex))
        text += (" " if space else "") + token.tex
    return text


def tex(piece: Piece) -> str:
    """The LaTeX of a piece on one line, with its sign."""
    return source(signed(piece))


def parenthesised(piece: Piece, left: str = "(", right: str = ")") -> Piece:
    """The piece in delimiters of a size that fits it; inside them a line break costs more."""
    if left == "(" and _is_number_put_in(piece):
        return piece
    size = SIZES[min(piece.height, 4)]
    opening, closing = (f"{size}l{left}", f"{size}r{right}") if size else (left, right)
    inner = signed(piece)
    tokens = (
        Token(opening),
        replace(inner[0], cost=None, tight=True),
        *(replace(deeper(token), inside=token.inside + 1) for token in inner[1:]),
        Token(closing, tight=True),
    )
    return Piece(tokens, Binding.ATOM, min(piece.height + 1, 4))


def number_put_in(number: str) -> Piece:
    """A number that stands where a symbol stood: a negative one in parentheses."""
    if number.startswith("-"):
        return atom(f"({number})")
    return atom(number, binding=Binding.PRODUCT if r"\cdot" in number else Binding.ATOM)


def _is_number_put_in(piece: Piece) -> bool:
    return len(piece.tokens) == 1 and piece.tokens[0].tex.startswith("(-")


def deeper(token: Token, by: int = NESTED) -> Token:
    """The token where a break costs more."""
    return token if token.cost is None else replace(token, cost=token.cost + by)


def at_least(piece: Piece, binding: Binding) -> Piece:
    """The piece, in parentheses if it binds less tightly than asked or has a sign of its own."""
    return parenthesised(piece) if piece.binding < binding or piece.negative else piece


def with_superscript(piece: Piece, exponent: str) -> Piece:
    """The piece with an exponent on its last token."""
    last = piece.tokens[-1]
    tokens = (*piece.tokens[:-1], replace(last, tex=f"{last.tex}^{{{exponent}}}"))
    return Piece(tokens, Binding.POWER, piece.height)


def prefixed(opening: str, piece: Piece, binding: Binding = Binding.ATOM) -> Piece:
    """The piece with a function's name right before it."""
    first = replace(piece.tokens[0], tight=True, cost=None)
    return Piece((Token(opening), first, *piece.tokens[1:]), binding, piece.height)


def joined_product(factors: Sequence[Piece], coefficient: Piece | None = None) -> Piece:
    """Factors side by side, each in parentheses if it needs them; a line may break before a factor."""
    if coefficient and coefficient.open_end and factors:
        inner = parenthesised(replace(coefficient, negative=False))
        coefficient = replace(inner, negative=coefficient.negative)
    tokens: list[Token] = list(coefficient.tokens) if coefficient else []
    for position, factor in enumerate(factors):
        swallows = factor.open_end and position < len(factors) - 1
        inner = parenthesised(replace(factor, negative=False)) if swallows else _as_factor(factor)
        first = inner.tokens[0]
        if position > 0:
            first = replace(first, cost=1, lead=r"{} \cdot")
        if tokens and (first.tex[0].isdigit() or first.tex.startswith("(-")):
            tokens.append(Token(r"\cdot", first.cost, "{}"))
            first = replace(first, cost=None)
        tokens += [first, *inner.tokens[1:]]
    pieces = [*([coefficient] if coefficient else []), *factors]
    negative = sum(piece.negative for piece in pieces) % 2 == 1
    height = max(_height_as_factor(piece) for piece in pieces)
    open_end = bool(factors) and factors[-1].open_end
    return Piece(tuple(tokens), Binding.PRODUCT, height, negative, open_end)


def _as_factor(factor: Piece) -> Piece:
    return at_least(replace(factor, negative=False), Binding.PRODUCT)


def _height_as_factor(factor: Piece) -> int:
    return min(factor.height + (factor.binding < Binding.PRODUCT), 4)


def joined_sum(terms: Sequence[Piece]) -> Piece:
    """Terms with their signs; a line may break before a sign, and costs more inside a term."""
    tokens: list[Token] = []
    within = NESTED if len(terms) > 1 else 0
    for term in terms:
        inner = at_least(replace(term, negative=False), Binding.PRODUCT)
        first, *others = signed(replace(inner, negative=not tokens and term.negative))
        if tokens:
            tokens.append(Token("-" if term.negative else "+", 0, "{}"))
        tokens += [replace(first, cost=None), *(deeper(token, within) for token in others)]
    height = max(_height_as_factor(term) for term in terms)
    return Piece(tuple(tokens), Binding.SUM, height)


def _runs_together(text: str, following: str) -> bool:
    """Whether a control word would swallow the first letter of what follows."""
    command = text.rpartition("\\")[2]
    return "\\" in text and command.isalpha() and following[0].isalpha()
