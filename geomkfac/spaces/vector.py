"""Vector spaces and their duals.

`VectorSpace` is a base space; `Dual` is the space of linear functionals on a vector space V, with
``V.dual.dual is V`` (the one canonical isomorphism that is not named, LG 2.2.2).  An isomorphism
between V and its dual is *not* canonical: it needs a frame or a metric.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.errors import SpaceMismatchError
from geomkfac.kept import kept
from geomkfac.required import check_type, shown
from geomkfac.spaces.element import Element, Vector
from geomkfac.spaces.frames.change import Change, Components, SlotChange, SlotwiseChange
from geomkfac.spaces.frames.frame import BaseFrame, DenseFrame, Frame, between, derived_frame
from geomkfac.spaces.space import BaseSpace, Space, intern_space


class LinearSpace(Space):
    """What every vector space has: a zero, a dual, and the pairing with it."""

    __slots__ = ()

    if TYPE_CHECKING:
        # Elements of a vector space are vectors.

        def from_coordinates(self, array: Any, frame: Any) -> Vector: ...

        def from_components(self, frame: Frame, components: Components, ns: Namespace) -> Vector: ...

    @property
    def direction(self) -> LinearSpace:
        return self

    @property
    @kept
    def dual(self) -> LinearSpace:
        """The space of linear functionals."""
        return intern_space(Dual, (self,), lambda dual: dual._build(self))

    def zero(self, like: Vector | None = None) -> Vector:
        """The zero vector, in the array namespace of `like` or the default one of the kind."""
        ns = self._namespace_like(like)
        frame = self.frame_from(lambda base: base._reference_frame())
        return self.from_components(frame, self._zeros(ns), ns)

    def _namespace_like(self, like: Vector | None) -> Namespace:
        if like is None:
            return self.kind.default_namespace
        check_type("the vector whose arrays are meant", like, Element)
        return like.namespace

    def _zeros(self, ns: Namespace) -> Components:
        return ns.zeros(self.slots)

    @abstractmethod
    def _slot_changes(self, source: Frame, target: Frame) -> tuple[SlotwiseChange, ...]:
        """One linear change per slot."""

    def _change(self, source: Frame, target: Frame) -> Change:
        return SlotChange(self._slot_changes(source, target))

    def _linear_frame(self, frame: Frame) -> Frame:
        return frame

    def _dual_frame(self, frame: Frame) -> Frame:
        return derived_frame(self.dual, (frame,))

    def _element(self, frame: Frame, components: Components, ns: Namespace) -> Vector:
        return Vector(self, frame, components, ns)

    # -- what an element does when called --------------------------------------------------------
    def _call(self, element: Vector, *arguments: Any) -> Any:
        if len(arguments) == 1 and isinstance(arguments[0], Vector) and arguments[0].space is self.dual:
            return pairing(element, arguments[0])
        came = ", ".join(map(shown, arguments))
        raise SpaceMismatchError(
            f"cannot evaluate {shown(element)}.\n  required: a vector of {self.dual!r}{self._also_takes}\n"
            f"  came    : {came}"
        )

    @property
    def _also_takes(self) -> str:
        return ""


def pairing(left: Vector, right: Vector) -> Array:
    """The number ``<left, right>`` of a covector and a vector, in the frame of `left`; batches broadcast."""
    left.require_same_namespace(right)
    ns = left.namespace
    frame = left.storage_frame
    if isinstance(frame, DenseFrame):
        return ns.pair(left._components, right.components_in(frame.dual), 1)
    return _pair_trees(ns, left._components, right.components_in(frame.dual), left.space.slots)


def _pair_trees(ns: Namespace, x: Components, y: Components, slots: Any) -> Array:
    if isinstance(x, tuple):
        parts = [_pair_trees(ns, a, b, s) for a, b, s in zip(x, y, slots, strict=True)]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total
    return ns.pair(x, y, len(slots))


@final
class VectorSpace(BaseSpace, LinearSpace):
    """A vector space of dimension `dim` over a kind of scalar, with no basis of its own.

    Examples
    --------
    >>> import numpy as np
    >>> V = VectorSpace("V", 2)
    >>> e = V.frame("e")
    >>> v = V.from_coordinates(np.asarray([1.0, 2.0]), e)
    >>> v
    Vector of VectorSpace('V', dim=2) over floating
    >>> v.coordinates(e.change(np.asarray([[0.0, 1.0], [1.0, 0.0]])))
    array([2., 1.])
    """

    __slots__ = ()

    def _slot_changes(self, source: Frame, target: Frame) -> tuple[SlotwiseChange, ...]:
        return (between(source, target),)


@final
class Dual(LinearSpace):
    """The space of covectors of a vector space: linear functionals.  Made by ``V.dual``."""

    __slots__ = ("of",)

    of: LinearSpace

    def _build(self, space: LinearSpace) -> None:
        self.of = space
        self._set_up(f"{space.name}*", space.kind, space.dim, space.slots)

    @property
    def dual(self) -> LinearSpace:
        return self.of

    @property
    def _vec_order(self) -> tuple[int, ...]:
        return self.of._vec_order

    @property
    def _noun(self) -> str:
        return "a covector"

    def frame_from(self, lookup: Callable[[BaseSpace], BaseFrame]) -> Frame:
        return self.of._dual_frame(self.of.frame_from(lookup))

    def _slot_changes(self, source: Frame, target: Frame) -> tuple[SlotwiseChange, ...]:
        changes = self.of._slot_changes(self._dual_frame(source), self._dual_frame(target))
        return tuple(change.dual() for change in changes)

    def _dual_frame(self, frame: Frame) -> Frame:
        return frame.parts[0]

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.of, "dual")
