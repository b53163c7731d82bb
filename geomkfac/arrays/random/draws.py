"""Random numbers that depend on the seed and the index of the datum, and on nothing else."""

from __future__ import annotations

import hashlib
import operator
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from geomkfac.arrays.array import RandomSource
from geomkfac.arrays.random.box_muller import box_muller
from geomkfac.errors import ShapeError, ValuesError

_BLOCK = 4
"""Philox makes four 64-bit words for every value of its counter."""

_NUMBERS_AT_ONCE = 1 << 14
"""So few that what is computed on the way stays in the cache."""


def generator(*key: int | str) -> RandomSource:
    """A ``numpy.random.Generator`` that depends on `key` alone, on every machine.

    Parameters
    ----------
    key : integers and names, in order: a seed, what the numbers are for, the number of the trial

    Examples
    --------
    >>> bool(generator(0, "bases").random() == generator(0, "bases").random())
    True
    """
    digest = hashlib.sha256(repr(key).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))


@final
@dataclass(frozen=True, slots=True)
class Draws:
    """A source of random rows, one for each datum.

    Row i depends on (`seed`, i, the row's length) alone, so that neither the size of a chunk nor
    the worker that draws it can be seen in a result.

    Parameters
    ----------
    seed : nonnegative integer below 2**128

    Notes
    -----
    The counter-based generator Philox starts at the counter of the first datum's block.
    Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011).
    """

    seed: int

    def __post_init__(self) -> None:
        try:
            valid = not isinstance(self.seed, bool) and 0 <= operator.index(self.seed) < 2**128
        except TypeError:
            valid = False
        if not valid:
            raise ValuesError(
                "a seed must be a nonnegative integer.\n  required: 0 <= seed < 2**128\n"
                f"  came    : {self.seed!r}\nPass an int, for instance 0."
            )

    def part(self, index: int) -> Draws:
        """A source for part `index` of what is drawn: a seed of its own, so that parts are independent."""
        digest = hashlib.sha256(repr((operator.index(self.seed), "part", index)).encode()).digest()
        return Draws(int.from_bytes(digest[:16], "big"))

    def uniform(self, first: int, count: int, k: int) -> Any:
        """Numbers uniform on the open interval (0, 1), of shape (`count`, `k`), for data from `first` on.

        Raises
        ------
        ShapeError
            Where one of the three numbers is negative.
        """
        # 52 bits and a half: 53 bits and a half would round up to 1.
        return ((self._words(first, count, k) >> np.uint64(12)).astype(float) + 0.5) * 2.0**-52

    def normal(self, first: int, count: int, k: int, *, epsilon: float = 2.0**-52) -> Any:
        """Standard normal numbers of shape (`count`, `k`), for data from `first` on (Box and Muller).

        Parameters
        ----------
        epsilon : of the dtype in which they are wanted; they are the same numbers up to that rounding

        Notes
        -----
        A word of 64 bits gives two: half of it the radius, half the angle.  The largest that can be
        drawn is 6.7, which a normal number exceeds with probability 2e-11.

        Raises
        ------
        ShapeError
            Where one of the three counts is negative.
        """
        dtype = np.float32 if epsilon >= np.finfo(np.float32).eps else np.float64
        half = -(-k // 2)
        words = self._words(first, count, half)
        numbers = np.empty((count, k), dtype)
        rows = max(1, _NUMBERS_AT_ONCE // max(1, k))
        for start in range(0, count, rows):
            box_muller(words[start : start + rows], numbers[start : start + rows])
        return numbers

    def _words(self, first: int, count: int, k: int) -> Any:
        """64 random bits each, of shape (`count`, `k`)."""
        if min(first, count, k) < 0:
            raise ShapeError(
                "random rows are counted by nonnegative integers.\n  required: first, count, k >= 0\n"
                f"  came    : first={first}, count={count}, k={k}\nPass the index of the first datum."
            )
        blocks = -(-k // _BLOCK)
        generator = np.random.Philox(key=operator.index(self.seed))
        generator.advance(first * blocks)
        return generator.random_raw(count * blocks * _BLOCK).reshape(count, blocks * _BLOCK)[:, :k]
