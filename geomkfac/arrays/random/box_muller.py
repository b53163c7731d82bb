"""Normal numbers from random bits, by the transformation of Box and Muller.

A word of 64 bits gives two numbers: its upper half the radius, its lower half the angle.  In float64, where
NumPy computes a sine or cosine in 15 ns, the angle is ``c + b``, c a multiple of 2 pi / 1024 with a table,
and the addition theorems take b in [0, 0.0062), whose series end at b^6 and b^5: the next terms are below
6e-20.  Source: Box and Muller, "A note on the generation of random normal deviates" (1958).
"""

from __future__ import annotations

from typing import Any

import numpy as np

_ANGLE_BITS, _TABLE_BITS = 32, 10
_REST_BITS = np.uint64(_ANGLE_BITS - _TABLE_BITS)

_ANGLES = 2.0 * np.pi * np.arange(1 << _TABLE_BITS) / (1 << _TABLE_BITS)
_COSINES, _SINES = np.cos(_ANGLES), np.sin(_ANGLES)


def box_muller(words: Any, numbers: Any) -> None:
    """Fill `numbers` (N, k), float32 or float64, with normal ones from `words` (N, (k + 1) // 2) of 64 bits."""
    dtype, half = numbers.dtype.type, words.shape[1]
    radius = (words >> np.uint64(_ANGLE_BITS)).astype(dtype)
    # The middle of each of 2**32 intervals, so that the logarithm is finite.
    radius += dtype(0.5)
    radius *= dtype(2.0**-32)
    np.log(radius, out=radius)
    radius *= dtype(-2)
    np.sqrt(radius, out=radius)
    cosine, sine = _circle(words & np.uint64(0xFFFFFFFF), dtype)
    np.multiply(radius, cosine, out=numbers[:, :half])
    rest = numbers.shape[1] - half
    np.multiply(radius[:, :rest], sine[:, :rest], out=numbers[:, half:])


def _circle(turns: Any, dtype: Any) -> tuple[Any, Any]:
    """Cosine and sine of the angles ``2 pi turns / 2**32``."""
    if dtype is np.float32:
        angle = turns.astype(dtype)
        angle *= dtype(2.0 * np.pi * 2.0**-_ANGLE_BITS)
        return np.cos(angle), np.sin(angle)
    index = (turns >> _REST_BITS).view(np.int64)
    b = (turns & np.uint64((1 << int(_REST_BITS)) - 1)).astype(dtype)
    b *= 2.0 * np.pi * 2.0**-_ANGLE_BITS
    square = b * b
    sine = _series(square, 1 / 120, -1 / 6, 1)
    sine *= b
    cosine = _series(square, -1 / 720, 1 / 24, -1 / 2, 1)
    cosine_c, sine_c = _COSINES.take(index), _SINES.take(index)
    total = sine_c * cosine
    cosine *= cosine_c
    cosine_c *= sine
    total += cosine_c
    sine *= sine_c
    cosine -= sine
    return cosine, total


def _series(x: Any, *coefficients: float) -> Any:
    """The polynomial with these coefficients, highest power first (Horner)."""
    value = x * coefficients[0]
    for coefficient in coefficients[1:-1]:
        value += coefficient
        value *= x
    value += coefficients[-1]
    return value
