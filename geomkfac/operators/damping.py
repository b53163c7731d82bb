"""Damping of matrices in coordinates: the two kinds, their strength, and the balance of factored damping.

A multiple of the identity depends on the frame in which the matrix stands; damping by another
metric's matrix does not.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from numbers import Real

from geomkfac.arrays.array import Array, Scalar
from geomkfac.arrays.namespace import Namespace, OrderedNamespace
from geomkfac.counts import as_float
from geomkfac.errors import ValuesError
from geomkfac.names import check_word
from geomkfac.operators.operator import StructuredMatrix
from geomkfac.operators.square_matrix import SquareMatrix
from geomkfac.required import shown

_KINDS = ("exact", "factored")


class Dampable(ABC):
    """What structured matrices have that can be damped."""

    __slots__ = ()

    def damped_by_identity(
        self, gamma: Scalar, kind: str = "exact", *, pi: Scalar | None = None
    ) -> StructuredMatrix:
        """The matrix damped by `gamma` times the identity *of its frame*; parameters as in `damped_by`.

        Source: NN (23) and GM (39)-(44) for ``exact``, NN (24) and GM (9)-(10) for ``factored``.
        """
        return self.damped_by(self._identity(), gamma, kind, pi=pi)

    @abstractmethod
    def damped_by(
        self, other: StructuredMatrix, gamma: Scalar, kind: str = "exact", *, pi: Scalar | None = None
    ) -> StructuredMatrix:
        """The matrix damped by `gamma` > 0 times the positive definite `other`, of the same structure.

        Parameters
        ----------
        other : matrix of the same namespace and domain shape
        gamma : positive number; over exact kinds any but zero
        kind : ``"exact"`` for ``M + gamma other``; ``"factored"`` for the Kronecker product of damped
            factors ``(A + pi sqrt(gamma) H) ⊗ (G + sqrt(gamma) / pi K)``, which is larger than ``exact``
        pi : balance of factored damping, a positive number; by default the trace norm's (`factored_damping`)

        Raises
        ------
        ValuesError
            for a gamma or pi that is not positive, or where the traces give no pi.
        UnknownNameError
            for another kind of damping.
        """

    @abstractmethod
    def _identity(self) -> StructuredMatrix:
        """The identity, of the same structure."""


def check_kind(kind: str, pi: Scalar | None) -> str:
    """`kind` where it is a kind of damping, and takes the `pi` that came."""
    check_word("the kind of damping", kind, _KINDS)
    if kind == "exact" and pi is not None:
        raise ValuesError(
            "exact damping has no pi.\n  required: pi=None with kind='exact'\n"
            f"  came    : pi={pi}\nLeave pi out, or choose kind='factored', which balances two factors by it."
        )
    return kind


def damping_strength(namespace: Namespace, gamma: Scalar) -> Scalar:
    """`gamma` as a scalar of `namespace`: positive in floating point, not zero over exact kinds."""
    if not namespace.kind.is_exact:
        return _positive(gamma, "gamma")
    strength = namespace.scalar(gamma)
    if namespace.is_zero(strength):
        raise ValuesError(
            "the strength gamma of damping must not be zero.\n"
            f"  required: a nonzero scalar of {namespace.kind}\n"
            f"  came    : {gamma}\nLeave the matrix undamped instead."
        )
    return strength


def _positive(number: Scalar, name: str) -> float:
    value = as_float(number) if isinstance(number, Real) or getattr(number, "shape", None) == () else math.nan
    if not (0 < value < math.inf):
        raise ValuesError(
            f"damping needs a positive {name}.\n  required: a finite number {name} > 0\n"
            f"  came    : {shown(number)}\nLeave the matrix undamped where no damping is wanted."
        )
    return value


def factored_damping(
    factors: tuple[SquareMatrix, SquareMatrix],
    reference: tuple[SquareMatrix, SquareMatrix],
    gamma: Scalar,
    pi: Scalar | None,
) -> tuple[Array, Array]:
    r"""The factors ``A + pi sqrt(gamma) H`` and ``G + sqrt(gamma) / pi K``.

    Parameters
    ----------
    factors : A (n, n) and G (m, m), positive semidefinite
    reference : H (n, n) and K (m, m), positive definite
    gamma : positive number
    pi : positive number, by default that of the trace norm,
        ``pi² = (tr(H⁻¹ A) / n) / (tr(K⁻¹ G) / m)``: the same in every basis, and (cA, G/c) in
        place of (A, G) changes pi so that the product stays

    Source: GM (9)-(10) and NN (24), which have H = I and K = I.
    """
    namespace = factors[0].namespace.ordered("factored damping")
    root = math.sqrt(_positive(gamma, "gamma"))
    balance = _trace_norm_balance(namespace, factors, reference) if pi is None else _positive(pi, "pi")
    (a, g), (h, k) = ((pair[0].array, pair[1].array) for pair in (factors, reference))
    return a + h * (balance * root), g + k * (root / balance)


def _trace_norm_balance(
    namespace: OrderedNamespace,
    factors: tuple[SquareMatrix, SquareMatrix],
    reference: tuple[SquareMatrix, SquareMatrix],
) -> float:
    sizes = [_mean_eigenvalue(namespace, *pair) for pair in zip(factors, reference, strict=True)]
    if not all(size > 0 for size in sizes):
        raise ValuesError(
            "factored damping cannot balance factors whose traces are not positive.\n"
            "  required: tr(H⁻¹ A) > 0 and tr(K⁻¹ G) > 0\n"
            f"  came    : tr(H⁻¹ A) / n = {sizes[0]:.6g} and tr(K⁻¹ G) / m = {sizes[1]:.6g}\n"
            "Pass pi=1.0 (or another balance) yourself, or damp exactly."
        )
    return math.sqrt(sizes[0] / sizes[1])


def _mean_eigenvalue(namespace: OrderedNamespace, matrix: SquareMatrix, reference: SquareMatrix) -> float:
    """``tr(reference⁻¹ matrix) / size``."""
    relative = matrix.array if reference.is_identity() else reference.solve_along(matrix.array, -2)
    return float(namespace.trace(relative)) / max(matrix.size, 1)
