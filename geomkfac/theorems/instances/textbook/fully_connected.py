"""K-FAC as the paper's section 2 prints it: matrices, homogeneous coordinates, no geometry.

Written apart from `geomkfac.networks` on purpose, so that what that room computes is checked against
something else.  Rows are data: z = a_bar W_bar^T.  Expectations are means over data.
Source: LG (2.7) to (2.11).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.theorems.engine.world import World
from geomkfac.theorems.instances.smooth_functions import RowActivation, RowLoss, activation, loss


def homogeneous(ns: Namespace, a: Array, *, first: bool = False) -> Array:
    """``a_bar = [a; 1]`` for rows (N, n), the homogeneous coordinate last (or, wrongly, first)."""
    ones = ns.ones((a.shape[0], 1))
    return ns.concat([ones, a] if first else [a, ones], axis=1)


def total_of(arrays: Iterable[Array]) -> Array:
    """The sum of one array or more, from the first to the last."""
    return reduce(add, arrays)


def weighted_squares(ns: Namespace, weights: Array, covectors: Array) -> Array:
    """``sum_k c_k phi_k phi_k^T`` of covectors (..., m) and their weights (...): an array (m, m)."""
    rows = ns.reshape(covectors, (-1, covectors.shape[-1]))
    return (rows * ns.reshape(weights, (-1, 1))).mT @ rows


@final
@dataclass(frozen=True, slots=True)
class MatrixNetwork:
    """A network in coordinates.

    Attributes
    ----------
    weights : W_bar_i = (W_i b_i), arrays (m_i, n_i + 1)
    activations : phi_i, one for each layer, the last one too
    loss : of the outputs a_L
    """

    weights: tuple[Array, ...]
    activations: tuple[RowActivation, ...]
    loss: RowLoss


def random_network(world: World, widths: Sequence[int]) -> MatrixNetwork:
    """A network of which nothing is assumed but its widths (n_0, ..., n_L)."""
    return MatrixNetwork(
        weights=tuple(world.array(m, n + 1) for m, n in zip(widths[1:], widths[:-1], strict=True)),
        activations=tuple(activation(world) for _ in widths[1:]),
        loss=loss(world, widths[-1]),
    )


@final
@dataclass(frozen=True, slots=True)
class MatrixPass:
    """Activations a_0, ..., a_L and pre-activations z_1, ..., z_L of a batch."""

    activations: tuple[Array, ...]
    preactivations: tuple[Array, ...]


def forward(ns: Namespace, network: MatrixNetwork, inputs: Array) -> MatrixPass:
    """``z_i = W_bar_i a_bar_{i-1}``, ``a_i = phi_i(z_i)``.  Source: LG (2.7)."""
    a, z = [inputs], []
    for W_bar, phi in zip(network.weights, network.activations, strict=True):
        z.append(homogeneous(ns, a[-1]) @ W_bar.mT)
        a.append(phi(z[-1]))
    return MatrixPass(tuple(a), tuple(z))


def backward(network: MatrixNetwork, batch: MatrixPass, covectors: Array) -> list[Array]:
    """``D z_1, ..., D z_L`` from covectors (..., N, m) on the outputs: ``D a_{i-1} = W_i^T D z_i``."""
    Dz: list[Array] = []
    Da = covectors
    triples = zip(network.weights, network.activations, batch.preactivations, strict=True)
    for W_bar, phi, z in reversed(list(triples)):
        Dz.insert(0, phi.pullback(z, Da))
        Da = Dz[0] @ W_bar[:, :-1]
    return Dz


def factors(world: World, network: MatrixNetwork, batch: MatrixPass) -> tuple[list[Array], list[Array]]:
    """``A_{i-1} = E[a_bar a_bar^T]`` and ``G_i = E[Dz_i Dz_i^T]``, i = 1, ..., L.  Source: LG (2.8)."""
    ns, count = world.ns, batch.activations[0].shape[0]
    first = world.planted("homogeneous coordinate first")
    A = [_second_moment(homogeneous(ns, a, first=first)) for a in batch.activations[:-1]]
    weights, covectors = network.loss.metric(batch.activations[-1])
    G = [weighted_squares(ns, weights, Dz) / count for Dz in backward(network, batch, covectors)]
    if world.planted("A of the layer before"):
        A = [A[0], *A[:-1]]
    if world.planted("G diagonal"):
        G = [g * ns.eye(g.shape[0]) for g in G]
    return perhaps_damped(world, A), G


def perhaps_damped(world: World, A: list[Array]) -> list[Array]:
    """The matrices, each plus gamma I where that fault is planted."""
    if not world.planted("damping by gamma I"):
        return A
    gamma = world.number() if world.is_exact else world.ns.scalar(0.1)
    return [a + gamma * world.ns.eye(a.shape[0]) for a in A]


def gradients(ns: Namespace, network: MatrixNetwork, batch: MatrixPass) -> list[Array]:
    """``grad_i = E[Dz_i a_bar_{i-1}^T]`` of the mean loss, arrays (m_i, n_i + 1)."""
    count = batch.activations[0].shape[0]
    Dz = backward(network, batch, network.loss.differential(batch.activations[-1]))
    pairs = zip(Dz, batch.activations[:-1], strict=True)
    return [rows.mT @ homogeneous(ns, a) / count for rows, a in pairs]


def kfac_update(world: World, network: MatrixNetwork, inputs: Array, rate: Array) -> MatrixNetwork:
    """``W_bar_i <- W_bar_i - epsilon G_i^{-1} grad_i A_{i-1}^{-1}``.  Source: LG (2.10)."""
    batch = forward(world.ns, network, inputs)
    A, G = factors(world, network, batch)
    grads = gradients(world.ns, network, batch)
    return replace(network, weights=updated_weights(world, network.weights, A, G, grads, rate))


def updated_weights(
    world: World, weights: Sequence[Array], A: Sequence[Array], G: Sequence[Array], grads: Sequence[Array], rate: Array
) -> tuple[Array, ...]:
    """``W_bar_i - epsilon G_i^{-1} grad_i A_{i-1}^{-1}`` of every layer, arrays (m_i, n_i + 1)."""
    quadruples = zip(weights, A, G, grads, strict=True)
    return tuple(W_bar - rate * _step(world, a, g, grad) for W_bar, a, g, grad in quadruples)


def _step(world: World, A: Array, G: Array, grad: Array) -> Array:
    """``G^{-1} grad A^{-1}``."""
    ns = world.ns
    if world.planted("gradient descent"):
        return grad
    if world.planted("G where its inverse belongs"):
        return G @ grad @ ns.inverse(A)
    if world.planted("A^{-1} on the wrong side"):
        # The shapes fit where a layer has one output more than inputs.
        return ns.inverse(A) @ grad @ ns.inverse(G) if A.shape == G.shape else ns.inverse(G) @ grad @ ns.inverse(A)
    if world.planted("bias left out of the homogeneous coordinate"):
        weight = ns.inverse(G) @ grad[:, :-1] @ ns.inverse(A[:-1, :-1])
        return ns.concat([weight, ns.inverse(G) @ grad[:, -1:]], axis=1)
    return ns.inverse(G) @ grad @ ns.inverse(A)


def _second_moment(rows: Array) -> Array:
    return rows.mT @ rows / rows.shape[0]


def widths_of(weights: Sequence[Array]) -> tuple[int, ...]:
    """``(n_0, n_1, ..., n_L)`` of weights (m_i, n_i + 1)."""
    return (weights[0].shape[1] - 1, *(W_bar.shape[0] for W_bar in weights))
