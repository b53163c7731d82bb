"""Output families over exact kinds of scalars, and across precisions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import GF, Draws, namespace_of, rational
from geomkfac.errors import KindError
from geomkfac.metrics.families.bernoulli import Bernoulli
from geomkfac.metrics.families.categorical import Categorical
from geomkfac.metrics.families.gaussian import Gaussian

COVARIANCE = np.asarray([[2.0, 1.0, 0.0], [1.0, 3.0, -1.0], [0.0, -1.0, 1.0]])


@pytest.mark.parametrize("kind", [GF(1_073_741_827), rational], ids=repr)
@given(st.lists(st.lists(st.integers(-4, 4), min_size=3, max_size=3), min_size=3, max_size=3))
def test_a_gaussian_is_exact_over_exact_kinds(kind: Any, rows: list[list[int]]) -> None:
    ns = kind.default_namespace
    square = ns.asarray(rows)
    covariance = square @ square.mT + ns.eye(3)
    gaussian = Gaussian(covariance)
    z, y = ns.asarray([[1, 2, 3], [0, 5, 1]]), ns.asarray([[3, 1, 1], [2, 2, 2]])
    inverse = ns.inverse(covariance)
    assert ns.equal(gaussian.loss_gradient(ns, z, y), (z - y) @ inverse)
    weights, covectors = gaussian.fisher_factor(ns, z)
    assert weights.shape == (3, 2)
    for n in range(2):
        assert ns.equal(covectors[:, n].mT @ (weights[:, n][:, None] * covectors[:, n]), inverse)
    assert ns.equal(Gaussian().loss_gradient(ns, z, y), z - y)
    assert ns.equal(gaussian.predictions(ns, z), z)
    assert gaussian.radical(ns, 3).shape == (0, 3)


def test_what_needs_order_is_refused_over_exact_kinds() -> None:
    ns = rational.default_namespace
    z = ns.asarray([[Fraction(1, 2), 1]])
    calls = [
        lambda: Categorical().loss(ns, z, np.asarray([0])),
        lambda: Categorical().loss_gradient(ns, z, np.asarray([0])),
        lambda: Categorical().fisher_factor(ns, z),
        lambda: Categorical().sampled_factor(ns, z, Draws(0), 0, 1),
        lambda: Bernoulli().loss(ns, z, z),
        lambda: Bernoulli().loss_gradient(ns, z, z),
        lambda: Bernoulli().fisher_factor(ns, z),
        lambda: Bernoulli().sampled_factor(ns, z, Draws(0), 0, 1),
        lambda: Gaussian().loss(ns, z, z),
        lambda: Gaussian().sampled_factor(ns, z, Draws(0), 0, 1),
    ]
    for call in calls:
        with pytest.raises(KindError, match="ordered kind"):
            call()


def test_a_float64_covariance_serves_float32_outputs() -> None:
    z = np.zeros((2, 3), dtype=np.float32)
    weights, covectors = Gaussian(COVARIANCE).fisher_factor(namespace_of(z), z)
    assert weights.dtype == covectors.dtype == np.float32
    inverse = np.linalg.inv(COVARIANCE)
    bound = 8 * np.linalg.norm(inverse, 2) * np.finfo(np.float32).eps
    assert np.max(np.abs(covectors[:, 1].T @ (weights[:, 1, None] * covectors[:, 1]) - inverse)) <= bound
