"""Targets, dimensions and covariances that an output family must refuse, and those that it must not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import GF, namespace_of, rational
from geomkfac.errors import KindError, NotPositiveError, ShapeError, ValuesError
from geomkfac.metrics.families.bernoulli import Bernoulli
from geomkfac.metrics.families.categorical import Categorical
from geomkfac.metrics.families.gaussian import Gaussian
from geomkfac.metrics.families.output_family import OutputFamily

COVARIANCE = np.asarray([[2.0, 1.0, 0.0], [1.0, 3.0, -1.0], [0.0, -1.0, 1.0]])
EPSILON = float(np.finfo(float).eps)


def refuse(a_family: OutputFamily, targets: Any, m: int, error: type[Exception], message: str) -> None:
    ns = namespace_of(np.zeros(1))
    with pytest.raises(error, match=message):
        a_family.check_targets(ns, targets, m)


def test_a_label_out_of_range_is_named_with_its_index() -> None:
    refuse(Categorical(), np.asarray([0, 2, 3, 9]), 3, ValuesError, r"label 3 at index 2(.|\n)*0, \.\.\., 2")
    refuse(Categorical(), np.asarray([0, -1]), 3, ValuesError, "label -1 at index 1")
    refuse(Categorical(), np.asarray([255], dtype=np.uint8), 3, ValuesError, "label 255 at index 0")


@pytest.mark.parametrize(
    "labels",
    [
        np.asarray([0.0, 1.0]),
        np.asarray([True, False]),
        np.asarray([[1, 0, 0], [0, 1, 0]]),
        np.asarray([[True, False, False]]),
        [0, 1, 2],
        "012",
        None,
    ],
    ids=["floats", "bools", "integer one-hot", "bool one-hot", "list", "string", "None"],
)
def test_labels_that_are_no_integers_are_refused_with_what_to_do(labels: Any) -> None:
    refuse(Categorical(), labels, 3, KindError, r"numpy\.asarray\(y, dtype=int\)")


def test_rows_that_are_no_probabilities_are_refused() -> None:
    refuse(Categorical(), np.asarray([[0.5, 0.5], [0.5, 0.25]]), 2, ValuesError, r"0\.75 at index 1")
    refuse(Categorical(), np.asarray([[1.5, -0.5]]), 2, ValuesError, r"-0\.5 at index \(0, 1\)")
    refuse(Categorical(), np.asarray([[0.5, 0.5]]), 3, ShapeError, r"\(N, 3\)(.|\n)*\(1, 2\)")
    refuse(Categorical(), np.asarray([[0.5, 0.5]], dtype=np.float32), 2, KindError, "float32")
    refuse(Categorical(), np.asarray([[np.nan, 0.5]]), 2, ValuesError, "nan")
    refuse(Categorical(), np.asarray([[0.5, 0.5 + 1e-14]]), 2, ValuesError, "sum of probabilities")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(st.integers(2, 40), st.integers(0, 2**32 - 1))
def test_normalised_rows_are_accepted(dtype: Any, m: int, seed: int) -> None:
    rows = np.random.default_rng(seed).random((5, m)).astype(dtype)
    rows /= rows.sum(axis=1, keepdims=True)
    assert Categorical().check_targets(namespace_of(rows), rows, m) is rows


def test_bernoulli_targets_are_answers_or_probabilities() -> None:
    ns = namespace_of(np.zeros(1, dtype=np.float32))
    for targets in (
        np.asarray([[0, 1]]),
        np.asarray([[False, True]]),
        np.asarray([[0, 1]], dtype=np.float32),
    ):
        checked = Bernoulli().check_targets(ns, targets, 2)
        assert checked.dtype == np.float32
        assert checked.tolist() == [[0, 1]]
    assert Bernoulli().check_targets(ns, np.asarray([0, 1, 1]), 1).shape == (3, 1)
    refuse(Bernoulli(), np.asarray([[0, 2]]), 2, ValuesError, r"target 2\.0 at index \(0, 1\)")
    refuse(Bernoulli(), np.asarray([[-0.1, 1]]), 2, ValuesError, r"-0\.1")
    refuse(Bernoulli(), np.asarray([0.0, 1.0]), 2, ShapeError, r"\(N, 2\)")


def test_gaussian_targets_are_rows_of_the_outputs_kind() -> None:
    ns = namespace_of(np.zeros(1))
    assert Gaussian().check_targets(ns, np.asarray([1.0, 2.0]), 1).shape == (2, 1)
    refuse(Gaussian(), np.asarray([1.0, 2.0]), 2, ShapeError, r"\(N, 2\)")
    refuse(Gaussian(), np.asarray([[1, 2]]), 2, KindError, "int64")
    refuse(Gaussian(), np.asarray([[np.inf, 2]]), 2, ValuesError, "inf")


def test_dimensions_are_checked() -> None:
    with pytest.raises(ShapeError, match="two classes"):
        Categorical().check_dimension(1)
    with pytest.raises(ShapeError, match="dimension 1 or more"):
        Bernoulli().check_dimension(0)
    with pytest.raises(ShapeError, match=r"required: shape \(2, 2\)"):
        Gaussian(COVARIANCE).check_dimension(2)
    Categorical().check_dimension(2)
    Bernoulli().check_dimension(1)
    Gaussian().check_dimension(7)
    Gaussian(COVARIANCE).check_dimension(3)


@pytest.mark.parametrize(
    ("covariance", "error"),
    [
        (np.ones((2, 3)), ShapeError),
        (np.ones(2), ShapeError),
        (np.zeros((0, 0)), ShapeError),
        (np.asarray([[1.0, 0.5], [0.4, 1.0]]), NotPositiveError),
        (np.asarray([[1.0, 2.0], [2.0, 1.0]]), NotPositiveError),
        (np.zeros((2, 2)), NotPositiveError),
        (np.asarray([[1.0, np.nan], [np.nan, 1.0]]), ValuesError),
        (np.eye(2, dtype=int), KindError),
        (GF(1_073_741_827).default_namespace.asarray([[0, 1], [1, 0]]), NotPositiveError),
        (rational.default_namespace.asarray([[1, 2], [3, 1]]), NotPositiveError),
    ],
)
def test_what_is_no_covariance_is_refused(covariance: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Gaussian(covariance)


def test_a_covariance_is_copied_and_symmetric_to_the_last_bit() -> None:
    given_one = COVARIANCE.copy()
    given_one[0, 1] *= 1 + EPSILON
    gaussian = Gaussian(given_one)
    given_one[:] = 0
    assert np.array_equal(gaussian.covariance, gaussian.covariance.T)
    assert np.max(np.abs(gaussian.covariance - COVARIANCE)) <= EPSILON
