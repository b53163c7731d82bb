"""K-FAC with eigenvalues corrected in the Kronecker eigenbasis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from geomkfac.arrays.namespace import Array
from geomkfac.updates.rule import NetworkToUpdate

__all__ = ["EigenvalueCorrectedKfac"]


@final
@dataclass(frozen=True, slots=True)
class EigenvalueCorrectedKfac:
    """EKFAC: the diagonal of the exact Fisher block, in the eigenbases of A and G.

    Floating point only.  Undamped, and with simple spectra, invariant to orthogonal changes of activations, to
    orthogonal changes times a scalar and shifts of pre-activations; the eigenbasis is not carried along by an
    affine map (GK-6).
    """

    def __call__(self, network: NetworkToUpdate) -> list[Array]:
        ns = network.ns.ordered("eigenvalue-corrected K-FAC")
        new = []
        for layer in network.layers:
            _, U = ns.eigh(layer.A)
            _, V = ns.eigh(layer.G)
            inputs, covectors = layer.inputs @ U, layer.covectors @ V
            squares = ns.sum(covectors * covectors * layer.coefficients[..., None], axis=0)
            second = squares.mT @ (inputs * inputs) / inputs.shape[0]
            step = V @ ((V.mT @ layer.gradient @ U) / second) @ U.mT
            new.append(layer.weights - network.rate * step)
        return new
