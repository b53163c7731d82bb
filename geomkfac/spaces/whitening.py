"""The numbers behind centring and whitening: means, covariances and their roots.

They are read and computed in the frame in which a form stands, whose origin and units suit it, and only then carried to
frames that someone asks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from geomkfac.arrays import namespace_of
from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace, OrderedNamespace
from geomkfac.errors import ConditioningError, DegenerateMetricError, SingularMatrixError

WHITE = 2.0**-10
"""A whitened form may be this far from 0 and 1."""

GRADED = 2.0**8
"""From this ratio of lengths on, coordinates are given units before eigenvalues are computed."""

ITERATIONS = 60
"""Newton's iteration for an orthogonal factor ends after a dozen, or never."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Root:
    """A change of frame that makes a form 1, and 0 on its null directions.

    Attributes
    ----------
    change : array (n, n), on coordinates in the form's own frame
    projection : array (n, n), what the form becomes
    """

    change: Array
    projection: Array


def centering(mean: Array) -> Array:
    """The mean in the namespace in which frames keep their numbers."""
    ns = namespace_of(mean)
    return ns.kind.default_namespace.cast(mean)


def contragredient(matrix: Array) -> Array:
    """The inverse transpose (n, n)."""
    return _inverse(namespace_of(matrix), matrix).mT


def _inverse(ns: Namespace, matrix: Array) -> Array:
    """The inverse, which mostly is that of the identity: a norm's own frame is that of the form."""
    return matrix if ns.equal(matrix, ns.eye(matrix.shape[0])) else ns.inverse(matrix)


def split_moments(second_moment: Array, places: int) -> tuple[Array, Array]:
    """Mean (n,) and covariance (n, n) at single places from ``E[[a; 1] [a; 1]^T]`` up to a scalar, (K n + 1, K n + 1).

    Averages over K places.
    """
    n, weight = (second_moment.shape[0] - 1) // places, second_moment[-1, -1]
    mean: Array = None
    square: Array = None
    for place in range(places):
        own = slice(place * n, (place + 1) * n)
        first, second = second_moment[own, -1] / weight, second_moment[own, own] / weight
        mean = first if mean is None else mean + first
        square = second if square is None else square + second
    mean = mean / places
    return mean, square / places - mean[:, None] * mean[None, :]


def root_of(form: Array, null: Array, outward: Array, kind: str, degenerate_allowed: bool, what: str) -> Root:
    """What makes a form 1, symmetric or triangular in the coordinates of a norm.

    Parameters
    ----------
    form : symmetric positive semidefinite array, shape (n, n)
    null : array, shape (k, n), null directions that are known, as rows; besides, on the form scaled to unit diagonal,
        eigenvalues of at most n * epsilon times the largest count as zero, epsilon that of the dtype of the form
    outward : array, shape (n, n), from the form's coordinates to those of the norm, in which null directions keep
        their lengths
    kind : 'symmetric' or 'cholesky'
    degenerate_allowed : whether there may be null directions
    what : the form, as shown in errors

    Raises
    ------
    DegenerateMetricError : there are null directions, and no norm says how long they are.
    """
    given, n, known = namespace_of(form), form.shape[0], int(null.shape[0])
    ns = given.kind.default_namespace.ordered("whitening")
    if not n:
        return Root(ns.cast(form), ns.cast(form))
    matrix = ns.cast(form)
    lengths = ns.sqrt(ns.where(ns.diagonal(matrix) > 0, ns.diagonal(matrix), 1.0))
    if not ns.max(lengths) > GRADED * -ns.max(-lengths):
        lengths = ns.ones((n,))
    scaled = matrix / lengths[:, None] / lengths[None, :]
    if known:
        directions, _ = ns.qr(ns.cast(null).mT * lengths[:, None])
        rest = ns.eye(n) - directions @ directions.mT
        scaled = rest @ scaled @ rest
    values, vectors = ns.eigh((scaled + scaled.mT) / 2)
    nullity = max(known, ns.count(values <= n * given.epsilon * float(values[-1])))
    if nullity and (not degenerate_allowed or kind == "cholesky"):
        raise DegenerateMetricError(
            f"cannot whiten: {what} has {nullity} null direction{'s' if nullity > 1 else ''} out of {n} "
            f"(eigenvalues up to n * epsilon = {n * given.epsilon:.1e} of the largest).\n"
            "Name a norm that gives them a length, with the symmetric root: whitened(g, norm=iota.euclidean)."
        )
    if kind == "cholesky":
        # With C = K K^T and T K = L Q, Q orthogonal, T C T^T is L L^T, and L^{-1} T is Q K^{-1}.
        inner = ns.cholesky(matrix)
        turn, triangle = ns.qr(ns.matmul(outward, inner).mT)
        turn = turn * ns.sign(ns.diagonal(triangle))[None, :]
        lower = ns.cumulative_sum(ns.eye(n), axis=0)
        change = ns.matmul(ns.triangular_solve(inner, turn, transpose=True).mT, _inverse(ns, outward)) * lower
        return Root(ns.matmul(change, outward), ns.eye(n))
    if nullity == known and known:
        vectors = ns.concat([directions, vectors[:, known:]], axis=1)
    # Functionals on which the form is 1, and those on which it is 0; in the norm's coordinates, these orthonormal and
    # those orthogonal to them.
    rows = vectors.mT / lengths[None, :]
    inward = _inverse(ns, outward)
    zero, one = rows[:nullity, :], rows[nullity:, :] / ns.sqrt(values[nullity:])[:, None]
    if nullity:
        basis, triangle = ns.qr(ns.matmul(zero, inward).mT)
        zero = ns.solve(triangle.mT, zero)
        one = one - ns.matmul(ns.matmul(ns.matmul(one, inward), basis), zero)
    functionals = ns.matmul(vectors, ns.concat([zero, one], axis=0))
    turn = _orthogonal_factor(ns, ns.matmul(functionals, inward), what)
    null_part = ns.matmul(turn.mT, vectors[:, :nullity])
    return Root(ns.matmul(turn.mT, functionals), ns.eye(n) - ns.matmul(null_part, null_part.mT))


def _orthogonal_factor(ns: OrderedNamespace, x: Array, what: str) -> Array:
    """U of the polar decomposition ``x = U H``, H symmetric and positive.

    Source: Higham 1986, Newton's iteration, scaled; it sees units of rows and columns as little as inversion does.
    """
    n = x.shape[0]
    if ns.norm(x - x.mT) <= 8 * n * ns.epsilon * ns.norm(x):
        return ns.eye(n)
    moved = x
    for _ in range(ITERATIONS):
        try:
            inverse = ns.inverse(moved).mT
        except SingularMatrixError:
            break
        balance = (ns.norm(inverse) / ns.norm(moved)) ** 0.5
        following = (moved * balance + inverse / balance) / 2
        step, moved = ns.norm(following - moved), following
        if step <= 8 * n * ns.epsilon * ns.norm(moved):
            return moved
    raise ConditioningError(
        f"cannot whiten: no symmetric root of {what} is found in float64.\n"
        "Give the coordinates units of one size first (iota.change), or use root='cholesky'."
    )


def require_white(found: Array, mean: Array | None, expected: Array, what: str) -> None:
    """Refuse a whitened form that is not 0 and 1.

    Parameters
    ----------
    found, expected : arrays (n, n)
    mean : array (n,), which must be zero; None for a form without one
    """
    ns = namespace_of(found).ordered("whitening")
    gaps = ns.abs(found - ns.cast(expected))
    worst = ns.max(gaps, axis=1) if gaps.shape[0] else ns.zeros((1,))
    if mean is not None and mean.shape[0]:
        worst = ns.maximum(worst, ns.abs(mean))
    if not float(ns.max(worst)) <= WHITE:
        index = int(ns.argmax(ns.where(worst >= 0, worst, float("inf")), axis=0))
        raise ConditioningError(
            f"{what} cannot be whitened in {ns.name}.\n"
            f"  required: mean 0, and a form of 0 and 1 to {WHITE:.0e}\n"
            f"  came    : off by {float(worst[index]):.1e} in coordinate {index}\n"
            "Its coordinates depend on each other up to rounding, or lie too far from their origin. Damp the metric "
            "instead, leave out coordinates that others determine, or compute in float64."
        )
