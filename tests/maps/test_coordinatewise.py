"""Coordinatewise activations: LG (3.4), and their derivatives in every frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import GF, floating
from geomkfac.errors import KindError, ShapeError, SpaceMismatchError, UnknownNameError
from geomkfac.maps import CoordinatewiseMap, polynomial
from geomkfac.spaces import AffineSpace, VectorSpace
from geomkfac.testing import activations, changes_of_basis, points, vectors

FIELD = GF(2**31 - 1)
NS = FIELD.default_namespace


@given(data=st.data())
def test_an_activation_in_another_basis_is_that_of_equation_3_4(data: st.DataObject) -> None:
    """a' = Omega phi(Phi z' + tau) + gamma, exactly, for polynomials over a finite field."""
    Z, A = AffineSpace("Z", 2, FIELD), AffineSpace("A", 2, FIELD)
    phi = data.draw(activations(FIELD))
    kappa_Z, iota_A = Z.frame("kappa"), A.frame("iota")
    Phi, tau = data.draw(changes_of_basis(2, FIELD))
    Omega, gamma = data.draw(changes_of_basis(2, FIELD))
    iota_Z, kappa_A = kappa_Z.change(Phi, tau), iota_A.change(Omega, gamma)
    rho = CoordinatewiseMap(iota_Z, iota_A, phi)
    z = data.draw(points(Z, kappa_Z))
    inner = phi.value(NS, Phi @ z.coordinates(kappa_Z) + tau)
    assert NS.equal(rho(z).coordinates(kappa_A), Omega @ inner + gamma)


@given(data=st.data())
def test_its_derivative_in_another_basis_is_no_longer_diagonal(data: st.DataObject) -> None:
    Z, A = AffineSpace("Z", 2, FIELD), AffineSpace("A", 2, FIELD)
    phi = data.draw(activations(FIELD))
    kappa_Z, iota_A = Z.frame("kappa"), A.frame("iota")
    Phi, tau = data.draw(changes_of_basis(2, FIELD))
    Omega, gamma = data.draw(changes_of_basis(2, FIELD))
    iota_Z, kappa_A = kappa_Z.change(Phi, tau), iota_A.change(Omega, gamma)
    rho = CoordinatewiseMap(iota_Z, iota_A, phi)
    z = data.draw(points(Z, kappa_Z))
    v = data.draw(vectors(Z.direction, kappa_Z.linear))
    u = data.draw(vectors(A.direction.dual, kappa_A.dual))
    slope = phi.derivative(NS, Phi @ z.coordinates(kappa_Z) + tau)
    jacobian = Omega @ (slope[:, None] * Phi)
    _, derivative = rho.linearize(z)
    assert NS.equal(derivative.pushforward(v).coordinates(kappa_A.linear), jacobian @ v.coordinates(kappa_Z.linear))
    assert NS.equal(derivative.pullback(u).coordinates(kappa_Z.dual), jacobian.mT @ u.coordinates(kappa_A.dual))


@given(data=st.data())
def test_equation_3_4_holds_in_floating_point(data: st.DataObject) -> None:
    Z, A = AffineSpace("Z", 2), AffineSpace("A", 2)
    phi = data.draw(activations(floating))
    kappa_Z, iota_A = Z.frame("kappa"), A.frame("iota")
    Phi, tau = data.draw(changes_of_basis(2))
    Omega, gamma = data.draw(changes_of_basis(2))
    rho = CoordinatewiseMap(kappa_Z.change(Phi, tau), iota_A, phi)
    z = data.draw(points(Z, kappa_Z))
    ns = floating.default_namespace
    inner = phi.value(ns, Phi @ z.coordinates(kappa_Z) + tau)  # integers in: the same floats
    result = rho(z).coordinates(iota_A.change(Omega, gamma))
    # Both sides take the same product of two terms and a sum, in whatever order BLAS likes.
    size = np.abs(Omega) @ np.abs(inner) + np.abs(gamma)
    assert np.all(np.abs(result - (Omega @ inner + gamma)) <= 4 * np.finfo(float).eps * size)


def test_in_its_own_frames_the_map_is_the_array_function_bit_for_bit() -> None:
    Z, A = AffineSpace("Z", 3), AffineSpace("A", 3)
    zeta, alpha = Z.frame("zeta"), A.frame("alpha")
    x = np.asarray([[-1.0, 0.5, 2.0], [0.1, 0.2, 0.3]])
    rho = CoordinatewiseMap(zeta, alpha, "tanh")
    assert np.array_equal(rho(Z.from_coordinates(x, zeta)).coordinates(alpha), np.tanh(x))


def test_a_map_may_be_coordinatewise_in_dense_frames() -> None:
    Z, A = AffineSpace("Z", 2), AffineSpace("A", 2)
    dense = Z.frame("zeta").dense_change(np.asarray([[2.0, 0.0], [0.0, 1.0]]), np.asarray([1.0, 0.0]))
    alpha = A.frame("alpha")
    rho = CoordinatewiseMap(dense, alpha, polynomial(0, 0, 1))
    z = Z.from_coordinates(np.asarray([1.0, 2.0]), dense.over)
    value, derivative = rho.linearize(z)
    assert value.coordinates(alpha).tolist() == [9.0, 4.0]
    v = Z.direction.from_coordinates(np.ones(2), dense.over.linear)
    assert derivative.pushforward(v).coordinates(alpha.linear).tolist() == [12.0, 4.0]


def test_a_coordinatewise_map_that_makes_no_sense_is_refused() -> None:
    Z, A, V = AffineSpace("Z", 2), AffineSpace("A", 3), VectorSpace("V", 2)
    zeta, alpha, e = Z.frame("zeta"), A.frame("alpha"), V.frame("e")
    wrong: list[tuple[type[Exception], str, tuple[Any, ...]]] = [
        (ShapeError, r"one dimension(.|\n)*AffineSpace\('Z', dim=2\)(.|\n)*AffineMap between", (zeta, alpha, "tanh")),
        (ShapeError, "frames of two affine spaces", (e, zeta, "tanh")),
        (ShapeError, "frames of two affine spaces", ("zeta", zeta, "tanh")),
        (UnknownNameError, "Did you mean 'tanh'", (zeta, zeta, "tahn")),
    ]
    for error, text, arguments in wrong:
        with pytest.raises(error, match=text):
            CoordinatewiseMap(*arguments)
    rho = CoordinatewiseMap(zeta, zeta, "tanh")
    with pytest.raises(SpaceMismatchError, match="the map takes"):
        rho(A.from_coordinates(np.ones(3), alpha))
    z = Z.from_coordinates(np.ones(2), zeta)
    with pytest.raises(SpaceMismatchError, match="pushforward takes"):
        rho.pushforward(z, z)  # type: ignore[arg-type]
    _, derivative = rho.linearize(Z.from_coordinates(np.ones(2, dtype=np.float32), zeta))
    with pytest.raises(KindError, match="float32"):
        derivative.pushforward(z - z)


def test_an_ordered_activation_is_refused_over_a_finite_field() -> None:
    Z = AffineSpace("Z", 2, FIELD)
    zeta = Z.frame("zeta")
    with pytest.raises(KindError, match="ordered kind"):
        CoordinatewiseMap(zeta, zeta, "tanh")(Z.from_coordinates(NS.ones((2,)), zeta))
