"""Activation functions as smooth maps: coordinatewise in one pair of frames, and so known in all.

In other frames the same map is ``z' -> Omega phi(Phi z' + tau) + gamma``, which is not coordinatewise.
Two conversions a pass, free where the frames are the same objects.  Source: LG (3.4).
"""

from __future__ import annotations

from typing import Any, final

from geomkfac.arrays.namespace import Array, Namespace
from geomkfac.errors import ShapeError
from geomkfac.maps.activation import Activation, activation
from geomkfac.maps.smooth import Derivative, SmoothMap
from geomkfac.spaces import AffineSpace, Element, Frame, LinearSpace, Point, Vector
from geomkfac.spaces.element import check_namespace

__all__ = ["CoordinatewiseMap"]


@final
class DiagonalDerivative(Derivative):
    """A derivative that is diagonal in one pair of frames, with entries (*batch, n)."""

    __slots__ = ("_entries", "_ns", "_source", "_target", "codomain", "domain")

    def __init__(self, source: Frame, target: Frame, entries: Array, ns: Namespace) -> None:
        self._source, self._target, self._entries, self._ns = source.linear, target.linear, entries, ns
        self.domain: LinearSpace = self._source.space  # type: ignore[assignment]
        self.codomain: LinearSpace = self._target.space  # type: ignore[assignment]

    def _push(self, vector: Vector) -> Vector:
        check_namespace(self._ns, vector)
        made: Vector = self.codomain._make(self._target, vector._in(self._source) * self._entries, self._ns)
        return made

    def _pull(self, covector: Vector) -> Vector:
        check_namespace(self._ns, covector)
        components = covector._in(self._target.dual) * self._entries
        made: Vector = self.domain.dual._make(self._source.dual, components, self._ns)
        return made

    def _pull_given(self, covector: Vector) -> Vector:
        components = covector._in(self._target.dual)
        if components.ndim < self._entries.ndim:
            return self._pull(covector)
        components *= self._entries
        made: Vector = self.domain.dual._make(self._source.dual, components, self._ns)
        return made


@final
class CoordinatewiseMap(SmoothMap):
    """A function of one variable applied to every coordinate, in a named pair of frames.

    Parameters
    ----------
    source : frame of the domain, an AffineSpace
    target : frame of the codomain, an AffineSpace of the same dimension
    function : name of an activation ('tanh', ...) or an Activation

    Examples
    --------
    >>> import numpy as np
    >>> Z, A = AffineSpace("Z", 2), AffineSpace("A", 2)
    >>> rho = CoordinatewiseMap(Z.frame("iota"), A.frame("iota"), "relu")
    """

    __slots__ = ("codomain", "domain", "function", "source", "target")

    def __init__(self, source: Frame, target: Frame, function: str | Activation) -> None:
        for frame in (source, target):
            if not isinstance(frame, Frame) or not isinstance(frame.space, AffineSpace):
                raise ShapeError(
                    f"a coordinatewise map is given in frames of two AffineSpaces.\n  came: {frame!r}"
                )
        if source.space.dim != target.space.dim:
            raise ShapeError(
                f"a coordinatewise map needs spaces of one dimension.\n  source: {source.space!r}\n"
                f"  target: {target.space!r}\nIt has one output for every input; use an AffineMap between them."
            )
        self.source, self.target = source, target
        self.domain, self.codomain = source.space, target.space
        self.function: Activation = activation(function)

    def _value(self, point: Element) -> Element:
        ns = point._ns
        made: Point = self.codomain._make(self.target, self.function.value(ns, point._in(self.source)), ns)
        return made

    def _linearize(self, point: Element) -> tuple[Element, Derivative]:
        ns = point._ns
        value, slope = self.function.value_and_derivative(ns, point._in(self.source))
        made: Any = self.codomain._make(self.target, value, ns)
        return made, DiagonalDerivative(self.source, self.target, slope, ns)
