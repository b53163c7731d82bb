"""Tensor products of different spaces, and spaces of linear maps.

``TensorProduct(U, V, ...)`` is the space through which every multilinear map on U x V x ... factors;
its elements are, in turn, multilinear functions of covectors.  ``Hom(U, V)`` is the space of linear
maps.  Both are interned by their factors.  The isomorphisms between them are objects with names, in
`spaces.canonical`.

Components: a tensor has the slots of its factors in order, a linear map is a matrix, (m, n) for n to
m dimensions.  vec of a matrix stacks its columns, so that vec(w) of U* (x) V and of Hom(U, V) agree.
Source: LG 2.2.1, A.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, final

from geomkfac.arrays.array import Array
from geomkfac.errors import KindError, ShapeError, SpaceMismatchError
from geomkfac.required import check_type, shown
from geomkfac.spaces.batches import rows_times
from geomkfac.spaces.element import Vector
from geomkfac.spaces.frames.change import SlotwiseChange
from geomkfac.spaces.frames.frame import BaseFrame, Frame, derived_frame
from geomkfac.spaces.product import ProductVectorSpace
from geomkfac.spaces.space import BaseSpace, Space, check_count, intern_space
from geomkfac.spaces.vector import LinearSpace


def _vector_factors(where: str, factors: tuple[Space, ...]) -> tuple[LinearSpace, ...]:
    for factor in factors:
        if not isinstance(factor, LinearSpace):
            raise SpaceMismatchError(
                f"{where} is made of vector spaces, not of {shown(factor)}.\n"
                "For an affine space use its direction, or its Hull."
            )
        if isinstance(factor, ProductVectorSpace):
            raise SpaceMismatchError(
                f"{where} takes no product among its factors, and came {factor!r}.\n"
                "Take the product of the tensor products instead."
            )
    return factors  # type: ignore[return-value]


@final
class TensorProduct(LinearSpace):
    """The tensor product of two or more vector spaces.

    Examples
    --------
    >>> import numpy as np
    >>> from geomkfac.spaces.vector import VectorSpace
    >>> U, V = VectorSpace("U", 2), VectorSpace("V", 3)
    >>> TensorProduct(U, V.dual)
    U (x) V* (dim=6)
    >>> TensorProduct(U, V.dual) is TensorProduct(U, V.dual)
    True
    """

    __slots__ = ("factors",)

    factors: tuple[LinearSpace, ...]

    def __new__(cls, *factors: Space) -> TensorProduct:
        spaces = _vector_factors("a tensor product", factors)
        if len(spaces) < 2:
            raise SpaceMismatchError(f"a tensor product has at least two factors, not {len(spaces)}.")
        return intern_space(cls, spaces, lambda product: product._build(spaces))

    def _build(self, factors: tuple[LinearSpace, ...]) -> None:
        self.factors = factors
        slots = tuple(length for factor in factors for length in factor.slots)
        name = " (x) ".join(factor.name for factor in factors)
        self._set_up(name, factors[0].kind, math.prod(slots), slots)

    @property
    def _noun(self) -> str:
        return "a tensor"

    @property
    def _also_takes(self) -> str:
        return ", or one covector of each factor"

    @property
    def _vec_order(self) -> tuple[int, ...]:
        order: list[int] = []
        for factor in self.factors:
            start = len(order)
            order.extend(start + axis for axis in factor._vec_order)
        return tuple(order)

    def frame(self, *frames: Frame) -> Frame:
        """The frame that frames of the factors, in order, determine."""
        check_count(self, len(self.factors), len(frames), "frames")
        owned = tuple(factor.own_frame(f) for factor, f in zip(self.factors, frames, strict=True))
        return derived_frame(self, owned)

    def frame_from(self, lookup: Callable[[BaseSpace], BaseFrame]) -> Frame:
        return derived_frame(self, tuple(factor.frame_from(lookup) for factor in self.factors))

    def _slot_changes(self, source: Frame, target: Frame) -> tuple[SlotwiseChange, ...]:
        parts = zip(self.factors, source.parts, target.parts, strict=True)
        return tuple(change for factor, f, g in parts for change in factor._slot_changes(f, g))

    def _call(self, element: Vector, *arguments: Any) -> Any:
        """The multilinear map: one covector for every factor."""
        if len(arguments) != len(self.factors):
            return LinearSpace._call(self, element, *arguments)
        result: Any = element
        for covector in reversed(arguments[1:]):
            result = contract(result, covector, -1)
        return result(arguments[0])

    def __reduce__(self) -> tuple[Any, ...]:
        return TensorProduct, self.factors


@final
class Hom(LinearSpace):
    """The vector space of linear maps from `domain` to `codomain`; coordinates are matrices (m, n).

    A linear map is called on vectors of its domain and composed with ``@``.
    """

    __slots__ = ("codomain", "domain")

    domain: LinearSpace
    codomain: LinearSpace

    def __new__(cls, domain: Space, codomain: Space) -> Hom:
        source, target = _vector_factors("Hom", (domain, codomain))
        return intern_space(cls, (source, target), lambda hom: hom._build(source, target))

    def _build(self, domain: LinearSpace, codomain: LinearSpace) -> None:
        self.domain, self.codomain = domain, codomain
        slots = codomain.slots + domain.slots
        self._set_up(f"Hom({domain.name}, {codomain.name})", domain.kind, math.prod(slots), slots)

    @property
    def _noun(self) -> str:
        return "a linear map"

    @property
    def _also_takes(self) -> str:
        return f", or a vector of {self.domain!r}"

    @property
    def _vec_order(self) -> tuple[int, ...]:
        offset = len(self.codomain.slots)
        return (*(offset + axis for axis in self.domain._vec_order), *self.codomain._vec_order)

    def frame(self, domain: Frame, codomain: Frame) -> Frame:
        """The frame that frames of domain and codomain determine."""
        return derived_frame(self, (self.domain.own_frame(domain), self.codomain.own_frame(codomain)))

    def identity(self) -> Vector:
        """The identity map, where domain and codomain are the same space."""
        if self.domain is not self.codomain:
            raise SpaceMismatchError(f"only endomorphisms have an identity; this is {self!r}.")
        ns = self.kind.default_namespace
        frame = self.frame_from(lambda base: base._reference_frame())
        return self.from_components(frame, ns.reshape(ns.eye(self.domain.dim), self.slots), ns)

    def frame_from(self, lookup: Callable[[BaseSpace], BaseFrame]) -> Frame:
        return derived_frame(self, (self.domain.frame_from(lookup), self.codomain.frame_from(lookup)))

    def _slot_changes(self, source: Frame, target: Frame) -> tuple[SlotwiseChange, ...]:
        domain = self.domain._slot_changes(source.parts[0], target.parts[0])
        codomain = self.codomain._slot_changes(source.parts[1], target.parts[1])
        return codomain + tuple(change.dual() for change in domain)

    def _matrix(self, element: Vector, frame: Frame) -> Array:
        components = element.components_in(frame)
        return element.namespace.reshape(
            components, (*element.batch_shape, math.prod(self.codomain.slots), math.prod(self.domain.slots))
        )

    def _call(self, element: Vector, *arguments: Any) -> Any:
        if len(arguments) == 1 and isinstance(arguments[0], Vector) and arguments[0].space is self.domain:
            return self._apply(element, arguments[0])
        return LinearSpace._call(self, element, *arguments)

    def _apply(self, element: Vector, vector: Vector) -> Vector:
        element.require_same_namespace(vector)
        frame = element.storage_frame.structured
        matrix = self._matrix(element, frame)
        return _moved(vector, frame.parts[0], matrix.mT, self.codomain, frame.parts[1])

    def transpose_apply(self, element: Vector, covector: Vector) -> Vector:
        """The transpose (pullback) of a linear map applied to a covector of its codomain: phi o L."""
        check_type("a linear map", element, Vector)
        if element.space is not self:
            raise SpaceMismatchError(f"a linear map of {self!r} is required.\n  came: {shown(element)}")
        if not isinstance(covector, Vector) or covector.space is not self.codomain.dual:
            raise SpaceMismatchError(
                f"the transpose of {shown(element)} takes a covector of its codomain.\n"
                f"  required: a vector of {self.codomain.dual!r}\n  came    : {shown(covector)}"
            )
        element.require_same_namespace(covector)
        frame = element.storage_frame.structured
        matrix = self._matrix(element, frame)
        source, target = frame.parts[1].dual, frame.parts[0].dual
        return _moved(covector, source, matrix, self.domain.dual, target)

    def _compose(self, element: Vector, other: Any) -> Vector:
        if (
            not isinstance(other, Vector)
            or not isinstance(other.space, Hom)
            or other.space.codomain is not self.domain
        ):
            raise SpaceMismatchError(
                f"cannot compose: the inner map must end where the outer one begins.\n"
                f"  outer: {shown(element)}\n  inner: {shown(other)}"
            )
        element.require_same_namespace(other)
        frame, inner = element.storage_frame.structured, other.storage_frame.structured
        result = Hom(other.space.domain, self.codomain)
        start = inner.parts[0]
        middle, end = frame.parts
        left = self._matrix(element, frame)
        right = other.space._matrix(other, derived_frame(other.space, (start, middle)))
        ns = element.namespace
        product = ns.matmul(left, right)
        return result.from_components(
            derived_frame(result, (start, end)), ns.reshape(product, (*product.shape[:-2], *result.slots)), ns
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return Hom, (self.domain, self.codomain)


def _moved(vector: Vector, source: Frame, transposed: Array, space: LinearSpace, target: Frame) -> Vector:
    """``vector @ transposed`` from flattened components in `source` to an element of `space` in `target`."""
    ns = vector.namespace
    components = vector.components_in(source)
    flat = ns.reshape(components, (*vector.batch_shape, math.prod(vector.space.slots)))
    image = rows_times(ns, flat, transposed)
    return space.from_components(target, ns.reshape(image, (*image.shape[:-1], *space.slots)), ns)


def tensor(*vectors: Vector) -> Vector:
    """The tensor ``u (x) v (x) ...``; batches broadcast.  Source: LG A.2."""
    if len(vectors) < 2:
        raise ShapeError(f"a tensor product is of at least two vectors, not {len(vectors)}.")
    for vector in vectors:
        check_type("a factor of a tensor", vector, Vector)
    product = TensorProduct(*(vector.space for vector in vectors))
    ns = vectors[0].namespace
    frames: list[Frame] = []
    result: Array = None
    for position, vector in enumerate(vectors):
        vectors[0].require_same_namespace(vector)
        frame = vector.storage_frame.structured
        frames.append(frame)
        components = vector.components_in(frame)
        before = sum(len(other.space.slots) for other in vectors[:position])
        after = sum(len(other.space.slots) for other in vectors[position + 1 :])
        batch = vector.batch_shape
        shaped = ns.reshape(components, (*batch, *(1,) * before, *vector.space.slots, *(1,) * after))
        result = shaped if result is None else result * shaped
    return product.from_components(derived_frame(product, tuple(frames)), result, ns)


def contract(element: Vector, covector: Vector, position: int) -> Vector:
    """Contract factor `position` of a tensor with a covector of it.

    The result is a tensor of the factors left, or a vector where one is left.
    """
    space = element.space if isinstance(element, Vector) else None
    if not isinstance(space, TensorProduct):
        raise SpaceMismatchError(f"only tensors are contracted, not {shown(element)}.")
    check_type("the position of a factor", position, int, error=KindError)
    position %= len(space.factors)
    factor = space.factors[position]
    if not isinstance(covector, Vector) or covector.space is not factor.dual:
        raise SpaceMismatchError(
            f"cannot contract factor {position} of {shown(element)}.\n"
            f"  required: a vector of {factor.dual!r}\n  came    : {shown(covector)}"
        )
    element.require_same_namespace(covector)
    ns = element.namespace
    frame = element.storage_frame.structured
    parts: tuple[Frame, ...] = frame.parts
    before = sum(len(other.slots) for other in space.factors[:position])
    after = sum(len(other.slots) for other in space.factors[position + 1 :])
    own = covector.components_in(parts[position].dual)
    weights = ns.reshape(own, (*covector.batch_shape, *(1,) * before, *factor.slots, *(1,) * after))
    product = element.components_in(frame) * weights
    total = len(space.slots)
    axes = tuple(range(before - total, before - total + len(factor.slots)))
    left = space.factors[:position] + space.factors[position + 1 :]
    frames = parts[:position] + parts[position + 1 :]
    components = ns.sum(product, axis=axes)
    if len(left) == 1:
        made: Vector = left[0].from_components(frames[0], components, ns)
    else:
        result = TensorProduct(*left)
        made = result.from_components(derived_frame(result, frames), components, ns)
    return made
