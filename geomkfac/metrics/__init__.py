"""Metrics: symmetric positive semidefinite forms, perhaps degenerate, and fields of them."""

from __future__ import annotations

from geomkfac.metrics.additive import AdditiveMetric
from geomkfac.metrics.families.bernoulli import Bernoulli
from geomkfac.metrics.families.by_name import family
from geomkfac.metrics.families.categorical import Categorical
from geomkfac.metrics.families.gaussian import Gaussian
from geomkfac.metrics.families.generic_family import GenericFamily
from geomkfac.metrics.families.heteroscedastic import HeteroscedasticGaussian
from geomkfac.metrics.families.output_family import FisherMetric, OutputFamily, OutputModel, PlacedFamily
from geomkfac.metrics.families.poisson import Poisson
from geomkfac.metrics.families.reduced_categorical import ReducedCategorical
from geomkfac.metrics.families.side_by_side import SideBySide
from geomkfac.metrics.independence import IndependenceMetric
from geomkfac.metrics.metric import ConstantMetric, CovectorMetric, EuclideanMetric, Metric
from geomkfac.metrics.pullback import ExpectedMetric, PullbackMetric
from geomkfac.metrics.tensors.covectors import CovectorTensor
from geomkfac.metrics.tensors.dense import DenseTensor
from geomkfac.metrics.tensors.direct_sum import DirectSumTensor
from geomkfac.metrics.tensors.kronecker import DampedKroneckerTensor, KroneckerTensor
from geomkfac.metrics.tensors.metric_tensor import MetricTensor

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
