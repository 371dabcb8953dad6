"""The keys of a NumPy module for a network with a symbol for its depth: the same lines, in loops."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

import sympy as sp

from symbackprop.arrays import Array
from symbackprop.batch import Batch
from symbackprop.codegen import (
    Generator,
    Statement,
    cost_options,
    forward_options,
    helper_keys,
    labelled,
    options,
    relies_on,
    sample_options,
    sample_targets,
)
from symbackprop.equations import Quantity, Role
from symbackprop.forward import Model
from symbackprop.numpy_code import array_code


def any_depth_keys(model: Model, batch: Batch, about: Sequence[str]) -> dict[str, object]:
    """Everything that ``any_depth.py.jinja`` is filled with: a general layer's lines stand in a loop."""
    generator = Generator(model, batch)
    loops = _Loops(generator, model.general_layer, model.last_layer)
    keys: dict[str, object] = {
        "docstring": f"Cost and gradients of the network {model.network.name}, for any number of layers.",
        "about": list(about),
        "relies_on": relies_on(model),
        "parameters": [(_pattern(p), _shape(p)) for p in _general_parameters(model)],
        "shape_words": " for layer l = 1, ..., L",
        "bias_names": ", b" if _with_bias(model) else "",
        "hidden_patterns": json.dumps(_patterns(model, model.general_layer)),
        "output_patterns": json.dumps(_patterns(model, model.last_layer)),
        "adjoints": any(s.target.startswith("adjoint_a") for s in generator.backward),
        "forward_lines": loops.lines(generator.forward, "range(1, L)"),
        "cost_forward_lines": loops.lines(generator.needed_for_cost, "range(1, L)"),
        "cost_setup": _sizes_used(generator),
        "cost_lines": loops.plain(generator.costs),
        "backward_lines": loops.lines(generator.backward, "range(L - 1, 0, -1)"),
        "gradient_lines": loops.gradients(generator.gradients),
        "setup": _sizes_used(generator),
        "total": generator.names.quantity("C"),
    }
    arguments = options(generator)
    keys["options"] = arguments
    keys["cost_options"] = cost_options(generator)
    keys["forward_options"] = forward_options(generator)
    keys["passed_options"] = "".join(f", {n}={n}" for n in _argument_names(arguments))
    keys["sample_options"] = sample_options(generator)
    keys["sample_targets"] = sample_targets(model, "sizes[-1]")
    return _with_last_layer(keys, str(model.last_layer)) | helper_keys(generator)


def _with_last_layer(keys: dict[str, object], depth: str) -> dict[str, object]:
    """The lines with L for the last layer, as the template calls it, whatever the spec does."""

    def renamed(value: object) -> object:
        if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
            return value
        return [re.sub(rf"(?<![\w]){depth}(?!\w)", "L", line) for line in value]

    return keys if depth == "L" else {key: renamed(value) for key, value in keys.items()}


def _argument_names(arguments: str) -> list[str]:
    return [part.split("=")[0].strip() for part in arguments.split(",") if part.strip() not in ("", "*")]


class _Loops:
    """Lays statements out: those of a general layer in a loop, those of the last layer beside it."""

    def __init__(self, generator: Generator, general: sp.Symbol, last: sp.Expr) -> None:
        self.generator, self.general, self.last = generator, general, last

    def code(self, statement: Statement) -> list[str]:
        text = array_code(statement.array, self.generator.names).text
        return labelled(f"{statement.target} = {text}", statement.label)

    def plain(self, statements: Iterable[Statement]) -> list[str]:
        """Statements without a loop."""
        return [line for statement in statements for line in self.code(statement)]

    def lines(self, statements: Sequence[Statement], layers: str) -> list[str]:
        """A loop over the hidden layers; the last layer's lines come before it when layers go down."""
        loop = [f"for {self.general} in {layers}:"]
        loop += [f"    {line}" for line in self.plain(s for s in statements if self.is_general(s.target))]
        last = self.plain(s for s in statements if s.target.endswith(f"[{self.last}]"))
        return last + loop if layers.endswith("-1)") else loop + last

    def gradients(self, statements: Sequence[Statement]) -> list[str]:
        """The gradients by name, in a loop and for the last layer."""
        named = [Statement(_key(s.target), s.array, s.label) for s in statements]
        loop = [f"for {self.general} in range(1, {self.last}):"]
        hidden = (n for n, s in zip(named, statements, strict=True) if self.is_general(s.target))
        output = (n for n, s in zip(named, statements, strict=True) if not self.is_general(s.target))
        return [*loop, *(f"    {line}" for line in self.plain(hidden)), *self.plain(output)]

    def is_general(self, target: str) -> bool:
        return target.endswith(f"[{self.general}]")


def _key(target: str) -> str:
    """``W[l]`` as the key of a dictionary, the layer's number put in when it runs."""
    letter, _, layer = target.rstrip("]").partition("[")
    return f'gradients[f"{letter}{{{layer}}}"]'


def _general_parameters(model: Model) -> list[Quantity]:
    return [p for p in model.own_parameters if p.layer in (model.general_layer, model.last_layer)][:2]


def _pattern(parameter: Quantity) -> str:
    return f"{parameter.letter}{{l}}"


def _shape(parameter: Quantity) -> str:
    return '("n_{l}", "n_{l-1}")' if parameter.role is Role.WEIGHT else '("n_{l}",)'


def _with_bias(model: Model) -> bool:
    return any(layer.bias for layer in model.network.layers)


def _patterns(model: Model, layer: sp.Expr) -> list[str]:
    return [_pattern(p) for p in model.own_parameters if p.layer == layer]


def _sizes_used(generator: Generator) -> list[str]:
    """The sizes that the formulas use, as the mean over the outputs does."""
    arrays: list[Array] = [s.array for s in (*generator.costs, *generator.backward, *generator.gradients)]
    used = "\n".join(array_code(array, generator.names).text for array in arrays)
    last = f"n_{generator.model.last_layer}"
    return [f"{last} = y.shape[1]"] if last in used else []
