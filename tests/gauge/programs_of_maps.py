"""Gauge programs: maps."""

from __future__ import annotations

from typing import Any

import numpy as np

import geomkfac as gk
from geomkfac import maps
from geomkfac.arrays.namespace import Kind

from .programs_of_spaces import plane
from .registry import numbers, program


def layer(kind: Kind) -> tuple[Any, Any, Any]:
    """A map from dimension 2 to dimension 3, and both frames."""
    (A, iota), (Z, zeta) = plane(kind), plane(kind, "Z", 3)
    space = gk.AffineMaps(A, Z)
    return space.from_coordinates(numbers(kind, 3, 3), space.frame(iota, zeta)), iota, zeta


@program("AffineMaps", "AffineMap", "SmoothMap", "Derivative", rounds_nothing=False, slots=2)
def affine_maps(kind: Kind) -> Any:
    w, iota, zeta = layer(kind)
    a = iota.space.from_coordinates(numbers(kind, 4, 2), iota)
    u = zeta.space.direction.dual.from_coordinates(numbers(kind, 3), zeta.linear.dual)
    smooth = gk.AffineMap(w)
    pulled = smooth.pullback(a[0], u)
    pushed = smooth.pushforward(a[0], a[1] - a[0])
    lifted = w.space.lift(w)(gk.Hull(iota.space).of_point(a[0]))
    return (
        w(a).coordinates(zeta),
        pulled.coordinates(iota.linear.dual),
        pushed.coordinates(zeta.linear),
        lifted.coordinates(zeta.hull),
    )


@program("Evaluation", rounds_nothing=False, slots=2)
def evaluation(kind: Kind) -> Any:
    w, iota, zeta = layer(kind)
    a = iota.space.from_coordinates(numbers(kind, 4, 2), iota)
    u = zeta.space.direction.dual.from_coordinates(numbers(kind, 4, 3), zeta.linear.dual)
    value, derivative = w.space.evaluation(a).linearize(w)
    frame = w.space.frame(iota, zeta).linear.dual
    return value.coordinates(zeta), derivative.pullback(u).coordinates(frame)


@program("LinearMap", "HomDerivative", slots=2)
def linear_maps_as_maps(kind: Kind) -> Any:
    U, V = gk.VectorSpace("U", 2, kind), gk.VectorSpace("V", 3, kind)
    e, f = U.frame("e"), V.frame("f")
    hom = gk.Hom(U, V)
    smooth = gk.LinearMap(hom.from_coordinates(numbers(kind, 3, 2), hom.frame(e, f)))
    u, psi = U.from_coordinates(numbers(kind, 2), e), V.dual.from_coordinates(numbers(kind, 3), f.dual)
    value, derivative = smooth.linearize(u)
    return value.coordinates(f), derivative.pullback(psi).coordinates(e.dual)


@program(
    "CoordinatewiseMap", "Composition", "Activation", "activation", "ACTIVATIONS", "polynomial", "Polynomial",
    "identity", "Identity", rounds_nothing=False, slots=2,
)
def activations(kind: Kind) -> Any:
    w, iota, zeta = layer(kind)
    B, beta = plane(kind, "B", 3)
    rho = gk.CoordinatewiseMap(zeta, beta, maps.polynomial(1, 0, 1))
    same = gk.CoordinatewiseMap(zeta, beta, "identity")
    a = iota.space.from_coordinates(numbers(kind, 4, 2), iota)
    u = B.direction.dual.from_coordinates(numbers(kind, 3), beta.linear.dual)
    composed = rho @ gk.AffineMap(w)
    value, derivative = composed.linearize(a)
    return value.coordinates(beta), derivative.pullback(u).coordinates(iota.linear.dual), same(w(a)).coordinates(beta)


NAMED = [phi for phi in maps.ACTIVATIONS.values() if phi is not maps.identity]


@program(
    *(name for phi in NAMED for name in (phi.name, type(phi).__name__)), exact=False, rounds_nothing=False
)
def smooth_activations(kind: Kind) -> Any:
    (Z, zeta), (B, beta) = plane(kind, "Z", 3), plane(kind, "B", 3)
    points = Z.from_coordinates(numbers(kind, 4, 3) + 0.5, zeta)
    u = B.direction.dual.from_coordinates(numbers(kind, 3), beta.linear.dual)
    results = []
    for phi in (*NAMED, maps.leaky_relu(0.2), maps.elu(2)):
        value, derivative = gk.CoordinatewiseMap(zeta, beta, phi).linearize(points)
        results += [value.coordinates(beta), derivative.pullback(u).coordinates(zeta.linear.dual)]
    return tuple(results)


@program("GenericMap", floats=False)
def generic_maps(kind: Kind) -> Any:
    (Z, zeta), (B, beta) = plane(kind, "Z"), plane(kind, "B")
    results = []
    for coordinatewise in (True, False):
        rho = gk.GenericMap(zeta, beta, np.random.default_rng(1), coordinatewise=coordinatewise)
        points = Z.from_coordinates(numbers(kind, 4, 2), zeta)
        u = B.direction.dual.from_coordinates(numbers(kind, 2), beta.linear.dual)
        results += [rho(points).coordinates(beta), rho.linearize(points)[1].pullback(u).coordinates(zeta.linear.dual)]
    return tuple(results)
