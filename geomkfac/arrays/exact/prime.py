"""The kinds GF(p): integers modulo an odd prime below 2³¹, in unsigned 64-bit arrays.

Entries are kept reduced, so a sum of two fits easily and a product of two stays below 2⁶².
Matrix products split the left factor into 16-bit halves and multiply in double precision, where
every partial sum is an integer below 2⁵³ and so exact; python-flint solves.
"""

from __future__ import annotations

import operator
from fractions import Fraction
from typing import Any, NoReturn, final

import numpy as np

from geomkfac.arrays.array import Array, RandomSource
from geomkfac.arrays.exact.fields import ExactNamespace
from geomkfac.arrays.exact.flint_matrices import flint, flint_nullspace, flint_solve, is_prime
from geomkfac.arrays.exact.strict import ExactKind
from geomkfac.arrays.refusals import describe
from geomkfac.errors import DivisionByZeroError, KindError, ValuesError
from geomkfac.required import shown

_SLICE = 64
"""Longest inner product whose terms, below 2¹⁶ · 2³¹, add up to less than 2⁵³."""


@final
class PrimeField(ExactKind):
    """The field of integers modulo the prime `characteristic`.  Interned: made by `GF`."""

    __slots__ = ("_namespace", "characteristic", "name")

    _namespace: PrimeNamespace

    def __init__(self, characteristic: int) -> None:
        self.characteristic = characteristic
        self.name = f"GF({characteristic})"
        self._namespace = PrimeNamespace(self)

    @property
    def default_namespace(self) -> PrimeNamespace:
        return self._namespace

    def __reduce__(self) -> tuple[Any, ...]:
        return GF, (self.characteristic,)


_INTERNED: dict[int, PrimeField] = {}


def GF(p: int) -> PrimeField:
    """The field of integers modulo `p`, an odd prime below 2³¹; the same object every time.

    Raises
    ------
    ValuesError
        Where `p` is not such a prime.
    """
    try:
        found = _INTERNED.get(number := operator.index(p))
    except TypeError:
        found, number = None, 0
    if found is None:
        if not 2 < number < 2**31 or not is_prime(number):
            raise ValuesError(
                f"GF(p) needs a prime.\n  required: an odd prime below 2**31\n  came    : {shown(p)}\n"
                "Use random_prime(rng) for a random one."
            )
        # Of two threads, both get what came first.
        found = _INTERNED.setdefault(number, PrimeField(number))
    return found


def random_prime(rng: RandomSource) -> int:
    """A prime drawn uniformly among the 50,697,537 primes between 2³⁰ and 2³¹."""
    while True:
        candidate = int(rng.integers(2**30, 2**31))
        if is_prime(candidate):
            return candidate


@final
class PrimeNamespace(ExactNamespace):
    """Arrays over GF(p).  Made by its `PrimeField`."""

    __slots__ = ("_p", "kind", "name")

    def __init__(self, field: PrimeField) -> None:
        self.kind = field
        self.name = field.name
        self._p = np.uint64(field.characteristic)

    def __reduce__(self) -> tuple[Any, ...]:
        return operator.attrgetter("default_namespace"), (self.kind,)

    # -- arrays in and out
    def entries_of(self, values: Any, what: str) -> Any:
        # Lists become Python ints, which no dtype limits.
        entries = np.array(values, dtype=object) if isinstance(values, list | tuple) else np.asarray(values)
        if entries.dtype.kind == "u":
            return np.remainder(entries.astype(np.uint64), self._p)
        if entries.dtype.kind == "i":
            return np.remainder(entries.astype(np.int64), np.int64(self._p)).astype(np.uint64)
        return self._reduced(entries, what) if entries.dtype == object else self._refuse(values, what)

    def _reduced(self, entries: Any, what: str) -> Any:
        """Python ints and Fractions, in an object array, modulo p."""
        p = int(self._p)
        reduced = np.empty(entries.shape, dtype=np.uint64)
        for index, value in np.ndenumerate(entries):
            if not isinstance(value, int | np.integer | Fraction) or isinstance(value, bool):
                self._refuse(value, what)
            if value.denominator % p == 0:
                raise DivisionByZeroError(
                    f"{what} holds a fraction that has no value in {self.name}.\n"
                    f"  required: denominators not divisible by {p}\n  came    : {value}\n"
                    "Use another prime."
                )
            reduced[index] = int(value.numerator) * pow(int(value.denominator), -1, p) % p
        return reduced

    def _refuse(self, values: Any, what: str) -> NoReturn:
        raise KindError(
            f"{what} must hold integers or Fractions.\n"
            f"  required: what has a value in {self.name}\n  came    : {describe(values)}\n"
            "Write fractions as fractions.Fraction; floats have no value in a finite field."
        )

    def to_numpy(self, x: Array) -> Any:
        return x.entries.astype(object)

    def random(self, rng: RandomSource, shape: tuple[int, ...]) -> Array:
        return self.wrap(rng.integers(0, int(self._p), shape, dtype=np.uint64))

    # -- the field.  By ufuncs, as NumPy's scalars warn where unsigned numbers wrap around on purpose.
    def add_entries(self, x: Any, y: Any) -> Any:
        total = np.add(x, y)
        return np.minimum(total, np.subtract(total, self._p))

    def subtract_entries(self, x: Any, y: Any) -> Any:
        difference = np.subtract(x, y)
        return np.minimum(difference, np.add(difference, self._p))

    def multiply_entries(self, x: Any, y: Any) -> Any:
        return np.remainder(np.multiply(x, y), self._p)

    def negate_entries(self, x: Any) -> Any:
        negative = np.subtract(self._p, x)
        return np.minimum(negative, np.subtract(negative, self._p))

    def divide_entries(self, x: Any, y: Any) -> Any:
        if np.any(y == 0):
            raise DivisionByZeroError(
                f"cannot divide over {self.name}: the divisor has zero entries.\n"
                f"  required: nonzero entries\n  came    : {int(np.sum(y == 0))} zero entries of {y.size}\n"
                "Divide by what is invertible; a random trial that hits zero is drawn again."
            )
        return self.multiply_entries(x, self._power(y, int(self._p) - 2))

    def _power(self, x: Any, exponent: int) -> Any:
        """Entrywise power by repeated squaring; the inverse is the power p - 2 (Fermat)."""
        result = np.ones_like(x)
        for bit in bin(exponent)[2:]:
            result = self.multiply_entries(result, result)
            if bit == "1":
                result = self.multiply_entries(result, x)
        return result

    def sum_entries(self, x: Any, axes: tuple[int, ...]) -> Any:
        return np.remainder(np.sum(x, axis=axes), self._p)

    def matmul_entries(self, a: Any, b: Any) -> Any:
        high, low = (a >> np.uint64(16)).astype(float), (a & np.uint64(0xFFFF)).astype(float)
        right = b.astype(float)
        total = np.uint64(0)
        for start in range(0, max(a.shape[-1], 1), _SLICE):
            part = slice(start, start + _SLICE)
            rows = right[part] if b.ndim == 1 else right[..., part, :]
            upper = np.remainder(np.matmul(high[..., part], rows).astype(np.uint64), self._p)
            lower = np.matmul(low[..., part], rows).astype(np.uint64)
            shifted = np.add(np.left_shift(upper, np.uint64(16)), lower)
            total = np.add(total, np.remainder(shifted, self._p))
        return np.remainder(total, self._p)

    # -- linear algebra
    def _matrix(self, a: Any) -> Any:
        return flint().nmod_mat(*a.shape, a.ravel().tolist(), int(self._p))

    def solve_entries(self, a: Any, b: Any) -> Any:
        solution = flint_solve(self._matrix(a), self._matrix(b), self.name)
        return np.array([int(entry) for entry in solution.entries()], dtype=np.uint64).reshape(b.shape)

    def rank(self, a: Array) -> int:
        return int(self._matrix(a.entries).rank()) if a.entries.size else 0

    def nullspace(self, a: Array) -> Array:
        if not a.entries.size:
            return self.eye(a.shape[-1])
        return self.wrap(flint_nullspace(self._matrix(a.entries), int, np.uint64))
