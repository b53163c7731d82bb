"""A stream of random integers that any language can draw again: the seeds of certificates.

The j-th call of a stream (j = 0, 1, ...) with the key K, a string, reads SHAKE-256 of the UTF-8 bytes of
``K`` followed by ``/j``, 16 bytes for each entry in C order, each a big-endian integer u; an entry
between `low` and `high` is ``low + u mod (high - low)``, uniform up to 2**-96.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any, final

import numpy as np

from geomkfac.errors import ValuesError

_BYTES = 16


@final
class Stream:
    """Random integers that depend on `key` and on the number of the call alone.

    It has the one method of ``numpy.random.Generator`` that exact kinds use.

    Parameters
    ----------
    key : integers and names, in order: a seed, what the numbers are for, the number of the trial

    Examples
    --------
    >>> Stream(0, "bases").integers(0, 100, (3,)).tolist() == Stream(0, "bases").integers(0, 100, (3,)).tolist()
    True
    """

    __slots__ = ("_calls", "_key", "_names")

    def __init__(self, *key: int | str) -> None:
        self._key = "/".join(map(str, key))
        self._calls = 0
        self._names: set[str] = set()

    def integers(self, low: int, high: int | None = None, size: Any = None, dtype: Any = np.int64) -> Any:
        """Integers from `low` up to and without `high` (from 0 to `low`, where it is alone), as NumPy's."""
        start, stop = (0, low) if high is None else (low, high)
        shape = () if size is None else (size,) if isinstance(size, int) else tuple(size)
        count = math.prod(shape)
        data = hashlib.shake_256(f"{self._key}/{self._calls}".encode()).digest(_BYTES * count)
        self._calls += 1
        # u mod n from two 64-bit halves; n is below 2**32, so that nothing overflows.
        halves = np.frombuffer(data, dtype=">u8").astype(np.uint64).reshape(count, 2)
        if not 0 < stop - start <= 2**32:
            raise ValuesError(
                "a stream draws from a range of at most 2**32 integers.\n"
                f"  required: low < high <= low + 2**32\n  came    : low={start}, high={stop}\nDraw in two parts."
            )
        n = np.uint64(stop - start)
        power = np.uint64(pow(2, 64, int(n)))
        reduced = ((halves[:, 0] % n) * power + halves[:, 1] % n) % n
        numbers = (reduced.astype(np.int64) + start).astype(dtype).reshape(shape)
        return numbers if shape else numbers[()]

    def fresh_name(self, name: str | None) -> str:
        """A name for symbols that this stream has not given yet."""
        if name is None:
            name = f"x_{sum(taken.startswith('x_') for taken in self._names) + 1}"
        while name in self._names:
            name += "'"
        self._names.add(name)
        return name
