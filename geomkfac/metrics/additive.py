"""The additive metric on a product, K-FAC's second idea: layers do not interact."""

from __future__ import annotations

from typing import Any, final

from geomkfac.metrics.metric import Metric
from geomkfac.metrics.tensors.direct_sum import DirectSumTensor
from geomkfac.required import check_type
from geomkfac.spaces import PointSpace, ProductSpace


@final
class AdditiveMetric(Metric):
    """``(g_1 + ... + g_L)(p)(u, v) = sum_i g_i(p_i)(u_i, v_i)``, of any number of terms.  Source: LG (3.7), D3.9.

    Parameters
    ----------
    metrics : metrics on affine spaces, one per factor of the product, in order
    """

    __slots__ = ("metrics", "space")

    def __init__(self, *metrics: Metric) -> None:
        for metric in metrics:
            check_type("a term of an additive metric", metric, Metric)
        self.metrics = metrics
        factors: tuple[PointSpace, ...] = tuple(metric.space for metric in metrics)  # type: ignore[misc]
        self.space: ProductSpace = ProductSpace(*factors)

    def _at(self, point: Any) -> DirectSumTensor:
        parts = zip(self.metrics, self.space.split(point), strict=True)
        return DirectSumTensor(*(metric.at(part) for metric, part in parts))
