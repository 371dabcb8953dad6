"""The training step of a rule: the formulas that the generated code computes, in letters that are free."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import sympy as sp

from symbackprop.algebra.equations import Partial, Quantity, Role
from symbackprop.code.updates import equations_of, quantities_of, rule_named
from symbackprop.errors import SymbackpropError
from symbackprop.layout.detail import ARROW
from symbackprop.layout.document import Chain, Display, Paragraph, Row, Section, chains
from symbackprop.layout.letter_clashes import taken_letters
from symbackprop.layout.writer import Writer
from symbackprop.network import argument
from symbackprop.printing.latex import latex
from symbackprop.printing.symbols import letter_of, whole
from symbackprop.spec.catalogue import UpdateRule

RATE = "learning_rate"
"""The quantity that every notation has a letter for."""

CHOICES: Mapping[str, tuple[str, ...]] = {
    "p": ("theta", "vartheta", "phi", "psi"),
    "g": ("g", "gamma", "h", "zeta"),
    "m": ("m", "mu", "M", "xi"),
    "v": ("v", "nu", "V", "tau"),
    "c": ("c", "kappa", "rho", "chi"),
    "d": ("d", "lambda", "xi", "upsilon"),
    "momentum": ("mu", "alpha", "rho", "kappa"),
    "beta_1": ("beta_1", "rho_1", "gamma_1"),
    "beta_2": ("beta_2", "rho_2", "gamma_2"),
    "epsilon": ("epsilon", "varepsilon", "iota"),
}
"""The letters for the quantities of a rule, the first that means nothing else being taken."""


MANY = 8
"""So many parameters are listed one by one."""


ROLES = {"p": Role.PARAMETER, "g": Role.GRADIENT}
"""What tells in which order factors and terms stand; what is kept from step to step comes last."""


def update_section(writer: Writer, name: str, sections: Sequence[Section]) -> Section:
    """The formulas of a rule, for whatever parameter of the network, after these sections.

    Raises:
        SymbackpropError: if there is no rule of this name, or no letter is left for one of its quantities.
    """
    rule, words = rule_named(name), writer.words
    symbols = _symbols(rule, taken_letters(writer.model, writer.names.notation) | _printed(sections))
    writer = _with_roles(writer, rule, symbols)
    letters = {key: latex(symbol, writer.names) for key, symbol in symbols.items()}
    about = words.text("update", parameter=f"${letters['p']}$", parameters=_parameters(writer))
    start = ", ".join(f"${letters[state]} = {value}$" for state, value in rule.states.items())
    before = [Paragraph(words.text("update_start", start=start))] if start else []
    display = Display(tuple(_chains(writer, rule, symbols)))
    return Section(words.headings["update"].format(rule=name), (Paragraph(about), *before, display))


def _symbols(rule: UpdateRule, taken: set[str]) -> Mapping[str, sp.Symbol]:
    """A symbol for every quantity of the rule, with a letter that nothing else in the text has."""
    found: dict[str, sp.Symbol] = {}
    for name in quantities_of(rule):
        choices = _choices(name, found)
        free = [choice for choice in choices if name == RATE or letter_of(choice) not in taken]
        if not free:
            letters = ", ".join(map(letter_of, choices))
            raise SymbackpropError(f"update: every letter for {name} means something else: {letters}")
        found[name] = sp.Symbol(free[0], real=True)
        taken.add(letter_of(free[0]))
    return found


def _choices(name: str, found: Mapping[str, sp.Symbol]) -> tuple[str, ...]:
    """The letters that a quantity may have; what has a hat has it on the letter below."""
    below = name.removesuffix("hat")
    if below != name and below in found:
        return (f"{found[below].name}hat",)
    return CHOICES.get(name, (name,))


def _printed(sections: Sequence[Section]) -> set[str]:
    """Every single letter in the displays of these sections."""
    lines = (line for chain in chains(sections) for row in chain.rows for line in (chain.left, *row.lines))
    return {letter for line in lines for letter in re.findall(r"(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])", line)}


def _with_roles(writer: Writer, rule: UpdateRule, symbols: Mapping[str, sp.Symbol]) -> Writer:
    """A writer that knows what the letters of the rule stand for."""
    names, own = writer.names, {}
    shown = {symbol: latex(symbol, names) for symbol in symbols.values()}
    for name in ("p", "g", *(name for name in (*rule.states, *rule.equations) if name != "p")):
        letter = symbols[name].name
        own[letter] = Quantity(letter, letter, ROLES.get(name, Role.INTERMEDIATE), None, ())
    return replace(writer, names=replace(names, quantities={**names.quantities, **own}, numbers=shown))


def _parameters(writer: Writer) -> str:
    """What the rule is for, as whole matrices and vectors."""
    found = [f"${whole(parameter, writer.names)}$" for parameter in writer.model.program.parameters]
    return ", ".join(found if len(found) <= MANY else [*found[:2], r"$\ldots$", *found[-2:]])


def _chains(writer: Writer, rule: UpdateRule, symbols: Mapping[str, sp.Symbol]) -> Iterator[Chain]:
    """What the gradient is, and what every quantity becomes, with the labels of the code."""
    slope = Partial(writer.model.total.outputs[0].symbol, symbols["p"])
    left = latex(symbols["g"], writer.names)
    yield Chain(left, (Row(writer.lines(slope, left)),), "update-g")
    put_in = {argument(name): symbol for name, symbol in symbols.items()}
    for name, expr in equations_of(rule).items():
        left = latex(symbols[name], writer.names)
        lines = writer.lines(expr.xreplace(put_in), left)
        sign = ARROW if name == "p" or name in rule.states else "="
        yield Chain(left, (Row(lines, sign=sign, boxed=name == "p"),), f"update-{name}")
