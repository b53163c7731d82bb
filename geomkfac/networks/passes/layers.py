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
    """One affine map of a network at given weights.

    Attributes
    ----------
    space : AffineMaps(A, Z)
    omega : a point of it
    frame : the frame in which it is worked, with parts (frame of A, frame of Z); for a network the one that the
        weights are stored in
    """

    space: AffineMaps
    omega: Point
    frame: Frame

    @property
    def derivative(self) -> AffineDerivative:
        """W, as a derivative."""
        return AffineDerivative(self.omega, self.space)

    def inputs(self, ns: Namespace, points: Point, frame: Frame) -> Array:
        """Coordinates (N, n) of activations in the A part of `frame`."""
        return self.space.domain.flatten(ns, points.components_in(frame.parts[0]))
