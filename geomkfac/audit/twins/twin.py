"""A network or its double, as a thing to train: arrays in some frames, dtype and layout.

A double is the same network read in another parameterization, by the same code, which runs natively in those frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, final

import numpy as np

from geomkfac.arrays import namespace_of
from geomkfac.audit.twins.problem import Problem
from geomkfac.audit.twins.storage import PLAIN, Arrays, Storage
from geomkfac.errors import ValuesError
from geomkfac.networks import MLP
from geomkfac.spaces import Parameterization, Point, Sample
from geomkfac.updates import LayerToUpdate
from geomkfac.updates.on_networks import layers_to_update


@final
class Twin:
    """A problem in some parameterization, dtype and layout: the network itself, or a double of it.

    Parameters
    ----------
    problem : the problem
    kappa : the frames of weights, inputs and outputs
    dtype : ``"float64"`` or ``"float32"``
    storage : how its weights lie in the parameters that an optimizer sees
    loss_scale : its loss is multiplied by this, besides the problem's loudness

    Attributes
    ----------
    start : the first weights, ``[(W, b), ...]``
    loss_scale : the factor of its loss, the problem's loudness in it
    """

    def __init__(
        self,
        problem: Problem,
        kappa: Parameterization,
        dtype: str = "float64",
        storage: Storage = PLAIN,
        loss_scale: float = 1.0,
    ) -> None:
        self.problem, self.kappa, self.dtype, self.storage = problem, kappa, dtype, storage
        self.loss_scale = loss_scale * problem.loudness
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
        """The mean loss of the data, and its derivatives by weights and biases, laid out as these; times the scale."""
        network: Any = self.problem.network
        loss, dh = network.loss_and_differential(self.point(arrays), self.sample, self.problem.output)
        scale = self.loss_scale
        return float(loss) * scale, [(W * scale, b * scale) for W, b in network.to_arrays(dh, self.kappa)]

    def layers(self, arrays: Arrays) -> tuple[LayerToUpdate, ...]:
        """What an update rule may know of every layer, of the loss times the scale."""
        found = layers_to_update(self.problem.network, self.point(arrays), self.sample, self.problem.output)
        return tuple(replace(one, derivatives=one.derivatives * self.loss_scale) for one in found)

    def into_problem(self, space: Any) -> tuple[Any, Any]:
        """From the frame of a space here to the problem's own: a matrix and a translation."""
        return self._in_dtype(self.problem.iota.base_frame(space).change_from(self.kappa.base_frame(space)))

    def out_of_problem(self, space: Any) -> tuple[Any, Any]:
        """From the problem's own frame of a space to that here: a matrix and a translation."""
        return self._in_dtype(self.kappa.base_frame(space).change_from(self.problem.iota.base_frame(space)))

    def _in_dtype(self, change: tuple[Any, Any]) -> tuple[Any, Any]:
        return change[0].astype(self.dtype), change[1].astype(self.dtype)

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
