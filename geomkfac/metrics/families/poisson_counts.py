"""Probabilities of Poisson counts, and counts from uniform numbers, in arithmetic of any array library."""

from __future__ import annotations

import math

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import OrderedNamespace
from geomkfac.errors import ValuesError

STIRLING_FROM = 16
"""From here on, five terms of Stirling's series leave less than 2e-16."""

MOST = 1e8
"""The largest rate from which counts are drawn: the work grows as its square root."""


def minus_log_probability(ns: OrderedNamespace, z: Array, rate: Array, y: Array) -> Array:
    """``rate - y z + log y!``, entry by entry, for whole numbers y >= 0 and ``rate = exp(z)``.

    Near the rate the three terms are far larger than their sum, so that there
    ``y (x - log(1 + x)) + (log y! - y log y + y)`` is taken, with ``x = (rate - y) / y``.
    Source: Loader, "Fast and accurate computation of binomial probabilities" (2000).
    """
    large = ns.maximum(y, float(STIRLING_FROM))
    x = (rate - y) / large
    close = ns.maximum(ns.minimum(x, 0.5), -0.5)
    near = large * (close - ns.log1p(close))
    far = (rate - y) - y * (z - ns.log(large))
    r = 1 / large
    square = r * r
    series = r * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680 - square / 1188))))
    above = ns.where(ns.abs(x) <= 0.5, near, far) + (series + ns.log(large * (2 * math.pi)) / 2)
    factorial = ns.ones(tuple(y.shape))
    for k in range(2, STIRLING_FROM):
        factorial = factorial * ns.where(y >= k, float(k), 1.0)
    below = rate - y * z + ns.log(factorial)
    return ns.where(y < STIRLING_FROM, below, above)


def counts_from_uniform(ns: OrderedNamespace, z: Array, rate: Array, uniform: Array) -> Array:
    """Poisson counts, one for every number of `uniform`, by inversion from the mode.

    Probabilities are subtracted from the uniform number at the mode M, then at M + 1, M - 1, M + 2, ..., and the
    count is where it turns negative: within rounding, each count has just its probability.  About 9 sqrt(rate)
    rounds at most.  Source: Kemp, "Poisson random variate generation" (1991).

    Parameters
    ----------
    z, rate : log rates and rates, of shapes that broadcast to that of `uniform`
    uniform : in (0, 1)

    Raises
    ------
    ValuesError
        Where a rate is above 1e8, or above what counts the dtype holds exactly.
    """
    shape = tuple(uniform.shape)
    if not math.prod(shape):
        return uniform
    largest, most = float(ns.max(rate)), min(MOST, 1 / ns.epsilon)
    if not largest <= most:
        raise ValuesError(
            f"a rate is too large for counts to be drawn from it.\n  required: {most:g} or less\n"
            f"  came    : {largest:g}\nUse fisher='exact', which draws nothing."
        )
    mode = ns.broadcast_to(ns.floor(rate), shape)
    rate, z = ns.broadcast_to(rate, shape), ns.broadcast_to(z, shape)
    # No count below the mode is reached where the rate itself underflows.
    inverse = 1 / ns.where(rate < 1.0, 1.0, rate)
    above = below = ns.exp(-minus_log_probability(ns, z, rate, mode))
    left = uniform - above
    position = _zero_or_one(ns, left)
    for step in range(1, math.ceil(9 * math.sqrt(largest)) + 30):
        if step % 8 == 1 and float(ns.max(left)) < 0:
            break
        above = above * (rate / (mode + step))
        left = left - above
        position = position + _zero_or_one(ns, left)
        below = below * (ns.maximum(mode - (step - 1), 0.0) * inverse)
        left = left - below
        position = position + _zero_or_one(ns, left)
    # Position 0 is the mode, odd ones are above it and even ones below it.
    half = ns.floor((position + 1) / 2)
    away = ns.where(position - 2 * ns.floor(position / 2) > 0, half, -half)
    # What rounding leaves of the whole probability after the last round belongs nowhere; it goes to the mode.
    return mode + ns.where(left < 0, away, 0.0)


def _zero_or_one(ns: OrderedNamespace, left: Array) -> Array:
    """1 where the search goes on."""
    return ns.where(left >= 0, 1.0, 0.0)
