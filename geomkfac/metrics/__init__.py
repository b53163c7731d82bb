"""Metrics: symmetric positive semidefinite forms, perhaps degenerate, and fields of them."""

from __future__ import annotations

from geomkfac.metrics.additive import AdditiveMetric
from geomkfac.metrics.covectors import CovectorTensor
from geomkfac.metrics.dense import DenseTensor
from geomkfac.metrics.direct_sum import DirectSumTensor
from geomkfac.metrics.families import (
    Bernoulli,
    Categorical,
    Gaussian,
    HeteroscedasticGaussian,
    OutputFamily,
    Poisson,
    ReducedCategorical,
    SideBySide,
    family,
)
from geomkfac.metrics.generic import GenericFamily
from geomkfac.metrics.independence import IndependenceMetric
from geomkfac.metrics.kronecker import DampedKroneckerTensor, KroneckerTensor
from geomkfac.metrics.metric import ConstantMetric, CovectorMetric, EuclideanMetric, Metric
from geomkfac.metrics.output import FisherMetric, OutputModel, PlacedFamily
from geomkfac.metrics.pullback import ExpectedMetric, PullbackMetric
from geomkfac.metrics.tensor import MetricTensor

__all__ = [  # noqa: RUF022 (teaching order)
    "MetricTensor",
    "DenseTensor",
    "CovectorTensor",
    "KroneckerTensor",
    "DampedKroneckerTensor",
    "DirectSumTensor",
    "Metric",
    "ConstantMetric",
    "EuclideanMetric",
    "CovectorMetric",
    "FisherMetric",
    "OutputModel",
    "OutputFamily",
    "PlacedFamily",
    "Categorical",
    "ReducedCategorical",
    "Bernoulli",
    "Gaussian",
    "HeteroscedasticGaussian",
    "Poisson",
    "SideBySide",
    "GenericFamily",
    "family",
    "PullbackMetric",
    "ExpectedMetric",
    "IndependenceMetric",
    "AdditiveMetric",
]
