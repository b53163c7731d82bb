"""Affine spaces and hulls: points of weight one, directions of weight zero."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import GF, Kind, floating, rational
from geomkfac.errors import ShapeError, SpaceMismatchError, ValuesError
from geomkfac.spaces import AffineSpace, Hull, ProductSpace, ProductVectorSpace, VectorSpace, affine_combination
from geomkfac.testing import changes_of_basis, frames, integer_array, points, small_arrays, vectors

FIELD = GF(2**31 - 1)
KINDS = {"GF(p)": FIELD, "Q": rational, "floating": floating}
kind_parameter = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


@kind_parameter
@given(data=st.data())
def test_the_hull_has_homogeneous_coordinates_with_the_weight_last(kind: Kind, data: st.DataObject) -> None:
    A, ns = AffineSpace("A", 2, kind), kind.default_namespace
    iota = A.frame("iota")
    a, v = data.draw(points(A, iota, (3,))), data.draw(vectors(A.direction, iota.linear, (3,)))
    hull = Hull(A)
    one, zero = ns.ones((3, 1)), ns.zeros((3, 1))
    kappa = iota.change(*data.draw(changes_of_basis(2, kind)))
    for frame in (iota, kappa):
        homogeneous = hull.of_point(a).coordinates(frame.hull)
        assert ns.equal(homogeneous, ns.concat([a.coordinates(frame), one], axis=-1))
        direction = hull.of_vector(v).coordinates(frame.hull)
        assert ns.equal(direction, ns.concat([v.coordinates(frame.linear), zero], axis=-1))


@given(data=st.data())
def test_the_weight_has_the_same_coordinates_in_every_frame(data: st.DataObject) -> None:
    A, ns = AffineSpace("A", 2, FIELD), FIELD.default_namespace
    iota = A.frame("iota")
    for frame in (iota, iota.change(*data.draw(changes_of_basis(2, FIELD)))):
        assert ns.equal(Hull(A).weight().coordinates(frame.hull.dual), integer_array(ns, [0, 0, 1]))


@given(data=st.data())
def test_a_point_is_recovered_from_any_multiple_of_its_homogeneous_vector(data: st.DataObject) -> None:
    A = AffineSpace("A", 3, FIELD)
    a = data.draw(points(A, data.draw(frames(A)), (2,)))
    scale = data.draw(st.integers(1, 1000))
    assert Hull(A).point_of(Hull(A).of_point(a) * scale) == a


def test_a_vector_of_weight_zero_stands_for_no_point() -> None:
    A = AffineSpace("A", 2)
    iota = A.frame("iota")
    a = A.from_coordinates(np.ones((2, 2)), iota)
    hull = Hull(A)
    with pytest.raises(ValuesError, match="a direction, not for a point"):
        hull.point_of(hull.of_vector(a[0] - a[1]))
    with pytest.raises(ValuesError, match="a direction, not for a point"):
        hull.point_of(hull.of_point(a).scaled(np.asarray([1.0, 0.0])))


@given(data=st.data())
def test_affine_functions_are_the_dual_of_the_hull(data: st.DataObject) -> None:
    """f(a) = <l, [a; 1]> has the linear part of l, and l(of_vector(v)) is its derivative along v."""
    A, ns = AffineSpace("A", 2, FIELD), FIELD.default_namespace
    iota = A.frame("iota")
    f = data.draw(vectors(Hull(A).dual, iota.hull.dual))
    a = data.draw(points(A, iota))
    v = data.draw(vectors(A.direction, iota.linear))
    slope, x = f.coordinates(iota.hull.dual), a.coordinates(iota)
    assert ns.equal(f(Hull(A).of_point(a)), ns.sum(slope[:-1] * x) + slope[-1])
    moved = f(Hull(A).of_point(a + v)) - f(Hull(A).of_point(a))
    assert ns.equal(moved, f(Hull(A).of_vector(v)))


def test_the_hull_of_a_product_is_not_the_product_of_the_hulls() -> None:
    """Erratum E1."""
    A, B = AffineSpace("A", 2), AffineSpace("B", 3)
    hull = Hull(ProductSpace(A, B))
    hulls = ProductVectorSpace(Hull(A), Hull(B))
    assert hull.dim == 2 + 3 + 1
    assert hulls.dim == (2 + 1) + (3 + 1)
    assert hull is not hulls


@given(data=st.data())
def test_the_hull_of_a_product_changes_by_one_homogeneous_matrix(data: st.DataObject) -> None:
    """On A x A: [[B, 0, c], [0, B, c], [0, 0, 1]], the linear part 1 (x) B of (2.12)."""
    A, ns = AffineSpace("A", 2, FIELD), FIELD.default_namespace
    product = ProductSpace(A, A)
    iota = A.frame("iota")
    B, c = data.draw(changes_of_basis(2, FIELD))
    kappa = iota.change(B, c)
    old, new = (product.frame(frame, frame).hull for frame in (iota, kappa))
    v = data.draw(vectors(Hull(product), old))
    x = v.coordinates(old)
    expected = ns.concat([B @ x[:2] + c * x[4], B @ x[2:4] + c * x[4], x[4:]])
    assert ns.equal(v.coordinates(new), expected)


@kind_parameter
@given(data=st.data())
def test_an_affine_combination_has_the_combined_coordinates_in_every_frame(kind: Kind, data: st.DataObject) -> None:
    A, ns = AffineSpace("A", 2, kind), kind.default_namespace
    iota = A.frame("iota")
    p = data.draw(points(A, iota, (3,)))
    free = data.draw(small_arrays(ns, (2,)))
    weights = ns.concat([free, (1 - ns.sum(free))[None]])
    combined = affine_combination(p, weights)
    for frame in (iota, iota.change(*data.draw(changes_of_basis(2, kind)))):
        assert ns.equal(combined.coordinates(frame), weights @ p.coordinates(frame))


def test_weights_of_an_affine_combination_must_sum_to_one() -> None:
    A = AffineSpace("A", 2)
    p = A.from_coordinates(np.ones((3, 2)), A.frame("iota"))
    affine_combination(p, np.full(3, 1 / 3))
    with pytest.raises(ValuesError, match="divide them by their sum"):
        affine_combination(p, np.asarray([0.5, 0.5, 1e-12]))
    with pytest.raises(ShapeError, match=r"\(3,\), not \(2,\)"):
        affine_combination(p, np.ones(2) / 2)
    with pytest.raises(ShapeError, match="needs a batch of points"):
        affine_combination(p[0], np.ones(1))


def test_what_lives_in_the_wrong_space_is_refused_by_the_hull() -> None:
    A, V = AffineSpace("A", 2), VectorSpace("V", 2)
    a, v = A.from_coordinates(np.ones(2), A.frame("i")), V.from_coordinates(np.ones(2), V.frame("e"))
    hull = Hull(A)
    for attempt in (lambda: hull.of_point(v), lambda: hull.of_vector(v), lambda: hull.point_of(v)):
        with pytest.raises(SpaceMismatchError, match="came: Vector of VectorSpace"):
            attempt()
    with pytest.raises(SpaceMismatchError, match="of an affine space"):
        Hull(V)
    with pytest.raises(SpaceMismatchError, match=r"direction\.dual for covectors"):
        _ = A.dual
    with pytest.raises(SpaceMismatchError, match="not a map"):
        a(a)


def test_vector_spaces_have_no_hull() -> None:
    V = VectorSpace("V", 2)
    assert not hasattr(V, "hull")
    with pytest.raises(SpaceMismatchError, match="of an affine space"):
        _ = V.frame("e").hull
