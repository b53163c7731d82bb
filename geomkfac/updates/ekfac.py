"""K-FAC with eigenvalues corrected in the Kronecker eigenbasis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from geomkfac.arrays.array import Array
from geomkfac.updates.exact_fisher import weight_covectors, weighted_products
from geomkfac.updates.rule import NetworkToUpdate


@final
@dataclass(frozen=True, slots=True)
class EigenvalueCorrectedKfac:
    """EKFAC: the diagonal of the exact Fisher block, in the eigenbases of A and G.

    Floating point only.  Undamped, and with simple spectra, invariant to orthogonal changes of activations, to
    orthogonal changes times a scalar and shifts of pre-activations; the eigenbasis is not carried along by an
    affine map (GK-6).  Where G is diagonal whatever the data, as a Bernoulli family makes it in the last layer, that
    layer's eigenbasis is the given one, and diagonal changes of its pre-activations are kept besides.
    """

    def __call__(self, network: NetworkToUpdate) -> list[Array]:
        ns = network.ns.ordered("eigenvalue-corrected K-FAC")
        new = []
        for layer in network.layers:
            _, U = ns.eigh(layer.A)
            _, V = ns.eigh(layer.G)
            c, D = weight_covectors(layer)
            rotated = V.mT @ D @ U
            second = weighted_products(layer, c, rotated, rotated)
            step = V @ ((V.mT @ layer.gradient @ U) / second) @ U.mT
            new.append(layer.weights - network.rate * step)
        return new
