"""Modules for other libraries than NumPy: the plain lines, said in the words of each library."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from symbackprop.code.any_depth import any_depth_generator, any_depth_keys, made_for
from symbackprop.code.any_depth_numba import any_depth_numba_keys
from symbackprop.code.codegen import (
    Generator,
    function_names,
    helper_keys,
    option_names,
    plain_keys,
)
from symbackprop.code.numba_code import NumbaCode
from symbackprop.code.numba_kernels import compiled_kernels
from symbackprop.code.numpy_code import tuple_code
from symbackprop.code.targets import TARGETS, Target, in_every_function
from symbackprop.code.updates import with_update
from symbackprop.derivation.batch import Batch
from symbackprop.forward.model import Model
from symbackprop.rendering.render import fill

SPACE = "xp = array_namespace({})"


def target_source(
    name: str, model: Model, batch: Batch, about: Sequence[str], wrt_input: bool, update: str | None = None
) -> str:
    """The source of a module for a target of :data:`~symbackprop.code.targets.TARGETS`.

    ``wrt_input`` says whether the gradient with respect to the input was asked for; a target that needs
    it for itself must be given a batch that has it.

    Raises:
        NoRule: for an operation that the library has no function for.
    """
    target, generator = TARGETS[name], _generator(model, batch)
    plain = any_depth_keys(generator, about) if model.symbolic_depth else plain_keys(generator, about)
    keys = {key: _said(value, target) for key, value in plain.items()}
    keys = with_update(keys, update, name)
    by_depth = _any_depth if model.symbolic_depth else _one_depth
    more = _more_keys(generator, target, keys, wrt_input)
    return _tidy(fill(target.template, keys | more | by_depth(generator, keys, more)))


def _generator(model: Model, batch: Batch) -> Generator:
    return any_depth_generator(model, batch) if model.symbolic_depth else Generator(model, batch)


def _one_depth(
    generator: Generator, keys: Mapping[str, object], _more: Mapping[str, object]
) -> dict[str, object]:
    """What a template needs where every array has a name of its own."""
    parameters = [p.name for p in generator.model.program.parameters]
    kept = _read_backward([*parameters, *_targets(generator)], keys)
    return {
        "any_depth": False,
        **dict.fromkeys(("declared", "hidden_patterns", "output_patterns"), ""),
        "stores": {"forward": [], "cost": [], "gradients": [], "backward": []},
        "gradient_block": ["gradients = {", *(f"    {line}" for line in _lines(keys, "gradient_lines")), "}"],
        "gradients": "gradients",
        "kept": kept,
        "kept_by_layer": [],
        "kept_in_all": kept,
        "unpacked_again": "",
        "all_names": "PARAMETERS",
        "names_of_parameters": "PARAMETERS",
    }


def _any_depth(
    generator: Generator, keys: Mapping[str, object], more: Mapping[str, object]
) -> dict[str, object]:
    """What a template needs where arrays of all layers are in dictionaries by layer."""
    layers = {"z": "range(1, L + 1)", "a": "range(L + 1)"}
    biases, by_layer = (_read_backward(names, keys) for names in (["b"], [*layers]))
    unpacked = str(keys["unpacked"])
    kept = _read_backward([s.target for s in generator.costs], keys)
    setups = {key: _lines({**keys, **more}, key) for key in ("cost_setup", "setup")}
    return {
        "any_depth": True,
        **dict.fromkeys(("input_key", "output_key"), ""),
        "stores": {
            "forward": [keys["forward_stores"]],
            "cost": [keys["cost_stores"]],
            "gradients": [made_for([line for part in _FORWARD for line in _lines(keys, part)])],
            "backward": [made_for([line for part in _BACKWARD for line in _lines(keys, part)], _OF_BACKWARD)],
        },
        **{key: ["N = x.shape[0]", *lines] for key, lines in setups.items()},
        "gradient_block": keys["gradient_lines"],
        "gradients": f"{{name: gradients[name] for name in {keys['names']}}}",
        "kept": kept,
        "kept_by_layer": [(name, layers[name]) for name in by_layer],
        "kept_in_all": ["W", *biases, *by_layer, *kept],
        "unpacked_again": unpacked if biases else unpacked.replace("b", "_"),
        "all_names": "_names(L)",
        "names_of_parameters": "_names(_depth(parameters))",
    }


def _targets(generator: Generator) -> list[str]:
    """What the forward pass computes."""
    return [s.target for s in (*generator.forward, *generator.costs)]


def _read_backward(names: Sequence[str], keys: Mapping[str, object]) -> list[str]:
    """Those of the names that the backward pass reads."""
    return _used(names, keys, ("setup", *_BACKWARD))


def _said(value: object, target: Target) -> object:
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return target.lines(value)
    return value


def _more_keys(
    generator: Generator, target: Target, keys: Mapping[str, object], wrt_input: bool
) -> dict[str, object]:
    """Kernels, what the backward pass reads, and the options by kind."""
    kernels = target.line(fill("kernels.py.jinja", helper_keys(generator))).strip("\n")
    functions, names = function_names(generator), option_names(generator)
    numbers = [name for name in names if name not in functions]
    text = "\n".join(
        (kernels, *(line for key in keys if key.endswith("_lines") for line in _lines(keys, key)))
    )
    if target.prefix == "xp":
        kernels = in_every_function(kernels, SPACE, "xp.")
    return {
        "kernels_text": f"\n\n{kernels}" if kernels else "",
        "makes_arrays": "device_of(" in text,
        "binary_functions": [n for n in ("maximum", "minimum", "logaddexp") if f"_{n}(" in text],
        "numbers": tuple_code(numbers),
        "static_names": json.dumps(functions),
        "functions": tuple_code(functions),
        **_unpacked(functions, "functions", keys),
        **_unpacked(numbers, "options", keys, "numbers"),
        "floats": tuple_code([f"jnp.asarray({name}, x.dtype)" for name in numbers]),
        "array_refused": target.array_refused,
        "array_words": target.array_words,
        "dtype_refused": '"float" not in str(value.dtype)',
        "dtype_words": "of floating-point numbers",
        "wrt_input": wrt_input,
        "and_input": " and to x" if wrt_input else "",
    } | _with_space(target, keys)


def _with_space(target: Target, keys: Mapping[str, object]) -> dict[str, object]:
    """The line that finds out the library of the arrays, in every function that needs it."""
    if target.prefix != "xp":
        return {}
    bodies = {
        "forward_setup": ("forward_lines",),
        "cost_setup": ("cost_forward_lines", "cost_lines"),
        "setup": ("gradient_forward_lines", "cost_lines", "backward_lines", "gradient_lines"),
    }
    found: dict[str, object] = {}
    for setup, parts in bodies.items():
        lines = [line for part in parts for line in _lines(keys, part)]
        needed = any("xp." in line for line in lines)
        found[setup] = [*([SPACE.format("x")] if needed else []), *_lines(keys, setup)]
    return found


def _lines(keys: Mapping[str, object], key: str) -> list[str]:
    lines = keys[key]
    assert isinstance(lines, list)
    return lines


_OF_BACKWARD = ("delta", "adjoint_a", "gradients")
"""What only the backward pass keeps by layer."""

_FORWARD, _BACKWARD = ("gradient_forward_lines", "cost_lines"), ("backward_lines", "gradient_lines")


def _used(names: Sequence[str], keys: Mapping[str, object], parts: Sequence[str]) -> list[str]:
    """Those of the names that stand in the code of some parts."""
    code = "\n".join(re.sub(r"#.*", "", line) for part in parts for line in _lines(keys, part))
    code = re.sub(r'"\w+":|gradients\[f?"[^"]*"\]', "", code)
    return [name for name in names if re.search(rf"\b{name}\b", code)]


def _unpacked(
    names: Sequence[str], source: str, keys: Mapping[str, object], kind: str = "functions"
) -> dict[str, object]:
    """The lines that take options out of a tuple, for the forward and for the backward pass."""
    return {
        f"{direction}_{kind}": [f"{n} = {source}[{names.index(n)}]" for n in _used(names, keys, parts)]
        for direction, parts in (("forward", _FORWARD), ("backward", _BACKWARD))
    }


def _tidy(text: str) -> str:
    """No more than two empty lines in a row."""
    return re.sub(r"\n{4,}", "\n\n\n", text).rstrip("\n") + "\n"


def numba_source(model: Model, batch: Batch, about: Sequence[str], update: str | None = None) -> str:
    """The source of a module for Numba.

    Raises:
        NoRule: for open functions, and for an operation that has no form there.
    """
    if model.symbolic_depth:
        keys = with_update(any_depth_numba_keys(model, batch, about), update)
        return _tidy(fill("any_depth_numba.py.jinja", keys))
    generator = Generator(model, batch, code="arrays")
    plain = with_update(plain_keys(generator, about), update)
    functions = function_names(generator)
    code = NumbaCode(generator.loop_plan, generator.names, dict(model.sizes), functions)
    body = code.lines()
    return _tidy(fill("numba.py.jinja", {**plain, **_numba_keys(generator, code, body)}))


def _numba_keys(generator: Generator, code: NumbaCode, body: list[str]) -> dict[str, object]:
    views = code.views(body)
    sizes = [generator.names.symbol(symbol) for symbol, size in generator.model.sizes if not size.is_Integer]
    numbers = [*option_names(generator), *dict.fromkeys(sizes)]
    passed = [f'_compiled("{name}", {name})' if name in code.functions else name for name in numbers]
    parameters = [p.name for p in generator.model.program.parameters]
    constants = [("c0", "0.0")] if any("= c0" in line for line in body) else []
    kernels = compiled_kernels(code.kernels)
    gradients = [(names, shape, size) for names, shape, size in views if names.startswith("grad_")]
    shapes = generator.told_shapes
    return {
        "kernels_text": f"\n\n{kernels}" if kernels else "",
        "uses_math": any("math." in line for loop in code.loops.values() for line in loop.lines),
        "loops": [*code.loops.values()],
        "turned": code.turned > 0,
        "body": body,
        "views": views,
        "gradient_views": [
            (names.removeprefix("grad_").partition(" = ")[0], shape, size) for names, shape, size in gradients
        ],
        "sizes": " + ".join(size for _, _, size in views),
        "constants": [*constants, *((name, text) for text, name in code.constants.items())],
        "arguments": ", ".join((*parameters, *numbers)),
        "passed_numbers": "".join(f", {text}" for text in passed),
        "open_functions": [*code.functions],
        "passed_sizes": generator.passed_sizes,
        "told_shapes": [*shapes[-2:], *shapes[:-2]],
    }
