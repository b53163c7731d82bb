"""What is summed over data: losses and their differential, the moments of a metric, or whatever chunks give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final, get_args

from geomkfac.arrays.array import Array
from geomkfac.metrics.families.output_family import OutputModel
from geomkfac.names import check_word
from geomkfac.networks.moments.kfac_moments import KfacMoments, LayerMoments
from geomkfac.networks.moments.reference import Reference, continued, single
from geomkfac.networks.moments.second_moments import RunningMoments, Sharing
from geomkfac.networks.moments.totals import Chosen, Sums, Total
from geomkfac.networks.passes.at_places import OutputMetric, differentials
from geomkfac.networks.passes.chain_pass import Pass
from geomkfac.networks.passes.layers import Layer
from geomkfac.networks.running.layered_function import LayeredFunction
from geomkfac.networks.running.memory_limit import AtOnce
from geomkfac.networks.running.summing import Task, itemsize_of
from geomkfac.spaces import Chunk
from geomkfac.spaces.samples.rounding import Doubt, least_seen


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
    known: Chosen | None = None
    references: tuple[Reference, ...] | None = None

    @property
    def about_data(self) -> bool:  # type: ignore[override]
        return self.differentials is not None

    def empty(self) -> LossSums:
        return LossSums(len(self.layers))

    def add(self, sums: LossSums, chunk: Chunk, run: Pass, weights: Array) -> None:
        if self.differentials is None:
            return
        ns, uses = run.outputs.namespace, run.uses()
        shares = ns.reshape(weights, (chunk.count, *(1,) * len(run.places)))
        covectors = differentials(self.differentials, run, chunk).scaled(shares)
        for index, rows in run.backward(covectors[None]):
            use = sums.reference(index).about(ns, uses[index])
            sums.layers[index].add(use.contract(ns, rows[0, ...]))


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
    known: Chosen | None = None
    references: tuple[Reference, ...] | None = None
    about_data: bool = True

    def __post_init__(self) -> None:
        check_word("sharing", self.sharing, get_args(Sharing))

    def empty(self) -> RunningMoments:
        return RunningMoments(len(self.layers), self.sharing)

    def add(self, sums: RunningMoments, chunk: Chunk, run: Pass, weights: Array) -> None:
        sums.add(chunk, run, self.metric.of(run, chunk), weights, self.at_once.covectors)

    def lacking(self, sums: RunningMoments) -> int:
        """Numbers in the factors that have not begun, and in the largest once more, which is added to its sum."""
        factors = [space.domain.dim + 1 for space in self.function.layers]
        factors += [space.codomain.dim for space in self.function.layers]
        totals = (*sums.activations, *sums.covectors)
        itemsize = itemsize_of(self.layers[0].omega.namespace)
        wide = 8 // itemsize
        begun = sum(wide * n * n for n, total in zip(factors, totals, strict=True) if total.value is not None)
        return self.function._entries_of_sums(itemsize) - begun

    def moments(self, sums: RunningMoments) -> KfacMoments:
        """The sums, with the frames that they stand in.  The arrays are the sums' own, and change where these grow."""
        parts = enumerate(zip(self.layers, sums.activations, sums.covectors, sums.places, strict=True))
        layers = tuple(
            LayerMoments(
                layer.space,
                sums.reference(index).frame,
                A.value,
                G.value,
                (A.terms, G.terms),
                places.value,
                sums.reference(index).noise,
                least_seen(sums.reference(index).doubt, self._doubt_of(sums, layer)),
            )
            for index, (layer, A, G, places) in parts
        )
        ns, output = self.layers[0].omega.namespace, self.function.output_layer
        return KfacMoments(layers, sums.weight.value, sums.known, ns, output, self.sharing, sums.loss.value)

    def _doubt_of(self, sums: RunningMoments, layer: Layer) -> Doubt | None:
        """The doubt about the data, where these are what a layer takes."""
        if sums.doubt is None or single(layer.space.domain) is not single(sums.doubt[0]):
            return None
        return sums.doubt[1]

    def resume(self, sums: RunningMoments, moments: KfacMoments) -> None:
        """Put moments into empty sums, which go on in the frames of these."""
        sums.weight, sums.loss, sums.known = Total(moments.weight), Total(moments.loss), moments.known
        sums.references = tuple(
            continued(moments.namespace, layer.space, layer.frame, saved)
            for layer, saved in zip(self.layers, moments.layers, strict=True)
        )
        for index, saved in enumerate(moments.layers):
            there = saved.stored_in(sums.references[index].frame, moments.namespace.wide)
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
    references: None = None
    known: None = None
    about_data: bool = False

    def empty(self) -> Gathered:
        return Gathered()

    def add(self, sums: Gathered, chunk: Chunk, run: Pass, weights: Array) -> None:
        sums.things.add([self.make(chunk, run, weights)])
