"""Solves with one positive definite matrix, by its Cholesky factor and later by its inverse.

A product with the inverse is faster than two triangular solves (`docs/benchmarks.md`), and its forward error has
the same bound: the computed inverse X of a symmetric positive definite A leaves
``|X A - 1| <= c n epsilon cond(A)``, so that ``|X b - x| = |(X A - 1) x| <= c n epsilon cond(A) |x|``, as for the
triangular solves.  (Their *residual* is smaller; a damped step has no use for that.)
Source: Higham, "Accuracy and Stability of Numerical Algorithms", chapter on matrix inversion; Druinsky and Toledo,
"How accurate is inv(A)*b?" (2012).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import OrderedNamespace


@final
class CholeskySolver:
    """``a⁻¹ b`` for many b.

    Parameters
    ----------
    namespace : of the arrays
    a : array, shape (n, n), symmetric positive definite
    factor : its lower Cholesky factor
    inverse : computes its inverse, from the factor

    Notes
    -----
    The inverse is two thirds of n³ operations, as many as n / 3 columns solved.  It is made once n columns
    have been solved, so that solving few never pays for it, and where ``n epsilon cond(a) < 1``, without
    which neither way promises anything.  A later solve may differ from
    an earlier one by rounding.
    """

    __slots__ = ("_a", "_columns", "_factor", "_inverse", "_make", "_namespace", "_undecided")

    def __init__(
        self, namespace: OrderedNamespace, a: Array, factor: Array, inverse: Callable[[], Array] | None = None
    ) -> None:
        self._namespace, self._a, self._factor = namespace, a, factor
        self._make = inverse or (lambda: namespace.cholesky_inverse(factor))
        self._columns = 0
        self._inverse: Array | None = None
        self._undecided = True

    def columns(self, b: Array) -> Array:
        """``a⁻¹ b`` for columns b (*batch, n, k)."""
        if self._has_inverse():
            return self._namespace.matmul(self._inverse, b)
        if b.ndim > 2:
            rows = b.mT
            flat = self._namespace.reshape(rows, (-1, rows.shape[-1]))
            return self._namespace.reshape(self.rows(flat), tuple(rows.shape)).mT
        self._columns += int(b.shape[1])
        return self._namespace.cholesky_solve(self._factor, b)

    def rows(self, b: Array) -> Array:
        """``b a⁻¹`` for rows b (k, n)."""
        if self._has_inverse():
            return self._namespace.matmul(b, self._inverse)
        return self.columns(b.mT).mT

    def _has_inverse(self) -> bool:
        n = int(self._a.shape[0])
        if self._undecided and n <= self._columns:
            self._undecided = False
            inverse = self._make()
            condition = self._size(self._a) * self._size(inverse)
            if n * self._namespace.epsilon * condition < 1:
                self._inverse = inverse
        return self._inverse is not None

    def _size(self, x: Array) -> float:
        """The largest sum of absolute values of a row, a norm; 0 for an empty matrix."""
        namespace = self._namespace
        return float(namespace.max(namespace.sum(namespace.abs(x), axis=-1))) if x.shape[0] else 0.0
