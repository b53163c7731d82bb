"""Metric tensors: symmetric positive semidefinite forms on a vector space, perhaps degenerate.

A metric tensor turns vectors into covectors (`flat`); where it is nondegenerate it turns them back
(`sharp`).  Where it is degenerate the solutions of ``flat(v) = phi`` are a coset of its radical, which
needs no frame (`sharp_coset`); to pick one of them takes a second metric, which must be named
(`minimal_solution`).  There is no trace, determinant or eigenvalue here: those need a frame, or a
second metric (`eigenvalues`).  Source: LG 2.2.5, 2.1.2.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from geomkfac.arrays.array import Array, Scalar
from geomkfac.arrays.namespace import Kind, Namespace
from geomkfac.errors import (
    DegenerateMetricError,
    GeomkfacError,
    InexactEqualityError,
    KindError,
    SingularMatrixError,
    SpaceMismatchError,
    ValuesError,
)
from geomkfac.metrics.tensors.degenerate import norm_is_degenerate
from geomkfac.operators.square_matrix import SquareMatrix
from geomkfac.required import shown
from geomkfac.spaces import AffineSubspace, Euclidean, LinearSpace, Subspace, Vector

if TYPE_CHECKING:
    from geomkfac.metrics.tensors.dense import DenseTensor

Norm = Any
"""A MetricTensor on the same space, or the Euclidean structure of a parameterization."""


class MetricTensor(ABC):
    """A symmetric positive semidefinite form on `space`, or a batch of them.

    What a form has no shorter way for is done with its one matrix, `dense`.

    Attributes
    ----------
    space : the vector space on which it is a form
    provenance : how it was made, as a formula; pullback, expectation, tensor product, sum and direct
        sum all keep it positive semidefinite
    """

    __slots__ = ("__weakref__",)

    space: LinearSpace
    provenance: str
    namespace: Namespace

    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    # -- the form -------------------------------------------------------------------------------
    def __call__(self, u: Vector, v: Vector) -> Array:
        """The number ``g(u, v)``, an array of the batch's shape."""
        return self.flat(u)(self._own(v, self.space, "g(u, v)"))

    def flat(self, v: Vector) -> Vector:
        """The covector ``g(v, .)``.  Source: LG 2.1.2."""
        return self._flat(self._own(v, self.space, "flat"))

    @abstractmethod
    def coordinates(self, frame: Any) -> Any:
        """The matrix of the form in a frame of `space`: ``g(u, v) = vec(u)^T M vec(v)``, columns stacked.

        An array (*batch, dim, dim) for a form without structure or in a dense frame; a
        KroneckerProduct, BlockDiagonal or other structured matrix otherwise.
        """

    @abstractmethod
    def _flat(self, v: Vector) -> Vector: ...

    @abstractmethod
    def dense(self) -> DenseTensor:
        """The same form as one matrix; for small dimensions."""

    # -- solving ---------------------------------------------------------------------------------
    def sharp(self, phi: Vector) -> Vector:
        """The vector v with ``flat(v) = phi``, where the metric is nondegenerate.  Source: LG 2.1.2.

        Raises
        ------
        DegenerateMetricError : names the radical, the space and the two ways out.

        Notes
        -----
        Factorisations are kept, in floating point later inverses too: a repeated solve may differ by rounding.
        """
        phi = self._covector(phi, "sharp")
        if self.nullity:
            raise DegenerateMetricError(
                f"the metric is degenerate, so flat(v) = phi has many solutions v or none.\n"
                f"  metric : {self!r}\n  radical: {self.radical!r}; {self._decision}\n"
                "Two ways out: sharp_coset(phi) gives all solutions; minimal_solution(phi, norm=...) picks the "
                "smallest one in a second metric that you name, for example norm=iota.euclidean.\n"
                "(Or damp it by a metric: damped(g0, gamma, 'exact').)"
            )
        return self._sharp(phi)

    def sharp_coset(self, phi: Vector) -> AffineSubspace:
        """All vectors v with ``flat(v) = phi``: a coset of the radical, the same in every frame.

        Raises
        ------
        NotInRangeError : no vector has this flat; shows the covector's restriction to the radical.
        """
        phi = self._covector(phi, "sharp_coset")
        point = self._particular(phi) if self.nullity else self._sharp(phi)
        return AffineSubspace(point, self.radical)

    def minimal_solution(self, phi: Vector, norm: Norm) -> Vector:
        """The solution v of ``flat(v) = phi`` that is smallest in a second, named metric.

        Parameters
        ----------
        phi : covector
        norm : MetricTensor on the same space, or ``iota.euclidean``; it must be nondegenerate on the
            radical, and is not consulted where this metric is nondegenerate

        Raises
        ------
        NotInRangeError : no vector has this flat; shows the covector's restriction to the radical.
        DegenerateMetricError : the norm is degenerate on the radical.
        """
        phi = self._covector(phi, "minimal_solution")
        return self._minimal(phi, self._as_tensor(norm))

    @property
    def nullity(self) -> int:
        """The dimension of the radical: exact over exact kinds, decided by rounding otherwise."""
        return self.dense().nullity

    @property
    def rank(self) -> int:
        """``dim - nullity``."""
        return self.space.dim - self.nullity

    @property
    def is_degenerate(self) -> bool:
        """Whether some nonzero vector has length zero."""
        return self.nullity > 0

    @property
    def radical(self) -> Subspace:
        """The vectors v with ``flat(v) = 0``."""
        return self.dense().radical

    @property
    def _decision(self) -> str:
        """How the rank was decided, for messages."""
        return "the rank is exact" if self.space.kind.is_exact else "the rank was decided by rounding"

    @abstractmethod
    def _sharp(self, phi: Vector) -> Vector:
        """Solve, nondegenerate."""

    def _particular(self, phi: Vector) -> Vector:
        """Some solution, or NotInRangeError."""
        return self.dense()._particular(phi)

    def _minimal(self, phi: Vector, norm: MetricTensor) -> Vector:
        """The solution smallest in `norm`, or NotInRangeError."""
        return self.dense()._minimal(phi, norm) if self.nullity else self._sharp(phi)

    def _projected(self, solution: Vector, norm: MetricTensor) -> Vector:
        """`solution` less its component in the radical, orthogonally in a norm of any structure."""
        basis, ns = self.radical.basis(), self.namespace
        gram = norm(basis[:, None], basis[None, :])
        try:
            inverse = SquareMatrix(gram, "the norm on the radical").inverse()
        except SingularMatrixError as error:
            raise norm_is_degenerate() from error
        # Twice, as the first pass may cancel large numbers.
        for _ in range(1 if self.kind.is_exact else 2):
            values = norm(basis, solution[..., None] if solution.batch_shape else solution)
            solution = solution - basis.scaled(ns.matmul(values, inverse)).sum()
        return solution

    # -- algebra ---------------------------------------------------------------------------------
    def damped(self, g0: Norm, gamma: Scalar, kind: str = "exact") -> MetricTensor:
        """``g + gamma g0`` ('exact'), or both Kronecker factors damped by g0's ('factored').

        With g0 carried along as a tensor this is intrinsic; a multiple of the identity exists only on
        operators in a frame.  Source: LG R3.12; NN (23), (24).

        Parameters
        ----------
        g0 : MetricTensor of the same structure, or ``iota.euclidean``
        gamma : positive number; nonzero over exact kinds
        """
        return self.dense().damped(g0, gamma, kind)

    def _scaled(self, factor: Array) -> MetricTensor:
        return self.dense()._scaled(factor)

    def _plus(self, other: MetricTensor) -> MetricTensor:
        return self.dense() + other.dense()

    def __add__(self, other: Any) -> MetricTensor:
        """The sum of two forms on one space, again a metric."""
        if not isinstance(other, MetricTensor) or other.space is not self.space:
            raise SpaceMismatchError(
                f"cannot add metrics on different spaces.\n  left : {self!r}\n  right: {shown(other)}"
            )
        return self._plus(other)

    def __mul__(self, scalar: Scalar) -> MetricTensor:
        """A multiple; a negative one is refused, it would be no metric."""
        if isinstance(scalar, bool) or not isinstance(scalar, int | float | Fraction):
            raise KindError(f"a metric is scaled by a Python number, not by {type(scalar).__name__}.")
        if not self.namespace.kind.is_exact and scalar < 0:
            raise ValuesError(f"a negative multiple of a metric is no metric; the factor is {scalar}.")
        return self._scaled(self.namespace.scalar(scalar))

    __rmul__ = __mul__

    def eigenvalues(self, relative_to: Norm) -> Array:
        """Eigenvalues relative to a second, nondegenerate metric, ascending where they form one list."""
        return self.dense().eigenvalues(relative_to)

    def _euclidean_like(self, euclidean: Euclidean) -> MetricTensor:
        """The Euclidean structure on this space, in the structure of this tensor."""
        return self.dense()._euclidean_like(euclidean)

    def __eq__(self, other: object) -> bool:
        """Whether both are the same form; exact kinds only."""
        if not isinstance(other, MetricTensor):
            return NotImplemented
        if other.space is not self.space:
            raise SpaceMismatchError(
                f"cannot compare metrics on different spaces.\n  left : {self!r}\n  right: {shown(other)}"
            )
        if not self.space.kind.is_exact:
            raise InexactEqualityError(
                "== compares geometry, and floating-point metrics are known only up to rounding.\n"
                "Compare coordinates in a named frame, with a tolerance that you can justify."
            )
        return self._equals(other)

    def _equals(self, other: MetricTensor) -> bool:
        return self.dense()._equals(other)

    # -- shared checks -----------------------------------------------------------------------------
    def _as_tensor(self, norm: Norm) -> MetricTensor:
        if isinstance(norm, Euclidean):
            return self._euclidean_like(norm)
        if isinstance(norm, MetricTensor):
            if norm.space is not self.space:
                raise SpaceMismatchError(
                    f"the norm must be a metric on the same space.\n  required: on {self.space!r}\n"
                    f"  came    : {shown(norm)}"
                )
            if norm.namespace is not self.namespace:
                raise KindError(
                    f"the norm has arrays of another dtype or library: {norm.namespace.name}, "
                    f"not {self.namespace.name}."
                )
            return norm
        raise SpaceMismatchError(
            f"a norm is a MetricTensor on {self.space!r} or the euclidean structure of a parameterization "
            f"(iota.euclidean), not {type(norm).__name__}."
        )

    def _own(self, element: Any, space: LinearSpace, action: str) -> Vector:
        if not isinstance(element, Vector) or element.space is not space:
            raise SpaceMismatchError(f"{action} takes a vector of {space!r}.\n  came: {shown(element)}")
        if element.namespace is not self.namespace:
            raise KindError(
                f"cannot mix arrays of different kinds, dtypes, libraries or devices: the metric has "
                f"{self.namespace.name}, the vector {element.namespace.name}."
            )
        return element

    def _covector(self, phi: Any, action: str) -> Vector:
        return self._own(phi, self.space.dual, action)

    @property
    def kind(self) -> Kind:
        """Kind of scalar."""
        return self.space.kind

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise KindError(f"{self!r} is not an array: it has a matrix only in a frame.  Use coordinates(frame).")

    def __bool__(self) -> bool:
        raise GeomkfacError(f"{self!r} has no truth value.")

    def __repr__(self) -> str:
        return f"{type(self).__name__} on {self.space!r} over {self.kind!r}: {self.provenance}"
