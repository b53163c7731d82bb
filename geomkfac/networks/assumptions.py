"""KFC's assumptions, measured: how far they hold for a network, its weights and data.

Correlations between coordinates depend on the coordinates, so frames are named.  Everything is computed
from whole maps, and takes memory like the square of a map's size: for small maps.
Source: GM 3 (IAD, SH, SUD), 5.1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import OrderedNamespace
from geomkfac.arrays.random.draws import generator
from geomkfac.networks.passes.chain_pass import ChainPass
from geomkfac.networks.passes.layers import Layer
from geomkfac.networks.passes.stages import ConvolutionStage
from geomkfac.spaces import Parameterization

REPAIRINGS = 16


@final
@dataclass(frozen=True, slots=True, eq=False)
class LayerAssumptions:
    """How far KFC's assumptions hold at one convolution; 0 where one holds exactly.

    Attributes
    ----------
    layer : number of the layer, from 1
    iad : independent activations and derivatives: relative Frobenius distance of the layer's exact Fisher
        block from that in which activations are paired with the derivatives of other data
    iad_noise : the same between two halves of the other pairings: what chance alone gives
    sh_activations, sh_derivatives : spatial homogeneity: relative distance of the second moments of pairs
        of locations from their means over pairs of one displacement; estimated from products of two halves of
        the data, so that chance adds nothing on average
    sud : spatially uncorrelated derivatives: the mean |autocorrelation| over maps and pairs of different
        locations; 1 where all locations vary together
    sua : the same for activations, about their means (what PRONG assumes to be 0)
    kfac : relative Frobenius distance of the K-FAC block from the exact one
    activations, derivatives : array (J, *displacements), |autocorrelation| of every map, displacement 0 in the middle
    across_activations, across_derivatives : arrays (J, J) and (m, m), |correlations| of maps at one location
    """

    layer: int
    iad: float
    iad_noise: float
    sh_activations: float
    sh_derivatives: float
    sud: float
    sua: float
    kfac: float
    activations: Array
    derivatives: Array
    across_activations: Array
    across_derivatives: Array


@final
@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """What a convolution saw and was told: patches (N, T, n), local activations (N, T, J), derivatives (K, N, T', m).

    Derivatives carry the square roots of their weights.
    """

    layer: int
    patches: Array
    maps: Array
    grid: tuple[int, ...]
    derivatives: Array
    out: tuple[int, ...]


def observed(
    ns: OrderedNamespace, run: ChainPass, covectors: Any, layers: Sequence[Layer], frames: Parameterization
) -> Iterator[Observed]:
    """Every convolution of one pass, in named frames: those of the weights, in which it ran, are nobody's business."""
    rows = dict(run.backward(covectors))
    for stage, kept in zip(run.stages, run.kept, strict=True):
        if not isinstance(stage, ConvolutionStage):
            continue
        for index, padded in enumerate(kept):
            number = stage.first + index
            inner = tuple(
                slice(a, a + length) for (a, _), length in zip(stage.borders.widths, stage.borders.grid, strict=True)
            )
            points, told = _in_frames(ns, padded, rows[number], layers[number], frames)
            count, J = points.shape[0], points.shape[-1]
            maps = ns.reshape(points[(slice(None), *inner, ...)], (count, -1, J))
            patches = stage.windows.patches(ns, points)
            flat = ns.reshape(patches, (count, -1, patches.shape[-1]))
            derivatives = ns.reshape(told, (told.shape[0], count, -1, told.shape[-1]))
            yield Observed(number + 1, flat, maps, stage.borders.grid, derivatives, stage.grid)


def _in_frames(
    ns: OrderedNamespace, points: Array, told: Array, layer: Layer, frames: Parameterization
) -> tuple[Array, Array]:
    """Activations (..., J) and derivatives (..., m) of a layer, from the frames of its weights in those of `frames`."""
    before: Any = layer.frame.parts[0].parts[0]
    after: Any = layer.frame.parts[1]
    named: Any = frames[before.space], frames[after.space]
    if before is not named[0]:
        matrix, shift = (ns.cast(part) for part in named[0].change_from(before))
        points = points @ matrix.mT + shift
    if after is not named[1]:
        told = told @ ns.cast(after.change_from(named[1])[0])
    return points, told


def joined(ns: OrderedNamespace, parts: Sequence[Observed]) -> Observed:
    """The observations of several chunks as one."""
    first = parts[0]
    return Observed(
        first.layer,
        ns.concat([part.patches for part in parts], axis=0),
        ns.concat([part.maps for part in parts], axis=0),
        first.grid,
        ns.concat([part.derivatives for part in parts], axis=1),
        first.out,
    )


def measured(ns: OrderedNamespace, found: Observed, kfac: Array, seed: int) -> LayerAssumptions:
    """All numbers of one layer; `kfac` is the dense K-FAC block (columns stacked)."""
    iad, noise, gap = _independence(ns, found, kfac, seed)
    count = found.maps.shape[0]
    derivatives = ns.permute(found.derivatives, (1, 0, 2, 3))
    in_a, sh_a = _homogeneity(ns, found.maps[:, None, :, :], found.grid)
    in_D, sh_D = _homogeneity(ns, derivatives, found.out)
    centred = found.maps - ns.sum(found.maps, axis=0) / count
    in_centred = _by_displacement(ns, _second_moments(ns, centred[:, None, :, :]), found.grid)[0]
    return LayerAssumptions(
        found.layer,
        iad,
        noise,
        sh_a,
        sh_D,
        _elsewhere(ns, in_D, found.out),
        _elsewhere(ns, in_centred, found.grid),
        gap,
        _autocorrelation(ns, in_a, found.grid),
        _autocorrelation(ns, in_D, found.out),
        _correlation(ns, in_a[(0,) * len(found.grid)]),
        _correlation(ns, in_D[(0,) * len(found.out)]),
    )


def _second_moments(ns: OrderedNamespace, rows: Array) -> Array:
    """``E[sum_k x_t x_t'^T]`` of rows (N, K, T, J), as (T, T, J, J)."""
    number, _, T, J = rows.shape
    flat = ns.reshape(rows, (-1, T * J))
    return ns.permute(ns.reshape(ns.gram(flat) / number, (T, J, T, J)), (0, 2, 1, 3))


def _homogeneity(
    ns: OrderedNamespace, rows: Array, grid: Sequence[int]
) -> tuple[dict[tuple[int, ...], Array], float]:
    """Second moments by displacement, and how far pairs of locations are from them; rows (N, K, T, J)."""
    half = rows.shape[0] // 2
    moments = [_second_moments(ns, part) for part in (rows[:half, ...], rows[half:, ...])]
    means, residuals = zip(*(_by_displacement(ns, moment, grid) for moment in moments), strict=True)
    apart = sum(float(ns.sum(residuals[0][d] * residuals[1][d])) for d in residuals[0])
    whole = float(ns.sum(moments[0] * moments[1]))
    joint = {d: (means[0][d] + means[1][d]) / 2 for d in means[0]}
    return joint, (max(apart, 0.0) / whole) ** 0.5 if whole > 0 else 0.0


def _elsewhere(ns: OrderedNamespace, means: dict[tuple[int, ...], Array], grid: Sequence[int]) -> float:
    """The mean of |autocorrelations| over maps and pairs of different locations."""
    zero = ns.diagonal(means[(0,) * len(grid)])
    safe = ns.where(zero > 0, zero, 1.0)
    total, count = 0.0, 0
    for d, mean in means.items():
        if any(d):
            pairs = math.prod(length - abs(step) for step, length in zip(d, grid, strict=True))
            total += pairs * float(ns.sum(ns.abs(ns.diagonal(mean)) / safe)) / zero.shape[0]
            count += pairs
    return total / count if count else 0.0


def _by_displacement(
    ns: OrderedNamespace, moments: Array, grid: Sequence[int]
) -> tuple[dict[tuple[int, ...], Array], dict[tuple[int, ...], Array]]:
    """The mean over pairs of locations of every displacement, and what each pair is away from it."""
    places = list(itertools.product(*map(range, grid)))
    pairs: dict[tuple[int, ...], list[int]] = {}
    for first, t in enumerate(places):
        for second, u in enumerate(places):
            d = tuple(b - a for a, b in zip(t, u, strict=True))
            pairs.setdefault(d, []).append(first * len(places) + second)
    J = moments.shape[-1]
    flat = ns.reshape(moments, (len(places) ** 2, J, J))
    means, residuals = {}, {}
    for d, numbers in pairs.items():
        own = ns.take(flat, numbers, 0)
        means[d] = ns.sum(own, axis=0) / len(numbers)
        residuals[d] = own - means[d]
    return means, residuals


def _autocorrelation(ns: OrderedNamespace, means: dict[tuple[int, ...], Array], grid: Sequence[int]) -> Array:
    """``|Omega(j, j, d)| / Omega(j, j, 0)`` for every map j and displacement d, (J, 2 T_1 - 1, ...)."""
    zero = ns.diagonal(means[(0,) * len(grid)])
    safe = ns.where(zero > 0, zero, 1.0)
    shifts = itertools.product(*(range(1 - length, length) for length in grid))
    rows = [ns.abs(ns.diagonal(means[d])) / safe for d in shifts]
    return ns.reshape(ns.permute(ns.stack(rows), (1, 0)), (-1, *(2 * length - 1 for length in grid)))


def _correlation(ns: OrderedNamespace, moment: Array) -> Array:
    """``|E[x_j x_k]|`` over the roots of ``E[x_j^2] E[x_k^2]``."""
    scale = ns.sqrt(ns.maximum(ns.diagonal(moment), 0.0))
    safe = ns.where(scale > 0, scale, 1.0)
    return ns.abs(moment) / (safe[:, None] * safe[None, :])


def _independence(ns: OrderedNamespace, found: Observed, kfac: Array, seed: int) -> tuple[float, float, float]:
    """Distances of the exact block from re-paired ones, of their halves from each other, and from K-FAC's."""
    k, count, T, _ = found.derivatives.shape
    ones = ns.ones((count, T, 1))
    inputs = ns.concat([found.patches, ones], axis=-1)

    def block(order: Sequence[int]) -> Array:
        paired = ns.take(inputs, list(order), 0)
        # (psi_a)^* Ds, columns of W stacked: input after input, outputs within.
        rows = ns.reshape(ns.matmul(paired.mT, found.derivatives), (k * count, -1))
        return ns.gram(rows) / count

    exact = block(range(count))
    size = ns.norm(exact)
    draws = generator(seed, "pairings")
    halves = [ns.zeros(exact.shape), ns.zeros(exact.shape)]
    for number in range(REPAIRINGS):
        order = [int(i) for i in draws.permutation(count)]
        halves[number % 2] = halves[number % 2] + block(order) / (REPAIRINGS / 2)
    independent = (halves[0] + halves[1]) / 2
    if not size:
        return 0.0, 0.0, 0.0
    noise = ns.norm(halves[0] - halves[1]) / 2 / size
    return ns.norm(exact - independent) / size, noise, ns.norm(exact - kfac) / size
