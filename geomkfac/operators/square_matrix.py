"""One square array with the factorisations that solves, powers and spectra need.

This is a part of structured matrices, not one of them: they are built from one or two of these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import final

import numpy as np

from geomkfac.arrays.array import Array, Scalar
from geomkfac.arrays.dispatch import namespace_of
from geomkfac.arrays.namespace import Namespace, OrderedNamespace
from geomkfac.errors import NotPositiveError, ShapeError, SingularMatrixError
from geomkfac.kept import Kept, kept
from geomkfac.operators.cholesky_solver import CholeskySolver
from geomkfac.operators.exponents import integer_power, spectral_power

_INVERSE_ITERATIONS = 3
"""Each lets the direction of an eigenvalue that is noise outgrow the others by the ratio of both."""


def frozen_copy(namespace: Namespace, x: Array) -> Array:
    """A copy of `x` that, where the library can, refuses to be written to."""
    copy = namespace.copy(x)
    if getattr(getattr(copy, "flags", None), "writeable", False):
        copy.flags.writeable = False
    return copy


def exceeds_noise(
    namespace: OrderedNamespace, array: Array, factor: Array, noise: float | None = None
) -> bool:
    """Whether the smallest eigenvalue of `array` (k, k), scaled to unit diagonal, is above `noise`, or k * epsilon.

    By inverse iteration with its Cholesky `factor`: pivots alone do not tell, as one that is noise makes
    the next ones large.
    """
    size = array.shape[0]
    bound = size * namespace.epsilon if noise is None else noise
    lengths = namespace.sqrt(namespace.diagonal(array))[:, None]
    vector = namespace.random(np.random.default_rng(0), (size, 1))
    for _ in range(_INVERSE_ITERATIONS):
        image = lengths * namespace.cholesky_solve(factor, lengths * vector)
        growth = namespace.norm(image) / namespace.norm(vector)
        if not growth * bound < 1:
            return False
        vector = image / namespace.norm(image)
    return True


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SquareMatrix:
    """A square `array` (k, k), called `label` in messages; its factorisations are computed once.

    Raises
    ------
    ShapeError
        where `array` is no square matrix.
    """

    array: Array
    label: str
    namespace: Namespace = field(init=False)
    _kept: Kept = field(init=False, default_factory=Kept)

    def __post_init__(self) -> None:
        namespace = namespace_of(self.array)
        shape = tuple(self.array.shape)
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ShapeError(
                f"{self.label} must be a square matrix.\n"
                f"  required: shape (k, k)\n  came    : shape {shape}\n"
                "Pass one matrix, without batch axes; build one structured matrix for each of a batch."
            )
        object.__setattr__(self, "namespace", namespace)
        object.__setattr__(self, "array", frozen_copy(namespace, self.array))

    @property
    def size(self) -> int:
        return int(self.array.shape[0])

    def __str__(self) -> str:
        return f"{self.label}, of size {self.size},"

    @kept
    def is_identity(self) -> bool:
        """Whether it is exactly the identity."""
        return self.namespace.equal(self.array, self.namespace.eye(self.size))

    @kept
    def is_symmetric(self) -> bool:
        """Whether it is symmetric; in floating point to size * epsilon of its Frobenius norm."""
        if self.namespace.kind.is_exact:
            return self.namespace.equal(self.array, self.array.mT)
        namespace = self.namespace.ordered("symmetry to rounding")
        asymmetry = namespace.norm(self.array - self.array.mT)
        return asymmetry <= self.size * namespace.epsilon * namespace.norm(self.array)

    def negated(self) -> SquareMatrix:
        """``-array``, under the same label."""
        return SquareMatrix(-self.array, self.label)

    # -- solves -------------------------------------------------------------------------------
    def solve_along(self, x: Array, axis: int) -> Array:
        """``array⁻¹`` contracted with `axis` (-1 or -2) of `x`, of shape (*batch, p, q)."""
        if x.ndim == 2:
            return self._solve(x) if axis == -2 else self._solve_rows(x)
        # All batches in one call: the axis first, everything else as columns.
        contracted = x.ndim + axis
        order = [contracted, *(i for i in range(x.ndim) if i != contracted)]
        moved = self.namespace.permute(x, order)
        solved = self._solve(self.namespace.reshape(moved, (self.size, -1)))
        restore = [order.index(i) for i in range(x.ndim)]
        return self.namespace.permute(self.namespace.reshape(solved, tuple(moved.shape)), restore)

    def _solve(self, b: Array) -> Array:
        """``array⁻¹ @ b`` for `b` (k, columns): by Cholesky where positive definite, else by elimination."""
        solver = self._solver()
        if solver is not None:
            return solver.columns(b)
        return self._invertible(lambda: self.namespace.solve(self.array, b))

    def _solve_rows(self, b: Array) -> Array:
        solver = self._solver()
        return self._solve(b.mT).mT if solver is None else solver.rows(b)

    @kept
    def _solver(self) -> CholeskySolver | None:
        factor = self.cholesky()
        if factor is None:
            return None
        return CholeskySolver(self.namespace.ordered("Cholesky"), self.array, factor, self.inverse)

    @kept
    def inverse(self) -> Array:
        """The inverse array; exactly symmetric where this one is positive definite."""
        factor = self.cholesky()
        if factor is None:
            return self._invertible(lambda: self.namespace.inverse(self.array))
        return self.namespace.ordered("Cholesky").cholesky_inverse(factor)

    def _invertible(self, compute: Callable[[], Array]) -> Array:
        """What elimination computes, where the array is not singular."""
        try:
            # Elimination does not notice a singular matrix once rounding has filled it with noise.
            if self.namespace.kind.is_exact or not self.is_symmetric() or self.rank() == self.size:
                return compute()
            cause = None
        except SingularMatrixError as error:
            cause = error
        raise SingularMatrixError(
            f"cannot solve: {self} is singular.\n  required: rank {self.size}\n"
            f"  came    : {self.namespace.name} array of rank {self.rank()}, or too close to it\n"
            "Damp it (damped_by_identity, damped_by), or ask its metric for the solution that is "
            "smallest in a norm that you name."
        ) from cause

    @kept
    def cholesky(self) -> Array | None:
        """The lower Cholesky factor; None where the kind has no order or it is not positive definite.

        Positive definite means, scaled to unit diagonal: the smallest eigenvalue exceeds
        size * epsilon.  So the units of the coordinates do not matter.
        """
        if not isinstance(self.namespace, OrderedNamespace) or not self.is_symmetric():
            return None
        if self.size == 0:
            return self.array
        try:
            factor = self.namespace.cholesky(self.array)
        except NotPositiveError:
            return None
        return factor if exceeds_noise(self.namespace, self.array, factor) else None

    def positive_cholesky(self, purpose: str) -> Array:
        """The lower Cholesky factor; raises `NotPositiveError`, naming the `purpose`, where there is none."""
        factor = self.cholesky()
        if factor is None:
            values, _ = self.spectrum(purpose)
            raise NotPositiveError(
                f"{purpose} needs {self} to be positive definite.\n"
                "  required: positive eigenvalues\n"
                f"  came    : eigenvalues from {float(values[0]):.6g} to {float(values[-1]):.6g}\n"
                "Damp it: damped_by_identity(gamma) or damped_by(other, gamma)."
            )
        return factor

    # -- spectra --------------------------------------------------------------------------------
    def spectrum(self, purpose: str) -> tuple[Array, Array]:
        """Ascending eigenvalues (k,) and orthonormal eigenvectors (k, k) of a symmetric array."""
        return self._spectrum(self.require_symmetric(purpose))

    @kept
    def _spectrum(self, namespace: OrderedNamespace) -> tuple[Array, Array]:
        return namespace.eigh(self.array)

    def require_symmetric(self, purpose: str) -> OrderedNamespace:
        """The ordered namespace, where the array is symmetric; else `NotPositiveError`."""
        namespace = self.namespace.ordered(purpose)
        if not self.is_symmetric():
            raise NotPositiveError(
                f"{purpose} needs {self} to be symmetric.\n  required: the array and its transpose agree\n"
                f"  came    : they differ by {namespace.norm(self.array - self.array.mT):.3g} in norm\n"
                "Symmetrize it first if only rounding made it so: (x + x.mT) / 2."
            )
        return namespace

    @kept
    def power(self, exponent: Fraction) -> Array:
        """The array to a power; of a symmetric positive semidefinite one if `exponent` is no integer."""
        if exponent.denominator == 1:
            base = self.inverse() if exponent < 0 else self.array
            one = self.namespace.eye(self.size)
            return integer_power(one, base, abs(exponent.numerator), self.namespace.matmul)
        purpose = f"the power {exponent}"
        namespace = self.namespace.ordered(purpose)
        values, vectors = self.spectrum(purpose)
        if self.size == 0:
            return self.array
        cutoff = self._cutoff(namespace, values)
        powered = spectral_power(namespace, values, exponent, cutoff=cutoff, what=str(self))
        product = namespace.matmul(vectors * powered, vectors.mT)
        return (product + product.mT) / 2

    def _cutoff(self, namespace: OrderedNamespace, values: Array) -> float:
        """What cannot be told from zero: size * epsilon of the largest, as in `Namespace.rank`."""
        return self.size * namespace.epsilon * float(namespace.max(namespace.abs(values)))

    def logdet(self, namespace: OrderedNamespace) -> Scalar:
        """Logarithm of the determinant of a positive definite array."""
        factor = self.positive_cholesky("logdet")
        return namespace.sum(namespace.log(namespace.diagonal(factor))) * 2

    @kept
    def rank(self) -> int:
        """The rank; in floating point of the array scaled to unit diagonal, where it is symmetric."""
        namespace = self.namespace
        if not isinstance(namespace, OrderedNamespace) or not self.is_symmetric():
            return namespace.rank(self.array)
        sizes = namespace.abs(namespace.diagonal(self.array))
        scales = namespace.sqrt(namespace.where(sizes > 0, sizes, 1.0))
        return namespace.rank(self.array / scales[:, None] / scales[None, :])

    @kept
    def singular_value_range(self, namespace: OrderedNamespace) -> tuple[float, float]:
        """Largest and smallest singular value; ``(1, 1)``, the empty product, at size 0."""
        if self.size == 0:
            return 1.0, 1.0
        values = namespace.singular_values(self.array)
        return float(values[0]), float(values[-1])
