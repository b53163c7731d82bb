"""The kind `rational`: the field Q, python-flint's fractions in NumPy arrays of objects.

Slow and without bound on the size of its numbers; for statements with a hypothesis of order or
rank, which no finite field can decide.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, final

import numpy as np

from geomkfac.arrays.exact.fields import ExactArray, ExactNamespace
from geomkfac.arrays.exact.flint_matrices import flint, flint_nullspace, flint_solve
from geomkfac.arrays.namespace import Array, Kind, RandomSource
from geomkfac.arrays.refusals import describe
from geomkfac.errors import DivisionByZeroError, KindError, ShapeError, ValuesError


@final
class RationalField(Kind):
    """The field of rational numbers.  The only one is `rational`."""

    __slots__ = ()

    name = "Q"
    is_exact = True

    @property
    def default_namespace(self) -> RationalNamespace:
        return _NAMESPACE

    def namespace_of(self, array: Array) -> RationalNamespace:
        if isinstance(array, ExactArray) and array.namespace is _NAMESPACE:
            return _NAMESPACE
        raise KindError(
            f"an array over Q is required.\n  required: Q\n  came    : {describe(array)}\n"
            "Convert it with rational.default_namespace.asarray first."
        )

    def __reduce__(self) -> str:
        return "rational"


rational = RationalField()
"""The kind of rational numbers."""


@final
class RationalNamespace(ExactNamespace):
    """Arrays over Q.  The only one is ``rational.default_namespace``."""

    __slots__ = ()

    kind = rational
    name = "Q"

    def __reduce__(self) -> str:
        return "_NAMESPACE"

    # -- arrays in and out
    def entries_of(self, values: Any, what: str) -> Any:
        given = np.array(values, dtype=object) if isinstance(values, list | tuple) else np.asarray(values)
        if given.dtype.kind not in "iuO":
            self._refuse(values, what)
        fmpq = flint().fmpq
        entries = np.empty(given.shape, dtype=object)
        for index, value in np.ndenumerate(given):
            if isinstance(value, fmpq):
                entries[index] = value
            elif isinstance(value, int | np.integer | Fraction) and not isinstance(value, bool):
                entries[index] = fmpq(int(value.numerator), int(value.denominator))
            else:
                self._refuse(value, what)
        return entries

    def _refuse(self, values: Any, what: str) -> None:
        raise KindError(
            f"{what} must hold integers or Fractions.\n  required: what has a value in Q\n"
            f"  came    : {describe(values)}\n"
            "Write fractions as fractions.Fraction; Fraction(x) is the exact value of a float x."
        )

    def to_numpy(self, x: Array) -> Any:
        return self.as_fractions(x)

    def as_fractions(self, x: Array) -> Any:
        """The entries as `fractions.Fraction`, in a NumPy array of objects."""
        fractions = np.empty(x.shape, dtype=object)
        for index, entry in np.ndenumerate(x.entries):
            fractions[index] = Fraction(int(entry.p), int(entry.q))
        return fractions

    def random(self, rng: RandomSource, shape: tuple[int, ...]) -> Array:
        """Fractions with numerators from -9 to 9 and denominators from 1 to 4."""
        return self.asarray(rng.integers(-9, 10, shape)) / self.asarray(rng.integers(1, 5, shape))

    # -- the field
    def add_entries(self, x: Any, y: Any) -> Any:
        return x + y

    def subtract_entries(self, x: Any, y: Any) -> Any:
        return x - y

    def multiply_entries(self, x: Any, y: Any) -> Any:
        return x * y

    def negate_entries(self, x: Any) -> Any:
        return -x

    def divide_entries(self, x: Any, y: Any) -> Any:
        zeros = int(np.sum(y == 0))
        if zeros:
            raise DivisionByZeroError(
                "cannot divide over Q: the divisor has zero entries.\n  required: nonzero entries\n"
                f"  came    : {zeros} zero entries of {y.size}\nDivide by what is invertible."
            )
        return x / y

    def sum_entries(self, x: Any, axes: tuple[int, ...]) -> Any:
        return np.sum(x, axis=axes, initial=flint().fmpq(0))

    def matmul_entries(self, a: Any, b: Any) -> Any:
        if a.ndim == 2 and b.ndim == 2 and a.size and b.size:
            return _entries(self._matrix(a) * self._matrix(b), (a.shape[0], b.shape[1]))
        # An empty sum would be the integer 0.
        return np.matmul(a, b) + flint().fmpq(0)

    # -- linear algebra
    def _matrix(self, a: Any) -> Any:
        return flint().fmpq_mat(*a.shape, a.ravel().tolist())

    def solve_entries(self, a: Any, b: Any) -> Any:
        return _entries(flint_solve(self._matrix(a), self._matrix(b), self.name), b.shape)

    def rank(self, a: Array) -> int:
        return int(self._matrix(a.entries).rank()) if a.entries.size else 0

    def nullspace(self, a: Array) -> Array:
        if not a.entries.size:
            return self.eye(a.shape[-1])
        return self.wrap(flint_nullspace(self._matrix(a.entries), flint().fmpq, object))

    # -- order
    def is_positive_definite(self, a: Array) -> bool:
        """Whether ``xᵀ a x > 0`` for every x other than 0; `a` symmetric, (n, n).

        Raises
        ------
        ShapeError, ValuesError
            Where `a` is not square, not symmetric.
        """
        pivots = self._pivots(a)
        return pivots is not None and all(pivot > 0 for pivot in pivots)

    def is_positive_semidefinite(self, a: Array) -> bool:
        """Whether ``xᵀ a x >= 0`` for every x; `a` symmetric, (n, n).  Raises as `is_positive_definite`."""
        pivots = self._pivots(a)
        return pivots is not None and all(pivot >= 0 for pivot in pivots)

    def _pivots(self, a: Array) -> list[Any] | None:
        """The diagonal of D in ``a = L D Lᵀ``; None where a zero pivot meets a nonzero row.

        There the form takes both signs, as [[0, s], [s, t]] does, and no further pivot is needed.
        """
        if a.ndim != 2 or a.shape[0] != a.shape[1]:
            raise ShapeError(
                f"a symmetric form has a square matrix.\n  required: shape (n, n)\n  came    : {a.shape}\n"
                "Pass one matrix."
            )
        if not self.equal(a, a.mT):
            raise ValuesError(
                "a symmetric matrix is required.\n  required: a equal to its transpose\n"
                "  came    : a matrix that is not\nTake its symmetric part, (a + a.mT) / 2."
            )
        remainder = a.entries.copy()
        pivots = []
        for k in range(len(remainder)):
            pivot, column = remainder[k, k], remainder[k + 1 :, k].copy()
            pivots.append(pivot)
            if pivot != 0:
                remainder[k + 1 :, k + 1 :] -= column[:, None] * column[None, :] / pivot
            elif np.any(column != 0):
                return None
        return pivots


def _entries(matrix: Any, shape: tuple[int, ...]) -> Any:
    """The entries of a flint matrix as an array of objects."""
    entries = np.empty(len(matrix.entries()), dtype=object)
    entries[:] = matrix.entries()
    return entries.reshape(shape)


_NAMESPACE = RationalNamespace()
