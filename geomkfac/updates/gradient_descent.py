"""Gradient descent, with momentum."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import final

from geomkfac.arrays.array import Array
from geomkfac.updates.rule import NetworkToUpdate


@final
@dataclass(frozen=True, slots=True)
class GradientDescent:
    """``v <- mu v + grad``, ``W <- W - epsilon v``.

    Invariant to orthogonal changes of activations and of pre-activations, and to shifts of pre-activations.

    Parameters
    ----------
    momentum : mu, an int or Fraction, so that the rule runs exactly
    """

    momentum: int | Fraction = 0

    def __call__(self, network: NetworkToUpdate) -> list[Array]:
        new = []
        for index, layer in enumerate(network.layers):
            velocity = layer.gradient
            if self.momentum:
                before = network.state.get(index)
                if before is not None:
                    velocity = velocity + before * network.ns.scalar(self.momentum)
                network.state[index] = velocity
            new.append(layer.weights - network.rate * velocity)
        return new
