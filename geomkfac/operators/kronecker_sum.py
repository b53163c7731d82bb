"""Sums of a few Kronecker products: what can be computed from the factors of all terms alone.

A Kronecker product is such a sum with one term; damping it exactly by another gives two.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import TypeAlias

from geomkfac.arrays.array import Array, Scalar
from geomkfac.arrays.namespace import Namespace, OrderedNamespace
from geomkfac.operators.operator import StructuredMatrix
from geomkfac.operators.single_block import SingleBlockMatrix

Terms: TypeAlias = Sequence[tuple[Array, Array]]
"""Pairs (left, right) of shapes (n, n) and (m, m); they stand for the sum of left ⊗ right."""


class SumOfKroneckerProducts(SingleBlockMatrix):
    """The matrix ``sum_k left_k ⊗ right_k``: on X of shape (*batch, m, n), ``sum_k right_k X left_kᵀ``."""

    __slots__ = ()

    @property
    @abstractmethod
    def terms(self) -> Terms:
        """The pairs (left, right) of its terms."""

    def trace(self) -> Scalar:
        namespace = self.namespace
        return reduce(add, (namespace.trace(left) * namespace.trace(right) for left, right in self.terms))

    def dense(self) -> Array:
        return reduce(add, (self.namespace.kron(left, right) for left, right in self.terms))

    def _inner(self, other: StructuredMatrix) -> Scalar:
        if isinstance(other, SumOfKroneckerProducts):
            return _inner(self.namespace, self.terms, other.terms)
        return self.namespace.pair(self.dense(), other.dense(), 2)

    def _distance(self, other: StructuredMatrix, namespace: OrderedNamespace) -> float:
        if isinstance(other, SumOfKroneckerProducts):
            return _norm(namespace, [*self.terms, *((-left, right) for left, right in other.terms)])
        return namespace.norm(self.dense() - other.dense())

    def _frobenius_norm(self, namespace: OrderedNamespace) -> float:
        return _norm(namespace, self.terms)


def _inner(namespace: Namespace, first: Terms, second: Terms) -> Scalar:
    """``<A ⊗ G, B ⊗ H> = <A, B> <G, H>``, summed over all pairs of terms."""
    products = (
        namespace.pair(left, other_left, 2) * namespace.pair(right, other_right, 2)
        for left, right in first
        for other_left, other_right in second
    )
    return reduce(add, products)


def _norm(namespace: OrderedNamespace, terms: Terms) -> float:
    """Frobenius norm of the sum, without the cancellation that sums of inner products suffer.

    With the vectorized left factors as the columns of L = Q R and the right ones of M = P S, the
    rearranged sum is ``L Mᵀ = Q (R Sᵀ) Pᵀ``, whose norm is that of the small matrix ``R Sᵀ``.
    """
    if len(terms) == 1:
        ((left, right),) = terms
        return namespace.norm(left) * namespace.norm(right)
    _, lefts = namespace.qr(_columns(namespace, [left for left, _ in terms]))
    _, rights = namespace.qr(_columns(namespace, [right for _, right in terms]))
    return namespace.norm(namespace.matmul(lefts, rights.mT))


def _columns(namespace: Namespace, matrices: Sequence[Array]) -> Array:
    return namespace.stack([namespace.reshape(matrix, (-1,)) for matrix in matrices], axis=-1)
