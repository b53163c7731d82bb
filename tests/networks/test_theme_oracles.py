"""Networks in which K-FAC is the exact block, one in which it is not, and what the Fisher metric measures.

They catch faults of scale, which no check of invariance can.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import geomkfac as gk
from geomkfac import maps
from geomkfac.arrays import GF
from geomkfac.metrics.families import by_name

FIELD = GF(1_073_741_827)


def network(widths: list[int], activation: Any, seed: int) -> tuple[Any, Any, Any]:
    net, iota = gk.MLP.from_widths(widths, activation, kind=FIELD)
    return net, net.random_weights(np.random.default_rng(seed), iota), iota


def blocks_are_exact(net: Any, weights: Any, data: Any, loss: Any, iota: Any) -> list[bool]:
    """For every layer, whether K-FAC's block is that of the exact metric."""
    ns = FIELD.default_namespace
    exact = net.fisher_metric(weights, data, loss).coordinates(iota)
    found, start = [], 0
    for block in net.kfac_metric(weights, data, loss).coordinates(iota).blocks:
        dense = block.dense()
        stop = start + dense.shape[0]
        found.append(bool(ns.equal(dense, exact[start:stop, start:stop])))
        start = stop
    return found


def data_of(net: Any, iota: Any, count: int, seed: int) -> Any:
    return FIELD.default_namespace.random(np.random.default_rng(seed), (count, net.inputs.dim))


CUBIC = maps.polynomial(1, 2, 0, 1)


@given(widths=st.lists(st.integers(1, 3), min_size=2, max_size=4), seed=st.integers(0, 10**6))
@settings(max_examples=20)
def test_one_datum(widths: list[int], seed: int) -> None:
    net, weights, iota = network(widths, CUBIC, seed)
    data = iota.sample(data_of(net, iota, 1, seed))
    assert all(blocks_are_exact(net, weights, data, gk.Gaussian().on(iota), iota))


@given(widths=st.lists(st.integers(1, 3), min_size=2, max_size=4), seed=st.integers(0, 10**6))
@settings(max_examples=20)
def test_deep_linear_networks_with_squared_loss_and_any_data(widths: list[int], seed: int) -> None:
    net, weights, iota = network(widths, "identity", seed)
    data = iota.sample(data_of(net, iota, 6, seed))
    assert all(blocks_are_exact(net, weights, data, gk.Gaussian().on(iota), iota))


def test_data_that_are_all_identical() -> None:
    net, weights, iota = network([2, 3, 2], CUBIC, 0)
    ns = FIELD.default_namespace
    X = ns.take(data_of(net, iota, 1, 1), [0] * 5, 0)
    assert all(blocks_are_exact(net, weights, iota.sample(X), gk.Gaussian().on(iota), iota))


def test_one_linear_layer_with_any_known_covariance() -> None:
    net, weights, iota = network([3, 2], CUBIC, 0)
    covariance = FIELD.default_namespace.asarray([[2, 1], [1, 5]])
    data = iota.sample(data_of(net, iota, 7, 1))
    assert blocks_are_exact(net, weights, data, gk.Gaussian(covariance).on(iota), iota) == [True]


def test_the_last_layer_with_squared_loss_is_exact_and_a_hidden_one_is_not() -> None:
    """The negative oracle: with several data the derivatives of a smooth activation depend on the datum."""
    net, weights, iota = network([2, 3, 2], CUBIC, 0)
    data = iota.sample(data_of(net, iota, 4, 1))
    assert blocks_are_exact(net, weights, data, gk.Gaussian().on(iota), iota) == [False, True]


def test_an_output_metric_that_depends_on_the_datum_makes_it_inexact() -> None:
    net, weights, iota = network([2, 2], CUBIC, 0)
    ns = FIELD.default_namespace

    def function(z: Any) -> tuple[Any, Any]:
        return ns.ones((1, z.shape[0])), z[None, ...]

    metric = gk.CovectorMetric(iota[net.outputs], function)
    for count, exact in ((1, True), (4, False)):
        data = iota.sample(data_of(net, iota, count, 1))
        assert blocks_are_exact(net, weights, data, metric, iota) == [exact]


FAMILIES: dict[str, gk.metrics.OutputFamily] = {
    **{name: gk.metrics.family(name) for name in by_name.FAMILIES},
    "side by side": gk.SideBySide(
        gk.Categorical(), gk.Poisson(), gk.HeteroscedasticGaussian(), gk.Bernoulli(), dimensions=(2, 1, 2, 1)
    ),
}


def kullback_leibler(family: gk.metrics.OutputFamily, z: Any, w: Any) -> Any:
    """``KL(r(.|z), r(.|w))`` of every row, from textbooks."""
    if isinstance(family, gk.SideBySide):
        cuts = np.cumsum(family.dimensions)[:-1]
        triples = zip(family.parts, np.split(z, cuts, axis=1), np.split(w, cuts, axis=1), strict=True)
        return sum(kullback_leibler(*triple) for triple in triples)
    if isinstance(family, gk.Gaussian):
        return np.sum((z - w) ** 2, axis=1) / 2
    if isinstance(family, gk.HeteroscedasticGaussian):
        (mu, s), (nu, t) = np.split(z, 2, axis=1), np.split(w, 2, axis=1)
        return np.sum(np.exp(s - t) + (mu - nu) ** 2 * np.exp(-t) - 1 - (s - t), axis=1) / 2
    if isinstance(family, gk.Poisson):
        return np.sum(np.exp(w) - np.exp(z) + np.exp(z) * (z - w), axis=1)
    if isinstance(family, gk.Bernoulli):
        p, q = 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(-w))
        return np.sum(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)), axis=1)
    if isinstance(family, gk.ReducedCategorical):
        z, w = (np.column_stack([part, np.zeros(len(part))]) for part in (z, w))
    p, q = (np.exp(part) / np.exp(part).sum(axis=1, keepdims=True) for part in (z, w))
    return np.sum(p * np.log(p / q), axis=1)


@pytest.mark.parametrize("output", FAMILIES)
@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_the_fisher_metric_is_the_second_order_of_the_divergence(output: str, activation: str) -> None:
    """``KL(p_w, p_{w + t d}) = t^2 / 2 d^T F d + O(t^3)``: halving t divides the rest by 8, nearly."""
    rng = np.random.default_rng(3)
    net, weights, iota = gk.MLP.from_arrays(
        [rng.standard_normal((4, 3)), rng.standard_normal((6, 4)) / 2],
        [rng.standard_normal(4), rng.standard_normal(6) / 2],
        activation,
    )
    X = rng.standard_normal((8, 3))
    family = FAMILIES[output]
    loss = family.on(iota)
    points, data = net.inputs.from_coordinates(X, iota), iota.sample(X)
    direction = net.random_weights(rng, iota) - weights
    F = net.fisher_metric(weights, data, loss)
    half = float(F(direction, direction)) / 2

    def divergence(t: float) -> float:
        z, moved = (net(w, points).coordinates(iota) for w in (weights, weights + t * direction))
        return float(np.mean(kullback_leibler(family, z, moved)))

    steps = [2.0**-k for k in range(7, 11)]
    rests = [divergence(t) - half * t * t for t in steps]
    orders = [np.log2(abs(one / two)) for one, two in pairwise(rests)]
    assert all(abs(rest) < 0.2 * half * t * t for rest, t in zip(rests, steps, strict=True))
    # The next order shows as t: 2^-8 and smaller, against a slope of order 1 to 10.
    assert all(abs(order - 3) < 0.3 for order in orders)


@pytest.mark.parametrize("output", FAMILIES)
@pytest.mark.parametrize("activation", ["leaky_relu(0.2)", "elu", "gelu", "silu", "softsign"])
def test_one_datum_with_any_family(output: str, activation: str) -> None:
    rng = np.random.default_rng(5)
    net, iota = gk.MLP.from_widths([3, 4, 6], activation)
    weights = net.random_weights(rng, iota)
    one, two = (iota.sample(rng.standard_normal((count, 3))) for count in (1, 2))
    loss = FAMILIES[output].on(iota)

    def furthest(data: Any) -> float:
        exact = net.fisher_metric(weights, data, loss).coordinates(iota)
        start, found = 0, 0.0
        for block in net.kfac_metric(weights, data, loss).coordinates(iota).blocks:
            stop = start + block.dense().shape[0]
            found = max(found, float(np.abs(block.dense() - exact[start:stop, start:stop]).max()))
            start = stop
        return found / float(np.abs(exact).max())

    # Sums over at most 6 covectors and 6 outputs of what two layers pulled back.
    assert furthest(one) <= 8 * 36 * 2.0**-52
    assert furthest(two) > 1e-6


def test_the_gauss_newton_metric_of_a_euclidean_output_is_the_gaussian_fisher_metric() -> None:
    net, weights, iota = network([2, 3, 2], CUBIC, 0)
    data = iota.sample(data_of(net, iota, 4, 1))
    fisher = net.fisher_metric(weights, data, gk.Gaussian().on(iota))
    assert net.gauss_newton_metric(weights, data, gk.EuclideanMetric(iota[net.outputs])) == fisher
    constant = gk.DenseTensor.from_coordinates(FIELD.default_namespace.eye(2), iota[net.outputs].linear)
    assert net.gauss_newton_metric(weights, data, gk.ConstantMetric(net.outputs, constant)) == fisher


def test_pulling_a_metric_back_is_functorial() -> None:
    net, weights, iota = network([2, 3, 2], CUBIC, 0)
    first, second = (gk.AffineMap(omega) for omega in net.weight_space.split(weights))
    rho, metric = net.activations[0], gk.EuclideanMetric(iota[net.outputs])
    points = net.inputs.from_coordinates(data_of(net, iota, 3, 1), iota)
    whole = gk.PullbackMetric(second @ rho @ first, metric).at(points)
    parts = gk.PullbackMetric(first, gk.PullbackMetric(rho, gk.PullbackMetric(second, metric))).at(points)
    assert whole == parts


def test_pullback_and_expectation_are_the_array_formulas() -> None:
    rng = np.random.default_rng(0)
    A, Z = gk.AffineSpace("A", 3), gk.AffineSpace("Z", 2)
    iota, zeta = A.frame("iota"), Z.frame("zeta")
    space = gk.AffineMaps(A, Z)
    X, W = rng.standard_normal((5, 3)), rng.standard_normal((2, 4))
    w = space.from_coordinates(W, space.frame(iota, zeta))
    M = np.array([[2.0, 1.0], [1.0, 3.0]])
    metric = gk.ConstantMetric(Z, gk.DenseTensor.from_coordinates(M, zeta.linear))
    pulled = gk.PullbackMetric(space.evaluation(A.from_coordinates(X, iota)), metric)
    frame = space.frame(iota, zeta).linear
    bars = np.column_stack([X, np.ones(5)])
    jacobians = [np.kron(bar[None, :], np.eye(2)) for bar in bars]
    expected = np.asarray([J.T @ M @ J for J in jacobians])
    bound = 32 * 2.0**-52 * np.abs(expected).max()
    assert np.abs(pulled.at(w).coordinates(frame) - expected).max() <= bound
    shares = np.array([1.0, 2.0, 0.0, 3.0, 4.0])
    averaged = gk.ExpectedMetric(pulled, shares).at(w).coordinates(frame)
    assert np.abs(averaged - np.einsum("n,nij->ij", shares / 10, expected)).max() <= bound
    linear = gk.AffineMap(w)
    at = gk.PullbackMetric(linear, metric).at(A.from_coordinates(X, iota)).coordinates(iota.linear)
    assert np.abs(at - W[:, :3].T @ M @ W[:, :3]).max() <= bound
