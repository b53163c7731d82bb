"""Canonical isomorphisms: invertible, linear, and felt by no frame; a basis's own isomorphism is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import GF
from geomkfac.errors import SpaceMismatchError
from geomkfac.spaces import (
    AffineSpace,
    BaseFrame,
    CanonicalIsomorphism,
    Hom,
    Hull,
    LinearSpace,
    TensorProduct,
    Vector,
    VectorSpace,
    bilinear_as_map,
    dual_of_tensor,
    swap,
    tensor,
    tensor_as_hom,
)
from geomkfac.testing import changes_of_basis, integer_array, parameterizations, vectors

FIELD = GF(2**31 - 1)
NS = FIELD.default_namespace
ISOMORPHISMS: dict[str, Callable[[LinearSpace, LinearSpace], CanonicalIsomorphism]] = {
    "U* (x) V = Hom(U, V)": tensor_as_hom,
    "U* (x) V* = (U (x) V)*": dual_of_tensor,
    "U (x) V = V (x) U": swap,
    "V* (x) V* = Hom(V, V*)": lambda U, V: bilinear_as_map(U),
}
every_isomorphism = pytest.mark.parametrize("make", ISOMORPHISMS.values(), ids=ISOMORPHISMS.keys())


def spaces_of(sort: str) -> tuple[LinearSpace, LinearSpace]:
    U, V, A = VectorSpace("U", 2, FIELD), VectorSpace("V", 3, FIELD), AffineSpace("A", 1, FIELD)
    return {
        "base": (U, V),
        "dual": (U.dual, V),
        "hull": (Hull(A).dual, A.direction),
        "Hom": (Hom(U, V), U),
        "tensor": (TensorProduct(U, V.dual), Hom(V, U)),
    }[sort]


@pytest.mark.parametrize("sort", ["base", "dual", "hull", "Hom", "tensor"])
@every_isomorphism
@given(data=st.data())
def test_a_canonical_isomorphism_is_linear_invertible_and_independent_of_frames(
    make: Callable[[LinearSpace, LinearSpace], CanonicalIsomorphism], sort: str, data: st.DataObject
) -> None:
    isomorphism = make(*spaces_of(sort))
    domain, codomain = isomorphism.domain, isomorphism.codomain
    iota, kappa = (data.draw(parameterizations([domain, codomain])) for _ in range(2))
    x, y = data.draw(vectors(domain, iota)), data.draw(vectors(domain, kappa))
    image = isomorphism(x)
    assert image.space is codomain
    assert isomorphism.inverse(image) == x
    assert isomorphism.inverse.inverse(x) == image
    assert isomorphism(x + y * 3) == image + isomorphism(y) * 3
    assert isomorphism(x.expressed_in(kappa)) == image
    z = data.draw(vectors(codomain, kappa))
    assert isomorphism(isomorphism.inverse(z)) == z


@given(data=st.data())
def test_each_isomorphism_is_the_map_that_its_formula_says(data: st.DataObject) -> None:
    U, V = VectorSpace("U", 2, FIELD), VectorSpace("V", 3, FIELD)
    iota, kappa = (data.draw(parameterizations([U, V])) for _ in range(2))
    u, v = data.draw(vectors(U, iota)), data.draw(vectors(V, kappa))
    phi, psi = data.draw(vectors(U.dual, kappa)), data.draw(vectors(V.dual, iota))
    assert tensor_as_hom(U, V)(tensor(phi, v))(u) == v * phi(u)
    assert NS.equal(dual_of_tensor(U, V)(tensor(phi, psi))(tensor(u, v)), phi(u) * psi(v))
    assert swap(U, V)(tensor(u, v)) == tensor(v, u)
    chi = data.draw(vectors(U.dual, iota))
    assert bilinear_as_map(U)(tensor(phi, chi))(u) == chi * phi(u)


@given(data=st.data())
def test_tensor_as_hom_is_natural(data: st.DataObject) -> None:
    """For L: V -> W, composing after the isomorphism is applying L before it."""
    U, V, W = (VectorSpace(name, dim, FIELD) for name, dim in (("U", 2), ("V", 3), ("W", 2)))
    iota, kappa = (data.draw(parameterizations([U, V, W])) for _ in range(2))
    phi, v = data.draw(vectors(U.dual, iota)), data.draw(vectors(V, kappa))
    L = data.draw(vectors(Hom(V, W), iota))
    assert L @ tensor_as_hom(U, V)(tensor(phi, v)) == tensor_as_hom(U, W)(tensor(phi, L(v)))


def by_basis(frame: BaseFrame, vector: Vector) -> Vector:
    """The isomorphism V -> V* that sends a basis to its dual basis."""
    covector: Vector = vector.space.dual.from_coordinates(vector.coordinates(frame), frame.dual)
    return covector


def test_the_isomorphism_of_a_space_with_its_dual_by_a_basis_is_not_canonical() -> None:
    V = VectorSpace("V", 2, FIELD)
    e = V.frame("e")
    f = e.change(integer_array(NS, [[1, 1], [0, 1]]))
    v = V.from_coordinates(integer_array(NS, [0, 1]), e)
    assert by_basis(e, v) != by_basis(f, v)


@given(data=st.data())
def test_two_bases_give_one_isomorphism_with_the_dual_just_where_they_differ_by_an_orthogonal_matrix(
    data: st.DataObject,
) -> None:
    V = VectorSpace("V", 2, FIELD)
    e = V.frame("e")
    B, _ = data.draw(changes_of_basis(2, FIELD, translated=False))
    f = e.change(B)
    vs = [V.from_coordinates(integer_array(NS, row), e) for row in ([1, 0], [0, 1])]
    same = all(by_basis(e, v) == by_basis(f, v) for v in vs)
    assert same is NS.equal(B.mT @ B, NS.eye(2))


@given(data=st.data())
def test_the_double_dual_is_the_space_itself_in_every_basis(data: st.DataObject) -> None:
    """V** = V needs no basis: the composition of two isomorphisms by bases is the identity."""
    V = VectorSpace("V", 2, FIELD)
    e = V.frame("e")
    B, _ = data.draw(changes_of_basis(2, FIELD, translated=False))
    v = data.draw(vectors(V, e))
    for frame in (e, e.change(B)):
        covector = by_basis(frame, v)
        again = V.dual.dual.from_coordinates(covector.coordinates(frame.dual), frame.dual.dual)
        assert again == v


def test_an_isomorphism_refuses_what_lives_elsewhere() -> None:
    U, V = VectorSpace("U", 2, FIELD), VectorSpace("V", 3, FIELD)
    zero = U.zero()
    with pytest.raises(SpaceMismatchError, match=r"U \(x\) V = V \(x\) U(.|\n)*came: Vector of"):
        swap(U, V)(zero)
