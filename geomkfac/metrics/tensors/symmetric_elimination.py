"""A symmetric positive semidefinite matrix as a weighted family of rows, by elimination, without roots."""

from __future__ import annotations

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.errors import NotPositiveError


def weighted_rows(ns: Namespace, form: Array) -> tuple[Array, Array]:
    """Weights c (K,) and rows phi (K, n) with ``form = sum_k c_k phi_k phi_k^T``.

    Exact kinds: ``L D L^T`` by elimination.  Floats: eigenvectors, with eigenvalues that rounding made
    negative set to zero.

    Raises
    ------
    NotPositiveError : a pivot is zero and its row is not.
    """
    if not ns.kind.is_exact:
        ordered = ns.ordered("a family of covectors")
        values, vectors = ordered.eigh(form)
        return ordered.maximum(values, 0.0), vectors.mT
    n = form.shape[0]
    weights, rows, remaining = [], [], form
    for k in range(n):
        row = remaining[k, :]
        pivot = row[k]
        if ns.is_zero(pivot):
            if not ns.is_zero(row):
                raise NotPositiveError(
                    f"the matrix of a metric must be positive semidefinite: pivot {k} is zero and its row is not.\n"
                    "Pass a form that is a sum of squares, or reorder the frame."
                )
            continue
        scaled = row / pivot
        weights.append(pivot)
        rows.append(scaled)
        remaining = remaining - scaled[:, None] * row[None, :]
    if not rows:
        return ns.zeros((1,)), ns.zeros((1, n))
    return ns.stack(weights), ns.stack(rows)
