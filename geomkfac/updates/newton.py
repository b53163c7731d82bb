"""Newton's method."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import final

from geomkfac.arrays.array import Array
from geomkfac.errors import ValuesError
from geomkfac.updates.all_weights import moved_against
from geomkfac.updates.rule import NetworkToUpdate


@final
@dataclass(frozen=True, slots=True)
class Newton:
    """``w <- w - epsilon (H + gamma I)^{-1} grad`` with the exact Hessian H by all weights; for small networks.

    Undamped it is invariant to every affine change of basis: weights in other bases are an affine function of the
    weights, and under those a Hessian changes as a metric does, definite or not (NN-2.3).  Damped it is invariant to
    orthogonal changes of activations, and to orthogonal ones and shifts of pre-activations.

    Parameters
    ----------
    damping : gamma, a multiple of the identity of the coordinates at hand; 0 for none

    Raises
    ------
    ValuesError : the network comes without its Hessian.
    """

    damping: int | Fraction = 0

    def __call__(self, network: NetworkToUpdate) -> list[Array]:
        if network.hessian is None:
            raise ValuesError(
                "Newton's step needs the Hessian of the mean loss.\n"
                "  required: NetworkToUpdate(..., hessian=a function without arguments that gives an array (d, d))\n"
                "  came    : hessian=None\n"
                "Pass the Hessian, or use NaturalGradient, which needs first derivatives alone."
            )
        ns = network.ns
        return moved_against(network, network.hessian(), ns.scalar(self.damping) if self.damping else None)
