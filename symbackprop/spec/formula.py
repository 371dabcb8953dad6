"""Formulas that users write, read by a grammar of our own into SymPy expressions.

Python's parser gives the syntax tree; every node in it is looked up in the tables below, and what
isn't there is refused by its name. Nothing is evaluated as Python, by ``eval`` or by SymPy's parser.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, reduce
from math import isfinite
from typing import Any

import sympy as sp

from symbackprop.algebra.indices import total
from symbackprop.algebra.piecewise import absolute, choose, larger, sign, smaller
from symbackprop.network import WIDTH, Activation, Formula, argument, index, vector_argument
from symbackprop.spec.catalogue import ACTIVATIONS, COSTS
from symbackprop.spec.formula_text import LAMBDA, FormulaError, tree
from symbackprop.tables.names import did_you_mean, why_illegal, why_no_other

__all__ = ["FormulaError", "activation_named", "cost_formula", "is_coupled", "parse_factor", "parse_formula"]

_NUMBER = re.compile(r"(\d{0,40})(\.\d{0,40})?([eE][+-]?\d{1,2})?")
_LARGEST_EXPONENT = 64
_LARGEST = 1e100
_LARGEST_CONSTANT_ARGUMENT = {"exp": 64, "sinh": 64, "cosh": 64, "tanh": 8, "erf": 8}
_BITS = 4096
_TREE_SIZE = 2000
_SUM_INDICES = ("i", "k", "p", "q", "r", "s", "t")

FUNCTIONS: dict[str, tuple[int, Callable[..., sp.Expr]]] = {
    "exp": (1, sp.exp),
    "log": (1, sp.log),
    "sqrt": (1, sp.sqrt),
    "abs": (1, absolute),
    "tanh": (1, sp.tanh),
    "sinh": (1, sp.sinh),
    "cosh": (1, sp.cosh),
    "sin": (1, sp.sin),
    "cos": (1, sp.cos),
    "arctan": (1, sp.atan),
    "atan": (1, sp.atan),
    "erf": (1, sp.erf),
    "sign": (1, sign),
    "max": (2, larger),
    "min": (2, smaller),
}
"""Functions of the grammar with the number of their arguments (``max`` and ``min`` take more, too)."""

_RELATIONS: dict[type[ast.cmpop], Any] = {ast.Gt: sp.Gt, ast.GtE: sp.Ge, ast.Lt: sp.Lt, ast.LtE: sp.Le}

_HINTS = {
    "ln": "log",
    "e": "exp(1)",
    "maximum": "max",
    "minimum": "min",
    "fabs": "abs",
    "logistic": "sigmoid",
}

_REFUSED: dict[type[ast.AST], str] = {
    ast.Attribute: "a dot after a name",
    ast.Lambda: "a lambda",
    ast.ListComp: "a list comprehension",
    ast.SetComp: "a set comprehension",
    ast.DictComp: "a dict comprehension",
    ast.GeneratorExp: "a generator",
    ast.List: "a list",
    ast.Tuple: "a tuple (a comma)",
    ast.Set: "a set",
    ast.Dict: "a dict",
    ast.JoinedStr: "a string",
    ast.NamedExpr: "an assignment with :=",
    ast.Starred: "a starred argument",
    ast.Await: "await",
    ast.Yield: "yield",
    ast.BoolOp: "and/or",
    ast.Compare: "a comparison outside of where(condition, a, b)",
    ast.Slice: "a slice",
}

_ALLOWED = "a formula has numbers, names, + - * / ** and functions such as exp(z)"

Scalars = Mapping[str, sp.Expr]


def parse_formula(
    text: str, arguments: tuple[str, ...] = ("z",), coupled_argument: str | None = None
) -> Formula:
    """Read a forward formula of ``arguments``, the first of which it must depend on.

    With ``coupled_argument`` it is a formula of the vector of that name: ``z[j]`` is the unit's own
    entry, ``sum(..., i)`` goes over all units, and ``n`` is their number.

    >>> parse_formula("1/(1+exp(-z))").expr
    1/(1 + exp(-z))
    >>> parse_formula("exp(z[j])/sum(exp(z[i]), i)", coupled_argument="z").expr
    exp(z[j])/Sum(exp(z[i]), (i, 1, n))
    >>> parse_formula("z/0")
    Traceback (most recent call last):
    ...
    symbackprop.spec.formula_text.FormulaError: 'z/0': at column 3: this divides by 0
    """
    line, root = tree(text)
    if coupled_argument is None:
        reader = _Reader(line, {**{name: argument(name) for name in arguments}, "pi": sp.pi})
        wanted = argument(arguments[0])
    else:
        reader = _Reader(line, {"n": WIDTH, "pi": sp.pi}, vector=coupled_argument)
        wanted = vector_argument(coupled_argument)
        arguments = (coupled_argument,)
    expr = reader.read(root)
    if not _varies(expr, wanted):
        raise FormulaError(
            line, 0, f"the formula must vary with {arguments[0]}: its derivative is 0 everywhere"
        )
    return Formula(line, expr, arguments, coupled_argument is not None)


def parse_factor(text: str | int | float, sizes: Collection[str] = ()) -> sp.Expr:
    """Read a factor before a cost or a penalty; names in it become symbols.

    ``N`` (the number of examples) and the names in ``sizes`` are positive whole numbers, every other
    name is a real number.

    >>> parse_factor("lambda/(2*N)")
    lambda/(2*N)
    >>> parse_factor(0.5)
    1/2
    """
    if isinstance(text, float) and not isfinite(text):
        raise FormulaError(str(text), 0, "a factor is a finite number")
    line, root = tree(repr(text) if isinstance(text, float) else str(text))
    known: dict[str, sp.Expr] = {name: index(name) for name in (*sizes, "N")}
    functions = {name: FUNCTIONS[name] for name in ("exp", "log", "sqrt")}
    return _Reader(line, {**known, "pi": sp.pi}, functions=functions, open_names=True).read(root)


def is_coupled(text: str) -> bool:
    """Whether an activation's formula has subscripts, and so couples the units of a layer."""
    return re.search(r"\bz\s*\[", text) is not None


@cache
def activation_named(name: str) -> Activation:
    """The activation of this name in the catalogue, its formula read."""
    text = ACTIVATIONS[name].formula
    return Activation(name, parse_formula(text, coupled_argument="z" if is_coupled(text) else None))


@cache
def cost_formula(name: str) -> Formula:
    """The formula, read, of the cost of this name in the catalogue."""
    return parse_formula(COSTS[name].formula, ("a", "y"))


@dataclass(frozen=True)
class _Reader:
    """Turns syntax trees into SymPy expressions; ``names`` are the scalars that a formula may use."""

    text: str
    names: Scalars
    functions: Mapping[str, tuple[int, Callable[..., sp.Expr]]] = field(default_factory=lambda: FUNCTIONS)
    vector: str | None = None
    open_names: bool = False
    bound: tuple[str, ...] = ()

    def error(self, node: ast.AST, reason: str) -> FormulaError:
        column = getattr(node, "col_offset", -1) + 1
        if isinstance(node, ast.Attribute):
            column = (node.value.end_col_offset or 0) + 1
        return FormulaError(self.text, column, reason)

    def read(self, node: ast.AST) -> sp.Expr:
        """The value of one node, checked: finite, real and of bounded size."""
        reader = _NODES.get(type(node))
        if reader is None:
            raise self.error(
                node, f"{_REFUSED.get(type(node), type(node).__name__)} can't stand here: {_ALLOWED}"
            )
        try:
            expr = reader(self, node)
        except FormulaError:
            raise
        except ValueError as error:
            raise self.error(node, str(error)) from None
        except (TypeError, ArithmeticError, NotImplementedError, RecursionError):
            raise self.error(node, "this has no value among the real numbers") from None
        self.check(node, expr)
        return expr

    def check(self, node: ast.AST, expr: sp.Expr) -> None:
        if _tree_size(expr) > _TREE_SIZE:
            raise self.error(node, "the formula gets too long when it is written out: split it up")
        if expr.has(sp.I, sp.zoo, sp.nan, sp.oo, -sp.oo):
            raise self.error(
                node, "this has no value among the real numbers, as 1/0, log(0) and sqrt(-1) have none"
            )
        if expr.free_symbols:
            return
        if not expr.is_real:
            raise self.error(node, "this constant is not a real number")
        if not expr.is_zero and not 1 / _LARGEST < abs(sp.N(expr, 15)) < _LARGEST:
            raise self.error(node, "this constant is too large or too small: the limits are 1e100 and 1e-100")

    def number(self, node: ast.Constant) -> sp.Expr:
        if isinstance(node.value, (bool, str, bytes, complex)) or node.value in (None, ...):
            kind = {str: "a string", bytes: "a string", complex: "a complex number"}
            raise self.error(node, f"{kind.get(type(node.value), node.value)} can't stand here: {_ALLOWED}")
        literal = self.text[node.col_offset : node.end_col_offset]
        if not _NUMBER.fullmatch(literal):
            raise self.error(
                node, "a number has at most 40 digits and an exponent of two, such as 0.25 or 1e-3"
            )
        return sp.Rational(literal)

    def name(self, node: ast.Name) -> sp.Expr:
        name = _spelled(node)
        if name in self.names:
            return self.names[name]
        if name == self.vector:
            raise self.error(node, f"{name} has an entry for each unit here: write {name}[j]")
        if name in self.functions or name == "where":
            raise self.error(node, f"{name} is a function: write {name}(...)")
        if self.open_names and name not in ("x", "y", "z", "a"):
            if name != "lambda" and (reason := why_illegal(name) or why_no_other(name)):
                raise self.error(node, reason)
            return sp.Symbol(name, real=True)
        raise self.error(node, self.unknown(name))

    def unknown(self, name: str) -> str:
        if name in self.bound or (self.vector and name == "j"):
            return f"the index {name} can stand in brackets only"
        known = ", ".join([f"{self.vector}[j]"] * bool(self.vector) + list(self.names))
        hint = f"; write {_HINTS[name]}" if name in _HINTS else did_you_mean(name, self.names)
        return f"the name {name} is not known here{hint or f'; known are {known}'}"

    def unary(self, node: ast.UnaryOp) -> sp.Expr:
        if isinstance(node.op, (ast.USub, ast.UAdd)):
            value = self.read(node.operand)
            return -value if isinstance(node.op, ast.USub) else value
        word = "not" if isinstance(node.op, ast.Not) else "~"
        raise self.error(node, f"{word} can't stand here: {_ALLOWED}")

    def binary(self, node: ast.BinOp) -> sp.Expr:
        operation = _OPERATIONS.get(type(node.op))
        if operation is None:
            raise self.error(node, f"the operator {type(node.op).__name__} is not among + - * / **")
        left, right = self.read(node.left), self.read(node.right)
        if isinstance(node.op, ast.Pow):
            self.check_power(node, left, right)
        if isinstance(node.op, ast.Div) and right.is_zero:
            raise self.error(node.right, "this divides by 0")
        return operation(left, right)

    def check_power(self, node: ast.BinOp, base: sp.Expr, exponent: sp.Expr) -> None:
        if exponent.free_symbols:
            if base.free_symbols or not base.is_positive:
                raise self.error(node, "a power has a constant exponent or a positive constant base")
            return
        if not exponent.is_Rational or abs(exponent) > _LARGEST_EXPONENT:
            raise self.error(
                node.right, f"an exponent is a number from -{_LARGEST_EXPONENT} to {_LARGEST_EXPONENT}"
            )
        bits = max((max(abs(r.p), r.q).bit_length() for r in base.atoms(sp.Rational)), default=0)
        if bits * abs(exponent) > _BITS:
            raise self.error(node, "this power has too many digits")
        inner = max((abs(power.exp) for power in base.atoms(sp.Pow) if power.exp.is_Rational), default=1)
        if inner * abs(exponent) > _LARGEST_EXPONENT:
            raise self.error(node, f"these powers multiply to more than {_LARGEST_EXPONENT}")
        if base.is_zero and exponent < 0:
            raise self.error(node, "this divides by 0")

    def call(self, node: ast.Call) -> sp.Expr:
        name = self.function_name(node)
        if node.keywords:
            raise self.error(
                node, f"arguments have no names here: {node.keywords[0].arg}= can't stand in a formula"
            )
        if name in ("where", "sum") and self.functions is FUNCTIONS:
            return self.where(node) if name == "where" else self.total(node)
        if name in self.functions:
            return self.apply(node, name)
        if self.functions is FUNCTIONS and name in ACTIVATIONS:
            return self.inline(node, name)
        known = ", ".join(self.functions)
        hint = f"; write {_HINTS[name]}" if name in _HINTS else did_you_mean(name, self.callable_names())
        raise self.error(node, f"the function {name} is not known here{hint or f'; known are {known}'}")

    def callable_names(self) -> list[str]:
        extra = ["where", "sum", *ACTIVATIONS] if self.functions is FUNCTIONS else []
        return [*self.functions, *extra]

    def function_name(self, node: ast.Call) -> str:
        if isinstance(node.func, ast.Attribute):
            self.read(node.func)
        if not isinstance(node.func, ast.Name):
            raise self.error(
                node, "a * is missing before this parenthesis: products are written out, as in 2*(z + 1)"
            )
        name = _spelled(node.func)
        if name in self.names or name == self.vector:
            raise self.error(node, f"a * is missing after {name}: products are written out, as in z*(z + 1)")
        return name

    def apply(self, node: ast.Call, name: str) -> sp.Expr:
        count, function = self.functions[name]
        if len(node.args) != count and (name not in ("max", "min") or len(node.args) < count):
            raise self.error(
                node, f"{name} takes {count} argument{'s' * (count > 1)}, and here are {len(node.args)}"
            )
        values = [self.read(arg) for arg in node.args]
        limit = _LARGEST_CONSTANT_ARGUMENT.get(name)
        if limit and not values[0].free_symbols and abs(sp.N(values[0], 15)) > limit:
            raise self.error(node, f"{name} of a constant goes up to {name}({limit})")
        return reduce(function, values) if count > 1 else function(values[0])

    def inline(self, node: ast.Call, name: str) -> sp.Expr:
        text = ACTIVATIONS[name].formula
        if is_coupled(text):
            raise self.error(node, f"{name} couples the units of a layer and can't stand inside a formula")
        if len(node.args) != 1:
            raise self.error(node, f"{name} takes 1 argument, and here are {len(node.args)}")
        line, root = tree(text)
        try:
            return _Reader(line, {"z": self.read(node.args[0]), "pi": sp.pi}).read(root)
        except FormulaError as error:
            if error.text == self.text:
                raise
            raise self.error(node, error.reason) from None

    def where(self, node: ast.Call) -> sp.Expr:
        if len(node.args) != 3:
            raise self.error(
                node, "where takes 3 arguments: where(condition, a, b) is a if the condition holds, else b"
            )
        return self.cases(*node.args)

    def ternary(self, node: ast.IfExp) -> sp.Expr:
        return self.cases(node.test, node.body, node.orelse)

    def cases(self, condition: ast.expr, yes: ast.expr, no: ast.expr) -> sp.Expr:
        if not isinstance(condition, ast.Compare) or len(condition.ops) != 1:
            raise self.error(condition, "a condition is one comparison, such as z > 0; nest where() for more")
        relation = _RELATIONS.get(type(condition.ops[0]))
        if relation is None:
            raise self.error(condition, "a condition compares with <, <=, > or >=")
        left, right = self.read(condition.left), self.read(condition.comparators[0])
        return choose(relation, left, right, self.read(yes), self.read(no))

    def entry(self, node: ast.Subscript) -> sp.Expr:
        if not (isinstance(node.value, ast.Name) and node.value.id == self.vector):
            raise self.error(node, "only z has subscripts, and only in the formula of an activation")
        if not isinstance(node.slice, ast.Name) or node.slice.id not in ("j", *self.bound):
            raise self.error(
                node.slice, f"{self.vector} is written {self.vector}[j], or with the index of a sum around it"
            )
        return vector_argument(node.value.id)[index(node.slice.id)]

    def total(self, node: ast.Call) -> sp.Expr:
        if self.vector is None:
            raise self.error(node, "sum goes over the units of a layer: it needs a formula with z[j]")
        if len(node.args) != 2 or not isinstance(node.args[1], ast.Name):
            raise self.error(node, "a sum is written with its index, as in sum(exp(z[i]), i)")
        name = node.args[1].id
        if name not in _SUM_INDICES or name in self.bound:
            allowed = ", ".join(letter for letter in _SUM_INDICES if letter not in self.bound)
            raise self.error(node.args[1], f"the index of this sum is one of {allowed}")
        body = replace(self, bound=(*self.bound, name)).read(node.args[0])
        if index(name) not in body.free_symbols:
            raise self.error(node, f"what is summed doesn't depend on {name}")
        return total(body, (index(name), 1, WIDTH))


_NODES: dict[type[ast.AST], Callable[[_Reader, Any], sp.Expr]] = {
    ast.Constant: _Reader.number,
    ast.Name: _Reader.name,
    ast.UnaryOp: _Reader.unary,
    ast.BinOp: _Reader.binary,
    ast.Call: _Reader.call,
    ast.IfExp: _Reader.ternary,
    ast.Subscript: _Reader.entry,
}

_OPERATIONS: dict[type[ast.operator], Callable[[sp.Expr, sp.Expr], sp.Expr]] = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
    ast.Div: lambda left, right: left / right,
    ast.Pow: lambda left, right: left**right,
}


def _spelled(node: ast.Name) -> str:
    return "lambda" if node.id == LAMBDA else node.id


def _tree_size(expr: sp.Basic, known: dict[sp.Basic, int] | None = None) -> int:
    """The number of nodes of an expression as a tree, counted over its distinct parts."""
    known = {} if known is None else known
    if expr not in known:
        known[expr] = 1 + sum(_tree_size(arg, known) for arg in expr.args)
    return known[expr]


def _varies(expr: sp.Basic, wanted: sp.Basic) -> bool:
    """Whether the value, and not only a condition in it, depends on ``wanted``."""
    if isinstance(expr, sp.Piecewise):
        return any(_varies(case, wanted) for case, _ in expr.args)
    return expr == wanted or any(_varies(arg, wanted) for arg in expr.args)
