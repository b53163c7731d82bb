"""Batch axes: the shape of a batch, how batches broadcast, what indexes them, and a matrix for each of a batch."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.errors import KindError
from geomkfac.spaces.frames.change import Components
from geomkfac.spaces.frames.frame import DenseFrame, Frame

if TYPE_CHECKING:
    from geomkfac.spaces.space import Space


def shape_of_batch(space: Space, frame: Frame, components: Components) -> tuple[int, ...]:
    """The batch shape of components in `frame`."""
    return shape_of_slots((space.dim,) if isinstance(frame, DenseFrame) else space.slots, components)


def shape_of_slots(slots: Any, components: Components) -> tuple[int, ...]:
    """The batch shape of components whose last axes are `slots`."""
    while isinstance(components, tuple):
        components, slots = components[0], slots[0]
    shape = tuple(components.shape)
    return shape[: len(shape) - len(slots)]


def broadcast(left: tuple[int, ...], right: tuple[int, ...]) -> bool:
    """Whether two batch shapes broadcast."""
    pairs = zip(reversed(left), reversed(right), strict=False)
    return all(m == n or 1 in (m, n) for m, n in pairs)


def checked_key(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """Basic indices alone, NumPy's integers as Python's."""
    checked: list[Any] = []
    for entry in key:
        if isinstance(entry, Integral) and not isinstance(entry, bool):
            checked.append(int(entry))
        elif entry is None or entry is Ellipsis or isinstance(entry, slice):
            checked.append(entry)
        else:
            raise KindError(
                "batch axes are indexed by integers, slices, None and `...`.\n"
                f"  came: {type(entry).__name__}\nIndex the arrays before they enter."
            )
    return tuple(checked)


def rows_times(ns: Namespace, rows: Array, matrix: Array) -> Array:
    """``rows @ matrix`` for rows (*batch, n) and one matrix (n, m) or a batch of them."""
    if matrix.ndim == 2:
        return ns.matmul(rows, matrix)
    return ns.matmul(rows[..., None, :], matrix)[..., 0, :]
