"""Degenerate forms in coordinates: their rank, their null directions, their smallest solutions.

Over exact kinds rank and null space are exact.  In floating point they depend on the frame, the one
decision that is not intrinsic, so it is made once for each form and everything else follows it.  What
provenance gives is used first.  The rest is decided on the form scaled to unit diagonal in its storage
frame, so that units do not matter: a Cholesky factorisation whose inverse iteration shows all eigenvalues
larger than n * epsilon settles it; else eigenvalues at most n * epsilon times the largest are zero.  A form
that is a sum of N products, N > n, carries up to N * epsilon, and so much counts as zero there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace, OrderedNamespace
from geomkfac.errors import (
    ConditioningError,
    DegenerateMetricError,
    NotInRangeError,
    NotPositiveError,
    SingularMatrixError,
)
from geomkfac.operators.square_matrix import SquareMatrix, exceeds_noise


@final
@dataclass(frozen=True, slots=True, eq=False)
class NullSpace:
    """The null space of a symmetric PSD form (n, n), decided once.

    Attributes
    ----------
    columns : array, shape (n, k), a basis
    lengths : array, shape (n,), the scaling to unit diagonal, bounded below for coordinates far shorter than
        the longest; None exactly
    directions : array, shape (n, k), ``lengths * columns`` made orthonormal; the columns themselves exactly
    """

    columns: Array
    lengths: Array | None
    directions: Array

    @property
    def dim(self) -> int:
        """The nullity k."""
        return int(self.columns.shape[1])


@final
@dataclass(frozen=True, slots=True, eq=False)
class PseudoInverse:
    """A symmetric X (n, n) with ``form @ X @ form = form``, and what counted as zero for it.

    Attributes
    ----------
    inverse : array, shape (n, n)
    top : the largest eigenvalue of the form scaled to unit diagonal; 0 exactly
    cut : what cannot be told from zero there, see `null_space`
    """

    inverse: Array
    top: float
    cut: float


def null_space(ns: Namespace, form: Array, known: Array | None = None, terms: int = 0) -> NullSpace:
    """The null space of a symmetric PSD form (n, n).

    Parameters
    ----------
    known : null directions that provenance gives, as columns (n, r), or None; exact kinds need none
    terms : how many products were summed for an entry, where that is known.  Each may round the same way
        (a constant input does), so that the form scaled to unit diagonal carries terms * epsilon.
    """
    if ns.kind.is_exact:
        columns = ns.nullspace(form)
        return NullSpace(columns, None, columns)
    ordered = ns.ordered("rank")
    lengths, scaled = _unit_diagonal(ordered, form)
    given = None if known is None or not known.shape[1] else known * lengths[:, None]
    if given is not None:
        # Known null directions are filled in, so that what is left to decide is the rest.
        directions, _ = ordered.qr(given)
        scaled = scaled + directions @ directions.mT
    found = _scaled_null(ordered, scaled, terms)
    if given is not None:
        found = ordered.concat([given, found], axis=1)
    directions = ordered.qr(found)[0] if found.shape[1] else found
    return NullSpace(found / lengths[:, None], lengths, directions)


def no_null_space(ns: Namespace, n: int) -> NullSpace:
    """The null space of a form (n, n) that provenance knows to be nondegenerate."""
    columns = ns.zeros((n, 0))
    return NullSpace(columns, None if ns.kind.is_exact else ns.ones((n,)), columns)


def positive_factor(ns: OrderedNamespace, form: Array, what: str) -> Array:
    """The lower Cholesky factor of a form (n, n) that provenance knows to be nondegenerate.

    Raises
    ------
    ConditioningError : scaled to unit diagonal it cannot be told from a degenerate form.
    """
    if form.shape[0] == 0:
        return form
    try:
        factor = ns.cholesky(form)
    except NotPositiveError:
        factor = None
    if factor is not None and exceeds_noise(ns, form, factor):
        return factor
    raise ConditioningError(
        f"a metric that is nondegenerate is too close to a degenerate one for {ns.name}.\n  metric  : {what}\n"
        f"  required: eigenvalues above n * epsilon = {form.shape[0] * ns.epsilon:.1e}, scaled to unit diagonal\n"
        "Damp it more, or compute in float64."
    )


def _unit_diagonal(ns: OrderedNamespace, form: Array) -> tuple[Array, Array]:
    if form.shape[0] == 0:
        return ns.zeros((0,)), form
    squares = ns.maximum(ns.diagonal(form), 0.0)
    top = float(ns.max(squares)) or 1.0
    # A coordinate may hold rounding of the longest one, n * epsilon of its length.  With this summand such
    # a direction stays below the cut of n * epsilon, and one of another unit stays above.
    lengths = ns.sqrt(squares + form.shape[0] * ns.epsilon * top)
    return lengths, form / (lengths[:, None] * lengths[None, :])


def _scaled_null(ns: OrderedNamespace, scaled: Array, terms: int) -> Array:
    n = scaled.shape[0]
    if n == 0:
        return scaled
    if float(ns.max(-ns.diagonal(scaled))) < -0.5:
        factor = SquareMatrix((scaled + scaled.mT) / 2, "the form").cholesky()
        if factor is not None and exceeds_noise(ns, scaled, factor, terms):
            return ns.zeros((n, 0))
    values, vectors = ns.eigh(scaled)
    cut = _cut(ns, n, float(values[-1]), terms)
    nullity = ns.count(values <= cut)
    return vectors[:, :nullity]


def _cut(ns: Namespace, n: int, top: float, terms: int) -> float:
    return max(n * top, terms) * ns.epsilon


def pseudo_inverse(ns: Namespace, form: Array, null: NullSpace, terms: int = 0) -> PseudoInverse:
    """A symmetric solver for covectors in the range of a form, zero on a complement of its null space.

    The complement leaves out one coordinate for each null direction.  Which one is an accident of the frame:
    `weighted_pseudo_inverse` replaces it.
    """
    n = form.shape[0]
    left_out = _pivots(ns, null.columns)
    kept = [index for index in range(n) if index not in left_out]
    rest = ns.take(ns.take(form, kept, 0), kept, 1)
    embedding = ns.take(ns.eye(n), kept, 0)
    if ns.kind.is_exact or not kept:
        return PseudoInverse(embedding.mT @ ns.inverse(rest) @ embedding, 0.0, 0.0)
    ordered = ns.ordered("minimal_solution")
    lengths, scaled = _unit_diagonal(ordered, rest)
    values, vectors = ordered.eigh((scaled + scaled.mT) / 2)
    top = float(values[-1])
    rows = embedding.mT @ (vectors / lengths[:, None])
    return PseudoInverse((rows / values) @ rows.mT, top, _cut(ns, n, top, terms))


def _pivots(ns: Namespace, null: Array) -> set[int]:
    """Coordinates, as many as `null` (n, k) has columns, on which these are independent; by elimination.

    Over floats each is the largest entry left, so that what is left out is what the null space is made of: a
    coordinate that is constant but for rounding, rather than the one that it is constant against.
    """
    chosen: set[int] = set()
    remaining = null
    for column in range(null.shape[1]):
        pivot = _pivot(ns, remaining[:, column])
        chosen.add(pivot)
        row = remaining[pivot, :] / remaining[pivot, column]
        # Later columns vanish at the pivot; this one is done with.
        remaining = remaining - remaining[:, column][:, None] * (row * _later(ns, null.shape[1], column))[None, :]
    return chosen


def _pivot(ns: Namespace, column: Array) -> int:
    if not ns.kind.is_exact:
        ordered = ns.ordered("a pivot")
        return int(ordered.argmax(ordered.abs(column), axis=0))
    return next(index for index in range(column.shape[0]) if not ns.is_zero(column[index]))


def _later(ns: Namespace, count: int, column: int) -> Array:
    """1 for columns after `column`, 0 for the others."""
    return ns.concat([ns.zeros((column + 1,)), ns.ones((count - column - 1,))], axis=0)


def weighted_pseudo_inverse(ns: Namespace, inverse: Array, null: NullSpace, weight: Array) -> Array:
    """The map from covectors in the range of a form to the solution smallest in `weight`, (n, n).

    Parameters
    ----------
    inverse : array, shape (n, n), of a `PseudoInverse`
    weight : symmetric array (n, n), nondegenerate on the null space

    Notes
    -----
    With null basis K and W the weight it is ``R inverse R^T``, ``R = 1 - K (K^T W K)^{-1} K^T W``.

    Raises
    ------
    DegenerateMetricError : the weight is degenerate on the null space.
    """
    if null.dim == 0:
        return inverse
    columns, against = null.columns, weight @ null.columns
    gram = columns.mT @ against
    if not ns.kind.is_exact:
        gram = (gram + gram.mT) / 2
        if SquareMatrix(gram, "the norm on the radical").cholesky() is None:
            raise norm_is_degenerate()
    try:
        coefficients = ns.solve(gram, against.mT)
    except SingularMatrixError as error:
        raise norm_is_degenerate() from error
    rest = ns.eye(inverse.shape[0]) - columns @ coefficients
    projected = rest @ inverse @ rest.mT
    # Where coordinates differ much in size the first pass cancels large numbers; the second is exact on that.
    return projected if ns.kind.is_exact else rest @ projected @ rest.mT


def norm_is_degenerate() -> DegenerateMetricError:
    """The error for a norm that picks no solution."""
    return DegenerateMetricError(
        "the norm is degenerate on the radical, so it picks no smallest solution.\n"
        "Name a norm that gives every nonzero vector of the radical a length, for example iota.euclidean."
    )


def range_bound(ns: OrderedNamespace, energy: Array, cut: float, size: Array, dim: int) -> Array:
    """How large the restriction of a covector to the null directions may be, if it is in the range.

    All in the scaling to unit diagonal.  By Cauchy-Schwarz ``phi(r)^2 <= g(r, r) |phi|^2`` with
    ``|phi|^2 = energy``, and ``g(r, r) <= cut`` for null directions r of unit length; and the covector's
    own sums carry rounding of dim * epsilon * size.  One bound for each covector of a batch.
    """
    return ns.sqrt(ns.abs(energy) * cut) + size * (dim * ns.epsilon)


def not_in_range(what: str, restriction: str) -> NotInRangeError:
    """The error for a covector outside the range."""
    return NotInRangeError(
        f"the covector is not in the range of the metric: no vector v has flat(v) = phi.\n  metric: {what}\n"
        f"  the covector's restriction to the radical is {restriction}, and must be zero.\n"
        "Its statistics come from other data than the metric's, or too few targets were sampled, or it is "
        "nothing but rounding (a differential at an optimum). Use the same data for both, or a damped metric."
    )
