"""The hyperbolic tangent of NumPy arrays of float64, in less than half of ``numpy.tanh``'s time.

NumPy computes it with vector instructions in float32, and one number after the other in float64.  Here
``x = c + d`` with c the next multiple of 1/256, tanh c comes from a table, and

    tanh x = (tanh c + tanh d) / (1 + tanh c tanh d).

As |d| <= 1/512, the series of tanh d stops at d^5: the next term is 17/315 d^6 < 4e-18 of it.  Near zero
tanh c is exactly 0, so that the result keeps full relative accuracy.  Roundings: one unit for the table,
half a unit each for tanh d, the sum, the product, the other sum and the quotient, below four units in all.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_AT_ONCE = 1 << 13
"""Numbers taken together: so few that what is computed on the way stays in the cache."""

_FEWEST = 1 << 12
"""For fewer numbers NumPy's own function is faster: a call of it costs less than fifteen calls."""

_STEPS = 256
"""Table entries for an interval of length 1."""

_END = 20
"""From 19.1 on the result is 1 in double precision."""

_ROUNDER = 1.5 * 2.0**52 / _STEPS
"""Adding it rounds to a multiple of 1 / _STEPS, and leaves that multiple in the last bits."""

_FIRST = int(np.float64(_ROUNDER).view(np.int64)) - _END * _STEPS

_LARGEST = 2.0**40
"""Beyond, the rounding above is none."""

_TABLE = np.tanh(np.arange(-_END * _STEPS, _END * _STEPS + 1) / _STEPS)


def tanh(x: Any) -> Any:
    """``tanh x`` of an array of float32 or float64, a new one; within four units of rounding."""
    if x.dtype != np.float64 or x.size < _FEWEST or not (x.min() > -_LARGEST and x.max() < _LARGEST):
        return np.tanh(x)
    numbers = np.ascontiguousarray(x).reshape(-1)
    results = np.empty_like(numbers)
    work, indices = np.empty((3, _AT_ONCE)), np.empty(_AT_ONCE, np.intp)
    for start in range(0, numbers.size, _AT_ONCE):
        some = numbers[start : start + _AT_ONCE]
        count = some.size
        _block(some, results[start : start + _AT_ONCE], work[:, :count], indices[:count])
    return results.reshape(x.shape)


def _block(x: Any, result: Any, work: Any, indices: Any) -> None:
    rest, other, at_center = work
    center = np.add(x, _ROUNDER, out=other)
    np.subtract(center.view(np.int64), _FIRST, out=indices)
    # Beyond the table's ends its last entries are right: there tanh c is 1.
    _TABLE.take(indices, out=at_center, mode="clip")
    center -= _ROUNDER
    np.subtract(x, center, out=rest)
    square = np.multiply(rest, rest, out=other)
    np.multiply(square, 2 / 15, out=result)
    result -= 1 / 3
    result *= square
    result *= rest
    result += rest
    denominator = np.multiply(at_center, result, out=other)
    denominator += 1
    result += at_center
    result /= denominator
