"""One weighted layer of a network at given weights, with the frames that they are stored in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.maps.affine import AffineDerivative, AffineMaps
from geomkfac.spaces import Frame, Point


@final
@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One affine map of a network at given weights, with the frames that it is stored in."""

    space: AffineMaps
    omega: Point

    @property
    def frame(self) -> Frame:
        """The storage frame, with parts (frame of A, frame of Z)."""
        return self.omega.storage_frame.structured

    @property
    def derivative(self) -> AffineDerivative:
        """W, as a derivative."""
        return AffineDerivative(self.omega, self.space)

    def inputs(self, ns: Namespace, points: Point, frame: Frame) -> Array:
        """Coordinates (N, n) of activations in the A part of `frame`."""
        return self.space.domain.flatten(ns, points.components_in(frame.parts[0]))
