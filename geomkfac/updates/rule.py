"""What an update rule knows, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace


@final
@dataclass(frozen=True, slots=True)
class LayerToUpdate:
    """What an update rule knows of a layer with n inputs and m outputs, from N data.

    A layer that is applied at P places of every datum (a convolution, a recurrence) has N P rows, the places of
    one datum together.

    Attributes
    ----------
    weights : (W b), array (m, n + 1), the bias last
    inputs : ``[a; 1]`` of every datum and place, array (N P, n + 1)
    derivatives : of the loss of each datum by the layer's pre-activations, array (N P, m)
    coefficients, covectors : c (K, N P) and Dz (K, N P, m): the output metric ``sum_k c_k Dz_k Dz_k^T`` pulled
        back to the layer's pre-activations, at every datum and place
    ns : the namespace of all of them
    places : P
    """

    weights: Array
    inputs: Array
    derivatives: Array
    coefficients: Array
    covectors: Array
    ns: Namespace
    places: int = 1

    @property
    def count(self) -> int:
        """N."""
        return int(self.inputs.shape[0]) // self.places

    @property
    def gradient(self) -> Array:
        """Of the mean loss, ``E[Dz [a; 1]^T]``, array (m, n + 1): a mean over data, a sum over places."""
        return self.derivatives.mT @ self.inputs / self.count

    @property
    def A(self) -> Array:
        """``E[[a; 1] [a; 1]^T]``, array (n + 1, n + 1): a mean over data and places."""
        return self.inputs.mT @ self.inputs / self.inputs.shape[0]

    @property
    def G(self) -> Array:
        """``E[sum_k c_k Dz_k Dz_k^T]``, array (m, m): a mean over data, a sum over places."""
        rows = self.ns.reshape(self.covectors, (-1, self.covectors.shape[-1]))
        return (rows * self.ns.reshape(self.coefficients, (-1, 1))).mT @ rows / self.count


@final
@dataclass(frozen=True, slots=True)
class NetworkToUpdate:
    """What an update rule knows.

    Attributes
    ----------
    layers : LayerToUpdate, from the input's on
    rate : the learning rate, an array of shape ()
    step : the number of the update, from 0
    state : a dict of the rule's own, empty before the first update, kept between updates
    ns : the namespace: GF(p) where the rule is run exactly
    hessian : gives the Hessian of the mean loss by all weights, array (d, d), layer after layer and the rows of
        (W b) after one another; None where nobody has second derivatives
    """

    layers: tuple[LayerToUpdate, ...]
    rate: Array
    step: int
    state: dict[Any, Any]
    ns: Namespace
    hessian: Callable[[], Array] | None = None


Update: TypeAlias = Callable[[NetworkToUpdate], Sequence[Array]]
"""An update rule: new (W b) of every layer, arrays (m, n + 1)."""
