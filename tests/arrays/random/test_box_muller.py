"""Normal numbers from random bits: in float64 by a table and addition theorems, against the formula."""

from __future__ import annotations

import numpy as np

from geomkfac.arrays.random.box_muller import box_muller


def test_normal_numbers_in_double_precision_are_those_of_the_formula() -> None:
    words = np.random.default_rng(3).integers(0, 2**64, (40, 25), dtype=np.uint64)
    numbers = np.empty((40, 49))
    box_muller(words, numbers)
    upper, lower = (words >> np.uint64(32)).astype(float), (words & np.uint64(2**32 - 1)).astype(float)
    radius, angle = np.sqrt(-2 * np.log((upper + 0.5) / 2**32)), 2 * np.pi * lower / 2**32
    expected = np.concatenate([radius * np.cos(angle), (radius * np.sin(angle))[:, :24]], axis=1)
    # An angle of up to 2 pi rounds by 4 epsilon; two products and a sum of sines and cosines by 3 epsilon;
    # the radius is below 7, and rounds by 2 epsilon of itself.
    bound = 7 * 9 * np.finfo(float).eps
    assert np.abs(numbers - expected).max() <= bound
    swapped = np.concatenate([expected[:, 25:], expected[:, :25]], axis=1)
    assert np.abs(numbers - swapped).max() > 1e6 * bound
