"""Sums over data by the workers of an executor: threads, processes, or the machines of a cluster.

Every piece of the data is one call of the executor.  The sums come back and are absorbed in the order of the data,
so that the result does not depend on how many workers there are, nor on which of them was quick.  A worker that
dies costs the pieces that it had in hand, which are done again.
"""

from __future__ import annotations

import os
import pickle
import warnings
from collections import OrderedDict, deque
from collections.abc import Callable, Generator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeAlias

from geomkfac.errors import KindError, WorkerError, WorkerLostWarning
from geomkfac.networks.running.cluster import ClusterFuture, client_of, on_cluster, spread, threads_of
from geomkfac.spaces import Piece

Workers: TypeAlias = Executor | Callable[[], Executor]
"""A ``concurrent.futures.Executor``; or what makes one, and then a new one is made where it breaks."""

ATTEMPTS = 5
"""How often a piece is tried, where its worker dies."""

Summing: TypeAlias = Callable[[Piece], Any]
"""What gives the sums of a piece."""

_Sent: TypeAlias = "tuple[str, bytes] | Summing | Any"
_Future: TypeAlias = "Future[Any] | ClusterFuture"


def in_order(
    summing: Summing, pieces: Generator[Piece, None, None], workers: Workers
) -> Generator[tuple[Piece, Any], None, None]:
    """The sums of every piece by itself, in the order of the pieces.

    Parameters
    ----------
    summing : what gives the sums of a piece
    pieces : read from as workers become free: at most two for each worker are under way
    workers : an executor, or what makes one

    Raises
    ------
    WorkerError : workers died five times with the same piece in hand; or `summing` cannot be sent to them.
    """
    crew = _Crew(summing, workers)
    pending: deque[_Work] = deque()
    try:
        for piece in pieces:
            work = _Work(piece)
            pending.append(work)
            if not _suspects(pending):
                crew.start(work)
            if len(pending) >= crew.ahead:
                yield _finished(crew, pending)
        while pending:
            yield _finished(crew, pending)
    finally:
        for work in pending:
            if work.future is not None:
                work.future.cancel()
        pending.clear()
        pieces.close()
        crew.close()


@dataclass(slots=True)
class _Work:
    """A piece, and who has it in hand: a future of one executor of the crew, counted from 0; None for nobody yet."""

    piece: Piece
    future: _Future | None = None
    executor: int = 0
    attempts: int = 0


def _suspects(pending: deque[_Work]) -> bool:
    """Whether a piece is under way that may have killed its worker: then one at a time is done, to know which."""
    return any(work.attempts > 1 for work in pending)


def _finished(crew: _Crew, pending: deque[_Work]) -> tuple[Piece, Any]:
    """The first piece that is under way, with its sums; done again as long as its worker dies."""
    first = pending[0]
    while True:
        if first.future is None:
            crew.start(first)
        try:
            sums = first.future.result()  # type: ignore[union-attr]
        except BaseException as error:
            if not _is_lost(error):
                raise
            _lost(crew, pending, error)
            continue
        pending.popleft()
        if not _suspects(pending):
            for work in pending:
                if work.future is None:
                    crew.start(work)
        return first.piece, sums


def _lost(crew: _Crew, pending: deque[_Work], error: BaseException) -> None:
    """Take the first piece back, and with it all that the death of a worker has taken along."""
    first = pending[0]
    if first.attempts >= ATTEMPTS:
        last = first.piece.first + first.piece.count - 1
        raise WorkerError(
            f"data {first.piece.first} to {last} cannot be summed: the worker that had them in hand died "
            f"{first.attempts} times.\n  last: {type(error).__name__}: {error}\n"
            "If it ran out of memory, take a smaller chunk_size or memory_limit, or fewer workers."
        ) from error
    # Of a pool that broke some pieces tell later than others: there is a new one already.
    if first.executor == crew.executors:
        crew.renew(error)
    for work in pending:
        if _is_lost(_failure(work.future)):
            work.future = None


def _failure(future: _Future | None) -> BaseException | None:
    """The exception that a future ended in; None where it has not ended, or has ended well."""
    if future is None:
        return None
    if future.cancelled():
        return CancelledError()
    return future.exception() if future.done() else None


def _is_lost(error: BaseException | None) -> bool:
    """Whether an exception tells of a worker that went away, not of the data."""
    # distributed is optional: its exceptions are known by name.
    names = {base.__name__ for base in type(error).__mro__}
    return isinstance(error, BrokenExecutor | CancelledError | ConnectionError) or bool(
        names & {"KilledWorker", "CommClosedError", "FutureCancelledError"}
    )


class _Crew:
    """The workers, and what they call as it is sent to them."""

    def __init__(self, summing: Summing, workers: Workers) -> None:
        self._summing = summing
        self._make = None if isinstance(workers, Executor) else workers
        self._executor: Executor | None = workers if isinstance(workers, Executor) else _made(workers)
        self._sent: _Sent = None
        self._spreads = True
        self.executors = 0
        self.ahead = 2 * _count(self._executor)

    def start(self, work: _Work) -> None:
        """Have a piece summed, sooner or later."""
        work.attempts, work.executor = work.attempts + 1, self.executors
        if self._executor is None:
            work.future = Future()
            work.future.set_result(self._summing(work.piece))
            return
        if self._sent is None:
            self._sent = _as_sent(self._summing, self._executor, self._spreads)
        try:
            if client_of(self._executor) is None:
                work.future = self._executor.submit(_summed, self._sent, work.piece)
            else:
                work.future = on_cluster(self._executor, _summed, self._sent, work.piece)
        except BrokenExecutor as error:
            work.future = Future()
            work.future.set_exception(error)
        except RuntimeError as error:
            raise WorkerError(
                f"the executor takes no work: {error}.\n  required: one that has not been shut down\n"
                "Call within its `with` block, or pass what makes an executor."
            ) from error

    def renew(self, error: BaseException) -> None:
        """Workers in the place of those that are gone: new ones where there is what makes them, else this process."""
        # What was spread over a cluster can be lost with a machine, and all that waited for it: now it goes along.
        self._sent, self._spreads = None, False
        if not isinstance(error, BrokenExecutor):
            return
        self.executors += 1
        executor, self._executor = self._executor, None
        if self._make is not None:
            if executor is not None:
                _end(executor)
            self._executor = _made(self._make)
            return
        if executor is not None:
            warnings.warn(
                f"the executor is broken ({error}); what is left is done in this process. Pass what makes an "
                "executor, such as worker_processes(4), and a new one will be made.",
                WorkerLostWarning,
                stacklevel=2,
            )

    def close(self) -> None:
        """End the workers, if they were made here."""
        if self._make is not None and self._executor is not None:
            _end(self._executor)


def _end(executor: Executor) -> None:
    """End workers at once, where that is possible: nobody waits for what they have in hand."""
    kill = getattr(executor, "kill_workers", None)  # ours have it; and, from Python 3.14 on, those of the library
    if kill is None:
        executor.shutdown(wait=False)
    else:
        kill()


def _made(make: Any) -> Executor:
    try:
        made = make() if callable(make) else make
    except BrokenExecutor as error:
        raise WorkerError(
            f"the workers do not start: {error}\n  required: processes that live until there is work for them\n"
            "If they ran out of memory, take fewer."
        ) from error
    if not isinstance(made, Executor):
        raise KindError(
            "executor must be an Executor of concurrent.futures, or a callable that makes one.\n"
            f"  came    : {type(make).__name__}{f', which gave {type(made).__name__}' if callable(make) else ''}\n"
            "For instance geomkfac.networks.worker_processes(4), or Client(address).get_executor() of Dask."
        )
    return made


def _count(executor: Executor) -> int:
    """How many workers an executor has, as far as it tells."""
    client = client_of(executor)
    known = getattr(executor, "_max_workers", None) if client is None else threads_of(client)
    return int(known or os.cpu_count() or 1)


# -- the call, sent once -----------------------------------------------------------------------------------------
def _as_sent(summing: Summing, executor: Executor, spreads: bool) -> _Sent:
    """The call for the workers: itself to threads, else pickled once, and spread over a cluster ahead of the pieces."""
    if isinstance(executor, ThreadPoolExecutor):
        return summing
    try:
        content = pickle.dumps(summing, protocol=pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise WorkerError(
            f"what is summed cannot be sent to other processes: {error}.\n  required: a network, or a module, whose "
            "parts pickle can name\nDefine them at the top of a file that can be imported, or take threads."
        ) from error
    sent = os.urandom(16).hex(), content
    client = client_of(executor) if spreads else None
    return sent if client is None else spread(client, sent)


_unpacked: OrderedDict[str, Summing] = OrderedDict()
_unpacking = Lock()
_KEPT = 2


def _as_it_was(sent: _Sent) -> Summing:
    if not isinstance(sent, tuple):
        here: Summing = sent
        return here
    name, content = sent
    with _unpacking:
        summing = _unpacked.get(name)
        if summing is None:
            summing = _unpacked[name] = pickle.loads(content)
            while len(_unpacked) > _KEPT:
                _unpacked.popitem(last=False)
        return summing


def _summed(sent: _Sent, piece: Piece) -> Any:
    """What a worker does."""
    return _as_it_was(sent)(piece)
