"""Layers applied at many places, as the papers print them: expanded activations, sums over locations and steps.

Written apart from `geomkfac.networks` on purpose.  A convolution layer is the affine map of patches; how
patches lie on the map is one matrix of zeros and ones, made by counting places.  A recurrence is the
affine map of the state before.  Rows are places; data come first.  Source: LG (4.1) to (4.5), (5.3); GM 2.3, 3.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from math import prod
from typing import final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.theorems.engine.world import World
from geomkfac.theorems.instances.smooth_functions import RowActivation, RowLoss
from geomkfac.theorems.instances.textbook.fully_connected import (
    homogeneous,
    perhaps_damped,
    updated_weights,
    weighted_squares,
)


@final
@dataclass(frozen=True, slots=True)
class Patches:
    """Which place of a map stands at which offset of which patch.

    Attributes
    ----------
    grid : (T_1, T_2, ...), the locations
    offsets : Delta, tuples of ints
    """

    grid: tuple[int, ...]
    offsets: tuple[tuple[int, ...], ...]

    @property
    def count(self) -> int:
        """|T|."""
        return prod(self.grid)

    def sources(self) -> list[int]:
        """For every location and offset the location that is read; |T| for the border."""
        found = []
        for t in itertools.product(*map(range, self.grid)):
            for delta in self.offsets:
                place = [a + d for a, d in zip(t, delta, strict=True)]
                inside = all(0 <= p < length for p, length in zip(place, self.grid, strict=True))
                number = 0
                for p, length in zip(place, self.grid, strict=True):
                    number = number * length + p
                found.append(number if inside else self.count)
        return found

    def matrix(self, ns: Namespace) -> Array:
        """Zeros and ones, (|T| |Delta|, |T| + 1)."""
        return ns.take(ns.eye(self.count + 1), self.sources(), 0)

    def expand(self, ns: Namespace, a: Array, border: Array) -> Array:
        """``[[A]]``: maps (N, |T|, J) to rows (N |T|, |Delta| J), offset by offset.  Source: GM (14)."""
        count, places, J = a.shape
        row = ns.broadcast_to(border, (count, 1, J))
        read = ns.matmul(self.matrix(ns), ns.concat([a, row], axis=1))
        return ns.reshape(read, (count * places, len(self.offsets) * J))

    def collect(self, ns: Namespace, rows: Array, count: int) -> Array:
        """The transpose: covectors (K, N |T|, |Delta| J) on patches as covectors (K, N, |T|, J) on maps."""
        k, J = rows.shape[0], rows.shape[-1] // len(self.offsets)
        read = ns.reshape(rows, (k, count, self.count * len(self.offsets), J))
        return ns.matmul(self.matrix(ns).mT, read)[:, :, : self.count, :]


@final
@dataclass(frozen=True, slots=True)
class MapNetwork:
    """Convolution layers in coordinates.

    Attributes
    ----------
    weights : W_bar_l = (W_l b_l), arrays (I, |Delta| J + 1)
    activations : phi_l, one for each layer, on rows
    borders : arrays (J,), what stands outside the map that enters each layer
    loss : of all outputs of a datum, rows (N, |T| I)
    patches : the same for every layer
    """

    weights: tuple[Array, ...]
    activations: tuple[RowActivation, ...]
    borders: tuple[Array, ...]
    loss: RowLoss
    patches: Patches


@final
@dataclass(frozen=True, slots=True)
class MapPass:
    """Expanded activations ``[[A_{l-1}]]``, pre-activations z_l (rows of places), and the outputs (N, |T| I)."""

    expanded: tuple[Array, ...]
    preactivations: tuple[Array, ...]
    outputs: Array
    count: int


def forward(ns: Namespace, network: MapNetwork, inputs: Array) -> MapPass:
    """``Z_l = W_bar_l [A_{l-1}^exp]_H``, ``A_l = phi_l(Z_l)``; inputs (N, |T|, J).  Source: LG (4.3), GM (15)."""
    a, count, places = inputs, inputs.shape[0], network.patches.count
    expanded, z = [], []
    for W_bar, phi, border in zip(network.weights, network.activations, network.borders, strict=True):
        expanded.append(network.patches.expand(ns, a, border))
        z.append(homogeneous(ns, expanded[-1]) @ W_bar.mT)
        a = ns.reshape(phi(z[-1]), (count, places, W_bar.shape[0]))
    return MapPass(tuple(expanded), tuple(z), ns.reshape(a, (count, -1)), count)


def backward(ns: Namespace, network: MapNetwork, batch: MapPass, covectors: Array) -> list[Array]:
    """``D z_1, ..., D z_L``, rows (K, N |T|, I), from covectors (K, N, |T| I) on the outputs.  Source: GM (16)."""
    Dz: list[Array] = []
    k, rows = covectors.shape[0], batch.count * network.patches.count
    Da = ns.reshape(covectors, (k, rows, -1))
    triples = zip(network.weights, network.activations, batch.preactivations, strict=True)
    for W_bar, phi, z in reversed(list(triples)):
        Dz.insert(0, phi.pullback(z, Da))
        on_patches = Dz[0] @ W_bar[:, :-1]
        Da = ns.reshape(network.patches.collect(ns, on_patches, batch.count), (k, rows, -1))
    return Dz


def at_places(ns: Namespace, weights: Array, places: int) -> Array:
    """Weights (K, N), once for every place: (K, N, places)."""
    return ns.broadcast_to(weights[:, :, None], (*weights.shape, places))


def factors(world: World, network: MapNetwork, batch: MapPass) -> tuple[list[Array], list[Array]]:
    """``E_T[a_bar a_bar^T]`` and ``|T| E_T[Dz Dz^T]`` of every layer.  Source: LG (4.5)."""
    ns, T = world.ns, network.patches.count
    A = []
    for rows in batch.expanded:
        a_bar = homogeneous(ns, rows)
        A.append(a_bar.mT @ a_bar / a_bar.shape[0])
    weights, covectors = network.loss.metric(batch.outputs)
    G = []
    for Dz in backward(ns, network, batch, covectors):
        k, m = Dz.shape[0], Dz.shape[-1]
        each = ns.reshape(Dz, (k, batch.count, T, m))
        if world.planted("one location dropped"):
            each = each[:, :, 1:, :] if T > 1 else each * 0
        total = weighted_squares(ns, at_places(ns, weights, each.shape[2]), each) / batch.count
        G.append(total / T if world.planted("mean for sum over locations") else total)
    return perhaps_damped(world, A), G


def gradients(ns: Namespace, network: MapNetwork, batch: MapPass) -> list[Array]:
    """The gradient of the mean loss: sums over locations, means over data, (I, |Delta| J + 1).  Source: GM (17)."""
    differential = network.loss.differential(batch.outputs)[None, ...]
    pairs = zip(backward(ns, network, batch, differential), batch.expanded, strict=True)
    return [Dz[0, ...].mT @ homogeneous(ns, rows) / batch.count for Dz, rows in pairs]


def kfac_update(world: World, network: MapNetwork, inputs: Array, rate: Array) -> MapNetwork:
    """``W_bar_l <- W_bar_l - epsilon G_l^{-1} grad_l A_{l-1}^{-1}``.  Source: LG (4.6)."""
    batch = forward(world.ns, network, inputs)
    A, G = factors(world, network, batch)
    grads = gradients(world.ns, network, batch)
    return replace(network, weights=updated_weights(world, network.weights, A, G, grads, rate))
