"""From a network to its forward program: layers, activations and cost become equations.

This is the one place that knows what a dense layer is, and all it knows is the forward formula.
Sizes are always symbols here (``n_0``, ``n_1``, …), so the algebra never depends on a width; what
the spec calls them, numbers or symbols, is kept beside the program for the printers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import sympy as sp

from symbackprop.algebra.equations import Equation, Fact, Program, Quantity, Role, label_of
from symbackprop.algebra.functions import scalar_function
from symbackprop.algebra.indices import (
    EXAMPLE,
    fresh_index,
    index_symbol,
    rename_bound,
    replaced,
    size_symbol,
    total,
)
from symbackprop.algebra.layers import LAST, LAYER, LayerSum, layered_name, written
from symbackprop.errors import FormRefused
from symbackprop.network import (
    WIDTH,
    Activation,
    Layer,
    Network,
    Size,
    argument,
    index,
    size_family,
    vector_argument,
)
from symbackprop.tables.mistakes import require

FIRST = sp.S.One
"""The first layer, which reads the input."""

EXAMPLES = size_symbol("N")
"""The number of examples of a batch."""

J, K = index_symbol("j"), index_symbol("k")


@dataclass(frozen=True)
class Model:
    """The forward program of one example, the total cost over a batch, and the sizes as the spec has them.

    ``program`` ends in the cost of one example; ``total`` defines the cost C of a batch in terms of
    the costs of its examples and the penalty. ``sizes`` maps the symbols of the program to numbers
    or to the spec's own symbols.
    """

    network: Network
    program: Program
    total: Program
    sizes: tuple[tuple[sp.Symbol, sp.Expr], ...]
    facts: tuple[Fact, ...]
    given: Mapping[str, Quantity] = field(default_factory=dict)

    @cached_property
    def cost(self) -> Quantity:
        """The cost of one example."""
        return self.program.outputs[0]

    @cached_property
    def own_parameters(self) -> tuple[Quantity, ...]:
        """The parameters to differentiate with respect to: all but those of the layer after a general one."""
        outside = {q.of.layer for q in self.given.values() if q.of is not None}
        return tuple(p for p in self.program.parameters if p.layer not in outside)

    @property
    def last_layer(self) -> sp.Expr:
        """The number of the output layer, or L for a network with a symbol for its depth."""
        return LAST if self.symbolic_depth else sp.Integer(len(self.network.layers))

    @property
    def general_layer(self) -> sp.Symbol:
        """The letter of any hidden layer, for a network with a symbol for its depth."""
        return LAYER

    @property
    def symbolic_depth(self) -> bool:
        """Whether the network has a symbol for its number of layers."""
        return self.network.depth is not None

    @property
    def parameter_counts(self) -> list[sp.Expr]:
        """How many numbers each parameter holds."""
        return [sp.Mul(*map(self.with_sizes, parameter.dims)) for parameter in self.program.parameters]

    def with_sizes(self, expr: sp.Expr) -> sp.Expr:
        """An expression with the sizes as the spec has them, and no index of their name."""
        if expr.is_Symbol:
            return self._size_of.get(expr, expr)
        own = frozenset(symbol for size in self._size_of.values() for symbol in size.free_symbols)
        clash = own & {limits[0] for total in expr.atoms(sp.Sum) for limits in total.limits}
        clear = rename_bound(expr, own) if clash else expr
        return replaced(clear, self._size_of)

    @cached_property
    def _size_of(self) -> dict[sp.Symbol, sp.Expr]:
        """What is known of each size."""
        return dict(self.sizes)


def forward_model(network: Network, wrt_input: bool = False) -> Model:
    """The forward program of a network.

    ``wrt_input`` says that the derivative by the input is wanted: a network with a symbol for its depth
    then has an equation for its first layer too.

    >>> from symbackprop.spec.loading import from_widths
    >>> for equation in forward_model(from_widths("2-1")).program:
    ...     print(equation)
    z1[j] = b1[j] + Sum(W1[j, k]*x[k], (k, 1, n_0))
    a1[j] = sigma(z1[j])
    C_x = Sum((a1[j] - y[j])**2, (j, 1, n_1))
    """
    require(network, Network, "network", "this is what load gives, as in load('2-3-1')")
    builder = _SymbolicDepth(network, wrt_input) if network.depth else _Builder(network)
    return builder.model()


def refuse_symbols(model: Model, form: str, so: str) -> None:
    """Refuse a form that takes numbers for the depth and for every size.

    Raises:
        FormRefused: where one of them is a symbol, with what follows from that and the form to use.
    """
    if model.symbolic_depth:
        raise FormRefused(f"form: {form}: the depth is a symbol, so {so}: use general")
    symbols = [str(size) for _, size in model.sizes if not size.is_Integer]
    if symbols:
        raise FormRefused(f"form: {form}: the size {symbols[0]} is a symbol, so {so}: use index or matrix")


def quantity(letter: str, role: Role, layer: sp.Expr, *dims: sp.Expr) -> Quantity:
    """A quantity of a layer, named after its letter and layer: ``W1``, ``z[l+1]``."""
    layer = sp.sympify(layer)
    return Quantity(layered_name(letter, layer), letter, role, layer, dims)


class _Builder:
    """Writes the equations of a network with numbered layers."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.last: sp.Expr = sp.Integer(len(network.layers))
        self.functions = _function_letters(network)

    def model(self) -> Model:
        outputs = self.size(self.last)
        targets = Quantity("y", "y", Role.TARGET, None, (outputs,))
        inputs = Quantity("x", "x", Role.INPUT, sp.Integer(0), (self.size(sp.Integer(0)),))
        equations = (*self.layers(inputs), self.example_cost(targets))
        parameters = tuple(_parameters(equations, self))
        cost = equations[-1].quantity
        program = Program((inputs, targets), parameters, equations, (cost,), self.outside())
        total, given = self.total(program), self.given(cost)
        return Model(self.network, program, total, self.sizes(), self.facts(targets), given)

    def outside(self) -> tuple[Quantity, ...]:
        """Quantities that the equations use and that are defined outside of them."""
        return ()

    def given(self, cost: Quantity) -> dict[str, Quantity]:
        """Derivatives that are known by name already."""
        return {}

    def size(self, layer: sp.Expr) -> sp.Symbol:
        return size_symbol(f"n_{written(layer)}")

    def factor(self, factor: sp.Expr) -> sp.Expr:
        """A factor of the spec with the program's own sizes in place of those that the spec names.

        A spec's own symbol for a size never enters an equation, so no index can have its name.
        """
        return factor.xreplace({shown: symbol for symbol, shown in self.nameable() if shown.is_Symbol})

    def nameable(self) -> tuple[tuple[sp.Symbol, sp.Expr], ...]:
        """The sizes that a factor can name; of several with one name the last stands for all."""
        return self.sizes()

    def sizes(self) -> tuple[tuple[sp.Symbol, sp.Expr], ...]:
        declared = (self.network.input_size, *(layer.size for layer in self.network.layers))
        return tuple((self.size(sp.Integer(l)), _declared_size(size)) for l, size in enumerate(declared))

    def layers(self, inputs: Quantity) -> Iterator[Equation]:
        before = inputs
        for number, layer in enumerate(self.network.layers, 1):
            pre_activation, activation = self.layer(layer, sp.Integer(number), before)
            yield pre_activation
            yield activation
            before = activation.quantity

    def layer(self, layer: Layer, number: sp.Expr, before: Quantity) -> tuple[Equation, Equation]:
        """z_j = sum_k w_jk a_k + b_j and a_j = f(z_j)."""
        return self.dense(layer, number, before), self.activation(layer, number)

    def dense(self, layer: Layer, number: sp.Expr, before: Quantity) -> Equation:
        inner, outer = before.dims[0], self.size(number)
        weight = quantity("W", Role.WEIGHT, number, outer, inner)
        z = quantity("z", Role.PRE_ACTIVATION, number, outer)
        rhs = sp.Sum(weight[J, K] * before[K], (K, 1, inner))
        if layer.bias:
            rhs = rhs + quantity("b", Role.BIAS, number, outer)[J]
        return Equation(z, (J,), rhs, label_of(z.name))

    def activation(self, layer: Layer, number: sp.Expr) -> Equation:
        outer = self.size(number)
        z = quantity("z", Role.PRE_ACTIVATION, number, outer)
        a = quantity("a", Role.ACTIVATION, number, outer)
        return Equation(a, (J,), self.applied(layer.activation, z), label_of(a.name))

    def applied(self, activation: Activation, z: Quantity) -> sp.Expr:
        """The activation at entry j of a pre-activation."""
        formula = activation.formula
        if formula is not None and formula.coupled:
            return _instantiate_coupled(formula.expr, z)
        if formula is not None and formula.expr == argument("z"):
            return z[J]
        letter = self.functions[activation.name]
        return scalar_function(letter, None if formula is None else formula.expr)(z[J])

    def example_cost(self, targets: Quantity) -> Equation:
        cost, outputs = self.network.cost, targets.dims[0]
        a = quantity("a", Role.ACTIVATION, self.last, outputs)
        one = cost.formula.expr.xreplace({argument("a"): a[J], argument("y"): targets[J]})
        scale = self.factor(cost.scale)
        factor = scale / outputs if cost.outputs == "mean" else scale
        example_cost = Quantity("C_x", "C", Role.EXAMPLE_COST, None, ())
        return Equation(example_cost, (), factor * total(one, (J, 1, outputs)), "cost")

    def total(self, program: Program) -> Program:
        """C = 1/N sum_n C_n + R with the penalty R, in the costs of the examples and the weights."""
        cost = Quantity("C", "C", Role.COST, None, ())
        penalty = Quantity("R", "R", Role.PENALTY, None, ())
        each = Quantity("C_x", "C", Role.EXAMPLE_COST, None, (EXAMPLES,))
        rhs = sp.Sum(each[EXAMPLE], (EXAMPLE, 1, EXAMPLES))
        rhs = rhs / EXAMPLES if self.network.cost.examples == "mean" else rhs
        if self.network.penalty is None:
            equations: tuple[Equation, ...] = (Equation(cost, (), rhs, "total-cost"),)
        else:
            squares = self.factor(self.network.penalty) * self.squared_weights(program)
            equations = (
                Equation(penalty, (), squares, "penalty"),
                Equation(cost, (), rhs + penalty.symbol, "total-cost"),
            )
        return Program((each,), program.parameters, equations, (cost,))

    def squared_weights(self, program: Program) -> sp.Expr:
        """The sum of the squares of all weights."""
        return sp.Add(*map(_squares, _weights(program)))

    def facts(self, targets: Quantity) -> tuple[Fact, ...]:
        if "targets_sum_to_one" not in self.network.facts:
            return ()
        left = sp.Sum(targets[J], (J, 1, targets.dims[0]))
        return (Fact("targets_sum_to_one", left, sp.S.One),)


class _SymbolicDepth(_Builder):
    """Writes the equations of a network with L layers: any hidden layer l, its successor, and layer L.

    The first layer gets an equation of its own where the derivative by the input is wanted. Layers 1 and
    l + 1 end at their pre-activations: the derivatives by these are what was derived for any layer l.
    """

    def __init__(self, network: Network, with_first: bool = False) -> None:
        super().__init__(network)
        self.last = LAST
        self.ends = (FIRST, LAYER + 1) if with_first else (LAYER + 1,)

    def nameable(self) -> tuple[tuple[sp.Symbol, sp.Expr], ...]:
        return tuple((symbol, shown) for symbol, shown in self.sizes() if symbol != self.size(LAYER))

    def sizes(self) -> tuple[tuple[sp.Symbol, sp.Expr], ...]:
        """Those of the input, of a hidden layer and of the output, and the depth."""
        network, depth = self.network, size_symbol(str(self.network.depth))
        hidden, output = (layer.size for layer in network.layers)
        last = self.size(LAST) if output == f"n_{depth}" else _declared_size(output)
        return (
            (self.size(sp.Integer(0)), _declared_size(network.input_size)),
            *self.hidden_sizes(hidden),
            (self.size(LAST), last),
            (LAST, depth),
        )

    def hidden_sizes(self, size: Size) -> Iterator[tuple[sp.Symbol, sp.Expr]]:
        """n_l and its like: of a family such as r_l each layer has its own, else all have the same."""
        family = size_family(size)
        same = (LAYER, LAST - 1) if family is None else (LAYER - 1, LAYER, LAYER + 1, LAST - 1)
        for layer in (*same, *(end for end in self.ends if end == FIRST)):
            yield self.size(layer), _declared_size(f"{family}_{written(layer)}" if family else size)

    def squared_weights(self, program: Program) -> sp.Expr:
        weight = quantity("W", Role.WEIGHT, LAYER, self.size(LAYER), self.size(LAYER - 1))
        return LayerSum(_squares(weight), LAYER, LAST)

    def outside(self) -> tuple[Quantity, ...]:
        before = (LAYER - 1, self.last - 1)
        return tuple(quantity("a", Role.ACTIVATION, layer, self.size(layer)) for layer in before)

    def given(self, cost: Quantity) -> dict[str, Quantity]:
        found = {}
        for end in self.ends:
            z = quantity("z", Role.PRE_ACTIVATION, end, self.size(end))
            delta = quantity("delta", Role.DELTA, end, self.size(end))
            found[z.name] = replace(delta, of=z, cost=cost)
        return found

    def layers(self, inputs: Quantity) -> Iterator[Equation]:
        hidden, output = self.network.layers
        first = (FIRST,) if FIRST in self.ends else ()
        for layer, number in (*((hidden, l) for l in (*first, LAYER, LAYER + 1)), (output, self.last)):
            outside = quantity("a", Role.ACTIVATION, number - 1, self.size(number - 1))
            pre_activation, activation = self.layer(layer, number, inputs if number == FIRST else outside)
            yield pre_activation
            if number not in self.ends:
                yield activation


def _parameters(equations: tuple[Equation, ...], builder: _Builder) -> Iterator[Quantity]:
    """Weights and biases in the order of the layers."""
    for equation in equations:
        if equation.quantity.role is Role.PRE_ACTIVATION:
            number, outer = equation.quantity.layer, equation.quantity.dims[0]
            assert number is not None
            inner = builder.size(number - 1)
            weight = quantity("W", Role.WEIGHT, number, outer, inner)
            bias = quantity("b", Role.BIAS, number, outer)
            yield weight
            if bias.name in equation.names:
                yield bias


def _weights(program: Program) -> list[Quantity]:
    return [parameter for parameter in program.parameters if parameter.role is Role.WEIGHT]


def _squares(weight: Quantity) -> sp.Expr:
    rows, columns = weight.dims
    return sp.Sum(sp.Sum(weight[J, K] ** 2, (K, 1, columns)), (J, 1, rows))


def _instantiate_coupled(expr: sp.Expr, z: Quantity) -> sp.Expr:
    """A coupled formula for the entries of ``z``: its vector argument, width and free index j."""
    letters = {index("j"): J, WIDTH: z.dims[0], vector_argument("z"): z.symbol}
    bound = {limits[0] for node in expr.atoms(sp.Sum) for limits in node.limits}
    for symbol in sorted(bound, key=str):
        letters[symbol] = fresh_index(*letters.values())
    return replaced(expr, letters)


def _function_letters(network: Network) -> dict[str, str]:
    """The name of each activation's function in expressions; the sigmoid is called sigma."""
    names = {layer.activation.name for layer in network.layers}
    return {name: "sigma" if name == "sigmoid" else name for name in names}


def numbered(network: Network, depth: int) -> Network:
    """The same network with a number of layers in place of the symbol.

    >>> from symbackprop.spec.loading import from_mapping
    >>> layers = [{"size": size, "activation": "tanh"} for size in ("n_l", 2)]
    >>> spec = {"name": "any", "depth": "L", "input": {"size": 3}, "layers": layers}
    >>> [layer.size for layer in numbered(from_mapping(spec | {"cost": {"kind": "hinge"}}), 3).layers]
    ['n_1', 'n_2', 2]
    """
    hidden, output = network.layers
    family, count = size_family(hidden.size), {index(str(network.depth)): sp.Integer(depth)}
    layers = (
        replace(hidden, size=hidden.size if family is None else f"{family}_{number}")
        for number in range(1, depth)
    )
    cost = replace(network.cost, scale=network.cost.scale.xreplace(count))
    penalty = None if network.penalty is None else network.penalty.xreplace(count)
    return replace(network, depth=None, layers=(*layers, output), cost=cost, penalty=penalty)


def any_number(network: Network) -> Network:
    """The network of any number of layers with a hidden and an output layer like those of this one.

    Raises:
        FormRefused: where a factor names the size of a hidden layer, which is that of one layer only.
    """
    hidden, output = network.layers[0], network.layers[-1]
    ends = {network.input_size: "n_0", output.size: "n_L"}
    own = {index(size): index(name) for size, name in ends.items() if isinstance(size, str)}
    factors = (network.cost.scale, network.penalty or sp.S.Zero)
    between = {index(layer.size) for layer in network.layers if isinstance(layer.size, str)} - own.keys()
    used = set().union(*(factor.free_symbols for factor in factors))
    if named := used & between:
        raise FormRefused(
            f"form: general: a factor names {min(map(str, named))}, the size of one hidden layer: "
            "use index or matrix"
        )
    scale, penalty = (factor.xreplace(own) for factor in factors)
    return replace(
        network,
        depth=next(name for name in ("L", "M", "K", "H") if name not in {symbol.name for symbol in used}),
        input_size="n_0",
        layers=(replace(hidden, size="n_l"), replace(output, size="n_L")),
        cost=replace(network.cost, scale=scale),
        penalty=None if network.penalty is None else penalty,
        values=None,
    )


def _declared_size(size: Size) -> sp.Expr:
    return sp.Integer(size) if isinstance(size, int) else size_symbol(size)
