"""The kind that computes its own error bound: values in GF(p) together with bounds on their degrees.

Code that runs over GF(p) runs over this kind unchanged, and takes the same branches, as the values
are there.  Beside each array goes a bound on its entries as rational functions, over Q, of the
drawn variables (`degree_bounds` has the rules); the kind keeps account of all that must hold
of the random point:

- *factors*: every polynomial that was divided by must not vanish.  Where one does the computation
  raises, and the trial is drawn again.
- *branches*: wherever the code was told that something is zero (`equal`, `is_zero`, a deficient
  `rank`, a `nullspace`) it may be zero by accident; the polynomial in question is counted.

A `DegreeField` belongs to one run: make a new one for every computation to be bounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, final

import numpy as np

from geomkfac.arrays.array import Array, RandomSource
from geomkfac.arrays.exact.degree_bounds import CONSTANT_ONE, VARIABLE, ZERO, Bound, Factor, over_one_denominator
from geomkfac.arrays.exact.prime import GF
from geomkfac.arrays.exact.strict import ExactKind, StrictArray, StrictNamespace

_PRIMES = 5.06e7
"""Fewer than the 50,697,537 primes between 2³⁰ and 2³¹.

The 97,537 others are left for primes that divide a denominator, of up to 2.9 million bits.
"""


@final
class DegreeField(ExactKind):
    """GF(p) with degrees, and the account of one run.

    Parameters
    ----------
    characteristic : the prime p, as for `GF`
    """

    __slots__ = ("_branches", "_constants", "_factors", "_namespace", "characteristic", "name")

    _namespace: DegreeNamespace
    advice = "Make all arrays of a run with one DegreeField."

    def __init__(self, characteristic: int) -> None:
        self.characteristic = characteristic
        self.name = f"GF({characteristic}) with degrees"
        self._branches: list[tuple[int, float]] = []
        self._factors: list[Factor] = []
        self._constants: dict[int, Factor] = {}
        self._namespace = DegreeNamespace(self)

    @property
    def default_namespace(self) -> DegreeNamespace:
        return self._namespace

    @property
    def noun(self) -> str:
        return f"an array over {self.name}, of the same run,"

    @property
    def bound(self) -> tuple[int, int, int]:
        """(d, e, b) of everything that this run found to be zero, for `false_identity_bound`."""
        return self._bound([])

    def new_factor(self, degree: int, bits: float) -> Factor:
        """A factor of denominators, entered in the account."""
        factor = Factor(degree, max(bits, 0.0))
        self._factors.append(factor)
        return factor

    def constant_factor(self, value: int) -> Factor:
        """The integer `value` as a factor of denominators; the same object for the same value."""
        if value not in self._constants:
            self._constants[value] = self.new_factor(0, math.log2(value))
        return self._constants[value]

    def found_zero(self, degree: int, bits: float) -> None:
        """Enter a polynomial that vanishes at the random point and was taken to be zero."""
        if bits > -math.inf:
            self._branches.append((degree, bits))

    def _bound(self, further: list[tuple[int, float]]) -> tuple[int, int, int]:
        counted = self._branches + [(d, b) for d, b in further if b > -math.inf]
        bits = sum(bits for _, bits in counted)
        # Upwards, beyond what the logarithms were rounded by.
        return (
            sum(degree for degree, _ in counted),
            sum(factor.degree for factor in self._factors),
            math.ceil(bits * (1.0 + 1e-9)),
        )


@final
class DegreeArray(StrictArray):
    """An array over GF(p), its `value`, with the `bound` of its entries as rational functions."""

    __slots__ = ("_namespace", "bound", "value")

    def __init__(self, namespace: DegreeNamespace, value: Array, bound: Bound) -> None:
        self._namespace = namespace
        self.value = value
        self.bound = bound

    @property
    def namespace(self) -> DegreeNamespace:
        """The namespace that computes with this array."""
        return self._namespace

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return tuple(self.value.shape)

    @property
    def mT(self) -> DegreeArray:
        return DegreeArray(self._namespace, self.value.mT, self.bound)

    def _indexed(self, index: Any) -> DegreeArray:
        return DegreeArray(self._namespace, self.value[index], self.bound)

    def __repr__(self) -> str:
        bound = self.bound
        return (
            f"<{self._namespace.name} array of shape {self.shape}, degrees at most "
            f"{bound.degree} over {bound.denominator_degree}, numerators at most 2**{bound.bits:.4g}>"
        )


@final
class DegreeNamespace(StrictNamespace):
    """Arrays over a `DegreeField`; made by it."""

    __slots__ = ("_field", "kind", "name")

    kind: DegreeField

    def __init__(self, kind: DegreeField) -> None:
        self.kind = kind
        self.name = kind.name
        self._field = GF(kind.characteristic).default_namespace

    def _array(self, value: Array, bound: Bound) -> DegreeArray:
        return DegreeArray(self, value, bound)

    # -- arrays in and out
    def admit(self, values: Any, what: str) -> Array:
        value = self._field.asarray(values, what=what)
        given = np.array(values, dtype=object)
        entries = [Fraction(int(entry.numerator), int(entry.denominator)) for entry in given.flat]
        multiple = math.lcm(*(entry.denominator for entry in entries))
        largest = max((abs(int(entry * multiple)) for entry in entries), default=0)
        denominator = {self.kind.constant_factor(multiple): 1} if multiple > 1 else {}
        return self._array(value, Bound(0, math.log2(largest), denominator) if largest else ZERO)

    def copy(self, x: Array) -> Array:
        return self._array(self._field.copy(x.value), x.bound)

    def to_numpy(self, x: Array) -> Any:
        return self._field.to_numpy(x.value)

    # -- creation
    def zeros(self, shape: tuple[int, ...]) -> Array:
        return self._array(self._field.zeros(shape), ZERO)

    def ones(self, shape: tuple[int, ...]) -> Array:
        return self._array(self._field.ones(shape), CONSTANT_ONE)

    def eye(self, n: int) -> Array:
        return self._array(self._field.eye(n), CONSTANT_ONE)

    def random(self, rng: RandomSource, shape: tuple[int, ...]) -> Array:
        """Fresh variables, at a random point of GF(p)."""
        return self._array(self._field.random(rng, shape), VARIABLE)

    # -- shape
    def reshape(self, x: Array, shape: tuple[int, ...]) -> Array:
        return self._array(self._field.reshape(x.value, shape), x.bound)

    def permute(self, x: Array, axes: Sequence[int]) -> Array:
        return self._array(self._field.permute(x.value, axes), x.bound)

    def broadcast_to(self, x: Array, shape: tuple[int, ...]) -> Array:
        return self._array(self._field.broadcast_to(x.value, shape), x.bound)

    def stack(self, arrays: Sequence[Array], axis: int = 0) -> Array:
        admitted = [self.asarray(x) for x in arrays]
        return self._array(self._field.stack([x.value for x in admitted], axis), _worst(admitted))

    def concat(self, arrays: Sequence[Array], axis: int = 0) -> Array:
        admitted = [self.asarray(x) for x in arrays]
        return self._array(self._field.concat([x.value for x in admitted], axis), _worst(admitted))

    def take(self, x: Array, indices: Any, axis: int) -> Array:
        return self._array(self._field.take(x.value, indices, axis), x.bound)

    def diagonal(self, x: Array) -> Array:
        return self._array(self._field.diagonal(x.value), x.bound)

    # -- arithmetic
    def add(self, x: Array, y: Array) -> Array:
        return self._array(x.value + y.value, x.bound.plus(y.bound))

    def subtract(self, x: Array, y: Array) -> Array:
        return self._array(x.value - y.value, x.bound.plus(y.bound))

    def multiply(self, x: Array, y: Array) -> Array:
        return self._array(x.value * y.value, x.bound.times(y.bound))

    def divide(self, x: Array, y: Array) -> Array:
        quotient = x.value / y.value
        entries = math.prod(y.shape)
        factor = self.kind.new_factor(entries * y.bound.degree, entries * y.bound.bits) if entries else None
        bound = x.bound.times(y.bound.reciprocal(entries, factor)) if factor else ZERO
        return self._array(quotient, bound)

    def negate(self, x: Array) -> Array:
        return self._array(-x.value, x.bound)

    # -- sums and products
    def sum(self, x: Array, axis: int | tuple[int, ...] | None = None) -> Array:
        total = self._field.sum(x.value, axis)
        axes = tuple(range(x.ndim)) if axis is None else (axis if isinstance(axis, tuple) else (axis,))
        return self._array(total, x.bound.summed(math.prod(x.shape[i] for i in axes)))

    def matmul(self, a: Array, b: Array) -> Array:
        right = self.asarray(b, what="right factor")
        return self._array(a.value @ right.value, a.bound.times(right.bound, terms=a.shape[-1]))

    # -- linear algebra
    def solve(self, a: Array, b: Array) -> Array:
        solution = self._field.solve(a.value, b.value)
        return self._array(solution, self._inverse_bound(a).times(b.bound, terms=a.shape[-1]))

    def inverse(self, a: Array) -> Array:
        return self._array(self._field.inverse(a.value), self._inverse_bound(a))

    def _inverse_bound(self, a: Array) -> Bound:
        n, matrices = a.shape[-1], math.prod(a.shape[:-2])
        if not n or not matrices:
            return ZERO
        degree, bits = a.bound.minor(n)
        factor = self.kind.new_factor(matrices * degree, matrices * bits)
        bound: Bound = a.bound.inverse(n, matrices, factor)
        return bound

    def rank(self, a: Array) -> int:
        rank = self._field.rank(a.value)
        if rank < min(a.shape):
            self.kind.found_zero(*a.bound.minor(rank + 1))
        return rank

    def nullspace(self, a: Array) -> Array:
        basis = self._field.nullspace(a.value)
        rank = self.rank(a)
        if not rank:
            return self._array(basis, CONSTANT_ONE)
        degree, bits = a.bound.minor(rank)
        return self._array(basis, Bound(degree, bits, {self.kind.new_factor(degree, bits): 1}))

    # -- comparison
    def equal(self, x: Array, y: Array) -> bool:
        other = self.asarray(y)
        if not self._field.equal(x.value, other.value):
            return False
        difference = x.bound.plus(other.bound)
        self.kind.found_zero(difference.degree, difference.bits)
        return True

    def is_zero(self, x: Array) -> bool:
        if not self._field.is_zero(x.value):
            return False
        self.kind.found_zero(x.bound.degree, x.bound.bits)
        return True


def _worst(arrays: Sequence[DegreeArray]) -> Bound:
    """A bound that holds of every entry of every array."""
    bounds = over_one_denominator([x.bound for x in arrays])
    return Bound(max(x.degree for x in bounds), max(x.bits for x in bounds), bounds[0].denominator)


def equality_bound(x: DegreeArray, y: DegreeArray) -> tuple[int, int, int]:
    """(d, e, b) of the statement that `x` equals `y`, and of all that its run took to be zero before.

    Returns
    -------
    d : at least the degree of the numerator of the difference, and of the branches taken
    e : at least the degree of the product of all that the run divided by
    b : at least log2 of the 1-norm of that numerator, and of the branches taken

    Notes
    -----
    Ask before comparing: `DegreeNamespace.equal` enters the comparison in the account itself, and
    `DegreeField.bound` then includes it.
    """
    kind = x.namespace.kind
    kind.namespace_of(y)
    difference = x.bound.plus(y.bound)
    return kind._bound([(difference.degree, difference.bits)])


def false_identity_bound(
    numerator_degree: int, denominator_degree: int, log2_norm: float, prime: int
) -> float:
    """Probability, at most, that a false rational identity over Q passes one trial over GF(`prime`).

    The formula is ``b / (30 * 5.06e7) + d / (p - e)``, for a prime drawn by `random_prime` and a point
    drawn uniformly, again where a denominator vanishes.  A nonzero coefficient of the numerator, at
    most 2^b, has at most b / 30 prime divisors above 2^30; a polynomial of degree d that is not zero
    modulo p vanishes at a random point with probability at most d / p, and at most d / (p - e)
    where the denominators, of degree e, do not.

    Source: docs/evidence.md; Schwartz (1980), Zippel (1979).
    """
    if prime <= denominator_degree:
        return 1.0
    bad_prime = log2_norm / (30.0 * _PRIMES)
    return min(1.0, bad_prime + numerator_degree / (prime - denominator_degree))
