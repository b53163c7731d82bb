"""The numbers behind centring and whitening: means, covariances and their roots, in one frame."""

from __future__ import annotations

from geomkfac.arrays import namespace_of
from geomkfac.arrays.namespace import Array
from geomkfac.errors import DegenerateMetricError

__all__ = ["centering", "root_and_inverse", "split_moments"]


def split_moments(second_moment: Array) -> tuple[Array, Array]:
    """Mean (n,) and covariance (n, n) from ``E[[a; 1] [a; 1]^T]`` up to a scalar, (n + 1, n + 1)."""
    weight = second_moment[-1, -1]
    mean = second_moment[:-1, -1] / weight
    covariance = second_moment[:-1, :-1] / weight - mean[:, None] * mean[None, :]
    return mean, covariance


def centering(mean: Array) -> Array:
    """The mean in the namespace in which frames keep their numbers."""
    ns = namespace_of(mean)
    return ns.kind.default_namespace.cast(mean)


def root_and_inverse(form: Array, root: str, degenerate_allowed: bool, what: str) -> tuple[Array, Array]:
    """``(R, R^{-1})`` with ``R R^T = form`` on its range, and the identity on its null directions.

    `form` is a symmetric positive semidefinite array (n, n).  Null are eigenvalues of at most
    n * epsilon times the largest, epsilon that of the dtype in which the form came.
    """
    given = namespace_of(form).ordered("whitening")
    ns = given.kind.default_namespace.ordered("whitening")
    matrix = ns.cast(form)
    values, vectors = ns.eigh(matrix)
    n = matrix.shape[0]
    cut = n * given.epsilon * float(values[-1]) if n else 0.0
    null = values <= cut
    nullity = int(ns.to_numpy(null).sum())
    if nullity and (not degenerate_allowed or root == "cholesky"):
        raise DegenerateMetricError(
            f"cannot whiten: {what} has {nullity} null direction{'s' if nullity > 1 else ''} out of {n} "
            f"(eigenvalues up to n * epsilon = {n * given.epsilon:.1e} of the largest).\n"
            "Name a norm that gives them a length, with the symmetric root: whitened(g, norm=iota.euclidean)."
        )
    if root == "cholesky":
        lower = ns.cholesky(matrix)
        return lower, ns.inverse(lower)
    lengths = ns.where(null, 1.0, ns.sqrt(ns.where(null, 1.0, values)))
    return (vectors * lengths) @ vectors.mT, (vectors / lengths) @ vectors.mT
