"""From the programs of a batch to the keys that the template of a NumPy module is filled with."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import sympy as sp

from symbackprop.algebra.equations import Equation, Quantity, Role
from symbackprop.code.allocations import Allocations
from symbackprop.code.arrays import Array, Vectoriser
from symbackprop.code.fast_code import FastCode, shape_code
from symbackprop.code.lowering import Lowering
from symbackprop.code.nodes import Graph
from symbackprop.code.numpy_code import Helpers, Names, array_code, tuple_code
from symbackprop.code.plan import Plan, plan
from symbackprop.code.scalars import NotScalar, ScalarProgram, Scalars, nested
from symbackprop.code.scaling import Scaling, above
from symbackprop.code.schedule import Goal
from symbackprop.code.vector_forms import in_vectors
from symbackprop.derivation.batch import Batch
from symbackprop.errors import NoRule
from symbackprop.forward.model import EXAMPLES, FIRST, Model
from symbackprop.network import Network
from symbackprop.numerics.stable import stable
from symbackprop.tables.names import OF_ANY_DEPTH

MARGIN = 100
"""How long a line of generated code may be before it is broken."""


WORD = re.compile(r"\w+")

_LAYERS = (Role.PRE_ACTIVATION, Role.ACTIVATION, Role.INTERMEDIATE)
_COSTS = (Role.EXAMPLE_COST, Role.PENALTY, Role.COST)


@dataclass(frozen=True)
class Statement:
    """One line of the program: a variable, the array that it is set to, and its equation's label."""

    target: str
    array: Array
    label: str


@dataclass
class Generator:
    """Collects what the module of one network is made of."""

    model: Model
    batch: Batch
    helpers: Helpers = field(default_factory=Helpers)
    code: str = "auto"
    sizes: Mapping[sp.Symbol, str] | None = None
    texts: dict[Array, str] = field(default_factory=dict)

    @cached_property
    def names(self) -> Names:
        """How sizes and open symbols are called in the code."""
        sizes = self.sizes or {symbol: str(size) for symbol, size in self.model.sizes}
        symbols = {symbol.name: python_name(symbol.name) for symbol in self.open_symbols}
        quantities = {"C_x": "example_costs", "R": "penalty", "C": "total", **_of_first_layer(self.model)}
        return Names({**sizes, EXAMPLES: "N"}, quantities, symbols, self.helpers, "x.dtype")

    @property
    def wrt_input(self) -> bool:
        """Whether the gradient with respect to the input is among the gradients."""
        return any(gradient.quantity.of == self.batch.forward.inputs[0] for gradient in self.batch.gradients)

    @cached_property
    def open_symbols(self) -> tuple[sp.Symbol, ...]:
        """Symbols of the cost and the penalty that the spec leaves open, such as lambda."""
        known = {symbol for symbol, _ in self.model.sizes} | {EXAMPLES}
        found = {s for e in self.batch.forward for s in e.rhs.atoms(sp.Symbol)}
        named = {*self.batch.forward.quantities}
        free = {s for s in found if s.name not in named and s not in known and not s.is_integer}
        return tuple(sorted(free, key=lambda symbol: symbol.name))

    @cached_property
    def vectoriser(self) -> Vectoriser:
        """Knows every quantity of the batch."""
        deltas = {e.quantity.name: e.quantity for e in self.batch.deltas}
        given = {q.name: q for q in self.batch.given}
        return Vectoriser({**self.batch.forward.quantities, **given, **deltas})

    def statement(self, equation: Equation) -> Statement:
        """One equation as a line of code, in a form that can be evaluated."""
        rhs = stable(equation.rhs, self.batch.forward.definitions)
        same = Equation(equation.quantity, equation.indices, rhs, equation.label)
        return Statement(
            self.names.quantity(equation.quantity.name), self.vectoriser.equation(same), equation.label
        )

    @property
    def printed(self) -> tuple[Equation, ...]:
        """The equations that the code has a line for, the gradients left out."""
        written = (e for e in self._of(_LAYERS) if e.quantity.name not in self.model.given)
        return (*written, *self._of(_COSTS), *self.batch.deltas)

    def _of(self, roles: tuple[Role, ...]) -> tuple[Equation, ...]:
        return tuple(e for e in self.batch.forward if e.quantity.role in roles)

    @property
    def layers(self) -> tuple[Equation, ...]:
        """The equations from the inputs to the outputs."""
        return self._of(_LAYERS)

    @property
    def totals(self) -> tuple[Equation, ...]:
        """The equations from the outputs to the total cost."""
        return self._of(_COSTS)

    @cached_property
    def forward(self) -> tuple[Statement, ...]:
        """From the inputs to the outputs."""
        return tuple(self.statement(equation) for equation in self.layers)

    @cached_property
    def costs(self) -> tuple[Statement, ...]:
        """From the outputs to the total cost."""
        return tuple(self.statement(equation) for equation in self.totals)

    @cached_property
    def needed_for_cost(self) -> tuple[Statement, ...]:
        """The forward statements that the cost reads, directly or through others."""
        return self._read_by(self.costs)

    @cached_property
    def needed_for_gradients(self) -> tuple[Statement, ...]:
        """The forward statements that the cost, the deltas and the gradients read."""
        return self._read_by((*self.costs, *self.backward, *self.gradients))

    def _read_by(self, statements: Iterable[Statement]) -> tuple[Statement, ...]:
        read = {word for s in statements for word in WORD.findall(self.text(s))}
        kept: list[Statement] = []
        for statement in reversed(self.forward):
            if statement.target.partition("[")[0] in read:
                kept.append(statement)
                read.update(WORD.findall(self.text(statement)))
        return tuple(reversed(kept))

    @cached_property
    def backward(self) -> tuple[Statement, ...]:
        """The deltas, from the cost back."""
        return tuple(self.statement(equation) for equation in self.batch.deltas)

    @cached_property
    def gradients(self) -> tuple[Statement, ...]:
        """The gradients in the order of the parameters, under the parameters' names."""
        found = []
        for gradient in self.batch.gradients:
            of = gradient.quantity.of
            assert of is not None
            statement = self.statement(gradient.equation)
            found.append(Statement(of.name, statement.array, statement.label))
        return tuple(found)

    def text(self, statement: Statement) -> str:
        """The right side of a statement as code, printed once."""
        if statement.array not in self.texts:
            self.texts[statement.array] = array_code(statement.array, self.names).text
        return self.texts[statement.array]

    def lines(self, statements: Iterable[Statement]) -> list[str]:
        """Lines of code, each with its equation's label in a comment."""
        found: list[str] = []
        for statement in statements:
            code = self.text(statement)
            found += labelled(f"{statement.target} = {code}", statement.label)
        return found

    def gradient_lines(self) -> list[str]:
        """The entries of the dictionary of gradients."""
        found: list[str] = []
        for statement in self.gradients:
            code = self.text(statement)
            found += labelled(f'"{statement.target}": {code},', statement.label)
        return found

    @cached_property
    def operations(self) -> Operations:
        """Every equation as single operations, with common factors where they cost the least."""
        lowering = Lowering(self.names)
        goals = list(self._goals(lowering))
        outputs = {goal.name: goal.node for goal in goals if goal.gradient}
        targets = frozenset({lowering.values["y"]} if "y" in lowering.values else ())
        roots = [goal.node for goal in goals]
        scaling = Scaling(lowering.graph, outputs, above(lowering.graph, roots, targets))
        scaling.run(_wanted(goals, lowering))
        found = ((goal, _carrier(goal, lowering.graph, scaling.made)) for goal in goals)
        moved = tuple(replace(goal, node=scaling.made[node]) for goal, node in found if node in scaling.made)
        return Operations(scaling.new, moved, lowering.ignores_overflow)

    @cached_property
    def fast_plan(self) -> Plan:
        """The plan of the fast path: operations in order, and the memory that they write into."""
        goals, sizes = self.operations.goals, dict(self.model.sizes)
        graph, made = in_vectors(self.operations.graph, [goal.node for goal in goals], sizes)
        return plan(graph, [replace(goal, node=made[goal.node]) for goal in goals], sizes, by_rows=True)

    @cached_property
    def loop_plan(self) -> Plan:
        """The same for loops that are compiled."""
        return plan(self.operations.graph, self.operations.goals, dict(self.model.sizes))

    @property
    def told_shapes(self) -> list[str]:
        """The shapes of the parameters, of x and of y, once sizes are known."""
        parameters, inputs = self.model.program.parameters, self.model.program.inputs
        shapes = [*(p.dims for p in parameters), *((EXAMPLES, q.dims[0]) for q in inputs)]
        return [shape_code(dims, self.names) for dims in shapes]

    @property
    def passed_sizes(self) -> str:
        """The open sizes, read off the arrays, as keyword arguments."""
        found = {}
        for symbol, size in self.model.sizes:
            if not size.is_Integer:
                code = re.sub(r"\b([Wb]\d+)\b", r'parameters["\1"]', _where(symbol, self.model))
                found[self.names.symbol(symbol)] = code
        return "".join(f", {name}={code}" for name, code in found.items())

    @property
    def fixed(self) -> frozenset[sp.Symbol]:
        """The symbols that are numbers once buffers are allocated."""
        return frozenset({EXAMPLES, *(symbol for symbol, _ in self.model.sizes)})

    def scalars(self) -> ScalarProgram | None:
        """Scalar code, where there is any and it is expected to be faster for some batch."""
        if self.code == "arrays":
            return None
        graph, goals = self.operations.graph, self.operations.goals
        try:
            writer = Scalars(graph, goals, self.names, dict(self.model.sizes), self.fixed)
            found = writer.program(len(self.fast_plan.instructions))
        except NotScalar:
            if self.code == "scalar":
                raise NoRule(
                    f"code: 'scalar' is for tiny networks of known sizes, without open functions: "
                    f"{self.model.network.name} is none; take 'arrays' or 'auto'"
                ) from None
            return None
        return found if found.most >= 1 or self.code == "scalar" else None

    def _goals(self, lowering: Lowering) -> Iterator[Goal]:
        """Every equation as a node, in the order of the program."""
        parts = (
            ("forward", self.layers, self.forward),
            ("cost", self.totals, self.costs),
            ("backward", self.batch.deltas, self.backward),
        )
        for section, equations, statements in parts:
            for equation, statement in zip(equations, statements, strict=True):
                node = lowering.define(equation.quantity.name, statement.array)
                yield Goal(statement.target, node, statement.label, section)
        for statement in self.gradients:
            node = lowering.value(statement.array)
            yield Goal(f"grad_{statement.target}", node, statement.label, "backward", True)

    def fast(self) -> FastLines:
        """The lines of the fast path."""
        code = FastCode(self.fast_plan, self.names, self.fixed, self.scalars())
        lines: list[str] = []
        headings = dict(HEADINGS)
        for section, line, label, in_loop in code.lines():
            lines += ["    " * in_loop + heading for heading in [headings.pop(section, "")] if heading]
            lines += ["    " * in_loop + part for part in labelled(line, label)]
        entries = ", ".join(f'"{s.target}": grad_{s.target}' for s in self.gradients)
        allocate = [line for long in Allocations(code).lines() for line in wrapped(long)]
        allocations = [*allocate, *wrapped(f"gradients = {{{entries}}}")]
        return FastLines(lines, allocations, self.operations.ignores_overflow, code.scalars)


def _of_first_layer(model: Model) -> dict[str, str]:
    """``W1`` is ``W[1]`` where the code has a dictionary for all layers."""
    found = (*model.program.parameters, *model.given.values()) if model.symbolic_depth else ()
    return {q.name: f"{q.letter}[{FIRST}]" for q in found if q.layer == FIRST}


HEADINGS: Mapping[str, str] = {
    "forward": "# forward",
    "cost": "# cost",
    "backward": "# backward: deltas hold the factors that all gradients have",
}
"""What stands over the first line of each section."""


@dataclass(frozen=True)
class FastLines:
    """The lines of the fast path, those that allocate, and whether an overflow is meant."""

    lines: list[str]
    allocations: list[str]
    ignores_overflow: bool
    scalars: ScalarProgram | None


@dataclass(frozen=True)
class Operations:
    """All equations as operations, the goals among them, and whether an overflow is meant."""

    graph: Graph
    goals: tuple[Goal, ...]
    ignores_overflow: bool


def _carrier(goal: Goal, graph: Graph, made: Mapping[int, int]) -> int:
    """The node that stands for a goal; of a delta it may be only what a factor stood before."""
    _, base = graph.split(goal.node)
    return base if goal.section == "backward" and goal.node not in made else goal.node


def _wanted(goals: Sequence[Goal], lowering: Lowering) -> list[int]:
    """The nodes that the caller gets: the total cost and the gradients."""
    return [lowering.values["C"], *(goal.node for goal in goals if goal.gradient)]


CODES: Mapping[str, str] = {
    "auto": "number by number for batches that are small enough for it, arrays for others",
    "arrays": "NumPy arrays for every batch",
    "scalar": "number by number for every batch",
}
"""What ``make_gradients`` may be made of."""


def module_keys(model: Model, batch: Batch, about: Sequence[str], code: str = "auto") -> dict[str, object]:
    """Everything that ``gradients.py.jinja`` is filled with.

    ``about`` are the lines of the header that say from what the module was made; ``code`` is one of
    :data:`CODES`.
    """
    generator = Generator(model, batch, code=code)
    fast = generator.fast()
    keys: dict[str, object] = {
        "buffer_lines": fast.allocations,
        "fast_lines": fast.lines,
        "ignores_overflow": fast.ignores_overflow,
        "scalars": None if fast.scalars is None else _scalar_keys(generator, fast.scalars),
        "kept": any(line.startswith("kept, end = ") for line in fast.allocations),
        "spare": any(line.startswith("spare = ") for line in fast.allocations),
        "blocks": any("= _blocks(" in line for line in fast.allocations),
        "column_sums": any(line.startswith("column_sums = ") for line in fast.allocations),
        "turned": any(line.startswith("turned = ") for line in fast.allocations),
    }
    return plain_keys(generator, about) | keys | helper_keys(generator) | _sample(generator)


def plain_keys(generator: Generator, about: Sequence[str]) -> dict[str, object]:
    """The lines of the plain code, and the interface."""
    return {
        "docstring": f"Cost and gradients of the network {generator.model.network.name}.",
        "about": list(about),
        "relies_on": relies_on(generator.model),
        "forward_lines": generator.lines(generator.forward),
        "cost_forward_lines": generator.lines(generator.needed_for_cost),
        "gradient_forward_lines": generator.lines(generator.needed_for_gradients),
        "cost_lines": generator.lines(generator.costs),
        "backward_lines": generator.lines(generator.backward),
        "gradient_lines": generator.gradient_lines(),
        "total": generator.names.quantity("C"),
        **_interface(generator),
    }


def _scalar_keys(generator: Generator, program: ScalarProgram) -> dict[str, object]:
    """What the template needs of the scalar code."""
    model = generator.model
    shapes = {q.name: [int(model.with_sizes(d)) for d in q.dims] for q in model.program.parameters}
    shapes |= {q.name: [int(model.with_sizes(q.dims[0]))] for q in model.program.inputs}
    entries = [entry for _, found in program.gradients for entry in found]
    return {
        "unpacked": [(_bare(nested(p.name, shapes[p.name])), p.name) for p in model.program.parameters],
        "inputs": f"{nested('x', shapes['x'])}, {nested('y', shapes['y'])}",
        "constants": [f"{name} = {text}" for text, name in program.constants.items()],
        "before": [line for long in program.before for line in wrapped(long)],
        "sums": [" = ".join((*program.sums[i : i + 6], "0.0")) for i in range(0, len(program.sums), 6)],
        "each": [line for long in program.each for line in wrapped(long)],
        "after": [line for long in program.after for line in wrapped(long)],
        "entries": entries,
        "cost": program.cost,
        "most": None if generator.code == "scalar" else program.most,
        "exponential": any("E ** " in line for line in (*program.before, *program.each, *program.after)),
    }


def _bare(names: str) -> str:
    """A tuple of names without the parentheses around it, unless it needs them to be one."""
    return names if names.endswith(",)") else names[1:-1]


def _interface(generator: Generator) -> dict[str, object]:
    """Shapes, sizes and the keyword arguments."""
    model, names = generator.model, generator.names
    parameters = model.program.parameters
    open_sizes = [symbol for symbol, size in model.sizes if not size.is_Integer]
    inputs, outputs = (quantity.dims[0] for quantity in model.program.inputs)
    last = generator.forward[-1].target
    return {
        "parameters": [(p.name, _shape_literal(p, model)) for p in parameters],
        "shape_words": "; a name stands for a size that the network leaves open" if open_sizes else "",
        "unpacked": ", ".join(p.name for p in parameters) + ("," if len(parameters) == 1 else ""),
        "told_shapes": generator.told_shapes,
        "told": [*zip(_arrays(model), generator.told_shapes, strict=True)],
        "known_sizes": not open_sizes,
        "input_size": names.symbol(inputs),
        "output_size": names.symbol(outputs),
        "input_key": _key(inputs, model),
        "output_key": _key(outputs, model),
        "output": last,
        **option_keys(generator),
        **check_keys(generator),
        "told_options": _told_options(generator),
        "size_options": _keywords(dict.fromkeys(names.symbol(symbol) for symbol in open_sizes)),
        "setup": _setup(generator, (*generator.forward, *generator.costs, *generator.backward)),
        "cost_setup": _setup(generator, (*generator.forward, *generator.costs)),
        "forward_setup": [line for line in _setup(generator, generator.forward) if not line.startswith("N ")],
    }


def _arrays(model: Model) -> list[str]:
    """The names of all arrays that are handed in."""
    program = model.program
    return [quantity.name for quantity in (*program.parameters, *program.inputs)]


def _setup(generator: Generator, statements: Sequence[Statement]) -> list[str]:
    """The sizes that the formulas use, read off the arrays."""
    lines = ["N = x.shape[0]"]
    code = "\n".join(generator.text(s) for s in (*statements, *generator.gradients))
    for symbol, size in generator.model.sizes:
        name = generator.names.symbol(symbol)
        if not size.is_Integer and name in code and not any(line.startswith(f"{name} ") for line in lines):
            lines.append(f"{name} = {_where(symbol, generator.model)}")
    return lines


def _where(size: sp.Symbol, model: Model) -> str:
    for parameter in model.program.parameters:
        if size in parameter.dims:
            return f"{parameter.name}.shape[{parameter.dims.index(size)}]"
    return "x.shape[1]"


def options(generator: Generator) -> str:
    """The keyword arguments of the gradients: open symbols, open functions and their derivatives."""
    return _keywords([*_symbol_options(generator), *_function_options(generator)])


def option_keys(generator: Generator) -> dict[str, object]:
    """The keyword arguments of each function, and how it hands on to the checks those that it reads."""
    names = option_names(generator)
    functions = function_names(generator)
    forward = [name for name in functions if not name.endswith("_prime")]
    cost = [name for name in names if name not in functions or name in forward]
    return {
        "options": options(generator),
        "cost_options": cost_options(generator),
        "forward_options": forward_options(generator),
        "passed_options": _handed_on(names),
        "passed_to_cost": _handed_on(cost),
        "passed_to_forward": _handed_on(forward),
    }


def _told_options(generator: Generator) -> str:
    """What the quick look of the fast path asks of the keyword arguments."""
    functions = function_names(generator)
    return "".join(
        f" and callable({name})" if name in functions else f" and {name}.__class__ is float"
        for name in option_names(generator)
    )


def _handed_on(names: Iterable[str]) -> str:
    return "".join(f", {name}={name}" for name in names)


def check_keys(generator: Generator) -> dict[str, object]:
    """What the checks of a module ask of arrays, and which options are to be numbers or functions."""
    functions = function_names(generator)
    numbers = [name for name in option_names(generator) if name not in functions]
    return {
        "array_refused": "type(value) not in (np.ndarray, np.memmap)",
        "array_words": "a plain NumPy array",
        "dtype_refused": "value.dtype not in (np.float32, np.float64)",
        "dtype_words": "float32 or float64",
        "checked_numbers": numbers,
        "checked_functions": functions,
    }


def option_names(generator: Generator) -> list[str]:
    """The names of the keyword arguments: open symbols first, then open functions and their derivatives."""
    return [*(python_name(s.name) for s in generator.open_symbols), *function_names(generator)]


def function_names(generator: Generator) -> list[str]:
    """The names of the open functions and of their derivatives."""
    return _function_options(generator)


def cost_options(generator: Generator) -> str:
    """Those of the cost: derivatives may be handed in, and are not used."""
    return _keywords([*_symbol_options(generator), *_function_options(generator, "=None")])


def forward_options(generator: Generator) -> str:
    """Those of the outputs: open symbols may be handed in too, and only functions are used."""
    return _keywords([*_symbol_options(generator, "=None"), *_function_options(generator, "=None")])


def _symbol_options(generator: Generator, unknown: str = "") -> list[str]:
    values = dict(_spec_symbols(generator.model.network))
    return [
        f"{python_name(s.name)}={values[s.name]!r}" if s.name in values else python_name(s.name) + unknown
        for s in generator.open_symbols
    ]


def _function_options(generator: Generator, derivative: str = "") -> list[str]:
    letters = sorted(generator.helpers.open_functions)
    return [name for letter in letters for name in (letter, f"{letter}_prime{derivative}")]


def _keywords(names: Iterable[str]) -> str:
    """The end of a list of parameters: keyword arguments alone."""
    listed = ", ".join(names)
    return f", *, {listed}" if listed else ""


def _spec_symbols(network: Network) -> tuple[tuple[str, float], ...]:
    return network.values.symbols if network.values is not None else ()


def helper_keys(generator: Generator) -> dict[str, object]:
    """Kernels of the template and functions made from formulas, those that the lines above used."""
    functions = [
        {"name": name, "docstring": _function_words(name), "code": code}
        for name, code in generator.helpers.functions.items()
    ]
    return {"kernels": sorted(generator.helpers.kernels), "functions": functions}


def _function_words(name: str) -> str:
    if name.endswith("_derivative"):
        return f"The derivative of the activation {name[1:].removesuffix('_derivative')}."
    return f"The activation {name[1:]}."


def _sample(generator: Generator) -> dict[str, object]:
    """Sizes, targets and options that the module checks itself with."""
    model = generator.model
    open_sizes = dict.fromkeys(str(size) for _, size in model.sizes if not size.is_Integer)
    sizes = {name: 2 + place % 4 for place, name in enumerate(open_sizes)}
    outputs = _key(model.program.inputs[1].dims[0], model)
    return {
        "sample_sizes": json.dumps(sizes),
        "sample_targets": sample_targets(model, f"sizes.get({outputs}, {outputs})"),
        "sample_options": sample_options(generator),
        **checked_keys(generator),
    }


def checked_keys(generator: Generator) -> dict[str, object]:
    """The arrays whose gradients a module returns and checks itself with, and words for the input's."""
    if not generator.wrt_input:
        return {"checked": "parameters", "and_input": "", "like": "parameter"}
    return {"checked": '(parameters | {"x": x})', "and_input": " and to x", "like": "array"}


def relies_on(model: Model) -> str:
    """The part of a docstring that says what a declared fact asks of the targets."""
    if not model.facts:
        return ""
    return "\n\n    The targets of each example must sum to one: the gradients rely on it.\n    "


def sample_targets(model: Model, size: str) -> str:
    """Targets of three examples that the module checks itself with; they honour a declared sum."""
    return f"rng.dirichlet(np.ones({size}), 3)" if model.facts else f"rng.uniform(0.1, 0.9, (3, {size}))"


def sample_options(generator: Generator) -> str:
    """The keyword arguments that the module checks itself with, as a dictionary."""
    found = [f'"{python_name(s.name)}": 0.1' for s in generator.open_symbols]
    for letter in sorted(generator.helpers.open_functions):
        found += [f'"{letter}": np.sin', f'"{letter}_prime": np.cos']
    return "{" + ", ".join(found) + "}"


def _shape_literal(parameter: Quantity, model: Model) -> str:
    return tuple_code([_key(size, model) for size in parameter.dims])


def _key(size: sp.Expr, model: Model) -> str:
    """A size as it stands in PARAMETERS: a number, or a name in quotes."""
    declared = model.with_sizes(size)
    return str(declared) if declared.is_Integer else f'"{declared}"'


def python_name(name: str) -> str:
    """A symbol's name as a Python identifier.

    >>> python_name("lambda"), python_name("eta")
    ('lambda_', 'eta')
    """
    return f"{name}_" if keyword.iskeyword(name) or name in ("N", *OF_ANY_DEPTH) else name


def labelled(line: str, label: str) -> list[str]:
    """A line with its label in a comment, above it where the two are too long for one line."""
    if not label:
        return wrapped(line)
    comment = f"  # ({label})"
    return [line + comment] if len(line + comment) <= MARGIN else [f"# ({label})", *wrapped(line)]


def wrapped(line: str, margin: int = MARGIN) -> list[str]:
    """A long line broken after a comma or before an operator, as deep as it must be.

    >>> wrapped("cost = f(a) + g(b)", margin=14)
    ['cost = (', '    f(a)', '    + g(b)', ')']
    """
    if len(line) <= margin:
        return [line]
    if "  # (" in line:
        code, _, label = line.partition("  # ")
        return [f"# {label}", *wrapped(code, margin)]
    if line.startswith("for ") and line.endswith(":"):
        return _wrapped_for(line, margin)
    if re.match(r"([\w, ]+ = )?(np\.|_)[\w.]+\(.*\)$", line):
        return _wrapped_call(line, margin)
    if " = " not in line and '": ' not in line:
        return [line]
    joint = '": ' if line.startswith('"') else " = "
    target, _, code = line.partition(joint)
    end = "," if code.endswith(",") and line.startswith('"') else ""
    code = code.removesuffix(",") if end else code
    if code.startswith("{") and code.endswith("}"):
        return [f"{target}{joint}{{", *(f"    {part}," for part in _split(code[1:-1], (", ",))), "}"]
    for joints in ((" + ", " - "), (" * ", " / ")):
        parts = _split(code, joints)
        if len(parts) > 1:
            return [f"{target}{joint}(", *(f"    {part}" for part in parts), f"){end}"]
    return [line]


def _wrapped_call(line: str, margin: int) -> list[str]:
    """A call, or a list, with an argument a line; a list among them that is too long likewise."""
    opening = line.index("(") if not line.startswith("[") else 0
    found = [line[: opening + 1]]
    for part in _split(line[opening + 1 : -1], (", ",)):
        inner = part.removesuffix(",")
        long = len(inner) > margin - 4 and inner.startswith("[")
        lines = _wrapped_call(inner, margin - 4) if long else [inner]
        found += [f"    {inner}" for inner in (*lines[:-1], f"{lines[-1]},")]
    return [*found, line[-1]]


def _wrapped_for(line: str, margin: int) -> list[str]:
    """The head of a loop over many variables."""
    names, _, rest = line.removeprefix("for ").partition(" in ")
    lines = [""]
    for name in names.split(", "):
        joined = f"{lines[-1]} {name},".lstrip()
        lines = [*lines[:-1], joined] if len(joined) <= margin - 4 else [*lines, f"{name},"]
    return ["for (", *(f"    {line}" for line in lines), f") in {rest}"]


def _split(code: str, joints: tuple[str, ...]) -> list[str]:
    """Pieces of code cut before operators (after commas) that no parenthesis encloses."""
    parts, depth, start = [], 0, 0
    for place, character in enumerate(code):
        depth += (character in "([{") - (character in ")]}")
        for joint in joints:
            if depth == 0 and code.startswith(joint, place):
                parts.append(code[start:place])
                start = place + (len(joint) if joint == ", " else 1)
    return [part for part in (*parts, code[start:]) if part]
