"""Generic smooth maps: free values and free derivatives, drawn at random, one set per point met.

A smooth map may take any values and any derivatives at finitely many points, so over a finite field
both are free variables.  What has been drawn is kept: the same batch of points, in whatever frame it
is stored, meets the same values; a batch that differs meets fresh ones.  An identity that holds for a
random such table holds for every smooth map, up to the stated probability.
"""

from __future__ import annotations

from typing import Any, final

from geomkfac.arrays.array import check_random_source
from geomkfac.errors import FrameError, KindError
from geomkfac.maps.coordinatewise import DiagonalDerivative
from geomkfac.maps.smooth import Derivative, HomDerivative, SmoothMap
from geomkfac.required import check_type
from geomkfac.spaces import Element, Frame, Hom, Point
from geomkfac.spaces.frames.frame import derived_frame


@final
class GenericMap(SmoothMap):
    """A smooth map of which nothing is known but its values at the points met so far.

    Parameters
    ----------
    source, target : frames of domain and codomain in which entries are drawn
    rng : numpy.random.Generator
    coordinatewise : whether the derivative is diagonal in those frames (an activation function) or
        a full random Jacobian at each point (any smooth map; GK-12)

    Raises
    ------
    KindError : the spaces are not over an exact kind.
    """

    __slots__ = ("_met", "_rng", "codomain", "coordinatewise", "domain", "source", "target")

    def __init__(self, source: Frame, target: Frame, rng: Any, *, coordinatewise: bool = True) -> None:
        for frame in (source, target):
            check_type("the frame in which a generic map draws", frame, Frame, error=FrameError)
        check_random_source(rng)
        if not source.space.kind.is_exact:
            raise KindError(
                f"a generic map draws free values, which has a meaning over exact kinds; {source.space!r} is "
                f"over {source.space.kind!r}.\nUse GF(p) or Q."
            )
        self.source, self.target = source, target
        self.domain, self.codomain = source.space, target.space
        self.coordinatewise = coordinatewise
        self._rng = rng
        self._met: list[tuple[Element, Element, Derivative]] = []

    def _linearize(self, point: Element) -> tuple[Element, Derivative]:
        for met, value, derivative in self._met:
            if met.batch_shape == point.batch_shape and met == point:
                return value, derivative
        fresh = self._draw(point)
        self._met.append((point, *fresh))
        return fresh

    def _draw(self, point: Element) -> tuple[Point, Derivative]:
        ns, batch, m, n = point.namespace, point.batch_shape, self.codomain.dim, self.domain.dim
        value: Point = self.codomain.from_components(self.target, ns.random(self._rng, (*batch, m)), ns)
        if self.coordinatewise:
            return value, DiagonalDerivative(self.source, self.target, ns.random(self._rng, (*batch, n)), ns)
        hom = Hom(self.domain.direction, self.codomain.direction)
        frame = derived_frame(hom, (self.source.linear, self.target.linear))
        return value, HomDerivative(hom.from_components(frame, ns.random(self._rng, (*batch, m, n)), ns))
