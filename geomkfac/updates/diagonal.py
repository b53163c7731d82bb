"""Diagonal, quasi-diagonal and unit-wise pieces of the exact Fisher metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from geomkfac.arrays.array import Array
from geomkfac.updates.exact_fisher import weight_covectors, weighted_products
from geomkfac.updates.rule import LayerToUpdate, NetworkToUpdate


@final
@dataclass(frozen=True, slots=True)
class DiagonalFisher:
    """Every entry of the gradient divided by its own entry of the exact Fisher matrix.

    Invariant to diagonal changes, permutations, and shifts of pre-activations (GK-4).
    """

    def __call__(self, network: NetworkToUpdate) -> list[Array]:
        new = []
        for layer in network.layers:
            c, D = weight_covectors(layer)
            diagonal = weighted_products(layer, c, D, D)
            new.append(layer.weights - network.rate * (layer.gradient / diagonal))
        return new


@final
@dataclass(frozen=True, slots=True)
class QuasiDiagonalNaturalGradient:
    r"""Of every unit's block of the Fisher matrix F the diagonal, and the row of the bias, 0.

    With ``c_i = F_0i / F_00``, the mean of input i over the data as the unit weighs them, the step is

        ``v_i = (grad_i - c_i grad_0) / (F_ii - c_i F_0i)``,  ``v_0 = grad_0 / F_00 - sum_i c_i v_i``:

    `DiagonalFisher` in the basis in which inputs are centred for that unit.  So it is invariant to diagonal changes,
    permutations and shifts of activations and of pre-activations.

    Source: Ollivier, Riemannian metrics for neural networks I (2015), section 2.3.
    """

    def __call__(self, network: NetworkToUpdate) -> list[Array]:
        return [layer.weights - network.rate * self._step(layer) for layer in network.layers]

    def _step(self, layer: LayerToUpdate) -> Array:
        (c, D), grad = weight_covectors(layer), layer.gradient
        diagonal = weighted_products(layer, c, D, D)
        with_bias = weighted_products(layer, c, D, D[..., -1:])
        centre = with_bias[:, :-1] / with_bias[:, -1:]
        weight = (grad[:, :-1] - centre * grad[:, -1:]) / (diagonal[:, :-1] - centre * with_bias[:, :-1])
        bias = grad[:, -1:] / with_bias[:, -1:] - layer.ns.sum(centre * weight, axis=1)[:, None]
        return layer.ns.concat([weight, bias], axis=1)


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
        ns, (c, D) = layer.ns, weight_covectors(layer)
        weights = ns.reshape(c, (-1, 1))
        steps = []
        for unit in range(layer.weights.shape[0]):
            rows = ns.reshape(D[..., unit, :], (-1, D.shape[-1]))
            steps.append(ns.solve((rows * weights).mT @ rows, layer.gradient[unit, :][:, None])[:, 0])
        return ns.stack(steps, axis=0)
