"""Kronecker products of two square matrices, acting on matrices."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import final

import numpy as np

from geomkfac.arrays.array import Array, Scalar
from geomkfac.arrays.dispatch import namespace_of
from geomkfac.arrays.namespace import Namespace, OrderedNamespace
from geomkfac.errors import ShapeError
from geomkfac.kept import Kept, kept
from geomkfac.operators.damping import Dampable, check_kind, damping_strength, factored_damping
from geomkfac.operators.dense import DenseMatrix
from geomkfac.operators.kronecker_basis import DiagonalInKroneckerBasis, DualBases
from geomkfac.operators.kronecker_sum import SumOfKroneckerProducts
from geomkfac.operators.operator import StructuredMatrix
from geomkfac.operators.square_matrix import SquareMatrix
from geomkfac.required import shown


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class KroneckerProduct(SumOfKroneckerProducts, Dampable):
    r"""The matrix ``left ⊗ right``: on X of shape (*batch, m, n) it is ``right @ X @ left.mT``.

    Parameters
    ----------
    left : array, shape (n, n), copied; a layer's A, with the homogeneous coordinate last
    right : array, shape (m, m), copied; a layer's G; same namespace as `left`

    Notes
    -----
    ``vec`` stacks columns, so ``(left ⊗ right) vec(X) = vec(right X leftᵀ)``.  Every operation but
    `dense` costs O(m n (m + n)) or O(m³ + n³).  The two factors are determined up to a scalar only:
    (cA, G/c) is the same matrix, and nothing here but `factors` tells them apart.
    Source: NN (16)-(21); LG (2.8); GK-11.

    Raises
    ------
    KindError
        where the factors belong to two namespaces.
    ShapeError
        where a factor is not square.
    """

    left: Array
    right: Array
    _left: SquareMatrix = field(init=False)
    _right: SquareMatrix = field(init=False)
    _kept: Kept = field(init=False, default_factory=Kept)

    def __post_init__(self) -> None:
        namespace_of(self.left, self.right)
        left = SquareMatrix(self.left, "the left factor (A)")
        right = SquareMatrix(self.right, "the right factor (G)")
        for name, value in (("_left", left), ("_right", right), ("left", left.array), ("right", right.array)):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        sizes = f"left {tuple(self.left.shape)}, right {tuple(self.right.shape)}"
        return f"KroneckerProduct({sizes}, {self.namespace.name})"

    @property
    def factors(self) -> tuple[Array, Array]:
        """``(left, right)``, that is (A, G), of shapes (n, n) and (m, m)."""
        return self.left, self.right

    @property
    def terms(self) -> tuple[tuple[Array, Array]]:
        return ((self.left, self.right),)

    @property
    def namespace(self) -> Namespace:
        return self._left.namespace

    @property
    def domain_shape(self) -> tuple[int, int]:
        return self._right.size, self._left.size

    @property
    @kept
    def squares(self) -> tuple[SquareMatrix, SquareMatrix]:
        """Both factors with their factorisations; where both traces are negative, both with signs changed."""
        # (A, G) and (-A, -G) are one matrix: positive definite factors may come as negative ones.
        if not isinstance(self.namespace, OrderedNamespace):
            return self._left, self._right
        traces = self.namespace.trace(self.left), self.namespace.trace(self.right)
        if all(float(trace) < 0 for trace in traces):
            return self._left.negated(), self._right.negated()
        return self._left, self._right

    # -- the same structure again ---------------------------------------------------------------
    @property
    def transpose(self) -> KroneckerProduct:
        return KroneckerProduct(self.left.mT, self.right.mT)

    def inverse(self) -> KroneckerProduct:
        left, right = self.squares
        return KroneckerProduct(left.inverse(), right.inverse())

    def _power(self, exponent: Fraction) -> KroneckerProduct:
        left, right = self.squares
        return KroneckerProduct(left.power(exponent), right.power(exponent))

    def damped_by(
        self, other: StructuredMatrix, gamma: Scalar, kind: str = "exact", *, pi: Scalar | None = None
    ) -> KroneckerProduct | ExactlyDampedKroneckerProduct:
        self._check_comparable(other, "damped_by")
        if not isinstance(other, KroneckerProduct):
            raise ShapeError(
                "a Kronecker product is damped by a Kronecker product.\n"
                f"  required: KroneckerProduct(H, K)\n  came    : {shown(other)}\n"
                "Wrap this matrix as DenseMatrix(matrix.dense(), acts_on=...) to damp it by any other."
            )
        if check_kind(kind, pi) == "exact":
            return ExactlyDampedKroneckerProduct(self, other, damping_strength(self.namespace, gamma))
        return KroneckerProduct(*factored_damping(self.squares, other.squares, gamma, pi))

    def _identity(self) -> KroneckerProduct:
        return KroneckerProduct(*(self.namespace.eye(square.size) for square in (self._left, self._right)))

    def is_identity(self) -> bool:
        """Whether both factors are exactly identities."""
        return self._left.is_identity() and self._right.is_identity()

    # -- products, solves, numbers ----------------------------------------------------------------
    def _apply(self, x: Array) -> Array:
        return self.namespace.matmul(self.namespace.matmul(self.right, x), self.left.mT)

    def _solve(self, x: Array) -> Array:
        left, right = self.squares
        return left.solve_along(right.solve_along(x, -2), -1)

    def rank(self) -> int:
        return self._left.rank() * self._right.rank()

    def _logdet(self, namespace: OrderedNamespace) -> Scalar:
        left, right = self.squares
        return left.logdet(namespace) * right.size + right.logdet(namespace) * left.size

    def _singular_value_range(self, namespace: OrderedNamespace) -> tuple[float, float]:
        ranges = self._left.singular_value_range(namespace), self._right.singular_value_range(namespace)
        return ranges[0][0] * ranges[1][0], ranges[0][1] * ranges[1][1]

    def _apply_root(self, z: Array, namespace: OrderedNamespace) -> Array:
        left, right = (square.power(Fraction(1, 2)) for square in self.squares)
        return namespace.matmul(namespace.matmul(right, z), left.mT)

    def _equals(self, other: StructuredMatrix) -> bool:
        namespace = self.namespace
        if not isinstance(other, KroneckerProduct):
            return namespace.equal(self.dense(), other.dense())
        if self._is_zero() or other._is_zero():
            return self._is_zero() and other._is_zero()
        # At an entry a of A that is not zero, A ⊗ G = B ⊗ H says a G = b H and a B = b A.
        row, column = (int(i) for i in np.argwhere(namespace.to_numpy(self.left) != 0)[0])
        a, b = self.left[row, column], other.left[row, column]
        same_right = namespace.equal(self.right * a, other.right * b)
        return same_right and namespace.equal(other.left * a, self.left * b)

    def _is_zero(self) -> bool:
        return self.namespace.is_zero(self.left) or self.namespace.is_zero(self.right)


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class ExactlyDampedKroneckerProduct(SumOfKroneckerProducts):
    r"""The matrix ``A ⊗ G + gamma H ⊗ K``; made by `KroneckerProduct.damped_by`.

    Parameters
    ----------
    product : A ⊗ G, symmetric
    reference : H ⊗ K, positive definite; the identity for damping by a multiple of it
    gamma : scalar, positive in floating point

    Notes
    -----
    In floating point, bases in which A and H, G and K are diagonal at once are computed on first
    use and kept; there solves are elementwise.  Over exact kinds, which have no eigenvalues, all but
    apply, transpose, trace, inner and quadratic_form go through the dense matrix.
    Source: NN (23); GM (39)-(44).
    """

    product: KroneckerProduct
    reference: KroneckerProduct
    gamma: Scalar
    _kept: Kept = field(init=False, default_factory=Kept)

    def __repr__(self) -> str:
        return f"ExactlyDampedKroneckerProduct({self.product!r}, by {self.reference!r}, gamma {self.gamma})"

    @property
    def namespace(self) -> Namespace:
        return self.product.namespace

    @property
    def domain_shape(self) -> tuple[int, int]:
        return self.product.domain_shape

    @property
    def terms(self) -> tuple[tuple[Array, Array], ...]:
        return self.product.factors, (self.reference.left * self.gamma, self.reference.right)

    @kept
    def diagonalized(self) -> DiagonalInKroneckerBasis:
        """The same matrix, diagonal in the Kronecker basis in which both terms are; floating point only."""
        pairs = zip(self.product.squares, self.reference.squares, strict=True)
        (left, left_bases), (right, right_bases) = (_simultaneous_bases(*pair) for pair in pairs)
        diagonal = right[:, None] * left[None, :] + self.gamma
        return DiagonalInKroneckerBasis(left_bases, right_bases, diagonal)

    @kept
    def _solvable(self) -> DiagonalInKroneckerBasis | DenseMatrix:
        """The same matrix in a form that can be solved with."""
        if self.namespace.kind.is_exact:
            return DenseMatrix(self.dense(), self.domain_shape)
        return self.diagonalized()

    @property
    def transpose(self) -> ExactlyDampedKroneckerProduct:
        return ExactlyDampedKroneckerProduct(self.product.transpose, self.reference.transpose, self.gamma)

    def inverse(self) -> StructuredMatrix:
        return self._solvable().inverse()

    def rank(self) -> int:
        return self._solvable().rank()

    def _apply(self, x: Array) -> Array:
        damping = x if self.reference.is_identity() else self.reference._apply(x)
        return self.product._apply(x) + damping * self.gamma

    def _solve(self, x: Array) -> Array:
        return self._solvable()._solve(x)

    def _power(self, exponent: Fraction) -> StructuredMatrix:
        return self._solvable()._power(exponent)

    def _logdet(self, namespace: OrderedNamespace) -> Scalar:
        return self.diagonalized()._logdet(namespace)

    def _singular_value_range(self, namespace: OrderedNamespace) -> tuple[float, float]:
        return self.diagonalized()._singular_value_range(namespace)

    def _apply_root(self, z: Array, namespace: OrderedNamespace) -> Array:
        return self.diagonalized()._apply_root(z, namespace)


def _simultaneous_bases(matrix: SquareMatrix, reference: SquareMatrix) -> tuple[Array, DualBases]:
    """Values d and bases P with ``matrix = P diag(d) Pᵀ`` and ``reference = P Pᵀ``."""
    purpose = "exact damping"
    namespace = matrix.require_symmetric(purpose)
    if reference.is_identity():
        values, vectors = matrix.spectrum(purpose)
        return values, DualBases(vectors, vectors)
    factor = reference.positive_cholesky(f"{purpose}, of what it is damped by,")
    half = namespace.triangular_solve(factor, matrix.array)
    relative = namespace.triangular_solve(factor, half.mT)
    values, vectors = namespace.eigh((relative + relative.mT) / 2)
    dual = namespace.triangular_solve(factor, vectors, transpose=True)
    return values, DualBases(namespace.matmul(factor, vectors), dual)
