"""The Gaussian family with learned variances against SymPy, and at extreme variances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats
import sympy

from geomkfac.arrays import Draws, namespace_of, rational
from geomkfac.errors import KindError, ShapeError, ValuesError
from geomkfac.metrics import Gaussian, HeteroscedasticGaussian

FAMILY = HeteroscedasticGaussian()
EPSILON = 2.0**-52
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])

mu, s, y, e = sympy.symbols("mu s y e", real=True)
LOSS = (y - mu) ** 2 * sympy.exp(-s) / 2 + s / 2 + sympy.log(2 * sympy.pi) / 2


def test_the_fisher_metric_is_sympys_expectation() -> None:
    gradient = [sympy.diff(LOSS, v).subs(y, mu + sympy.exp(s / 2) * e) for v in (mu, s)]
    density = sympy.exp(-(e**2) / 2) / sympy.sqrt(2 * sympy.pi)

    def mean(f: Any) -> Any:
        return sympy.simplify(sympy.integrate(sympy.expand(f) * density, (e, -sympy.oo, sympy.oo)))

    assert [[mean(a * b) for b in gradient] for a in gradient] == [[sympy.exp(-s), 0], [0, sympy.Rational(1, 2)]]
    assert [mean(a) for a in gradient] == [0, 0]
    z = np.asarray([[3.0, -1.0, -2.0, 0.5]])
    weights, covectors = FAMILY.fisher_factor(namespace_of(z), z)
    assert np.array_equal(covectors[:, 0], np.eye(4))
    expected = [np.exp(2.0), np.exp(-0.5), 0.5, 0.5]
    assert np.max(np.abs(weights[:, 0] / expected - 1)) <= 8 * EPSILON


@pytest.mark.parametrize("values", [(0, 0, 1), (2, -3, 5), (-1, 6, -4), (7, -20, 7)])
def test_loss_and_gradient_are_sympys(values: tuple[int, int, int]) -> None:
    at = dict(zip((mu, s, y), values, strict=True))
    z, target = np.asarray([[values[0], values[1]]], dtype=float), np.asarray([[float(values[2])]])
    ns = namespace_of(z)
    scale = (values[2] - values[0]) ** 2 * np.exp(-values[1]) + abs(values[1]) + 1
    # exp(-s/2) rounds its argument not at all; it is squared, multiplied, summed.
    bound = 16 * EPSILON * scale
    assert abs(FAMILY.loss(ns, z, target)[0] - float(LOSS.subs(at).evalf(30))) <= bound
    gradient = [float(sympy.diff(LOSS, v).subs(at).evalf(30)) for v in (mu, s)]
    assert np.max(np.abs(FAMILY.loss_gradient(ns, z, target)[0] - gradient)) <= bound * np.exp(-values[1] / 2 + 10)


def test_means_come_first_and_then_log_variances() -> None:
    z = np.asarray([[1.0, 2.0, np.log(4.0), np.log(9.0)]])
    ns, target = namespace_of(z), np.asarray([[3.0, -1.0]])
    assert FAMILY.predictions(ns, z).tolist() == [[1, 2]]
    fixed = Gaussian(np.diag([4.0, 9.0]))
    assert abs(FAMILY.loss(ns, z, target)[0] - fixed.loss(ns, z[:, :2], target)[0]) <= 32 * EPSILON
    interleaved = z[:, [0, 2, 1, 3]]
    assert abs(FAMILY.loss(ns, interleaved, target)[0] - fixed.loss(ns, z[:, :2], target)[0]) > 0.1


@DTYPES
def test_extreme_variances_give_finite_numbers_without_warnings(dtype: Any) -> None:
    small = -80.0 if dtype == np.float32 else -700.0
    z = np.asarray([[0.0, 1e4], [3.0, 700.0], [1.0, small], [0.0, small]], dtype=dtype)
    targets = np.asarray([[5.0], [0.0], [1.0], [1e-10]], dtype=dtype)
    ns = namespace_of(z)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        results = [
            FAMILY.loss(ns, z, targets),
            FAMILY.loss_gradient(ns, z, targets),
            *FAMILY.fisher_factor(ns, z),
            *FAMILY.sampled_factor(ns, z, Draws(0), 0, 3),
        ]
    for result in results:
        assert result.dtype == dtype
        assert np.all(np.isfinite(result))
    # The target is the mean: ½ s + ½ log 2π and nothing else.
    assert abs(results[0][2] - (small + np.log(2 * np.pi)) / 2) <= abs(small) * np.finfo(dtype).eps


def test_a_variance_whose_inverse_is_no_number_is_refused() -> None:
    z = np.asarray([[0.0, -709.0]])
    ns = namespace_of(z)
    for call in (
        lambda: FAMILY.loss(ns, z, z[:, :1]),
        lambda: FAMILY.loss_gradient(ns, z, z[:, :1]),
        lambda: FAMILY.fisher_factor(ns, z),
        lambda: FAMILY.sampled_factor(ns, z, Draws(0), 0, 1),
    ):
        with pytest.raises(ValuesError, match=r"negative log variance is too large(.|\n)*708 or less\n  came    : 709"):
            call()
    assert FAMILY.fisher_factor(ns, z[:0])[0].shape == (2, 0)


def test_sampled_residuals_are_normal() -> None:
    z = np.asarray([[1.0, 2.0]])
    ns = namespace_of(z)
    _, covectors = FAMILY.sampled_factor(ns, z, Draws(4), 0, 20_000)
    residual = -covectors[:, 0, 0] * np.exp(1.0)
    assert np.max(np.abs(covectors[:, 0, 1] - (1 - residual**2) / 2)) <= 64 * EPSILON * (1 + np.max(residual**2))
    assert scipy.stats.kstest(residual, "norm").pvalue > 1e-6
    assert scipy.stats.kstest(residual * 1.1, "norm").pvalue < 1e-6


def test_what_does_not_fit_is_refused() -> None:
    for m in (0, 1, 3):
        with pytest.raises(ShapeError, match=r"an even dimension(.|\n)*all means, then all log variances"):
            FAMILY.check_dimension(m)
    FAMILY.check_dimension(4)
    ns = namespace_of(np.zeros(1))
    with pytest.raises(ShapeError, match=r"\(N, 2\)"):
        FAMILY.check_targets(ns, np.zeros((3, 4)), 4)
    with pytest.raises(KindError, match="int64"):
        FAMILY.check_targets(ns, np.zeros((3, 2), dtype=np.int64), 4)
    assert FAMILY.check_targets(ns, np.zeros(3), 2).shape == (3, 1)
    exact = rational.default_namespace
    z = exact.asarray([[1, 2]])
    for call in (
        lambda: FAMILY.loss(exact, z, z[:, :1]),
        lambda: FAMILY.fisher_factor(exact, z),
        lambda: FAMILY.sampled_factor(exact, z, Draws(0), 0, 1),
    ):
        with pytest.raises(KindError, match="ordered kind"):
            call()
