"""Functions of which nothing is assumed: activations and losses on arrays, for checks in coordinates.

A smooth function may take any values, and any derivatives, at finitely many points.  Over an exact
kind both are therefore free: drawn when a batch of points is met first, and the same when the same
batch is met again.  So a second network gets a value of the first one only where its pre-activations,
mapped back, *are* those of the first.  In floating point the function is tanh, the loss a Bernoulli
family's.  Rows are data.  Source: LG (2.11), (3.4); docs/evidence.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.maps.activations.activation import Activation as ScalarFunction
from geomkfac.maps.activations.sigmoids import tanh
from geomkfac.metrics import Bernoulli
from geomkfac.theorems.engine.world import World


class RowActivation(Protocol):
    """A smooth function on rows (N, n), and its derivative's transpose on covectors (..., N, n)."""

    def __call__(self, z: Array) -> Array: ...

    def pullback(self, z: Array, covectors: Array) -> Array: ...


class RowLoss(Protocol):
    """A loss and an output metric at outputs (N, m).

    ``differential`` gives (N, m); ``metric`` gives weights (K, N) and covectors (K, N, m) with
    ``g = sum_k c_k phi_k (x) phi_k``.
    """

    def differential(self, outputs: Array) -> Array: ...

    def metric(self, outputs: Array) -> tuple[Array, Array]: ...


@final
class Table:
    """Free numbers for every batch of points met: named draws of given shapes."""

    __slots__ = ("_drawn", "_shapes", "_world")

    def __init__(self, world: World, *shapes: tuple[int, ...]) -> None:
        self._world, self._shapes = world, shapes
        self._drawn: list[tuple[Array, tuple[Array, ...]]] = []

    def at(self, points: Array) -> tuple[Array, ...]:
        """The numbers of a batch of points, drawn now if it has not been met."""
        ns = self._world.ns
        for met, numbers in self._drawn:
            if met.shape == points.shape and ns.equal(met, points):
                return numbers
        numbers = tuple(self._world.array(*shape, *points.shape) for shape in self._shapes)
        self._drawn.append((points, numbers))
        return numbers


@final
class GenericActivation:
    """Values and derivatives, coordinate by coordinate, are free; second derivatives, where they are asked for, too."""

    __slots__ = ("_second", "_table")

    def __init__(self, world: World) -> None:
        self._table, self._second = Table(world, (), ()), Table(world, ())

    def __call__(self, z: Array) -> Array:
        return self._table.at(z)[0]

    def pullback(self, z: Array, covectors: Array) -> Array:
        return covectors * self._table.at(z)[1]

    def second_derivative(self, z: Array) -> Array:
        """Of every coordinate by itself, (N, n)."""
        return self._second.at(z)[0]


@final
@dataclass(frozen=True, slots=True)
class Elementwise:
    """A function of one scalar, at every entry."""

    ns: Namespace
    function: ScalarFunction

    def __call__(self, z: Array) -> Array:
        return self.function.value(self.ns, z)

    def pullback(self, z: Array, covectors: Array) -> Array:
        return covectors * self.function.derivative(self.ns, z)


@final
class GenericLoss:
    """Loss differentials, weights and covectors of the output metric are free; so is the loss' Hessian.

    Parameters
    ----------
    outputs : how many
    """

    __slots__ = ("_differentials", "_metric", "_second", "_world")

    def __init__(self, world: World, outputs: int) -> None:
        count = world.sizes.covectors
        self._world, self._second = world, Table(world, (outputs,))
        self._differentials, self._metric = Table(world, ()), Table(world, (count,), (count,))

    def differential(self, outputs: Array) -> Array:
        return self._differentials.at(outputs)[0]

    def metric(self, outputs: Array) -> tuple[Array, Array]:
        weights, covectors = self._metric.at(outputs)
        return weights[..., 0], covectors

    def hessian(self, outputs: Array) -> Array:
        """By the outputs of every datum, (N, m, m)."""
        free = self._world.ns.permute(self._second.at(outputs)[0], (1, 0, 2))
        return free + free.mT


@final
@dataclass(frozen=True, slots=True)
class BernoulliLoss:
    """The cross-entropy of independent binary targets (N, m), and its Fisher metric."""

    ns: Namespace
    targets: Array

    def differential(self, outputs: Array) -> Array:
        return Bernoulli().loss_gradient(self.ns, outputs, self.targets)

    def metric(self, outputs: Array) -> tuple[Array, Array]:
        return Bernoulli().fisher_factor(self.ns, outputs)


def activation(world: World) -> RowActivation:
    """An arbitrary smooth activation over exact kinds; tanh in floating point."""
    return GenericActivation(world) if world.is_exact else Elementwise(world.ns, tanh)


def loss(world: World, outputs: int) -> RowLoss:
    """An arbitrary loss and output metric over exact kinds; a Bernoulli family in floating point."""
    if world.is_exact:
        return GenericLoss(world, outputs)
    targets = Bernoulli().predictions(world.ns, world.array(world.sizes.data, outputs))
    return BernoulliLoss(world.ns, targets)


@final
@dataclass(frozen=True, slots=True)
class Transformed:
    """``phi_dagger(z) = Omega phi(Phi z + tau) + gamma``.  Source: LG (2.11), (3.4)."""

    phi: RowActivation
    Phi: Array
    tau: Array
    Omega: Array
    gamma: Array

    def __call__(self, z: Array) -> Array:
        return self.phi(z @ self.Phi.mT + self.tau) @ self.Omega.mT + self.gamma

    def pullback(self, z: Array, covectors: Array) -> Array:
        return self.phi.pullback(z @ self.Phi.mT + self.tau, covectors @ self.Omega) @ self.Phi


@final
@dataclass(frozen=True, slots=True)
class TransformedLoss:
    """The same loss and metric of outputs written as ``a_dagger = Omega a + gamma``."""

    loss: RowLoss
    Omega_inverse: Array
    gamma: Array

    def differential(self, outputs: Array) -> Array:
        return self.loss.differential(self._back(outputs)) @ self.Omega_inverse

    def metric(self, outputs: Array) -> tuple[Array, Array]:
        weights, covectors = self.loss.metric(self._back(outputs))
        return weights, covectors @ self.Omega_inverse

    def _back(self, outputs: Array) -> Array:
        return (outputs - self.gamma) @ self.Omega_inverse.mT
