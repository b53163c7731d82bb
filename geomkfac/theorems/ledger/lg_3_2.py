"""LG 3.2: natural gradient in any nondegenerate metric does not depend on the parameterization."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from geomkfac.metrics import DenseTensor, EuclideanMetric, Metric, MetricTensor
from geomkfac.spaces import Parameterization, Point, Sample, Vector
from geomkfac.theorems.engine.statement import Check, Comparisons, Identity, Mutant, Statement, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.abstract_networks import Instance, abstract_network, constant_metric
from geomkfac.theorems.ledger.lg_3_arrays import natural_gradient_in_two_bases_of_all_weights

MetricOf = Callable[[Point, Sample], MetricTensor]
"""The metric at a point of the weight space, for given data."""


def fisher(world: World, it: Instance) -> MetricOf:
    """The expected pullback of the output metric of an arbitrary loss.  Source: LG E3.2."""
    return lambda weights, data: it.net.fisher_metric(weights, data, it.loss)


def gauss_newton(world: World, it: Instance) -> MetricOf:
    """The expected pullback of the Euclidean metric of a chosen output basis.  Source: LG E3.3."""
    return _pulled_back(it, EuclideanMetric(it.iota[it.net.outputs]))


def generalized_gauss_newton(world: World, it: Instance) -> MetricOf:
    """The expected pullback of a constant output metric, the Hessian of a quadratic.  Source: LG E3.4."""
    return _pulled_back(it, constant_metric(world, it.iota[it.net.outputs]))


def _pulled_back(it: Instance, output: Metric) -> MetricOf:
    return lambda weights, data: it.net.gauss_newton_metric(weights, data, output)


def constant(world: World, it: Instance) -> MetricOf:
    """A random form on the weight space, the same everywhere."""
    space = it.net.weight_space
    R = world.invertible(space.dim)
    frame = it.iota[space.direction]
    tensor = DenseTensor(space.direction, frame, R.mT @ R, world.ns, "a random constant metric")
    return lambda weights, data: tensor


def kfac(world: World, it: Instance) -> MetricOf:
    """The K-FAC metric.  Source: LG D3.9."""
    return lambda weights, data: it.net.kfac_metric(weights, data, it.loss)


@cache
def invariant(metric: Callable[[World, Instance], MetricOf]) -> Identity:
    """The check for one metric: updates with weights and data stored in iota's frames, and in kappa's."""

    def updates_in_two_parameterizations(world: World) -> Comparisons:
        it = abstract_network(world)
        g = metric(world, it)
        in_iota, in_kappa = it.weights.expressed_in(it.iota), it.weights.expressed_in(it.kappa)
        for step in range(1, world.sizes.steps + 1):
            in_iota = _updated(world, it, g, in_iota, it.iota)
            in_kappa = _updated(world, it, g, in_kappa, it.kappa)
            layers = zip(in_iota.coordinates(it.iota), in_kappa.coordinates(it.iota), strict=True)
            for i, (one, two) in enumerate(layers, start=1):
                yield same(f"layer {i} after step {step}", one, two)
        outputs = it.net(in_iota, it.fresh), it.net(in_kappa, it.fresh.expressed_in(it.kappa))
        yield same("outputs on fresh inputs", *outputs, it.iota)

    return updates_in_two_parameterizations


def _updated(world: World, it: Instance, metric: MetricOf, weights: Point, frames: Parameterization) -> Point:
    """``omega - epsilon g(omega)^{-1} dh(omega)``, run in `frames`."""
    data = it.data.expressed_in(frames)
    g, dh = metric(weights, data), it.net.differential(weights, data, it.loss)
    space = it.net.weight_space
    if world.planted("Euclidean metric re-chosen in each basis"):
        g = _form(world, it, world.ns.eye(space.dim), frames)
    if world.planted("the matrix of the metric kept, instead of the metric"):
        g = _form(world, it, g.coordinates(it.iota), frames)
    if world.planted("damping by the frame's own metric"):
        g = g + _form(world, it, world.ns.eye(space.dim), frames)
    step = g.sharp(dh)
    if world.planted("the step moved as a point is"):
        step = _read_as_point(it, step, frames)
    updated: Point = weights - step * it.rate
    return updated


def _form(world: World, it: Instance, matrix: object, frames: Parameterization) -> MetricTensor:
    """The form with this matrix in whatever frame is in use."""
    space = it.net.weight_space.direction
    return DenseTensor(space, frames[space], matrix, world.ns, "made in a frame")


def _read_as_point(it: Instance, step: Vector, frames: Parameterization) -> Vector:
    """The vector whose coordinates change as a point's do, translation included: a blunder."""
    space = it.net.weight_space
    point = space.from_coordinates(step.coordinates(it.iota), it.iota)
    vector: Vector = space.direction.from_coordinates(point.coordinates(frames), frames)
    return vector


def in_any_basis_of_the_weight_space(world: World) -> Comparisons:
    """In a basis that mixes all parameters: ``w' = B w + c``, and ``w' - epsilon G'^{-1} grad'``."""
    it = abstract_network(world)
    ns, space = world.ns, it.net.weight_space
    iota = it.iota[space]
    B, c = world.for_frames(world.invertible(space.dim)), world.for_frames(world.array(space.dim))
    mixed = iota.dense_change(B, c)
    g, dh = it.net.fisher_metric(it.weights, it.data, it.loss), it.net.differential(it.weights, it.data, it.loss)
    intrinsic = it.weights - g.sharp(dh) * it.rate

    G, gradient = g.coordinates(mixed.linear), dh.coordinates(mixed.linear.dual)
    step = ns.solve(G, gradient[:, None])[:, 0]
    if world.planted("G where its inverse belongs"):
        step = G @ gradient
    if world.planted("gradient descent in the basis"):
        step = gradient
    w = it.weights.coordinates(mixed) - it.rate * step
    yield same("weights after the step", intrinsic.coordinates(mixed), w)


SMALL = (Sizes((1, 1), 2, 1, 2), Sizes((1, 2, 1), 8, 1, 2), Sizes((2, 2, 2), 8, 2, 2))
MANY = (Sizes((1, 1), 6, 1, 10), Sizes((1, 2, 1), 30, 1, 10), Sizes((2, 2, 2), 100, 2, 10))
ONE_STEP = (Sizes((1, 1), 2, 1), Sizes((1, 2, 1), 8, 1), Sizes((2, 2, 2), 8, 2))
METRICS = {
    "Fisher": fisher,
    "Gauss-Newton": gauss_newton,
    "generalized Gauss-Newton": generalized_gauss_newton,
    "a random constant metric": constant,
    "K-FAC": kfac,
}
MIXED = "a basis that mixes all parameters"
IN_ARRAYS = "Fisher matrix of all weights in arrays, two steps in two bases"

STATEMENTS = (
    Statement(
        id="LG-T3.1",
        source="LG Theorem 3.1",
        title="natural gradient is invariant to affine reparameterization, in any nondegenerate metric",
        text=(
            "For any nondegenerate metric g on the weight space, the update omega <- omega - epsilon g^{-1} dh is "
            "the same point in every affine parameterization, step after step, g evaluated anew at each."
        ),
        latex=r"\omega\leftarrow\omega-\epsilon\,g(\omega)^{-1}dh(\omega)",
        hypotheses=(
            "g is nondegenerate at every point that is visited (softmax outputs on all their logits make the "
            "Fisher metric degenerate).",
            "g is a metric: its matrix changes with the basis as a form's does.",
        ),
        checks=(
            *(Check("X", name, invariant(metric), SMALL, "GF(p)") for name, metric in METRICS.items()),
            Check("X", MIXED, in_any_basis_of_the_weight_space, ONE_STEP, "GF(p)"),
            Check("X", IN_ARRAYS, natural_gradient_in_two_bases_of_all_weights, SMALL, "GF(p)", recipe="LG-T3.1"),
            *(
                Check("N", name, invariant(metric), MANY, "floating", condition_power=2 if metric is kfac else 4)
                for name, metric in METRICS.items()
            ),
            Check("N", MIXED, in_any_basis_of_the_weight_space, MANY, "floating", condition_power=4),
            Check(
                "C",
                "Euclidean metric re-chosen in each basis",
                invariant(kfac),
                SMALL,
                "GF(p)",
                drops="Euclidean metric re-chosen in each basis",
            ),
        ),
        mutants=(
            Mutant("the matrix of the metric kept, instead of the metric", invariant(constant), SMALL[-1]),
            Mutant("damping by the frame's own metric", invariant(fisher), SMALL[-1]),
            Mutant("the step moved as a point is", invariant(kfac), SMALL[-1]),
            Mutant("G where its inverse belongs", in_any_basis_of_the_weight_space, ONE_STEP[-1]),
            Mutant("gradient descent in the basis", in_any_basis_of_the_weight_space, ONE_STEP[-1]),
            Mutant("F not transformed", natural_gradient_in_two_bases_of_all_weights, SMALL[-1]),
            Mutant("gradient descent", natural_gradient_in_two_bases_of_all_weights, SMALL[-1]),
            Mutant("damping by gamma I", natural_gradient_in_two_bases_of_all_weights, SMALL[-1]),
        ),
        objects=("metrics.MetricTensor.sharp", "spaces.DenseFrame"),
    ),
)
