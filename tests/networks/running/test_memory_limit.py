"""A limit on memory: what is allocated stays within it, and what cannot fit is refused."""

from __future__ import annotations

import itertools
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geomkfac as gk
from geomkfac.errors import MemoryLimitError, ValuesError
from geomkfac.networks.running.memory_limit import AtOnce, Demand, at_once_within, bytes_of

MB = 10**6


def mlp(dtype: str) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    widths = (120, 90, 40, 10)
    Ws = [(rng.standard_normal((m, n)) / n**0.5).astype(dtype) for n, m in itertools.pairwise(widths)]
    net, weights, iota = gk.MLP.from_arrays(Ws, [np.zeros(m, dtype) for m in widths[1:]], activation="softplus")
    X, y = rng.standard_normal((3000, 120)).astype(dtype), rng.integers(0, 10, 3000)
    return net, weights, iota.sample(X, y), gk.Categorical().on(iota)


def maps(dtype: str) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    stages = [gk.Convolution(6, kernel=3, padding=1), "tanh", gk.MaxPooling(2), gk.Convolution(8, kernel=5), "relu",
              gk.Dense(4)]  # fmt: skip
    net, iota = gk.ConvolutionalNetwork.from_shape((16, 16), 2, stages)
    weights = net.random_weights(rng, iota, like=np.zeros(1, dtype))
    X, y = rng.standard_normal((400, 16, 16, 2)).astype(dtype), rng.integers(0, 4, 400)
    return net, weights, iota.sample(X, y), gk.Categorical().on(iota)


def sequences(dtype: str) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    shapes = ((24, 24), (24, 6), (5, 24))
    Ws = [(rng.standard_normal(shape) / 6).astype(dtype) for shape in shapes]
    net, weights, iota = gk.RecurrentNetwork.from_arrays(Ws, [np.zeros(m, dtype) for m, _ in shapes], 15, at="every")
    X, y = rng.standard_normal((700, 15, 6)).astype(dtype), rng.integers(0, 5, (700, 15))
    return net, weights, iota.sample(X, y), gk.Categorical().on(iota)


@pytest.mark.parametrize("sharing", ["expand", pytest.param("reduce", marks=pytest.mark.slow)])
@pytest.mark.parametrize("fisher", ["exact", pytest.param("sampled", marks=pytest.mark.slow)])
@pytest.mark.parametrize("dtype", [pytest.param("float32", marks=pytest.mark.slow), "float64"])
@pytest.mark.parametrize("make", [mlp, maps, sequences])
def test_what_is_allocated_stays_within_the_limit(make: Any, dtype: str, fisher: Any, sharing: Any) -> None:
    net, weights, data, loss = make(dtype)
    net.loss(weights, data, loss)  # what is made once, such as imports, is made here
    for limit in (12 * MB, 25 * MB):
        tracemalloc.start()
        # Bound, so that the sums are alive when the peak is read.
        g = net.kfac_metric(weights, data, loss, fisher=fisher, sharing=sharing, memory_limit=limit)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        del g
        assert peak <= limit


def test_without_the_limit_more_is_allocated() -> None:
    """So that the test above could fail."""
    net, weights, data, loss = mlp("float64")
    net.loss(weights, data, loss)
    tracemalloc.start()
    net.kfac_metric(weights, data, loss)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak > 12 * MB


def test_a_limit_changes_the_chunks_and_not_the_metric() -> None:
    net, weights, data, loss = mlp("float64")
    plain = net.moments(weights, data, loss)
    limited = net.moments(weights, data, loss, memory_limit="3 MB")
    for left, right in zip(plain.layers, limited.layers, strict=True):
        # Sums of 3,000 data and 10 covectors, in another order.
        scale = 30_000 * 2.0**-52
        assert np.abs(left.covectors - right.covectors).max() <= scale * np.abs(left.covectors).max()


def test_a_limit_below_the_factors_names_what_they_need() -> None:
    net, weights, data, loss = mlp("float64")
    sides = [121, 90, 91, 40, 41, 10]
    needed = 8 * (sum(side**2 for side in sides) + 121**2)
    with pytest.raises(MemoryLimitError, match=f"(?s)too small for the factors.*required: {needed / 1e3:.3g} kB"):
        net.kfac_metric(weights, data, loss, memory_limit=needed - 1)
    with pytest.raises(MemoryLimitError, match="no room for a single datum"):
        net.kfac_metric(weights, data, loss, memory_limit=needed + 8)


@pytest.mark.parametrize("wrong", [0, -5, True, 2.5, "much", "3 XB", "-1 GB", "0 MB"])
def test_what_is_no_amount_of_memory_is_refused(wrong: Any) -> None:
    net, weights, data, loss = mlp("float64")
    with pytest.raises(ValuesError, match="positive number of bytes"):
        net.kfac_metric(weights, data, loss, memory_limit=wrong)


def test_a_chunk_size_beside_a_limit_is_refused() -> None:
    net, weights, data, loss = mlp("float64")
    with pytest.raises(ValuesError, match="Leave one of them out"):
        net.loss(weights, data, loss, memory_limit="1 GB", chunk_size=5)


@pytest.mark.parametrize(
    ("words", "count"), [("7", 7), ("1 kB", 1000), ("1.5KiB", 1536), ("2 gib", 2**31), (" 3MB ", 3 * MB), (12, 12)]
)
def test_amounts_of_memory_are_read(words: Any, count: int) -> None:
    assert bytes_of(words) == count


@given(
    st.integers(0, 10**6), st.integers(0, 1000), st.integers(1, 500), st.integers(1, 500), st.integers(1, 300),
    st.integers(1, 10**8),
)  # fmt: skip
def test_what_is_taken_at_once_fits_and_one_more_datum_would_not(
    sums: int, aside: int, datum: int, covector: int, covectors: int, limit: int
) -> None:
    demand, most = Demand(sums, aside, datum, covector, 8), AtOnce(10**9, covectors)
    try:
        found = at_once_within(limit, demand, covectors, most)
    except MemoryLimitError:
        assert 8 * (sums + aside + datum + covector) > limit
        return

    def needed(data: int) -> int:
        return 8 * (sums + aside + data * (datum + found.covectors * covector))

    assert needed(found.data) <= limit < needed(found.data + 1)
    assert 1 <= found.covectors <= covectors
