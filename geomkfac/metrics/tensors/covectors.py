"""A form as a weighted family of covectors, ``g = sum_k c_k phi_k (x) phi_k``: no square roots.

The shape in which output metrics come, pull back and are averaged; over GF(p) as over floats.
Source: LG L3.5, R3.11.
"""

from __future__ import annotations

from typing import Any, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.errors import ShapeError, SpaceMismatchError, ValuesError
from geomkfac.kept import Kept, kept
from geomkfac.metrics.tensors.dense import DenseTensor
from geomkfac.metrics.tensors.metric_tensor import MetricTensor
from geomkfac.required import shown
from geomkfac.spaces import Frame, LinearSpace, Span, Vector
from geomkfac.spaces.frames.change import map_components
from geomkfac.spaces.frames.frame import DenseFrame


@final
class CovectorTensor(MetricTensor):
    """``sum_k c_k phi_k (x) phi_k`` over the first batch axis of a family of covectors.

    Parameters
    ----------
    weights : array, shape (K, *batch), nonnegative where the kind is ordered
    covectors : Vector of a dual space, batch shape (K, *batch)
    known : null directions that provenance gives, or None
    """

    __slots__ = ("_kept", "_known", "covectors", "namespace", "provenance", "space", "weights")

    def __init__(
        self, weights: Array, covectors: Vector, provenance: str = "family", known: Span | None = None
    ) -> None:
        if not isinstance(covectors, Vector) or not covectors.batch_shape:
            raise SpaceMismatchError(f"a family is a batch of covectors, of shape (K, *batch), not {shown(covectors)}.")
        self.namespace = covectors.namespace
        checked = self.namespace.asarray(weights, what="weights of the family")
        if tuple(checked.shape) != covectors.batch_shape:
            raise ShapeError(
                f"weights {tuple(checked.shape)} and covectors {covectors.batch_shape} must have one batch shape."
            )
        self.space: LinearSpace = covectors.space.dual  # type: ignore[assignment]
        self.weights, self.covectors = checked, covectors
        self.provenance, self._known = provenance, known
        self._kept = Kept()

    @property
    def storage_frame(self) -> Frame:
        return self.covectors.storage_frame.dual

    def checked(self) -> CovectorTensor:
        """Itself, after a check that no weight is negative, where the kind is ordered."""
        if not self.namespace.kind.is_exact:
            ordered = self.namespace.ordered("weights")
            if float(ordered.max(-self.weights)) > 0:
                raise ValuesError("the weights of a family of covectors must be nonnegative; some are negative.")
        return self

    # -- the form ----------------------------------------------------------------------------------
    def _flat(self, v: Vector) -> Vector:
        # Axes of v's batch beyond this one's stand between K and the rest.
        extra = max(0, len(v.batch_shape) - (self.weights.ndim - 1))
        key = (slice(None), *(None,) * extra, ...)
        covectors = self.covectors[key]
        return _sum_first(covectors.scaled(self.weights[key] * covectors(v)))

    def _rows(self, frame: Frame) -> Array:
        """Flattened covectors (*batch, K, dim) in a frame of the space."""
        ns, dual = self.namespace, self.space.dual
        components = self.covectors.components_in(frame.dual)
        flat = components if isinstance(frame, DenseFrame) else dual.flatten(ns, components)
        rank = flat.ndim - 1
        return ns.permute(flat, [*range(1, rank), 0, rank])

    @kept
    def dense(self) -> DenseTensor:
        """The same form as one matrix, (*batch, dim, dim); for small dimensions."""
        ns, frame = self.namespace, self.storage_frame
        weights = ns.permute(self.weights, [*range(1, self.weights.ndim), 0])
        matrix, count = ns.gram(self._rows(frame), weights), int(self.weights.shape[0])
        return DenseTensor(self.space, frame, matrix, ns, self.provenance, self._known, terms=count)

    def coordinates(self, frame: Any) -> Array:
        """The matrix in `frame`, shape (*batch, dim, dim), in vec order."""
        return self.dense().coordinates(frame)

    def expectation(self, weights: Array | None = None) -> CovectorTensor:
        """The mean over the last batch axis, (K, *batch, N) to (K N, *batch); weights (N,) are normalised.

        One flat family: the axis N joins the axis K.
        """
        shape = self.weights.shape
        if len(shape) < 2:
            raise ShapeError(f"{self!r} is one form, not a batch; there is nothing to average.")
        ns, count = self.namespace, shape[-1]
        share = shares(ns, count, weights)
        order = [len(shape) - 1, *range(len(shape) - 1)]
        joined = (shape[0] * count, *shape[1:-1])
        mixed = ns.reshape(ns.permute(self.weights * share, order), joined)

        def join(leaf: Array) -> Array:
            tail = list(range(len(shape), leaf.ndim))
            return ns.reshape(ns.permute(leaf, [*order, *tail]), (*joined, *tuple(leaf.shape)[len(shape) :]))

        family: Vector = self.covectors.with_components(map_components(join, self.covectors._components))
        return CovectorTensor(mixed, family, f"E[{self.provenance}]", self._known)

    # -- solving: one decision of rank, that of the matrix; nondegenerate from a square root (QR) ------
    @kept
    def _triangle(self) -> Array:
        """R with ``R^T R`` the matrix of the form in the storage frame; shape (min(K, dim), dim)."""
        ns = self.namespace.ordered("a square root of the metric")
        rows = self._rows(self.storage_frame) * ns.sqrt(self.weights)[:, None]
        return ns.qr(rows)[1]

    @property
    def _decision(self) -> str:
        return self.dense()._decision

    def _sharp(self, phi: Vector) -> Vector:
        if self.kind.is_exact:
            return self.dense()._sharp(phi)
        ns = self.namespace.ordered("sharp")
        dense = self.dense()
        rows = dense._columns(phi, self.storage_frame.dual)
        flat = ns.reshape(rows, (-1, self.space.dim)).mT
        lower = self._triangle().mT
        solution = ns.triangular_solve(lower, ns.triangular_solve(lower, flat), transpose=True)
        return dense._wrap(ns.reshape(solution.mT, tuple(rows.shape)), dual=False)

    # -- algebra ----------------------------------------------------------------------------------------
    def _scaled(self, factor: Array) -> MetricTensor:
        return CovectorTensor(self.weights * factor, self.covectors, f"c ({self.provenance})", self._known)


def shares(ns: Namespace, count: int, weights: Array | None) -> Array:
    """Weights (N,) of data, divided by their sum; equal ones for None.

    Raises
    ------
    ShapeError, ValuesError : not one weight per datum; some negative; or their sum is zero.
    """
    if weights is None:
        return ns.ones((count,)) / ns.scalar(count)
    checked = ns.asarray(weights, what="weights")
    if tuple(checked.shape) != (count,):
        raise ShapeError(f"one weight per datum is required: shape ({count},), not {tuple(checked.shape)}.")
    if not ns.kind.is_exact and float(ns.ordered("weights").max(-checked)) > 0:
        raise ValuesError("weights must be nonnegative; some are negative.")
    total = ns.sum(checked)
    if ns.is_zero(total):
        raise ValuesError("the weights of the data sum to zero; there is no mean.")
    return checked / total


def _sum_first(vector: Vector) -> Vector:
    """The sum over the first batch axis."""
    return vector.with_components(
        map_components(lambda x: vector.namespace.sum(x, axis=0), vector._components)
    )
