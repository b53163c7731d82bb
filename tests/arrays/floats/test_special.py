"""The scaled complementary error function, of every array library, against mpmath."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

from geomkfac.arrays import floating_namespace
from geomkfac.arrays.floats.special import COEFFICIENTS, by_polynomial

POINTS = [0.0, 1e-20, 1e-3, 0.1, 0.5, 1.0, 2.0, 3.5, 3.999, 4.0, 4.001, 6.0, 10.0, 26.5, 28.3, 1e3, 1e10, 1e18]
UNITS = 4
"""Units of rounding: those that the libraries' own functions are allowed."""


def exact(x: float) -> mpmath.mpf:
    with mpmath.workdps(60):
        y = mpmath.mpf(x)
        if y < 50:
            return mpmath.exp(y * y) * mpmath.erfc(y)
        # The asymptotic series: the first term left out, 23!! / (2 y²)^12, is below 1e-32.
        terms = [(-1) ** n * mpmath.fac2(2 * n - 1) / (2 * y * y) ** n for n in range(12)]
        return sum(terms) / (y * mpmath.sqrt(mpmath.pi))


def errors(values: Any, x: Any) -> list[float]:
    """Relative to the exact ones."""
    return [float(abs(mpmath.mpf(float(v)) / exact(float(p)) - 1)) for v, p in zip(values, x, strict=True)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])
def test_it_is_accurate_for_every_library(library: str, dtype: str) -> None:
    pytest.importorskip(library)
    ns = floating_namespace(library, dtype)
    x = np.asarray(POINTS, dtype=dtype)
    found = ns.erfcx(ns.cast_numpy(x))
    assert ns.kind.namespace_of(found) is ns
    assert max(errors(ns.to_numpy(found), x)) <= UNITS * ns.epsilon


def test_jax_has_it_by_polynomial() -> None:
    jax = pytest.importorskip("jax")
    x = np.asarray(POINTS, dtype="float32")
    found = by_polynomial(jax.numpy.asarray(x))
    assert max(errors(np.asarray(found), x)) <= UNITS * np.finfo("float32").eps


def test_the_polynomial_is_accurate_on_a_fine_grid() -> None:
    x = np.concatenate([np.linspace(0.0, 8.0, 801), np.logspace(1, 15, 57)])
    assert max(errors(by_polynomial(x), x)) <= 2 * 2.0**-52


def test_the_accuracy_test_refuses_a_polynomial_with_a_term_left_out() -> None:
    x = np.asarray([0.1, 13.7, 26.1])
    t = (x - 4) / (x + 4)
    short = by_polynomial(x) - COEFFICIENTS[20] * t**20 / (1 + 2 * x)
    assert max(errors(short, x)) > 2 * 2.0**-52
