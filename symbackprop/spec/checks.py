"""What a spec means: sizes, activations, costs and facts, each checked, and against each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import chain, count
from typing import Any

import sympy as sp

from symbackprop.network import WIDTH, Activation, Formula, Size, index, size_family
from symbackprop.spec.catalogue import ACTIVATIONS, COSTS
from symbackprop.spec.domain import activation_failure, cost_failure
from symbackprop.spec.formula import (
    FormulaError,
    activation_named,
    cost_formula,
    is_coupled,
    parse_factor,
    parse_formula,
)
from symbackprop.spec.model import ActivationTable, CostTable
from symbackprop.tables.fields import good_fields, meant
from symbackprop.tables.mistakes import ABSENT, Mistakes, Place
from symbackprop.tables.names import did_you_mean, why_illegal, why_no_other

_LARGEST_SIZE = 10**9
_KIND = f"the kind of the cost, one of {', '.join(COSTS)}"
_SUGGESTED = ("sigmoid", "softmax", "softplus", "tanh", "linear")


def check_size(size: Any, place: Place, mistakes: Mistakes) -> Size | None:
    """A size that is a number in bounds or a legal symbol, else nothing."""
    if isinstance(size, str):
        reason = "write a number without quotes" if size.strip().isdecimal() else why_illegal(size)
    else:
        inside = 1 <= size <= _LARGEST_SIZE
        reason = None if inside else f"a size is a whole number from 1 to {_LARGEST_SIZE}"
    if reason is None:
        return size  # type: ignore[no-any-return]
    mistakes.add(place, size, reason)
    return None


def check_general_sizes(sizes: Sequence[tuple[Size | None, Place]], depth: str, mistakes: Mistakes) -> None:
    """Refuse sizes of input, hidden and output layers that contradict each other for some layer.

    >>> found = Mistakes()
    >>> places = [("input", "size"), ("layers", 0, "size"), ("layers", 1, "size")]
    >>> check_general_sizes(list(zip(["n_3", "n_l", 10], places)), "L", found)
    >>> print(*found.problems({}))
    input.size: 'n_3': n_3 is the size of layer 3, since hidden layer l has n_l units: use n_0 or another name
    """
    (first, at_first), (hidden, _), (last, at_last) = sizes
    family = size_family(hidden) if hidden is not None else None
    for size, own, place in ((first, "0", at_first), (last, depth, at_last)):
        letter, _, layer = size.rpartition("_") if isinstance(size, str) else ("", "", "")
        if letter != (family or "n") or not (layer.isdecimal() or layer == "l") or layer == own:
            continue
        since = f"since hidden layer l has {family}_l units" if family else "as layers are counted"
        name = f"{family or 'n'}_{own}"
        mistakes.add(place, size, f"{size} is the size of layer {layer}, {since}: use {name} or another name")


class Activations:
    """Reads the activations of a spec one by one, and gives the nameless ones names that are free."""

    def __init__(self, mistakes: Mistakes) -> None:
        self.mistakes = mistakes
        self.named: dict[str, Formula | None] = {}
        self.nameless: list[Formula] = []

    def read(self, given: Any, place: Place) -> Activation | None:
        """One activation as it was given, or nothing if it is wrong; a nameless one has the name ``""``."""
        if isinstance(given, Mapping):
            return self._from_table(good_fields(ActivationTable, given, place, self.mistakes), given, place)
        if given in ACTIVATIONS:
            return activation_named(given)
        hint = did_you_mean(given, ACTIVATIONS) or f"; known are {', '.join(ACTIVATIONS)}"
        self.mistakes.add(place, given, f"no activation of this name is known{hint}")
        return None

    def _from_table(self, table: Mapping[str, Any], given: Any, place: Place) -> Activation | None:
        formula, symbol, name = (table.get(key) for key in ("formula", "symbol", "name"))
        if ("formula" in given) == ("symbol" in given):
            if not any(meant(key, ActivationTable) for key in given):
                self.mistakes.add(place, given, "an activation has either a formula or a symbol")
            return None
        if symbol is not None and "name" in given:
            self.mistakes.add((*place, "name"), given["name"], "a symbol is its own name: leave this out")
        if symbol is not None:
            return self._declared(symbol, None, (*place, "symbol"))
        read = self._formula(formula, (*place, "formula")) if formula is not None else None
        if name is not None:
            return self._declared(name, read, (*place, "name"), known=read is not None)
        return None if read is None else Activation("", read)

    def _declared(
        self, name: str, formula: Formula | None, place: Place, known: bool = True
    ) -> Activation | None:
        reason = why_illegal(name) or why_no_other(name)
        if name in ACTIVATIONS:
            reason = f"{name} is the name of an activation that is known already: choose another"
        elif known and self.named.setdefault(name, formula) != formula:
            reason = f"{name} stands for something else in another layer: choose another name"
        if reason:
            self.mistakes.add(place, name, reason)
        return Activation(name, formula) if known and not reason else None

    def _formula(self, text: str, place: Place) -> Formula | None:
        try:
            formula = parse_formula(text, coupled_argument="z" if is_coupled(text) else None)
        except FormulaError as error:
            self.mistakes.add(place, text, error.sentence)
            return None
        if failure := activation_failure(formula):
            sentence = (
                f"an activation has a value for every number, and at z = {failure.at:.3g} this {failure.why}"
            )
            self.mistakes.add(place, text, sentence)
            return None
        return formula

    def name(self, activation: Activation, taken: Collection[str]) -> Activation:
        """The activation with its final name: ``f`` for the first nameless formula, then ``f_2``, …"""
        if activation.name:
            return activation
        for name, formula in self.named.items():
            if formula == activation.formula:
                return Activation(name, formula)
        numbered = (f"f_{number}" for number in count(2))
        free = next(name for name in chain(["f"], numbered) if name not in {*self.named, *taken})
        self.named[free] = activation.formula
        return Activation(free, activation.formula)


def check_one_unit(activation: Activation, size: Size | None, place: Place, mistakes: Mistakes) -> None:
    """Refuse a layer of one unit whose coupled activation is then a constant, as softmax is."""
    if size != 1 or activation.formula is None or not activation.coupled:
        return
    alone = activation.formula.expr.xreplace({WIDTH: sp.Integer(1), index("j"): sp.Integer(1)}).doit()
    if not alone.free_symbols:
        who = activation.name or "this activation"
        mistakes.add(
            place, ABSENT, f"{who} of a single unit is always {alone}: give the layer two units or more"
        )


def check_cost_formula(
    table: Mapping[str, Any], given: Any, mistakes: Mistakes
) -> tuple[str, Formula] | None:
    """The name and the formula of the cost, or nothing if it is wrong."""
    if "kind" in given and "formula" in given:
        mistakes.add(("cost",), ABSENT, "a cost has either a kind or a formula")
        return None
    if "kind" not in given and "formula" not in given:
        if {meant(key, CostTable) for key in given}.isdisjoint({"kind", "formula"}):
            mistakes.add(("cost", "kind"), ABSENT, f"missing: {_KIND}")
        return None
    kind, text = table.get("kind"), table.get("formula")
    if kind is not None and kind not in COSTS:
        hint = did_you_mean(kind, COSTS) or f"; known are {', '.join(COSTS)}"
        mistakes.add(("cost", "kind"), kind, f"no cost of this name is known{hint}")
    elif kind is not None:
        return kind, cost_formula(kind)
    elif text is not None:
        try:
            return "custom", parse_formula(text, ("a", "y"))
        except FormulaError as error:
            mistakes.add(("cost", "formula"), text, error.sentence)
    return None


def check_fit(activation: Activation, name: str, cost: Formula, place: Place, mistakes: Mistakes) -> None:
    """Refuse a cost that has no value at what the output activation gives."""
    if activation.formula is None:
        return
    failure = cost_failure(activation.formula, cost)
    if failure is None:
        return
    better = [other for other in _SUGGESTED if _fits(other, cost)]
    advice = f": use {' or '.join(better[:2])} in the output layer" if better else ""
    who = "this cost" if name == "custom" else name
    outputs = activation.name or "this activation"
    sentence = f"{who} {failure.why} at the output a = {failure.at:.3g}, which {outputs} can give{advice}"
    mistakes.add(place, name if name != "custom" else cost.text, sentence)


def _fits(name: str, cost: Formula) -> bool:
    formula = activation_named(name).formula
    return formula is not None and cost_failure(formula, cost) is None


def check_factor(given: Any, sizes: Collection[str], place: Place, mistakes: Mistakes) -> sp.Expr | None:
    """A factor before a cost or a penalty, or nothing if it is wrong."""
    try:
        return parse_factor(given, sizes)
    except FormulaError as error:
        mistakes.add(place, given, error.sentence)
    return None


def check_no_family(factor: sp.Expr, given: Any, place: Place, mistakes: Mistakes) -> sp.Expr | None:
    """The factor, or nothing where it names a size that every hidden layer has another of."""
    families = sorted(s.name for s in factor.free_symbols if s.is_integer and size_family(s.name))
    if not families:
        return factor
    wanted = f"{families[0]} is another number for every hidden layer l: a factor has one value"
    mistakes.add(place, given, wanted)
    return None


def check_distinct(symbols: Sequence[tuple[str, str, Place]], mistakes: Mistakes) -> None:
    """Refuse a name that stands for two things; ``symbols`` are names, what they are, and places.

    >>> found = Mistakes()
    >>> check_distinct([("g", "a size", ("input", "size")), ("g", "an activation", ("layers", 0))], found)
    >>> print(*found.problems({}))
    layers[0] (layer 1): 'g': g is a size already: choose another name
    """
    first: dict[str, str] = {}
    for name, meaning, place in symbols:
        if first.setdefault(name, meaning) != meaning:
            mistakes.add(place, name, f"{name} is {first[name]} already: choose another name")
