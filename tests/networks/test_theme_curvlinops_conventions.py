"""Factors of convolutions in the conventions of curvlinops, against factors that it computed itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geomkfac as gk
from geomkfac.errors import ShapeError
from geomkfac.interop import channel_major, offset_major

RECORDED = Path(__file__).parents[1] / "data" / "curvlinops-factors.npz"
"""Written by benchmarks/record_curvlinops.py."""

STAGES = [
    gk.Convolution(stride=(2, 1), padding=1), "tanh", gk.AveragePooling(2), gk.Convolution(dilation=(1, 2)), "tanh",
    gk.Dense(),
]  # fmt: skip


@pytest.fixture(scope="module")
def recorded():
    with np.load(RECORDED) as file:
        return dict(file)


@pytest.mark.parametrize("sharing", ["expand", "reduce"])
@pytest.mark.parametrize(("fisher", "theirs"), [("exact", "type-2"), ("empirical", "empirical")])
def test_factors_are_curvlinops(recorded, sharing, fisher, theirs):
    Ws, bs = ([recorded[f"layer{k}.{part}"] for k in (1, 2, 3)] for part in ("weight", "bias"))
    net, weights, iota = gk.ConvolutionalNetwork.from_arrays(Ws, bs, (9, 10), STAGES)
    data = iota.sample(np.ascontiguousarray(np.moveaxis(recorded["X"], 1, -1)), recorded["y"])
    loss = gk.Categorical().on(iota)
    g = net.kfac_metric(weights, data, loss, fisher=fisher, sharing=sharing)
    for k, (layer, block) in enumerate(zip(net.layers, g.coordinates(iota).blocks, strict=True), start=1):
        A, G = block.factors
        A = channel_major(A, layer.domain.places)
        for name, ours in (("A", A), ("G", G)):
            other = recorded[f"{sharing}.{theirs}.layer{k}.{name}"]
            # Sums over 7 data, 50 places and 3 classes, after two layers of 12 products, in another order.
            assert np.abs(ours - other).max() <= 1000 * np.finfo(float).eps * np.abs(other).max(), (k, name)


def test_expand_and_reduce_differ_where_places_are_shared(recorded):
    one, two = (recorded[f"{sharing}.type-2.layer1.G"] for sharing in ("expand", "reduce"))
    assert np.abs(one - two).max() > 0.1 * np.abs(one).max()


@given(K=st.integers(1, 3), J=st.integers(1, 3))
def test_orders_of_patches_are_each_others_inverse(K, J):
    size = K * J + 1
    factor = np.arange(float(size * size)).reshape(size, size)
    assert np.array_equal(offset_major(channel_major(factor, K), K), factor)
    # Coordinate (k, j) of ours stands at k J + j, of theirs at j K + k.
    for k in range(K):
        for j in range(J):
            assert channel_major(factor, K)[j * K + k, -1] == factor[k * J + j, -1]


def test_a_factor_of_another_shape_is_refused():
    with pytest.raises(ShapeError, match="K that divides 4"):
        channel_major(np.ones((5, 5)), 3)
    with pytest.raises(ShapeError, match="K J"):
        channel_major(np.ones((5, 4)), 2)
