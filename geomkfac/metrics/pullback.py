"""Pullbacks and expectations of metrics: what carries an output metric to the weights.

``(phi^* g)(u, v) = g(phi_* u, phi_* v)``, in coordinates J^T G J.  Both stay positive semidefinite, and
the pullback of a nondegenerate metric may be degenerate.  Source: LG 2.2.5, 3.3.
"""

from __future__ import annotations

from typing import Any, final

from geomkfac.arrays.array import Array
from geomkfac.errors import SpaceMismatchError
from geomkfac.maps.smooth import Derivative, SmoothMap
from geomkfac.metrics.metric import Metric
from geomkfac.metrics.tensors.covectors import CovectorTensor
from geomkfac.metrics.tensors.metric_tensor import MetricTensor
from geomkfac.required import check_type, shown


def pullback_tensor(derivative: Derivative, tensor: MetricTensor) -> CovectorTensor:
    """A form in covectors, pulled back along a derivative.  Source: LG (3.6)."""
    if not isinstance(tensor, CovectorTensor):
        raise SpaceMismatchError(
            f"a form is pulled back through its covectors, and this one has none: {shown(tensor)}.\n"
            "Give the metric as a ConstantMetric, CovectorMetric, EuclideanMetric or FisherMetric."
        )
    covectors = derivative.pullback(tensor.covectors)
    return CovectorTensor(tensor.weights, covectors, f"pullback of {tensor.provenance}")


@final
class PullbackMetric(Metric):
    """The pullback of a metric along a smooth map, ``J^T G J``.

    Parameters
    ----------
    smooth_map : SmoothMap; a map at a batch of data gives a batch of tensors
    metric : Metric on its codomain
    """

    __slots__ = ("map", "metric", "space")

    def __init__(self, smooth_map: SmoothMap, metric: Metric) -> None:
        check_type("what a metric is pulled back along", smooth_map, SmoothMap)
        check_type("what is pulled back", metric, Metric)
        if metric.space is not smooth_map.codomain:
            raise SpaceMismatchError(
                f"the metric must live where the map ends.\n  map   : {shown(smooth_map)}\n  metric: {shown(metric)}"
            )
        self.map, self.metric = smooth_map, metric
        self.space = smooth_map.domain

    def _at(self, point: Any) -> CovectorTensor:
        value, derivative = self.map.linearize(point)
        return pullback_tensor(derivative, self.metric.at(value))


@final
class ExpectedMetric(Metric):
    """The expectation of a metric whose tensors come in a batch, one per datum.

    Parameters
    ----------
    metric : Metric with tensors of batch shape (N,) at one point, such as a PullbackMetric at data
    weights : array, shape (N,), normalised here; None for the plain mean
    """

    __slots__ = ("metric", "space", "weights")

    def __init__(self, metric: Metric, weights: Array | None = None) -> None:
        check_type("what an expectation is taken of", metric, Metric)
        self.metric, self.space, self.weights = metric, metric.space, weights

    def _at(self, point: Any) -> CovectorTensor:
        tensor = self.metric.at(point)
        if not isinstance(tensor, CovectorTensor):
            raise SpaceMismatchError(f"an expectation is taken of forms in covectors, not of {shown(tensor)}.")
        return tensor.expectation(self.weights)
