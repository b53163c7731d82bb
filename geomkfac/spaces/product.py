"""Products: of vector spaces (the direct sum) and of affine spaces (the weight space of a network).

The components of an element are a tuple, one array per factor.  The dual of a direct sum is the
direct sum of the duals, which here is an identity, not a choice.  The hull of a product is *not* the
product of the hulls: it has one homogeneous coordinate (erratum E1).
Source: LG 2.2.1, 2.2.3, 3.5.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.counts import is_count
from geomkfac.errors import KindError, ShapeError, SpaceMismatchError
from geomkfac.kept import kept
from geomkfac.required import shown
from geomkfac.spaces.affine import PointSpace
from geomkfac.spaces.batches import shape_of_slots
from geomkfac.spaces.element import Element, Point, Vector
from geomkfac.spaces.frames.change import Change, Components, ProductChange, SlotwiseChange
from geomkfac.spaces.frames.frame import BaseFrame, Frame, derived_frame
from geomkfac.spaces.space import BaseSpace, Space, check_count, intern_space
from geomkfac.spaces.vector import LinearSpace


class _Product(Space):
    """What products of either sort share: everything happens factor by factor."""

    __slots__ = ("factors",)

    factors: tuple[Any, ...]

    def _build(self, factors: tuple[Any, ...]) -> None:
        self.factors = factors
        slots = tuple(factor.slots for factor in factors)
        name = " x ".join(factor.name for factor in factors)
        self._set_up(name, factors[0].kind, sum(factor.dim for factor in factors), slots)

    def frame(self, *frames: Frame) -> Frame:
        """The product frame of frames of the factors, in order."""
        check_count(self, len(self.factors), len(frames), "frames")
        owned = tuple(factor.own_frame(f) for factor, f in zip(self.factors, frames, strict=True))
        return derived_frame(self, owned)

    def frame_from(self, lookup: Callable[[BaseSpace], BaseFrame]) -> Frame:
        return derived_frame(self, tuple(factor.frame_from(lookup) for factor in self.factors))

    def _change(self, source: Frame, target: Frame) -> Change:
        parts = zip(self.factors, source.parts, target.parts, strict=True)
        return ProductChange(tuple(None if f is g else factor._change(f, g) for factor, f, g in parts))

    def _namespace(self, array: Any) -> Namespace:
        if not isinstance(array, Sequence) or len(array) != len(self.factors):
            came = f"{len(array)}" if isinstance(array, Sequence) else type(array).__name__
            raise ShapeError(
                f"coordinates in {self!r} are a sequence of {len(self.factors)} arrays, one per factor.\n"
                f"  came: {came}\nPass a tuple or list."
            )
        namespaces = [factor._namespace(part) for factor, part in zip(self.factors, array, strict=True)]
        for namespace in namespaces:
            if namespace is not namespaces[0]:
                raise KindError(
                    f"the parts of one element of {self!r} must be arrays of one library, dtype and device; "
                    f"they are {namespaces[0].name} and {namespace.name}."
                )
        first: Namespace = namespaces[0]
        return first

    def _checked_components(self, ns: Namespace, array: Any) -> Components:
        pairs = list(zip(self.factors, array, strict=True))
        parts = tuple(factor._checked_components(ns, part) for factor, part in pairs)
        batches = [shape_of_slots(factor.slots, part) for (factor, _), part in zip(pairs, parts, strict=True)]
        if any(batch != batches[0] for batch in batches):
            raise ShapeError(
                f"the parts of an element of {self!r} must have one batch shape.\n"
                f"  came: {', '.join(map(str, batches))}\nPass as many of each part."
            )
        return parts

    def flatten(self, ns: Namespace, components: Components) -> Array:
        parts = zip(self.factors, components, strict=True)
        return ns.concat([factor.flatten(ns, part) for factor, part in parts], axis=-1)

    def unflatten(self, ns: Namespace, flat: Array) -> Components:
        parts, start = [], 0
        for factor in self.factors:
            parts.append(factor.unflatten(ns, flat[..., start : start + factor.dim]))
            start += factor.dim
        return tuple(parts)

    def project(self, element: Element, index: int) -> Any:
        """The component in factor `index`."""
        if not isinstance(element, Element) or element.space is not self:
            raise SpaceMismatchError(f"project needs an element of {self!r}.\n  came: {shown(element)}")
        if not is_count(index, 0) or index >= len(self.factors):
            raise ShapeError(f"{self!r} has factors 0 to {len(self.factors) - 1}.\n  came: {shown(index)}")
        frame = element.storage_frame.structured
        components = element.components_in(frame)
        return self.factors[index].from_components(frame.parts[index], components[index], element.namespace)

    def split(self, element: Element) -> tuple[Any, ...]:
        """The components in all factors."""
        return tuple(self.project(element, index) for index in range(len(self.factors)))

    def join(self, *elements: Element) -> Any:
        """The element with these components, one of each factor, of one batch shape."""
        check_count(self, len(self.factors), len(elements), "elements")
        frames, components = [], []
        for factor, element in zip(self.factors, elements, strict=True):
            if not isinstance(element, Element) or element.space is not factor:
                raise SpaceMismatchError(
                    f"cannot join: a component lives in the wrong space.\n  required: {factor!r}\n"
                    f"  came    : {shown(element)}"
                )
            elements[0].require_same_namespace(element)
            if element.batch_shape != elements[0].batch_shape:
                raise ShapeError(
                    f"the components must have one batch shape; they have {elements[0].batch_shape} "
                    f"and {element.batch_shape}."
                )
            frame = element.storage_frame.structured
            frames.append(frame)
            components.append(element.components_in(frame))
        return self.from_components(derived_frame(self, tuple(frames)), tuple(components), elements[0].namespace)


def _checked_factors(factors: tuple[Any, ...], wanted: type, noun: str) -> None:
    if not factors:
        raise SpaceMismatchError(f"a product of {noun}s needs at least one factor.")
    for factor in factors:
        if not isinstance(factor, wanted):
            raise SpaceMismatchError(f"a product of {noun}s cannot have the factor {shown(factor)}.")


@final
class ProductVectorSpace(_Product, LinearSpace):
    """The direct sum of vector spaces."""

    __slots__ = ()

    def __new__(cls, *factors: LinearSpace) -> ProductVectorSpace:
        _checked_factors(factors, LinearSpace, "vector space")
        return intern_space(cls, factors, lambda product: product._build(factors))

    @property
    @kept
    def dual(self) -> ProductVectorSpace:
        return ProductVectorSpace(*(factor.dual for factor in self.factors))

    def _dual_frame(self, frame: Frame) -> Frame:
        return derived_frame(self.dual, tuple(part.dual for part in frame.parts))

    def _zeros(self, ns: Namespace) -> Components:
        return tuple(factor._zeros(ns) for factor in self.factors)

    def _slot_changes(self, source: Frame, target: Frame) -> tuple[SlotwiseChange, ...]:
        raise SpaceMismatchError(f"{self!r} has factors, not slots.")

    def inject(self, vector: Vector, index: int) -> Vector:
        """The vector with component `vector` in factor `index` and zero elsewhere."""
        parts = [factor.zero(like=vector) for factor in self.factors]
        batch = vector.batch_shape
        if batch:
            parts = [part.scaled(vector.namespace.ones(batch)) for part in parts]
        parts[index] = vector
        joined: Vector = self.join(*parts)
        return joined

    def __reduce__(self) -> tuple[Any, ...]:
        return ProductVectorSpace, self.factors


@final
class ProductSpace(_Product, PointSpace):
    """The product of affine spaces; A^K is ``ProductSpace(*[A] * K)``.

    Examples
    --------
    >>> from geomkfac.spaces.affine import AffineSpace, Hull
    >>> A = AffineSpace("A", 2)
    >>> Hull(ProductSpace(A, A)).dim, 2 * Hull(A).dim  # not the product of the hulls
    (5, 6)
    """

    __slots__ = ()

    def __new__(cls, *factors: PointSpace) -> ProductSpace:
        _checked_factors(factors, PointSpace, "affine space")
        return intern_space(cls, factors, lambda product: product._build(factors))

    @property
    @kept
    def direction(self) -> ProductVectorSpace:
        return ProductVectorSpace(*(factor.direction for factor in self.factors))

    def _linear_frame(self, frame: Frame) -> Frame:
        return derived_frame(self.direction, tuple(part.linear for part in frame.parts))

    def _element(self, frame: Frame, components: Components, ns: Namespace) -> Point:
        return Point(self, frame, components, ns)

    def __reduce__(self) -> tuple[Any, ...]:
        return ProductSpace, self.factors
