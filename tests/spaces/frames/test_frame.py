"""Frames: one rule for the direction of a change, y_new = B y_old + c, and its consequences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import GF, Kind, floating, rational
from geomkfac.errors import FrameError, KindError, ShapeError, SingularMatrixError, ValuesError
from geomkfac.maps import AffineMaps
from geomkfac.spaces import AffineSpace, DenseFrame, Hom, Hull, ProductSpace, TensorProduct, VectorSpace
from geomkfac.testing import changes_of_basis, integer_array, points, vectors

FIELD = GF(2**31 - 1)
KINDS = {"GF(p)": FIELD, "Q": rational, "floating": floating}
kind_parameter = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


@kind_parameter
@given(data=st.data())
def test_new_coordinates_are_B_times_the_old_ones_plus_c(kind: Kind, data: st.DataObject) -> None:
    A = AffineSpace("A", 3, kind)
    iota = A.frame("iota")
    B, c = data.draw(changes_of_basis(3, kind))
    kappa = iota.change(B, c)
    p = data.draw(points(A, iota))
    old, new = p.coordinates(iota), p.coordinates(kappa)
    assert kind.default_namespace.equal(new, B @ old + c)  # small integers: exact in floating point too


@kind_parameter
@given(data=st.data())
def test_vectors_change_without_c_and_covectors_by_the_inverse_transpose(kind: Kind, data: st.DataObject) -> None:
    A = AffineSpace("A", 3, kind)
    iota = A.frame("iota")
    B, c = data.draw(changes_of_basis(3, kind))
    kappa, ns = iota.change(B, c), kind.default_namespace
    v = data.draw(vectors(A.direction, iota.linear))
    assert ns.equal(v.coordinates(kappa.linear), B @ v.coordinates(iota.linear))
    phi = data.draw(vectors(A.direction.dual, kappa.linear.dual))
    # [phi]_new = B^{-T} [phi]_old, read backwards so that nothing is divided.
    old, new = phi.coordinates(iota.dual), phi.coordinates(kappa.dual)
    assert ns.equal(old, B.mT @ new)


@given(data=st.data())
def test_frames_on_two_branches_are_related_through_their_common_ancestor(data: st.DataObject) -> None:
    A = AffineSpace("A", 2, FIELD)
    iota = A.frame("iota")
    (B, c), (D, e), (F, g) = (data.draw(changes_of_basis(2, FIELD)) for _ in range(3))
    trunk = iota.change(B, c)
    left, right = trunk.change(D, e), trunk.change(F, g)
    ns = FIELD.default_namespace
    p = data.draw(points(A, left))
    in_trunk = ns.inverse(D) @ (p.coordinates(left) - e)
    assert ns.equal(p.coordinates(right), F @ in_trunk + g)
    matrix, translation = right.change_from(left)
    assert ns.equal(matrix, F @ ns.inverse(D))
    assert ns.equal(p.coordinates(right), matrix @ p.coordinates(left) + translation)
    there_and_back, nothing = left.change_from(left)
    assert ns.equal(there_and_back, ns.eye(2))
    assert ns.is_zero(nothing)


def test_frames_of_two_spaces_have_no_relation() -> None:
    e, f = VectorSpace("V", 2).frame("e"), VectorSpace("W", 2).frame("f")
    with pytest.raises(FrameError, match="different spaces"):
        e.change_from(f)


def test_derived_frames_are_interned_and_agree_with_the_frames_of_their_parts() -> None:
    A, Z = AffineSpace("A", 2), AffineSpace("Z", 3)
    iota, kappa = A.frame("iota"), Z.frame("iota")
    maps = AffineMaps(A, Z)
    assert iota.hull is iota.hull
    assert iota.linear.dual.dual is iota.linear
    assert iota.dual is iota.linear.dual
    assert maps.frame(iota, kappa) is maps.frame(iota, kappa)
    assert maps.frame(iota, kappa).linear is Hom(Hull(A), Z.direction).frame(iota.hull, kappa.linear)
    assert ProductSpace(A, Z).frame(iota, kappa).linear.dual.space is ProductSpace(A, Z).direction.dual
    V = VectorSpace("V", 2)
    e = V.frame("e")
    assert e.linear is e
    assert e.dual.dual is e
    assert TensorProduct(V, V.dual).frame(e, e.dual) is TensorProduct(V, V.dual).frame(e, e.dual)


@kind_parameter
@given(data=st.data())
def test_a_dense_frame_applies_its_matrix_to_vec_of_the_components(kind: Kind, data: st.DataObject) -> None:
    A, Z = AffineSpace("A", 1, kind), AffineSpace("Z", 2, kind)
    maps, ns = AffineMaps(A, Z), kind.default_namespace
    over = maps.frame(A.frame("iota"), Z.frame("iota"))
    B, c = data.draw(changes_of_basis(4, kind))
    dense = over.dense_change(B, c)
    w = data.draw(points(maps, over))
    matrix = w.coordinates(over)
    vec = ns.concat([matrix[:, 0], matrix[:, 1]])  # vec stacks columns
    assert ns.equal(w.coordinates(dense), B @ vec + c)
    u = data.draw(points(maps, dense))
    assert ns.equal((u - w).coordinates(dense.linear), u.coordinates(dense) - w.coordinates(dense))


@given(data=st.data())
def test_elements_stored_in_dense_frames_compute_the_same(data: st.DataObject) -> None:
    V, W = VectorSpace("V", 2, FIELD), VectorSpace("W", 2, FIELD)
    hom = Hom(V, W)
    over = hom.frame(e := V.frame("e"), f := W.frame("f"))
    dense = over.dense_change(data.draw(changes_of_basis(4, FIELD, translated=False))[0])
    thick = e.dense_change(data.draw(changes_of_basis(2, FIELD, translated=False))[0])
    L, phi = data.draw(vectors(hom, over)), data.draw(vectors(hom.dual, over.dual))
    v, psi = data.draw(vectors(V, e)), data.draw(vectors(W.dual, f.dual))
    stored, moved = L.expressed_in(dense), v.expressed_in(thick)
    assert stored == L
    assert stored(moved) == L(v)
    assert hom.transpose_apply(stored, psi) == hom.transpose_apply(L, psi)
    ns = FIELD.default_namespace
    assert ns.equal(phi.expressed_in(dense.dual)(stored), phi(L))
    assert ns.equal(stored(phi.expressed_in(dense.dual)), phi(L))
    assert stored + L == L * 2


def test_a_dense_frame_of_a_product_takes_one_flat_array() -> None:
    A, ns = AffineSpace("A", 1, FIELD), FIELD.default_namespace
    product = ProductSpace(A, A)
    iota = A.frame("iota")
    over = product.frame(iota, iota)
    dense = over.dense_change(integer_array(ns, [[1, 1], [0, 1]]), integer_array(ns, [5, 0]))
    p = product.from_coordinates(integer_array(ns, [8, 1]), dense)
    assert [int(ns.to_numpy(x)[0]) for x in p.coordinates(over)] == [2, 1]
    assert p.batch_shape == ()
    assert p - p == product.direction.zero()


def test_the_linear_part_and_the_dual_of_a_dense_frame_are_made_once() -> None:
    V, A = VectorSpace("V", 2), AffineSpace("A", 2)
    dense = V.frame("e").dense_change(np.eye(2))
    assert dense.linear is dense
    assert dense.dual is dense.dual
    assert dense.dual.dual is dense
    moved = A.frame("iota").dense_change(np.eye(2), np.ones(2))
    assert moved.linear is moved.linear
    assert moved.dual is moved.linear.dual


def test_a_derived_frame_refuses_dense_parts_and_dense_frames_do_not_stack() -> None:
    V = VectorSpace("V", 2)
    dense = V.frame("e").dense_change(np.eye(2))
    with pytest.raises(FrameError, match="dense_change"):
        Hom(V, V).frame(dense, dense)
    with pytest.raises(FrameError, match="Multiply the matrices"):
        DenseFrame(dense, np.eye(2))


def test_a_frame_copies_the_matrix_that_it_is_given() -> None:
    A = AffineSpace("A", 2)
    iota = A.frame("iota")
    B, c = np.eye(2), np.zeros(2)
    kappa = iota.change(B, c)
    B[0, 0] = c[0] = 7.0
    assert kappa.change_from(iota)[0].tolist() == np.eye(2).tolist()
    assert kappa.change_from(iota)[1].tolist() == [0.0, 0.0]


def test_a_bad_change_of_basis_is_refused() -> None:
    A, V = AffineSpace("A", 2), VectorSpace("V", 2)
    iota, e = A.frame("iota"), V.frame("e")
    with pytest.raises(SingularMatrixError, match=r"AffineSpace\('A', dim=2\).*\n.*full rank"):
        iota.change(np.ones((2, 2)))
    with pytest.raises(ValuesError, match="condition number is about"):
        iota.change(np.asarray([[1.0, 0.0], [0.0, 1e-17]]))
    with pytest.raises(ShapeError, match=r"\(2, 2\), not \(3, 3\)"):
        iota.change(np.eye(3))
    with pytest.raises(ShapeError, match="translation of the change of basis"):
        iota.change(None, np.ones(3))
    with pytest.raises(ValuesError, match="finite"):
        iota.change(np.asarray([[1.0, np.nan], [0.0, 1.0]]))
    with pytest.raises(KindError, match="floating"):
        iota.change(np.eye(2, dtype=int))
    with pytest.raises(FrameError, match="no origin to move"):
        e.change(np.eye(2), np.ones(2))


def test_a_second_frame_without_its_relation_to_the_first_is_refused() -> None:
    A = AffineSpace("A", 2)
    A.frame("iota")
    with pytest.raises(FrameError, match="Use change"):
        A.frame("kappa")


def test_coordinates_in_a_frame_of_another_space_are_refused() -> None:
    A, B = AffineSpace("A", 2), AffineSpace("B", 2)
    iota, other = A.frame("iota"), B.frame("other")
    p = A.from_coordinates(np.ones(2), iota)
    for wrong in (other, iota.linear, "iota"):
        with pytest.raises(FrameError) as refused:
            p.coordinates(wrong)
        assert "AffineSpace('A', dim=2)" in str(refused.value)


def test_a_product_frame_needs_one_frame_per_factor() -> None:
    A, V = AffineSpace("A", 2), VectorSpace("V", 2)
    iota, e = A.frame("iota"), V.frame("e")
    with pytest.raises(ShapeError, match="required: 2"):
        ProductSpace(A, A).frame(iota)
    with pytest.raises(ShapeError, match="came    : 3"):
        TensorProduct(V, V).frame(e, e, e)
