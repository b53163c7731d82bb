"""Frames: the only door between intrinsic objects and arrays.

A *base frame* is an origin and a basis of an affine base space, or a basis of a vector base space.
Derived spaces (dual, direction, hull, Hom, tensor product, affine maps, product) have *derived
frames*, determined by frames of their parts and interned, so that equal frames are the same object.
A *dense frame* changes the flattened components of any frame by one matrix, for small dimensions.

What is not canonical: a space has no frame of its own.  The first frame declared on a base space
introduces its coordinates; every later one is declared by its change from one already there.
Behind all of them stands one private reference frame per base space, which no computation may
feel; gauge fuzzing draws it at random.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, final
from weakref import WeakKeyDictionary, WeakValueDictionary

from geomkfac.arrays.array import Array
from geomkfac.errors import FrameError, ShapeError, SingularMatrixError, ValuesError
from geomkfac.kept import Kept, interned, kept
from geomkfac.required import check_type, shown
from geomkfac.spaces.frames.change import BaseChange, Change, Components

if TYPE_CHECKING:
    from geomkfac.spaces.space import BaseSpace, Space

_by_id: WeakValueDictionary[str, BaseFrame] = WeakValueDictionary()
_dense_by_id: WeakValueDictionary[str, DenseFrame] = WeakValueDictionary()
_derived: WeakValueDictionary[tuple[int, ...], DerivedFrame] = WeakValueDictionary()


class Frame(ABC):
    """Coordinates on a space.  Frames hash and compare by identity."""

    __slots__ = ("__weakref__", "_changes", "_kept", "name", "parts", "space")

    space: Space
    name: str
    parts: tuple[Frame, ...]

    def __init__(self, space: Space, name: str, parts: tuple[Frame, ...] = ()) -> None:
        check_type("the name of a frame", name, str, error=FrameError)
        self.space, self.name, self.parts = space, name, parts
        self._changes: WeakKeyDictionary[Frame, Change] = WeakKeyDictionary()
        self._kept = Kept()

    @property
    @kept
    def linear(self) -> Frame:
        """The frame of the direction: the same basis, the origin forgotten."""
        return self.space._linear_frame(self)

    @property
    @kept
    def dual(self) -> Frame:
        """The dual basis, a frame of the dual space."""
        return self.space._dual_frame(self)

    @property
    def structured(self) -> Frame:
        """The frame itself; of a dense one, the base or derived frame that it stands over."""
        return self

    @property
    @kept
    def hull(self) -> Frame:
        """The frame of the hull: basis vectors of weight 0, then the origin, of weight 1."""
        return self.space._hull_frame(self)

    def dense_change(self, matrix: Any, translation: Any = None, *, name: str = "dense") -> DenseFrame:
        """A frame with ``y_new = matrix @ vec(y_old) + translation`` on flattened components.

        Parameters
        ----------
        matrix : array, shape (dim, dim), invertible; columns in vec order of this space
        translation : array, shape (dim,); for affine spaces only
        """
        return DenseFrame(self, matrix, translation, name=name)

    @abstractmethod
    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled and copied by what makes it the same frame."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r} of {self.space!r})"


@final
class BaseFrame(Frame):
    """An origin and a basis of a base space.  Made by `frame` of the space and by `change`."""

    __slots__ = ("_id", "_parent", "_step")

    space: BaseSpace

    def __init__(
        self, space: BaseSpace, name: str, parent: BaseFrame | None, step: BaseChange, identity: str | None = None
    ) -> None:
        super().__init__(space, name)
        self._parent, self._step = parent, step
        self._id = identity or os.urandom(16).hex()
        _by_id[self._id] = self

    def change(self, matrix: Any = None, translation: Any = None, *, name: str | None = None) -> BaseFrame:
        """The frame in which ``y_new = matrix @ y_old + translation``.

        Parameters
        ----------
        matrix : array, shape (dim, dim), invertible; None for the identity
        translation : array, shape (dim,); None for zero; a vector space takes none

        Raises
        ------
        SingularMatrixError, ShapeError, ValuesError, KindError
        """
        ns = self.space.kind.default_namespace
        dim = self.space.dim
        inverse = None
        if matrix is not None:
            matrix = _checked(ns, matrix, (dim, dim), "matrix of the change of basis")
            inverse = _inverse(ns, matrix, self.space)
        if translation is not None:
            if not self.space.is_affine:
                raise FrameError(
                    f"a frame of {self.space!r} has no origin to move: a vector space has its zero.\n"
                    "Pass the matrix alone, or use an AffineSpace."
                )
            translation = _checked(ns, translation, (dim,), "translation of the change of basis")
        step = BaseChange(self.space.kind, dim, matrix, inverse, translation)
        return BaseFrame(self.space, f"{self.name}'" if name is None else name, self, step)

    def change_from(self, other: BaseFrame) -> tuple[Array, Array]:
        """``(matrix, translation)`` with ``y_self = matrix @ y_other + translation``, float64 or exact."""
        if not isinstance(other, BaseFrame) or other.space is not self.space:
            raise FrameError(f"cannot relate frames of different spaces: {shown(other)} and {self!r}.")
        ns, dim = self.space.kind.default_namespace, self.space.dim
        change = between(other, self)
        matrix = ns.eye(dim) if change.matrix is None else change.matrix
        return matrix, ns.zeros((dim,)) if change.translation is None else change.translation

    def __reduce__(self) -> tuple[Any, ...]:
        if self._parent is None:
            return _reference_frame, (self.space,)
        return _restore_frame, (self._id, self.space, self.name, self._parent, self._step)


def frame_about(frame: BaseFrame, origin: Array, per_unit: Array | None) -> BaseFrame:
    """The frame in which ``y_new = (y_old - origin) * per_unit``, made once for equal numbers; floating point only.

    Parameters
    ----------
    origin : array, shape (dim,), of any namespace
    per_unit : array, shape (dim,), of powers of two; None for ones
    """
    space = frame.space
    ns, dim = space.kind.default_namespace, space.dim
    origin, scales = ns.cast(origin), None if per_unit is None else ns.cast(per_unit)
    digits = b"" if scales is None else scales.tobytes()
    identity = hashlib.sha256(frame._id.encode() + origin.tobytes() + digits).hexdigest()

    def made() -> BaseFrame:
        matrix, inverse, moved = None, None, -origin
        if scales is not None:
            matrix, inverse, moved = ns.eye(dim) * scales, ns.eye(dim) / scales, moved * scales
        step = BaseChange(space.kind, dim, matrix, inverse, moved)
        return BaseFrame(space, f"{frame.name}, about the data", frame, step, identity)

    return interned(_by_id, identity, made)


def _reference_frame(space: BaseSpace) -> BaseFrame:
    return space._reference_frame()


def _restore_frame(
    identity: str, space: BaseSpace, name: str, parent: BaseFrame | None, step: BaseChange
) -> BaseFrame:
    return interned(_by_id, identity, lambda: BaseFrame(space, name, parent, step, identity))


@final
class DerivedFrame(Frame):
    """The frame of a derived space that frames of its parts determine.  Interned by its parts."""

    __slots__ = ()

    def __init__(self, space: Space, parts: tuple[Frame, ...]) -> None:
        for part in parts:
            if isinstance(part, DenseFrame):
                raise FrameError(
                    f"a derived frame is made of base and derived frames.\n  required: parts of {space!r}\n"
                    f"  came    : {part!r}\n"
                    "Use `change` of a base frame, or `dense_change` of the derived frame itself."
                )
        names = list(dict.fromkeys(part.name for part in parts))
        super().__init__(space, names[0] if len(names) == 1 else "(" + ", ".join(names) + ")", parts)

    def __reduce__(self) -> tuple[Any, ...]:
        return derived_frame, (self.space, self.parts)


def derived_frame(space: Space, parts: tuple[Frame, ...]) -> DerivedFrame:
    """The derived frame of `space` with these `parts`, made once."""
    return interned(_derived, (id(space), *map(id, parts)), lambda: DerivedFrame(space, parts))


@final
class DenseFrame(Frame):
    """One matrix on the flattened components of another frame; components have shape (*batch, dim)."""

    __slots__ = ("_back", "_forth", "_id", "over")

    def __init__(self, over: Frame, matrix: Any, translation: Any = None, *, name: str = "dense") -> None:
        check_type("what a dense frame stands over", over, Frame, error=FrameError)
        if isinstance(over, DenseFrame):
            raise FrameError(
                "a dense frame stands over a base or derived frame.\n"
                f"  came: {shown(over)}\nMultiply the matrices instead."
            )
        ns, dim = over.space.kind.default_namespace, over.space.dim
        matrix = _checked(ns, matrix, (dim, dim), "matrix of the dense frame")
        inverse = _inverse(ns, matrix, over.space)
        if translation is not None:
            if not over.space.is_affine:
                raise FrameError(f"a frame of {over.space!r} has no origin to move; pass the matrix alone.")
            translation = _checked(ns, translation, (dim,), "translation of the dense frame")
        self._set_up(over, BaseChange(over.space.kind, dim, matrix, inverse, translation), name)

    def _set_up(self, over: Frame, forth: BaseChange, name: str, identity: str | None = None) -> None:
        super().__init__(over.space, name)
        self.over, self._forth, self._back = over, forth, forth.inverted()
        self._id = identity or os.urandom(16).hex()
        _dense_by_id[self._id] = self

    @property
    def structured(self) -> Frame:
        return self.over

    @property
    @kept
    def linear(self) -> Frame:
        return _dense_frame(self.over.linear, self._forth.linear(), self.name) if self.space.is_affine else self

    @property
    @kept
    def dual(self) -> Frame:
        if self.space.is_affine:
            return self.linear.dual
        dual = _dense_frame(self.over.dual, self._forth.dual(), self.name)
        dual._kept["dual"] = self
        return dual

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore_dense, (self._id, self.over, self._forth, self.name)


def _dense_frame(over: Frame, forth: BaseChange, name: str, identity: str | None = None) -> DenseFrame:
    frame = object.__new__(DenseFrame)
    frame._set_up(over, forth, name, identity)
    return frame


def _restore_dense(identity: str, over: Frame, forth: BaseChange, name: str) -> DenseFrame:
    return interned(_dense_by_id, identity, lambda: _dense_frame(over, forth, name, identity))


def convert(space: Space, components: Components, source: Frame, target: Frame, ns: Any) -> Components:
    """Components in `target` of the element that has `components` in `source`."""
    if source is target:
        return components
    if isinstance(source, DenseFrame):
        flat = _dense(ns, source._back, components)
        return convert(space, space.unflatten(ns, flat), source.over, target, ns)
    if isinstance(target, DenseFrame):
        inner = convert(space, components, source, target.over, ns)
        return _dense(ns, target._forth, space.flatten(ns, inner))
    return change_of(space, source, target)(ns, components)


def change_of(space: Space, source: Frame, target: Frame) -> Change:
    """The change from `source` to `target`, none of them dense; made once."""
    change = source._changes.get(target)
    if change is None:
        change = source._changes[target] = space._change(source, target)
    return change


def _dense(ns: Any, change: BaseChange, flat: Array) -> Array:
    moved = ns.apply(ns.cast(change.matrix), flat, -1)
    return moved if change.translation is None else moved + ns.cast(change.translation)


def between(source: Frame, target: Frame) -> BaseChange:
    """The change from `source` to `target`, frames of one base space, by their nearest common ancestor."""
    if not isinstance(source, BaseFrame) or not isinstance(target, BaseFrame):
        raise FrameError(f"only frames of base spaces are related directly, not {source!r} and {target!r}.")
    up: list[BaseFrame] = []
    node: BaseFrame | None = source
    while node is not None:
        up.append(node)
        node = node._parent
    down: list[BaseFrame] = []
    node = target
    while node is not None and node not in up:
        down.append(node)
        node = node._parent
    change = BaseChange(source.space.kind, source.space.dim, None, None, None)
    for frame in up:
        if frame is node:
            break
        change = change.then(frame._step.inverted())
    for frame in reversed(down):
        change = change.then(frame._step)
    return change


def _checked(ns: Any, values: Any, shape: tuple[int, ...], what: str) -> Array:
    array = ns.asarray(values, what=what)
    if tuple(array.shape) != shape:
        raise ShapeError(f"the {what} must have shape {shape}, not {tuple(array.shape)}.")
    return ns.copy(array)


def _inverse(ns: Any, matrix: Array, space: Space) -> Array:
    try:
        inverse = ns.inverse(matrix)
    except SingularMatrixError as error:
        raise SingularMatrixError(
            f"a change of basis of {space!r} must be invertible; the matrix passed is singular.\n"
            "Pass a square matrix of full rank."
        ) from error
    if not ns.kind.is_exact and space.dim:
        condition = float(ns.norm(matrix)) * float(ns.norm(inverse))
        if not condition * ns.epsilon < 1:
            raise ValuesError(
                f"a change of basis of {space!r} must be invertible in floating point; "
                f"its condition number is about {condition:.1e}.\nPass a better conditioned matrix."
            )
    return inverse
