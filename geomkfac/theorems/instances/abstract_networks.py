"""A random abstract network with two parameterizations, its data, and a loss: nothing is assumed of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.maps import AffineMap, GenericMap, SmoothMap
from geomkfac.metrics import (
    Bernoulli,
    CovectorMetric,
    CovectorTensor,
    ExpectedMetric,
    GenericFamily,
    Metric,
    MetricTensor,
    OutputModel,
    PullbackMetric,
)
from geomkfac.networks import MLP
from geomkfac.networks.network import Network
from geomkfac.spaces import Chunk, Frame, Parameterization, Point, Sample, Vector
from geomkfac.theorems.engine.world import World
from geomkfac.theorems.instances.textbook.fully_connected import homogeneous


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


def activation_of(world: World, *, coordinatewise: bool = True) -> Any:
    """What makes an arbitrary activation of two frames; in floating point tanh."""
    if not world.is_exact:
        return "tanh"

    def make(source: Frame, target: Frame) -> SmoothMap:
        return GenericMap(source, target, world.rng, coordinatewise=coordinatewise)

    return make


def random_mlp(world: World, *, coordinatewise: bool = True) -> tuple[MLP, Parameterization]:
    """A network of the world's widths; its activations are generic over exact kinds, tanh in floating point."""
    return MLP.from_widths(world.sizes.widths, activation_of(world, coordinatewise=coordinatewise), kind=world.kind)


def abstract_network(world: World, *, coordinatewise: bool = True) -> Instance:
    """A random instance; `coordinatewise` activations, or (GK-12) any smooth maps."""
    net, iota = random_mlp(world, coordinatewise=coordinatewise)
    widths = world.sizes.widths
    parts = [world.array(m, n + 1) for m, n in zip(widths[1:], widths[:-1], strict=True)]
    # In floating point a small step: undamped natural gradient is long where the metric is nearly degenerate.
    rate = world.number() if world.is_exact else world.ns.scalar(0.01)
    weights: Point = net.weight_space.from_coordinates(parts, iota)
    kappa = iota.random(world.rng, name="kappa")
    return Instance(net, iota, kappa, weights, *loss_and_data(world, net, iota, widths[0]), rate)


def loss_and_data(
    world: World, net: Network, iota: Parameterization, *slots: int
) -> tuple[Sample, Point, OutputModel]:
    """A sample with random weights, a batch of other inputs, and an arbitrary loss; inputs of shape `slots`."""
    ns, count = world.ns, world.sizes.data
    targets = None
    loss: OutputModel
    if world.is_exact:
        loss = GenericFamily(iota[net.outputs], world.rng, world.sizes.covectors)
    else:
        loss = Bernoulli().on(iota)
        shape = (count, *net.output_places, net.outputs.dim)
        targets = ns.reshape(Bernoulli().predictions(ns, world.array(*shape)), shape)
    data = iota.sample(world.array(count, *slots), targets, weights=world.positive(count))
    fresh: Point = net.inputs.from_coordinates(world.array(count, *slots), iota)
    return data, fresh, loss


def random_parts(world: World, net: Network, name: str | None = None) -> list[Array]:
    """A random array (m, n + 1) for every layer."""
    return [world.array(*layer.slots, name=name) for layer in net.layers]


def random_weights(world: World, net: Network, iota: Parameterization) -> Point:
    """A random point of the weight space, drawn in `iota`."""
    weights: Point = net.weight_space.from_coordinates(random_parts(world, net), iota)
    return weights


def random_direction(world: World, net: Network, iota: Parameterization, name: str | None = None) -> Vector:
    """A random vector of the weight space's direction, drawn in `iota`."""
    vector: Vector = net.weight_space.direction.from_coordinates(random_parts(world, net, name), iota)
    return vector


def all_at_once(data: Sample) -> tuple[Chunk, Array]:
    """All data as one chunk, and their weights divided by the sum."""
    (chunk,) = data.chunks()
    return chunk, chunk.weights / chunk.points.namespace.sum(chunk.weights)


def constant_metric(world: World, frame: Frame, *, rank: int | None = None) -> Metric:
    """A random metric, the same at every point: a sum of `rank` squares, by default as many as dimensions."""
    m = frame.space.dim
    k = m if rank is None else rank
    return constant_covector_metric(world.ns, frame, world.positive(k), world.array(k, m))


def constant_covector_metric(ns: Namespace, frame: Frame, weights: Array, rows: Array) -> CovectorMetric:
    """The metric ``sum_k c_k phi_k (x) phi_k``, the same at every point: weights (k,), and covectors (k, m) as rows."""
    k, m = rows.shape

    def family(points: Array) -> tuple[Array, Array]:
        batch = tuple(points.shape)[:-1]
        ones = (1,) * len(batch)
        return (
            ns.broadcast_to(ns.reshape(weights, (k, *ones)), (k, *batch)),
            ns.broadcast_to(ns.reshape(rows, (k, *ones, m)), (k, *batch, m)),
        )

    return CovectorMetric(frame, family)


def diagonal_metric(ns: Namespace, frame: Frame, entries: Callable[[Array], Array]) -> CovectorMetric:
    """The metric whose matrix in `frame` is diagonal, with these functions of the coordinates (..., m) as entries."""
    m = frame.space.dim

    def family(z: Array) -> tuple[Array, Array]:
        unit = ns.reshape(ns.eye(m), (m, *(1,) * (z.ndim - 1), m))
        return ns.permute(entries(z), (z.ndim - 1, *range(z.ndim - 1))), ns.broadcast_to(unit, (m, *z.shape))

    return CovectorMetric(frame, family)


@final
@dataclass(frozen=True, slots=True)
class LayerOfData:
    """What Definition 3.9 needs of one layer, put together from maps and metrics.

    Attributes
    ----------
    points : alpha_{i-1} of every datum
    shares : array (N,), the weights of the data, of sum 1
    metric_on_Z : the output metric pulled back along phi_xi^i: Z_i -> Y
    weights : array (K, N), coefficients of that metric at the data
    covectors : its covectors there, of batch shape (K, N)
    expected_pullback : ``E[(Psi_xi^i)^* g]`` on the layer's weight space
    """

    points: Point
    shares: Array
    metric_on_Z: Metric
    weights: Array
    covectors: Vector
    expected_pullback: MetricTensor

    def a_bar(self, world: World, frames: Parameterization) -> Array:
        """``[a; 1]`` of every datum, (N, n + 1)."""
        return homogeneous(world.ns, self.points.coordinates(frames))


def layers_of_data(world: World, it: Instance, output: Metric) -> list[LayerOfData]:
    """Every layer: its inputs by evaluation, its metric by pulling `output` back.  Source: LG 3.5.2, (3.8)."""
    chunk, shares = all_at_once(it.data)
    omegas = it.net.weight_space.split(it.weights)
    alpha, points = chunk.points, []
    for omega, rho in zip(omegas, (*it.net.activations, None), strict=True):
        points.append(alpha)
        alpha = rho(omega(alpha)) if rho is not None else alpha  # type: ignore[assignment]
    layers: list[LayerOfData] = []
    tail: SmoothMap | None = None
    for i in reversed(range(len(omegas))):
        metric = output if tail is None else PullbackMetric(tail, output)
        tensor: CovectorTensor = metric.at(omegas[i](points[i]))  # type: ignore[assignment]
        evaluation = omegas[i].space.evaluation(points[i])
        expected = ExpectedMetric(PullbackMetric(evaluation, metric), shares).at(omegas[i])
        layers.insert(0, LayerOfData(points[i], shares, metric, tensor.weights, tensor.covectors, expected))
        if i:
            step = AffineMap(omegas[i]) @ it.net.activations[i - 1]
            tail = step if tail is None else tail @ step
    return layers
