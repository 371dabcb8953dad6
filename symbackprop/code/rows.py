"""Which operations can be made on some examples at a time.

An operation goes by rows if an example's part of its result needs the same example's part of its operands,
and otherwise only what all examples share. Activations, deltas and the products between layers do; the
gradients don't, which are sums over the examples. A sum of all entries of an array can be added up.
"""

from __future__ import annotations

from symbackprop.code.nodes import Call, Graph, Node
from symbackprop.forward.model import EXAMPLES

ENTRYWISE = ("apply", "compared", "scaled", "filled", "copied", "where")


def is_about_examples(graph: Graph, number: int) -> bool:
    """Whether a node has an axis for the examples."""
    return EXAMPLES in graph.dims(number)


def adds_up(graph: Graph, number: int) -> bool:
    """Whether a node is a number that is a sum over the examples."""
    node = graph[number]
    summed = node.operation in ("dot", "full")
    return summed and any(EXAMPLES in graph.dims(arg) for arg in node.args)


def goes_by_rows(graph: Graph, number: int) -> bool:
    """Whether a node can be worked out for some examples, or added up over them.

    >>> import sympy as sp
    >>> graph = Graph()
    >>> inputs, units = sp.symbols("n_0 n_1")
    >>> x, weights = graph.given("x", (EXAMPLES, inputs)), graph.given("W", (units, inputs))
    >>> z = graph.product(x, graph.transpose(weights))
    >>> goes_by_rows(graph, z), goes_by_rows(graph, graph.product(graph.transpose(z), x))
    (True, False)
    """
    node = graph[number]
    if not all(_has_rows(graph, arg) for arg in node.args):
        return False
    return adds_up(graph, number) or (EXAMPLES in node.dims and _keeps_rows(graph, node))


def _keeps_rows(graph: Graph, node: Node) -> bool:
    """Whether the operation leaves every example on its own."""
    if node.dims[0] != EXAMPLES:
        return node.operation == "copied"
    if node.operation in (*ENTRYWISE, "spread"):
        return True
    first = graph.dims(node.args[0]) if node.args else ()
    if node.operation == "product":
        return bool(first[-1] != EXAMPLES)
    if node.operation == "largest":
        return True
    return node.operation == "call" and _is_kernel(node.detail) and _other_axis(node.detail, first)


def _is_kernel(call: object) -> bool:
    """Whether it's a function of the module's own, which reads nothing but the entries that it is given."""
    return isinstance(call, Call) and call.takes_out and call.function.startswith("_")


def _other_axis(call: object, dims: tuple[object, ...]) -> bool:
    """Whether a kernel works along no axis, or along another than that of the examples."""
    assert isinstance(call, Call)
    axes = [int(word.removeprefix("axis=")) for word in call.after]
    return all(dims[axis] != EXAMPLES for axis in axes)


def _has_rows(graph: Graph, number: int) -> bool:
    """Whether an operand can be cut by examples: it has them along its rows, and isn't made once for all."""
    node = graph[number]
    if EXAMPLES not in node.dims:
        return True
    if node.operation in ("transpose", "spread"):
        return all(_has_rows(graph, arg) for arg in node.args)
    return node.operation == "copied" or (node.operation != "ones" and node.dims[0] == EXAMPLES)


TEMPORARIES = {"where": 1, "_softplus": 0}
"""How many arrays of a result's size an operation has for itself while it runs."""

MANY_TEMPORARIES = 10
"""So many has any other kernel, at most."""


def temporaries(node: Node) -> int:
    """How many arrays of the result's size the operation makes for itself."""
    name = node.detail.function if isinstance(node.detail, Call) else node.operation
    return TEMPORARIES.get(name, MANY_TEMPORARIES if node.operation == "call" else 0)
