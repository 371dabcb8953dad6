"""The map of the whole: from a network to its derivation, gradient code and certificate.

    spec ──► network ──► forward program ──► derivative ──► delta form ──► vectorised program ──► printed

| stage | takes | gives | module |
|---|---|---|---|
| spec | TOML, a mapping, widths | ``Network`` | ``spec`` |
| forward program | ``Network`` | ``Model``: equations of one example, total cost, sizes | ``forward`` |
| composite | ``Program`` | the cost as one expression, its raw derivative | ``compose`` |
| delta form | ``Program`` | ``Adjoint``s: derivations and their equations | ``chain``, ``composite`` |
| batch | ``Model``, ``Adjoint``s | ``Batch``: the same with an index for examples | ``batch`` |
| vectorised program | equations | arrays | ``arrays`` |
| printing | expressions, arrays | LaTeX, NumPy | ``latex``, ``numpy_code``, ``document``, ``codegen`` |
| checking | any of these | findings, a certificate | ``evaluate``, ``check`` |
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import sympy as sp
from sympy.core.parameters import distribute

from symbackprop.algebra.equations import Equation, Program, Quantity, Step
from symbackprop.code.any_depth import any_depth_generator, any_depth_keys
from symbackprop.code.codegen import CODES, module_keys
from symbackprop.code.target_code import numba_source, target_source
from symbackprop.code.targets import TARGETS
from symbackprop.code.updates import with_update
from symbackprop.derivation.batch import Batch, batch
from symbackprop.derivation.chain import Adjoint, backward_equations, reverse
from symbackprop.errors import SymbackpropError
from symbackprop.forward.compose import compose, compose_total
from symbackprop.forward.model import Model, any_number, forward_model, numbered
from symbackprop.forward.references import find
from symbackprop.layout.manner import Manner
from symbackprop.network import Network
from symbackprop.notation.notation import DEFAULT
from symbackprop.notation.words import DEFAULT_LANGUAGE
from symbackprop.printing.linebreak import ARTICLE
from symbackprop.printing.rounding import DIGITS
from symbackprop.rendering.render import fill
from symbackprop.spec.catalogue import FORMS
from symbackprop.tables.mistakes import require
from symbackprop.tables.names import module_name
from symbackprop.version import made_from

if TYPE_CHECKING:
    from symbackprop.checking.check import Equality, Finding
    from symbackprop.checking.saturation import WeakLine
    from symbackprop.layout.claims import Laboratories
    from symbackprop.layout.document import Certificate, Document
    from symbackprop.media.notebook_display import Shown
    from symbackprop.pictures.picture_files import Picture

ROUTES = ("chain", "composite")


def derive(network: Network, route: str = "chain", wrt: str | Sequence[str] = ()) -> NetworkDerivation:
    """Derive backpropagation for a network.

    Args:
        network: what :func:`symbackprop.load` gives.
        route: ``chain``, the chain rule over the definitions, or ``composite``, from the derivative
            of the cost as written out. Both arrive at the same equations. A network with a symbol
            for its depth can't be written out, so the chain rule is used for it in any case.
        wrt: ``x`` differentiates with respect to the input too; an entry such as ``W[L][1,2]`` is
            the one that a text follows which argues with a single weight.

    Raises:
        NoRule: for an operation that no rule covers, by its name.
        SymbackpropError: for a route or a ``wrt`` that doesn't exist.

    >>> from symbackprop.spec.loading import from_widths
    >>> for equation in derive(from_widths("2-1")).equations:
    ...     print(equation)
    delta1[j] = 2*(1 - a1[j])*(a1[j] - y[j])*a1[j]
    dW1[j, k] = delta1[j]*x[k]
    db1[j] = delta1[j]
    """
    if route not in ROUTES:
        raise SymbackpropError(f"route: {route!r}: there are {' and '.join(ROUTES)}")
    wrt = _names(wrt, "wrt", "besides x, the input, it is an entry such as W[L][1,2]")
    model = forward_model(network, wrt_input="x" in wrt)
    route = "chain" if model.symbolic_depth else route
    chosen = tuple(name for name in wrt if name != "x")
    for name in chosen:
        _check_chosen(name, model)
    return NetworkDerivation(model, _adjoints(model, route, "x" in wrt), route, chosen)


def _names(given: str | Sequence[str], where: str, wanted: str) -> tuple[str, ...]:
    """One name or several of them.

    Raises:
        SymbackpropError: for anything else.
    """
    require(given, Iterable, where, wanted)
    names = (given,) if isinstance(given, str) else tuple(given)
    for name in names:
        require(name, str, where, wanted)
    return names


def _check_chosen(name: str, model: Model) -> None:
    """Refuse what is no entry of a parameter; units may be counted from 0, so that is as far as they go."""
    reference = find(name, model, start=0)
    if reference.quantity not in model.program.parameters or not reference.numbers:
        raise SymbackpropError(f"wrt: {name!r}: besides x, the input, it is an entry such as W[L][1,2]")


def _adjoints(model: Model, route: str, wrt_input: bool) -> tuple[Adjoint, ...]:
    parameters = model.own_parameters
    if route == "composite":
        from symbackprop.derivation.composite import composite_route

        adjoints = composite_route(model.program, model.facts)
        if not wrt_input:
            return adjoints
        return (*adjoints, reverse(model.program, model.facts, model.program.inputs[:1])[-1])
    wrt = (*parameters, *model.program.inputs[:1]) if wrt_input else parameters
    return reverse(model.program, model.facts, wrt, model.given)


@dataclass(frozen=True, repr=False)
class NetworkDerivation:
    """Backpropagation for one network: every stage, each made when it is first asked for.

    A notebook shows the deltas and the gradients.
    """

    model: Model
    adjoints: tuple[Adjoint, ...]
    route: str = "chain"
    chosen: tuple[str, ...] = ()

    @property
    def network(self) -> Network:
        """What it was derived from."""
        return self.model.network

    @property
    def wrt(self) -> tuple[str, ...]:
        """What it was differentiated with respect to besides the parameters: ``x``, the input, or nothing."""
        return tuple(a.of.name for a in self.adjoints if a.of == self.model.program.inputs[0])

    @cached_property
    def cost(self) -> sp.Expr:
        """The cost of a batch as one explicit expression in inputs, targets and parameters alone.

        ``x[n, k]`` is input k of example n; sums over units and examples stay sums, and sizes that
        the spec gives as numbers stand as numbers. Sub-expressions are shared.
        """
        return self.model.with_sizes(compose_total(self.model))

    @cached_property
    def example_cost(self) -> sp.Expr:
        """The cost of one example as one explicit expression."""
        return self.model.with_sizes(compose(self.model.program))

    def raw_gradient(self, parameter: str, *indices: int) -> sp.Expr:
        """The derivative of :attr:`cost` with respect to an entry of a parameter, unsimplified.

        The entry is ``W1[j, k]`` or ``b1[j]`` with those letters for indices, unless numbers are given.

        Raises:
            SymbackpropError: for a name that is no parameter, or indices that aren't its own.
        """
        from symbackprop.forward.compose import raw_gradient

        quantity = self._parameter(parameter)
        letters = sp.symbols("j k", integer=True, positive=True)[: len(quantity.dims)]
        self._check_indices(parameter, quantity, indices)
        entry = quantity[tuple(map(sp.Integer, indices)) or tuple(letters)]
        with distribute(False):
            return raw_gradient(self.cost, entry)

    def _check_indices(self, parameter: str, quantity: Quantity, indices: tuple[int, ...]) -> None:
        """Refuse what is no entry of a parameter: the derivative by it would be 0."""
        if indices and len(indices) != len(quantity.dims):
            raise SymbackpropError(f"{parameter} has {len(quantity.dims)} indices, not {len(indices)}")
        for dim, number in zip(quantity.dims, indices, strict=False):
            size = self.model.with_sizes(dim)
            wanted = f"an index of {parameter} is a whole number from 1 to {size}"
            require(number, int, "indices", wanted)
            if number < 1 or (size.is_Integer and number > size):
                raise SymbackpropError(f"indices: {number}: {wanted}")

    def _parameter(self, name: str) -> Quantity:
        for quantity in self.model.program.parameters:
            if quantity.name == name:
                return quantity
        names = ", ".join(q.name for q in self.model.program.parameters)
        raise SymbackpropError(f"{name!r} is no parameter of this network; there are {names}")

    @property
    def equations(self) -> tuple[Equation, ...]:
        """The delta form, for one example: deltas from the cost back, then gradients, first layer first."""
        gradients = (*self.model.program.parameters, *self.model.program.inputs)
        place = {quantity.name: number for number, quantity in enumerate(gradients, 1)}
        return backward_equations(sorted(self.adjoints, key=lambda a: place.get(a.of.name, 0)))

    @property
    def named(self) -> tuple[Quantity, ...]:
        """The derivatives of one example's cost that have a name."""
        return tuple(adjoint.named for adjoint in self.adjoints if adjoint.named is not None)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Every step of every derivation: rule, before, after, because."""
        one = tuple(a.derivation for a in self.adjoints if a.derivation is not None)
        total = tuple(gradient.derivation for gradient in self.batch.gradients)
        return tuple(step for derivation in (*one, *total) for step in derivation.steps)

    @cached_property
    def findings(self) -> dict[Equality, Finding]:
        """What the checks of equalities have found so far."""
        return {}

    @cached_property
    def laboratories(self) -> Laboratories:
        """Where its equalities are checked: instances of its programs, drawn once for all documents."""
        from symbackprop.layout.claims import Laboratories

        return Laboratories(self)

    @cached_property
    def code_equalities(self) -> tuple[Equality, ...]:
        """What the lines of the generated code claim."""
        from symbackprop.layout.code_claims import code_equalities

        with distribute(False):
            return tuple(code_equalities(self))

    @cached_property
    def weak_lines(self) -> tuple[WeakLine, ...]:
        """Lines of code that are wrong at saturation, as far as looking at some places shows it."""
        from symbackprop.checking.saturation import weak_lines

        return weak_lines(self)

    @cached_property
    def stable_forward(self) -> Program:
        """The forward equations of a batch, in forms that can be evaluated where a unit is saturated."""
        from symbackprop.checking.points import in_stable_forms

        return in_stable_forms(self.batch.forward)

    @cached_property
    def batch(self) -> Batch:
        """The programs of a batch."""
        return batch(self.model, self.adjoints)

    @cached_property
    def code(self) -> str:
        """The source of the generated NumPy module."""
        return self.module_source()

    def module_source(self, target: str = "numpy", code: str = "auto", update: str | None = None) -> str:
        """The source of a generated module.

        Args:
            target: the library that it is for, one of ``symbackprop list targets``.
            code: what ``make_gradients`` of the NumPy module is made of: ``arrays``, ``scalar`` (number by
                number, for tiny networks) or ``auto``, whichever is expected to be faster.
            update: a rule of ``symbackprop list updates``, for a training step in the module.

        Raises:
            SymbackpropError: for a target, a code or a rule that doesn't exist.
            NoRule: for scalar code of a network that has none, and for what a library has no function for.
        """
        if code not in CODES:
            raise SymbackpropError(f"code: {code!r}: there are auto, arrays and scalar")
        if target != "numpy":
            return self._for_target(target, update)
        if self.model.symbolic_depth:
            keys = any_depth_keys(any_depth_generator(self.model, self.batch), self.about)
            return fill("any_depth.py.jinja", with_update(keys, update))
        keys = module_keys(self.model, self.batch, self.about, code)
        return fill("gradients.py.jinja", with_update(keys, update))

    def _for_target(self, name: str, update: str | None) -> str:
        if name not in (*TARGETS, "numba"):
            raise SymbackpropError(f"target: {name!r}: there are numpy, numba, {', '.join(TARGETS)}")
        if name == "numba":
            return numba_source(self.model, self.batch, self.about, update)
        needed = TARGETS[name].wants_input and not self.wrt
        derivation = derive(self.network, self.route, ("x",)) if needed else self
        return target_source(name, derivation.model, derivation.batch, self.about, bool(self.wrt), update)

    @property
    def about(self) -> tuple[str, ...]:
        """The header of everything that is generated: by what, and from which spec."""
        network = self.network
        made = made_from(network.name, network.fingerprint)
        facts = [f"It uses the declared fact {fact.name}: targets must keep it." for fact in self.model.facts]
        return (f"{made}; do not edit.", *facts)

    def compile(self) -> types.ModuleType:
        """The generated module, imported from memory."""
        module = types.ModuleType(module_name(self.network.name))
        module.__dict__["__file__"] = f"<generated for {self.network.name}>"
        exec(compile(self.code, module.__dict__["__file__"], "exec"), module.__dict__)
        return module

    def document(
        self,
        notation: str = DEFAULT,
        forms: str | Sequence[str] = (),
        digits: int = DIGITS,
        detail: str = "full",
        language: str = DEFAULT_LANGUAGE,
        budget: float = ARTICLE,
    ) -> Document:
        """The derivation laid out for reading, with every equality that is printed.

        Args:
            notation: the name of a notation, or the path of a file that holds one.
            forms: the forms it is told in, one after the other.
            digits: how many decimals the numbers of a worked example have.
            detail: ``full``, every step with its reason, or ``brief``, the results alone.
            language: one of ``symbackprop list languages``, or a file of words.
            budget: how many characters a line holds.
        """
        from symbackprop.layout.exposition import lay_out

        names = _names(forms, "form", f"there are {', '.join(FORMS)}")
        return lay_out(self, Manner(notation, names, digits, detail, language, budget))

    def to_latex(
        self,
        notation: str = DEFAULT,
        form: str | Sequence[str] = (),
        digits: int = DIGITS,
        language: str = DEFAULT_LANGUAGE,
    ) -> str:
        """The LaTeX fragment in a notation and one or more forms, its numbers with so many digits.

        Raises:
            FormRefused: for a form that makes no sense for this network.
        """
        return self.document(notation, form, digits, language=language).to_latex()

    def to_html(
        self,
        notation: str = DEFAULT,
        form: str | Sequence[str] = (),
        language: str = DEFAULT_LANGUAGE,
    ) -> str:
        """The derivation as a web page: one file, which needs no network and no script to be read.

        Raises:
            FormRefused: for a form that makes no sense for this network.
        """
        from symbackprop.media.html import page

        document = self.document(notation, form, language=language)
        wanted = self.page_forms(document.forms)
        same = wanted == document.forms
        return page(document if same else self.document(notation, wanted, language=language), self)

    def page_forms(self, forms: Sequence[str] = ()) -> tuple[str, ...]:
        """The forms of the web page: its readers switch between indices and matrices, so it has both.

        >>> from symbackprop.spec.loading import from_widths
        >>> derive(from_widths("2-1")).page_forms(["components"])
        ('components', 'index', 'matrix')
        """
        indices = "general" if self.model.symbolic_depth else "index"
        return tuple(dict.fromkeys((*forms, indices, "matrix")))

    def certificate(self, forms: str | Sequence[str] = ()) -> Certificate:
        """Every printed equality, checked independently of how it was derived."""
        return self.document(forms=forms).certificate

    def show(self, step: Step | Equation | str, notation: str = DEFAULT) -> Shown:
        """A step with its reason, an equation, or by its label all steps to one, for a notebook.

        >>> from symbackprop.spec.loading import from_widths
        >>> derivation = derive(from_widths("2-2"))
        >>> derivation.show(derivation.equations[1])
        dW1[j, k] = delta1[j]*x[k]
        >>> r"\\text{chain rule}" in derivation.show(derivation.steps[2]).latex
        True
        >>> derivation.show("db-1").latex.count("&=")
        4

        Raises:
            SymbackpropError: where there is no such label, with those that there are.
        """
        from symbackprop.media import notebook_display

        wanted = "this is one of the steps or equations of the derivation, or a label"
        require(step, (Step, Equation, str), "step", wanted)
        if isinstance(step, str):
            return notebook_display.equation(self, step, notation)
        return notebook_display.step(self, step, notation)

    def pictures(self, notation: str = DEFAULT) -> dict[str, Picture]:
        """The pictures that there are, by what they show; a notebook shows each by itself."""
        from symbackprop.pictures.picture_files import pictures_of

        return pictures_of(self, notation)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from symbackprop.media.notebook_display import results

        return results(self)._repr_mimebundle_()

    def __repr__(self) -> str:
        return f"<backpropagation of {self.network.name}, by the {self.route} route>"

    def at_depth(self, depth: int) -> NetworkDerivation:
        """The derivation of the same network with a number of layers instead of a symbol."""
        wanted = "the number of layers is a whole number from 1 up, in a network with a symbol for it"
        require(depth, int, "depth", wanted)
        if depth < 1 or self.network.depth is None:
            raise SymbackpropError(f"depth: {depth}: {wanted}")
        return derive(numbered(self.network, depth), self.route, self.wrt)

    @cached_property
    def any_depth(self) -> NetworkDerivation:
        """The derivation for any number of layers of the kind of the hidden ones.

        Raises:
            FormRefused: where a factor names the size of one hidden layer.
        """
        return derive(any_number(self.network), wrt=self.wrt)
