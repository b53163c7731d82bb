"""`assert_invariant`: is an update rule the same in other bases?  For test-suites of optimizers.

The rule is written over the array contract, from what it may know: weights, inputs and derivatives of
every layer.  It is run on a random network and on its double in other affine bases, LG (2.11); afterwards
the two must compute the same function.  Exactly, with activations and losses of which nothing is assumed,
where the rule is rational; else in floating point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final

from geomkfac.arrays.namespace import Array, Namespace
from geomkfac.errors import KindError, ShapeError
from geomkfac.names import look_up
from geomkfac.theorems import Check, Evidence, Sizes, World, given, same
from geomkfac.theorems.basis import Bases, transformed
from geomkfac.theorems.exact import exact
from geomkfac.theorems.groups import GROUPS, random_change
from geomkfac.theorems.numeric import numeric
from geomkfac.theorems.smooth import activation, loss
from geomkfac.theorems.statement import Comparisons
from geomkfac.theorems.textbook import Network, backward, forward, homogeneous

__all__ = ["LayerToUpdate", "NetworkToUpdate", "Update", "assert_invariant"]


@final
@dataclass(frozen=True, slots=True)
class LayerToUpdate:
    """What an update rule knows of a layer with n inputs and m outputs, from N data.

    Attributes
    ----------
    weights : (W b), array (m, n + 1), the bias last
    inputs : ``[a; 1]`` of every datum, array (N, n + 1)
    derivatives : of the loss of each datum by the layer's pre-activations, array (N, m)
    coefficients, covectors : c (K, N) and Dz (K, N, m): the output metric ``sum_k c_k Dz_k Dz_k^T`` pulled
        back to the layer's pre-activations, at every datum
    ns : the namespace of all of them
    """

    weights: Array
    inputs: Array
    derivatives: Array
    coefficients: Array
    covectors: Array
    ns: Namespace

    @property
    def gradient(self) -> Array:
        """Of the mean loss, ``E[Dz [a; 1]^T]``, array (m, n + 1)."""
        return self.derivatives.mT @ self.inputs / self.inputs.shape[0]

    @property
    def A(self) -> Array:
        """``E[[a; 1] [a; 1]^T]``, array (n + 1, n + 1): a mean over data."""
        return self.inputs.mT @ self.inputs / self.inputs.shape[0]

    @property
    def G(self) -> Array:
        """``E[sum_k c_k Dz_k Dz_k^T]``, array (m, m): a mean over data."""
        rows = self.ns.reshape(self.covectors, (-1, self.covectors.shape[-1]))
        return (rows * self.ns.reshape(self.coefficients, (-1, 1))).mT @ rows / self.inputs.shape[0]


@final
@dataclass(frozen=True, slots=True)
class NetworkToUpdate:
    """What an update rule knows.

    Attributes
    ----------
    layers : LayerToUpdate, from the input's on
    rate : the learning rate, an array of shape ()
    step : the number of the update, from 0
    state : a dict of the rule's own, empty before the first update, kept between updates
    ns : the namespace: GF(p) where the rule is run exactly
    """

    layers: tuple[LayerToUpdate, ...]
    rate: Array
    step: int
    state: dict[Any, Any]
    ns: Namespace


Update: TypeAlias = Callable[[NetworkToUpdate], Sequence[Array]]
"""An update rule: new (W b) of every layer, arrays (m, n + 1)."""

Over = Literal["auto", "GF(p)", "floating"]


def assert_invariant(
    update: Update,
    *,
    activations: str = "affine",
    preactivations: str = "affine",
    widths: Sequence[int] = (2, 3, 2),
    data: int | None = None,
    covectors: int | None = None,
    steps: int = 2,
    over: Over = "auto",
    trials: int = 2,
    seed: int = 0,
) -> Evidence:
    """Raise unless an update rule gives the same function in other bases.

    Parameters
    ----------
    update : the rule; it must depend on its argument alone
    activations, preactivations : which changes of basis: ``"affine"``, ``"linear"``, ``"translation"``,
        ``"orthogonal"``, ``"diagonal"``, ``"scalar"``, ``"permutation"`` (the cyclic one) or ``"fixed"``; the
        inputs and outputs of the network are activations
    widths : dimensions of the layers, inputs first; ``(1, 1)`` at least
    data : N; by default enough for every A to be invertible
    covectors : K, of the output metric at each datum; by default enough for every G to be invertible
    steps : updates that follow each other
    over : ``"GF(p)"``: exactly, for rational rules; ``"floating"``; ``"auto"``: exactly unless the rule asks
        for floats, roots or order
    trials : random instances
    seed : nonnegative integer

    Returns
    -------
    Evidence, with the bound on the probability of a false pass, or the tolerance

    Raises
    ------
    AssertionError : the functions differ; it says where, at the smallest widths at which they do.
    UnknownNameError : no such group.
    ShapeError : the rule returned arrays of other shapes than the weights'.

    Examples
    --------
    >>> def gradient_descent(network):
    ...     return [layer.weights - network.rate * layer.gradient for layer in network.layers]
    >>> def kfac(network):
    ...     solve = network.ns.solve
    ...     return [
    ...         layer.weights - network.rate * solve(layer.G, solve(layer.A, layer.gradient.mT).mT)
    ...         for layer in network.layers
    ...     ]
    >>> assert_invariant(kfac).grade
    'X'
    >>> evidence = assert_invariant(gradient_descent, activations="orthogonal", preactivations="translation")
    >>> assert_invariant(gradient_descent, activations="translation")
    Traceback (most recent call last):
    AssertionError: the update is not invariant ...
    """
    for group in (activations, preactivations):
        look_up("group of changes of basis", group, GROUPS)
    look_up("kind of scalars", over, dict.fromkeys(("auto", "GF(p)", "floating")))
    rule = _Rule(update, activations, preactivations)
    name = getattr(update, "__qualname__", type(update).__name__)
    key = (seed, "assert_invariant", activations, preactivations)
    sizes = _sizes(tuple(widths), data, covectors, steps)
    evidence = None
    if over != "floating":
        try:
            evidence = exact(Check("X", name, rule, sizes, "GF(p)"), key, trials)
        except KindError:
            if over == "GF(p)":
                raise
    if evidence is None:
        # The full round-off of a basis change there and back, for the metric and for the step.
        many = tuple(Sizes(one.widths, 5 * one.data, one.covectors, one.steps) for one in sizes)
        evidence = numeric(Check("N", name, rule, many, "floating", condition_power=4), key, trials)
    if not evidence.holds:
        raise AssertionError(
            f"the update is not invariant under {activations} changes of the activations' bases and "
            f"{preactivations} changes of the pre-activations'.\n  rule : {name}\n  found: {evidence.text}\n"
            f"Again: assert_invariant({name}, activations={activations!r}, preactivations={preactivations!r}, "
            f"widths={tuple(widths)}, steps={steps}, seed={seed})"
        )
    return evidence


def _sizes(widths: tuple[int, ...], data: int | None, covectors: int | None, steps: int) -> tuple[Sizes, ...]:
    """The sizes asked for, last, and smaller ones to shrink a failure to."""
    asked = _filled(widths, data, covectors, steps)
    smaller = [(1, 1), (1, 1, 1), (2, 2), (2, 2, 2)]
    fitting = [one for one in smaller if sum(one) < sum(widths)]
    return (*(_filled(one, None, None, count) for one in fitting for count in dict.fromkeys((1, steps))), asked)


def _filled(widths: tuple[int, ...], data: int | None, covectors: int | None, steps: int) -> Sizes:
    enough = max(widths) + 2
    return Sizes(widths, data or enough, covectors or max(1, -(-max(widths) // enough) + 1), steps)


@final
@dataclass(frozen=True, slots=True)
class _Rule:
    """The claim, for one rule and two groups."""

    update: Update
    activations: str
    preactivations: str

    def __call__(self, world: World) -> Comparisons:
        """Two networks that compute one function, both updated: they compute one function again."""
        ns, widths, count = world.ns, world.sizes.widths, world.sizes.data
        pairs = list(zip(widths[1:], widths[:-1], strict=True))
        network = Network(
            weights=tuple(world.array(m, n + 1) for m, n in pairs),
            activations=tuple(activation(world) for _ in pairs),
            loss=loss(world, widths[-1]),
        )
        bases = self._bases(world, widths)
        double = transformed(world, network, bases)
        x = world.array(count, widths[0])
        rate = world.number() if world.is_exact else ns.scalar(0.01)
        there = x @ bases.Omega[0].mT + bases.gamma[0]
        states: tuple[dict[Any, Any], dict[Any, Any]] = ({}, {})
        yield from self._compared(world, given, "before the update", network, double, x, bases)
        for step in range(world.sizes.steps):
            network = self._updated(world, network, x, rate, step, states[0])
            double = self._updated(world, double, there, rate, step, states[1])
            fresh = world.array(count, widths[0])
            yield from self._compared(world, same, f"after update {step + 1}", network, double, fresh, bases)

    def _bases(self, world: World, widths: tuple[int, ...]) -> Bases:
        of_activations = [random_change(world, self.activations, n) for n in widths]
        of_preactivations = [random_change(world, self.preactivations, m) for m in widths[1:]]
        return Bases(*zip(*of_activations, strict=True), *zip(*of_preactivations, strict=True))

    def _updated(
        self, world: World, network: Network, x: Array, rate: Array, step: int, state: dict[Any, Any]
    ) -> Network:
        ns = world.ns
        batch = forward(ns, network, x)
        coefficients, outputs = network.loss.metric(batch.activations[-1])
        derivatives = backward(network, batch, network.loss.differential(batch.activations[-1]))
        covectors = backward(network, batch, outputs)
        layers = tuple(
            LayerToUpdate(W, homogeneous(ns, a), Dz, coefficients, phi, ns)
            for W, a, Dz, phi in zip(network.weights, batch.activations[:-1], derivatives, covectors, strict=True)
        )
        new = tuple(self.update(NetworkToUpdate(layers, rate, step, state, ns)))
        shapes, required = [tuple(W.shape) for W in new], [tuple(W.shape) for W in network.weights]
        if shapes != required:
            raise ShapeError(
                f"an update returns new weights for every layer.\n  required: shapes {required}\n"
                f"  came    : shapes {shapes}\nReturn (W b) of every layer, the bias last."
            )
        return Network(new, network.activations, network.loss)

    def _compared(
        self, world: World, compare: Any, when: str, one: Network, two: Network, x: Array, bases: Bases
    ) -> Comparisons:
        """``z = Phi z' + tau`` at every layer."""
        passes = forward(world.ns, one, x), forward(world.ns, two, x @ bases.Omega[0].mT + bases.gamma[0])
        for i, (Phi, tau) in enumerate(zip(bases.Phi, bases.tau, strict=True)):
            z, z_dagger = (run.preactivations[i] for run in passes)
            yield compare(f"pre-activations of layer {i + 1} {when}", z, z_dagger @ Phi.mT + tau)
