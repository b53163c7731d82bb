"""Sums over data: what one is, and how it is run.

A `Task` says what is summed.  `summed` goes through the data: in chunks, within a limit on memory, by this process or
by the workers of an executor, telling of its progress, and saving the sums on the way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, Self, TypedDict, TypeVar

from geomkfac.arrays.array import Array
from geomkfac.arrays.floats.memory import in_hand
from geomkfac.arrays.namespace import Namespace
from geomkfac.counts import checked_count
from geomkfac.errors import KindError, ValuesError
from geomkfac.metrics.families.output_family import OutputModel
from geomkfac.networks.moments.reference import FIRST_DATA, FirstInputs, Reference, rounding
from geomkfac.networks.moments.totals import Chosen, Sums
from geomkfac.networks.passes.at_places import losses
from geomkfac.networks.passes.chain_pass import Pass
from geomkfac.networks.passes.layers import Layer
from geomkfac.networks.running.layered_function import LayeredFunction
from geomkfac.networks.running.memory_limit import AtOnce, at_once_within, bytes_of
from geomkfac.networks.running.progress import Progress
from geomkfac.required import shown
from geomkfac.spaces import Chunk, Piece, Point, Sample
from geomkfac.spaces.samples.pieces import chunk_weights
from geomkfac.spaces.samples.rounding import DISTURBED, disturbed

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from geomkfac.networks.running.workers import Workers

PIECES = 32
"""So many chunks, at least, for the workers of an executor: not a number that depends on how many they are."""

S = TypeVar("S", bound=Sums)


# -- what is summed ----------------------------------------------------------------------------------------------
class Task(ABC, Generic[S]):
    """Something that is summed over data.

    It and its sums can be sent to another process.  It holds the layers in the frames in which their weights were
    stored when the pass began, so that everything runs in the same frames everywhere.

    Attributes
    ----------
    function : what the data pass through: a network, for instance
    layers : its layers, at their weights
    at_once : how many data are taken at a time, and how many covectors of each are pulled back together
    losses : whose losses are summed as well; None for none
    references : where the sums of every layer are taken; None to choose them from the first data
    known : `Sums.chosen` of the last pass at the same weights over the same sample; None where there was none
    about_data : whether there are such sums
    """

    __slots__ = ()

    function: LayeredFunction
    layers: tuple[Layer, ...]
    at_once: AtOnce
    losses: OutputModel | None
    references: tuple[Reference, ...] | None
    known: Chosen | None
    about_data: bool

    @abstractmethod
    def empty(self) -> S:
        """Empty sums."""

    def start(self) -> S:
        """Empty sums, taken about the references."""
        sums = self.empty()
        sums.references = self.references
        return sums

    @abstractmethod
    def add(self, sums: S, chunk: Chunk, run: Pass, weights: Array) -> None:
        """Add to the sums what there is beside weights and losses of a chunk, of its pass; `weights` (N,)."""

    def lacking(self, sums: S) -> int:
        """How many numbers the sums will take beside what they hold, however few data are taken at a time."""
        return 0

    def take(self, sums: S, piece: Piece) -> None:
        """Read a piece of the data, run it, and add it to the sums.

        Raises
        ------
        DeviceMemoryError : the memory does not suffice for it.
        """
        ns = self.layers[0].omega.namespace
        with in_hand(piece.count, ns, lambda: self.lacking(sums) * itemsize_of(ns)):
            chunk = piece.load()
            run, weights = self.function._pass_of(self.layers, chunk), chunk_weights(chunk, ns)
            if self.about_data and sums.references is None:
                self._choose(sums, chunk, run)
            if chunk.rounded is not None:
                sums.doubt_of(chunk.points.space, chunk.rounded.doubt)
            sums.weight.add(ns.sum(weights))
            if self.losses is not None:
                sums.loss.add(ns.sum(weights * losses(self.losses, run, chunk)))
            self.add(sums, chunk, run, weights)

    def _choose(self, sums: S, chunk: Chunk, run: Pass) -> None:
        """Choose the references of sums from the first chunk, or take those of the last pass over the same data."""
        data, frames = chunk.ends, [layer.frame for layer in self.layers]
        if data is not None and self.known is not None and self.known[:2] == (data, frames):
            sums.references = self.known[2]
        else:
            sums.references = self._chosen([(chunk, run)])
        if data is not None:
            sums.chosen = data, frames, sums.references

    def referred(self, sample: Sample) -> Self:
        """The same task, its references chosen from the first data of a sample."""
        if not self.about_data or self.references is not None:
            return self
        ns = self.layers[0].omega.namespace

        def passes() -> Iterator[tuple[Chunk, Pass]]:
            for piece in sample.pieces(min(FIRST_DATA, self.at_once.data)):
                with in_hand(piece.count, ns, lambda: self.lacking(self.start()) * itemsize_of(ns)):
                    chunk = piece.load()
                    yield chunk, self.function._pass_of(self.layers, chunk)

        return replace(self, references=self._chosen(passes()))  # type: ignore[type-var]

    def _chosen(self, passes: Iterable[tuple[Chunk, Pass]]) -> tuple[Reference, ...]:
        """The references, from the first data of the passes, which are begun only where more are wanted."""
        ns = self.layers[0].omega.namespace
        if ns.kind.is_exact:
            return tuple(Reference(layer.frame) for layer in self.layers)
        inputs, first = FirstInputs(self.layers), None
        for chunk, run in passes:
            if first is None and chunk.weighted:
                first = chunk
            inputs.add(run.uses(), chunk.weighted)
            if inputs.count >= FIRST_DATA:
                break
            # Before the next one is made.
            del chunk, run
        return inputs.references(lambda: self._rounding(first))

    def _rounding(self, chunk: Any) -> Sequence[Array | None]:
        """What rounding does to the inputs of every layer, measured on the first data moved by as much."""
        ns = self.layers[0].omega.namespace.ordered("rounding")
        if not isinstance(chunk.points, Point):  # Of a module, which takes tensors.
            return [None] * len(self.layers)
        data = chunk.weighted[:DISTURBED]
        few = chunk.part(0, data[-1] + 1)
        moved = replace(few, points=disturbed(few.points, None if few.rounded is None else few.rounded.noise))
        uses, others = (self.function._pass_of(self.layers, some).uses() for some in (few, moved))
        return rounding(ns, self.layers, uses, others, data)

    def sums_of(self, piece: Piece) -> S:
        """The sums over one piece of the data: what a worker does."""
        sums = self.start()
        self.take(sums, piece)
        return sums


# -- how it is run -----------------------------------------------------------------------------------------------
class Running(TypedDict, total=False):
    """How a pass over data is run.

    Attributes
    ----------
    chunk_size : data per chunk; by default what bounds memory
    memory_limit : bytes, or '2 GiB', for all that is allocated beyond inputs and weights: the sums and one chunk.
        With an executor it holds for each worker, and sums of two chunks for each wait to be absorbed
    executor : a ``concurrent.futures.Executor``, or a callable that makes one, whose workers take a chunk each
    progress : called with a `Progress` after every chunk; for instance print
    """

    chunk_size: int | None
    memory_limit: int | str | None
    executor: Workers | None
    progress: Callable[[Progress], None] | None


def at_once(
    function: LayeredFunction, layers: tuple[Layer, ...], count: int | None, covectors: int, running: Running,
    *, lifted: bool = False,
) -> AtOnce:  # fmt: skip
    """How much is taken at a time: as the caller says, or what bounds memory.

    Parameters
    ----------
    count : of the data; None where nobody knows
    covectors : that each datum has on the outputs
    lifted : whether covectors at single places become covectors on all places

    Raises
    ------
    TypeError, KindError, ValuesError : as `checked_running`.
    MemoryLimitError : the limit leaves no room for the sums, or for a datum beside them.
    """
    size, limit = checked_running(running)
    data = function._chunk_size(covectors) if size is None else size
    most = AtOnce(data, min(covectors, function._at_once(data if count is None else min(data, count))))
    if limit is not None:
        itemsize = itemsize_of(layers[0].omega.namespace)
        most = at_once_within(limit, function._demand(covectors, lifted, itemsize), covectors, most)
    if running.get("executor") is not None and size is None and count is not None:
        # A few pieces for every worker; but none so small that its sums are larger than its data.
        widest = max(space.dim for layer in function.layers for space in (layer.domain, layer.codomain))
        most = replace(most, data=min(most.data, max(widest, -(-count // PIECES))))
    return most


def itemsize_of(ns: Namespace) -> int:
    """Bytes of one number of a floating-point namespace."""
    return 4 if ns.epsilon > 1e-10 else 8


def checked_running(running: Running) -> tuple[int | None, int | None]:
    """The chunk size, and the limit on memory in bytes, of words that a caller gave.

    Raises
    ------
    TypeError : a word that is none of `Running`'s.
    KindError, ValuesError : one makes no sense; or a chunk size and a limit came.
    """
    for word in running:
        if word not in Running.__annotations__:
            raise TypeError(f"{word!r} is no keyword here; a pass is run with {', '.join(Running.__annotations__)}.")
    progress = running.get("progress")
    if progress is not None and not callable(progress):
        raise KindError(f"progress must be callable, for instance print.\n  came: {shown(progress)}")
    size, limit = running.get("chunk_size"), running.get("memory_limit")
    if size is not None and limit is not None:
        raise ValuesError(
            "chunk_size and memory_limit both say how many data are taken at a time.\n  required: one of them\n"
            f"  came    : chunk_size={shown(size)} and memory_limit={shown(limit)}\nLeave one of them out."
        )
    if size is not None:
        checked_count("the chunk size", size)
    return size, None if limit is None else bytes_of(limit)


def summed(task: Task[S], sample: Sample, running: Running, saving: Saving | None = None) -> S:
    """A task's sums over a sample."""
    began, executor, progress = monotonic(), running.get("executor"), running.get("progress")
    sums = task.start()
    done = resumed = 0 if saving is None else saving.resume(sums)
    if resumed:
        task = replace(task, references=sums.references)  # type: ignore[type-var]
    elif executor is not None or sample.streamed or sample.weights is not None or task.at_once.data < FIRST_DATA:
        # Else the first chunk holds the data that choose them.
        task = task.referred(sample)
        sums.references = task.references

    def tell() -> None:
        if progress is not None:
            progress(Progress(done, sample.count, monotonic() - began, resumed))

    if resumed:
        tell()
    left = _after(sample.pieces(task.at_once.data), resumed)
    # Closed at once where it is interrupted, with its workers.
    with closing(((piece, None) for piece in left) if executor is None else _shared(task, left, executor)) as pieces:
        for piece, others in pieces:
            if others is None:
                task.take(sums, piece)
            else:
                sums.absorb(others)
            done = piece.first + piece.count
            if saving is not None:
                saving.save(sums, done)
            tell()
    if saving is not None:
        saving.save(sums, done, last=True)
    return sums


def _after(pieces: Iterator[Piece], done: int) -> Generator[Piece, None, None]:
    """What the pieces hold of data from number `done` on.

    Raises
    ------
    ValuesError : there are fewer data.
    """
    walked = 0
    for piece in pieces:
        walked = piece.first + piece.count
        if piece.first >= done:
            yield piece
        elif walked > done:
            yield piece.after(done)
    if walked < done:
        raise ValuesError(
            f"the saved sums are over more data than there are.\n  saved: {done} data\n  now  : {walked}\n"
            "Call with the data that they were made from, or delete the file (or name another) to begin anew."
        )


# -- by workers --------------------------------------------------------------------------------------------------
def _shared(
    task: Task[S], pieces: Generator[Piece, None, None], workers: Workers
) -> Generator[tuple[Piece, S], None, None]:
    from geomkfac.networks.running.workers import in_order  # executors are slow to import, and most passes have none

    return in_order(task.sums_of, pieces, workers)


def worker_processes(count: int) -> Callable[[], Executor]:
    """What makes an executor of `count` processes on this machine, each with one thread for its arithmetic.

    They are started afresh and import what they need, so call from under ``if __name__ == "__main__":``.  They leave
    Ctrl-C to this process, and end with it, however it ends.

    Raises
    ------
    ValuesError : `count` is not a positive int.
    """
    checked_count("the number of processes", count)
    from geomkfac.networks.running.processes import Processes  # likewise

    return partial(Processes, count)


# -- saved on the way --------------------------------------------------------------------------------------------
class Saving(ABC):
    """Where the sums of one pass are saved, and from where it goes on."""

    __slots__ = ()

    @abstractmethod
    def resume(self, sums: Any) -> int:
        """Add to empty `sums` what was saved of the same pass; returns how many data that were, 0 for none."""

    @abstractmethod
    def save(self, sums: Any, done: int, *, last: bool = False) -> None:
        """Save the sums over the first `done` data, all or nothing; `last` of a pass, they must be saved."""


class Keeper(ABC):
    """What keeps sums through an interruption: `geomkfac.interop.Checkpoint`."""

    __slots__ = ()

    @abstractmethod
    def of(self, task: Any, sample: Sample, weights: Point | None) -> Saving:
        """The saving of one pass, which is described so that no other goes on from it; None for weights of a module."""


def saving_of(keeper: Any, task: Task[Any], sample: Sample, weights: Point | None) -> Saving | None:
    """Where the sums of a pass at these weights are saved; None for nowhere."""
    if not isinstance(keeper, Keeper | None):
        raise KindError(f"checkpoint must be a geomkfac.interop.Checkpoint(path, iota).\n  came: {shown(keeper)}")
    return None if keeper is None else keeper.of(task, sample, weights)
