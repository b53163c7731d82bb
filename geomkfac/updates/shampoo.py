"""Steps made of the gradient matrix alone: Shampoo, and the polar factor, which is Muon without momentum."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import final

from geomkfac.arrays.array import Array
from geomkfac.updates.roots import polar_factor, semidefinite_power
from geomkfac.updates.rule import NetworkToUpdate


@final
@dataclass(frozen=True, slots=True)
class Shampoo:
    """``(W b) <- (W b) - epsilon L^{-p} g R^{-p}``, L and R the sums of ``g g^T`` and ``g^T g`` so far, g the gradient.

    Floating point only.  Invariant to orthogonal changes of activations, and to orthogonal changes and shifts of
    pre-activations; with p = 1/2 and no multiple of the identity also to multiplying pre-activations by a number.
    First steps keep more: with p = 1/2 from nothing it is ``U S^{-1} V^T``, for ``g = U S V^T``, which is
    ``(g g^T)^{-1} g`` where the rows are independent, and so does not see any affine change of pre-activations.

    Parameters
    ----------
    exponent : p; 1/4 as published, or 1/2, with which a step scales as K-FAC's does
    identity : what multiple of the identity of the coordinates at hand L and R start from (there, epsilon); from 0
        the powers are those of pseudo-inverses, and with p = 1/4 the first step is `PolarStep`

    Source: Gupta, Koren, Singer, Shampoo: preconditioned stochastic tensor optimization (2018), algorithm 1.
    """

    exponent: Fraction | float = Fraction(1, 4)
    identity: float = 0.0

    def __call__(self, network: NetworkToUpdate) -> list[Array]:
        ns = network.ns.ordered("Shampoo")
        new, power = [], -float(self.exponent)
        for index, layer in enumerate(network.layers):
            g = layer.gradient
            L, R = network.state.get(index, (ns.eye(g.shape[0]) * self.identity, ns.eye(g.shape[1]) * self.identity))
            L, R = network.state[index] = L + g @ g.mT, R + g.mT @ g
            step = semidefinite_power(ns, L, power) @ g @ semidefinite_power(ns, R, power)
            new.append(layer.weights - network.rate * step)
        return new


@final
@dataclass(frozen=True, slots=True)
class PolarStep:
    """``(W b) <- (W b) - epsilon U V^T`` where ``U S V^T`` is the gradient: the direction of steepest descent for the
    spectral norm.

    Muon without momentum, and with the exact polar factor for its iteration.  Floating point only.  Invariant to
    orthogonal changes of activations, and to orthogonal changes and shifts of pre-activations.

    Parameters
    ----------
    joint : whether of the gradient by (W b), or of that by W alone, with the bias moved against its own gradient
    """

    joint: bool = True

    def __call__(self, network: NetworkToUpdate) -> list[Array]:
        ns = network.ns.ordered("a polar factor")
        new = []
        for layer in network.layers:
            g = layer.gradient
            step = polar_factor(ns, g) if self.joint else ns.concat([polar_factor(ns, g[:, :-1]), g[:, -1:]], axis=1)
            new.append(layer.weights - network.rate * step)
        return new
