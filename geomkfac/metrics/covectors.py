"""A form as a weighted family of covectors, ``g = sum_k c_k phi_k (x) phi_k``: no square roots.

The shape in which output metrics come, pull back and are averaged; over GF(p) as over floats.
Source: LG L3.5, R3.11.
"""

from __future__ import annotations

from typing import Any, final

from geomkfac.arrays.namespace import Array, Scalar
from geomkfac.errors import ShapeError, SpaceMismatchError, ValuesError
from geomkfac.metrics.degenerate import not_in_range, range_residual_bound
from geomkfac.metrics.dense import DenseTensor, as_dense
from geomkfac.metrics.tensor import MetricTensor, Norm
from geomkfac.spaces import Euclidean, Frame, LinearSpace, Span, Subspace, Vector
from geomkfac.spaces.change import map_components
from geomkfac.spaces.frame import DenseFrame

__all__ = ["CovectorTensor"]


@final
class CovectorTensor(MetricTensor):
    """``sum_k c_k phi_k (x) phi_k`` over the first batch axis of a family of covectors.

    Parameters
    ----------
    weights : array, shape (K, *batch), nonnegative where the kind is ordered
    covectors : Vector of a dual space, batch shape (K, *batch)
    known : null directions that provenance gives, or None
    """

    __slots__ = ("_dense", "_known", "_ns", "_r", "covectors", "provenance", "space", "weights")

    def __init__(
        self, weights: Array, covectors: Vector, provenance: str = "family", known: Span | None = None
    ) -> None:
        if not isinstance(covectors, Vector) or not covectors.batch_shape:
            raise SpaceMismatchError(f"a family is a batch of covectors, of shape (K, *batch), not {covectors!r}.")
        self._ns = covectors._ns
        checked = self._ns.asarray(weights, what="weights of the family")
        if tuple(checked.shape) != covectors.batch_shape:
            raise ShapeError(
                f"weights {tuple(checked.shape)} and covectors {covectors.batch_shape} must have one batch shape."
            )
        self.space: LinearSpace = covectors.space.dual  # type: ignore[assignment]
        self.weights, self.covectors = checked, covectors
        self.provenance, self._known = provenance, known
        self._dense: DenseTensor | None = None
        self._r: Array | None = None

    @property
    def _frame(self) -> Frame:
        return self.covectors._frame.dual

    def checked(self) -> CovectorTensor:
        """Itself, after a check that no weight is negative, where the kind is ordered."""
        if self._ns.epsilon:
            ordered = self._ns.ordered("weights")
            if float(ordered.max(-self.weights)) > 0:
                raise ValuesError("the weights of a family of covectors must be nonnegative; some are negative.")
        return self

    # -- the form ----------------------------------------------------------------------------------
    def _flat(self, v: Vector) -> Vector:
        values = self.covectors(v)
        return _sum_first(self.covectors.scaled(self.weights * values))

    def _rows(self, frame: Frame) -> Array:
        """Flattened covectors (*batch, K, dim) in a frame of the space."""
        ns, dual = self._ns, self.space.dual
        components = self.covectors._in(frame.dual)
        flat = components if isinstance(frame, DenseFrame) else dual._flatten(ns, components)
        rank = flat.ndim - 1
        return ns.permute(flat, [*range(1, rank), 0, rank])

    def dense(self) -> DenseTensor:
        """The same form as one matrix, (*batch, dim, dim); for small dimensions."""
        if self._dense is None:
            ns, frame = self._ns, self._frame
            weights = ns.permute(self.weights, [*range(1, self.weights.ndim), 0])
            matrix = ns.gram(self._rows(frame), weights)
            self._dense = DenseTensor(self.space, frame, matrix, ns, self.provenance, self._known)
        return self._dense

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
        ns, count = self._ns, shape[-1]
        share = ns.ones((count,)) if weights is None else ns.asarray(weights, what="weights")
        share = share / ns.sum(share)
        order = [len(shape) - 1, *range(len(shape) - 1)]
        joined = (shape[0] * count, *shape[1:-1])
        mixed = ns.reshape(ns.permute(self.weights * share, order), joined)

        def join(leaf: Array) -> Array:
            tail = list(range(len(shape), leaf.ndim))
            return ns.reshape(ns.permute(leaf, [*order, *tail]), (*joined, *tuple(leaf.shape)[len(shape) :]))

        family: Vector = self.covectors._with(map_components(join, self.covectors._components))
        return CovectorTensor(mixed, family, f"E[{self.provenance}]", self._known)

    # -- solving: from a square root (QR) in floating point, never from the matrix --------------------
    @property
    def nullity(self) -> int:
        if self.kind.is_exact or self.weights.ndim != 1:
            return self.dense().nullity
        return self.space.dim - self._numerical_rank()

    def _numerical_rank(self) -> int:
        ns = self._ns.ordered("rank")
        values = ns.to_numpy(ns.singular_values(self._triangle()))
        top = float(values[0]) if len(values) else 0.0
        # The same decision as on the matrix: squares of singular values against dim * epsilon.
        cut = (self.space.dim * ns.epsilon) ** 0.5 * top
        return sum(1 for value in values if value > cut)

    def _triangle(self) -> Array:
        """R with ``R^T R`` the matrix of the form in the storage frame; shape (min(K, dim), dim)."""
        if self._r is None:
            ns = self._ns.ordered("a square root of the metric")
            rows = self._rows(self._frame) * ns.sqrt(self.weights)[:, None]
            self._r = ns.qr(rows)[1]
        return self._r

    @property
    def radical(self) -> Subspace:
        return self.dense().radical

    @property
    def _decision(self) -> str:
        return self.dense()._decision

    def _sharp(self, phi: Vector) -> Vector:
        if self.kind.is_exact:
            return self.dense()._sharp(phi)
        ns = self._ns.ordered("sharp")
        dense = self.dense()
        rows = dense._columns(phi, self._frame.dual)
        flat = ns.reshape(rows, (-1, self.space.dim)).mT
        lower = self._triangle().mT
        solution = ns.triangular_solve(lower, ns.triangular_solve(lower, flat), transpose=True)
        return dense._wrap(ns.reshape(solution.mT, tuple(rows.shape)), dual=False)

    def _particular(self, phi: Vector) -> Vector:
        if self.kind.is_exact:
            return self.dense()._particular(phi)
        return self._smallest(phi, self._ns.eye(self.space.dim))

    def _minimal(self, phi: Vector, norm: MetricTensor) -> Vector:
        if self.kind.is_exact:
            return self.dense()._minimal(phi, norm)
        return self._smallest(phi, as_dense(norm)._in(self._frame))

    def _smallest(self, phi: Vector, weight: Array) -> Vector:
        """With R^T R the form and L L^T the norm: eigenvectors of ``L^-1 R^T R L^-T`` beyond the cut."""
        ns, dense = self._ns.ordered("minimal_solution"), self.dense()
        factor = ns.cholesky(weight)
        root = ns.triangular_solve(factor, self._triangle().mT)
        values, vectors = ns.eigh(root @ root.mT)
        cut = self.space.dim * ns.epsilon * float(values[-1])
        nullity = sum(1 for value in ns.to_numpy(values) if value <= cut)
        basis = ns.triangular_solve(factor, vectors, transpose=True)
        rows = dense._columns(phi, self._frame.dual)
        solution = ns.matmul(ns.matmul(rows, basis[:, nullity:]) / values[nullity:], basis[:, nullity:].mT)
        null = basis[:, :nullity]
        if nullity:
            gap = ns.norm(ns.matmul(rows, null))
            energy = abs(float(ns.sum(rows * solution)))
            bound = range_residual_bound(ns, energy, cut, ns.norm(rows) * ns.norm(null), self.space.dim)
            if gap > bound:
                raise not_in_range(repr(self), f"of size {gap:.3e} (rounding allows {bound:.1e})")
        return dense._wrap(solution, dual=False)

    # -- algebra ----------------------------------------------------------------------------------------
    def damped(self, g0: Norm, gamma: Scalar, kind: str = "exact") -> MetricTensor:
        return self.dense().damped(g0, gamma, kind)

    def _scaled(self, factor: Array) -> MetricTensor:
        return CovectorTensor(self.weights * factor, self.covectors, f"c ({self.provenance})", self._known)

    def _plus(self, other: MetricTensor) -> MetricTensor:
        return self.dense() + as_dense(other)

    def eigenvalues(self, relative_to: Norm) -> Array:
        """Ascending, shape (dim,)."""
        return self.dense().eigenvalues(relative_to)

    def _euclidean_like(self, euclidean: Euclidean) -> MetricTensor:
        return self.dense()._euclidean_like(euclidean)

    def _equals(self, other: MetricTensor) -> bool:
        return self.dense()._equals(other)


def _sum_first(vector: Vector) -> Vector:
    """The sum over the first batch axis."""
    total: Vector = vector._with(map_components(lambda x: vector._ns.sum(x, axis=0), vector._components))
    return total
