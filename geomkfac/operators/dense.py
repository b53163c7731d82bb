"""A matrix without structure: blocks that are no Kronecker products, such as exact Fisher blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import final

from geomkfac.arrays.array import Array, Scalar
from geomkfac.arrays.namespace import Namespace, OrderedNamespace
from geomkfac.errors import ShapeError, UnknownNameError
from geomkfac.operators.damping import Dampable, check_kind, damping_strength
from geomkfac.operators.operator import StructuredMatrix
from geomkfac.operators.single_block import SingleBlockMatrix, unvec, vec
from geomkfac.operators.square_matrix import SquareMatrix


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class DenseMatrix(SingleBlockMatrix, Dampable):
    """A square `array`, with the face of a structured matrix.

    Parameters
    ----------
    array : shape (k, k), copied
    acts_on : shape of the arrays it acts on, (k,) by default; (m, n) with mn = k for matrices,
        whose columns are stacked

    Raises
    ------
    ShapeError
        where `array` is not square, or `acts_on` has another number of entries.
    """

    array: Array
    acts_on: tuple[int, ...] | None = None
    _square: SquareMatrix = field(init=False)

    def __post_init__(self) -> None:
        square = SquareMatrix(self.array, "the matrix")
        acts_on = (square.size,) if self.acts_on is None else tuple(self.acts_on)
        if len(acts_on) not in (1, 2) or math.prod(acts_on) != square.size:
            raise ShapeError(
                "a dense matrix must act on arrays with as many entries as it has columns.\n"
                f"  required: acts_on=({square.size},), or (m, n) with m * n = {square.size}\n"
                f"  came    : acts_on={acts_on}\nPass the shape (m, n+1) of the layer's parameters (W b)."
            )
        object.__setattr__(self, "_square", square)
        object.__setattr__(self, "array", square.array)
        object.__setattr__(self, "acts_on", acts_on)

    def __repr__(self) -> str:
        return f"DenseMatrix(shape {self.shape}, acts on {self.domain_shape}, {self.namespace.name})"

    @property
    def namespace(self) -> Namespace:
        return self._square.namespace

    @property
    def domain_shape(self) -> tuple[int, ...]:
        return self.acts_on or ()

    @property
    def transpose(self) -> DenseMatrix:
        return DenseMatrix(self.array.mT, self.acts_on)

    def inverse(self) -> DenseMatrix:
        return DenseMatrix(self._square.inverse(), self.acts_on)

    def trace(self) -> Scalar:
        return self.namespace.trace(self.array)

    def rank(self) -> int:
        return self._square.rank()

    def dense(self) -> Array:
        return self.array

    def damped_by(
        self, other: StructuredMatrix, gamma: Scalar, kind: str = "exact", *, pi: Scalar | None = None
    ) -> DenseMatrix:
        self._check_comparable(other, "damped_by")
        if check_kind(kind, pi) == "factored":
            raise UnknownNameError(
                "a dense matrix has no factors that could be damped.\n"
                "  required: kind='exact'\n  came    : kind='factored'\n"
                "Damp it exactly, or damp the Kronecker product that stands in for it."
            )
        return DenseMatrix(self.array + other.dense() * damping_strength(self.namespace, gamma), self.acts_on)

    def _identity(self) -> DenseMatrix:
        return DenseMatrix(self.namespace.eye(self.size), self.acts_on)

    def _apply(self, x: Array) -> Array:
        columns = vec(self.namespace, x, len(self.domain_shape))
        return unvec(self.namespace, self.namespace.apply(self.array, columns, -1), self.domain_shape)

    def _solve(self, x: Array) -> Array:
        rows = vec(self.namespace, x, len(self.domain_shape))
        if rows.ndim == 1:
            return unvec(self.namespace, self._square.solve_along(rows[:, None], -2)[:, 0], self.domain_shape)
        return unvec(self.namespace, self._square.solve_along(rows, -1), self.domain_shape)

    def _power(self, exponent: Fraction) -> DenseMatrix:
        return DenseMatrix(self._square.power(exponent), self.acts_on)

    def _logdet(self, namespace: OrderedNamespace) -> Scalar:
        return self._square.logdet(namespace)

    def _frobenius_norm(self, namespace: OrderedNamespace) -> float:
        return namespace.norm(self.array)

    def _singular_value_range(self, namespace: OrderedNamespace) -> tuple[float, float]:
        return self._square.singular_value_range(namespace)

    def _apply_root(self, z: Array, namespace: OrderedNamespace) -> Array:
        rows = vec(namespace, z, len(self.domain_shape))
        root = self._square.power(Fraction(1, 2))
        return unvec(namespace, namespace.apply(root, rows, -1), self.domain_shape)
