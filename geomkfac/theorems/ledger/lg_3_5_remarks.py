"""LG 3.4, 3.5, the remarks: the mean of the forms, sampled covectors, damping."""

from __future__ import annotations

from geomkfac.arrays import Draws
from geomkfac.arrays.array import Array
from geomkfac.metrics import (
    Categorical,
    CovectorMetric,
    MetricTensor,
    PullbackMetric,
)
from geomkfac.networks import MLP
from geomkfac.spaces import AffineSpace, Parameterization, Point, Sample
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, order, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.abstract_networks import Instance, abstract_network, layers_of_data, random_weights
from geomkfac.theorems.instances.textbook.fully_connected import weighted_squares
from geomkfac.theorems.instances.updates import two_steps
from geomkfac.theorems.ledger.lg_3_4 import one_layer


def mean_of_the_forms(world: World) -> Comparisons:
    """``E[G(z)] = E[Dz Dz^T]``: the second factor of a K-FAC block, and derivatives of every datum and output."""
    it = abstract_network(world)
    ns = world.ns
    blocks = it.net.kfac_metric(it.weights, it.data, it.loss).coordinates(it.iota).blocks
    for i, (block, layer) in enumerate(zip(blocks, layers_of_data(world, it, it.loss.metric), strict=True), start=1):
        Dz = layer.covectors.coordinates(it.iota)
        shares = layer.shares
        if world.planted("weights of the data left out"):
            shares = ns.ones(tuple(shares.shape)) / shares.shape[0]
        # Normalized like the block: the two factors are determined up to a number, A[n, n] = 1.
        yield same(f"layer {i}", block.factors[1], weighted_squares(ns, layer.weights * shares, Dz))


def over_targets_of_the_model(world: World) -> Comparisons:
    """The same over the targets of a softmax model: each class, weighed by its probability at each datum."""
    ns = world.ns
    widths, count = world.sizes.widths, world.sizes.data
    net, iota = MLP.from_widths(widths, "tanh", kind=world.kind)
    weights = random_weights(world, net, iota)
    X = world.array(count, widths[0])
    loss = Categorical().on(iota)
    data = iota.sample(X)
    p = net.predictions(weights, net.inputs.from_coordinates(X, iota), loss)
    exact = net.kfac_metric(weights, data, loss).coordinates(iota).blocks
    totals = None
    for c in range(widths[-1]):
        targets = ns.broadcast_to(ns.eye(widths[-1])[c, :], (count, widths[-1]))
        share = ns.ones((count,)) if world.planted("all classes alike") else p[:, c]
        of_class = iota.sample(X, targets, weights=share)
        blocks = net.kfac_metric(weights, of_class, loss, fisher="empirical").coordinates(iota).blocks
        scaled = [block.factors[1] * (ns.sum(share) / count) for block in blocks]
        totals = scaled if totals is None else [one + other for one, other in zip(totals, scaled, strict=True)]
    for i, (block, total) in enumerate(zip(exact, totals or [], strict=True), start=1):
        yield same(f"layer {i}", block.factors[1], total)


def finite_support(world: World) -> Comparisons:
    """Covectors phi_t with probabilities p_t and ``E[phi (x) phi] = g`` give, pulled back, the pullback of g in
    expectation.
    """
    it, ns = one_layer(world), world.ns
    J = it.a_bar(world)[0, :]
    p = it.weights[:, 0] / ns.sum(it.weights[:, 0])
    rows = it.covectors[:, 0, :]
    G = (rows * p[:, None]).mT @ rows
    frame = it.kappa[it.W.codomain]
    weights = ns.ones((world.sizes.covectors,)) if world.planted("probabilities left out") else p
    point = it.W.domain.from_coordinates(it.points.coordinates(it.kappa)[0, :], it.kappa)
    metric = CovectorMetric(frame, lambda z: (weights, rows))
    pulled = PullbackMetric(it.W.evaluation(point), metric).at(it.w)
    yield same("matrix", pulled.coordinates(it.kappa), ns.kron(J[:, None] * J[None, :], G))


def monte_carlo(world: World) -> Comparisons:
    """With S sampled targets at each datum, the error of the metric falls like S^{-1/2}."""
    (m,), ns = world.sizes.widths, world.ns.ordered("lengths")
    space = AffineSpace("Z", m, world.kind)
    frame = space.frame("z")
    family = Categorical().on(frame)
    points = space.from_coordinates(world.array(world.sizes.data, m), frame)
    exact = family.fisher(points).expectation().coordinates(frame.linear)
    counts = [4, 8, 16, 32, 64, 128]
    seeds = range(int(world.rng.integers(2**30)), 2**62)
    gaps = []
    for samples in counts:
        squares = []
        for _, seed in zip(range(world.sizes["repeats"]), seeds, strict=False):
            drawn = 4 if world.planted("always four targets") else samples
            tensor = family.sampled(points, Draws(seed * 1000 + samples), 0, drawn)
            squares.append(ns.norm(tensor.expectation().coordinates(frame.linear) - exact) ** 2)
        gaps.append((sum(squares) / len(squares)) ** 0.5)
    yield order("error, in 1 / S", [1 / count for count in counts], gaps, 0.5)


def _damped_steps(world: World, it: Instance, gamma: Array | float, *, carried: bool) -> list[Array]:
    """Steps damped by gamma times a metric: one carried along, or the frame's own; both read in iota."""

    def metric(weights: Point, data: Sample, frames: Parameterization) -> MetricTensor:
        norm = (it.iota if carried else frames).euclidean
        return it.net.kfac_metric(weights, data, it.loss).damped(norm, gamma, "exact")

    steps = [step.coordinates(it.iota) for step in two_steps(it, metric)]
    return [world.ns.concat([world.ns.reshape(part, (-1,)) for part in parts]) for parts in steps]


def damped_by_a_metric_carried_along(world: World) -> Comparisons:
    """``(g + gamma g_0)^{-1} dh`` with g_0 a metric, the Euclidean one of iota: the same vector in both runs."""
    it = abstract_network(world)
    gamma = world.number() if world.is_exact else 0.1
    carried = not world.planted("damping by gamma I")
    one, two = _damped_steps(world, it, gamma, carried=carried)
    yield same("step", one, two)


def gap_of_damping(world: World) -> Comparisons:
    """Damped by gamma I in either basis, the steps differ by a gap that vanishes like gamma."""
    it = abstract_network(world)
    ns = world.ns.ordered("lengths")
    sizes = [2.0**-k for k in range(24, 30)]
    gaps = []
    for gamma in sizes:
        one, two = _damped_steps(
            world, it, gamma**0.5 if world.planted("gamma's square root") else gamma, carried=False
        )
        gaps.append(ns.norm(one - two))
    yield order("gap between the two steps, in gamma", sizes, gaps, 1)


NETS = (Sizes((1, 1), 3, 1), Sizes((1, 2, 1), 4, 1), Sizes((2, 2, 2), 5, 2))
MANY = (Sizes((2, 2, 2), 60, 2),)
LAYER = (Sizes((1, 1), 1, 1), Sizes((2, 2), 1, 2), Sizes((3, 2), 4, 2))
SOFTMAX = (Sizes((3, 4, 3), 20),)
SAMPLED = (Sizes((3,), 4, extra=(("repeats", 120),)),)
DAMPED = (Sizes((1, 1), 2, 1), Sizes((2, 2, 2), 4, 2))

STATEMENTS = (
    Statement(
        id="LG-R3.8",
        source="LG Remark 3.8",
        title="the mean of the forms is the mean of Dz Dz^T",
        text="For the Fisher metric E[G(z)] is E[Dz Dz^T], the expectation over inputs and over outputs of the model.",
        latex=r"\mathbb E[\mathbf G(\mathbf z)]=\mathbb E\bigl[\mathcal D\mathbf z\,\mathcal D\mathbf z^\top\bigr]",
        hypotheses=("Targets are those of the model, and not of the data.",),
        checks=(
            Check("X", "every layer of a network", mean_of_the_forms, NETS, "GF(p)"),
            Check("N", "every layer of a network", mean_of_the_forms, NETS, "floating"),
            Check("N", "over the classes of a softmax model", over_targets_of_the_model, SOFTMAX, "floating"),
        ),
        mutants=(
            Mutant("weights of the data left out", mean_of_the_forms, NETS[-1]),
            Mutant("all classes alike", over_targets_of_the_model, SOFTMAX[-1], "floating"),
        ),
        objects=("networks.MLP.kfac_metric", "metrics.Categorical"),
    ),
    Statement(
        id="LG-R3.11",
        source="LG Remark 3.11",
        title="sampled covectors give the metric in expectation",
        text=(
            "Whatever the output metric, covectors sampled with E[phi (x) phi] = g give, pulled back, its pullback in "
            "expectation; with S samples the error falls like S^{-1/2}."
        ),
        latex=(
            r"\mathbb E[\varphi\otimes\varphi]=g\;\Longrightarrow\;\mathbb E[\psi^*\varphi\otimes\psi^*\varphi]="
            r"\psi^*g"
        ),
        hypotheses=("For the rate: the samples are independent, of finite variance.",),
        checks=(
            Check("X", "covectors of finite support", finite_support, LAYER, "GF(p)"),
            Check("N", "Monte Carlo", monte_carlo, SAMPLED, "floating"),
        ),
        mutants=(
            Mutant("probabilities left out", finite_support, LAYER[-1]),
            Mutant("always four targets", monte_carlo, SAMPLED[-1], "floating"),
        ),
        objects=("metrics.OutputModel", "metrics.CovectorMetric"),
    ),
    Statement(
        id="LG-R3.12",
        source="LG Remark 3.12; ours",
        title="damping: by gamma I it depends on the basis, by a metric it does not",
        text=(
            "Damped by gamma I the step depends on the basis, by a gap that vanishes with gamma; beyond the paper: "
            "damped "
            "by a metric that is carried along as a tensor it does not."
        ),
        latex=r"(g+\gamma\,g_0)^{-1}dh",
        hypotheses=("g + gamma g_0 is nondegenerate.",),
        checks=(
            Check("X", "damped by a metric carried along", damped_by_a_metric_carried_along, DAMPED, "GF(p)"),
            Check("N", "the gap falls like gamma", gap_of_damping, MANY, "floating"),
            Check("C", "gamma I", damped_by_a_metric_carried_along, DAMPED, "GF(p)", drops="damping by gamma I"),
        ),
        mutants=(
            Mutant("damping by gamma I", damped_by_a_metric_carried_along, DAMPED[-1]),
            Mutant("gamma's square root", gap_of_damping, MANY[-1], "floating"),
        ),
        objects=("metrics.MetricTensor.damped", "spaces.Euclidean"),
    ),
)
