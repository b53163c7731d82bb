"""Activation functions as smooth maps: coordinatewise in one pair of frames, and so known in all.

In other frames the same map is ``z' -> Omega phi(Phi z' + tau) + gamma``, which is not coordinatewise.
Two conversions a pass, free where the frames are the same objects.  Source: LG (3.4).
"""

from __future__ import annotations

from typing import Any, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.errors import ShapeError
from geomkfac.maps.activations.activation import Activation
from geomkfac.maps.activations.by_name import activation
from geomkfac.maps.smooth import Derivative, SmoothMap
from geomkfac.required import shown
from geomkfac.spaces import Element, Frame, LinearSpace, Point, PointSpace, Vector
from geomkfac.spaces.element import check_namespace


@final
class DiagonalDerivative(Derivative):
    """A derivative that is diagonal in one pair of frames, with entries (*batch, n) in vec order."""

    __slots__ = ("_entries", "_source", "_target", "codomain", "domain", "namespace")

    def __init__(self, source: Frame, target: Frame, entries: Array, ns: Namespace) -> None:
        self._source, self._target, self._entries, self.namespace = source.linear, target.linear, entries, ns
        self.domain: LinearSpace = self._source.space  # type: ignore[assignment]
        self.codomain: LinearSpace = self._target.space  # type: ignore[assignment]

    def _push(self, vector: Vector) -> Vector:
        check_namespace(self.namespace, vector)
        ns = self.namespace
        flat = self.domain.flatten(ns, vector.components_in(self._source)) * self._entries
        return self.codomain.from_components(self._target, self.codomain.unflatten(ns, flat), ns)

    def _pull(self, covector: Vector) -> Vector:
        check_namespace(self.namespace, covector)
        dual = self.codomain.dual
        return self._pulled(dual.flatten(self.namespace, covector.components_in(self._target.dual)) * self._entries)

    def _pull_given(self, covector: Vector) -> Vector:
        flat = self.codomain.dual.flatten(self.namespace, covector.components_in(self._target.dual))
        if flat.ndim < self._entries.ndim:
            return self._pull(covector)
        flat *= self._entries
        return self._pulled(flat)

    def _pulled(self, flat: Array) -> Vector:
        dual = self.domain.dual
        return dual.from_components(self._source.dual, dual.unflatten(self.namespace, flat), self.namespace)


@final
class CoordinatewiseMap(SmoothMap):
    """A function of one variable applied to every coordinate, in a named pair of frames.

    Parameters
    ----------
    source : frame of the domain, an affine space (a product is read factor after factor)
    target : frame of the codomain, an affine space of the same dimension
    function : name of an activation ('tanh', ...) or an Activation

    Examples
    --------
    >>> from geomkfac.spaces import AffineSpace
    >>> Z, A = AffineSpace("Z", 2), AffineSpace("A", 2)
    >>> rho = CoordinatewiseMap(Z.frame("iota"), A.frame("iota"), "relu")
    """

    __slots__ = ("codomain", "domain", "function", "source", "target")

    def __init__(self, source: Frame, target: Frame, function: str | Activation) -> None:
        for frame in (source, target):
            if not isinstance(frame, Frame) or not isinstance(frame.space, PointSpace):
                raise ShapeError(
                    f"a coordinatewise map is given in frames of two affine spaces.\n  came: {shown(frame)}"
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
        ns = point.namespace
        value = self.function.value(ns, self.domain.flatten(ns, point.components_in(self.source)))
        made: Point = self.codomain.from_components(self.target, self.codomain.unflatten(ns, value), ns)
        return made

    def _linearize(self, point: Element) -> tuple[Element, Derivative]:
        ns = point.namespace
        flat = self.domain.flatten(ns, point.components_in(self.source))
        value, slope = self.function.value_and_derivative(ns, flat)
        made: Any = self.codomain.from_components(self.target, self.codomain.unflatten(ns, value), ns)
        return made, DiagonalDerivative(self.source, self.target, slope, ns)
