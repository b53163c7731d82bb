"""One pass of a chunk of data through a network: outputs, what the layers saw, and the way back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

from geomkfac.arrays.array import Array
from geomkfac.networks.passes.layer_inputs import Use
from geomkfac.networks.passes.layers import Layer
from geomkfac.networks.passes.stages import AffineStage, Stage
from geomkfac.spaces import Point, Vector


class Pass(ABC):
    """What a forward pass leaves.

    Attributes
    ----------
    outputs : points of the output space, of batch shape (N, *places)
    valid : array (N, *places) of zeros and ones, which outputs count; None for all
    """

    __slots__ = ()

    outputs: Point
    valid: Array | None

    @abstractmethod
    def uses(self) -> Sequence[Use]:
        """What each layer saw, in the order of the weight space."""

    @abstractmethod
    def backward(self, covectors: Vector) -> Iterator[tuple[int, Array]]:
        """Covectors on the outputs pulled back to every layer: ``(phi_xi^i)^* u``.

        Parameters
        ----------
        covectors : batch shape (K, N, *places)

        Yields
        ------
        (index of the layer, array (K, N, *places of its use, m)), in the frame of its weights; last layer first
        """

    def summed_forms(self, covectors: Vector, weights: Array | None) -> dict[int, Array] | None:
        """The output metric pulled back to every layer and summed over data and places, where that is a short way.

        Parameters
        ----------
        covectors : local ones, batch shape (K, N, *places): each is zero at all places but its own
        weights : array, shape (K, N, *places); None for ones

        Returns
        -------
        {index of the layer: array (m, m)}, in the frame of its weights; None where covectors must be pulled back
        """
        return None

    @property
    def places(self) -> tuple[int, ...]:
        """The places of the outputs; () where there is one for each datum."""
        return self.outputs.batch_shape[1:]


@final
@dataclass(frozen=True, slots=True, eq=False)
class ChainPass(Pass):
    """The pass of a feed-forward network, stage after stage."""

    stages: tuple[Stage, ...]
    layers: tuple[Layer, ...]
    kept: tuple[Any, ...]
    outputs: Point
    valid: Array | None = None

    def uses(self) -> Sequence[Use]:
        found: list[Use] = []
        for stage, kept in zip(self.stages, self.kept, strict=True):
            if isinstance(stage, AffineStage):
                found.extend(stage.uses(self.layers, kept))
        return found

    def backward(self, covectors: Vector) -> Iterator[tuple[int, Array]]:
        left, given = len(self.layers), False
        for stage, kept in zip(reversed(self.stages), reversed(self.kept), strict=True):
            if isinstance(stage, AffineStage):
                yield from stage.rows(self.layers, covectors)
                left -= len(stage.maps)
                if not left:
                    return
            covectors = stage.pull(self.layers, kept, covectors, given=given)
            given = True


def run_chain(stages: tuple[Stage, ...], layers: tuple[Layer, ...], value: Point) -> ChainPass:
    """Forward, keeping what the way back needs."""
    states = []
    for stage in stages:
        value, state = stage.run(layers, value)
        states.append(state)
    return ChainPass(stages, layers, tuple(states), value)
