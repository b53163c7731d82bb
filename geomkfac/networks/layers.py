"""One pass through an abstract network: forward with linearisations, backward with covectors.

Everything happens in the frames in which the weights are stored; an activation goes through frames of
its own, which costs nothing where the frames are the same objects.  Source: LG (3.1), 3.5.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from geomkfac.arrays.namespace import Array, Namespace
from geomkfac.maps import Derivative, SmoothMap
from geomkfac.maps.affine import AffineDerivative, AffineMaps, map_frame
from geomkfac.spaces import Frame, Point, Vector

__all__ = ["Layer", "Trace", "backward", "forward"]


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


@final
@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """What a forward pass leaves for a backward pass.

    Attributes
    ----------
    activations : alpha_0, ..., alpha_{L-1}: the input of each layer
    derivatives : of the activation functions rho_1, ..., rho_{L-1} at the data
    outputs : zeta_L
    """

    activations: tuple[Point, ...]
    derivatives: tuple[Derivative, ...]
    outputs: Point


def forward(layers: tuple[Layer, ...], activations: tuple[SmoothMap, ...], points: Point) -> Trace:
    """zeta_i = omega_i(alpha_{i-1}), alpha_i = rho_i(zeta_i).  Source: LG (3.1)."""
    inputs, derivatives = [], []
    alpha = points
    for index, layer in enumerate(layers):
        inputs.append(alpha)
        zeta: Point = layer.omega(alpha)
        if index < len(activations):
            value, derivative = activations[index].linearize(zeta)
            alpha = value  # type: ignore[assignment]
            derivatives.append(derivative)
    return Trace(tuple(inputs), tuple(derivatives), zeta)


def backward(layers: tuple[Layer, ...], trace: Trace, covectors: Vector) -> Iterator[tuple[int, Vector]]:
    """Covectors on the outputs pulled back to every pre-activation space, last layer first.

    Yields (index of the layer, covectors on Z_i of the same batch shape): ``(phi_xi^i)^* u``.
    Source: LG 3.5.2.
    """
    for index in range(len(layers) - 1, -1, -1):
        yield index, covectors
        if index:
            on_activations = layers[index].derivative.pullback(covectors)
            covectors = trace.derivatives[index - 1]._pull_given(on_activations)
