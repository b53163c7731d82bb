"""Elementary functions that are written here, as NumPy's are slow in float64: against mpmath."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from geomkfac.arrays import namespace_of
from geomkfac.arrays.floats.numpy_tanh import tanh
from geomkfac.arrays.random.box_muller import box_muller

UNITS = 4
"""The table, the series, and four further roundings of half a unit: see the module's first lines."""


def units_off(values: np.ndarray, points: np.ndarray) -> float:
    """The largest error in units of the last place."""
    with mpmath.workdps(60):
        exact = [mpmath.tanh(mpmath.mpf(float(point))) for point in points]
        pairs = zip(values.tolist(), exact, strict=True)
        return max(float(abs(mpmath.mpf(v) - e) / mpmath.mpf(float(np.spacing(abs(float(e)))))) for v, e in pairs)


def points() -> np.ndarray:
    """Enough of them that the table is used, at every size, near multiples of 1/512 and in both tails."""
    rng = np.random.default_rng(0)
    halves = np.arange(-600, 601) / 512
    return np.concatenate(
        [
            rng.standard_normal(3000),
            rng.uniform(-21, 21, 1000),
            rng.standard_normal(500) * 10.0 ** rng.uniform(-300, 10, 500),
            halves,
            np.nextafter(halves, np.inf),
            np.asarray([0.0, 19.06, -19.06, 2.0**39, -(2.0**39)]),
        ]
    )


def test_the_table_of_tanh_gives_every_number_to_four_units() -> None:
    x = points()
    assert units_off(tanh(x), x) <= UNITS


def test_four_units_refute_a_series_that_stops_early() -> None:
    x = points()
    center = np.rint(x * 256) / 256
    rest = np.where(np.abs(x) < 1e9, x - center, 0.0)
    short = rest - rest**3 / 3
    at_center = np.tanh(center)
    assert units_off((at_center + short) / (1 + at_center * short), x) > 10 * UNITS


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (3,), (130, 70), (2, 64, 64)])
def test_tanh_keeps_shape_and_dtype_and_leaves_its_argument(shape: tuple[int, ...], dtype: type) -> None:
    x = np.asarray(np.random.default_rng(1).standard_normal(shape), dtype)
    before = x.copy()
    result = namespace_of(x).ordered("test").tanh(x)
    assert result.shape == shape
    assert result.dtype == dtype
    assert np.array_equal(x, before)
    assert np.allclose(result, np.tanh(x), rtol=UNITS * np.finfo(dtype).eps, atol=0)


def test_tanh_of_a_transposed_array_is_the_transpose() -> None:
    x = np.random.default_rng(2).standard_normal((90, 80))
    assert np.array_equal(tanh(x.T), np.ascontiguousarray(tanh(x).T))


def test_tanh_of_infinities_and_of_what_is_no_number() -> None:
    x = np.zeros(5000)
    x[:3] = np.inf, -np.inf, np.nan
    result = tanh(x)
    assert result[:2].tolist() == [1, -1]
    assert np.isnan(result[2])
    assert not result[3:].any()


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
