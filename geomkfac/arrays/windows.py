"""Windows that slide over a grid: correlation, its two transposes, and second moments of patches.

Arrays are (N, *grid, J): places before channels.  A window has one entry for every offset of a kernel, so
a patch has K J entries, offset by offset (C order over the kernel's axes), channels within an offset.
Position of offset delta in the window at t: ``stride * t + dilation * delta``.

Patches are never all formed.  The last axis alone is expanded, k copies instead of k^d; what the other axes
add are slices of that.  A product of two patches depends, up to borders, on the *difference* of two
offsets alone, so second moments are correlations of shifted slices, each summed once, over cells from
which every window is a union (nothing is subtracted).

Nothing is flipped: z_t = sum_delta w_delta a_{t + delta} (LG (4.1)); a convolution in the sense of analysis
is the same with the kernel reversed.  Source: LG 4.1; GM 3; docs/benchmarks.md.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.counts import is_count
from geomkfac.errors import ShapeError, ValuesError
from geomkfac.required import shown

ENTRIES_AT_ONCE = 1 << 19
"""How many entries of an expanded array are made at a time: about what a core's cache holds."""


def per_axis(value: int | Sequence[int], axes: int, what: str, *, least: int = 1) -> tuple[int, ...]:
    """One int for every axis, from one for all of them or from one each.

    Raises
    ------
    ShapeError : another number of them.
    ValuesError : one is no int, or below `least`.
    """
    values = (value,) * axes if isinstance(value, int) else tuple(value)
    if len(values) != axes:
        raise ShapeError(
            f"the {what} needs one number for every axis of the grid.\n  required: {axes}\n"
            f"  came    : {values}\nPass one int for all axes, or {axes} of them."
        )
    for number in values:
        if not is_count(number, least):
            raise ValuesError(
                f"the {what} is made of ints of at least {least}.\n  came: {shown(values)}\n"
                + ("A stride or dilation of 1 is the plain one." if least == 1 else "Use 0 for none.")
            )
    return values


@final
@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of a kernel on a grid.

    Parameters
    ----------
    grid : lengths of the axes, borders included
    kernel, stride, dilation : one positive int for every axis

    Raises
    ------
    ShapeError : a kernel, as dilated, is longer than its axis.
    """

    grid: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]

    def __post_init__(self) -> None:
        for what, numbers in (("kernel", self.kernel), ("stride", self.stride), ("dilation", self.dilation)):
            per_axis(numbers, len(self.grid), what)
        for length, k, d in zip(self.grid, self.kernel, self.dilation, strict=True):
            if d * (k - 1) + 1 > length:
                raise ShapeError(
                    "the kernel is larger than the padded map.\n"
                    f"  kernel {self.kernel}, dilation {self.dilation}: spans {self.span}\n"
                    f"  map, padding included: {self.grid}\nUse a smaller kernel or more padding."
                )

    @property
    def span(self) -> tuple[int, ...]:
        """The number of places that a window reaches over, along each axis."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def out(self) -> tuple[int, ...]:
        """The grid of the windows."""
        return tuple(
            (length - reach) // s + 1 for length, reach, s in zip(self.grid, self.span, self.stride, strict=True)
        )

    @property
    def offsets(self) -> int:
        """K, the number of offsets of the kernel."""
        return math.prod(self.kernel)

    # -- slices ------------------------------------------------------------------------------------------
    def _taken(self, axis: int, offset: int) -> slice:
        """Where offset number `offset` of the kernel lies along `axis`, for all windows."""
        start, s = offset * self.dilation[axis], self.stride[axis]
        return slice(start, start + s * (self.out[axis] - 1) + 1, s)

    def slices(self, x: Array) -> list[Array]:
        """The part of all patches at each offset of the kernel, in order: arrays (N, *out, J), not copied."""
        return [
            x[(slice(None), *(self._taken(axis, offset) for axis, offset in enumerate(delta)), ...)]
            for delta in itertools.product(*map(range, self.kernel))
        ]

    def patches(self, ns: Namespace, x: Array) -> Array:
        """All patches, (N, *grid, J) to (N, *out, K J); for few data at a time."""
        return ns.concat(self.slices(x), axis=-1)

    def _chunks(self, x: Array) -> Iterator[Array]:
        each = math.prod(self.grid) * x.shape[-1] * self.kernel[-1]
        size = max(1, ENTRIES_AT_ONCE // max(1, each))
        count = x.shape[0]
        for start in range(0, count, size):
            yield x[start : min(start + size, count), ...]

    def _expanded(self, ns: Namespace, x: Array) -> Array:
        """The last axis expanded, and the other axes first: (*rest, N, out of the last axis, k J)."""
        last = len(self.grid) - 1
        parts = [x[(slice(None),) * (last + 1) + (self._taken(last, offset), ...)] for offset in range(self.kernel[-1])]
        wide = parts[0] if len(parts) == 1 else ns.concat(parts, axis=-1)
        return ns.permute(wide, [*range(1, last + 1), 0, last + 1, last + 2])

    def _rows(self, ns: Namespace, wide: Array, delta: tuple[int, ...]) -> Array:
        """The part of all patches that has offset `delta` along the other axes: rows (*out rest * N * out, k J)."""
        part = wide[(*(self._taken(axis, offset) for axis, offset in enumerate(delta)), ...)] if delta else wide
        return ns.reshape(part, (-1, wide.shape[-1]))

    def _rest(self) -> list[tuple[int, ...]]:
        return list(itertools.product(*map(range, self.kernel[:-1])))

    # -- linear maps ---------------------------------------------------------------------------------------
    def correlate(self, ns: Namespace, x: Array, weight: Array) -> Array:
        """``z_t = sum_delta weight_delta a_{t + delta}``: (N, *grid, J) to (N, *out, m).

        Parameters
        ----------
        weight : array, shape (m, K J)
        """
        m, blocks = weight.shape[0], self._blocks(ns, weight)
        results = []
        for part in self._chunks(x):
            wide = self._expanded(ns, part)
            total: Array = None
            for delta, block in zip(self._rest(), blocks, strict=True):
                product = ns.matmul(self._rows(ns, wide, delta), block)
                if total is None:
                    total = product
                else:
                    total += product
            shaped = ns.reshape(total, (*self.out[:-1], part.shape[0], self.out[-1], m))
            rest = len(self.grid) - 1
            results.append(ns.permute(shaped, [rest, *range(rest), rest + 1, rest + 2]))
        return results[0] if len(results) == 1 else ns.concat(results, axis=0)

    def _blocks(self, ns: Namespace, weight: Array) -> list[Array]:
        """The weight (m, K J) as one matrix (k J, m) for every offset along the other axes."""
        m, count = weight.shape[0], len(self._rest())
        width = weight.shape[1] // count
        cube = ns.reshape(weight, (m, count, width))
        return [ns.copy(cube[:, index, :].mT) for index in range(count)]

    def transpose(self, ns: Namespace, u: Array, weight: Array, crop: Sequence[tuple[int, int]] | None = None) -> Array:
        """The transpose of `correlate` in its first argument: (N, *out, m) to (N, *grid, J).

        Parameters
        ----------
        weight : array, shape (m, K J)
        crop : places to be left out before and after, along each axis, such as a border that depends on nothing
        """
        m, channels = weight.shape[0], weight.shape[1] // self.offsets
        cut = crop or [(0, 0)] * len(self.grid)
        for axis, s in enumerate(self.stride):
            u = _spaced(ns, u, axis + 1, s)
        wanted = []
        for axis, (before, after) in enumerate(cut):
            reach = self.span[axis] - 1
            left = self.grid[axis] - self.span[axis] + 1 - u.shape[axis + 1]
            u = _zero_border(ns, u, axis + 1, reach - before, reach + left - after)
            wanted.append(u.shape[axis + 1])
        cube = ns.reshape(weight, (m, *self.kernel, channels))
        for axis, k in enumerate(self.kernel):
            cube = ns.take(cube, list(range(k - 1, -1, -1)), axis + 1)
        flipped = ns.permute(cube, [len(self.kernel) + 1, *range(1, len(self.kernel) + 1), 0])
        back = Windows(tuple(wanted), self.kernel, (1,) * len(self.grid), self.dilation)
        return back.correlate(ns, u, ns.reshape(flipped, (channels, self.offsets * m)))

    def contract(self, ns: Namespace, x: Array, u: Array) -> Array:
        """The transpose of `correlate` in its weight: ``sum_{n, t} u_{n, t} patch_{n, t}^T``, (m, K J).

        Parameters
        ----------
        x : array, shape (N, *grid, J)
        u : array, shape (N, *out, m)
        """
        rest = len(self.grid) - 1
        total: Array = None
        start = 0
        for part in self._chunks(x):
            wide = self._expanded(ns, part)
            rows = u[start : start + part.shape[0], ...]
            start += part.shape[0]
            moved = ns.permute(rows, [*range(1, rest + 1), 0, rest + 1, rest + 2])
            flat = ns.reshape(moved, (-1, u.shape[-1]))
            block = ns.concat([ns.cross(flat, self._rows(ns, wide, delta)) for delta in self._rest()], axis=-1)
            total = block if total is None else total + block
        return total

    # -- second moments -----------------------------------------------------------------------------------
    def homogeneous_gram(self, ns: Namespace, x: Array, weights: Array | None = None) -> Array:
        """``sum_{n, t} w_n [patch; 1] [patch; 1]^T``, (K J + 1, K J + 1), exactly symmetric.

        Parameters
        ----------
        x : array, shape (N, *grid, J)
        weights : array, shape (N,), nonnegative where the kind is ordered; None for ones
        """
        total: Array = None
        start = 0
        for part in self._chunks(x):
            share = None if weights is None else weights[start : start + part.shape[0]]
            start += part.shape[0]
            block = self._gram(ns, part, share)
            total = block if total is None else total + block
        return total

    def _gram(self, ns: Namespace, x: Array, weights: Array | None) -> Array:
        count, places = x.shape[0], math.prod(self.out)
        if any(s != 1 for s in self.stride[:-1]):
            rows = ns.reshape(self.patches(ns, x), (count * places, -1))
            share = None if weights is None else _repeated(ns, weights, places)
            return ns.homogeneous_gram(rows, share)
        wide = self._expanded(ns, x)
        number = ns.scalar(count) if weights is None else ns.sum(weights)
        left = right = wide
        roots: Array = None
        if weights is not None:
            if ns.kind.is_exact:
                left = wide * weights[:, None, None]
            else:
                roots = ns.ordered("weights").sqrt(weights)
                left = right = wide * roots[:, None, None]
        weighted = left if roots is None else left * roots[:, None, None]
        sums = ns.concat([ns.row_sum(self._rows(ns, weighted, delta)) for delta in self._rest()], axis=0)
        column = ns.reshape(sums, (-1, 1))
        top = ns.concat([self._moments(ns, left, right), column], axis=1)
        corner = ns.reshape(number * ns.scalar(places), (1, 1))
        return ns.concat([top, ns.concat([column.mT, corner], axis=1)], axis=0)

    def _moments(self, ns: Namespace, left: Array, right: Array) -> Array:
        """``sum left_delta^T right_delta'`` for all pairs of offsets along the axes but the last."""
        rest = self._rest()
        blocks: dict[tuple[int, int], Array] = {}
        for difference in itertools.product(*(range(1 - k, k) for k in self.kernel[:-1])):
            if difference < (0,) * len(difference):
                continue
            pairs = [
                (first, second)
                for first, delta in enumerate(rest)
                for second, other in enumerate(rest)
                if tuple(b - a for a, b in zip(delta, other, strict=True)) == difference
            ]
            sums = self._cells(ns, left, right, difference, [rest[first] for first, _ in pairs])
            for (first, second), block in zip(pairs, sums, strict=True):
                blocks[first, second] = block
                if first != second:
                    blocks[second, first] = block.mT
        indices = range(len(rest))
        return ns.concat([ns.concat([blocks[i, j] for j in indices], axis=1) for i in indices], axis=0)

    def _cells(
        self, ns: Namespace, left: Array, right: Array, difference: tuple[int, ...], deltas: list[tuple[int, ...]]
    ) -> list[Array]:
        """For each window origin `delta`: the sum over its places of left at a place, right `difference` further."""
        axes = range(len(difference))
        cuts = [sorted({end for delta in deltas for end in self._ends(axis, delta)}) for axis in axes]
        same = left is right and not any(difference)
        totals: list[Array] = [None] * len(deltas)
        for corner in itertools.product(*(range(len(cut) - 1) for cut in cuts)):
            cell = [(cuts[axis][index], cuts[axis][index + 1]) for axis, index in enumerate(corner)]
            inside = [number for number, delta in enumerate(deltas) if self._covers(delta, cell)]
            if not inside:
                continue
            x = left[(*(slice(*ends) for ends in cell), ...)] if cell else left
            rows = ns.reshape(x, (-1, left.shape[-1]))
            if same:
                block = ns.gram(rows)
            else:
                shifts = [u * self.dilation[axis] for axis, u in enumerate(difference)]
                moved = (*(slice(a + s, b + s) for (a, b), s in zip(cell, shifts, strict=True)), ...)
                other = ns.reshape(right[moved] if cell else right, (-1, left.shape[-1]))
                block = ns.cross(rows, other)
            for number in inside:
                totals[number] = block if totals[number] is None else totals[number] + block
        return totals

    def _ends(self, axis: int, delta: tuple[int, ...]) -> tuple[int, int]:
        start = delta[axis] * self.dilation[axis]
        return start, start + self.out[axis]

    def _covers(self, delta: tuple[int, ...], cell: list[tuple[int, int]]) -> bool:
        ends = [self._ends(axis, delta) for axis in range(len(cell))]
        return all(start <= a and b <= stop for (start, stop), (a, b) in zip(ends, cell, strict=True))


def _repeated(ns: Namespace, weights: Array, places: int) -> Array:
    """Weights (N,) of data as weights (N * places,) of their places."""
    return ns.reshape(ns.broadcast_to(weights[:, None], (weights.shape[0], places)), (-1,))


def _spaced(ns: Namespace, u: Array, axis: int, step: int) -> Array:
    """Zeros between the entries along `axis`, so that they stand `step` apart."""
    if step == 1 or u.shape[axis] == 1:
        return u
    shape = tuple(u.shape)
    zeros = ns.zeros(shape)
    stacked = ns.stack([u, *[zeros] * (step - 1)], axis=axis + 1)
    merged = ns.reshape(stacked, (*shape[:axis], shape[axis] * step, *shape[axis + 1 :]))
    return merged[(slice(None),) * axis + (slice(0, (shape[axis] - 1) * step + 1), ...)]


def _zero_border(ns: Namespace, u: Array, axis: int, before: int, after: int) -> Array:
    """Zeros added before and after along `axis`; entries cut off where a number is negative, zeros among them."""
    parts = [u]
    for width, place in ((before, 0), (after, 2)):
        if width > 0:
            shape = (*tuple(u.shape)[:axis], width, *tuple(u.shape)[axis + 1 :])
            parts.insert(place, ns.zeros(shape))
    wide = u if len(parts) == 1 else ns.concat(parts, axis=axis)
    length = wide.shape[axis]
    return wide[(slice(None),) * axis + (slice(max(0, -before), length - max(0, -after)), ...)]
