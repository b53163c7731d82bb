"""The face of every structured matrix in coordinates.

A structured matrix stands for a (N, N) matrix that is never formed, except by `dense`.  It acts on
*operands*: arrays of shape (*batch, *domain_shape), or, for a block diagonal matrix, tuples of
such arrays.  ``vec`` stacks the columns of an operand, so that ``dense() @ vec(x) = vec(apply(x))``.

Public methods check, then call an unchecked private one.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from fractions import Fraction
from importlib import import_module
from numbers import Real
from types import NoneType
from typing import Any, NoReturn, Self, TypeAlias

import numpy as np

from geomkfac.arrays.array import Array, RandomSource, Scalar, check_random_source
from geomkfac.arrays.namespace import Namespace, OrderedNamespace
from geomkfac.counts import is_count
from geomkfac.errors import InexactEqualityError, KindError, ShapeError
from geomkfac.operators.exponents import as_exponent
from geomkfac.required import check_type, shown

Operand: TypeAlias = Any
"""An array of shape (*batch, *domain_shape), or a tuple of these for block diagonal matrices."""


class StructuredMatrix(ABC):
    """A square matrix known by its structure; immutable, unhashable, and never compared by ``==``."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]
    __array_ufunc__ = None

    def __eq__(self, other: object) -> NoReturn:
        raise InexactEqualityError(
            "'==' is not defined for structured matrices.\n"
            "  required: a comparison that says how exact it is\n"
            f"  came    : {type(self).__name__} == {type(other).__name__}\n"
            "Use a.equals(b) over exact kinds, a.is_close(b) in floating point."
        )

    # -- what it is ---------------------------------------------------------------------------
    @property
    @abstractmethod
    def namespace(self) -> Namespace:
        """The namespace of its entries."""

    @property
    @abstractmethod
    def domain_shape(self) -> tuple[Any, ...]:
        """Shape of the arrays it acts on, without batch axes; for block diagonal ones one per block."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Its number N of rows and of columns."""

    @property
    def shape(self) -> tuple[int, int]:
        """``(N, N)``, the shape of `dense`."""
        return self.size, self.size

    # -- operands -----------------------------------------------------------------------------
    @abstractmethod
    def vec(self, x: Operand) -> Array:
        """The columns of `x` stacked: shape (*batch, N)."""

    @abstractmethod
    def unvec(self, v: Array) -> Operand:
        """The operand whose `vec` is `v`, of shape (*batch, N)."""

    @abstractmethod
    def _check_operand(self, x: Operand, purpose: str) -> None: ...

    @abstractmethod
    def _pair(self, x: Operand, y: Operand) -> Array: ...

    @abstractmethod
    def _noise(self, rng: RandomSource, batch: tuple[int, ...]) -> Operand: ...

    # -- field arithmetic: every kind of scalar -------------------------------------------------
    def apply(self, x: Operand) -> Operand:
        """The matrix times `x`, an operand of shape (*batch, *domain_shape)."""
        self._check_operand(x, "apply")
        return self._apply(x)

    def solve(self, x: Operand) -> Operand:
        """The operand y with ``apply(y) = x``.  Factorisations are computed once and kept.

        Raises
        ------
        SingularMatrixError
            where the matrix is singular (to working precision in floating point); names the factor.
        """
        self._check_operand(x, "solve")
        return self._solve(x)

    def quadratic_form(self, x: Operand) -> Array:
        """``vec(x)ᵀ M vec(x)``, shape (*batch)."""
        self._check_operand(x, "quadratic_form")
        return self._pair(x, self._apply(x))

    @property
    @abstractmethod
    def transpose(self) -> StructuredMatrix:
        """The transposed matrix, of the same structure."""

    @abstractmethod
    def inverse(self) -> StructuredMatrix:
        """The inverse, structured too.  Raises `SingularMatrixError` as `solve` does."""

    def power(self, exponent: int | float | Fraction) -> StructuredMatrix:
        """The matrix to the power `exponent`: integers over every kind, others in floating point.

        Powers that are no integers need a symmetric positive semidefinite matrix, negative ones
        of these a positive definite one, and are symmetric themselves.

        Raises
        ------
        KindError
            for an exponent that is no integer where the kind has no order.
        NotPositiveError, SingularMatrixError
            where the power does not exist; names the factor.
        """
        return self._power(as_exponent(exponent))

    @abstractmethod
    def trace(self) -> Scalar:
        """Sum of the diagonal entries, a 0-dimensional array."""

    @abstractmethod
    def rank(self) -> int:
        """Number of independent rows; in floating point to the precision of `Namespace.rank`."""

    @abstractmethod
    def dense(self) -> Array:
        """The (N, N) matrix, in the order of `vec`.  The only method that forms it."""

    def inner(self, other: StructuredMatrix) -> Scalar:
        """Frobenius inner product ``sum_ij M_ij N_ij`` (a sum, no mean), a 0-dimensional array.

        Matrices of two different structures go through `dense`.
        """
        self._check_comparable(other, "inner")
        return self._inner(other)

    def equals(self, other: StructuredMatrix) -> bool:
        """Whether both are exactly the same matrix; over exact kinds only.

        Compares the matrices, never their factors: (cA, G/c) equals (A, G).  Source: GK-11.

        Raises
        ------
        InexactEqualityError
            in floating point, where rounding makes the answer meaningless; use `is_close`.
        """
        self._check_comparable(other, "equals")
        if not self.namespace.kind.is_exact:
            raise InexactEqualityError(
                "equals compares exactly, and floating-point matrices are rounded.\n"
                f"  required: an exact kind\n  came    : {self.namespace.name}\n"
                "Use is_close(other, relative_tolerance=...)."
            )
        return self._equals(other)

    def is_close(self, other: StructuredMatrix, *, relative_tolerance: float | None = None) -> bool:
        """Whether the Frobenius norm of the difference is small beside the larger of both norms.

        Parameters
        ----------
        other : matrix of the same namespace and domain shape
        relative_tolerance : float, by default the square root of epsilon: half of the digits agree

        Over exact kinds, where nothing is rounded, this is `equals`.
        """
        self._check_comparable(other, "is_close")
        check_type("the tolerance", relative_tolerance, (Real, NoneType), error=KindError)
        if self.namespace.kind.is_exact:
            return self._equals(other)
        namespace = self.namespace.ordered("is_close")
        tolerance = math.sqrt(namespace.epsilon) if relative_tolerance is None else relative_tolerance
        scale = max(self._frobenius_norm(namespace), other._frobenius_norm(namespace))
        return self._distance(other, namespace) <= tolerance * scale

    # -- floating point only --------------------------------------------------------------------
    def logdet(self) -> Scalar:
        """Logarithm of the determinant of a symmetric positive definite matrix.

        Raises `KindError` over exact kinds, `NotPositiveError` where it is not positive definite.
        """
        return self._logdet(self.namespace.ordered("logdet"))

    def frobenius_norm(self) -> float:
        """Square root of the sum of the squares of all entries."""
        return self._frobenius_norm(self.namespace.ordered("frobenius_norm"))

    def condition_number(self) -> float:
        """Largest over smallest singular value; infinity where the smallest is zero."""
        largest, smallest = self._singular_value_range(self.namespace.ordered("condition_number"))
        return largest / smallest if smallest > 0 else math.inf

    def apply_root(self, z: Operand) -> Operand:
        """``R z`` for a fixed matrix R with ``R Rᵀ = M``, for symmetric positive semidefinite M.

        R need not be symmetric.  It maps white noise to noise of covariance M.
        """
        namespace = self.namespace.ordered("a square root")
        self._check_operand(z, "apply_root")
        return self._apply_root(z, namespace)

    def sample(self, rng: RandomSource, batch: tuple[int, ...] = ()) -> Operand:
        """Independent draws x with ``vec(x) ~ N(0, M)``, M positive semidefinite, perhaps singular.

        Parameters
        ----------
        rng : numpy.random.Generator
        batch : shape of the array of draws; the result has shape (*batch, *domain_shape)
        """
        check_random_source(rng)
        if not isinstance(batch, tuple) or not all(is_count(length, 0) for length in batch):
            raise ShapeError(f"a batch has a shape, a tuple of ints such as (10,).\n  came: {shown(batch)}")
        namespace = self.namespace.ordered("sample")
        return self._apply_root(self._noise(rng, batch), namespace)

    def as_linear_operator(self) -> Any:
        """The matrix as a ``scipy.sparse.linalg.LinearOperator`` of shape (N, N), on `vec`'s vectors; NumPy only.

        For SciPy's iterative solvers and eigenvalue methods.

        Raises
        ------
        KindError : for exact kinds, and for arrays of another library than NumPy.
        """
        prototype = self.namespace.zeros((0,))
        if self.namespace.kind.is_exact or not isinstance(prototype, np.ndarray):
            raise KindError(
                "a SciPy linear operator needs a matrix of NumPy floating-point numbers.\n"
                f"  required: numpy float32 or float64\n  came    : {self.namespace.name}\n"
                "Use apply and solve, or convert the factors to NumPy first."
            )
        dtype = prototype.dtype

        def product(matrix: StructuredMatrix, columns: Any) -> Any:
            # SciPy passes a vector (N,), a column (N, 1) or many (N, k), of whatever dtype.
            rows = np.asarray(columns, dtype=dtype).T
            return matrix.vec(matrix.apply(matrix.unvec(rows))).T

        linear_operator = import_module("scipy.sparse.linalg").LinearOperator
        return linear_operator(
            self.shape,
            matvec=lambda x: product(self, x),
            rmatvec=lambda x: product(self.transpose, x),
            matmat=lambda x: product(self, x),
            rmatmat=lambda x: product(self.transpose, x),
            dtype=dtype,
        )

    # -- what a structure provides ----------------------------------------------------------------
    @abstractmethod
    def _apply(self, x: Operand) -> Operand: ...

    @abstractmethod
    def _solve(self, x: Operand) -> Operand: ...

    @abstractmethod
    def _power(self, exponent: Fraction) -> StructuredMatrix: ...

    @abstractmethod
    def _logdet(self, namespace: OrderedNamespace) -> Scalar: ...

    @abstractmethod
    def _frobenius_norm(self, namespace: OrderedNamespace) -> float: ...

    @abstractmethod
    def _singular_value_range(self, namespace: OrderedNamespace) -> tuple[float, float]:
        """The largest and the smallest singular value."""

    @abstractmethod
    def _apply_root(self, z: Operand, namespace: OrderedNamespace) -> Operand: ...

    def _inner(self, other: StructuredMatrix) -> Scalar:
        return self.namespace.pair(self.dense(), other.dense(), 2)

    def _equals(self, other: StructuredMatrix) -> bool:
        return self.namespace.equal(self.dense(), other.dense())

    def _distance(self, other: StructuredMatrix, namespace: OrderedNamespace) -> float:
        return namespace.norm(self.dense() - other.dense())

    def _check_comparable(self, other: StructuredMatrix, purpose: str) -> None:
        if not isinstance(other, StructuredMatrix):
            raise KindError(
                f"{purpose} compares two structured matrices.\n  left : {self!r}\n"
                f"  right: {type(other).__name__}\nWrap an array as DenseMatrix(array, acts_on=...) first."
            )
        if other.namespace is not self.namespace:
            raise KindError(
                f"{purpose} needs two matrices of one namespace.\n  left : {self.namespace.name}\n"
                f"  right: {other.namespace.name}\nConvert one of them on purpose first."
            )
        if other.domain_shape != self.domain_shape:
            raise ShapeError(
                f"{purpose} needs two matrices that act on arrays of one shape.\n"
                f"  left : {self.domain_shape}\n  right: {other.domain_shape}\n"
                "Compare the blocks that belong together."
            )

    def __copy__(self) -> Self:
        return self
