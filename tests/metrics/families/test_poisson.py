"""The Poisson family against mpmath, SymPy and exact probabilities, from rates of 1e-8 to 1e6."""

from __future__ import annotations

import re
from typing import Any

import array_api_strict
import mpmath
import numpy as np
import pytest
import scipy.stats
import sympy

from geomkfac.arrays import Draws, namespace_of, rational
from geomkfac.errors import KindError, ShapeError, ValuesError
from geomkfac.metrics import Poisson
from geomkfac.metrics.families.poisson_counts import counts_from_uniform

ULPS = 4
RATES = [1e-8, 0.3, 1.0, 7.5, 40.0, 1e3, 1e6]
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def loss(z: Any, y: Any, dtype: Any = np.float64) -> Any:
    """Of one output each; shapes (N,)."""
    outputs = np.asarray(z, dtype=dtype)[:, None]
    ns = namespace_of(outputs)
    return Poisson().loss(ns, outputs, Poisson().check_targets(ns, np.asarray(y), 1))


@DTYPES
def test_the_loss_is_the_log_probability_with_its_log_factorial(dtype: Any) -> None:
    pairs = [(z, y) for z in (-40.0, -3.0, 0.0, 1.0, 3.0, 7.0, 13.8, 15.0) for y in (0, 1, 2, 15, 16, 17, 40, 1000)]
    pairs += [(13.8, 10**6), (13.8, 985_000), (6.9, 992), (-1e4, 3), (80.0, 5)]
    z, y = np.asarray([z for z, _ in pairs], dtype=dtype), np.asarray([y for _, y in pairs])
    unit = np.finfo(dtype).eps
    for z_i, y_i, found in zip(z, y, loss(z, y, dtype), strict=True):
        with mpmath.workdps(40):
            s, k = mpmath.mpf(float(z_i)), int(y_i)
            rate = mpmath.exp(s)
            exact = rate - k * s + mpmath.loggamma(k + 1)
            # The rate is rounded, ULPS units; near it x - log(1 + x) loses units of |rate - y|, else every term does.
            near = k >= 16 and abs(rate - k) <= k / 2
            terms = abs(rate - k) if near else rate + k * abs(s) + abs(mpmath.loggamma(k + 1))
            bound = 2 * (ULPS + 4) * unit * (terms + abs(exact) + 4)
        assert abs(mpmath.mpf(float(found)) - exact) <= bound, (z_i, y_i)


def test_the_naive_sum_of_three_terms_would_be_refused() -> None:
    rate, y = 1e6, 1_000_010
    z = float(np.log(rate))
    with mpmath.workdps(40):
        exact = mpmath.exp(mpmath.mpf(z)) - y * mpmath.mpf(z) + mpmath.loggamma(y + 1)
    bound = 2 * (ULPS + 4) * 2.0**-52 * (10 + 8 + 4)
    assert abs(float(exact - loss([z], [y])[0])) <= bound
    assert abs(float(exact) - (np.exp(z) - y * z + scipy.special.gammaln(y + 1))) > 100 * bound


def test_its_gradient_and_fisher_metric_are_sympys() -> None:
    z, y = sympy.Symbol("z", real=True), sympy.Symbol("y", integer=True, nonnegative=True)
    rate = sympy.Symbol("l", positive=True)
    gradient = sympy.diff(sympy.exp(z) - y * z + sympy.loggamma(y + 1), z).subs(z, sympy.log(rate))
    weight = rate**y * sympy.exp(-rate) / sympy.factorial(y)
    fisher = sympy.simplify(sympy.summation(sympy.expand(gradient**2 * weight), (y, 0, sympy.oo)))
    assert sympy.simplify(fisher - rate) == 0
    rows = np.asarray([[-2.0, 3.0]])
    ns, targets = namespace_of(rows), np.asarray([[4.0, 1.0]])
    found = Poisson().loss_gradient(ns, rows, targets)
    pairs = [(-2, 4), (3, 1)]
    expected = [float(gradient.subs({rate: sympy.exp(output), y: count}).evalf(30)) for output, count in pairs]
    assert np.max(np.abs(found[0] - expected) / np.abs(expected)) <= 2 * ULPS * 2.0**-52
    weights, covectors = Poisson().fisher_factor(ns, rows)
    assert np.array_equal(weights[:, 0], np.exp(rows[0]))
    assert np.array_equal(covectors[:, 0], np.eye(2))


@DTYPES
@pytest.mark.parametrize("rate", RATES)
def test_every_count_has_just_its_share_of_the_uniform_numbers(rate: float, dtype: Any) -> None:
    """Counts are unions of two intervals at most, so a grid of uniform numbers meets each n p + 2 times at most."""
    n = 4000
    uniform = ((np.arange(n) + 0.5) / n).astype(dtype)
    z = np.asarray([np.log(rate)], dtype=dtype)
    ns = namespace_of(z)
    own = np.exp(z)
    drawn = counts_from_uniform(ns, z, own, uniform)
    assert drawn.dtype == dtype
    counts, times = np.unique(drawn, return_counts=True)
    p = scipy.stats.poisson.pmf(counts, float(own[0]))
    assert np.max(np.abs(times - n * p)) < 2
    if rate > 1e-3:
        counts, times = np.unique(counts_from_uniform(ns, z, own, uniform**2), return_counts=True)
        assert np.max(np.abs(times - n * scipy.stats.poisson.pmf(counts, float(own[0])))) > 2


def test_the_tails_of_small_rates_are_met_where_they_belong() -> None:
    z = np.log(np.asarray([1e-8]))
    ns = namespace_of(z)
    uniform = np.asarray([1 - 1.5e-8, 1 - 0.5e-8, 1 - 2.0**-53])
    # p(0) = 1 - 1e-8, and counts above 1 have 5e-17 of probability.
    assert counts_from_uniform(ns, z, np.exp(z), uniform).tolist() == [0, 1, 1]
    underflown = np.asarray([-1e4])
    assert counts_from_uniform(ns, underflown, np.exp(underflown), uniform).tolist() == [0, 0, 0]


@pytest.mark.parametrize("rate", [0.3, 7.5, 1e3])
def test_sampled_counts_have_the_distribution_of_scipy(rate: float) -> None:
    z = np.log(np.asarray([[rate]]))
    ns = namespace_of(z)
    samples = 20_000
    _, covectors = Poisson().sampled_factor(ns, z, Draws(3), 0, samples)
    counts = np.rint(np.exp(z) - covectors[:, 0])[:, 0]
    assert np.max(np.abs(counts - (np.exp(z)[0, 0] - covectors[:, 0, 0]))) <= 4 * rate * 2.0**-52

    def significance(own: float) -> float:
        edges = scipy.stats.poisson.ppf(np.linspace(0.05, 0.95, 10), own)
        edges = np.unique(edges)
        cells = np.diff(np.concatenate([[0], scipy.stats.poisson.cdf(edges, own), [1]]))
        found = np.bincount(np.searchsorted(edges, counts), minlength=len(cells))
        return float(scipy.stats.chisquare(found, samples * cells).pvalue)

    assert significance(float(np.exp(z)[0, 0])) > 1e-6
    assert significance(rate * 1.2) < 1e-6


@DTYPES
def test_extreme_log_rates_give_finite_numbers_without_warnings(dtype: Any) -> None:
    z = np.asarray([[-1e4], [-700.0], [-88.0], [0.0], [14.0]], dtype=dtype)
    ns = namespace_of(z)
    targets = Poisson().check_targets(ns, np.asarray([0, 3, 0, 100_000, 0]), 1)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        results = [
            Poisson().loss(ns, z, targets),
            Poisson().loss_gradient(ns, z, targets),
            *Poisson().fisher_factor(ns, z),
            *Poisson().sampled_factor(ns, z, Draws(0), 0, 2),
        ]
    for result in results:
        assert result.dtype == dtype
        assert np.all(np.isfinite(result))


def test_rates_that_are_no_numbers_or_too_large_to_draw_from_are_refused() -> None:
    z = np.asarray([[710.0]])
    ns = namespace_of(z)
    for call in (
        lambda: Poisson().loss(ns, z, z * 0),
        lambda: Poisson().loss_gradient(ns, z, z * 0),
        lambda: Poisson().fisher_factor(ns, z),
    ):
        with pytest.raises(ValuesError, match=r"required: 708 or less\n  came    : 710"):
            call()
    with pytest.raises(ValuesError, match=r"1e\+08 or less(.|\n)*fisher='exact'"):
        Poisson().sampled_factor(ns, z * 0 + 20, Draws(0), 0, 1)
    assert Poisson().sampled_factor(ns, z[:0], Draws(0), 0, 3)[1].shape == (3, 0, 1)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, np.uint64, np.float32])
def test_counts_of_any_integer_dtype_and_whole_floats_are_taken(dtype: Any) -> None:
    ns = namespace_of(np.zeros(1, dtype=np.float32))
    checked = Poisson().check_targets(ns, np.asarray([[0, 3], [2, 1]], dtype=dtype), 2)
    assert checked.dtype == np.float32
    assert checked.tolist() == [[0, 3], [2, 1]]
    assert Poisson().check_targets(ns, np.asarray([1, 2], dtype=dtype), 1).tolist() == [[1], [2]]


@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        (np.asarray([[1.5]]), ValuesError, r"target 1\.5 at index \(0, 0\)(.|\n)*not means of counts"),
        (np.asarray([[-1]]), ValuesError, "target -1.0 at index"),
        (np.asarray([[-2.0]]), ValuesError, r"target -2\.0"),
        (np.asarray([[True]]), KindError, "Bernoulli"),
        (np.asarray([[2**54]]), ValuesError, "holds exactly"),
        (np.asarray([[np.inf]]), ValuesError, "inf"),
        (np.asarray([[1.0]], dtype=np.float32), KindError, "float32"),
        (np.asarray([[1, 2]]), ShapeError, re.escape("(N, 1)")),
        ([1, 2], KindError, "list"),
    ],
)
def test_targets_that_are_no_counts_are_refused(targets: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        Poisson().check_targets(namespace_of(np.zeros(1)), targets, 1)


def test_counts_of_another_library_are_checked_and_kept_there() -> None:
    outputs = array_api_strict.asarray([[0.5, 1.0]])
    ns = namespace_of(outputs)
    checked = Poisson().check_targets(ns, array_api_strict.asarray([[1, 2]]), 2)
    assert namespace_of(checked) is ns
    with pytest.raises(ValuesError, match="target -1"):
        Poisson().check_targets(ns, array_api_strict.asarray([[1, -1]]), 2)


def test_what_needs_order_is_refused_over_exact_kinds() -> None:
    ns = rational.default_namespace
    z = ns.asarray([[1, 2]])
    for call in (
        lambda: Poisson().check_targets(ns, np.asarray([[1, 2]]), 2),
        lambda: Poisson().loss(ns, z, z),
        lambda: Poisson().loss_gradient(ns, z, z),
        lambda: Poisson().fisher_factor(ns, z),
        lambda: Poisson().sampled_factor(ns, z, Draws(0), 0, 1),
    ):
        with pytest.raises(KindError, match="ordered kind"):
            call()
