"""Linear algebra that array libraries share: what they name alike, and solving with a look at the condition.

A library differs in how it says that a matrix has no inverse or no Cholesky factor, and in whether it solves
triangular systems; its own file says so.  Whatever is read from a device waits for it, so each operation
reads one number.  Source: Python array API standard 2024.12, main namespace and ``linalg`` extension.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import array_api_compat

from geomkfac.arrays.array import Array
from geomkfac.arrays.linear_algebra import LinearAlgebra, singular


def is_linear_algebra_error(error: Exception) -> bool:
    """Whether a library's exception is its ``LinAlgError`` (the standard names no exception)."""
    return any(base.__name__.lstrip("_") == "LinAlgError" for base in type(error).__mro__)


class LibraryLinearAlgebra(LinearAlgebra):
    """Linear algebra of the array library `xp`, at the precision of the arrays.

    Parameters
    ----------
    xp : module of an array library
    narrowest : the width from which on a product ``x.mT @ x`` is made of halves, of which one is left out
    """

    __slots__ = ("_narrowest", "_xp")

    def __init__(self, xp: Any, narrowest: int) -> None:
        self._xp, self._narrowest = xp, narrowest

    # -- what differs ----------------------------------------------------------------------------------
    @abstractmethod
    def _inverted(self, a: Array) -> tuple[Array, Any]:
        """Inverses of square matrices, and an array () that says whether all of them exist (or True).

        Raises `SingularMatrixError` where the library itself refuses.
        """

    # -- products ----------------------------------------------------------------------------------------
    def matmul(self, a: Array, b: Array) -> Array:
        return self._xp.matmul(a, b)

    def gram(self, x: Array) -> Array:
        n = x.shape[-1]
        if x.ndim != 2 or n < 2 * self._narrowest:
            product = self.matmul(x.mT, x)
            return (product + product.mT) * 0.5
        # No library but NumPy has a symmetric rank-k update.  Of two halves, three products are enough.
        first, second = x[:, : n // 2], x[:, n // 2 :]
        across = self.matmul(first.mT, second)
        return self._joined([[self.gram(first), across], [across.mT, self.gram(second)]])

    def _joined(self, rows: Sequence[Sequence[Array]]) -> Array:
        concat = self._xp.concat
        return concat([concat(list(row), axis=1) for row in rows], axis=0)

    def congruence(self, matrix: Array, form: Array) -> Array:
        product = self.matmul(self.matmul(matrix, form), matrix.mT)
        # Symmetric but for rounding.
        return (product + product.mT) / 2

    # -- solving -----------------------------------------------------------------------------------------
    def solve(self, a: Array, b: Array) -> Array:
        rows, columns, scaled = self._equilibrated(a)
        self._checked_inverse(scaled)
        return columns * self._xp.linalg.solve(scaled, rows * b)

    def inverse(self, a: Array) -> Array:
        rows, columns, scaled = self._equilibrated(a)
        return columns * self._checked_inverse(scaled) * rows.mT

    def _checked_inverse(self, a: Array) -> Array:
        xp = self._xp
        inverse, exists = self._inverted(a)
        if math.prod(a.shape):
            condition = xp.linalg.matrix_norm(a, ord=1) * xp.linalg.matrix_norm(inverse, ord=1)
            # NaN and infinity fail it too: some libraries raise nothing.
            if not bool(xp.all(condition < 1.0 / xp.finfo(a.dtype).eps) & exists):
                raise singular(a.shape)
        return inverse

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

    def cholesky_solve(self, factor: Array, b: Array) -> Array:
        return self.triangular_solve(factor, self.triangular_solve(factor, b, False), True)

    def cholesky_inverse(self, factor: Array) -> Array:
        identity = self._xp.eye(factor.shape[0], dtype=factor.dtype, device=array_api_compat.device(factor))
        return self.gram(self.triangular_solve(factor, identity, False))

    def _check_diagonal(self, factor: Array) -> None:
        """Refuse a triangular matrix that is singular: libraries divide by zero and say nothing."""
        if factor.shape[-1] and not bool(self._xp.all(self._xp.linalg.diagonal(factor) != 0.0)):
            raise singular(factor.shape)

    # -- what all libraries name alike -----------------------------------------------------------------------
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
