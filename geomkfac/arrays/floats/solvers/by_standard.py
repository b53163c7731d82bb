"""Linear algebra in the functions of the Python array API standard alone, for any array library."""

from __future__ import annotations

from typing import Any, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.floats.solvers.by_library import LibraryLinearAlgebra, is_linear_algebra_error
from geomkfac.arrays.linear_algebra import not_positive, singular


@final
class StandardLinearAlgebra(LibraryLinearAlgebra):
    """Linear algebra of an array library that is known by nothing but the standard."""

    __slots__ = ()

    def __init__(self, xp: Any) -> None:
        super().__init__(xp, narrowest=512)

    def _inverted(self, a: Array) -> tuple[Array, Any]:
        try:
            return self._xp.linalg.inv(a), True
        except (ValueError, RuntimeError) as error:
            if not is_linear_algebra_error(error):
                raise
            raise singular(a.shape) from error

    def cholesky(self, a: Array) -> Array:
        xp = self._xp
        try:
            factor = xp.linalg.cholesky(a)
        except (ValueError, RuntimeError) as error:
            if not is_linear_algebra_error(error):
                raise
            raise not_positive(a.shape) from error
        if not bool(xp.all(xp.isfinite(factor))):
            raise not_positive(a.shape)
        return factor

    def triangular_solve(self, factor: Array, b: Array, transpose: bool) -> Array:
        # The standard has no triangular solve.
        return self.solve(factor.mT if transpose else factor, b)
