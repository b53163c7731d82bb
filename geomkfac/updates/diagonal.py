"""Diagonal and unit-wise pieces of the exact Fisher metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from geomkfac.arrays.namespace import Array
from geomkfac.updates.rule import LayerToUpdate, NetworkToUpdate

__all__ = ["DiagonalFisher", "UnitwiseNaturalGradient"]


@final
@dataclass(frozen=True, slots=True)
class DiagonalFisher:
    """Every entry of the gradient divided by its own entry of the exact Fisher matrix.

    Invariant to diagonal changes, permutations, and shifts of pre-activations (GK-4).
    """

    def __call__(self, network: NetworkToUpdate) -> list[Array]:
        new = []
        for layer in network.layers:
            squares = layer.covectors * layer.covectors * layer.coefficients[..., None]
            ns, count = layer.ns, layer.inputs.shape[0]
            diagonal = ns.sum(squares, axis=0).mT @ (layer.inputs * layer.inputs) / count
            new.append(layer.weights - network.rate * (layer.gradient / diagonal))
        return new


@final
@dataclass(frozen=True, slots=True)
class UnitwiseNaturalGradient:
    """For every unit the natural gradient of its own incoming weights and bias: blocks of size n + 1.

    Invariant to affine changes of activations, to diagonal changes and permutations of pre-activations, and
    to their shifts.
    """

    def __call__(self, network: NetworkToUpdate) -> list[Array]:
        return [layer.weights - network.rate * self._step(layer) for layer in network.layers]

    def _step(self, layer: LayerToUpdate) -> Array:
        ns, count = layer.ns, layer.inputs.shape[0]
        rows = []
        for unit in range(layer.weights.shape[0]):
            squares = ns.sum(layer.covectors[..., unit] * layer.covectors[..., unit] * layer.coefficients, axis=0)
            block = (layer.inputs * squares[:, None]).mT @ layer.inputs / count
            rows.append(ns.solve(block, layer.gradient[unit, :][:, None])[:, 0])
        return ns.stack(rows, axis=0)
