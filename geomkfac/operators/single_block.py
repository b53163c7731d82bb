"""Structured matrices that act on single arrays, of shape (*batch, k) or (*batch, m, n)."""

from __future__ import annotations

import math
from abc import abstractmethod

from geomkfac.arrays.array import Array, RandomSource
from geomkfac.arrays.dispatch import namespace_of
from geomkfac.arrays.namespace import Namespace
from geomkfac.errors import KindError, ShapeError
from geomkfac.operators.operator import StructuredMatrix


def vec(namespace: Namespace, x: Array, axes: int) -> Array:
    """The last `axes` (1 or 2) axes of `x` as one, columns stacked."""
    if axes == 1:
        return x
    *batch, m, n = x.shape
    return namespace.reshape(x.mT, (*batch, m * n))


def unvec(namespace: Namespace, v: Array, shape: tuple[int, ...]) -> Array:
    """The array of `shape` (k,) or (m, n), per batch entry, whose stacked columns are `v`."""
    if len(shape) == 1:
        return v
    m, n = shape
    return namespace.reshape(v, (*v.shape[:-1], n, m)).mT


def check_array(namespace: Namespace, x: Array, shape: tuple[int, ...], purpose: str) -> None:
    """Whether `x` belongs to `namespace` and its last axes are `shape`; `KindError`, `ShapeError`."""
    came = namespace_of(x)
    if came is not namespace:
        raise KindError(
            f"{purpose} needs an array of the matrix's own namespace.\n  matrix: {namespace.name}\n"
            f"  array : {came.name}\nConvert one of them on purpose first."
        )
    if tuple(x.shape[-len(shape) :]) != shape:
        raise ShapeError(
            f"{purpose} got an array of the wrong shape.\n"
            f"  required: (*batch, {', '.join(map(str, shape))})\n  came    : {tuple(x.shape)}\n"
            "A layer's parameters are the matrix (W b), of shape (m, n+1)."
        )


class SingleBlockMatrix(StructuredMatrix):
    """A structured matrix whose operands are single arrays."""

    __slots__ = ()

    @property
    @abstractmethod
    def domain_shape(self) -> tuple[int, ...]: ...

    @property
    def size(self) -> int:
        return math.prod(self.domain_shape)

    def vec(self, x: Array) -> Array:
        check_array(self.namespace, x, self.domain_shape, "vec")
        return vec(self.namespace, x, len(self.domain_shape))

    def unvec(self, v: Array) -> Array:
        check_array(self.namespace, v, (self.size,), "unvec")
        return unvec(self.namespace, v, self.domain_shape)

    def _check_operand(self, x: Array, purpose: str) -> None:
        check_array(self.namespace, x, self.domain_shape, purpose)

    def _pair(self, x: Array, y: Array) -> Array:
        return self.namespace.pair(x, y, len(self.domain_shape))

    def _noise(self, rng: RandomSource, batch: tuple[int, ...]) -> Array:
        return self.namespace.random(rng, (*batch, *self.domain_shape))
