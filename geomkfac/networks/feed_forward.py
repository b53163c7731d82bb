"""Feed-forward networks: one stage after the other.  What MLPs and convolutional networks share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from geomkfac.arrays.windows import ENTRIES_AT_ONCE
from geomkfac.maps import AffineMaps
from geomkfac.networks.network import Network
from geomkfac.networks.passes.at_places import regrouped
from geomkfac.networks.passes.chain_pass import ChainPass, run_chain
from geomkfac.networks.passes.layers import Layer
from geomkfac.networks.passes.stages import (
    ActivationStage,
    AffineStage,
    AverageStage,
    ConvolutionStage,
    MaxStage,
    Stage,
)
from geomkfac.networks.running.layered_function import ENTRIES_PER_CHUNK
from geomkfac.networks.running.memory_limit import Demand
from geomkfac.required import check_type, listed
from geomkfac.spaces import AffineSpace, Point, PointSpace, PowerSpace, ProductSpace

WINDOWS_AT_ONCE = 2 * ENTRIES_AT_ONCE
"""Numbers that stand aside while windows of maps are multiplied, a part at a time."""


class FeedForward(Network):
    """A chain of stages.

    Parameters
    ----------
    inputs : affine space of one datum; a PowerSpace for maps
    stages : bound stages, the last of which gives points of an AffineSpace

    Attributes
    ----------
    stages : as given
    """

    __slots__ = ("stages",)

    stages: tuple[Stage, ...]

    def __init__(self, inputs: PointSpace, stages: Sequence[Stage]) -> None:
        check_type("the inputs of a network", inputs, PointSpace)
        self.inputs, self.stages = inputs, tuple(listed("the stages", stages))
        for stage in self.stages:
            check_type("what follows in a network", stage, Stage, "Stages in words are for from_shape.")
        maps: list[AffineMaps] = []
        for stage in self.stages:
            if isinstance(stage, AffineStage):
                maps.extend(stage.maps)
        self.layers = tuple(maps)
        self.weight_space = ProductSpace(*self.layers)
        last: AffineSpace = self.stages[-1].space
        check_type("the space of the outputs", last, AffineSpace)
        self.outputs = last

    @property
    def output_places(self) -> tuple[int, ...]:
        return self.stages[-1].grid

    def _spread(self, points: Point) -> Point:
        spread: Point = self.inputs.spread(points) if isinstance(self.inputs, PowerSpace) else points
        return spread

    def _run(self, layers: tuple[Layer, ...], points: Point, lengths: Any) -> ChainPass:
        return run_chain(self.stages, layers, self._spread(points))

    def __call__(self, weights: Point, points: Point) -> Point:
        """The outputs at a point, or at each of a batch: of batch shape (*batch, *output_places).

        Source: LG (3.1), 4.1.2.
        """
        self._check_inputs(points)
        layers, batch = self._layers(weights), points.batch_shape
        value = self._spread(regrouped(points, (math.prod(batch),)))
        for stage in self.stages:
            value = stage.map(value) if isinstance(stage, ActivationStage) else stage.run(layers, value)[0]  # type: ignore[assignment]
        return regrouped(value, (*batch, *value.batch_shape[1:]))

    @property
    def output_layer(self) -> int | None:
        for stage in reversed(self.stages):
            if isinstance(stage, AffineStage):
                return stage.first
            if not isinstance(stage, AverageStage):
                return None
        return None

    @property
    def _widest(self) -> int:
        """The largest number of numbers that one datum has between two stages."""
        widest = self.inputs.dim
        for stage in self.stages:
            widest = max(widest, math.prod(stage.grid) * int(stage.space.dim))
        return widest

    @property
    def _on_maps(self) -> bool:
        return isinstance(self.inputs, PowerSpace)

    def _chunk_size(self, covectors: int) -> int:
        if self._on_maps:
            return super()._chunk_size(covectors)
        return max(1, ENTRIES_PER_CHUNK // max(1, covectors * self._widest))

    def _at_once(self, count: int) -> int:
        return super()._at_once(count) if self._on_maps else 1 << 62

    def _demand(self, covectors: int, lifted: bool, itemsize: int) -> Demand:
        kept, before, widest = 0, self.inputs.dim, 0
        for stage in self.stages:
            after = math.prod(stage.grid) * int(stage.space.dim)
            # Values, slopes, and both in the frames of the activation where these are others.
            kept += 3 * after + (math.prod(stage.windows.kernel) * after if isinstance(stage, MaxStage) else 0)
            kept += before if isinstance(stage, ConvolutionStage) else 0
            before, widest = after, max(widest, after)
        outputs = covectors * self.outputs.dim * math.prod(self.output_places)
        aside = WINDOWS_AT_ONCE if self._on_maps else 0
        datum = kept + 4 * self._widest + 4 * outputs
        return Demand(self._entries_of_sums(itemsize), aside, datum, 4 * widest, itemsize)
