"""Linear maps as smooth maps: each is its own derivative, at every point."""

from __future__ import annotations

from typing import final

from geomkfac.errors import SpaceMismatchError
from geomkfac.maps.smooth import Derivative, HomDerivative, SmoothMap
from geomkfac.required import shown
from geomkfac.spaces import Element, Hom, Vector


@final
class LinearMap(SmoothMap):
    """An element of ``Hom(U, V)`` seen as a smooth map.

    Parameters
    ----------
    element : one vector of a Hom space
    """

    __slots__ = ("codomain", "domain", "element")

    def __init__(self, element: Vector) -> None:
        if not isinstance(element, Vector) or not isinstance(element.space, Hom):
            raise SpaceMismatchError(f"a LinearMap is made of an element of Hom(U, V), not of {shown(element)}.")
        self.element = element
        self.domain, self.codomain = element.space.domain, element.space.codomain

    def _linearize(self, point: Element) -> tuple[Element, Derivative]:
        return self.element(point), HomDerivative(self.element)
