"""Is an update rule the same in other bases?  The claim, as the identity of a check.

A random network and its double in other affine bases, LG (2.11), are both updated from what a rule may know of
them; afterwards they must compute the same function.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from geomkfac.arrays.array import Array
from geomkfac.errors import ShapeError
from geomkfac.theorems.engine.statement import Comparisons, given, same
from geomkfac.theorems.engine.world import World
from geomkfac.theorems.instances.basis import Bases, transformed
from geomkfac.theorems.instances.basis_groups import random_change
from geomkfac.theorems.instances.second_derivatives import hessian_of_pass
from geomkfac.theorems.instances.textbook.fully_connected import (
    MatrixNetwork,
    backward,
    forward,
    homogeneous,
    random_network,
)
from geomkfac.updates import LayerToUpdate, NetworkToUpdate, Update


@final
@dataclass(frozen=True, slots=True)
class InvarianceClaim:
    """The claim that a rule gives the same function in other bases, drawn from two groups.

    Parameters
    ----------
    update : the rule
    activations, preactivations : names of groups, as in `groups.GROUPS`
    """

    update: Update
    activations: str
    preactivations: str

    def __call__(self, world: World) -> Comparisons:
        """Two networks that compute one function, both updated: they compute one function again."""
        ns, widths, count = world.ns, world.sizes.widths, world.sizes.data
        network = random_network(world, widths)
        bases = self._bases(world, widths)
        double = transformed(world, network, bases)
        x = world.array(count, widths[0])
        rate = world.number() if world.is_exact else ns.scalar(0.01)
        x_dagger = x @ bases.Omega[0].mT + bases.gamma[0]
        states: tuple[dict[Any, Any], dict[Any, Any]] = ({}, {})
        yield from self._compared(world, given, "before the update", network, double, x, bases)
        for step in range(world.sizes.steps):
            network = updated(world, self.update, network, x, rate, step, states[0])
            double = updated(world, self.update, double, x_dagger, rate, step, states[1])
            fresh = world.array(count, widths[0])
            yield from self._compared(world, same, f"after update {step + 1}", network, double, fresh, bases)

    def _bases(self, world: World, widths: tuple[int, ...]) -> Bases:
        of_activations = [random_change(world, self.activations, n) for n in widths]
        of_preactivations = [random_change(world, self.preactivations, m) for m in widths[1:]]
        return Bases(*zip(*of_activations, strict=True), *zip(*of_preactivations, strict=True))

    def _compared(
        self, world: World, compare: Any, when: str, one: MatrixNetwork, two: MatrixNetwork, x: Array, bases: Bases
    ) -> Comparisons:
        """``z = Phi z' + tau`` at every layer."""
        passes = forward(world.ns, one, x), forward(world.ns, two, x @ bases.Omega[0].mT + bases.gamma[0])
        for i, (Phi, tau) in enumerate(zip(bases.Phi, bases.tau, strict=True)):
            z, z_dagger = (run.preactivations[i] for run in passes)
            yield compare(f"pre-activations of layer {i + 1} {when}", z, z_dagger @ Phi.mT + tau)


def updated(
    world: World, update: Update, network: MatrixNetwork, x: Array, rate: Array, step: int, state: dict[Any, Any]
) -> MatrixNetwork:
    """The network after one update by a rule, from the data `x`.

    Raises
    ------
    ShapeError : the rule returned arrays of other shapes than the weights'.
    """
    ns = world.ns
    batch = forward(ns, network, x)
    coefficients, outputs = network.loss.metric(batch.activations[-1])
    slopes = network.loss.differential(batch.activations[-1])
    derivatives = backward(network, batch, slopes)
    covectors = backward(network, batch, outputs)
    layers = tuple(
        LayerToUpdate(W, homogeneous(ns, a), Dz, coefficients, phi, ns)
        for W, a, Dz, phi in zip(network.weights, batch.activations[:-1], derivatives, covectors, strict=True)
    )

    def hessian() -> Array:
        # Second derivatives are drawn when they are asked for: other rules draw none.
        return hessian_of_pass(ns, network, batch, derivatives, slopes)

    new = tuple(update(NetworkToUpdate(layers, rate, step, state, ns, hessian)))
    shapes, required = [tuple(W.shape) for W in new], [tuple(W.shape) for W in network.weights]
    if shapes != required:
        raise ShapeError(
            f"an update returns new weights for every layer.\n  required: shapes {required}\n"
            f"  came    : shapes {shapes}\nReturn (W b) of every layer, the bias last."
        )
    return MatrixNetwork(new, network.activations, network.loss)
