"""Random abstract networks whose layers are applied at many places: convolutions and recurrences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from geomkfac.arrays.array import Array
from geomkfac.metrics import OutputModel
from geomkfac.networks import Convolution, ConvolutionalNetwork, Dense, RecurrentNetwork
from geomkfac.networks.network import Network
from geomkfac.networks.passes.recurrent_pass import At
from geomkfac.spaces import Parameterization, Point, Sample
from geomkfac.theorems.engine.world import World
from geomkfac.theorems.instances.abstract_networks import activation_of, loss_and_data
from geomkfac.theorems.instances.textbook.over_places import Patches

KERNEL = Convolution(kernel=(2, 2), padding=((0, 1), (1, 0)))
"""Offsets {0, 1} x {-1, 0}: as many locations after as before, and a border on two sides alone."""


@final
@dataclass(frozen=True, slots=True)
class SharedInstance:
    """A random network, and all that an update needs; see `abstract_networks.Instance`.

    Attributes
    ----------
    net : a convolutional or recurrent network, its activations generic over exact kinds
    patches : how patches lie on the maps; of a recurrence, one place a step
    borders : arrays (J,), the border points of the layers in iota; for a recurrence (h,), the initial state
    """

    net: Network
    iota: Parameterization
    kappa: Parameterization
    weights: Point
    data: Sample
    fresh: Point
    loss: OutputModel
    rate: Array
    patches: Patches
    borders: tuple[Array, ...]


def convolutional(world: World, *, coordinatewise: bool = True, dense: bool = False) -> SharedInstance:
    """Convolutions of the world's widths on a grid `height` x `width`; outputs at every location, or `dense`."""
    widths, grid = world.sizes.widths, (world.sizes["height"], world.sizes["width"])
    stages: list[Any] = []
    borders = tuple(world.array(J) for J in widths[:-1])
    for index, m in enumerate(widths[1:]):
        last = index == len(widths) - 2
        if dense and last:
            stages.append(Dense(m))
        else:
            stages.append(
                Convolution(m, KERNEL.kernel, padding=KERNEL.padding, border=world.for_frames(borders[index]))
            )
        if not last:
            stages.append(activation_of(world, coordinatewise=coordinatewise))
    net, iota = ConvolutionalNetwork.from_shape(grid, widths[0], stages, kind=world.kind)
    offsets = tuple((p, q - 1) for p in range(2) for q in range(2))
    return _instance(world, net, iota, (*grid, widths[0]), Patches(grid, offsets), borders)


def recurrent(world: World, *, coordinatewise: bool = True, at: At = "every", learned: bool = False) -> SharedInstance:
    """A recurrence of widths (inputs, hidden, outputs) over `times` steps; its initial state is any point."""
    n, h, m = world.sizes.widths
    T, start = world.sizes["times"], world.array(h)
    net, iota = RecurrentNetwork.from_widths(
        n,
        h,
        m,
        T,
        activation_of(world, coordinatewise=coordinatewise),
        initial="learned" if learned else world.for_frames(start),
        at=at,
        kind=world.kind,
    )
    return _instance(world, net, iota, (T, n), Patches((T,), ((0,),)), (start,))


def _instance(
    world: World,
    net: ConvolutionalNetwork | RecurrentNetwork,
    iota: Parameterization,
    slots: tuple[int, ...],
    patches: Patches,
    borders: tuple[Array, ...],
) -> SharedInstance:
    parts = [
        world.array(layer.codomain.dim, layer.domain.dim + 1) * _shrink(world, layer.domain.dim) for layer in net.layers
    ]
    weights: Point = net.weight_space.from_coordinates(parts, iota)
    kappa = iota.random(world.rng, name="kappa")
    rate = world.number() if world.is_exact else world.ns.scalar(0.01)
    return SharedInstance(
        net, iota, kappa, weights, *loss_and_data(world, net, iota, *slots), rate, patches, borders
    )


def _shrink(world: World, n: int) -> float | int:
    """In floating point weights are of the size of those of a network: of variance 1/n."""
    return 1 if world.is_exact else max(n, 1) ** -0.5


def whole_metric(world: World, loss: OutputModel, frames: Parameterization, outputs: Array) -> tuple[Array, Array]:
    """The output metric of a datum as the direct sum over its places, made place by place.

    Parameters
    ----------
    outputs : array (N, P, m), coordinates in `frames`

    Returns
    -------
    weights (P K, N) and covectors (P K, N, P, m)
    """
    ns, (count, places, m) = world.ns, outputs.shape
    space = loss.space
    tensor = loss.fisher(space.from_coordinates(ns.reshape(outputs, (count * places, m)), frames))
    k = tensor.weights.shape[0]
    weights = ns.reshape(tensor.weights, (k, count, places))
    covectors = ns.reshape(tensor.covectors.coordinates(frames), (k, count, places, m))
    all_weights, all_covectors = [], []
    for p in range(places):
        unit = ns.reshape(ns.eye(places)[p, :], (places, 1))
        all_weights.append(weights[:, :, p])
        all_covectors.append(covectors[:, :, p, None, :] * unit)
    return ns.concat(all_weights, axis=0), ns.concat(all_covectors, axis=0)
