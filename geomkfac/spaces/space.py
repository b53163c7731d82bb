"""What every space has: a name, a kind of scalar, a dimension, and frames through which numbers pass.

The identity of a space is the object; the name is only a label.  Derived spaces are interned, so a
type check is ``is``.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from geomkfac.arrays import floating
from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Kind, Namespace
from geomkfac.counts import checked_count
from geomkfac.errors import FrameError, KindError, ShapeError, SpaceMismatchError, ValuesError
from geomkfac.kept import Kept, interned, kept
from geomkfac.required import shown
from geomkfac.spaces.frames import gauge
from geomkfac.spaces.frames.change import BaseChange, Change, Components, map_components
from geomkfac.spaces.frames.frame import BaseFrame, DenseFrame, Frame

if TYPE_CHECKING:
    from geomkfac.spaces.element import Element

LARGEST = 2**48
"""The largest dimension of a base space."""
_bases: WeakValueDictionary[str, BaseSpace] = WeakValueDictionary()
_interned: WeakValueDictionary[tuple[Any, ...], Space] = WeakValueDictionary()
SpaceT = TypeVar("SpaceT", bound="Space")


class Space(ABC):
    """A finite-dimensional vector or affine space.

    Attributes
    ----------
    name : label, for people
    kind : kind of scalar
    dim : dimension
    slots : shape of the components of one element, (*slots); for a product a tuple of shapes
    """

    __slots__ = ("__weakref__", "_kept", "dim", "kind", "name", "slots")

    name: str
    kind: Kind
    dim: int
    slots: Any
    is_affine = False

    def _set_up(self, name: str, kind: Kind, dim: int, slots: Any) -> None:
        self.name, self.kind, self.dim, self.slots = name, kind, dim, slots
        self._kept = Kept()

    @property
    @abstractmethod
    def direction(self) -> Space:
        """The vector space of differences: of an affine space its direction, of a vector space itself."""

    @property
    @abstractmethod
    def dual(self) -> Space:
        """The dual of a vector space."""

    def _hull_frame(self, frame: Frame) -> Frame:
        """The frame of the hull that a frame of an affine space determines."""
        raise SpaceMismatchError(f"the hull is of an affine space, not of {self!r}.")

    @abstractmethod
    def frame_from(self, lookup: Callable[[BaseSpace], BaseFrame]) -> Frame:
        """The frame that a choice of one frame for every base space determines here."""

    @abstractmethod
    def _change(self, source: Frame, target: Frame) -> Change:
        """The change between two base or derived frames of this space."""

    @abstractmethod
    def _element(self, frame: Frame, components: Components, ns: Namespace) -> Any:
        """Wrap components, unchecked."""

    @abstractmethod
    def _linear_frame(self, frame: Frame) -> Frame:
        """The frame of the direction that a base or derived frame of this space determines."""

    @abstractmethod
    def _dual_frame(self, frame: Frame) -> Frame:
        """The dual frame of a base or derived frame; of an affine space, that of its direction."""

    def _call(self, element: Any, *arguments: Any) -> Any:
        raise SpaceMismatchError(f"{shown(element)} is not a map and cannot be called.")

    def _compose(self, element: Any, other: Any) -> Any:
        raise SpaceMismatchError(
            f"@ composes maps; {shown(element)} is not a map.\nElements of Hom and AffineMaps are."
        )

    def _linear_part(self, element: Any) -> Any:
        raise SpaceMismatchError(f"{shown(element)} is not an affine map and has no linear part.")

    # -- the door ----------------------------------------------------------------------------
    def from_coordinates(self, array: Any, frame: Any) -> Any:
        """The element, or batch of elements, with these coordinates.

        Parameters
        ----------
        array : array, shape (*batch, *slots), copied; for a product space a sequence of arrays, one per
            factor, of one batch shape
        frame : Frame of this space, or a Parameterization

        Raises
        ------
        ShapeError, KindError, ValuesError, FrameError
        """
        frame, components, ns = self._admitted(array, frame)
        return self.from_components(frame, map_components(ns.copy, components), ns)

    def _admitted(self, array: Any, frame: Any) -> tuple[Frame, Components, Namespace]:
        """Checked components, which may share memory with `array`."""
        frame = self.own_frame(frame)
        if isinstance(frame, DenseFrame):
            ns = self.kind.namespace_of(array)
            return frame, self._checked_leaf(ns, array, (self.dim,)), ns
        ns = self._namespace(array)
        return frame, self._checked_components(ns, array), ns

    def from_components(self, frame: Frame, components: Components, ns: Namespace) -> Any:
        """The one place where elements are born; gauge fuzzing stores them in frames of its own."""
        element = self._element(frame, components, ns)
        return element if gauge.active is None else gauge.active.stored(element)

    def _namespace(self, array: Any) -> Namespace:
        # An exact kind has one namespace, whose door also takes lists of ints.
        return self.kind.default_namespace if self.kind.is_exact else self.kind.namespace_of(array)

    def _checked_components(self, ns: Namespace, array: Any) -> Components:
        return self._checked_leaf(ns, array, self.slots)

    def _checked_leaf(self, ns: Namespace, array: Any, slots: tuple[int, ...]) -> Array:
        checked = ns.asarray(array, what=f"coordinates in {self!r}")
        shape = tuple(checked.shape)
        if len(shape) < len(slots) or shape[len(shape) - len(slots) :] != slots:
            wanted = ", ".join(["*batch", *map(str, slots)])
            raise ShapeError(
                f"coordinates of {self._noun} of {self!r} must have shape ({wanted}), not {shape}.\n"
                "The axes of one element come last; batch axes come first."
            )
        return checked

    def own_frame(self, frame: Any) -> Frame:
        if not isinstance(frame, Frame):
            lookup = getattr(frame, "frame_of", None)
            if lookup is None:
                raise FrameError(
                    f"coordinates need a Frame of {self!r} or a Parameterization, "
                    f"not {type(frame).__name__}.\nMake one with frame('name') of the base space."
                )
            frame = lookup(self)
        if frame.space is not self:
            raise FrameError(
                f"the frame belongs to another space.\n  required: a frame of {self!r}\n"
                f"  came    : {shown(frame)}{namesakes(self, frame.space)}\n"
                "Use the frame of this space, or a Parameterization."
            )
        result: Frame = frame
        return result

    # -- flattening, in vec order ----------------------------------------------------------------
    @property
    def _vec_order(self) -> tuple[int, ...]:
        """The order of the slots in which the C-order ravel is vec."""
        return tuple(range(len(self.slots)))

    def flatten(self, ns: Namespace, components: Components) -> Array:
        """Components (*batch, *slots) as (*batch, dim), in vec order."""
        rank = len(self.slots)
        if rank == 1:
            return components
        batch = tuple(components.shape)[: components.ndim - rank]
        order = self._vec_order
        if order != tuple(range(rank)):
            axes = [*range(len(batch)), *(len(batch) + axis for axis in order)]
            components = ns.permute(components, axes)
        return ns.reshape(components, (*batch, self.dim))

    def unflatten(self, ns: Namespace, flat: Array) -> Components:
        if len(self.slots) == 1:
            return flat
        order = self._vec_order
        batch = tuple(flat.shape)[:-1]
        components = ns.reshape(flat, (*batch, *(self.slots[axis] for axis in order)))
        if order != tuple(range(len(order))):
            back = [order.index(axis) for axis in range(len(order))]
            components = ns.permute(components, [*range(len(batch)), *(len(batch) + axis for axis in back)])
        return components

    @property
    def _noun(self) -> str:
        return "a point" if self.is_affine else "a vector"

    def __repr__(self) -> str:
        return f"{self.name} (dim={self.dim})"


class BaseSpace(Space):
    """A space that is not derived from others.  Its first frame introduces coordinates."""

    __slots__ = ("_declared", "_id")

    def __init__(self, name: str, dim: int, kind: Kind = floating) -> None:
        if not isinstance(name, str):
            raise ValuesError(f"a space is named by a string, not {type(name).__name__}.")
        checked_count(f"the dimension of {shown(name)}", dim, 0)
        if dim > LARGEST:
            raise ValuesError(f"no machine holds coordinates of so large a dimension.\n  came: {shown(dim)}")
        if not isinstance(kind, Kind):
            raise KindError(
                f"the kind of {name!r} must be a kind of scalar such as floating or GF(p), not {kind!r}."
            )
        self._set_up(name, kind, dim, (dim,))
        self._id = os.urandom(16).hex()
        self._declared = False
        _bases[self._id] = self

    def frame(self, name: str) -> BaseFrame:
        """The first frame of this space, which introduces its coordinates; once only.

        Raises
        ------
        FrameError : a frame has been declared before; declare further ones by their `change` from it.
        """
        if self._declared:
            raise FrameError(
                f"{self!r} has a frame already; a second one needs its relation to the first.\n"
                "Use change(matrix, translation) of a frame: y_new = matrix @ y_old + translation."
            )
        self._declared = True
        step = BaseChange(self.kind, self.dim, None, None, None)
        if gauge.active is not None:
            step = gauge.active.draw(self)
        return BaseFrame(self, name, self._reference_frame(), step)

    @kept
    def _reference_frame(self) -> BaseFrame:
        return BaseFrame(self, "reference", None, BaseChange(self.kind, self.dim, None, None, None))

    def frame_from(self, lookup: Callable[[BaseSpace], BaseFrame]) -> Frame:
        return lookup(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, dim={self.dim})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore_space, (type(self), self._id, self.name, self.dim, self.kind, self._declared)


def _restore_space(
    cls: type[BaseSpace], identity: str, name: str, dim: int, kind: Kind, declared: bool
) -> BaseSpace:
    def made() -> BaseSpace:
        space = cls(name, dim, kind)
        del _bases[space._id]
        space._id, space._declared = identity, declared
        return space

    return interned(_bases, identity, made)


def intern_space(
    cls: type[SpaceT], parts: tuple[Space, ...], make: Callable[[SpaceT], None], key: tuple[int, ...] = ()
) -> SpaceT:
    """The space of class `cls` derived from `parts` (and from numbers `key`), made once; `make` sets it up."""
    space = interned(_interned, (cls, key, *map(id, parts)), lambda: _made(cls, parts, make))
    return space  # type: ignore[return-value]


def _made(cls: type[SpaceT], parts: tuple[Space, ...], make: Callable[[SpaceT], None]) -> SpaceT:
    kinds = {part.kind for part in parts}
    if len(kinds) > 1:
        listed = "\n".join(f"  {part!r} over {part.kind!r}" for part in parts)
        raise KindError(f"the spaces must be over one kind of scalar; they are\n{listed}")
    fresh = object.__new__(cls)
    make(fresh)
    return fresh


def namesakes(left: Space, right: Space) -> str:
    """A line for messages that show two spaces, where only their identity tells them apart."""
    if left is right or repr(left) != repr(right):
        return ""
    return "\nThe two have one name and dimension, and are different spaces all the same."


def check_count(space: Space, required: int, came: int, what: str) -> None:
    """Raise unless there is one of `what` for every factor."""
    if came != required:
        raise ShapeError(
            f"{space!r} takes one of each factor's {what}.\n  required: {required}\n  came    : {came}\n"
            "Pass them in the order of the factors."
        )


def check_same_space(left: Element, right: Element, action: str, remedy: str) -> None:
    """Raise unless both elements live in the same space."""
    if left.space is not right.space:
        points = left.space.is_affine and right.space.is_affine
        what = "points live in different affine spaces" if points else "elements live in different spaces"
        raise SpaceMismatchError(
            f"cannot {action}: the {what}.\n"
            f"  left : {shown(left)}\n  right: {shown(right)}{namesakes(left.space, right.space)}\n{remedy}"
        )
