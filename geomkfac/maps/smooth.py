"""Smooth maps: value, pushforward, pullback, composition.

The pushforward at p is the derivative, J v; the pullback of a covector is its transpose, J^T u; a map
is linearised once at p and then pushes and pulls as often as needed.  Both are functorial.
Source: LG 2.2.4.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

from geomkfac.errors import SpaceMismatchError
from geomkfac.required import check_type, shown
from geomkfac.spaces import Element, Hom, LinearSpace, Space, Vector


class Derivative(ABC):
    """The derivative of a map at a point, or at each of a batch: linear from `domain` to `codomain`."""

    __slots__ = ()

    domain: LinearSpace
    codomain: LinearSpace

    def pushforward(self, vector: Vector) -> Vector:
        """``J v``; leading batch axes of `vector` broadcast against the point's.  Source: LG 2.2.4."""
        _check(vector, self.domain, "pushforward")
        return self._push(vector)

    def pullback(self, covector: Vector) -> Vector:
        """``J^T u``, so that ``pullback(u)(v) = u(pushforward(v))``.  Source: LG 2.2.4."""
        _check(covector, self.codomain.dual, "pullback")
        return self._pull(covector)

    def _pull_given(self, covector: Vector) -> Vector:
        """`_pull` of a covector that nobody else holds, whose components may be written over."""
        return self._pull(covector)

    @abstractmethod
    def _push(self, vector: Vector) -> Vector: ...

    @abstractmethod
    def _pull(self, covector: Vector) -> Vector: ...


def _check(element: Element, space: Space, action: str) -> None:
    if not isinstance(element, Element) or element.space is not space:
        raise SpaceMismatchError(f"{action} takes an element of {space!r}.\n  came: {shown(element)}")


class SmoothMap(ABC):
    """A smooth map between affine (or vector) spaces.

    Attributes
    ----------
    domain, codomain : spaces
    """

    __slots__ = ("__weakref__",)

    domain: Space
    codomain: Space

    def __call__(self, point: Element) -> Element:
        """The value at a point, or at each point of a batch."""
        _check(point, self.domain, "the map")
        return self._value(point)

    def linearize(self, point: Element) -> tuple[Element, Derivative]:
        """The value and the derivative at a point, sharing work."""
        _check(point, self.domain, "linearize")
        return self._linearize(point)

    def pushforward(self, point: Element, vector: Vector) -> Vector:
        """``J v`` at `point`, where one vector is pushed; `linearize` for several."""
        return self.linearize(point)[1].pushforward(vector)

    def pullback(self, point: Element, covector: Vector) -> Vector:
        """``J^T u`` at `point`, where one covector is pulled; `linearize` for several."""
        return self.linearize(point)[1].pullback(covector)

    def __matmul__(self, inner: SmoothMap) -> SmoothMap:
        """Composition, ``(outer @ inner)(p) = outer(inner(p))``."""
        if not isinstance(inner, SmoothMap):
            raise SpaceMismatchError(f"@ composes smooth maps, not {type(inner).__name__}.")
        return Composition(self, inner)

    def _value(self, point: Element) -> Element:
        return self._linearize(point)[0]

    @abstractmethod
    def _linearize(self, point: Element) -> tuple[Element, Derivative]: ...

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.domain!r} -> {self.codomain!r}"


@final
class HomDerivative(Derivative):
    """A derivative given as an element, or a batch of elements, of Hom(domain, codomain)."""

    __slots__ = ("codomain", "domain", "linear_map")

    def __init__(self, linear_map: Vector) -> None:
        hom = getattr(linear_map, "space", None)
        if not isinstance(linear_map, Vector) or not isinstance(hom, Hom):
            raise SpaceMismatchError(f"a derivative is a linear map, an element of Hom, not {shown(linear_map)}.")
        self.linear_map, self.domain, self.codomain = linear_map, hom.domain, hom.codomain

    def _push(self, vector: Vector) -> Vector:
        image: Vector = self.linear_map(vector)
        return image

    def _pull(self, covector: Vector) -> Vector:
        hom: Hom = self.linear_map.space  # type: ignore[assignment]
        return hom.transpose_apply(self.linear_map, covector)


@final
class ComposedDerivative(Derivative):
    """The chain rule: ``outer o inner``."""

    __slots__ = ("codomain", "domain", "inner", "outer")

    def __init__(self, outer: Derivative, inner: Derivative) -> None:
        self.outer, self.inner = outer, inner
        self.domain, self.codomain = inner.domain, outer.codomain

    def _push(self, vector: Vector) -> Vector:
        return self.outer._push(self.inner._push(vector))

    def _pull(self, covector: Vector) -> Vector:
        return self.inner._pull(self.outer._pull(covector))


@final
class Composition(SmoothMap):
    """``outer @ inner``."""

    __slots__ = ("codomain", "domain", "inner", "outer")

    def __init__(self, outer: SmoothMap, inner: SmoothMap) -> None:
        for part in (outer, inner):
            check_type("what is composed", part, SmoothMap)
        if outer.domain is not inner.codomain:
            raise SpaceMismatchError(
                "cannot compose: the inner map must end where the outer one begins.\n"
                f"  outer: {shown(outer)}\n  inner: {shown(inner)}"
            )
        self.outer, self.inner = outer, inner
        self.domain, self.codomain = inner.domain, outer.codomain

    def _value(self, point: Element) -> Element:
        return self.outer._value(self.inner._value(point))

    def _linearize(self, point: Element) -> tuple[Element, Derivative]:
        middle, inner = self.inner._linearize(point)
        value, outer = self.outer._linearize(middle)
        return value, ComposedDerivative(outer, inner)
