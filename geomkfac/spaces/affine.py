"""Affine spaces, their directions and their hulls.

An affine space is a set of points on which a vector space, its direction, acts freely and
transitively.  Its *hull* (homogenisation) is the vector space of dimension n + 1 in which points
are the vectors of weight 1 and directions those of weight 0: every affine map from A to a vector
space extends in one way to a linear map from Hull(A).  The homogeneous vector [a; 1] is
``of_point(a)``; the dual of the hull is the space of affine functions on A.

What is not canonical: an origin.  And the hull of a product is not the product of hulls.
Source: LG 2.1.3, 2.2.3; erratum E1.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

from geomkfac.arrays.namespace import Namespace
from geomkfac.errors import SpaceMismatchError, ValuesError
from geomkfac.kept import kept
from geomkfac.required import shown
from geomkfac.spaces.element import Element, Point, Vector
from geomkfac.spaces.frames.change import BaseChange, Change, Components, HullChange, SlotChange
from geomkfac.spaces.frames.frame import BaseFrame, DenseFrame, Frame, between, derived_frame
from geomkfac.spaces.space import BaseSpace, Space, intern_space
from geomkfac.spaces.vector import LinearSpace


class PointSpace(Space):
    """What every affine space has: points, a direction, and a hull."""

    __slots__ = ()
    is_affine = True

    if TYPE_CHECKING:
        # Elements of an affine space are points.

        def from_coordinates(self, array: Any, frame: Any) -> Point: ...

        def from_components(self, frame: Frame, components: Components, ns: Namespace) -> Point: ...

    @property
    def dual(self) -> Space:
        raise SpaceMismatchError(
            f"{self!r} is affine and has no dual.\n"
            "Use direction.dual for covectors, Hull(A).dual for affine functions."
        )

    @property
    @abstractmethod
    def direction(self) -> LinearSpace:
        """The vector space of differences of points."""

    def _dual_frame(self, frame: Frame) -> Frame:
        return frame.linear.dual

    @property
    def hull(self) -> Hull:
        """The vector hull, ``Hull(self)``."""
        return Hull(self)

    def _element(self, frame: Frame, components: Components, ns: Namespace) -> Point:
        return Point(self, frame, components, ns)

    def _flat_change(self, source: Frame, target: Frame) -> BaseChange:
        """The change on flattened components, as one matrix."""
        forth, back = self._change(source, target), self._change(target, source)
        matrix, translation = self._flat_matrix(forth)
        inverse, _ = self._flat_matrix(back)
        return BaseChange(self.kind, self.dim, matrix, inverse, translation)

    def _hull_frame(self, frame: Frame) -> Frame:
        return derived_frame(self.hull, (frame,))

    def _hull_change(self, source: Frame, target: Frame) -> HullChange:
        """The change that two frames of this space induce on its hull."""
        return HullChange(1, self._flat_change(source, target))

    def _flat_matrix(self, change: Change) -> tuple[Any, Any]:
        ns = self.kind.default_namespace
        origin = self.flatten(ns, change(ns, self.unflatten(ns, ns.zeros((self.dim,)))))
        images = self.flatten(ns, change(ns, self.unflatten(ns, ns.eye(self.dim))))
        return (images - origin).mT, origin


@final
class AffineSpace(BaseSpace, PointSpace):
    """An affine space of dimension `dim` with no origin and no basis of its own.

    Examples
    --------
    >>> import numpy as np
    >>> A = AffineSpace("A", 2)
    >>> iota = A.frame("iota")
    >>> kappa = iota.change(np.asarray([[2.0, 0.0], [0.0, 1.0]]), np.asarray([-1.0, 0.0]))
    >>> p = A.from_coordinates(np.asarray([1.0, 3.0]), iota)
    >>> p.coordinates(kappa)
    array([1., 3.])
    >>> (p - p).space is A.direction
    True
    """

    __slots__ = ()

    @property
    @kept
    def direction(self) -> LinearSpace:
        return intern_space(Direction, (self,), lambda direction: direction._build(self))

    def _linear_frame(self, frame: Frame) -> Frame:
        return derived_frame(self.direction, (frame,))

    def _change(self, source: Frame, target: Frame) -> Change:
        change = between(source, target)
        return SlotChange((change.linear(),), change.translation)

    def _flat_change(self, source: Frame, target: Frame) -> BaseChange:
        return between(source, target)


@final
class Direction(LinearSpace):
    """The vector space of differences of points of an affine space.  Made by ``A.direction``."""

    __slots__ = ("of",)

    of: AffineSpace

    def _build(self, space: AffineSpace) -> None:
        self.of = space
        self._set_up(f"T{space.name}", space.kind, space.dim, space.slots)

    def frame_from(self, lookup: Callable[[BaseSpace], BaseFrame]) -> Frame:
        return lookup(self.of).linear

    def _slot_changes(self, source: Frame, target: Frame) -> tuple[BaseChange, ...]:
        return (between(source.parts[0], target.parts[0]).linear(),)

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.of, "direction")


@final
class Hull(LinearSpace):
    """The vector hull of an affine space; homogeneous coordinate last.

    Examples
    --------
    >>> import numpy as np
    >>> A = AffineSpace("A", 2)
    >>> iota = A.frame("iota")
    >>> a = A.from_coordinates(np.asarray([3.0, 4.0]), iota)
    >>> Hull(A).of_point(a).coordinates(iota.hull)
    array([3., 4., 1.])
    """

    __slots__ = ("of",)

    of: PointSpace

    def __new__(cls, space: Space) -> Hull:
        if not isinstance(space, PointSpace):
            raise SpaceMismatchError(f"the hull is of an affine space, not of {shown(space)}.")
        return intern_space(cls, (space,), lambda hull: hull._build(space))

    def _build(self, space: PointSpace) -> None:
        self.of = space
        self._set_up(f"Hull({space.name})", space.kind, space.dim + 1, (space.dim + 1,))

    def of_point(self, point: Point) -> Vector:
        """The vector of weight 1 that stands for a point: coordinates [a; 1].  Source: LG 2.1.3."""
        if not isinstance(point, Point) or point.space is not self.of:
            raise SpaceMismatchError(f"of_point needs a point of {self.of!r}.\n  came: {shown(point)}")
        frame = point_frame(self.of, point.storage_frame)
        return self._bordered(frame, point.components_in(frame), point, point.namespace.ones)

    def of_vector(self, vector: Vector) -> Vector:
        """The vector of weight 0 that stands for a direction: coordinates [v; 0]."""
        if not isinstance(vector, Vector) or vector.space is not self.of.direction:
            raise SpaceMismatchError(
                f"of_vector needs a vector of {self.of.direction!r}.\n  came: {shown(vector)}"
            )
        frame = point_frame(self.of, vector.storage_frame)
        return self._bordered(frame, vector.components_in(frame.linear), vector, vector.namespace.zeros)

    def _bordered(
        self, frame: Frame, components: Components, element: Element, last: Callable[[tuple[int, ...]], Any]
    ) -> Vector:
        ns = element.namespace
        flat, column = self.of.flatten(ns, components), last((*element.batch_shape, 1))
        return self.from_components(frame.hull, ns.concat([flat, column], axis=-1), ns)

    def weight(self, like: Vector | None = None) -> Vector:
        """The covector that is 1 on points and 0 on directions; [0, ..., 0, 1] in every frame."""
        ns = self._namespace_like(like)
        frame = self.dual.frame_from(lambda base: base._reference_frame())
        return self.dual.from_components(frame, ns.eye(self.dim)[-1, :], ns)

    def point_of(self, vector: Vector) -> Point:
        """The point that a vector of nonzero weight stands for, after division by its weight.

        Raises
        ------
        ValuesError : a weight is zero.
        """
        if not isinstance(vector, Vector) or vector.space is not self:
            raise SpaceMismatchError(f"point_of needs a vector of {self!r}.\n  came: {shown(vector)}")
        ns = vector.namespace
        frame = self.frame_from(lambda base: base._reference_frame())
        if vector.storage_frame.space is self and not isinstance(vector.storage_frame, DenseFrame):
            frame = vector.storage_frame
        components = vector.components_in(frame)
        weights = components[..., -1:]
        flat = ns.reshape(weights, (-1,)) if weights.ndim != 1 else weights
        if any(ns.is_zero(flat[index]) for index in range(flat.shape[0])):
            raise ValuesError("a vector of weight zero stands for a direction, not for a point.")
        inner: Frame = frame.parts[0]
        return self.of.from_components(inner, self.of.unflatten(ns, components[..., :-1] / weights), ns)

    def frame_from(self, lookup: Callable[[BaseSpace], BaseFrame]) -> Frame:
        return self.of.frame_from(lookup).hull

    def _slot_changes(self, source: Frame, target: Frame) -> tuple[HullChange, ...]:
        return (self.of._hull_change(source.parts[0], target.parts[0]),)

    def __reduce__(self) -> tuple[Any, ...]:
        return Hull, (self.of,)


def point_frame(space: PointSpace, frame: Frame) -> Frame:
    """A frame of `space` that is not dense, as near as can be to a frame of it or of its direction."""
    if isinstance(frame, DenseFrame):
        frame = frame.over
    if frame.space is space:
        return frame
    if frame.space is space.direction and isinstance(space, AffineSpace):
        return frame.parts[0]
    return space.frame_from(lambda base: base._reference_frame())
