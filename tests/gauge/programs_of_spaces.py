"""Gauge programs: spaces, elements, tensors, samples, parameterizations."""

from __future__ import annotations

from typing import Any

import numpy as np

import geomkfac as gk
from geomkfac import spaces
from geomkfac.arrays.namespace import Kind

from .registry import numbers, program


def plane(kind: Kind, name: str = "A", dim: int = 2) -> tuple[Any, Any]:
    space = gk.AffineSpace(name, dim, kind)
    return space, space.frame("iota")


def unimodular(kind: Kind) -> Any:
    ns: Any = kind.default_namespace
    return ns.asarray([[1, 1], [0, 1]]) if kind.is_exact else np.asarray([[1.0, 1.0], [0.0, 1.0]])


@program(
    "AffineSpace", "Point", "Frame", "Space", "PointSpace", "Element", "BaseFrame", "Direction", "AffineSpace.frame",
    rounds_nothing=False,
)
def points_and_their_differences(kind: Kind) -> Any:
    A, iota = plane(kind)
    kappa = iota.change(unimodular(kind), numbers(kind, 2, seed=3))
    p, q = A.from_coordinates(numbers(kind, 3, 2), iota), A.from_coordinates(numbers(kind, 3, 2, seed=1), kappa)
    return (p - q).coordinates(iota.linear), (q + (p - q) * 2).coordinates(kappa), p[1:].coordinates(kappa)


@program("VectorSpace", "Vector", "Dual", "LinearSpace")
def vectors_and_covectors(kind: Kind) -> Any:
    V = gk.VectorSpace("V", 3, kind)
    e = V.frame("e")
    v = V.from_coordinates(numbers(kind, 2, 3), e)
    phi = V.dual.from_coordinates(numbers(kind, 2, 3, seed=1), e.dual)
    ns = kind.default_namespace
    return (v + v * 3).coordinates(e), phi(v), v.scaled(ns.asarray(numbers(kind, 2, seed=5))).sum().coordinates(e)


@program("affine_combination", rounds_nothing=False)
def a_barycentre(kind: Kind) -> Any:
    A, iota = plane(kind)
    p = A.from_coordinates(numbers(kind, 3, 2), iota)
    ns: Any = kind.default_namespace
    weights = ns.asarray([3, -1, -1]) if kind.is_exact else np.asarray([3.0, -1.0, -1.0])
    return gk.affine_combination(p, weights).coordinates(iota)


@program("Hull", rounds_nothing=False)
def the_hull(kind: Kind) -> Any:
    A, iota = plane(kind)
    hull = gk.Hull(A)
    p = A.from_coordinates(numbers(kind, 2), iota)
    u, w = hull.of_point(p), hull.of_vector(p - A.from_coordinates(numbers(kind, 2, seed=2), iota))
    return u.coordinates(iota.hull), w.coordinates(iota.hull), hull.weight(like=u)(u), hull.point_of(u + w).coordinates(
        iota
    )


@program("TensorProduct", "tensor", "contract", "swap", "CanonicalIsomorphism", slots=2)
def tensors(kind: Kind) -> Any:
    U, V = gk.VectorSpace("U", 2, kind), gk.VectorSpace("V", 3, kind)
    e, f = U.frame("e"), V.frame("f")
    u, v = U.from_coordinates(numbers(kind, 2), e), V.from_coordinates(numbers(kind, 3), f)
    t = gk.tensor(u, v)
    phi = V.dual.from_coordinates(numbers(kind, 3, seed=1), f.dual)
    frame = gk.TensorProduct(U, V).frame(e, f)
    swapped = spaces.swap(U, V)(t).coordinates(gk.TensorProduct(V, U).frame(f, e))
    return t.coordinates(frame), spaces.contract(t, phi, 1).coordinates(e), swapped


@program("Hom", "tensor_as_hom", "bilinear_as_map", "dual_of_tensor", slots=2)
def linear_maps(kind: Kind) -> Any:
    U, V = gk.VectorSpace("U", 2, kind), gk.VectorSpace("V", 3, kind)
    e, f = U.frame("e"), V.frame("f")
    hom = gk.Hom(U, V)
    L = hom.from_coordinates(numbers(kind, 3, 2), hom.frame(e, f))
    u, psi = U.from_coordinates(numbers(kind, 2), e), V.dual.from_coordinates(numbers(kind, 3, seed=1), f.dual)
    phi = U.dual.from_coordinates(numbers(kind, 2, seed=2), e.dual)
    rank_one = spaces.tensor_as_hom(U, V)(gk.tensor(phi, V.from_coordinates(numbers(kind, 3, seed=5), f)))
    form = spaces.bilinear_as_map(U)(gk.tensor(phi, phi))
    functional = spaces.dual_of_tensor(U, V)(gk.tensor(phi, psi))
    value = functional(gk.tensor(u, V.from_coordinates(numbers(kind, 3, seed=6), f)))
    return L(u).coordinates(f), hom.transpose_apply(L, psi).coordinates(e.dual), rank_one(u).coordinates(f), form(
        u
    ).coordinates(e.dual), value


@program("ProductSpace", "ProductVectorSpace", rounds_nothing=False)
def products(kind: Kind) -> Any:
    (A, iota), (B, kappa) = plane(kind), plane(kind, "B", 3)
    product = gk.ProductSpace(A, B)
    frame = product.frame(iota, kappa)
    p = product.from_coordinates((numbers(kind, 2), numbers(kind, 3)), frame)
    q = product.join(*product.split(p))
    v = product.direction.inject(q.space.project(q, 0) - A.from_coordinates(numbers(kind, 2, seed=8), iota), 0)
    return (q + v).coordinates(frame)


@program("DenseFrame", "DerivedFrame", rounds_nothing=False, slots=2, solves=10.0)
def dense_frames(kind: Kind) -> Any:
    U, V = gk.VectorSpace("U", 2, kind), gk.VectorSpace("V", 1, kind)
    hom = gk.Hom(U, V)
    over = hom.frame(U.frame("e"), V.frame("f"))
    dense = over.dense_change(unimodular(kind))
    L = hom.from_coordinates(numbers(kind, 4, 2), dense)
    return L.coordinates(over), L.expressed_in(over).coordinates(dense)


@program("Subspace", "Span", "AffineSubspace", rounds_nothing=False)
def subspaces(kind: Kind) -> Any:
    V = gk.VectorSpace("V", 3, kind)
    e = V.frame("e")
    v = V.from_coordinates(numbers(kind, 2, 3, seed=3), e)
    span = spaces.Span(v)
    coset = spaces.AffineSubspace(v[0], span)
    phi = V.dual.from_coordinates(numbers(kind, 3, seed=1), e.dual)
    return span.columns(e), span.restriction(phi), coset.direction.basis().coordinates(e)


@program("Sample", "Chunk", "Parameterization.sample", "Parameterization.frame_of", rounds_nothing=False)
def samples(kind: Kind) -> Any:
    A, iota = plane(kind)
    given = gk.Parameterization([iota], inputs=A)
    kappa = given.change({A: (unimodular(kind), numbers(kind, 2, seed=3))})
    data = given.sample(numbers(kind, 5, 2)).expressed_in(kappa)
    return tuple(chunk.points.coordinates(given.frame_of(A)) for chunk in data.chunks(2))


@program("Parameterization", "Parameterization.change", "Parameterization.random", rounds_nothing=False)
def parameterizations(kind: Kind) -> Any:
    (A, iota), (B, kappa) = plane(kind), plane(kind, "B")
    given = gk.Parameterization([iota, kappa])
    changed = given.change({A: (unimodular(kind), None)}).random(np.random.default_rng(0))
    p = gk.ProductSpace(A, B).from_coordinates((numbers(kind, 2), numbers(kind, 2, seed=1)), given)
    return p.coordinates(changed)
