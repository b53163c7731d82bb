"""One of every sort of public object, small, and what else might come in its place."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import geomkfac as gk
from geomkfac.maps import polynomial, tanh
from geomkfac.operators import DiagonalInKroneckerBasis, DualBases
from geomkfac.spaces import swap, tensor_as_hom


def squares(z: Any) -> tuple[Any, Any]:
    """A metric of a user's own, which pickle can name."""
    return np.ones((1, *z.shape[:-1])), z[None]


def batches() -> list[Any]:
    """Data of a user's own, which pickle can name."""
    return [(np.ones((2, 3)), np.array([0, 1]))]


@cache
def public_objects() -> dict[str, Any]:
    """Objects by names of their own."""
    rng = np.random.default_rng(0)
    A, Z, V = gk.AffineSpace("A", 3), gk.AffineSpace("Z", 2), gk.VectorSpace("V", 3)
    i, z, e = A.frame("i"), Z.frame("z"), V.frame("e")
    field = gk.GF(2**31 - 1)
    P = gk.AffineSpace("P", 2, field)
    exact = P.frame("p")
    Ws = [rng.standard_normal((4, 3)), rng.standard_normal((2, 4))]
    net, weights, iota = gk.MLP.from_arrays(Ws, [rng.standard_normal(4), rng.standard_normal(2)])
    X, y = rng.standard_normal((6, 3)), np.array([0, 1, 0, 1, 1, 0])
    sample, loss = iota.sample(X, y), gk.Categorical().on(iota)
    g, dh = net.kfac_metric(weights, sample, loss), net.differential(weights, sample, loss)
    maps, hom = gk.AffineMaps(A, Z), gk.Hom(V, V)
    w = maps.from_coordinates(rng.standard_normal((2, 4)), maps.frame(i, z))
    p, v = A.from_coordinates(X, i), V.from_coordinates(X, e)
    phi = V.dual.from_coordinates(X[1], e.dual)
    matrix = g.coordinates(iota)
    conv, _ = gk.ConvolutionalNetwork.from_shape((4, 4), 1, "convolution(2, 3) tanh dense(2)")
    recurrent, _ = gk.RecurrentNetwork.from_widths(2, 3, 2, 4)
    orthonormal = np.linalg.qr(rng.standard_normal((2, 2)))[0]
    bases = DualBases(orthonormal, orthonormal)
    return {
        "affine space": A, "vector space": V, "dual": V.dual, "hull": gk.Hull(A), "hom": hom, "maps": maps,
        "tensor product": gk.TensorProduct(V, V.dual), "product": gk.ProductSpace(A, Z), "power": gk.PowerSpace(A, 2),
        "exact space": P, "kind": field, "floating": gk.floating,
        "frame": i, "vector frame": e, "output frame": z, "exact frame": exact,
        "derived frame": maps.frame(i, z),
        "dense frame": i.dense_change(np.eye(3)), "parameterization": iota, "euclidean": iota.euclidean,
        "points": p, "point": p[0], "vectors": v, "vector": v[0], "covector": phi, "tensor": gk.tensor(v[0], phi),
        "affine map": w, "linear map": w.linear, "endomorphism": hom.identity(), "hull vector": gk.Hull(A).of_point(p),
        "network": net, "convolutional": conv, "recurrent": recurrent, "weights": weights, "differential": dh,
        "sample": sample, "streamed": iota.sample(batches), "listed": iota.sample([(X, y)]),
        "chunk": next(sample.chunks()), "piece": next(sample.pieces(4)),
        "stored": sample.expressed_in(iota.random(rng)),
        "loss": loss, "family": gk.Categorical(), "gaussian": gk.Gaussian(np.eye(2)), "fisher": loss.metric,
        "side by side": gk.SideBySide(gk.Categorical(), gk.Gaussian(), dimensions=(2, 1)),
        "generic family": gk.GenericFamily(exact, np.random.default_rng(1), 2),
        "moments": net.moments(weights, sample, loss), "kfac": g, "kronecker": g.parts[0],
        "factor": g.kronecker_factors()[0][0], "dense tensor": g.kronecker_factors()[1][1].dense(),
        "exact fisher": net.fisher_metric(weights, sample, loss), "radical": g.radical,
        "coset": g.sharp_coset(dh), "step": g.minimal_solution(dh, norm=iota.euclidean),
        "euclidean metric": gk.EuclideanMetric(z), "covector metric": gk.CovectorMetric(i, squares),
        "pullback": gk.PullbackMetric(gk.AffineMap(w), gk.EuclideanMetric(z)),
        "expected": gk.ExpectedMetric(gk.PullbackMetric(gk.AffineMap(w), gk.EuclideanMetric(z))),
        "independence": gk.IndependenceMetric(p, gk.EuclideanMetric(z)),
        "additive": gk.AdditiveMetric(gk.EuclideanMetric(i), gk.EuclideanMetric(z)),
        "smooth affine": gk.AffineMap(w), "smooth linear": gk.LinearMap(w.linear), "evaluation": maps.evaluation(p[0]),
        "coordinatewise": net.activations[0],
        "composition": net.activations[0] @ gk.AffineMap(weights.space.split(weights)[0]),
        "generic map": gk.GenericMap(exact, exact, np.random.default_rng(1)),
        "derivative": gk.AffineMap(w).linearize(p[0])[1],
        "hom iso": tensor_as_hom(V, V), "swap": swap(V, V.dual),
        "block diagonal": matrix, "kronecker product": matrix.blocks[0], "dense matrix": gk.DenseMatrix(np.eye(3)),
        "damped": matrix.damped_by_identity(0.1), "inverse": matrix.damped_by_identity(0.1, "factored").inverse(),
        "diagonal": DiagonalInKroneckerBasis(bases, bases, np.ones((2, 2))), "bases": bases,
        "tanh": tanh, "polynomial": polynomial(0, 1), "convolution": gk.Convolution(2, 3), "dense": gk.Dense(2),
    }  # fmt: skip


class Unprintable:
    """What cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def anything(*arguments: Any, **named: Any) -> None:
    """A function that takes all, and gives nothing."""


def strange_values() -> list[Any]:
    """What is none of these: numbers, texts, arrays and containers, some of them very large."""
    rng = np.random.default_rng(1)
    return [
        None, True, False, 0, 1, -1, 3, 2**70, 10**400, 1.5, float("nan"), float("inf"), 1j,
        "", "tanh", "exact", "x" * 20_000, "\u00e9\0\x1b", b"x", (), [], {}, set(), slice(None), ..., object, object(),
        Unprintable(), anything, range(3), ["a"] * 10_000, (1, 2), [1, 2], [[1.0]], [[1, [2]]],
        [None] * 5, {"a": 1}, np.array(1.0), np.zeros((0, 3)), np.zeros(3, "f4"), np.array(["a"]), np.array([None]),
        np.full(3, np.nan), np.zeros((2,) * 16), rng.standard_normal((6, 3)), rng.standard_normal(3), np.arange(6),
        [rng.standard_normal((4, 3)), rng.standard_normal((2, 4))], [np.zeros(4), np.zeros(2)],
    ]  # fmt: skip
