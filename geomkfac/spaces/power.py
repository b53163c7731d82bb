"""Powers A^K of one space: the same space at every place of a grid.

An element of A^K is one element of A for every place, so its components are those of a *batch* of
elements of A, of shape (*batch, *grid, *slots of A): going from the one to the other (`spread`, `gather`)
moves no number.  A frame of A is used at every place: the linear part of a change is I (x) B, the
translation 1 (x) c (LG (2.12)).  The hull of A^K has *one* homogeneous coordinate, and is not the power
of the hull (erratum E1).
Source: LG 2.2.3, 4.1.2, 5.1.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.counts import is_count
from geomkfac.errors import ShapeError, SpaceMismatchError, ValuesError
from geomkfac.kept import kept
from geomkfac.required import shown
from geomkfac.spaces.affine import PointSpace
from geomkfac.spaces.element import Element, Point
from geomkfac.spaces.frames.change import BaseChange, Change, Components, HullChange, SlotwiseChange, map_components
from geomkfac.spaces.frames.frame import BaseFrame, Frame, derived_frame
from geomkfac.spaces.product import ProductSpace, ProductVectorSpace
from geomkfac.spaces.space import BaseSpace, Space, intern_space
from geomkfac.spaces.vector import LinearSpace


class _Power(Space):
    """What powers of either sort share: everything happens place by place."""

    __slots__ = ("base", "grid", "places")

    base: Any
    grid: tuple[int, ...]
    places: int

    def _build(self, base: Any, grid: tuple[int, ...]) -> None:
        self.base, self.grid, self.places = base, grid, math.prod(grid)
        slots = _with_grid(base.slots, grid)
        self._set_up(f"{base.name}^({'x'.join(map(str, grid))})", base.kind, self.places * base.dim, slots)

    def frame(self, frame: Frame) -> Frame:
        """The frame that uses `frame`, of the base space, at every place."""
        return derived_frame(self, (self.base.own_frame(frame),))

    def frame_from(self, lookup: Callable[[BaseSpace], BaseFrame]) -> Frame:
        return derived_frame(self, (self.base.frame_from(lookup),))

    def _change(self, source: Frame, target: Frame) -> Change:
        change: Change = self.base._change(source.parts[0], target.parts[0])
        return change

    def _namespace(self, array: Any) -> Namespace:
        ns: Namespace = self.base._namespace(array)
        return ns

    def _checked_components(self, ns: Namespace, array: Any) -> Components:
        if not isinstance(self.base, ProductSpace | ProductVectorSpace):
            return self._checked_leaf(ns, array, self.slots)
        powers = [_power(factor, self.grid) for factor in self.base.factors]
        return tuple(power._checked_components(ns, part) for power, part in zip(powers, array, strict=True))

    def flatten(self, ns: Namespace, components: Components) -> Array:
        """Components as (*batch, dim), one place after the other."""
        flat = self.base.flatten(ns, components)
        batch = tuple(flat.shape)[: flat.ndim - 1 - len(self.grid)]
        return ns.reshape(flat, (*batch, self.dim))

    def unflatten(self, ns: Namespace, flat: Array) -> Components:
        batch = tuple(flat.shape)[:-1]
        return self.base.unflatten(ns, ns.reshape(flat, (*batch, *self.grid, self.base.dim)))

    def spread(self, element: Element) -> Any:
        """The elements at all places: a batch of shape (*batch, *grid) of elements of the base space."""
        if not isinstance(element, Element) or element.space is not self:
            raise SpaceMismatchError(f"spread needs an element of {self!r}.\n  came: {shown(element)}")
        frame = element.storage_frame.structured
        return self.base.from_components(frame.parts[0], element.components_in(frame), element.namespace)

    def gather(self, elements: Element) -> Any:
        """The element with these components, a batch of shape (*batch, *grid) of elements of the base space."""
        if not isinstance(elements, Element) or elements.space is not self.base:
            raise SpaceMismatchError(f"gather needs elements of {self.base!r}.\n  came: {shown(elements)}")
        shape = elements.batch_shape
        if len(shape) < len(self.grid) or shape[len(shape) - len(self.grid) :] != self.grid:
            raise ShapeError(
                f"one element for every place is required.\n  required: batch shape (*batch, "
                f"{', '.join(map(str, self.grid))})\n  came    : {shape}\nReshape the batch."
            )
        frame = elements.storage_frame.structured
        return self.from_components(derived_frame(self, (frame,)), elements.components_in(frame), elements.namespace)


def _power(base: Space, grid: tuple[int, ...]) -> _Power:
    return PowerSpace(base, grid) if isinstance(base, PointSpace) else PowerVectorSpace(base, grid)  # type: ignore[arg-type]


def _with_grid(slots: Any, grid: tuple[int, ...]) -> Any:
    if slots and isinstance(slots[0], tuple):
        return tuple(_with_grid(part, grid) for part in slots)
    return (*grid, *slots)


def _checked_grid(grid: Iterable[int]) -> tuple[int, ...]:
    lengths = tuple(grid) if isinstance(grid, Iterable) else (grid,)
    for length in lengths:
        if not is_count(length):
            raise ValuesError(f"a grid is made of positive ints, not of {shown(length)}; the grid is {lengths}.")
    return lengths


@final
class PowerVectorSpace(_Power, LinearSpace):
    """The direct sum of equal vector spaces, one for every place of a grid."""

    __slots__ = ()

    def __new__(cls, base: LinearSpace, grid: Iterable[int]) -> PowerVectorSpace:
        if not isinstance(base, LinearSpace):
            raise SpaceMismatchError(f"a power of a vector space cannot be made of {shown(base)}.")
        shape = _checked_grid(grid)
        return intern_space(cls, (base,), lambda power: power._build(base, shape), key=shape)

    @property
    @kept
    def dual(self) -> PowerVectorSpace:
        return PowerVectorSpace(self.base.dual, self.grid)

    def _dual_frame(self, frame: Frame) -> Frame:
        return derived_frame(self.dual, (frame.parts[0].dual,))

    def _zeros(self, ns: Namespace) -> Components:
        zeros = self.base._zeros(ns)
        return map_components(lambda leaf: ns.broadcast_to(leaf, (*self.grid, *leaf.shape)), zeros)

    def _slot_changes(self, source: Frame, target: Frame) -> tuple[SlotwiseChange, ...]:
        identities = tuple(BaseChange(self.kind, length, None, None, None) for length in self.grid)
        changes: tuple[SlotwiseChange, ...] = self.base._slot_changes(source.parts[0], target.parts[0])
        return identities + changes

    def _change(self, source: Frame, target: Frame) -> Change:
        return _Power._change(self, source, target)

    def __reduce__(self) -> tuple[Any, ...]:
        return PowerVectorSpace, (self.base, self.grid)


@final
class PowerSpace(_Power, PointSpace):
    """The power A^K of an affine space: a point of A at every place of a grid.

    Parameters
    ----------
    base : affine space A
    grid : shape of the grid of places, such as (height, width); () for one place

    Examples
    --------
    >>> import numpy as np
    >>> from geomkfac.spaces.affine import AffineSpace, Hull
    >>> A = AffineSpace("A", 3)
    >>> images = PowerSpace(A, (28, 28))
    >>> images.dim, images.slots, Hull(images).dim
    (2352, (28, 28, 3), 2353)
    >>> image = images.from_coordinates(np.zeros((28, 28, 3)), images.frame(A.frame("iota")))
    >>> images.spread(image)
    Point of AffineSpace('A', dim=3), batch=(28, 28) over floating
    """

    __slots__ = ()

    def __new__(cls, base: PointSpace, grid: Iterable[int]) -> PowerSpace:
        if not isinstance(base, PointSpace):
            raise SpaceMismatchError(f"a power of an affine space cannot be made of {shown(base)}.")
        shape = _checked_grid(grid)
        return intern_space(cls, (base,), lambda power: power._build(base, shape), key=shape)

    @property
    @kept
    def direction(self) -> PowerVectorSpace:
        return PowerVectorSpace(self.base.direction, self.grid)

    def _linear_frame(self, frame: Frame) -> Frame:
        return derived_frame(self.direction, (frame.parts[0].linear,))

    def _hull_change(self, source: Frame, target: Frame) -> HullChange:
        return HullChange(self.places, self.base._flat_change(source.parts[0], target.parts[0]))

    def _element(self, frame: Frame, components: Components, ns: Namespace) -> Point:
        return Point(self, frame, components, ns)

    def __reduce__(self) -> tuple[Any, ...]:
        return PowerSpace, (self.base, self.grid)
