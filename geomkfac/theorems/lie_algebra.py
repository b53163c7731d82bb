"""The infinitesimal symmetries of an update: which changes of basis it does not see, to first order.

The group of affine changes of the activations that enter each layer, and of its pre-activations, acts on
networks.  To a rule belongs the Lie algebra of those generators under which updating and transforming commute: a
linear condition on the generator, measured by central differences on several random networks at once (one
network has accidental symmetries), and solved by singular values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from geomkfac.arrays.namespace import Array, OrderedNamespace
from geomkfac.theorems.basis import Bases, transformed
from geomkfac.theorems.invariance import updated
from geomkfac.theorems.smooth import activation, loss
from geomkfac.theorems.textbook import Network
from geomkfac.theorems.world import World
from geomkfac.updates import Update

__all__ = ["STEP", "Generator", "Symmetries", "solved", "symmetries"]

STEP = 1e-4
CUT = 1e-4
"""Singular values below this are zero, where 1 is a change as large as the update itself.

Central differences are off by STEP squared times third derivatives, and by rounding over STEP.
"""


@final
@dataclass(frozen=True, slots=True)
class Generator:
    """One entry of the matrix, or of the translation, of a change of one space.

    Attributes
    ----------
    space : ``"A0"``, ``"Z1"``, ...
    row, column : of the entry; the translation is the last column
    """

    space: str
    row: int
    column: int


@final
@dataclass(frozen=True, slots=True, eq=False)
class Symmetries:
    """The Lie algebra of an update's infinitesimal symmetries.

    Attributes
    ----------
    generators : of the whole group, one for each coordinate of a member of the algebra
    basis : array (dimension, generators): rows span the algebra
    singular_values : of the condition, descending; what is zero of them belongs to the algebra
    """

    generators: tuple[Generator, ...]
    basis: Array
    singular_values: Array

    @property
    def dimension(self) -> int:
        """Of the algebra."""
        return int(self.basis.shape[0])


def generators_of(widths: Sequence[int]) -> tuple[Generator, ...]:
    """Entries of all changes: of A_0, ..., A_{L-1} and of Z_1, ..., Z_L."""
    spaces = [(f"A{i}", n) for i, n in enumerate(widths[:-1])] + [(f"Z{i}", m) for i, m in enumerate(widths[1:], 1)]
    return tuple(Generator(name, i, j) for name, n in spaces for i in range(n) for j in range(n + 1))


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
    generators = generators_of(widths)
    blocks = []
    for _ in range(instances):
        network = Network(
            tuple(world.array(m, n + 1) for m, n in zip(widths[1:], widths[:-1], strict=True)),
            tuple(activation(world) for _ in widths[1:]),
            loss(world, widths[-1]),
        )
        x, rate = world.array(data, widths[0]), ns.scalar(0.1)
        columns = [
            (_mapped_back(world, update, network, x, rate, widths, generator, STEP)
             - _mapped_back(world, update, network, x, rate, widths, generator, -STEP)) / (2 * STEP)
            for generator in generators
        ]  # fmt: skip
        blocks.append(ns.stack(columns, axis=1) / _length(world, update, network, x, rate))
    return solved(ns, generators, ns.concat(blocks, axis=0))


def _length(world: World, update: Update, network: Network, x: Array, rate: Array) -> float:
    """Of the update's step."""
    ns = world.ns.ordered("a length")
    after = updated(world, update, network, x, rate, 0, {})
    parts = [ns.norm(new - old) ** 2 for new, old in zip(after.weights, network.weights, strict=True)]
    return float(sum(parts) ** 0.5)


def solved(ns: OrderedNamespace, generators: tuple[Generator, ...], condition: Array) -> Symmetries:
    """The algebra: what the condition, an array (entries, generators), sends to zero.

    Its entries are in units of the update's length.
    """
    values, vectors = ns.eigh(condition.mT @ condition)
    null = sum(1 for value in ns.to_numpy(values) if value <= CUT**2)
    singular = ns.sqrt(ns.maximum(ns.take(values, list(range(len(generators) - 1, -1, -1)), 0), 0.0))
    return Symmetries(generators, vectors[:, :null].mT, singular)


def _mapped_back(
    world: World,
    update: Update,
    network: Network,
    x: Array,
    rate: Array,
    widths: Sequence[int],
    generator: Generator,
    size: float,
) -> Array:
    """The weights after an update of the double in bases moved along a generator, in the first bases again."""
    ns = world.ns
    bases = _near_identity(ns, widths, generator, size)
    there = x @ bases.Omega[0].mT + bases.gamma[0]
    double = updated(world, update, transformed(world, network, bases), there, rate, 0, {})
    flat = []
    for i, W_bar in enumerate(double.weights):
        # LG (3.3): W = Phi W' Omega, b = Phi W' gamma + Phi b' + tau.
        W, b = bases.Phi[i] @ W_bar[:, :-1], bases.Phi[i] @ W_bar[:, -1]
        flat += [ns.reshape(W @ bases.Omega[i], (-1,)), W @ bases.gamma[i] + b + bases.tau[i]]
    return ns.concat(flat)


def _near_identity(ns: Any, widths: Sequence[int], generator: Generator, size: float) -> Bases:
    def moved(name: str, n: int) -> tuple[Array, Array]:
        matrix = ns.eye(n)
        if name != generator.space:
            return matrix, ns.zeros((n,))
        row = ns.eye(n)[:, generator.row]
        if generator.column == n:
            return matrix, row * size
        return matrix + row[:, None] * ns.eye(n)[generator.column, :][None, :] * size, ns.zeros((n,))

    activations = [moved(f"A{i}", n) for i, n in enumerate(widths)]
    preactivations = [moved(f"Z{i}", m) for i, m in enumerate(widths[1:], 1)]
    return Bases(*zip(*activations, strict=True), *zip(*preactivations, strict=True))
