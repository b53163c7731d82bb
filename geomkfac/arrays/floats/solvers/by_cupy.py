"""Linear algebra on CuPy arrays, by cuSOLVER and cuBLAS through CuPy.

CuPy ignores the status of cuSOLVER unless it is told not to, and then hands out a half-made factor; so all
runs under ``cupyx.errstate(linalg="raise")``, which reads that status once for each operation.
Source: cupy 14, ``cupyx/_ufunc_config.py``, ``cupy/linalg/_util.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.floats.solvers.by_library import LibraryLinearAlgebra, is_linear_algebra_error
from geomkfac.arrays.linear_algebra import not_positive, singular
from geomkfac.errors import GeomkfacError


@contextmanager
def _raising(refused: GeomkfacError | None = None) -> Iterator[None]:
    """Within it CuPy raises what cuSOLVER reports, as `refused` where that is given."""
    with import_module("cupyx").errstate(linalg="raise"):
        try:
            yield
        except ValueError as error:
            # CuPy's LinAlgError is NumPy's, a ValueError.
            if refused is None or not is_linear_algebra_error(error):
                raise
            raise refused from error


@final
class CupyLinearAlgebra(LibraryLinearAlgebra):
    """Linear algebra on ``cupy.ndarray`` of float32 or float64."""

    __slots__ = ()

    def __init__(self, xp: Any) -> None:
        # cuBLAS's symmetric update fills one triangle, and is slower than its product for tall matrices.
        super().__init__(xp, narrowest=1024)

    def solve(self, a: Array, b: Array) -> Array:
        # CuPy does not broadcast the batches of a system.
        batch = self._xp.broadcast_shapes(tuple(a.shape[:-2]), tuple(b.shape[:-2]))
        a = self._xp.broadcast_to(a, (*batch, *a.shape[-2:]))
        b = self._xp.broadcast_to(b, (*batch, *b.shape[-2:]))
        if 0 in b.shape:
            return self._xp.zeros(b.shape, dtype=b.dtype)
        with _raising(singular(a.shape)):
            return LibraryLinearAlgebra.solve(self, a, b)

    def _inverted(self, a: Array) -> tuple[Array, Any]:
        with _raising(singular(a.shape)):
            return self._xp.linalg.inv(a), True

    def cholesky(self, a: Array) -> Array:
        with _raising(not_positive(a.shape)):
            factor = self._xp.linalg.cholesky(a)
        # cuSOLVER gives no status for NaN; it stands on the diagonal then.
        if not bool(self._xp.all(self._xp.isfinite(self._xp.linalg.diagonal(factor)))):
            raise not_positive(a.shape)
        return factor

    def triangular_solve(self, factor: Array, b: Array, transpose: bool) -> Array:
        self._check_diagonal(factor)
        return self._triangular(factor, b, transpose)

    def cholesky_solve(self, factor: Array, b: Array) -> Array:
        return self._triangular(factor, self._triangular(factor, b, False), True)

    def _triangular(self, factor: Array, b: Array, transpose: bool) -> Array:
        if 0 in b.shape:
            return b.copy()
        solver = import_module("cupyx.scipy.linalg").solve_triangular
        return solver(factor, b, trans="T" if transpose else "N", lower=True)

    def eigh(self, a: Array) -> tuple[Array, Array]:
        with _raising():
            return LibraryLinearAlgebra.eigh(self, a)

    def qr(self, a: Array) -> tuple[Array, Array]:
        with _raising():
            return LibraryLinearAlgebra.qr(self, a)

    def singular_values(self, a: Array) -> Array:
        with _raising():
            return LibraryLinearAlgebra.singular_values(self, a)

    def right_singular_vectors(self, a: Array) -> tuple[Array, Array]:
        with _raising():
            return LibraryLinearAlgebra.right_singular_vectors(self, a)
