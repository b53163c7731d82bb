"""The linear condition on an infinitesimal change of basis that an update does not see it, and its solutions.

The update of a double in bases moved by a generator, mapped back, changes at a rate: a vector for each generator, in
units of the update's length.  The symmetries are the combinations for which these vectors cancel.  Each vector is
known up to an error, and so are the singular values of the matrix they make: by Weyl's inequality up to the norm of
the matrix of errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, final

from geomkfac.arrays import generator
from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import OrderedNamespace
from geomkfac.errors import ConditioningError
from geomkfac.theorems.instances.derivatives import MeasuredDerivative, derivative, noise

GAP = 10.0
"""Between singular values that errors explain, which count as zero, and those that count as a change."""
COARSEST = 1e-3
"""The largest error, as a share of the update, that still says what an update sees."""


@final
@dataclass(frozen=True, slots=True)
class Generator:
    """One entry of the matrix, or of the translation, of a change of one space.

    Attributes
    ----------
    space : ``"A0"``, ``"Z1"``, ...
    row, column : of the entry; the translation is the last column
    """

    space: str
    row: int
    column: int


@final
@dataclass(frozen=True, slots=True, eq=False)
class Symmetries:
    """The Lie algebra of an update's infinitesimal symmetries.

    Attributes
    ----------
    generators : of the whole group, one for each coordinate of a member of the algebra
    ns : the namespace of the arrays
    condition : array (entries, generators): how the update changes along each, in units of its length
    errors : of the columns of the condition, in the Euclidean norm
    singular_values : of the condition, descending, one for each generator
    error : of the singular values
    """

    ns: OrderedNamespace
    generators: tuple[Generator, ...]
    condition: Array
    errors: tuple[float, ...]
    singular_values: Array
    error: float

    @property
    def bounds(self) -> tuple[int, int]:
        """The dimension lies between these: what errors explain is zero, what is ten times more is not."""
        values = [float(value) for value in self.ns.to_numpy(self.singular_values)]
        if self.error > COARSEST:
            return 0, sum(value <= GAP * self.error for value in values)
        return sum(value <= self.error for value in values), sum(value <= GAP * self.error for value in values)

    @property
    def dimension(self) -> int:
        """Of the algebra.

        Raises
        ------
        ConditioningError : a singular value can be told neither from zero nor from others.
        """
        least, most = self.bounds
        if least < most:
            _refuse(f"the dimension of the algebra of symmetries lies between {least} and {most}", self.error)
        return most

    @property
    def basis(self) -> Array:
        """Array (dimension, generators): orthonormal rows that span the algebra.

        Raises
        ------
        ConditioningError : as for `dimension`.
        """
        ns, n = self.ns, len(self.generators)
        rows, seen = self.condition.shape[0], n - self.dimension
        # Of [[0, M], [M^T, 0]], as M^T M would lose half of the digits.
        top = ns.concat([ns.zeros((rows, rows)), self.condition], axis=1)
        bottom = ns.concat([self.condition.mT, ns.zeros((n, n))], axis=1)
        _, vectors = ns.eigh(ns.concat([top, bottom], axis=0))
        outside = vectors[rows:, rows + n - seen :]
        # Halves of unit vectors: V V^T / 2 for the singular vectors V that are not sent to zero.
        _, vectors = ns.eigh(outside @ outside.mT)
        return vectors[:, : n - seen].mT

    def has(self, combination: Array) -> bool:
        """Whether the update does not see a combination of generators, array (generators,).

        Raises
        ------
        ConditioningError : errors are so large that it could be seen all the same.
        """
        change = self.ns.norm(self.condition @ combination)
        shares = [abs(float(share)) for share in self.ns.to_numpy(combination)]
        length = sum(share**2 for share in shares) ** 0.5
        error = sum(share * one for share, one in zip(shares, self.errors, strict=True))
        if change > error:
            return False
        if error > COARSEST * length:
            _refuse(
                f"an infinitesimal change of basis of length {length:.1e} changes the update by {change:.1e}", error
            )
        return True


def _refuse(found: str, error: float) -> NoReturn:
    raise ConditioningError(
        f"{found}: what is invariant cannot be told from what is not.\n"
        f"  required: an error of {COARSEST:g} at most, and singular values below it or above {GAP:g} times it\n"
        f"  came    : an error of {error:.1e}, as a share of the update\n"
        "Take more data or other networks, so that the update rounds less."
    )


def solved(ns: OrderedNamespace, generators: tuple[Generator, ...], moved: Callable[[Array], Array]) -> Symmetries:
    """The algebra of an update.

    Parameters
    ----------
    moved : for a combination of the generators, array (generators,), the update in bases changed by the identity plus
        it, mapped back: array (entries,), in units of the update's length

    Raises
    ------
    ConditioningError : updates in bases near the identity are not finite.
    """
    n = len(generators)
    along = ns.cast_numpy(generator("rounding").uniform(-1.0, 1.0, n))
    rounding = noise(ns, lambda size: moved(along * size))
    columns = [_along(ns, moved, ns.eye(n)[direction, :], rounding) for direction in range(n)]
    condition = ns.stack([column.value for column in columns], axis=1)
    if not ns.is_finite(condition) or any(math.isinf(column.error) for column in columns):
        _refuse("updates in bases near the identity are not finite", math.inf)
    values = ns.singular_values(condition)
    values = ns.concat([values, ns.zeros((n - values.shape[0],))])
    # A sum of n columns rounds, and by as much a column may be off.
    errors = tuple(column.error + n * ns.epsilon * ns.norm(column.value) for column in columns)
    # The Frobenius norm bounds the largest singular value; the decomposition itself is backward stable.
    error = sum(one**2 for one in errors) ** 0.5 + max(condition.shape) * ns.epsilon * float(ns.max(values))
    return Symmetries(ns, generators, condition, errors, values, error)


def _along(ns: OrderedNamespace, moved: Callable[[Array], Array], unit: Array, rounding: float) -> MeasuredDerivative:
    return derivative(ns, lambda size: moved(unit * size), rounding)
