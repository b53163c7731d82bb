"""The derivative at zero of a function that rounds, and how far it may be off.

How much a function rounds is read off its differences of high order, in which what is smooth has vanished.  Central
differences at steps halved again and again are extrapolated to the step zero, until what is left of the steps is no
more than what rounding makes of the smallest of them.  Sources: Moré & Wild, "Estimating computational noise" (2011);
Ridders, "Accurate computation of F'(x) and F'(x) F''(x)" (1982).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import OrderedNamespace

LARGEST = 2.0**-5
"""The first step: as large as extrapolation bears for functions with a pole at 0.1, as rounding is divided by it."""
HALVINGS = 12
"""Down to steps at which second-order differences lose as much by rounding as by their length."""
SPACING, ORDER, VALUES = 2.0**-12, 6, 10
"""Of the differences that show rounding.

Of a function that is analytic in a disc of radius r the smooth part of such a difference is SPACING^6 6! / r^6, which
is the epsilon of double precision for r = 0.1; and a change by SPACING is far above that of single precision.
"""


@final
@dataclass(frozen=True, slots=True, eq=False)
class MeasuredDerivative:
    """A derivative as it was measured.

    Attributes
    ----------
    value : array, of the shape of the function's values
    error : how far it may be from the derivative, in the Euclidean norm; infinite where values are not finite
    """

    value: Array
    error: float


def derivative(ns: OrderedNamespace, function: Callable[[float], Array], rounding: float) -> MeasuredDerivative:
    """The derivative of `function` at 0.

    Parameters
    ----------
    function : of a number near 0, with arrays as values
    rounding : how far a value of it may be off, in the Euclidean norm

    Notes
    -----
    A central difference of step h is off by ``rounding / h`` at most, besides even powers of h.  Eliminating one power
    after the other amplifies that by the product of ``(4^j + 1) / (4^j - 1)``, which is less than 2.  What is left of
    the powers is estimated by the distance to the two entries of lower order that an entry is made of.
    """
    coarse: list[Array] = []
    for halving in range(HALVINGS):
        h = LARGEST / 2**halving
        fine = [(function(h) - function(-h)) / (2 * h)]
        if not coarse:
            best = MeasuredDerivative(fine[0], math.inf)
        rounded = 2 * rounding / h
        if ns.norm(fine[0]) <= rounded:
            # Two values that rounding alone tells apart, far from each other.
            return MeasuredDerivative(fine[0], rounded)
        for j, before in enumerate(coarse, 1):
            fine.append(fine[-1] + (fine[-1] - before) / (4**j - 1))
            left = max(ns.norm(fine[-1] - fine[-2]), ns.norm(fine[-1] - before))
            if left + rounded < best.error:
                best = MeasuredDerivative(fine[-1], left + rounded)
        if best.error <= 2 * rounded:
            break
        coarse = fine
    return best


def noise(ns: OrderedNamespace, function: Callable[[float], Array]) -> float:
    """How far a value of `function` near 0 is off by rounding, in the Euclidean norm: three standard deviations.

    Infinite where values are not finite.

    Parameters
    ----------
    function : of a number near 0, with arrays as values; numbers of irregular digits should enter its arithmetic
    """
    table = [function(SPACING * (k - VALUES // 2)) for k in range(VALUES)]
    if not all(ns.is_finite(value) for value in table):
        return math.inf
    for _ in range(ORDER):
        table = [after - before for before, after in pairwise(table)]
    mean_square = sum(ns.norm(entry) ** 2 for entry in table) / len(table)
    # Independent errors of one variance make differences of order k with (2k)! / k!^2 times that variance.
    return float(3 * math.sqrt(mean_square / math.comb(2 * ORDER, ORDER)))
