"""What an update rule knows, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, final

from geomkfac.arrays.namespace import Array, Namespace

__all__ = ["LayerToUpdate", "NetworkToUpdate", "Update"]


@final
@dataclass(frozen=True, slots=True)
class LayerToUpdate:
    """What an update rule knows of a layer with n inputs and m outputs, from N data.

    Attributes
    ----------
    weights : (W b), array (m, n + 1), the bias last
    inputs : ``[a; 1]`` of every datum, array (N, n + 1)
    derivatives : of the loss of each datum by the layer's pre-activations, array (N, m)
    coefficients, covectors : c (K, N) and Dz (K, N, m): the output metric ``sum_k c_k Dz_k Dz_k^T`` pulled
        back to the layer's pre-activations, at every datum
    ns : the namespace of all of them
    """

    weights: Array
    inputs: Array
    derivatives: Array
    coefficients: Array
    covectors: Array
    ns: Namespace

    @property
    def gradient(self) -> Array:
        """Of the mean loss, ``E[Dz [a; 1]^T]``, array (m, n + 1)."""
        return self.derivatives.mT @ self.inputs / self.inputs.shape[0]

    @property
    def A(self) -> Array:
        """``E[[a; 1] [a; 1]^T]``, array (n + 1, n + 1): a mean over data."""
        return self.inputs.mT @ self.inputs / self.inputs.shape[0]

    @property
    def G(self) -> Array:
        """``E[sum_k c_k Dz_k Dz_k^T]``, array (m, m): a mean over data."""
        rows = self.ns.reshape(self.covectors, (-1, self.covectors.shape[-1]))
        return (rows * self.ns.reshape(self.coefficients, (-1, 1))).mT @ rows / self.inputs.shape[0]


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
    """

    layers: tuple[LayerToUpdate, ...]
    rate: Array
    step: int
    state: dict[Any, Any]
    ns: Namespace


Update: TypeAlias = Callable[[NetworkToUpdate], Sequence[Array]]
"""An update rule: new (W b) of every layer, arrays (m, n + 1)."""
