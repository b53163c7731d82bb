"""Borders of a grid: what stands around a map before a kernel slides over it.

Five sorts.  With `zeros` and `point` every border place holds one given value, which depends on nothing;
with `reflect`, `replicate` and `circular` it holds a copy of a place inside.  Arrays are (N, *grid, J).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.counts import is_count
from geomkfac.errors import ShapeError, UnknownNameError, ValuesError
from geomkfac.names import look_up
from geomkfac.required import shown

BORDERS = {name: name for name in ("point", "reflect", "replicate", "circular")}
"""How the border is filled; `point` with one value, the others with copies."""

Padding = int | str | Sequence[int | tuple[int, int]]


def padding_of(padding: Padding, kernel: Sequence[int], dilation: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """``(before, after)`` for every axis.

    Parameters
    ----------
    padding : one int for all sides; one int or pair (before, after) for each axis; 'valid' for none;
        'same' for as many places as go in (strides apart)

    Raises
    ------
    ShapeError : another number of axes.
    ValuesError, UnknownNameError : negative numbers, or no numbers.
    """
    axes = len(kernel)
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise UnknownNameError(f"padding must be 'same', 'valid' or numbers, not {shown(padding)}.")
        if padding == "valid":
            return ((0, 0),) * axes
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    entries = (padding,) * axes if isinstance(padding, int) else tuple(padding)
    if len(entries) != axes:
        raise ShapeError(
            f"the padding needs one number, or one pair, for every axis of the grid.\n  required: {axes}\n"
            f"  came    : {shown(padding)}\nPass one int for all sides, or {axes} ints or pairs (before, after)."
        )
    pairs = []
    for entry in entries:
        pair = (entry, entry) if isinstance(entry, int) else tuple(entry)
        if len(pair) != 2 or not all(is_count(n, 0) for n in pair):
            raise ValuesError(
                f"padding is made of nonnegative ints, or pairs (before, after) of them.\n  came: {shown(padding)}\n"
                "Use 0 for no padding."
            )
        pairs.append((pair[0], pair[1]))
    return tuple(pairs)


@final
@dataclass(frozen=True, slots=True)
class Borders:
    """A border of given widths on a grid.

    Parameters
    ----------
    grid : lengths of the axes, without the border
    widths : (before, after) for every axis
    filled : 'point', 'reflect', 'replicate' or 'circular'

    Raises
    ------
    ShapeError : a reflected border as wide as its axis, or a circular one wider.
    """

    grid: tuple[int, ...]
    widths: tuple[tuple[int, int], ...]
    filled: str = "point"

    def __post_init__(self) -> None:
        look_up("border", self.filled, BORDERS)
        for length, pair in zip(self.grid, self.widths, strict=True):
            most = {"reflect": length - 1, "circular": length}.get(self.filled)
            if most is not None and max(pair) > most:
                raise ShapeError(
                    f"a {self.filled} border can be {most} wide at most on an axis of length {length}.\n"
                    f"  came: {self.widths}\nUse less padding, or replicate."
                )

    @property
    def padded(self) -> tuple[int, ...]:
        """The grid with its border."""
        return tuple(a + length + b for length, (a, b) in zip(self.grid, self.widths, strict=True))

    @property
    def is_constant(self) -> bool:
        """Whether the border depends on nothing inside."""
        return self.filled == "point"

    def pad(self, ns: Namespace, x: Array, value: Array | None = None) -> Array:
        """(N, *grid, J) to (N, *padded, J).

        Parameters
        ----------
        value : array, shape (J,), at every border place; needed where the border is a point
        """
        for axis, (before, after) in enumerate(self.widths, start=1):
            if not before and not after:
                continue
            if not self.is_constant:
                x = ns.take(x, self._sources(axis - 1), axis)
                continue
            parts = [x]
            for width, place in ((before, 0), (after, len(parts) + 1)):
                if width:
                    shape = (*tuple(x.shape)[:axis], width, *tuple(x.shape)[axis + 1 :])
                    parts.insert(place, ns.broadcast_to(value, shape))
            x = ns.concat(parts, axis=axis)
        return x

    def transpose(self, ns: Namespace, u: Array) -> Array:
        """The transpose of the linear part of `pad`: (N, *padded, J) to (N, *grid, J)."""
        for axis, (before, after) in enumerate(self.widths, start=1):
            if not before and not after:
                continue
            length = self.grid[axis - 1]
            if self.is_constant:
                u = u[(slice(None),) * axis + (slice(before, before + length), ...)]
            else:
                chosen = ns.take(ns.eye(length), self._sources(axis - 1), 0)
                u = ns.apply(chosen.mT, u, axis - u.ndim)
        return u

    def _sources(self, axis: int) -> list[int]:
        """For every place of the padded axis, the place inside that it copies."""
        length, (before, after) = self.grid[axis], self.widths[axis]
        places = range(-before, length + after)
        if self.filled == "circular":
            return [place % length for place in places]
        if self.filled == "replicate":
            return [min(max(place, 0), length - 1) for place in places]
        return [abs(place) if place < length else 2 * (length - 1) - place for place in places]
