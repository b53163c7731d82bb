"""The infinitesimal symmetries of an update: which changes of basis it does not see, to first order.

The group of affine changes of the activations that enter each layer, and of its pre-activations, acts on
networks.  To a rule belongs the Lie algebra of those generators under which updating and transforming commute: a
linear condition on the generator, measured on several random networks at once (one network has accidental
symmetries), and solved by `geomkfac.theorems.instances.symmetry_condition`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import OrderedNamespace
from geomkfac.theorems.engine.world import World
from geomkfac.theorems.instances.basis import Bases, transformed
from geomkfac.theorems.instances.invariance_claim import updated
from geomkfac.theorems.instances.symmetry_condition import Generator, Symmetries, solved
from geomkfac.theorems.instances.textbook.fully_connected import random_network
from geomkfac.updates import Update


def symmetries(world: World, update: Update, widths: Sequence[int], *, data: int, instances: int = 2) -> Symmetries:
    """The symmetries that an update has on all of several random networks.

    Parameters
    ----------
    world : of floating point
    update : the rule
    widths : (n_0, ..., n_L)
    data : N, for each network
    instances : how many networks
    """
    ns = world.ns.ordered("the symmetries of an update")
    each = [_on_network(world, ns, update, widths, data) for _ in range(instances)]
    return solved(ns, generators_of(widths), lambda change: ns.concat([moved(change) for moved in each]))


def generators_of(widths: Sequence[int]) -> tuple[Generator, ...]:
    """Entries of all changes: of A_0, ..., A_{L-1} and of Z_1, ..., Z_L."""
    spaces = [(f"A{i}", n) for i, n in enumerate(widths[:-1])] + [(f"Z{i}", m) for i, m in enumerate(widths[1:], 1)]
    return tuple(Generator(name, i, j) for name, n in spaces for i in range(n) for j in range(n + 1))


def _on_network(
    world: World, ns: OrderedNamespace, update: Update, widths: Sequence[int], data: int
) -> Callable[[Array], Array]:
    """The update of a random network in changed bases, mapped back, in units of its length."""
    network = random_network(world, widths)
    x, rate = world.array(data, widths[0]), ns.scalar(0.1)
    step = updated(world, update, network, x, rate, 0, {})
    parts = [ns.norm(new - old) ** 2 for new, old in zip(step.weights, network.weights, strict=True)]
    length = float(sum(parts) ** 0.5)

    def moved(change: Array) -> Array:
        bases = _near_identity(ns, widths, change)
        there = x @ bases.Omega[0].mT + bases.gamma[0]
        double = updated(world, update, transformed(world, network, bases), there, rate, 0, {})
        flat = []
        for i, W_bar in enumerate(double.weights):
            # LG (3.3): W = Phi W' Omega, b = Phi W' gamma + Phi b' + tau.
            W, b = bases.Phi[i] @ W_bar[:, :-1], bases.Phi[i] @ W_bar[:, -1]
            flat += [ns.reshape(W @ bases.Omega[i], (-1,)), W @ bases.gamma[i] + b + bases.tau[i]]
        return ns.concat(flat) / length

    return moved


def _near_identity(ns: OrderedNamespace, widths: Sequence[int], change: Array) -> Bases:
    """The identity of every space plus a combination of `generators_of`; the outputs a_L stay."""
    moved, start = [], 0
    for n in (*widths[:-1], *widths[1:]):
        block = ns.reshape(change[start : start + n * (n + 1)], (n, n + 1))
        moved.append((ns.eye(n) + block[:, :-1], block[:, -1]))
        start += n * (n + 1)
    layers = len(widths) - 1
    activations = [*moved[:layers], (ns.eye(widths[-1]), ns.zeros((widths[-1],)))]
    return Bases(*zip(*activations, strict=True), *zip(*moved[layers:], strict=True))
