"""What there is to choose from, as text: forward formulas of activations and costs, update rules, and the
names of forms, formats, targets and layers. Nothing here is derived.

A line here is all there is to an activation or a cost; whatever goes backward is worked out from it.
The texts are in the grammar of :mod:`symbackprop.spec.formula`. This module imports no SymPy, so that
listing the names stays quick.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """One forward formula and a line that says what it is."""

    formula: str
    description: str


ACTIVATIONS: dict[str, Entry] = {
    "linear": Entry("z", "the identity"),
    "sigmoid": Entry("1/(1+exp(-z))", "the logistic function, with outputs between 0 and 1"),
    "tanh": Entry("(exp(z)-exp(-z))/(exp(z)+exp(-z))", "hyperbolic tangent, with outputs between -1 and 1"),
    "relu": Entry("max(z, 0)", "rectified linear unit"),
    "leaky_relu": Entry("where(z > 0, z, 0.01*z)", "rectified linear unit with slope 0.01 below 0"),
    "elu": Entry("where(z > 0, z, exp(z) - 1)", "exponential linear unit, alpha = 1"),
    "selu": Entry(
        "1.0507009873554805*where(z > 0, z, 1.6732632423543772*(exp(z) - 1))",
        "scaled exponential linear unit, which keeps mean 0 and variance 1",
    ),
    "softplus": Entry("log(1+exp(z))", "a smooth relu"),
    "softsign": Entry("z/(1+abs(z))", "between -1 and 1, with slow tails"),
    "arctan": Entry("arctan(z)", "inverse tangent, with outputs between -pi/2 and pi/2"),
    "gelu": Entry("z*(1 + erf(z/sqrt(2)))/2", "Gaussian error linear unit, exact, with erf"),
    "gelu_tanh": Entry(
        "z*(1 + tanh(sqrt(2/pi)*(z + 0.044715*z**3)))/2",
        "Gaussian error linear unit, the approximation with tanh",
    ),
    "silu": Entry("z/(1+exp(-z))", "sigmoid linear unit, also called swish"),
    "mish": Entry("z*tanh(log(1+exp(z)))", "z times the tanh of softplus"),
    "hard_sigmoid": Entry(
        "where(z <= -2.5, 0, where(z < 2.5, 0.2*z + 0.5, 1))",
        "0.2 z + 0.5 clipped to 0..1, as in ONNX and Keras 2 (PyTorch has slope 1/6)",
    ),
    "exp": Entry("exp(z)", "the exponential function, with positive outputs"),
    "gaussian": Entry("exp(-z**2)", "a bell with its top, 1, at 0"),
    "softmax": Entry(
        "exp(z[j])/sum(exp(z[i]), i)", "couples the units of a layer: positive outputs that add up to 1"
    ),
    "log_softmax": Entry("z[j] - log(sum(exp(z[i]), i))", "the logarithm of softmax"),
}
"""Activations by name, each of the pre-activation ``z``; a coupled one has ``z[j]`` for its own unit."""

COSTS: dict[str, Entry] = {
    "squared_error": Entry("(a-y)**2", "the square of the error; take scale = 1/2 for the usual half"),
    "absolute_error": Entry("abs(a-y)", "the absolute value of the error"),
    "huber": Entry(
        "where(abs(a-y) <= 1, (a-y)**2/2, abs(a-y) - 1/2)",
        "half the squared error up to an error of 1, linear beyond",
    ),
    "binary_cross_entropy": Entry(
        "-(y*log(a) + (1-y)*log(1-a))", "for outputs between 0 and 1, each a probability of its own"
    ),
    "cross_entropy": Entry("-y*log(a)", "for outputs that are the probabilities of classes, as of softmax"),
    "hinge": Entry("max(0, 1 - y*a)", "for targets -1 and 1 and outputs on either side of 0"),
}
"""Costs by name, each of one output ``a`` and its target ``y``."""

FORMS: dict[str, str] = {
    "argument": "the order of argument that goes with the notation, formula by formula",
    "index": "sums over indices, every step with its reason",
    "matrix": "column vectors and matrices, with the step that shows where a transpose comes from",
    "components": "every entry written out, for tiny networks",
    "general": "any hidden layer l of L layers, from the layer after it",
    "graph": "a letter for every single operation, a numbered step for each derivative, for tiny networks",
    "worked": "the numbers of [values] put in and evaluated, with one step of gradient descent",
    "swell": "how many operations the gradients take written out, and how many in delta form",
}
"""The forms that a derivation can be printed in."""

DETAILS: dict[str, str] = {
    "brief": "the definitions and the results in boxes, without the steps between",
    "full": "every step with its reason",
}
"""How much of a derivation is told."""

DIGITS = 9
"""How many decimals the numbers of a worked example have where nobody asks for another number of them."""

LAYERS: dict[str, str] = {"dense": "every unit is connected to every unit of the layer before"}
"""The kinds of layers that a spec can name."""

TARGETS: dict[str, str] = {
    "numpy": "a module that imports NumPy and nothing else",
    "numba": "one compiled function: matrix products, and a single loop for what stands between them",
    "array-api": "arrays of any library with the array API standard: NumPy, PyTorch, JAX, Dask in chunks",
    "torch": "PyTorch: the cost as an autograd.Function with the derived backward pass",
    "jax": "JAX: the cost with the derived backward pass as its custom_vjp, compiled",
}
"""What gradient code can be generated for."""

FORMATS: dict[str, str] = {
    "tex": "a fragment for LaTeX's input command, with the package of its macros",
    "pdf": "an article around the fragment, made by pdflatex",
    "html": "a web page, one file that needs no network",
    "slides": "slides made by beamer, a step of a derivation after the other",
    "md": "Markdown for pandoc",
    "md-quarto": "Markdown for Quarto",
    "md-myst": "Markdown for MyST",
    "svg": "the pictures as SVG",
    "tikz": "the pictures as TikZ, for LaTeX's input command",
    "standalone": "one equation or picture, which --only names, as a document of its own",
    "ipynb": "a notebook: the derivation, its code, a check, a training run and a plot",
}
"""The formats that a derivation can be written in."""


class UpdateRule(NamedTuple):
    """How a training step changes a parameter ``p`` by its gradient ``g``, equation by equation.

    ``states`` are what is kept from step to step, each with what it is at the start; those in
    ``shared`` are one number for all parameters. What is neither ``p`` nor a state names a part of what
    follows. ``settings`` are the keyword arguments.
    """

    equations: dict[str, str]
    states: dict[str, int]
    shared: frozenset[str]
    settings: dict[str, float]
    description: str


UPDATES: dict[str, UpdateRule] = {
    "sgd": UpdateRule(
        {"p": "p - learning_rate*g"}, {}, frozenset(), {"learning_rate": 0.1}, "down the gradient"
    ),
    "momentum": UpdateRule(
        {"v": "momentum*v + g", "p": "p - learning_rate*v"},
        {"v": 0},
        frozenset(),
        {"learning_rate": 0.1, "momentum": 0.9},
        "down the sum of the gradients so far, older ones counting less",
    ),
    "adam": UpdateRule(
        {
            "m": "beta_1*m + (1 - beta_1)*g",
            "v": "beta_2*v + (1 - beta_2)*g**2",
            "c": "beta_1*c",
            "d": "beta_2*d",
            "mhat": "m/(1 - c)",
            "vhat": "v/(1 - d)",
            "p": "p - learning_rate*mhat/(sqrt(vhat) + epsilon)",
        },
        {"m": 0, "v": 0, "c": 1, "d": 1},
        frozenset({"c", "d"}),
        {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8},
        "down the mean gradient over the root of its mean square",
    ),
}
"""Update rules by name, each as forward formulas in the order in which they are worked out."""
