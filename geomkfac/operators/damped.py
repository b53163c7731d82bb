"""Kronecker products damped exactly: the sum A ⊗ G + gamma H ⊗ K, which is no Kronecker product."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, final

from geomkfac.arrays.namespace import Array, Namespace, OrderedNamespace, Scalar
from geomkfac.kept import Kept, kept
from geomkfac.operators.dense import DenseMatrix
from geomkfac.operators.kronecker_basis import DiagonalInKroneckerBasis, DualBases
from geomkfac.operators.kronecker_sum import SumOfKroneckerProducts
from geomkfac.operators.operator import StructuredMatrix
from geomkfac.operators.square_matrix import SquareMatrix

if TYPE_CHECKING:
    from geomkfac.operators.kronecker import KroneckerProduct


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
