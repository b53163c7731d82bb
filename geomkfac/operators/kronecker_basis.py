"""Matrices that are diagonal in a Kronecker product of two bases, such as exactly damped products."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import final

import numpy as np

from geomkfac.arrays.array import Array, Scalar
from geomkfac.arrays.dispatch import namespace_of
from geomkfac.arrays.namespace import Namespace, OrderedNamespace
from geomkfac.errors import KindError, NotPositiveError, ShapeError, SingularMatrixError, ValuesError
from geomkfac.kept import Kept, kept
from geomkfac.operators.exponents import integer_power, spectral_power
from geomkfac.operators.operator import StructuredMatrix
from geomkfac.operators.single_block import SingleBlockMatrix, vec
from geomkfac.required import check_type


@final
@dataclass(frozen=True, slots=True, eq=False)
class DualBases:
    """A basis and its dual, as columns: ``dual.mT @ basis`` is the identity.

    Parameters
    ----------
    basis : array, shape (k, k)
    dual : array, shape (k, k); the same object as `basis` says that it is orthonormal
    """

    basis: Array
    dual: Array

    @property
    def is_orthonormal(self) -> bool:
        return self.dual is self.basis

    @property
    def swapped(self) -> DualBases:
        return DualBases(self.dual, self.basis)


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class DiagonalInKroneckerBasis(SingleBlockMatrix):
    r"""The symmetric matrix ``(P ⊗ Q) diag(vec S) (P ⊗ Q)ᵀ``: on X it is ``Q (S ∘ (Qᵀ X P)) Pᵀ``.

    Parameters
    ----------
    left : P (n, n) with its dual
    right : Q (m, m) with its dual
    diagonal : S, shape (m, n); the eigenvalues where both bases are orthonormal

    Notes
    -----
    Powers other than 1 and -1, and the condition number, need orthonormal bases: in others the
    result has no such form.

    Raises
    ------
    KindError, ShapeError
        where namespaces or shapes do not fit.
    """

    left: DualBases
    right: DualBases
    diagonal: Array
    _kept: Kept = field(init=False, default_factory=Kept)

    def __post_init__(self) -> None:
        for bases in (self.left, self.right):
            check_type("a factor of the basis", bases, DualBases, error=KindError)
        namespace_of(self.left.basis, self.left.dual, self.right.basis, self.right.dual, self.diagonal)
        m, n = (tuple(bases.basis.shape) for bases in (self.right, self.left))
        if tuple(self.diagonal.shape) != (m[0], n[0]):
            raise ShapeError(
                "the diagonal must have one entry for each pair of basis vectors.\n"
                f"  required: shape {(m[0], n[0])}, for bases of shapes {m} (right) and {n} (left)\n"
                f"  came    : shape {tuple(self.diagonal.shape)}\n"
                "Rows belong to the right basis, columns to the left."
            )

    def __repr__(self) -> str:
        return f"DiagonalInKroneckerBasis(acts on {self.domain_shape}, {self.namespace.name})"

    @property
    def namespace(self) -> Namespace:
        return namespace_of(self.diagonal)

    @property
    def domain_shape(self) -> tuple[int, int]:
        m, n = self.diagonal.shape
        return int(m), int(n)

    @property
    def is_orthonormal(self) -> bool:
        """Whether both bases are known to be orthonormal."""
        return self.left.is_orthonormal and self.right.is_orthonormal

    @property
    def transpose(self) -> DiagonalInKroneckerBasis:
        return self

    @kept
    def inverse(self) -> DiagonalInKroneckerBasis:
        if self.rank() < self.size:
            raise SingularMatrixError(
                "cannot solve: the damped matrix is singular.\n"
                f"  required: {self.size} diagonal entries that are not lost in rounding\n"
                f"  came    : {self.rank()} of these in a Kronecker basis, {self.namespace.name}\n"
                "Damp it more: gamma vanishes beside the largest eigenvalue, or cancels a negative one."
            )
        reciprocal = self.namespace.ones(self.domain_shape) / self.diagonal
        return DiagonalInKroneckerBasis(self.left.swapped, self.right.swapped, reciprocal)

    def trace(self) -> Scalar:
        left, right = (self.namespace.sum(b.basis * b.basis, axis=0) for b in (self.left, self.right))
        return self.namespace.sum(self.diagonal * right[:, None] * left[None, :])

    def rank(self) -> int:
        namespace = self.namespace
        if namespace.kind.is_exact or not self.size:
            return int(np.count_nonzero(namespace.to_numpy(self.diagonal) != 0))
        ordered = namespace.ordered("a rank")
        # A sum d + gamma is known to epsilon times the largest one.
        sizes = ordered.abs(self.diagonal)
        return ordered.count(sizes > namespace.epsilon * float(ordered.max(sizes)))

    def dense(self) -> Array:
        basis = self.namespace.kron(self.left.basis, self.right.basis)
        return self.namespace.matmul(basis * vec(self.namespace, self.diagonal, 2), basis.mT)

    def _scaled(self, x: Array, diagonal: Array) -> Array:
        """``diagonal ∘ (Qᵀ X P)``, brought back by Q and P."""
        matmul = self.namespace.matmul
        inside = matmul(matmul(self.right.basis.mT, x), self.left.basis) * diagonal
        return matmul(matmul(self.right.basis, inside), self.left.basis.mT)

    def _apply(self, x: Array) -> Array:
        return self._scaled(x, self.diagonal)

    def _solve(self, x: Array) -> Array:
        return self.inverse()._apply(x)

    def _power(self, exponent: Fraction) -> StructuredMatrix:
        if exponent == 1:
            return self
        if exponent == -1:
            return self.inverse()
        self._require_orthonormal(f"the power {exponent}")
        if exponent.denominator == 1:
            base = self.inverse().diagonal if exponent < 0 else self.diagonal
            one = self.namespace.ones(self.domain_shape)
            powered = integer_power(one, base, abs(exponent.numerator), lambda x, y: x * y)
        else:
            namespace = self.namespace.ordered(f"the power {exponent}")
            powered = self._spectral_power(namespace, exponent)
        return DiagonalInKroneckerBasis(self.left, self.right, powered)

    @kept
    def _spectral_power(self, namespace: OrderedNamespace, exponent: Fraction) -> Array:
        cutoff = namespace.epsilon * float(namespace.max(namespace.abs(self.diagonal)))
        return spectral_power(namespace, self.diagonal, exponent, cutoff=cutoff, what="the damped matrix")

    def _logdet(self, namespace: OrderedNamespace) -> Scalar:
        smallest = -float(namespace.max(-self.diagonal))
        if smallest <= 0:
            raise NotPositiveError(
                "logdet needs the damped matrix to be positive definite.\n"
                f"  required: positive diagonal entries\n  came    : {smallest:.6g} in a Kronecker basis\n"
                "Damp it more, or check where its factors come from."
            )
        m, n = self.domain_shape
        volumes = _log_volume(namespace, self.left) * m + _log_volume(namespace, self.right) * n
        return namespace.sum(namespace.log(self.diagonal)) + 2 * volumes

    def _inner(self, other: StructuredMatrix) -> Scalar:
        if not isinstance(other, DiagonalInKroneckerBasis):
            return self.namespace.pair(self.dense(), other.dense(), 2)
        matmul = self.namespace.matmul
        left = matmul(self.left.basis.mT, other.left.basis)
        right = matmul(self.right.basis.mT, other.right.basis)
        carried = matmul(matmul(right * right, other.diagonal), (left * left).mT)
        return self.namespace.pair(self.diagonal, carried, 2)

    def _frobenius_norm(self, namespace: OrderedNamespace) -> float:
        if self.is_orthonormal:
            return namespace.norm(self.diagonal)
        return float(namespace.sqrt(self._inner(self)))

    def _singular_value_range(self, namespace: OrderedNamespace) -> tuple[float, float]:
        self._require_orthonormal("the condition number")
        sizes = namespace.abs(self.diagonal)
        return float(namespace.max(sizes)), -float(namespace.max(-sizes))

    def _apply_root(self, z: Array, namespace: OrderedNamespace) -> Array:
        root = self._spectral_power(namespace, Fraction(1, 2))
        matmul = namespace.matmul
        return matmul(matmul(self.right.basis, root * z), self.left.basis.mT)

    def _require_orthonormal(self, purpose: str) -> None:
        if not self.is_orthonormal:
            raise ValuesError(
                f"{purpose} has no structure in bases that are not orthonormal.\n"
                "  required: damping by a multiple of the identity, whose eigenbases are orthonormal\n"
                "  came    : damping by another matrix\n"
                "Use the frame that is orthonormal for that matrix, or DenseMatrix(matrix.dense())."
            )


def _log_volume(namespace: OrderedNamespace, bases: DualBases) -> Scalar:
    """Logarithm of the absolute determinant of a basis."""
    if bases.is_orthonormal:
        return namespace.zeros(())
    return namespace.sum(namespace.log(namespace.singular_values(bases.basis)))
