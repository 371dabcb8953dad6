"""Networks of any depth for Numba: what one layer computes is compiled, the loop over the layers is Python's.

The equations of a general layer, of the last one, of the deltas and of the gradients are a part each. A
part becomes one function, which gets the arrays that it reads and returns those that others read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import sympy as sp

from symbackprop.algebra.equations import Equation
from symbackprop.algebra.layers import LAST, LAYER
from symbackprop.code.any_depth import any_depth_generator, any_depth_keys, gradient_key, stores, uses
from symbackprop.code.codegen import WORD, Generator, Statement, function_names, labelled, option_names
from symbackprop.code.lowering import Lowering
from symbackprop.code.numba_code import Loop as CompiledLoop
from symbackprop.code.numba_code import NumbaCode
from symbackprop.code.numba_kernels import compiled_kernels
from symbackprop.code.numpy_code import Names
from symbackprop.code.plan import plan
from symbackprop.code.schedule import Goal
from symbackprop.derivation.batch import Batch
from symbackprop.errors import NoRule
from symbackprop.forward.model import EXAMPLES, Model

Named = tuple[str, Statement]
"""A quantity's name, and the statement that computes it."""

_BESIDE = {"": "", "-1": "_before", "+1": "_after"}
"""What a layer is called beside the one that a part is about."""


def any_depth_numba_keys(model: Model, batch: Batch, about: Sequence[str]) -> dict[str, object]:
    """What ``any_depth.py.jinja`` is filled with for Numba: calls of compiled functions in the loops.

    Raises:
        NoRule: for an operation that has no form there.
    """
    generator = any_depth_generator(model, batch)
    plain = any_depth_keys(generator, about)
    parts = _Parts(generator)
    forward = parts.loop("range(1, L)", parts.hidden_layer) + parts.call(parts.output_layer)
    costs = [*parts.call(parts.example_costs), *parts.plain_costs()]
    backward = parts.call(parts.output_delta) + parts.loop("range(L - 1, 0, -1)", parts.hidden_delta)
    gradients = [
        *parts.loop("range(1, L)", parts.hidden_gradients),
        *parts.call(parts.output_gradients),
        *(parts.call(parts.input_gradient) if generator.wrt_input else []),
    ]
    lines = {
        "forward_lines": forward,
        "cost_forward_lines": forward,
        "gradient_forward_lines": forward,
        "cost_lines": costs,
        "backward_lines": backward,
        "gradient_lines": gradients,
    }
    setups = {
        "forward_setup": parts.setup(forward),
        "cost_setup": parts.setup([*forward, *costs]),
        "setup": parts.setup([line for each in lines.values() for line in each]),
    }
    kept = {key: value for key, value in plain.items() if key not in ("kernels", "functions")}
    return {**kept, **lines, **stores(lines), **setups, **parts.keys()}


@dataclass(frozen=True)
class _Part:
    """A function: its name, the arrays that it gets and gives back, and its lines."""

    name: str
    says: str
    inputs: tuple[str, ...]
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass
class _Parts:
    """The parts of a network; what they have in common is collected on the way."""

    generator: Generator
    loops: dict[tuple[str, ...], CompiledLoop] = field(default_factory=dict)
    kernels: set[str] = field(default_factory=set)
    made: list[_Part] = field(default_factory=list)
    turned: int = 0

    # which there are

    @cached_property
    def hidden_layer(self) -> _Part:
        """Forward through any hidden layer."""
        return self.part("_hidden_layer", "Forward through hidden layer l.", self.of(self.forward, LAYER))

    @cached_property
    def output_layer(self) -> _Part:
        """Forward through the last layer."""
        return self.part("_output_layer", "Forward through layer L.", self.of(self.forward, LAST))

    @cached_property
    def example_costs(self) -> _Part:
        """The cost of each example."""
        costs = [(name, s) for name, s in self.costs if EXAMPLES in s.array.dims]
        return self.part("_example_costs", "The cost of each example.", costs)

    @cached_property
    def output_delta(self) -> _Part:
        """The delta of the last layer."""
        return self.part("_output_delta", "The delta of layer L.", self.of(self.backward, LAST))

    @cached_property
    def hidden_delta(self) -> _Part:
        """The delta of any hidden layer."""
        return self.part("_hidden_delta", "The delta of hidden layer l.", self.of(self.backward, LAYER))

    @cached_property
    def hidden_gradients(self) -> _Part:
        """The gradients of any hidden layer."""
        return self.part(
            "_hidden_gradients", "The gradients of hidden layer l.", self.of(self.gradients, LAYER)
        )

    @cached_property
    def output_gradients(self) -> _Part:
        """The gradients of the last layer."""
        return self.part("_output_gradients", "The gradients of layer L.", self.of(self.gradients, LAST))

    @cached_property
    def input_gradient(self) -> _Part:
        """The gradient by the input."""
        found = [(name, s) for name, s in self.gradients if "[" not in name]
        return self.part("_input_gradient", "The gradient by the input.", found)

    @cached_property
    def forward(self) -> list[Named]:
        """The layers' quantities."""
        return _named(self.generator.layers, self.generator.forward)

    @cached_property
    def costs(self) -> list[Named]:
        """From the cost of an example to the total."""
        return _named(self.generator.totals, self.generator.costs)

    @cached_property
    def backward(self) -> list[Named]:
        """The deltas, and what they are worked out from."""
        return _named(self.generator.batch.deltas, self.generator.backward)

    @cached_property
    def gradients(self) -> list[Named]:
        """The gradients, under the names of what they are by."""
        return [(s.target, s) for s in self.generator.gradients]

    @staticmethod
    def of(named: Iterable[Named], layer: sp.Expr) -> list[Named]:
        """Those of one layer."""
        return [(name, s) for name, s in named if s.target.endswith(f"[{layer}]")]

    # one of them

    def part(self, name: str, says: str, named: Sequence[Named]) -> _Part:
        """The function that works out some quantities."""
        lowering = Lowering(self.names)
        outputs = [s for q, s in named if (q, s) in self.gradients or self.is_read(s, named)]
        goals = [self.goal(lowering, one, one[1] in outputs) for one in named]
        code = self.compiled(lowering, goals)
        body = code.lines()
        self.kernels |= code.kernels
        self.turned = max(self.turned, code.turned)
        inputs = _inputs(lowering, goals)
        options = [o for o in option_names(self.generator) if uses((*body, *code.constants), o)]
        lines = [*self.allocations(code, body, inputs), *body]
        returned = ", ".join(goal.name for goal in goals if goal.gradient)
        found = _Part(
            name,
            says,
            inputs=(*inputs, *options),
            arguments=(*map(self.variable, inputs), *options),
            outputs=tuple(self.kept(s) for s in outputs),
            lines=(*lines, f"return {returned}"),
        )
        self.made.append(found)
        return found

    def goal(self, lowering: Lowering, named: Named, is_output: bool) -> Goal:
        """The node of a quantity; to the planner an output is a gradient: nothing writes over it."""
        quantity, statement = named
        target = self.variable(statement.target)
        if named in self.gradients:
            node = lowering.value(statement.array)
            return Goal(f"grad_{target}", node, statement.label, "backward", True)
        node = lowering.define(quantity, statement.array)
        return Goal(target, node, statement.label, "backward", is_output)

    def compiled(self, lowering: Lowering, goals: Sequence[Goal]) -> NumbaCode:
        """The loops of a part; those of all parts are shared."""
        sizes = dict(self.generator.model.sizes)
        planned = plan(lowering.graph, goals, sizes)
        return NumbaCode(planned, self.names, sizes, function_names(self.generator), loops=self.loops)

    def kept(self, statement: Statement) -> str:
        """Where the caller keeps an output."""
        is_gradient = any(statement is s for _, s in self.gradients)
        return gradient_key(statement.target) if is_gradient else statement.target

    def is_read(self, statement: Statement, beside: Sequence[Named]) -> bool:
        """Whether another part reads a quantity, or the same part for the next layer."""
        letter, _, layer = statement.target.partition("[")
        kinds = (self.forward, self.costs, self.backward, self.gradients)
        others = [s for kind in kinds if not any(one in kind for one in beside) for _, s in kind]
        elsewhere = any(letter in WORD.findall(self.generator.text(s)) for s in others)
        beyond = re.compile(rf"\b{letter}\[\w+ [+-] 1\]")
        next_to = any(beyond.search(self.generator.text(s)) for kind in kinds for _, s in kind)
        return elsewhere or next_to or layer == ""

    def allocations(
        self, code: NumbaCode, body: Sequence[str], inputs: Mapping[str, Sequence[sp.Expr]]
    ) -> Iterator[str]:
        """The sizes, the numbers and the arrays that the lines use."""
        first = self.variable(next(iter(inputs)))
        views = [(names, shape) for names, shape, _ in code.views(body)]
        constants = [f"{name} = {first}.dtype.type({text})" for text, name in code.constants.items()]
        zero = [f"c0 = {first}.dtype.type(0.0)"] if any("= c0" in line for line in body) else []
        text = [*body, *(shape for _, shape in views), *constants]
        for size, name in self.names.sizes.items():
            if uses(text, name) and not name.isdigit():
                yield f"{name} = {self.where(size, inputs)}"
        yield from (*zero, *constants)
        for names, shape in views:
            yield f"{names} = np.empty({shape}, {first}.dtype)"

    def where(self, size: sp.Symbol, inputs: Mapping[str, Sequence[sp.Expr]]) -> str:
        """Where a size is read off an array."""
        for name, dims in inputs.items():
            if size in dims:
                return f"{self.variable(name)}.shape[{list(dims).index(size)}]"
        raise NoRule(f"target: numba finds no array in a layer that has the size {size}")

    @cached_property
    def names(self) -> Names:
        """Variables inside a part: an array is called by its letter, and by where its layer is."""
        outer, batch = self.generator.names, self.generator.batch
        known = [*batch.forward.quantities, *(q.name for q in batch.given), *(n for n, _ in self.backward)]
        sizes = {size: "n_first" if "[" in name else name for size, name in outer.sizes.items()}
        return Names(
            sizes, {name: self.variable(name) for name in known}, outer.symbols, outer.helpers, "x.dtype"
        )

    def variable(self, name: str) -> str:
        """What a quantity is called inside a part.

        ``a[l-1]`` is ``a_before`` beside ``a[l]``, which is ``a``.
        """
        named = self.generator.names.quantity(name).replace(" ", "")
        found = re.fullmatch(r"(\w+)\[\w+?([+-]1)?\]", named)
        return found[1] + _BESIDE[found[2] or ""] if found else named

    # how they are called

    def call(self, part: _Part) -> list[str]:
        """The line that calls a part."""
        if not part.outputs:
            return []
        inputs = ", ".join(map(self.generator.names.quantity, part.inputs))
        return labelled(f"{', '.join(part.outputs)} = {part.name}({inputs})", "")

    def loop(self, layers: str, part: _Part) -> list[str]:
        """The call for every layer of a range."""
        return [f"for {LAYER} in {layers}:", *(f"    {line}" for line in self.call(part))]

    def plain_costs(self) -> list[str]:
        """What is worked out of the costs of the examples, and of the parameters, by NumPy."""
        rest = [s for _, s in self.costs if EXAMPLES not in s.array.dims]
        return [line for s in rest for line in labelled(f"{s.target} = {self.generator.text(s)}", s.label)]

    def setup(self, lines: Sequence[str]) -> list[str]:
        """Arrays in one piece each, as the compiled functions want them, and open functions compiled."""
        arrays = ["W", "b"] if any(uses([line], "b") for line in lines) else ["W"]
        found = [f"{n} = {{l: np.ascontiguousarray(value) for l, value in {n}.items()}}" for n in arrays]
        found.append("a[0] = np.ascontiguousarray(x)")
        found += ["y = np.ascontiguousarray(y)"] if uses(lines, "y") else []
        functions = [name for name in function_names(self.generator) if uses(lines, name)]
        return [*found, *(f'{name} = _compiled("{name}", {name})' for name in functions)]

    def keys(self) -> dict[str, object]:
        """The compiled functions themselves."""
        kernels = compiled_kernels(self.kernels)
        return {
            "kernels_text": f"\n\n{kernels}" if kernels else "",
            "loops": [*self.loops.values()],
            "parts": [part for part in self.made if part.outputs],
            "uses_math": any("math." in line for loop in self.loops.values() for line in loop.lines),
            "turned": self.turned > 0,
            "open_functions": function_names(self.generator),
        }


def _named(equations: Iterable[Equation], statements: Iterable[Statement]) -> list[Named]:
    """Statements under the names of the quantities that their equations define."""
    pairs = zip(equations, statements, strict=True)
    return [(equation.quantity.name, statement) for equation, statement in pairs]


def _inputs(lowering: Lowering, goals: Sequence[Goal]) -> dict[str, Sequence[sp.Expr]]:
    """The arrays that goals are worked out from, each with its sizes."""
    used = lowering.graph.below([goal.node for goal in goals])
    given = {node: q for q, node in lowering.values.items() if lowering.graph[node].operation == "given"}
    return {given[node]: lowering.graph.dims(node) for node in used if node in given}
