"""All weights of a network as one vector: layer after layer, the rows of (W b) after one another."""

from __future__ import annotations

from geomkfac.arrays.array import Array
from geomkfac.updates.rule import NetworkToUpdate


def gradient_of_all(network: NetworkToUpdate) -> Array:
    """Of the mean loss, array (d,)."""
    return network.ns.concat([network.ns.reshape(layer.gradient, (-1,)) for layer in network.layers])


def moved_against(network: NetworkToUpdate, matrix: Array, damping: Array | None) -> list[Array]:
    """``w - epsilon (matrix + damping I)^{-1} grad``, as (W b) of every layer; `matrix` is (d, d)."""
    ns = network.ns
    if damping is not None:
        matrix = matrix + damping * ns.eye(matrix.shape[0])
    step = ns.solve(matrix, gradient_of_all(network)[:, None])[:, 0]
    new, start = [], 0
    for layer in network.layers:
        m, n = layer.weights.shape
        new.append(layer.weights - network.rate * ns.reshape(step[start : start + m * n], (m, n)))
        start += m * n
    return new
