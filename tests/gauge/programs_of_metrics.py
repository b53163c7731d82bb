"""Gauge programs: metric tensors, metrics, output families."""

from __future__ import annotations

from typing import Any

import numpy as np

import geomkfac as gk
from geomkfac import metrics
from geomkfac.arrays.namespace import Kind

from .programs_of_maps import layer
from .programs_of_spaces import plane
from .registry import numbers, program


def full_rank(kind: Kind, n: int) -> Any:
    """A symmetric matrix with ones on the diagonal and halves beside it; over a field twice that."""
    ns: Any = kind.default_namespace
    values = np.eye(n, dtype=int) + np.ones((n, n), dtype=int)
    return ns.asarray(values) if kind.is_exact else values / 2.0


def euclidean(*frames: Any) -> Any:
    return gk.Parameterization(frames).euclidean


@program("MetricTensor", "DenseTensor", "MetricTensor.coordinates", "MetricTensor.flat", "MetricTensor.kind", slots=2)
def a_form(kind: Kind) -> Any:
    V = gk.VectorSpace("V", 3, kind)
    e = V.frame("e")
    g = gk.DenseTensor.from_coordinates(full_rank(kind, 3), e)
    u, v = V.from_coordinates(numbers(kind, 4, 3), e), V.from_coordinates(numbers(kind, 4, 3, seed=1), e)
    return g.coordinates(e), g.flat(u).coordinates(e.dual), g(u, v), (2 * g + g).coordinates(e)


@program("CovectorTensor", "MetricTensor.sharp", rounds_nothing=False, slots=2, solves=100.0)
def a_form_of_covectors(kind: Kind) -> Any:
    V = gk.VectorSpace("V", 2, kind)
    e = V.frame("e")
    ns = kind.default_namespace
    family = V.dual.from_coordinates(numbers(kind, 5, 2, seed=2), e.dual)
    g = gk.CovectorTensor(ns.ones((5,)), family)
    phi = V.dual.from_coordinates(numbers(kind, 3, 2), e.dual)
    return g.coordinates(e), g.sharp(phi).coordinates(e), g.flat(g.sharp(phi)).coordinates(e.dual)


@program(
    "MetricTensor.minimal_solution", "MetricTensor.sharp_coset", "MetricTensor.nullity", "MetricTensor.rank",
    "MetricTensor.radical", "MetricTensor.is_degenerate", "Euclidean", "Parameterization.euclidean",
    rounds_nothing=False, slots=2, solves=100.0,
)
def a_degenerate_form(kind: Kind) -> Any:
    V = gk.VectorSpace("V", 3, kind)
    e = V.frame("e")
    ns = kind.default_namespace
    g = gk.CovectorTensor(ns.ones((2,)), V.dual.from_coordinates(full_rank(kind, 3)[:2, :], e.dual))
    phi = g.flat(V.from_coordinates(numbers(kind, 3), e))
    named = gk.DenseTensor.from_coordinates(full_rank(kind, 3), e)
    coset = g.sharp_coset(phi)
    ranks = (g.nullity, g.rank, g.radical.dim, coset.dim, int(g.is_degenerate))
    first, second = g.minimal_solution(phi, norm=euclidean(e)), g.minimal_solution(phi, norm=named)
    return first.coordinates(e), second.coordinates(e), g.flat(coset.point).coordinates(e.dual), np.asarray(
        [float(number) for number in ranks]
    )


@program(
    "KroneckerTensor", "IndependenceMetric", "DirectSumTensor", "AdditiveMetric", "ConstantMetric", "Metric",
    "MetricTensor.dense", rounds_nothing=False, slots=2, solves=100.0,
)
def the_metric_of_a_layer(kind: Kind) -> Any:
    w, iota, zeta = layer(kind)
    constant = gk.DenseTensor.from_coordinates(full_rank(kind, 3), zeta.linear)
    a = iota.space.from_coordinates(numbers(kind, 6, 2, seed=3), iota)
    metric = gk.IndependenceMetric(a, gk.ConstantMetric(zeta.space, constant))
    g = gk.AdditiveMetric(metric, metric).at(gk.ProductSpace(w.space, w.space).join(w, w))
    frame = g.space.frame(*[w.space.frame(iota, zeta).linear] * 2)
    v = g.space.from_coordinates((numbers(kind, 3, 3), numbers(kind, 3, 3, seed=1)), frame)
    few = gk.IndependenceMetric(a[:2], gk.ConstantMetric(zeta.space, constant)).at(w)
    part = g.space.project(v, 0)
    smallest = few.minimal_solution(few.flat(part), norm=euclidean(iota, zeta))
    left, right = g.coordinates(frame).blocks[0].factors
    return (
        left, right, g.flat(v).coordinates(frame.dual), g.sharp(g.flat(v)).coordinates(frame),
        smallest.coordinates(frame.parts[0]), g.dense().coordinates(frame), few.dense().coordinates(frame.parts[0]),
    )


@program(
    "MetricTensor.damped", "DampedKroneckerTensor", "KroneckerProduct", "BlockDiagonal", "DenseMatrix",
    rounds_nothing=False, slots=2, solves=100.0,
)
def damping_by_a_metric(kind: Kind) -> Any:
    w, iota, zeta = layer(kind)
    a = iota.space.from_coordinates(numbers(kind, 6, 2, seed=3), iota)
    g = gk.IndependenceMetric(a, gk.EuclideanMetric(zeta)).at(w)
    frame = w.space.frame(iota, zeta).linear
    phi = g.space.dual.from_coordinates(numbers(kind, 3, 3), frame.dual)
    named = euclidean(iota, zeta)
    damped = [g.damped(named, 2, "exact"), g.damped(g, 3), g.dense().damped(named, 2)]
    if not kind.is_exact:
        damped.append(g.damped(named, 0.5, "factored"))
    matrices = (g.coordinates(frame).dense(), damped[0].coordinates(frame).dense())
    return (*matrices, *(tensor.sharp(phi).coordinates(frame) for tensor in damped))


@program("MetricTensor.eigenvalues", exact=False, rounds_nothing=False, slots=2, solves=100.0)
def eigenvalues_relative_to_a_metric(kind: Kind) -> Any:
    w, iota, zeta = layer(kind)
    a = iota.space.from_coordinates(numbers(kind, 6, 2, seed=3), iota)
    g = gk.IndependenceMetric(a, gk.EuclideanMetric(zeta)).at(w)
    named = euclidean(iota, zeta)
    return g.eigenvalues(relative_to=named), g.dense().eigenvalues(relative_to=named)


@program("PullbackMetric", "ExpectedMetric", "EuclideanMetric", rounds_nothing=False, slots=2)
def pullback_and_expectation(kind: Kind) -> Any:
    w, iota, zeta = layer(kind)
    a = iota.space.from_coordinates(numbers(kind, 6, 2, seed=3), iota)
    pulled = gk.PullbackMetric(w.space.evaluation(a), gk.EuclideanMetric(zeta))
    frame = w.space.frame(iota, zeta).linear
    return pulled.at(w).coordinates(frame), gk.ExpectedMetric(pulled).at(w).coordinates(frame)


@program("CovectorMetric", slots=2)
def a_metric_of_the_users_own(kind: Kind) -> Any:
    Z, zeta = plane(kind, "Z", 3)
    ns = kind.default_namespace

    def function(z: Any) -> tuple[Any, Any]:
        return ns.ones((1, *tuple(z.shape)[:-1])), (z * z)[None, ...]

    points = Z.from_coordinates(numbers(kind, 4, 3), zeta)
    return gk.CovectorMetric(zeta, function).at(points).coordinates(zeta.linear)


@program("GenericFamily", floats=False, slots=2)
def a_generic_family(kind: Kind) -> Any:
    Z, zeta = plane(kind, "Z", 3)
    model = gk.GenericFamily(zeta, np.random.default_rng(0), 2)
    points = Z.from_coordinates(numbers(kind, 4, 3), zeta)
    differential = model.differential(points, None).coordinates(zeta.linear.dual)
    return model.fisher(points).coordinates(zeta.linear), differential


@program(
    "Categorical", "ReducedCategorical", "Bernoulli", "Gaussian", "Poisson", "SideBySide", "FisherMetric",
    "OutputModel", "OutputFamily", "PlacedFamily", "family",
    exact=False, rounds_nothing=False, slots=2,
)
def output_families(kind: Kind) -> Any:
    Z, zeta = plane(kind, "Z", 3)
    points = Z.from_coordinates(numbers(kind, 4, 3) * 0.5, zeta)
    covariance = np.asarray([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
    results = []
    for chosen, targets in (
        (metrics.family("categorical"), np.asarray([0, 1, 2, 0])),
        (gk.ReducedCategorical(), np.asarray([0, 3, 2, 1])),
        (gk.Bernoulli(), np.asarray([[0, 1, 1]] * 4)),
        (gk.Poisson(), np.asarray([[0, 1, 5]] * 4)),
        (gk.SideBySide(gk.Categorical(), gk.Poisson(), dimensions=(2, 1)), (np.asarray([0, 1, 1, 0]), np.arange(4))),
        (gk.Gaussian(covariance), numbers(kind, 4, 3, seed=2)),
    ):
        placed = chosen.on(zeta)
        results += [
            placed.loss(points, targets),
            placed.differential(points, targets).coordinates(zeta.linear.dual),
            placed.metric.at(points).coordinates(zeta.linear),
            placed.predictions(points),
        ]
    return tuple(results)


@program("HeteroscedasticGaussian", exact=False, rounds_nothing=False, slots=2)
def means_and_log_variances(kind: Kind) -> Any:
    Z, zeta = plane(kind, "Z", 4)
    points = Z.from_coordinates(numbers(kind, 4, 4) * 0.5, zeta)
    placed, targets = gk.HeteroscedasticGaussian().on(zeta), numbers(kind, 4, 2, seed=2)
    return (
        placed.loss(points, targets),
        placed.differential(points, targets).coordinates(zeta.linear.dual),
        placed.metric.at(points).coordinates(zeta.linear),
        placed.predictions(points),
    )
