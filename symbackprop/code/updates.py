"""Training steps: an update rule's formulas as lines of code for any target."""

from __future__ import annotations

import re
from collections.abc import Mapping

import sympy as sp

from symbackprop.code.numpy_code import Code, Names, scalar_code
from symbackprop.code.targets import TARGETS, in_every_function
from symbackprop.errors import SymbackpropError
from symbackprop.network import argument
from symbackprop.rendering.render import fill
from symbackprop.spec.catalogue import UPDATES, UpdateRule
from symbackprop.spec.formula import parse_formula

LIKE = {0: "zeros_like", 1: "ones_like"}


def rule_named(name: str) -> UpdateRule:
    """The update rule of this name.

    Raises:
        SymbackpropError: if there is none.
    """
    if name not in UPDATES:
        raise SymbackpropError(f"update: {name!r}: there are {', '.join(UPDATES)}")
    return UPDATES[name]


def quantities_of(rule: UpdateRule) -> tuple[str, ...]:
    """The names of everything that a rule's formulas are made of.

    >>> quantities_of(rule_named("momentum"))
    ('p', 'g', 'v', 'learning_rate', 'momentum')
    """
    return tuple(dict.fromkeys(("p", "g", *rule.states, *rule.equations, *rule.settings)))


def equations_of(rule: UpdateRule) -> Mapping[str, sp.Expr]:
    """What each quantity of a rule becomes, as expressions in what it was and the gradient.

    >>> equations_of(rule_named("momentum"))["p"]
    -learning_rate*v + p
    """
    names, found = quantities_of(rule), {}
    for target, text in rule.equations.items():
        read = [name for name in names if re.search(rf"\b{name}\b", text)]
        others = tuple(name for name in names if name not in read)
        found[target] = parse_formula(text, (*read, *others)).expr
    return found


def update_source(name: str, target: str, options: str, passed_options: str) -> str:
    """The functions of a training step, for a module that has ``cost_and_gradients``.

    ``options`` are the keyword arguments of the gradients as they are declared, and as they are passed on.
    """
    rule = rule_named(name)
    codes = {name: Code(name) for name in quantities_of(rule)}
    operands = {argument(name): code for name, code in codes.items()}
    equations = equations_of(rule)
    lines = [(key, scalar_code(expr, operands, Names({})).text) for key, expr in equations.items()]
    own = [state for state in rule.states if state not in rule.shared]
    shared = [state for state in rule.states if state in rule.shared]
    text = fill(
        "update.py.jinja",
        {
            "rule": name,
            "description": rule.description,
            "settings": [f"{key}={value!r}" for key, value in rule.settings.items()],
            "states": own,
            "own": [(state, LIKE[rule.states[state]]) for state in own],
            "shared": [(state, float(rule.states[state])) for state in shared],
            "shared_lines": [(key, code) for key, code in lines if key in rule.shared],
            "lines": [(key, code) for key, code in lines if key not in rule.shared],
            "options": options,
            "passed_options": passed_options,
        },
    )
    if target not in TARGETS:
        return text
    found = TARGETS[target].line(text)
    library = "xp = array_namespace(*parameters.values())"
    return in_every_function(found, library, "xp.") if target == "array-api" else found


def with_update(keys: dict[str, object], rule: str | None, target: str = "numpy") -> dict[str, object]:
    """The keys of a module with the text of a training step, empty where none is asked for."""
    text = ""
    if rule is not None:
        text = update_source(rule, target, str(keys["options"]), str(keys["passed_options"]))
    return {**keys, "update_text": text}
