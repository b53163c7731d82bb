"""The public strategies: valid by construction, and small where they shrink."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import find, given
from hypothesis import strategies as st

from geomkfac.arrays import GF, Kind, floating, namespace_of, rational
from geomkfac.errors import MissingExtraError
from geomkfac.spaces import AffineSpace, Sample
from geomkfac.testing import (
    activations,
    base_spaces_of,
    changes_of_basis,
    elements,
    frames,
    kinds,
    namespaces,
    samples,
    small_arrays,
    spaces,
)

FIELD = GF(2**31 - 1)
KINDS = {"GF(p)": FIELD, "Q": rational, "floating": floating}
kind_parameter = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


@given(dim=st.integers(0, 6), data=st.data())
def test_floating_changes_of_basis_have_condition_numbers_below_100(dim: int, data: st.DataObject) -> None:
    B, c = data.draw(changes_of_basis(dim))
    assert B.shape == (dim, dim)
    assert c is not None
    assert c.shape == (dim,)
    if dim:
        assert np.linalg.cond(B) < 100


@kind_parameter
@given(data=st.data())
def test_changes_of_basis_are_invertible_over_every_kind(kind: Kind, data: st.DataObject) -> None:
    B, _ = data.draw(changes_of_basis(4, kind))
    ns = kind.default_namespace
    assert ns.rank(B) == 4


@kind_parameter
def test_changes_of_basis_shrink_to_the_identity(kind: Kind) -> None:
    ns = kind.default_namespace
    B, c = find(changes_of_basis(3, kind), lambda change: True)
    assert ns.equal(B, ns.eye(3))
    assert ns.is_zero(c)


@pytest.mark.parametrize("is_reached", [
    lambda B: B[0, 1] == 1 and B[0, 0] == 1,
    lambda B: B[0, 0] == 0,
    lambda B: abs(B[1, 1]) == 2,
], ids=["shear", "permutation", "scaling"])  # fmt: skip
def test_changes_of_basis_reach_shears_permutations_and_scalings(is_reached: Any) -> None:
    find(changes_of_basis(2), lambda change: bool(is_reached(change[0])))


def test_arrays_shrink_to_zero_and_hold_small_integers() -> None:
    ns = floating.default_namespace
    assert ns.is_zero(find(small_arrays(ns, (2, 2)), lambda x: True))
    smallest = find(small_arrays(ns, (2, 2)), lambda x: bool(x[1, 0] >= 2))
    assert smallest.tolist() == [[0.0, 0.0], [2.0, 0.0]]


@given(data=st.data())
def test_elements_of_every_space_are_drawn_in_the_namespace_that_is_asked_for(data: st.DataObject) -> None:
    kind = data.draw(kinds())
    space = data.draw(spaces(kind))
    ns = data.draw(namespaces(kind))
    x = data.draw(elements(space, frame := data.draw(frames(space)), (2,), ns=ns))
    assert x.space is space
    assert x.batch_shape == (2,)
    leaf = x.coordinates(frame)
    while isinstance(leaf, tuple):
        leaf = leaf[0]
    assert namespace_of(leaf) is ns
    assert all(base.kind is kind for base in base_spaces_of(space))


@given(exact=st.booleans(), data=st.data())
def test_kinds_are_exact_or_not_as_asked(exact: bool, data: st.DataObject) -> None:
    assert data.draw(kinds(exact=exact)).is_exact is exact


@kind_parameter
@given(data=st.data())
def test_activations_run_over_their_kind(kind: Kind, data: st.DataObject) -> None:
    phi, ns = data.draw(activations(kind)), kind.default_namespace
    assert phi.value(ns, ns.ones((2,))).shape == (2,)


@given(data=st.data())
def test_samples_have_positive_weights(data: st.DataObject) -> None:
    A = AffineSpace("A", 2)
    sample = data.draw(samples(A, A.frame("iota"), weighted=True))
    assert isinstance(sample, Sample)
    assert all(weight >= 1 for chunk in sample.chunks() for weight in chunk.weights)


def test_strategies_without_hypothesis_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(MissingExtraError, match=r"required: the extra 'test'(.|\n)*geomkfac\[test\]"):
        kinds()
