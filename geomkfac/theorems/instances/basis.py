"""A second choice of coordinates for a network in arrays, as the paper writes it.

``a_dagger = Omega a + gamma`` leads from the first coordinates of activations to the second, and
``z = Phi z_dagger + tau`` from the second of pre-activations to the first.  Source: LG (2.11), (3.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.theorems.engine.world import World
from geomkfac.theorems.instances.smooth_functions import Transformed, TransformedLoss
from geomkfac.theorems.instances.textbook.fully_connected import MatrixNetwork, widths_of


@final
@dataclass(frozen=True, slots=True)
class Bases:
    """Changes of basis for every space of a network.

    Attributes
    ----------
    Omega, gamma : of the activations 0, ..., L: arrays (n_i, n_i) and (n_i,)
    Phi, tau : of the pre-activations 1, ..., L, at positions 0, ..., L-1
    """

    Omega: tuple[Array, ...]
    gamma: tuple[Array, ...]
    Phi: tuple[Array, ...]
    tau: tuple[Array, ...]


def random_bases(world: World, widths: tuple[int, ...]) -> Bases:
    """Random affine changes of basis of every space."""
    return Bases(
        Omega=tuple(world.invertible(n) for n in widths),
        gamma=tuple(world.array(n) for n in widths),
        Phi=tuple(world.invertible(m) for m in widths[1:]),
        tau=tuple(world.array(m) for m in widths[1:]),
    )


def transformed_weights(
    ns: Namespace, W_bar: Array, Omega: Array, gamma: Array, Phi: Array, tau: Array
) -> Array:
    """(3.3) solved for the second parameters: ``W' = Phi^{-1} W Omega^{-1}``, ``b' = Phi^{-1}(b - tau) - W' gamma``."""
    W, b = W_bar[:, :-1], W_bar[:, -1]
    back = ns.inverse(Phi)
    W_dagger = back @ W @ ns.inverse(Omega)
    b_dagger = back @ (b - tau) - W_dagger @ gamma
    return ns.concat([W_dagger, ns.reshape(b_dagger, (-1, 1))], axis=1)


def transformed(world: World, network: MatrixNetwork, bases: Bases) -> MatrixNetwork:
    """The network N-dagger: weights by (3.3), activations by (2.11), the same loss of the same outputs."""
    ns = world.ns
    layers = range(len(network.weights))
    Omega, gamma, Phi, tau = bases.Omega, bases.gamma, bases.Phi, bases.tau
    directed = [ns.inverse(matrix) for matrix in Phi] if world.planted("Phi in the wrong direction") else Phi
    weights = tuple(
        transformed_weights(ns, network.weights[i], Omega[i], gamma[i], directed[i], tau[i]) for i in layers
    )
    activations = tuple(
        Transformed(network.activations[i], Phi[i], tau[i], Omega[i + 1], gamma[i + 1]) for i in layers
    )
    outputs = len(widths_of(network.weights)) - 1
    loss = TransformedLoss(network.loss, ns.inverse(Omega[outputs]), gamma[outputs])
    return MatrixNetwork(weights, activations, loss)
