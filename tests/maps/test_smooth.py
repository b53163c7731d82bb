"""Smooth maps: every sort passes the conformance check; pushforward and pullback are functorial."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import GF, Kind, floating, rational
from geomkfac.errors import SpaceMismatchError
from geomkfac.maps import AffineMap, AffineMaps, Composition, CoordinatewiseMap, GenericMap, LinearMap, SmoothMap
from geomkfac.maps import coordinatewise as room
from geomkfac.spaces import AffineSpace, Hom, Hull, Point, VectorSpace
from geomkfac.testing import (
    LawViolatedError,
    activations,
    changes_of_basis,
    check_smooth_map,
    elements,
    gauge_fuzzing,
    integer_array,
    namespaces,
    parameterizations,
    points,
    vectors,
)

FIELD = GF(2**31 - 1)
NS = FIELD.default_namespace
KINDS = {"GF(p)": FIELD, "Q": rational, "floating": floating}
kind_parameter = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
SEEDS = st.integers(0, 2**32 - 1)
CUBIC = 3


def coordinatewise(data: st.DataObject, domain: AffineSpace, codomain: AffineSpace) -> SmoothMap:
    kappa = data.draw(parameterizations([domain, codomain]))
    phi = data.draw(activations(domain.kind, smooth=True))
    return CoordinatewiseMap(kappa[domain], kappa[codomain], phi)


@kind_parameter
@given(data=st.data(), seed=SEEDS)
def test_coordinatewise_maps_conform(kind: Kind, data: st.DataObject, seed: int) -> None:
    Z, A = AffineSpace("Z", 2, kind), AffineSpace("A", 2, kind)
    rho = coordinatewise(data, Z, A)
    ns = data.draw(namespaces(kind))
    z = data.draw(points(Z, data.draw(parameterizations([Z])), ns=ns))
    check_smooth_map(rho, z, np.random.default_rng(seed), degree=CUBIC if kind.is_exact else None)


@kind_parameter
@given(data=st.data(), seed=SEEDS)
def test_linear_and_affine_maps_and_evaluation_conform(kind: Kind, data: st.DataObject, seed: int) -> None:
    A, Z, V = AffineSpace("A", 2, kind), AffineSpace("Z", 3, kind), VectorSpace("V", 2, kind)
    kappa, iota = (data.draw(parameterizations([A, Z, V])) for _ in range(2))
    maps = AffineMaps(A, Z)
    w, a, v = data.draw(points(maps, kappa)), data.draw(points(A, iota)), data.draw(vectors(V, iota))
    L = data.draw(vectors(Hom(V, Hull(A)), kappa))
    rng = np.random.default_rng(seed)
    check_smooth_map(AffineMap(w), a, rng, degree=1)
    check_smooth_map(LinearMap(L), v, rng, degree=1)
    check_smooth_map(maps.evaluation(a), w, rng, degree=1)


@kind_parameter
@given(data=st.data(), seed=SEEDS)
def test_a_composition_of_layers_conforms(kind: Kind, data: st.DataObject, seed: int) -> None:
    X, Z, A = (AffineSpace(name, 2, kind) for name in "XZA")
    kappa = data.draw(parameterizations([X, Z, A]))
    layer = AffineMap(data.draw(points(AffineMaps(X, Z), kappa)))
    rho = coordinatewise(data, Z, A)
    x = data.draw(points(X, data.draw(parameterizations([X]))))
    check_smooth_map(rho @ layer, x, np.random.default_rng(seed), degree=CUBIC if kind.is_exact else None)


@given(data=st.data(), seed=SEEDS)
def test_maps_conform_while_every_hidden_frame_is_drawn_anew(data: st.DataObject, seed: int) -> None:
    with gauge_fuzzing(np.random.default_rng(seed + 1)):
        Z, A = AffineSpace("Z", 2, FIELD), AffineSpace("A", 2, FIELD)
        rho = coordinatewise(data, Z, A)
        z = data.draw(points(Z, data.draw(parameterizations([Z]))))
        check_smooth_map(rho, z, np.random.default_rng(seed), degree=CUBIC)


@pytest.mark.parametrize("coordinatewise_", [True, False])
@given(data=st.data(), seed=SEEDS)
def test_generic_maps_conform_but_for_what_they_leave_open(
    coordinatewise_: bool, data: st.DataObject, seed: int
) -> None:
    Z, A = AffineSpace("Z", 2, FIELD), AffineSpace("A", 2, FIELD)
    kappa = data.draw(parameterizations([Z, A]))
    rng = np.random.default_rng(seed)
    rho = GenericMap(kappa[Z], kappa[A], rng, coordinatewise=coordinatewise_)
    check_smooth_map(rho, data.draw(points(Z, kappa)), rng, pointwise=False)


@given(data=st.data())
def test_pushforward_and_pullback_are_functorial(data: st.DataObject) -> None:
    """(f o g)_* = f_* g_*, (f o g)^* = g^* f^*; LG-functor."""
    X, Z, A, Y = (AffineSpace(name, 2, FIELD) for name in "XZAY")
    kappa, iota = (data.draw(parameterizations([X, Z, A, Y])) for _ in range(2))
    first = AffineMap(data.draw(points(AffineMaps(X, Z), kappa)))
    second = coordinatewise(data, Z, A)
    third = AffineMap(data.draw(points(AffineMaps(A, Y), iota)))
    x: Point = data.draw(points(X, iota, (2,)))
    v = data.draw(vectors(X.direction, kappa, (2,)))
    u = data.draw(vectors(Y.direction.dual, kappa, (2,)))
    left, right = (third @ second) @ first, third @ (second @ first)
    z = first(x)
    a = second(z)
    assert isinstance(left, Composition)
    assert left(x) == right(x) == third(a)
    step = second.pushforward(z, first.pushforward(x, v))
    assert left.pushforward(x, v) == right.pushforward(x, v) == third.pushforward(a, step)
    back = first.pullback(x, second.pullback(z, third.pullback(a, u)))
    assert left.pullback(x, u) == right.pullback(x, u) == back


@given(data=st.data())
def test_the_derivative_of_a_linear_map_is_the_map_and_its_pullback_the_transpose(data: st.DataObject) -> None:
    V, W = VectorSpace("V", 2, FIELD), VectorSpace("W", 3, FIELD)
    kappa, iota = (data.draw(parameterizations([V, W])) for _ in range(2))
    L, v = data.draw(elements(Hom(V, W), kappa)), data.draw(elements(V, iota))
    phi = data.draw(elements(W.dual, iota))
    assert LinearMap(L).pushforward(v, v) == L(v) == LinearMap(L)(v)
    pulled = LinearMap(L).pullback(v, phi)
    assert NS.equal(pulled.coordinates(kappa), L.coordinates(kappa).mT @ phi.coordinates(kappa))


def square(kind: Kind = floating, dim: int = 2) -> tuple[SmoothMap, Any]:
    from geomkfac.maps import polynomial

    Z, A, ns = AffineSpace("Z", dim, kind), AffineSpace("A", dim, kind), kind.default_namespace
    zeta = Z.frame("zeta")
    rho = CoordinatewiseMap(zeta, A.frame("alpha"), polynomial(0, 1, 1, 1))
    return rho, Z.from_coordinates(integer_array(ns, [1, 2]), zeta)


MUTANTS: dict[str, tuple[str, Any]] = {
    "derivative twice as long": ("_push", lambda self, v, right: right(self, v * 2)),
    "derivative left out": ("_push", lambda self, v, right: right(self, v) * 0),
    "pullback with the wrong sign": ("_pull", lambda self, u, right: -right(self, u)),
    "pullback off by one part in a million": ("_pull", lambda self, u, right: right(self, u) * 1000001 / 1000000),
}


@kind_parameter
@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS.keys())
def test_the_conformance_check_refuses_a_wrong_derivative(
    mutant: tuple[str, Any], kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, mutated = mutant
    right = getattr(room.DiagonalDerivative, method)
    monkeypatch.setattr(room.DiagonalDerivative, method, lambda self, x: mutated(self, x, right))
    rho, z = square(kind)
    with pytest.raises(LawViolatedError):
        check_smooth_map(rho, z, np.random.default_rng(0), degree=CUBIC)


def test_the_conformance_check_refuses_a_pair_of_derivatives_that_agree_and_are_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Adjointness holds, so only the difference quotient can tell."""
    for method in ("_push", "_pull"):
        right = getattr(room.DiagonalDerivative, method)
        monkeypatch.setattr(room.DiagonalDerivative, method, lambda self, x, right=right: right(self, x) * 1001 / 1000)
    for kind, degree in ((FIELD, CUBIC), (floating, CUBIC), (floating, None)):
        rho, z = square(kind)
        with pytest.raises(LawViolatedError, match="derivative along a line"):
            check_smooth_map(rho, z, np.random.default_rng(0), degree=degree)


def test_the_conformance_check_refuses_a_map_that_feels_where_its_argument_is_stored() -> None:
    class Leaky(SmoothMap):
        def __init__(self, space: AffineSpace, frame: Any) -> None:
            self.domain = self.codomain = space
            self.frame = frame

        def _linearize(self, point: Any) -> Any:
            _, derivative = CoordinatewiseMap(self.frame, self.frame, "identity").linearize(point)
            return point.space.from_components(self.frame, point._components, point.namespace), derivative

    A = AffineSpace("A", 2, FIELD)
    iota = A.frame("iota")
    with pytest.raises(LawViolatedError, match="feel"):
        check_smooth_map(Leaky(A, iota), A.from_coordinates(NS.ones((2,)), iota), np.random.default_rng(0))


def test_maps_that_do_not_fit_cannot_be_composed() -> None:
    rho, z = square()
    with pytest.raises(SpaceMismatchError, match=r"outer: CoordinatewiseMap(.|\n)*inner: CoordinatewiseMap"):
        rho @ rho
    with pytest.raises(SpaceMismatchError, match="composes smooth maps, not Point"):
        rho @ z
    with pytest.raises(SpaceMismatchError, match="made of an element of Hom"):
        LinearMap(z)


@kind_parameter
def test_a_change_of_basis_is_the_coordinate_form_of_an_identity_map(kind: Kind) -> None:
    """The same points, read in two frames: (B c) as an affine map in one frame is another map."""
    A, ns = AffineSpace("A", 2, kind), kind.default_namespace
    B, c = integer_array(ns, [[1, 1], [0, 1]]), integer_array(ns, [1, 2])
    iota = A.frame("iota")
    kappa = iota.change(B, c)
    maps = AffineMaps(A, A)
    moved = ns.concat([B, ns.reshape(c, (2, 1))], axis=1)
    identity = maps.from_coordinates(moved, maps.frame(iota, kappa))
    p = A.from_coordinates(integer_array(ns, [3, 4]), iota)
    assert ns.equal(identity(p).coordinates(iota), p.coordinates(iota))
    assert ns.equal(identity.coordinates(maps.frame(kappa, kappa))[:, :-1], ns.eye(2))


@given(changes_of_basis(3, FIELD))
def test_the_dual_of_the_pushforward_of_a_change_is_its_pullback(change: tuple[Any, Any]) -> None:
    A = AffineSpace("A", 3, FIELD)
    iota = A.frame("iota")
    maps = AffineMaps(A, A)
    w = maps.from_coordinates(NS.concat([change[0], change[1][:, None]], axis=1), maps.frame(iota, iota))
    p = A.from_coordinates(NS.ones((3,)), iota)
    phi = A.direction.dual.from_coordinates(NS.ones((3,)), iota.dual)
    assert NS.equal(AffineMap(w).pullback(p, phi).coordinates(iota.dual), change[0].mT @ NS.ones((3,)))
