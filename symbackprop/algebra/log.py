"""The record of a derivation while it is being made."""

from __future__ import annotations

import sympy as sp

from symbackprop.algebra import rules
from symbackprop.algebra.equations import Step
from symbackprop.algebra.indices import rename_bound
from symbackprop.algebra.rules import Context, Rule


class Log:
    """Records steps; a rewrite that changes nothing but letters is no step."""

    def __init__(self, goal: sp.Expr) -> None:
        self.goal = self.expr = goal
        self.steps: list[Step] = []

    def record(self, rule: str, after: sp.Expr, facts: tuple[str, ...] = ()) -> None:
        after = after if after == self.expr else rename_bound(after)
        if after == self.expr:
            return
        self.steps.append(Step(rule, self.expr, after, facts))
        self.expr = after

    def apply(self, strategy: tuple[Rule, ...], context: Context) -> None:
        for rule in strategy:
            after = rule(self.expr, context)
            cited = tuple(fact.name for fact in context.facts) if rule is rules.use_facts else ()
            self.record(rule.__name__, after, cited)
