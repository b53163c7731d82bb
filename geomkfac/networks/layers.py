"""One weighted layer of a network at given weights, with the frames that they are stored in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from geomkfac.arrays.namespace import Array, Namespace
from geomkfac.maps.affine import AffineDerivative, AffineMaps, map_frame
from geomkfac.spaces import Frame, Point

__all__ = ["Layer"]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One affine map of a network at given weights, with the frames that it is stored in."""

    space: AffineMaps
    omega: Point

    @property
    def frame(self) -> Frame:
        """The storage frame, with parts (frame of A, frame of Z)."""
        return map_frame(self.omega)

    @property
    def derivative(self) -> AffineDerivative:
        """W, as a derivative."""
        return AffineDerivative(self.omega, self.space)

    def inputs(self, ns: Namespace, points: Point, frame: Frame) -> Array:
        """Coordinates (N, n) of activations in the A part of `frame`."""
        return self.space.domain._flatten(ns, points._in(frame.parts[0]))
