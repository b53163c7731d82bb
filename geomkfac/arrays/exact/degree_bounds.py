r"""Bounds on degree and size of rational functions, and how arithmetic moves them.

Every entry of an array is N / D: N a polynomial with integer coefficients in the drawn variables,
D one product of *factors* for the whole array.  A `Bound` holds

- ``degree``: at least deg N of every entry,
- ``bits``: at least log2 of the 1-norm of N (the sum of the absolute values of its coefficients),
- ``denominator``: the factors of D with their multiplicities.

The 1-norm is subadditive and submultiplicative, so with deg a and 2^s for x, c and 2^t for y:

- ``x y``: numerators and denominators multiply: degree a + c, bits s + t.
- a sum of k terms over one denominator: same degree, bits s + log2 k; a matrix product of inner
  length k so has degree a + c and bits s + t + log2 k.
- ``x + y``: over the least common multiple L of the denominators, as products of factors;
  numerators grow by L / D_x and L / D_y.  Sums over one denominator do not grow at all.
- ``1 / y`` of an array of k entries: D_y / N_i = D_y prod_{j != i} N_j / prod_j N_j.  The product of
  the k numerators becomes a new factor, of degree k c and bits k t.
- the inverse of N / D, (n, n): D adj(N) / det(N).  A determinant of order r is a sum of r! products:
  degree r a, bits r s + log2 r!; the adjugate has order n - 1.  For k matrices the new factor is
  the product of the k determinants, and each numerator has the k - 1 others.
- a basis of the nullspace at rank r: by Cramer's rule on a nonzero minor of order r, which becomes
  a new factor; numerators are minors of order r as well.

A factor is created wherever a division happens, and must not vanish at the random point.
Source: docs/evidence.md; Schwartz (1980), Zippel (1979) for the use of the degrees.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import final


@final
@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """A polynomial that a computation divided by.  Two are the same if they are the same object.

    Parameters
    ----------
    degree : at least its degree
    bits : at least log2 of its 1-norm
    """

    degree: int
    bits: float


@final
@dataclass(frozen=True, slots=True)
class Bound:
    """What holds of every entry of an array; see the module.

    Parameters
    ----------
    degree : at least the degree of every numerator
    bits : at least log2 of the 1-norm of every numerator; minus infinity where all are zero
    denominator : multiplicities of the common denominator's factors
    """

    degree: int
    bits: float
    denominator: Mapping[Factor, int] = field(default_factory=dict)

    @property
    def denominator_degree(self) -> int:
        """At least the degree of the common denominator."""
        return sum(factor.degree * power for factor, power in self.denominator.items())

    @property
    def denominator_bits(self) -> float:
        """At least log2 of the 1-norm of the common denominator."""
        return sum(factor.bits * power for factor, power in self.denominator.items())

    def times(self, other: Bound, terms: int = 1) -> Bound:
        """Of sums of `terms` products of one entry each."""
        if not terms:
            return ZERO
        powers = dict(self.denominator)
        for factor, power in other.denominator.items():
            powers[factor] = powers.get(factor, 0) + power
        return Bound(self.degree + other.degree, self.bits + other.bits + math.log2(terms), powers)

    def summed(self, terms: int) -> Bound:
        """Of sums of `terms` entries."""
        return self.times(CONSTANT_ONE, terms)

    def plus(self, other: Bound) -> Bound:
        """Of sums and differences of an entry each."""
        left, right = over_one_denominator([self, other])
        return Bound(max(left.degree, right.degree), _log2_of_sum(left.bits, right.bits), left.denominator)

    def minor(self, order: int) -> tuple[int, float]:
        """Degree and bits of determinants of `order` of the numerators."""
        if not order:
            return 0, 0.0
        return order * self.degree, order * self.bits + _log2_factorial(order)

    def reciprocal(self, entries: int, factor: Factor) -> Bound:
        """Of the inverses of `entries` numbers, `factor` being the product of their numerators."""
        return Bound(
            self.denominator_degree + (entries - 1) * self.degree,
            self.denominator_bits + (entries - 1) * self.bits,
            {factor: 1},
        )

    def inverse(self, n: int, matrices: int, factor: Factor) -> Bound:
        """Of inverses of `matrices` of shape (n, n), `factor` being the product of the determinants."""
        adjugate_degree, adjugate_bits = self.minor(n - 1)
        determinant_degree, determinant_bits = self.minor(n)
        return Bound(
            self.denominator_degree + adjugate_degree + (matrices - 1) * determinant_degree,
            self.denominator_bits + adjugate_bits + (matrices - 1) * determinant_bits,
            {factor: 1},
        )


ZERO = Bound(0, -math.inf)
"""Of constants that are all zero."""

CONSTANT_ONE = Bound(0, 0.0)
"""Of the constants 0, 1 and -1."""

VARIABLE = Bound(1, 0.0)
"""Of freshly drawn variables."""


def over_one_denominator(bounds: Sequence[Bound]) -> list[Bound]:
    """The same arrays, written over the least common multiple of their denominators."""
    powers: dict[Factor, int] = {}
    for bound in bounds:
        for factor, power in bound.denominator.items():
            powers[factor] = max(powers.get(factor, 0), power)
    multiple = Bound(0, 0.0, powers)
    return [
        Bound(
            bound.degree + multiple.denominator_degree - bound.denominator_degree,
            bound.bits + _cofactor_bits(powers, bound),
            powers,
        )
        for bound in bounds
    ]


def _cofactor_bits(powers: Mapping[Factor, int], bound: Bound) -> float:
    # Factor by factor, as a difference of two sums could be rounded below zero.
    return sum(factor.bits * (power - bound.denominator.get(factor, 0)) for factor, power in powers.items())


def _log2_of_sum(s: float, t: float) -> float:
    low, high = min(s, t), max(s, t)
    return high if low == -math.inf else high + math.log2(1.0 + 2.0 ** (low - high))


def _log2_factorial(n: int) -> float:
    return math.lgamma(n + 1) / math.log(2.0)
