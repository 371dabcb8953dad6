"""How a derivation is told: the choices that a reader makes, as one record."""

from __future__ import annotations

from dataclasses import dataclass

from symbackprop.notation.notation import DEFAULT
from symbackprop.notation.words import DEFAULT_LANGUAGE
from symbackprop.printing.linebreak import ARTICLE
from symbackprop.printing.rounding import DIGITS


@dataclass(frozen=True)
class Manner:
    """The notation, the forms (those that are usual for a network where none are given), and so on.

    ``digits`` is how many decimals the numbers of a worked example have; ``detail`` is ``full``, every
    step with its reason, or ``brief``, the results alone; ``budget`` is how many characters a line holds,
    and ``links`` says whether there is to be room beside it for a link to the same line in another form.
    ``update`` is the rule of a training step that is shown at the end and in the code; without a name, none.
    """

    notation: str = DEFAULT
    forms: tuple[str, ...] = ()
    digits: int = DIGITS
    detail: str = "full"
    language: str = DEFAULT_LANGUAGE
    budget: float = ARTICLE
    links: bool = True
    update: str = ""
