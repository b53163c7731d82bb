"""Passes through a network, one at a time: forward, forward mode, backward; and how many there were."""

from __future__ import annotations

from typing import Any, final

from geomkfac.arrays.array import Array
from geomkfac.maps import AffineMap
from geomkfac.networks import MLP
from geomkfac.spaces import Point, Vector


@final
class Sweep:
    """A network at given weights and points, run forward once; matrix-free products with its Jacobian.

    Parameters
    ----------
    net, weights, points : MLP, a Point of its weight space, a batch of N Points of its inputs

    Attributes
    ----------
    outputs : the batch of its outputs
    passes : how many passes through the network have been made, 1 after the first
    """

    __slots__ = ("_net", "_tape", "outputs", "passes")

    def __init__(self, net: MLP, weights: Point, points: Point) -> None:
        self._net, self.passes = net, 1
        self._tape: list[tuple[Any, Any, Any]] = []
        alpha: Any = points
        zeta: Any = None
        for omega, rho in zip(net.weight_space.split(weights), (*net.activations, None), strict=True):
            of_weights = omega.space.evaluation(alpha).linearize(omega)[1]
            zeta, of_inputs = AffineMap(omega).linearize(alpha)
            slope = None
            if rho is not None:
                alpha, slope = rho.linearize(zeta)
            self._tape.append((of_weights, of_inputs, slope))
        self.outputs: Point = zeta

    def pushforward(self, direction: Vector) -> Vector:
        """``J v`` of every datum: one pass in forward mode."""
        self.passes += 1
        pushed: Vector | None = None
        parts = self._net.weight_space.direction.split(direction)
        for (of_weights, of_inputs, slope), part in zip(self._tape, parts, strict=True):
            change = of_weights.pushforward(part)
            if pushed is not None:
                change = change + of_inputs.pushforward(pushed)
            pushed = change if slope is None else slope.pushforward(change)
        image: Vector = change
        return image

    def pullback(self, covectors: Vector, shares: Array) -> Vector:
        """``sum_n s_n J_n^T u_n``, a covector on the weight space: one pass backward."""
        self.passes += 1
        found: list[Vector] = []
        for of_weights, of_inputs, slope in reversed(self._tape):
            if slope is not None:
                covectors = slope.pullback(covectors)
            found.insert(0, of_weights.pullback(covectors).sum(shares))
            covectors = of_inputs.pullback(covectors)
        joined: Vector = self._net.weight_space.direction.dual.join(*found)
        return joined
