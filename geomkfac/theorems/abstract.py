"""A random abstract network with two parameterizations, its data, and a loss: nothing is assumed of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from geomkfac.arrays.namespace import Array
from geomkfac.maps import GenericMap
from geomkfac.metrics import Bernoulli, CovectorMetric, GenericFamily, Metric, OutputModel
from geomkfac.networks import MLP
from geomkfac.spaces import AffineSpace, BaseFrame, Frame, Parameterization, Point, Sample
from geomkfac.theorems.world import World

__all__ = ["Instance", "abstract_network", "constant_metric", "random_mlp"]


@final
@dataclass(frozen=True, slots=True)
class Instance:
    """A random network, and all that an update needs.

    Attributes
    ----------
    net : MLP, with generic activations over exact kinds and tanh in floating point
    iota, kappa : two parameterizations; kappa is a random one
    weights : Point of the weight space, stored in iota
    data : Sample with random weights
    fresh : Point of the inputs, a batch that no update has seen
    loss : an arbitrary loss with an arbitrary output metric; a Bernoulli family in floating point
    rate : the learning rate epsilon
    """

    net: MLP
    iota: Parameterization
    kappa: Parameterization
    weights: Point
    data: Sample
    fresh: Point
    loss: OutputModel
    rate: Array


def random_mlp(world: World, *, coordinatewise: bool = True) -> tuple[MLP, Parameterization]:
    """A network of the world's widths; its activations are generic over exact kinds, tanh in floating point."""
    widths, kind = world.sizes.widths, world.kind
    if not world.is_exact:
        return MLP.from_widths(widths, "tanh", kind=kind)
    inputs = AffineSpace("A0", widths[0], kind)
    frames: list[BaseFrame] = [inputs.frame("iota")]
    rhos = []
    for i, width in enumerate(widths[1:-1], start=1):
        before, after = AffineSpace(f"Z{i}", width, kind), AffineSpace(f"A{i}", width, kind)
        source, target = before.frame("iota"), after.frame("iota")
        frames += [source, target]
        rhos.append(GenericMap(source, target, world.rng, coordinatewise=coordinatewise))
    outputs = AffineSpace(f"Z{len(widths) - 1}", widths[-1], kind)
    frames.append(outputs.frame("iota"))
    iota = Parameterization(frames, inputs=inputs, outputs=outputs, name="iota")
    return MLP(inputs, rhos, outputs), iota


def abstract_network(world: World, *, coordinatewise: bool = True) -> Instance:
    """A random instance; `coordinatewise` activations, or (GK-12) any smooth maps."""
    net, iota = random_mlp(world, coordinatewise=coordinatewise)
    widths, count = world.sizes.widths, world.sizes.data
    parts = [world.array(m, n + 1) for m, n in zip(widths[1:], widths[:-1], strict=True)]
    # In floating point a small step: undamped natural gradient is long where the metric is nearly degenerate.
    rate = world.number() if world.is_exact else world.ns.scalar(0.01)
    weights: Point = net.weight_space.from_coordinates(parts, iota)
    kappa = iota.random(world.rng, name="kappa")
    targets = None
    loss: OutputModel
    if world.is_exact:
        loss = GenericFamily(iota[net.outputs], world.rng, world.sizes.covectors)
    else:
        loss = Bernoulli().on(iota)
        targets = Bernoulli().predictions(world.ns, world.array(count, widths[-1]))
    data = iota.sample(world.array(count, widths[0]), targets, weights=world.positive(count))
    fresh: Point = net.inputs.from_coordinates(world.array(count, widths[0]), iota)
    return Instance(net, iota, kappa, weights, data, fresh, loss, rate)


def constant_metric(world: World, frame: Frame) -> Metric:
    """A random nondegenerate metric, the same at every point: sum of as many squares as there are dimensions."""
    m, ns = frame.space.dim, world.ns
    weights, rows = world.positive(m), world.array(m, m)

    def family(points: Array) -> tuple[Array, Array]:
        batch = tuple(points.shape)[:-1]
        ones = (1,) * len(batch)
        return (
            ns.broadcast_to(ns.reshape(weights, (m, *ones)), (m, *batch)),
            ns.broadcast_to(ns.reshape(rows, (m, *ones, m)), (m, *batch, m)),
        )

    return CovectorMetric(frame, family)
