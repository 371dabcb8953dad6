"""Derive once for each kind: what is renamed equals what would have been derived."""

import pytest
import sympy as sp

from symbackprop.algebra.equations import Derivation
from symbackprop.algebra.kinds import Kind, Kinds, Renamed, original, signature
from symbackprop.derivation import chain
from symbackprop.derivation.chain import backward_equations, reverse
from symbackprop.forward.model import forward_model
from symbackprop.spec.loading import from_widths

a, b, c, d = sp.symbols("a b c d")


class NothingKnown(Kinds):
    """Kinds that forget: every derivation is made afresh."""

    def derive(self, key, derive):
        _, kind = super().derive(key, derive)
        return derive(), kind


def program(text="2-3-4-5-6-7-8-2", **options):
    return forward_model(from_widths(text, **options)).program


@pytest.mark.parametrize("hidden", ["sigmoid", "tanh", "relu", "softplus", "gelu", "softmax"])
def test_renamed_derivations_equal_fresh_ones(hidden, monkeypatch):
    forward = program(hidden=hidden)
    renamed = reverse(forward)
    monkeypatch.setattr(chain, "Kinds", NothingKnown)
    monkeypatch.setattr(chain.Reverse, "__init__", fresh_kinds(chain.Reverse.__init__))
    fresh = reverse(forward)
    assert any(isinstance(adjoint.derivation, Renamed) for adjoint in renamed)
    assert not any(isinstance(adjoint.derivation, Renamed) for adjoint in fresh)
    assert backward_equations(renamed) == backward_equations(fresh)
    for one, other in zip(renamed, fresh, strict=True):
        assert one.derivation.goal == other.derivation.goal
        assert one.derivation.steps == other.derivation.steps
        assert one.derivation.result == other.derivation.result


def fresh_kinds(init):
    def with_fresh_kinds(self, *args):
        init(self, *args)
        self.kinds = NothingKnown()

    return with_fresh_kinds


def test_the_number_of_derivations_does_not_grow_with_the_depth():
    def made(depth):
        adjoints = reverse(program("-".join(["3"] * (depth + 1))))
        return len({id(original(adjoint.derivation)) for adjoint in adjoints})

    assert made(6) == made(30)


def test_a_derivation_in_use_is_its_own_original():
    derivation = Derivation(a, ())
    assert original(derivation) is derivation
    assert original(Renamed(derivation, (a,), (b,))) is derivation


def test_a_renamed_derivation_swaps_names_at_once():
    swapped = Renamed(Derivation(a + 2 * b, ()), (a, b), (b, a))
    assert swapped.result == b + 2 * a


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([a + 2 * b], [c + 2 * d], True),
        ([a * b, b], [c * d, d], True),
        ([a * b, b], [c * d, c], False),
        ([a + 2 * b], [a + 3 * b], False),
        ([a, a], [a, b], False),
        ([Kind(1, (a, b)), a], [Kind(1, (c, d)), c], True),
        ([Kind(1, (a, b)), a], [Kind(1, (c, d)), d], False),
        ([Kind(1, (a,))], [Kind(2, (a,))], False),
    ],
)
def test_signatures_are_equal_where_only_names_differ(one, other, same):
    assert (signature(one)[0] == signature(other)[0]) is same


def test_what_was_derived_before_is_part_of_a_kind():
    """Two layers look alike, but the derivatives that reach them don't: that makes two derivations."""
    adjoints = {x.of.name: original(x.derivation) for x in reverse(program("2-2-2-2-2"))}
    assert adjoints["z1"] is adjoints["z2"] is adjoints["z3"]
    assert adjoints["z4"] is not adjoints["z3"]
