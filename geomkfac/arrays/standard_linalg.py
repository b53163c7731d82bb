"""Linear algebra in the functions of the Python array API standard alone, for any array library.

Source: Python array API standard 2024.12, main namespace and ``linalg`` extension.
"""

from __future__ import annotations

import math
from typing import Any, final

from geomkfac.arrays.linear_algebra import LinearAlgebra, not_positive, singular
from geomkfac.arrays.namespace import Array

__all__ = ["StandardLinearAlgebra"]


def _is_failed_factorization(error: Exception) -> bool:
    """Whether a library's exception is its ``LinAlgError`` (the standard names no exception)."""
    return any(base.__name__.lstrip("_") == "LinAlgError" for base in type(error).__mro__)


@final
class StandardLinearAlgebra(LinearAlgebra):
    """Linear algebra of the array library `xp`, at the precision of the arrays."""

    __slots__ = ("_xp",)

    def __init__(self, xp: Any) -> None:
        self._xp = xp

    def matmul(self, a: Array, b: Array) -> Array:
        return self._xp.matmul(a, b)

    def gram(self, x: Array) -> Array:
        product = self._xp.matmul(x.mT, x)
        return (product + product.mT) * 0.5

    def solve(self, a: Array, b: Array) -> Array:
        rows, columns, scaled = self._equilibrated(a)
        self._checked_inverse(scaled)
        return columns * self._xp.linalg.solve(scaled, rows * b)

    def inverse(self, a: Array) -> Array:
        rows, columns, scaled = self._equilibrated(a)
        return columns * self._checked_inverse(scaled) * rows.mT

    def _equilibrated(self, a: Array) -> tuple[Array, Array, Array]:
        """Powers of two `rows` and `columns`, both (*batch, n, 1), and ``rows * a * columns.mT``."""
        rows = self._scales(a, axis=-1)
        columns = self._scales(rows * a, axis=-2).mT
        return rows, columns, rows * a * columns.mT

    def _scales(self, a: Array, axis: int) -> Array:
        xp = self._xp
        if a.shape[axis] == 0:
            return xp.sum(a, axis=axis, keepdims=True) + 1.0
        largest = xp.max(xp.abs(a), axis=axis, keepdims=True)
        largest = xp.where(largest > 0.0, largest, xp.ones_like(largest))
        # Clipped, as 2 ** 1074 is no number where 2 ** -1074 is one.
        limit = -math.log2(xp.finfo(a.dtype).smallest_normal)
        return xp.pow(2.0 * xp.ones_like(largest), -xp.clip(xp.floor(xp.log2(largest)), -limit, limit))

    def _checked_inverse(self, a: Array) -> Array:
        xp = self._xp
        try:
            inverse = xp.linalg.inv(a)
        except (ValueError, RuntimeError) as error:
            if not _is_failed_factorization(error):
                raise
            raise singular(a.shape) from error
        if math.prod(a.shape):
            condition = xp.linalg.matrix_norm(a, ord=1) * xp.linalg.matrix_norm(inverse, ord=1)
            if not bool(xp.all(condition < 1.0 / xp.finfo(a.dtype).eps)):
                raise singular(a.shape)
        return inverse

    def cholesky(self, a: Array) -> Array:
        xp = self._xp
        try:
            factor = xp.linalg.cholesky(a)
        except (ValueError, RuntimeError) as error:
            if not _is_failed_factorization(error):
                raise
            raise not_positive(a.shape) from error
        if not bool(xp.all(xp.isfinite(factor))):
            raise not_positive(a.shape)
        return factor

    def cholesky_solve(self, factor: Array, b: Array) -> Array:
        return self.triangular_solve(factor, self.triangular_solve(factor, b, False), True)

    def triangular_solve(self, factor: Array, b: Array, transpose: bool) -> Array:
        # The standard has no triangular solve.
        return self.solve(factor.mT if transpose else factor, b)

    def eigh(self, a: Array) -> tuple[Array, Array]:
        values, vectors = self._xp.linalg.eigh(a)
        return values, vectors

    def qr(self, a: Array) -> tuple[Array, Array]:
        q, r = self._xp.linalg.qr(a, mode="reduced")
        return q, r

    def singular_values(self, a: Array) -> Array:
        return self._xp.linalg.svdvals(a)

    def right_singular_vectors(self, a: Array) -> tuple[Array, Array]:
        _, values, transposed = self._xp.linalg.svd(a, full_matrices=True)
        return values, transposed.mT

    def norm(self, x: Array) -> float:
        return float(self._xp.linalg.vector_norm(x))
