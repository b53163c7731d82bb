"""How a pass over data is run: in chunks, within a limit on memory, by workers, told of, and saved on the way."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, TypeVar, final

from geomkfac.counts import checked_count
from geomkfac.errors import KindError, ValuesError
from geomkfac.networks.moments.running_moments import RunningMoments
from geomkfac.networks.running.memory_limit import bytes_of
from geomkfac.networks.running.progress import Progress
from geomkfac.networks.running.tasks import Task
from geomkfac.spaces import Piece, Sample

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from geomkfac.networks.running.workers import Workers

Sums = TypeVar("Sums")


class Saving(Protocol):
    """Where the sums of one pass are saved, and from where it goes on."""

    def resume(self, sums: RunningMoments) -> int:
        """Add to empty `sums` what was saved of the same pass; returns how many data that were, 0 for none."""

    def save(self, sums: RunningMoments, done: int, *, last: bool = False) -> None:
        """Save the sums over the first `done` data, all or nothing; `last` of a pass, they must be saved."""


class Checkpoint(Protocol):
    """What keeps moments through an interruption: `geomkfac.interop.Checkpoint`."""

    def of(self, task: Any, sample: Sample, weights: Any) -> Saving:
        """The saving of one pass, which is described so that no other goes on from it."""


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


def checked_running(running: Running) -> tuple[int | None, int | None]:
    """The chunk size, and the limit on memory in bytes, of words that a caller gave.

    Raises
    ------
    TypeError : a word that is none of `Running`'s.
    ValuesError : both came, or one makes no sense.
    """
    for word in running:
        if word not in Running.__annotations__:
            raise TypeError(f"{word!r} is no keyword here; a pass is run with {', '.join(Running.__annotations__)}.")
    progress = running.get("progress")
    if progress is not None and not callable(progress):
        raise KindError(f"progress must be callable, for instance print.\n  came: {progress!r}")
    size, limit = running.get("chunk_size"), running.get("memory_limit")
    if size is not None and limit is not None:
        raise ValuesError(
            "chunk_size and memory_limit both say how many data are taken at a time.\n  required: one of them\n"
            f"  came    : chunk_size={size!r} and memory_limit={limit!r}\nLeave one of them out."
        )
    if size is not None:
        checked_count("the chunk size", size)
    return size, None if limit is None else bytes_of(limit)


@final
@dataclass(frozen=True, slots=True)
class _Clock:
    """What progress is told of."""

    progress: Callable[[Progress], None] | None
    total: int | None
    began: float
    resumed: int

    def tell(self, done: int) -> None:
        if self.progress is not None:
            self.progress(Progress(done, self.total, monotonic() - self.began, self.resumed))


def summed(task: Task[Sums], sample: Sample, size: int, running: Running, saving: Saving | None = None) -> Sums:
    """A task's sums over a sample, in chunks of at most `size`."""
    began, sums = monotonic(), task.start()
    done = 0 if saving is None else saving.resume(sums)  # type: ignore[arg-type]
    clock = _Clock(running.get("progress"), sample.count, began, done)
    if done:
        clock.tell(done)
    executor = running.get("executor")
    left = _after(sample.pieces(size), done)
    for piece, others in ((piece, None) for piece in left) if executor is None else _shared(task, left, executor):
        if others is None:
            task.take(sums, piece)
        else:
            task.absorb(sums, others)
        done = piece.first + piece.count
        if saving is not None:
            saving.save(sums, done)  # type: ignore[arg-type]
        clock.tell(done)
    if saving is not None:
        saving.save(sums, done, last=True)  # type: ignore[arg-type]
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


def _shared(task: Task[Sums], pieces: Generator[Piece, None, None], workers: Workers) -> Iterator[tuple[Piece, Sums]]:
    from geomkfac.networks.running.workers import in_order  # executors are slow to import, and most passes have none

    return in_order(task, pieces, workers)


def worker_processes(count: int) -> Callable[[], Executor]:
    """What makes an executor of `count` processes on this machine, each with one thread for its arithmetic.

    They are started afresh and import what they need, so call from under ``if __name__ == "__main__":``.

    Raises
    ------
    ValuesError : `count` is not a positive int.
    """
    checked_count("the number of processes", count)
    from geomkfac.networks.running.processes import pool  # likewise

    return partial(pool, count)
