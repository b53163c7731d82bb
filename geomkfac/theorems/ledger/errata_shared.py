"""Errata of LG and GM that concern convolution and recurrence, and stand in no theorem's way."""

from __future__ import annotations

from typing import Any

from geomkfac.errors import ShapeError, SpaceMismatchError
from geomkfac.spaces import Hull
from geomkfac.theorems.engine.errata import TYPES, corrected_and_printed, erratum_statement
from geomkfac.theorems.engine.statement import Check, Comparisons, Erratum, Mutant, refuses, same
from geomkfac.theorems.engine.world import World
from geomkfac.theorems.instances.shared_networks import convolutional
from geomkfac.theorems.ledger.gm_factors import filters, square_filter
from geomkfac.theorems.ledger.lg_4 import grid
from geomkfac.theorems.ledger.lg_5 import metric_by_its_formula, sizes


def sum_over_maps_and_offsets(world: World) -> Comparisons:
    """(12): summed over offsets alone, an input map's index is left over: one map's patch is no patch."""
    it = convolutional(world)
    ns = world.ns
    omega, layer = it.net.weight_space.split(it.weights)[0], it.net.layers[0]
    patch = layer.domain
    values = world.array(*patch.slots)
    W_bar = it.weights.coordinates(it.iota)[0]
    W = ns.reshape(W_bar[:, :-1], (W_bar.shape[0], *patch.slots))
    axes = tuple(range(1, W.ndim))
    z = ns.sum(W * values[None, ...], axis=axes) + W_bar[:, -1]
    yield same("sum over j and delta", omega(patch.from_coordinates(values, it.iota)).coordinates(it.iota), z)
    partial = ns.sum(W * values[None, ...], axis=axes[:-1])
    printed = z if world.planted("the corrected form put in its place") else partial
    yield refuses(
        "sum over delta alone, as a pre-activation",
        ShapeError,
        lambda: it.net.outputs.from_coordinates(ns.reshape(printed, (-1,)), it.iota),
    )


def derivatives_by_flipped_filters(world: World) -> Comparisons:
    """(16): ``DA = [[DS]] W-check``, with the filters flipped, delta to -delta; against the transpose of [[A]]."""
    ns, patches, (J, m) = world.ns, square_filter(world), world.sizes.widths
    N, K = world.sizes.data, len(patches.offsets)
    W, DS = world.array(m, K * J), world.array(N, patches.count, m)
    rows = ns.reshape(DS, (1, N * patches.count, m)) @ W
    DA = patches.collect(ns, rows, N)[0, ...]
    order = list(range(K)) if world.planted("filters as stored, as printed") else list(reversed(range(K)))
    check = ns.take(ns.reshape(W, (m, K, J)), order, 1)
    check = ns.reshape(ns.permute(check, (1, 0, 2)), (K * m, J))
    expanded = patches.expand(ns, DS, ns.zeros((m,)))
    yield same("DA", ns.reshape(DA, (-1, J)), expanded @ check)


def hull_of_its_own_space(world: World) -> Comparisons:
    """After (4.2): ``[Z_l]_H`` is made of pre-activations of layer l; those of layer l - 1 live elsewhere."""
    it = convolutional(world)
    first, second = it.net.layers[0].codomain, it.net.layers[1].codomain
    z = world.array(second.dim, name="z")
    zeta: Any = second.from_coordinates(z, it.iota)
    hull = Hull(second) if world.planted("the corrected form put in its place") else Hull(first)
    ones = world.ns.ones((1,))
    own = Hull(second).of_point(zeta).coordinates(it.iota)
    yield same("[Z_l]_H", own, world.ns.concat([z, ones], axis=0))
    yield refuses("[Z_{l-1}]_H of Z_l", SpaceMismatchError, lambda: hull.of_point(zeta))


MAPS = (grid(2, 2, (2, 3), 2), grid(2, 2, (3, 2), 2))
NETS = (grid(2, 2, (1, 1, 1), 1), grid(2, 2, (2, 3, 2), 2))
FILTERS = (filters(1, 2, 1), filters(2, 3, 1, (2, 3)))
STEPS = (sizes(2, (1, 1, 1), 1), sizes(3, (2, 3, 2), 3, 2))
ALONE = "the output of the same step alone"

STATEMENTS = (
    erratum_statement(
        "E11",
        "sum over maps and offsets",
        Erratum("GM (12), LG (4.1)", "sum over delta", "sum over j and delta", TYPES),
        (Check("X", "as corrected; refused as printed", sum_over_maps_and_offsets, MAPS, "GF(p)"),),
        (Mutant("the corrected form put in its place", sum_over_maps_and_offsets, MAPS[-1]),),
        r"s_{i,t}=\sum_{j}\sum_{\delta}w_{i,j,\delta}\,a_{j,t+\delta}+b_i",
        ("maps.AffineMaps",),
    ),
    erratum_statement(
        "E12",
        "filters are flipped on the way back",
        Erratum("GM (16)", "activation derivatives by the filters as stored", "filters flipped, delta to -delta"),
        corrected_and_printed(derivatives_by_flipped_filters, FILTERS, "filters as stored, as printed"),
        latex=r"\mathcal Da_{j,t}=\sum_{i,\delta}w_{i,j,-\delta}\,\mathcal Ds_{i,t+\delta}",
    ),
    erratum_statement(
        "E37",
        "a step's pre-activation reaches all later outputs",
        Erratum(
            "LG 5.3, (5.5)",
            "phi_{xi,t}: Z -> Y, and phi_xi^*",
            "Z -> Y^T with the metric g there, and phi_{xi,t}^*",
            TYPES,
        ),
        (
            Check("X", "as corrected", metric_by_its_formula, STEPS, "GF(p)"),
            Check("C", "as printed: into one step's outputs", metric_by_its_formula, STEPS, "GF(p)", drops=ALONE),
        ),
        latex=r"\varphi_{\xi,t}:\mathcal Z\to\mathcal Y^T",
        objects=("networks.RecurrentNetwork.kfac_metric",),
    ),
    erratum_statement(
        "E38",
        "the index of a hull",
        Erratum("LG, the display after (4.2)", "[Z_{l-1}]_H", "[Z_l]_H", TYPES),
        (Check("X", "as corrected; refused as printed", hull_of_its_own_space, NETS, "GF(p)"),),
        (Mutant("the corrected form put in its place", hull_of_its_own_space, NETS[-1]),),
        r"[\mathbf Z_l]_H=\begin{pmatrix}\mathbf Z_l\\\mathbf 1\end{pmatrix}",
        ("spaces.Hull",),
    ),
)
