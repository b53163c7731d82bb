"""Dense forms on the weight space of a whole network."""

from __future__ import annotations

import numpy as np

import geomkfac as gk


def test_the_fisher_metric_of_several_layers_is_damped_as_a_whole():
    net, iota = gk.MLP.from_widths((2, 3, 2), "tanh")
    rng = np.random.default_rng(0)
    weights = net.weight_space.from_coordinates([rng.standard_normal(layer.slots) for layer in net.layers], iota)
    data = iota.sample(rng.standard_normal((30, 2)))
    g = net.fisher_metric(weights, data, gk.Bernoulli().on(iota))
    damped = g.damped(iota.euclidean, 0.5).coordinates(iota)
    np.testing.assert_allclose(damped, g.coordinates(iota) + 0.5 * np.eye(17), rtol=1e-12)
