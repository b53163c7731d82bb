"""The numbers behind centring and whitening: means, covariances and their roots, in one frame."""

from __future__ import annotations

from geomkfac.arrays import namespace_of
from geomkfac.arrays.array import Array
from geomkfac.errors import DegenerateMetricError


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


def root_and_inverse(
    form: Array, null: Array, root: str, degenerate_allowed: bool, what: str
) -> tuple[Array, Array]:
    """``(R, R^{-1})`` with ``R R^T = form`` on a complement of its null space, and the identity on that.

    Parameters
    ----------
    form : symmetric positive semidefinite array, shape (n, n)
    null : array, shape (k, n), null directions that are known, as rows; eigenvalues of at most n * epsilon
        times the largest, epsilon that of the dtype in which the form came, count as zero besides
    root : 'symmetric' or 'cholesky'
    degenerate_allowed : whether k may be positive
    what : the form, as shown in errors
    """
    given = namespace_of(form)
    ns = given.kind.default_namespace.ordered("whitening")
    matrix, n, known = ns.cast(form), form.shape[0], int(null.shape[0])
    if known:
        directions, _ = ns.qr(ns.cast(null).mT)
        rest = ns.eye(n) - directions @ directions.mT
        matrix = rest @ matrix @ rest
    values, vectors = ns.eigh((matrix + matrix.mT) / 2)
    cut = n * given.epsilon * float(values[-1]) if n else 0.0
    nullity = max(known, ns.count(values <= cut))
    if nullity and (not degenerate_allowed or root == "cholesky"):
        raise DegenerateMetricError(
            f"cannot whiten: {what} has {nullity} null direction{'s' if nullity > 1 else ''} out of {n} "
            f"(eigenvalues up to n * epsilon = {n * given.epsilon:.1e} of the largest).\n"
            "Name a norm that gives them a length, with the symmetric root: whitened(g, norm=iota.euclidean)."
        )
    if root == "cholesky":
        lower = ns.cholesky(matrix)
        return lower, ns.inverse(lower)
    if nullity == known and known:
        vectors = ns.concat([directions, vectors[:, known:]], axis=1)
    lengths = ns.concat([ns.ones((nullity,)), ns.sqrt(values[nullity:])], axis=0)
    return (vectors * lengths) @ vectors.mT, (vectors / lengths) @ vectors.mT
