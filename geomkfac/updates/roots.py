"""Powers of positive semidefinite matrices, and the polar factor of any matrix; in floating point."""

from __future__ import annotations

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import OrderedNamespace


def semidefinite_power(ns: OrderedNamespace, matrix: Array, exponent: float) -> Array:
    """``sum lambda^exponent v v^T`` over the eigenvalues that are not zero; `matrix` symmetric (n, n).

    Zero is what rounding explains: at most n times epsilon times the largest.
    """
    values, vectors = ns.eigh(matrix)
    positive = values > ns.max(values) * (matrix.shape[0] * ns.epsilon)
    powers = ns.exp(ns.log(ns.where(positive, values, 1.0)) * exponent)
    return (vectors * ns.where(positive, powers, 0.0)) @ vectors.mT


def polar_factor(ns: OrderedNamespace, matrix: Array) -> Array:
    """``U V^T`` of the singular value decomposition ``U S V^T`` of `matrix` (m, n), over singular values not zero.

    The sign of the symmetric matrix ``[[0, M], [M^T, 0]]`` is ``[[0, U V^T], [V U^T, 0]]`` where M is invertible, and
    has that corner for every M.  Unlike ``(M M^T)^{-1/2} M`` it squares no condition number.
    """
    m, n = matrix.shape
    top = ns.concat([ns.zeros((m, m)), matrix], axis=1)
    bottom = ns.concat([matrix.mT, ns.zeros((n, n))], axis=1)
    values, vectors = ns.eigh(ns.concat([top, bottom], axis=0))
    size = ns.abs(values)
    signs = ns.where(size > ns.max(size) * ((m + n) * ns.epsilon), ns.sign(values), 0.0)
    return ((vectors * signs) @ vectors.mT)[:m, m:]
