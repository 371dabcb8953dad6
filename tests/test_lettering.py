"""The letters of indices: by the layer that an index counts the units of, as a notation has them."""

import pytest
import sympy as sp

import symbackprop as sb
from symbackprop.layout.exposition import names_of
from symbackprop.notation.notation import load_notation
from symbackprop.printing.latex import latex
from symbackprop.printing.lettering import lettered
from symbackprop.printing.measure import expanded


def printed(spec, notation, which):
    """An equation of the delta form, or of the forward program, as a notation prints it."""
    derivation = sb.derive(spec)
    names = names_of(derivation, load_notation(notation))
    equations = (*derivation.model.program, *derivation.equations)
    equation = next(e for e in equations if e.quantity.name == which)
    free = tuple(zip(equation.indices, equation.quantity.dims, strict=True))
    sides = (
        expanded(latex(lettered(side, names, free), names), names.notation)
        for side in (equation.lhs, equation.rhs)
    )
    return " = ".join(sides)


def network(*sizes, activation="g", depth=None):
    layers = [{"size": size, "activation": {"symbol": activation}} for size in sizes[1:]]
    spec = {"name": "net", "input": {"size": sizes[0]}, "layers": layers, "cost": {"kind": "squared_error"}}
    return sb.from_mapping({**spec, **({"depth": depth} if depth else {})})


SYMBOLIC = network("n_0", "n_1", "n_2")


@pytest.mark.parametrize(
    ("notation", "which", "expected"),
    [
        # the texts that these notations come from have these lines
        ("nielsen", "z2", r"z^{2}_{j} = \sum_{k=1}^{n_{1}} w^{2}_{jk} a^{1}_{k} + b^{2}_{j}"),
        ("nielsen", "delta1", r"\delta^{1}_{j} = g'(z^{1}_{j}) \sum_{k=1}^{n_{2}} w^{2}_{kj} \delta^{2}_{k}"),
        ("jagtap", "z2", r"z^{(L)}_{j} = \sum_{k=0}^{n_{L-1}-1} w^{(L)}_{jk} a^{(L-1)}_{k} + b^{(L)}_{j}"),
        ("jagtap", "a2", r"a^{(L)}_{j} = g^{(L)}(z^{(L)}_{j})"),
        ("jagtap", "C_x", r"C_{0} = \sum_{j=0}^{n_{L}-1} (a^{(L)}_{j} - y_{j})^{2}"),
        (
            "jagtap",
            "delta1",
            r"\delta^{(L-1)}_{k} = g'^{(L-1)}(z^{(L-1)}_{k}) "
            r"\sum_{j=0}^{n_{L}-1} w^{(L)}_{jk} \delta^{(L)}_{j}",
        ),
        ("brilliant", "z2", r"a^{2}_{j} = \sum_{i=0}^{r_{1}} w^{2}_{ij} o^{1}_{i}"),
        (
            "brilliant",
            "delta1",
            r"\delta^{1}_{j} = g'(a^{1}_{j}) \sum_{l=1}^{r_{2}} w^{2}_{jl} \delta^{2}_{l}",
        ),
        (
            "layers",
            "delta1",
            r"\delta^{1}_{j} = g'(z^{1}_{j}) \sum_{q=1}^{{2}_{n}} w^{2}_{qj} \delta^{2}_{q}",
        ),
        (
            "bishop",
            "delta1",
            r"\delta^{(1)}_{j} = g'(a^{(1)}_{j}) \sum_{k=1}^{M_{2}} w^{(2)}_{kj} \delta^{(2)}_{k}",
        ),
    ],
)
def test_a_line_is_that_of_the_text(notation, which, expected):
    assert printed(SYMBOLIC, notation, which) == expected


def test_a_single_unit_needs_no_sum_and_no_letter():
    one = network(1, 1, 1)
    assert printed(one, "nielsen", "z1") == "z^{1}_{1} = w^{1}_{11} x + b^{1}_{1}"
    assert printed(one, "computation-graph", "C_x") == "L = (f - y)^{2}"


def test_a_letter_that_is_a_size_of_the_spec_is_no_index():
    clash = network("n_0", "width", "m")
    assert printed(clash, "goodfellow", "delta1") == (
        r"\delta^{(1)}_{i} = g'(a^{(1)}_{i}) \sum_{p=1}^{m} W^{(2)}_{pi} \delta^{(2)}_{p}"
    )


def test_no_letter_captures_another():
    """In a formula with two indices over the same layer each keeps a letter of its own."""
    j, k, n = sp.symbols("j k n_1", integer=True, positive=True)
    w = sp.IndexedBase("w", real=True)
    derivation = sb.derive(SYMBOLIC)
    for name in ("nielsen", "jagtap", "brilliant"):
        names = names_of(derivation, load_notation(name))
        inner = sp.Sum(w[j, k], (k, 1, n))
        shown = lettered(inner, names, ((j, n),))
        first, second = shown.function.indices
        assert first != second and shown.limits[0][0] == second


def test_any_layer_has_its_own_letter_where_layers_are_counted_from_the_last():
    """Not L + l - 2, which the sentence about all layers began with."""
    text = sb.derive(sb.load("2-3-2")).to_latex("jagtap", ["index"])
    assert r"Layer $\sbpanylayer$ has $\sbpsize{\sbpanylayer}$ units, and layer $\sbplastlayer-2$ is" in text
    assert r"\sbplastlayer+\sbpanylayer" not in text
