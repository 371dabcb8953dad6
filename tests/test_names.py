"""Names that a spec chooses never meet the engine's own: those of indices, sizes, layers and variables."""

import pytest

import symbackprop as sb

COUPLED = {"formula": "z[j] - sum(z[i], i)/n"}


def numbered(size="d", activation="tanh", scale="1/2"):
    layers = [{"size": 3, "activation": activation}, {"size": size, "activation": COUPLED}]
    cost = {"kind": "squared_error", "scale": scale, "outputs": "mean"}
    penalty = {"l2": "mu/N"}
    return {"name": "n", "input": {"size": size}, "layers": layers, "cost": cost, "penalty": penalty}


def general(depth="L", size="d", activation=COUPLED, scale="1/2"):
    spec = numbered(size, activation, scale)
    spec["layers"][0]["size"] = "n_l"
    return {**spec, "depth": depth}


ROLES = {
    "a size": lambda name: numbered(size=name, scale=f"1/{name}"),
    "a size, any depth": lambda name: general(size=name, scale=f"1/{name}"),
    "the depth": lambda name: general(depth=name, scale=f"1/{name}"),
    "a factor": lambda name: numbered(scale=name),
    "a factor, any depth": lambda name: general(depth="K", scale=name),
    "a function": lambda name: numbered(activation={"symbol": name}),
    "a function, any depth": lambda name: general(depth="K", activation={"symbol": name}),
}
EVERYDAY = [
    ("m", "a size, any depth"),
    ("n", "a size"),
    ("m", "the depth"),
    ("n", "a factor"),
    ("L", "a factor, any depth"),
]
NAMES = (
    "m",
    "n",
    "u",
    "v",
    "L",
    "K",
    "h",
    "g",
    "M",
    "n_hidden",
    "n_after",
    "found",
    "value",
    "name",
    "shape",
    "lambda",
)
SLOW = [
    pytest.param(name, role, marks=pytest.mark.slow)
    for name in NAMES
    for role in ROLES
    if (name, role) not in EVERYDAY
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "role"), [*EVERYDAY, *SLOW])
def test_a_name_is_refused_by_name_or_nothing_is_captured(name, role):
    try:
        derivation = sb.derive(sb.from_mapping(ROLES[role](name)))
        certificate = derivation.certificate()
    except sb.SpecError as error:
        assert name in str(error)
        return
    assert certificate.holds, [finding for finding in certificate.findings if not finding.holds]
    report = sb.compare(derivation)
    assert report.agrees, report.table()
    assert derivation.compile()._self_check() < 1e-5


@pytest.mark.parametrize("name", ["n_0", "n_7", "n_l", "n_L"])
def test_what_a_layers_size_is_called_is_the_name_of_nothing_else(name):
    for role in ("a factor", "a function", "the depth"):
        with pytest.raises(sb.SpecError, match=name):
            sb.from_mapping(ROLES[role](name))


def test_sizes_with_the_names_of_other_layers():
    layers = [{"size": "n_2", "activation": "tanh"}, {"size": "n_0", "activation": "tanh"}]
    cost = {"kind": "squared_error", "scale": "1/n_1"}
    spec = {"name": "shuffled", "input": {"size": "n_1"}, "layers": layers, "cost": cost}
    derivation = sb.derive(sb.from_mapping(spec))
    assert derivation.certificate().holds and sb.compare(derivation).agrees
    assert derivation.compile().PARAMETERS["W1"] == ("n_2", "n_1")
    text = derivation.to_latex()
    assert r"Layer $0$ has $\sbpsize{1}$ units." in text and "Here" not in text
    assert r"\frac{1}{\sbpsize{1}}" in text


def test_a_factor_that_names_a_size_is_compared_too():
    spec = numbered(size="n", scale="1/n")
    report = sb.compare(sb.derive(sb.from_mapping(spec)))
    assert report.agrees and report.cost["explicit"] is not None
