"""Gauge programs: layers applied at many places."""

from __future__ import annotations

from typing import Any

import numpy as np

import geomkfac as gk
from geomkfac import maps
from geomkfac.arrays.namespace import Kind

from .registry import numbers, program


def square(source: Any, target: Any) -> Any:
    """z + z^2, over every kind."""
    return maps.CoordinatewiseMap(source, target, maps.polynomial(0, 1, 1))


def convolution(kind: Kind, activation: Any = square) -> tuple[Any, Any, Any]:
    """Maps of 3 x 4 and two channels, in two groups, with a border that is a point, and a dense end."""
    scale = 1 if kind.is_exact else 0.5
    border = numbers(kind, 2, seed=3)
    stages = [
        gk.Convolution(padding=1, groups=2, border=border),
        activation,
        gk.AveragePooling((1, 2)),
        gk.Dense(),
    ]
    Ws = [numbers(kind, 4, 1, 2, 3, seed=1) * scale, numbers(kind, 2, 32, seed=2) * scale]
    bs = [numbers(kind, 4, seed=4) * scale, numbers(kind, 2, seed=5)]
    return gk.ConvolutionalNetwork.from_arrays(Ws, bs, (3, 4), stages, kind=kind)


def recurrence(kind: Kind, activation: Any = square, at: str = "every") -> tuple[Any, Any, Any]:
    """Three steps, a learned initial state."""
    scale = 1 if kind.is_exact else 0.3
    Ws = [numbers(kind, 2, 2, seed=1) * scale, numbers(kind, 2, 1, seed=2) * scale, numbers(kind, 2, 2, seed=3) * scale]
    bs = [numbers(kind, 2, seed=seed) * scale for seed in (4, 5, 6, 7)]
    net, iota = gk.RecurrentNetwork.from_widths(1, 2, 2, 3, activation, initial="learned", at=at, kind=kind)
    return net, net.weights_from_arrays(Ws, bs, iota), iota


@program("PowerSpace", "PowerVectorSpace", slots=3)
def points_at_every_place(kind: Kind) -> Any:
    A = gk.AffineSpace("A", 2, kind)
    iota = A.frame("iota")
    kappa = iota.change(numbers(kind, 2, 2, seed=1), numbers(kind, 2, seed=2))
    grid = gk.PowerSpace(A, (2, 3))
    p, q = (grid.from_coordinates(numbers(kind, 2, 3, 2, seed=seed), grid.frame(iota)) for seed in (3, 4))
    phi = grid.direction.dual.from_coordinates(numbers(kind, 2, 3, 2, seed=5), grid.frame(iota).linear.dual)
    again = grid.gather(grid.spread(p))
    return (
        again.coordinates(grid.frame(kappa)),
        (p - q).coordinates(grid.frame(iota).linear),
        phi.coordinates(grid.frame(kappa).linear.dual),
        gk.Hull(grid).of_point(p).coordinates(grid.frame(kappa).hull),
    )


@program(
    "ConvolutionalNetwork",
    "Network",
    "Convolution",
    "AveragePooling",
    "Dense",
    rounds_nothing=False,
    slots=2,
    solves=1000.0,
)
def a_convolutional_network_and_its_metric(kind: Kind) -> Any:
    net, weights, iota = convolution(kind)
    X = numbers(kind, 40, 3, 4, 2, seed=9)
    data, loss = iota.sample(X, numbers(kind, 40, 2, seed=10)), gk.Gaussian().on(iota)
    g, dh = net.kfac_metric(weights, data, loss), net.differential(weights, data, loss)
    reduced = net.kfac_metric(weights, data, loss, sharing="reduce")
    factors = tuple(factor for block in g.coordinates(iota).blocks for factor in block.factors)
    others = tuple(factor for block in reduced.coordinates(iota).blocks for factor in block.factors)
    outputs = net(weights, net.inputs.from_coordinates(X, iota)).coordinates(iota)
    return factors, others, dh.coordinates(iota), outputs, net.to_arrays(weights, iota)


@program("MaxPooling", "LayerAssumptions", exact=False, rounds_nothing=False, slots=2, solves=100.0)
def maxima_and_assumptions_in_a_named_frame(kind: Kind) -> Any:
    stages = [gk.Convolution(2, kernel=2), "tanh", gk.MaxPooling(2), gk.Dense(2)]
    net, iota = gk.ConvolutionalNetwork.from_shape((5, 5), 1, stages, kind=kind)
    weights = net.random_weights(np.random.default_rng(0), iota)
    data = iota.sample(numbers(kind, 20, 5, 5, 1, seed=9), np.arange(20) % 2)
    (layer,) = net.assumptions(weights, data, gk.Categorical().on(iota), iota)
    numbers_of = np.asarray([layer.iad, layer.sh_activations, layer.sud, layer.sua, layer.kfac])
    return (
        numbers_of,
        layer.derivatives,
        net.kfac_metric(weights, data, gk.Categorical().on(iota)).coordinates(iota).blocks[0].factors,
    )


@program("RecurrentNetwork", rounds_nothing=False, slots=2, solves=1000.0)
def a_recurrence_and_its_metric(kind: Kind) -> Any:
    X, found = numbers(kind, 12, 3, 1, seed=9), []
    for at, y in (("every", numbers(kind, 12, 3, 2, seed=10)), ("last", numbers(kind, 12, 2, seed=10))):
        net, weights, iota = recurrence(kind, at=at)
        data, loss = iota.sample(X, y, lengths=[3, 2, 1] * 4), gk.Gaussian().on(iota)
        g, dh = net.kfac_metric(weights, data, loss), net.differential(weights, data, loss)
        found.append(tuple(factor for block in g.coordinates(iota).blocks for factor in block.factors))
        found.append(dh.coordinates(iota))
        found.append(net(weights, net.inputs.from_coordinates(X, iota)).coordinates(iota))
    return tuple(found)
