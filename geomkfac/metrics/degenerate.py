"""Degenerate forms in coordinates: their rank, their null directions, their smallest solutions.

Over exact kinds rank and null space are exact.  In floating point they depend on the frame, the one
decision that is not intrinsic.  What provenance gives is used first.  Then: relative to a named
metric, eigenvalues at most n * epsilon times the largest are zero; without one, the same for the form
scaled to unit diagonal in its storage frame; a Cholesky factorisation whose inverse iteration shows all
eigenvalues larger settles it sooner.
"""

from __future__ import annotations

from geomkfac.arrays.namespace import Array, Namespace, OrderedNamespace
from geomkfac.errors import DegenerateMetricError, NotInRangeError, NotPositiveError, SingularMatrixError

from geomkfac.operators.square_matrix import SquareMatrix

__all__ = ["null_columns", "range_residual_bound", "weighted_pseudo_inverse"]


def null_columns(ns: Namespace, form: Array, known: Array | None = None) -> Array:
    """A basis of the null space of a symmetric PSD form (n, n), as columns (n, k).

    Parameters
    ----------
    known : null directions that provenance gives, as columns (n, r), or None
    """
    if ns.kind.is_exact:
        return ns.nullspace(form)
    ordered = ns.ordered("rank")
    n = form.shape[0]
    scales = ordered.sqrt(ordered.maximum(ordered.diagonal(form), 0.0))
    lengths = ordered.where(scales > 0, scales, 1.0)
    scaled = form / (lengths[:, None] * lengths[None, :])
    if known is not None and known.shape[1]:
        # Known null directions are filled in, so that what is left to decide is the rest.
        directions, _ = ordered.qr(known * lengths[:, None])
        scaled = scaled + directions @ directions.mT
    found = _scaled_null(ordered, scaled)
    found = found / lengths[:, None]
    return found if known is None else ordered.concat([known, found], axis=1)


def _scaled_null(ns: OrderedNamespace, scaled: Array) -> Array:
    n = scaled.shape[0]
    cut = n * ns.epsilon
    if n == 0 or SquareMatrix((scaled + scaled.mT) / 2, "the form").cholesky() is not None:
        return ns.zeros((n, 0))
    values, vectors = ns.eigh(scaled)
    nullity = sum(1 for value in ns.to_numpy(values) if value <= cut * float(values[-1]))
    return vectors[:, :nullity]


def weighted_pseudo_inverse(ns: Namespace, form: Array, weight: Array) -> tuple[Array, Array, float, float]:
    """The map from covectors in the range of `form` to the solution smallest in `weight`.

    Parameters
    ----------
    form, weight : symmetric arrays (n, n); `weight` nondegenerate on the null space of `form`

    Returns
    -------
    inverse : array, shape (n, n)
    null : array, shape (n, k), a basis of the null space as columns, orthonormal in `weight` for floats
    cut : the largest eigenvalue relative to `weight` that counted as zero; 0 for exact kinds
    top : the largest eigenvalue relative to `weight`; 0 for exact kinds

    Notes
    -----
    Exactly: with null basis K and ``P = K (K^T W K)^{-1} K^T`` it is ``(M + W P W)^{-1} - P``.
    """
    if ns.kind.is_exact:
        null = ns.nullspace(form)
        if null.shape[1] == 0:
            return ns.inverse(form), null, 0.0, 0.0
        try:
            projector = null @ ns.solve(null.mT @ weight @ null, null.mT)
        except SingularMatrixError as error:
            raise DegenerateMetricError(_DEGENERATE_NORM) from error
        return ns.inverse(form + weight @ projector @ weight) - projector, null, 0.0, 0.0
    ordered = ns.ordered("minimal_solution")
    n = form.shape[0]
    try:
        factor = ordered.cholesky(weight)
    except NotPositiveError as error:
        raise DegenerateMetricError(_DEGENERATE_NORM) from error
    half = ordered.triangular_solve(factor, form)
    whitened = ordered.triangular_solve(factor, half.mT)
    values, vectors = ordered.eigh((whitened + whitened.mT) / 2)
    top = float(values[-1]) if n else 0.0
    cut = n * ordered.epsilon * top
    nullity = sum(1 for value in ordered.to_numpy(values) if value <= cut)
    basis = ordered.triangular_solve(factor, vectors, transpose=True)
    kept = basis[:, nullity:]
    return (kept / values[nullity:]) @ kept.mT, basis[:, :nullity], cut, top


_DEGENERATE_NORM = (
    "the norm is degenerate on the radical, so it picks no smallest solution.\n"
    "Name a norm that gives every nonzero vector of the radical a length, for example iota.euclidean."
)


def range_residual_bound(ns: Namespace, energy: float, cut: float, size: float, dim: int) -> float:
    """How large the restriction of a covector to the null directions may be, if it is in the range.

    By Cauchy-Schwarz ``phi(r)^2 <= g(r, r) |phi|^2`` with ``|phi|^2 = energy``, for null directions r of
    unit norm ``g(r, r) <= cut``; and the covector's own sums carry rounding of dim * epsilon * size.
    """
    return float((max(cut, 0.0) * max(energy, 0.0)) ** 0.5 + dim * ns.epsilon * size)


def not_in_range(what: str, restriction: str) -> NotInRangeError:
    """The error for a covector outside the range."""
    return NotInRangeError(
        f"the covector is not in the range of the metric: no vector v has flat(v) = phi.\n  metric: {what}\n"
        f"  the covector's restriction to the radical is {restriction}, and must be zero.\n"
        "Its statistics come from other data than the metric's, or too few targets were sampled. Use the same "
        "data for both, or a damped metric."
    )
