"""Linear algebra on JAX arrays.

JAX raises nothing: what has no inverse or no Cholesky factor comes out as NaN or infinity, and is looked for.
Products ask for the highest precision, as on GPUs of today JAX would round float32 to 10 bits otherwise.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.floats.solvers.by_library import LibraryLinearAlgebra
from geomkfac.arrays.linear_algebra import not_positive


@final
class JaxLinearAlgebra(LibraryLinearAlgebra):
    """Linear algebra on ``jax.Array`` of float32 or float64, outside of transformations."""

    __slots__ = ("_own",)

    def __init__(self, xp: Any) -> None:
        super().__init__(xp, narrowest=512)
        self._own = import_module("jax.scipy.linalg")

    def matmul(self, a: Array, b: Array) -> Array:
        return self._xp.matmul(a, b, precision="highest")

    def _inverted(self, a: Array) -> tuple[Array, Any]:
        return self._xp.linalg.inv(a), True

    def cholesky(self, a: Array) -> Array:
        factor = self._xp.linalg.cholesky(a)
        if not bool(self._xp.all(self._xp.isfinite(factor))):
            raise not_positive(a.shape)
        return factor

    def cholesky_solve(self, factor: Array, b: Array) -> Array:
        return self._own.cho_solve((factor, True), b)

    def triangular_solve(self, factor: Array, b: Array, transpose: bool) -> Array:
        self._check_diagonal(factor)
        return self._own.solve_triangular(factor, b, trans="T" if transpose else "N", lower=True)
