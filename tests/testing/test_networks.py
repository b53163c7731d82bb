"""Strategies for networks, metrics and forms draw what they say, and laws hold for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

from geomkfac.arrays import GF, floating, rational
from geomkfac.errors import DegenerateMetricError
from geomkfac.spaces import AffineSpace, VectorSpace
from geomkfac.testing import convolutional_networks, covector_metrics, forms, kinds, networks, recurrent_networks

FIELD = GF(2147483629)


@pytest.mark.parametrize("kind", [FIELD, rational, floating], ids=str)
def test_networks_run_on_points_of_their_inputs(kind):
    @given(networks(kind))
    def check(drawn):
        net, weights, iota = drawn
        ns = kind.default_namespace
        x = net.inputs.from_coordinates(ns.ones((2, net.inputs.dim)), iota)
        assert net(weights, x).coordinates(iota).shape == (2, net.outputs.dim)

    check()


@given(st.data())
def test_the_kfac_step_of_a_drawn_network_is_the_same_in_every_basis(data):
    """What the strategies are for: a law, exactly, over drawn networks, metrics and seeds of the second basis."""
    net, weights, iota = data.draw(networks(FIELD, max_layers=2))
    metric = data.draw(covector_metrics(iota[net.outputs]))
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    kappa = iota.random(rng)
    ns = FIELD.default_namespace
    sample = iota.sample(ns.random(rng, (5, net.inputs.dim)))
    one = net.kfac_metric(weights, sample, metric)
    other = net.kfac_metric(weights.expressed_in(kappa), sample.expressed_in(kappa), metric)
    assert one == other
    dh = net.weight_space.direction.dual.from_coordinates(
        [ns.random(rng, layer.slots) for layer in net.layers], iota
    )
    try:
        step = one.sharp(dh)
    except DegenerateMetricError:
        return
    assert step == other.sharp(dh.expressed_in(kappa))


@given(kinds(), st.data())
def test_forms_are_symmetric_and_nondegenerate(kind, data):
    V = VectorSpace("V", data.draw(st.integers(1, 3)), kind)
    e = V.frame("e")
    g = data.draw(forms(V, e))
    assert not g.is_degenerate
    matrix = g.coordinates(e)
    assert kind.default_namespace.equal(matrix, matrix.mT)


def test_forms_shrink_to_the_identity_and_metrics_to_few_covectors():
    V = VectorSpace("V", 2, rational)
    e = V.frame("e")
    ns = rational.default_namespace
    assert ns.equal(find(forms(V, e), lambda g: True).coordinates(e), ns.eye(2))
    Z = AffineSpace("Z", 2, rational)
    iota = Z.frame("iota")
    metric = find(covector_metrics(iota), lambda g: True)
    point = Z.from_coordinates([0, 0], iota)
    assert ns.is_zero(metric.at(point).coordinates(iota.linear))


@pytest.mark.parametrize("kind", [FIELD, rational, floating], ids=str)
@pytest.mark.parametrize("strategy", [convolutional_networks, recurrent_networks])
def test_shared_networks_run_on_points_of_their_inputs(kind, strategy):
    @settings(suppress_health_check=list(HealthCheck))
    @given(strategy(kind))
    def check(drawn):
        net, weights, iota = drawn
        ns = kind.default_namespace
        x = net.inputs.from_coordinates(ns.ones((2, *net.inputs.slots)), iota)
        assert net(weights, x).coordinates(iota).shape == (2, *net.output_places, net.outputs.dim)

    check()


@pytest.mark.parametrize(
    ("strategy", "smallest"),
    [
        pytest.param(
            convolutional_networks, "ConvolutionalNetwork(2x1 -> 2x1, 1 layers", id="maps", marks=pytest.mark.slow
        ),
        pytest.param(recurrent_networks, "RecurrentNetwork(1-1-1, 1 steps, outputs at every", id="sequences"),
    ],
)
def test_shared_networks_shrink_to_the_smallest(strategy, smallest):
    net, _, _ = find(strategy(FIELD), lambda drawn: True)
    assert repr(net).startswith(smallest)
