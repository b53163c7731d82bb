"""What one weighted layer saw: its inputs at every place where it was applied to a chunk of data.

A fully connected layer is applied at one place, a convolution at every window of a map, a recurrence at
every step.  All that K-FAC and gradients need of the inputs are four sums over those places.
Source: LG (3.8), (4.5), (4.7), (5.3), (5.5); GM 3.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.arrays.windows import Windows


class Use(ABC):
    """Inputs of a layer, for N data at P places each.

    Attributes
    ----------
    count : N
    places : P
    """

    __slots__ = ()

    count: int
    places: int

    @abstractmethod
    def gram(self, ns: Namespace, weights: Array | None) -> Array:
        """``sum_{n, p} w_n [a; 1] [a; 1]^T``, (n + 1, n + 1); weights (N,)."""

    @abstractmethod
    def means(self, ns: Namespace) -> Array:
        """The mean over places of each datum's inputs, (N, n)."""

    @abstractmethod
    def moved(self, ns: Namespace, origin: Array, per_unit: Array | None) -> Use:
        """The same inputs in the coordinates ``(a - origin) * per_unit``; both (n,), or None for ones.

        Of inputs at several places taken together, at each of them.
        """

    @abstractmethod
    def inputs(self, part: slice) -> Array:
        """The inputs of a part of the data, in an array whose last axis holds coordinates."""

    @abstractmethod
    def contract(self, ns: Namespace, rows: Array) -> Array:
        """``sum_{n, p} u [a; 1]^T`` for covectors `rows` (N, *places, m); (m, n + 1)."""

    def each(self, ns: Namespace, rows: Array) -> Array:
        """``sum_p u [a; 1]^T`` for every covector and datum: (K, N, *places, m) to (K, N, m, n + 1).  As `rows`."""
        grouped = ns.reshape(rows, (rows.shape[0], self.count, self.places, rows.shape[-1]))
        products = ns.matmul(grouped.mT, self.rows(ns))
        return ns.concat([products, ns.sum(grouped, axis=-2)[..., None]], axis=-1)

    @abstractmethod
    def rows(self, ns: Namespace) -> Array:
        """The inputs at every place, (N, P, n); zeros where a place does not count.  For small networks."""

    def weight(self, ns: Namespace, weights: Array) -> Array:
        """The total weight of places, ``sum_{n, p} w_n``, an array of shape ()."""
        return ns.sum(weights) * ns.scalar(self.places)


@final
class PointUse(Use):
    """Inputs that stand in memory: rows (N, *places, n).

    Parameters
    ----------
    rows : array, shape (N, *places, n)
    valid : array (N, *places) of zeros and ones, which places count; None for all
    """

    __slots__ = ("_rows", "_valid", "count", "places")

    def __init__(self, rows: Array, valid: Array | None = None) -> None:
        self._rows, self._valid = rows, valid
        self.count = rows.shape[0]
        self.places = math.prod(rows.shape[1:-1])

    def _flat(self, ns: Namespace) -> Array:
        return ns.reshape(self._rows, (self.count * self.places, self._rows.shape[-1]))

    def gram(self, ns: Namespace, weights: Array | None) -> Array:
        share = weights
        if self._valid is not None:
            share = self._valid if weights is None else self._valid * weights[:, None]
            share = ns.reshape(share, (-1,))
        elif weights is not None and self.places > 1:
            share = ns.reshape(ns.broadcast_to(weights[:, None], (self.count, self.places)), (-1,))
        return ns.homogeneous_gram(self._flat(ns), share)

    def weight(self, ns: Namespace, weights: Array) -> Array:
        if self._valid is None:
            return ns.sum(weights) if self.places == 1 else Use.weight(self, ns, weights)
        return ns.sum(self._valid * weights[:, None])

    def means(self, ns: Namespace) -> Array:
        rows = ns.reshape(self._rows, (self.count, self.places, -1))
        if self._valid is None:
            return ns.sum(rows, axis=1) / ns.scalar(self.places)
        return ns.sum(rows * self._valid[..., None], axis=1) / ns.sum(self._valid, axis=1)[:, None]

    def contract(self, ns: Namespace, rows: Array) -> Array:
        flat = ns.reshape(rows, (-1, rows.shape[-1]))
        column = ns.reshape(ns.row_sum(flat), (-1, 1))
        return ns.concat([ns.cross(flat, self._flat(ns)), column], axis=1)

    def moved(self, ns: Namespace, origin: Array, per_unit: Array | None) -> PointUse:
        return PointUse(_moved(ns, self._rows, origin, per_unit), self._valid)

    def inputs(self, part: slice) -> Array:
        return self._rows[part, ...]

    def rows(self, ns: Namespace) -> Array:
        rows = ns.reshape(self._rows, (self.count, self.places, -1))
        return rows if self._valid is None else rows * ns.reshape(self._valid, (self.count, self.places, 1))


@final
class PatchUse(Use):
    """Inputs that are patches of maps, which are never all formed.

    Parameters
    ----------
    padded : array, shape (N, *grid, J), borders included
    windows : the windows of the kernel
    """

    __slots__ = ("_padded", "_windows", "count", "places")

    def __init__(self, padded: Array, windows: Windows) -> None:
        self._padded, self._windows = padded, windows
        self.count = padded.shape[0]
        self.places = math.prod(windows.out)

    def gram(self, ns: Namespace, weights: Array | None) -> Array:
        return self._windows.homogeneous_gram(ns, self._padded, weights)

    def moved(self, ns: Namespace, origin: Array, per_unit: Array | None) -> PatchUse:
        return PatchUse(_moved(ns, self._padded, origin, per_unit), self._windows)

    def inputs(self, part: slice) -> Array:
        return self._padded[part, ...]

    def means(self, ns: Namespace) -> Array:
        axes = tuple(range(1, len(self._windows.grid) + 1))
        # A mean of patches is made of means of slices, one per offset.
        parts = [ns.sum(part, axis=axes) for part in self._windows.slices(self._padded)]
        return ns.concat(parts, axis=-1) / ns.scalar(self.places)

    def contract(self, ns: Namespace, rows: Array) -> Array:
        column = ns.reshape(ns.row_sum(ns.reshape(rows, (-1, rows.shape[-1]))), (-1, 1))
        return ns.concat([self._windows.contract(ns, self._padded, rows), column], axis=1)

    def rows(self, ns: Namespace) -> Array:
        patches = self._windows.patches(ns, self._padded)
        return ns.reshape(patches, (self.count, self.places, patches.shape[-1]))


def _moved(ns: Namespace, rows: Array, origin: Array, per_unit: Array | None) -> Array:
    grouped = ns.reshape(rows, (*tuple(rows.shape)[:-1], -1, origin.shape[0])) - origin
    return ns.reshape(grouped if per_unit is None else grouped * per_unit, tuple(rows.shape))
