"""Products: factor by factor, in frames of the factors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import GF
from geomkfac.errors import KindError, ShapeError, SpaceMismatchError
from geomkfac.maps import AffineMaps
from geomkfac.spaces import AffineSpace, Hom, Parameterization, ProductSpace, ProductVectorSpace, VectorSpace
from geomkfac.testing import elements, parameterizations, points, vectors

FIELD = GF(2**31 - 1)
NS = FIELD.default_namespace


@given(data=st.data())
def test_an_element_is_joined_from_its_components_and_split_into_them(data: st.DataObject) -> None:
    A, Z = AffineSpace("A", 2, FIELD), AffineSpace("Z", 1, FIELD)
    product = ProductSpace(A, AffineMaps(A, Z), A)
    kappa, iota = (data.draw(parameterizations([A, Z])) for _ in range(2))
    chosen = zip(product.factors, [kappa, kappa, iota], strict=True)
    parts = [data.draw(elements(factor, frame, (2,))) for factor, frame in chosen]
    joined = product.join(*parts)
    assert joined.batch_shape == (2,)
    assert all(part == again for part, again in zip(parts, product.split(joined), strict=True))
    assert product.join(*product.split(joined.expressed_in(kappa))) == joined
    for part, array in zip(parts, joined.coordinates(iota), strict=True):
        assert NS.equal(part.coordinates(iota), array)


@given(data=st.data())
def test_the_pairing_of_a_product_is_the_sum_over_its_factors(data: st.DataObject) -> None:
    V, W = VectorSpace("V", 2, FIELD), VectorSpace("W", 3, FIELD)
    product = ProductVectorSpace(V, Hom(V, W))
    kappa, iota = (data.draw(parameterizations([V, W])) for _ in range(2))
    u, phi = data.draw(vectors(product, kappa)), data.draw(vectors(product.dual, iota))
    pairs = zip(product.dual.split(phi), product.split(u), strict=True)
    assert NS.equal(phi(u), sum((part(x) for part, x in pairs), NS.scalar(0)))


@given(data=st.data())
def test_a_vector_injected_into_a_factor_is_projected_back(data: st.DataObject) -> None:
    V, W = VectorSpace("V", 2, FIELD), VectorSpace("W", 3, FIELD)
    product = ProductVectorSpace(V, W, V)
    v = data.draw(vectors(V, data.draw(parameterizations([V])), (2,)))
    injected = product.inject(v, 2)
    assert product.project(injected, 2) == v
    assert product.project(injected, 0) == v - v
    assert product.project(injected, 1)[0] == W.zero()


def test_a_product_may_have_a_factor_twice_and_each_keeps_its_own_frame() -> None:
    A = AffineSpace("A", 2)
    iota = A.frame("iota")
    kappa = iota.change(2 * np.eye(2))
    product = ProductSpace(A, A)
    p = product.from_coordinates((np.ones(2), np.ones(2)), product.frame(iota, kappa))
    first, second = p.coordinates(Parameterization([iota]))
    assert first.tolist() == [1.0, 1.0]
    assert second.tolist() == [0.5, 0.5]


@given(data=st.data())
def test_products_nest(data: st.DataObject) -> None:
    A = AffineSpace("A", 2, FIELD)
    inner = ProductSpace(A, A)
    outer = ProductSpace(inner, A)
    kappa = data.draw(parameterizations([A]))
    p, q = (data.draw(points(outer, kappa, (3,))) for _ in range(2))
    assert q + (p - q) == p
    assert outer.project(p, 0).space is inner
    assert outer.dim == 6


def test_what_does_not_fit_a_product_is_refused() -> None:
    A, B, V = AffineSpace("A", 1), AffineSpace("B", 2), VectorSpace("V", 1)
    iota, other = A.frame("iota"), B.frame("iota")
    product = ProductSpace(A, B)
    frame = product.frame(iota, other)
    a, b = A.from_coordinates(np.ones(1), iota), B.from_coordinates(np.ones((3, 2)), other)
    with pytest.raises(ShapeError, match=r"came    : 1"):
        product.join(a)
    with pytest.raises(SpaceMismatchError, match="lives in the wrong space"):
        product.join(b, a)
    with pytest.raises(ShapeError, match=r"\(\)(.|\n)*\(3,\)"):
        product.join(a, b)
    with pytest.raises(ShapeError, match=r"one batch shape(.|\n)*\(3,\), \(\)"):
        product.from_coordinates((np.ones((3, 1)), np.ones(2)), frame)
    with pytest.raises(ShapeError, match="2 arrays, one per factor"):
        product.from_coordinates(np.ones(3), frame)
    with pytest.raises(KindError, match="float64 and numpy float32"):
        product.from_coordinates((np.ones(1), np.ones(2, dtype=np.float32)), frame)
    with pytest.raises(SpaceMismatchError, match="cannot have the factor"):
        ProductSpace(A, V)
    with pytest.raises(SpaceMismatchError, match="at least one factor"):
        ProductVectorSpace()
    with pytest.raises(SpaceMismatchError, match="project needs an element"):
        product.project(a, 0)
