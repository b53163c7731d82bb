"""Degenerate forms in coordinates: their rank, their null directions, their smallest solutions.

Over exact kinds rank and null space are exact.  In floating point they are decided, once for each form, and
everything else follows the decision.  What provenance gives is used first.  The rest is decided on the form scaled
to unit diagonal in its storage frame, so that units do not matter; for sums over data that frame has its origin among
the data (`networks.moments.reference`).  An eigenvalue counts as zero where rounding may have made it:

- by linear algebra, n * epsilon times the largest;
- by the sum, what its blocks of products may round, which does not grow with their number (`rounding_of_sums`);
- by the data: with noise s_i in coordinate i, a direction v has the square sum_i (s_i v_i)^2 from it alone.

Where a Cholesky factorisation and inverse iteration show all eigenvalues to be larger, no eigenvalue is computed.
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

CERTAIN = 4.0
"""Squares up to so many times what noise makes on the average are noise."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class NullSpace:
    """The null space of a symmetric PSD form (n, n), decided once.

    Attributes
    ----------
    columns : array, shape (n, k), a basis
    lengths : array, shape (n,), the scaling to unit diagonal, 1 where the diagonal is zero; None exactly
    directions : array, shape (n, k), ``lengths * columns`` made orthonormal; the columns themselves exactly
    cut : what counted as zero at most, of the form scaled to unit diagonal; 0 exactly
    zero, nonzero : the largest eigenvalue that counted as zero, and the smallest that did not; None where none was
        computed
    """

    columns: Array
    lengths: Array | None
    directions: Array
    cut: float = 0.0
    zero: float | None = None
    nonzero: float | None = None

    @property
    def dim(self) -> int:
        """The nullity k."""
        return int(self.columns.shape[1])


@final
@dataclass(frozen=True, slots=True, eq=False)
class PseudoInverse:
    """A symmetric X (n, n) with ``form @ X @ form = form``.

    Attributes
    ----------
    inverse : array, shape (n, n)
    top : the largest eigenvalue of the form scaled to unit diagonal; 0 exactly
    """

    inverse: Array
    top: float


def null_space(
    ns: Namespace, form: Array, known: Array | None = None, terms: int = 0, noise: Array | None = None
) -> NullSpace:
    """The null space of a symmetric PSD form (n, n).

    Parameters
    ----------
    known : null directions that provenance gives, as columns (n, r), or None; exact kinds need none
    terms : how many products were summed for an entry, where that is known
    noise : array (n,), the standard deviation of what rounding did to the coordinates before they were squared; by
        default n * epsilon of the longest, as where they were mixed with that
    """
    if ns.kind.is_exact:
        columns = ns.nullspace(form)
        return NullSpace(columns, None, columns)
    ordered = ns.ordered("rank")
    lengths, scaled, shares = _unit_diagonal(ordered, form, noise)
    given = None if known is None or not known.shape[1] else known * lengths[:, None]
    if given is not None:
        # Known null directions are filled in, so that what is left to decide is the rest.
        directions, _ = ordered.qr(given)
        scaled = scaled + directions @ directions.mT
    spectrum = _scaled_null(ordered, scaled, terms, shares)
    found = spectrum.null
    if given is not None:
        found = ordered.concat([given, found], axis=1)
    directions = ordered.qr(found)[0] if found.shape[1] else found
    columns = found / lengths[:, None]
    return NullSpace(columns, lengths, directions, spectrum.cut, spectrum.zero, spectrum.nonzero)


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


def _unit_diagonal(ns: OrderedNamespace, form: Array, noise: Array | None = None) -> tuple[Array, Array, Array]:
    """Lengths (n,), the form divided by them on both sides, and what noise adds to its diagonal, (n,).

    A coordinate that is nothing but noise becomes one of length sqrt(epsilon), so that it mixes with no other.
    """
    if form.shape[0] == 0:
        return ns.zeros((0,)), form, ns.zeros((0,))
    squares = ns.maximum(ns.diagonal(form), 0.0)
    lengths = ns.sqrt(ns.where(squares > 0, squares, 1.0))
    if noise is None:
        noise = ns.max(ns.where(squares > 0, lengths, 0.0), axis=0, keepdims=True) * (form.shape[0] * ns.epsilon)
    shares = ns.where(squares > 0, noise / lengths, 0.0)
    shares = shares * shares
    lost = shares * CERTAIN >= 1
    lengths = ns.where(lost, lengths / ns.epsilon**0.5, lengths)
    shares = ns.where(lost, ns.epsilon / CERTAIN, shares)
    # One after the other: the product of two lengths may be larger than any number.
    return lengths, form / lengths[:, None] / lengths[None, :], shares


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Spectrum:
    """Null directions (n, k) of a form scaled to unit diagonal, orthonormal; the rest as in `NullSpace`."""

    null: Array
    cut: float = 0.0
    zero: float | None = None
    nonzero: float | None = None


def _scaled_null(ns: OrderedNamespace, scaled: Array, terms: int, shares: Array) -> _Spectrum:
    n = scaled.shape[0]
    if n == 0:
        return _Spectrum(scaled)
    if float(ns.max(-ns.diagonal(scaled))) < -0.5:
        bound = max(n * ns.epsilon, ns.rounding_of_sums(terms)) + CERTAIN * float(ns.max(shares))
        factor = SquareMatrix((scaled + scaled.mT) / 2, "the form").cholesky() if bound < 1 else None
        if factor is not None and exceeds_noise(ns, scaled, factor, bound):
            return _Spectrum(ns.zeros((n, 0)), bound)
    values, vectors = ns.eigh(scaled)
    cuts = ns.row_sum(vectors * vectors * shares[:, None]) * CERTAIN
    cuts = cuts + relative_cut(ns, n, terms, float(values[-1]))
    pairs = list(zip(ns.to_numpy(values).tolist(), ns.to_numpy(cuts).tolist(), strict=True))
    null = [index for index, (value, cut) in enumerate(pairs) if value <= cut]
    return _Spectrum(
        ns.take(vectors, null, 1),
        max((pairs[index][1] for index in null), default=max(cut for _, cut in pairs)),
        max((pairs[index][0] for index in null), default=None),
        min((value for value, cut in pairs if value > cut), default=None),
    )


def relative_cut(ns: Namespace, n: int, terms: int, top: float = 1.0) -> float:
    """What linear algebra on a form (n, n) scaled to unit diagonal, and the sum of its `terms` products, may leave of
    zero.
    """
    return max(n * top * ns.epsilon, ns.rounding_of_sums(terms))


def pseudo_inverse(ns: Namespace, form: Array, null: NullSpace) -> PseudoInverse:
    """A symmetric solver for covectors in the range of a form, zero on a complement of its null space.

    The complement leaves out one coordinate for each null direction.  Which one is an accident of the frame:
    `without_null` mends that.
    """
    n = form.shape[0]
    left_out = _pivots(ns, null.columns)
    kept = [index for index in range(n) if index not in left_out]
    rest = ns.take(ns.take(form, kept, 0), kept, 1)
    embedding = ns.take(ns.eye(n), kept, 0)
    if ns.kind.is_exact or not kept:
        return PseudoInverse(embedding.mT @ ns.inverse(rest) @ embedding, 0.0)
    ordered = ns.ordered("minimal_solution")
    lengths, scaled, _ = _unit_diagonal(ordered, rest, ordered.zeros((len(kept),)))
    values, vectors = ordered.eigh((scaled + scaled.mT) / 2)
    rows = embedding.mT @ (vectors / lengths[:, None])
    return PseudoInverse((rows / values) @ rows.mT, float(values[-1]))


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


def without_null(
    ns: Namespace, rows: Array, columns: Array, against: Array, gram: Array, *, positive: bool = False
) -> Array:
    """Rows (*batch, n) of vectors, each less its component in the span of `columns`, orthogonally in a norm W.

    Parameters
    ----------
    columns : array, shape (n, k), K
    against, gram : arrays (n, k) and (k, k), W K and K^T W K
    positive : whether W is known to be nondegenerate

    Raises
    ------
    DegenerateMetricError : the norm is degenerate on the span.
    ConditioningError : it is not, and cannot be told from one that is.
    """
    if not ns.kind.is_exact:
        gram = (gram + gram.mT) / 2
        if SquareMatrix(gram, "the norm on the radical").cholesky() is None:
            raise _norm_is_unclear(ns, columns.shape[1]) if positive else norm_is_degenerate()
    try:
        coefficients = ns.solve(gram, columns.mT)
    except SingularMatrixError as error:
        raise (_norm_is_unclear(ns, columns.shape[1]) if positive else norm_is_degenerate()) from error
    # Twice, as the first pass may cancel large numbers.
    for _ in range(1 if ns.kind.is_exact else 2):
        rows = rows - ns.matmul(ns.matmul(rows, against), coefficients)
    return rows


def _norm_is_unclear(ns: Namespace, nullity: int) -> ConditioningError:
    return ConditioningError(
        f"the smallest solution cannot be told in {ns.name}.\n"
        "  required: a norm that tells the null directions of the metric apart\n"
        f"  came    : one in which {nullity} of them agree up to rounding, as constant coordinates far from the origin "
        "do\nName the norm of a basis with its origin among the data, iota.centered(g).euclidean; or damp the metric."
    )


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
