"""The independence metric: ``E[a (x) a] (x) E[g(z)]`` on a space of affine maps, K-FAC's first idea.

``E[a (x) a]`` is a form on Hull(A)*, a sum of squares of the hull vectors of the data; ``E[g(z)]`` is a
form on TZ.  Their tensor product is a form on Hom(Hull(A), TZ), the direction of AffineMaps(A, Z).  It
does not see which a goes with which z: that is the approximation.  Source: LG 3.4, (3.5), T3.6, P3.7.
"""

from __future__ import annotations

from typing import Any, final

from geomkfac.arrays.array import Array
from geomkfac.errors import ShapeError, SpaceMismatchError
from geomkfac.maps.affine import AffineMaps
from geomkfac.metrics.metric import Metric
from geomkfac.metrics.tensors.covectors import CovectorTensor, shares
from geomkfac.metrics.tensors.kronecker import KroneckerTensor
from geomkfac.required import check_type, shown
from geomkfac.spaces import Hull, Point


def second_moment(points: Point, weights: Array | None = None) -> CovectorTensor:
    """``E[a (x) a]`` over a batch (N,) of points: a form on Hull(A)*; its matrix is E[[a; 1] [a; 1]^T].

    Parameters
    ----------
    points : Point of batch shape (N,)
    weights : array, shape (N,), normalised here; None for the plain mean
    """
    if not isinstance(points, Point) or len(points.batch_shape) != 1:
        raise ShapeError(f"a second moment is taken over one batch (N,) of points, not of {shown(points)}.")
    vectors = Hull(points.space).of_point(points)
    return CovectorTensor(shares(vectors.namespace, points.batch_shape[0], weights), vectors, "E[a (x) a]")


@final
class IndependenceMetric(Metric):
    """``w -> E[a (x) a] (x) E[g(w(a))]`` on ``AffineMaps(A, Z)``.

    Parameters
    ----------
    points : Point of A, batch shape (N,): the data
    metric : Metric on Z, evaluated at the images w(a) of the data
    weights : array, shape (N,), normalised here; None for the plain mean
    """

    __slots__ = ("metric", "points", "space", "weights")

    def __init__(self, points: Point, metric: Metric, weights: Array | None = None) -> None:
        check_type("the data of an independence metric", points, Point)
        check_type("the metric on the images of the data", metric, Metric)
        self.points, self.metric, self.weights = points, metric, weights
        self.space = AffineMaps(points.space, metric.space)

    def _at(self, point: Any) -> KroneckerTensor:
        tensor = self.metric.at(point(self.points))
        if not isinstance(tensor, CovectorTensor):
            raise SpaceMismatchError(f"E[g(z)] is taken of forms in covectors, not of {shown(tensor)}.")
        return KroneckerTensor(second_moment(self.points, self.weights), tensor.expectation(self.weights))
