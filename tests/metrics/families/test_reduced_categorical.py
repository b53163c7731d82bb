"""The categorical family in C - 1 logits is the pullback of the full one by z -> (z, 0)."""

from __future__ import annotations

import numpy as np
import pytest

import geomkfac as gk
from geomkfac.arrays import Draws, namespace_of
from geomkfac.errors import ShapeError, ValuesError
from geomkfac.metrics import PullbackMetric

EPSILON = 2.0**-52
FAMILY, FULL = gk.ReducedCategorical(), gk.Categorical()


def outputs(m: int, count: int = 5) -> np.ndarray:
    return np.random.default_rng(m).normal(scale=3.0, size=(count, m))


@pytest.mark.parametrize("m", [1, 2, 4])
def test_it_is_the_pullback_by_the_affine_map_that_appends_a_zero(m: int) -> None:
    Z, full = gk.AffineSpace("Z", m), gk.AffineSpace("all", m + 1)
    zeta, frame = Z.frame("zeta"), full.frame("iota")
    maps = gk.AffineMaps(Z, full)
    matrix = np.vstack([np.eye(m, m + 1), np.zeros((1, m + 1))])
    append = gk.AffineMap(maps.from_coordinates(matrix, maps.frame(zeta, frame)))
    points = Z.from_coordinates(outputs(m), zeta)
    pulled = PullbackMetric(append, FULL.on(frame).metric).at(points).coordinates(zeta.linear)
    own = FAMILY.on(zeta).metric.at(points).coordinates(zeta.linear)
    # Products with zeros and ones, and sums of m + 1 terms of at most 1.
    assert np.max(np.abs(pulled - own)) <= 2 * (m + 1) * EPSILON
    labels = np.arange(5) % (m + 1)
    assert np.array_equal(FAMILY.on(zeta).loss(points, labels), FULL.on(frame).loss(append(points), labels))
    full_differential = FULL.on(frame).differential(append(points), labels).coordinates(frame.linear.dual)
    own_differential = FAMILY.on(zeta).differential(points, labels).coordinates(zeta.linear.dual)
    assert np.array_equal(own_differential, full_differential[:, :m])
    assert np.array_equal(FAMILY.on(zeta).predictions(points), FULL.on(frame).predictions(append(points)))
    matrix[-1, -1] = 1
    shifted = gk.AffineMap(maps.from_coordinates(matrix, maps.frame(zeta, frame)))
    assert not np.array_equal(FAMILY.on(zeta).loss(points, labels), FULL.on(frame).loss(shifted(points), labels))


@pytest.mark.parametrize("m", [1, 2, 4])
def test_its_fisher_metric_is_that_of_probabilities_and_nondegenerate(m: int) -> None:
    z = outputs(m)
    ns = namespace_of(z)
    weights, covectors = FAMILY.fisher_factor(ns, z)
    assert weights.shape == (m, 5)
    p = FAMILY.predictions(ns, z)
    assert p.shape == (5, m + 1)
    for n in range(5):
        matrix = np.einsum("k,ki,kj->ij", weights[:, n], covectors[:, n], covectors[:, n])
        exact = np.diag(p[n, :m]) - np.outer(p[n, :m], p[n, :m])
        assert np.max(np.abs(matrix - exact)) <= 8 * (m + 1) * EPSILON
        assert ns.rank(covectors[:, n]) == m
        # Its determinant is the product of all probabilities: the matrix determinant lemma.
        assert abs(np.linalg.det(exact) / np.prod(p[n]) - 1) <= 100 * m * EPSILON / np.min(p[n])
    assert np.all(weights > 0)
    assert FAMILY.radical(ns, m).shape == (0, m)
    assert FULL.radical(ns, m + 1).shape == (1, m + 1)


def test_one_logit_is_the_bernoulli_family_of_the_first_class() -> None:
    z = outputs(1)
    ns = namespace_of(z)
    labels = np.asarray([0, 1, 0, 1, 1])
    yes = (1.0 - labels)[:, None]
    # log(1 + exp(z)) in two ways, from terms of at most |z| + 1.
    bound = 16 * EPSILON * (1 + np.max(np.abs(z)))
    assert np.max(np.abs(FAMILY.loss(ns, z, labels) - gk.Bernoulli().loss(ns, z, yes))) <= bound
    assert np.max(np.abs(FAMILY.loss(ns, z, labels) - gk.Bernoulli().loss(ns, z, 1 - yes))) > 1.0
    one, two = FAMILY.fisher_factor(ns, z), gk.Bernoulli().fisher_factor(ns, z)
    assert np.max(np.abs(one[0] * one[1][..., 0] ** 2 - two[0])) <= bound


def test_it_draws_the_labels_that_the_full_family_draws() -> None:
    z = outputs(3)
    ns = namespace_of(z)
    full = FULL.sampled_factor(ns, np.concatenate([z, np.zeros((5, 1))], axis=1), Draws(1), 7, 4)
    own = FAMILY.sampled_factor(ns, z, Draws(1), 7, 4)
    assert np.array_equal(own[0], full[0])
    assert np.array_equal(own[1], full[1][..., :-1])


def test_extreme_logits_give_finite_numbers_without_warnings() -> None:
    z = np.asarray([[1e4, -1e4], [-1e4, -1e4], [0.0, 700.0]])
    ns = namespace_of(z)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        results = [FAMILY.loss(ns, z, np.asarray([2, 2, 0])), *FAMILY.fisher_factor(ns, z)]
    assert all(np.all(np.isfinite(result)) for result in results)
    assert results[0].tolist() == [1e4, 0.0, 700.0]


def test_targets_have_one_class_more_than_there_are_logits() -> None:
    ns = namespace_of(np.zeros(1))
    assert FAMILY.check_targets(ns, np.asarray([0, 3]), 3).tolist() == [0, 3]
    with pytest.raises(ValuesError, match=r"label 4 at index 1(.|\n)*0, \.\.\., 3"):
        FAMILY.check_targets(ns, np.asarray([0, 4]), 3)
    assert FAMILY.check_targets(ns, np.full((2, 4), 0.25), 3).shape == (2, 4)
    with pytest.raises(ShapeError, match=r"\(N, 4\)"):
        FAMILY.check_targets(ns, np.full((2, 3), 1 / 3), 3)
    with pytest.raises(ShapeError, match="needs outputs"):
        FAMILY.check_dimension(0)
    FAMILY.check_dimension(1)
