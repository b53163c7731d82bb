"""Metrics: fields of metric tensors on an affine space.

A metric gives a `MetricTensor` at each point, or a batch of them at a batch of points.  Affine spaces
identify all their tangent spaces, so tensors at different points can be averaged.
Source: LG 2.2.5, A.1, A.2.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, final

from geomkfac.arrays.array import Array
from geomkfac.errors import FrameError, KindError, SpaceMismatchError
from geomkfac.metrics.tensors.covectors import CovectorTensor
from geomkfac.metrics.tensors.dense import DenseTensor
from geomkfac.metrics.tensors.metric_tensor import MetricTensor
from geomkfac.metrics.tensors.symmetric_elimination import weighted_rows
from geomkfac.required import check_pickles, check_type, shown
from geomkfac.spaces import Element, Frame, Point, Space, Vector


class Metric(ABC):
    """A field of symmetric positive semidefinite forms, perhaps degenerate, on `space`."""

    __slots__ = ("__weakref__",)

    space: Space

    def at(self, point: Element) -> MetricTensor:
        """The metric tensor at a point; at a batch of points, a batch of tensors.

        Raises
        ------
        SpaceMismatchError : the point lives elsewhere.
        """
        if not isinstance(point, Element) or point.space is not self.space:
            raise SpaceMismatchError(f"{self!r} is a metric on {self.space!r}.\n  came: {shown(point)}")
        return self._at(point)

    @abstractmethod
    def _at(self, point: Any) -> MetricTensor: ...

    def __repr__(self) -> str:
        return f"{type(self).__name__} on {self.space!r}"


@final
class ConstantMetric(Metric):
    """The same tensor at every point; as a family of covectors, so that it pulls back.

    Parameters
    ----------
    space : affine space on whose direction the tensor is a form
    tensor : DenseTensor
    """

    __slots__ = ("_covectors", "_weights", "space", "tensor")

    def __init__(self, space: Space, tensor: DenseTensor) -> None:
        check_type("the space of a constant metric", space, Space)
        check_type("the value of a constant metric", tensor, DenseTensor, "Pass tensor.dense().")
        if tensor.space is not space.direction:
            raise SpaceMismatchError(f"the tensor must be a form on {space.direction!r}.\n  came: {shown(tensor)}")
        self.space, self.tensor = space, tensor
        ns = tensor.namespace
        self._weights, rows = weighted_rows(ns, tensor._matrix)
        dual = tensor.space.dual
        self._covectors: Vector = dual.from_components(tensor.storage_frame.dual, dual.unflatten(ns, rows), ns)

    def _at(self, point: Any) -> CovectorTensor:
        return _spread(self._weights, self._covectors, point, self.tensor.provenance)


@final
class EuclideanMetric(Metric):
    """The metric in which a named frame is orthonormal.

    Parameters
    ----------
    frame : Frame of an affine space with one slot, such as an output space
    """

    __slots__ = ("frame", "space")

    def __init__(self, frame: Frame) -> None:
        if not isinstance(frame, Frame) or not frame.space.is_affine:
            raise SpaceMismatchError(
                f"a Euclidean metric is made from a frame of an affine space, not from {shown(frame)}."
            )
        self.frame, self.space = frame, frame.space

    def _at(self, point: Any) -> CovectorTensor:
        ns, dual = point.namespace, self.space.direction.dual
        rows = dual.unflatten(ns, ns.eye(self.space.dim))
        covectors: Vector = dual.from_components(self.frame.linear.dual, rows, ns)
        return _spread(ns.ones((self.space.dim,)), covectors, point, "Euclidean")


@final
class CovectorMetric(Metric):
    """A metric of the user's own, given by covectors: ``g(p) = sum_k c_k(p) phi_k(p) (x) phi_k(p)``.

    Parameters
    ----------
    frame : Frame of the space, in which the function reads points and writes covectors
    function : takes coordinates (*batch, n) and gives weights (K, *batch), nonnegative, and covectors
        (K, *batch, n), arrays of the same namespace

    Source: LG R3.11.
    """

    __slots__ = ("_function", "frame", "space")

    def __init__(self, frame: Frame, function: Callable[[Array], tuple[Array, Array]]) -> None:
        check_type("what points are read in", frame, Frame, error=FrameError)
        if not callable(function):
            raise KindError(f"covectors are given by a function of points.\n  came: {shown(function)}")
        self.frame, self.space, self._function = frame, frame.space, function

    def __copy__(self) -> CovectorMetric:
        return self

    def __deepcopy__(self, memo: Any) -> CovectorMetric:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        check_pickles("the function of a metric", self._function)
        return CovectorMetric, (self.frame, self._function)

    def _at(self, point: Any) -> CovectorTensor:
        weights, rows = self._function(point.coordinates(self.frame))
        covectors: Vector = self.space.direction.dual.from_coordinates(rows, self.frame.linear.dual)
        return CovectorTensor(weights, covectors, "given").checked()


def _spread(weights: Array, covectors: Vector, point: Point, provenance: str) -> CovectorTensor:
    """One family (K,) repeated over the batch of `point`: (K, *batch)."""
    batch = point.batch_shape
    ns, count = covectors.namespace, weights.shape[0]
    if not batch:
        return CovectorTensor(weights, covectors, provenance)
    ones = (1,) * len(batch)
    spread = ns.broadcast_to(ns.reshape(weights, (count, *ones)), (count, *batch))
    leaf = covectors._components
    tail = tuple(leaf.shape)[1:]
    rows = ns.broadcast_to(ns.reshape(leaf, (count, *ones, *tail)), (count, *batch, *tail))
    return CovectorTensor(spread, covectors.with_components(rows), provenance)
