"""KFC's assumptions, measured: 0 where they hold by construction, large where they cannot hold."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import geomkfac as gk
from geomkfac.errors import KindError

ROUNDING = 1e-12
"""Sums of at most 400 products of numbers of size 1."""


def measured(X, stages, *, fisher="exact", y=None, output=None):
    """The assumptions of a network with random weights on maps X (N, *grid, J)."""
    net, iota = gk.ConvolutionalNetwork.from_shape(X.shape[1:-1], X.shape[-1], stages)
    weights = net.random_weights(np.random.default_rng(0), iota)
    model = gk.Categorical().on(iota) if output is None else output(iota)
    targets = np.arange(len(X)) % net.outputs.dim if y is None else y
    return net.assumptions(weights, iota.sample(X, targets), model, iota, fisher=fisher)


def test_constant_derivatives_are_independent_of_the_activations():
    """A linear network with squared loss: Ds does not depend on the datum, so IAD holds exactly."""
    X = np.random.default_rng(0).standard_normal((40, 4, 4, 2))
    (layer,) = measured(
        X, [gk.Convolution(2, kernel=2), gk.Dense(3)], y=np.zeros((40, 3)), output=lambda i: gk.Gaussian().on(i)
    )
    assert layer.iad < ROUNDING
    assert layer.iad_noise < ROUNDING
    (layer,) = measured(X, [gk.Convolution(2, kernel=2), "tanh", gk.Dense(3)])
    assert layer.iad > 0.02


def test_outputs_everywhere_have_uncorrelated_and_homogeneous_derivatives():
    """Linear, with squared loss at every location: SUD and SH hold exactly for derivatives, and so does K-FAC."""
    X = np.random.default_rng(0).standard_normal((40, 4, 4, 2))
    (layer,) = measured(
        X, [gk.Convolution(2, kernel=2)], y=np.zeros((40, 3, 3, 2)), output=lambda i: gk.Gaussian().on(i)
    )
    assert layer.sud < ROUNDING
    assert layer.sh_derivatives < 1e-6  # the square root of rounding
    assert layer.kfac < ROUNDING


def test_a_mean_over_the_map_correlates_derivatives_entirely():
    X = np.random.default_rng(0).standard_normal((40, 4, 4, 2))
    (layer,) = measured(X, [gk.Convolution(3, kernel=2), gk.AveragePooling()])
    assert layer.sud == pytest.approx(1.0, abs=ROUNDING)
    assert np.allclose(layer.derivatives, 1.0, rtol=0, atol=ROUNDING)
    assert layer.derivatives.shape == (3, 5, 5)
    assert layer.across_derivatives.shape == (3, 3)
    assert layer.activations.shape == (2, 7, 7)


@pytest.mark.parametrize("fisher", ["exact", "sampled", "empirical"])
def test_data_in_batches_are_measured_as_the_whole(fisher):
    rng = np.random.default_rng(0)
    net, iota = gk.ConvolutionalNetwork.from_shape((4, 4), 2, [gk.Convolution(2, 2), "tanh", gk.Convolution(2, 2)])
    weights, loss = net.random_weights(rng, iota), gk.Categorical().on(iota)
    X, y = rng.standard_normal((20, 4, 4, 2)), rng.integers(0, 2, (20, 2, 2))
    batches = [(X[start:stop], y[start:stop]) for start, stop in ((0, 3), (3, 4), (4, 15), (15, 20))]
    samples = iota.sample(X, y), iota.sample(batches)
    found = [net.assumptions(weights, sample, loss, iota, fisher=fisher) for sample in samples]
    for whole, cut in zip(*found, strict=True):
        for field in dataclasses.fields(whole):
            one, other = (np.asarray(getattr(layer, field.name)) for layer in (whole, cut))
            # Quotients of sums that are off by ROUNDING; and roots of these, which are no smaller than a thousandth.
            assert one.ndim or one == 0 or one > 0.001, field.name
            assert np.abs(one - other).max() <= 1000 * ROUNDING, field.name


def test_homogeneity_is_measured_without_what_chance_adds():
    """White noise at every place is homogeneous and uncorrelated; a fixed picture in it is not."""
    rng = np.random.default_rng(0)
    white = rng.standard_normal((2000, 3, 3, 1))
    stages = [gk.Convolution(2, kernel=2), "tanh", gk.Dense(2)]
    (plain,) = measured(white, stages)
    (framed,) = measured(white + np.pad(np.full((1, 1, 1), 5.0), ((1, 1), (1, 1), (0, 0))), stages)
    # Two halves of 1,000: second moments to within 1/sqrt(1000), of 9 places.
    assert plain.sh_activations < 0.15
    assert plain.sua < 0.1
    assert framed.sh_activations > 0.5


def test_exact_kinds_and_weighted_data_are_refused():
    from geomkfac.arrays import GF

    net, iota = gk.ConvolutionalNetwork.from_shape((3,), 1, [gk.Convolution(1, 2)], kind=GF(2147483629))
    weights = net.random_weights(np.random.default_rng(0), iota)
    output = gk.EuclideanMetric(iota[net.outputs])
    with pytest.raises(KindError, match="measuring correlations needs an ordered kind"):
        net.assumptions(weights, iota.sample([[[1], [2], [3]]]), output, iota)
    net, iota = gk.ConvolutionalNetwork.from_shape((3,), 1, [gk.Convolution(1, 2)])
    weights = net.random_weights(np.random.default_rng(0), iota)
    data = iota.sample(np.ones((2, 3, 1)), weights=np.ones(2))
    with pytest.raises(KindError, match="without weights"):
        net.assumptions(weights, data, gk.EuclideanMetric(iota[net.outputs]), iota)


def test_the_figure_has_a_row_for_every_convolution(tmp_path):
    pytest.importorskip("matplotlib")
    from geomkfac.display import draw_correlations
    from geomkfac.errors import ShapeError

    X = np.random.default_rng(0).standard_normal((20, 4, 4, 1))
    layers = measured(X, [gk.Convolution(2, 2), "tanh", gk.Convolution(4, 2), "tanh", gk.Dense(2)])
    draw_correlations(layers, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ShapeError, match="at least one convolution"):
        draw_correlations([], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_they_are_of_the_frames_that_are_named_and_not_of_those_of_the_weights():
    stages = [gk.Convolution(2, kernel=2, padding=1), "tanh", gk.Convolution(2, kernel=2), gk.Dense(2)]
    net, iota = gk.ConvolutionalNetwork.from_shape((4, 4), 2, stages)
    weights = net.random_weights(np.random.default_rng(0), iota)
    data = iota.sample(np.random.default_rng(1).standard_normal((30, 4, 4, 2)), np.arange(30) % 2)
    kappa, loss = iota.random(np.random.default_rng(2)), gk.Categorical().on(iota)
    plain = net.assumptions(weights, data, loss, iota)
    elsewhere = net.assumptions(weights.expressed_in(kappa), data.expressed_in(kappa), loss, iota)
    other = net.assumptions(weights, data, loss, kappa)
    for one, two, three in zip(plain, elsewhere, other, strict=True):
        # Correlations, of sums over 30 data and 25 places, through changes of basis of condition below 100.
        allowed = 30 * 25 * 100**2 * np.finfo(float).eps
        assert abs(one.sh_activations - two.sh_activations) <= allowed
        assert np.abs(one.derivatives - two.derivatives).max() <= allowed
        assert np.abs(one.activations - two.activations).max() <= allowed
        assert np.abs(one.activations - three.activations).max() > 1e6 * allowed
