"""Linear algebra on NumPy arrays, by LAPACK at the arrays' own precision.

``numpy.linalg`` computes float32 in double; SciPy's wrappers of LAPACK do not, so they are called
directly.  They work in Fortran order: a C-ordered lower factor L goes in as the upper factor
``L.T``, which is a view.
"""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any, final

import numpy as np

from geomkfac.arrays.array import Array
from geomkfac.arrays.linear_algebra import LinearAlgebra, not_positive, singular

_BLOCK = 64
"""Rows and columns copied together."""

_SMALL = 192
"""Below this size two plain products are faster than half of them in pieces."""

_STRIPS = 4


def _lapack(names: tuple[str, ...], *arrays: Any) -> Any:
    """The LAPACK routines of the dtype of `arrays`.  SciPy is imported on first use: it is slow to import."""
    return import_module("scipy.linalg").get_lapack_funcs(names, arrays)


def _blas(names: tuple[str, ...], *arrays: Any) -> Any:
    return import_module("scipy.linalg").get_blas_funcs(names, arrays)


def _one_block(x: Any) -> Any:
    """`x` in memory such that NumPy makes ``x.mT @ x`` a symmetric rank-k update."""
    if x.flags.c_contiguous or (x.ndim == 2 and x.flags.f_contiguous):
        return x
    return np.ascontiguousarray(x)


def _scales(a: Any, axis: int) -> Any:
    """Powers of two that bring the largest entry along `axis` to between 1/2 and 1 (1 for zeros)."""
    largest = np.max(np.abs(a), axis=axis, keepdims=True, initial=0)
    _, exponents = np.frexp(largest)
    # Clipped, as 2 ** 1074 is no number where 2 ** -1074 is one.
    limit = -np.finfo(a.dtype).minexp
    return np.ldexp(np.ones_like(largest), -np.clip(exponents, -limit, limit))


def _mirrored(a: Any) -> Any:
    """`a` (n, n), C-ordered, with its lower triangle written over the upper one; in place."""
    # In blocks: a whole triangle, transposed, would miss the cache at every entry.
    for start in range(0, len(a), _BLOCK):
        stop = start + _BLOCK
        block = a[start:stop, start:stop]
        upper = np.triu_indices(len(block), 1)
        block[upper] = block.T[upper]
        a[start:stop, stop:] = a[stop:, start:stop].T
    return a


def _factorized(a: Any) -> tuple[Any, Any, Any, Any]:
    """LU of one matrix scaled by powers of two, ``rows * a * columns``: (rows, columns, lu, pivots).

    The reciprocal condition number is that of the scaled matrix, so that the unit of a coordinate
    never makes a matrix singular.
    """
    rows = _scales(a, axis=-1)
    columns = _scales(rows * a, axis=-2)
    scaled = rows * a * columns
    getrf, gecon = _lapack(("getrf", "gecon"), scaled)
    size = np.abs(scaled).sum(axis=0).max()
    lu, pivots, info = getrf(scaled)
    if info == 0:
        reciprocal, _ = gecon(lu, size, norm="1")
    if info != 0 or not reciprocal > np.finfo(a.dtype).eps:
        raise singular(a.shape)
    return rows, columns, lu, pivots


def _solve(a: Any, b: Any) -> Any:
    """Solution for one matrix (n, n) and right-hand sides (n, k), n and k positive."""
    rows, columns, lu, pivots = _factorized(a)
    (getrs,) = _lapack(("getrs",), lu)
    solution, _ = getrs(lu, pivots, rows * b)
    return columns.T * solution


def _inverse(a: Any) -> Any:
    """Inverse of one matrix (n, n), n positive."""
    rows, columns, lu, pivots = _factorized(a)
    getri, getri_lwork = _lapack(("getri", "getri_lwork"), lu)
    work, _ = getri_lwork(len(lu))
    inverse, _ = getri(lu, pivots, lwork=int(work.real), overwrite_lu=True)
    return columns.T * inverse * rows.T


@final
class NumpyLinearAlgebra(LinearAlgebra):
    """Linear algebra on ``numpy.ndarray`` of float32 or float64."""

    __slots__ = ()

    def matmul(self, a: Array, b: Array) -> Array:
        if a.ndim > 2 and b.ndim == 2:
            # One product, where NumPy would make one for every matrix of the batch.
            rows = a.reshape(math.prod(a.shape[:-1]), a.shape[-1])
            return np.matmul(rows, b).reshape(*a.shape[:-1], b.shape[-1])
        return np.matmul(a, b)

    def gram(self, x: Array) -> Array:
        x = _one_block(x)
        return np.matmul(x.mT, x)

    def has_homogeneous_gram(self, x: Array) -> bool:
        return True

    def homogeneous_gram(self, x: Array) -> Array:
        (count, n), x = x.shape, _one_block(x)
        bordered = np.empty((n + 1, n + 1), x.dtype)
        # Written where it belongs: a border put around it afterwards would copy it twice.
        np.matmul(x.mT, x, out=bordered[:n, :n])
        bordered[n, :n] = bordered[:n, n] = np.matmul(np.ones(count, x.dtype), x)  # five times as fast as a sum
        bordered[n, n] = count
        return bordered

    def congruence(self, matrix: Array, form: Array) -> Array:
        """``matrix @ form @ matrix.T`` of a symmetric `form` (n, n), exactly symmetric.

        With n = m two products are 4 n³ operations.  Where `form` has a Cholesky factor L, what is wanted is
        ``(matrix L)(matrix L)ᵀ``: n³/3 for L, n³ for the triangular product, n³ for the rank-k update.  Else
        the second product is computed on one side of the diagonal alone.
        """
        if len(form) < _SMALL:
            product = matrix @ form @ matrix.T
            return (product + product.T) / 2
        (potrf,) = _lapack(("potrf",), form)
        upper, info = potrf(form.T, lower=False, clean=False)
        if info == 0:
            (trmm,) = _blas(("trmm",), form)
            return self.gram(trmm(1.0, upper, matrix.T, side=0, lower=0))
        half, size = matrix @ form, len(matrix)
        product = np.empty((size, size), form.dtype)
        for start in range(0, size, size // _STRIPS + 1):
            stop = min(start + size // _STRIPS + 1, size)
            np.matmul(half[start:stop], matrix[:stop].T, out=product[start:stop, :stop])
        return _mirrored(product)

    def solve(self, a: Array, b: Array) -> Array:
        if a.ndim == 2 and b.ndim == 2 and a.size and b.size:
            return _solve(a, b)
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        a = np.broadcast_to(a, batch + a.shape[-2:])
        solution = np.array(np.broadcast_to(b, batch + b.shape[-2:]))
        if b.size and a.size:
            for index in np.ndindex(*batch):
                solution[index] = _solve(a[index], solution[index])
        return solution

    def inverse(self, a: Array) -> Array:
        if a.ndim == 2 and a.size:
            return np.ascontiguousarray(_inverse(a))
        inverse = np.empty_like(a, order="C")
        if a.size:
            for index in np.ndindex(*a.shape[:-2]):
                inverse[index] = _inverse(a[index])
        return inverse

    def cholesky(self, a: Array) -> Array:
        if a.size == 0:
            return a.copy()
        (potrf,) = _lapack(("potrf",), a)
        upper, info = potrf(a.T, lower=False, clean=True)
        # NaN has no status everywhere; it stands on the diagonal then.
        if info != 0 or not np.isfinite(upper.diagonal()).all():
            raise not_positive(a.shape)
        return upper.T

    def cholesky_solve(self, factor: Array, b: Array) -> Array:
        if b.size == 0:
            return b.copy()
        (potrs,) = _lapack(("potrs",), factor, b)
        solution, _ = potrs(factor.T, b, lower=False)
        return solution

    def cholesky_inverse(self, factor: Array) -> Array:
        """The inverse of ``factor @ factor.mT``, exactly symmetric; a third of the work of inverting a matrix."""
        if factor.size == 0:
            return factor.copy()
        (potri,) = _lapack(("potri",), factor)
        upper, info = potri(factor.T, lower=False)
        if info != 0:
            raise singular(factor.shape)
        return _mirrored(upper.T)

    def triangular_solve(self, factor: Array, b: Array, transpose: bool) -> Array:
        if b.size == 0:
            return b.copy()
        (trtrs,) = _lapack(("trtrs",), factor, b)
        solution, info = trtrs(factor.T, b, lower=False, trans=not transpose)
        if info != 0:
            raise singular(factor.shape)
        return solution

    def eigh(self, a: Array) -> tuple[Array, Array]:
        values, vectors = import_module("scipy.linalg").eigh(a, driver="evd", check_finite=False)
        return values, vectors

    def qr(self, a: Array) -> tuple[Array, Array]:
        q, r = import_module("scipy.linalg").qr(a, mode="economic", check_finite=False)
        return q, r

    def singular_values(self, a: Array) -> Array:
        return import_module("scipy.linalg").svdvals(a, check_finite=False)

    def right_singular_vectors(self, a: Array) -> tuple[Array, Array]:
        _, values, transposed = import_module("scipy.linalg").svd(a, full_matrices=True, check_finite=False)
        return values, transposed.T

    def norm(self, x: Array) -> float:
        if x.size == 0:
            return 0.0
        (nrm2,) = import_module("scipy.linalg").get_blas_funcs(("nrm2",), (x,))
        return float(nrm2(np.reshape(x, -1)))
