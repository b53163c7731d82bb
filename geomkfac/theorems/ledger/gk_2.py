"""GK-2: the cases in which a layer's K-FAC block IS its exact block; they catch faults of scale.

A wrong factor, a sum for a mean, a missing normalisation: all of these survive every check of
invariance, as a multiple of a metric is as invariant as the metric.  Only a case with a known answer
sees them.
"""

from __future__ import annotations

from dataclasses import replace

from geomkfac.arrays.array import Array
from geomkfac.maps.activations.polynomials import polynomial
from geomkfac.metrics import DirectSumTensor, IndependenceMetric, Metric
from geomkfac.networks import MLP
from geomkfac.spaces import Parameterization, Point, Sample
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.abstract_networks import (
    abstract_network,
    constant_metric,
    diagonal_metric,
    random_weights,
)
from geomkfac.theorems.ledger import gk_2_shared
from geomkfac.theorems.ledger.lg_3_4 import OneLayer, one_layer


def one_datum(world: World) -> Comparisons:
    """One datum: there is nothing to average.  Any network, any output metric."""
    it = abstract_network(world)
    yield from _blocks(world, it.net, it.weights, it.data, it.loss.metric, it.iota)


def deep_linear(world: World) -> Comparisons:
    """No activation function and a constant output metric: Dz does not depend on the datum.  Any data."""
    net, iota = MLP.from_widths(world.sizes.widths, "identity", kind=world.kind)
    count = world.sizes.data
    data = iota.sample(world.array(count, net.inputs.dim), weights=world.positive(count))
    output = constant_metric(world, iota[net.outputs])
    yield from _blocks(world, net, random_weights(world, net, iota), data, output, iota)


def identical_data(world: World) -> Comparisons:
    """All data identical: expectations are values."""
    activation = polynomial(1, 2, 3) if world.is_exact else "tanh"
    net, iota = MLP.from_widths(world.sizes.widths, activation, kind=world.kind)
    count, n = world.sizes.data, net.inputs.dim
    data = iota.sample(world.ns.broadcast_to(world.array(1, n), (count, n)), weights=world.positive(count))
    # diag(1 + z_k^2): one that varies.
    output = diagonal_metric(world.ns, iota[net.outputs], lambda z: z * z + 1)
    yield from _blocks(world, net, random_weights(world, net, iota), data, output, iota)


def generic_network(world: World) -> Comparisons:
    """Nothing of the sort: the blocks differ."""
    it = abstract_network(world)
    yield from _blocks(world, it.net, it.weights, it.data, it.loss.metric, it.iota)


def _blocks(
    world: World, net: MLP, weights: Point, data: Sample, output: Metric, frames: Parameterization
) -> Comparisons:
    """The diagonal blocks of the exact metric, and those of the K-FAC metric, layer by layer."""
    exact: Array = net.fisher_metric(weights, data, output).coordinates(frames)
    yield from gk_2_shared.compared_blocks(net, exact, _kfac(world, net, weights, data, output).coordinates(frames))


def _kfac(world: World, net: MLP, weights: Point, data: Sample, output: Metric) -> DirectSumTensor:
    moments = net.moments(weights, data, output)
    ns, count, total = world.ns, world.sizes.data, moments.weight
    if world.planted("sum for mean"):
        moments = replace(moments, weight=ns.scalar(1))
    if world.planted("1/(N - 1) for 1/N"):
        moments = replace(moments, weight=total * (count - 1) / count)
    if world.planted("weights of the data not normalised"):
        moments = replace(moments, weight=ns.scalar(count))
    metric = moments.metric()
    if world.planted("a factor 2"):
        metric = DirectSumTensor(*(part * 2 for part in metric.parts))
    return metric


def constant_activations(world: World) -> Comparisons:
    """Activations independent of the datum; the metric is free at every datum."""
    n, _ = world.sizes.widths
    points = world.ns.broadcast_to(world.array(1, n), (world.sizes.data, n))
    yield from _layer_blocks(world, one_layer(world, points=points))


def constant_derivatives(world: World) -> Comparisons:
    """Derivatives independent of the datum; the data are free."""
    _, m = world.sizes.widths
    count, K = world.sizes.data, world.sizes.covectors
    covectors = world.ns.broadcast_to(world.array(K, 1, m), (K, count, m))
    weights = world.ns.broadcast_to(world.positive(K, 1), (K, count))
    yield from _layer_blocks(world, one_layer(world, covectors=covectors, weights=weights))


def _layer_blocks(world: World, it: OneLayer) -> Comparisons:
    """``E[a_bar a_bar^T (x) Dz Dz^T]`` and ``E[a_bar a_bar^T] (x) E[Dz Dz^T]``."""
    shares = it.shares
    if world.planted("weights of the data left out"):
        shares = world.ns.ones((world.sizes.data,))
    kfac = IndependenceMetric(it.points, it.metric, shares).at(it.w)
    yield same("block", kfac.coordinates(it.kappa).dense(), it.expected_pullback().coordinates(it.kappa))


LONE = (Sizes((1, 1), 1), Sizes((2, 2, 2), 1, 2), Sizes((3, 4, 3, 2), 1, 2))
LINEAR = (Sizes((1, 1), 2), Sizes((2, 2, 2), 3), Sizes((3, 4, 3, 2), 6))
SAME = (Sizes((1, 1), 2), Sizes((2, 2, 2), 3), Sizes((2, 3, 2), 4))
ONE_LAYER = (Sizes((1, 1), 2, 1), Sizes((3, 2), 5, 2))
ANY = (Sizes((1, 1), 2, 1), Sizes((2, 2, 2), 4, 2))
ORACLES = (
    ("one datum", one_datum, LONE),
    ("deep linear network, constant output metric", deep_linear, LINEAR),
    ("one linear layer, constant output metric", deep_linear, ONE_LAYER),
    ("all data identical", identical_data, SAME),
    ("activations independent of the datum", constant_activations, ONE_LAYER),
    ("derivatives independent of the datum", constant_derivatives, ONE_LAYER),
)

STATEMENTS = (
    Statement(
        id="GK-2",
        source="ours; LG (2.8)",
        title="where the K-FAC block is the exact block",
        text=(
            "A layer's K-FAC block equals its exact block, the expected pullback of the output metric, for one datum, "
            "for deep linear networks with a constant output metric, for identical data, and wherever activations "
            "or derivatives do not depend on the datum; for shared layers with one place and one datum, and in two "
            "linear cases; in general it does not."
        ),
        latex=(
            r"\mathbb E[\bar{\mathbf a}\bar{\mathbf a}^\top\otimes\mathcal D\mathbf z\mathcal D\mathbf z^\top]"
            r"=\mathbb E[\bar{\mathbf a}\bar{\mathbf a}^\top]"
            r"\otimes\mathbb E[\mathcal D\mathbf z\mathcal D\mathbf z^\top]"
        ),
        hypotheses=("One of the cases named; weights of the data are arbitrary.",),
        checks=(
            *(Check("X", name, identity, sizes, "GF(p)") for name, identity, sizes in ORACLES),
            *(Check("N", name, identity, sizes, "floating") for name, identity, sizes in ORACLES),
            Check("C", "a generic network", generic_network, ANY, "GF(p)"),
            Check("C", "a tanh network", generic_network, ANY, "floating"),
            *gk_2_shared.CHECKS,
        ),
        mutants=(
            Mutant("a factor 2", deep_linear, LINEAR[-1]),
            Mutant("sum for mean", deep_linear, LINEAR[-1]),
            Mutant("1/(N - 1) for 1/N", deep_linear, LINEAR[-1]),
            Mutant("weights of the data not normalised", deep_linear, LINEAR[-1]),
            Mutant("weights of the data left out", constant_derivatives, ONE_LAYER[-1]),
            *gk_2_shared.MUTANTS,
        ),
        objects=("networks.MLP.kfac_metric", "networks.MLP.fisher_metric", "networks.KfacMoments"),
    ),
)
