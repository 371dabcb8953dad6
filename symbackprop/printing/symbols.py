r"""Quantities, sizes and other symbols as macros: the leaves of every printed formula."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import sympy as sp

from symbackprop.algebra.equations import DERIVATIVE_ROLES, Quantity, Role
from symbackprop.algebra.indices import LETTERS, index_symbol
from symbackprop.errors import NoRule
from symbackprop.notation.notation import Notation, load_notation

_SMALL_GREEK = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "zeta", "eta", "theta", "vartheta"),
    *("iota", "kappa", "lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi"),
    *("varphi", "chi", "psi", "omega"),
)
_CAPITAL_GREEK = ("Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega")
GREEK = frozenset((*_SMALL_GREEK, *_CAPITAL_GREEK))
"""The names that are commands of LaTeX: ``lambda`` is printed as the letter."""

_ACCENTS = {"hat": r"\hat", "bar": r"\bar", "tilde": r"\tilde", "dot": r"\dot"}
_LAYERED = {
    Role.WEIGHT: "sbpweight",
    Role.BIAS: "sbpbias",
    Role.PRE_ACTIVATION: "sbppact",
    Role.ACTIVATION: "sbpact",
    Role.DELTA: "sbpdelta",
}
_UNLAYERED = {Role.INPUT: "sbpinput", Role.TARGET: "sbptarget", Role.OUTPUT_COST: "sbpoutputcost"}
_SCALARS = {Role.COST: "sbpcost", Role.EXAMPLE_COST: "sbpexamplecost", Role.PENALTY: "sbppenalty"}
_RANKS = {**dict.fromkeys((*_LAYERED, *_UNLAYERED), 1), **dict.fromkeys(_SCALARS, 0), Role.WEIGHT: 2}
_ARGUMENTS = {
    "a": (r"\sbpactletter", Role.ACTIVATION),
    "y": (r"\sbptargetletter", Role.TARGET),
    "z": (r"\sbppactletter", Role.PRE_ACTIVATION),
    "x": (r"\sbpinputletter", Role.INPUT),
}
_NAMED = {"N": r"\sbpexamples", "learning_rate": r"\sbplearningrate", "eta": r"\sbplearningrate"}


@dataclass(frozen=True)
class Names:
    """How the symbols of expressions are printed.

    ``quantities`` has every quantity by its name, derivatives such as ``delta1`` included; a name
    that isn't there is printed as it is. ``sizes`` says what is printed for the size symbols
    ``n_0``, ``n_1``, … of the engine: a number, or the spec's own symbol. ``numbers`` are printed in place
    of the entries that they are the values of. ``last`` is the output layer. With ``single`` every layer has
    one unit, and an entry is printed as the whole that it is.
    """

    notation: Notation = field(default_factory=load_notation)
    quantities: Mapping[str, Quantity] = field(default_factory=dict)
    sizes: Mapping[str, sp.Expr] = field(default_factory=dict)
    numbers: Mapping[sp.Basic, str] = field(default_factory=dict)
    last: sp.Expr | None = None
    single: bool = False

    @staticmethod
    def of(
        quantities: Iterable[Quantity],
        sizes: Iterable[tuple[sp.Symbol, sp.Expr]] = (),
        notation: Notation | None = None,
        last: sp.Expr | None = None,
    ) -> Names:
        """Names for these quantities, those that they are derivatives of included."""
        found: dict[str, Quantity] = {}
        for quantity in quantities:
            for one in (quantity, quantity.of, quantity.cost):
                if one is not None:
                    found.setdefault(one.name, one)
        return Names(
            notation or load_notation(), found, {str(size): shown for size, shown in sizes}, last=last
        )

    def quantity(self, node: sp.Basic) -> Quantity | None:
        """The quantity that an entry or a symbol belongs to, if it is one."""
        name = base_name(node)
        return self.quantities.get(name) or self._of_other_layer(name)

    def _of_other_layer(self, name: str) -> Quantity | None:
        """A quantity of a general layer, ``a[l-1]``, after one of the same family, ``a[l]``."""
        found = re.fullmatch(r"([A-Za-z]+)\[([A-Za-z])(?:([+-]\d+))?\]", name)
        if not found:
            return None
        layer = index_symbol(found[2]) + int(found[3] or 0)
        family = (q for q in self.quantities.values() if q.letter == found[1] and q.layer is not None)
        like = next(family, None)
        return None if like is None else replace(like, name=name, layer=layer)

    def role(self, node: sp.Basic) -> Role | None:
        """The role of an entry; of the arguments of a formula too."""
        quantity = self.quantity(node)
        if quantity is not None:
            return quantity.role
        known = _ARGUMENTS.get(base_name(node))
        return known[1] if known else None

    @property
    def last_layer(self) -> str:
        """The letter of the last layer: that of the notation, or the spec's own where it has another."""
        shown = letter_of(str(self.sizes.get("L", "L")))
        return r"\sbplastlayer" if shown in ("L", self.notation["sbplastlayer"].definition) else shown

    @cached_property
    def own_sizes(self) -> frozenset[str]:
        """The names of the symbols that the spec uses for sizes."""
        return frozenset(str(symbol) for shown in self.sizes.values() for symbol in shown.free_symbols)


def base_name(node: sp.Basic) -> str:
    """The name of what an entry is an entry of, or of a symbol."""
    named = node.base if isinstance(node, sp.Indexed) else node
    return str(getattr(named, "name", named))


def entry(quantity: Quantity, indices: tuple[sp.Expr, ...], names: Names) -> str:
    r"""One entry of a quantity; with one index more than it has axes, the first counts examples.

    >>> j, n = sp.symbols("j n", integer=True, positive=True)
    >>> z = Quantity("z1", "z", Role.PRE_ACTIVATION, sp.Integer(1), (n,))
    >>> print(entry(z, (j,), Names()))
    \sbppact{1}{j}
    >>> print(entry(z, (n, j), Names()))
    \sbppact{\sbpinexample{n}{1}}{j}
    """
    if quantity.role in DERIVATIVE_ROLES - {Role.DELTA}:
        return _derivative_entry(quantity, indices, names)
    rank = _rank(quantity)
    example = index(indices[0], names) if len(indices) == rank + 1 else None
    own = indices[1:] if example is not None else indices
    if len(own) != rank:
        raise NoRule(f"{quantity.name} has {rank} indices, not {len(indices)}")
    if quantity.role in _SCALARS:
        return _scalar(quantity, example)
    if names.single and example is None:
        return whole(quantity, names)
    quantity = _as_written(quantity, names)
    stem = _stem_alone(quantity, names)
    if stem is not None:
        single = own[0] == 1 and _size_of(quantity, names) == 1
        return _of_example(rf"\{stem}letter" if single else rf"\{stem}{{{index(own[0], names)}}}", example)
    return _layered_entry(quantity, own, example, names)


def _as_written(quantity: Quantity, names: Names) -> Quantity:
    """The input as the activation of layer 0, where the notation has it so."""
    if quantity.role is Role.INPUT and quantity.layer is not None and names.notation.input_is_activation:
        return replace(quantity, role=Role.ACTIVATION)
    return quantity


def _stem_alone(quantity: Quantity, names: Names) -> str | None:
    """How the macros of a quantity that stands without its layer begin: input, target, output."""
    outputs = quantity.role is Role.ACTIVATION and names.last is not None and quantity.layer == names.last
    if outputs and names.notation.output_has_letter:
        return "sbpoutput"
    return _UNLAYERED.get(quantity.role)


def _size_of(quantity: Quantity, names: Names) -> sp.Expr | None:
    """The number of units of a vector, as the spec declares it."""
    return names.sizes.get(str(quantity.dims[-1])) if quantity.dims else None


def _rank(quantity: Quantity) -> int:
    """How many indices an entry has for one example."""
    if not quantity.dims:
        return 0
    of_one = quantity.dims[1:] if quantity.dims and base_name(quantity.dims[0]) == "N" else quantity.dims
    return _RANKS.get(quantity.role, len(of_one))


def _scalar(quantity: Quantity, example: str | None) -> str:
    if quantity.role is Role.EXAMPLE_COST and example is not None:
        return rf"\sbpcostof{{{example}}}"
    return _of_example(f"\\{_SCALARS[quantity.role]}", example)


def _derivative_entry(quantity: Quantity, indices: tuple[sp.Expr, ...], names: Names) -> str:
    """A derivative that has no letter of its own; that of one example is of the cost of that example."""
    assert quantity.of is not None and quantity.cost is not None
    of_example = quantity.cost.role is Role.EXAMPLE_COST and len(indices) == _rank(quantity.of) + 1
    top = entry(quantity.cost, indices[:1] if of_example else (), names)
    return rf"\sbppartial{{{top}}}{{{entry(quantity.of, indices, names)}}}"


def _of_example(tex: str, example: str | None) -> str:
    return tex if example is None else rf"\sbpofexample{{{tex}}}{{{example}}}"


def _layered_entry(
    quantity: Quantity, indices: tuple[sp.Expr, ...], example: str | None, names: Names
) -> str:
    macro = _LAYERED.get(quantity.role)
    if macro is None or quantity.layer is None:
        return _other_entry(quantity, indices, example, names)
    layer = layer_argument(quantity.layer, names, example)
    own = [index(i, names) for i in indices]
    if quantity.role is Role.BIAS and names.notation.bias_folded:
        macro, own = "sbpweight", [*own, "0"]
    if macro == "sbpweight" and any(len(i) > 1 for i in own):
        macro = "sbpweightwide"
    return f"\\{macro}" + "".join(f"{{{part}}}" for part in (layer, *own))


def _other_entry(quantity: Quantity, indices: tuple[sp.Expr, ...], example: str | None, names: Names) -> str:
    letter = letter_of(quantity.letter)
    if quantity.layer is None:
        return _of_example(named_entry(letter, indices, names), example)
    layer = layer_argument(quantity.layer, names, example)
    if not indices:
        return rf"\sbplayered{{{letter}}}{{{layer}}}"
    return rf"\sbplayerentry{{{letter}}}{{{layer}}}{{{_listed(indices, names)}}}"


def named_entry(letter: str, indices: tuple[sp.Expr, ...], names: Names) -> str:
    """An entry of something that is no known quantity."""
    if not indices:
        return rf"\sbpsymbol{{{letter}}}"
    return rf"\sbpentry{{{letter}}}{{{_listed(indices, names)}}}"


def _listed(indices: tuple[sp.Expr, ...], names: Names) -> str:
    shown = [index(i, names) for i in indices]
    return ("," if any(len(i) > 1 for i in shown) else " ").join(shown)


def layer_argument(layer: sp.Expr, names: Names | None = None, example: str | None = None) -> str:
    r"""A layer as a macro's argument; the letters of the last layer and of any layer are macros.

    >>> layer_argument(sp.Symbol("L") - 1)
    '\\sbplastlayer-1'
    """
    last = None if names is None else names.last
    if names is not None and names.notation.counts_from_output and _are_numbers(layer, last):
        layer = sp.Symbol("L") + layer - last
    shown = _arithmetic(layer, {"L": (names or Names()).last_layer, "l": r"\sbpanylayer"})
    return shown if example is None else rf"\sbpinexample{{{example}}}{{{shown}}}"


def _are_numbers(*layers: sp.Expr | None) -> bool:
    """Whether layers are numbered; any layer l is just that, also where the others are counted from L."""
    return all(isinstance(layer, sp.Integer) for layer in layers)


def index(expr: sp.Expr, names: Names) -> str:
    """An index as it stands in a subscript: letters first, then numbers, no spaces.

    A number is that of a unit, counted from where the notation starts.

    >>> index(sp.Symbol("k", integer=True, positive=True) - 1, Names())
    'k-1'
    """
    if isinstance(expr, sp.Integer) or _is_size(expr, names):
        expr = expr - 1 + names.notation.index.start
    own = {str(s): size(s, names) for s in expr.free_symbols if _is_size(s, names)}
    return _arithmetic(expr, own)


def _arithmetic(expr: sp.Expr, shown: Mapping[str, str]) -> str:
    """Sums of letters and numbers, on one line."""
    if isinstance(expr, sp.Symbol):
        return _index_term(expr, shown)
    terms = sorted(sp.Add.make_args(expr), key=lambda t: (t.is_number, t.could_extract_minus_sign(), str(t)))
    text = ""
    for term in terms:
        negative = term.could_extract_minus_sign()
        sign = "-" if negative else "+" if text else ""
        text += sign + _index_term(-term if negative else term, shown)
    return text


def _index_term(term: sp.Expr, shown: Mapping[str, str]) -> str:
    coefficient, letter = term.as_coeff_Mul()
    if isinstance(term, sp.Integer):
        return str(term)
    if not isinstance(letter, sp.Symbol) or not isinstance(coefficient, sp.Integer):
        raise NoRule(f"no rule prints the index {term}: an index is a sum of letters and whole numbers")
    return ("" if coefficient == 1 else str(coefficient)) + shown.get(letter.name, letter_of(letter.name))


def symbol(node: sp.Symbol, names: Names) -> str:
    r"""A symbol: a quantity with no indices, a size, an index, or one that the spec leaves open.

    >>> print(symbol(sp.Symbol("lambda"), Names()), symbol(sp.Symbol("n_1"), Names()))
    \sbpsymbol{\lambda} \sbpsize{1}
    """
    name = str(node)
    quantity = names.quantities.get(name)
    if quantity is not None and not quantity.dims:
        return entry(quantity, (), names)
    if name in _NAMED:
        return _NAMED[name]
    if _is_size(node, names):
        return size(node, names)
    if node.is_integer and (_is_index(name) or name in names.notation.index.all):
        return letter_of(name)
    if name in _ARGUMENTS:
        return _ARGUMENTS[name][0]
    return rf"\sbpsymbol{{{letter_of(name)}}}"


def _is_index(name: str) -> bool:
    return name.partition("_")[0] in {*LETTERS, "l", "n", "L"}


def _is_size(node: sp.Basic, names: Names) -> bool:
    name = base_name(node)
    return name in names.sizes or name in names.own_sizes or _size_suffix(name) is not None


def _size_suffix(name: str) -> str | None:
    found = re.fullmatch(r"n_(\d+|[A-Za-z](?:[+-]\d+)?)", name)
    return found[1] if found else None


def size(node: sp.Basic, names: Names) -> str:
    r"""A size: the number or the symbol that the spec gives, or else the macro for sizes."""
    if str(node) == "L" and "L" in names.sizes:
        return names.last_layer
    shown = names.sizes.get(str(node), node)
    if isinstance(shown, sp.Integer):
        return str(shown)
    if str(shown) in _NAMED:
        return _NAMED[str(shown)]
    layer = size_layer(shown)
    if layer is None:
        return rf"\sbpsymbol{{{_size_letter(str(shown), names)}}}"
    return size_of_layer(layer, names)


def size_of_layer(layer: sp.Expr, names: Names) -> str:
    """The macro for the size of a layer; l + 1 stands in parentheses where it isn't the index."""
    shown = layer_argument(layer, names)
    beside = "_{#1}" not in names.notation["sbpsize"].definition
    return rf"\sbpsize{{({shown})}}" if beside and not layer.is_Atom else rf"\sbpsize{{{shown}}}"


def _size_letter(name: str, names: Names) -> str:
    """A size with a name of its own; of a family such as ``r_l`` the layer is in the notation's letters."""
    family = re.fullmatch(r"(\w+)_([lL])([+-]\d+)?", name) if "L" in names.sizes else None
    if family is None:
        return letter_of(name)
    layer = index_symbol(family[2]) + int(family[3] or 0)
    return f"{_word(family[1])}_{{{layer_argument(layer, names)}}}"


def size_layer(size: sp.Basic) -> sp.Expr | None:
    """The layer that a size such as ``n_2`` or ``n_l+1`` is of, if it has such a name.

    >>> size_layer(sp.Symbol("n_l-1"))
    l - 1
    """
    suffix = _size_suffix(str(size))
    if suffix is None:
        return None
    if suffix.isdigit():
        return sp.Integer(int(suffix))
    return index_symbol(suffix[0]) + int(suffix[1:] or 0)


def indexed(node: sp.Indexed, names: Names) -> str:
    """An entry, of a known quantity or of any other."""
    quantity = names.quantity(node)
    if quantity is not None:
        return entry(quantity, tuple(node.indices), names)
    name = base_name(node)
    letter = _ARGUMENTS[name][0] if name in _ARGUMENTS else letter_of(name)
    return named_entry(letter, tuple(node.indices), names)


def letter_of(name: str) -> str:
    r"""A name as LaTeX: Greek by name, a number after it lowered, ``hat`` and ``bar`` put on top.

    >>> [letter_of(name) for name in ("mu", "xhat", "h1", "m_2", "rate")]
    ['\\mu', '\\hat{x}', 'h_{1}', 'm_{2}', '\\mathit{rate}']
    """
    head, _, tail = name.partition("_")
    numbered = re.fullmatch(r"(.*?[A-Za-z])(\d+)", head)
    if numbered:
        head, tail = numbered[1], ",".join(part for part in (numbered[2], tail) if part)
    lowered = ",".join(_word(part) for part in re.split("[_,]", tail)) if tail else ""
    return _word(head) + (f"_{{{lowered}}}" if lowered else "")


def _word(word: str) -> str:
    if word in GREEK:
        return f"\\{word}"
    for ending, accent in _ACCENTS.items():
        stem = word.removesuffix(ending)
        if stem != word and (len(stem) == 1 or stem in GREEK):
            return f"{accent}{{{_word(stem)}}}"
    if len(word) <= 1 or word.isdigit():
        return _plain(word)
    return rf"\mathit{{{_plain(word)}}}"


def _plain(word: str) -> str:
    """Letters, digits and the signs of an index; anything else as its code point."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "+-'") else f"U{ord(c):04X}" for c in word)


def function_name(letter: str, order: int, names: Names, argument: sp.Basic | None = None) -> str:
    r"""The name of an activation function, differentiated ``order`` times.

    Where the notation has it so, it carries the layer of its argument.

    >>> print(function_name("sigma", 1, Names()), function_name("g", 0, Names()))
    \sbpprime{\sbpfnsigma} \sbpfn{g}
    """
    macro = names.notation.function(letter)
    name = f"\\{macro}" if macro else rf"\sbpfn{{{_function_letter(letter)}}}"
    if order > 3:
        return rf"\sbpnthderivative{{{name}}}{{{order}}}"
    for _ in range(order):
        name = rf"\sbpprime{{{name}}}"
    layer = _layer_of(argument, names) if argument is not None and names.notation.functions_layered else None
    return name if layer is None else rf"\sbpfnat{{{name}}}{{{layer_argument(layer, names)}}}"


def _layer_of(argument: sp.Basic, names: Names) -> sp.Expr | None:
    """The layer of a pre-activation, or of the weights in a formula for one."""
    quantity = names.quantity(argument) if isinstance(argument, sp.Indexed | sp.IndexedBase) else None
    if quantity is not None:
        return quantity.layer
    found: sp.Expr | None = None
    for entry in argument.atoms(sp.Indexed):
        weight = names.quantity(entry)
        if weight is None or weight.role is not Role.WEIGHT or weight.layer is None:
            continue
        if found is None or bool((weight.layer - found).is_positive):
            found = weight.layer
    return found


def _function_letter(name: str) -> str:
    shown = letter_of(name)
    return rf"\operatorname{{{_plain(name.replace('_', '-'))}}}" if "mathit" in shown else shown


def apart_from_sizes(expr: sp.Basic, names: Names) -> sp.Basic:
    """The expression with other letters for indices that have the name of one of the spec's sizes."""
    bound = {total.limits[at][0] for total in expr.atoms(sp.Sum) for at in range(len(total.limits))}
    clashes = sorted((letter for letter in bound if base_name(letter) in names.own_sizes), key=str)
    if not clashes:
        return expr
    taken = {str(symbol) for symbol in expr.atoms(sp.Symbol)} | names.own_sizes
    free = (index_symbol(letter) for letter in LETTERS if letter not in taken)
    return expr.xreplace(dict(zip(clashes, free, strict=False)))


def whole(quantity: Quantity, names: Names, batch: bool = False) -> str:
    r"""A whole vector or matrix; with ``batch`` the matrix that holds one row an example.

    >>> n = sp.Symbol("n", integer=True, positive=True)
    >>> print(whole(Quantity("W1", "W", Role.WEIGHT, sp.Integer(1), (n, n)), Names()))
    \sbpweightmat{1}
    """
    if quantity.role in DERIVATIVE_ROLES - {Role.DELTA}:
        assert quantity.of is not None and quantity.cost is not None
        top = entry(quantity.cost, (), names)
        return rf"\sbpgradient{{{top}}}{{{whole(quantity.of, names, batch)}}}"
    if quantity.role in _SCALARS:
        return f"\\{_SCALARS[quantity.role]}"
    quantity = _as_written(quantity, names)
    alone = _stem_alone(quantity, names)
    known = alone or _LAYERED.get(quantity.role)
    matrix = quantity.role is Role.WEIGHT or (batch and quantity.role is not Role.BIAS)
    form = "mat" if matrix else "vec"
    layer = "" if quantity.layer is None else f"{{{layer_argument(quantity.layer, names)}}}"
    if known is None:
        dressed = rf"\sbp{form}{{{letter_of(quantity.letter)}}}"
        return rf"\sbplayered{{{dressed}}}{layer}" if layer else dressed
    return f"\\{known}{form}" + ("" if alone else layer)


def carries_superscript(macro_call: str, names: Names) -> bool:
    """Whether what a macro prints ends in a superscript, so that an exponent needs parentheses."""
    return "^" in _top_level(macro_call, names)


def _top_level(tex: str, names: Names) -> str:
    found = re.match(r"\\(sbp[a-z]+)", tex)
    if not found or found[1] not in names.notation:
        return tex
    if found[1] == "sbpofexample":
        return "^"
    return names.notation[found[1]].definition
