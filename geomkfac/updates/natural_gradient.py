"""The exact natural gradient, all layers together."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import final

from geomkfac.arrays.array import Array
from geomkfac.updates.all_weights import moved_against
from geomkfac.updates.exact_fisher import weight_covectors
from geomkfac.updates.rule import NetworkToUpdate


@final
@dataclass(frozen=True, slots=True)
class NaturalGradient:
    """``w <- w - epsilon (F + gamma I)^{-1} grad``, F the output metric pulled back to all weights; small networks.

    Undamped it is invariant to every affine change of basis, and to more (LG-T3.1, LG-1-perm); damped, to
    orthogonal changes of activations, and to orthogonal ones and shifts of pre-activations.

    Parameters
    ----------
    damping : gamma, a multiple of the identity of the coordinates at hand; 0 for none

    Notes
    -----
    Which metric it is, the covectors say that the rule is given: with those of the Fisher metric F is the Fisher
    matrix; with those of the Hessian of the loss by the outputs, the generalized Gauss-Newton matrix.  The classical
    Gauss-Newton matrix ``E[J^T J]`` belongs to the Euclidean metric of one basis of the outputs (LG-E3.3).  Covectors
    that are pulled back already do not tell that basis, so that it is a choice of who makes them, and no other rule.
    """

    damping: int | Fraction = 0

    def __call__(self, network: NetworkToUpdate) -> list[Array]:
        ns, parts = network.ns, []
        for layer in network.layers:
            c, D = weight_covectors(layer)
            parts.append(ns.reshape(D, (c.shape[0] * c.shape[1], -1)))
        rows = ns.concat(parts, axis=1)
        # The coefficients belong to the outputs: they are the same for all layers.
        F = (rows * ns.reshape(c, (-1, 1))).mT @ rows
        return moved_against(network, F, ns.scalar(self.damping) if self.damping else None)
