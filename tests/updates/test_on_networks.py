"""What update rules are told of a network: the same mean, places and scaling as its metric and its differential."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geomkfac as gk
from geomkfac.arrays import GF
from geomkfac.errors import ShapeError, SpaceMismatchError, ValuesError
from geomkfac.metrics import Bernoulli, GenericFamily
from geomkfac.spaces import Sample
from geomkfac.testing import convolutional_networks, networks, recurrent_networks
from geomkfac.updates.on_networks import layers_to_update

FIELD = GF(2147483629)
NS = FIELD.default_namespace


def agrees(told, net, weights, data, loss, iota):
    """Whether every layer's A, G and gradient are those of the network's own metric and differential."""
    metric = net.kfac_metric(weights, data, loss).coordinates(iota)
    dh = net.differential(weights, data, loss).coordinates(iota)
    return all(
        NS.equal(layer.A, A) and NS.equal(layer.G, G) and NS.equal(layer.gradient, part) and NS.equal(layer.weights, W)
        for layer, block, part, W in zip(told, metric.blocks, dh, weights.coordinates(iota), strict=True)
        for A, G in (block.factors,)
    )


@given(drawn=networks(FIELD) | convolutional_networks(FIELD) | recurrent_networks(FIELD), seed=st.integers(0, 99))
def test_factors_and_gradients_are_the_networks_own(drawn, seed):
    net, weights, iota = drawn
    rng = np.random.default_rng(seed)
    kappa = iota.random(rng)
    inputs = NS.random(rng, (3, *net.inputs.slots))
    loss = GenericFamily(iota[net.outputs], rng, 2)
    for own in (iota, kappa):
        here = weights.expressed_in(own)
        data = iota.sample(inputs).expressed_in(own)
        told = layers_to_update(net, here, data, loss)
        assert agrees(told, net, here, data, loss, own)


@pytest.mark.parametrize(
    "fault",
    [
        lambda layer: dataclasses.replace(layer, places=1),
        lambda layer: dataclasses.replace(layer, derivatives=layer.derivatives * 2),
        lambda layer: dataclasses.replace(layer, coefficients=layer.coefficients * 2),
        lambda layer: dataclasses.replace(layer, inputs=layer.inputs[:, ::-1]),
    ],
    ids=["a sum over places", "a sum over data", "a metric twice", "the constant first"],
)
def test_the_comparison_sees_faults(fault):
    rng = np.random.default_rng(3)
    net, iota = gk.ConvolutionalNetwork.from_shape((4,), 2, [gk.Convolution(2, 2)], kind=FIELD)
    weights = net.weight_space.from_coordinates([NS.random(rng, layer.slots) for layer in net.layers], iota)
    data, loss = iota.sample(NS.random(rng, (3, 4, 2))), GenericFamily(iota[net.outputs], rng, 2)
    told = layers_to_update(net, weights, data, loss)
    assert agrees(told, net, weights, data, loss, iota)
    assert not agrees([fault(layer) for layer in told], net, weights, data, loss, iota)


def problem():
    net, iota = gk.MLP.from_widths((2, 3, 2), "tanh")
    rng = np.random.default_rng(0)
    weights = net.random_weights(rng, iota)
    return net, weights, iota, rng.standard_normal((7, 2)), rng.integers(0, 2, (7, 2)).astype(float)


@pytest.mark.parametrize("chunk_size", [None, 3])
def test_loss_and_differential_come_from_one_pass(chunk_size):
    net, weights, iota, X, y = problem()
    data, output = iota.sample(X, y, weights=np.arange(1.0, 8.0)), Bernoulli().on(iota)
    loss, dh = net.loss_and_differential(weights, data, output, chunk_size=chunk_size)
    assert loss == net.loss(weights, data, output, chunk_size=chunk_size)
    for one, other in zip(
        dh.coordinates(iota),
        net.differential(weights, data, output, chunk_size=chunk_size).coordinates(iota),
        strict=True,
    ):
        assert np.array_equal(one, other)


def test_samples_with_weights_or_lengths_are_refused():
    net, weights, iota, X, y = problem()
    with pytest.raises(ValuesError, match="one weight and one length"):
        layers_to_update(net, weights, iota.sample(X, y, weights=np.ones(7)), Bernoulli().on(iota))


def test_a_stream_of_several_batches_is_refused():
    net, weights, iota, X, y = problem()
    loss = Bernoulli().on(iota)
    with pytest.raises(ValuesError, match="came a sample of 2 batches"):
        layers_to_update(net, weights, Sample.from_batches([(X[:4], y[:4]), (X[4:], y[4:])], iota[net.inputs]), loss)
    whole = layers_to_update(net, weights, iota.sample(X, y), loss)
    one = layers_to_update(net, weights, Sample.from_batches([(X, y)], iota[net.inputs]), loss)
    assert all(np.array_equal(a.gradient, b.gradient) for a, b in zip(one, whole, strict=True))


# -- arrays of steps and of differentials ------------------------------------------------------------------
@given(drawn=networks(FIELD) | convolutional_networks(FIELD) | recurrent_networks(FIELD), seed=st.integers(0, 99))
def test_a_step_is_laid_out_as_the_weights_are(drawn, seed):
    net, weights, iota = drawn
    kappa = iota.random(np.random.default_rng(seed))
    v = net.weight_space.direction.from_coordinates(
        [NS.random(np.random.default_rng(seed), layer.slots) for layer in net.layers], iota
    )
    for own in (iota, kappa):
        moved = net.to_arrays(weights + v, own)
        for (W, b), (dW, db), (W_new, b_new) in zip(
            net.to_arrays(weights, own), net.to_arrays(v, own), moved, strict=True
        ):
            assert NS.equal(W + dW, W_new)
            assert NS.equal(b + db, b_new)


def test_a_differential_pairs_with_a_step_entry_by_entry():
    net, weights, iota, X, y = problem()
    dh = net.differential(weights, iota.sample(X, y), Bernoulli().on(iota))
    v = net.random_weights(np.random.default_rng(1), iota) - weights
    kappa = iota.random(np.random.default_rng(2))
    pairs = zip(net.to_arrays(dh, kappa), net.to_arrays(v, kappa), strict=True)
    total = sum(float((p * q).sum()) for left, right in pairs for p, q in zip(left, right, strict=True))
    size = sum(
        float(np.linalg.norm(p)) * float(np.linalg.norm(q))
        for left, right in zip(net.to_arrays(dh, kappa), net.to_arrays(v, kappa), strict=True)
        for p, q in zip(left, right, strict=True)
    )
    # 17 products, of components that a change of basis of condition at most 100 there and back has rounded.
    assert abs(total - float(dh(v))) <= 17 * 100 * np.finfo(float).eps * size


def test_what_is_no_element_of_the_weights_is_refused():
    net, weights, iota, X, _ = problem()
    other, _ = gk.MLP.from_widths((2, 3, 2), "tanh")
    with pytest.raises(SpaceMismatchError, match="a differential, a covector on it"):
        other.to_arrays(weights, iota)
    with pytest.raises(SpaceMismatchError, match="required: weights"):
        net.to_arrays(X, iota)
    batch = net.weight_space.from_coordinates(
        [np.stack([part, part]) for part in weights.coordinates(iota)], iota
    )
    with pytest.raises(ShapeError, match="one point"):
        net.to_arrays(batch, iota)
