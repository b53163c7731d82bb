"""The exact natural gradient, all layers together."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import final

from geomkfac.arrays.namespace import Array
from geomkfac.updates.rule import NetworkToUpdate

__all__ = ["NaturalGradient"]


@final
@dataclass(frozen=True, slots=True)
class NaturalGradient:
    """``w <- w - epsilon (F + gamma I)^{-1} grad`` with the exact Fisher (or Gauss-Newton) matrix; for small networks.

    Undamped it is invariant to every affine change of basis, and to more (LG-T3.1, LG-1-perm).

    Parameters
    ----------
    damping : gamma, a multiple of the identity of the coordinates at hand; 0 for none
    """

    damping: int | Fraction = 0

    def __call__(self, network: NetworkToUpdate) -> list[Array]:
        ns, parts, gradients = network.ns, [], []
        for layer in network.layers:
            products = layer.covectors[..., :, None] * layer.inputs[:, None, :]
            parts.append(ns.reshape(products, (-1, products.shape[-2] * products.shape[-1])))
            gradients.append(ns.reshape(layer.gradient, (-1,)))
        rows, count = ns.concat(parts, axis=1), network.layers[0].inputs.shape[0]
        F = (rows * ns.reshape(network.layers[0].coefficients, (-1, 1))).mT @ rows / count
        if self.damping:
            F = F + ns.scalar(self.damping) * ns.eye(F.shape[0])
        step = ns.solve(F, ns.concat(gradients)[:, None])[:, 0]
        new, start = [], 0
        for layer in network.layers:
            m, n = layer.weights.shape
            part = ns.reshape(step[start : start + m * n], (m, n))
            new.append(layer.weights - network.rate * part)
            start += m * n
        return new
