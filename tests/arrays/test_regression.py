"""Measured exponents: exact on powers, honest about noise, and refused where there is nothing to measure."""

from __future__ import annotations

import numpy as np
import pytest

from geomkfac.arrays import fitted_exponent
from geomkfac.errors import ValuesError

H = [2.0**-k for k in range(2, 8)]


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0, 3.0])
def test_powers_are_measured_exactly_whatever_their_constants(exponent):
    runs = [(H, [c * h**exponent for h in H]) for c in (1e-3, 1.0, 50.0)]
    measured = fitted_exponent(runs)
    assert measured.value == pytest.approx(exponent, abs=1e-12)
    assert measured.low <= measured.value <= measured.high
    assert measured.high - measured.low < 1e-10


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        gaps = [h**2 * np.exp(0.1 * rng.standard_normal()) for h in H]
        measured = fitted_exponent([(H, gaps)])
        covered += measured.low <= 2.0 <= measured.high
    # 99 % of 400 is 396; fewer than 388 has probability below 1e-3.
    assert covered >= 388


def test_curvature_widens_the_interval():
    straight, curved = (fitted_exponent([(H, [h + c * h**2 for h in H])]) for c in (0.0, 5.0))
    assert curved.high - curved.low > 100 * (straight.high - straight.low)


@pytest.mark.parametrize("gaps", [[0.0] * 6, [-1.0] * 6, [float("nan")] * 6, [float("inf")] * 6])
def test_numbers_that_have_no_logarithm_are_refused(gaps):
    with pytest.raises(ValuesError, match="above 0"):
        fitted_exponent([(H, gaps)])


def test_too_few_points_are_refused():
    with pytest.raises(ValuesError, match="too few points"):
        fitted_exponent([(H[:2], H[:2])])
    with pytest.raises(ValuesError, match="too few points"):
        fitted_exponent([(H, H), (H[:1], H[:1])])
