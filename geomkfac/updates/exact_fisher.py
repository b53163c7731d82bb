"""The exact Fisher (or other output) metric of a layer's weights, as the covectors that it is made of."""

from __future__ import annotations

from geomkfac.arrays.array import Array
from geomkfac.updates.rule import LayerToUpdate


def weight_covectors(layer: LayerToUpdate) -> tuple[Array, Array]:
    """Arrays c (K, N) and D (K, N, m, n + 1): the metric on the weights (W b) is ``sum_kn c_kn D_kn (x) D_kn``.

    The mean over data is in c.  Places of a datum share their weights, so that their ``Dz [a; 1]^T`` are summed
    before anything is squared: the exact metric is no sum over places.  For small networks.
    """
    ns, count, places = layer.ns, layer.count, layer.places
    inputs = ns.reshape(layer.inputs, (count, places, layer.inputs.shape[-1]))
    covectors = ns.reshape(layer.covectors, (-1, count, places, layer.covectors.shape[-1]))
    coefficients = ns.reshape(layer.coefficients, (-1, count, places))
    return coefficients[..., 0] / count, covectors.mT @ inputs


def weighted_products(layer: LayerToUpdate, coefficients: Array, left: Array, right: Array) -> Array:
    """``sum_kn c_kn x_kn y_kn``, entry by entry, of arrays x and y that broadcast to (K, N, m, n + 1)."""
    return layer.ns.sum(left * right * coefficients[..., None, None], axis=(0, 1))
