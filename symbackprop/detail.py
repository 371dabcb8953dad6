"""How much of a derivation is told: every step with its reason, or the results alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from symbackprop.check import Equality
from symbackprop.document import Block, Chain, Display, Paragraph, Row, Section

BRIEF, FULL = "brief", "full"


def brief(sections: Sequence[Section]) -> tuple[Section, ...]:
    """Definitions and boxed results: no steps, no reasons, and no sentence that only leads to a step.

    A result is an equality of its own, from the left side of its derivation to what is in the box, and
    is checked as one.
    """
    kept = (Section(section.heading, tuple(_blocks(section.blocks))) for section in sections)
    return tuple(section for section in kept if any(not isinstance(b, Paragraph) for b in section.blocks))


def _blocks(blocks: Iterable[Block]) -> Iterator[Block]:
    """Blocks without steps; sentences before a display that is left out go with it."""
    waiting: list[Paragraph] = []
    for block in blocks:
        if isinstance(block, Paragraph):
            waiting.append(block)
            continue
        short = _display(block) if isinstance(block, Display) else block
        if short is not None:
            yield from (*waiting, short)
        waiting = []
    yield from waiting


def _display(display: Display) -> Display | None:
    chains = tuple(short for chain in display.chains if (short := _chain(chain)) is not None)
    return Display(chains) if chains else None


def _chain(chain: Chain) -> Chain | None:
    """A chain's result or definition; ``None`` for one that only explains."""
    last = chain.rows[-1]
    if last.boxed or _is_of_function(last):
        return replace(chain, rows=(_result(chain, last),))
    is_definition = len(chain.rows) == 1 and not last.reason
    return chain if is_definition else None


def _is_of_function(row: Row) -> bool:
    """Whether a row is about an activation by itself, such as its derivative."""
    return row.equality is not None and row.equality.kind.startswith("function ")


def _result(chain: Chain, last: Row) -> Row:
    """The last row as an equality with the left side of the chain."""
    claims = [row.equality for row in chain.rows if row.equality is not None]
    if len(chain.rows) == 1 or last.equality is None:
        return replace(last, reason="")
    facts = tuple(dict.fromkeys(fact for claim in claims for fact in claim.facts))
    whole = Equality(chain.label, claims[0].left, last.equality.right, last.equality.free, last.equality.kind)
    return replace(last, reason="", equality=replace(whole, facts=facts))
