"""Subspaces: a span is all combinations of its basis, and a coset differs from its point by those."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import GF, rational
from geomkfac.errors import SpaceMismatchError
from geomkfac.metrics import DenseTensor
from geomkfac.spaces import AffineSubspace, Parameterization, Span, VectorSpace
from geomkfac.testing import elements, integer_array, parameterizations

KINDS = {"GF(p)": GF(2**31 - 1), "Q": rational}
kind_parameter = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


def space_of(kind: Any) -> tuple[Any, Any]:
    V = VectorSpace("V", 3, kind)
    return V, Parameterization([V.frame("e")])


@kind_parameter
@given(data=st.data())
def test_a_covector_annihilates_a_span_just_where_its_restriction_is_zero(kind: Any, data: st.DataObject) -> None:
    V, iota = space_of(kind)
    ns = kind.default_namespace
    vectors = V.from_coordinates(integer_array(ns, [[1, 2, 0], [0, 1, -1]]), iota)
    span, kappa = Span(vectors), data.draw(parameterizations([V]))
    assert span.space is V
    assert span.dim == 2
    assert span.basis() == vectors
    assert ns.equal(span.columns(kappa), vectors.coordinates(kappa).mT)
    a, b = data.draw(elements(V.dual, kappa)), V.dual.from_coordinates(integer_array(ns, [2, -1, -1]), iota)
    values = span.restriction(a)
    assert all(ns.equal(values[k], a(vectors[k])) for k in range(2))
    assert ns.is_zero(span.restriction(b))
    assert ns.is_zero(values) is all(ns.is_zero(a(vectors[k])) for k in range(2))
    # Of a batch of covectors, one row each.
    both = span.restriction(V.dual.from_coordinates(ns.stack([a.coordinates(iota), b.coordinates(iota)]), iota))
    assert ns.equal(both, ns.stack([values, span.restriction(b)]))


@kind_parameter
def test_a_span_is_of_a_batch_of_vectors(kind: Any) -> None:
    V, iota = space_of(kind)
    with pytest.raises(SpaceMismatchError, match="one batch of vectors"):
        Span(V.from_coordinates(integer_array(kind.default_namespace, [1, 2, 0]), iota))


@kind_parameter
@given(data=st.data())
def test_the_coset_of_solutions_is_all_solutions_and_no_others(kind: Any, data: st.DataObject) -> None:
    V, iota = space_of(kind)
    ns = kind.default_namespace
    rows = integer_array(ns, [[1, 2, 0], [1, 0, 3]])
    g = DenseTensor.from_coordinates(rows.mT @ rows, iota[V])
    v, w = data.draw(elements(V, iota)), data.draw(elements(V, iota))
    coset = g.sharp_coset(g.flat(v))
    assert isinstance(coset, AffineSubspace)
    assert coset.dim == coset.direction.dim == 1
    assert g.flat(coset.point) == g.flat(v)
    null = coset.direction.basis()[0]
    assert not ns.is_zero(null.coordinates(iota))
    assert g.flat(coset.point + null * 5) == g.flat(v)
    # Another vector is a solution just where it differs from the point by a multiple of the null vector.
    both = ns.stack([(w - coset.point).coordinates(iota), null.coordinates(iota)])
    assert (g.flat(w) == g.flat(v)) is (ns.rank(both) == 1)
