"""What is handed to the functions of the package: a wrong kind of thing gets a sentence, not a traceback."""

import numpy as np
import pytest

import symbackprop as sb

NETWORK = sb.load("2-2-1")
DERIVATION = sb.derive(NETWORK)

MISTAKES = {
    "a name for a network": (lambda: sb.derive("2-2-1"), "network: '2-2-1': this is what load gives"),
    "no network": (lambda: sb.derive(None), "network: None: this is what load gives"),
    "a mapping for a network": (lambda: sb.derive({"name": "net"}), "network: {'name': 'net'}: this is what"),
    "no network for a model": (lambda: sb.forward_model("2-1"), "network: '2-1': this is what load gives"),
    "no wrt": (lambda: sb.derive(NETWORK, wrt=None), "wrt: None: besides x, the input, it is an entry"),
    "a number for wrt": (lambda: sb.derive(NETWORK, wrt=[1]), "wrt: 1: besides x, the input, it is an entry"),
    "a parameter for wrt": (lambda: sb.derive(NETWORK, wrt="W1"), "wrt: 'W1': besides x, the input"),
    "a network to compare": (lambda: sb.compare(NETWORK), "this is what derive gives, as in derive(network)"),
    "a module to compare": (lambda: sb.compare(DERIVATION.compile()), "this is what derive gives"),
    "a word for a seed": (
        lambda: sb.compare(DERIVATION, "a"),
        "seed: 'a': a seed is a whole number from 0 up",
    ),
    "half a seed": (lambda: sb.compare(DERIVATION, 1.5), "seed: 1.5: a seed is a whole number from 0 up"),
    "no seed": (lambda: sb.compare(DERIVATION, None), "seed: None: a seed is a whole number from 0 up"),
    "a list to load": (lambda: sb.load([2, 1]), "path_or_widths: [2, 1]: a spec is the path of a TOML file"),
    "a mapping to load": (lambda: sb.load({}), "from_mapping takes a dictionary"),
    "a list of widths": (lambda: sb.from_widths([2, 1]), "text: [2, 1]: widths are a text such as '2-3-1'"),
    "a number for a cost": (lambda: sb.from_widths("2-1", cost=3), "2-1: --cost: 3: this name is not known"),
    "no hidden activation": (lambda: sb.from_widths("2-1", hidden=None), "--hidden: None: this name is not"),
    "an index out of range": (
        lambda: DERIVATION.raw_gradient("W1", 3, 1),
        "indices: 3: an index of W1 is a whole number from 1 to 2",
    ),
    "an index 0": (
        lambda: DERIVATION.raw_gradient("W1", 1, 0),
        "indices: 0: an index of W1 is a whole number from 1 to 2",
    ),
    "half an index": (lambda: DERIVATION.raw_gradient("W1", 1.5, 1), "indices: 1.5: an index of W1"),
    "a letter for an index": (lambda: DERIVATION.raw_gradient("W1", "j", 1), "indices: 'j': an index of W1"),
    "no notation": (
        lambda: DERIVATION.to_latex(notation=None),
        "notation: None: a notation is the name of one",
    ),
    "a number for a language": (
        lambda: DERIVATION.to_latex(language=1),
        "language: 1: a language is the name",
    ),
    "a word for digits": (
        lambda: DERIVATION.to_latex(digits="x"),
        "digits: 'x': numbers are printed with 1 to",
    ),
    "no form": (lambda: DERIVATION.to_latex(form=None), "form: None: there are argument, index, matrix, "),
    "a number for a form": (lambda: DERIVATION.document(forms=[3]), "form: 3: there are argument, index, "),
    "no step": (lambda: DERIVATION.show(3), "step: 3: this is one of the steps or equations"),
    "no label": (lambda: DERIVATION.show("delta"), "label: 'delta': there are z-1, "),
    "a depth where none is open": (lambda: DERIVATION.at_depth(3), "in a network with a symbol for it"),
    "a derivation to reverse": (lambda: sb.reverse(DERIVATION), "this is a Program of equations"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_argument_gets_a_sentence(mistake):
    call, sentence = MISTAKES[mistake]
    with pytest.raises(sb.SymbackpropError) as refused:
        call()
    assert sentence in str(refused.value)


def test_one_name_may_stand_for_several():
    assert sb.derive(NETWORK, wrt="x").wrt == ("x",)
    assert DERIVATION.certificate("matrix").holds
    assert sb.compare(DERIVATION, np.int64(3)).agrees


def test_a_mapping_may_hold_arrays_and_numbers_of_numpy():
    spec = {
        "name": "net",
        "input": {"size": np.int64(2)},
        "layers": [{"size": np.int32(1), "activation": "tanh", "bias": np.bool_(False)}],
        "cost": {"kind": "squared_error"},
        "values": {"W1": np.array([[0.5, 0.25]]), "x": np.ones((1, 2), np.float32), "y": np.zeros((1, 1))},
    }
    plain = {
        **spec,
        "input": {"size": 2},
        "layers": [{"size": 1, "activation": "tanh", "bias": False}],
        "values": {"W1": [[0.5, 0.25]], "x": [[1.0, 1.0]], "y": [[0.0]]},
    }
    assert sb.from_mapping(spec) == sb.from_mapping(plain)
