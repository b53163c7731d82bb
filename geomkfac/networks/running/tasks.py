"""What is summed over the data, chunk by chunk: in one process, or in many whose sums are then absorbed.

A task can be sent to another process.  It holds the network, and the layers in the frames in which their weights
were stored when the pass began, so that everything runs in the same frames everywhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, final

from geomkfac.arrays.floats.memory import in_hand
from geomkfac.arrays.namespace import Array
from geomkfac.errors import KindError
from geomkfac.metrics.families.output_family import Fisher, OutputModel
from geomkfac.metrics.metric import Metric
from geomkfac.networks.moments import statistics
from geomkfac.networks.moments.kfac_moments import Sharing
from geomkfac.networks.moments.running_moments import RunningMoments
from geomkfac.networks.passes import at_places as at_outputs
from geomkfac.networks.passes.chain_pass import Pass
from geomkfac.networks.passes.layers import Layer
from geomkfac.spaces import AffineSpace, Chunk, Piece, Point
from geomkfac.spaces.samples.pieces import chunk_weights

Sums = TypeVar("Sums")


class Runs(Protocol):
    """A network: what a task needs of it."""

    outputs: AffineSpace

    @property
    def output_layer(self) -> int | None: ...

    def _run(self, layers: tuple[Layer, ...], points: Point, lengths: Any) -> Pass: ...


class Task(ABC, Generic[Sums]):
    """Something that is summed over data; a task and its sums can be pickled."""

    __slots__ = ()

    net: Runs
    layers: tuple[Layer, ...]

    @abstractmethod
    def start(self) -> Sums:
        """Empty sums."""

    def take(self, sums: Sums, piece: Piece) -> None:
        """Read a piece of the data, and add it to the sums.

        Raises
        ------
        DeviceMemoryError : the memory does not suffice for it.
        """
        with in_hand(piece.count, self.layers[0].omega.namespace):
            self.add(sums, piece.load())

    @abstractmethod
    def add(self, sums: Sums, chunk: Chunk) -> None:
        """Add a chunk of data to the sums."""

    @abstractmethod
    def absorb(self, sums: Sums, others: Sums) -> None:
        """Add the sums over other data."""

    def run(self, chunk: Chunk) -> Pass:
        """The pass of a chunk, whose arrays must be of the weights' dtype, library and device."""
        own, came = self.layers[0].omega.namespace, chunk.points.namespace
        if came is not own:
            raise KindError(
                "weights and data must be arrays of one dtype, library and device.\n"
                f"  weights: {own.name}\n  data   : {came.name}\n"
                "Convert one of them, for example with X.astype(...)."
            )
        return self.net._run(self.layers, chunk.points, chunk.lengths)


@dataclass(slots=True)
class LossSums:
    """Sum of w L, and of w."""

    loss: Array = None
    weight: Array = None


@final
@dataclass(frozen=True, slots=True, eq=False)
class LossTask(Task[LossSums]):
    """The loss."""

    net: Runs
    layers: tuple[Layer, ...]
    model: OutputModel

    def start(self) -> LossSums:
        return LossSums()

    def add(self, sums: LossSums, chunk: Chunk) -> None:
        run = self.run(chunk)
        ns = run.outputs.namespace
        weights = chunk_weights(chunk, ns)
        self.absorb(sums, LossSums(ns.sum(weights * at_outputs.losses(self.model, run, chunk)), ns.sum(weights)))

    def absorb(self, sums: LossSums, others: LossSums) -> None:
        sums.loss = _added(sums.loss, others.loss)
        sums.weight = _added(sums.weight, others.weight)


@dataclass(slots=True)
class DifferentialSums:
    """Sums of w dL for each layer (m, n + 1), of w, and of w L where it is asked for."""

    layers: list[Array]
    weight: Array = None
    loss: Array = None


@final
@dataclass(frozen=True, slots=True, eq=False)
class DifferentialTask(Task[DifferentialSums]):
    """The differential of the loss in all weights, and perhaps the loss."""

    net: Runs
    layers: tuple[Layer, ...]
    model: OutputModel
    with_loss: bool

    def start(self) -> DifferentialSums:
        return DifferentialSums([None] * len(self.layers))

    def add(self, sums: DifferentialSums, chunk: Chunk) -> None:
        run = self.run(chunk)
        ns = run.outputs.namespace
        weights = chunk_weights(chunk, ns)
        part = DifferentialSums([None] * len(self.layers), ns.sum(weights))
        if self.with_loss:
            part.loss = ns.sum(weights * at_outputs.losses(self.model, run, chunk))
        share = ns.reshape(weights, (chunk.count, *(1,) * len(run.places)))
        covectors = at_outputs.differentials(self.model, run, chunk).scaled(share)
        uses = run.uses()
        for index, rows in run.backward(covectors[None]):
            part.layers[index] = _added(part.layers[index], uses[index].contract(ns, rows[0, ...]))
        self.absorb(sums, part)

    def absorb(self, sums: DifferentialSums, others: DifferentialSums) -> None:
        for index, part in enumerate(others.layers):
            if part is not None:
                sums.layers[index] = _added(sums.layers[index], part)
        sums.weight = _added(sums.weight, others.weight)
        sums.loss = _added(sums.loss, others.loss)


@final
@dataclass(frozen=True, slots=True, eq=False)
class MomentsTask(Task[RunningMoments]):
    """The moments of which a K-FAC metric is made.

    Attributes
    ----------
    output : an output model, or a metric on the outputs
    at_once : how many covectors are pulled back together
    losses : the model whose losses are summed as well; None for none
    """

    net: Runs
    layers: tuple[Layer, ...]
    output: OutputModel | Metric
    fisher: Fisher
    samples: int
    seed: int
    sharing: Sharing
    at_once: int
    losses: OutputModel | None = None

    def start(self) -> RunningMoments:
        return statistics.running_moments(self.layers, self.sharing, self.net.output_layer)

    def add(self, sums: RunningMoments, chunk: Chunk) -> None:
        run, tensor_of = self.run(chunk), self.tensor_of()
        if self.losses is not None:
            ns = run.outputs.namespace
            sums.add_loss(ns.sum(chunk_weights(chunk, ns) * at_outputs.losses(self.losses, run, chunk)))
        statistics.add_chunk(sums, chunk, run, tensor_of(run, chunk), self.at_once)

    def absorb(self, sums: RunningMoments, others: RunningMoments) -> None:
        sums.absorb(others.moments())

    def tensor_of(self) -> at_outputs.TensorOf:
        """The output metric of a pass."""
        if isinstance(self.output, Metric):
            return at_outputs.exact_of(self.output)
        return at_outputs.model_of(self.output, self.fisher, self.samples, self.seed)


def _added(total: Array, part: Array) -> Array:
    if part is None:
        return total
    return part if total is None else total + part
