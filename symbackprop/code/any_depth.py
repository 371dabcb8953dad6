"""The keys of a module for a network with a symbol for its depth: the same lines, in loops."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

import sympy as sp

from symbackprop.algebra.equations import Quantity, Role
from symbackprop.algebra.indices import size_symbol
from symbackprop.algebra.layers import LAST, LAYER
from symbackprop.code.codegen import (
    Generator,
    Statement,
    check_keys,
    checked_keys,
    helper_keys,
    labelled,
    option_keys,
    relies_on,
    sample_options,
    sample_targets,
)
from symbackprop.code.numpy_code import array_code
from symbackprop.derivation.batch import Batch
from symbackprop.forward.model import Model
from symbackprop.network import size_family


def any_depth_generator(model: Model, batch: Batch) -> Generator:
    """The generator of the lines, which knows sizes by their place in the loop."""
    return Generator(model, batch, sizes=_size_names(model))


def any_depth_keys(generator: Generator, about: Sequence[str]) -> dict[str, object]:
    """Everything that ``any_depth.py.jinja`` is filled with: a general layer's lines stand in a loop."""
    model = generator.model
    loops = _Loops(generator)
    code = {
        "forward_lines": loops.lines(generator.forward, "range(1, L)"),
        "cost_forward_lines": loops.lines(generator.needed_for_cost, "range(1, L)"),
        "gradient_forward_lines": loops.lines(generator.needed_for_gradients, "range(1, L)"),
        "cost_lines": loops.plain(generator.costs),
        "backward_lines": loops.lines(generator.backward, "range(L - 1, 0, -1)"),
        "gradient_lines": loops.gradients(generator.gradients),
    }
    keys: dict[str, object] = {
        "docstring": f"Cost and gradients of the network {model.network.name}, for any number of layers.",
        "about": list(about),
        "relies_on": relies_on(model),
        "parameters": [(_pattern(p), _shape(p)) for p in _general_parameters(model)],
        "shape_words": " for layer l = 1, ..., L",
        "hidden_patterns": json.dumps(_patterns(model, model.general_layer)),
        "output_patterns": json.dumps(_patterns(model, model.last_layer)),
        "declared": _declared(model),
        **code,
        **stores(code),
        "forward_setup": _sizes_in(code["forward_lines"]),
        "cost_setup": _sizes_in([*code["cost_forward_lines"], *code["cost_lines"]]),
        "setup": _sizes_in([line for lines in code.values() for line in lines]),
        "unpacked": "L, W, b" if _with_bias(model) else "L, W",
        "input_size": "n_0",
        "output_size": "n_L",
        "output": "a[L]",
        "total": generator.names.quantity("C"),
    }
    keys |= option_keys(generator) | check_keys(generator)
    keys["sample_options"] = sample_options(generator)
    keys["sample_targets"] = sample_targets(model, "sizes[-1]")
    keys["names"] = '[*_names(L), "x"]' if generator.wrt_input else "_names(L)"
    keys["wrt_input"] = generator.wrt_input
    return keys | helper_keys(generator) | checked_keys(generator)


STORES = {"z": "{}", "a": "{0: x}", "delta": "{}", "adjoint_a": "{}", "gradients": "{}"}
"""What a function keeps by layer, or by name, and what is there before the first."""


def stores(code: Mapping[str, Sequence[str]]) -> dict[str, object]:
    """The lines that make dictionaries, for the outputs, for the cost and for the gradients."""
    return {
        "forward_stores": made_for(code["forward_lines"]),
        "cost_stores": made_for([*code["cost_forward_lines"], *code["cost_lines"]]),
        "stores": made_for([line for lines in code.values() for line in lines]),
    }


def made_for(lines: Sequence[str], names: Iterable[str] = STORES) -> str:
    """The line that makes the dictionaries which some lines write into.

    >>> made_for(["a[l] = np.tanh(a[l - 1] @ W[l].T)"])
    'a = {0: x}'
    """
    found = [name for name in names if any(re.search(rf"(?<!\w){name}\[", line) for line in lines)]
    return f"{', '.join(found)} = {', '.join(STORES[name] for name in found)}"


class _Loops:
    """Lays statements out: those of a general layer in a loop, those of the last layer beside it."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator

    def code(self, statement: Statement) -> list[str]:
        text = array_code(statement.array, self.generator.names).text
        return labelled(f"{statement.target} = {text}", statement.label)

    def plain(self, statements: Iterable[Statement]) -> list[str]:
        """Statements without a loop."""
        return [line for statement in statements for line in self.code(statement)]

    def lines(self, statements: Sequence[Statement], layers: str) -> list[str]:
        """A loop over the hidden layers; the last layer's lines come before it when layers go down."""
        loop = self.loop(layers, self.plain(s for s in statements if self.is_general(s.target)))
        last = self.plain(s for s in statements if s.target.endswith(f"[{LAST}]"))
        return last + loop if layers.endswith("-1)") else loop + last

    def gradients(self, statements: Sequence[Statement]) -> list[str]:
        """The gradients by name, in a loop and for the last layer."""
        named = [Statement(gradient_key(s.target), s.array, s.label) for s in statements]
        hidden = (n for n, s in zip(named, statements, strict=True) if self.is_general(s.target))
        output = (n for n, s in zip(named, statements, strict=True) if not self.is_general(s.target))
        return [*self.loop(f"range(1, {LAST})", self.plain(hidden)), *self.plain(output)]

    def loop(self, layers: str, lines: list[str]) -> list[str]:
        """Lines for every layer of a range, after the sizes of the layer that they use."""
        sizes = [f"{name} = {code}" for name, code in _LAYER_SIZES.items() if uses(lines, name)]
        return [f"for {LAYER} in {layers}:", *(f"    {line}" for line in (*sizes, *lines))]

    def is_general(self, target: str) -> bool:
        return target.endswith(f"[{LAYER}]")


def gradient_key(target: str) -> str:
    """``W[l]`` as the key of a dictionary, the layer's number put in when it runs; ``x`` has no layer."""
    letter, _, layer = target.rstrip("]").partition("[")
    return f'gradients[f"{letter}{{{layer}}}"]' if layer else f'gradients["{letter}"]'


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


_LAYER_SIZES = {"n_l": "W[l].shape[0]", "n_before": "W[l].shape[1]", "n_after": "W[l + 1].shape[0]"}
"""The sizes that a line in a loop over the layers l may use, and where they come from."""

_SIZES = {"n_0": "x.shape[1]", "n_hidden": "W[L].shape[1]", "n_L": "W[L].shape[0]"}
"""The sizes that any line may use."""


def _size_names(model: Model) -> dict[sp.Symbol, str]:
    """What stands for each size in the code: its number where the spec gives one, else its name there."""
    names = {
        "n_0": "n_0",
        "n_1": "W[1].shape[0]",
        "n_l-1": "n_before",
        "n_l": "n_l",
        "n_l+1": "n_after",
        "n_L-1": "n_hidden",
        "n_L": "n_L",
    }
    numbers = {symbol: str(size) for symbol, size in model.sizes if size.is_Integer}
    return {size_symbol(size): name for size, name in names.items()} | {LAST: "L", LAYER: "l"} | numbers


def uses(lines: Iterable[str], name: str) -> bool:
    """Whether a name stands in some lines of code, comments apart."""
    return any(re.search(rf"(?<![\w.]){name}(?!\w)", line.partition("  # ")[0]) for line in lines)


def _sizes_in(lines: Sequence[str]) -> list[str]:
    """The sizes that the lines use, as the mean over the outputs does."""
    return [f"{name} = {code}" for name, code in _SIZES.items() if uses(lines, name)]


def _declared(model: Model) -> str:
    """What the spec says of the sizes of the input, of every hidden layer and of the output, if anything.

    A number, or the name of one; ``None`` where nothing else has to have the same size.
    """
    hidden, output = (layer.size for layer in model.network.layers)
    sizes = (model.network.input_size, None if size_family(hidden) else hidden, output)
    names = [size for size in (*sizes, sizes[1]) if isinstance(size, str)]
    told = [size if isinstance(size, int) or names.count(str(size)) > 1 else None for size in sizes]
    return "" if told == [None] * 3 else repr(tuple(told)).replace("'", '"')
