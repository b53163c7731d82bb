"""Metrics as fields: each is, at every point, the matrix that its name says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import geomkfac as gk
from geomkfac.arrays import GF
from geomkfac.maps import polynomial
from geomkfac.testing import integer_array

FIELD = GF(2**31 - 1)
NS = FIELD.default_namespace
RNG = np.random.default_rng(0)


def drawn(*shape: int) -> Any:
    return integer_array(NS, RNG.integers(-3, 4, shape))


A, Z = gk.AffineSpace("A", 2, FIELD), gk.AffineSpace("Z", 2, FIELD)
IOTA = gk.Parameterization([A.frame("a"), Z.frame("z")])
B, X, W, SHARES = integer_array(NS, [[1, 2], [1, 3]]), drawn(4, 2), drawn(2, 3), integer_array(NS, [1, 3, 2, 1])
KAPPA = IOTA.change({A: (B, drawn(2)), Z: (B, drawn(2))})
G = integer_array(NS, [[2, 1], [1, 3]])
POINTS: Any = A.from_coordinates(X, IOTA)
LAYERS = gk.AffineMaps(A, Z)
OMEGA: Any = LAYERS.from_coordinates(W, IOTA)
HOMOGENEOUS = NS.concat([X, NS.ones((4, 1))], axis=1)
IMAGES = HOMOGENEOUS @ W.mT
CONSTANT = gk.ConstantMetric(Z, gk.DenseTensor.from_coordinates(G, IOTA[Z].linear))


def covectors(z: Any) -> tuple[Any, Any]:
    """Weights 2 and 5; the covectors z and (z_1^2, 1) of a point z."""
    second = NS.stack([z[..., 0] * z[..., 0], NS.ones(z.shape[:-1])], axis=-1)
    return NS.stack([NS.ones(z.shape[:-1]) * weight for weight in (2, 5)]), NS.stack([z, second])


def form_of(z: Any) -> Any:
    """The matrix of these, at one z."""
    weights, rows = covectors(z)
    return rows.mT @ (rows * weights[:, None])


def mean(matrices: list[Any], shares: Any = SHARES) -> Any:
    total = sum((matrix * shares[n] for n, matrix in enumerate(matrices)), 0 * matrices[0])
    return total / NS.sum(shares)


def evaluated() -> Any:
    """On affine maps: the images of all data, each with the constant metric."""
    return gk.PullbackMetric(LAYERS.evaluation(POINTS), CONSTANT)


def of_evaluation(n: int) -> Any:
    """``[a; 1] [a; 1]^T (x) G``, stacking the columns of (W b)."""
    row = HOMOGENEOUS[n : n + 1, :]
    return NS.kron(row.mT @ row, G)


def squares() -> Any:
    """The map z -> z + z^2, coordinate by coordinate in iota, from Z to A."""
    return gk.CoordinatewiseMap(IOTA[Z], IOTA[A], polynomial(0, 1, 1))


def of_squares(z: Any) -> Any:
    slope = 1 + 2 * z
    return slope[:, None] * form_of(z + z * z) * slope[None, :]


MEAN_SQUARE = mean([HOMOGENEOUS[n : n + 1, :].mT @ HOMOGENEOUS[n : n + 1, :] for n in range(4)])
PLACED = gk.Gaussian(G).on(IOTA[Z])

METRICS: dict[str, tuple[Any, Any, Any]] = {
    "EuclideanMetric": (gk.EuclideanMetric(IOTA[Z]), Z.from_coordinates(IMAGES[0], KAPPA), NS.eye(2)),
    "ConstantMetric": (CONSTANT, Z.from_coordinates(IMAGES[0], KAPPA), G),
    "CovectorMetric": (
        gk.CovectorMetric(IOTA[Z], covectors), Z.from_coordinates(IMAGES[0], IOTA), form_of(IMAGES[0])
    ),
    "FisherMetric": (gk.FisherMetric(PLACED), Z.from_coordinates(IMAGES[:1, :], IOTA), NS.inverse(G)[None, ...]),
    "PullbackMetric": (
        gk.PullbackMetric(squares(), gk.CovectorMetric(IOTA[A], covectors)), Z.from_coordinates(IMAGES[1], IOTA),
        of_squares(IMAGES[1]),
    ),
    "ExpectedMetric": (
        gk.ExpectedMetric(evaluated(), SHARES), OMEGA, mean([of_evaluation(n) for n in range(4)])
    ),
    "IndependenceMetric": (
        gk.IndependenceMetric(POINTS, gk.CovectorMetric(IOTA[Z], covectors), SHARES), OMEGA,
        NS.kron(MEAN_SQUARE, mean([form_of(IMAGES[n]) for n in range(4)])),
    ),
    "AdditiveMetric": (
        gk.AdditiveMetric(CONSTANT, gk.EuclideanMetric(IOTA[A])),
        gk.ProductSpace(Z, A).join(Z.from_coordinates(IMAGES[0], IOTA), POINTS[0]),
        NS.concat([NS.concat([G, 0 * G], axis=1), NS.concat([0 * G, NS.eye(2)], axis=1)], axis=0),
    ),
}  # fmt: skip
"""Each with a point, and its matrix there in iota."""


def matrix_of(tensor: Any, frames: Any) -> Any:
    found = tensor.coordinates(frames)
    return found.dense() if hasattr(found, "dense") else found


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_what_its_name_says(name: str) -> None:
    metric, point, expected = METRICS[name]
    for stored in (point, point.expressed_in(KAPPA), point.expressed_in(IOTA)):
        assert NS.equal(matrix_of(metric.at(stored), IOTA), expected)


@pytest.mark.parametrize("name", METRICS)
def test_its_value_on_two_vectors_is_that_of_the_matrix(name: str) -> None:
    metric, point, expected = METRICS[name]
    tensor, direction = metric.at(point), point.space.direction
    slots = direction.slots
    u, v = (
        direction.from_coordinates(
            tuple(drawn(*part) for part in slots) if isinstance(slots[0], tuple) else drawn(*slots), IOTA
        )
        for _ in range(2)
    )
    # Stacking the columns of (W b), as matrices of metrics do.
    x, y = (_stacked(one.coordinates(IOTA)) for one in (u, v))
    matrix = expected if expected.ndim == 2 else expected[0, ...]
    value = tensor(u, v)
    assert NS.equal(value if not value.shape else value[0], NS.sum(x * (matrix @ y[:, None])[:, 0]))


def _stacked(x: Any) -> Any:
    if isinstance(x, tuple):
        return NS.concat([_stacked(part) for part in x], axis=0)
    return NS.reshape(x.mT, (-1,)) if x.ndim == 2 else x


def test_a_constant_metric_is_the_same_everywhere_and_a_euclidean_one_is_of_its_own_frame_alone() -> None:
    everywhere = CONSTANT.at(Z.from_coordinates(IMAGES, IOTA))
    assert NS.equal(everywhere.coordinates(IOTA), NS.stack([G] * 4))
    euclidean = gk.EuclideanMetric(KAPPA[Z]).at(Z.from_coordinates(IMAGES[0], IOTA))
    assert NS.equal(euclidean.coordinates(KAPPA), NS.eye(2))
    assert NS.equal(euclidean.coordinates(IOTA), B.mT @ B)


def test_every_metric_is_here() -> None:
    found = {one.__name__ for one in gk.Metric.__subclasses__() if one.__module__.startswith("geomkfac.")}
    assert found == set(METRICS)
