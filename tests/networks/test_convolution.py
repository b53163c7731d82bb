"""Convolutional networks: against PyTorch and by loops; derivatives; metrics; the same in every basis."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import geomkfac as gk
from geomkfac.arrays import GF
from geomkfac.errors import DegenerateMetricError
from geomkfac.metrics import GenericFamily
from geomkfac.testing import convolutional_networks

FIELD = GF(2147483629)
BORDERS = ("zeros", "reflect", "replicate", "circular")


def two_layers(groups=1, *, stride=1, dilation=1, padding=1, border="zeros", seed=0):
    """Maps of 9 x 8 and two channels, and the arrays of the network."""
    rng = np.random.default_rng(seed)
    Ws = [rng.standard_normal((4, 2 // groups, 3, 2)) / 2, rng.standard_normal((2, 4 // groups, 2, 2)) / 2]
    bs = [rng.standard_normal(4), rng.standard_normal(2)]
    first = gk.Convolution(stride=stride, dilation=dilation, padding=padding, groups=groups, border=border)
    net, weights, iota = gk.ConvolutionalNetwork.from_arrays(
        Ws, bs, (9, 8), [first, "tanh", gk.Convolution(groups=groups)]
    )
    return net, weights, iota, Ws, bs


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(
    ("stride", "dilation", "groups", "padding"), list(itertools.product((1, 2, (2, 1)), (1, 2), (1, 2), (0, 1, (2, 1))))
)
def test_values_and_gradients_are_pytorchs(stride, dilation, groups, padding, border):
    torch = pytest.importorskip("torch")
    if border == "circular" and padding == (2, 1):
        padding = (1, 1)
    net, weights, iota, Ws, bs = two_layers(groups, stride=stride, dilation=dilation, padding=padding, border=border)
    X = np.random.default_rng(1).standard_normal((3, 9, 8, 2))
    both = (padding, padding) if isinstance(padding, int) else padding
    mode = {"zeros": "constant"}.get(border, border)
    parameters = [torch.tensor(array, requires_grad=True) for pair in zip(Ws, bs, strict=True) for array in pair]
    x = torch.nn.functional.pad(
        torch.tensor(np.moveaxis(X, -1, 1).copy()), (both[1], both[1], both[0], both[0]), mode=mode
    )
    hidden = torch.nn.functional.conv2d(
        x, parameters[0], parameters[1], stride=stride, dilation=dilation, groups=groups
    ).tanh()
    expected = torch.nn.functional.conv2d(hidden, parameters[2], parameters[3], groups=groups)
    outputs = net(weights, net.inputs.from_coordinates(X, iota)).coordinates(iota)
    found = np.moveaxis(outputs, -1, 1)
    # Sums of at most 13 and 9 products of numbers of size 1, twice.
    rounding = 64 * np.finfo(float).eps
    assert np.abs(found - expected.detach().numpy()).max() <= rounding * np.abs(found).max()

    y = np.random.default_rng(2).standard_normal(outputs.shape)
    loss = 0.5 * ((expected - torch.tensor(np.moveaxis(y, -1, 1).copy())) ** 2).sum() / 3
    loss.backward()
    dh = net.differential(weights, iota.sample(X, y), gk.Gaussian().on(iota))
    arrays = net.to_arrays(weights + _as_vector(net, dh, iota), iota)
    for (W, b), W0, b0, dW, db in zip(arrays, Ws, bs, parameters[::2], parameters[1::2], strict=True):
        for new, old, gradient in ((W, W0, dW.grad), (b, b0, db.grad)):
            size = np.abs(gradient.numpy()).max() + np.abs(old).max()
            # Sums over 3 data and at most 72 places.
            assert np.abs(new - old - gradient.numpy()).max() <= 200 * rounding * size


def _as_vector(net, covector, iota):
    """The vector with the components of a covector, so that `to_arrays` lays it out."""
    return net.weight_space.direction.from_coordinates(covector.coordinates(iota), iota)


@pytest.mark.parametrize("axes", [1, 3])
def test_signals_and_volumes_are_pytorchs_too(axes):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    grid, kernel = (5, 4, 6)[:axes], (2, 3, 2)[:axes]
    W, b, X = rng.standard_normal((3, 2, *kernel)), rng.standard_normal(3), rng.standard_normal((2, *grid, 2))
    net, weights, iota = gk.ConvolutionalNetwork.from_arrays([W], [b], grid, [gk.Convolution(stride=2, padding=1)])
    conv = getattr(torch.nn.functional, f"conv{axes}d")
    expected = conv(torch.tensor(np.moveaxis(X, -1, 1).copy()), torch.tensor(W), torch.tensor(b), stride=2, padding=1)
    found = net(weights, net.inputs.from_coordinates(X, iota)).coordinates(iota)
    assert np.allclose(np.moveaxis(found, -1, 1), expected.numpy(), rtol=0, atol=64 * np.finfo(float).eps * 10)


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_pooling_and_flattening_are_pytorchs(pooling):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    Ws, bs = [rng.standard_normal((3, 1, 2, 2)), rng.standard_normal((2, 3 * 2 * 3))], [np.zeros(3), np.ones(2)]
    net, weights, iota = gk.ConvolutionalNetwork.from_arrays(
        Ws, bs, (5, 7), f"convolution tanh {pooling}(window=2, stride=(2, 2)) dense"
    )
    X = rng.standard_normal((4, 5, 7, 1))
    hidden = torch.nn.functional.conv2d(torch.tensor(np.moveaxis(X, -1, 1).copy()), torch.tensor(Ws[0])).tanh()
    pool = torch.nn.functional.avg_pool2d if pooling == "average" else torch.nn.functional.max_pool2d
    expected = pool(hidden, 2).flatten(1).numpy() @ Ws[1].T + bs[1]
    found = net(weights, net.inputs.from_coordinates(X, iota)).coordinates(iota)
    assert np.allclose(found, expected, rtol=0, atol=64 * np.finfo(float).eps * np.abs(expected).max())


def test_a_given_point_at_the_border_is_carried_along():
    border = np.asarray([0.5, -1.0])
    net, weights, iota, *_ = two_layers(border=border)
    kappa = iota.random(np.random.default_rng(3))
    X = np.random.default_rng(1).standard_normal((3, 9, 8, 2))
    points = net.inputs.from_coordinates(X, iota)
    one = net(weights, points).coordinates(iota)
    other = net(weights.expressed_in(kappa), points.expressed_in(kappa)).coordinates(iota)
    # Two layers, bases of condition 10 each way.
    assert np.abs(one - other).max() <= 10**4 * 64 * np.finfo(float).eps * np.abs(one).max()
    padded = np.pad(X, ((0, 0), (1, 1), (1, 1), (0, 0)))
    padded[:, [0, -1]] = padded[:, :, [0, -1]] = border
    bare, own, frames, *_ = two_layers(padding=0)
    direct = gk.ConvolutionalNetwork.from_arrays(
        [W for W, _ in net.to_arrays(weights, iota)],
        [b for _, b in net.to_arrays(weights, iota)],
        (11, 10),
        [gk.Convolution(), "tanh", gk.Convolution()],
    )
    assert bare.layers and own.space and frames
    value = direct[0](direct[1], direct[0].inputs.from_coordinates(padded, direct[2])).coordinates(direct[2])
    assert np.array_equal(value, one)


@settings(suppress_health_check=list(HealthCheck))
@given(drawn=convolutional_networks(FIELD), seed=st.integers(0, 99))
def test_metric_differential_and_step_are_the_same_in_every_basis(drawn, seed):
    net, weights, iota = drawn
    rng = np.random.default_rng(seed)
    kappa, ns = iota.random(rng), FIELD.default_namespace
    loss = GenericFamily(iota[net.outputs], rng, 2)
    data = iota.sample(ns.random(rng, (4, *net.inputs.slots)), weights=ns.random(rng, (4,)))
    there = weights.expressed_in(kappa), data.expressed_in(kappa)
    for sharing in ("expand", "reduce"):
        one = net.kfac_metric(weights, data, loss, sharing=sharing)
        assert one == net.kfac_metric(*there, loss, sharing=sharing)
    dh = net.differential(weights, data, loss)
    assert dh == net.differential(*there, loss)
    g = net.kfac_metric(weights, data, loss)
    try:
        assert g.sharp(dh) == net.kfac_metric(*there, loss).sharp(dh)
    except DegenerateMetricError:
        return


@settings(suppress_health_check=list(HealthCheck))
@given(drawn=convolutional_networks(FIELD), seed=st.integers(0, 99), chunk=st.integers(1, 3))
def test_chunks_and_covectors_at_a_time_do_not_show(drawn, seed, chunk):
    net, weights, iota = drawn
    rng, ns = np.random.default_rng(seed), FIELD.default_namespace
    metric = gk.EuclideanMetric(iota[net.outputs])
    data = iota.sample(ns.random(rng, (4, *net.inputs.slots)))
    whole = net.kfac_metric(weights, data, metric)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(net), "_at_once", lambda self, count: 2)
        assert whole == net.kfac_metric(weights, data, metric, chunk_size=chunk)


def test_kfcs_scaling_is_the_same_metric_in_another_gauge():
    net, weights, iota, *_ = two_layers()
    X = np.random.default_rng(1).standard_normal((5, 9, 8, 2))
    data, loss = iota.sample(X, np.zeros((5, *net.output_places, 2))), gk.Gaussian().on(iota)
    blocks = (
        net.kfac_metric(weights, data, loss, sharing=sharing).coordinates(iota).blocks for sharing in ("expand", "kfc")
    )
    for ours, kfc in zip(*blocks, strict=True):
        places = kfc.factors[0][-1, -1]
        assert ours.factors[0][-1, -1] == 1
        # Sums of the same products, divided by other counts.
        for one, two in ((ours.factors[0] * places, kfc.factors[0]), (ours.factors[1] / places, kfc.factors[1])):
            assert np.abs(one - two).max() <= 8 * np.finfo(float).eps * np.abs(two).max()


def test_moments_of_parts_merge_and_other_sharings_do_not():
    net, weights, iota, *_ = two_layers()
    X = np.random.default_rng(1).standard_normal((5, 9, 8, 2))
    loss = gk.EuclideanMetric(iota[net.outputs])
    halves = [net.moments(weights, iota.sample(X[part]), loss) for part in (slice(0, 2), slice(2, 5))]
    whole = net.kfac_metric(weights, iota.sample(X), loss).coordinates(iota).blocks
    for one, two in zip((halves[0] + halves[1]).metric().coordinates(iota).blocks, whole, strict=True):
        for a, b in zip(one.factors, two.factors, strict=True):
            # Sums of 5 * 72 products in another order.
            assert np.abs(a - b).max() <= 5 * 72 * np.finfo(float).eps * np.abs(b).max()
    with pytest.raises(gk.errors.KindError, match="one way of sharing"):
        halves[0] + net.moments(weights, iota.sample(X), loss, sharing="reduce")


def test_memory_beyond_inputs_and_factors_does_not_grow_with_the_data():
    import tracemalloc

    net, iota = gk.ConvolutionalNetwork.from_shape((16, 16), 2, "convolution(8, 3, padding=1) tanh average(2) dense(4)")
    weights = net.random_weights(np.random.default_rng(0), iota)

    def peak(count):
        data = iota.sample(np.random.default_rng(1).random((count, 16, 16, 2)), np.arange(count) % 4)
        loss = gk.Categorical().on(iota)
        net.kfac_metric(weights, data, loss, chunk_size=16)
        tracemalloc.start()
        net.kfac_metric(weights, data, loss, chunk_size=16)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    assert peak(256) < 1.2 * peak(64)


def test_the_last_layers_null_directions_are_known_through_a_mean():
    net, iota = gk.ConvolutionalNetwork.from_shape((4, 4), 1, [gk.Convolution(3, kernel=2), gk.AveragePooling()])
    weights = net.random_weights(np.random.default_rng(0), iota)
    data = iota.sample(np.random.default_rng(1).random((20, 4, 4, 1)), np.arange(20) % 3)
    g = net.kfac_metric(weights, data, gk.Categorical().on(iota))
    assert net.output_places == ()
    assert g.parts[0].codomain_form.nullity == 1
    kappa = iota.whitened(g, norm=iota.euclidean)
    assert np.allclose(np.linalg.eigvalsh(g.coordinates(kappa).blocks[0].factors[1]), [0, 1, 1], atol=1e-12)


def test_whitening_is_of_single_places():
    net, weights, iota, *_ = two_layers()
    X = 1 + np.random.default_rng(1).standard_normal((50, 9, 8, 2))
    g = net.kfac_metric(weights, iota.sample(X), gk.EuclideanMetric(iota[net.outputs]))
    for basis, centred in ((iota.centered(g), True), (iota.whitened(g), True), (iota, False)):
        A = g.coordinates(basis).blocks[0].factors[0]
        mean = A[:-1, -1].reshape(6, 2).mean(axis=0)
        assert bool(np.abs(mean).max() < 1e-12) is centred
    A = g.coordinates(iota.whitened(g)).blocks[0].factors[0]
    blocks = [A[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] for k in range(6)]
    # A 2 x 2 root and its inverse.
    assert np.allclose(np.mean(blocks, axis=0), np.eye(2), rtol=0, atol=1e-12)
