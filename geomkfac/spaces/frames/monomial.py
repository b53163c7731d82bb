"""Matrices with one entry in each row and column: changes of units and of the order of coordinates.

They act by picking and scaling, O(1) for each number, where a product with a matrix costs O(n).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from geomkfac.arrays import namespace_of
from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace


@final
@dataclass(frozen=True, slots=True, eq=False)
class Monomial:
    """The matrix with ``(M x)_i = scales_i x_order(i)``.

    Attributes
    ----------
    order : a permutation of 0, ..., n - 1; None for the identity
    scales : array, shape (n,); none is zero
    """

    order: tuple[int, ...] | None
    scales: Array

    def apply(self, ns: Namespace, scales: Array, x: Array, axis: int) -> Array:
        """The matrix along the negative `axis` of `x`; `scales` are its own, cast into `ns`."""
        picked = x if self.order is None else ns.take(x, self.order, axis)
        return picked * ns.reshape(scales, (-1, *(1,) * (-axis - 1)))

    def congruence(self, ns: Namespace, scales: Array, form: Array) -> Array:
        """``M form M^T`` of a symmetric `form` (n, n), exactly symmetric."""
        if self.order is not None:
            form = ns.take(ns.take(form, self.order, -1), self.order, -2)
        # Both scales first: their product is the same on either side of the diagonal.
        return form * (scales[:, None] * scales[None, :])


def monomial(matrix: Array) -> Monomial | None:
    """A floating-point matrix (n, n) in this shape, where it has it; exact kinds are not looked at."""
    ns = namespace_of(matrix)
    if ns.kind.is_exact:
        return None
    entries = ns.to_numpy(matrix)
    nonzero = entries != 0
    n = int(nonzero.shape[0])
    if not n or int(nonzero.sum()) != n or not bool(nonzero.any(axis=1).all()):
        return None
    order = tuple(nonzero.argmax(axis=1).tolist())
    if len(set(order)) < n:
        return None
    return Monomial(None if order == tuple(range(n)) else order, ns.sum(matrix, axis=1))
