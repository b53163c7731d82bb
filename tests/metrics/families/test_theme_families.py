"""Output families against SymPy, exact enumeration of their targets, and Monte Carlo with derived bounds."""

from __future__ import annotations

from itertools import product
from typing import Any

import array_api_strict
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import Draws, namespace_of
from geomkfac.errors import UnknownNameError
from geomkfac.metrics.families.bernoulli import Bernoulli
from geomkfac.metrics.families.by_name import FAMILIES, family
from geomkfac.metrics.families.categorical import Categorical
from geomkfac.metrics.families.gaussian import Gaussian
from geomkfac.metrics.families.output_family import OutputFamily
from geomkfac.metrics.families.side_by_side import SideBySide

COVARIANCE = np.asarray([[2.0, 1.0, 0.0], [1.0, 3.0, -1.0], [0.0, -1.0, 1.0]])
EPSILON = float(np.finfo(float).eps)
ULPS = 4  # what NumPy's elementary functions are allowed to be off by
STANDARD_DEVIATIONS = 6  # a normal number beyond has probability 2e-9

logits = st.lists(st.integers(-8, 8), min_size=2, max_size=4)


def as_row(values: list[int]) -> Any:
    return np.asarray([values], dtype=float)


def metric(factor: tuple[Any, Any]) -> Any:
    """The matrices ``sum_k w_k phi_k phi_kᵀ``, one for each datum."""
    weights, covectors = factor
    return np.einsum("kn,kni,knj->nij", weights, covectors, covectors)


def softmax(values: list[int]) -> list[sympy.Expr]:
    total = sum(sympy.exp(value) for value in values)
    return [sympy.exp(value) / total for value in values]


def targets_of(a_family: OutputFamily, m: int) -> Any:
    """All targets, as rows of one array."""
    if isinstance(a_family, Categorical):
        return np.arange(m)
    return np.asarray(list(product([0.0, 1.0], repeat=m)))


def probabilities_of(a_family: OutputFamily, values: list[int]) -> list[sympy.Expr]:
    """The probability of each of these targets, by SymPy."""
    if isinstance(a_family, Categorical):
        return softmax(values)
    p = [1 / (1 + sympy.exp(-value)) for value in values]
    rows = product([0, 1], repeat=len(values))
    return [sympy.prod(q if y else 1 - q for q, y in zip(p, row, strict=True)) for row in rows]


def loss_formula(a_family: OutputFamily, y: Any, z: list[sympy.Symbol]) -> sympy.Expr:
    """Minus the log-likelihood as a SymPy expression in z."""
    if isinstance(a_family, Categorical):
        return sympy.log(sum(sympy.exp(s) for s in z)) - z[int(y)]
    if isinstance(a_family, Bernoulli):
        return sum((sympy.log(1 + sympy.exp(s)) - int(t) * s for s, t in zip(z, y, strict=True)), sympy.S(0))
    covariance = sympy.Matrix(COVARIANCE.astype(int).tolist())
    residual = sympy.Matrix([sympy.Integer(int(t)) for t in y]) - sympy.Matrix(z)
    quadratic = (residual.T * covariance.inv() * residual)[0, 0]
    return (quadratic + sympy.log(covariance.det()) + len(z) * sympy.log(2 * sympy.pi)) / 2


DISCRETE = pytest.mark.parametrize("a_family", [Categorical(), Bernoulli()], ids=["categorical", "bernoulli"])
ALL = pytest.mark.parametrize(
    "a_family",
    [Categorical(), Bernoulli(), Gaussian(), Gaussian(COVARIANCE)],
    ids=["categorical", "bernoulli", "unit gaussian", "gaussian"],
)


def check_loss_and_gradient(a_family: OutputFamily, values: list[int], targets: Any, scale: float) -> None:
    """Compare with SymPy; `scale` bounds the size of the terms that are summed."""
    m = len(values)
    z = sympy.symbols(f"z:{m}", real=True)
    at = dict(zip(z, values, strict=True))
    rows = np.repeat(as_row(values), len(targets), axis=0)
    ns = namespace_of(rows)
    checked = a_family.check_targets(ns, targets, m)
    loss, gradient = a_family.loss(ns, rows, checked), a_family.loss_gradient(ns, rows, checked)
    assert loss.shape == (len(targets),)
    assert gradient.shape == rows.shape
    tolerance = (ULPS + 2 * m) * EPSILON * scale
    for y, value, row in zip(targets, loss, gradient, strict=True):
        formula = loss_formula(a_family, y, list(z))
        assert abs(float(formula.subs(at).evalf(40)) - value) <= tolerance
        expected = [float(sympy.diff(formula, s).subs(at).evalf(40)) for s in z]
        assert np.max(np.abs(row - expected)) <= tolerance


@DISCRETE
@given(st.lists(st.integers(-8, 8), min_size=2, max_size=3))
def test_loss_and_gradient_are_sympys_for_every_target(a_family: OutputFamily, values: list[int]) -> None:
    scale = 1 + sum(map(abs, values)) + (max(values) - min(values))
    check_loss_and_gradient(a_family, values, targets_of(a_family, len(values)), scale)


@given(
    st.lists(st.integers(-8, 8), min_size=3, max_size=3), st.lists(st.integers(-8, 8), min_size=3, max_size=3)
)
def test_loss_and_gradient_of_a_gaussian_are_sympys(values: list[int], targets: list[int]) -> None:
    residual = np.asarray(values) - targets
    inverse = np.linalg.inv(COVARIANCE)
    condition = np.linalg.cond(COVARIANCE)
    scale = 10 + condition * np.linalg.norm(inverse, 2) * (residual @ residual + np.linalg.norm(residual))
    check_loss_and_gradient(Gaussian(COVARIANCE), values, as_row(targets), scale)


@DISCRETE
@given(logits)
def test_the_fisher_factor_is_the_mean_of_gradient_outer_products(
    a_family: OutputFamily, values: list[int]
) -> None:
    m = len(values)
    z = as_row(values)
    ns = namespace_of(z)
    weights, covectors = a_family.fisher_factor(ns, z)
    assert weights.shape == covectors.shape[:-1] == (m - isinstance(a_family, Categorical), 1)
    assert np.all(weights >= 0)
    probabilities = probabilities_of(a_family, values)
    mean = sympy.zeros(m, 1)
    expected = sympy.zeros(m, m)
    p = [
        sympy.N(q, 60) for q in (softmax(values) if isinstance(a_family, Categorical) else _logistic(values))
    ]
    for q, y in zip(probabilities, targets_of(a_family, m), strict=True):
        target = [int(k == y) for k in range(m)] if isinstance(a_family, Categorical) else [int(t) for t in y]
        gradient = sympy.Matrix([p[k] - target[k] for k in range(m)])
        mean += sympy.N(q, 60) * gradient
        expected += sympy.N(q, 60) * gradient * gradient.T
    assert max(map(abs, mean)) < 1e-50
    exact = np.asarray(expected.tolist(), dtype=float)
    # The relative condition number of a probability is the range of the logits; then m-term sums.
    relative = (ULPS + (max(values) - min(values)) + 4 * m) * EPSILON
    bound = relative * np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    assert np.all(np.abs(metric((weights, covectors))[0] - exact) <= bound)


def _logistic(values: list[int]) -> list[sympy.Expr]:
    return [1 / (1 + sympy.exp(-value)) for value in values]


def test_the_closed_form_of_the_categorical_factor_is_an_identity() -> None:
    p = [*sympy.symbols("p:3", positive=True)]
    p.append(1 - sum(p))
    s = [sum(p[: k + 1]) for k in range(4)]
    total = sympy.zeros(4, 4)
    for k in range(1, 4):
        phi = sympy.Matrix([int(j == k) - (p[j] / s[k - 1] if j < k else 0) for j in range(4)])
        total += p[k] * s[k - 1] / s[k] * phi * phi.T
    assert (
        (total - (sympy.diag(*p) - sympy.Matrix(p) * sympy.Matrix(p).T))
        .applyfunc(sympy.cancel)
        .is_zero_matrix
    )


@pytest.mark.parametrize("mutant", ["unweighted", "without the last covector", "next sum"])
def test_a_faulty_categorical_factor_is_refused(mutant: str) -> None:
    z = as_row([1, 0, 2])
    ns = namespace_of(z)
    weights, covectors = Categorical().fisher_factor(ns, z)
    p = Categorical().predictions(ns, z)[0]
    exact = np.diag(p) - np.outer(p, p)
    faulty = {
        "unweighted": (np.ones_like(weights), covectors),
        "without the last covector": (weights[:-1], covectors[:-1]),
        "next sum": (weights * (np.cumsum(p)[1:] / np.cumsum(p)[:-1])[:, None], covectors),
    }[mutant]
    assert np.max(np.abs(metric((weights, covectors))[0] - exact)) <= 20 * EPSILON
    assert np.max(np.abs(metric(faulty)[0] - exact)) > 1e-2


@ALL
@given(st.integers(0, 2**32 - 1))
def test_the_fisher_metric_vanishes_on_the_radical_and_there_alone(a_family: OutputFamily, seed: int) -> None:
    z = np.random.default_rng(seed).standard_normal((2, 3))
    ns = namespace_of(z)
    radical = a_family.radical(ns, 3)
    assert radical.shape == (isinstance(a_family, Categorical), 3)
    weights, covectors = a_family.fisher_factor(ns, z)
    assert np.all(np.abs(covectors @ radical.T) <= 6 * EPSILON)
    for n in range(2):
        assert ns.rank(covectors[:, n, :]) == 3 - len(radical)
    assert np.all(weights > 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@DISCRETE
def test_extreme_logits_give_finite_numbers_without_warnings(a_family: OutputFamily, dtype: Any) -> None:
    extremes = [-1e4, -700.0, -88.0, 0.0, 88.0, 700.0, 1e4]
    z = np.asarray(list(product(extremes, repeat=3)), dtype=dtype)
    ns = namespace_of(z)
    targets = np.full(len(z), 1) if isinstance(a_family, Categorical) else np.ones_like(z)
    draws = Draws(3)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        loss = a_family.loss(ns, z, targets)
        results = [
            loss,
            a_family.loss_gradient(ns, z, targets),
            *a_family.fisher_factor(ns, z),
            *a_family.sampled_factor(ns, z, draws, 0, 2),
            a_family.predictions(ns, z),
        ]
    for result in results:
        assert result.dtype == dtype
        assert np.all(np.isfinite(result))
    assert np.all(loss >= 0)
    p = a_family.predictions(ns, z).astype(float)
    exact = (
        np.asarray([np.diag(q) - np.outer(q, q) for q in p]) if isinstance(a_family, Categorical) else None
    )
    if exact is not None:
        assert np.max(np.abs(metric(a_family.fisher_factor(ns, z)) - exact)) <= 20 * np.finfo(dtype).eps


def test_the_loss_of_a_hopeless_answer_is_the_gap_of_the_logits() -> None:
    z = np.asarray([[1e4, -1e4]])
    ns = namespace_of(z)
    assert Categorical().loss(ns, z, np.asarray([1])).tolist() == [2e4]
    assert Bernoulli().loss(ns, z, np.asarray([[0.0, 1.0]])).tolist() == [2e4]
    assert Bernoulli().loss(ns, np.asarray([[40.0]]), np.asarray([[1.0]])).item() == np.exp(-40.0)


@DISCRETE
def test_probability_targets_give_the_mean_over_their_distribution(a_family: OutputFamily) -> None:
    z = as_row([1, -2, 0])
    ns = namespace_of(z)
    if isinstance(a_family, Categorical):
        distribution = np.asarray([0.5, 0.25, 0.25])
        soft = distribution[None, :]
    else:
        soft = np.asarray([[0.5, 0.25, 1.0]])
        rows = targets_of(a_family, 3)
        distribution = np.prod(np.where(rows == 1, soft, 1 - soft), axis=1)
    hard = a_family.check_targets(ns, targets_of(a_family, 3), 3)
    repeated = np.repeat(z, len(distribution), axis=0)
    soft = a_family.check_targets(ns, soft, 3)
    loss, gradient = a_family.loss(ns, z, soft), a_family.loss_gradient(ns, z, soft)
    bound = 20 * EPSILON * 5  # sums of at most 8 terms of size at most 5
    assert abs(distribution @ a_family.loss(ns, repeated, hard) - loss[0]) <= bound
    assert np.max(np.abs(distribution @ a_family.loss_gradient(ns, repeated, hard) - gradient[0])) <= bound


def fourth_moments(a_family: OutputFamily, z: Any, exact: Any) -> Any:
    """``E[g_i² g_j²]`` of the loss gradient g, by enumeration; by Isserlis for a Gaussian."""
    m = z.shape[1]
    ns = namespace_of(z)
    if isinstance(a_family, Gaussian):
        return np.outer(np.diag(exact), np.diag(exact)) + 2 * exact**2
    targets = targets_of(a_family, m)
    rows = np.repeat(z, len(targets), axis=0)
    gradients = a_family.loss_gradient(ns, rows, targets)
    p = np.exp(-a_family.loss(ns, rows, targets))
    return np.einsum("n,ni,nj->ij", p, gradients**2, gradients**2)


@ALL
@pytest.mark.parametrize("mutant", [False, True], ids=["", "other logits"])
def test_the_sampled_factor_is_the_fisher_factor_in_the_mean(a_family: OutputFamily, mutant: bool) -> None:
    z = as_row([2, -1, 1])
    ns = namespace_of(z)
    samples = 40_000
    exact = metric(a_family.fisher_factor(ns, z))[0]
    variance = fourth_moments(a_family, z, exact) - exact**2
    drawn = z
    if mutant and not isinstance(a_family, Gaussian):
        drawn = z[:, ::-1]
    weights, covectors = a_family.sampled_factor(ns, drawn, Draws(5), 0, samples)
    if mutant and isinstance(a_family, Gaussian):
        covectors = covectors * 1.05
    assert weights.shape == (samples, 1)
    assert np.all(weights == 1 / samples)
    assert covectors.shape == (samples, 1, 3)
    score = np.abs(metric((weights, covectors))[0] - exact) / np.sqrt(variance / samples)
    means = np.abs(np.mean(covectors[:, 0, :], axis=0)) / np.sqrt(np.diag(exact) / samples)
    if mutant:
        assert np.max(score) > STANDARD_DEVIATIONS
    else:
        assert np.max(score) <= STANDARD_DEVIATIONS
        assert np.max(means) <= STANDARD_DEVIATIONS


@ALL
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(st.integers(1, 9), st.integers(0, 1000))
def test_samples_do_not_depend_on_the_chunks(
    a_family: OutputFamily, dtype: Any, cut: int, first: int
) -> None:
    z = np.random.default_rng(7).standard_normal((10, 3)).astype(dtype)
    ns = namespace_of(z)
    draws = Draws(11)
    _, whole = a_family.sampled_factor(ns, z, draws, first, 5)
    _, head = a_family.sampled_factor(ns, z[:cut], draws, first, 5)
    _, tail = a_family.sampled_factor(ns, z[cut:], draws, first + cut, 5)
    parts = np.concatenate([head, tail], axis=1)
    if isinstance(a_family, Gaussian) and a_family.covariance is not None:
        # The matrix product alone may be rounded differently: three terms of size 7 at most.
        assert np.max(np.abs(whole - parts)) <= 3 * 7 * np.finfo(dtype).eps
    else:
        assert np.array_equal(whole, parts)


@ALL
def test_another_first_datum_or_seed_gives_other_samples(a_family: OutputFamily) -> None:
    z = np.random.default_rng(7).standard_normal((10, 3))
    ns = namespace_of(z)
    _, here = a_family.sampled_factor(ns, z, Draws(11), 0, 5)
    for seed, first in ((11, 1), (12, 0)):
        assert not np.array_equal(here, a_family.sampled_factor(ns, z, Draws(seed), first, 5)[1])


@ALL
def test_a_family_runs_on_any_library_of_the_array_api(a_family: OutputFamily) -> None:
    z = np.asarray([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])
    strict = array_api_strict.asarray(z)
    there, here = namespace_of(strict), namespace_of(z)
    targets: Any = (
        np.asarray([2, 0]) if isinstance(a_family, Categorical) else np.asarray([[0.0, 1, 1], [1, 0, 0]])
    )
    strict_targets = targets if isinstance(a_family, Categorical) else array_api_strict.asarray(targets)
    mine = a_family.check_targets(here, targets, 3)
    theirs = a_family.check_targets(there, strict_targets, 3)
    pairs = [
        (a_family.loss(here, z, mine), a_family.loss(there, strict, theirs)),
        (a_family.loss_gradient(here, z, mine), a_family.loss_gradient(there, strict, theirs)),
        (a_family.predictions(here, z), a_family.predictions(there, strict)),
        *zip(a_family.fisher_factor(here, z), a_family.fisher_factor(there, strict), strict=True),
        *zip(
            a_family.sampled_factor(here, z, Draws(1), 0, 4),
            a_family.sampled_factor(there, strict, Draws(1), 0, 4),
            strict=True,
        ),
    ]
    for left, right in pairs:
        assert namespace_of(right) is there
        # Sums of three terms of size at most 10, in another order.
        assert np.max(np.abs(left - there.to_numpy(right))) <= 3 * 10 * EPSILON


def test_more_batch_axes_are_allowed() -> None:
    z = np.random.default_rng(0).standard_normal((2, 5, 3))
    ns = namespace_of(z)
    for a_family in (Categorical(), Bernoulli(), Gaussian(COVARIANCE)):
        weights, covectors = a_family.fisher_factor(ns, z)
        flat_weights, flat_covectors = a_family.fisher_factor(ns, z.reshape(10, 3))
        assert np.array_equal(weights.reshape(-1, 10), flat_weights)
        assert np.array_equal(covectors.reshape(-1, 10, 3), flat_covectors)


def test_a_family_is_found_by_name_or_passed_through() -> None:
    assert [family(name).name for name in FAMILIES] == list(FAMILIES)
    gaussian, several = Gaussian(COVARIANCE), SideBySide(Categorical(), Gaussian(), dimensions=(2, 1))
    assert family(gaussian) is gaussian
    assert family(several) is several
    assert repr(gaussian) == "Gaussian(covariance of shape (3, 3))"
    with pytest.raises(UnknownNameError, match="Did you mean 'categorical'"):
        family("categoricl")
