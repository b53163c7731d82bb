"""Sums that grow in place: the same for every chunk size, and nothing of the user's is written to."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import geomkfac as gk

WIDTHS = (3, 4, 2)
COUNT = 7


def network(kind, activation, rng):
    ns = kind.default_namespace
    net, iota = gk.MLP.from_widths(WIDTHS, activation, kind=kind)
    sample = iota.sample(ns.random(rng, (COUNT, 3)), ns.random(rng, (COUNT, 2)))
    return net, net.random_weights(rng, iota), iota, sample, gk.Gaussian().on(iota)


def factors(metric, iota):
    return [factor for block in metric.coordinates(iota).blocks for factor in block.factors]


@settings(max_examples=10)
@given(chunk=st.integers(1, COUNT), seed=st.integers(0, 2**16))
def test_sums_over_any_chunks_are_exactly_the_sums_over_all_data(chunk, seed):
    kind = gk.GF(2**31 - 1)
    square = gk.maps.polynomial(0, 1, 1)
    net, weights, iota, sample, loss = network(kind, square, np.random.default_rng(seed))
    ns = kind.default_namespace
    whole = net.kfac_metric(weights, sample, loss)
    parts = net.kfac_metric(weights, sample, loss, chunk_size=chunk)
    for x, y in zip(factors(whole, iota), factors(parts, iota), strict=True):
        assert ns.equal(x, y)


def test_moments_can_be_used_again_after_their_metric_was_taken():
    net, weights, iota, sample, loss = network(gk.floating, "tanh", np.random.default_rng(1))
    moments = net.moments(weights, sample, loss)
    before = [np.array(factor) for factor in factors(moments.metric(), iota)]
    twice = (moments + moments).metric()
    again = moments.metric()
    for x, y, z in zip(before, factors(twice, iota), factors(again, iota), strict=True):
        assert np.array_equal(x, z)
        # Doubled sums over a doubled weight: exact in binary.
        assert np.array_equal(x, y)


@pytest.mark.parametrize("fisher", ["exact", "sampled", "empirical"])
@pytest.mark.parametrize("activation", ["identity", "tanh", "relu"])
def test_inputs_targets_and_weights_are_not_written_to(activation, fisher):
    rng = np.random.default_rng(2)
    X, y = rng.standard_normal((COUNT, 3)), rng.standard_normal((COUNT, 2))
    net, iota = gk.MLP.from_widths(WIDTHS, activation)
    weights = net.random_weights(rng, iota)
    kept = [X.copy(), y.copy(), *(part.copy() for part in weights.coordinates(iota))]
    sample, loss = iota.sample(X, y), gk.Gaussian().on(iota)
    first = net.kfac_metric(weights, sample, loss, fisher=fisher, chunk_size=2)
    second = net.kfac_metric(weights, sample, loss, fisher=fisher, chunk_size=2)
    for x, now in zip(kept, [X, y, *weights.coordinates(iota)], strict=True):
        assert np.array_equal(x, now)
    for x, z in zip(factors(first, iota), factors(second, iota), strict=True):
        assert np.array_equal(x, z)


def test_the_memory_beyond_inputs_and_factors_is_one_chunk_whatever_the_number_of_data():
    rng = np.random.default_rng(3)
    net, iota = gk.MLP.from_widths((16, 64, 32, 8))
    weights, loss = net.random_weights(rng, iota), gk.Categorical().on(iota)
    peaks = []
    for count in (512, 8192):
        sample = iota.sample(rng.standard_normal((count, 16)), rng.integers(0, 8, count))
        net.kfac_metric(weights, sample, loss, chunk_size=128)  # what is made once is made here
        tracemalloc.start()
        net.kfac_metric(weights, sample, loss, chunk_size=128)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Half of one chunk's widest array, 7 covectors for each of 128 data in 64 coordinates of 8 bytes.
    assert peaks[1] - peaks[0] < 7 * 128 * 64 * 8 / 2
