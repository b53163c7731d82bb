"""One abstract network, updated twice: with weights and data stored in iota's frames, and in kappa's."""

from __future__ import annotations

from collections.abc import Callable

from geomkfac.metrics import MetricTensor
from geomkfac.spaces import Parameterization, Point, Sample, Vector
from geomkfac.theorems.engine.statement import Comparisons, same
from geomkfac.theorems.engine.world import World
from geomkfac.theorems.instances.abstract_networks import Instance
from geomkfac.theorems.instances.shared_networks import SharedInstance

MetricIn = Callable[[Point, Sample, Parameterization], MetricTensor]
"""The metric at a point of the weight space, for given data; a blunder may look at the frames in use."""


def two_steps(it: Instance | SharedInstance, metric: MetricIn) -> tuple[Vector, Vector]:
    """``g^{-1} dh`` of one network, made in iota's frames, and in kappa's."""
    steps = []
    for frames in (it.iota, it.kappa):
        weights, data = it.weights.expressed_in(frames), it.data.expressed_in(frames)
        g = metric(weights, data, frames)
        steps.append(g.sharp(it.net.differential(weights, data, it.loss)))
    return steps[0], steps[1]


def two_updates(world: World, it: Instance | SharedInstance) -> Comparisons:
    """K-FAC updates of one network, made in iota's frames, and in kappa's: one point, and one function of it."""

    def update(frames: Parameterization) -> Point:
        """``omega - epsilon g_KFAC^{-1} dh``."""
        weights, data = it.weights.expressed_in(frames), it.data.expressed_in(frames)
        g: MetricTensor = it.net.kfac_metric(weights, data, it.loss)
        dh = it.net.differential(weights, data, it.loss)
        if world.planted("damping by the frame's own metric"):
            g = g.damped(frames.euclidean, 1, "exact")
        step = _read_as_vector(it, dh, frames) if world.planted("gradient in the frame") else g.sharp(dh)
        updated: Point = weights - step * it.rate
        return updated

    in_iota, in_kappa = update(it.iota), update(it.kappa)
    for i, (one, two) in enumerate(zip(*(it.net.weight_space.split(w) for w in (in_iota, in_kappa)), strict=True)):
        yield same(f"layer {i + 1} after the update", one, two, it.iota)
    outputs = it.net(in_iota, it.fresh), it.net(in_kappa, it.fresh.expressed_in(it.kappa))
    yield same("outputs after the update, on fresh inputs", *outputs, it.iota)


def _read_as_vector(it: Instance | SharedInstance, dh: Vector, frames: Parameterization) -> Vector:
    """The vector that has, in these frames, the components of a covector: what gradient descent does."""
    vector: Vector = it.net.weight_space.direction.from_coordinates(dh.coordinates(frames), frames)
    return vector
