"""The kind `rational`: the field Q, python-flint's fractions in NumPy arrays of objects.

Slow and without bound on the size of its numbers; for statements with a hypothesis of order or
rank, which no finite field can decide.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, final

import numpy as np

from geomkfac.arrays.array import Array, RandomSource
from geomkfac.arrays.exact.flint_matrices import flint, flint_nullspace, flint_solve
from geomkfac.arrays.exact.objects import ObjectNamespace, entries_of_matrix
from geomkfac.arrays.exact.strict import ExactKind
from geomkfac.errors import ShapeError, ValuesError


@final
class RationalField(ExactKind):
    """The field of rational numbers.  The only one is `rational`."""

    __slots__ = ()

    name = "Q"

    @property
    def default_namespace(self) -> RationalNamespace:
        return _NAMESPACE

    def __reduce__(self) -> str:
        return "rational"


rational = RationalField()
"""The kind of rational numbers."""


@final
class RationalNamespace(ObjectNamespace):
    """Arrays over Q.  The only one is ``rational.default_namespace``."""

    __slots__ = ()

    kind = rational
    name = "Q"

    def __reduce__(self) -> str:
        return "_NAMESPACE"

    # -- arrays in and out
    door = (
        "integers or Fractions",
        "what has a value in Q",
        "Write fractions as fractions.Fraction; Fraction(x) is the exact value of a float x.",
    )

    def number(self, numerator: int, denominator: int = 1) -> Any:
        return flint().fmpq(numerator, denominator)

    def is_entry(self, value: Any) -> bool:
        return isinstance(value, flint().fmpq)

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
    def vanishing(self, entries: Any) -> int:
        return int(np.sum(entries == 0))

    def matmul_entries(self, a: Any, b: Any) -> Any:
        if a.ndim == 2 and b.ndim == 2 and a.size and b.size:
            product = self._matrix(a) * self._matrix(b)
            return entries_of_matrix(product.entries(), (a.shape[0], b.shape[1]))
        return ObjectNamespace.matmul_entries(self, a, b)

    # -- linear algebra
    def _matrix(self, a: Any) -> Any:
        return flint().fmpq_mat(*a.shape, a.ravel().tolist())

    def solve_entries(self, a: Any, b: Any) -> Any:
        return entries_of_matrix(flint_solve(self._matrix(a), self._matrix(b), self.name).entries(), b.shape)

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


_NAMESPACE = RationalNamespace()
