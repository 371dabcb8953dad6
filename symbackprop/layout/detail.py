"""How much of a derivation is told: every step with its reason, or the results alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from symbackprop.layout.document import Block, Chain, Display, Paragraph, Row, Section
from symbackprop.printing.rounding import Rounded

BRIEF, FULL = "brief", "full"

ARROW = r"\leftarrow"
"""The sign of what takes the place of a number."""


def brief(sections: Sequence[Section]) -> tuple[Section, ...]:
    """Definitions, results and numbers: no steps, no reasons, and no sentence that only leads to a step.

    A result is an equality of its own, from the left side of its derivation to what is in the box, and
    is checked as one.
    """
    kept = (replace(section, blocks=tuple(_joined(_blocks(section.blocks)))) for section in sections)
    return tuple(section for section in kept if any(not isinstance(b, Paragraph) for b in section.blocks))


def _blocks(blocks: Iterable[Block]) -> Iterator[Block]:
    """Blocks without steps; a sentence that ends in a colon goes with the display that it leads to."""
    waiting: list[Block] = []
    for block in blocks:
        if isinstance(block, Paragraph):
            waiting.append(block)
            continue
        short = _display(block) if isinstance(block, Display) else block
        if short is not None:
            yield from (*waiting, short)
            waiting = []
        elif waiting and _leads_on(waiting[-1]):
            waiting.pop()
    yield from waiting


def _leads_on(block: Block) -> bool:
    return isinstance(block, Paragraph) and block.text.rstrip().endswith(":")


def _joined(blocks: Iterable[Block]) -> Iterator[Block]:
    """Blocks with displays that have come to stand side by side made one."""
    for are_displays, group in groupby(blocks, key=lambda block: isinstance(block, Display)):
        if are_displays:
            displays = (block for block in group if isinstance(block, Display))
            yield Display(tuple(chain for display in displays for chain in display.chains))
        else:
            yield from group


def _display(display: Display) -> Display | None:
    chains = tuple(short for chain in display.chains if (short := _chain(chain)) is not None)
    return Display(chains) if chains else None


def _chain(chain: Chain) -> Chain | None:
    """A chain's result or definition; ``None`` for one that only explains."""
    last = chain.rows[-1]
    if last.boxed or last.result or _is_of_function(last):
        return replace(chain, rows=(_result(chain, last),))
    if _is_number(last):
        return replace(chain, rows=(_value(chain, last),))
    is_definition = len(chain.rows) == 1 and not last.reason
    return chain if is_definition else None


def _is_of_function(row: Row) -> bool:
    """Whether a row is about an activation by itself, such as its derivative."""
    return row.equality is not None and row.equality.kind.startswith("function ")


def _is_number(row: Row) -> bool:
    """Whether a row says what something comes to in a worked example."""
    return row.equality is not None and (row.equality.right.is_number or row.equality.right.func is Rounded)


def _value(chain: Chain, last: Row) -> Row:
    """A number for what the chain is about; what is replaced by it keeps the arrow."""
    sign = chain.rows[0].sign
    return replace(last, reason="", sign=sign if sign == ARROW else last.sign)


def _result(chain: Chain, last: Row) -> Row:
    """The last row as an equality with the left side of the chain, unless it is one already."""
    claims = [row.equality for row in chain.rows if row.equality is not None]
    if last.equality is None or last.equality.kind != claims[0].kind:
        return replace(last, reason="")
    facts = tuple(dict.fromkeys(fact for claim in claims for fact in claim.facts))
    whole = replace(last.equality, label=chain.label, left=claims[0].left, facts=facts)
    return replace(last, reason="", equality=whole)
