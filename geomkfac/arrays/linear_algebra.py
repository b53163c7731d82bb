"""What the floating namespace asks of a library's linear algebra, and the errors it shares."""

from __future__ import annotations

from abc import ABC, abstractmethod

from geomkfac.arrays.array import Array
from geomkfac.errors import NotPositiveError, SingularMatrixError


class LinearAlgebra(ABC):
    """Linear algebra of one array library; methods as in `Namespace` and `OrderedNamespace`."""

    __slots__ = ()

    @abstractmethod
    def matmul(self, a: Array, b: Array) -> Array: ...

    @abstractmethod
    def gram(self, x: Array) -> Array:
        """``x.mT @ x``, exactly symmetric; `x` (*batch, N, n)."""

    def has_homogeneous_gram(self, x: Array) -> bool:
        """Whether `homogeneous_gram` of `x` is there; where it is not, concatenating is as good."""
        return False

    def homogeneous_gram(self, x: Array) -> Array:
        """The gram matrix (n + 1, n + 1) of the rows of `x` (N, n) with a one appended."""
        raise NotImplementedError

    @abstractmethod
    def congruence(self, matrix: Array, form: Array) -> Array: ...

    @abstractmethod
    def solve(self, a: Array, b: Array) -> Array: ...

    @abstractmethod
    def inverse(self, a: Array) -> Array: ...

    @abstractmethod
    def cholesky(self, a: Array) -> Array: ...

    @abstractmethod
    def cholesky_solve(self, factor: Array, b: Array) -> Array: ...

    @abstractmethod
    def cholesky_inverse(self, factor: Array) -> Array: ...

    @abstractmethod
    def triangular_solve(self, factor: Array, b: Array, transpose: bool) -> Array: ...

    @abstractmethod
    def eigh(self, a: Array) -> tuple[Array, Array]: ...

    @abstractmethod
    def qr(self, a: Array) -> tuple[Array, Array]: ...

    @abstractmethod
    def singular_values(self, a: Array) -> Array: ...

    @abstractmethod
    def right_singular_vectors(self, a: Array) -> tuple[Array, Array]:
        """Descending singular values and all right singular vectors, as the columns of (n, n)."""

    @abstractmethod
    def norm(self, x: Array) -> float: ...


def singular(shape: tuple[int, ...]) -> SingularMatrixError:
    """The error of a matrix of `shape` that is singular to the precision of its dtype."""
    return SingularMatrixError(
        "cannot solve: the matrix is singular to working precision.\n"
        "  required: reciprocal condition number, rows and columns scaled, of at least epsilon\n"
        f"  came    : a matrix of shape {tuple(shape)}\n"
        "Use an invertible matrix; for a degenerate metric name a norm, or damp it."
    )


def not_positive(shape: tuple[int, ...]) -> NotPositiveError:
    """The error of a symmetric matrix of `shape` that has no Cholesky factor."""
    return NotPositiveError(
        "cannot take a Cholesky factor: the matrix is not positive definite to working precision.\n"
        f"  required: a symmetric positive definite matrix\n  came    : a matrix of shape {tuple(shape)}\n"
        "Damp it, or ask for an operation that a semidefinite matrix has."
    )
