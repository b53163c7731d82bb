"""Laws that every output family keeps: its gradient, its draws, its batches, its libraries, and frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geomkfac as gk
from geomkfac.arrays import Draws, namespace_of
from geomkfac.metrics.families.by_name import FAMILIES
from geomkfac.metrics.families.output_family import OutputFamily

EPSILON = 2.0**-52
COUNT = 10
COVARIANCE = np.asarray([[2.0, 1.0, 0.0, 0.0], [1.0, 3.0, -1.0, 0.0], [0.0, -1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.5]])
_RNG = np.random.default_rng(0)
LABELS, ANSWERS = _RNG.integers(0, 4, COUNT), _RNG.integers(0, 2, (COUNT, 4))
NUMBERS, COUNTS = _RNG.normal(size=(COUNT, 4)), _RNG.integers(0, 6, (COUNT, 4))
SEVERAL = gk.SideBySide(gk.ReducedCategorical(), gk.Poisson(), gk.Gaussian(), dimensions=(2, 1, 1))

CASES: dict[str, tuple[OutputFamily, Any]] = {
    "categorical": (gk.Categorical(), LABELS),
    "reduced_categorical": (gk.ReducedCategorical(), LABELS),
    "bernoulli": (gk.Bernoulli(), ANSWERS),
    "gaussian": (gk.Gaussian(), NUMBERS),
    "a covariance": (gk.Gaussian(COVARIANCE), NUMBERS),
    "heteroscedastic_gaussian": (gk.HeteroscedasticGaussian(), NUMBERS[:, :2]),
    "poisson": (gk.Poisson(), COUNTS),
    "side by side": (SEVERAL, (LABELS % 3, COUNTS[:, :1], NUMBERS[:, :1])),
}
ALL = pytest.mark.parametrize("case", CASES)


def outputs(dtype: Any = np.float64, seed: int = 7) -> Any:
    return np.random.default_rng(seed).standard_normal((COUNT, 4)).astype(dtype)


def test_every_family_with_a_name_is_here() -> None:
    missing = set(FAMILIES) - set(CASES)
    assert not missing, f"give {sorted(missing)} targets in CASES, for outputs of 4 coordinates"


@pytest.mark.parametrize("case", [case for case, (a_family, _) in CASES.items() if a_family.pytorch])
def test_the_loss_of_pytorch_is_the_same_up_to_a_factor_and_terms_without_outputs(case: str) -> None:
    torch = pytest.importorskip("torch")
    a_family, targets = CASES[case]
    there = a_family.pytorch
    z, y = torch.tensor(outputs(), requires_grad=True), torch.tensor(targets)
    getattr(torch.nn, there.module)(**there.settings)(z, y if there.labels else y.to(z.dtype)).backward()
    ns = namespace_of(outputs())
    mine = a_family.loss_gradient(ns, outputs(), a_family.check_targets(ns, targets, 4))
    factor = np.sum(z.grad.numpy() * mine) / np.sum(mine * mine)
    assert factor > 0
    # Differences of two numbers of size 6 at most, each off by some units.
    assert np.max(np.abs(z.grad.numpy() - factor * mine)) <= 64 * EPSILON * factor * 6


@ALL
@given(st.integers(0, 2**32 - 1))
def test_the_gradient_is_the_derivative_of_the_loss(case: str, seed: int) -> None:
    """Central differences err by ``t² f'''/6``, of which extrapolation leaves ``t⁴ f⁗'/30``, and by rounding."""
    a_family, targets = CASES[case]
    z, direction = outputs(seed=seed), np.random.default_rng([seed, 1]).standard_normal((COUNT, 4))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    ns = namespace_of(z)
    checked = a_family.check_targets(ns, targets, 4)
    slope = np.sum(a_family.loss_gradient(ns, z, checked) * direction, axis=1)
    terms = np.abs(a_family.loss(ns, z, checked)) + 1

    def difference(t: float) -> Any:
        return (a_family.loss(ns, z + t * direction, checked) - a_family.loss(ns, z - t * direction, checked)) / (2 * t)

    t = 2.0**-9
    extrapolated = (4 * difference(t) - difference(2 * t)) / 3
    # Fifth derivatives along a unit vector are those of exp(z), (y - mu)² exp(-s) and log-sum-exp, with |z| <= 6.
    fifth = np.exp(6.0) * (1 + np.max(np.abs(NUMBERS)) + 6) ** 2
    size = np.abs(slope) + terms + np.exp(np.max(np.abs(z), axis=1)) * 40
    bound = 4 * t**4 * fifth / 30 + 64 * EPSILON * size / t
    assert np.all(np.abs(extrapolated - slope) <= bound)
    assert np.any(np.abs(extrapolated - 1.01 * slope) > bound)


# With a covariance the matrix product is rounded differently: see test_families.
@pytest.mark.parametrize("case", [case for case in CASES if case != "a covariance"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(st.integers(1, COUNT - 1), st.integers(0, 1000))
def test_samples_depend_on_the_seed_and_the_datum_alone(case: str, dtype: Any, cut: int, first: int) -> None:
    a_family, z = CASES[case][0], outputs(dtype)
    ns = namespace_of(z)
    weights, whole = a_family.sampled_factor(ns, z, Draws(11), first, 5)
    assert weights.shape == (5, COUNT)
    assert whole.shape == (5, COUNT, 4)
    _, head = a_family.sampled_factor(ns, z[:cut], Draws(11), first, 5)
    _, tail = a_family.sampled_factor(ns, z[cut:], Draws(11), first + cut, 5)
    assert np.array_equal(whole, np.concatenate([head, tail], axis=1))
    for seed, start in ((11, first + 1), (12, first)):
        assert not np.array_equal(whole, a_family.sampled_factor(ns, z, Draws(seed), start, 5)[1])


def softmax(z: Any) -> Any:
    return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


MEANS: dict[str, Any] = {
    "categorical": softmax,
    "reduced_categorical": lambda z: softmax(np.concatenate([z, 0 * z[:, :1]], axis=1)),
    "bernoulli": lambda z: 1 / (1 + np.exp(-z)),
    "gaussian": lambda z: z,
    "a covariance": lambda z: z,
    "heteroscedastic_gaussian": lambda z: z[:, :2],
    "poisson": np.exp,
    "side by side": lambda z: np.concatenate(
        [softmax(np.concatenate([z[:, :2], 0 * z[:, :1]], axis=1)), np.exp(z[:, 2:3]), z[:, 3:]], axis=1
    ),
}


@ALL
def test_predictions_are_the_means_of_the_targets(case: str) -> None:
    z = outputs()
    expected = MEANS[case](z)
    # Exponentials, and a quotient of sums of five.
    assert np.all(np.abs(CASES[case][0].predictions(namespace_of(z), z) - expected) <= 16 * EPSILON * np.abs(expected))


def squares(case: str, z: Any) -> tuple[Any, Any]:
    """``E[g gᵀ]`` and the standard deviation of each product of one draw's entries; from 200,000 others, within 2 %."""
    _, covectors = CASES[case][0].sampled_factor(namespace_of(z), z, Draws(99), 0, 200_000)
    products = covectors[:, 0, :, None] * covectors[:, 0, None, :]
    return products.mean(axis=0), products.std(axis=0)


@ALL
def test_the_sampled_factor_is_the_fisher_factor_in_the_mean(case: str) -> None:
    z = np.asarray([[1.0, -0.5, 0.25, 0.5]])
    ns = namespace_of(z)
    weights, covectors = CASES[case][0].fisher_factor(ns, z)
    exact = np.einsum("kn,kni,knj->ij", weights, covectors, covectors)
    mean, deviation = squares(case, z)
    # Six standard deviations, and 2 % for that these are themselves estimated.
    score = np.abs(mean - exact) / (1.02 * deviation / np.sqrt(200_000) + EPSILON)
    assert np.max(score) <= 6
    assert np.max(np.abs(1.1 * mean - exact) / (1.02 * deviation / np.sqrt(200_000) + EPSILON)) > 6


@ALL
@pytest.mark.parametrize("library", ["array_api_strict", "torch", "jax.numpy"])
def test_it_runs_on_any_library_of_the_array_api(case: str, library: str) -> None:
    module = pytest.importorskip(library)
    a_family, targets = CASES[case]
    z = outputs(np.float32)
    strict = module.asarray(z)
    there, here = namespace_of(strict), namespace_of(z)
    if isinstance(targets, tuple):
        targets = (*targets[:2], targets[2].astype(np.float32))
    elif targets.dtype == np.float64:
        targets = targets.astype(np.float32)

    def moved(rows: Any) -> Any:
        return module.asarray(rows)

    abroad = tuple(map(moved, targets)) if isinstance(targets, tuple) else moved(targets)
    mine, theirs = a_family.check_targets(here, targets, 4), a_family.check_targets(there, abroad, 4)
    pairs = [
        (a_family.loss(here, z, mine), a_family.loss(there, strict, theirs)),
        (a_family.loss_gradient(here, z, mine), a_family.loss_gradient(there, strict, theirs)),
        (a_family.predictions(here, z), a_family.predictions(there, strict)),
        (a_family.radical(here, 4), a_family.radical(there, 4)),
        *zip(a_family.fisher_factor(here, z), a_family.fisher_factor(there, strict), strict=True),
        *zip(
            a_family.sampled_factor(here, z, Draws(1), 0, 4),
            a_family.sampled_factor(there, strict, Draws(1), 0, 4),
            strict=True,
        ),
    ]
    for left, right in pairs:
        assert namespace_of(right) is there
        # Sums of 4 terms in another order, and elementary functions that are 4 units apart.
        bound = 64 * np.finfo(np.float32).eps * (1 + np.max(np.abs(left), initial=0))
        assert np.all(np.abs(left - there.to_numpy(right)) <= bound)


@ALL
def test_more_batch_axes_are_allowed(case: str) -> None:
    a_family, z = CASES[case][0], outputs()
    ns = namespace_of(z)
    weights, covectors = a_family.fisher_factor(ns, z.reshape(2, 5, 4))
    flat_weights, flat_covectors = a_family.fisher_factor(ns, z)
    assert np.array_equal(weights.reshape(-1, COUNT), flat_weights)
    assert np.array_equal(covectors.reshape(-1, COUNT, 4), flat_covectors)
    assert np.array_equal(a_family.predictions(ns, z.reshape(2, 5, 4)).reshape(COUNT, -1), a_family.predictions(ns, z))


@ALL
@given(st.integers(0, 2**32 - 1))
def test_a_placed_family_does_not_feel_the_frames_of_points_and_vectors(case: str, seed: int) -> None:
    a_family, targets = CASES[case]
    rng = np.random.default_rng(seed)
    Z = gk.AffineSpace("Z", 4)
    zeta = Z.frame("zeta")
    rotation = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    kappa = zeta.change(rotation * 2.0, rng.standard_normal(4))
    z = outputs(seed=seed)
    points, placed = Z.from_coordinates(z, zeta), a_family.on(zeta)
    moved = points.expressed_in(kappa)
    u = Z.direction.from_coordinates(rng.standard_normal(4), kappa.linear)
    # The matrix has condition 1; the translation is of the size of the points; exp carries errors on.
    scale = 256 * EPSILON * (1 + np.max(np.abs(z))) * np.exp(2 * np.max(np.abs(z)))
    assert np.max(np.abs(placed.loss(moved, targets) - placed.loss(points, targets))) <= scale * 10
    for found, other in (
        (placed.metric.at(moved)(u, u), placed.metric.at(points)(u, u)),
        (placed.differential(moved, targets)(u), placed.differential(points, targets)(u)),
    ):
        assert np.max(np.abs(found - other)) <= scale * 10 * (1 + np.max(np.abs(other)))
    # The components of the same metric are other numbers, and the family placed on another frame another metric.
    elsewhere = placed.metric.at(points).coordinates(kappa.linear)
    here = placed.metric.at(points).coordinates(zeta.linear)
    inverse = np.linalg.inv(rotation * 2.0)
    assert np.max(np.abs(inverse.T @ here @ inverse - elsewhere)) <= scale * 10 * (1 + np.max(np.abs(here)))
    assert np.max(np.abs(a_family.on(kappa).loss(points, targets) - placed.loss(points, targets))) > 1e-3
