"""A small problem, and its double: the same function, other parameters.

The network is one of geomkfac's own, of any architecture; its double is the same network read in another
parameterization, by the same code, which runs natively in those frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, final

import numpy as np

from geomkfac.arrays import namespace_of
from geomkfac.audit.storage import Arrays
from geomkfac.errors import ValuesError
from geomkfac.metrics import Bernoulli
from geomkfac.metrics.families.output_family import OutputFamily
from geomkfac.networks import MLP, ConvolutionalNetwork, RecurrentNetwork
from geomkfac.networks.feed_forward import FeedForward
from geomkfac.networks.network import Network
from geomkfac.networks.passes.stages import ActivationStage
from geomkfac.spaces import Parameterization, Point, Sample
from geomkfac.updates import LayerToUpdate
from geomkfac.updates.on_networks import layers_to_update


@final
@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """Hidden units: the space of their pre-activations, that of their activations, and what is between."""

    before: Any
    after: Any
    activation: str


@final
@dataclass(frozen=True, eq=False)
class Problem:
    """A network, its first weights, data, and held-out inputs.

    Attributes
    ----------
    name : of the architecture
    network, weights, iota : float64; `iota` the frames of the arrays
    inputs, targets : coordinates of the data in iota, and targets of `family`
    probes : coordinates of inputs on which functions are compared
    family : of the outputs, placed on iota
    """

    name: str
    network: Any
    weights: Point
    iota: Parameterization
    inputs: Any
    targets: Any
    probes: Any
    family: OutputFamily

    @property
    def output(self) -> Any:
        """The family on its frame."""
        return self.family.on(self.iota)

    @property
    def units(self) -> tuple[Unit, ...]:
        """The hidden units, layer after layer."""
        return _units(self.network)

    def spaces_at(self, place: str) -> list[Any]:
        """The base spaces at a kind of place: 'input', 'activation', 'pre-activation' (hidden ones), 'output'."""
        inputs: Any = getattr(self.network.inputs, "base", self.network.inputs)
        if place == "input":
            return [inputs]
        if place == "output":
            return [self.network.outputs]
        before = [unit.before for unit in self.units]
        if place == "pre-activation":
            return before
        return [unit.after for unit in self.units]

    def whitened(self) -> Parameterization:
        """The parameterization that whitens everything, at the first weights."""
        network: Network = self.network
        sample = self.iota.sample(self.inputs, self.targets)
        g = network.kfac_metric(self.weights, sample, self.output)
        return self.iota.whitened(g, norm=self.iota.euclidean)

    def expected(self, weights: Point) -> Any:
        """What the network with these weights predicts for the probes, float64."""
        points = self.network.inputs.from_coordinates(self.probes, self.iota)
        return np.asarray(self.network.predictions(weights, points, self.output))

    def in_coordinates(self, inputs: Any, kappa: Parameterization) -> Any:
        """Inputs in other frames."""
        return self.network.inputs.from_coordinates(inputs, self.iota).coordinates(kappa)


@cache
def _units(network: Any) -> tuple[Unit, ...]:
    if isinstance(network, RecurrentNetwork):
        maps = [network.activation]
    else:
        stages: Any = network.stages if isinstance(network, FeedForward) else ()
        maps = [stage.map for stage in stages if isinstance(stage, ActivationStage)]
    return tuple(Unit(one.domain, one.codomain, getattr(getattr(one, "function", None), "name", "")) for one in maps)


@final
class Twin:
    """A problem in some parameterization and dtype.

    Parameters
    ----------
    problem : the problem
    kappa : the frames of weights, inputs and outputs
    dtype : ``"float64"`` or ``"float32"``
    """

    def __init__(self, problem: Problem, kappa: Parameterization, dtype: str = "float64") -> None:
        self.problem, self.kappa, self.dtype = problem, kappa, dtype
        self.inputs = problem.in_coordinates(problem.inputs, kappa).astype(dtype)
        targets = np.asarray(problem.targets)
        self.targets = targets.astype(dtype) if targets.dtype.kind == "f" else targets
        self.sample: Sample = kappa.sample(self.inputs, self.targets)
        self.storage_frame = kappa[problem.network.weight_space]
        self.start = self.cast(problem.network.to_arrays(problem.weights, kappa))

    def cast(self, arrays: Arrays) -> list[tuple[Any, Any]]:
        """Copies in this dtype."""
        return [(np.array(W, dtype=self.dtype), np.array(b, dtype=self.dtype)) for W, b in arrays]

    def point(self, arrays: Arrays) -> Point:
        """The weights with these coordinates."""
        network: Any = self.problem.network
        weights: Point
        if isinstance(network, MLP):
            # As there, without a copy and a check for each array: an audit spends a tenth of its time at that door.
            parts = tuple(np.column_stack(pair) for pair in arrays)
            if not all(np.isfinite(part).all() for part in parts):
                raise ValuesError("the weights must hold finite numbers.")
            weights = network.weight_space.from_components(self.storage_frame, parts, namespace_of(parts[0]))
        else:
            weights = network.weights_from_arrays([W for W, _ in arrays], [b for _, b in arrays], self.kappa)
        return weights

    def loss_and_derivatives(self, arrays: Arrays) -> tuple[float, list[tuple[Any, Any]]]:
        """The mean loss of the data, and its derivatives by weights and biases, laid out as these."""
        network: Any = self.problem.network
        loss, dh = network.loss_and_differential(self.point(arrays), self.sample, self.problem.output)
        return float(loss), network.to_arrays(dh, self.kappa)

    def layers(self, arrays: Arrays) -> tuple[LayerToUpdate, ...]:
        """What an update rule may know of every layer."""
        return layers_to_update(self.problem.network, self.point(arrays), self.sample, self.problem.output)

    def of_components(self, components: Sequence[Any]) -> list[tuple[Any, Any]]:
        """Arrays from (W b) of every layer, (m, n + 1), as update rules return them."""
        network: Any = self.problem.network
        found: list[tuple[Any, Any]] = network.to_arrays(
            network.weight_space.from_coordinates(list(components), self.kappa), self.kappa
        )
        return found

    def predictions(self, arrays: Arrays) -> Any:
        """What the network with these weights predicts for the probes; computed in float64."""
        doubled = [(np.asarray(W, dtype=float), np.asarray(b, dtype=float)) for W, b in arrays]
        return self.problem.expected(self.point(doubled))


BINARY = Bernoulli()


# -- random problems ---------------------------------------------------------------------------------------
def random_problem(
    architecture: str = "fully connected",
    *,
    activation: str = "tanh",
    widths: Sequence[int] = (2, 3, 3, 2),
    data: int = 60,
    seed: int = 0,
    family: OutputFamily = BINARY,
) -> Problem:
    """A random instance, with inputs that are neither centred nor of one scale, and targets near what it predicts.

    Outputs are logits of independent binary targets, and not of classes, so that no direction of theirs is null and
    undamped natural gradient steps exist; or means of normal ones.

    Parameters
    ----------
    architecture : a name of `ARCHITECTURES`
    activation : of the hidden units
    widths : of the fully connected network, inputs first
    data : N
    family : ``Bernoulli()`` or ``Gaussian()``
    """
    rng = np.random.default_rng(seed)
    if architecture not in ARCHITECTURES:
        raise ValuesError(f"an architecture is one of {', '.join(ARCHITECTURES)}; came {architecture!r}.")
    net, iota = _network(architecture, activation, tuple(widths))
    channels = net.inputs.base.dim if hasattr(net.inputs, "base") else net.inputs.dim
    shape: tuple[int, ...] = net.inputs.slots
    weights = _weights(net, iota, rng, activation == "relu")
    scales = rng.uniform(0.5, 1.5, channels)
    inputs = rng.standard_normal((data, *shape)) * scales + 0.3
    bare = Problem(architecture, net, weights, iota, inputs, None, inputs, family)
    near = bare.expected(weights)
    # Near what it predicts already, so that steps of second order are not long.
    targets = near + 0.3 * (rng.random(near.shape) - 0.5)
    if isinstance(family, Bernoulli):
        targets = np.clip(targets, 0.0, 1.0)
    probes = rng.standard_normal((50, *shape))
    return Problem(architecture, net, weights, iota, inputs, targets, probes, family)


def _network(architecture: str, activation: str, widths: tuple[int, ...]) -> tuple[Any, Parameterization]:
    if architecture == "convolutional":
        text = f"convolution(3, 2, padding=1) {activation} average(2) convolution(2, 2) {activation} dense(2)"
        return ConvolutionalNetwork.from_shape((4, 4), 2, text)
    if architecture == "recurrent":
        return RecurrentNetwork.from_widths(2, 3, 2, 4, activation, at="last")
    return MLP.from_widths(widths, activation)


def _weights(net: Any, iota: Parameterization, rng: Any, alive: bool) -> Point:
    """Weights and biases of variance 1 / n; where units can die, biases are positive, so that none does."""
    parts = []
    for layer in net.layers:
        m, n = layer.codomain.dim, layer.domain.dim
        parts.append(rng.standard_normal((m, n + 1)) / max(n, 1) ** 0.5)
        if alive:
            parts[-1][:, -1] = 0.5 + np.abs(parts[-1][:, -1])
    weights: Point = net.weight_space.from_coordinates(parts, iota)
    return weights


ARCHITECTURES = ("fully connected", "convolutional", "recurrent")
"""Of the networks that an audit trains."""


def problem_of(
    network: Any, weights: Point, iota: Parameterization, X: Any, y: Any, family: OutputFamily, probes: Any = None
) -> Problem:
    """One's own network and data as a problem of an audit.

    Parameters
    ----------
    network, weights, iota : as `MLP.from_arrays` and its kin give them; NumPy arrays of float64
    X, y : data; the first half trains, the second is held out where no `probes` came
    family : such as ``Categorical()``
    """
    X = np.asarray(X)
    if X.dtype != np.float64:
        raise ValuesError(f"an audit compares in float64; X came as {X.dtype}. Convert it with X.astype(float).")
    if len(X) < 2:
        raise ValuesError("an audit needs two data at least: one half trains, the other is held out.")
    half = len(X) if probes is not None else len(X) // 2
    held = X[half:] if probes is None else np.asarray(probes)
    return Problem("given", network, weights, iota, X[:half], np.asarray(y)[:half], held, family)
