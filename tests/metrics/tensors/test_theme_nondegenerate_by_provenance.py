"""What is damped by an inner product is nondegenerate: no rank is decided, and rounding is still seen."""

from __future__ import annotations

import numpy as np
import pytest

import geomkfac as gk
from geomkfac.errors import ConditioningError
from geomkfac.metrics.tensors import degenerate, dense


def degenerate_metric(dtype="float64"):
    """A K-FAC metric whose first factor has rank 3 of 6, and whose second has the constants as radical."""
    rng = np.random.default_rng(0)
    net, weights, iota = gk.MLP.from_arrays(
        [rng.standard_normal((4, 5)).astype(dtype)], [np.zeros(4, dtype)], activation="tanh"
    )
    sample = iota.sample(rng.standard_normal((3, 5)).astype(dtype), np.array([0, 1, 3]))
    loss = gk.Categorical().on(iota)
    return net.kfac_metric(weights, sample, loss), net.differential(weights, sample, loss), iota


def test_a_factored_damped_metric_is_solved_without_deciding_a_rank(monkeypatch):
    metric, dh, iota = degenerate_metric()

    def refuse(*arguments):
        raise AssertionError("a rank was decided")

    monkeypatch.setattr(dense, "null_space", refuse)
    damped = metric.damped(iota.euclidean, 1e-2, "factored")
    step = damped.sharp(dh)
    assert damped.nullity == 0
    A, G = damped.coordinates(iota).blocks[0].factors
    expected = np.linalg.solve(G, np.linalg.solve(A, dh.coordinates(iota)[0].T).T)
    # Both solve by elimination: rounding grows with the condition numbers and the sizes.
    bound = np.finfo(float).eps * (np.linalg.cond(A) * 6 + np.linalg.cond(G) * 4)
    gap = np.linalg.norm(step.coordinates(iota)[0] - expected)
    assert gap <= bound * np.linalg.norm(expected)


def test_the_factorisation_is_kept(monkeypatch):
    metric, dh, iota = degenerate_metric()
    damped = metric.damped(iota.euclidean, 1e-2, "factored")
    calls = []
    original = degenerate.positive_factor
    monkeypatch.setattr(dense, "positive_factor", lambda *xs: calls.append(1) or original(*xs))
    first, *later = (damped.sharp(dh).coordinates(iota)[0] for _ in range(5))
    assert len(calls) == 2  # A and G, once each
    A, G = damped.coordinates(iota).blocks[0].factors
    # The first by triangular solves, the next by inverses: one bound for both, of each factor.
    bound = 2 * np.finfo(float).eps * (np.linalg.cond(A) * len(A) + np.linalg.cond(G) * len(G))
    for step in later:
        assert np.linalg.norm(step - first) <= bound * np.linalg.norm(first)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_damping_that_rounding_swallows_is_refused(dtype):
    metric, dh, iota = degenerate_metric(dtype)
    # sqrt(gamma) is far below epsilon, and the factors are singular.
    damped = metric.damped(iota.euclidean, float(np.finfo(dtype).eps) ** 4, "factored")
    with pytest.raises(ConditioningError, match="too close to a degenerate one"):
        damped.sharp(dh)
