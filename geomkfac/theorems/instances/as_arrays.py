"""A network of the package as the papers would write it: its own maps and its own loss, in arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

from geomkfac.arrays.array import Array
from geomkfac.maps import SmoothMap
from geomkfac.metrics import OutputModel
from geomkfac.spaces import Parameterization, Point
from geomkfac.theorems.engine.world import World
from geomkfac.theorems.instances.shared_networks import SharedInstance, whole_metric
from geomkfac.theorems.instances.textbook.over_places import MapNetwork, MapPass, forward


@final
@dataclass(frozen=True, slots=True)
class OfMap:
    """A smooth map of the package as a function of rows (N |T|, n), in the coordinates of some frames."""

    world: World
    map: SmoothMap
    frames: Parameterization
    batch: tuple[int, ...]

    def _at(self, z: Array) -> Point:
        space = self.map.domain
        point: Point = space.from_coordinates(self.world.ns.reshape(z, (*self.batch, space.dim)), self.frames)
        return point

    def __call__(self, z: Array) -> Array:
        return self.world.ns.reshape(self.map(self._at(z)).coordinates(self.frames), (z.shape[0], -1))

    def pullback(self, z: Array, covectors: Array) -> Array:
        ns, dual = self.world.ns, self.map.codomain.direction.dual
        k = covectors.shape[0]
        vector = dual.from_coordinates(ns.reshape(covectors, (k, *self.batch, dual.dim)), self.frames)
        pulled = self.map.linearize(self._at(z))[1].pullback(vector)
        return ns.reshape(pulled.coordinates(self.frames), (k, z.shape[0], -1))


@final
@dataclass(frozen=True, slots=True)
class OfModel:
    """The output metric of the package's network, of all locations of a datum: rows (N, |T| m)."""

    world: World
    model: OutputModel
    frames: Parameterization
    places: int

    def differential(self, outputs: Array) -> Array:
        raise NotImplementedError

    def metric(self, outputs: Array) -> tuple[Array, Array]:
        ns, count = self.world.ns, outputs.shape[0]
        weights, covectors = whole_metric(
            self.world, self.model, self.frames, ns.reshape(outputs, (count, self.places, -1))
        )
        return weights, ns.reshape(covectors, (covectors.shape[0], count, -1))


class NoActivation:
    """The identity: outputs have no activation."""

    def __call__(self, z: Array) -> Array:
        return z

    def pullback(self, z: Array, covectors: Array) -> Array:
        return covectors


def in_arrays(world: World, it: SharedInstance, frames: Parameterization, count: int) -> MapNetwork:
    """The same network in coordinates, layer by layer."""
    maps = [stage.map for stage in it.net.stages if hasattr(stage, "map")]  # type: ignore[attr-defined]
    batch = (count, *it.patches.grid)
    borders = []
    for layer, border in zip(it.net.layers, it.borders, strict=True):
        local = layer.domain.base  # type: ignore[attr-defined]
        borders.append(local.from_coordinates(border, it.iota).coordinates(frames))
    return MapNetwork(
        tuple(it.weights.coordinates(frames)),
        (*(OfMap(world, rho, frames, batch) for rho in maps), NoActivation()),
        tuple(borders),
        OfModel(world, it.loss, frames, it.patches.count),
        it.patches,
    )


def pass_in_arrays(world: World, it: SharedInstance, frames: Parameterization) -> tuple[MapNetwork, MapPass]:
    """The same network in coordinates, and its pass over the data."""
    (chunk,) = it.data.chunks()
    network = in_arrays(world, it, frames, chunk.count)
    x = world.ns.reshape(chunk.points.coordinates(frames), (chunk.count, it.patches.count, -1))
    return network, forward(world.ns, network, x)


def unweighted(it: SharedInstance) -> SharedInstance:
    """The same with data that have no weights."""
    (chunk,) = it.data.chunks()
    return replace(it, data=it.iota.sample(chunk.points.coordinates(it.iota), chunk.targets))
