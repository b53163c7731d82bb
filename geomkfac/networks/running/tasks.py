"""What is summed over data: losses and their differential, the moments of a metric, or whatever chunks give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final, get_args

from geomkfac.arrays.array import Array
from geomkfac.metrics.families.output_family import OutputModel
from geomkfac.names import check_word
from geomkfac.networks.moments.kfac_moments import KfacMoments, LayerMoments
from geomkfac.networks.moments.second_moments import RunningMoments, Sharing
from geomkfac.networks.moments.totals import Sums, Total
from geomkfac.networks.passes.at_places import OutputMetric, differentials
from geomkfac.networks.passes.chain_pass import Pass
from geomkfac.networks.passes.layers import Layer
from geomkfac.networks.running.layered_function import LayeredFunction
from geomkfac.networks.running.memory_limit import AtOnce
from geomkfac.networks.running.summing import Task
from geomkfac.spaces import Chunk


@final
class LossSums(Sums):
    """Weights, losses, and for each layer the sum of w dL, (m, n + 1)."""

    __slots__ = ("layers",)

    def __init__(self, count: int) -> None:
        super().__init__()
        self.layers = [Total() for _ in range(count)]

    @property
    def more(self) -> list[Total]:
        return self.layers


@final
@dataclass(frozen=True, slots=True, eq=False)
class LossTask(Task[LossSums]):
    """The losses, their differential in all weights, or both.

    Attributes
    ----------
    losses, differentials : whose these are; None for none
    """

    function: LayeredFunction
    layers: tuple[Layer, ...]
    at_once: AtOnce
    losses: OutputModel | None
    differentials: OutputModel | None

    def start(self) -> LossSums:
        return LossSums(len(self.layers))

    def add(self, sums: LossSums, chunk: Chunk, run: Pass, weights: Array) -> None:
        if self.differentials is None:
            return
        ns, uses = run.outputs.namespace, run.uses()
        shares = ns.reshape(weights, (chunk.count, *(1,) * len(run.places)))
        covectors = differentials(self.differentials, run, chunk).scaled(shares)
        for index, rows in run.backward(covectors[None]):
            sums.layers[index].add(uses[index].contract(ns, rows[0, ...]))


@final
@dataclass(frozen=True, slots=True, eq=False)
class MomentsTask(Task[RunningMoments]):
    """The moments of which a K-FAC metric is made.

    Attributes
    ----------
    metric : on the outputs

    Raises
    ------
    UnknownNameError : there is no such way of sharing.
    """

    function: LayeredFunction
    layers: tuple[Layer, ...]
    at_once: AtOnce
    losses: OutputModel | None
    metric: OutputMetric
    sharing: Sharing

    def __post_init__(self) -> None:
        check_word("sharing", self.sharing, get_args(Sharing))

    def start(self) -> RunningMoments:
        return RunningMoments(len(self.layers), self.sharing)

    def add(self, sums: RunningMoments, chunk: Chunk, run: Pass, weights: Array) -> None:
        sums.add(chunk, run, self.metric.of(run, chunk), weights, self.at_once.covectors)

    def lacking(self, sums: RunningMoments) -> int:
        """Numbers in the factors that have not begun, and in the largest once more, which is added to its sum."""
        factors = [space.domain.dim + 1 for space in self.function.layers]
        factors += [space.codomain.dim for space in self.function.layers]
        totals = (*sums.activations, *sums.covectors)
        begun = sum(n * n for n, total in zip(factors, totals, strict=True) if total.value is not None)
        return self.function._entries_of_sums - begun

    def moments(self, sums: RunningMoments) -> KfacMoments:
        """The sums, with the frames that they stand in.  The arrays are the sums' own, and change where these grow."""
        layers = tuple(
            LayerMoments(layer.space, layer.frame, A.value, G.value, (A.terms, G.terms), places.value)
            for layer, A, G, places in zip(self.layers, sums.activations, sums.covectors, sums.places, strict=True)
        )
        ns, output = self.layers[0].omega.namespace, self.function.output_layer
        return KfacMoments(layers, sums.weight.value, sums.known, ns, output, self.sharing, sums.loss.value)

    def resume(self, sums: RunningMoments, moments: KfacMoments) -> None:
        """Put moments into empty sums, from whatever frames they stand in."""
        sums.weight, sums.loss, sums.known = Total(moments.weight), Total(moments.loss), moments.known
        for index, (layer, saved) in enumerate(zip(self.layers, moments.layers, strict=True)):
            there = saved.stored_in(layer.frame, moments.namespace)
            sums.activations[index] = Total(there.activations, there.terms[0])
            sums.covectors[index] = Total(there.covectors, there.terms[1])
            sums.places[index] = Total(there.places)


@final
class Gathered(Sums):
    """Of every chunk one thing, in a list."""

    __slots__ = ("things",)

    def __init__(self) -> None:
        super().__init__()
        self.things = Total()

    @property
    def more(self) -> list[Total]:
        return [self.things]


@final
@dataclass(frozen=True, slots=True, eq=False)
class GatheringTask(Task[Gathered]):
    """What `make` makes of every chunk, its pass, and the weights of its data."""

    function: LayeredFunction
    layers: tuple[Layer, ...]
    at_once: AtOnce
    make: Callable[[Chunk, Any, Array], Any]
    losses: None = None

    def start(self) -> Gathered:
        return Gathered()

    def add(self, sums: Gathered, chunk: Chunk, run: Pass, weights: Array) -> None:
        sums.things.add([self.make(chunk, run, weights)])
