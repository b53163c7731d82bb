"""The affine space of affine maps, and its points as smooth maps.

``AffineMaps(A, Z)`` is the layerwise weight space of LG 3.1: an affine space in its own right.  The
coordinates of a point are (W b), shape (m, n + 1), the homogeneous coordinate last.  Its direction is
``Hom(Hull(A), Z.direction)``: a change of an affine map is a linear map on the hull.  Evaluation at a
point a is itself an affine map, whose pushforward is contraction with ``of_point(a)``.
Source: LG 3.1, 3.4, (3.3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, final

from geomkfac.errors import SpaceMismatchError
from geomkfac.kept import kept
from geomkfac.maps.smooth import Derivative, SmoothMap
from geomkfac.required import check_type, shown
from geomkfac.spaces import (
    AffineSpace,
    Element,
    Frame,
    Hom,
    Hull,
    LinearSpace,
    Point,
    PointSpace,
    Space,
    Vector,
)
from geomkfac.spaces.batches import rows_times
from geomkfac.spaces.element import check_namespace
from geomkfac.spaces.frames.change import Change, SlotChange
from geomkfac.spaces.frames.frame import BaseFrame, derived_frame
from geomkfac.spaces.space import BaseSpace, intern_space

Codomain: TypeAlias = AffineSpace | LinearSpace


@final
class AffineMaps(PointSpace):
    """The affine space of affine maps from `domain` to `codomain`; coordinates (W b), shape (m, n + 1).

    Parameters
    ----------
    domain : affine space; of a product, the coordinates are those of the factors in order
    codomain : AffineSpace, or a vector space (V -> TZ, such as the input map of a recurrence)
    """

    __slots__ = ("codomain", "domain")

    domain: PointSpace
    codomain: Codomain

    def __new__(cls, domain: Space, codomain: Space) -> AffineMaps:
        if (
            not isinstance(domain, PointSpace)
            or not isinstance(codomain, AffineSpace | LinearSpace)
            or len(codomain.slots) != 1
            or isinstance(codomain.slots[0], tuple)
        ):
            raise SpaceMismatchError(
                "affine maps go from an affine space to an AffineSpace or a vector space of columns.\n"
                f"  domain  : {shown(domain)}\n  codomain: {shown(codomain)}"
            )
        return intern_space(cls, (domain, codomain), lambda maps: maps._build(domain, codomain))

    def _build(self, domain: PointSpace, codomain: Codomain) -> None:
        self.domain, self.codomain = domain, codomain
        m, n = codomain.dim, domain.dim
        self._set_up(f"AffineMaps({domain.name}, {codomain.name})", domain.kind, m * (n + 1), (m, n + 1))

    @property
    def _noun(self) -> str:
        return "an affine map"

    @property
    def _vec_order(self) -> tuple[int, ...]:
        return (1, 0)

    @property
    @kept
    def direction(self) -> Hom:
        return Hom(Hull(self.domain), self.codomain.direction)

    def frame(self, domain: Frame, codomain: Frame) -> Frame:
        """The frame that frames of domain and codomain determine."""
        return derived_frame(self, (self.domain.own_frame(domain), self.codomain.own_frame(codomain)))

    def frame_from(self, lookup: Callable[[BaseSpace], BaseFrame]) -> Frame:
        return derived_frame(self, (self.domain.frame_from(lookup), self.codomain.frame_from(lookup)))

    def _linear_frame(self, frame: Frame) -> Frame:
        domain, codomain = frame.parts
        return derived_frame(self.direction, (domain.hull, codomain.linear))

    def _change(self, source: Frame, target: Frame) -> Change:
        """(W b) to ``Phi (W b) [Omega]_H^{-1} + (0 tau)``.  Source: LG (3.3), read from old to new."""
        linear = self.direction._slot_changes(source.linear, target.linear)
        moved = None
        if isinstance(self.codomain, AffineSpace):
            moved = self.codomain._flat_change(source.parts[1], target.parts[1]).translation
        if moved is None:
            return SlotChange(linear)
        ns = self.kind.default_namespace
        m, n = self.codomain.dim, self.domain.dim
        translation = ns.concat([ns.zeros((m, n)), ns.reshape(moved, (m, 1))], axis=1)
        return SlotChange(linear, translation)

    # -- what a point does ------------------------------------------------------------------------
    def _call(self, element: Point, *arguments: Any) -> Any:
        if (
            len(arguments) != 1
            or not isinstance(arguments[0], Point)
            or arguments[0].space is not self.domain
        ):
            came = ", ".join(map(shown, arguments))
            raise SpaceMismatchError(
                f"cannot evaluate {shown(element)}.\n  required: a point of {self.domain!r}\n  came    : {came}"
            )
        point = arguments[0]
        element.require_same_namespace(point)
        frame = element.storage_frame.structured
        ns, matrix = element.namespace, element.components_in(frame)
        flat = self.domain.flatten(ns, point.components_in(frame.parts[0]))
        image = rows_times(ns, flat, matrix[..., :-1].mT)
        # The product is nobody else's array yet.
        image += matrix[..., -1]
        return self.codomain.from_components(frame.parts[1], image, ns)

    def _compose(self, element: Point, other: Any) -> Any:
        """``element @ other``, the affine map that applies `other` first."""
        if (
            not isinstance(other, Point)
            or not isinstance(other.space, AffineMaps)
            or other.space.codomain is not self.domain
        ):
            raise SpaceMismatchError(
                "cannot compose: the inner map must end where the outer one begins.\n"
                f"  outer: {shown(element)}\n  inner: {shown(other)}"
            )
        element.require_same_namespace(other)
        frame, inner = element.storage_frame.structured, other.storage_frame.structured
        ns = element.namespace
        outer = element.components_in(frame)
        first = other.components_in(derived_frame(other.space, (inner.parts[0], frame.parts[0])))
        product = ns.matmul(outer[..., :-1], first)
        column = product[..., -1:] + outer[..., -1:]
        result = AffineMaps(other.space.domain, self.codomain)
        components = ns.concat([product[..., :-1], column], axis=-1)
        return result.from_components(derived_frame(result, (inner.parts[0], frame.parts[1])), components, ns)

    def _linear_part(self, element: Point) -> Vector:
        hom = Hom(self.domain.direction, self.codomain.direction)
        frame = element.storage_frame.structured
        target = derived_frame(hom, (frame.parts[0].linear, frame.parts[1].linear))
        return hom.from_components(target, element.components_in(frame)[..., :-1], element.namespace)

    def lift(self, element: Point) -> Vector:
        """The linear map ``Hull(A) -> Hull(Z)`` that extends an affine map; last row (0, ..., 0, 1)."""
        if not isinstance(element, Point) or element.space is not self:
            raise SpaceMismatchError(f"lift takes a point of {self!r}.\n  came: {shown(element)}")
        frame, ns = element.storage_frame.structured, element.namespace
        if not isinstance(self.codomain, AffineSpace):
            raise SpaceMismatchError(f"lift takes an affine map to an affine space, not to {self.codomain!r}.")
        hom = Hom(Hull(self.domain), Hull(self.codomain))
        row = ns.broadcast_to(
            ns.eye(self.domain.dim + 1)[-1:, :], (*element.batch_shape, 1, self.domain.dim + 1)
        )
        target = derived_frame(hom, (frame.parts[0].hull, frame.parts[1].hull))
        return hom.from_components(target, ns.concat([element.components_in(frame), row], axis=-2), ns)

    def evaluation(self, point: Point) -> Evaluation:
        """The affine map ``w -> w(a)``, at one point or at each of a batch.  Source: LG 3.4."""
        return Evaluation(self, point)

    def __reduce__(self) -> tuple[Any, ...]:
        return AffineMaps, (self.domain, self.codomain)


@final
class AffineDerivative(Derivative):
    """The derivative of an affine map, W, the same at every point."""

    __slots__ = ("_matrix", "codomain", "domain", "namespace", "storage_frame")

    def __init__(self, element: Point, space: AffineMaps) -> None:
        self.storage_frame, self.namespace = element.storage_frame.structured, element.namespace
        self._matrix = element.components_in(self.storage_frame)[..., :-1]
        self.domain: LinearSpace = space.domain.direction
        self.codomain: LinearSpace = space.codomain.direction

    def _push(self, vector: Vector) -> Vector:
        check_namespace(self.namespace, vector)
        ns, (source, target) = self.namespace, self.storage_frame.parts
        flat = self.domain.flatten(ns, vector.components_in(source.linear))
        return self.codomain.from_components(target.linear, rows_times(ns, flat, self._matrix.mT), ns)

    def _pull(self, covector: Vector) -> Vector:
        check_namespace(self.namespace, covector)
        ns, (source, target) = self.namespace, self.storage_frame.parts
        flat = rows_times(ns, covector.components_in(target.linear.dual), self._matrix)
        dual = self.domain.dual
        return dual.from_components(source.linear.dual, dual.unflatten(ns, flat), ns)


@final
class AffineMap(SmoothMap):
    """A point of ``AffineMaps(A, Z)`` seen as a smooth map.

    Parameters
    ----------
    element : a point of a space of affine maps
    """

    __slots__ = ("_space", "codomain", "domain", "element")

    def __init__(self, element: Point) -> None:
        if not isinstance(element, Point) or not isinstance(element.space, AffineMaps):
            raise SpaceMismatchError(
                f"an AffineMap is made of a point of AffineMaps(A, Z), not of {shown(element)}."
            )
        self.element, self._space = element, element.space
        self.domain, self.codomain = element.space.domain, element.space.codomain

    def _value(self, point: Element) -> Element:
        image: Element = self._space._call(self.element, point)
        return image

    def _linearize(self, point: Element) -> tuple[Element, Derivative]:
        return self._value(point), AffineDerivative(self.element, self._space)


@final
class EvaluationDerivative(Derivative):
    """Contraction with the homogeneous vector of a point, ``dw -> dw(of_point(a))``.

    Source: LG 3.4, L3.5.
    """

    __slots__ = ("_homogeneous", "codomain", "domain")

    def __init__(self, space: AffineMaps, homogeneous: Vector) -> None:
        self._homogeneous = homogeneous
        self.domain: LinearSpace = space.direction
        self.codomain: LinearSpace = space.codomain.direction

    def _push(self, vector: Vector) -> Vector:
        image: Vector = vector(self._homogeneous)
        return image

    def _pull(self, covector: Vector) -> Vector:
        ns, vector = self._homogeneous.namespace, self._homogeneous
        vector.require_same_namespace(covector)
        hull_frame = vector.storage_frame.structured
        frame = covector.storage_frame.structured
        product = covector.components_in(frame)[..., :, None] * vector.components_in(hull_frame)[..., None, :]
        target = derived_frame(self.domain, (hull_frame, frame.dual)).dual
        return self.domain.dual.from_components(target, product, ns)


@final
class Evaluation(SmoothMap):
    """``w -> w(a)`` from ``AffineMaps(A, Z)`` to Z, at one point a or at each of a batch.  Source: LG 3.4."""

    __slots__ = ("codomain", "domain", "point")

    def __init__(self, space: AffineMaps, point: Point) -> None:
        check_type("the space of what is evaluated", space, AffineMaps)
        if not isinstance(point, Point) or point.space is not space.domain:
            raise SpaceMismatchError(f"evaluation needs a point of {space.domain!r}.\n  came: {shown(point)}")
        self.domain: AffineMaps = space
        self.codomain: Codomain = space.codomain
        self.point = point

    def _value(self, point: Element) -> Element:
        image: Element = self.domain._call(point, self.point)  # type: ignore[arg-type]
        return image

    def _linearize(self, point: Element) -> tuple[Element, Derivative]:
        homogeneous = Hull(self.domain.domain).of_point(self.point)
        return self._value(point), EvaluationDerivative(self.domain, homogeneous)
