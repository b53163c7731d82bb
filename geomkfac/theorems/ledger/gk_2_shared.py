"""GK-2 where layers are applied at many places: when the K-FAC block is the exact block."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from geomkfac.arrays.array import Array
from geomkfac.networks import AveragePooling, Convolution, ConvolutionalNetwork, RecurrentNetwork
from geomkfac.networks.moments.second_moments import Sharing
from geomkfac.networks.network import Network
from geomkfac.operators import BlockDiagonal
from geomkfac.spaces import Parameterization, Point, Sample
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.abstract_networks import activation_of, constant_metric, random_weights
from geomkfac.theorems.ledger.lg_4 import grid


def _instance(world: World, net: Any, iota: Parameterization, *slots: int) -> tuple[Point, Sample]:
    weights = random_weights(world, net, iota)
    return weights, iota.sample(world.array(world.sizes.data, *slots), weights=world.positive(world.sizes.data))


def compared_blocks(net: Network, exact: Array, kfac: BlockDiagonal) -> Comparisons:
    """The diagonal blocks of both matrices, layer by layer."""
    start = 0
    for i, (layer, block) in enumerate(zip(net.layers, kfac.blocks, strict=True), start=1):
        stop = start + layer.dim
        yield same(f"block of layer {i}", block.dense(), exact[start:stop, start:stop])
        start = stop


def _blocks(
    world: World, net: Network, weights: Point, data: Sample, iota: Parameterization, sharing: Sharing = "expand"
) -> Comparisons:
    """The diagonal blocks of the exact metric, and those of the K-FAC metric, layer by layer."""
    output = constant_metric(world, iota[net.outputs])
    exact: Array = net.fisher_metric(weights, data, output).coordinates(iota)
    moments = net.moments(weights, data, output, sharing=sharing)
    if world.planted("the number of places left out"):
        layers = tuple(replace(one, covectors=one.covectors * (moments.weight / one.places)) for one in moments.layers)
        moments = replace(moments, layers=layers)
    if world.planted("sum for mean over places"):
        moments = replace(moments, layers=tuple(replace(one, places=moments.weight) for one in moments.layers))
    yield from compared_blocks(net, exact, moments.metric().coordinates(iota))


def one_location(world: World) -> Comparisons:
    """Convolutions whose kernels are the whole map, and one datum."""
    (J, m, k), size = world.sizes.widths, (world.sizes["height"], world.sizes["width"])
    stages = [Convolution(m, kernel=size), activation_of(world), Convolution(k, kernel=1)]
    net, iota = ConvolutionalNetwork.from_shape(size, J, stages, kind=world.kind)
    yield from _blocks(world, net, *_instance(world, net, iota, *size, J), iota)


def one_step(world: World) -> Comparisons:
    """A recurrence of one step, and one datum."""
    n, h, m = world.sizes.widths
    net, iota = RecurrentNetwork.from_widths(n, h, m, 1, activation_of(world), initial="learned", kind=world.kind)
    yield from _blocks(world, net, *_instance(world, net, iota, 1, n), iota)


def outputs_everywhere(world: World) -> Comparisons:
    """Linear; later layers act at single locations, and the loss is at every location: 'expand' is exact."""
    (J, m, k), size = world.sizes.widths, (world.sizes["height"], world.sizes["width"])
    stages = [Convolution(m, kernel=2), Convolution(k, kernel=1)]
    net, iota = ConvolutionalNetwork.from_shape(size, J, stages, kind=world.kind)
    yield from _blocks(world, net, *_instance(world, net, iota, *size, J), iota)


def _pooled(world: World, sharing: Sharing) -> Comparisons:
    (J, _, k), size = world.sizes.widths, (world.sizes["height"], world.sizes["width"])
    net, iota = ConvolutionalNetwork.from_shape(size, J, [Convolution(k, kernel=2), AveragePooling()], kind=world.kind)
    yield from _blocks(world, net, *_instance(world, net, iota, *size, J), iota, sharing)


def reduced_before_pooling(world: World) -> Comparisons:
    """Linear, then the mean over locations: 'reduce' is exact."""
    yield from _pooled(world, "reduce")


def expanded_before_pooling(world: World) -> Comparisons:
    """The same: 'expand' is not exact."""
    yield from _pooled(world, "expand")


LONE = (grid(1, 1, (1, 1, 1), 1), grid(2, 3, (2, 3, 2), 1))
STEP = (Sizes((1, 1, 1), 1), Sizes((2, 3, 2), 1))
LINEAR = (grid(2, 2, (1, 1, 1), 1), grid(3, 3, (2, 2, 2), 3))
POOLED = (grid(2, 3, (1, 1, 1), 1), grid(3, 3, (2, 1, 2), 3))
ORACLES = (
    ("one location and one datum", one_location, LONE),
    ("one step and one datum", one_step, STEP),
    ("linear, loss at every location: expand", outputs_everywhere, LINEAR),
    ("linear, then a mean over locations: reduce", reduced_before_pooling, POOLED),
)
CHECKS = (
    *(Check("X", name, identity, sizes, "GF(p)") for name, identity, sizes in ORACLES),
    *(Check("N", name, identity, sizes, "floating") for name, identity, sizes in ORACLES),
    Check("C", "expand before a mean over locations", expanded_before_pooling, POOLED, "GF(p)"),
)
MUTANTS = (
    Mutant("the number of places left out", outputs_everywhere, LINEAR[-1]),
    Mutant("sum for mean over places", outputs_everywhere, LINEAR[-1]),
)
