"""What exact fields share: arrays of entries in NumPy, and all that does not depend on the field."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, final

import numpy as np

from geomkfac.arrays.array import Array
from geomkfac.arrays.exact.strict import StrictArray, StrictNamespace


@final
class ExactArray(StrictArray):
    """An array over an exact field.

    Parameters
    ----------
    namespace : the exact namespace that knows the arithmetic
    entries : numpy.ndarray in the namespace's own representation, not to be written to
    """

    __slots__ = ("_namespace", "entries")

    def __init__(self, namespace: ExactNamespace, entries: Any) -> None:
        self._namespace = namespace
        self.entries = entries

    @property
    def namespace(self) -> ExactNamespace:
        """The namespace that computes with this array."""
        return self._namespace

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return tuple(self.entries.shape)

    @property
    def mT(self) -> ExactArray:
        return ExactArray(self._namespace, self.entries.mT)

    def _indexed(self, index: Any) -> ExactArray:
        # A bare entry of an object array would lose its shape attribute.
        key = index if isinstance(index, tuple) else (index,)
        return ExactArray(self._namespace, self.entries[key if ... in key else (*key, ...)])

    def _repr_latex_(self) -> str | None:
        """In notebooks: a formula, of numbers, vectors and matrices."""
        if self.ndim > 2:
            return None
        from sympy import Matrix, latex, sympify

        entries = self._namespace.to_numpy(self)
        shown = sympify(entries.item()) if not self.ndim else Matrix(entries.reshape(self.shape[0], -1).tolist())
        return f"${latex(shown)}$"

    def __repr__(self) -> str:
        numbers = self._namespace.to_numpy(self).astype(str)
        shown = np.array2string(
            numbers, separator=", ", threshold=32, prefix="  ", formatter={"str_kind": str}
        )
        return f"<{self._namespace.name} array of shape {self.shape}\n  {shown}>"


class ExactNamespace(StrictNamespace):
    """Everything about exact arrays that follows from entrywise arithmetic on NumPy arrays."""

    __slots__ = ()

    # -- the field, on NumPy arrays of entries
    @abstractmethod
    def add_entries(self, x: Any, y: Any) -> Any: ...

    @abstractmethod
    def subtract_entries(self, x: Any, y: Any) -> Any: ...

    @abstractmethod
    def multiply_entries(self, x: Any, y: Any) -> Any: ...

    @abstractmethod
    def divide_entries(self, x: Any, y: Any) -> Any: ...

    @abstractmethod
    def negate_entries(self, x: Any) -> Any: ...

    @abstractmethod
    def sum_entries(self, x: Any, axes: tuple[int, ...]) -> Any: ...

    @abstractmethod
    def matmul_entries(self, a: Any, b: Any) -> Any: ...

    @abstractmethod
    def solve_entries(self, a: Any, b: Any) -> Any:
        """Solution for one matrix (n, n) and right-hand sides (n, k), n and k positive."""

    @abstractmethod
    def entries_of(self, values: Any, what: str) -> Any:
        """Entries of what a user passed, called `what` in errors."""

    def wrap(self, entries: Any) -> ExactArray:
        """An array of entries in the namespace's own representation."""
        return ExactArray(self, np.asarray(entries))

    # -- arrays in and out
    def admit(self, values: Any, what: str) -> Array:
        return self.wrap(self.entries_of(values, what))

    def copy(self, x: Array) -> Array:
        return self.wrap(x.entries.copy())

    # -- arithmetic
    def add(self, x: Array, y: Array) -> Array:
        return self.wrap(self.add_entries(x.entries, y.entries))

    def subtract(self, x: Array, y: Array) -> Array:
        return self.wrap(self.subtract_entries(x.entries, y.entries))

    def multiply(self, x: Array, y: Array) -> Array:
        return self.wrap(self.multiply_entries(x.entries, y.entries))

    def divide(self, x: Array, y: Array) -> Array:
        return self.wrap(self.divide_entries(x.entries, y.entries))

    def negate(self, x: Array) -> Array:
        return self.wrap(self.negate_entries(x.entries))

    # -- creation
    def zeros(self, shape: tuple[int, ...]) -> Array:
        return self.broadcast_to(self.scalar(0), shape)

    def ones(self, shape: tuple[int, ...]) -> Array:
        return self.broadcast_to(self.scalar(1), shape)

    def eye(self, n: int) -> Array:
        return self.asarray(np.eye(n, dtype=np.int64))

    # -- shape
    def reshape(self, x: Array, shape: tuple[int, ...]) -> Array:
        return self.wrap(x.entries.reshape(shape))

    def permute(self, x: Array, axes: Sequence[int]) -> Array:
        return self.wrap(x.entries.transpose(tuple(axes)))

    def broadcast_to(self, x: Array, shape: tuple[int, ...]) -> Array:
        return self.wrap(np.broadcast_to(x.entries, shape))

    def stack(self, arrays: Sequence[Array], axis: int = 0) -> Array:
        return self.wrap(np.stack([self.asarray(x).entries for x in arrays], axis=axis))

    def concat(self, arrays: Sequence[Array], axis: int = 0) -> Array:
        return self.wrap(np.concatenate([self.asarray(x).entries for x in arrays], axis=axis))

    def take(self, x: Array, indices: Any, axis: int) -> Array:
        return self.wrap(np.take(x.entries, np.asarray(indices, dtype=np.int64), axis=axis))

    def diagonal(self, x: Array) -> Array:
        return self.wrap(np.diagonal(x.entries, axis1=-2, axis2=-1))

    # -- sums and products
    def sum(self, x: Array, axis: int | tuple[int, ...] | None = None) -> Array:
        if axis is None:
            axis = tuple(range(x.ndim))
        axes = axis if isinstance(axis, tuple) else (axis,)
        return self.wrap(self.sum_entries(x.entries, axes)) if axes else x

    def matmul(self, a: Array, b: Array) -> Array:
        left, right = a.entries, self.asarray(b, what="right factor").entries
        if left.ndim > 2 and right.ndim == 2:
            rows = left.reshape(math.prod(left.shape[:-1]), left.shape[-1])
            product = self.matmul_entries(rows, right)
            return self.wrap(product.reshape(*left.shape[:-1], right.shape[-1]))
        return self.wrap(self.matmul_entries(left, right))

    # -- linear algebra, one matrix at a time
    def solve(self, a: Array, b: Array) -> Array:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        left = np.broadcast_to(a.entries, batch + a.shape[-2:])
        right = np.broadcast_to(b.entries, batch + b.shape[-2:])
        solution = np.array(right)
        if solution.size:
            for index in np.ndindex(*batch):
                solution[index] = self.solve_entries(left[index], right[index])
        return self.wrap(solution)

    def inverse(self, a: Array) -> Array:
        return self.solve(a, self.eye(a.shape[-1]))

    # -- comparison
    def equal(self, x: Array, y: Array) -> bool:
        return x.shape == self.asarray(y).shape and bool(np.all(x.entries == y.entries))

    def is_zero(self, x: Array) -> bool:
        return not bool(np.any(x.entries != 0))
