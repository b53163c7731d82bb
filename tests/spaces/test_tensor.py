"""Tensor products and linear maps, against arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import GF
from geomkfac.errors import KindError, ShapeError, SpaceMismatchError
from geomkfac.spaces import (
    AffineSpace,
    Hom,
    ProductVectorSpace,
    TensorProduct,
    Vector,
    VectorSpace,
    contract,
    tensor,
)
from geomkfac.testing import elements, integer_array, parameterizations, vectors

FIELD = GF(2**31 - 1)
NS = FIELD.default_namespace


def pair_of_spaces() -> tuple[VectorSpace, VectorSpace]:
    return VectorSpace("U", 2, FIELD), VectorSpace("V", 3, FIELD)


@given(data=st.data())
def test_the_relations_of_the_tensor_product_hold(data: st.DataObject) -> None:
    """Bilinearity: the relations that define U (x) V.  Source: LG A.2."""
    U, V = pair_of_spaces()
    kappa, iota = (data.draw(parameterizations([U, V])) for _ in range(2))
    u, v = data.draw(vectors(U, kappa)), data.draw(vectors(V, kappa))
    u2, v2 = data.draw(vectors(U, iota)), data.draw(vectors(V, iota))
    a = data.draw(st.integers(-5, 5))
    assert tensor(u + u2, v) == tensor(u, v) + tensor(u2, v)
    assert tensor(u, v + v2) == tensor(u, v) + tensor(u, v2)
    assert tensor(u * a, v) == tensor(u, v * a)
    assert tensor(u, v * a) == tensor(u, v) * a


def test_the_outer_product_is_not_symmetric_in_its_factors() -> None:
    V = VectorSpace("V", 2, FIELD)
    e = V.frame("e")
    first, second = (V.from_coordinates(integer_array(NS, row), e) for row in ([1, 0], [0, 1]))
    assert tensor(first, second) != tensor(second, first)
    U, W = pair_of_spaces()
    assert TensorProduct(U, W) is not TensorProduct(W, U)


@given(data=st.data())
def test_a_tensor_is_a_multilinear_map_of_covectors(data: st.DataObject) -> None:
    U, V = pair_of_spaces()
    kappa, iota = (data.draw(parameterizations([U, V])) for _ in range(2))
    u, v = data.draw(vectors(U, kappa)), data.draw(vectors(V, iota))
    phi, psi = data.draw(vectors(U.dual, iota)), data.draw(vectors(V.dual, kappa))
    assert NS.equal(tensor(u, v)(phi, psi), phi(u) * psi(v))
    assert contract(tensor(u, v), phi, 0) == v * phi(u)
    assert contract(tensor(u, v), psi, 1) == u * psi(v)
    three = tensor(u, v, phi)
    assert contract(three, psi, 1) == tensor(u, phi) * psi(v)
    assert contract(three, u, -1) == tensor(u, v) * phi(u)


@given(data=st.data())
def test_the_components_of_a_tensor_are_the_outer_product(data: st.DataObject) -> None:
    U, V = pair_of_spaces()
    kappa = data.draw(parameterizations([U, V]))
    u, v = data.draw(vectors(U, kappa, (2, 1))), data.draw(vectors(V, kappa, (4,)))
    x, y = u.coordinates(kappa), v.coordinates(kappa)
    assert NS.equal(tensor(u, v).coordinates(kappa), x[..., :, None] * y[..., None, :])
    assert tensor(u, v).batch_shape == (2, 4)


@given(data=st.data())
def test_linear_maps_are_matrices_in_frames(data: st.DataObject) -> None:
    U, V = pair_of_spaces()
    W = VectorSpace("W", 2, FIELD)
    kappa, iota = (data.draw(parameterizations([U, V, W])) for _ in range(2))
    L, M = data.draw(vectors(Hom(U, V), kappa)), data.draw(vectors(Hom(V, W), iota))
    u, phi = data.draw(vectors(U, iota, (2,))), data.draw(vectors(V.dual, iota, (2,)))
    in_kappa = L.coordinates(kappa)
    assert NS.equal(L(u).coordinates(kappa), u.coordinates(kappa) @ in_kappa.mT)
    pulled = Hom(U, V).transpose_apply(L, phi)  # type: ignore[attr-defined]
    assert NS.equal(pulled.coordinates(kappa), phi.coordinates(kappa) @ in_kappa)
    assert NS.equal(pulled(u), phi(L(u)))
    assert NS.equal((M @ L).coordinates(kappa), M.coordinates(kappa) @ in_kappa)
    assert (M @ L)(u) == M(L(u))


@given(data=st.data())
def test_the_identity_map_is_the_identity_matrix_in_every_frame(data: st.DataObject) -> None:
    U, V = pair_of_spaces()
    kappa = data.draw(parameterizations([U]))
    one: Vector = Hom(U, U).identity()
    assert NS.equal(one.coordinates(kappa), NS.eye(2))
    assert one(u := data.draw(vectors(U, kappa))) == u
    assert one @ one == one
    with pytest.raises(SpaceMismatchError, match="only endomorphisms"):
        Hom(U, V).identity()


@given(data=st.data())
def test_a_linear_map_between_tensor_products_acts_on_all_slots(data: st.DataObject) -> None:
    U, V = pair_of_spaces()
    T = TensorProduct(U, V)
    kappa, iota = (data.draw(parameterizations([U, V])) for _ in range(2))
    L, t, phi = (
        data.draw(elements(Hom(T, T), kappa)),
        data.draw(elements(T, iota)),
        data.draw(elements(T.dual, iota)),
    )
    matrix = NS.reshape(L.coordinates(kappa), (6, 6))
    flat = NS.reshape(t.coordinates(kappa), (6,))
    assert NS.equal(NS.reshape(L(t).coordinates(kappa), (6,)), matrix @ flat)
    assert NS.equal(Hom(T, T).transpose_apply(L, phi)(t), phi(L(t)))  # type: ignore[attr-defined]


def test_a_batch_of_linear_maps_acts_on_a_batch_of_vectors() -> None:
    U, V = VectorSpace("U", 2), VectorSpace("V", 3)
    e, f = U.frame("e"), V.frame("f")
    matrices, x = np.arange(24.0).reshape(4, 3, 2), np.arange(8.0).reshape(4, 2)
    L, u = Hom(U, V).from_coordinates(matrices, Hom(U, V).frame(e, f)), U.from_coordinates(x, e)
    assert np.array_equal(L(u).coordinates(f), (matrices @ x[:, :, None])[..., 0])


def test_maps_and_tensors_that_do_not_fit_are_refused() -> None:
    U, V, A = VectorSpace("U", 2), VectorSpace("V", 3), AffineSpace("A", 2)
    e, f = U.frame("e"), V.frame("f")
    u, v = U.from_coordinates(np.ones(2), e), V.from_coordinates(np.ones(3), f)
    L = Hom(U, V).from_coordinates(np.ones((3, 2)), Hom(U, V).frame(e, f))
    with pytest.raises(SpaceMismatchError, match=r"cannot evaluate(.|\n)*required(.|\n)*came"):
        L(v)
    with pytest.raises(SpaceMismatchError, match=r"outer: Linear map(.|\n)*inner: Linear map"):
        L @ L
    with pytest.raises(SpaceMismatchError, match="cannot contract factor 1"):
        contract(tensor(u, v), u, 1)
    with pytest.raises(SpaceMismatchError, match="only tensors are contracted"):
        contract(u, u, 0)
    with pytest.raises(SpaceMismatchError, match="its direction, or its Hull"):
        TensorProduct(U, A)
    with pytest.raises(SpaceMismatchError, match="product of the tensor products"):
        Hom(U, ProductVectorSpace(U, V))
    with pytest.raises(SpaceMismatchError, match="at least two factors"):
        TensorProduct(U)
    with pytest.raises(ShapeError, match="at least two vectors"):
        tensor(u)
    with pytest.raises(SpaceMismatchError, match="composes maps"):
        u @ u
    with pytest.raises(KindError, match=r"over GF\(2147483647\)"):
        TensorProduct(U, VectorSpace("W", 2, FIELD))
    with pytest.raises(SpaceMismatchError, match="or one covector of each factor"):
        tensor(u, v)(u, v, u)
