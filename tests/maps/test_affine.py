"""Affine maps: their space, LG (3.3), composition, lift, evaluation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import GF, Kind, floating, rational
from geomkfac.errors import KindError, SpaceMismatchError
from geomkfac.maps import AffineMap, AffineMaps, Evaluation
from geomkfac.spaces import AffineSpace, Hom, Hull, Parameterization, ProductSpace, VectorSpace
from geomkfac.testing import changes_of_basis, parameterizations, points, vectors

FIELD = GF(2**31 - 1)
NS = FIELD.default_namespace
KINDS = {"GF(p)": FIELD, "Q": rational, "floating": floating}
kind_parameter = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


@kind_parameter
@given(data=st.data())
def test_parameters_change_as_in_equation_3_3(kind: Kind, data: st.DataObject) -> None:
    """W = Phi W' Omega, b = Phi W' gamma + Phi b' + tau, with LG's directions of change.

    (Omega gamma) leads from iota to kappa on A, (Phi tau) from kappa to iota on Z.
    """
    A, Z, ns = AffineSpace("A", 2, kind), AffineSpace("Z", 3, kind), kind.default_namespace
    maps = AffineMaps(A, Z)
    iota_A, kappa_Z = A.frame("iota"), Z.frame("kappa")
    Omega, gamma = data.draw(changes_of_basis(2, kind))
    Phi, tau = data.draw(changes_of_basis(3, kind))
    iota = Parameterization([iota_A, kappa_Z.change(Phi, tau)])
    kappa = Parameterization([iota_A.change(Omega, gamma), kappa_Z])
    w = data.draw(points(maps, kappa))
    primed = w.coordinates(kappa)
    W_, b_ = primed[:, :-1], primed[:, -1]
    given_ = w.coordinates(iota)
    W, b = given_[:, :-1], given_[:, -1]
    expected = Phi @ W_ @ Omega, Phi @ (W_ @ gamma) + Phi @ b_ + tau
    if kind.is_exact:
        assert ns.equal(W, expected[0])
        assert ns.equal(b, expected[1])
        return
    size = np.linalg.norm
    terms = size(Phi) * (size(W_) * (size(Omega) + size(gamma)) + size(b_)) + size(tau)
    # Sums of at most four products; the package inverts a change of condition below 100 on its way.
    tolerance = 4 * 100 * np.finfo(float).eps * terms
    assert size(W - expected[0]) <= tolerance
    assert size(b - expected[1]) <= tolerance


@kind_parameter
@given(data=st.data())
def test_an_affine_map_is_W_a_plus_b_in_every_frame(kind: Kind, data: st.DataObject) -> None:
    A, Z, ns = AffineSpace("A", 2, kind), AffineSpace("Z", 3, kind), kind.default_namespace
    maps = AffineMaps(A, Z)
    kappa = data.draw(parameterizations([A, Z]))
    w, a = data.draw(points(maps, kappa)), data.draw(points(A, kappa, (4,)))
    matrix = w.coordinates(kappa)
    assert ns.equal(w(a).coordinates(kappa), a.coordinates(kappa) @ matrix[:, :-1].mT + matrix[:, -1])
    assert ns.equal(w.linear.coordinates(kappa), matrix[:, :-1])


@given(data=st.data())
def test_an_affine_map_does_not_feel_the_frames_of_its_argument_or_its_own(data: st.DataObject) -> None:
    A, Z = AffineSpace("A", 2, FIELD), AffineSpace("Z", 3, FIELD)
    kappa, iota = (data.draw(parameterizations([A, Z])) for _ in range(2))
    w, a = data.draw(points(AffineMaps(A, Z), kappa)), data.draw(points(A, kappa))
    assert w.expressed_in(iota)(a.expressed_in(iota)) == w(a)
    assert w(a.expressed_in(iota)) == w(a)


@given(data=st.data())
def test_affine_maps_form_an_affine_space_pointwise(data: st.DataObject) -> None:
    """(w - u)([a; 1]) = w(a) - u(a): a difference of affine maps is a linear map on the hull."""
    A, Z = AffineSpace("A", 2, FIELD), AffineSpace("Z", 3, FIELD)
    kappa, iota = (data.draw(parameterizations([A, Z])) for _ in range(2))
    maps = AffineMaps(A, Z)
    w, u = data.draw(points(maps, kappa)), data.draw(points(maps, iota))
    a, b = data.draw(points(A, iota)), data.draw(points(A, kappa))
    assert maps.direction is Hom(Hull(A), Z.direction)
    assert (w - u)(Hull(A).of_point(a)) == w(a) - u(a)
    assert w.linear(a - b) == w(a) - w(b)


@given(data=st.data())
def test_composition_of_affine_maps_is_associative_and_its_linear_part_composes(data: st.DataObject) -> None:
    X, A, Y, Z = (AffineSpace(name, dim, FIELD) for name, dim in (("X", 1), ("A", 2), ("Y", 3), ("Z", 2)))
    kappa, iota = (data.draw(parameterizations([X, A, Y, Z])) for _ in range(2))
    f = data.draw(points(AffineMaps(X, A), kappa))
    g = data.draw(points(AffineMaps(A, Y), iota))
    h = data.draw(points(AffineMaps(Y, Z), kappa))
    x = data.draw(points(X, iota, (2,)))
    assert (g @ f)(x) == g(f(x))
    assert (h @ g) @ f == h @ (g @ f)
    assert (g @ f).linear == g.linear @ f.linear


@given(data=st.data())
def test_the_lift_to_the_hulls_is_functorial_and_extends_the_map(data: st.DataObject) -> None:
    X, A, Z = (AffineSpace(name, dim, FIELD) for name, dim in (("X", 1), ("A", 2), ("Z", 3)))
    kappa, iota = (data.draw(parameterizations([X, A, Z])) for _ in range(2))
    first, second = AffineMaps(X, A), AffineMaps(A, Z)
    f, g = data.draw(points(first, kappa)), data.draw(points(second, iota))
    x = data.draw(points(X, iota))
    v = data.draw(vectors(X.direction, iota))
    assert AffineMaps(X, Z).lift(g @ f) == second.lift(g) @ first.lift(f)
    assert first.lift(f)(Hull(X).of_point(x)) == Hull(A).of_point(f(x))
    assert first.lift(f)(Hull(X).of_vector(v)) == Hull(A).of_vector(f.linear(v))
    row = first.lift(f).coordinates(kappa)[-1, :]
    assert NS.equal(row, NS.eye(2)[-1, :])


@given(data=st.data())
def test_the_pushforward_of_evaluation_is_contraction_with_the_homogeneous_vector(data: st.DataObject) -> None:
    """Source: LG 3.4."""
    A, Z = AffineSpace("A", 2, FIELD), AffineSpace("Z", 3, FIELD)
    kappa, iota = (data.draw(parameterizations([A, Z])) for _ in range(2))
    maps = AffineMaps(A, Z)
    w, a = data.draw(points(maps, kappa)), data.draw(points(A, iota))
    change = data.draw(vectors(maps.direction, iota))
    phi = data.draw(vectors(Z.direction.dual, kappa))
    evaluation = maps.evaluation(a)
    assert isinstance(evaluation, Evaluation)
    value, derivative = evaluation.linearize(w)
    assert value == w(a)
    assert derivative.pushforward(change) == change(Hull(A).of_point(a))
    assert evaluation(w + change) == value + derivative.pushforward(change)
    pulled = derivative.pullback(phi).coordinates(kappa)
    homogeneous = Hull(A).of_point(a).coordinates(kappa)
    assert NS.equal(pulled, phi.coordinates(kappa)[:, None] * homogeneous[None, :])


@given(data=st.data())
def test_evaluation_at_a_batch_pulls_a_covector_for_each_datum(data: st.DataObject) -> None:
    A, Z = AffineSpace("A", 2, FIELD), AffineSpace("Z", 2, FIELD)
    kappa, iota = (data.draw(parameterizations([A, Z])) for _ in range(2))
    maps = AffineMaps(A, Z)
    w, a = data.draw(points(maps, kappa)), data.draw(points(A, iota, (3,)))
    phi = data.draw(vectors(Z.direction.dual, kappa, (2, 3)))
    _, derivative = maps.evaluation(a).linearize(w)
    pulled = derivative.pullback(phi)
    assert pulled.batch_shape == (2, 3)
    for n in range(3):
        _, single = maps.evaluation(a[n]).linearize(w)
        assert single.pullback(phi[:, n]) == pulled[:, n]


@given(data=st.data())
def test_an_affine_map_from_a_product_reads_the_factors_in_order(data: st.DataObject) -> None:
    A, B, Z = (AffineSpace(name, dim, FIELD) for name, dim in (("A", 1), ("B", 2), ("Z", 2)))
    product = ProductSpace(A, B)
    kappa, iota = (data.draw(parameterizations([A, B, Z])) for _ in range(2))
    w = data.draw(points(AffineMaps(product, Z), kappa))
    p = data.draw(points(product, iota, (2,)))
    flat = NS.concat(list(p.coordinates(kappa)), axis=-1)
    matrix = w.coordinates(kappa)
    assert NS.equal(w(p).coordinates(kappa), flat @ matrix[:, :-1].mT + matrix[:, -1])
    assert w.expressed_in(iota)(p) == w(p)
    value, derivative = AffineMap(w).linearize(p)
    phi = data.draw(vectors(Z.direction.dual, iota, (2,)))
    v = data.draw(vectors(product.direction, iota, (2,)))
    assert value == w(p)
    assert NS.equal(derivative.pullback(phi)(v), phi(derivative.pushforward(v)))


def test_a_batch_of_affine_maps_acts_on_a_batch_of_points() -> None:
    A, Z = AffineSpace("A", 2), AffineSpace("Z", 3)
    iota, zeta = A.frame("iota"), Z.frame("zeta")
    maps = AffineMaps(A, Z)
    parameters, x = np.arange(36.0).reshape(4, 3, 3), np.arange(8.0).reshape(4, 2)
    w, a = maps.from_coordinates(parameters, maps.frame(iota, zeta)), A.from_coordinates(x, iota)
    expected = (parameters[..., :2] @ x[..., None])[..., 0] + parameters[..., 2]
    assert np.array_equal(w(a).coordinates(zeta), expected)


def test_what_does_not_fit_an_affine_map_is_refused() -> None:
    A, Z, V = AffineSpace("A", 2), AffineSpace("Z", 3), VectorSpace("V", 2)
    iota, zeta = A.frame("iota"), Z.frame("zeta")
    maps = AffineMaps(A, Z)
    w = maps.from_coordinates(np.ones((3, 3)), maps.frame(iota, zeta))
    a, z = A.from_coordinates(np.ones(2), iota), Z.from_coordinates(np.ones(3), zeta)
    single = A.from_coordinates(np.ones(2, dtype=np.float32), iota)
    with pytest.raises(SpaceMismatchError, match=r"required: a point of AffineSpace\('A'"):
        w(z)
    with pytest.raises(SpaceMismatchError, match="begins"):
        w @ w
    with pytest.raises(SpaceMismatchError, match=r"domain  : VectorSpace(.|\n)*codomain: AffineSpace"):
        AffineMaps(V, Z)
    with pytest.raises(SpaceMismatchError, match="evaluation needs a point"):
        maps.evaluation(z)
    with pytest.raises(SpaceMismatchError, match="made of a point of AffineMaps"):
        AffineMap(a)
    with pytest.raises(SpaceMismatchError, match="lift takes a point"):
        maps.lift(a)
    with pytest.raises(SpaceMismatchError, match="no linear part"):
        _ = a.linear
    for function in (w, AffineMap(w)):
        with pytest.raises(KindError, match="float32"):
            function(single)
    _, derivative = AffineMap(w).linearize(a)
    with pytest.raises(KindError, match="float32"):
        derivative.pushforward(single - single)
