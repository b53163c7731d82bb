"""A form given by one matrix: the factors of a layer's metric, and metrics of small dimension."""

from __future__ import annotations

from typing import Any, final

from geomkfac.arrays.array import Array, Scalar
from geomkfac.arrays.namespace import Namespace, OrderedNamespace
from geomkfac.errors import ConditioningError, FrameError, NotPositiveError, ShapeError, UnknownNameError
from geomkfac.kept import Kept, kept
from geomkfac.metrics.tensors.degenerate import (
    NullSpace,
    PseudoInverse,
    no_null_space,
    not_in_range,
    null_space,
    positive_factor,
    pseudo_inverse,
    range_bound,
    relative_cut,
    without_null,
)
from geomkfac.metrics.tensors.metric_tensor import MetricTensor, Norm
from geomkfac.operators import DenseMatrix
from geomkfac.operators.cholesky_solver import CholeskySolver
from geomkfac.operators.square_matrix import exceeds_noise
from geomkfac.required import shown
from geomkfac.spaces import Euclidean, Frame, LinearSpace, Span, Subspace, Vector
from geomkfac.spaces.batches import rows_times
from geomkfac.spaces.frames.change import SlotChange
from geomkfac.spaces.frames.frame import DenseFrame, change_of, convert
from geomkfac.spaces.samples.rounding import Doubt

UNSEEN = 4.0
"""A direction of the data whose square is up to so many times what counts as zero may be taken for a null one."""

CLEAR = 100.0
"""A rank is clear-cut where what is not zero exceeds by this factor what may be."""


@final
class DenseTensor(MetricTensor):
    """A metric tensor with components (*batch, dim, dim) in vec order of a frame.

    Made by `from_coordinates`; everything that solves needs batch shape ().  Where provenance shows that
    it is nondegenerate (`positive`: an inner product, or what was damped by one), no rank is decided.
    Of a sum over data, `terms` is how many products were summed for an entry, and `noise` (dim,) the standard
    deviation by which the coordinates of what was squared are rounded; a `doubt` says why the sum may show a direction
    as null that is none, and refuses to decide so.
    """

    __slots__ = (
        "_doubt",
        "_kept",
        "_known",
        "_matrix",
        "_noise",
        "_positive",
        "_terms",
        "namespace",
        "provenance",
        "space",
        "storage_frame",
    )

    def __init__(
        self,
        space: LinearSpace,
        frame: Frame,
        matrix: Array,
        ns: Namespace,
        provenance: str,
        known: Span | None = None,
        *,
        positive: bool = False,
        terms: int = 0,
        noise: Array | None = None,
        doubt: Doubt | None = None,
    ) -> None:
        self.space, self.storage_frame, self._matrix, self.namespace = space, frame, matrix, ns
        self.provenance, self._known, self._positive = provenance, known, positive
        self._terms, self._noise, self._doubt = terms, noise, doubt
        self._kept = Kept()

    @staticmethod
    def from_coordinates(matrix: Array, frame: Frame, *, provenance: str = "given") -> DenseTensor:
        """The form with this matrix in `frame`.

        Parameters
        ----------
        matrix : array, shape (dim, dim), symmetric, positive semidefinite
        frame : Frame of a vector space

        Raises
        ------
        ShapeError, KindError, FrameError, NotPositiveError
        """
        if not isinstance(frame, Frame):
            raise FrameError(
                f"the matrix of a metric stands in a Frame of a vector space, not in {shown(frame)}.\n"
                "Pass parameterization[space]."
            )
        space = frame.space.direction
        if not isinstance(space, LinearSpace):
            raise ShapeError(f"a metric tensor is a form on a vector space, not on {space!r}.")
        frame = frame.linear
        ns = space.kind.namespace_of(matrix)
        checked = ns.asarray(matrix, what="matrix of the metric")
        if tuple(checked.shape) != (space.dim, space.dim):
            raise ShapeError(
                f"the matrix of a metric on {space!r} must have shape ({space.dim}, {space.dim}), "
                f"not {tuple(checked.shape)}."
            )
        _check_positive(ns, checked)
        return DenseTensor(space, frame, ns.copy(checked), ns, provenance)

    # -- coordinates ------------------------------------------------------------------------------
    def coordinates(self, frame: Any) -> Array:
        """The matrix in `frame`, shape (*batch, dim, dim), in vec order."""
        return self.components_in(self.space.own_frame(frame))

    def components_in(self, frame: Frame) -> Array:
        if frame is self.storage_frame:
            return self._matrix
        moved = self._moved(frame)
        if moved is not None:
            return moved
        half = self._rows_in(self._matrix, self.storage_frame, frame)
        moved = self._rows_in(half.mT, self.storage_frame, frame)
        # A form is symmetric in every frame; rounding is not.
        return moved if self.kind.is_exact else (moved + moved.mT) / 2

    def _moved(self, frame: Frame) -> Array | None:
        """The matrix in `frame`, where one change of coordinates acts on both sides of it."""
        if self._matrix.ndim != 2 or isinstance(frame, DenseFrame) or isinstance(self.storage_frame, DenseFrame):
            return None
        change = change_of(self.space.dual, self.storage_frame.dual, frame.dual)
        return change.congruence(self.namespace, self._matrix) if isinstance(change, SlotChange) else None

    def _rows_in(self, rows: Array, source: Frame, target: Frame) -> Array:
        ns, dual = self.namespace, self.space.dual
        components = rows if isinstance(source, DenseFrame) else dual.unflatten(ns, rows)
        moved = convert(dual, components, source.dual, target.dual, ns)
        return moved if isinstance(target, DenseFrame) else dual.flatten(ns, moved)

    def _restored(self, frame: Frame) -> DenseTensor:
        return DenseTensor(
            self.space,
            frame,
            self.components_in(frame),
            self.namespace,
            self.provenance,
            self._known,
            positive=self._positive,
            terms=self._terms,
        )

    def operator(self, frame: Any) -> DenseMatrix:
        """The matrix in `frame` as an operator on components of shape `slots`."""
        return DenseMatrix(self.coordinates(frame), acts_on=self._acts_on)

    def dense(self) -> DenseTensor:
        return self

    # -- the form -----------------------------------------------------------------------------------
    def _columns(self, element: Vector, frame: Frame) -> Array:
        components = element.components_in(frame)
        if isinstance(frame, DenseFrame):
            return components
        return element.space.flatten(self.namespace, components)

    def _wrap(self, flat: Array, dual: bool) -> Vector:
        space = self.space.dual if dual else self.space
        frame = self.storage_frame.dual if dual else self.storage_frame
        components = flat if isinstance(frame, DenseFrame) else space.unflatten(self.namespace, flat)
        return space.from_components(frame, components, self.namespace)

    def _flat(self, v: Vector) -> Vector:
        flat = self._columns(v, self.storage_frame)
        return self._wrap(rows_times(self.namespace, flat, self._matrix), dual=True)

    # -- degeneracy -----------------------------------------------------------------------------------
    @kept
    def _null(self) -> NullSpace:
        if self._positive:
            return no_null_space(self.namespace, self.space.dim)
        known = None
        if self._known is not None and not self.kind.is_exact:
            known = self.namespace.cast(self._known.columns(self.storage_frame))
        found = null_space(self.namespace, self._one(), known, self._terms, self._noise)
        if self._doubt is not None and found.dim and self._doubt.seen <= UNSEEN * found.cut:
            raise ConditioningError(
                f"the rank of {self!r} is open.\n  required: directions that are null on the data themselves\n"
                f"  came    : {found.dim} that {self.namespace.name} cannot tell from null; {self._doubt.why}\n"
                "Compute in the basis of the data, or in one made from it (iota.centered, iota.whitened); or damp the "
                "metric."
            )
        return found

    @kept
    def _pseudo_inverse(self) -> PseudoInverse:
        return pseudo_inverse(self.namespace, self._one(), self._null())

    def _one(self) -> Array:
        if self._matrix.ndim != 2:
            raise ShapeError(f"{self!r} is a batch of forms; take an expectation, or one of them, before solving.")
        return self._matrix

    @property
    def nullity(self) -> int:
        return self._null().dim

    @property
    def gap(self) -> tuple[float, float] | None:
        """The largest eigenvalue that counts as zero, and the smallest that does not; None where none was computed."""
        null = self._null()
        return None if null.zero is None or null.nonzero is None else (abs(null.zero), null.nonzero)

    @property
    def is_clear(self) -> bool:
        """Whether what counts exceeds what may be rounding by 100, which a basis of condition 10 may take of it."""
        null = self._null()
        if null.nonzero is not None:
            return null.nonzero > CLEAR * null.cut
        if self.kind.is_exact or self._positive or null.dim or not self.space.dim:
            return True
        ns, matrix = self.namespace.ordered("rank"), self._one()
        return exceeds_noise(ns, matrix, ns.cholesky(matrix), CLEAR * null.cut)

    @property
    def radical(self) -> Subspace:
        return Span(self._wrap(self._null().columns.mT, dual=False))

    @property
    def _decision(self) -> str:
        if self.kind.is_exact:
            return "the rank is exact"
        cut = relative_cut(self.namespace, self.space.dim, self._terms)
        return f"the rank was decided in the storage frame, scaled to unit diagonal, with tolerance {cut:.1e}"

    # -- solving -----------------------------------------------------------------------------------------
    def _sharp(self, phi: Vector) -> Vector:
        flat = self._columns(phi, self.storage_frame.dual)
        return self._wrap(self._solve(flat), dual=False)

    def _solve(self, rows: Array) -> Array:
        """Rows (*batch, dim) of covectors to rows of vectors; nondegenerate."""
        ns = self.namespace
        if ns.kind.is_exact:
            return ns.matmul(rows, self._inverse())
        flat = ns.reshape(rows, (-1, self.space.dim))
        return ns.reshape(self._solver().rows(flat), tuple(rows.shape))

    def _solve_columns(self, columns: Array) -> Array:
        """The same for columns (*batch, dim, k)."""
        if self.namespace.kind.is_exact:
            return self._solve(columns.mT).mT
        return self._solver().columns(columns)

    @kept
    def _inverse(self) -> Array:
        return self.namespace.inverse(self._one())

    @kept
    def _solver(self) -> CholeskySolver:
        ns, matrix = self.namespace.ordered("sharp"), self._one()
        # Elsewhere the same check was made when the rank was decided.
        factor = positive_factor(ns, matrix, repr(self)) if self._positive else ns.cholesky(matrix)
        return CholeskySolver(ns, matrix, factor)

    def _particular(self, phi: Vector) -> Vector:
        rows = self._columns(phi, self.storage_frame.dual)
        solution = self.namespace.matmul(rows, self._pseudo_inverse().inverse)
        self._require_range(rows, solution)
        return self._wrap(solution, dual=False)

    def _minimal(self, phi: Vector, norm: MetricTensor) -> Vector:
        if not self.nullity:
            return self._sharp(phi)
        particular, frame = self._particular(phi), self.storage_frame
        return self._wrap(self._without_null(self._columns(particular, frame), norm.dense()), dual=False)

    def _without_null(self, rows: Array, norm: DenseTensor) -> Array:
        """Rows (*batch, dim) of vectors, less what is in the radical, orthogonally in a norm."""
        if not self.nullity:
            return rows
        # In the norm's own frame: in this one, whose origin may lie far from that one's, its numbers may cancel.
        columns = self._null().columns
        basis = self._columns(self._wrap(columns.mT, dual=False), norm.storage_frame)
        flat = rows_times(self.namespace, basis, norm._one())
        against = self._columns(norm._wrap(flat, dual=True), self.storage_frame.dual).mT
        gram = self.namespace.matmul(basis, flat.mT)
        return without_null(self.namespace, rows, columns, against, gram, positive=norm._positive)

    def _require_range(self, rows: Array, solution: Array) -> None:
        null = self._null()
        if null.dim == 0:
            return
        ns = self.namespace
        if null.lengths is None:
            gap = ns.matmul(rows, null.columns)
            if not ns.is_zero(gap):
                raise not_in_range(repr(self), str(ns.to_numpy(gap)))
            return
        ordered = ns.ordered("minimal_solution")
        scaled = rows / null.lengths
        gap, size = (_row_norms(ordered, x) for x in (ns.matmul(scaled, null.directions), scaled))
        energy = ns.sum(rows * solution, axis=-1)
        bound = range_bound(ordered, energy, null.cut, size, self.space.dim)
        if float(ordered.max(gap - bound)) > 0:
            raise not_in_range(
                repr(self),
                f"of size {float(ordered.max(gap)):.3e} in the scaling of the metric's diagonal "
                f"(rounding allows {float(ordered.max(bound)):.1e})",
            )

    # -- algebra --------------------------------------------------------------------------------------
    @property
    def _acts_on(self) -> tuple[int, ...]:
        """The shape of what the matrix acts on: of one vector; on a product of spaces, of all parts stacked."""
        slots = tuple(self.space.slots)
        return slots if all(isinstance(slot, int) for slot in slots) else (self.space.dim,)

    def damped(self, g0: Norm, gamma: Scalar, kind: str = "exact") -> MetricTensor:
        if not isinstance(kind, str) or kind != "exact":
            raise UnknownNameError(
                f"a metric without Kronecker factors is damped 'exact', not {shown(kind)}.\n"
                "Factored damping is for layers of a K-FAC metric."
            )
        other = self._as_tensor(g0).dense().components_in(self.storage_frame)
        damped = self.operator(self.storage_frame).damped_by(DenseMatrix(other, acts_on=self._acts_on), gamma)
        return DenseTensor(
            self.space, self.storage_frame, damped.dense(), self.namespace, f"({self.provenance}) + {gamma} g0"
        )

    def _scaled(self, factor: Array) -> MetricTensor:
        matrix, label = self._matrix * factor, f"c ({self.provenance})"
        noise = None if self._noise is None else self._noise * abs(float(factor)) ** 0.5
        return DenseTensor(
            self.space, self.storage_frame, matrix, self.namespace, label, self._known,
            terms=self._terms, noise=noise, doubt=self._doubt,
        )  # fmt: skip

    def _plus(self, other: MetricTensor) -> MetricTensor:
        second = other.dense()
        total = self._matrix + second.components_in(self.storage_frame)
        label = f"{self.provenance} + {other.provenance}"
        noise, doubts = None, filter(None, (self._doubt, second._doubt))
        if self._noise is not None and second._noise is not None and second.storage_frame is self.storage_frame:
            noise = self._noise + second._noise
        return DenseTensor(
            self.space, self.storage_frame, total, self.namespace, label, terms=max(self._terms, second._terms),
            noise=noise, doubt=min(doubts, key=lambda doubt: doubt.seen, default=None),
        )  # fmt: skip

    def eigenvalues(self, relative_to: Norm) -> Array:
        """Ascending, shape (dim,)."""
        return relative_eigenvalues(self, self._as_tensor(relative_to).dense())

    def _euclidean_like(self, euclidean: Euclidean) -> MetricTensor:
        frame = euclidean.parameterization[self.space]
        return DenseTensor(
            self.space, frame, self.namespace.eye(self.space.dim), self.namespace, "Euclidean", positive=True
        )

    def _equals(self, other: MetricTensor) -> bool:
        return bool(self.namespace.equal(self._matrix, other.dense().components_in(self.storage_frame)))


def _row_norms(ns: OrderedNamespace, x: Array) -> Array:
    return ns.sqrt(ns.sum(x * x, axis=-1))


def relative_eigenvalues(form: DenseTensor, weight: DenseTensor) -> Array:
    """Eigenvalues of `form` relative to a positive definite `weight`, ascending.

    In the frame of the weight: in that of a form about far data its numbers would cancel.
    """
    ordered, frame = form.namespace.ordered("eigenvalues"), weight.storage_frame
    factor = ordered.cholesky(weight._one())
    half = ordered.triangular_solve(factor, form.components_in(frame))
    whitened = ordered.triangular_solve(factor, half.mT)
    return ordered.eigh((whitened + whitened.mT) / 2)[0]


def _check_positive(ns: Namespace, matrix: Array) -> None:
    if not ns.kind.is_exact:
        ordered = ns.ordered("metric")
        size, n = ordered.norm(matrix), matrix.shape[0]
        if ordered.norm(matrix - matrix.mT) > n * ns.epsilon * size:
            raise NotPositiveError(
                "the matrix of a metric must be symmetric; pass (M + M.T) / 2 if the rest is rounding."
            )
        smallest = float(ordered.eigh((matrix + matrix.mT) / 2)[0][0]) if n else 0.0
        if smallest < -n * ns.epsilon * size:
            raise NotPositiveError(
                f"the matrix of a metric must be positive semidefinite; its smallest eigenvalue is {smallest:.3e}."
            )
    elif not ns.equal(matrix, matrix.mT):
        raise NotPositiveError("the matrix of a metric must be symmetric.")
