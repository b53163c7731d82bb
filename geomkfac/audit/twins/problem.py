"""What is trained: a small network of geomkfac's own, of any architecture, with its data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, final

import numpy as np

from geomkfac.errors import ValuesError
from geomkfac.metrics import Bernoulli
from geomkfac.metrics.families.output_family import OutputFamily
from geomkfac.networks import MLP, ConvolutionalNetwork, RecurrentNetwork
from geomkfac.networks.feed_forward import FeedForward
from geomkfac.networks.network import Network
from geomkfac.networks.passes.stages import ActivationStage
from geomkfac.spaces import Parameterization, Point


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
    loudness : the loss is multiplied by this
    """

    name: str
    network: Any
    weights: Point
    iota: Parameterization
    inputs: Any
    targets: Any
    probes: Any
    family: OutputFamily
    loudness: float = 1.0

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
        network: Any = self.network
        spaces = {
            "input": [getattr(network.inputs, "base", network.inputs)],
            "activation": [unit.after for unit in self.units],
            "pre-activation": [unit.before for unit in self.units],
            "output": [network.outputs],
        }
        return spaces[place]

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
