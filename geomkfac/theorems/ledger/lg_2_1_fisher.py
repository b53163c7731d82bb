"""LG 2.1: the Fisher metric in coordinates, from the KL divergence, and smooth reparameterization."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from geomkfac.arrays.array import Array
from geomkfac.metrics import Bernoulli, Categorical, EuclideanMetric, Gaussian, Metric, MetricTensor, OutputFamily
from geomkfac.networks import MLP
from geomkfac.spaces import AffineSpace
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, order, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.abstract_networks import (
    Instance,
    abstract_network,
    layers_of_data,
    random_direction,
    random_weights,
)


def per_datum_derivatives(world: World, it: Instance, output: Metric) -> tuple[Array, Array]:
    """Coefficients (K N,) with the data's shares, and rows Dw (K N, d): vec of Dz a_bar^T, layer after layer."""
    ns = world.ns
    parts = []
    for layer in layers_of_data(world, it, output):
        Dz, a_bar = layer.covectors.coordinates(it.iota), layer.a_bar(world, it.iota)
        products = a_bar[None, :, :, None] * Dz[:, :, None, :]
        parts.append(ns.reshape(products, (-1, products.shape[-2] * products.shape[-1])))
        coefficients = ns.reshape(layer.weights * layer.shares, (-1,))
    return coefficients, ns.concat(parts, axis=1)


def flattened(world: World, parts: Sequence[Array]) -> Array:
    """The vec of a list of matrices (m_i, n_i + 1), columns stacked."""
    return world.ns.concat([world.ns.reshape(part.mT, (-1,)) for part in parts])


def unflattened(world: World, w: Array, shapes: Sequence[tuple[int, int]]) -> list[Array]:
    """The matrices of these shapes of which `w` is the vec."""
    parts, start = [], 0
    for m, n in shapes:
        parts.append(world.ns.reshape(w[start : start + m * n], (n, m)).mT)
        start += m * n
    return parts


def fisher_in_coordinates(world: World) -> Comparisons:
    """The network's Fisher metric has the matrix ``E[sum_k c_k Dw_k Dw_k^T]``: symmetric, a sum of squares."""
    it = abstract_network(world)
    ns = world.ns
    coefficients, rows = per_datum_derivatives(world, it, it.loss.metric)
    if world.planted("one layer's derivatives left out"):
        rows = ns.concat([rows[:, :1] * 0, rows[:, 1:]], axis=1)
    if world.planted("mean of the derivatives subtracted"):
        rows = rows - (coefficients[None, :] @ rows) / ns.sum(coefficients)
    F = it.net.fisher_metric(it.weights, it.data, it.loss)
    matrix = F.coordinates(it.iota)
    yield same("matrix", matrix, (rows * coefficients[:, None]).mT @ rows)
    yield same("symmetry", matrix, matrix.mT)
    v = random_direction(world, it.net, it.iota, "v")
    slopes = rows @ flattened(world, v.coordinates(it.iota))
    yield same("F(v, v), a sum of squares", F(v, v), ns.sum(coefficients * slopes * slopes))


# -- KL ----------------------------------------------------------------------------------------------------
def _divergence(ns: Any, family: OutputFamily, one: Array, other: Array) -> Array:
    """KL of the predictions at outputs (N, m), averaged."""
    p, q = family.predictions(ns, one), family.predictions(ns, other)
    if isinstance(family, Categorical):
        total = p * (ns.log(p) - ns.log(q))
    elif isinstance(family, Bernoulli):
        total = p * (ns.log(p) - ns.log(q)) + (1.0 - p) * (ns.log1p(-p) - ns.log1p(-q))
    else:
        total = (p - q) * (p - q) * 0.5
    return ns.sum(total) / one.shape[0]


def divergence_on_outputs(family: Callable[[], OutputFamily]) -> Callable[[World], Comparisons]:
    """The check of one family, on its outputs."""

    def on_outputs(world: World) -> Comparisons:
        """``KL(P_z, P_{z + h d})`` and ``1/2 h^2 d^T F d`` differ at third order in h, or not at all."""
        (m,), ns = world.sizes.widths, world.ns.ordered("divergences")
        space = AffineSpace("Z", m, world.kind)
        frame = space.frame("z")
        z, d = world.array(1, m), world.array(1, m)
        point = space.from_coordinates(z, frame)
        F: MetricTensor = family().on(frame).fisher(point).expectation()
        if world.planted("Euclidean metric for the Fisher metric"):
            F = EuclideanMetric(frame).at(point)
        vector = space.direction.from_coordinates(d[0, :], frame.linear)
        half = 1.0 if world.planted("without the factor 1/2") else 0.5
        steps = [2.0**-k for k in range(5, 11)]
        quadratic = float(ns.to_numpy(F(vector, vector)).item()) * half
        # In both directions, so that terms of third and fourth order do not cancel at some step.
        gaps = [
            sum(abs(float(_divergence(ns, family(), z, z + d * t)) - quadratic * h * h) for t in (h, -h)) for h in steps
        ]
        floor = 10 * ns.epsilon
        gaps = [0.0 if all(gap <= floor for gap in gaps) else gap for gap in gaps]
        yield order("remainder of the KL divergence, in the step", steps, gaps, 3, at_least=True)

    return on_outputs


def divergence_of_a_network(world: World) -> Comparisons:
    """``E_x KL(P_w, P_{w + h d})`` and ``1/2 h^2 F(d, d)`` differ at third order in h: a network, softmax outputs."""
    ns = world.ns.ordered("divergences")
    net, iota = MLP.from_widths(world.sizes.widths, "tanh", kind=world.kind)
    weights, d = random_weights(world, net, iota), random_direction(world, net, iota)
    data = iota.sample(world.array(world.sizes.data, net.inputs.dim))
    loss = Categorical().on(iota)
    (chunk,) = data.chunks()
    F = net.fisher_metric(weights, data, loss)
    quadratic = float(F(d, d)) / (1.0 if world.planted("without the factor 1/2") else 2.0)
    steps = [2.0**-k for k in range(6, 12)]
    here = net(weights, chunk.points).coordinates(iota)

    def remainder(t: float) -> float:
        moved = net(weights + d * t, chunk.points).coordinates(iota)
        return abs(float(_divergence(ns, Categorical(), here, moved)) - quadratic * t * t)

    gaps = [remainder(h) + remainder(-h) for h in steps]
    yield order("remainder of the KL divergence, in the step", steps, gaps, 3, at_least=True)


# -- smooth reparameterization -------------------------------------------------------------------------------
def _two_parameterizations(world: World, rates: list[float]) -> tuple[list[float], list[float]]:
    """Lengths of the gap and of the step, of updates in w and in u where ``w = u + q u^2`` entry by entry."""
    ns = world.ns.ordered("lengths")
    it = abstract_network(world)
    g, dh = it.net.fisher_metric(it.weights, it.data, it.loss), it.net.differential(it.weights, it.data, it.loss)
    F, grad = g.coordinates(it.iota), flattened(world, dh.coordinates(it.iota))
    values = ns.singular_values(F)
    world.assume("the metric is far from degenerate", bool(values[-1] > 1e-4 * values[0]))
    u = flattened(world, it.weights.coordinates(it.iota))
    q = world.array(u.shape[0]) * 0.1
    w, J = u + q * u * u, 1.0 + 2.0 * q * u
    # F and grad belong to the point w: the network is read at w, the coordinates u are another name for it.
    if world.planted("gradient descent"):
        F = ns.eye(u.shape[0])
        step, there = grad, J * grad
    elif world.planted("damping by gamma I"):
        step = ns.solve(F + ns.eye(u.shape[0]), grad[:, None])[:, 0]
        there = ns.solve(F * J[:, None] * J + ns.eye(u.shape[0]), (J * grad)[:, None])[:, 0]
    else:
        step = ns.solve(F, grad[:, None])[:, 0]
        there = ns.solve(F * J[:, None] * J, (J * grad)[:, None])[:, 0]
    gaps, lengths = [], []
    for rate in rates:
        size = rate / ns.norm(step)
        moved = u - size * there
        gaps.append(ns.norm(w - size * step - (moved + q * moved * moved)))
        lengths.append(size * ns.norm(step))
    return gaps, lengths


def smooth_to_first_order(world: World) -> Comparisons:
    """The gap between the two updates, divided by the length of the step, falls like the step size."""
    rates = [2.0**-k for k in range(7, 13)]
    gaps, lengths = _two_parameterizations(world, rates)
    yield order("gap over step length, in the step size", rates, [g / n for g, n in zip(gaps, lengths, strict=True)], 1)


def smooth_exactly(world: World) -> Comparisons:
    """The gap between the two updates is zero: it is not."""
    gaps, lengths = _two_parameterizations(world, [0.5])
    ns = world.ns
    yield same(
        "updated weights: step length, with and without the gap", ns.scalar(lengths[0] + gaps[0]), ns.scalar(lengths[0])
    )


NETS = (Sizes((1, 1), 2, 1), Sizes((2, 2, 2), 4, 2))
MANY = (Sizes((2, 3, 2), 20, 2),)
OUTPUTS = (Sizes((4,)),)
FAMILIES: dict[str, Callable[[], OutputFamily]] = {
    "categorical": Categorical,
    "Bernoulli": Bernoulli,
    "Gaussian": Gaussian,
}
SMOOTH = (Sizes((2, 2, 2), 200, 2),)

STATEMENTS = (
    Statement(
        id="LG-2.2",
        source="LG (2.2)",
        title="the Fisher metric in coordinates",
        text=(
            "In coordinates the Fisher metric is the mean of Dw Dw^T over inputs and targets of the model: symmetric, "
            "PSD."
        ),
        latex=r"\mathbf F=\mathbb E\bigl[\mathcal D\mathbf w\,\mathcal D\mathbf w^\top\bigr]",
        hypotheses=("None: F may be degenerate.",),
        checks=(
            Check("X", "the network's metric", fisher_in_coordinates, NETS, "GF(p)"),
            Check("S", "the network's metric", fisher_in_coordinates, NETS[:1], "symbols"),
            Check("N", "the network's metric", fisher_in_coordinates, MANY, "floating"),
        ),
        mutants=(
            Mutant("one layer's derivatives left out", fisher_in_coordinates, NETS[-1]),
            Mutant("mean of the derivatives subtracted", fisher_in_coordinates, NETS[-1]),
        ),
        objects=("networks.MLP.fisher_metric",),
    ),
    Statement(
        id="LG-2.1.1-KL",
        source="LG 2.1.1; errata E19",
        title="the Fisher metric is the second-order term of the KL divergence",
        text="KL(P_w, P_{w+d}) is 1/2 d^T F d and a remainder of third order, for every output family.",
        latex=r"\mathrm{KL}(P_{\mathbf w},P_{\mathbf w+d})=\tfrac12 d^\top\mathbf F d+O(|d|^3)",
        hypotheses=("The densities are smooth, on a support that does not depend on w.",),
        checks=(
            *(
                Check("N", f"{name}, on its outputs", divergence_on_outputs(family), OUTPUTS, "floating")
                for name, family in FAMILIES.items()
            ),
            Check("N", "a network with softmax outputs", divergence_of_a_network, MANY, "floating"),
        ),
        mutants=(
            Mutant("without the factor 1/2", divergence_of_a_network, MANY[-1], "floating"),
            Mutant("Euclidean metric for the Fisher metric", divergence_on_outputs(Bernoulli), OUTPUTS[-1], "floating"),
        ),
        objects=("metrics.Categorical", "metrics.Bernoulli", "metrics.Gaussian", "metrics.FisherMetric"),
    ),
    Statement(
        id="LG-2.1.2",
        source="LG 2.1.2, after (2.6)",
        title="natural gradient is invariant to smooth reparameterization, to first order",
        text=(
            "In parameters that are a smooth nonlinear function of others, the natural gradient update differs by a "
            "gap "
            "that falls faster than the step: the gap over the length of the step is of first order in the step size."
        ),
        latex=(
            r"\frac{\bigl|\,w-\epsilon\,g^{-1}dh\;-\;T\bigl(u-\epsilon\,g'^{-1}dh'\bigr)\bigr|}{\epsilon"
            r"\,|g^{-1}dh|}=O(\epsilon)"
        ),
        hypotheses=("g is nondegenerate.", "w = T(u) is smooth, and its derivative invertible."),
        checks=(
            Check("N", "the exponent is 1", smooth_to_first_order, SMOOTH, "floating"),
            Check("C", "the gap is zero", smooth_exactly, SMOOTH, "floating"),
        ),
        mutants=(
            Mutant("gradient descent", smooth_to_first_order, SMOOTH[-1], "floating"),
            Mutant("damping by gamma I", smooth_to_first_order, SMOOTH[-1], "floating"),
        ),
        objects=("networks.MLP.fisher_metric", "metrics.MetricTensor.sharp"),
    ),
)
